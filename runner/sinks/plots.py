"""Pictures of a report as PNG files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.errors import DataError, unknown
from runner.estimators.few_clusters import doubt_of, for_a_verdict, note_without_verdict
from runner.progress import note
from runner.sinks.canvas import (
    BLUE,
    ORANGE,
    PALE,
    WIDTH,
    axes_at,
    figure_of,
    hide_left_axis,
    label_room,
    labels_of,
    shortened,
    style,
    unit_name,
    zero_line,
)
from runner.sinks.drawings import DRAWINGS
from runner.sinks.drawings.columns import floats, rows_where
from runner.sinks.drawings.fitted import actual_predicted, residuals
from runner.sinks.drawings.folds import folds
from runner.sinks.drawings.hover import (
    Drawn,
    estimate_texts,
    saved,
    say_along,
    say_at_points,
)
from runner.sinks.drawings.over_time import actual_fitted
from runner.sinks.drawings.tear_sheet import months, tear_sheet
from runner.sinks.drawings.terms import correlations, cumulative, t_stats
from runner.sinks.tear_sheet import MONTHS, TEAR_SHEET, strategies_of
from runner.text import LEVEL, count, number, one_line, per_unit, plural, unit_noun

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report
    from runner.panels.finding import Finding

MOST_ROWS = 30  # units drawn as rows; more are drawn as a distribution
MOST_WHOLE = 200  # units drawn with all of their extremes
MOST_TERMS = 20  # panels of coefficients
MOST_FORESTS = 5  # panels across of units drawn as rows
MOST_BANDS = 3  # panels across of units drawn as a distribution


def draw(report: Report, directory: Path) -> list[Drawn]:
    """Write the pictures below `directory`/plots, in the order to show them."""
    folder = directory / "plots"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    with style():
        for name, figure in _figures(report):
            if figure is not None:
                pictures.append(saved(figure, folder / f"{name}.png"))
    return pictures


def _figures(report: Report) -> Iterator[tuple[str, Any]]:
    """Every picture by its name, drawn when it is asked for; None where there is nothing to see."""
    for name, picture in PICTURES.items():
        try:
            yield name, picture(report)
        except DataError as error:  # arrays that do not fit into memory
            note(f"plots.{name}: not drawn: {one_line(error)}")
    for name, finding in report.findings.items():
        yield name, _of_finding(name, finding)
    for name, strategy in strategies_of(report).items():
        yield f"{TEAR_SHEET}{name}", tear_sheet(strategy)
        yield f"{MONTHS}{name}", months(strategy)


def _of_finding(name: str, finding: Finding) -> Any:
    """The picture of a finding, None without one.

    One that fails, as a user's own function may, costs the picture and not the run: it is noted.
    """
    from matplotlib.figure import Figure

    if not finding.picture:
        return None
    draw = finding.picture
    if isinstance(draw, str):
        if draw not in DRAWINGS:
            note(f"analyses.{name}: picture {unknown(draw, DRAWINGS)}")
            return None
        draw = DRAWINGS[draw]
    try:
        figure = draw(finding.table)
    except Exception as error:
        note(f"analyses.{name}: its picture raised {type(error).__name__}: {one_line(error)}")
        return None
    if figure is not None and not isinstance(figure, Figure):
        note(f"analyses.{name}: its picture is a {type(figure).__name__}; allowed: a Figure")
        return None
    return figure


def coefficients(report: Report) -> Any:
    """Estimates with their intervals, a panel per term on its own scale."""
    table = per_unit(report.fit.coefficients)
    estimates = floats(table, "estimate")
    has_estimate = np.isfinite(estimates)
    table = table[has_estimate]
    distinct = table["term"].unique()
    terms = list(distinct)
    drawn = terms[:MOST_TERMS]
    noun = unit_noun(table)
    if noun == "date" and terms:
        return cumulative(report, drawn)
    if not _worth(table):
        return None
    units = table["unit"].unique()
    n = len(units)
    few = n <= MOST_ROWS
    whose = count(n, noun) if n > 1 else unit_name(units[0])
    note = ""
    has_p = table["p_value"].notna()
    judged = for_a_verdict(table, report.fit.quality)
    table = table.assign(judged=judged)
    if has_p.any():
        of_mean = " (no verdict on the mean)" if n > 1 else ""
        filled = f"filled: p < 0.05{of_mean}; " if few else ""
        if judged.isna().all():
            filled = f"{note_without_verdict(report.fit.quality)}; "
        interval = _interval(report)
        note = f"{interval}; {filled}"
    note += "each on its own scale"
    if n >= MOST_WHOLE:
        note += ", which leaves out 1 % at either end"
    if len(terms) > MOST_TERMS:
        note += f"; first {MOST_TERMS} of {len(terms)} terms"
    if not doubt_of(report.fit.quality):  # which names them
        note += f"; standard errors: {report.fit.kind_of_errors}"
    panel = _forest if few else _sorted
    title = f"Coefficients of {whose}"
    return _panels(report, table, drawn, title, note, panel)


def _worth(table: pd.DataFrame) -> bool:
    """Several units, or one with intervals.

    Bare points of one unit on scales of their own show nothing.
    """
    if table.empty:
        return False
    units = table["unit"].nunique()
    if units > 1:
        return True
    has_interval = table["ci_low"].notna()
    return bool(has_interval.any())


def _interval(report: Report) -> str:
    """The kind of the intervals."""
    confidence = report.fit.confidence
    if confidence is None:
        return "confidence intervals"
    return f"{100.0 * confidence:.0f} % intervals"


def _panels(
    report: Report,
    table: pd.DataFrame,
    terms: Sequence[str],
    title: str,
    note: str,
    panel: Callable[..., None],
) -> Any:
    """A grid of panels with the same units each; forests name their rows at the left edge only."""
    every = report.fit.coefficients
    means = rows_where(every, "scope", "mean")
    means = means.set_index("term")
    units = table["unit"].unique()
    labels = labels_of(units)
    grid = _grid_of_bands(len(terms))
    if panel is _forest:
        grid = _grid_of_forests(len(terms), labels)
    rows_of_panels = math.ceil(len(terms) / grid.columns)
    step = grid.tall + grid.below
    figure = figure_of(0.65 + rows_of_panels * step, title, note)
    for place, term in enumerate(terms):
        row, column = divmod(place, grid.columns)
        left = grid.left + column * (grid.wide + grid.gap)
        above = row * step
        top = 0.9 + above
        axes = axes_at(figure, left, top, grid.wide, grid.tall)
        letters = 22 if grid.columns > 3 else 44
        heading = shortened(term, letters)
        axes.set_title(heading)
        mean = means.loc[term] if term in means.index else None
        of_term = rows_where(table, "term", term)
        by_unit = of_term.set_index("unit")
        rows = by_unit.reindex(units)
        panel(axes, rows, mean, labels if column == 0 else None)
    return figure


class Grid(NamedTuple):
    """Panels across; inches of the left margin, between panels, of a panel, and below it."""

    columns: int
    left: float
    gap: float
    wide: float
    tall: float
    below: float


def _grid_of_forests(panels: int, labels: list[str]) -> Grid:
    """The grid of panels with a row per unit."""
    columns = _columns(panels, MOST_FORESTS)
    left = 0.3
    if len(labels) > 1:
        all_labels = [*labels, "mean"]
        left = label_room(all_labels, left)
    rows = len(labels) + 1
    height_of_rows = 0.2 * rows
    tall = max(0.35, height_of_rows)
    wide = _wide(columns, left, 0.45)
    return Grid(columns, left, 0.45, wide, tall, 0.65)


def _grid_of_bands(panels: int) -> Grid:
    """The grid of panels with sorted estimates."""
    columns = _columns(panels, MOST_BANDS)
    wide = _wide(columns, 0.75, 0.7)
    return Grid(columns, 0.75, 0.7, wide, 2.1, 0.8)


def _columns(panels: int, most: int) -> int:
    """Panels across, at most so many, so that all rows are about as full."""
    rows = math.ceil(panels / most)
    return math.ceil(panels / rows)


def _wide(columns: int, left: float, gap: float) -> float:
    """Inches of the width of a panel."""
    between = columns - 1
    gaps = gap * between
    right_of_labels = WIDTH - left
    return (right_of_labels - 0.3 - gaps) / columns


def _forest(
    axes: Any, rows: pd.DataFrame, mean: pd.Series | None, labels: list[str] | None
) -> None:
    """A row per unit from the top, the mean below them."""
    n = len(rows)
    heights = -np.arange(n, dtype=float)
    low = floats(rows, "ci_low")
    high = floats(rows, "ci_high")
    estimates = floats(rows, "estimate")
    axes.hlines(heights, low, high, color=BLUE, linewidth=1.4)
    significant = rows["judged"] < LEVEL
    fills = np.where(significant, BLUE, "white")
    axes.scatter(estimates, heights, s=20, c=fills, edgecolors=BLUE, linewidths=1.2, zorder=3)
    ticks = list(heights)
    if mean is not None:
        last = -n
        ticks.append(last)
        low_of_mean = mean["ci_low"]
        high_of_mean = mean["ci_high"]
        axes.hlines([last], low_of_mean, high_of_mean, color=ORANGE, linewidth=1.4)
        estimate = [mean["estimate"]]
        # hollow whatever its p-value, which takes assets or groups as independent
        axes.scatter(estimate, [last], s=26, c="white", marker="D", edgecolors=ORANGE, zorder=3)
    say_at_points(axes, estimates, heights, estimate_texts(rows.index, rows))
    zero_line(axes, "x")
    axes.set_ylim(min(ticks) - 0.6, 0.6)
    if labels is not None and len(ticks) > 1:
        names = [*labels, "mean"]
        axes.set_yticks(ticks, names[: len(ticks)])
    else:
        axes.set_yticks([], [])
    hide_left_axis(axes)
    axes.hlines(
        ticks, 0.0, 1.0, color=PALE, linewidth=0.5, zorder=0, transform=axes.get_yaxis_transform()
    )


def _sorted(
    axes: Any, rows: pd.DataFrame, mean: pd.Series | None, labels: list[str] | None
) -> None:
    """Estimates from the least to the greatest with the band of their intervals."""
    with_estimate = rows.dropna(subset="estimate")
    rows = with_estimate.sort_values("estimate")
    n = len(rows)
    after_last = n + 1
    ranks = np.arange(1, after_last)
    band: Any = {"color": BLUE, "alpha": 0.25, "linewidth": 0}
    axes.fill_between(ranks, rows["ci_low"], rows["ci_high"], **band)
    axes.plot(ranks, rows["estimate"], color=BLUE, linewidth=1.6)
    say_along([axes], ranks, estimate_texts(rows.index, rows))
    if mean is not None:
        axes.axhline(mean["estimate"], color=ORANGE, linewidth=1.2)
        axes.annotate(
            f"mean {number(mean['estimate'], 3)}",
            (0.02, mean["estimate"]),
            xytext=(0, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=ORANGE,
        )
    nouns = plural(unit_noun(rows))
    label = f"{nouns}, sorted"
    significant = rows["judged"] < LEVEL
    hits = int(significant.sum())
    has_p = rows["judged"].notna()
    tested = int(has_p.sum())
    if tested:
        of_tested = "" if tested == n else f" of {tested:,}"
        label += f"; {hits:,}{of_tested} with p < 0.05"
    if n >= MOST_WHOLE:  # a few wild ones would flatten the rest
        low = rows[["ci_low", "estimate"]].min(axis=1)
        high = rows[["ci_high", "estimate"]].max(axis=1)
        bottom = low.quantile(0.01)
        top = high.quantile(0.99)
        axes.set_ylim(bottom, top)
    zero_line(axes, "y")
    axes.set_xlabel(label)
    axes.set_xlim(0, n + 1)


PICTURES: dict[str, Callable[[Report], Any]] = {
    picture.__name__: picture
    for picture in (
        coefficients,
        t_stats,
        correlations,
        actual_fitted,
        residuals,
        actual_predicted,
        folds,
    )
}
