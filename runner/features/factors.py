"""Factors made of the assets: returns of sorted portfolios, and means of groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from runner.schema.settings import FieldName, LabelName, Rows

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.labels import Labels
    from runner.data.market import Market


def check_expression(value: str) -> None:
    """A text that `runner.features.expressions` can read.

    Raises:
        ValueError: it cannot, with the reason.
    """
    from runner.features.expressions import Expression

    Expression(value)


def check_quantile(value: float) -> None:
    """A share of the assets on each side."""
    if not 0.0 < value <= 0.5:
        raise ValueError("allowed: a number above 0 and up to 0.5")


Signal = Annotated[str, check_expression]
Quantile = Annotated[float, check_quantile]


def long_short(
    market: Market,
    *,
    signal: Signal,
    quantile: Quantile = 0.3,
    lag: Rows = 1,
    weights: FieldName | None = None,
) -> pd.Series:
    """Return of the assets with the highest signal less that of the lowest. (T,)

    Row t sorts by the signal of row t - lag and takes the return of row t: an asset is in the top
    or bottom share `quantile` by its rank among the assets that then had a signal. Ties share their
    mean rank, so that equal assets are on the same side or on none. A member without a return on
    row t is left out of the mean of its side; NaN where a side has no member with a return (with
    less than 1 / (2 quantile) assets, or all tied).

    Args:
        signal: an expression such as close / lag(close, 126) - 1, or the name of a field.
        weights: field of the data that weighs the members, of row t - lag too; null weighs them
            equally.

    Raises:
        DataError: a signal that is the same for every asset, or a name that the data does not have.
    """
    import pandas as pd

    from runner.errors import DataError
    from runner.features.expressions import Expression

    values = Expression(signal)(market)
    if not isinstance(values, pd.DataFrame):
        raise DataError(f"signal: {signal!r} is the same for every asset; allowed: values by asset")
    known = values.shift(lag)
    is_known = known.notna()
    n = is_known.sum(axis=1)
    rank = known.rank(axis=1)
    middle_rank = rank - 0.5
    share_below = middle_rank.div(n, axis=0)
    # ranked the other way round too, so that both ends round alike
    share_above = (known.rank(axis=1, ascending=False) - 0.5).div(n, axis=0)
    returns = market.returns()
    w = _weights(market, weights, lag)
    is_top = share_above < quantile
    w_of_top = w.where(is_top)
    top = _mean(returns, w_of_top)
    is_bottom = share_below < quantile
    w_of_bottom = w.where(is_bottom)
    bottom = _mean(returns, w_of_bottom)
    return top - bottom


def portfolio(market: Market, *, weights: FieldName | None = None, lag: Rows = 1) -> pd.Series:
    """Return of all assets together: a market factor of the data's own assets. (T,)

    Row t is the mean of the returns of row t; NaN where no asset has one.

    Args:
        weights: field of the data that weighs the assets, of row t - lag; null weighs them equally.

    Raises:
        DataError: a field that the data does not have.
    """
    return _mean(market.returns(), _weights(market, weights, lag))


def group_mean(
    market: Market, *, of: Signal, group: LabelName | None = None, over: Rows | None = None
) -> pd.DataFrame | pd.Series:
    """Mean of `of`, an expression, over the assets of the same group at row t. (T, N)

    NaN where no asset has a value.

    Args:
        group: of assets, such as sector, of row t where it changes; null: of all assets. (T,)
        over: divide the mean of row t by its own mean over the last `over` rows, t included, of
            which half must be there: 1 where it is as high as it usually was. Null divides by
            nothing.

    Raises:
        DataError: a group that the data does not have; an expression that is the same for every
            asset.
    """
    import numpy as np
    import pandas as pd

    from runner.errors import DataError
    from runner.features.expressions import Expression

    labels = None if group is None else market.grouping.get(group)
    values = Expression(of)(market)
    if not isinstance(values, pd.DataFrame):
        raise DataError(f"of: {of!r} is the same for every asset; allowed: values by asset")
    if labels is None:
        mean_of_all = values.mean(axis=1)
        means = mean_of_all.to_frame("all")
    else:
        means = _means_by_label(values, labels)
    if over is not None:
        half = (over + 1) // 2
        means = means / means.rolling(over, min_periods=half).mean()
    if labels is None:
        return means["all"]
    dates = len(means)
    codes = labels.cells(dates)
    means_of_groups = means.to_numpy()
    positions = codes.astype(np.intp)
    cells = np.take_along_axis(means_of_groups, positions, axis=1)
    return pd.DataFrame(cells, values.index, values.columns)


def _means_by_label(values: pd.DataFrame, labels: Labels) -> pd.DataFrame:
    """Mean (T, L) over the assets with each label, by its code; NaN where none has a value."""
    import pandas as pd

    by_code = {}
    number_of_labels = len(labels.values)
    for code in range(number_of_labels):
        has_label = labels.codes == code
        members = values.loc[:, has_label.any(axis=0)]
        if labels.by_date:
            members = values.where(has_label)
        by_code[code] = members.mean(axis=1)
    return pd.DataFrame(by_code)


def _weights(market: Market, field: str | None, lag: int) -> pd.DataFrame:
    """Weights (T, N) known `lag` rows before, positive or NaN."""
    if field is None:
        has_return = market.returns().notna()
        return has_return.astype(float)
    values = market.get(field)
    given = values.shift(lag)
    return given.where(given > 0.0)


def _mean(returns: pd.DataFrame, weights: pd.DataFrame) -> pd.Series:
    """Weighted mean (T,) over the assets with a return and a weight, NaN where there is none."""
    has_return = returns.notna()
    weights = weights.where(has_return)
    return (returns * weights).sum(axis=1, min_count=1) / weights.sum(axis=1)
