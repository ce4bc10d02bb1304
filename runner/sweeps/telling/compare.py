"""The comparison of a sweep: printed, and written to the directory `report` of the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from runner.errors import RunnerError, SpecError
from runner.experiment.settings import table_settings
from runner.sinks.machine import Form
from runner.sinks.paper.table import RegressionTable
from runner.sinks.paper.written.latex import latex
from runner.sinks.paper.written.markdown import markdown
from runner.sweeps.comparison import tested
from runner.sweeps.comparison.comparison import Comparison, compared
from runner.sweeps.plan import Plan
from runner.sweeps.telling import page as sweep_page
from runner.sweeps.telling import terminal as sweep_terminal

if TYPE_CHECKING:
    from runner.trials.verdict import Verdict

UNJUDGED = sweep_page.Verdict()


def compare(
    plan: Plan,
    *,
    score: str | None = None,
    term: str | None = None,
    heat: tuple[str, str] | None = None,
    verdict: sweep_page.Verdict = UNJUDGED,
    table: Mapping[str, Any] = MappingProxyType({}),
    form: Form | Literal["csv", "latex", "markdown"] = "tables",
) -> Comparison:
    """Write the comparison of the finished jobs to `report` of the sweep, and print it.

    Args:
        score: that ranks; null: that of the sweep, or what the jobs have instead, which is
            reported.
        term: of the specification curve and of the table by unit; null: the first tested terms,
            and the constant where jobs explain.
        heat: two keys of the heat map; null: those that differ, where two do.
        verdict: what tests of all jobs together say.
        table: settings of the regression table beside those of the jobs.
        form: printed as `tables`, `json` (one object), `csv` (the leaderboard), `latex` or
            `markdown` (the regression table), or `quiet`, not at all.

    Raises:
        SpecError: no job has the score or the term, a key does not differ, or settings of the table
            do not suit the jobs; nothing was written.
        DataError: a run directory lacks a file. RunnerError: the comparison was printed, and
            could not be written.
    """
    comparison = compared(plan, score)
    directory = plan.directory / "report"
    settings = table_settings(comparison.spec, table)
    regression = comparison.regression_table(settings)
    trouble = None
    try:
        sweep_page.write(comparison, directory, term, heat, verdict, regression, settings.formats)
    except OSError as error:  # what was read is still printed
        problem = error.strerror or error
        trouble = RunnerError(f"sweep {plan.name}: cannot write {str(directory)!r}: {problem}")
    if form == "csv":
        print(comparison.leaderboard.to_csv(index=False), end="")
    elif form == "latex":
        text = latex(_printable(regression))
        print(text, end="")
    elif form == "markdown":
        print(markdown(_printable(regression)), end="")
    else:
        sweep_terminal.show(comparison, verdict, directory, form, term, settings)
    if trouble is not None:
        raise trouble
    return comparison


def judge_and_compare(plan: Plan, **asked: Any) -> Comparison:
    """The comparison as `compare` makes it, with the verdict on all finished jobs.

    Raises:
        SpecError, DataError, RunnerError: as `compare`.
    """
    return compare(plan, verdict=as_shown(tested.verdict(plan)), **asked)


def as_shown(judged: Verdict | None) -> sweep_page.Verdict:
    """A verdict on all jobs as pages show it; empty where there is none."""
    if judged is None:
        return UNJUDGED
    tables = {"tests": judged.tests, "strategies": judged.strategies}
    filled = {name: table for name, table in tables.items() if len(table)}
    return sweep_page.Verdict(judged.sentences, judged.notes, filled)


def _printable(regression: RegressionTable | None) -> RegressionTable:
    """The table.

    Raises:
        SpecError: there is none.
    """
    if regression is None:
        raise SpecError("compare: no finished job has coefficients for a regression table")
    return regression
