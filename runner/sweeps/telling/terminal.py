"""The jobs of a sweep in the terminal: who is first, and the coefficients side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from runner.record.rundir import called
from runner.schema.regression_table import TableSettings
from runner.sinks.machine import Form
from runner.sinks.telling.console import Page, Sheet
from runner.sinks.terminal import regression_sheet, say, turned_sheet
from runner.sweeps.comparison.comparison import MOST_BESIDE
from runner.sweeps.comparison.leaderboard import REMARKS
from runner.sweeps.comparison.texts import value_texts
from runner.sweeps.telling import machine
from runner.sweeps.telling.answer import best_of
from runner.text import count, number

if TYPE_CHECKING:
    from runner.sinks.paper.table import RegressionTable
    from runner.sweeps.comparison.by_unit import ByUnit
    from runner.sweeps.comparison.comparison import Comparison
    from runner.sweeps.telling.page import Verdict

MOST_JOBS = 15  # of the leaderboard
MOST_SHORT = 10  # the same of what is printed in short
MOST_LINES = 22  # of what is printed in short, before where the rest is
TITLED = 3  # lines of a table beside its rows: an empty one, the title and the heading
FEW = 4  # jobs whose coefficients are printed in short too
MOST_ROWS = 40  # of coefficients and their errors
PLAIN = TableSettings()
BRACKETS = {"se": "standard errors", "t": "t-statistics", "ci": "confidence intervals"}
LENGTHS = (48, 32, 18)  # characters of a choice, the first that the terminal has room for


def show(
    comparison: Comparison,
    verdict: Verdict,
    directory: Path,
    form: Form = "tables",
    term: str | None = None,
    settings: TableSettings = PLAIN,
) -> None:
    """Print the leaderboard, the coefficients, the caveats, and where the files are.

    All of it, or in short (`tables`): which job is best and what survives, the leaderboard, the
    coefficients of few jobs, and the caveats that there is room for, in some 25 lines.

    Args:
        term: of the table by unit; null: the constant where jobs explain, else the first regressor.
        settings: how the regression table is laid out.
    """
    if form in ("json", "quiet"):
        return say(machine.of_sweep(comparison, verdict, directory), form)
    console = Page()
    if form == "tables":
        _show_short(console, comparison, verdict, directory, term, settings)
        return
    if comparison.outcomes:
        _show_leaderboard(console, comparison, directory, in_short=False)
    if len(comparison.central):
        _show_coefficients(console, comparison, settings, console.width, directory)
    units = comparison.by_unit(term)
    if units is not None:
        _show_units(console, units, _units_sheet(units, comparison), directory)
        console.sentences(units.words)
    console.print()
    best = best_of(comparison, verdict.tables)
    console.sentences([*best, *comparison.caveats, *verdict.sentences, *verdict.notes])
    console.print(f"Files: {directory}")


def _show_short(
    console: Page,
    comparison: Comparison,
    verdict: Verdict,
    directory: Path,
    term: str | None,
    settings: TableSettings,
) -> None:
    """The answer, the leaderboard, few jobs' coefficients, and caveats that there is room for."""
    answer = [*best_of(comparison, verdict.tables), *verdict.sentences[:1]]
    lines = [line for sentence in answer for line in console.wrapped(sentence)]
    for line in lines:
        console.print(line)
    printed = len(lines)
    if comparison.outcomes:
        printed += _show_leaderboard(console, comparison, directory, in_short=True)
    is_few = len(comparison.outcomes) <= FEW
    caveats = comparison.caveats
    units = comparison.by_unit(term) if term or is_few else None
    if units is not None:
        caveats = [*caveats, *units.words]
        shown = _units_sheet(units, comparison)
        if term or shown.row_count + TITLED <= MOST_LINES - printed:
            printed += _show_units(console, units, shown, directory)
    if is_few:
        printed += _show_few(console, comparison, settings, MOST_LINES - printed)
    left = _show_caveats(console, caveats, MOST_LINES - printed)
    left += len(verdict.sentences[1:]) + len(verdict.notes)
    more = f" ({count(left, 'more sentence')})" if left else ""
    name = called(comparison.plan.directory)
    console.lines([f"Shortened{more}: python -m runner compare {name} --full prints all."])
    console.print(f"Files: {directory}")


