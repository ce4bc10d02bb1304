"""The tear sheet of a strategy on the page: its numbers, its pictures, its worst drawdowns."""

from __future__ import annotations

import math
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
    note = f"After costs, no risk-free rate subtracted; {strategy.annualised}."
    return joined(
        tiles_of(_tiles(strategy)),
        tag("p", note, class_="note"),
        *pictures,
        _drawdowns(worst_drawdowns(strategy.wealth)),
    )


def _tiles(strategy: Strategy) -> list[tuple[str, str]]:
    """Label and text of the numbers of the whole record that are known."""
    numbers = performance(strategy)
    texts = {
        "cumulative return": percent(numbers["total"]),
        "a year, compounded": percent(numbers["compound"]),
        "volatility a year": percent(numbers["volatility"]),
        "Sharpe ratio a year": number(numbers["sharpe"], 3),
        "largest drawdown": percent(numbers["max_drawdown"]),
        "turnover a year": number(numbers["turnover"], 3),
    }
    known = [math.isfinite(value) for value in numbers.values()]
    pairs = zip(texts.items(), known, strict=True)
    return [pair for pair, is_known in pairs if is_known]


def _drawdowns(table: pd.DataFrame) -> Html:
    """The deepest losses, a row each; nothing where wealth never fell."""
    if table.empty:
        return Html()
    recovered = table["recovered"]
    ends = ["not yet" if date != date else f"{date:{DATE}}" for date in recovered]
    columns = [
        Column("from the high of", [f"{date:{DATE}}" for date in table["from"]], "text"),
        Column("lowest", [f"{date:{DATE}}" for date in table["lowest"]], "text"),
        Column("recovered", ends, "text"),
        Column("drawdown", [percent(depth) for depth in table["drawdown"]]),
        Column("days to the lowest", [f"{days:,}" for days in table["days_down"]]),
        Column("days in all", [f"{days:,}" for days in table["days_in_all"]]),
    ]
    return table_of(columns, "Worst drawdowns")
