"""A long parquet or CSV file: a row per date and asset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.errors import DataError, unknown
from runner.schema.settings import Date, Hours, Rows, Ticker, TimeZone

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    from runner.data.market import Market
    from runner.data.sources.long import Coded, Long

KEYS = ("date", "asset")
EMPTY = [
    "",
    "NA",
    "N/A",
    "n/a",
    "NaN",
    "nan",
    "NULL",
    "null",
    "None",
    "#N/A",
    ".",
]  # not so for assets
LETTERS = frozenset(ascii_uppercase)  # codes of missing values in a column of numbers
ZONE = r"([T ]\d\d[\d:.,]*) ?(?:Z|z|UTC|[+-]\d\d(?::?\d\d)?)$"
DAY = r"\d{8}|\d{4}-\d\d?-\d\d?(?:[T ].+)?"


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
        import pyarrow as pa

        from runner.data.sources import intraday
        from runner.data.sources.long import Long

        columns = {
            name: column.strip() for name, column in self.columns.items() if column is not None
        }
        self._check_roles(columns)
        kinds: dict[str, Callable[[pa.ChunkedArray], Any]] = dict.fromkeys(columns, _numbers)
        kinds |= {"date": partial(_dates, zone=self.time_zone), "asset": _names}
        kinds |= dict.fromkeys(self.groups, _labels) | dict.fromkeys(
            {"time"} & set(columns), _times
        )
        wanted = {name: (f"data.columns.{name}", column) for name, column in columns.items()}
        wanted |= {
            name: (f"data.groups.{name}", column.strip()) for name, column in self.groups.items()
        }
        text = {column for name, (_, column) in wanted.items() if kinds[name] is not _numbers}
        table = _read(Path(self.path), dict(wanted.values()), text)
        parts, mistakes = {}, []
        for name, (where, column) in wanted.items():
            try:
                parts[name] = kinds[name](table[column])
            except pa.ArrowException as error:
                mistakes.append(f"{where}: column {column!r} cannot be read: {_line(error)}")
            except ValueError as error:
                mistakes.append(f"{where}: column {column!r} {error}")
        if mistakes:
            raise DataError(mistakes)
        groups = {name: parts.pop(name) for name in self.groups}
        date = parts.pop("date")
        if "time" in parts:
            date = intraday.joined(date, parts.pop("time"))
        asset = parts.pop("asset")
        fields = {name: part.numbers for name, part in parts.items()}
        codes = {name: part.codes for name, part in parts.items() if part.codes is not None}
        return Long(self.path, date, asset, fields, groups, self.market, self.macro, codes)

    def _check_roles(self, columns: Mapping[str, str]) -> None:
        mistakes = [
            f"data.columns.{key}: needed, the column that holds it"
            for key in KEYS
            if key not in columns
        ]
        if not {"close", "ret"} & set(columns):
            mistakes.append("data.columns: needs close (a price) or ret (a decimal return)")
        elif "close" not in columns and (self.market or self.macro):
            mistakes.append("data.columns.close: needed for data.market and data.macro")
        both = [name for name in self.groups if name in columns]
        mistakes += [
            f"data.groups.{name}: also in data.columns; allowed: another name" for name in both
        ]
        if mistakes:
            raise DataError(mistakes)


def _read(path: Path, wanted: Mapping[str, str], text: set[str]) -> pa.Table:
    """The wanted columns of the file (place in the spec -> column), index levels included."""
    import pyarrow as pa

    if path.is_dir():
        raise DataError(
            f"data.path: {str(path)!r} is a directory; allowed: a .parquet, .csv or .csv.gz file"
        )
    if not path.is_file():
        siblings = sorted(one.name for one in path.parent.iterdir()) if path.parent.is_dir() else []
        where = (
            f"in {str(path.parent)!r}: {unknown(path.name, siblings)}"
            if siblings
            else f"{str(path)!r}"
        )
        raise DataError(f"data.path: no such file {where}")
    kind, read = (
        ("parquet", _read_parquet) if path.suffix.lower() == ".parquet" else ("CSV", _read_csv)
    )
    try:
        table = read(path, wanted, text)
    except (pa.ArrowException, ValueError, EOFError, OSError) as error:
        raise DataError(
            f"data.path: {str(path)!r} is not a whole {kind} file: {_line(error)}"
        ) from error
    if not len(table):
        raise DataError(f"data.path: {str(path)!r} has columns but no row")
    return table


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _read_parquet(path: Path, wanted: Mapping[str, str], text: set[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
    written = _written(path, wanted, schema.names)
    words = (pa.string(), pa.large_string())  # pandas writes the large ones
    coded = [written[name] for name in text if schema.field(written[name]).type in words]
    with pq.ParquetFile(path, read_dictionary=coded) as file:
        return _stripped(file.read(columns=list(written.values())))


def _read_csv(path: Path, wanted: Mapping[str, str], text: set[str]) -> pa.Table:
    """Names and dates as text, the rest as numbers; as text, too, where one of those is not a
    number.
    """
    import pandas as pd
    import pyarrow as pa
    from pyarrow import csv

    header = pd.read_csv(path, nrows=1, header=None, dtype="str", keep_default_na=False)
    written = _written(path, wanted, header.iloc[0].tolist())
    names = pa.dictionary(pa.int32(), pa.string())

    def read(numbers: pa.DataType) -> pa.Table:
        types = {column: names if name in text else numbers for name, column in written.items()}
        options = csv.ConvertOptions(
            include_columns=list(types), column_types=types, null_values=EMPTY
        )
        quoted = csv.ParseOptions(newlines_in_values=True)
        return _stripped(csv.read_csv(path, parse_options=quoted, convert_options=options))

    try:
        return read(pa.float64())
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise
        return read(names)


def _written(path: Path, wanted: Mapping[str, str], present: Sequence[str]) -> dict[str, str]:
    """The wanted columns (place in the spec -> column) -> how the file writes their names, with
    spaces around or not.

    Raises:
        DataError: columns that are not there, or there more than once.
    """
    names = [column.strip() for column in present]
    mistakes = [
        f"{where}: column {unknown(column, names)} (in {path.name})"
        if column not in names
        else f"{where}: column {column!r} is there {names.count(column)} times (in {path.name}); allowed: once"
        for where, column in wanted.items()
        if names.count(column) != 1
    ]
    if mistakes:
        raise DataError(mistakes)
    return {column: present[names.index(column)] for column in wanted.values()}


def _stripped(table: pa.Table) -> pa.Table:
    """The table with the names of its columns without spaces around them."""
    return table.rename_columns([name.strip() for name in table.column_names])


def _names(column: pa.ChunkedArray) -> Coded:
    """The column as text; NA and NAN are tickers too."""
    return _text(column, frozenset({""}))


def _labels(column: pa.ChunkedArray) -> Coded:
    """The column as text, absent where it says so."""
    return _text(column, frozenset(EMPTY))


def _text(column: pa.ChunkedArray, empty: frozenset[str]) -> Coded:
    import pandas as pd

    codes, found = _distinct(column)
    words = [_word(value) for value in found.to_pylist()]
    names = [None if word is None else word.strip() for word in words]
    spaced = tuple(
        word for word, name in zip(words, names, strict=True) if word is not None and word != name
    )
    coded = _coded(
        codes, pd.Series([None if name in empty else name for name in names], dtype="str")
    )
    return coded._replace(spaced=spaced)


def _word(value: object) -> str | None:
    """As a person writes it: 10107, also where a gap in the column made it 10107.0."""
    if value is None or value != value:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _dates(column: pa.ChunkedArray, zone: str | None = None) -> Coded:
    """Dates without time zone: a zoned stamp keeps its local date and time, or is turned into that
    of `zone`.

    Raises:
        ValueError: values that are not dates.
    """
    import pandas as pd
    import pyarrow as pa

    codes, found = _distinct(column)
    if pa.types.is_timestamp(found.type) or pa.types.is_date(found.type):
        dates = pd.Series(found.to_pandas(date_as_object=False))
        if isinstance(dates.dtype, pd.DatetimeTZDtype):
            dates = (dates.dt.tz_convert(zone) if zone else dates).dt.tz_localize(None)
    else:
        text = pd.Series([_word(one) for one in found.to_pylist()], dtype="str").str.strip()
        text = text.mask(text.isin(EMPTY))
        text = (_moved(text, zone) if zone else text).str.replace(ZONE, r"\1", regex=True)
        text = text.str.replace(
            r"^(\d{8})\.0$", r"\1", regex=True
        )  # 20211231.0, where the column has a gap
        day = text.where(text.str.fullmatch(DAY))
        dates = pd.to_datetime(day, format="ISO8601", errors="coerce")
        _refuse(codes, found, (dates.isna() & text.notna()).to_numpy(), "a date such as 2021-12-31")
    return _coded(codes, dates.dt.as_unit("us"))


def _moved(text: pd.Series, zone: str) -> pd.Series:
    """The same with every stamp that has a zone written in local time of this one."""
    import pandas as pd

    zoned = text.notna() & (text.str.replace(ZONE, r"\1", regex=True) != text)
    stamps = pd.to_datetime(
        text.where(zoned), format="ISO8601", utc=True, errors="coerce"
    ).dt.tz_convert(zone)
    return text.mask(stamps.notna(), stamps.dt.strftime("%Y-%m-%dT%H:%M:%S.%f"))


def _times(column: pa.ChunkedArray) -> Coded:
    """The column as seconds after midnight.

    Raises:
        ValueError: values that are not times of day.
    """
    import numpy as np
    import pandas as pd

    from runner.data.sources.intraday import clock

    codes, found = _distinct(column)
    empty = np.array(
        [one is None or str(one).strip() in EMPTY for one in found.to_pylist()], dtype=bool
    )
    seconds = pd.Series(clock(found.to_pylist()), dtype="Int64")
    _refuse(codes, found, seconds.isna().to_numpy() & ~empty, "a time such as 09:31")
    return _coded(codes, seconds)


class Numbers(NamedTuple):
    """A column of numbers (n,), NaN where there is none, and a mask of the letters that say why;
    None without any.
    """

    numbers: np.ndarray
    codes: np.ndarray | None


def _numbers(column: pa.ChunkedArray) -> Numbers:
    """The column as numbers of its own type. Beside numbers, a capital letter by itself is a code
    of a missing value, as CRSP and SAS write them.

    Raises:
        ValueError: values that are not numbers.
    """
    import numpy as np
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if kind == column.type and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        return Numbers(column.to_numpy(), None)
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind) or pa.types.is_nested(kind):
        raise ValueError(f"holds {kind}; allowed: numbers")
    codes, found = _distinct(column)
    words = found.to_pylist()
    values = [_number(word) for word in words]
    if any(value is not None and value == value for value in values):
        letters = np.array(
            [isinstance(word, str) and word.strip() in LETTERS for word in words], dtype=bool
        )
    else:
        letters = np.zeros(len(words), dtype=bool)
    bad = np.array([value is None for value in values], dtype=bool) & ~letters
    _refuse(codes, found, bad, "a number")
    numbers = np.array(
        [*(np.nan if value is None else value for value in values), np.nan], dtype=float
    )[codes]
    return Numbers(numbers, np.append(letters, False)[codes] if letters.any() else None)


def _number(value: Any) -> float | None:
    """The value, NaN where it says that there is none, None where it is not a number."""
    if value is None or (isinstance(value, str) and value.strip() in EMPTY):
        return float("nan")
    try:
        return None if isinstance(value, str) and "_" in value else float(value)
    except (TypeError, ValueError):
        return None


def _distinct(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Positions (n,) in the distinct values, -1 where null, and those values."""
    import pyarrow as pa

    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    coded = coded.cast(pa.dictionary(pa.int32(), coded.type.value_type)).combine_chunks()
    return coded.indices.fill_null(-1).to_numpy(), coded.dictionary


def _coded(codes: np.ndarray, values: pd.Series) -> Coded:
    """The same with the values sorted, each once; absent ones have the code -1."""
    import numpy as np
    import pandas as pd

    from runner.data.sources.long import Coded, pieces

    position, once = pd.factorize(values, sort=True)
    if np.array_equal(position, np.arange(len(position))):
        return Coded(codes, pd.Index(once))
    position, found = np.append(position, -1), np.empty(len(codes), dtype=np.int32)
    for some in pieces(len(codes)):
        found[some] = position[codes[some]]
    return Coded(found, pd.Index(once))


def _refuse(codes: np.ndarray, found: pa.Array, bad: np.ndarray, allowed: str) -> None:
    """Raises ValueError with the first row, counted from 1, whose value is bad, and how many rows
    are.
    """
    import numpy as np

    rows = np.flatnonzero(np.append(bad, False)[codes])
    if len(rows):
        value = found[codes[rows[0]]].as_py()
        more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
        raise ValueError(f"has {value!r:.60} in row {rows[0] + 1}{more}; allowed: {allowed}")
