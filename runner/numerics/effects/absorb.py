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

from runner.numerics.effects.cells import AnyCells
from runner.numerics.effects.within import Solved, Within

# Each pass after the first works on what the one before left, and finds the digits that it lost.
PASSES = 3
KEPT = 1e-4  # share of variation left, at or below which one pass has lost digits


class Side(NamedTuple):
    """One way of grouping cells: codes (T, N) or what broadcasts to it, of so many groups."""

    codes: np.ndarray
    size: int

    def at(self, t: np.ndarray, i: np.ndarray) -> np.ndarray:
        """Codes (n,) of cells by the positions of their dates and assets."""
        dates, assets = self.codes.shape
        codes = self.codes[t if dates > 1 else 0, i if assets > 1 else 0]
        return np.broadcast_to(codes, t.shape)


class Absorbed(NamedTuple):
    """One regression less its effects.

    Attributes:
        within: products of what is left; its alpha and delta are zero.
        cells: the columns less the effects, zero in cells that are not in use.
        effects: of each side (size, P), what is taken of the columns; NaN of a group without cells.
    """

    within: Within
    cells: AnyCells
    effects: tuple[np.ndarray, ...]


class _Group(NamedTuple):
    """The groups of a side that have cells.

    Attributes:
        code: (n,) group of each cell, counted without gaps.
        used: (G,) their codes among all of the side.
        weight: (G,) sums of the weights.
        size: how many groups the side has.
    """

    code: np.ndarray
    used: np.ndarray
    weight: np.ndarray
    size: int


@np.errstate(over="ignore", invalid="ignore")  # columns too large for products are refused later
def absorb(cells: AnyCells, sides: Sequence[Side]) -> Absorbed:
    """Take the effects of one or two sides out of every column."""
    Z = cells.in_use()
    weights = cells.weights_in_use()
    w = np.ones(len(Z)) if weights is None else weights
    t, i = cells.places()
    groups = [_group(side.at(t, i), w, side.size) for side in sides]
    first = groups[0]
    if len(groups) == 2:
        second = groups[1]
        system: _One | _Two = _Two.of(first, second, w)
    else:
        system = _One(first)
    effects = []
    columns = Z.shape[1]
    for group in groups:
        used = len(group.used)
        effects.append(np.zeros((used, columns)))
    left = Z
    for _ in range(PASSES):
        squared = left**2
        before = w @ squared
        steps = system.solve(left, w)
        for k, step in enumerate(steps):
            effects[k] += step
            code = groups[k].code
            left = left - step[code]
        squared_after = left**2
        after = w @ squared_after
        least = KEPT * before
        digits_kept = after > least
        if digits_kept.all():
            break
    within = _products(Z, left, w, system.absorbed, cells)
    of_sides = list(map(_of_side, groups, effects))
    all_sides = tuple(of_sides)
    return Absorbed(within, cells.of_columns(left), all_sides)


def _products(
    Z: np.ndarray, left: np.ndarray, w: np.ndarray, absorbed: int, cells: AnyCells
) -> Within:
    """Products of what is left of the columns Z (n, P)."""
    T, N = cells.shape
    P = Z.shape[1]
    weighted = left * w[:, None]
    S = left.T @ weighted
    both_ways = S + S.T
    symmetric = both_ways / 2.0
    y = Z[:, -1]
    mean = np.average(y, weights=w)
    deviation = y - mean
    return Within(
        S=symmetric,
        alpha=np.zeros((N, P)),
        delta=np.zeros((T, P)),
        absorbed=absorbed,
        tss=float(w @ deviation**2),
        squares=w @ Z**2,
    )


def _of_side(group: _Group, values: np.ndarray) -> np.ndarray:
    """Effects (G, P) of the groups with cells among all of their side (size, P), NaN elsewhere."""
    shape = (group.size, values.shape[1])
    effects = np.full(shape, np.nan)
    effects[group.used] = values
    return effects


