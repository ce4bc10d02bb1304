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
    """Probability of backtest overfitting of returns (T, S) of S strategies (Bailey, Borwein, Lopez
    de Prado and Zhu 2017).

    Rows are cut into `blocks` adjacent parts, as equal as can be. Every half of them is once the
    sample, in which the strategy of the highest Sharpe ratio (ddof 1) is chosen, and the rest ranks
    it: rank / (S + 1), equal ones sharing their mean, and its logit. A strategy that does not vary
    on a half has the ratio zero there. Rows on which a strategy has no return are left out and
    counted.

    Raises:
        ValueError: an odd number of blocks, or not from 2 to 20.
        DataError: fewer than two strategies, or than two rows a block.
    """
    if blocks % 2 or not 2 <= blocks <= 20:
        raise ValueError(f"blocks: given {blocks}; allowed: an even number from 2 to 20")
    returns = np.asarray(returns, dtype=float)
    use = np.isfinite(returns).all(axis=1)
    x, S = returns[use], returns.shape[1]
    if S < 2 or len(x) < 2 * blocks:
        raise DataError(
            f"returns: {len(x)} common rows of {S} strategies; needs {2 * blocks} and 2"
        )
    parts = _Parts.of(x, blocks)
    halves = np.zeros((comb(blocks, blocks // 2), blocks))
    halves[np.arange(len(halves))[:, None], list(combinations(range(blocks), blocks // 2))] = 1.0
    step = max(CELLS // S, 1)
    found = [_ranked(parts, halves[at : at + step]) for at in range(0, len(halves), step)]
    chosen, inside, outside, rank = (np.concatenate(column) for column in zip(*found, strict=True))
    return _summary(chosen, inside, outside, rank, len(x), int((~use).sum()))


class _Parts(NamedTuple):
    """Of each block: rows (B,), and of each strategy the sums (B, S) of its returns and of their
    squares, about its mean, over its standard deviation; the mean (S,) in the same unit."""

    rows: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    mean: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, blocks: int) -> _Parts:
        edges = np.linspace(0, len(x), blocks + 1).astype(int)
        mean = x.mean(axis=0)
        away = x - mean
        scale = np.sqrt((away**2).mean(axis=0))
        scale = np.where(rounding_alone(scale, mean, FLAT, lambda: True), np.inf, scale)
        z = away / scale
        sums, squares = (np.add.reduceat(part, edges[:-1], axis=0) for part in (z, z**2))
        return cls(np.diff(edges).astype(float), sums, squares, mean / scale)

    def ratios(self, take: np.ndarray) -> np.ndarray:
        """Sharpe ratio (C, S) on the blocks that each row of `take` (C, B) takes."""
        n = (take @ self.rows)[:, None]
        about = take @ self.sums / n
        size = take @ self.squares
        variance = (size - n * about**2) / (n - 1.0)
        mean = self.mean + about
        varies = variance > FLAT * np.maximum(size / n, mean**2)
        return np.where(varies, mean / np.sqrt(np.where(varies, variance, 1.0)), 0.0)


def _ranked(
    parts: _Parts, halves: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The strategy chosen in each half (C,), its ratio inside and outside, and its relative rank
    outside.
    """
    inside, outside = parts.ratios(halves), parts.ratios(1.0 - halves)
    chosen = inside.argmax(axis=1)
    at = np.arange(len(chosen))
    own = outside[at, chosen]
    rank = (outside < own[:, None]).sum(axis=1) + (
        (outside == own[:, None]).sum(axis=1) + 1.0
    ) / 2.0
    return chosen, inside[at, chosen], own, rank / (outside.shape[1] + 1.0)


def _summary(
    chosen: np.ndarray,
    inside: np.ndarray,
    outside: np.ndarray,
    rank: np.ndarray,
    rows: int,
    dropped: int,
) -> Overfitting:
    import pandas as pd

    logit = np.log(rank / (1.0 - rank))
    columns = {
        "chosen": chosen,
        "in_sample": inside,
        "out_of_sample": outside,
        "rank": rank,
        "logit": logit,
    }
    a, b = inside - inside.mean(), outside - outside.mean()
    slope = float(a @ b / (a @ a)) if a @ a > 0.0 else float("nan")
    r2 = float(slope * (a @ b) / (b @ b)) if b @ b > 0.0 else float("nan")
    intercept = float(outside.mean() - slope * inside.mean())
    pbo, loss = float((rank <= 0.5).mean()), float((outside < 0.0).mean())
    return Overfitting(pbo, loss, slope, intercept, r2, pd.DataFrame(columns), rows, dropped)
