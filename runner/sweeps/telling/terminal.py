"""The jobs of a sweep in the terminal: who is first, and the coefficients side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from runner.sinks.machine import Form
from runner.sinks.terminal import LEGEND, Page, Sheet, say
from runner.sweeps.comparison.comparison import MOST_BESIDE
from runner.sweeps.comparison.leaderboard import REMARKS
from runner.sweeps.comparison.texts import brief, value_texts
from runner.sweeps.telling import machine
from runner.text import count, number

if TYPE_CHECKING:
    from runner.sweeps.comparison.by_unit import ByUnit
    from runner.sweeps.comparison.comparison import Comparison

MOST_JOBS = 15  # of the leaderboard
MOST_ROWS = 40  # of coefficients and their errors
WIDE = 10_000  # characters: no table is as wide
LENGTHS = (48, 32, 18)  # characters of a choice, the first that the terminal has room for


def show(
    comparison: Comparison,
    verdict: Sequence[str],
    directory: Path,
    form: Form = "tables",
    term: str | None = None,
) -> None:
    """Print the leaderboard, the coefficients, the caveats, and where the files are.

    Args:
        term: of the table by unit; null: the constant where jobs explain, else the first regressor.
    """
    if form != "tables":
        return say(machine.of_sweep(comparison, verdict, directory), form)
    console = Page()
    wide = console.width
    if comparison.outcomes:
        score = comparison.score
        _title(console, f"Leaderboard by {score}" if score else "Jobs, not ranked")
        _whole(console, _leaderboard(comparison, wide))
        more = len(comparison.outcomes) - MOST_JOBS
        if more > 0:
            file = directory / "leaderboard.csv"
            console.print(f"{count(more, 'more job')} in {file}")
    if len(comparison.central):
        _show_coefficients(console, comparison, wide, directory)
    _show_units(console, comparison.by_unit(term), comparison, directory)
    console.lines(["", *comparison.words, *verdict])
    console.print(f"Files: {directory}")


def _show_coefficients(console: Page, comparison: Comparison, wide: int, directory: Path) -> None:
    """The coefficients side by side, and how their errors were computed."""
    table, jobs = _side_by_side(comparison, wide)
    n = len(comparison.ranked)
    _title(console, f"Coefficients of the first {jobs} of {n} jobs" if jobs < n else "Coefficients")
    _whole(console, table)
    more = comparison.side_by_side(jobs).attrs["terms"] - MOST_ROWS
    if more > 0:
        file = directory / "coefficients.csv"
        console.print(f"{count(more, 'more row')} of coefficients in {file}")
    legend = f"{LEGEND}; p-values as if this were the only job"
    console.lines([legend, *comparison.errors_in_full(jobs)])


def _show_units(
    console: Page, units: ByUnit | None, comparison: Comparison, directory: Path
) -> None:
    """A term of each unit under the first jobs, as many units as the terminal is given."""
    if units is None:
        return
    jobs = [outcome.job.number for outcome in comparison.ranked[:MOST_BESIDE]]
    texts = units.texts(jobs)
    _title(console, f"{units.term} by unit (t in brackets; stars by p-values adjusted by Holm)")
    table = Sheet((str(name), name == "unit") for name in texts)
    for row in texts.head(MOST_ROWS).itertuples(index=False):
        table.add_line(map(str, row))
    _whole(console, table)
    more = len(texts) - MOST_ROWS
    if more > 0:
        file = directory / "by_unit.csv"
        console.print(f"{count(more, 'more unit')} in {file}")
    console.lines(units.words)


def _whole(console: Page, table: Sheet) -> None:
    """Print a table however wide it is: the terminal wraps lines, no number is cut."""
    before = console.width
    console.width = max(before, _width(table))
    console.print(table)
    console.width = before


def _width(table: Sheet) -> int:
    """Columns of the terminal that the table takes."""
    console = Page()
    console.width = WIDE
    return console.measure(table).maximum


def _title(console: Page, text: str) -> None:
    """Print the title of a table."""
    console.print(f"\n{text}", style="bold")


def _leaderboard(comparison: Comparison, wide: int) -> Sheet:
    """The first jobs; choices are cut where the terminal is too narrow for them."""
    board = comparison.leaderboard.head(MOST_JOBS)
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
        if _width(table) <= wide:
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


def _side_by_side(comparison: Comparison, wide: int) -> tuple[Sheet, int]:
    """As many of the first jobs as there is room for, at least one, and how many."""
    for jobs in range(min(MOST_BESIDE, len(comparison.ranked)), 0, -1):
        side = comparison.side_by_side(jobs)
        table = Sheet((str(name), not name) for name in side)
        terms = side.attrs["terms"]
        for place, row in enumerate(side.itertuples(index=False)):
            label, *cells = (str(text) for text in row)
            if place >= terms:
                texts = value_texts(cells, LENGTHS[-1])
            elif place < MOST_ROWS:
                texts = [brief(text, LENGTHS[0]) for text in cells]
            else:
                continue
            table.add_line([label, *texts])
        if _width(table) <= wide:
            break
    return table, jobs
