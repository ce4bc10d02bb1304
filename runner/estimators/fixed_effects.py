"""Least squares beside fixed effects, pooled, per group of assets, or per date beside its labels.

Effects of assets and dates come from sums over a panel (`runner.numerics.effects.within`), those of
labels from codes of cells (`runner.numerics.effects.absorb`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import fdtrc

from runner.estimators.beside_effects import cells_of, pool_beside, refuse_large
from runner.estimators.estimates import Estimates, nothing
from runner.estimators.estimation import EXACT, covariance_of, robust, weighted
from runner.estimators.settings import BY_DATE
from runner.numerics.effects.absorb import Absorbed, Side, absorb, nested, refined_beside
from runner.numerics.effects.cells import AnyCells
from runner.numerics.effects.within import Solved, Within, refined, solve, within
from runner.numerics.least_squares import NotEstimable
from runner.panels.panel import Panel
from runner.panels.units import DATE, cluster_key, units

if TYPE_CHECKING:
    from runner.estimators.settings import RegressionSettings

# share of what the effects leave of the target below which residuals are rounding noise
EXACT_FIT = 1e-13


def estimate(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> Estimates:
    """Every regression of the model on these rows; effects have no errors of their own."""
    panel = weighted(model, panel, rows)
    kinds = kinds_of(model, panel)
    estimates = _nothing(model, panel, rows, kinds)
    of_dates: list[np.ndarray] = []
    for u, unit in enumerate(estimates.units):
        span = slice(int(unit.rows.min()), int(unit.rows.max()) + 1)
        cells = cells_of(unit, span, model, panel)
        sides = [kind.side(span, unit.assets) for kind in kinds]
        left = _fill(estimates, u, model, panel, cells, sides)
        if left is None:
            continue
        if not kinds:
            _effects(estimates, u, left.within, cells, span)
        elif model.by == DATE:
            b = estimates.b[u]
            effects = left.effects[0]
            of_labels = _beside_slopes(b, effects)
            of_dates.append(of_labels)
        else:
            _effects_by_code(estimates, u, left, kinds, sides, span)
    if of_dates:
        label = kinds[0].label
        means = _means(np.array(of_dates))
        estimates.label_effects[label][:] = means
    return estimates


class Kind(NamedTuple):
    """One kind of fixed effects on a panel.

    Attributes:
        name: asset, date, a label, or a label on each date; label: the label, empty without.
        by_date: whether its effects differ from date to date.
        codes: (T or 1, N or 1) group of each cell; size: how many groups there are.
    """

    name: str
    label: str
    by_date: bool
    codes: np.ndarray
    size: int

    def side(self, span: slice, assets: np.ndarray) -> Side:
        """Its codes on these dates and assets."""
        codes = self.codes
        if len(codes) > 1:
            codes = codes[span]
        if codes.shape[1] > 1:
            codes = codes[:, assets]
        return Side(codes, self.size)


def kinds_of(model: RegressionSettings, panel: Panel) -> list[Kind]:
    """The fixed effects of the model by codes; none where they are those of columns and dates.

    Raises:
        DataError: a label that the data has not.
    """
    own_columns = panel.owner is None or "asset" not in model.absorbed
    absorbed = set(model.absorbed)
    others = absorbed - {"asset", "date"}
    if own_columns and not others:
        return []
    return [_kind(name, model, panel) for name in model.absorbed]


def _kind(name: str, model: RegressionSettings, panel: Panel) -> Kind:
    T, N = panel.cells.shape
    every = np.arange(T)
    dates = every[:, None]
    if name == "date":
        return Kind(name, "", True, dates, T)
    if name == "asset":
        owners = panel.owners[None]
        return Kind(name, "", False, owners, N)
    label, on_dates, _ = name.partition(BY_DATE)
    where = "model.dummies" if model.by == DATE else "model.effects"
    labels = panel.grouping.get(label, where, ["asset", "date"])
    L = len(labels.values)
    if on_dates:
        first_code = dates * L
        codes = first_code + labels.codes
        groups = T * L
        return Kind(name, label, True, codes, groups)
    return Kind(name, label, False, labels.codes, L)


def _nothing(
    model: RegressionSettings, panel: Panel, rows: np.ndarray, kinds: Sequence[Kind]
) -> Estimates:
    """No estimates of any unit yet, and no effects."""
    T, N = panel.cells.shape
    group = units(panel, rows, model.by)
    U = len(group)
    k = len(model.terms(panel.names))
    date_effects = None
    on_dates = any(kind.by_date for kind in kinds)
    if on_dates or "date" in model.effects:
        columns = 1 if model.by is None and not on_dates else N
        date_effects = np.zeros((T, columns))
    labels = {kind.label for kind in kinds if kind.label}
    asset_effects = None
    if not labels or "asset" in model.effects:
        asset_effects = np.full(N, np.nan)
    label_effects = {}
    for name in labels:
        levels = panel.grouping.get(name).values
        number_of_levels = len(levels)
        shape = (N, number_of_levels)
        label_effects[name] = np.full(shape, np.nan)
    return replace(
        nothing(group, k),
        absorbed=np.zeros(U),
        tss_within=np.full(U, np.nan),
        asset_effects=asset_effects,
        date_effects=date_effects,
        label_effects=label_effects,
    )


def _fill(
    estimates: Estimates,
    u: int,
    model: RegressionSettings,
    panel: Panel,
    cells: AnyCells,
    sides: Sequence[Side],
) -> Absorbed | None:
    """Fill in one unit, and return what the effects leave of it.

    None where it cannot be estimated: then the reason is filled in.
    """
    terms = model.terms(panel.names)
    n = cells.n
    estimates.n[u] = n
    try:
        left, solution = _solved(model, cells, terms, sides)
    except NotEstimable as error:
        reason = str(error)
        estimates.without_estimates(u, reason=reason)
        return None
    demeaned = left.within
    terms_and_effects = len(terms) + demeaned.absorbed
    df = n - terms_and_effects
    ssr = solution.ssr
    S = demeaned.S
    tss_within = float(S[-1, -1])
    estimates.b[u] = solution.b
    estimates.df[u] = df
    estimates.ssr[u] = ssr
    estimates.tss[u] = demeaned.tss
    estimates.absorbed[u] = demeaned.absorbed
    estimates.tss_within[u] = tss_within
    weights = cells.weights_in_use()
    if weights is not None:
        total = np.log(weights).sum()
        estimates.weight_term[u] = 0.5 * total
    if ssr <= EXACT_FIT * tss_within:
        estimates.reason[u] = EXACT
        return left
    variance = ssr / df
    estimates.V[u] = solution.bread * variance
    if terms:
        number_of_terms = len(terms)
        _f_of_slopes(estimates, u, number_of_terms)
    if model.cov != "nonrobust":
        assets = estimates.units[u].assets
        counted = _counted(model, panel, left, sides, assets)
        pool = pool_beside(left.cells, demeaned, solution.b, solution.bread, counted)
        covariance = partial(covariance_of, pool, model, panel, assets)
        robust(estimates, u, model, panel, covariance)
    return left


def _f_of_slopes(estimates: Estimates, u: int, K: int) -> None:
    """Fill in F of the K slopes of unit u under equal variances, from sums of squares within."""
    df = estimates.df[u]
    ssr = estimates.ssr[u]
    variance = ssr / df
    explained = estimates.tss_within[u] - ssr
    explained_of_slope = explained / K
    f_stat = explained_of_slope / variance
    estimates.f_stat[u] = f_stat
    estimates.f_p[u] = fdtrc(K, df, f_stat)


def _solved(
    model: RegressionSettings, cells: AnyCells, terms: list[str], sides: Sequence[Side]
) -> tuple[Absorbed, Solved]:
    """What the effects leave of one unit, and its slopes.

    Effects of assets and dates, which are no `sides`, are left in the cells: those that leave them
    out are `within`.

    Raises:
        NotEstimable: no rows, or none of the slopes can be estimated beside the effects.
    """
    if not cells.n:
        raise NotEstimable("no rows")
    if sides:
        left = absorb(cells, sides)
        solution = solve(left.within, cells, terms)
        if not solution.sound:
            solution = refined_beside(solution, left, sides)
        return left, solution
    if not cells.balanced and len(model.effects) > 1:
        refuse_large(cells.shape)
    demeaned = within(cells, model.effects)
    solution = solve(demeaned, cells, terms)
    if not solution.sound:
        solution = refined(solution, cells, model.effects)
    return Absorbed(demeaned, cells, ()), solution


def _counted(
    model: RegressionSettings,
    panel: Panel,
    left: Absorbed,
    sides: Sequence[Side],
    assets: np.ndarray,
) -> int:
    """Effects that take degrees of freedom under clustered errors (the rule of linearmodels).

    All of them, unless there is one kind and it is nested in the clusters, whose sums of scores
    hold it already.
    """
    absorbed = left.within.absorbed
    several = len(model.effects) > 1
    if several or not model.clusters:
        return absorbed
    if sides:
        lies_within = _nested(model, panel, left.cells, sides[0], assets)
    elif model.effects[0] == "date":
        clusters = set(model.clusters)
        lies_within = clusters == {"date"}
    else:
        lies_within = "date" not in model.clusters
    if lies_within:
        return 0
    return absorbed


def _nested(
    model: RegressionSettings, panel: Panel, cells: AnyCells, side: Side, assets: np.ndarray
) -> bool:
    """Whether every effect of a side lies in one cluster, whichever way clusters are made."""
    t, i = cells.places()
    codes = side.at(t, i)
    for name in model.clusters:
        key = cluster_key(panel, name)
        cluster = t
        if key is not None:
            of_assets = key[assets]
            cluster = of_assets[i]
        if not nested(codes, cluster):
            return False
    return True


def _effects_by_code(
    estimates: Estimates,
    u: int,
    left: Absorbed,
    kinds: Sequence[Kind],
    sides: Sequence[Side],
    span: slice,
) -> None:
    """Fill in what the forecast adds to x b, as `_effects` does.

    The effects of a date, or of a label on it, are about their mean over the dates of the unit.
    """
    b = estimates.b[u]
    assets = estimates.units[u].assets
    t, i = left.cells.places()
    level = 0.0
    for kind, side, effects in zip(kinds, sides, left.effects, strict=True):
        values = _beside_slopes(b, effects)
        if not kind.by_date:
            _fill_in(estimates, kind, assets, values, side)
            continue
        of_dates = values[:, None]
        if kind.label:
            labels = estimates.label_effects[kind.label]
            L = labels.shape[1]
            of_dates = values.reshape(-1, L)
        means = _means(of_dates)
        if kind.label:
            labels[assets] = means
        else:
            level = float(means[0])
        deviation = of_dates - means
        about_mean = deviation.ravel()
        date_effects = np.asarray(estimates.date_effects)
        date_effects[span.start + t, assets[i]] += about_mean[side.at(t, i)]
    for kind in kinds:
        if not kind.by_date:
            values = _of_kind(estimates, kind)
            values[assets] += level


def _fill_in(
    estimates: Estimates, kind: Kind, assets: np.ndarray, values: np.ndarray, side: Side
) -> None:
    """Fill in effects that are the same on every date, of labels (L,) or of assets."""
    if not kind.label:
        codes = side.codes[0]
        values = values[codes]
    effects = _of_kind(estimates, kind)
    effects[assets] = values


def _of_kind(estimates: Estimates, kind: Kind) -> np.ndarray:
    """The effects of a kind: of labels (N, L), of assets (N,)."""
    if kind.label:
        return estimates.label_effects[kind.label]
    return np.asarray(estimates.asset_effects)


def _beside_slopes(b: np.ndarray, effects: np.ndarray) -> np.ndarray:
    """What effects (G, K + 1) of the columns [x, y] add to x b; NaN of a group without a cell."""
    K = len(b)
    of_slopes = effects[:, :K] @ b
    of_target = effects[:, K]
    mean_left = of_target - of_slopes
    return np.asarray(mean_left)


def _means(of_dates: np.ndarray) -> np.ndarray:
    """Mean (L,) over the dates (R, L) on which a label has cells; NaN where it never has."""
    known = np.isfinite(of_dates)
    counts = known.sum(axis=0)
    with np.errstate(invalid="ignore"):
        total = np.nansum(of_dates, axis=0)
        mean = total / counts
        return np.asarray(mean)


def _effects(estimates: Estimates, u: int, demeaned: Within, cells: AnyCells, span: slice) -> None:
    """Fill in what the forecast adds to x b: effects of assets, and of dates about their mean."""
    b = estimates.b[u]
    assets = estimates.units[u].assets
    asset = _beside_slopes(b, demeaned.alpha)
    date = _beside_slopes(b, demeaned.delta)
    used, known = cells.dates_and_assets()
    level = date[used].mean()
    asset_effects = np.asarray(estimates.asset_effects)
    effects = asset + level
    of_assets = np.where(known, effects, np.nan)
    asset_effects[assets] = of_assets
    if estimates.date_effects is not None:
        shared = estimates.date_effects.shape[1] == 1
        columns = np.arange(1) if shared else assets
        deviation = date - level
        about_mean = np.where(used, deviation, 0.0)
        estimates.date_effects[span, columns] = about_mean[:, None]
