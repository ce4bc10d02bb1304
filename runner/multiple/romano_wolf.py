"""Step-down p-values of Romano and Wolf (2005, 2016), which know how the tests depend on each other.

Drawn are influences under the null (the estimate spread over the dates), for all tests the same, each draw over its
own error. Without overlap: signs of adjacent blocks of dates (wild bootstrap, Liu 1988; of blocks, Shao 2010), the
exact test of sign changes where blocks are independent and symmetric (Canay, Romano and Shaikh 2017). For targets
that overlap no length of blocks leaves enough of them; there the projections of the influences on slow cosines
(Lazarus, Lewis, Stock and Watson 2018), about independent and of equal variance, are rotated (Langsrud 2005).
Measured at 5 % with 50 correlated null tests: signs 3 to 8 % on 40 to 250 dates, rotations 4 to 6 % with overlaps of
5 and 21 rows on 120 to 1,500 dates; the stationary bootstrap of influences about zero, blocks as the data choose,
6 to 14 % and 22 to 58 %, signs of blocks with overlaps 8 to 13 %.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from runner.covariance import default_cosines
from runner.errors import DataError

DRAWS = 512  # at a time
LOOKED_AT = 50  # tests whose block length is asked: some milliseconds each
FEWEST = 6  # blocks: fewer have so few signs that no test could be rejected at 5 %
SLACK = 1e-9  # relative; draws that equal the estimate but for rounding count as at least as large


class StepDown(NamedTuple):
    """Adjusted p-values (m,), NaN where a test has no t; the |t| (m,) that were compared; what was drawn."""

    p_value: np.ndarray
    t_stat: np.ndarray
    how: str


class Parts(NamedTuple):
    """Independent parts of the estimates under the null: values (B, m), zero where a test lacks a part, and which it
    has (B, m)."""

    values: np.ndarray
    own: np.ndarray
    how: str

    def error(self, z: np.ndarray) -> np.ndarray:
        """Error of the sums z (m,) or (n, m): standard deviation of the parts (ddof 1) times the root of their
        number."""
        count, squares = self.own.sum(axis=0), (self.values**2).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(np.maximum(squares - z**2 / count, 0.0) * count / (count - 1.0)))


def romano_wolf(
    estimates: np.ndarray,
    std_errors: np.ndarray,
    influences: np.ndarray,
    draws: int = 10_000,
    block: int | None = None,
    seed: int = 0,
    horizon: int = 1,
    m: int | None = None,
) -> StepDown:
    """Adjusted p-values of estimates (m,) with influences (T, m) per date, NaN where a test has no such date.

    The t of a test is its estimate over the larger of its error from the influences and `std_errors` (m,), NaN
    where there is none: it is never surer than the errors of the fit, nor than what hangs together within a date.
    Overlapping targets (`horizon` of two rows or more) are rotated; else, or with a `block` given, signs are drawn
    for blocks of so many dates (null: `block_of`). More trials m than the tests given divide the level among all
    (Bonferroni between this group and the others): p times m / tests.

    Raises:
        ValueError: arrays that do not fit each other, fewer trials than tests.
        DataError: fewer than six blocks.
    """
    b, errors, psi = (np.asarray(one, dtype=float) for one in (estimates, std_errors, influences))
    if b.ndim != 1 or errors.shape != b.shape or psi.ndim != 2 or psi.shape[1] != len(b):
        raise ValueError(
            f"influences: given {psi.shape}, {b.shape} estimates, {errors.shape} errors; allowed: (T, m)"
        )
    if m is not None and m < len(b):
        raise ValueError(f"m: given {m} trials with {len(b)} tests; allowed: at least as many as tests")
    psi = psi[np.isfinite(psi).any(axis=1)]
    rotated = block is None and horizon > 1
    parts = cosines(b, psi, horizon) if rotated else blocks(b, psi, block_of(psi) if block is None else block)
    own = parts.error(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(b) / np.fmax(own, errors)
    known = np.isfinite(t) & (own > 0.0)
    found = np.full(len(b), np.nan)
    if known.any():
        used = Parts(parts.values[:, known], parts.own[:, known], parts.how)
        p = _step_down(t[known], used, rotated, draws, seed)
        found[known] = np.minimum(p * (1.0 if m is None else m / len(b)), 1.0)
    return StepDown(found, np.where(known, t, np.nan), parts.how)


def block_of(influences: np.ndarray) -> int:
    """Dates of a block: the mean over the tests of what suits each (Politis and White 2004, circular, as corrected in
    2009, by arch; of many tests fifty, evenly spread), at most what leaves ten blocks."""
    from arch.bootstrap import optimal_block_length

    (T, m), found = influences.shape, []
    for column in influences.T[:: max(m // LOOKED_AT, 1)]:
        x = column[np.isfinite(column)]
        if len(x) >= 20 and np.ptp(x) > 0.0:
            found.append(float(optimal_block_length(x)["circular"].iloc[0]))
    return int(np.clip(np.round(np.mean(found or [1.0])), 1, max(T // 10, 1)))


def blocks(b: np.ndarray, psi: np.ndarray, length: int) -> Parts:
    """Sums of the influences under the null over adjacent blocks of about this many dates.

    Raises:
        DataError: fewer than six blocks.
    """
    count = len(psi) // length
    if count < FEWEST:
        raise DataError(f"influences: {len(psi)} dates make {count} blocks of {length}; needs {FEWEST}")
    known = np.isfinite(psi)
    edges = np.linspace(0, len(psi), count + 1).astype(int)[:-1]
    null = np.where(known, psi + b / np.maximum(known.sum(axis=0), 1), 0.0)
    within = np.add.reduceat(known, edges, axis=0, dtype=int) > 0
    return Parts(np.add.reduceat(null, edges, axis=0), within, f"signs of {count} blocks of {length}")


def cosines(b: np.ndarray, psi: np.ndarray, horizon: int) -> Parts:
    """The estimate, and projections of the influences of each test on cosines over its own dates, as many as in
    `runner.covariance.default_cosines`; tests on dates up to twice the horizon have no parts."""
    known = np.isfinite(psi)
    dates = known.sum(axis=0)
    number = np.array([default_cosines(n, horizon) if n > 2 * horizon else 0 for n in dates.tolist()])
    most = int(number.max(initial=0))
    values, own = np.zeros((most + 1, len(b))), np.arange(most + 1)[:, None] <= np.where(number, number, -1)
    patterns, member = np.unique(known, axis=1, return_inverse=True)
    for j, pattern in enumerate(patterns.T):
        tests, T = np.flatnonzero(member.ravel() == j), int(pattern.sum())
        angle = np.pi * np.outer(np.arange(1, most + 1), np.arange(1, T + 1) - 0.5) / max(T, 1)
        values[1:, tests] = np.sqrt(2.0) * np.cos(angle) @ psi[np.ix_(pattern, tests)]
    values[0] = b
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(own, values / np.sqrt(number + 1.0), 0.0)
    return Parts(values, own, f"rotations of {most} cosines")


def _step_down(t: np.ndarray, parts: Parts, rotated: bool, draws: int, seed: int) -> np.ndarray:
    """Adjusted p-values (m,): how often the largest drawn |t| of the tests not above a test reaches its own."""
    rng = np.random.default_rng(seed)
    order = np.argsort(-t, kind="stable")
    observed, parts = t[order], Parts(parts.values[:, order], parts.own[:, order], parts.how)
    count, B = parts.own.sum(axis=0), len(parts.values)
    floor = 1e-12 * np.sqrt((parts.values**2).sum(axis=0))
    reached = np.zeros(len(t))
    for start in range(0, draws, DRAWS):
        n = min(DRAWS, draws - start)
        drawn = rng.normal(size=(n, B)) if rotated else 2.0 * rng.integers(0, 2, (n, B)) - 1.0
        z = drawn @ parts.values
        if rotated:  # directions of equal length in the parts that a test has
            z *= np.sqrt(count / (drawn**2 @ parts.own))
        error = parts.error(z)
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn_t = np.where(error > floor, np.abs(z) / error, np.inf)
        largest = np.maximum.accumulate(drawn_t[:, ::-1], axis=1)[:, ::-1]
        reached += (largest >= observed * (1.0 - SLACK)).sum(axis=0)
    found = np.empty(len(t))
    found[order] = np.maximum.accumulate((1.0 + reached) / (1.0 + draws))
    return found
