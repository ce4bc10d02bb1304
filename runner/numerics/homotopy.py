"""LASSO paths of many targets on one design, exact from knot to knot (Osborne, Presnell and Turlach
2000; Efron, Hastie, Johnstone and Tibshirani 2004, with the LASSO's modification).

Minimises, as scikit-learn does, |y - X b|^2 / (2 n) + alpha |b|_1 for every alpha at once: b is
linear in alpha between knots, at each of which a regressor joins or leaves. Targets take their
steps together, so that the work is products of matrices. Letters: X (n, p) the design and y (N, n)
the targets, centred; Z (m, p) rows to evaluate; lam = n alpha, the largest absolute correlation
with the residual; k active regressors, K their most.
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
JITTER = 1e-9
BLOCK = 100  # targets at a time
COMPACT = 0.85  # of the targets still on their way: below it the others are put away


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
        """Z b (N, L, m) at lam (N, L), between the first knot and the last; zero above the
        first.
        """
        below = self._below(lam)
        above = np.maximum(below - 1, 0)
        one = np.arange(lam.shape[0])[:, None]
        high, low = self.lam[above, one], self.lam[below, one]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(high > low, (high - lam) / (high - low), 0.0).clip(0.0, 1.0)[
                :, :, None
            ]
        return self.values[above, one] * (1.0 - share) + self.values[below, one] * share

    def terms_at(self, lam: np.ndarray) -> np.ndarray:
        """Active regressors (N, L) at lam (N, L)."""
        below = self._below(lam)
        count = self.terms[np.maximum(below - 1, 0), np.arange(lam.shape[0])[:, None]]
        return np.where(lam < self.lam[0][:, None], count, 0)

    def _below(self, lam: np.ndarray) -> np.ndarray:
        """Position (N, L) of the first knot at or below lam."""
        found = (self.lam[:, :, None] > lam).sum(axis=0)
        return np.minimum(found, len(self.lam) - 1)


@dataclass
class _State:
    """Paths on their way, a row each; columns of inactive places are zero and point to p, a column
    of zeros.

    Attributes:
        of: (N,) which target.
        lam: (N,); c: (N, p + 1) correlations with the residual; k: (N,) active regressors.
        at: (N, K) which; sign, b: (N, K) of them; inverse: (N, K, K) of their X'X; XA: (N, K, n),
            ZA: (N, K, m).
        banned: (N, p + 1) collinear with active ones.
    """

    of: np.ndarray
    lam: np.ndarray
    c: np.ndarray
    k: np.ndarray
    at: np.ndarray
    sign: np.ndarray
    b: np.ndarray
    inverse: np.ndarray
    XA: np.ndarray
    ZA: np.ndarray
    banned: np.ndarray

    def keep(self, rows: np.ndarray) -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name)[rows])


def paths(X: np.ndarray, y: np.ndarray, Z: np.ndarray, least: np.ndarray) -> Knots:
    """The paths from the first regressor to lam = `least` (N,).

    Where columns depend on each other and tie, a path may go round in a circle; it is then followed
    on columns that are longer or shorter by JITTER, which parts ties and moves the objective by no
    more than that share.
    """
    found = _in_blocks(X, y, Z, least)
    if found.ended.all():
        return found
    astray = np.flatnonzero(~found.ended)
    longer = 1.0 + JITTER * np.random.default_rng(0).uniform(-1.0, 1.0, X.shape[1])
    again = _in_blocks(X * longer, y[astray], Z * longer, least[astray])
    S = max(len(found.lam), len(again.lam))
    merged = [one[np.minimum(np.arange(S), len(one) - 1)] for one in found[:3]]
    for one, new in zip(merged, again[:3], strict=True):
        one[:, astray] = new[np.minimum(np.arange(S), len(new) - 1)]
    ended = found.ended.copy()
    ended[astray] = again.ended
    return Knots(merged[0], merged[1], merged[2], ended)


def _in_blocks(X: np.ndarray, y: np.ndarray, Z: np.ndarray, least: np.ndarray) -> Knots:
    """The paths of some targets at a time."""
    Xt, Zt = (np.vstack([one.T, np.zeros((1, len(one)))]) for one in (X, Z))
    parts = [
        _paths(Xt, y[i : i + BLOCK], Zt, least[i : i + BLOCK]) for i in range(0, len(y), BLOCK)
    ]
    S = max(len(part.lam) for part in parts)
    longer = [np.minimum(np.arange(S), len(part.lam) - 1) for part in parts]
    lam, values, terms = (
        np.concatenate([part[k][rows] for part, rows in zip(parts, longer, strict=True)], axis=1)
        for k in range(3)
    )
    return Knots(lam, values, terms, np.concatenate([part.ended for part in parts]))


def _paths(Xt: np.ndarray, y: np.ndarray, Zt: np.ndarray, least: np.ndarray) -> Knots:
    """The same of so few targets that what a step needs stays in the cache; X' and Z' end in a row
    of zeros.
    """
    state = _start(Xt, y, Zt.shape[1])
    lam, values = [state.lam.copy()], [np.zeros((len(y), Zt.shape[1]))]
    terms, ended = [np.zeros(len(y), dtype=int)], state.lam <= least
    state.keep(np.flatnonzero(~ended))
    _join(state, np.arange(len(state.of)), np.abs(state.c).argmax(axis=1), Xt, Zt)
    terms[0][state.of] = state.k
    for _ in range(MOST_STEPS * (Xt.shape[1] + 1)):
        on = ~ended[state.of]
        if not on.any():
            break
        if on.mean() < COMPACT:
            state.keep(np.flatnonzero(on))
        done = _step(state, Xt, Zt, least[state.of])
        stores: tuple[list[np.ndarray], ...] = (lam, values, terms)
        for store, now in zip(stores, _knot(state), strict=True):
            store.append(store[-1].copy())
            store[-1][state.of] = now
        ended[state.of] |= done
    return Knots(np.array(lam), np.array(values), np.array(terms), ended)


def _start(Xt: np.ndarray, y: np.ndarray, m: int) -> _State:
    (N, n), p = y.shape, len(Xt) - 1
    K, c = max(min(n - 1, p), 1), y @ Xt.T
    none = np.zeros((N, K))
    return _State(
        of=np.arange(N),
        lam=np.abs(c).max(axis=1),
        c=c,
        k=np.zeros(N, dtype=int),
        at=np.full((N, K), p),
        sign=none,
        b=none.copy(),
        inverse=np.zeros((N, K, K)),
        XA=np.zeros((N, K, n)),
        ZA=np.zeros((N, K, m)),
        banned=np.zeros((N, p + 1), dtype=bool),
    )


def _knot(state: _State) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return state.lam, np.matmul(state.b[:, None, :], state.ZA)[:, 0], state.k


def _step(state: _State, Xt: np.ndarray, Zt: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Every path on to its next knot; whether it has ended (N,)."""
    every = np.arange(len(state.of))
    w, u = _direction(state)
    a = u @ Xt.T
    joining, rate = _nearest(state, a)
    with np.errstate(divide="ignore", invalid="ignore"):
        falling = state.sign * w < 0.0
        to_zero = np.where(falling, np.maximum(-state.b / w, 0.0), np.inf)
        to_join = np.where(rate > 0.0, 1.0 / rate, np.inf)
    leaving = to_zero.argmin(axis=1)
    events = np.stack([state.lam - least, to_join, to_zero[every, leaving]])
    event, move = events.argmin(axis=0), np.maximum(events.min(axis=0), 0.0)
    state.b += move[:, None] * w
    state.c -= move[:, None] * a
    state.lam = np.where(event == 0, least, state.lam - move)
    if (rows := np.flatnonzero(event == 2)).size:
        _leave(state, rows, leaving[rows], len(Xt) - 1)
    if (rows := np.flatnonzero(event == 1)).size:
        _join(state, rows, joining[rows], Xt, Zt)
    return np.asarray(event == 0)


