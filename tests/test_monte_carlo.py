"""Estimates on perturbed data, held against closed forms, standard errors and fits made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import panel_of, random_arrays
from studies import study_of

from runner.analyses.forecasts.monte_carlo import monte_carlo, out_of_sample
from runner.analyses.forecasts.perturbations import (
    block_of,
    blurred,
    delayed,
    resampled,
    thinned,
)
from runner.cli.composition import Composer
from runner.errors import DataError
from runner.experiment.run import run
from runner.models.boosting import Boosting
from runner.models.regression import Regression
from runner.models.study import Study
from runner.panels.panel import Panel
from runner.sinks.canvas import style
from runner.sinks.drawings import DRAWINGS
from runner.validation.cross_validation import Combinatorial
from runner.validation.folds import shared_by
from runner.validation.scores import score
from runner.validation.splitters import Fold, HoldOut, Splitter, WalkForward

REL = 1e-9  # two float64 ways to the same regression


def panel(T: int = 120, N: int = 4, K: int = 2, horizon: int = 0) -> Panel:
    return panel_of(*random_arrays(2, T, N, K), horizon)


def study(data: Panel, model: Any = None, splitter: Splitter | None = None) -> Study:
    one = study_of(data, model or Regression())
    return one if splitter is None else replace(one, folds=splitter.split(data.dates, data.horizon))


def row(found: Any, kind: str, quantity: str) -> Any:
    return found.table.set_index(["perturbation", "quantity"]).loc[(kind, quantity)]


# Dates


@pytest.mark.parametrize("cov", ["nonrobust", "HC1"])
def test_bootstrap_of_independent_rows_has_the_standard_error_of_theory(cov: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 1, 1))
    noise = rng.normal(size=(300, 1)) * (1.0 if cov == "nonrobust" else np.abs(x[:, :, 0]))
    one = study(panel_of(0.5 + 2.0 * x[:, :, 0] + noise, x), Regression(cov=cov))
    found = monte_carlo(one, draws=300, perturb=["bootstrap"], block=1)
    for term in ("const", "x0"):
        expected = one.fit.coefficients.set_index("term").loc[term, "std_error"]
        # Monte Carlo error 1 / sqrt(2 * 300) = 4.1 %; three of them, and a few % for the finite sample.
        assert row(found, "bootstrap", f"coef/{term}")["std"] == pytest.approx(expected, rel=0.15)


def test_blocks_keep_serial_correlation() -> None:
    """The mean of an AR(1) of .8 has three times the error of independent rows; single rows do not know that."""
    rng = np.random.default_rng(1)
    e = np.zeros(1000)
    for t in range(1, 1000):
        e[t] = 0.8 * e[t - 1] + rng.normal()
    one = study(panel_of(e[:, None], np.empty((1000, 1, 0))))
    single, blocks = (
        row(monte_carlo(one, draws=100, perturb=["bootstrap"], block=b), "bootstrap", "coef/const")[
            "std"
        ]
        for b in (1, 60)
    )
    assert single == pytest.approx(e.std() / 1000**0.5, rel=0.22)
    assert blocks / single == pytest.approx(3.0, rel=0.25)  # sqrt(1.8 / .2)


def test_dates_are_drawn_with_their_whole_cross_section() -> None:
    """The mean over assets that share their error is as uncertain as one asset's."""
    rng = np.random.default_rng(0)
    y = np.repeat(rng.normal(size=(200, 1)), 25, axis=1)
    one = study(
        panel_of(y + 1e-9 * rng.normal(size=y.shape), np.empty((200, 25, 0))), Regression(by=None)
    )
    found = monte_carlo(one, draws=100, perturb=["bootstrap"], block=1)
    assert row(found, "bootstrap", "coef/const")["std"] == pytest.approx(
        y[:, 0].std() / 200**0.5, rel=0.22
    )


def test_blocks_follow_each_other_and_are_as_long_as_asked() -> None:
    at = resampled(50_000, 20, np.random.default_rng(0))
    breaks = np.diff(at) % 50_000 != 1
    assert 1.0 / breaks.mean() == pytest.approx(20.0, rel=0.06)  # three errors of 1 / sqrt(2500)


def test_the_block_grows_with_the_horizon() -> None:
    assert block_of(1000, 0, None) == 10 and block_of(1000, 1, None) == 10
    assert block_of(1000, 21, None) == 84 and block_of(100, 21, None) == 34  # at most a third
    assert block_of(1000, 21, 5) == 5


