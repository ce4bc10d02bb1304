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
from runner.sinks.drawings.columns import first_value, rows_where
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
    scope = "mean" if (table["scope"] == "mean").any() else first_value(table, "scope")
    central = rows_where(table, "scope", scope)
    folds = central["fold"].nunique()
    terms = list(central["term"].unique())
    ends = central.drop_duplicates("fold")["train_end"]
    dated = bool(ends.is_monotonic_increasing and ends.is_unique)
    units = int(central["units"].max())
    whose = f"mean over {count(units, 'unit')}" if units > 1 else "the one regression"
    if folds > MOST_PATHS or len(terms) > MOST_PANELS:
        return _heat(central, whose, dated)
    note = f"{whose}; {count(folds, 'fold')}, bars: intervals of the fits"
    tall = 1.35
    title = "Coefficients fitted on the training rows of each fold"
    figure = figure_of(1.2 + len(terms) * (tall + 0.5), title, note)
    for place, term in enumerate(terms):
        axes = axes_at(figure, 0.95, 0.95 + place * (tall + 0.5), 7.8, tall)
        _fold_path(axes, rows_where(central, "term", term), dated)
        axes.set_title(shortened(term, 40))
        if place == 0:
            above: Any = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.98)}
            axes.legend(frameon=False, fontsize=8.5, ncols=2, **above)
    axes.set_xlabel("last training row" if dated else "fold")
    return figure


def _fold_path(axes: Any, part: pd.DataFrame, dated: bool) -> None:
    """The estimates of one term in each fold with their intervals, beside that of all rows."""
    x = part["train_end"] if dated else np.arange(len(part))
    limits = part[["ci_low", "ci_high"]].to_numpy(dtype=float)
    half = np.abs(limits - part[["estimate"]].to_numpy()).T
    bars = None if np.isnan(half).any() else half
    look: Any = {"fmt": "o", "color": BLUE, "markersize": 4, "elinewidth": 1.1}
    axes.errorbar(x, part["estimate"], yerr=bars, label="fold", **look)
    axes.axhline(first_value(part, "all_rows"), color=ORANGE, linewidth=1.3, label="all rows")
    zero_line(axes, "y")
    if dated:
        _dated(axes, x)
    else:
        even = np.linspace(0, len(part) - 1, min(len(part), 12)).astype(int)
        shown = np.unique(even)
        axes.set_xticks(shown, [shortened(name, 8) for name in part["fold"].iloc[shown]])
    axes.set_ylabel("estimate")


def _dated(axes: Any, dates: Any) -> None:
    """At most seven ticks with as much of the date as they need."""
    import pandas as pd

    first = min(dates)
    last = max(dates)
    if first == last:
        axes.set_xticks([first], [f"{first:%Y-%m-%d}"])
        return
    days = (last - first).days
    if days > 7 * 366:
        ticks = pd.date_range(first, last, freq="YS")
        step = math.ceil(len(ticks) / 8)
        ticks = ticks[::step]
        axes.set_xticks(ticks, ticks.strftime("%Y"))
        return
    form = "%m-%d %H:%M"
    if days > 120:
        form = "%Y-%m"
    elif days >= 5:
        form = "%Y-%m-%d"
    ticks = pd.date_range(first, last, periods=7)
    axes.set_xticks(ticks, ticks.strftime(form))


def _heat(central: pd.DataFrame, whose: str, dated: bool) -> Any:
    """Terms by folds: each estimate over the largest of its term."""
    cells = central.pivot_table(index="term", columns="fold", values="estimate", sort=False)
    cells = cells.reindex(index=central["term"].unique(), columns=central["fold"].unique())
    more = len(cells) - MOST_ROWS
    cells = cells.iloc[:MOST_ROWS]
    scaled = cells.div(cells.abs().max(axis=1).replace(0.0, 1.0), axis=0)
    note = f"{whose}; estimates over the largest of their term: orange below zero, purple above"
    if more > 0:
        note += f"; {count(more, 'term')} more"
    tall = max(1.2, 0.24 * len(cells))
    figure = figure_of(tall + 1.8, f"Coefficients of {count(cells.shape[1], 'fold')}", note)
    labels = labels_of(cells.index)
    left = label_room(labels, 0.4)
    axes = axes_at(figure, left, 0.8, WIDTH - left - 1.1, tall)
    look: Any = {"cmap": "PuOr", "aspect": "auto", "interpolation": "nearest"}
    image = axes.imshow(scaled, vmin=-1.0, vmax=1.0, **look)
    axes.set_yticks(range(len(labels)), labels)
    folds = cells.shape[1]
    shown = np.unique(np.linspace(0, folds - 1, min(folds, 7)).astype(int))
    if dated:
        ends = central.drop_duplicates("fold")["train_end"].iloc[shown]
        axes.set_xticks(shown, [f"{end:%Y-%m-%d}" for end in ends])
        axes.set_xlabel("last training row of the fold, folds at equal distances")
    else:
        axes.set_xticks(shown, labels_of(cells.columns[shown], 8))
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
    known = table[table["draws"] > 0]
    if known.empty:
        return None
    draws = count(int(known["draws"].max()), "draw")
    note = f"bars: 5 to 95 % of up to {draws}, dots: medians, line: data as it is, dashed: zero"
    every = list(known["quantity"].unique())
    chosen = every
    if len(every) > MOST_QUANTITIES:
        chosen = [*every[: MOST_QUANTITIES - 1], every[-1]]  # the score is last
        note += f"; {len(chosen)} of {len(every)} quantities"
    ways = [way for way in WAYS if (known["perturbation"] == way).any()]
    across = min(3, len(chosen))
    wide = 2.25
    tall = 0.3 + 0.24 * len(ways)
    rows = math.ceil(len(chosen) / across)
    figure = figure_of(0.9 + rows * (tall + 0.75), "Estimates on perturbed data", note)
    for place, quantity in enumerate(chosen):
        row, column = divmod(place, across)
        left = 0.85 + column * (wide + 0.48)
        axes = axes_at(figure, left, 0.95 + row * (tall + 0.75), wide, tall)
        _perturbed(axes, rows_where(known, "quantity", quantity), ways, named=column == 0)
        title = "out-of-sample R2"
        if quantity != "oos_r2":
            title = shortened(quantity.removeprefix("coef/"), 26)
        axes.set_title(title)
    return figure


