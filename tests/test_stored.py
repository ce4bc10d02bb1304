"""A market on disk is the market in memory, field by field, date by date."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from runner.data.columns.long import LongColumn
from runner.data.labels import Labels
from runner.data.market import Market
from runner.data.notices import Dropped, Reading
from runner.data.stored import columns as columns_module
from runner.data.stored import numbers as numbers_module
from runner.data.stored.columns import StoredColumn
from runner.data.stored.market import opened, stored
from runner.errors import DataError

PART = 7  # numbers that are read at a time here


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches and parts of few numbers, so that a small table has many."""
    monkeypatch.setattr(numbers_module, "PART", PART)
    monkeypatch.setattr(columns_module, "PART", PART)


def market_of(seed: int = 1, dates: int = 23, names: int = 9) -> Market:
    """Returns, sizes and exchanges of names that come and go; some rows lack a return."""
    rng = np.random.default_rng(seed)
    index = pd.bdate_range("2001-01-01", periods=dates, name="date")
    assets = [f"N{k}" for k in range(names)]
    there = rng.random((dates, names)) < 0.4
    there[5] = False
    ret = pd.DataFrame(np.where(there, rng.standard_normal(there.shape), np.nan), index, assets)
    size = ret.where(rng.random(there.shape) < 0.8).abs()
    ret.iloc[:, 2] = np.nan
    codes = np.where(there, rng.integers(0, 3, there.shape), -1)
    exchange = Labels.of(codes, ["N", "A", "Q"])
    return Market(
        source="here",
        fields={"ret": ret, "me": size},  # type: ignore[arg-type]
        series=pd.DataFrame({"rf": rng.random(dates)}, index),
        market_ret=pd.Series(rng.random(dates), index, name="MKT"),
        groups=pd.DataFrame({"sector": list("xyzxyzxyz")}, pd.Index(assets, name="asset")),
        dropped=(Dropped("source row", "no date", 3),),
        notes=("a note",),
        labels={"exchange": exchange},
        readings=(Reading("here", "RET", "ret", "return"),),
        unread=("shrout",),
    )


def test_what_is_opened_is_what_was_kept(tmp_path: Path) -> None:
    market = market_of()
    stored(market, tmp_path / "a.runner-market")
    again = opened(tmp_path / "a.runner-market")
    assert again is not None
    for name in market.fields:
        column = again.fields.columns[name]
        assert isinstance(column, StoredColumn)
        pd.testing.assert_frame_equal(column.frame, market.get(name), check_freq=False)
    pd.testing.assert_frame_equal(again.series, market.series, check_freq=False)
    pd.testing.assert_frame_equal(again.groups, market.groups)
    assert market.market_ret is not None and again.market_ret is not None
    pd.testing.assert_series_equal(again.market_ret, market.market_ret, check_freq=False)
    assert again.market_close is None
    labels = again.labels["exchange"]
    np.testing.assert_array_equal(labels.codes, market.labels["exchange"].codes)
    np.testing.assert_array_equal(labels.had, market.labels["exchange"].had)
    assert labels.values == market.labels["exchange"].values
    for name in ("source", "dropped", "notes", "readings", "unread", "assets"):
        assert getattr(again, name) == getattr(market, name)


@pytest.mark.parametrize("rows", [[3, 4, 5, 6, 7, 8], [0], [22], [5], [1, 4, 20], range(23), []])
@pytest.mark.parametrize("names", [["N7", "N0", "N2"], ["N1", "N3"]])
def test_parts_are_long_fields_in_memory(tmp_path: Path, rows: list[int], names: list[str]) -> None:
    market = market_of()
    on_disk = stored(market, tmp_path / "a.runner-market")
    at = np.array(rows, dtype=int)
    parts = {
        "at": (on_disk.at(at), market.at(at)),
        "at, of": (on_disk.at(at).of(names), market.at(at).of(names)),
        "of": (on_disk.of(names), market.of(names)),
        "of, at": (on_disk.of(names).at(at), market.of(names).at(at)),
    }
    for part, expected in parts.values():
        for name in market.fields:
            assert isinstance(part.fields.columns[name], LongColumn)
            pd.testing.assert_frame_equal(part.get(name), expected.get(name), check_freq=False)
        ours = part.labels["exchange"]
        theirs = expected.labels["exchange"]
        np.testing.assert_array_equal(ours.codes, theirs.codes)
        np.testing.assert_array_equal(ours.had, theirs.had)
        t, i = np.indices(theirs.codes.shape).reshape(2, -1)
        mixed = np.random.default_rng(0).permutation(len(t))
        cells = (t[mixed], i[mixed])
        np.testing.assert_array_equal(ours.of_cells(*cells), theirs.codes[cells])
        blocks = [np.empty((0, theirs.codes.shape[1]), dtype=np.int32), *ours.blocks(4)]
        np.testing.assert_array_equal(np.concatenate(blocks), theirs.codes)


def test_labels_of_dates_in_any_order(tmp_path: Path) -> None:
    market = market_of()
    labels = stored(market, tmp_path / "a.runner-market").labels["exchange"]
    for rows in ([3, 5, 4, 6], [7, 2, 2, 1, 20], [4, 3, 2]):
        expected = market.labels["exchange"].at(np.array(rows)).codes
        np.testing.assert_array_equal(labels.at(np.array(rows)).codes, expected)


