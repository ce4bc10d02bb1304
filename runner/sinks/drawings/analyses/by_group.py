"""Pictures of the target by group of assets: its distribution, and its mean over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    WIDTH,
    axes_across,
    axes_at,
    figure_of,
    label_room,
    labels_of,
    legend_above,
)
from runner.sinks.drawings.columns import first_value
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

MOST_GROUPS = 40  # drawn; of more, those with the most rows
MOST_NAME = 30  # letters of the name of a group
MOST_TICKS = 8  # periods named below the axis


def by_group(table: pd.DataFrame) -> Any:
    """Middle half, median, mean and 5 to 95 % of the target in each group."""
    has_rows = table["n_obs"] > 0
    known = table[has_rows]
    shown = known.nlargest(MOST_GROUPS, "n_obs")
    shown = shown.sort_values("median")
    groups = len(shown)
    rest = _left_out(len(known) - groups)
    note = f"every usable row; box: middle half, line: 5 to 95 %, in units of the target{rest}"
    height_of_groups = 0.24 * groups
    tall = max(1.2, height_of_groups)
    column = first_value(shown, "group")
    figure = figure_of(tall + 1.75, f"Target by {column}", note)
    labels = labels_of(shown["unit"], MOST_NAME)
    left = label_room(labels, 0.4)
    axes = axes_across(figure, 0.95, tall, left)
    heights = np.arange(groups)
    axes.hlines(heights, shown["q05"], shown["q95"], color=GREY, linewidth=1.1)
    first = shown["q25"]
    half = shown["q75"] - first
    axes.barh(heights, half, 0.6, left=first, color=BLUE, alpha=0.55)
    low = heights - 0.3
    high = heights + 0.3
    axes.vlines(shown["median"], low, high, color=INK, linewidth=1.6, label="median")
    axes.plot(shown["mean"], heights, "D", color=ORANGE, markersize=4.5, label="mean")
    axes.set_yticks(heights, labels)
    axes.set_ylim(-0.6, groups - 0.4)
    axes.set_xlabel("target")
    axes.tick_params(axis="y", length=0)
    legend_above(axes, 2, "right", fontsize=8.5)
    return figure


def risk_by_group(table: pd.DataFrame) -> Any:
    """A heat map of the mean target: groups by periods."""
    by = first_value(table, "by")
    cells = table.pivot_table(index="group", columns="period", values="mean", sort=True)
    rows = table.groupby("group")["n_obs"].sum()
    largest_groups = rows.nlargest(MOST_GROUPS)
    kept = largest_groups.index
    kept_mask = cells.index.isin(kept)
    cells = cells[kept_mask]
    note = (
        f"mean of the target over the usable rows of each {by} and period, by the date of the row"
    )
    note += _left_out(len(rows) - len(kept))
    groups = len(cells)
    height_of_groups = 0.24 * groups
    tall = max(1.2, height_of_groups)
    title = f"Target over time by {by}"
    figure = figure_of(tall + 1.6, title, note)
    labels = labels_of(cells.index, MOST_NAME)
    left = label_room(labels, 0.4)
    axes = axes_at(figure, left, 0.8, WIDTH - left - 1.1, tall)
    # one wild quarter would leave the rest one colour
    means = cells.to_numpy()
    quantile = np.nanquantile(means, 0.99)
    high = float(quantile)
    image = axes.imshow(cells, cmap="cividis", vmax=high, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(groups), labels)
    periods = cells.shape[1]
    ticks = min(periods, MOST_TICKS)
    even = np.linspace(0, periods - 1, ticks)
    rounded_down = even.astype(int)
    shown = np.unique(rounded_down)
    axes.set_xticks(shown, list(cells.columns[shown]))
    axes.tick_params(length=0)
    highest = np.nanmax(means)
    cut = highest > high
    ends = "max" if cut else "neither"
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
