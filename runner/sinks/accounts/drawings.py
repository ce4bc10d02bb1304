"""Pictures of the data of a spec: coverage over time and by asset, returns, series."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from runner.data.suspicions import stamp
from runner.sinks.canvas import (
    AXIS_LINE,
    BLUE,
    PALE,
    WIDTH,
    axes_across,
    axes_at,
    figure_of,
    label_room,
    labels_of,
    shortened,
    style,
    zero_line,
)
from runner.sinks.drawings.hover import Drawn, saved, say_values
from runner.text import count, percent

if TYPE_CHECKING:
    from runner.data.accounts.account import Account

TOP = 0.8  # inches above the axes
BELOW = 0.45  # and below them
MOST_NAMED = 40  # assets with their name beside the raster
MOST_SERIES = 12  # panels of series
MOST_TICKS = 8  # dates named below an axis
LEFT = 0.8  # inches of the left margin
APART = 0.6  # inches from a panel to the one below
# of what dates are named: how, the number of the first period, and every how many of them
UNITS = {
    "Y": ("%Y", 1970, (1, 2, 5, 10, 20, 50, 100)),
    "M": ("%Y-%m", 0, (1, 2, 3, 6, 12)),
}
WITHIN = 0.96  # share of an axis in which the text below a tick is not cut
ENOUGH = 4  # years, months or days from which on these are named


def draw(account: Account, directory: Path) -> list[Drawn]:
    """Write the pictures below `directory`/plots, in the order to show them."""
    folder = directory / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    with style():
        for name, picture in PICTURES.items():
            figure = picture(account)
            if figure is not None:
                pictures.append(saved(figure, folder / f"{name}.png"))
    return pictures


def assets_by_date(account: Account) -> Any:
    """How many assets have a value at each date; None where all have."""
    if account.whole:
        return None
    table = account.by_date
    N = len(account.coverage)
    fewest_at = table["assets"].argmin()
    position = int(fewest_at)
    least = table.iloc[position]
    day = stamp(least["date"])
    fewest = f"fewest {least['assets']:,} on {day}"
    assets = count(N, "asset")
    note = f"of {assets}; {fewest}"
    tall = 2.0
    figure = figure_of(TOP + tall + BELOW, "Assets with a value", note)
    axes = axes_across(figure, TOP, tall, LEFT)
    dates = len(table)
    positions = np.arange(dates)
    axes.fill_between(positions, table["assets"], step="mid", color=BLUE, alpha=0.25, linewidth=0)
    axes.step(positions, table["assets"], where="mid", color=BLUE, linewidth=1.2)
    say_values([axes], positions, table["date"], {"assets": table["assets"]})
    axes.set_xlim(-0.5, dates - 0.5)
    axes.set_ylim(0, 1.05 * max(N, 1))
    axes.set_ylabel("assets")
    locator = axes.yaxis.get_major_locator()
    locator.set_params(integer=True)
    name_dates(axes, table["date"])
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)
    return figure


def coverage(account: Account) -> Any:
    """Which assets have values when, the first to begin at the top; None where all always have."""
    if account.whole:
        return None
    raster = account.raster
    N = len(account.coverage)
    note = "assets in the order of their first value; share of the dates of a period with a value"
    if len(raster) < N:
        note = f"{len(raster)} of {N:,} assets, evenly drawn in the order of their first value"
    rows = len(raster)
    named = rows <= MOST_NAMED
    labels = labels_of(raster.index)
    tall = 4.5
    left = LEFT
    if named:
        height_of_rows = 0.2 * rows
        tall = max(0.6, height_of_rows)
        left = label_room(labels, 0.3)
    figure = figure_of(TOP + tall + BELOW, "Coverage by asset", note)
    axes = axes_at(figure, left, TOP, WIDTH - left - 1.1, tall)
    cells = raster.to_numpy()
    image = axes.imshow(
        cells, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto", interpolation="nearest"
    )
    axes.tick_params(length=0)
    if named:
        axes.set_yticks(range(rows), labels)
    else:
        axes.set_ylabel("assets, first to last")
        axes.set_yticks([])
    name_dates(axes, raster.columns)
    scale = axes_at(figure, WIDTH - 0.9, TOP, 0.14, min(tall, 2.5))
    bar = figure.colorbar(image, cax=scale, ticks=[0.0, 0.5, 1.0])
    bar.outline.set_visible(False)
    bar.set_label("share")
    return figure


def returns(account: Account) -> Any:
    """How returns are distributed, on a logarithmic scale of counts."""
    from matplotlib.ticker import FuncFormatter

    table = account.distribution
    if table.empty:
        return None
    low_returns = table["low"].to_numpy()
    low = 100.0 * low_returns
    high_returns = table["high"].to_numpy()
    high = 100.0 * high_returns
    values_counted = table["values"].sum()
    total = int(values_counted)
    last = table["high"].iloc[-1]
    reach = percent(float(last))
    note = f"{total:,} returns per row, logarithmic scale; outer bars: ± {reach} and all beyond"
    tall = 2.4
    figure = figure_of(TOP + tall + 0.55, "Returns", note)
    axes = axes_across(figure, TOP, tall, LEFT)
    axes.set_yscale("log")
    width = high - low
    counts = table["values"]
    axes.bar(low, counts, width, align="edge", color=BLUE, alpha=0.75, linewidth=0)
    axes.axvline(0.0, **AXIS_LINE)
    axes.set_xlim(low[0], high[-1])
    axes.set_xlabel("return per row, per cent")
    axes.set_ylabel("returns")
    axes.set_ylim(bottom=0.7)
    formatter = FuncFormatter(_whole)
    axes.yaxis.set_major_formatter(formatter)
    return figure


def series(account: Account) -> Any:
    """Each series that all assets share, over time."""
    table = account.series
    names = [str(name) for name in table.columns if name != "date"]
    if not names:
        return None
    shown = names[:MOST_SERIES]
    across = 2 if len(shown) > 1 else 1
    down = math.ceil(len(shown) / across)
    tall = 1.5
    note = "each on its own scale, as features read it"
    if len(shown) < len(names):
        note = f"the first {len(shown)} of {len(names)}; {note}"
    step = tall + APART
    height = TOP + 0.2 + down * step
    figure = figure_of(height, "Series that all assets share", note)
    wide = (WIDTH - across * LEFT - 0.25) / across
    for place, name in enumerate(shown):
        row, column = divmod(place, across)
        left = LEFT + column * (wide + LEFT)
        top = TOP + 0.2 + row * step
        axes = axes_at(figure, left, top, wide, tall)
        heading = shortened(name, 44)
        axes.set_title(heading)
        values = table[name].to_numpy(dtype=float)
        dates = len(values)
        positions = np.arange(dates)
        axes.plot(positions, values, color=BLUE, linewidth=0.9)
        say_values([axes], positions, table["date"], {shortened(name, 30): values})
        axes.set_xlim(-0.5, dates - 0.5)
        zero_line(axes, "y")
        name_dates(axes, table["date"], MOST_TICKS // across)
    return figure


def _whole(value: float, _: int) -> str:
    """A count at a tick."""
    return f"{value:,.0f}"


def name_dates(axes: Any, dates: Sequence[Any], most: int = MOST_TICKS) -> None:
    """Dates below an axis whose rows stand at 0, 1, 2, ...: nights and weekends take no room.

    Named is where a year, a month or a day begins, whichever there are enough of, else some rows.
    """
    index = pd.DatetimeIndex(dates)
    for unit, (form, first, steps) in UNITS.items():
        period_index = index.to_period(unit)
        period = period_index.asi8 + first
        starts = _starts(period)
        if len(starts) >= ENOUGH:
            n = len(starts)
            enough = [step for step in steps if step * most >= n]
            step = enough[0] if enough else steps[-1]
            chosen = starts[period[starts] % step == 0]
            labels = [f"{date:{form}}" for date in index[chosen]]
            axes.set_xticks(chosen, labels)
            return
    days = index.normalize()
    places = _starts(days.asi8)
    if len(places) < ENOUGH:
        every_row = len(index)
        places = np.arange(every_row)
    step = math.ceil(len(places) / most)
    chosen = places[::step]
    chosen = chosen[chosen <= WITHIN * len(index)]
    labels = [stamp(date).replace(" ", "\n") for date in index[chosen]]
    axes.set_xticks(chosen, labels)


def _starts(period: np.ndarray) -> np.ndarray:
    """Positions at which the number of the period is another one than before."""
    changes = np.diff(period)
    return np.flatnonzero(changes) + 1


PICTURES: dict[str, Callable[[Account], Any]] = {
    picture.__name__: picture for picture in (assets_by_date, coverage, returns, series)
}
