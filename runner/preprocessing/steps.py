"""Steps on the columns of a panel: what a cross-section knows of itself at date t, and of its past.

A step takes the cross-sections of some columns, NaN where missing, and gives columns of the same
shape, or the cells to leave out. Row t uses rows up to t: all steps but `forward_fill` use row t
alone, so that nothing can leak.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from runner.errors import DataError, unknown
from runner.schema.settings import Rows, Share

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def _limit(value: float) -> None:
    if not 0.0 < value < 0.5:
        raise ValueError("allowed: a share above 0 and below 0.5")


Limit = Annotated[float, _limit]
CELLS = (
    2**19
)  # of all columns at a time: few enough for the cache, and for many groups on each date
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

    ranked = np.stack(
        [pd.DataFrame(x).rank(axis=1).to_numpy() for x in np.moveaxis(cross.X, 2, 0)], axis=2
    )
    count = (~np.isnan(cross.X)).sum(axis=1, keepdims=True)
    return np.where(count > 1, (ranked - 1.0) / np.maximum(count - 1, 1) - 0.5, 0.0 * ranked)


def zscore(cross: Cross) -> np.ndarray:
    """Less the mean over assets, over their standard deviation (ddof 1); NaN where that is zero or
    unknown.
    """
    import numpy as np

    from runner.numerics.variation import flat_where_known

    centred, count = _centred(cross.X)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.nansum(centred**2, axis=1, keepdims=True) / (count - 1))
        return np.where(flat_where_known(cross.X, axis=1), np.nan, centred / spread)


def demean(cross: Cross, *, group: str | None = None) -> np.ndarray:
    """Less the mean over assets, or over the assets of the same group."""
    if group is None:
        return _centred(cross.X)[0]
    return cross.X - _group_means(cross.X, cross.codes(group))


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


def log(cross: Cross) -> np.ndarray:
    """Natural logarithm; NaN where the value is not above zero.

    Of the target too: a forecast is then the exponential of what was fitted, the median of a
    log-normal target, which is below its mean.
    """
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.where(cross.X > 0.0, cross.X, np.nan))


def fill(
    cross: Cross, *, value: Literal["mean", "median"] | float = "median", group: str | None = None
) -> np.ndarray:
    """Missing cells take a number, or the mean or median over assets (of the same group), where
    there is one.
    """
    import numpy as np

    if not isinstance(value, str):
        return np.where(np.isnan(cross.X), value, cross.X)
    codes = np.zeros(cross.X.shape[1], dtype=int) if group is None else cross.codes(group)
    if value == "mean":
        return np.where(np.isnan(cross.X), _group_means(cross.X, codes), cross.X)
    found = cross.X.copy()
    for code in np.unique(codes):
        part = cross.X[:, codes == code]
        found[:, codes == code] = np.where(np.isnan(part), _median(part), part)
    return found


def forward_fill(cross: Cross, *, limit: Rows | None = None) -> np.ndarray:
    """Missing cells take the last value of their asset, up to `limit` rows old; null: however
    old.
    """
    import numpy as np

    found = cross.X.copy()
    age = np.zeros(found.shape[1:])
    for t in range(1, len(found)):
        missing = np.isnan(found[t])
        if limit is not None:
            age = np.where(missing, age + 1.0, 0.0)
            missing &= age <= limit
        np.copyto(found[t], found[t - 1], where=missing)
    return found


class LeftOut(NamedTuple):
    """Cells (T, N), True where the panel does without them, and why."""

    cells: np.ndarray
    reason: str


def universe(
    cross: Cross, *, by: str, low: float | None = None, high: float | None = None
) -> LeftOut:
    """Leaves out the assets whose feature `by` is missing at row t, or not from `low` to `high`:
    point in time.

    Raises:
        DataError: a feature that is not there.
    """
    import numpy as np

    if by not in cross.others:
        raise DataError(f"by: {unknown(by, cross.others)}")
    value = cross.others[by]
    inside = (value >= (-np.inf if low is None else low)) & (
        value <= (np.inf if high is None else high)
    )
    bounds = [
        f"{word} {one:g}" for word, one in (("from", low), ("up to", high)) if one is not None
    ]
    return LeftOut(
        ~inside,
        f"outside the universe: {' '.join([by, *bounds]) if bounds else f'{by} is missing'}",
    )


def drop_sparse(cross: Cross, *, most: Share = 0.75) -> LeftOut:
    """Leaves out the cells with more than this share of their features missing."""
    import numpy as np

    T, N, J = cross.X.shape
    missing = np.zeros((T, N))
    for j in range(J):
        missing += np.isnan(cross.X[:, :, j])
    return LeftOut(
        missing / max(J, 1) > most, f"more than {100.0 * most:g} % of its features missing"
    )


def neutralise(
    cross: Cross, *, group: str | None = None, against: list[str] | None = None
) -> np.ndarray:
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
    """What the steps made of a panel.

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
) -> Applied:
    """The features X (T, N, K) and the target y (T, N) after every step.

    Infinite cells are left as they are, for the panel to count. X is changed `in_place` or copied
    first. Steps that look at each date by itself are given some dates at a time, and `forward_fill`
    column after column, so that no more than a column is held twice.

    Raises:
        DataError: a step that the data cannot give.
    """
    import numpy as np

    X, y = (
        X if in_place or not steps else X.copy(),
        np.full(X.shape[:2], np.nan) if y is None else y,
    )
    keep, account, back = (
        np.ones(X.shape[:2], dtype=bool),
        list[tuple[str, str, int]](),
        list[str](),
    )
    several = [step.name for step in steps]
    for number, step in enumerate(steps):
        told = step.name if several.count(step.name) == 1 else f"{step.name} (step {number + 1})"
        at = [k for k, name in enumerate(names) if step.on is None or name in step.on]
        try:
            for own in [[k] for k in at] if _plain(step) is forward_fill else [at]:
                account += _done(step, told, X, own, names, groups, keep)
        except DataError as error:
            raise DataError([f"preprocess[{number}].{line}" for line in error.mistakes]) from error
        if step.on is not None and TARGET in step.on:
            y = y.copy()
            account += _done(
                step, told, y[:, :, None], [0], [TARGET], groups, np.broadcast_to(True, y.shape)
            )
            back += [step.back] if step.back else []
    return Applied(X, y, keep, tuple(reversed(back)), [one for one in account if one[2]])


