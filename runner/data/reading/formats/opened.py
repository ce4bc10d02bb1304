"""A file whose columns are known, and whose rows are still to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from runner.data.reading.content import Content
from runner.data.reading.delimited.text import Text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class InPieces(Protocol):
    """A file that is read in pieces.

    Attributes:
        pieces: of each piece where it lies in the file, and how many rows it has.
    """

    pieces: list[tuple[list[int], int]]

    def tables(self, piece: int, at: Sequence[int]) -> Iterator[pa.Table]:
        """The columns of a piece at these positions, in one table or several."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


@dataclass(frozen=True)
class Opened:
    """A table whose columns are known, and whose rows are still to be read.

    Attributes:
        content: its file.
        kind: name of the format.
        names: of its columns, as written; text without spaces around it finds them.
        columns: gives the columns at some positions, those of the second argument as text;
            sentences on what is found while reading go into the third.
        upper: names above those of the columns, where the header has two rows.
        notes: sentences on how the file was read; more are added while its rows are.
        again: opens a file that begins like this one without recognising it anew; gives None where
            it begins otherwise.
        text: how a text file is cut into columns; None of other files.
        pieces: opens the file for reading in pieces, with the columns at some positions as text;
            None of a file that is read whole.
    """

    content: Content
    kind: str
    names: list[str]
    columns: Callable[[Sequence[int], Sequence[int], list[str]], pa.Table]
    upper: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    again: Callable[[Content], Opened | None] | None = None
    text: Text | None = None
    pieces: Callable[[Sequence[int]], InPieces] | None = None

    def load(self, at: Sequence[int], text: Sequence[int] = ()) -> pa.Table:
        """The columns at these positions; their names in the table say nothing.

        Args:
            text: positions among them that are read as text (of a text file).

        Raises:
            DataError: the file is not whole, has no row, or changes while it is read.
        """
        content = self.content
        before = content.state()
        with content.as_whole(self.kind):
            table = self.columns(at, text, self.notes)
            table.validate(full=True)  # else altered offsets end the process
        content.check_unchanged(before)
        if not len(table):
            raise content.refuse("has columns but no row")
        return table


def whole(content: Content, kind: str, table: pa.Table) -> Opened:
    """A file that is read at once."""

    def columns(at: Sequence[int], text: Sequence[int], notes: list[str]) -> pa.Table:
        return table.select(list(at))

    return Opened(content, kind, table.column_names, columns)


def framed(content: Content, kind: str, frame: pd.DataFrame) -> Opened:
    """A file that pandas reads."""
    import pyarrow as pa

    return whole(content, kind, pa.Table.from_pandas(frame, preserve_index=False))


def needs(content: Content, kind: str, package: str, extra: str) -> None:
    """Whether the package that reads a format is installed.

    Raises:
        DataError: it is not, with the command that installs it.
    """
    if find_spec(package) is None:
        raise content.refuse(
            f"is {kind}, which {package} reads; pip install 'factor-runner[{extra}]' installs it"
        )
