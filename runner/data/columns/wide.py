"""Fields as frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from runner.compute.pages import large_copy
from runner.data.columns.column import Cells, Counts, Parts, Stretch


@dataclass(frozen=True, eq=False)
class WideColumn:
    """A field as a frame (T, N)."""

    frame: pd.DataFrame

    @property
    def assets(self) -> pd.Index:
        """Names (N,) of the assets."""
        return self.frame.columns

    @property
    def folder(self) -> None:
        """None: its numbers are in memory."""
        return None

    @property
    def listings(self) -> None:
        """No cells of a table: the field has every cell."""
        return None

    @property
    def listed(self) -> None:
        """No number of cells with a row: the field has every cell."""
        return None

    @property
    def values(self) -> np.ndarray:
        """Its numbers (T, N), NaN where there is none; not to be written to."""
        return self.frame.to_numpy(dtype=float)

    @property
    def share(self) -> float:
        """Share of the cells that have a value."""
        values = self.values
        return np.count_nonzero(~np.isnan(values)) / max(values.size, 1)

    def counts(self) -> Counts:
        """How many asset-dates have a value, by date and by asset."""
        known = self.known()
        first = known.argmax(axis=0)
        after_last = known[::-1].argmax(axis=0)
        last = len(known) - 1 - after_last
        return Counts(known.sum(axis=1), known.sum(axis=0), first, last)

    def found(self, what: str, find: Callable[[], Any]) -> Any:
        """What `find` gives of its numbers."""
        return find()

    def rows_of_assets(self, dates: slice) -> np.ndarray:
        """How many of these dates each asset (N,) has: all where it has a value, else none."""
        known = self.known()[dates]
        return np.where(known.any(axis=0), len(known), 0)

    def known(self) -> np.ndarray:
        """Mask (T, N) of the cells with a value."""
        return self.frame.notna().to_numpy()

    def parts(self) -> Iterator[np.ndarray]:
        """All its numbers (T, N) as one part."""
        yield self.values

    def stretches(self) -> Iterator[Stretch]:
        """The field on all dates."""
        yield Stretch(0, self)

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Its numbers, so many rows at a time: (rows, N), the last may have fewer."""
        values = self.values
        for first in range(0, len(values), rows):
            yield values[first : first + rows]

    def places(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the cells of numbers at these positions, row by row."""
        rows, columns = np.divmod(at, self.frame.shape[1])
        return rows, columns

    def of(self, assets: np.ndarray) -> np.ndarray:
        """Numbers (T, m) of the assets at these positions."""
        return self.values[:, assets]

    def at(self, rows: np.ndarray, parts: Parts) -> WideColumn:
        """The field on the dates at these positions."""
        return WideColumn(self.frame.iloc[rows])

    def of_assets(self, assets: np.ndarray, parts: Parts) -> WideColumn:
        """The field of the assets at these positions, in this order."""
        return WideColumn(self.frame.iloc[:, assets])

    def put(self, at: np.ndarray, value: float) -> WideColumn:
        """The field with the value at these positions of its cells, row by row."""
        values = self.values
        cells = large_copy(values.T).T if values.flags.f_contiguous else large_copy(values)
        position = np.unravel_index(at, cells.shape)
        cells[position] = value
        index = self.frame.index
        return WideColumn(pd.DataFrame(cells, index=index, columns=self.frame.columns, copy=False))

    def shallow(self) -> WideColumn:
        """The same for a function that may write to it: pandas copies what it writes to."""
        return WideColumn(self.frame.copy(deep=False))

    def cells(self) -> Cells:
        """Those that have a value, row by row."""
        values = self.values
        rows, columns = np.nonzero(~np.isnan(values))
        return Cells(rows * values.shape[1] + columns, values[rows, columns])
