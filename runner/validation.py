"""Splitters: which rows are fitted on and which are forecast, one frozen class each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from runner.calendar import span, up_to
from runner.errors import DataError
from runner.settings import Count, Date, Rows

if TYPE_CHECKING:
    import pandas as pd

HOLD_OUT = "holdout"  # name of the fold that tests the rows held out


class Fold(NamedTuple):
    """Positions of rows. `purged` rows before the test part are in neither: their target reaches into it."""

    name: str
    train: np.ndarray
    test: np.ndarray
    purged: int


@runtime_checkable
class Splitter(Protocol):
    """Which rows are fitted on and which are forecast."""

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]: ...


@dataclass(frozen=True)
class NoValidation:
    """Fit on all rows, forecast none."""

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        return []


@dataclass(frozen=True)
class HoldOut:
    """Fit up to `train_end`, or on all but the last `rows` rows, and forecast what follows.

    The last `horizon` rows before the test part are purged: their target would not yet be known.
    """

    train_end: Date | None = None
    rows: Rows | None = None

    def __post_init__(self) -> None:
        if (self.train_end is None) == (self.rows is None):
            given = f"{self.rows} given with train_end={self.train_end}"
            raise ValueError(f"rows: {given}; allowed: exactly one of the two, the other null")

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        """One fold on rows `dates` (T,).

        Raises:
            DataError: no training row or no test row is left.
        """
        T = len(dates)
        start = T - self.rows if self.rows else int(up_to(dates, str(self.train_end)).sum())
        train, test = np.arange(max(start - horizon, 0)), np.arange(max(start, 0), T)
        part = "training" if not len(train) else "test" if not len(test) else None
        if part:
            given = f"rows: {self.rows}" if self.rows else f"train_end: {self.train_end}"
            raise DataError(
                f"validation.{given} leaves no {part} row; rows run {span(dates)}, {horizon} are purged"
                + f"; there are {T}" * bool(self.rows)
            )
        return [Fold(HOLD_OUT, train, test, start - len(train))]


@dataclass(frozen=True)
class WalkForward:
    """Fit on the rows before each test part, forecast it, and go on to the next.

    The last `horizon` rows before each test part are purged: their target would not yet be known. Test parts
    follow each other from `first` up to the hold-out, the last one shorter where rows run out, so that every
    row between is tested; `train_ends` places them one by one instead, and rows between them are not tested.

    Attributes:
        test: rows of a test part, and so between refits.
        first: rows before the first test part.
        train_ends: rows before each test part, instead of `first`: 24 tests row 25 on, counted from 1.
        window: most training rows, the last before the purge (rolling); null takes all (expanding).
        holdout: last rows that no other fold may test or train on; forecast once, as a last fold `holdout`.
    """

    test: Rows
    first: Rows | None = None
    train_ends: list[Rows] | None = None
    window: Rows | None = None
    holdout: Count = 0

    def __post_init__(self) -> None:
        ends, found = self.train_ends, []
        if (self.first is None) == (ends is None):
            given = f"{self.first} given with train_ends={ends}"
            found.append(f"first: {given}; allowed: exactly one of the two, the other null")
        if ends is not None and (not ends or min(np.diff(ends), default=self.test) < self.test):
            found.append(
                f"train_ends: given {ends}; allowed: one or more, each at least test={self.test} after the last"
            )
        if found:
            raise ValueError("\n".join(found))

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        """Folds on rows `dates` (T,), named 1, 2, ... and holdout.

        Raises:
            DataError: a fold that would test rows of the hold-out, or rows that there are not, or that has no
                training row left.
        """
        end = max(len(dates) - self.holdout, 0)
        starts = range(self.first, end, self.test) if self.first else self._placed(dates, end)
        if not starts:
            held = f", of which the last {self.holdout} are the hold-out" if self.holdout else ""
            rows = f"there are {len(dates)} rows, {span(dates)}{held}"
            raise DataError(f"validation.first: {self.first} leaves no test row; {rows}")
        parts = [(str(k), start, min(start + self.test, end)) for k, start in enumerate(starts, 1)]
        parts += [(HOLD_OUT, end, len(dates))] if self.holdout else []
        return [self._fold(*part, dates, horizon) for part in parts]

    def _placed(self, dates: pd.DatetimeIndex, end: int) -> list[int]:
        """Where each test part begins, if all its rows may be tested."""
        ends = self.train_ends or []
        for start in ends:
            until = start + self.test
            if until > end:
                most = f"; allowed: up to {end - self.test}" if end > self.test else ""
                at = f" ({span(dates[start - 1 : start])[:10]})" if start <= len(dates) else ""
                tests = f"validation.train_ends: {start}{at} tests rows {_rows(start, until, dates)}"
                raise DataError(f"{tests}{self._beyond(start, until, dates)}{most}")
        return ends

    def _beyond(self, start: int, until: int, dates: pd.DatetimeIndex) -> str:
        """Which of the rows of a test part may not be tested, and why."""
        T = len(dates)
        if until > T:
            return f", but there are {T} rows, {span(dates)}"
        end = max(T - self.holdout, 0)
        overlap = _rows(max(start, end), until, dates)
        return f", but the hold-out is rows {_rows(end, T, dates)}: they overlap in rows {overlap}"

    def _fold(self, name: str, start: int, until: int, dates: pd.DatetimeIndex, horizon: int) -> Fold:
        last = start - horizon
        train = np.arange(max(last - self.window, 0) if self.window else 0, last)
        if not len(train):
            setting = "first" if self.first else "train_ends"
            tests = f"fold {name} tests rows {_rows(start, until, dates)}"
            raise DataError(f"validation.{setting}: {tests} and has no training row; {horizon} are purged")
        return Fold(name, train, np.arange(start, until), horizon)


def _rows(start: int, until: int, dates: pd.DatetimeIndex) -> str:
    """Rows counted from 1, with the dates of those that there are."""
    known = dates[start:until]
    return f"{start + 1}..{until}" + (f" ({span(known)})" if len(known) else "")
