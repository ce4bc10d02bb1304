"""Which rows each fold of the validation is fitted on, leaves out and forecasts, over time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import GREY, INK, WIDTH, axes_at, figure_of, labels_of, longest, shortened
from runner.text import count
from runner.validation.splitters import HOLD_OUT

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report

# Light to dark in grey as well; Okabe and Ito (2008).
COLOURS = {
    "train": "#A8CFEA",
    "purge": "#D55E00",
    "embargo": "#F0E442",
    "test": "#0072B2",
    HOLD_OUT: INK,
}
LABELS = {
    "train": "fitted on",
    "purge": "purged",
    "embargo": "embargoed",
    "test": "forecast",
    HOLD_OUT: "hold-out",
}
THIN = ("purge", "embargo")  # few rows among many: drawn with an edge, so that one row is seen
MOST_DRAWN = 300  # folds; of more, as many are drawn at equal distances
MOST_NAMED = 45  # folds with their name; of more, some
MOST_TICKS = 8
FEWEST_TICKS = 4
CALENDAR = (
    ("Y", "%Y"),
    ("Q", "%Y-%m"),
    ("M", "%Y-%m"),
    ("W", "%Y-%m-%d"),
    ("D", "%Y-%m-%d"),
    ("h", "%m-%d %H:%M"),
)


def folds(report: Report) -> Any:
    """A bar per fold over the rows of the panel, in the order of the folds; none without folds."""
    table = report.folds
    dates = report.panel.dates
    if table.empty:
        return None
    even = np.linspace(0, len(table) - 1, min(len(table), MOST_DRAWN))
    drawn = table.iloc[np.unique(even.round().astype(int))]
    names = list(drawn["fold"])
    parts = [_parts(layout) for layout in drawn["layout"]]
    tall = float(np.clip(0.2 * len(drawn), 0.5, 6.0))
    title = "Folds: what each is fitted on and forecasts"
    figure = figure_of(tall + 1.5, title, _note(report, len(drawn)))
    left = min(0.35 + 0.075 * longest(labels_of(names)), 1.6)
    axes = axes_at(figure, left + 0.2, 0.9, WIDTH - left - 0.4, tall)
    _bars(axes, names, parts)
    _names(axes, names)
    axes.set_xlim(0, len(dates))
    ticks, labels = _ticks(dates)
    axes.set_xticks(ticks, labels)
    axes.set_xlabel("date, rows at equal distances")
    return figure


def _note(report: Report, drawn: int) -> str:
    """How many folds there are of how many dates, and what is unusual about them."""
    table = report.folds
    if drawn < len(table):
        note = f"{drawn} of {len(table):,} folds, evenly spaced"
    else:
        note = count(drawn, "fold")
    note += f" of {len(report.panel.dates):,} dates"
    paths = int(report.predictions["path"].max())
    if paths > 1:
        note += f"; {paths} backtest paths"
    leaks = int(table["leaking"].sum())
    if leaks:
        note += f"; {leaks:,} LEAK: training targets reach into what is forecast"
    return note


def _parts(layout: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of each part of a layout, counted from 0."""
    parts = re.findall(r"(\w+) (?:\(path \d+\) )?(\d+)\.\.(\d+)", layout)
    return [(kind, int(first) - 1, int(last)) for kind, first, last in parts]


def _bars(axes: Any, names: list[str], parts: list[list[tuple[str, int, int]]]) -> None:
    """All bars of a kind at once; a line where the hold-out begins."""
    few = len(names) <= MOST_NAMED
    high = 0.78 if few else 1.0
    edge = 0.9 if few else 0.4
    for kind, colour in COLOURS.items():
        bars = _bars_of(kind, names, parts)
        if not bars:
            continue
        y, start, width = np.array(bars).T
        thin = kind in THIN
        axes.barh(
            y,
            width,
            left=start,
            height=high,
            label=LABELS[kind],
            zorder=3 if thin else 2,
            color=colour,
            edgecolor=colour,
            linewidth=edge if thin else 0.0,
        )
        if kind == HOLD_OUT and len(names) > 1:
            axes.axvline(start[0], color=INK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=3)
    axes.legend(
        frameon=False,
        fontsize=8.5,
        ncols=len(COLOURS),
        borderpad=0.2,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        handlelength=1.2,
        columnspacing=1.2,
    )


def _bars_of(
    kind: str, names: list[str], parts: list[list[tuple[str, int, int]]]
) -> list[tuple[int, int, int]]:
    """Height, start and width of each bar of a kind, from the first fold at 0 downwards."""
    bars = []
    for row, (name, layout) in enumerate(zip(names, parts, strict=True)):
        for part, start, until in layout:
            held_out = part == "test" and name == HOLD_OUT
            if kind == (HOLD_OUT if held_out else part):
                bars.append((-row, start, until - start))
    return bars


def _names(axes: Any, names: list[str]) -> None:
    """Names at the left, every one or every so many, and the last one."""
    step = next(n for n in (1, 5, 10, 20) if len(names) <= MOST_NAMED * n)
    last = len(names) - 1
    shown = [row for row in range(step - 1, last, step) if last - row >= step / 2]
    shown.append(last)
    axes.set_yticks([-row for row in shown], [shortened(names[row]) for row in shown])
    axes.set_ylim(-len(names) + 0.4, 0.6)
    axes.set_ylabel("fold")
    axes.tick_params(axis="y", length=0, labelsize=8.5 if len(names) <= 30 else 6.5)
    axes.spines["left"].set_color(GREY)


def _ticks(dates: pd.DatetimeIndex) -> tuple[list[int], list[str]]:
    """Rows that begin a year, quarter, month, week, day or hour, whichever gives a few of them."""
    for unit, form in CALENDAR:
        period = dates.to_period(unit).asi8
        starts = np.flatnonzero(np.diff(period, prepend=period[0]) != 0)
        if len(starts) >= FEWEST_TICKS:
            steps = (1, 2, 5, 10, 20, 50, len(starts))
            step = next(n for n in steps if len(starts) <= MOST_TICKS * n)
            if unit == "Y":
                starts = starts[dates[starts].year % step == 0]
                step = 1
            starts = starts[::step]
            return starts.tolist(), list(dates[starts].strftime(form))
    even = np.linspace(0, len(dates) - 1, FEWEST_TICKS)
    rows = np.unique(even.round().astype(int))
    intraday = (dates != dates.normalize()).any()
    form = "%Y-%m-%d %H:%M" if intraday else "%Y-%m-%d"
    return rows.tolist(), list(dates[rows].strftime(form))
