"""Pictures of how the fit does on rows: its residuals in sample, its predictions out of sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.experiment.wording import is_logit, target_text
from runner.sinks.canvas import (
    AXIS_LINE,
    BLUE,
    GREY,
    INK,
    MOST_POINTS,
    NORMAL_95,
    ORANGE,
    axes_across,
    axes_at,
    cloud,
    figure_of,
    legend_above,
    shortened,
)
from runner.sinks.drawings.columns import floats
from runner.text import count, number, unit_noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.experiment.report import Report
    from runner.models.study import Fitted

SAMPLE = 400_000  # rows taken for a density
BINS = 20  # groups of rows whose means are drawn
FEWEST_IN_BIN = 20  # rows of a group
FEWEST_BINNED = 60  # rows of which groups are drawn
MOST_LAGS = 20  # of the autocorrelations, or a fifth of the rows
MOST_SERIES = 300  # assets whose autocorrelations are taken, evenly over all
TOP, WIDE, TALL = 0.95, 2.25, 2.35  # inches from the top to a panel, and of its sides
OUTER = (0.0005, 0.9995)  # quantiles of many values, beyond which a few may leave the axes
FAR = 3.0  # ranges between these, from which on a picture of all values shows little of most
EDGE = 0.1  # of that range, added at either end
QUANTILES = 400  # order statistics drawn between the tails
TAIL = 50  # order statistics of either tail, all drawn


def residuals(report: Report) -> Any:
    """Residuals against the normal, against what was fitted, and against their own past."""
    if is_logit(report.study.model):
        return None  # of a target of 0 and 1 they lie on two lines, and no normal is claimed
    found = _standardised(report)
    if found.rows < 2:
        return None
    drawn = found.drawn
    n = found.rows
    sample = "in sample"
    if n > report.fit.quality["n_obs"].sum():
        sample = "of all dates, also those not fitted on"
    rows = _rows(n, len(drawn))
    shown = not_far_out(found.fitted) & not_far_out(drawn)
    far_out = int((~shown).sum())
    beyond = f"; {far_out:,} beyond the middle axes" if far_out else ""
    figure = figure_of(3.9, "Residuals", f"{found.pooled}; {rows} {sample}{beyond}")
    left = _panel(figure, 0.6)
    middle = _panel(figure, 3.6)
    right = _panel(figure, 6.6)
    _quantiles(left, drawn)
    _against(middle, found.fitted, drawn)
    target = target_text(report).partition(" (")[0]
    logs = ", its logarithm" if "exp" in report.panel.back else ""
    middle.set_xlabel(f"fitted {target}{logs}")
    _autocorrelations(right, found.series)
    return figure


def _panel(figure: Any, left: float) -> Any:
    """One of three axes side by side, so many inches from the left."""
    return axes_at(figure, left, TOP, WIDE, TALL)


class _Residuals(NamedTuple):
    """Residuals of all rows in standard deviations.

    Attributes:
        rows: how many there are.
        drawn, fitted: (n,) those of a sample of rows, and what was fitted there.
        series: (T, S) those of some assets that have enough, NaN where there are none.
        pooled: in words, of which assets they are.
    """

    rows: int
    drawn: np.ndarray
    fitted: np.ndarray
    series: np.ndarray
    pooled: str


def _standardised(report: Report) -> _Residuals:
    """Residuals divided by their standard deviation, that of each asset where each is fitted alone.

    They are read twice: a large panel has more than memory holds.
    """
    panel = report.panel
    T, N = panel.cells.shape
    per_asset = unit_noun(report.fit.quality) == "asset"
    count_of = np.zeros(N, dtype=int)
    squares = np.zeros(N)
    for part in report.study.fitted_parts():
        u = _residuals(part)
        count_of[part.assets] += np.isfinite(u).sum(axis=0)
        squares[part.assets] += np.nansum(u**2, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = squares / count_of
        if not per_asset:
            variance = np.full(N, squares.sum() / count_of.sum())
    deviation = np.sqrt(variance)
    is_spread = np.isfinite(deviation) & (deviation > 0.0)
    deviation[~is_spread] = np.nan
    count_of[~is_spread] = 0
    n = int(count_of.sum())
    places = _places(n)
    in_order = np.argsort(places, kind="stable")
    drawn = np.empty(len(places))
    fitted = np.empty(len(places))
    chosen = _evenly(np.flatnonzero(count_of >= MOST_LAGS), MOST_SERIES)
    series = np.full((T, len(chosen)), np.nan)
    first = 0
    for part in report.study.fitted_parts():
        u = _residuals(part) / deviation[part.assets]
        known = np.isfinite(u)
        own = u[known]
        low, high = np.searchsorted(places, [first, first + len(own)], sorter=in_order)
        some = in_order[low:high]
        at = places[some] - first
        drawn[some] = own[at]
        fitted[some] = part.values[known][at]
        _, of_part, of_series = np.intersect1d(part.assets, chosen, True, return_indices=True)
        series[np.ix_(part.rows, of_series)] = u[:, of_part]
        first += len(own)
    return _Residuals(n, drawn, fitted, series, _pooled(panel.assets, count_of > 0, per_asset))


def _residuals(part: Fitted) -> np.ndarray:
    """Residuals of the usable cells (dates, assets), NaN elsewhere."""
    u = np.where(part.panel.valid, part.panel.y - part.values, np.nan)
    u[~np.isfinite(u)] = np.nan
    return u


def _pooled(assets: Sequence[str], present: np.ndarray, per_asset: bool) -> str:
    """Of which assets residuals are, in words."""
    positions = np.flatnonzero(present)
    if len(positions) == 1:
        return shortened(assets[positions[0]])
    own = ", each divided by its own standard deviation" if per_asset else ""
    return f"pooled over {count(len(positions), 'asset')}{own}"


def _rows(n: int, drawn: int) -> str:
    """How many rows there are, and how many of them are drawn."""
    if drawn == n:
        return count(n, "row")
    return f"{drawn:,} drawn at random of {n:,} rows"


def _places(n: int) -> np.ndarray:
    """Which of n rows are drawn: SAMPLE of them at most, the same ones at every run."""
    if n <= SAMPLE:
        return np.arange(n)
    rng = np.random.default_rng(0)
    return rng.integers(0, n, SAMPLE)


def _evenly(positions: np.ndarray, most: int) -> np.ndarray:
    """So many of these positions at most, evenly over all."""
    even = np.linspace(0, len(positions) - 1, min(len(positions), most))
    return positions[np.unique(even.astype(int))]


def not_far_out(values: np.ndarray) -> np.ndarray:
    """Which values the axes have (n,): all, or the middle ones of many where some lie far out."""
    low, high = np.quantile(values, OUTER)
    middle = high - low
    every = values.max() - values.min()
    if len(values) <= MOST_POINTS or every <= FAR * middle:
        return np.ones(len(values), dtype=bool)
    room = EDGE * middle
    return (values >= low - room) & (values <= high + room)


def _quantiles(axes: Any, u: np.ndarray) -> None:
    """Order statistics against those of a normal.

    The ends of both tails are there in full, the rest is thinned evenly along the normal.
    """
    from scipy.special import ndtr, ndtri

    n = len(u)
    end = ndtri(0.5 / n)
    last = n - 1
    shares = ndtr(np.linspace(end, -end, QUANTILES))
    even = shares * n
    middle = np.clip(even.astype(int), 0, last)
    tail_rows = min(n, TAIL)
    tail = np.arange(tail_rows)
    upper = last - tail
    chosen = [tail, middle, upper]
    every = np.concatenate(chosen)
    ranks = np.unique(every)
    normal = ndtri((ranks + 0.5) / n)
    in_order = np.sort(u)
    actual = in_order[ranks]
    ends = normal[[0, -1]]
    axes.plot(ends, ends, color=INK, linewidth=0.9)
    axes.plot(normal, actual, "o", color=BLUE, markersize=2.6, markeredgewidth=0, rasterized=True)
    axes.set(
        xlabel="quantile of a normal",
        ylabel="quantile of the residuals (std. dev.)",
        title="Against a normal",
    )


def _bins(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean of x, and mean and standard deviation of y, over groups of equally many rows along x.

    Each is (groups,); of few rows there are no groups.
    """
    groups = []
    if len(x) >= FEWEST_BINNED:
        order = np.argsort(x)
        most = len(x) // FEWEST_IN_BIN
        groups = np.array_split(order, min(BINS, most))
    centre = np.array([np.mean(x[rows]) for rows in groups])
    mean = np.array([np.mean(y[rows]) for rows in groups])
    spread = np.array([np.std(y[rows]) for rows in groups])
    return centre, mean, spread


