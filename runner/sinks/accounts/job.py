"""Reads the data of a spec and hands its account to terminal, page, pictures and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.data.accounts.account import Account, account_of
from runner.record.csvfile import write_table
from runner.record.rundir import refuse_taken, whole
from runner.sinks.accounts import drawings, page, terminal
from runner.sinks.machine import Form
from runner.sinks.telling.waiting import working

if TYPE_CHECKING:
    from runner.experiment.spec import Data


def check(data: Data, directory: Path, form: Form = "tables") -> None:
    """Read the data, write the account to `directory`, and print it in this form.

    Raises:
        SpecError: the directory holds something.
        DataError: the data is missing or bad.
        RunnerError: the directory cannot be written.
    """
    refuse_taken(directory)
    with working(f"{data.name}: reading the data", form):
        account = account_of(data.market())
        write(data.name, account, directory)
    terminal.show(data.name, account, directory, form)


def write(name: str, account: Account, directory: Path) -> None:
    """Write the tables as CSV, the pictures and the page, whole or not at all.

    Raises:
        RunnerError: the directory cannot be written.
    """
    with whole(directory) as unfinished:
        for stem, table in account.tables.items():
            write_table(table, unfinished / f"{stem}.csv")
        page.write(name, account, unfinished, drawings.draw(account, unfinished))
