"""Least squares beside fixed effects of assets, dates or both, balanced or not, from sums.

What the effects take from a column z (T, N) is alpha_i + delta_t, the weighted least-squares fit of
dummies. With sums over dates A = sum_t w z and over assets D = sum_i w z, the dummies' normal
equations reduce to one system in the shorter of the two sides, so that every column costs one pass
and no iteration:

    (W_N - C' W_T^-1 C) alpha = A - C' W_T^-1 D,    delta = W_T^-1 (D - C alpha),    C = w (T, N)

Products of what is left are those of the columns less A' alpha + D' delta (Frisch and Waugh 1933).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from runner.numerics.least_squares import LARGEST, NotEstimable, refuse_outsized
from runner.numerics.moments import CONDITION, UNEXPLAINED, halves, shift_of

BLOCK = 16  # dates at a time
# share of a column's variation beyond which what the effects leave has lost digits in one pass
KEPT = 1e-4
PASSES = (
    3  # each after the first works on what the one before left, and finds the digits that it lost
)
ABSORBED = 1e-20  # share of variation below which nothing is left of a column
RANK = 1e-9  # smallest eigenvalue of the correlations, relative to the largest


class Cells(NamedTuple):
    """Regressors X (T, N, K), target y (T, N), cells in use (T, N), and weights (T, N) or None."""

    X: np.ndarray
    y: np.ndarray
    use: np.ndarray
    weights: np.ndarray | None

    def blocks(self, rows: slice) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
        """Columns [x, y] (B, K + 1, N) of each block of these dates, and weights (B, N)."""
        _, N, K = self.X.shape
        buffer = np.empty((BLOCK, K + 1, N))
        for start in range(rows.start, rows.stop, BLOCK):
            part = slice(start, min(start + BLOCK, rows.stop))
            z = buffer[: part.stop - start]
            z[:, :K], z[:, K] = self.X[part].swapaxes(1, 2), self.y[part]
            yield (
                part,
                z,
                None if self.weights is None else np.where(self.use[part], self.weights[part], 0.0),
            )

    @property
    def counts(self) -> np.ndarray:
        """Weights (T, N), zero in cells that are not in use."""
        return (
            self.use.astype(float)
            if self.weights is None
            else np.where(self.use, self.weights, 0.0)
        )


class Within(NamedTuple):
    """What the effects leave: products S (K + 1, K + 1) of the columns [x, y], and the effects of
    each column.

    alpha (N, K + 1) of assets and delta (T, K + 1) of dates, zeros where there are none; `absorbed`
    counts the effects that take degrees of freedom, tss is that of y about its mean, squares (K +
    1,) are those of the columns.
    """

    S: np.ndarray
    alpha: np.ndarray
    delta: np.ndarray
    absorbed: int
    tss: float
    squares: np.ndarray


class Solved(NamedTuple):
    """Slopes b (K,), inverse (K, K) of the products of what is left of x, the sum of squared
    residuals, and whether the products kept the digits of these."""

    b: np.ndarray
    bread: np.ndarray
    ssr: float
    sound: bool


@np.errstate(
    over="ignore", invalid="ignore"
)  # columns too large for products are refused by `solve`
def within(cells: Cells, effects: Sequence[str], shift: np.ndarray) -> Within:
    """Take the effects out of every column; `shift` (K + 1,) is a point amid the columns, where
    rounding is least.
    """
    T, N, K = cells.X.shape
    dummies = Dummies.of(cells, effects)
    alpha, delta = np.tile(shift, (N, 1)), np.zeros((T, K + 1))
    for number in range(PASSES):
        S, A, D = _sums(cells, alpha, delta)
        if number == 0:
            total, mean = np.diag(S), A.sum(axis=0) / dummies.total
            tss = float(S[K, K] - dummies.total * mean[K] ** 2)
            squares = total + dummies.total * shift * (2.0 * mean + shift)
        a, d = dummies.solve(A, D)
        alpha, delta = alpha + a, delta + d
        S = S - A.T @ a - D.T @ d
        if (np.diag(S) > KEPT * total).all():
            break
        total = np.maximum(np.diag(S), 0.0)
    return Within((S + S.T) / 2.0, alpha, delta, dummies.absorbed, tss, squares)


def _sums(
    cells: Cells, alpha: np.ndarray, delta: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products S (P, P) and sums over dates A (N, P) and over assets D (T, P) of the columns less
    the effects.
    """
    parts = halves(len(delta), lambda rows: _sums_of(cells, alpha, delta, rows))
    S, A = (np.asarray(sum(part[j] for part in parts)) for j in (0, 1))
    return S, A.T, np.concatenate([part[2] for part in parts])


