"""Least squares of every unit of a panel: from moments where they keep the digits, else by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import fdtrc

from runner.errors import DataError, listed
from runner.estimators.estimates import Estimates, nothing
from runner.estimators.pools import AnyPool, pool_of
from runner.estimators.standard_errors import ERRORS, Estimated, own
from runner.numerics.covariance import default_lags
from runner.numerics.inference import Wald, wald
from runner.numerics.least_squares import NotEstimable, Solution, solve
from runner.numerics.moments import of_units, together, with_zeros
from runner.numerics.normal_equations import solve_moments
from runner.numerics.restrictions import Restriction, all_slopes
from runner.numerics.variation import FLAT, of_quotients, rounding_alone
from runner.panels.numbers.cells import Stored, Taken
from runner.panels.numbers.selections import marked
from runner.panels.panel import Panel
from runner.panels.spells import of_owners
from runner.panels.units import ASSET, DATE, Unit, cluster_key, units

if TYPE_CHECKING:
    from runner.estimators.settings import RegressionSettings

EXACT = "fits exactly: no errors, tests or diagnostics"
Covariance = Callable[[int], Estimated]  # of a number of lags


def estimate(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> Estimates:
    """Every regression of the model on these rows of the panel."""
    panel = weighted(model, panel, rows)
    terms = model.terms(panel.names)
    group = units(panel, rows, model.by)
    estimates = nothing(group, len(terms))
    solved = np.zeros(len(estimates.units), dtype=bool)
    # robust errors of a regression by asset or date take its rows, as does one without a constant
    from_rows = model.cov != "nonrobust" and model.by in (ASSET, DATE)
    if model.constant and not from_rows and panel.usable_by_date[rows].any():
        solved = _from_moments(estimates, model, panel, rows)
    unsolved = np.flatnonzero(~solved)
    if len(unsolved):
        for u, used in _used_by_unit(estimates.units, unsolved, model.by, panel, rows):
            _row_by_row(estimates, u, model, panel, used)
    return estimates


def _used_by_unit(
    group: list[Unit], some: np.ndarray, by: str | None, panel: Panel, rows: np.ndarray
) -> Iterator[tuple[int, Taken]]:
    """The units at some positions, and the cells that each takes.

    Of assets on disk those of many are read at a time, and written over by the next.
    """
    cells = panel.cells
    if by == ASSET and isinstance(cells, Stored):
        fitted = marked(rows, len(panel.dates))
        yield from cells.used_on(fitted).used_by_asset(some)
        return
    for u in some.tolist():
        yield u, group[u].used(panel)


def regressors(panel: Panel, names: list[str] | None) -> np.ndarray:
    """Features (T, N, K) among these names, in their order; dummies are left out.

    A view where they follow each other in the panel.
    """
    if names is None:
        return panel.X
    return panel.cells.cube.columns(columns_of(panel, names))


def columns_of(panel: Panel, names: list[str] | None) -> list[int]:
    """Positions of these features in the panel, None for all; dummies are left out."""
    if names is None:
        return list(range(len(panel.names)))
    return [panel.names.index(name) for name in names if name in panel.names]


def design(used: Taken, panel: Panel, names: list[str] | None, constant: bool) -> np.ndarray:
    """Regressors (n, k) of these cells, the constant first and dummies last."""
    X = used.X
    if names is not None:
        X = X[:, columns_of(panel, names)]
    member = panel.dummies(names)
    if not constant and not member.size:
        return X
    constants = int(constant)
    ones = np.ones((len(X), constants))
    return np.concatenate([ones, X, member[used.i]], axis=1)


def _from_moments(
    estimates: Estimates, model: RegressionSettings, panel: Panel, rows: np.ndarray
) -> np.ndarray:
    """Fill in the units that their moments solve, and return which these are (U,)."""
    M, shift = _moments(estimates, model, panel, rows)
    counted = _weighted(estimates, panel) if panel.cells.has_weights else None
    solved = solve_moments(M, shift, counted)
    sound = solved.sound
    k = estimates.b.shape[1]
    df = solved.n[sound] - k
    variance = solved.ssr[sound] / df
    estimates.b[sound] = solved.b[sound]
    estimates.V[sound] = solved.bread[sound] * variance[:, None, None]
    estimates.df[sound] = df
    estimates.n[sound] = solved.n[sound]
    estimates.ssr[sound] = solved.ssr[sound]
    estimates.tss[sound] = solved.tss[sound]
    _classical_f(estimates, sound, k - 1)
    if model.cov != "nonrobust":
        for u in np.flatnonzero(sound).tolist():
            covariance = partial(_pooled, estimates, u, model, panel, solved.bread[u])
            robust(estimates, u, model, panel, covariance)
    return sound


def _moments(
    estimates: Estimates, model: RegressionSettings, panel: Panel, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Moments (U, P, P) of the units and the point that they are about.

    From those that the folds of a run share where there are some.
    """
    owns = [unit.assets for unit in estimates.units]
    if not panel.cells.has_weights and model.by != DATE:
        known = panel.shared_moments(rows, model.regressors, model.by, owns)
        if known is not None:
            return known
    # rows outside the span cost nothing and cannot move the last bit
    first = rows.min()
    part = panel.at(np.arange(first, rows.max() + 1))
    fitted = np.zeros(len(part.dates), dtype=bool)
    fitted[rows - first] = True
    cells = part.cells.used_on(fitted)
    columns = columns_of(panel, model.regressors)
    by = model.by if model.by in (ASSET, DATE) else None
    shift = cells.point(columns, by)
    member = panel.dummies(model.regressors)
    if member.size:
        M = cells.moments(columns, shift, by_date=False)
        first_row = M[:, 0, 1:]
        away = np.zeros(first_row.shape)
        point = with_zeros(shift, member.shape[1])
        return together(M, away, member)[None], point
    M = cells.moments(columns, shift, by_date=model.by in (DATE, None))
    if model.by != DATE:
        return of_units(M, owns, model.by), shift
    positions = rows - first
    if len(shift) > 1:
        shift = shift[positions]
    return M[positions], shift