def _perturbed(axes: Any, rows: pd.DataFrame, ways: list[str], named: bool) -> None:
    """One quantity: a bar per way from the top, and the value on the data as it is."""
    by_way = rows.set_index("perturbation")
    for y, way in enumerate(ways):
        if way in by_way.index:
            draws = by_way.loc[way]
            colour, _ = WAYS[way]
            axes.hlines(-y, draws["q05"], draws["q95"], color=colour, linewidth=3.0)
            axes.plot(draws["q50"], -y, "o", color=colour, markersize=5.5)
    axes.axvline(first_value(by_way, "original"), color=INK, linewidth=1.0)
    axes.margins(x=0.12)
    zero_line(axes, "x")
    labels = [""] * len(ways)
    if named:
        labels = [WAYS[way][1] for way in ways]
    axes.set_yticks(-np.arange(len(ways)), labels)
    axes.set_ylim(0.6 - len(ways), 0.6 if len(ways) == 1 else 0.5)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=4)


def influence(table: pd.DataFrame) -> Any:
    """Cook's distance of the most influential rows over time, and their leverage and residual."""
    known = table.dropna(subset=["cooks_distance"])
    if known.empty:
        return None
    regressions = known["unit"].nunique()
    rows = count(int(known.groupby("unit").size().max()), "row")
    note = f"{count(regressions, 'regression')}; the {rows} with the largest Cook's distance"
    if regressions > 1:
        note += " of each regression"
    figure = figure_of(5.9, "Rows that move the estimates most", note)
    _over_time(axes_across(figure, 0.85, 1.9, 0.85), known)
    _leverage(axes_across(figure, 3.45, 1.75, 0.85), known)
    return figure


def _over_time(axes: Any, known: pd.DataFrame) -> None:
    """Cook's distance of each row at its date, with the rule of thumb 4 / n."""
    dates = known["date"]
    distance = known["cooks_distance"]
    axes.vlines(dates, 0.0, distance, color=BLUE, linewidth=1.1)
    axes.plot(dates, distance, "o", color=BLUE, markersize=3.5)
    bounds = 4.0 / known["n_obs"].astype(float)
    axes.axhspan(bounds.min(), bounds.max(), color=ORANGE, linewidth=1.0, alpha=0.8, label="4 / n")
    axes.set(ylabel="Cook's distance", title="Over time")
    axes.set_ylim(0.0, 1.2 * distance.max())
    _dated(axes, dates)
    _named(axes, known, "date", "cooks_distance")
    axes.legend(frameon=False, fontsize=8.5, loc="lower right", bbox_to_anchor=(1.0, 0.98))


def _leverage(axes: Any, known: pd.DataFrame) -> None:
    """Studentised residuals against leverages, in areas by Cook's distance."""
    share = known["cooks_distance"] / known["cooks_distance"].max()
    look: Any = {"color": BLUE, "alpha": 0.55, "linewidths": 0}
    axes.scatter(known["leverage"], known["studentised"], s=8 + 110 * share, **look)
    _named(axes, known, "leverage", "studentised")
    zero_line(axes, "y")
    axes.set(xlabel="leverage", ylabel="studentised residual")
    axes.set(title="Leverage and residual, areas by Cook's distance")
    axes.margins(x=0.08, y=0.18)


def _named(axes: Any, known: pd.DataFrame, x: str, y: str) -> None:
    """The names of the few largest, at the side on which there is room, none over another."""
    middle = known[x].min() + (known[x].max() - known[x].min()) / 2
    size = known[y].max() - min(known[y].min(), 0.0)
    taken: list[float] = []
    for row in known.nlargest(MOST_NAMED, "cooks_distance").to_dict("records"):
        if any(abs(row[y] - other) < 0.12 * size for other in taken):
            continue
        taken.append(row[y])
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
    ranked = known.drop_duplicates("unit").sort_values("statistic", ascending=False)["unit"]
    units = list(ranked)
    note = count(len(units), "asset")
    if len(units) > MOST_LINES:
        note += f", the {MOST_LINES} that go farthest named, the others grey"
    note += "; a path should stay between the lines"
    figure = figure_of(4.3, "CUSUM of recursive residuals", note)
    axes = axes_at(figure, 0.85, 0.8, 6.7, 2.85)
    for unit in reversed(units[MOST_LINES:]):
        part = rows_where(known, "unit", unit)
        axes.plot(part["date"], part["cusum"], color=PALE, linewidth=0.8)
    for unit, colour in zip(units[:MOST_LINES], COLOURS, strict=False):
        part = rows_where(known, "unit", unit)
        name = shortened(unit, 14)
        axes.plot(part["date"], part["cusum"], color=colour, linewidth=1.3, label=name)
    longest = known.groupby("unit")["rows"].first().idxmax()
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
