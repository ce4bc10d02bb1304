"""Out-of-sample forecasts of a model, fitted for each fold on its training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from runner.compute.pages import large_array, let_go
from runner.errors import DataError
from runner.models.model import Model
from runner.panels.panel import Panel
from runner.validation.benchmark import TrainingMeans
from runner.validation.folds import Fold, forecastable, runs
from runner.validation.scores import score

PREDICTIONS = ["date", "asset", "fold", "path", "y", "prediction", "benchmark"]
PLACES = {  # column of the predictions -> its positions while they are made
    "date": np.int32,
    "asset": np.int32,
    "fold": np.int32,
    "path": np.int16,
}
NUMBERS = ("y", "prediction", "benchmark")


@dataclass(frozen=True)
class Forecasts:
    """Out-of-sample forecasts of a model, and how well they meet their targets.

    Attributes:
        predictions: a row per test cell of a fold: date, asset, fold, path, y, prediction and the
            benchmark, the mean of the asset over the training rows.
        means_of_all: mean of the target over the training rows of all assets, by fold.
        horizon: rows that the target looks ahead.
        lacks_the_mean: why the model does not contain the benchmark; empty where it does.
    """

    predictions: pd.DataFrame
    means_of_all: Mapping[str, float]
    horizon: int
    lacks_the_mean: str

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Every score and test by asset, by fold and over all, see `runner.validation.scores`."""
        return score(self.predictions, self.horizon, self.lacks_the_mean, self.means_of_all)


def forecasts_of(model: Model, panel: Panel, folds: Sequence[Fold]) -> Forecasts:
    """Forecasts of the test cells of every fold by a model that saw its training rows only."""
    predictions, means_of_all = _predictions(model, panel, folds)
    return Forecasts(predictions, means_of_all, panel.horizon, model.lacks_the_mean(panel))


def _predictions(
    model: Model, panel: Panel, folds: Sequence[Fold]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Predictions, with the mean of the target over the training rows of all assets, by fold."""
    tested = forecastable(panel, folds)
    if not tested:
        return pd.DataFrame(columns=PREDICTIONS), {}
    most = [int(panel.usable_by_date[fold.test].sum()) for fold in tested]
    start = np.cumsum([0, *most])
    columns = {name: np.empty(start[-1], dtype) for name, dtype in PLACES.items()}
    columns |= zip(NUMBERS, large_array((len(NUMBERS), start[-1])), strict=True)
    forecasts = np.zeros(len(tested), dtype=int)
    benchmarks = _Benchmarks(panel, tested)
    for number, rows, values in model.forecasts(panel, tested):
        fold = tested[number]
        benchmark = benchmarks.of(number, rows)
        of_part = _forecast_cells(panel, fold, rows, panel.in_units(values), benchmark)
        first = start[number] + forecasts[number]
        places = slice(first, first + len(of_part["y"]))
        for name, of_cells in of_part.items():
            columns[name][places] = of_cells
        columns["fold"][places] = number
        forecasts[number] += len(of_part["y"])
        panel.rest()
    _refuse_unforecast(tested, forecasts)
    _close_gaps(columns, start, forecasts)
    let_go(columns["y"])
    kept = {name: values[: forecasts.sum()] for name, values in columns.items()}
    names = [fold.name for fold in tested]
    of_dates = {
        "date": panel.dates[kept["date"]],
        "asset": pd.Categorical.from_codes(kept["asset"], panel.assets),
        "fold": pd.Categorical.from_codes(kept["fold"], names),
    }
    predictions = pd.DataFrame({**kept, **of_dates}, columns=PREDICTIONS, copy=False)
    return predictions, benchmarks.of_all


class _Benchmarks:
    """The benchmark of each fold: kept from the first to the last of its test rows.

    It is each asset's mean over its training rows, or that of all assets where it has none.

    Attributes:
        of_all: mean of the target over the training rows of all assets, by name of the fold.
    """

    def __init__(self, panel: Panel, folds: Sequence[Fold]) -> None:
        self.folds = folds
        self.means = TrainingMeans(panel)
        self.of_assets: dict[int, np.ndarray] = {}
        self.of_all: dict[str, float] = {}

    def of(self, number: int, rows: np.ndarray) -> np.ndarray:
        """(N,) that of a fold, for these of its test rows."""
        fold = self.folds[number]
        if number not in self.of_assets:
            self.of_assets[number] = self.means.of(fold.train)
            self.of_all[fold.name] = self.means.of_all
        benchmark = self.of_assets[number]
        if rows[-1] == fold.test[-1]:
            del self.of_assets[number]
        return benchmark


def _forecast_cells(
    panel: Panel, fold: Fold, rows: np.ndarray, forecasts: np.ndarray, benchmark: np.ndarray
) -> dict[str, np.ndarray]:
    """Cells of some test rows of a fold with a target and a prediction, without their fold.

    Columns (n,); of date and asset their positions in the panel.

    Args:
        rows: their positions; forecasts: (rows, N) in the unit of what is scored.
        benchmark: (N,) of the fold.
    """
    dates, assets, scored = [], [], []
    before = 0
    for start, until in runs(rows):
        t, i, values = panel.at(np.arange(start, until)).scored_cells()
        dates.append(t + before)
        assets.append(i)
        scored.append(values)
        before += until - start
    position = np.concatenate(dates)
    asset = np.concatenate(assets)
    y = np.concatenate(scored)
    prediction = forecasts[position, asset]
    can_be_judged = np.isfinite(prediction)
    if not can_be_judged.all():
        position = position[can_be_judged]
        asset = asset[can_be_judged]
        y = y[can_be_judged]
        prediction = prediction[can_be_judged]
    row = rows[position]
    path = np.ones(len(row), dtype=np.int16)
    if fold.path is not None:
        first = np.searchsorted(fold.test, rows[0])
        path = fold.path[first + position].astype(np.int16)
    return {
        "date": row,
        "asset": asset,
        "path": path,
        "y": y,
        "prediction": prediction,
        "benchmark": benchmark[asset],
    }


def _refuse_unforecast(folds: Sequence[Fold], forecasts: np.ndarray) -> None:
    """Whether each fold has forecasts, of which these are the numbers.

    Raises:
        DataError: the first that has none.
    """
    if not forecasts.all():
        fold = folds[int(forecasts.argmin())]
        raise DataError(f"validation: fold {fold.name}: no test row can be forecast")


def _close_gaps(columns: dict[str, np.ndarray], start: np.ndarray, count: np.ndarray) -> None:
    """Move the rows of folds up, in place, where folds before them have fewer than had room.

    Args:
        start: of the room of each fold; count: how many rows it has.
    """
    first = 0
    for room, rows in zip(start, count, strict=False):
        if first < room:
            for values in columns.values():
                values[first : first + rows] = values[room : room + rows]
        first += rows
