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
    rows = count(table["date"].nunique() - 1, "row")
    sample = table["sample"].iloc[0]
    note = f"after costs, from 1; {rows} {sample}; foresight takes the volatility that came"
    step = TALL + 0.55  # inches from one panel to the next
    figure = figure_of(1.25 + 3 * step, "Wealth by what positions are sized by", note)
    for place, (leg, title) in enumerate(TITLES.items()):
        axes = axes_at(figure, 0.75, 1.05 + place * step, 8.0, TALL)
        axes.axhline(1.0, color=GREY, linewidth=0.6)
        for name, part in table[table["leg"] == leg].groupby("sizing", sort=False):
            label, colour, width, dashes = LOOKS[str(name)]
            look: Any = {"color": colour, "linewidth": width, "linestyle": dashes}
            days = _days(part["date"], table["date"].min())
            axes.plot(days, part["wealth"], label=label, **look)
        dated(axes, table["date"])
        axes.set_title(title)
        axes.set_ylabel("wealth")
        if place == 0:
            above: Any = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.99)}
            axes.legend(frameon=False, ncols=4, fontsize=8.5, **above)
    return figure


SIZING = {"sizing_wealth": sizing_wealth}
