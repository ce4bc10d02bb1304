"""Compiled sums over rows beside sums written out, and loops over cells beside numpy's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError

import numpy as np
import pandas as pd
import pytest

from runner.data.columns.listings import Listings
from runner.estimators.clusters import clustered, driscoll_kraay, sums
from runner.estimators.pools import RaggedPool
from runner.numerics import trailing
from runner.numerics.compiled import cells as loops
from runner.numerics.compiled import rows as sums_of_rows
from runner.numerics.compiled import rule
from runner.numerics.compiled.rows import Scores, moments_of_dates
from runner.numerics.variation import FLAT, largest_rounding, rounding_alone
from runner.panels.numbers.gathering import Writer
from runner.panels.numbers.ragged import Ragged
from runner.panels.numbers.some_assets import Known
from runner.preprocessing.cross_moments import means_of_dates

CLOSE = 1e-13  # of the sum of absolute products: rounding of some hundred additions
T, N = 37, 23
EMPTY = 11  # a date without a row
UNUSED = 20  # a date without a row in use


def rows_of(K: int, weighted: bool = False) -> Ragged:
    """Rows of names that come and go, on many scales; a row that is not in use has no numbers."""
    rng = np.random.default_rng(K + 1)
    listed = rng.random((T, N)) < 0.6
    listed[EMPTY] = False
    row, column = (place.astype(np.int32) for place in np.nonzero(listed))
    n = len(row)
    X = ((rng.standard_normal((K, n)) + 2.0) * 10.0 ** rng.uniform(-3, 3, (K, 1))).T
    y = rng.standard_normal(n)
    valid = (rng.random(n) < 0.8) & (row != UNUSED)
    X[~valid] = np.nan
    y[~valid] = np.inf
    weights = rng.uniform(0.1, 5.0, n) if weighted else None
    listings = Listings(
        pd.date_range("2020", periods=T), pd.Index([f"a{i}" for i in range(N)]), row, column
    )
    return Ragged(listings, y, X, valid, weights)


def pool_of(K: int, weighted: bool, constant: bool) -> RaggedPool:
    k = K + constant
    b = np.random.default_rng(0).standard_normal(k)
    return RaggedPool(rows_of(K, weighted), range(K), b, np.eye(k), np.empty((N, 0)))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "MANY_ROWS", 0)


@pytest.mark.parametrize("K", [0, 1, 4, 7])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("of_dates", [False, True])
@pytest.mark.parametrize("cells", [0, 2**62])
def test_moments_of_dates_are_sums_of_products(
    K: int, weighted: bool, of_dates: bool, cells: int
) -> None:
    held = rows_of(K, weighted)
    point = np.random.default_rng(1).standard_normal((T if of_dates else 1, 1, K + 1))
    M = moments_of_dates(held.dated(range(K)), point, cells)
    assert M.shape == (T, K + 2, K + 2)
    for t in range(T):
        own = (held.listings.row == t) & held.valid
        about = point[t if of_dates else 0]
        z = np.column_stack(
            [np.ones(own.sum()), np.column_stack([held.X[own], held.y[own]]) - about]
        ).astype(np.longdouble)
        w = np.ones(own.sum()) if held.weights is None else held.weights[own]
        size = (abs(z) * w[:, None]).T @ abs(z)
        assert (abs(M[t] - (z * w[:, None]).T @ z) <= CLOSE * size).all()
    if cells:
        np.testing.assert_array_equal(M, M.swapaxes(1, 2))


@pytest.mark.parametrize(("few", "together"), [(0, True), (2**62, False)])
def test_numpy_sums_short_dates_of_one_thread_at_a_time(
    monkeypatch: pytest.MonkeyPatch, few: int, together: bool
) -> None:
    both = Barrier(2)
    met = []

    def by_numpy(*args: object) -> np.ndarray:
        try:
            both.wait(timeout=10.0 if together else 0.3)
            met.append(True)
        except BrokenBarrierError:
            met.append(False)
        return np.empty(0)

    monkeypatch.setattr(sums_of_rows, "FEW_PRODUCTS", few)
    monkeypatch.setattr(sums_of_rows, "_by_numpy", by_numpy)
    rows = rows_of(3).dated(range(3))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: moments_of_dates(rows, np.zeros((1, 1, 4)), 0), range(2)))
    assert met == [together] * 2


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("weighted", [False, True])
def test_bits_do_not_depend_on_how_many_dates_come_together(weighted: bool) -> None:
    held = rows_of(3, weighted)
    point = np.zeros((1, 1, 4))
    whole = held.moments_of_dates(range(3), point, 2**62, slice(0, T))
    scores = Scores(np.array([0.3, 1.0, -2.0, 0.5]), N)
    by_date = scores.add(held.dated(range(3)), held.listings.column)
    for size in (1, 5, 16):
        in_parts = Scores(scores.b, N)
        for first in range(0, T, size):
            dates = slice(first, min(first + size, T))
            part = held.at(np.arange(dates.start, dates.stop))
            own = part.moments_of_dates(range(3), point, 2**62, slice(0, part.shape[0]))
            np.testing.assert_array_equal(own, whole[dates])
            of_dates = in_parts.add(part.dated(range(3)), part.listings.column)
            np.testing.assert_array_equal(of_dates, by_date[dates])
        np.testing.assert_array_equal(in_parts.by_asset, scores.by_asset)
        np.testing.assert_array_equal(in_parts.products, scores.products)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("K", [1, 3, 6])
def test_scores_are_those_written_out(K: int, weighted: bool, constant: bool) -> None:
    pool = pool_of(K, weighted, constant)
    held = pool.cells
    assert isinstance(held, Ragged)
    used = held.valid
    z = np.column_stack([np.ones(used.sum()), held.X[used]])[:, 0 if constant else 1 :]
    w = np.ones(used.sum()) if held.weights is None else held.weights[used]
    scores = z * ((held.y[used] - z @ pool.b) * w)[:, None]
    found = sums(pool)
    scale = abs(scores).max(axis=0)
    for row, of_rows, count in (
        (held.listings.row[used], found.by_date, T),
        (held.listings.column[used], found.by_asset, N),
    ):
        expected = np.stack([np.bincount(row, one, count) for one in scores.T], axis=1)
        assert (abs(of_rows - expected) <= 1e-11 * scale).all()
    size = abs(scores).T @ abs(scores)
    assert (abs(found.cells - scores.T @ scores) <= 1e-12 * size).all()
    np.testing.assert_array_equal(found.cells, found.cells.T)


@pytest.mark.parametrize("weighted", [False, True])
def test_errors_are_those_of_numpy(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of(3, weighted, constant=True)
    assets = np.arange(N)
    found = []
    for many in (0, 2**62):
        monkeypatch.setattr(rule, "MANY_ROWS", many)
        two_way = clustered(pool, 0, [assets, None]).V
        found.append((two_way, driscoll_kraay(pool, 2, []).V))
    for one, other in zip(*found, strict=True):
        scale = np.sqrt(np.outer(np.diag(other), np.diag(other)))
        assert (abs(one - other) <= 1e-10 * scale).all()


@pytest.mark.usefixtures("compiled")
def test_dummies_are_left_to_numpy() -> None:
    plain = pool_of(2, weighted=False, constant=True)
    assert plain.is_compiled
    with_dummies = plain._replace(member=np.ones((N, 1)))
    assert not with_dummies.is_compiled


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (70, 3), (130, 1100)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_means_over_assets_have_the_bits_of_numpy(
    shape: tuple[int, int], order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(shape[1])
    cells = np.array(rng.standard_normal(shape) * 10.0 ** rng.uniform(-3, 3, shape), order=order)
    cells[rng.random(shape) < 0.3] = np.nan
    cells[0] = [-0.0, *[np.nan] * (shape[1] - 1)]
    cells[-1, 0] = np.inf
    found = []
    for many in (2**62, -1):
        monkeypatch.setattr(rule, "MANY_IN_WINDOWS", many)
        found.append(means_of_dates(cells))
    np.testing.assert_array_equal(found[0].view(np.int64), found[1].view(np.int64))


@pytest.mark.parametrize("shape", [(1, 1), (3, 64), (1100, 130), (5, 65)])
def test_cells_are_turned_as_numpy_takes_them(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[0])
    by_asset = rng.standard_normal(shape)
    listed = rng.random(shape[::-1]) < 0.5
    listed[shape[1] // 2] = False
    row, column = np.nonzero(listed)
    starts = np.searchsorted(row, np.arange(shape[1] + 1))
    into = np.full(len(row), np.nan)
    loops.turned(by_asset, starts, column.astype(np.int32), into)
    np.testing.assert_array_equal(into, by_asset.T[listed])
    of_more_dates = np.pad(by_asset, ((0, 0), (3, 2)))
    into[:] = np.nan
    loops.turned(of_more_dates[:, 3:-2], starts, column.astype(np.int32), into)
    np.testing.assert_array_equal(into, by_asset.T[listed])


@pytest.mark.parametrize("compiled", [False, True])
def test_what_some_cells_have_is_written_into_rows(
    compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule.Windows, "has_begun", compiled)
    rng = np.random.default_rng(7)
    shape = (40, 9)
    values = np.where(rng.random(shape) < 0.4, np.nan, rng.standard_normal(shape))
    listed = rng.random(shape) < 0.7
    listed[[0, 20]] = False
    row, column = np.nonzero(listed)
    dates = pd.bdate_range("2020-01-01", periods=len(values))
    assets = pd.Index([f"A{i}" for i in range(shape[1])])
    listings = Listings(dates, assets, row.astype(np.int32), column.astype(np.int32))
    known = ~np.isnan(values)
    increasing = Known(np.flatnonzero(known), values[known])
    order = np.argsort(np.flatnonzero(known) % shape[1], kind="stable")
    by_asset = Known(increasing.position[order], increasing.values[order], increasing=False)
    empty = Known(np.empty(0, dtype=np.intp), np.empty(0))
    for given, expected in (
        (increasing, values[listed]),
        (by_asset, values[listed]),
        (empty, np.full(len(row), np.nan)),
    ):
        np.testing.assert_array_equal(Writer(listings).column(given), expected)


def test_what_is_above_the_largest_rounding_is_none() -> None:
    rng = np.random.default_rng(4)
    size = rng.standard_normal(5000) * 10.0 ** rng.uniform(-18, 3, 5000)
    spread = np.abs(size) * 10.0 ** rng.uniform(-20, -10, 5000)
    size[:9] = np.nan
    flat = rounding_alone(spread, size, FLAT, lambda: True)
    assert flat.any()
    assert (spread[flat] <= largest_rounding(size, FLAT)).all()
    assert largest_rounding(np.full(3, np.nan), FLAT) == FLAT


def test_a_flat_window_among_others_has_no_variance() -> None:
    cells = np.random.default_rng(5).standard_normal((40, 3))
    cells[10:20, 1] = 0.1
    cells[:, 2] = np.nan
    variance, _ = trailing.variances(np.asfortranarray(cells), 5)
    assert (variance[10:16, 1] == 0.0).all()
    assert (variance[:, 0] > 0.0).all()
    assert np.isnan(variance[:, 2]).all()
