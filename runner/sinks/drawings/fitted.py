"""Pictures of how the fit does on rows: its residuals in sample, its predictions out of sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.experiment.wording import target_text
from runner.sinks.canvas import BLUE, GREY, INK, ORANGE, axes_at, cloud, figure_of, shortened
from runner.text import count, number, unit_noun

if TYPE_CHECKING:
    from runner.experiment.report import Report

SAMPLE = 400_000  # rows taken for a density
BINS = 20  # groups of rows whose means are drawn
MOST_LAGS = 20  # of the autocorrelations, or a fifth of the rows
MOST_SERIES = 300  # assets whose autocorrelations are taken, evenly over all


def residuals(report: Report) -> Any:
    """Residuals against the normal, against what was fitted, and against their own past."""
    if (report.spec.get("model") or {}).get("estimator") == "logit":
        return None  # of a target of 0 and 1 they lie on two lines, and no normal is claimed
    u, note = _standardised(report)
    known = np.isfinite(u)
    if known.sum() < 2:
        return None
    drawn, fitted = _sample(u[known], report.fitted[known])
    n = int(known.sum())
    sample = (
        "in sample"
        if n <= report.fit.quality["n_obs"].sum()
        else "of all dates, also those not fitted on"
    )
    figure = figure_of(3.9, "Residuals", f"{note}; {_rows(n, len(drawn))} {sample}")
    _quantiles(axes_at(figure, 0.6, 0.95, 2.25, 2.35), drawn)
    _against(axes_at(figure, 3.6, 0.95, 2.25, 2.35), fitted, drawn)
    logs = ", its logarithm" if "exp" in report.panel.back else ""
    figure.axes[1].set_xlabel(f"fitted {target_text(report).partition(' (')[0]}{logs}")
    _autocorrelations(axes_at(figure, 6.6, 0.95, 2.25, 2.35), u)
    return figure


def _standardised(report: Report) -> tuple[np.ndarray, str]:
    """Residuals (T, N) in standard deviations, NaN where there are none, and in words what was
    pooled.
    """
    u = np.where(report.panel.valid, report.panel.y - report.fitted, np.nan)
    per_asset = unit_noun(report.fit.quality) == "asset"
    sums = np.isfinite(u).sum(axis=0 if per_asset else None)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = u / np.sqrt(np.nansum(u**2, axis=0 if per_asset else None) / sums)
    u[~np.isfinite(u)] = np.nan
    one = [report.panel.assets[i] for i in np.flatnonzero(np.isfinite(u).any(axis=0))]
    own = ", each divided by its own standard deviation" if per_asset else ""
    return u, shortened(one[0]) if len(one) == 1 else f"pooled over {count(len(one), 'asset')}{own}"


def _rows(n: int, drawn: int) -> str:
    return count(n, "row") if drawn == n else f"{drawn:,} drawn at random of {n:,} rows"


def _sample(*columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """At most SAMPLE rows, the same ones at every run."""
    n = len(columns[0])
    chosen = slice(None) if n <= SAMPLE else np.random.default_rng(0).integers(0, n, SAMPLE)
    return tuple(column[chosen] for column in columns)


def _quantiles(axes: Any, u: np.ndarray) -> None:
    """Order statistics against those of a normal; the ends of both tails in full, the rest thinned
    evenly.
    """
    from scipy.special import ndtr, ndtri

    n = len(u)
    even = ndtr(np.linspace(ndtri(0.5 / n), -ndtri(0.5 / n), 400)) * n
    tail = np.arange(min(n, 50))
    at = np.unique(np.concatenate([tail, np.clip(even.astype(int), 0, n - 1), n - 1 - tail]))
    normal, actual = ndtri((at + 0.5) / n), np.sort(u)[at]
    axes.plot(normal[[0, -1]], normal[[0, -1]], color=INK, linewidth=0.9)
    axes.plot(normal, actual, "o", color=BLUE, markersize=2.6, markeredgewidth=0, rasterized=True)
    axes.set(
        xlabel="quantile of a normal",
        ylabel="quantile of the residuals (std. dev.)",
        title="Against a normal",
    )


def _bins(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and standard deviation of y, and mean of x, over groups of equally many rows along x;
    few rows, none.
    """
    groups = np.array_split(np.argsort(x), min(BINS, len(x) // 20)) if len(x) >= 60 else []
    return tuple(
        np.array([f(v[g]) for g in groups]) for f, v in ((np.mean, x), (np.mean, y), (np.std, y))
    )


def _against(axes: Any, x: np.ndarray, u: np.ndarray) -> None:
    """Residuals with their mean and standard deviation along what was fitted."""
    cloud(axes, x, u)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.set(ylabel="standardised residual", title="Against fitted")
    centre, mean, spread = _bins(x, u)
    if len(centre):
        axes.plot(centre, mean, color=ORANGE, linewidth=1.6)
        axes.plot(
            centre,
            np.column_stack([mean + spread, mean - spread]),
            "--",
            color=ORANGE,
            linewidth=1.1,
        )


def autocorrelations(u: np.ndarray, lags: int) -> np.ndarray:
    """Of each column of (T, N) at lags 1 to `lags`: (lags, N), products of rows that both exist
    over all squares.
    """
    known = np.isfinite(u)
    with np.errstate(divide="ignore", invalid="ignore"):
        e = np.where(known, u - np.nansum(u, axis=0) / known.sum(axis=0), 0.0)
        return np.array(
            [np.einsum("tn,tn->n", e[j:], e[:-j]) for j in range(1, lags + 1)]
        ) / np.sum(e**2, axis=0)


def _autocorrelations(axes: Any, u: np.ndarray) -> None:
    """A bar per lag; of several assets the mean, with the middle 90 % of them."""
    rows = np.isfinite(u).sum(axis=0)
    chosen = np.flatnonzero(rows >= MOST_LAGS)
    chosen = chosen[
        np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_SERIES)).astype(int))
    ]
    axes.set(title="Autocorrelation", xlabel="lag (rows)", ylabel="correlation")
    if not len(chosen):
        axes.text(
            0.5,
            0.5,
            f"fewer than {MOST_LAGS} rows",
            ha="center",
            transform=axes.transAxes,
            color=INK,
        )
        return
    n, lags = np.median(rows[chosen]), int(min(MOST_LAGS, rows[chosen].min() // 5))
    r, at = autocorrelations(u[:, chosen], lags), np.arange(1, lags + 1)
    axes.bar(at, np.nanmean(r, axis=1), 0.7, color=BLUE)
    if len(chosen) > 1:
        axes.vlines(at, *np.nanquantile(r, [0.05, 0.95], axis=1), color=INK, linewidth=1.0)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    for edge in (-1.96, 1.96):
        axes.axhline(edge / math.sqrt(n), color=ORANGE, linewidth=1.1, linestyle="--")
    limit = max(0.1, *np.abs(axes.get_ylim()))
    axes.set(ylim=(-limit, limit), xlim=(0.3, lags + 0.7))


def actual_predicted(report: Report) -> Any:
    """What happened against what was predicted, out of sample."""
    table = report.predictions
    if table.empty or any(one.picture == "curves" for one in report.findings.values()):
        return None  # of classes the calibration shows it
    y, predicted = _sample(
        table["y"].to_numpy(dtype=float), table["prediction"].to_numpy(dtype=float)
    )
    rows, folds, r2 = (
        _rows(len(table), len(y)),
        count(len(report.folds), "fold"),
        report.metrics.get("oos/r2"),
    )
    scored = f"; R2 {number(r2)} against the {report.benchmark}" if r2 is not None else ""
    figure = figure_of(4.6, "Out of sample: actual against predicted", f"{rows} of {folds}{scored}")
    axes = axes_at(figure, 0.85, 0.95, 7.9, 3.05)
    cloud(axes, predicted, y)
    ends = [predicted.min(), predicted.max()]
    axes.plot(ends, ends, color=ORANGE, linewidth=1.4, label="actual = predicted")
    axes.axhline(0.0, color=GREY, linewidth=0.6, zorder=0)
    centre, mean, _ = _bins(predicted, y)
    if len(centre):
        style = {"color": INK, "markersize": 4.0, "markeredgecolor": "white"}
        axes.plot(centre, mean, "o", label="mean of actual in groups along predicted", **style)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.99), ncols=2, fontsize=8.5)
    axes.set(xlabel=f"predicted {target_text(report)}", ylabel=f"actual {target_text(report)}")
    return figure
