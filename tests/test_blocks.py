"""A panel in files gives, to the last bit, what the same panel in memory gives."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_ragged_panels import MODELS, N, T, ragged

from runner.compute.executors.executor import Executor
from runner.compute.executors.local import Inline, Processes, Threads
from runner.data.columns.listings import Listings
from runner.data.columns.long import LongColumn
from runner.data.fields import Fields
from runner.data.market import Market
from runner.data.rules import admitted
from runner.errors import DataError
from runner.experiment.auditing.cuts import sample
from runner.features.expressions import Expression
from runner.features.functions import beta, change, field, momentum, volatility
from runner.features.lookback import looks_back
from runner.models import Regression
from runner.panels import memory
from runner.panels.blocks import building, dividing, making
from runner.panels.blocks.building import build_in_blocks
from runner.panels.blocks.recipe import Recipe
from runner.panels.building import build_panel
from runner.panels.numbers import some_assets
from runner.panels.numbers import stored as of_files
from runner.panels.numbers.cells import Ragged, Stored
from runner.panels.numbers.rowfiles import Layout, RowFile, write_rows
from runner.panels.panel import Panel
from runner.panels.rows import digest_of
from runner.preprocessing import steps
from runner.preprocessing.applying import Step
from runner.progress import reading
from runner.targets import Target, forward_return
from runner.validation.benchmark import train_means
from runner.validation.folds import shared_by
from runner.validation.splitters import Fold

# what a file has, and how many dates are read at a time, divide each other nowhere
CUTS = (0, 13, 41, 42, 77, T)
FEW_BYTES = 7_000


@pytest.fixture(autouse=True)
def _little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some dates are read at a time, and no part is small enough to be held."""
    monkeypatch.setattr(of_files, "AT_A_TIME", FEW_BYTES)
    monkeypatch.setattr(of_files, "HELD", FEW_BYTES)


def in_files(panel: Panel, folder: Path) -> Panel:
    """The same panel of rows, its numbers in files."""
    cells = panel.cells
    assert isinstance(cells, Ragged)
    layout = Layout(cells.features, cells.has_weights, cells.raw is not None)
    files = []
    for first, stop in pairwise(CUTS):
        part = cells.at(np.arange(first, stop))
        others = [part.y, part.weights, part.raw]
        numbers = [*(column for column in others if column is not None), *part.X.T]
        path = folder / f"{first}.rows"
        write_rows(path, part.listings.column, part.valid, numbers)
        files.append(RowFile(path, first, part.starts, part.usable_by_date()))
    T, _ = cells.shape
    every = tuple(range(cells.features))
    stored = Stored(tuple(files), layout, panel.dates, cells.listings.assets, 0, T, every)
    return replace(panel, cells=stored)


STREAMED = [
    "date",
    "pooled",
    "pooled, some",
    "pooled, white",
    "pooled, two-way",
    "pooled, Driscoll-Kraay",
    "pooled, dummies",
    "ridge",
    "lasso",
]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_every_estimator_gives_the_same_bits(name: str, weighted: bool, tmp_path: Path) -> None:
    rows = ragged(weighted=weighted)
    settings = MODELS[name]
    if settings.get("weights") == "inverse_variance":
        pytest.skip("an asset has one row")
    if weighted and settings.get("estimator", "ols") == "ols":
        settings = {"weights": "w", **settings}
    expected = Regression(**settings).fit(rows)
    fit = Regression(**settings).fit(in_files(rows, tmp_path))
    for table in ("coefficients", "quality", "hypotheses"):
        pd.testing.assert_frame_equal(
            getattr(fit, table), getattr(expected, table), check_exact=True
        )
    np.testing.assert_array_equal(fit.params, expected.params)


@pytest.mark.parametrize("name", STREAMED)
def test_rows_are_never_in_memory_at_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(cells: Stored) -> Ragged:
        raise AssertionError("all rows were asked for")

    monkeypatch.setattr(Stored, "held", property(refuse))
    panel = in_files(ragged(seed=13, horizon=1), tmp_path)
    fit = Regression(**MODELS[name]).fit(panel)
    assert np.isfinite(fit.params).any()


