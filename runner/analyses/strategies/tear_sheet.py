"""What the wealth of a strategy says of it: returns, drawdowns, rolling Sharpe ratios, months."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.numerics.variation import mean_over_spread

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.calendar import Year

FEWEST_IN_WINDOW = 12  # returns of a rolling Sharpe ratio
WINDOWS = 2  # least number of whole windows in the record
MOST_DRAWDOWNS = 5
LONGEST_MONTH = 31  # days
DRAWDOWNS = ["from", "lowest", "recovered", "drawdown", "days_down", "days_in_all"]


class Strategy(NamedTuple):
    """The record of a strategy after costs.

    Attributes:
        wealth: (n + 1,) by date.
        turnover: (m,) by date of trading; None where nobody counted.
        year: rows of a year; None where the rows follow no calendar.
        rows_held: rows of the calendar from one wealth to the next.
    """

    wealth: pd.Series
    turnover: pd.Series | None
    year: Year | None
    rows_held: int

    @property
    def per_year(self) -> float:
        """Returns of a year, NaN where the rows follow no calendar."""
        if self.year is None:
            return float("nan")
        return self.year.rows / self.rows_held

    @property
    def annualised(self) -> str:
        """How annual numbers are made, in words."""
        if self.year is None:
            return "not annualised: the rows follow no calendar"
        if self.rows_held == 1:
            return self.year.words
        return f"{self.year.words}, each return over {self.rows_held} of them"

    @property
    def has_months(self) -> bool:
        """Whether returns come at least once a month, so that those of months can be told."""
        days = np.diff(self.wealth.index) / np.timedelta64(1, "D")
        usual_days = np.median(days)
        return bool(usual_days <= LONGEST_MONTH)


def returns_of(wealth: pd.Series) -> pd.Series:
    """(n,) simple returns by the date at which each is known; none after a total loss."""
    earned = wealth / wealth.shift() - 1.0
    return earned.iloc[1:].dropna()


def window_of(returns: int, per_year: float) -> int:
    """Returns of a rolling Sharpe ratio: a year, of a short record a quarter of it; 0 for none."""
    quarter = returns // 4
    window = quarter
    if np.isfinite(per_year):
        a_year = round(per_year)
        fits = WINDOWS * a_year <= returns
        window = a_year if fits else quarter
    window = max(window, FEWEST_IN_WINDOW)
    return window if WINDOWS * window <= returns else 0


def rolling_sharpe(returns: pd.Series, window: int) -> pd.Series:
    """Mean over standard deviation (ddof 1) of the last `window` returns, per return held."""
    import pandas as pd

    values = returns.to_numpy(dtype=float)
    parts = np.lib.stride_tricks.sliding_window_view(values, window)
    ratios = [mean_over_spread(part, returns=True) for part in parts]
    first = window - 1
    return pd.Series(ratios, returns.index[first:])


def monthly(returns: pd.Series) -> pd.DataFrame:
    """Compound returns by year (rows) and month 1 to 12, and of the year; NaN without a return."""
    growth = 1.0 + returns
    years = growth.index.year
    months = growth.index.month
    month_of_row = [years, months]
    by_month = growth.groupby(month_of_row)
    table = by_month.prod().unstack()
    twelve_months = range(1, 13)
    table = table.reindex(columns=twelve_months)
    every_year = range(years.min(), years.max() + 1)
    table = table.reindex(every_year)
    by_year = growth.groupby(years)
    table["year"] = by_year.prod()
    return table - 1.0


def worst_drawdowns(wealth: pd.Series, most: int = MOST_DRAWDOWNS) -> pd.DataFrame:
    """The deepest losses from a high to the next time that it is reached again.

    Columns: the date of the high, of the lowest wealth and of the recovery (NaT where the record
    ends before it), the loss as a share of the high, and calendar days to the lowest and in all.
    """
    import pandas as pd

    highest_so_far = wealth.cummax()
    below = wealth < highest_so_far
    highs = (~below).cumsum()  # how many rows so far are at a high: the same within a drawdown
    dates = wealth.index
    rows = []
    for _, part in wealth[below].groupby(highs[below]):
        first = dates.get_loc(part.index[0])
        last = dates.get_loc(part.index[-1])
        high = dates[first - 1]
        lowest = part.idxmin()
        after = last + 1
        recovered = dates[after] if after < len(dates) else pd.NaT
        last_row = len(dates) - 1
        end_row = min(after, last_row)
        end = dates[end_row]
        depth = part.min() / wealth[high] - 1.0
        down = (lowest - high).days
        length = (end - high).days
        rows.append((high, lowest, recovered, depth, down, length))
    table = pd.DataFrame(rows, columns=DRAWDOWNS)
    date_columns = DRAWDOWNS[:3]
    as_dates = dict.fromkeys(date_columns, "datetime64[ns]")
    table = table.astype(as_dates)
    deepest_first = table.sort_values("drawdown", kind="stable")
    largest = deepest_first.head(most)
    return largest.reset_index(drop=True)


def performance(strategy: Strategy) -> dict[str, float]:
    """Numbers of the whole record, shares as decimals; NaN where one cannot be made.

    `compound` is the yearly return that makes the same wealth; `sharpe` subtracts no risk-free
    rate; the drawdown is from the highest wealth until then.
    """
    returns = returns_of(strategy.wealth)
    values = returns.to_numpy(dtype=float)
    per_year = strategy.per_year
    root = np.sqrt(per_year)
    growth = float(np.prod(1.0 + values))
    highest = strategy.wealth.cummax()
    share_of_highest = strategy.wealth / highest
    below = share_of_highest - 1.0
    turnover = np.nan
    if strategy.turnover is not None:
        turnover_of_row = strategy.turnover.mean()
        turnover = turnover_of_row * per_year
    return {
        "total": growth - 1.0,
        "compound": growth ** (per_year / len(values)) - 1.0,
        "volatility": float(values.std(ddof=1) * root),
        "sharpe": mean_over_spread(values, returns=True) * root,
        "max_drawdown": float(below.min()),
        "turnover": float(turnover),
    }
