"""Steps on the columns of a panel: what a cross-section knows of itself at date t, and of its past.

A step takes the cross-sections of some columns, NaN where missing, and gives columns of the same
shape, or the cells to leave out. Row t uses rows up to t: all steps but `forward_fill` use row t
alone, so that nothing can leak.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np

from runner.errors import DataError, unknown
from runner.preprocessing.cross_moments import adjacent
from runner.preprocessing.labelled import Labelled
from runner.schema.settings import Rows, Share

if TYPE_CHECKING:
    import pandas as pd


def _limit(value: float) -> None:
    """A share of each tail."""
    if not 0.0 < value < 0.5:
        raise ValueError("allowed: a share above 0 and below 0.5")


Limit = Annotated[float, _limit]
# cells of all columns at a time: few enough for the cache, and for many groups on each date
CELLS = 2**19
# in `on` of a step: what is fitted; forecasts are taken back, and scored against the raw target
TARGET = "target"
# Steps that the target may take, by their full name, and what takes a forecast back to the unit of
# the raw target.
BACK: Mapping[str, str | None] = {
    "runner.preprocessing.clip": None,
    "runner.preprocessing.log": "exp",
}


@dataclass(frozen=True)
class Cross:
    """The cross-sections that a step works on and what it may look at.

    Attributes:
        X: (T, N, J) columns to change, NaN where missing.
        others: name -> (T, N) every feature as it stands before the step.
        groups: frame (N, G) of the groups of assets.
        by_date: name -> codes (T, N) of labels of the date.
    """

    X: np.ndarray
    others: Mapping[str, np.ndarray]
    groups: pd.DataFrame
    by_date: Mapping[str, np.ndarray] = field(default_factory=dict)

    def codes(self, group: str) -> np.ndarray:
        """Codes of a group of assets, see `Labelled.codes`."""
        return Labelled(self.groups, self.by_date).codes(group)


def rank(cross: Cross) -> np.ndarray:
    """Rank over assets from -0.5 to 0.5, ties averaged; 0 where only one asset has a value."""
    import pandas as pd

    columns = np.moveaxis(cross.X, 2, 0)
    ranks = [pd.DataFrame(x).rank(axis=1).to_numpy() for x in columns]
    ranked = np.stack(ranks, axis=2)
    count = (~np.isnan(cross.X)).sum(axis=1, keepdims=True)
    others = np.maximum(count - 1, 1)
    scaled = (ranked - 1.0) / others - 0.5
    return np.where(count > 1, scaled, 0.0 * ranked)


def zscore(cross: Cross) -> np.ndarray:
    """Less the mean over assets, over their standard deviation (ddof 1).

    NaN where the deviation is zero or unknown.
    """
    from runner.numerics.variation import flat_where_known
    from runner.preprocessing.cross_moments import centred

    away, count = centred(cross.X)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = np.nansum(away**2, axis=1, keepdims=True)
        deviation = np.sqrt(squares / (count - 1))
        scores = away / deviation
        constant = flat_where_known(cross.X, axis=1)
    return np.where(constant, np.nan, scores)


def demean(cross: Cross, *, group: str | None = None) -> np.ndarray:
    """Less the mean over assets, or over the assets of the same group."""
    from runner.preprocessing.cross_moments import centred, group_means

    if group is None:
        return centred(cross.X)[0]
    return cross.X - group_means(cross.X, cross.codes(group))


def winsorise(cross: Cross, *, limit: Limit = 0.01) -> np.ndarray:
    """Clipped at the quantiles `limit` and 1 - `limit` over assets (linear interpolation)."""
    import pandas as pd

    columns = []
    for x in np.moveaxis(cross.X, 2, 0):
        frame = pd.DataFrame(x)
        low = frame.quantile(limit, axis=1).to_numpy()[:, None]
        high = frame.quantile(1.0 - limit, axis=1).to_numpy()[:, None]
        columns.append(np.clip(x, low, high))
    return np.stack(columns, axis=2)


def clip(cross: Cross, *, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Clipped at fixed bounds."""
    lowest = -np.inf if low is None else low
    highest = np.inf if high is None else high
    return np.clip(cross.X, lowest, highest)


