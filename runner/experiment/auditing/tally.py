"""One line of the audit: what was compared, what moved, and the sentence that says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from runner.text import count

LEAK, CLEAN, WARNING = "leak", "clean", "warning"
UNTRIED = "not audited"  # how the verdict on what was not compared begins
MOVED = 1e-8  # of a column's size: a smaller difference is rounding
COLUMNS = [
    "what",
    "check",
    "moved",
    "values",
    "first_date",
    "rows_ahead",
    "own_row",
    "verdict",
    "finding",
]
NO_NUMBERS: dict[str, Any] = {
    "moved": 0,
    "values": 0,
    "first_date": None,
    "rows_ahead": 0,
    "own_row": None,
}


@dataclass
class Tally:
    """Comparisons of one column by one check, summed over the cuts.

    Attributes:
        what, check: the column, and what was done to the data.
        moved: pairs (row, rows ahead) of the rows in which a value changed.
        values: finite values compared.
        tried: comparisons made; `failures` are those that raised, by their reasons.
        own_row: whether the value of the first changed row moved; None where that was not seen.
        answers: whether any value moved at or after a changed row; None where that was not seen.
    """

    what: str
    check: str
    moved: list[tuple[int, int]] = field(default_factory=list)
    values: int = 0
    tried: int = 0
    failures: list[str] = field(default_factory=list)
    own_row: bool | None = None
    answers: bool | None = None

    def compare(self, before: np.ndarray, after: np.ndarray, size: float, last: int) -> None:
        """Add rows (n, c) before and after the data changed behind row `last` of the panel."""
        self.tried += 1
        is_known = np.isfinite(before)
        known_before = is_known.sum()
        self.values += int(known_before)
        rows = np.flatnonzero(moved_rows(before, after, size))
        self.moved += [(int(row), last - int(row) + 1) for row in rows]

    def fail(self, reason: str) -> None:
        """Count a comparison that could not be made."""
        self.tried += 1
        self.failures.append(reason)

    @property
    def rows_ahead(self) -> int:
        """How far the furthest row that moved looks ahead; 0 where none moved."""
        return max((ahead for _, ahead in self.moved), default=0)

    def first_date(self, dates: pd.DatetimeIndex) -> pd.Timestamp | None:
        """The date of the first row that moved, None where none did."""
        if not self.moved:
            return None
        first = min(row for row, _ in self.moved)
        return dates[first]

    @property
    def verdict(self) -> str:
        if self.moved:
            return LEAK
        if self.values:
            return CLEAN
        reason = self.failures[0] if self.failures else "no value before a cut"
        return f"{UNTRIED}: {reason}"

    def row(self, dates: pd.DatetimeIndex, finding: str = "") -> dict[str, Any]:
        """A row of the table; `finding` is the sentence on a leak."""
        extent = count(self.tried, "cut")
        if self.failures and self.verdict != f"{UNTRIED}: {self.failures[0]}":
            extent += f", {len(self.failures)} not computed: {self.failures[0]}"
        return line(
            self.what,
            f"{self.check} ({extent})",
            self.verdict,
            finding if self.moved else "",
            moved=len(self.moved),
            values=self.values,
            first_date=self.first_date(dates),
            rows_ahead=self.rows_ahead,
            own_row=self.own_row,
        )


def line(what: str, check: str, verdict: str, finding: str = "", **numbers: Any) -> dict[str, Any]:
    """A row of the table of the audit; numbers that are not given are zero or missing."""
    words = {"what": what, "check": check, "verdict": verdict, "finding": finding}
    row: dict[str, Any] = {**words, **NO_NUMBERS, **numbers}
    return {name: row[name] for name in COLUMNS}


def size_of(values: np.ndarray) -> float:
    """Standard deviation of the finite values, 0 without any; differences are compared to it."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0
    size = float(known.std())
    return size if np.isfinite(size) else 0.0


def moved_rows(before: np.ndarray, after: np.ndarray, size: float) -> np.ndarray:
    """Mask (n,) of rows in which a value changed, appeared or vanished.

    Args:
        before, after: (n, c) the values.
        size: of the values, beside which a difference is measured.
    """
    if _same_bits(before, after):
        return np.zeros(len(before), dtype=bool)
    known_before = np.isfinite(before)
    known_after = np.isfinite(after)
    with np.errstate(invalid="ignore", over="ignore"):
        size_of_cell = np.abs(before) + size
        rounding = MOVED * size_of_cell
        distance = np.abs(before - after)
        is_apart = distance > rounding
    appeared = known_before != known_after
    changed = known_before & known_after & is_apart
    return np.asarray((appeared | changed).any(axis=1))


def _same_bits(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether all numbers are the same to the last bit, those that are missing too."""
    bits_before = np.asarray(before, dtype=float).view(np.int64)
    bits_after = np.asarray(after, dtype=float).view(np.int64)
    return bool((bits_before == bits_after).all())
