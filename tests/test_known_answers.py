"""Numbers that were known before this code: S1 on the snapshot of US stocks, S3 on the French data.

Estimates to 1e-6 relative and t to 1e-3 where the reference gives the digits; where it gives fewer, to half
a unit of its last digit.
"""

from __future__ import annotations

import pandas as pd
import pytest

SIGNALS = {
    "const": (-0.001351, -0.981),
    "market_ret": (1.222215, 38.768),
    "mom_1m": (0.028850, 7.429),
    "mom_3m": (0.001699, 0.779),
    "volume_surprise": (0.003078, 4.172),
    "volatility": (0.077870, 2.327),
    "beta": (-0.000315, -0.312),
    "vix_chg": (-0.001199, -0.284),
    "tlt_ret": (0.057737, 2.079),
    "dxy_chg": (0.089091, 1.371),
}
LAST_DIGIT = 0.5e-6  # estimates of the reference are rounded to six decimals
T_DIGIT = 0.5e-3  # and its t to three


@pytest.fixture
def apple(cli, stocks):
    return lambda experiment, *more: cli(
        f"experiment={experiment}", "data=file", f"data.path={stocks}", "data.assets=[AAPL]", *more
    )


def test_capm_of_apple(apple) -> None:
    run = apple("capm", "report=tables")
    terms = run.table("coefficients").set_index("term")
    quality = run.table("quality").iloc[0]
    assert quality["n_obs"] == 2102
    assert quality["r2"] == pytest.approx(0.599658, abs=LAST_DIGIT)
    assert terms.loc["const", "estimate"] == pytest.approx(0.000434, abs=LAST_DIGIT)
    assert terms.loc["const", "t_stat"] == pytest.approx(1.654, abs=T_DIGIT)
    assert terms.loc["market_ret", "estimate"] == pytest.approx(1.233994, abs=LAST_DIGIT)
    assert terms.loc["market_ret", "t_stat"] == pytest.approx(56.085, abs=T_DIGIT)


def test_nine_signals_of_apple_on_the_same_row(apple) -> None:
    run = apple("alpha_signals")
    terms = run.table("coefficients").set_index("term")
    assert list(terms.index) == list(SIGNALS)
    for term, (estimate, t_stat) in SIGNALS.items():
        assert terms.loc[term, "estimate"] == pytest.approx(estimate, abs=LAST_DIGIT)
        assert terms.loc[term, "t_stat"] == pytest.approx(t_stat, abs=T_DIGIT)
    quality = run.table("quality").iloc[0]
    assert (quality["n_obs"], quality["r2"]) == (2040, pytest.approx(0.622390, abs=LAST_DIGIT))
    tests = run.table("diagnostics").set_index("diagnostic")["statistic"]
    assert tests["jarque_bera"] == pytest.approx(1535.16, abs=0.005)
    assert tests["breusch_pagan"] == pytest.approx(448.44, abs=0.005)
    assert tests["durbin_watson"] == pytest.approx(1.8619, abs=0.5e-4)
    assert tests["condition_number"] == pytest.approx(407.12, abs=0.005)
    dropped = run.table("dropped")
    assert dropped["rows"].sum() == 1 + (
        2103 - 2040
    )  # one date on which only the dollar index trades


def test_hold_out_of_apple_explains(apple) -> None:
    run = apple("alpha_signals", "report=tables")
    fold = run.table("folds").iloc[0]
    assert (fold["train_rows"], fold["test_rows"], fold["purged"]) == (1196, 844, 0)
    assert run.metrics["oos/r2_test_mean"] == pytest.approx(0.63197, abs=0.5e-5)
    assert run.metrics["oos/r2"] == pytest.approx(0.63339, abs=0.5e-5)
    assert run.metrics["oos/rmse"] == pytest.approx(0.01135, abs=0.5e-5)
    assert "explanatory" in run.out


def test_one_day_ahead_forecast_of_apple(apple) -> None:
    run = apple("alpha_signals", "target=forward_return", "report=tables")
    fold = run.table("folds").iloc[0]
    assert run.table("quality").iloc[0]["r2"] == pytest.approx(0.020021, abs=LAST_DIGIT)
    assert (fold["train_rows"], fold["purged"]) == (1196, 0)
    assert run.metrics["oos/r2"] == pytest.approx(-0.05782424, abs=0.5e-8)
    assert "predictive" in run.out


