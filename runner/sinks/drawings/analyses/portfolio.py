"""Pictures of sorted portfolios: returns of each group, and wealth of the strategy over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import BLUE, GREY, INK, ORANGE, axes_at, figure_of
from runner.sinks.drawings.analyses.classification import _days, _ticks, drawdown
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

SKY = "#56B4E9"
NORMAL_95 = 1.96  # quantile of a normal, of two-sided 95 % intervals
LOOKS = ((SKY, 1.2), (BLUE, 1.8), (ORANGE, 1.2))  # of before costs, after costs, equal weights


def quantiles(table: pd.DataFrame) -> Any:
    """Mean return a year of each group, with bars of 1.96 standard errors, and of all assets."""
    groups = table[table["scope"] == "quantile"]
    naive = table[table["scope"] == "naive"].iloc[0]
    dates = count(int(groups["n_obs"].max()), "date")
    note = f"before costs; {dates} {naive['sample']}; lines: 95 % intervals, Newey-West"
    figure = figure_of(4.2, "Returns of the groups sorted by the forecast", note)
    axes = axes_at(figure, 0.85, 0.85, 7.9, 2.7)
    height = 100.0 * groups["mean_annual"].to_numpy(dtype=float)
    error = np.abs(height / groups["t_stat_nw"].to_numpy(dtype=float))
    axes.bar(groups["unit"], height, 0.7, color=BLUE, alpha=0.75)
    bars: Any = {"fmt": "none", "ecolor": INK, "elinewidth": 1.1, "capsize": 3}
    axes.errorbar(groups["unit"], height, yerr=NORMAL_95 * error, **bars)
    every = 100.0 * naive["mean_annual"]
    label = f"all assets, equal weights: {number(every, 3)}"
    axes.axhline(every, color=ORANGE, linewidth=1.4, label=label)
    axes.axhline(0.0, color=GREY, linewidth=0.8)
    axes.set_xticks(list(groups["unit"]), list(groups["unit"]))
    axes.set(xlabel="group, 1: lowest forecasts", ylabel="mean return (% a year)")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.99))
    return figure


def portfolio_wealth(table: pd.DataFrame) -> Any:
    """Wealth of the strategy before and after costs, and of all assets, and their drawdowns."""
    rows = count(table["date"].nunique() - 1, "holding")
    note = f"from 1; {rows} {table['sample'].iloc[0]}"
    figure = figure_of(5.2, "Wealth from sorting by the forecast", note)
    axes = axes_at(figure, 0.75, 0.95, 8.0, 2.5)
    below = axes_at(figure, 0.75, 3.75, 8.0, 1.0)
    axes.axhline(1.0, color=GREY, linewidth=0.6)
    strategies = table.groupby("strategy", sort=False)
    for (name, part), (colour, width) in zip(strategies, LOOKS, strict=True):
        days = _days(part["date"], table["date"].min())
        axes.plot(days, part["wealth"], color=colour, linewidth=width, label=name)
        below.plot(days, drawdown(part["wealth"]), color=colour, linewidth=width)
    dated(below, table["date"])
    axes.set_xticks(below.get_xticks(), [""] * len(below.get_xticks()))
    axes.set_ylabel("wealth")
    below.set_ylabel("drawdown (%)")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 0.99), ncols=3)
    return figure


def dated(axes: Any, dates: pd.Series) -> None:
    """Ticks at starts of years or months on an axis in days since the first date."""
    first = dates.min()
    ticks, form = _ticks(first, dates.max())
    axes.set_xticks(_days(ticks, first), list(ticks.strftime(form)))


PORTFOLIO = {"portfolio_wealth": portfolio_wealth, "quantiles": quantiles}
