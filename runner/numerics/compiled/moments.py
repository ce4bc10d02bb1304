"""The sums of `runner.numerics.moments` in one compiled pass, to the same digits but the last."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from runner.numerics.compiled.rule import compiler

# Float64s that the narrowest common vector registers hold; columns are padded to a multiple.
LANES = 4


def sums(
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    shift: np.ndarray,
    by_date: bool,
    weights: np.ndarray | None,
) -> np.ndarray:
    """Moments (T, P, P) of dates or (N, P, P) of assets, as `runner.numerics.moments.moments`."""
    T, N = y.shape
    K = X.shape[2]
    P = K + 2
    weighted = weights is not None
    units = T if by_date else N
    shape = (units, P, _padded(P))
    M = np.zeros(shape)
    # whether the point changes with the date, and with the asset
    dates, assets = shift.shape[:2]
    moves = np.array([dates > 1, assets > 1], dtype=np.int64)
    w = weights if weighted else np.ones((1, 1))
    add = _compiled(K, by_date, weighted)
    add(X, y, use, w, shift, moves, M)
    return M[:, :, :P]


def _padded(P: int) -> int:
    """The least multiple of LANES from P on."""
    return -(-P // LANES) * LANES


@cache
def _compiled(K: int, by_date: bool, weighted: bool) -> Callable[..., None]:
    """The pass for K regressors, compiled once and kept on disk where there is a place for it.

    K, the direction and the weights are constants of the compiled code: its short loops unroll and
    its sums lie side by side in registers. Four cells of a unit are added at a time. Products and
    sums may fuse, nothing is reordered, so that neither NaN nor infinity is lost and bits do not
    depend on the number of cores.
    """
    P = K + 2
    S = _padded(P)

    def add(X: Any, y: Any, use: Any, weights: Any, shift: Any, moves: Any, M: Any) -> None:
        T, N = y.shape
        z = np.zeros((LANES, S))  # made here: no other array overlaps it
        rows, columns = (T, (N + 3) // 4) if by_date else ((T + 3) // 4, N)
        for row in range(rows):
            for column in range(columns):
                for u in range(4):
                    t, i = (row, 4 * column + u) if by_date else (4 * row + u, column)
                    if t < T and i < N and use[t, i]:
                        about = shift[t * moves[0], i * moves[1]]
                        z[u, 0] = 1.0
                        for k in range(K):
                            z[u, k + 1] = X[t, i, k] - about[k]
                        z[u, K + 1] = y[t, i] - about[K]
                        if weighted:
                            root = np.sqrt(weights[t, i])
                            for k in range(P):
                                z[u, k] *= root
                    else:
                        for k in range(P):
                            z[u, k] = 0.0
                unit = M[row if by_date else column]
                for p in range(P):
                    z0, z1, z2, z3 = z[0, p], z[1, p], z[2, p], z[3, p]
                    for b in range(p // LANES * LANES, S):
                        unit[p, b] += z0 * z[0, b] + z1 * z[1, b] + z2 * z[2, b] + z3 * z[3, b]
        for unit in M:
            for p in range(P):
                for b in range(p):
                    unit[p, b] = unit[b, p]

    settings: dict[str, Any] = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
    try:
        return compiler().njit(cache=True, **settings)(add)
    except RuntimeError:  # no folder that can be written
        return compiler().njit(**settings)(add)
