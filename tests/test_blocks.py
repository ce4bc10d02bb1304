"""A panel in files gives, to the last bit, what the same panel in memory gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_ragged_panels import MODELS, N, T, ragged

from runner.models import Regression
from runner.panels import blocks
from runner.panels.numbers import stored as of_files
from runner.panels.numbers.cells import Ragged, Stored
from runner.panels.numbers.rowfiles import Layout, RowFile, write_rows
from runner.panels.panel import Panel
from runner.panels.rows import digest_of
from runner.validation.folds import shared_by
from runner.validation.scores import train_means
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
    whole = of_files.whole(files, layout, panel.dates, cells.listings.assets)
    return replace(panel, cells=whole)


STREAMED = [
    "date",
    "pooled",
    "pooled, some",
    "pooled, white",
    "pooled, two-way",
    "pooled, Driscoll-Kraay",
    "pooled, dummies",
    "ridge",
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
