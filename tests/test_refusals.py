"""Bad inputs as people have them: one line per mistake with what mends it, and what mends it does.

Each case is read by `check` (or run, where only a run can find it) in a folder of its own. Where an
override is named the case applies it, and the same data is then read.
"""

from __future__ import annotations

import gzip
import pickle
import sqlite3
import zipfile
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import call_cli
from hydra.core.override_parser.overrides_parser import OverridesParser

from runner.cli.composition import Composer
from runner.cli.overrides import readable
from runner.data.reading.content import Content as File
from runner.data.reading.content import State
from runner.errors import RunnerError
from runner.experiment.spec import Data, build_data

Content = str | bytes | Callable[[Path], None]
DAYS = pd.bdate_range("2020-01-01", periods=40)
MONTHS = pd.date_range("2015-01-31", periods=48, freq="ME")
RNG = np.random.default_rng(0)
RETURNS = pd.DataFrame(RNG.normal(0.005, 0.03, (48, 3)).round(5), MONTHS, ["AAA", "BBB", "CCC"])
PRICES = pd.DataFrame(
    (100 * np.exp(RNG.normal(0.0, 0.01, (40, 3)).cumsum(axis=0))).round(3),
    DAYS,
    ["AAA", "BBB", "CCC"],
)
FACTORS = pd.DataFrame(
    RNG.normal(0.005, 0.03, (48, 3)).round(5), MONTHS, ["Mkt-RF", "SMB", "HML"]
).assign(RF=0.001)


def wide(table: pd.DataFrame, **options: Any) -> str:
    """Dates x assets as CSV."""
    return table.rename_axis("Date").to_csv(**options)


def rows(table: pd.DataFrame, name: str = "Close") -> pd.DataFrame:
    """A row per date and asset, dates as text."""
    long = table.rename_axis("Date").reset_index().melt("Date", var_name="Ticker", value_name=name)
    return long.assign(Date=long["Date"].dt.strftime("%Y-%m-%d")).sort_values(["Date", "Ticker"])


def long(table: pd.DataFrame, name: str = "Close", **options: Any) -> str:
    """A row per date and asset as CSV."""
    return rows(table, name).to_csv(index=False, **options)


def with_cells(cells: dict[int, Any], column: str = "Close", name: str = "Close") -> str:
    """Prices as CSV, a row per date and asset, with other values in these rows of a column."""
    table = rows(PRICES, name).reset_index(drop=True).astype(object)
    for row, value in cells.items():
        table.loc[row, column] = value
    return table.to_csv(index=False)


def excel(*sheets: str) -> Content:
    """A workbook with the prices on each of these sheets."""

    def write(path: Path) -> None:
        with pd.ExcelWriter(path) as book:
            for sheet in sheets:
                rows(PRICES).to_excel(book, sheet_name=sheet, index=False)

    return write


def database(path: Path) -> None:
    """The prices as table `prices` of a SQLite file."""
    with sqlite3.connect(path) as connection:
        rows(PRICES).to_sql("prices", connection, index=False)
    connection.close()


