"""LASSO paths of many targets on one design, exact from knot to knot.

Osborne, Presnell and Turlach (2000); Efron, Hastie, Johnstone and Tibshirani (2004), with the
LASSO's modification. Minimises, as scikit-learn does, |y - X b|^2 / (2 n) + alpha |b|_1 for every
alpha at once: b is linear in alpha between knots, at each of which a regressor joins or leaves.
Targets take their steps together, so that the work is products of matrices. Letters: X (n, p) the
design and y (N, n) the targets, centred; Z (m, p) rows to evaluate; lam = n alpha, the largest
absolute correlation with the residual; k active regressors, K their most.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

# share of a column's square that active ones leave, below which it joins no more: rounding
COLLINEAR = 1e-10
NOISE = 1e-12  # of the rate at which a correlation nears the others: below it the two move as one
REFINED = 1e-13  # error of the equiangular condition from which on the direction is refined once
MOST_STEPS = 20  # of a path, times n: paths of random designs take about 2 n
JITTER = 1e-9  # share by which columns are made longer or shorter where ties part no other way
BLOCK = 100  # targets at a time
COMPACT = 0.85  # of the targets still on their way: below it the others are put away
END, JOIN, LEAVE = range(3)  # what comes first while lam falls


class Knots(NamedTuple):
    """Where paths bend.

    Attributes:
        lam: (S, N) falling; a path that has ended repeats its last knot.
        values: (S, N, m) Z b at the knots.
        terms: (S, N) regressors that are active below the knot.
        ended: (N,) whether the path was followed to its end.
    """

    lam: np.ndarray
    values: np.ndarray
    terms: np.ndarray
    ended: np.ndarray

    def at(self, lam: np.ndarray) -> np.ndarray:
        """Z b (N, L, m) at lam (N, L), down to the last knot; zero above the first."""
        below = self._below(lam)
        above = np.maximum(below - 1, 0)
        N = len(lam)
        target = np.arange(N)[:, None]
        high = self.lam[above, target]
        low = self.lam[below, target]
        with np.errstate(divide="ignore", invalid="ignore"):
            fallen = (high - lam) / (high - low)
            share = np.where(high > low, fallen, 0.0)
            share = share.clip(0.0, 1.0)
        share = share[:, :, None]
        values_above = self.values[above, target]
        values_below = self.values[below, target]
        share_above = 1.0 - share
        return values_above * share_above + values_below * share

    def terms_at(self, lam: np.ndarray) -> np.ndarray:
        """Active regressors (N, L) at lam (N, L)."""
        below = self._below(lam)
        above = np.maximum(below - 1, 0)
        N = len(lam)
        target = np.arange(N)[:, None]
        terms = self.terms[above, target]
        first_knot = self.lam[0]
        passed = lam < first_knot[:, None]
        return np.where(passed, terms, 0)

    def _below(self, lam: np.ndarray) -> np.ndarray:
        """Position (N, L) of the first knot at or below lam."""
        higher = self.lam[:, :, None] > lam
        knots_above = higher.sum(axis=0)
        last = len(self.lam) - 1
        return np.minimum(knots_above, last)

    def over(self, S: int) -> Knots:
        """A copy over S knots, at least as many as there are; the last one is repeated."""
        last = len(self.lam) - 1
        rows = np.minimum(np.arange(S), last)
        lam = self.lam[rows]
        values = self.values[rows]
        terms = self.terms[rows]
        return Knots(lam, values, terms, self.ended.copy())


@dataclass
class _State:
    """Paths on their way, a row each; places without a regressor hold zero and point to column p.

    Column p of the design is zero, so that these places change nothing.

    Attributes:
        target: (N,) which target the path is of.
        lam: (N,) largest absolute correlation with the residual.
        c: (N, p + 1) correlations with the residual.
        k: (N,) number of active regressors.
        active: (N, K) which they are.
        sign, b: (N, K) sign of their correlation, and their slopes.
        inverse: (N, K, K) inverse of their X'X.
        XA, ZA: (N, K, n) and (N, K, m), their columns of X and Z.
        banned: (N, p + 1) regressors that are collinear with active ones.
    """

    target: np.ndarray
    lam: np.ndarray
    c: np.ndarray
    k: np.ndarray
    active: np.ndarray
    sign: np.ndarray
    b: np.ndarray
    inverse: np.ndarray
    XA: np.ndarray
    ZA: np.ndarray
    banned: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """Z b (N, m)."""
        b = self.b[:, None, :]
        values = np.matmul(b, self.ZA)
        return values[:, 0]

    def keep(self, rows: np.ndarray) -> None:
        """Put away the paths that are not among these rows."""
        for field in fields(self):
            values = getattr(self, field.name)
            setattr(self, field.name, values[rows])


def paths(X: np.ndarray, y: np.ndarray, Z: np.ndarray, least: np.ndarray) -> Knots:
    """The paths from the first regressor to lam = `least` (N,).

    Where columns depend on each other and tie, a path may go round in a circle; it is then followed
    on columns that are longer or shorter by JITTER, which parts ties and moves the objective by no
    more than that share.
    """
    knots = _in_blocks(X, y, Z, least)
    if knots.ended.all():
        return knots
    astray = np.flatnonzero(~knots.ended)
    generator = np.random.default_rng(0)
    noise = generator.uniform(-1.0, 1.0, X.shape[1])
    longer = 1.0 + JITTER * noise
    y_astray = y[astray]
    least_astray = least[astray]
    again = _in_blocks(X * longer, y_astray, Z * longer, least_astray)
    S = max(len(knots.lam), len(again.lam))
    merged = knots.over(S)
    again = again.over(S)
    merged.lam[:, astray] = again.lam
    merged.values[:, astray] = again.values
    merged.terms[:, astray] = again.terms
    merged.ended[astray] = again.ended
    return merged


def _in_blocks(X: np.ndarray, y: np.ndarray, Z: np.ndarray, least: np.ndarray) -> Knots:
    """The paths of some targets at a time."""
    Xt = _transposed(X)
    Zt = _transposed(Z)
    parts = []
    N = len(y)
    for start in range(0, N, BLOCK):
        block = slice(start, start + BLOCK)
        y_block = y[block]
        part = _paths(Xt, y_block, Zt, least[block])
        parts.append(part)
    S = max(len(part.lam) for part in parts)
    parts = [part.over(S) for part in parts]
    lam = np.concatenate([part.lam for part in parts], axis=1)
    values = np.concatenate([part.values for part in parts], axis=1)
    terms = np.concatenate([part.terms for part in parts], axis=1)
    ended = np.concatenate([part.ended for part in parts])
    return Knots(lam, values, terms, ended)


def _transposed(X: np.ndarray) -> np.ndarray:
    """X' (p + 1, n) with a last row of zeros."""
    zeros = np.zeros((1, len(X)))
    return np.vstack([X.T, zeros])


