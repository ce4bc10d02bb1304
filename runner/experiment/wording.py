"""Words about one report: its target, its calendar and its standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.estimators.settings import RegressionSettings

if TYPE_CHECKING:
    from runner.experiment.report import Report


def target_text(report: Report) -> str:
    """The target with its unit, as an axis or a column names it."""
    panel = report.panel
    return panel.unit.text(panel.horizon)


def is_logit(model: Any) -> bool:
    """Whether the model is a logit of a target of 1 and 0."""
    return isinstance(model, RegressionSettings) and model.estimator == "logit"


def calendar_text(report: Report) -> str:
    """The calendar of the rows with its rows a year, and that of the data where it differs."""
    of_rows = report.panel.calendar.words
    of_data = report.study.market.calendar.words
    if of_rows == of_data:
        return of_rows
    return f"{of_rows} (data: {of_data})"


def errors_in_force(report: Report) -> str:
    """The name of the covariance; empty where it is unknown or differs by unit."""
    quality = report.fit.quality
    if "cov" not in quality:
        return ""
    names = {name for name in quality["cov"].tolist() if isinstance(name, str) and name}
    return names.pop() if len(names) == 1 else ""
