"""Pictures of the target by group of assets: its distribution, and its mean over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    GREY,
    INK,
    LETTER,
    ORANGE,
    WIDTH,
    axes_at,
    figure_of,
    labels_of,
    longest,
)
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

MOST_GROUPS = 40  # drawn; of more, those with the most rows
MOST_NAME = 30  # letters of the name of a group
MOST_TICKS = 8  # periods named below the axis


def by_group(table: pd.DataFrame) -> Any:
    """Middle half, median, mean and 5 to 95 % of the target in each group."""
    known = table[table["n_obs"] > 0]
    shown = known.nlargest(MOST_GROUPS, "n_obs").sort_values("median")
    rest = _left_out(len(known) - len(shown))
    note = f"every usable row; box: middle half, line: 5 to 95 %, in units of the target{rest}"
    tall = max(1.2, 0.24 * len(shown))
    figure = figure_of(tall + 1.75, f"Target by {shown['group'].iloc[0]}", note)
    labels = labels_of(shown["unit"], MOST_NAME)
    left = 0.4 + LETTER * longest(labels)
    axes = axes_at(figure, left, 0.95, WIDTH - left - 0.25, tall)
    at = np.arange(len(shown))
    axes.hlines(at, shown["q05"], shown["q95"], color=GREY, linewidth=1.1)
    axes.barh(at, shown["q75"] - shown["q25"], 0.6, left=shown["q25"], color=BLUE, alpha=0.55)
    axes.vlines(shown["median"], at - 0.3, at + 0.3, color=INK, linewidth=1.6, label="median")
    axes.plot(shown["mean"], at, "D", color=ORANGE, markersize=4.5, label="mean")
    axes.set_yticks(at, labels)
    axes.set(ylim=(-0.6, len(shown) - 0.4), xlabel="target")
    axes.tick_params(axis="y", length=0)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=2, fontsize=8.5)
    return figure


def risk_by_group(table: pd.DataFrame) -> Any:
    """A heat map of the mean target: groups by periods."""
    by = table["by"].iloc[0]
    cells = table.pivot_table(index="group", columns="period", values="mean", sort=True)
    rows = table.groupby("group")["n_obs"].sum()
    kept = rows.nlargest(MOST_GROUPS).index
    cells = cells.loc[[name for name in cells.index if name in kept]]
    note = (
        f"mean of the target over the usable rows of each {by} and period, by the date of the row"
    )
    note += _left_out(len(rows) - len(kept))
    tall = max(1.2, 0.24 * len(cells))
    figure = figure_of(tall + 1.6, f"Target over time by {by}", note)
    labels = labels_of(cells.index, MOST_NAME)
    left = 0.4 + LETTER * longest(labels)
    axes = axes_at(figure, left, 0.8, WIDTH - left - 1.1, tall)
    # one wild quarter would leave the rest one colour
    high = float(np.nanquantile(cells.to_numpy(), 0.99))
    image = axes.imshow(cells, cmap="cividis", vmax=high, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(labels)), labels)
    periods = cells.shape[1]
    shown = np.unique(np.linspace(0, periods - 1, min(periods, MOST_TICKS)).astype(int))
    axes.set_xticks(shown, [cells.columns[at] for at in shown])
    axes.tick_params(length=0)
    ends = "max" if np.nanmax(cells.to_numpy()) > high else "neither"
    scale = axes_at(figure, WIDTH - 0.85, 0.8, 0.14, tall)
    bar = figure.colorbar(image, cax=scale, extend=ends)
    bar.outline.set_visible(False)
    return figure


def _left_out(groups: int) -> str:
    """How many groups are not drawn, at the end of a note; nothing where all are."""
    if groups == 0:
        return ""
    return f"; {count(groups, 'group')} with fewer rows not drawn"


BY_GROUP = {"by_group": by_group, "risk_by_group": risk_by_group}
