"""The account of data in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.sinks import machine
from runner.sinks.accounts.shown import TEXT, Shown, shown
from runner.sinks.machine import Form
from runner.sinks.telling.console import Page, Sheet
from runner.sinks.terminal import say
from runner.text import count

if TYPE_CHECKING:
    from runner.data.accounts.account import Account


def show(name: str, account: Account, directory: Path, form: Form = "tables") -> None:
    """Print the account in short, its tables, what looks wrong, and where the page is."""
    if form in ("json", "quiet"):
        return say(machine.of_check(name, account, directory), form)
    console = Page()
    assets = count(len(account.coverage), "asset")
    title = f"{name}: {assets}, {account.span}"
    console.print(title, style="bold")
    source = f"data: {account.source} ({account.fingerprint[:12]})"
    console.print(source)
    console.print(f"calendar: {account.calendar}")
    console.sentences(account.words)
    for table in shown(account):
        console.print()
        console.print(table.heading, style="bold")
        console.folding(_table(table))
        if table.note:
            console.sentences([f"({table.note})"])
    if account.notes:
        console.print()
        console.print("Notes", style="bold")
        console.sentences(account.notes)
    console.print()
    console.print(f"Page and files: {directory}")


def _table(shown: Shown) -> Sheet:
    """The columns beside each other; numbers to the right, texts on lines enough."""
    columns = [(column.heading, column.kind == TEXT) for column in shown.columns]
    table = Sheet(columns, header_style="none")
    for place, (_, of_text) in enumerate(columns):
        table.columns[place].no_wrap = not of_text
    for cells in zip(*(column.cells for column in shown.columns), strict=True):
        table.add_line(cells)
    return table
