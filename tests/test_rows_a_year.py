"""Every annual number takes its rows a year from the calendar of its rows; returns by month without prices."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.cli.composition import Composer
from runner.data.market import Market
from runner.errors import DataError, RunnerError
from runner.experiment.run import run
from runner.features.expressions import Expression
from runner.features.functions import realised_volatility
from runner.sinks.terminal import show
from runner.targets import forward_volatility, same_period_return

REL = 1e-10  # two sums of some hundred float64 in another order
MONTHLY = "annualised with 12 rows a year (monthly calendar)"


def returns_only(dates: pd.DatetimeIndex, assets: int = 20, seed: int = 28) -> pd.DataFrame:
    """A row per date and asset: a signal `s`, and returns that it foretells by one row."""
    rng, shape = np.random.default_rng(seed), (len(dates), assets)
    s = rng.normal(size=shape)
    ret = np.vstack([np.zeros(assets), 0.01 * s[:-1]]) + rng.normal(0.005, 0.05, shape)
    names = [f"A{i:02d}" for i in range(assets)]
    frames = {"ret": pd.DataFrame(ret, dates, names), "s": pd.DataFrame(s, dates, names)}
    table = pd.concat({name: frame.stack() for name, frame in frames.items()}, axis=1)
    return table.rename_axis(["Date", "Ticker"]).reset_index()


def of_returns(path: Path) -> list[str]:
    words = [
        "experiment=none",
        "data=file",
        f"data.path={path}",
        "data.columns.close=null",
        "data.columns.volume=null",
    ]
    words += ["+data.columns.ret=ret", "+data.columns.s=s", "features=none", "+features={s: s}"]
    return [*words, "target=forward_return"]


def analysis(name: str, **settings: Any) -> str:
    """An override that adds an analysis; of trading the module is its own, else the one of its name."""
    values = {"_target_": f"runner.analyses.{name}.{name}", **settings}
    return f"+analyses.{name}={{{', '.join(f'{key}: {value}' for key, value in values.items())}}}"


@pytest.fixture
def monthly(tmp_path: Path) -> list[str]:
    """A spec on five years of months that trades its forecasts."""
    returns_only(pd.date_range("2010-01-31", periods=60, freq="ME")).to_csv(
        tmp_path / "panel.csv", index=False
    )
    words = [
        *of_returns(tmp_path / "panel.csv"),
        "model=pooled",
        "validation=walk_forward",
        "validation.first=24",
    ]
    words += [
        "validation.test=12",
        analysis("portfolio", quantiles=5, draws=50),
        analysis("trading", threshold=0.0),
    ]
    return [*words, "audit=off"]


def test_trading_by_the_month_is_annualised_with_twelve_rows(
    monthly: list[str], capsys, tmp_path: Path
) -> None:
    report = run(Composer().job(monthly).experiment)
    portfolio = report.findings["portfolio"].table.set_index("scope").loc["strategy"]
    per_row = portfolio["t_stat"] / np.sqrt(
        portfolio["n_obs"]
    )  # t of a mean is the ratio times the root of n
    assert portfolio["sharpe"] == pytest.approx(np.sqrt(12) * per_row, rel=REL)
    assert portfolio["mean_annual"] == pytest.approx(12 * portfolio["mean"], rel=REL)
    row = (
        report.findings["trading"]
        .table.query("strategy == 'buy_and_hold' and unit == 'all'")
        .iloc[0]
    )
    held = (
        report.study.market.returns()
        .shift(-1)
        .mean(axis=1)
        .reindex(report.predictions["date"].unique())
    )
    assert row["mean"] == pytest.approx(12 * held.mean(), rel=REL)
    assert row["sharpe"] == pytest.approx(np.sqrt(12) * held.mean() / held.std(), rel=REL)
    assert MONTHLY in " ".join(report.findings["portfolio"].words)
    assert MONTHLY in " ".join(report.findings["trading"].words)
    show(report, tmp_path, "")
    assert "calendar: monthly, 12 rows a year\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["portfolio", "trading"])
def test_another_number_is_refused_in_one_line_with_the_override(
    monthly: list[str], name: str
) -> None:
    for given, ok in ((252, False), (12.6, True), (11.4, True), (12.7, False)):
        experiment = (
            Composer().job([*monthly, f"+analyses.{name}.rows_per_year={given}"]).experiment
        )
        if ok:
            assert (
                f"annualised with {given} rows a year (as given; monthly calendar: 12)"
                in " ".join(run(experiment).findings[name].words)
            )
            continue
        with pytest.raises(DataError) as caught:
            run(experiment)
        [line] = caught.value.mistakes
        assert line.startswith(
            f"analyses.{name}.rows_per_year: given {given}; the monthly calendar has 12 rows a year"
        )
        assert line.endswith(f"use ++analyses.{name}.rows_per_year=null")
    word = line.split("; use ")[-1]
    run(Composer().job([*monthly, f"+analyses.{name}.rows_per_year=252", word]).experiment)


def test_daily_performance_and_risk_are_annualised_with_252_rows(tmp_path: Path) -> None:
    words = [
        "experiment=capm",
        "data=simulated",
        "audit=off",
        "validation=none",
        "data.end=2018-07-31",
    ]
    words += [analysis("performance", market="market_ret"), analysis("risk")]
    report = run(Composer().job(words).experiment)
    table = report.findings["performance"].table
    np.testing.assert_allclose(table["alpha_annual"], 252 * table["alpha"], rtol=REL)
    risk = report.findings["risk"].table
    expected = np.sqrt(252) * report.panel.y[1:].std(axis=0, ddof=1)
    whole = report.panel.valid[1:].all(axis=0)
    assert whole.sum() > 1
    np.testing.assert_allclose(risk["total_volatility"][whole], expected[whole], rtol=REL)
    for name in ("performance", "risk"):
        assert (
            "annualised with 252 rows a year (daily calendar)."
            in report.findings[name].words[-1 - (name[0] == "p")]
        )


def test_quantiles_by_the_month_take_twelve_rows() -> None:
    words = ["experiment=quantiles", "target.frequency=month", "audit=off", "data.assets=15"]
    report = run(Composer().job(words).experiment)
    table = report.findings["portfolio"].table
    np.testing.assert_allclose(table["mean_annual"], 12 * table["mean"], rtol=REL)
    assert MONTHLY in " ".join(report.findings["portfolio"].words)


# Features, targets, expressions


def drawn(dates: pd.DatetimeIndex) -> Market:
    returns = pd.DataFrame(
        np.random.default_rng(1).normal(0, 0.02, (len(dates), 3)), dates, ["A", "B", "C"]
    )
    return Market("drawn", {"ret": returns}, pd.DataFrame(index=dates))


@pytest.mark.parametrize(
    ("dates", "year"),
    [
        (pd.bdate_range("2020-01-01", periods=90), 252),
        (pd.date_range("2020-01-01", periods=90), 365),
        (pd.date_range("2020-01-01", periods=90, freq="W-FRI"), 52),
        (pd.date_range("2000-01-01", periods=90, freq="BME"), 12),
        (pd.date_range("2000-01-01", periods=90, freq="QE"), 4),
    ],
)
def test_volatilities_are_annualised_by_the_calendar(dates: pd.DatetimeIndex, year: float) -> None:
    data = drawn(dates)
    squares = (data.get("ret") ** 2).rolling(21).sum()
    expected = np.sqrt(year / 21 * squares)
    np.testing.assert_allclose(realised_volatility(data, window=21), expected, rtol=REL)
    np.testing.assert_allclose(
        forward_volatility(data, horizon=21).values, expected.shift(-21), rtol=REL
    )
    text = Expression("sqrt(rows_per_year / 21 * sum(ret * ret, 21))")
    np.testing.assert_allclose(text(data), expected, rtol=REL)
    assert text.names == {"ret"} and text.lookback == 21
    down = np.sqrt(year / 21 * (data.get("ret").clip(upper=0.0) ** 2).rolling(21).sum())
    np.testing.assert_allclose(realised_volatility(data, window=21, side="down"), down, rtol=REL)
    with pytest.raises(DataError, match=f"has {year} rows a year"):
        forward_volatility(data, rows_per_year=2 * year)
    short = data.at(np.arange(23))  # a part of the data is annualised as all of them
    np.testing.assert_allclose(realised_volatility(short, window=21), expected.iloc[:23], rtol=REL)


def test_a_session_is_annualised_as_all_of_them() -> None:
    days = pd.bdate_range("2020-01-01", periods=3)
    dates = pd.DatetimeIndex(
        [day + pd.Timedelta(minutes=600 + k) for day in days for k in range(60)]
    )
    data = Market("bars", drawn(dates).fields, pd.DataFrame(index=dates), sessions=True)
    for part in data.by_session():
        found = realised_volatility(part, window=5)
        expected = np.sqrt(60 * 252 / 5 * (part.get("ret") ** 2).rolling(5).sum())
        np.testing.assert_allclose(found, expected, rtol=REL)


@pytest.mark.parametrize(
    "text", ["rows_per_year", "mean(rows_per_year, 3)", "lag(close, rows_per_year)"]
)
def test_rows_a_year_are_a_number_and_no_data(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        Expression(text)


def test_a_volatility_on_an_irregular_calendar_needs_the_number(tmp_path: Path) -> None:
    dates = pd.date_range("2000-01-01", periods=60, freq="14D")
    returns_only(dates, assets=3).to_csv(tmp_path / "panel.csv", index=False)
    words = [
        *of_returns(tmp_path / "panel.csv"),
        "target=forward_volatility",
        "target.horizon=2",
        "audit=off",
    ]
    with pytest.raises(RunnerError) as caught:
        run(Composer().job(words).experiment)
    [line] = caught.value.mistakes
    assert line.startswith(
        "target.rows_per_year: given null, and the irregular calendar (about 26 dates a year)"
    )
    assert line.endswith("use ++target.rows_per_year=NUMBER")
    report = run(Composer().job([*words, "++target.rows_per_year=26"]).experiment)
    squares = report.study.market.get("ret") ** 2
    expected = np.sqrt(26 / 2 * (squares.shift(-1) + squares.shift(-2)))
    np.testing.assert_allclose(report.panel.y, expected, rtol=REL)


# Months of returns


def test_months_of_daily_returns_are_compounded(tmp_path: Path) -> None:
    table = returns_only(pd.bdate_range("2015-01-01", "2016-06-15"), assets=4)
    table.to_csv(tmp_path / "panel.csv", index=False)
    words = [
        *of_returns(tmp_path / "panel.csv"),
        "target.frequency=month",
        "model=pooled",
        "audit=off",
    ]
    report = run(Composer().job([*words, "validation=none"]).experiment)
    wide = pd.read_csv(tmp_path / "panel.csv", parse_dates=["Date"]).pivot(
        index="Date", columns="Ticker", values="ret"
    )
    months = (1.0 + wide).groupby(wide.index.to_period("M")).prod() - 1.0
    expected = months.iloc[:-1].shift(-1)  # June 2016 is not over
    np.testing.assert_allclose(report.panel.y, expected, rtol=1e-11, atol=1e-14)
    assert str(report.panel.dates[-1].date()) == "2016-05-31"
    assert [one.rows for one in report.dropped if one.what == "month"] == [1]


def test_months_of_monthly_returns_are_these_returns(tmp_path: Path) -> None:
    """Returns only, stamped on the last business day: the last line of the sample of codes of missing returns."""
    table = returns_only(pd.date_range("2000-01-31", periods=60, freq="BME"), assets=4)
    table.to_csv(tmp_path / "panel.csv", index=False)
    words = [
        *of_returns(tmp_path / "panel.csv"),
        "target.frequency=month",
        "+features.x='lag(ret,1)'",
    ]
    report = run(Composer().job([*words, "validation=none"]).experiment)
    own = report.study.market.get("ret")
    np.testing.assert_allclose(report.panel.y, own.shift(-1), rtol=1e-11, atol=1e-15)
    np.testing.assert_array_equal(report.panel.X[:, :, 1], own.shift(1))
    assert not [one for one in report.dropped if one.what == "month"]
    assert not report.leaks
    same = same_period_return(report.study.market, frequency="month").values
    np.testing.assert_allclose(same, own, rtol=1e-11, atol=1e-15)


def test_the_setting_is_null_in_every_shipped_spec() -> None:
    conf = Path(__file__).parents[1] / "conf"
    lines = [line for path in conf.rglob("*.yaml") for line in path.read_text().splitlines()]
    given = [
        line for line in lines if "rows_per_year:" in line and "rows_per_year: null" not in line
    ]
    assert not given, json.dumps(given)
