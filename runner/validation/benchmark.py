"""The benchmark of forecasts: what someone who knows only the training rows would say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.validation.folds import runs

if TYPE_CHECKING:
    from runner.panels.panel import Panel


def train_means(panel: Panel, train: np.ndarray) -> np.ndarray:
    """The benchmark (N,): mean of each asset over its training rows, of all assets without any."""
    return TrainingMeans(panel).of(train)


class TrainingMeans:
    """The benchmarks of several folds; a training window that grows is summed on, not again.

    Rows are added in order of time, so that the bits are those of each fold by itself.
    """

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self._forget()

    def _forget(self) -> None:
        N = len(self.panel.assets)
        self.summed = np.empty(0, dtype=int)
        self.count = np.zeros(N, dtype=np.intp)
        self.total = np.zeros(N)

    def of(self, train: np.ndarray) -> np.ndarray:
        """The benchmark (N,) of a fold that trains on the rows at these positions."""
        known = len(self.summed)
        if not np.array_equal(train[:known], self.summed):
            self._forget()
            known = 0
        if len(train) > known:
            for start, until in runs(train[known:]):
                cells = self.panel.at(np.arange(start, until)).cells
                cells.add_sums_by_asset(self.count, self.total)
        self.summed = train
        of_asset = self.total / np.maximum(self.count, 1)
        return np.where(self.count > 0, of_asset, self.of_all)

    @property
    def of_all(self) -> float:
        """The mean over all assets and training rows of the fold asked last."""
        return float(self.total.sum() / max(self.count.sum(), 1))