def _row_by_row(
    estimates: Estimates, u: int, model: RegressionSettings, panel: Panel, used: Taken
) -> None:
    """Fill in one unit from its cells, or the reason why there is nothing to fill in."""
    estimates.n[u] = len(used.y)
    weights = used.weights
    X = design(used, panel, model.regressors, model.constant)
    terms = model.terms(panel.names)
    try:
        solution = solve(X, used.y, terms, model.constant, weights)
    except NotEstimable as error:
        estimates.without_estimates(u, reason=str(error))
        return
    estimates.b[u] = solution.b
    estimates.df[u] = solution.df
    estimates.ssr[u] = solution.ssr
    estimates.tss[u] = solution.tss
    if weights is not None:
        estimates.weight_term[u] = 0.5 * np.log(weights).sum()
    if solution.exact:
        estimates.reason[u] = EXACT
        return
    covariance: Covariance = partial(_own, model.cov, solution)
    if ERRORS[model.cov].of is None:
        covariance = partial(_pooled, estimates, u, model, panel, solution.bread)
    robust(estimates, u, model, panel, covariance)
    if model.cov == "nonrobust":
        _classical_f(estimates, u, X.shape[1] - model.constant)


def _classical_f(estimates: Estimates, at: np.ndarray | int, slopes: int) -> None:
    """Fill in F under equal variances, from sums of squares.

    Nearly collinear columns cost it no digit, as they would a Wald test.
    """
    if not slopes:
        return
    ssr = estimates.ssr[at]
    df = estimates.df[at]
    y_explained = estimates.tss[at] - ssr
    f_stat = (y_explained / slopes) / (ssr / df)
    estimates.f_stat[at] = f_stat
    estimates.f_p[at] = fdtrc(slopes, df, f_stat)


