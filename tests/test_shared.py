"""Moments that folds share give what each fold by itself gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracles import close, panel_of, punch_holes, random_arrays

from runner.models.regression import Regression
from runner.trials import influence
from runner.trials.influence import influence_of
from runner.validation.cross_validation import Combinatorial
from runner.validation.folds import shared_by
from runner.validation.splitters import WalkForward

pytestmark = pytest.mark.usefixtures("summed_by")
# Sums over other blocks about another point: rounding of well-scaled columns.
REL = 1e-10


@pytest.mark.parametrize(
    "settings",
    [
        {"by": None},
        {"by": "asset"},
        {"by": "side"},
        {"by": "date"},
        {"by": None, "cov": "cluster", "clusters": ["date"]},
        {"by": None, "regressors": ["x2"]},
        {"by": None, "weights": "inverse_variance"},
        {"by": None, "estimator": "ridge", "penalty": 2.0},
        {"by": "asset", "estimator": "ridge", "penalty": 2.0, "standardise": False},
        {"by": None, "estimator": "lasso", "penalty": 0.01},
    ],
    ids=str,
)
@pytest.mark.parametrize("window", [None, 80])
def test_folds_that_share_are_as_folds_alone(settings: dict[str, Any], window: int | None) -> None:
    y, X = random_arrays(1, 300, 8, 3)
    punch_holes(np.random.default_rng(0), y, X, 0.1, ragged=True)
    panel = panel_of(y, X, horizon=2)
    panel.groups["side"] = ["a", "b"] * 4
    folds = WalkForward(first=100, test=30, window=window).split(panel.dates, 2)
    together = replace(panel, shared=shared_by(folds, panel))
    model = Regression(**settings)
    for fold in folds:
        alone, shared = (model.fit(one, fold.train) for one in (panel, together))
        close(shared.params, alone.params, "estimates", rel=REL)
        for name in ("estimate", "std_error", "p_value"):
            close(shared.coefficients[name], alone.coefficients[name], name, rel=REL)
        close(
            model.fit_to_forecast(together, fold.train).params,
            alone.params,
            "estimates alone",
            rel=REL,
        )
        close(shared.quality["r2"], alone.quality["r2"], "r2", rel=REL)


@pytest.mark.parametrize("regressors", [None, ["x0", "x2"]])
@pytest.mark.parametrize("constant", [True, False])
def test_splits_that_test_the_same_rows_forecast_as_each_alone(
    regressors: list[str] | None, constant: bool
) -> None:
    y, X = random_arrays(1, 90, 5, 3)
    punch_holes(np.random.default_rng(0), y, X, 0.1, ragged=True)
    panel = panel_of(y, X)
    if regressors is not None:
        regressors = [panel.names[0], panel.names[2]]
    folds = Combinatorial(groups=5, test_groups=2).split(panel.dates, 0)
    model = Regression(by=None, regressors=regressors, constant=constant)
    found = [np.full((len(fold.test), 5), np.nan) for fold in folds]
    for number, rows, values in model.forecasts(panel, folds):
        found[number][np.searchsorted(folds[number].test, rows)] = values
    for of_fold, fold in zip(found, folds, strict=True):
        np.testing.assert_allclose(of_fold, model.forecast(panel, fold), rtol=REL, atol=REL)


def test_the_panel_is_summed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.panels.numbers import cube as module

    y, X = random_arrays(2, 300, 5, 3)
    panel = panel_of(y, X)
    folds = WalkForward(first=100, test=20).split(panel.dates, 0)
    summed = []
    real = module.moments
    monkeypatch.setattr(
        module, "moments", lambda X, *more, **keys: summed.append(len(X)) or real(X, *more, **keys)
    )
    together = replace(panel, shared=shared_by(folds, panel))
    for fold in folds:
        Regression(by=None).fit(together, fold.train)
    assert sum(summed) == 300


def test_rows_that_are_no_whole_segments_are_summed_by_themselves() -> None:
    y, X = random_arrays(3, 200, 5, 3)
    panel = panel_of(y, X)
    shared = shared_by(WalkForward(first=100, test=20).split(panel.dates, 0), panel)
    rows = np.arange(17, 93)
    a, b = (Regression(by=None).fit(one, rows) for one in (panel, replace(panel, shared=shared)))
    np.testing.assert_array_equal(a.params, b.params)
    assert shared is not None and not shared.store


def test_another_panel_is_not_given_the_sums_of_this_one() -> None:
    y, X = random_arrays(4, 200, 5, 3)
    panel = panel_of(y, X)
    folds = WalkForward(first=100, test=20).split(panel.dates, 0)
    together = replace(panel, shared=shared_by(folds, panel))
    Regression(by=None).fit(together, folds[0].train)
    for changed in (
        {"y": y + X[:, :, 0]},
        {"X": X * 2.0},
        {"valid": panel.valid & (np.arange(5) < 4)},
    ):
        alone, kept = replace(panel, **changed), replace(together, **changed)
        for fold in folds:
            a, b = (Regression(by=None).fit(one, fold.train) for one in (alone, kept))
            np.testing.assert_array_equal(a.params, b.params)


@pytest.mark.parametrize("regressors", [None, ["x2"], ["x2", "x0"]], ids=str)
def test_dates_have_their_influence_from_shared_moments(
    regressors: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    y, X = random_arrays(4, 300, 8, 3)
    punch_holes(np.random.default_rng(4), y, X, 0.1, ragged=True)
    panel = panel_of(y + 3.0, 100.0 + X)
    model = Regression(by=None, regressors=regressors, cov="cluster", clusters=["date"])
    from_cells = influence_of(panel, model, model.fit(panel))
    folds = WalkForward(first=100, test=20).split(panel.dates, 0)
    together = replace(panel, shared=shared_by(folds, panel))
    fit = model.fit(together)
    with monkeypatch.context() as not_read:
        not_read.setattr(influence, "_from_cells", None)
        from_moments = influence_of(together, model, fit)
    for of_dates in ("series", "contributions"):
        found, expected = (getattr(each, of_dates) for each in (from_moments, from_cells))
        assert list(found) == list(expected) and found.index.equals(expected.index)
        for term in expected:
            values = expected[term].to_numpy()
            largest = np.abs(values).max()
            np.testing.assert_allclose(found[term], values, rtol=0.0, atol=REL * largest)
    assert from_moments.doubts == from_cells.doubts
