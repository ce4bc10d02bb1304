"""What differs by rounding alone has no estimates, no errors and no ratios; what varies keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from oracles import panel_of

from runner.analyses.strategies.sharpe import intervals
from runner.analyses.strategies.trading import _performance, strategies
from runner.data.market import Market
from runner.errors import DataError
from runner.estimators.estimation import EXACT
from runner.models.moving.rolling import least_squares
from runner.models.regression import Regression
from runner.numerics.cross_section import average, correlations, varies
from runner.numerics.variation import EPS, explained, flat, mean_over_spread, of_quotients, steadied
from runner.preprocessing.steps import Cross, zscore
from runner.targets import forward_return, same_period_return
from runner.trials.hurdles import Track, track
from runner.validation.accuracy import correlation, r2_against

T = 300
RATES = [0.0, 1e-7, 1e-4, 0.01, 0.5]  # of a row: a minute of cash, a day, a month, an inflation


def cash(rate: float = 1e-4, rows: int = T) -> np.ndarray:
    """Returns (rows,) of an account that pays the same rate every row."""
    prices = 100.0 * (1.0 + rate) ** np.arange(rows + 1)
    return prices[1:] / prices[:-1] - 1.0


def noise(seed: int = 0, size: float = 0.01, rows: int = T) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, size, rows)


@pytest.mark.parametrize("rate", RATES)
def test_quotients_of_prices_vary_by_rounding_up_to_four_units_of_one(rate: float) -> None:
    returns = cash(rate)
    assert of_quotients(returns).all()
    assert np.ptp(returns) <= 4.0 * EPS * (1.0 + np.abs(returns).max())
    assert flat(returns)
    assert flat(returns - 0.5 * rate), "less a constant rate"
    assert flat(returns / 3.0 + cash(0.5 * rate) / 3.0, returns=True), "a book of two accounts"


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("holed", [False, True])
def test_an_account_given_by_its_returns_does_not_vary_over_weeks(rate: float, holed: bool) -> None:
    """Rounding adds up where returns are compounded, to 7 units over a week and 30 over a year of days."""
    dates = pd.bdate_range("2010-01-04", periods=T)
    returns = pd.DataFrame({"CASH": cash(rate), "STOCK": noise(4)}, dates)
    if holed:
        returns.iloc[[7, 101, 102], 0] = np.nan
    data = Market("", {"ret": returns}, pd.DataFrame({"RF": min(0.3 * rate, 1e-4)}, dates))
    made = [
        same_period_return(data, frequency="week"),
        same_period_return(data, frequency="week", risk_free="RF"),
    ]
    made += [forward_return(data, horizon=h) for h in (5, 21, 60)]
    made += [
        forward_return(data, horizon=13, frequency="week"),
        forward_return(data, horizon=3, risk_free="RF"),
    ]
    for target in made:
        account, stock = (target.values[name].dropna().to_numpy() for name in ("CASH", "STOCK"))
        assert len(account) > 20 and flat(account) and not flat(stock)


def test_returns_that_differ_are_compounded_as_they_are() -> None:
    """An account whose rate moves keeps its moves, and equal returns of a stock that did not trade stay equal."""
    returns = noise(5)
    returns[[3, 4, 5, 90, 91]] = 0.0
    returns[[20, 21]] = np.nan
    np.testing.assert_array_equal(steadied(returns), returns)
    rates = np.concatenate([cash(1e-4, 50), cash(2e-4, 50), cash(1e-4, 50)])
    steady = steadied(rates)
    assert [len(np.unique(steady[part : part + 50])) for part in (0, 50, 100)] == [1, 1, 1]
    np.testing.assert_allclose(steady, rates, rtol=0, atol=4.0 * EPS)
    both = steadied(np.column_stack([rates, returns[:150]]))
    np.testing.assert_array_equal(both, np.column_stack([steady, returns[:150]]))


def test_prices_rounded_to_the_cent_do_vary() -> None:
    prices = (100.0 * 1.0001 ** np.arange(T + 1)).round(2)
    assert not flat(prices[1:] / prices[:-1] - 1.0)


@pytest.mark.parametrize("power", [-300, -60, -18, -16, -15, 0, 15, 60, 300])
def test_what_is_no_quotient_is_judged_beside_its_own_size(power: int) -> None:
    values = noise(1, 1.0) * 10.0**power
    assert not flat(values)
    assert flat(np.full(T, values[0]))
    assert flat(values[0] * (1.0 + EPS * np.arange(3)))


def test_an_account_is_not_estimated_and_neither_is_a_regression_on_it() -> None:
    y = np.column_stack([cash(), noise(2)])
    for by, estimator in (("asset", "ols"), ("asset", "ridge"), (None, "ols"), ("asset", "lasso")):
        penalty = None if estimator == "ols" else 0.1
        model = Regression(by=by, estimator=estimator, penalty=penalty)
        panel = panel_of(
            y if by else y[:, :1], noise(3)[:, None, None] * np.ones((1, 2 if by else 1, 1))
        )
        if by is None:
            with pytest.raises(Exception, match="the target is constant"):
                model.fit(panel, np.arange(T))
            continue
        quality = model.fit(panel, np.arange(T)).quality
        assert list(quality["reason"]) == ["the target is constant", ""]
    on_cash = panel_of(noise(2)[:, None], cash()[:, None, None])
    with pytest.raises(Exception, match="x0 is constant"):
        Regression().fit(on_cash, np.arange(T))


def test_residuals_that_are_the_rounding_of_quotients_have_no_errors() -> None:
    prices = 10.0 * np.cumprod(1.0 + noise(4, 1e-5, T + 1))  # minutes
    copy = 1.37 * prices
    x, y = (one[1:] / one[:-1] - 1.0 for one in (prices, copy))
    fit = Regression().fit(panel_of(y[:, None], x[:, None, None]), np.arange(T))
    assert list(fit.quality["reason"]) == [EXACT]
    assert fit.coefficients["t_stat"].isna().all()
    assert not explained(float(T) * 1e-24, T, float(T) * 1e-10, noise(5)), (
        "of values that are no quotients"
    )


def test_weights_of_one_over_the_variance_refuse_an_account() -> None:
    panel = panel_of(
        np.column_stack([cash(), noise(2)]), noise(3)[:, None, None] * np.ones((1, 2, 1))
    )
    with pytest.raises(DataError, match="constant target"):
        Regression(by=None, weights="inverse_variance").fit(panel, np.arange(T))


def test_no_ratio_of_an_account() -> None:
    returns = cash()
    assert np.isnan(mean_over_spread(returns)) and np.isnan(
        mean_over_spread(returns / 3.0, returns=True)
    )
    assert {one.reason for one in intervals(returns, 100, None, 0, 0.95)} == {
        "the target does not vary"
    }
    assert np.isnan(track(returns).sharpe) and isinstance(track(returns), Track)
    assert np.isnan(average(returns, 1, returns=True).t_nw)
    known = noise(6)
    assert mean_over_spread(known) == pytest.approx(known.mean() / known.std(ddof=1), rel=1e-14)


def test_trading_an_account_has_no_sharpe_ratio() -> None:
    dates = pd.bdate_range("2020-01-01", periods=T)
    returns = pd.DataFrame({"CASH": cash(), "SAVINGS": cash(5e-5), "THIRD": cash(3e-5)}, dates)
    position = pd.DataFrame(1.0, dates, returns.columns)
    for names in (["CASH"], list(returns)):
        for path in strategies(position[names], returns[names], 0.0).values():
            row = _performance(path, 252.0)
            assert np.isnan(row["sharpe"]) and np.isnan(row["sharpe_net"])
            assert row["reason"] == "sharpe: returns do not vary"


def test_a_date_on_which_assets_differ_by_rounding_has_no_correlation() -> None:
    prices = np.array([10.0, 12.7, 3.3, 7.1, 91.3])
    day = prices * 1.00001 / prices - 1.0
    x = np.concatenate([day, noise(7, rows=5)])
    date = np.repeat([0, 1], 5)
    assert list(varies(x, date, 2)) == [False, True]
    assert list(np.isnan(correlations(x, noise(8, rows=10), date, 2))) == [True, False]
    scaled = zscore(Cross(x.reshape(2, 5, 1), {}, pd.DataFrame(index=range(5))))
    assert np.isnan(scaled[0]).all() and np.isfinite(scaled[1]).all()
    assert np.isnan(correlation(cash(), noise(9))) and np.isnan(
        r2_against(cash(), noise(9), cash().mean())
    )


def test_a_window_of_an_account_has_no_slope_on_it() -> None:
    X = np.stack([cash(rows=30), noise(3, rows=30)], axis=1)[None]
    constant, slopes = least_squares(X, noise(4, rows=30)[None])
    assert slopes[0, 0] == 0.0 and abs(slopes[0, 1]) < 10.0 and np.isfinite(constant).all()


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    days = pd.bdate_range("2020-01-01", periods=T)
    few = 20.0 * np.cumprod(1.0 + np.random.default_rng(1).choice([-0.01, 0.0, 0.0125], T))
    wide = pd.DataFrame(
        {
            "AAA": 50.0 * np.cumprod(1.0 + noise(9)),
            "CASH": 100.0 * 1.0001 ** np.arange(T),
            "TICK": few,
        },
        days,
    )
    long = (
        wide.rename_axis("Date").reset_index().melt("Date", var_name="Ticker", value_name="Close")
    )
    long.to_csv(tmp_path / "prices.csv", index=False)
    return tmp_path / "prices.csv"


def test_a_run_over_an_account_says_that_it_was_not_estimated(prices: Path) -> None:
    from runner.cli.composition import Composer
    from runner.experiment.reading import reading
    from runner.experiment.run import run

    words = [
        "experiment=sharpe",
        "data=file",
        f"data.path={prices}",
        "data.assets=null",
        "data.columns.close=Close",
        "data.columns.volume=null",
        "target=same_period_return",
        "analyses.sharpe.draws=50",
    ]
    report = run(Composer().job(words).experiment)
    assert report.skipped == {"CASH": "the target is constant"}
    table = report.findings["sharpe"].table
    assert table[table["unit"] == "CASH"]["sharpe"].isna().all()
    assert np.abs(table["sharpe_annual"]).max() < 10.0
    said = "\n".join(reading(report))
    assert "No interval of blocks for CASH: the target does not vary." in said
    few = "The target of TICK has fewer than ten distinct values (TICK 3 in 299 rows): are its prices rounded"
    assert few in said
