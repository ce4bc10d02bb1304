"""Folds: the rows that each is fitted on, leaves out and forecasts; spans of time in rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.data.calendar import span
from runner.errors import DataError
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
            parts += [(start, until, part) for start, until in runs(rows)]
        parts.sort()
        return "; ".join(f"{part} {start + 1}..{until}" for start, until, part in parts)


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
        return cls(horizon, rules[purge], embargo)


class UsableRows(NamedTuple):
    """The R rows with some usable cell, which a splitter counts, of the T rows that it may use.

    Attributes:
        dates: (R,) their dates.
        place: (R,) their positions among the T rows.
        at: (R,) their positions in the panel. Purge and embargo are counted in these: a target
            looks over rows of the panel, whether they are usable or not.
    """

    dates: pd.DatetimeIndex
    place: np.ndarray
    at: np.ndarray

    @classmethod
    def every(cls, dates: pd.DatetimeIndex) -> UsableRows:
        """All rows, which follow each other in the panel."""
        rows = np.arange(len(dates))
        return cls(dates, rows, rows)

    def before(self, start: int, purge: int) -> int:
        """How many rows lie more than `purge` rows of the panel before row `start` of these."""
        bound = self.at[start] - purge
        return int(np.searchsorted(self.at, bound))

    def near(self, parts: Sequence[tuple[int, int]], before: int, after: int) -> np.ndarray:
        """Mask (R,) of the rows of the parts and of their neighbours in the panel.

        Neighbours are so many rows of the panel before and after each part.
        """
        mask = np.zeros(len(self.at), dtype=bool)
        for start, until in parts:
            lowest = self.at[start] - before
            highest = self.at[until - 1] + after
            first = np.searchsorted(self.at, lowest, side="left")
            end = np.searchsorted(self.at, highest, side="right")
            mask[first:end] = True
        return mask

    def bridged(self, positions: np.ndarray) -> np.ndarray:
        """Positions among the T rows of these of the R, with unusable rows between neighbours."""
        spans = []
        for start, until in runs(positions):
            first = self.place[start]
            last = self.place[until - 1]
            spans.append(np.arange(first, last + 1))
        if not spans:
            return NONE
        return np.concatenate(spans)

    def located(self, fold: Fold, horizon: int) -> Fold:
        """A fold of positions among the R rows, as one of positions among the T rows."""
        test = self.bridged(fold.test)
        reach = max(horizon - 1, 0)
        near = self.near(runs(fold.test), reach, reach)
        return Fold(
            name=fold.name,
            train=self.bridged(fold.train),
            test=test,
            purge=self.place[np.asarray(fold.purge, dtype=int)],
            embargo=self.place[np.asarray(fold.embargo, dtype=int)],
            leaking=max(fold.leaking, int(near[fold.train].sum())),
            path=None if fold.path is None else self._paths(fold, test),
        )

    def _paths(self, fold: Fold, test: np.ndarray) -> np.ndarray:
        """Path of each bridged test row: an unusable one has that of the usable row before it."""
        path = np.zeros(len(self.place), dtype=int)
        path[fold.test] = fold.path
        usable_before = np.searchsorted(self.place, test, side="right") - 1
        return path[usable_before]


def runs(rows: np.ndarray) -> list[tuple[int, int]]:
    """Start and end, one past the last, of each run of rows that follow each other."""
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    parts = np.split(rows, cuts)
    return [(int(part[0]), int(part[-1]) + 1) for part in parts if len(part)]


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
    R = len(rows.at)
    around = [*tested, (held, R)] if held < R else tested
    free = ~rows.near(around, 0, 0)
    free[: allowed[0]] = False
    free[allowed[1] :] = False
    purge = free & rows.near(around, gaps.purge, gaps.purge)
    embargo = free & ~purge & rows.near(around, 0, gaps.purge + gaps.embargo)
    reach = max(gaps.horizon - 1, 0)
    shares_a_return = rows.near(around, reach, reach)
    train = free & ~purge & ~embargo
    leaking = int((train & shares_a_return).sum())
    counted = Fold(
        name=name,
        train=np.flatnonzero(train),
        test=np.flatnonzero(rows.near(tested, 0, 0)),
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
    usable = fold.test[np.isin(fold.test, rows.place)]
    positions = np.searchsorted(rows.place, usable)
    parts = [rows_text(start, until, rows.dates) for start, until in runs(positions)]
    tests = ", ".join(parts)
    lost = f"{fold.purged} are purged"
    if fold.embargoed:
        lost += f", {fold.embargoed} embargoed"
    raise DataError(
        f"validation.{setting}: fold {fold.name} tests rows {tests} and has no training row; {lost}"
    )


def own_fold(given: Any, number: int, rows: int) -> Fold:
    """A fold of a splitter of a user's own, checked against the number of rows.

    Raises:
        DataError: it is neither a fold nor a pair; a part whose positions are not increasing ones
            of so many rows, or no training or test row.
    """
    fold = _as_fold(given, number)
    for part in ("train", "test", "purge", "embargo"):
        positions = np.asarray(getattr(fold, part))
        inside = len(positions) == 0 or (positions.min() >= 0 and positions.max() < rows)
        in_order = not (np.diff(positions) <= 0).any()
        if not (inside and in_order):
            allowed = f"allowed: increasing positions from 0 to {rows - 1} of the dates given"
            raise DataError(
                f"validation: fold {fold.name}: its {part} rows are not in order; {allowed}"
            )
        if part in ("train", "test") and len(positions) == 0:
            raise DataError(f"validation: fold {fold.name} has no {part} row; allowed: one or more")
    return fold


def rows_text(start: int, until: int, dates: pd.DatetimeIndex) -> str:
    """Rows counted from 1, with the dates of those that there are."""
    known = dates[start:until]
    text = f"{start + 1}..{until}"
    if not len(known):
        return text
    return f"{text} ({span(known)})"


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
    clock, moment = _moved(dates, start, n * times, unit)
    return int(clock.searchsorted(moment, side="left"))


def behind(dates: pd.DatetimeIndex, until: int, length: int | str) -> int:
    """Position of the first row of the last `length` before row `until`.

    Of a time, they are the rows after the date of the last of them less that time. Below 0 where
    there are fewer rows.
    """
    n, unit = parse_span(length, 0)
    if unit == "rows" or until <= 0:
        return until - n
    clock, moment = _moved(dates, until - 1, -n, unit)
    return int(clock.searchsorted(moment, side="right"))


def _moved(dates: pd.DatetimeIndex, at: int, n: int, unit: str) -> tuple[Any, Any]:
    """Times (T,), and that of row `at` moved by n units."""
    import pandas as pd

    months = dates.to_period("M").asi8
    one_a_month = (np.diff(months) > 0).all()
    if unit in ("months", "years") and one_a_month:
        if unit == "years":
            n = n * MONTHS_A_YEAR
        return months, months[at] + n
    # in microseconds, for nanoseconds end in the year 2262
    clock = dates.as_unit("us")
    return clock, clock[at] + pd.DateOffset(**{unit: n})


def steps(dates: pd.DatetimeIndex, start: int, end: int, length: int | str) -> Iterator[int]:
    """Positions from `start` on, a length apart, before `end`.

    A length of time without a row has none.
    """
    at = start
    times = 0
    while at < end:
        yield at
        before = at
        while at == before:
            times += 1
            at = ahead(dates, start, length, times)


def forecastable(panel: Panel, folds: Sequence[Fold]) -> list[Fold]:
    """The folds that have a usable cell among their test rows.

    The last ones may have none, where the target looks far ahead; the first fold stays where none
    has any.
    """
    with_cells = [fold for fold in folds if panel.valid[fold.test].any()]
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
        if train.dtype.kind in "iu" and test.dtype.kind in "iu":
            return Fold(str(number), train, test, purge=NONE)
    raise DataError(
        f"validation: given {type(part).__name__}; "
        "allowed: folds, or pairs of training and test positions"
    )


def shared_by(folds: Sequence[Fold], panel: Panel) -> Shared:
    """Moments of the segments of rows that the training parts of the folds are made of."""
    from runner.panels.segments import segments  # needs scipy, which a wrong spec must not import

    trainings = [fold.train for fold in folds]
    return segments(trainings, panel.X, panel.y, panel.valid)
