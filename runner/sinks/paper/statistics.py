"""Descriptive statistics and correlations of the rows that a run is fitted on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

    from runner.panels.panel import Panel

TARGET = "target"  # its name among the variables; no feature may have it
BLOCK = 2**18  # numbers read at a time
MOST_SORTED = 2**22  # numbers of a panel whose quantiles are taken
QUANTILES = {"p25": 25.0, "median": 50.0, "p75": 75.0}


class Statistics(NamedTuple):
    """Of the target, as it is fitted, and every regressor, on the usable cells.

    Attributes:
        descriptive: variable, n_obs, mean, std (ddof 1), min, p25, median, p75, max; quantiles are
            NaN in panels of more than MOST_SORTED numbers.
        correlations: variable, and Pearson's correlation with each variable; NaN with a constant.
    """

    descriptive: pd.DataFrame
    correlations: pd.DataFrame


@dataclass
class _Sums:
    """Sums over rows (n, k) about a point near their mean, so that they keep their digits."""

    point: np.ndarray
    low: np.ndarray
    high: np.ndarray
    total: np.ndarray
    products: np.ndarray
    rows: int = 0

    @classmethod
    def about(cls, point: np.ndarray) -> _Sums:
        """No rows yet."""
        k = len(point)
        endless = np.full(k, np.inf)
        return cls(point, endless, -endless, np.zeros(k), np.zeros((k, k)))

    def add(self, values: np.ndarray) -> None:
        """Take these rows in."""
        distance = values - self.point
        self.rows += len(values)
        total_distance = distance.sum(axis=0)
        self.total += total_distance
        self.products += distance.T @ distance
        self.low = np.minimum(self.low, values.min(axis=0))
        self.high = np.maximum(self.high, values.max(axis=0))

    @property
    def mean(self) -> np.ndarray:
        """(k,)"""
        return self.point + self.total / self.rows

    @property
    def covariance(self) -> np.ndarray:
        """(k, k), ddof 1; NaN of one row, and zero of a constant."""
        shift = self.total / self.rows
        shift_products = np.outer(shift, shift)
        about_mean = self.products - self.rows * shift_products
        constant = self.low == self.high
        about_mean[constant] = 0.0
        about_mean[:, constant] = 0.0
        freedom = self.rows - 1 or np.nan
        return about_mean / freedom


def statistics(panel: Panel) -> Statistics | None:
    """Statistics of a panel in one pass over its cells; None without a usable cell."""
    import pandas as pd

    names = [TARGET, *panel.names]
    sorts = panel.usable_cells * len(names) <= MOST_SORTED
    kept = []
    sums = None
    with np.errstate(all="ignore"):
        for values in _blocks(panel):
            if sums is None:
                mean = values.mean(axis=0)
                sums = _Sums.about(mean)
            sums.add(values)
            if sorts:
                kept.append(values)
        if sums is None:
            return None
        covariance = sums.covariance
        variance = np.diag(covariance)
        std = np.sqrt(variance)
        correlations = covariance / np.outer(std, std)
    varies = std > 0.0
    correlations[varies, varies] = 1.0
    quantiles = np.full((len(QUANTILES), len(names)), np.nan)
    if sorts:
        all_values = np.concatenate(kept)
        at = list(QUANTILES.values())
        quantiles = np.percentile(all_values, at, axis=0)
    columns = {"variable": names, "n_obs": sums.rows, "mean": sums.mean, "std": std}
    columns["min"] = sums.low
    columns.update(zip(QUANTILES, quantiles, strict=True))
    columns["max"] = sums.high
    table = pd.DataFrame(correlations, columns=names)
    table.insert(0, "variable", names)
    return Statistics(pd.DataFrame(columns), table)


def _blocks(panel: Panel) -> Iterator[np.ndarray]:
    """Target and regressors (n, K + 1) of the usable cells, a part of them at a time."""
    cells = panel.cells
    of_a_date = max(cells.rows // max(cells.shape[0], 1), 1)
    length = max(BLOCK // (of_a_date * (cells.features + 1)), 1)
    for _, held in cells.stretches(dates=length):
        for start in range(0, held.shape[0], length):
            dates = np.arange(start, min(start + length, held.shape[0]))
            part = held.at(dates)
            target = part.y[part.valid]
            if len(target):
                yield np.column_stack([target, part.X[part.valid]])
