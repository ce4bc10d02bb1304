"""Least squares of many units at once from their moments, which add up.

The moments of a unit are sum z z' (P, P) over its cells, z = [1, x - shift, y - shift]. One pass
over the panel in blocks of dates gives those of every date or every asset; groups and the whole are
sums of these. A unit is solved from its moments only where they keep the digits; `sound` says
where. Letters as in `runner.numerics.least_squares`; U units, K regressors, k = K + 1 terms, P = K
+ 2.
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

BLOCK = 64  # dates at a time
HALVED = 512  # dates from which on two halves are summed side by side
# Cells of all, and of a unit, whose mean is the shift; any point near the data will do.
SAMPLE = 2000
FEW = 8
# Bounds within which the solution from moments has at least eleven correct digits (they lose as
# many as the logarithm of these says): variation kept after centring, conditioning of the
# correlations, unexplained share.
KEPT = 1e-4
CONDITION = 1e-4
UNEXPLAINED = 1e-4


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
    """A rough centre of the used cells of X (T, N, K) and y (T, N): the mean of a sample of them.

    Any point near the data does. One for all (1, 1, K + 1); with `of` "asset" one per asset
    (1, N, K + 1), with "date" one per date (T, 1, K + 1).
    """
    t, i = _spread(use)
    x_mean = X[t, i].mean(axis=0)
    y_mean = y[t, i].mean()
    of_all = np.append(x_mean, y_mean)[None, None]
    if of is None:
        return of_all
    axis = 0 if of == "asset" else 1
    few = _evenly(use.shape[axis], FEW)
    x = X.take(few, axis)
    target = y.take(few, axis)[:, :, None]
    Z = np.concatenate([x, target], axis=2)
    known = use.take(few, axis)[:, :, None]
    count = known.sum(axis=axis, keepdims=True)
    total = np.where(known, Z, 0.0).sum(axis=axis, keepdims=True)
    mean = total / np.maximum(count, 1)
    return np.where(count > 0, mean, of_all)


def _evenly(n: int, most: int) -> np.ndarray:
    """At most so many positions among n, evenly spread from the first to the last."""
    return np.linspace(0, n - 1, min(most, n)).astype(int)


def _spread(use: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of some cells in use, evenly spread in order of time.

    Of many rows only those that have one of them are listed.
    """
    if use.all():
        cells = _evenly(use.size, SAMPLE)
        return np.divmod(cells, use.shape[1])
    until = use.sum(axis=1).cumsum()
    ranks = _evenly(int(until[-1]), SAMPLE)
    t = np.searchsorted(until, ranks, side="right")
    before = np.append(0, until)
    rank_in_row = ranks - before[t]
    rows, at = np.unique(t, return_inverse=True)
    used = use[rows]
    cells = np.flatnonzero(used)
    count = used.sum(axis=1)
    first = count.cumsum() - count
    i = cells[first[at] + rank_in_row] % use.shape[1]
    return t, i


def moments(
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    shift: np.ndarray,
    by_date: bool,
    weights: np.ndarray | None = None,
    whole: int = 0,
) -> np.ndarray:
    """Moments (T, P, P) of every date or (N, P, P) of every asset, over the cells in use, weighted.

    The halves of a long panel are summed side by side; where they are cut does not depend on the
    machine, so neither do the bits.

    Args:
        X, y, use: regressors (T, N, K), target and cells in use (T, N).
        shift: point that the moments are about, as `shift_of` gives it.
        by_date: whether of dates.
        weights: (T, N), None where all count the same.
        whole: cells of the panel that these are a part of, by which it is decided whether
            `runner.numerics.compiled` sums them.
    """
    compiled = kernel.wanted(max(y.size, whole))
    add = kernel.sums if compiled else _moments

    def of_rows(part: slice) -> np.ndarray:
        point = _point_of(shift, part)
        w = of_part(weights, part)
        return add(X[part], y[part], use[part], point, by_date, w)

    parts = halves(len(y), of_rows)
    return np.concatenate(parts) if by_date else np.asarray(sum(parts))


