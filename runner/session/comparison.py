"""Runs beside each other: leaderboard, coefficients side by side, on the rows that all forecast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from runner.errors import SpecError
from runner.experiment.settings import table_settings
from runner.record.identity import family_key
from runner.session.report import Report
from runner.sinks.paper.table import RegressionTable
from runner.sinks.paper.written.latex import latex
from runner.sinks.paper.written.markdown import markdown
from runner.sweeps.comparison.comparison import compared
from runner.sweeps.plan import Job, Plan
from runner.sweeps.settings import Sweep

if TYPE_CHECKING:
    import pandas as pd

FORMS: dict[str, Callable[[RegressionTable], str]] = {"latex": latex, "markdown": markdown}
UNCOUNTED = (
    "The verdict pays for these runs alone: other trials on this data and target are not counted."
)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Runs beside each other.

    Attributes:
        reports: the finished runs by their number in the tables.
        leaderboard: rank, job, the score that ranks, the settings that differ, further scores.
        coefficients: job, unit, term, estimate, std_error, t_stat, p_value, ci_low, ci_high.
        side_by_side: the regression table of the best runs as texts, a column per run.
        by_unit: assets or groups in rows; per run the estimate, t, p and p adjusted by Holm over
            the whole table, of the constant where runs explain the same row (an alpha where every
            regressor is a return), else of the first regressor; empty without such units.
        failures: job, the settings that differ, outcome and reason, of runs without results.
        notes: what one must know before comparing, a sentence each.
        verdict: what survives once all tests are paid for; empty where nothing was judged.
        tests: the tests behind the verdict, one row each; empty where nothing was judged.
    """

    reports: dict[int, Report]
    leaderboard: pd.DataFrame
    coefficients: pd.DataFrame
    side_by_side: pd.DataFrame
    by_unit: pd.DataFrame
    failures: pd.DataFrame
    notes: tuple[str, ...]
    verdict: str
    tests: pd.DataFrame

    @property
    def best(self) -> Report:
        """The run of rank 1."""
        return self.reports[int(self.leaderboard["job"].iloc[0])]

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.reports)} runs, {len(self.failures)} without results>"

    def _repr_html_(self) -> str:
        from runner.session.html import comparison_html

        return comparison_html(
            f"{len(self.reports)} runs compared",
            self.verdict,
            self.leaderboard,
            self.side_by_side,
            self.failures,
            self.notes,
        )


def of_plan(plan: Plan, reports: dict[int, Report], score: str | None) -> Comparison:
    """The finished jobs of a plan, judged and compared.

    Raises:
        SpecError: no run has the score, or a term that sweep.tests names.
    """
    import pandas as pd

    from runner.sweeps.comparison.tested import verdict

    judged = verdict(plan)
    words = () if judged is None else (*judged.notes, UNCOUNTED)
    table = compared(plan, score)
    units = table.by_unit()
    by_unit_words = () if units is None else units.words
    return Comparison(
        reports=reports,
        leaderboard=table.leaderboard,
        coefficients=table.coefficients,
        side_by_side=table.side_by_side(),
        by_unit=pd.DataFrame() if units is None else units.table,
        failures=table.failures,
        notes=(*words, *table.words, *by_unit_words),
        verdict="" if judged is None else judged.sentence,
        tests=pd.DataFrame() if judged is None else judged.tests,
    )


def of_reports(reports: Sequence[Report], score: str | None) -> Comparison:
    """Runs that were made or loaded one by one.

    Raises:
        SpecError: fewer than two runs; no run has the score.
    """
    with _plan_of(reports) as plan:
        numbered = dict(enumerate(reports))
        return of_plan(plan, numbered, score)


def print_table(names: Sequence[str], given: Mapping[str, Any], form: str) -> None:
    """Print the regression table of several runs, in their order; nothing is written.

    Args:
        names: their directories.
        given: settings of the table beside those of the first run.
        form: markdown or latex.

    Raises:
        SpecError: another form; settings that do not suit the runs.
        DataError: a directory is no run directory.
    """
    if form not in FORMS:
        raise SpecError(f"compare: given {len(names)} names; allowed: one, or runs with --table")
    reports = [Report.read(Path(name)) for name in names]
    with _plan_of(reports) as plan:
        comparison = compared(plan)
        settings = table_settings(comparison.spec, given)
        table = comparison.regression_table(settings, len(reports))
    if table is None:
        raise SpecError("compare: no run has coefficients for a regression table")
    print(FORMS[form](table), end="")


@contextmanager
def _plan_of(reports: Sequence[Report]) -> Iterator[Plan]:
    """The runs as the jobs of a sweep that is there for the while.

    Raises:
        SpecError: fewer than two runs.
    """
    if len(reports) < 2:
        given = len(reports)
        raise SpecError(f"compare: given {given} run; allowed: two or more")
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        jobs = [
            _placed(report, number, directory / str(number))
            for number, report in enumerate(reports)
        ]
        yield Plan(
            directory=directory,
            settings=Sweep(),
            configs=(None, None, None),
            words=(),
            fixed=(),
            axes=(),
            jobs=tuple(jobs),
            tracking={},
            ledger=str(directory / "ledger.db"),
        )


def _placed(report: Report, number: int, place: Path) -> Job:
    """A job whose run directory is that of the report, or is written for the while."""
    from runner.sinks import files

    if report.source is None:
        place.symlink_to(Path(str(report.directory)).resolve(), target_is_directory=True)
    else:
        place.mkdir()
        files.write(report.source, place)
    fingerprint = str(report.about["fingerprint"])
    chosen_options = report.about.get("chosen")
    chosen = chosen_options or {}
    return Job(
        number=number,
        differs=tuple(f"{group}={option}" for group, option in chosen.items()),
        overrides=(),
        spec=report.spec,
        fingerprint=fingerprint,
        key=str(report.about["job"]),
        # runs of earlier versions have no digest of their rows by themselves
        family=family_key(report.spec, str(report.about.get("sample", fingerprint))),
        chosen=chosen,
    )
