"""The estimates of a regression as tables, the test of all constants, and the errors in words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from runner.errors import DataError
from runner.estimators.estimates import Estimates
from runner.estimators.estimation import weighted
from runner.estimators.settings import ESTIMATORS
from runner.estimators.standard_errors import ERRORS
from runner.estimators.trust import distrust_of_fit
from runner.models.fit import (
    HYPOTHESES,
    Fit,
    coefficient_table,
    hypothesis_table,
    mean_group,
    quality_table,
    refuse_nothing,
)
from runner.models.pricing import GRS, price_every_asset
from runner.numerics.covariance import default_cosines, default_lags
from runner.panels.panel import Panel
from runner.panels.units import DATE, Unit, per_asset
from runner.text import count

if TYPE_CHECKING:
    from runner.estimators.settings import RegressionSettings


def as_fit(model: RegressionSettings, estimates: Estimates, panel: Panel, rows: np.ndarray) -> Fit:
    """What was estimated on these rows, as tables.

    Raises:
        DataError: every unit has too few rows; as many lags of the mean as dates.
        EstimationError: no unit could be estimated.
    """
    refuse_nothing(estimates)
    if not model.constant and not model.absorbed:
        tss_mean = _about_mean(model, panel, rows, estimates.units)
        estimates = replace(estimates, tss_mean=tss_mean)
    terms = model.terms(panel.names)
    confidence = model.confidence
    lags, cosines = _over_units(model, int(estimates.estimated.sum()), panel.horizon)
    coefficients = coefficient_table(estimates, terms, confidence)
    path = estimates.b[estimates.estimated]
    mean = mean_group(path, terms, confidence, lags, cosines)
    has_mean = len(mean) > 0
    if has_mean:
        coefficients = pd.concat([coefficients, mean], ignore_index=True)
    tested = hypothesis_table(estimates, model.hypotheses, terms, panel.horizon)
    grs = _grs(model, estimates, panel, rows)
    own_errors = _covariance_in_words(model, estimates.lags)
    errors = _errors_in_words(model, own_errors, has_mean, lags, cosines)
    errors += _zeroed_in_words(estimates)
    doubt = distrust_of_fit(model, panel, estimates.lags)
    return Fit(
        coefficients,
        quality_table(estimates, model.cov, model.clusters or [DATE], doubt),
        pd.concat([tested, grs], ignore_index=True),
        per_asset(estimates.b, estimates.units, len(panel.assets)),
        errors,
        estimates.asset_effects,
        estimates.date_effects,
        estimates.label_effects,
        findings=estimates.findings,
        confidence=confidence,
    )


def _about_mean(
    model: RegressionSettings, panel: Panel, rows: np.ndarray, group: list[Unit]
) -> np.ndarray:
    """Sums of squares (U,) of the target about its mean, both weighted as the regressions are."""
    cells = weighted(model, panel, rows).cells
    tss = np.full(len(group), np.nan)
    for u, unit in enumerate(group):
        used = cells.used(unit.rows, unit.assets)
        y = used.y
        if not len(y):
            continue
        own = used.weights
        total = len(y) if own is None else own.sum()
        deviation = y - np.average(y, weights=own)
        tss[u] = np.average(deviation**2, weights=own) * total
    return tss


def _over_units(model: RegressionSettings, dates: int, horizon: int) -> tuple[int, int]:
    """Lags or cosines for the mean over units: over dates the rule, over assets and groups neither.

    Raises:
        DataError: as many lags as dates.
    """
    if model.by != "date" or dates < 2:
        return 0, 0
    if model.mean_lags is None:
        if horizon > 1:
            return 0, default_cosines(dates, horizon)
        return default_lags(dates, horizon), 0
    if model.mean_lags >= dates:
        raise DataError(
            f"model.mean_lags: {model.mean_lags} given with {dates} dates; "
            "allowed: less than the dates"
        )
    return model.mean_lags, 0


def _grs(
    model: RegressionSettings, estimates: Estimates, panel: Panel, rows: np.ndarray
) -> pd.DataFrame:
    """The test that every constant is zero, one row; or the reason why it cannot be made.

    No row unless least squares by asset has several assets.
    """
    columns = ["scope", "unit", *HYPOTHESES]
    if model.by != "asset" or model.estimator != "ols" or len(panel.assets) < 2:
        return pd.DataFrame(columns=columns)
    row: dict[str, object] = {"scope": "pooled", "unit": "all", "hypothesis": GRS}
    if not model.constant:
        return pd.DataFrame([row | {"reason": "there is no constant"}], columns=columns)
    if model.weights is not None:
        return pd.DataFrame([row | {"reason": "rows are weighted"}], columns=columns)
    missing = [panel.assets[i] for i in np.flatnonzero(~estimates.estimated)]
    slopes = model.terms(panel.names)[1:]
    priced = price_every_asset(panel, rows, slopes, missing)
    row |= {"hypothesis": priced.name, "reason": priced.reason}
    if priced.result is not None:
        row |= priced.result._asdict()
    return pd.DataFrame([row], columns=columns)


def _errors_in_words(
    model: RegressionSettings, covariance: str, mean: bool, lags: int, cosines: int
) -> str:
    """The covariance with its conventions, and where it comes from in the mean over units."""
    if not mean:
        return covariance
    if cosines:
        words = (
            f"equal-weighted cosines over dates, {cosines} of them, t({cosines}), "
            "as targets overlap"
        )
    elif lags:
        words = f"Newey-West over dates, {lags} lags, no small-sample factor"
    else:
        units = {"date": "dates", "asset": "assets"}.get(model.by or "", "groups")
        words = f"standard deviation across {units} / root of their number"
    return f"{covariance}; of the mean: {words}"


def _covariance_in_words(model: RegressionSettings, of_units: np.ndarray) -> str:
    """The covariance of the estimates of each unit, with its conventions.

    Args:
        of_units: (U,) lags of each unit, NaN without.
    """
    behind = ESTIMATORS[model.estimator]
    if behind.penalised:
        return f"none, {model.estimator} is biased on purpose"
    if behind.own_errors:
        return behind.own_errors
    logit = model.estimator == "logit"
    errors = ERRORS[model.cov]
    different = np.unique(of_units[np.isfinite(of_units)])
    lags = "lags per unit in quality.csv"
    if len(different) == 1:
        lags = count(int(different[0]), "lag")
    words = errors.words(model.cov, lags, model.clusters, logit)
    if not model.absorbed:
        return words
    nested = ""
    if errors.clustered:
        nested = " unless they are of one kind and nested in the clusters"
    return f"{words}, k counts the effects{nested}"


def _zeroed_in_words(estimates: Estimates) -> str:
    """How many negative eigenvalues of the covariances were set to zero, and what that leaves.

    Empty without.
    """
    zeroed = int((estimates.zeroed > 0).sum())
    if not zeroed:
        return ""
    units = len(estimates.units)
    where = f" in {zeroed} of {units} regressions" if units > 1 else ""
    k = estimates.b.shape[1]
    rank = k - int(estimates.zeroed.max())
    return (
        f"; negative eigenvalues of the two-way covariance set to zero{where} "
        f"(Cameron, Gelbach and Miller 2011), which leaves rank {rank} of {k}: "
        "more restrictions are not tested together"
    )
