"""Pictures of forecast probabilities, and of the wealth from trading on them over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BASE_LINE,
    BLUE,
    DASHED,
    GREY,
    INK,
    ORANGE,
    axes_across,
    axes_at,
    figure_of,
    legend_above,
)
from runner.sinks.drawings.columns import first_value, rows_where, total
from runner.sinks.drawings.dates import dated, days_since, unnamed
from runner.sinks.drawings.hover import say_wealth
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

SIDE = 2.25  # inches of each panel
TOP = 1.0  # inches above them


def curves(table: pd.DataFrame) -> Any:
    """Confusion matrix, ROC curve and calibration side by side."""
    by_curve = table.groupby("curve")
    parts = dict(iter(by_curve))
    classes = parts["confusion"]
    rows_of_classes = total(classes, "rows")
    rows = count(rows_of_classes, "row")
    sample = first_value(table, "sample")
    note = f"{rows} {sample}; bars: 95 % intervals that take rows as independent"
    figure = figure_of(3.9, "Probabilities and outcomes", note)
    roc = parts.get("roc")
    groups = parts["calibration"]
    _confusion(_panel(figure, 0.65), classes)
    _roc(_panel(figure, 3.65), roc)
    _calibration(_panel(figure, 6.65), groups)
    return figure


def _panel(figure: Any, left: float) -> Any:
    """Square axes, so many inches from the left."""
    return axes_at(figure, left, TOP, SIDE, SIDE)


def _confusion(axes: Any, table: pd.DataFrame) -> None:
    """Rows of each predicted class (across) and each outcome (down), shaded by their share."""
    all_rows = total(table, "rows")
    whole = max(all_rows, 1.0)
    columns = ["x", "y", "rows"]
    cells = table[columns]
    tuples = cells.itertuples(index=False)
    for x, y, rows in tuples:
        colour = BLUE if x == y else ORANGE
        shade = 0.08 + 0.55 * rows / whole
        bottom = y - 0.48
        axes.bar(x, 0.96, 0.96, bottom, color=colour, alpha=shade, linewidth=0)
        part = rows / whole
        share = f"{part:.1%}"
        share = share.replace("%", " %")
        centred: Any = {"ha": "center", "va": "center", "color": INK}
        rows_in_cell = int(rows)
        written = f"{rows_in_cell:,}"
        axes.text(x, y + 0.08, written, size=13, **centred)
        axes.text(x, y - 0.2, share, **centred)
    edges = (-0.5, 1.5)
    axes.set(xlim=edges, ylim=edges)
    axes.set(xlabel="predicted class", ylabel="outcome")
    threshold = first_value(table, "threshold")
    axes.set_title(f"Classes at {threshold:g}")
    names = ["0", "1"]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names)
    axes.tick_params(length=0)


def _roc(axes: Any, table: pd.DataFrame | None) -> None:
    """The ROC curve beside chance; None: the rows have one class only."""
    ends = [0, 1]
    axes.plot(ends, ends, color=GREY, linewidth=0.9, linestyle=DASHED)
    if table is None:
        axes.text(0.5, 0.6, "one class only", ha="center", color=INK)
    else:
        axes.plot(table["x"], table["y"], color=BLUE, linewidth=1.6)
    axes.set_title("ROC, dashed: chance")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set(xlabel="share of the zeros above", ylabel="share of the ones above")


def _calibration(axes: Any, table: pd.DataFrame) -> None:
    """Shares of ones with their intervals against the probabilities of groups of rows."""
    low = table[["x", "low"]].min().min()
    high = table[["x", "high"]].max().max()
    range_of_shares = high - low
    margin = 0.05 * range_of_shares
    below_low = low - margin
    lowest = max(below_low, 0.0)
    above_high = high + margin
    highest = min(above_high, 1.0)
    ends = (lowest, highest)
    axes.plot(ends, ends, color=GREY, linewidth=0.9, linestyle=DASHED)
    axes.vlines(table["x"], table["low"], table["high"], color=BLUE, alpha=0.35, linewidth=1.6)
    axes.plot(table["x"], table["y"], "o", color=BLUE, markersize=4.5)
    axes.set_title("Calibration, dashed: perfect")
    axes.set(xlim=ends, ylim=ends)
    axes.set(xlabel="mean probability", ylabel="share of ones")


def equity(table: pd.DataFrame) -> Any:
    """Wealth of each strategy over time, and its drawdown."""
    dates = table["date"].nunique()
    rows = count(dates - 1, "row")
    sample = first_value(table, "sample")
    note = f"after costs, from 1; {rows} {sample}"
    figure = figure_of(5.2, "Wealth from trading on the forecasts", note)
    axes = axes_across(figure, 0.95, 2.5)
    below = axes_across(figure, 3.75, 1.0)
    axes.axhline(1.0, **BASE_LINE)
    first = table["date"].min()
    looks = (
        ("timed", "timed by the forecasts", BLUE, 1.6),
        ("buy_and_hold", "buy and hold", ORANGE, 1.2),
    )
    for name, label, colour, width in looks:
        part = rows_where(table, "strategy", name)
        days = days_since(part["date"], first)
        axes.plot(days, part["wealth"], color=colour, linewidth=width, label=label)
        below_highest = drawdown(part["wealth"])
        below.plot(days, below_highest, color=colour, linewidth=width)
    dated(below, table["date"])
    unnamed(axes, below)
    axes.set_ylabel("wealth")
    below.set_ylabel("drawdown (%)")
    legend_above(axes, 2)
    panels = [axes, below]
    say_wealth(panels, table, "strategy")
    return figure


def drawdown(wealth: pd.Series) -> np.ndarray:
    """Percent below the highest wealth until then."""
    path = wealth.to_numpy(dtype=float)
    highest = np.maximum.accumulate(path)
    below_highest = path / highest - 1.0
    return 100.0 * below_highest