def _done(
    step: Step,
    told: str,
    X: np.ndarray,
    at: list[int],
    names: list[str],
    groups: pd.DataFrame,
    keep: np.ndarray,
) -> list[tuple[str, str, int]]:
    """The account of a step on the columns `at` of X, some dates at a time where it looks at each
    by itself.
    """
    size = max(CELLS // max(X.shape[1] * X.shape[2], 1) if _plain(step) in BY_DATE else len(X), 1)
    total = Counter[tuple[str, str]]()
    for rows in (slice(first, first + size) for first in range(0, max(len(X), 1), size)):
        found = _stepped(step, X[rows], at, names, groups)
        for what, reason, cells in _taken(told, found, X[rows], at, names, keep[rows]):
            total[what, reason] += cells
    return [(*key, cells) for key, cells in total.items()]


def _taken(
    told: str, found: Any, X: np.ndarray, at: list[int], names: list[str], keep: np.ndarray
) -> list[tuple[str, str, int]]:
    """Put what a step gave for the columns `at` into X, or what it leaves out into `keep`; the
    account of it.

    What is left out is NaN from there on, so that it is in no mean of the steps to come.
    """
    import numpy as np

    if isinstance(found, LeftOut):
        lost = keep & found.cells
        keep &= ~lost
        for k in range(X.shape[2]):
            np.copyto(X[:, :, k], np.nan, where=lost)
        return [("panel cell", found.reason, int(lost.sum()))]
    if not keep.all():
        found[~keep] = np.nan
    account = _changes(told, [names[k] for k in at], X[:, :, _adjacent(at)], found)
    X[:, :, _adjacent(at)] = found
    return account


def _plain(step: Step) -> Any:
    """The function of a step without its settings."""
    return getattr(step.function, "func", step.function)


def _adjacent(at: list[int]) -> slice | list[int]:
    """The same positions, as a slice where they follow each other: of these numpy makes no copy."""
    return slice(at[0], at[-1] + 1) if at and at == list(range(at[0], at[-1] + 1)) else at


def _stepped(
    step: Step, X: np.ndarray, at: list[int], names: list[str], groups: pd.DataFrame
) -> Any:
    """The columns `at` of X after the step, infinite cells as they are; or the cells that it
    leaves out.
    """
    import numpy as np

    before, ours = X[:, :, _adjacent(at)], _plain(step) in WRITE_NOTHING
    infinite = np.isinf(before)
    given = (
        np.where(infinite, np.nan, before) if infinite.any() else before if ours else before.copy()
    )
    after = step.function(Cross(given, {name: X[:, :, k] for k, name in enumerate(names)}, groups))
    if isinstance(after, LeftOut) or (ours and given is before):
        return after
    return np.where(infinite, before, after)


def _changes(
    step: str, names: list[str], before: np.ndarray, after: np.ndarray
) -> list[tuple[str, str, int]]:
    import numpy as np

    rows = []
    for j, name in enumerate(names):
        old, new = before[:, :, j], after[:, :, j]
        moved = old != new  # so is what was and stays missing
        old, new = old[moved], new[moved]
        known = np.isfinite(old)
        kinds = {
            "filled": np.isnan(old) & ~np.isnan(new),
            "left without a value": known & np.isnan(new),
        }
        if step.partition(" ")[0] in ("winsorise", "clip"):
            kinds["clipped"] = known & ~np.isnan(new)
        rows += [
            ("changed value", f"{name} {kind} by {step}", int(mask.sum()))
            for kind, mask in kinds.items()
        ]
    return rows


def _group_means(X: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Mean (T, N, J) over the assets of the same group, NaN where none of them has a value; codes
    (N,).
    """
    import numpy as np

    of = np.unique(codes, return_inverse=True)[1]
    order, known = np.argsort(of, kind="stable"), ~np.isnan(X)
    starts = np.searchsorted(of[order], np.arange(of.max() + 1))
    total = np.add.reduceat(np.where(known, X, 0.0)[:, order], starts, axis=1)
    with np.errstate(invalid="ignore"):
        return (total / np.add.reduceat(known[:, order], starts, axis=1, dtype=float))[:, of]


def _centred(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X less its mean over assets (T, N, J), and how many have a value (T, 1, J)."""
    import numpy as np

    count = (~np.isnan(X)).sum(axis=1, keepdims=True)
    return X - np.nansum(X, axis=1, keepdims=True) / np.maximum(count, 1), count


def _median(part: np.ndarray) -> np.ndarray:
    """Median (T, 1, J) of what is known of part (T, M, J); NaN on a date without any, which stays
    missing.
    """
    import warnings

    import numpy as np

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(part, axis=1, keepdims=True))


def _residuals(x: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """Residuals (N, J) of each column of x (N, J) on Z (N, p), over the rows in which both are
    known.
    """
    import numpy as np

    found = np.full_like(x, np.nan)
    for j in range(x.shape[1]):
        own = np.isfinite(x[:, j]) & np.isfinite(Z).all(axis=1)
        used = Z[own][:, Z[own].any(axis=0)]
        if own.sum() > np.linalg.matrix_rank(used) if used.size else False:
            found[own, j] = x[own, j] - used @ np.linalg.lstsq(used, x[own, j], rcond=None)[0]
    return found


# Of these steps each date, and each column, depends on itself alone; and none of ours writes to
# what it is given.
BY_DATE = frozenset({rank, zscore, demean, winsorise, clip, log, fill})
WRITE_NOTHING = BY_DATE | {forward_fill, universe, drop_sparse, neutralise}
