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
    ORANGE,
    PALE,
    WIDTH,
    axes_at,
    figure_of,
    shortened,
    style,
    unit_name,
    zero_line,
)
from runner.sinks.drawings import DRAWINGS
from runner.sinks.drawings.fitted import actual_predicted, residuals
from runner.sinks.drawings.folds import folds
from runner.sinks.drawings.terms import correlations, cumulative, t_stats
from runner.text import count, number, per_unit, plural, unit_noun

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report

MOST_ROWS = 30  # units drawn as rows; more are drawn as a distribution
MOST_WHOLE = 200  # units drawn with all of their extremes
MOST_TERMS = 20  # panels of coefficients


def draw(report: Report, directory: Path) -> list[Path]:
    """Write the pictures below `directory`/plots and return their paths in the order to show
    them.
    """
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
    if unit_noun(table) == "date" and terms:
        return cumulative(report, terms[:MOST_TERMS])
    if not _worth(table):
        return None
    units = table["unit"].unique()
    panel, filled = (_forest, "filled: p < 0.05; ") if len(units) <= MOST_ROWS else (_sorted, "")
    whose = count(len(units), unit_noun(table)) if len(units) > 1 else unit_name(units[0])
    more = f"; first {MOST_TERMS} of {len(terms)} terms" if len(terms) > MOST_TERMS else ""
    tested = table["p_value"].notna().any()
    note = f"{_interval(report)}; {filled}" if tested else ""
    note += f"each on its own scale{more}; errors: {report.fit.errors}"
    return _panels(report, table, terms[:MOST_TERMS], f"Coefficients of {whose}", note, panel)


def _worth(table: pd.DataFrame) -> bool:
    """Several units, or one with intervals; bare points of one unit on scales of their own say
    nothing.
    """
    return len(table) > 0 and bool(table["unit"].nunique() > 1 or table["ci_low"].notna().any())


def _interval(report: Report) -> str:
    level = (report.spec.get("model") or {}).get("confidence")
    return (
        f"{level:.0%} intervals".replace("%", " %")
        if isinstance(level, float)
        else "confidence intervals"
    )


def _panels(
    report: Report,
    table: pd.DataFrame,
    terms: Sequence[str],
    title: str,
    note: str,
    panel: Callable[..., None],
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


def _grid(
    panels: int, labels: list[str], forest: bool
) -> tuple[int, float, float, float, float, float]:
    """Panels across; inches of the left margin, between panels, of a panel's width and height, and
    below it.
    """
    columns = math.ceil(panels / math.ceil(panels / (5 if forest else 3)))
    named = 0.3 + 0.078 * max(map(len, [*labels, "mean"])) if len(labels) > 1 else 0.3
    left, gap = (named, 0.45) if forest else (0.75, 0.7)
    wide = (WIDTH - left - 0.3 - gap * (columns - 1)) / columns
    return (
        columns,
        left,
        gap,
        wide,
        *((max(0.35, 0.2 * (len(labels) + 1)), 0.65) if forest else (2.1, 0.8)),
    )


def _forest(
    axes: Any, rows: pd.DataFrame, mean: pd.Series | None, labels: list[str] | None
) -> None:
    """A row per unit from the top, the mean below them."""
    at = -np.arange(len(rows), dtype=float)
    low, high, estimate = (
        rows[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high", "estimate")
    )
    axes.hlines(at, low, high, color=BLUE, linewidth=1.4)
    filled = np.where(rows["p_value"] < 0.05, BLUE, "white")
    axes.scatter(estimate, at, s=20, c=filled, edgecolors=BLUE, linewidths=1.2, zorder=3)
    ticks = list(at)
    if mean is not None:
        ticks.append(-len(rows))
        axes.hlines(ticks[-1:], mean["ci_low"], mean["ci_high"], color=ORANGE, linewidth=1.4)
        fill = ORANGE if mean["p_value"] < 0.05 else "white"
        axes.scatter(
            [mean["estimate"]], ticks[-1:], s=26, c=fill, marker="D", edgecolors=ORANGE, zorder=3
        )
    zero_line(axes.axvline, axes.get_xlim())
    axes.set_ylim(min(ticks) - 0.6, 0.6)
    named = labels is not None and len(ticks) > 1
    axes.set_yticks(
        ticks if named else [], [*labels, "mean"][: len(ticks)] if labels and named else []
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.hlines(
        ticks, 0.0, 1.0, color=PALE, linewidth=0.5, zorder=0, transform=axes.get_yaxis_transform()
    )


def _sorted(
    axes: Any, rows: pd.DataFrame, mean: pd.Series | None, labels: list[str] | None
) -> None:
    """Estimates from the least to the greatest with the band of their intervals."""
    rows = rows[rows["estimate"].notna()].sort_values("estimate")
    at = np.arange(1, len(rows) + 1)
    axes.fill_between(at, rows["ci_low"], rows["ci_high"], color=BLUE, alpha=0.25, linewidth=0)
    axes.plot(at, rows["estimate"], color=BLUE, linewidth=1.6)
    if mean is not None:
        axes.axhline(mean["estimate"], color=ORANGE, linewidth=1.2)
        at_left = (0.02, mean["estimate"]), (0, 3), ("axes fraction", "data"), "offset points"
        axes.annotate(f"mean {number(mean['estimate'], 3)}", *at_left, color=ORANGE)
    cut = ""
    if len(rows) >= MOST_WHOLE:  # a few wild ones would flatten the rest
        low, high = (
            rows[["ci_low", "estimate"]].min(axis=1),
            rows[["ci_high", "estimate"]].max(axis=1),
        )
        axes.set_ylim(low.quantile(0.01), high.quantile(0.99))
        cut = "; outer 1 % cut"
    zero_line(axes.axhline, axes.get_ylim())
    hits, tested = int((rows["p_value"] < 0.05).sum()), int(rows["p_value"].notna().sum())
    share = f"; {hits:,} of {tested:,} with p < 0.05" if tested else ""
    axes.set_xlabel(f"{plural(unit_noun(rows))}, sorted{share}{cut}")
    axes.set_xlim(0, len(rows) + 1)


PICTURES: dict[str, Callable[[Report], Any]] = {
    picture.__name__: picture
    for picture in (coefficients, t_stats, correlations, residuals, actual_predicted, folds)
}
