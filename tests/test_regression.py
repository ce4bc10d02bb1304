"""The regression model on panels with every fault that panels have: against statsmodels, asset by asset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import (
    ERRORS,
    FLOOR,
    P_FLOOR,
    QUICK,
    close,
    design,
    ols,
    panel_of,
    punch_holes,
    random_arrays,
    shapes,
    term_names,
)

from runner.errors import DataError, EstimationError
from runner.models.fit import COEFFICIENTS, DIAGNOSTICS, HYPOTHESES, QUALITY, Fit, mean_group
from runner.models.regression import Regression
from runner.numerics.covariance import default_lags
from runner.panels.panel import Panel

EXACT = "fits exactly: no errors, tests or diagnostics"
# What may be wrong with an asset, and the reason that must be given: {n} rows, {k} terms.
FAULTS = {
    "sound": "",
    "collinear": "collinear: x0, x1",
    "flat": "x0 is constant",
    "flat target": "the target is constant",
    "exact": EXACT,
    "empty": "0 rows for {k} terms; needs at least {enough}",
    "short": "{k} rows for {k} terms; needs at least {enough}",
    "enough": "",
}


def spoil(panel: Panel, i: int, fault: str, k: int) -> None:
    """Put a fault into asset i, in place; cells stay as valid as they are, but for too few rows."""
    y, X = panel.y[:, i], panel.X[:, i]
    if fault == "collinear":
        X[:, 1] = 3.0 * X[:, 0]
    if fault == "flat":
        X[:, 0] = 5.0
    if fault == "flat target":
        y[:] = np.where(np.isnan(y), np.nan, 0.1)
    if fault == "exact":
        y[:] = np.where(np.isnan(y), np.nan, np.nan_to_num(X).sum(axis=1))
    if fault in {"empty", "short", "enough"}:
        left = {"empty": 0, "short": k, "enough": k + 1}[fault]
        panel.valid[np.flatnonzero(panel.valid[:, i])[left:], i] = False


@st.composite
def faulty(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    """A shape with at least one sound asset, and the fault of each asset."""
    shape = draw(shapes())
    possible = [f for f in FAULTS if not (f == "collinear" and shape["K"] < 2)]
    if shape["K"] == 0 or not shape["constant"]:
        possible = [f for f in possible if f not in {"flat", "exact"}]
    faults = draw(st.lists(st.sampled_from(possible), min_size=0, max_size=4))
    return shape | {"N": len(faults) + 1}, [*faults, "sound"]


def drawn(shape: dict[str, Any], faults: list[str]) -> tuple[Panel, np.ndarray]:
    """The panel and the rows to fit on: a part of its rows with a hole in the middle, as a fold leaves."""
    rng = np.random.default_rng(shape["seed"])
    y, X = random_arrays(shape["seed"], shape["T"], shape["N"], shape["K"])
    punch_holes(rng, y, X, shape["share"], shape["ragged"])
    panel = panel_of(y, X, horizon=shape["lags"])
    rows = np.delete(np.arange(2, shape["T"]), slice(10, 13))
    outside = np.ones(shape["T"], dtype=bool)
    outside[rows] = False
    panel.valid[outside] = False
    for i, fault in enumerate(faults):
        spoil(panel, i, fault, shape["K"] + shape["constant"])
    panel.valid[outside] = np.isfinite(y[outside]) & np.isfinite(X[outside]).all(axis=2)
    return panel, rows


def asked(shape: dict[str, Any]) -> tuple[list[str], list[tuple[np.ndarray, np.ndarray]]]:
    """Hypotheses as text, and the same as R and q on the terms."""
    names, eye = term_names(shape["K"], shape["constant"]), np.eye(shape["K"] + shape["constant"])
    last = names[-1]
    texts, systems = [f"{last} = 0.5"], [(eye[[-1]], np.array([0.5]))]
    if len(names) > 1:
        texts += [f"2*{last} - {names[0]} = 1", f"{last} = 1, {names[0]} = -0.25"]
        systems += [
            (2.0 * eye[[-1]] - eye[[0]], np.array([1.0])),
            (eye[[-1, 0]], np.array([1.0, -0.25])),
        ]
    return texts, systems


def model(shape: dict[str, Any], **settings: Any) -> Regression:
    lags = (
        shape["lags"] if shape["cov"] == "HAC" and shape["lags"] != 3 else None
    )  # null on one draw in seven
    return Regression(cov=shape["cov"], cov_lags=lags, constant=shape["constant"], **settings)


@QUICK
@given(faulty())
def test_every_asset_is_statsmodels_or_has_its_reason(
    drawing: tuple[dict[str, Any], list[str]],
) -> None:
    shape, faults = drawing
    panel, rows = drawn(shape, faults)
    texts, systems = asked(shape)
    regression = model(shape, hypotheses=texts, confidence=0.9)
    fit = regression.fit(panel, rows)
    diagnosed = regression.diagnose(fit, panel, rows)
    terms = term_names(shape["K"], shape["constant"])
    k = len(terms)
    assert list(fit.quality["unit"]) == panel.assets
    for i, (asset, fault) in enumerate(zip(panel.assets, faults, strict=True)):
        mine = rows[panel.valid[rows, i]]
        X, y, n = design(panel.X[mine, i], shape["constant"]), panel.y[mine, i], len(mine)
        quality = fit.quality.set_index("unit").loc[asset]
        table = fit.coefficients.query("unit == @asset")
        tests = fit.hypotheses.query("unit == @asset")
        lags = (
            default_lags(n, shape["lags"]) if regression.cov_lags is None else regression.cov_lags
        )
        reason = FAULTS[fault].format(k=k, enough=k + 1)
        if shape["cov"] == "HAC" and lags >= n and reason == "":
            reason = f"cov_lags={lags} with {n} rows; allowed: less than the rows"
        assert quality["reason"] == reason
        assert quality["n_obs"] == n
        if reason == EXACT:
            close(table["estimate"], [0.0] + [1.0] * (k - 1), "exact estimates", floor=1e-10)
            assert (
                table[["std_error", "t_stat", "p_value", "ci_low", "ci_high"]].isna().all(axis=None)
            )
            assert quality[["f_stat", "f_p_value", "log_likelihood", "aic", "bic"]].isna().all()
            assert list(tests["reason"]) == [EXACT] * len(texts) and tests["f_stat"].isna().all()
        elif reason:
            assert table.empty and tests.empty
            assert np.isnan(fit.params[i]).all()
            assert (
                quality[["r2", "r2_adj", "f_stat", "residual_std", "aic", "bic", "log_likelihood"]]
                .isna()
                .all()
            )
        else:
            oracle = ols(X, y, shape["constant"], shape["cov"], lags)
            same_table(table, fit.params[i], oracle, terms)
            same_quality(quality, oracle, shape)
            same_tests(tests, oracle, texts, systems)
            assert quality["cov"] == shape["cov"]
            assert (
                quality["cov_lags"] == lags
                if shape["cov"] == "HAC"
                else np.isnan(quality["cov_lags"] or np.nan)
            )
        assert (asset in set(diagnosed["unit"])) == (reason == "")
    assert list(diagnosed.columns) == ["scope", "unit", *DIAGNOSTICS]


def same_table(table: pd.DataFrame, params: np.ndarray, oracle: Any, terms: list[str]) -> None:
    error = oracle.bse
    assert list(table["term"]) == terms
    close(table["estimate"] / error, oracle.params / error, "estimates")
    np.testing.assert_array_equal(params, table["estimate"])
    close(table["std_error"] / error, np.ones(len(terms)), "errors")
    close(table["t_stat"], oracle.tvalues, "t")
    close(table["p_value"], oracle.pvalues, "p", floor=P_FLOOR)
    close(table["ci_low"] / error, oracle.conf_int(alpha=0.1)[:, 0] / error, "low")
    close(table["ci_high"] / error, oracle.conf_int(alpha=0.1)[:, 1] / error, "high")


def same_quality(quality: pd.Series, oracle: Any, shape: dict[str, Any]) -> None:
    unexplained = oracle.ssr / oracle.centered_tss  # about the mean with a constant and without
    adjusted = 1.0 - unexplained * (oracle.nobs - 1.0) / oracle.df_resid
    floor = (
        FLOOR * oracle.nobs * (oracle.uncentered_tss / oracle.centered_tss)
    )  # (1 - r2) times up to n
    close(quality["r2"], 1.0 - unexplained, "r2", floor=floor)
    close(quality["r2_adj"], adjusted, "r2_adj", floor=floor)
    with_constant = oracle.k_constant == 1
    close(quality["r2_uncentred"], np.nan if with_constant else oracle.rsquared, "r2_uncentred")
    for name, value in (("log_likelihood", oracle.llf), ("aic", oracle.aic), ("bic", oracle.bic)):
        close(
            quality[name], value, name, floor=FLOOR * oracle.nobs
        )  # a sum over rows that may cancel
    close(quality["residual_std"], np.sqrt(oracle.scale), "residual_std")
    assert quality["df_resid"] == oracle.df_resid
    if shape["K"]:
        close(quality["f_stat"], oracle.fvalue, "F")
        close(quality["f_p_value"], oracle.f_pvalue, "p of F", floor=P_FLOOR)
    else:
        assert np.isnan(quality["f_stat"]) and np.isnan(quality["f_p_value"]), (
            "a constant alone has no slopes"
        )


def same_tests(tests: pd.DataFrame, oracle: Any, texts: list[str], systems: list[Any]) -> None:
    assert list(tests["hypothesis"]) == texts and set(tests["reason"]) == {""}
    for row, system in zip(tests.itertuples(), systems, strict=True):
        expected = oracle.f_test(system)
        close(row.f_stat, expected.fvalue, row.hypothesis)
        close(row.p_value, expected.pvalue, f"p of {row.hypothesis}", floor=P_FLOOR)
        assert (row.df_num, row.df_den) == (expected.df_num, expected.df_denom)


def plain(seed: int = 0, T: int = 80, N: int = 3, K: int = 3, horizon: int = 0) -> Panel:
    y, X = random_arrays(seed, T, N, K)
    punch_holes(np.random.default_rng(seed), y, X, share=0.1, ragged=True)
    return panel_of(y, X, horizon)


def same_fit(a: Fit, b: Fit) -> None:
    pd.testing.assert_frame_equal(a.coefficients, b.coefficients)
    pd.testing.assert_frame_equal(a.quality, b.quality)
    pd.testing.assert_frame_equal(a.hypotheses, b.hypotheses)
    np.testing.assert_array_equal(a.params, b.params)


@pytest.mark.parametrize("cov", ERRORS)
def test_a_fit_depends_on_its_rows_alone(cov: str) -> None:
    """Whatever stands in the rows that are not asked for, seen or unseen, changes nothing."""
    panel, rows = plain(1, horizon=5), np.arange(10, 50)
    regression = Regression(cov=cov, hypotheses=["x0 = 1"])
    before = regression.fit(panel, rows)
    others = np.setdiff1d(np.arange(80), rows)
    for value in (1e6, np.nan):
        y, X, valid = panel.y.copy(), panel.X.copy(), panel.valid.copy()
        y[others], X[others], valid[others] = value, value, value == 1e6
        changed = replace(panel, y=y, X=X, valid=valid)
        same_fit(before, regression.fit(changed, rows))
        found, again = (
            regression.diagnose(before, panel, rows),
            regression.diagnose(before, changed, rows),
        )
        pd.testing.assert_frame_equal(found, again)


def test_cells_that_are_not_valid_are_not_looked_at() -> None:
    panel, rows = plain(2), np.arange(80)
    before = Regression().fit(panel, rows)
    y = np.where(panel.valid, panel.y, -1e9)
    X = np.where(panel.valid[:, :, None], panel.X, 1e9)
    same_fit(before, Regression().fit(replace(panel, y=y, X=X), rows))


def test_an_asset_does_not_depend_on_the_others() -> None:
    panel, rows = plain(3), np.arange(80)
    together = Regression(cov="HAC").fit(panel, rows)
    alone = replace(
        panel,
        assets=["A1"],
        y=panel.y[:, 1:2],
        X=panel.X[:, 1:2],
        valid=panel.valid[:, 1:2],
        groups=panel.groups[1:2],
    )
    one = Regression(cov="HAC").fit(alone, rows)
    pd.testing.assert_frame_equal(
        one.coefficients, together.coefficients.query("unit == 'A1'").reset_index(drop=True)
    )


@pytest.mark.parametrize("constant", [True, False])
def test_predictions_are_x_times_b(constant: bool) -> None:
    panel = plain(4, horizon=1)
    panel.X[:, 1, 2] = 3.0
    regression = Regression(constant=constant)
    if not constant:
        panel.X[:, 1, 2] = 0.0
    fit = regression.fit(panel, np.arange(40))
    assert list(fit.quality["reason"]) == ["", "x2 is constant", ""]
    got = regression.predict(fit, panel)
    assert got.shape == panel.y.shape
    assert np.isnan(got[:, 1]).all()
    for i in (0, 2):
        close(got[:, i], design(panel.X[:, i], constant) @ fit.params[i], f"asset {i}")
        np.testing.assert_array_equal(np.isnan(got[:, i]), np.isnan(panel.X[:, i]).any(axis=1))


def test_predictions_need_no_target() -> None:
    panel = plain(5, horizon=1)
    fit = Regression().fit(panel, np.arange(60))
    blind = replace(panel, y=np.full_like(panel.y, np.nan), valid=np.zeros_like(panel.valid))
    np.testing.assert_array_equal(
        Regression().predict(fit, blind), Regression().predict(fit, panel)
    )


@pytest.mark.parametrize(
    "chosen", [["x2", "x0"], ["x1"], ["x2", "x1", "x0"], ["x0", "x1", "x2"], []]
)
def test_a_choice_of_regressors_keeps_names_and_numbers_together(chosen: list[str]) -> None:
    panel, rows = plain(6), np.arange(80)
    regression = Regression(
        cov="HC1", regressors=chosen, hypotheses=["x0 - x2 = 0.5", "const = 0"], confidence=0.9
    )
    fit = regression.fit(panel, rows)
    columns = [int(name[1]) for name in chosen]
    assert regression.terms(panel.names) == ["const", *chosen]
    prediction = regression.predict(fit, panel)
    for i, asset in enumerate(panel.assets):
        mine = panel.valid[:, i]
        X = design(panel.X[:, i][:, columns], constant=True)
        oracle = ols(X[mine], panel.y[mine, i], True, "HC1")
        table = fit.coefficients[fit.coefficients["unit"] == asset]
        same_table(table, fit.params[i], oracle, ["const", *chosen])
        close(prediction[:, i], X @ fit.params[i], "prediction")
        difference, constant = fit.hypotheses.query("unit == @asset").itertuples()
        close(constant.f_stat, oracle.tvalues[0] ** 2, "const = 0")
        if {"x0", "x2"} <= set(chosen):
            R = np.array([[0.0, *((name == "x0") - (name == "x2") for name in chosen)]])
            close(difference.f_stat, oracle.f_test((R, 0.5)).fvalue, "x0 - x2 = 0.5")
        else:
            absent = ", ".join(sorted({"x0", "x2"} - set(chosen)))
            assert difference.reason == f"{absent} not among the terms of the regression"
            assert np.isnan(difference.f_stat) and np.isnan(difference.p_value)
    found = regression.diagnose(fit, panel, rows)
    vif = found.query("diagnostic == 'vif' and unit == 'A0'")
    assert list(vif["term"]) == chosen


def test_diagnostics_are_of_the_residuals_of_the_rows() -> None:
    from runner.numerics.diagnostics import diagnose

    panel, rows = plain(7), np.arange(5, 70)
    regression = Regression()
    fit = regression.fit(panel, rows)
    found = regression.diagnose(fit, panel, rows)
    for i, asset in enumerate(panel.assets):
        mine = rows[panel.valid[rows, i]]
        X = design(panel.X[mine, i], constant=True)
        direct = diagnose(X, ols(X, panel.y[mine, i], constant=True).resid, ["const", *panel.names])
        table = found.query("unit == @asset")
        assert list(table["diagnostic"]) == [d.diagnostic for d in direct]
        close(table["statistic"], [d.statistic for d in direct], asset, floor=1e-10)
        assert set(table["scope"]) == {"asset"}


def test_mean_group_by_hand() -> None:
    table = mean_group(
        np.array([[1.0, 10.0], [2.0, 20.0], [6.0, 60.0]]), ["const", "x"], confidence=0.95
    )
    # Mean 3, deviations -2, -1, 3: variance 14 / 2, error sqrt(7 / 3); t of 2 degrees at 97.5 % is 4.3026527297.
    error = np.sqrt(7.0 / 3.0)
    assert list(table["term"]) == ["const", "x"]
    assert set(table["scope"]) == {"mean"} and set(table["unit"]) == {"all"}
    close(table["estimate"], [3.0, 30.0], "mean")
    close(table["std_error"], [error, 10.0 * error], "error")
    close(table["t_stat"], [3.0 / error] * 2, "t")
    close(table["ci_low"], np.array([1.0, 10.0]) * (3.0 - 4.302652729749462 * error), "low")
    close(table["ci_high"], np.array([1.0, 10.0]) * (3.0 + 4.302652729749462 * error), "high")
    # Student's t of two degrees has the closed form 1 - t / sqrt(t^2 + 2).
    t = 3.0 / error
    close(table["p_value"], [1.0 - t / np.sqrt(t**2 + 2.0)] * 2, "p")


def test_mean_group_of_a_fit_is_the_mean_of_the_assets_estimated() -> None:
    panel = plain(8, N=4)
    panel.X[:, 2, 0] = 1.0
    fit = Regression().fit(panel, np.arange(80))
    mean = fit.coefficients.query("scope == 'mean'")
    kept = fit.params[[0, 1, 3]]
    close(mean["estimate"], kept.mean(axis=0), "mean")
    close(mean["std_error"], kept.std(axis=0, ddof=1) / np.sqrt(3), "error")
    assert list(mean["term"]) == ["const", *panel.names]
    assert list(fit.coefficients["scope"]) == ["asset"] * 12 + ["mean"] * 4


@pytest.mark.parametrize("units", [1, 2])
def test_no_mean_of_one_asset(units: int) -> None:
    panel = plain(9, N=2)
    if units == 1:
        panel.X[:, 1, 0] = 1.0
    fit = Regression().fit(panel, np.arange(80))
    assert ("mean" in set(fit.coefficients["scope"])) == (units == 2)


def test_all_too_short_is_a_matter_of_data() -> None:
    with pytest.raises(DataError, match="A0, A1, A2: 3 rows for 4 terms; needs"):
        Regression().fit(panel_of(*random_arrays(10, 20, 3, 3)), np.arange(3))
    with pytest.raises(DataError, match="0 rows for 4 terms"):
        Regression().fit(plain(10), np.arange(0))


def test_nothing_estimated_for_another_reason_is_a_failed_estimation() -> None:
    panel = plain(11)
    panel.X[:, :2, 1] = 2.0 * panel.X[:, :2, 0]
    panel.y[:, 2] = np.where(np.isnan(panel.y[:, 2]), np.nan, 1.0)
    with pytest.raises(EstimationError) as error:
        Regression().fit(panel, np.arange(80))
    assert str(error.value) == (
        "model: no asset could be estimated; A0, A1: collinear: x0, x1; A2: the target is constant"
    )


def test_lags_are_stated_per_unit() -> None:
    panel = panel_of(*random_arrays(12, 120, 2, 1), horizon=3)
    panel.valid[:60, 1] = False
    lags = Regression(cov="HAC").fit(panel, np.arange(120)).quality["cov_lags"]
    assert list(lags) == [4, 3]
    far = replace(panel, horizon=21)
    assert list(Regression(cov="HAC").fit(far, np.arange(120)).quality["cov_lags"]) == [20, 20]
    assert list(Regression(cov="HAC", cov_lags=0).fit(far, np.arange(120)).quality["cov_lags"]) == [
        0,
        0,
    ]
    assert Regression().fit(far, np.arange(120)).quality["cov_lags"].isna().all()


def test_lags_beyond_the_rows_are_a_reason() -> None:
    panel = panel_of(*random_arrays(13, 60, 2, 1))
    panel.valid[20:, 1] = False
    fit = Regression(cov="HAC", cov_lags=20).fit(panel, np.arange(60))
    assert list(fit.quality["reason"]) == [
        "",
        "cov_lags=20 with 20 rows; allowed: less than the rows",
    ]
    assert np.isnan(fit.params[1]).all()


def test_a_dummy_for_one_row_is_a_reason_of_hc3() -> None:
    panel = panel_of(*random_arrays(14, 60, 2, 2))
    panel.X[:, 1, 1] = np.arange(60) == 7
    fit = Regression(cov="HC3").fit(panel, np.arange(60))
    assert list(fit.quality["reason"]) == ["", "HC2 and HC3 do not exist: 1 rows have leverage 1"]
    assert set(Regression(cov="HC1").fit(panel, np.arange(60)).quality["reason"]) == {""}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Regression(), "classical (equal variances, independent rows), t(n-k)"),
        (Regression(cov="HC3"), "HC3, t(n-k)"),
        (
            Regression(cov="HAC", cov_lags=5),
            "HAC (Newey-West, Bartlett, 5 lags, no small-sample factor), t(n-k)",
        ),
        (
            Regression(cov="HAC"),
            "HAC (Newey-West, Bartlett, 3 lags, no small-sample factor), t(n-k)",
        ),
    ],
)
def test_errors_in_words(model: Regression, words: str) -> None:
    assert model.fit(plain(15), np.arange(80)).errors.split("; of the mean: ")[0] == words


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(
        ValueError,
        match="cov_lags: 3 given with cov=HC1; allowed: with cov=HAC, driscoll_kraay only",
    ):
        Regression(cov="HC1", cov_lags=3)
    features = ["SMB", "HML"]
    assert Regression(hypotheses=["SMB = 0"]).mistakes(features) == []
    wrong = Regression(
        regressors=["SMB", "SMB", "HLM"], hypotheses=["SMB", "os.path = 0", "MOM = 0"]
    )
    found = wrong.mistakes(features)
    assert found[:2] == [
        "regressors: 'HLM' is unknown; allowed: SMB, HML; did you mean 'HML'?",
        "regressors: 'SMB' is given twice",
    ]
    assert [line.split(":")[0] for line in found[2:]] == ["hypotheses"] * 3
    assert Regression(constant=False, regressors=[]).mistakes(features) == [
        "regressors: none, and no constant; allowed: at least one term"
    ]


def test_tables_have_their_columns() -> None:
    fit = Regression(hypotheses=["x0 = 0"]).fit(plain(16), np.arange(80))
    assert list(fit.coefficients.columns) == ["scope", "unit", *COEFFICIENTS]
    assert list(fit.quality.columns) == ["scope", "unit", *QUALITY]
    assert list(fit.hypotheses.columns) == ["scope", "unit", *HYPOTHESES]
    assert list(Regression().fit(plain(16), np.arange(80)).hypotheses.columns) == [
        "scope",
        "unit",
        *HYPOTHESES,
    ]
