"""What looks wrong in data that breaks no rule: a sentence with the numbers each, and the run goes
on.

Returns in per cent, a factor on another scale than the returns, a split that no price was adjusted
for.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from runner.data.market import Market
from runner.text import count, number, percent

LARGE_SHARE = 0.05  # of returns above 100 % in size, from which on they look like per cent
APART = 20.0  # times that the standard deviations of returns and of a factor may differ
JUMP, TIMES = (
    0.5,
    50.0,
)  # a move above this size and above so many times the median move of its asset
MOST_JUMPS = 5  # told one by one, the largest first
FEW_ROWS = 20  # below which a series is not judged
EACH_SIGN, MEMORY = (
    0.1,
    0.5,
)  # a series with so many values of either sign, and less autocorrelation, is a return


def suspicions(market: Market) -> list[str]:
    """A sentence for each."""
    if not {"close", "ret"} & set(market.fields):
        return []
    returns = market.returns().to_numpy(dtype=float)
    source = "ret" if "ret" in market.fields else "changes of close"
    return [*_per_cent(returns, source), *_scales(market, returns), *_jumps(market, returns)]


def _per_cent(returns: np.ndarray, source: str) -> list[str]:
    """Returns (T, N) too many of which are above 100 %."""
    known = np.count_nonzero(np.isfinite(returns))
    large = np.count_nonzero(np.abs(returns) > 1.0)
    if large <= LARGE_SHARE * known:
        return []
    sizes = np.abs(returns[np.isfinite(returns)])
    return [
        f"{percent(large / known)} of the returns ({source}) are above 100 % in size, their median size is "
        f"{percent(float(np.median(sizes)))}: are they in per cent, or no returns?"
    ]


def _scales(market: Market, returns: np.ndarray) -> list[str]:
    """Inputs that look like returns, the same for all assets, on another scale than the returns
    (T, N).
    """
    inputs = _inputs(market)
    if not inputs:
        return []
    cells = np.column_stack(list(inputs.values()))
    judged = _like_returns(cells)
    size = _deviation(returns[np.isfinite(returns)])
    lines = []
    for name, column in zip(np.array(list(inputs))[judged], cells.T[judged], strict=True):
        own = _deviation(column[np.isfinite(column)])
        ratio = max(own / size, size / own) if own > 0.0 and size > 0.0 else 1.0
        if ratio > APART:
            lines.append(
                f"The standard deviation of {name} is {number(own)} a row, that of the returns {number(size)}, "
                f"{number(ratio, 3)} times apart: is one of them in per cent?"
            )
    return lines


def _inputs(market: Market) -> dict[str, np.ndarray]:
    """Series (T,) that all assets share, in a column of their own or repeated for each asset."""
    inputs = {
        str(name): market.series[name].to_numpy(dtype=float) for name in market.series.columns
    }
    for name, frame in market.fields.items():
        cells = frame.to_numpy(dtype=float)
        if name not in ("close", "ret") and cells.shape[1] > 1 and _same_for_all(cells):
            inputs.setdefault(name, cells[np.arange(len(cells)), np.isfinite(cells).argmax(axis=1)])
    return inputs


def _same_for_all(cells: np.ndarray) -> bool:
    """Whether a field (T, N) has the same value for every asset of a date; a look at a few dates
    first, for most do not."""
    for rows in (cells[:FEW_ROWS], cells):
        known = np.isfinite(rows)
        low = np.where(known, rows, np.inf).min(axis=1)
        high = np.where(known, rows, -np.inf).max(axis=1)
        if (high > low).any():
            return False
    return True


def _like_returns(cells: np.ndarray) -> np.ndarray:
    """Mask (F,) of the columns (T, F) with values of both signs and little memory."""
    known = np.isfinite(cells)
    rows = known.sum(axis=0)
    signs = np.minimum((cells > 0.0).sum(axis=0), (cells < 0.0).sum(axis=0))
    centred = np.where(known, cells, 0.0) - np.where(known, cells, 0.0).sum(axis=0) / np.maximum(
        rows, 1
    )
    centred[~known] = 0.0
    variation = (centred**2).sum(axis=0)
    along = (centred[1:] * centred[:-1]).sum(axis=0)
    return np.asarray(
        (rows >= FEW_ROWS) & (signs > EACH_SIGN * rows) & (np.abs(along) < MEMORY * variation)
    )


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _jumps(market: Market, returns: np.ndarray) -> list[str]:
    """Moves (T, N) far beyond what their asset does."""
    sizes = np.abs(returns)
    with np.errstate(invalid="ignore"):
        assets = np.flatnonzero((sizes > JUMP).any(axis=0))
    own = sizes[:, assets]
    own = np.where(np.isfinite(own), own, np.nan)
    medians = np.nanmedian(own, axis=0) if len(assets) else np.empty(0)
    t, i = np.nonzero((own > JUMP) & (own > TIMES * medians))
    order = np.argsort(-own[t, i], kind="stable")
    lines = []
    for place in order[:MOST_JUMPS]:
        date, asset, median = market.dates[t[place]], assets[i[place]], medians[i[place]]
        times = (
            f"{number(own[t[place], i[place]] / median, 3)} times its" if median > 0.0 else "its"
        )
        lines.append(
            f"{market.assets[asset]} moved by {percent(returns[t[place], asset])} on {_stamp(date)}, beside "
            f"{times} median move of {percent(median)}: a split, or a wrong value?"
        )
    if len(order) > MOST_JUMPS:
        more = count(len(order) - MOST_JUMPS, "further move")
        lines.append(
            f"{more} above {percent(JUMP)} and above {TIMES:g} times the median move of the asset."
        )
    return lines


def _stamp(date: pd.Timestamp) -> str:
    return f"{date:%Y-%m-%d}" if date == date.normalize() else f"{date:%Y-%m-%d %H:%M}"
