"""How well predictions meet outcomes, each with its naive baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from runner.data.columns.order import in_order
from runner.validation.accuracy import correlation, hit_rate, mae, mape, qlike, r2_against, rmse
from runner.validation.forecast_tests import (
    Comparison,
    clark_west,
    diebold_mariano,
    squared_error_gains,
)
from runner.validation.sample import Rows, Sample
from runner.validation.splitters import HOLD_OUT

STRETCH = 250_000  # rows of assets that are scored at a time, which bounds the memory it takes
# of `r2`, of the naive scores and of the tests: each unit's mean over its training rows
BENCHMARK = "training mean"


def of(function: Callable[[np.ndarray, np.ndarray], Any]) -> Callable[[Rows | Sample], Any]:
    """The function of y and forecast, of rows."""
    return lambda rows: function(rows.y, rows.forecast)


def naive(function: Callable[[np.ndarray, np.ndarray], Any]) -> Callable[[Rows | Sample], Any]:
    """The same function of the benchmark instead of the forecast."""
    return lambda rows: function(rows.y, rows.benchmark)


def _mean(values: np.ndarray) -> np.ndarray:
    """Means (..., 1) of values (..., n)."""
    return np.asarray(values.mean(axis=-1, keepdims=True))


# Adding a score is adding a line: functions of the rows of a sample, or of each of several samples
# of as many rows.
OF_ROWS: dict[str, Callable[[Rows | Sample], Any]] = {
    "r2": lambda rows: r2_against(rows.y, rows.forecast, rows.benchmark),
    "r2_zero": lambda rows: r2_against(rows.y, rows.forecast, 0.0),
    "r2_test_mean": lambda rows: r2_against(
        rows.y, rows.forecast, rows.y.mean(axis=-1, keepdims=True)
    ),
    "rmse": of(rmse),
    "rmse_naive": naive(rmse),
    "mae": of(mae),
    "mae_naive": naive(mae),
    "mape": of(mape),
    "mape_naive": naive(mape),
    "qlike": of(qlike),
    "qlike_naive": naive(qlike),
    "hit_rate": of(hit_rate),
    "hit_rate_naive": naive(hit_rate),
    "correlation": of(correlation),
    "correlation_naive": naive(correlation),
}
# Of the cross-sections of a sample; one asset has none. `ic` is the information coefficient, a
# correlation over the assets of a date; its t is of the mean over dates, `_nw` with Newey-West
# errors; its p-value allows for targets that overlap, see
# `runner.numerics.cross_section.average`; its ratio is mean / standard deviation over dates.
OF_DATES: dict[str, Callable[[Sample], float]] = {
    "ic": lambda sample: sample.ic.mean,
    "ic_naive": lambda sample: sample.ic_naive.mean,
    "ic_ratio": lambda sample: sample.ic.ratio,
    "ic_t": lambda sample: sample.ic.t,
    "ic_t_nw": lambda sample: sample.ic.t_nw,
    "ic_p_value": lambda sample: sample.ic.p_value,
    "rank_ic": lambda sample: sample.rank_ic.mean,
    "rank_ic_naive": lambda sample: sample.rank_ic_naive.mean,
    "rank_ic_ratio": lambda sample: sample.rank_ic.ratio,
    "rank_ic_t": lambda sample: sample.rank_ic.t,
    "rank_ic_t_nw": lambda sample: sample.rank_ic.t_nw,
    "rank_ic_p_value": lambda sample: sample.rank_ic.p_value,
    "ic_dates": lambda sample: sample.rank_ic.dates or float("nan"),
}
SCORES: dict[str, Callable[[Sample], float]] = {**OF_ROWS, **OF_DATES}
# Tests against the benchmark: of assets, of paths, of all rows and of the hold-out, not of the
# other folds. Clark-West holds only for a model that contains the benchmark, as a regression by
# asset with a constant does.
TESTS: dict[str, Callable[[Sample], float]] = {
    "dm_stat": lambda sample: sample.dm.stat,
    "dm_p_value": lambda sample: sample.dm.p_value,
    "cw_stat": lambda sample: sample.cw.stat,
    "cw_p_value": lambda sample: sample.cw.p_value,
    "test_dates": lambda sample: len(sample.gains),
}
# Of one path: several paths forecast the same rows, so that a mean over them has no test of its
# own.
OF_ONE_PATH = [
    "ic_t",
    "ic_t_nw",
    "ic_p_value",
    "rank_ic_t",
    "rank_ic_t_nw",
    "rank_ic_p_value",
    *TESTS,
]
# only where the model contains the benchmark
OF_NESTED = ["cw_stat", "cw_p_value"]
# Against one training mean of all assets together, of all rows and of a hold-out; `r2`,
# `rmse_naive` and the tests above are against that of each asset.
OF_ALL = ["r2_all_assets", "rmse_all_assets", "dm_stat_all_assets", "dm_p_value_all_assets"]
COLUMNS = ["scope", "unit", "n_obs", *SCORES, *TESTS, *OF_ALL, "cw_reason"]
# Compared between runs: the pooled row as oos/<name>, that of a hold-out beside other folds as
# holdout/<name>.
LOGGED = [
    "n_obs",
    "r2",
    "r2_zero",
    "r2_test_mean",
    "r2_all_assets",
    "rmse",
    "rmse_naive",
    "mae",
    "mae_naive",
    "hit_rate",
    "hit_rate_naive",
    "qlike",
    "qlike_naive",
    "correlation",
    "rank_ic",
    "rank_ic_p_value",
    "dm_p_value",
    "dm_p_value_all_assets",
]
LOGGED_HOLD_OUT = ["n_obs", "r2", "r2_all_assets", "rmse", "rmse_naive"]
LOGGED_HOLD_OUT += ["dm_p_value", "dm_p_value_all_assets"]


def score(
    predictions: pd.DataFrame,
    horizon: int = 0,
    not_nested: str = "",
    means_of_all: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Every score by scope, one row each.

    `asset`, one each in order of appearance, and `pooled`, the last row, are of the rows that are
    not in a hold-out beside other folds, which is judged apart (see `open_rows`). `fold` has a row
    for each of several folds, the hold-out among them. Several paths (combinatorial
    cross-validation) forecast the same rows: each has a row of scope `path`; `asset` and `pooled`
    are then means over the paths, and their `n_obs` is the rows of all paths.

    Args:
        predictions: columns date, asset, fold, y, prediction, benchmark and, where rows are
            forecast more than once, path; the benchmark is the forecast of someone who knows only
            the training rows. `r2_test_mean` takes the mean of the rows scored.
        horizon: rows that the target looks ahead, for the errors of means over dates.
        not_nested: why the model does not contain the benchmark; there is then no Clark-West test.
        means_of_all: mean of the target over the training rows of all assets, by fold.

    Returns:
        scope, unit, n_obs, a column per score and test, NaN where one means nothing, and
        `cw_reason`, why there is no Clark-West test. No rows where there are no predictions.
    """
    if predictions.empty:
        return pd.DataFrame(columns=COLUMNS)
    whole = sample_of(predictions, horizon)
    paths = _paths(predictions, np.flatnonzero(_are_open(predictions)))
    tables = []
    for rows in paths.values():
        tables.append(_units(predictions["asset"].iloc[rows], whole.part(rows)))
    table = _mean_over_paths(tables)
    pooled = table.iloc[-1:]
    of_folds = _of_folds(predictions, whole)
    parts = [table.iloc[:-1], pd.DataFrame(of_folds)]
    if len(tables) > 1:
        parts += _of_paths(paths, tables)
    parts.append(pooled)
    filled = [part for part in parts if len(part)]
    scores = pd.concat(filled, ignore_index=True)
    scores = scores.reindex(columns=COLUMNS)
    if not_nested:
        scores[OF_NESTED] = np.nan
    if means_of_all:
        benchmark = predictions["fold"].map(means_of_all).to_numpy(dtype=float)
        of_all = replace(whole, benchmark=benchmark)
        are_open = _are_open(predictions)
        pooled_row = scores.index[-1]
        scores.loc[pooled_row, OF_ALL] = _against_all(predictions, of_all, are_open)
        hold_out = _hold_out(scores)
        scores.loc[hold_out, OF_ALL] = _against_all(predictions, of_all, ~are_open)
    return scores.assign(cw_reason=not_nested)


