"""Least squares of many units at once from their moments, which add up.

The moments of a unit are sum z z' (P, P) over its cells, z = [1, x - shift, y - shift]. One pass
over the panel in blocks of dates gives those of every date or every asset; groups and the whole are
sums of these. `runner.numerics.normal_equations` solves a unit from them. Letters as in
`runner.numerics.least_squares`; U units, K regressors, P = K + 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from runner.numerics.compiled import moments as kernel
from runner.numerics.compiled import rule

BLOCK = 64  # dates at a time
STRETCH = 4 * BLOCK  # dates after which memory is given back
HALVED = 512  # dates from which on two halves are summed side by side
FEW_CELLS = 4096  # below which two threads cost more than they save
FULL = (
    0.5  # share of the cells in use, below which only assets with a cell in a block are looked at
)
# Cells of all, and of a unit, whose mean is the shift; any point near the data will do.
SAMPLE = 2000
FEW = 8
PARTS = 16  # in which the cells are taken: they lie all over the panel


def shift_of(
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    per: str | None = None,
    rest: Callable[[], None] | None = None,
) -> np.ndarray:
    """A rough centre of the used cells of X (T, N, K) and y (T, N): the mean of a sample of them.

    Any point near the data does. One for all (1, 1, K + 1); with `per` "asset" one per asset
    (1, N, K + 1), with "date" one per date (T, 1, K + 1). `rest` as of `moments`.
    """
    t, i = _sampled(use)
    x_sample = np.empty((len(t), X.shape[2]))
    for some in np.array_split(np.arange(len(t)), PARTS):
        x_sample[some] = X[t[some], i[some]]
        if rest is not None:
            rest()
    y_sample = y[t, i]
    x_mean = x_sample.mean(axis=0)
    y_mean = y_sample.mean()
    of_all = np.append(x_mean, y_mean)
    of_all = of_all[None, None]
    if per is None:
        return of_all
    axis = 0 if per == "asset" else 1  # averaged over dates, or over assets
    length = use.shape[axis]
    few = evenly(length, FEW)
    at = few if per == "asset" else (slice(None), few)
    x = X[at]  # `take` would copy all of X where it is a part of an array
    target = y[at][:, :, None]
    Z = np.concatenate([x, target], axis=2)
    known = use[at]
    known = known[:, :, None]
    count = known.sum(axis=axis, keepdims=True)
    values = np.where(known, Z, 0.0)
    total = values.sum(axis=axis, keepdims=True)
    mean = total / np.maximum(count, 1)
    return np.where(count > 0, mean, of_all)


def evenly(n: int, most: int) -> np.ndarray:
    """At most so many positions among n, evenly spread from the first to the last."""
    return np.linspace(0, n - 1, min(most, n)).astype(int)


def _sampled(use: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of some cells in use, evenly spread in order of time.

    Of many rows only those that have one of them are listed.
    """
    N = use.shape[1]
    if use.all():
        cells = evenly(use.size, SAMPLE)
        return np.divmod(cells, N)
    until = use.sum(axis=1).cumsum()
    in_use = int(until[-1])
    ranks = evenly(in_use, SAMPLE)
    t = np.searchsorted(until, ranks, side="right")
    before = np.append(0, until)
    rank_in_row = ranks - before[t]
    rows, row = np.unique(t, return_inverse=True)
    used = use[rows]
    cells = np.flatnonzero(used)
    count = used.sum(axis=1)
    first = count.cumsum() - count
    rank = first[row] + rank_in_row
    i = cells[rank] % N
    return t, i