# Noise


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_noise_attenuates_as_errors_in_variables_do(noise: float) -> None:
    rng = np.random.default_rng(0)
    x = 5.0 + 3.0 * rng.normal(size=(400, 5, 1))
    y = 1.0 + 2.0 * x[:, :, 0] + 0.1 * rng.normal(size=(400, 5))
    found = monte_carlo(
        study(panel_of(y, x), Regression(by=None)), draws=40, perturb=["noise"], noise=noise
    )
    one = row(found, "noise", "coef/x0")
    factor = 1.0 / (1.0 + noise**2)
    assert one["original"] == pytest.approx(2.0, abs=0.005)
    assert one["mean"] == pytest.approx(
        2.0 * factor, rel=0.02
    )  # spread of 2000 rows over the root of 40 draws
    found = monte_carlo(
        study(panel_of(y, x), Regression(by=None)), draws=2, perturb=["noise"], noise=1e-12
    )
    assert row(found, "noise", "coef/x0")["mean"] == pytest.approx(2.0, abs=0.005)


def test_noise_is_the_same_for_all_assets_where_the_feature_is() -> None:
    data = panel()
    X = data.X.copy()
    X[:, :, 1] = X[:, :1, 1]
    X[3, 2, :] = np.nan  # a missing cell does not make it another feature
    data = panel_of(data.y, X)
    made = blurred(data, 0.5, np.random.default_rng(0)).X - X
    assert np.nanmax(np.ptp(np.nan_to_num(made[:, :, 1], nan=made[3, 0, 1]), axis=1)) < 1e-12
    assert np.ptp(made[:, :2, 0], axis=1).min() > 0.0
    for k in range(2):
        sd = X[:, :, k][data.valid].std()
        assert np.nanstd(made[:, :, k]) == pytest.approx(0.5 * sd, rel=0.25)


# Assets


def test_some_assets_go_and_others_stay() -> None:
    data, rng = panel(N=10), np.random.default_rng(0)
    for drop, left in ((0.1, 9), (0.04, 9), (0.5, 5), (0.99, 1)):
        made = thinned(data, drop, rng)
        kept = [data.assets.index(name) for name in made.assets]
        assert len(kept) == left and sorted(kept) == kept
        np.testing.assert_array_equal(made.y, data.y[:, kept])
    seen = {tuple(thinned(data, 0.1, rng).assets) for _ in range(60)}
    assert len(seen) == 10


def test_means_without_one_asset_are_the_jackknife() -> None:
    one = study(panel(N=3))
    found = row(monte_carlo(one, draws=60, perturb=["assets"]), "assets", "coef/x1")
    b = one.fit.params[:, 2]
    means = (b.sum() - b) / 2
    assert found["mean"] == pytest.approx(means.mean(), abs=3 * means.std() / 60**0.5)
    assert found["q05"] == pytest.approx(means.min(), rel=REL) and found["q95"] == pytest.approx(
        means.max(), rel=REL
    )


# Delay


@pytest.mark.parametrize("delay", [1, 5])
def test_delay_is_the_regression_on_lagged_features(delay: int) -> None:
    data = panel()
    found = monte_carlo(study(data, Regression(cov="HC3")), perturb=["delay"], delay=delay)
    b = [
        sm.OLS(data.y[delay:, i], sm.add_constant(data.X[:-delay, i])).fit().params
        for i in range(4)
    ]
    for j, term in enumerate(["const", "x0", "x1"]):
        one = row(found, "delay", f"coef/{term}")
        assert one["mean"] == pytest.approx(np.mean(b, axis=0)[j], rel=REL) and one["draws"] == 1
        assert np.isnan(one["std"]) and one["q05"] == one["q95"] == one["mean"]


def test_cells_without_an_earlier_feature_are_left_out() -> None:
    data = panel()
    X = data.X.copy()
    X[10, 1, 0] = np.nan
    made = delayed(panel_of(data.y, X), 2)
    expected = np.ones_like(made.valid)
    expected[:2] = False
    expected[[10, 12], 1] = False  # no feature on the row itself, none two rows before
    np.testing.assert_array_equal(made.valid, expected)
    np.testing.assert_array_equal(made.X[2:], X[:-2])


def test_what_lives_on_the_same_row_dies_when_it_is_late() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3, 1))
    y = x[:, :, 0] + 0.3 * rng.normal(size=(300, 3))
    found = monte_carlo(study(panel_of(y, x), None, WalkForward(test=100, first=100)), draws=2)
    assert row(found, "delay", "oos_r2")["original"] > 0.85
    assert abs(row(found, "delay", "oos_r2")["mean"]) < 0.05
    assert row(found, "noise", "oos_r2")["mean"] > 0.85


