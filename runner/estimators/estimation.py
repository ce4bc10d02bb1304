"""Least squares of every unit of a panel: from moments where they keep the digits, else row by
row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtrc

from runner.errors import DataError, listed
from runner.estimators.clusters import Pool
from runner.estimators.standard_errors import ERRORS, Estimated, own
from runner.numerics.covariance import default_lags
from runner.numerics.inference import Wald, wald
from runner.numerics.least_squares import NotEstimable, Solution, solve
from runner.numerics.moments import moments, of_units, shift_of, solve_moments, together, with_zeros
from runner.numerics.restrictions import Restriction, all_slopes
from runner.numerics.variation import FLAT, of_quotients, rounding_alone
from runner.panels.finding import Finding
from runner.panels.panel import Panel
from runner.panels.units import Unit, cluster_key, units

if TYPE_CHECKING:
    from runner.models.regression import Regression

EXACT = "fits exactly: no errors, tests or diagnostics"
Covariance = Callable[[int], Estimated]  # of a number of lags


@dataclass
class Estimates:
    """What was estimated of U units with k terms; NaN where there is nothing, with the reason.

    Attributes:
        units: the U units.
        b: (U, k) estimates; V: (U, k, k) their covariance; df: (U,) degrees of freedom of its t.
        n, ssr, tss: (U,) rows, sums of squares of the residuals and of the target.
        f_stat, f_p: (U,) test that every slope is zero, under V.
        lags: (U,) lags of V, NaN where it has none.
        zeroed: (U,) negative eigenvalues of V that were set to zero, see
            `runner.numerics.covariance.positive`.
        reason: why a unit lacks estimates or errors, else empty.
        absorbed: (U,) fixed effects that take degrees of freedom; tss_within: (U,) tss beside them,
            None without.
        asset_effects, date_effects: as in `runner.models.fit.Fit`.
        likelihood: (U,) log-likelihood, None where it is that of normal errors; weight_term: (U,)
            what the weights of the rows add to that.
        tss_mean: (U,) sums of squares of the target about its mean where `tss` is about zero, as it
            is without a constant; None where `tss` is about the mean.
        findings: what the estimator has to tell beyond these.
    """

    units: list[Unit]
    b: np.ndarray
    V: np.ndarray
    df: np.ndarray
    n: np.ndarray
    ssr: np.ndarray
    tss: np.ndarray
    f_stat: np.ndarray
    f_p: np.ndarray
    lags: np.ndarray
    zeroed: np.ndarray
    reason: list[str] = field(default_factory=list)
    absorbed: np.ndarray = field(default_factory=lambda: np.zeros(1))
    tss_within: np.ndarray = field(default_factory=lambda: np.full(1, np.nan))
    asset_effects: np.ndarray | None = None
    date_effects: np.ndarray | None = None
    likelihood: np.ndarray | None = None
    weight_term: np.ndarray = field(default_factory=lambda: np.zeros(1))
    tss_mean: np.ndarray | None = None
    findings: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def estimated(self) -> np.ndarray:
        """(U,) whether a unit has estimates."""
        return np.isfinite(self.b).all(axis=1)


def estimate(model: Regression, panel: Panel, rows: np.ndarray) -> Estimates:
    """Every regression of the model on these rows of the panel."""
    panel = replace(panel, weights=weights_of(model, panel, rows))
    found = nothing(units(panel, rows, model.by), len(model.terms(panel.names)))
    fitted = np.zeros((len(panel.valid), 1), dtype=bool)
    fitted[rows] = True
    use = panel.valid & fitted
    sound = np.zeros(len(found.units), dtype=bool)
    several = model.by in ("asset", "date")
    if (model.cov == "nonrobust" or not several) and model.constant and use.any():
        sound = _from_moments(found, model, panel, use, rows)
    for u in np.flatnonzero(~sound):
        _row_by_row(found, int(u), model, panel)
    return found


def regressors(panel: Panel, names: list[str] | None) -> np.ndarray:
    """Features (T, N, K) among these names, in their order: a view where it is the panel's.
    Dummies are left out.
    """
    if names is None:
        return panel.X
    at = [panel.names.index(name) for name in names if name in panel.names]
    if at and at == list(range(at[0], at[0] + len(at))):
        return panel.X[:, :, at[0] : at[-1] + 1]
    return panel.X[:, :, at]


def design(
    panel: Panel, t: np.ndarray, i: np.ndarray, names: list[str] | None, constant: bool
) -> np.ndarray:
    """Regressors (n, k) of these cells, the constant first and dummies last."""
    X = panel.X[t, i]
    if names is not None:
        X = X[:, [panel.names.index(name) for name in names if name in panel.names]]
    member = panel.dummies(names)
    parts = [np.ones((len(X), int(constant))), X, member[i]]
    return np.concatenate(parts, axis=1) if constant or member.size else X


def nothing(group: list[Unit], k: int) -> Estimates:
    """No estimates of any unit yet."""
    U = len(group)
    n, df, ssr, tss, f_stat, f_p, lags = (np.full(U, np.nan) for _ in range(7))
    b, V = np.full((U, k), np.nan), np.full((U, k, k), np.nan)
    zeroed = np.zeros(U, dtype=int)
    return Estimates(
        group, b, V, df, n, ssr, tss, f_stat, f_p, lags, zeroed, [""] * U, weight_term=np.zeros(U)
    )


def _from_moments(
    found: Estimates, model: Regression, panel: Panel, use: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Fill in the units that their moments solve, and say which (U,)."""
    M, shift = _moments(found, model, panel, use, rows)
    solved = solve_moments(M, shift, None if panel.weights is None else _weighted(found, panel))
    at, k = solved.sound, found.b.shape[1]
    df = solved.n[at] - k
    variance = solved.ssr[at] / df
    found.b[at], found.df[at], found.n[at] = solved.b[at], df, solved.n[at]
    found.V[at] = solved.bread[at] * variance[:, None, None]
    found.ssr[at], found.tss[at] = solved.ssr[at], solved.tss[at]
    _plain_f(found, at, k - 1)
    for u in map(int, np.flatnonzero(at) if model.cov != "nonrobust" else []):
        robust(found, u, model, panel, partial(_pooled, found, u, model, panel, solved.bread[u]))
    return at


