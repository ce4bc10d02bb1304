"""Scores of the jobs of a sweep on the rows that all of them forecast.

They are computed where the jobs do not forecast the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.record.rundir import RunDirectory

if TYPE_CHECKING:
    import pandas as pd

OWN = "oos/"  # prefix of scores on the rows of each job
COMMON = "common/"  # prefix of scores on the rows that all jobs forecast
ALWAYS = ("r2", "rmse")  # beside the score that is asked for and its naive baseline
PLACES = ["date", "asset", "fold"]
FORECASTS = "predictions.parquet"
MOST_ASSETS = 2**32  # codes of a cell: date * MOST_ASSETS + asset


def differ(metrics: Iterable[Mapping[str, float]]) -> bool:
    """Whether jobs forecast different numbers of rows, those without any aside."""
    counts = {scores[f"{OWN}n_obs"] for scores in metrics if f"{OWN}n_obs" in scores}
    return len(counts) > 1


def on_common_rows(jobs: Sequence[RunDirectory], score: str) -> list[dict[str, float]]:
    """Scores `common/...` of each job on the cells (date, asset) that all jobs forecast.

    They are the score asked for, its naive baseline, R2 and RMSE. Forecasts are read one job at a
    time. A hold-out beside other folds is left alone. Nothing for a job without forecasts; nothing
    at all where no cell is common, where a job forecasts a cell more than once, or where a job has
    lost its forecasts.
    """
    from runner.validation.scores import SCORES

    wanted = dict.fromkeys((score, f"{score}_naive", *ALWAYS))
    names = [name for name in wanted if name in SCORES]
    places = _Places()
    common = _common_cells([job for job in jobs if _forecasts(job)], places)
    if common is None:
        return [{} for _ in jobs]
    return [_scores(job, places, common, names) if _forecasts(job) else {} for job in jobs]


def _forecasts(job: RunDirectory) -> bool:
    """Whether the job has scores out of sample."""
    return f"{OWN}n_obs" in job.metrics


def _common_cells(jobs: Sequence[RunDirectory], places: _Places) -> np.ndarray | None:
    """Codes (n,) of the cells that all jobs forecast, in order.

    None where there are none, where a job forecasts a cell twice, or has lost its forecasts.
    """
    if not all((job.path / FORECASTS).exists() for job in jobs):
        return None
    common: np.ndarray | None = None
    for job in jobs:
        cells = _read(job, PLACES)
        codes = places.of(cells)
        if not _increasing(codes):  # in the order of files they mostly are
            codes = np.sort(codes)
            if not _increasing(codes):
                return None
        if common is None:
            common = codes
        elif not np.array_equal(codes, common):
            common = np.intersect1d(common, codes, assume_unique=True)
    if common is None or not len(common):
        return None
    return common


def _increasing(codes: np.ndarray) -> bool:
    """Whether each is greater than the one before."""
    return bool((codes[1:] > codes[:-1]).all())


def _scores(
    job: RunDirectory, places: _Places, common: np.ndarray, names: Sequence[str]
) -> dict[str, float]:
    """Finite scores of the forecasts that the job has of the common cells."""
    import pandas as pd

    from runner.validation.sample import Sample
    from runner.validation.scores import SCORES

    shared = _are_among(places.of(_read(job, PLACES)), common)

    def column(name: str) -> pd.Series:
        return _read(job, [name, "fold"])[name][shared]

    date, _ = pd.factorize(column("date"), sort=True)
    sample = Sample(
        y=column("y").to_numpy(),
        forecast=column("prediction").to_numpy(),
        benchmark=column("benchmark").to_numpy(),
        date=date,
        horizon=int(job.about["horizon"]),
    )
    scores = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in names:
            value = float(SCORES[name](sample))
            if np.isfinite(value):
                score = f"{COMMON}{name}"
                scores[score] = value
    scores[f"{COMMON}n_obs"] = float(len(sample.y))
    return scores


def _are_among(codes: np.ndarray, common: np.ndarray) -> np.ndarray:
    """Mask (n,) of the codes that are among these, which are in order."""
    if np.array_equal(codes, common):
        return np.ones(len(codes), dtype=bool)
    at = np.searchsorted(common, codes)
    np.minimum(at, len(common) - 1, out=at)
    return np.asarray(common[at] == codes)


def _read(job: RunDirectory, columns: list[str]) -> pd.DataFrame:
    """These columns of the forecasts, without a hold-out beside other folds."""
    import pandas as pd

    from runner.validation.scores import open_rows

    table = pd.read_parquet(job.path / FORECASTS, columns=columns)
    return open_rows(table)


class _Places:
    """Numbers of dates and assets, the same in every table."""

    def __init__(self) -> None:
        self.dates: dict[Any, int] = {}
        self.assets: dict[Any, int] = {}

    def of(self, table: pd.DataFrame) -> np.ndarray:
        """One code (n,) per row, that of its date and asset."""
        date = _codes(table["date"], self.dates)
        asset = _codes(table["asset"], self.assets)
        date *= MOST_ASSETS
        date += asset
        return date


def _codes(column: pd.Series, known: dict[Any, int]) -> np.ndarray:
    """The number (n,) of each value; values that are not known yet become so."""
    import pandas as pd

    code, values = pd.factorize(column)
    numbers = [known.setdefault(value, len(known)) for value in values]
    return np.array(numbers, dtype=np.int64)[code]
