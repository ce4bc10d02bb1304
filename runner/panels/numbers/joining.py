"""Rows of parts of a panel, one after the other, and what is added up over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from runner.data.columns.listings import Listings
from runner.panels.numbers.cube import Cube
from runner.panels.numbers.ragged import Ragged
from runner.panels.numbers.selections import selected


def copied(cells: Ragged) -> Ragged:
    """The same in memory of its own."""
    listings = cells.listings
    own = Listings(listings.dates, listings.assets, listings.row.copy(), listings.column.copy())
    return replace(
        cells,
        listings=own,
        y=cells.y.copy(),
        X=cells.X.copy(order="F"),
        valid=cells.valid.copy(),
        weights=None if cells.weights is None else cells.weights.copy(),
        raw=None if cells.raw is None else cells.raw.copy(),
    )


def joined(parts: Sequence[Ragged]) -> Ragged:
    """The cells of parts of one panel, one after the other."""
    if len(parts) == 1:
        return parts[0]
    first = 0
    rows = []
    for part in parts:
        rows.append(part.listings.row + np.int32(first))
        first += part.shape[0]
    dates = parts[0].listings.dates.append([part.listings.dates for part in parts[1:]])
    column = np.concatenate([part.listings.column for part in parts])
    listings = Listings(dates, parts[0].listings.assets, np.concatenate(rows), column)
    return Ragged(
        listings=listings,
        y=np.concatenate([part.y for part in parts]),
        X=np.concatenate([part.X.T for part in parts], axis=1).T,
        valid=np.concatenate([part.valid for part in parts]),
        weights=_together([part.weights for part in parts]),
        raw=_together([part.raw for part in parts]),
    )


class Room:
    """Memory for rows of some assets of a panel; what fills it is written over by the next."""

    def __init__(self, rows: int, features: int, weighted: bool, raw: bool) -> None:
        """Args:
        rows: the most that fill it at once.
        weighted, raw: whether they have weights, and the target as it is beside that fitted.
        """
        self.row = np.empty(rows, dtype=np.int32)
        self.column = np.empty(rows, dtype=np.int32)
        self.valid = np.empty(rows, dtype=bool)
        self.y = np.empty(rows)
        self.features = np.empty((features, rows))
        self.weights = np.empty(rows) if weighted else None
        self.raw = np.empty(rows) if raw else None

    def filled(
        self,
        parts: Iterable[tuple[int, Ragged]],
        wanted: np.ndarray,
        dates: pd.DatetimeIndex,
        assets: pd.Index,
    ) -> Ragged:
        """The rows of the wanted assets, which parts of a panel have.

        Args:
            parts: in order, each with the position of its first date.
            wanted: (N,) whether an asset is one of them.
            dates, assets: of the panel.
        """
        n = 0
        for first, part in parts:
            at = np.flatnonzero(wanted[part.listings.column])
            self._write(part, at, first, n)
            n += len(at)
        filled = slice(0, n)
        return Ragged(
            listings=Listings(dates, assets, self.row[filled], self.column[filled]),
            y=self.y[filled],
            X=self.features[:, filled].T,
            valid=self.valid[filled],
            weights=selected(self.weights, filled),
            raw=selected(self.raw, filled),
        )

    def _write(self, part: Ragged, at: np.ndarray, first: int, n: int) -> None:
        """Write the rows of a part at these positions after the first n that are there.

        Args:
            first: position of the first date of the part.
        """
        own = slice(n, n + len(at))
        self.row[own] = part.listings.row[at] + np.int32(first)
        self.column[own] = part.listings.column[at]
        self.valid[own] = part.valid[at]
        self.y[own] = part.y[at]
        for into, column in zip(self.features[:, own], part.X.T, strict=True):
            column.take(at, out=into, mode="clip")
        if self.weights is not None:
            self.weights[own] = selected(part.weights, at)
        if self.raw is not None:
            self.raw[own] = selected(part.raw, at)


def _together(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Numbers of parts one after the other; None where they have none."""
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None


def with_lone(cells: Cube | Ragged) -> Cube | Ragged:
    """The same with every cell that has a target listed."""
    if not isinstance(cells, Ragged) or cells.lone is None:
        return cells
    lone = cells.lone
    position = np.concatenate([cells.listings.position, lone.position])
    order = np.argsort(position)
    row, column = np.divmod(position[order], cells.shape[1])
    listings = replace(cells.listings, row=row.astype(np.int32), column=column.astype(np.int32))

    def placed(values: np.ndarray, others: Any) -> np.ndarray:
        more = np.full((len(lone.y), *values.shape[1:]), others, dtype=values.dtype)
        return np.concatenate([values, more])[order]

    return Ragged(
        listings=listings,
        y=np.concatenate([cells.y, lone.y])[order],
        X=placed(cells.X, np.nan),
        valid=placed(cells.valid, False),
        weights=None if cells.weights is None else placed(cells.weights, np.nan),
    )


def means_of_assets(
    stretches: Iterable[tuple[int, Ragged]], of_all: np.ndarray, assets: int
) -> np.ndarray:
    """Means (1, N, K + 1) of features and target of each asset; `of_all` where it has no cell.

    They are added in the order of the rows, so that the bits are those of all rows at once.

    Args:
        stretches: parts of the panel, in order of their dates.
    """
    count = np.zeros(assets, dtype=np.intp)
    total = np.zeros((of_all.shape[2], assets))
    for _, part in stretches:
        used = np.flatnonzero(part.valid)
        asset = part.listings.column[used]
        count += np.bincount(asset, minlength=assets)
        for sums, values in zip(total, (*part.X.T, part.y), strict=True):
            np.add.at(sums, asset, values[used])
    of_assets = total.T / np.maximum(count, 1)[:, None]
    return np.where(count[:, None] > 0, of_assets, of_all)
