"""Sharpe ratios with their bootstrap distributions beside the formula for independent rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    axes_across,
    figure_of,
    hide_left_axis,
    label_room,
    labels_of,
    legend_above,
    zero_line,
)
from runner.sinks.drawings.columns import floats, rows_where

if TYPE_CHECKING:
    import pandas as pd

MOST = 30  # assets drawn as rows; more are drawn sorted
METHODS = {
    "stationary_bootstrap": ("block bootstrap", BLUE),
    "iid_bootstrap": ("bootstrap of independent rows", ORANGE),
    "lo": ("formula, independent rows (Lo)", GREY),
}
STEP = 0.24  # between the methods of an asset, in rows


def bootstrap(table: pd.DataFrame) -> Any:
    """Per asset and method the interval (thin), the middle half of draws (thick), the estimate."""
    known = table.dropna(subset="std_error")
    if known.empty:
        return None
    assets = known["unit"].nunique()
    draw = _forest if assets <= MOST else _sorted
    ratios = known["sharpe_annual"] / known["sharpe"]
    infinite = [np.inf, -np.inf]
    scale = ratios.replace(infinite, np.nan).median()
    if np.isnan(scale):
        return draw(known, 1.0, "Sharpe ratio per row")
    return draw(known, float(scale), "Sharpe ratio a year")


def _forest(known: pd.DataFrame, scale: float, label: str) -> Any:
    """A row per asset, in it a bar per method."""
    distinct = known["unit"].unique()
    units = list(distinct)
    n = len(units)
    row = 0.46 if n <= 12 else 0.32
    height_of_rows = row * n
    tall = max(0.9, height_of_rows)
    note = "thin: interval; thick: middle half of the draws or of the normal; dot: the estimate"
    figure = figure_of(tall + 1.55, "Sharpe ratios and their bootstrap distributions", note)
    names = labels_of(units)
    left = label_room(names, 0.3)
    axes = axes_across(figure, 1.0, tall, left)
    for place, (method, (name, colour)) in enumerate(METHODS.items()):
        of_method = rows_where(known, "method", method)
        by_unit = of_method.set_index("unit")
        rows = by_unit.reindex(units)
        from_last = 1 - place
        shift = from_last * STEP
        _bars(axes, rows, scale, shift, colour, name)
    heights = -np.arange(n, dtype=float)
    lowest = heights[-1]
    axes.set_ylim(lowest - 0.55, 0.55)
    axes.set_yticks(heights, names)
    hide_left_axis(axes)
    across = axes.get_yaxis_transform()
    between = heights[:-1] - 0.5
    axes.hlines(between, 0.0, 1.0, transform=across, color=PALE, linewidth=0.6, zorder=0)
    zero_line(axes, "x")
    axes.set_xlabel(label)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0), fontsize=8.5)
    return figure


def _bars(
    axes: Any, rows: pd.DataFrame, scale: float, shift: float, colour: str, name: str
) -> None:
    """One method: a row per asset from the top, moved by `shift`."""
    heights = shift - np.arange(len(rows))
    ci_low = floats(rows, "ci_low")
    low = scale * ci_low
    ci_high = floats(rows, "ci_high")
    high = scale * ci_high
    lower_quartile = floats(rows, "q25")
    q25 = scale * lower_quartile
    upper_quartile = floats(rows, "q75")
    q75 = scale * upper_quartile
    sharpe = floats(rows, "sharpe")
    estimate = scale * sharpe
    axes.hlines(heights, low, high, color=colour, linewidth=1.3, label=name)
    axes.hlines(heights, q25, q75, color=colour, linewidth=5.0, alpha=0.55)
    axes.scatter(estimate, heights, s=10, color=INK, linewidths=0, zorder=4)


def _sorted(known: pd.DataFrame, scale: float, label: str) -> Any:
    """Ratios from the least to the greatest.

    The interval of blocks is a band, that of the formula two lines.
    """
    blocks = rows_where(known, "method", "stationary_bootstrap")
    blocks = blocks.sort_values("sharpe")
    of_formula = rows_where(known, "method", "lo")
    formula = of_formula.set_index("unit")
    formula = formula.reindex(blocks["unit"])
    n = len(blocks)
    after_last = n + 1
    ranks = np.arange(1, after_last)
    note = f"{n:,} assets, sorted"
    figure = figure_of(4.2, "Sharpe ratios with their bootstrap intervals", note)
    axes = axes_across(figure, 0.85, 2.7)
    low = scale * blocks["ci_low"]
    high = scale * blocks["ci_high"]
    band: Any = {"color": BLUE, "alpha": 0.25, "linewidth": 0}
    axes.fill_between(ranks, low, high, label="interval, block bootstrap", **band)
    estimates = scale * blocks["sharpe"]
    axes.plot(ranks, estimates, color=BLUE, linewidth=1.8, label="estimate")
    limits = formula[["ci_low", "ci_high"]]
    ends = limits.to_numpy(dtype=float)
    limits = scale * ends
    labels = ["interval, formula (Lo)", "_"]
    axes.plot(ranks, limits, color=ORANGE, linewidth=1.0, linestyle="--", label=labels)
    zero_line(axes, "y")
    is_above = blocks["ci_low"] > 0.0
    is_below = blocks["ci_high"] < 0.0
    outside = is_above | is_below
    hits = int(outside.sum())
    share = f"{hits:,} of {n:,}"
    axes.set_xlabel(f"assets; zero is outside the block interval of {share}")
    axes.set_ylabel(label)
    axes.set_xlim(0, n + 1)
    legend_above(axes, 3, fontsize=8.5)
    return figure
