"""Least squares beside fixed effects, pooled or per group of assets."""

from __future__ import annotations

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
from runner.numerics.within import Cells, Within, refined, solve, within
from runner.panels.panel import Panel
from runner.panels.units import units

if TYPE_CHECKING:
    from runner.models.regression import Regression

EXACT_FIT = (
    1e-13  # share of what the effects leave of the target below which residuals are rounding noise
)


def estimate(model: Regression, panel: Panel, rows: np.ndarray) -> Estimates:
    """Every regression of the model on these rows of the panel; effects have no errors of their
    own.
    """
    (T, N), weights = panel.y.shape, weights_of(model, panel, rows)
    found = nothing(units(panel, rows, model.by), len(model.terms(panel.names)))
    U = len(found.units)
    found.absorbed, found.tss_within, found.asset_effects = (
        np.zeros(U),
        np.full(U, np.nan),
        np.full(N, np.nan),
    )
    if "date" in model.effects:
        found.date_effects = np.zeros((T, 1 if model.by is None else N))
    for u, unit in enumerate(found.units):
        own = slice(None) if len(unit.assets) == N else unit.assets
        span = slice(unit.rows.min(), unit.rows.max() + 1)
        use = np.zeros((span.stop - span.start, len(unit.assets)), dtype=bool)
        use[unit.rows - span.start] = panel.valid[:, own][unit.rows]
        X, part = regressors(panel, model.regressors), of_part(weights, span)
        cells = Cells(X[span, own], panel.y[span, own], use, None if part is None else part[:, own])
        left = _fill(found, u, model, panel, cells)
        if left is not None:
            _effects(found, u, left, cells, span)
    return found


def _fill(found: Estimates, u: int, model: Regression, panel: Panel, cells: Cells) -> Within | None:
    """Fill in one unit and say what the effects leave, or fill in the reason why there is
    nothing.
    """
    terms, n = model.terms(panel.names), int(cells.use.sum())
    found.n[u] = n
    try:
        if not n:
            raise NotEstimable("no rows")
        left = within(cells, model.effects, shift_of(cells.X, cells.y, cells.use)[0, 0])
        one = solve(left, cells, terms)
        one = one if one.sound else refined(one, cells, model.effects)
    except NotEstimable as error:
        found.reason[u] = str(error)
        return None
    df, tss = n - len(terms) - left.absorbed, float(left.S[-1, -1])
    found.b[u], found.df[u], found.ssr[u], found.tss[u] = one.b, df, one.ssr, left.tss
    found.absorbed[u], found.tss_within[u] = left.absorbed, tss
    if cells.weights is not None:
        found.weight_term[u] = 0.5 * np.log(cells.weights[cells.use]).sum()
    if one.ssr <= EXACT_FIT * tss:
        found.reason[u] = EXACT
        return left
    found.V[u] = one.bread * (one.ssr / df)
    if terms:
        found.f_stat[u] = (tss - one.ssr) / len(terms) / (one.ssr / df)
        found.f_p[u] = fdtrc(len(terms), df, found.f_stat[u])
    if model.cov != "nonrobust":
        counted = _counted(model, left)
        pool = Pool(
            cells.X,
            cells.y,
            cells.use,
            one.b,
            one.bread,
            cells.weights,
            left.alpha,
            left.delta,
            counted,
        )
        own = found.units[u].assets
        robust(found, u, model, panel, lambda lags: covariance_of(pool, model, panel, own, lags))
    return left


def _counted(model: Regression, left: Within) -> int:
    """Effects that take degrees of freedom: all, but where there is one kind and it is nested in
    the clusters, whose sums of scores hold it already (the rule of linearmodels)."""
    along_dates = [name == "date" for name in model.clusters]
    nested = {"asset": not any(along_dates), "date": all(along_dates)}
    return (
        0 if along_dates and len(model.effects) == 1 and nested[model.effects[0]] else left.absorbed
    )


def _effects(found: Estimates, u: int, left: Within, cells: Cells, span: slice) -> None:
    """What the forecast adds to x b: effects of assets, and of dates about their mean."""
    b, own = found.b[u], found.units[u].assets
    K = len(b)
    asset = left.alpha[:, K] - left.alpha[:, :K] @ b
    date = left.delta[:, K] - left.delta[:, :K] @ b
    used = cells.use.any(axis=1)
    level = date[used].mean()
    np.asarray(found.asset_effects)[own] = np.where(cells.use.any(axis=0), asset + level, np.nan)
    if found.date_effects is not None:
        columns = np.arange(1) if found.date_effects.shape[1] == 1 else own
        found.date_effects[span, columns] = np.where(used, date - level, 0.0)[:, None]
