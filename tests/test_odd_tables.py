"""Tables as people save them: turned over, summed up, in files of other columns, cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import call_cli

import runner
from runner.data.market import Market
from runner.data.sources.file import File
from runner.errors import DataError, RunnerError

MONTHS = pd.date_range("2010-01-31", periods=24, freq="ME")
RNG = np.random.default_rng(8)
RETURNS = pd.DataFrame(RNG.normal(0.01, 0.05, (24, 3)).round(5), MONTHS, ["AAA", "BBB", "CCC"])


def read(path: Path, **settings: Any) -> Market:
    return File(path=str(path), columns={}, **settings).load()


# dates in columns


@pytest.mark.parametrize("written", ["%Y-%m-%d", "%m/%d/%Y", "%Y%m", "%b-%y", "%b %Y"])
def test_dates_in_columns(tmp_path: Path, written: str) -> None:
    turned = RETURNS.T
    turned.columns = list(turned.columns.strftime(written))
    turned.rename_axis("ticker").to_csv(tmp_path / "turned.csv")
    market = read(tmp_path / "turned.csv")
    assert np.array_equal(market.get("ret"), RETURNS)
    assert market.dates.equals(pd.DatetimeIndex(MONTHS, name="date").as_unit("us"))
    said = "A row per asset and a column per date: 24 dates x 3 assets, turned over."
    assert said in market.notes


def test_dates_in_columns_of_a_workbook_beside_other_columns(tmp_path: Path) -> None:
    turned = RETURNS.T.rename_axis("fund")
    turned.iloc[1, 3] = np.nan
    turned.insert(0, "sector", ["x", "y", "x"])
    turned.to_excel(tmp_path / "turned.xlsx")
    market = read(tmp_path / "turned.xlsx")
    assert np.array_equal(market.get("ret"), turned.drop(columns="sector").T, equal_nan=True)
    assert any(note.endswith("turned over, without sector.") for note in market.notes)


def test_dates_in_columns_with_per_cent_signs(tmp_path: Path) -> None:
    signed = (RETURNS.T * 100).round(3).astype(str) + "%"
    signed.iloc[0, 1] = "n/a"
    signed.columns = list(signed.columns.strftime("%Y-%m-%d"))
    signed.rename_axis("ticker").to_csv(tmp_path / "turned.csv")
    expected = RETURNS.copy()
    expected.iloc[1, 0] = np.nan
    ret = read(tmp_path / "turned.csv").get("ret")
    assert np.allclose(ret, expected, atol=1e-15, equal_nan=True)


def test_several_rows_of_an_asset_with_dates_in_columns_are_refused(tmp_path: Path) -> None:
    turned = pd.concat([RETURNS.T, RETURNS.T.iloc[:1]]).rename_axis("ticker")
    turned.to_csv(tmp_path / "turned.csv")
    with pytest.raises(DataError, match="several rows of AAA; allowed: a row an asset"):
        read(tmp_path / "turned.csv")


def test_numbers_of_firms_are_no_dates(tmp_path: Path) -> None:
    wide = RETURNS.set_axis(["201001", "201002", "201003"], axis=1).rename_axis("date")
    wide.to_csv(tmp_path / "wide.csv")
    assert read(tmp_path / "wide.csv").assets == ["201001", "201002", "201003"]


# rows that sum up others


@pytest.mark.parametrize("name", ["Mean", "TOTAL", "Std. Dev.", "Average"])
def test_a_row_that_sums_up_the_others_is_left_out_and_said(tmp_path: Path, name: str) -> None:
    wide = RETURNS.set_axis(RETURNS.index.strftime("%Y-%m-%d")).rename_axis("date")
    wide.loc[name] = wide.mean()
    wide.to_csv(tmp_path / "wide.csv")
    market = read(tmp_path / "wide.csv")
    assert np.array_equal(market.get("ret"), RETURNS)
    assert f"Dates: rows named {name}, which sum up others, are not read." in market.notes
    assert [(line.reason, line.rows) for line in market.dropped] == [("no date or no asset", 3)]


# files of other columns


def in_files(folder: Path, *columns: list[str]) -> Path:
    """RETURNS in a file per year, each with some of its columns."""
    folder.mkdir()
    for (year, rows), some in zip(RETURNS.groupby(RETURNS.index.year), columns, strict=True):
        rows[some].rename_axis("date").to_csv(folder / f"{year}.csv")
    return folder


@pytest.mark.parametrize("lacking", [0, 1])
def test_an_asset_that_some_wide_files_lack(tmp_path: Path, lacking: int) -> None:
    columns = [list(RETURNS), list(RETURNS)]
    columns[lacking] = ["AAA", "CCC"]
    market = read(in_files(tmp_path / "years", *columns))
    expected = RETURNS.copy()
    expected.loc[expected.index.year == 2010 + lacking, "BBB"] = np.nan
    assert np.array_equal(market.get("ret")[list(RETURNS)], expected, equal_nan=True)
    assert "BBB is in 1 of 2 files: they have no value in the other files." in market.notes


def test_a_column_that_the_first_of_long_files_lacks_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "years"
    folder.mkdir()
    long = RETURNS.rename_axis("date").reset_index().melt("date", None, "ticker", "ret")
    long[long.date.dt.year == 2010].to_csv(folder / "2010.csv", index=False)
    later = long[long.date.dt.year == 2011].assign(size=1.0)
    later.to_csv(folder / "2011.csv", index=False)
    market = read(folder)
    assert np.array_equal(market.get("ret"), RETURNS)
    assert "The first file has no column size: that of others is not read." in market.notes


# texts that were cut off


def quoted(rows: pd.DataFrame) -> str:
    lines = rows.rename_axis("date").reset_index().melt("date", None, "ticker", "ret")
    return lines.to_csv(index=False, quoting=1)


def test_a_text_that_ends_within_quotes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(quoted(RETURNS)[:-6])
    with pytest.raises(DataError, match="ends within quotes: it was cut off, or lacks a quote"):
        read(tmp_path / "a.csv")


def test_one_of_many_texts_that_ends_within_quotes_is_refused(tmp_path: Path) -> None:
    for asset in RETURNS:
        for year, rows in RETURNS[[asset]].groupby(RETURNS.index.year):
            (tmp_path / f"{asset}{year}.csv").write_text(quoted(rows))
    cut = tmp_path / "BBB2011.csv"
    cut.write_text(cut.read_text()[:-6])
    with pytest.raises(DataError, match=r"BBB2011\.csv' ends within quotes"):
        read(tmp_path / "*.csv")


# stamps of another zone


def stamped(zone: str) -> pd.DataFrame:
    """Prices of days, each stamped in UTC with the midnight of this zone."""
    days = pd.bdate_range("2019-01-01", periods=60).tz_localize(zone)
    prices = 100.0 * np.exp(RNG.normal(0, 0.01, (60, 2)).cumsum(axis=0))
    return pd.DataFrame(prices.round(3), days.tz_convert("UTC"), ["7203", "6758"])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/Berlin", "Asia/Hong_Kong"])
def test_days_that_begin_on_the_evening_before_are_refused(
    tmp_path: Path, zone: str, kind: str
) -> None:
    prices = stamped(zone).rename_axis("date")
    path = tmp_path / f"p.{kind}"
    if kind == "csv":
        prices.to_csv(path)
    else:
        prices.reset_index().to_parquet(path)
    with pytest.raises(
        DataError, match=r"and no Friday: .*; data\.time_zone=Asia/Tokyo, or that of"
    ):
        read(path)
    local = read(path, time_zone=zone)
    assert local.dates.equals(
        pd.DatetimeIndex(pd.bdate_range("2019-01-01", periods=60), name="date").as_unit("us")
    )
    kept = read(path, time_zone="UTC")
    assert set(kept.dates.day_of_week) == {0, 1, 2, 3, 6}


def test_evenings_of_new_york_are_days_of_their_own(tmp_path: Path) -> None:
    days = pd.bdate_range("2019-01-01", periods=60).tz_localize("America/New_York")
    closes = (days + pd.Timedelta(hours=16)).tz_convert("UTC")
    prices = pd.DataFrame(RNG.uniform(50, 99, (60, 2)).round(2), closes, ["A", "B"])
    prices.rename_axis("date").to_csv(tmp_path / "p.csv")
    assert set(read(tmp_path / "p.csv").dates.day_of_week) == {0, 1, 2, 3, 4}


# units


def test_the_risk_free_rate_is_shown_a_row_and_a_year(tmp_path: Path) -> None:
    RETURNS.rename_axis("date").to_csv(tmp_path / "r.csv")
    rate = pd.DataFrame({"date": MONTHS, "RF": 0.0025})
    rate.to_csv(tmp_path / "rf.csv", index=False)
    paths = [f"data.path={tmp_path / 'r.csv'}", f"+data.series.rf.path={tmp_path / 'rf.csv'}"]
    told = call_cli(tmp_path, "check", "data=file", *paths).out
    assert "Risk-free rate RF: median 0.25 % per row (3.0 % a year)." in told


def test_returns_in_per_cent_are_said_to_be_divided(tmp_path: Path) -> None:
    long = (100 * RETURNS).rename_axis("date").reset_index().melt("date", None, "ticker", "r")
    long.to_csv(tmp_path / "r.csv", index=False)
    columns: dict[str, str | None] = {"date": "date", "asset": "ticker", "ret": "r"}
    market = File(path=str(tmp_path / "r.csv"), columns=columns, percent=True).load()
    assert np.allclose(market.get("ret"), RETURNS, atol=1e-15)
    assert "Returns (r) are divided by 100 (data.percent=true)." in market.notes


# frames


def test_factors_among_the_assets_of_a_frame_are_refused() -> None:
    factors = pd.DataFrame(RNG.normal(0, 0.03, (24, 3)), MONTHS, ["Mkt-RF", "SMB", "HML"])
    together = RETURNS.join(factors)
    spec = ["features=capm", "target=same_period_return", "validation=none", "data.values=ret"]
    with pytest.raises(DataError, match=r"Mkt-RF, SMB, HML among its assets; data\.macro="):
        runner.run(*spec, data=together)
    series = "data.macro={MktRF: Mkt-RF, SMB: SMB, HML: HML}"
    report = runner.run(*spec, series, data=together)
    by_asset = report.coefficients.query("scope == 'asset'")
    assert set(by_asset["unit"]) == set(RETURNS)


def test_a_column_that_a_frame_has_twice_is_refused() -> None:
    long = RETURNS.rename_axis("date").reset_index().melt("date", None, "asset", "ret")
    twice = pd.concat([long, long[["ret"]]], axis=1)
    with pytest.raises(RunnerError, match="has column ret more than once; allowed: once"):
        runner.run("features=none", "validation=none", data=twice)
