"""The tables of papers of one run: on its page, and as files in its folder `tables`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runner.experiment.settings import table_settings
from runner.record.csvfile import write_table
from runner.schema.regression_table import TableSettings
from runner.sinks.paper.layout import regression_table
from runner.sinks.paper.runs import of_report
from runner.sinks.paper.statistics import Statistics, statistics
from runner.sinks.paper.table import RegressionTable
from runner.sinks.paper.written.files import write_regression

if TYPE_CHECKING:
    from runner.experiment.report import Report

FOLDER = "tables"


class Paper(NamedTuple):
    """The tables of papers of a run.

    Attributes:
        settings: how they are laid out.
        regression: None where the run has no coefficients.
        statistics: None where it has no usable cell.
    """

    settings: TableSettings
    regression: RegressionTable | None
    statistics: Statistics | None


def paper_of(report: Report) -> Paper:
    """The tables of papers of a run.

    Raises:
        SpecError: settings `table` that do not suit its coefficients.
    """
    settings = table_settings(report.spec)
    return Paper(settings, regression_of(report), statistics(report.panel))


def regression_of(report: Report) -> RegressionTable | None:
    """The regression table of a run; None where it has no coefficients.

    Raises:
        SpecError: settings `table` that do not suit its coefficients.
    """
    settings = table_settings(report.spec)
    return regression_table([of_report(report)], settings, f"run {report.name}")


def write(paper: Paper, directory: Path) -> None:
    """Write the tables to the folder `tables` of a directory."""
    folder = directory / FOLDER
    folder.mkdir(exist_ok=True)
    if paper.statistics is not None:
        write_table(paper.statistics.descriptive, folder / "descriptive.csv")
        write_table(paper.statistics.correlations, folder / "correlations.csv")
    if paper.regression is not None:
        write_regression(paper.regression, paper.settings.formats, folder)