def _paths(Xt: np.ndarray, y: np.ndarray, Zt: np.ndarray, least: np.ndarray) -> Knots:
    """The paths of so few targets that what a step needs stays in the cache.

    X' (p + 1, n) and Z' (p + 1, m) end in a row of zeros.
    """
    n = Xt.shape[1]
    N = len(y)
    m = Zt.shape[1]
    state = _start(Xt, y, m)
    lam = [state.lam.copy()]
    values = [np.zeros((N, m))]
    terms = [np.zeros(N, dtype=int)]
    ended = state.lam <= least
    going = np.flatnonzero(~ended)
    state.keep(going)
    on_their_way = len(state.target)
    every = np.arange(on_their_way)
    correlation = np.abs(state.c)
    first = correlation.argmax(axis=1)
    _join(state, every, first, Xt, Zt)
    terms[0][state.target] = state.k
    most = MOST_STEPS * (n + 1)
    for _ in range(most):
        target = state.target
        on = ~ended[target]
        if not on.any():
            break
        if on.mean() < COMPACT:
            state.keep(np.flatnonzero(on))
            target = state.target
        done = _step(state, Xt, Zt, least[target])
        lam_knot = _with(lam[-1], target, state.lam)
        values_knot = _with(values[-1], target, state.values)
        terms_knot = _with(terms[-1], target, state.k)
        lam.append(lam_knot)
        values.append(values_knot)
        terms.append(terms_knot)
        ended[target] |= done
    return Knots(np.array(lam), np.array(values), np.array(terms), ended)


