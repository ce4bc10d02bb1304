"""Which standard errors support a verdict: those that allow for what the data share."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from runner.estimators.standard_errors import ERRORS, called

if TYPE_CHECKING:
    from runner.estimators.settings import RegressionSettings
    from runner.panels.panel import Panel


def distrust(
    cov: str, clusters: Collection[str], lags: int | None, horizon: int, are_groups: bool
) -> str:
    """Why p-values of regressions of assets or groups support no verdict; empty where they do.

    Args:
        cov, clusters, lags: the settings `cov`, `clusters` and `cov_lags` of the model.
        horizon: rows that the target looks ahead.
        are_groups: whether a regression holds several assets.
    """
    errors = ERRORS.get(cov)
    if errors is None:
        return ""
    enough_lags = errors.serial and (lags is None or lags >= horizon - 1)
    allows_overlap = horizon < 2 or enough_lags or bool(set(clusters) - {"date"})
    if not allows_overlap and errors.serial:
        few = f"{called(cov)} standard errors have too few lags"
        return f"{few} for targets over {horizon} rows, which overlap"
    if not allows_overlap:
        return f"{called(cov)} standard errors ignore that targets over {horizon} rows overlap"
    allows_dates = not are_groups or errors.shocks or "date" in clusters
    if not allows_dates:
        return f"{called(cov)} standard errors treat the assets of a date as independent"
    return ""


def distrust_of_fit(model: RegressionSettings, panel: Panel, lags: np.ndarray) -> str:
    """The same of a model that was fitted on a panel, also of the mean over its dates.

    Args:
        lags: (U,) of the errors of each regression, NaN without.
    """
    from runner.estimators.settings import ESTIMATORS

    if ESTIMATORS[model.estimator].own_errors:
        return ""
    horizon = panel.horizon
    if model.by == "date":
        short = model.mean_lags is not None and model.mean_lags < horizon - 1
        errors = f"errors of the mean over dates with model.mean_lags={model.mean_lags}"
        return f"{errors} ignore that targets over {horizon} rows overlap" if short else ""
    known = lags[np.isfinite(lags)]
    fewest = int(known.min()) if len(known) else model.cov_lags
    several = model.by != "asset" and len(panel.assets) > 1
    return distrust(model.cov, model.clusters, fewest, horizon, several)


def of_mean(noun: str) -> str:
    """Why a mean over assets or groups bears no stars."""
    return f"the standard error of a mean over {noun}s treats them as independent"
