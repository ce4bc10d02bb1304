"""Pictures of the record of a strategy: its wealth and risk over time, and its months."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.analyses.strategies.tear_sheet import (
    Strategy,
    monthly,
    returns_of,
    rolling_sharpe,
    window_of,
)
from runner.sinks.canvas import (
    BASE_LINE,
    BLUE,
    INK,
    ORANGE,
    WIDTH,
    axes_across,
    axes_at,
    figure_of,
    shaded,
)
from runner.sinks.drawings.analyses.classification import drawdown
from runner.sinks.drawings.dates import dated, days_since, unnamed
from runner.sinks.drawings.hover import say_values
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

TOP = 0.95  # inches above the first panel
APART = 0.45  # inches between panels, for the heading of the lower one
TALL = {"return": 2.2, "drawdown": 0.9, "sharpe": 1.0, "turnover": 0.8}  # inches of each
FAINT = 0.25  # opacity of an area
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
TOTALS = 12.0  # where the returns of years are, in months of the axis
ROW = 0.26  # inches of a year
DARK = 0.55  # share of the scale from which on a cell has light letters
LEAST_SCALE = 1.0  # per cent
CLIPPED = 0.95  # quantile of the months that has the full colour


def tear_sheet(strategy: Strategy) -> Any:
    """Cumulative return, drawdown, rolling Sharpe ratio and turnover, one below the other."""
    wealth = strategy.wealth
    returns = returns_of(wealth)
    window = window_of(len(returns), strategy.per_year)
    panels = ["return", "drawdown"]
    if window:
        panels.append("sharpe")
    if strategy.turnover is not None:
        panels.append("turnover")
    tall = [TALL[name] for name in panels]
    of_panels = TOP + sum(tall)
    gaps = APART * (len(panels) - 1)
    height = of_panels + gaps + 0.4
    note = f"out of sample, after costs; {count(len(returns), 'return')}"
    figure = figure_of(height, "Record of the strategy", note)
    top = TOP
    axes = {}
    for name, inches in zip(panels, tall, strict=True):
        axes[name] = axes_across(figure, top, inches)
        top += inches + APART
    first = wealth.index[0]
    _returns(axes["return"], wealth)
    _drawdowns(axes["drawdown"], wealth)
    if window:
        _sharpe(axes["sharpe"], rolling_sharpe(returns, window), strategy, window, first)
    if strategy.turnover is not None:
        _turnover(axes["turnover"], strategy.turnover, first)
    _share_dates(axes, wealth)
    _say(list(axes.values()), strategy, window)
    return figure


def _say(panels: list[Any], strategy: Strategy, window: int) -> None:
    """Of each date what the panels show of it."""
    wealth = strategy.wealth
    dates = wealth.index
    values: dict[str, Any] = {"return (%)": 100.0 * (wealth / wealth.iloc[0] - 1.0)}
    values["drawdown (%)"] = drawdown(wealth)
    if window:
        ratios = _annual(rolling_sharpe(returns_of(wealth), window), strategy)
        values["Sharpe ratio"] = ratios.reindex(dates)
    if strategy.turnover is not None:
        values["turnover"] = strategy.turnover.reindex(dates)
    say_values(panels, days_since(dates, dates[0]), dates, values)


def _annual(ratios: pd.Series, strategy: Strategy) -> pd.Series:
    """Sharpe ratios a year, where a calendar says how many returns that has."""
    if not np.isfinite(strategy.per_year):
        return ratios
    return np.sqrt(strategy.per_year) * ratios


def _share_dates(axes: dict[str, Any], wealth: pd.Series) -> None:
    """The same dates below all panels, named below the last."""
    *above, last = axes.values()
    dated(last, wealth.index)
    days = days_since(wealth.index, wealth.index[0])
    margin = 0.02 * days[-1]
    for panel in axes.values():
        panel.set_xlim(-margin, days[-1] + margin)
    for panel in above:
        unnamed(panel, last)


def _returns(axes: Any, wealth: pd.Series) -> None:
    """What 1 invested at the first date has earned until each date."""
    days = days_since(wealth.index, wealth.index[0])
    growth = wealth / wealth.iloc[0]
    earned = 100.0 * (growth - 1.0)
    axes.plot(days, earned, color=BLUE, linewidth=1.6)
    axes.axhline(0.0, **BASE_LINE)
    axes.set_title("Cumulative return (%)")


def _drawdowns(axes: Any, wealth: pd.Series) -> None:
    """How far wealth is below its highest until then."""
    days = days_since(wealth.index, wealth.index[0])
    below = drawdown(wealth)
    axes.fill_between(days, below, 0.0, color=ORANGE, alpha=FAINT, linewidth=0)
    axes.plot(days, below, color=ORANGE, linewidth=1.2)
    axes.set_title("Drawdown (%)")


def _sharpe(
    axes: Any, ratios: pd.Series, strategy: Strategy, window: int, first: pd.Timestamp
) -> None:
    """Sharpe ratios of the last returns, a year where a calendar gives one."""
    days = days_since(ratios.index, first)
    axes.plot(days, _annual(ratios, strategy), color=BLUE, linewidth=1.3)
    axes.axhline(0.0, **BASE_LINE)
    scaled = "annualised" if np.isfinite(strategy.per_year) else "per return"
    axes.set_title(f"Rolling Sharpe ratio (the last {window} returns, {scaled})")


def _turnover(axes: Any, turnover: pd.Series, first: pd.Timestamp) -> None:
    """The sum of the changes of weights at each date of trading."""
    is_traded = turnover > 0.0
    traded = turnover[is_traded]
    days = days_since(traded.index, first)
    axes.vlines(days, 0.0, traded, color=BLUE, linewidth=1.1)
    axes.set_ylim(bottom=0.0)
    axes.set_title("Turnover (sum of the changes of weights at each trade)")


def months(strategy: Strategy) -> Any:
    """Returns by year and month; None where returns come less often than once a month."""
    if not strategy.has_months:
        return None
    returns = returns_of(strategy.wealth)
    table = 100.0 * monthly(returns)
    of_months = table.drop(columns="year")
    cells = of_months.to_numpy(dtype=float)
    sizes = np.abs(cells)
    largest = float(np.nanquantile(sizes, CLIPPED))
    limit = max(largest, LEAST_SCALE)
    tall = ROW * len(table)
    note = "compounded within the month, after costs; a month holds the returns known in it"
    figure = figure_of(tall + 1.2, "Returns by month (%)", note)
    axes = axes_at(figure, 0.65, 1.0, WIDTH - 1.55, tall)
    shaded(axes, cells, limit)
    rows = range(len(table))
    years = list(map(str, table.index))
    axes.set_yticks(rows, years)
    axes.set_xticks(range(12), MONTHS)
    axes.tick_params(axis="x", labeltop=True, labelbottom=False)
    _write(axes, cells, limit)
    centred: Any = {"ha": "center", "va": "center", "size": 8.5, "color": INK}
    for row, total in enumerate(table["year"]):
        if np.isfinite(total):
            axes.text(TOTALS, row, _signed(total), weight="bold", **centred)
    axes.text(TOTALS, -0.62, "year", ha="center", va="bottom", size=9.0)
    return figure


def _write(axes: Any, cells: np.ndarray, limit: float) -> None:
    """The returns into their cells, light on dark."""
    is_known = np.isfinite(cells)
    known_cells = np.argwhere(is_known)
    for i, j in known_cells:
        value = cells[i, j]
        colour = "white" if abs(value) > DARK * limit else INK
        text = _signed(value)
        axes.text(j, i, text, ha="center", va="center", color=colour, size=8.5)


def _signed(percent: float) -> str:
    """One decimal, with a minus as long as a plus, and none before zero."""
    rounded = round(percent, 1) + 0.0
    written = f"{rounded:.1f}"
    return written.replace("-", "\u2212")
