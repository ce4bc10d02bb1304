"""Pictures of all terms at once: t beside the critical line, premia summed over time, correlations
of features.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.models.fit import headline
from runner.sinks.canvas import (
    BLUE,
    INK,
    ORANGE,
    WIDTH,
    axes_at,
    figure_of,
    heat_map,
    shortened,
    unit_name,
    zero_line,
)
from runner.text import LEVEL, count, number, per_unit, t_text, unit_noun

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report

MOST_ROWS = 30  # units of a heat map, terms of bars, features
MOST_WRITTEN = 12  # columns whose cells have their number written in
CLOSE = 0.5  # correlation from which on three features are worth a picture
SAMPLE = 100_000  # rows taken for correlations
BRIGHTEST = 4.0  # the t from which on a cell has its full colour


def t_stats(report: Report) -> Any:
    """Terms of one regression, or of the mean over many, beside the critical line; of a few units
    a heat map.
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
    level = (report.spec.get("model") or {}).get("confidence", 1.0 - LEVEL)
    whose = (
        f"of the mean over {count(units, unit_noun(table))}"
        if (central["scope"] == "mean").any()
        else ""
    )
    note = f"{whose or unit_name(central['unit'].iloc[0])}; "
    note += f"dashed: critical value {critical:.2f} at {100.0 * (1.0 - level):.3g} %; {report.fit.errors}"
    axes = _bars(
        central["term"], central["t_stat"], central["t_stat"].abs() > critical, "t statistics", note
    )
    for edge in (-critical, critical):
        axes.axvline(edge, color=ORANGE, linewidth=1.2, linestyle="--")
    axes.set_xlabel("t statistic")
    return axes.figure


def _bars(terms: pd.Series, values: pd.Series, filled: pd.Series, title: str, note: str) -> Any:
    """A bar per term from the top; the axes."""
    names = [shortened(term, 30) for term in terms]
    left, tall = 0.4 + 0.078 * max(map(len, names)), 0.25 * len(names) + 0.1
    axes = axes_at(figure_of(tall + 1.45, title, note), left, 0.75, WIDTH - left - 0.3, tall)
    axes.barh(-np.arange(len(names)), values, 0.66, color=np.where(filled, BLUE, "#BAD6EB"))
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_yticks(-np.arange(len(names)), names)
    axes.tick_params(axis="y", length=0)
    return axes


def _slopes(report: Report) -> Any:
    """Of one regression without errors: what the target moves by with one standard deviation of
    each regressor.
    """
    table = report.fit.coefficients
    spread = dict(zip(report.panel.names, _features(report).std(axis=0), strict=True))
    dummies = any(":" in term for term in table["term"])
    table = table[table["term"].isin(spread) & (table["estimate"] != 0.0)].head(MOST_ROWS)
    if len(table) < 2:
        return None
    moved = table["estimate"] * table["term"].map(spread)
    unit = unit_name(table["unit"].iloc[0])
    note = f"{unit}: estimate times the standard deviation of its regressor; those at zero left out"
    note += ", and dummies" if dummies else ""
    axes = _bars(table["term"], moved, moved != 0.0, "Slopes per standard deviation", note)
    axes.set_xlabel("target per standard deviation of the regressor")
    return axes.figure


def _cells(table: pd.DataFrame, noun: str) -> Any:
    """Units by terms, shaded by t, the estimates written in, bold where p is below the level."""
    rows = table.assign(name=table["unit"].where(table["scope"] != "mean", "mean"))
    terms = rows["term"].unique()[:MOST_ROWS]
    at = {what: rows.pivot(index="name", columns="term", values=what) for what in CELLS}
    at = {
        what: cells.reindex(index=rows["name"].unique(), columns=terms)
        for what, cells in at.items()
    }
    t, names = at["t_stat"], [shortened(name) for name in at["t_stat"].index]
    written = len(terms) <= MOST_WRITTEN
    what = f"; written: estimates, bold where p < {LEVEL:g}" if written else ""
    tall, left = 0.25 * len(names), 0.4 + 0.078 * max(map(len, names))
    note = f"shaded by t, full colour from {BRIGHTEST:g}{what}"
    heads, above = _heads([str(term) for term in terms], WIDTH - left - 1.0)
    title = f"Coefficients and t of {count(per_unit(table)['unit'].nunique(), noun)}"
    figure = figure_of(tall + above + 1.0, title, note)
    axes = axes_at(figure, left, above + 0.75, WIDTH - left - 1.0, tall)
    heat_map(axes, t, BRIGHTEST, "t")
    axes.set_yticks(range(len(names)), names)
    _headed(axes, heads, above)
    if written:
        values, p = (at[what].to_numpy(dtype=float) for what in ("estimate", "p_value"))
        size = 8.5 if len(terms) <= 9 else 7.4
        for i, j in np.argwhere(np.isfinite(values)):
            text = {"color": "white" if abs(t.iat[i, j]) > 0.55 * BRIGHTEST else INK, "size": size}
            text["weight"] = "bold" if p[i, j] < LEVEL else "normal"
            axes.text(
                j,
                i,
                number(values[i, j], 3).replace("-", "\u2212"),
                ha="center",
                va="center",
                **text,
            )
    return figure


