"""Least squares of many units at once from their moments, which add up.

The moments of a unit are sum z z' (P, P) over its cells, z = [1, x - shift, y - shift]. One pass
over the panel in blocks of dates gives those of every date or every asset; groups and the whole are
sums of these. A unit is solved from its moments only where they keep the digits; `sound` says
where. Letters as in `runner.numerics.least_squares`; U units, K regressors, k = K + 1 terms, P = K + 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from runner.numerics import compiled as kernel
from runner.numerics.least_squares import LARGEST
from runner.numerics.variation import near_rounding

BLOCK, HALVED = 64, 512  # dates at a time, and from which on two halves are summed side by side
SAMPLE, FEW = (
    2000,
    8,
)  # cells of all, and of a unit, whose mean is the shift; any point near the data will do
# Bounds within which the solution from moments has at least eleven correct digits (they lose as
# many as the logarithm of these says): variation kept after centring, conditioning of the
# correlations, unexplained share.
KEPT, CONDITION, UNEXPLAINED = 1e-4, 1e-4, 1e-4


@dataclass(frozen=True)
class Solved:
    """Estimates of U units.

    Attributes:
        b: (U, k) estimates, the constant first.
        bread: (U, k, k) inverse of X'X.
        n, ssr, tss: (U,) rows and sums of squares of the residuals and of the centred target.
        sound: (U,) whether the moments kept the digits; the other entries of an unsound unit mean
            nothing.
    """

    b: np.ndarray
    bread: np.ndarray
    n: np.ndarray
    ssr: np.ndarray
    tss: np.ndarray
    sound: np.ndarray


def shift_of(X: np.ndarray, y: np.ndarray, use: np.ndarray, of: str | None = None) -> np.ndarray:
    """A point amid the used cells of X (T, N, K) and y (T, N): one for all (1, 1, K + 1), one per
    asset (1, N, K + 1) or one per date (T, 1, K + 1)."""
    t, i = _spread(use)
    point = np.append(X[t, i].mean(axis=0), y[t, i].mean())[None, None]
    if of is None:
        return point
    axis = 0 if of == "asset" else 1
    few = np.linspace(0, use.shape[axis] - 1, min(FEW, use.shape[axis])).astype(int)
    Z = np.concatenate([X.take(few, axis), y.take(few, axis)[:, :, None]], axis=2)
    known = use.take(few, axis)[:, :, None]
    count = known.sum(axis=axis, keepdims=True)
    mean = np.where(known, Z, 0.0).sum(axis=axis, keepdims=True) / np.maximum(count, 1)
    return np.where(count > 0, mean, point)


def _spread(use: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Some cells in use, evenly spread in order of time; of many rows only those that have one are
    listed.
    """
    if use.all():
        return np.divmod(
            np.linspace(0, use.size - 1, min(SAMPLE, use.size)).astype(int), use.shape[1]
        )
    until = use.sum(axis=1).cumsum()
    ranks = np.linspace(0, until[-1] - 1, min(SAMPLE, int(until[-1]))).astype(int)
    t = np.searchsorted(until, ranks, side="right")
    before = ranks - np.append(0, until)[t]
    rows, at = np.unique(t, return_inverse=True)
    cells, own = np.flatnonzero(use[rows]), use[rows].sum(axis=1)
    return t, cells[(own.cumsum() - own)[at] + before] % use.shape[1]


def moments(
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    shift: np.ndarray,
    by_date: bool,
    weights: np.ndarray | None = None,
    whole: int = 0,
) -> np.ndarray:
    """Moments (T, P, P) of every date or (N, P, P) of every asset, over the cells in `use` (T, N),
    weighted.

    The halves of a long panel are summed side by side; where they are cut does not depend on the
    machine, so neither do the bits. `whole` counts the cells of the panel that these are a part of,
    which say whether `runner.numerics.compiled` sums them.
    """
    add = kernel.sums if kernel.wanted(max(y.size, whole)) else _moments

    def of(part: slice) -> np.ndarray:
        about = shift[part] if len(shift) > 1 else shift
        return add(X[part], y[part], use[part], about, by_date, of_part(weights, part))

    parts = halves(len(y), of)
    return np.concatenate(parts) if by_date else np.asarray(sum(parts))


