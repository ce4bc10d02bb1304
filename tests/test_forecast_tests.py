"""Diebold-Mariano and Clark-West against statsmodels, loops and closed forms; their size under a true null."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import panel_of, random_arrays
from scipy import stats
from scipy.stats import t as student

from runner.cli.composition import Composer
from runner.experiment.reading import sections
from runner.experiment.report import Report
from runner.experiment.run import run
from runner.models.fixed import Fixed
from runner.models.moving.rolling import Rolling
from runner.models.regression import Regression
from runner.text import number, t_text
from runner.validation.forecast_tests import (
    FEWEST,
    Comparison,
    clark_west,
    diebold_mariano,
    squared_error_gains,
)
from runner.validation.sample import Sample
from runner.validation.scores import score

REL = 1e-10


def losses(n: int = 120, horizon: int = 1, seed: int = 0) -> np.ndarray:
    """Loss differences that correlate over horizon - 1 rows."""
    rng = np.random.default_rng(seed)
    return 0.1 + np.convolve(rng.normal(size=n + horizon - 1), np.ones(horizon), "valid")


def by_hand(d: np.ndarray, h: int) -> float:
    """The statistic of Harvey, Leybourne and Newbold (1997), equation by equation."""
    n, mean = len(d), sum(d) / len(d)
    gamma = [sum((d[t] - mean) * (d[t - k] - mean) for t in range(k, n)) / n for k in range(h)]
    variance = (gamma[0] + 2.0 * sum(gamma[1:])) / n
    return float(mean / variance**0.5 * small_sample(n, h))


def small_sample(n: int, h: int) -> float:
    """The factor of Harvey, Leybourne and Newbold (1997), which is of Diebold-Mariano alone."""
    return float(((n + 1 - 2 * h + h * (h - 1) / n) / n) ** 0.5)


@pytest.mark.parametrize("horizon", [1, 2, 5])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e9])
def test_diebold_mariano_by_hand(horizon: int, scale: float) -> None:
    d = losses(horizon=horizon)
    found = diebold_mariano(scale * d, horizon)
    assert found.stat == pytest.approx(by_hand(d, horizon), rel=REL)
    assert found.p_value == pytest.approx(2.0 * stats.t.sf(abs(found.stat), len(d) - 1), rel=REL)


@pytest.mark.parametrize("horizon", [1, 2, 5])
def test_both_are_the_t_of_a_constant_with_robust_errors(horizon: int) -> None:
    d = losses(horizon=horizon)
    keywords = {"maxlags": horizon - 1, "kernel": "uniform", "use_correction": False}
    t = sm.OLS(d, np.ones(len(d))).fit(cov_type="HAC", cov_kwds=keywords).tvalues[0]
    n, h = len(d), horizon
    assert diebold_mariano(d, horizon).stat == pytest.approx(t * small_sample(n, h), rel=REL)
    found = clark_west(d, horizon)
    of_a_mean = stats.ttest_1samp(d, 0.0).statistic
    assert found.stat == pytest.approx(
        of_a_mean if horizon == 1 else t, rel=REL
    )  # the paper has no other factor
    assert found.p_value == pytest.approx(stats.norm.sf(found.stat), rel=REL)


@pytest.mark.parametrize("horizon", [0, 1])
def test_one_row_ahead_it_is_the_t_of_a_mean(horizon: int) -> None:
    d = losses()
    oracle = stats.ttest_1samp(d, 0.0)
    found = diebold_mariano(d, horizon)
    assert (found.stat, found.p_value) == pytest.approx((oracle.statistic, oracle.pvalue), rel=REL)
    mirrored = diebold_mariano(-d, horizon)
    assert (mirrored.stat, mirrored.p_value) == pytest.approx((-found.stat, found.p_value), rel=REL)
    assert clark_west(-d, horizon).p_value == pytest.approx(
        1.0 - clark_west(d, horizon).p_value, rel=REL
    )


def test_a_variance_that_is_not_positive_takes_bartlett_weights() -> None:
    d = 0.3 + np.tile([1.0, -1.0], 20)  # first autocovariance -39/40: 1 - 2 * 39/40 < 0
    keywords = {"maxlags": 1, "use_correction": False}
    t = sm.OLS(d, np.ones(40)).fit(cov_type="HAC", cov_kwds=keywords).tvalues[0]
    assert diebold_mariano(d, 2).stat == pytest.approx(
        t * np.sqrt((40 + 1 - 4 + 2 / 40) / 40), rel=REL
    )


@pytest.mark.parametrize("test", [diebold_mariano, clark_west])
def test_no_test_where_there_is_nothing_to_test(
    test: Callable[[np.ndarray, int], Comparison],
) -> None:
    for d, horizon in (
        (np.zeros(50), 1),
        (np.full(50, 0.1), 1),
        (losses(FEWEST - 1), 1),
        (losses(42), 21),
        (np.empty(0), 1),
    ):
        assert np.isnan(test(d, horizon)).all()
    assert np.isfinite(test(losses(FEWEST), 1)).all() and np.isfinite(test(losses(43), 21)).all()


def test_gains_are_differences_of_squared_errors_and_zero_for_the_same_forecast() -> None:
    rng = np.random.default_rng(0)
    y, f, b = rng.normal(size=(3, 50))
    np.testing.assert_allclose(
        squared_error_gains(y, f, b), (y - b) ** 2 - (y - f) ** 2, rtol=1e-9, atol=1e-14
    )
    assert not squared_error_gains(y, b, b).any()


def test_the_dates_of_a_panel_are_its_observations() -> None:
    """Doubling the assets doubles no evidence; a loop over dates is the oracle, rows in any order."""
    rng = np.random.default_rng(1)
    T, N = 40, 6
    rows = pd.DataFrame(
        {
            "date": np.repeat(pd.bdate_range("2020-01-01", periods=T), N),
            "asset": np.tile([f"A{i}" for i in range(N)], T),
            "fold": "1",
            "y": rng.normal(size=T * N) + np.repeat(rng.normal(size=T), N),
            "prediction": rng.normal(size=T * N),
            "benchmark": rng.normal(size=T * N),
        }
    )[rng.random(T * N) > 0.2]
    gains, adjusted = [], []
    for _, one in rows.groupby("date"):
        loss = (one["y"] - one["benchmark"]) ** 2 - (one["y"] - one["prediction"]) ** 2
        gains.append(loss.mean())
        adjusted.append((loss + (one["benchmark"] - one["prediction"]) ** 2).mean())
    twice = pd.concat([rows, rows.assign(asset=rows["asset"] + "'")])
    for table in (rows, twice, rows.sample(frac=1.0, random_state=0)):
        pooled = score(table, horizon=3).iloc[-1]
        assert pooled["dm_stat"] == pytest.approx(by_hand(np.array(gains), 3), rel=REL)
        small = small_sample(len(adjusted), 3)
        assert pooled["cw_stat"] == pytest.approx(by_hand(np.array(adjusted), 3) / small, rel=REL)
        assert pooled["test_dates"] == len(gains)
    own = rows[rows["asset"] == "A2"]
    d = (own["y"] - own["benchmark"]) ** 2 - (own["y"] - own["prediction"]) ** 2
    row = score(rows, horizon=2).set_index("unit").loc["A2"]
    assert row["dm_stat"] == pytest.approx(by_hand(d.to_numpy(), 2), rel=REL)


def test_a_better_forecast_is_found_and_a_worse_one_too() -> None:
    rng = np.random.default_rng(2)
    signal, noise = rng.normal(size=(2, 400))
    y, date = 0.5 * signal + noise, np.arange(400)
    better = Sample(y, 0.5 * signal, np.zeros(400), date, 1)
    assert better.dm.stat > 4.0 and better.cw.stat > better.dm.stat and better.cw.p_value < 1e-4
    worse = Sample(y, -0.5 * signal, np.zeros(400), date, 1)
    assert worse.dm.stat < -4.0 and worse.dm.p_value < 1e-3 and worse.cw.p_value > 0.99


# The sentences


def report_of(*words: str) -> Report:
    few = ["experiment=ff3", "data.assets=[S1V1,S3V3,S5V5]", "audit=off"]
    return run(Composer().job([*few, *words]).experiment)


def out_of_sample(report: Report, **changed: float) -> str:
    """What is said where the pooled row has these numbers."""
    scores = report.scores.copy()
    for name, value in changed.items():
        scores.loc[scores["scope"] == "pooled", name] = value
    return " ".join(sections(replace(report, scores=scores))["Out of sample"])


def test_the_sentence_says_what_the_tests_say() -> None:
    report = report_of("validation=holdout_2016")
    lower = {
        "dm_stat": -1.2,
        "dm_p_value": 0.23,
        "cw_stat": 1.2,
        "cw_p_value": 0.115,
        "test_dates": 15.0,
    }
    said = out_of_sample(report, **lower)
    assert (
        "the difference in squared errors is not significant at 5 % "
        "(Diebold-Mariano t = -1.20, p = 0.230, 15 dates); " in said
    )
    assert (
        "no significant gain over the training mean, which the model nests "
        "(Clark-West t = 1.20, p = 0.115, one-sided)" in said
    )
    higher = out_of_sample(report, dm_p_value=0.049, cw_p_value=0.049)
    assert (
        "squared errors are significantly smaller at 5 %" in higher
        and "; a significant gain over the training mean" in higher
    )
    assert "the difference was not tested" in out_of_sample(report, dm_p_value=np.nan)
    row = report.scores.iloc[-1]
    assert report.metrics["oos/dm_p_value"] == row["dm_p_value"] and row["test_dates"] == 15


def test_clark_west_is_silent_where_the_model_does_not_contain_the_mean_of_each_asset() -> None:
    for words in (
        ["model=pooled", "model.hypotheses=[]"],
        ["model.constant=false", "model.hypotheses=[]"],
    ):
        report = report_of("validation=holdout_2016", *words)
        said = out_of_sample(report)
        assert "Diebold-Mariano t = " in said and "Clark-West t = " not in said
        reason = report.scores["cw_reason"].iloc[-1]
        assert reason and f"; no Clark-West test of nested models: {reason}" in said
        assert report.scores[["cw_stat", "cw_p_value"]].isna().all(axis=None)


def test_the_hold_out_has_a_sentence_of_its_own() -> None:
    report = report_of("validation=walk_forward", "validation.test=200", "validation.holdout=24")
    said = out_of_sample(report)
    scores = report.scores
    held = scores[(scores["scope"] == "fold") & (scores["unit"] == "holdout")].iloc[0]
    rows = 3 * (len(report.panel.dates) - 252 - 24)
    assert scores.iloc[-1]["n_obs"] == rows == len(report.predictions) - 72
    assert f"({rows:,} observations, 3 folds; positive in 3 of 3 assets)" in said
    of_holdout = f"(R2 = {number(held['r2'])}, 72 observations): RMSE: "
    apart = f"The hold-out, which is in none of the above {of_holdout}"
    assert apart in said and "significantly smaller at 5 % (" in said and ", 24 dates)" in said
    assert report.metrics["holdout/r2"] == held["r2"] != report.metrics["oos/r2"]


def test_paths_have_a_mean_and_a_spread() -> None:
    report = report_of("validation=holdout_2016")
    both = [
        report.predictions.assign(path=path, prediction=path * report.predictions["prediction"])
        for path in (1, 2)
    ]
    report = replace(report, scores=score(pd.concat(both)))
    r2 = report.scores.loc[report.scores["scope"] == "path", "r2"]
    said = out_of_sample(report)
    ends = f"mean {number(r2.mean())}, standard deviation {number(r2.std())}, from {number(r2.min())} to"
    assert f"R2 of the 2 paths: {ends} {number(r2.max())}; they forecast the same rows." in said
    assert "the difference was not tested" in said


# Size


def rejections(seeds: int, draw: Callable[[np.random.Generator], float]) -> float:
    """Share of seeds whose p-value is below 5 %."""
    return float(np.mean([draw(np.random.default_rng(seed)) < 0.05 for seed in range(seeds)]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "horizon", "assets"), [(100, 1, 1), (250, 5, 1), (750, 21, 1), (250, 5, 20)]
)
def test_size_of_diebold_mariano(n: int, horizon: int, assets: int) -> None:
    """Two forecasts that each know one of two equal parts: 5 % of tests reject, within 2 points."""

    def summed(rng: np.random.Generator) -> np.ndarray:
        one = rng.normal(size=(n + horizon - 1, assets)) + rng.normal(size=(n + horizon - 1, 1)) * (
            assets > 1
        )
        return np.apply_along_axis(np.convolve, 0, one, np.ones(horizon), "valid")

    def draw(rng: np.random.Generator) -> float:
        a, b, noise = (summed(rng) for _ in range(3))
        date = np.repeat(np.arange(n), assets)
        return Sample((a + b + noise).ravel(), a.ravel(), b.ravel(), date, horizon).dm.p_value

    share = rejections(1000, draw)
    print(
        f"Diebold-Mariano, {n} dates, horizon {horizon}, {assets} assets: {share:.1%} reject at 5 %"
    )
    assert 0.03 <= share <= 0.07  # 1000 seeds: standard error .7 points


@pytest.mark.slow
@pytest.mark.parametrize(("n", "horizon"), [(300, 1), (600, 5)])
def test_size_of_clark_west(n: int, horizon: int) -> None:
    """A regressor that says nothing, fitted on a rolling window of 100 rows: at most 5 % reject, but not far below.

    Clark and West (2007) find sizes from a little below nominal, which is why the band is not around 5 %.
    """

    def draw(rng: np.random.Generator) -> float:
        shocks, x = rng.normal(size=n + 200), rng.normal(size=n + 200)
        y = np.convolve(shocks, np.ones(horizon), "full")[
            horizon - 1 : n + 200
        ]  # of shocks t - horizon + 1 .. t
        y = y[: n + 100]
        forecast, naive = np.empty(n), np.empty(n)
        for t in range(n):
            last = t + 100 - (horizon - 1)
            train = slice(max(last - 100, 0), last)
            slope, const = np.polyfit(x[train], y[train], 1)
            forecast[t], naive[t] = const + slope * x[t + 100], y[train].mean()
        return Sample(y[100:], forecast, naive, np.arange(n), horizon).cw.p_value

    share = rejections(400, draw)
    print(f"Clark-West, {n} dates, horizon {horizon}: {share:.1%} reject at 5 %")
    assert 0.01 <= share <= 0.07


WITHOUT_THE_MEAN = {  # why the training mean of each asset is no special case of the model
    "by date": (Regression(by="date"), "a regression by date has no constant of the asset"),
    "pooled": (Regression(by=None), "one constant for several assets is not the mean of each"),
    "no constant": (Regression(constant=False), "the model has no constant"),
    "weights": (
        Regression(weights="cap"),
        "rows are weighted in the fit, not in the training mean",
    ),
    "rolling": (
        Rolling(),
        "the constant is of the window before each row, the training mean of all rows",
    ),
    "given": (Fixed(), "the forecast is given, not estimated"),
}
WITH_THE_MEAN = {
    "by asset": Regression(),
    "lasso": Regression(estimator="lasso"),
    "logit": Regression(estimator="logit"),
    "effects": Regression(by=None, effects=["asset"]),
}


@pytest.mark.parametrize("name", WITHOUT_THE_MEAN)
def test_a_model_that_does_not_contain_the_mean_says_why(name: str) -> None:
    model, reason = WITHOUT_THE_MEAN[name]
    assert model.lacks_the_mean(panel_of(*random_arrays(0, 30, 3, 1))) == reason


@pytest.mark.parametrize("name", WITH_THE_MEAN)
def test_a_model_that_contains_the_mean(name: str) -> None:
    panel = panel_of(*random_arrays(0, 30, 3, 1))
    assert WITH_THE_MEAN[name].lacks_the_mean(panel) == ""
    in_logs = replace(panel, raw=panel.y, back=("exp",))
    assert (
        WITH_THE_MEAN[name]
        .lacks_the_mean(in_logs)
        .startswith("the model is fitted on another scale")
    )


def test_pooled_regression_of_one_asset_contains_its_mean() -> None:
    assert Regression(by=None).lacks_the_mean(panel_of(*random_arrays(0, 30, 1, 1))) == ""


def test_a_worthless_pooled_signal_does_not_beat_the_mean_of_all_assets() -> None:
    """It beats the noisy mean of each asset by far, which the first sentence must not leave alone."""
    data = ["data=simulated", "data.assets=200", "data.rows=90", "data.market=null"]
    spec = ["features=lagged_returns", "target=forward_return", "model=pooled"]
    folds = ["validation=holdout_last_12", "validation.rows=45", "audit=off"]
    report = run(Composer().job(["experiment=none", *data, *spec, *folds]).experiment)
    pooled = report.scores[report.scores["scope"] == "pooled"].iloc[0]
    assert pooled["r2"] > 0.01 and pooled["dm_stat"] > 0.0
    assert pooled["r2_all_assets"] < 0.005
    assert report.metrics["oos/r2_all_assets"] == pooled["r2_all_assets"]
    first = sections(report)["Out of sample"][0]
    of_all = number(pooled["r2_all_assets"])
    assert f"against the training mean of each asset, {of_all} against that of all (" in first
    assert pooled["rmse_all_assets"] < pooled["rmse_naive"]
    predictions = report.predictions
    [fold] = report.study.folds
    mean = report.panel.scored[fold.train][report.panel.valid[fold.train]].mean()
    gains = (predictions["y"] - mean) ** 2 - (predictions["y"] - predictions["prediction"]) ** 2
    by_date = gains.groupby(predictions["date"]).mean().to_numpy()
    stat = by_hand(by_date, 1)
    assert pooled["dm_stat_all_assets"] == pytest.approx(stat, rel=1e-7)
    p = 2.0 * student.sf(abs(stat), len(by_date) - 1)
    assert report.metrics["oos/dm_p_value_all_assets"] == pytest.approx(p, rel=1e-6)
    assert p > 0.05
    second = sections(report)["Out of sample"][1]
    errors = number(pooled["rmse_all_assets"])
    assert (
        f"against {errors} for the training mean of all assets, the better benchmark; the" in second
    )
    assert f"not significant at 5 % (Diebold-Mariano t = {t_text(stat)}, " in second


def test_a_score_without_a_nested_benchmark_has_the_reason() -> None:
    report = report_of("validation=holdout_2016")
    table = score(report.predictions, 0, "of this reason")
    assert table[["cw_stat", "cw_p_value"]].isna().all(axis=None)
    assert set(table["cw_reason"]) == {"of this reason"} and table["dm_stat"].iloc[
        -1
    ] == pytest.approx(score(report.predictions)["dm_stat"].iloc[-1], rel=REL)


def test_a_regressor_that_is_the_target_but_for_the_risk_free_rate_is_named() -> None:
    words = ["validation=none", "+features.own=ret"]
    fit = sections(report_of(*words))["Fit"]
    assert fit[0].startswith("R2 is above 0.995 in 3 of 3 assets: a regressor may be the target")
    assert not any("may be the target" in line for line in sections(report_of())["Fit"])
