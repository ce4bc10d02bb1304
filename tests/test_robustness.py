"""The risks of a factor model: each test held against statsmodels or a loop, and seen to find what it is for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import panel_of, random_arrays
from statsmodels.stats.diagnostic import linear_reset, recursive_olsresiduals
from statsmodels.stats.outliers_influence import variance_inflation_factor
from test_risk import factor_panel, study_of

from runner.analyses.estimates.cusum import boundary, crossing, cusum_test, recursive_residuals
from runner.analyses.estimates.robustness import (
    factor_shape,
    linearity,
    multicollinearity,
    omitted_factor,
)
from runner.analyses.estimates.specification import (
    chow,
    largest_break,
    relation,
    reset,
    shared,
    windows,
)
from runner.analyses.estimates.stability import cusum, rolling_loadings, stability
from runner.analyses.risks.estimation_error import estimation_error
from runner.cli.composition import Composer
from runner.data.sources.simulation.factor_truth import SimulatedFactors
from runner.errors import DataError, SpecError
from runner.experiment.run import run
from runner.models.regression import Regression
from runner.models.study import Study
from runner.numerics.least_squares import NotEstimable
from runner.panels.panel import Panel
from runner.sinks.canvas import style
from runner.sinks.drawings import DRAWINGS

REL = 1e-8  # powers of columns raise the condition number that separates two float64 algorithms
# Andrews (2003), corrigendum, 15 % trimmed, 5 %: asymptotic values of 1 to 5 coefficients.
ANDREWS = {1: 8.68, 2: 11.72, 3: 14.13, 4: 16.36, 5: 18.32}


def arrays(T: int = 150, k: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = sm.add_constant(rng.normal(size=(T, k - 1)) + 0.5)
    return X, X.sum(axis=1) + rng.standard_t(6, size=T)


def truth_study(source: SimulatedFactors, **settings: Any) -> Study:
    F, y = source.sample(source.rows, 0)
    X = np.broadcast_to(F[:, None, :], (*y.shape, F.shape[1])).copy()
    names = [f"F{j + 1}" for j in range(F.shape[1])]
    return study_of(replace(panel_of(y, X), names=names), Regression(**settings))


# A line


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
@pytest.mark.parametrize("cov", ["nonrobust", "HC3"])
def test_reset_is_that_of_statsmodels(cov: str, scale: float) -> None:
    X, y = arrays()
    fitted = sm.OLS(y, X).fit()
    oracle = linear_reset(fitted, power=3, test_type="fitted", use_f=True, cov_type=cov)
    found = reset(X, scale * y, scale * fitted.fittedvalues, cov)
    assert found.f_stat == pytest.approx(float(oracle.fvalue), rel=REL)
    assert (found.df_num, found.df_den) == (2, 145)
    assert found.p_value == pytest.approx(float(oracle.pvalue), rel=1e-6)


def test_reset_of_one_factor_is_the_f_test_of_its_powers() -> None:
    X, y = arrays()
    wide = sm.OLS(y, np.column_stack([X, X[:, 1] ** 2, X[:, 1] ** 3])).fit()
    f, p, _ = wide.compare_f_test(sm.OLS(y, X).fit())
    found = reset(X, y, X[:, 1], "nonrobust")
    assert found.f_stat == pytest.approx(f, rel=REL) and found.p_value == pytest.approx(p, rel=REL)


def test_reset_has_no_answer_for_two_values_or_a_constant() -> None:
    X, y = arrays()
    X[:, 1] = np.arange(150) % 2
    with pytest.raises(NotEstimable, match="the square is constant"):
        reset(X, y, X[:, 1], "HC3")
    with pytest.raises(NotEstimable, match="does not vary"):
        reset(X, y, np.ones(150), "HC3")


def test_linear_none_and_non_linear_are_told_apart() -> None:
    rng = np.random.default_rng(5)
    F = rng.normal(size=(800, 3))
    y = (
        1.0
        + F[:, :1] * [0.5, -0.5]
        + F[:, 1:2] ** 2 * [0.4, -0.4]
        + rng.standard_t(6, size=(800, 2))
    )
    panel = panel_of(y, np.broadcast_to(F[:, None, :], (800, 2, 3)).copy())
    found = linearity(study_of(panel))
    each = found.table.set_index(["unit", "term"])
    for unit in ("A0", "A1"):
        assert [each.loc[(unit, f"x{j}"), "relation"] for j in range(3)] == [
            "linear",
            "non-linear",
            "none",
        ]
    X = sm.add_constant(F)
    oracle = sm.OLS(y[:, 0], X).fit(cov_type="HC3", use_t=True)
    np.testing.assert_allclose(
        [each.loc[("A0", f"x{j}"), "slope"] for j in range(3)], oracle.params[1:], rtol=REL
    )
    np.testing.assert_allclose(
        [each.loc[("A0", f"x{j}"), "slope_p"] for j in range(3)],
        oracle.pvalues[1:],
        rtol=1e-6,
        atol=1e-15,
    )
    joint = linear_reset(oracle, power=3, test_type="fitted", use_f=True, cov_type="HC3")
    assert each.loc[("A0", "all"), "reset_p"] == pytest.approx(float(joint.pvalue), rel=1e-6)
    assert found.metrics["non_linear_share"] == pytest.approx(1 / 3)
    assert (
        found.words[1]
        == "x1 and returns: linear in 0, non-linear in 2, none in 0 of 2 assets at 5 %."
    )


def test_the_shape_of_a_factor_is_the_mean_of_partial_returns_in_groups() -> None:
    panel = factor_panel(T=63, N=4)
    y = panel.y.copy()
    y[5, 2], y[40:, 3] = np.nan, np.nan
    panel = panel_of(y, panel.X)
    found = factor_shape(study_of(panel), groups=6)
    partial = np.full((63, 4), np.nan)
    slopes = np.full((63, 4), np.nan)
    for i in range(4):
        use = np.isfinite(y[:, i])
        fit = sm.OLS(y[use, i], sm.add_constant(panel.X[use, i])).fit()
        partial[use, i] = fit.resid + fit.params[2] * panel.X[use, i, 1]
        slopes[use, i] = fit.params[2]
    F = panel.X[:, 0, 1]
    groups = np.array_split(np.argsort(F), 6)
    table = found.table[found.table["term"] == "x1"]
    mean = np.nanmean(partial, axis=1)
    np.testing.assert_allclose(
        table["partial"], [mean[at].mean() for at in groups], rtol=1e-7, atol=1e-12
    )
    np.testing.assert_allclose(table["factor"], [F[at].mean() for at in groups], rtol=REL)
    np.testing.assert_allclose(
        table["line"], [(np.nanmean(slopes, axis=1) * F)[at].mean() for at in groups], rtol=1e-7
    )
    np.testing.assert_allclose(
        table["std_error"], [mean[at].std(ddof=1) / len(at) ** 0.5 for at in groups], rtol=1e-7
    )
    assert list(table["rows"]) == [11, 11, 11, 10, 10, 10]
    with pytest.raises(DataError, match="groups: given 32; allowed: at most half of the 63 rows"):
        factor_shape(study_of(panel), groups=32)


def test_a_relation_is_only_named_where_both_tests_were_made() -> None:
    assert relation(0.01, 0.2, 0.05) == "linear" and relation(0.2, 0.2, 0.05) == "none"
    assert relation(0.2, 0.01, 0.05) == "non-linear" and relation(np.nan, 0.01, 0.05) == ""


# Constant coefficients


def test_chow_is_the_classical_f_and_the_robust_wald_test_of_statsmodels() -> None:
    X, y = arrays()
    ssr = [
        sm.OLS(y[part], X[part]).fit().ssr for part in (slice(None), slice(0, 70), slice(70, None))
    ]
    f = (ssr[0] - ssr[1] - ssr[2]) / 3 / ((ssr[1] + ssr[2]) / (150 - 6))
    found = chow(X, y, 70, "nonrobust")
    assert found.f_stat == pytest.approx(f, rel=REL) and (found.df_num, found.df_den) == (3, 144)
    after = (np.arange(150) >= 70)[:, None]
    for cov, lags in (("HC3", 0), ("HAC", 4)):
        keywords = {"maxlags": 4, "use_correction": False} if cov == "HAC" else {}
        wide = sm.OLS(y, np.column_stack([X, X * after])).fit(
            cov_type=cov, cov_kwds=keywords, use_t=True
        )
        oracle = wide.f_test(np.eye(6)[3:])
        assert chow(X, y, 70, cov, lags).f_stat == pytest.approx(float(oracle.fvalue), rel=REL)  # type: ignore[arg-type]


@pytest.mark.parametrize("lags", [0, 3])
def test_the_largest_break_is_that_of_a_loop_over_dates(lags: int) -> None:
    X, y = arrays(T=90)
    u = sm.OLS(y, X).fit().resid
    scores = X * u[:, None]
    V = scores.T @ scores / 90
    for lag in range(1, lags + 1):
        product = scores[lag:].T @ scores[:-lag] / 90
        V += (1 - lag / (lags + 1)) * (product + product.T)
    path = {}
    for before in range(14, 90 - 14 + 1):  # 14 = ceil(.15 * 90)
        S = scores[:before].sum(axis=0) / 90**0.5
        path[before] = S @ np.linalg.inv(V) @ S / (before / 90 * (1 - before / 90))
    found = largest_break(X, u, 0.15, lags, 199)
    assert found.statistic == pytest.approx(max(path.values()), rel=REL)
    assert found.row == max(path, key=path.__getitem__)
    assert largest_break(1e-6 * X, 1e9 * u, 0.15, lags, 199).statistic == pytest.approx(
        found.statistic, rel=REL
    )


@pytest.mark.parametrize("k", ANDREWS)
def test_p_values_agree_with_the_critical_values_of_andrews(k: int) -> None:
    from runner.analyses.estimates.specification import _tied_down

    limit = _tied_down(k, 500, 0.15, 5_000)
    # 5 % within three Monte Carlo errors (.0031 each), and what 500 steps instead of a path take off the largest.
    assert 0.05 - 0.0093 - 0.008 < np.mean(limit >= ANDREWS[k]) < 0.05 + 0.0093


@pytest.mark.slow
@pytest.mark.parametrize("tail", [5, 1000])
def test_tests_reject_a_true_null_one_time_in_twenty(tail: int) -> None:
    rng, hits = np.random.default_rng(0), []
    for _ in range(500):
        X = np.column_stack([np.ones(250), rng.normal(size=(250, 3))])
        y = X.sum(axis=1) + rng.standard_t(tail, size=250)
        u = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
        tests = (
            largest_break(X, u, 0.15, 0, 4999),
            chow(X, y, 125, "HC3"),
            reset(X, y, X[:, 1], "HC3"),
        )
        hits.append([one.p_value < 0.05 for one in tests])
    assert (np.abs(np.mean(hits, axis=0) - 0.05) < 0.035).all()  # three Monte Carlo errors of .0097


def test_a_break_is_found_where_it_is() -> None:
    source = SimulatedFactors(
        rows=600, assets=5, factors=1, change="break", change_at=0.4, change_scale=1.0, noise=0.1
    )
    study = truth_study(source)
    moved = np.abs(source.truth().change[:, 0]) > 0.5
    table = stability(study).table[moved]
    assert moved.sum() >= 2 and (table["chow_p"] < 0.01).all() and (table["largest_p"] < 0.01).all()
    far = table["chow_p"] < 1e-10  # a break that is hardly seen is not well dated
    gap = np.abs(study.panel.dates.get_indexer(table.loc[far, "largest_date"]) - 240)
    assert (
        len(gap) == 2 and (gap < 30).all() and (table["chow_date"] == study.panel.dates[300]).all()
    )


def test_no_break_is_found_where_there_is_none() -> None:
    found = stability(truth_study(SimulatedFactors(rows=400, assets=20, factors=2)))
    assert (found.table["chow_p"] < 0.05).sum() <= 4 and (
        found.table["largest_p"] < 0.05
    ).sum() <= 4  # 1 expected
    assert "of 20 assets, where chance alone would give about 1" in found.words[1]


def test_too_few_rows_for_a_break_are_a_reason() -> None:
    panel = factor_panel(T=60)
    y = panel.y.copy()
    y[5:, 0], y[2:, 1] = np.nan, np.nan
    table = stability(study_of(panel_of(y, panel.X))).table
    assert table.loc[0, "reason"] and np.isnan(table.loc[0, "chow_p"])
    assert table.loc[1, "reason"].startswith("no estimates")
    assert (table.loc[2:, "reason"] == "").all() and table.loc[2:, "largest_p"].notna().all()
    with pytest.raises(DataError, match=r"trim: given 0.5; allowed: below 0.5"):
        stability(study_of(panel), trim=0.5)


def test_windows_end_with_the_last_row() -> None:
    assert [(rows[0], rows[-1]) for rows in windows(11, 4, 3)] == [(1, 4), (4, 7), (7, 10)]
    assert [(rows[0], rows[-1]) for rows in windows(4, 4, 3)] == [(0, 3)]


def test_rolling_loadings_are_regressions_on_windows() -> None:
    panel = factor_panel(T=100, N=3)
    found = rolling_loadings(study_of(panel, Regression(cov="HC1")), window=40, step=30)
    table = found.table.set_index(["date", "unit", "term"])
    assert table.index.get_level_values("date").unique().equals(panel.dates[[39, 69, 99]])
    for end in (40, 70, 100):
        oracle = sm.OLS(
            panel.y[end - 40 : end, 1], sm.add_constant(panel.X[end - 40 : end, 1])
        ).fit(cov_type="HC1")
        rows = table.loc[(panel.dates[end - 1], "A1")]
        np.testing.assert_allclose(rows["estimate"], oracle.params, rtol=1e-7)
        np.testing.assert_allclose(rows["std_error"], oracle.bse, rtol=1e-7)
    by = found.table.groupby(["term", "unit"]).agg(
        spread=("estimate", "std"), error=("std_error", "mean")
    )
    ratio = by.groupby("term").mean().eval("spread / error")
    assert found.metrics["spread_over_error"] == pytest.approx(ratio[["x0", "x1"]].max(), rel=REL)
    with pytest.raises(DataError, match="window: given 101; allowed: at most the 100 rows"):
        rolling_loadings(study_of(panel), window=101)


def test_rolling_loadings_hold_the_components_of_all_rows() -> None:
    panel = factor_panel(T=90, N=4)
    study = study_of(panel, Regression(components=1, regressors=["x0"]))
    table = rolling_loadings(study, window=90).table
    np.testing.assert_allclose(
        table["estimate"].to_numpy().reshape(4, 3), study.fit.params, rtol=1e-9
    )
    assert list(table["term"][:3]) == ["const", "x0", "PC1"]


# CUSUM


@pytest.mark.parametrize(("scale", "k"), [(1e-9, 3), (1.0, 1), (1.0, 5), (1e6, 3)])
def test_cusum_is_that_of_statsmodels(scale: float, k: int) -> None:
    X, y = arrays(k=k, seed=k)
    X[:, 1:] = X[:, 1:] * 1e-3 + 0.02
    y = scale * y
    _, _, _, standardised, scaled, path, bounds = recursive_olsresiduals(sm.OLS(y, X).fit(), skip=k)
    w = recursive_residuals(X, y)
    # The first rows determine the coefficients hardly; their condition number costs both some digits.
    np.testing.assert_allclose(w, scaled[k:], rtol=1e-6, atol=1e-9 * scale)
    found = cusum_test(w)
    np.testing.assert_allclose(found.path * len(w) ** 0.5, path[1:] - path[0], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(w / w.std(ddof=1), standardised[k:], rtol=1e-6, atol=1e-9)
    line = boundary(0.05) * (1 + 2 * np.arange(0, len(w)) / len(w)) * len(w) ** 0.5
    np.testing.assert_allclose(line, bounds[1], rtol=1e-3)  # statsmodels rounds to .948
    over = (
        np.abs(path[1:] - path[0]) / np.sqrt(len(w)) / (1 + 2 * np.arange(1, len(w) + 1) / len(w))
    )
    assert found.position == over.argmax() and found.statistic == pytest.approx(
        over.max(), rel=1e-6
    )


def test_recursive_residuals_are_forecast_errors_over_their_scale() -> None:
    X, y = arrays(T=40)
    w = recursive_residuals(X, y)
    assert len(w) == 37
    for t in (3, 10, 39):
        b, inverse = np.linalg.lstsq(X[:t], y[:t], rcond=None)[0], np.linalg.inv(X[:t].T @ X[:t])
        assert w[t - 3] == pytest.approx(
            (y[t] - X[t] @ b) / (1 + X[t] @ inverse @ X[t]) ** 0.5, rel=1e-7
        )
    assert (w**2).sum() == pytest.approx(
        sm.OLS(y, X).fit().ssr, rel=REL
    )  # Brown, Durbin and Evans (1975), lemma 2


def test_recursive_residuals_begin_where_every_coefficient_is_determined() -> None:
    X, y = arrays(T=60)
    X[:20, 2] = 0.0
    assert len(recursive_residuals(X, y)) == 60 - 21
    X[:58, 2] = 0.0
    with pytest.raises(
        NotEstimable, match="the first 59 of 60 rows do not determine every coefficient"
    ):
        recursive_residuals(X, y)
    with pytest.raises(NotEstimable, match="5 rows for 3 terms; needs 6"):
        recursive_residuals(X[:5], y[:5])
    X[:, 2] = X[:, 1]
    with pytest.raises(NotEstimable, match="the columns are collinear"):
        recursive_residuals(X, y)


@pytest.mark.parametrize(("level", "published"), [(0.01, 1.143), (0.05, 0.948), (0.10, 0.850)])
def test_boundaries_are_those_of_brown_durbin_and_evans(level: float, published: float) -> None:
    assert boundary(level) == pytest.approx(published, abs=6e-4)
    assert crossing(published) == pytest.approx(level, abs=4e-4)


def test_the_chance_of_crossing_falls_without_a_step() -> None:
    a = np.linspace(0.0, 3.0, 301)
    p = np.array([crossing(float(one)) for one in a])
    assert (np.diff(p) < 0).all() and np.abs(np.diff(p)).max() < 0.025 and p[0] == 1.0


def test_cusum_sees_a_constant_that_moves_and_not_one_that_stays() -> None:
    panel = factor_panel(T=200, N=4)
    y = panel.y.copy()
    y[100:, 1] += 0.02
    y[5:, 2], y[150:, 3] = np.nan, np.nan
    found = cusum(study_of(panel_of(y, panel.X)))
    each = found.table.drop_duplicates("unit").set_index("unit")
    assert each.loc["A1", "p_value"] < 0.01 and each.loc["A0", "p_value"] > 0.05
    part = found.table[found.table["unit"] == "A1"]
    crossed = part.loc[part["cusum"].abs() > part["bound"], "date"]
    assert crossed.min() > panel.dates[100]
    assert each.loc["A2", "reason"] and np.isnan(each.loc["A2", "p_value"])
    assert each.loc["A3", "rows"] == 147 and found.table["date"].max() == panel.dates[-1]
    assert (
        "rejects at 5 % in 1 of 3 assets" in found.words[0]
        and found.words[1] == "1 asset could not be tested."
    )
    assert found.metrics["rejected_share"] == pytest.approx(1 / 3)
    w = recursive_residuals(sm.add_constant(panel.X[:, 0]), panel.y[:, 0])
    own = found.table[found.table["unit"] == "A0"]
    np.testing.assert_allclose(own["cusum"], cusum_test(w).path, rtol=1e-9)
    np.testing.assert_allclose(
        own["bound"], boundary(0.05) * (1 + 2 * np.arange(1, 198) / 197), rtol=1e-12
    )
    assert list(own["date"]) == list(panel.dates[3:])
    with style():
        assert DRAWINGS[found.picture](found.table) is not None
        assert DRAWINGS[found.picture](found.table.assign(cusum=np.nan)) is None


def test_a_long_path_is_thinned_and_keeps_its_largest() -> None:
    found = cusum(study_of(factor_panel(T=900, N=1)))
    assert len(found.table) <= 251
    over = found.table["cusum"].abs() / (found.table["bound"] / boundary(0.05))
    assert over.max() == pytest.approx(found.table["statistic"].iloc[0], rel=1e-12)


@pytest.mark.slow
def test_cusum_rejects_a_true_null_at_most_one_time_in_twenty() -> None:
    rng, p = np.random.default_rng(0), []
    for _ in range(4000):
        X = np.column_stack([np.ones(500), rng.normal(size=(500, 2))])
        p.append(cusum_test(recursive_residuals(X, X.sum(axis=1) + rng.normal(size=500))).p_value)
    # Sums at 497 rows miss some crossings of the path between them: below 5 %, within three Monte Carlo errors.
    assert 0.05 - 0.0103 - 0.012 < np.mean(np.array(p) < 0.05) < 0.05 + 0.0103
    assert 0.10 - 0.0142 - 0.02 < np.mean(np.array(p) < 0.10) < 0.10 + 0.0142


# An omitted factor


def test_what_residuals_share_against_numpy() -> None:
    u = factor_panel(T=80, N=5).y
    R = np.corrcoef(u.T)
    found = shared(u, 19, 0)
    assert found.mean_correlation == pytest.approx(np.abs(R - np.eye(5)).sum() / 20, rel=REL)
    assert found.largest == pytest.approx(np.linalg.eigvalsh(R)[-1], rel=REL)
    assert found.p_largest == pytest.approx(1 / 20)
    apart = shared(np.random.default_rng(1).standard_t(3, size=(200, 10)), 199, 0)
    assert apart.expected_correlation == pytest.approx(
        (2 / np.pi / 200) ** 0.5, rel=0.1
    )  # mean of |normal|
    assert apart.p_largest > 0.05 and apart.p_correlation > 0.05


def test_an_omitted_factor_is_found_and_a_complete_model_is_not_accused() -> None:
    source = SimulatedFactors(rows=400, assets=8, factors=2, factor_decay=1.0)
    complete, short = (
        omitted_factor(truth_study(source, regressors=names)) for names in (None, ["F1"])
    )
    assert complete.metrics["p_value"] > 0.05 and short.metrics["p_value"] == pytest.approx(1 / 200)
    assert (
        "no omitted factor was found, which does not prove that there is none" in complete.words[1]
    )
    assert "the residuals share a factor" in short.words[1]


def test_the_null_of_no_omitted_factor_is_rejected_one_time_in_twenty() -> None:
    source = SimulatedFactors(rows=60, assets=4, factors=1)
    p = [
        shared(source.sample(60, draw)[1] - np.outer(*_fitted(source, draw)), 39, draw).p_largest
        for draw in range(1, 201)
    ]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(
        0.05, abs=0.046
    )  # three Monte Carlo errors


def _fitted(source: SimulatedFactors, draw: int) -> tuple[np.ndarray, np.ndarray]:
    return source.sample(60, draw)[0][:, 0], source.truth().loadings[:, 0]


def test_an_asset_that_is_a_factor_is_left_out_and_counted() -> None:
    panel = factor_panel(T=80, N=5)
    y = panel.y.copy()
    y[:, 2] = panel.X[:, 0, 0]
    table = omitted_factor(study_of(panel_of(y, panel.X)), permutations=9).table
    assert (
        (table["assets"] == 4).all()
        and (table["assets_left_out"] == 1).all()
        and table["value"].notna().all()
    )


# Collinear factors


def test_multicollinearity_against_statsmodels_and_numpy() -> None:
    panel = factor_panel(T=100, m=3)
    X = panel.X.copy()
    X[:, :, 2] = X[:, :, 0] - X[:, :, 1] + 0.1 * X[:, :, 2]
    found = multicollinearity(study_of(panel_of(panel.y, X)))
    Z = sm.add_constant(X[:, 0])
    vif = [variance_inflation_factor(Z, j) for j in (1, 2, 3)]
    np.testing.assert_allclose(found.table["vif"], vif, rtol=REL)
    assert found.metrics["condition_number"] == pytest.approx(
        np.linalg.cond(Z / np.linalg.norm(Z, axis=0)), rel=REL
    )
    R = np.corrcoef(X[:, 0].T)
    assert list(found.table["with_term"]) == [f"x{j}" for j in np.abs(R - np.eye(3)).argmax(axis=0)]
    assert found.table["largest_correlation"].iloc[1] == pytest.approx(R[1, 2], rel=REL)
    assert "separate loadings are imprecise" in found.words[0]
    alone = multicollinearity(study_of(factor_panel(m=1)))
    assert (
        alone.table["vif"].iloc[0] == pytest.approx(1.0) and alone.table["with_term"].iloc[0] == ""
    )


# Estimation error


def test_intervals_hold_the_truth_and_errors_shrink_with_the_root_of_rows() -> None:
    source = SimulatedFactors(rows=100, assets=4, factors=2, seed=2)
    table = estimation_error(truth_study(source), source=source, rows=[50, 800], draws=40).table
    # 480 loadings, of which those of one draw share factors: three Monte Carlo errors.
    assert (np.abs(table["coverage"] - 0.95) < 3 * table["coverage_error"] + 0.002).all()
    assert table["coverage_error"].between(0.004, 0.025).all()
    assert table["rmse"].iloc[0] / table["rmse"].iloc[1] == pytest.approx(4.0, rel=0.15)
    np.testing.assert_allclose(table["std_error"], table["rmse"], rtol=0.15)
    assert (table["covariance_error_factor"] < table["covariance_error_sample"]).all()


def test_estimation_error_against_a_loop() -> None:
    source = SimulatedFactors(rows=80, assets=3, factors=2, alpha_spread=0.001)
    row = estimation_error(truth_study(source), source=source, rows=[40], draws=3).table.iloc[0]
    truth, gaps, inside, distance = source.truth(), [], [], []
    for draw in (1, 2, 3):
        F, y = source.sample(40, draw)
        fits = [sm.OLS(y[:, i], sm.add_constant(F)).fit() for i in range(3)]
        gaps += [fit.params[1:] - truth.loadings[i] for i, fit in enumerate(fits)]
        bounds = [fit.conf_int()[1:] for fit in fits]
        inside += [
            (b[:, 0] < truth.loadings[i]) & (truth.loadings[i] < b[:, 1])
            for i, b in enumerate(bounds)
        ]
        B = np.array([fit.params[1:] for fit in fits])
        S = B @ np.cov(F.T) @ B.T + np.diag([fit.ssr / 39 for fit in fits])
        distance.append(np.linalg.norm(S - truth.covariance) / np.linalg.norm(truth.covariance))
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(gaps))), rel=REL)
    assert row["rmse_root_rows"] == pytest.approx(row["rmse"] * 40**0.5, rel=REL)
    assert row["coverage"] == pytest.approx(np.mean(inside)) and row["draws"] == 3
    assert row["bias"] == pytest.approx(
        np.abs(np.mean(np.reshape(gaps, (3, 3, 2)), axis=0)).mean(), rel=REL
    )
    assert row["covariance_error_factor"] == pytest.approx(np.mean(distance), rel=REL)


def test_an_omitted_factor_that_correlates_ruins_the_coverage() -> None:
    source = SimulatedFactors(
        rows=200, assets=4, factors=2, factor_correlation=0.7, factor_decay=1.0
    )
    study = truth_study(source, regressors=["F1"])
    row = estimation_error(study, source=source, rows=[400], draws=20).table.iloc[0]
    assert row["coverage"] < 0.6 and row["bias"] > 3 * row["std_error"]


def test_components_have_a_covariance_error_only_and_too_few_rows_a_reason() -> None:
    source = SimulatedFactors(rows=120, assets=6, factors=2)
    study = truth_study(source, components=2, regressors=[])
    found = estimation_error(study, source=source, rows=[100, 2], draws=4)
    first, second = found.table.iloc[0], found.table.iloc[1]
    assert (
        np.isnan(first["rmse"])
        and first["covariance_error_factor"] > 0
        and "rotation" in first["reason"]
    )
    assert second["failed"] == 4 and second["draws"] == 0 and "model.components" in second["reason"]
    assert found.words[1].startswith("2 rows: nothing could be estimated, ")


def test_features_that_are_no_factors_of_the_source_are_refused() -> None:
    with pytest.raises(DataError, match="source: its factors are F1, F2, F3; given the feature x0"):
        estimation_error(study_of(factor_panel()), source=SimulatedFactors())


# What does not suit


@pytest.mark.parametrize(
    "analysis", [linearity, factor_shape, stability, cusum, rolling_loadings, multicollinearity]
)
def test_other_models_are_refused(analysis: Any) -> None:
    y, X = random_arrays(0, 40, 9, 2)
    for model in (
        Regression(by="date"),
        Regression(by=None),
        Regression(estimator="ridge", penalty=1.0),
    ):
        with pytest.raises(DataError, match="model"):
            analysis(study_of(panel_of(y, X), model))
    with pytest.raises(DataError, match="model: allowed: by=asset with a constant"):
        analysis(study_of(factor_panel(), Regression(constant=False)))


# As a user


def words(*more: str) -> list[str]:
    small = [
        "data.rows=140",
        "data.assets=5",
        "analyses.estimation_error.draws=3",
        "validation.train_end=2015-04-30",
    ]
    small += ["analyses.rolling_loadings.window=60", "analyses.omitted_factor.permutations=19"]
    return ["experiment=factor_model_simulated", *small, "analyses.stability.draws=99", *more]


@pytest.mark.parametrize(
    "more", [[], ["features=none", "model.components=2"], ["data.change=drift", "model.cov=HAC"]]
)
def test_the_experiment_with_known_truth_runs_and_draws(more: list[str]) -> None:
    report = run(Composer().job(words(*more)).experiment)
    assert set(report.findings) == {
        *(
            "risk",
            "covariance",
            "factor_shape",
            "spectrum",
            "risk_out_of_sample",
            "linearity",
            "omitted_factor",
            "stability",
        ),
        *("rolling_loadings", "multicollinearity", "estimation_error"),
    }
    with style():
        for found in report.findings.values():
            assert not isinstance(found.words, str) and (found.words or found.picture)
            assert not found.picture or DRAWINGS[found.picture](found.table) is not None
    assert report.metrics["risk/explained_share"] > 0.1


def test_a_source_without_truth_is_refused_before_any_data() -> None:
    with pytest.raises(SpecError) as caught:
        Composer().job([*words()[:1], "data=french"])
    line = "analyses.estimation_error.source._target_: French has no method truth; allowed here: a class that has"
    assert line in caught.value.mistakes


def test_tables_are_tidy_for_many_assets_too() -> None:
    panel = factor_panel(T=70, N=45, m=1)
    with style():
        for analysis in (linearity, rolling_loadings):
            found = analysis(study_of(panel))
            assert (
                isinstance(found.table, pd.DataFrame) and not found.table.columns.duplicated().any()
            )
            assert DRAWINGS[found.picture](found.table) is not None


def test_panels_are_left_as_they_were() -> None:
    study = truth_study(SimulatedFactors(rows=120, assets=4, factors=2))
    before = _copied(study.panel)
    for analysis in (linearity, stability, rolling_loadings, multicollinearity, omitted_factor):
        analysis(study)
    for one, other in zip(before, _copied(study.panel), strict=True):
        np.testing.assert_array_equal(one, other)


def _copied(panel: Panel) -> tuple[np.ndarray, ...]:
    return panel.y.copy(), panel.X.copy(), panel.valid.copy()
