"""The hold-out at the end of the rows, and equal parts of the rows before it."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from runner.data.calendar import span
from runner.errors import DataError
from runner.validation.folds import HOLD_OUT, Fold, Gaps, UsableRows, behind, carve

if TYPE_CHECKING:
    import pandas as pd


def rows_before(dates: pd.DatetimeIndex, holdout: int | str) -> int:
    """Rows before the hold-out.

    Raises:
        DataError: there are none.
    """
    T = len(dates)
    end = behind(dates, T, holdout)
    if end <= 0:
        rows = f"there are {T} rows, {span(dates)}"
        raise DataError(f"validation.holdout: {holdout} leaves no row before it; {rows}")
    return end


def held_text(holdout: int | str, joined: str = ";") -> str:
    """What a sentence on the rows adds where there is a hold-out."""
    if not holdout:
        return ""
    return f"{joined} the last {holdout} are the hold-out"


def held_out_folds(end: int, gaps: Gaps, rows: UsableRows) -> list[Fold]:
    """The fold that tests the rows from `end` on, none where there are none."""
    R = len(rows.dates)
    if end >= R:
        return []
    tested = [(end, R)]
    return [carve(HOLD_OUT, tested, (0, end), gaps, end, rows)]


def equal_parts(
    dates: pd.DatetimeIndex, n: int, holdout: int | str, setting: str
) -> list[tuple[int, int]]:
    """Start and end of n parts of the rows before the hold-out.

    Raises:
        DataError: fewer rows than parts.
    """
    end = rows_before(dates, holdout)
    if n > end:
        held = held_text(holdout, ", before")
        dates_before = span(dates[:end])
        rows = f"there are {end} rows, {dates_before}{held}"
        allowed = f"allowed: up to {end}"
        raise DataError(f"validation.{setting}: {n} parts of fewer rows; {rows}; {allowed}")
    positions = np.arange(end)
    parts = np.array_split(positions, n)
    lengths = [len(part) for part in parts]
    reached = np.cumsum(lengths)
    ends = reached.tolist()
    edges = [0, *ends]
    return list(pairwise(edges))
