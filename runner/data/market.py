"""Raw data on one calendar: what a source gives and a feature reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from runner.data.calendar import (
    Calendar,
    begun,
    calendar_of,
    period_ends,
    session_numbers,
    unfinished,
    within,
    year_of,
)
from runner.data.digests import digest_of
from runner.data.factor_names import same_factor
from runner.data.fields import FULL, Fields, same_for_all
from runner.data.labels import Groups, Labels
from runner.data.notices import Blanked, Dropped, Reading
from runner.errors import DataError, unknown
from runner.numerics.trailing import by_asset, compound
from runner.numerics.variation import steadied
from runner.schema.settings import Frequency, Kind, Partial


@dataclass(frozen=True)
class Market:
    """Frames (T, N) by field, series (T,) shared by all assets, groups of assets, on one calendar.

    Attributes:
        source: where the data came from, for people.
        fields: name -> frame (T, N): `close` (adjusted price) or `ret` (decimal return of the row)
            or both, and whatever else the source has (`volume`, `market_cap`, ...). NaN where there
            is none. Where there is `ret`, every return is made of it, and `close` is a price and
            nothing else.
        series: frame (T, F) of series that are the same for every asset: macro levels, given
            factors.
        market_close: price (T,) of the market asset, None where the source has no market asset.
        groups: frame (N, G), one column per grouping such as sector, with one label per asset.
        dropped: what the source left out.
        sessions: whether each day is a session by itself: no return, lag or window reaches from one
            into another.
        market_ret: return (T,) of the market asset, decimals, where the source has it beside the
            price.
        notes: sentences on the data that its reader should know.
        blanked: values that rules took away, on the rows and assets of this market; a part of it
            has none.
        part_of: calendar of the data that this is a part of; None where it is all of them.
        labels: name -> labels of the date (T, N), such as a sector that changes: row t is known at
            t.
        kinds: name of a field or series -> what its numbers are, where the spec says it.
        units: name of a joined rate -> settings that say in which unit it is; empty where they do.
        readings: what each column of the tables was taken for; none where no table was read.
        unread: columns of the table of assets that the spec does not name.
        members: the label that the assets of a panel have on each date; None: all assets.
    """

    source: str
    fields: Fields
    series: pd.DataFrame
    market_close: pd.Series | None = None
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)
    dropped: tuple[Dropped, ...] = ()
    sessions: bool = False
    market_ret: pd.Series | None = None
    notes: tuple[str, ...] = ()
    blanked: tuple[Blanked, ...] = ()
    part_of: Calendar | None = None
    kinds: Mapping[str, Kind] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Labels] = field(default_factory=dict)
    readings: tuple[Reading, ...] = ()
    members: str | None = None
    unread: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        fields = Fields.of_frames(self.fields)  # a source of one's own may give frames by name
        object.__setattr__(self, "fields", fields)

    def of_members(self, label: str) -> Market:
        """This market, of which panels have the assets with this label on each date.

        Raises:
            DataError: the data have no such label.
        """
        self.grouping.get(label, "data.members")
        return replace(self, members=label)

    @property
    def grouping(self) -> Groups:
        """Every label of the assets by its name, those for ever and those of the date."""
        return Groups(self.groups, self.labels)

    @cached_property
    def calendar(self) -> Calendar:
        """How often rows come; those of all the data where this is a part, such as a session."""
        return self.part_of or calendar_of(self.dates)

    def rows_per_year(self, given: float | None = None) -> float:
        """Rows of a year by the calendar, or as given.

        Raises:
            SettingError: a number that the calendar contradicts; none given where the rows follow
                no calendar.
        """
        return year_of(self.calendar, given).rows

    @property
    def dates(self) -> pd.DatetimeIndex:
        """The rows (T,)."""
        return pd.DatetimeIndex(self.series.index)

    @cached_property
    def assets(self) -> list[str]:
        """Names (N,) of the assets."""
        names = self.fields.assets.to_numpy(dtype=object)
        return [str(name) for name in names]

    def get(self, name: str) -> pd.DataFrame:
        """The field `name`, (T, N).

        Raises:
            DataError: the data has no such field.
        """
        if name in self.unread and name not in self.fields:
            column = f"field {name}: a column of the data that is not read"
            raise DataError(f"{column}; data.columns.{name}={name} reads it")
        if name not in self.fields:
            joins = "data.columns.NAME=COLUMN reads one, data.fields.NAME.path=FILE joins one"
            raise DataError(f"field {unknown(name, [*self.fields, *self.unread], joins)}")
        return self.fields[name]

    def shared(self, name: str) -> pd.Series:
        """The series `name`, (T,).

        The same factor by another name (Mkt-RF is MktRF) and a field that is the same for every
        asset are series too.

        Raises:
            DataError: the data has no such series.
        """
        if name in self.series:
            return self.series[name]
        if name in self.fields:
            return same_for_all(name, self.fields[name])
        factor = same_factor(name, self.series.columns)
        if factor is None:
            if name in self.unread:
                column = f"series {name}: a column of the data that is not read"
                raise DataError(f"{column}; data.columns.{name}={name} reads it")
            joins = "data.series.NAME.path=FILE joins series by date"
            known = [*self.series.columns, *self.unread]
            raise DataError(f"series {unknown(name, known, joins)}")
        return self.series[factor]

    @property
    def index_close(self) -> pd.Series:
        """Price (T,) of the market asset.

        Raises:
            DataError: the spec names no market asset, or one without prices.
        """
        if self.market_close is None:
            if self.market_ret is not None:
                raise DataError("the market asset has returns and no price")
            raise DataError(
                "the data has no market asset; "
                "set data.market=ASSET, or features=capm with the series MktRF"
            )
        return self.market_close

    def returns(self, rows: int = 1) -> pd.DataFrame:
        """Simple returns (T, N), decimals, over the `rows` rows that end at row t.

        Compounded from `ret` where the data has it, else P(t) / P(t - rows) - 1.

        Raises:
            DataError: the data has neither returns nor prices.
        """
        if self.sessions:
            sessions = self.by_session()
            if len(sessions) > 1:
                return pd.concat([session.returns(rows) for session in sessions])
        if "ret" in self.fields:
            ret = self.fields["ret"]
            if rows == 1:
                return ret
            return compound(ret, rows)
        return change(self.get("close"), rows)

    @property
    def index_returns(self) -> pd.Series:
        """Simple return (T,) of the market asset over the row that ends at t.

        Its own, where the source has it, else P(t) / P(t - 1) - 1.

        Raises:
            DataError: the spec names no market asset.
        """
        if self.market_ret is not None:
            return self.market_ret
        return change(self.index_close)

    def of_returns(self, work: Callable[[np.ndarray], np.ndarray]) -> pd.DataFrame:
        """The result of `trailing.by_asset` on the returns (T, N) of the rows, not held."""
        if self.sessions or "ret" in self.fields:
            return by_asset(work, self.returns())

        def work_on_prices(prices: np.ndarray) -> np.ndarray:
            return work(_change(prices, 1))

        return by_asset(work_on_prices, self.get("close"))

    def sample(self, frequency: Frequency | None, partial: Partial = "drop") -> Market:
        """This market on the last row of each week (to Friday) or month.

        The value of a week is that of its last row: prices, series, volumes. Returns (`ret`) are
        compounded over the rows of the week; one that is missing leaves none, and so does a first
        week whose first days are not there. The last week is left out where it is not over, unless
        `partial` is keep: see `runner.data.calendar.unfinished`.

        Raises:
            DataError: sessions, which no week or month crosses.
        """
        if frequency is None:
            return self
        if self.sessions:
            raise DataError(
                f"frequency={frequency} crosses the night between sessions; allowed: null"
            )
        ends = self.last_rows(frequency, partial)
        every = self.calendar.dates
        calendar = calendar_of(every[period_ends(every, frequency)])
        sampled = replace(self.at(ends), part_of=calendar)
        if not len(ends):
            return sampled
        whole = begun(self.dates, self.calendar, frequency)
        fields = sampled.fields
        if "ret" in fields:
            compounded = _within_periods(self.fields["ret"], ends, whole)
            fields = fields.with_frames({"ret": compounded})
        market_ret = self.market_ret
        if market_ret is not None:
            of_market = _within_periods(market_ret.to_frame(), ends, whole)
            market_ret = of_market.iloc[:, 0]
        return replace(sampled, fields=fields, market_ret=market_ret)

    def compounded(
        self, name: str, frequency: Frequency | None, partial: Partial = "drop"
    ) -> pd.Series:
        """A rate per row, the series `name`, compounded over the rows of each week or month as
        returns are; as it is without a frequency. In `sample` a series has the value of its last
        row.

        Raises:
            DataError: the data has no such series.
        """
        rate = self.shared(name)
        if frequency is None:
            return rate
        ends = self.last_rows(frequency, partial)
        if not len(ends):
            return rate.iloc[ends]
        whole = begun(self.dates, self.calendar, frequency)
        return _within_periods(rate.to_frame(), ends, whole).iloc[:, 0]

    def last_rows(self, frequency: Frequency | None, partial: Partial = "drop") -> np.ndarray:
        """Positions of the last row of each week or month, one that is not over left out unless
        `partial` is keep; of every row without a frequency.
        """
        if frequency is None:
            return np.arange(len(self.dates))
        ends = period_ends(self.dates, frequency)
        return ends[:-1] if self.left_out(frequency, partial) else ends

    def left_out(
        self, frequency: Frequency | None, partial: Partial = "drop"
    ) -> tuple[Dropped, ...]:
        """The account of what `sample` leaves out: the last week or month, where it is not over."""
        if frequency is None or partial == "keep" or not len(self.dates):
            return ()
        why = unfinished(self.dates, self.calendar, frequency)
        if not why:
            return ()
        reason = f"the last one is not over, {why} (target.partial=keep keeps it)"
        return (Dropped(frequency, reason, 1),)

    def by_session(self) -> list[Market]:
        """The markets of the single sessions, in order."""
        starts = np.flatnonzero(np.diff(session_numbers(self.dates))) + 1
        rows_of_sessions = np.split(np.arange(len(self.dates)), starts)
        return [self.at(rows) for rows in rows_of_sessions]

    def between(self, start: str | None, end: str | None) -> Market:
        """This market on the rows from `start` to `end` (included), as if there were no others."""
        rows = np.flatnonzero(within(self.dates, start, end))
        return replace(self.at(rows), part_of=None)

    def of(self, assets: Sequence[str]) -> Market:
        """This market with these assets, each once.

        Raises:
            DataError: an asset is not in the data.
        """
        names = list(assets)
        positions = pd.Index(self.assets).get_indexer(names)
        absent = np.flatnonzero(positions < 0)
        if len(absent):
            raise DataError(f"asset {unknown(names[absent[0]], self.assets)}")
        return self.of_positions(positions)

    def of_positions(self, positions: np.ndarray) -> Market:
        """This market with the assets at these positions, each once."""
        groups = self.groups
        if len(groups):
            groups = groups.loc[self.fields.assets[positions]]
        fields = self.fields.of(positions)
        labels = {name: of_name.of_columns(positions) for name, of_name in self.labels.items()}
        return replace(self, fields=fields, groups=groups, labels=labels, blanked=())

    def at(self, rows: np.ndarray) -> Market:
        """This market on the rows at these positions, which are a part of its calendar."""
        close = self.market_close
        ret = self.market_ret
        return replace(
            self,
            fields=self.fields.at(rows),
            series=self.series.iloc[rows],
            market_close=None if close is None else close.iloc[rows],
            market_ret=None if ret is None else ret.iloc[rows],
            labels={name: of_name.at(rows) for name, of_name in self.labels.items()},
            blanked=(),
            part_of=self.calendar,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Digest of every number, date and name in this market; equal data gives equal digests."""
        return self._digest(FULL)

    @cached_property
    def fingerprint_of_earlier_versions(self) -> str:
        """The same as earlier versions took it, of every cell of sparse fields too."""
        return self._digest(full=0.0)

    def _digest(self, full: float) -> str:
        frames = [("series", self.series), *self._of_market_asset()]
        return digest_of(self.fields, frames, self.dates, self.grouping, self.members, full)

    def fingerprint_of_rows(self, named: Collection[str]) -> str:
        """Digest of what the rows and a target are made of, whatever further columns are read:
        dates and assets, their prices and returns, those of the market asset, the members.

        Args:
            named: fields and series that the target names.
        """
        made_of = {"close", "ret", *named}
        fields = self.fields.named(made_of & set(self.fields))
        series = sorted(made_of & set(self.series.columns))
        frames = [("series", self.series[series]), *self._of_market_asset()]
        members = [] if self.members is None else [self.members]
        grouping = self.grouping.of(members)
        return digest_of(fields, frames, self.dates, grouping, self.members)

    def _of_market_asset(self) -> list[tuple[str, pd.DataFrame]]:
        """The price and the return (T, 1) of the market asset, those that there are."""
        parts = {"market": self.market_close, "market return": self.market_ret}
        return [(name, part.to_frame()) for name, part in parts.items() if part is not None]

    @property
    def asked(self) -> tuple[str, ...]:
        """Columns that are read because a part of the spec beside `data` names them."""
        return tuple(reading.name for reading in self.readings if reading.asked)

    def asking_only(self, names: Collection[str]) -> Market:
        """This market without what is read because another spec names it: its own are `names`."""
        others = set(self.asked) - set(names)
        if not others:
            return self
        fields = self.fields.named(set(self.fields) - others)
        kept = self.grouping.of([name for name in self.grouping.names if name not in others])
        return replace(self, fields=fields, groups=kept.fixed, labels=kept.by_date)


