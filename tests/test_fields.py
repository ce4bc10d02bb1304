"""Fields of assets that come and go are kept long, and nothing that is computed tells the difference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import runner
from runner.compute.cache import held
from runner.data import fields as fields_module
from runner.data.accounts.account import account_of
from runner.data.columns import listings as listings_module
from runner.data.columns import long as long_module
from runner.data.columns import order
from runner.data.columns.long import LongColumn
from runner.data.columns.wide import WideColumn
from runner.data.market import Market
from runner.data.reading import parsing
from runner.data.reading.long import Cells
from runner.data.rules import admitted
from runner.data.sources.file import File
from runner.errors import DataError
from runner.panels.numbers import selections

MONTHS = 90
NAMES = 40
LIFE = 24  # months of each name
# the order of sums over the cells of a date differs, nothing else
LAST_BITS = 1e-11


@pytest.fixture(params=["at once", "some at a time"], autouse=True)
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are looked through at once, and some numbers at a time, as long ones are."""
    if request.param == "at once":
        return
    monkeypatch.setattr(listings_module, "NUMBERS", 7)
    monkeypatch.setattr(long_module, "NUMBERS", 7)
    monkeypatch.setattr(listings_module, "STRETCH", 11)
    monkeypatch.setattr(order, "PIECE", 5)
    monkeypatch.setattr(parsing, "ROWS", 13)
    monkeypatch.setattr(selections, "MARKED", 9)


def listings(seed: int = 3) -> pd.DataFrame:
    """Monthly returns, prices and two signals of names that come and go; one returns after years."""
    rng = np.random.default_rng(seed)
    dates = pd.date_range("2001-01-31", periods=MONTHS, freq="ME")
    parts = []
    for k in range(NAMES):
        start = int(rng.integers(0, MONTHS - LIFE))
        rows = np.arange(start, start + LIFE)
        if k == 0:
            rows = np.concatenate([np.arange(10), np.arange(70, 85)])
        ret = 0.05 * rng.standard_normal(len(rows))
        signal = rng.standard_normal(len(rows))
        part = {"date": dates[rows], "name": f"N{k:02d}", "ret": ret}
        part["close"] = 20.0 * np.cumprod(1.0 + ret)
        part["signal"] = np.where(rng.random(len(rows)) < 0.1, np.nan, signal)
        part["size"] = np.exp(rng.standard_normal(len(rows)))
        parts.append(pd.DataFrame(part))
    return pd.concat(parts, ignore_index=True)


def file_of(table: pd.DataFrame, folder: Path, name: str = "listings.csv") -> File:
    path = folder / name
    table.to_csv(path, index=False)
    columns: dict[str, str | None] = {"date": "date", "asset": "name"}
    for column in ("ret", "close", "signal", "size"):
        columns[column] = column
    return File(str(path), columns)


def wide_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fields_module, "FULL", 0.0)


def test_a_table_of_few_cells_stays_long_and_a_full_one_is_wide(tmp_path: Path) -> None:
    table = listings()
    market = file_of(table, tmp_path).load()
    assert {type(column) for column in market.fields.columns.values()} == {LongColumn}
    full = table[table["name"] == "N05"]
    market = file_of(full, tmp_path, "full.csv").load()
    assert {type(column) for column in market.fields.columns.values()} == {WideColumn}


@pytest.mark.parametrize("column", ["ret", "close", "signal"])
def test_a_field_asked_for_is_the_pivot_of_the_table(tmp_path: Path, column: str) -> None:
    table = listings()
    market = file_of(table.sample(frac=1.0, random_state=1), tmp_path).load()
    pivot = table.pivot(index="date", columns="name", values=column)
    frame = market.get(column)
    np.testing.assert_array_equal(frame.to_numpy(), pivot.to_numpy())
    assert list(frame.columns) == list(pivot.columns)
    assert list(frame.index) == list(pivot.index)
    known = market.fields.columns[column].known()
    np.testing.assert_array_equal(known, pivot.notna().to_numpy())


