"""Regressions that refit at every row: least squares by other programs, windows that know only the past, and S9."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import SHARED
from minutes import bars, written
from oracles import REL, close, panel_of, random_arrays
from sklearn.linear_model import LinearRegression

from runner.analyses.forecasts.forecast_fit import forecast_fit
from runner.cli.composition import Composer
from runner.errors import DataError
from runner.experiment.run import run
from runner.models.moving.cross_asset import CrossAsset
from runner.models.moving.rolling import Rolling, least_squares
from runner.panels.panel import Panel
from runner.progress import listening, tracked
from runner.validation.cross_validation import KFold
from runner.validation.folds import Fold

MINUTES = SHARED / "us_minute_2019-12-18_19.parquet"
KNOWN = {
    "asset_r2": 0.027700,
    "asset_r2_adj": 0.024953,
    "date_r2": 0.012937,
    "date_r2_adj": 0.009545,
}
PRINTED = (
    1e-6  # absolute: the known answers are given to six decimals, of which half a unit is rounding
)
# Relative: normal equations of correlations whose eigenvalues reach CONDITION lose six digits, of fifteen and a half.
NORMAL = 1e-8


def panel(T: int = 40, N: int = 5, horizon: int = 1, seed: int = 0) -> Panel:
    return panel_of(*random_arrays(seed, T, N, 2), horizon=horizon)


def after(first: int, T: int) -> Fold:
    """Test every row from `first` on."""
    return Fold("1", np.arange(first), np.arange(first, T), np.empty(0, dtype=int))


def slow(made: Panel, window: int, t: int, i: int) -> float:
    """One forecast by scikit-learn on the rows whose target is known at t."""
    rows = np.arange(t - made.horizon - window + 1, t - made.horizon + 1)
    fit = LinearRegression().fit(made.X[rows, i], made.y[rows, i])
    return float(fit.predict(made.X[[t], i])[0])


@pytest.mark.parametrize("horizon", [1, 3])
def test_forecasts_are_those_of_a_regression_on_each_window(horizon: int) -> None:
    made = panel(horizon=horizon)
    found = Rolling(window=12).forecast(made, after(15, 40))
    expected = [[slow(made, 12, t, i) for i in range(5)] for t in range(15, 40)]
    close(found, expected, "forecasts", rel=NORMAL, floor=1e-10)


@pytest.mark.parametrize("model", [Rolling(window=18), CrossAsset(window=20, penalties=5)])
@pytest.mark.parametrize("horizon", [1, 2])
def test_a_forecast_moves_with_nothing_that_is_not_known_yet(model: Any, horizon: int) -> None:
    made = panel(horizon=horizon)
    first = model.forecast(made, after(24, 40))
    for t in (24, 31):
        later = replace(made, y=made.y.copy(), X=made.X.copy())
        later.y[t - horizon + 1 :] *= -3.0
        later.X[t + 1 :] += 1.0
        second = model.forecast(later, after(24, 40))
        np.testing.assert_array_equal(second[: t - 23], first[: t - 23])
        assert (second[t - 22] != first[t - 22]).any()
        newest = replace(made, y=made.y.copy())
        newest.y[t - horizon] += 5.0  # the last target that is known at t
        assert (model.forecast(newest, after(24, 40))[t - 24] != first[t - 24]).all()


def test_what_a_fold_purges_is_used_once_it_is_known() -> None:
    """The rows before a test row are the same whether the fold starts there or before."""
    made = panel()
    whole = Rolling(window=12).forecast(made, after(15, 40))
    np.testing.assert_array_equal(Rolling(window=12).forecast(made, after(25, 40)), whole[10:])


@pytest.mark.parametrize("model", [Rolling(window=18), CrossAsset(window=20, penalties=5)])
def test_windows_stay_in_their_session(model: Any) -> None:
    made = replace(panel(60), sessions=np.repeat([0, 1], 30))
    found = model.forecast(made, after(5, 60))
    known = np.isfinite(found).all(axis=1)
    first = (
        model.window
    )  # row of a session with a full window before it; rows of `found` count from 5
    assert (5 + np.flatnonzero(known)).tolist() == [*range(first, 30), *range(30 + first, 60)]
    alone = model.forecast(made.at(np.arange(30, 60)), after(first, 30))
    np.testing.assert_array_equal(found[25 + first :], alone)


def test_a_missing_row_in_the_window_gives_no_forecast() -> None:
    made = panel()
    made.y[20, 1] = np.nan
    made.X[22, 2, 0] = np.nan
    made = replace(made, valid=np.isfinite(made.y) & np.isfinite(made.X).all(axis=2))
    found = Rolling(window=12).forecast(made, after(15, 40))
    lost = {
        1: range(21, 33),
        2: range(22, 35),
    }  # a target misses in windows only, a feature on its own row too
    for i in range(5):
        assert (15 + np.flatnonzero(np.isnan(found[:, i]))).tolist() == list(lost.get(i, []))


def test_collinear_and_constant_columns_take_the_least_slopes() -> None:
    """As numpy's least squares on columns of unit length; a constant column has no slope."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(6, 12, 3)), rng.normal(size=(6, 12))
    X[1, :, 1] = 7.3
    X[2, :, 2] = 2.0 * X[2, :, 0]
    X[3] = 0.0
    X[4, :, 1] = X[4, :, 0] + 1e-4 * X[4, :, 1]
    X[5] *= [1e-8, 1.0, 1e8]
    constants, slopes = least_squares(X, y)
    for n in range(6):
        about = X[n] - X[n].mean(axis=0)
        about[:, np.ptp(X[n], axis=0) == 0.0] = 0.0
        length = np.linalg.norm(about, axis=0)
        length[length == 0.0] = 1.0
        b = np.linalg.lstsq(about / length, y[n] - y[n].mean(), rcond=1e-9)[0] / length
        close(slopes[n], b, f"slopes of {n}", rel=NORMAL)
        close(constants[n], y[n].mean() - X[n].mean(axis=0) @ b, f"constant of {n}", rel=NORMAL)
    assert slopes[1, 1] == 0.0


