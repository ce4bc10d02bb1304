"""Equal coefficients over units: linearmodels' SUR, clustered and HAC stacks of statsmodels, the jackknife, GRS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.system import SUR
from oracles import panel_of, punch_holes, random_arrays
from scipy import stats
from statsmodels.multivariate.multivariate_ols import _MultivariateOLS
from studies import french_panel, study_of

from runner.analyses.estimates.equality import equality
from runner.errors import DataError
from runner.models.pricing import grs
from runner.models.regression import Regression

REL = 1e-8  # quadratic forms in inverse covariances: a digit or two less than least squares itself
TERMS = ["const", "MktRF", "SMB", "HML"]
FIVE = ["S1V1", "S1V5", "S3V3", "S5V1", "S5V5"]


def contrast(U: int, k: int, at: list[int]) -> np.ndarray:
    """Each unit less the last on the terms at these places, for estimates unit by unit."""
    rows = [
        np.eye(U * k)[u * k + j] - np.eye(U * k)[(U - 1) * k + j] for u in range(U - 1) for j in at
    ]
    return np.array(rows)


def chi2(b: np.ndarray, V: np.ndarray, R: np.ndarray) -> float:
    return float(R @ b @ np.linalg.solve(R @ V @ R.T, R @ b))


def check(table: pd.DataFrame, b: np.ndarray, V: np.ndarray, U: int, k: int) -> None:
    """`wald` of each term and of all together against one with this covariance (U k, U k)."""
    for row, at in zip(
        table.to_dict("records"), [*([j] for j in range(k)), list(range(k))], strict=True
    ):
        assert row["reason"] == "", row
        assert row["wald"] == pytest.approx(chi2(b, V, contrast(U, k, at)), rel=REL), row["term"]
        assert row["df_num"] == (U - 1) * len(at)
        assert row["p_value"] == pytest.approx(
            stats.f.sf(row["f_stat"], row["df_num"], row["df_den"]), rel=1e-6
        )


@pytest.mark.parametrize(("cov", "theirs"), [("nonrobust", "unadjusted"), ("HC0", "robust")])
def test_portfolios_equal_seemingly_unrelated_regressions(cov: str, theirs: str) -> None:
    panel = french_panel(FIVE, 240)
    table = equality(study_of(panel, Regression(cov=cov))).table
    equations = {
        name: {"dependent": panel.y[:, i], "exog": sm.add_constant(panel.X[:, i])}
        for i, name in enumerate(FIVE)
    }
    fit = SUR(equations).fit(method="ols", cov_type=theirs, debiased=False)
    check(table, fit.params.to_numpy(), fit.cov.to_numpy(), 5, 4)
    b = fit.params.to_numpy().reshape(5, 4)
    np.testing.assert_allclose(table["smallest"].iloc[:4], b.min(axis=0), rtol=REL)
    np.testing.assert_allclose(table["largest"].iloc[:4], b.max(axis=0), rtol=REL)


def test_regressors_of_their_own_equal_robust_sur() -> None:
    y, X = random_arrays(2, 150, 3, 2)
    panel = panel_of(y, X)
    fit = SUR(
        {f"A{i}": {"dependent": y[:, i], "exog": sm.add_constant(X[:, i])} for i in range(3)}
    ).fit(method="ols", cov_type="robust", debiased=False)
    for cov in ("HC0", "HC1"):
        table = equality(study_of(panel, Regression(cov=cov))).table
        check(table, fit.params.to_numpy(), fit.cov.to_numpy(), 3, 3)
    assert set(table["errors"]) == {"SUR, HC0 scores summed by date"}


def stacked(panel, members: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, regressors times dummies of the unit, and date of every cell."""
    k, parts = panel.X.shape[2] + 1, []
    for u, assets in enumerate(members):
        t, i = np.nonzero(panel.valid[:, assets])
        wide = np.zeros((len(t), len(members) * k))
        wide[:, u * k : (u + 1) * k] = sm.add_constant(
            panel.X[t, np.array(assets)[i]], has_constant="add"
        )
        parts.append((panel.y[t, np.array(assets)[i]], wide, t))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))  # type: ignore[return-value]


