"""Two nested models on the same rows: statsmodels' F and Wald tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import panel_of, punch_holes, random_arrays
from studies import french_panel, study_of

from runner.analyses.estimates.nested import nested
from runner.errors import DataError
from runner.models.regression import Regression
from runner.sinks.canvas import style as look
from runner.sinks.drawings import DRAWINGS

REL = 1e-9  # of F and of R2: both sides solve the same normal equations by other algorithms
# p = 1 - F has the relative error of F times F's elasticity, some tens here; below 1e-15 nothing rests on it.
P_REL, P_FLOOR = 1e-7, 1e-15
NINE = ["S1V1", "S1V3", "S1V5", "S3V1", "S3V3", "S3V5", "S5V1", "S5V3", "S5V5"]


def both(y: np.ndarray, X: np.ndarray, keep: list[int], cov: str = "nonrobust", lags: int = 0):
    """statsmodels' full and restricted fits; the full one with the errors asked for."""
    keywords = {"maxlags": lags, "use_correction": False} if cov == "HAC" else None
    full = sm.OLS(y, sm.add_constant(X)).fit(cov_type=cov, cov_kwds=keywords, use_t=True)
    design = sm.add_constant(X[:, keep]) if keep else np.ones((len(y), 1))
    return full, sm.OLS(y, design).fit()


def same(row: pd.Series, full, small, extra: list[int]) -> None:
    """Every number of a row against statsmodels."""
    R = np.eye(len(full.params))[[1 + k for k in extra]]
    test = full.wald_test(R, use_f=True, scalar=True)
    assert row["f_stat"] == pytest.approx(float(test.statistic), rel=REL)
    assert row["p_value"] == pytest.approx(float(test.pvalue), rel=P_REL, abs=P_FLOOR)
    assert (row["df_num"], row["df_den"], row["n_obs"]) == (len(extra), full.df_resid, full.nobs)
    for which, fit in (("restricted", small), ("full", full)):
        assert row[f"r2_{which}"] == pytest.approx(fit.rsquared, rel=REL, abs=1e-12)
        assert row[f"r2_adj_{which}"] == pytest.approx(fit.rsquared_adj, rel=REL, abs=1e-12)
        assert row[f"aic_{which}"] == pytest.approx(fit.aic, rel=REL)
        assert row[f"bic_{which}"] == pytest.approx(fit.bic, rel=REL)
        assert row[f"alpha_{which}"] == pytest.approx(fit.params[0], rel=REL, abs=1e-12)


@pytest.mark.parametrize(("cov", "lags"), [("nonrobust", 0), ("HC0", 0), ("HC3", 0), ("HAC", 6)])
def test_every_portfolio_equals_statsmodels(cov: str, lags: int) -> None:
    panel = french_panel(NINE)
    model = Regression(cov=cov, cov_lags=lags if cov == "HAC" else None)
    table = nested(study_of(panel, model), regressors=["MktRF"]).table.set_index("unit")
    assert set(table["test"]) == ({"F"} if cov == "nonrobust" else {f"{cov} Wald"})
    assert set(table["tested"]) == {"SMB = 0, HML = 0"}
    for i, name in enumerate(NINE):
        full, small = both(panel.y[:, i], panel.X[:, i], [0], cov, lags)
        same(table.loc[name], full, small, [1, 2])
        if cov == "nonrobust":
            f, p, df = full.compare_f_test(small)
            assert table.loc[name, ["f_stat", "df_num"]].tolist() == pytest.approx([f, df], rel=REL)
            assert table.loc[name, "p_value"] == pytest.approx(p, rel=P_REL, abs=P_FLOOR)


@pytest.mark.parametrize("keep", [[], [2], [1, 0]])
def test_any_regressors_in_any_order_with_holes(keep: list[int]) -> None:
    y, X = random_arrays(4, 80, 3, 4)
    punch_holes(np.random.default_rng(5), y, X, 0.1, ragged=True)
    panel = panel_of(y, X)
    study = study_of(panel, Regression(regressors=["x3", "x0", "x1", "x2"]))
    table = nested(study, regressors=[f"x{k}" for k in keep]).table
    for i, row in table.iterrows():
        own = panel.valid[:, i]
        full, small = both(y[own, i], X[own, i], keep)
        same(row, full, small, [k for k in range(4) if k not in keep])


def test_the_rows_are_those_of_the_full_model() -> None:
    """A row without HML is no row of the CAPM either."""
    panel = french_panel(["S1V5"], 60)
    panel.X[3, 0, 2] = np.nan
    panel.valid[3, 0] = False
    row = nested(study_of(panel, Regression()), regressors=["MktRF"]).table.iloc[0]
    keep = np.arange(60) != 3
    full, small = both(panel.y[keep, 0], panel.X[keep, 0], [0])
    assert row["n_obs"] == 59
    same(row, full, small, [1, 2])


def test_pooled_and_by_group() -> None:
    panel = french_panel(NINE, 120, {"S1V1": "growth", "S3V1": "growth", "S5V1": "growth"})
    row = nested(study_of(panel, Regression(by=None)), regressors=["MktRF"]).table.iloc[0]
    assert (row["scope"], row["unit"]) == ("pooled", "all")
    same(row, *both(panel.y.ravel(), panel.X.reshape(-1, 3), [0]), [1, 2])
    table = nested(study_of(panel, Regression(by="style")), regressors=["SMB"]).table.set_index(
        "unit"
    )
    assert list(table.index) == ["all", "growth"]
    same(
        table.loc["growth"],
        *both(panel.y[:, [0, 3, 6]].ravel(), panel.X[:, [0, 3, 6]].reshape(-1, 3), [1]),
        [0, 2],
    )


