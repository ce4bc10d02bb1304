"""Pictures of all terms at once: t statistics, premia over time, correlations of features."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.models.fit import headline
from runner.sinks.canvas import (
    AXIS_LINE,
    BLUE,
    INK,
    LETTER,
    ORANGE,
    WIDTH,
    axes_at,
    figure_of,
    heat_map,
    label_room,
    labels_of,
    longest,
    shortened,
    unit_name,
    zero_line,
)
from runner.sinks.drawings.columns import first_value, rows_where
from runner.text import LEVEL, count, number, per_unit, t_text, unit_noun

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report

MOST_ROWS = 30  # units of a heat map, terms of bars, features
MOST_WRITTEN = 12  # columns whose cells have their number written in
CLOSE = 0.5  # correlation from which on three features are worth a picture
SAMPLE = 100_000  # rows taken for correlations
BRIGHTEST = 4.0  # the t from which on a cell has its full colour
CELLS = ("t_stat", "estimate", "p_value")  # what is read of each cell
FLAT = 0.25  # inches of names of columns that are not upright
SHADE = "#BAD6EB"  # of a bar that is not significant
MINUS = "\u2212"  # as long as a plus


def t_stats(report: Report) -> Any:
    """Terms of one regression, or of the mean over many, beside the critical line.

    Of a few units a heat map.
    """
    table = report.fit.coefficients
    each = per_unit(table)
    units = each["unit"].nunique()
    if table["t_stat"].notna().sum() == 0 or table["term"].nunique() < 2:
        return _slopes(report) if units == 1 else None
    if 1 < units <= MOST_ROWS and unit_noun(table) != "date":
        return _cells(table, unit_noun(table))
    central = headline(table)
    central = central[central["t_stat"].notna()].head(MOST_ROWS)
    if central["unit"].nunique() != 1 or len(central) < 2:
        return None
    critical = ((central["ci_high"] - central["estimate"]) / central["std_error"]).median()
    confidence = report.fit.confidence
    level = ""
    if confidence is not None:
        level = f" at {100.0 * (1.0 - confidence):.3g} %"
    whose = unit_name(first_value(central, "unit"))
    if (central["scope"] == "mean").any():
        whose = f"of the mean over {count(units, unit_noun(table))}"
    note = f"{whose}; dashed: critical value {critical:.2f}{level}; {report.fit.errors}"
    t = central["t_stat"]
    axes = _bars(central["term"], t, t.abs() > critical, "t statistics", note)
    for edge in (-critical, critical):
        axes.axvline(edge, color=ORANGE, linewidth=1.2, linestyle="--")
    axes.set_xlabel("t statistic")
    return axes.figure


def _bars(terms: pd.Series, values: pd.Series, filled: pd.Series, title: str, note: str) -> Any:
    """A bar per term from the top; the axes."""
    names = labels_of(terms, 30)
    left = label_room(names, 0.4)
    tall = 0.25 * len(names) + 0.1
    figure = figure_of(tall + 1.45, title, note)
    axes = axes_at(figure, left, 0.75, WIDTH - left - 0.3, tall)
    at = -np.arange(len(names))
    axes.barh(at, values, 0.66, color=np.where(filled, BLUE, SHADE))
    axes.axvline(0.0, **AXIS_LINE)
    axes.set_yticks(at, names)
    axes.tick_params(axis="y", length=0)
    return axes


def _slopes(report: Report) -> Any:
    """Of one regression without errors: the target per standard deviation of each regressor."""
    every = report.fit.coefficients
    spread = dict(zip(report.panel.names, _features(report).std(axis=0), strict=True))
    drawn = every["term"].isin(spread) & (every["estimate"] != 0.0)
    table = every[drawn].head(MOST_ROWS)
    if len(table) < 2:
        return None
    moved = table["estimate"] * table["term"].map(spread)
    unit = unit_name(first_value(table, "unit"))
    note = f"{unit}: estimate times the standard deviation of its regressor; those at zero left out"
    if any(":" in term for term in every["term"]):
        note += ", and dummies"
    axes = _bars(table["term"], moved, moved != 0.0, "Slopes per standard deviation", note)
    axes.set_xlabel("target per standard deviation of the regressor")
    return axes.figure


def _cells(table: pd.DataFrame, noun: str) -> Any:
    """Units by terms, shaded by t, the estimates written in, bold where p is below the level."""
    rows = table.assign(name=table["unit"].where(table["scope"] != "mean", "mean"))
    terms = rows["term"].unique()[:MOST_ROWS]
    cells = {}
    for column in CELLS:
        values = rows.pivot(index="name", columns="term", values=column)
        cells[column] = values.reindex(index=rows["name"].unique(), columns=terms)
    t = cells["t_stat"]
    names = labels_of(t.index)
    written = len(terms) <= MOST_WRITTEN
    note = f"shaded by t, full colour from {BRIGHTEST:g}"
    if written:
        note += f"; written: estimates, bold where p < {LEVEL:g}"
    tall = 0.25 * len(names)
    left = label_room(names, 0.4)
    wide = WIDTH - left - 1.0
    heads, above = _heads([str(term) for term in terms], wide)
    title = f"Coefficients and t of {count(per_unit(table)['unit'].nunique(), noun)}"
    figure = figure_of(tall + above + 1.0, title, note)
    axes = axes_at(figure, left, above + 0.75, wide, tall)
    heat_map(axes, t, BRIGHTEST, "t")
    axes.set_yticks(range(len(names)), names)
    _headed(axes, heads, above)
    if written:
        _write(axes, cells)
    return figure


def _write(axes: Any, cells: dict[str, pd.DataFrame]) -> None:
    """Estimates into their cells, light on dark, bold where p is below the level."""
    t = cells["t_stat"].to_numpy(dtype=float)
    p = cells["p_value"].to_numpy(dtype=float)
    estimates = cells["estimate"].to_numpy(dtype=float)
    size = 8.5 if estimates.shape[1] <= 9 else 7.4
    for i, j in np.argwhere(np.isfinite(estimates)):
        axes.text(
            j,
            i,
            number(estimates[i, j], 3).replace("-", MINUS),
            ha="center",
            va="center",
            color="white" if abs(t[i, j]) > 0.55 * BRIGHTEST else INK,
            size=size,
            weight="bold" if p[i, j] < LEVEL else "normal",
        )


def _heads(names: list[str], wide: float) -> tuple[list[str], float]:
    """Names of columns, as much of each as fits, and the inches they need above the cells.

    They are upright where the columns are narrow.
    """
    most = int(wide / len(names) / 0.085)
    if most >= min(longest(names), 10):
        return labels_of(names, most), FLAT
    cut = labels_of(names)
    return cut, 0.15 + LETTER * longest(cut)


def _headed(axes: Any, heads: list[str], tall: float) -> None:
    """The names of columns above them."""
    axes.set_xticks(range(len(heads)), heads, rotation=90 if tall > FLAT else 0)
    axes.tick_params(axis="x", top=False, bottom=False, labeltop=True, labelbottom=False, length=0)


def cumulative(report: Report, terms: list[str]) -> Any:
    """Where each date has its regression: the sum of its estimates over time.

    A dashed line is the sum of their mean.
    """
    table = report.fit.coefficients
    dates = per_unit(table)
    means = rows_where(table, "scope", "mean").set_index("term")
    note = "sum over time of the estimates of each date; dashed: of their mean"
    terms_in_all = table["term"].nunique()
    if terms_in_all > len(terms):
        note += f"; first {len(terms)} of {terms_in_all} terms"
    title = f"Cumulative premia of {count(dates['unit'].nunique(), 'date')}"
    columns = min(3, len(terms))
    wide = (WIDTH - 0.75 * columns - 0.15) / columns
    step = 1.8 + 0.95  # inches from one row of panels to the next
    figure = figure_of(0.6 + math.ceil(len(terms) / columns) * step, title, note)
    for place, term in enumerate(terms):
        row, column = divmod(place, columns)
        axes = axes_at(figure, 0.7 + column * (wide + 0.75), 1.1 + row * step, wide, 1.8)
        own = dates[(dates["term"] == term) & dates["estimate"].notna()]
        _cumulative(axes, own)
        heading = shortened(term, 30)
        if term in means.index:
            estimate = number(means.at[term, "estimate"], 3)
            heading += f"\nmean {estimate}, t {t_text(means.at[term, 't_stat'])}"
        axes.set_title(heading, fontsize=9.0)
    return figure


def _cumulative(axes: Any, rows: pd.DataFrame) -> None:
    """The sum of the estimates of one term over dates."""
    import pandas as pd

    at = pd.to_datetime(rows["unit"]).to_numpy()
    path = rows["estimate"].cumsum().to_numpy(dtype=float)
    steady = np.linspace(path[0] / len(path), path[-1], len(path))
    axes.plot(at, path, color=BLUE, linewidth=1.5)
    axes.plot(at, steady, "--", color=ORANGE, linewidth=1.1)
    zero_line(axes, "y")
    _few_dates(axes, at)


def _few_dates(axes: Any, at: np.ndarray) -> None:
    """Four dates, with as much of each as they need."""
    import pandas as pd

    even = np.linspace(0, len(at) - 1, 4).astype(int)
    ticks = pd.DatetimeIndex(at[np.unique(even)])
    days = (ticks[-1] - ticks[0]).days
    form = "%m-%d %H:%M"
    if days > 3 * 366:
        form = "%Y"
    elif days > 120:
        form = "%Y-%m"
    axes.set_xticks(ticks, ticks.strftime(form))


def correlations(report: Report) -> Any:
    """Each feature with each over all usable rows.

    None of two features, nor of three that hardly move together.
    """
    names = report.panel.names
    if not 3 <= len(names) <= MOST_ROWS:
        return None
    X = _features(report)
    with np.errstate(divide="ignore", invalid="ignore"):
        R = np.corrcoef(X, rowvar=False)
    np.fill_diagonal(R, np.nan)
    if len(names) == 3 and not (np.abs(R) >= CLOSE).any():
        return None
    shown = labels_of(names)
    tall = 0.26 * len(names)
    left = label_room(shown, 0.4)
    wide = min(WIDTH - left - 1.0, 1.15 * len(names))
    heads, above = _heads(shown, wide)
    note = f"{len(X):,} rows, all assets and dates together"
    figure = figure_of(tall + above + 0.95, "Correlations of the features", note)
    axes = axes_at(figure, left, above + 0.75, wide, tall)
    heat_map(axes, R, 1.0, "")
    axes.set_yticks(range(len(names)), shown)
    _headed(axes, heads, above)
    if len(names) <= MOST_WRITTEN:
        for i, j in np.argwhere(np.isfinite(R)):
            colour = "white" if abs(R[i, j]) > 0.7 else INK
            rounded = round(R[i, j], 2) + 0.0  # no minus before a zero
            text = f"{rounded:.2f}".replace("-", MINUS)
            axes.text(j, i, text, ha="center", va="center", color=colour, size=8.5)
    return figure


def _features(report: Report) -> np.ndarray:
    """Rows of the features (n, K), at most SAMPLE of the usable ones, the same at every run."""
    rows = np.flatnonzero(report.panel.valid)
    if len(rows) > SAMPLE:
        rows = np.random.default_rng(0).choice(rows, SAMPLE, replace=False)
    stacked = report.panel.X.reshape(-1, len(report.panel.names))
    return stacked[rows]
