"""Apply the steps of preprocessing to a panel, some dates or one column at a time, and count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.compute.pages import large_copy, let_go
from runner.errors import DataError
from runner.preprocessing.cross_moments import adjacent
from runner.preprocessing.labelled import Labelled
from runner.preprocessing.steps import Cross, LeftOut
from runner.preprocessing.traits import Traits, traits_of
from runner.text import ASSET_DATE, one_line

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
        X, y: features and target after every step, as they were given.
        keep: False where a step left a cell out, as y.
        back: names of numpy that take a forecast back to the unit of the target, in this order.
        account: what each step changed and left out: (what, reason, cells).
    """

    X: np.ndarray
    y: np.ndarray
    keep: np.ndarray
    back: tuple[str, ...]
    account: list[tuple[str, str, int]]


class Block(NamedTuple):
    """Some dates of a panel, of all its assets or of those that are listed on them.

    Attributes:
        X: (t, n, K), which a step changes in place.
        keep: (t, n), False where a step left a cell out, or where none is listed.
        labels: of the assets on these dates.
    """

    X: np.ndarray
    keep: np.ndarray
    labels: Labelled


@dataclass(frozen=True, eq=False)
class Cubes:
    """Arrays of every cell (date x asset) that steps change in place.

    Attributes:
        X: (T, N, K) columns; keep: (T, N) cells that are not left out.
    """

    X: np.ndarray
    keep: np.ndarray
    labels: Labelled

    def of(self, values: np.ndarray) -> Cubes:
        """Another column (T, N), of which nothing was left out."""
        return Cubes(values[:, :, None], np.broadcast_to(True, values.shape), self.labels)

    def blocks(self, by_date: bool) -> Iterator[Block]:
        """All of it, or some dates after the other."""
        for rows in _stretches(self.X) if by_date else [slice(None)]:
            yield Block(self.X[rows], self.keep[rows], self.labels.at(rows))
            let_go(self.X)