def halves(T: int, work: Callable[[slice], Any]) -> list[Any]:
    """Results of `work` on the halves of T rows, side by side; on all at once of few rows."""
    if T < HALVED:
        return [work(slice(0, T))]
    half = T // 2
    rows = [slice(0, half), slice(half, T)]
    with _blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, rows))


@cache
def _blas() -> Any:
    """Keeps the threads of BLAS from our two; the same bits on any number of cores."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def of_part(weights: np.ndarray | None, part: slice) -> np.ndarray | None:
    """The rows of the weights, if there are any."""
    return None if weights is None else weights[part]


def _point_of(shift: np.ndarray, part: slice) -> np.ndarray:
    """The point of these dates; the same for all where there is one."""
    return shift[part] if len(shift) > 1 else shift


# Columns too large for products are not sound, and go to the rows.
@np.errstate(over="ignore", invalid="ignore")
def _moments(
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    shift: np.ndarray,
    by_date: bool,
    weights: np.ndarray | None,
) -> np.ndarray:
    if by_date:
        return _of_dates(X, y, use, shift, weights)
    return _of_assets(X, y, use, shift, weights)


def _of_dates(
    X: np.ndarray, y: np.ndarray, use: np.ndarray, shift: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """Moments (T, P, P) of every date.

    Loops run along the last axis: columns lie side by side in memory, where their products are
    fastest.
    """
    T, N = y.shape
    P = X.shape[2] + 2
    M = np.zeros((T, P, P))
    most = min(BLOCK, T)
    buffer = np.empty((most, P - 1, N))
    for start in range(0, T, BLOCK):
        part = slice(start, min(start + BLOCK, T))
        columns = buffer[: part.stop - start]
        z = columns.swapaxes(1, 2)
        point = _point_of(shift, part)
        x = X[part].swapaxes(1, 2)
        x_point = point[:, :, :-1].swapaxes(1, 2)
        y_point = point[:, :, -1]
        np.subtract(x, x_point, out=columns[:, :-1])
        np.subtract(y[part], y_point, out=columns[:, -1])
        _zero_unused(z, use[part])
        w = _weights_in_use(use[part], of_part(weights, part))
        M[part, 0, 0] += w.sum(axis=1)
        if weights is None:
            M[part, 0, 1:] += columns.sum(axis=2)
        else:
            M[part, 0, 1:] += np.einsum("tnp,tn->tp", z, w)
            z *= np.sqrt(w)[:, :, None]
        M[part, 1:, 1:] = np.matmul(columns, z)
    M[:, 1:, 0] = M[:, 0, 1:]
    return M


def _of_assets(
    X: np.ndarray, y: np.ndarray, use: np.ndarray, shift: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """Moments (N, P, P) of every asset; the columns of a cell lie side by side in memory."""
    T, N = y.shape
    P = X.shape[2] + 2
    M = np.zeros((N, P, P))
    products = np.zeros((N, P - 1, P - 1))
    most = min(BLOCK, T)
    buffer = np.empty((most, N, P - 1))
    for start in range(0, T, BLOCK):
        part = slice(start, min(start + BLOCK, T))
        z = buffer[: part.stop - start]
        _side_by_side(X[part], y[part], z)
        z -= _point_of(shift, part)
        _zero_unused(z, use[part])
        w = _weights_in_use(use[part], of_part(weights, part))
        M[:, 0, 0] += w.sum(axis=0)
        if weights is None:
            M[:, 0, 1:] += z.sum(axis=0)
        else:
            M[:, 0, 1:] += np.einsum("tnp,tn->np", z, w)
            z *= np.sqrt(w)[:, :, None]
        of_asset = z.transpose(1, 0, 2)
        products += np.matmul(of_asset.swapaxes(1, 2), of_asset)
    M[:, 1:, 1:] = products
    M[:, 1:, 0] = M[:, 0, 1:]
    return M


def _zero_unused(z: np.ndarray, use: np.ndarray) -> None:
    """Set the columns z (B, N, P - 1) to zero in cells that are not in use."""
    if not use.all():
        z[~use] = 0.0


def _weights_in_use(use: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Weights (B, N), zero in cells that are not in use; without weights, which are in use."""
    return use if weights is None else np.where(use, weights, 0.0)