def _group(codes: np.ndarray, w: np.ndarray, size: int) -> _Group:
    cells = np.bincount(codes, minlength=size)
    used = np.flatnonzero(cells)
    position = np.zeros(size, dtype=np.intp)
    number_used = len(used)
    number = np.arange(number_used)
    position[used] = number
    code = position[codes]
    weight = np.bincount(code, weights=w)
    return _Group(code, used, weight, size)


def _sums(columns: np.ndarray, w: np.ndarray, group: _Group) -> np.ndarray:
    """Weighted sums (G, P) of the columns (n, P) in each group."""
    shape = (len(group.used), columns.shape[1])
    sums = np.empty(shape)
    for j, column in enumerate(columns.T):
        sums[:, j] = np.bincount(group.code, weights=w * column)
    return sums


class _One(NamedTuple):
    """The normal equations of one side of dummies."""

    group: _Group

    @property
    def absorbed(self) -> int:
        """Effects that take degrees of freedom."""
        return len(self.group.used)

    def solve(self, columns: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
        """Effects (G, P) of the columns (n, P): weighted means in the groups."""
        sums = _sums(columns, w, self.group)
        weight = self.group.weight[:, None]
        return [sums / weight]


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

        few = first
        many = second
        first_used = len(first.used)
        second_used = len(second.used)
        swapped = second_used < first_used
        if swapped:
            few = second
            many = first
        pairs = (many.code, few.code)
        C = coo_array((w, pairs)).tocsr()
        reciprocal = 1.0 / many.weight
        inverse = diags_array(reciprocal)
        half = C.T @ inverse
        between = half @ C
        G = np.diag(few.weight) - between.toarray()
        pinned = _first_of_each_component(C)
        G[pinned] = 0.0
        G[:, pinned] = 0.0
        G[pinned, pinned] = 1.0
        factor = cho_factor(G, lower=True)
        return cls(few, many, swapped, C, factor, pinned)

    @property
    def absorbed(self) -> int:
        """Effects that take degrees of freedom."""
        few = len(self.few.used)
        many = len(self.many.used)
        groups = few + many
        pinned = len(self.pinned)
        return groups - pinned

    def solve(self, columns: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
        """Effects of the first side and of the second, of the columns (n, P)."""
        from scipy.linalg import cho_solve

        A = _sums(columns, w, self.few)
        B = _sums(columns, w, self.many)
        many_weight = self.many.weight[:, None]
        means = B / many_weight
        of_many = self.C.T @ means
        right = A - of_many
        right[self.pinned] = 0.0
        alpha = cho_solve(self.factor, right)
        sums_of_few = self.C @ alpha
        of_few = sums_of_few / many_weight
        delta = means - of_few
        if self.swapped:
            return [delta, alpha]
        return [alpha, delta]


def _first_of_each_component(C: Any) -> np.ndarray:
    """The first column of each connected component of the pairs; effects are relative to it."""
    from scipy.sparse import block_array
    from scipy.sparse.csgraph import connected_components

    rows = C.shape[0]
    blocks = [[None, C], [C.T, None]]
    graph = block_array(blocks)
    _, component = connected_components(graph, directed=False)
    component_of_columns = component[rows:]
    _, first = np.unique(component_of_columns, return_index=True)
    return first


def refined_beside(solved: Solved, absorbed: Absorbed, sides: Sequence[Side]) -> Solved:
    """The solution after a step on its residuals, which finds digits that the products lost."""
    K = len(solved.b)
    residuals = absorbed.cells.less(solved.b)
    within = absorb(residuals, sides).within
    S = within.S
    xu = S[:K, K]
    step = solved.bread @ xu
    ssr = float(S[K, K] - step @ xu)
    slopes = solved.b + step
    return solved._replace(b=slopes, ssr=max(ssr, 0.0), sound=True)


def nested(inner: np.ndarray, outer: np.ndarray) -> bool:
    """Whether every group of `inner` lies in one group of `outer`, codes (n,) of the same cells."""
    columns = [inner, outer]
    both = np.column_stack(columns)
    pairs = np.unique(both, axis=0)
    groups = np.unique(inner)
    different = len(pairs)
    return different == len(groups)
