"""A table that is put on disk in pieces is the market of the table read at once."""

from __future__ import annotations

import os
import pickle
import weakref
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import call_cli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import called, commands

from runner.data import rules, suspicions
from runner.data.accounts.account import account_of
from runner.data.columns import order, sizes
from runner.data.market import Market
from runner.data.reading.formats import columnar
from runner.data.rules import admitted
from runner.data.sources.file import File
from runner.data.stored import columns, filing, numbers, reading
from runner.data.stored.columns import StoredColumn
from runner.data.stored.folder import SUFFIX
from runner.errors import DataError

COLUMNS: dict[str, str | None] = {
    "date": "date",
    "asset": "name",
    "close": "prc",
    "ret": "ret",
    "size": "me",
}


@pytest.fixture(autouse=True, scope="module")
def small_parts() -> Any:
    """Pieces, buckets and parts of few rows, so that a small table has many."""
    patch = pytest.MonkeyPatch()
    patch.setattr(columnar, "ROWS_OF_A_PIECE", 1)
    patch.setattr(columnar, "MOST_ROWS_OF_A_PIECE", 5)
    patch.setattr(filing, "ROWS_OF_A_BUCKET", 6)
    patch.setattr(reading, "NUMBERS_AT_ONCE", 12)
    patch.setattr(numbers, "PART", 7)
    patch.setattr(columns, "PART", 7)
    yield
    patch.undo()


def written(table: pd.DataFrame | pa.Table, folder: Path, rows: int = 4) -> str:
    """A parquet file with row groups of so many rows."""
    arrow = (
        table if isinstance(table, pa.Table) else pa.Table.from_pandas(table, preserve_index=False)
    )
    path = folder / "table.parquet"
    pq.write_table(arrow, path, row_group_size=rows)
    return str(path)


def check_same(ours: Market, theirs: Market) -> None:
    """Whether a market on disk is that in memory: numbers, labels, series, account, notes."""
    assert ours.assets == theirs.assets
    assert list(ours.fields) == list(theirs.fields)
    pd.testing.assert_index_equal(ours.dates, theirs.dates, exact="equiv")
    for name in theirs.fields:
        assert isinstance(ours.fields.columns[name], StoredColumn)
        np.testing.assert_array_equal(ours.get(name).to_numpy(), theirs.get(name).to_numpy())
    pd.testing.assert_frame_equal(ours.series, theirs.series, check_freq=False)
    pd.testing.assert_frame_equal(ours.groups, theirs.groups, check_dtype=False)
    for name in ("market_close", "market_ret"):
        one, other = getattr(ours, name), getattr(theirs, name)
        assert (one is None) == (other is None)
        if one is not None:
            pd.testing.assert_series_equal(one, other, check_freq=False)
    assert list(ours.labels) == list(theirs.labels)
    for name, labels in theirs.labels.items():
        assert ours.labels[name].values == labels.values
        np.testing.assert_array_equal(ours.labels[name].codes, labels.codes)
        np.testing.assert_array_equal(ours.labels[name].had, labels.had)
    assert ours.dropped == theirs.dropped
    assert ours.notes[:-1] == theirs.notes
    assert "The market is on disk" in ours.notes[-1]
    assert ours.readings == theirs.readings
    assert ours.unread == theirs.unread
    assert ours.fingerprint == theirs.fingerprint


def both(path: str, folder: Path, **settings: Any) -> None:
    """Read a file in both ways, and compare; where one refuses, the other does too."""
    spec = {"columns": COLUMNS, "folder": str(folder / "cache"), **settings}
    theirs = loaded(path, on_disk=False, **spec)
    for _ in range(2):  # put there, then opened
        ours = loaded(path, on_disk=True, **spec)
        if isinstance(theirs, Market) and isinstance(ours, Market):
            check_same(ours, theirs)
        else:
            assert isinstance(theirs, str) and isinstance(ours, str), (ours, theirs)


def loaded(path: str, **spec: Any) -> Market | str:
    """The market of a file, or the first line of its refusal."""
    try:
        return File(path, **spec).load()
    except DataError as error:
        return error.mistakes[0]


