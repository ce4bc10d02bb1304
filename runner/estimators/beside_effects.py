"""The cells of a regression beside fixed effects, and the regression as its errors see it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from runner.compute.memory import GIGABYTE, NUMBER, refuse_beyond
from runner.data.columns.listings import Listings
from runner.estimators.estimation import columns_of
from runner.estimators.pools import AnyPool, Pool, RaggedPool
from runner.estimators.settings import RegressionSettings
from runner.numerics.effects.cells import AnyCells, Cells, RowCells
from runner.numerics.effects.within import Within
from runner.panels.numbers.cells import Cube, Ragged, Stored
from runner.panels.numbers.selections import marked, selected
from runner.panels.panel import Panel
from runner.panels.units import Unit


def cells_of(unit: Unit, span: slice, model: RegressionSettings, panel: Panel) -> AnyCells:
    """The cells of a unit on the dates of `span`: as rows where the panel has rows.

    Raises:
        DataError: there is less memory than they take.
    """
    cells = panel.cells.of(np.arange(span.start, span.stop), unit.assets)
    fitted = marked(unit.rows - span.start, span.stop - span.start)
    columns = columns_of(panel, model.regressors)
    if isinstance(cells, Cube):
        use = cells.valid & fitted[:, None]
        return Cells(cells.columns(columns), cells.y, use, cells.weights)
    held = cells.held if isinstance(cells, Stored) else cells
    usable = held.valid & fitted[held.listings.row]
    used: slice | np.ndarray = slice(None)  # without a copy
    if not usable.all():
        used = np.flatnonzero(usable)
    return RowCells(
        shape=held.shape,
        t=held.listings.row[used],
        i=held.listings.column[used],
        X=held.columns(columns).T[:, used],
        y=held.y[used],
        weights=selected(held.weights, used),
    )


def refuse_large(shape: tuple[int, int]) -> None:
    """Whether the normal equations of two kinds of effects fit into memory.

    Raises:
        DataError: they do not.
    """
    T, N = shape
    need = 2 * NUMBER * min(T, N) ** 2
    both = f"effects of {T:,} dates beside those of {N:,} assets"
    takes = f"model.effects: {both} take {need / GIGABYTE:.1f} GB"
    refuse_beyond(need, takes, "effects of one kind, or fewer dates")


def pool_beside(
    cells: AnyCells, demeaned: Within, b: np.ndarray, bread: np.ndarray, absorbed: int
) -> AnyPool:
    """The regression as its covariance takes it.

    Args:
        absorbed: degrees of freedom that the effects take.
    """
    T, N = cells.shape
    alpha = demeaned.alpha
    delta = demeaned.delta
    if isinstance(cells, Cells):
        weights = cells.weights
        return Pool(cells.X, cells.y, cells.use, b, bread, weights, alpha, delta, absorbed)
    listings = Listings(pd.RangeIndex(T), pd.RangeIndex(N), cells.t, cells.i)
    rows = Ragged(listings, cells.y, cells.X.T, np.ones(cells.n, dtype=bool), cells.weights)
    no_dummies = np.empty((N, 0))
    columns = range(len(cells.X))
    return RaggedPool(rows, columns, b, bread, no_dummies, alpha, delta, absorbed)
