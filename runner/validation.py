"""Splitters: which rows are fitted on and which are forecast, one frozen class each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from runner.calendar import span, up_to
from runner.errors import DataError
from runner.folds import HOLD_OUT, Fold, Gaps, ahead, behind, carve, rows_text, steps, trained
from runner.settings import Count, Date, HoldOutSpan, Rows, Several, Span, TrainEnd

if TYPE_CHECKING:
    import pandas as pd

MOST_SPLITS = 2_500


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
    """Fit up to `train_end`, or on all but the last `rows`, and forecast what follows.

    The last `purge` rows before the test part are not trained on: their target would not yet be known.

    Attributes:
        train_end: date of the last row before the test part.
        rows: the last rows, or the last time such as 2y; they are tested.
        purge: rows before the test part; null takes the horizon of the target, less leaks.
        holdout: last rows or time that the fold, then named 1, may not touch; forecast once, as a second fold.
    """

    train_end: Date | None = None
    rows: Span | None = None
    purge: Count | None = None
    holdout: HoldOutSpan = 0

    def __post_init__(self) -> None:
        if (self.train_end is None) == (self.rows is None):
            given = f"{self.rows} given with train_end={self.train_end}"
            raise ValueError(f"rows: {given}; allowed: exactly one of the two, the other null")

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        """One fold on rows `dates` (T,), and that of the hold-out.

        Raises:
            DataError: no training row or no test row is left.
        """
        T, end, gaps = len(dates), _end(dates, self.holdout), _gaps(self.purge, horizon)
        start = behind(dates, end, self.rows) if self.rows else int(up_to(dates, str(self.train_end)).sum())
        part = "training" if start <= gaps.purge else "test" if start >= end else None
        if part:
            given = f"rows: {self.rows}" if self.rows else f"train_end: {self.train_end}"
            raise DataError(
                f"validation.{given} leaves no {part} row; rows run {span(dates)}, {gaps.purge} are purged"
                + f"; there are {T}" * bool(self.rows)
                + _held_text(self.holdout)
            )
        tested = [("1", start, end)] if end < T else []
        tested += [(HOLD_OUT, end if end < T else start, T)]
        return [carve(name, [(a, b)], (0, a), gaps, (end, T)) for name, a, b in tested]


@dataclass(frozen=True)
class WalkForward:
    """Fit on the rows before each test part, forecast it, and go on to the next.

    The last `purge` rows before each test part are not trained on: their target would not yet be known. Test parts
    follow each other from `first` up to the hold-out, the last one shorter where rows run out, so that every
    row between is tested; `train_ends` places them one by one instead, and rows between them are not tested.
    A test part may be shorter than the horizon: the targets of its rows then end in later parts, which is no leak.
    A span is rows, or a time such as 2y, 6m, 3w, 10d.

    Attributes:
        test: span of a test part, and so between refits.
        first: span before the first test part.
        train_ends: instead of `first`, rows before each test part, or the date of the last of them: 24 tests row
            25 on, counted from 1.
        window: most training rows, the last span before the purge (rolling); null takes all (expanding).
        holdout: last span that no other fold may test or train on; forecast once, as a last fold `holdout`.
        purge: rows before a test part; null takes the horizon of the target, less leaks, more leaves a gap.
    """

    test: Span
    first: Span | None = None
    train_ends: list[TrainEnd] | None = None
    window: Span | None = None
    holdout: HoldOutSpan = 0
    purge: Count | None = None

    def __post_init__(self) -> None:
        ends, found = self.train_ends, []
        if (self.first is None) == (ends is None):
            given = f"{self.first} given with train_ends={ends}"
            found.append(f"first: {given}; allowed: exactly one of the two, the other null")
        rows = [one for one in ends or [] if isinstance(one, int)]
        least = self.test if isinstance(self.test, int) else 1
        if ends is not None and (not ends or min(np.diff(rows), default=least) < least):
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
        T, end = len(dates), max(behind(dates, len(dates), self.holdout), 0)
        parts = self._placed(dates, end) if self.train_ends else self._following(dates, end)
        if not parts:
            held = _held_text(self.holdout, ", of which")
            rows = f"there are {T} rows, {span(dates)}{held}"
            raise DataError(f"validation.first: {self.first} leaves no test row; {rows}")
        named = [(str(k), *part) for k, part in enumerate(parts, 1)]
        named += [(HOLD_OUT, end, T)] if end < T else []
        return [self._fold(*part, dates, horizon, end) for part in named]

    def _following(self, dates: pd.DatetimeIndex, end: int) -> list[tuple[int, int]]:
        """Start and end of each test part from `first` to the hold-out."""
        starts = list(steps(dates, ahead(dates, 0, self.first or 0), end, self.test))
        return list(pairwise([*starts, end]))

    def _placed(self, dates: pd.DatetimeIndex, end: int) -> list[tuple[int, int]]:
        """Start and end of each test part, if all its rows may be tested."""
        parts: list[tuple[int, int]] = []
        for given in self.train_ends or []:
            start = given if isinstance(given, int) else int(up_to(dates, given).sum())
            until = ahead(dates, start, self.test)
            before = parts[-1][1] if parts else 0
            if until > end or start < before:
                raise DataError(self._refused(given, start, until, before, dates, end))
            parts.append((start, until))
        return parts

    def _refused(
        self, given: int | str, start: int, until: int, before: int, dates: pd.DatetimeIndex, end: int
    ) -> str:
        """Which of the rows of a test part may not be tested, and why."""
        T, most = len(dates), behind(dates, end, self.test)
        at = f" ({dates[start - 1]:%Y-%m-%d})" if isinstance(given, int) and 0 < start <= T else ""
        tests = f"validation.train_ends: {given}{at} tests rows {rows_text(start, until, dates)}"
        if start < before:
            return f"{tests}, but the test part before it ends at row {before}; allowed: {before} or later"
        tests += f", but there are {T} rows, {span(dates)}" if until > T else self._overlap(start, until, dates, end)
        return tests + (f"; allowed: up to {most}" if most > 0 else "")

    def _overlap(self, start: int, until: int, dates: pd.DatetimeIndex, end: int) -> str:
        shared = rows_text(max(start, end), until, dates)
        held = f"the hold-out is rows {rows_text(end, len(dates), dates)}"
        return f", but {held}: they overlap in rows {shared}"

    def _fold(self, name: str, start: int, until: int, dates: pd.DatetimeIndex, horizon: int, end: int) -> Fold:
        gaps = _gaps(self.purge, horizon)
        low = max(behind(dates, start - gaps.purge, self.window), 0) if self.window else 0
        fold = carve(name, [(start, until)], (low, start), gaps, (end, len(dates)))
        return trained(fold, "first" if self.first else "train_ends", dates)


@dataclass(frozen=True)
class KFold:
    """Cut the rows into `folds` parts that follow each other, forecast each one, fit on the rows on both its sides.

    Parts differ in length by one row at most, the longer ones first. Training rows within `purge` rows of a test
    part, before or after it, are left out, then `embargo` further ones after it. Training on what came later is
    no forecast that anyone could have made: it uses every row to test, and says less than walking forward.

    Attributes:
        folds: number of parts.
        purge: rows on each side of a test part; null takes the horizon of the target, less leaks.
        embargo: further rows after each test part.
        holdout: last rows, or time such as 1y, that no other fold may test or train on, nor train near to; forecast
            once, as a last fold `holdout`.
    """

    folds: Several
    purge: Count | None = None
    embargo: Count = 0
    holdout: HoldOutSpan = 0

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        """Folds on rows `dates` (T,), named 1, 2, ... and holdout.

        Raises:
            DataError: fewer rows than parts, or a fold without training row.
        """
        parts = _parts(dates, self.folds, self.holdout, "folds")
        gaps, T = _gaps(self.purge, horizon, self.embargo), len(dates)
        end = parts[-1][1]
        found = [carve(str(k), [part], (0, end), gaps, (end, T)) for k, part in enumerate(parts, 1)]
        return [trained(fold, "folds", dates) for fold in [*found, *_held_out(end, gaps, T)]]


@dataclass(frozen=True)
class Combinatorial:
    """Combinatorial purged cross-validation (Lopez de Prado 2018, chapter 12).

    The rows are cut into `groups` that follow each other; every choice of `test_groups` of them is a split that
    forecasts those and fits on the rest, purged and embargoed around each. Every group is forecast
    C(groups - 1, test_groups - 1) times: so many backtest paths, each with every group once. Path k takes of each
    group the k-th split that tests it.

    Attributes:
        groups: number of parts, which differ in length by one row at most.
        test_groups: parts that a split tests.
        purge, embargo, holdout: as in KFold.
    """

    groups: Several = 10
    test_groups: Rows = 2
    purge: Count | None = None
    embargo: Count = 0
    holdout: HoldOutSpan = 0

    def __post_init__(self) -> None:
        given = f"test_groups: given {self.test_groups} with groups={self.groups}"
        if self.test_groups >= self.groups:
            raise ValueError(f"{given}; allowed: less than groups")
        if (splits := comb(self.groups, self.test_groups)) > MOST_SPLITS:
            raise ValueError(f"{given}, {splits:,} splits; allowed: up to {MOST_SPLITS:,} splits")

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        """Folds on rows `dates` (T,), named 1, 2, ... in the order of the combinations, and holdout.

        Raises:
            DataError: fewer rows than groups, or a fold without training row.
        """
        parts = _parts(dates, self.groups, self.holdout, "groups")
        gaps, T = _gaps(self.purge, horizon, self.embargo), len(dates)
        end, times, found = parts[-1][1], np.zeros(self.groups, dtype=int), []
        for k, chosen in enumerate(combinations(range(self.groups), self.test_groups), 1):
            times[list(chosen)] += 1
            tested = [parts[g] for g in chosen]
            path = np.repeat(times[list(chosen)], [until - start for start, until in tested])
            found.append(carve(str(k), tested, (0, end), gaps, (end, T), path))
        return [trained(fold, "groups", dates) for fold in [*found, *_held_out(end, gaps, T)]]


def _gaps(purge: int | None, horizon: int, embargo: int = 0) -> Gaps:
    return Gaps(horizon, horizon if purge is None else purge, embargo)


def _end(dates: pd.DatetimeIndex, holdout: int | str) -> int:
    """Rows before the hold-out.

    Raises:
        DataError: there are none.
    """
    end = behind(dates, len(dates), holdout)
    if end <= 0:
        rows = f"there are {len(dates)} rows, {span(dates)}"
        raise DataError(f"validation.holdout: {holdout} leaves no row before it; {rows}")
    return end


def _held_text(holdout: int | str, joined: str = ";") -> str:
    return f"{joined} the last {holdout} are the hold-out" if holdout else ""


def _held_out(end: int, gaps: Gaps, T: int) -> list[Fold]:
    return [carve(HOLD_OUT, [(end, T)], (0, end), gaps, (end, T))] if end < T else []


def _parts(dates: pd.DatetimeIndex, n: int, holdout: int | str, setting: str) -> list[tuple[int, int]]:
    """Start and end of n parts of the rows before the hold-out.

    Raises:
        DataError: fewer rows than parts.
    """
    end = _end(dates, holdout)
    if n > end:
        rows = f"there are {end} rows, {span(dates[:end])}{_held_text(holdout, ', before')}"
        raise DataError(f"validation.{setting}: {n} parts of fewer rows; {rows}; allowed: up to {end}")
    edges = [0, *np.cumsum([len(part) for part in np.array_split(np.arange(end), n)]).tolist()]
    return list(pairwise(edges))