@pytest.mark.parametrize("by", ["asset", "side"])
def test_missing_rows_and_groups_equal_a_stack_clustered_by_date(by: str) -> None:
    y, X = random_arrays(7, 90, 6, 2)
    punch_holes(np.random.default_rng(1), y, X, 0.1, ragged=True)
    panel = panel_of(y, X)
    panel.groups["side"] = list("bacbac")
    members = [[i] for i in range(6)] if by == "asset" else [[1, 4], [0, 3], [2, 5]]
    table = equality(study_of(panel, Regression(by=by, cov="HC0"))).table
    target, wide, dates = stacked(panel, members)
    keywords = {"groups": dates, "use_correction": False}
    fit = sm.OLS(target, wide).fit(cov_type="cluster", cov_kwds=keywords)
    check(table, fit.params, fit.cov_params(), len(members), 3)
    least = min(panel.valid[:, assets].any(axis=1).sum() for assets in members)
    assert set(table["dates"]) == {least}
    assert table["df_den"].tolist() == [least - 3 - q + 1 for q in table["df_num"]]


@pytest.mark.parametrize("by", ["asset", "side"])
def test_lags_equal_driscoll_and_kraay_on_the_stack(by: str) -> None:
    y, X = random_arrays(9, 120, 4, 1)
    panel = panel_of(y, X)
    panel.groups["side"] = list("abab")
    members = [[i] for i in range(4)] if by == "asset" else [[0, 2], [1, 3]]
    cov = "HAC" if by == "asset" else "driscoll_kraay"
    table = equality(study_of(panel, Regression(by=by, cov=cov, cov_lags=3))).table
    target, wide, dates = stacked(panel, members)
    order = np.argsort(dates, kind="stable")
    keywords = {"time": dates[order], "maxlags": 3, "use_correction": False}
    fit = sm.OLS(target[order], wide[order]).fit(cov_type="hac-groupsum", cov_kwds=keywords)
    check(table, fit.params, fit.cov_params(), len(members), 2)
    freedom = int((120 - 2) / (1 + 2 * (0.75**2 + 0.5**2 + 0.25**2)))
    assert table["df_den"].tolist() == [freedom - q + 1 for q in table["df_num"]]
    assert set(table["errors"]) == {"SUR, HC0 scores summed by date, Newey-West 3 lags"}


def test_hc3_is_the_jackknife_over_dates() -> None:
    y, X = random_arrays(4, 40, 3, 1)
    panel = panel_of(y, X)

    def estimates(keep: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [sm.OLS(y[keep, i], sm.add_constant(X[keep, i])).fit().params for i in range(3)]
        )

    b = estimates(np.arange(40))
    moved = np.array([estimates(np.delete(np.arange(40), t)) - b for t in range(40)])
    for cov in ("HC3", "nonrobust"):  # regressors are not shared: no equal variances to take
        table = equality(study_of(panel, Regression(cov=cov))).table
        check(table, b, moved.T @ moved, 3, 2)
        assert set(table["errors"]) == {"SUR, HC3 scores summed by date"}


def test_hc2_lies_between() -> None:
    y, X = random_arrays(4, 40, 3, 1)
    panel = panel_of(y, X)
    zero, two, three = (
        equality(study_of(panel, Regression(cov=c))).table["wald"] for c in ("HC0", "HC2", "HC3")
    )
    assert (zero > two).all() and (two > three).all()
    fits = [sm.OLS(y[:, i], sm.add_constant(X[:, i])).fit() for i in range(3)]
    parts = [
        (f.model.exog * (f.resid / np.sqrt(1 - f.get_influence().hat_matrix_diag))[:, None])
        @ f.normalized_cov_params
        for f in fits
    ]
    psi = np.concatenate(parts, axis=1)
    b = np.concatenate([f.params for f in fits])
    assert two.iloc[1] == pytest.approx(chi2(b, psi.T @ psi, contrast(3, 2, [1])), rel=REL)


def test_equal_alphas_are_the_grs_test_of_differences() -> None:
    panel = french_panel(FIVE, 100)
    row = equality(study_of(panel, Regression()), terms=["const"]).table.iloc[0]
    gaps, F = panel.y[:, 1:] - panel.y[:, :1], panel.X[:, 0]
    fits = [sm.OLS(gaps[:, i], sm.add_constant(F)).fit() for i in range(4)]
    theirs = grs(np.array([f.params[0] for f in fits]), np.column_stack([f.resid for f in fits]), F)
    assert row["f_stat"] == pytest.approx(theirs.f_stat, rel=REL)
    assert (row["df_num"], row["df_den"]) == (theirs.df_num, theirs.df_den)
    assert row["p_value"] == pytest.approx(theirs.p_value, rel=1e-6)


