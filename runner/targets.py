"""Targets: what a regression explains, one function each, with the rows it looks ahead.

A target takes the market and its settings and gives values (T', N) on the rows to regress on, which
are the rows of the data or, with `frequency`, the last row of each week or month. `horizon` counts
those rows. A last week or month that is not over is left out, unless `partial` is keep: see
`runner.data.market.Market.sample`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from runner.errors import DataError
from runner.schema.settings import Frequency, Partial, Positive, Rows
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.market import Market


# how a rate that is no column of a table of its own gets its unit said
OF_NO_TABLE = (
    "allowed: a rate per row in decimals, or one that data.series.NAME.path=FILE joins, with "
    "data.series.NAME.annual=true of rates a year, or false to take them as they are"
)
HIGHEST_RATE = 0.2  # median of a risk-free rate per row; above it is a level, or in per cent


class Unit(NamedTuple):
    """What the values of a target are.

    Attributes:
        noun: what is explained, as an axis names it.
        scale: of its numbers, such as decimals a year.
        kind: what may be computed of them: a position earns a return and is sized by a volatility;
            an event is 1 or 0; None is taken at the word of the person who asks.
    """

    noun: str = "target"
    scale: str = "its own unit"
    kind: Literal["return", "volatility", "event"] | None = None

    def text(self, horizon: int) -> str:
        """The target with its unit and the rows that it looks ahead."""
        if not horizon:
            return f"{self.noun} ({self.scale})"
        return f"{self.noun} (over {count(horizon, 'row')} ahead, {self.scale})"


UNKNOWN = Unit()  # of a target that says nothing of its unit
VOLATILITY = Unit("volatility", "decimals a year", "volatility")
UP = Unit("up", "1 or 0", "event")


class Target(NamedTuple):
    """Values (T', N) of the target; row t holds what is known `horizon` rows after t."""

    values: pd.DataFrame
    horizon: int
    unit: Unit = UNKNOWN


def same_period_return(
    market: Market,
    *,
    risk_free: str | None = None,
    frequency: Frequency | None = None,
    partial: Partial = "drop",
) -> Target:
    """Simple return of the row that ends at t, decimals; in excess of `risk_free` where named.

    With `frequency`, rows are weeks or months, and the rate, one per row of the data, is compounded
    over the same rows: the return compounded less the rate compounded. Features of the same row
    explain it; they do not forecast it (horizon 0).

    Args:
        risk_free: series of the data, a decimal rate per row, taken off the returns.
        frequency: week or month: rows are these; None: rows are those of the data.
        partial: drop leaves out a last week or month that is not over; keep keeps it.
    """
    returns = market.sample(frequency, partial).returns()
    values = _excess(returns, market, risk_free, 1, frequency, partial)
    return Target(values, 0, _of_returns(risk_free, "decimals per row"))


def forward_return(
    market: Market,
    *,
    horizon: Rows = 1,
    risk_free: str | None = None,
    frequency: Frequency | None = None,
    partial: Partial = "drop",
) -> Target:
    """Simple return from row t to row t + horizon, decimals: P(t + horizon) / P(t) - 1.

    With `frequency`, rows and horizon are weeks or months: features known at the last row of one
    against the return to the last row of the next. Where the data give returns, they are
    compounded. Less the series `risk_free`, a rate per row of the data, compounded over the same
    rows where one is named.

    Args:
        horizon: rows from the one at which features are known to the end of the return.
        risk_free: series of the data, a decimal rate per row, taken off the returns.
        frequency: week or month: rows are these; None: rows are those of the data.
        partial: drop leaves out a last week or month that is not over; keep keeps it.
    """
    returns = market.sample(frequency, partial).returns(horizon)
    excess = _excess(returns, market, risk_free, horizon, frequency, partial)
    return Target(_ahead(excess, horizon), horizon, _of_returns(risk_free, "decimals"))


def forward_volatility(
    market: Market, *, horizon: Rows = 21, rows_per_year: Positive | None = None
) -> Target:
    """sqrt(rows_per_year / horizon * sum of r^2) over the returns of rows t + 1 to t + horizon.

    Annualised.

    Args:
        horizon: rows ahead over which the volatility is realised.
        rows_per_year: None takes that of the calendar of the data.
    """
    from runner.features.functions import realised_volatility

    past = realised_volatility(market, window=horizon, rows_per_year=rows_per_year)
    return Target(_ahead(past, horizon), horizon, VOLATILITY)


def up(
    market: Market,
    *,
    horizon: Rows = 1,
    frequency: Frequency | None = None,
    partial: Partial = "drop",
) -> Target:
    """1.0 where the return from row t to row t + horizon is above zero, 0.0 where it is not.

    NaN where that return is unknown: missing is not down.

    Args:
        horizon: rows from the one at which features are known to the end of the return.
        frequency: week or month: rows are these; None: rows are those of the data.
        partial: drop leaves out a last week or month that is not over; keep keeps it.
    """
    past = market.sample(frequency, partial).returns(horizon)
    ahead = _ahead(past, horizon)
    rises = (ahead > 0.0).astype(float).where(ahead.notna())
    return Target(rises, horizon, UP)


class Ahead(NamedTuple):
    """A field of the data, of the row of the target or so many rows after it."""

    field: str
    rows: int


def field_ahead(target: Callable[..., Any], market: Market) -> Ahead | None:
    """The field that a target of ours takes as it is; None of any other target."""
    function = target.func if isinstance(target, partial) else target
    if function not in (same_period_return, forward_return):
        return None
    if "ret" not in market.fields or market.sessions:
        return None
    settings = {name: given.default for name, given in signature(target).parameters.items()}
    if settings["frequency"] is not None or settings["risk_free"] is not None:
        return None
    rows = settings.get("horizon", 0)
    return Ahead("ret", rows) if rows <= 1 else None  # more are compounded


def _of_returns(risk_free: str | None, scale: str) -> Unit:
    """The unit of returns, in excess of a risk-free rate where one is named."""
    noun = "return" if risk_free is None else "excess return"
    return Unit(noun, scale, "return")


def _ahead(past: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Values (T, N) of so many rows later, as `shift` gives them, by one copy; NaN at the end."""
    import numpy as np
    import pandas as pd

    values = past.to_numpy(dtype=float)
    kept = max(len(values) - rows, 0)
    ahead = np.empty_like(values)
    ahead[:kept] = values[rows:]
    ahead[kept:] = np.nan
    return pd.DataFrame(ahead, past.index, past.columns, copy=False)


def _excess(
    returns: pd.DataFrame,
    market: Market,
    risk_free: str | None,
    rows: int,
    frequency: Frequency | None,
    partial: Partial,
) -> pd.DataFrame:
    """Returns (T', N) over the `rows` rows that end at t, less the rate compounded over the same.

    Raises:
        DataError: a series that is no rate per row: its median is above .2, or one of a year where
            nothing says in which unit it is.
    """
    from runner.numerics.trailing import compound

    if risk_free is None:
        return returns
    _check_of_rows(market, risk_free)
    rate = market.compounded(risk_free, frequency, partial)
    over_rows = rate if rows == 1 else compound(rate, rows)
    return returns.sub(over_rows, axis=0)


def _check_of_rows(market: Market, risk_free: str) -> None:
    """Whether the risk-free rate can be one of rows.

    Raises:
        DataError: it is too high for that.
    """
    from runner.data.joins.rates import rate_a_year

    rates = market.shared(risk_free)
    middle = float(rates.median())
    if middle > HIGHEST_RATE:
        raise DataError(
            f"risk_free={risk_free}: its median is {middle:.4g} a row; allowed: a rate per row in "
            f"decimals, such as 0.0003 for 0.03 % (median at most {HIGHEST_RATE}): divide per cent "
            "by 100 (data.series.NAME.percent=true), and a rate per year by the rows of a year"
        )
    units = market.units.get(risk_free, OF_NO_TABLE)
    a_year = market.calendar.rows_per_year
    if units and a_year is not None:
        problem = rate_a_year(risk_free, rates.to_numpy(dtype=float), a_year)
        if problem:
            raise DataError(f"risk_free={risk_free}: {problem}; {units}")