def _moments(
    found: Estimates, model: Regression, panel: Panel, use: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Moments (U, P, P) of the units and the point that they are about, from the folds' own where
    there are some.
    """
    shared = panel.shared if panel.weights is None else None
    if shared is not None and model.by != "date":
        known = shared.of(panel, rows, model.regressors, model.by, found.units)
        if known is not None:
            return known
    span = slice(
        rows.min(), rows.max() + 1
    )  # rows outside cost nothing and cannot move the last bit
    part = panel.at(np.arange(span.start, span.stop))
    X, y, use, weights = regressors(part, model.regressors), part.y, use[span], part.weights
    shift = shift_of(X, y, use, model.by if model.by in ("asset", "date") else None)
    member = panel.dummies(model.regressors)
    if member.size:
        M = moments(X, y, use, shift, by_date=False, weights=weights)
        return together(M, np.zeros(M[:, 0, 1:].shape), member)[None], with_zeros(
            shift, member.shape[1]
        )
    M = moments(X, y, use, shift, by_date=model.by in ("date", None), weights=weights)
    if model.by == "date":
        return M[rows - span.start], shift[rows - span.start] if len(shift) > 1 else shift
    return of_units(M, found.units, model.by), shift


def _row_by_row(found: Estimates, u: int, model: Regression, panel: Panel) -> None:
    """Fill in one unit from its rows, or the reason why there is nothing to fill in."""
    t, i = found.units[u].cells(panel)
    terms, found.n[u] = model.terms(panel.names), len(t)
    try:
        weights = None if panel.weights is None else panel.weights[t, i]
        X = design(panel, t, i, model.regressors, model.constant)
        one = solve(X, panel.y[t, i], terms, model.constant, weights)
    except NotEstimable as error:
        found.reason[u] = str(error)
        return
    found.b[u], found.df[u], found.ssr[u], found.tss[u] = one.b, one.df, one.ssr, one.tss
    if weights is not None:
        found.weight_term[u] = 0.5 * np.log(weights).sum()
    if one.exact:
        found.reason[u] = EXACT
    elif ERRORS[model.cov].of is None:
        robust(found, u, model, panel, partial(_pooled, found, u, model, panel, one.bread))
    else:
        robust(found, u, model, panel, partial(_own, model.cov, one))
        if model.cov == "nonrobust":
            _plain_f(found, u, X.shape[1] - model.constant)


def _plain_f(found: Estimates, at: np.ndarray | int, slopes: int) -> None:
    """Fill in F under equal variances, from sums of squares: nearly collinear columns cost it no
    digit.
    """
    if slopes:
        found.f_stat[at] = (found.tss[at] - found.ssr[at]) / slopes / (found.ssr[at] / found.df[at])
        found.f_p[at] = fdtrc(slopes, found.df[at], found.f_stat[at])


def weights_of(model: Regression, panel: Panel, rows: np.ndarray) -> np.ndarray | None:
    """Weights (T, N) of the cells: those of the panel, or one over the variance (ddof 1) of each
    asset's target.

    Raises:
        DataError: an asset with rows but without a variance.
    """
    if model.weights != "inverse_variance":
        return panel.weights
    y, use = panel.y[rows], panel.valid[rows]
    n = use.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        about = np.where(use, y - np.where(use, y, 0.0).sum(axis=0) / n, 0.0)
        variance = np.sum(about**2, axis=0) / (n - 1.0)
        size = np.sqrt(np.sum(np.where(use, y, 0.0) ** 2, axis=0) / n)
    still = rounding_alone(
        np.sqrt(variance), size, FLAT, lambda: (of_quotients(y) | ~use).all(axis=0)
    )
    bad = (n > 0) & (still | ~(variance > 0.0))
    if bad.any():
        names = listed(np.array(panel.assets)[bad])
        raise DataError(
            f"model.weights: inverse_variance of {names}: fewer than 2 rows, or a constant target"
        )
    return np.broadcast_to(1.0 / np.where(n > 0, variance, 1.0), panel.y.shape)


def about_mean(model: Regression, panel: Panel, rows: np.ndarray, group: list[Unit]) -> np.ndarray:
    """Sums of squares (U,) of the target about its mean, both weighted as the regressions are."""
    weights = weights_of(model, panel, rows)
    found = np.full(len(group), np.nan)
    for u, unit in enumerate(group):
        t, i = unit.cells(panel)
        if not len(t):
            continue
        y, own = panel.y[t, i], None if weights is None else weights[t, i]
        about = y - np.average(y, weights=own)
        found[u] = np.average(about**2, weights=own) * (len(y) if own is None else own.sum())
    return found


def _weighted(found: Estimates, panel: Panel) -> np.ndarray:
    """Rows (U,) of each unit; what its weights add to the likelihood is filled in."""
    rows = np.zeros(len(found.units))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(panel.valid, np.log(np.asarray(panel.weights)), 0.0)
    for u, unit in enumerate(found.units):
        own = np.ix_(unit.rows, unit.assets)
        rows[u], found.weight_term[u] = panel.valid[own].sum(), 0.5 * logs[own].sum()
    return rows


def _own(cov: str, one: Solution, lags: int) -> Estimated:
    return Estimated(own(cov)(one, lags), one.df)


def robust(
    found: Estimates, u: int, model: Regression, panel: Panel, covariance: Covariance
) -> None:
    """Fill in the covariance of unit u and its F; without a covariance there are no estimates, but
    the reason.
    """
    terms, lags = model.terms(panel.names), np.nan
    if model.lagged:
        unit = found.units[u]
        dates = int(panel.valid[np.ix_(unit.rows, unit.assets)].any(axis=1).sum())
        lags = default_lags(dates, panel.horizon) if model.cov_lags is None else model.cov_lags
    try:
        found.V[u], found.df[u], found.zeroed[u] = covariance(0 if np.isnan(lags) else int(lags))
    except NotEstimable as error:
        found.reason[u], found.b[u], found.ssr[u], found.f_stat[u], found.f_p[u] = (
            str(error),
            *[np.nan] * 4,
        )
        return
    found.lags[u] = lags
    overall, _ = wald_test(found, u, all_slopes(terms)) if set(terms) - {"const"} else (None, "")
    found.f_stat[u], found.f_p[u] = (
        (overall.f_stat, overall.p_value) if overall else (np.nan, np.nan)
    )


def _pooled(
    found: Estimates, u: int, model: Regression, panel: Panel, bread: np.ndarray, lags: int
) -> Estimated:
    """Covariance (k, k) of unit u from its scores, and its degrees of freedom."""
    X, rows, assets = (
        regressors(panel, model.regressors),
        found.units[u].rows,
        found.units[u].assets,
    )
    own = slice(None) if len(assets) == X.shape[1] else assets
    span = slice(rows.min(), rows.max() + 1)
    use = np.zeros((span.stop - span.start, len(assets)), dtype=bool)
    use[rows - span.start] = panel.valid[:, own][rows]
    weights = None if panel.weights is None else panel.weights[span, own]
    member = panel.dummies(model.regressors)[own]
    pool = Pool(X[span, own], panel.y[span, own], use, found.b[u], bread, weights, member=member)
    return covariance_of(pool, model, panel, own, lags)


def covariance_of(
    pool: Pool, model: Regression, panel: Panel, own: slice | np.ndarray, lags: int
) -> Estimated:
    """The covariance (k, k) in force of a regression over the assets `own`, and its degrees of
    freedom.

    Raises:
        NotEstimable: the covariance is not made for such a regression, or has no answer here.
    """
    of_pool = ERRORS[model.cov].of_pool
    if of_pool is None:
        raise NotEstimable(f"{model.cov} errors are not made for a regression over several assets")
    keys = [cluster_key(panel, name) for name in model.clusters]
    return of_pool(pool, lags, [None if key is None else key[own] for key in keys])


def wald_test(found: Estimates, u: int, hypothesis: Restriction | str) -> tuple[Wald | None, str]:
    """The Wald test of a restriction on unit u, or the reason why there is none."""
    if found.reason[u] or isinstance(hypothesis, str):
        return None, found.reason[u] or str(hypothesis)
    if not np.isfinite(found.V[u]).all():
        return None, "estimates without errors"
    rank = found.V.shape[1] - int(found.zeroed[u])
    if len(hypothesis.q) > rank:
        restrictions = f"{len(hypothesis.q)} restrictions"
        return (
            None,
            f"{restrictions} beside a covariance of rank {rank}, its negative eigenvalues set to zero",
        )
    try:
        return wald(found.b[u], found.V[u], found.df[u], hypothesis), ""
    except NotEstimable as error:
        return None, str(error)
