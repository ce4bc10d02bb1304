"""Files of columns: parquet and Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runner.compute.memory import NUMBER, refuse_beyond
from runner.data.reading.content import Content
from runner.data.reading.formats.opened import Opened, whole
from runner.data.reading.usual import index_first, levels
from runner.schema.forms import Form

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# numbers of the columns that are read at a time
PART_OF_COLUMNS = 8_000_000
# the same of one row group
PART_OF_A_GROUP = 1 << 18
# rows up to which row groups are read together, and from which on one is read in parts
ROWS_OF_A_PIECE = 1 << 18
MOST_ROWS_OF_A_PIECE = 1 << 21
PERIODS_OF_PANDAS = b"pandas.period"


def parquet(content: Content, form: Form) -> Opened:
    """A parquet file; text comes as codes into its distinct values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # as pandas writes text, too
    words = (pa.string(), pa.large_string())

    def source() -> Any:
        return content.path if content.path is not None else pa.BufferReader(content.data)

    with pq.ParquetFile(source()) as file:
        schema = file.schema_arrow
    if any(PERIODS_OF_PANDAS in (field.metadata or {}).values() for field in schema):
        import pandas.core.arrays.arrow.extension_types  # noqa: F401 pyarrow knows them from then

    order = index_first(schema)

    def columns(at: Sequence[int], text: Sequence[int], notes: list[str]) -> pa.Table:
        names = [order[position] for position in at]
        texts = [order[position] for position in text]
        coded = [name for name in texts if schema.field(name).type in words]
        options = {"read_dictionary": coded, "page_checksum_verification": True}
        with pq.ParquetFile(source(), **options) as file:
            rows = file.metadata.num_rows
            takes = f"{content.where}: {content.name!r} has {rows:,} rows of {len(names)} columns"
            # equal cells take no room in the file
            refuse_beyond(NUMBER * rows * len(names), takes, "fewer rows in the file")
            return _in_parts(file, names)

    def pieces(text: Sequence[int]) -> RowGroups:
        texts = [order[position] for position in text]
        coded = [name for name in texts if schema.field(name).type in words]
        return RowGroups(content, order, coded)

    upper, lower = levels(order)
    in_pieces = None if content.path is None else pieces
    return Opened(content, "parquet", lower, columns, upper, pieces=in_pieces)


class RowGroups:
    """A parquet file that is read some row groups at a time.

    Attributes:
        pieces: the row groups that are read together, and how many rows they have.
    """

    def __init__(self, content: Content, order: Sequence[str], coded: Sequence[str]) -> None:
        """The pieces of a file.

        Args:
            order: names of its columns, as their positions count them.
            coded: those whose text is read as codes.
        """
        import pyarrow.parquet as pq

        self.content = content
        self.order = order
        options: dict[str, Any] = {"page_checksum_verification": True}
        with content.as_whole("parquet"):
            self.file = pq.ParquetFile(content.path, read_dictionary=list(coded), **options)
            sizes = self.file.metadata
            rows = [sizes.row_group(group).num_rows for group in range(sizes.num_row_groups)]
        self.pieces: list[tuple[list[int], int]] = []
        for group, size in enumerate(rows):
            if self.pieces and self.pieces[-1][1] + size <= ROWS_OF_A_PIECE:
                groups, before = self.pieces[-1]
                self.pieces[-1] = ([*groups, group], before + size)
            else:
                self.pieces.append(([group], size))

    def tables(self, piece: int, at: Sequence[int]) -> Iterator[pa.Table]:
        """The columns of a piece at these positions; a piece of very many rows in several tables.

        Raises:
            DataError: the file is not whole.
        """
        import pyarrow as pa

        groups, rows = self.pieces[piece]
        names = [self.order[position] for position in at]
        with self.content.as_whole("parquet"):
            if rows <= MOST_ROWS_OF_A_PIECE:
                table = self.file.read_row_groups(groups, columns=names, use_threads=False)
                tables = iter([table])
            else:
                batches = self.file.iter_batches(
                    MOST_ROWS_OF_A_PIECE, row_groups=groups, columns=names, use_threads=False
                )
                tables = (pa.Table.from_batches([batch]) for batch in batches)
            for table in tables:
                table.validate(full=True)  # else altered offsets end the process
                yield table.select(names)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _in_parts(file: Any, names: Sequence[str]) -> pa.Table:
    """Columns of a parquet file: numbers in one chunk each, others some at a time.

    All at once the row groups and the numbers made of them would be in memory together.
    """
    import pyarrow as pa

    schema = file.schema_arrow
    doubles = [name for name in names if schema.field(name).type == pa.float64()]
    arrays: dict[str, Any] = dict(zip(doubles, _side_by_side(file, doubles), strict=True))
    others = [name for name in names if name not in arrays]
    at_a_time = max(PART_OF_COLUMNS // max(file.metadata.num_rows, 1), 1)
    for start in range(0, len(others), at_a_time):
        some = others[start : start + at_a_time]
        part = file.read(columns=some)
        for name in some:
            column = part.column(name)
            whole = pa.types.is_integer(column.type) and column.num_chunks > 1
            arrays[name] = column.combine_chunks() if whole else column
    return pa.table([arrays[name] for name in names], names=list(names))


def _side_by_side(file: Any, names: Sequence[str]) -> list[pa.Array]:
    """Columns of 64-bit numbers that lie one behind the other in memory, NaN where they are null.

    They are read a row group and a few columns at a time, into the same memory. A panel of them
    needs no copy.
    """
    import numpy as np
    import pyarrow as pa

    numbers = np.empty((len(names), file.metadata.num_rows))
    start = 0
    for group in range(file.metadata.num_row_groups if names else 0):
        rows = file.metadata.row_group(group).num_rows
        of_group = numbers[:, start : start + rows]
        at_a_time = max(PART_OF_A_GROUP // max(rows, 1), 1)
        for first in range(0, len(names), at_a_time):
            some = list(names[first : first + at_a_time])
            table = file.read_row_group(group, columns=some, use_threads=False)
            for name, into in zip(some, of_group[first:], strict=False):
                _copy_chunks(table.column(name), into)
        start += rows
    return [pa.array(column) for column in numbers]


def _copy_chunks(column: pa.ChunkedArray, into: np.ndarray) -> None:
    """Write the numbers of a column into an array (n,), NaN where they are null."""
    first = 0
    for chunk in column.chunks:
        last = first + len(chunk)
        into[first:last] = chunk.to_numpy(zero_copy_only=False)
        first = last


def arrow(content: Content, form: Form) -> Opened:
    """An Arrow file, which Feather files are too."""
    import pyarrow as pa

    with pa.ipc.open_file(content.stream()) as file:
        names = file.schema.names

    def columns(at: Sequence[int], text: Sequence[int], notes: list[str]) -> pa.Table:
        with pa.ipc.open_file(content.stream()) as file:
            return file.read_all().select(list(at))

    return Opened(content, "Arrow", names, columns)


def arrow_stream(content: Content, form: Form) -> Opened:
    """A stream of Arrow batches in a file."""
    import pyarrow as pa

    with pa.ipc.open_stream(content.stream()) as stream:
        return whole(content, "Arrow", stream.read_all())