def _against_all(predictions: pd.DataFrame, of_all: Sample, judged: np.ndarray) -> list[float]:
    """`OF_ALL`, means over paths, which have no test; NaN of a single asset and of no rows.

    The training mean of each asset is noisy where assets have few rows: a pooled constant beats
    it without any signal. The mean of all assets has no such noise.

    Args:
        of_all: all predictions beside the training means of all assets.
        judged: (n,) which rows are meant.
    """
    at = np.flatnonzero(judged)
    if not len(at) or predictions["asset"].iloc[at].nunique() < 2:
        return [math.nan] * len(OF_ALL)
    paths = [of_all.part(rows) for rows in _paths(predictions, at).values()]
    r2 = [r2_against(part.y, part.forecast, part.benchmark) for part in paths]
    errors = [rmse(part.y, part.benchmark) for part in paths]
    tested = paths[0].dm if len(paths) == 1 else Comparison(math.nan, math.nan)
    return [float(np.mean(r2)), float(np.mean(errors)), *map(float, tested)]


def _hold_out(scores: pd.DataFrame) -> pd.Series:
    """Which rows of a table of scores are of a hold-out beside other folds."""
    is_fold = scores["scope"] == "fold"
    return is_fold & (scores["unit"] == HOLD_OUT)


def _of_folds(predictions: pd.DataFrame, whole: Sample) -> list[dict[str, object]]:
    """The scores of each of several folds; those of the hold-out with tests.

    Args:
        whole: all predictions.
    """
    folds = predictions["fold"]
    names = folds.unique()
    if len(names) < 2:
        return []
    rows_of = folds.groupby(folds, sort=False, observed=True).indices
    scores = []
    for name in names:
        tests = name == HOLD_OUT
        paths = _paths(predictions, rows_of[name])
        scores.append(_row_over_paths("fold", str(name), whole, paths, tests))
    return scores


