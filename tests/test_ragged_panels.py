"""A panel of rows of listed cells gives what the same panel gives as arrays of every cell."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runner.data.columns import listings
from runner.data.columns.listings import Listings
from runner.data.columns.long import LongColumn
from runner.data.columns.order import in_order
from runner.data.fields import Fields
from runner.data.labels import Labels
from runner.data.market import Market
from runner.data.reading.cells import fields_of_cells
from runner.errors import DataError, EstimationError
from runner.features.expressions import Expression
from runner.features.functions import (
    beta,
    field,
    lagged_return,
    market_return,
    momentum,
    realised_volatility,
    shared,
    volatility,
    volume_surprise,
)
from runner.models import Boosting, Regression
from runner.models.study import Study
from runner.panels.building import build_panel
from runner.panels.numbers import gathering, some_assets
from runner.panels.numbers.cells import Cube, Ragged
from runner.panels.numbers.selections import side_by_side
from runner.panels.numbers.usable import usable_cells
from runner.panels.panel import Panel
from runner.panels.rows import digest_of, known, rows_of
from runner.preprocessing import steps
from runner.preprocessing.applying import Step
from runner.targets import (
    Target,
    forward_return,
    forward_volatility,
    same_period_return,
    up,
)
from runner.trials.influence import influence, influence_of
from runner.validation.benchmark import train_means
from runner.validation.folds import shared_by
from runner.validation.splitters import Fold

T, N, K = 90, 40, 3
ROUNDING = 1e-9  # relative: sums in another order, of numbers near one
EMPTY = 41  # a date at which no asset is listed


def listed(rng: np.random.Generator) -> np.ndarray:
    """Cells (T, N) of assets that come and go, some come back, one is there on one date alone."""
    there = np.zeros((T, N), dtype=bool)
    for i in range(N):
        start = int(rng.integers(0, T - 12))
        there[start : start + int(rng.integers(8, 45)), i] = True
    there[5:20, 0] = True
    there[70:85, 0] = True  # returns after years
    there[:, 1] = False
    there[33, 1] = True
    there[EMPTY] = False
    return there


def ragged(seed: int = 0, horizon: int = 0, weighted: bool = False, raw: bool = False) -> Panel:
    """A panel of rows, some of them without a target or a feature, one with an infinite one."""
    rng = np.random.default_rng(seed)
    row, column = np.nonzero(listed(rng))
    n = len(row)
    X = rng.normal(size=(n, K)) * [1.0, 100.0, 0.01] + [0.0, 1e4, 0.0]
    X[:, 0] = X[:, 0].round(1)  # ties
    level = rng.normal(size=N)[column]
    y = level + X @ [0.3, 0.002, -4.0] + rng.standard_t(4, size=n)
    y[rng.random(n) < 0.05] = np.nan
    X[rng.random((n, K)) < 0.03] = np.nan
    X[7, 1] = np.inf
    weights = rng.uniform(0.5, 2.0, n) if weighted else None
    assets = [f"A{i:02d}" for i in range(N)]
    dates = pd.bdate_range("2015-01-01", periods=T)
    positions = (row.astype(np.int32), column.astype(np.int32))
    listings = Listings(dates, pd.Index(assets), *positions)
    unmarked = np.zeros(n, dtype=bool)
    cells = Ragged(listings, y, X, unmarked, weights, np.exp(y / 10.0) if raw else None)
    names = [f"x{k}" for k in range(K)]
    marked, unknown = usable_cells(cells, names, "w", None, {})
    sectors = pd.DataFrame({"sector": [f"S{i % 3}" for i in range(N)]}, index=assets)
    codes = np.random.default_rng(1).integers(0, 2, (T, N)).astype(np.int32)
    return Panel(
        dates,
        assets,
        names,
        cells=marked,
        horizon=horizon,
        groups=sectors,
        dropped=unknown,
        unknown=unknown,
        labels={"exchange": Labels.of(codes, ["AMEX", "NYSE"])},
    )


def as_arrays(panel: Panel) -> Panel:
    """The same with an array of every cell."""
    return replace(panel, cells=panel.cells.cube)


def same(one: Any, other: Any) -> None:
    """Both tables are the same up to rounding."""
    pd.testing.assert_frame_equal(one, other, rtol=ROUNDING, atol=1e-12)


MODELS = {
    "asset": {"by": "asset"},
    "asset, HAC": {"by": "asset", "cov": "HAC"},
    "asset, no constant": {"by": "asset", "constant": False},
    "date": {"by": "date"},
    "date, HC1": {"by": "date", "cov": "HC1"},
    "date, dummies": {"by": "date", "dummies": ["sector"]},
    "sector": {"by": "sector"},
    "sector, cluster": {"by": "sector", "cov": "cluster", "clusters": ["asset"]},
    "exchange of the date": {"by": "exchange"},
    "exchange of the date, two-way": {
        "by": None,
        "dummies": ["exchange", "sector"],
        "cov": "cluster",
        "clusters": ["asset", "date"],
    },
    "clusters of the exchange of the date": {
        "by": None,
        "cov": "cluster",
        "clusters": ["exchange", "date"],
    },
    "effects of the exchange of the date": {"by": None, "effects": ["exchange*date"]},
    "pooled": {"by": None},
    "pooled, some": {"by": None, "regressors": ["x2", "x0"]},
    "pooled, white": {"by": None, "cov": "HC1"},
    "pooled, two-way": {"by": None, "cov": "cluster", "clusters": ["asset", "date"]},
    "pooled, Driscoll-Kraay": {"by": None, "cov": "driscoll_kraay"},
    "pooled, dummies": {"by": None, "dummies": ["sector"]},
    "asset effects": {"by": None, "effects": ["asset"]},
    "two effects": {
        "by": None,
        "effects": ["asset", "date"],
        "cov": "cluster",
        "clusters": ["date"],
    },
    "sector x date effects": {"by": None, "effects": ["sector*date"]},
    "inverse variance": {"by": None, "weights": "inverse_variance"},
    "ridge": {"by": None, "estimator": "ridge", "penalty": 3.0},
    "ridge by asset": {"by": "asset", "estimator": "ridge", "penalty": 3.0},
    "lasso": {"by": None, "estimator": "lasso", "penalty": 0.01},
}


@pytest.mark.parametrize("name", ["asset effects", "two effects", "sector x date effects"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_what_dates_add_beside_effects_is_that_of_arrays(
    name: str, weighted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ragged(seed=4, weighted=weighted)
    model = Regression(**{**MODELS[name], **({"weights": "w"} if weighted else {})})
    found = []
    for panel, numbers in ((rows, 2_000), (rows, 10**9), (as_arrays(rows), 10**9)):
        monkeypatch.setattr("runner.trials.influence.CELLS", numbers)
        found.append(influence_of(panel, model, model.fit(panel)))
    for one in found[:2]:
        same(one.series, found[2].series)
        same(one.contributions, found[2].contributions)
        assert one.doubts == found[2].doubts


@pytest.mark.parametrize(
    "settings",
    [{"by": None}, {"by": None, "dummies": ["sector"]}, {"by": "sector"}, {"by": "asset"}],
    ids=["pooled", "dummies", "sector", "asset"],
)
def test_a_logit_of_rows_is_that_of_arrays(settings: dict[str, Any]) -> None:
    rows = ragged(seed=6)
    up = np.where(np.isnan(rows.cells.y), np.nan, rows.cells.y > np.nanmedian(rows.cells.y))
    rows = replace(rows, cells=replace(rows.cells, y=up))
    model = Regression(estimator="logit", regressors=["x0", "x2"], **settings).on(rows)
    found = []
    for panel in (rows, as_arrays(rows)):
        fit = model.fit(panel)
        found.append((fit, influence_of(panel, model, fit)))
    (one, its), (other, others) = found
    same(one.coefficients, other.coefficients)
    same(its.series, others.series)
    same(its.contributions, others.contributions)
    wrong = replace(rows, cells=replace(rows.cells, y=np.where(up == 1.0, 2.0, up)))
    lines = set()
    for panel in (wrong, as_arrays(wrong)):
        with pytest.raises(DataError) as error:
            model.fit(panel)
        lines.update(error.value.mistakes)
    [line] = lines
    assert line.startswith("target: given 2 of A") and "more rows neither 0 nor 1" in line


@pytest.mark.parametrize("settings", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_every_estimator_gives_what_it_gives_on_arrays(
    settings: dict[str, Any], weighted: bool
) -> None:
    rows = ragged(weighted=weighted)
    if settings.get("weights") == "inverse_variance":  # which needs two rows of each asset
        rows = rows.part(np.arange(T), np.delete(np.arange(N), 1))
    if weighted and settings.get("estimator", "ols") == "ols":
        settings = {"weights": "w", **settings}
    one = Regression(**settings).fit(rows)
    other = Regression(**settings).fit(as_arrays(rows))
    for table in ("coefficients", "quality", "hypotheses"):
        same(getattr(one, table), getattr(other, table))
    np.testing.assert_allclose(one.params, other.params, rtol=ROUNDING, atol=1e-12)


@pytest.mark.parametrize(
    "name",
    [
        "asset",
        "date",
        "sector",
        "pooled",
        "asset effects",
        "ridge",
        "pooled, dummies",
        "exchange of the date",
        "exchange of the date, two-way",
    ],
)
def test_every_forecast_is_that_of_arrays(name: str) -> None:
    rows = ragged(seed=2, horizon=1)
    arrays = as_arrays(rows)
    model = Regression(**MODELS[name])
    folds = [
        Fold(str(k), np.arange(start), np.arange(start, stop), np.arange(0))
        for k, (start, stop) in enumerate(pairwise([40, 55, 70, 90]))
    ]
    with_moments = replace(rows, shared=shared_by(folds, rows))
    for fold in folds:
        expected = model.on(arrays).forecast(arrays, fold)
        usable = arrays.valid[fold.test]
        for panel in (rows, with_moments):
            forecast = model.on(panel).forecast(panel, fold)
            assert np.isfinite(forecast[usable]).sum() == np.isfinite(expected[usable]).sum() > 0
            np.testing.assert_allclose(forecast[usable], expected[usable], rtol=1e-8)
        np.testing.assert_allclose(train_means(rows, fold.train), train_means(arrays, fold.train))


@pytest.mark.parametrize(
    "name",
    [
        "asset",
        "date",
        "pooled",
        "pooled, two-way",
        "pooled, Driscoll-Kraay",
        "sector",
        "ridge",
        "exchange of the date",
        "exchange of the date, two-way",
        "clusters of the exchange of the date",
        "asset effects",
        "two effects",
        "sector x date effects",
    ],
)
def test_no_feature_becomes_an_array_of_every_cell(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = ragged(seed=13, horizon=1)
    wide = Ragged.wide

    def without_features(cells: Ragged, array: Any) -> Any:
        few = cells.shape[1] < N  # a few assets at a time may be arrays
        assert array != "X" or few, "the features of every cell were asked for"
        return wide(cells, array)

    monkeypatch.setattr(Ragged, "wide", without_features)
    monkeypatch.setattr("runner.trials.influence.CELLS", 2_000)
    model = Regression(**MODELS[name]).on(rows)
    fit = model.fit(rows)
    assert np.isfinite(fit.params).any()
    fold = Fold("1", np.arange(60), np.arange(60, T), np.arange(0))
    assert np.isfinite(model.forecast(rows, fold)).any()
    study = Study(None, rows, model, fit, [fold], pd.DataFrame())  # type: ignore[arg-type]
    influence(study)


def test_the_rows_of_all_assets_are_put_in_order_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []

    def counted(codes: np.ndarray, count: int) -> np.ndarray:
        lengths.append(len(codes))
        return in_order(codes, count)

    monkeypatch.setattr(listings, "in_order", counted)
    panel = ragged()
    model = Regression(by="asset")
    influence(Study(None, panel, model, model.fit(panel), [], pd.DataFrame()))  # type: ignore[arg-type]
    assert lengths.count(panel.cells.rows) <= 1


def test_a_cell_that_is_not_listed_is_no_other() -> None:
    cells = ragged().cells
    with pytest.raises(IndexError, match="a cell without a row is asked for"):
        cells.taken_at(np.array([EMPTY]), np.array([2]))


@pytest.mark.parametrize("cells_for_each", [1, 64, 10_000])
@pytest.mark.parametrize("in_order", [True, False])
def test_places_of_cells_are_those_of_a_search(
    cells_for_each: int, in_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a table where cells lie near each other, else by a search; some cells at a time."""
    monkeypatch.setattr(listings, "SPARSE", cells_for_each)
    monkeypatch.setattr(listings, "NUMBERS", 100)
    cells = ragged().cells
    position = np.arange(T * N)
    if not in_order:
        position = np.random.default_rng(0).permutation(position)
    wanted = {int(cell): place for place, cell in enumerate(cells.listings.position)}
    expected = [wanted.get(int(cell), -1) for cell in position]
    assert cells.listings.places(position).tolist() == expected
    assert len(cells.listings.places(position[:0])) == 0


