"""From a long table (a row per date and asset) to wide frames, with every left-out row counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.errors import DataError, unknown
from runner.market import Dropped, Market, choose_assets

PRICE = "close"


@dataclass(frozen=True)
class Long:
    """A long table and how to read it.

    Attributes:
        table: columns `date`, `asset`, the fields by their names here, and the groups.
        fields: names of the numeric columns to widen.
        groups: names of the columns that group assets.
        market: the market asset, whose dates are the calendar; None takes every date of the assets.
        macro: name here -> asset in the table, of the series shared by all assets.
    """

    source: str
    table: pd.DataFrame
    fields: Sequence[str]
    groups: Sequence[str]
    market: str | None
    macro: Mapping[str, str]

    def widen(self, wanted: Sequence[str] | None) -> Market:
        """The market of the wanted assets (None: all but the market asset and the macro series).

        Raises:
            DataError: unknown assets, conflicting duplicate rows, a group that changes over time.
        """
        table, dropped = _clean(self.table, self.fields)
        present = table["asset"].unique().tolist()
        self._check_special(present)
        special = {*self.macro.values(), self.market}
        own = sorted(str(name) for name in present if name not in special)
        assets = choose_assets(wanted if wanted is None else list(wanted), own if wanted is None else present)
        kept, outside = self._on_calendar(table, assets)
        wide = {name: _pivot(kept, name) for name in self.fields}
        series = [wide[PRICE][ticker].rename(name) for name, ticker in self.macro.items()]
        index = next(iter(wide.values())).index
        return Market(
            self.source,
            {name: frame.reindex(columns=assets) for name, frame in wide.items()},
            pd.concat(series, axis=1) if series else pd.DataFrame(index=index),
            wide[PRICE][self.market] if self.market else None,
            _groups(table, self.groups, assets),
            tuple(dropped + outside),
        )

    def _check_special(self, present: Sequence[str]) -> None:
        named = {"data.market": self.market} if self.market else {}
        named |= {f"data.macro.{name}": ticker for name, ticker in self.macro.items()}
        missing = [f"{where}: {unknown(t, present)}" for where, t in named.items() if t not in set(present)]
        if missing:
            raise DataError(missing)

    def _on_calendar(self, table: pd.DataFrame, assets: Sequence[str]) -> tuple[pd.DataFrame, list[Dropped]]:
        """The rows of the assets and series in use on the dates of the calendar, and the rest counted."""
        table = table[table["asset"].isin({*assets, *self.macro.values(), self.market})]
        clock = table["asset"].eq(self.market) if self.market else table["asset"].isin(assets)
        on = table["date"].isin(table.loc[clock & table[PRICE].notna() if self.market else clock, "date"].unique())
        name = self.market or "the assets"
        outside = [Dropped("source row", f"date on which {name} did not trade", int((~on).sum()))]
        return table[on], [one for one in outside if one.rows]


def _clean(table: pd.DataFrame, fields: Sequence[str]) -> tuple[pd.DataFrame, list[Dropped]]:
    """Rows with a key, once each, in order of date; values that cannot be used become NaN, counted."""
    keyed = table["date"].notna() & table["asset"].notna()
    account = [Dropped("source row", "no date or no asset", int((~keyed).sum()))]
    table = table[keyed].assign(**{name: table.loc[keyed, name].astype(float) for name in fields})
    table, repeated = _once_each(table)
    account.append(Dropped("source row", "repeats another row", repeated))
    for name in fields:
        infinite = np.isinf(table[name])
        table.loc[infinite, name] = np.nan
        account.append(Dropped("source value", f"{name} is infinite", int(infinite.sum())))
    if PRICE in fields:
        bad = table[PRICE] <= 0
        table.loc[bad, PRICE] = np.nan
        account.append(Dropped("source value", f"{PRICE} is zero or negative", int(bad.sum())))
    return table.sort_values("date", kind="stable"), [one for one in account if one.rows]


def _once_each(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The table without rows that repeat another one whole, and how many did."""
    again = table.duplicated(["date", "asset"], keep=False)
    if not again.any():
        return table, 0
    repeated = again & table.duplicated()
    table = table[~repeated]
    conflict = table.duplicated(["date", "asset"])
    if conflict.any():
        first = table[conflict].iloc[0]
        raise DataError(
            f"data: {int(conflict.sum())} rows repeat a date and asset with other values, "
            f"first {first['asset']} on {first['date']:%Y-%m-%d}; allowed: one row per date and asset"
        )
    return table, int(repeated.sum())


def _pivot(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Frame (T, N) of one column; the keys are unique here."""
    rows, dates = pd.factorize(table["date"])
    columns, assets = pd.factorize(table["asset"])
    cells = np.full((len(dates), len(assets)), np.nan)
    cells[rows, columns] = table[name].to_numpy()
    return pd.DataFrame(cells, index=pd.DatetimeIndex(dates, name="date"), columns=assets)


def _groups(table: pd.DataFrame, names: Sequence[str], assets: Sequence[str]) -> pd.DataFrame:
    """Frame (N, G): the one group of each asset, `unknown` where the data does not say."""
    columns = {}
    for name in names:
        pairs = table[["asset", name]].dropna().drop_duplicates()
        twice = pairs[pairs["asset"].duplicated()]["asset"]
        if len(twice):
            raise DataError(f"data.groups.{name}: {twice.iloc[0]} has more than one; allowed: one per asset")
        columns[name] = pairs.set_index("asset")[name].astype(str).reindex(assets).fillna("unknown")
    return pd.DataFrame(columns, index=pd.Index(assets, name="asset"))