def test_one_day_ahead_forecast_of_apple_under_the_strict_purge(apple) -> None:
    """Leaves out the row whose target ends at the first price of the test part."""
    words = ["target=forward_return", "validation.purge=strict", "report=tables"]
    run = apple("alpha_signals", *words)
    fold = run.table("folds").iloc[0]
    assert (fold["train_rows"], fold["purged"]) == (1195, 1)
    assert run.metrics["oos/r2"] == pytest.approx(-0.05728, abs=0.5e-5)


@pytest.mark.parametrize("unit", ["AAPL", "IWM"])
def test_signals_equal_a_second_pipeline_to_every_digit(cli, stocks, unit: str) -> None:
    """pandas and statsmodels from the raw file, written once more without any of this code."""
    import statsmodels.api as sm

    words = ["experiment=alpha_signals", "data=file", f"data.path={stocks}", "model.cov=HC3"]
    run = cli(*words, "report=tables")
    wide = pd.read_parquet(stocks).unstack()
    P, V = (wide[name][wide["AdjClose"]["SPY"].notna()] for name in ("AdjClose", "Volume"))
    r = P / P.shift(1) - 1
    X = pd.DataFrame(
        {
            "market_ret": r["SPY"],
            "mom_1m": P[unit] / P[unit].shift(21) - 1, "mom_3m": P[unit] / P[unit].shift(63) - 1,
            "volume_surprise": V[unit] / V[unit].rolling(20).mean() - 1, "volatility": r[unit].rolling(21).std(),
            "beta": r[unit].rolling(60).cov(r["SPY"]) / r["SPY"].rolling(60).var(),
            "vix_chg": r["^VIX"], "tlt_ret": r["TLT"], "dxy_chg": r["DX-Y.NYB"],
        }
    )  # fmt: skip
    rows = pd.concat([r[unit].rename("y"), X], axis=1).dropna()
    theirs = sm.OLS(rows["y"], sm.add_constant(rows[X.columns])).fit(cov_type="HC3", use_t=True)
    ours = run.table("coefficients").query("unit == @unit").set_index("term")
    assert ours["estimate"].tolist() == pytest.approx(theirs.params.tolist(), rel=1e-9)
    assert ours["t_stat"].tolist() == pytest.approx(theirs.tvalues.tolist(), rel=1e-9)


def test_small_value_portfolio_on_three_factors(cli) -> None:
    run = cli("data.assets=[S1V5]", "report=tables")
    terms = run.table("coefficients").set_index("term")
    quality = run.table("quality").iloc[0]
    assert quality["n_obs"] == 819
    assert quality["r2"] == pytest.approx(0.9467, abs=0.5e-4)
    assert terms.loc["const", "estimate"] == pytest.approx(0.0012, abs=0.5e-4)
    assert terms.loc["const", "t_stat"] == pytest.approx(2.52, abs=0.005)
    assert terms["estimate"].iloc[1:].tolist() == pytest.approx([0.962, 1.085, 0.695], abs=0.5e-3)


def test_french_regressions_equal_statsmodels_to_every_digit_it_has(cli) -> None:
    import statsmodels.api as sm
    from linearmodels.datasets import french

    words = ["model.cov=HAC", "model.cov_lags=6", "validation=none", "report=tables"]
    run = cli("data.assets=null", *words)
    data = french.load()
    X = sm.add_constant(data[["MktRF", "SMB", "HML"]])
    table = run.table("coefficients")
    for unit, ours in table[table["scope"] == "asset"].groupby("unit"):
        y = data[unit] - data["RF"]
        theirs = sm.OLS(y, X).fit(cov_type="HAC", cov_kwds={"maxlags": 6}, use_t=True)
        pd.testing.assert_series_equal(
            ours.set_index("term")["estimate"], theirs.params, check_names=False, rtol=1e-9, atol=0
        )
        assert ours["t_stat"].tolist() == pytest.approx(theirs.tvalues.tolist(), rel=1e-9)
        assert ours["p_value"].tolist() == pytest.approx(
            theirs.pvalues.tolist(), rel=1e-6, abs=1e-300
        )
    assert table["unit"].nunique() == 30 + 1
