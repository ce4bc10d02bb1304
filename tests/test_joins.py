"""Tables joined to the assets: factors, fundamentals, labels; as of a date; where dates do not meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from conftest import SHARED, STOCKS, Outcome
from statsmodels.stats.multitest import multipletests

import runner
from runner.cli.composition import Composer
from runner.data.accounts.values import labels_of
from runner.data.joins.join import joined
from runner.data.joins.settings import FieldTable, Joined, LabelTable, SeriesTable
from runner.data.market import Market
from runner.data.reading import content
from runner.data.rules import admitted
from runner.errors import DataError, RunnerError
from runner.record.identity import digest
from runner.schema.settings import MOST_LOST
from runner.sweeps.cache import Cache, SharedBench
from runner.targets import same_period_return

INDUSTRIES = SHARED / "ff_ind30_vw_monthly_192607_201812_pct.csv.gz"
FACTORS = SHARED / "ff3_monthly_192607_201812_pct.csv.gz"
FUNDAMENTALS = SHARED.parent / "cases" / "50-asof-fundamentals" / "fundamentals.csv"
needs_french = pytest.mark.skipif(not FACTORS.is_file(), reason=f"needs {FACTORS}")
needs_fundamentals = pytest.mark.skipif(
    not (FUNDAMENTALS.is_file() and STOCKS.is_file()), reason=f"needs {FUNDAMENTALS}"
)
GIVEN_DIGITS = 1e-6  # relative; the known answers have seven digits and more
LAST_DIGIT = 1e-9  # of the known answers given with nine decimals and more
ROUNDING = 1e-10  # relative, of least squares in another order of operations
NAMES = ["AAA", "BBB", "CCC"]
Write = Callable[[str, pd.DataFrame], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_csv(name: str, frame: pd.DataFrame) -> str:
        path = tmp_path / name
        frame.to_csv(path, index=False)
        return str(path)

    return to_csv


def market_on(dates: pd.DatetimeIndex, names: list[str] = NAMES) -> Market:
    """Returns of these assets on these dates."""
    cells = np.random.default_rng(3).normal(0.01, 0.05, (len(dates), len(names)))
    index = dates.rename("date")
    return Market("here", {"ret": pd.DataFrame(cells, index, names)}, pd.DataFrame(index=index))


def with_field(market: Market, path: str, **settings: Any) -> Market:
    return joined(market, [Joined("data.fields.f", FieldTable(path, **settings))])


def with_series(market: Market, path: str, **settings: Any) -> Market:
    return joined(market, [Joined("data.series.s", SeriesTable(path, **settings))])


def refused(work: Callable[[], Any]) -> list[str]:
    """The lines of the error, each of which is one line."""
    with pytest.raises(RunnerError) as caught:
        work()
    lines = list(caught.value.mistakes)
    assert lines and all(len(line.splitlines()) == 1 for line in lines), lines
    return lines


# Own returns on given factors


def factors(months: pd.PeriodIndex, rng: np.random.Generator) -> pd.DataFrame:
    """Factors and a risk-free rate in per cent, months written as yyyymm."""
    T = len(months)
    table = {
        "date": months.strftime("%Y%m"),
        "Mkt-RF": rng.normal(0.6, 4.0, T).round(2),
        "SMB": rng.normal(0.1, 3.0, T).round(2),
        "HML": rng.normal(0.1, 3.0, T).round(2),
        "RF": rng.uniform(0.0, 0.4, T).round(2),
    }
    return pd.DataFrame(table)


def funds(table: pd.DataFrame, dates: pd.DatetimeIndex, rng: np.random.Generator) -> pd.DataFrame:
    """Decimal returns of three funds, a row per date and fund."""
    decimals = table.drop(columns="date").to_numpy() / 100.0
    rows = []
    for k, name in enumerate(NAMES):
        excess = 0.001 + decimals[:, :3] @ [0.8 + 0.1 * k, 0.2 * k, -0.1]
        ret = excess + decimals[:, 3] + rng.normal(0.0, 0.01, len(dates))
        rows.append(pd.DataFrame({"Date": dates, "Ticker": name, "ret": ret}))
    return pd.concat(rows)


OWN = [
    "experiment=none",
    "data=file",
    "report=tables",
    "data.columns.close=null",
    "data.columns.volume=null",
    "+data.columns.ret=ret",
]


def test_own_returns_on_raw_french_factors(cli: Any, write: Write) -> None:
    """Funds stamped with the last trading day; factors in per cent, yyyymm, Mkt-RF, one month more."""
    rng = np.random.default_rng(7)
    months = pd.period_range("2008-12", periods=121, freq="M")
    table = factors(months, rng)
    dates = pd.date_range("2009-01-01", periods=120, freq="BME")
    long = funds(table.iloc[1:], dates, rng)
    outcome = cli(
        *OWN,
        f"data.path={write('funds.csv', long)}",
        f"+data.series.french.path={write('factors.csv', table)}",
        "+data.series.french.percent=true",
        "features=ff3",
        "target=excess_return",
        "model.cov=HAC",
        "model.cov_lags=6",
    )
    assert outcome.code == 0, outcome.err
    terms = outcome.table("coefficients").query("scope == 'asset'").set_index(["unit", "term"])
    decimals = table.iloc[1:].drop(columns="date").set_index(dates) / 100.0
    for name, rows in long.groupby("Ticker"):
        y = rows.set_index("Date")["ret"] - decimals["RF"]
        x = sm.add_constant(decimals[["Mkt-RF", "SMB", "HML"]])
        fit = sm.OLS(y, x).fit(cov_type="HAC", cov_kwds={"maxlags": 6})
        ours = terms.loc[name]
        np.testing.assert_allclose(ours["estimate"], fit.params, rtol=ROUNDING)
        np.testing.assert_allclose(ours["t_stat"], fit.tvalues, rtol=1e-8)
    assert outcome.metrics["fit/n_obs"] == 360
    words = " ".join(outcome.out.split())
    assert "MktRF (column Mkt-RF), SMB, HML, RF" in words
    assert "are dated by their last day" in words
    assert "divided by 100 (per cent)" in words
    assert "120 of the 120 dates of the assets are in it" in words


def ff3_of_industries(*overrides: str) -> Any:
    """FF3 of the 30 industries less RF, both files as they are."""
    wide = pd.read_csv(INDUSTRIES, index_col="Date", parse_dates=["Date"])
    return runner.run(
        "data.values=ret",
        "data.percent=true",
        f"+data.series.french={{path: {FACTORS}, percent: true}}",
        "features=ff3",
        "target=excess_return",
        "report=tables",
        "audit=off",
        *overrides,
        data=wide,
    )


KNOWN = {
    "null": {
        "n": 1110,
        "grs": (2.997892784, 1.5685e-07),
        "raw": 7,
        "holm": "",
        "bh": "Smoke Hlth Steel Servs",
        "alpha": (0.002071991, 2.63204, 2.38192),
        "betas": [0.758204, -0.127537, 0.030356],
        "r2": 0.700052,
    },
    "1963-07-01": {
        "n": 666,
        "grs": (2.480357890, 2.7007e-05),
        "raw": 8,
        "holm": "Hlth",
        "bh": "Smoke Hlth Cnstr Steel Autos Other",
        "alpha": (0.002495924, 2.20174, 2.04186),
        "betas": [0.763608, -0.184570, 0.108678],
        "r2": 0.551453,
    },
}


@needs_french
@pytest.mark.parametrize("start", KNOWN)
def test_thirty_industries_on_the_factors(start: str) -> None:
    known = KNOWN[start]
    robust = ff3_of_industries(f"data.start={start}", "model.cov=HAC", "model.cov_lags=6")
    plain = ff3_of_industries(f"data.start={start}", "data.assets=[Food]")
    f_stat, p_value = known["grs"]
    assert robust.metrics["hypothesis/grs_f"] == pytest.approx(f_stat, abs=LAST_DIGIT)
    assert robust.metrics["hypothesis/grs_p"] == pytest.approx(p_value, rel=1e-4)
    by_asset = robust.coefficients.query("scope == 'asset'")
    food = by_asset[by_asset["unit"] == "Food"].set_index("term")
    alpha, t_ols, t_hac = known["alpha"]
    assert food.loc["const", "estimate"] == pytest.approx(alpha, abs=LAST_DIGIT)
    assert food.loc["const", "t_stat"] == pytest.approx(t_hac, abs=0.5e-5)
    assert plain.coefficients["t_stat"].iloc[0] == pytest.approx(t_ols, abs=0.5e-5)
    betas = food.loc[["MktRF", "SMB", "HML"], "estimate"]
    np.testing.assert_allclose(betas, known["betas"], atol=0.5e-6)
    quality = robust.quality.set_index("unit").loc["Food"]
    assert quality["n_obs"] == known["n"]
    assert quality["r2"] == pytest.approx(known["r2"], abs=0.5e-6)
    alphas = by_asset[by_asset["term"] == "const"].set_index("unit")
    p = 2.0 * sm.stats.stattools.stats.norm.sf(alphas["t_stat"].abs())
    assert (p < 0.05).sum() == known["raw"]
    for method, survivors in (("holm", known["holm"]), ("fdr_bh", known["bh"])):
        rejected = multipletests(p, 0.05, method)[0]
        assert set(alphas.index[rejected]) == set(survivors.split())


@needs_french
def test_alphas_of_industries_under_two_models() -> None:
    """As the single runs have them; of 60 tests none survives Holm, and the notes give the unit."""
    words = ("model.cov=HAC", "model.cov_lags=6", "validation=none")
    capm = ff3_of_industries("features=capm", *words)
    ff3 = ff3_of_industries(*words)
    compared = runner.compare(capm, ff3)
    table = compared.by_unit.set_index("unit")
    assert len(table) == 30
    ours = table.filter(regex="^job 1.* const$").loc["Food"].item()
    t_stat = table.filter(regex="^job 1.* t$").loc["Food"].item()
    assert ours == pytest.approx(KNOWN["null"]["alpha"][0], abs=LAST_DIGIT)
    assert t_stat == pytest.approx(KNOWN["null"]["alpha"][2], abs=0.5e-5)
    for at, report in enumerate((capm, ff3)):
        rows = report.coefficients.query("scope == 'asset' and term == 'const'").set_index("unit")
        own = table.filter(regex=f"^job {at}.* const$").iloc[:, 0]
        np.testing.assert_array_equal(own, rows["estimate"].loc[own.index])
    p = table.filter(regex=" p$").to_numpy().ravel("F")
    holm = table.filter(regex=" p Holm$").to_numpy().ravel("F")
    np.testing.assert_allclose(holm, multipletests(p, method="holm")[1], rtol=ROUNDING)
    assert any("per row (monthly, 12 rows a year)" in note for note in compared.notes)


@needs_french
def test_rolling_betas_of_food() -> None:
    report = ff3_of_industries("data.assets=[Food]", "model=rolling", "model.window=60")
    terms = report.coefficients.set_index("term")["estimate"]
    known = [-0.0011878531, 0.7093719815, -0.3813468621, -0.0747482424]
    ours = terms.reindex(["const", "MktRF", "SMB", "HML"])
    np.testing.assert_allclose(ours, known, atol=1e-10)


def test_factors_by_any_name_and_a_field_that_is_the_same_for_all(write: Write) -> None:
    dates = pd.date_range("2020-01-31", periods=12, freq="ME")
    table = pd.DataFrame({"date": dates, "mktrf": np.arange(12.0), "umd": 1.0, "note": "x"})
    market = with_series(market_on(dates), write("f.csv", table), percent=False)
    for name in ("MktRF", "Mkt-RF", "Mkt_RF", "mktrf"):
        assert market.shared(name).tolist() == list(range(12)), name
    assert list(market.series) == ["MktRF", "Mom"]
    assert refused(lambda: market.shared("MktRf"))[0].endswith("did you mean 'MktRF'?")
    assert "without note, which hold other than numbers" in market.notes[0]
    own = with_series(market_on(dates), write("f.csv", table), columns={"m": "mktrf"})
    assert "m (column mktrf)" in own.notes[0]
    assert list(own.series) == ["m"]
    cells = pd.DataFrame({"AAA": [0.1, np.nan], "BBB": [0.1, 0.3]}, index=dates[:2])
    both = Market("here", {"ret": cells, "RF": cells}, pd.DataFrame(index=dates[:2]))
    assert both.shared("RF").tolist() == [0.1, 0.3]
    differ = Market("here", {"RF": cells * [1.0, 2.0]}, pd.DataFrame(index=dates[:2]))
    assert refused(lambda: differ.shared("RF")) == [
        "RF is a field that differs between assets (first on 2020-01-31); "
        "allowed: a series, the same for every asset"
    ]


def test_returns_in_per_cent_or_of_other_rows_are_refused(write: Write) -> None:
    dates = pd.date_range("2020-01-31", periods=24, freq="ME")
    table = factors(dates.to_period("M"), np.random.default_rng(1))
    path = write("f.csv", table)
    [line] = refused(lambda: with_series(market_on(dates), path))
    assert line.startswith("data.series.s: the median absolute value of MktRF is ")
    assert "data.series.s.percent=true divides by 100" in line
    kept = with_series(market_on(dates), path, percent=False)
    assert kept.shared("MktRF").tolist() == table["Mkt-RF"].tolist()
    days = pd.bdate_range("2020-01-01", "2021-12-31")
    daily = pd.DataFrame({"date": days, "MktRF": 0.01, "vix": 20.0})
    path = write("d.csv", daily)
    [line] = refused(lambda: with_series(market_on(dates), path))
    assert line.startswith("data.series.s: MktRF: returns of 523 rows beside 24 rows of the assets")
    assert with_series(market_on(dates), path, columns=["vix"], on="asof").series.shape == (24, 1)
    monthly = write("m.csv", pd.DataFrame({"date": dates, "MktRF": 0.01, "RF": 0.001}))
    # the rate of a month is none of a day either
    for columns in (["MktRF"], ["RF"]):
        [line] = refused(lambda: with_series(market_on(days), monthly, columns=columns, on="asof"))  # noqa: B023
        assert line.startswith(f"data.series.s: {columns[0]}: joined as of their dates, a return")
        [line] = refused(lambda: with_series(market_on(days), monthly, columns=columns))  # noqa: B023
        assert line.startswith(f"data.series.s: {columns[0]}: returns of 24 rows beside 523 rows")
    rate = with_series(market_on(days), monthly, columns=["RF"], kind="level", on="asof")
    assert rate.shared("RF").notna().sum() == (days >= dates[0]).sum()


def test_a_risk_free_rate_a_year_is_one_of_the_rows_where_it_is_said(write: Write) -> None:
    """A yield of bills in per cent a year, beside returns of months and, as of its date, of days."""
    months = pd.date_range("2020-01-31", periods=24, freq="ME")
    bills = pd.DataFrame({"date": months, "TB3MS": np.linspace(1.5, 5.0, 24)})
    path = write("b.csv", bills)
    of_months = market_on(months)
    read = {"columns": {"RF": "TB3MS"}, "percent": True}
    [line] = refused(lambda: with_series(of_months, path, **read))
    assert line.startswith(
        "data.series.s: the median of RF is 0.0325 per row, 39.0 % a year; data."
    )
    assert "annual=true where it is a rate a year (divided by 12), annual=false" in line
    [line] = refused(lambda: with_series(of_months, path, columns={"RF": "TB3MS"}))
    assert "data.series.s.percent=true where it is in per cent" in line
    as_it_is = with_series(of_months, path, **read, annual=False)
    assert np.allclose(as_it_is.shared("RF"), bills["TB3MS"] / 100, rtol=1e-15)
    of_row = with_series(of_months, path, **read, annual=True)
    assert np.allclose(of_row.shared("RF"), bills["TB3MS"] / 1200, rtol=1e-15)
    assert "RF divided by 12 rows a year (annual)" in of_row.notes[-1]
    days = pd.bdate_range("2020-02-03", "2021-12-31")
    of_days = with_series(market_on(days), path, **read, annual=True, on="asof")
    carried = bills.set_index("date")["TB3MS"].reindex(days.union(months)).ffill()[days]
    assert np.allclose(of_days.shared("RF"), carried / 25200, rtol=1e-15)
    odd = market_on(pd.DatetimeIndex([*months[:3], *days[-3:]]))
    [line] = refused(lambda: with_series(odd, path, **read, annual=True, on="asof"))
    assert "of the assets has no number of rows a year; allowed: false" in line


def test_months_without_a_day_are_known_at_their_end(write: Write) -> None:
    days = pd.bdate_range("2020-01-01", periods=60)
    table = pd.DataFrame({"date": [201912], "published": [202001], "cpi": [1.0]})
    cpi = with_series(market_on(days), write("f.csv", table), available="published").shared("cpi")
    assert cpi.first_valid_index() == pd.Timestamp("2020-01-31")
    firsts = pd.DataFrame({"date": ["2020-01-01", "2020-02-01"], "cpi": [1.0, 2.0]})
    market = with_series(market_on(days), write("g.csv", firsts), on="asof")
    assert "its dates are first days of months" in market.notes[0]


# As of a date


def published(rng: np.random.Generator, names: list[str], reports: int) -> pd.DataFrame:
    """Rows in no order: quarters, publications in no order of theirs, restatements, blanks."""
    quarters = pd.date_range("2017-03-31", periods=8, freq="QE")
    rows = pd.DataFrame(
        {
            "Ticker": rng.choice(names, reports),
            "period_end": rng.choice(quarters, reports),
            "book": rng.normal(10.0, 3.0, reports),
            "sales": rng.normal(5.0, 1.0, reports),
        }
    )
    rows["published"] = rows["period_end"] + pd.to_timedelta(rng.integers(0, 500, reports), "D")
    rows = rows.drop_duplicates(["Ticker", "period_end", "published"])
    rows.loc[rows.index[::7], "sales"] = np.nan
    return rows


def by_hand(
    rows: pd.DataFrame, column: str, name: str, date: pd.Timestamp, next_day: bool
) -> float:
    """The value known on a date: the latest period, of that the latest publication."""
    known = rows["published"] < date if next_day else rows["published"] <= date
    known &= (rows["Ticker"] == name) & rows[column].notna()
    if not known.any():
        return np.nan
    return float(rows[known].sort_values(["period_end", "published"])[column].iloc[-1])


@pytest.mark.parametrize("timing", ["same_day", "next_day"])
def test_what_was_known_on_each_date(write: Write, timing: str) -> None:
    rng = np.random.default_rng(5)
    days = pd.bdate_range("2017-06-01", periods=420)
    rows = published(rng, [*NAMES, "ZZZ"], 90)
    path = write("f.csv", rows)
    market = with_field(market_on(days), path, available="published", timing=timing)
    for column in ("book", "sales"):
        ours = market.get(column)
        for name in NAMES:
            for date in days[::9]:
                expected = by_hand(rows, column, name, date, timing == "next_day")
                np.testing.assert_equal(ours.loc[date, name], expected)
    account = {line.reason: line.rows for line in market.dropped}
    assert account["asset that is not modelled"] == (rows["Ticker"] == "ZZZ").sum()


def test_in_order_of_publication_it_is_pandas_merge_asof(write: Write) -> None:
    rng = np.random.default_rng(6)
    rows = published(rng, NAMES, 200).sort_values("published")
    rows = rows[rows["period_end"] >= rows.groupby("Ticker")["period_end"].cummax()]
    rows = rows.drop_duplicates(["Ticker", "published"], keep="last")
    days = pd.bdate_range("2017-01-02", periods=600)
    ours = with_field(market_on(days), write("f.csv", rows), available="published").get("book")
    for name in NAMES:
        right = rows[rows["Ticker"] == name].drop(columns="Ticker")
        left = pd.DataFrame({"date": days.astype(right["published"].dtype)})
        merged = pd.merge_asof(left, right, left_on="date", right_on="published")
        np.testing.assert_array_equal(ours[name], merged["book"])


def test_no_value_is_used_before_it_is_known(write: Write) -> None:
    """Data that end at a date, and files without what was published later, give the same values."""
    rng = np.random.default_rng(8)
    rows = published(rng, NAMES, 120)
    days = pd.bdate_range("2017-06-01", periods=420)
    settings = {"available": "published", "stale": "300d"}
    whole = with_field(market_on(days), write("f.csv", rows), **settings)
    for last in (40, 150, 333):
        until = rows[rows["published"] <= days[last]]
        kept = market_on(days[: last + 1])
        known = with_field(kept, write("until.csv", until), **settings)
        for name in ("book", "sales"):
            pd.testing.assert_frame_equal(known.get(name), whole.get(name).iloc[: last + 1])


@needs_fundamentals
def test_fundamentals_as_of_their_publication(cli: Any) -> None:
    names = ["AAPL", "MSFT", "AMZN", "GOOGL", "META"]
    stocks = pd.read_parquet(STOCKS, columns=["Close"])["Close"].unstack()
    days = pd.DatetimeIndex(stocks.loc["2017":"2019", "AAPL"].dropna().index)
    market = market_on(days, names)
    path = str(FUNDAMENTALS)
    same = with_field(market, path, available="published").get("book")
    following = with_field(market, path, available="published", timing="next_day").get("book")
    known = {
        ("AAPL", "2018-04-19"): (6.5, 6.5),
        ("AAPL", "2018-04-20"): (99.5, 6.5),
        ("AAPL", "2018-12-31"): (8.0, 8.0),
        ("GOOGL", "2018-05-04"): (15.59, 15.59),
        ("GOOGL", "2018-05-07"): (16.12, 16.12),
        ("AMZN", "2018-08-13"): (12.56, 12.56),
        ("AMZN", "2018-08-14"): (13.6, 12.56),
        ("MSFT", "2018-06-29"): (10.04, 10.04),
        ("MSFT", "2018-11-07"): (10.55, 10.55),
        ("AAPL", "2017-04-03"): (np.nan, np.nan),
    }
    for (name, date), values in known.items():
        np.testing.assert_equal((same.loc[date, name], following.loc[date, name]), values)
    assert same["META"].isna().all() and following["META"].isna().all()
    sums = same[names[:4]].sum().round(2).tolist()
    assert sums == [5521.00, 6667.59, 8383.28, 10749.00]
    latest = pd.read_csv(path).sort_values("published").drop_duplicates(["Ticker", "period_end"])
    table = latest.drop(columns="published")
    on_the_end = with_field(market, write_beside(cli, table), on="asof").get("book")
    differs = ~((same == on_the_end) | (same.isna() & on_the_end.isna()))
    assert (differs.to_numpy().sum(), differs.size) == (1880, 3770)


def write_beside(cli: Any, table: pd.DataFrame) -> str:
    """A file in the folder of the calls of the command line."""
    folder = Path(cli.__closure__[0].cell_contents)
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    return str(path)


def test_lag_and_longest_age(write: Write) -> None:
    days = pd.bdate_range("2020-01-01", periods=300)
    table = pd.DataFrame({"date": ["2019-12-31", "2020-03-31"], "cpi": [1.0, 2.0]})
    path = write("f.csv", table)
    late = with_series(market_on(days), path, lag="3m").shared("cpi")
    assert late[:"2020-03-30"].isna().all() and (late["2020-03-31":"2020-06-29"] == 1.0).all()
    assert (late["2020-06-30":] == 2.0).all()
    old = with_series(market_on(days), path, stale="100d")
    cpi = old.shared("cpi")
    assert (cpi[:"2020-03-30"] == 1.0).all() and (cpi["2020-03-31":"2020-07-09"] == 2.0).all()
    assert cpi["2020-07-10":].isna().all()
    account = {line.reason: line.rows for line in old.dropped}
    assert account == {"older than stale allows": int(cpi.isna().sum())}


def test_a_daily_value_reaches_bars_on_the_next_day(write: Write) -> None:
    bars = pd.DatetimeIndex(["2020-01-02 09:31", "2020-01-02 16:00", "2020-01-03 09:31"])
    path = write("f.csv", pd.DataFrame({"date": ["2020-01-01", "2020-01-02"], "vix": [1.0, 2.0]}))
    vix = with_series(market_on(bars), path, on="asof")
    assert vix.shared("vix").tolist() == [1.0, 1.0, 2.0] and "(the day after)" in vix.notes[0]
    early = with_series(market_on(bars), path, timing="same_day")
    assert early.shared("vix").tolist() == [2.0, 2.0, 2.0]


# Dates that do not meet


@pytest.mark.parametrize(("own", "theirs"), [("BME", "ME"), ("ME", "BME"), ("ME", "ME")])
def test_ends_of_the_same_month_meet(write: Write, own: str, theirs: str) -> None:
    dates = pd.date_range("2010-01-01", periods=60, freq=own)
    table = pd.DataFrame({"date": pd.date_range("2010-01-01", periods=60, freq=theirs)})
    table["f"] = np.arange(60.0)
    market = with_series(market_on(dates), write("f.csv", table))
    assert market.shared("f").tolist() == list(range(60))
    assert ("as ends of the same month" in market.notes[0]) == (own != theirs)


def test_dates_that_do_not_meet_are_shown_side_by_side(write: Write) -> None:
    dates = pd.date_range("2000-01-31", periods=24, freq="ME")
    table = pd.DataFrame({"date": pd.date_range("2000-01-01", periods=24, freq="MS")})
    table["f"] = np.arange(24.0)
    path = write("f.csv", table)
    assert refused(lambda: with_series(market_on(dates), path)) == [
        "data.series.s: the dates of series.s are not those of the assets: assets 2000-01-31, "
        "2000-02-29, ...; series.s 2000-01-01, 2000-02-01, ...: 0 of its 24 dates meet; "
        "data.series.s.stamp=end moves them to the end of their period, or data.series.s.on=asof "
        "takes the last value known"
    ]
    moved = with_series(market_on(dates), path, stamp="end").shared("f")
    assert moved.tolist() == list(range(24))
    assert with_series(market_on(dates), path, on="asof").shared("f").tolist() == list(range(24))
    table["date"] = dates
    of_starts = market_on(pd.date_range("2000-01-01", periods=24, freq="MS"))
    path_of_ends = write("ends.csv", table.assign(MktRF=0.01).drop(columns="f"))
    [line] = refused(lambda: with_series(of_starts, path_of_ends))
    assert line.endswith("; data.series.s.stamp=start moves them to the start of their period")
    late = pd.date_range("2030-01-31", periods=24, freq="ME")
    [line] = refused(lambda: with_series(market_on(late), path))
    assert "assets 2030-01-31..2031-12-31; series.s 2000-01-01..2001-12-01" in line


def test_days_met_and_missed_are_counted(write: Write) -> None:
    days = pd.bdate_range("2020-01-01", periods=30)
    table = pd.DataFrame({"date": pd.date_range(days[0], days[-1])})
    table["f"] = 1.0
    market = with_series(market_on(days), write("f.csv", table))
    assert "30 of the 30 dates of the assets are in it" in market.notes[0]
    [line] = market.dropped
    weekends = len(table) - 30
    assert line == ("data.series.s row", "date that the assets do not have", weekends)


def macro_file(frequency: str) -> pd.DataFrame:
    """Daily prices, and a monthly series stamped on some day of the month."""
    days = pd.bdate_range("2020-01-01", periods=500)
    rng = np.random.default_rng(4)
    rows = []
    for name in ("MKT", *NAMES):
        close = 50.0 * np.cumprod(1.0 + rng.normal(0, 0.01, 500))
        rows.append(pd.DataFrame({"Date": days, "Ticker": name, "Close": close}))
    firsts = pd.date_range("2020-01-01", days[-1], freq=frequency)
    levels = 250.0 + np.arange(len(firsts))
    rows.append(pd.DataFrame({"Date": firsts, "Ticker": "CPI", "Close": levels}))
    return pd.concat(rows)


@pytest.mark.parametrize("frequency", ["MS", "W-SAT"])
def test_macro_values_off_the_calendar_reach_it(write: Write, frequency: str) -> None:
    from runner.data import File

    columns = {"date": "Date", "asset": "Ticker", "close": "Close"}
    long = macro_file(frequency)
    market = File(write("f.csv", long), columns, "MKT", {"cpi": "CPI"}).load()
    cpi = long[long["Ticker"] == "CPI"].set_index("Date")["Close"]
    days = market.dates
    as_of = cpi.reindex(days.union(cpi.index)).ffill().reindex(days)
    kept = market.shared("cpi")
    assert kept.notna().sum() == len(cpi[cpi.index <= days[-1]])
    pd.testing.assert_series_equal(kept.ffill(), as_of, check_names=False, check_freq=False)
    assert market.dropped == ()
    assert "on dates off the calendar count on the next date of it" in market.notes[0]


def test_of_macro_values_up_to_the_first_row_the_latest_counts_there(write: Write) -> None:
    """One of December, and one dated like the first row: that row can hold one of them alone."""
    from runner.data import File

    columns = {"date": "Date", "asset": "Ticker", "close": "Close"}
    long = macro_file("MS")
    before = pd.DataFrame({"Date": [pd.Timestamp("2019-12-01")], "Ticker": "CPI", "Close": 249.0})
    long = pd.concat([long, before])
    market = File(write("f.csv", long), columns, "MKT", {"cpi": "CPI"}).load()
    cpi = long[long["Ticker"] == "CPI"].set_index("Date")["Close"].sort_index()
    days = market.dates
    as_of = cpi.reindex(days.union(cpi.index)).ffill().reindex(days)
    kept = market.shared("cpi")
    pd.testing.assert_series_equal(kept.ffill(), as_of, check_names=False, check_freq=False)
    assert days[0] == cpi.index[1]
    assert sorted(set(cpi) - set(kept.dropna())) == [249.0]
    [line] = market.dropped
    assert line == ("source row", "date on which MKT did not trade", 1)


def test_a_daily_macro_value_reaches_the_bars_of_the_next_day() -> None:
    from runner.data.joins.meeting import on_calendar

    days = pd.DatetimeIndex(["2020-01-01", "2020-01-02", "2020-01-03"])
    bars = pd.DatetimeIndex(["2020-01-02 09:31", "2020-01-02 16:00", "2020-01-03 09:31"])
    assert on_calendar("VIX", days, bars).row.tolist() == [0, -1, 1]


def monthly_file(frequency: str) -> pd.DataFrame:
    """Stocks stamped with the last trading day of the month, a factor with another day of it."""
    rng = np.random.default_rng(14)
    rows = []
    for name, stamps in (("FACTOR", frequency), ("AAA", "BME"), ("BBB", "BME")):
        dates = pd.date_range("2010-01-01", periods=60, freq=stamps)
        close = 50.0 * np.cumprod(1.0 + rng.normal(0.006, 0.04, 60))
        rows.append(pd.DataFrame({"Date": dates, "Ticker": name, "Close": close}))
    return pd.concat(rows)


@pytest.mark.parametrize("frequency", ["ME", "MS"])
def test_a_factor_with_stamps_of_its_own(cli: Any, write: Write, frequency: str) -> None:
    outcome: Outcome = cli(
        "experiment=none",
        "data=file",
        "report=tables",
        f"data.path={write('f.csv', monthly_file(frequency))}",
        "data.columns.close=Close",
        "data.columns.volume=null",
        "+data.macro.factor=FACTOR",
        "features=none",
        '+features.f="change(factor)"',
        "target=same_period_return",
        "audit=off",
    )
    if frequency == "ME":
        assert outcome.code == 0 and outcome.metrics["fit/n_obs"] == 118
        assert "of FACTOR meet the last row of the same month" in outcome.out
        return
    assert outcome.code == 2
    assert outcome.errors[0].startswith(
        "error: data.macro.factor: the dates of FACTOR are not those of the assets: assets "
        "2010-01-29, 2010-02-26, ...; FACTOR 2010-01-01, 2010-02-01, ...: 0 of its 60 dates meet"
    )


@pytest.mark.parametrize("form", ["A", "C", "F", "two files"])
def test_own_returns_and_factors_in_every_form(cli: Any, write: Write, form: str) -> None:
    rng = np.random.default_rng(12)
    dates = pd.date_range("2010-01-31", periods=120, freq="ME")
    table = factors(dates.to_period("M"), rng).rename(columns={"Mkt-RF": "MktRF"})
    decimals = table.drop(columns="date").set_index(dates) / 100.0
    long = funds(table, dates, rng)
    names = ["MktRF", "SMB", "HML", "RF"]
    as_tickers = [pd.DataFrame({"Date": dates, "Ticker": n, "ret": decimals[n]}) for n in names]
    beside = long.merge(decimals.rename_axis("Date").reset_index(), on="Date")
    words = [*OWN, "features=ff3", "target=excess_return", "audit=off"]
    mapping = "{MktRF: MktRF, SMB: SMB, HML: HML, RF: RF}"
    if form in ("A", "F"):
        path = write("tickers.csv", pd.concat([long, *as_tickers]))
        words.append(f"+data.macro={mapping}")
        if form == "F":
            words.append("data.columns.close=ret")
    elif form == "C":
        path = write("wide.csv", beside)
        words.append(f"+data.columns={mapping}")
    else:
        path = write("long.csv", long)
        french = write("french.csv", decimals.rename_axis("Date").reset_index())
        words.append(f"+data.series.french.path={french}")
    outcome = cli(*words, f"data.path={path}")
    if form == "F":
        assert outcome.errors == [
            "error: data.columns.close: 'ret' is data.columns.ret too; allowed: a price; of "
            "returns alone data.columns.close=null"
        ]
        return
    assert outcome.code == 0, outcome.err
    terms = outcome.table("coefficients").query("scope == 'asset'").set_index(["unit", "term"])
    for name, rows in long.groupby("Ticker"):
        y = rows.set_index("Date")["ret"] - decimals["RF"]
        fit = sm.OLS(y, sm.add_constant(decimals[names[:3]])).fit()
        np.testing.assert_allclose(terms.loc[name, "estimate"], fit.params, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(terms.loc[name, "t_stat"], fit.tvalues, rtol=1e-7)


# Columns, kinds, labels


def test_patterns_take_many_columns(write: Write) -> None:
    days = pd.bdate_range("2020-01-01", periods=5)
    cells = {"date": days, "c1": 1.0, "c2": 2.0, "d*": 3.0, "other": 4.0}
    path = write("f.csv", pd.DataFrame(cells))
    assert list(with_series(market_on(days), path, columns="c*").series) == ["c1", "c2"]
    chosen = with_series(market_on(days), path, columns=["other", "d*"])
    assert list(chosen.series) == ["other", "d*"]
    assert refused(lambda: with_series(market_on(days), path, columns=["x*", "c3"])) == [
        "data.series.s.columns: column 'x*' is unknown; allowed: c1, c2, d*, other",
        "data.series.s.columns: column 'c3' is unknown; allowed: c1, c2, d*, other",
    ]


def test_one_series_of_several_below_each_other(write: Write) -> None:
    days = pd.bdate_range("2020-01-01", periods=5)
    parts = [pd.DataFrame({"date": days, "id": name, "value": k}) for k, name in enumerate("ab")]
    path = write("f.csv", pd.concat(parts))
    market = with_series(market_on(days), path, where={"id": "b"}, columns={"b": "value"})
    assert market.shared("b").tolist() == [1.0] * 5 and market.dropped == ()
    [line] = refused(lambda: with_series(market_on(days), path, columns=["value"]))
    assert line.startswith(
        "data.series.s: 5 rows repeat a date with other values, first 2020-01-01"
    )


def test_kinds_have_their_rules(write: Write) -> None:
    days = pd.bdate_range("2020-01-01", periods=100)
    cells = {"date": days, "r": 1.0, "i": 5.0, "p": 2.0}
    table = pd.DataFrame(cells)
    table.loc[3, ["r", "i", "p"]] = [-250.0, -4.0, -1.0]
    path = write("f.csv", table)
    kind = {"r": "return", "i": "rate", "p": "price"}
    market = admitted(with_series(market_on(days), path, kind=kind, percent=True), MOST_LOST)
    series = market.series
    assert np.isnan(series["r"].iloc[3]) and series["r"].iloc[0] == 0.01
    assert series["i"].iloc[3] == -0.04 and np.isnan(series["p"].iloc[3])
    assert series["p"].iloc[0] == 2.0
    assert {line.reason for line in market.dropped} == {
        "r is below -1: a code, not a return",
        "p is zero or negative",
    }


def test_labels_of_the_assets_are_groups(write: Write) -> None:
    days = pd.bdate_range("2020-01-01", periods=5)
    table = pd.DataFrame({"Ticker": ["BBB", "AAA", "AAA", "ZZZ"], "sector": ["y", "x", "x", "z"]})
    path = write("f.csv", table)
    labels = [Joined("data.labels.l", LabelTable(path))]
    market = joined(market_on(days), labels)
    assert market.groups["sector"].to_dict() == {"AAA": "x", "BBB": "y", "CCC": "unknown"}
    assert market.of(["BBB"]).groups["sector"].tolist() == ["y"]
    assert "2 of 3 assets are in it" in market.notes[0]
    path = write("g.csv", table.assign(sector=["y", "x", "w", "z"]))
    several = [Joined("data.labels.l", LabelTable(path))]
    assert refused(lambda: joined(market_on(days), several)) == [
        "data.labels.l.columns.sector: AAA has w, x; allowed: one per asset, or "
        "data.labels.l.date=COLUMN, the dates from which labels hold"
    ]
    path = write("h.csv", table.assign(sector=["y", "x", "w", "z"], date="2020-01-01"))
    twice = [Joined("data.labels.l", LabelTable(path))]
    assert "AAA" in refused(lambda: joined(market_on(days), twice))[0]


def test_secrets_of_an_address_are_in_no_note(write: Write, monkeypatch: Any) -> None:
    days = pd.bdate_range("2020-01-01", periods=5)
    path = write("f.csv", pd.DataFrame({"date": days, "vix": 1.0}))
    monkeypatch.setattr(content, "_from_web", lambda url: Path(path).read_bytes())
    address = "https://host/f.csv?token=hidden"
    market = joined(market_on(days), [Joined("data.series.s", SeriesTable(address))])
    assert market.shared("vix").tolist() == [1.0] * 5
    said = repr((market.source, market.notes, market.readings, market.dropped))
    assert "https://host/f.csv" in said and "hidden" not in said


def test_labels_with_dates_hold_until_the_next_of_their_asset(write: Write) -> None:
    days = pd.bdate_range("2020-01-01", periods=5)
    rows = {
        "AAA": [("2020-01-03", "x"), ("2019-06-30", "w")],
        "BBB": [("2020-01-04", "y")],
        "ZZZ": [("2020-01-01", "z")],
    }
    table = pd.DataFrame(
        [
            {"Ticker": name, "date": date, "sector": label}
            for name, spells in rows.items()
            for date, label in spells
        ]
    )
    settings = LabelTable(write("l.csv", table))
    market = joined(market_on(days), [Joined("data.labels.l", settings)])
    labels = market.labels["sector"]
    said = np.array(labels.values)[labels.cells(len(days))]
    # 2020-01-04 is a Saturday: known from the Monday on
    assert said[:, 0].tolist() == ["w", "w", "x", "x", "x"]
    assert said[:, 1].tolist() == ["unknown"] * 3 + ["y"] * 2
    assert set(said[:, 2]) == {"unknown"}
    assert "from their dates on" in market.notes[0]
    assert ("data.labels.l row", "asset that is not modelled", 1) in market.dropped
    # three of BBB before its first label, five of CCC
    lacking = ("source value", "sector has no label on the date: unknown", 8)
    assert lacking in market.dropped
    groups = labels_of(market)
    assert dict(zip(groups["label"], groups["assets"], strict=True)) == {
        "unknown": 2,
        "w": 1,
        "x": 1,
        "y": 1,
    }


# What is refused


def quarters() -> pd.DataFrame:
    return pd.DataFrame({"date": ["2020-01-31", "2020-02-29"], "Ticker": "AAA", "book": [1.0, 2.0]})


BAD: dict[str, tuple[pd.DataFrame, dict[str, Any], str]] = {
    "column": (quarters(), {"columns": {"b": "bok"}}, "data.fields.f.columns.b: column 'bok' is"),
    "text": (
        quarters().assign(book="x"),
        {"columns": ["book"]},
        "data.fields.f.columns.book: column 'book' has 'x' in row 1 and 1 more; allowed: a number",
    ),
    "no number": (quarters().assign(book="x"), {}, "data.fields.f.columns: no column of numbers"),
    "date": (quarters().assign(date="soon"), {}, "data.fields.f.date: column 'date' has 'soon'"),
    "no date": (
        quarters().rename(columns={"date": "when"}),
        {},
        "data.fields.f.date: which column holds the dates? The file has when, Ticker, book",
    ),
    "no asset": (
        quarters().rename(columns={"Ticker": "who"}),
        {},
        "data.fields.f.asset: which column holds the assets? The file has date, who, book",
    ),
    "other assets": (quarters().assign(Ticker="QQQ"), {}, "data.fields.f: none of the assets"),
    "conflict": (
        quarters().assign(date="2020-01-31"),
        {},
        "data.fields.f: 1 row repeats an asset and a date with other values, first AAA on 2020-01-31",
    ),
    "kind": (quarters(), {"kind": {"bok": "rate"}}, "data.fields.f.kind.bok: no such column"),
    "taken": (
        quarters().rename(columns={"book": "ret"}),
        {},
        "data.fields.f.columns.ret: the data have a field of this name",
    ),
    "empty": (quarters().assign(Ticker=""), {}, "data.fields.f: no row of"),
    "rows": (
        quarters(),
        {"where": {"Ticker": "QQQ"}},
        "data.fields.f.where.Ticker: no row has 'QQQ'; allowed: AAA",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_a_table_cannot_give_is_one_line(write: Write, case: str) -> None:
    table, settings, start = BAD[case]
    dates = pd.date_range("2020-01-31", periods=4, freq="ME")
    path = write("f.csv", table)
    [line] = refused(lambda: with_field(market_on(dates), path, **settings))
    assert line.startswith(start), line


def test_all_mistakes_of_the_settings_at_once_before_data_are_read(cli: Any) -> None:
    outcome = cli(
        "experiment=none",
        "data=file",
        "data.path=nosuch.csv",
        "+data.series.a={path: x.csv, stmp: end, on: equal, lag: 3m, stale: 4}",
        "+data.fields.b={kind: pric, timing: noon}",
        "+data.labels.c=5",
        "data.allow_loss=2",
    )
    assert outcome.code == 2
    starts = [
        "error: data.allow_loss: given 2; allowed: a number from 0 to 1",
        "error: data.labels.c: given 5; allowed: a mapping",
        "error: data.fields.b.path: missing; allowed: text",
        "error: data.fields.b.kind: given 'pric'; allowed: price, return, level, rate, amount",
        "error: data.fields.b.timing: 'noon' is unknown; allowed: same_day, next_day",
        "error: data.series.a.stmp: 'stmp' is unknown; allowed: path, columns",
        "error: data.series.a.stale: given 4; allowed: text",
        "error: data.series.a.lag: given with on=equal; allowed: with on=asof",
    ]
    for start in starts:
        assert any(line.startswith(start) for line in outcome.errors), (start, outcome.errors)
    assert len(outcome.errors) == len(starts), outcome.errors


def test_a_table_in_a_file_of_ones_own(cli: Any, write: Write, tmp_path: Path) -> None:
    """YAML reads the key `on` as true; an override changes what the file says."""
    dates = pd.date_range("2010-01-31", periods=60, freq="ME")
    rng = np.random.default_rng(2)
    table = factors(dates.to_period("M"), rng)
    write("f.csv", table)
    write("funds.csv", funds(table, dates, rng))
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    text = """# @package _global_
defaults: [override /data: file, override /features: ff3, override /target: excess_return]
data:
  path: funds.csv
  columns: {close: null, volume: null, ret: ret}
  series: {f: {path: f.csv, percent: true, on: asof, columns: "[MSHR]*"}}