def weighted(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> Panel:
    """The panel with the weights of the model; what it raises, `weights_of` does."""
    if model.weights != "inverse_variance":
        return panel
    return panel.with_arrays(weights=weights_of(model, panel, rows))


def weights_of(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> np.ndarray | None:
    """Weights (T, N) of the cells: the panel's, or one over the variance of each asset's target.

    The variance (ddof 1) is that over these rows.

    Raises:
        DataError: an asset with rows but without a variance.
    """
    if model.weights != "inverse_variance":
        return panel.weights
    y = panel.y[rows]
    use = panel.valid[rows]
    if panel.owner is not None:
        y, use = of_owners(y, use, panel.owner)
    n = use.sum(axis=0)
    used = np.where(use, y, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = used.sum(axis=0) / n
        deviation = np.where(use, y - mean, 0.0)
        variance = np.sum(deviation**2, axis=0) / (n - 1.0)
        size = np.sqrt(np.sum(used**2, axis=0) / n)

    def quotients() -> np.ndarray:
        """(N,) whether every target of an asset in use is a quotient of prices."""
        return np.asarray((of_quotients(y) | ~use).all(axis=0))

    constant = rounding_alone(np.sqrt(variance), size, FLAT, quotients)
    lacking = (n > 0) & (constant | ~(variance > 0.0))
    lacking = lacking[panel.owners]
    if lacking.any():
        assets = np.array(panel.assets)
        names = listed(assets[lacking])
        raise DataError(
            f"model.weights: inverse_variance of {names}: fewer than 2 rows, or a constant target"
        )
    weights = 1.0 / np.where(n > 0, variance, 1.0)
    of_columns = weights[panel.owners]
    return np.broadcast_to(of_columns, panel.y.shape)


def _weighted(estimates: Estimates, panel: Panel) -> np.ndarray:
    """Rows (U,) of each unit; what its weights add to the likelihood is filled in."""
    n = np.zeros(len(estimates.units))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(panel.valid, np.log(np.asarray(panel.weights)), 0.0)
    for u, unit in enumerate(estimates.units):
        own = np.ix_(unit.rows, unit.assets)
        n[u] = panel.valid[own].sum()
        estimates.weight_term[u] = 0.5 * logs[own].sum()
    return n


def _own(cov: str, solution: Solution, lags: int) -> Estimated:
    """The covariance of one regression by itself, from its rows."""
    V = own(cov)(solution, lags)
    return Estimated(V, solution.df)


def robust(
    estimates: Estimates, u: int, model: RegressionSettings, panel: Panel, covariance: Covariance
) -> None:
    """Fill in the covariance of unit u and the test that every slope is zero.

    Without a covariance there are no estimates, but the reason.
    """
    terms = model.terms(panel.names)
    lags = _lags(estimates, u, model, panel) if model.lagged else 0
    try:
        estimated = covariance(lags)
    except NotEstimable as error:
        estimates.without_estimates(u, reason=str(error))
        return
    estimates.V[u] = estimated.V
    estimates.df[u] = estimated.df
    estimates.zeroed[u] = estimated.zeroed
    estimates.clusters[u] = estimated.clusters
    if model.lagged:
        estimates.lags[u] = lags
    estimates.f_stat[u] = np.nan
    estimates.f_p[u] = np.nan
    if set(terms) - {"const"}:
        all_zero = all_slopes(terms)
        overall, _ = wald_test(estimates, u, all_zero)
        if overall is not None:
            estimates.f_stat[u] = overall.f_stat
            estimates.f_p[u] = overall.p_value


def _lags(estimates: Estimates, u: int, model: RegressionSettings, panel: Panel) -> int:
    """Lags of the covariance: those of the settings, or by the rule for the dates of unit u."""
    if model.cov_lags is not None:
        return model.cov_lags
    unit = estimates.units[u]
    if len(unit.assets) == 1:
        dates = int(estimates.n[u])
    elif len(unit.assets) < len(panel.assets):
        dates = len(np.unique(unit.used(panel).t))
    else:
        dates = int(np.count_nonzero(panel.usable_by_date[unit.rows]))
    return default_lags(dates, panel.horizon)


def _pooled(
    estimates: Estimates,
    u: int,
    model: RegressionSettings,
    panel: Panel,
    bread: np.ndarray,
    lags: int,
) -> Estimated:
    """Covariance (k, k) of unit u from its scores, and its degrees of freedom."""
    unit = estimates.units[u]
    first = unit.rows.min()
    span = np.arange(first, unit.rows.max() + 1)
    fitted = np.zeros(len(span), dtype=bool)
    fitted[unit.rows - first] = True
    cells = panel.cells.of(span, unit.assets).used_on(fitted)
    columns = columns_of(panel, model.regressors)
    member = panel.dummies(model.regressors)[unit.assets]
    pool = pool_of(cells, columns, estimates.b[u], bread, member)
    return covariance_of(pool, model, panel, unit.assets, lags)


def covariance_of(
    pool: AnyPool, model: RegressionSettings, panel: Panel, assets: slice | np.ndarray, lags: int
) -> Estimated:
    """Covariance (k, k) of a regression over several assets, and its degrees of freedom.

    `assets` are their positions in the panel.

    Raises:
        NotEstimable: the covariance is not made for such a regression, or has no answer here.
    """
    pooled_covariance = ERRORS[model.cov].of_pool
    if pooled_covariance is None:
        raise NotEstimable(f"{model.cov} errors are not made for a regression over several assets")
    keys = []
    for name in model.clusters:
        key = cluster_key(panel, name)
        keys.append(None if key is None else key[assets])
    return pooled_covariance(pool, lags, keys)


def wald_test(
    estimates: Estimates, u: int, hypothesis: Restriction | str
) -> tuple[Wald | None, str]:
    """The Wald test of a restriction on unit u, or the reason why there is none."""
    if estimates.reason[u]:
        return None, estimates.reason[u]
    if isinstance(hypothesis, str):
        return None, hypothesis
    b = estimates.b[u]
    V = estimates.V[u]
    if not np.isfinite(V).all():
        return None, "estimates without errors"
    zeroed = int(estimates.zeroed[u])
    rank = len(V) - zeroed
    if len(hypothesis.q) > rank:
        restrictions = f"{len(hypothesis.q)} restrictions beside a covariance of rank {rank}"
        reason = f"{restrictions}, its negative eigenvalues set to zero"
        return None, reason
    try:
        test = wald(b, V, estimates.df[u], hypothesis)
        return test, ""
    except NotEstimable as error:
        return None, str(error)
