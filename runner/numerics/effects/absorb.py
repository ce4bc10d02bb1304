"""Fixed effects by codes: each cell lies in one group of each side, such as its label and date.

With one side what the effects take of a column is its mean in the group. With two sides a and b it
is alpha_a + delta_b, the weighted least-squares fit of both sets of dummies, whose normal equations
reduce to one system in the side with fewer groups:

    (W_a - C' W_b^-1 C) alpha = A - C' W_b^-1 B,    delta = W_b^-1 (B - C alpha)

with A and B the weighted sums of a column in the groups, W their weights, and C (b, a) the weight
of each pair of groups. Letters: n cells in use, P = K + 1 columns [x, y].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from runner.numerics.within import Cells, Solved, Within

# Each pass after the first works on what the one before left, and finds the digits that it lost.
PASSES = 3
KEPT = 1e-4  # share of variation left, at or below which one pass has lost digits


class Side(NamedTuple):
    """One way of grouping cells: codes (T, N) or what broadcasts to it, of so many groups."""

    codes: np.ndarray
    size: int


class Absorbed(NamedTuple):
    """One regression less its effects.

    Attributes:
        within: products of what is left; its alpha and delta are zero.
        cells: the columns less the effects, zero in cells that are not in use.
        effects: of each side (size, P), what is taken of the columns; NaN of a group without cells.
    """

    within: Within
    cells: Cells
    effects: tuple[np.ndarray, ...]


class _Group(NamedTuple):
    """The groups of a side that have cells.

    Attributes:
        code: (n,) group of each cell, counted without gaps.
        used: (G,) their codes among all of the side.
        weight: (G,) sums of the weights.
    """

    code: np.ndarray
    used: np.ndarray
    weight: np.ndarray


@np.errstate(over="ignore", invalid="ignore")  # columns too large for products are refused later
def absorb(cells: Cells, sides: Sequence[Side]) -> Absorbed:
    """Take the effects of one or two sides out of every column."""
    T, N, K = cells.X.shape
    use = cells.use
    Z = np.column_stack([cells.X[use], cells.y[use]])
    w = np.ones(len(Z)) if cells.weights is None else cells.weights[use]
    groups = [_group(np.broadcast_to(side.codes, (T, N))[use], w) for side in sides]
    system = None
    number = sum(len(group.used) for group in groups)
    if len(groups) == 2:
        system = _Two.of(groups[0], groups[1], w)
        number -= len(system.pinned)
    mean = w @ Z / w.sum()
    tss = float(w @ (Z[:, K] - mean[K]) ** 2)
    left = Z
    total = [np.zeros((len(group.used), K + 1)) for group in groups]
    for _ in range(PASSES):
        before = w @ left**2
        steps = _means(left, w, groups) if system is None else system.solve(left, w)
        for k, (group, step) in enumerate(zip(groups, steps, strict=True)):
            total[k] = total[k] + step
            left = left - step[group.code]
        if (w @ left**2 > KEPT * before).all():
            break
    S = left.T @ (left * w[:, None])
    nothing = (np.zeros((N, K + 1)), np.zeros((T, K + 1)))
    within = Within((S + S.T) / 2.0, *nothing, number, tss, w @ Z**2)
    effects = []
    for side, group, values in zip(sides, groups, total, strict=True):
        of_side = np.full((side.size, K + 1), np.nan)
        of_side[group.used] = values
        effects.append(of_side)
    return Absorbed(within, _in_cells(cells, left), tuple(effects))


def _in_cells(cells: Cells, columns: np.ndarray) -> Cells:
    """Columns (n, P) of the cells in use in their places, zero elsewhere."""
    X = np.zeros(cells.X.shape)
    y = np.zeros(cells.y.shape)
    X[cells.use] = columns[:, :-1]
    y[cells.use] = columns[:, -1]
    return Cells(X, y, cells.use, cells.weights)


def _group(codes: np.ndarray, w: np.ndarray) -> _Group:
    used, code = np.unique(codes, return_inverse=True)
    code = code.reshape(-1)
    return _Group(code, used, np.bincount(code, weights=w, minlength=len(used)))


def _sums(columns: np.ndarray, w: np.ndarray, group: _Group) -> np.ndarray:
    """Weighted sums (G, P) of the columns (n, P) in each group."""
    G = len(group.used)
    sums = np.empty((G, columns.shape[1]))
    for j, column in enumerate(columns.T):
        sums[:, j] = np.bincount(group.code, weights=w * column, minlength=G)
    return sums


def _means(columns: np.ndarray, w: np.ndarray, groups: Sequence[_Group]) -> list[np.ndarray]:
    """Weighted means (G, P) in the groups of the one side."""
    return [_sums(columns, w, group) / group.weight[:, None] for group in groups]


class _Two(NamedTuple):
    """The normal equations of two sides of dummies.

    Attributes:
        few, many: the side with fewer groups, and the other.
        swapped: whether `few` is the second side.
        C: sparse (many, few) weights of pairs of groups.
        factor: Cholesky factor of the reduced system.
        pinned: groups of `few` whose effect is zero, one per connected component.
    """

    few: _Group
    many: _Group
    swapped: bool
    C: Any
    factor: Any
    pinned: np.ndarray

    @classmethod
    def of(cls, first: _Group, second: _Group, w: np.ndarray) -> _Two:
        """Set up once for all columns."""
        from scipy.linalg import cho_factor
        from scipy.sparse import coo_array, diags_array

        swapped = len(second.used) < len(first.used)
        few, many = (second, first) if swapped else (first, second)
        shape = (len(many.used), len(few.used))
        C = coo_array((w, (many.code, few.code)), shape=shape).tocsr()
        G = np.diag(few.weight) - (C.T @ diags_array(1.0 / many.weight) @ C).toarray()
        pinned = _first_of_each_component(C)
        G[pinned] = 0.0
        G[:, pinned] = 0.0
        G[pinned, pinned] = 1.0
        return cls(few, many, swapped, C, cho_factor(G, lower=True), pinned)

    def solve(self, columns: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
        """Effects of the first side and of the second, of the columns (n, P)."""
        from scipy.linalg import cho_solve

        A = _sums(columns, w, self.few)
        B = _sums(columns, w, self.many)
        many_weight = self.many.weight[:, None]
        right = A - self.C.T @ (B / many_weight)
        right[self.pinned] = 0.0
        alpha = cho_solve(self.factor, right)
        delta = (B - self.C @ alpha) / many_weight
        return [delta, alpha] if self.swapped else [alpha, delta]


def _first_of_each_component(C: Any) -> np.ndarray:
    """The first column of each connected component of the pairs; effects are relative to it."""
    from scipy.sparse import block_array
    from scipy.sparse.csgraph import connected_components

    rows = C.shape[0]
    graph = block_array([[None, C], [C.T, None]])
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component[rows:], return_index=True)
    return first


def refined_beside(one: Solved, absorbed: Absorbed, sides: Sequence[Side]) -> Solved:
    """The solution after a step on its residuals, which finds digits that the products lost."""
    K = len(one.b)
    left = absorbed.cells
    u = left.y - left.X @ one.b
    S = absorb(left._replace(y=u), sides).within.S
    xu = S[:K, K]
    step = one.bread @ xu
    ssr = float(S[K, K] - step @ xu)
    return one._replace(b=one.b + step, ssr=max(ssr, 0.0), sound=True)


def nested(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether every group of `inner` lies in one group of `outer`, codes (n,) of the same cells."""
    pairs = np.unique(np.column_stack([inner, outer]), axis=0)
    return len(pairs) == len(np.unique(inner))
