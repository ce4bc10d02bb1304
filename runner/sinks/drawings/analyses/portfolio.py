"""Pictures of sorted portfolios: returns of each group, and wealth of the strategy over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BASE_LINE,
    BLUE,
    GREY,
    INK,
    NORMAL_95,
    ORANGE,
    axes_across,
    figure_of,
    legend_above,
)
from runner.sinks.drawings.analyses.classification import drawdown
from runner.sinks.drawings.columns import first_value, floats, largest, rows_where
from runner.sinks.drawings.dates import dated, days_since, unnamed
from runner.sinks.drawings.hover import say_wealth
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

SKY = "#56B4E9"
LOOKS = ((SKY, 1.2), (BLUE, 1.8), (ORANGE, 1.2))  # of before costs, after costs, equal weights


def quantiles(table: pd.DataFrame) -> Any:
    """Mean return a year of each group, with bars of 1.96 standard errors, and of all assets."""
    groups = rows_where(table, "scope", "quantile")
    of_naive = rows_where(table, "scope", "naive")
    naive = of_naive.iloc[0]
    number_of_dates = largest(groups, "n_obs")
    dates = count(number_of_dates, "date")
    note = f"before costs; {dates} {naive['sample']}; lines: 95 % intervals, Newey-West"
    figure = figure_of(4.2, "Returns of the groups sorted by the forecast", note)
    axes = axes_across(figure, 0.85, 2.7, 0.85)
    means = floats(groups, "mean_annual")
    height = 100.0 * means
    t = floats(groups, "t_stat_nw")
    std_error = np.abs(height / t)
    half = NORMAL_95 * std_error
    names = list(groups["unit"])
    axes.bar(names, height, 0.7, color=BLUE, alpha=0.75)
    bars: Any = {"fmt": "none", "ecolor": INK, "elinewidth": 1.1, "capsize": 3}
    axes.errorbar(names, height, yerr=half, **bars)
    every = 100.0 * naive["mean_annual"]
    every_text = number(every, 3)
    label = f"all assets, equal weights: {every_text}"
    axes.axhline(every, color=ORANGE, linewidth=1.4, label=label)
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.set_xticks(names, names)
    axes.set(xlabel="group, 1: lowest forecasts", ylabel="mean return (% a year)")
    legend_above(axes, 1)
    return figure


def portfolio_wealth(table: pd.DataFrame) -> Any:
    """Wealth of the strategy before and after costs, and of all assets, and their drawdowns."""
    dates = table["date"]
    holdings = dates.nunique() - 1
    rows = count(holdings, "holding")
    sample = first_value(table, "sample")
    note = f"from 1; {rows} {sample}"
    figure = figure_of(5.2, "Wealth from sorting by the forecast", note)
    axes = axes_across(figure, 0.95, 2.5)
    below = axes_across(figure, 3.75, 1.0)
    axes.axhline(1.0, **BASE_LINE)
    strategies = table.groupby("strategy", sort=False)
    for (name, part), (colour, width) in zip(strategies, LOOKS, strict=True):
        days = days_since(part["date"], dates.min())
        axes.plot(days, part["wealth"], color=colour, linewidth=width, label=name)
        below_highest = drawdown(part["wealth"])
        below.plot(days, below_highest, color=colour, linewidth=width)
    dated(below, dates)
    unnamed(axes, below)
    axes.set_ylabel("wealth")
    below.set_ylabel("drawdown (%)")
    legend_above(axes, 3)
    panels = [axes, below]
    say_wealth(panels, table, "strategy")
    return figure


PORTFOLIO = {"portfolio_wealth": portfolio_wealth, "quantiles": quantiles}
