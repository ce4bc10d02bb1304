"""Rows of a table written to files in order of date, then asset, whatever order they come in.

Rows that come in order are written as they come. Others are written twice: each to the bucket of
its date, a stretch of the file that has as many rows as its dates, and each bucket is then sorted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.data.reading.checks import repeats
from runner.data.stored.folder import Draft, write, write_at
from runner.data.stored.keys import Plan, Rows
from runner.data.stored.numbers import Numbers
from runner.progress import tracked

RANK = "rows-rank"  # file of the draft, while it is sorted
ROWS_OF_A_BUCKET = 1 << 21
SMALL = 1 << 16  # keys below it are sorted by their digits
CODE = "int32"


class Way(NamedTuple):
    """How the rows of one table are written.

    Attributes:
        rows: those of the table in use.
        order: (m,) of them by bucket; None where they stay as they come.
        counts: rows that go to each bucket.
        starts: position in the files of the first of them in each bucket.
    """

    rows: Rows
    order: np.ndarray | None
    counts: np.ndarray
    starts: np.ndarray


class Filed(NamedTuple):
    """What is in the files once all rows are written.

    Attributes:
        counts: (R,) rows of each rank.
        repeated: rows that repeated another one whole, and are left out.
        conflicts: rows that repeat a date and asset with other values.
        first: rank and position of the first of those.
    """

    counts: np.ndarray
    repeated: int
    conflicts: int
    first: tuple[int, int]


class Filing:
    """Files of numbers, one per row in use."""

    def __init__(self, draft: Draft, plan: Plan, column: str, kinds: Mapping[str, str]) -> None:
        """Files that are still empty.

        Args:
            column: name of the file of the assets.
            kinds: name of every other file -> type of its numbers.
        """
        self.draft = draft
        self.plan = plan
        self.column = column
        self.kinds = {**kinds, column: CODE}
        if not plan.in_order:
            self.kinds[RANK] = CODE
        for name in self.kinds:
            draft.file(name)
        before = np.cumsum(plan.counts) - plan.counts
        number = before // ROWS_OF_A_BUCKET
        if plan.in_order:
            number = np.zeros(len(before), dtype=np.int64)
        firsts = np.flatnonzero(np.diff(number, prepend=-1))
        self.bucket_of_rank = np.searchsorted(firsts, np.arange(len(before)), side="right") - 1
        self.bucket_of_rank = self.bucket_of_rank.astype(np.uint16)
        self.firsts = np.append(firsts, len(before))  # rank of the first date of each bucket
        self.next = before[firsts]

    def way(self, rows: Rows) -> Way:
        """How rows that come next are written; their dates and assets are."""
        counts = np.array([len(rows.rank)])
        order = None
        if not self.plan.in_order:
            bucket = self.bucket_of_rank[rows.rank]
            counts = np.bincount(bucket, minlength=len(self.next))
            if np.count_nonzero(counts) > 1:
                order = np.argsort(bucket, kind="stable")
        way = Way(rows, order, counts, self.next.copy())
        self.next = self.next + counts
        self._put(way, self.column, rows.position)
        if not self.plan.in_order:
            self._put(way, RANK, rows.rank)
        return way

    def write(self, way: Way, name: str, values: np.ndarray) -> None:
        """Write the numbers (n,) of a table to a file, those of the rows in use."""
        self._put(way, name, values[way.rows.kept])

    def _put(self, way: Way, name: str, values: np.ndarray) -> None:
        numbers = values.astype(self.kinds[name], copy=False)
        file = self.draft.files[name]
        if self.plan.in_order:
            write(file, numbers)
            return
        if way.order is not None:
            numbers = numbers[way.order]
        ends = np.cumsum(way.counts)
        for bucket in np.flatnonzero(way.counts):
            start = ends[bucket] - way.counts[bucket]
            write_at(file, numbers[start : ends[bucket]], int(way.starts[bucket]))

    def sorted(self, same: Mapping[str, Callable[[np.ndarray], np.ndarray]]) -> Filed:
        """Sort the rows of every bucket, and leave out those that repeat another.

        Args:
            same: name of a file -> what makes numbers of one meaning equal.
        """
        counts = self.plan.counts.copy()
        if self.plan.in_order:
            return Filed(counts, 0, 0, (0, 0))
        sorting = Sorting(self, same)
        for bucket in tracked(range(len(self.next)), "dates sorted"):
            sorting.sort(bucket, counts)
        self.draft.drop(RANK)
        return Filed(counts, sorting.repeated, sorting.conflicts, sorting.first)


@dataclass(eq=False)
class Sorting:
    """The buckets of files sorted one after the other.

    Attributes:
        done: rows in their last place.
        repeated, conflicts, first: see `Filed`.
    """

    filing: Filing
    same: Mapping[str, Callable[[np.ndarray], np.ndarray]]
    done: int = 0
    repeated: int = 0
    conflicts: int = 0
    first: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        draft = self.filing.draft
        kinds = self.filing.kinds
        self.files: dict[str, Numbers] = {name: draft.read(name, kinds[name]) for name in kinds}

    def sort(self, bucket: int, counts: np.ndarray) -> None:
        """Sort the rows of a bucket; `counts` (R,) becomes that of the rows that stay."""
        low, high = self.filing.firsts[bucket : bucket + 2]
        stop = int(self.filing.next[bucket])
        start = stop - int(self.filing.plan.counts[low:high].sum())
        rank = self.files[RANK].read(start, stop) - low
        position = self.files[self.filing.column].read(start, stop)
        order = ordered(rank, position, high - low, self.filing.plan.N)
        cell = rank[order].astype(np.int64) * self.filing.plan.N + position[order]
        again = np.append(False, cell[1:] == cell[:-1])
        if again.any():
            several = again.copy()
            several[:-1] |= again[1:]
            self._note_repeats(cell[several], order[several] + start, int(low))
            left_out = np.bincount(rank[order[again]], minlength=high - low)
            counts[low:high] -= left_out
            order = order[~again]
        for name, numbers in self.files.items():
            if name != RANK:
                values = numbers.read(start, stop)[order]
                write_at(self.filing.draft.files[name], values, self.done)
        self.done += len(order)

    def _note_repeats(self, cell: np.ndarray, at: np.ndarray, low: int) -> None:
        """Count rows that repeat another one, and those of them with other values.

        Args:
            cell: (m,) of rows that are not alone in it, in order; at: their places in the files.
            low: rank of the first date.
        """
        table = {"cell": cell}
        order = np.argsort(at)
        for name, numbers in self.files.items():
            if name in (RANK, self.filing.column):
                continue
            values = np.empty(len(at), dtype=numbers.kind)
            values[order] = numbers.taken(at[order])
            table[name] = self.same[name](values) if name in self.same else values
        again, conflict = repeats(pd.DataFrame(table))
        self.repeated += int(np.count_nonzero(again))
        if conflict.any() and not self.conflicts:
            row, position = divmod(int(cell[conflict.argmax()]), self.filing.plan.N)
            self.first = (low + row, position)
        self.conflicts += int(np.count_nonzero(conflict))


def ordered(rank: np.ndarray, position: np.ndarray, ranks: int, positions: int) -> np.ndarray:
    """The order (n,) of rows by rank, then position; of equal ones the first stays first."""
    if ranks > SMALL or positions > SMALL:
        return np.lexsort((position, rank))
    by_position = np.argsort(position.astype(np.uint16), kind="stable")
    rank_in_order = rank.astype(np.uint16)[by_position]
    return by_position[np.argsort(rank_in_order, kind="stable")]
