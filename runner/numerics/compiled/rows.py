"""Sums over the rows of dates: of moments, and of the scores of a regression.

Rows lie in order of date, then asset. Those of many are summed by compiled code: K, the number of
regressors, is a constant of it, so that its short loops unroll, and four rows of a date are added
at a time. No product fuses with a sum there and nothing is reordered: the bits depend neither on
how many dates come together, nor on the processor or the number of its cores.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from runner.numerics.compiled.rule import compiler, wanted_of_rows

# Float64s that the narrowest common vector registers hold; columns are padded to a multiple.
LANES = 4
# Products of a date, on average, up to which numpy's sums take longer in two threads than in one.
FEW_PRODUCTS = 2**20

_IN_TURN = Lock()


class DatedRows(NamedTuple):
    """The rows (n,) of some dates.

    Attributes:
        starts: (T + 1,) position of the first row of each date, and the one after the last row.
        use: (n,) whether a row is in use.
        X: (K, n) regressors, a line each.
        y: (n,) target.
        weights: (n,), None where all count the same.
    """

    starts: np.ndarray
    use: np.ndarray
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None


def moments_of_dates(rows: DatedRows, point: np.ndarray, cells: int) -> np.ndarray:
    """Moments (T, P, P) of each date about the point, as `runner.numerics.moments.moments`.

    Args:
        point: (1, 1, P - 1), or one of each date (T, 1, P - 1).
        cells: of the panel that these are a part of, by which it is decided who sums them.
    """
    K = len(rows.X)
    P = K + 2
    T = len(rows.starts) - 1
    if not wanted_of_rows(cells):
        products = P**2 * (rows.starts[-1] - rows.starts[0])
        dates_are_long = products > FEW_PRODUCTS * T
        if dates_are_long:
            return _by_numpy(rows, point)
        with _IN_TURN:  # calls on short dates end so soon that threads wait for the interpreter
            return _by_numpy(rows, point)
    M = np.zeros((T, P, _padded(P)))
    moves = int(len(point) > 1)
    add = _moments(K, rows.weights is not None)
    add(*rows[:4], _given(rows), point[:, 0], moves, M)
    return M[:, :, :P]


# columns too large for products are not sound, and go to the rows
@np.errstate(over="ignore", invalid="ignore")
def _by_numpy(rows: DatedRows, point: np.ndarray) -> np.ndarray:
    """The same, each date the product of its rows."""
    starts = rows.starts
    P = len(rows.X) + 2
    M = np.zeros((len(starts) - 1, P, P))
    most = int(np.diff(starts).max(initial=0))
    buffer = np.empty((P - 1) * most)
    for t, m in enumerate(M):
        own = slice(starts[t], starts[t + 1])
        used = np.flatnonzero(rows.use[own])
        # a column of the regression is a line here, as its numbers lie together in memory
        z = buffer[: (P - 1) * len(used)].reshape(P - 1, len(used))
        if len(used) == own.stop - own.start:
            z[:-1] = rows.X[:, own]
            z[-1] = rows.y[own]
        else:
            np.take(rows.X[:, own], used, axis=1, out=z[:-1], mode="clip")
            np.take(rows.y[own], used, out=z[-1], mode="clip")
        z -= point[t if len(point) > 1 else 0].T
        m[0, 0] = len(used)
        weighted = z
        if rows.weights is not None:
            w = rows.weights[own][used]
            weighted = z * w
            m[0, 0] = w.sum()
        m[0, 1:] = weighted.sum(axis=1)
        m[1:, 1:] = z @ weighted.T
    M[:, 1:, 0] = M[:, 0, 1:]
    return M


class Scores:
    """Sums of the scores of many rows that come some dates at a time: w x (y - b'x).

    Args:
        b: (k,) estimates, that of a constant first where there is one.
        assets: how many there are.
    """

    def __init__(self, b: np.ndarray, assets: int) -> None:
        self.b = b
        self._by_asset = np.zeros((assets, _padded(len(b))))
        self._products = np.zeros((len(b), _padded(len(b))))

    def add(self, rows: DatedRows, asset: np.ndarray) -> np.ndarray:
        """Sums (T, k) of the scores of each date; those of assets and products are added.

        Args:
            asset: (n,) positions of the assets of the rows.
        """
        k = len(self.b)
        by_date = np.zeros((len(rows.starts) - 1, _padded(k)))
        K = len(rows.X)
        add = _scores(K, k - K, rows.weights is not None)
        add(*rows[:4], _given(rows), asset, self.b, by_date, self._by_asset, self._products)
        return by_date[:, :k]

    @property
    def by_asset(self) -> np.ndarray:
        """(N, k) sums."""
        return self._by_asset[:, : len(self.b)]

    @property
    def products(self) -> np.ndarray:
        """(k, k) products of the scores of a row, summed."""
        return self._products[:, : len(self.b)]


def _given(rows: DatedRows) -> np.ndarray:
    """The weights, or none of them."""
    return rows.y[:0] if rows.weights is None else rows.weights


def _padded(P: int) -> int:
    """The least multiple of LANES from P on."""
    return -(-P // LANES) * LANES


@cache
def _moments(K: int, weighted: bool) -> Callable[..., None]:
    """The pass over rows with K regressors that adds moments to M (T, P, S)."""
    P = K + 2
    S = _padded(P)

    def add(
        starts: Any, use: Any, X: Any, y: Any, weights: Any, point: Any, moves: int, M: Any
    ) -> None:
        z = np.zeros((4, S))  # made here: no other array overlaps it
        for t in range(len(M)):
            unit = M[t]
            about = point[t * moves]
            stop = starts[t + 1]
            for first in range(starts[t], stop, 4):
                for u in range(4):
                    i = first + u
                    if i < stop and use[i]:
                        z[u, 0] = 1.0
                        for j in range(K):
                            z[u, j + 1] = X[j, i] - about[j]
                        z[u, K + 1] = y[i] - about[K]
                        if weighted:
                            root = np.sqrt(weights[i])
                            for p in range(P):
                                z[u, p] *= root
                    else:
                        for p in range(P):
                            z[u, p] = 0.0
                for p in range(P):
                    z0, z1, z2, z3 = z[0, p], z[1, p], z[2, p], z[3, p]
                    for q in range(p // LANES * LANES, S):
                        unit[p, q] += z0 * z[0, q] + z1 * z[1, q] + z2 * z[2, q] + z3 * z[3, q]
            for p in range(P):
                for q in range(p):
                    unit[p, q] = unit[q, p]

    return _compiled(add)


@cache
def _scores(K: int, constants: int, weighted: bool) -> Callable[..., None]:
    """The pass over rows with K regressors that adds scores, with a constant or without."""
    k = K + constants
    S = _padded(k)

    def add(
        starts: Any,
        use: Any,
        X: Any,
        y: Any,
        weights: Any,
        assets: Any,
        b: Any,
        by_date: Any,
        by_asset: Any,
        products: Any,
    ) -> None:
        z = np.zeros((4, S))
        for t in range(len(by_date)):
            stop = starts[t + 1]
            for first in range(starts[t], stop, 4):
                for u in range(4):
                    i = first + u
                    for p in range(k):
                        z[u, p] = 0.0
                    if i < stop and use[i]:
                        residual = y[i]
                        for c in range(constants):
                            residual -= b[c]
                        for j in range(K):
                            residual -= b[constants + j] * X[j, i]
                        if weighted:
                            residual *= weights[i]
                        for c in range(constants):
                            z[u, c] = residual
                        for j in range(K):
                            z[u, constants + j] = X[j, i] * residual
                        of_asset = by_asset[assets[i]]
                        for p in range(S):
                            of_asset[p] += z[u, p]
                for p in range(S):
                    by_date[t, p] += z[0, p] + z[1, p] + z[2, p] + z[3, p]
                for p in range(k):
                    z0, z1, z2, z3 = z[0, p], z[1, p], z[2, p], z[3, p]
                    for q in range(p // LANES * LANES, S):
                        products[p, q] += z0 * z[0, q] + z1 * z[1, q] + z2 * z[2, q] + z3 * z[3, q]
        for p in range(k):
            for q in range(p):
                products[p, q] = products[q, p]

    return _compiled(add)


def _compiled(add: Callable[..., None]) -> Callable[..., None]:
    """A pass compiled at its first call, and kept on disk where there is a place for it."""
    settings: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return compiler().njit(cache=True, **settings)(add)
    except RuntimeError:  # no folder that can be written
        return compiler().njit(**settings)(add)
