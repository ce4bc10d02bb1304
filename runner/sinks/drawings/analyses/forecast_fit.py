"""Picture of how much of the target forecasts explain: over the rows, and over assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import BASE_LINE, BLUE, INK, ORANGE, axes_at, figure_of
from runner.sinks.drawings.columns import rows_where
from runner.text import number

if TYPE_CHECKING:
    import pandas as pd

LOOKS = {"model": ("model", BLUE), "against": ("second model", ORANGE), "both": ("both", INK)}
SMOOTH = 30  # dates of a moving mean


def forecast_fit(table: pd.DataFrame) -> Any:
    """Adjusted R2 by past moments.

    Per date as a moving mean, per asset from the least to the greatest.
    """
    past = rows_where(table, "z", "past")
    has_unit = past["unit"] != "all"
    parts = past[has_unit]
    units = parts.dropna(subset="r2_adj")
    note = "forecasts standardised by past moments; independent observations give zero on average"
    figure = figure_of(4.15, "Adjusted R2 of the target on the forecast", note)
    left = axes_at(figure, 0.75, 1.1, 4.5, 2.6)
    right = axes_at(figure, 6.0, 1.1, 2.8, 2.6)
    for name, (label, colour) in LOOKS.items():
        rows = rows_where(units, "forecast", name)
        over_dates = rows_where(rows, "over", "date")
        dates = over_dates["r2_adj"].to_numpy()
        over_assets = rows_where(rows, "over", "asset")
        assets = over_assets["r2_adj"].to_numpy()
        if len(dates):
            mean_of_dates = dates.mean()
            mean = number(mean_of_dates, 3)
            text = f"{label}, mean {mean}"
            _moving_mean(left, dates, color=colour, linewidth=1.3, label=text)
        if len(assets):
            values = np.sort(assets)
            n = len(values)
            share = (np.arange(n) + 0.5) / n
            mean_of_values = values.mean()
            mean = number(mean_of_values, 3)
            text = f"mean {mean}"
            right.plot(share, values, color=colour, linewidth=1.3, label=text)
    for axes in (left, right):
        _finish(axes)
    left.set(
        xlabel="date with a forecast, in order", ylabel=f"across assets, mean of {SMOOTH} dates"
    )
    right.set(xlabel="share of assets", ylabel="over time, per asset")
    return figure


def _moving_mean(axes: Any, values: np.ndarray, **look: Any) -> None:
    """The mean over the last SMOOTH values, or all where they are fewer."""
    n = len(values)
    width = min(SMOOTH, n)
    weights = np.full(width, 1.0 / width)
    means = np.convolve(values, weights, mode="valid")
    last_dates = np.arange(width, n + 1)
    axes.plot(last_dates, means, **look)


def _finish(axes: Any) -> None:
    """A line at zero, and the legend above the axes where something was drawn."""
    drawn = bool(axes.lines)
    axes.axhline(0.0, **BASE_LINE)
    if drawn:
        axes.legend(
            frameon=False,
            loc="lower left",
            bbox_to_anchor=(-0.02, 0.99),
            ncols=2,
            columnspacing=1.2,
        )