def _side_by_side(X: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """Write the regressors and the target of each cell into `out` (T, N, K + 1).

    The regressors as one lump where they lie together, as loops over a few numbers cost more than
    the numbers.
    """
    K = X.shape[2]
    one_lump = K > 0 and X.strides[2] == X.itemsize
    if one_lump and X.dtype == out.dtype:
        lump = f"V{X.itemsize * K}"
        cells = out.view([("x", lump), ("y", out.dtype)])
        cells["x"] = X.view(lump)
    else:
        out[:, :, :-1] = X
    out[:, :, -1] = y


def of_units(M: np.ndarray, owns: Sequence[np.ndarray], by: str | None) -> np.ndarray:
    """Moments (U, P, P) of units from those of assets (N, P, P), or of dates where all are one.

    Args:
        owns: positions of the assets of each unit.
        by: asset where units are assets; None where the only unit is all of them.
    """
    if by == "asset":
        return M
    if by is None:
        whole = M.sum(axis=0)
        return np.array([whole for _ in owns])
    return np.array([M[own].sum(axis=0) for own in owns])


@np.errstate(over="ignore", invalid="ignore")
def together(M: np.ndarray, away: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Moments (P + L, P + L) of the cells of all assets from those (N, P, P) of each.

    Args:
        M: moments of each asset.
        away: (N, P - 1) by how much the point that an asset is about lies above the one that all
            are about.
        member: (N, L) columns that are the same for an asset on every date, which stand before the
            target, about 0.
    """
    P = M.shape[1]
    L = member.shape[1]
    n = M[:, 0, 0]
    first = M[:, 0].copy()
    columns = first[:, 1:]
    across = columns.T @ away
    columns += n[:, None] * away
    both_away = (away.T * n) @ away
    whole = M.sum(axis=0)
    whole[1:, 1:] += across + across.T + both_away
    whole[0, 1:] = columns.sum(axis=0)
    whole[1:, 0] = whole[0, 1:]
    target = P - 1 + L
    others = [*range(P - 1), target]
    own = slice(P - 1, target)
    grown = np.empty((P + L, P + L))
    grown[np.ix_(others, others)] = whole
    grown[others, own] = first.T @ member
    grown[own, others] = grown[others, own].T
    grown[own, own] = (member.T * n) @ member
    return grown


def with_zeros(point: np.ndarray, L: int) -> np.ndarray:
    """The point (1, U, P + L - 1) that is 0 in L columns before the target."""
    target = point.shape[2] - 1
    return np.insert(point, [target] * L, 0.0, axis=2)


def solve_moments(M: np.ndarray, shift: np.ndarray, rows: np.ndarray | None = None) -> Solved:
    """Least squares with a constant from moments.

    Args:
        M: (U, P, P) moments.
        shift: the point that they are about, one for all or one per unit.
        rows: (U,) cells, where weights make the first moment something else.
    """
    K = M.shape[1] - 2
    w = M[:, 0, 0]
    n = w if rows is None else rows
    point = shift.reshape(-1, K + 1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mean = M[:, 0, 1:] / w[:, None]
        total = w[:, None] * mean
        squared_mean = total[:, :, None] * mean[:, None, :]
        centred = M[:, 1:, 1:] - squared_mean
        variation = np.einsum("ujj->uj", centred)
        length = np.sqrt(np.maximum(variation, 0.0))
        lengths = length[:, :, None] * length[:, None, :]
        correlations = centred / lengths
    squares = np.einsum("ujj->uj", M[:, 1:, 1:])
    sound = (n > K + 1) & _kept(length, squares)
    sound &= np.isfinite(correlations).all(axis=(1, 2))
    sound &= ~_perhaps_flat(length, w, mean + point)
    of_regressors = correlations[:, :K, :K]
    Rxx = np.where(sound[:, None, None], of_regressors, np.eye(K))
    if K:
        sound &= _conditioned(Rxx)
        Rxx[~sound] = np.eye(K)
    rxy = np.where(sound[:, None], correlations[:, :K, K], 0.0)
    inverse = np.linalg.inv(Rxx)
    beta = np.einsum("ujl,ul->uj", inverse, rxy)
    unexplained = 1.0 - np.einsum("uj,uj->u", beta, rxy)
    sound &= unexplained > UNEXPLAINED
    scale = np.where(sound[:, None], length, 1.0)
    x_scale = scale[:, :K]
    slopes = beta * (scale[:, K:] / x_scale)
    mean = np.where(sound[:, None], mean, 0.0) + point
    x_mean = mean[:, :K]
    explained = np.einsum("uj,uj->u", slopes, x_mean)
    constant = mean[:, K] - explained
    tss = scale[:, K] ** 2
    ssr = tss * unexplained
    scales = x_scale[:, :, None] * x_scale[:, None, :]
    inner = inverse / scales
    bread = _with_constant(inner, x_mean, np.where(w > 0.0, w, 1.0))
    b = np.column_stack([constant, slopes])
    return Solved(b, bread, n.astype(int), ssr, tss, sound)


def _kept(length: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """(U,) whether every column keeps its digits when centred, and is of a size that has squares.

    Length (U, P - 1) of the centred columns, and their sums of squares (U, P - 1) before.
    """
    varies = length**2 > KEPT * squares
    not_small = squares > LARGEST**-2
    not_large = squares < LARGEST**2
    return np.asarray((varies & not_small & not_large).all(axis=1))


def _perhaps_flat(length: np.ndarray, n: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(U,) whether a column may vary by rounding alone, which only its rows can tell.

    Length (U, P - 1) of the centred columns, sums of weights n (U,).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = length / np.sqrt(n)[:, None]
    return np.asarray(near_rounding(spread, mean).any(axis=1))


def _conditioned(R: np.ndarray) -> np.ndarray:
    """(U,) whether correlations (U, K, K) are far enough from singular.

    By norms, which are enough for most and known at once; by eigenvalues for the rest.
    """
    try:
        with np.errstate(all="ignore"):
            condition = _norm(R) * _norm(np.linalg.inv(R))
            far = condition < 1.0 / CONDITION
    except np.linalg.LinAlgError:
        far = np.zeros(len(R), dtype=bool)
    near = np.flatnonzero(~far)
    eigenvalues = np.linalg.eigvalsh(R[near])
    smallest = eigenvalues[:, 0]
    largest = eigenvalues[:, -1]
    far[near] = smallest > CONDITION * largest
    return far


def _norm(R: np.ndarray) -> np.ndarray:
    """(U,) largest absolute column sum of matrices (U, K, K)."""
    return np.abs(R).sum(axis=1).max(axis=1)


def _with_constant(inner: np.ndarray, mean: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Inverse of X'X (U, k, k), the constant first, from that of the centred regressors (U, K, K).

    Means (U, K) of the regressors; n (U,) is the sum of the weights.
    """
    U, K = mean.shape
    k = K + 1
    bread = np.empty((U, k, k))
    across = -np.einsum("ujl,ul->uj", inner, mean)
    of_means = np.einsum("uj,uj->u", across, mean)
    bread[:, 0, 0] = 1.0 / n - of_means
    bread[:, 0, 1:] = across
    bread[:, 1:, 0] = across
    bread[:, 1:, 1:] = inner
    return bread
