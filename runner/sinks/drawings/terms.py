"""Pictures of all terms at once: t statistics, premia over time, correlations of features."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.estimators.few_clusters import for_a_verdict, note_without_verdict
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
from runner.sinks.drawings.hover import estimate_texts, say_at_points, say_in_cells, say_values
from runner.text import LEVEL, count, number, p_words, per_unit, t_text, unit_noun

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report

MOST_ROWS = 30  # units of a heat map, terms of bars, features
MOST_WRITTEN = 12  # columns whose cells have their number written in
CLOSE = 0.5  # correlation from which on three features are worth a picture
SAMPLE = 100_000  # rows taken for correlations
BRIGHTEST = 4.0  # the t from which on a cell has its full colour
CELLS = ("t_stat", "estimate", "p_value", "judged")  # what is read of each cell
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
    terms = table["term"].nunique()
    if table["t_stat"].isna().all() or terms < 2:
        return _slopes(report) if units == 1 else None
    noun = unit_noun(table)
    if 1 < units <= MOST_ROWS and noun != "date":
        judged = for_a_verdict(table, report.fit.quality)
        return _cells(table.assign(judged=judged), noun)
    central = headline(table)
    with_t = central.dropna(subset="t_stat")
    central = with_t.head(MOST_ROWS)
    central_units = central["unit"].nunique()
    if central_units != 1 or len(central) < 2:
        return None
    half = central["ci_high"] - central["estimate"]
    ratios = half / central["std_error"]
    critical = ratios.median()
    confidence = report.fit.confidence
    level = ""
    if confidence is not None:
        percent = 100.0 * (1.0 - confidence)
        level = f" at {percent:.3g} %"
    first_unit = first_value(central, "unit")
    whose = unit_name(first_unit)
    errors = report.fit.kind_of_errors
    means = central["scope"] == "mean"
    if means.any():
        errors = report.fit.kind_of_errors_of_mean
        units_text = count(units, noun)
        whose = f"of the mean over {units_text}"
    note = f"{whose}; dashed: critical value {critical:.2f}{level}"
    note += f"; standard errors: {errors}"
    t = central["t_stat"]
    size_of_t = t.abs()
    judged = for_a_verdict(central, report.fit.quality)
    significant = (size_of_t > critical) & judged.notna()
    if judged.isna().all():
        note = f"{note_without_verdict(report.fit.quality)}; {note}"
    axes = _bars(central["term"], t, significant, "t statistics", note)
    texts = estimate_texts(central["term"], central)
    say_at_points(axes, t, -np.arange(len(t)), texts)
    for edge in (-critical, critical):
        axes.axvline(edge, color=ORANGE, linewidth=1.2, linestyle="--")
    axes.set_xlabel("t statistic")
    return axes.figure


def _bars(terms: pd.Series, values: pd.Series, filled: pd.Series, title: str, note: str) -> Any:
    """A bar per term from the top; the axes."""
    names = labels_of(terms, 30)
    left = label_room(names, 0.4)
    n = len(names)
    tall = 0.25 * n + 0.1
    figure = figure_of(tall + 1.45, title, note)
    axes = axes_at(figure, left, 0.75, WIDTH - left - 0.3, tall)
    ranks = np.arange(n)
    heights = -ranks
    colours = np.where(filled, BLUE, SHADE)
    axes.barh(heights, values, 0.66, color=colours)
    axes.axvline(0.0, **AXIS_LINE)
    axes.set_yticks(heights, names)
    axes.tick_params(axis="y", length=0)
    return axes


def _slopes(report: Report) -> Any:
    """Of one regression without errors: the target per standard deviation of each regressor."""
    every = report.fit.coefficients
    values = _features(report)
    deviations = values.std(axis=0)
    spread = dict(zip(report.panel.names, deviations, strict=True))
    kept = every["estimate"] != 0.0
    drawn = kept & every["term"].isin(spread)
    table = every[drawn].head(MOST_ROWS)
    if len(table) < 2:
        return None
    deviation = table["term"].map(spread)
    moved = table["estimate"] * deviation
    first_unit = first_value(table, "unit")
    unit = unit_name(first_unit)
    note = f"{unit}: estimate times the standard deviation of its regressor; those at zero left out"
    if any(":" in term for term in every["term"]):
        note += ", and dummies"
    axes = _bars(table["term"], moved, moved != 0.0, "Slopes per standard deviation", note)
    axes.set_xlabel("target per standard deviation of the regressor")
    return axes.figure


def _cells(table: pd.DataFrame, noun: str) -> Any:
    """Units by terms, shaded by t, the estimates written in, bold where p is below the level."""
    whose = table.set_index(["scope", "unit"]).index.unique()  # a unit may be called mean
    all_terms = table["term"].unique()
    terms = all_terms[:MOST_ROWS]
    cells = {}
    for column in CELLS:
        values = table.pivot(index=["scope", "unit"], columns="term", values=column)
        cells[column] = values.reindex(index=whose, columns=terms)
    t = cells["t_stat"]
    names = labels_of("mean" if scope == "mean" else unit for scope, unit in whose)
    written = len(terms) <= MOST_WRITTEN
    note = f"shaded by t, full colour from {BRIGHTEST:g}"
    if written:
        note += f"; written: estimates, bold where p < {LEVEL:g}"
    tall = 0.25 * len(names)
    left = label_room(names, 0.4)
    right_of_labels = WIDTH - left
    wide = right_of_labels - 1.0
    heads, above = _heads([str(term) for term in terms], wide)
    of_units = per_unit(table)
    n_units = of_units["unit"].nunique()
    units_text = count(n_units, noun)
    title = f"Coefficients and t of {units_text}"
    figure = figure_of(tall + above + 1.0, title, note)
    axes = axes_at(figure, left, above + 0.75, wide, tall)
    heat_map(axes, t, BRIGHTEST, "t")
    axes.set_yticks(range(len(names)), names)
    _headed(axes, heads, above)
    if written:
        _write(axes, cells)
    texts = _said(cells, names)
    say_in_cells(axes, texts)
    return figure


def _said(cells: dict[str, pd.DataFrame], names: list[str]) -> list[list[str]]:
    """Unit, term, estimate, t and p of each cell; nothing of one without an estimate."""
    texts = []
    t = cells["t_stat"].to_numpy(dtype=float)
    p = cells["p_value"].to_numpy(dtype=float)
    estimates = cells["estimate"]
    estimates_of_units = estimates.to_numpy(dtype=float)
    for i, row in enumerate(estimates_of_units):
        said = []
        for j, term in enumerate(estimates):
            told = ""
            if np.isfinite(row[j]):
                estimate = number(row[j])
                told = f"{names[i]}, {term}: {estimate}"
            if np.isfinite(t[i, j]):
                t_of_cell = t_text(t[i, j])
                p_of_cell = p_words(p[i, j])
                told += f", t = {t_of_cell}, {p_of_cell}"
            said.append(told)
        texts.append(said)
    return texts


def _write(axes: Any, cells: dict[str, pd.DataFrame]) -> None:
    """Estimates into their cells, light on dark, bold where p is below the level."""
    t = cells["t_stat"].to_numpy(dtype=float)
    p = cells["judged"].to_numpy(dtype=float)
    estimates = cells["estimate"].to_numpy(dtype=float)
    size = 8.5 if estimates.shape[1] <= 9 else 7.4
    is_known = np.isfinite(estimates)
    known_cells = np.argwhere(is_known)
    for i, j in known_cells:
        text = number(estimates[i, j], 3).replace("-", MINUS)
        is_dark = abs(t[i, j]) > 0.55 * BRIGHTEST
        is_significant = p[i, j] < LEVEL
        axes.text(
            j,
            i,
            text,
            ha="center",
            va="center",
            color="white" if is_dark else INK,
            size=size,
            weight="bold" if is_significant else "normal",
        )


def _heads(names: list[str], wide: float) -> tuple[list[str], float]:
    """Names of columns, as much of each as fits, and the inches they need above the cells.

    They are upright where the columns are narrow.
    """
    each = wide / len(names)
    most = int(each / 0.085)
    if most >= min(longest(names), 10):
        return labels_of(names, most), FLAT
    cut = labels_of(names)
    return cut, 0.15 + LETTER * longest(cut)


def _headed(axes: Any, heads: list[str], tall: float) -> None:
    """The names of columns above them; upright where `tall` is more than a line."""
    rotation = 90 if tall > FLAT else 0
    axes.set_xticks(range(len(heads)), heads, rotation=rotation)
    axes.tick_params(axis="x", top=False, bottom=False, labeltop=True, labelbottom=False, length=0)


def cumulative(report: Report, terms: list[str]) -> Any:
    """Where each date has its regression: the sum of its estimates over time.

    A dashed line is the sum of their mean.
    """
    table = report.fit.coefficients
    dates = per_unit(table)
    of_mean = rows_where(table, "scope", "mean")
    means = of_mean.set_index("term")
    note = "sum over time of the estimates of each date; dashed: of their mean"
    terms_in_all = table["term"].nunique()
    if terms_in_all > len(terms):
        note += f"; first {len(terms)} of {terms_in_all} terms"
    n_dates = dates["unit"].nunique()
    dates_text = count(n_dates, "date")
    title = f"Cumulative premia of {dates_text}"
    columns = min(3, len(terms))
    wide = (WIDTH - 0.75 * columns - 0.15) / columns
    step = 1.8 + 0.95  # inches from one row of panels to the next
    rows = math.ceil(len(terms) / columns)
    figure = figure_of(0.6 + rows * step, title, note)
    for place, term in enumerate(terms):
        row, column = divmod(place, columns)
        left = 0.7 + column * (wide + 0.75)
        above = row * step
        top = 1.1 + above
        axes = axes_at(figure, left, top, wide, 1.8)
        of_term = rows_where(dates, "term", term)
        with_estimate = of_term.dropna(subset="estimate")
        _cumulative(axes, with_estimate)
        heading = shortened(term, 30)
        if term in means.index:
            mean = means.loc[term]
            estimate = number(mean["estimate"], 3)
            t = t_text(mean["t_stat"])
            heading += f"\nmean {estimate}, t {t}"
        axes.set_title(heading, fontsize=9.0)
    return figure


def _cumulative(axes: Any, rows: pd.DataFrame) -> None:
    """The sum of the estimates of one term over dates."""
    import pandas as pd

    at = pd.to_datetime(rows["unit"]).to_numpy()
    cumulated = rows["estimate"].cumsum()
    path = cumulated.to_numpy(dtype=float)
    n = len(path)
    last = path[-1]
    steady = np.linspace(path[0] / n, last, n)
    axes.plot(at, path, color=BLUE, linewidth=1.5)
    days = axes.convert_xunits(at)
    dates = pd.to_datetime(rows["unit"])
    say_values([axes], days, dates, {"sum": path})
    axes.plot(at, steady, "--", color=ORANGE, linewidth=1.1)
    zero_line(axes, "y")
    _few_dates(axes, at)


def _few_dates(axes: Any, at: np.ndarray) -> None:
    """Four dates, with as much of each as they need."""
    import pandas as pd

    even = np.linspace(0, len(at) - 1, 4)
    rounded_down = even.astype(int)
    shown = np.unique(rounded_down)
    ticks = pd.DatetimeIndex(at[shown])
    span = ticks[-1] - ticks[0]
    days = span.days
    form = "%m-%d %H:%M"
    if days > 3 * 366:
        form = "%Y"
    elif days > 120:
        form = "%Y-%m"
    tick_labels = ticks.strftime(form)
    axes.set_xticks(ticks, tick_labels)


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
    n = len(names)
    sizes = np.abs(R)
    close = sizes >= CLOSE
    if n == 3 and not close.any():
        return None
    shown = labels_of(names)
    tall = 0.26 * n
    left = label_room(shown, 0.4)
    wide = min(WIDTH - left - 1.0, 1.4 * n)
    heads, above = _heads(shown, wide)
    note = f"{len(X):,} rows, all assets and dates together"
    tall_with_head = tall + above
    figure = figure_of(tall_with_head + 0.95, "Correlations of the features", note)
    axes = axes_at(figure, left, above + 0.75, wide, tall)
    heat_map(axes, R, 1.0, "")
    axes.set_yticks(range(n), shown)
    _headed(axes, heads, above)
    if n <= MOST_WRITTEN:
        is_known = np.isfinite(R)
        known_cells = np.argwhere(is_known)
        for i, j in known_cells:
            correlation = R[i, j]
            colour = "white" if abs(correlation) > 0.7 else INK
            rounded = round(correlation, 2) + 0.0  # no minus before a zero
            text = f"{rounded:.2f}"
            text = text.replace("-", MINUS)
            axes.text(j, i, text, ha="center", va="center", color=colour, size=8.5)
    return figure


def _features(report: Report) -> np.ndarray:
    """Rows of the features (n, K), at most SAMPLE of the usable ones, the same at every run."""
    panel = report.panel
    ranks = np.arange(panel.usable_cells)
    if len(ranks) > SAMPLE:
        rng = np.random.default_rng(0)
        ranks = np.sort(rng.choice(len(ranks), SAMPLE, replace=False))
    X, _ = panel.cells.usable_rows(ranks)
    return X
