"""A long parquet or CSV file: a row per date and asset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.data.sources.parsing import EMPTY
from runner.data.sources.roles import Roles
from runner.errors import DataError, unknown
from runner.schema.settings import Date, Hours, Rows, Ticker, TimeZone
from runner.text import one_line

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.data.market import Market
    from runner.data.sources.long import Long


@dataclass(frozen=True)
class File:
    """Prices, volumes and what else a long file holds.

    Attributes:
        path: a .parquet, .csv or .csv.gz file; relative paths start at the working directory.
        columns: name here -> column in the file. `date` and `asset` are the keys; `close` is the
            adjusted price, or `ret` the decimal return of the row; others (`volume`, `market_cap`,
            ...) are fields that features may read. Where `ret` stands beside `close`, every return
            is made of `ret`. A column set to null is not read. `time` is the time of day,
            where it stands beside the date: 09:31, 09:31:00, 931 or 93100.
        market: the market asset; its dates are the calendar.
        macro: name here -> asset in the file, series shared by all assets (levels).
        groups: name here -> column in the file that groups assets (for instance sector: Sector).
        assets: the modelled assets; null takes all but the market asset and the macro series.
        start, end: first and last date, both included.
        time_zone: of the exchange, such as America/New_York: stamps with a zone are turned into its
            local time; null keeps the local time that they say.
        session: first and last bar of a day, such as 09:31-16:00; each day is then a session by
            itself, and no return, lag or window reaches from one into the next. Null: all rows are
            one series.
        bar: minutes from one bar of a session to the next.
        opening: whether `ret` of the first bar of a session is within that bar, not over the night.
    """

    path: str
    columns: dict[str, str | None]
    market: Ticker | None = None
    macro: dict[str, Ticker] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    assets: list[Ticker] | None = None
    start: Date | None = None
    end: Date | None = None
    time_zone: TimeZone | None = None
    session: Hours | None = None
    bar: Rows = 1
    opening: bool = False

    def load(self) -> Market:
        """The market (T, N) of the file.

        Raises:
            DataError: no such file, not a whole parquet or CSV file, columns or assets that are not
                in it, values that are not dates or numbers, conflicting duplicate rows, a date
                range without rows, or without a bar of a session.
        """
        import pyarrow as pa

        from runner.data.sources import intraday

        market = self._long().widen(self.assets, self.start, self.end)
        pa.default_memory_pool().release_unused()  # else it keeps some times what the market takes
        if self.session is None:
            return market
        return intraday.in_sessions(market, self.session, self.bar, self.opening)

    def _long(self) -> Long:
        """The table of the file."""
        roles = Roles(self.columns, self.market, self.macro, self.groups, self.time_zone)
        return roles.long(self.path, partial(_read, Path(self.path)))


def _read(path: Path, wanted: Mapping[str, str], text: set[str]) -> pa.Table:
    """The wanted columns of the file (place in the spec -> column), index levels included.

    Raises:
        DataError: no such file, one that is not whole, or one without rows.
    """
    import pyarrow as pa

    _check_path(path)
    parquet = path.suffix.lower() == ".parquet"
    if parquet:
        kind = "parquet"
        read = _read_parquet
    else:
        kind = "CSV"
        read = _read_csv
    try:
        table = read(path, wanted, text)
    except (pa.ArrowException, ValueError, EOFError, OSError) as error:
        reason = f"is not a whole {kind} file: {one_line(error)}"
        raise DataError(f"data.path: {str(path)!r} {reason}") from error
    if not len(table):
        raise DataError(f"data.path: {str(path)!r} has columns but no row")
    return table


def _check_path(path: Path) -> None:
    """Whether there is such a file.

    Raises:
        DataError: there is not, with the file of the nearest name.
    """
    if path.is_dir():
        raise DataError(
            f"data.path: {str(path)!r} is a directory; allowed: a .parquet, .csv or .csv.gz file"
        )
    if path.is_file():
        return
    folder = path.parent
    siblings: list[str] = []
    if folder.is_dir():
        siblings = sorted(file.name for file in folder.iterdir())
    where = repr(str(path))
    if siblings:
        where = f"in {str(folder)!r}: {unknown(path.name, siblings)}"
    raise DataError(f"data.path: no such file {where}")


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