def halves(T: int, work: Callable[[slice], Any]) -> list[Any]:
    """What `work` gives for the halves of T rows, side by side where there are many."""
    if T < HALVED:
        return [work(slice(0, T))]
    with _blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, (slice(0, T // 2), slice(T // 2, T))))


@cache
def _blas() -> Any:
    """What keeps the threads of BLAS from getting in the way of our two; the same bits on any
    number of cores.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def of_part(weights: np.ndarray | None, part: slice) -> np.ndarray | None:
    """The rows of the weights, if there are any."""
    return None if weights is None else weights[part]


@np.errstate(
    over="ignore", invalid="ignore"
)  # columns too large for products are not sound, and go to the rows
def _moments(
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    shift: np.ndarray,
    by_date: bool,
    weights: np.ndarray | None,
) -> np.ndarray:
    (T, N), P = y.shape, X.shape[2] + 2
    found = np.zeros((T if by_date else N, P, P))
    buffer = np.empty((min(BLOCK, T), P - 1, N) if by_date else (min(BLOCK, T), N, P - 1))
    products = np.zeros((0 if by_date else N, P - 1, P - 1))
    for start in range(0, T, BLOCK):
        part = slice(start, min(start + BLOCK, T))
        full = buffer[: part.stop - start]
        z, about = (
            full.swapaxes(1, 2) if by_date else full,
            shift[part] if len(shift) > 1 else shift,
        )
        if by_date:  # loops run along the axis named last
            np.subtract(X[part].swapaxes(1, 2), about[:, :, :-1].swapaxes(1, 2), out=full[:, :-1])
            np.subtract(y[part], about[:, :, -1], out=full[:, -1])
        else:
            _side_by_side(X[part], y[part], full)
            full -= about
        if not use[part].all():
            z[~use[part]] = 0.0
        w = use[part] if weights is None else np.where(use[part], weights[part], 0.0)
        of = part if by_date else slice(None)
        found[of, 0, 0] += w.sum(axis=int(by_date))
        if weights is None:
            found[of, 0, 1:] += full.sum(axis=2) if by_date else full.sum(axis=0)
        else:
            found[of, 0, 1:] += np.einsum("tnp,tn->tp" if by_date else "tnp,tn->np", z, w)
            z *= np.sqrt(w)[:, :, None]
        if by_date:  # columns lie side by side in memory, where their products are fastest
            found[of, 1:, 1:] = np.matmul(full, z)
        else:
            products += np.matmul(z.transpose(1, 2, 0), z.transpose(1, 0, 2))
    if not by_date:
        found[:, 1:, 1:] = products
    found[:, 1:, 0] = found[:, 0, 1:]
    return found


def _side_by_side(X: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """Write the regressors and the target of each cell into `out` (T, N, K + 1); the regressors as
    one lump where they lie together, as loops over a few numbers cost more than the numbers."""
    if X.shape[2] and X.strides[2] == X.itemsize and X.dtype == out.dtype:
        lump = f"V{X.itemsize * X.shape[2]}"
        out.view([("x", lump), ("y", out.dtype)])["x"] = X.view(lump)
    else:
        out[:, :, :-1] = X
    out[:, :, -1] = y


def of_units(M: np.ndarray, units: Sequence[Any], by: str | None) -> np.ndarray:
    """Moments of the units from those of assets, or of dates where all are one."""
    if by == "asset":
        return M
    return np.array([M[unit.assets].sum(axis=0) if by else M.sum(axis=0) for unit in units])


@np.errstate(over="ignore", invalid="ignore")
def together(M: np.ndarray, away: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Moments (P + L, P + L) of the cells of all assets from those (N, P, P) of each.

    `away` (N, P - 1) is by how much the point that an asset is about lies above the one that all
    are about; `member` (N, L) are columns that are the same for an asset on every date, which stand
    before the target, about 0.
    """
    P, L = M.shape[1], member.shape[1]
    n, first = M[:, 0, 0], M[:, 0].copy()
    across = first[:, 1:].T @ away
    first[:, 1:] += n[:, None] * away
    at, own = [*range(P - 1), P - 1 + L], slice(P - 1, P - 1 + L)
    whole = M.sum(axis=0)
    whole[1:, 1:] += across + across.T + (away.T * n) @ away
    whole[0, 1:] = whole[1:, 0] = first[:, 1:].sum(axis=0)
    found = np.empty((P + L, P + L))
    found[np.ix_(at, at)] = whole
    found[at, own] = first.T @ member
    found[own, at] = found[at, own].T
    found[own, own] = (member.T * n) @ member
    return found


def with_zeros(point: np.ndarray, L: int) -> np.ndarray:
    """The point (1, U, P + L - 1) that is 0 in L columns before the target."""
    return np.insert(point, [point.shape[2] - 1] * L, 0.0, axis=2)


def solve_moments(M: np.ndarray, shift: np.ndarray, rows: np.ndarray | None = None) -> Solved:
    """Least squares with a constant from moments M (U, P, P) about `shift`, one for all or one per
    unit; `rows` (U,) count the cells where weights make their moments something else."""
    K = M.shape[1] - 2
    w = M[:, 0, 0]
    n = w if rows is None else rows
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = M[:, 0, 1:] / w[:, None]
        centred = M[:, 1:, 1:] - w[:, None, None] * mean[:, :, None] * mean[:, None, :]
        length = np.sqrt(np.maximum(np.einsum("ujj->uj", centred), 0.0))
        unit = centred / (length[:, :, None] * length[:, None, :])
    total = np.einsum("ujj->uj", M[:, 1:, 1:])
    sound = (
        (n > K + 1) & (length**2 > KEPT * total).all(axis=1) & np.isfinite(unit).all(axis=(1, 2))
    )
    sound &= ((total > LARGEST**-2) & (total < LARGEST**2)).all(axis=1)
    sound &= ~_perhaps_flat(length, w, mean + shift.reshape(-1, K + 1))
    R = np.where(sound[:, None, None], unit[:, :K, :K], np.eye(K))
    if K:
        sound &= _conditioned(R)
        R[~sound] = np.eye(K)
    r = np.where(sound[:, None], unit[:, :K, K], 0.0)
    inverse = np.linalg.inv(R)
    slope = np.einsum("ujl,ul->uj", inverse, r)
    unexplained = 1.0 - np.einsum("uj,uj->u", slope, r)
    sound &= unexplained > UNEXPLAINED
    scale = np.where(sound[:, None], length, 1.0)
    slope *= scale[:, K:] / scale[:, :K]
    mean = np.where(sound[:, None], mean, 0.0) + shift.reshape(-1, K + 1)
    tss = scale[:, K] ** 2
    constant = mean[:, K] - np.einsum("uj,uj->u", slope, mean[:, :K])
    inner = inverse / (scale[:, :K, None] * scale[:, None, :K])
    bread = _with_constant(inner, mean[:, :K], np.where(w > 0.0, w, 1.0))
    return Solved(
        np.column_stack([constant, slope]), bread, n.astype(int), tss * unexplained, tss, sound
    )


def _perhaps_flat(length: np.ndarray, n: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(U,) whether a column of a unit may vary by rounding alone, which only its rows can tell;
    length (U, P - 1) of the centred columns, sums of weights n (U,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = length / np.sqrt(n)[:, None]
    return np.asarray(near_rounding(spread, mean).any(axis=1))


def _conditioned(R: np.ndarray) -> np.ndarray:
    """(U,) whether correlations (U, K, K) are far enough from singular; by norms, which know it
    for most at once.
    """
    size = np.abs(R).sum(axis=1).max(axis=1)
    try:
        with np.errstate(all="ignore"):
            far = size * np.abs(np.linalg.inv(R)).sum(axis=1).max(axis=1) < 1.0 / CONDITION
    except np.linalg.LinAlgError:
        far = np.zeros(len(R), dtype=bool)
    near = np.flatnonzero(~far)
    eigen = np.linalg.eigvalsh(R[near])
    far[near] = eigen[:, 0] > CONDITION * eigen[:, -1]
    return far


def _with_constant(inner: np.ndarray, mean: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Inverse of X'X (U, k, k) with the constant first, from that of the centred regressors (U, K,
    K); n (U,) is the sum of the weights."""
    K = mean.shape[1]
    bread = np.empty((len(n), K + 1, K + 1))
    across = -np.einsum("ujl,ul->uj", inner, mean)
    bread[:, 0, 0] = 1.0 / n - np.einsum("uj,uj->u", across, mean)
    bread[:, 0, 1:] = bread[:, 1:, 0] = across
    bread[:, 1:, 1:] = inner
    return bread
