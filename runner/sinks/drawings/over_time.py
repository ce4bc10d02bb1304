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
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from runner.experiment.report import Report
    from runner.models.study import Fitted

MOST_ASSETS = 3  # with a panel each
TALL, APART = 1.4, 0.5  # inches of a panel, and to the next one
FEWEST = 3  # dates of a line
FEW_DATES = 300  # of lines that are not thin
MANY_DATES = 3_000  # of actual values that would hide what was fitted, and lie below it


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
    colour_of_actual, order_of_actual = INK, 3
    if len(series.actual) > MANY_DATES:
        colour_of_actual, order_of_actual = GREY, 1
    lines = (
        ("actual", series.actual, colour_of_actual, thin, order_of_actual),
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
        named = [_of_asset(report, i, shortened(name, 40)) for i, name in enumerate(assets)]
        return named, f"{len(report.panel.dates):,} dates"
    if unit_noun(report.fit.quality) != "asset":
        parts = report.study.fitted_parts()
        mean = _over_time(report, parts, assets, f"Mean over {count(n, 'asset')}")
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
        series.append(_of_asset(report, assets.index(name), heading))
    return series, f"of {count(n, 'asset')} those with the largest, the median and the smallest R2"


def _of_asset(report: Report, position: int, heading: str) -> Series:
    """The series of one asset."""
    part = report.study.fitted_of(np.array([position]))
    return _over_time(report, [part], part.panel.assets, heading)


def _over_time(
    report: Report, parts: Iterable[Fitted], names: Sequence[str], heading: str
) -> Series:
    """Means over the assets of these parts by date; of a regression per date nothing is fitted."""
    import pandas as pd

    panel = report.panel
    dates = panel.dates
    by_date = unit_noun(report.fit.quality) == "date"
    actual = _Means.none(len(dates))
    fitted = _Means.none(len(dates))
    for part in parts:
        known = part.panel.valid
        actual.add(part.rows, part.panel.scored, known)
        if not by_date:
            fitted.add(part.rows, panel.in_units(part.values), known)
    rows = report.predictions
    predicted = pd.Series(index=dates[:0], dtype=float)
    if len(rows):
        own = rows[rows["asset"].isin(names)]
        predicted = own.groupby("date")["prediction"].mean()
    return Series(heading, actual.by_date(dates), fitted.by_date(dates), predicted)


class _Means(NamedTuple):
    """Means over the known cells of each date.

    Attributes:
        cells, total: (T,) how many are known, and their sum.
    """

    cells: np.ndarray
    total: np.ndarray

    @classmethod
    def none(cls, dates: int) -> _Means:
        """Those of no cell."""
        return cls(np.zeros(dates, dtype=int), np.zeros(dates))

    def add(self, rows: np.ndarray, values: np.ndarray, known: np.ndarray) -> None:
        """Add cells (dates, assets) of the dates at these positions."""
        known = known & ~np.isnan(values)
        self.cells[rows] += known.sum(axis=1)
        self.total[rows] += np.sum(values, axis=1, where=known)

    def by_date(self, dates: pd.DatetimeIndex) -> pd.Series:
        """The means, without dates that have none."""
        import pandas as pd

        there = self.cells > 0
        return pd.Series(self.total[there] / self.cells[there], dates[there])
