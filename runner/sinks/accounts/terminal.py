"""The account of data in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from runner.sinks import machine
from runner.sinks.accounts.shown import TEXT, Shown, shown
from runner.sinks.machine import Form
from runner.sinks.terminal import Page, say
from runner.text import count

if TYPE_CHECKING:
    from runner.data.accounts.account import Account


def show(name: str, account: Account, directory: Path, form: Form = "tables") -> None:
    """Print the account in short, its tables, what looks wrong, and where the page is."""
    if form != "tables":
        return say(machine.of_check(name, account, directory), form)
    console = Page()
    assets = count(len(account.coverage), "asset")
    title = f"{name}: {assets}, {account.span}"
    console.print(title, style="bold", markup=False)
    source = f"data: {account.source} ({account.fingerprint[:12]})"
    console.print(source, markup=False)
    console.print(f"calendar: {account.calendar}", markup=False)
    console.print("\n".join(account.words), markup=False)
    for table in shown(account):
        console.print()
        console.print(table.heading, style="bold", markup=False)
        console.print(_table(table))
        if table.note:
            console.print(f"({table.note})", markup=False)
    if account.notes:
        console.print()
        console.print("Notes", style="bold", markup=False)
        console.print("\n".join(account.notes), markup=False)
    console.print()
    console.print(f"Page and files: {directory}", markup=False)


def _table(shown: Shown) -> Table:
    """The columns beside each other; numbers to the right."""
    table = Table(box=None, pad_edge=False, header_style="none", padding=(0, 2, 0, 0))
    for column in shown.columns:
        if column.kind == TEXT:
            table.add_column(column.heading)
        else:
            table.add_column(column.heading, justify="right", no_wrap=True)
    for cells in zip(*(column.cells for column in shown.columns), strict=True):
        table.add_row(*(Text(cell) for cell in cells))
    return table