@np.errstate(over="ignore", invalid="ignore")
def _sums_of(
    cells: Cells, alpha: np.ndarray, delta: np.ndarray, rows: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (N, P), again = alpha.shape, bool(delta.any())
    S, A, D = np.zeros((P, P)), np.zeros((P, N)), np.empty((rows.stop - rows.start, P))
    for part, z, w in cells.blocks(rows):
        z -= alpha.T
        if again:
            z -= delta[part, :, None]
        if not cells.use[part].all():
            z.swapaxes(1, 2)[~cells.use[part]] = 0.0
        weighted = z if w is None else z * w[:, None]
        S += np.matmul(z, weighted.swapaxes(1, 2)).sum(axis=0)
        A += weighted.sum(axis=0)
        D[part.start - rows.start : part.stop - rows.start] = weighted.sum(axis=2)
    return S, A, D


class Dummies(NamedTuple):
    """The normal equations of the dummies: weights of each asset (N,) and date (T,), None where a
    side has no effects; those of each cell (T, N) and the factor of the reduced system, None where
    they are not needed."""

    asset: np.ndarray | None
    date: np.ndarray | None
    cells: np.ndarray | None
    pinned: np.ndarray
    factor: tuple[np.ndarray, bool] | None
    absorbed: int
    total: float

    @classmethod
    def of(cls, cells: Cells, effects: Sequence[str]) -> Dummies:
        """Set up once for all columns."""
        balanced = cells.weights is None and bool(cells.use.all())
        w = None if balanced else cells.counts
        T, N = cells.use.shape
        n, t = (
            (np.full(N, float(T)), np.full(T, float(N)))
            if w is None
            else (w.sum(axis=0), w.sum(axis=1))
        )
        used, dates, none = int((n > 0).sum()), int((t > 0).sum()), np.empty(0, dtype=int)
        if len(effects) == 1:
            asset = effects[0] == "asset"
            sides = (n, None, used) if asset else (None, t, dates)
            return cls(sides[0], sides[1], None, none, None, sides[2], float(n.sum()))
        if w is None:
            return cls(n, t, None, none, None, N + T - 1, float(n.sum()))
        flipped = N > T
        pinned = _first_of_each_component(cells.use.T if flipped else cells.use)
        factor = _factor(w.T if flipped else w, pinned)
        return cls(n, t, w, pinned, factor, used + dates - len(pinned), float(n.sum()))

    def solve(self, A: np.ndarray, D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Effects of assets (N, P) and of dates (T, P) from the sums of each column."""
        if self.date is None:
            return _over(A, self.asset), np.zeros_like(D)
        if self.asset is None:
            return np.zeros_like(A), _over(D, self.date)
        if self.factor is None or self.cells is None:  # every cell in use, equal weights: means
            return A / len(D) - D.sum(axis=0) / D.shape[0] / A.shape[0], D / len(A)
        if len(self.asset) > len(self.date):
            delta = _reduced(self.factor, self.cells.T, self.asset, D, A, self.pinned)
            return _over(A - self.cells.T @ delta, self.asset), delta
        alpha = _reduced(self.factor, self.cells, self.date, A, D, self.pinned)
        return alpha, _over(D - self.cells @ alpha, self.date)


def _factor(C: np.ndarray, pinned: np.ndarray) -> tuple[np.ndarray, bool]:
    """Cholesky factor of the system of the columns of C, rows eliminated, one column pinned per
    component.
    """
    other = C.sum(axis=1)
    scaled = C / np.sqrt(np.where(other > 0.0, other, 1.0))[:, None]
    G = np.diag(C.sum(axis=0)) - scaled.T @ scaled
    still = np.append(pinned, np.flatnonzero(C.sum(axis=0) == 0.0))
    G[still], G[:, still] = 0.0, 0.0
    G[still, still] = 1.0
    return cho_factor(G, lower=True, overwrite_a=True)


def _reduced(
    factor: tuple[np.ndarray, bool],
    C: np.ndarray,
    other: np.ndarray,
    own: np.ndarray,
    theirs: np.ndarray,
    pinned: np.ndarray,
) -> np.ndarray:
    """Effects of the columns of C from the sums of both sides."""
    right = own - C.T @ _over(theirs, other)
    right[np.append(pinned, np.flatnonzero(C.sum(axis=0) == 0.0))] = 0.0
    return cho_solve(factor, right)


def _over(sums: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Sums (M, P) over their weights (M,), zero where there is none."""
    weights = np.asarray(weights)
    return sums / np.where(weights > 0.0, weights, 1.0)[:, None]


def _first_of_each_component(use: np.ndarray) -> np.ndarray:
    """A column of each part of the table that hangs together through its cells: its effects are
    only relative.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    T, N = use.shape
    full = np.flatnonzero(use.all(axis=1))
    if len(full):
        return np.array([0])
    t, i = np.nonzero(use)
    graph = coo_array((np.ones(len(t), dtype=np.int8), (t, T + i)), shape=(T + N, T + N))
    _, part = connected_components(graph, directed=False)
    own = np.flatnonzero(use.any(axis=0))
    return own[np.unique(part[T + own], return_index=True)[1]]


def solve(found: Within, cells: Cells, terms: Sequence[str]) -> Solved:
    """Slopes beside the effects.

    Raises:
        NotEstimable: too few rows, a target or columns that the effects absorb, collinear columns,
            which are named.
    """
    K, n = len(terms), int(cells.use.sum())
    if n <= K + found.absorbed:
        raise NotEstimable(
            f"{n} rows for {K} terms and {found.absorbed} effects; needs at least {K + found.absorbed + 1}"
        )
    if not ((found.squares > LARGEST**-2) & (found.squares < LARGEST**2)).all():
        columns = np.column_stack([cells.y[cells.use], cells.X[cells.use]])
        refuse_outsized(columns, ["the target", *terms])
    left = np.diag(found.S)
    gone = [
        name
        for name, one, of in zip([*terms, "the target"], left, found.squares, strict=True)
        if one <= ABSORBED * of
    ]
    if gone:
        raise NotEstimable(
            f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} absorbed by the effects"
        )
    length = np.sqrt(left)
    unit = found.S / np.outer(length, length)
    eigen, vectors = np.linalg.eigh(unit[:K, :K]) if K else (np.ones(1), np.ones((1, 1)))
    if eigen[0] <= RANK * eigen[-1]:
        weight = np.abs(vectors[:, eigen <= RANK * eigen[-1]]).max(axis=1)
        names = [term for term, one in zip(terms, weight, strict=True) if one > 1e-3 * weight.max()]
        raise NotEstimable(f"collinear beside the effects: {', '.join(names)}")
    inverse = np.linalg.inv(unit[:K, :K])
    slope = inverse @ unit[:K, K]
    unexplained = max(1.0 - float(slope @ unit[:K, K]), 0.0)
    sound = bool(eigen[0] > CONDITION * eigen[-1]) and unexplained > UNEXPLAINED
    bread, b = inverse / np.outer(length[:K], length[:K]), slope * length[K] / length[:K]
    return Solved(b, bread, float(left[K]) * unexplained, sound)


def refined(one: Solved, cells: Cells, effects: Sequence[str]) -> Solved:
    """The same after a step on its residuals, which finds the digits again that the products
    lost.
    """
    K = len(one.b)
    with np.errstate(
        invalid="ignore", over="ignore"
    ):  # cells that are not in use may hold anything
        residuals = cells._replace(y=cells.y - cells.X @ one.b)
    S = within(residuals, effects, shift_of(cells.X, residuals.y, cells.use)[0, 0]).S
    step = one.bread @ S[:K, K]
    return one._replace(b=one.b + step, ssr=max(float(S[K, K] - step @ S[:K, K]), 0.0), sound=True)
