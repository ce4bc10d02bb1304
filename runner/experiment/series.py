"""Scores and coefficients of one run over years and folds: do they stay where they are?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from runner.models.fit import headline
from runner.numerics.cross_section import rank_correlations
from runner.numerics.variation import COMPUTED, of_quotients, rounding_alone
from runner.validation.scores import open_rows

if TYPE_CHECKING:
    from runner.experiment.report import Report

COLUMNS = ["series", "step", "value"]
MOST_SERIES = 6
MOST_STEPS = 100  # of a series
MOST_TERMS = 3
FOLD_PATHS = "fold_paths"  # picture of the analysis `runner.analyses.estimates.fold_stability`
# Scores by year and fold, under the names of the field.
SCORES = {
    "r2": "R2",
    "rmse": "RMSE",
    "rank_ic": "rank correlation",
}


def series_of(report: Report) -> pd.DataFrame:
    """series, step, value: at most six series of at most 100 finite steps.

    Scores by calendar year of the forecast rows; coefficients by year where each date has its
    regression, else by fold where the analysis `coefficients_by_fold` has them; scores by fold. The
    first six that have two steps. The step is the year, or the number of the fold from 1. Of more
    than 100 steps the last 100, and the name says so.
    """
    candidates = {
        **_scores_by_year(report),
        **_coefficients(report),
        **_scores_by_fold(report),
    }
    tables: list[pd.DataFrame] = []
    for name, values in candidates.items():
        known = values.dropna()
        if len(known) > 1 and len(tables) < MOST_SERIES:
            tables.append(_table(name, known))
    if not tables:
        return pd.DataFrame(columns=COLUMNS)
    return pd.concat(tables, ignore_index=True)


def _table(name: str, values: pd.Series) -> pd.DataFrame:
    """One series as rows; a cut one says so in its name."""
    if len(values) > MOST_STEPS:
        over, _, score = name.partition("/")
        name = f"{over} - last {MOST_STEPS}/{score}"
        values = values.iloc[-MOST_STEPS:]
    steps = values.index.astype(int)
    return pd.DataFrame({"series": name, "step": steps, "value": values.to_numpy(dtype=float)})


def _scores_by_year(report: Report) -> dict[str, pd.Series]:
    """R2 against the training mean, RMSE and mean rank correlation of each forecast year."""
    if report.predictions.empty:
        return {}
    rows = open_rows(report.predictions)
    scores = scores_by_year(rows)
    return {f"by year/{SCORES[name]}": scores[name] for name in scores}


def scores_by_year(predictions: pd.DataFrame) -> pd.DataFrame:
    """r2, rmse and rank_ic by calendar year of the forecast rows.

    Where rows are forecast on several paths each score is the mean over paths, as elsewhere. A rank
    correlation is the mean over the dates of the year on which three assets at least were forecast.
    NaN where a score means nothing.

    Args:
        predictions: date, asset, y, prediction, benchmark and, where rows are forecast more than
            once, path.
    """
    date, dates = pd.factorize(predictions["date"], sort=True)
    calendar = pd.DatetimeIndex(dates)
    years = calendar.year.to_numpy()
    first = int(years.min())
    span = int(years.max()) - first + 1
    year_of_date = years - first
    path, paths = _paths(predictions)
    shape = (paths, span)
    cell = path * span + year_of_date[date]
    r2, rmse = _errors_by_cell(predictions, cell, paths * span)
    forecast = predictions["prediction"].to_numpy(dtype=float)
    y = predictions["y"].to_numpy(dtype=float)
    path_and_date = path * len(dates) + date
    rank_of_date = rank_correlations(forecast, y, path_and_date, paths * len(dates))
    rank_ic = _mean_by_year(rank_of_date, np.tile(year_of_date, paths), shape)
    of_paths = {"r2": r2.reshape(shape), "rmse": rmse.reshape(shape), "rank_ic": rank_ic}
    scores = {name: values.mean(axis=0) for name, values in of_paths.items()}
    return pd.DataFrame(scores, index=np.arange(first, first + span))


def _paths(predictions: pd.DataFrame) -> tuple[np.ndarray, int]:
    """The path (n,) of each row, counted from 0, and how many there are."""
    if "path" not in predictions:
        return np.zeros(len(predictions), dtype=np.intp), 1
    path, names = pd.factorize(predictions["path"])
    return path, len(names)


def _errors_by_cell(
    predictions: pd.DataFrame, cell: np.ndarray, cells: int
) -> tuple[np.ndarray, np.ndarray]:
    """R2 against the benchmark and RMSE (cells,) of the rows of each cell.

    R2 is NaN where the errors of the benchmark are rounding alone.
    """
    y = predictions["y"].to_numpy(dtype=float)
    forecast = predictions["prediction"].to_numpy(dtype=float)
    benchmark = predictions["benchmark"].to_numpy(dtype=float)
    rows = np.bincount(cell, minlength=cells)
    errors = np.bincount(cell, (y - forecast) ** 2, minlength=cells)
    benchmark_errors = np.bincount(cell, (y - benchmark) ** 2, minlength=cells)
    squares = np.bincount(cell, y**2, minlength=cells)
    no_quotients = np.bincount(cell, ~of_quotients(y), minlength=cells)

    def are_quotients() -> np.ndarray:
        return no_quotients == 0

    with np.errstate(divide="ignore", invalid="ignore"):
        mean_benchmark_error = benchmark_errors / rows
        spread = np.sqrt(mean_benchmark_error)
        mean_square = squares / rows
        size = np.sqrt(mean_square)
        nothing_to_explain = rounding_alone(spread, size, COMPUTED, are_quotients)
        r2 = np.where(nothing_to_explain, np.nan, 1.0 - errors / benchmark_errors)
        mean_squared_error = errors / rows
        rmse = np.sqrt(mean_squared_error)
    return r2, rmse


def _mean_by_year(values: np.ndarray, year: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Means (paths, years) of values by path and date, without those that are missing.

    Args:
        values, year: (paths x dates,) one path after the other.
    """
    paths, span = shape
    known = np.isfinite(values)
    path = np.repeat(np.arange(paths), len(values) // paths)
    cell = (path * span + year)[known]
    count = np.bincount(cell, minlength=paths * span)
    total = np.bincount(cell, values[known], minlength=paths * span)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = total / count
    return means.reshape(shape)


def _scores_by_fold(report: Report) -> dict[str, pd.Series]:
    """The same scores of each fold's test rows, where there are several folds."""
    if not len(report.scores):
        return {}
    folds = report.scores[report.scores["scope"] == "fold"]
    if not len(folds):
        return {}
    steps = np.arange(1, len(folds) + 1)
    series = {}
    for name, words in SCORES.items():
        values = folds[name].to_numpy(dtype=float)
        series[f"by fold/{words}"] = pd.Series(values, index=steps)
    return series


def _coefficients(report: Report) -> dict[str, pd.Series]:
    """The coefficients of the first terms by year, else by fold."""
    coefficients = report.fit.coefficients
    names = dict.fromkeys(headline(coefficients)["term"])
    terms = [term for term in names if term != "const"][:MOST_TERMS]
    return _by_year(coefficients, terms) or _by_fold(report, terms)


def _by_year(coefficients: pd.DataFrame, terms: Sequence[str]) -> dict[str, pd.Series]:
    """Means over the regressions of each year, where there is one for each date."""
    is_date = coefficients["scope"] == "date"
    of_dates = coefficients[is_date]
    if of_dates.empty:
        return {}
    year = pd.to_datetime(of_dates["unit"]).dt.year
    means = of_dates.groupby(["term", year])["estimate"].mean()
    return {f"by year/coef {term}": means[term] for term in terms if term in means.index}


def _by_fold(report: Report, terms: Sequence[str]) -> dict[str, pd.Series]:
    """Estimates on the training rows of each fold, by the analysis `coefficients_by_fold`."""
    tables = [
        finding.table for finding in report.findings.values() if finding.picture == FOLD_PATHS
    ]
    if not tables:
        return {}
    table = headline(tables[0])
    names = report.folds["fold"].tolist()
    number = {name: position for position, name in enumerate(names, start=1)}
    series = {}
    for term in terms:
        rows = table[table["term"] == term]
        is_repeated = rows["fold"].duplicated()
        if is_repeated.any():
            continue
        steps = rows["fold"].map(number)
        series[f"by fold/coef {term}"] = pd.Series(rows["estimate"].to_numpy(), index=steps)
    return series
