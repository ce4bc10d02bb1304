"""Pictures of factor models of risk: what the factors explain, and how returns follow them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    GREY,
    INK,
    NORMAL_95,
    ORANGE,
    PALE,
    axes_at,
    figure_of,
    label_room,
    labels_of,
    log_y,
    shortened,
    zero_line,
)
from runner.sinks.drawings.columns import first_value, largest, rows_where
from runner.sinks.drawings.hover import say_values
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 40  # assets with a row of their own
MOST_LINES = 8  # assets with a line of their own
MOST_PANELS = 9
MOST_TICKS = 9  # dates below an axis
SKY = "#56B4E9"
COLOURS = (BLUE, ORANGE, GREY, SKY, "#009E73", "#E69F00", "#CC79A7", INK)  # of lines
PERCENT = 100.0
SMALLEST = 1e-12  # eigenvalue that is drawn; those below are zero but for rounding
RELATIONS = {"linear": SKY, "non-linear": ORANGE, "none": PALE}


def explained_variance(table: pd.DataFrame) -> Any:
    """Systematic and specific variance of each asset, sorted by the share explained."""
    known = table.dropna(subset="explained_share")
    known = known.sort_values("explained_share", ascending=False)
    if known.empty:
        return None
    n = len(known)
    assets_text = count(n, "asset")
    assets = f"{assets_text}, in sample"
    if n > MOST_ROWS:
        return _many_explained(known, f"{assets}; sorted by the share explained by the factors")
    note = f"{assets}; beside the bars the share explained by the factors"
    height = 0.21 * n + 0.1
    figure = figure_of(height + 1.45, "Variance of each asset: systematic and specific", note)
    labels = labels_of(known["unit"])
    left = label_room(labels, 0.35)
    axes = axes_at(figure, left, 0.9, 7.0, height)
    ranks = np.arange(n)
    heights = -ranks
    systematic = known["systematic_variance"]
    specific = known["specific_variance"]
    axes.barh(heights, systematic, color=BLUE, height=0.72, label="systematic")
    axes.barh(heights, specific, left=systematic, color=ORANGE, height=0.72, label="specific")
    beside: Any = {"textcoords": "offset points", "va": "center", "fontsize": 8}
    variances = known["total_variance"]
    shares = known["explained_share"]
    for y, variance, share in zip(heights, variances, shares, strict=True):
        per_cent = PERCENT * share
        text = f"{per_cent:.0f} %"
        axes.annotate(text, (variance, y), (3, 0), **beside)
    axes.set_yticks(heights, labels)
    lowest = heights[-1]
    axes.set_ylim(lowest - 0.6, 0.6)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.07)
    axes.set_xlabel("variance a year (squared decimals)")
    _legend_above(axes)
    return figure


def _many_explained(known: pd.DataFrame, note: str) -> Any:
    """The systematic share of each asset, sorted, as an area."""
    figure = figure_of(4.2, "Share of the variance of each asset that is systematic", note)
    axes = axes_at(figure, 0.75, 0.9, 7.9, 2.6)
    n = len(known)
    after_last = n + 1
    ranks = np.arange(1, after_last)
    share = known["explained_share"]
    axes.fill_between(ranks, share, color=BLUE, linewidth=0, label="systematic", step="mid")
    axes.fill_between(ranks, share, 1.0, color=ORANGE, linewidth=0, label="specific", step="mid")
    axes.set(xlabel="assets, sorted", ylabel="share of variance")
    axes.set_ylim(0.0, 1.0)
    axes.set_xlim(1, n)
    _legend_above(axes)
    return figure


def _legend_above(axes: Any) -> None:
    """Two keys above the axes at the right."""
    axes.legend(
        frameon=False,
        fontsize=8.5,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        borderaxespad=0.1,
    )


def spectrum(table: pd.DataFrame) -> Any:
    """Eigenvalues of the correlations, logarithmic, and the edge for independent series."""
    positive = table[table["eigenvalue"] > SMALLEST]
    edge_of_first = first_value(table, "edge")
    edge = float(edge_of_first)
    above_mask = table["eigenvalue"] > table["edge"]
    above = int(above_mask.sum())
    number_of_assets = len(table)
    assets = count(number_of_assets, "asset")
    note = f"{assets}; {above:,} above the edge of Marchenko and Pastur, {edge:.3g}"
    figure = figure_of(4.1, "Eigenvalues of the correlations of returns", note)
    axes = axes_at(figure, 0.8, 0.8, 7.9, 2.65)
    log_y(axes, positive["eigenvalue"])
    high = positive["eigenvalue"] > edge
    above_edge = (positive[high], BLUE, "above the edge")
    below = (positive[~high], GREY, "below")
    kinds = (above_edge, below)
    for rows, colour, label in kinds:
        look: Any = {"color": colour, "markersize": 5, "label": label}
        axes.plot(rows["component"], rows["eigenvalue"], "o", **look)
    axes.axhline(edge, color=ORANGE, linewidth=1.2, label="edge for independent series")
    axes.set(xlabel="component, from the largest", ylabel="eigenvalue")
    axes.legend(frameon=False, fontsize=8.5, loc="upper right")
    return figure


def linearity(table: pd.DataFrame) -> Any:
    """Asset by factor: linear, non-linear or no relation found."""
    is_single = table["term"] != "all"
    cells = table[is_single]
    units = cells["unit"].unique()
    kinds = cells.pivot(index="unit", columns="term", values="relation")
    terms = cells["term"].unique()
    kinds = kinds.reindex(index=units, columns=terms)
    kinds = kinds.fillna("").iloc[:MOST_ROWS]
    if kinds.empty:
        return None
    note = "by the slope and RESET's test of the square and cube of the factor"
    rows, columns = kinds.shape
    more = len(units) - rows
    if more > 0:
        note += f"; {more} more assets"
    labels = labels_of(kinds.index)
    height = 0.2 * rows + 0.1
    title = "Each asset and each factor: a line, another shape, or nothing found"
    figure = figure_of(height + 1.3, title, note)
    left = label_room(labels, 0.35)
    wide = min(8.8 - left, 1.6 * columns)
    axes = axes_at(figure, left, 1.1, wide, height)
    for kind, colour in RELATIONS.items():
        of_kind = kinds == kind
        y, x = np.nonzero(of_kind.to_numpy())
        axes.barh(-y, 0.94, left=x - 0.47, height=0.88, color=colour, label=kind)
    ranks = np.arange(rows)
    heights = -ranks
    axes.set_yticks(heights, labels)
    axes.set_xticks(range(columns), labels_of(kinds.columns, 12))
    axes.xaxis.tick_top()
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(0.5 - rows, 0.5)
    axes.tick_params(length=0)
    lines = axes.spines[["left", "bottom"]]
    lines.set_visible(False)
    figure.legend(
        frameon=False,
        fontsize=8.5,
        loc="upper right",
        ncols=3,
        bbox_to_anchor=(0.99, 1 - 0.5 / (height + 1.3)),
    )
    return figure


def factor_shape(table: pd.DataFrame) -> Any:
    """A panel per factor: means of returns in groups along it, and the line that was fitted."""
    distinct = table["term"].unique()
    all_terms = list(distinct)
    terms = all_terms[:MOST_PANELS]
    across = min(3, len(terms))
    wide = 2.2
    tall = 1.75
    note = (
        "mean over assets of returns less what the other factors explain, 95 % bars; "
        "a bend: not a line"
    )
    rows = math.ceil(len(terms) / across)
    step = tall + 0.85
    height = 0.75 + rows * step
    figure = figure_of(height, "Returns along each factor", note)
    for place, term in enumerate(terms):
        row, column = divmod(place, across)
        left = 0.8 + column * (wide + 0.65)
        above = row * step
        top = 0.9 + above
        axes = axes_at(figure, left, top, wide, tall)
        part = rows_where(table, "term", term)
        factor = part["factor"]
        axes.plot(factor, part["line"], color=ORANGE, linewidth=1.4)
        half = NORMAL_95 * part["std_error"]
        axes.errorbar(factor, part["partial"], yerr=half, fmt="o", color=BLUE, markersize=4)
        heading = shortened(term, 24)
        axes.set_title(heading)
        axes.set_xlabel("factor")
        if column == 0:
            axes.set_ylabel("partial return")
    return figure


def rolling_loadings(table: pd.DataFrame) -> Any:
    """A panel per term: the estimates over windows, a line per asset or the band of many."""
    distinct = table["term"].unique()
    all_terms = list(distinct)
    terms = all_terms[:MOST_PANELS]
    number_of_rows = largest(table, "rows")
    rows = count(number_of_rows, "row")
    assets = table["unit"].nunique()
    few = assets <= MOST_LINES
    how = "a line each" if few else "median, and bands of the middle half and of the middle 90 %"
    note = f"windows of {rows}, at their last row; {count(assets, 'asset')}: {how}"
    wide = 7.1 if few else 7.9
    tall = 1.75
    step = tall + 0.55
    height = 0.9 + len(terms) * step + 0.2
    figure = figure_of(height, "Loadings over windows", note)
    for place, term in enumerate(terms):
        above = place * step
        top = 0.9 + above
        axes = axes_at(figure, 0.75, top, wide, tall)
        of_term = rows_where(table, "term", term)
        path = of_term.pivot(index="date", columns="unit", values="estimate")
        draw = _lines if few else _bands
        draw(axes, path)
        heading = shortened(term, 40)
        axes.set_title(heading)
        _dated(axes, path.index)
        zero_line(axes, "y")
        if few and place == 0:
            axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _dated(axes: Any, dates: pd.DatetimeIndex) -> None:
    """At most nine ticks: starts of years, of months where the years are few, else days."""
    midnight = dates[0].normalize()
    ticks, form = _starts(midnight, dates[-1])
    step = math.ceil(len(ticks) / MOST_TICKS)
    ticks = ticks[::step]
    tick_labels = ticks.strftime(form)
    axes.set_xticks(ticks, tick_labels)


def _starts(first: pd.Timestamp, last: pd.Timestamp) -> tuple[pd.DatetimeIndex, str]:
    """Starts of years, months or days, the first that are several, and how they are written."""
    import pandas as pd

    for frequency, form in (("YS", "%Y"), ("MS", "%Y-%m")):
        starts = pd.date_range(first, last, freq=frequency)
        if len(starts) >= 4:
            return starts, form
    return pd.date_range(first, last, freq="D"), "%Y-%m-%d"


def _lines(axes: Any, path: pd.DataFrame) -> None:
    """A line per asset."""
    for column, colour in zip(path, COLOURS, strict=False):
        name = shortened(column, 12)
        axes.plot(path.index, path[column], color=colour, linewidth=1.2, label=name)
    by_name = {str(column): path[column] for column in path}
    say_values([axes], axes.convert_xunits(path.index), path.index, by_name)


def _bands(axes: Any, path: pd.DataFrame) -> None:
    """The median over assets, and bands of the middle half and of the middle 90 %."""
    dates = path.index
    low = path.quantile(0.05, axis=1)
    high = path.quantile(0.95, axis=1)
    axes.fill_between(dates, low, high, color=BLUE, alpha=0.15, linewidth=0)
    first = path.quantile(0.25, axis=1)
    third = path.quantile(0.75, axis=1)
    axes.fill_between(dates, first, third, color=BLUE, alpha=0.3, linewidth=0)
    median = path.quantile(0.5, axis=1)
    axes.plot(dates, median, color=BLUE, linewidth=1.6)
    say_values([axes], axes.convert_xunits(dates), dates, {"median": median})


RISK: dict[str, Callable[[pd.DataFrame], Any]] = {
    picture.__name__: picture
    for picture in (
        explained_variance,
        spectrum,
        linearity,
        factor_shape,
        rolling_loadings,
    )
}
