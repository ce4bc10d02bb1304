"""Daily S&P 500, NASDAQ and VIX, as the arch package ships them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runner.data.calendar import up_to
from runner.errors import DataError, unknown
from runner.schema.settings import Date, Ticker, parse_date

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.market import Market

INDICES = {"^GSPC": "sp500", "^IXIC": "nasdaq"}
FILES = {**INDICES, "SPY": "sp500", "^VIX": "vix"}


@dataclass(frozen=True)
class ArchData:
    """S&P 500 (^GSPC) and NASDAQ (^IXIC) 1999-2018, VIX (^VIX) 2014-2018, daily closes.

    Indices of prices, without dividends. SPY is accepted for the fund on the S&P 500 and is the
    index, so that an experiment on the fund runs without a network. Source: Yahoo and FRED, by way
    of `arch.data`.

    Attributes:
        assets: of ^GSPC, ^IXIC, SPY; null takes the two indices.
        market: the market asset, of the same; its dates are the calendar.
        macro: name here -> ^VIX or another, series shared by all assets (levels).
        start, end: first and last date, both included.
    """

    assets: list[Ticker] | None = None
    market: Ticker | None = None
    macro: dict[str, Ticker] = field(default_factory=dict)
    start: Date | None = None
    end: Date | None = None

    def load(self) -> Market:
        """The market (T, N) with the field `close`.

        Raises:
            DataError: names that are not among these, or a date range without rows.
        """
        import pandas as pd

        from runner.data.fields import Fields
        from runner.data.market import Market
        from runner.data.notices import Dropped

        assets = self._chosen()
        owners = [self.market] if self.market else assets
        names = dict.fromkeys([*assets, *owners, *self.macro.values()])
        prices = {name: _shipped(name) for name in names}
        of_owners = pd.concat([prices[name] for name in owners], axis=1)
        calendar = of_owners.sort_index().index
        on_calendar = {name: series.reindex(calendar) for name, series in prices.items()}
        by_name = pd.DataFrame(on_calendar)
        frame = by_name.rename_axis("date")
        dropped = []
        outside = sum(self._outside(series.index, calendar) for series in prices.values())
        if outside:
            owner = self.market or "the assets"
            reason = f"date on which {owner} did not trade"
            rows_outside = Dropped("source row", reason, outside)
            dropped.append(rows_outside)
        macro = {name: frame[ticker] for name, ticker in self.macro.items()}
        series = pd.DataFrame(macro, index=frame.index)
        close = frame[self.market] if self.market else None
        frames = {"close": frame[assets]}
        fields = Fields.of_frames(frames)
        market = Market(_source(prices), fields, series, close, dropped=tuple(dropped))
        return market.between(self.start, self.end)

    def _chosen(self) -> list[str]:
        """The modelled assets, checked with the market asset and the macro series."""
        from runner.data.assets import choose_assets

        named = {}
        if self.market:
            named["data.market"] = self.market
        for name, ticker in self.macro.items():
            named[f"data.macro.{name}"] = ticker
        mistakes = []
        for where, name in named.items():
            if name not in FILES:
                stranger = unknown(name, FILES)
                mistake = f"{where}: {stranger}"
                mistakes.append(mistake)
        chosen = list(INDICES)
        if self.assets is not None:
            try:
                chosen = choose_assets(self.assets, FILES)
            except DataError as error:
                raise DataError([*mistakes, *error.mistakes]) from error
        if mistakes:
            raise DataError(mistakes)
        return chosen

    def _outside(self, dates: pd.DatetimeIndex, calendar: pd.Index) -> int:
        """Rows from start to end that are not on the calendar."""
        apart = dates.difference(calendar)
        inside = np.ones(len(apart), dtype=bool)
        if self.start:
            inside &= np.asarray(apart >= parse_date(str(self.start)))
        if self.end:
            end = str(self.end)
            inside &= up_to(apart, end)
        return int(inside.sum())


def _source(names: Iterable[str]) -> str:
    """The files in words, and which name stands for another."""
    files = sorted({FILES[name] for name in names})
    stand_ins = "; SPY is the index ^GSPC, without dividends" if "SPY" in names else ""
    files_text = ", ".join(files)
    return f"arch.data {files_text}{stand_ins}"


def _shipped(name: str) -> pd.Series:
    """Levels (T,) on the days that have one.

    Read from the file itself: importing arch would cost a second.
    """
    import pandas as pd

    package = find_spec("arch")
    if package is None or package.origin is None:
        raise DataError("data: these series ship with arch, which is not installed")
    name_of_file = FILES[name]
    origin = Path(package.origin)
    folder = origin.parent / "data"
    path = folder / name_of_file / f"{name_of_file}.csv.gz"
    column = "vix" if name_of_file == "vix" else "Adj Close"
    table = pd.read_csv(path, index_col="Date", usecols=["Date", column], na_values=".")
    dates = pd.to_datetime(table.index, format="%m/%d/%Y")
    return table[column].set_axis(dates).dropna()
