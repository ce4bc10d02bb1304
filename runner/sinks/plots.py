"""Pictures of a report as PNG files."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    DPI,
    GREY,
    INK,
    ORANGE,
    PALE,
    WIDTH,
    axes_at,
    figure_of,
    shortened,
    style,
    zero_line,
)
from runner.sinks.drawings import DRAWINGS
from runner.sinks.drawings.folds import folds
from runner.words import count, number, per_unit, plural, target_text, unit_noun

if TYPE_CHECKING:
    import pandas as pd

    from runner.report import Report

MOST_ROWS = 30  # units drawn as rows; more are drawn as a distribution
MOST_TERMS = 20  # panels of coefficients
MOST_POINTS = 4_000  # points drawn one by one; more are drawn as a density
SAMPLE = 400_000  # rows taken for a density
BINS = 20  # groups of rows whose means are drawn


def draw(report: Report, directory: Path) -> list[Path]:
    """Write the pictures below `directory`/plots and return their paths in the order to show them."""
    folder = directory / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    with style():
        for name, picture in PICTURES.items():
            figure = picture(report)
            if figure is not None:
                drawn.append(folder / f"{name}.png")
                figure.savefig(drawn[-1], dpi=DPI)
        for name, finding in report.findings.items():
            if finding.picture and (figure := DRAWINGS[finding.picture](finding.table)) is not None:
                drawn.append(folder / f"{name}.png")
                figure.savefig(drawn[-1], dpi=DPI)
    return drawn


def coefficients(report: Report) -> Any:
    """Estimates with their intervals, a panel per term on its own scale."""
    table = per_unit(report.fit.coefficients)
    table = table[np.isfinite(table["estimate"].astype(float))]
    terms = list(table["term"].unique())
    if not terms:
        return None
    units = table["unit"].unique()
    panel, filled = (_forest, "filled: p < 0.05; ") if len(units) <= MOST_ROWS else (_sorted, "")
    whose = (
        count(len(units), unit_noun(table))
        if len(units) > 1
        else shortened(units[0]).replace("all", "the regression")
    )
    more = f"; first {MOST_TERMS} of {len(terms)} terms" if len(terms) > MOST_TERMS else ""
    tested = table["p_value"].notna().any()
    errors = f"{_interval(report)}, {report.fit.errors}; {filled}" if tested else f"errors: {report.fit.errors}; "
    note = f"{errors}each on its own scale{more}"
    return _panels(report, table, terms[:MOST_TERMS], f"Coefficients of {whose}", note, panel)


def _interval(report: Report) -> str:
    level = (report.spec.get("model") or {}).get("confidence")
    return f"{level:.0%} intervals".replace("%", " %") if isinstance(level, float) else "confidence intervals"


def _panels(
    report: Report, table: pd.DataFrame, terms: Sequence[str], title: str, note: str, panel: Callable[..., None]
) -> Any:
    """A grid of panels with the same units each; forests name their rows at the left edge only."""
    every, units = report.fit.coefficients, table["unit"].unique()
    labels = [shortened(unit) for unit in units]
    columns, left, gap, wide, tall, below = _grid(len(terms), labels, panel is _forest)
    means = every[every["scope"] == "mean"].set_index("term")
    figure = figure_of(0.65 + math.ceil(len(terms) / columns) * (tall + below), title, note)
    for place, term in enumerate(terms):
        row, column = divmod(place, columns)
        axes = axes_at(figure, left + column * (wide + gap), 0.9 + row * (tall + below), wide, tall)
        axes.set_title(shortened(term, 22 if columns > 3 else 44))
        mean = means.loc[term] if term in means.index else None
        rows = table[table["term"] == term].set_index("unit").reindex(units)
        panel(axes, rows, mean, labels if column == 0 else None)
    return figure


def _grid(panels: int, labels: list[str], forest: bool) -> tuple[int, float, float, float, float, float]:
    """Panels across; inches of the left margin, between panels, of a panel's width and height, and below it."""
    columns = math.ceil(panels / math.ceil(panels / (5 if forest else 3)))
    named = 0.3 + 0.078 * max(map(len, [*labels, "mean"])) if len(labels) > 1 else 0.3
    left, gap = (named, 0.15) if forest else (0.75, 0.7)
    wide = (WIDTH - left - 0.15 - gap * (columns - 1)) / columns
    return columns, left, gap, wide, *((max(0.35, 0.2 * (len(labels) + 1)), 0.65) if forest else (2.1, 0.8))