def test_boosting_takes_the_rows_too() -> None:
    rows = ragged(seed=5)
    model = Boosting(rounds=5)
    one, other = (model.fit(panel, np.arange(T)) for panel in (rows, as_arrays(rows)))
    np.testing.assert_array_equal(model.predict(one, rows), model.predict(other, rows))


@pytest.mark.parametrize("raw", [False, True])
def test_parts_of_rows_are_parts_of_arrays(raw: bool) -> None:
    rows = ragged(seed=3, weighted=True, raw=raw)
    arrays = as_arrays(rows)
    some = np.array([3, 4, 5, 30, EMPTY, 77])
    assets = np.array([7, 0, 31, 1])
    parts = {
        "at": (rows.at(some), arrays.at(some)),
        "slice": (rows.at(np.arange(20, 60)), arrays.at(np.arange(20, 60))),
        "none": (rows.at(np.arange(0)), arrays.at(np.arange(0))),
        "part": (rows.part(some, assets), arrays.part(some, assets)),
        "twice": (rows.part(some, assets[[0, 0, 2]]), arrays.part(some, assets[[0, 0, 2]])),
        "unknown": (rows.without_targets(some), arrays.without_targets(some)),
        "of": (rows.of(["x0", "x2"], "w"), arrays.of(["x0", "x2"], "w")),
    }
    for name, (one, other) in parts.items():
        for array in ("y", "X", "valid", "weights", "raw"):
            np.testing.assert_array_equal(
                getattr(one, array), getattr(other, array), err_msg=f"{name} {array}"
            )
        np.testing.assert_array_equal(one.usable_by_date, other.usable_by_date)
        assert one.dropped == other.dropped
        assert one.dropped_cells == other.dropped_cells == other.valid.size - other.valid.sum()