@pytest.mark.parametrize("name", ["asset", "date", "sector", "pooled", "ridge", "pooled, dummies"])
@pytest.mark.parametrize("raw", [False, True], ids=["as it is", "transformed"])
def test_every_forecast_has_the_same_bits(name: str, raw: bool, tmp_path: Path) -> None:
    rows = ragged(seed=2, horizon=1, raw=raw)
    files = in_files(rows, tmp_path)
    model = Regression(**MODELS[name])
    folds = [
        Fold(str(k), np.arange(start), np.arange(start, stop), np.arange(0))
        for k, (start, stop) in enumerate(pairwise([40, 55, 70, 90]))
    ]
    of_rows = replace(rows, shared=shared_by(folds, rows))
    of_files = replace(files, shared=shared_by(folds, files))
    for fold in folds:
        for one, other in ((rows, files), (of_rows, of_files)):
            expected = model.on(one).forecast(one, fold)
            forecast = model.on(other).forecast(other, fold)
            np.testing.assert_array_equal(forecast, expected)
        np.testing.assert_array_equal(train_means(files, fold.train), train_means(rows, fold.train))
    assert digest_of(files) == digest_of(rows)


def test_parts_have_the_numbers_of_parts_in_memory(tmp_path: Path) -> None:
    rows = ragged(seed=3, weighted=True, raw=True)
    files = in_files(rows, tmp_path)
    spans = [np.arange(5, 60), np.array([3, 8, 50]), np.arange(0)]
    some = np.array([0, 4, 7])
    for dates in spans:
        for assets in (np.arange(N), some):
            expected = rows.cells.of(dates, assets)
            part = files.cells.of(dates, assets)
            np.testing.assert_array_equal(part.usable_by_date(), expected.usable_by_date())
            np.testing.assert_array_equal(part.X, expected.X)
            np.testing.assert_array_equal(part.weights, expected.weights)
            np.testing.assert_array_equal(part.raw, expected.raw)
    on = np.arange(T) % 3 > 0
    masked = files.cells.used_on(on)
    np.testing.assert_array_equal(masked.valid, rows.cells.used_on(on).valid)
    np.testing.assert_array_equal(masked.usable_by_date(), rows.cells.used_on(on).usable_by_date())
    unknown = files.cells.without_targets()
    np.testing.assert_array_equal(unknown.valid, rows.cells.without_targets().valid)
    for chosen in (np.arange(T), np.array([2, 30])):
        np.testing.assert_array_equal(
            files.cells.differ_between_assets(chosen), rows.cells.differ_between_assets(chosen)
        )
    assert files.cells.few_values == rows.cells.few_values


# ---- a panel made by blocks of dates ----

DATES, NAMES = 300, 40
STEPS = [Step(partial(steps.zscore), "zscore", None)]


@looks_back(lambda rows: rows)
def own_highest(market: Market, *, rows: int) -> pd.DataFrame:
    """A function of a user's own, which says how far it looks back."""
    return market.get("size").rolling(rows).max()


@looks_back(2)
def forgetful(market: Market) -> pd.DataFrame:
    """One that says less than it uses."""
    return market.get("size").rolling(9).mean()


def unknown(market: Market) -> pd.DataFrame:
    return market.get("size").cumsum()


FEATURES: dict[str, Any] = {
    "rate": partial(change, series="rate"),
    "momentum": partial(momentum, window=21),
    "volatility": partial(volatility, window=10),
    "beta": partial(beta, window=30),
    "characteristic": partial(field, name="c"),
    "rank": Expression("rank(log(size))"),
    "own": partial(own_highest, rows=5),
}


def market_of_rows(seed: int = 0) -> Market:
    """Returns of assets that come, go and come back, with two characteristics and two series."""
    rng = np.random.default_rng(seed)
    first = rng.integers(-50, DATES - 10, NAMES)
    last = first + rng.exponential(150, NAMES).astype(int) + 3
    date = np.arange(DATES)[:, None]
    there = (first <= date) & (date < last) & (rng.random((DATES, NAMES)) > 0.05)
    row, column = np.nonzero(there)
    dates = pd.bdate_range("2000-01-03", periods=DATES, name="date")
    assets = pd.Index([f"A{i:02}" for i in range(NAMES)])
    listings = Listings(dates, assets, row.astype(np.int32), column.astype(np.int32))
    n = len(row)
    characteristic = rng.normal(size=n)
    characteristic[rng.random(n) < 0.1] = np.nan
    returns = rng.normal(0, 0.02, n)
    returns[rng.random(n) < 0.01] = -3.0  # which a rule takes away
    size = np.exp(rng.normal(size=n))
    fields = {"ret": returns, "c": characteristic, "size": size}
    columns = {name: LongColumn(listings, values) for name, values in fields.items()}
    rate = pd.Series(rng.uniform(0.1, 1.0, DATES), dates)
    rate.iloc[120] = 0.0  # which has no relative change
    market_ret = pd.Series(rng.normal(0, 0.01, DATES), dates, name="M")
    market = Market(
        "rows",
        Fields(columns),
        pd.DataFrame({"rate": rate}),
        market_ret=market_ret,
        groups=pd.DataFrame({"sector": [f"S{i % 3}" for i in range(NAMES)]}, index=assets),
    )
    return admitted(market, 0.05)


