"""Actual values over time with what was fitted to them, and predicted out of sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.experiment.wording import is_logit, target_text
from runner.sinks.canvas import (
    BASE_LINE,
    BLUE,
    DASHED,
    GREY,
    INK,
    ORANGE,
    axes_across,
    figure_of,
    legend_above,
    shortened,
)
from runner.sinks.drawings.dates import dated, days_since, unnamed
from runner.sinks.drawings.hover import say_values
from runner.text import count, number, unit_noun

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from runner.experiment.report import Report

MOST_ASSETS = 3  # with a panel each
TALL, APART = 1.4, 0.5  # inches of a panel, and to the next one
FEWEST = 3  # dates of a line
FEW_DATES = 300  # of lines that are not thin


class Series(NamedTuple):
    """What one panel shows, each by date.

    Attributes:
        heading: of the panel.
        actual, fitted: on the rows of the fit.
        predicted: out of sample; empty without folds.
    """

    heading: str
    actual: pd.Series
    fitted: pd.Series
    predicted: pd.Series

    @property
    def has_lines(self) -> bool:
        """Whether there is something beside the actual values."""
        lines = len(self.fitted) + len(self.predicted)
        return lines > 0


def actual_fitted(report: Report) -> Any:
    """Actual and fitted over time, of up to three assets or of the mean over many.

    None of classes, of a regression per date without forecasts, and of a few dates.
    """
    by_date = unit_noun(report.fit.quality) == "date"
    if is_logit(report.study.model) or (by_date and report.predictions.empty):
        return None
    shown, note = _shown(report)
    drawn = [series for series in shown if len(series.actual) >= FEWEST and series.has_lines]
    if not drawn:
        return None
    step = TALL + APART
    figure = figure_of(0.95 + step * len(drawn), "Actual and fitted over time", note)
    target = target_text(report).partition(" (")[0]
    panels = []
    for place, series in enumerate(drawn):
        axes = axes_across(figure, 1.05 + place * step, TALL, 0.85)
        _panel(axes, series, report.panel.dates)
        axes.set_title(series.heading)
        axes.set_ylabel(target)
        panels.append(axes)
        if place == 0:
            legend_above(axes, 3, "right", fontsize=8.5)
    for axes in panels[:-1]:
        unnamed(axes, panels[-1])
    return figure


def _panel(axes: Any, series: Series, dates: pd.DatetimeIndex) -> None:
    """Actual values thin; fitted ones up to the first prediction, predictions from there on."""
    first = dates[0]
    fitted = series.fitted
    if len(series.predicted):
        begin = series.predicted.index[0]
        is_before = fitted.index < begin
        fitted = fitted[is_before]
        start = days_since(begin, first)
        axes.axvline(start, color=GREY, linewidth=0.9, linestyle=DASHED)
    thin = 0.9 if len(series.actual) <= FEW_DATES else 0.5
    lines = (
        ("actual", series.actual, INK, thin, 3),
        ("fitted in sample", fitted, BLUE, 2.2, 2),
        ("predicted out of sample", series.predicted, ORANGE, 2.2, 2),
    )
    for label, values, colour, width, order in lines:
        if len(values):
            days = days_since(values.index, first)
            axes.plot(days, values, color=colour, linewidth=width, label=label, zorder=order)
    axes.axhline(0.0, **BASE_LINE)
    dated(axes, dates)
    at = series.actual.index
    by_name = {"actual": series.actual, "fitted": fitted, "predicted": series.predicted}
    values = {name: line.reindex(at) for name, line in by_name.items()}
    say_values([axes], days_since(at, first), at, values)


def _shown(report: Report) -> tuple[list[Series], str]:
    """What the panels show, and in words which assets those are."""
    assets = report.panel.assets
    n = len(assets)
    if n <= MOST_ASSETS:
        named = [_of_assets(report, [name], shortened(name, 40)) for name in assets]
        return named, f"{len(report.panel.dates):,} dates"
    if unit_noun(report.fit.quality) != "asset":
        mean = _of_assets(report, assets, f"Mean over {count(n, 'asset')}")
        return [mean], "equal weights over the assets of each date"
    with_r2 = report.fit.quality.dropna(subset="r2")
    quality = with_r2.sort_values("r2", ascending=False)
    quality = quality[quality["unit"].isin(assets)]
    if quality.empty:
        return [], ""
    last = len(quality) - 1
    chosen = quality.iloc[[0, last // 2, last]].drop_duplicates("unit")
    series = []
    for name, r2 in zip(chosen["unit"], chosen["r2"], strict=True):
        heading = f"{shortened(name, 40)}: R2 {number(r2, 3)} in sample"
        series.append(_of_assets(report, [name], heading))
    return series, f"of {count(n, 'asset')} those with the largest, the median and the smallest R2"


def _of_assets(report: Report, names: Sequence[str], heading: str) -> Series:
    """Means over these assets by date; of a regression per date nothing is fitted over time."""
    import pandas as pd

    panel = report.panel
    columns: slice | list[int] = slice(None)
    if len(names) < len(panel.assets):
        columns = [panel.assets.index(name) for name in names]
    known = panel.valid[:, columns]
    actual = _means(panel.scored[:, columns], known, panel.dates)
    fitted = pd.Series(index=panel.dates[:0], dtype=float)
    if unit_noun(report.fit.quality) != "date":
        in_units = panel.in_units(report.fitted)
        of_assets = in_units[:, columns]
        fitted = _means(of_assets, known, panel.dates)
    rows = report.predictions
    predicted = pd.Series(index=panel.dates[:0], dtype=float)
    if len(rows):
        own = rows[rows["asset"].isin(names)]
        by_date = own.groupby("date")
        predicted = by_date["prediction"].mean()
    return Series(heading, actual, fitted, predicted)


def _means(values: np.ndarray, known: np.ndarray, dates: pd.DatetimeIndex) -> pd.Series:
    """Means (T,) of the known cells of each date, without dates that have none."""
    import pandas as pd

    is_missing = np.isnan(values)
    known = known & ~is_missing
    count = known.sum(axis=1)
    there = count > 0
    total = np.sum(values, axis=1, where=known)
    means = total[there] / count[there]
    return pd.Series(means, dates[there])
