"""Pictures of factor models of risk: what is explained, what is left, how it held out of sample."""

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
    axes_at,
    figure_of,
    shortened,
    zero_line,
)
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS, MOST_LINES, MOST_PANELS = 40, 8, 9
SKY = "#56B4E9"
RELATIONS = {"linear": SKY, "non-linear": ORANGE, "none": PALE}
ESTIMATORS = {"factor": (BLUE, "o"), "sample": (ORANGE, "s"), "shrunk": (GREY, "D")}


def explained_variance(table: pd.DataFrame) -> Any:
    """Systematic and specific variance of each asset, sorted by the share explained."""
    known = table.dropna(subset="explained_share").sort_values("explained_share", ascending=False)
    if known.empty:
        return None
    note = f"{count(len(known), 'asset')}, in sample; beside the bars the share explained by the factors"
    if len(known) > MOST_ROWS:
        return _many_explained(known, note.replace("beside the bars", "sorted by"))
    height = 0.21 * len(known) + 0.1
    figure = figure_of(height + 1.45, "Variance of each asset: systematic and specific", note)
    labels = [shortened(unit) for unit in known["unit"]]
    axes = axes_at(figure, 0.35 + 0.078 * max(map(len, labels)), 0.9, 7.0, height)
    at, systematic, specific = (
        -np.arange(len(known)),
        known["systematic_variance"],
        known["specific_variance"],
    )
    axes.barh(at, systematic, color=BLUE, height=0.72, label="systematic")
    axes.barh(at, specific, left=systematic, color=ORANGE, height=0.72, label="specific")
    for y, total, share in zip(at, known["total_variance"], known["explained_share"], strict=True):
        axes.annotate(
            f"{100.0 * share:.0f} %",
            (total, y),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(at, labels)
    axes.set_ylim(at[-1] - 0.6, 0.6)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.07)
    axes.set_xlabel("variance a year (squared decimals)")
    axes.legend(
        frameon=False,
        fontsize=8.5,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        borderaxespad=0.1,
    )
    return figure


def _many_explained(known: pd.DataFrame, note: str) -> Any:
    figure = figure_of(4.2, "Share of the variance of each asset that is systematic", note)
    axes, at = axes_at(figure, 0.75, 0.9, 7.9, 2.6), np.arange(1, len(known) + 1)
    axes.fill_between(
        at, known["explained_share"], color=BLUE, linewidth=0, label="systematic", step="mid"
    )
    axes.fill_between(
        at, known["explained_share"], 1.0, color=ORANGE, linewidth=0, label="specific", step="mid"
    )
    axes.set(
        xlabel="assets, sorted", ylabel="share of variance", ylim=(0.0, 1.0), xlim=(1, len(known))
    )
    axes.legend(
        frameon=False,
        fontsize=8.5,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=2,
        borderaxespad=0.1,
    )
    return figure


def spectrum(table: pd.DataFrame) -> Any:
    """Eigenvalues of the correlations on a logarithmic axis, and the edge for independent
    series.
    """
    positive = table[table["eigenvalue"] > 1e-12]
    edge, above = float(table["edge"].iloc[0]), int((table["eigenvalue"] > table["edge"]).sum())
    note = f"{count(len(table), 'asset')}; {above:,} above the edge of Marchenko and Pastur, {edge:.3g}"
    figure = figure_of(4.1, "Eigenvalues of the correlations of returns", note)
    axes = axes_at(figure, 0.8, 0.8, 7.9, 2.65)
    _log_y(axes, positive["eigenvalue"])
    high = positive["eigenvalue"] > edge
    for rows, colour, label in (
        (positive[high], BLUE, "above the edge"),
        (positive[~high], GREY, "below"),
    ):
        axes.plot(
            rows["component"], rows["eigenvalue"], "o", color=colour, markersize=5, label=label
        )
    axes.axhline(edge, color=ORANGE, linewidth=1.2, label="edge for independent series")
    axes.set(xlabel="component, from the largest", ylabel="eigenvalue")
    axes.legend(frameon=False, fontsize=8.5, loc="upper right")
    return figure


def linearity(table: pd.DataFrame) -> Any:
    """Asset by factor: linear, non-linear or no relation found."""
    cells = table[table["term"] != "all"]
    kinds = cells.pivot(index="unit", columns="term", values="relation")
    kinds = (
        kinds.reindex(index=cells["unit"].unique(), columns=cells["term"].unique())
        .fillna("")
        .iloc[:MOST_ROWS]
    )
    if kinds.empty:
        return None
    more = cells["unit"].nunique() - len(kinds)
    note = (
        "by the slope and RESET's test of the square and cube of the factor"
        + f"; {more} more assets" * (more > 0)
    )
    labels, height = [shortened(unit) for unit in kinds.index], 0.2 * len(kinds) + 0.1
    figure = figure_of(
        height + 1.3, "Each asset and each factor: a line, another shape, or nothing found", note
    )
    left = 0.35 + 0.078 * max(map(len, labels))
    axes = axes_at(figure, left, 1.1, min(8.8 - left, 1.6 * kinds.shape[1]), height)
    for kind, colour in RELATIONS.items():
        y, x = np.nonzero((kinds == kind).to_numpy())
        axes.barh(-y, 0.94, left=x - 0.47, height=0.88, color=colour, label=kind)
    axes.set_yticks(-np.arange(len(kinds)), labels)
    axes.set_xticks(range(kinds.shape[1]), [shortened(term, 12) for term in kinds.columns])
    axes.xaxis.tick_top()
    axes.set(xlim=(-0.5, kinds.shape[1] - 0.5), ylim=(0.5 - len(kinds), 0.5))
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    figure.legend(
        frameon=False,
        fontsize=8.5,
        loc="upper right",
        ncols=3,
        bbox_to_anchor=(0.99, 1 - 0.5 / (height + 1.3)),
    )
    return figure


