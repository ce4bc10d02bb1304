"""Which rows each fold of the validation is fitted on, leaves out and forecasts, over time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import GREY, INK, WIDTH, axes_at, figure_of, shortened
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
CALENDAR = (
    ("Y", "%Y"),
    ("Q", "%Y-%m"),
    ("M", "%Y-%m"),
    ("W", "%Y-%m-%d"),
    ("D", "%Y-%m-%d"),
    ("h", "%m-%d %H:%M"),
)


def folds(report: Report) -> Any:
    """A bar per fold over the rows of the panel, in the order of the folds table; none without
    folds.
    """
    table, dates = report.folds, report.panel.dates
    if table.empty:
        return None
    drawn = np.unique(
        np.linspace(0, len(table) - 1, min(len(table), MOST_DRAWN)).round().astype(int)
    )
    names, parts = (
        list(table["fold"].iloc[drawn]),
        [_parts(text) for text in table["layout"].iloc[drawn]],
    )
    tall = float(np.clip(0.2 * len(drawn), 0.5, 6.0))
    figure = figure_of(
        tall + 1.5, "Folds: what each is fitted on and forecasts", _note(report, len(drawn))
    )
    left = min(0.35 + 0.075 * max(len(shortened(name)) for name in names), 1.6)
    axes = axes_at(figure, left + 0.2, 0.9, WIDTH - left - 0.4, tall)
    _bars(axes, names, parts)
    _names(axes, names)
    axes.set_xlim(0, len(dates))
    ticks, labels = _ticks(dates)
    axes.set_xticks(ticks, labels)
    axes.set_xlabel("date, rows at equal distances")
    return figure


def _note(report: Report, drawn: int) -> str:
    table = report.folds
    of = (
        f"{drawn} of {len(table):,} folds, evenly spaced"
        if drawn < len(table)
        else count(drawn, "fold")
    )
    paths = int(report.predictions["path"].max())
    several = f"; {paths} backtest paths" if paths > 1 else ""
    leaks = int(table["leaking"].sum())
    leaking = f"; {leaks:,} LEAK: training targets reach into what is forecast" if leaks else ""
    return f"{of} of {len(report.panel.dates):,} dates{several}{leaking}"


def _parts(layout: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of each part of a layout, counted from 0."""
    found = re.findall(r"(\w+) (?:\(path \d+\) )?(\d+)\.\.(\d+)", layout)
    return [(what, int(first) - 1, int(last)) for what, first, last in found]


def _bars(axes: Any, names: list[str], parts: list[list[tuple[str, int, int]]]) -> None:
    """All bars of a kind at once; a line where the hold-out begins."""
    high = 0.78 if len(names) <= MOST_NAMED else 1.0
    edge = 0.9 if len(names) <= MOST_NAMED else 0.4
    for kind, colour in COLOURS.items():
        bars = [
            (-y, start, until - start)
            for y, (name, some) in enumerate(zip(names, parts, strict=True))
            for what, start, until in some
            if (HOLD_OUT if what == "test" and name == HOLD_OUT else what) == kind
        ]
        if bars:
            y, start, width = (np.array(values) for values in zip(*bars, strict=True))
            look = {
                "color": colour,
                "edgecolor": colour,
                "linewidth": edge if kind in THIN else 0.0,
            }
            axes.barh(
                y,
                width,
                left=start,
                height=high,
                label=LABELS[kind],
                zorder=2 + (kind in THIN),
                **look,
            )
            if kind == HOLD_OUT and len(names) > 1:
                axes.axvline(start[0], color=INK, linewidth=0.8, linestyle=(0, (2, 2)), zorder=3)
    place = {
        "loc": "lower left",
        "bbox_to_anchor": (-0.01, 1.0),
        "handlelength": 1.2,
        "columnspacing": 1.2,
    }
    axes.legend(frameon=False, fontsize=8.5, ncols=len(COLOURS), borderpad=0.2, **place)


def _names(axes: Any, names: list[str]) -> None:
    """Names at the left, every one or every so many."""
    every = next(n for n in (1, 5, 10, 20) if len(names) <= MOST_NAMED * n)
    last = len(names) - 1
    shown = [at for at in range(last) if (at + 1) % every == 0 and last - at >= every / 2] + [last]
    axes.set_yticks([-at for at in shown], [shortened(names[at]) for at in shown])
    axes.set_ylim(-len(names) + 0.4, 0.6)
    axes.set_ylabel("fold")
    axes.tick_params(axis="y", length=0, labelsize=8.5 if len(names) <= 30 else 6.5)
    axes.spines["left"].set_color(GREY)


def _ticks(dates: pd.DatetimeIndex) -> tuple[list[int], list[str]]:
    """Rows that begin a year, quarter, month, week, day or hour, whichever gives a few, thinned
    evenly.
    """
    for unit, form in CALENDAR:
        period = dates.to_period(unit).asi8
        starts = np.flatnonzero(np.diff(period, prepend=period[0]) != 0)
        if len(starts) >= 4:
            every = next(
                n for n in (1, 2, 5, 10, 20, 50, len(starts)) if len(starts) <= MOST_TICKS * n
            )
            starts = starts[dates[starts].year % every == 0] if unit == "Y" else starts[::every]
            return starts.tolist(), list(dates[starts].strftime(form))
    at = np.unique(np.linspace(0, len(dates) - 1, 4).round().astype(int))
    return at.tolist(), list(
        dates[at].strftime("%Y-%m-%d %H:%M" if (dates != dates.normalize()).any() else "%Y-%m-%d")
    )
