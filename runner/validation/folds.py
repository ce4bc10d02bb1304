"""Folds: the rows that each is fitted on, leaves out and forecasts; spans of time in rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.data.calendar import span
from runner.errors import DataError, placed
from runner.schema.settings import parse_span

if TYPE_CHECKING:
    import pandas as pd

    from runner.panels.panel import Panel
    from runner.panels.segments import Shared

HOLD_OUT = "holdout"  # name of the fold that tests the rows held out
NONE = np.empty(0, dtype=int)  # no rows
MONTHS_A_YEAR = 12


class Fold(NamedTuple):
    """Positions of rows of the panel, each part increasing.

    Attributes:
        name: 1, 2, ... or holdout.
        train, test: rows fitted on, and rows forecast; with the unusable rows between them, which
            hold no cell.
        purge: usable rows in neither, because they lie too near to the test part or the hold-out.
        embargo: further usable rows after a test part that are in neither.
        leaking: usable training rows whose target shares a return with one of the test part or the
            hold-out. That of a row before the test part was not known when the first forecast was
            made. None unless the purge is less than the horizon by two rows or more.
        path: backtest path of each test row, counted from 1; None where there is one path only.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    purge: np.ndarray
    embargo: np.ndarray = NONE
    leaking: int = 0
    path: np.ndarray | None = None

    @property
    def purged(self) -> int:
        return len(self.purge)

    @property
    def embargoed(self) -> int:
        return len(self.embargo)

    @property
    def layout(self) -> str:
        """Its parts in the order of time, rows from 1: `train 1..24; purge 25..25; test 26..31`."""
        rows_of: dict[str, np.ndarray] = {
            "train": self.train,
            "purge": self.purge,
            "embargo": self.embargo,
        }
        if self.path is None:
            rows_of["test"] = self.test
        else:
            for k in np.unique(self.path):
                on_path = self.path == k
                rows_of[f"test (path {k})"] = self.test[on_path]
        parts = []
        for part, rows in rows_of.items():
            for start, until in runs(rows):
                parts.append((start, until, part))
        parts.sort()
        texts = [f"{part} {start + 1}..{until}" for start, until, part in parts]
        return "; ".join(texts)


class Gaps(NamedTuple):
    """Rows of the panel left out around test parts, for a target that looks `horizon` rows ahead.

    The target of row t holds the returns of rows t + 1 to t + horizon. It is known at a later row s
    if t + horizon <= s: the horizon - 1 rows before the first test row are not known there. As many
    after a test part share a return with it. With a purge of `horizon` rows, the prices of rows t
    to t + horizon are in one target only (Lopez de Prado 2018, snippet 7.1); `embargo` further rows
    after a test part are left out too (snippet 7.2).
    """

    horizon: int
    purge: int
    embargo: int = 0

    @classmethod
    def of(cls, purge: int | str, horizon: int, embargo: int = 0) -> Gaps:
        """By the rule `known` or `strict`, or of so many rows."""
        if not isinstance(purge, str):
            return cls(horizon, purge, embargo)
        rules = {"known": max(horizon - 1, 0), "strict": horizon}
        rows = rules[purge]
        return cls(horizon, rows, embargo)


class UsableRows(NamedTuple):
    """The R rows with some usable cell, which a splitter counts, of the T rows that it may use.

    Attributes:
        dates: (R,) their dates.
        positions: (R,) their positions among the T rows.
        in_panel: (R,) their positions in the panel. Purge and embargo are counted in these: a
            target looks over rows of the panel, whether they are usable or not.
    """

    dates: pd.DatetimeIndex
    positions: np.ndarray
    in_panel: np.ndarray

    @classmethod
    def every(cls, dates: pd.DatetimeIndex) -> UsableRows:
        """All rows, which follow each other in the panel."""
        dates_in_all = len(dates)
        rows = np.arange(dates_in_all)
        return cls(dates, rows, rows)

    def before(self, start: int, purge: int) -> int:
        """How many rows lie more than `purge` rows of the panel before row `start` of these."""
        bound = self.in_panel[start] - purge
        rows = np.searchsorted(self.in_panel, bound)
        return int(rows)

    def near(self, parts: Sequence[tuple[int, int]], before: int, after: int) -> np.ndarray:
        """Mask (R,) of the rows of the parts and of their neighbours in the panel.

        Neighbours are so many rows of the panel before and after each part.
        """
        R = len(self.in_panel)
        mask = np.zeros(R, dtype=bool)
        for start, until in parts:
            lowest = self.in_panel[start] - before
            last_tested = until - 1
            highest = self.in_panel[last_tested] + after
            first = np.searchsorted(self.in_panel, lowest, side="left")
            end = np.searchsorted(self.in_panel, highest, side="right")
            mask[first:end] = True
        return mask

    def bridged(self, positions: np.ndarray) -> np.ndarray:
        """Positions among the T rows of these of the R, with unusable rows between neighbours."""
        spans = []
        for start, until in runs(positions):
            first = self.positions[start]
            end = self.positions[until - 1] + 1
            spans.append(np.arange(first, end))
        if not spans:
            return NONE
        return np.concatenate(spans)

    def located(self, fold: Fold, horizon: int) -> Fold:
        """A fold of positions among the R rows, as one of positions among the T rows."""
        test = self.bridged(fold.test)
        rows_before = horizon - 1
        reach = max(rows_before, 0)
        tests = runs(fold.test)
        near = self.near(tests, reach, reach)
        near_training = near[fold.train]
        leaking = int(near_training.sum())
        path = None
        if fold.path is not None:
            path = self._paths(fold, test)
        purge = np.asarray(fold.purge, dtype=int)
        embargo = np.asarray(fold.embargo, dtype=int)
        return Fold(
            name=fold.name,
            train=self.bridged(fold.train),
            test=test,
            purge=self.positions[purge],
            embargo=self.positions[embargo],
            leaking=max(fold.leaking, leaking),
            path=path,
        )

    def _paths(self, fold: Fold, test: np.ndarray) -> np.ndarray:
        """Path of each bridged test row: an unusable one has that of the usable row before it."""
        R = len(self.positions)
        path = np.zeros(R, dtype=int)
        path[fold.test] = fold.path
        usable_until = np.searchsorted(self.positions, test, side="right")
        usable_before = usable_until - 1
        return path[usable_before]