def test_equal_slopes_are_the_multivariate_test_of_differences() -> None:
    panel = french_panel(FIVE, 100)
    table = equality(study_of(panel, Regression())).table.set_index("term")
    gaps, design = panel.y[:, 1:] - panel.y[:, :1], sm.add_constant(panel.X[:, 0])
    for j, term in enumerate(TERMS):
        test = _MultivariateOLS(gaps, design).fit().mv_test([("one", np.eye(4)[[j]])])
        line = test.results["one"]["stat"].loc["Hotelling-Lawley trace"]
        shown = table.loc[term, ["f_stat", "df_num", "df_den"]].astype(float).tolist()
        assert shown == pytest.approx(
            line[["F Value", "Num DF", "Den DF"]].astype(float).tolist(), rel=REL
        )


@pytest.mark.parametrize(
    ("cov", "lags", "said"),
    [
        ("HC0", None, "is without a verdict: its errors (SUR, HC0 scores summed by date) ignore"),
        ("HAC", 1, "Newey-West 1 lag) have too few lags for targets over 3 rows, which overlap"),
        ("HAC", 2, "rejected at 5 %"),
        ("HAC", None, "rejected at 5 %"),
    ],
)
def test_errors_that_ignore_overlap_give_no_verdict(cov: str, lags: int | None, said: str) -> None:
    panel = replace(french_panel(FIVE, 240), horizon=3)
    words = equality(study_of(panel, Regression(cov=cov, cov_lags=lags))).words
    tests = [sentence for sentence in words if "F(" in sentence]
    assert len(tests) == len(TERMS) + 1
    assert all(said in sentence for sentence in tests)
    assert said == "rejected at 5 %" or not any("rejected" in sentence for sentence in tests)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_units_of_measurement_do_not_matter(scale: float) -> None:
    panel = french_panel(FIVE, 120)
    one = equality(study_of(panel, Regression(cov="HC0"))).table
    other = equality(
        study_of(replace(panel, y=panel.y * scale, X=panel.X / scale), Regression(cov="HC0"))
    ).table
    np.testing.assert_allclose(
        other["f_stat"], one["f_stat"], rtol=1e-6
    )  # scales 1e18 apart meet in one matrix


def test_the_order_of_units_does_not_matter() -> None:
    table, turned = (
        equality(study_of(french_panel(names, 120), Regression(cov="HC3"))).table
        for names in (FIVE, FIVE[::-1])
    )
    np.testing.assert_allclose(table["f_stat"], turned["f_stat"], rtol=REL)


def test_truth_is_not_rejected_and_a_difference_is() -> None:
    rng = np.random.default_rng(12)
    F = rng.normal(size=(200, 1, 1)).repeat(4, axis=1)
    common = rng.normal(size=(200, 1))
    y = F[:, :, 0] + common + 0.5 * rng.normal(size=(200, 4))
    finding = equality(study_of(panel_of(y, F), Regression()))
    assert (finding.table["p_value"] > 0.05).all()
    assert all(
        "is not rejected at 5 %, which does not prove it" in words for words in finding.words
    )
    y[:, 2] += 0.3 * F[:, 2, 0]
    finding = equality(study_of(panel_of(y, F), Regression()))
    p = finding.table.set_index("term")["p_value"]
    assert p["x0"] < 0.001 < 0.05 < p["const"]
    low, high = finding.table[["smallest", "largest"]].iloc[1]
    row = finding.table.iloc[1]
    assert finding.words[1] == (
        f"Equality of x0 over 4 assets is rejected at 5 % (F(3, 196) = {row['f_stat']:.2f}, p < 0.001); "
        f"estimates from {low:.3f} to {high:.2f}."
    )
    assert finding.metrics == {"p_const": p["const"], "p_x0": p["x0"]}


def test_too_few_dates_one_unit_and_twins_are_reasons() -> None:
    y, X = random_arrays(1, 12, 10, 1)
    few = equality(study_of(panel_of(y, X), Regression(cov="HC0")))
    single, _, joint = few.table.to_dict("records")
    assert single["reason"] == "" and single["df_den"] == 12 - 2 - 9 + 1
    assert (
        joint["reason"] == "12 dates leave 10 degrees of freedom beside 2 terms; needs at least 18"
    )
    assert np.isnan(joint["f_stat"]) and "const, x0 was not tested: 12 dates" in few.words[-1]
    panel = panel_of(y[:, :1], X[:, :1])
    assert equality(study_of(panel, Regression())).table["reason"].unique().tolist() == [
        "1 unit with errors; needs at least 2"
    ]
    y[:, 1], X[:, 1] = y[:, 0], X[:, 0]
    twins = equality(study_of(panel_of(y[:, :3], X[:, :3]), Regression(cov="HC0"))).table
    assert twins["reason"].str.contains("singular").all() and twins["p_value"].isna().all()


