"""Step-down p-values of Romano and Wolf (2005, 2016), which know how the tests depend on each
other.

Drawn are contributions of dates under the null (`runner.trials.influence`), for all tests the
same, each draw over its own error. Residuals are those under the null, as a wild bootstrap should
have them (Cameron, Gelbach and Miller 2008): those of the fit move too little with a persistent
regressor, and errors from them are too small. Without overlap: signs of adjacent blocks of dates
(wild bootstrap, Liu 1988; of blocks, Shao 2010), the exact test of sign changes where blocks are
independent and symmetric (Canay, Romano and Shaikh 2017). For targets that overlap no length of
blocks leaves enough of them; there the projections of the contributions on slow cosines (Lazarus,
Lewis, Stock and Watson 2018), about independent and of equal variance, are rotated (Langsrud 2005).
Measured levels and powers stand in `runner/docs/verdict.md`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from runner.errors import DataError
from runner.numerics.covariance import default_cosines

DRAWS = 512  # at a time
LOOKED_AT = 50  # tests whose block length is asked: some milliseconds each
FEWEST = 6  # blocks: fewer have so few signs that no test could be rejected at 5 %
SLACK = 1e-9  # relative; draws that equal the estimate but for rounding count as at least as large


class StepDown(NamedTuple):
    """What was found of m tests, NaN where a test has no t.

    Attributes:
        p_value: (m,) adjusted for all of them together.
        t_stat: (m,) the |t| that were compared.
        alone: (m,) two-sided p of each by Student's t, with one degree less than it has parts.
        how: what was drawn.
    """

    p_value: np.ndarray
    t_stat: np.ndarray
    alone: np.ndarray
    how: str


class Parts(NamedTuple):
    """Independent parts of the estimates under the null: values (B, m), zero where a test lacks a
    part, and which it has (B, m)."""

    values: np.ndarray
    own: np.ndarray
    how: str

    def error(self, z: np.ndarray) -> np.ndarray:
        """Error of the sums z (m,) or (n, m): standard deviation of the parts (ddof 1) times the
        root of their number."""
        count, squares = self.own.sum(axis=0), (self.values**2).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(
                np.sqrt(np.maximum(squares - z**2 / count, 0.0) * count / (count - 1.0))
            )


def romano_wolf(
    contributions: np.ndarray,
    std_errors: np.ndarray,
    draws: int = 10_000,
    block: int | None = None,
    seed: int = 0,
    horizon: int = 1,
    m: int | None = None,
) -> StepDown:
    """Adjusted p-values of estimates from contributions (T, m) of the dates, NaN where a test has
    no such date.

    The contributions of a test add up to its estimate, each under the null that the estimate is
    zero. Its t is the estimate over the larger of its error from the contributions and `std_errors`
    (m,), NaN where there is none: it is never surer than the errors of the fit, nor than what hangs
    together within a date. Overlapping targets (`horizon` of two rows or more) are rotated; else,
    or with a `block` given, signs are drawn for blocks of so many dates (null: `block_of`). More
    trials m than the tests given divide the level among all (Bonferroni between this group and the
    others): p times m / tests.

    Raises:
        ValueError: arrays that do not fit each other, fewer trials than tests.
        DataError: fewer than six blocks.
    """
    from runner.numerics.inference import two_sided

    errors, psi = np.asarray(std_errors, dtype=float), np.asarray(contributions, dtype=float)
    if psi.ndim != 2 or errors.shape != psi.shape[1:]:
        raise ValueError(
            f"contributions: given {psi.shape}, {errors.shape} errors; allowed: (T, m), (m,)"
        )
    tests = psi.shape[1]
    if m is not None and m < tests:
        raise ValueError(
            f"m: given {m} trials with {tests} tests; allowed: at least as many as tests"
        )
    psi = psi[np.isfinite(psi).any(axis=1)]
    b = np.nansum(psi, axis=0)
    rotated = block is None and horizon > 1
    parts = (
        cosines(psi, horizon) if rotated else blocks(psi, block_of(psi) if block is None else block)
    )
    own = parts.error(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(b) / np.fmax(own, errors)
    known = np.isfinite(t) & (own > 0.0)
    t = np.where(known, t, np.nan)
    found = np.full(tests, np.nan)
    if known.any():
        used = Parts(parts.values[:, known], parts.own[:, known], parts.how)
        p = _step_down(t[known], used, rotated, draws, seed)
        share = 1.0 if m is None else m / tests
        found[known] = np.minimum(p * share, 1.0)
    degrees = np.maximum(parts.own.sum(axis=0) - 1.0, 1.0)
    return StepDown(found, t, two_sided(t, degrees), parts.how)


def block_of(contributions: np.ndarray) -> int:
    """Dates of a block: the mean over the tests of what suits each (Politis and White 2004,
    circular, as corrected in 2009, by arch; of many tests fifty, evenly spread), at most what
    leaves ten blocks."""
    from arch.bootstrap import optimal_block_length

    (T, m), found = contributions.shape, []
    for column in contributions.T[:: max(m // LOOKED_AT, 1)]:
        x = column[np.isfinite(column)]
        if len(x) >= 20 and np.ptp(x) > 0.0:
            found.append(float(optimal_block_length(x)["circular"].iloc[0]))
    return int(np.clip(np.round(np.mean(found or [1.0])), 1, max(T // 10, 1)))


def blocks(psi: np.ndarray, length: int) -> Parts:
    """Sums of the contributions psi (T, m) over adjacent blocks of about this many dates.

    Raises:
        DataError: fewer than six blocks.
    """
    count = len(psi) // length
    if count < FEWEST:
        raise DataError(
            f"influences: {len(psi)} dates make {count} blocks of {length}; needs {FEWEST}"
        )
    known = np.isfinite(psi)
    edges = np.linspace(0, len(psi), count + 1).astype(int)[:-1]
    within = np.add.reduceat(known, edges, axis=0, dtype=int) > 0
    sums = np.add.reduceat(np.where(known, psi, 0.0), edges, axis=0)
    return Parts(sums, within, f"signs of {count} blocks of {length}")


def cosines(psi: np.ndarray, horizon: int) -> Parts:
    """The estimate, and projections of the contributions psi (T, m) of each test on cosines over
    its own dates, as many as in `runner.numerics.covariance.default_cosines`; tests on dates up to twice the
    horizon have no parts."""
    known = np.isfinite(psi)
    dates = known.sum(axis=0)
    number = np.array(
        [default_cosines(n, horizon) if n > 2 * horizon else 0 for n in dates.tolist()]
    )
    most = int(number.max(initial=0))
    own = np.arange(most + 1)[:, None] <= np.where(number, number, -1)
    values = np.zeros((most + 1, psi.shape[1]))
    packed = np.packbits(known, axis=0)  # an eighth of the rows to compare
    _, first, member = np.unique(packed, axis=1, return_index=True, return_inverse=True)
    for j, pattern in enumerate(known.T[first]):
        tests, T = np.flatnonzero(member.ravel() == j), int(pattern.sum())
        angle = np.pi * np.outer(np.arange(1, most + 1), np.arange(1, T + 1) - 0.5) / max(T, 1)
        values[1:, tests] = np.sqrt(2.0) * np.cos(angle) @ psi[np.ix_(pattern, tests)]
    values[0] = np.nansum(psi, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.where(own, values / np.sqrt(number + 1.0), 0.0)
    return Parts(values, own, f"rotations of {most} cosines")


def _step_down(t: np.ndarray, parts: Parts, rotated: bool, draws: int, seed: int) -> np.ndarray:
    """Adjusted p-values (m,): how often the largest drawn |t| of the tests not above a test
    reaches its own.
    """
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