def recipe_of(**changed: Any) -> Recipe:
    settings = {
        "features": FEATURES,
        "target": partial(forward_return, horizon=2),
        "steps": STEPS,
        "weights": "size",
        "allow_loss": 0.02,
    }
    return Recipe(**{**settings, **changed})


@pytest.mark.parametrize("numbers", [2**12, 2**14, 2**30])
@pytest.mark.parametrize("executor", [Inline, Threads, Processes])
def test_blocks_of_any_size_make_the_panel_of_all_dates(
    executor: type[Executor], numbers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if executor is Processes and numbers != 2**14:
        pytest.skip("processes take a second to start")
    monkeypatch.setattr(dividing, "NUMBERS", numbers)
    market = market_of_rows()
    recipe = recipe_of()
    with monkeypatch.context() as few_cells:
        few_cells.setattr(some_assets, "CELLS", 1000)  # no column is held in every cell
        few_cells.setattr(some_assets, "WHOLE", 1000)  # no column is held in every cell
        expected = build_panel(
            market, recipe.features, recipe.target, recipe.steps, recipe.weights, recipe.allow_loss
        )
    with executor() as made_by:
        panel = build_in_blocks(market, recipe, tmp_path / "panel", made_by)
    held = panel.cells.held
    assert len(panel.cells.files) > 1 or numbers == 2**30
    for name in ("y", "X", "valid", "weights"):
        np.testing.assert_array_equal(getattr(held, name), getattr(expected.cells, name))
    np.testing.assert_array_equal(held.listings.position, expected.cells.listings.position)
    assert sorted(panel.dropped) == sorted(expected.dropped)
    reasons = [line.reason for line in panel.dropped]
    assert "rate has no value where rate was zero or negative" in reasons
    assert "target has no value where ret was below -1" in reasons
    assert panel.unit == expected.unit
    assert panel.horizon == 2


def test_a_killed_run_makes_only_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dividing, "NUMBERS", 2**12)
    market = market_of_rows()
    made: list[slice] = []
    whole = making.part_of

    def killed(market: Market, reach: Any, block: slice) -> Market:
        made.append(block)
        if len(made) == 3:
            raise KeyboardInterrupt
        return whole(market, reach, block)

    monkeypatch.setattr(making, "part_of", killed)
    with pytest.raises(KeyboardInterrupt):
        build_in_blocks(market, recipe_of(), tmp_path, Inline())
    before = len(made)
    panel = build_in_blocks(market, recipe_of(), tmp_path, Inline())
    again = made[before:]
    assert len(again) < len(panel.cells.files)
    monkeypatch.setattr(making, "part_of", whole)
    expected = build_in_blocks(market, recipe_of(), tmp_path / "other", Inline())
    np.testing.assert_array_equal(panel.cells.held.X, expected.cells.held.X)


def test_what_needs_all_dates_at_once_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    recipe = recipe_of(
        features={"mine": unknown, "all": Expression("ewma(size, 5)")},
        target=own_target,
        steps=[Step(partial(own_step), "own_step", None)],
    )
    with pytest.raises(DataError) as error:
        build_in_blocks(market_of_rows(), recipe, tmp_path, Inline())
    places = [line.split(":")[0] for line in error.value.mistakes]
    assert places == ["features.mine", "features.all", "target", "preprocess.own_step"]
    assert not list(tmp_path.iterdir())


def own_target(market: Market) -> Target:
    return forward_return(market)


def own_step(cross: Any) -> np.ndarray:
    return np.asarray(cross.values)


