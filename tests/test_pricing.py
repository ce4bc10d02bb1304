"""GRS: the formula in other words, its size under the null, and where it does not exist."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from linearmodels.datasets import french
from oracles import panel_of
from scipy import stats

from runner.pricing import grs
from runner.regression import Regression


def hand(y: np.ndarray, F: np.ndarray) -> tuple[float, float]:
    """GRS as the ratio of Sharpe ratios squared: of the best portfolio with and without the assets."""
    T, N, K = len(y), y.shape[1], F.shape[1]
    both = np.column_stack([F, y])
    squared = [m.mean(0) @ np.linalg.solve(np.cov(m.T, ddof=0).reshape(m.shape[1], -1), m.mean(0)) for m in (both, F)]
    f = (T - N - K) / N * ((1.0 + squared[0]) / (1.0 + squared[1]) - 1.0)
    return f, stats.f.sf(f, N, T - N - K)


@pytest.mark.parametrize("K", [1, 3])
def test_grs_is_the_gain_of_the_sharpe_ratio(K: int) -> None:
    rng = np.random.default_rng(K)
    F = 0.01 + 0.04 * rng.standard_normal((120, K))
    y = F @ rng.standard_normal((K, 7)) + 0.02 * rng.standard_normal((120, 7)) + 0.002 * rng.standard_normal(7)
    fits = [sm.OLS(y[:, i], sm.add_constant(F)).fit() for i in range(7)]
    found = grs(np.array([f.params[0] for f in fits]), np.column_stack([f.resid for f in fits]), F)
    assert (found.f_stat, found.p_value) == pytest.approx(hand(y, F), rel=1e-9)
    assert (found.df_num, found.df_den) == (7, 120 - 7 - K)


def test_one_asset_is_the_square_of_its_t() -> None:
    rng = np.random.default_rng(5)
    F = rng.standard_normal((60, 2))
    y = 0.1 + F.sum(axis=1) + rng.standard_normal(60)
    fit = sm.OLS(y, sm.add_constant(F)).fit()
    assert grs(fit.params[:1], fit.resid[:, None], F).f_stat == pytest.approx(fit.tvalues[0] ** 2, rel=1e-9)


def test_known_portfolios_are_not_priced_by_three_factors(cli) -> None:
    run = cli("validation=none")
    row = run.table("hypotheses").query("hypothesis == 'GRS: const = 0 in every asset'").iloc[0]
    data = french.load()
    names = ["S1V1", "S1V3", "S1V5", "S3V1", "S3V3", "S3V5", "S5V1", "S5V3", "S5V5"]
    y = data[names].sub(data["RF"], axis=0).to_numpy()
    f, p = hand(y, data[["MktRF", "SMB", "HML"]].to_numpy())
    assert (row["f_stat"], row["p_value"]) == pytest.approx((f, p), rel=1e-8)
    assert "GRS: const = 0 in every asset is rejected at 5 %" in " ".join(run.out.split())


def test_size_under_the_null() -> None:
    rng = np.random.default_rng(7)
    p_values = []
    for _ in range(400):
        F = rng.standard_normal((80, 1, 1)).repeat(5, axis=1)
        panel = panel_of(F[:, :, 0] * 0.5 + rng.standard_normal((80, 5)), F)
        p_values.append(Regression().fit(panel, np.arange(80)).hypotheses["p_value"].iloc[-1])
    assert 0.03 <= np.mean(np.array(p_values) < 0.05) <= 0.075  # two standard errors about 5 %


@pytest.mark.parametrize("fault", ["own regressors", "gap", "few rows", "collinear residuals", "no constant"])
def test_it_is_absent_where_it_does_not_exist(fault: str) -> None:
    rng = np.random.default_rng(9)
    rows = 8 if fault == "few rows" else 50
    F = rng.standard_normal((rows, 1, 2)).repeat(6, axis=1)
    y = F.sum(axis=2) + rng.standard_normal((rows, 6))
    if fault == "own regressors":
        F[3, 2, 0] += 1.0
    elif fault == "gap":
        y[3, 2] = np.nan
    elif fault == "collinear residuals":
        y[:, 0] = y[:, 1] + 1.0
    fit = Regression(constant=fault != "no constant").fit(panel_of(y, F), np.arange(rows))
    assert fit.hypotheses.empty
