"""Which p-values bear a star: those whose standard errors allow for what the data share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.estimators.standard_errors import ERRORS, called


def distrust(model: Mapping[str, Any], horizon: int, are_groups: bool, few: str) -> str:
    """Why the p-values of the assets or groups of a run bear no stars; empty where they do.

    Args:
        model: the settings `model` of its spec.
        horizon: rows that the target looks ahead.
        are_groups: whether a regression holds several assets.
        few: how few clusters it rests on, in words; empty where they are enough.
    """
    name = str(model.get("cov"))
    errors = ERRORS.get(name)
    if errors is None:
        return ""
    clusters = set(model.get("clusters") or [])
    lags = model.get("cov_lags")
    enough_lags = errors.serial and (lags is None or lags >= horizon - 1)
    allows_overlap = horizon < 2 or enough_lags or bool(clusters - {"date"})
    if not allows_overlap:
        return f"{called(name)} standard errors ignore that targets over {horizon} rows overlap"
    allows_dates = not are_groups or errors.shocks or "date" in clusters
    if not allows_dates:
        return f"{called(name)} standard errors treat the assets of a date as independent"
    return f"{called(name)} standard errors rest on {few}" if few else ""


def of_mean(noun: str) -> str:
    """Why a mean over assets or groups bears no stars."""
    return f"the standard error of a mean over {noun}s treats them as independent"
