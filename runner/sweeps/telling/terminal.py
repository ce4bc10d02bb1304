"""The jobs of a sweep in the terminal: who is first, and the coefficients side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from runner.record.rundir import called
from runner.sinks.machine import Form
from runner.sinks.telling.console import Page, Sheet
from runner.sinks.terminal import regression_sheet, say
from runner.sweeps.comparison.comparison import MOST_BESIDE
from runner.sweeps.comparison.leaderboard import REMARKS
from runner.sweeps.comparison.texts import value_texts
from runner.sweeps.telling import machine
from runner.text import count, number

if TYPE_CHECKING:
    from runner.schema.regression_table import TableSettings
    from runner.sweeps.comparison.by_unit import ByUnit
    from runner.sweeps.comparison.comparison import Comparison

MOST_JOBS = 15  # of the leaderboard
MOST_SHORT = 10  # the same of what is printed in short
FEW = 4  # jobs whose coefficients are printed in short too
MOST_ROWS = 40  # of coefficients and their errors
LENGTHS = (48, 32, 18)  # characters of a choice, the first that the terminal has room for


def show(
    comparison: Comparison,
    verdict: Sequence[str],
    directory: Path,
    form: Form = "tables",
    term: str | None = None,
    settings: TableSettings | None = None,
) -> None:
    """Print the leaderboard, the coefficients, the caveats, and where the files are.

    In short (`tables`), coefficients of few jobs alone, by unit where a term was asked for, and of
    the verdict its first sentence.

    Args:
        term: of the table by unit; null: the constant where jobs explain, else the first regressor.
        settings: how the regression table is laid out; None: as the spec of the jobs says.
    """
    if form in ("json", "quiet"):
        return say(machine.of_sweep(comparison, verdict, directory), form)
    console = Page()
    wide = console.width
    full = form == "full"
    if comparison.outcomes:
        _show_leaderboard(console, comparison, MOST_JOBS if full else MOST_SHORT, directory)
    if len(comparison.central) and (full or len(comparison.outcomes) <= FEW):
        _show_coefficients(console, comparison, settings, wide, directory)
    if full or term or len(comparison.outcomes) <= FEW:
        _show_units(console, comparison.by_unit(term), comparison, directory)
    console.print()
    console.sentences([*comparison.words, *(verdict if full else verdict[:1])])
    if not full:
        name = called(comparison.plan.directory)
        console.lines([f"Shortened: python -m runner compare {name} --full prints the rest."])
    console.print(f"Files: {directory}")


def _show_leaderboard(console: Page, comparison: Comparison, most: int, directory: Path) -> None:
    """So many of the first jobs."""
    score = comparison.score
    _title(console, f"Leaderboard by {score}" if score else "Jobs, not ranked")
    console.sheet(_leaderboard(comparison, console.width, most))
    more = len(comparison.outcomes) - most
    if more > 0:
        file = directory / "leaderboard.csv"
        console.print(f"{count(more, 'more job')} in {file}")


def _show_coefficients(
    console: Page,
    comparison: Comparison,
    settings: TableSettings | None,
    wide: int,
    directory: Path,
) -> None:
    """The regression table of as many of the first jobs as there is room for, at least one."""
    table = comparison.regression_table(settings)
    if table is None:
        return
    jobs = min(MOST_BESIDE, len(comparison.ranked))
    while jobs > 1 and regression_sheet(table).wide > wide:
        jobs -= 1
        table = comparison.regression_table(settings, jobs) or table
    _title(console, table.title)
    console.sheet(regression_sheet(table))
    more = len([row for row in table.rows() if row.kind != "foot"]) - MOST_ROWS
    if more > 0:
        file = directory / "coefficients.csv"
        console.print(f"{count(more, 'more row')} of coefficients in {file}")
    console.sentences([*table.notes, table.source])


def _show_units(
    console: Page, units: ByUnit | None, comparison: Comparison, directory: Path
) -> None:
    """A term of each unit under the first jobs, as many units as the terminal is given."""
    if units is None:
        return
    jobs = [outcome.job.number for outcome in comparison.ranked[:MOST_BESIDE]]
    texts = units.texts(jobs)
    _title(
        console,
        f"{units.term} by asset or group (t in brackets; stars by p-values adjusted by Holm)",
    )
    table = Sheet((str(name), name == "unit") for name in texts)
    for row in texts.head(MOST_ROWS).itertuples(index=False):
        table.add_line(map(str, row))
    console.sheet(table)
    more = len(texts) - MOST_ROWS
    if more > 0:
        file = directory / "by_unit.csv"
        console.print(f"{count(more, 'more unit')} in {file}")
    console.sentences(units.words)


def _title(console: Page, text: str) -> None:
    """Print the title of a table."""
    console.print(f"\n{text}", style="bold")


def _leaderboard(comparison: Comparison, wide: int, most_jobs: int) -> Sheet:
    """The first jobs; choices are cut where the terminal is too narrow for them."""
    board = comparison.leaderboard.head(most_jobs)
    of_text = [name for name in board if name in comparison.names or name in REMARKS]
    for most in LENGTHS:
        table = Sheet((str(name), name in of_text) for name in board)
        columns: list[Sequence[str]] = []
        for name in board:
            values = board[name].tolist()
            if name in of_text:
                columns.append(value_texts(values, most))
            else:
                columns.append([_figure(str(name), value) for value in values])
        for row in zip(*columns, strict=True):
            table.add_line(row)
        if table.wide <= wide:
            break
    return table


def _figure(name: str, value: object) -> str:
    """A number of the leaderboard as its column has it."""
    if name in ("rank", "job"):
        return "–" if value is None or str(value) == "<NA>" else str(value)
    figure = float(str(value))
    if name.endswith("n_obs") and not isnan(figure):
        return f"{figure:,.0f}"
    return number(figure)