@dataclass(frozen=True, eq=False)
class Rows:
    """Numbers of the listed cells that steps change in place, by date, then asset.

    Attributes:
        X: (n, K) columns; keep: (n,) cells that are not left out.
        row, asset: (n,) positions of the date and of the asset of each cell.
    """

    X: np.ndarray
    keep: np.ndarray
    labels: Labelled
    row: np.ndarray
    asset: np.ndarray

    def of(self, values: np.ndarray) -> Rows:
        """Another column (n,), of which nothing was left out."""
        every = np.ones(len(values), dtype=bool)
        return Rows(values[:, None], every, self.labels, self.row, self.asset)

    def blocks(self, by_date: bool) -> Iterator[Block]:
        """Arrays of all listed assets on all dates, or of those of some dates after the other.

        What was done to each goes back into the rows before the next.
        """
        n, K = self.X.shape
        T = int(self.row[-1]) + 1 if n else 0
        of_a_date = max(n * K // max(T, 1), 1)
        size = max(CELLS // of_a_date, 1) if by_date else max(T, 1)
        for first in range(0, T, size):
            start, stop = np.searchsorted(self.row, [first, first + size])
            listed, column = np.unique(self.asset[start:stop], return_inverse=True)
            cell = (self.row[start:stop] - first, column)
            shape = (min(size, T - first), len(listed))
            X = np.full((*shape, K), np.nan)
            X[cell] = self.X[start:stop]
            keep = np.zeros(shape, dtype=bool)
            keep[cell] = self.keep[start:stop]
            labels = self.labels.at(slice(first, first + shape[0])).of(listed)
            yield Block(X, keep, labels)
            self.X[start:stop] = X[cell]
            self.keep[start:stop] = keep[cell]


@dataclass(frozen=True)
class Task:
    """A step on some columns, and the account of what it has done so far.

    Attributes:
        where: setting of the step, for errors; title: its name in the account.
        columns: positions of what it changes among the columns of these names.
        account: (what, reason) -> cells.
    """

    step: Step
    where: str
    title: str
    columns: list[int]
    names: list[str]
    account: Counter[tuple[str, str]] = field(default_factory=Counter)

    def do(self, block: Block) -> None:
        """Change the columns of a block in place.

        Raises:
            DataError: what the step cannot do with it.
        """
        batches = [self.columns]
        if self.step.traits.by_column:
            batches = [[k] for k in self.columns]
        try:
            for batch in batches:
                self._do(block, batch)
        except DataError as error:
            raise DataError([f"{self.where}.{line}" for line in error.mistakes]) from error

    def _do(self, block: Block, columns: list[int]) -> None:
        """The same of some of the columns; of many dates some at a time are read and written."""
        step = self.step
        before = block.X[:, :, adjacent(columns)]
        dates = [slice(None)]
        if step.traits.by_column:
            dates = _stretches(block.X)
            before = _copied(before, dates)
        result = _stepped(step, block, before, self.names)
        for rows in dates:
            part = block.X[rows]
            keep = block.keep[rows]
            of_dates = result.of(rows) if isinstance(result, LeftOut) else result[rows]
            lines = _taken(step, self.title, of_dates, part, columns, self.names, keep)
            for what, reason, cells in lines:
                self.account[what, reason] += cells
            if len(dates) > 1:
                let_go(block.X)

    def lines(self) -> list[tuple[str, str, int]]:
        """What it changed and left out: (what, reason, cells)."""
        return [(what, reason, cells) for (what, reason), cells in self.account.items() if cells]


def _stretches(X: np.ndarray) -> list[slice]:
    """All dates of X (T, N, K), some of them at a time."""
    T, N, K = X.shape
    size = max(CELLS // max(N * K, 1), 1)
    return [slice(first, first + size) for first in range(0, max(T, 1), size)]


def _copied(column: np.ndarray, dates: Sequence[slice]) -> np.ndarray:
    """A copy of a column (T, N, 1), made some dates at a time: it lies all over a large array."""
    copy = np.empty(column.shape)
    for rows in dates:
        copy[rows] = column[rows]
        let_go(column)
    return copy


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
    X is changed `in_place` or copied first.

    Raises:
        DataError: a step that the data cannot give.
    """
    if steps and not in_place:
        X = X.copy()
    if y is None:
        y = np.full(X.shape[:2], np.nan)
    keep = np.ones(X.shape[:2], dtype=bool)
    labels = Labelled(groups, by_date or {})
    return applied(steps, Cubes(X, keep, labels), names, y)


def applied(
    steps: Sequence[Step], columns: Cubes | Rows, names: list[str], y: np.ndarray
) -> Applied:
    """The features, which are changed in place, and the target after every step.

    Infinite cells are left as they are, for the panel to count. Steps by date are given some dates
    at a time, and steps by column one column, so that little is held twice.

    Raises:
        DataError: a step that the data cannot give.
    """
    tasks = []
    for number, step in enumerate(steps):
        on = names if step.on is None else step.on
        chosen = [k for k, name in enumerate(names) if name in on]
        where = f"preprocess[{number}]"
        tasks.append(Task(step, where, _title(steps, number), chosen, names))
    for by_date, following in groupby(tasks, key=lambda task: task.step.traits.by_date):
        stage = list(following)
        for block in columns.blocks(by_date):
            for task in stage:
                task.do(block)
    back: list[str] = []
    for task in tasks:
        step = task.step
        if step.on is not None and TARGET in step.on:
            y = large_copy(y)
            of_target = replace(task, columns=[0], names=[TARGET])
            for block in columns.of(y).blocks(step.traits.by_date):
                of_target.do(block)
            if step.traits.back:
                back.append(step.traits.back)
    account = [line for task in tasks for line in task.lines()]
    return Applied(columns.X, y, columns.keep, tuple(reversed(back)), account)


def _title(steps: Sequence[Step], number: int) -> str:
    """The name of a step in the account, with its number where several have that name."""
    name = steps[number].name
    alike = sum(step.name == name for step in steps)
    return name if alike == 1 else f"{name} (step {number + 1})"


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
        return [(ASSET_DATE, result.reason, int(lost.sum()))]
    if not keep.all():
        if not result.flags.writeable:
            result = result.copy()
        result[~keep] = np.nan
    before = X[:, :, adjacent(columns)]
    changed = [names[k] for k in columns]
    account = _changes(step, title, changed, before, result)
    X[:, :, adjacent(columns)] = result
    return account


def _stepped(step: Step, block: Block, before: np.ndarray, names: list[str]) -> Any:
    """These columns (t, n, J) of a block after the step, or the cells that it leaves out.

    Infinite cells stay as they are: the step sees them as missing.
    """
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
    labels = block.labels
    others = {name: _read_only(block.X[:, :, k]) for k, name in enumerate(names)}
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
