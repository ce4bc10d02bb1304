"""A forecast with given weights: a baseline that estimates nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import DataError, EstimationError, unknown
from runner.models.model import Model
from runner.text import count

if TYPE_CHECKING:
    from runner.models.fit import Fit
    from runner.panels.panel import Panel

DATES = 256  # forecast at a time


@dataclass(frozen=True)
class Fixed(Model):
    """The constant plus the weighted sum of features, the same for every asset.

    Attributes:
        weights: by name of a feature, for instance {vol_21: 0.7, vol_252: 0.3}; null: none.
        constant: added to that, in the unit of the target.
    """

    weights: dict[str, float] | None = None
    constant: float = 0.0

    def __post_init__(self) -> None:
        given = {"constant": self.constant}
        for name, weight in self.given.items():
            given[f"weights.{name}"] = weight
        mistakes = []
        for name, value in given.items():
            if not isfinite(value):
                mistakes.append(f"{name}: given {value}; allowed: a finite number")
        if mistakes:
            raise ValueError("\n".join(mistakes))

    @property
    def given(self) -> dict[str, float]:
        """The weights, none where there are none."""
        return self.weights or {}

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """Names that are not among the features, a line each."""
        return [
            f"weights: {unknown(name, features)}" for name in self.given if name not in features
        ]

    def terms(self, features: Sequence[str]) -> list[str]:
        """Names (k,) of the weights, the constant first."""
        return ["const", *self.given]

    def uses(self, features: Sequence[str]) -> list[str]:
        """Those with a weight."""
        return [name for name in features if name in self.given]

    def lacks_the_mean(self, panel: Panel) -> str:
        return "the forecast is given, not estimated"

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        """How well the forecast meets the target on the valid cells; nothing is estimated.

        `residual_std` is the root of the mean squared error, and `r2` may be below zero.

        Raises:
            DataError: no cell is valid.
            EstimationError: the target does not vary.
        """
        import pandas as pd

        from runner.models.fit import COEFFICIENTS, HYPOTHESES, QUALITY, Fit
        from runner.validation.accuracy import r2_against, rmse

        use = panel.valid[rows]
        y = panel.y[rows][use]
        forecast = self._forecast(panel, rows)[use]
        if not len(y):
            raise DataError("model: no observation of these rows has a target and every feature")
        r2 = r2_against(y, forecast, y.mean())
        if np.isnan(r2):
            raise EstimationError(
                f"model: the target does not vary on {count(len(y), 'row')}: "
                "no forecast can be judged"
            )
        weights = [self.constant, *self.given.values()]
        key = {"scope": "pooled", "unit": "all"}
        quality = key | {
            "n_obs": len(y),
            "r2": r2,
            "residual_std": rmse(y, forecast),
            "cov": "",
            "reason": "",
        }
        coefficients = []
        for term, weight in zip(self.terms(panel.names), weights, strict=True):
            coefficients.append(key | {"term": term, "estimate": weight})
        return Fit(
            pd.DataFrame(coefficients, columns=["scope", "unit", *COEFFICIENTS]),
            pd.DataFrame([quality], columns=["scope", "unit", *QUALITY]),
            pd.DataFrame(columns=["scope", "unit", *HYPOTHESES]),
            np.tile(weights, (len(panel.assets), 1)),
            "none, weights are given",
        )

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Forecasts (T, N), NaN where a feature with a weight is missing."""
        every_row = np.arange(len(panel.dates))
        return self._forecast(panel, every_row)

    def _forecast(self, panel: Panel, rows: np.ndarray) -> np.ndarray:
        """Forecasts (len(rows), N)."""
        values = np.full((len(rows), len(panel.assets)), float(self.constant))
        for start in range(0, len(rows), DATES):
            some = slice(start, start + DATES)
            for name, weight in self.given.items():
                k = panel.names.index(name)
                values[some] += weight * panel.X[rows[some], :, k]
            panel.rest()
        return values
