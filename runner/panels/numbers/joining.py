"""Rows of parts of a panel, all together or by asset, and what is added up over them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from runner.data.columns.listings import Listings
from runner.data.columns.order import in_order
from runner.panels.numbers.cube import Cube, Taken
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
    """Memory for the usable rows of some assets, those of an asset side by side.

    Rows come in order of date and are put in order of asset as they are written: to pick those of
    one asset after the other from all of them takes several times as long. What fills the room is
    written over by the next.
    """

    def __init__(self, rows: int, features: int, weighted: bool, raw: bool) -> None:
        """Args:
        rows: the most that fill it at once.
        weighted, raw: whether they have weights, and the target as it is beside that fitted.
        """
        self.date = np.empty(rows, dtype=np.int32)
        self.y = np.empty(rows)
        self.features = np.empty((features, rows))
        self.weights = np.empty(rows) if weighted else None
        self.raw = np.empty(rows) if raw else None

    def filled(
        self, parts: Iterable[tuple[int, Ragged]], assets: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[int, Taken]]:
        """Each of the assets with its usable rows, in order of date.

        Args:
            parts: of a panel, in order, each with the position of its first date.
            assets: (m,) positions.
            rows: (m,) usable rows that each has in the parts.
        """
        ends = np.cumsum(rows)
        unfilled = ends - rows  # first place of each asset that has no row yet
        for first, part in parts:
            unfilled += self._fill(part, first, assets, unfilled)
        starts = ends - rows
        for asset, start, end in zip(assets.tolist(), starts.tolist(), ends.tolist(), strict=True):
            own = slice(start, end)
            t = self.date[own].astype(np.intp)
            i = np.full(end - start, asset)
            X = self.features[:, own].T
            weights = selected(self.weights, own)
            raw = selected(self.raw, own)
            yield asset, Taken(t, i, self.y[own], X, weights, raw)

    def _fill(
        self, part: Ragged, first: int, assets: np.ndarray, unfilled: np.ndarray
    ) -> np.ndarray:
        """Write the rows that a part has of the assets, and return how many each (m,) has there.

        Args:
            first: position of the first date of the part.
            unfilled: (m,) place of the first of them.
        """
        m = len(assets)
        order_of_asset = np.full(part.shape[1], -1, dtype=np.int32)  # -1: not one of them
        order_of_asset[assets] = np.arange(m, dtype=np.int32)
        order_of_row = order_of_asset[part.listings.column]
        used = np.flatnonzero(part.valid & (order_of_row >= 0))
        order_of_used = order_of_row[used]
        by_asset = used[in_order(order_of_used, m)]
        rows = np.bincount(order_of_used, minlength=m)
        rows_before = np.cumsum(rows) - rows
        # the rows of an asset keep their order, and all of them move by as many places
        moved = np.repeat(unfilled - rows_before, rows)
        place = np.arange(len(by_asset)) + moved
        self.date[place] = part.listings.row[by_asset] + np.int32(first)
        self.y[place] = part.y[by_asset]
        for features, column in zip(self.features, part.X.T, strict=True):
            features[place] = column[by_asset]
        if self.weights is not None:
            self.weights[place] = selected(part.weights, by_asset)
        if self.raw is not None:
            self.raw[place] = selected(part.raw, by_asset)
        return rows


class Spans(NamedTuple):
    """Dates between which each asset has its usable rows.

    Attributes:
        rows: (N,) how many it has.
        first, stop: (N,) positions of dates: it has none before the first, none from the other on.
    """

    rows: np.ndarray
    first: np.ndarray
    stop: np.ndarray

    def dates(self, assets: np.ndarray) -> slice:
        """Dates that have all rows of some assets, of one at least."""
        return slice(int(self.first[assets].min()), int(self.stop[assets].max()))

    def groups(self, assets: np.ndarray, rows: int) -> list[np.ndarray]:
        """These assets in groups of so many rows at most, or of a single asset.

        Those that begin near each other come together: the rows of a group are on fewer dates.
        """
        ordered = assets[np.argsort(self.first[assets], kind="stable")]
        until = np.cumsum(self.rows[ordered])
        groups = []
        before = 0
        while len(ordered):
            several = max(int(np.searchsorted(until, before + rows, side="right")), 1)
            groups.append(ordered[:several])
            before = int(until[several - 1])
            ordered = ordered[several:]
            until = until[several:]
        return groups


def spans_of(parts: Iterable[tuple[int, Ragged]], assets: int) -> Spans:
    """Spans of so many assets, from the first dates of parts to their last ones.

    Args:
        parts: of a panel, in order, each with the position of its first date.
    """
    rows = np.zeros(assets, dtype=np.intp)
    first = np.zeros(assets, dtype=np.intp)
    stop = np.zeros(assets, dtype=np.intp)
    for start, part in parts:
        of_part = part.usable_by_asset()
        there = of_part > 0
        first[there & (rows == 0)] = start
        stop[there] = start + part.shape[0]
        rows += of_part
    return Spans(rows, first, stop)


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
