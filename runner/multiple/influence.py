"""What each date does to the headline coefficients of a fit: series that add up to the sampling error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from runner.clusters import Pool
    from runner.fit import Fit
    from runner.grouping import Unit
    from runner.panel import Panel
    from runner.regression import Regression
    from runner.study import Study


class Influence(NamedTuple):
    """Frame (dates, terms) of the influences, or the reason why there is none."""

    series: pd.DataFrame | None
    reason: str = ""


def influence(study: Study) -> Influence:
    """Influence of each date on the headline estimates of the study, those of `runner.fit.headline`."""
    return influence_of(study.panel, study.model, study.fit)


def influence_of(panel: Panel, model: Any, fit: Fit) -> Influence:
    """First-order influence of each date on the headline estimates of a fit on every row of the panel.

    The influence of date t on one regression is (X'X)^-1 sum over its cells of x u, with the weights and less the
    fixed effects of the fit; its sum over dates is zero, and that of its squares the variance clustered by date,
    without a small-sample factor. Of a mean over assets or groups it is the mean of theirs over the estimated ones;
    of a mean over dates (Fama and MacBeth 1973) it is (b_t - mean) / dates. Dates without a cell are left out.
    Only least squares has any: a penalty biases, and other models have no coefficients.
    """
    from runner.components import extended
    from runner.regression import Regression, component_names

    if not isinstance(model, Regression):
        return Influence(None, f"{type(model).__name__} has no least-squares coefficients")
    if model.estimator != "ols":
        return Influence(None, f"estimator={model.estimator} is not least squares")
    if fit.components is not None:
        from dataclasses import replace

        names = None if model.regressors is None else [*model.regressors, *component_names(model.components)]
        panel, model = extended(panel, fit.components), replace(model, components=0, regressors=names)
    return _over_dates(panel, fit) if model.by == "date" else _over_units(panel, model, fit)


def _over_dates(panel: Panel, fit: Fit) -> Influence:
    """Of the mean over dates."""
    import pandas as pd

    table = fit.coefficients[fit.coefficients["scope"] == "date"]
    terms = list(dict.fromkeys(table["term"]))
    path = table["estimate"].to_numpy(dtype=float).reshape(-1, len(terms))
    if len(path) < 2:
        return Influence(None, f"{len(path)} date with estimates; a mean over dates needs 2")
    own = fit.quality["unit"].isin(set(table["unit"])).to_numpy()
    return Influence(pd.DataFrame((path - path.mean(axis=0)) / len(path), panel.dates[own], terms))


def _over_units(panel: Panel, model: Regression, fit: Fit) -> Influence:
    """Of one regression, or of the mean over several."""
    import pandas as pd

    from runner.estimation import weights_of
    from runner.grouping import units

    rows, terms = np.arange(len(panel.dates)), model.terms(panel.names)
    weights = weights_of(model, panel, rows)
    estimated = set(fit.coefficients.loc[~fit.coefficients["scope"].isin(["mean"]), "unit"])
    group = [unit for unit in units(panel, rows, model.by) if unit.name in estimated]
    total, seen = np.zeros((len(rows), len(terms))), np.zeros(len(rows), dtype=bool)
    for unit in group:
        pool = _pool(panel, model, unit, weights, fit.params[unit.assets[0]])
        total += _of(pool) / len(group)
        seen |= pool.use.any(axis=1)
    return Influence(pd.DataFrame(total[seen], panel.dates[seen], terms))


def _pool(panel: Panel, model: Regression, unit: Unit, weights: np.ndarray | None, b: np.ndarray) -> Pool:
    """The regression of a unit with its effects, as its robust errors see it."""
    from runner.clusters import Pool
    from runner.estimation import regressors
    from runner.moments import shift_of
    from runner.within import Cells, within

    own = slice(None) if len(unit.assets) == panel.y.shape[1] else unit.assets
    X, y, use = regressors(panel, model.regressors)[:, own], panel.y[:, own], panel.valid[:, own]
    w = None if weights is None else weights[:, own]
    pool = Pool(X, y, use, b, np.empty((0, 0)), w, member=panel.dummies(model.regressors)[own])
    if not model.effects:
        return pool
    left = within(Cells(X, y, use, w), model.effects, shift_of(X, y, use)[0, 0])
    return pool._replace(alpha=left.alpha, delta=left.delta, absorbed=left.absorbed)


def _of(pool: Pool) -> np.ndarray:
    """Influence (T, k): scores summed by date times the inverse of X'X, columns at unit length for its digits."""
    k = len(pool.b)
    scores, moments = np.zeros((len(pool.y), k)), np.zeros((k, k))
    for part, z, u in pool.blocks(slice(0, len(pool.y))):
        moments += np.matmul(z, z.swapaxes(1, 2)).sum(axis=0)
        scores[part] = np.einsum("tkn,tn->tk", z, u)
    length = np.sqrt(np.diag(moments))
    return np.linalg.solve(moments / np.outer(length, length), (scores / length).T).T / length
