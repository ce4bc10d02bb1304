"""Files as people have them: forms, formats, dates and refusals, one case of each kind."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from datetime import datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import runner
from runner.__main__ import main
from runner.data.market import Market
from runner.data.reading import files as files_module
from runner.data.reading.content import Content
from runner.data.reading.delimited.text import Text
from runner.data.reading.files import header, open_files, read
from runner.data.reading.formats import databases
from runner.data.reading.formats.opened import Opened
from runner.data.sources.file import File
from runner.data.sources.frame import Frame
from runner.errors import DataError
from runner.features.expressions import Expression
from runner.record.secrets import without_secrets

DEFAULT: dict[str, str | None] = {
    "date": "Date",
    "asset": "Ticker",
    "close": "AdjClose",
    "volume": "Volume",
}
DAYS = pd.bdate_range("2020-01-01", periods=30)
NAMES = ["AAA", "BBB", "MKT"]


def wide(seed: int = 0) -> pd.DataFrame:
    """Prices (30, 3) of two decimals."""
    rng = np.random.default_rng(seed)
    cells = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (len(DAYS), len(NAMES))), axis=0))
    return pd.DataFrame(cells.round(2), DAYS.rename("Date"), NAMES)


def long() -> pd.DataFrame:
    """The same, a row per date and asset."""
    return wide().reset_index().melt("Date", var_name="Ticker", value_name="AdjClose")


def load(path: str | Path | list[str], **settings: Any) -> Market:
    columns = settings.pop("columns", DEFAULT)
    given = path if isinstance(path, list) else str(path)
    return File(given, columns, **settings).load()


def is_wide(market: Market) -> None:
    """Whether the market has the prices of `wide`, to the last bit."""
    pd.testing.assert_frame_equal(
        market.get("close"),
        wide(),
        check_names=False,
        check_freq=False,
        check_index_type=False,
        check_exact=True,
    )


def refused(path: str | Path | list[str], **settings: Any) -> str:
    """The one line on a file."""
    with pytest.raises(DataError) as caught:
        load(path, **settings)
    (line,) = caught.value.mistakes
    assert len(line.splitlines()) == 1
    return line


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Forms


def test_a_wide_file_is_recognised_and_said(tmp_path: Path) -> None:
    path = tmp_path / "closes.csv"
    wide().to_csv(path)
    market = load(path)
    is_wide(market)
    assert market.notes == (
        "Read as wide: 30 dates x 3 assets, values taken as close (data.form=wide data.values=close).",
    )
    fixed = load(path, form="wide", values="close")
    assert fixed.fingerprint == market.fingerprint and fixed.notes == ()


def test_a_wide_file_of_returns(tmp_path: Path) -> None:
    path = tmp_path / "returns.parquet"
    returns = wide().pct_change().iloc[1:]
    returns.to_parquet(path)
    market = load(path)
    np.testing.assert_array_equal(market.get("ret"), returns)
    assert "values taken as ret" in market.notes[0]


def test_cells_that_may_be_prices_or_returns_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "percent.csv"
    (100.0 * wide().pct_change().iloc[1:]).to_csv(path)
    line = refused(path)
    assert "is wide, 29 dates x 3 assets; its values (median absolute value 0." in line
    assert line.endswith(
        ", some negative) may be returns in per cent (data.percent=true) or decimals (data.values=ret)"
    )
    assert load(path, values="ret").get("ret").shape == (29, 3)


def test_columns_of_a_wide_file_that_are_not_there_show_the_way(tmp_path: Path) -> None:
    path = tmp_path / "closes.csv"
    wide().to_csv(path)
    line = refused(path, columns={"date": "Date", "asset": "Symbol", "close": "Close"})
    assert "is wide, 30 dates x 3 assets (AAA, BBB, MKT, ...), without" in line
    assert line.endswith("data.form=wide data.values=close reads it")
    with pytest.raises(DataError, match="column 'Close' is unknown"):
        load(path, form="long", columns={**DEFAULT, "close": "Close"})


@pytest.mark.parametrize("levels", [["Price", "Ticker"], ["Ticker", "Price"], [None, None]])
def test_two_rows_of_names(tmp_path: Path, levels: list[str | None]) -> None:
    prices = wide()
    frame = pd.concat({"Close": prices, "Volume": (10 * prices).round()}, axis=1, names=levels)
    if levels[0] == "Ticker":
        frame = pd.concat({"Close": prices, "Volume": (10 * prices).round()}, axis=1)
        frame = frame.swaplevel(axis=1).sort_index(axis=1).rename_axis(columns=levels)
    path = tmp_path / "multi.csv"
    frame.to_csv(path)
    market = load(path)
    is_wide(market)
    np.testing.assert_array_equal(market.get("volume"), (10 * prices).round())
    assert market.notes[0] == (
        "Two rows of names: Close, Volume of 3 assets; a row per date and asset."
    )


def test_a_folder_of_one_file_per_asset(tmp_path: Path) -> None:
    for name in NAMES:
        frame = wide()[[name]].set_axis(["Adj Close"], axis=1)
        frame.assign(Open=1.0).to_csv(tmp_path / f"{name}.csv")
    write(tmp_path / "_SUCCESS", "")
    write(tmp_path / ".hidden", "")
    for path in (tmp_path, tmp_path / "*.csv", [str(tmp_path / f"{name}.csv") for name in NAMES]):
        market = load(path)
        is_wide(market)
        assert "3 files are one table (data.path)." in market.notes
        assert "Each file is one asset, Ticker, by the name of the file." in market.notes


def test_hive_partitions_are_columns(tmp_path: Path) -> None:
    for name, rows in long().groupby("Ticker"):
        folder = tmp_path / f"Ticker={name}" / "year=2020"
        folder.mkdir(parents=True)
        rows.drop(columns="Ticker").to_parquet(folder / "part-0.parquet")
    is_wide(load(tmp_path))


def test_files_of_which_one_lacks_a_column(tmp_path: Path) -> None:
    long().to_csv(tmp_path / "a.csv", index=False)
    long().rename(columns={"AdjClose": "Price"}).to_csv(tmp_path / "b.csv", index=False)
    line = refused(tmp_path, columns={**DEFAULT, "volume": None})
    assert line.startswith("data.columns.close: column 'AdjClose' is unknown") and "b.csv" in line


def test_one_asset_in_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "MSFT.csv"
    wide()[["AAA"]].set_axis(["Close"], axis=1).to_csv(path)
    market = load(path)
    assert market.assets == ["MSFT"]
    assert "No column of assets: the file is one asset, MSFT, by its name." in market.notes


def test_usual_names_are_taken_and_said(tmp_path: Path) -> None:
    path = tmp_path / "crsp.csv"
    returns = wide().pct_change().iloc[1:].reset_index().melt("Date", value_name="RET")
    returns = returns.set_axis(["caldt", "PERMNO", "RET"], axis=1).assign(PRC=-5.0)
    returns.to_csv(path, index=False)
    market = load(path)
    assert list(market.fields) == ["ret"]
    assert market.notes == (
        "Columns by their usual names (data.columns={date: caldt, asset: PERMNO, ret: RET}); "
        "no close and no volume (data.columns.close=null data.columns.volume=null).",
    )
    returns.assign(TICKER="x").to_csv(path, index=False)
    assert refused(path) == (
        "data.columns.asset: the file has PERMNO, TICKER; data.columns.asset='PERMNO' takes the "
        "first of them"
    )


def test_all_columns_as_written(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", ",Mkt-RF, SMB\n192607,2.9,-2.5\n")
    assert header("data.series.f.path", path) == ["", "Mkt-RF", "SMB"]
    table = open_files("data.series.f.path", path).everything({""})
    assert table.column_names == ["", "Mkt-RF", "SMB"] and table["SMB"].to_pylist() == [-2.5]
    one = read("data.series.f.path", str(path), {"data.series.f.columns.SMB": "SMB"}, set())
    assert one.column_names == ["SMB"]


# Formats


def as_csv(**options: Any) -> bytes:
    return str(long().to_csv(index=False, **options)).encode()


def zipped(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("prices.csv", data)
    return bytes(sink.getvalue())


def by_arrow(codec: str) -> Callable[[bytes], bytes]:
    def pack(data: bytes) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, codec) as stream:
            stream.write(data)
        return bytes(sink.getvalue())

    return pack


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, bz2.compress, lzma.compress, zipped, by_arrow("zstd"), by_arrow("lz4")],
    ids=["gz", "bz2", "xz", "zip", "zst", "lz4"],
)
def test_compressions_by_content(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    whole = pack(as_csv())
    is_wide(load(write(tmp_path / "prices.txt", whole)))
    line = refused(write(tmp_path / "cut.csv", whole[: len(whole) // 2]))
    assert "cut.csv' is not a whole " in line


@pytest.mark.parametrize(
    "text",
    [
        as_csv(sep=";"),
        as_csv(sep="\t"),
        as_csv(sep="|"),
        as_csv(sep=" "),
        as_csv(sep=";", decimal=","),
        as_csv(decimal=","),
        b"\xef\xbb\xbf" + as_csv(),
        as_csv().decode().encode("utf-16"),
        as_csv().decode().encode("utf-16-le"),
        b"Prices of three funds\nfrom a terminal, daily\n\n" + as_csv(),
        as_csv() + b"\nSource: a terminal\n",
        as_csv().replace(b"\n", b"\r\n"),
        "Société\n\n".encode("cp1252") + as_csv(),
    ],
    ids=[
        "semicolon",
        "tab",
        "bar",
        "spaces",
        "comma",
        "quoted comma",
        "sig",
        "utf-16",
        "no mark",
        "preamble",
        "notes",
        "crlf",
        "cp1252",
    ],
)
def test_text_by_content(tmp_path: Path, text: bytes) -> None:
    market = load(write(tmp_path / "prices.dat", text))
    is_wide(market)


def test_settings_of_text_replace_what_is_recognised(tmp_path: Path) -> None:
    path = write(tmp_path / "prices.csv", as_csv(sep=";", decimal=","))
    assert load(path).notes[0] == (
        "The text is read with data.delimiter=semicolon data.decimal=comma."
    )
    market = load(path, delimiter="semicolon", decimal="comma")
    assert not any("The text" in note for note in market.notes)
    is_wide(load(write(tmp_path / "x.csv", as_csv(sep="^")), delimiter="^"))


def test_numbers_printed_in_columns_below_names_without_the_first(tmp_path: Path) -> None:
    path = write(tmp_path / "f.txt", "  AAA   BBB\n202001  50.5  3.25\n202002  51.5  4.25\n")
    market = load(path)
    assert market.get("close").to_numpy().tolist() == [[50.5, 3.25], [51.5, 4.25]]
    assert [str(date.date()) for date in market.dates] == ["2020-01-31", "2020-02-29"]


def test_binary_formats_by_content(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(long(), preserve_index=False)
    path = tmp_path / "prices"
    pq.write_table(table, path)
    is_wide(load(path))
    pyarrow.feather.write_feather(table, path)
    is_wide(load(path))
    with pa.ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table)
    is_wide(load(path))
    long().to_stata(path, write_index=False, version=118)
    is_wide(load(path))
    long().to_stata(path, write_index=False, version=114)
    is_wide(load(path))


def test_excel(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    path = tmp_path / "funds.xlsx"
    with pd.ExcelWriter(path, engine="openpyxl") as writer:
        wide().to_excel(writer, sheet_name="NAV", startrow=2)
        writer.book["NAV"]["A1"] = "Net asset values, of three funds"
    market = load(path)
    is_wide(market)
    assert market.notes[0] == "Sheet 'NAV' of the Excel file is read (data.sheet='NAV')."
    book = openpyxl.load_workbook(path)
    book.create_sheet("Notes")["A1"] = "text"
    book.save(path)
    assert "is an Excel file with the sheets NAV, Notes; data.sheet='NAV' reads" in refused(path)
    is_wide(load(path, sheet="NAV"))
    assert refused(path, sheet="Nav").endswith("did you mean 'NAV'? (in " + f"{path})")


def test_excel_and_duckdb_without_their_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.data.reading.formats.opened.find_spec", lambda name: None)
    path = tmp_path / "book.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    assert refused(path).endswith("pip install 'factor-runner[excel]' installs it")
    write(path, b"12345678DUCK0000")
    assert refused(path).endswith("pip install 'factor-runner[duckdb]' installs it")


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    path = tmp_path / "prices?.db"
    with sqlite3.connect(path) as connection:
        long().assign(Date=lambda rows: rows["Date"].dt.strftime("%Y-%m-%d")).to_sql(
            "prices", connection, index=False
        )
    connection.close()
    return path


def test_sqlite_by_a_query(sqlite: Path) -> None:
    is_wide(load(sqlite, query="select Date, Ticker, AdjClose from prices"))
    assert refused(sqlite).endswith(
        "is a SQLite database with the tables prices; data.query='select * from prices' reads one"
    )


QUERIES = [
    "drop table prices",
    "insert into prices values ('2020-01-01', 'X', 1.0)",
    "select 1; select 2",
    "select * from nothing",
    "selec",
]


@pytest.mark.parametrize("query", [*QUERIES, "attach 'other.db' as x", "pragma user_version = 3"])
def test_queries_that_do_not_read_from_sqlite(sqlite: Path, query: str) -> None:
    before = sqlite.read_bytes()
    line = refused(sqlite, query=query)
    assert line.startswith("data.query: ")
    assert line.endswith("; allowed: one SELECT, which reads and does not write")
    assert sqlite.read_bytes() == before


def test_a_query_without_rows(sqlite: Path) -> None:
    line = refused(sqlite, query="select * from prices where Ticker = 'ZZZ'")
    assert line == f"data.query: gives no row of {str(sqlite)!r} (columns Date, Ticker, AdjClose)"


def test_duckdb_by_a_query(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "prices.bin"
    table = pa.Table.from_pandas(long(), preserve_index=False)
    connection = duckdb.connect(str(path))
    connection.register("incoming", table)
    connection.execute("create table prices as select * from incoming")
    connection.close()
    is_wide(load(path, query="select * from prices"))
    assert "a DuckDB database with the tables prices; data.query=" in refused(path)
    other = tmp_path / "other.csv"
    outside = [f"select * from read_csv('{other}')", f"copy prices to '{other}'"]
    write(other, as_csv())
    for query in [*QUERIES, *outside, f"attach '{tmp_path}/x.db'"]:
        assert refused(path, query=query).startswith("data.query: ")
    assert other.read_bytes() == as_csv()
    assert "gives no row" in refused(path, query="select * from prices where Ticker = 'ZZZ'")


ENDLESS = "with recursive r(x) as (select 1 union all select x + 1 from r) select x from r"


def test_a_query_of_sqlite_that_gives_rows_without_an_end(
    sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "available", lambda: 30_000_000)
    line = refused(sqlite, query=ENDLESS)
    assert line.startswith("data.query: gives 0.0 GB or more of")
    assert line.endswith("allowed: a query that gives fewer rows")
    assert "too big" in refused(sqlite, query="select zeroblob(100000000) as x")


def test_a_query_of_duckdb_that_gives_rows_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "prices.bin"
    duckdb.connect(str(path)).close()
    monkeypatch.setattr(databases, "available", lambda: 30_000_000)
    line = refused(path, query="select range as x from range(1000000000000)")
    assert line.startswith("data.query: gives 0.0 GB or more of")
    monkeypatch.setattr(databases, "available", lambda: None)
    late = "select case when range > 700000 then error('late') else range end as x"
    assert "late; allowed: one SELECT" in refused(path, query=f"{late} from range(900000)")


def test_an_address_whose_secrets_stay_out_of_messages(tmp_path: Path) -> None:
    write(tmp_path / "prices.csv", as_csv())
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        market = load(f"{address}/prices.csv?token=secret")
        is_wide(market)
        assert market.source == f"{address}/prices.csv"
        line = refused(f"{address}/none.csv?token=secret")
        server.shutdown()
    assert "none.csv' cannot be fetched: HTTP Error 404" in line and "secret" not in line


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://me:word@host/f.csv", "https://***@host/f.csv"),
        ("https://host/f.csv?raw=1&token=ab", "https://host/f.csv?raw=1&token=***"),
        ("https://host/f?X-Amz-Signature=a%2Fb&x=1", "https://host/f?X-Amz-Signature=***&x=1"),
        ("https://host/f.csv?format=csv", "https://host/f.csv?format=csv"),
    ],
)
def test_what_a_run_keeps_of_an_address(address: str, kept: str) -> None:
    spec = without_secrets({"data": {"path": [address], "series": {"f": {"path": address}}}})
    assert spec["data"] == {"path": [kept], "series": {"f": {"path": kept}}}
    if "***" in kept:
        assert "was kept without what may be secret" in refused(kept)


# Dates

ENDS = ["2017-01-31", "2017-02-28", "2017-03-31"]
QUARTERS = ["2017-03-31", "2017-06-30", "2017-09-30"]
WAYS: dict[str, tuple[list[str], list[str]]] = {
    "yyyymmdd": (["20170131", "20170228", "20170331"], ENDS),
    "yyyymm": (["201701", "201702", "201703"], ENDS),
    "gap": (["201701.0", "201702.0", "201703.0"], ENDS),
    "yyyy-mm": (["2017-01", "2017-02", "2017-03"], ENDS),
    "mm/yyyy": (["01/2017", "02/2017", "03/2017"], ENDS),
    "month": (["Jan 2017", "Feb 2017", "Mar 2017"], ENDS),
    "whole month": (["January 2017", "February 2017", "March 2017"], ENDS),
    "stata": (["2017m1", "2017m2", "2017m3"], ENDS),
    "excel": (["42766", "42794", "42825"], ENDS),
    "us": (["01/31/2017", "02/28/2017", "03/31/2017"], ENDS),
    "us with time": (["1/31/2017 12:00:00 AM", "2/28/2017 12:00:00 AM", "3/31/2017 12:00:00 AM"], ENDS),
    "eu": (["31/01/2017", "28/02/2017", "31/03/2017"], ENDS),
    "eu-dot": (["31.01.2017", "28.02.2017", "31.03.2017"], ENDS),
    "sas": (["31JAN2017", "28FEB2017", "31MAR2017"], ENDS),
    "sas datetime": (["31JAN2017:00:00:00", "28FEB2017:00:00:00", "31MAR2017:00:00:00"], ENDS),
    "day month year": (["31 Jan 2017", "28 Feb 2017", "31 Mar 2017"], ENDS),
    "text": (["Jan 31, 2017", "Feb 28, 2017", "Mar 31, 2017"], ENDS),
    "ymd-slash": (["2017/01/31", "2017/02/28", "2017/03/31"], ENDS),
    "epoch-s": (["1485820800", "1488240000", "1490918400"], ENDS),
    "epoch-ms": (["1485820800000", "1488240000000", "1490918400000"], ENDS),
    "epoch-us": (["1485820800000000", "1488240000000000", "1490918400000000"], ENDS),
    "epoch-ns": (["1485820800000000000", "1488240000000000000", "1490918400000000000"], ENDS),
    "zoned": (["2017-01-31 00:00:00-05:00", "2017-02-28 00:00:00-05:00", "2017-03-31 00:00:00-04:00"], ENDS),
    "quarter": (["2017Q1", "2017Q2", "2017Q3"], QUARTERS),
    "quarter first": (["Q1 2017", "Q2 2017", "Q3 2017"], QUARTERS),
    "yyyy": (["2017", "2018", "2019"], ["2017-12-31", "2018-12-31", "2019-12-31"]),
    "two-digit": (["31-Jan-17", "28-Feb-17", "31-Mar-17"], ENDS),
    "iso-week": (["2017-W05", "2017-W09", "2017-W13"], ["2017-02-05", "2017-03-05", "2017-04-02"]),
    "ddmmyyyy8": (["31012017", "28022017", "31032017"], ENDS),
}  # fmt: skip


def with_dates(path: Path, days: list[str]) -> Path:
    rows = [f'"{day}",A,{10 + k}\n' for k, day in enumerate(days)]
    return write(path, "Date,Ticker,AdjClose\n" + "".join(rows))


@pytest.mark.parametrize("way", WAYS)
def test_dates_whose_right_reading_is_the_only_one(tmp_path: Path, way: str) -> None:
    written, expected = WAYS[way]
    market = load(with_dates(tmp_path / "f.csv", written))
    assert [f"{date:%Y-%m-%d}" for date in market.dates] == expected
    assert (market.dates == market.dates.normalize()).all()
    plain = way in ("yyyymmdd", "zoned", "ymd-slash")
    assert plain or any(note.startswith("Dates: ") for note in market.notes)


@pytest.mark.parametrize(
    ("written", "first", "second"),
    [
        ("01/02/2017", "2017-01-02 (data.date_format='%m/%d/%Y')", "2017-02-01 (data.date_format='%d/%m/%Y')"),
        ("01112017", "2017-11-01 (data.date_format='%d%m%Y')", "2017-01-11 (data.date_format='%m%d%Y')"),
        ("20850", "1957-01-30 (data.date_format='excel')", "2017-01-31 (data.date_format='sas')"),
        ("01/02/03", "2003-01-02 (data.date_format='%m/%d/%y')", "2003-02-01 (data.date_format='%d/%m/%y')"),
    ],
)  # fmt: skip
def test_dates_that_can_be_read_in_two_ways(
    tmp_path: Path, written: str, first: str, second: str
) -> None:
    path = with_dates(tmp_path / "f.csv", [written])
    assert refused(path) == (
        f"data.columns.date: column 'Date' can be read in two ways: {written!r} is {first} or {second}"
    )
    for reading in (first, second):
        day, date_format = reading.split(" (data.date_format='")
        market = load(path, date_format=date_format.removesuffix("')"))
        assert [f"{date:%Y-%m-%d}" for date in market.dates] == [day]


def test_one_date_beyond_doubt_settles_the_others(tmp_path: Path) -> None:
    market = load(with_dates(tmp_path / "f.csv", ["01/02/2017", "02/02/2017", "13/02/2017"]))
    assert [f"{date:%Y-%m-%d}" for date in market.dates] == [
        "2017-02-01",
        "2017-02-02",
        "2017-02-13",
    ]


def test_a_date_unlike_the_others_is_refused(tmp_path: Path) -> None:
    path = with_dates(tmp_path / "f.csv", ["31JAN2017", "28FEB2017", "soon", "31APR2017"])
    assert "column 'Date' has 'soon' in row 3 and 1 more; allowed: a date as in" in refused(path)
    path = with_dates(tmp_path / "f.csv", ["01/02/2017", "2017-01-03"])
    assert "data.date_format='%d/%m/%Y'" in refused(path, date_format="%d/%m/%Y")


# Refusals


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"Date,Ticker,AdjClose\n", "has columns but no row"),
        (b"\x89PNG\r\n\x1a\n\0\0", "is a picture, not a table; allowed: CSV, parquet"),
        (b"<!DOCTYPE html><html>404</html>", "is a web page, not a table"),
        (b"%PDF-1.7 a,b\n", "is a PDF file, not a table"),
        (b'{"a": [1, 2]}', "is JSON, not a table"),
        (b"\x80\x05\x95abc", "is a pickle, which may run any code, not a table"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel file of before 2007, not a table"),
        (b"\0\1\2\3\4\5" * 50, "is not a table: neither text nor in a format that is read"),
        (b"just words\nand more words here\n", "data.delimiter names what stands between them"),
        (b"2020-01-02,AAA,1.0\n2020-01-03,AAA,2.0\n2020-01-06,AAA,2.0\n", "has no names of columns"),
        (b"Date;Ticker;AdjClose;Volume\n2020-01-02;A;1,5;2.5\n", "data.decimal=comma or data.decimal=point"),
        (b"Date;Ticker;AdjClose\n2020-01-02;A;1.234\n2020-01-03;A;1,5\n", "data.decimal=comma or"),
        (b'Date,Ticker,Return\n2020-01-02,A,0.5%\n2020-01-03,A,0.5\n', "has '0.5%' in row 1"),
        # 999 and then 1,003: a fall by 99.9 % where the comma is taken for that of decimals
        (b'Date,Ticker,AdjClose\n2020-01-02,A,999\n2020-01-03,A,"1,003"\n', "data.decimal=comma"),
        (b"Date;Ticker;AdjClose\n2020-01-02;A;1,003\n", "may be a mark of thousands"),
        (b"asset,2020-01-02,2020-01-03\nAAA,10,20\nAAA,1,2\n", "has dates as its columns"),
        (b"date,fund,nav\n2020-01-02,A,10\n", "(data.columns.close=nav)"),
        (b"Date,Ticker,AdjClose\n2020-01-02,A,1\n2020-01-03,A\n2020-01-06,A,2\n", "is not a whole CSV file"),
        (b"Date,Ticker,AdjClose\n2020-01-02,A,1\nnote\n2020-01-03,A,2\n", "is not a whole CSV file"),
        (b"Date,Ticker,AdjClose,AdjClose\n2020-01-02,A,1,2\n", "is there 2 times"),
        (b"Date,AAA,AAA\n2020-01-02,10,20\n", "is there 2 times"),
        (b"Date,Ticker,AdjClose\n2020-01-02,\x81,1\n", "is not text in cp1252; data.encoding=NAME"),
        (b"PAR1\0\0PAR1", "is not a whole parquet file"),
        (b"ARROW1\0\0" + b"\0" * 9, "is not a whole Arrow file"),
        (b"PK\x03\x04" + b"\0" * 30, "is not a whole zip file"),
        (b"<stata_dta><header>", "is not a whole Stata file"),
    ],
)  # fmt: skip
def test_what_is_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in refused(write(tmp_path / "file.csv", content))


MARKS = {
    "commas of thousands": ('"1,234.5"', '"12,345,678"', 1234.5, 12345678.0),
    "spaces of thousands": ("1 234.5", "12\u00a0345\u202f678", 1234.5, 12345678.0),
    "apostrophes": ("1'234.5", "999", 1234.5, 999.0),
    "brackets": ("(0.5)", "2", -0.5, 2.0),
    "a currency": ("$1.5", "-$2.25", 1.5, -2.25),
    "a currency in brackets": ("($1.5)", "2.25 €", -1.5, 2.25),
    "per cent": ("1.5%", "-2 %", 0.015, -0.02),
    "thousands, millions, billions": ("1.5K", "2M", 1500.0, 2e6),
    "nothing known": ("#N/A N/A", "-", np.nan, np.nan),
}


@pytest.mark.parametrize(("first", "second", "one", "two"), MARKS.values(), ids=MARKS)
def test_numbers_with_marks_are_read_as_what_they_mean(
    tmp_path: Path, first: str, second: str, one: float, two: float
) -> None:
    rows = f"Date,Ticker,AdjClose,x\n2020-01-02,A,5,{first}\n2020-01-03,A,6,{second}\n"
    market = load(write(tmp_path / "f.csv", rows), columns={**DEFAULT, "x": "x"})
    np.testing.assert_allclose(market.get("x")["A"], [one, two], rtol=1e-15)
    said = [note for note in market.notes if "is read as" in note]
    assert len(said) == (one == one)


def test_thousands_beside_decimal_commas(tmp_path: Path) -> None:
    text = (
        "Date;Ticker;AdjClose\n2020-01-02;A;1.234,5\n2020-01-03;A;12.345.678,25\n2020-01-06;A;7\n"
    )
    closes = load(write(tmp_path / "f.csv", text)).get("close")["A"]
    assert closes.tolist() == [1234.5, 12345678.25, 7.0]


def test_a_comma_that_may_be_of_thousands_is_settled_by_the_spec(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", 'Date,Ticker,AdjClose\n2020-01-02,A,"1,003"\n')
    line = refused(path)
    assert "mark of thousands (data.decimal=point) or of decimals (data.decimal=comma)" in line
    assert load(path, decimal="point").get("close").iloc[0, 0] == 1003.0
    assert load(path, decimal="comma").get("close").iloc[0, 0] == 1.003


def test_signs_of_per_cent_are_in_all_columns_of_a_wide_table_or_in_none(tmp_path: Path) -> None:
    """Else one fund's 0.3 % would stand beside another's 30 %: small numbers are no suspicion."""
    dates = pd.date_range("2020-01-31", periods=12, freq="ME")
    values = np.random.default_rng(0).uniform(-0.4, 0.4, (12, 2)).round(2)
    table = pd.DataFrame({"Date": dates, "A": [f"{value}%" for value in values[:, 0]]})
    path = tmp_path / "funds.csv"
    table.assign(B=values[:, 1]).to_csv(path, index=False)
    message = "column 'A' has per cent signs, column 'B' numbers without; allowed: signs in all"
    assert refused(path).startswith(f"data.path: {message}")
    table.assign(B=[f"{value}%" for value in values[:, 1]]).to_csv(path)  # with a count of rows
    market = load(path)
    np.testing.assert_allclose(market.get("ret").to_numpy(), values / 100.0, atol=1e-15)
    said = " ".join(market.notes)
    assert "and numbers of 1 other column so" in said
    assert "counts the rows, and is not read" in said


def test_per_cent_signs_are_not_divided_twice(tmp_path: Path) -> None:
    long_form = write(tmp_path / "f.csv", "Date,Ticker,Ret\n2020-01-02,A,5%\n2020-01-03,A,-4%\n")
    wide_form = write(tmp_path / "w.csv", "Date,A,B\n2020-01-02,5%,1%\n2020-01-03,-4%,0%\n")
    for path in (long_form, wide_form):
        assert load(path).get("ret")["A"].tolist() == [0.05, -0.04]
        assert refused(path, percent=True).startswith("data.percent: true for numbers with per")


def test_one_bad_cell_of_a_wide_file_is_one_line(tmp_path: Path) -> None:
    text = wide().rename_axis("Date").to_csv().replace(str(wide().iloc[3, 1]), "n.a.", 1)
    assert refused(write(tmp_path / "f.csv", text)).startswith("data.path: column 'BBB' has 'n.a.'")


def bloomberg() -> str:
    """Securities over fields, as the terminal exports them."""
    rows = ["," + ",".join(f"{name} US Equity,{name} US Equity" for name in NAMES)]
    rows.append("Dates," + ",".join(["PX_LAST,PX_VOLUME"] * len(NAMES)))
    for day, closes in wide().iterrows():
        rows.append(f"{day:%m/%d/%Y}," + ",".join(f"{close},7" for close in closes))
    return "\n".join(rows)


PADDED = {
    "as it is": "",
    "a start date": "Start Date,01/01/2020,,,,,\nEnd Date,02/11/2020,,,,,\n,,,,,,\n",
    "a title": "Prices of three stocks,,,,,,\n,,,,,,\n",
}


@pytest.mark.parametrize("above", PADDED.values(), ids=PADDED)
def test_bloomberg_with_lines_filled_up_with_blanks_above(tmp_path: Path, above: str) -> None:
    market = load(write(tmp_path / "f.csv", above + bloomberg()))
    assert market.assets == [f"{name} US Equity" for name in NAMES]
    np.testing.assert_array_equal(market.get("close").to_numpy(), wide().to_numpy())
    assert (market.get("volume") == 7).all().all()


def test_names_of_merged_cells_hold_for_the_columns_below(tmp_path: Path) -> None:
    rows = [",AAA,,BBB,", "Date,Close,Volume,Close,Volume"]
    rows += [f"{day:%Y-%m-%d},{row + 1}.5,7,{row + 2}.5,8" for row, day in enumerate(DAYS)]
    market = load(write(tmp_path / "f.csv", "\n".join(rows)))
    assert market.get("close").iloc[0].to_dict() == {"AAA": 1.5, "BBB": 2.5}
    assert market.get("volume").iloc[-1].to_dict() == {"AAA": 7.0, "BBB": 8.0}


def test_an_index_of_rows_is_no_asset(tmp_path: Path) -> None:
    wide().reset_index(names="Date").to_csv(tmp_path / "f.csv")
    is_wide(load(tmp_path / "f.csv", values="close"))


def test_months_and_quarters_of_stata_are_dated_by_their_last_day(tmp_path: Path) -> None:
    for written, frequency, last in (("tm", "MS", "2020-01-31"), ("tq", "QS", "2020-03-31")):
        table = pd.DataFrame(
            {"permno": 7, "date": pd.date_range("2020-01-01", periods=9, freq=frequency)}
        )
        table["ret"] = 0.01
        path = tmp_path / "f.dta"
        table.to_stata(path, convert_dates={"date": written}, write_index=False)
        market = load(path)
        assert str(market.dates[0].date()) == last
        assert any("dated by their last day" in note for note in market.notes)


def test_periods_of_pandas_in_parquet(tmp_path: Path) -> None:
    table = long()
    table["Date"] = table["Date"].dt.to_period("D")
    table.to_parquet(tmp_path / "f.parquet")
    is_wide(load(tmp_path / "f.parquet"))


def test_a_date_counts_before_a_folder_of_months(tmp_path: Path) -> None:
    table = long().rename(columns={"Date": "date"})
    for month, rows in table.groupby(table["date"].dt.month):
        (tmp_path / f"month={month}").mkdir()
        rows.set_index("date").to_parquet(tmp_path / f"month={month}" / "part.parquet")
    is_wide(load(tmp_path))


@pytest.mark.parametrize("below", ["USD,USD,USD", "USD,EUR,GBP", "@AAA(P),@BBB(P),@MKT(P)"])
@pytest.mark.parametrize("corner", ["Date", "Name", ""])
def test_a_row_of_codes_or_units_below_the_names_is_not_read(
    tmp_path: Path, below: str, corner: str
) -> None:
    names, *rows = wide().rename_axis(corner).to_csv().splitlines()
    path = write(tmp_path / "f.csv", "\n".join([names, f"Code,{below}", *rows]))
    market = load(path, values="close")
    is_wide(market)
    said = f"A row of codes or units below the names is not read: {below.replace(',', ', ')}."
    assert said in market.notes


def test_a_wide_frame_of_pandas_in_parquet_has_its_dates_in_the_index(tmp_path: Path) -> None:
    table = wide()
    for name in ("Date", None):
        table.rename_axis(name).to_parquet(tmp_path / "f.parquet")
        is_wide(load(tmp_path / "f.parquet", values="close"))


@pytest.mark.parametrize("suffix", ["parquet", "xlsx", "csv"])
@pytest.mark.parametrize("levels", [["Price", "Ticker"], [None, None]], ids=["named", "unnamed"])
@pytest.mark.parametrize("by_ticker", [False, True])
def test_two_levels_of_columns_as_pandas_writes_them(
    tmp_path: Path, suffix: str, levels: list[str | None], by_ticker: bool
) -> None:
    table = pd.concat({"Close": wide(), "Volume": 0.0 * wide() + 7.0}, axis=1)
    table.columns.names = levels
    if levels[0]:
        table.index.name = "Date"
    if by_ticker:
        table = table.swaplevel(axis=1).sort_index(axis=1)
    path = tmp_path / f"f.{suffix}"
    written = {"parquet": table.to_parquet, "xlsx": table.to_excel, "csv": table.to_csv}
    written[suffix](path)
    market = load(path)
    is_wide(market)
    assert (market.get("volume") == 7.0).all().all()


def test_months_of_two_digits_of_the_year(tmp_path: Path) -> None:
    text = "Month,A,B\n" + "\n".join(
        f"{month}-10,{k + 50}.5,7.25" for k, month in enumerate(("Jan", "Feb", "Mar"))
    )
    market = load(write(tmp_path / "f.csv", text))
    assert [str(date.date()) for date in market.dates] == ["2010-01-31", "2010-02-28", "2010-03-31"]


def test_names_that_are_not_usual_are_asked_for_in_one_line(tmp_path: Path) -> None:
    line = refused(
        write(tmp_path / "f.csv", "Datum;Fonds;Kurs\n31.12.2020;A;1,5\n29.01.2021;A;2,5\n")
    )
    assert line.startswith("data.columns: which columns of ")
    needed = (
        "the date (data.columns.date=Datum), the asset (data.columns.asset=Fonds), a price (data"
    )
    assert f"{needed}.columns.close=Kurs) or a return (data.columns.ret=Kurs)? It has Datum" in line
    mended = "date: Datum, asset: Fonds, close: Kurs, volume: null"
    words = [f"data.path={tmp_path / 'f.csv'}", f"data.columns={{{mended}}}"]
    runner.compose("experiment=none", "data=file", "features=none", *words)


def test_columns_of_a_panel_are_asked_for_by_names_that_may_be_meant(tmp_path: Path) -> None:
    names = {"Date": "trade_dt", "Ticker": "secid", "AdjClose": "ret_1d"}
    frame = long().rename(columns=names).assign(size=1.0)
    line = refused(write(tmp_path / "f.csv", frame.to_csv(index=False)))
    needed = "the date (data.columns.date=trade_dt), a price (data.columns.close=NAME) or a return"
    assert f"are {needed} (data.columns.ret=ret_1d)? It has" in line


def test_keys_among_the_columns_of_a_joined_table_are_said_where_they_belong(
    tmp_path: Path,
) -> None:
    long().to_csv(tmp_path / "f.csv", index=False)
    long().rename(columns={"Ticker": "tic"}).to_csv(tmp_path / "g.csv", index=False)
    words = [f"data.path={tmp_path / 'f.csv'}", f"data.fields.g.path={tmp_path / 'g.csv'}"]
    words += ["data.fields.g.columns={asset: tic, x: AdjClose}", "features.x=x"]
    with pytest.raises(DataError) as caught:
        runner.run("experiment=none", "data=file", "features=none", "target=forward_return", *words)
    assert caught.value.mistakes == (
        "data.fields.g.columns.asset: the asset is no number; data.fields.g.asset=tic names its column",
    )


def test_a_zip_archive_of_several_files(tmp_path: Path) -> None:
    path = tmp_path / "file.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", as_csv())
        archive.writestr("b.csv", as_csv())
    assert "is a zip archive of 2 files: a.csv, b.csv; allowed: one" in refused(path)


def test_folders_and_patterns_without_files(tmp_path: Path) -> None:
    assert "has no file" in refused(tmp_path)
    assert "no file matches" in refused(tmp_path / "*.csv")


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "prices.csv", as_csv())
    stream = Content.stream

    def growing(content: Content) -> Any:
        opened = stream(content)
        with path.open("ab") as file:
            file.write(b"2021-01-01,AAA,1.0\n")
        return opened

    monkeypatch.setattr(Content, "stream", growing)
    assert refused(path).endswith(
        "changed while it was read; allowed: a file that nobody writes to"
    )


# DataFrames


@pytest.mark.parametrize("frequency", ["D", "h"])
def test_periods_of_a_frame_are_dated(frequency: str) -> None:
    frame = long().assign(date=lambda rows: rows["Date"].dt.to_period(frequency))
    columns: dict[str, str | None] = {"date": "date", "asset": "Ticker", "close": "AdjClose"}
    market = Frame(columns=columns).of(frame).load()
    is_wide(market)
    moment = "last day" if frequency == "D" else "first moment"
    assert market.notes == (f"Periods in column date are dated by their {moment}.",)


def test_months_of_a_wide_frame_are_dated_by_their_last_day() -> None:
    months = pd.period_range("2020-01", periods=2, freq="M")
    frame = pd.DataFrame({"AAA": [10.0, 11.0]}, index=months)
    market = Frame(values="close").of(frame).load()
    assert [f"{date:%Y-%m-%d}" for date in market.dates] == ["2020-01-31", "2020-02-29"]


# From the command line

FRENCH = """This file was created using the 202412 CRSP database.
The Tbill return is the simple daily rate that over the number of trading days