def _with(before: np.ndarray, targets: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A knot (N, ...): that before it, with the values of the targets still on their way."""
    knot = before.copy()
    knot[targets] = values
    return knot


def _start(Xt: np.ndarray, y: np.ndarray, m: int) -> _State:
    """Every path before its first regressor."""
    N, n = y.shape
    p = len(Xt) - 1
    most = min(n - 1, p)
    K = max(most, 1)
    c = y @ Xt.T
    correlation = np.abs(c)
    return _State(
        target=np.arange(N),
        lam=correlation.max(axis=1),
        c=c,
        k=np.zeros(N, dtype=int),
        active=np.full((N, K), p),
        sign=np.zeros((N, K)),
        b=np.zeros((N, K)),
        inverse=np.zeros((N, K, K)),
        XA=np.zeros((N, K, n)),
        ZA=np.zeros((N, K, m)),
        banned=np.zeros((N, p + 1), dtype=bool),
    )


def _step(state: _State, Xt: np.ndarray, Zt: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Every path on to its next knot; whether it has ended (N,)."""
    w, u = _direction(state)
    a = u @ Xt.T
    joining, rate = _nearest(state, a)
    leaving, to_leave = _first_to_zero(state, w)
    with np.errstate(divide="ignore"):
        rows_to_join = 1.0 / rate
        to_join = np.where(rate > 0.0, rows_to_join, np.inf)
    to_end = state.lam - least
    falls = np.stack([to_end, to_join, to_leave])  # in the order of END, JOIN, LEAVE
    event = falls.argmin(axis=0)
    shortest = falls.min(axis=0)
    move = np.maximum(shortest, 0.0)
    moves = move[:, None]
    state.b += moves * w
    state.c -= moves * a
    ends = event == END
    lam = state.lam - move
    state.lam = np.where(ends, least, lam)
    rows = np.flatnonzero(event == LEAVE)
    if rows.size:
        zero_column = len(Xt) - 1
        _leave(state, rows, leaving[rows], zero_column)
    rows = np.flatnonzero(event == JOIN)
    if rows.size:
        entering = joining[rows]
        _join(state, rows, entering, Xt, Zt)
    return np.asarray(ends)


def _direction(state: _State) -> tuple[np.ndarray, np.ndarray]:
    """How b and the fit move while lam falls by one: w (N, K), u = X w (N, n)."""
    sign = state.sign[:, :, None]
    XA_transposed = state.XA.swapaxes(1, 2)
    w = np.matmul(state.inverse, sign)
    u = np.matmul(XA_transposed, w)
    fitted = np.matmul(state.XA, u)
    error = sign - fitted
    sizes = np.abs(error)
    if sizes.max(initial=0.0) > REFINED:
        w += np.matmul(state.inverse, error)
        u = np.matmul(XA_transposed, w)
    return w[:, :, 0], u[:, :, 0]


def _first_to_zero(state: _State, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which active regressor has a slope of zero first, and how far lam falls until then."""
    shrinks = state.sign * w < 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = np.maximum(-state.b / w, 0.0)
    to_zero = np.where(shrinks, fall, np.inf)
    first = to_zero.argmin(axis=1)
    every = np.arange(len(first))
    return first, to_zero[every, first]


def _nearest(state: _State, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which inactive regressor reaches the others first, and one over how far lam falls until then.

    A correlation c that moves by -a reaches lam at the rate (1 - a) / (lam - c), and -lam at the
    rate (1 + a) / (lam + c). Arrays (N, p + 1) are written over, as they are the most of a step.
    """
    lam = state.lam[:, None]
    floats = np.finfo(float)
    tiny = floats.tiny / floats.eps
    distance = lam - state.c
    other_distance = lam + state.c
    rate = (1.0 - NOISE) - a
    np.maximum(distance, tiny, out=distance)
    rate /= distance
    other_rate = np.add(a, 1.0 - NOISE, out=distance)
    np.maximum(other_distance, tiny, out=other_distance)
    other_rate /= other_distance
    np.maximum(rate, other_rate, out=rate)
    every = np.arange(len(rate))
    each = every[:, None]
    rate[each, state.active] = -np.inf
    rate[:, -1] = -np.inf
    if state.banned.any():
        rate[state.banned] = -np.inf
    # with as many active as the rows allow, the rest of the path is straight
    most = state.active.shape[1]
    full = state.k == most
    rate[full] = -np.inf
    nearest = rate.argmax(axis=1)
    return nearest, rate[every, nearest]


def _join(state: _State, rows: np.ndarray, j: np.ndarray, Xt: np.ndarray, Zt: np.ndarray) -> None:
    """Add regressor j to each of these paths, or ban it where it is collinear with active ones.

    Borders the inverse: with h the slopes of x on the active columns and s what they leave of its
    square, the inverse grows by (h, -1) (h, -1)' / s.
    """
    x = Xt[j]
    XA = state.XA[rows]
    inverse = state.inverse[rows]
    K = state.b.shape[1]
    N = len(rows)
    h = np.zeros((N, K))
    residual = x
    for _ in range(2):  # the second time takes out what rounding left of active columns
        products = np.matmul(XA, residual[:, :, None])
        slopes = np.matmul(inverse, products)
        h += slopes[:, :, 0]
        projection = np.matmul(h[:, None, :], XA)
        residual = x - projection[:, 0]
    left = np.sum(residual * residual, axis=1)
    size = np.sum(x * x, axis=1)
    new = left > COLLINEAR * size
    collinear = ~new
    collinear_rows = rows[collinear]
    collinear_j = j[collinear]
    state.banned[collinear_rows, collinear_j] = True
    rows = rows[new]
    j = j[new]
    h = h[new]
    left = left[new]
    k = state.k[rows]
    each = np.arange(len(rows))
    h[each, k] = -1.0
    border = h[:, :, None] * h[:, None, :]
    border /= left[:, None, None]
    state.inverse[rows] += border
    c = state.c[rows, j]
    state.active[rows, k] = j
    state.sign[rows, k] = np.sign(c)
    state.XA[rows, k] = Xt[j]
    state.ZA[rows, k] = Zt[j]
    state.k[rows] += 1


def _leave(state: _State, rows: np.ndarray, position: np.ndarray, p: int) -> None:
    """Take the regressor at this position from each path; the last one takes its place."""
    each = np.arange(len(rows))
    last = state.k[rows] - 1
    state.banned[rows] = False
    inverse = state.inverse[rows]
    column = inverse[each, :, position]
    diagonal = column[each, position]
    border = column[:, :, None] * column[:, None, :]
    border /= diagonal[:, None, None]
    inverse -= border
    both_ways = (inverse, inverse.swapaxes(1, 2))
    for view in both_ways:
        view[each, position] = view[each, last]
        view[each, last] = 0.0
    state.inverse[rows] = inverse
    by_regressor = (state.active, state.sign, state.b, state.XA, state.ZA)
    for values in by_regressor:
        values[rows, position] = values[rows, last]
        values[rows, last] = 0
    state.active[rows, last] = p
    state.k[rows] -= 1