# The score


@pytest.mark.parametrize(
    "splitter",
    [
        WalkForward(test=20, first=60, holdout=15),
        HoldOut(rows=40),
        Combinatorial(groups=5, test_groups=2),
    ],
)
@pytest.mark.parametrize(
    "model", [Regression(), Regression(by="date"), Regression(by=None, effects=["asset"])]
)
def test_the_original_score_is_that_of_the_run(splitter: Splitter, model: Regression) -> None:
    from runner.models.forecasts import forecasts_of

    data = panel(N=6, horizon=1)
    y = data.y.copy()
    y[:50, 1], y[90, 2] = np.nan, np.nan
    data = panel_of(y, data.X, 1)
    one = study(data, model, splitter)
    expected = score(forecasts_of(model, data, one.folds).predictions, 1).iloc[-1]["r2"]
    found = monte_carlo(one, perturb=["delay"])
    assert row(found, "delay", "oos_r2")["original"] == pytest.approx(expected, rel=REL)


def test_a_locked_hold_out_is_not_looked_at() -> None:
    data = panel()
    splitter = WalkForward(test=20, first=60, holdout=20)
    before = monte_carlo(
        study(data, Regression(by=None), splitter), draws=3, perturb=["bootstrap", "assets"]
    )
    y = data.y.copy()
    y[-20:] += 100.0
    after = monte_carlo(
        study(panel_of(y, data.X), Regression(by=None), splitter),
        draws=3,
        perturb=["bootstrap", "assets"],
    )
    scores = [one.table[one.table["quantity"] == "oos_r2"] for one in (before, after)]
    pd.testing.assert_frame_equal(*scores)


@pytest.mark.parametrize("test", [np.arange(80, 120), np.arange(40)])
def test_training_rows_are_resampled_among_themselves(test: np.ndarray) -> None:
    """A test part that no training row is like: were its rows drawn into training, forecasts would know it."""
    data = panel(N=1)
    y = data.y.copy()
    y[test] += 1000.0
    data = panel_of(y, data.X)
    fold = [Fold("1", np.setdiff1d(np.arange(120), test), test, np.array([]))]
    for draw in range(20):
        r2 = out_of_sample(Regression(), fold, data, 5, np.random.default_rng(draw))
        assert abs(r2) < 0.1  # forecast and benchmark miss by the same thousand


def test_the_test_dates_vary_too() -> None:
    """With a forecast that is given, and a mean of training rows near zero, nothing else can move the score."""
    from runner.models.fixed import Fixed

    data = panel(N=1, K=1)
    data.y[:60] *= 1e-6
    one = study(data, Fixed(weights={"x0": 1.0}), HoldOut(rows=60))
    assert (
        row(monte_carlo(one, draws=20, perturb=["bootstrap"]), "bootstrap", "oos_r2")["std"] > 0.01
    )


@pytest.mark.parametrize("by", ["asset", None])
def test_sums_that_folds_share_are_not_those_of_perturbed_data(by: str | None) -> None:
    one = study(panel(), Regression(by=by), WalkForward(test=20, first=60))
    held = replace(one, panel=replace(one.panel, shared=shared_by(one.folds, one.panel)))
    held.model.fit(held.panel, np.arange(120))  # they are made now
    plain, other = (monte_carlo(each, draws=3).table for each in (one, held))
    pd.testing.assert_frame_equal(plain, other, rtol=REL)
    assert (other["same_sign"].notna() & (other["mean"] != other["original"])).all()


# Draws


def test_the_same_seed_gives_the_same_bits_whatever_else_is_asked() -> None:
    one = study(panel(), None, HoldOut(rows=40))
    every = monte_carlo(one, draws=4, seed=7)
    for kind in ("bootstrap", "noise", "assets"):
        alone = monte_carlo(one, draws=4, seed=7, perturb=[kind]).table
        part = every.table[every.table["perturbation"] == kind].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, part, check_exact=True)
        other = monte_carlo(one, draws=4, seed=8, perturb=[kind]).table
        assert (other["mean"] != alone["mean"]).any()


def test_the_table_is_of_the_draws() -> None:
    one = study(panel(N=1), Regression(), HoldOut(rows=40))
    found, values = monte_carlo(one, draws=30, perturb=["noise"], noise=2.0), []
    for draw in range(30):
        made = blurred(one.panel, 2.0, np.random.default_rng([0, 1, draw]))
        values.append(sm.OLS(made.y[:, 0], sm.add_constant(made.X[:, 0])).fit().params[2])
    got = row(found, "noise", "coef/x1")
    expected = [np.mean(values), np.std(values, ddof=1), *np.quantile(values, [0.05, 0.5, 0.95])]
    np.testing.assert_allclose(
        got[["mean", "std", "q05", "q50", "q95"]].astype(float), expected, rtol=1e-8
    )
    sign = np.mean(np.sign(values) == np.sign(one.fit.params[0, 2]))
    assert got["same_sign"] == sign and got["draws"] == 30 and got["failed"] == 0


