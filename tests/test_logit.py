"""Logits against statsmodels on the columns as they are, and against sums written out; what has no answer."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import close, panel_of
from scipy import stats

from runner.errors import DataError, EstimationError
from runner.estimators.separation import orthonormal, separated
from runner.models.fit import Fit
from runner.models.regression import Regression
from runner.panels.panel import Panel

pytestmark = pytest.mark.filterwarnings("error")  # nothing may warn: what is wrong is a reason

# Both are maxima found by Newton's steps, exact to rounding times the conditioning of the columns.
REL = 1e-10


def classes(seed: int = 0, T: int = 240, N: int = 4, K: int = 2, holes: float = 0.1) -> Panel:
    """A panel of 0 and 1 with a known logit, correlated columns, missing cells and late listings."""
    rng = np.random.default_rng(seed)
    X = 0.5 * rng.normal(size=(T, 1, 1)) + rng.normal(size=(T, N, K)) + 0.3
    index = 0.2 + X @ np.linspace(0.5, -0.7, K) if K else np.full((T, N), 0.2)
    y = (rng.random((T, N)) < 1 / (1 + np.exp(-index))).astype(float)
    y[rng.random((T, N)) < holes] = np.nan
    X[rng.random((T, N, K)) < holes / 4] = np.nan
    y[: T // 5, -1] = np.nan
    panel = panel_of(y, X)
    panel.groups["sector"] = ["a", "b"] * (N // 2)
    return panel


def fitted(model: Regression, panel: Panel) -> Fit:
    return model.fit(panel, np.arange(len(panel.dates)))


def cells(
    panel: Panel, assets: Any = slice(None)
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """y (n,), X with its constant (n, k), date and asset of each cell, in order of time."""
    own = np.zeros_like(panel.valid)
    own[:, assets] = panel.valid[:, assets]
    t, i = np.nonzero(own)
    return panel.y[t, i], sm.add_constant(panel.X[t, i], has_constant="add"), t, i


def oracle(y: np.ndarray, X: np.ndarray, cov: str = "nonrobust", **keywords: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sm.Logit(y, X).fit(tol=1e-12, disp=0, cov_type=cov, cov_kwds=keywords or None)


def agree(found: Fit, unit: str, expected: Any, what: str) -> None:
    """Every number of one unit beside that of statsmodels."""
    table = found.coefficients[
        (found.coefficients["unit"] == unit) & (found.coefficients["scope"] != "mean")
    ]
    close(table["estimate"], expected.params, f"{what}: estimates", REL)
    close(table["std_error"], expected.bse, f"{what}: errors", REL)
    close(table["t_stat"], expected.tvalues, f"{what}: z", REL)
    close(
        table["p_value"], expected.pvalues, f"{what}: p", 1e-9
    )  # relative error of p is z^2 times that of z
    close(table[["ci_low", "ci_high"]], expected.conf_int(), f"{what}: interval", REL)
    quality = found.quality.set_index("unit").loc[unit]
    close(quality["log_likelihood"], expected.llf, f"{what}: log-likelihood", REL)
    close(
        quality[["aic", "bic"]].astype(float),
        [expected.aic, expected.bic],
        f"{what}: criteria",
        REL,
    )
    slopes = np.eye(len(expected.params))[1:]
    wald = expected.wald_test(slopes, scalar=True, use_f=False)
    close(quality["f_stat"], wald.statistic / len(slopes), f"{what}: Wald", REL)
    close(quality["f_p_value"], wald.pvalue, f"{what}: p of Wald", 1e-9)
    about = found.findings["logit"].table.set_index("unit").loc[unit]
    # its own null model is a BFGS that stops at seven digits; this is the same by Newton
    null = oracle(expected.model.endog, np.ones(int(expected.nobs))).llf
    llr = 2 * (expected.llf - null)
    close(about["pseudo_r2"], expected.prsquared, f"{what}: pseudo R2", 1e-6)
    close(
        about["pseudo_r2"], 1 - expected.llf / null, f"{what}: pseudo R2", 1e-9
    )  # one less a quotient near one
    close(
        about[["llr", "llr_p_value"]].astype(float),
        [llr, stats.chi2.sf(llr, expected.df_model)],
        what,
        1e-9,
    )
    assert (about["n_obs"], about["llr_df"]) == (expected.nobs, expected.df_model)
    margins = expected.get_margeff(at="overall", method="dydx")
    effects = found.findings["marginal_effects"].table
    effects = effects[effects["unit"] == unit]
    close(effects["effect"], margins.margeff, f"{what}: marginal effects", REL)
    close(effects["std_error"], margins.margeff_se, f"{what}: their errors", REL)
    close(effects["z_stat"], margins.tvalues, f"{what}: their z", REL)
    close(effects["p_value"], margins.pvalues, f"{what}: their p", 1e-9)
    close(effects[["ci_low", "ci_high"]], margins.conf_int(), f"{what}: their interval", REL)


@pytest.mark.parametrize(
    ("cov", "lags"), [("nonrobust", None), ("HC0", None), ("HAC", None), ("HAC", 0), ("HAC", 7)]
)
def test_each_asset_is_the_logit_of_statsmodels(cov: str, lags: int | None) -> None:
    panel = classes()
    found = fitted(Regression(estimator="logit", cov=cov, cov_lags=lags), panel)
    for i, name in enumerate(panel.assets):
        y, X, *_ = cells(panel, [i])
        rule = int(4 * (len(y) / 100) ** (2 / 9)) if lags is None else lags
        keywords = {"maxlags": rule} if cov == "HAC" else {}
        agree(found, name, oracle(y, X, cov, **keywords), f"{cov} {name}")
        if cov == "HAC":
            assert found.quality["cov_lags"].iloc[i] == rule
    assert len(found.coefficients[found.coefficients["scope"] == "mean"]) == 3


@pytest.mark.parametrize(
    "clusters", [[], ["asset"], ["date"], ["sector"], ["asset", "date"], ["date", "sector"]]
)
def test_the_pooled_logit_and_its_clusters(clusters: list[str]) -> None:
    panel = classes(3, N=12)
    panel.groups["sector"] = [f"s{i % 5}" for i in range(12)]
    y, X, t, i = cells(panel)
    codes = {"asset": i, "date": t, "sector": i % 5}
    keys = np.column_stack([codes[name] for name in clusters]) if clusters else None
    cov = "cluster" if clusters else "HC0"
    found = fitted(Regression(by=None, estimator="logit", cov=cov, clusters=clusters), panel)
    keywords = {} if keys is None else {"groups": keys.squeeze()}
    agree(found, "all", oracle(y, X, cov, **keywords), str(clusters))


def test_one_logit_per_group() -> None:
    panel = classes(5)
    found = fitted(
        Regression(by="sector", estimator="logit", cov="cluster", clusters=["date"]), panel
    )
    for name, members in (("a", [0, 2]), ("b", [1, 3])):
        y, X, t, _ = cells(panel, members)
        agree(found, name, oracle(y, X, "cluster", groups=t), name)


def test_errors_are_the_sums_that_define_them() -> None:
    """Inverse Hessian, and the sandwich with HAC and clustered meat, from loops over pairs of rows."""
    panel = classes(7, T=60, N=2)
    y, X, t, i = cells(panel)
    found = fitted(Regression(by=None, estimator="logit"), panel)
    b = found.coefficients["estimate"].to_numpy()
    p = 1 / (1 + np.exp(-X @ b))
    close(X.T @ (y - p), np.zeros(3), "score", floor=1e-9)
    bread = np.linalg.inv((X * (p * (1 - p))[:, None]).T @ X)
    close(found.coefficients["std_error"], np.sqrt(np.diag(bread)), "nonrobust", REL)
    n, pairs = len(y), [(r, s) for r in range(len(y)) for s in range(len(y))]
    scores = X * (y - p)[:, None]
    for way, key in (("asset", i), ("date", t)):
        meat = sum(np.outer(scores[r], scores[s]) for r, s in pairs if key[r] == key[s])
        size = len(np.unique(key))
        V = bread @ meat @ bread * size / (size - 1) * (n - 1) / (n - 3)
        again = fitted(Regression(by=None, estimator="logit", cov="cluster", clusters=[way]), panel)
        close(again.coefficients["std_error"], np.sqrt(np.diag(V)), way, REL)
    y, X, *_ = cells(panel, [0])
    one = fitted(Regression(estimator="logit", cov="HAC", cov_lags=3), panel)
    p = 1 / (1 + np.exp(-X @ one.params[0]))
    bread, scores = np.linalg.inv((X * (p * (1 - p))[:, None]).T @ X), X * (y - p)[:, None]
    near = [(r, s) for r in range(len(y)) for s in range(len(y)) if abs(r - s) <= 3]
    meat = sum((1 - abs(r - s) / 4) * np.outer(scores[r], scores[s]) for r, s in near)
    error = one.coefficients.query("unit == 'A0'")["std_error"]
    close(error, np.sqrt(np.diag(bread @ meat @ bread)), "HAC", REL)


def test_hypotheses_are_wald_tests_of_the_normal() -> None:
    panel = classes(2)
    hypotheses = ["x0 = 0.5", "x0 = 0.5, x1 + x0 = 0"]
    found = fitted(Regression(by=None, estimator="logit", cov="HC0", hypotheses=hypotheses), panel)
    y, X, *_ = cells(panel)
    expected = oracle(y, X, "HC0")
    for text, (R, q) in zip(
        hypotheses, [([[0, 1, 0]], [0.5]), ([[0, 1, 0], [0, 1, 1]], [0.5, 0])], strict=True
    ):
        wald = expected.wald_test((np.array(R), np.array(q)), scalar=True, use_f=False)
        row = found.hypotheses.set_index("hypothesis").loc[text]
        close([row["f_stat"] * len(q), row["p_value"]], [wald.statistic, wald.pvalue], text, 1e-9)
        assert row["df_num"] == len(q) and row["df_den"] == np.inf


def test_efron_r2_and_the_share_of_ones() -> None:
    panel = classes(4)
    found = fitted(Regression(by=None, estimator="logit"), panel)
    y, X, *_ = cells(panel)
    p = oracle(y, X).predict()
    quality, about = found.quality.iloc[0], found.findings["logit"].table.iloc[0]
    close(quality["r2"], 1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2), "Efron's R2", 1e-9)
    assert about["share_of_ones"] == y.mean()
    assert quality["cov"] == "nonrobust" and quality["reason"] == about["reason"] == ""
    assert found.errors == "classical (inverse Hessian), normal"
    assert found.findings["logit"].metrics.keys() == {"pseudo_r2", "llr_p_value"}
    assert found.findings["marginal_effects"].metrics.keys() == {"x0", "x1"}


@pytest.mark.parametrize("scales", [(1e-8, 1e8), (1e30, 1e-30)])
def test_the_scale_and_the_place_of_a_column_cost_no_digit(scales: tuple[float, float]) -> None:
    panel = classes(6)
    plain = fitted(Regression(by=None, estimator="logit", cov="cluster", clusters=["date"]), panel)
    far = panel_of(panel.y, panel.X * scales)
    found = fitted(Regression(by=None, estimator="logit", cov="cluster", clusters=["date"]), far)
    factor = np.array([1.0, *scales])
    for column in ("estimate", "std_error"):
        close(found.coefficients[column] * factor, plain.coefficients[column], column, REL)
    close(found.coefficients["p_value"], plain.coefficients["p_value"], "p", 1e-9)
    for column in ("effect", "std_error"):
        effect = found.findings["marginal_effects"].table[column] * factor[1:]
        close(effect, plain.findings["marginal_effects"].table[column], column, REL)
    moved = fitted(
        Regression(by=None, estimator="logit"), panel_of(panel.y, panel.X + np.array([1e6, 0.0]))
    )
    plain = fitted(Regression(by=None, estimator="logit"), panel)
    # a column about 1e6 has lost six of its sixteen digits before it comes here
    close(
        moved.coefficients["estimate"][1:],
        plain.coefficients["estimate"][1:],
        "far from zero",
        1e-8,
    )


def test_nearly_collinear_columns_keep_their_digits() -> None:
    """Two columns that differ by 1e-6: the same probabilities as of their sum and difference."""
    panel = classes(8)
    a, d = panel.X[:, :, 0], panel.X[:, :, 1]
    found = fitted(
        Regression(by=None, estimator="logit"),
        panel_of(panel.y, np.stack([a, a + 1e-6 * d], axis=2)),
    )
    plain = fitted(Regression(by=None, estimator="logit"), panel)
    # x0 + 1e-6 x1 keeps ten digits of x1
    close(
        found.coefficients["estimate"][2] * 1e-6,
        plain.coefficients["estimate"][2],
        "difference",
        1e-7,
    )
    close(found.quality["log_likelihood"], plain.quality["log_likelihood"], "log-likelihood", REL)


def test_without_a_constant_and_without_a_slope() -> None:
    panel = classes(9)
    y, X, *_ = cells(panel)
    bare = fitted(Regression(by=None, estimator="logit", constant=False), panel)
    expected = oracle(y, X[:, 1:])
    close(bare.coefficients["estimate"], expected.params, "estimates", REL)
    about = bare.findings["logit"].table.iloc[0]
    close(about["null_log_likelihood"], len(y) * np.log(0.5), "null", REL)
    close(
        about["llr_p_value"],
        stats.chi2.sf(2 * (expected.llf - len(y) * np.log(0.5)), 2),
        "LR",
        1e-9,
    )
    alone = fitted(Regression(by=None, estimator="logit", regressors=[]), panel)
    share = y.mean()
    close(alone.coefficients["estimate"], [np.log(share / (1 - share))], "log odds", REL)
    close(alone.coefficients["std_error"], [(len(y) * share * (1 - share)) ** -0.5], "error", REL)
    assert alone.findings["marginal_effects"].table.empty
    assert np.isnan(alone.findings["logit"].table["llr_p_value"].iloc[0])
    assert np.isnan(alone.quality["f_p_value"].iloc[0])


def test_by_date_the_mean_over_dates() -> None:
    panel = classes(1, T=12, N=60)
    found = fitted(Regression(by="date", estimator="logit"), panel)
    assert set(found.coefficients["scope"]) == {"date", "mean"}
    t = 5
    y, X = panel.y[t, panel.valid[t]], sm.add_constant(panel.X[t, panel.valid[t]])
    table = found.coefficients[found.coefficients["unit"] == panel.dates[t].strftime("%Y-%m-%d")]
    close(table["estimate"], oracle(y, X).params, "a date", REL)


def one_asset(y: Any, *columns: Any) -> Panel:
    return panel_of(
        np.asarray(y, dtype=float)[:, None], np.stack(columns, axis=1)[:, None, :].astype(float)
    )


RNG = np.random.default_rng(0)
NOISE, OTHER = RNG.normal(size=60), RNG.normal(size=60)
COIN = np.tile([0.0, 1.0, 1.0], 20)
TIED = np.where(NOISE > 0.5, NOISE, 0.5)


@pytest.mark.parametrize(
    ("panel", "reason"),
    [
        (one_asset(NOISE > 0, NOISE, OTHER), "x0 separates 0 from 1"),
        (one_asset(NOISE < 0, OTHER, 1e8 * NOISE), "x1 separates 0 from 1"),
        (one_asset(NOISE > 5e-9, OTHER, NOISE), "x1 separates 0 from 1"),
        (
            one_asset((NOISE > 0.5) | ((NOISE < 0.5) & (OTHER > 0.9)), OTHER, NOISE > 0.5),
            "x1 separates 0 from 1",
        ),
        (one_asset(NOISE > 0.5, NOISE > 0.5), "x0 separates 0 from 1"),
        (one_asset(NOISE + OTHER > 0.1, NOISE, OTHER), "x0, x1 together separate 0 from 1"),
        (one_asset(np.ones(60), NOISE), "the target is constant"),
        (one_asset(np.zeros(60), NOISE), "the target is constant"),
        (one_asset(COIN, np.full(60, 0.1)), "x0 is constant"),
        (one_asset(COIN, NOISE, OTHER, NOISE - 2 * OTHER), "collinear: x0, x1, x2"),
        (one_asset(COIN, NOISE * 1e200), "x0 is of size"),
    ],
)
def test_what_has_no_answer_is_a_reason(panel: Panel, reason: str) -> None:
    with pytest.raises(EstimationError) as caught:
        fitted(Regression(estimator="logit"), panel)
    (line,) = caught.value.mistakes
    assert line.startswith("model: no asset could be estimated; A0: ") and reason in line


def test_too_few_rows_is_a_matter_of_data() -> None:
    with pytest.raises(DataError, match="2 rows for 2 terms; needs at least 3"):
        fitted(Regression(estimator="logit"), one_asset([0, 1], [0.3, 0.1]))
    found = fitted(Regression(estimator="logit"), one_asset([0, 1, 1, 0], [0.3, 0.1, 0.5, 0.4]))
    assert found.quality["n_obs"].iloc[0] == 4


def test_one_bad_unit_leaves_the_others_alone() -> None:
    panel = classes(2)
    panel.y[:, 1] = np.where(
        np.isfinite(panel.y[:, 1]), (panel.X[:, 1, 0] > 0).astype(float), np.nan
    )
    panel.valid[:, 2] = False
    found = fitted(Regression(estimator="logit", cov="HAC"), panel)
    reasons = found.quality.set_index("unit")["reason"]
    assert (
        "x0 separates" in reasons["A1"]
        and "0 rows" in reasons["A2"]
        and reasons["A0"] == reasons["A3"] == ""
    )
    table = found.findings["logit"].table.set_index("unit")
    assert table["reason"].tolist() == reasons.tolist()
    assert (
        table.loc[["A1", "A2"], ["pseudo_r2", "log_likelihood", "iterations"]].isna().all(axis=None)
    )
    assert set(found.findings["marginal_effects"].table["unit"]) == {"A0", "A3"}
    assert np.isnan(found.params[[1, 2]]).all() and np.isfinite(found.params[[0, 3]]).all()
    assert np.isnan(
        found.quality.set_index("unit")
        .loc["A1", ["r2", "f_stat", "log_likelihood", "aic"]]
        .tolist()
    ).all()
    y, X, *_ = cells(panel, [3])
    agree(
        found,
        "A3",
        oracle(y, X, "HAC", maxlags=int(4 * (len(y) / 100) ** (2 / 9))),
        "beside bad ones",
    )


def test_errors_that_do_not_exist_are_a_reason() -> None:
    panel = classes(0, N=2)
    with pytest.raises(EstimationError, match=r"A0, A1: cov_lags=\d+ with|cov_lags=400 with"):
        fitted(Regression(estimator="logit", cov="HAC", cov_lags=400), panel)
    panel.groups["country"] = ["x", "x"]
    with pytest.raises(EstimationError, match="1 cluster; clustered errors need at least 2"):
        fitted(Regression(by=None, estimator="logit", cov="cluster", clusters=["country"]), panel)
    with pytest.raises(DataError, match="'moon' is unknown"):
        fitted(Regression(by=None, estimator="logit", cov="cluster", clusters=["moon"]), panel)


def test_a_rare_one_is_estimated() -> None:
    """One row of 5000 is 1, in the middle of the others: no separation, a flat likelihood."""
    x = np.linspace(-1, 1, 5000)
    y = np.zeros(5000)
    y[2600] = 1.0
    found = fitted(Regression(estimator="logit"), one_asset(y, x))
    agree(found, "A0", oracle(y, sm.add_constant(x)), "rare")


def heavy(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(8, 40)), int(rng.integers(1, 4))
    X = rng.standard_t(0.6, size=(n, k))
    return (rng.random(n) < 0.3 + 0.4 * (rng.random() < 0.5)).astype(float), X


@pytest.mark.parametrize("seed", [125, 1339, 2208])
def test_where_newton_overshoots_it_starts_again(seed: int) -> None:
    y, X = heavy(seed)
    found = fitted(Regression(estimator="logit"), one_asset(y, *X.T))
    Z = sm.add_constant(X)
    p = 1 / (1 + np.exp(-Z @ found.params[0]))
    size = np.abs(Z * (y - p)[:, None]).sum(axis=0)
    close(Z.T @ (y - p) / size, np.zeros(Z.shape[1]), "score, zero at a maximum", floor=1e-8)


def test_no_convergence_is_a_reason() -> None:
    y, X = heavy(359)
    with pytest.raises(EstimationError, match="no convergence in 100 iterations"):
        fitted(Regression(estimator="logit"), one_asset(y, *X.T))


@pytest.mark.parametrize("seed", range(40))
def test_separation_is_found_exactly_where_a_plane_divides_the_rows(seed: int) -> None:
    """In one dimension with a constant: where the classes do not overlap but for one value."""
    rng = np.random.default_rng(seed)
    x, y = (
        rng.integers(0, 6, size=8).astype(float),
        np.append([0.0, 1.0], rng.integers(0, 2, size=6)),
    )
    zeros, ones = x[y == 0], x[y == 1]
    expected = zeros.max() <= ones.min() or ones.max() <= zeros.min()
    assert separated(orthonormal(sm.add_constant(x))[0], y) == expected


def test_orthonormal_columns_and_the_way_back() -> None:
    X = np.column_stack([np.ones(50), 1e7 * RNG.normal(size=50), 3 + 1e-7 * RNG.normal(size=50)])
    Z, back = orthonormal(X)
    close(Z.T @ Z / 50, np.eye(3), "unit mean square, no correlation", floor=1e-12)
    close(X @ back, Z, "the same columns", rel=1e-7, floor=1e-7)


def test_a_target_that_is_not_0_or_1_is_one_line() -> None:
    panel = classes(0)
    panel.y[3, 1], panel.valid[3, 1] = 0.25, True
    panel.y[4, 2], panel.valid[4, 2] = -1.0, True
    with pytest.raises(DataError) as caught:
        fitted(Regression(estimator="logit"), panel)
    (line,) = caught.value.mistakes
    assert line == (
        "target: given 0.25 of A1 on 2020-01-06, and in 1 more rows neither 0 nor 1; "
        "allowed with estimator=logit: 0 or 1, such as target=up"
    )
    panel.valid[3, 1] = panel.valid[4, 2] = False  # not in use, not asked for
    assert fitted(Regression(estimator="logit"), panel)


def test_a_probability_from_given_estimates() -> None:
    """S4 of the specification: -.02 + 5.4 (.010) - .38 (1.5) = -.536, P = .36912."""
    model, panel = Regression(estimator="logit"), one_asset([1.0], [0.010], [1.5])
    given = Fit(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), np.array([[-0.02, 5.4, -0.38]]), "")
    p = model.predict(given, panel)[0, 0]
    assert round(p, 5) == 0.36912
    assert np.log(p / (1 - p)) == pytest.approx(-0.536, rel=1e-12)


def test_probabilities_of_any_index_without_a_warning() -> None:
    model, panel = Regression(estimator="logit"), one_asset([1.0, 0, 1], [1.0, -1.0, np.nan])
    given = Fit(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), np.array([[0.0, 1e5]]), "")
    np.testing.assert_array_equal(model.predict(given, panel)[:, 0], [1.0, 0.0, np.nan])


def test_predictions_are_the_probabilities_of_statsmodels() -> None:
    panel = classes(5)
    model = Regression(estimator="logit")
    values = model.predict(fitted(model, panel), panel)
    for i in range(4):
        y, X, t, _ = cells(panel, [i])
        close(values[t, i], oracle(y, X).predict(), f"A{i}", REL)


def test_the_words_are_no_surer_than_the_test() -> None:
    panel = classes(0, K=1)
    (sentence,) = fitted(Regression(by=None, estimator="logit"), panel).findings["logit"].words
    assert (
        "rejects at 5 % that every slope is zero (p < 0.001)" in sentence
        and "assumes independent rows" in sentence
    )
    random = one_asset(COIN, NOISE)
    found = fitted(Regression(estimator="logit"), random)
    (sentence,) = found.findings["logit"].words
    assert found.findings["logit"].table["llr_p_value"].iloc[0] > 0.05
    assert "does not reject" in sentence and "does not prove it" in sentence
    (sentence,) = fitted(Regression(estimator="logit"), panel).findings["logit"].words
    assert "of them; chance alone would give about 0.20" in sentence


def test_mistakes_at_the_command_line_are_one_line_each(cli, tmp_path: Path) -> None:
    bad = cli("experiment=direction", "target=forward_return")
    assert bad.code == 2
    assert (
        len(bad.errors) == 1 and "target: given " in bad.errors[0] and "target=up" in bad.errors[0]
    )
    covariance = cli("experiment=direction", "model.cov=HC3")
    assert covariance.code == 2
    assert covariance.errors == [
        "error: model.cov: HC3 given with estimator=logit; allowed: nonrobust, HC0, HAC, cluster"
    ]
    price = 100 * np.cumprod(1 + RNG.normal(size=80) / 100)
    table = {"day": pd.bdate_range("2020-01-01", periods=80), "name": "A", "price": price}
    pd.DataFrame(table | {"hint": np.append(price[1:] / price[:-1], 1.0)}).to_csv(
        tmp_path / "a.csv", index=False
    )
    words = [
        "experiment=none",
        "data=file",
        "data.path=a.csv",
        "target=up",
        "model=logit",
        "features=direction",
    ]
    words += [
        "data.columns={date: day, asset: name, close: price, volume: hint}",
        "~features.vix_change",
    ]
    separate = cli(*words, "features.ret=volume")
    assert separate.code == 1, separate.err
    assert len(separate.errors) == 1 and "ret separates 0 from 1" in separate.errors[0]
    for outcome in (bad, covariance, separate):
        assert "Traceback" not in outcome.err and "Warning" not in outcome.err
