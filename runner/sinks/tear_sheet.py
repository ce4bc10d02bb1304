"""The tear sheet of a strategy on the page: its numbers, its pictures, its worst drawdowns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from runner.analyses.strategies.tear_sheet import (
    Strategy,
    performance,
    returns_of,
    worst_drawdowns,
)
from runner.data.calendar import year_of
from runner.errors import SettingError
from runner.sinks.markup import Column, Html, joined, table_of, tag, tiles_of
from runner.text import number, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.calendar import Year
    from runner.experiment.report import Report
    from runner.panels.finding import Finding

TEAR_SHEET, MONTHS = "tear_sheet_", "months_"  # of pictures, before the name of the analysis
FEWEST = 2  # returns of a record
DATE = "%Y-%m-%d"


def _in_three_digits(value: float) -> str:
    return number(value, 3)


# number of `performance` -> its label, and how it is written
TILES: dict[str, tuple[str, Callable[[float], str]]] = {
    "total": ("cumulative return", percent),
    "compound": ("a year, compounded", percent),
    "volatility": ("volatility a year", percent),
    "sharpe": ("Sharpe ratio a year", _in_three_digits),
    "max_drawdown": ("largest drawdown", percent),
    "turnover": ("turnover a year", _in_three_digits),
}


def strategies_of(report: Report) -> dict[str, Strategy]:
    """The strategies of the run by the analysis that made each; the same wealth once."""
    strategies: dict[str, Strategy] = {}
    for name, finding in report.findings.items():
        wealth = finding.wealth
        if wealth is None or len(returns_of(wealth)) < FEWEST:
            continue
        if any(wealth.equals(other.wealth) for other in strategies.values()):
            continue
        strategies[name] = _strategy(report, name, finding, wealth)
    return strategies


def _strategy(report: Report, name: str, finding: Finding, wealth: pd.Series) -> Strategy:
    """The strategy with its year: rows a year as its analysis has them, else of the calendar."""
    dates = report.study.market_of_target.dates
    rows = dates.get_indexer(wealth.index)
    steps = np.diff(rows)
    usual = np.median(steps)
    held = int(usual)
    return Strategy(wealth, finding.turnover, _year(report, name), max(held, 1))


def _year(report: Report, name: str) -> Year | None:
    """Rows of a year; None where the rows follow no calendar and the analysis gives none."""
    analyses = report.spec.get("analyses") or {}
    settings = analyses.get(name) or {}
    try:
        return year_of(report.panel.calendar, settings.get("rows_per_year"))
    except SettingError:
        return None


def html(strategy: Strategy, *pictures: Html) -> Html:
    """Numbers, pictures and the worst drawdowns, and how the annual ones are made."""
    tiles = tiles_of(_tiles(strategy))
    text = f"After costs, no risk-free rate subtracted; {strategy.annualised}."
    note = tag("p", text, class_="note")
    drawdowns = _drawdowns(worst_drawdowns(strategy.wealth))
    return joined(tiles, note, *pictures, drawdowns)


def _tiles(strategy: Strategy) -> list[tuple[str, str]]:
    """Label and text of the numbers of the whole record that are known."""
    numbers = performance(strategy)
    tiles = []
    for name, (label, form) in TILES.items():
        value = numbers[name]
        if math.isfinite(value):
            tiles.append((label, form(value)))
    return tiles


def _drawdowns(table: pd.DataFrame) -> Html:
    """The deepest losses, a row each; nothing where wealth never fell."""
    if table.empty:
        return Html()
    depths = [percent(depth) for depth in table["drawdown"]]
    columns = [
        _dates("from the high of", table["from"]),
        _dates("lowest", table["lowest"]),
        _dates("recovered", table["recovered"]),
        Column("drawdown", depths),
        _days("days to the lowest", table["days_down"]),
        _days("days in all", table["days_in_all"]),
    ]
    return table_of(columns, "Worst drawdowns")


def _dates(heading: str, dates: pd.Series) -> Column:
    """A column of dates; `not yet` where there is none."""
    texts = []
    for date in dates:
        is_missing = date != date
        texts.append("not yet" if is_missing else f"{date:{DATE}}")
    return Column(heading, texts, "text")


def _days(heading: str, numbers: pd.Series) -> Column:
    """A column of numbers of days."""
    texts = [f"{days:,}" for days in numbers]
    return Column(heading, texts)
