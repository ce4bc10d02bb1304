"""Targets look exactly `horizon` rows ahead; weekly ones on the real snapshot."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import QUICK

from runner.data.market import Market
from runner.data.sources.file import File
from runner.errors import DataError
from runner.features import functions as features
from runner.features.expressions import Expression
from runner.features.functions import market_return, shared
from runner.panels.building import build_panel
from runner.targets import forward_return, same_period_return

TECH = Path(__file__).parents[2] / "shared" / "data" / "us_tech_etf_daily_2017_2025.parquet"
needs_tech = pytest.mark.skipif(not TECH.is_file(), reason=f"needs {TECH}")
NINE = ["AAPL", "MSFT", "AMZN", "GOOGL", "META", "NFLX", "SPY", "QQQ", "IWM"]
ROWS = 60


def market(seed: int = 0, ret: bool = False) -> Market:
    rng = np.random.default_rng(seed)
    dates = pd.bdate_range("2020-01-01", periods=ROWS, name="date")
    returns = pd.DataFrame(rng.normal(0, 0.02, (ROWS, 2)), dates, ["A", "B"])
    prices = 100 * (1 + returns).cumprod()
    series = pd.DataFrame({"RF": rng.uniform(0.0001, 0.0004, ROWS)}, dates)
    return Market("drawn", {"ret": returns} if ret else {"close": prices}, series, prices["A"])


def test_the_return_of_the_same_row() -> None:
    data = market()
    P = data.get("close").to_numpy()
    values, horizon, _ = same_period_return(data)
    assert horizon == 0
    assert np.isnan(values.iloc[0]).all()
    for t in range(1, ROWS):
        np.testing.assert_allclose(values.iloc[t], P[t] / P[t - 1] - 1, rtol=1e-12)


@pytest.mark.parametrize("ret", [False, True])
@pytest.mark.parametrize("horizon", [1, 2, 21])
def test_the_return_ahead(horizon: int, ret: bool) -> None:
    data = market(ret=ret)
    values, found, _ = forward_return(data, horizon=horizon)
    assert found == horizon
    for t in range(ROWS):
        if t + horizon >= ROWS:
            assert np.isnan(values.iloc[t]).all()
            continue
        for name in "AB":
            if ret:
                R = data.get("ret")[name].tolist()
                expected = math.prod(1 + R[s] for s in range(t + 1, t + horizon + 1)) - 1
            else:
                P = data.get("close")[name].tolist()
                expected = P[t + horizon] / P[t] - 1
            assert values[name].iloc[t] == pytest.approx(expected, rel=1e-11, abs=1e-13)


@given(
    st.integers(1, 25), st.integers(0, ROWS - 1), st.integers(0, 50), st.booleans(), st.booleans()
)
@QUICK
def test_row_t_looks_exactly_horizon_rows_ahead(
    horizon: int, t: int, seed: int, ret: bool, excess: bool
) -> None:
    data = market(seed, ret)
    name = "ret" if ret else "close"
    settings: dict[str, Any] = {"horizon": horizon, "risk_free": "RF" if excess else None}
    before = forward_return(data, **settings).values

    def value_at_t(changed_row: int) -> np.ndarray:
        frame, series = data.get(name).copy(), data.series.copy()
        frame.iloc[changed_row:] = frame.iloc[changed_row:] * 1.5 + 0.1
        series.iloc[changed_row:] *= 2.0
        return (
            forward_return(Market("", {name: frame}, series), **settings).values.iloc[t].to_numpy()
        )

    if t + horizon + 1 < ROWS:
        np.testing.assert_array_equal(value_at_t(t + horizon + 1), before.iloc[t])
    if t + horizon < ROWS:
        assert (value_at_t(t + horizon) != before.iloc[t].to_numpy()).all()
    else:
        assert before.iloc[t].isna().all()


@given(st.integers(1, 25), st.integers(0, ROWS - 1))
@QUICK
def test_a_return_ahead_of_returns_does_not_use_row_t_itself(horizon: int, t: int) -> None:
    data = market(ret=True)
    frame = data.get("ret").copy()
    frame.iloc[: t + 1] = 0.5
    after = forward_return(Market("", {"ret": frame}, data.series), horizon=horizon).values
    expected = forward_return(data, horizon=horizon).values
    np.testing.assert_allclose(after.iloc[t], expected.iloc[t], rtol=1e-9, atol=1e-13)


def test_the_risk_free_rate_of_the_row_is_subtracted() -> None:
    data = market()
    expected = same_period_return(data).values.to_numpy() - data.shared("RF").to_numpy()[:, None]
    np.testing.assert_array_equal(same_period_return(data, risk_free="RF").values, expected)


@pytest.mark.parametrize("ret", [False, True])
@pytest.mark.parametrize("horizon", [1, 3])
def test_the_risk_free_rate_compounds_over_the_same_rows(horizon: int, ret: bool) -> None:
    data = market(ret=ret)
    plain = forward_return(data, horizon=horizon).values
    values = forward_return(data, horizon=horizon, risk_free="RF").values
    rate = data.shared("RF").tolist()
    for t in range(ROWS - horizon):
        earned = math.prod(1 + rate[s] for s in range(t + 1, t + horizon + 1)) - 1
        np.testing.assert_allclose(values.iloc[t], plain.iloc[t] - earned, rtol=1e-11, atol=1e-13)
    assert values.iloc[ROWS - horizon :].isna().all(axis=None)


@pytest.mark.parametrize("ret", [False, True])
@pytest.mark.parametrize("partial", ["drop", "keep"])
@pytest.mark.parametrize("frequency", ["week", "month"])
def test_the_risk_free_rate_compounds_over_weeks_and_months(
    frequency: Any, partial: Any, ret: bool
) -> None:
    """By a loop: the factors 1 + return and 1 + rate of the days of each period, the last one over or kept."""
    data = market(ret=ret)  # from Wednesday 2020-01-01 to Tuesday 2020-03-24
    data.series.iloc[25, data.series.columns.get_loc("RF")] = (
        np.nan
    )  # an unknown rate leaves no excess return
    rate, P = data.shared("RF").tolist(), market().get("close").to_numpy()
    days: dict[Any, list[int]] = {}
    for t, day in enumerate(data.dates):
        days.setdefault(
            day.isocalendar()[:2] if frequency == "week" else (day.year, day.month), []
        ).append(t)
    periods = list(days.values())[: None if partial == "keep" else -1]
    earned = [math.prod(1.0 + rate[t] for t in rows) - 1.0 for rows in periods]
    same = same_period_return(data, risk_free="RF", frequency=frequency, partial=partial).values
    ahead = forward_return(data, risk_free="RF", frequency=frequency, partial=partial).values
    two = forward_return(
        data, risk_free="RF", frequency=frequency, partial=partial, horizon=2
    ).values
    assert list(same.index) == list(ahead.index) == [data.dates[rows[-1]] for rows in periods]
    for k in range(1, len(periods)):
        risky = P[periods[k][-1]] / P[periods[k - 1][-1]] - 1.0
        np.testing.assert_allclose(same.iloc[k], risky - earned[k], rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(ahead.iloc[k - 1], risky - earned[k], rtol=1e-10, atol=1e-14)
    for k in range(len(periods) - 2):
        risky = P[periods[k + 2][-1]] / P[periods[k][-1]] - 1.0
        both = (1.0 + earned[k + 1]) * (1.0 + earned[k + 2]) - 1.0
        np.testing.assert_allclose(two.iloc[k], risky - both, rtol=1e-10, atol=1e-14)
    assert (
        ahead.iloc[-1].isna().all()
        and np.isnan(earned).sum() == same.iloc[1:].isna().all(axis=1).sum() == 1
    )


def test_what_is_refused() -> None:
    data = market()
    for target in (same_period_return, forward_return):
        with pytest.raises(DataError, match="series 'RV' is unknown; allowed: RF"):
            target(data, risk_free="RV")


@pytest.mark.parametrize("partial", ["drop", "keep"])
@pytest.mark.parametrize("frequency", ["week", "month"])
def test_weeks_and_months_go_from_last_row_to_last_row(frequency: Any, partial: Any) -> None:
    data = market()  # up to 2020-03-24, a Tuesday
    last: dict[Any, int] = {}
    for t, day in enumerate(data.dates):
        last[day.isocalendar()[:2] if frequency == "week" else (day.year, day.month)] = t
    rows = list(last.values())[: None if partial == "keep" else -1]
    P = data.get("close").to_numpy()
    for horizon in (1, 2):
        values, found, _ = forward_return(
            data, horizon=horizon, frequency=frequency, partial=partial
        )
        assert found == horizon
        assert list(values.index) == [data.dates[t] for t in rows]
        for k in range(len(rows) - horizon):
            np.testing.assert_allclose(
                values.iloc[k], P[rows[k + horizon]] / P[rows[k]] - 1, rtol=1e-12
            )
        assert values.iloc[-horizon:].isna().all(axis=None)
    same = same_period_return(data, frequency=frequency, partial=partial).values
    ahead = forward_return(data, frequency=frequency, partial=partial).values
    np.testing.assert_allclose(same.iloc[1:], ahead.iloc[:-1], rtol=1e-12)


@pytest.mark.parametrize("frequency", ["week", "month"])
def test_returns_are_compounded_over_the_rows_of_a_week_or_month(frequency: Any) -> None:
    data = market(ret=True)  # from 2020-01-01, the first weekday of its month, a Wednesday
    returns = data.get("ret")
    returns.iloc[24, 0] = np.nan  # one that is missing leaves none
    returns.iloc[30, 1] = -1.0  # all is lost, and the next week begins anew
    period = data.dates.to_period({"week": "W-FRI", "month": "M"}[frequency])
    expected = (1.0 + returns).groupby(period).prod().where(
        returns.notna().groupby(period).all()
    ) - 1.0
    if frequency == "week":
        expected.iloc[0] = np.nan  # its Monday and Tuesday are not there
    found = same_period_return(data, frequency=frequency).values
    np.testing.assert_allclose(found, expected.iloc[:-1], rtol=1e-12, atol=1e-15)
    assert (found == -1.0).to_numpy().sum() == 1 and found.isna().to_numpy().any()
    every = same_period_return(data, frequency=frequency, partial="keep").values
    np.testing.assert_allclose(every, expected, rtol=1e-12, atol=1e-15)
    ahead = forward_return(data, frequency=frequency).values
    np.testing.assert_allclose(ahead.iloc[:-1], expected.iloc[1:-1], rtol=1e-12, atol=1e-15)
    two = forward_return(data, frequency=frequency, horizon=2).values.iloc[:-2]
    in_two = (1.0 + expected) * (1.0 + expected.shift(-1)) - 1.0
    np.testing.assert_allclose(two, in_two.iloc[1:-2], rtol=1e-11, atol=1e-14)


def test_returns_and_prices_give_the_same_weeks() -> None:
    prices, returns = market(), market(ret=True)
    of_prices = forward_return(prices, frequency="week").values
    np.testing.assert_allclose(
        forward_return(returns, frequency="week").values, of_prices, rtol=1e-11, atol=1e-14
    )


def test_a_week_that_is_left_out_is_counted_and_the_way_to_keep_it_is_said() -> None:
    data = market()
    panel = build_panel(data, {}, lambda one: forward_return(one, frequency="week"))
    assert panel.dropped[0] == (
        "week",
        "the last one is not over, the data end on Tuesday 2020-03-24, before its last weekday, Friday 2020-03-27 "
        "(target.partial=keep keeps it)",
        1,
    )
    kept = build_panel(data, {}, lambda one: forward_return(one, frequency="week", partial="keep"))
    over = build_panel(
        data.between(None, "2020-03-20"), {}, lambda one: forward_return(one, frequency="week")
    )
    assert not [one for one in (*kept.dropped, *over.dropped) if one.what == "week"]
    assert str(over.dates[-1].date()) == "2020-03-20" and str(kept.dates[-1].date()) == "2020-03-24"


@needs_tech
def test_weeks_of_the_snapshot() -> None:
    columns: dict[str, str | None] = {
        "date": "Date",
        "asset": "Ticker",
        "close": "AdjClose",
        "volume": "Volume",
    }
    data = File(str(TECH), columns, market="SPY", assets=NINE).load()
    target = forward_return(data, frequency="week", partial="keep")
    assert target.values.shape == (437, 9)
    assert str(target.values.index[-1].date()) == "2025-05-14"  # a Wednesday: the unfinished week
    assert str(forward_return(data, frequency="week").values.index[-1].date()) == "2025-05-09"
    signals = {
        "mom_1m": lambda one: features.momentum(one, window=21),
        "volume_surprise": lambda one: features.volume_surprise(one, window=20),
        "volatility": lambda one: features.volatility(one, window=21),
        "beta": lambda one: features.beta(one, window=60),
    }
    panel = build_panel(
        data, signals, lambda one: forward_return(one, frequency="week", partial="keep")
    )
    whole = panel.valid.all(axis=1)
    assert int(whole.sum()) == 424
    assert str(panel.dates[whole][-1].date()) == "2025-05-09"  # against the return to 2025-05-14
    assert panel.horizon == 1
    # the same weeks from the raw file, in plain pandas
    wide = pd.read_parquet(TECH)["AdjClose"].unstack()[NINE].loc[lambda rows: rows["SPY"].notna()]
    weekly = wide.groupby(wide.index.to_period("W-FRI")).last()
    expected = (weekly.shift(-1) / weekly - 1).to_numpy()
    np.testing.assert_allclose(panel.y, expected, rtol=1e-12)


# Factors beside returns of months


def daily_factors() -> Market:
    """Two assets on a daily factor, betas .5 and 1.5, without noise; and a level of the day."""
    rng = np.random.default_rng(5)
    days = pd.bdate_range("2018-01-01", "2019-12-31", name="date")
    factor = pd.Series(rng.normal(0.0003, 0.01, len(days)), days)
    returns = pd.DataFrame({"A": 0.5 * factor, "B": 1.5 * factor})
    series = pd.DataFrame({"MktRF": factor, "vix": 15.0 + np.arange(len(days))})
    return Market("here", {"ret": returns}, series)


def test_a_factor_is_compounded_over_the_month_as_the_target_is() -> None:
    data = daily_factors()
    factor = data.shared("MktRF")
    expected = (1.0 + factor).groupby(factor.index.to_period("M")).prod() - 1.0
    monthly = shared(data, series="MktRF", frequency="month")
    # products of some twenty numbers near one, in another order
    np.testing.assert_allclose(monthly, expected, rtol=1e-12, atol=1e-15)
    features = {"MktRF": partial(shared, series="MktRF", frequency="month")}
    panel = build_panel(data, features, partial(same_period_return, frequency="month"))
    slope = np.polyfit(panel.X[:, 1, 0], panel.y[:, 1], 1)[0]
    # compounding is not linear: near 1.5, and far from what one day of the month explains
    assert slope == pytest.approx(1.5, abs=0.02)


@pytest.mark.parametrize(
    ("feature", "remedy"),
    [
        (partial(shared, series="MktRF"), "++features.f.frequency=month"),
        (Expression("MktRF"), "features.f='{_target_: runner.features.shared, series: MktRF"),
        (partial(market_return), "++features.f.frequency=month"),
        (Expression("market_ret"), "features.f='{_target_: runner.features.market_return"),
    ],
)
def test_the_return_of_a_day_does_not_explain_that_of_a_month(feature: Any, remedy: str) -> None:
    data = daily_factors()
    data = replace(data, market_ret=data.shared("MktRF"))
    monthly = partial(same_period_return, frequency="month")
    with pytest.raises(DataError, match="is the return of one row of the data") as caught:
        build_panel(data, {"f": feature}, monthly)
    [line] = caught.value.mistakes
    assert line.startswith("features.f: ") and remedy in line
    # a forecast may use the return of the last day, and says so
    ahead = build_panel(data, {"f": feature}, partial(forward_return, frequency="month"))
    assert any(note.startswith("f: the value of a week or month") for note in ahead.notes)
    # as may a target of the day
    assert build_panel(data, {"f": feature}, same_period_return).notes == ()


def test_the_level_of_the_last_day_is_said() -> None:
    level = {"vix": partial(shared, series="vix")}
    panel = build_panel(daily_factors(), level, partial(same_period_return, frequency="month"))
    assert any(note.startswith("vix: the value of a week or month") for note in panel.notes)
