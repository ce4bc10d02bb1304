"""Factor covariances in and out of sample, held against statsmodels, scikit-learn, scipy and plain loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import panel_of, punch_holes, random_arrays
from scipy.stats import multivariate_normal, t
from sklearn.covariance import LedoitWolf

from runner.analyses.risks.risk import covariance, risk, spectrum
from runner.analyses.risks.risk_out_of_sample import risk_out_of_sample
from runner.errors import DataError
from runner.models.factor_model import (
    common,
    condition,
    factor_model,
    factor_parameters,
    full_parameters,
    log_density,
    marchenko_pastur_edge,
    minimum_variance,
)
from runner.models.regression import Regression
from runner.models.study import Study
from runner.panels.panel import Panel
from runner.sinks.canvas import style
from runner.sinks.drawings import DRAWINGS
from runner.validation.splitters import Fold

REL = 1e-9  # two float64 ways to the same number, inverses of matrices of condition 1e3 among them


def factor_panel(T: int = 120, N: int = 6, m: int = 2, seed: int = 0, scale: float = 0.01) -> Panel:
    """Returns of N assets on m factors that all share; features x0, x1, ..."""
    rng = np.random.default_rng(seed)
    F = scale * rng.normal(size=(T, m))
    y = (
        F @ rng.normal(size=(m, N))
        + scale * rng.standard_t(6, size=(T, N))
        + scale * rng.normal(size=N) / 10
    )
    return panel_of(y, np.broadcast_to(F[:, None, :], (T, N, m)).copy())


def study_of(panel: Panel, model: Regression | None = None, folds: Sequence[Fold] = ()) -> Study:
    model = model or Regression()
    fit = model.fit(panel, np.arange(len(panel.dates)))
    return Study(None, panel, model, fit, list(folds), pd.DataFrame())  # type: ignore[arg-type]


def fold(train: range, test: range, name: str = "holdout") -> Fold:
    return Fold(name, np.array(train), np.array(test), 0)


# Numbers in a covariance


def test_parameter_counts_are_the_published_ones() -> None:
    assert full_parameters(1000) == 500_500
    assert factor_parameters(1000, 10) == 11_055
    assert full_parameters(1) == 1 and factor_parameters(1, 1) == 3


def test_edge_bounds_the_eigenvalues_of_independent_series() -> None:
    y = np.random.default_rng(0).normal(size=(2000, 400))
    largest = np.linalg.eigvalsh(np.corrcoef(y, rowvar=False))[-1]
    assert largest == pytest.approx(
        marchenko_pastur_edge(2000, 400), rel=0.04
    )  # error of order n^(-2/3)
    assert marchenko_pastur_edge(100, 100) == pytest.approx(4.0)


def test_minimum_variance_in_closed_form_for_two_assets() -> None:
    S = np.array([[0.04, 0.012], [0.012, 0.09]])
    first = (0.09 - 0.012) / (0.04 + 0.09 - 0.024)
    np.testing.assert_allclose(minimum_variance(S), [first, 1.0 - first], rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e8])
def test_no_portfolio_of_sum_one_has_less_variance(scale: float) -> None:
    S = scale * np.cov(factor_panel().y, rowvar=False)
    w, rng = minimum_variance(S), np.random.default_rng(1)
    assert w.sum() == pytest.approx(1.0)
    for _ in range(20):
        step = rng.normal(size=len(S))
        other = w + 0.1 * (step - step.mean())
        assert other @ S @ other > w @ S @ w


def test_log_density_is_that_of_scipy() -> None:
    y = factor_panel().y
    S, mean = np.cov(y, rowvar=False), y.mean(axis=0)
    np.testing.assert_allclose(
        log_density(y, mean, S), multivariate_normal(mean, S).logpdf(y), rtol=REL
    )


def test_condition_is_that_of_numpy_and_infinite_where_there_is_no_inverse() -> None:
    S = np.cov(factor_panel().y, rowvar=False)
    assert condition(S) == pytest.approx(np.linalg.cond(S), rel=REL)
    assert condition(np.cov(factor_panel(T=5).y, rowvar=False)) == float("inf")


# The factor model of a fit


@pytest.mark.parametrize(
    "model", [Regression(), Regression(regressors=["x1"]), Regression(cov="HC3")]
)
def test_variances_add_up_to_the_sample_and_shares_are_r2(model: Regression) -> None:
    panel = factor_panel()
    table = risk(study_of(panel, model), rows_per_year=252).table
    for i, row in table.iterrows():
        oracle = sm.OLS(
            panel.y[:, i], sm.add_constant(panel.X[:, i, [1] if model.regressors else [0, 1]])
        ).fit()
        assert row["explained_share"] == pytest.approx(oracle.rsquared, rel=REL)
        assert row["total_variance"] == pytest.approx(252 * panel.y[:, i].var(ddof=1), rel=REL)
        assert row["specific_variance"] == pytest.approx(252 * oracle.ssr / 119, rel=REL)
        assert row["systematic_volatility"] ** 2 == pytest.approx(
            row["systematic_variance"], rel=REL
        )
        assert row["total_volatility"] == pytest.approx(
            252**0.5 * panel.y[:, i].std(ddof=1), rel=REL
        )
    assert list(table["n_obs"]) == [120] * 6 and (table["reason"] == "").all()


def test_covariance_by_factors_is_the_sample_covariance_where_residuals_do_not_correlate() -> None:
    panel = factor_panel()
    model = factor_model(Regression(), study_of(panel).fit, panel, np.arange(120))
    X = sm.add_constant(panel.X[:, 0])
    u = panel.y - X @ np.linalg.lstsq(X, panel.y, rcond=None)[0]
    rest = np.cov(u, rowvar=False)
    expected = np.cov(panel.y, rowvar=False) - rest + np.diag(np.diag(rest))
    np.testing.assert_allclose(model.covariance, expected, rtol=REL, atol=1e-15)


def test_statistical_factors_split_the_spectrum() -> None:
    panel = factor_panel(m=3)
    panel = replace(panel, X=panel.X[:, :, :0], names=[])
    model = Regression(components=2)
    found = factor_model(model, study_of(panel, model).fit, panel, np.arange(120))
    values, vectors = np.linalg.eigh(np.cov(panel.y, rowvar=False))
    top = (vectors[:, -2:] * values[-2:]) @ vectors[:, -2:].T
    np.testing.assert_allclose(found.systematic, top, rtol=REL, atol=1e-14)
    np.testing.assert_allclose(np.diag(found.covariance), panel.y.var(axis=0, ddof=1), rtol=REL)
    np.testing.assert_allclose(np.diag(found.omega), values[:-3:-1], rtol=REL)
    assert found.names == ["PC1", "PC2"]


def test_statistical_loadings_converge_to_the_space_of_the_true_ones() -> None:
    rng = np.random.default_rng(0)
    B = rng.normal(size=(8, 2))
    gaps = []
    for T in (
        200,
        20_000,
    ):  # equal specific variances, so that components are consistent for few assets too
        y = rng.normal(size=(T, 2)) @ B.T + rng.normal(size=(T, 8))
        panel = panel_of(y, np.empty((T, 8, 0)))
        weights = Regression(components=2).fit(panel, np.arange(T)).params[:, 1:]
        outside = B - weights @ np.linalg.lstsq(weights, B, rcond=None)[0]
        gaps.append(np.linalg.norm(outside) / np.linalg.norm(B))
    assert gaps[1] < 0.03 < gaps[0] < 0.5


def test_ragged_assets_keep_their_own_rows_and_one_without_estimates_has_its_reason() -> None:
    panel = factor_panel(T=60)
    y = panel.y.copy()
    y[:25, 1], y[3:, 2] = np.nan, np.nan
    table = risk(study_of(panel_of(y, panel.X))).table
    assert list(table["n_obs"]) == [60, 35, 0, 60, 60, 60]
    assert table.loc[2, "reason"].startswith("no estimates") and np.isnan(
        table.loc[2, "total_variance"]
    )
    oracle = sm.OLS(y[25:, 1], sm.add_constant(panel.X[25:, 1])).fit()
    omega = np.cov(panel.X[:, 0], rowvar=False)
    assert table.loc[1, "systematic_variance"] == pytest.approx(
        252 * oracle.params[1:] @ omega @ oracle.params[1:], rel=REL
    )
    assert table.loc[1, "specific_variance"] == pytest.approx(252 * oracle.ssr / 34, rel=REL)


def test_by_date_loadings_are_the_last_characteristics_and_factors_the_estimates() -> None:
    y, X = random_arrays(1, 40, 9, 2)
    X[-1, 4] = np.nan
    panel, model = panel_of(y, X, horizon=1), Regression(by="date")
    found = factor_model(model, study_of(panel, model).fit, panel, np.arange(40))
    path, squares = [], np.zeros((40, 9))
    for row in range(40):
        use = panel.valid[row]
        Z = sm.add_constant(X[row, use])
        path.append(np.linalg.lstsq(Z, y[row, use], rcond=None)[0])
        squares[row, use] = (y[row, use] - Z @ path[-1]) ** 2 * use.sum() / (use.sum() - 3)
    np.testing.assert_allclose(found.omega, np.cov(np.array(path), rowvar=False), rtol=REL)
    np.testing.assert_allclose(found.loadings[[0, 4], 1:], [X[-1, 0], X[-2, 4]], rtol=REL)
    assert found.names == ["const", "x0", "x1"] and (found.loadings[:, 0] == 1.0).all()
    np.testing.assert_allclose(
        found.specific, squares.sum(axis=0) / (panel.valid.sum(axis=0) - 1), rtol=REL
    )


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Regression(by=None),
            "model: given by=null, estimator=ols; allowed: a linear regression by asset or date",
        ),
        (
            Regression(regressors=[]),
            "features: there is no factor; allowed: features, or model.components",
        ),
    ],
)
def test_models_without_factors_are_refused(model: Regression, message: str) -> None:
    for analysis in (risk, covariance, risk_out_of_sample):
        study = study_of(factor_panel(), model, [fold(range(80), range(80, 120))])
        with pytest.raises(DataError, match=message):
            analysis(study)


def test_factors_of_each_asset_and_targets_ahead_are_refused() -> None:
    y, X = random_arrays(2, 50, 4, 2)
    X[:, :, 1] = X[:, :1, 1]
    with pytest.raises(DataError, match="features: x0 differs between assets"):
        risk(study_of(panel_of(y, X)))
    with pytest.raises(DataError, match="target: lies 3 rows ahead of its factors"):
        risk(study_of(replace(factor_panel(), horizon=3)))


# Full rows of a ragged panel


def test_assets_go_first_then_rows() -> None:
    valid = np.ones((100, 4), dtype=bool)
    valid[:40, 1] = False  # listed late: left out
    valid[[7, 8], 2] = False  # two gaps in a hundred: kept, their rows are not
    valid[50, :] = False  # no asset on this row: does not count
    assets, (train, test) = common(valid, [np.arange(60), np.arange(60, 100)], np.arange(3), 0.95)
    assert list(assets) == [0, 2]
    assert list(common(valid, [np.arange(60)], np.arange(3), 0.96)[0]) == [
        0,
        2,
    ]  # 57 of 59 rows, not of 60
    assert list(train) == [t for t in range(60) if t not in (7, 8, 50)] and len(test) == 40
    assets, (train, _) = common(valid, [np.arange(60), np.arange(60, 100)], np.arange(3), 0.3)
    assert list(assets) == [0, 1, 2] and list(train) == [t for t in range(40, 60) if t != 50]


def test_what_is_left_out_is_counted_and_too_little_is_refused() -> None:
    panel = factor_panel(T=60)
    y = panel.y.copy()
    y[:30, 1] = np.nan
    study = study_of(panel_of(y, panel.X))
    found = covariance(study)
    assert (found.table["assets"] == 5).all() and (found.table["assets_left_out"] == 1).all()
    assert found.words[-1] == "1 asset left out: no estimates, or too few rows."
    without = panel_of(np.delete(y, 1, axis=1), np.delete(panel.X, 1, axis=1))
    parts = [fold(range(40), range(40, 60))]
    for analysis, shown in ((covariance, "condition_number"), (risk_out_of_sample, "value")):
        whole, fewer = (
            analysis(study_of(one, folds=parts)).table[shown] for one in (study.panel, without)
        )
        np.testing.assert_allclose(whole, fewer, rtol=1e-7)
    y[:6, :5] = np.nan
    y[6:12, 5] = np.nan
    with pytest.raises(
        DataError, match=r"coverage: 0.95 leaves 0 assets on .*; allowed: at least two of each"
    ):
        covariance(study_of(panel_of(y, panel.X)))


# In sample


def test_covariance_against_numpy_and_scikit_learn() -> None:
    panel = factor_panel()
    found = covariance(study_of(panel))
    table = found.table.set_index("estimator")
    shrunk = LedoitWolf().fit(panel.y)
    assert list(table["parameters"]) == [6 * 2 + 3 + 6, 21, 21]
    assert table.loc["sample", "condition_number"] == pytest.approx(
        np.linalg.cond(np.cov(panel.y.T)), rel=REL
    )
    assert table.loc["shrunk", "condition_number"] == pytest.approx(
        np.linalg.cond(shrunk.covariance_), rel=REL
    )
    assert table.loc["shrunk", "shrinkage"] == pytest.approx(shrunk.shrinkage_, rel=REL)
    assert (
        "A full covariance of 6 assets has 21 numbers, one by 2 factors 21; there are 720 returns"
        in found.words[0]
    )


def test_a_singular_sample_covariance_says_so() -> None:
    found = covariance(study_of(factor_panel(T=15, N=20)))
    table = found.table.set_index("estimator")
    assert table.loc["sample", "reason"] == "singular: no inverse"
    assert np.isfinite(table.loc[["factor", "shrunk"], "condition_number"].astype(float)).all()
    assert "The sample covariance is singular" in found.words[1]


def test_spectrum_against_numpy() -> None:
    panel = factor_panel(N=8)
    found = spectrum(study_of(panel))
    eigen = np.sort(np.linalg.eigvalsh(np.corrcoef(panel.y.T)))[::-1]
    np.testing.assert_allclose(found.table["eigenvalue"], eigen, rtol=REL)
    assert found.metrics["above_edge"] == (eigen > (1 + (8 / 120) ** 0.5) ** 2).sum() > 0
    assert found.table["share_so_far"].iloc[-1] == pytest.approx(1.0)
    y = panel.y.copy()
    y[:, 3] = 0.01
    with pytest.raises(DataError, match="target: A3 does not vary"):
        spectrum(study_of(panel_of(y, panel.X)))


# Out of sample


def newey_west(values: np.ndarray) -> Any:
    lags = int(4 * (len(values) / 100) ** (2 / 9))
    keywords = {"maxlags": lags, "use_correction": False}
    return sm.OLS(values, np.ones(len(values))).fit(cov_type="HAC", cov_kwds=keywords, use_t=True)


def test_every_measure_against_a_plain_computation() -> None:
    panel = factor_panel(T=200)
    before, after = panel.y[:140], panel.y[140:]
    X = sm.add_constant(panel.X[:140, 0])
    b = np.linalg.lstsq(X, before, rcond=None)[0]
    F = panel.X[:140, 0]
    matrices = {
        "factor": b[1:].T @ np.cov(F.T) @ b[1:]
        + np.diag(np.sum((before - X @ b) ** 2, axis=0) / 139),
        "sample": np.cov(before.T),
        "shrunk": LedoitWolf().fit(before).covariance_,
    }
    study = study_of(panel, folds=[fold(range(140), range(140, 200))])
    found = risk_out_of_sample(study, rows_per_year=252, portfolios=7, seed=3)
    table = found.table.set_index(["estimator", "measure"])
    drawn = np.random.default_rng(3).standard_normal((7, 6))
    own, density = {}, {}
    for name, S in matrices.items():
        z = after.mean(axis=1) / np.sqrt(S.mean())
        row = table.loc[(name, "bias_equal")]
        assert row["value"] == pytest.approx(z.std(ddof=1), rel=REL)
        half = newey_west((z - z.mean()) ** 2).bse[0] * t.ppf(0.975, 59) / (2 * z.std(ddof=1))
        assert row["ci_high"] - row["value"] == pytest.approx(half, rel=REL)
        assert row["value"] - row["ci_low"] == pytest.approx(half, rel=REL)
        w = np.linalg.inv(S).sum(axis=0) / np.linalg.inv(S).sum()
        own[name], density[name] = (
            after @ w,
            multivariate_normal(before.mean(axis=0), S).logpdf(after),
        )
        bias = table.loc[(name, "bias_minimum_variance"), "value"]
        assert bias == pytest.approx(own[name].std(ddof=1) / np.sqrt(w @ S @ w), rel=REL)
        random = [(after @ v).std(ddof=1) / np.sqrt(v @ S @ v) for v in drawn]
        assert table.loc[(name, "bias_random"), "value"] == pytest.approx(np.mean(random), rel=REL)
        distance = np.mean(np.abs(np.array(random) - 1))
        assert table.loc[(name, "bias_random_deviation"), "value"] == pytest.approx(
            distance, rel=REL
        )
        volatility = table.loc[(name, "minimum_variance_volatility"), "value"]
        assert volatility == pytest.approx(252**0.5 * own[name].std(ddof=1), rel=REL)
        assert table.loc[(name, "log_likelihood"), "value"] == pytest.approx(
            density[name].mean(), rel=REL
        )
        assert (
            found.metrics[f"log_likelihood_{name}"] == table.loc[(name, "log_likelihood"), "value"]
        )
    for name in ("sample", "shrunk"):
        row = table.loc[(name, "log_likelihood")]
        test = newey_west(density[name] - density["factor"])
        assert row["less_factor"] == pytest.approx(
            test.params[0], rel=1e-7
        )  # a small difference of large numbers
        assert row["p_value"] == pytest.approx(test.pvalues[0], rel=1e-6)
        squares = [(own[one] - own[one].mean()) ** 2 for one in (name, "factor")]
        p = table.loc[(name, "minimum_variance_volatility"), "p_value"]
        assert p == pytest.approx(newey_west(squares[0] - squares[1]).pvalues[0], rel=1e-6)
    assert table.loc["factor", "less_factor"].isna().all() and (table["rows"] == 60).all()


def test_only_training_rows_are_estimated_on() -> None:
    panel, parts = factor_panel(T=150), [fold(range(100), range(100, 150))]
    louder = panel.y.copy()
    louder[100:] *= 3.0
    quiet, loud = (
        risk_out_of_sample(study_of(panel_of(y, panel.X), folds=parts)).table.set_index(
            ["estimator", "measure"]
        )["value"]
        for y in (panel.y, louder)
    )
    for measure in (
        "bias_equal",
        "bias_random",
        "bias_minimum_variance",
        "minimum_variance_volatility",
    ):
        for name in ("factor", "sample", "shrunk"):
            assert loud[(name, measure)] == pytest.approx(3.0 * quiet[(name, measure)], rel=1e-12)


def test_several_folds_are_taken_together_and_a_row_of_two_folds_counts_once() -> None:
    panel = factor_panel(T=150)
    one, two = fold(range(100), range(100, 130), "1"), fold(range(110), range(130, 150), "2")
    table = risk_out_of_sample(study_of(panel, folds=[one, two])).table
    assert list(table["fold"].unique()) == ["all", "1", "2"]
    by = table.set_index(["fold", "estimator", "measure"])
    density = by.xs(("factor", "log_likelihood"), level=("estimator", "measure"))["value"]
    assert density["all"] == pytest.approx((30 * density["1"] + 20 * density["2"]) / 50, rel=REL)
    again = risk_out_of_sample(study_of(panel, folds=[one, one._replace(name="2")])).table
    together = again[again["fold"] == "all"].drop(columns="fold").reset_index(drop=True)
    alone = again[again["fold"] == "1"].drop(columns="fold").reset_index(drop=True)
    pd.testing.assert_frame_equal(together, alone, rtol=1e-12)


@pytest.mark.slow
def test_the_interval_of_the_bias_holds_one_in_19_of_20_draws() -> None:
    hits = []
    for seed in range(200):
        panel = factor_panel(T=1_200, N=3, m=1, seed=seed)
        found = risk_out_of_sample(
            study_of(panel, folds=[fold(range(1_000), range(1_000, 1_200))]), portfolios=1
        )
        row = found.table.set_index(["estimator", "measure"]).loc[("factor", "bias_equal")]
        hits.append(row["ci_low"] < 1.0 < row["ci_high"])
    assert (
        0.87 < np.mean(hits) < 0.98
    )  # 95 % less what the error of the estimate and fat tails take; ± 3 errors


def test_without_folds_or_inverse_it_says_so() -> None:
    with pytest.raises(DataError, match="validation: no fold; allowed: one with test rows"):
        risk_out_of_sample(study_of(factor_panel()))
    found = risk_out_of_sample(
        study_of(factor_panel(T=60, N=30), folds=[fold(range(20), range(20, 60))])
    )
    sample = found.table[found.table["estimator"] == "sample"]
    assert list(sample["reason"]) == ["singular: no inverse"] and sample["value"].isna().all()
    assert found.words[0] == "The sample covariance is singular: no inverse."
    assert (
        "log_likelihood_sample" not in found.metrics
        and np.isfinite(list(found.metrics.values())).sum() == 8
    )


@pytest.mark.parametrize("seed", range(3))
def test_holes_do_not_stop_it_and_pictures_are_drawn(seed: int) -> None:
    panel = factor_panel(T=150, N=8, seed=seed)
    y, X = panel.y.copy(), panel.X.copy()
    punch_holes(np.random.default_rng(seed), y, X[:, :1], 0.01, ragged=False)
    X[:, 1:] = X[:, :1]
    study = study_of(panel_of(y, X), folds=[fold(range(100), range(100, 150))])
    with style():
        for analysis in (risk, spectrum, risk_out_of_sample):
            found = analysis(study)
            assert DRAWINGS[found.picture](found.table) is not None
            assert found.words and np.isfinite(list(found.metrics.values())).all()
