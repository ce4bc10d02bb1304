"""Numbers in a file, read into buffers: pages of a memory map would count as memory in use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from runner.errors import DataError

PART = 1 << 19  # numbers that are read at a time


@dataclass(frozen=True, eq=False)
class Numbers:
    """Numbers (n,) of one type in a file of nothing else.

    Attributes:
        path: of the file.
        kind: type of the numbers, as numpy names it.
        count: how many there are.
    """

    path: Path
    kind: str
    count: int

    def read(self, start: int, stop: int) -> np.ndarray:
        """The numbers from one position to another, in an array of their own.

        Raises:
            DataError: the file is gone or was cut.
        """
        numbers = np.empty(stop - start, dtype=self.kind)
        self.read_into(numbers, start)
        return numbers

    def read_into(self, numbers: np.ndarray, start: int) -> None:
        """Fill an array with the numbers from a position on.

        Raises:
            DataError: the file is gone or was cut.
        """
        left = numbers.view(np.uint8).data
        position = start * numbers.itemsize
        while len(left):
            try:
                size = os.preadv(self._file(), [left], position)
            except OSError as error:
                raise self._lost() from error
            if not size:
                raise self._lost()
            left = left[size:]
            position += size

    def taken(self, at: np.ndarray) -> np.ndarray:
        """The numbers (m,) at these positions, which increase."""
        return taken_of(self, at)

    def parts(self) -> Iterator[np.ndarray]:
        """All numbers in order, some at a time; a part is overwritten by the next."""
        buffer = np.empty(min(PART, self.count), dtype=self.kind)
        for start in range(0, self.count, PART):
            part = buffer[: min(PART, self.count - start)]
            self.read_into(part, start)
            yield part

    def _file(self) -> int:
        """The open file; one that stays open is there even where its name is taken away."""
        opened = self.__dict__.get("opened")
        if opened is None:  # of two threads that come here, both take the file of one
            opened = self.__dict__.setdefault("opened", Opened(self.path))
        return opened.number

    def _lost(self) -> DataError:
        folder = self.path.parent
        return DataError(
            f"data: the table on disk in {str(folder)!r} is gone or was cut; "
            "the same command writes it anew"
        )

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which opens the file itself."""
        return {"path": self.path, "kind": self.kind, "count": self.count}


class Opened:
    """A file open for reading, closed with the last that holds it."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            os.close(self.number)


class Readable(Protocol):
    """Numbers (n,) that are read some at a time."""

    @property
    def kind(self) -> str:
        """Type of the numbers, as numpy names it."""
        ...

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def read(self, start: int, stop: int) -> np.ndarray:
        """The numbers from one position to another, in an array of their own."""
        ...

    def taken(self, at: np.ndarray) -> np.ndarray:
        """The numbers (m,) at these positions, which increase."""
        ...

    def parts(self) -> Iterator[np.ndarray]:
        """All numbers in order, some at a time; a part is overwritten by the next."""
        ...


def taken_of(numbers: Readable, at: np.ndarray) -> np.ndarray:
    """The numbers (m,) at these positions, which increase."""
    values = np.empty(len(at), dtype=numbers.kind)
    start = 0
    while start < len(at):
        low = int(at[start])
        stop = int(np.searchsorted(at, low + PART))
        part = numbers.read(low, int(at[stop - 1]) + 1)
        values[start:stop] = part[at[start:stop] - low]
        start = stop
    return values


def taken(numbers: Readable, kept: np.ndarray | slice) -> np.ndarray:
    """The numbers at these positions, in memory; positions may be in any order."""
    if isinstance(kept, slice):
        return numbers.read(kept.start, kept.stop)
    if (np.diff(kept) > 0).all():
        return numbers.taken(kept)
    order = np.argsort(kept)
    values = np.empty(len(kept), dtype=numbers.kind)
    values[order] = numbers.taken(kept[order])
    return values
