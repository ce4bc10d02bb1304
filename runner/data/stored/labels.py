"""Labels of the date on disk: one code per row of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from runner.data.columns.listings import Part
from runner.data.labels import UNKNOWN, Labels
from runner.data.stored.columns import StoredListings, check_memory, taken
from runner.data.stored.numbers import Numbers

CODE = 4  # bytes


class StoredLabels(Labels):
    """The label of every cell of a table on disk, `unknown` in cells without a row.

    Attributes:
        listings: the cells that have a row.
        numbers: (n,) position of the label of each listing among the names, -1 without one; int32.
        new_code: (M + 1,) position of each name in `values`, the last of no label.
    """

    listings: StoredListings
    numbers: Numbers
    new_code: np.ndarray

    def __init__(
        self, listings: StoredListings, numbers: Numbers, names: Sequence[str], had: np.ndarray
    ) -> None:
        """Labels of listings.

        Args:
            names: labels (M,) in any order; some may occur in no listing.
            had: (N, M + 1) the labels that each asset has in some listing, the last is none.
        """
        had = had.copy()
        had[:, -1] |= listings.of_assets < len(listings.dates)
        occurring = np.flatnonzero(had.any(axis=0))
        every = np.array([*names, UNKNOWN])
        kept, position = np.unique(every[occurring], return_inverse=True)
        new_code = np.zeros(len(every), dtype=np.int32)
        new_code[occurring] = position
        had_of_kept = np.zeros((len(had), len(kept)), dtype=bool)
        for code in occurring:
            had_of_kept[:, new_code[code]] |= had[:, code]
        attributes = {
            "listings": listings,
            "numbers": numbers,
            "new_code": new_code,
            "values": tuple(kept.tolist()),
            "had": had_of_kept,
        }
        self.__dict__.update(attributes)

    @property
    def file(self) -> str:
        """Name of the file of its codes."""
        return self.numbers.path.name

    @property
    def folder(self) -> Path:
        """Where its codes are on disk."""
        return self.numbers.path.parent

    @property
    def codes(self) -> np.ndarray:
        """(T, N) the labels of every cell, where they fit into memory."""
        return self.at(np.arange(len(self.listings.dates))).codes

    def at(self, rows: np.ndarray | slice) -> Labels:
        """The labels on the rows at these positions, in memory."""
        positions = np.arange(len(self.listings.dates))[rows]
        return self._in_memory(len(positions), self.listings.at(positions), self._had())

    def of_columns(self, positions: np.ndarray) -> Labels:
        """The labels of the assets at these positions, in memory."""
        part = self.listings.of(positions)
        return self._in_memory(len(self.listings.dates), part, self._had()[positions])

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """The codes of every cell, so many rows at a time."""
        T = len(self.listings.dates)
        for first in range(0, T, rows):
            yield self.at(np.arange(first, min(first + rows, T))).codes

    def cells(self, rows: int) -> np.ndarray:
        """The codes of every cell, (rows, N), where they fit into memory."""
        return self.codes

    def _had(self) -> np.ndarray:
        return np.asarray(self.had)

    def _in_memory(self, rows: int, part: Part, had: np.ndarray) -> Labels:
        """The labels of a part of the listings, on so many rows."""
        listings = part.listings
        N = len(listings.assets)
        check_memory("labels of every cell (date x asset) are asked for", CODE * rows * N)
        codes = np.full((rows, N), self.new_code[-1], dtype=np.int32)
        codes[listings.row, listings.column] = self.new_code[taken(self.numbers, part.kept)]
        return Labels(codes, self.values, had)
