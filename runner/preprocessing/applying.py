"""Apply the steps of preprocessing to a panel, some dates or one column at a time, and count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.errors import DataError
from runner.preprocessing.cross_moments import adjacent
from runner.preprocessing.labelled import Labelled
from runner.preprocessing.steps import Cross, LeftOut
from runner.preprocessing.traits import Traits, traits_of
from runner.text import one_line

if TYPE_CHECKING:
    import pandas as pd

# cells of all columns at a time: few enough for the cache, and for many groups on each date
CELLS = 2**19
# in `on` of a step: what is fitted; forecasts are taken back, and scored against the raw target
TARGET = "target"


class Step(NamedTuple):
    """A function of cross-sections with its settings, and the features that it is for (None: all).

    What is known of it stands beside the function, see `runner.preprocessing.traits`.
    """

    function: Callable[[Cross], np.ndarray | LeftOut]
    name: str
    on: list[str] | None

    @property
    def traits(self) -> Traits:
        """What the function declares of itself."""
        return traits_of(self.function)


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
    first. Steps by date are given some dates at a time, and steps by column one column, so that
    little is held twice.

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
        if step.traits.by_column:
            batches = [[k] for k in chosen]
        try:
            for columns in batches:
                account += _done(step, title, X, columns, names, labels, keep)
            if step.on is not None and TARGET in step.on:
                y = y.copy()
                target = y[:, :, None]
                every = np.broadcast_to(True, y.shape)
                account += _done(step, title, target, [0], [TARGET], labels, every)
                if step.traits.back:
                    back.append(step.traits.back)
        except DataError as error:
            raise DataError([f"preprocess[{number}].{line}" for line in error.mistakes]) from error
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
    if step.traits.by_date:
        of_a_date = max(N * K, 1)
        size = max(CELLS // of_a_date, 1)
    total = Counter[tuple[str, str]]()
    for first in range(0, max(T, 1), size):
        rows = slice(first, first + size)
        part = X[rows]
        result = _stepped(step, part, columns, names, labels.at(rows))
        for what, reason, cells in _taken(step, title, result, part, columns, names, keep[rows]):
            total[what, reason] += cells
    return [(what, reason, cells) for (what, reason), cells in total.items()]


def _taken(
    step: Step,
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
        if not result.flags.writeable:
            result = result.copy()
        result[~keep] = np.nan
    before = X[:, :, adjacent(columns)]
    changed = [names[k] for k in columns]
    account = _changes(step, title, changed, before, result)
    X[:, :, adjacent(columns)] = result
    return account


def _stepped(
    step: Step, X: np.ndarray, columns: list[int], names: list[str], labels: Labelled
) -> Any:
    """These columns of X after the step, or the cells that it leaves out.

    Infinite cells stay as they are: the step sees them as missing.
    """
    before = X[:, :, adjacent(columns)]
    infinite = np.isinf(before)
    any_infinite = bool(infinite.any())
    writes = step.traits.writes
    given = before
    if any_infinite:
        given = np.where(infinite, np.nan, before)
    elif writes:
        given = before.copy()
    if not writes:
        given = _read_only(given)
    others = {name: _read_only(X[:, :, k]) for k, name in enumerate(names)}
    after = _result(step, Cross(given, others, labels.groups, labels.by_date))
    untouched = not writes and not any_infinite
    if isinstance(after, LeftOut) or untouched:
        return after
    return np.where(infinite, before, after)


def _read_only(values: np.ndarray) -> np.ndarray:
    """The same array, which a step cannot write to."""
    view = values.view()
    view.flags.writeable = False
    return view


def _result(step: Step, cross: Cross) -> np.ndarray | LeftOut:
    """What the step makes of the cross-sections: columns of the same shape, or cells to leave out.

    Raises:
        DataError: whatever the function raises, as one line; it gives something else.
    """
    try:
        result = step.function(cross)
    except DataError:
        raise
    except Exception as error:
        reason = one_line(error)
        raise DataError(f"_target_: raised {type(error).__name__}: {reason}") from error
    shape: tuple[int, ...] = cross.X.shape
    values: Any = result
    if isinstance(result, LeftOut):
        shape = shape[:2]
        values = result.cells
    if not isinstance(values, np.ndarray):
        given = type(values).__name__
        raise DataError(f"_target_: gave {given}; allowed: an array {shape}")
    if values.shape != shape:
        raise DataError(f"_target_: gave an array {values.shape}; allowed: one {shape}")
    return result


def _changes(
    step: Step, title: str, names: list[str], before: np.ndarray, after: np.ndarray
) -> list[tuple[str, str, int]]:
    """The account of the cells (T, N, J) that a step filled, emptied or clipped, by feature."""
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
        if step.traits.clips:
            kinds["clipped"] = known & ~emptied
        for kind, cells in kinds.items():
            reason = f"{name} {kind} by {title}"
            account.append(("changed value", reason, int(cells.sum())))
    return account
