"""Cautions on standard errors: what they take as independent, where that is likely wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.estimators.few_clusters import ENOUGH, few_clusters, what_helps
from runner.estimators.settings import RegressionSettings
from runner.estimators.standard_errors import ERRORS, called, suited
from runner.experiment.wording import errors_in_force, is_logit
from runner.text import count, per_unit, plural, unit_noun

if TYPE_CHECKING:
    from runner.experiment.report import Report


def cautions(report: Report, of_mean: bool = True) -> list[str]:
    """What the standard errors of a run assume, a sentence for each assumption likely wrong.

    Args:
        of_mean: whether those of means over assets are meant too.
    """
    coefficients = report.fit.coefficients
    estimates = per_unit(coefficients)
    has_estimate = estimates["estimate"].notna()
    estimates = estimates[has_estimate]
    noun = unit_noun(estimates)
    errors = errors_in_force(report)
    has_tests = bool(estimates["p_value"].notna().any())
    if noun == "date" or not errors or not has_tests:
        return []
    sentences = []
    if of_mean and "mean" in set(coefficients["scope"]):
        sentences.append(
            f"The t-statistic of a mean treats {plural(noun)} as independent; "
            "common shocks would make it too large."
        )
    is_pooled = noun != "asset" and len(report.panel.assets) > 1
    if is_pooled and not _allows_for_dates(report, errors):
        sentences.append(
            f"{_first(errors)} standard errors treat the assets of a date as independent; "
            f"common shocks would make t too large{_instead(report, 'date')}."
        )
    return [*sentences, *_on_overlap(report, errors, noun), *_on_few_clusters(report, errors, noun)]


def _on_overlap(report: Report, errors: str, noun: str) -> list[str]:
    """What targets that overlap do to the errors, where these do not allow for it."""
    horizon = report.panel.horizon
    if horizon < 2 or _allows_for_overlap(report, errors):
        return []
    if _allows_for_lags(errors):
        lags = count(_fewest_lags(report), "lag")
        return [
            f"Targets over {horizon} rows overlap beyond the {lags} of the {called(errors)} "
            "standard errors: "
            f"t is likely too large; use model.cov_lags={horizon - 1}."
        ]
    if noun == "asset":
        lagged = suited("asset", lambda kind: kind.serial)
        instead = f"; use model.cov={lagged}"
    else:
        instead = _instead(report, "asset")
    return [
        f"Targets over {horizon} rows overlap, which {called(errors)} standard errors ignore: "
        f"t is likely too large{instead}."
    ]


def _on_few_clusters(report: Report, errors: str, noun: str) -> list[str]:
    """That tests reject too often where they rest on few clusters, and what helps."""
    few = few_clusters(report.fit.quality)
    model = report.study.model
    if few is None or not isinstance(model, RegressionSettings):
        return []
    panel = report.panel
    where = few.words
    regressions = len(report.fit.quality)
    if regressions > 1:
        which = f"{few.units:,} of {count(regressions, noun)}"
        where = f"as few as {few.words} in {which} ({few.unit})"
    dates = int((panel.usable_by_date > 0).sum())
    helps = what_helps(model, few, dates, panel.horizon)
    return [
        f"{_first(errors)} standard errors rest on {where}: with fewer than {ENOUGH} clusters "
        f"tests reject too often (Cameron and Miller 2015); {helps}."
    ]


def _first(errors: str) -> str:
    """The name of these errors where a sentence begins."""
    name = called(errors)
    return name[0].upper() + name[1:]


def _clusters(report: Report) -> list[str]:
    model = report.study.model
    if not isinstance(model, RegressionSettings):
        return []
    return model.clusters


def _allows_for_lags(errors: str) -> bool:
    return errors in ERRORS and ERRORS[errors].serial


def _fewest_lags(report: Report) -> int:
    return int(report.fit.quality["cov_lags"].min())


def _allows_for_dates(report: Report, errors: str) -> bool:
    """Whether the errors allow for shocks that the assets of a date share."""
    if errors in ERRORS and ERRORS[errors].shocks:
        return True
    return "date" in _clusters(report)


def _allows_for_overlap(report: Report, errors: str) -> bool:
    """Whether the errors allow for targets of an asset that overlap.

    Clusters of assets do: they hold all rows of an asset.
    """
    if _allows_for_lags(errors):
        fewest = report.fit.quality["cov_lags"].min()
        return bool(fewest >= report.panel.horizon - 1)
    clusters = set(_clusters(report))
    return not clusters <= {"date"}


def _instead(report: Report, cluster: str) -> str:
    """What pooled errors to use; those of a logit cannot be summed by date and lagged."""
    if not is_logit(report.study.model):
        by_date = suited("pooled", lambda kind: kind.shocks and kind.serial)
        without = " model.clusters=[]" if _clusters(report) else ""
        return f"; use model.cov={by_date}{without}"
    clustered = suited("pooled", lambda kind: kind.clustered)
    clusters = "[asset,date]" if _clusters(report) else f"[{cluster}]"
    return f"; use model.cov={clustered} model.clusters={clusters}"
