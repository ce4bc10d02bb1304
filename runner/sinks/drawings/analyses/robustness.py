"""Pictures of what moves estimates: folds, perturbed data, single rows, time."""

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
    WIDTH,
    axes_across,
    axes_at,
    figure_of,
    label_room,
    labels_of,
    shortened,
    zero_line,
)
from runner.sinks.drawings.columns import first_value, floats, largest, rows_where
from runner.sinks.drawings.hover import estimate_texts, say_at_points
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

SKY = "#56B4E9"
GREEN = "#009E73"
COLOURS = (BLUE, ORANGE, GREEN, SKY, "#E69F00", "#CC79A7", GREY, INK)  # of named paths
WAYS = {
    "bootstrap": (BLUE, "dates"),
    "noise": (GREEN, "noise"),
    "assets": (SKY, "assets"),
    "delay": (ORANGE, "delay"),
}
MOST_PATHS = 40  # folds drawn one by one; more are a heat map
MOST_PANELS = 9  # terms with a panel of their own; more are a heat map
MOST_ROWS = 40  # terms of a heat map
MOST_QUANTITIES = 12  # panels of estimates on perturbed data
MOST_LINES = 8  # assets whose path has its own colour
MOST_NAMED = 4  # influential rows with a name


def fold_paths(table: pd.DataFrame) -> Any:
    """A panel per term: estimates of each fold with their intervals.

    A heat map of many folds or terms.
    """
    scope = first_value(table, "scope")
    means = table["scope"] == "mean"
    if means.any():
        scope = "mean"
    central = rows_where(table, "scope", scope)
    folds = central["fold"].nunique()
    distinct = central["term"].unique()
    terms = list(distinct)
    first_rows = central.drop_duplicates("fold")
    ends = first_rows["train_end"]
    dated = ends.is_monotonic_increasing and ends.is_unique
    units = largest(central, "units")
    whose = "the one regression"
    if units > 1:
        units_text = count(units, "unit")
        whose = f"mean over {units_text}"
    if folds > MOST_PATHS or len(terms) > MOST_PANELS:
        return _heat(central, whose, dated)
    note = f"{whose}; {count(folds, 'fold')}, bars: intervals of the fits"
    tall = 1.35
    title = "Coefficients fitted on the training rows of each fold"
    step = tall + 0.5
    figure = figure_of(1.2 + len(terms) * step, title, note)
    for place, term in enumerate(terms):
        top = 0.95 + place * step
        axes = axes_across(figure, top, tall, 0.95)
        of_term = rows_where(central, "term", term)
        _fold_path(axes, of_term, dated)
        heading = shortened(term, 40)
        axes.set_title(heading)
        if place == 0:
            above: Any = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.98)}
            axes.legend(frameon=False, fontsize=8.5, ncols=2, **above)
        axes.tick_params(labelbottom=term == terms[-1])
    axes.set_xlabel("last training row" if dated else "fold")
    return figure


def _fold_path(axes: Any, part: pd.DataFrame, dated: bool) -> None:
    """The estimates of one term in each fold with their intervals, beside that of all rows."""
    x = part["train_end"] if dated else np.arange(len(part))
    limits = part[["ci_low", "ci_high"]].to_numpy(dtype=float)
    estimates = part[["estimate"]].to_numpy()
    half = np.abs(limits - estimates).T
    bars = None if np.isnan(half).any() else half
    look: Any = {"fmt": "o", "color": BLUE, "markersize": 4, "elinewidth": 1.1}
    axes.errorbar(x, part["estimate"], yerr=bars, label="fold", **look)
    named = [f"fold {name}" for name in part["fold"]]
    no_p_values = part.assign(p_value=np.nan)
    at = axes.convert_xunits(x)
    say_at_points(axes, at, part["estimate"], estimate_texts(named, no_p_values))
    of_all_rows = first_value(part, "all_rows")
    axes.axhline(of_all_rows, color=ORANGE, linewidth=1.3, label="all rows")
    zero_line(axes, "y")
    if dated:
        _dated(axes, x)
    else:
        folds = len(part)
        even = np.linspace(0, folds - 1, min(folds, 12))
        rounded_down = even.astype(int)
        shown = np.unique(rounded_down)
        names = part["fold"].iloc[shown]
        tick_labels = labels_of(names, 8)
        axes.set_xticks(shown, tick_labels)
    axes.set_ylabel("estimate")


