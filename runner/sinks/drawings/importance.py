"""What the trees of a boosted model split on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import BLUE, INK, PALE, WIDTH, axes_at, figure_of, shortened

if TYPE_CHECKING:
    import pandas as pd

MOST = 40  # features drawn, those with the largest shares


def importance(table: pd.DataFrame) -> Any:
    """A bar per feature, its share of the gain; of several units the mean, and a dot for each."""
    known = table[table["gain_share"].notna()]
    if known.empty:
        return None
    mean = (
        known.groupby("term", sort=False)["gain_share"]
        .mean()
        .sort_values(ascending=False, kind="stable")
    )
    shown, units = mean.head(MOST), known["unit"].nunique()
    splits = known.groupby("term", sort=False)["splits"].sum().reindex(shown.index)
    more = f"; first {MOST} of {len(mean)} features" if len(mean) > MOST else ""
    whose = f"mean over {units:,} units, a dot each" if units > 1 else "all splits of all trees"
    tall = max(0.6, 0.26 * len(shown))
    note = f"{whose}; at the right how many splits; in sample, and shared by chance between like features{more}"
    figure = figure_of(tall + 1.5, "Share of the gain by feature", note)
    left = 0.3 + 0.078 * max(len(shortened(term)) for term in shown.index)
    axes = axes_at(figure, left, 0.75, WIDTH - left - 1.0, tall)
    at = -np.arange(len(shown), dtype=float)
    axes.barh(
        at, 100.0 * shown.to_numpy(), height=0.62, color=BLUE, alpha=0.85 if units == 1 else 0.55
    )
    if units > 1:
        place = dict(zip(shown.index, at, strict=True))
        dots = known[known["term"].isin(place)]
        axes.scatter(
            100.0 * dots["gain_share"],
            dots["term"].map(place),
            s=7,
            color=INK,
            alpha=0.5,
            linewidths=0,
        )
    for y, number in zip(at, splits, strict=True):
        axes.annotate(
            f"{int(number):,}",
            (1.01, y),
            xycoords=("axes fraction", "data"),
            va="center",
            color=INK,
        )
    axes.set_yticks(at, [shortened(term) for term in shown.index])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(at[-1] - 0.6, 0.6)
    axes.set_xlim(left=0.0)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel("share of the gain of all splits (%)")
    return figure
