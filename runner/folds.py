"""Folds: the rows that each is fitted on, leaves out and forecasts, and spans of the calendar in rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.calendar import span
from runner.errors import DataError
from runner.settings import parse_span

if TYPE_CHECKING:
    import pandas as pd

    from runner.panel import Panel

HOLD_OUT = "holdout"  # name of the fold that tests the rows held out
NONE = np.empty(0, dtype=int)


class Fold(NamedTuple):
    """Positions of rows, each part increasing.

    Attributes:
        name: 1, 2, ... or holdout.
        train, test: rows fitted on, and rows forecast.
        purge: rows in neither because their target and one of the test part are too near.
        embargo: further rows after a test part that are in neither.
        leaking: training rows whose target shares a return with one of the test part or the hold-out; none unless
            the purge is less than the horizon by two rows or more.
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
        """Its parts in the order of time, rows counted from 1: `train 1..24; purge 25..25; test 26..31`."""
        every: dict[str, np.ndarray] = {"train": self.train, "purge": self.purge, "embargo": self.embargo}
        if self.path is None:
            every["test"] = self.test
        else:
            every |= {f"test (path {k})": self.test[self.path == k] for k in np.unique(self.path)}
        parts = sorted((start, until, what) for what, rows in every.items() for start, until in runs(rows))
        return "; ".join(f"{what} {start + 1}..{until}" for start, until, what in parts)


class Gaps(NamedTuple):
    """Rows left out around test parts: the span of row t is t..t + horizon, both ends included.

    A training row whose span touches that of a test row is purged when `purge` is the horizon (Lopez de Prado 2018,
    snippet 7.1), one row more than share a return with it; `embargo` further rows after a test part are left out too
    (snippet 7.2).
    """

    horizon: int
    purge: int
    embargo: int = 0


def runs(rows: np.ndarray) -> list[tuple[int, int]]:
    """Start and end, one past the last, of each run of rows that follow each other."""
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(rows, cuts) if len(part)]


def carve(
    name: str,
    tested: Sequence[tuple[int, int]],
    allowed: tuple[int, int],
    gaps: Gaps,
    held: tuple[int, int],
    path: np.ndarray | None = None,
) -> Fold:
    """The fold that tests these parts (start, end) and trains on what is allowed less those, their gaps, and the rows
    held out with theirs."""
    T = held[1]
    around = [*tested, held] if held[0] < T else tested
    test = _near(T, tested, 0, 0)
    free = ~_near(T, around, 0, 0)
    free[: allowed[0]] = free[allowed[1] :] = False
    purge = free & _near(T, around, gaps.purge, gaps.purge)
    embargo = free & ~purge & _near(T, around, 0, gaps.purge + gaps.embargo)
    train = free & ~purge & ~embargo
    reach = max(gaps.horizon - 1, 0)  # the target of row t holds the returns of rows t + 1 to t + horizon
    leaking = int((train & _near(T, around, reach, reach)).sum())
    at = np.flatnonzero
    return Fold(name, at(train), at(test), at(purge), at(embargo), leaking, path)


def _near(T: int, parts: Sequence[tuple[int, int]], before: int, after: int) -> np.ndarray:
    """Mask (T,) of the rows of the parts, and of so many before and after each."""
    found = np.zeros(T, dtype=bool)
    for start, until in parts:
        found[max(start - before, 0) : until + after] = True
    return found


def trained(fold: Fold, setting: str, dates: pd.DatetimeIndex) -> Fold:
    """The same fold.

    Raises:
        DataError: it has no training row.
    """
    if not len(fold.train):
        tests = ", ".join(rows_text(*run, dates) for run in runs(fold.test))
        lost = f"{fold.purged} are purged" + f", {fold.embargoed} embargoed" * bool(fold.embargoed)
        raise DataError(f"validation.{setting}: fold {fold.name} tests rows {tests} and has no training row; {lost}")
    return fold


def rows_text(start: int, until: int, dates: pd.DatetimeIndex) -> str:
    """Rows counted from 1, with the dates of those that there are."""
    known = dates[start:until]
    return f"{start + 1}..{until}" + (f" ({span(known)})" if len(known) else "")


def ahead(dates: pd.DatetimeIndex, start: int, length: int | str, times: int = 1) -> int:
    """Position of the first row at or after row `start` plus so many times the length; past the end where none is.

    Years and months of a calendar with at most one row in a month are counted in months, whatever the day.
    """
    n, unit = parse_span(length)
    if unit == "rows":
        return start + n * times
    if start >= len(dates):
        return start + 1
    clock, moment = _moved(dates, start, n * times, unit)
    return int(clock.searchsorted(moment, side="left"))


def behind(dates: pd.DatetimeIndex, until: int, length: int | str) -> int:
    """Position of the first row of the last `length` before row `until`, below 0 where there are fewer rows.

    Of a time, they are the rows after the date of the last of them less that time.
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
    if unit in ("months", "years") and (np.diff(months) > 0).all():
        return months, months[at] + n * (12 if unit == "years" else 1)
    clock = dates.as_unit("us")  # nanoseconds end in the year 2262
    return clock, clock[at] + pd.DateOffset(**{unit: n})


def steps(dates: pd.DatetimeIndex, start: int, end: int, length: int | str) -> Iterator[int]:
    """Positions from `start` on, a length apart, before `end`; lengths of time without a row have none."""
    at, times = start, 0
    while at < end:
        yield at
        before = at
        while at == before:
            times += 1
            at = ahead(dates, start, length, times)


def forecastable(panel: Panel, folds: Sequence[Fold]) -> list[Fold]:
    """The folds that have a usable cell among their test rows.

    The last ones may have none, where the target looks far ahead; the first fold stays where none has any.
    """
    with_cells = [fold for fold in folds if panel.valid[fold.test].any()]
    return with_cells or list(folds[:1])