def test_parts_of_long_fields_are_those_of_the_frame(tmp_path: Path) -> None:
    market = file_of(listings(), tmp_path).load()
    rows = np.array([3, 4, 30, 31, 80])
    names = ["N07", "N00", "N31"]  # in an order of its own
    part = market.of(names).at(rows)
    for name in market.fields:
        expected = market.get(name)[names].iloc[rows]
        pd.testing.assert_frame_equal(part.get(name), expected, check_freq=False)
        assert isinstance(part.fields.columns[name], LongColumn)


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["wide", "long"])
def test_an_asset_that_the_data_have_not_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    monkeypatch.setattr(fields_module, "FULL", share)
    market = file_of(listings(), tmp_path).load()
    with pytest.raises(DataError, match="asset 'N99' is unknown"):
        market.of(["N03", "N99"])


def test_the_fingerprint_is_that_of_the_content_whatever_the_form(tmp_path: Path) -> None:
    table = listings()[["date", "name", "ret"]]
    columns: dict[str, str | None] = {"date": "date", "asset": "name", "ret": "ret"}
    columns["close"] = None
    paths = [tmp_path / "long.csv", tmp_path / "shuffled.csv", tmp_path / "wide.csv"]
    table.to_csv(paths[0], index=False)
    table.sample(frac=1.0, random_state=2).to_csv(paths[1], index=False)
    table.pivot(index="date", columns="name", values="ret").to_csv(paths[2])
    long, shuffled = (File(str(path), columns).load() for path in paths[:2])
    wide = File(str(paths[2]), {"date": "date"}, values="ret").load()
    assert long.fingerprint == shuffled.fingerprint == wide.fingerprint
    changed = table.copy()
    changed.loc[17, "ret"] += 1e-9
    changed.to_csv(paths[0], index=False)
    assert File(str(paths[0]), columns).load().fingerprint != long.fingerprint


def test_a_value_for_a_cell_without_a_row_is_refused(tmp_path: Path) -> None:
    market = file_of(listings(), tmp_path).load()
    fields = market.fields
    listed = fields.columns["ret"].cells().position
    changed = fields.put("ret", listed[[3, 8]], 0.5).columns["ret"]
    np.testing.assert_array_equal(changed.cells().values[[3, 8]], 0.5)
    unlisted = np.setdiff1d(np.arange(len(market.dates) * NAMES), listed)
    for position in (unlisted[0], unlisted[-1]):
        row, column = divmod(int(position), NAMES)
        cell = f"'N{column:02d}' on {market.dates[row]:%Y-%m-%d}"
        with pytest.raises(DataError, match=f"1 of 2 values .* cells without a row .*{cell}"):
            fields.put("ret", np.array([listed[0], position]), 0.5)


def test_a_value_that_breaks_a_rule_is_blanked_in_its_cell(tmp_path: Path) -> None:
    table = listings()
    table.loc[[40, 200], "close"] = [-3.0, 0.0]
    market = admitted(file_of(table, tmp_path).load(), allow_loss=0.1)
    close = market.get("close")
    for row in (40, 200):
        assert np.isnan(close.loc[table["date"][row], table["name"][row]])
    assert close.notna().to_numpy().sum() == len(table) - 2
    (blanked,) = market.blanked
    cells = [divmod(int(at), NAMES) for at in blanked.at]
    expected = [
        (market.dates.get_loc(table["date"][row]), market.assets.index(table["name"][row]))
        for row in (40, 200)
    ]
    assert sorted(cells) == sorted(expected)


