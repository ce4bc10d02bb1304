"""Sums over windows: compiled as by numpy, to the last bit; what they are is in test_trailing.py."""

from __future__ import annotations

import numpy as np
import pytest

from runner.numerics import variation
from runner.numerics import windows as by_numpy
from runner.numerics.compiled import rule, steadying
from runner.numerics.compiled import windows as compiled
from runner.numerics.compiled.merges import COLLECT, DOUBLE, START, merges_of


@pytest.fixture(autouse=True)
def numpy_does_not_leave_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "MANY_IN_WINDOWS", 2**62)


def awkward(T: int, c: int, seed: int = 0) -> np.ndarray:
    """Cells with gaps, levels, huge and tiny numbers, each column together."""
    rng = np.random.default_rng(seed)
    cells = np.asfortranarray(rng.standard_normal((T, c)))
    cells[:, 1 % c] += 1e9
    cells[:, 2 % c] *= 1e-300
    cells[T // 2, 3 % c] = 1e200
    cells[:, 4 % c] = 0.1
    cells[rng.random((T, c)) < 0.01] = np.nan
    return cells


def same(one: np.ndarray, other: np.ndarray) -> None:
    """Equal to the last bit, signs of zero too; one NaN is as good as another."""
    assert one.shape == other.shape
    np.testing.assert_array_equal(one, other)
    known = ~np.isnan(one)
    np.testing.assert_array_equal(np.signbit(one[known]), np.signbit(other[known]))


def listed(T: int, spans: list[tuple[int, int]], seed: int) -> np.ndarray:
    """Series that are known from one row to another (exclusive), each column together."""
    cells = np.full((T, len(spans)), np.nan, order="F")
    rng = np.random.default_rng(seed)
    for i, (start, stop) in enumerate(spans):
        cells[start:stop, i] = rng.standard_normal(stop - start)
    cells[T // 2, 0] = np.nan
    return cells


COMING = [(0, 120), (30, 120), (0, 80), (17, 99), (60, 64), (0, 0), (119, 120)]
GOING = [(10, 120), (0, 90), (41, 120), (0, 50), (0, 120), (20, 60), (0, 120)]


@pytest.mark.parametrize("window", [1, 2, 5, 21, 60])
@np.errstate(all="ignore")
def test_series_that_come_and_go_have_the_bits_of_numpy(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def used(series: np.ndarray, of_window: int) -> np.ndarray:
        return np.full((len(series), series.shape[1] - of_window + 1), 7.0)

    monkeypatch.setattr(compiled, "_room", used)
    same_windows(listed(120, COMING, 0), listed(120, GOING, 1), window)


@pytest.mark.parametrize("window", [1, 2, 3, 4, 21, 63, 64, 252, 300])
def test_compiled_windows_have_the_bits_of_numpy(window: int) -> None:
    same_windows(awkward(300, 7), awkward(300, 7, seed=1), window)


@np.errstate(all="ignore")
def same_windows(x: np.ndarray, y: np.ndarray, window: int) -> None:
    """Whether every statistic of windows is the same to the last bit, compiled or not."""
    same(compiled.sums(x, window), by_numpy.sums(x, window))
    same(compiled.offsets(x, window), by_numpy.offsets(x, window))
    pairs = [(x, y), (x, y[:, :1]), (x[:, :1], y), (x[:, :1], y[:, :1])]
    for left, right in pairs:
        ours = compiled.products(left, right, window)
        theirs = by_numpy.products(left, right, window)
        for one, other in zip(ours, theirs, strict=True):
            same(one, other)
    for one, other in zip(compiled.squares(x, window), by_numpy.squares(x, window), strict=True):
        same(one, other)


@pytest.mark.parametrize("kind", ["returns", "quotients"])
def test_equal_returns_are_the_same_number_compiled_as_by_numpy(kind: str) -> None:
    rng = np.random.default_rng(3)
    returns = rng.normal(0.0, 0.01, (300, 8))
    if kind == "quotients":
        rates = np.repeat(returns[::30], 30, axis=0)
        prices = np.cumprod(1.0 + np.vstack([np.zeros(8), rates]), axis=0)
        returns = prices[1:] / prices[:-1] - 1.0
    returns[rng.random(returns.shape) < 0.05] = np.nan
    returns[:3, 0] = np.inf
    returns[40, 1] = -np.inf
    returns[:200, 2] = np.nan
    returns[:, 3] = np.nan
    returns[50:60, 4] = [0.0, -0.0] * 5
    returns[100:102, 5] = [-1.0, -2.0]
    expected = variation.steadied(returns)
    same(steadying.steadied(returns, variation.ROUNDING), expected)
    same(steadying.steadied(returns[:, 0], variation.ROUNDING), expected[:, 0])
    assert (np.nan_to_num(expected) != np.nan_to_num(returns)).any() == (kind == "quotients")


def test_cells_in_any_order_of_memory() -> None:
    x = awkward(50, 4)
    same(compiled.sums(np.ascontiguousarray(x), 5), compiled.sums(x, 5))
    same(compiled.sums(x[:, ::2], 5), compiled.sums(x, 5)[:, ::2])


def test_merges_of_a_window() -> None:
    assert merges_of(1).tolist() == [[START, 0, 1]]
    assert merges_of(6).tolist() == [
        [DOUBLE, 1, 1],
        [START, 0, 2],
        [DOUBLE, 2, 2],
        [COLLECT, 2, 4],
    ]
    for window in range(1, 300):
        collected = [width for kind, _, width in merges_of(window) if kind != DOUBLE]
        assert sum(collected) == window


def test_the_first_cells_of_a_process_are_left_to_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "MANY_IN_WINDOWS", 100)
    done = rule.Windows()
    assert [done.wanted(60), done.wanted(40), done.wanted(1)] == [False, False, True]
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert not done.wanted(1)
