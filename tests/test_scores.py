"""Scores against scikit-learn, scipy, statsmodels and closed forms; what is not defined is not a number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK
from scipy import stats
from scipy.signal import lfilter
from sklearn import metrics

from runner.numerics import cross_section
from runner.numerics.covariance import default_lags
from runner.numerics.cross_section import MANY, average, rank_correlations, ranks
from runner.validation import scores
from runner.validation.scores import (
    COLUMNS,
    LOGGED,
    LOGGED_HOLD_OUT,
    OF_ONE_PATH,
    SCORES,
    TESTS,
    correlation,
    hit_rate,
    logged,
    mae,
    mape,
    qlike,
    r2_against,
    rmse,
    row_of,
    score,
)


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
    assert found["rmse_naive"] == pytest.approx(
        metrics.root_mean_squared_error(y, benchmark), rel=1e-12
    )
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, prediction), rel=1e-12)
    assert found["mae_naive"] == pytest.approx(metrics.mean_absolute_error(y, benchmark), rel=1e-12)
    assert found["r2_test_mean"] == pytest.approx(
        metrics.r2_score(y, prediction), rel=1e-10, abs=1e-12
    )
    # against another benchmark: that of the rows less the benchmark, around zero
    assert found["r2"] == pytest.approx(
        1 - (found["rmse"] / found["rmse_naive"]) ** 2, rel=1e-10, abs=1e-12
    )
    assert found["r2_zero"] == pytest.approx(
        1 - found["rmse"] ** 2 / np.mean(y**2), rel=1e-10, abs=1e-12
    )
    assert found["hit_rate"] == pytest.approx(
        metrics.accuracy_score(y > 0, prediction > 0), rel=1e-12
    )
    assert found["hit_rate_naive"] == pytest.approx(
        metrics.accuracy_score(y > 0, benchmark > 0), rel=1e-12
    )


def test_scores_by_hand() -> None:
    y, p, b = (
        np.array([1.0, -2.0, 3.0, 0.0]),
        np.array([0.0, -1.0, 1.0, 0.0]),
        np.array([1.0, 1.0, 1.0, 1.0]),
    )
    assert r2_against(y, p, b) == pytest.approx(1 - 6 / 14)
    assert r2_against(y, p, 0.0) == pytest.approx(1 - 6 / 14)
    assert r2_against(y, p, y.mean()) == pytest.approx(1 - 6 / 13)
    assert rmse(y, p) == pytest.approx(np.sqrt(1.5))
    assert mae(y, p) == 1.0
    assert hit_rate(y, p) == 0.75  # 1 against 0 is no hit, 0 against 0 is
    assert np.isnan(
        hit_rate(np.array([0.0, 1.0]), np.array([0.4, 0.6]))
    )  # the sign of a class says nothing


def test_the_best_and_the_naive_forecast() -> None:
    rows = table()
    perfect = pooled(rows.assign(prediction=rows["y"]))
    assert (perfect["r2"], perfect["rmse"], perfect["mae"], perfect["hit_rate"]) == (
        1.0,
        0.0,
        0.0,
        1.0,
    )
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
    assert list(found.columns) == COLUMNS
    for name, part in rows.groupby("asset"):
        one = found.set_index("unit").loc[name]
        assert one["n_obs"] == len(part)
        assert one["r2_test_mean"] == pytest.approx(
            metrics.r2_score(part["y"], part["prediction"]), rel=1e-10
        )
        assert one["rmse"] == pytest.approx(
            metrics.root_mean_squared_error(part["y"], part["prediction"]), rel=1e-12
        )
    assert found["n_obs"].iloc[-1] == len(rows) == found["n_obs"].iloc[:-1].sum()


def test_categories_without_rows_have_no_row() -> None:
    rows = table(assets=2)
    rows["asset"] = pd.Categorical(rows["asset"], categories=["A", "B", "C"])
    assert sorted(score(rows)["unit"]) == ["A", "B", "all"]


def test_no_predictions_have_no_scores() -> None:
    found = score(table().iloc[:0])
    assert found.empty
    assert list(found.columns) == COLUMNS


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


# Scores of positive targets


@given(st.integers(2, 300), st.integers(0, 10_000))
@QUICK
def test_mape_qlike_and_correlation(n: int, seed: int) -> None:
    rows = table(n, seed)
    rows = rows.assign(y=np.exp(rows["y"]), prediction=np.exp(rows["prediction"]), benchmark=1.1)
    y, prediction = rows["y"], rows["prediction"]
    found = pooled(rows)
    assert found["mape"] == pytest.approx(
        metrics.mean_absolute_percentage_error(y, prediction), rel=1e-12
    )
    assert found["mape_naive"] == pytest.approx(
        metrics.mean_absolute_percentage_error(y, rows["benchmark"]), rel=1e-12
    )
    # half the gamma deviance of scikit-learn; near one both lose digits, of the order of the rounding of one
    expected = metrics.mean_gamma_deviance(y, prediction) / 2
    assert found["qlike"] == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert found["qlike_naive"] == pytest.approx(
        metrics.mean_gamma_deviance(y, rows["benchmark"]) / 2, rel=1e-9
    )
    if n > 2:
        assert found["correlation"] == pytest.approx(
            stats.pearsonr(y, prediction).statistic, rel=1e-9, abs=1e-12
        )
    assert np.isnan(found["correlation_naive"])  # of a constant


def test_they_mean_nothing_for_targets_or_forecasts_that_are_not_positive() -> None:
    one, zero = np.array([1.0, 2.0]), np.array([1.0, 0.0])
    assert np.isnan(mape(zero, one)) and np.isnan(mape(-one, one))
    assert mape(one, zero) == 0.5
    assert np.isnan(qlike(zero, one)) and np.isnan(qlike(one, zero)) and np.isnan(qlike(-one, -one))
    assert qlike(one, one) == 0.0
    assert qlike(np.array([2.0]), np.array([1.0])) == pytest.approx(2.0 - np.log(2.0) - 1.0)
    found = pooled(table())
    assert found[["mape", "mape_naive", "qlike", "qlike_naive"]].isna().all()


# Correlations over the assets of a date


def ragged(T: int = 60, N: int = 8, seed: int = 0) -> pd.DataFrame:
    """A panel with missing cells, forecasts that are tied, and dates on which nothing can be ordered."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "date": np.repeat(pd.bdate_range("2020-01-01", periods=T), N),
            "asset": np.tile([f"A{i}" for i in range(N)], T),
            "fold": "1",
            "y": rng.normal(0.01, 0.02, T * N),
            "benchmark": np.tile(rng.normal(0, 0.01, N), T),
        }
    )
    rows["prediction"] = (0.3 * rows["y"] + rng.normal(0, 0.01, T * N)).round(2)
    date = rows["date"].rank(method="dense")
    rows.loc[date == 4, "prediction"] = 0.1 + 1e-17 * np.arange(N)
    rows.loc[date == 5, "prediction"] = 0.3 * np.array(
        [1.0, 1.0 + 2e-16] * (N // 2)
    )  # the same but for rounding
    rows.loc[date == 6, "y"] = 0.0
    keep = (rng.random(T * N) > 0.25) & ~(
        (date == 7) & rows["asset"].isin([f"A{i}" for i in range(2, N)])
    )
    return rows[keep].sample(frac=1.0, random_state=seed)


def by_date(rows: pd.DataFrame, column: str, measure: object) -> np.ndarray:
    """One correlation per date, in order of time, by a loop."""
    found = []
    for number, (_, one) in enumerate(rows.groupby("date"), start=1):
        flat = number in (4, 5, 6) if column == "prediction" else number == 6
        if len(one) >= 3 and not flat:
            found.append(measure(one[column], one["y"]).statistic)  # type: ignore[operator]
    return np.array(found)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("horizon", [0, 1, 10])
def test_information_coefficients_are_those_of_scipy_date_by_date(seed: int, horizon: int) -> None:
    rows = ragged(seed=seed)
    found = score(rows, horizon).iloc[-1]
    for name, measure in (("ic", stats.pearsonr), ("rank_ic", stats.spearmanr)):
        path = by_date(rows, "prediction", measure)
        assert found[name] == pytest.approx(path.mean(), rel=1e-10, abs=1e-12)
        assert found[f"{name}_naive"] == pytest.approx(
            by_date(rows, "benchmark", measure).mean(), rel=1e-9, abs=1e-12
        )
        assert found[f"{name}_t"] == pytest.approx(stats.ttest_1samp(path, 0.0).statistic, rel=1e-9)
        assert found[f"{name}_ratio"] == pytest.approx(path.mean() / path.std(ddof=1), rel=1e-9)
        lags = default_lags(len(path), horizon)
        assert lags >= horizon - 1
        keywords = {"maxlags": lags, "use_correction": False}
        fit = sm.OLS(path, np.ones(len(path))).fit(cov_type="HAC", cov_kwds=keywords)
        assert found[f"{name}_t_nw"] == pytest.approx(fit.tvalues[0], rel=1e-9)
        assert found["ic_dates"] == len(path) < rows["date"].nunique()
        t, df = fit.tvalues[0], len(path) - 1
        if (
            horizon > 1
        ):  # cosines, equation (10) of Lazarus, Lewis, Stock and Watson (2018) in a loop
            n, df = len(path), min(int(0.4 * len(path) ** (2 / 3)), len(path) // (2 * horizon))
            waves = [np.cos(np.pi * j * (np.arange(n) + 0.5) / n) for j in range(1, df + 1)]
            variance = np.mean([2 / n * (wave @ path) ** 2 for wave in waves])
            t = path.mean() / np.sqrt(variance / n)
        assert found[f"{name}_p_value"] == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-8)


@given(st.integers(1, 60), st.integers(0, 10_000))
@QUICK
def test_ranks_within_a_date_are_those_of_pandas(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    date, values = rng.integers(0, 5, n), rng.integers(-3, 3, n) / 7
    values[rng.random(n) < 0.1] = np.nan
    expected = pd.Series(values).groupby(date).rank()
    np.testing.assert_array_equal(ranks(values, date), expected)


def test_one_asset_a_date_has_no_cross_section() -> None:
    found = score(table())
    names = [name for name in SCORES if "ic_" in name or name.endswith("ic")]
    assert set(names) >= {"ic", "rank_ic", "rank_ic_t_nw", "ic_dates"}
    assert found[names].isna().all(axis=None)
    two = pd.concat([table().assign(asset=name) for name in "AB"])
    assert (
        score(two)[names].isna().all(axis=None)
    )  # two assets correlate by 1 or -1 whatever they do


def test_a_constant_has_no_correlation_however_long_it_is() -> None:
    y = np.random.default_rng(0).normal(size=300_000)
    assert np.isnan(correlation(y, np.full(300_000, 0.1)))  # the sum of them is off by rounding


def test_correlations_have_no_scale() -> None:
    rows = ragged()
    names = ["correlation", "ic", "rank_ic", "rank_ic_t_nw", "dm_stat", "cw_stat"]
    plain = score(rows).iloc[-1][names].astype(float)
    for scale in (1e-60, 1e60):
        columns = {name: rows[name] * scale for name in ("y", "prediction", "benchmark")}
        np.testing.assert_allclose(
            score(rows.assign(**columns)).iloc[-1][names].astype(float), plain, rtol=1e-8
        )


def test_the_average_of_few_dates() -> None:
    nan = float("nan")
    assert average(np.array([nan, 0.5]), 1).mean == 0.5 and np.isnan(
        average(np.array([nan, 0.5]), 1).t
    )
    assert np.isnan(average(np.array([nan]), 1).mean) and average(np.array([nan]), 1).dates == 0
    few = average(np.random.default_rng(0).normal(size=20), 10)
    assert np.isfinite(few.t_nw) and np.isnan(few.p_value)
    same = average(np.full(10, 0.1), 1)
    assert (
        same.mean == pytest.approx(0.1)
        and np.isnan(same.t)
        and np.isnan(same.ratio)
        and np.isnan(same.t_nw)
    )


# Scopes


def folded() -> pd.DataFrame:
    rows = ragged().sort_values("date")
    number = rows["date"].rank(method="dense")
    names = np.select([number <= 20, number <= 40], ["1", "2"], "holdout")
    return rows.assign(fold=names)


def test_a_hold_out_beside_other_folds_is_scored_apart() -> None:
    rows = folded()
    open_ = rows[rows["fold"] != "holdout"]
    found = score(rows, 1)
    alone = score(open_.assign(fold="1"), 1)
    outer = found[found["scope"].isin(["asset", "pooled"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(outer, alone, check_dtype=False)
    assert found.iloc[-1]["n_obs"] == len(open_)
    folds = found[found["scope"] == "fold"].set_index("unit")
    assert folds.index.tolist() == ["1", "2", "holdout"]
    for name, part in rows.groupby("fold"):
        expected = score(part, 1).iloc[-1]
        same = list(SCORES) if name != "holdout" else [*SCORES, *TESTS]
        pd.testing.assert_series_equal(
            folds.loc[name, ["n_obs", *same]],
            expected[["n_obs", *same]],
            check_names=False,
            check_dtype=False,
        )
    assert (
        folds.loc[["1", "2"], list(TESTS)].isna().all(axis=None)
    )  # a test for every fold would find some by chance


def test_what_is_logged() -> None:
    found = logged(score(folded(), 1))
    assert set(found) == {f"oos/{name}" for name in LOGGED} | {
        f"holdout/{name}" for name in LOGGED_HOLD_OUT
    }
    table = score(folded(), 1)
    assert found["oos/r2"] == table.iloc[-1]["r2"] != found["holdout/r2"]
    assert found["holdout/r2"] == table[table["unit"] == "holdout"]["r2"].iloc[0]
    only = score(folded().assign(fold="holdout"), 1)
    assert set(only["scope"]) == {"asset", "pooled"}
    assert set(logged(only)) == {f"oos/{name}" for name in LOGGED}
    assert logged(score(folded().iloc[:0])) == {}


def test_paths_are_scored_one_by_one_and_averaged() -> None:
    rows = folded()
    held = rows["fold"] == "holdout"
    second = rows[~held].assign(path=2)
    second["prediction"] = second["prediction"] * 0.5
    second = second[second["asset"] != "A7"]
    found = score(pd.concat([rows.assign(path=1), second]), 1)
    each = [score(rows[~held], 1), score(second, 1)]
    paths = found[found["scope"] == "path"].set_index("unit")
    assert paths.index.tolist() == ["1", "2"]
    for name, alone in zip(paths.index, each, strict=True):
        expected = alone.iloc[-1][COLUMNS[2:-1]].astype(float)
        np.testing.assert_array_equal(paths.loc[name, COLUMNS[2:-1]].astype(float), expected)
    pooled_row = found.iloc[-1]
    assert (pooled_row["scope"], pooled_row["unit"]) == ("pooled", "all")
    assert pooled_row["n_obs"] == sum(one.iloc[-1]["n_obs"] for one in each)
    averaged = [name for name in SCORES if name not in OF_ONE_PATH]
    expected = sum(one.iloc[-1][averaged].astype(float) for one in each) / 2
    np.testing.assert_allclose(pooled_row[averaged].astype(float), expected, rtol=1e-12)
    assert pooled_row[list(OF_ONE_PATH)].isna().all()
    a1 = found[(found["scope"] == "asset") & (found["unit"] == "A1")].iloc[0]
    assert a1["rmse"] == pytest.approx(
        np.mean([one.set_index("unit").loc["A1", "rmse"] for one in each]), rel=1e-12
    )
    assert "A7" in found["unit"].tolist()  # forecast in one path only


def test_a_score_that_one_path_does_not_have_has_no_mean() -> None:
    rows = ragged().assign(path=1)
    rows = rows.assign(y=np.exp(rows["y"]))
    found = score(pd.concat([rows, rows.assign(path=2, y=-rows["y"])]))
    assert np.isfinite(found.iloc[-2 - 1]["mape"]) and np.isnan(found.iloc[-1]["mape"])
    assert np.isfinite(found.iloc[-1]["rmse"])


def test_one_path_is_no_path() -> None:
    pd.testing.assert_frame_equal(score(folded().assign(path=1), 1), score(folded(), 1))


@pytest.mark.slow
@pytest.mark.parametrize(("T", "horizon"), [(500, 1), (1000, 5), (1000, 21)])
def test_size_of_the_rank_ic(T: int, horizon: int) -> None:
    """Persistent forecasts that say nothing about overlapping returns: 5 % of p-values reject, within 2 points."""
    hits, newey_west, N, rho = [], [], 15, 0.95
    date = np.repeat(np.arange(T), N)
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        shocks = rng.normal(size=(T, N)) * np.sqrt(1 - rho**2)
        shocks[0] = rng.normal(size=N)
        forecast = lfilter([1.0], [1.0, -rho], shocks, axis=0)
        returns = rng.standard_t(5, size=(T + horizon - 1, N)) + rng.normal(
            size=(T + horizon - 1, 1)
        )
        total = np.cumsum(np.vstack([np.zeros(N), returns]), axis=0)
        y = total[horizon:] - total[:-horizon]
        found = average(rank_correlations(forecast.ravel(), y.ravel(), date, T), horizon)
        hits.append(found.p_value < 0.05)
        newey_west.append(abs(found.t_nw) > 1.96)
    share = float(np.mean(hits))
    print(
        f"rank IC, {T} dates, horizon {horizon}: {share:.1%} reject at 5 %; Newey-West {np.mean(newey_west):.1%}"
    )
    assert 0.03 <= share <= 0.07  # 1000 seeds: standard error .7 points


def test_ranks_of_many_assets_are_those_of_scipy_in_whatever_order() -> None:
    rng = np.random.default_rng(3)
    date = np.repeat([0, 1, 4], [2 * MANY, MANY, 3 * MANY])
    values = rng.standard_normal(len(date)).round(1)
    values[rng.random(len(date)) < 0.05] = np.nan
    expected = np.concatenate(
        [stats.rankdata(values[date == one], nan_policy="omit") for one in (0, 1, 4)]
    )
    np.testing.assert_array_equal(ranks(values, date), expected)
    other = rng.permutation(len(date))
    np.testing.assert_array_equal(ranks(values[other], date[other]), expected[other])


@pytest.mark.parametrize("horizon", [0, 1, 3])
def test_scores_of_assets_together_are_those_of_each_by_itself(horizon: int) -> None:
    """Assets with few and many rows, one of them constant, one forecast exactly, one twice a date."""
    rng = np.random.default_rng(horizon)
    dates = pd.bdate_range("2020-01-01", periods=60)
    parts = []
    for i in range(25):
        n = int(rng.integers(1, 60))
        y = rng.normal(size=n) if i % 2 else np.exp(rng.normal(size=n))
        y = np.full(n, 0.01) if i == 3 else y
        forecast = y.copy() if i == 4 else y * 0.3 + rng.normal(size=n)
        forecast = np.full(n, 0.2) if i == 6 else forecast
        own = np.sort(rng.choice(60, n, replace=False))
        part = pd.DataFrame({"date": dates[own], "asset": f"A{i:02d}", "y": y})
        parts.append(part.assign(prediction=forecast, benchmark=rng.normal(size=n) * 0.1))
    table = pd.concat([*parts, parts[9].assign(prediction=0.1)])
    table = table.sample(frac=1.0, random_state=horizon).assign(fold="1", path=1)
    together = score(table, horizon).set_index("unit")
    for name, part in table.groupby("asset"):
        alone = row_of("asset", str(name), part, horizon)
        for column in (*SCORES, *TESTS, "n_obs"):
            np.testing.assert_allclose(
                float(together.loc[str(name), column]), float(alone[column]), rtol=1e-9,
                atol=1e-12, err_msg=f"{name} {column}",
            )  # fmt: skip


@pytest.mark.parametrize("in_order", [True, False])
def test_scores_of_some_rows_at_a_time_are_those_of_all_at_once(
    in_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    date = np.sort(rng.integers(0, 40, 500)) * 2  # no rows on every other date
    if not in_order:
        rng.shuffle(date)
    rows = pd.DataFrame({"date": pd.bdate_range("2020-01-01", periods=80)[date], "fold": "1"})
    rows["asset"] = np.array([f"A{i}" for i in range(9)])[rng.integers(0, 9, len(date))]
    for name in ("y", "prediction", "benchmark"):
        rows[name] = rng.normal(size=len(date)).round(1)
    at_once = score(rows, horizon=2)
    monkeypatch.setattr(cross_section, "STRETCH", 30)
    monkeypatch.setattr(scores, "STRETCH", 70)
    pd.testing.assert_frame_equal(score(rows, horizon=2), at_once, check_exact=True)