def _forest(axes: Any, rows: pd.DataFrame, mean: pd.Series | None, labels: list[str] | None) -> None:
    """A row per unit from the top, the mean below them."""
    at = -np.arange(len(rows), dtype=float)
    low, high, estimate = (rows[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high", "estimate"))
    axes.hlines(at, low, high, color=BLUE, linewidth=1.4)
    filled = np.where(rows["p_value"] < 0.05, BLUE, "white")
    axes.scatter(estimate, at, s=20, c=filled, edgecolors=BLUE, linewidths=1.2, zorder=3)
    ticks = list(at)
    if mean is not None:
        ticks.append(-len(rows))
        axes.hlines(ticks[-1:], mean["ci_low"], mean["ci_high"], color=ORANGE, linewidth=1.4)
        fill = ORANGE if mean["p_value"] < 0.05 else "white"
        axes.scatter([mean["estimate"]], ticks[-1:], s=26, c=fill, marker="D", edgecolors=ORANGE, zorder=3)
    zero_line(axes.axvline, axes.get_xlim())
    axes.set_ylim(min(ticks) - 0.6, 0.6)
    names = [*labels, "mean"][: len(ticks)] if labels and len(ticks) > 1 else [""] * len(ticks)
    axes.set_yticks(ticks, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)


def _sorted(axes: Any, rows: pd.DataFrame, mean: pd.Series | None, labels: list[str] | None) -> None:
    """Estimates from the least to the greatest with the band of their intervals."""
    rows = rows[rows["estimate"].notna()].sort_values("estimate")
    at = np.arange(1, len(rows) + 1)
    axes.fill_between(at, rows["ci_low"], rows["ci_high"], color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(at, rows["estimate"], color=BLUE, linewidth=1.6)
    if mean is not None:
        axes.axhline(mean["estimate"], color=ORANGE, linewidth=1.2)
        at_left = (0.02, mean["estimate"]), (0, 3), ("axes fraction", "data"), "offset points"
        axes.annotate(f"mean {number(mean['estimate'], 3)}", *at_left, color=ORANGE)
    zero_line(axes.axhline, axes.get_ylim())
    hits, tested = int((rows["p_value"] < 0.05).sum()), int(rows["p_value"].notna().sum())
    share = f"; {hits:,} of {tested:,} with p < 0.05" if tested else ""
    axes.set_xlabel(f"{plural(unit_noun(rows))}, sorted{share}")
    axes.set_xlim(0, len(rows) + 1)


def residuals(report: Report) -> Any:
    """Residuals against the normal, and against what was fitted."""
    if (report.spec.get("model") or {}).get("estimator") == "logit":
        return None  # of a target of 0 and 1 they lie on two lines, and no normal is claimed
    u, fitted, note = _standardised(report)
    if len(u) < 2:
        return None
    figure = figure_of(4.3, "Residuals", note)
    _quantiles(axes_at(figure, 0.75, 0.95, 3.6, 2.75), u)
    _against(axes_at(figure, 5.2, 0.95, 3.6, 2.75), fitted, u)
    logs = ", its logarithm" if "exp" in report.panel.back else ""
    figure.axes[1].set_xlabel(f"fitted {target_text(report)}{logs}")
    return figure


def _standardised(report: Report) -> tuple[np.ndarray, np.ndarray, str]:
    """Residuals (n,) in standard deviations, fitted (n,), and in words what was pooled."""
    u = np.where(report.panel.valid, report.panel.y - report.fitted, np.nan)
    known = np.isfinite(u)
    per_asset = unit_noun(report.fit.quality) == "asset"
    sums = known.sum(axis=0) if per_asset else known.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        u = u / np.sqrt(np.nansum(u**2, axis=0 if per_asset else None) / sums)
    known &= np.isfinite(u)
    n, one = int(known.sum()), [report.panel.assets[i] for i in np.flatnonzero(known.any(axis=0))]
    own = ", each divided by its own standard deviation" if per_asset else ""
    who = shortened(one[0]) if len(one) == 1 else f"pooled over {count(len(one), 'asset')}{own}"
    u, fitted = _sample(u[known], report.fitted[known])
    return u, fitted, f"{who}; {_rows(n, len(u))} in sample"


def _rows(n: int, drawn: int) -> str:
    return count(n, "row") if drawn == n else f"{drawn:,} drawn at random of {n:,} rows"


def _sample(*columns: np.ndarray) -> tuple[np.ndarray, ...]:
    """At most SAMPLE rows, the same ones at every run."""
    n = len(columns[0])
    chosen = slice(None) if n <= SAMPLE else np.random.default_rng(0).integers(0, n, SAMPLE)
    return tuple(column[chosen] for column in columns)


def _quantiles(axes: Any, u: np.ndarray) -> None:
    """Order statistics against those of a normal; the ends of both tails in full, the rest thinned evenly."""
    from scipy.special import ndtr, ndtri

    n = len(u)
    even = ndtr(np.linspace(ndtri(0.5 / n), -ndtri(0.5 / n), 400)) * n
    tail = np.arange(min(n, 50))
    at = np.unique(np.concatenate([tail, np.clip(even.astype(int), 0, n - 1), n - 1 - tail]))
    normal, actual = ndtri((at + 0.5) / n), np.sort(u)[at]
    axes.plot(normal[[0, -1]], normal[[0, -1]], color=INK, linewidth=0.9)
    axes.plot(normal, actual, "o", color=BLUE, markersize=2.6, markeredgewidth=0, rasterized=True)
    axes.set(xlabel="quantile of a normal", ylabel="quantile of the residuals (std. dev.)", title="Against a normal")


def _cloud(axes: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Points, or their density where they are many (logarithmic shades)."""
    if len(x) <= MOST_POINTS:
        size, alpha = (9, 0.45) if len(x) <= 1_500 else (6, 0.3)
        axes.scatter(x, y, s=size, color=BLUE, alpha=alpha, linewidths=0)
        return
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("blues", ["#BAD6EB", "#4A97C9", "#084A92"])
    box, across = axes.get_window_extent(), int(axes.get_window_extent().width / 5.5)
    regular = across, int(across * box.height / box.width / math.sqrt(3.0))
    axes.hexbin(x, y, gridsize=regular, bins="log", cmap=shades, mincnt=1, linewidths=0.1)


def _bins(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and standard deviation of y, and mean of x, over groups of equally many rows along x; few rows, none."""
    groups = np.array_split(np.argsort(x), min(BINS, len(x) // 20)) if len(x) >= 60 else []
    return tuple(np.array([f(v[g]) for g in groups]) for f, v in ((np.mean, x), (np.mean, y), (np.std, y)))


def _against(axes: Any, x: np.ndarray, u: np.ndarray) -> None:
    """Residuals with their mean and standard deviation along what was fitted."""
    _cloud(axes, x, u)
    axes.axhline(0.0, color=INK, linewidth=0.8)
    axes.set(ylabel="standardised residual", title="Against fitted")
    centre, mean, spread = _bins(x, u)
    if len(centre):
        axes.plot(centre, mean, color=ORANGE, linewidth=1.6, label="mean")
        band = np.column_stack([mean + spread, mean - spread])
        axes.plot(centre, band, "--", color=ORANGE, linewidth=1.1, label=["± 1 std. dev.", "_"])
        axes.legend(frameon=False, fontsize=8.5, loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=2)


def actual_predicted(report: Report) -> Any:
    """What happened against what was predicted, out of sample."""
    table = report.predictions
    if table.empty:
        return None
    y, predicted = _sample(table["y"].to_numpy(dtype=float), table["prediction"].to_numpy(dtype=float))
    rows, folds, r2 = _rows(len(table), len(y)), count(len(report.folds), "fold"), report.metrics.get("oos/r2")
    scored = f"; R2 {number(r2)} against the {report.benchmark}" if r2 is not None else ""
    figure = figure_of(4.6, "Out of sample: actual against predicted", f"{rows} of {folds}{scored}")
    axes = axes_at(figure, 0.85, 0.8, 7.9, 3.2)
    _cloud(axes, predicted, y)
    ends = [predicted.min(), predicted.max()]
    axes.plot(ends, ends, color=ORANGE, linewidth=1.4, label="actual = predicted")
    axes.axhline(0.0, color=GREY, linewidth=0.6, zorder=0)
    centre, mean, _ = _bins(predicted, y)
    if len(centre):
        style = {"color": INK, "markersize": 4.0, "markeredgecolor": "white"}
        axes.plot(centre, mean, "o", label="mean of actual in groups along predicted", **style)
    axes.legend(frameon=False, loc="upper left", fontsize=8.5)
    axes.set(xlabel=f"predicted {target_text(report)}", ylabel=f"actual {target_text(report)}")
    return figure


PICTURES: dict[str, Callable[[Report], Any]] = {
    picture.__name__: picture for picture in (coefficients, residuals, actual_predicted, folds)
}
