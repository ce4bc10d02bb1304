"""Actual against fitted over time: what the lines are, against the tables of the run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_words import NINE, french

from runner.experiment.report import Report
from runner.sinks.canvas import style
from runner.sinks.drawings.over_time import actual_fitted

CLOSE = 1e-12


@pytest.fixture(scope="module")
def nine() -> Report:
    return french(NINE)


def drawn(report: Report) -> Any:
    with style():
        return actual_fitted(report)


def lines(axes: Any) -> dict[str, np.ndarray]:
    """Heights of the named lines."""
    named = {line.get_label(): line.get_ydata() for line in axes.lines}
    return {name: np.asarray(y) for name, y in named.items() if not name.startswith("_")}


def test_three_assets_are_those_with_the_largest_median_and_smallest_r2(nine: Report) -> None:
    figure = drawn(nine)
    order = nine.fit.quality.sort_values("r2", ascending=False)["unit"]
    headings = [axes.get_title(loc="left").partition(":")[0] for axes in figure.axes]
    assert headings == [order.iloc[0], order.iloc[4], order.iloc[8]]


def test_lines_are_the_target_the_fit_and_the_predictions(nine: Report) -> None:
    asset = nine.fit.quality.sort_values("r2")["unit"].iloc[-1]
    column = nine.panel.assets.index(asset)
    shown = lines(drawn(nine).axes[0])
    np.testing.assert_allclose(shown["actual"], nine.panel.y[:, column], atol=CLOSE)
    own = nine.predictions.query("asset == @asset").sort_values("date")
    np.testing.assert_allclose(shown["predicted out of sample"], own["prediction"], atol=CLOSE)
    before = nine.panel.dates < own["date"].iloc[0]
    np.testing.assert_allclose(shown["fitted in sample"], nine.fitted[before, column], atol=CLOSE)


def test_without_folds_everything_is_fitted() -> None:
    report = french(["S1V1", "S5V5"], held_out=False)
    figure = drawn(report)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["S1V1", "S5V5"]
    for axes in figure.axes:
        assert set(lines(axes)) == {"actual", "fitted in sample"}


def test_of_a_pooled_fit_the_mean_over_assets_is_shown(nine: Report) -> None:
    pooled = nine.fit.quality.head(1).assign(scope="pooled", unit="all")
    report = replace(nine, fit=replace(nine.fit, quality=pooled))
    [axes] = drawn(report).axes
    assert axes.get_title(loc="left") == "Mean over 9 assets"
    shown = lines(axes)
    np.testing.assert_allclose(shown["actual"], nine.panel.y.mean(axis=1), atol=CLOSE)
    means = nine.predictions.groupby("date")["prediction"].mean()
    np.testing.assert_allclose(shown["predicted out of sample"], means, atol=CLOSE)


def test_regressions_of_each_date_have_no_fit_over_time(nine: Report) -> None:
    dated = nine.fit.quality.head(1).assign(scope="date", unit="2000-01-31")
    report = replace(nine, fit=replace(nine.fit, quality=dated))
    [axes] = drawn(report).axes
    assert set(lines(axes)) == {"actual", "predicted out of sample"}
    nothing = replace(report, predictions=pd.DataFrame())
    assert drawn(nothing) is None
