"""Labels of the date on disk: one code per row of a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from runner.data.labels import SOME, UNKNOWN, Labels
from runner.data.stored.columns import StoredListings, check_memory, taken
from runner.data.stored.numbers import Numbers

CODE = 4  # bytes


class StoredLabels(Labels):
    """The label of every cell of a table on disk, `unknown` in cells without a row.

    Dates that follow each other and some of the assets are read when they are asked for.

    Attributes:
        listings: the cells that have a row.
        numbers: (n,) position of the label of each listing among the names, -1 without one; int32.
        new_code: (M + 1,) position of each name in `values`, the last of no label.
        start, stop: the first date of these labels, and the one after the last.
        assets: (N,) positions of their assets among those of the table; None where they are these.
    """

    listings: StoredListings
    numbers: Numbers
    new_code: np.ndarray
    start: int
    stop: int
    assets: np.ndarray | None

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
            "start": 0,
            "stop": len(listings.dates),
            "assets": None,
        }
        self.__dict__.update(attributes)

    @property
    def file(self) -> str | None:
        """Name of the file of its codes; None where it has others too."""
        every_date = self.stop - self.start == len(self.listings.dates)
        return self.numbers.path.name if every_date and self.assets is None else None

    @property
    def folder(self) -> Path:
        """Where its codes are on disk."""
        return self.numbers.path.parent

    @cached_property
    def codes(self) -> np.ndarray:
        """(T, N) the labels of every cell, where they fit into memory."""
        shape = (self.stop - self.start, len(np.asarray(self.had)))
        need = CODE * shape[0] * shape[1]
        check_memory("labels of every cell (date x asset) are asked for", need)
        codes = np.empty(shape, dtype=np.int32)
        first = 0
        for block in self.blocks(SOME):
            codes[first : first + len(block)] = block
            first += len(block)
        return codes

    def at(self, rows: np.ndarray | slice) -> Labels:
        """The labels on the rows at these positions, in memory unless they follow each other."""
        dates = np.arange(self.start, self.stop)[rows]
        if len(dates) and (np.diff(dates) == 1).all():
            return self._with(start=int(dates[0]), stop=int(dates[-1]) + 1)
        blocks = [self._on(dates[at : at + SOME]) for at in range(0, max(len(dates), 1), SOME)]
        return Labels(np.concatenate(blocks), self.values, self.had)

    def of_columns(self, positions: np.ndarray) -> StoredLabels:
        """The labels of the assets at these positions."""
        had = np.asarray(self.had)[positions]
        assets = positions if self.assets is None else self.assets[positions]
        return self._with(assets=assets, had=had)

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """The codes of every cell, so many rows at a time."""
        for first in range(self.start, self.stop, rows):
            yield self._on(np.arange(first, min(first + rows, self.stop)))

    def of_cells(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Codes (n,) of the cells at these positions of dates and assets."""
        order = np.argsort(row, kind="stable")
        edges = np.searchsorted(row[order], np.arange(0, self.stop - self.start + SOME, SOME))
        codes = np.empty(len(row), dtype=np.int32)
        for block, first in enumerate(range(self.start, self.stop, SOME)):
            own = order[edges[block] : edges[block + 1]]
            if len(own):
                of_block = self._on(np.arange(first, min(first + SOME, self.stop)))
                codes[own] = of_block[row[own] - block * SOME, column[own]]
        return codes

    def _on(self, dates: np.ndarray) -> np.ndarray:
        """The codes (dates, N) on these dates of the table."""
        part = self.listings.at(dates)
        codes = np.full((len(dates), len(part.listings.assets)), self.new_code[-1], dtype=np.int32)
        of_listings = self.new_code[taken(self.numbers, part.kept)]
        codes[part.listings.row, part.listings.column] = of_listings
        return codes if self.assets is None else codes[:, self.assets]

    def _with(self, **attributes: Any) -> StoredLabels:
        """The same with other attributes."""
        other = object.__new__(StoredLabels)
        kept = {name: value for name, value in self.__dict__.items() if name != "codes"}
        other.__dict__.update(kept | attributes)
        return other