def test_stretches_and_blocks_give_every_number_once(tmp_path: Path) -> None:
    market = market_of()
    column = stored(market, tmp_path / "a.runner-market").fields.columns["ret"]
    cells = market.get("ret").to_numpy()
    assert len(list(column.stretches())) > 3
    frames = [stretch.column.frame for stretch in column.stretches()]
    np.testing.assert_array_equal(pd.concat(frames).to_numpy(), cells)
    np.testing.assert_array_equal(np.concatenate(list(column.blocks(4))), cells)
    parts = [part.copy() for part in column.parts()]
    np.testing.assert_array_equal(np.concatenate(parts), column.values)
    assert column.share == market.fields.columns["ret"].share
    np.testing.assert_array_equal(column.known(), ~np.isnan(cells))
    every = market.fields.columns["ret"].cells()
    np.testing.assert_array_equal(column.cells().position, every.position)
    np.testing.assert_array_equal(column.of(np.array([4, 1])), cells[:, [4, 1]])


def test_counts_are_those_of_the_frame(tmp_path: Path) -> None:
    market = market_of()
    on_disk = stored(market, tmp_path / "a.runner-market")
    for name in market.fields:
        counts = on_disk.fields.columns[name].counts()
        expected = market.fields.columns[name].counts()
        there = expected.of_assets > 0
        np.testing.assert_array_equal(counts.of_dates, expected.of_dates)
        np.testing.assert_array_equal(counts.of_assets, expected.of_assets)
        np.testing.assert_array_equal(counts.first[there], expected.first[there])
        np.testing.assert_array_equal(counts.last[there], expected.last[there])


def test_values_are_put_into_their_cells(tmp_path: Path) -> None:
    market = market_of()
    on_disk = stored(market, tmp_path / "a.runner-market")
    at = market.fields.columns["ret"].cells().position[[30, 2, 17]]
    once = on_disk.fields.put("ret", at, np.nan)
    twice = once.put("ret", at[:2], 0.5)
    expected = market.fields.put("ret", at, np.nan).put("ret", at[:2], 0.5)
    for part in (twice, pickle.loads(pickle.dumps(twice))):
        pd.testing.assert_frame_equal(part["ret"], expected["ret"], check_freq=False)
        some = np.array([8, 1, 4])
        np.testing.assert_array_equal(part.of(some)["ret"], expected.of(some)["ret"])
    pd.testing.assert_frame_equal(on_disk.get("ret"), market.get("ret"), check_freq=False)
    unlisted = int(np.flatnonzero(~market.fields.known())[0])
    with pytest.raises(DataError, match=r"1 of 2 values .* without a row"):
        on_disk.fields.put("ret", np.array([at[0], unlisted]), 0.5)


def test_a_folder_that_is_not_whole_or_not_ones_own_is_none(tmp_path: Path) -> None:
    home = tmp_path / "a.runner-market"
    stored(market_of(), home)
    manifest = (home / "manifest.json").read_bytes()
    signature, _, text = manifest.partition(b"\n")
    forged = json.dumps({**json.loads(text), "source": "elsewhere"}).encode()
    (home / "manifest.json").write_bytes(signature + b"\n" + forged)
    assert opened(home) is None
    (home / "manifest.json").write_bytes(manifest)
    assert opened(home) is not None
    with (home / "field-0").open("ab") as file:
        file.write(b"more")
    assert opened(home) is None
    stored(market_of(), home)
    assert opened(home) is not None
    home.chmod(0o777)
    assert opened(home) is None
    assert opened(tmp_path / "none") is None


def test_what_is_cut_while_it_is_read_is_one_line(tmp_path: Path) -> None:
    home = tmp_path / "a.runner-market"
    on_disk = stored(market_of(), home)
    (home / "field-0").write_bytes(b"")
    with pytest.raises(DataError, match="gone or was cut; the same command writes it anew"):
        on_disk.get("ret")


def test_what_does_not_fit_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk = stored(market_of(), tmp_path / "a.runner-market")
    monkeypatch.setattr("runner.compute.memory.SMALL", 0)
    monkeypatch.setattr("runner.compute.memory.available", lambda: 100)
    column = on_disk.fields.columns["ret"]
    for asked in (column.known, column.cells, lambda: column.frame, lambda: column.values):
        with pytest.raises(
            DataError, match=r"the market is on disk .* asked for.*allowed: what fits"
        ):
            asked()
    assert column.share > 0.0
    assert len(list(column.blocks(4))) == 6


def test_a_failure_while_a_folder_is_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "cache" / "a.runner-market"

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runner.data.stored.folder.os.fsync", full)
    with pytest.raises(DataError, match=r"data.folder: .* cannot be written: .*No space left"):
        stored(market_of(), home)
    assert list(home.parent.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr("runner.data.stored.folder.shutil.disk_usage", lambda _: _Usage())
    with pytest.raises(DataError, match=r"has 0.0 GB free, the table on disk takes .* GB; "):
        stored(market_of(), home)
    assert list(home.parent.iterdir()) == []


class _Usage:
    free = 10
