"""Least squares beside fixed effects, pooled or per group of assets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtrc

from runner.estimators.clusters import Pool
from runner.estimators.estimation import (
    EXACT,
    Estimates,
    covariance_of,
    nothing,
    regressors,
    robust,
    weights_of,
)
from runner.numerics.least_squares import NotEstimable
from runner.numerics.moments import of_part, shift_of
from runner.numerics.within import Cells, Solved, Within, refined, solve, within
from runner.panels.panel import Panel
from runner.panels.units import Unit, units

if TYPE_CHECKING:
    from runner.estimators.settings import RegressionSettings

# share of what the effects leave of the target below which residuals are rounding noise
EXACT_FIT = 1e-13


def estimate(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> Estimates:
    """Every regression of the model on these rows; effects have no errors of their own."""
    weights = weights_of(model, panel, rows)
    estimates = _nothing(model, panel, rows)
    for u, unit in enumerate(estimates.units):
        span = slice(unit.rows.min(), unit.rows.max() + 1)
        cells = _cells(unit, span, model, panel, weights)
        demeaned = _fill(estimates, u, model, panel, cells)
        if demeaned is not None:
            _effects(estimates, u, demeaned, cells, span)
    return estimates


def _nothing(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> Estimates:
    """No estimates of any unit yet, and no effects."""
    T, N = panel.y.shape
    group = units(panel, rows, model.by)
    U = len(group)
    k = len(model.terms(panel.names))
    date_effects = None
    if "date" in model.effects:
        columns = 1 if model.by is None else N
        date_effects = np.zeros((T, columns))
    return replace(
        nothing(group, k),
        absorbed=np.zeros(U),
        tss_within=np.full(U, np.nan),
        asset_effects=np.full(N, np.nan),
        date_effects=date_effects,
    )


def _cells(
    unit: Unit, span: slice, model: RegressionSettings, panel: Panel, weights: np.ndarray | None
) -> Cells:
    """The cells of a unit on the dates of `span`, from its first row to its last."""
    own: slice | np.ndarray = unit.assets
    if len(unit.assets) == len(panel.assets):
        own = slice(None)
    dates = span.stop - span.start
    use = np.zeros((dates, len(unit.assets)), dtype=bool)
    use[unit.rows - span.start] = panel.valid[:, own][unit.rows]
    part = of_part(weights, span)
    if part is not None:
        part = part[:, own]
    X = regressors(panel, model.regressors)[span, own]
    y = panel.y[span, own]
    return Cells(X, y, use, part)


def _fill(
    estimates: Estimates, u: int, model: RegressionSettings, panel: Panel, cells: Cells
) -> Within | None:
    """Fill in one unit, and return what the effects leave of it.

    None where it cannot be estimated: then the reason is filled in.
    """
    terms = model.terms(panel.names)
    n = int(cells.use.sum())
    estimates.n[u] = n
    try:
        demeaned, solution = _solved(model, cells, terms)
    except NotEstimable as error:
        estimates.without_estimates(u, reason=str(error))
        return None
    df = n - len(terms) - demeaned.absorbed
    ssr = solution.ssr
    tss_within = float(demeaned.S[-1, -1])
    estimates.b[u] = solution.b
    estimates.df[u] = df
    estimates.ssr[u] = ssr
    estimates.tss[u] = demeaned.tss
    estimates.absorbed[u] = demeaned.absorbed
    estimates.tss_within[u] = tss_within
    if cells.weights is not None:
        logs = np.log(cells.weights[cells.use])
        estimates.weight_term[u] = 0.5 * logs.sum()
    if ssr <= EXACT_FIT * tss_within:
        estimates.reason[u] = EXACT
        return demeaned
    variance = ssr / df
    estimates.V[u] = solution.bread * variance
    if terms:
        f_stat = (tss_within - ssr) / len(terms) / variance
        estimates.f_stat[u] = f_stat
        estimates.f_p[u] = fdtrc(len(terms), df, f_stat)
    if model.cov != "nonrobust":
        pool = _pool(model, cells, demeaned, solution)
        assets = estimates.units[u].assets
        covariance = partial(covariance_of, pool, model, panel, assets)
        robust(estimates, u, model, panel, covariance)
    return demeaned


def _solved(model: RegressionSettings, cells: Cells, terms: list[str]) -> tuple[Within, Solved]:
    """What the effects leave of one unit, and its slopes.

    Raises:
        NotEstimable: no rows, or none of the slopes can be estimated beside the effects.
    """
    if not cells.use.any():
        raise NotEstimable("no rows")
    shift = shift_of(cells.X, cells.y, cells.use)[0, 0]
    demeaned = within(cells, model.effects, shift)
    solution = solve(demeaned, cells, terms)
    if not solution.sound:
        solution = refined(solution, cells, model.effects)
    return demeaned, solution


def _pool(model: RegressionSettings, cells: Cells, demeaned: Within, solution: Solved) -> Pool:
    """The regression as its covariance takes it."""
    return Pool(
        X=cells.X,
        y=cells.y,
        use=cells.use,
        b=solution.b,
        bread=solution.bread,
        weights=cells.weights,
        alpha=demeaned.alpha,
        delta=demeaned.delta,
        absorbed=_counted(model, demeaned),
    )


def _counted(model: RegressionSettings, demeaned: Within) -> int:
    """Effects that take degrees of freedom under clustered errors (the rule of linearmodels).

    All of them, unless there is one kind and it is nested in the clusters, whose sums of scores
    hold it already.
    """
    if not model.clusters or len(model.effects) > 1:
        return demeaned.absorbed
    if model.effects[0] == "date":
        nested = all(name == "date" for name in model.clusters)
    else:
        nested = "date" not in model.clusters
    return 0 if nested else demeaned.absorbed


def _effects(estimates: Estimates, u: int, demeaned: Within, cells: Cells, span: slice) -> None:
    """Fill in what the forecast adds to x b: effects of assets, and of dates about their mean."""
    b = estimates.b[u]
    own = estimates.units[u].assets
    K = len(b)
    asset = demeaned.alpha[:, K] - demeaned.alpha[:, :K] @ b
    date = demeaned.delta[:, K] - demeaned.delta[:, :K] @ b
    used = cells.use.any(axis=1)
    level = date[used].mean()
    known = cells.use.any(axis=0)
    asset_effects = np.asarray(estimates.asset_effects)
    asset_effects[own] = np.where(known, asset + level, np.nan)
    if estimates.date_effects is not None:
        shared = estimates.date_effects.shape[1] == 1
        columns = np.arange(1) if shared else own
        about_mean = np.where(used, date - level, 0.0)
        estimates.date_effects[span, columns] = about_mean[:, None]
