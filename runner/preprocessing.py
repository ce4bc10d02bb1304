"""Steps on the columns of a panel, each date by itself: what a cross-section knows of itself at date t.

A step takes the cross-sections of some columns, NaN where missing, and gives columns of the same shape. Nothing
of another date is used, so nothing can leak.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from runner.errors import DataError, unknown

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def _limit(value: float) -> None:
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
    """

    X: np.ndarray
    others: Mapping[str, np.ndarray]
    groups: pd.DataFrame

    def codes(self, group: str) -> np.ndarray:
        """Codes (N,) of a group of assets.

        Raises:
            DataError: the data has no such group.
        """
        if group not in self.groups:
            raise DataError(f"group: {unknown(group, self.groups.columns)}")
        return self.groups[group].astype("category").cat.codes.to_numpy()


def rank(cross: Cross) -> np.ndarray:
    """Rank over assets from -0.5 to 0.5, ties averaged; 0 where only one asset has a value."""
    import numpy as np
    import pandas as pd

    ranked = np.stack([pd.DataFrame(x).rank(axis=1).to_numpy() for x in np.moveaxis(cross.X, 2, 0)], axis=2)
    count = (~np.isnan(cross.X)).sum(axis=1, keepdims=True)
    return np.where(count > 1, (ranked - 1.0) / np.maximum(count - 1, 1) - 0.5, 0.0 * ranked)


def zscore(cross: Cross) -> np.ndarray:
    """Less the mean over assets, over their standard deviation (ddof 1); NaN where that is zero or unknown."""
    import numpy as np

    centred, count = _centred(cross.X)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.nansum(centred**2, axis=1, keepdims=True) / (count - 1))
        flat = spread <= 1e-12 * np.nanmax(np.abs(cross.X), axis=1, keepdims=True, initial=0.0)
        return np.where(flat, np.nan, centred / spread)


def demean(cross: Cross, *, group: str | None = None) -> np.ndarray:
    """Less the mean over assets, or over the assets of the same group."""
    import numpy as np

    if group is None:
        return _centred(cross.X)[0]
    codes, found = cross.codes(group), np.empty_like(cross.X)
    for code in np.unique(codes):
        found[:, codes == code] = _centred(cross.X[:, codes == code])[0]
    return found


def winsorise(cross: Cross, *, limit: Limit = 0.01) -> np.ndarray:
    """Clipped at the quantiles `limit` and 1 - `limit` over assets (linear interpolation)."""
    import numpy as np
    import pandas as pd

    columns = []
    for x in np.moveaxis(cross.X, 2, 0):
        frame = pd.DataFrame(x)
        low, high = (frame.quantile(q, axis=1).to_numpy()[:, None] for q in (limit, 1.0 - limit))
        columns.append(np.clip(x, low, high))
    return np.stack(columns, axis=2)


def clip(cross: Cross, *, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Clipped at fixed bounds."""
    import numpy as np

    return np.clip(cross.X, -np.inf if low is None else low, np.inf if high is None else high)


def fill(
    cross: Cross, *, value: Literal["mean", "median"] | float = "median", group: str | None = None
) -> np.ndarray:
    """Missing cells take a number, or the mean or median over assets (of the same group), where there is one."""
    import numpy as np

    codes = np.zeros(cross.X.shape[1], dtype=int) if group is None else cross.codes(group)
    found = cross.X.copy()
    for code in np.unique(codes):
        part = cross.X[:, codes == code]
        found[:, codes == code] = np.where(np.isnan(part), _typical(part, value), part)
    return found


def neutralise(cross: Cross, *, group: str | None = None, against: list[str] | None = None) -> np.ndarray:
    """Residuals of least squares over assets on a constant, dummies of a group, and other features.

    NaN where a regressor is missing, or the date has no more assets than regressors.

    Raises:
        DataError: a feature or group that is not there.
    """
    import numpy as np

    for name in against or []:
        if name not in cross.others:
            raise DataError(f"against: {unknown(name, cross.others)}")
    fixed = np.ones((cross.X.shape[1], 1))
    if group is not None:
        codes = cross.codes(group)
        fixed = (codes[:, None] == np.unique(codes)).astype(float)
    found = np.full_like(cross.X, np.nan)
    for t in range(len(cross.X)):
        Z = np.column_stack([fixed, *(cross.others[name][t] for name in against or [])])
        found[t] = _residuals(cross.X[t], Z)
    return found


class Step(NamedTuple):
    """A function of cross-sections with its settings, and the features that it is for (None: all)."""

    function: Callable[[Cross], np.ndarray]
    name: str
    on: list[str] | None


def apply(
    steps: Sequence[Step], X: np.ndarray, names: list[str], groups: pd.DataFrame
) -> tuple[np.ndarray, list[tuple[str, str, int]]]:
    """The features X (T, N, K) after every step, and what each step changed: (what, reason, cells).

    Infinite cells are left as they are, for the panel to count.

    Raises:
        DataError: a step that the data cannot give.
    """
    import numpy as np

    account = []
    for number, step in enumerate(steps):
        at = [k for k, name in enumerate(names) if step.on is None or name in step.on]
        before = X[:, :, at]
        infinite = np.isinf(before)
        others = {name: X[:, :, k] for k, name in enumerate(names)}
        try:
            after = step.function(Cross(np.where(infinite, np.nan, before), others, groups))
        except DataError as error:
            raise DataError([f"preprocess[{number}].{line}" for line in error.mistakes]) from error
        account += _changes(step.name, [names[k] for k in at], before, after)
        X = X.copy()
        X[:, :, at] = np.where(infinite, before, after)
    return X, account


def _changes(step: str, names: list[str], before: np.ndarray, after: np.ndarray) -> list[tuple[str, str, int]]:
    import numpy as np

    lost = (~np.isnan(after) < ~np.isnan(before)) & ~np.isinf(before)
    kinds = {"filled": np.isnan(before) & ~np.isnan(after), "left without a value": lost}
    if step in ("winsorise", "clip"):
        kinds["clipped"] = (before != after) & ~np.isnan(before) & ~np.isinf(before)
    rows = []
    for j, name in enumerate(names):
        for kind, mask in kinds.items():
            if (cells := int(mask[:, :, j].sum())) > 0:
                rows.append(("changed value", f"{name} {kind} by {step}", cells))
    return rows


def _centred(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X less its mean over assets (T, N, J), and how many have a value (T, 1, J)."""
    import numpy as np

    count = (~np.isnan(X)).sum(axis=1, keepdims=True)
    return X - np.nansum(X, axis=1, keepdims=True) / np.maximum(count, 1), count


def _typical(part: np.ndarray, value: str | float) -> np.ndarray | float:
    """What a missing cell of part (T, M, J) is filled with."""
    import warnings

    import numpy as np

    if not isinstance(value, str):
        return float(value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a date without any value stays missing
        return np.asarray((np.nanmean if value == "mean" else np.nanmedian)(part, axis=1, keepdims=True))


def _residuals(x: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Residuals (N, J) of each column of x (N, J) on Z (N, p), over the rows in which both are known."""
    import numpy as np

    found = np.full_like(x, np.nan)
    for j in range(x.shape[1]):
        own = np.isfinite(x[:, j]) & np.isfinite(Z).all(axis=1)
        used = Z[own][:, Z[own].any(axis=0)]
        if own.sum() > np.linalg.matrix_rank(used) if used.size else False:
            found[own, j] = x[own, j] - used @ np.linalg.lstsq(used, x[own, j], rcond=None)[0]
    return found
