"""Moments give what rows give, to eleven digits, or say that they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK

from runner.numerics.least_squares import NotEstimable, solve
from runner.numerics.moments import SAMPLE, halves, moments, shift_of
from runner.numerics.normal_equations import solve_moments

pytestmark = pytest.mark.usefixtures("summed_by")
DIGITS = 1e-10  # the bounds of `sound` leave eleven digits; one is for the oracle


def panel(
    seed: int, spread: float, level: float, noise: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of many sizes and levels, correlated, with gaps: X (T, N, K), y (T, N), use (T, N)."""
    rng = np.random.default_rng(seed)
    T, N, K = rng.integers(5, 40), rng.integers(2, 30), rng.integers(1, 6)
    scale = 10.0 ** rng.uniform(-spread, spread, K)
    X = (
        rng.standard_normal((T, N, K))
        + rng.standard_normal((T, 1, 1))
        + level * rng.standard_normal(K)
    ) * scale
    y = X @ (rng.standard_normal(K) / scale) + noise * rng.standard_normal((T, N)) + level
    use = rng.random((T, N)) < 0.9
    X[~use], y[~use] = np.nan, np.nan
    return X, y, use


def rows_of(
    X: np.ndarray, y: np.ndarray, use: np.ndarray, u: int, by_date: bool
) -> tuple[np.ndarray, np.ndarray]:
    at = (u, use[u]) if by_date else (use[:, u], u)
    return np.column_stack([np.ones(use[at].sum() if use[at].ndim else 0), X[at]]), y[at]


@QUICK
@given(
    seed=st.integers(0, 10_000), spread=st.sampled_from([0.0, 4.0]), level=st.sampled_from([0.0, 10.0, 1e4]),
    noise=st.sampled_from([1.0, 0.05, 1e-4]), by_date=st.booleans(),
)  # fmt: skip
def test_moments_equal_rows_wherever_they_are_sound(seed, spread, level, noise, by_date) -> None:
    X, y, use = panel(seed, spread, level, noise)
    terms = ["const", *(f"x{j}" for j in range(X.shape[2]))]
    if not use.any():
        return
    shift = shift_of(X, y, use, "date" if by_date else "asset")
    found = solve_moments(moments(X, y, use, shift, by_date), shift)
    reached = DIGITS + 1e-14 * level / noise  # residuals of rows carry the rounding of the level
    for u in range(len(found.n)):
        Z, target = rows_of(X, y, use, u, by_date)
        assert found.n[u] == len(target)
        if not found.sound[u]:
            continue
        one = solve(Z, target, terms, constant=True)
        error = np.sqrt(np.diag(one.bread) * one.ssr / one.df)
        np.testing.assert_allclose(
            found.b[u] / error, one.b / error, rtol=reached, atol=10 * reached
        )  # in standard errors
        np.testing.assert_allclose(np.diag(found.bread[u]), np.diag(one.bread), rtol=reached)
        np.testing.assert_allclose([found.ssr[u], found.tss[u]], [one.ssr, one.tss], rtol=reached)


def test_ordinary_panels_are_sound_throughout() -> None:
    X, y, use = panel(3, spread=4.0, level=10.0, noise=1.0)
    X, y, use = (np.concatenate([one] * 20) for one in (X, y, use))
    for of in ("asset", None):
        shift = shift_of(X, y, use, of)
        assert solve_moments(moments(X, y, use, shift, by_date=False), shift).sound.all()


@pytest.mark.parametrize(
    "fault", ["collinear", "nearly collinear", "constant", "flat target", "exact", "short", "far"]
)
def test_what_moments_cannot_carry_is_left_to_the_rows(fault: str) -> None:
    rng = np.random.default_rng(0)
    X, use = rng.standard_normal((50, 3, 2)), np.ones((50, 3), dtype=bool)
    y = X.sum(axis=2) + rng.standard_normal((50, 3))
    if fault == "collinear":
        X[:, 1, 1] = 2.0 * X[:, 1, 0]
    elif fault == "nearly collinear":
        X[:, 1, 1] = X[:, 1, 0] + 1e-3 * X[:, 1, 1]
    elif fault == "constant":
        X[:, 1, 1] = 7.0
    elif fault == "flat target":
        y[:, 1] = 1.0
    elif fault == "exact":
        y[:, 1] = X[:, 1].sum(axis=1)
    elif fault == "short":
        use[3:, 1] = False
    else:
        X[:, 1, 1] += 1e5
    shift = shift_of(X, y, use, "asset")
    assert solve_moments(moments(X, y, use, shift, by_date=False), shift).sound.tolist() == [
        True,
        fault == "far",
        True,
    ]


def test_moments_of_parts_add_up_to_those_of_the_whole() -> None:
    X, y, use = panel(5, spread=0.0, level=0.0, noise=1.0)
    shift = shift_of(X, y, use)
    by_date, by_asset = (moments(X, y, use, shift, by_date) for by_date in (True, False))
    np.testing.assert_allclose(by_date.sum(axis=0), by_asset.sum(axis=0), rtol=1e-12, atol=1e-9)


def test_a_unit_without_rows_is_not_sound() -> None:
    X, y, use = panel(6, spread=0.0, level=0.0, noise=1.0)
    use[:, 0] = False
    shift = shift_of(X, y, use)
    found = solve_moments(moments(X, y, use, shift, by_date=False), shift)
    assert not found.sound[0] and found.n[0] == 0
    with pytest.raises(NotEstimable):
        solve(np.ones((0, 2)), np.ones(0), ["const", "x0"], constant=True)


def test_the_point_of_a_complete_panel_is_that_of_cells_listed_one_by_one() -> None:
    X, y, _ = panel(8, spread=0.0, level=10.0, noise=1.0)
    X, y = (np.nan_to_num(np.concatenate([one] * 50)) for one in (X, y))
    ranks = np.linspace(0, y.size - 1, min(SAMPLE, y.size)).astype(int)
    expected = np.append(X.reshape(y.size, -1)[ranks].mean(axis=0), y.ravel()[ranks].mean())
    np.testing.assert_array_equal(shift_of(X, y, np.ones(y.shape, dtype=bool))[0, 0], expected)


def test_halves_have_as_many_cells_and_never_lose_a_date() -> None:
    for cells in ([1, 1, 1, 5, 2], [9, 1, 1], [1, 1, 9], [0, 0, 0], [2, 2, 2, 2, 2]):
        dates = halves(len(cells), lambda some: some, 2, np.array(cells))
        together = [t for some in dates for t in range(some.start, some.stop)]
        assert together == list(range(len(cells)))
        if sum(cells):
            smaller = min(sum(cells[some]) for some in dates)
            assert sum(cells) - smaller <= sum(cells) / 2 + max(cells)
    assert halves(5, lambda some: some, 2, np.full(5, 2)) == halves(5, lambda some: some, 2)
