"""How near predictions (..., n) come to the outcomes, y (..., n); a number for each n rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from runner.numerics.cross_section import FEWEST
from runner.numerics.variation import COMPUTED, flat, of_quotients, rounding_alone

NAN = float("nan")


def r2_against(y: np.ndarray, prediction: np.ndarray, benchmark: np.ndarray | float) -> Any:
    """1 - sum (y - prediction)^2 / sum (y - benchmark)^2 (Campbell and Thompson 2008).

    NaN where y is its benchmark but for rounding: there is nothing to explain.
    """
    total = _squared(y - benchmark)
    left = np.sqrt(total / y.shape[-1])
    mean_square = np.mean(y**2, axis=-1)
    size = np.sqrt(mean_square)

    def made_of_quotients() -> Any:
        has_quotient = of_quotients(y)
        return has_quotient.all(axis=-1)

    nothing = rounding_alone(left, size, COMPUTED, made_of_quotients)
    unexplained = _squared(y - prediction)
    with np.errstate(divide="ignore", invalid="ignore"):
        unexplained_share = unexplained / total
        r2 = 1.0 - unexplained_share
    return _number(np.where(nothing, NAN, r2))


def rmse(y: np.ndarray, prediction: np.ndarray) -> Any:
    """Root of the mean squared error, in units of the target."""
    error = y - prediction
    mean_square = np.vecdot(error, error) / y.shape[-1]
    return _number(np.sqrt(mean_square))


def mae(y: np.ndarray, prediction: np.ndarray) -> Any:
    """Mean absolute error, in units of the target."""
    return _number(np.mean(_distance(y, prediction), axis=-1))


def mape(y: np.ndarray, prediction: np.ndarray) -> Any:
    """Mean absolute error as a share of the target; NaN unless every target is above zero.

    Near zero the share has no bound, and a target of both signs is near zero: of a return this says
    nothing.
    """
    positive = (y > 0.0).all(axis=-1)
    if not positive.any():
        return _number(np.full(positive.shape, NAN))
    shares = _distance(y, prediction)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(shares, y, out=shares)
    return _number(np.where(positive, np.mean(shares, axis=-1), NAN))


def qlike(y: np.ndarray, prediction: np.ndarray) -> Any:
    """Mean of y / f - log(y / f) - 1 (Patton 2011), of the target as it is, volatility or variance.

    NaN unless every target and every forecast is above zero: the loss of a forecast of zero is
    infinite.
    """
    positive = (y > 0.0).all(axis=-1) & (prediction > 0.0).all(axis=-1)
    if not positive.any():
        return _number(np.full(positive.shape, NAN))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = y / prediction
        logarithm = np.log(ratio)
        losses = np.subtract(ratio, logarithm, out=logarithm)
        losses -= 1.0
        mean = np.mean(losses, axis=-1)
    return _number(np.where(positive, mean, NAN))


def hit_rate(y: np.ndarray, prediction: np.ndarray) -> Any:
    """Share of rows in which the prediction has the sign of the target.

    NaN where a prediction is missing, and for a target of 0 and 1, whose sign says nothing.
    """
    missing = np.isnan(prediction).any(axis=-1)
    of_zero_and_one = np.isin(y, (0.0, 1.0)).all(axis=-1) & y.any(axis=-1)
    sign = np.sign(y)
    sign_foretold = np.sign(prediction)
    hits = sign == sign_foretold
    return _number(np.where(missing | of_zero_and_one, NAN, np.mean(hits, axis=-1)))


def correlation(y: np.ndarray, prediction: np.ndarray) -> Any:
    """Pearson's correlation over all rows together.

    NaN with fewer than three rows, or where one side is constant.
    """
    if y.shape[-1] < FEWEST:
        return _number(np.full(y.shape[:-1], NAN))
    constant = flat(y, axis=-1, relative=COMPUTED) | flat(prediction, axis=-1, relative=COMPUTED)
    a = _centred(y)
    b = _centred(prediction)
    squares = np.vecdot(a, a) * np.vecdot(b, b)
    size = np.sqrt(squares)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.vecdot(a, b) / size
    return _number(np.where(constant, NAN, np.clip(r, -1.0, 1.0)))


def _squared(errors: np.ndarray) -> Any:
    """Sums of the squares of these errors (..., n), which are written over."""
    return np.sum(np.square(errors, out=errors), axis=-1)


def _distance(y: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Absolute errors (..., n)."""
    errors = np.asarray(y - prediction)
    return np.abs(errors, out=errors)


def _centred(values: np.ndarray) -> np.ndarray:
    """Values less their mean, after the first of them: so that a large level costs no digit."""
    away = np.asarray(values - values[..., :1])
    away -= away.mean(axis=-1, keepdims=True)
    return away


def _number(values: Any) -> Any:
    """A number where there is one set of rows, else the array."""
    array = np.asarray(values)
    return array[()]
