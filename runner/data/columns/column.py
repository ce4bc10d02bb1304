"""The protocol of a field: a wide frame, a long column, or one on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

Parts = dict[int, Any]  # identity of cells that fields share -> the part of them


class Cells(NamedTuple):
    """Positions (m,) of cells (T, N), row by row, and their values (m,)."""

    position: np.ndarray
    values: np.ndarray


class Counts(NamedTuple):
    """How many cells (date x asset) of a field have a value.

    Attributes:
        of_dates: (T,) on each date.
        of_assets: (N,) of each asset.
        first, last: (N,) rows of the first and the last value of each asset; those of an asset
            without any say nothing.
    """

    of_dates: np.ndarray
    of_assets: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @property
    def total(self) -> int:
        """Cells with a value."""
        return int(self.of_dates.sum())


class Stretch(NamedTuple):
    """A field on consecutive dates.

    Attributes:
        first: row of the first of these dates among all.
        column: the field on them; it need not outlast the next stretch.
    """

    first: int
    column: Column


class Column(Protocol):
    """A field (T, N), however its numbers are held."""

    @property
    def frame(self) -> pd.DataFrame:
        """The field as a frame (T, N)."""
        ...

    @property
    def assets(self) -> pd.Index:
        """Names (N,) of the assets."""
        ...

    @property
    def listings(self) -> Any:
        """The cells that its numbers are of, the same for fields of one table; None of a frame."""
        ...

    @property
    def listed(self) -> int | None:
        """Cells that the table has a row for; None where the field is a frame."""
        ...

    @property
    def folder(self) -> Path | None:
        """Where its numbers are on disk; None where they are in memory."""
        ...

    @property
    def values(self) -> np.ndarray:
        """All its numbers, NaN where there is none, in order of date; not to be written to."""
        ...

    @property
    def share(self) -> float:
        """Share of the cells that have a value."""
        ...

    def counts(self) -> Counts:
        """How many asset-dates have a value, by date and by asset."""
        ...

    def found(self, what: str, find: Callable[[], Any]) -> Any:
        """What `find` gives of its numbers alone, a value that JSON can write.

        Of a field on disk it is kept there: a later run does not read the numbers for it.

        Args:
            what: name of what is found.
        """
        ...

    def rows_of_assets(self, dates: slice) -> np.ndarray:
        """How many rows of the table each asset (N,) has on these dates.

        Of a frame, all of them where the asset has a value, else none.
        """
        ...

    def known(self) -> np.ndarray:
        """Mask (T, N) of the cells with a value."""
        ...

    def parts(self) -> Iterator[np.ndarray]:
        """Its numbers in order, some at a time; a part need not outlast the next."""
        ...

    def stretches(self) -> Iterator[Stretch]:
        """The field on some dates after the other."""
        ...

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """Its numbers, so many rows at a time: (rows, N), the last may have fewer."""
        ...

    def places(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the cells of numbers at these positions, which increase."""
        ...

    def of(self, assets: np.ndarray) -> np.ndarray:
        """Numbers (T, m) of the assets at these positions."""
        ...

    def at(self, rows: np.ndarray, parts: Parts) -> Column:
        """The field on the dates at these positions, which increase."""
        ...

    def of_assets(self, assets: np.ndarray, parts: Parts) -> Column:
        """The field of the assets at these positions, in this order."""
        ...

    def put(self, at: np.ndarray, value: float) -> Column:
        """The field with the value at these positions of its cells, row by row."""
        ...

    def shallow(self) -> Column:
        """The same for a function that may write to it."""
        ...

    def cells(self) -> Cells:
        """Those that have a value, row by row."""
        ...
