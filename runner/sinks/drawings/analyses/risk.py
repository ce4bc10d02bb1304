"""Pictures of factor models of risk: what is explained, what is left, how it held out of sample."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    DASHED,
    GREY,
    INK,
    ORANGE,
    PALE,
    axes_at,
    figure_of,
    hide_left_axis,
    label_room,
    labels_of,
    shortened,
    zero_line,
)
from runner.sinks.drawings.columns import first_value, floats, largest, rows_where
from runner.sinks.drawings.hover import say_values
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 40  # assets with a row of their own
MOST_LINES = 8  # assets with a line of their own
MOST_PANELS = 9
MOST_TICKS = 9  # dates below an axis
NORMAL_95 = 1.96  # quantile of a normal, of two-sided 95 % intervals
SKY = "#56B4E9"
COLOURS = (BLUE, ORANGE, GREY, SKY, "#009E73", "#E69F00", "#CC79A7", INK)  # of lines
PERCENT = 100.0
SMALLEST = 1e-12  # eigenvalue that is drawn; those below are zero but for rounding
ERRORS_TITLE = "Error of the estimates where the truth is known"
RELATIONS = {"linear": SKY, "non-linear": ORANGE, "none": PALE}
BIASES = {
    "bias_equal": "equal weights",
    "bias_minimum_variance": "minimum var.",
    "bias_random": "random",
}
ESTIMATORS = {"factor": (BLUE, "o"), "sample": (ORANGE, "s"), "shrunk": (GREY, "D")}


def explained_variance(table: pd.DataFrame) -> Any:
    """Systematic and specific variance of each asset, sorted by the share explained."""
    known = table.dropna(subset="explained_share")
    known = known.sort_values("explained_share", ascending=False)
    if known.empty:
        return None
    n = len(known)
    assets = f"{count(n, 'asset')}, in sample"
    if n > MOST_ROWS:
        return _many_explained(known, f"{assets}; sorted by the share explained by the factors")
    note = f"{assets}; beside the bars the share explained by the factors"
    height = 0.21 * n + 0.1
    figure = figure_of(height + 1.45, "Variance of each asset: systematic and specific", note)
    labels = labels_of(known["unit"])
    left = label_room(labels, 0.35)
    axes = axes_at(figure, left, 0.9, 7.0, height)
    heights = -np.arange(n)
    systematic = known["systematic_variance"]
    specific = known["specific_variance"]
    axes.barh(heights, systematic, color=BLUE, height=0.72, label="systematic")
    axes.barh(heights, specific, left=systematic, color=ORANGE, height=0.72, label="specific")
    beside: Any = {"textcoords": "offset points", "va": "center", "fontsize": 8}
    variances = known["total_variance"]
    shares = known["explained_share"]
    for y, variance, share in zip(heights, variances, shares, strict=True):
        text = f"{PERCENT * share:.0f} %"
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
    ranks = np.arange(1, n + 1)
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
    edge = float(first_value(table, "edge"))
    above_mask = table["eigenvalue"] > table["edge"]
    above = int(above_mask.sum())
    assets = count(len(table), "asset")
    note = f"{assets}; {above:,} above the edge of Marchenko and Pastur, {edge:.3g}"
    figure = figure_of(4.1, "Eigenvalues of the correlations of returns", note)
    axes = axes_at(figure, 0.8, 0.8, 7.9, 2.65)
    _log_y(axes, positive["eigenvalue"])
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
    cells = table[table["term"] != "all"]
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
    heights = -np.arange(rows)
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
    terms = list(table["term"].unique())[:MOST_PANELS]
    across = min(3, len(terms))
    wide = 2.2
    tall = 1.75
    note = (
        "mean over assets of returns less what the other factors explain, 95 % bars; "
        "a bend: not a line"
    )
    rows = math.ceil(len(terms) / across)
    step = tall + 0.85
    figure = figure_of(0.75 + rows * step, "Returns along each factor", note)
    for place, term in enumerate(terms):
        row, column = divmod(place, across)
        left = 0.8 + column * (wide + 0.65)
        top = 0.9 + row * step
        axes = axes_at(figure, left, top, wide, tall)
        part = rows_where(table, "term", term)
        factor = part["factor"]
        axes.plot(factor, part["line"], color=ORANGE, linewidth=1.4)
        half = NORMAL_95 * part["std_error"]
        axes.errorbar(factor, part["partial"], yerr=half, fmt="o", color=BLUE, markersize=4)
        axes.set_title(shortened(term, 24))
        axes.set_xlabel("factor")
        if column == 0:
            axes.set_ylabel("partial return")
    return figure


def rolling_loadings(table: pd.DataFrame) -> Any:
    """A panel per term: the estimates over windows, a line per asset or the band of many."""
    terms = list(table["term"].unique())[:MOST_PANELS]
    rows = count(largest(table, "rows"), "row")
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
        top = 0.9 + place * step
        axes = axes_at(figure, 0.75, top, wide, tall)
        of_term = rows_where(table, "term", term)
        path = of_term.pivot(index="date", columns="unit", values="estimate")
        draw = _lines if few else _bands
        draw(axes, path)
        axes.set_title(shortened(term, 40))
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
    axes.set_xticks(ticks, ticks.strftime(form))


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


def risk_out_of_sample(table: pd.DataFrame) -> Any:
    """Bias statistics, realised volatility and log-likelihood of each estimator."""
    fold = first_value(table, "fold")
    of_fold = rows_where(table, "fold", fold)
    measured = of_fold.dropna(subset="value").set_index("measure")
    if measured.empty:
        return None
    rows = count(largest(measured, "rows"), "row")
    n_assets = int(first_value(measured, "assets"))
    assets = count(n_assets, "asset")
    note = (
        f"{rows} not fitted on, {assets}; "
        "95 % intervals allow for fat tails and clusters of volatility; left: 1 is right"
    )
    figure = figure_of(3.75, "Risk out of sample", note)
    bias = axes_at(figure, 1.35, 1.0, 3.0, 1.75)
    _dots(bias, measured, BIASES)
    bias.axvline(1.0, color=INK, linewidth=0.8, linestyle=DASHED, zorder=1)
    bias.set(title="Bias statistic", xlabel="realised over foretold volatility")
    bias.legend(
        frameon=False,
        fontsize=8.5,
        loc="upper left",
        bbox_to_anchor=(0.0, -0.28),
        ncols=3,
        handletextpad=0.1,
    )
    volatility = axes_at(figure, 4.75, 1.0, 1.85, 1.75)
    _dots(volatility, measured, {"minimum_variance_volatility": ""})
    volatility.set(title="Minimum variance", xlabel="realised volatility, annual")
    density = axes_at(figure, 6.95, 1.0, 1.85, 1.75)
    _dots(density, measured, {"log_likelihood": ""})
    density.set(title="Log-likelihood", xlabel="mean per row, higher is better")
    return figure


def _dots(axes: Any, measured: pd.DataFrame, measures: dict[str, str]) -> None:
    """A row per measure, in it one mark per estimator with its interval where there is one."""
    n = len(measures)
    middle = -np.arange(n)
    shifts = (0.22, 0.0, -0.22)
    for shift, name in zip(shifts, ESTIMATORS, strict=True):
        colour, marker = ESTIMATORS[name]
        of_estimator = rows_where(measured, "estimator", name)
        rows = of_estimator.reindex(list(measures))
        heights = shift + middle
        low = floats(rows, "ci_low")
        high = floats(rows, "ci_high")
        axes.hlines(heights, low, high, color=colour, linewidth=1.4)
        axes.plot(rows["value"], heights, marker, color=colour, markersize=5.5, label=name)
    axes.set_yticks(middle, measures.values())
    hide_left_axis(axes)
    axes.set_ylim(-n + 0.5, 0.5)
    axes.margins(x=0.12)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)


def estimation_error(table: pd.DataFrame) -> Any:
    """Coverage of intervals, and errors of loadings and covariance, against the number of rows."""
    known = table.dropna(subset="covariance_error_factor")
    if known.empty:
        return None
    draws = largest(known, "draws")
    note = f"{draws:,} draws each"
    loadings = bool(known["rmse"].notna().any())
    if not loadings:
        figure = figure_of(3.6, ERRORS_TITLE, note)
        _covariance_error(axes_at(figure, 0.75, 0.9, 4.0, 2.0), known)
        return figure
    note += "; left: 95 % bars of that, and the level asked for"
    figure = figure_of(3.6, ERRORS_TITLE, note)
    wide = 2.15
    step = wide + 0.78  # inches from one panel to the next
    panels = (_coverage, _loadings_error, _covariance_error)
    for place, panel in enumerate(panels):
        left = 0.75 + place * step
        axes = axes_at(figure, left, 0.9, wide, 2.0)
        panel(axes, known)
    return figure


def _coverage(axes: Any, known: pd.DataFrame) -> None:
    """The share of intervals that hold the truth, beside the level asked for."""
    errors = known["coverage_error"].fillna(0.0)
    half = NORMAL_95 * errors
    rows = known["rows"]
    axes.errorbar(rows, known["coverage"], yerr=half, fmt="o", color=BLUE, capsize=2)
    confidence = float(first_value(known, "confidence"))
    axes.axhline(confidence, color=ORANGE, linewidth=1.2)
    _log_rows(axes, rows)
    axes.set(title="Coverage of the intervals", ylabel="share that hold the truth")


def _loadings_error(axes: Any, known: pd.DataFrame) -> None:
    """The root mean squared error of the loadings, beside one that falls with the root of rows."""
    rows = known["rows"]
    axes.plot(rows, known["rmse"], "o-", color=BLUE, label="found")
    fewest = known.iloc[0]
    ratio = fewest["rows"] / rows
    line = fewest["rmse"] * np.sqrt(ratio)
    axes.plot(rows, line, "--", color=GREY, label="1 / root of rows")
    _log_y(axes, known["rmse"], line)
    _log_rows(axes, rows)
    axes.set(title="Loadings", ylabel="root mean squared error")
    axes.legend(frameon=False, fontsize=8.5)


def _covariance_error(axes: Any, known: pd.DataFrame) -> None:
    """The relative error of the covariance of the factor model and of the sample."""
    errors = {name: known[f"covariance_error_{name}"] for name in ("factor", "sample")}
    for name, error in errors.items():
        colour, marker = ESTIMATORS[name]
        axes.plot(known["rows"], error, f"{marker}-", color=colour, label=name)
    _log_y(axes, *errors.values())
    _log_rows(axes, known["rows"])
    axes.set(title="Covariance", ylabel="relative error (Frobenius)")
    axes.legend(frameon=False, fontsize=8.5)


def _log_rows(axes: Any, rows: pd.Series) -> None:
    """A logarithmic axis of numbers of rows."""
    axes.set_xscale("log")
    names = [f"{n:,}" for n in rows]
    axes.set_xticks(rows, names)
    axes.minorticks_off()
    axes.set_xlabel("rows")


def _log_y(axes: Any, *values: pd.Series) -> None:
    """A logarithmic axis with ticks at 1, 2 and 5 times the powers of ten."""
    low = min(series.min() for series in values)
    high = max(series.max() for series in values)
    first = np.floor(np.log10(low)) - 1
    last = np.ceil(np.log10(high)) + 1
    powers = 10.0 ** np.arange(first, last)
    ticks = np.concatenate([powers, 2.0 * powers, 5.0 * powers])
    ticks = np.sort(ticks)
    axes.set_yscale("log")
    bottom = low / 1.15
    top = high * 1.15
    axes.set_ylim(bottom, top)
    inside = (ticks >= bottom) & (ticks <= top)
    ticks = ticks[inside]
    names = [f"{tick:g}" for tick in ticks]
    axes.set_yticks(ticks, names)
    axes.minorticks_off()


RISK: dict[str, Callable[[pd.DataFrame], Any]] = {
    picture.__name__: picture
    for picture in (
        explained_variance,
        spectrum,
        linearity,
        factor_shape,
        rolling_loadings,
        risk_out_of_sample,
        estimation_error,
    )
}
