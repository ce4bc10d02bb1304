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
    WIDTH,
    axes_at,
    figure_of,
    shortened,
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
    """Per asset and method the interval (thin), the middle half of the draws (thick), and the
    estimate.
    """
    known = table[table["std_error"].notna()]
    if known.empty:
        return None
    few = known["unit"].nunique() <= MOST
    ratio = (known["sharpe_annual"] / known["sharpe"]).replace([np.inf, -np.inf], np.nan).median()
    scale, label = (
        (1.0, "Sharpe ratio per row") if np.isnan(ratio) else (float(ratio), "Sharpe ratio a year")
    )
    return (_forest if few else _sorted)(known, scale, label)


def _forest(known: pd.DataFrame, scale: float, label: str) -> Any:
    units = list(known["unit"].unique())
    tall = max(0.9, (0.46 if len(units) <= 12 else 0.32) * len(units))
    note = "thin: interval; thick: middle half of the draws or of the normal; dot: the estimate"
    figure = figure_of(tall + 1.55, "Sharpe ratios and their bootstrap distributions", note)
    left = 0.3 + 0.078 * max(len(shortened(unit)) for unit in units)
    axes = axes_at(figure, left, 1.0, WIDTH - left - 0.25, tall)
    for place, (method, (name, colour)) in enumerate(METHODS.items()):
        rows = known[known["method"] == method].set_index("unit").reindex(units)
        _bars(axes, rows, scale, (1 - place) * STEP, colour, name)
    at = -np.arange(len(units), dtype=float)
    axes.set_ylim(at[-1] - 0.55, 0.55)
    axes.set_yticks(at, [shortened(unit) for unit in units])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.hlines(
        at[:-1] - 0.5,
        0.0,
        1.0,
        transform=axes.get_yaxis_transform(),
        color=PALE,
        linewidth=0.6,
        zorder=0,
    )
    zero_line(axes.axvline, axes.get_xlim())
    axes.set_xlabel(label)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 1.0), fontsize=8.5)
    return figure


def _bars(
    axes: Any, rows: pd.DataFrame, scale: float, shift: float, colour: str, name: str
) -> None:
    """One method: a row per asset from the top, moved by `shift`."""
    at = shift - np.arange(len(rows))
    low, high, q25, q75, dot = (
        scale * rows[column].to_numpy(dtype=float)
        for column in ("ci_low", "ci_high", "q25", "q75", "sharpe")
    )
    axes.hlines(at, low, high, color=colour, linewidth=1.3, label=name)
    axes.hlines(at, q25, q75, color=colour, linewidth=5.0, alpha=0.55)
    axes.scatter(dot, at, s=10, color=INK, linewidths=0, zorder=4)


def _sorted(known: pd.DataFrame, scale: float, label: str) -> Any:
    """Ratios from the least to the greatest, the interval of blocks as a band and that of the
    formula as lines.
    """
    blocks = known[known["method"] == "stationary_bootstrap"].sort_values("sharpe")
    lo = known[known["method"] == "lo"].set_index("unit").reindex(blocks["unit"])
    at = np.arange(1, len(blocks) + 1)
    figure = figure_of(
        4.2, "Sharpe ratios with their bootstrap intervals", f"{len(blocks):,} assets, sorted"
    )
    axes = axes_at(figure, 0.75, 0.85, WIDTH - 1.0, 2.7)
    band = scale * blocks["ci_low"], scale * blocks["ci_high"]
    axes.fill_between(
        at, *band, color=BLUE, alpha=0.25, linewidth=0, label="interval, block bootstrap"
    )
    axes.plot(at, scale * blocks["sharpe"], color=BLUE, linewidth=1.8, label="estimate")
    limits = scale * lo[["ci_low", "ci_high"]].to_numpy(dtype=float)
    axes.plot(
        at,
        limits,
        color=ORANGE,
        linewidth=1.0,
        linestyle="--",
        label=["interval, formula (Lo)", "_"],
    )
    zero_line(axes.axhline, axes.get_ylim())
    outside = int(((blocks["ci_low"] > 0.0) | (blocks["ci_high"] < 0.0)).sum())
    axes.set(
        xlabel=f"assets; zero is outside the block interval of {outside:,} of {len(blocks):,}",
        ylabel=label,
    )
    axes.set_xlim(0, len(blocks) + 1)
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0.0, 0.99), fontsize=8.5)
    return figure
