"""A DataFrame of your own, in Python: a row per date and asset, or dates x assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from runner.data.factor_names import canonical
from runner.data.reading.roles import Roles, asked_columns
from runner.data.reading.usual import factors_among
from runner.errors import DataError, listed, unknown
from runner.schema.settings import Asked, Date, Texts, Ticker, TimeZone

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from runner.data.market import Market

KEYS = ("date", "asset")
VALUES = ("close", "ret")  # read under these names whatever they hold
SOURCE = "a DataFrame"


@dataclass(frozen=True)
class Frame:
    """How a DataFrame is read: runner.run(..., data=frame).

    Attributes:
        columns: name here -> column of a frame with a row per date and asset. `date` and `asset`
            are the keys; `close` is the adjusted price, or `ret` the decimal return of the row;
            others are fields that features may read. Empty: every column of numbers under its own
            name, and `date` and `asset`, which may be levels of the index.
        values: what a frame of dates x assets holds: close (adjusted prices) or ret (decimal
            returns); null: the frame has a row per date and asset.
        market: the market asset; its dates are the calendar.
        macro: name here -> asset in the frame, a series shared by all assets: its `close`, or its
            `ret` where it has no price. A value on a date off the calendar counts on the next one.
        groups: name here -> column that groups assets (for instance sector: sector), of each date
            where it changes within an asset.
        assets: the modelled assets; null takes all but the market asset and the macro series.
        start, end: first and last date, both included.
        time_zone: stamps with a zone are turned into local time of this one; null keeps theirs.
        percent: whether `ret` is in per cent; it is divided by 100.
        where: {column: text}, only the rows with this text (or one of a list) in that column, such
            as shrcd: [10, 11]; empty: all rows.
        asked: names that other parts of the spec use; columns of these names are read too. Noted by
            the run itself.
    """

    columns: dict[str, str | None] = field(default_factory=dict)
    values: Literal["close", "ret"] | None = None
    market: Ticker | None = None
    macro: dict[str, Ticker] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    assets: list[Ticker] | None = None
    start: Date | None = None
    end: Date | None = None
    time_zone: TimeZone | None = None
    percent: bool = False
    where: dict[str, Texts] = field(default_factory=dict)
    asked: Asked = field(default_factory=dict)

    def of(self, frame: pd.DataFrame) -> Framed:
        """The source that reads this DataFrame."""
        return Framed(self, frame)

    def load(self) -> Market:
        """No data: a DataFrame is given in Python.

        Raises:
            DataError: always.
        """
        raise DataError(
            "data=frame: the DataFrame is given in Python, runner.run(..., data=frame); "
            "from the command line: data=file data.path=PATH"
        )


@dataclass(frozen=True, eq=False)
class Framed:
    """A DataFrame and how it is read."""

    settings: Frame
    frame: pd.DataFrame

    def load(self) -> Market:
        """The market (T, N) of the frame, which is not changed.

        Raises:
            DataError: columns or assets that are not in it, values that are not dates or numbers,
                conflicting duplicate rows, a date range without rows, a table of dates x assets
                without a word on what its values are.
        """
        settings = self.settings
        if self.frame.empty:
            raise DataError("data: the DataFrame has no row or no column")
        long = self._long() if settings.values is None else self._melted()
        columns = self._columns(long)
        names = [str(name).strip() for name in long]
        further = asked_columns(settings.asked, names, {**settings.columns, **columns})
        roles = Roles(
            columns=columns,
            market=settings.market,
            macro=settings.macro,
            groups=settings.groups,
            time_zone=settings.time_zone,
            percent=settings.percent,
            guessed=self._guessed(columns),
            asked=further,
            where=settings.where,
        )
        dated, notes = _without_periods(long)
        read = roles.long(SOURCE, partial(_columns, _arrow(dated)))
        read_columns = {*columns.values(), *settings.groups.values(), *further, *settings.where}
        settled = {*settings.columns, *read_columns}
        unread = tuple(name for name in names if name not in settled)
        read = replace(read, notes=(*notes, *read.notes), unread=unread)
        return read.widen(settings.assets, settings.start, settings.end)

    def _long(self) -> pd.DataFrame:
        """The frame with its keys as columns.

        Raises:
            DataError: it has none.
        """
        names = self.frame.columns
        if names.has_duplicates:
            twice = listed(names[names.duplicated()].unique())
            raise DataError(f"data: the DataFrame has column {twice} more than once; allowed: once")
        levels = [name for name in self.frame.index.names if name is not None]
        both = [str(name) for name in levels if name in self.frame]
        if both:
            raise DataError(
                f"data: {listed(both)}: a level of the index and a column; allowed: one"
            )
        long = self.frame.reset_index(level=levels) if levels else self.frame
        columns = self.settings.columns
        keys = [columns.get(key) or key for key in KEYS]
        missing = [key for key in keys if key not in long]
        if missing:
            given = ", ".join(str(name) for name in list(long)[:6])
            raise DataError(
                f"data: the DataFrame has no column {' and '.join(missing)} (it has {given}); "
                "a row per date and asset: data.columns={date: NAME, asset: NAME, close: NAME} "
                "(ret: NAME of returns); "
                "dates x assets: data.values=close or data.values=ret"
            )
        return long

    def _melted(self) -> pd.DataFrame:
        """A row per date and asset of a frame of dates x assets."""
        import pandas as pd

        values = self.settings.values
        frame = self.frame
        if isinstance(frame.index, pd.RangeIndex) or isinstance(frame.columns, pd.MultiIndex):
            raise DataError(
                f"data.values={values}: the DataFrame needs dates as its index, assets as its "
                "columns; a row per date and asset: data.values=null"
            )
        names = frame.columns.astype(str)
        self._check_assets(list(names))
        wide = frame.set_axis(names, axis=1).rename_axis("date")
        return wide.reset_index().melt("date", var_name="asset", value_name=str(values))

    def _check_assets(self, names: Sequence[str]) -> None:
        """Whether no factor stands among the assets of a frame of dates x assets.

        Raises:
            DataError: some do, and the spec does not say what they are.
        """
        settings = self.settings
        factors = factors_among(names)
        classified = settings.macro.values() if settings.assets is None else names
        if set(factors) <= set(classified):
            return
        series = ", ".join(f"{canonical(name)}: {name}" for name in factors)
        raise DataError(
            f"data: the DataFrame has {listed(factors)} among its assets; "
            f"data.macro={{{series}}} takes them as series, data.assets=[...] names the assets"
        )

    def _columns(self, long: pd.DataFrame) -> dict[str, str]:
        """Name here -> column; date and asset have these names where no others are given."""
        import pandas as pd

        given = self.settings.columns
        if given:
            with_keys = {key: key for key in KEYS} | dict(given)
            return {name: column for name, column in with_keys.items() if column is not None}
        groups = set(self.settings.groups.values())
        columns = {key: key for key in KEYS}
        for name, kind in long.dtypes.items():
            numbers = pd.api.types.is_numeric_dtype(kind)
            if name not in groups and (numbers or name in VALUES):
                columns[str(name)] = str(name)
        return columns

    def _guessed(self, columns: Mapping[str, str]) -> tuple[str, ...]:
        """Names here whose columns were taken by their own names."""
        if not self.settings.columns and self.settings.values is None:
            return tuple(columns)
        return ()


def _without_periods(long: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The frame with periods as dates, and sentences on them.

    A period of a day or more is its last day, a shorter one its first moment.
    """
    import pandas as pd

    dated = {}
    notes = []
    for name, kind in long.dtypes.items():
        if not isinstance(kind, pd.PeriodDtype):
            continue
        periods = long[name]
        first = periods.dt.to_timestamp(how="start")
        last = periods.dt.to_timestamp(how="end")
        within_a_day = bool((last - first < pd.Timedelta(hours=23)).any())
        dated[name] = first if within_a_day else last.dt.normalize()
        moment = "first moment" if within_a_day else "last day"
        notes.append(f"Periods in column {name} are dated by their {moment}.")
    return long.assign(**dated), notes


def _arrow(long: pd.DataFrame) -> pa.Table:
    """The frame as a table, its names as text without spaces around them."""
    import pyarrow as pa

    table = pa.Table.from_pandas(long, preserve_index=False)
    return table.rename_columns([str(name).strip() for name in table.column_names])


def _columns(table: pa.Table, wanted: Mapping[str, str], text: set[str]) -> pa.Table:
    """The table, which has the wanted columns (place in the spec -> column).

    Raises:
        DataError: columns that it has not, or has more than once.
    """
    names = table.column_names
    mistakes = []
    for where, column in wanted.items():
        if column not in names:
            mistakes.append(f"{where}: column {unknown(column, names)} (in the DataFrame)")
        elif names.count(column) > 1:
            mistakes.append(f"{where}: column {column!r} is there more than once; allowed: once")
    if mistakes:
        raise DataError(mistakes)
    return table
