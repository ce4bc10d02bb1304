"""Tables from files, as they are written: names of columns and values, nothing made of them yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.data.reading.parsing import EMPTY
from runner.errors import DataError, unknown
from runner.text import one_line

if TYPE_CHECKING:
    import pyarrow as pa


def read(where: str, path: Path, wanted: Mapping[str, str], text: set[str]) -> pa.Table:
    """The wanted columns of the file, index levels included.

    Args:
        where: place of the path in the spec, such as `data.path`.
        wanted: place in the spec -> column.
        text: the columns among them that are read as text.

    Raises:
        DataError: no such file, one that is not whole, or one without rows.
    """
    import pyarrow as pa

    _check_path(where, path)
    parquet = path.suffix.lower() == ".parquet"
    if parquet:
        kind = "parquet"
        read_columns = _read_parquet
    else:
        kind = "CSV"
        read_columns = _read_csv
    try:
        table = read_columns(path, wanted, text)
    except (pa.ArrowException, ValueError, EOFError, OSError) as error:
        reason = f"is not a whole {kind} file: {one_line(error)}"
        raise DataError(f"{where}: {str(path)!r} {reason}") from error
    if not len(table):
        raise DataError(f"{where}: {str(path)!r} has columns but no row")
    return table


def header(where: str, path: Path) -> list[str]:
    """The names of all columns of the file, index levels included, without spaces around them.

    Args:
        where: place of the path in the spec, such as `data.series.factors.path`.

    Raises:
        DataError: no such file, or one that is not whole.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_path(where, path)
    try:
        if path.suffix.lower() == ".parquet":
            names = pq.read_schema(path).names
        else:
            first = pd.read_csv(path, nrows=1, header=None, dtype="str", keep_default_na=False)
            names = first.iloc[0].tolist()
    except (pa.ArrowException, ValueError, EOFError, OSError) as error:
        raise DataError(f"{where}: {str(path)!r} cannot be read: {one_line(error)}") from error
    return [name.strip() for name in names]


def _check_path(where: str, path: Path) -> None:
    """Whether there is such a file.

    Raises:
        DataError: there is not, with the file of the nearest name.
    """
    if path.is_dir():
        raise DataError(
            f"{where}: {str(path)!r} is a directory; allowed: a .parquet, .csv or .csv.gz file"
        )
    if path.is_file():
        return
    folder = path.parent
    siblings: list[str] = []
    if folder.is_dir():
        siblings = sorted(file.name for file in folder.iterdir())
    given = repr(str(path))
    if siblings:
        given = f"in {str(folder)!r}: {unknown(path.name, siblings)}"
    raise DataError(f"{where}: no such file {given}")


def _read_parquet(path: Path, wanted: Mapping[str, str], text: set[str]) -> pa.Table:
    """The wanted columns; names and dates as codes into their distinct values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
    written = _written(path, wanted, schema.names)
    # pandas writes the large ones
    words = (pa.string(), pa.large_string())
    columns = [written[name] for name in text]
    coded = [column for column in columns if schema.field(column).type in words]
    with pq.ParquetFile(path, read_dictionary=coded) as file:
        table = file.read(columns=list(written.values()))
    return _stripped(table)


def _read_csv(path: Path, wanted: Mapping[str, str], text: set[str]) -> pa.Table:
    """The wanted columns: names and dates as text, the rest as numbers.

    All are text where one of the others is not a number.
    """
    import pandas as pd
    import pyarrow as pa
    from pyarrow import csv

    header = pd.read_csv(path, nrows=1, header=None, dtype="str", keep_default_na=False)
    written = _written(path, wanted, header.iloc[0].tolist())
    names = pa.dictionary(pa.int32(), pa.string())
    quoted = csv.ParseOptions(newlines_in_values=True)

    def read(numbers: pa.DataType) -> pa.Table:
        types = {column: names if name in text else numbers for name, column in written.items()}
        options = csv.ConvertOptions(
            include_columns=list(types), column_types=types, null_values=EMPTY
        )
        table = csv.read_csv(path, parse_options=quoted, convert_options=options)
        return _stripped(table)

    try:
        return read(pa.float64())
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise
        return read(names)


def _written(path: Path, wanted: Mapping[str, str], present: Sequence[str]) -> dict[str, str]:
    """The wanted columns (place in the spec -> column) -> their names as the file writes them.

    A file may write them with spaces around.

    Raises:
        DataError: columns that are not there, or there more than once.
    """
    names = [column.strip() for column in present]
    mistakes = []
    for where, column in wanted.items():
        times = names.count(column)
        if times == 0:
            mistakes.append(f"{where}: column {unknown(column, names)} (in {path.name})")
        elif times > 1:
            given = f"column {column!r} is there {times} times (in {path.name})"
            mistakes.append(f"{where}: {given}; allowed: once")
    if mistakes:
        raise DataError(mistakes)
    return {column: present[names.index(column)] for column in wanted.values()}


def _stripped(table: pa.Table) -> pa.Table:
    """The table with the names of its columns without spaces around them."""
    return table.rename_columns([name.strip() for name in table.column_names])