def _dated(axes: Any, dates: Any) -> None:
    """At most seven ticks with as much of the date as they need."""
    import pandas as pd

    first = min(dates)
    last = max(dates)
    if first == last:
        name = f"{first:%Y-%m-%d}"
        axes.set_xticks([first], [name])
        return
    days = (last - first).days
    if days > 7 * 366:
        ticks = pd.date_range(first, last, freq="YS")
        ticks_a_label = len(ticks) / 8
        step = math.ceil(ticks_a_label)
        ticks = ticks[::step]
        axes.set_xticks(ticks, ticks.strftime("%Y"))
        return
    form = "%m-%d %H:%M"
    if days > 120:
        form = "%Y-%m"
    elif days >= 5:
        form = "%Y-%m-%d"
    ticks = pd.date_range(first, last, periods=7)
    tick_labels = ticks.strftime(form)
    axes.set_xticks(ticks, tick_labels)


def _heat(central: pd.DataFrame, whose: str, dated: bool) -> Any:
    """Terms by folds: each estimate over the largest of its term."""
    cells = central.pivot_table(index="term", columns="fold", values="estimate", sort=False)
    terms = central["term"].unique()
    every_fold = central["fold"].unique()
    cells = cells.reindex(index=terms, columns=every_fold)
    more = len(cells) - MOST_ROWS
    cells = cells.iloc[:MOST_ROWS]
    rows, folds = cells.shape
    sizes = cells.abs()
    greatest = sizes.max(axis=1)
    scaled = cells.div(greatest.replace(0.0, 1.0), axis=0)
    note = f"{whose}; estimates over the largest of their term: orange below zero, purple above"
    if more > 0:
        more_terms = count(more, "term")
        note += f"; {more_terms} more"
    height_of_rows = 0.24 * rows
    tall = max(1.2, height_of_rows)
    folds_text = count(folds, "fold")
    title = f"Coefficients of {folds_text}"
    figure = figure_of(tall + 1.8, title, note)
    labels = labels_of(cells.index)
    left = label_room(labels, 0.4)
    axes = axes_at(figure, left, 0.8, WIDTH - left - 1.1, tall)
    look: Any = {"cmap": "PuOr", "aspect": "auto", "interpolation": "nearest"}
    image = axes.imshow(scaled, vmin=-1.0, vmax=1.0, **look)
    axes.set_yticks(range(rows), labels)
    even = np.linspace(0, folds - 1, min(folds, 7))
    rounded_down = even.astype(int)
    shown = np.unique(rounded_down)
    if dated:
        first_rows = central.drop_duplicates("fold")
        ends = first_rows["train_end"].iloc[shown]
        axes.set_xticks(shown, [f"{end:%Y-%m-%d}" for end in ends])
        axes.set_xlabel("last training row of the fold, folds at equal distances")
    else:
        names_shown = cells.columns[shown]
        tick_labels = labels_of(names_shown, 8)
        axes.set_xticks(shown, tick_labels)
        axes.set_xlabel("fold")
    axes.tick_params(length=0)
    scale = axes_at(figure, WIDTH - 0.85, 0.8, 0.14, tall)
    bar = figure.colorbar(image, cax=scale, ticks=[-1.0, 0.0, 1.0])
    bar.outline.set_visible(False)
    return figure


