"""Usable rows of assets, taken from parts of a panel that come in order of date."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from runner.data.columns.listings import Listings
from runner.panels.numbers.joining import Room, spans_of
from runner.panels.numbers.ragged import Ragged

T, N = 23, 9


def panel(seed: int) -> Ragged:
    """A ragged panel: one asset is listed and never usable, one is not listed at all."""
    rng = np.random.default_rng(seed)
    listed = rng.random((T, N)) < rng.random(N)
    listed[:, 3] = False
    listed[4:9, 5] = True
    row, column = np.nonzero(listed)
    n = len(row)
    valid = (rng.random(n) < 0.8) & (column != 5)
    names = pd.Index([f"a{i}" for i in range(N)])
    dates = pd.date_range("2020-01-01", periods=T)
    listings = Listings(dates, names, row.astype(np.int32), column.astype(np.int32))
    X = np.asfortranarray(rng.normal(size=(n, 2)))
    return Ragged(listings, rng.normal(size=n), X, valid, rng.random(n), rng.normal(size=n))


@pytest.mark.parametrize("length", [1, 4, T])
@pytest.mark.parametrize("rows", [0, 1, 20, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_each_asset_has_its_usable_rows(seed: int, rows: int, length: int) -> None:
    cells = panel(seed)

    def parts(first: int = 0, stop: int = T) -> list[tuple[int, Ragged]]:
        starts = range(first, stop, length)
        return [(t, cells.at(np.arange(t, min(t + length, stop)))) for t in starts]

    spans = spans_of(parts(), N)
    some = np.array([0, 1, 3, 4, 5, 8])
    groups = spans.groups(some, rows)
    assert sorted(np.concatenate(groups)) == some.tolist()
    room = Room(max(int(spans.rows[group].sum()) for group in groups), 2, True, True)
    found = []
    for group in groups:
        assert len(group) == 1 or spans.rows[group].sum() <= rows
        dates = spans.dates(group)
        for asset, used in room.filled(parts(dates.start, dates.stop), group, spans.rows[group]):
            expected = cells.used(np.arange(T), np.array([asset]))
            for got, wanted in zip(used, expected, strict=True):
                np.testing.assert_array_equal(got, wanted)
            found.append(asset)
    assert sorted(found) == some.tolist()


def test_assets_that_begin_together_are_in_one_group() -> None:
    """Nine assets of four dates each, one begins every second date: a group has few dates."""
    row = np.concatenate([np.arange(2 * i, 2 * i + 4) for i in range(N)])
    column = np.repeat(np.random.default_rng(0).permutation(N), 4)
    order = np.lexsort((column, row))
    dates = pd.date_range("2020-01-01", periods=T)
    listings = Listings(dates, pd.RangeIndex(N), row[order], column[order])
    n = len(row)
    cells = Ragged(listings, np.zeros(n), np.zeros((n, 0)), np.ones(n, dtype=bool))
    spans = spans_of(((t, cells.at(np.arange(t, t + 1))) for t in range(T)), N)
    groups = spans.groups(np.arange(N), 12)
    assert [len(group) for group in groups] == [3, 3, 3]
    assert [spans.dates(group) for group in groups] == [slice(0, 8), slice(6, 14), slice(12, 20)]
