"""Which rows each fold of the validation is fitted on, leaves out and forecasts, over time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    AXIS_LINE,
    GREY,
    INK,
    WIDTH,
    axes_at,
    figure_of,
    labels_of,
    longest,
    shortened,
)
from runner.sinks.drawings.columns import largest, total
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
    n = len(table)
    even = np.linspace(0, n - 1, min(n, MOST_DRAWN))
    shown = np.unique(even.round().astype(int))
    drawn = table.iloc[shown]
    names = list(drawn["fold"])
    parts = [_parts(layout) for layout in drawn["layout"]]
    height_of_bars = 0.2 * len(drawn)
    tall = float(np.clip(height_of_bars, 0.5, 6.0))
    title = "Folds: what each is fitted on and forecasts"
    note = _note(report, len(drawn))
    figure = figure_of(tall + 1.5, title, note)
    labels = labels_of(names)
    widest = 0.35 + 0.075 * longest(labels)
    left = min(widest, 1.6)
    right_of_labels = WIDTH - left
    wide = right_of_labels - 0.4
    axes = axes_at(figure, left + 0.2, 0.9, wide, tall)
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
    dates = report.panel.dates
    note += f" of {len(dates):,} dates"
    paths = largest(report.predictions, "path")
    if paths > 1:
        note += f"; {paths} backtest paths"
    leaks = total(table, "leaking")
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
            first = start[0]
            axes.axvline(first, linestyle=(0, (2, 2)), zorder=3, **AXIS_LINE)
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
            if part == "test" and name == HOLD_OUT:
                part = HOLD_OUT
            if part == kind:
                width = until - start
                bars.append((-row, start, width))
    return bars


def _names(axes: Any, names: list[str]) -> None:
    """Names at the left, every one or every so many, and the last one."""
    folds = len(names)
    step = next(n for n in (1, 5, 10, 20) if folds <= MOST_NAMED * n)
    last = folds - 1
    shown = [row for row in range(step - 1, last, step) if last - row >= step / 2]
    shown.append(last)
    heights = [-row for row in shown]
    labels = [shortened(names[row]) for row in shown]
    axes.set_yticks(heights, labels)
    axes.set_ylim(-folds + 0.4, 0.6)
    axes.set_ylabel("fold")
    size = 8.5 if folds <= 30 else 6.5
    axes.tick_params(axis="y", length=0, labelsize=size)
    line = axes.spines["left"]
    line.set_color(GREY)


def _ticks(dates: pd.DatetimeIndex) -> tuple[list[int], list[str]]:
    """Rows that begin a year, quarter, month, week, day or hour, whichever gives a few of them."""
    for unit, form in CALENDAR:
        period_index = dates.to_period(unit)
        period = period_index.asi8
        steps_of_period = np.diff(period, prepend=period[0])
        starts = np.flatnonzero(steps_of_period)
        if len(starts) >= FEWEST_TICKS:
            steps = (1, 2, 5, 10, 20, 50, len(starts))
            step = next(n for n in steps if len(starts) <= MOST_TICKS * n)
            if unit == "Y":
                years = dates[starts].year
                starts = starts[years % step == 0]
                step = 1
            starts = starts[::step]
            labels = dates[starts].strftime(form)
            return starts.tolist(), list(labels)
    even = np.linspace(0, len(dates) - 1, FEWEST_TICKS)
    rows = np.unique(even.round().astype(int))
    intraday = (dates != dates.normalize()).any()
    form = "%Y-%m-%d %H:%M" if intraday else "%Y-%m-%d"
    labels = dates[rows].strftime(form)
    return rows.tolist(), list(labels)