def _of_paths(paths: Mapping[str, np.ndarray], tables: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """The pooled scores of each path, a table of one row each."""
    rows = []
    for name, table in zip(paths, tables, strict=True):
        pooled = table.iloc[-1:]
        rows.append(pooled.assign(scope="path", unit=name))
    return rows


def open_rows(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows to judge a model by: without a locked hold-out, unless there is nothing else."""
    are_open = _are_open(predictions)
    return predictions if are_open.all() else predictions[are_open]


def _are_open(predictions: pd.DataFrame) -> np.ndarray:
    """Which rows (n,) these are."""
    locked = (predictions["fold"] == HOLD_OUT).to_numpy()
    return np.ones(len(locked), dtype=bool) if locked.all() else ~locked


def row_of(
    scope: str, unit: str, part: pd.DataFrame, horizon: int = 0, tests: bool = True
) -> dict[str, object]:
    """The scores of these predictions as a row, means over the paths where there are several."""
    paths = _paths(part, np.arange(len(part)))
    return _row_over_paths(scope, unit, sample_of(part, horizon), paths, tests)


def _row_over_paths(
    scope: str, unit: str, whole: Sample, paths: Mapping[str, np.ndarray], tests: bool
) -> dict[str, object]:
    """The mean over the paths of the scores of their rows, given their positions in a sample."""
    rows = [_row(scope, unit, whole.part(of_path), tests) for of_path in paths.values()]
    if len(rows) == 1:
        return rows[0]
    mean = _mean_over_paths([pd.DataFrame([row]) for row in rows])
    return mean.iloc[0].to_dict()


def sample_of(part: pd.DataFrame, horizon: int = 0) -> Sample:
    """The predictions in this table as a sample."""
    dates, _ = pd.factorize(part["date"], sort=True)
    y = part["y"]
    forecast = part["prediction"]
    benchmark = part["benchmark"]
    return Sample(
        y=y.to_numpy(dtype=float),
        forecast=forecast.to_numpy(dtype=float),
        benchmark=benchmark.to_numpy(dtype=float),
        date=dates,
        horizon=horizon,
    )


def logged(scores: pd.DataFrame) -> dict[str, float]:
    """The numbers by which runs are compared.

    They are oos/<name>, and holdout/<name> of a hold-out beside other folds.
    """
    pooled = scores["scope"] == "pooled"
    hold_out = _hold_out(scores)
    metrics: dict[str, float] = {}
    for row in _records(scores[pooled]):
        for name in LOGGED:
            value = row[name]
            metrics[f"oos/{name}"] = float(value)
    for row in _records(scores[hold_out]):
        for name in LOGGED_HOLD_OUT:
            value = row[name]
            metrics[f"holdout/{name}"] = float(value)
    return metrics


def _records(table: pd.DataFrame) -> list[Any]:
    """The rows of a table, a mapping each."""
    return table.to_dict("records")


def _paths(predictions: pd.DataFrame, rows: np.ndarray) -> dict[str, np.ndarray]:
    """These rows of predictions by the name of their path; all where there are no paths."""
    if "path" not in predictions:
        return {"1": rows}
    path = predictions["path"].to_numpy()[rows]
    names = np.unique(path)
    if len(names) < 2:
        return {"1": rows}
    return {str(name): rows[path == name] for name in names}


def _units(assets: pd.Series, whole: Sample) -> pd.DataFrame:
    """A row per asset in order of appearance, and one over all.

    Args:
        assets: (n,) the asset of each row.
    """
    codes, names = pd.factorize(assets)
    of_assets = pd.DataFrame({"scope": "asset", "unit": [str(name) for name in names]})
    columns = _by_asset(whole, codes)
    pooled = _row("pooled", "all", whole)
    return pd.concat([of_assets.assign(**columns), pd.DataFrame([pooled])], ignore_index=True)


def _by_asset(whole: Sample, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Every score and test of each asset (N,), given the asset (n,) of each row.

    Assets with as many rows are scored together, some `STRETCH` rows at a time.
    """
    count = np.bincount(codes)
    by_count = np.argsort(count, kind="stable")
    place = np.empty_like(by_count)
    place[by_count] = np.arange(len(count))
    by_date = in_order(whole.date, whole.dates)
    order = by_date[in_order(place[codes[by_date]], len(count))]
    scores = {name: np.full(len(count), np.nan) for name in (*SCORES, *TESTS)}
    ends = np.cumsum(count[by_count])
    start = 0
    while start < len(count):
        rows_before = ends[start] - count[by_count[start]]
        stop = np.searchsorted(ends, rows_before + STRETCH, side="right")
        stop = max(int(stop), start + 1)
        assets = by_count[start:stop]
        rows = order[rows_before : ends[stop - 1]]
        some = _some_assets(whole, rows, count[assets])
        for name, values in some.items():
            scores[name][assets] = values
        start = stop
    return {"n_obs": count, **scores}


def _some_assets(whole: Sample, rows: np.ndarray, count: np.ndarray) -> dict[str, np.ndarray]:
    """Every score and test (A,) of some assets that have `count` (A,) rows of the sample.

    Args:
        rows: (n,) positions in the sample, asset by asset in order of date.
    """
    y = whole.y[rows]
    forecast = whole.forecast[rows]
    benchmark = whole.benchmark[rows]
    date = whole.date[rows]
    code = np.repeat(np.arange(len(count)), count)
    scores = {name: np.full(len(count), np.nan) for name in (*OF_ROWS, *TESTS)}
    with np.errstate(divide="ignore", invalid="ignore"):
        for assets, at in _alike(count):
            own = Rows(y[at], forecast[at], benchmark[at])
            for name, function in OF_ROWS.items():
                scores[name][assets] = function(own)
    # several forecasts of an asset on one date, of overlapping folds, are one: their mean
    other_asset = np.diff(code) != 0
    other_date = np.diff(date) != 0
    is_first = np.append(True, other_asset | other_date)
    starts = np.flatnonzero(is_first)
    ends = np.append(starts[1:], len(code))
    forecasts_on_date = ends - starts
    gain_of_row = squared_error_gains(y, forecast, benchmark)
    gains = np.add.reduceat(gain_of_row, starts) / forecasts_on_date
    # Clark and West (2007): what estimating a larger model adds to its squared error
    noise_of_row = (forecast - benchmark) ** 2
    noise = np.add.reduceat(noise_of_row, starts) / forecasts_on_date
    dates = np.bincount(code[starts])
    for assets, at in _alike(dates):
        gains_of_assets = gains[at]
        dm_stat, dm_p_value = diebold_mariano(gains_of_assets, whole.horizon)
        scores["dm_stat"][assets] = dm_stat
        scores["dm_p_value"][assets] = dm_p_value
        adjusted_gains = gains_of_assets + noise[at]
        cw_stat, cw_p_value = clark_west(adjusted_gains, whole.horizon)
        scores["cw_stat"][assets] = cw_stat
        scores["cw_p_value"][assets] = cw_p_value
    scores["test_dates"] = dates.astype(float)
    return scores


def _alike(count: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Units (g,) with as many rows as each other, and the rows (g, n) that they have.

    Args:
        count: (U,) rows of each unit; they follow each other, unit by unit.
    """
    first = np.cumsum(count) - count
    for n in np.unique(count):
        units = np.flatnonzero(count == n)
        yield units, first[units, None] + np.arange(n)


def _row(scope: str, unit: str, sample: Sample, tests: bool = True) -> dict[str, object]:
    """The scores of a sample, and the tests where they are asked for."""
    n = len(sample.y)
    row: dict[str, object] = {"scope": scope, "unit": unit, "n_obs": n}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, function in SCORES.items():
            row[name] = float(function(sample))
        if tests:
            for name, function in TESTS.items():
                row[name] = float(function(sample))
    return row


def _mean_over_paths(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Scores averaged over the tables of the paths; `n_obs` is the rows of all of them.

    A score that some path does not have has no mean, and tests of one path have none.
    """
    if len(tables) == 1:
        return tables[0]
    table = pd.concat(tables)
    groups = table.groupby(["scope", "unit"], sort=False)
    means = groups[list(SCORES)].mean(skipna=False)
    no_tests = dict.fromkeys(OF_ONE_PATH, np.nan)
    rows = groups["n_obs"].sum()
    means = means.assign(**no_tests, n_obs=rows)
    return means.reset_index()