DATES = ["2001-01-02", "2001-01-03", "2001-01-05", "2001-02-01", "2003-07-09"]
NAMES = ["A", "B", " B", "a", "10", "MKT", "VIX", None]
PRICES = ["1.5", "2", "-3", "C", "B", "", "$1,200.5", None]
LABELS = ["N", "Q", "10", "10.0", "unknown", "", None]


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Small awkward tables: unsorted, with repeated keys, missing ones, letters and labels."""
    n = draw(st.integers(1, 40))
    date = draw(st.lists(st.sampled_from([*DATES, None]), min_size=n, max_size=n))
    name = draw(st.lists(st.sampled_from(NAMES), min_size=n, max_size=n))
    # numbers by cell in most tables, so that rows of one cell repeat each other whole
    by_cell = draw(st.integers(0, 3)) > 0
    ret = []
    price = []
    for row in range(n):
        seed = hash((date[row], str(name[row]).strip())) if by_cell else row
        rng = np.random.default_rng(abs(seed))
        ret.append(None if rng.random() < 0.2 else float(rng.normal()))
        price.append(PRICES[int(rng.integers(len(PRICES)))])
    columns: dict[str, Any] = {"ret": pa.array(ret, pa.float64())}
    columns["prc"] = pa.array(price, pa.string())
    size = [None if value is None else int(100 * value) for value in ret]
    columns["me"] = pa.array(size, pa.int32())
    kinds = st.sampled_from(["text", "date", "stamp"])
    kind = draw(kinds)
    dates = pd.Series(pd.to_datetime(date))
    if kind == "text":
        columns["date"] = pa.array([None if d is None else d.replace("-", "") for d in date])
    elif kind == "date":
        columns["date"] = pa.array(dates.dt.date, pa.date32())
    else:
        columns["date"] = pa.array(dates)
    columns["name"] = pa.array(name, pa.string())
    label = draw(st.lists(st.sampled_from(LABELS), min_size=n, max_size=n))
    if draw(st.booleans()):  # one label a name
        label = [LABELS[len(str(one).strip()) % 3] for one in name]
    columns["exchange"] = pa.array(label, pa.string())
    table = pa.table(columns)
    if draw(st.booleans()):
        order = sorted(range(n), key=lambda row: (str(date[row]), str(name[row]).strip()))
        table = table.take(order)
    return table


SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "market": st.just("MKT"),
        "macro": st.just({"vix": "VIX"}),
        "groups": st.just({"exchange": "exchange"}),
        "start": st.just("2001-01-03"),
        "end": st.just("2001-02-01"),
        "assets": st.sampled_from([["B", "A"], ["10", "MKT", "A"]]),
        "where": st.sampled_from([{"exchange": "N"}, {"exchange": ["10", "Q"]}]),
        "percent": st.just(True),
    },
)


@settings(
    max_examples=60,
    report_multiple_bugs=False,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(table=tables(), spec=SETTINGS, rows=st.integers(1, 9))
def test_a_market_on_disk_is_that_in_memory(
    table: pa.Table, spec: dict[str, Any], rows: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("both")
    both(written(table, folder, rows), folder, **spec)


def rows_of(names: int = 6, dates: int = 12) -> pd.DataFrame:
    """Returns and sizes of names on business days, the last of which come late."""
    rng = np.random.default_rng(4)
    index = pd.bdate_range("2001-01-01", periods=dates)
    parts = []
    for k in range(names):
        own = index[k:]
        part = {"date": own, "name": f"N{k}", "prc": 20.0 + rng.random(len(own))}
        part["ret"] = 0.02 * rng.standard_normal(len(own))
        part["me"] = rng.random(len(own))
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("sorting", [["date", "name"], ["name", "date"], ["ret"]])
def test_the_order_of_the_rows_does_not_matter(tmp_path: Path, sorting: list[str]) -> None:
    both(written(rows_of().sort_values(sorting), tmp_path), tmp_path)


def test_files_of_a_folder_are_one_table(tmp_path: Path) -> None:
    table = rows_of()
    for year, part in table.groupby(table["date"].dt.day % 2):
        folder = tmp_path / "parts" / f"half={year}"
        folder.mkdir(parents=True)
        written(part, folder)
    groups = {"half": "half"}
    both(str(tmp_path / "parts"), tmp_path, groups=groups)
    theirs = File(str(tmp_path / "parts"), COLUMNS, on_disk=False, groups=groups).load()
    assert list(theirs.labels) == ["half"]


def test_columns_that_other_parts_name_are_read_as_they_are(tmp_path: Path) -> None:
    table = rows_of().assign(code="7", word="x", number=[str(k) for k in range(57)])
    table.loc[50, "code"] = "seven"
    path = written(table, tmp_path)
    asked = {"either": ["code", "number"], "label": ["word"]}
    ours = File(path, COLUMNS, on_disk=True, asked=asked, folder=str(tmp_path)).load()
    both(path, tmp_path, asked=asked)
    assert set(ours.grouping.names) == {"code", "word"} and "number" in ours.fields


def test_another_file_or_setting_is_another_market(tmp_path: Path) -> None:
    path = written(rows_of(), tmp_path)
    folder = tmp_path / "cache"
    spec: dict[str, Any] = {"columns": COLUMNS, "on_disk": True, "folder": str(folder)}
    first = File(path, **spec).load()
    File(path, **spec).load()
    assert len(list(folder.glob(f"*{SUFFIX}"))) == 1
    File(path, **spec, start="2001-01-03").load()
    assert len(list(folder.glob(f"*{SUFFIX}"))) == 2
    changed = rows_of()
    changed.loc[7, "ret"] += 1e-9
    written(changed, tmp_path)
    assert File(path, **spec).load().fingerprint != first.fingerprint


@pytest.mark.parametrize("when", ["keys", "values"])
def test_a_file_that_changes_while_it_is_read_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    path = written(rows_of(), tmp_path)
    place = {"keys": "used", "values": "Writing._file_piece"}[when]
    whole = attrgetter(place)(reading)

    def changing(*arguments: Any) -> Any:
        os.utime(path, (1.0, 1.0))
        return whole(*arguments)

    monkeypatch.setattr(f"runner.data.stored.reading.{place}", changing)
    folder = tmp_path / "cache"
    with pytest.raises(DataError, match="chang"):
        File(path, COLUMNS, on_disk=True, folder=str(folder)).load()
    assert [entry.name for entry in folder.iterdir()] == ["lock"]
    monkeypatch.undo()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "text": ({}, r"data.on_disk: .*table.csv' is CSV; allowed: Parquet files .*write_dataset"),
    "sessions": (
        {"session": "09:31-16:00"},
        r"data.on_disk: given with sessions .*; data.on_disk=false",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read_in_pieces_is_refused_with_what_helps(tmp_path: Path, case: str) -> None:
    settings_of_case, line = REFUSED[case]
    path = tmp_path / "table.csv"
    rows_of().to_csv(path, index=False)
    with pytest.raises(DataError, match=line):
        File(str(path), COLUMNS, on_disk=True, **settings_of_case).load()


def test_a_table_that_would_not_fit_goes_on_disk_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(rows_of(), tmp_path)
    file = File(path, COLUMNS, folder=str(tmp_path / "cache"))
    assert "on disk" not in " ".join(file.load().notes)
    monkeypatch.setattr("runner.data.stored.large.available", lambda: 1000)
    market = file.load()
    assert isinstance(market.fields.columns["ret"], StoredColumn)
    assert "it would not fit into memory" in market.notes[-1]


def test_pieces_of_different_kinds_are_refused(tmp_path: Path) -> None:
    table = rows_of()
    table["prc"] = [f"{k + 1}%" if k < 8 else str(k) for k in range(len(table))]
    with pytest.raises(DataError, match="per cent signs in some rows and numbers without"):
        File(written(table, tmp_path), COLUMNS, on_disk=True, folder=str(tmp_path)).load()


def test_the_commands_of_the_page_on_tables_larger_than_memory(tmp_path: Path) -> None:
    table = rows_of().rename(columns={"name": "permno"})
    table[["date", "permno", "ret"]].to_parquet(tmp_path / "crsp.parquet", index=False)
    [command] = commands("commands: on disk")
    done = called(command, tmp_path)
    assert done.code == 0, done.err
    assert "The market is on disk" in " ".join(done.out.split())
    listed = called("python -m runner cache", tmp_path)
    assert "1 market on disk" in listed.out
    called("python -m runner cache --empty", tmp_path)
    assert not list((tmp_path / "outputs" / "cache").glob(f"*{SUFFIX}"))


def awkward() -> pd.DataFrame:
    """Returns with a code, an infinite one, values that are missing, and moves far beyond others."""
    table = rows_of(names=9, dates=40)
    rng = np.random.default_rng(8)
    table["ret"] = np.where(rng.random(len(table)) < 0.2, 0.0, 0.3 * table["ret"])
    table["rf"] = table["date"].dt.day / 3000.0 - 0.004
    table["me"] = np.where(rng.random(len(table)) < 0.1, np.nan, table["me"])
    table["exchange"] = np.where(table["date"].dt.day < 9, "N", "Q")
    table.loc[[7, 50], "ret"] = [-99.0, np.inf]
    table.loc[[20, 21, 100, 140, 141, 180, 200], "ret"] = [0.9, -0.7, 0.6, 0.9, 0.9, 0.8, 2.0]
    table.loc[66, "me"] = -999.0
    return table


@pytest.mark.parametrize("sorting", [["date", "name"], ["name", "date"]])
@pytest.mark.parametrize("without", ["", "ret", "prc"])
def test_rules_account_and_digests_are_those_in_memory(
    tmp_path: Path, sorting: list[str], without: str
) -> None:
    columns = {
        "date": "date",
        "asset": "name",
        "ret": "ret",
        "close": "prc",
        "me": "me",
        "rf": "rf",
    }
    columns = {name: column for name, column in columns.items() if column != without}
    path = written(awkward().sort_values(sorting), tmp_path, 30)
    spec: dict[str, Any] = {
        "columns": {"close": None, "volume": None, **columns},
        "groups": {"exchange": "exchange"},
        "folder": str(tmp_path),
    }
    ours = admitted(File(path, on_disk=True, **spec).load(), 0.05)
    theirs = admitted(File(path, on_disk=False, **spec).load(), 0.05)
    assert isinstance(ours.fields.columns["me"], StoredColumn)
    disk = [note for note in ours.notes if "The market is on disk" in note]
    assert [note for note in ours.notes if note not in disk] == list(theirs.notes)
    assert ours.dropped == theirs.dropped
    assert len(ours.blanked) == len(theirs.blanked)
    for one, other in zip(ours.blanked, theirs.blanked, strict=True):
        assert one[:2] == other[:2]
        np.testing.assert_array_equal(one.at, other.at)
    for named in ([], ["me"]):
        assert ours.fingerprint_of_rows(named) == theirs.fingerprint_of_rows(named)
    assert ours.fingerprint == theirs.fingerprint
    assert ours.fingerprint_of_earlier_versions == theirs.fingerprint_of_earlier_versions
    account = account_of(ours)
    expected = account_of(theirs)
    assert account.words == expected.words
    for name, table in account.tables.items():
        pd.testing.assert_frame_equal(table, expected.tables[name])
    pd.testing.assert_frame_equal(account.raster, expected.raster)


@pytest.mark.parametrize("kept", [1, 40])
def test_quantiles_of_parts_are_those_of_all(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(order, "KEPT", kept)
    rng = np.random.default_rng(2)
    for n in (1, 2, 3, 51, 1000, 1001):
        zeros = np.zeros(n)
        several = rng.integers(-1, 2, n) * 1.0
        for numbers_of in (rng.standard_normal(n), several, zeros, np.exp(20.0 * rng.random(n))):

            def parts(every: np.ndarray = numbers_of) -> Any:
                return iter(np.array_split(every, 5))

            assert order.median(parts) == np.median(numbers_of)
            exact = np.quantile(numbers_of, 0.999)
            assert order.quantile(parts, 0.999) == pytest.approx(exact, rel=1e-15)
    assert np.isnan(order.median(lambda: iter([np.empty(0)])))


def test_a_table_joined_by_date_and_asset_is_refused_where_it_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(rows_of(), tmp_path)
    other = tmp_path / "other.csv"
    table = rows_of()[["date", "name", "me"]].rename(columns={"me": "book"})
    table.to_csv(other, index=False)
    words = [
        "data=file",
        f"data.path={path}",
        "data.columns={date: date, asset: name, ret: ret, close: null, volume: null}",
        "data.on_disk=true",
        f"data.fields.accounts={{path: {other}, asset: name, columns: {{book: book}}}}",
    ]
    assert call_cli(tmp_path, "check", *words).code == 0
    monkeypatch.setattr("runner.compute.memory.SMALL", 0)
    monkeypatch.setattr("runner.compute.memory.available", lambda: 1500)
    done = call_cli(tmp_path, "check", *words)
    assert done.code == 2
    assert "joined to every asset-date, 12 dates x 6 assets, it takes 0.0 GB" in done.err


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    path = written(rows_of(), tmp_path)
    folder = tmp_path / "cache"
    File(path, COLUMNS, on_disk=True, folder=str(folder)).load()
    [home] = folder.glob(f"*{SUFFIX}")
    left = folder / f".{home.name}.1.new"
    home.rename(left)
    (left / "manifest.json").unlink()
    File(path, COLUMNS, on_disk=True, folder=str(folder)).load()
    assert sorted(entry.name for entry in folder.iterdir()) == [home.name, "lock"]


def test_a_digest_is_kept_beside_the_numbers_and_believed_if_signed(tmp_path: Path) -> None:
    path = written(awkward(), tmp_path)
    file = File(path, COLUMNS, on_disk=True, folder=str(tmp_path / "cache"))
    market = file.load()
    plain = market.fingerprint
    fewer = admitted(market, 0.05).fingerprint
    assert plain != fewer
    kept = sorted((tmp_path / "cache").glob(f"*{SUFFIX}/text-*"))
    assert file.load().fingerprint == plain
    for text in kept:
        signature, _, digest = text.read_bytes().partition(b"\n")
        text.write_bytes(signature + b"\n" + digest[::-1])
    assert file.load().fingerprint == plain
    assert admitted(file.load(), 0.05).fingerprint == fewer


def test_columns_of_a_part_are_read_when_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(awkward(), tmp_path)
    market = File(path, COLUMNS, on_disk=True, folder=str(tmp_path / "cache")).load()
    expected = market.fields["ret"].iloc[3:9, :4]
    files = []
    read = numbers.Numbers.read_into

    def noted(of_file: numbers.Numbers, into: np.ndarray, start: int) -> None:
        files.append(of_file.path.name)
        read(of_file, into, start)

    monkeypatch.setattr(numbers.Numbers, "read_into", noted)
    part = market.at(np.arange(3, 9)).of_positions(np.arange(4))
    fields = part.fields.kept()
    assert len(fields) > 1 and set(files) == {"column"}  # which cells the table lists
    pd.testing.assert_frame_equal(fields["ret"], expected)
    assert set(files) == {"column", market.fields.columns["ret"].file}


def test_a_part_of_a_part_holds_its_own_numbers_alone(tmp_path: Path) -> None:
    path = written(awkward(), tmp_path)
    market = File(path, COLUMNS, on_disk=True, folder=str(tmp_path / "cache")).load()
    of_dates = market.at(np.arange(30)).fields.columns["ret"]
    of_assets = of_dates.of_assets(np.arange(2), {})
    numbers_of_dates = weakref.ref(of_dates.values)
    assert len(of_assets.values) < len(of_dates.values)
    again = pickle.loads(pickle.dumps(of_assets))
    np.testing.assert_array_equal(again.values, of_assets.values)
    del of_dates
    assert numbers_of_dates() is None


def test_what_rules_find_is_kept_beside_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(awkward(), tmp_path)
    file = File(path, COLUMNS, on_disk=True, folder=str(tmp_path / "cache"))
    first = admitted(file.load(), 0.05)
    assert first.blanked
    dirty = {cause.column.name for cause in first.blanked}
    looked_at = []
    breaking = rules._breaking

    def noted(field: Any, names: Any) -> Any:
        looked_at.append(field.file)
        return breaking(field, names)

    def read_again(column: Any) -> None:
        raise AssertionError("all numbers of a column are read again")

    market = file.load()
    dirty_files = {market.fields.columns[name].file for name in dirty}
    monkeypatch.setattr(rules, "_breaking", noted)
    monkeypatch.setattr(sizes, "_amounts", read_again)
    monkeypatch.setattr(suspicions, "_jumps", read_again)
    again = admitted(market, 0.05)
    assert set(looked_at) == dirty_files  # where what is blanked lies is not kept
    assert again.dropped == first.dropped
    assert again.notes[1:] == first.notes[1:]  # the first says how large the folder is
    assert again.fingerprint == first.fingerprint
