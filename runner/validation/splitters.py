"""Splitters: which rows are fitted on and which are forecast, one frozen class each.

A row is a date of the panel at which some asset has a target and every feature: spans in rows
(`first`, `window`, `test`, `holdout`, the parts of k-fold) count those only. The purge and the
embargo count all dates of the panel, as the horizon of the target does.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np

from runner.data.calendar import span, up_to
from runner.errors import DataError
from runner.schema.settings import Count, Date, HoldOutSpan, Span, TrainEnd
from runner.validation.folds import (
    HOLD_OUT,
    Fold,
    Gaps,
    UsableRows,
    ahead,
    behind,
    carve,
    own_fold,
    rows_text,
    steps,
    trained,
)
from runner.validation.holdout import held_out_folds, held_text, rows_before

if TYPE_CHECKING:
    import pandas as pd

Purge = Count | Literal["known", "strict"]


@runtime_checkable
class Splitter(Protocol):
    """Which rows are fitted on and which are forecast."""

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        """Folds of positions among these dates, for a target that looks so many rows ahead."""
        ...


class Scheme:
    """A splitter that purges by rows of the panel, across unusable rows between usable ones."""

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        """Folds where every row is usable, as in `split_rows`."""
        return self.split_rows(UsableRows.every(dates), horizon)

    def split_rows(self, rows: UsableRows, horizon: int) -> list[Fold]:
        """Folds of positions among the T rows that the R usable ones are of."""
        raise NotImplementedError


def split_usable(
    splitter: Splitter,
    dates: pd.DatetimeIndex,
    usable: np.ndarray,
    horizon: int,
    at: np.ndarray | None = None,
) -> list[Fold]:
    """The folds of any splitter on the rows with a usable cell, as positions among all T rows.

    A splitter of a user's own is given the dates of the usable rows. What it leaves out between two
    parts is then as many usable rows, so as many rows of the panel or more.

    Args:
        dates: (T,) of the rows.
        usable: (T,) whether some asset has a target and every feature.
        at: (T,) positions of the rows in the panel; null: they follow each other there.

    Raises:
        DataError: what the splitter says of its settings; positions that there are not.
    """
    positions = np.flatnonzero(usable)
    in_panel = positions if at is None else at[positions]
    rows = UsableRows(dates[positions], positions, in_panel)
    if isinstance(splitter, Scheme):
        return splitter.split_rows(rows, horizon)
    of_user = splitter.split(rows.dates, horizon)
    folds = []
    for number, part in enumerate(of_user, start=1):
        fold = own_fold(part, number, len(positions))
        folds.append(rows.located(fold, horizon))
    return folds


@dataclass(frozen=True)
class NoValidation(Scheme):
    """Train on all rows, forecast none: nothing is left out and nothing is tested."""

    def split_rows(self, rows: UsableRows, horizon: int) -> list[Fold]:
        """None."""
        return []


@dataclass(frozen=True)
class HoldOut(Scheme):
    """Train once on the first rows and forecast the rest.

    Trained on: the rows up to `train_end`, or all but the last `rows`, less the purge.
    Left out: the last of them, whose target is not known yet at the first test row (`purge`).
    Tested: every row after them, or up to the locked hold-out where there is one.

    Attributes:
        train_end: date of the last row before the test part.
        rows: the last rows, or the last time such as 2y; they are tested.
        purge: known leaves out the horizon - 1 rows before the test part, whose target is not known
            at its first row (none at horizon 0 and 1); strict leaves out horizon rows, so that no
            span of prices is touched twice; a number, so many rows.
        holdout: last rows or time that the fold, then named 1, may not touch; forecast once, as a
            second fold.
        borrowed: true where an experiment gives `train_end` for data of its own and other data are
            chosen: no row is then held out where it leaves no training or no test row. The run
            itself notes it.
    """

    train_end: Date | None = None
    rows: Span | None = None
    purge: Purge = "known"
    holdout: HoldOutSpan = 0
    borrowed: bool = False

    def __post_init__(self) -> None:
        if (self.train_end is None) == (self.rows is None):
            given = f"{self.rows} given with train_end={self.train_end}"
            raise ValueError(f"rows: {given}; allowed: exactly one of the two, the other null")

    def split_rows(self, rows: UsableRows, horizon: int) -> list[Fold]:
        """One fold, and that of the hold-out.

        Raises:
            DataError: no training row or no test row is left.
        """
        R = len(rows.dates)
        end = rows_before(rows.dates, self.holdout)
        gaps = Gaps.of(self.purge, horizon)
        start = self._start(rows.dates, end)
        lacking = None
        if start >= end:
            lacking = "test"
        elif start <= 0 or rows.before(start, gaps.purge) == 0:
            lacking = "training"
        if lacking and self.borrowed:
            return []
        if lacking:
            raise DataError(self._refused(lacking, rows, gaps))
        train = (0, start)
        if end == R:
            tested = (start, R)
            return [carve(HOLD_OUT, [tested], train, gaps, R, rows)]
        tested = (start, end)
        first = carve("1", [tested], train, gaps, end, rows)
        held_out = held_out_folds(end, gaps, rows)
        return [first, *held_out]

    def _start(self, dates: pd.DatetimeIndex, end: int) -> int:
        """The first test row, which may not be there."""
        if self.rows:
            return behind(dates, end, self.rows)
        end_text = str(self.train_end)
        return _rows_up_to(dates, end_text)

    def _refused(self, part: str, rows: UsableRows, gaps: Gaps) -> str:
        """Which part has no row, and why."""
        given = f"train_end: {self.train_end}"
        dates = rows.dates
        run = f"rows run {span(dates)}, {gaps.purge} are purged"
        if self.rows:
            given = f"rows: {self.rows}"
            run += f"; there are {len(dates)}"
        held = held_text(self.holdout)
        allowed = "allowed: one that leaves some, or validation=none"
        return f"validation.{given} leaves no {part} row; {run}{held}; {allowed}"


@dataclass(frozen=True)
class WalkForward(Scheme):
    """Train on the rows before a test part, forecast it and go on to the next, as time would allow.

    Trained on: all rows before the test part (expanding), or the last `window` of them (rolling),
    less the purge. Left out: the last rows before the test part, whose target is not known yet at
    its first row (`purge`). Tested: parts of `test` rows that follow each other from `first` up to
    the hold-out, the last one shorter where rows run out. `train_ends` places the parts one by one
    instead; rows between them are not tested.

    A test part may be shorter than the horizon: the targets of its rows then end in later parts,
    which is no leak. A span is rows, or a time such as 2y, 6m, 3w, 10d.

    Attributes:
        test: span of a test part, and so between refits.
        first: span before the first test part.
        train_ends: instead of `first`, rows before each test part, or the date of the last of them:
            24 tests row 25 on, counted from 1.
        window: most training rows, the last span before the purge (rolling); null takes all
            (expanding).
        holdout: last span that no other fold may test or train on; forecast once, as a last fold
            `holdout`.
        purge: known leaves out the horizon - 1 rows before a test part, whose target is not known
            at its first row (none at horizon 0 and 1); strict leaves out horizon rows, so that no
            span of prices is touched twice; a number, so many rows.
    """

    test: Span
    first: Span | None = None
    train_ends: list[TrainEnd] | None = None
    window: Span | None = None
    holdout: HoldOutSpan = 0
    purge: Purge = "known"

    def __post_init__(self) -> None:
        ends = self.train_ends
        mistakes = []
        if (self.first is None) == (ends is None):
            given = f"{self.first} given with train_ends={ends}"
            mistakes.append(f"first: {given}; allowed: exactly one of the two, the other null")
        if ends is not None and not self._far_enough_apart(ends):
            allowed = f"one or more, each at least test={self.test} after the last"
            mistakes.append(f"train_ends: given {ends}; allowed: {allowed}")
        if mistakes:
            raise ValueError("\n".join(mistakes))

    def _far_enough_apart(self, ends: list[int | str]) -> bool:
        """Whether there are ends, and those given in rows are at least a test part apart."""
        rows = [end for end in ends if isinstance(end, int)]
        least = self.test if isinstance(self.test, int) else 1
        distances = np.diff(rows)
        shortest = min(distances, default=least)
        return bool(ends) and bool(shortest >= least)

    def split_rows(self, rows: UsableRows, horizon: int) -> list[Fold]:
        """Folds named 1, 2, ... and holdout.

        Raises:
            DataError: a fold that would test rows of the hold-out, or rows that there are not, or
                that has no training row left.
        """
        dates = rows.dates
        R = len(dates)
        before_holdout = behind(dates, R, self.holdout)
        end = max(before_holdout, 0)
        parts = self._placed(dates, end) if self.train_ends else self._following(dates, end)
        if not parts:
            held = held_text(self.holdout, ", of which")
            there_are = f"there are {R} rows, {span(dates)}{held}"
            raise DataError(f"validation.first: {self.first} leaves no test row; {there_are}")
        gaps = Gaps.of(self.purge, horizon)
        folds = []
        for k, (start, until) in enumerate(parts, 1):
            fold = self._fold(str(k), start, until, rows, gaps, end)
            folds.append(fold)
        if end < R:
            held_out = self._fold(HOLD_OUT, end, R, rows, gaps, end)
            folds.append(held_out)
        return folds

    def _following(self, dates: pd.DatetimeIndex, end: int) -> list[tuple[int, int]]:
        """Start and end of each test part from `first` to the hold-out."""
        first = ahead(dates, 0, self.first or 0)
        starts = steps(dates, first, end, self.test)
        edges = [*starts, end]
        return list(pairwise(edges))

    def _placed(self, dates: pd.DatetimeIndex, end: int) -> list[tuple[int, int]]:
        """Start and end of each test part, if all its rows may be tested."""
        parts: list[tuple[int, int]] = []
        before = 0
        for given in self.train_ends or []:
            start = _rows_up_to(dates, given)
            until = ahead(dates, start, self.test)
            if until > end or start < before:
                refused = self._refused(given, start, until, before, dates, end)
                raise DataError(refused)
            parts.append((start, until))
            before = until
        return parts

    def _refused(
        self,
        given: int | str,
        start: int,
        until: int,
        before: int,
        dates: pd.DatetimeIndex,
        end: int,
    ) -> str:
        """Which of the rows of a test part may not be tested, and why.

        Args:
            given: the end of its training rows in the spec, a row or a date.
            start, until: its rows; before: the end of the test part before it.
            end: of the rows that may be tested, where the hold-out starts.
        """
        T = len(dates)
        most = behind(dates, end, self.test)
        of_a_row = isinstance(given, int) and 0 < start <= T
        end_of_train = str(given)
        if of_a_row:
            day = dates[start - 1]
            day_text = f" ({day:%Y-%m-%d})"
            end_of_train += day_text
        rows = rows_text(start, until, dates)
        tests = f"validation.train_ends: {end_of_train} tests rows {rows}"
        if start < before:
            ends = f"but the test part before it ends at row {before}"
            return f"{tests}, {ends}; allowed: {before} or later"
        if until > T:
            tests += f", but there are {T} rows, {span(dates)}"
        else:
            tests += self._overlap(start, until, dates, end)
        if most > 0:
            return f"{tests}; allowed: up to {most}"
        return tests

    def _overlap(self, start: int, until: int, dates: pd.DatetimeIndex, end: int) -> str:
        """Which rows of the test part are in the hold-out."""
        first = max(start, end)
        shared = rows_text(first, until, dates)
        held_out = rows_text(end, len(dates), dates)
        return f", but the hold-out is rows {held_out}: they overlap in rows {shared}"

    def _fold(
        self, name: str, start: int, until: int, rows: UsableRows, gaps: Gaps, end: int
    ) -> Fold:
        """The fold that tests rows start to until, trained on the rows before the purge.

        With a window, on the last rows of these.
        """
        first = 0
        if self.window:
            known = rows.before(start, gaps.purge)
            start_of_window = behind(rows.dates, known, self.window)
            first = max(start_of_window, 0)
        tested = [(start, until)]
        fold = carve(name, tested, (first, start), gaps, end, rows)
        if self.first:
            return trained(fold, "first", rows)
        return trained(fold, "train_ends", rows)


def _rows_up_to(dates: pd.DatetimeIndex, given: int | str) -> int:
    """How many rows there are up to a date; a number of rows is what it is."""
    if isinstance(given, int):
        return given
    before = up_to(dates, given)
    return int(before.sum())