def test_a_feature_that_looks_back_further_than_it_says_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dividing, "NUMBERS", 2**12)
    longer = partial(momentum, window=21)  # another feature gives it no rows that it does not name
    recipe = recipe_of(features={"mine": forgetful, "longer": longer})
    with pytest.raises(DataError, match=r"features\.mine: it changes where the data begin earlier"):
        build_in_blocks(market_of_rows(), recipe, tmp_path, Inline())


@looks_back(5)
def running_mean(market: Market) -> pd.DataFrame:
    """Whose last bits depend on where the data begin: pandas adds and takes off rows."""
    return market.get("size").rolling(5).mean()


def test_rounding_of_a_running_sum_is_no_look_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dividing, "NUMBERS", 2**12)
    market = market_of_rows()
    recipe = recipe_of(features={"mine": running_mean}, steps=[])
    panel = build_in_blocks(market, recipe, tmp_path, Inline())
    expected = build_panel(market, recipe.features, recipe.target, [], recipe.weights)
    np.testing.assert_allclose(panel.cells.held.X, expected.cells.X, rtol=1e-12)


def test_a_series_below_zero_too_often_stops_it(tmp_path: Path) -> None:
    recipe = recipe_of(allow_loss=0.001)
    with pytest.raises(DataError, match=r"features.rate: rate is zero or negative on 1 of its 300"):
        build_in_blocks(market_of_rows(), recipe, tmp_path, Inline())


def test_blocks_do_not_say_what_each_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(memory, "TOLD", 1)
    with reading(notes.append):
        build_in_blocks(market_of_rows(), recipe_of(), tmp_path, Inline())
    assert not notes


def test_panels_used_long_ago_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "MOST_BYTES", 1000)
    old = tmp_path / "old"
    recent = tmp_path / "recent"
    for folder in (old, recent):
        folder.mkdir()
        (folder / "000000.rows").write_bytes(bytes(900))
    os.utime(old, (0.0, 0.0))
    build_in_blocks(market_of_rows(), recipe_of(), tmp_path / "new", Inline())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "recent"]


def test_the_audit_tries_assets_that_are_there() -> None:
    """Of names that are each listed on a few of many dates, those drawn have rows on the dates drawn."""
    rng = np.random.default_rng(1)
    T, N, life = 6_000, 300, 60
    first = np.sort(rng.integers(0, T - life, N))
    row = np.concatenate([np.arange(start, start + life) for start in first])
    column = np.repeat(np.arange(N), life)
    order = np.lexsort((column, row))
    dates = pd.bdate_range("1990-01-01", periods=T, name="date")
    cells = (row[order].astype(np.int32), column[order].astype(np.int32))
    listings = Listings(dates, pd.Index([f"A{i}" for i in range(N)]), *cells)
    returns = LongColumn(listings, rng.normal(size=len(row)))
    market = Market("thin", Fields({"ret": returns}), pd.DataFrame(index=dates))
    part = sample(market, 16_000, 6, 5_000, np.random.default_rng(0))
    assert len(part.dates) == 5_000
    assert part.fields["ret"].notna().any().all()
    assert len(part.assets) == 24, "eight times the three that a full panel has in so many cells"


def test_one_name_on_the_dates_of_the_middle_is_no_other_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dividing, "NUMBERS", 1)
    monkeypatch.setattr(dividing, "CHUNK", 1)
    dates = 400
    first, last = np.zeros((2, dates), dtype=bool)
    first[:60] = True  # in the longer past of the middle alone
    last[-20:] = True
    listed = np.column_stack([np.ones(dates, dtype=bool), last, first])
    row, column = np.nonzero(listed)
    index = pd.bdate_range("2000-01-03", periods=dates)
    names = pd.Index(["A", "B", "C"])
    listings = Listings(index, names, row.astype(np.int32), column.astype(np.int32))
    ret = LongColumn(listings, np.random.default_rng(0).normal(size=len(row)))
    market = Market("simulated", Fields({"ret": ret}), pd.DataFrame(index=index))
    features = {"past": partial(momentum, window=60)}
    recipe = Recipe(features, partial(forward_return), (), None, 1.0)
    expected = build_panel(market, features, recipe.target)
    panel = build_in_blocks(market, recipe, tmp_path / "panel", Inline())
    np.testing.assert_array_equal(panel.cells.held.X, expected.cells.X)
