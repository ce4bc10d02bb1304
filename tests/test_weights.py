"""Weighted least squares by every grouping, against statsmodels and linearmodels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.panel import PooledOLS
from oracles import close, panel_of, positive_part, punch_holes, random_arrays

from runner.errors import DataError
from runner.models.regression import Regression
from runner.panels.panel import Panel

REL = 1e-10  # both sides are direct solutions of the same well-scaled problem


def weighted(seed: int = 0, T: int = 60, N: int = 6, spread: float = 1.0) -> Panel:
    """A ragged panel with weights that are missing where a cell is not in use."""
    y, X = random_arrays(seed, T, N, 3)
    rng = np.random.default_rng(seed)
    punch_holes(rng, y, X, 0.1, ragged=True)
    made = panel_of(y, X)
    weights = np.where(made.valid, rng.lognormal(sigma=spread, size=y.shape), np.nan)
    return replace(made, weights=weights)


def wls(panel: Panel, mask: np.ndarray, cov: str = "nonrobust", lags: int = 0) -> Any:
    t, i = np.nonzero(panel.valid & mask)
    keywords = {"maxlags": lags, "use_correction": False} if cov == "HAC" else {}
    design = np.column_stack([np.ones(len(t)), panel.X[t, i]])
    return sm.WLS(panel.y[t, i], design, panel.weights[t, i]).fit(
        cov_type=cov, cov_kwds=keywords, use_t=True
    )


def same(table: pd.DataFrame, quality: pd.Series, oracle: Any) -> None:
    close(table["estimate"], oracle.params, "estimates", rel=REL)
    close(table["std_error"], oracle.bse, "errors", rel=REL)
    close(table["t_stat"], oracle.tvalues, "t", rel=REL)
    close(table["p_value"], oracle.pvalues, "p", rel=1e-8, floor=1e-15)
    for name, value in (
        ("r2", "rsquared"),
        ("r2_adj", "rsquared_adj"),
        ("log_likelihood", "llf"),
        ("aic", "aic"),
    ):
        assert quality[name] == pytest.approx(getattr(oracle, value), rel=1e-9), name


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e11])
@pytest.mark.parametrize("cov", ["nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC"])
def test_by_asset_it_is_wls(cov: str, scale: float) -> None:
    panel = weighted(1)
    panel = replace(panel, weights=panel.weights * scale)
    lags = 3 if cov == "HAC" else None
    fit = Regression(cov=cov, weights="cap", cov_lags=lags).fit(panel, np.arange(60))
    for i in range(len(panel.assets)):
        table, quality = fit.coefficients[fit.coefficients["unit"] == f"A{i}"], fit.quality.iloc[i]
        same(table, quality, wls(panel, np.arange(6) == i, cov, lags or 0))


@pytest.mark.parametrize("cov", ["nonrobust", "HC0", "HC3"])
def test_by_date_it_is_wls_and_the_mean_of_it(cov: str) -> None:
    panel = weighted(2, T=12, N=30)
    fit = Regression(by="date", cov=cov, weights="cap", mean_lags=2).fit(panel, np.arange(12))
    each = fit.coefficients.query("scope == 'date'")
    fits = [wls(panel, (np.arange(12) == t)[:, None], cov) for t in range(12)]
    close(each["estimate"], np.concatenate([one.params for one in fits]), "estimates", rel=REL)
    close(each["std_error"], np.concatenate([one.bse for one in fits]), "errors", rel=REL)
    close(fit.quality["r2"], [one.rsquared for one in fits], "r2", rel=1e-9)


@pytest.mark.parametrize("cov", ["nonrobust", "HC0", "HC1", "HC2", "HC3"])
def test_pooled_it_is_wls(cov: str) -> None:
    panel = weighted(3)
    fit = Regression(by=None, cov=cov, weights="cap").fit(panel, np.arange(60))
    same(fit.coefficients, fit.quality.iloc[0], wls(panel, np.ones(6, dtype=bool), cov))


@pytest.mark.parametrize("clusters", [["asset"], ["date"], ["asset", "date"]], ids="+".join)
def test_clusters_are_those_of_linearmodels(clusters: list[str]) -> None:
    panel = weighted(4)
    t, i = np.nonzero(panel.valid)
    columns = {"asset": i, "date": t, "y": panel.y[t, i], "w": panel.weights[t, i], "const": 1.0}
    rows = pd.DataFrame(columns | {name: panel.X[t, i, k] for k, name in enumerate(panel.names)})
    rows = rows.set_index(["asset", "date"])
    oracle = PooledOLS(rows["y"], rows[["const", *panel.names]], weights=rows["w"]).fit(
        cov_type="clustered",
        cluster_entity="asset" in clusters,
        cluster_time="date" in clusters,
        group_debias=True,
    )
    fit = Regression(by=None, cov="cluster", clusters=clusters, weights="cap").fit(
        panel, np.arange(60)
    )
    close(fit.coefficients["estimate"], oracle.params, "estimates", rel=REL)
    V = positive_part(oracle.cov) if len(clusters) == 2 else oracle.cov
    close(fit.coefficients["std_error"], np.sqrt(np.diag(V)), "errors", rel=REL)


def test_inverse_variance_is_of_the_rows_fitted_only() -> None:
    panel = replace(weighted(5), weights=None)
    rows = np.arange(40)
    fit = Regression(by=None, weights="inverse_variance").fit(panel, rows)
    y = pd.DataFrame(np.where(panel.valid, panel.y, np.nan)[:40])
    given = replace(panel, weights=np.tile(1.0 / y.var(ddof=1).to_numpy(), (60, 1)))
    same(fit.coefficients, fit.quality.iloc[0], wls(given, (np.arange(60) < 40)[:, None]))
    panel.y[40:] *= 1000.0
    again = Regression(by=None, weights="inverse_variance").fit(panel, rows)
    pd.testing.assert_frame_equal(fit.coefficients, again.coefficients, check_exact=True)


def test_inverse_variance_needs_a_variance() -> None:
    panel = replace(weighted(6), weights=None)
    panel.y[:, 2] = 1.0
    with pytest.raises(
        DataError, match="inverse_variance of A2: fewer than 2 rows, or a constant target"
    ):
        Regression(by=None, weights="inverse_variance").fit(panel, np.arange(60))


def test_on_the_command_line(cli: Any) -> None:
    words = [
        "experiment=weekly_premia",
        "data=simulated",
        "data.assets=30",
        "data.rows=400",
        "data.end=null",
    ]
    words += ["validation=none", "report=tables"]
    run = cli(*words, "model.weights=market_cap")
    assert run.code == 0, run.err
    assert run.metrics["coef/mom_1m"] != cli(*words).metrics["coef/mom_1m"]
    wrong = cli(*words, "model.weights=market_cop")
    assert wrong.code == 2
    assert "model.weights: field 'market_cop' is unknown" in wrong.errors[0]
    assert "did you mean 'market_cap'?" in wrong.errors[0]


def test_missing_weights_are_counted(cli: Any, tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    dates = pd.bdate_range("2020-01-01", periods=80, name="date")
    rows = pd.MultiIndex.from_product([dates, list("ABCDEF")], names=["date", "asset"]).to_frame(
        index=False
    )
    rows["close"] = 100.0 * np.exp(rng.normal(scale=0.01, size=len(rows)))
    rows["size"] = rng.lognormal(size=len(rows))
    rows.loc[rows["date"] == dates[50], "size"] = np.nan
    rows.loc[rows["date"] == dates[60], "size"] = 0.0
    rows.to_csv(tmp_path / "prices.csv", index=False)
    names = ["data.columns.date=date", "data.columns.asset=asset", "data.columns.close=close"]
    words = [
        "data=file",
        "data.path=prices.csv",
        *names,
        "+data.columns.size=size",
        "~data.columns.volume",
    ]
    words += [
        "experiment=none",
        "target=same_period_return",
        "+features.mom={_target_: runner.features.momentum, window: 5}",
    ]
    words += [
        "~features.MktRF",
        "~features.SMB",
        "~features.HML",
        "model=pooled",
        "model.weights=size",
        "report=tables",
    ]
    run = cli(*words)
    assert run.code == 0, run.err
    dropped = run.table("dropped").set_index("reason")["rows"]
    assert dropped["its weight, size, is missing or not positive"] == 12
