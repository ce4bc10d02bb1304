"""Steps on the columns of a panel: what a cross-section knows of itself at date t, and of its past.

A step takes the cross-sections of some columns, NaN where missing, and gives columns of the same
shape, or the cells to leave out. Row t uses rows up to t: all steps but `forward_fill` use row t
alone, so that nothing can leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import numpy as np

from runner.errors import DataError, unknown
from runner.preprocessing.labelled import Labelled
from runner.preprocessing.traits import UNCHANGED, declares
from runner.schema.settings import LabelName, Rows, Share

if TYPE_CHECKING:
    import pandas as pd


def _limit(value: float) -> None:
    """A share of each tail."""
    if not 0.0 < value < 0.5:
        raise ValueError("allowed: a share above 0 and below 0.5")


Limit = Annotated[float, _limit]


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


@declares(by_date=True, writes=False)
def rank(cross: Cross) -> np.ndarray:
    """Rank over assets from -0.5 to 0.5, ties averaged; 0 where only one asset has a value."""
    import pandas as pd

    columns = np.moveaxis(cross.X, 2, 0)
    ranks = [pd.DataFrame(x).rank(axis=1).to_numpy() for x in columns]
    ranked = np.stack(ranks, axis=2)
    count = (~np.isnan(cross.X)).sum(axis=1, keepdims=True)
    less_own = count - 1
    others = np.maximum(less_own, 1)
    scaled = (ranked - 1.0) / others - 0.5
    return np.where(count > 1, scaled, 0.0 * ranked)


@declares(by_date=True, writes=False)
def zscore(cross: Cross) -> np.ndarray:
    """Less the mean over assets, over their standard deviation (ddof 1).

    NaN where the deviation is zero or unknown.
    """
    from runner.numerics.variation import flat_where_known
    from runner.preprocessing.cross_moments import centred, sums

    away, count = centred(cross.X)
    with np.errstate(divide="ignore", invalid="ignore"):
        squares = sums(away**2)
        deviation = np.sqrt(squares / (count - 1))
        scores = away / deviation
        constant = flat_where_known(cross.X, axis=1)
    return np.where(constant, np.nan, scores)


@declares(by_date=True, writes=False)
def demean(cross: Cross, *, group: LabelName | None = None) -> np.ndarray:
    """Less the mean over assets, or over the assets of the same group."""
    from runner.preprocessing.cross_moments import centred, group_means

    if group is None:
        return centred(cross.X)[0]
    return cross.X - group_means(cross.X, cross.codes(group))


@declares(by_date=True, writes=False, clips=True)
def winsorise(cross: Cross, *, limit: Limit = 0.01) -> np.ndarray:
    """Clipped at the quantiles `limit` and 1 - `limit` over assets (linear interpolation)."""
    import pandas as pd

    columns = []
    for x in np.moveaxis(cross.X, 2, 0):
        frame = pd.DataFrame(x)
        low = frame.quantile(limit, axis=1).to_numpy()[:, None]
        edge = frame.quantile(1.0 - limit, axis=1)
        high = edge.to_numpy()[:, None]
        columns.append(np.clip(x, low, high))
    return np.stack(columns, axis=2)


@declares(by_date=True, writes=False, clips=True, back=UNCHANGED)
def clip(cross: Cross, *, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Clipped at fixed bounds."""
    lowest = -np.inf if low is None else low
    highest = np.inf if high is None else high
    return np.clip(cross.X, lowest, highest)


@declares(by_date=True, writes=False, back="exp")
def log(cross: Cross) -> np.ndarray:
    """Natural logarithm; NaN where the value is not above zero.

    Of the target too: a forecast is then the exponential of what was fitted, the median of a
    log-normal target, which is below its mean.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        positive = np.where(cross.X > 0.0, cross.X, np.nan)
        return np.log(positive)


@declares(by_date=True, writes=False)
def fill(
    cross: Cross,
    *,
    value: Literal["mean", "median"] | float = "median",
    group: LabelName | None = None,
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


@declares(by_column=True, writes=False)
def forward_fill(cross: Cross, *, limit: Rows | None = None) -> np.ndarray:
    """Missing cells take the last value of their asset, up to `limit` rows old; null: any age."""
    filled = cross.X.copy()
    age = np.zeros(filled.shape[1:])
    rows = len(filled)
    for t in range(1, rows):
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

    def of(self, rows: slice) -> LeftOut:
        """Those of these dates."""
        return self._replace(cells=self.cells[rows])


@declares(by_date=True, writes=False)
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
        low_text = f"from {low:g}"
        bounds.append(low_text)
    if high is not None:
        high_text = f"up to {high:g}"
        bounds.append(high_text)
    outside = " ".join([by, *bounds]) if bounds else f"{by} is missing"
    reason = f"outside the universe: {outside}"
    return LeftOut(~inside, reason)


@declares(by_date=True, writes=False)
def drop_sparse(cross: Cross, *, most: Share = 0.75) -> LeftOut:
    """Leaves out the cells with more than this share of their features missing."""
    T, N, J = cross.X.shape
    missing = np.zeros((T, N))
    for j in range(J):
        missing += np.isnan(cross.X[:, :, j])
    sparse = missing / max(J, 1) > most
    return LeftOut(sparse, f"more than {100.0 * most:g} % of its features missing")


@declares(by_date=True, writes=False)
def neutralise(
    cross: Cross, *, group: LabelName | None = None, against: list[str] | None = None
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
        columns = [dummies, *values]
        Z = np.column_stack(columns)
        left[t] = residuals(cross.X[t], Z)
    return left
