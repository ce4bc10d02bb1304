"""Picture of how much of the target forecasts explain: over the rows, and over assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import BLUE, GREY, INK, ORANGE, axes_at, figure_of
from runner.text import number

if TYPE_CHECKING:
    import pandas as pd

LOOKS = {"model": ("model", BLUE), "against": ("second model", ORANGE), "both": ("both", INK)}
SMOOTH = 30  # dates of a moving mean


def forecast_fit(table: pd.DataFrame) -> Any:
    """Adjusted R2 by past moments: per date as a moving mean, per asset from the least to the
    greatest.
    """
    units = table[(table["unit"] != "all") & (table["z"] == "past") & table["r2_adj"].notna()]
    note = "forecasts standardised by past moments; zero is what independent cells give on average"
    figure = figure_of(4.15, "Adjusted R2 of the target on the forecast", note)
    left, right = axes_at(figure, 0.75, 1.1, 4.5, 2.6), axes_at(figure, 6.0, 1.1, 2.8, 2.6)
    for name, (label, colour) in LOOKS.items():
        dates, assets = (
            units[(units["forecast"] == name) & (units["over"] == over)]
            for over in ("date", "asset")
        )
        if len(dates):
            values = dates["r2_adj"].to_numpy()
            wide = min(SMOOTH, len(values))
            text = f"{label}, mean {number(values.mean(), 3)}"
            means = np.convolve(values, np.full(wide, 1.0 / wide), mode="valid")
            left.plot(
                np.arange(wide, len(values) + 1), means, color=colour, linewidth=1.3, label=text
            )
        if len(assets):
            values = np.sort(assets["r2_adj"].to_numpy())
            text = f"mean {number(values.mean(), 3)}"
            right.plot(
                (np.arange(len(values)) + 0.5) / len(values),
                values,
                color=colour,
                linewidth=1.3,
                label=text,
            )
    for axes in (left, right):
        axes.axhline(0.0, color=GREY, linewidth=0.6)
        if axes.lines[:-1]:
            axes.legend(
                frameon=False,
                loc="lower left",
                bbox_to_anchor=(-0.02, 0.99),
                ncols=2,
                columnspacing=1.2,
            )
    left.set(
        xlabel="date with a forecast, in order", ylabel=f"across assets, mean of {SMOOTH} dates"
    )
    right.set(xlabel="share of assets", ylabel="over time, per asset")
    return figure
