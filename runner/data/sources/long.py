"""From a long table (a row per date and asset) to wide frames, with every left-out row counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.data.calendar import within
from runner.data.market import Dropped, Market, choose_assets
from runner.errors import DataError, listed, unknown

PRICE, RETURN = "close", "ret"
ROWS = 65536  # at a time, which with what is made of them stay in the cache


def pieces(n: int) -> Iterator[slice]:
    """Some of n rows at a time."""
    return (slice(first, min(first + ROWS, n)) for first in range(0, n, ROWS))


class Coded(NamedTuple):
    """A column (n,) as positions in its distinct values, which are sorted; -1 where there is none.

    Attributes:
        spaced: texts that had spaces around them, as they were written.
    """

    codes: np.ndarray
    values: pd.Index
    spaced: tuple[str, ...] = ()

    def used(self, rows: np.ndarray) -> pd.Index:
        """The values that occur in these rows (mask)."""
        seen = np.zeros(len(self.values) + 1, dtype=bool)  # the last: absent
        for some in pieces(len(rows)):
            seen[
                self.codes[some] if rows[some].all() else np.where(rows[some], self.codes[some], -1)
            ] = True
        return self.values[seen[:-1]]


class Cells(NamedTuple):
    """Where the rows in use go, one row a cell.

    Attributes:
        rows: positions of the rows in the table, `slice(None)` for all.
        at: positions (n,) of their cells in a flat cube (N, T).
        there: (N, T), True where there is a row.
    """

    rows: np.ndarray | slice
    at: np.ndarray
    there: np.ndarray


@dataclass(frozen=True)
class Long:
    """A long table of n rows and how to read it.

    Attributes:
        date, asset: the keys of the rows; the values of `date` are a DatetimeIndex.
        fields: name -> numbers (n,) to widen.
        groups: name -> what groups the assets.
        market: the market asset, whose dates are the calendar; None takes every date of the assets.
        macro: name here -> asset in the table, of the series shared by all assets.
        codes: name of a field -> mask (n,) of the letters in it that say why there is no number.
    """

    source: str
    date: Coded
    asset: Coded
    fields: Mapping[str, np.ndarray]
    groups: Mapping[str, Coded]
    market: str | None
    macro: Mapping[str, str]
    codes: Mapping[str, np.ndarray] = field(default_factory=dict)

    def widen(
        self, wanted: Sequence[str] | None, start: str | None = None, end: str | None = None
    ) -> Market:
        """The market of the wanted assets (None: all but the market asset and the macro series),
        with every number as the table has it.

        What is left out is counted among the rows of those assets and series from `start` to `end`.

        Raises:
            DataError: unknown assets, conflicting duplicate rows, a group that changes over time,
                no row from `start` to `end` or none with a price of the market asset.
        """
        keyless = int((~self._keyed).sum())
        assets = self._choose(wanted)
        names = list(dict.fromkeys([*assets, *self._special.values()]))
        cells, repeated = self._place(names, self._in_range(start, end))
        wide = {name: self._cube(numbers, cells) for name, numbers in self.fields.items()}
        on, outside = self._calendar(cells.there, len(assets), wide, names)
        frames = {name: _frame(cube, on, self.date.values, names) for name, cube in wide.items()}
        index = next(iter(frames.values())).index
        series = [frames[PRICE][ticker].rename(name) for name, ticker in self.macro.items()]
        account = [
            Dropped("source row", "no date or no asset", keyless),
            Dropped("source row", "repeats another row", repeated),
            *self._coded(cells),
            Dropped(
                "source row", f"date on which {self.market or 'the assets'} did not trade", outside
            ),
        ]
        own = {
            name: frames[name][self.market]
            for name in (PRICE, RETURN)
            if self.market and name in frames
        }
        if RETURN in own and own[RETURN].isna().all():
            del own[RETURN]  # an index with prices alone
        return Market(
            self.source,
            {name: frame.iloc[:, : len(assets)] for name, frame in frames.items()},
            pd.concat(series, axis=1) if series else pd.DataFrame(index=index),
            own.get(PRICE),
            self._groups(cells, assets),
            tuple(one for one in account if one.rows),
            market_ret=own.get(RETURN),
            notes=self._notes(names),
        )

    @cached_property
    def _keyed(self) -> np.ndarray:
        return (self.date.codes >= 0) & (self.asset.codes >= 0)

    @property
    def _special(self) -> dict[str, str]:
        """Where in the spec -> the market asset and the assets of the macro series."""
        named = {"data.market": self.market} if self.market else {}
        return named | {f"data.macro.{name}": ticker for name, ticker in self.macro.items()}

    def _choose(self, wanted: Sequence[str] | None) -> list[str]:
        present = [str(name) for name in self.asset.used(self._keyed)]
        known, special = set(present), set(self._special.values())
        mistakes = [
            f"{where}: {unknown(t, present)}"
            for where, t in self._special.items()
            if t not in known
        ]
        try:
            assets = choose_assets(
                wanted, present if wanted else [one for one in present if one not in special]
            )
        except DataError as error:
            raise DataError([*mistakes, *error.mistakes]) from error
        if mistakes:
            raise DataError(mistakes)
        return assets

    def _in_range(self, start: str | None, end: str | None) -> np.ndarray:
        """Mask over the distinct dates."""
        dates = pd.DatetimeIndex(self.date.used(self._keyed))
        return np.asarray(self.date.values.isin(dates[within(dates, start, end)]))

    def _place(self, names: Sequence[str], in_range: np.ndarray) -> tuple[Cells, int]:
        """The cell of each row in use, and how many rows repeat another one whole."""
        line = np.full(
            len(self.asset.values) + 1, -1
        )  # of each asset in the cube; the last: no asset
        line[self.asset.values.get_indexer(pd.Index(names))] = np.arange(len(names))
        start, day = np.where(line < 0, -1, line * len(in_range)), np.append(in_range, False)
        at = np.empty(len(self.date.codes), dtype=np.intp)
        for some in pieces(len(at)):
            first, date = start[self.asset.codes[some]], self.date.codes[some]
            at[some] = np.where(day[date] & (first >= 0), first + date, -1)
        inside = np.asarray(at >= 0)
        rows: np.ndarray | slice = slice(None) if inside.all() else np.flatnonzero(inside)
        at = at[rows]
        there = np.zeros((len(names), len(in_range)), dtype=bool)
        there.reshape(-1)[at] = True
        if np.count_nonzero(there) == len(at):
            return Cells(rows, at, there), 0
        rows = np.flatnonzero(inside)
        first = self._first_of_each(rows, pd.Series(at))
        return Cells(rows[first], at[first], there), int(np.count_nonzero(~first))

    def _first_of_each(self, rows: np.ndarray, at: pd.Series) -> np.ndarray:
        """Mask of the rows that come first in their cell; the others repeat them whole.

        Raises:
            DataError: rows of one cell with different values.
        """
        several = at.duplicated(keep=False).to_numpy()
        double = rows[several]
        values = [numbers[double] for numbers in self.fields.values()]
        values += [group.codes[double] for group in self.groups.values()]
        table = pd.DataFrame(
            {"cell": at[several].to_numpy(), **{str(k): one for k, one in enumerate(values)}}
        )
        again = table.duplicated("cell").to_numpy()
        conflict = again & ~table.duplicated().to_numpy()
        if conflict.any():
            row = double[conflict.argmax()]
            when = str(self.date.values[self.date.codes[row]]).removesuffix(" 00:00:00")
            raise DataError(
                f"data: {int(conflict.sum())} rows repeat a date and asset with other values, first "
                f"{self.asset.values[self.asset.codes[row]]} on {when}; allowed: one row per date and asset"
            )
        first = np.ones(len(rows), dtype=bool)
        first[several] = ~again
        return first

    def _notes(self, names: Sequence[str]) -> tuple[str, ...]:
        """What a reader should know of the names in use."""
        used = set(names)
        stripped = [
            f"{text!r} is {text.strip()}" for text in self.asset.spaced if text.strip() in used
        ]
        notes = [f"Names of assets are stripped of spaces: {listed(stripped)}."] if stripped else []
        folded = Counter(name.casefold() for name in names)
        alike = [name for name in names if folded[name.casefold()] > 1]
        if alike:
            notes.append(f"Names that differ in case alone are different assets: {listed(alike)}.")
        return tuple(notes)

    def _cube(self, numbers: np.ndarray, cells: Cells) -> np.ndarray:
        """The numbers (n,) in their cells (N, T), NaN where there is no row."""
        cube = np.full(cells.there.shape, np.nan)
        cube.reshape(-1)[cells.at] = numbers[cells.rows]
        return cube

    def _coded(self, cells: Cells) -> list[Dropped]:
        """Values in use that are letters."""
        return [
            Dropped(
                "source value",
                f"{name} is a letter: a code of a missing value",
                int(mask[cells.rows].sum()),
            )
            for name, mask in self.codes.items()
        ]

    def _calendar(
        self, there: np.ndarray, count: int, wide: Mapping[str, np.ndarray], names: Sequence[str]
    ) -> tuple[np.ndarray, int]:
        """Mask over the distinct dates of those on the calendar, and how many rows are on the
        others.
        """
        on = np.asarray(there[:count].any(axis=0))
        if self.market:
            on = ~np.isnan(wide[PRICE][names.index(self.market)])
        if not on.any():
            lacks = (
                f"data.market: {self.market} has no price"
                if self.market
                else "data.assets: no row of theirs"
            )
            raise DataError(f"{lacks} on the dates from data.start to data.end")
        return on, int(there[:, ~on].sum())

    def _groups(self, cells: Cells, assets: Sequence[str]) -> pd.DataFrame:
        """Frame (N, G): the one group of each asset, `unknown` where the data does not say."""
        columns = {}
        for name, (codes, values, _) in self.groups.items():
            found = np.zeros(
                (len(self.asset.values), len(values) + 1), dtype=bool
            )  # the first: not said
            asset, label = self.asset.codes[cells.rows], codes[cells.rows]
            for some in pieces(len(label)):
                found.reshape(-1)[asset[some] * np.intp(found.shape[1]) + label[some] + 1] = True
            found = found[self.asset.values.get_indexer(pd.Index(assets)), 1:]
            twice = np.flatnonzero(found.sum(axis=1) > 1)
            if len(twice):
                both = listed(values[found[twice[0]]])
                raise DataError(
                    f"data.groups.{name}: {assets[twice[0]]} has {both}; allowed: one per asset"
                )
            said = found.any(axis=1)
            columns[name] = (
                np.where(said, values[found.argmax(axis=1)], "unknown")
                if len(values)
                else "unknown"
            )
        return pd.DataFrame(columns, index=pd.Index(assets, name="asset"))


def _frame(cube: np.ndarray, on: np.ndarray, dates: pd.Index, names: Sequence[str]) -> pd.DataFrame:
    """Frame (T, N) on the dates of the calendar, from a cube (N, T)."""
    kept = cube if on.all() else cube[:, on]
    return pd.DataFrame(
        kept.T, index=pd.DatetimeIndex(dates[on], name="date"), columns=list(names), copy=False
    )