def test_the_fit_is_that_of_the_last_window() -> None:
    made = panel()
    found = Rolling(window=12).fit(made, np.arange(40))
    for i in range(5):
        fit = LinearRegression().fit(made.X[28:, i], made.y[28:, i])
        close(found.params[i], [fit.intercept_, *fit.coef_], "estimates", rel=NORMAL)
    expected = found.params[:, 0] + np.einsum("tnk,nk->tn", made.X, found.params[:, 1:])
    close(Rolling(window=12).predict(found, made), expected, "fitted", rel=REL)
    assert "on the last window of 12 rows" in found.errors


def test_a_fold_that_trains_on_what_came_later_is_refused() -> None:
    made = panel()
    [fold, *_] = KFold(folds=3).split(made.dates, 1)
    with pytest.raises(DataError, match="trains on rows after its test rows"):
        Rolling(window=12).forecast(made, fold)


def test_too_few_rows_for_any_window() -> None:
    with pytest.raises(DataError, match=r"no test row has model\.window=12 rows before it$"):
        Rolling(window=12).forecast(panel(10), after(5, 10))
    with pytest.raises(DataError, match="rows before it in its session"):
        Rolling(window=12).forecast(
            replace(panel(20), sessions=np.repeat([0, 1], 10)), after(5, 20)
        )


def test_a_window_needs_more_rows_than_terms() -> None:
    assert Rolling(window=4).mistakes(["a", "b", "c"]) == [
        "window: given 4 with 4 terms; allowed: from 5"
    ]
    assert Rolling(window=5).mistakes(["a", "b", "c"]) == []


def test_progress_is_told_to_whoever_listens() -> None:
    told: list[tuple[str, int, int]] = []
    with listening(lambda *one: told.append(one)):
        Rolling(window=12).forecast(panel(16), after(13, 16))
    assert told == [("rows forecast, refitting at each", k, 3) for k in (1, 2, 3)]
    assert list(tracked([5, 6], "of nobody")) == [5, 6]
    assert len(told) == 3


@pytest.mark.skipif(not MINUTES.is_file(), reason=f"needs {MINUTES}")
def test_the_known_answers_of_s9() -> None:
    words = [
        "experiment=minute_fit",
        "data=minute",
        f"data.path={MINUTES}",
        "data.end=2019-12-18",
        "audit=off",
    ]
    report = run(Composer().job(words).experiment)
    found = report.findings["forecast_fit"]
    for name, value in KNOWN.items():
        close(found.metrics[f"full/model/{name}"], value, name, rel=0.0, floor=PRINTED)
    means = found.table[(found.table["unit"] == "all") & (found.table["z"] == "full")].set_index(
        "over"
    )
    assert means["units"].to_dict() == {"asset": 293, "date": 356}
    close(means["r2_adj_literal"], means["r2"], "with k = 1", rel=REL)


def test_the_experiment_on_simulated_minutes(tmp_path: Any) -> None:
    """Prices only: the first minute of a session has no return, so that forecasts start a minute later."""
    path = written(bars(1, 50, 4), tmp_path)
    words = [
        "experiment=minute_fit",
        "data=minute",
        f"data.path={path}",
        "data.session=09:31-10:20",
    ]
    report = run(
        Composer().job([*words, "data.columns.ret=null", "data.columns.close=close"]).experiment
    )
    assert f"{report.predictions['date'].min():%H:%M}" == "10:04"
    assert forecast_fit.__name__ in report.findings
