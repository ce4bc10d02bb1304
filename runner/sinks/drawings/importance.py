"""What the trees of a boosted model split on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import BLUE, INK, PALE, WIDTH, axes_at, figure_of, label_room, labels_of

if TYPE_CHECKING:
    import pandas as pd

MOST = 40  # features drawn, those with the largest shares


def importance(table: pd.DataFrame) -> Any:
    """A bar per feature, its share of the gain; of several units the mean, and a dot for each."""
    known = table.dropna(subset="gain_share")
    if known.empty:
        return None
    by_term = known.groupby("term", sort=False)
    mean = by_term["gain_share"].mean()
    mean = mean.sort_values(ascending=False, kind="stable")
    shown = mean.head(MOST)
    splits = by_term["splits"].sum()
    splits = splits.reindex(shown.index)
    units = known["unit"].nunique()
    note = "all splits of all trees"
    if units > 1:
        note = f"mean over {units:,} regressions, a dot each"
    note += "; at the right how many splits; in sample, and shared by chance between like features"
    if len(mean) > MOST:
        note += f"; first {MOST} of {len(mean)} features"
    n = len(shown)
    height_of_rows = 0.26 * n
    tall = max(0.6, height_of_rows)
    figure = figure_of(tall + 1.5, "Share of the gain by feature", note)
    names = labels_of(shown.index)
    left = label_room(names, 0.3)
    axes = axes_at(figure, left, 0.75, WIDTH - left - 1.0, tall)
    heights = -np.arange(n, dtype=float)
    shade = 0.85 if units == 1 else 0.55
    shares = 100.0 * shown.to_numpy()
    axes.barh(heights, shares, height=0.62, color=BLUE, alpha=shade)
    if units > 1:
        height_of = dict(zip(shown.index, heights, strict=True))
        drawn = known["term"].isin(height_of)
        dots = known[drawn]
        share = 100.0 * dots["gain_share"]
        height = dots["term"].map(height_of)
        axes.scatter(share, height, s=7, color=INK, alpha=0.5, linewidths=0)
    right: Any = {"xycoords": ("axes fraction", "data"), "va": "center", "color": INK}
    for y, number in zip(heights, splits, strict=True):
        times = int(number)
        text = f"{times:,}"
        axes.annotate(text, (1.01, y), **right)
    axes.set_yticks(heights, names)
    axes.tick_params(axis="y", length=0)
    lowest = heights[-1]
    axes.set_ylim(lowest - 0.6, 0.6)
    axes.set_xlim(left=0.0)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel("share of the gain of all splits (%)")
    return figure
