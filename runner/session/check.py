"""The account of data as Python holds it: tables, sentences, pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from runner.session.pictures import Pictures, drawn_of

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.accounts.account import Account
    from runner.sinks.drawings.hover import Drawn


@dataclass(frozen=True, eq=False, repr=False)
class Check:
    """What the data of a spec holds, read and not run.

    Attributes:
        name: of the spec.
        account: the tables as attributes, such as `account.coverage`, with their columns.
    """

    name: str
    account: Account

    @property
    def reading(self) -> tuple[str, ...]:
        """The account in a few sentences, then what was guessed and what looks wrong."""
        return (*self.account.words, *self.account.notes)

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """columns, gaps, coverage, by_date, joins, moves, units, distribution, labels, dropped."""
        return self.account.tables

    @cached_property
    def figures(self) -> Pictures:
        """Name -> picture: assets_by_date, coverage, returns, series."""

        def draw(folder: Path) -> list[Drawn]:
            from runner.sinks.accounts import drawings

            return drawings.draw(self.account, folder)

        return Pictures(lambda: drawn_of(draw))

    def save(self, directory: str | Path) -> Path:
        """Write tables, page and pictures as the command line does, and return the path.

        Raises:
            SpecError: the directory holds something.
            RunnerError: it cannot be written.
        """
        from runner.record.rundir import refuse_taken
        from runner.sinks.accounts import job

        place = Path(directory)
        refuse_taken(place)
        job.write(self.name, self.account, place)
        return place

    def __repr__(self) -> str:
        account = self.account
        dates = f"{account.span}, {account.calendar}"
        words = " ".join(account.words)
        return f"<Check {self.name}: {dates}. {words}>"

    def _repr_html_(self) -> str:
        from runner.session.html import check_html

        return check_html(self.name, self.account)
