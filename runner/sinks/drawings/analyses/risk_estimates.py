"""Pictures of how estimates of risk hold: out of sample, and where the truth is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.sinks.canvas import (
    BLUE,
    DASHED,
    GREY,
    INK,
    NORMAL_95,
    ORANGE,
    PALE,
    axes_at,
    figure_of,
    hide_left_axis,
    log_y,
)
from runner.sinks.drawings.columns import first_value, floats, largest, rows_where
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

ERRORS_TITLE = "Error of the estimates where the truth is known"
BIASES = {
    "bias_equal": "equal weights",
    "bias_minimum_variance": "minimum var.",
    "bias_random": "random",
}
ESTIMATORS = {"factor": (BLUE, "o"), "sample": (ORANGE, "s"), "shrunk": (GREY, "D")}


def risk_out_of_sample(table: pd.DataFrame) -> Any:
    """Bias statistics, realised volatility and log-likelihood of each estimator."""
    fold = first_value(table, "fold")
    of_fold = rows_where(table, "fold", fold)
    known_values = of_fold.dropna(subset="value")
    measured = known_values.set_index("measure")
    if measured.empty:
        return None
    number_of_rows = largest(measured, "rows")
    rows = count(number_of_rows, "row")
    assets_measured = first_value(measured, "assets")
    n_assets = int(assets_measured)
    assets = count(n_assets, "asset")
    note = (
        f"{rows} not fitted on, {assets}; "
        "95 % intervals allow for fat tails and clusters of volatility; left: 1 is right"
    )
    figure = figure_of(3.75, "Risk out of sample", note)
    bias = axes_at(figure, 1.35, 1.0, 3.0, 1.75)
    _dots(bias, measured, BIASES)
    bias.axvline(1.0, color=INK, linewidth=0.8, linestyle=DASHED, zorder=1)
    bias.set(title="Bias statistic", xlabel="realised over predicted volatility")
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
    ranks = np.arange(n)
    middle = -ranks
    shifts = (0.22, 0.0, -0.22)
    for shift, name in zip(shifts, ESTIMATORS, strict=True):
        colour, marker = ESTIMATORS[name]
        of_estimator = rows_where(measured, "estimator", name)
        names = list(measures)
        rows = of_estimator.reindex(names)
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
    has_rmse = known["rmse"].notna()
    loadings = bool(has_rmse.any())
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
        beside = place * step
        left = 0.75 + beside
        axes = axes_at(figure, left, 0.9, wide, 2.0)
        panel(axes, known)
    return figure


def _coverage(axes: Any, known: pd.DataFrame) -> None:
    """The share of intervals that hold the truth, beside the level asked for."""
    errors = known["coverage_error"].fillna(0.0)
    half = NORMAL_95 * errors
    rows = known["rows"]
    axes.errorbar(rows, known["coverage"], yerr=half, fmt="o", color=BLUE, capsize=2)
    confidence_of_first = first_value(known, "confidence")
    confidence = float(confidence_of_first)
    axes.axhline(confidence, color=ORANGE, linewidth=1.2)
    _log_rows(axes, rows)
    axes.set(title="Coverage of the intervals", ylabel="share that cover the true value")


def _loadings_error(axes: Any, known: pd.DataFrame) -> None:
    """The root mean squared error of the loadings, beside one that falls with the root of rows."""
    rows = known["rows"]
    axes.plot(rows, known["rmse"], "o-", color=BLUE, label="found")
    fewest = known.iloc[0]
    ratio = fewest["rows"] / rows
    line = fewest["rmse"] * np.sqrt(ratio)
    axes.plot(rows, line, "--", color=GREY, label="1 / root of rows")
    log_y(axes, known["rmse"], line)
    _log_rows(axes, rows)
    axes.set(title="Loadings", ylabel="root mean squared error")
    axes.legend(frameon=False, fontsize=8.5)


def _covariance_error(axes: Any, known: pd.DataFrame) -> None:
    """The relative error of the covariance of the factor model and of the sample."""
    errors = {name: known[f"covariance_error_{name}"] for name in ("factor", "sample")}
    for name, error in errors.items():
        colour, marker = ESTIMATORS[name]
        axes.plot(known["rows"], error, f"{marker}-", color=colour, label=name)
    log_y(axes, *errors.values())
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


RISK_ESTIMATES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "risk_out_of_sample": risk_out_of_sample,
    "estimation_error": estimation_error,
}
