"""Files as people have them: long or wide, one or many, in the usual formats."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from runner.errors import DataError
from runner.record.secrets import said
from runner.schema.forms import Form
from runner.schema.settings import Asked, Date, Hours, Rows, Texts, Ticker, TimeZone

if TYPE_CHECKING:
    from runner.data.market import Market
    from runner.data.reading.files import Files
    from runner.data.reading.long import Long
    from runner.data.reading.roles import Roles
    from runner.data.reading.tables import AssetTable
    from runner.data.stored.large import Settings


@dataclass(frozen=True)
class File(Form):
    """Prices, returns, volumes and what else files hold.

    The format is told by the content, not by the suffix: Parquet, Arrow, Feather, text with any
    delimiter and encoding, Excel, Stata, SAS, SQLite and DuckDB by a query, each also compressed
    (gz, bz2, xz, zst, lz4, zip). What is guessed is said in a note with the setting that fixes it.

    Attributes:
        path: a file, a folder, a pattern such as data/*.csv, a list of them, or an address
            (https://, s3://); relative paths start at the working directory. A folder year=2020 is
            a column. Several files without a column of assets hold one asset each, by their names.
        columns: name here -> column in the file. `date` and `asset` are the keys; `close` is the
            adjusted price, or `ret` the decimal return of the row; others (`volume`, `market_cap`,
            ...) are fields that features may read. With both `ret` and `close`, returns are those
            of `ret`. A column set to null is not read. `time` is the time of day, where it has a
            column of its own: 09:31, 09:31:00, 931 or 93100. Where the file lacks a default, usual
            names are recognised (date, ticker, adj close, ret, ...).
        market: the market asset; its dates are the calendar.
        macro: name here -> asset in the file, a series shared by all assets: its `close`, or its
            `ret` where it has no price (given factors, a risk-free rate). A value on a date that
            is not in the calendar counts on the next one.
        groups: name here -> column in the file that groups assets (for instance sector: Sector). A
            column that changes within an asset gives labels of the date: row t has the label of
            row t, `unknown` where there is none.
        assets: the assets to model; null: all but the market asset and the macro series.
        start, end: first and last date, both included.
        time_zone: of the exchange, such as America/New_York: time stamps with a zone are converted
            to it; null keeps their own local time.
        session: first and last bar of a day, such as 09:31-16:00; no return, lag or window then
            crosses from one day into the next. Null: all rows are one series.
        bar: minutes from one bar of a session to the next.
        opening: whether `ret` of the first bar of a session is within that bar, not over the night.
        percent: whether `ret` is in per cent; it is divided by 100.
        where: {column: text}, only the rows with this text (or one of a list) in that column, such
            as shrcd: [10, 11]; empty: all rows.
        asked: names that other parts of the spec use; of a file with a row per date and asset,
            columns of these names are read too. Noted by the run itself.
        values: what a wide file holds: close (adjusted prices) or ret (decimal returns); null: ret
            with `percent`, else recognised by the values.
        on_disk: for tables larger than memory (Parquet files with a row per date and asset): write
            the table to disk once, in order of date, and read some dates at a time; null: where it
            would not fit into memory.
        folder: where that is written; a relative path starts at the working directory.
    """

    path: str | list[str]
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
    percent: bool = False
    where: dict[str, Texts] = field(default_factory=dict)
    asked: Asked = field(default_factory=dict)
    values: Literal["close", "ret"] | None = None
    on_disk: bool | None = None
    folder: str = "outputs/cache"

    def load(self) -> Market:
        """The market (T, N) of the file.

        Raises:
            DataError: no such file, not a whole table, columns or assets that are not in it, forms,
                marks or dates that can be read in two ways, values that are not dates or numbers,
                conflicting duplicate rows, a date range without rows or without a bar of a session.
        """
        import pyarrow as pa

        from runner.data.sources import intraday
        from runner.data.stored.large import belongs_on_disk, market_on_disk

        files, table = self._table()
        settings = self._of_disk()
        if belongs_on_disk(settings, files, table):
            stored = market_on_disk(settings, files, table, self._roles(table))
            pa.default_memory_pool().release_unused()
            return stored
        long = self._long(files, table)
        pa.default_memory_pool().release_unused()  # else it keeps some times what the market takes
        market = long.widen(self.assets, self.start, self.end)
        del long
        pa.default_memory_pool().release_unused()
        if self.session is None:
            return market
        return intraday.in_sessions(market, self.session, self.bar, self.opening)

    def _of_disk(self) -> Settings:
        """What decides whether the market is put on disk, and what it is made by."""
        from runner.data.stored.large import Settings

        every = asdict(self)
        on_disk = every.pop("on_disk")
        folder = every.pop("folder")
        sessions = self.session is not None
        return Settings(on_disk, folder, self.assets, self.start, self.end, sessions, every)

    def _table(self) -> tuple[Files, AssetTable]:
        """The files, and what their table is taken for."""
        from runner.data.reading.files import open_files
        from runner.data.reading.parsing import ALREADY
        from runner.data.reading.tables import asset_table

        values = self.values
        if values is None and self.percent:
            values = "ret"  # only returns are in per cent
        files = open_files("data.path", self.path, self)
        classified = self.macro.values() if self.assets is None else files.names
        table = asset_table(files, self.columns, self.groups, values, self.asked, classified)
        if self.percent and table.per_cent:
            raise DataError(f"data.percent: {ALREADY}")
        return files, table

    def _roles(self, table: AssetTable) -> Roles:
        """Which column is what."""
        from runner.data.reading.roles import Roles

        return Roles(
            columns=table.columns,
            market=self.market,
            macro=self.macro,
            groups=self.groups,
            time_zone=self.time_zone,
            percent=self.percent,
            guessed=table.guessed,
            date_format=self.date_format,
            asked=table.asked,
            where=self.where,
            called=table.called,
        )

    def _long(self, files: Files, table: AssetTable) -> Long:
        """The table of the files."""
        long = self._roles(table).long(said(files.shown), table.read)
        notes = dict.fromkeys([*files.notes, *table.notes, *long.notes])
        unread = tuple(name for name in table.unread if name not in self.where)
        return replace(long, notes=tuple(notes), unread=unread)