def monte_carlo(table: pd.DataFrame) -> Any:
    """A panel per quantity: the draws of each way to perturb the data.

    A bar from 5 to 95 %, the median, and the value on the data as it is.
    """
    has_draws = table["draws"] > 0
    known = table[has_draws]
    if known.empty:
        return None
    number_of_draws = largest(known, "draws")
    draws = count(number_of_draws, "draw")
    note = f"bars: 5 to 95 % of up to {draws}, dots: medians, line: data as it is, dashed: zero"
    distinct = known["quantity"].unique()
    every = list(distinct)
    chosen = every
    if len(every) > MOST_QUANTITIES:
        score = every[-1]
        most_beside = MOST_QUANTITIES - 1
        first = every[:most_beside]
        chosen = [*first, score]
        note += f"; {len(chosen)} of {len(every)} quantities"
    tried = set(known["perturbation"])
    ways = [way for way in WAYS if way in tried]
    across = min(3, len(chosen))
    wide = 2.25
    height_of_ways = 0.24 * len(ways)
    tall = 0.3 + height_of_ways
    rows = math.ceil(len(chosen) / across)
    step = tall + 0.75
    height = 0.9 + rows * step
    figure = figure_of(height, "Estimates on perturbed data", note)
    for place, quantity in enumerate(chosen):
        row, column = divmod(place, across)
        left = 0.85 + column * (wide + 0.48)
        above = row * step
        top = 0.95 + above
        axes = axes_at(figure, left, top, wide, tall)
        of_quantity = rows_where(known, "quantity", quantity)
        _perturbed(axes, of_quantity, ways, named=column == 0)
        title = "out-of-sample R2"
        if quantity != "oos_r2":
            term = quantity.removeprefix("coef/")
            title = shortened(term, 26)
        axes.set_title(title)
    return figure


def _perturbed(axes: Any, rows: pd.DataFrame, ways: list[str], named: bool) -> None:
    """One quantity: a bar per way from the top, and the value on the data as it is."""
    by_way = rows.set_index("perturbation")
    for y, way in enumerate(ways):
        if way in by_way.index:
            draws = by_way.loc[way]
            colour, _ = WAYS[way]
            low = draws["q05"]
            high = draws["q95"]
            axes.hlines(-y, low, high, color=colour, linewidth=3.0)
            axes.plot(draws["q50"], -y, "o", color=colour, markersize=5.5)
    original = first_value(by_way, "original")
    axes.axvline(original, color=INK, linewidth=1.0)
    axes.margins(x=0.12)
    zero_line(axes, "x")
    n = len(ways)
    labels = [""] * n
    if named:
        labels = [WAYS[way][1] for way in ways]
    axes.set_yticks(-np.arange(n), labels)
    top = 0.6 if n == 1 else 0.5
    axes.set_ylim(0.6 - n, top)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=4)


def influence(table: pd.DataFrame) -> Any:
    """Cook's distance of the most influential rows over time, and their leverage and residual."""
    known = table.dropna(subset=["cooks_distance"])
    if known.empty:
        return None
    regressions = known["unit"].nunique()
    rows_of_unit = known["unit"].value_counts()
    most = rows_of_unit.max()
    most_rows = int(most)
    rows = count(most_rows, "row")
    units = count(regressions, "regression")
    note = f"{units}; the {rows} with the largest Cook's distance"
    if regressions > 1:
        note += " of each regression"
    figure = figure_of(5.9, "Rows that move the estimates most", note)
    over_time = axes_across(figure, 0.85, 1.9, 0.85)
    leverage = axes_across(figure, 3.45, 1.75, 0.85)
    _over_time(over_time, known)
    _leverage(leverage, known)
    return figure


def _over_time(axes: Any, known: pd.DataFrame) -> None:
    """Cook's distance of each row at its date, with the rule of thumb 4 / n."""
    dates = known["date"]
    distance = known["cooks_distance"]
    axes.vlines(dates, 0.0, distance, color=BLUE, linewidth=1.1)
    axes.plot(dates, distance, "o", color=BLUE, markersize=3.5)
    rows_of_unit = floats(known, "n_obs")
    bounds = 4.0 / rows_of_unit
    low = bounds.min()
    high = bounds.max()
    axes.axhspan(low, high, color=ORANGE, linewidth=1.0, alpha=0.8, label="4 / n")
    axes.set(ylabel="Cook's distance", title="Over time")
    axes.set_ylim(0.0, 1.2 * distance.max())
    _dated(axes, dates)
    _named(axes, known, "date", "cooks_distance")
    axes.legend(frameon=False, fontsize=8.5, loc="lower right", bbox_to_anchor=(1.0, 0.98))


