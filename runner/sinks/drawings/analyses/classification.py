"""Pictures of forecast probabilities, and of the wealth from trading on them over time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import BLUE, DASHED, GREY, INK, ORANGE, axes_at, figure_of
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

SIDE = 2.25  # inches of each panel
TOP = 1.0  # inches above them
MOST_TICKS = 9  # dates below an axis


def curves(table: pd.DataFrame) -> Any:
    """Confusion matrix, ROC curve and calibration side by side."""
    parts = dict(iter(table.groupby("curve")))
    rows = count(int(parts["confusion"]["rows"].sum()), "row")
    note = f"{rows} {table['sample'].iloc[0]}; bars: 95 % intervals that take rows as independent"
    figure = figure_of(3.9, "Probabilities and what happened", note)
    _confusion(axes_at(figure, 0.65, TOP, SIDE, SIDE), parts["confusion"])
    _roc(axes_at(figure, 3.65, TOP, SIDE, SIDE), parts.get("roc"))
    _calibration(axes_at(figure, 6.65, TOP, SIDE, SIDE), parts["calibration"])
    return figure


def _confusion(axes: Any, table: pd.DataFrame) -> None:
    """Rows of each class foretold (across) and each outcome (down), shaded by their share."""
    whole = max(table["rows"].sum(), 1.0)
    for x, y, rows in table[["x", "y", "rows"]].itertuples(index=False):
        colour = BLUE if x == y else ORANGE
        shade = 0.08 + 0.55 * rows / whole
        axes.bar(x, 0.96, 0.96, y - 0.48, color=colour, alpha=shade, linewidth=0)
        share = f"{rows / whole:.1%}".replace("%", " %")
        centred: Any = {"ha": "center", "va": "center", "color": INK}
        axes.text(x, y + 0.08, f"{int(rows):,}", size=13, **centred)
        axes.text(x, y - 0.2, share, **centred)
    axes.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), xlabel="class foretold", ylabel="what happened")
    axes.set_title(f"Classes at {table['threshold'].iloc[0]:g}")
    axes.set_xticks([0, 1], ["0", "1"])
    axes.set_yticks([0, 1], ["0", "1"])
    axes.tick_params(length=0)


def _roc(axes: Any, table: pd.DataFrame | None) -> None:
    """The ROC curve beside chance; None: the rows have one class only."""
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle=DASHED)
    if table is None:
        axes.text(0.5, 0.6, "one class only", ha="center", color=INK)
    else:
        axes.plot(table["x"], table["y"], color=BLUE, linewidth=1.6)
    axes.set(xlim=(0, 1), ylim=(0, 1), title="ROC, dashed: chance")
    axes.set(xlabel="share of the zeros above", ylabel="share of the ones above")


def _calibration(axes: Any, table: pd.DataFrame) -> None:
    """Shares of ones with their intervals against the probabilities of groups of rows."""
    low = table[["x", "low"]].min().min()
    high = table[["x", "high"]].max().max()
    margin = 0.05 * (high - low)
    ends = (max(low - margin, 0.0), min(high + margin, 1.0))
    axes.plot(ends, ends, color=GREY, linewidth=0.9, linestyle=DASHED)
    axes.vlines(table["x"], table["low"], table["high"], color=BLUE, alpha=0.35, linewidth=1.6)
    axes.plot(table["x"], table["y"], "o", color=BLUE, markersize=4.5)
    axes.set(xlim=ends, ylim=ends, title="Calibration, dashed: perfect")
    axes.set(xlabel="mean probability", ylabel="share of ones")


def equity(table: pd.DataFrame) -> Any:
    """Wealth of each strategy over time, and its drawdown."""
    rows = count(table["date"].nunique() - 1, "row")
    note = f"after costs, from 1; {rows} {table['sample'].iloc[0]}"
    figure = figure_of(5.2, "Wealth from trading on the forecasts", note)
    axes = axes_at(figure, 0.75, 0.95, 8.0, 2.5)
    below = axes_at(figure, 0.75, 3.75, 8.0, 1.0)
    axes.axhline(1.0, color=GREY, linewidth=0.6)
    first = table["date"].min()
    last = table["date"].max()
    looks = (
        ("timed", "timed by the forecasts", BLUE, 1.6),
        ("buy_and_hold", "buy and hold", ORANGE, 1.2),
    )
    for name, label, colour, width in looks:
        part = table[table["strategy"] == name]
        days = _days(part["date"], first)
        axes.plot(days, part["wealth"], color=colour, linewidth=width, label=label)
        below.plot(days, drawdown(part["wealth"]), color=colour, linewidth=width)
    ticks, form = _ticks(first, last)
    below.set_xticks(_days(ticks, first), list(ticks.strftime(form)))
    axes.set_xticks(_days(ticks, first), [""] * len(ticks))
    axes.set_ylabel("wealth")
    below.set_ylabel("drawdown (%)")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.99), ncols=2)
    return figure


def drawdown(wealth: pd.Series) -> np.ndarray:
    """Percent below the highest wealth until then."""
    path = wealth.to_numpy(dtype=float)
    return 100.0 * (path / np.maximum.accumulate(path) - 1.0)


def _days(dates: Any, first: pd.Timestamp) -> np.ndarray:
    """Days since the first date."""
    return np.asarray((dates - first) / np.timedelta64(1, "D"), dtype=float)


def _ticks(first: pd.Timestamp, last: pd.Timestamp) -> tuple[pd.DatetimeIndex, str]:
    """At most nine dates between the first and the last, and how they are written.

    They are starts of years, else of months, else evenly spaced.
    """
    import pandas as pd

    for starts, form in (("YS", "%Y"), ("MS", "%Y-%m")):
        dates = pd.date_range(first.normalize(), last, freq=starts)
        dates = dates[dates >= first]
        if len(dates) >= 3:
            step = math.ceil(len(dates) / MOST_TICKS)
            return dates[::step], form
    periods = 4 if last > first else 1
    return pd.date_range(first, last, periods=periods), "%Y-%m-%d"
