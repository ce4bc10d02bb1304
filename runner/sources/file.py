"""A long parquet or CSV file: a row per date and asset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import DataError, unknown
from runner.settings import Date, Ticker

if TYPE_CHECKING:
    import pandas as pd

    from runner.market import Market

KEYS = ("date", "asset")
EMPTY = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#N/A", "."]


@dataclass(frozen=True)
class File:
    """Prices, volumes and what else a long file holds.

    Attributes:
        path: a .parquet, .csv or .csv.gz file; relative paths start at the working directory.
        columns: name here -> column in the file. `date` and `asset` are the keys; `close` is the
            adjusted price, or `ret` the decimal return of the row; others (`volume`, `market_cap`, ...)
            are fields that features may read. A column set to null is not read.
        market: the market asset; its dates are the calendar.
        macro: name here -> asset in the file, series shared by all assets (levels).
        groups: name here -> column in the file that groups assets (for instance sector: Sector).
        assets: the modelled assets; null takes all but the market asset and the macro series.
        start, end: first and last date, both included.
    """

    path: str
    columns: dict[str, str | None]
    market: Ticker | None = None
    macro: dict[str, Ticker] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    assets: list[Ticker] | None = None
    start: Date | None = None
    end: Date | None = None

    def load(self) -> Market:
        """The market (T, N) of the file.

        Raises:
            DataError: no such file, not a whole parquet or CSV file, columns or assets that are not in
                it, conflicting duplicate rows, a date range without rows.
        """
        from runner.sources.long import PRICE, Long

        wanted = {name: column for name, column in self.columns.items() if column is not None} | self.groups
        self._check_roles(wanted)
        table = _read(Path(self.path), wanted).rename(columns={v: k for k, v in wanted.items()})
        table["date"] = _naive_dates(table["date"])
        table["asset"] = table["asset"].astype("str")
        fields = [name for name in wanted if name not in (*KEYS, *self.groups)]
        if PRICE not in fields and (self.market or self.macro):
            raise DataError("data.columns.close: needed for data.market and data.macro")
        long = Long(self.path, table, fields, list(self.groups), self.market, self.macro)
        return long.widen(self.assets).between(self.start, self.end)

    def _check_roles(self, wanted: Mapping[str, str]) -> None:
        missing = [f"data.columns.{key}: needed, the column that holds it" for key in KEYS if key not in wanted]
        if not {"close", "ret"} & set(wanted):
            missing.append("data.columns: needs close (a price) or ret (a decimal return)")
        if missing:
            raise DataError(missing)


def _read(path: Path, wanted: Mapping[str, str]) -> pd.DataFrame:
    """The wanted columns of the file, index levels included."""
    if not path.is_file():
        siblings = sorted(one.name for one in path.parent.iterdir()) if path.parent.is_dir() else []
        where = f"in {str(path.parent)!r}: {unknown(path.name, siblings)}" if siblings else f"{str(path)!r}"
        raise DataError(f"data.path: no such file {where}")
    if path.suffix == ".parquet":
        return _read_parquet(path, wanted)
    return _read_csv(path, wanted)


def _read_parquet(path: Path, wanted: Mapping[str, str]) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, wanted, file.schema_arrow.names)
            return file.read(columns=list(dict.fromkeys(wanted.values()))).to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"data.path: {str(path)!r} is not a whole parquet file: {reason}") from error


def _read_csv(path: Path, wanted: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    try:
        _check_columns(path, wanted, pd.read_csv(path, nrows=0).columns)
        asset, columns = wanted["asset"], set(wanted.values())
        empty = dict.fromkeys(columns, EMPTY) | {asset: [""]}  # NA and NAN are tickers too
        return pd.read_csv(path, usecols=list(columns), dtype={asset: "str"}, keep_default_na=False, na_values=empty)
    except (ValueError, EOFError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"data.path: {str(path)!r} is not a readable CSV file: {reason}") from error


def _check_columns(path: Path, wanted: Mapping[str, str], present: Sequence[str]) -> None:
    missing = [
        f"data.columns.{name}: column {unknown(column, present)} (in {path.name})"
        for name, column in wanted.items()
        if column not in present
    ]
    if missing:
        raise DataError(missing)


def _naive_dates(column: pd.Series) -> pd.Series:
    """Dates without time zone: a zoned stamp keeps its local date and time.

    Raises:
        DataError: values that are not dates.
    """
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_localize(None)
    if pd.api.types.is_datetime64_any_dtype(column):
        return column
    text = column.astype("str").str.replace(r"(Z|[+-]\d\d:?\d\d)$", "", regex=True).where(column.notna())
    try:
        return pd.to_datetime(text, format="%Y%m%d" if text.str.fullmatch(r"\d{8}").all() else "ISO8601")
    except ValueError as error:
        raise DataError(f"data.columns.date: not dates: {str(error).splitlines()[0]}") from error