def _against(axes: Any, x: np.ndarray, u: np.ndarray) -> None:
    """Residuals with their mean and standard deviation along what was fitted.

    A few that lie far out are not drawn, and counted in the means.
    """
    shown = not_far_out(x) & not_far_out(u)
    cloud(axes, x[shown], u[shown])
    axes.axhline(0.0, **AXIS_LINE)
    axes.set(ylabel="standardised residual", title="Against fitted")
    centre, mean, spread = _bins(x, u)
    if len(centre):
        axes.plot(centre, mean, color=ORANGE, linewidth=1.6)
        above = mean + spread
        below = mean - spread
        edges = [above, below]
        band = np.column_stack(edges)
        axes.plot(centre, band, "--", color=ORANGE, linewidth=1.1)


def autocorrelations(u: np.ndarray, lags: int) -> np.ndarray:
    """Autocorrelations (lags, N) of each column of `u` (T, N) at lags 1 to `lags`.

    Sums of products of rows that both exist, over the sum of all squares.
    """
    known = np.isfinite(u)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = known.sum(axis=0)
        mean = np.nansum(u, axis=0) / rows
        e = np.where(known, u - mean, 0.0)
        products = [np.einsum("tn,tn->n", e[j:], e[:-j]) for j in range(1, lags + 1)]
        squares = np.sum(e**2, axis=0)
        covariance = np.array(products)
        return covariance / squares


