"""The jobs of a sweep in the terminal: who is first, and the coefficients side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.sinks.machine import Form
from runner.sinks.terminal import LEGEND, Page, say
from runner.sweeps.comparison.comparison import MOST_BESIDE, REMARKS
from runner.sweeps.comparison.texts import brief, value_texts
from runner.sweeps.telling import machine
from runner.text import count, number

if TYPE_CHECKING:
    from runner.sweeps.comparison.comparison import Comparison

MOST_JOBS, MOST_ROWS = 15, 40  # of the leaderboard; of coefficients and their errors
LENGTHS = (48, 32, 18)  # characters of a choice, the first that the terminal has room for


def show(found: Comparison, verdict: Sequence[str], directory: Path, form: Form = "tables") -> None:
    """Print the leaderboard, the coefficients side by side, what must be known, and where the
    files are.
    """
    if form != "tables":
        return say(machine.of_sweep(found, verdict, directory), form)
    console = Page()
    wide = console.width
    if found.outcomes:
        _title(console, f"Leaderboard by {found.score}" if found.score else "Jobs, not ranked")
        _whole(console, _leaderboard(found, wide))
        more = len(found.outcomes) - MOST_JOBS
        if more > 0:
            console.print(
                f"{count(more, 'more job')} in {directory / 'leaderboard.csv'}", markup=False
            )
    if len(found.central):
        table, jobs = _side_by_side(found, wide)
        n = len(found.ranked)
        _title(console, "Coefficients" + (f" of the first {jobs} of {n} jobs" if jobs < n else ""))
        _whole(console, table)
        rows = found.side_by_side(jobs).attrs["terms"] - MOST_ROWS
        if rows > 0:
            console.print(
                f"{count(rows, 'more row')} of coefficients in {directory / 'coefficients.csv'}",
                markup=False,
            )
        told = [f"{LEGEND}; p-values as if this were the only job", *found.errors_in_full(jobs)]
        console.print("\n".join(told), markup=False)
    console.print("\n".join(["", *found.words, *verdict]), markup=False)
    console.print(f"Files: {directory}", markup=False)


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
    console.print(f"\n{text}", style="bold", markup=False)


def _leaderboard(found: Comparison, wide: int) -> Table:
    """The first jobs; choices are cut where the terminal is too narrow for them."""
    board = found.leaderboard.head(MOST_JOBS)
    for most in LENGTHS:
        table = _table([(str(name), name in found.names or name in REMARKS) for name in board])
        columns = [_cells(found, str(name), board[name].tolist(), most) for name in board]
        for row in zip(*columns, strict=True):
            table.add_row(*row)
        if _width(table) <= wide:
            break
    return table


def _cells(found: Comparison, name: str, values: list[object], most: int) -> list[str | Text]:
    if name in found.names or name in REMARKS:
        return [Text(text) for text in value_texts(values, most)]
    return [_figure(name, value) for value in values]


def _figure(name: str, value: object) -> str:
    if name in ("rank", "job"):
        return "–" if value is None or str(value) == "<NA>" else str(value)
    figure = float(str(value))
    return f"{figure:,.0f}" if name.endswith("n_obs") and figure == figure else number(figure)


def _side_by_side(found: Comparison, wide: int) -> tuple[Table, int]:
    """As many of the first jobs as there is room for, at least one, and how many."""
    for jobs in range(min(MOST_BESIDE, len(found.ranked)), 0, -1):
        side = found.side_by_side(jobs)
        table = _table([(str(name), not name) for name in side])
        foot = side.attrs["terms"]
        for at, row in enumerate(side.itertuples(index=False), start=1):
            label, *cells = (str(text) for text in row)
            if at > foot:
                table.add_row(Text(label), *map(Text, value_texts(cells, LENGTHS[-1])))
            elif at <= MOST_ROWS:
                table.add_row(Text(label), *(Text(brief(text, LENGTHS[0])) for text in cells))
        if _width(table) <= wide:
            break
    return table, jobs


def _table(columns: Sequence[tuple[str, bool]]) -> Table:
    """Names of the columns, each with whether it is of text."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name, of_text in columns:
        table.add_column(Text(name), justify="left" if of_text else "right", no_wrap=True)
    return table