def test_which_cells_are_usable_and_why_not_is_the_same() -> None:
    rows = ragged(seed=4, weighted=True)
    arrays = as_arrays(rows)
    assert isinstance(rows.cells, Ragged)
    assert isinstance(arrays.cells, Cube)
    keep = np.random.default_rng(8).random((T, N)) < 0.9
    for kept in (None, keep):
        one, account = usable_cells(rows.cells, rows.names, "w", kept, {})
        other, expected = usable_cells(arrays.cells, rows.names, "w", kept, {})
        np.testing.assert_array_equal(one.wide("valid"), other.valid)
        assert account == expected
        assert sum(line.rows for line in account) > 0
    assert digest_of(rows) == digest_of(arrays)
    np.testing.assert_array_equal(
        rows.cells.spread(known(rows, ["x1"]), False), known(arrays, ["x1"])
    )
    for kind in ("own", "common"):
        assert (
            rows_of(rows, ["x1"], kind, "w")[1].words == rows_of(arrays, ["x1"], kind, "w")[1].words
        )


def test_moments_of_dates_and_assets_are_those_of_arrays() -> None:
    rows = ragged(seed=6, weighted=True).cells
    for by in ("date", "asset"):
        for columns in ([0, 1, 2], [2, 0], [1]):
            point = rows.cube.point(columns, by)
            one = rows.moments(columns, point, by_date=by == "date")
            other = rows.cube.moments(columns, point, by_date=by == "date")
            np.testing.assert_allclose(one, other, rtol=ROUNDING, atol=1e-7)


