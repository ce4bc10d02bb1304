"""What an expression may call: one visible table of functions, and the look-back of each.

A function takes frames (T, N), series (T,) and numbers; a series is spread over the assets of a
frame. Windows are in rows, row t included. NaN where an input is missing or the window is not full;
a value that is infinite counts as missing inside a window. Adding a function = one entry of
FUNCTIONS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.errors import DataError
from runner.features.functions import market_return

if TYPE_CHECKING:
    from runner.data.labels import Labels

MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Parameter:
    """What one argument may be: data, data or a number, a whole number of rows from `least`, or the
    name of a label of the data, which may be left out.
    """

    words: str
    needs_data: bool = False
    least: int | None = None
    default: int | None = None
    label: bool = False

    def fits(self, value: object) -> bool:
        """Whether this number may be given."""
        if self.least is None:
            return not self.needs_data
        return isinstance(value, int) and self.least <= value <= MOST_ROWS


@dataclass(frozen=True)
class Function:
    """What an entry of the table does and takes, and the rows before t that it uses (`reach`).

    `across` is true where it compares the assets of a date.
    """

    run: Callable[..., Any]
    takes: Mapping[str, Parameter]
    reach: Callable[[Mapping[str, Any]], float]
    about: str
    across: bool = False

    @property
    def of_each_cell(self) -> bool:
        """Whether each cell of the result takes the same cell of the arguments alone."""
        return self.reach is same_row and not self.across

    def usage(self, name: str) -> str:
        """How it is written, such as `change(x, n=1)`."""
        words = []
        for word, parameter in self.takes.items():
            if parameter.label:
                words.append(f"{word}=none")
            elif parameter.default is None:
                words.append(word)
            else:
                words.append(f"{word}={parameter.default}")
        words_text = ", ".join(words)
        return f"{name}({words_text})"


def rows(least: int, default: int | None = None, why: str = "") -> Parameter:
    """A whole number of rows."""
    words = f"a whole number of rows from {least} to {MOST_ROWS:,}{why}"
    return Parameter(words, least=least, default=default)


DATA = Parameter("data, not a number", needs_data=True)
VALUE = Parameter("data or a number")
LABEL = Parameter("the name of a label of the data (data.groups), such as sector", label=True)
BACK = "; it looks back, never ahead"


def same_row(_: Mapping[str, Any]) -> float:
    """Row t only."""
    return 0


def steps(settings: Mapping[str, Any]) -> float:
    """Row t and row t - n."""
    return settings["n"]


def window(settings: Mapping[str, Any]) -> float:
    """The n rows that end at t."""
    return settings["n"] - 1


def all_rows(_: Mapping[str, Any]) -> float:
    """Every row up to t."""
    return inf


def cellwise(function: Callable[..., Any], *values: Any) -> Any:
    """The function of arrays, cell by cell.

    Series are spread over the assets where one value is a frame.
    """
    import numpy as np
    import pandas as pd

    frames = [value for value in values if isinstance(value, pd.DataFrame)]
    series = [value for value in values if isinstance(value, pd.Series)]
    arrays = []
    for value in values:
        array = np.asarray(value)
        if frames and isinstance(value, pd.Series):
            array = array[:, None]
        arrays.append(array)
    cells = function(*arrays)
    if frames:
        like = frames[0]
        return pd.DataFrame(cells, like.index, like.columns, copy=False)
    if series:
        return pd.Series(cells, series[0].index, name=series[0].name)
    return float(cells)


def each(name: str) -> Callable[..., Any]:
    """The numpy function of that name, cell by cell."""

    def run(*values: Any) -> Any:
        import numpy as np

        function = getattr(np, name)
        return cellwise(function, *values)

    return run


def comparison(name: str) -> Callable[..., Any]:
    """The numpy comparison of that name: 1 or 0, NaN where a side is missing."""

    def cells(left: Any, right: Any) -> Any:
        import numpy as np

        no_left = np.isnan(left)
        no_right = np.isnan(right)
        missing = no_left | no_right
        compare = getattr(np, name)
        holds = compare(left, right)
        return np.where(missing, np.nan, holds)

    def run(left: Any, right: Any) -> Any:
        return cellwise(cells, left, right)

    return run


def rolling(name: str) -> Callable[..., Any]:
    """The order statistic of pandas of that name over full windows."""

    def run(x: Any, n: int) -> Any:
        windows = x.rolling(n)
        return getattr(windows, name)()

    return run


def trailing(name: str) -> Callable[..., Any]:
    """The function of `runner.numerics.trailing` of that name: each window from its rows alone."""

    def run(*values: Any) -> Any:
        from runner.numerics import trailing

        function = getattr(trailing, name)
        return function(*values)

    return run


def lag(x: Any, n: int) -> Any:
    return x.shift(n)


def diff(x: Any, n: int) -> Any:
    before = x.shift(n)
    return x - before


def change(x: Any, n: int) -> Any:
    from runner.data import market

    return market.change(x, n)


def ewma(x: Any, span: int) -> Any:
    """Weights (1 - 2 / (span + 1)) ** age, normalised, from `span` values on.

    A missing value is passed over.
    """
    import numpy as np

    means = x.ewm(span=span, min_periods=span).mean()
    is_finite = np.isfinite(x)
    return means.where(is_finite)


def rank(x: Any, labels: Labels | None) -> Any:
    """Ties get their mean; an asset alone on its date gets .5; a missing value stays missing.

    With labels, among the assets that have the same label on the date.
    """

    def cells(order: Any, others: Any) -> Any:
        import numpy as np

        below = order - 1.0
        share = below / others
        return np.where(others > 0.0, share, order - 0.5)

    import pandas as pd

    if labels is None:
        by_date = across(x, "rank")
        order = by_date.rank(axis=1)
        known = x.count(axis=1)
        others = known - 1.0
        return cellwise(cells, order, others)
    by_date_and_label = across(x, "rank")
    bins = _bins(by_date_and_label, labels)
    values = x.to_numpy().ravel()
    flat = pd.Series(values)
    bin_of_value = bins.ravel()
    grouped = flat.groupby(bin_of_value)
    order = pd.DataFrame(grouped.rank().to_numpy().reshape(x.shape), x.index, x.columns)
    values_in_bin = grouped.transform("count")
    count = values_in_bin.to_numpy()
    return cellwise(cells, order, count.reshape(x.shape) - 1.0)


def _bins(x: Any, labels: Labels) -> Any:
    """The number (T, N) of the pair of date and label of each cell of x."""
    import numpy as np

    T = len(x)
    return np.arange(T)[:, None] * len(labels.values) + labels.cells(T)


def demean(x: Any, labels: Labels | None) -> Any:
    if labels is None:
        by_date = across(x, "demean")
        return by_date.sub(average(x, None), axis=0)
    return x - average(across(x, "demean"), labels)


def average(x: Any, labels: Labels | None) -> Any:
    import pandas as pd

    from runner.preprocessing.cross_moments import group_means, means_of_dates

    cells = across(x, "average").to_numpy(dtype=float)
    if labels is None:
        return pd.Series(means_of_dates(cells), x.index)
    codes = labels.codes if labels.by_date else labels.codes[0]
    means = group_means(cells[:, :, None], codes)[:, :, 0]
    return pd.DataFrame(means, x.index, x.columns)


def across(x: Any, name: str) -> Any:
    """x, if it has values of several assets to compare.

    Raises:
        DataError: a series shared by all assets.
    """
    import pandas as pd

    if isinstance(x, pd.Series):
        given = "a series that all assets share"
        raise DataError(f"{name}(x) compares assets; given {given}; allowed: values by asset")
    return x


def where(condition: Any, a: Any, b: Any) -> Any:
    """a where the condition is not 0, else b; NaN where the condition is missing."""

    def cells(condition: Any, a: Any, b: Any) -> Any:
        import numpy as np

        chosen = np.where(condition != 0.0, a, b)
        return np.where(np.isnan(condition), np.nan, chosen)

    return cellwise(cells, condition, a, b)


def clip(x: Any, lo: Any, hi: Any) -> Any:
    """x kept from lo to hi; NaN where lo is above hi."""

    def cells(x: Any, lo: Any, hi: Any) -> Any:
        import numpy as np

        clipped = np.clip(x, lo, hi)
        return np.where(lo <= hi, clipped, np.nan)

    return cellwise(cells, x, lo, hi)


class Derived(NamedTuple):
    """A name that every market can give: how, and the rows before t it uses."""

    read: Callable[..., Any]
    reach: int


DERIVED = {
    "ret": Derived(lambda market: market.returns(), 1),
    "market_ret": Derived(market_return, 1),
    "market_close": Derived(lambda market: market.index_close, 0),
}

# names of numbers that every market can give
NUMBERS: dict[str, Callable[..., float]] = {
    "rows_per_year": lambda market: market.rows_per_year(),
}

X = {"x": DATA}
AMONG = {"x": DATA, "group": LABEL}
ONE = {"x": VALUE}
TWO = {"a": VALUE, "b": VALUE}
PAIR = {"x": DATA, "y": DATA, "n": rows(2)}

FUNCTIONS: dict[str, Function] = {
    # the past of each column
    "lag": Function(lag, {**X, "n": rows(1, why=BACK)}, steps, "x of n rows before"),
    "diff": Function(diff, {**X, "n": rows(1, 1, BACK)}, steps, "x less x of n rows before"),
    "change": Function(
        change,
        {**X, "n": rows(1, 1, BACK)},
        steps,
        "x over x of n rows before, less one; missing where either is not above 0",
    ),
    "compound": Function(
        trailing("compound"),
        {**X, "n": rows(1)},
        window,
        "return over n rows from the returns of the rows",
    ),
    "mean": Function(
        trailing("rolling_mean"), {**X, "n": rows(1)}, window, "mean of the last n rows"
    ),
    "sum": Function(trailing("rolling_sum"), {**X, "n": rows(1)}, window, "sum of the last n rows"),
    "min": Function(
        rolling("min"),
        {**X, "n": rows(1, why="; minimum(a, b) is that of two")},
        window,
        "least of the last n rows",
    ),
    "max": Function(
        rolling("max"),
        {**X, "n": rows(1, why="; maximum(a, b) is that of two")},
        window,
        "greatest of the last n rows",
    ),
    "median": Function(rolling("median"), {**X, "n": rows(1)}, window, "median of the last n rows"),
    "std": Function(
        trailing("rolling_std"), {**X, "n": rows(2)}, window, "sample standard deviation (ddof 1)"
    ),
    "var": Function(
        trailing("rolling_var"), {**X, "n": rows(2)}, window, "sample variance (ddof 1)"
    ),
    "skew": Function(
        trailing("rolling_skew"), {**X, "n": rows(3)}, window, "sample skewness, bias adjusted"
    ),
    "zscore": Function(
        trailing("rolling_zscore"),
        {**X, "n": rows(2)},
        window,
        "x less its mean, over its std, of the last n rows",
    ),
    "corr": Function(trailing("rolling_corr"), PAIR, window, "correlation over the last n rows"),
    "cov": Function(
        trailing("rolling_cov"), PAIR, window, "sample covariance (ddof 1) over the last n rows"
    ),
    "beta": Function(
        trailing("rolling_beta"),
        {"y": DATA, "x": DATA, "n": rows(2)},
        window,
        "cov(y, x, n) / var(x, n)",
    ),
    "ewma": Function(
        ewma, {**X, "span": rows(1)}, all_rows, "exponentially weighted mean of all rows so far"
    ),
    # the assets of one date
    "rank": Function(
        rank,
        AMONG,
        same_row,
        "rank among the assets of the date (of the same label), 0 lowest to 1 highest",
        across=True,
    ),
    "average": Function(
        average,
        AMONG,
        same_row,
        "mean of the assets of the date, the same for all (of the same label)",
        across=True,
    ),
    "demean": Function(
        demean,
        AMONG,
        same_row,
        "x less the mean of the assets of the date (of the same label)",
        across=True,
    ),
    # cell by cell
    "abs": Function(each("abs"), ONE, same_row, "absolute value"),
    "log": Function(each("log"), ONE, same_row, "natural logarithm"),
    "exp": Function(each("exp"), ONE, same_row, "exponential"),
    "sqrt": Function(each("sqrt"), ONE, same_row, "square root"),
    "sign": Function(each("sign"), ONE, same_row, "-1, 0 or 1"),
    "maximum": Function(each("maximum"), TWO, same_row, "the greater of two"),
    "minimum": Function(each("minimum"), TWO, same_row, "the lesser of two"),
    "clip": Function(
        clip, {"x": VALUE, "lo": VALUE, "hi": VALUE}, same_row, "x kept from lo to hi"
    ),
    "where": Function(
        where, {"condition": VALUE, **TWO}, same_row, "a where the condition is not 0, else b"
    ),
}

# by the name of their node in Python's syntax tree
OPERATORS: dict[str, Function] = {
    "Add": Function(each("add"), TWO, same_row, "+"),
    "Sub": Function(each("subtract"), TWO, same_row, "-"),
    "Mult": Function(each("multiply"), TWO, same_row, "*"),
    "Div": Function(each("divide"), TWO, same_row, "/"),
    "Pow": Function(each("power"), TWO, same_row, "**"),
    "USub": Function(each("negative"), ONE, same_row, "-"),
    "Lt": Function(comparison("less"), TWO, same_row, "<"),
    "LtE": Function(comparison("less_equal"), TWO, same_row, "<="),
    "Gt": Function(comparison("greater"), TWO, same_row, ">"),
    "GtE": Function(comparison("greater_equal"), TWO, same_row, ">="),
    "Eq": Function(comparison("equal"), TWO, same_row, "=="),
    "NotEq": Function(comparison("not_equal"), TWO, same_row, "!="),
}