def runs(rows: np.ndarray) -> list[tuple[int, int]]:
    """Start and end, one past the last, of each run of rows that follow each other."""
    steps_on = np.diff(rows) == 1
    cuts = np.flatnonzero(~steps_on) + 1
    parts = np.split(rows, cuts)
    spans = []
    for part in parts:
        if len(part):
            start = int(part[0])
            until = int(part[-1]) + 1
            spans.append((start, until))
    return spans


def carve(
    name: str,
    tested: Sequence[tuple[int, int]],
    allowed: tuple[int, int],
    gaps: Gaps,
    held: int,
    rows: UsableRows,
    path: np.ndarray | None = None,
) -> Fold:
    """The fold that tests these parts (start, end) of the R usable rows, and trains on `allowed`.

    Rows of the test parts are not trained on, nor those from `held` on, which are held out, nor the
    gaps of both.
    """
    R = len(rows.in_panel)
    around = list(tested)
    if held < R:
        around.append((held, R))
    test = rows.near(tested, 0, 0)
    free = ~rows.near(around, 0, 0)
    free[: allowed[0]] = False
    free[allowed[1] :] = False
    near = rows.near(around, gaps.purge, gaps.purge)
    purge = free & near
    within_embargo = rows.near(around, 0, gaps.purge + gaps.embargo)
    unpurged = free & ~purge
    embargo = unpurged & within_embargo
    rows_before = gaps.horizon - 1
    reach = max(rows_before, 0)
    shares_a_return = rows.near(around, reach, reach)
    left = free & ~purge
    train = left & ~embargo
    leaks = train & shares_a_return
    leaking = int(leaks.sum())
    counted = Fold(
        name=name,
        train=np.flatnonzero(train),
        test=np.flatnonzero(test),
        purge=np.flatnonzero(purge),
        embargo=np.flatnonzero(embargo),
        leaking=leaking,
        path=path,
    )
    return rows.located(counted, gaps.horizon)


def trained(fold: Fold, setting: str, rows: UsableRows) -> Fold:
    """The same fold.

    Raises:
        DataError: it has no training row.
    """
    if len(fold.train):
        return fold
    is_usable = np.isin(fold.test, rows.positions)
    usable = fold.test[is_usable]
    positions = np.searchsorted(rows.positions, usable)
    parts = [rows_text(start, until, rows.dates) for start, until in runs(positions)]
    tests = ", ".join(parts)
    lost = f"{fold.purged} are purged"
    if fold.embargoed:
        embargoed = f", {fold.embargoed} embargoed"
        lost += embargoed
    where = f"validation.{setting}: fold {fold.name}"
    raise DataError(f"{where} tests rows {tests} and has no training row; {lost}")


def own_fold(given: Any, number: int, rows: int) -> Fold:
    """A fold of a splitter of a user's own, checked against the number of rows.

    Raises:
        DataError: it is neither a fold nor a pair; a part whose positions are not increasing ones
            of so many rows, or no training or test row.
    """
    fold = _as_fold(given, number)
    for part in ("train", "test", "purge", "embargo"):
        rows_of_part = getattr(fold, part)
        positions = np.asarray(rows_of_part)
        count = len(positions)
        inside = count == 0 or (positions.min() >= 0 and positions.max() < rows)
        repeats_or_falls = np.diff(positions) <= 0
        in_order = not repeats_or_falls.any()
        if not (inside and in_order):
            last = rows - 1
            allowed = f"allowed: increasing positions from 0 to {last} of the dates given"
            raise DataError(
                f"validation: fold {fold.name}: its {part} rows are not in order; {allowed}"
            )
        if part in ("train", "test") and count == 0:
            raise DataError(f"validation: fold {fold.name} has no {part} row; allowed: one or more")
    return fold


