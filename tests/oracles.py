"""Slow and plain answers that the tests hold the runner's regressions against, and random panels to ask them of."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from hypothesis import settings
from hypothesis import strategies as st

from runner.panels.panel import Panel

# Fifty drawn examples, the same on every run, so that a failure is a failure everywhere; no clock is asked.
QUICK = settings(max_examples=50, deadline=None, derandomize=True, database=None)

# Relative agreement asked of every number. Two correct float64 algorithms differ by rounding times the conditioning
# of the columns; the drawn panels have condition numbers up to some thousands, which leaves this and a margin.
REL = 1e-9
# Absolute floor beside it: for numbers that pass through zero (r2, skewness, t, log-likelihood of order n), where
# nothing relative can be asked. A thousandth of REL times one, the scale of all of these.
FLOOR = 1e-12
# Floor of p-values: below it the relative error of p is t^2 times that of t, and no decision rests on it.
P_FLOOR = 1e-15

ERRORS = ["nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC"]


def close(actual: Any, expected: Any, what: str, rel: float = REL, floor: float = FLOOR) -> None:
    """Assert that two numbers or arrays of numbers agree, NaN only with NaN."""
    actual, expected = np.asarray(actual, dtype=float), np.asarray(expected, dtype=float)
    assert actual.shape == expected.shape, (
        f"{what}: shape {actual.shape}, expected {expected.shape}"
    )
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected), err_msg=what)
    gap = np.abs(actual - expected)
    allowed = rel * np.abs(expected) + floor
    bad = ~(gap <= allowed) & ~np.isnan(expected) & (actual != expected)
    assert not bad.any(), (
        f"{what}: {actual[bad]}, expected {expected[bad]}, apart {gap[bad]}, allowed {allowed[bad]}"
    )


def design(X: np.ndarray, constant: bool) -> np.ndarray:
    """Regressors (n, k) with the constant first."""
    return np.column_stack([np.ones(len(X)), X]) if constant else X


def term_names(columns: int, constant: bool) -> list[str]:
    return ["const"] * constant + [f"x{k}" for k in range(columns)]


def ols(
    X: np.ndarray, y: np.ndarray, constant: bool, cov: str = "nonrobust", lags: int | None = None
) -> Any:
    """statsmodels on a design that has its constant already."""
    keywords = {"maxlags": lags, "use_correction": False} if cov == "HAC" else {}
    return sm.OLS(y, X, hasconst=constant).fit(cov_type=cov, cov_kwds=keywords, use_t=True)


def rational(X: np.ndarray, y: np.ndarray) -> tuple[list[Fraction], list[list[Fraction]], Fraction]:
    """Estimates, the inverse of X'X and the sum of squared residuals in exact fractions: no digit is lost."""
    rows = [[Fraction(float(x)) for x in row] for row in X]
    target = [Fraction(float(v)) for v in y]
    k = len(rows[0])
    left = [[sum(row[i] * row[j] for row in rows) for j in range(k)] for i in range(k)]
    right = [sum(row[i] * v for row, v in zip(rows, target, strict=True)) for i in range(k)]
    table = [left[i] + [Fraction(int(i == j)) for j in range(k)] + [right[i]] for i in range(k)]
    for i in range(k):
        pivot = next(r for r in range(i, k) if table[r][i])
        table[i], table[pivot] = table[pivot], table[i]
        table[i] = [value / table[i][i] for value in table[i]]
        for r in range(k):
            if r != i and table[r][i]:
                table[r] = [a - table[r][i] * b for a, b in zip(table[r], table[i], strict=True)]
    b = [row[-1] for row in table]
    u = [
        v - sum(x * one for x, one in zip(row, b, strict=True))
        for row, v in zip(rows, target, strict=True)
    ]
    return b, [row[k : 2 * k] for row in table], sum(one * one for one in u)


def newey_west(X: np.ndarray, u: np.ndarray, lags: int) -> np.ndarray:
    """Covariance with Bartlett weights, as the double sum over rows that defines it."""
    meat = np.zeros((X.shape[1],) * 2)
    for s in range(len(u)):
        for t in range(len(u)):
            if abs(s - t) <= lags:
                meat += (1 - abs(s - t) / (lags + 1)) * u[s] * u[t] * np.outer(X[s], X[t])
    bread = np.linalg.inv(X.T @ X)
    return bread @ meat @ bread


def panel_of(y: np.ndarray, X: np.ndarray, horizon: int = 0) -> Panel:
    """A panel of assets A0, A1, ... and features x0, x1, ...; a cell is valid where all of it is finite."""
    (T, N), K = y.shape, X.shape[2]
    valid = np.isfinite(y) & np.isfinite(X).all(axis=2)
    dates = pd.date_range("2020-01-01", periods=T, freq="B")
    assets = [f"A{i}" for i in range(N)]
    groups = pd.DataFrame(index=assets)
    return Panel(dates, assets, term_names(K, constant=False), y, X, valid, horizon, groups, ())


def positive_part(V: Any) -> np.ndarray:
    """A covariance with its negative eigenvalues set to zero (Cameron, Gelbach and Miller 2011, section 2.3)."""
    values, vectors = np.linalg.eigh(np.asarray(V))
    return np.asarray(vectors @ np.diag(values.clip(0.0)) @ vectors.T)


def random_arrays(seed: int, T: int, N: int, K: int) -> tuple[np.ndarray, np.ndarray]:
    """Target (T, N) and features (T, N, K): correlated columns, errors heavy-tailed, heteroskedastic and serial."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(T, 1, 1))
    X = 0.5 * common + rng.normal(size=(T, N, K)) + rng.normal(size=K)
    noise = rng.standard_t(5, size=(T, N)) * (1 + 0.5 * np.abs(common[:, :, 0]))
    noise[1:] += 0.4 * noise[:-1]
    return rng.normal() + X @ rng.normal(size=K) + noise, X


def punch_holes(
    rng: np.random.Generator, y: np.ndarray, X: np.ndarray, share: float, ragged: bool
) -> None:
    """Miss single cells of the target and of features, and list assets late and delist them early, in place."""
    y[rng.random(y.shape) < share] = np.nan
    X[rng.random(X.shape) < share / 4] = np.nan
    if ragged:
        for i in range(y.shape[1]):
            y[: rng.integers(0, len(y) // 3), i] = np.nan
            y[len(y) - rng.integers(0, len(y) // 3) :, i] = np.nan


@st.composite
def shapes(draw: st.DrawFn, most_rows: int = 90) -> dict[str, Any]:
    """What a random panel and its regression look like; shrinks towards a small and plain one."""
    columns = draw(st.integers(0, 4))
    return {
        "seed": draw(st.integers(0, 2**32 - 1)),
        "T": draw(st.integers(30, most_rows)),
        "N": draw(st.integers(1, 4)),
        "K": columns,
        "constant": draw(st.booleans()) or columns == 0,
        "cov": draw(st.sampled_from(ERRORS)),
        "lags": draw(st.integers(0, 6)),
        "share": draw(st.sampled_from([0.0, 0.05, 0.2])),
        "ragged": draw(st.booleans()),
    }
