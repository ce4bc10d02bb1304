"""Rows of a panel on disk: a file per block of dates, of which any stretch of dates is read.

A file holds, one after the other, for each of its n rows: the asset (int32), whether the row is
usable (one byte), the target, the weight and the target as it is where there are some, and every
feature (float64 each), column by column. It is written under a name of its own and renamed when it
is whole. Stretches are read into one buffer that is kept, as fresh memory costs more than reading.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runner.compute.pages import reserve
from runner.errors import DataError
from runner.record.drafts import written_whole

ASSET_BYTES = 4
USABLE_BYTES = 1
NUMBER_BYTES = 8


@dataclass(frozen=True)
class Layout:
    """Which numbers each row has.

    Attributes:
        features: how many.
        weighted: whether rows have weights.
        raw: whether the target as it is stands beside that which is fitted.
    """

    features: int
    weighted: bool
    raw: bool

    @property
    def numbers(self) -> int:
        """Numbers of a row: target, weight, target as it is, features."""
        return 1 + self.weighted + self.raw + self.features

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return ASSET_BYTES + USABLE_BYTES + NUMBER_BYTES * self.numbers


@dataclass(frozen=True, eq=False)
class RowFile:
    """The rows of some dates that follow each other.

    Attributes:
        path: of the file.
        first: position of the first of its dates in the panel.
        starts: (dates + 1,) position of the first row of each date in the file, and the number of
            its rows.
        usable: (dates,) number of usable rows.
        flags: file that says which rows are usable, where it is not what the rows say.
    """

    path: Path
    first: int
    starts: np.ndarray
    usable: np.ndarray
    flags: Path | None = None

    @property
    def stop(self) -> int:
        """Position of the first date after those of the file."""
        return self.first + len(self.usable)


@dataclass(frozen=True, eq=False)
class Stretch:
    """The rows (n,) of some dates, in a buffer that the next stretch writes over.

    Attributes:
        asset, usable, y: (n,).
        X: (n, k) of the chosen features, each column together in memory.
        weights, raw: (n,), or None.
    """

    asset: np.ndarray
    usable: np.ndarray
    y: np.ndarray
    X: np.ndarray
    weights: np.ndarray | None
    raw: np.ndarray | None


class RowReader:
    """Reads stretches of dates of files with one layout, into one buffer."""

    def __init__(
        self,
        files: Sequence[RowFile],
        layout: Layout,
        features: Sequence[int],
        numbers: bool = True,
    ) -> None:
        """Args:
        features: positions of the features that are read, in this order.
        numbers: whether target, weight and features are read; else they are not set.
        """
        self.files = files
        self.firsts = [file.first for file in files]
        self.layout = layout
        self.features = features
        self.reads_numbers = numbers
        self.numbers = np.empty(0)
        self.asset = np.empty(0, dtype=np.int32)
        self.usable = np.empty(0, dtype=bool)

    def rows(self, start: int, stop: int) -> int:
        """How many rows the dates from start to before stop have."""
        return sum(own.stop - own.start for _, own in self._parts(start, stop))

    def read(self, start: int, stop: int) -> Stretch:
        """The rows of the dates from start to before stop."""
        n = self.rows(start, stop)
        self._make_room(n)
        layout = self.layout
        lines = 1 + layout.weighted + layout.raw + len(self.features)
        numbers = self.numbers[: lines * n].reshape(lines, n)
        asset = self.asset[:n]
        usable = self.usable[:n]
        first = 0
        for file, own in self._parts(start, stop):
            last = first + own.stop - own.start
            self._read_file(
                file, own, asset[first:last], usable[first:last], numbers[:, first:last]
            )
            first = last
        line = 1
        weights = raw = None
        if layout.weighted:
            weights = numbers[line]
            line += 1
        if layout.raw:
            raw = numbers[line]
            line += 1
        return Stretch(asset, usable, numbers[0], numbers[line:].T, weights, raw)

    def _parts(self, start: int, stop: int) -> Iterator[tuple[RowFile, slice]]:
        """The files that have some of these dates, and their rows on them."""
        position = max(bisect_right(self.firsts, start) - 1, 0)
        for file in self.files[position:]:
            if file.first >= stop:
                return
            first = max(start - file.first, 0)
            last = min(stop, file.stop) - file.first
            if first < last and file.starts[first] < file.starts[last]:
                yield file, slice(int(file.starts[first]), int(file.starts[last]))

    def _make_room(self, n: int) -> None:
        """A buffer of n rows at least."""
        if len(self.asset) >= n:
            return
        lines = 1 + self.layout.weighted + self.layout.raw + len(self.features)
        self.numbers = np.empty(lines * n)
        self.asset = np.empty(n, dtype=np.int32)
        self.usable = np.empty(n, dtype=bool)

    def usable_rows(self, date: int, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (m, k) and target (m,) of these places among the usable rows of a date.

        Of its numbers only those are read.
        """
        [(file, own)] = self._parts(date, date + 1)
        usable = np.empty(own.stop - own.start, dtype=bool)
        numbers = np.empty((1 + len(self.features), len(ranks)))
        opened = _opened(file.path)
        try:
            _read_usable(opened, file, own.start, usable)
            rows = own.start + np.flatnonzero(usable)[ranks]
            for into, column in zip(numbers, [0, *self._columns()], strict=True):
                for number, row in zip(into.reshape(-1, 1), rows.tolist(), strict=True):
                    _read_into(opened, number, _place(file, column, row), file.path)
        finally:
            os.close(opened)
        return numbers[1:].T, numbers[0]

    def _read_file(
        self, file: RowFile, own: slice, asset: np.ndarray, usable: np.ndarray, numbers: np.ndarray
    ) -> None:
        """Read rows of one file into these arrays, `numbers` (lines, rows)."""
        opened = _opened(file.path)
        try:
            _read_into(opened, asset, ASSET_BYTES * own.start, file.path)
            _read_usable(opened, file, own.start, usable)
            if not self.reads_numbers:
                return
            before_features = self.layout.numbers - self.layout.features
            chosen = [*range(before_features), *self._columns()]
            for into, column in zip(numbers, chosen, strict=True):
                _read_into(opened, into, _place(file, column, own.start), file.path)
        finally:
            os.close(opened)

    def _columns(self) -> list[int]:
        """Positions of the features that are read among all numbers of a row."""
        before = self.layout.numbers - self.layout.features
        return [before + k for k in self.features]