def _direction(state: _State) -> tuple[np.ndarray, np.ndarray]:
    """How b and the fit move while lam falls by one: w (N, K), u = X w (N, n)."""
    w = np.matmul(state.inverse, state.sign[:, :, None])
    u = np.matmul(state.XA.swapaxes(1, 2), w)
    short = state.sign[:, :, None] - np.matmul(state.XA, u)
    if np.abs(short).max(initial=0.0) > REFINED:
        w += np.matmul(state.inverse, short)
        u = np.matmul(state.XA.swapaxes(1, 2), w)
    return w[:, :, 0], u[:, :, 0]


def _nearest(state: _State, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which inactive regressor reaches the others first, and one over how far lam falls until then
    (N,).
    """
    lam = state.lam[:, None]
    tiny = np.finfo(float).tiny / np.finfo(float).eps
    apart, rate, other = lam - state.c, (1.0 - NOISE) - a, lam + state.c
    rate /= np.maximum(apart, tiny, out=apart)
    np.add(a, 1.0 - NOISE, out=apart)
    apart /= np.maximum(other, tiny, out=other)
    np.maximum(rate, apart, out=rate)
    every = np.arange(len(rate))
    rate[every[:, None], state.at] = -np.inf
    rate[:, -1] = -np.inf
    if state.banned.any():
        rate[state.banned] = -np.inf
    rate[
        state.k == state.at.shape[1]
    ] = -np.inf  # as many as the rows allow: the rest of the path is straight
    found = rate.argmax(axis=1)
    return found, rate[every, found]


def _join(state: _State, rows: np.ndarray, j: np.ndarray, Xt: np.ndarray, Zt: np.ndarray) -> None:
    """Add a regressor to each of these paths, bordering the inverse; or ban what is collinear with
    active ones.
    """
    x = Xt[j]
    XA, h, rest = state.XA[rows], np.zeros((len(rows), state.at.shape[1])), x
    for _ in range(2):  # the second time takes out what rounding left of active columns
        h += np.matmul(state.inverse[rows], np.matmul(XA, rest[:, :, None]))[:, :, 0]
        rest = x - np.matmul(h[:, None, :], XA)[:, 0]
    size, own = np.sum(rest * rest, axis=1), np.sum(x * x, axis=1)
    new = size > COLLINEAR * own
    state.banned[rows[~new], j[~new]] = True
    rows, j, h, size = rows[new], j[new], h[new], size[new]
    k = state.k[rows]
    h[np.arange(len(rows)), k] = -1.0
    state.inverse[rows] += h[:, :, None] * h[:, None, :] / size[:, None, None]
    state.at[rows, k], state.sign[rows, k] = j, np.sign(state.c[rows, j])
    state.XA[rows, k], state.ZA[rows, k] = Xt[j], Zt[j]
    state.k[rows] += 1


def _leave(state: _State, rows: np.ndarray, i: np.ndarray, p: int) -> None:
    """Take the regressor in place i from each of these paths; the last one takes its place."""
    each, last = np.arange(len(rows)), state.k[rows] - 1
    state.banned[rows] = False
    inverse = state.inverse[rows]
    column = inverse[each, :, i]
    inverse -= column[:, :, None] * column[:, None, :] / column[each, i][:, None, None]
    for axis in (1, 2):
        view = inverse if axis == 1 else inverse.swapaxes(1, 2)
        view[each, i] = view[each, last]
        view[each, last] = 0.0
    state.inverse[rows] = inverse
    for values, none in (
        (state.at, p),
        (state.sign, 0.0),
        (state.b, 0.0),
        (state.XA, 0.0),
        (state.ZA, 0.0),
    ):
        values[rows, i] = values[rows, last]
        values[rows, last] = none
    state.k[rows] -= 1
