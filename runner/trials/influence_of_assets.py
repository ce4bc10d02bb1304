"""What each date does to the mean over regressions of single assets, many assets at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from runner.panels.numbers.cells import Cube, InMemory, Ragged
from runner.trials.premises import Dates, series_of_each

CELLS = 500_000  # cells times terms at a time, which with what is made of them fill a cache


class Some(NamedTuple):
    """The cells in use of some assets, each from its first one on.

    Attributes:
        place: (n,) positions of the assets among those asked for.
        X, y, use: regressors (L, n, K), target (L, n) and cells in use (L, n).
        weights: (L, n), or None.
        date: (L, n) positions of the dates of the cells in use.
    """

    place: np.ndarray
    X: np.ndarray
    y: np.ndarray
    use: np.ndarray
    weights: np.ndarray | None
    date: np.ndarray


def over_assets(
    cells: InMemory,
    columns: Sequence[int],
    assets: np.ndarray,
    b: np.ndarray,
    breads: Sequence[np.ndarray],
    horizon: int,
) -> tuple[Dates, np.ndarray]:
    """Of the mean over the regressions of these assets, and the dates (T,) with a cell in use.

    Args:
        columns: positions of the regressors among the features.
        b: (n, k) estimates, the constant first where there is one.
        breads: (X'X)^-1 (k, k) of each asset; empty where it is to be made of the cells.
        horizon: rows that the target looks ahead.
    """
    T, _ = cells.shape
    k = b.shape[1]
    influence = np.zeros((T, k))
    share = np.zeros((T, k))
    seen = np.zeros(T, dtype=bool)
    bias = np.zeros(k)
    persistence = np.zeros(k)
    if isinstance(cells, Ragged):
        parts = _of_rows(cells, columns, assets, k)
    else:
        parts = _of_cube(cells, columns, assets, k)
    for some in parts:
        z, u = _scores(some, b[some.place])
        bread = _breads(z, [breads[i] for i in some.place])
        by_asset = z.swapaxes(0, 1) @ bread.swapaxes(1, 2)
        a = by_asset.swapaxes(0, 1)  # (L, n, k) effective regressors
        squares = a**2
        dates = some.date[some.use]
        of_cells = (a * u[:, :, None])[some.use]
        shares = (squares / squares.sum(axis=0))[some.use]
        for j in range(k):
            influence[:, j] += np.bincount(dates, of_cells[:, j], minlength=T)
            share[:, j] += np.bincount(dates, shares[:, j], minlength=T)
        seen[dates] = True
        series = series_of_each(a, u, some.use, horizon)
        bias += series.bias.sum(axis=0)
        persistence += np.where(series.weight > 0.0, series.persistence, np.nan).sum(axis=0)
    n = len(assets)
    return Dates(influence / n, share / n, bias / n, persistence / n), seen


def _scores(some: Some, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Regressors (L, n, k) and residuals (L, n), times the root of the weights; zero out of use."""
    K = some.X.shape[2]
    z = np.ones((*some.y.shape, b.shape[1]))
    z[:, :, b.shape[1] - K :] = some.X
    z[~some.use] = 0.0
    y = np.where(some.use, some.y, 0.0)
    u = y - np.einsum("tnk,nk->tn", z, b)
    if some.weights is not None:
        root = np.sqrt(np.where(some.use, some.weights, 0.0))
        z *= root[:, :, None]
        u *= root
    return z, u


def _breads(z: np.ndarray, known: Sequence[np.ndarray]) -> np.ndarray:
    """(X'X)^-1 (n, k, k) of each asset: those that are known, others of its regressors."""
    _, n, k = z.shape
    bread = np.empty((n, k, k))
    unknown = [i for i, of_asset in enumerate(known) if not len(of_asset)]
    for i, of_asset in enumerate(known):
        if len(of_asset):
            bread[i] = of_asset
    if unknown:
        own = z[:, unknown].swapaxes(0, 1)
        moments = own.swapaxes(1, 2) @ own
        length = np.sqrt(np.einsum("nkk->nk", moments))  # columns at unit length, for the digits
        lengths = length[:, :, None] * length[:, None, :]
        bread[unknown] = np.linalg.inv(moments / lengths) / lengths
    return bread


def _of_cube(cells: Cube, columns: Sequence[int], assets: np.ndarray, terms: int) -> Iterator[Some]:
    """The cells of some assets on all dates, after those of others."""
    T, _ = cells.shape
    X = cells.columns(columns)
    size = max(CELLS // (T * terms), 1)
    for first in range(0, len(assets), size):
        place = np.arange(first, min(first + size, len(assets)))
        own = assets[place]
        weights = None if cells.weights is None else cells.weights[:, own]
        use = cells.valid[:, own]
        date = np.broadcast_to(np.arange(T)[:, None], use.shape)
        yield Some(place, X[:, own], cells.y[:, own], use, weights, date)


def _of_rows(
    cells: Ragged, columns: Sequence[int], assets: np.ndarray, terms: int
) -> Iterator[Some]:
    """The cells of some assets that are there about as long, after those of others."""
    listings = cells.listings
    used = listings.by_asset[cells.valid[listings.by_asset]]
    row = listings.row[used]
    counts = np.bincount(listings.column[used], minlength=cells.shape[1])
    start = (np.cumsum(counts) - counts)[assets]
    rows = counts[assets]
    first = row[start]
    last = row[start + rows - 1]
    length = last - first + 1
    by_length = np.argsort(length, kind="stable")
    X = cells.columns(columns)
    done = 0
    while done < len(assets):
        place = by_length[done:]
        room = np.arange(1, len(place) + 1) * length[place] * terms <= CELLS
        place = place[: max(int(room.sum()), 1)]
        done += len(place)
        column = np.repeat(np.arange(len(place)), rows[place])
        before = np.cumsum(rows[place]) - rows[place]
        own = np.repeat(start[place] - before, rows[place]) + np.arange(len(column))
        taken = used[own]
        at = (row[own] - first[place][column], column)
        shape = (int(length[place[-1]]), len(place))
        some = Some(
            place=place,
            X=np.zeros((*shape, len(columns))),
            y=np.zeros(shape),
            use=np.zeros(shape, dtype=bool),
            weights=None if cells.weights is None else np.zeros(shape),
            date=np.zeros(shape, dtype=np.intp),
        )
        some.X[at] = X[taken]
        some.y[at] = cells.y[taken]
        some.use[at] = True
        some.date[at] = row[own]
        if some.weights is not None and cells.weights is not None:
            some.weights[at] = cells.weights[taken]
        yield some