def test_failures_are_counted_with_their_reason() -> None:
    y, X = random_arrays(0, 60, 3, 2)
    X[:, 1, 1] = 0.0
    X[7, 1, 1] = 1.0  # one row tells it from a constant: a third of the draws miss it
    one = study(panel_of(y, X), Regression(), HoldOut(rows=20))
    found = monte_carlo(one, draws=30, perturb=["bootstrap"], block=1)
    got = row(found, "bootstrap", "coef/x0")
    assert 3 <= got["failed"] <= 20 and got["draws"] + got["failed"] == 30
    assert got["reason"] == "1 unit of 3 not estimated"
    assert f"{got['failed']} draws failed (1 unit of 3 not estimated)" in found.words[0]
    assert row(found, "bootstrap", "oos_r2")["failed"] == 0  # the other two are forecast


def test_nothing_to_perturb_is_a_reason() -> None:
    one = study(panel_of(random_arrays(0, 60, 1, 0)[0], np.empty((60, 1, 0))))
    found = monte_carlo(one, draws=3)
    assert row(found, "noise", "coef/const")["reason"] == "there is no feature"
    assert row(found, "delay", "coef/const")["draws"] == 0
    assert row(found, "assets", "coef/const")["reason"] == "there are no two assets"
    assert found.words[2] == "1 asset of 1 left out: nothing was measured, there are no two assets."
    assert row(found, "bootstrap", "coef/const")["draws"] == 3


def test_wrong_settings_are_refused() -> None:
    one = study(panel())
    for kinds in ([], ["noise", "noise"]):
        with pytest.raises(
            DataError, match=r"perturb: given .*; allowed: one or more of bootstrap"
        ):
            monte_carlo(one, perturb=kinds)
    with pytest.raises(
        DataError, match="block: given 41; allowed: at most 40, a third of the 120 rows"
    ):
        monte_carlo(one, block=41)
    bare = replace(one, fit=replace(one.fit, coefficients=one.fit.coefficients.iloc[:0]))
    with pytest.raises(DataError, match="model: has no coefficients, and validation no folds"):
        monte_carlo(bare)


def test_models_without_coefficients_have_a_score() -> None:
    one = study(panel(), Boosting(rounds=5), HoldOut(rows=40))
    found = monte_carlo(one, draws=2)
    assert list(found.table["quantity"]) == ["oos_r2"] * 4 and (found.table["failed"] == 0).all()


def test_the_panel_is_left_as_it_was() -> None:
    one = study(panel(), None, HoldOut(rows=40))
    before = one.panel.y.copy(), one.panel.X.copy(), one.panel.valid.copy()
    monte_carlo(one, draws=2)
    for copy, now in zip(before, (one.panel.y, one.panel.X, one.panel.valid), strict=True):
        np.testing.assert_array_equal(copy, now)


def test_words_metrics_and_picture() -> None:
    one = study(panel(T=300), None, HoldOut(rows=100))
    found = monte_carlo(one, draws=5)
    assert found.words[0].startswith("Dates resampled in blocks of 7 rows on average: ")
    assert found.words[2].startswith("1 asset of 4 left out: ")
    slopes = found.table[found.table["quantity"].isin(["coef/x0", "coef/x1"])]
    least = slopes[slopes["perturbation"] == "bootstrap"]["same_sign"].min()
    assert found.metrics["bootstrap_same_sign_min"] == least
    assert found.metrics["delay_oos_r2"] == row(found, "delay", "oos_r2")["mean"]
    with style():
        assert DRAWINGS[found.picture](found.table) is not None
        assert DRAWINGS[found.picture](found.table.assign(draws=0)) is None


def test_as_a_user() -> None:
    words = [
        "+analyses.mc={_target_: runner.analyses.monte_carlo, draws: 3}",
        "audit=off",
    ]
    report = run(Composer().job([*words, "validation=holdout_2000"]).experiment)
    assert row(report.findings["mc"], "noise", "oos_r2")["original"] == pytest.approx(
        report.metrics["oos/r2"], rel=REL
    )
    assert report.metrics["mc/delay_oos_r2"] < 0.2 < report.metrics["mc/noise_oos_r2"]
