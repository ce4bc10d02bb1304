"""Features: what explains or forecasts, one function each.

A feature takes the market and its settings and gives a frame (T, N) or, where it is the same for
every asset, a series (T,). Row t uses data up to and including t. NaN where an input is missing or
the window is not full; nothing is padded. Returns are simple, in decimals; windows are in rows.

One rule for all: a return is that of the data (`ret`) where it has one, compounded over several
rows, else a change of `close`. Only what names `close` itself uses the price.
"""

from __future__ import annotations

from functools import partial as bound
from typing import TYPE_CHECKING, Literal

from runner.schema.settings import Count, FieldName, Frequency, Partial, Positive, Rows, Window

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.market import Market


def shared(
    market: Market,
    *,
    series: str,
    frequency: Frequency | None = None,
    partial: Partial = "drop",
) -> pd.Series:
    """A series of the data: a given factor, a macro level. (T,)

    As it is, or with `frequency` compounded over the rows of each week or month, as the returns of
    the assets are: for factors that are returns, where the target has that frequency. A last week
    or month that is not over is left out, unless `partial` is keep; take what the target takes.
    """
    return market.compounded(series, frequency, partial)


def row_by_row(feature: object) -> str | None:
    """The series that a feature takes row by row, without a frequency; None of other features."""
    if not isinstance(feature, bound) or feature.keywords.get("frequency") is not None:
        return None
    if feature.func is shared:
        return str(feature.keywords["series"])
    if feature.func is market_return:
        return "market_ret"
    return None


def field(market: Market, *, name: FieldName) -> pd.DataFrame:
    """A field of the data as it is, for instance a characteristic. (T, N)"""
    return market.get(name)


def market_return(
    market: Market, *, frequency: Frequency | None = None, partial: Partial = "drop"
) -> pd.Series:
    """Return of the market asset over the row that ends at t, or the week or month. (T,)

    That of the source (`ret`) where it has one, else P(t) / P(t - 1) - 1. With `frequency`, of the
    week or month. A last week or month that is not over is left out, unless `partial` is keep; take
    what the target takes.
    """
    return market.sample(frequency, partial).index_returns


def change(
    market: Market, *, series: str, frequency: Frequency | None = None, partial: Partial = "drop"
) -> pd.Series:
    """Relative change of a shared series over the row that ends at t, decimals. (T,)

    With `frequency`, over the week or month. NaN where the level is zero or negative on either row:
    a spread or a rate that may cross zero needs a difference, such as the expression
    `diff(spread)`. A last week or month that is not over is left out, unless `partial` is keep;
    take what the target takes.
    """
    from runner.data.market import change as relative_change

    return relative_change(market.sample(frequency, partial).shared(series))


def momentum(market: Market, *, window: Rows) -> pd.DataFrame:
    """Return over the last `window` rows, decimals. (T, N)

    Compounded from `ret` where the data has it, else P(t) / P(t - window) - 1.
    """
    return market.returns(window)


def lagged_return(market: Market, *, lag: Count) -> pd.DataFrame:
    """Return of the row that ends `lag` rows before t, decimals; lag 0 is row t itself. (T, N)"""
    return market.returns().shift(lag)


def volume_surprise(market: Market, *, window: Window) -> pd.DataFrame:
    """Volume over its mean of the last `window` rows, row t included, less one. (T, N)"""
    from runner.numerics.trailing import rolling_mean

    volume = market.get("volume")
    usual = rolling_mean(volume, window)
    return volume / usual - 1.0


def volatility(market: Market, *, window: Window) -> pd.DataFrame:
    """Sample standard deviation (ddof 1) of the last `window` returns, not annualised. (T, N)"""
    import numpy as np

    from runner.numerics.trailing import variances

    def deviations(returns: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt(variances(returns, window)[0]))

    return market.of_returns(deviations)


def realised_volatility(
    market: Market,
    *,
    window: Rows,
    side: Literal["both", "down", "up"] = "both",
    rows_per_year: Positive | None = None,
) -> pd.DataFrame:
    """sqrt(rows_per_year / window * sum of r^2) over the last `window` returns. (T, N)

    Annualised; no mean is taken off.

    Args:
        side: down counts the squares of returns below zero only, up those of the others; both over
            all of the window.
        rows_per_year: None takes that of the calendar of the data.

    Raises:
        SettingError: rows a year that the calendar contradicts, or none where it has none.
    """
    import numpy as np

    from runner.numerics.trailing import sums

    year = market.rows_per_year(rows_per_year)

    def annualised(returns: np.ndarray) -> np.ndarray:
        counted = returns
        if side == "down":
            counted = np.minimum(returns, 0.0)
        elif side == "up":
            counted = np.maximum(returns, 0.0)
        squared = np.square(counted)
        squares = sums(squared, window)
        return np.asarray(np.sqrt(year / window * squares))

    return market.of_returns(annualised)


def beta(market: Market, *, window: Window) -> pd.DataFrame:
    """cov(r_i, r_m) / var(r_m) over the last `window` returns. (T, N)

    NaN where the returns of the market do not vary.
    """
    from runner.numerics.trailing import rolling_beta

    return rolling_beta(market.returns(), market_return(market), window)
