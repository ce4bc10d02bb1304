"""Wealth of portfolios that differ in the volatility they are sized by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.sinks.canvas import BASE_LINE, BLUE, GREY, ORANGE, axes_across, figure_of, legend_above
from runner.sinks.drawings.columns import first_value, rows_where
from runner.sinks.drawings.dates import dated, days_since
from runner.sinks.drawings.hover import say_wealth
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

GREEN = "#009E73"
TALL = 1.75  # inches of a panel
LOOKS = {
    "unsized": ("unsized", GREY, 1.0, "-"),
    "rolling": ("rolling estimate", ORANGE, 1.2, "-"),
    "forecast": ("forecast", BLUE, 1.6, "-"),
    "foresight": ("perfect foresight", GREEN, 1.3, (0, (4, 2))),
}
TITLES = {"long": "Long leg", "short": "Short leg", "both": "Both legs"}


def sizing_wealth(table: pd.DataFrame) -> Any:
    """A panel per leg, a line per sizing."""
    dates = table["date"]
    rows_traded = dates.nunique() - 1
    rows = count(rows_traded, "row")
    sample = first_value(table, "sample")
    note = f"after costs, from 1; {rows} {sample}; foresight takes the volatility that came"
    step = TALL + 0.55  # inches from one panel to the next
    height = 1.25 + 3 * step
    figure = figure_of(height, "Wealth by what positions are sized by", note)
    for place, (leg, title) in enumerate(TITLES.items()):
        above = place * step
        top = 1.05 + above
        axes = axes_across(figure, top, TALL)
        axes.axhline(1.0, **BASE_LINE)
        of_leg = rows_where(table, "leg", leg)
        by_sizing = of_leg.groupby("sizing", sort=False)
        for name, part in by_sizing:
            label, colour, width, dashes = LOOKS[str(name)]
            look: Any = {"color": colour, "linewidth": width, "linestyle": dashes}
            days = days_since(part["date"], dates.min())
            axes.plot(days, part["wealth"], label=label, **look)
        dated(axes, dates)
        say_wealth([axes], of_leg, "sizing")
        axes.set_title(title)
        axes.set_ylabel("wealth")
        if place == 0:
            legend_above(axes, 4, "right", fontsize=8.5)
    return figure


SIZING = {"sizing_wealth": sizing_wealth}
