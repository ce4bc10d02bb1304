"""Scores of the jobs of a sweep on the rows that all of them forecast, where they do not forecast
the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runner.record.rundir import RunDirectory

if TYPE_CHECKING:
    import pandas as pd

OWN, COMMON = "oos/", "common/"  # prefixes of scores on the rows of each job, and on those of all
ALWAYS = ("r2", "rmse")  # beside the score that is asked for and its naive baseline


def differ(metrics: Iterable[Mapping[str, float]]) -> bool:
    """Whether jobs forecast different numbers of rows; those that forecast none have no part in
    it.
    """
    return len({one[f"{OWN}n_obs"] for one in metrics if f"{OWN}n_obs" in one}) > 1


def on_common_rows(jobs: Sequence[RunDirectory], score: str) -> list[dict[str, float]]:
    """Scores `common/...` of each job on the cells (date, asset) that all of them forecast: this
    one, R2 and RMSE.

    Forecasts are read one job at a time. A hold-out beside other folds is left alone. Nothing for a
    job without forecasts; nothing at all where no cell is common, where a job forecasts a cell more
    than once, or where a job has lost its forecasts.
    """
    from runner.validation.scores import SCORES

    names = [one for one in dict.fromkeys((score, f"{score}_naive", *ALWAYS)) if one in SCORES]
    seen = _Places()
    common: np.ndarray | None = None
    scored = [f"{OWN}n_obs" in one.metrics for one in jobs]
    if not all(
        (one.path / "predictions.parquet").exists()
        for one, has in zip(jobs, scored, strict=True)
        if has
    ):
        return [{} for _ in jobs]
    for one, has in zip(jobs, scored, strict=True):
        if has:
            keys = seen.of(_read(one, ["date", "asset", "fold"]))
            if (
                len(keys) > 1 and not (np.diff(keys) > 0).all()
            ):  # in the order of files they mostly are
                keys = np.sort(keys)
                if not (np.diff(keys) > 0).all():
                    return [{} for _ in jobs]
            if common is None:
                common = keys
            elif not np.array_equal(keys, common):
                common = np.intersect1d(common, keys, assume_unique=True)
    if common is None or not len(common):
        return [{} for _ in jobs]
    return [
        _scores(one, seen, common, names) if has else {}
        for one, has in zip(jobs, scored, strict=True)
    ]


def _scores(
    job: RunDirectory, seen: _Places, common: np.ndarray, names: Sequence[str]
) -> dict[str, float]:
    """Of the forecasts of the job in the common cells."""
    from runner.validation.scores import SCORES, sample_of

    table = _read(job, ["date", "asset", "fold", "y", "prediction", "benchmark"])
    keys = seen.of(table)
    at = np.minimum(np.searchsorted(common, keys), len(common) - 1)
    sample = sample_of(table[common[at] == keys], int(job.about["horizon"]))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {f"{COMMON}{name}": float(SCORES[name](sample)) for name in names}
    found = {name: value for name, value in values.items() if np.isfinite(value)}
    return found | {f"{COMMON}n_obs": float(len(sample.y))}


def _read(job: RunDirectory, columns: list[str]) -> pd.DataFrame:
    """These columns of the forecasts, without a hold-out beside other folds."""
    import pandas as pd

    from runner.validation.scores import open_rows

    return open_rows(pd.read_parquet(job.path / "predictions.parquet", columns=columns))


class _Places:
    """Numbers of dates and assets, the same in every table."""

    def __init__(self) -> None:
        self.known: dict[str, dict[Any, int]] = {"date": {}, "asset": {}}

    def of(self, table: pd.DataFrame) -> np.ndarray:
        """One number (n,) per row, that of its date and asset."""
        date, asset = (self._codes(name, table[name]) for name in self.known)
        return np.asarray(date * 2**32 + asset)

    def _codes(self, name: str, column: pd.Series) -> np.ndarray:
        import pandas as pd

        known = self.known[name]
        code, values = pd.factorize(column)
        return np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)[
            code
        ]
