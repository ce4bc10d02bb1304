"""Sharpe ratios with their bootstrap distributions beside the formula for independent rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    GREY,
    INK,
    LETTER,
    ORANGE,
    PALE,
    WIDTH,
    axes_at,
    figure_of,
    labels_of,
    longest,
    zero_line,
)

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
    known = table[table["std_error"].notna()]
    if known.empty:
        return None
    draw = _forest if known["unit"].nunique() <= MOST else _sorted
    ratios = known["sharpe_annual"] / known["sharpe"]
    scale = ratios.replace([np.inf, -np.inf], np.nan).median()
    if np.isnan(scale):
        return draw(known, 1.0, "Sharpe ratio per row")
    return draw(known, float(scale), "Sharpe ratio a year")


def _forest(known: pd.DataFrame, scale: float, label: str) -> Any:
    """A row per asset, in it a bar per method."""
    units = list(known["unit"].unique())
    row = 0.46 if len(units) <= 12 else 0.32
    tall = max(0.9, row * len(units))
    note = "thin: interval; thick: middle half of the draws or of the normal; dot: the estimate"
    figure = figure_of(tall + 1.55, "Sharpe ratios and their bootstrap distributions", note)
    names = labels_of(units)
    left = 0.3 + LETTER * longest(names)
    axes = axes_at(figure, left, 1.0, WIDTH - left - 0.25, tall)
    for place, (method, (name, colour)) in enumerate(METHODS.items()):
        rows = known[known["method"] == method].set_index("unit").reindex(units)
        _bars(axes, rows, scale, (1 - place) * STEP, colour, name)
    at = -np.arange(len(units), dtype=float)
    axes.set_ylim(at[-1] - 0.55, 0.55)
    axes.set_yticks(at, names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    across = axes.get_yaxis_transform()
    between = at[:-1] - 0.5
    axes.hlines(between, 0.0, 1.0, transform=across, color=PALE, linewidth=0.6, zorder=0)
    zero_line(axes.axvline, axes.get_xlim())
    axes.set_xlabel(label)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0), fontsize=8.5)
    return figure


def _bars(
    axes: Any, rows: pd.DataFrame, scale: float, shift: float, colour: str, name: str
) -> None:
    """One method: a row per asset from the top, moved by `shift`."""
    at = shift - np.arange(len(rows))
    columns = ["ci_low", "ci_high", "q25", "q75", "sharpe"]
    low, high, q25, q75, estimate = scale * rows[columns].to_numpy(dtype=float).T
    axes.hlines(at, low, high, color=colour, linewidth=1.3, label=name)
    axes.hlines(at, q25, q75, color=colour, linewidth=5.0, alpha=0.55)
    axes.scatter(estimate, at, s=10, color=INK, linewidths=0, zorder=4)


def _sorted(known: pd.DataFrame, scale: float, label: str) -> Any:
    """Ratios from the least to the greatest.

    The interval of blocks is a band, that of the formula two lines.
    """
    blocks = known[known["method"] == "stationary_bootstrap"].sort_values("sharpe")
    lo = known[known["method"] == "lo"].set_index("unit").reindex(blocks["unit"])
    at = np.arange(1, len(blocks) + 1)
    note = f"{len(blocks):,} assets, sorted"
    figure = figure_of(4.2, "Sharpe ratios with their bootstrap intervals", note)
    axes = axes_at(figure, 0.75, 0.85, WIDTH - 1.0, 2.7)
    low = scale * blocks["ci_low"]
    high = scale * blocks["ci_high"]
    band: Any = {"color": BLUE, "alpha": 0.25, "linewidth": 0}
    axes.fill_between(at, low, high, label="interval, block bootstrap", **band)
    axes.plot(at, scale * blocks["sharpe"], color=BLUE, linewidth=1.8, label="estimate")
    limits = scale * lo[["ci_low", "ci_high"]].to_numpy(dtype=float)
    labels = ["interval, formula (Lo)", "_"]
    axes.plot(at, limits, color=ORANGE, linewidth=1.0, linestyle="--", label=labels)
    zero_line(axes.axhline, axes.get_ylim())
    outside = (blocks["ci_low"] > 0.0) | (blocks["ci_high"] < 0.0)
    share = f"{int(outside.sum()):,} of {len(blocks):,}"
    axes.set(xlabel=f"assets; zero is outside the block interval of {share}", ylabel=label)
    axes.set_xlim(0, len(blocks) + 1)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 0.99), fontsize=8.5)
    return figure
