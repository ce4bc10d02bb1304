"""Step-down p-values of Romano and Wolf (2005, 2016), which allow for dependence of the tests.

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

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from runner.errors import DataError
from runner.numerics.covariance import default_cosines

DRAWS = 512  # at a time
LOOKED_AT = 50  # tests whose block length is asked: some milliseconds each
FEWEST = 6  # blocks: fewer have so few signs that no test could be rejected at 5 %
FEWEST_FOR_LENGTH = 20  # dates of a test whose block length is asked
NO_SPREAD = 1e-12  # of the size of the parts; an error below is rounding alone
SLACK = 1e-9  # relative; draws that equal the estimate but for rounding count as at least as large


class StepDown(NamedTuple):
    """Results of m tests, NaN where a test has no t.

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
    """Independent parts of the estimates under the null.

    Attributes:
        values: (B, m), zero where a test lacks a part.
        own: (B, m) which parts a test has.
        how: what is drawn, in words.
    """

    values: np.ndarray
    own: np.ndarray
    how: str

    def error(self, z: np.ndarray) -> np.ndarray:
        """Error of the sums z (m,) or (n, m).

        Standard deviation of the parts (ddof 1) times the root of their number.
        """
        count = self.own.sum(axis=0)
        squared = self.values**2
        squares = squared.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            squared_mean = z**2 / count
            about_mean = np.maximum(squares - squared_mean, 0.0)
            degrees = count - 1.0
            variance = about_mean * count / degrees
            return np.asarray(np.sqrt(variance))

    def of(self, tests: np.ndarray) -> Parts:
        """The parts of these tests, a mask or an order (m,)."""
        values = self.values[:, tests]
        own = self.own[:, tests]
        return Parts(values, own, self.how)


