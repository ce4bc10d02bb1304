"""GRS: the formula in other words, its size under the null, and where it does not exist."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.datasets import french
from oracles import panel_of
from scipy import stats

from runner.experiment.report import Report
from runner.models.pricing import GRS, grs
from runner.models.regression import Regression


def hand(y: np.ndarray, F: np.ndarray) -> tuple[float, float]:
    """GRS as the ratio of Sharpe ratios squared: of the best portfolio with and without the assets."""
    T, N, K = len(y), y.shape[1], F.shape[1]
    both = np.column_stack([F, y])
    squared = [
        m.mean(0) @ np.linalg.solve(np.cov(m.T, ddof=0).reshape(m.shape[1], -1), m.mean(0))
        for m in (both, F)
    ]
    f = (T - N - K) / N * ((1.0 + squared[0]) / (1.0 + squared[1]) - 1.0)
    return f, stats.f.sf(f, N, T - N - K)


@pytest.mark.parametrize("K", [1, 3])
def test_grs_is_the_gain_of_the_sharpe_ratio(K: int) -> None:
    rng = np.random.default_rng(K)
    F = 0.01 + 0.04 * rng.standard_normal((120, K))
    y = (
        F @ rng.standard_normal((K, 7))
        + 0.02 * rng.standard_normal((120, 7))
        + 0.002 * rng.standard_normal(7)
    )
    fits = [sm.OLS(y[:, i], sm.add_constant(F)).fit() for i in range(7)]
    found = grs(np.array([f.params[0] for f in fits]), np.column_stack([f.resid for f in fits]), F)
    assert (found.f_stat, found.p_value) == pytest.approx(hand(y, F), rel=1e-9)
    assert (found.df_num, found.df_den) == (7, 120 - 7 - K)


def test_one_asset_is_the_square_of_its_t() -> None:
    rng = np.random.default_rng(5)
    F = rng.standard_normal((60, 2))
    y = 0.1 + F.sum(axis=1) + rng.standard_normal(60)
    fit = sm.OLS(y, sm.add_constant(F)).fit()
    assert grs(fit.params[:1], fit.resid[:, None], F).f_stat == pytest.approx(
        fit.tvalues[0] ** 2, rel=1e-9
    )


def test_known_portfolios_are_not_priced_by_three_factors(cli) -> None:
    run = cli("validation=none", "report=tables")
    row = run.table("hypotheses").query("hypothesis == 'GRS: const = 0 in every asset'").iloc[0]
    data = french.load()
    names = ["S1V1", "S1V3", "S1V5", "S3V1", "S3V3", "S3V5", "S5V1", "S5V3", "S5V5"]
    y = data[names].sub(data["RF"], axis=0).to_numpy()
    f, p = hand(y, data[["MktRF", "SMB", "HML"]].to_numpy())
    assert (row["f_stat"], row["p_value"]) == pytest.approx((f, p), rel=1e-8)
    assert (run.metrics["hypothesis/grs_f"], run.metrics["hypothesis/grs_p"]) == pytest.approx(
        (f, p), rel=1e-8
    )
    printed = " ".join(run.out.split())
    assert (
        f"GRS: const = 0 in every asset is rejected at 5 % (F(9, 807) = {f:.2f}, p < 0.001)"
        in printed
    )


def test_size_under_the_null() -> None:
    rng = np.random.default_rng(7)
    p_values = []
    for _ in range(400):
        F = rng.standard_normal((80, 1, 1)).repeat(5, axis=1)
        panel = panel_of(F[:, :, 0] * 0.5 + rng.standard_normal((80, 5)), F)
        p_values.append(Regression().fit(panel, np.arange(80)).hypotheses["p_value"].iloc[-1])
    assert 0.03 <= np.mean(np.array(p_values) < 0.05) <= 0.075  # two standard errors about 5 %


FAULTS = {  # why there is no test, as its row says
    "own regressors": "x0 differs between assets, and it takes shared regressors",
    "few rows": "8 dates on which every asset has a row; needs at least 9",
    "late listing": "8 dates on which every asset has a row; needs at least 9",
    "collinear residuals": "residuals of the assets are collinear",
    "not estimated": "A0 was not estimated",
    "no constant": "there is no constant",
    "no regressor": "there is no regressor",
    "weights": "rows are weighted",
}


def example(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Six assets on two factors."""
    rng = np.random.default_rng(9)
    F = rng.standard_normal((rows, 1, 2)).repeat(6, axis=1)
    return F.sum(axis=2) + rng.standard_normal((rows, 6)), F


@pytest.mark.parametrize("fault", FAULTS)
def test_a_test_that_cannot_be_made_is_a_row_with_its_reason(fault: str) -> None:
    y, F = example(8 if fault == "few rows" else 50)
    settings: dict[str, Any] = {"constant": fault != "no constant"}
    if fault == "own regressors":
        F[3, 2, 0] += 1.0
    elif fault == "late listing":
        y[:42, 2] = np.nan
    elif fault == "collinear residuals":
        y[:, 0] = y[:, 1] + 1.0
    elif fault == "not estimated":
        y[2:, 0] = np.nan
    elif fault == "no regressor":
        settings["regressors"] = []
    elif fault == "weights":
        settings["weights"] = "market_cap"
    panel = replace(panel_of(y, F), weights=np.ones(y.shape))
    fit = Regression(**settings).fit(panel, np.arange(len(y)))
    row = fit.hypotheses[fit.hypotheses["hypothesis"].str.startswith("GRS")].iloc[0]
    assert np.isnan(row["f_stat"]) and np.isnan(row["p_value"])
    assert str(row["reason"]).replace(panel.assets[0], "A0") == FAULTS[fault]


def test_gaps_leave_the_dates_that_every_asset_has() -> None:
    y, F = example(60)
    y[0] = np.nan  # nobody has it, as the first return
    y[[3, 17], 2] = np.nan
    fit = Regression().fit(panel_of(y, F), np.arange(60))
    row = fit.hypotheses.iloc[0]
    every = np.isfinite(y).all(axis=1)
    assert (row["f_stat"], row["p_value"]) == pytest.approx(hand(y[every], F[every, 0]), rel=1e-9)
    assert (
        row["hypothesis"]
        == "GRS: const = 0 in every asset (on 57 of 59 dates, those that every asset has)"
    )


@pytest.mark.parametrize("model", [Regression(by=None), Regression(estimator="ridge", penalty=1.0)])
def test_there_is_no_row_where_nobody_expects_one(model: Regression) -> None:
    y, F = example(50)
    assert model.fit(panel_of(y, F), np.arange(50)).hypotheses.empty
    one = Regression().fit(panel_of(y[:, :1], F[:, :1]), np.arange(50))
    assert one.hypotheses.empty


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_factors_of_any_scale(scale: float) -> None:
    y, F = example(80)
    plain, scaled = (
        Regression().fit(panel_of(y, X), np.arange(80)).hypotheses.iloc[0] for X in (F, F * scale)
    )
    assert scaled["f_stat"] == pytest.approx(plain["f_stat"], rel=1e-9)


def test_every_test_of_all_constants_is_a_metric() -> None:
    rows = {"unit": ["all", "B"], "hypothesis": [GRS, GRS], "f_stat": [2.0, 3.0]}
    tests = pd.DataFrame(rows | {"p_value": [0.1, 0.2]})
    report = SimpleNamespace(fit=SimpleNamespace(hypotheses=tests))
    assert Report._priced(report) == {
        "hypothesis/grs_f": 2.0,
        "hypothesis/grs_p": 0.1,
        "hypothesis/grs_f/B": 3.0,
        "hypothesis/grs_p/B": 0.2,
    }
