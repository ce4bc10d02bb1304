"""The file source: whatever the format, the same market; whatever is wrong, one line a mistake."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.data.market import Market
from runner.data.notices import Dropped, Reading
from runner.data.reading import parsing
from runner.data.reading.files import read
from runner.data.rules import admitted
from runner.data.sources.file import File
from runner.data.sources.frame import Frame
from runner.errors import DataError

DATA = Path(__file__).parents[2] / "shared" / "data"
TECH = DATA / "us_tech_etf_daily_2017_2025.parquet"
LARGE = DATA / "us_stocks_daily_2005_2017.parquet"
needs_tech = pytest.mark.skipif(not TECH.is_file(), reason=f"needs {TECH}")
needs_large = pytest.mark.skipif(not LARGE.is_file(), reason=f"needs {LARGE}")

COLUMNS: dict[str, str | None] = {"date": "Date", "asset": "Ticker", "close": "Close"}
WITH_VOLUME = COLUMNS | {"volume": "Volume"}
DAYS = ["2020-01-02", "2020-01-03", "2020-01-06"]
Write = Callable[..., str]


def table(cells: Mapping[str, list[float]] | None = None, days: list[str] = DAYS) -> pd.DataFrame:
    """A row per date and asset, in order of date."""
    cells = cells or {
        "AAA": [10.0, 11.0, 12.5],
        "BBB": [20.0, 19.0, 21.25],
        "MKT": [100.0, 101.0, 99.5],
    }
    rows = [
        {
            "Date": pd.Timestamp(day),
            "Ticker": name,
            "Close": values[t],
            "Volume": 1000 * (t + 1) + k,
        }
        for t, day in enumerate(days)
        for k, (name, values) in enumerate(cells.items())
    ]
    return pd.DataFrame(rows)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def one(frame: pd.DataFrame, name: str = "file.parquet", **options: Any) -> str:
        path = tmp_path / name
        if path.suffix == ".parquet":
            frame.to_parquet(path, **options)
        else:
            frame.to_csv(path, **({"index": False} | options))
        return str(path)

    return one


@pytest.fixture
def text(tmp_path: Path) -> Callable[[str], str]:
    def one(content: str) -> str:
        path = tmp_path / "text.csv"
        path.write_text(content)
        return str(path)

    return one


def let_in(source: File) -> Market:
    """The market of the file as the rules for values let it in, however much they blank."""
    return admitted(source.load(), 1.0)


def refused(source: File) -> list[str]:
    """The lines of the DataError, each of which is one line."""
    with pytest.raises(DataError) as caught:
        source.load()
    lines = list(caught.value.mistakes)
    assert lines and all(line and len(line.splitlines()) == 1 for line in lines), lines
    return lines


def same(one: Market, other: Market) -> None:
    assert list(one.fields) == list(other.fields)
    for name in one.fields:
        pd.testing.assert_frame_equal(one.fields[name], other.fields[name])
    pd.testing.assert_frame_equal(one.series, other.series)
    pd.testing.assert_frame_equal(one.groups, other.groups)
    assert one.dropped == other.dropped
    assert one.fingerprint == other.fingerprint


# What a file gives


def test_wide_frames_of_a_long_file(write: Write) -> None:
    frame = table()
    market = File(write(frame), WITH_VOLUME).load()
    assert market.assets == ["AAA", "BBB", "MKT"]
    assert list(market.dates) == [pd.Timestamp(day) for day in DAYS]
    for row in frame.itertuples():
        assert market.get("close").loc[row.Date, row.Ticker] == row.Close
        assert market.get("volume").loc[row.Date, row.Ticker] == row.Volume
    assert market.market_close is None
    assert market.series.shape == (3, 0)
    assert market.dropped == ()


def test_the_market_knows_what_each_column_was_taken_for(write: Write) -> None:
    frame = table().assign(Sector="tech")
    path = write(frame)
    columns = WITH_VOLUME | {"close": " Close ", "ret": None}
    market = File(path, columns, market="MKT", macro={"b": "BBB"}, groups={"sector": "Sector"})
    assert market.load().readings == (
        Reading(path, "Date", "date", "date"),
        Reading(path, "Ticker", "asset", "asset"),
        Reading(path, "Close", "close", "price"),
        Reading(path, "Volume", "volume", "field"),
        Reading(path, "Sector", "sector", "group"),
        Reading(path, "Close of MKT", "market", "market asset"),
        Reading(path, "Close of BBB", "b", "series"),
    )


def test_columns_of_a_frame_taken_by_their_own_names_are_guessed() -> None:
    frame = table().rename(columns={"Date": "date", "Ticker": "asset", "Close": "close"})
    guessed = Frame().of(frame).load().readings
    assert [reading.name for reading in guessed] == ["date", "asset", "close", "Volume"]
    assert all(reading.guessed for reading in guessed)
    given = Frame(columns={"date": "date", "asset": "asset", "ret": "close"}).of(frame).load()
    assert given.readings[2] == Reading("a DataFrame", "close", "ret", "return", guessed=False)


def test_market_macro_and_assets(write: Write) -> None:
    path = write(table())
    market = File(path, COLUMNS, market="MKT", macro={"level": "BBB", "again": "MKT"}).load()
    assert market.assets == ["AAA"]
    assert market.index_close.tolist() == [100.0, 101.0, 99.5]
    assert market.shared("level").tolist() == [20.0, 19.0, 21.25]
    assert market.shared("again").tolist() == [100.0, 101.0, 99.5]
    assert list(market.series.columns) == ["level", "again"]
    chosen = File(path, COLUMNS, market="MKT", assets=["MKT", "BBB", "AAA"]).load()
    assert chosen.assets == ["MKT", "BBB", "AAA"]
    assert chosen.get("close").iloc[1].tolist() == [101.0, 19.0, 11.0]


@pytest.mark.parametrize("name", ["file.csv", "file.csv.gz", "FILE.CSV"])
def test_every_format_gives_the_same_market(write: Write, name: str) -> None:
    rng = np.random.default_rng(0)
    days = [f"{day:%Y-%m-%d}" for day in pd.bdate_range("2020-01-01", periods=200)]
    cells = {
        asset: list(100 * np.exp(rng.normal(size=200).cumsum() / 50)) for asset in ("B", "A", "MKT")
    }
    frame = table(cells, days).assign(
        Sector=lambda rows: rows["Ticker"].map({"A": "Tech", "B": "Oil, gas"})
    )
    frame.loc[[5, 9, 100], "Close"] = [np.nan, np.inf, -1.0]
    settings: dict[str, Any] = {"market": "MKT", "groups": {"sector": "Sector"}}
    first = let_in(File(write(frame), WITH_VOLUME, **settings))
    other = let_in(File(write(frame, name), WITH_VOLUME, **settings))
    assert {one.reason for one in first.dropped} >= {
        "close is infinite",
        "close is zero or negative",
    }
    pd.testing.assert_series_equal(first.index_close, other.index_close)
    same(first, other)


def test_the_order_of_rows_does_not_matter(write: Write) -> None:
    frame = table()
    shuffled = frame.sample(frac=1.0, random_state=1)
    one = File(write(frame), WITH_VOLUME, market="MKT").load()
    other = File(write(shuffled, "shuffled.parquet"), WITH_VOLUME, market="MKT").load()
    assert other.dates.is_monotonic_increasing
    same(one, other)


def test_the_fingerprint_is_that_of_all_rows_at_once_in_any_layout() -> None:
    cells = np.random.default_rng(0).standard_normal((150, 3))
    cells[[1, 70], 1], cells[140, 2] = [np.nan, -np.nan], -0.0
    dates, names = pd.bdate_range("2020-01-01", periods=150, name="date"), ["A", "B", "C"]
    expected = blake2b(digest_size=16)
    for name, all_cells in (("close", cells), ("series", np.empty((150, 0)))):
        expected.update(repr((name, all_cells.shape, names[: all_cells.shape[1]])).encode())
        expected.update((np.where(np.isnan(all_cells), np.nan, all_cells) + 0.0).tobytes())
    expected.update(dates.as_unit("us").asi8.tobytes())
    expected.update(pd.DataFrame().to_csv().encode())
    for order in ("C", "F"):
        frame = pd.DataFrame(np.array(cells, order=order), dates, names, copy=False)
        assert (
            Market("here", {"close": frame}, pd.DataFrame(index=dates)).fingerprint
            == expected.hexdigest()
        )


def test_the_fingerprint_sees_every_number_date_and_name(write: Write) -> None:
    frame = table()
    digests = {File(write(frame), WITH_VOLUME).load().fingerprint}
    for k, changed in enumerate(
        [
            frame.assign(Close=frame["Close"].where(frame.index != 4, 19.0 + 1e-12)),
            frame.assign(Volume=frame["Volume"].where(frame.index != 8, 0)),
            frame.assign(Date=frame["Date"] + pd.Timedelta(days=1)),
            frame.assign(Ticker=frame["Ticker"].replace("AAA", "AAB")),
        ]
    ):
        digests.add(File(write(changed, f"{k}.parquet"), WITH_VOLUME).load().fingerprint)
    digests.add(
        File(write(frame), WITH_VOLUME, market="AAA", assets=["AAA", "BBB", "MKT"])
        .load()
        .fingerprint
    )
    digests.add(
        File(write(frame), WITH_VOLUME, macro={"a": "AAA"}, assets=["AAA", "BBB", "MKT"])
        .load()
        .fingerprint
    )
    assert len(digests) == 7


def test_the_fingerprint_does_not_depend_on_the_bits_of_a_nan() -> None:
    other_nan = np.frombuffer(np.uint64(0xFFF8000000000001).tobytes(), dtype=float)[0]
    assert math.isnan(other_nan)
    dates = pd.DatetimeIndex(DAYS[:2])
    digests = [
        Market(
            "", {"x": pd.DataFrame({"A": cells}, index=dates)}, pd.DataFrame(index=dates)
        ).fingerprint
        for cells in ([np.nan, 0.0], [other_nan, -0.0], [1.0, 0.0])
    ]
    assert digests[0] == digests[1] != digests[2]


def test_index_levels_are_columns(write: Write) -> None:
    frame = table()
    indexed = write(frame.set_index(["Date", "Ticker"]), "indexed.parquet")
    same(File(indexed, WITH_VOLUME).load(), File(write(frame), WITH_VOLUME).load())


def test_columns_are_renamed_and_may_be_left_out(write: Write) -> None:
    frame = table().rename(
        columns={"Date": "when", "Ticker": "who", "Close": "asset", "Volume": "date"}
    )
    columns: dict[str, str | None] = {
        "date": "when",
        "asset": "who",
        "close": "asset",
        "shares": "date",
    }
    market = File(write(frame), columns).load()
    assert sorted(market.fields) == ["close", "shares"]
    assert market.get("shares")["BBB"].tolist() == [1001.0, 2001.0, 3001.0]
    less = File(write(frame, "less.parquet"), columns | {"shares": None}).load()
    assert list(less.fields) == ["close"]


def test_one_column_may_have_two_names(write: Write) -> None:
    for name in ("file.parquet", "file.csv"):
        path = write(table(), name)
        market = File(path, COLUMNS | {"level": "Close"}, groups={"name": "Ticker"}).load()
        assert market.get("level").equals(market.get("close"))
        assert market.groups["name"].tolist() == market.assets


def test_returns_in_place_of_prices(write: Write) -> None:
    frame = table({"AAA": [0.1, -0.2, np.nan], "BBB": [0.0, 0.5, -1.0]}).rename(
        columns={"Close": "Ret"}
    )
    columns: dict[str, str | None] = {"date": "Date", "asset": "Ticker", "ret": "Ret"}
    market = File(write(frame), columns).load()
    expected = [[0.1, 0.0], [-0.2, 0.5], [np.nan, -1.0]]
    np.testing.assert_array_equal(market.returns().to_numpy(), expected)
    assert market.dropped == ()


def test_a_market_asset_and_series_of_returns_alone(write: Write) -> None:
    returns = {"AAA": [0.1, -0.2, 0.3], "MKT": [0.0, np.nan, -0.1], "RF": [0.01, 0.02, 0.03]}
    frame = table(returns).rename(columns={"Close": "Ret"})
    columns: dict[str, str | None] = {"date": "Date", "asset": "Ticker", "ret": "Ret"}
    market = File(write(frame), columns, market="MKT", macro={"RF": "RF"}).load()
    assert list(market.dates) == [pd.Timestamp(DAYS[0]), pd.Timestamp(DAYS[2])]
    assert market.market_close is None and market.index_returns.tolist() == [0.0, -0.1]
    assert market.shared("RF").tolist() == [0.01, 0.03]
    with pytest.raises(DataError, match="the market asset has returns and no price"):
        _ = market.index_close


def test_returns_in_per_cent(write: Write) -> None:
    frame = table({"AAA": [1.5, -2.25, 3.0], "RF": [0.25, 0.5, 0.75]})
    frame = frame.rename(columns={"Close": "Ret"})
    columns: dict[str, str | None] = {"date": "Date", "asset": "Ticker", "ret": "Ret"}
    market = File(write(frame), columns, macro={"RF": "RF"}, percent=True).load()
    assert market.get("ret")["AAA"].tolist() == [0.015, -0.0225, 0.03]
    assert market.shared("RF").tolist() == [0.0025, 0.005, 0.0075]
    assert refused(File(write(table()), COLUMNS, percent=True)) == [
        "data.percent: given without returns; allowed: with data.columns.ret"
    ]
    both = COLUMNS | {"ret": "Close"}
    assert refused(File(write(table()), both)) == [
        "data.columns.close: 'Close' is data.columns.ret too; allowed: a price; of returns alone "
        "data.columns.close=null"
    ]


def test_without_a_price_the_usual_column_of_returns_is_read(write: Write) -> None:
    frame = table().rename(columns={"Close": "Ret"})
    frame["Ret"] /= 1000.0
    columns = {"date": "Date", "asset": "Ticker", "close": None, "volume": "Volume"}
    market = File(write(frame), columns).load()
    assert market.get("ret")["AAA"].tolist() == [0.010, 0.011, 0.0125]


@pytest.mark.parametrize("kind", ["category", "large_string", "dictionary", "object"])
@pytest.mark.parametrize("name", ["float32", "float64", "decimal", "text"])
def test_kinds_of_columns(tmp_path: Path, kind: str, name: str) -> None:
    frame = table().assign(Sector=lambda rows: rows["Ticker"].map({"AAA": "X", "BBB": "Y"}))
    names = {
        "category": "category",
        "large_string": "str",
        "dictionary": "str",
        "object": "object",
    }[kind]
    whole = pa.Table.from_pandas(
        frame.astype({"Ticker": names, "Sector": names}), preserve_index=False
    )
    types = {
        "float32": pa.float32(),
        "float64": pa.float64(),
        "decimal": pa.decimal128(12, 4),
        "text": pa.string(),
    }
    for column, type_ in {"Close": types[name]}.items():
        at = whole.schema.get_field_index(column)
        whole = whole.set_column(at, column, whole[column].cast(type_))
    if kind in ("large_string", "dictionary"):
        for column in ("Ticker", "Sector"):
            type_ = (
                pa.large_string()
                if kind == "large_string"
                else pa.dictionary(pa.int8(), pa.large_string())
            )
            whole = whole.set_column(
                whole.schema.get_field_index(column), column, whole[column].cast(type_)
            )
    path = tmp_path / "kinds.parquet"
    pq.write_table(whole, path, row_group_size=2)  # each group with its own dictionary
    market = File(str(path), WITH_VOLUME, groups={"sector": "Sector"}).load()
    assert market.get("close").dtypes.unique().tolist() == [np.dtype(float)]
    assert market.get("close")["BBB"].tolist() == [20.0, 19.0, 21.25]
    assert market.groups["sector"].to_dict() == {"AAA": "X", "BBB": "Y", "MKT": "unknown"}


def test_unused_categories_are_not_assets(write: Write) -> None:
    frame = table().astype({"Ticker": "category"})
    path = write(frame[frame["Ticker"] != "BBB"])
    assert File(path, COLUMNS).load().assets == ["AAA", "MKT"]
    assert "'BBB' is unknown" in refused(File(path, COLUMNS, assets=["BBB"]))[0]


def test_numbers_as_assets_are_text(write: Write) -> None:
    """PERMNO; a gap in the column makes the numbers floats in some files."""
    frame = table().assign(
        Ticker=lambda rows: rows["Ticker"].map({"AAA": 10107, "BBB": 14593, "MKT": 5})
    )
    assert File(write(frame), COLUMNS).load().assets == ["10107", "14593", "5"]
    gap = frame.assign(Ticker=frame["Ticker"].astype(float).where(frame.index != 0))
    market = File(write(gap, "gap.parquet"), COLUMNS).load()
    assert market.assets == ["10107", "14593", "5"]
    assert market.dropped == (Dropped("source row", "no date or no asset", 1),)


def test_tickers_that_look_like_something_else_survive_in_csv(text: Callable[[str], str]) -> None:
    names = ["NA", "NAN", "TRUE", "0700", "1E5", "ON", "null", "None", "nan", "^VIX", "BRK-B"]
    path = text(
        "Date,Ticker,Close\n"
        + "".join(f"2020-01-02,{name},{k + 1}\n" for k, name in enumerate(names))
    )
    market = File(path, COLUMNS, assets=names).load()
    assert market.assets == names
    assert market.get("close").iloc[0].tolist() == [k + 1.0 for k in range(len(names))]
    assert market.dropped == ()


def test_cells_of_csv_that_say_there_is_nothing(text: Callable[[str], str]) -> None:
    rows = ["", "NA", "NaN", "null", "N/A", ".", "None", "5"]
    path = text(
        "Date,Ticker,Close,Sector\n"
        + "".join(f"2020-01-02,T{k},{v},{v}\n" for k, v in enumerate(rows))
    )
    market = File(path, COLUMNS, groups={"sector": "Sector"}).load()
    assert np.isnan(market.get("close").iloc[0].tolist()).tolist() == [True] * 7 + [False]
    assert market.groups["sector"].tolist() == ["unknown"] * 7 + ["5"]


# Groups


def test_groups_of_unknown_and_conflicting_assets(write: Write) -> None:
    frame = table().assign(Sector=["Tech", None, "X", None, None, "X", "Tech", None, "Y"], Size=1)
    path = write(frame)
    market = File(
        path, COLUMNS, groups={"sector": "Sector", "size": "Size"}, assets=["BBB", "AAA"]
    ).load()
    assert market.groups["sector"].to_dict() == {"BBB": "unknown", "AAA": "Tech"}
    assert market.groups["size"].tolist() == ["1", "1"]
    assert list(market.groups.columns) == ["sector", "size"]
    changing = File(path, COLUMNS, groups={"sector": "Sector"}).load()
    assert list(changing.groups.columns) == []
    labels = changing.labels["sector"]
    of_date = np.array(labels.values)[labels.codes]
    assert dict(zip(changing.assets, of_date.T.tolist(), strict=True)) == {
        "AAA": ["Tech", "unknown", "Tech"],
        "BBB": ["unknown", "unknown", "unknown"],
        "MKT": ["X", "X", "Y"],
    }
    assert changing.notes == ("sector changes for 1 of 3 assets: labels are those of the date.",)
    lacking = Dropped("source value", "sector has no label on the date: unknown", 4)
    assert lacking in changing.dropped


def test_groups_without_any_value(write: Write) -> None:
    market = File(write(table().assign(Sector=None)), COLUMNS, groups={"sector": "Sector"}).load()
    assert market.groups["sector"].tolist() == ["unknown"] * 3


def test_a_group_may_not_take_the_name_of_a_field(write: Write) -> None:
    path = write(table())
    for name in ("date", "close"):
        assert refused(File(path, COLUMNS, groups={name: "Volume"})) == [
            f"data.groups.{name}: also in data.columns; allowed: another name"
        ]


# Calendar and range


def test_the_calendar_is_that_of_the_market_asset(write: Write) -> None:
    frame = table(
        {
            "AAA": [1.0, 2.0, 3.0],
            "MAC": [5.0, 6.0, 7.0],
            "MKT": [1.0, np.nan, 3.0],
            "ZZZ": [9.0, 9.0, 9.0],
        }
    )
    path = write(frame)
    market = File(path, COLUMNS, market="MKT", macro={"level": "MAC"}, assets=["AAA"]).load()
    assert list(market.dates) == [pd.Timestamp(DAYS[0]), pd.Timestamp(DAYS[2])]
    assert market.returns()["AAA"].iloc[1] == 2.0  # from 1 to 3: nothing is padded
    # AAA, MAC and MKT on the second day; ZZZ is not in use
    assert market.dropped == (Dropped("source row", "date on which MKT did not trade", 3),)


def test_without_market_asset_the_assets_are_the_calendar(write: Write) -> None:
    frame = table({"AAA": [1.0, np.nan, 3.0], "MAC": [5.0, 6.0, 7.0]})
    frame = pd.concat(
        [frame, pd.DataFrame([{"Date": pd.Timestamp("2020-01-04"), "Ticker": "MAC", "Close": 8.0}])]
    )
    market = File(write(frame), COLUMNS, macro={"level": "MAC"}).load()
    assert list(market.dates) == [pd.Timestamp(day) for day in DAYS]
    assert market.shared("level").tolist() == [5.0, 6.0, 7.0]
    assert market.dropped == (Dropped("source row", "date on which the assets did not trade", 1),)


def test_a_price_of_the_market_asset_that_a_rule_blanks_keeps_its_date(write: Write) -> None:
    path = write(table({"AAA": [1.0, 2.0, 3.0], "MKT": [5.0, -6.0, 7.0]}))
    market = let_in(File(path, COLUMNS, market="MKT"))
    assert [f"{day:%Y-%m-%d}" for day in market.dates] == DAYS
    assert market.index_close.isna().tolist() == [False, True, False]
    assert market.dropped == (Dropped("source value", "close of MKT is zero or negative", 1),)


def test_an_index_without_returns_keeps_those_of_its_price(write: Write) -> None:
    frame = table().assign(Ret=[0.1, 0.2, np.nan] * 3)
    market = File(write(frame), COLUMNS | {"ret": "Ret"}, market="MKT").load()
    assert market.market_ret is None
    assert market.index_returns.tolist()[1:] == [101.0 / 100.0 - 1.0, 99.5 / 101.0 - 1.0]
    assert market.returns()["AAA"].tolist() == [0.1] * 3


@needs_tech
def test_the_date_on_which_only_the_dollar_index_trades() -> None:
    columns: dict[str, str | None] = {
        "date": "Date",
        "asset": "Ticker",
        "close": "AdjClose",
        "volume": "Volume",
    }
    settings: dict[str, Any] = {"market": "SPY", "macro": {"vix": "^VIX", "dxy": "DX-Y.NYB"}}
    market = File(str(TECH), columns, assets=["AAPL"], **settings).load()
    assert pd.Timestamp("2025-01-09") not in market.dates
    assert market.dropped == (Dropped("source row", "date on which SPY did not trade", 1),)
    assert (
        len(market.dates) == 2103 and market.returns().notna().to_numpy().sum() == 2102
    )  # n of the CAPM in spec S1
    raw = pd.read_parquet(TECH)["AdjClose"].unstack().loc[lambda rows: rows["SPY"].notna()]
    np.testing.assert_array_equal(market.get("close")["AAPL"], raw["AAPL"])
    np.testing.assert_array_equal(market.shared("vix"), raw["^VIX"])
    np.testing.assert_array_equal(market.index_close, raw["SPY"])
    before = File(str(TECH), columns, assets=["AAPL"], end="2024-12-31", **settings).load()
    assert before.dropped == ()  # nothing was dropped from the range asked for


@pytest.mark.parametrize(
    ("start", "end", "rows"),
    [
        (None, None, [0, 1, 2]),
        ("2020-01-03", None, [1, 2]),
        (None, "2020-01-03", [0, 1]),
        ("2020-01-03", "2020-01-03", [1]),
        ("2020-01-04", "2020-01-06", [2]),
        ("1990-01-01", "2030-01-01", [0, 1, 2]),
    ],
)
def test_start_and_end_are_included(
    write: Write, start: str | None, end: str | None, rows: list[int]
) -> None:
    market = File(write(table()), COLUMNS, market="MKT", start=start, end=end).load()
    assert list(market.dates) == [pd.Timestamp(DAYS[row]) for row in rows]
    assert len(market.index_close) == len(market.get("close")) == len(rows)


def test_what_lies_outside_the_range_or_the_assets_is_not_counted(write: Write) -> None:
    frame = table({"AAA": [-1.0, 2.0, 3.0], "BBB": [1.0, -1.0, 1.0]}).assign(Sector=list("XYZYXY"))
    market = let_in(
        File(write(frame), COLUMNS, groups={"s": "Sector"}, assets=["BBB"], start=DAYS[1])
    )
    assert market.dropped == (Dropped("source value", "close is zero or negative", 1),)
    again = File(write(frame), COLUMNS, assets=["AAA"], start=DAYS[1]).load()
    assert again.dropped == ()


def test_an_empty_range(write: Write) -> None:
    for start, end in (
        ("2021-01-01", None),
        ("2020-01-06", "2020-01-02"),
        ("2020-01-04", "2020-01-05"),
    ):
        (line,) = refused(File(write(table()), COLUMNS, start=start, end=end))
        assert (
            line
            == f"data.start..data.end: {start}..{end or ''} holds no row; the data runs 2020-01-02..2020-01-06"
        )


def test_a_range_in_which_the_market_asset_does_not_trade(write: Write) -> None:
    path = write(table({"AAA": [1.0, 2.0, 3.0], "MKT": [1.0, np.nan, np.nan]}))
    assert refused(File(path, COLUMNS, market="MKT", start=DAYS[1])) == [
        "data.market: MKT has no price on the dates from data.start to data.end"
    ]
    frame = table().loc[lambda rows: (rows["Ticker"] != "AAA") | (rows["Date"] == DAYS[0])]
    assert refused(File(write(frame, "b.parquet"), COLUMNS, assets=["AAA"], start=DAYS[1])) == [
        "data.assets: no row of theirs on the dates from data.start to data.end"
    ]


def test_an_asset_or_series_without_rows_on_the_calendar_is_missing_not_an_error(
    write: Write,
) -> None:
    frame = table().loc[lambda rows: (rows["Ticker"] == "MKT") == (rows["Date"] != DAYS[0])]
    market = File(
        write(frame), COLUMNS, market="MKT", macro={"b": "BBB"}, assets=["AAA", "MKT"]
    ).load()
    assert list(market.dates) == [pd.Timestamp(day) for day in DAYS[1:]]
    assert market.get("close")["AAA"].isna().all()
    # the value of the first day, which is not on the calendar, counts on the next that is
    assert market.shared("b").iloc[0] == 20.0 and market.shared("b").isna().sum() == 1


def test_the_last_day_is_whole_where_there_are_minutes(write: Write) -> None:
    stamps = [
        "2020-01-02 09:30",
        "2020-01-02 16:00",
        "2020-01-03 09:30",
        "2020-01-03 23:59:59",
        "2020-01-04 00:00",
    ]
    path = write(table({"AAA": [1.0, 2.0, 3.0, 4.0, 5.0]}, stamps))
    for end, rows in {
        "2020-01-02": 2,
        "2020-01-03": 4,
        "2020-01-03T09:30": 3,
        "2020-01-03 09:29": 2,
    }.items():
        assert len(File(path, COLUMNS, end=end).load().dates) == rows, end
    assert len(File(path, COLUMNS, start="2020-01-03").load().dates) == 3


# Values and rows that cannot be used


def test_values_that_are_no_prices_are_missing_and_counted(write: Write) -> None:
    cells = {"AAA": [np.nan, np.inf, 1.0], "BBB": [0.0, -3.0, -np.inf], "CCC": [1.0, 1.0, 1.0]}
    frame = table(cells).assign(Volume=lambda rows: rows["Volume"].astype(float))
    frame.loc[0, "Volume"], frame.loc[1, "Volume"], frame.loc[2, "Volume"] = np.inf, 0.0, -5.0
    for name in ("file.parquet", "file.csv"):
        market = let_in(File(write(frame, name), WITH_VOLUME))
        assert market.get("close")["AAA"].isna().tolist() == [True, True, False]
        assert market.get("close")["BBB"].isna().all()
        assert market.get("volume").iloc[0].tolist()[1:] == [0.0, -5.0]
        assert market.dropped == (
            Dropped("source value", "close is infinite", 2),
            Dropped("source value", "close is zero or negative", 2),
            Dropped("source value", "volume is infinite", 1),
        )


def test_rows_that_repeat_another_whole_are_counted(write: Write) -> None:
    frame = table({"AAA": [1.0, np.nan, 3.0], "MKT": [1.0, 2.0, 3.0]})
    twice = pd.concat([frame, frame.iloc[[0, 2, 2]]])  # the row without price, three times
    one = File(write(frame), WITH_VOLUME, market="MKT").load()
    other = File(write(twice, "twice.parquet"), WITH_VOLUME, market="MKT").load()
    assert other.dropped == (Dropped("source row", "repeats another row", 3),)
    assert one.fingerprint == other.fingerprint
    part = File(write(twice, "twice.parquet"), WITH_VOLUME, market="MKT", start=DAYS[1]).load()
    assert part.dropped == (Dropped("source row", "repeats another row", 2),)


def test_rows_that_contradict_each_other_are_refused(write: Write) -> None:
    frame = table()
    other = frame.iloc[[4, 7, 4]].assign(
        Close=[1.0, 2.0, 19.0]
    )  # two contradict, the last one only repeats
    path = write(pd.concat([frame, other]))
    assert refused(File(path, COLUMNS)) == [
        "data: 2 rows repeat a date and asset with other values, first BBB on 2020-01-03; allowed: "
        "one row per date and asset; data.where.COLUMN=TEXT where another tells them apart (Volume)"
    ]
    assert File(path, COLUMNS, assets=["AAA"], market="MKT").load().assets == [
        "AAA"
    ]  # BBB is not in use
    stamps = table({"AAA": [1.0, 2.0]}, ["2020-01-02 09:30", "2020-01-02 09:30"])
    assert (
        "first AAA on 2020-01-02 09:30:00;" in refused(File(write(stamps, "m.parquet"), COLUMNS))[0]
    )
    groups = table().assign(Sector="X")
    groups = pd.concat([groups, groups.iloc[[0]].assign(Sector="Y")])
    assert (
        "first AAA on"
        in refused(File(write(groups, "g.parquet"), COLUMNS, groups={"s": "Sector"}))[0]
    )
    assert File(write(groups, "g.parquet"), COLUMNS).load().dropped == (
        Dropped("source row", "repeats another row", 1),
    )


def test_rows_without_date_or_asset_are_counted(write: Write) -> None:
    frame = table()
    frame.loc[0, "Date"] = pd.NaT
    frame.loc[4, "Ticker"] = None
    for name in ("file.parquet", "file.csv"):
        market = File(write(frame, name), COLUMNS).load()
        assert market.dropped == (Dropped("source row", "no date or no asset", 2),)
        assert market.get("close").isna().to_numpy().sum() == 2


# Dates


def dates_of(path: str) -> list[str]:
    return [str(one) for one in File(path, COLUMNS).load().dates]


MIDNIGHTS = [f"{day} 00:00:00" for day in DAYS]


@pytest.mark.parametrize(
    "days",
    [
        DAYS,
        ["20200102", "20200103", "20200106"],
        ["2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z", "2020-01-06T00:00:00Z"],
        ["2020-01-02 00:00:00-05:00", "2020-01-03 00:00:00-05:00", "2020-01-06 00:00:00-0500"],
        ["2020-01-02 00:00:00+00", "2020-01-03 00:00 UTC", "2020-01-06T00:00:00.000+0100"],
        ["2020-1-2", " 2020-01-03", "20200106"],
    ],
)
def test_dates_as_text(write: Write, days: list[str]) -> None:
    frame = table().assign(Date=[day for day in days for _ in range(3)])
    assert dates_of(write(frame)) == MIDNIGHTS
    assert dates_of(write(frame, "file.csv")) == MIDNIGHTS


@pytest.mark.parametrize("kind", ["int64", "int32", "float64", "Int64"])
def test_dates_as_whole_numbers(write: Write, kind: str) -> None:
    frame = table().assign(
        Date=lambda rows: rows["Date"].dt.strftime("%Y%m%d").astype("int64").astype(kind)
    )
    assert dates_of(write(frame)) == MIDNIGHTS
    assert dates_of(write(frame, "file.csv")) == MIDNIGHTS


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_dates_of_every_unit_give_one_index(write: Write, unit: str) -> None:
    market = File(
        write(table().assign(Date=lambda rows: rows["Date"].dt.as_unit(unit))), WITH_VOLUME
    ).load()
    same(market, File(write(table(), "file.csv"), WITH_VOLUME).load())


def test_dates_without_time(write: Write) -> None:
    assert dates_of(write(table().assign(Date=lambda rows: rows["Date"].dt.date))) == MIDNIGHTS


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
def test_a_zoned_stamp_keeps_its_local_date(write: Write, zone: str) -> None:
    """Over the change to summer time, in New York on 2020-03-08."""
    days = ["2020-03-06", "2020-03-09", "2020-03-10"]
    frame = table(days=days).assign(Date=lambda rows: rows["Date"].dt.tz_localize(zone))
    expected = [f"{day} 00:00:00" for day in days]
    assert dates_of(write(frame)) == expected
    path = write(frame, "file.csv")
    if zone == "America/New_York":
        assert {"-05:00", "-04:00"} == {
            line.split(",")[0][-6:] for line in Path(path).read_text().split()[2:] if ":" in line
        }
    assert dates_of(path) == expected


@pytest.mark.parametrize(
    "bad",
    ["13/01/2020", "2020-02-30", "soon", "2020", "202001", "today", "2020-01-02X", "1577923200"],
)
def test_bad_dates_are_refused(write: Write, bad: str) -> None:
    frame = table().assign(Date=lambda rows: rows["Date"].dt.strftime("%Y-%m-%d"))
    frame.loc[[3, 5], "Date"] = bad
    for name in ("file.parquet", "file.csv"):
        assert refused(File(write(frame, name), COLUMNS)) == [
            f"data.columns.date: column 'Date' has {bad!r} in row 4 and 1 more; allowed: a date such as 2021-12-31"
        ]


def test_whole_numbers_that_are_no_dates_are_refused(write: Write) -> None:
    for number in (1, 1577923, 20201301, 99999999):
        assert (
            f"has {number} in row 1"
            in refused(File(write(table().assign(Date=number)), COLUMNS))[0]
        )


def test_a_date_before_1677_and_after_2262_is_a_date(write: Write) -> None:
    frame = table(days=["1602-03-20", "2020-01-02", "2999-12-31"])
    assert [one[:10] for one in dates_of(write(frame, "file.csv"))] == [
        "1602-03-20",
        "2020-01-02",
        "2999-12-31",
    ]


# What is refused


def test_a_missing_file_with_the_nearest_name(write: Write, tmp_path: Path) -> None:
    write(table(), "prices.parquet")
    (line,) = refused(File(str(tmp_path / "price.parquet"), COLUMNS))
    assert (
        line.startswith("data.path: no such file in ") and "did you mean 'prices.parquet'?" in line
    )
    (line,) = refused(File(str(tmp_path / "nowhere" / "price.parquet"), COLUMNS))
    assert line == f"data.path: no such file {str(tmp_path / 'nowhere' / 'price.parquet')!r}"


def test_a_directory(tmp_path: Path) -> None:
    for name in ("", "some.parquet"):
        (tmp_path / name).mkdir(exist_ok=True)
        (line,) = refused(File(str(tmp_path / name), COLUMNS))
        assert line == f"data.path: the folder {str(tmp_path / name)!r} has no file"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_parquet_file_cut_short(write: Write, share: float) -> None:
    path = Path(write(table()))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    (line,) = refused(File(str(path), COLUMNS))
    assert line.startswith(f"data.path: {str(path)!r} is not a whole parquet file: ")


def test_a_gzip_file_cut_short_or_damaged(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = table(
        {f"A{k}": list(rng.uniform(1, 2, 300)) for k in range(20)},
        [str(d) for d in pd.bdate_range("2020", periods=300)],
    )
    whole = gzip.compress(frame.to_csv(index=False).encode())
    damaged = bytearray(whole)
    damaged[len(whole) // 2 : len(whole) // 2 + 200] = bytes(200)
    path = tmp_path / "file.csv.gz"
    for content in (
        whole[:-5],
        whole[: len(whole) // 2],
        whole[:5],
        bytes(damaged),
    ):
        path.write_bytes(content)
        (line,) = refused(File(str(path), COLUMNS))
        assert line.startswith(f"data.path: {str(path)!r} is not a whole gzip file: "), content[:10]
    path.write_bytes(b"not gzip at all")
    (line,) = refused(File(str(path), COLUMNS))
    assert "is not a table: no line has two columns, it begins 'not gzip at all'" in line


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_an_empty_csv(text: Callable[[str], str], content: str) -> None:
    path = text(content)
    assert refused(File(path, COLUMNS)) == [f"data.path: {path!r} is empty"]


def test_columns_without_a_row(text: Callable[[str], str], write: Write) -> None:
    for path in (text("Date,Ticker,Close\n"), write(table().iloc[:0])):
        assert refused(File(path, COLUMNS)) == [f"data.path: {path!r} has columns but no row"]


@pytest.mark.parametrize(
    "rows",
    [
        '2020-01-02,"AAA,1.0\n2020-01-03,AAA,2.0\n',  # a quote never closed
        "2020-01-02,AAA\n2020-01-03,AAA,2.0\n",  # a short row
        "2020-01-02,AAA,1.0,7\n2020-01-03,AAA,2.0\n",  # a long row
    ],
)
def test_a_broken_csv(text: Callable[[str], str], rows: str) -> None:
    (line,) = refused(File(text("Date,Ticker,Close\n" + rows), COLUMNS))
    assert "is not a whole CSV file: " in line


def test_a_csv_that_is_not_unicode(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("Date,Ticker,Close\n2020-01-02,Nestlé,1\n".encode("latin-1"))
    market = File(str(path), COLUMNS).load()
    assert market.assets == ["Nestlé"]
    assert market.notes == ("The text is not UTF-8; it is read as cp1252 (data.encoding=cp1252).",)


def test_csv_as_spreadsheets_write_it(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(
        '\ufeffDate,Note,Ticker,Close\r\n2020-01-02,"two\r\nlines",AAA," 1.5 "\r\n'.encode()
    )
    market = File(str(path), COLUMNS).load()
    assert market.get("close").loc["2020-01-02", "AAA"] == 1.5


def test_line_breaks_within_quotes_of_a_large_csv(tmp_path: Path) -> None:
    """Readers cut a file into blocks of a megabyte; a cut may fall into a quote."""
    path = tmp_path / "large.csv"
    note = '"' + "2020-01-02,BBB,x,1\n" * 200 + '"'
    rows = [
        f"{day:%Y-%m-%d},AAA,{note},{k + 1}\n"
        for k, day in enumerate(pd.bdate_range("2020-01-01", periods=1500))
    ]
    path.write_text("Date,Ticker,Note,Close\n" + "".join(rows))
    market = File(str(path), COLUMNS).load()
    assert market.get("close")["AAA"].tolist() == [float(k + 1) for k in range(1500)]
    assert market.assets == ["AAA"]


def test_many_names_in_dictionaries_with_small_codes(tmp_path: Path) -> None:
    """Each part of the file has its own dictionary of 100 names, which fits a byte; all together do not."""
    parts = []
    for k in range(4):
        names = pa.DictionaryArray.from_arrays(
            pa.array(range(100), pa.int8()), [f"T{100 * k + i}" for i in range(100)]
        )
        day = pa.array([datetime(2020, 1, 2)] * 100)
        parts.append(
            pa.table(
                {"Date": day, "Ticker": names, "Close": [100.0 * k + i + 1 for i in range(100)]}
            )
        )
    path = tmp_path / "many.parquet"
    with pq.ParquetWriter(path, parts[0].schema) as writer:
        for part in parts:
            writer.write_table(part)
    market = File(str(path), COLUMNS).load()
    assert len(market.assets) == 400
    assert all(market.get("close")[f"T{i}"].item() == i + 1.0 for i in range(400))


def test_missing_columns_all_at_once_with_the_nearest_name(write: Write) -> None:
    for name in ("file.parquet", "file.csv"):
        path = write(table().rename(columns={"Ticker": "Company", "Close": "close_adj"}), name)
        columns: dict[str, str | None] = {
            "date": "date",
            "asset": "Ticker",
            "close": "Closing_adj",
            "volume": "Volume",
        }
        lines = refused(File(path, columns, groups={"sector": "Sector"}))
        assert [line.split(":")[0] for line in lines] == [
            "data.columns.date",
            "data.columns.asset",
            "data.columns.close",
            "data.groups.sector",
        ]
        assert "did you mean 'Date'?" in lines[0] and f"(in {name})" in lines[0]
        assert "did you mean 'close_adj'?" in lines[2]
        assert "allowed: Date, Company, close_adj, Volume" in lines[1]


def test_a_column_that_is_there_twice(text: Callable[[str], str]) -> None:
    path = text("Date,Ticker,Close,Close\n2020-01-02,AAA,1,2\n")
    assert refused(File(path, COLUMNS)) == [
        "data.columns.close: column 'Close' is there 2 times (in text.csv); allowed: once"
    ]


def test_roles_that_are_needed(write: Write) -> None:
    assert refused(File(write(table()), {"asset": None, "volume": "Volume"})) == [
        "data.columns.date: needed, the column that holds it",
        "data.columns.asset: needed, the column that holds it",
        "data.columns: needs close (a price) or ret (a decimal return)",
    ]


def test_unknown_assets_all_at_once_with_the_nearest_name(write: Write) -> None:
    lines = refused(
        File(
            write(table()), COLUMNS, market="MKTT", macro={"m": "zz"}, assets=["AAB", "BBB", "aaa"]
        )
    )
    assert [line.split(":")[0] for line in lines] == [
        "data.market",
        "data.macro.m",
        "data.assets",
        "data.assets",
    ]
    assert lines[0] == "data.market: 'MKTT' is unknown; allowed: AAA, BBB, MKT; did you mean 'MKT'?"
    assert "did you mean" not in lines[1]
    assert "'aaa' is unknown" in lines[3] and "did you mean 'AAA'?" in lines[3]


def test_assets_listed_twice_or_not_at_all(write: Write) -> None:
    path = write(table())
    assert refused(File(path, COLUMNS, assets=["BBB", "AAA", "BBB", "BBB"])) == [
        "data.assets: 'BBB' is listed more than once; allowed: once"
    ]
    none = ["data.assets: there is none to model; allowed: at least one asset of the data"]
    assert refused(File(path, COLUMNS, assets=[])) == none
    macro = {"a": "AAA", "b": "BBB"}
    assert refused(File(path, COLUMNS, market="MKT", macro=macro)) == none


def test_text_in_columns_of_numbers_is_refused_all_at_once(write: Write) -> None:
    frame = table().astype({"Close": "object", "Volume": "object"})
    frame.loc[4, "Close"], frame.loc[7, "Close"], frame.loc[2, "Volume"] = "1,234,5", "abc", "1_000"
    for name in ("file.parquet", "file.csv"):
        path = write(frame.astype({"Close": "str", "Volume": "str"}), name)
        assert refused(File(path, WITH_VOLUME)) == [
            "data.columns.close: column 'Close' has '1,234,5' in row 5 and 1 more; allowed: a number",
            "data.columns.volume: column 'Volume' has '1_000' in row 3; allowed: a number",
        ]


def test_columns_that_hold_no_numbers_at_all(write: Write) -> None:
    frame = table().assign(flag=True, when=datetime(2020, 1, 1), day=date(2020, 1, 1))
    for column, kind in {"flag": "bool", "when": "timestamp[us]", "day": "date32[day]"}.items():
        assert refused(File(write(frame), COLUMNS | {"extra": column})) == [
            f"data.columns.extra: column {column!r} holds {kind}; allowed: numbers"
        ]


def test_keys_of_a_kind_that_is_no_key(tmp_path: Path) -> None:
    rows = {
        "Close": [1.0],
        "list": [["AAA"]],
        "time": pa.array([0], pa.time32("s")),
        "Ticker": ["AAA"],
    }
    path = tmp_path / "kinds.parquet"
    pq.write_table(pa.table(rows), path)
    lines = refused(File(str(path), {"date": "time", "asset": "list", "close": "Close"}))
    assert lines[0].startswith(
        "data.columns.date: column 'time' has datetime.time(0, 0) in row 1; allowed: a date"
    )
    assert lines[1].startswith("data.columns.asset: column 'list' cannot be read: ")


def test_a_field_without_any_value_is_missing(write: Write) -> None:
    for name in ("file.parquet", "file.csv"):
        market = File(write(table().assign(extra=None), name), COLUMNS | {"extra": "extra"}).load()
        assert market.get("extra").isna().all(axis=None)


# Against pandas, and large


@pytest.mark.parametrize("seed", range(5))
def test_random_files_against_a_pivot(write: Write, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"A{k}" for k in range(7)]
    days = pd.bdate_range("2020-01-01", periods=30)
    frame = pd.DataFrame(
        [(day, name) for day in days for name in names], columns=["Date", "Ticker"]
    )
    frame["Close"] = rng.uniform(1, 9, len(frame))
    frame["Volume"] = rng.integers(1, 1000, len(frame))
    frame = frame.sample(frac=0.6, random_state=seed)
    start, end = str(days[4].date()), str(days[25].date())
    market = File(
        write(frame),
        WITH_VOLUME,
        market="A3",
        macro={"m": "A5"},
        assets=names[:3],
        start=start,
        end=end,
    ).load()
    wide = frame.pivot(index="Date", columns="Ticker", values="Close").loc[start:end]
    on = wide["A3"].notna()
    np.testing.assert_array_equal(market.get("close"), wide.loc[on, names[:3]])
    series, moved = reaching_the_next(wide["A5"].dropna(), wide.index[on])
    np.testing.assert_array_equal(market.shared("m"), series)
    volume = frame.pivot(index="Date", columns="Ticker", values="Volume").loc[start:end]
    np.testing.assert_array_equal(market.get("volume"), volume.loc[on, names[:3]])
    outside = int(wide.loc[~on, [*names[:3], "A5"]].notna().to_numpy().sum())
    lost = Dropped("source row", "date on which A3 did not trade", outside - moved)
    assert market.dropped == (lost,)


def reaching_the_next(series: pd.Series, calendar: pd.DatetimeIndex) -> tuple[pd.Series, int]:
    """Each value on its own date or, off the calendar, on the next one; how many moved.

    Where that comes within half the time to the next value, and has no value of its own.
    """
    on = pd.Series(np.nan, index=calendar)
    moved = 0
    for k, (day, value) in enumerate(series.items()):
        later = calendar[calendar >= day]
        if not len(later):
            continue
        following = series.index[k + 1] if k + 1 < len(series) else None
        last_step = day - series.index[k - 1]
        to_next = last_step if following is None else following - day
        if later[0] != day and 2 * (later[0] - day) > to_next:
            continue
        on[later[0]] = value
        moved += later[0] != day and (following is None or following > later[0])
    return on, moved


@needs_large
def test_eight_million_rows() -> None:

    market = let_in(File(str(LARGE), WITH_VOLUME, groups={"industry": "Industry"}))
    assert market.get("close").shape == (3259, 2763)
    assert market.get("volume").notna().to_numpy().sum() == 8_062_303
    assert market.dropped == (Dropped("source value", "close is zero or negative", 1),)
    assert (market.groups["industry"] == "unknown").sum() == 656
    raw = pd.read_parquet(
        LARGE, columns=["Date", "Ticker", "Close"], filters=[("Ticker", "in", ["MSFT", "XOM"])]
    )
    wide = raw.assign(Ticker=raw["Ticker"].astype(str)).pivot(
        index="Date", columns="Ticker", values="Close"
    )
    for name in wide:
        np.testing.assert_array_equal(
            market.get("close")[name].reindex(wide.index), wide[name].astype(float)
        )


def test_some_rows_at_a_time_give_what_all_at_once_give(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    days, names = pd.bdate_range("2020-01-01", periods=40), ["MKT", "DDD", "AAA", "CCC", "BBB"]
    sectors = {"AAA": "tech", "BBB": "energy", "CCC": None, "DDD": "arts", "MKT": "tech"}
    frame = pd.DataFrame(
        [{"Date": day, "Ticker": name, "Sector": sectors[name]} for day in days for name in names]
    )
    frame["Close"] = rng.choice(
        [1.0, 2.0, 0.0, np.inf, np.nan], len(frame), p=[0.4, 0.4, 0.05, 0.05, 0.1]
    )
    frame = frame.drop(rng.choice(len(frame), 20, replace=False))
    frame = pd.concat([frame, frame.sample(15, random_state=1)]).sample(frac=1.0, random_state=2)
    frame.iloc[3, 0], frame.iloc[9, 1] = pd.NaT, None
    path = write(frame, index=False)
    for settings in (
        {},
        {"market": "MKT"},
        {"assets": ["CCC", "AAA"], "start": "2020-01-10", "end": "2020-02-10"},
    ):
        source = File(path, COLUMNS, groups={"sector": "Sector"}, **settings)
        monkeypatch.setattr(parsing, "ROWS", 10**6)
        whole = let_in(source)
        assert (
            set(whole.groups["sector"]) <= {"tech", "energy", "unknown", "arts"} and whole.dropped
        )
        kept = frame[
            frame["Ticker"].isin(whole.assets)
            & (frame["Close"] > 0.0)
            & np.isfinite(frame["Close"])
        ]
        once = kept.drop_duplicates(["Date", "Ticker"]).pivot(
            index="Date", columns="Ticker", values="Close"
        )
        expected = once.reindex(index=whole.dates, columns=whole.assets).to_numpy()
        np.testing.assert_array_equal(whole.fields["close"], expected)
        for rows in (1, 7):
            monkeypatch.setattr(parsing, "ROWS", rows)
            found = let_in(source)
            assert (found.fingerprint, found.dropped) == (whole.fingerprint, whole.dropped)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_text_of_a_parquet_file_is_read_as_codes(tmp_path: Path, kind: pa.DataType) -> None:
    path = tmp_path / "file.parquet"
    pq.write_table(
        pa.table({"name": pa.array(["b", "a", None, "b"], kind), "x": [1.0, 2.0, 3.0, 4.0]}), path
    )
    wanted = {"data.columns.asset": "name", "data.columns.close": "x"}
    found = read("data.path", path, wanted, {"name"})
    assert pa.types.is_dictionary(found["name"].type)
    assert found["name"].to_pylist() == ["b", "a", None, "b"]
