"""The table of files in pieces: some rows at a time, some columns of them at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.data.reading.content import State
from runner.data.reading.files import Files, check, on_unread, places, repeated
from runner.data.reading.formats.opened import InPieces, Opened
from runner.data.reading.parsing import distinct_values
from runner.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

TURNED = (
    'python -c "import pyarrow.dataset as d; '
    "d.write_dataset(d.dataset('FILE.csv', format='csv'), 'FOLDER', format='parquet')\""
)


@dataclass(frozen=True)
class Piece:
    """Some consecutive rows of a table.

    Attributes:
        rows: how many.
        file: the file that they are in, open; number: of the piece in it.
        at: name of a column -> its position in the file.
        said: name of a column -> what the path of the file says.
    """

    rows: int
    file: InPieces
    number: int
    at: Mapping[str, int]
    said: Mapping[str, str]

    def tables(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """These columns of the rows, in one table or in several, one below the other."""
        import pyarrow as pa

        own = [name for name in names if name not in self.said]
        for table in self.file.tables(self.number, [self.at[name] for name in own]):
            columns = dict(zip(own, table.columns, strict=True))
            for name, word in self.said.items():
                columns[name] = repeated([word], [len(table)])
            yield pa.table({name: columns[name] for name in names})


class OfFile(NamedTuple):
    """A file of the table: how large it was when it was opened, and the rows of its pieces."""

    path: str
    state: State | None
    pieces: Sequence[int]


class FilesInPieces:
    """A table of files with the columns that are wanted of it.

    Attributes:
        sizes: of each file, in order.
    """

    def __init__(self, files: Files, wanted: Mapping[str, str], text: set[str]) -> None:
        """Look at every file, and read no row.

        Args:
            wanted: place in the spec -> column.
            text: the columns among them that are read as text.

        Raises:
            DataError: a file that is not read in pieces, that is not whole or without rows; columns
                that are not there, or there more than once.
        """
        self.files = files
        self.columns = list(dict.fromkeys(wanted.values()))
        self.text = text
        self.sizes: list[OfFile] = []
        unread: set[str] = set()
        for number, part in enumerate(files.parts):
            opened = files.opened(number, part)
            if opened.pieces is None:
                raise not_in_pieces(opened)
            present = list(map(str.strip, opened.names))
            own = {where: name for where, name in wanted.items() if name not in part.said}
            check(own, present, Path(opened.content.name).name, list(part.said))
            unread.update(set(present).difference(files.names, self.columns))
            state = opened.content.state()
            file = opened.pieces([])
            rows = [rows for _, rows in file.pieces]
            file.close()
            if not sum(rows):
                raise opened.content.refuse("has columns but no row")
            self.sizes.append(OfFile(part.path, state, rows))
        files.notes.extend(on_unread(unread))

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return sum(sum(file.pieces) for file in self.sizes)

    def __len__(self) -> int:
        """How many pieces there are."""
        return sum(len(file.pieces) for file in self.sizes)

    def __iter__(self) -> Iterator[Piece]:
        """The pieces in order; each file is open while its pieces are read.

        Raises:
            DataError: a file has changed since it was looked at.
        """
        for number, part in enumerate(self.files.parts):
            opened = self.files.opened(number, part)
            before = self.sizes[number].state
            opened.content.check_unchanged(before)
            if opened.pieces is None:
                raise not_in_pieces(opened)
            own, at, texts = places(opened, part.said, self.columns, self.text)
            file = opened.pieces(texts)
            position = dict(zip(own, at, strict=True))
            for piece, (_, rows) in enumerate(file.pieces):
                yield Piece(rows, file, piece, position, part.said)
            file.close()
            opened.content.check_unchanged(before)


def not_in_pieces(opened: Opened) -> DataError:
    """The error on a file that is read whole."""
    content = opened.content
    what = f"{content.name!r} is {opened.kind}"
    if opened.kind == "parquet":
        what = f"{content.name!r} is not on this disk, or its dates do not stand in one column"
    return DataError(
        f"data.on_disk: {what}; allowed: Parquet files of this disk with a row per date and asset "
        f"({TURNED} writes them), or data.on_disk=false"
    )


class Distinct:
    """Values in the order in which they are met.

    Attributes:
        values: of all pieces so far; None before the first.
    """

    def __init__(self) -> None:
        self.values: pa.Array | None = None

    def __len__(self) -> int:
        return 0 if self.values is None else len(self.values)

    def codes(self, column: pa.ChunkedArray) -> np.ndarray:
        """Positions (n,) of the values of a piece among those of all, -1 where there is none.

        Raises:
            ArrowException: values of a type that does not go with that of earlier pieces.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if not len(column):
            return np.empty(0, dtype=np.int32)
        codes, distinct = distinct_values(column)
        if self.values is None:
            self.values = distinct
            return codes
        if distinct.type != self.values.type:
            parts = [pa.table({"x": self.values}), pa.table({"x": distinct})]
            both = pa.concat_tables(parts, promote_options="permissive").column(0)
            self.values = both.slice(0, len(self.values)).combine_chunks()
            distinct = both.slice(len(self.values)).combine_chunks()
        place = pc.index_in(distinct, value_set=self.values)
        new = place.is_null()
        known = place.fill_null(-1).to_numpy(zero_copy_only=False).copy()
        is_new = new.to_numpy(zero_copy_only=False)
        known[is_new] = len(self.values) + np.arange(np.count_nonzero(is_new))
        self.values = pa.concat_arrays([self.values, distinct.filter(new)])
        # the last, which the code -1 falls on, is no value
        return np.append(known, -1).astype(np.int32)[codes]

    def column(self) -> pa.ChunkedArray:
        """Each value once, as a column."""
        import pyarrow as pa

        values = pa.nulls(0, pa.string()) if self.values is None else self.values
        return pa.chunked_array([values])