def factor_shape(table: pd.DataFrame) -> Any:
    """A panel per factor: means of returns in groups along the factor, and the line that was
    fitted.
    """
    terms = list(table["term"].unique())[:MOST_PANELS]
    across, wide, tall = min(3, len(terms)), 2.2, 1.75
    note = "mean over assets of returns less what the other factors explain, 95 % bars; a bend: not a line"
    rows = -(-len(terms) // across)
    figure = figure_of(0.75 + rows * (tall + 0.85), "Returns along each factor", note)
    for place, term in enumerate(terms):
        row, column = divmod(place, across)
        axes = axes_at(figure, 0.8 + column * (wide + 0.65), 0.9 + row * (tall + 0.85), wide, tall)
        part = table[table["term"] == term]
        axes.plot(part["factor"], part["line"], color=ORANGE, linewidth=1.4)
        half = 1.96 * part["std_error"]
        axes.errorbar(part["factor"], part["partial"], yerr=half, fmt="o", color=BLUE, markersize=4)
        axes.set(
            title=shortened(term, 24), xlabel="factor", ylabel="" if column else "partial return"
        )
    return figure


def rolling_loadings(table: pd.DataFrame) -> Any:
    """A panel per term: the estimates over windows, a line per asset or the band of many."""
    terms = list(table["term"].unique())[:MOST_PANELS]
    rows, assets = int(table["rows"].max()), table["unit"].nunique()
    few = assets <= MOST_LINES
    how = "a line each" if few else "median, and bands of the middle half and of the middle 90 %"
    note = f"windows of {count(rows, 'row')}, at their last row; {count(assets, 'asset')}: {how}"
    height = 1.75
    figure = figure_of(0.9 + len(terms) * (height + 0.55) + 0.2, "Loadings over windows", note)
    for place, term in enumerate(terms):
        axes = axes_at(figure, 0.75, 0.9 + place * (height + 0.55), 7.1 if few else 7.9, height)
        path = table[table["term"] == term].pivot(index="date", columns="unit", values="estimate")
        (_lines if few else _bands)(axes, path)
        axes.set_title(shortened(term, 40))
        _dated(axes, path.index)
        zero_line(axes.axhline, axes.get_ylim())
        if few and place == 0:
            axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _dated(axes: Any, dates: pd.DatetimeIndex) -> None:
    """At most nine ticks: starts of years, of months where the years are few, else days."""
    import pandas as pd

    first, last = dates[0].normalize(), dates[-1]
    every = [
        (pd.date_range(first, last, freq=one), form)
        for one, form in (("YS", "%Y"), ("MS", "%Y-%m"))
    ]
    enough = [(ticks, form) for ticks, form in every if len(ticks) >= 4]
    ticks, form = enough[0] if enough else (pd.date_range(first, last, freq="D"), "%Y-%m-%d")
    ticks = ticks[:: -(-len(ticks) // 9)]
    axes.set_xticks(ticks, ticks.strftime(form))


def _lines(axes: Any, path: pd.DataFrame) -> None:
    colours = [BLUE, ORANGE, GREY, SKY, "#009E73", "#E69F00", "#CC79A7", INK]
    for column, colour in zip(path, colours, strict=False):
        axes.plot(
            path.index, path[column], color=colour, linewidth=1.2, label=shortened(column, 12)
        )


def _bands(axes: Any, path: pd.DataFrame) -> None:
    low, first, middle, third, high = (
        path.quantile(q, axis=1) for q in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    axes.fill_between(path.index, low, high, color=BLUE, alpha=0.15, linewidth=0)
    axes.fill_between(path.index, first, third, color=BLUE, alpha=0.3, linewidth=0)
    axes.plot(path.index, middle, color=BLUE, linewidth=1.6)


def risk_out_of_sample(table: pd.DataFrame) -> Any:
    """Bias statistics with their intervals, realised volatility and log-likelihood of each
    estimator.
    """
    own = table[(table["fold"] == table["fold"].iloc[0]) & table["value"].notna()].set_index(
        "measure"
    )
    if own.empty:
        return None
    rows = f"{count(int(own['rows'].max()), 'row')} not fitted on, {count(int(own['assets'].iloc[0]), 'asset')}"
    note = (
        f"{rows}; 95 % intervals allow for fat tails and clusters of volatility; left: 1 is right"
    )
    figure = figure_of(3.75, "Risk out of sample", note)
    bias = axes_at(figure, 1.35, 1.0, 3.0, 1.75)
    _dots(
        bias,
        own,
        {
            "bias_equal": "equal weights",
            "bias_minimum_variance": "minimum var.",
            "bias_random": "random",
        },
    )
    bias.axvline(1.0, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
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
    _dots(volatility, own, {"minimum_variance_volatility": ""})
    volatility.set(title="Minimum variance", xlabel="realised volatility, annual")
    density = axes_at(figure, 6.95, 1.0, 1.85, 1.75)
    _dots(density, own, {"log_likelihood": ""})
    density.set(title="Log-likelihood", xlabel="mean per row, higher is better")
    return figure


def _dots(axes: Any, own: pd.DataFrame, measures: dict[str, str]) -> None:
    """A row per measure, in it one mark per estimator with its interval where there is one."""
    for shift, (name, (colour, marker)) in zip((0.22, 0.0, -0.22), ESTIMATORS.items(), strict=True):
        rows = own[own["estimator"] == name].reindex(list(measures))
        at = shift - np.arange(len(measures))
        axes.hlines(
            at,
            rows["ci_low"].astype(float),
            rows["ci_high"].astype(float),
            color=colour,
            linewidth=1.4,
        )
        axes.plot(rows["value"], at, marker, color=colour, markersize=5.5, label=name)
    axes.set_yticks(-np.arange(len(measures)), measures.values())
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-len(measures) + 0.5, 0.5)
    axes.margins(x=0.12)
    axes.grid(axis="x", color=PALE, linewidth=0.5)
    axes.set_axisbelow(True)


def estimation_error(table: pd.DataFrame) -> Any:
    """Coverage of the intervals, error of the loadings and of the covariance, against the number
    of rows.
    """
    known = table[table["covariance_error_factor"].notna()]
    if known.empty:
        return None
    loadings = bool(known["rmse"].notna().any())
    note = (
        f"{int(known['draws'].max()):,} draws each"
        + "; left: 95 % bars of that, and the level asked for" * loadings
    )
    figure = figure_of(3.6, "Error of the estimates where the truth is known", note)
    wide = 2.15 if loadings else 4.0
    places = [0.75 + k * (wide + 0.78) for k in range(3)]
    if loadings:
        _coverage(axes_at(figure, places[0], 0.9, wide, 2.0), known)
        axes = axes_at(figure, places[1], 0.9, wide, 2.0)
        axes.plot(known["rows"], known["rmse"], "o-", color=BLUE, label="found")
        base = known.iloc[0]
        line = base["rmse"] * np.sqrt(base["rows"] / known["rows"])
        axes.plot(known["rows"], line, "--", color=GREY, label="1 / root of rows")
        _log_y(axes, known["rmse"], line)
        _log_rows(axes, known["rows"])
        axes.set(title="Loadings", ylabel="root mean squared error")
        axes.legend(frameon=False, fontsize=8.5)
    axes = axes_at(figure, places[2 if loadings else 0], 0.9, wide, 2.0)
    for name, (colour, marker) in list(ESTIMATORS.items())[:2]:
        axes.plot(
            known["rows"], known[f"covariance_error_{name}"], f"{marker}-", color=colour, label=name
        )
    _log_y(axes, *(known[f"covariance_error_{name}"] for name in ("factor", "sample")))
    _log_rows(axes, known["rows"])
    axes.set(title="Covariance", ylabel="relative error (Frobenius)")
    axes.legend(frameon=False, fontsize=8.5)
    return figure


def _coverage(axes: Any, known: pd.DataFrame) -> None:
    half = 1.96 * known["coverage_error"].fillna(0.0)
    axes.errorbar(known["rows"], known["coverage"], yerr=half, fmt="o", color=BLUE, capsize=2)
    axes.axhline(float(known["confidence"].iloc[0]), color=ORANGE, linewidth=1.2)
    _log_rows(axes, known["rows"])
    axes.set(title="Coverage of the intervals", ylabel="share that hold the truth", xlabel="rows")


def _log_rows(axes: Any, rows: pd.Series) -> None:
    axes.set_xscale("log")
    axes.set_xticks(rows, [f"{one:,}" for one in rows])
    axes.minorticks_off()
    axes.set_xlabel("rows")


def _log_y(axes: Any, *values: pd.Series) -> None:
    """A logarithmic axis with ticks at 1, 2 and 5 times the powers of ten."""
    low, high = min(one.min() for one in values), max(one.max() for one in values)
    powers = 10.0 ** np.arange(np.floor(np.log10(low)) - 1, np.ceil(np.log10(high)) + 1)
    ticks = np.sort(np.concatenate([powers, 2.0 * powers, 5.0 * powers]))
    axes.set_yscale("log")
    axes.set_ylim(low / 1.15, high * 1.15)
    ticks = ticks[(ticks >= low / 1.15) & (ticks <= high * 1.15)]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
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