CELLS = ("t_stat", "estimate", "p_value")


def _heads(names: list[str], wide: float) -> tuple[list[str], float]:
    """Names of columns, as much of each as fits, and the inches they need above the cells: upright
    where narrow.
    """
    most = int(wide / len(names) / 0.085)
    if most >= min(max(map(len, names)), 10):
        return [shortened(name, most) for name in names], 0.25
    cut = [shortened(name) for name in names]
    return cut, 0.15 + 0.078 * max(map(len, cut))


def _headed(axes: Any, heads: list[str], tall: float) -> None:
    """The names of columns above them."""
    axes.set_xticks(range(len(heads)), heads, rotation=90 if tall > 0.25 else 0)
    axes.tick_params(axis="x", top=False, bottom=False, labeltop=True, labelbottom=False, length=0)


def cumulative(report: Report, terms: list[str]) -> Any:
    """Where each date has its regression: the sum of its estimates over time, beside that of their
    mean.
    """
    import pandas as pd

    table = report.fit.coefficients
    dates = per_unit(table)
    columns = min(3, len(terms))
    wide, tall = (WIDTH - 0.75 * columns - 0.15) / columns, 1.8
    more = (
        f"; first {len(terms)} of {table['term'].nunique()} terms"
        if table["term"].nunique() > len(terms)
        else ""
    )
    note = f"sum over time of the estimates of each date; dashed: of their mean{more}"
    title = f"Cumulative premia of {count(dates['unit'].nunique(), 'date')}"
    figure = figure_of(0.6 + math.ceil(len(terms) / columns) * (tall + 0.95), title, note)
    means = table[table["scope"] == "mean"].set_index("term")
    for place, term in enumerate(terms):
        row, column = divmod(place, columns)
        axes = axes_at(figure, 0.7 + column * (wide + 0.75), 1.1 + row * (tall + 0.95), wide, tall)
        own = dates[(dates["term"] == term) & dates["estimate"].notna()]
        at, path = (
            pd.to_datetime(own["unit"]).to_numpy(),
            own["estimate"].cumsum().to_numpy(dtype=float),
        )
        axes.plot(at, path, color=BLUE, linewidth=1.5)
        axes.plot(
            at,
            np.linspace(path[0] / len(path), path[-1], len(path)),
            "--",
            color=ORANGE,
            linewidth=1.1,
        )
        zero_line(axes.axhline, axes.get_ylim())
        told = (
            f"\nmean {number(means.at[term, 'estimate'], 3)}, t {t_text(means.at[term, 't_stat'])}"
        )
        axes.set_title(f"{shortened(term, 30)}{told if term in means.index else ''}", fontsize=9.0)
        _few_dates(axes, at)
    return figure


def _few_dates(axes: Any, at: np.ndarray) -> None:
    """Four dates, with as much of each as they need."""
    import pandas as pd

    ticks = pd.DatetimeIndex(at[np.unique(np.linspace(0, len(at) - 1, 4).astype(int))])
    days = (ticks[-1] - ticks[0]).days
    axes.set_xticks(
        ticks, ticks.strftime("%Y" if days > 3 * 366 else "%Y-%m" if days > 120 else "%m-%d %H:%M")
    )


def correlations(report: Report) -> Any:
    """Each feature with each over all usable rows; none of two, nor of three that hardly move
    together.
    """
    names = report.panel.names
    if not 3 <= len(names) <= MOST_ROWS:
        return None
    X = _features(report)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.corrcoef(X, rowvar=False)
    np.fill_diagonal(found, np.nan)
    if len(names) == 3 and not (np.abs(found) >= CLOSE).any():
        return None
    shown = [shortened(name) for name in names]
    tall, left = 0.26 * len(names), 0.4 + 0.078 * max(map(len, shown))
    wide = min(WIDTH - left - 1.0, 1.15 * len(names))
    heads, above = _heads(shown, wide)
    note = f"{len(X):,} rows, all assets and dates together"
    figure = figure_of(tall + above + 0.95, "Correlations of the features", note)
    axes = axes_at(figure, left, above + 0.75, wide, tall)
    heat_map(axes, found, 1.0, "")
    axes.set_yticks(range(len(names)), shown)
    _headed(axes, heads, above)
    for i, j in np.argwhere(np.isfinite(found)) if len(names) <= MOST_WRITTEN else ():
        colour = "white" if abs(found[i, j]) > 0.7 else INK
        text = f"{round(found[i, j], 2) + 0.0:.2f}".replace("-", "\u2212")
        axes.text(j, i, text, ha="center", va="center", color=colour, size=8.5)
    return figure


def _features(report: Report) -> np.ndarray:
    """Rows of the features (n, K), at most SAMPLE of the usable ones, the same at every run."""
    at = np.flatnonzero(report.panel.valid)
    if len(at) > SAMPLE:
        at = np.random.default_rng(0).choice(at, SAMPLE, replace=False)
    return report.panel.X.reshape(-1, len(report.panel.names))[at]