def scaled(scale: float) -> Panel:
    """A panel whose first feature is multiplied by this."""
    panel = ragged(seed=12)
    cells = panel.cells
    return replace(panel, cells=replace(cells, X=cells.X * [scale, 1.0, 1.0]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-60, 1e60])
@pytest.mark.parametrize("by", ["date", None, "asset"])
def test_columns_of_any_scale_are_those_of_arrays(scale: float, by: str | None) -> None:
    rows = scaled(scale)
    one, other = (Regression(by=by).fit(panel) for panel in (rows, as_arrays(rows)))
    np.testing.assert_allclose(
        one.coefficients["estimate"], other.coefficients["estimate"], rtol=1e-7
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("by", ["date", None, "asset"])
def test_columns_too_large_for_squares_are_refused_in_one_line(by: str | None) -> None:
    with pytest.raises(EstimationError, match="could be estimated"):
        Regression(by=by).fit(scaled(1e200))


def test_a_feature_that_all_assets_share_is_refused_by_date() -> None:
    panel = ragged(seed=7)
    cells = panel.cells
    X = cells.X.copy()
    X[:, 1] = cells.listings.row
    panel = replace(panel, cells=replace(cells, X=X))
    with pytest.raises(DataError, match="x1 is the same for every asset on a date"):
        Regression(by="date").fit(panel)


def test_other_arrays_make_a_panel_of_arrays() -> None:
    panel = ragged()
    doubled = replace(panel, X=2.0 * panel.X)
    assert isinstance(doubled.cells, Cube)
    np.testing.assert_array_equal(doubled.X, 2.0 * panel.X)
    np.testing.assert_array_equal(doubled.y, panel.y)
    with pytest.raises(TypeError, match="a panel has no yy"):
        Panel(panel.dates, panel.assets, panel.names, cells=panel.cells, yy=1)


def test_the_target_of_few_values_is_found_in_rows() -> None:
    panel = ragged(seed=9)
    cells = panel.cells
    y = cells.y.copy()
    coarse = np.isin(cells.listings.column, [0, 3])
    y[coarse] = np.round(y[coarse] % 3.0)
    cells = replace(cells, y=y)
    marked, _ = usable_cells(cells, panel.names, None, None, {})
    assert marked.few_values == marked.cube.few_values
    assert 0 in marked.few_values


def market_of(panel: Panel, few: bool) -> Market:
    """Its target and features as fields of a market, long or as frames."""
    cells = panel.cells
    numbers = {"ret": cells.y, **{name: cells.X[:, k] for k, name in enumerate(panel.names)}}
    columns = {name: LongColumn(cells.listings, values) for name, values in numbers.items()}
    fields = Fields(columns)
    if not few:
        fields = Fields.of_frames({name: fields[name] for name in columns})
    series = pd.DataFrame({"rate": np.arange(float(T))}, index=panel.dates)
    return Market("made", fields, series, groups=panel.groups, labels=panel.labels)


FEATURES: dict[str, Any] = {
    "x0": Expression("x0"),
    "x1": partial(field, name="x1"),
    "trend": Expression("mean(x2, 3)"),
    "spread": Expression("x0 - rate"),
    "rate": Expression("rate"),
    "cells": Expression("log(abs(x0)) / where(x1 > 0, x1, x2)"),
}
STEPS = {
    "rank": Step(partial(steps.rank), "rank", None),
    "in sectors": Step(partial(steps.demean, group="sector"), "demean", ["x0", "trend"]),
    "of the date": Step(partial(steps.demean, group="exchange"), "demean", None),
    "clipped target": Step(partial(steps.clip, low=-0.5, high=0.5), "clip", ["x0", "target"]),
    "fill": Step(partial(steps.fill), "fill", ["x0", "x1"]),
    "forward fill": Step(partial(steps.forward_fill), "forward_fill", ["x0", "x1"]),
    "neutralise": Step(partial(steps.neutralise, group="sector"), "neutralise", ["x0", "x1"]),
    "sparse": Step(partial(steps.drop_sparse, most=0.3), "drop_sparse", None),
    "universe": Step(partial(steps.universe, by="x0", low=-0.8), "universe", None),
}


def own(market: Market) -> pd.DataFrame:
    """A feature of a user's own, which may compare assets."""
    returns = market.returns()
    return returns.sub(returns.mean(axis=1), axis=0)


OF_PARTS: dict[str, Any] = {
    "momentum": partial(momentum, window=3),
    "lagged": partial(lagged_return, lag=2),
    "volatility": partial(volatility, window=4),
    "realised": partial(realised_volatility, window=3),
    "beta": partial(beta, window=5),
    "index": partial(market_return),
    "rate": partial(shared, series="rate"),
    "trend": Expression("mean(x2, 3) * std(ret, 4) - rate"),
    "field": partial(field, name="x1"),
    "rank": Expression("rank(lag(x0, 1))"),
    "own": own,
}
TARGETS = {
    "of the row": partial(same_period_return, risk_free="rate"),
    "ahead": partial(forward_return, horizon=2),
    "of weeks": partial(forward_return, frequency="week"),
    "volatility": partial(forward_volatility, horizon=3),
    "up": partial(up, horizon=1),
    "plain": forward_return,
    "as it is": same_period_return,
    "own": lambda market: Target(market.returns().shift(-1), 1),
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_some_assets_at_a_time_give_what_all_give(
    target: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = market_of(ragged(seed=12), few=True)
    index = pd.Series(market.fields["ret"].mean(axis=1).fillna(0.0), name="index")
    market = replace(market, market_ret=index, series=market.series / 1e6)
    panels = []
    for cells in (10 * T * N, T * 7):
        monkeypatch.setattr(some_assets, "CELLS", cells)
        monkeypatch.setattr(some_assets, "WHOLE", cells)
        panels.append(build_panel(market, OF_PARTS, target, [], weights="x1"))
    whole, of_parts = panels
    assert isinstance(of_parts.cells, Ragged)
    for array in ("X", "y", "valid", "weights"):
        np.testing.assert_array_equal(getattr(whole, array), getattr(of_parts, array))
    assert whole.dropped == of_parts.dropped and whole.dates.equals(of_parts.dates)
    frames = Fields.of_frames({name: market.fields[name] for name in market.fields})
    cube = build_panel(replace(market, fields=frames), OF_PARTS, target, [], weights="x1")
    assert isinstance(cube.cells, Cube)
    np.testing.assert_array_equal(of_parts.valid, cube.valid)
    np.testing.assert_array_equal(of_parts.X[cube.valid], cube.X[cube.valid])
    np.testing.assert_array_equal(of_parts.y[cube.valid], cube.y[cube.valid])


@pytest.mark.parametrize("weights", [None, "x1"])
@pytest.mark.parametrize("target", ["ahead", "plain"])
def test_features_that_lie_side_by_side_are_not_copied(
    target: str, weights: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells with a target alone are then kept beside the rows, and counted as before."""
    monkeypatch.setattr(some_assets, "CELLS", T * 7)
    monkeypatch.setattr(some_assets, "WHOLE", T * 7)
    apart = market_of(ragged(seed=12), few=True)
    names = [f"x{k}" for k in range(K)]
    held = [apart.fields.columns[name] for name in names]
    block = np.array([column.values for column in held])
    moved = {
        name: LongColumn(column.listings, values)
        for name, column, values in zip(names, held, block, strict=True)
    }
    together = replace(apart, fields=Fields({**apart.fields.columns, **moved}))
    features = {name: partial(field, name=name) for name in names}
    rows, view = (
        build_panel(market, features, TARGETS[target], [], weights) for market in (apart, together)
    )
    assert view.cells.lone is not None and len(view.cells.lone.y) > 0
    assert np.shares_memory(view.cells.X, block) and not view.cells.X.flags.writeable
    assert view.dropped == rows.dropped
    for array in ("y", "valid"):
        np.testing.assert_array_equal(getattr(view, array), getattr(rows, array))
    np.testing.assert_array_equal(view.X[view.valid], rows.X[rows.valid])
    for some in (names[1:], []):
        one, other = rows.of(some, weights), view.of(some, weights)
        assert one.dropped == other.dropped
        np.testing.assert_array_equal(one.valid, other.valid)
        np.testing.assert_array_equal(one.y, other.y)
        assert rows_of(rows, some, "own", weights)[1].own == one.usable_cells
        assert rows_of(view, some, "own", weights)[1].own == one.usable_cells
    for model in (Regression(by="date"), Regression(by=None, estimator="ridge", penalty=1.0)):
        fits = [model.fit(panel).coefficients for panel in (rows, view)]
        pd.testing.assert_frame_equal(*fits)


def test_a_table_in_order_of_name_is_sorted_once() -> None:
    """Its numbers of 64 bits then lie side by side, in order of date; others keep their type."""
    dates = pd.bdate_range("2020-01-01", periods=5)
    assets = pd.Index([f"A{i}" for i in range(40)])
    column, row = np.divmod(np.flatnonzero(np.arange(200) % 11 == 0), 5)  # names, then dates
    numbers = {
        "ret": np.arange(len(row)) + 0.5,
        "count": np.arange(len(row)),
        "x": -np.arange(len(row)) - 0.5,
        "single": np.arange(len(row), dtype=np.float32),
    }
    fields = fields_of_cells(dates, assets, row, column, numbers, slice(None)).columns
    order = np.lexsort((column, row))
    for name, values in numbers.items():
        held = fields[name]
        assert isinstance(held, LongColumn) and held.values.dtype == values.dtype
        np.testing.assert_array_equal(held.values, values[order])
        np.testing.assert_array_equal(held.listings.row, row[order])
        np.testing.assert_array_equal(held.listings.column, column[order])
    doubles = side_by_side([fields["ret"].values, fields["x"].values])
    assert doubles is not None and np.shares_memory(doubles, fields["ret"].values)


def test_what_is_computed_cell_by_cell_becomes_no_array(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ragged(seed=11)
    long = market_of(made, few=True)
    x0, x1 = made.X[:, :, 0], made.X[:, :, 1]
    as_arrays: list[str] = []
    column_cells = gathering.column_cells

    def seen(name: str, *arguments: Any) -> np.ndarray:
        as_arrays.append(name)
        return column_cells(name, *arguments)

    monkeypatch.setattr(gathering, "column_cells", seen)
    expressions = {
        "x0": ("x0", x0),
        "ratio": ("x0 / x1 ** 2", x0 / x1**2),
        "sign": ("where(x1 > 0, x0, -1)", np.where(x1 > 0.0, x0, np.where(np.isnan(x1), x1, -1.0))),
    }
    with np.errstate(all="ignore"):
        features = {name: Expression(text) for name, (text, _) in expressions.items()}
        panel = build_panel(long, features, partial(forward_return, horizon=2))
    assert not as_arrays
    for k, (_, values) in enumerate(expressions.values()):
        np.testing.assert_array_equal(panel.X[panel.valid, k], values[panel.valid])


def test_what_has_a_value_where_nothing_is_listed_has_one_in_every_cell() -> None:
    """Comparisons and powers of what is missing may be numbers: x ** 0 is one."""
    made = ragged(seed=11)
    features = {"x0": Expression("x0"), "one": Expression("x1 ** 0")}
    one, other = (
        build_panel(market_of(made, few), features, partial(forward_return, horizon=2))
        for few in (True, False)
    )
    assert isinstance(one.cells, Ragged)
    np.testing.assert_array_equal(one.X[:, :, 1], np.ones((T, N)))
    np.testing.assert_array_equal(one.X[one.valid], other.X[other.valid])
    assert one.dropped == other.dropped


def test_what_takes_each_asset_by_itself_sees_some_assets_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    market = market_of(ragged(seed=12), few=True)
    market = replace(market, market_ret=pd.Series(0.0, market.dates, name="index"))
    widest = []
    returns = Market.returns

    def seen(part: Market, rows: int = 1) -> pd.DataFrame:
        widest.append(len(part.assets))
        return returns(part, rows)

    monkeypatch.setattr(Market, "returns", seen)
    monkeypatch.setattr(some_assets, "CELLS", T * 7)
    monkeypatch.setattr(some_assets, "WHOLE", T * 7)
    by_itself = {name: OF_PARTS[name] for name in ("momentum", "volatility", "beta", "trend")}
    build_panel(market, by_itself, TARGETS["ahead"])
    assert max(widest) == 7


def test_what_some_assets_lack_is_said_once() -> None:
    market = market_of(ragged(seed=12), few=True)
    features = {"beta": partial(beta, window=5), "v": partial(volume_surprise, window=5)}
    with pytest.raises(DataError) as error:
        build_panel(market, {**features, "x": Expression("x0 + nothing")}, TARGETS["ahead"])
    where = [line.partition(":")[0] for line in error.value.mistakes]
    assert where == ["features.beta", "features.v", "features.x"]


def test_a_text_that_is_a_column_and_computed_of_others_is_refused_by_its_place() -> None:
    market = market_of(ragged(seed=12), few=True)
    x0 = market.fields.columns["x0"]
    market = replace(market, fields=Fields({**market.fields.columns, "x0/x1": x0}))
    with pytest.raises(DataError) as error:
        build_panel(market, {"ratio": Expression("x0/x1")}, TARGETS["ahead"])
    [mistake] = error.value.mistakes
    assert mistake.startswith("features.ratio: 'x0/x1' is a column of the data, and computed")


def test_an_unknown_name_is_told_beside_all_names_of_the_data() -> None:
    market = market_of(ragged(seed=12), few=True)
    with pytest.raises(DataError) as error:
        build_panel(
            market,
            {"a": Expression("log(x00)"), "b": Expression("lag(x1, 1) / X2")},
            TARGETS["ahead"],
        )
    assert [line.partition(";")[0] for line in error.value.mistakes] == [
        "features.a: 'x00' is unknown",
        "features.b: 'X2' is unknown",
    ]
    assert all("x0" in line and "x1" in line and "x2" in line for line in error.value.mistakes)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_panel_built_of_long_fields_is_that_built_of_frames(step: Step) -> None:
    made = ragged(seed=11)
    target = partial(forward_return, horizon=2)
    one = build_panel(market_of(made, few=True), FEATURES, target, [step])
    other = build_panel(market_of(made, few=False), FEATURES, target, [step])
    assert isinstance(one.cells, Ragged)
    assert isinstance(other.cells, Cube)
    np.testing.assert_array_equal(one.valid, other.valid)
    np.testing.assert_array_equal(one.y, other.y)
    listed_cells = one.cells.spread(np.ones(one.cells.rows, dtype=bool), absent=False)
    np.testing.assert_array_equal(one.X[listed_cells], other.X[listed_cells])
    accounts = []
    for panel in (one, other):
        lines = {line.reason: line.rows for line in panel.dropped if "filled" not in line.reason}
        # a cell that is not listed has no target, whatever a step says of it
        left_out = lines.pop("target is missing")
        left_out += sum(lines.pop(reason) for reason in list(lines) if "%" in reason)
        left_out += sum(lines.pop(reason) for reason in list(lines) if "universe" in reason)
        accounts.append((left_out, lines))
    assert accounts[0] == accounts[1]
    assert one.dropped_cells == other.dropped_cells
