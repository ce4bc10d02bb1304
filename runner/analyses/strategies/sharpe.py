"""Sharpe ratio of the target of every asset: standard error and interval, by three methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.data.calendar import Year, year_of
from runner.errors import DataError, listed
from runner.models.study import of_every_cell
from runner.numerics.variation import COMPUTED, flat
from runner.panels.finding import Finding
from runner.schema.settings import Count, Draws, Positive, Rows, Share
from runner.text import count, number, percent

if TYPE_CHECKING:
    import pandas as pd
    from arch.bootstrap import IIDBootstrap

    from runner.models.study import Study

LO, IID, STATIONARY = "lo", "iid_bootstrap", "stationary_bootstrap"
METHODS = (LO, IID, STATIONARY)
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
    "q25",
    "q75",
    "block",
    "draws",
    "reason",
]
NAN = float("nan")
# Rows from which on a block length is chosen: the choice looks at sqrt(n) + 5 autocorrelations,
# half of these rows.
LEAST = 20
# Of the rows, a block: the bound of Politis and White (2004), so that a draw has several blocks.
LONGEST = 1 / 3
CHANCE = 20  # assets from which on the count expected by chance is given


class Interval(NamedTuple):
    """A Sharpe ratio per row by one method: standard error, interval and quartiles.

    `reason` says why there is none.
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


@of_every_cell
def sharpe(
    study: Study,
    *,
    rows_per_year: Positive | None = None,
    draws: Draws = 10_000,
    block: Rows | None = None,
    seed: Count = 0,
    confidence: Share = 0.95,
) -> Finding:
    """Mean over standard deviation (ddof 1) of the target of each asset, with intervals.

    The target should be an excess return. The table is per row; `sharpe_annual` is that times the
    root of `rows_per_year` (None: as many as the calendar of the panel has), which is right for
    uncorrelated rows (Lo 2002). Its rows by method: `lo`, the formula for independent normal rows;
    `iid_bootstrap`; `stationary_bootstrap` (Politis and Romano 1994) with blocks of `block` rows on
    average, or as many as the data choose (Politis and White 2004, as corrected in 2009; for the
    mean). Intervals of the bootstraps are percentiles. Each asset has its own rows, joined where
    cells between them are missing, and its own generator from `seed`.

    Raises:
        DataError: targets that overlap, whose standard deviation is not that of a row.
    """
    import pandas as pd

    panel = study.panel
    year = year_of(panel.calendar, rows_per_year)
    if panel.horizon > 1:
        raise DataError(
            f"target.horizon: {panel.horizon} rows, which overlap; allowed: 0 or 1, then annualised"
        )
    rows = []
    for i, asset in enumerate(panel.assets):
        is_known = panel.valid[:, i]
        x = panel.y[is_known, i]
        missing = len(panel.dates) - len(x)
        key = {"scope": "asset", "unit": asset, "n_obs": len(x), "missing": missing}
        of_asset = intervals(x, draws, block, seed, confidence)
        rows += [key | interval._asdict() for interval in of_asset]
    table = pd.DataFrame(rows, columns=COLUMNS)
    root = float(np.sqrt(year.rows))
    table["sharpe_annual"] = table["sharpe"] * root
    words = _ratios(table, root, confidence)
    words += _blocks(table, block)
    words += _cautions(study, table, year)
    return Finding(table, _metrics(table), words, "bootstrap")


def sharpe_ratio(x: np.ndarray) -> float:
    """Mean of returns x (n,) over their standard deviation (ddof 1); NaN where they do not vary."""
    n = len(x)
    total = x.sum()
    mean = total / n
    deviations = x - mean
    spread = np.sqrt(deviations @ deviations / (n - 1.0))
    least = COMPUTED * abs(mean)
    if spread > least:
        return float(mean / spread)
    return NAN


def lo_error(ratio: float, n: int) -> float:
    """Standard error sqrt((1 + S^2 / 2) / n) of a ratio S of n independent normals (Lo 2002)."""
    variance = (1.0 + ratio**2 / 2.0) / n
    return float(np.sqrt(variance))


def block_length(x: np.ndarray) -> float:
    """Mean block of the stationary bootstrap that suits the mean of x (n,), at least one row.

    NaN where there are too few rows to choose one.
    """
    from arch.bootstrap import optimal_block_length

    if len(x) < LEAST:
        return NAN
    length = optimal_block_length(x)["stationary"].iloc[0]
    return max(1.0, float(length))