def moments(
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    shift: np.ndarray,
    by_date: bool,
    weights: np.ndarray | None = None,
    whole: int = 0,
    rest: Callable[[], None] | None = None,
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
        rest: gives memory of the arrays back; called between stretches of dates, if they are by
            date.
    """
    add = _sums(max(y.size, whole))
    few_cells = np.count_nonzero(use) < FULL * use.size

    def of_rows(part: slice) -> np.ndarray:
        point = _point_of(shift, part)
        w = of_part(weights, part)
        x = X[part]
        target = y[part]
        used = use[part]
        if few_cells:
            return _of_listed(add, x, target, used, point, by_date, w)
        return add(x, target, used, point, by_date, w)

    def of_stretches(half: slice) -> np.ndarray:
        of_dates = []
        for start in range(half.start, half.stop, STRETCH):
            stop = min(start + STRETCH, half.stop)
            of_dates.append(of_rows(slice(start, stop)))
            if rest is not None:
                rest()
        return np.concatenate(of_dates)

    if by_date:
        return np.concatenate(halves(len(y), of_stretches))
    return np.asarray(sum(halves(len(y), of_rows)))


def of_block(
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    shift: np.ndarray,
    by_date: bool,
    weights: np.ndarray | None,
    cells: int,
) -> np.ndarray:
    """Moments of some dates, a part of a panel of so many cells; arguments as of `moments`."""
    return _sums(cells)(X, y, use, shift, by_date, weights)


def _sums(cells: int) -> Callable[..., np.ndarray]:
    """What sums a panel of so many cells."""
    return kernel.sums if rule.wanted(cells) else _moments


def halves(
    T: int,
    work: Callable[[slice], Any],
    fewest: int = HALVED,
    cells_by_date: np.ndarray | None = None,
) -> list[Any]:
    """Results of `work` on the halves of T dates, side by side; on all at once of fewer dates.

    The halves have as many cells where those of each date (T,) are given, else as many dates.
    """
    if fewest > T:
        return [work(slice(0, T))]
    middle = T // 2
    if cells_by_date is not None:
        until = np.cumsum(cells_by_date)
        middle = int(np.searchsorted(until, until[-1] / 2.0, side="right"))
    dates = [slice(0, middle), slice(middle, T)]
    if cells_by_date is not None and until[-1] < FEW_CELLS:
        return [work(some) for some in dates]
    one_blas_thread = _blas().limit(limits=1, user_api="blas")
    with one_blas_thread, ThreadPoolExecutor(2) as pool:
        return list(pool.map(work, dates))


def _of_listed(
    add: Callable[..., np.ndarray],
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    shift: np.ndarray,
    by_date: bool,
    weights: np.ndarray | None,
) -> np.ndarray:
    """The moments of `add` where few cells are in use: of each block of dates only its assets.

    Args:
        X, y, use, shift, by_date, weights: as of `moments`.
    """
    T, N = y.shape
    P = X.shape[2] + 2
    M = np.zeros((T if by_date else N, P, P))
    for start in range(0, T, BLOCK):
        part = slice(start, start + BLOCK)
        listed = np.flatnonzero(use[part].any(axis=0))
        point = _point_of(shift, part)
        if point.shape[1] > 1:
            point = point[:, listed]
        w = of_part(weights, part)
        if w is not None:
            w = w[:, listed]
        x = X[part].take(listed, axis=1)
        target = y[part].take(listed, axis=1)
        used = use[part].take(listed, axis=1)
        of_block = add(x, target, used, point, by_date, w)
        M[part if by_date else listed] += of_block
    return M


@cache
def _blas() -> Any:
    """Keeps the threads of BLAS from our two; the same bits on any number of cores."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def of_part(weights: np.ndarray | None, part: slice) -> np.ndarray | None:
    """The rows of the weights, if there are any."""
    if weights is None:
        return None
    return weights[part]


def _point_of(shift: np.ndarray, part: slice) -> np.ndarray:
    """The point of these dates; the same for all where there is one."""
    if len(shift) == 1:
        return shift
    return shift[part]


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
        stop = min(start + BLOCK, T)
        part = slice(start, stop)
        columns = buffer[: stop - start]
        z = columns.swapaxes(1, 2)
        point = _point_of(shift, part)
        x = X[part].swapaxes(1, 2)
        x_point = point[:, :, :-1]
        x_point = x_point.swapaxes(1, 2)
        y_point = point[:, :, -1]
        x_centred = columns[:, :-1]
        y_centred = columns[:, -1]
        np.subtract(x, x_point, out=x_centred)
        np.subtract(y[part], y_point, out=y_centred)
        used = use[part]
        _zero_unused(z, used)
        w = _weights_in_use(used, of_part(weights, part))
        M[part, 0, 0] += w.sum(axis=1)
        if weights is None:
            M[part, 0, 1:] += columns.sum(axis=2)
        else:
            M[part, 0, 1:] += np.einsum("tnp,tn->tp", z, w)
            root = np.sqrt(w)
            z *= root[:, :, None]
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
    shape = (most, N, P - 1)
    buffer = np.empty(shape)
    for start in range(0, T, BLOCK):
        stop = min(start + BLOCK, T)
        part = slice(start, stop)
        z = buffer[: stop - start]
        used = use[part]
        _side_by_side(X[part], y[part], z)
        z -= _point_of(shift, part)
        _zero_unused(z, used)
        w = _weights_in_use(used, of_part(weights, part))
        M[:, 0, 0] += w.sum(axis=0)
        if weights is None:
            M[:, 0, 1:] += z.sum(axis=0)
        else:
            M[:, 0, 1:] += np.einsum("tnp,tn->np", z, w)
            root = np.sqrt(w)
            z *= root[:, :, None]
        of_asset = z.transpose(1, 0, 2)
        transposed = of_asset.swapaxes(1, 2)
        products += np.matmul(transposed, of_asset)
    M[:, 1:, 1:] = products
    M[:, 1:, 0] = M[:, 0, 1:]
    return M


def _zero_unused(z: np.ndarray, use: np.ndarray) -> None:
    """Set the columns z (B, N, P - 1) to zero in cells that are not in use."""
    if not use.all():
        z[~use] = 0.0


def _weights_in_use(use: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Weights (B, N), zero in cells that are not in use; without weights, which are in use."""
    if weights is None:
        return use
    return np.where(use, weights, 0.0)


def _side_by_side(X: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """Write the regressors and the target of each cell into `out` (T, N, K + 1).

    The regressors as one lump where they lie together, as loops over a few numbers cost more than
    the numbers.
    """
    K = X.shape[2]
    one_lump = K > 0 and X.strides[2] == X.itemsize
    if one_lump and X.dtype == out.dtype:
        size = X.itemsize * K
        lump = f"V{size}"
        cell = [("x", lump), ("y", out.dtype)]
        cells = out.view(cell)
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
    of_units = []
    for own in owns:
        of_assets = M[own]
        of_units.append(of_assets.sum(axis=0))
    return np.array(of_units)


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
    crossed = across + across.T
    whole[1:, 1:] += crossed + both_away
    whole[0, 1:] = columns.sum(axis=0)
    whole[1:, 0] = whole[0, 1:]
    target = P - 1 + L
    others = [*range(P - 1), target]
    own = slice(P - 1, target)
    size = P + L
    grown = np.empty((size, size))
    grown[np.ix_(others, others)] = whole
    with_members = first.T @ member
    grown[others, own] = with_members
    grown[own, others] = with_members.T
    weighted_members = member.T * n
    grown[own, own] = weighted_members @ member
    return grown


def with_zeros(point: np.ndarray, L: int) -> np.ndarray:
    """The point (1, U, P + L - 1) that is 0 in L columns before the target."""
    target = point.shape[2] - 1
    positions = [target] * L
    return np.insert(point, positions, 0.0, axis=2)


def products_summed(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Sums (..., n) of left (..., n, k) times right (n, k) over k; zero where k is zero.

    Of axes without length `numpy.einsum` (2.4) may give what the memory held before.
    """
    if not left.shape[-1]:
        return np.zeros(left.shape[:-1])
    return np.asarray(np.einsum("...nk,nk->...n", left, right))