def change(prices: Any, rows: int = 1) -> Any:
    """P(t) / P(t - rows) - 1, decimals; NaN where either is missing (nothing is padded).

    NaN too where either is zero or negative: of a level that may cross zero a relative change says
    nothing.
    """

    def changes(cells: np.ndarray) -> np.ndarray:
        return _change(cells, rows)

    return by_asset(changes, prices)


def _change(prices: np.ndarray, rows: int) -> np.ndarray:
    """The same of arrays (T, c), for all rows but the first `rows` ones."""
    later = prices[rows:]
    earlier = prices[:-rows]
    quotient = later / earlier
    quotient -= 1.0
    not_positive = prices <= 0.0
    if not_positive.any():
        undefined = not_positive[rows:] | not_positive[:-rows]
        quotient[undefined] = np.nan
    return quotient


def _within_periods(returns: pd.DataFrame, ends: np.ndarray, begun: bool) -> pd.DataFrame:
    """Compounded returns of the periods that end at these rows.

    NaN if a return is missing, and in a first period that has not all its rows.
    """
    starts = np.append(0, ends[:-1] + 1)
    cells = steadied(returns.to_numpy(dtype=float))
    growth = 1.0 + cells[: ends[-1] + 1]
    growth[growth < 0.0] = np.nan  # a loss of more than all is no return
    compounded = np.multiply.reduceat(growth, starts, axis=0) - 1.0
    if not begun:
        compounded[0] = np.nan
    return pd.DataFrame(compounded, returns.index[ends], returns.columns)