def intervals(
    x: np.ndarray,
    draws: int,
    block: int | None,
    seed: int,
    confidence: float,
    returns: bool = False,
) -> list[Interval]:
    """Every method on the values x (n,) of one asset.

    Args:
        returns: whether the values are simple returns.
    """
    n = len(x)
    if n < 2:
        rows_text = count(n, "row")
        reason = f"{rows_text}; a standard deviation needs two"
        return [Interval(method, NAN, reason=reason) for method in METHODS]
    constant = bool(flat(x, relative=COMPUTED, returns=returns))
    # the ratio has no scale; its squares must not leave the float64
    exponent = np.frexp(np.abs(x).max())[1]
    x = np.ldexp(x, -exponent)
    ratio = NAN if constant else sharpe_ratio(x)
    if np.isnan(ratio):
        reason = "the target does not vary"
        return [Interval(method, NAN, reason=reason) for method in METHODS]
    length = block_length(x) if block is None else float(block)
    normal = _formula(ratio, n, confidence)
    iid = _drawn(IID, x, ratio, 1.0, draws, seed, confidence)
    stationary = _drawn(STATIONARY, x, ratio, length, draws, seed, confidence)
    return [normal, iid, stationary]


def _formula(ratio: float, n: int, confidence: float) -> Interval:
    from scipy.special import ndtri

    error = lo_error(ratio, n)
    tail = (1.0 - confidence) / 2.0
    quantiles = ndtri([tail, 1.0 - tail, 0.25, 0.75])
    quantiles_of_ratio = ratio + error * quantiles
    low, high, q25, q75 = quantiles_of_ratio.tolist()
    return Interval(LO, ratio, error, low, high, q25, q75)


def _drawn(
    method: str, x: np.ndarray, ratio: float, block: float, draws: int, seed: int, confidence: float
) -> Interval:
    """The bootstrap of arch: standard deviation (ddof 0, as there) and percentiles of the draws."""
    n = len(x)
    if np.isnan(block):
        reason = f"{count(n, 'row')}; a block length needs {LEAST}, or is given"
        return Interval(method, ratio, reason=reason)
    share_of_rows = np.ceil(LONGEST * n)
    longest = max(1.0, share_of_rows)
    if block > longest:
        reason = f"blocks of {block:g} rows are more than a third of {n:,}"
        return Interval(method, ratio, reason=reason)
    bootstrap = _bootstrap(method, x, block, seed)
    ratios = bootstrap.apply(sharpe_ratio, draws)[:, 0]
    has_no_ratio = np.isnan(ratios)
    constant = int(has_no_ratio.sum())
    if constant:
        reason = f"in {constant:,} of {draws:,} draws no row differs"
        return Interval(method, ratio, reason=reason)
    tail = 50.0 * (1.0 - confidence)
    percentiles = np.percentile(ratios, [tail, 100.0 - tail, 25.0, 75.0])
    low, high, q25, q75 = percentiles.tolist()
    error = float(ratios.std())
    return Interval(method, ratio, error, low, high, q25, q75, block, draws)


def _bootstrap(method: str, x: np.ndarray, block: float, seed: int) -> IIDBootstrap:
    from arch.bootstrap import IIDBootstrap, StationaryBootstrap

    if method == IID:
        return IIDBootstrap(x, seed=seed)
    # arch annotates a whole block; it takes one over the chance of a new one, at any length
    return StationaryBootstrap(block, x, seed=seed)  # type: ignore[arg-type]


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    """Means over assets, and in how many the interval of the blocks excludes zero, by side."""
    blocks = _of(table, STATIONARY)
    metrics: dict[str, float] = {}
    for name in ("sharpe", "sharpe_annual", "std_error", "block"):
        metrics[name] = float(blocks[name].mean())
    is_above = blocks["ci_low"] > 0.0
    metrics["above_zero"] = int(is_above.sum())
    is_below = blocks["ci_high"] < 0.0
    metrics["below_zero"] = int(is_below.sum())
    return metrics


