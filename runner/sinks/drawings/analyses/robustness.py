"""Pictures of what moves estimates: folds, perturbed data, single rows, time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    WIDTH,
    axes_at,
    figure_of,
    shortened,
    zero_line,
)
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

SKY, GREEN = "#56B4E9", "#009E73"
WAYS = {
    "bootstrap": (BLUE, "dates"),
    "noise": (GREEN, "noise"),
    "assets": (SKY, "assets"),
    "delay": (ORANGE, "delay"),
}
MOST_PATHS, MOST_PANELS, MOST_ROWS = 40, 9, 40
MOST_LINES, MOST_NAMED = 8, 4


def fold_paths(table: pd.DataFrame) -> Any:
    """A panel per term: estimates of each fold with their intervals; a heat map of many folds or
    terms.
    """
    central = table[
        table["scope"] == ("mean" if (table["scope"] == "mean").any() else table["scope"].iloc[0])
    ]
    folds, terms = central["fold"].nunique(), list(central["term"].unique())
    dated = central.drop_duplicates("fold")["train_end"].is_monotonic_increasing
    dated = dated and central.drop_duplicates("fold")["train_end"].is_unique
    units = int(central["units"].max())
    what = f"mean over {count(units, 'unit')}" if units > 1 else "the one regression"
    if folds > MOST_PATHS or len(terms) > MOST_PANELS:
        return _heat(central, what, dated)
    note = f"{what}; {count(folds, 'fold')}, bars: intervals of the fits"
    tall = 1.35
    figure = figure_of(
        1.2 + len(terms) * (tall + 0.5),
        "Coefficients fitted on the training rows of each fold",
        note,
    )
    for place, term in enumerate(terms):
        axes = axes_at(figure, 0.95, 0.95 + place * (tall + 0.5), 7.8, tall)
        _fold_path(axes, central[central["term"] == term], dated)
        axes.set_title(shortened(term, 40))
        if place == 0:
            axes.legend(
                frameon=False, fontsize=8.5, loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2
            )
    axes.set_xlabel("last training row" if dated else "fold")
    return figure


def _fold_path(axes: Any, part: pd.DataFrame, dated: bool) -> None:
    x = part["train_end"] if dated else np.arange(len(part))
    half = np.abs(
        part[["ci_low", "ci_high"]].to_numpy(dtype=float) - part[["estimate"]].to_numpy()
    ).T
    bars = None if np.isnan(half).any() else half
    axes.errorbar(
        x,
        part["estimate"],
        yerr=bars,
        fmt="o",
        color=BLUE,
        markersize=4,
        elinewidth=1.1,
        label="fold",
    )
    axes.axhline(part["all_rows"].iloc[0], color=ORANGE, linewidth=1.3, label="all rows")
    zero_line(axes.axhline, axes.get_ylim())
    if dated:
        _dated(axes, x)
    else:
        shown = np.unique(np.linspace(0, len(part) - 1, min(len(part), 12)).astype(int))
        axes.set_xticks(shown, [shortened(name, 8) for name in part["fold"].iloc[shown]])
    axes.set_ylabel("estimate")


def _dated(axes: Any, dates: Any) -> None:
    """At most seven ticks with as much of the date as they need."""
    import pandas as pd

    first, last = min(dates), max(dates)
    if first == last:
        axes.set_xticks([first], [f"{first:%Y-%m-%d}"])
        return
    days = (last - first).days
    form = (
        "%Y"
        if days > 7 * 366
        else "%Y-%m"
        if days > 120
        else "%Y-%m-%d"
        if days >= 5
        else "%m-%d %H:%M"
    )
    ticks = pd.date_range(first, last, periods=7)
    if form == "%Y":
        ticks = pd.date_range(first, last, freq="YS")
        ticks = ticks[:: -(-len(ticks) // 8)]
    axes.set_xticks(ticks, ticks.strftime(form))


def _heat(central: pd.DataFrame, what: str, dated: bool) -> Any:
    """Terms by folds: each estimate over the largest of its term."""
    cells = central.pivot_table(index="term", columns="fold", values="estimate", sort=False)
    cells = cells.reindex(index=central["term"].unique(), columns=central["fold"].unique())
    more = len(cells) - MOST_ROWS
    cells = cells.iloc[:MOST_ROWS]
    scaled = cells.div(cells.abs().max(axis=1).replace(0.0, 1.0), axis=0)
    note = f"{what}; estimates over the largest of their term: orange below zero, purple above"
    note += f"; {count(more, 'term')} more" if more > 0 else ""
    tall = max(1.2, 0.24 * len(cells))
    figure = figure_of(tall + 1.8, f"Coefficients of {count(cells.shape[1], 'fold')}", note)
    labels = [shortened(term) for term in cells.index]
    left = 0.4 + 0.078 * max(map(len, labels))
    axes = axes_at(figure, left, 0.8, WIDTH - left - 1.1, tall)
    image = axes.imshow(
        scaled, cmap="PuOr", vmin=-1.0, vmax=1.0, aspect="auto", interpolation="nearest"
    )
    axes.set_yticks(range(len(labels)), labels)
    shown = np.unique(np.linspace(0, cells.shape[1] - 1, min(cells.shape[1], 7)).astype(int))
    ends = central.drop_duplicates("fold")["train_end"].iloc[shown]
    names = (
        [f"{one:%Y-%m-%d}" for one in ends]
        if dated
        else [shortened(cells.columns[at], 8) for at in shown]
    )
    axes.set_xticks(shown, names)
    axes.set_xlabel("last training row of the fold, folds at equal distances" if dated else "fold")
    axes.tick_params(length=0)
    bar = figure.colorbar(
        image, cax=axes_at(figure, WIDTH - 0.85, 0.8, 0.14, tall), ticks=[-1.0, 0.0, 1.0]
    )
    bar.outline.set_visible(False)
    return figure


def monte_carlo(table: pd.DataFrame) -> Any:
    """A panel per quantity: 5 to 95 % of the draws of each way, their median, and the value on the
    data as it is.
    """
    known = table[table["draws"] > 0]
    if known.empty:
        return None
    every = list(known["quantity"].unique())
    chosen = every if len(every) <= 12 else [*every[:11], every[-1]]  # the score is last
    ways = [way for way in WAYS if (known["perturbation"] == way).any()]
    across, wide, tall = min(3, len(chosen)), 2.25, 0.3 + 0.24 * len(ways)
    more = f"; {len(chosen)} of {len(every)} quantities" if len(every) > len(chosen) else ""
    draws = count(int(known["draws"].max()), "draw")
    note = f"bars: 5 to 95 % of up to {draws}, dots: medians, line: data as it is, dashed: zero"
    rows = -(-len(chosen) // across)
    figure = figure_of(0.9 + rows * (tall + 0.75), "Estimates on perturbed data", note + more)
    for place, quantity in enumerate(chosen):
        row, column = divmod(place, across)
        axes = axes_at(
            figure, 0.85 + column * (wide + 0.48), 0.95 + row * (tall + 0.75), wide, tall
        )
        part = known[known["quantity"] == quantity].set_index("perturbation")
        for y, way in enumerate(ways):
            if way in part.index:
                one, colour = part.loc[way], WAYS[way][0]
                axes.hlines(-y, one["q05"], one["q95"], color=colour, linewidth=3.0)
                axes.plot(one["q50"], -y, "o", color=colour, markersize=5.5)
        axes.axvline(part["original"].iloc[0], color=INK, linewidth=1.0)
        axes.margins(x=0.12)
        zero_line(axes.axvline, axes.get_xlim())
        axes.set_yticks(
            -np.arange(len(ways)), [WAYS[way][1] if column == 0 else "" for way in ways]
        )
        axes.set_ylim(0.6 - len(ways), 0.6 if len(ways) == 1 else 0.5)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=4)
        axes.set_title(
            "out-of-sample R2"
            if quantity == "oos_r2"
            else shortened(quantity.removeprefix("coef/"), 26)
        )
    return figure


def influence(table: pd.DataFrame) -> Any:
    """Cook's distance of the most influential rows over time, and their leverage against their
    residual.
    """
    known = table.dropna(subset=["cooks_distance"])
    if known.empty:
        return None
    regressions, per = known["unit"].nunique(), int(known.groupby("unit").size().max())
    whose = f"the {count(per, 'row')} with the largest Cook's distance" + " of each regression" * (
        regressions > 1
    )
    figure = figure_of(
        5.9, "Rows that move the estimates most", f"{count(regressions, 'regression')}; {whose}"
    )
    axes = axes_at(figure, 0.85, 0.85, 7.9, 1.9)
    axes.vlines(known["date"], 0.0, known["cooks_distance"], color=BLUE, linewidth=1.1)
    axes.plot(known["date"], known["cooks_distance"], "o", color=BLUE, markersize=3.5)
    bounds = 4.0 / known["n_obs"].astype(float)
    axes.axhspan(bounds.min(), bounds.max(), color=ORANGE, linewidth=1.0, alpha=0.8, label="4 / n")
    axes.set(ylabel="Cook's distance", title="Over time")
    axes.set_ylim(0.0, 1.2 * known["cooks_distance"].max())
    _dated(axes, known["date"])
    _named(axes, known, "date", "cooks_distance")
    axes.legend(frameon=False, fontsize=8.5, loc="lower right", bbox_to_anchor=(1.0, 0.98))
    below = axes_at(figure, 0.85, 3.45, 7.9, 1.75)
    size = known["cooks_distance"] / known["cooks_distance"].max()
    below.scatter(
        known["leverage"],
        known["studentised"],
        s=8 + 110 * size,
        color=BLUE,
        alpha=0.55,
        linewidths=0,
    )
    _named(below, known, "leverage", "studentised")
    zero_line(below.axhline, below.get_ylim())
    below.set(
        xlabel="leverage",
        ylabel="studentised residual",
        title="Leverage and residual, areas by Cook's distance",
    )
    below.margins(x=0.08, y=0.18)
    return figure


def _named(axes: Any, known: pd.DataFrame, x: str, y: str) -> None:
    """The names of the few largest, at the side on which there is room, none over another."""
    middle = known[x].min() + (known[x].max() - known[x].min()) / 2
    size = known[y].max() - min(known[y].min(), 0.0)
    taken: list[float] = []
    for row in known.nlargest(MOST_NAMED, "cooks_distance").to_dict("records"):
        if any(abs(row[y] - other) < 0.12 * size for other in taken):
            continue
        taken.append(row[y])
        right = row[x] <= middle
        text = f"{shortened(row['asset'], 12)} {row['date']:%Y-%m-%d}"
        place = {"textcoords": "offset points", "ha": "left" if right else "right", "va": "bottom"}
        axes.annotate(
            text, (row[x], row[y]), (5 if right else -5, 2), fontsize=8, color=INK, **place
        )


def cusum(table: pd.DataFrame) -> Any:
    """Sums of recursive residuals over time between their bounds, a line per asset."""
    known = table[table["cusum"].notna()]
    if known.empty:
        return None
    ranked = known.drop_duplicates("unit").sort_values("statistic", ascending=False)["unit"]
    named = list(ranked.iloc[:MOST_LINES])
    assets = len(ranked)
    how = (
        ""
        if assets <= MOST_LINES
        else f", the {MOST_LINES} that go farthest named, the others grey"
    )
    figure = figure_of(
        4.3,
        "CUSUM of recursive residuals",
        f"{count(assets, 'asset')}{how}; a path should stay between the lines",
    )
    axes = axes_at(figure, 0.85, 0.8, 6.7, 2.85)
    colours = [BLUE, ORANGE, GREEN, SKY, "#E69F00", "#CC79A7", GREY, INK]
    for unit in [*reversed(list(ranked.iloc[MOST_LINES:])), *named]:
        part = known[known["unit"] == unit]
        look = (
            {"color": colours[named.index(unit)], "linewidth": 1.3, "label": shortened(unit, 14)}
            if unit in named
            else {}
        )
        axes.plot(part["date"], part["cusum"], **({"color": PALE, "linewidth": 0.8} | look))
    longest = known[known["unit"] == known.groupby("unit")["rows"].first().idxmax()]
    for side in (1.0, -1.0):
        axes.plot(
            longest["date"],
            side * longest["bound"],
            color=INK,
            linewidth=1.1,
            linestyle=(0, (4, 3)),
        )
    _dated(axes, known["date"])
    axes.set(ylabel="sum of standardised residuals / root of rows", xlabel="date")
    zero_line(axes.axhline, axes.get_ylim())
    axes.legend(frameon=False, fontsize=8.5, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


ROBUSTNESS: dict[str, Callable[[pd.DataFrame], Any]] = {
    picture.__name__: picture for picture in (fold_paths, monte_carlo, influence, cusum)
}
