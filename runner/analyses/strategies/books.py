"""Weights of portfolios that differ in the volatility that their positions are sized by."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.analyses.forecasts.forecasts import refuse_repeated
from runner.analyses.forecasts.judged import judged
from runner.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

ROLLING, FORECAST, FORESIGHT, UNSIZED = "rolling", "forecast", "foresight", "unsized"


class Bounds(NamedTuple):
    """Volatility aimed at, most that a position grows by, most of a name, most of a leg."""

    target: float
    cap: float
    most: float
    gross: float


class Held(NamedTuple):
    """What the portfolios of all sizings share.

    Attributes:
        known: (D + 1,) the first row, then those at which the return of each row held is known.
        at: (D,) which weights are held, counted from 0.
        returns: (D, A) to the next row, zero where there is none.
        missing: how many returns of assets held are not known.
        negative: how many forecasts of assets held are zero or less.
        capped: of each sizing, (R, A) whether the cap binds.
    """

    known: pd.DatetimeIndex
    at: np.ndarray
    returns: np.ndarray
    missing: int
    negative: int
    capped: dict[str, np.ndarray]


class Traded(NamedTuple):
    """Data of the D rows with a forecast and of A assets.

    Attributes:
        signal, ahead: (D, A) the signal, and the return to the next row.
        sigmas: of each sizing, (D, A) volatility.
    """

    rows: pd.DatetimeIndex
    signal: np.ndarray
    ahead: np.ndarray
    sigmas: dict[str, np.ndarray]


def books_of(
    study: Study, signal: str, rolling: str, quantile: float, bounds: Bounds, hold: int
) -> tuple[str, dict[str, np.ndarray], Held]:
    """The sample, weights (R, A) of each sizing at the R times of trading, and what they share.

    Raises:
        DataError: a target that is no forward volatility; several forecasts of a row; no asset to
            hold.
    """
    _refuse(study)
    sample, predictions = judged(study)
    refuse_repeated(predictions)
    traded = _traded(study, predictions, signal, rolling)
    needed = [traded.signal, traded.ahead, *traded.sigmas.values()]
    needed_cells = np.stack(needed)
    is_known = np.isfinite(needed_cells)
    use = is_known.all(axis=0)
    times = np.arange(0, len(traded.rows), hold)
    alpha = legs(traded.signal[times], use[times], quantile)
    if not alpha.any():
        raise DataError(
            "no asset to hold: none has a signal, a volatility and a return on the dates of trading"
        )
    unsized = sized(alpha, None, bounds)
    books = {UNSIZED: unsized}
    for name, sigma in traded.sigmas.items():
        books[name] = sized(alpha, sigma[times], bounds)
    return sample, books, _held(study, traded, alpha, hold, bounds)


def _traded(study: Study, predictions: pd.DataFrame, signal: str, rolling: str) -> Traded:
    """Signal, volatilities and next returns of the rows and assets with a forecast."""
    forecast = predictions.pivot(index="date", columns="asset", values="prediction")
    actual = predictions.pivot(index="date", columns="asset", values="y")
    rows = forecast.index
    names = forecast.columns

    def cells(frame: pd.DataFrame) -> np.ndarray:
        return frame.reindex(index=rows, columns=names).to_numpy(dtype=float)

    estimate = _values(study, "rolling", rolling)
    sigmas = {ROLLING: cells(estimate), FORECAST: cells(forecast), FORESIGHT: cells(actual)}
    returns = study.market.returns()
    next_returns = returns.shift(-1)
    ahead = cells(next_returns)
    signals = _values(study, "signal", signal)
    order = cells(signals)
    return Traded(rows, order, ahead, sigmas)


def _held(study: Study, traded: Traded, alpha: np.ndarray, hold: int, bounds: Bounds) -> Held:
    """What the portfolios share, traded every `hold` rows into alpha (R, A)."""
    dates = study.market.dates
    row_of_market = dates.get_indexer(traded.rows)
    known = dates[np.append(row_of_market[0], row_of_market + 1)]
    every_row = np.arange(len(traded.rows))
    at = every_row // hold
    times = np.arange(0, len(traded.rows), hold)
    unknown = np.isnan(traded.ahead) & (alpha[at] != 0.0)
    below_zero = (traded.sigmas[FORECAST][times] <= 0.0) & (alpha != 0.0)
    capped = {}
    for name, sigma in traded.sigmas.items():
        capped[name] = growth(sigma[times], bounds) >= bounds.cap
    capped[UNSIZED] = np.zeros(alpha.shape, dtype=bool)
    returns = np.nan_to_num(traded.ahead)
    missing = int(unknown.sum())
    negative = int(below_zero.sum())
    return Held(known, at, returns, missing, negative, capped)


def legs(signal: np.ndarray, use: np.ndarray, quantile: float) -> np.ndarray:
    """Alpha (R, A): one over the number in the top share by the signal, minus that at the bottom.

    Zero between. Shares are by rank among the assets in use; ties share their mean rank, so that
    equal assets are treated alike.
    """
    import pandas as pd

    ranked = pd.DataFrame(np.where(use, signal, np.nan)).rank(axis=1)
    in_use = use.sum(axis=1)
    n = in_use[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        middle_rank = ranked.to_numpy() - 0.5
        place = middle_rank / n
        least_of_top = 1.0 - quantile
        top = place > least_of_top
        bottom = place < quantile
        bought = top / top.sum(axis=1, keepdims=True)
        sold = bottom / bottom.sum(axis=1, keepdims=True)
    return np.where(top, bought, 0.0) - np.where(bottom, sold, 0.0)


def growth(sigma: np.ndarray, bounds: Bounds) -> np.ndarray:
    """min(target / sigma, cap) (R, A); the cap where sigma is not above zero."""
    is_finite = np.isfinite(sigma)
    known = is_finite & (sigma > 0.0)
    aimed = bounds.target / np.where(known, sigma, np.nan)
    return np.where(known, np.minimum(aimed, bounds.cap), bounds.cap)


def sized(alpha: np.ndarray, sigma: np.ndarray | None, bounds: Bounds) -> np.ndarray:
    """Weights (R, A): alpha min(target / sigma, cap), each name and each leg within its bound."""
    scale = np.ones(alpha.shape) if sigma is None else growth(sigma, bounds)
    weights = np.clip(alpha * scale, -bounds.most, bounds.most)
    for side in (1.0, -1.0):
        signed = side * weights
        own = signed > 0.0
        size = np.abs(np.where(own, weights, 0.0)).sum(axis=1, keepdims=True)
        larger = np.maximum(size, bounds.gross)
        within = bounds.gross / larger
        shrink = np.minimum(1.0, within)
        weights = np.where(own, weights * shrink, weights)
    return weights


def _refuse(study: Study) -> None:
    """Refuse targets that are no volatility; one without a kind is taken at its word."""
    unit = study.panel.unit
    if study.panel.horizon < 1 or unit.kind not in ("volatility", None):
        raise DataError(
            f"positions are sized by a volatility ahead; given {unit.noun}; "
            "allowed: target=forward_volatility"
        )


def _values(study: Study, where: str, text: str) -> pd.DataFrame:
    """The expression on the data, by asset.

    Raises:
        DataError: what the data cannot give, or what is the same for every asset.
    """
    import pandas as pd

    from runner.features.expressions import Expression
    from runner.panels.evaluated import evaluate

    values = evaluate(where, Expression(text), study.market)
    if not isinstance(values, pd.DataFrame):
        raise DataError(f"{where}: {text!r} is the same for every asset; allowed: values by asset")
    return values
