"""Sharpe ratio of the target of every asset: its standard error and interval, by formula and by
bootstrap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.data.calendar import Year, year_of
from runner.errors import DataError, listed
from runner.numerics.variation import COMPUTED, flat
from runner.panels.finding import Finding
from runner.schema.settings import Count, Positive, Rows, Share
from runner.text import count, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

LO, IID, STATIONARY = "lo", "iid_bootstrap", "stationary_bootstrap"
COLUMNS = [
    "scope",
    "unit",
    "method",
    "n_obs",
    "missing",
    "sharpe",
    "sharpe_annual",
    "std_error",
    "ci_low",
    "ci_high",
]
COLUMNS += ["q25", "q75", "block", "draws", "reason"]
NAN = float("nan")
# Spread relative to the mean below which it is rounding: equal numbers may differ from their mean
# in the last place. Rows from which on a block length is chosen: the choice looks at sqrt(n) + 5
# autocorrelations, half of these rows.
LEAST = 20
LONGEST = (
    1 / 3
)  # of the rows, a block: the bound of Politis and White (2004), so that a draw has several blocks
CHANCE = 20  # assets from which on the count expected by chance is told


class Interval(NamedTuple):
    """A Sharpe ratio per row by one method: standard error, interval and quartiles, or the reason
    why not.
    """

    method: str
    sharpe: float
    std_error: float = NAN
    ci_low: float = NAN
    ci_high: float = NAN
    q25: float = NAN
    q75: float = NAN
    block: float = NAN
    draws: int = 0
    reason: str = ""


def sharpe(
    study: Study,
    *,
    rows_per_year: Positive | None = None,
    draws: Rows = 10_000,
    block: Rows | None = None,
    seed: Count = 0,
    confidence: Share = 0.95,
) -> Finding:
    """Mean over standard deviation (ddof 1) of the target of each asset, which should be an excess
    return.

    The table is per row; `sharpe_annual` is that times the root of `rows_per_year` (None: as many
    as the calendar of the panel has), which is right for uncorrelated rows (Lo 2002). Its rows by
    method: `lo`, the formula for independent normal rows; `iid_bootstrap`; `stationary_bootstrap`
    (Politis and Romano 1994) with blocks of `block` rows on average, or as many as the data choose
    (Politis and White 2004, as corrected in 2009; for the mean). Intervals of the bootstraps are
    percentiles. Each asset has its own rows, joined where cells between them are missing, and its
    own generator from `seed`.

    Raises:
        DataError: targets that overlap, whose standard deviation is not that of a row.
    """
    import pandas as pd

    panel, rows = study.panel, []
    year = year_of(study.panel.calendar, rows_per_year)
    if panel.horizon > 1:
        raise DataError(
            f"target.horizon: {panel.horizon} rows, which overlap; allowed: 0 or 1, then annualised"
        )
    for i, asset in enumerate(panel.assets):
        x = panel.y[panel.valid[:, i], i]
        key = {
            "scope": "asset",
            "unit": asset,
            "n_obs": len(x),
            "missing": len(panel.dates) - len(x),
        }
        rows += [key | one._asdict() for one in intervals(x, draws, block, seed, confidence)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    root = float(np.sqrt(year.rows))
    table["sharpe_annual"] = table["sharpe"] * root
    words = [
        *_ratios(table, root, confidence),
        *_blocks(table, block),
        *_cautions(study, table, year),
    ]
    return Finding(table, _metrics(table), words, "bootstrap")


def sharpe_ratio(x: np.ndarray) -> float:
    """Mean of the returns x (n,) over their standard deviation (ddof 1); NaN where they do not
    vary.
    """
    mean = x.sum() / len(x)
    away = x - mean
    spread = np.sqrt(away @ away / (len(x) - 1.0))
    return float(mean / spread) if spread > COMPUTED * abs(mean) else NAN


def lo_error(ratio: float, n: int) -> float:
    """Standard error sqrt((1 + S^2 / 2) / n) of a ratio S of n independent normal returns (Lo
    2002).
    """
    return float(np.sqrt((1.0 + ratio**2 / 2.0) / n))


def block_length(x: np.ndarray) -> float:
    """Mean block of the stationary bootstrap that suits the mean of x (n,), at least one row; NaN
    where none does.
    """
    from arch.bootstrap import optimal_block_length

    return (
        max(1.0, float(optimal_block_length(x)["stationary"].iloc[0])) if len(x) >= LEAST else NAN
    )


def intervals(
    x: np.ndarray,
    draws: int,
    block: int | None,
    seed: int,
    confidence: float,
    returns: bool = False,
) -> list[Interval]:
    """Every method on the values x (n,) of one asset; `returns` says that they are simple
    returns.
    """
    n = len(x)
    still = n > 1 and bool(flat(x, relative=COMPUTED, returns=returns))
    peak = np.abs(x).max() if n else 0.0
    x = np.ldexp(
        x, -np.frexp(peak)[1]
    )  # the ratio has no scale; its squares must not leave the float64
    ratio = NAN if n < 2 or still else sharpe_ratio(x)
    if np.isnan(ratio):
        reason = (
            "the target does not vary"
            if n > 1
            else f"{count(n, 'row')}; a standard deviation needs two"
        )
        return [Interval(method, NAN, reason=reason) for method in (LO, IID, STATIONARY)]
    length = block_length(x) if block is None else float(block)
    return [
        _formula(ratio, n, confidence),
        _drawn(IID, x, ratio, 1.0, draws, seed, confidence),
        _drawn(STATIONARY, x, ratio, length, draws, seed, confidence),
    ]


def _formula(ratio: float, n: int, confidence: float) -> Interval:
    from scipy.special import ndtri

    error = lo_error(ratio, n)
    tail = (1.0 - confidence) / 2.0
    low, high, q25, q75 = (ratio + error * ndtri([tail, 1.0 - tail, 0.25, 0.75])).tolist()
    return Interval(LO, ratio, error, low, high, q25, q75)


def _drawn(
    method: str, x: np.ndarray, ratio: float, block: float, draws: int, seed: int, confidence: float
) -> Interval:
    """The bootstrap of arch: standard deviation of the draws (ddof 0, as there), and their
    percentiles.
    """
    from arch.bootstrap import IIDBootstrap, StationaryBootstrap

    if np.isnan(block):
        return Interval(
            method,
            ratio,
            reason=f"{count(len(x), 'row')}; a block length needs {LEAST}, or is given",
        )
    if block > max(1.0, np.ceil(LONGEST * len(x))):
        return Interval(
            method, ratio, reason=f"blocks of {block:g} rows are more than a third of {len(x):,}"
        )
    # arch annotates a whole block; what it takes is one over the chance of a new one, at any
    # length.
    of_blocks = StationaryBootstrap(block, x, seed=seed)  # type: ignore[arg-type]
    bootstrap = IIDBootstrap(x, seed=seed) if method == IID else of_blocks
    drawn = bootstrap.apply(sharpe_ratio, draws)[:, 0]
    flat = int(np.isnan(drawn).sum())
    if flat:
        return Interval(method, ratio, reason=f"in {flat:,} of {draws:,} draws no row differs")
    tail = 50.0 * (1.0 - confidence)
    low, high, q25, q75 = np.percentile(drawn, [tail, 100.0 - tail, 25.0, 75.0]).tolist()
    return Interval(method, ratio, float(drawn.std()), low, high, q25, q75, block, draws)


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    """Means over the assets, and in how many the interval of the blocks lies above and below
    zero.
    """
    ours = _of(table, STATIONARY)
    found = {
        name: float(ours[name].mean()) for name in ("sharpe", "sharpe_annual", "std_error", "block")
    }
    return found | {
        "above_zero": int((ours["ci_low"] > 0.0).sum()),
        "below_zero": int((ours["ci_high"] < 0.0).sum()),
    }


def _of(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """Rows of a method, by unit."""
    return table[table["method"] == method].set_index("unit")


def _ratios(table: pd.DataFrame, year: float, confidence: float) -> list[str]:
    """The ratios a year, and which intervals of the block bootstrap exclude zero."""
    known = _of(table, STATIONARY).dropna(subset="std_error")
    if known.empty:
        return []
    level = percent(confidence).replace(".0 ", " ")
    method = f"{level} interval, percentiles of {int(known['draws'].iloc[0]):,} draws by the stationary bootstrap"
    above, below = known["ci_low"] > 0.0, known["ci_high"] < 0.0
    hits = int((above | below).sum())
    if len(known) == 1:
        [one] = known.itertuples()
        both = f"{number(one.sharpe_annual, 3)} a year, {number(one.sharpe, 3)} per row"
        limits = f"{number(one.ci_low * year, 3)} to {number(one.ci_high * year, 3)} a year"
        zero = "excludes" if hits else "includes"
        return [f"The Sharpe ratio of {one.Index} is {both}; {limits} ({method}) {zero} zero."]
    low, high = known["sharpe_annual"].idxmin(), known["sharpe_annual"].idxmax()
    ends = " to ".join(f"{number(known.loc[at, 'sharpe_annual'], 3)} ({at})" for at in (low, high))
    signs = f" ({int(above.sum()):,} above it, {int(below.sum()):,} below)" if below.any() else ""
    chance = f", where chance alone would give about {(1.0 - confidence) * len(known):,.0f}"
    seen = (
        f"{hits:,} of {count(len(known), 'asset')}{signs}{chance if len(known) >= CHANCE else ''}"
    )
    return [
        f"Sharpe ratios a year are from {ends}; the interval excludes zero in {seen} ({method})."
    ]


def _blocks(table: pd.DataFrame, given: int | None) -> list[str]:
    """Block lengths, and what they do to the standard error."""
    blocks, single = _of(table, STATIONARY), _of(table, IID)
    wider = (blocks["std_error"] / single["std_error"]).dropna()
    if wider.empty:
        return []
    length = blocks.loc[wider.index, "block"]
    chosen = "as the spec says" if given is not None else "as the data choose (Politis and White)"
    times = f"{_between(wider, 3)} times that of independent rows"
    return [
        f"Blocks are of {_between(length, 3)} rows on average, {chosen}; the standard error is {times}."
    ]


def _between(values: pd.Series, digits: int) -> str:
    """Least to greatest value, or the only one."""
    ends = dict.fromkeys(number(float(value), digits) for value in (values.min(), values.max()))
    return " to ".join(ends)


def _cautions(study: Study, table: pd.DataFrame, year: Year) -> list[str]:
    """What the ratios are not, and which rows and assets they lack."""
    found = [
        f"Sharpe ratios a year are {year.words}, by its root, which is right for uncorrelated rows only."
    ]
    if study.settings.get("risk_free") is None:
        found.append("No risk-free rate was subtracted: the ratios are of the whole target.")
    ours = _of(table, STATIONARY)
    if ours["missing"].any():
        found.append(
            f"{count(int(ours['missing'].sum()), 'missing cell')} left out: blocks run over them."
        )
    for reason, rows in ours[ours["reason"] != ""].groupby("reason", sort=False):
        found.append(f"No interval of blocks for {listed(rows.index)}: {reason}.")
    return found
