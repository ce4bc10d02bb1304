"""Scores and coefficients of one run over years and folds: what shows whether they stay where they
are.
"""

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
MOST_SERIES, MOST_STEPS, MOST_TERMS = 6, 100, 3
FOLD_PATHS = "fold_paths"  # what draws the table of `runner.analyses.estimates.fold_stability`
SCORES = {
    "r2": "R2",
    "rmse": "RMSE",
    "rank_ic": "rank correlation",
}  # by year and fold, under the names of the field


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
    steady = {name: values.dropna() for name, values in candidates.items()}
    several = [(name, values) for name, values in steady.items() if len(values) > 1]
    parts = [_table(name, values) for name, values in several[:MOST_SERIES]]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _table(name: str, values: pd.Series) -> pd.DataFrame:
    """One series as rows; a cut one says so in its name."""
    if len(values) > MOST_STEPS:
        over, _, what = name.partition("/")
        name = f"{over} - last {MOST_STEPS}/{what}"
        values = values.iloc[-MOST_STEPS:]
    return pd.DataFrame(
        {"series": name, "step": values.index.astype(int), "value": values.to_numpy(dtype=float)}
    )


def _scores_by_year(report: Report) -> dict[str, pd.Series]:
    """R2 against the training mean, RMSE and the mean rank correlation of each calendar year that
    was forecast.
    """
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
    years = pd.DatetimeIndex(dates).year.to_numpy()
    first = int(years.min())
    span = int(years.max()) - first + 1
    path, paths = (
        pd.factorize(predictions["path"]) if "path" in predictions else (np.zeros_like(date), [1])
    )
    y, forecast, benchmark = (
        predictions[name].to_numpy(dtype=float) for name in ("y", "prediction", "benchmark")
    )
    cell = path * span + (years[date] - first)
    cells = len(paths) * span
    rows = np.bincount(cell, minlength=cells)
    missed = np.bincount(cell, (y - forecast) ** 2, minlength=cells)
    total = np.bincount(cell, (y - benchmark) ** 2, minlength=cells)
    scale = np.bincount(cell, y**2, minlength=cells)
    others = np.bincount(cell, ~of_quotients(y), minlength=cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        nothing = rounding_alone(
            np.sqrt(total / rows), np.sqrt(scale / rows), COMPUTED, lambda: others == 0
        )
        r2 = np.where(nothing, np.nan, 1.0 - missed / total)
        rmse = np.sqrt(missed / rows)
    by_date = rank_correlations(forecast, y, path * len(dates) + date, len(paths) * len(dates))
    rank_ic = _mean_by(by_date, np.tile(years - first, len(paths)), span, len(paths))
    of_paths = {
        "r2": r2.reshape(len(paths), span),
        "rmse": rmse.reshape(len(paths), span),
        "rank_ic": rank_ic,
    }
    return pd.DataFrame(
        {name: values.mean(axis=0) for name, values in of_paths.items()},
        index=np.arange(first, first + span),
    )


def _mean_by(values: np.ndarray, year: np.ndarray, span: int, paths: int) -> np.ndarray:
    """Means (paths, years) of values by date of each path, without those that are missing."""
    known = np.isfinite(values)
    path = np.repeat(np.arange(paths), len(values) // paths)
    cell = (path * span + year)[known]
    count = np.bincount(cell, minlength=paths * span)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.bincount(cell, values[known], minlength=paths * span) / count
    return means.reshape(paths, span)


def _scores_by_fold(report: Report) -> dict[str, pd.Series]:
    """The same scores of each fold's test rows, where there are several folds."""
    folds = report.scores[report.scores["scope"] == "fold"] if len(report.scores) else report.scores
    steps = np.arange(1, len(folds) + 1)
    return {
        f"by fold/{words}": pd.Series(folds[name].to_numpy(dtype=float), index=steps)
        for name, words in SCORES.items()
        if len(folds)
    }


def _coefficients(report: Report) -> dict[str, pd.Series]:
    """The first terms by year, else by fold."""
    terms = [
        term for term in dict.fromkeys(headline(report.fit.coefficients)["term"]) if term != "const"
    ]
    return _by_year(report.fit.coefficients, terms[:MOST_TERMS]) or _by_fold(
        report, terms[:MOST_TERMS]
    )


def _by_year(coefficients: pd.DataFrame, terms: Sequence[str]) -> dict[str, pd.Series]:
    """Means over the regressions of each year, where there is one for each date."""
    of_dates = coefficients[coefficients["scope"] == "date"]
    if of_dates.empty:
        return {}
    year = pd.to_datetime(of_dates["unit"]).dt.year
    table = of_dates.groupby(["term", year])["estimate"].mean()
    return {f"by year/coef {term}": table[term] for term in terms if term in table.index}


def _by_fold(report: Report, terms: Sequence[str]) -> dict[str, pd.Series]:
    """What the training rows of each fold gave, where the analysis `coefficients_by_fold` was
    asked for.
    """
    tables = [
        finding.table for finding in report.findings.values() if finding.picture == FOLD_PATHS
    ]
    if not tables:
        return {}
    table = headline(tables[0])
    number = {fold: at for at, fold in enumerate(report.folds["fold"], start=1)}
    of_terms = {term: table[table["term"] == term] for term in terms}
    return {
        f"by fold/coef {term}": pd.Series(
            rows["estimate"].to_numpy(), index=rows["fold"].map(number)
        )
        for term, rows in of_terms.items()
        if not rows["fold"].duplicated().any()
    }