def _autocorrelations(axes: Any, series: np.ndarray) -> None:
    """A bar per lag of residuals (T, S); of several assets the mean, with the middle 90 %."""
    axes.set_title("Autocorrelation")
    axes.set(xlabel="lag (rows)", ylabel="correlation")
    if not series.shape[1]:
        text = f"fewer than {MOST_LAGS} rows"
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes, color=INK)
        return
    rows_of_series = np.isfinite(series).sum(axis=0)
    fifth = rows_of_series.min() // 5
    allowed_lags = min(MOST_LAGS, fifth)
    lags = int(allowed_lags)
    r = autocorrelations(series, lags)
    after_last = lags + 1
    at = np.arange(1, after_last)
    mean = np.nanmean(r, axis=1)
    axes.bar(at, mean, 0.7, color=BLUE)
    if series.shape[1] > 1:
        low, high = np.nanquantile(r, [0.05, 0.95], axis=1)
        axes.vlines(at, low, high, color=INK, linewidth=1.0)
    axes.axhline(0.0, **AXIS_LINE)
    usual_rows = np.median(rows_of_series)
    root = math.sqrt(usual_rows)
    for quantile in (-NORMAL_95, NORMAL_95):
        edge = quantile / root
        axes.axhline(edge, color=ORANGE, linewidth=1.1, linestyle="--")
    limit = max(0.1, *np.abs(axes.get_ylim()))
    axes.set_ylim(-limit, limit)
    axes.set_xlim(0.3, lags + 0.7)


def actual_predicted(report: Report) -> Any:
    """What happened against what was predicted, out of sample."""
    table = report.predictions
    findings = report.findings.values()
    of_classes = any(finding.picture == "curves" for finding in findings)
    if table.empty or of_classes:  # of classes the calibration shows it
        return None
    actual = floats(table, "y")
    drawn = _places(len(table))
    y = actual[drawn]
    predicted = floats(table, "prediction")[drawn]
    rows = _rows(len(table), len(y))
    folds = count(len(report.folds), "fold")
    note = f"{rows} of {folds}"
    r2 = report.metrics.get("oos/r2")
    if r2 is not None:
        note += f"; R2 {number(r2)} against the {report.benchmark}"
    shown = not_far_out(y) & not_far_out(predicted)
    far_out = int((~shown).sum())
    if far_out:
        note += f"; {count(far_out, 'row')} beyond the axes"
    figure = figure_of(4.6, "Out of sample: actual against predicted", note)
    axes = axes_across(figure, 0.95, 3.05, 0.85)
    cloud(axes, predicted[shown], y[shown])
    ends = [predicted[shown].min(), predicted[shown].max()]
    axes.plot(ends, ends, color=ORANGE, linewidth=1.4, label="actual = predicted")
    axes.axhline(0.0, color=GREY, linewidth=0.6, zorder=0)
    centre, mean, _ = _bins(predicted, y)
    if len(centre):
        style = {"color": INK, "markersize": 4.0, "markeredgecolor": "white"}
        axes.plot(centre, mean, "o", label="mean of actual in groups along predicted", **style)
    legend_above(axes, 2, fontsize=8.5)
    target = target_text(report)
    axes.set(xlabel=f"predicted {target}", ylabel=f"actual {target}")
    return figure