,Mkt-RF,SMB,HML,RF
192607,    2.89,   -2.55,   -2.39,    0.22
192608,    2.64,   -1.14,    3.81,    0.25
192609,    0.38,   -1.36,    0.05,    0.23

 Annual Factors: January-December
,Mkt-RF,SMB,HML,RF
1927,   29.47,   -2.04,   -4.54,    3.12
1928,   35.39,    4.20,   -6.17,    3.56
"""


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> int:
    monkeypatch.chdir(tmp_path)
    try:
        return int(main(["report=tables", *overrides]) or 0)
    except SystemExit as end:
        return int(end.code or 0)


def test_raw_factors_are_no_assets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "factors.csv", FRENCH)
    overrides = ["experiment=none", "data=file", "data.path=factors.csv", "features=ff3"]
    assert run(tmp_path, monkeypatch, *overrides) == 2
    text = " ".join(capsys.readouterr().err.split())
    for words in (
        "data.path: 'factors.csv' has factors and no assets: 3 dates x 4 series",
        "months such as 192607 are dated by their last day",
        "in per cent",
        "3 lines above the names of the columns are not read",
        "data.path=RETURNS data.series.factors.path=factors.csv data.series.factors.percent=true",
    ):
        assert words in text
    assert "Traceback" not in text


def test_wide_closes_run_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wide().to_csv(tmp_path / "closes.csv")
    overrides = ["experiment=none", "data=file", "data.path=closes.csv", "data.assets=[AAA,BBB]"]
    overrides += ["data.market=MKT", "features=market", "target=same_period_return"]
    assert run(tmp_path, monkeypatch, *overrides) == 0
    assert "Read as wide: 30 dates x 3 assets" in " ".join(capsys.readouterr().out.split())
    [table] = (tmp_path / "outputs" / "runs").glob("*/coefficients.csv")
    estimates = pd.read_csv(table).set_index(["unit", "term"])["estimate"]
    returns = wide().pct_change().iloc[1:]
    slope = np.polyfit(returns["MKT"], returns["AAA"], 1)[0]
    # two ways to the least squares of thirty rows differ by rounding
    assert estimates["AAA", "market_ret"] == pytest.approx(slope, rel=1e-9)


def test_a_download_of_one_ticker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{day:%Y-%m-%d},{100 + k},{k}\n" for k, day in enumerate(DAYS))
    text = "Price,Close,Volume\nTicker,AAPL,AAPL\nDate,,\n" + rows
    write(tmp_path / "AAPL.csv", text)
    market = load(tmp_path / "AAPL.csv")
    assert market.assets == ["AAPL"] and market.get("close")["AAPL"].iloc[2] == 102.0
    overrides = ["experiment=none", "data=file", "data.path=AAPL.csv", "features=none"]
    assert run(tmp_path, monkeypatch, *overrides, "target=same_period_return") == 0


def test_a_file_of_three_days_is_fitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # too short for what trials need, which is no reason to fail
    wide().iloc[:3].to_csv(tmp_path / "closes.csv")
    overrides = ["experiment=none", "data=file", "data.path=closes.csv", "features=none"]
    assert run(tmp_path, monkeypatch, *overrides, "target=same_period_return") == 0


def test_a_wide_file_with_a_column_of_words_says_which(tmp_path: Path) -> None:
    write(tmp_path / "f.csv", "Date,AAA,BBB,note\n2020-01-02,10,20,x\n")
    with pytest.raises(DataError) as caught:
        load(tmp_path / "f.csv")
    [line] = caught.value.mistakes
    assert "Read as wide (dates x assets): column 'note' has 'x' in row 1" in line


def test_small_files_are_cut_together_as_each_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    prices = wide(1)
    for k in range(12):
        rows = [f"{day:%Y-%m-%d},{close + k}\n" for day, close in prices["AAA"].items()]
        write(folder / f"S{k:02d}.csv", "Date,AdjClose\n" + "".join(rows[k:]))
    # words in quotes and another header are looked at alone; a last line may have no end
    write(folder / "S05.csv", 'Date,AdjClose\n"2020-01-02",5\n')
    write(folder / "S06.csv", "a note above\n\nAdjClose,Date\n7,2020-01-02\n")
    write(folder / "S11.csv", "Date,AdjClose\n2020-01-02,8\n2020-01-03,9")
    batches = []
    cut = Text.cut
    monkeypatch.setattr(Text, "cut", lambda *args: batches.append(args[1]) or cut(*args))
    together = load(folder)
    assert len(batches) == 2
    assert "2 lines above the names of the columns are not read (S06.csv)." in together.notes
    monkeypatch.setattr(files_module, "FEWEST_TOGETHER", 1000)
    alone = load(folder)
    assert len(batches) == 2
    pd.testing.assert_frame_equal(together.get("close"), alone.get("close"))
    close = together.get("close")
    assert close["S05"].count() == close["S06"].count() == 1
    assert close["S11"].dropna().tolist() == [8.0, 9.0]
    assert close["S02"].dropna().tolist() == (prices["AAA"] + 2)[2:].tolist()


def test_a_fault_in_one_of_many_files_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for k in range(8):
        word = "?" if k == 5 else "10"
        write(folder / f"S{k}.csv", f"Date,AdjClose\n2020-01-02,{word}\n")
    assert "has '?' in row" in refused(folder)
    write(folder / "S5.csv", "Date,AdjClose\n2020-01-02,1,2\n")
    assert "S5.csv' is not a whole CSV file" in refused(folder)
    write(folder / "S5.csv", "Date,Price2\n2020-01-02,1\n")
    assert "(in S5.csv)" in refused(folder)


# Speed


def of_windows(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def with_mark(text: str) -> bytes:
    return b"\xef\xbb\xbf" + text.encode()


def quoted(text: str) -> bytes:
    """Every name and date in quotes."""
    return re.sub(r"(?m)([A-Z][A-Za-z0-9]+|\d{4}-\d\d-\d\d)", r'"\1"', text).encode()


def packed(text: str) -> bytes:
    return gzip.compress(text.encode(), 1)


WRITTEN = {
    "plain": str.encode,
    "crlf": of_windows,
    "mark": with_mark,
    "quoted": quoted,
    "gz": packed,
}
TIMES_ONE_FILE = 3.0


@pytest.mark.slow
@pytest.mark.parametrize("as_bytes", [str.encode, packed], ids=["plain", "gz"])
def test_a_folder_of_2763_files_beside_one(
    tmp_path: Path, as_bytes: Callable[[str], bytes]
) -> None:
    rng = np.random.default_rng(0)
    days = [f"{day:%Y-%m-%d}" for day in pd.bdate_range("2005-01-01", periods=1500)]
    folder = tmp_path / "folder"
    folder.mkdir()
    parts = []
    for k in range(2763):
        closes = (100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(days))))).round(2)
        rows = [f"{day},{close}\n" for day, close in zip(days, closes, strict=True)]
        (folder / f"S{k:04d}.csv").write_bytes(as_bytes("Date,AdjClose\n" + "".join(rows)))
        parts.append("".join(f"S{k:04d},{row}" for row in rows))
    one = tmp_path / "one.csv"
    one.write_bytes(as_bytes("Ticker,Date,AdjClose\n" + "".join(parts)))
    del parts
    ratios = []
    for _ in range(3):
        started = process_time()
        whole = load(one)
        middle = process_time()
        many = load(folder)
        ratios.append((process_time() - middle) / (middle - started))
    pd.testing.assert_frame_equal(many.get("close"), whole.get("close"))
    assert median(ratios) < TIMES_ONE_FILE, ratios


@pytest.mark.parametrize("as_bytes", WRITTEN.values(), ids=WRITTEN)
def test_small_files_are_read_together_however_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_bytes: Callable[[str], bytes]
) -> None:
    alone: list[str] = []
    with_said = files_module._with_said

    def counted(table: Opened, part: files_module.Part, *further: Any) -> pa.Table:
        alone.append(part.path)
        return with_said(table, part, *further)

    monkeypatch.setattr(files_module, "_with_said", counted)
    for k in range(6):
        rows = "".join(f"{day:%Y-%m-%d},{100 + k + row}\n" for row, day in enumerate(DAYS))
        (tmp_path / f"S{k}.csv").write_bytes(as_bytes("Date,AdjClose\n" + rows))
    market = load(tmp_path)
    assert alone == []
    np.testing.assert_array_equal(market.get("close").iloc[0], 100.0 + np.arange(6))


ODD = {
    "a break of the line in quotes": '2020-01-02,10,"a\nb"\n2020-01-03,11,c\n',
    "blank lines": "2020-01-02,10,a\n\n2020-01-03,11,b\n\n\n",
    "blank lines of Windows": "2020-01-02,10,a\r\n\r\n2020-01-03,11,b\r\n",
    "lines as on old Macs, and a blank one": "2020-01-02,10,a\r2020-01-03,11,b\n \n",
    "a quote within": '2020-01-02,10,"a ""b"""\n2020-01-03,11,c\n',
    "no end of the last line": "2020-01-02,10,a\n2020-01-03,11,b",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_an_odd_file_among_small_ones_gives_what_it_gives_alone(tmp_path: Path, odd: str) -> None:
    header = "Date,AdjClose,Word\n"
    plain = "2020-01-02,20,x\n2020-01-03,21,y\n"
    for name in ("A", "C", "D", "E"):
        (tmp_path / f"{name}.csv").write_bytes((header + plain).encode())
    (tmp_path / "B.csv").write_bytes((header + odd).encode())
    closes = load(tmp_path).get("close")
    assert list(closes.columns) == ["A", "B", "C", "D", "E"]
    np.testing.assert_array_equal(closes.to_numpy(), [[20, 10, 20, 20, 20], [21, 11, 21, 21, 21]])