def rows_text(start: int, until: int, dates: pd.DatetimeIndex) -> str:
    """Rows counted from 1, with the dates of those that there are."""
    known = dates[start:until]
    first = start + 1
    text = f"{first}..{until}"
    if not len(known):
        return text
    dates_text = span(known)
    return f"{text} ({dates_text})"


def ahead(dates: pd.DatetimeIndex, start: int, length: int | str, times: int = 1) -> int:
    """Position of the first row at or after row `start` plus so many times the length.

    Past the end where there is no such row. Years and months of a calendar with at most one row in
    a month are counted in months, whatever the day.
    """
    n, unit = parse_span(length)
    if unit == "rows":
        return start + n * times
    if start >= len(dates):
        return start + 1
    times_on, moment = _moved(dates, start, n * times, unit)
    return int(times_on.searchsorted(moment, side="left"))


def behind(dates: pd.DatetimeIndex, until: int, length: int | str) -> int:
    """Position of the first row of the last `length` before row `until`.

    Of a time, they are the rows after the date of the last of them less that time. Below 0 where
    there are fewer rows.
    """
    n, unit = parse_span(length, 0)
    if unit == "rows" or until <= 0:
        return until - n
    times_on, moment = _moved(dates, until - 1, -n, unit)
    return int(times_on.searchsorted(moment, side="right"))


def _moved(dates: pd.DatetimeIndex, row: int, n: int, unit: str) -> tuple[Any, Any]:
    """Times (T,), and that of a row moved by n units."""
    import pandas as pd

    months = dates.to_period("M").asi8
    months_apart = np.diff(months)
    steps_on = months_apart > 0
    one_a_month = steps_on.all()
    if unit in ("months", "years") and one_a_month:
        if unit == "years":
            n = n * MONTHS_A_YEAR
        return months, months[row] + n
    # in microseconds, for nanoseconds end in the year 2262
    times = dates.as_unit("us")
    offset = pd.DateOffset(**{unit: n})
    return times, times[row] + offset


def steps(dates: pd.DatetimeIndex, start: int, end: int, length: int | str) -> Iterator[int]:
    """Positions from `start` on, a length apart, before `end`.

    A length of time without a row has none.
    """
    row = start
    times = 0
    while row < end:
        yield row
        before = row
        while row == before:
            times += 1
            row = ahead(dates, start, length, times)


def forecastable(panel: Panel, folds: Sequence[Fold]) -> list[Fold]:
    """The folds that have a usable cell among their test rows.

    The last ones may have none, where the target looks far ahead; the first fold stays where none
    has any.
    """
    with_cells = []
    for fold in folds:
        cells = panel.usable[fold.test]
        if cells.any():
            with_cells.append(fold)
    return with_cells or list(folds[:1])


def _as_fold(part: Any, number: int) -> Fold:
    """A fold, or a pair of training and test positions, as scikit-learn's splitters give.

    Raises:
        DataError: it is neither.
    """
    if isinstance(part, Fold):
        return part
    if isinstance(part, tuple) and len(part) == 2:
        train, test = (np.unique(np.asarray(rows)) for rows in part)
        are_positions = train.dtype.kind in "iu" and test.dtype.kind in "iu"
        if are_positions:
            return Fold(str(number), train, test, purge=NONE)
    raise DataError(
        f"validation: given {type(part).__name__}; "
        "allowed: folds, or pairs of training and test positions"
    )


@contextmanager
def placed_in(fold: Fold) -> Iterator[None]:
    """Say of a mistake in which fold it was made.

    Raises:
        DataError: the mistake.
    """
    try:
        yield
    except DataError as error:
        raise DataError(placed(f"validation: fold {fold.name}", error)) from error


def tested_together(folds: Sequence[Fold], rows: int) -> list[tuple[int, int, list[int]]]:
    """Stretches of so many rows, start and end, and the numbers of the folds that test them."""
    tests = np.zeros((len(folds), rows), dtype=bool)
    for tested, fold in zip(tests, folds, strict=True):
        tested[fold.test] = True
    differ = (tests[:, 1:] != tests[:, :-1]).any(axis=0)
    edges = [0, *(np.flatnonzero(differ) + 1).tolist(), rows]
    stretches = []
    for start, until in pairwise(edges):
        numbers = np.flatnonzero(tests[:, start]).tolist()
        if numbers:
            stretches.append((start, until, numbers))
    return stretches


def shared_by(folds: Sequence[Fold], panel: Panel) -> Shared:
    """Moments of the segments of rows that the training parts of the folds are made of."""
    from runner.panels.segments import segments  # needs scipy, which a wrong spec must not import

    trainings = [fold.train for fold in folds]
    return segments(trainings, panel.cells)