def zipped(*names: str) -> bytes:
    """A zip archive with the prices under each of these names."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, long(PRICES))
    return buffer.getvalue()


def parquet_cut(path: Path) -> None:
    rows(PRICES).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])


@dataclass(frozen=True)
class Bad:
    """A bad input.

    Attributes:
        files: content by path: text, bytes, or what writes it.
        says: the start of each line of the refusal, in order.
        words: overrides beside data=file.
        mend: overrides that mend it, whose keys the refusal names; none where the file has to
            change.
        path: of the table of assets.
    """

    files: dict[str, Content]
    says: Sequence[str]
    words: Sequence[str] = ()
    mend: Sequence[str] = ()
    path: str = "p.csv"


def own(content: Content, *says: str, words: Sequence[str] = (), mend: Sequence[str] = ()) -> Bad:
    """A bad table of assets."""
    return Bad({"p.csv": content}, says, words, mend)


def beside(
    content: Content,
    *says: str,
    words: Sequence[str] = (),
    mend: Sequence[str] = (),
    role: str = "series",
) -> Bad:
    """A bad table beside good monthly returns."""
    files: dict[str, Content] = {"p.csv": wide(RETURNS), "f.csv": content}
    path = [] if any(".path=" in word for word in words) else [f"data.{role}.f.path=f.csv"]
    return Bad(files, says, ("data.values=ret", *path, *words), mend)


RETURN = "data.columns={close: null, volume: null, ret: ret}"
DAILY = FACTORS.set_axis(pd.bdate_range("2015-02-02", periods=48))
PERCENT = 100.0 * FACTORS
STARTS = FACTORS.set_axis(MONTHS - pd.offsets.MonthBegin())
SOME = range(0, 120, 9)
TWO_DAYS = "Date,Close\n2020-01-02,1\n2020-01-03,2\n"
DAY_FIRST = rows(PRICES.head(8)).assign(
    Date=lambda table: pd.to_datetime(table["Date"]).dt.strftime("%d/%m/%Y")
)

CASES: dict[str, Bad] = {
    # form
    "returns or prices": own(
        wide(10 * RETURNS),
        "data.path: 'p.csv' is wide, 48 dates x 3 assets; its values (median absolute value",
        mend=["data.values=ret"],
    ),
    "turned, an asset twice": own(
        pd.concat([PRICES.T, PRICES.T.iloc[:1]]).rename_axis("Ticker").to_csv(),
        "data.path: 'p.csv' has dates as its columns, and several rows of",
    ),
    "no asset column": own(
        rows(PRICES).rename(columns={"Ticker": "manager"}).to_csv(index=False),
        "data: 80 rows repeat a date and asset with other values, first p on",
        mend=["data.columns.asset=manager"],
    ),
    "factors as assets": own(
        wide(FACTORS), "data.path: 'p.csv' has factors and no assets: 48 dates x 4 series (Mkt-RF,"
    ),
    "two date columns": own(
        rows(PRICES).assign(date1=DAYS[0], date2=DAYS[0]).drop(columns="Date").to_csv(index=False),
        "data.columns: which column of 'p.csv' is the date (data.columns.date=NAME)? It has Ticker,",
    ),
    "two usual date columns": own(
        rows(PRICES).assign(month="2020-01-31").rename(columns={"Date": "caldt"}).to_csv(),
        "data.columns.date: the file has caldt, month; data.columns.date='caldt'",
        mend=["data.columns.date=caldt"],
    ),
    "two price columns": own(
        rows(PRICES, "Adj Close").assign(adj_close=1.0).to_csv(index=False),
        "data.columns.close: the file has Adj Close, adj_close;",
        mend=["data.columns.close='Adj Close'"],
    ),
    "two asset columns": own(
        rows(PRICES).rename(columns={"Ticker": "symbol"}).assign(permno=7).to_csv(index=False),
        "data.columns.asset: the file has symbol, permno;",
        mend=["data.columns.asset=symbol"],
    ),
    "wide with an asset twice": own(
        wide(PRICES.set_axis(["AAA", "BBB", "BBB"], axis=1)),
        "data.path: column 'BBB' is there 2 times (in p.csv); allowed: once",
    ),
    "returns by a name of their own": own(
        long(RETURNS, "fund_return"),
        "data.columns: which column of 'p.csv' is a return (data.columns.ret=fund_return)? It has",
        words=["data.columns.close=null"],
        mend=["data.columns.ret=fund_return"],
    ),
    "wide read as long": own(
        wide(PRICES),
        "data.columns: which columns of 'p.csv' are the asset (data.columns.asset=NAME), a price",
        words=["data.form=long"],
        mend=["data.form=wide"],
    ),
    "long read as wide": own(
        long(PRICES),
        "data.path: column 'Ticker' has 'AAA' in row 1 and 119 more; allowed: a",
        words=["data.form=wide"],
        mend=["data.form=long"],
    ),
    "no price at all": own(
        with_cells(dict.fromkeys(range(120), "")),
        "data: close: no asset-date has a value; data.columns.close=COLUMN reads",
    ),
    "no header": own(
        long(PRICES, header=False),
        "data.path: 'p.csv' has no names of columns, its first line is 2020-01-01,",
    ),
    # files
    "missing": Bad(
        {"prices.csv": long(PRICES)},
        ["data.path: no such file in '.': 'price.csv' is unknown; allowed:"],
        path="price.csv",
        mend=["data.path=prices.csv"],
    ),
    "empty": own("data.path: 'p.csv' is empty", ""),
    "blank": own("\n\n  \n", "data.path: 'p.csv' is empty"),
    "header only": own("Date,Ticker,Close\n", "data.path: 'p.csv' has columns but no row"),
    "empty folder": Bad({"d/.hidden": ""}, ["data.path: the folder 'd' has no file"], path="d"),
    "folder of different columns": Bad(
        {"d/AAA.csv": TWO_DAYS, "d/BBB.csv": TWO_DAYS.replace("Close", "Price")},
        ["data.columns.close: column 'Close' is unknown; allowed: Date, Price, Ticker"],
        path="d",
    ),
    "folder with a readme": Bad(
        {"d/AAA.csv": TWO_DAYS, "d/readme.txt": "These are prices.\n"},
        ["data.path: 'd/readme.txt' is not a table: no line has two columns, it"],
        path="d",
        mend=["data.path=d/*.csv"],
    ),
    "pattern without match": Bad(
        {"a.csv": long(PRICES)},
        ["data.path: no file matches the pattern 'x*.csv'; allowed: a pattern"],
        path="'x*.csv'",
        mend=["data.path='a*.csv'"],
    ),
    "list with a missing": Bad(
        {"a.csv": long(PRICES)},
        ["data.path: no such file in '.': 'b.csv' is unknown; allowed: a.csv; did you"],
        path="[a.csv,b.csv]",
        mend=["data.path=[a.csv]"],
    ),
    "odd name": Bad(
        {"my prices (1)=~.csv": long(PRICES)},
        ["data.path: no such file in '.': 'my prices (1)=.csv' is unknown; allowed:"],
        path="'my prices (1)=.csv'",
        mend=["data.path=my prices (1)=~.csv"],
    ),
    "bytes": own(
        bytes(range(256)) * 8,
        "data.path: 'p.csv' is not a table: neither text nor in a format that is read",
    ),
    "picture": own(
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        "data.path: 'p.csv' is a picture, not a table; allowed: CSV, parquet, Arrow,",
    ),
    "web page": own(
        "<!DOCTYPE html><html><body>Sign in</body></html>\n",
        "data.path: 'p.csv' is a web page, not a table; allowed: CSV, parquet,",
    ),
    "pdf": own(
        b"%PDF-1.7\n" + bytes(100),
        "data.path: 'p.csv' is a PDF file, not a table; allowed: CSV, parquet,",
    ),
    "pickle": own(
        pickle.dumps({"a": 1}),
        "data.path: 'p.csv' is a pickle, which may run any code, not a table;",
    ),
    "json": own(
        '{"a": [1, 2, 3], "b": 4}',
        "data.path: 'p.csv' is JSON, not a table; allowed: CSV, parquet, Arrow,",
    ),
    "gzip cut": own(
        gzip.compress(long(PRICES).encode())[:-30],
        "data.path: 'p.csv' is not a whole gzip file: Compressed file ended before",
    ),
    "zip of two": own(
        zipped("a.csv", "b.csv"),
        "data.path: 'p.csv' is a zip archive of 2 files: a.csv, b.csv; allowed: one,",
    ),
    "parquet cut": own(
        parquet_cut, "data.path: 'p.csv' is not a whole parquet file: Parquet magic bytes not"
    ),
    "two sheets": Bad(
        {"p.xlsx": excel("one", "two")},
        ["data.path: 'p.xlsx' is an Excel file with the sheets one, two;"],
        path="p.xlsx",
        mend=["data.sheet=one"],
    ),
    "unknown sheet": Bad(
        {"p.xlsx": excel("prices")},
        ["data.sheet: 'price' is unknown; allowed: prices; did you mean 'prices'? (in"],
        ["data.sheet=price"],
        path="p.xlsx",
        mend=["data.sheet=prices"],
    ),
    "sheet of text": own(
        long(PRICES),
        "data.sheet: given for a text file; allowed: data.sheet=null",
        words=["data.sheet=one"],
        mend=["data.sheet=null"],
    ),
    "database without query": Bad(
        {"p.db": database},
        ["data.path: 'p.db' is a SQLite database with the tables prices;"],
        path="p.db",
        mend=['data.query="select * from prices"'],
    ),
    "query without row": Bad(
        {"p.db": database},
        ["data.query: gives no row of 'p.db' (columns Date, Ticker, Close)"],
        ['data.query="select * from prices where Close < 0"'],
        path="p.db",
        mend=['data.query="select * from prices"'],
    ),
    "query of no table": Bad(
        {"p.db": database},
        ["data.query: no such table: price; allowed: one SELECT, which reads and does"],
        ['data.query="select * from price"'],
        path="p.db",
    ),
    "query that writes": Bad(
        {"p.db": database},
        ["data.query: not authorized; allowed: one SELECT, which reads and does not"],
        ['data.query="delete from prices"'],
        path="p.db",
    ),
    "query of text": own(
        long(PRICES),
        "data.query: given for a text file; allowed: data.query=null",
        words=['data.query="select * from prices"'],
        mend=["data.query=null"],
    ),
    # text
    "delimiter": own(
        long(PRICES, sep=";"),
        "data.path: 'p.csv' is not a table: no line has two columns, it begins",
        words=["data.delimiter=comma"],
        mend=["data.delimiter=semicolon"],
    ),
    "decimal": own(
        long(PRICES, sep=";", decimal=","),
        "data.columns.close: column 'Close' has '100,32' in row 1 and 119 more;",
        words=["data.decimal=point"],
        mend=["data.decimal=comma"],
    ),
    "two decimal marks": own(
        with_cells({4: "101,5"}),
        "data.path: 'p.csv' has decimal marks of two kinds, '101,5' and '100.32';",
    ),
    "thousands": own(
        with_cells({4: "1,10.15"}),
        "data.columns.close: column 'Close' has '1,10.15' in row 5; allowed: a number",
    ),
    "ragged": own(
        long(PRICES).replace("2020-02-03,AAA", "2020-02-03,AAA,9"),
        "data.path: 'p.csv' is not a whole CSV file: CSV parse error: Row #71:",
    ),
    "text in prices": own(
        with_cells({4: "n/a yet", 9: "closed"}),
        "data.columns.close: column 'Close' has 'n/a yet' in row 5 and 1 more;",
    ),
    "encoding": own(
        long(PRICES.rename(columns={"AAA": "Nestlé"})).encode("latin-1"),
        "data.path: 'p.csv' is not text in utf-8; data.encoding=NAME reads another,",
        words=["data.encoding=utf-8"],
        mend=["data.encoding=cp1252"],
    ),
    "unknown encoding": own(
        long(PRICES),
        "data.encoding: 'utf-88' is unknown; allowed: the name of an encoding, such",
        words=["data.encoding=utf-88"],
        mend=["data.encoding=utf-8"],
    ),
    "column twice": own(
        long(PRICES).replace("Date,Ticker,Close", "Date,Close,Close"),
        "data.columns.close: column 'Close' is there 2 times; allowed: once",
    ),
    "open quote": own(
        long(PRICES).replace("AAA", '"AAA', 1),
        "data.path: 'p.csv' is not a whole CSV file: CSV parse error: Row #2:",
    ),
    # dates
    "day or month": own(
        DAY_FIRST.to_csv(index=False),
        "data.columns.date: column 'Date' can be read in two ways: '02/01/2020' is",
        mend=["data.date_format=%d/%m/%Y"],
    ),
    "date format": own(
        long(PRICES),
        "data.columns.date: column 'Date' has '2020-01-01' in row 1 and 119 more;",
        words=["data.date_format=%d.%m.%Y"],
        mend=["data.date_format=null"],
    ),
    "format in letters": own(
        long(PRICES),
        "data.columns.date: column 'Date' has '2020-01-01' in row 1 and 119 more;",
        words=["data.date_format=yyyy-mm-dd"],
        mend=["data.date_format=null"],
    ),
    "row numbers as dates": own(
        rows(PRICES).assign(Date=range(1, 121)).to_csv(index=False),
        "data.columns.date: column 'Date' has '1' in row 1 and 119 more; allowed: a",
    ),
    "one bad date": own(
        with_cells({5: "2020-02-30"}, "Date"),
        "data.columns.date: column 'Date' has '2020-02-30' in row 6; allowed: a date",
    ),
    "mixed dates": own(
        with_cells({5: "01/15/20", 6: "17.01.2020"}, "Date"),
        "data.columns.date: column 'Date' has '01/15/20' in row 6 and 1 more;",
    ),
    "start behind the end": own(
        long(PRICES),
        "data.start..data.end: 2031-01-01.. holds no row; the data runs",
        words=["data.start=2031-01-01"],
        mend=["data.start=2020-01-31"],
    ),
    "start after end": own(
        long(PRICES),
        "data.start..data.end: 2020-02-01..2020-01-01 holds no row; the data runs",
        words=["data.start=2020-02-01", "data.end=2020-01-01"],
        mend=["data.end=2020-02-20"],
    ),
    "no date": own(
        long(PRICES),
        "data.start: given 'soon'; allowed: a date such as 2021-12-31",
        words=["data.start=soon"],
        mend=["data.start=2020-01-31"],
    ),
    "keys twice": own(
        long(PRICES) + "2020-01-02,AAA,55\n",
        "data: 1 row repeats a date and asset with other values, first AAA on",
    ),
    # values
    "per cent": own(
        long(100 * RETURNS, "ret"),
        "data: ret: 44 of its 144 values (30.6%) are below -1; they may be returns",
        words=[RETURN],
        mend=["data.percent=true"],
    ),
    "zero prices": own(
        with_cells(dict.fromkeys(SOME, 0.0)),
        "data: close: 14 of its 120 values (11.7%) are zero or negative; they may be",
        mend=["data.allow_loss=0.12"],
    ),
    "negative prices": own(
        with_cells(dict.fromkeys(SOME, -5.0)),
        "data: close: 14 of its 120 values (11.7%) are zero or negative; they may be",
        mend=["data.allow_loss=0.12"],
    ),
    "infinite": own(
        with_cells(dict.fromkeys(SOME, "inf")),
        "data: close: 14 of its 120 values (11.7%) are infinite; they may be",
        mend=["data.allow_loss=0.12"],
    ),
    "returns as prices": own(
        long(RETURNS),
        "data: close: 55 of its 144 values (38.2%) are zero or negative; they may be",
        mend=["data.columns.close=null", "data.columns.ret=Close"],
    ),
    "prices as returns": own(
        long(PRICES, "ret"),
        "data: ret: the median absolute return is 97.0, more than doubling each",
        mend=["data.columns.close=ret", "data.columns.ret=null"],
    ),
    "returns below -1": own(
        long(RETURNS.mask(RETURNS > 0.04, -1.5), "ret"),
        "data: ret: 21 of its 144 values (14.6%) are below -1; they may be returns",
        mend=["data.allow_loss=0.15"],
    ),
    # assets
    "unknown asset": own(
        long(PRICES),
        "data.assets: 'BB' is unknown; allowed: AAA, BBB, CCC; did you mean 'BBB'?",
        words=["data.assets=[AAA,BB]"],
        mend=["data.assets=[AAA,BBB]"],
    ),
    "asset twice": own(
        long(PRICES),
        "data.assets: 'AAA' is listed more than once; allowed: once",
        words=["data.assets=[AAA,AAA]"],
        mend=["data.assets=[AAA]"],
    ),
    "no asset": own(
        long(PRICES),
        "data.assets: there is none to model; allowed: at least one asset of the data",
        words=["data.assets=[]"],
        mend=["data.assets=null"],
    ),
    "unknown market": own(
        long(PRICES),
        "data.market: 'CC' is unknown; allowed: AAA, BBB, CCC; did you mean 'CCC'?",
        words=["data.market=CC"],
        mend=["data.market=CCC"],
    ),
    "unknown macro": own(
        long(PRICES),
        "data.macro.vix: 'CC' is unknown; allowed: AAA, BBB, CCC; did you mean 'CCC'?",
        words=["data.macro.vix=CC"],
        mend=["data.macro.vix=CCC"],
    ),
    "unknown group": own(
        long(PRICES),
        "data.groups.sector: column 'Sector' is unknown; allowed: Date, Ticker,",
        words=["data.groups.sector=Sector"],
    ),
    "unknown column": own(
        rows(PRICES).assign(MktCap=1.0).to_csv(index=False),
        "data.columns.size: column 'MktCp' is unknown; allowed: Date, Ticker, Close, MktCap;",
        words=["data.columns.size=MktCp"],
        mend=["data.columns.size=MktCap"],
    ),
    # joined tables
    "factors in per cent": beside(
        wide(PERCENT),
        "data.series.f: the median absolute value of MktRF is 2.07 per row, too large for",
        mend=["data.series.f.percent=true"],
    ),
    "daily factors": beside(
        wide(DAILY), "data.series.f: MktRF, SMB, HML, RF: returns of 48 rows beside 3 rows of the"
    ),
    "starts of months": beside(
        wide(STARTS),
        "data.series.f: the dates of series.f are not those of the assets: assets",
        mend=["data.series.f.stamp=end"],
    ),
    "other years": beside(
        wide(FACTORS.set_axis(MONTHS - pd.offsets.MonthEnd(120))),
        "data.series.f: the dates of series.f are not those of the assets: assets",
    ),
    "levels of other days": beside(
        wide(pd.DataFrame({"cpi": 100.0}, MONTHS - pd.Timedelta(days=9))),
        "data.series.f: the dates of series.f are not those of the assets: assets",
        mend=["data.series.f.on=asof"],
    ),
    "a factor missing": beside(
        wide(FACTORS),
        "data.series.f.columns: column 'UMD' is unknown; allowed: Mkt-RF, SMB, HML,",
        words=["data.series.f.columns=[Mkt-RF,UMD]"],
        mend=["data.series.f.columns=[Mkt-RF]"],
    ),
    "factors without dates": beside(
        FACTORS.to_csv(index=False),
        "data.series.f.date: which column holds the dates? The file has Mkt-RF, SMB,",
    ),
    "factors with two dates": beside(
        FACTORS.assign(date=MONTHS, month=MONTHS).to_csv(index=False),
        "data.series.f.date: which column holds the dates? The file has Mkt-RF, SMB,",
        mend=["data.series.f.date=month"],
    ),
    "factor dates twice": beside(
        wide(pd.concat([FACTORS, 2 * FACTORS.head(2)])),
        "data.series.f: 2 rows repeat a date with other values, first 2015-01-31;",
    ),
    "returns carried": beside(
        wide(FACTORS),
        "data.series.f: MktRF, SMB, HML, RF: joined as of their dates, a return",
        words=["data.series.f.on=asof"],
        mend=["data.series.f.on=equal"],
    ),
    "missing factor file": beside(
        wide(FACTORS),
        "data.series.f.path: no such file in '.': 'g.csv' is unknown; allowed:",
        words=["data.series.f.path=g.csv"],
        mend=["data.series.f.path=f.csv"],
    ),
    "lag in words": beside(
        wide(FACTORS),
        "data.series.f.lag: given 'three'; allowed: a time such as 2y, 6m, 3w or 400d",
        words=["data.series.f.lag=three"],
    ),
    "assets in factors": beside(
        long(RETURNS, "SMB"),
        "data.series.f: 96 rows repeat a date with other values, first 2015-01-31;",
    ),
    "fields of other assets": beside(
        long(RETURNS.set_axis(["X", "Y", "Z"], axis=1), "book"),
        "data.fields.f: none of the assets of the data is in it: assets AAA, BBB,",
        role="fields",
    ),
    "no publication date": beside(
        long(RETURNS, "book"),
        "data.fields.f.available: column 'published' is unknown; allowed: Date,",
        words=["data.fields.f.available=published"],
        role="fields",
    ),
    "labels without assets": beside(
        "sector,x\nA,1\nB,2\n",
        "data.labels.f.asset: which column holds the assets? The file has sector, x;",
        role="labels",
    ),
    "labels of other assets": beside(
        "Ticker,sector\nX,1\nY,2\n",
        "data.labels.f: none of the assets of the data is in 'f.csv': assets AAA,",
        role="labels",
    ),
    # names
    "near a key of data": own(
        long(PRICES),
        "data.colums: 'colums' is unknown; allowed: _target_, allow_loss, assets,",
        words=["data.colums={date: Date}"],
    ),
    "near a column": own(
        long(PRICES),
        "data.columns.clsoe: 'clsoe' is new, and nearly close;",
        words=["data.columns.clsoe=Close"],
    ),
    "near a setting": beside(
        wide(FACTORS),
        "data.series.f.percnt: 'percnt' is unknown; allowed: path, columns, kind,",
        words=["data.series.f.percnt=true"],
    ),
    "near a role": own(
        long(PRICES),
        "data.serie: 'serie' is unknown; allowed: _target_, allow_loss, assets, bar,",
        words=["data.serie.f.path=p.csv"],
    ),
    "number for a name": own(
        long(PRICES),
        "data.columns.close: given 5; allowed: text (YAML reads unquoted ON, NO,",
        words=["data.columns.close=5"],
        mend=["data.columns.close=Close"],
    ),
    "loss": own(
        long(PRICES),
        "data.allow_loss: given 5; allowed: a number from 0 to 1",
        words=["data.allow_loss=5"],
        mend=["data.allow_loss=0.05"],
    ),
    "option": own(
        long(PRICES),
        "data.form: 'tall' is unknown; allowed: long, wide",
        words=["data.form=tall"],
        mend=["data.form=long"],
    ),
}


def write(bad: Bad, folder: Path) -> None:
    """The files of the case."""
    for name, content in bad.files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


# cases that the command line is asked to read, the others by what it calls: composing a spec takes
# most of the time
BY_COMMAND = (
    "returns or prices",
    "missing",
    "odd name",
    "query without row",
    "day or month",
    "zero prices",
    "unknown asset",
    "starts of months",
    "near a key of data",
    "near a column",
    "near a setting",
    "near a role",
    "loss",
)


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    """The default spec with data=file."""
    return Composer().places(["experiment=none", "data=file", "data.path=p.csv"])[0]


def data_with(spec: dict[str, Any], words: Sequence[str]) -> Data:
    """The data of the spec with these overrides: mappings are merged, other values replaced."""
    changed = deepcopy(spec)
    for word in words:
        [override] = OverridesParser.create().parse_overrides([readable(word)])
        *parents, name = override.key_or_group.split(".")
        node = changed
        for parent in parents:
            node = node.setdefault(parent, {})
        value: Any = override.value()
        if isinstance(value, dict) and isinstance(node.get(name), dict):
            node[name] = {**node[name], **value}
        else:
            node[name] = value
    return build_data(changed)


def assert_begins(lines: Sequence[str], says: Sequence[str]) -> None:
    """The refusal has these lines, each of which begins as it should."""
    assert len(lines) == len(says), lines
    for line, start in zip(lines, says, strict=True):
        assert len(line.splitlines()) == 1
        assert line.startswith(start), line


def refused(folder: Path, says: Sequence[str], *words: str) -> list[str]:
    """The lines of the refusal by the command line, which prints nothing else."""
    outcome = call_cli(folder, *words)
    assert outcome.code == 2 and not outcome.out, (outcome.code, outcome.err)
    others = set(outcome.err.splitlines()) - set(outcome.errors)
    assert all(line.startswith("added to the spec: ") for line in others), others
    lines = [line.removeprefix("error: ") for line in outcome.errors]
    assert_begins(lines, says)
    return lines


@pytest.mark.parametrize("name", CASES)
def test_bad_data_are_refused_in_a_line_that_mends_them(
    name: str, spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = CASES[name]
    write(bad, tmp_path)
    words = [f"data.path={bad.path}", *bad.words]
    if name in BY_COMMAND:
        lines = refused(tmp_path, bad.says, "check", "data=file", *words)
    else:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(RunnerError) as caught:
            data_with(spec, words).market()
        lines = list(caught.value.mistakes)
        assert_begins(lines, bad.says)
    monkeypatch.chdir(tmp_path)
    keys = [word.partition("=")[0] for word in bad.mend]
    for key in keys:
        assert any(key in line for line in lines), (key, lines)
    if bad.mend:
        kept = [word for word in words if word.partition("=")[0] not in keys]
        assert len(data_with(spec, [*kept, *bad.mend]).market().dates) > 1


def test_a_file_that_changes_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "p.csv").write_text(long(PRICES))
    sizes = iter(range(100))
    monkeypatch.setattr(File, "state", lambda file: State(next(sizes), 0))
    says = ["data.path: 'p.csv' changed while it was read; allowed: a file that nobody writes to"]
    refused(tmp_path, says, "check", "data=file", "data.path=p.csv")


NO_SERIES = "is unknown; allowed: none; data.series.NAME.path=FILE joins series by date"
RUNS: dict[str, tuple[str, list[str], list[str]]] = {
    "one day": (
        long(PRICES.head(1)),
        ["features.m=lag(ret, 1)"],
        [
            "panel: no observation has a target and every feature on 2020-01-01..2020-01-01: target is"
        ],
    ),
    "one asset by date": (
        long(PRICES[["AAA"]]),
        ["features.m=lag(ret, 1)", "model=fama_macbeth"],
        ["model: no date could be estimated; 2020-01-01, 2020-01-02: 0 rows for 2 terms"],
    ),
    "unknown column": (
        long(PRICES),
        ["features.m=lag(size, 1)"],
        ["features.m: 'size' is unknown; allowed: close, ret"],
    ),
    "no factors": (
        long(PRICES),
        ["features=ff3"],
        [
            "features.MktRF, features.SMB, features.HML: series 'MktRF', 'SMB', 'HML' are unknown; "
            "allowed: none; data.series.NAME.path=FILE joins series by date; "
            "experiment=none features=none features.NAME=EXPRESSION asks for none"
        ],
    ),
    "no risk-free rate": (
        long(PRICES),
        ["features.m=lag(ret, 1)", "target=excess_return"],
        [f"target: series 'RF' {NO_SERIES}"],
    ),
    "unknown group": (
        long(PRICES),
        ["features.m=lag(ret, 1)", "model.by=sector"],
        ["model.by: 'sector' is unknown; allowed: asset, date"],
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_bad_data_of_a_run_are_refused_in_a_line_a_mistake(name: str, tmp_path: Path) -> None:
    content, words, says = RUNS[name]
    (tmp_path / "p.csv").write_text(content)
    base = ["experiment=none", "data=file", "data.path=p.csv", "features=none", "report=tables"]
    refused(tmp_path, says, *base, "target=same_period_return", *words)
    assert not list((tmp_path / "outputs" / "runs").glob("[!.]*"))


def test_what_is_strange_and_allowed_is_said(
    spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dates that have not come, returns too small for per cent: the numbers are used, and said."""
    monkeypatch.chdir(tmp_path)

    def notes(*words: str) -> str:
        return " ".join(data_with(spec, words).market().notes)

    ahead = PRICES.set_axis([*DAYS[:-1], pd.Timestamp("2220-01-01")])
    (tmp_path / "p.csv").write_text(long(ahead))
    assert "1 date lies after today, the last 2220-01-01: wrong, or made up? data.end=" in notes()
    (tmp_path / "p.csv").write_text(long(RETURNS, "ret"))
    said = notes("data.percent=true")
    middle = f"{np.median(np.abs(RETURNS)):.3g}"
    assert f"data.percent=true: the median absolute value of ret in the file is {middle}" in said
    assert "(data.percent=false)" in said
    assert "data.percent" not in notes()
