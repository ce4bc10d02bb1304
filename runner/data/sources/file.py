"""A long parquet or CSV file: a row per date and asset."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.data.reading.files import read
from runner.data.reading.roles import Roles
from runner.schema.settings import Date, Hours, Rows, Ticker, TimeZone

if TYPE_CHECKING:
    from runner.data.market import Market
    from runner.data.reading.long import Long


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
        macro: name here -> asset in the file, a series shared by all assets: its `close`, or its
            `ret` where it has no price (given factors, a risk-free rate). A value on a date off the
            calendar counts on the next one.
        groups: name here -> column in the file that groups assets (for instance sector: Sector). A
            column that changes within an asset gives labels of the date: row t has the label of
            row t, `unknown` where there is none.
        assets: the modelled assets; null takes all but the market asset and the macro series.
        start, end: first and last date, both included.
        time_zone: of the exchange, such as America/New_York: stamps with a zone are turned into its
            local time; null keeps the local time that they say.
        session: first and last bar of a day, such as 09:31-16:00; each day is then a session by
            itself, and no return, lag or window reaches from one into the next. Null: all rows are
            one series.
        bar: minutes from one bar of a session to the next.
        opening: whether `ret` of the first bar of a session is within that bar, not over the night.
        percent: whether `ret` is in per cent; it is divided by 100.
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
    percent: bool = False

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
        roles = Roles(
            self.columns, self.market, self.macro, self.groups, self.time_zone, self.percent
        )
        return roles.long(self.path, partial(read, "data.path", Path(self.path)))
