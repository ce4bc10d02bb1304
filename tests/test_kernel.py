"""The compiled sums of moments beside sums written out, and the rule by which they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runner.models.regression import Regression
from runner.numerics.compiled import moments as kernel
from runner.numerics.compiled import rule
from runner.numerics.moments import HALVED, moments, shift_of

CLOSE = 1e-13  # of the sum of absolute products: rounding of some thousand additions
ROOT = Path(__file__).parent.parent


def written_out(
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    shift: np.ndarray,
    by_date: bool,
    w: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Moments unit by unit in long doubles, and the same of absolute values."""
    Z = np.concatenate(
        [np.ones((*y.shape, 1)), np.concatenate([X, y[:, :, None]], axis=2) - shift], axis=2
    )
    Z = np.where(use[:, :, None], Z, 0.0).astype(np.longdouble)
    w = np.where(use, 1.0 if w is None else w, 0.0).astype(np.longdouble)
    of = "tnp,tnq,tn->tpq" if by_date else "tnp,tnq,tn->npq"
    return np.einsum(of, Z, Z, w), np.einsum(of, abs(Z), abs(Z), w)


def panel(T: int, N: int, K: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of many sizes and levels with gaps, an asset and a date without any cell."""
    rng = np.random.default_rng(T + K)
    X = (rng.standard_normal((T, N, K)) + 3.0) * 10.0 ** rng.uniform(-3, 3, K)
    y, use = rng.standard_normal((T, N)), rng.random((T, N)) < 0.9
    use[:, -1], use[-1] = False, False
    X[~use], y[~use] = np.nan, np.inf
    return X, y, use


@pytest.mark.usefixtures("summed_by")
@pytest.mark.parametrize("of", ["asset", "date", None])
@pytest.mark.parametrize("by_date", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("T", "N", "K"), [(HALVED + 5, 3, 9), (HALVED + 5, 6, 2), (7, 13, 6), (2, 2, 0)]
)
def test_moments_are_sums_of_products(
    T: int, N: int, K: int, weighted: bool, by_date: bool, of: str | None
) -> None:
    X, y, use = panel(T, N, K)
    w = np.random.default_rng(1).uniform(0.1, 10.0, (T, N)) if weighted else None
    shift = shift_of(X, y, use, of)
    M, (exact, size) = (
        moments(X, y, use, shift, by_date, w),
        written_out(X, y, use, shift, by_date, w),
    )
    assert M.shape == exact.shape
    assert (abs(M - exact) <= CLOSE * size).all()
    np.testing.assert_array_equal(M, M.swapaxes(1, 2))
    if not weighted:
        np.testing.assert_array_equal(M[:, 0, 0], use.sum(axis=int(by_date)))


@pytest.mark.usefixtures("summed_by")
def test_columns_in_any_order_of_memory_give_the_same_bits() -> None:
    X, y, use = panel(30, 7, 5)
    plain = np.ascontiguousarray(X[:, :, [3, 1]])
    shift = shift_of(plain, y, use, "asset")
    expected = moments(plain, y, use, shift, by_date=False)
    turned = np.asfortranarray(plain), X[:, :, 3::-2]
    for one in turned:
        np.testing.assert_array_equal(
            moments(one, np.asfortranarray(y), use, shift, by_date=False), expected
        )
    flat = np.broadcast_to(2.0, y.shape)
    np.testing.assert_allclose(
        moments(plain, y, use, shift, False, flat), 2.0 * expected, rtol=1e-12, atol=1e-9
    )


@pytest.mark.usefixtures("summed_by")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_a_number_that_is_none_is_not_lost_and_stays_with_its_unit(bad: float) -> None:
    X, y, use = panel(50, 5, 3)
    use[20, 2], X[20, 2], y[20, 2] = True, 1.0, bad
    for by_date, unit in ((False, 2), (True, 20)):
        M = moments(X, y, use, np.zeros((1, 1, 4)), by_date)
        assert np.flatnonzero(~np.isfinite(M).all(axis=(1, 2))).tolist() == [unit]


@pytest.mark.usefixtures("summed_by")
def test_the_same_numbers_give_the_same_bits() -> None:
    X, y, use = panel(2 * HALVED, 20, 4)
    shift = shift_of(X, y, use, "asset")
    one, two = (moments(X, y, use, shift, by_date=False) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "MANY", 100)
    monkeypatch.setattr(rule, "compiler", lambda: sys)
    assert [rule.wanted(cells) for cells in (0, 99, 100)] == [False, False, True]
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert not rule.wanted(100)
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "0")
    monkeypatch.setattr(rule, "compiler", lambda: None)
    assert not rule.wanted(100)


def test_parts_are_summed_as_their_panel_is(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, use = panel(40, 5, 2)
    monkeypatch.setattr(rule, "MANY", y.size)
    monkeypatch.setattr(rule, "compiler", lambda: sys)
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        kernel, "sums", lambda X, *more: asked.append(X.shape) or np.zeros((5, 4, 4))
    )
    moments(X[:9], y[:9], use[:9], np.zeros((1, 1, 3)), by_date=False)
    assert not asked
    moments(X[:9], y[:9], use[:9], np.zeros((1, 1, 3)), by_date=False, whole=y.size)
    assert asked == [(9, 5, 2)]


@pytest.mark.parametrize(
    "fault", ["ImportError('numpy is too new')", "ModuleNotFoundError('no numba')"]
)
def test_without_numba_numpy_sums(fault: str) -> None:
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, *more):\n"
        f"        if name == 'numba': raise {fault}\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import numpy as np\n"
        "from runner.numerics.compiled import rule\n"
        "from runner.numerics.moments import moments\n"
        "rule.MANY = 0\n"
        "X, y = np.ones((3, 2, 1)), np.ones((3, 2))\n"
        "print(moments(X, y, y > 0, np.zeros((1, 1, 2)), False).sum(), rule.wanted(10))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["54.0", "False"] and not done.stderr


def test_both_ways_give_one_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    from oracles import close, panel_of, punch_holes, random_arrays

    y, X = random_arrays(1, 600, 8, 3)
    punch_holes(np.random.default_rng(0), y, X, 0.1, ragged=True)
    data, model = panel_of(y, X), Regression()
    fits = []
    for many in (0, 2**62):
        monkeypatch.setattr(rule, "MANY", many)
        fits.append(model.fit(data, np.arange(600)))
    for name in ("estimate", "std_error", "t_stat", "p_value"):
        close(fits[0].coefficients[name], fits[1].coefficients[name], name, rel=1e-10)
    close(fits[0].quality["r2"], fits[1].quality["r2"], "r2", rel=1e-10)
