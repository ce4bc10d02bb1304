"""Wealth of portfolios that differ in the volatility they are sized by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.sinks.canvas import BLUE, GREY, ORANGE, axes_at, figure_of
from runner.sinks.drawings.analyses.classification import _days
from runner.sinks.drawings.analyses.portfolio import dated
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

GREEN = "#009E73"
LOOKS = {
    "unsized": ("unsized", GREY, 1.0, "-"),
    "rolling": ("rolling estimate", ORANGE, 1.2, "-"),
    "forecast": ("forecast", BLUE, 1.6, "-"),
    "foresight": ("perfect foresight", GREEN, 1.3, (0, (4, 2))),
}
TITLES = {"long": "Long leg", "short": "Short leg", "both": "Both legs"}


def sizing_wealth(table: pd.DataFrame) -> Any:
    """A panel per leg, a line per sizing."""
    rows = count(table["date"].nunique() - 1, "row")
    note = f"after costs, from 1; {rows} {table['sample'].iloc[0]}; foresight takes the volatility that came"
    tall = 1.75
    figure = figure_of(1.25 + 3 * (tall + 0.55), "Wealth by what positions are sized by", note)
    for place, (leg, title) in enumerate(TITLES.items()):
        axes = axes_at(figure, 0.75, 1.05 + place * (tall + 0.55), 8.0, tall)
        axes.axhline(1.0, color=GREY, linewidth=0.6)
        for name, part in table[table["leg"] == leg].groupby("sizing", sort=False):
            label, colour, width, dashes = LOOKS[str(name)]
            days = _days(part["date"], table["date"].min())
            axes.plot(
                days, part["wealth"], color=colour, linewidth=width, linestyle=dashes, label=label
            )
        dated(axes, table["date"])
        axes.set_title(title)
        axes.set_ylabel("wealth")
        if place == 0:
            axes.legend(
                frameon=False, loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=4, fontsize=8.5
            )
    return figure


SIZING = {"sizing_wealth": sizing_wealth}
