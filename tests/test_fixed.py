"""Forecasts with given weights: nothing is estimated, and what they are worth is that of a plain sum."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import panel_of, punch_holes, random_arrays
from sklearn.metrics import mean_squared_error, r2_score

from runner.errors import DataError, EstimationError
from runner.models.fit import COEFFICIENTS, DIAGNOSTICS, QUALITY
from runner.models.fixed import Fixed

REL = 1e-10  # a sum of three products in another order
SIMULATED = (
    "experiment=none",
    "data=simulated",
    "data.assets=3",
    "data.rows=300",
    "features=premia",
)


@pytest.fixture
def panel():
    y, X = random_arrays(5, 60, 4, 3)
    punch_holes(np.random.default_rng(5), y, X, 0.1, ragged=True)
    return panel_of(y, X)


def test_the_forecast_is_the_constant_and_the_weighted_sum(panel) -> None:
    model, rows = Fixed({"x2": 0.7, "x0": -0.3}, constant=0.25), np.arange(10, 50)
    fit = model.fit(panel, rows)
    values = model.predict(fit, panel)
    expected = 0.25 + 0.7 * panel.X[:, :, 2] - 0.3 * panel.X[:, :, 0]
    np.testing.assert_allclose(values, expected, rtol=REL)
    use = panel.valid[rows]
    y, forecast = panel.y[rows][use], expected[rows][use]
    [row] = fit.quality.itertuples()
    assert (row.scope, row.unit, row.n_obs, row.reason) == ("pooled", "all", use.sum(), "")
    assert row.r2 == pytest.approx(r2_score(y, forecast), rel=REL)
    assert row.residual_std == pytest.approx(np.sqrt(mean_squared_error(y, forecast)), rel=REL)


def test_a_feature_without_a_weight_may_be_missing_and_one_with_a_weight_may_not(panel) -> None:
    X = panel.X.copy()
    X[3, 1, 0], X[4, 1, 2], X[5, 1, 1] = np.nan, np.nan, np.nan
    there = np.isfinite(X[:, :, 2])
    model, panel = Fixed({"x2": 1.0}), panel_of(panel.y, X)
    values = model.predict(model.fit(panel, np.arange(60)), panel)
    np.testing.assert_array_equal(np.isfinite(values), there)
    np.testing.assert_array_equal(values[there], X[:, :, 2][there])


def test_the_tables_have_the_weights_and_no_errors(panel) -> None:
    model = Fixed({"x1": 2.0, "x0": 0.0}, constant=-1.0)
    fit = model.fit(panel, np.arange(60))
    assert list(fit.coefficients.columns) == ["scope", "unit", *COEFFICIENTS]
    assert list(fit.quality.columns) == ["scope", "unit", *QUALITY]
    assert fit.coefficients["term"].tolist() == model.terms(panel.names) == ["const", "x1", "x0"]
    assert fit.coefficients["estimate"].tolist() == [-1.0, 2.0, 0.0]
    assert fit.coefficients[COEFFICIENTS[2:]].isna().all().all()
    assert fit.params.tolist() == [[-1.0, 2.0, 0.0]] * 4
    assert fit.errors == "none, weights are given"
    diagnostics = model.diagnose(fit, panel, np.arange(60))
    assert diagnostics.empty and list(diagnostics.columns) == ["scope", "unit", *DIAGNOSTICS]


def test_it_does_not_look_at_the_rows(panel) -> None:
    model = Fixed({"x0": 1.0}, constant=0.5)
    few, all_rows = (
        model.predict(model.fit(panel, rows), panel) for rows in (np.arange(20, 40), np.arange(60))
    )
    np.testing.assert_array_equal(few, all_rows)


def test_a_worse_forecast_than_the_mean_has_an_r2_below_zero_and_no_weight_is_the_constant(
    panel,
) -> None:
    assert Fixed({"x0": 100.0}).fit(panel, np.arange(60)).quality["r2"].iloc[0] < 0.0
    for model in (Fixed(), Fixed(constant=0.3), Fixed({}, constant=0.3)):
        values = model.predict(model.fit(panel, np.arange(60)), panel)
        assert (values == model.constant).all()


def test_unknown_names_and_numbers_that_are_none() -> None:
    assert Fixed({"vol_12": 1.0, "vol_5": 1.0}).mistakes(["vol_5", "vol_21"]) == [
        "weights: 'vol_12' is unknown; allowed: vol_5, vol_21; did you mean 'vol_21'?"
    ]
    with pytest.raises(
        ValueError, match=r"constant: given nan; .*\nweights.a: given inf; allowed: a finite number"
    ):
        Fixed({"a": float("inf")}, constant=float("nan"))


def test_nothing_to_judge_is_said() -> None:
    y, X = random_arrays(1, 20, 2, 1)
    y[:5] = np.nan
    panel = panel_of(y, X)
    with pytest.raises(DataError, match="no observation of these rows"):
        Fixed({"x0": 1.0}).fit(panel, np.arange(5))
    with pytest.raises(EstimationError, match="does not vary on 20 rows"):
        Fixed({"x0": 1.0}).fit(panel_of(np.full((10, 2), 0.1), X[:10]), np.arange(10))


def test_a_run_shows_the_weights(cli) -> None:
    run = cli(
        *SIMULATED,
        "model=fixed",
        "model.weights={mom_1m: 0.7, beta: 0.001}",
        "model.constant=0.001",
        "report=tables",
    )
    assert run.code == 0, run.err
    table = run.table("coefficients")
    assert table["term"].tolist() == ["const", "mom_1m", "beta"]
    assert table["estimate"].tolist() == [0.001, 0.7, 0.001]
    assert run.metrics["fit/r2"] == run.table("quality")["r2"].iloc[0] < 0
    assert "weights are given" in run.out


def test_one_feature_scored_out_of_sample(cli) -> None:
    held_out = ("validation=holdout", "validation.train_end=2015-10-01", "report=tables")
    run = cli(
        *SIMULATED, "features=market", "model=fixed", "model.weights={market_ret: 1}", *held_out
    )
    assert run.code == 0, run.err
    assert run.metrics["oos/r2"] > 0.0


def test_mistakes_are_a_line_each(cli) -> None:
    run = cli(*SIMULATED, "model=fixed", "model.weights={mom: 1}")
    assert run.code == 2
    allowed = "mom_1m, volume_surprise, volatility, beta"
    assert run.errors == [
        f"error: model.weights: 'mom' is unknown; allowed: {allowed}" + "; did you mean 'mom_1m'?"
    ]
    run = cli(*SIMULATED, "model=fixed", "model.weights={mom_1m: one}", "model.constant=much")
    assert run.code == 2
    assert run.errors == [
        "error: model.weights.mom_1m: given 'one'; allowed: a number",
        "error: model.constant: given 'much'; allowed: a number",
    ]