def log(cross: Cross) -> np.ndarray:
    """Natural logarithm; NaN where the value is not above zero.

    Of the target too: a forecast is then the exponential of what was fitted, the median of a
    log-normal target, which is below its mean.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.where(cross.X > 0.0, cross.X, np.nan))


def fill(
    cross: Cross, *, value: Literal["mean", "median"] | float = "median", group: str | None = None
) -> np.ndarray:
    """Missing cells take a number, or the mean or median over assets (of the same group).

    They stay missing where no asset has a value.
    """
    from runner.preprocessing.cross_moments import group_means, group_medians

    missing = np.isnan(cross.X)
    if not isinstance(value, str):
        return np.where(missing, value, cross.X)
    N = cross.X.shape[1]
    codes = np.zeros(N, dtype=int) if group is None else cross.codes(group)
    centre = group_means if value == "mean" else group_medians
    return np.where(missing, centre(cross.X, codes), cross.X)


def forward_fill(cross: Cross, *, limit: Rows | None = None) -> np.ndarray:
    """Missing cells take the last value of their asset, up to `limit` rows old; null: any age."""
    filled = cross.X.copy()
    age = np.zeros(filled.shape[1:])
    for t in range(1, len(filled)):
        missing = np.isnan(filled[t])
        if limit is not None:
            age = np.where(missing, age + 1.0, 0.0)
            missing &= age <= limit
        np.copyto(filled[t], filled[t - 1], where=missing)
    return filled


class LeftOut(NamedTuple):
    """Cells (T, N), True where the panel does without them, and why."""

    cells: np.ndarray
    reason: str


def universe(
    cross: Cross, *, by: str, low: float | None = None, high: float | None = None
) -> LeftOut:
    """Leaves out the assets whose feature `by` at row t is missing or not from `low` to `high`.

    The universe is point in time: it is that of the row.

    Raises:
        DataError: a feature that is not there.
    """
    if by not in cross.others:
        raise DataError(f"by: {unknown(by, cross.others)}")
    value = cross.others[by]
    lowest = -np.inf if low is None else low
    highest = np.inf if high is None else high
    inside = (value >= lowest) & (value <= highest)
    bounds = []
    if low is not None:
        bounds.append(f"from {low:g}")
    if high is not None:
        bounds.append(f"up to {high:g}")
    outside = " ".join([by, *bounds]) if bounds else f"{by} is missing"
    return LeftOut(~inside, f"outside the universe: {outside}")


def drop_sparse(cross: Cross, *, most: Share = 0.75) -> LeftOut:
    """Leaves out the cells with more than this share of their features missing."""
    T, N, J = cross.X.shape
    missing = np.zeros((T, N))
    for j in range(J):
        missing += np.isnan(cross.X[:, :, j])
    sparse = missing / max(J, 1) > most
    return LeftOut(sparse, f"more than {100.0 * most:g} % of its features missing")


def neutralise(
    cross: Cross, *, group: str | None = None, against: list[str] | None = None
) -> np.ndarray:
    """Residuals of least squares over assets on a constant, dummies of a group, and other features.

    NaN where a regressor is missing, or the date has no more assets than regressors.

    Raises:
        DataError: a feature or group that is not there.
    """
    from runner.preprocessing.cross_moments import residuals

    features = against or []
    for name in features:
        if name not in cross.others:
            raise DataError(f"against: {unknown(name, cross.others)}")
    T, N, _ = cross.X.shape
    codes = np.zeros(N, dtype=int)
    if group is not None:
        codes = cross.codes(group)
    of_dates = np.broadcast_to(codes, (T, N))
    labels = np.unique(codes)
    left = np.full_like(cross.X, np.nan)
    for t in range(T):
        dummies = (of_dates[t][:, None] == labels).astype(float)
        values = [cross.others[name][t] for name in features]
        Z = np.column_stack([dummies, *values])
        left[t] = residuals(cross.X[t], Z)
    return left


class Step(NamedTuple):
    """A function of cross-sections with its settings, and the features that it is for (None: all).

    Attributes:
        back: what takes a forecast back where the step changes the target too, a name of numpy;
            None for nothing.
    """

    function: Callable[[Cross], np.ndarray | LeftOut]
    name: str
    on: list[str] | None
    back: str | None = None


class Applied(NamedTuple):
    """The panel after the steps.

    Attributes:
        X, y: (T, N, K), (T, N) after every step.
        keep: (T, N), False where a step left a cell out.
        back: names of numpy that take a forecast back to the unit of the target, in this order.
        account: what each step changed and left out: (what, reason, cells).
    """

    X: np.ndarray
    y: np.ndarray
    keep: np.ndarray
    back: tuple[str, ...]
    account: list[tuple[str, str, int]]


def apply(
    steps: Sequence[Step],
    X: np.ndarray,
    names: list[str],
    groups: pd.DataFrame,
    y: np.ndarray | None = None,
    *,
    in_place: bool = False,
    by_date: Mapping[str, np.ndarray] | None = None,
) -> Applied:
    """The features X (T, N, K) and the target y (T, N) after every step.

    `groups` (N, G) are labels for ever, `by_date` codes (T, N) of those of the date, by name.

    Infinite cells are left as they are, for the panel to count. X is changed `in_place` or copied
    first. Steps that look at each date by itself are given some dates at a time, and `forward_fill`
    column after column, so that no more than a column is held twice.

    Raises:
        DataError: a step that the data cannot give.
    """
    if steps and not in_place:
        X = X.copy()
    if y is None:
        y = np.full(X.shape[:2], np.nan)
    keep = np.ones(X.shape[:2], dtype=bool)
    labels = Labelled(groups, by_date or {})
    account: list[tuple[str, str, int]] = []
    back: list[str] = []
    for number, step in enumerate(steps):
        title = _title(steps, number)
        on = names if step.on is None else step.on
        chosen = [k for k, name in enumerate(names) if name in on]
        batches = [chosen]
        if _plain(step) is forward_fill:
            batches = [[k] for k in chosen]
        try:
            for columns in batches:
                account += _done(step, title, X, columns, names, labels, keep)
        except DataError as error:
            raise DataError([f"preprocess[{number}].{line}" for line in error.mistakes]) from error
        if step.on is not None and TARGET in step.on:
            y = y.copy()
            target = y[:, :, None]
            every = np.broadcast_to(True, y.shape)
            account += _done(step, title, target, [0], [TARGET], labels, every)
            if step.back:
                back.append(step.back)
    changed = [line for line in account if line[2]]
    return Applied(X, y, keep, tuple(reversed(back)), changed)


def _title(steps: Sequence[Step], number: int) -> str:
    """The name of a step in the account, with its number where several have that name."""
    name = steps[number].name
    alike = sum(step.name == name for step in steps)
    return name if alike == 1 else f"{name} (step {number + 1})"


def _done(
    step: Step,
    title: str,
    X: np.ndarray,
    columns: list[int],
    names: list[str],
    labels: Labelled,
    keep: np.ndarray,
) -> list[tuple[str, str, int]]:
    """The account of a step on these columns of X, which it changes in place.

    Some dates are taken at a time where the step looks at each by itself.
    """
    T, N, K = X.shape
    size = max(T, 1)
    if _plain(step) in BY_DATE:
        of_a_date = max(N * K, 1)
        size = max(CELLS // of_a_date, 1)
    total = Counter[tuple[str, str]]()
    for first in range(0, max(T, 1), size):
        rows = slice(first, first + size)
        part = X[rows]
        result = _stepped(step, part, columns, names, labels.at(rows))
        for what, reason, cells in _taken(title, result, part, columns, names, keep[rows]):
            total[what, reason] += cells
    return [(what, reason, cells) for (what, reason), cells in total.items()]


def _taken(
    title: str,
    result: Any,
    X: np.ndarray,
    columns: list[int],
    names: list[str],
    keep: np.ndarray,
) -> list[tuple[str, str, int]]:
    """Put the result of a step into these columns of X, or the cells it leaves out into `keep`.

    What is left out is NaN from there on, so that it is in no mean of the steps to come. Returns
    the account of it.
    """
    if isinstance(result, LeftOut):
        lost = keep & result.cells
        keep &= ~lost
        for k in range(X.shape[2]):
            np.copyto(X[:, :, k], np.nan, where=lost)
        return [("panel cell", result.reason, int(lost.sum()))]
    if not keep.all():
        result[~keep] = np.nan
    before = X[:, :, adjacent(columns)]
    changed = [names[k] for k in columns]
    account = _changes(title, changed, before, result)
    X[:, :, adjacent(columns)] = result
    return account


def _plain(step: Step) -> Any:
    """The function of a step without its settings."""
    return getattr(step.function, "func", step.function)


def _stepped(
    step: Step, X: np.ndarray, columns: list[int], names: list[str], labels: Labelled
) -> Any:
    """These columns of X after the step, or the cells that it leaves out.

    Infinite cells stay as they are: the step sees them as missing.
    """
    before = X[:, :, adjacent(columns)]
    infinite = np.isinf(before)
    any_infinite = bool(infinite.any())
    writes_nothing = _plain(step) in WRITE_NOTHING
    given = before
    if any_infinite:
        given = np.where(infinite, np.nan, before)
    elif not writes_nothing:
        given = before.copy()
    others = {name: X[:, :, k] for k, name in enumerate(names)}
    after = step.function(Cross(given, others, labels.groups, labels.by_date))
    untouched = writes_nothing and not any_infinite
    if isinstance(after, LeftOut) or untouched:
        return after
    return np.where(infinite, before, after)


def _changes(
    step: str, names: list[str], before: np.ndarray, after: np.ndarray
) -> list[tuple[str, str, int]]:
    """The account of the cells (T, N, J) that a step filled, emptied or clipped, by feature."""
    clips = step.partition(" ")[0] in ("winsorise", "clip")
    account = []
    for j, name in enumerate(names):
        # what was and stays missing differs from itself, and is none of the kinds below
        old = before[:, :, j]
        new = after[:, :, j]
        moved = old != new
        old = old[moved]
        new = new[moved]
        known = np.isfinite(old)
        emptied = np.isnan(new)
        kinds = {
            "filled": np.isnan(old) & ~emptied,
            "left without a value": known & emptied,
        }
        if clips:
            kinds["clipped"] = known & ~emptied
        for kind, cells in kinds.items():
            reason = f"{name} {kind} by {step}"
            account.append(("changed value", reason, int(cells.sum())))
    return account


# Of these steps each date, and each column, depends on itself alone; and none of ours writes to
# what it is given.
BY_DATE = frozenset({rank, zscore, demean, winsorise, clip, log, fill})
WRITE_NOTHING = BY_DATE | {forward_fill, universe, drop_sparse, neutralise}
