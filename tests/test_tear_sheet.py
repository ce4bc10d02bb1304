"""The tear sheet of a strategy against pandas and closed forms, and as the page shows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.analyses.strategies.tear_sheet import (
    Strategy,
    monthly,
    performance,
    returns_of,
    rolling_sharpe,
    window_of,
    worst_drawdowns,
)
from runner.data.calendar import Year, calendar_of
from runner.panels.finding import Finding
from runner.sinks import tear_sheet as page
from runner.sinks.canvas import style
from runner.sinks.drawings.tear_sheet import months, tear_sheet

REL = 1e-12  # of sums in another order
MONTHLY = Year(12.0, "monthly calendar")


def wealth_of(n: int = 600, frequency: str = "B", seed: int = 0) -> pd.Series:
    """Compounded normal returns from 1 at the first date on."""
    rng = np.random.default_rng(seed)
    growth = 1.0 + np.append(0.0, rng.normal(0.0004, 0.01, n))
    dates = pd.date_range("2019-11-20", periods=n + 1, freq=frequency)
    return pd.Series(np.cumprod(growth), dates)


def test_returns_are_those_of_pandas() -> None:
    wealth = wealth_of()
    expected = wealth.pct_change().dropna()
    pd.testing.assert_series_equal(returns_of(wealth), expected, rtol=REL)


def test_nothing_is_earned_after_a_total_loss() -> None:
    wealth = pd.Series([1.0, 0.5, 0.0, 0.0], pd.bdate_range("2020-01-01", periods=4))
    assert list(returns_of(wealth)) == [-0.5, -1.0]
    numbers = performance(Strategy(wealth, None, MONTHLY, 1))
    assert numbers["total"] == numbers["compound"] == numbers["max_drawdown"] == -1.0


def test_a_rolling_sharpe_ratio_is_that_of_pandas() -> None:
    returns = returns_of(wealth_of())
    rolling = returns.rolling(60)
    expected = (rolling.mean() / rolling.std(ddof=1)).dropna()
    pd.testing.assert_series_equal(rolling_sharpe(returns, 60), expected, rtol=1e-8)


def test_returns_that_do_not_vary_have_no_rolling_sharpe_ratio() -> None:
    returns = pd.Series(0.01, pd.bdate_range("2020-01-01", periods=40))
    assert rolling_sharpe(returns, 12).isna().all()


@pytest.mark.parametrize(
    ("returns", "per_year", "window"),
    [
        (600, 252.0, 252),  # a year
        (400, 252.0, 100),  # less than two of them: a quarter of the record
        (40, 12.0, 12),
        (23, 12.0, 0),  # fewer than two windows
        (50, 4.0, 12),  # never fewer than twelve returns
        (100, float("nan"), 25),
    ],
)
def test_the_window_is_a_year_where_the_record_has_two(
    returns: int, per_year: float, window: int
) -> None:
    assert window_of(returns, per_year) == window


def test_months_and_years_compound_as_pandas_resamples() -> None:
    wealth = wealth_of()
    table = monthly(returns_of(wealth))
    ends = wealth.resample("ME").last()
    expected = (ends / ends.shift(fill_value=1.0) - 1.0).iloc[0:]
    for date, value in expected.items():
        assert table.loc[date.year, date.month] == pytest.approx(value, rel=1e-9, abs=1e-14)
    year_ends = wealth.resample("YE").last()
    years = year_ends / year_ends.shift(fill_value=1.0) - 1.0
    np.testing.assert_allclose(table["year"], years, rtol=1e-9)
    assert np.isnan(table.loc[2019, 1])  # before the record


def test_a_month_without_a_return_is_no_zero() -> None:
    wealth = pd.Series(
        [1.0, 1.1, 1.21], pd.DatetimeIndex(["2020-01-31", "2020-02-28", "2020-05-29"])
    )
    table = monthly(returns_of(wealth))
    row = table.loc[2020]
    assert row[2] == pytest.approx(0.1) and row[5] == pytest.approx(0.1)
    assert row.drop([2, 5, "year"]).isna().all()
    assert row["year"] == pytest.approx(0.21)


def test_drawdowns_of_a_path_told_by_hand() -> None:
    dates = pd.date_range("2020-01-01", periods=8)
    wealth = pd.Series([1.0, 2.0, 1.0, 1.5, 2.0, 1.8, 2.5, 2.0], dates)
    table = worst_drawdowns(wealth)
    assert list(table["drawdown"]) == pytest.approx([-0.5, -0.2, -0.1])
    assert list(table["from"]) == [dates[1], dates[6], dates[4]]
    assert list(table["lowest"]) == [dates[2], dates[7], dates[5]]
    assert list(table["recovered"][[0, 2]]) == [dates[4], dates[6]]
    assert pd.isna(table["recovered"][1])  # the record ends below its high
    assert list(table["days_down"]) == [1, 1, 1]
    assert list(table["days_in_all"]) == [3, 1, 2]


def test_drawdowns_are_those_of_a_loop() -> None:
    wealth = wealth_of(seed=3)
    table = worst_drawdowns(wealth, most=1000)
    assert table["drawdown"].iloc[0] == pytest.approx((wealth / wealth.cummax() - 1.0).min())
    covered = 0
    for row in table.itertuples():
        last = wealth.index[-1] if pd.isna(row.recovered) else row.recovered
        part = wealth[row[1] : last]
        assert part.min() / wealth[row[1]] - 1.0 == pytest.approx(row.drawdown, rel=REL)
        assert part.idxmin() == row.lowest
        covered += int((part < wealth[row[1]]).sum())
    assert covered == int((wealth < wealth.cummax()).sum())  # each row below a high is in one


def test_wealth_that_never_falls_has_no_drawdown() -> None:
    rising = pd.Series([1.0, 1.1, 1.2], pd.date_range("2020-01-31", periods=3, freq="ME"))
    assert worst_drawdowns(rising).empty
    assert "Worst drawdowns" not in page.html(Strategy(rising, None, MONTHLY, 1))


def test_annual_numbers_have_their_factor() -> None:
    wealth = wealth_of(48, "ME")
    returns = wealth.pct_change().dropna()
    turnover = pd.Series(0.25, wealth.index[:-1])
    numbers = performance(Strategy(wealth, turnover, MONTHLY, 1))
    assert numbers["compound"] == pytest.approx(wealth.iloc[-1] ** (12 / 48) - 1.0)
    assert numbers["volatility"] == pytest.approx(returns.std() * 12**0.5)
    assert numbers["sharpe"] == pytest.approx(returns.mean() / returns.std() * 12**0.5)
    assert numbers["turnover"] == pytest.approx(3.0)
    quarterly = performance(Strategy(wealth, turnover, MONTHLY, 3))  # each held for three rows
    assert quarterly["sharpe"] == pytest.approx(numbers["sharpe"] / 3**0.5)
    assert quarterly["turnover"] == pytest.approx(1.0)


def report_of(wealth: pd.Series, **settings: Any) -> Any:
    """As much of a report as the strategies need: two analyses of the same wealth."""
    finding = Finding(pd.DataFrame(), wealth=wealth)
    dates = wealth.index
    return SimpleNamespace(
        findings={"portfolio": finding, "again": finding, "none": Finding(pd.DataFrame())},
        spec={"analyses": {"portfolio": settings}},
        panel=SimpleNamespace(calendar=calendar_of(dates)),
        study=SimpleNamespace(market_of_target=SimpleNamespace(dates=dates)),
    )


def test_the_same_wealth_is_shown_once_with_the_year_of_its_calendar() -> None:
    strategies = page.strategies_of(report_of(wealth_of(48, "ME")))
    assert list(strategies) == ["portfolio"]
    assert strategies["portfolio"].per_year == 12.0
    assert "annualised with 12 rows a year (monthly calendar)" in page.html(strategies["portfolio"])


def test_rows_held_together_are_counted() -> None:
    wealth = wealth_of(240, "ME")
    report = report_of(wealth)
    held = wealth.iloc[::3]
    report.findings = {"portfolio": Finding(pd.DataFrame(), wealth=held)}
    strategy = page.strategies_of(report)["portfolio"]
    assert (strategy.rows_held, strategy.per_year) == (3, 4.0)
    assert "each return over 3 of them" in strategy.annualised
    assert not strategy.has_months
    with style():
        assert months(strategy) is None
        assert tear_sheet(strategy) is not None


def test_without_a_calendar_nothing_is_annualised() -> None:
    wealth = wealth_of(60)
    uneven = wealth.index[0] + pd.to_timedelta(np.arange(61) ** 1.7, unit="D").floor("D")
    wealth.index = pd.DatetimeIndex(uneven)
    strategy = page.strategies_of(report_of(wealth))["portfolio"]
    assert strategy.year is None
    text = page.html(strategy)
    assert "not annualised" in text and "Sharpe ratio a year" not in text


def test_pictures_of_short_and_of_ruined_records_are_drawn() -> None:
    ruined = wealth_of(30)
    ruined.iloc[20:] = 0.0
    with style():
        for wealth in (wealth_of(2), wealth_of(30), ruined):
            strategy = Strategy(wealth, pd.Series(1.0, wealth.index[:1]), MONTHLY, 1)
            assert tear_sheet(strategy) is not None and months(strategy) is not None