@pytest.mark.parametrize(("dates", "why"), [(11, ""), (10, "10 dates leave 8 degrees of freedom")])
def test_one_date_too_few(dates: int, why: str) -> None:
    y, X = random_arrays(1, dates, 10, 1)
    row = equality(study_of(panel_of(y, X), Regression(cov="HC0")), terms=["x0"]).table.iloc[0]
    assert row["reason"].startswith(why) and (row["reason"] == "") == (row["df_den"] == 1)


def test_shared_regressors_need_fewer_dates_for_all_terms() -> None:
    rng = np.random.default_rng(3)
    F = rng.normal(size=(20, 1, 3)).repeat(6, axis=1)
    joint = equality(study_of(panel_of(rng.normal(size=(20, 6)), F), Regression())).table.iloc[-1]
    assert (joint["df_num"], joint["df_den"], joint["reason"]) == (20, 20 - 4 - 5 + 1, "")


def test_units_that_cannot_be_compared_are_named() -> None:
    panel = french_panel(["S1V1", "S1V3", "S1V5", "S3V1"], 60)
    panel.valid[3:, 0] = False
    panel.y[:, 1] = panel.X[:, 1] @ [1.0, 0.5, 0.2]
    finding = equality(study_of(panel, Regression(cov="HC0")))
    assert finding.table["units"].unique().tolist() == [2]
    assert finding.words[-1].startswith(
        "Not compared: S1V1 (3 rows for 4 terms; needs at least 5), S1V3 (fits exact"
    )


def test_a_row_of_leverage_one_has_no_hc3() -> None:
    y, X = random_arrays(6, 30, 2, 2)
    X[:, 0, 1], X[4, 0, 1] = 0.0, 1.0
    table = equality(study_of(panel_of(y, X), Regression())).table
    assert (
        "HC3 does not exist: a row has leverage 1" in set(table["reason"])
        and table["p_value"].isna().any()
    )


@pytest.mark.parametrize(
    ("change", "terms", "line"),
    [
        (
            {},
            ["SMBB"],
            "terms: 'SMBB' is unknown; allowed: const, MktRF, SMB, HML; did you mean 'SMB'?",
        ),
        ({"by": None}, None, "model.by: given null; allowed: asset or a group of assets"),
        ({"by": "date"}, None, "model.by: given date; allowed: asset or a group of assets"),
        (
            {"by": "style", "effects": ["date"]},
            None,
            "model.effects: given ['date']; allowed: none",
        ),
        (
            {"estimator": "ridge", "penalty": 1.0},
            None,
            "model.estimator: given ridge; allowed: ols",
        ),
    ],
)
def test_what_it_does_not_suit_is_one_line(
    change: dict, terms: list[str] | None, line: str
) -> None:
    study = study_of(french_panel(["S1V5", "S5V5"], 60), Regression())
    with pytest.raises(DataError) as caught:
        equality(replace(study, model=Regression(**change)), terms=terms)
    assert caught.value.mistakes == (line,)


@pytest.mark.slow
def test_size_on_few_dates() -> None:
    """A true null on 60 dates and 9 assets is rejected about as often as said."""
    rng, hits = np.random.default_rng(0), {"nonrobust": [], "HC0": [], "HC3": []}
    for _ in range(200):
        F = rng.standard_normal((60, 3))
        y = F.sum(axis=1, keepdims=True) + rng.standard_normal((60, 3)) @ rng.standard_normal(
            (3, 9)
        )
        panel = panel_of(y + rng.standard_normal((60, 9)), np.repeat(F[:, None, :], 9, axis=1))
        study = study_of(panel, Regression())
        for cov, found in hits.items():
            table = equality(replace(study, model=Regression(cov=cov)), terms=["x0"]).table
            found.append(table["p_value"].iloc[0] < 0.05)
    rates = {cov: float(np.mean(found)) for cov, found in hits.items()}
    assert 0.01 <= rates["nonrobust"] <= 0.09  # two and a half standard errors about 5 %
    assert rates["nonrobust"] < rates["HC3"] < rates["HC0"] < 0.25
