"""LASSO over the features of all assets: scikit-learn's LassoCV on the same folds and penalties, fit by fit."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracles import close, panel_of
from sklearn.linear_model import LassoCV

from runner.cli.composition import Composer
from runner.errors import DataError, EstimationError
from runner.estimators.penalised.cross_validated import choose
from runner.experiment.run import run
from runner.models.moving.cross_asset import CrossAsset
from runner.panels.panel import Panel
from runner.validation.cross_validation import KFold
from runner.validation.folds import Fold

# Of the oracle: coordinate descent stops at this relative duality gap, whose root bounds how far a forecast is off.
GAP, FORECAST = 1e-12, 1e-6
PENALTY = 1e-9  # relative: both grids are logarithms of the same two ends
T, N, LAGS, WINDOW = 38, 8, 3, 30


def minutes(seed: int = 0, zeros: float = 0.3) -> Panel:
    """Returns, a part of them zero, on the last three of all assets; asset 1 follows asset 0 by a row."""
    rng = np.random.default_rng(seed)
    ret = np.where(
        rng.random((T + LAGS, N)) < zeros, 0.0, 1e-3 * rng.standard_t(4, size=(T + LAGS, N))
    )
    ret[1:, 1] = 0.8 * ret[:-1, 0] + 0.3 * ret[1:, 1]
    X = np.stack([ret[LAGS - 1 - lag : T + LAGS - 1 - lag] for lag in range(LAGS)], axis=2)
    return panel_of(ret[LAGS:], X, horizon=1)


def oracle(
    X: np.ndarray, y: np.ndarray, parts: Any, penalties: int, standardise: bool
) -> tuple[LassoCV, np.ndarray]:
    spread = X.std(axis=0)
    scale = np.where((spread > 0.0) & standardise, spread, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # of targets that do not vary, and of paths that it has not ended
        return LassoCV(alphas=penalties, cv=parts, tol=GAP, max_iter=200_000).fit(
            X / scale, 1e3 * y
        ), scale


def after(first: int) -> Fold:
    return Fold("1", np.arange(first), np.arange(first, T), np.empty(0, dtype=int))


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("folds", [None, KFold(folds=4, purge=0)])
def test_each_forecast_is_that_of_lassocv(standardise: bool, folds: Any) -> None:
    made = minutes()
    model = CrossAsset(window=WINDOW, penalties=20, standardise=standardise, folds=folds)
    found, X = model.forecast(made, after(31)), made.X.reshape(T, -1)
    for t in (31, 37):
        rows = np.arange(t - WINDOW, t)
        for i in range(0, N, 2):
            fit, scale = oracle(X[rows], made.y[rows, i], model.parts(made, rows), 20, standardise)
            close(
                found[t - 31, i],
                fit.predict(X[[t]] / scale)[0] / 1e3,
                f"{t} {i}",
                rel=FORECAST,
                floor=1e-10,
            )


def test_slopes_penalties_and_objectives_are_those_of_lassocv() -> None:
    made = minutes(1)
    model, rows, X = (
        CrossAsset(window=WINDOW, penalties=20),
        np.arange(WINDOW),
        made.X.reshape(T, -1)[:WINDOW],
    )
    parts = model.parts(made, rows)
    found = choose(X, made.y[rows].T, X[:1], parts, 20, standardise=True, slopes=True)
    assert (found.terms == (found.slopes != 0.0).sum(axis=1)).all()
    assert 0 < found.terms.mean() < 20
    for i in range(N):
        fit, scale = oracle(X, made.y[rows, i], parts, 20, True)
        close(found.penalty[i] * 1e3, fit.alpha_, "penalty", rel=PENALTY)
        slopes = fit.coef_ / scale / 1e3
        close(
            found.slopes[i],
            slopes,
            "slopes",
            rel=0.0,
            floor=FORECAST * max(np.abs(slopes).max(), 1e-6),
        )
        close(found.constant[i], fit.intercept_ / 1e3, "constant", rel=FORECAST, floor=1e-9)

        def objective(b: np.ndarray, a: float, i: int = i, scale: np.ndarray = scale) -> float:
            loss = np.sum((made.y[rows, i] - a - X @ b) ** 2) / (2 * WINDOW)
            return float(loss + found.penalty[i] * np.abs(b * scale).sum())

        assert objective(found.slopes[i], found.constant[i]) <= objective(
            slopes, fit.intercept_ / 1e3
        ) * (1 + 1e-12)


def test_the_one_standard_error_rule() -> None:
    """On the errors of LassoCV, fold by fold; with two folds a wrong ddof moves it most."""
    made = minutes(2, zeros=0.0)
    rows, X = np.arange(WINDOW), made.X.reshape(T, -1)[:WINDOW]
    parts = CrossAsset(window=WINDOW, folds=KFold(folds=2, purge=0)).parts(made, rows)
    found = choose(X, made.y[rows].T, X[:1], parts, 60, choice="one_se", standardise=True)
    larger = 0
    for i in range(N):
        fit, _ = oracle(X, made.y[rows, i], parts, 60, True)
        mean, se = (
            fit.mse_path_.mean(axis=1),
            fit.mse_path_.std(axis=1, ddof=1) / np.sqrt(len(parts)),
        )
        at = int((mean <= mean[mean.argmin()] + se[mean.argmin()]).argmax())
        close(found.penalty[i] * 1e3, fit.alphas_[at], "penalty", rel=PENALTY)
        larger += at < mean.argmin()
    assert larger


def test_a_planted_signal_of_another_asset_is_found() -> None:
    made = minutes(zeros=0.0)
    finding = CrossAsset(window=WINDOW).fit(made, np.arange(T)).findings["signals"]
    kept = finding.table[finding.table["asset"] == "A1"]
    assert kept.loc[kept["slope"].abs().idxmax(), "candidate"] == "x0 of A0"
    assert finding.metrics["candidates"] == N * LAGS
    assert f"of {N * LAGS} candidates" in finding.words[0]


def test_the_fit_forecasts_as_the_walk_does() -> None:
    """The fit on rows up to 34 is what forecasts row 35."""
    made, model = minutes(), CrossAsset(window=WINDOW, penalties=20)
    fitted = model.predict(model.fit(made, np.arange(35)), made)
    close(fitted[35], model.forecast(made, after(35))[0], "forecast", floor=1e-12)


def test_a_candidate_with_a_missing_cell_is_left_out_of_that_window() -> None:
    made, model = minutes(), CrossAsset(window=WINDOW, penalties=20)
    X = made.X.copy()
    X[34, 0, 0] = np.nan
    found = model.forecast(replace(made, X=X), after(31))
    whole = model.forecast(made, after(31))
    np.testing.assert_array_equal(found[:3], whole[:3])  # rows before 34
    assert np.isfinite(found).all()
    assert (found[3:] != whole[3:]).any()
    made.X[:, 0, 0] = 0.0  # a constant candidate is never chosen
    close(found[3:], model.forecast(made, after(31))[3:], "without it", rel=1e-7, floor=1e-12)


def test_an_asset_with_a_missing_target_has_no_forecast_there() -> None:
    made, model = minutes(), CrossAsset(window=WINDOW, penalties=10)
    made.y[33, 2] = np.nan
    made = replace(made, valid=np.isfinite(made.y))
    found = model.forecast(made, after(31))
    assert np.flatnonzero(np.isnan(found[:, 2])).tolist() == [3, 4, 5, 6]
    assert np.isfinite(np.delete(found, 2, axis=1)).all()
    quality = model.fit(made, np.arange(T)).quality
    assert quality["reason"].tolist()[2] == "a missing target in the last window of 30 rows"
    assert quality["r2"].notna().sum() == N - 1


def test_a_target_that_does_not_vary_is_forecast_by_itself() -> None:
    made, model = minutes(), CrossAsset(window=WINDOW, penalties=10)
    made.y[:, 3] = 0.25
    assert (model.forecast(made, after(31))[:, 3] == 0.25).all()
    quality = model.fit(made, np.arange(T)).quality
    assert quality["reason"].tolist() == ["", "", "", "the target is constant", "", "", "", ""]
    assert np.isnan(quality["r2"][3])
    assert quality["r2"].drop(3).between(0.0, 1.0).all()


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="window: given 17 with folds=null; allowed: from 18"):
        CrossAsset(window=17)
    assert CrossAsset().mistakes([]) == [
        "_target_: CrossAsset needs candidates; features: none are given"
    ]
    model = CrossAsset(window=WINDOW, folds=KFold(folds=40))
    with pytest.raises(
        DataError, match=r"model\.folds: .*40 parts of fewer rows.*in a window of 30 rows"
    ):
        model.forecast(minutes(), after(31))


@pytest.mark.parametrize("rows", [2, 5])
def test_fewer_rows_than_folds_take_are_refused(rows: int) -> None:
    model = CrossAsset(window=WINDOW, penalties=20)
    with pytest.raises(DataError, match=r"model.folds: .* allowed: folds that have"):
        model.parts(minutes(), np.arange(rows))


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_columns_whose_products_do_not_fit_a_number_are_refused(size: float) -> None:
    made = minutes()
    made.X[:, 0, 0] *= size
    model = CrossAsset(window=WINDOW, penalties=20)
    with pytest.raises(EstimationError, match=r"a candidate is of size .* allowed: 1e-70 to 1e"):
        model.forecast(made, after(31))


def test_the_experiment_tells_both_forecasts() -> None:
    words = [
        "experiment=sparse_signals",
        "data.rows=70",
        "data.assets=5",
        "model.penalties=10",
        "audit=off",
    ]
    report = run(Composer().job([*words, "analyses.forecast_fit.least=10"]).experiment)
    table = report.findings["forecast_fit"].table
    assert set(table["forecast"]) == {"model", "against", "both"}
    assert report.findings["signals"].words
