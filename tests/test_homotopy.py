"""LASSO paths: the optimality conditions at every penalty, scikit-learn's answers, ties and dependent columns."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import close
from sklearn.linear_model import lars_path, lasso_path

from runner.numerics import homotopy
from runner.numerics.homotopy import Knots, paths

# Of the condition |X'(y - X b)| = lam on active, <= lam on other columns, relative to lam. A column within an angle
# of 1e-5 of active ones does not join (COLLINEAR), and may miss it by about as much.
OPTIMAL = 1e-5
# Relative to the largest slope; coordinate descent of the oracle stops at a duality gap of 1e-13 of the target.
SLOPES = 1e-5
LEAST = 1e-3


def centred(values: np.ndarray, axis: int) -> np.ndarray:
    return values - values.mean(axis=axis, keepdims=True)


def traced(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, Knots]:
    """lam (N, 25) from the first knot down, slopes (N, 25, p), and the knots."""
    first = np.abs(y @ X).max(axis=1)
    lam = first[:, None] * np.geomspace(1.0, LEAST, 25)
    knots = paths(X, y, np.eye(X.shape[1]), lam[:, -1])
    return lam, knots.at(lam), knots


def apart(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(N,) by how much each path misses the optimality conditions."""
    lam, b, knots = traced(X, y)
    assert knots.ended.all()
    correlation = (y[:, None] - b @ X.T) @ X
    above = np.abs(correlation).max(axis=2) / lam - 1.0
    active = np.abs(b) > 1e-9 * np.abs(b).max(axis=(1, 2), keepdims=True)
    uneven = np.where(
        active, np.abs(correlation - np.sign(b) * lam[:, :, None]) / lam[:, :, None], 0.0
    )
    return np.maximum(above.max(axis=1), uneven.max(axis=(1, 2)))


@pytest.mark.parametrize(("n", "p"), [(30, 100), (60, 10), (4, 50), (12, 12), (30, 1)])
def test_slopes_are_those_of_coordinate_descent(n: int, p: int) -> None:
    rng = np.random.default_rng(n + p)
    X, y = centred(rng.normal(size=(n, p)), 0), centred(rng.normal(size=(5, n)), 1)
    lam, b, knots = traced(X, y)
    for i in range(5):
        _, expected, _ = lasso_path(X, y[i], alphas=lam[i] / n, tol=1e-13, max_iter=1_000_000)
        np.testing.assert_allclose(b[i], expected.T, atol=SLOPES * np.abs(expected).max())
        np.testing.assert_array_equal(knots.terms_at(lam)[i], (np.abs(b[i]) > 0.0).sum(axis=1))


def test_knots_are_those_of_lars() -> None:
    rng = np.random.default_rng(7)
    X, y = centred(rng.normal(size=(20, 40)), 0), centred(rng.normal(size=(1, 20)), 1)
    alphas, _, slopes = lars_path(X, y[0], method="lasso", alpha_min=0.05)
    knots = paths(X, y, np.eye(40), np.array([20 * 0.05]))
    close(knots.lam[:, 0], 20 * alphas, "lam")
    close(knots.values[:, 0], slopes.T, "slopes", floor=1e-10)