def _of(table: pd.DataFrame, method: str) -> pd.DataFrame:
    """Rows of a method, by unit."""
    is_of_method = table["method"] == method
    return table[is_of_method].set_index("unit")


def _ratios(table: pd.DataFrame, root: float, confidence: float) -> list[str]:
    """The ratios a year, and which intervals of the block bootstrap exclude zero."""
    of_method = _of(table, STATIONARY)
    known = of_method.dropna(subset="std_error")
    if known.empty:
        return []
    confidence_text = percent(confidence)
    level = confidence_text.replace(".0 ", " ")
    draws = f"{int(known['draws'].iloc[0]):,} draws by the stationary bootstrap"
    method = f"{level} interval, percentiles of {draws}"
    if len(known) == 1:
        [row] = known.itertuples()
        return [_sentence_of_one(row, root, method)]
    return [_sentence_of_several(known, confidence, method)]


def _sentence_of_one(row: Any, root: float, method: str) -> str:
    annual = number(row.sharpe_annual, 3)
    per_row = number(row.sharpe, 3)
    ratio = f"{annual} a year, {per_row} per row"
    low_annual = row.ci_low * root
    low = number(low_annual, 3)
    high_annual = row.ci_high * root
    high = number(high_annual, 3)
    limits = f"{low} to {high} a year"
    zero = "excludes" if row.ci_low > 0.0 or row.ci_high < 0.0 else "includes"
    return f"The Sharpe ratio of {row.Index} is {ratio}; {limits} ({method}) {zero} zero."


def _sentence_of_several(known: pd.DataFrame, confidence: float, method: str) -> str:
    above = known["ci_low"] > 0.0
    below = known["ci_high"] < 0.0
    annual = known["sharpe_annual"]
    least = f"{number(annual.min(), 3)} ({annual.idxmin()})"
    greatest = f"{number(annual.max(), 3)} ({annual.idxmax()})"
    excluded = int((above | below).sum())
    intervals_text = f"{excluded:,} of {count(len(known), 'asset')}"
    if below.any():
        n_above = int(above.sum())
        n_below = int(below.sum())
        intervals_text += f" ({n_above:,} above it, {n_below:,} below)"
    if len(known) >= CHANCE:
        by_chance = (1.0 - confidence) * len(known)
        intervals_text += f", where chance alone would give about {by_chance:,.0f}"
    return (
        f"Sharpe ratios a year are from {least} to {greatest}; "
        f"the interval excludes zero in {intervals_text} ({method})."
    )


def _blocks(table: pd.DataFrame, given: int | None) -> list[str]:
    """Block lengths, and what they do to the standard error."""
    blocks = _of(table, STATIONARY)
    independent = _of(table, IID)
    wider = (blocks["std_error"] / independent["std_error"]).dropna()
    if wider.empty:
        return []
    lengths = _between(blocks.loc[wider.index, "block"], 3)
    chosen = "as the spec says"
    if given is None:
        chosen = "as the data choose (Politis and White)"
    range_text = _between(wider, 3)
    times = f"{range_text} times that of independent rows"
    return [f"Blocks are of {lengths} rows on average, {chosen}; the standard error is {times}."]


def _between(values: pd.Series, digits: int) -> str:
    """Least to greatest value, or the only one."""
    lowest = float(values.min())
    least = number(lowest, digits)
    highest = float(values.max())
    greatest = number(highest, digits)
    if least == greatest:
        return least
    return f"{least} to {greatest}"


def _cautions(study: Study, table: pd.DataFrame, year: Year) -> list[str]:
    """What the ratios are not, and which rows and assets they lack."""
    words = [
        f"Sharpe ratios a year are {year.words}, by its root, "
        "which is right for uncorrelated rows only."
    ]
    if study.settings.get("risk_free") is None:
        words.append("No risk-free rate was subtracted: the ratios are of the whole target.")
    blocks = _of(table, STATIONARY)
    number_missing = blocks["missing"].sum()
    missing = int(number_missing)
    if missing:
        missing_cells = count(missing, "missing cell")
        words.append(f"{missing_cells} left out: blocks run over them.")
    has_reason = blocks["reason"] != ""
    without = blocks[has_reason]
    by_reason = without.groupby("reason", sort=False)
    for reason, rows in by_reason:
        words.append(f"No interval of blocks for {listed(rows.index)}: {reason}.")
    return words
