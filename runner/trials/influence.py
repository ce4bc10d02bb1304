"""What each date does to the headline coefficients of a fit, and what their p-values rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.errors import DataError, listed
from runner.numerics.moments import halves
from runner.trials.premises import Dates, doubts, series_of

if TYPE_CHECKING:
    import pandas as pd

    from runner.estimators.pools import AnyPool
    from runner.models.fit import Fit
    from runner.models.regression import Regression
    from runner.models.study import Study
    from runner.panels.panel import Panel
    from runner.panels.units import Unit

NO_BREAD = np.empty((0, 0))  # of a regression that is not made of shared moments
CELLS = 4_000_000  # cells times terms held at a time while serial correlation is measured


class Influence(NamedTuple):
    """What each date does to the headline estimates.

    Attributes:
        series: frame (dates, terms) of first-order influences, which add up to zero; None where
            there are none.
        contributions: frame (dates, terms) of what each date adds to the estimate where the
            coefficient itself is taken as zero, the other terms as estimated; they add up to the
            estimate. None where there is no series.
        doubts: by term, why its p-value supports no verdict over many tests; empty where it does.
        reason: why there is no series, empty where there is one.
    """

    series: pd.DataFrame | None
    contributions: pd.DataFrame | None = None
    doubts: Mapping[str, str] = {}
    reason: str = ""


def influence(study: Study) -> Influence:
    """Influence of each date on the headline estimates (`runner.models.fit.headline`)."""
    return influence_of(study.panel, study.model, study.fit)


def influence_of(panel: Panel, model: Any, fit: Fit) -> Influence:
    """First-order influence of each date on the headline estimates of a fit on the whole panel.

    The influence of date t on one regression is (X'X)^-1 sum over its cells of x u, with the
    weights and less the fixed effects of the fit; its sum over dates is zero, and that of its
    squares the variance clustered by date, without a small-sample factor. Of a logit it is the
    inverse Hessian times the sum of x (y - p). Of a mean over assets or groups it is the mean of
    theirs over the estimated ones; of a mean over dates (Fama and MacBeth 1973) it is (b_t - mean)
    / dates. Dates without a cell are left out. Penalised estimates and other models have none.
    """
    from runner.estimators.few_clusters import few_clusters
    from runner.estimators.settings import ESTIMATORS, component_names
    from runner.models.fit import over_units
    from runner.models.regression import Regression
    from runner.panels.components import extended
    from runner.panels.numbers.cells import Stored

    if not isinstance(model, Regression):
        return Influence(None, reason=f"{type(model).__name__} has no influence by date")
    behind = ESTIMATORS[model.estimator]
    if behind.penalised:
        return Influence(None, reason=f"estimator={model.estimator} is biased on purpose")
    if behind.own_errors:
        return Influence(None, reason=f"estimator={model.estimator} has no influence by date")
    if fit.components is not None:
        added = component_names(model.components)
        names = None if model.regressors is None else [*model.regressors, *added]
        panel = extended(panel, fit.components)
        model = replace(model, components=0, regressors=names)
    panel = model.by_spells(panel)
    if model.by == "date":
        dates, own, reason = _over_dates(panel, fit)
    elif model.by is not None and isinstance(panel.cells, Stored):
        return Influence(None, reason="on disk a regression of all assets alone has one by date")
    else:
        dates, own, reason = _over_units(panel, model, fit)
    if reason:
        return Influence(None, reason=reason)
    estimates = _headline_estimates(fit)
    terms = list(estimates.index)
    own_dates = panel.dates[own]
    values = estimates.to_numpy(dtype=float)
    through_estimates = dates.share * values
    contributions = dates.influence + through_estimates
    try:
        # a mean over groups is judged by its dates alone
        few = None if over_units(fit.coefficients) else few_clusters(fit.quality)
        doubtful = doubts(panel, model, estimates, dates, own, few)
    except DataError as error:
        # too few dates to resample
        return Influence(None, reason=listed(error.mistakes))
    of_dates = dates.influence[own]
    own_contributions = _frame(contributions[own], own_dates, terms)
    series = _frame(of_dates, own_dates, terms)
    return Influence(
        series=series,
        contributions=own_contributions,
        doubts=doubtful,
    )


def _frame(values: np.ndarray, dates: pd.DatetimeIndex, terms: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(values, dates, terms)


def _headline_estimates(fit: Fit) -> pd.Series:
    """The estimates of the headline by term, the mean where there are several units."""
    from runner.models.fit import headline

    rows = headline(fit.coefficients)
    by_term = rows.groupby("term", sort=False)
    return by_term["estimate"].mean()


def _over_dates(panel: Panel, fit: Fit) -> tuple[Dates, np.ndarray, str]:
    """Of the mean over dates; the dates (T,) with estimates; the reason where there is nothing."""
    is_date = fit.coefficients["scope"] == "date"
    table = fit.coefficients[is_date]
    terms = list(dict.fromkeys(table["term"]))
    estimates = table["estimate"].to_numpy(dtype=float)
    path = estimates.reshape(-1, len(terms))
    n = len(path)
    estimated = set(table["unit"])
    is_estimated = fit.quality["unit"].isin(estimated)
    own = is_estimated.to_numpy()
    influences = np.zeros((len(panel.dates), len(terms)))
    share = np.zeros_like(influences)
    none = np.full(len(terms), np.nan)
    if n < 2:
        reason = f"{n} date with estimates; a mean over dates needs 2"
        return Dates(influences, share, none, none), own, reason
    influences[own] = (path - path.mean(axis=0)) / n
    share[own] = 1.0 / n
    no_bias = np.zeros(len(terms))
    return Dates(influences, share, no_bias, none), own, ""


def _over_units(panel: Panel, model: Regression, fit: Fit) -> tuple[Dates, np.ndarray, str]:
    """Of one regression or of the mean over several; the dates (T,) with a cell."""
    from runner.estimators.estimation import columns_of, weighted
    from runner.panels.numbers.cells import Stored
    from runner.panels.units import ASSET, units
    from runner.trials.influence_of_assets import over_assets

    rows = np.arange(len(panel.dates))
    names = model.regressors
    panel = weighted(model, panel, rows)
    single = fit.coefficients["scope"] != "mean"
    estimated = set(fit.coefficients.loc[single, "unit"])
    by_asset = model.by == "asset" or "asset" in model.effects
    every_unit = units(panel, rows, model.by)
    breads = _breads(panel, model, rows, every_unit)
    cells = panel.cells
    alone = model.by == ASSET and not model.effects and not panel.dummies(names).size
    if alone and model.estimator != "logit" and not isinstance(cells, Stored):
        own = np.array([i for i, unit in enumerate(every_unit) if unit.name in estimated])
        of_own = [breads[i] for i in own]
        columns = columns_of(panel, names)
        b = fit.params[own]
        dates, seen = over_assets(cells, columns, own, b, of_own, panel.horizon)
        return dates, seen, ""
    seen = np.zeros(len(rows), dtype=bool)
    sums: list[np.ndarray] = []
    regressions = 0
    for unit, bread in zip(every_unit, breads, strict=True):
        if unit.name not in estimated:
            continue
        b = fit.params[unit.assets[0]]
        pool = _pool(panel, model, unit, b, bread)
        known = _known(panel, model, b, bread)
        of_unit = dates_of(pool, panel.horizon, by_asset, known)
        pairs = zip(sums, of_unit, strict=True)  # of many, all would not fit into memory
        sums = [total + values for total, values in pairs] if regressions else list(of_unit)
        regressions += 1
        seen |= pool.cells_by_date > 0
    means = [total / regressions for total in sums]
    return Dates(*means), seen, ""


def _breads(
    panel: Panel, model: Regression, rows: np.ndarray, every_unit: Sequence[Unit]
) -> list[np.ndarray]:
    """(X'X)^-1 (k, k) of each unit, of the moments that its fit was made of; empty without."""
    from runner.numerics.normal_equations import solve_moments

    none = [NO_BREAD] * len(every_unit)
    plain = model.estimator != "logit" and not model.effects and model.constant
    if not plain or panel.cells.has_weights:
        return none
    owns = [unit.assets for unit in every_unit]
    moments = panel.shared_moments(rows, model.regressors, model.by, owns)
    if moments is None:
        return none
    solved = solve_moments(*moments)
    breads = zip(solved.bread, solved.sound, strict=True)
    return [bread if sound else NO_BREAD for bread, sound in breads]


def _known(panel: Panel, model: Regression, b: np.ndarray, bread: np.ndarray) -> OfDates | None:
    """What dates add to a regression of all assets, of the moments that its fit was made of."""
    if model.by is not None or not len(bread):
        return None
    moments = panel.shared_moments_of_dates(model.regressors)
    if moments is None:
        return None
    M, point = moments
    return from_moments(M, point[0, 0], b, bread)


def _pool(panel: Panel, model: Regression, unit: Unit, b: np.ndarray, bread: np.ndarray) -> AnyPool:
    """The regression of a unit with its effects, as its robust errors see it."""
    from runner.estimators.beside_effects import cells_of, pool_beside
    from runner.estimators.estimation import columns_of
    from runner.estimators.fixed_effects import kinds_of
    from runner.estimators.pools import pool_of
    from runner.numerics.effects.absorb import absorb
    from runner.numerics.effects.within import within

    every_row = np.arange(len(panel.dates))
    cells = panel.cells.of(every_row, unit.assets)
    columns = columns_of(panel, model.regressors)
    member = panel.dummies(model.regressors)[unit.assets]
    pool = pool_of(cells, columns, b, bread, member)
    if model.estimator == "logit":
        from runner.estimators.logit import as_least_squares

        return as_least_squares(pool, model.constant)
    if not model.effects:
        return pool
    own = cells_of(unit, slice(0, len(panel.dates)), model, panel)
    kinds = kinds_of(model, panel)
    if kinds:
        sides = [kind.side(slice(0, len(panel.dates)), unit.assets) for kind in kinds]
        left = absorb(own, sides)
        return pool_beside(left.cells, left.within, b, bread, 0)
    demeaned = within(own, model.effects)
    return pool_beside(own, demeaned, b, bread, demeaned.absorbed)


class OfDates(NamedTuple):
    """What the cells of each date add to one regression.

    Attributes:
        influences: (T, k) bread times the sum of x u.
        squares: (T, k) sums of squares of the effective regressors.
        sums: (T, k) sums of the effective regressors.
        residual: (T,) mean residual.
    """

    influences: np.ndarray
    squares: np.ndarray
    sums: np.ndarray
    residual: np.ndarray


def dates_of(pool: AnyPool, horizon: int, by_asset: bool, of_dates: OfDates | None = None) -> Dates:
    """Influence of each date on one regression.

    Args:
        by_asset: whether the means of each asset are taken off. Then the bias is the sum of those
            of the assets, else that of the sums by date.
        of_dates: what its dates add, where that is known; else the cells are read.
    """
    bread = pool.bread if len(pool.bread) else _bread(pool)
    if of_dates is None:
        of_dates = _from_cells(pool, bread)
    influences, squares, sums, residual = of_dates
    share = squares / squares.sum(axis=0)
    if by_asset:
        chunks = [series_of(a, u, use, horizon) for a, u, use in _by_asset(pool, bread)]
    else:
        used = (pool.cells_by_date > 0).reshape(-1, 1)
        column = sums[:, None]
        residual_column = residual[:, None]
        chunks = [series_of(column, residual_column, used, horizon)]
    bias = np.sum([chunk.bias for chunk in chunks], axis=0)
    weight = np.sum([chunk.weight for chunk in chunks], axis=0)
    weighted = np.sum([chunk.persistence * chunk.weight for chunk in chunks], axis=0)
    persistence = weighted / np.where(weight > 0.0, weight, np.nan)
    return Dates(influences, share, bias, persistence)


def _from_cells(pool: AnyPool, bread: np.ndarray) -> OfDates:
    """What each date adds, from its cells."""
    T, _ = pool.shape
    k = len(pool.b)
    influences = np.zeros((T, k))
    squares = np.zeros((T, k))
    sums = np.zeros((T, k))
    residual = np.zeros(T)
    cells_by_date = pool.cells_by_date

    def of_rows(rows: slice) -> None:
        for block in pool.blocks(rows):
            part = block.dates
            u = block.u
            a = np.matmul(bread, block.z)
            influences[part] = np.einsum("tkn,tn->tk", a, u)
            squares[part] = np.einsum("tkn,tkn->tk", a, a)
            sums[part] = a.sum(axis=2)
            cells = np.maximum(cells_by_date[part], 1)
            residual[part] = u.sum(axis=1) / cells

    halves(T, of_rows, cells_by_date=cells_by_date)
    return OfDates(influences, squares, sums, residual)


def from_moments(M: np.ndarray, point: np.ndarray, b: np.ndarray, bread: np.ndarray) -> OfDates:
    """What each date adds to a regression with a constant, from the moments of the dates.

    Args:
        M: (T, P, P) of [1, x - shift, y - shift].
        point: (P - 1,) the shift.
        b: (k,) estimates, the constant first.
        bread: (k, k) inverse of X'X.
    """
    K = len(b) - 1
    x_point = point[:K]
    slopes = b[1:]
    constant = b[0] + x_point @ slopes - point[K]  # about the shift
    of_residual = np.concatenate([[-constant], -slopes, [1.0]])
    with_residual = M @ of_residual  # (T, P) sums of [1, x - shift, y - shift] times u
    from_centred = np.eye(K + 1)  # [1, x] from [1, x - shift]
    from_centred[1:, 0] = x_point
    effective = bread @ from_centred
    XX = M[:, : K + 1, : K + 1]
    squares = np.einsum("kp,tpq,kq->tk", effective, XX, effective, optimize=True)
    rows = np.maximum(M[:, 0, 0], 1.0)
    return OfDates(
        influences=with_residual[:, : K + 1] @ effective.T,
        squares=squares,
        sums=M[:, 0, : K + 1] @ effective.T,
        residual=with_residual[:, 0] / rows,
    )


def _bread(pool: AnyPool) -> np.ndarray:
    """(X'X)^-1 (k, k), columns at unit length for its digits."""
    k = len(pool.b)
    T, _ = pool.shape

    def of_rows(rows: slice) -> np.ndarray:
        moments = np.zeros((k, k))
        for block in pool.blocks(rows):
            z = block.z
            moments += np.matmul(z, z.swapaxes(1, 2)).sum(axis=0)
        return moments

    moments = sum(halves(T, of_rows, cells_by_date=pool.cells_by_date))
    squares = np.diag(moments)
    length = np.sqrt(squares)
    lengths = np.outer(length, length)
    return np.linalg.inv(moments / lengths) / lengths


def _by_asset(
    pool: AnyPool, bread: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Effective regressors (T, n, k), residuals and cells in use (T, n), some assets at a time."""
    k = len(pool.b)
    for part in pool.by_assets(CELLS):
        T, assets = part.shape
        a = np.empty((T, assets, k))
        residual = np.empty(part.y.shape)
        for block in part.blocks(slice(0, T)):
            solved = np.matmul(bread, block.z)
            a[block.dates] = solved.swapaxes(1, 2)
            residual[block.dates] = block.u
        yield a, residual, part.use
