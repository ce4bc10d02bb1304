"""Rows of parts of a panel, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from runner.data.columns.listings import Listings
from runner.panels.numbers.cube import Cube
from runner.panels.numbers.ragged import Ragged


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