def _place(file: RowFile, column: int, row: int) -> int:
    """Where in a file the number of a row stands that is in this column of numbers."""
    n = int(file.starts[-1])
    start_of_numbers = (ASSET_BYTES + USABLE_BYTES) * n
    return start_of_numbers + NUMBER_BYTES * (column * n + row)


def _opened(path: Path) -> int:
    """A file open for reading.

    Raises:
        DataError: it is gone.
    """
    try:
        return os.open(path, os.O_RDONLY)
    except OSError as error:
        raise _lost(path) from error


def _read_usable(opened: int, file: RowFile, start: int, usable: np.ndarray) -> None:
    """Read which rows are usable, from row `start` of an open file on, or from its flags."""
    if file.flags is None:
        n = int(file.starts[-1])
        _read_into(opened, usable, ASSET_BYTES * n + start, file.path)
        return
    flags = _opened(file.flags)
    try:
        _read_into(flags, usable, start, file.flags)
    finally:
        os.close(flags)


def _read_into(opened: int, into: np.ndarray, at: int, path: Path) -> None:
    """Fill an array from a place of an open file."""
    left = into.view(np.uint8).data
    while left:
        count = os.preadv(opened, [left], at)
        if not count:
            raise _lost(path)
        left = left[count:]
        at += count


def _lost(path: Path) -> DataError:
    return DataError(f"panel: {str(path)!r} is gone or was cut; the same command makes it anew")


def write_rows(
    path: Path,
    asset: np.ndarray,
    usable: np.ndarray,
    numbers: Sequence[np.ndarray],
) -> None:
    """Write a file of rows (n,): their assets, which are usable, and their numbers in order.

    Raises:
        OSError: it cannot be written.
    """
    row_bytes = ASSET_BYTES + USABLE_BYTES + NUMBER_BYTES * len(numbers)
    with written_whole(path) as file:
        reserve(file, row_bytes * len(asset))
        file.write(np.ascontiguousarray(asset, dtype=np.int32).data)
        file.write(np.ascontiguousarray(usable, dtype=bool).data)
        for column in numbers:
            file.write(np.ascontiguousarray(column, dtype=float).data)
