"""Scores against scikit-learn and closed forms; what is not defined is not a number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK
from sklearn import metrics

from runner.scores import SCORES, hit_rate, mae, r2_against, rmse, score


def table(n: int = 200, seed: int = 0, assets: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    y = rng.normal(0.001, 0.02, n)
    return pd.DataFrame(
        {
            "date": pd.bdate_range("2020-01-01", periods=n),
            "asset": np.array(["B", "A", "C"])[rng.integers(0, assets, n)],
            "fold": "holdout",
            "y": y,
            "prediction": 0.3 * y + rng.normal(0, 0.01, n),
            "benchmark": rng.normal(0, 0.001, n),
        }
    )


def pooled(rows: pd.DataFrame) -> pd.Series:
    found = score(rows)
    return found[found["scope"] == "pooled"].iloc[0]


@given(st.integers(2, 300), st.integers(0, 10_000))
@QUICK
def test_scores_of_scikit_learn(n: int, seed: int) -> None:
    rows = table(n, seed)
    y, prediction, benchmark = rows["y"], rows["prediction"], rows["benchmark"]
    found = pooled(rows)
    assert found["n_obs"] == n
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, prediction), rel=1e-12)
    assert found["rmse_naive"] == pytest.approx(metrics.root_mean_squared_error(y, benchmark), rel=1e-12)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, prediction), rel=1e-12)
    assert found["mae_naive"] == pytest.approx(metrics.mean_absolute_error(y, benchmark), rel=1e-12)
    assert found["r2_test_mean"] == pytest.approx(metrics.r2_score(y, prediction), rel=1e-10, abs=1e-12)
    # against another benchmark: that of the rows less the benchmark, around zero
    assert found["r2"] == pytest.approx(1 - (found["rmse"] / found["rmse_naive"]) ** 2, rel=1e-10, abs=1e-12)
    assert found["r2_zero"] == pytest.approx(1 - found["rmse"] ** 2 / np.mean(y**2), rel=1e-10, abs=1e-12)
    assert found["hit_rate"] == pytest.approx(metrics.accuracy_score(y > 0, prediction > 0), rel=1e-12)
    assert found["hit_rate_naive"] == pytest.approx(metrics.accuracy_score(y > 0, benchmark > 0), rel=1e-12)


def test_scores_by_hand() -> None:
    y, p, b = np.array([1.0, -2.0, 3.0, 0.0]), np.array([0.0, -1.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0])
    assert r2_against(y, p, b) == pytest.approx(1 - 6 / 14)
    assert r2_against(y, p, 0.0) == pytest.approx(1 - 6 / 14)
    assert r2_against(y, p, y.mean()) == pytest.approx(1 - 6 / 13)
    assert rmse(y, p) == pytest.approx(np.sqrt(1.5))
    assert mae(y, p) == 1.0
    assert hit_rate(y, p) == 0.75  # 1 against 0 is no hit, 0 against 0 is
    assert np.isnan(hit_rate(np.array([0.0, 1.0]), np.array([0.4, 0.6])))  # the sign of a class says nothing


def test_the_best_and_the_naive_forecast() -> None:
    rows = table()
    perfect = pooled(rows.assign(prediction=rows["y"]))
    assert (perfect["r2"], perfect["rmse"], perfect["mae"], perfect["hit_rate"]) == (1.0, 0.0, 0.0, 1.0)
    naive = pooled(rows.assign(prediction=rows["benchmark"]))
    assert naive["r2"] == 0.0
    assert naive["rmse"] == naive["rmse_naive"] and naive["hit_rate"] == naive["hit_rate_naive"]


def test_the_worse_the_forecast_the_more_negative() -> None:
    rows = table()
    assert pooled(rows.assign(prediction=-rows["y"]))["r2"] < -1.0


def test_a_row_per_asset_in_order_of_appearance_and_one_over_all() -> None:
    rows = table().sort_values("asset", ascending=False, kind="stable")
    found = score(rows)
    assert found["unit"].tolist() == ["C", "B", "A", "all"]
    assert found["scope"].tolist() == ["asset"] * 3 + ["pooled"]
    assert list(found.columns) == ["scope", "unit", "n_obs", *SCORES]
    for name, part in rows.groupby("asset"):
        one = found.set_index("unit").loc[name]
        assert one["n_obs"] == len(part)
        assert one["r2_test_mean"] == pytest.approx(metrics.r2_score(part["y"], part["prediction"]), rel=1e-10)
        assert one["rmse"] == pytest.approx(metrics.root_mean_squared_error(part["y"], part["prediction"]), rel=1e-12)
    assert found["n_obs"].iloc[-1] == len(rows) == found["n_obs"].iloc[:-1].sum()


def test_categories_without_rows_have_no_row() -> None:
    rows = table(assets=2)
    rows["asset"] = pd.Categorical(rows["asset"], categories=["A", "B", "C"])
    assert sorted(score(rows)["unit"]) == ["A", "B", "all"]


def test_no_predictions_have_no_scores() -> None:
    found = score(table().iloc[:0])
    assert found.empty
    assert list(found.columns) == ["scope", "unit", "n_obs", *SCORES]


@pytest.mark.parametrize("constant", [0.0, 0.1, -1 / 3, 1e-9, 1e9])
@pytest.mark.parametrize("n", [1, 3, 7, 1000])
def test_a_constant_target_has_no_r2(constant: float, n: int) -> None:
    """Its mean is off by rounding, and 1 - SSE / rounding would be a huge number of no meaning."""
    rows = table(n, assets=1).assign(y=constant, benchmark=constant)
    for prediction in (rows["prediction"], rows["y"], rows["y"] + 1e-9):
        found = pooled(rows.assign(prediction=prediction))
        assert np.isnan(found["r2"]) and np.isnan(found["r2_test_mean"])
        assert np.isnan(found["r2_zero"]) == (constant == 0.0)
        assert np.isfinite(found[["rmse", "mae", "hit_rate"]].astype(float)).all()


def test_a_small_but_real_variance_has_an_r2() -> None:
    rng = np.random.default_rng(0)
    for scale in (1e-12, 1e-160 ** (1 / 2), 1e12):
        y = rng.normal(0, scale, 50)
        assert r2_against(y, 0.5 * y, 0.0) == pytest.approx(0.75)
    y = 1e6 + rng.normal(0, 1.0, 50)  # a level: its mean takes nearly all of the sum of squares
    assert r2_against(y, y.mean() + 0.5 * (y - y.mean()), y.mean()) == pytest.approx(0.75, rel=1e-6)


def test_a_benchmark_that_is_not_known_gives_no_number() -> None:
    found = pooled(table().assign(benchmark=np.nan))
    assert np.isnan(found["r2"]) and np.isnan(found["rmse_naive"]) and np.isnan(found["mae_naive"])
    assert np.isfinite(found["rmse"]) and np.isfinite(found["r2_zero"])
    assert np.isnan(found["hit_rate_naive"])
