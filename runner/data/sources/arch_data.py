"""Daily S&P 500, NASDAQ and VIX, as the arch package ships them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

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

        from runner.data.market import Dropped, Market

        chosen = self._chosen()
        owners = [self.market] if self.market else chosen
        prices = {
            name: _shipped(name) for name in dict.fromkeys([*chosen, *owners, *self.macro.values()])
        }
        calendar = pd.concat([prices[name] for name in owners], axis=1).sort_index().index
        frame = pd.DataFrame(
            {name: one.reindex(calendar) for name, one in prices.items()}
        ).rename_axis("date")
        outside = sum(self._outside(one.index, calendar) for one in prices.values())
        dropped = Dropped(
            "source row", f"date on which {self.market or 'the assets'} did not trade", outside
        )
        market = Market(
            _source(prices),
            {"close": frame[chosen]},
            pd.DataFrame(
                {name: frame[ticker] for name, ticker in self.macro.items()}, index=frame.index
            ),
            frame[self.market] if self.market else None,
            dropped=(dropped,) if outside else (),
        )
        return market.between(self.start, self.end)

    def _chosen(self) -> list[str]:
        from runner.data.market import choose_assets

        named = {"data.market": self.market} if self.market else {}
        named |= {f"data.macro.{name}": ticker for name, ticker in self.macro.items()}
        wrong = [
            f"{where}: {unknown(name, FILES)}" for where, name in named.items() if name not in FILES
        ]
        try:
            chosen = list(INDICES) if self.assets is None else choose_assets(self.assets, FILES)
        except DataError as error:
            raise DataError([*wrong, *error.mistakes]) from error
        if wrong:
            raise DataError(wrong)
        return chosen

    def _outside(self, dates: pd.DatetimeIndex, calendar: pd.Index) -> int:
        """Rows from start to end that are not on the calendar."""
        apart = dates.difference(calendar)
        after = apart >= parse_date(str(self.start)) if self.start else apart == apart
        return int((after & (up_to(apart, str(self.end)) if self.end else True)).sum())


def _source(names: Iterable[str]) -> str:
    """The files in words, with what stands for what."""
    stand_ins = "; SPY is the index ^GSPC, without dividends" if "SPY" in names else ""
    return f"arch.data {', '.join(sorted({FILES[name] for name in names}))}{stand_ins}"


def _shipped(name: str) -> pd.Series:
    """Levels (T,) on the days that have one, from the file itself: importing arch would cost a
    second.
    """
    import pandas as pd

    package = find_spec("arch")
    if package is None or package.origin is None:
        raise DataError("data: these series ship with arch, which is not installed")
    file = FILES[name]
    path = Path(package.origin).parent / "data" / file / f"{file}.csv.gz"
    column = "vix" if file == "vix" else "Adj Close"
    table = pd.read_csv(path, index_col="Date", usecols=["Date", column], na_values=".")
    return table[column].set_axis(pd.to_datetime(table.index, format="%m/%d/%Y")).dropna()