def test_the_account_is_that_of_wide_fields(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = listings()
    table.loc[[15, 99, 100], "ret"] = [0.9, -0.8, 0.9]  # far beyond what these assets do
    source = file_of(table, tmp_path)
    long = admitted(source.load(), 0.02)
    wide_only(monkeypatch)
    wide = admitted(source.load(), 0.02)
    assert isinstance(wide.fields.columns["ret"], WideColumn)
    assert long.notes == wide.notes
    ours = account_of(long)
    theirs = account_of(wide)
    assert ours.words == theirs.words
    for name, table_of in ours.tables.items():
        pd.testing.assert_frame_equal(table_of, theirs.tables[name])


RUNS = {
    "cross-sections": ["model=fama_macbeth", "target=forward_return"],
    "pooled": [
        "model=pooled",
        "target=forward_return",
        "validation=walk_forward",
        "validation.first=36",
    ],
    "by asset": ["model=ols", "target=forward_return"],
    "weighted": ["model=fama_macbeth", "target=forward_return", "model.weights=size"],
    "ranked": [
        "model=pooled",
        "target=forward_return",
        "preprocess=[{_target_: runner.preprocessing.rank, on: [signal]}]",
    ],
}


@pytest.mark.parametrize("overrides", RUNS.values(), ids=RUNS)
def test_a_run_gives_what_it_gives_on_wide_fields(
    monkeypatch: pytest.MonkeyPatch, overrides: list[str]
) -> None:
    table = listings().rename(columns={"name": "asset"})
    spec = [
        "experiment=none",
        "features=none",
        "features={signal: signal, mom: 'mean(ret, 6)'}",
        *overrides,
    ]
    long = _run(spec, table)
    wide_only(monkeypatch)
    wide = _run(spec, table)
    for name in ("coefficients", "quality", "predictions"):
        ours = getattr(long, name)
        theirs = getattr(wide, name)
        pd.testing.assert_frame_equal(ours, theirs, rtol=LAST_BITS, atol=LAST_BITS)
    assert long.metrics == pytest.approx(wide.metrics, rel=1e-9, nan_ok=True)


def _run(spec: list[str], table: pd.DataFrame) -> Any:
    return runner.run(*spec, data=table)


def test_what_long_fields_hold_is_counted_as_it_is(tmp_path: Path) -> None:
    market = file_of(listings(), tmp_path).load()
    column = market.fields.columns["ret"]
    assert isinstance(column, LongColumn)
    of_rows = len(column.values) * len(market.fields) * column.values.itemsize
    of_frames = len(market.dates) * len(market.assets) * len(market.fields) * 8
    assert of_rows <= held([market]) < of_frames


def test_a_source_of_ones_own_may_give_frames_by_name() -> None:
    dates = pd.date_range("2020-01-31", periods=3, freq="ME")
    frame = pd.DataFrame({"A": [0.1, 0.2, 0.3]}, index=dates)
    market = Market("own", {"ret": frame}, pd.DataFrame(index=dates))  # type: ignore[arg-type]
    assert market.assets == ["A"]
    pd.testing.assert_frame_equal(market.get("ret"), frame)


def test_marked_places_are_found_by_their_rank() -> None:
    rng = np.random.default_rng(5)
    for share in (0.0, 0.02, 0.5, 1.0):
        mask = rng.random(1000) < share
        places = np.flatnonzero(mask)
        ranks = rng.integers(0, max(len(places), 1), (20, 3))[: len(places)]
        assert (selections.marked_at(mask, ranks) == places[ranks]).all()


@pytest.mark.parametrize("way", ["by date", "by name", "by nothing"])
@pytest.mark.parametrize("twice", [False, True])
def test_rows_of_one_cell_are_found_in_whichever_order_they_come(way: str, twice: bool) -> None:
    lines, T = 6, 50
    rng = np.random.default_rng(6)
    at = rng.permutation(lines * T)[:200].astype(np.int32)
    if twice:
        at[1] = at[0]
    if way == "by name":
        at = np.sort(at)
    if way == "by date":
        at = at[np.lexsort((at // T, at % T))]
    cells = Cells(slice(None), at, lines, T)
    assert cells.are_alone() is not twice
    assert cells._in_order_of_date() == (way == "by date" and not twice)
    there = np.zeros((lines, T), dtype=int)
    np.add.at(there, (at // T, at % T), 1)
    for some in (0, 2, lines):
        assert (cells.there(some) == (there[:some] > 0)).all()
        assert (cells.by_date(some) == there[:some].sum(axis=0)).all()