def _leverage(axes: Any, known: pd.DataFrame) -> None:
    """Studentised residuals against leverages, in areas by Cook's distance."""
    distance = known["cooks_distance"]
    areas = 8 + 110 * (distance / distance.max())
    look: Any = {"color": BLUE, "alpha": 0.55, "linewidths": 0}
    axes.scatter(known["leverage"], known["studentised"], s=areas, **look)
    _named(axes, known, "leverage", "studentised")
    zero_line(axes, "y")
    axes.set(xlabel="leverage", ylabel="studentised residual")
    axes.set(title="Leverage and residual, areas by Cook's distance")
    axes.margins(x=0.08, y=0.18)


def _named(axes: Any, known: pd.DataFrame, x: str, y: str) -> None:
    """The names of the few largest, at the side on which there is room, none over another."""
    first = known[x].min()
    middle = first + (known[x].max() - first) / 2
    low = min(known[y].min(), 0.0)
    highest = known[y].max()
    apart = 0.12 * (highest - low)
    taken: list[float] = []
    named = known.nlargest(MOST_NAMED, "cooks_distance")
    for row in named.to_dict("records"):
        height = row[y]
        if any(abs(height - other) < apart for other in taken):
            continue
        taken.append(height)
        if row[x] <= middle:
            place: Any = {"xytext": (5, 2), "ha": "left"}
        else:
            place = {"xytext": (-5, 2), "ha": "right"}
        text = f"{shortened(row['asset'], 12)} {row['date']:%Y-%m-%d}"
        axes.annotate(
            text,
            (row[x], row[y]),
            textcoords="offset points",
            fontsize=8,
            color=INK,
            va="bottom",
            **place,
        )


def cusum(table: pd.DataFrame) -> Any:
    """Sums of recursive residuals over time between their bounds, a line per asset."""
    known = table.dropna(subset="cusum")
    if known.empty:
        return None
    ranked = known.drop_duplicates("unit")
    ranked = ranked.sort_values("statistic", ascending=False)
    units = list(ranked["unit"])
    note = count(len(units), "asset")
    if len(units) > MOST_LINES:
        note += f", the {MOST_LINES} that go farthest named, the others grey"
    note += "; a path should stay between the lines"
    figure = figure_of(4.3, "CUSUM of recursive residuals", note)
    axes = axes_at(figure, 0.85, 0.8, 6.7, 2.85)
    others = units[MOST_LINES:]
    for unit in reversed(others):
        part = rows_where(known, "unit", unit)
        axes.plot(part["date"], part["cusum"], color=PALE, linewidth=0.8)
    named = units[:MOST_LINES]
    for unit, colour in zip(named, COLOURS, strict=False):
        part = rows_where(known, "unit", unit)
        name = shortened(unit, 14)
        axes.plot(part["date"], part["cusum"], color=colour, linewidth=1.3, label=name)
    by_unit = known.groupby("unit")
    rows = by_unit["rows"].first()
    longest = rows.idxmax()
    bounds = rows_where(known, "unit", longest)
    for side in (1.0, -1.0):
        bound = side * bounds["bound"]
        axes.plot(bounds["date"], bound, color=INK, linewidth=1.1, linestyle=DASHED)
    _dated(axes, known["date"])
    axes.set(ylabel="sum of standardised residuals / root of rows", xlabel="date")
    zero_line(axes, "y")
    axes.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


ROBUSTNESS: dict[str, Callable[[pd.DataFrame], Any]] = {
    picture.__name__: picture for picture in (fold_paths, monte_carlo, influence, cusum)
}
