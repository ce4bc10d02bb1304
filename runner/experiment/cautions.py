"""Cautions on standard errors: what they take as independent, where that is likely wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.estimators.standard_errors import ERRORS
from runner.experiment.wording import errors_in_force
from runner.text import count, per_unit, plural, unit_noun

if TYPE_CHECKING:
    from runner.experiment.report import Report


def cautions(report: Report) -> list[str]:
    """What the standard errors of a run assume, a sentence for each assumption that is likely
    wrong.
    """
    table = per_unit(report.fit.coefficients)
    table = table[table["estimate"].notna()]
    found, noun, scopes = [], unit_noun(table), set(report.fit.coefficients["scope"])
    errors = errors_in_force(report)
    tested = noun != "date" and bool(errors) and bool(table["p_value"].notna().any())
    if "mean" in scopes and tested:
        found.append(
            f"The t of a mean takes {plural(noun)} as independent; shared shocks would make it too large."
        )
    if not tested:
        return found
    if noun != "asset" and len(report.panel.assets) > 1 and not _allows_for_dates(report, errors):
        risk = "shared shocks would make t too large"
        found.append(
            f"{errors} errors take the assets of a date as independent; {risk}{_instead(report, 'date')}."
        )
    return found + _on_overlap(report, errors, noun)


def _on_overlap(report: Report, errors: str, noun: str) -> list[str]:
    """What targets that overlap do to the errors, where these do not allow for it."""
    ahead = report.panel.horizon
    if ahead < 2 or _allows_for_overlap(report, errors):
        return []
    if errors in ERRORS and ERRORS[errors].serial:
        lags = int(report.fit.quality["cov_lags"].min())
        few = f"beyond the {count(lags, 'lag')} of the {errors} errors"
        return [
            f"Targets over {ahead} rows overlap {few}: t is likely too large; use model.cov_lags={ahead - 1}."
        ]
    instead = "; use model.cov=HAC" if noun == "asset" else _instead(report, "asset")
    return [
        f"Targets over {ahead} rows overlap, which {errors} errors ignore: t is likely too large{instead}."
    ]


def _clusters(report: Report) -> list[str]:
    return list((report.spec.get("model") or {}).get("clusters") or [])


def _allows_for_dates(report: Report, errors: str) -> bool:
    """Whether the errors allow for shocks that the assets of a date share."""
    shocks = errors in ERRORS and ERRORS[errors].shocks
    return shocks or "date" in _clusters(report)


def _allows_for_overlap(report: Report, errors: str) -> bool:
    """Whether the errors allow for targets of an asset that overlap: clusters of assets hold all
    of its rows.
    """
    if errors in ERRORS and ERRORS[errors].serial:
        return bool(report.fit.quality["cov_lags"].min() >= report.panel.horizon - 1)
    return not set(_clusters(report)) <= {"date"}


def _instead(report: Report, cluster: str) -> str:
    """What pooled errors to use; those of a logit cannot be summed by date and lagged."""
    logit = (report.spec.get("model") or {}).get("estimator") == "logit"
    clustered = f"model.cov=cluster model.clusters={'[asset,date]' if _clusters(report) else f'[{cluster}]'}"
    return f"; use {clustered if logit else 'model.cov=driscoll_kraay'}"
