"""Pictures of forecasts over dates and regimes: information coefficient, errors by regime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import BLUE, GREY, ORANGE, PALE, axes_at, figure_of, labels_of, shortened
from runner.sinks.drawings.analyses.classification import _days
from runner.sinks.drawings.analyses.portfolio import dated
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd


def information(table: pd.DataFrame) -> Any:
    """Cumulative rank IC of the forecast and of the naive one."""
    dates = count(int(table["rank_ic"].notna().sum()), "date")
    sample = table["sample"].iloc[0]
    note = f"sum of the rank correlations of {dates} {sample}; a steady slope is a steady forecast"
    figure = figure_of(4.2, "Cumulative rank IC", note)
    axes = axes_at(figure, 0.75, 0.95, 8.0, 2.7)
    axes.axhline(0.0, color=GREY, linewidth=0.6)
    looks = (("rank_ic", "forecast", BLUE, 1.6), ("rank_ic_naive", "train mean", ORANGE, 1.2))
    for name, label, colour, width in looks:
        if table[name].notna().any():
            label = f"{label}, mean {number(table[name].mean(), 3)}"
            days = _days(table["date"], table["date"].min())
            axes.plot(days, table[f"cumulative_{name}"], color=colour, linewidth=width, label=label)
    dated(axes, table["date"])
    axes.set_ylabel("cumulative rank IC")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.99), ncols=2)
    return figure


def regimes(table: pd.DataFrame) -> Any:
    """RMSE in each regime beside that of the naive forecast, with its rows."""
    note = f"{table['sample'].iloc[0]}; RMSE in units of the target"
    figure = figure_of(4.0, f"Errors by regime of {shortened(table['by'].iloc[0], 70)}", note)
    axes = axes_at(figure, 0.85, 0.95, 7.9, 2.4)
    at = np.arange(len(table))
    axes.bar(at - 0.19, table["rmse"], 0.36, color=BLUE, label="forecast")
    naive: Any = {"color": PALE, "edgecolor": GREY, "linewidth": 0.8}
    axes.bar(at + 0.19, table["rmse_naive"], 0.36, label="train mean", **naive)
    labels = []
    for unit, n in zip(labels_of(table["unit"], 24), table["n_obs"], strict=True):
        rows = count(int(n), "row")
        labels.append(f"{unit}\n{rows}")
    axes.set_xticks(at, labels)
    axes.set(xlim=(-0.6, len(table) - 0.4), ylabel="RMSE")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.99), ncols=2)
    return figure


INFORMATION = {"information": information, "regimes": regimes}
