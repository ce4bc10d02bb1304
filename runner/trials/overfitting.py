"""How probable it is that the best of several strategies was chosen for its luck: CSCV."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.errors import DataError
from runner.numerics.variation import rounding_alone

if TYPE_CHECKING:
    import pandas as pd

CELLS = 4_000_000  # combinations times strategies at a time: some arrays of 32 MB
FLAT = 1e-14  # variance over mean square, below which a part does not vary


class Overfitting(NamedTuple):
    """What combinatorially symmetric cross-validation finds.

    Attributes:
        pbo: share of the combinations in which the best in sample is at or below the median out of
            sample.
        loss: share in which its Sharpe ratio out of sample is below zero.
        slope, intercept, r2: of its ratio out of sample on that in sample, over the combinations.
        logits: chosen (position of the strategy), in_sample, out_of_sample (Sharpe ratios per row),
            rank (relative, 0 to 1), logit; one row per combination.
        rows: returns used, those of every strategy; dropped: rows on which one has none.
    """

    pbo: float
    loss: float
    slope: float
    intercept: float
    r2: float
    logits: pd.DataFrame
    rows: int
    dropped: int


def overfitting(returns: np.ndarray, blocks: int = 16) -> Overfitting:
    """Probability of backtest overfitting of returns (T, S) of S strategies.

    Bailey, Borwein, Lopez de Prado and Zhu (2017), combinatorially symmetric cross-validation. Rows
    are cut into `blocks` adjacent parts, as equal as can be. Every half of them is once the sample,
    in which the strategy of the highest Sharpe ratio (ddof 1) is chosen, and the rest ranks it:
    rank / (S + 1), equal ones sharing their mean, and its logit. A strategy that does not vary on a
    half has the ratio zero there. Rows on which a strategy has no return are left out and counted.

    Raises:
        ValueError: an odd number of blocks, or not from 2 to 20.
        DataError: fewer than two strategies, or than two rows a block.
    """
    if blocks % 2 or not 2 <= blocks <= 20:
        raise ValueError(f"blocks: given {blocks}; allowed: an even number from 2 to 20")
    returns = np.asarray(returns, dtype=float)
    S = returns.shape[1]
    is_finite = np.isfinite(returns)
    is_complete = is_finite.all(axis=1)
    x = returns[is_complete]
    if S < 2 or len(x) < 2 * blocks:
        raise DataError(
            f"returns: {len(x)} common rows of {S} strategies; needs {2 * blocks} and 2"
        )
    parts = _Parts.of(x, blocks)
    halves = _halves(blocks)
    step = max(CELLS // S, 1)
    starts = range(0, len(halves), step)
    chunks = [_ranked(parts, halves[start : start + step]) for start in starts]
    columns = [np.concatenate(column) for column in zip(*chunks, strict=True)]
    is_dropped = ~is_complete
    dropped = int(is_dropped.sum())
    return _summary(_Ranked(*columns), len(x), dropped)


def _halves(blocks: int) -> np.ndarray:
    """Every half of the blocks (C, B): 1 for a block that is in it, else 0."""
    half = blocks // 2
    members = list(combinations(range(blocks), half))
    halves = np.zeros((comb(blocks, half), blocks))
    row = np.arange(len(halves))[:, None]
    halves[row, members] = 1.0
    return halves


class _Ranked(NamedTuple):
    """Of each half (C,): the best strategy in it, and how that does in the other half.

    Attributes:
        chosen: position of the strategy.
        inside, outside: its Sharpe ratio in this half and in the other.
        rank: among the strategies in the other half, relative (0 to 1).
    """

    chosen: np.ndarray
    inside: np.ndarray
    outside: np.ndarray
    rank: np.ndarray


class _Parts(NamedTuple):
    """Sums of returns over blocks, about the mean of a strategy, over its standard deviation.

    Attributes:
        rows: (B,) of each block.
        sums, squares: (B, S) of the returns of each strategy and of their squares.
        mean: (S,) of each strategy, over its standard deviation.
    """

    rows: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, blocks: int) -> _Parts:
        """The parts of returns x (T, S) in adjacent blocks of about as many rows.

        A strategy whose returns do not vary, but for rounding of the prices that they were made
        from, has zeros.
        """
        even = np.linspace(0, len(x), blocks + 1)
        edges = even.astype(int)
        starts = edges[:-1]
        mean = x.mean(axis=0)
        away = x - mean
        mean_square = (away**2).mean(axis=0)
        spread = np.sqrt(mean_square)
        is_flat = rounding_alone(spread, mean, FLAT, _of_prices)
        scale = np.where(is_flat, np.inf, spread)
        z = away / scale
        rows_of_block = np.diff(edges)
        rows = rows_of_block.astype(float)
        sums = np.add.reduceat(z, starts, axis=0)
        squares = np.add.reduceat(z**2, starts, axis=0)
        return cls(rows, sums, squares, mean / scale)

    def ratios(self, take: np.ndarray) -> np.ndarray:
        """Sharpe ratio (C, S) on the blocks that each row of `take` (C, B) takes."""
        n = (take @ self.rows)[:, None]
        sums = take @ self.sums
        about = sums / n
        size = take @ self.squares
        variance = (size - n * about**2) / (n - 1.0)
        mean = self.mean + about
        mean_square = np.maximum(size / n, mean**2)
        least = FLAT * mean_square
        varies = variance > least
        deviation = np.sqrt(np.where(varies, variance, 1.0))
        ratio = mean / deviation
        return np.where(varies, ratio, 0.0)


def _of_prices() -> bool:
    """Returns are quotients of prices less one, and have the rounding of a number near one."""
    return True


def _ranked(parts: _Parts, halves: np.ndarray) -> _Ranked:
    """The strategy of the highest Sharpe ratio in each half, and its rank in the other."""
    inside = parts.ratios(halves)
    outside = parts.ratios(1.0 - halves)
    chosen = inside.argmax(axis=1)
    half = np.arange(len(chosen))
    of_chosen = outside[half, chosen]
    row_of_chosen = of_chosen[:, None]
    is_below = outside < row_of_chosen
    below = is_below.sum(axis=1)
    is_equal = outside == of_chosen[:, None]
    equal = is_equal.sum(axis=1)
    half_of_equal = (equal + 1.0) / 2.0
    rank = below + half_of_equal
    strategies = outside.shape[1]
    inside_of_chosen = inside[half, chosen]
    share_below = rank / (strategies + 1.0)
    return _Ranked(chosen, inside_of_chosen, of_chosen, share_below)


def _summary(ranked: _Ranked, rows: int, dropped: int) -> Overfitting:
    import pandas as pd

    inside = ranked.inside
    outside = ranked.outside
    rank = ranked.rank
    logits = {
        "chosen": ranked.chosen,
        "in_sample": inside,
        "out_of_sample": outside,
        "rank": rank,
        "logit": np.log(rank / (1.0 - rank)),
    }
    a = inside - inside.mean()
    b = outside - outside.mean()
    ab = a @ b
    aa = a @ a
    bb = b @ b
    slope = float(ab / aa) if aa > 0.0 else float("nan")
    r2 = float(slope * ab / bb) if bb > 0.0 else float("nan")
    intercept = outside.mean() - slope * inside.mean()
    below_median = rank <= 0.5
    is_loss = outside < 0.0
    return Overfitting(
        pbo=float(below_median.mean()),
        loss=float(is_loss.mean()),
        slope=slope,
        intercept=float(intercept),
        r2=r2,
        logits=pd.DataFrame(logits),
        rows=rows,
        dropped=dropped,
    )
