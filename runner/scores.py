"""How well predictions meet what happened, each beside its naive baseline."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

# Each score takes y, prediction and benchmark, (n,) each, and gives a number. Adding one is adding a line.
Score = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
ROUNDING = 1e-12  # relative; deviations below it are noise of floating point


def r2_against(y: np.ndarray, prediction: np.ndarray, benchmark: np.ndarray | float) -> float:
    """1 - sum (y - prediction)^2 / sum (y - benchmark)^2 (Campbell and Thompson 2008).

    NaN where y is its benchmark but for rounding: there is nothing to explain.
    """
    total = np.sum((y - benchmark) ** 2)
    if total <= ROUNDING**2 * np.sum(y**2):
        return float("nan")
    return float(1.0 - np.sum((y - prediction) ** 2) / total)


def rmse(y: np.ndarray, prediction: np.ndarray) -> float:
    """Root of the mean squared error, in units of the target."""
    return float(np.sqrt(np.mean((y - prediction) ** 2)))


def mae(y: np.ndarray, prediction: np.ndarray) -> float:
    """Mean absolute error, in units of the target."""
    return float(np.mean(np.abs(y - prediction)))


def hit_rate(y: np.ndarray, prediction: np.ndarray) -> float:
    """Share of rows in which the prediction has the sign of the target; NaN where there is no prediction, and for a
    target of 0 and 1, whose sign says nothing."""
    if np.isnan(prediction).any() or (y.any() and np.isin(y, (0.0, 1.0)).all()):
        return float("nan")
    return float(np.mean(np.sign(y) == np.sign(prediction)))


SCORES: dict[str, Score] = {
    "r2": r2_against,
    "r2_zero": lambda y, p, train_mean: r2_against(y, p, 0.0),
    "r2_test_mean": lambda y, p, train_mean: r2_against(y, p, y.mean()),
    "rmse": lambda y, p, train_mean: rmse(y, p),
    "rmse_naive": lambda y, p, train_mean: rmse(y, train_mean),
    "mae": lambda y, p, train_mean: mae(y, p),
    "mae_naive": lambda y, p, train_mean: mae(y, train_mean),
    "hit_rate": lambda y, p, train_mean: hit_rate(y, p),
    "hit_rate_naive": lambda y, p, train_mean: hit_rate(y, train_mean),
}
BENCHMARK = "train mean"  # of `r2` and of the naive scores: each unit's mean over its training rows


def score(predictions: pd.DataFrame) -> pd.DataFrame:
    """Every score per asset and over all, one row each.

    Args:
        predictions: columns date, asset, fold, y, prediction, benchmark; the benchmark is the forecast of
            someone who knows only the training rows. `r2_test_mean` takes the mean of the rows scored.

    Returns:
        scope, unit, n_obs and one column per score. No rows where there are no predictions.
    """
    if predictions.empty:
        return pd.DataFrame(columns=["scope", "unit", "n_obs", *SCORES])
    rows = [_row("asset", str(name), part) for name, part in predictions.groupby("asset", sort=False, observed=True)]
    return pd.DataFrame([*rows, _row("pooled", "all", predictions)])


def _row(scope: str, unit: str, part: pd.DataFrame) -> dict[str, object]:
    y, prediction, benchmark = (part[name].to_numpy() for name in ("y", "prediction", "benchmark"))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {name: function(y, prediction, benchmark) for name, function in SCORES.items()}
    return {"scope": scope, "unit": unit, "n_obs": len(part)} | values
