"""Simulated prices whose betas, premia and listings are known: for tests, true nulls and scale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated
from zlib import crc32

import numpy as np

from runner.compute.memory import GIGABYTE, NUMBER, refuse_beyond
from runner.data.sources.simulation.recursions import persistent, priced
from runner.errors import DataError, listed
from runner.schema.settings import Count, Date, Positive, Rows, Ticker, parse_date

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.market import Market
    from runner.data.notices import Dropped

ROWS = 1000  # where neither their number nor the last date is given
YEAR = 252  # rows per year, for annual volatilities
BLOCK = 256  # rows drawn from one generator
HELD = 8  # numbers that a cell takes at the peak: the fields, and what they are made from
FLOOR = -0.95  # no simple return is below
MEDIAN_SHARES = 1e8  # outstanding
TURNOVER = 0.005  # share of the shares that trades on a calm row
VOLUME_MEMORY = 0.9  # autocorrelation of log volume
VOLUME_NOISE = 0.4  # standard deviation of log volume
MACRO_MEMORY = 0.98  # autocorrelation of the log level
MACRO_LEVEL = 20.0  # median of the level
MOST_ROWS = 10**6  # looked for on the calendar; they end beyond LATEST
LATEST = np.datetime64("2261-12-31")  # what a nanosecond date can hold
EARLIEST = np.datetime64("1678-01-01")

Sample = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def _from_to(low: float, high: float) -> Callable[[float], None]:
    """A check of numbers from `low` to `high`."""
    allowed = f"a number from {low:g}"
    if high < np.inf:
        allowed += f" to {high:g}"

    def check(value: float) -> None:
        if not low <= value <= high:
            raise ValueError(f"allowed: {allowed}")

    return check


Fraction = Annotated[float, _from_to(0.0, 1.0)]
Memory = Annotated[float, _from_to(0.0, 0.999)]
Correlation = Annotated[float, _from_to(-1.0, 1.0)]
Spread = Annotated[float, _from_to(0.0, np.inf)]
Tail = Annotated[float, _from_to(2.1, np.inf)]


@dataclass(frozen=True)
class Simulated:
    """One-factor prices with volatility clustering, and a characteristic of known premium.

        r(i,t) = alpha_i + beta_i m(t) + signal_premium * signal(i,t-1) + e(i,t)

    m is the return of the market, e independent over assets; both follow GARCH(1,1) with Student t
    shocks. With signal_premium 0 no field predicts a return: a true null (a true beta still earns
    the market's mean). The macro series move with the market on their row and foretell nothing.

    The same settings give the same bits. Every quantity has generators of its own, in blocks of
    rows: assets and rows that are added leave the cells that were there as they were (longer data
    moves listing dates, which are shares of the rows), and market, macro, churn and gaps leave the
    prices as they were.

    Attributes:
        assets: their names, or how many (named S0001 ...). Numbers belong to positions, not to
            names.
        market: name of the market asset; null for none (its returns drive the assets all the same).
            Where it is one of the assets, that one is the market: beta 1, nothing else.
        macro: name here -> ticker; positive levels that revert to 20. The ticker picks the numbers.
        rows: business days from `start`; null takes those up to `end`, or 1000 where that is null
            too.
        start, end: first and last date, both included; `end` and `rows` are not given together.
        seed: another seed, another draw of everything.
        sectors: groups dealt to the assets in turn (G1, G2, ...); they share levels of volatility.
        churn: chance of an asset to list late (in the first half) or delist early (in the second
            half).
        gaps: share of cells inside a listing that are missing.
        beta_mean, beta_spread: mean and standard deviation of the betas.
        alpha_spread: standard deviation of the alphas, decimals per row; their mean is 0.
        market_premium: mean return of the market, decimals per row.
        market_volatility: of the market, annual.
        volatility, volatility_spread: median over assets of the specific volatility, annual, and
            standard deviation of its logarithm, half of that variance shared within the sector.
        tail: degrees of freedom of the shocks, from 2.1; null draws normal ones.
        persistence, reaction: GARCH a + b, and a / (a + b); 0 is constant volatility.
        signal_premium: return of the next row per unit of signal, decimals.
        signal_persistence: autocorrelation of the signal, whose variance is 1.
        macro_volatility: of the changes of the log levels, annual.
        macro_correlation: of those changes with the market's return on the same row.
    """

    assets: list[Ticker] | Rows = 50
    market: Ticker | None = "MKT"
    macro: dict[str, Ticker] = field(default_factory=dict)
    rows: Rows | None = None
    start: Date = "2015-01-01"
    end: Date | None = None
    seed: Count = 0
    sectors: Rows = 8
    churn: Fraction = 0.2
    gaps: Fraction = 0.0
    beta_mean: float = 1.0
    beta_spread: Spread = 0.3
    alpha_spread: Spread = 0.0
    market_premium: float = 0.0003
    market_volatility: Positive = 0.16
    volatility: Positive = 0.25
    volatility_spread: Spread = 0.3
    tail: Tail | None = 6.0
    persistence: Memory = 0.97
    reaction: Fraction = 0.08
    signal_premium: float = 0.0
    signal_persistence: Memory = 0.95
    macro_volatility: Positive = 0.8
    macro_correlation: Correlation = -0.6

    def __post_init__(self) -> None:
        if self.rows is not None and self.end is not None:
            given = f"given {self.rows} beside end={self.end}"
            raise ValueError(f"rows: {given}; allowed: one of the two, the other null")

    def load(self) -> Market:
        """The market (T, N): fields close, volume, market_cap, signal; group sector.

        Raises:
            DataError: no date or no asset, a name used twice, dates beyond 1678..2261, or prices
                that leave the range of numbers.
        """
        from runner.data.fields import Fields
        from runner.data.market import Market

        dates = self._dates()
        truth = self.truth()
        assets = list(truth.index)
        shocks = self._market_shocks(len(dates))
        returns = self.market_premium + _daily(self.market_volatility) * shocks
        market = np.maximum(returns, FLOOR)
        fields, dropped = self._fields(truth, market)
        frames = {name: _frame(cells, dates, assets) for name, cells in fields.items()}
        return Market(
            source=f"simulated, seed {self.seed}",
            fields=Fields.of_frames(frames),
            series=_frame(self._macro_levels(shocks), dates, list(self.macro)),
            market_close=self._index_close(market, dates),
            groups=truth[["sector"]],
            dropped=dropped,
        )

    def truth(self) -> pd.DataFrame:
        """What the regressions should find: a row per asset (N rows, indexed by name).

        Columns: sector; alpha (decimals per row); beta; premium (decimals per row and unit of
            signal);
        volatility (specific, annual); shares (outstanding); first, last (rows of the listing,
        included).

        Raises:
            DataError: as load does, for names and dates.
        """
        import pandas as pd

        rows = len(self._dates())
        self._refuse_large(rows)
        names = self._names()
        index = pd.Index(names, name="asset", dtype="str")
        drawn = self._drawn_truth(len(names), rows)
        table = pd.DataFrame(drawn, index=index)
        columns = ["alpha", "beta", "premium", "volatility", "first", "last"]
        of_the_market = [0.0, 1.0, 0.0, 0.0, 0, rows - 1]
        table.loc[table.index == self.market, columns] = of_the_market
        return table

    def _drawn_truth(self, n: int, rows: int) -> dict[str, Sequence[str] | np.ndarray]:
        """The columns (N,) of the truth, the market asset treated like any other."""
        first, last = self._listing(n, rows)
        sectors = [f"G{1 + i % self.sectors}" for i in range(n)]
        alpha = self.alpha_spread * self._normal("alpha", n)
        beta = self.beta_mean + self.beta_spread * self._normal("beta", n)
        log_shares = np.log(MEDIAN_SHARES) + self._normal("shares", n)
        return {
            "sector": sectors,
            "alpha": alpha,
            "beta": beta,
            "premium": np.full(n, self.signal_premium),
            "volatility": self._volatilities(n),
            "shares": np.exp(log_shares),
            "first": first,
            "last": last,
        }

    def _index_close(self, market: np.ndarray, dates: pd.DatetimeIndex) -> pd.Series | None:
        """Price (T,) of the market asset from its returns, None where there is no such asset."""
        if self.market is None:
            return None
        prices = priced(market[:, None].copy())
        return _frame(prices, dates, [self.market])[self.market]

    def _names(self) -> list[str]:
        """The assets, checked against each other and the macro series."""
        names = self._given_names()
        special = {*names, self.market}
        mistakes = []
        for name, ticker in self.macro.items():
            if ticker in special:
                mistakes.append(f"data.macro.{name}: {ticker!r} is an asset too")
        twice = [name for name, times in Counter(names).items() if times > 1]
        if twice:
            mistakes.append(f"data.assets: more than once: {listed(twice)}")
        if not names:
            mistakes.append("data.assets: none; allowed: names, or how many")
        if mistakes:
            raise DataError(mistakes)
        return names

    def _given_names(self) -> list[str]:
        """The names of the assets, or S0001 on where their number is given."""
        if isinstance(self.assets, int):
            return [f"S{i:04d}" for i in range(1, self.assets + 1)]
        return list(self.assets)

    def _refuse_large(self, rows: int) -> None:
        """Refuse what takes more memory than there is, before even the names are made."""
        assets = self.assets if isinstance(self.assets, int) else len(self.assets)
        need = HELD * NUMBER * assets * max(rows, BLOCK)
        gigabytes = f"{need // GIGABYTE:,} GB of memory"
        takes = f"data: {rows:,} dates x {assets:,} assets take about {gigabytes}"
        refuse_beyond(need, takes, "fewer assets (data.assets) or dates (data.rows)")

    def _dates(self) -> pd.DatetimeIndex:
        """Business days (T,)."""
        import pandas as pd

        start = parse_date(str(self.start))
        first = np.datetime64(start.date())
        if self.end is None:
            rows = min(self.rows or ROWS, MOST_ROWS)
            last = np.busday_offset(first, rows - 1, roll="forward")
        else:
            end = parse_date(str(self.end))
            last = np.datetime64(end.date())
        if first < EARLIEST or last > LATEST:
            allowed = f"{EARLIEST}..{LATEST}"
            raise DataError(f"data.start, data.end, data.rows: {first}..{last}; allowed: {allowed}")
        dates = pd.bdate_range(first, last, name="date")
        if not len(dates):
            raise DataError(f"data.start..data.end: {first}..{last} holds no business day")
        return dates

    def _listing(self, n: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """First and last row (N,) on which each asset is listed."""
        draws = self._generator("listing").random((n, 3))
        chance, kind, moment = draws.T
        rows_moved = (moment * rows / 2).astype(int) + 1
        moved = np.where(chance < self.churn, rows_moved, 0)
        moved = np.minimum(moved, rows - 1)
        late = kind < 0.5
        last_row = rows - 1
        first = np.where(late, moved, 0)
        last = np.where(late, last_row, last_row - moved)
        return first, last

    def _volatilities(self, n: int) -> np.ndarray:
        """Specific volatility (N,), annual."""
        sector = np.arange(n) % self.sectors
        by_sector = self._normal("sector", min(n, self.sectors))
        by_asset = self._normal("volatility", n)
        level = (by_sector[sector] + by_asset) / np.sqrt(2.0)
        return self.volatility * np.exp(self.volatility_spread * level)

    def _fields(
        self, truth: pd.DataFrame, market: np.ndarray
    ) -> tuple[dict[str, np.ndarray], tuple[Dropped, ...]]:
        """Arrays (T, N), NaN outside the listings, and the account of returns cut at the floor."""
        from runner.data.notices import Dropped

        missing = self._missing(truth, len(market))
        draws = self._cells("signal", missing.shape, _normal)
        signal = persistent(draws, self.signal_persistence)
        returns = self._returns(truth, market, signal)
        cut_assets = (returns <= FLOOR).sum()
        cut_market = (market <= FLOOR).sum()
        cut = int(cut_assets + cut_market)
        volume = self._volume(truth, returns)
        close = priced(returns)
        shares = truth["shares"].to_numpy()
        fields = {
            "close": close,
            "volume": volume,
            "market_cap": close * shares,
            "signal": signal,
        }
        for cells in fields.values():
            cells[missing] = np.nan
        if not cut:
            return fields, ()
        reason = f"below {FLOOR:.0%}, set to it"
        dropped = Dropped("simulated return", reason, cut)
        return fields, (dropped,)

    def _missing(self, truth: pd.DataFrame, rows: int) -> np.ndarray:
        """Mask (T, N) of the cells outside the listings and in gaps."""
        t = np.arange(rows)[:, None]
        first = truth["first"].to_numpy()
        last = truth["last"].to_numpy()
        missing = (t < first) | (t > last)
        if self.gaps:
            drawn = self._cells("gaps", missing.shape, np.random.Generator.random)
            gap = drawn < self.gaps
            missing |= gap & (truth.index != self.market)
        return missing

    def _market_shocks(self, rows: int) -> np.ndarray:
        """Clustered shocks of the market (T,), variance 1."""
        shocks = self._cells("market", (rows, 1), self._shock)
        return self._clustered(shocks)[:, 0]

    def _returns(self, truth: pd.DataFrame, market: np.ndarray, signal: np.ndarray) -> np.ndarray:
        """Simple returns (T, N), decimals, before any listing."""
        shocks = self._cells("specific", signal.shape, self._shock)
        returns = self._clustered(shocks)  # in place
        returns *= _daily(truth["volatility"].to_numpy())
        returns += truth["alpha"].to_numpy()
        beta = truth["beta"].to_numpy()
        premium = truth["premium"].to_numpy()
        # row by row: no further frame in memory
        for t, row in enumerate(returns):
            row += beta * market[t]
            if t and self.signal_premium:
                row += premium * signal[t - 1]
        return np.maximum(returns, FLOOR, out=returns)

    def _volume(self, truth: pd.DataFrame, returns: np.ndarray) -> np.ndarray:
        """Shares traded (T, N): log-normal and persistent, in proportion to 1 + |return|.

        Returns are in standard deviations of the asset.
        """
        draws = self._cells("volume", returns.shape, _normal)
        volume = persistent(draws, VOLUME_MEMORY)  # in place
        volume *= VOLUME_NOISE
        np.exp(volume, out=volume)
        from_market = truth["beta"] * self.market_volatility
        annual = np.hypot(from_market, truth["volatility"]).to_numpy()
        size = np.abs(returns)
        size /= _daily(annual)
        size += 1.0
        volume *= size
        shares = truth["shares"].to_numpy()
        volume *= TURNOVER * shares
        return volume

    def _macro_levels(self, shocks: np.ndarray) -> np.ndarray:
        """Levels (T, F) of the macro series; their changes go with the market's shocks (T,)."""
        T = len(shocks)
        levels = np.empty((T, len(self.macro)))
        for column, ticker in enumerate(self.macro.values()):
            draws = self._cells(f"macro {ticker}", (T, 1), _normal)
            levels[:, column] = draws[:, 0]
        levels *= np.sqrt(1.0 - self.macro_correlation**2)
        levels += self.macro_correlation * shocks[:, None]
        persistent(levels, MACRO_MEMORY)
        levels *= _daily(self.macro_volatility) / np.sqrt(1.0 - MACRO_MEMORY**2)
        return MACRO_LEVEL * np.exp(levels)

    def _clustered(self, shocks: np.ndarray) -> np.ndarray:
        """The shocks (T, N) with GARCH(1,1) variance of mean 1, in place."""
        a = self.persistence * self.reaction
        b = self.persistence * (1.0 - self.reaction)
        constant = 1.0 - self.persistence
        variance = np.ones(shocks.shape[1])
        for row in shocks:
            row *= np.sqrt(variance)
            variance = constant + b * variance + a * row**2
        return shocks

    def _shock(self, generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        """Student t draws of variance 1, or normal ones."""
        if self.tail is None or np.isinf(self.tail):
            return generator.standard_normal(shape)
        to_unit_variance = np.sqrt((self.tail - 2.0) / self.tail)
        return generator.standard_t(self.tail, shape) * to_unit_variance

    def _cells(self, quantity: str, shape: tuple[int, int], sample: Sample) -> np.ndarray:
        """Draws (T, N); a cell depends on its own row and column only, not on the shape."""
        rows, columns = shape
        cells = np.empty(shape)
        for first in range(0, rows, BLOCK):
            part = cells[first : first + BLOCK]
            generator = self._generator(quantity, first // BLOCK)
            drawn = sample(generator, (columns, BLOCK))
            part[:] = drawn.T[: len(part)]
        return cells

    def _normal(self, quantity: str, n: int) -> np.ndarray:
        """Standard normal numbers (n,) of one quantity."""
        return self._generator(quantity).standard_normal(n)

    def _generator(self, quantity: str, block: int = 0) -> np.random.Generator:
        """The generator of one quantity and block of rows, independent of all others."""
        key = (crc32(quantity.encode()), block)
        seeds = np.random.SeedSequence(self.seed, spawn_key=key)
        return np.random.Generator(np.random.PCG64(seeds))


def _normal(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    return generator.standard_normal(shape)


def _daily(annual: float | np.ndarray) -> float | np.ndarray:
    """Volatility per row from an annual one."""
    return annual / np.sqrt(YEAR)


def _frame(cells: np.ndarray, dates: pd.DatetimeIndex, names: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(cells, index=dates, columns=names, copy=False)
