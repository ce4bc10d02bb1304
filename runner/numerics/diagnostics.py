"""Whether the errors of a least-squares fit can be trusted: tests of residuals and of columns.

Most are a second least squares of the residuals or their squares on something, and n R^2 of it. All
take X (n, k) with its constant and the residuals u (n,), in order of time. The oracle is
statsmodels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import qr
from scipy.special import chdtrc

from runner.numerics.variation import COMPUTED, FLAT, flat

NAN = float("nan")
EPSILON = float(np.finfo(float).eps)
NORMALITY = [("jarque_bera", "normal residuals"), ("skew", ""), ("kurtosis", "")]
STEADY = "the residuals or their squares do not vary"
MOST_LAGS = 10  # lags of the tests of serial correlation: the lesser of this and n / 5


class Diagnostic(NamedTuple):
    """One test of one fit.

    Attributes:
        diagnostic: its name.
        null: null hypothesis, empty where it is a measure only.
        statistic: NaN where it is absent.
        p_value: NaN where it has no distribution.
        df: degrees of freedom of chi2.
        term: of one regressor.
        reason: why it is absent, if it is.
    """

    diagnostic: str
    null: str
    statistic: float
    p_value: float = NAN
    df: int | None = None
    term: str = ""
    reason: str = ""


def diagnose(X: np.ndarray, u: np.ndarray, terms: Sequence[str]) -> list[Diagnostic]:
    """Every diagnostic of one fit, in the order in which they are read."""
    n = len(u)
    fifth = n // 5
    lags = min(MOST_LAGS, fifth)
    return [
        *normality(u),
        breusch_pagan(X, u, terms),
        white(X, u, terms),
        durbin_watson(u),
        breusch_godfrey(X, u, lags),
        ljung_box(u, lags),
        arch_lm(u, lags),
        *variance_inflation(X, terms),
        condition_number(X),
    ]


def normality(u: np.ndarray) -> list[Diagnostic]:
    """Jarque and Bera (1980), n/6 (S^2 + (K-3)^2/4) ~ chi2(2), skewness S and kurtosis K.

    The kurtosis is not in excess of 3.
    """
    if _steady(u):
        return [_absent(name, null, STEADY) for name, null in NORMALITY]
    mean = u.mean()
    e = u - mean
    squared = e**2
    variance = np.mean(squared)
    cubed = e**3
    third = np.mean(cubed)
    fourth_power = e**4
    fourth = np.mean(fourth_power)
    spread_cubed = variance**1.5
    skew = third / spread_cubed
    variance_squared = variance**2
    kurtosis = fourth / variance_squared
    excess = kurtosis - 3.0
    n = len(u)
    of_skew = skew**2
    of_kurtosis = excess**2 / 4.0
    squares = of_skew + of_kurtosis
    sixth = n / 6.0
    jarque_bera = sixth * squares
    return [
        _chi2("jarque_bera", "normal residuals", jarque_bera, 2),
        Diagnostic("skew", "", float(skew)),
        Diagnostic("kurtosis", "", float(kurtosis)),
    ]


def breusch_pagan(X: np.ndarray, u: np.ndarray, terms: Sequence[str]) -> Diagnostic:
    """n R^2 of u^2 on the regressors, ~ chi2(k - 1) (Breusch and Pagan 1979).

    Studentised (Koenker 1981).
    """
    name = "breusch_pagan"
    null = "equal variances"
    n, k = X.shape
    if "const" not in terms or k == 1:
        return _absent(name, null, "needs a constant and a regressor")
    squared = u**2
    r2 = _r2(squared, X)
    statistic = n * r2
    return _chi2(name, null, statistic, k - 1)


def white(X: np.ndarray, u: np.ndarray, terms: Sequence[str]) -> Diagnostic:
    """n R^2 of u^2 on the regressors, their squares and products, ~ chi2(rank - 1) (White 1980)."""
    name = "white"
    null = "equal variances"
    n, k = X.shape
    if "const" not in terms or k == 1:
        return _absent(name, null, "needs a constant and a regressor")
    # Products of shifted and scaled columns span the same space, and leave more digits.
    root = np.sqrt(n)
    unit = _unit(X)
    regressors = unit * root
    constant = np.ones(n)
    scaled = np.column_stack([constant, regressors])
    columns = scaled.shape[1]
    i, j = np.triu_indices(columns)
    if len(i) >= n:
        products = len(i)
        return _absent(name, null, f"{products} products for {n} rows")
    products = scaled[:, i] * scaled[:, j]
    r2, rank = _regressed(u**2, products)
    statistic = n * r2
    return _chi2(name, null, statistic, rank)


def durbin_watson(u: np.ndarray) -> Diagnostic:
    """Sum of squared steps of u over its sum of squares (Durbin and Watson 1950).

    2 without serial correlation.
    """
    steps = np.diff(u)
    total = u @ u
    squared = steps**2
    squares = np.sum(squared)
    statistic = squares / total
    return Diagnostic("durbin_watson", "no serial correlation at lag 1", float(statistic))


def breusch_godfrey(X: np.ndarray, u: np.ndarray, lags: int) -> Diagnostic:
    """n R^2 of u on the regressors and its own lags (zero before the sample), ~ chi2(lags)."""
    name = "breusch_godfrey"
    null = "no serial correlation"
    n, k = X.shape
    parameters = k + lags
    least = parameters + 1
    if lags < 1 or n <= least:
        few = f"{n} rows are too few"
        return _absent(name, null, few)
    before = np.zeros(lags)
    both = [before, u]
    padded = np.concatenate(both)
    own_lags = _lagged(padded, lags)
    constant = np.ones(n)
    regressors = np.column_stack([X, constant, *own_lags])
    r2 = _r2(u, regressors)
    statistic = n * r2
    return _chi2(name, null, statistic, lags)


def _lagged(values: np.ndarray, lags: int) -> list[np.ndarray]:
    """Lags 1 to `lags` of values (n,), each without the first `lags` rows."""
    n = len(values)
    columns = []
    for lag in range(1, lags + 1):
        start = lags - lag
        earlier = values[start : n - lag]
        columns.append(earlier)
    return columns


def ljung_box(u: np.ndarray, lags: int) -> Diagnostic:
    """n (n + 2) sum of r_j^2 / (n - j), autocorrelations r, ~ chi2(lags) (Ljung and Box 1978)."""
    name = "ljung_box"
    null = "no serial correlation"
    n = len(u)
    if lags < 1:
        few = f"{n} rows are too few"
        return _absent(name, null, few)
    if _steady(u):
        return _absent(name, null, STEADY)
    mean = u.mean()
    e = u - mean
    after_last = lags + 1
    j = np.arange(1, after_last)
    products = np.zeros(lags)
    for lag in range(1, lags + 1):
        later = e[lag:]
        earlier = e[:-lag]
        products[lag - 1] = later @ earlier
    variation = e @ e
    r = products / variation
    rows = n - j
    squared = r**2
    shares = squared / rows
    total = np.sum(shares)
    statistic = n * (n + 2) * total
    return _chi2(name, null, statistic, lags)


def arch_lm(u: np.ndarray, lags: int) -> Diagnostic:
    """n R^2 of u^2 on its own lags, ~ chi2(lags): volatility in clusters (Engle 1982)."""
    name = "arch_lm"
    null = "no clusters of volatility"
    rows = len(u)
    n = rows - lags
    if lags < 1 or n <= lags + 1:
        few = f"{len(u)} rows are too few"
        return _absent(name, null, few)
    squares = u**2
    own_lags = _lagged(squares, lags)
    constant = np.ones(n)
    columns = [constant, *own_lags]
    regressors = np.column_stack(columns)
    own_squares = squares[lags:]
    r2 = _r2(own_squares, regressors)
    statistic = n * r2
    return _chi2(name, null, statistic, lags)


def variance_inflation(X: np.ndarray, terms: Sequence[str]) -> list[Diagnostic]:
    """1 / (1 - R_j^2) of each regressor on the others: how much collinearity widens its error."""
    slopes = [j for j, term in enumerate(terms) if term != "const"]
    regressors = X[:, slopes]
    if "const" in terms:
        mean = regressors.mean(axis=0)
        regressors = regressors - mean
    length = np.linalg.norm(regressors, axis=0)
    unit = regressors / length
    inverse = np.linalg.pinv(unit)
    factors = np.sum(inverse**2, axis=1)
    diagnostics = []
    for j, factor in zip(slopes, factors.tolist(), strict=True):
        term = terms[j]
        diagnostic = Diagnostic("vif", "", factor, term=term)
        diagnostics.append(diagnostic)
    return diagnostics


def condition_number(X: np.ndarray) -> Diagnostic:
    """Largest over smallest singular value of X as it is, unscaled."""
    number = float(np.linalg.cond(X))
    return Diagnostic("condition_number", "", number)


def _r2(y: np.ndarray, X: np.ndarray) -> float:
    """R^2 of y on X and a constant; NaN where y does not vary. Repeated columns do no harm."""
    return _regressed(y, X)[0]


def _regressed(y: np.ndarray, X: np.ndarray) -> tuple[float, int]:
    """R^2 of y on X and a constant, NaN where y does not vary; and the rank of X about its means.

    By QR with pivoting, as singular values of the many products of White's test take most of a run.
    """
    Z = _unit(X)
    basis, triangle, _ = qr(Z, mode="economic", pivoting=True)
    diagonal = np.diag(triangle)
    sizes = np.abs(diagonal)
    smallest = max(Z.shape) * EPSILON * sizes.max(initial=0.0)
    independent = sizes > smallest
    rank = int(independent.sum())
    if _steady(y):
        return NAN, rank
    mean = y.mean()
    centred = y - mean
    explained = basis[:, independent].T @ centred
    return float(explained @ explained) / float(centred @ centred), rank


def _steady(y: np.ndarray) -> bool:
    """Whether y varies by rounding noise only."""
    is_flat = flat(y, relative=COMPUTED)
    return bool(is_flat)


def _unit(X: np.ndarray) -> np.ndarray:
    """Columns that vary, about their means and of length one: their scales do not matter."""
    mean = X.mean(axis=0)
    centred = X - mean
    length = np.linalg.norm(centred, axis=0)
    varies = ~flat(X, relative=FLAT)
    kept = centred[:, varies]
    return kept / length[varies]


def _chi2(name: str, null: str, statistic: float, df: int) -> Diagnostic:
    """A statistic that is chi2(df) under the null; absent where it is NaN."""
    if np.isnan(statistic):
        return _absent(name, null, STEADY)
    tail = chdtrc(df, statistic)
    p_value = float(tail)
    return Diagnostic(name, null, float(statistic), p_value, df)


def _absent(name: str, null: str, reason: str) -> Diagnostic:
    return Diagnostic(name, null, NAN, reason=reason)