def test_the_time_of_a_day_in_excel(tmp_path: Path) -> None:
    path = with_dates(tmp_path / "f.csv", ["42766.395833", "42766.5"])
    dates = [str(date) for date in load(path).dates]
    assert dates == [str(datetime(2017, 1, 31, 9, 30)), str(datetime(2017, 1, 31, 12))]


def test_a_column_that_no_spec_names_is_one_override_away(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    rows = long().assign(book=1.0, sector="x")
    rows.to_csv(path, index=False)
    market = load(path)
    assert set(market.fields) == {"close"}
    with pytest.raises(DataError) as error:
        Expression("rank(book, sector)")(market)
    of_field, of_label = error.value.mistakes
    assert of_field == (
        "book is a column of the data that is not read; data.columns.book=book reads it"
    )
    assert "data.groups.sector=sector reads the column" in of_label
    with pytest.raises(DataError, match=r"data\.columns\.book=book reads it"):
        market.get("book")
    both = load(path, columns={**DEFAULT, "book": "book"}, groups={"sector": "sector"})
    assert Expression("rank(book, sector)")(both).shape == (len(DAYS), len(NAMES))


@pytest.mark.parametrize(
    "text",
    [
        "Date,Ticker,AdjClose\n2020-01-01,A,1.0,9\n2020-01-02,A,1.1\n2020-01-03,A,1.2\n",
        "Date,Ticker,AdjClose\n2020-01-01,A,1.0,9\n2020-01-02,A,1.1,8\n2020-01-03,A,1.2,7\n",
    ],
    ids=["the first row", "every row"],
)
def test_rows_longer_than_their_header_are_called_so(tmp_path: Path, text: str) -> None:
    line = refused(write(tmp_path / "f.csv", text))
    assert line.endswith(
        "names 3 columns in line 1 and has 4 in line 2; allowed: as many in every line"
    )


def test_dates_in_columns_of_years_and_months(tmp_path: Path) -> None:
    months = pd.date_range("2015-01-31", periods=24, freq="ME")
    returns = np.random.default_rng(0).normal(0.0, 0.05, 24).round(6)
    table = pd.DataFrame({"month": months.month, "Year": months.year, "id": "A", "ret": returns})
    named = table.assign(month=months.strftime("%b"))
    for number, content in enumerate([table, named, table.astype({"month": float})]):
        path = tmp_path / f"{number}.csv"
        content.to_csv(path, index=False)
        market = File(str(path), {"date": "Date", "asset": "Ticker", "ret": "ret"}).load()
        assert market.dates.equals(months.rename("date"))
        np.testing.assert_array_equal(market.get("ret")["A"], returns)
        assert "Dates stand in the columns Year, month." in market.notes


@pytest.mark.parametrize("suffix", ["csv", "parquet", "xlsx"])
def test_dates_in_columns_of_years_months_and_days(tmp_path: Path, suffix: str) -> None:
    days = pd.bdate_range("2015-01-28", periods=30)
    returns = np.random.default_rng(0).normal(0.0, 0.05, 30).round(6)
    parts = {"year": days.year, "month": days.month, "day": days.day}
    table = pd.DataFrame({"id": "A", **parts, "ret": returns})
    path = tmp_path / f"t.{suffix}"
    if suffix == "csv":
        table.to_csv(path, index=False)
    elif suffix == "parquet":
        table.to_parquet(path)
    else:
        table.to_excel(path, index=False)
    columns = {"date": "Date", "asset": "Ticker", "ret": "ret"}
    market = File(str(path), columns).load()
    assert market.dates.equals(days.rename("date"))
    np.testing.assert_array_equal(market.get("ret")["A"], returns)
    table.assign(month=13).to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(DataError, match="column 'year month day' has '2015-13-28'"):
        File(str(tmp_path / "bad.csv"), columns).load()


def test_years_and_months_beside_dates_are_numbers(tmp_path: Path) -> None:
    days = pd.bdate_range("2015-01-28", periods=30)
    table = pd.DataFrame({"date": days, "id": "A", "ret": 0.01, "year": days.year})
    table.assign(month=days.month).to_csv(tmp_path / "t.csv", index=False)
    columns = {"date": "date", "asset": "id", "ret": "ret", "month": "month"}
    market = File(str(tmp_path / "t.csv"), columns).load()
    assert market.dates.equals(days.rename("date"))
    assert market.get("month")["A"].tolist() == days.month.tolist()


def test_a_database_whose_checksum_looks_like_another_format_is_one(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "d.db"
    with duckdb.connect(str(path)) as connection:
        connection.sql("create table t as select 1 as x")
    data = path.read_bytes()
    path.write_bytes(b'{"JSON":' + data[8:])  # the first eight bytes are a checksum
    with pytest.raises(DataError, match=r"DuckDB (file|database)"):
        open_files("data.path", str(path))