def romano_wolf(
    contributions: np.ndarray,
    std_errors: np.ndarray,
    draws: int = 10_000,
    block: int | None = None,
    seed: int = 0,
    horizon: int = 1,
    m: int | None = None,
) -> StepDown:
    """Adjusted p-values of estimates from contributions (T, m) of the dates.

    A contribution is NaN where a test has no such date. The contributions of a test add up to its
    estimate, each under the null that the estimate is zero. Its t is the estimate over the larger
    of its error from the contributions and `std_errors` (m,), NaN where there is none: it is never
    surer than the errors of the fit, nor than what hangs together within a date. Overlapping
    targets (`horizon` of two rows or more) are rotated; else, or with a `block` given, signs are
    drawn for blocks of so many dates (null: `block_of`). More trials m than the tests given divide
    the level among all (Bonferroni between this group and the others): p times m / tests.

    Raises:
        ValueError: arrays that do not fit each other, fewer trials than tests.
        DataError: fewer than six blocks.
    """
    from runner.numerics.inference import two_sided

    errors = np.asarray(std_errors, dtype=float)
    psi = np.asarray(contributions, dtype=float)
    _check(psi, errors, m)
    has_part = np.isfinite(psi).any(axis=1)
    psi = psi[has_part]
    b = np.nansum(psi, axis=0)
    rotated = block is None and horizon > 1
    if rotated:
        parts = cosines(psi, horizon)
    else:
        parts = blocks(psi, block_of(psi) if block is None else block)
    date_errors = parts.error(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(b) / np.fmax(date_errors, errors)
    known = np.isfinite(t) & (date_errors > 0.0)
    t = np.where(known, t, np.nan)
    tests = len(t)
    p_adjusted = np.full(tests, np.nan)
    if known.any():
        p = _step_down(t[known], parts.of(known), rotated, draws, seed)
        share = 1.0 if m is None else m / tests
        p_adjusted[known] = np.minimum(p * share, 1.0)
    degrees = np.maximum(parts.own.sum(axis=0) - 1.0, 1.0)
    return StepDown(p_adjusted, t, two_sided(t, degrees), parts.how)


def _check(psi: np.ndarray, errors: np.ndarray, m: int | None) -> None:
    """Refuse arrays that do not fit each other.

    Raises:
        ValueError: they do not, or there are fewer trials m than tests.
    """
    if psi.ndim != 2 or errors.shape != psi.shape[1:]:
        raise ValueError(
            f"contributions: given {psi.shape}, {errors.shape} errors; allowed: (T, m), (m,)"
        )
    tests = psi.shape[1]
    if m is not None and m < tests:
        raise ValueError(
            f"m: given {m} trials with {tests} tests; allowed: at least as many as tests"
        )


def block_of(contributions: np.ndarray) -> int:
    """Dates of a block: the mean over the tests of what suits each, at most a tenth of the dates.

    Politis and White (2004), circular, as corrected in 2009, by arch; of many tests fifty, evenly
    spread.
    """
    from arch.bootstrap import optimal_block_length

    T, m = contributions.shape
    step = max(m // LOOKED_AT, 1)
    by_length: dict[int, list[np.ndarray]] = {}
    for column in contributions.T[::step]:
        is_known = np.isfinite(column)
        x = column[is_known]
        if len(x) >= FEWEST_FOR_LENGTH and np.ptp(x) > 0.0:
            by_length.setdefault(len(x), []).append(x)
    tables = [np.column_stack(alike) for alike in by_length.values()]
    suited = [optimal_block_length(table)["circular"] for table in tables]
    mean = np.mean(np.concatenate(suited)) if suited else 1.0
    longest = max(T // 10, 1)
    return int(np.clip(np.round(mean), 1, longest))


def blocks(psi: np.ndarray, length: int) -> Parts:
    """Sums of the contributions psi (T, m) over adjacent blocks of about this many dates.

    Raises:
        DataError: fewer than six blocks.
    """
    count = len(psi) // length
    if count < FEWEST:
        raise DataError(f"{len(psi)} dates make {count} blocks of {length}; needs {FEWEST}")
    known = np.isfinite(psi)
    even = np.linspace(0, len(psi), count + 1)
    edges = even.astype(int)
    starts = edges[:-1]
    within = np.add.reduceat(known, starts, axis=0, dtype=int) > 0
    filled = np.where(known, psi, 0.0)
    sums = np.add.reduceat(filled, starts, axis=0)
    return Parts(sums, within, f"signs of {count} blocks of {length}")


def cosines(psi: np.ndarray, horizon: int) -> Parts:
    """The estimate, and projections of the contributions psi (T, m) of each test on cosines.

    Cosines run over the dates of the test, as many as in
    `runner.numerics.covariance.default_cosines`; tests on dates up to twice the horizon have no
    parts.
    """
    known = np.isfinite(psi)
    dates = known.sum(axis=0).tolist()
    counts = [default_cosines(n, horizon) if n > 2 * horizon else 0 for n in dates]
    number = np.array(counts)
    most = int(number.max(initial=0))
    ranks = np.arange(most + 1)
    order = ranks[:, None]
    own = order <= np.where(number, number, -1)
    values = np.zeros((most + 1, psi.shape[1]))
    first, member = np.zeros(1, dtype=int), np.zeros(psi.shape[1], dtype=int)
    if not known.all():
        packed = np.packbits(known, axis=0)  # an eighth of the rows to compare
        _, first, member = np.unique(packed, axis=1, return_index=True, return_inverse=True)
    for j, pattern in enumerate(known.T[first]):
        tests = np.flatnonzero(member.ravel() == j)
        dates_of_pattern = int(pattern.sum())
        basis = waves(most, dates_of_pattern)
        own_psi = psi[np.ix_(pattern, tests)]
        values[1:, tests] = basis @ own_psi
    values[0] = np.nansum(psi, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.sqrt(number + 1.0)
        values = np.where(own, values / length, 0.0)
    return Parts(values, own, f"rotations of {most} cosines")


@lru_cache(maxsize=2)
def waves(number: int, T: int) -> np.ndarray:
    """Cosines (number, T) of 1, 2, ... half turns over T dates, of mean square one.

    Kept for the next call.
    """
    half_turns = np.arange(1, number + 1)
    middles = np.arange(1, T + 1) - 0.5
    phases = np.outer(half_turns, middles)
    last = max(T, 1)
    angle = np.pi * phases / last
    amplitude = np.sqrt(2.0)
    return np.asarray(amplitude * np.cos(angle))


def _step_down(t: np.ndarray, parts: Parts, rotated: bool, draws: int, seed: int) -> np.ndarray:
    """Adjusted p-values (m,) of tests with these |t|.

    How often the largest drawn |t| of the tests not above a test reaches its own; a test above
    never has a larger p-value.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(-t, kind="stable")
    enough = t[order] * (1.0 - SLACK)
    parts = parts.of(order)
    squares = (parts.values**2).sum(axis=0)
    size = np.sqrt(squares)
    floor = NO_SPREAD * size
    reached = np.zeros(len(t))
    for start in range(0, draws, DRAWS):
        left = draws - start
        n = min(DRAWS, left)
        z = _drawn(parts, rotated, n, rng)
        error = parts.error(z)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.abs(z) / error
            drawn_t = np.where(error > floor, ratio, np.inf)
        from_smallest = np.maximum.accumulate(drawn_t[:, ::-1], axis=1)
        largest = from_smallest[:, ::-1]
        is_reached = largest >= enough
        reached += is_reached.sum(axis=0)
    p = (1.0 + reached) / (1.0 + draws)
    p_adjusted = np.empty(len(t))
    p_adjusted[order] = np.maximum.accumulate(p)
    return p_adjusted


def _drawn(parts: Parts, rotated: bool, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sums (n, m) of the parts of m tests under n draws of the null."""
    B = len(parts.values)
    if not rotated:
        signs = 2.0 * rng.integers(0, 2, (n, B)) - 1.0
        return signs @ parts.values
    direction = rng.normal(size=(n, B))
    z = direction @ parts.values
    # Directions of equal length in the parts that a test has.
    squared = direction**2
    length = squared @ parts.own
    z *= np.sqrt(parts.own.sum(axis=0) / length)
    return z