def test_principal_components_are_tested_as_regressors() -> None:
    panel = french_panel(NINE, 200)
    row = nested(study_of(panel, Regression(components=2)), regressors=["MktRF"]).table.iloc[0]
    assert row["tested"] == "SMB = 0, HML = 0, PC1 = 0, PC2 = 0" and row["df_num"] == 4
    small = both(panel.y[:, 0], panel.X[:, 0], [0])[1]
    assert row["r2_restricted"] == pytest.approx(small.rsquared, rel=REL)


def test_a_unit_without_an_answer_has_its_reason() -> None:
    panel = french_panel(["S1V1", "S1V3", "S1V5"], 60)
    panel.valid[3:, 0] = False  # three rows
    panel.y[:, 1] = panel.X[:, 1] @ [1.0, 0.5, 0.2]  # fits exactly
    finding = nested(study_of(panel, Regression()), regressors=["MktRF"])
    short, exact, fine = finding.table.to_dict("records")
    assert short["reason"] == "3 rows for 4 terms; needs at least 5" and np.isnan(short["f_stat"])
    assert exact["reason"].startswith("fits exactly") and np.isnan(exact["p_value"])
    assert fine["reason"] == "" and fine["p_value"] < 0.05
    assert finding.metrics["rejected"] == 1.0
    assert finding.words[0].endswith("in 1 of 1 assets (classical F test); not testable in 2.")


def test_words_say_what_the_table_says() -> None:
    panel = french_panel(NINE)
    finding = nested(study_of(panel, Regression()), regressors=["MktRF"])
    table = finding.table
    assert finding.words[0] == (
        f"SMB and HML together: significantly different from zero at 5 % in {(table['p_value'] < 0.05).sum()} of 9 assets "
        "(classical F test)."
    )
    assert finding.words[1] == (
        f"Adjusted R2 is {table['r2_adj_restricted'].mean():.4f} without and {table['r2_adj_full'].mean():.4f} "
        f"with them, on average over 9 assets, both on the same {table['n_obs'].sum():,} rows."
    )
    assert finding.metrics["r2_adj_full"] == pytest.approx(table["r2_adj_full"].mean())


def test_a_factor_that_adds_nothing_is_not_said_to() -> None:
    rng = np.random.default_rng(11)
    X = rng.normal(size=(100, 1, 2))
    panel = panel_of(X[:, :, 0] + rng.normal(size=(100, 1)), X)
    finding = nested(study_of(panel, Regression(cov="HC3")), regressors=["x0"])
    row = finding.table.iloc[0]
    assert row["p_value"] > 0.05
    assert finding.words[0] == (
        f"x1: not significantly different from zero (p = {row['p_value']:.3f}) (F(1, 97) = {row['f_stat']:.2f}, HC3 Wald test)."
    )


@pytest.mark.parametrize(
    ("change", "regressors", "line"),
    [
        (
            {},
            ["MktRf"],
            "regressors: 'MktRf' is unknown; allowed: MktRF, SMB, HML; did you mean 'MktRF'?",
        ),
        ({"regressors": ["SMB"]}, ["HML"], "regressors: 'HML' is unknown; allowed: SMB"),
        ({}, ["HML", "SMB", "MktRF"], "all of the run; allowed: fewer than MktRF, SMB, HML"),
        ({}, ["SMB", "SMB"], "regressors: 'SMB' is given twice"),
        ({"constant": False}, [], "regressors: none, and no constant; allowed: at least one term"),
        (
            {"estimator": "ridge", "penalty": 1.0},
            ["SMB"],
            "model.estimator: given ridge; allowed: ols",
        ),
    ],
)
def test_what_it_does_not_suit_is_one_line(change: dict, regressors: list[str], line: str) -> None:
    study = study_of(french_panel(["S1V5", "S5V5"], 60), Regression(**change))
    with pytest.raises(DataError) as caught:
        nested(study, regressors=regressors)
    assert len(caught.value.mistakes) == 1 and line in caught.value.mistakes[0]


def test_a_regression_by_date_is_refused() -> None:
    y, X = random_arrays(1, 30, 8, 2)
    with pytest.raises(
        DataError, match=r"model\.by: given date; allowed: asset, null or a group of assets"
    ):
        nested(study_of(panel_of(y, X), Regression(by="date")), regressors=["x0"])


@pytest.mark.parametrize("units", [1, 9, 40])
def test_it_is_drawn_for_few_and_many(units: int) -> None:
    y, X = random_arrays(2, 60, units, 3)
    panel = replace(panel_of(y, X), assets=[f"株式 {i} $x_1$ {'long' * 6}" for i in range(units)])
    finding = nested(study_of(panel, Regression()), regressors=["x0"])
    with look():
        figure = DRAWINGS[finding.picture](finding.table)
        figure.canvas.draw()
    assert figure.axes
    assert DRAWINGS[finding.picture](finding.table.assign(r2_full=np.nan)) is None
