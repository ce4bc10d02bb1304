"""Least squares beside fixed effects of assets, dates or both, balanced or not, from sums.

What the effects take from a column z (T, N) is alpha_i + delta_t, the weighted least-squares fit of
dummies. With sums over dates A = sum_t w z and over assets D = sum_i w z, the dummies' normal
equations reduce to one system in the shorter of the two sides, so that every column costs one pass
and no iteration:

    (W_N - C' W_T^-1 C) alpha = A - C' W_T^-1 D,    delta = W_T^-1 (D - C alpha),    C = w (T, N)

Products of what is left are those of the columns less A' alpha + D' delta (Frisch and Waugh 1933).
Letters: P = K + 1 columns [x, y].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from runner.numerics.effects.cells import AnyCells
from runner.numerics.least_squares import LARGEST, NotEstimable, collinear_terms, refuse_outsized
from runner.numerics.moments import halves
from runner.numerics.normal_equations import CONDITION, UNEXPLAINED

# Share of a column's variation left by the effects, at or below which one pass has lost digits.
KEPT = 1e-4
# Each pass after the first works on what the one before left, and finds the digits that it lost.
PASSES = 3
ROWS = 2048  # of a sparse table whose products are summed at a time
ABSORBED = 1e-20  # share of variation below which nothing is left of a column
RANK = 1e-9  # smallest eigenvalue of the correlations, relative to the largest


class Within(NamedTuple):
    """What the effects leave of the columns [x, y], and the effects of each column.

    Attributes:
        S: (K + 1, K + 1) products of what is left.
        alpha, delta: effects of assets (N, K + 1) and dates (T, K + 1), zeros where there are none.
        absorbed: effects that take degrees of freedom.
        tss: sum of squares of y about its mean.
        squares: (K + 1,) sums of squares of the columns.
    """

    S: np.ndarray
    alpha: np.ndarray
    delta: np.ndarray
    absorbed: int
    tss: float
    squares: np.ndarray


class Solved(NamedTuple):
    """Slopes beside the effects.

    Attributes:
        b: (K,) slopes.
        bread: (K, K) inverse of the products of what is left of x.
        ssr: sum of squared residuals.
        sound: whether the products kept the digits of these.
    """

    b: np.ndarray
    bread: np.ndarray
    ssr: float
    sound: bool


# Columns too large for products are refused by `solve`.
@np.errstate(over="ignore", invalid="ignore")
def within(cells: AnyCells, effects: Sequence[str]) -> Within:
    """Take the effects out of every column.

    Args:
        cells: the columns.
        effects: "asset", "date" or both.
    """
    T, N = cells.shape
    shift = cells.point()
    K = len(shift) - 1
    dummies = Dummies.of(cells, effects)
    point = (N, 1)
    alpha = np.tile(shift, point)
    shape = (T, K + 1)
    delta = np.zeros(shape)
    for number in range(PASSES):
        S, A, D = _sums(cells, alpha, delta)
        if number == 0:
            variation = np.diag(S)
            mean = A.sum(axis=0) / dummies.total
            total = dummies.total
            y_mean = mean[K]
            of_mean = total * y_mean**2
            tss = float(S[K, K] - of_mean)
            twice_centred = 2.0 * mean + shift
            squares = variation + total * shift * twice_centred
        alpha_step, delta_step = dummies.solve(A, D)
        alpha = alpha + alpha_step
        delta = delta + delta_step
        of_assets = A.T @ alpha_step
        of_dates = D.T @ delta_step
        S = S - of_assets - of_dates
        left = np.diag(S)
        digits_kept = left > KEPT * variation
        if digits_kept.all():
            break
        variation = np.maximum(left, 0.0)
    symmetric = (S + S.T) / 2.0
    return Within(symmetric, alpha, delta, dummies.absorbed, tss, squares)


def _sums(
    cells: AnyCells, alpha: np.ndarray, delta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products and sums of the columns less the effects.

    Returns:
        Products S (P, P), sums over dates A (N, P) and sums over assets D (T, P).
    """
    T = len(delta)

    def sums_of_rows(rows: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return cells.sums(alpha, delta, rows)

    parts = halves(T, sums_of_rows)
    S_parts, A_parts, D_parts = zip(*parts, strict=True)
    S = np.asarray(sum(S_parts))
    A = np.asarray(sum(A_parts))
    D = np.concatenate(D_parts)
    return S, A.T, D


class Dummies(NamedTuple):
    """The normal equations of the dummies.

    Attributes:
        asset, date: weights of each asset (N,) and date (T,), None where a side has no effects.
        cells: (T, N) weights, an array or a sparse one; None where the reduced system is not
            needed.
        pinned: effects of the shorter side that are set to zero, one per component of the table.
        factor: Cholesky factor of the reduced system, None where it is not needed.
        absorbed: effects that take degrees of freedom.
        total: sum of the weights.
    """

    asset: np.ndarray | None
    date: np.ndarray | None
    cells: Any
    pinned: np.ndarray
    factor: tuple[np.ndarray, bool] | None
    absorbed: int
    total: float

    @classmethod
    def of(cls, cells: AnyCells, effects: Sequence[str]) -> Dummies:
        """Set up once for all columns."""
        T, N = cells.shape
        if cells.balanced:
            w = None
            asset = np.full(N, float(T))
            date = np.full(T, float(N))
        else:
            w = cells.table
            asset = w.sum(axis=0)
            date = w.sum(axis=1)
        has_cells = asset > 0
        assets = int(has_cells.sum())
        has_cells = date > 0
        dates = int(has_cells.sum())
        total = float(asset.sum())
        none = np.empty(0, dtype=int)
        if len(effects) == 1:
            if effects[0] == "asset":
                return cls(asset, None, None, none, None, assets, total)
            return cls(None, date, None, none, None, dates, total)
        if w is None:
            absorbed = N + T - 1
            return cls(asset, date, None, none, None, absorbed, total)
        if N > T:
            pinned = _first_of_each_component(w.T)
            factor = _factor(w.T, pinned)
        else:
            pinned = _first_of_each_component(w)
            factor = _factor(w, pinned)
        absorbed = assets + dates - len(pinned)
        return cls(asset, date, w, pinned, factor, absorbed, total)

    def solve(self, A: np.ndarray, D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Effects of assets (N, P) and of dates (T, P) from the sums of each column."""
        if self.date is None:
            alpha = _over(A, self.asset)
            return alpha, np.zeros_like(D)
        if self.asset is None:
            delta = _over(D, self.date)
            return np.zeros_like(A), delta
        if self.factor is None or self.cells is None:
            # every cell in use, equal weights: means
            N = len(A)
            T = len(D)
            total = D.sum(axis=0)
            grand_mean = total / T / N
            asset_mean = A / T
            date_mean = D / N
            return asset_mean - grand_mean, date_mean
        C = self.cells
        N = len(self.asset)
        T = len(self.date)
        if N > T:
            delta = _reduced(self.factor, C.T, self.asset, D, A, self.pinned)
            alpha_sums = A - C.T @ delta
            alpha = _over(alpha_sums, self.asset)
        else:
            alpha = _reduced(self.factor, C, self.date, A, D, self.pinned)
            delta_sums = D - C @ alpha
            delta = _over(delta_sums, self.date)
        return alpha, delta


def _factor(C: Any, pinned: np.ndarray) -> tuple[np.ndarray, bool]:
    """Cholesky factor of W_N - C' W_T^-1 C, with the rows and columns that have no effect of 1."""
    row_weights = C.sum(axis=1)
    positive = np.where(row_weights > 0.0, row_weights, 1.0)
    root = np.sqrt(positive)
    column_weights = C.sum(axis=0)
    products = _products(C, root)
    G = np.diag(column_weights) - products
    zero = _zero_effects(C, pinned)
    G[zero] = 0.0
    G[:, zero] = 0.0
    G[zero, zero] = 1.0
    return cho_factor(G, lower=True, overwrite_a=True)


def _products(C: Any, root: np.ndarray) -> np.ndarray:
    """Products (M, M) of the columns of C, its rows divided by the roots."""
    if isinstance(C, np.ndarray):
        scaled = C / root[:, None]
        return np.asarray(scaled.T @ scaled)
    products = np.zeros((C.shape[1], C.shape[1]))
    rows = C.tocsr()
    for first in range(0, C.shape[0], ROWS):
        own = slice(first, first + ROWS)
        scaled = rows[own].toarray() / root[own, None]
        products += scaled.T @ scaled
    return products


def _zero_effects(C: Any, pinned: np.ndarray) -> np.ndarray:
    """Columns of C whose effect is set to zero: pinned ones, and those without a cell."""
    column_weights = C.sum(axis=0)
    without_cells = np.flatnonzero(column_weights == 0.0)
    return np.append(pinned, without_cells)


def _reduced(
    factor: tuple[np.ndarray, bool],
    C: Any,
    row_weights: np.ndarray,
    column_sums: np.ndarray,
    row_sums: np.ndarray,
    pinned: np.ndarray,
) -> np.ndarray:
    """Effects of the columns of C from the sums of both sides."""
    row_means = _over(row_sums, row_weights)
    right = column_sums - C.T @ row_means
    zero = _zero_effects(C, pinned)
    right[zero] = 0.0
    return cho_solve(factor, right)


def _over(sums: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Sums (M, P) over their weights (M,), zero where there is none."""
    weights = np.asarray(weights)
    divisor = np.where(weights > 0.0, weights, 1.0)
    return sums / divisor[:, None]


def _first_of_each_component(weights: Any) -> np.ndarray:
    """The first column of each connected component of the table; effects are relative to it."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    T, N = weights.shape
    if isinstance(weights, np.ndarray) and weights.all(axis=1).any():  # it connects every column
        return np.array([0])
    t, i = weights.nonzero()
    nodes = T + N  # rows first, then columns; a cell is an edge
    edges = np.ones(len(t), dtype=np.int8)
    ends = (t, T + i)
    graph = coo_array((edges, ends), shape=(nodes, nodes))
    _, component = connected_components(graph, directed=False)
    used = np.unique(i)
    component_of_used = component[T + used]
    _, first = np.unique(component_of_used, return_index=True)
    return used[first]


def solve(left: Within, cells: AnyCells, terms: Sequence[str]) -> Solved:
    """Slopes beside the effects.

    Raises:
        NotEstimable: too few rows, a target or columns that the effects absorb, collinear columns,
            which are named.
    """
    K = len(terms)
    n = cells.n
    least = K + left.absorbed + 1
    if n < least:
        needed = f"{K} terms and {left.absorbed} effects"
        raise NotEstimable(f"{n} rows for {needed}; needs at least {least}")
    _refuse_outsized(left, cells, terms)
    _refuse_absorbed(left, terms)
    variation = np.diag(left.S)
    length = np.sqrt(variation)
    lengths = np.outer(length, length)
    correlations = left.S / lengths
    Rxx = correlations[:K, :K]
    rxy = correlations[:K, K]
    eigenvalues = _eigenvalues(Rxx, terms)
    inverse = np.linalg.inv(Rxx)
    beta = inverse @ rxy
    explained_share = float(beta @ rxy)
    unexplained = max(1.0 - explained_share, 0.0)
    smallest = eigenvalues[0]
    largest = eigenvalues[-1]
    conditioned = bool(smallest > CONDITION * largest)
    sound = conditioned and unexplained > UNEXPLAINED
    x_length = length[:K]
    y_length = length[K]
    b = beta * y_length / x_length
    x_lengths = np.outer(x_length, x_length)
    bread = inverse / x_lengths
    tss_left = float(variation[K])
    return Solved(b, bread, tss_left * unexplained, sound)


def _refuse_outsized(left: Within, cells: AnyCells, terms: Sequence[str]) -> None:
    """Refuse columns whose squares may not fit; they are looked at row by row only then."""
    not_small = left.squares > LARGEST**-2
    not_large = left.squares < LARGEST**2
    if (not_small & not_large).all():
        return
    target_first = np.roll(cells.in_use(), 1, axis=1)
    refuse_outsized(target_first, ["the target", *terms])


def _refuse_absorbed(left: Within, terms: Sequence[str]) -> None:
    """Refuse columns of which the effects leave nothing."""
    variation = np.diag(left.S)
    absorbed = variation <= ABSORBED * left.squares
    columns = [*terms, "the target"]
    names = [columns[j] for j in np.flatnonzero(absorbed)]
    if names:
        listed = ", ".join(names)
        verb = "is" if len(names) == 1 else "are"
        raise NotEstimable(f"{listed} {verb} absorbed by the effects")


def _eigenvalues(correlations: np.ndarray, terms: Sequence[str]) -> np.ndarray:
    """Eigenvalues (K,) of what is left of the regressors, increasing; refuses collinear ones."""
    if not len(correlations):
        return np.ones(1)
    values, vectors = np.linalg.eigh(correlations)
    largest = values[-1]
    null = values <= RANK * largest
    if null[0]:
        combinations = vectors[:, null].T
        names = collinear_terms(combinations, terms)
        listed = ", ".join(names)
        raise NotEstimable(f"collinear beside the effects: {listed}")
    return values


def refined(solved: Solved, cells: AnyCells, effects: Sequence[str]) -> Solved:
    """The solution after a step on its residuals, which finds digits that the products lost."""
    K = len(solved.b)
    S = within(cells.less(solved.b), effects).S
    xu = S[:K, K]
    step = solved.bread @ xu
    ssr = float(S[K, K] - step @ xu)
    slopes = solved.b + step
    return solved._replace(b=slopes, ssr=max(ssr, 0.0), sound=True)
