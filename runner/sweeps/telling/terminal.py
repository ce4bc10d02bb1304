"""The jobs of a sweep in the terminal: who is first, and the coefficients side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.sinks.machine import Form
from runner.sinks.terminal import LEGEND, Page, say
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
            console.print(f"{count(more, 'more job')} in {file}", markup=False)
    if len(comparison.central):
        _show_coefficients(console, comparison, wide, directory)
    _show_units(console, comparison.by_unit(term), comparison, directory)
    console.print("\n".join(["", *comparison.words, *verdict]), markup=False)
    console.print(f"Files: {directory}", markup=False)


def _show_coefficients(
    console: Console, comparison: Comparison, wide: int, directory: Path
) -> None:
    """The coefficients side by side, and how their errors were computed."""
    table, jobs = _side_by_side(comparison, wide)
    n = len(comparison.ranked)
    _title(console, f"Coefficients of the first {jobs} of {n} jobs" if jobs < n else "Coefficients")
    _whole(console, table)
    more = comparison.side_by_side(jobs).attrs["terms"] - MOST_ROWS
    if more > 0:
        file = directory / "coefficients.csv"
        console.print(f"{count(more, 'more row')} of coefficients in {file}", markup=False)
    legend = f"{LEGEND}; p-values as if this were the only job"
    console.print("\n".join([legend, *comparison.errors_in_full(jobs)]), markup=False)


def _show_units(
    console: Console, units: ByUnit | None, comparison: Comparison, directory: Path
) -> None:
    """A term of each unit under the first jobs, as many units as the terminal is given."""
    if units is None:
        return
    jobs = [outcome.job.number for outcome in comparison.ranked[:MOST_BESIDE]]
    texts = units.texts(jobs)
    _title(console, f"{units.term} by unit (t in brackets; stars by p-values adjusted by Holm)")
    table = _table([(str(name), name == "unit") for name in texts])
    for row in texts.head(MOST_ROWS).itertuples(index=False):
        table.add_row(*(Text(str(text)) for text in row))
    _whole(console, table)
    more = len(texts) - MOST_ROWS
    if more > 0:
        file = directory / "by_unit.csv"
        console.print(f"{count(more, 'more unit')} in {file}", markup=False)
    console.print("\n".join(units.words), markup=False)


def _whole(console: Console, table: Table) -> None:
    """Print a table however wide it is: the terminal wraps lines, no number is cut."""
    before = console.width
    console.width = max(before, _width(table))
    console.print(table)
    console.width = before


def _width(table: Table) -> int:
    """Columns of the terminal that the table takes."""
    console = Console(width=10_000)
    return console.measure(table).maximum


def _title(console: Console, text: str) -> None:
    """Print the title of a table."""
    console.print(f"\n{text}", style="bold", markup=False)


def _leaderboard(comparison: Comparison, wide: int) -> Table:
    """The first jobs; choices are cut where the terminal is too narrow for them."""
    board = comparison.leaderboard.head(MOST_JOBS)
    of_text = [name for name in board if name in comparison.names or name in REMARKS]
    for most in LENGTHS:
        table = _table([(str(name), name in of_text) for name in board])
        columns: list[list[Text] | list[str]] = []
        for name in board:
            values = board[name].tolist()
            if name in of_text:
                columns.append([Text(text) for text in value_texts(values, most)])
            else:
                columns.append([_figure(str(name), value) for value in values])
        for row in zip(*columns, strict=True):
            table.add_row(*row)
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


def _side_by_side(comparison: Comparison, wide: int) -> tuple[Table, int]:
    """As many of the first jobs as there is room for, at least one, and how many."""
    for jobs in range(min(MOST_BESIDE, len(comparison.ranked)), 0, -1):
        side = comparison.side_by_side(jobs)
        table = _table([(str(name), not name) for name in side])
        terms = side.attrs["terms"]
        for place, row in enumerate(side.itertuples(index=False)):
            label, *cells = (str(text) for text in row)
            if place >= terms:
                texts = value_texts(cells, LENGTHS[-1])
            elif place < MOST_ROWS:
                texts = [brief(text, LENGTHS[0]) for text in cells]
            else:
                continue
            table.add_row(Text(label), *(Text(text) for text in texts))
        if _width(table) <= wide:
            break
    return table, jobs


def _table(columns: Sequence[tuple[str, bool]]) -> Table:
    """Names of the columns, each with whether it is of text."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name, of_text in columns:
        table.add_column(Text(name), justify="left" if of_text else "right", no_wrap=True)
    return table