report: tables
audit: 'off'
"""
    (tmp_path / "mine" / "experiment" / "own.yaml").write_text(text)
    as_of = cli("experiment=own", "--config-dir", "mine")
    assert as_of.code == 2
    assert "joined as of their dates, a return would count on later dates too" in as_of.err
    equal = cli("experiment=own", "--config-dir", "mine", "++data.series.f.on=equal")
    assert "60 of the 60 dates of the assets are in it" in " ".join(equal.out.split())


# What jobs share


def test_a_joined_file_that_changes_during_a_sweep_is_noticed(tmp_path: Path, write: Write) -> None:
    dates = pd.date_range("2010-01-31", periods=24, freq="ME")
    rng = np.random.default_rng(2)
    table = factors(dates.to_period("M"), rng)
    words = [
        *OWN,
        f"data.path={write('funds.csv', funds(table, dates, rng))}",
        f"+data.series.f={{path: {write('f.csv', table)}, percent: true}}",
    ]
    experiment = Composer().job(words).experiment
    settings = [experiment.spec["data"], experiment.spec["allow"]]
    expected = {digest(settings): experiment.market().fingerprint}
    full = SharedBench(Cache(tmp_path / "full", 1e9), "code", expected)
    market = full.get("market", settings, experiment.market)
    write("f.csv", table.assign(RF=table["RF"] + 0.01))
    again = SharedBench(Cache(tmp_path / "full", 1e9), "code", expected)
    kept = again.get("market", settings, experiment.market)
    assert kept.fingerprint == market.fingerprint
    empty = SharedBench(Cache(tmp_path / "empty", 1e9), "code", expected)
    [line] = refused(lambda: empty.get("market", settings, experiment.market))
    assert line.startswith("data: changed since the sweep began: ") and "f.csv" in line


def test_a_run_keeps_its_tables_and_is_another_with_another_file(cli: Any, write: Write) -> None:
    dates = pd.date_range("2010-01-31", periods=60, freq="ME")
    rng = np.random.default_rng(2)
    table = factors(dates.to_period("M"), rng)
    words = [
        *OWN,
        f"data.path={write('funds.csv', funds(table, dates, rng))}",
        "features=ff3",
        "target=excess_return",
        "audit=off",
        f"+data.series.f={{path: {write('f.csv', table)}, percent: true}}",
    ]
    first = cli(*words)
    spec = (first.directory / "spec.yaml").read_text()
    assert "f.csv" in spec and "percent: true" in spec
    write("f.csv", table.assign(RF=table["RF"] + 0.01))
    second = cli(*words)
    about = [(run.directory / "run.json").read_text() for run in (first, second)]
    assert about[0] != about[1]
    assert first.metrics != second.metrics


def test_dates_of_publication_may_have_a_format_of_their_own(write: Write) -> None:
    """1/2/2020 is the second of January by `date`, the first of February as published."""
    dates = pd.bdate_range("2020-01-01", "2020-04-30")
    table = pd.DataFrame(
        {
            "date": ["01/02/2020", "01/03/2020"],
            "asset": "AAA",
            "published": ["03/02/2020", "04/03/2020"],
            "book": [1.0, 2.0],
        }
    )
    path = write("f.csv", table)
    settings = {"available": "published", "date_format": "%m/%d/%Y"}
    market = with_field(market_on(dates), path, **settings, available_format="%d/%m/%Y")
    book = market.get("book")["AAA"]
    assert book.first_valid_index() == pd.Timestamp("2020-02-03")
    assert book[book == 2.0].index[0] == pd.Timestamp("2020-03-04")
    as_dates = with_field(market_on(dates), path, **settings).get("book")["AAA"]
    assert as_dates.first_valid_index() == pd.Timestamp("2020-03-02")
    (line,) = refused(lambda: with_field(market_on(dates), path, **settings, available_format="%Y"))
    assert line.startswith("data.fields.f.available: column 'published' has '03/02/2020' in row 1")
    assert line.endswith("allowed: a date of data.fields.f.available_format='%Y'")
    with pytest.raises(ValueError, match="available_format: given without available"):
        FieldTable(path, available_format="%Y")


def test_a_risk_free_rate_of_any_name_has_its_unit_said(write: Write) -> None:
    """The target takes off what it names: a yield of bills a year is none of a row."""
    months = pd.date_range("2020-01-31", periods=24, freq="ME")
    bills = pd.DataFrame({"date": months, "TB3MS": np.linspace(0.015, 0.05, 24)})
    path = write("b.csv", bills)
    of_months = market_on(months)
    as_read = with_series(of_months, path)
    with pytest.raises(DataError) as caught:
        same_period_return(as_read, risk_free="TB3MS")
    line = str(caught.value)
    assert line.startswith(
        "risk_free=TB3MS: the median of TB3MS is 0.0325 per row, 39.0 % a year; "
    )
    assert "data.series.s.annual=true where it is a rate a year (divided by 12)" in line
    for annual in (True, False):
        said = with_series(of_months, path, annual=annual, percent=False)
        same_period_return(said, risk_free="TB3MS")
    in_per_cent = write("p.csv", bills.assign(TB3MS=1.5))
    per_cent = with_series(of_months, in_per_cent, annual=True)
    with pytest.raises(DataError, match=r"per row, 150\.0 % a year; data\.series\.s\.percent=true"):
        same_period_return(per_cent, risk_free="TB3MS")
    in_the_assets = replace(of_months, series=of_months.series.assign(bill=0.03))
    with pytest.raises(DataError, match=r"36\.0 % a year; allowed: a rate per row in decimals"):
        same_period_return(in_the_assets, risk_free="bill")
