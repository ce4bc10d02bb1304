"""Whether the errors of a least-squares fit can be trusted: tests of its residuals and of its
columns.

Most are a second least squares of the residuals or their squares on something, and n R^2 of it. All
take X (n, k) with its constant and the residuals u (n,), in order of time. The oracle is
statsmodels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc

from runner.numerics.variation import COMPUTED, FLAT, flat

NAN = float("nan")
NORMALITY = [("jarque_bera", "normal residuals"), ("skew", ""), ("kurtosis", "")]
STEADY = "the residuals or their squares do not vary"
MOST_LAGS = 10  # lags of the tests of serial correlation: the lesser of this and n / 5


class Diagnostic(NamedTuple):
    """One test: its statistic, p-value where it has a distribution, and why it is absent if it
    is.
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
    lags = min(MOST_LAGS, len(u) // 5)
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
    """Skewness and kurtosis (not in excess of 3), and n/6 (S^2 + (K-3)^2/4) ~ chi2(2) (Jarque and
    Bera 1980).
    """
    if _steady(u):
        return [_absent(name, null, STEADY) for name, null in NORMALITY]
    e = u - u.mean()
    variance = np.mean(e**2)
    skew, kurtosis = np.mean(e**3) / variance**1.5, np.mean(e**4) / variance**2
    jb = len(u) / 6.0 * (skew**2 + (kurtosis - 3.0) ** 2 / 4.0)
    return [
        _chi2("jarque_bera", "normal residuals", jb, 2),
        Diagnostic("skew", "", float(skew)),
        Diagnostic("kurtosis", "", float(kurtosis)),
    ]


def breusch_pagan(X: np.ndarray, u: np.ndarray, terms: Sequence[str]) -> Diagnostic:
    """n R^2 of u^2 on the regressors, ~ chi2(k - 1) (Breusch and Pagan 1979, studentised by
    Koenker 1981).
    """
    name, null = "breusch_pagan", "equal variances"
    if "const" not in terms or X.shape[1] == 1:
        return _absent(name, null, "needs a constant and a regressor")
    return _chi2(name, null, len(u) * _r2(u**2, X), X.shape[1] - 1)


def white(X: np.ndarray, u: np.ndarray, terms: Sequence[str]) -> Diagnostic:
    """n R^2 of u^2 on the regressors, their squares and products, ~ chi2(rank - 1) (White 1980)."""
    name, null = "white", "equal variances"
    if "const" not in terms or X.shape[1] == 1:
        return _absent(name, null, "needs a constant and a regressor")
    # Products of shifted and scaled columns span the same space, and leave more digits.
    scaled = np.column_stack([np.ones(len(u)), _unit(X) * np.sqrt(len(u))])
    i, j = np.triu_indices(scaled.shape[1])
    if len(i) >= len(u):
        return _absent(name, null, f"{len(i)} products for {len(u)} rows")
    products = scaled[:, i] * scaled[:, j]
    return _chi2(name, null, len(u) * _r2(u**2, products), int(np.linalg.matrix_rank(products)) - 1)


def durbin_watson(u: np.ndarray) -> Diagnostic:
    """Sum of squared steps of u over its sum of squares; 2 without serial correlation (Durbin,
    Watson 1950).
    """
    return Diagnostic(
        "durbin_watson", "no serial correlation at lag 1", float(np.sum(np.diff(u) ** 2) / (u @ u))
    )


def breusch_godfrey(X: np.ndarray, u: np.ndarray, lags: int) -> Diagnostic:
    """n R^2 of u on the regressors and its own lags (zero before the sample), ~ chi2(lags)."""
    name, null = "breusch_godfrey", "no serial correlation"
    if lags < 1 or len(u) <= X.shape[1] + lags + 1:
        return _absent(name, null, f"{len(u)} rows are too few")
    padded = np.concatenate([np.zeros(lags), u])
    columns = [np.ones(len(u)), *(padded[lags - j : len(padded) - j] for j in range(1, lags + 1))]
    return _chi2(name, null, len(u) * _r2(u, np.column_stack([X, *columns])), lags)


def ljung_box(u: np.ndarray, lags: int) -> Diagnostic:
    """n (n + 2) sum of r_j^2 / (n - j) over the autocorrelations, ~ chi2(lags) (Ljung and Box
    1978).
    """
    if lags < 1:
        return _absent("ljung_box", "no serial correlation", f"{len(u)} rows are too few")
    if _steady(u):
        return _absent("ljung_box", "no serial correlation", STEADY)
    e, n = u - u.mean(), len(u)
    r = np.array([e[j:] @ e[:-j] for j in range(1, lags + 1)]) / (e @ e)
    return _chi2(
        "ljung_box",
        "no serial correlation",
        n * (n + 2) * np.sum(r**2 / (n - np.arange(1, lags + 1))),
        lags,
    )


def arch_lm(u: np.ndarray, lags: int) -> Diagnostic:
    """n R^2 of u^2 on its own lags, ~ chi2(lags): volatility in clusters (Engle 1982)."""
    name, null = "arch_lm", "no clusters of volatility"
    n = len(u) - lags
    if lags < 1 or n <= lags + 1:
        return _absent(name, null, f"{len(u)} rows are too few")
    squares = u**2
    columns = [np.ones(n), *(squares[lags - j : len(u) - j] for j in range(1, lags + 1))]
    return _chi2(name, null, n * _r2(squares[lags:], np.column_stack(columns)), lags)


def variance_inflation(X: np.ndarray, terms: Sequence[str]) -> list[Diagnostic]:
    """1 / (1 - R_j^2) of each regressor on the others: how much collinearity widens its error."""
    slopes = [j for j, term in enumerate(terms) if term != "const"]
    centred = X[:, slopes] - (X[:, slopes].mean(axis=0) if "const" in terms else 0.0)
    unit = centred / np.linalg.norm(centred, axis=0)
    factors = np.sum(np.linalg.pinv(unit) ** 2, axis=1)
    return [
        Diagnostic("vif", "", float(v), term=terms[j]) for j, v in zip(slopes, factors, strict=True)
    ]


def condition_number(X: np.ndarray) -> Diagnostic:
    """Largest over smallest singular value of X as it is, unscaled."""
    return Diagnostic("condition_number", "", float(np.linalg.cond(X)))


def _r2(y: np.ndarray, X: np.ndarray) -> float:
    """R^2 of y on X and a constant; NaN where y does not vary. Columns that repeat others do no
    harm.
    """
    if _steady(y):
        return NAN
    about, Z = y - y.mean(), _unit(X)
    rest = about - Z @ np.linalg.lstsq(Z, about, rcond=None)[0]
    return 1.0 - float(rest @ rest) / float(about @ about)


def _steady(y: np.ndarray) -> bool:
    """Whether y varies by rounding noise only."""
    return bool(flat(y, relative=COMPUTED))


def _unit(X: np.ndarray) -> np.ndarray:
    """Columns that vary, about their means and of length one, so that their scales do not
    matter.
    """
    centred = X - X.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    varies = ~flat(X, relative=FLAT)
    return centred[:, varies] / length[varies]


def _chi2(name: str, null: str, statistic: float, df: int) -> Diagnostic:
    if np.isnan(statistic):
        return _absent(name, null, STEADY)
    return Diagnostic(name, null, float(statistic), float(chdtrc(df, statistic)), df)


def _absent(name: str, null: str, reason: str) -> Diagnostic:
    return Diagnostic(name, null, NAN, reason=reason)
