"""Pictures of forecasts over dates and regimes: information coefficient, errors by regime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BASE_LINE,
    BLUE,
    GREY,
    ORANGE,
    PALE,
    axes_across,
    figure_of,
    labels_of,
    legend_above,
    shortened,
)
from runner.sinks.drawings.columns import first_value
from runner.sinks.drawings.dates import dated, days_since
from runner.sinks.drawings.hover import say_values
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd


def information(table: pd.DataFrame) -> Any:
    """Cumulative rank IC of the forecast and of the naive one."""
    n_dates = table["rank_ic"].count()
    number_of_dates = int(n_dates)
    dates = count(number_of_dates, "date")
    sample = first_value(table, "sample")
    note = f"sum of the rank correlations of {dates} {sample}; a steady slope is a steady forecast"
    figure = figure_of(4.2, "Cumulative rank IC", note)
    axes = axes_across(figure, 0.95, 2.7)
    axes.axhline(0.0, **BASE_LINE)
    dates_of_rows = table["date"]
    days = days_since(dates_of_rows, dates_of_rows.min())
    looks = (("rank_ic", "forecast", BLUE, 1.6), ("rank_ic_naive", "training mean", ORANGE, 1.2))
    totals = {}
    for name, label, colour, width in looks:
        if table[name].notna().any():
            mean = table[name].mean()
            column = f"cumulative_{name}"
            total = table[column]
            mean_text = number(mean, 3)
            with_mean = f"{label}, mean {mean_text}"
            axes.plot(days, total, color=colour, linewidth=width, label=with_mean)
            totals[label] = total
    dated(axes, dates_of_rows)
    say_values([axes], days, dates_of_rows, totals)
    axes.set_ylabel("cumulative rank IC")
    legend_above(axes, 2)
    return figure


def regimes(table: pd.DataFrame) -> Any:
    """RMSE in each regime beside that of the naive forecast, with its rows."""
    sample = first_value(table, "sample")
    note = f"{sample}; RMSE in units of the target"
    column = shortened(first_value(table, "by"), 70)
    figure = figure_of(4.0, f"Errors by regime of {column}", note)
    axes = axes_across(figure, 0.95, 2.4, 0.85)
    regimes = len(table)
    positions = np.arange(regimes)
    axes.bar(positions - 0.19, table["rmse"], 0.36, color=BLUE, label="forecast")
    naive: Any = {"color": PALE, "edgecolor": GREY, "linewidth": 0.8}
    axes.bar(positions + 0.19, table["rmse_naive"], 0.36, label="training mean", **naive)
    labels = []
    names = labels_of(table["unit"], 24)
    for name, n in zip(names, table["n_obs"], strict=True):
        rows_of_regime = int(n)
        rows = count(rows_of_regime, "row")
        label = f"{name}\n{rows}"
        labels.append(label)
    axes.set_xticks(positions, labels)
    axes.set_xlim(-0.6, regimes - 0.4)
    axes.set_ylabel("RMSE")
    legend_above(axes, 2)
    return figure


INFORMATION = {"information": information, "regimes": regimes}