def nasty(kind: int, rng: np.random.Generator) -> np.ndarray:
    """Designs in which columns tie and depend on each other."""
    n, p = int(rng.integers(4, 31)), int(rng.integers(2, 60))
    few = rng.random((n, p)) < 0.15
    X = rng.normal(size=(n, p))
    if kind == 0:
        X = rng.integers(-1, 2, size=(n, p)).astype(float)
    elif kind == 1:
        X = np.where(few, rng.integers(-2, 3, size=(n, p)), 0).astype(float)
    elif kind == 2:
        X[:, p // 2 :] = X[:, : p - p // 2] * rng.choice([1.0, -1.0, 1.0 + 1e-6], p - p // 2)
    else:
        X = np.where(few, X, 0.0)
    return centred(X, 0)


@pytest.mark.parametrize("kind", range(4))
def test_ties_and_dependent_columns_keep_the_path_optimal(kind: int) -> None:
    rng = np.random.default_rng(kind)
    tried = 0
    for _ in range(40):
        X = nasty(kind, rng)
        y = centred(rng.integers(-2, 3, size=(6, len(X))).astype(float), 1)
        y = y[np.abs(y @ X).max(axis=1) > 1e-9]
        tried += len(y)
        assert (apart(X, y) < OPTIMAL).all() if len(y) else True
    assert tried > 100


def test_quotes_that_bounce_keep_the_path_optimal() -> None:
    """Three lags of returns that go up a tick and down again: nearly the same patterns everywhere."""
    for seed in range(60, 100):
        rng = np.random.default_rng(seed)
        rows, N = int(rng.integers(9, 31)), int(rng.choice([50, 100, 200]))
        up = rng.random((rows + 3, N)) < rng.uniform(0.02, 0.3, N)
        drift = np.cumsum(rng.random((rows + 3, N)) < 0.03, axis=0)
        price = rng.uniform(20.0, 200.0, N) + 0.01 * up + 0.01 * drift
        ret = price[1:] / price[:-1] - 1.0
        X = np.concatenate([ret[2 - lag : rows + 2 - lag] for lag in range(3)], axis=1)
        spread, part = X.std(axis=0), slice(0, max(4, 2 * rows // 3))
        X = centred((X / np.where(spread > 0.0, spread, 1.0))[part], 0)
        y = centred(ret[part, :12].T, 1)
        y = y[np.abs(y @ X).max(axis=1) > 1e-9]
        assert (apart(X, y) < OPTIMAL).all(), seed


def test_a_path_that_goes_round_is_followed_on_columns_of_other_lengths(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the first try of half of the targets had not ended."""
    rng = np.random.default_rng(3)
    X, y = centred(rng.normal(size=(15, 30)), 0), centred(rng.normal(size=(6, 15)), 1)
    lam, expected, _ = traced(X, y)
    plain, calls = homotopy._in_blocks, []

    def astray(X: np.ndarray, y: np.ndarray, Z: np.ndarray, least: np.ndarray) -> Knots:
        found = plain(X, y, Z, least)
        calls.append(len(y))
        if len(calls) > 1:
            return found
        ended = np.arange(len(y)) % 2 == 0
        return found._replace(values=np.where(ended[:, None], found.values, np.nan), ended=ended)

    monkeypatch.setattr(homotopy, "_in_blocks", astray)
    knots = paths(X, y, np.eye(30), lam[:, -1])
    assert calls == [6, 3]
    assert knots.ended.all()
    np.testing.assert_allclose(knots.at(lam), expected, atol=1e-7 * np.abs(expected).max())


def test_the_unit_of_the_data_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    X, y = centred(rng.normal(size=(20, 35)), 0), centred(rng.normal(size=(4, 20)), 1)
    _, b, _ = traced(X, y)
    for unit in (1e-9, 1e9):
        _, other, _ = traced(X * unit, y)
        close(other * unit, b, "slopes", floor=1e-9)


def test_many_targets_are_each_as_if_alone() -> None:
    rng = np.random.default_rng(6)
    X, y = (
        centred(rng.normal(size=(12, 20)), 0),
        centred(rng.normal(size=(homotopy.BLOCK + 7, 12)), 1),
    )
    _, b, _ = traced(X, y)
    for i in (0, homotopy.BLOCK - 1, homotopy.BLOCK, len(y) - 1):
        close(traced(X, y[i : i + 1])[1][0], b[i], "slopes", floor=1e-10)


def test_a_target_that_does_not_vary_has_no_slope() -> None:
    X = centred(np.random.default_rng(0).normal(size=(10, 4)), 0)
    knots = paths(X, np.zeros((2, 10)), np.eye(4), np.zeros(2))
    assert knots.ended.all()
    assert (knots.at(np.zeros((2, 3))) == 0.0).all()
    assert (knots.terms_at(np.zeros((2, 3))) == 0).all()
