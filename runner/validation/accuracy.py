"""How near predictions (n,) come to what happened, y (n,)."""

from __future__ import annotations

import numpy as np

from runner.numerics.cross_section import FEWEST
from runner.numerics.variation import COMPUTED, flat, of_quotients, rounding_alone


def r2_against(y: np.ndarray, prediction: np.ndarray, benchmark: np.ndarray | float) -> float:
    """1 - sum (y - prediction)^2 / sum (y - benchmark)^2 (Campbell and Thompson 2008).

    NaN where y is its benchmark but for rounding: there is nothing to explain.
    """
    error_of_benchmark = y - benchmark
    total = np.sum(error_of_benchmark**2)
    left = np.sqrt(total / len(y))
    mean_square = np.mean(y**2)
    size = np.sqrt(mean_square)

    def made_of_quotients() -> bool:
        return bool(of_quotients(y).all())

    if rounding_alone(left, size, COMPUTED, made_of_quotients):
        return float("nan")
    error = y - prediction
    unexplained = np.sum(error**2)
    return float(1.0 - unexplained / total)


def rmse(y: np.ndarray, prediction: np.ndarray) -> float:
    """Root of the mean squared error, in units of the target."""
    error = y - prediction
    mean_square = error @ error / len(y)
    return float(np.sqrt(mean_square))


def mae(y: np.ndarray, prediction: np.ndarray) -> float:
    """Mean absolute error, in units of the target."""
    error = np.abs(y - prediction)
    return float(np.mean(error))


def mape(y: np.ndarray, prediction: np.ndarray) -> float:
    """Mean absolute error as a share of the target; NaN unless every target is above zero.

    Near zero the share has no bound, and a target of both signs is near zero: of a return this says
    nothing.
    """
    if not (y > 0.0).all():
        return float("nan")
    error = np.abs(y - prediction)
    shares = error / y
    return float(np.mean(shares))


def qlike(y: np.ndarray, prediction: np.ndarray) -> float:
    """Mean of y / f - log(y / f) - 1 (Patton 2011), of the target as it is, volatility or variance.

    NaN unless every target and every forecast is above zero: the loss of a forecast of zero is
    infinite.
    """
    if not (y > 0.0).all():
        return float("nan")
    if not (prediction > 0.0).all():
        return float("nan")
    ratio = y / prediction
    losses = ratio - np.log(ratio) - 1.0
    return float(np.mean(losses))


def hit_rate(y: np.ndarray, prediction: np.ndarray) -> float:
    """Share of rows in which the prediction has the sign of the target.

    NaN where a prediction is missing, and for a target of 0 and 1, whose sign says nothing.
    """
    if np.isnan(prediction).any():
        return float("nan")
    of_zero_and_one = np.isin(y, (0.0, 1.0)).all()
    if y.any() and of_zero_and_one:
        return float("nan")
    hits = np.sign(y) == np.sign(prediction)
    return float(np.mean(hits))


def correlation(y: np.ndarray, prediction: np.ndarray) -> float:
    """Pearson's correlation over all rows together.

    NaN with fewer than three rows, or where one side is constant.
    """
    if len(y) < FEWEST:
        return float("nan")
    if flat(y, relative=COMPUTED):
        return float("nan")
    if flat(prediction, relative=COMPUTED):
        return float("nan")
    a = y - y[0]
    b = prediction - prediction[0]
    a -= a.mean()
    b -= b.mean()
    squares = (a @ a) * (b @ b)
    size = np.sqrt(squares)
    r = a @ b / size
    return float(np.clip(r, -1.0, 1.0))