def _show_caveats(console: Page, caveats: Sequence[str], room: int) -> int:
    """The first sentence and those that there are lines enough for; how many were left out."""
    left = 0
    for place, caveat in enumerate(caveats):
        wrapped = console.wrapped(caveat)
        if place and len(wrapped) > room:
            left += 1
            continue
        for line in wrapped:
            console.print(line)
        room -= len(wrapped)
    return left


def _show_leaderboard(
    console: Page, comparison: Comparison, directory: Path, in_short: bool
) -> int:
    """So many of the first jobs; how many lines it took."""
    score = comparison.score
    _title(console, f"Leaderboard by {score}" if score else "Jobs, not ranked")
    most = MOST_SHORT if in_short else MOST_JOBS
    board = _leaderboard(comparison, console.width, most)
    if in_short:
        _fit(board, comparison, console.width)
    console.sheet(board)
    printed = board.row_count + TITLED
    more = len(comparison.outcomes) - most
    if more > 0:
        file = directory / "leaderboard.csv"
        console.print(f"{count(more, 'more job')} in {file}")
        printed += 1
    return printed


def _show_few(console: Page, comparison: Comparison, settings: TableSettings, room: int) -> int:
    """The coefficients of few jobs, a row each, where they fit; how many lines it took."""
    table = comparison.regression_table(settings)
    if table is None or len(table.panels) > 1:
        return 0
    jobs = sorted(outcome.job.number for outcome in comparison.ranked)
    labels = [f"job {job}" for job in jobs]
    if len(labels) != len(table.headings):
        return 0
    brackets: str = settings.brackets
    sheet = turned_sheet(table, labels, True, ())
    if sheet.wide > console.width:
        brackets = ""
        sheet = turned_sheet(table, labels, False, ())
    if sheet.wide > console.width or sheet.row_count + TITLED > room:
        return 0
    legend = [table.title, *_legend(table, brackets)]
    _title(console, "; ".join(legend))
    console.sheet(sheet)
    return sheet.row_count + TITLED


def _legend(table: RegressionTable, brackets: str) -> list[str]:
    """What stands in brackets and what stars are of, those that the table has."""
    cells = [cell for line in table.panels[0].lines for cell in line.cells]
    parts = []
    if brackets and any(cell.bracket for cell in cells):
        parts.append(f"{BRACKETS[brackets]} in brackets")
    if any(cell.stars for cell in cells):
        parts.append("stars by p-values adjusted by Holm")
    return parts


def _show_coefficients(
    console: Page,
    comparison: Comparison,
    settings: TableSettings,
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


def _units_sheet(units: ByUnit, comparison: Comparison) -> Sheet:
    """A term of each unit under the first jobs, as many units as the terminal is given."""
    jobs = [outcome.job.number for outcome in comparison.ranked[:MOST_BESIDE]]
    texts = units.texts(jobs)
    table = Sheet(("" if name == "unit" else str(name), name == "unit") for name in texts)
    for row in texts.head(MOST_ROWS).itertuples(index=False):
        table.add_line(map(str, row))
    return table


def _show_units(console: Page, units: ByUnit, sheet: Sheet, directory: Path) -> int:
    """Print a term of each unit; how many lines it took."""
    _title(
        console,
        f"{units.term} by asset or group (t in brackets; stars by p-values adjusted by Holm)",
    )
    console.sheet(sheet)
    more = units.estimates["unit"].nunique() - MOST_ROWS
    if more > 0:
        file = directory / "by_unit.csv"
        console.print(f"{more:,} more in {file}")
    return sheet.row_count + TITLED


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


def _fit(board: Sheet, comparison: Comparison, wide: int) -> None:
    """Leave out metrics of the leaderboard, the last first, until there is room for the others."""
    kept = {"rank", "job", comparison.score, *comparison.names, *REMARKS}
    spare = [column for column in board.columns if str(column.header) not in kept]
    while spare and board.wide > wide:
        board.columns.remove(spare.pop())


def _figure(name: str, value: object) -> str:
    """A number of the leaderboard as its column has it."""
    if name in ("rank", "job"):
        return "–" if value is None or str(value) == "<NA>" else str(value)
    figure = float(str(value))
    if name.endswith("n_obs") and not isnan(figure):
        return f"{figure:,.0f}"
    return number(figure)
