"""Which of several forecasts may be the best, and whether any beats a benchmark, by losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from runner.errors import DataError
from runner.numerics.variation import COMPUTED, rounding_alone

if TYPE_CHECKING:
    import pandas as pd

    from runner.trials.trial import Predictions

MOST_PAIRED = 400  # models, each pair of which is compared
SET_SIZE = 0.1  # asked of arch; the p-values do not depend on it
NUMBERS = 20_000_000  # pairs times draws that arch holds some arrays of, 160 MB each
SAME_TARGET = 1e-9  # relative; targets of jobs that differ by more are not the same
FEWEST = 20  # dates of losses, below which a bootstrap says nothing


class Superior(NamedTuple):
    """p-values that no model is better than the benchmark, and what was drawn.

    Attributes:
        lower, consistent, upper: Hansen's bounds and the consistent p-value between them.
        dates, block: of the losses, and of a block.
    """

    lower: float
    consistent: float
    upper: float
    dates: int
    block: int


def block_of(dates: int, horizon: int, block: int | None) -> int:
    """Mean block of the stationary bootstrap, in dates: the one given, or what the data ask.

    That is the larger of the horizon and the cube root of the dates.
    """
    if block:
        return block
    return max(horizon, round(dates ** (1.0 / 3.0)))


def may_be_best(losses: pd.DataFrame, draws: int, block: int, seed: int) -> pd.Series:
    """p-value by model in the confidence set of Hansen, Lunde and Nason (2011), losses (T, S).

    By arch. Stationary bootstrap, statistic R, with as many of the draws as `paired_draws` says.
    Beyond 400 models it is max, whose power is poor where most models are bad. Models with the same
    losses share a p-value: arch divides by the error of their difference.
    """
    import pandas as pd
    from arch.bootstrap import MCS

    values = losses.to_numpy(dtype=float)
    _, first, same = np.unique(values, axis=1, return_index=True, return_inverse=True)
    different = np.sort(first)
    models = len(different)
    p = np.ones(1)
    if models > 1:
        paired = models <= MOST_PAIRED
        size = paired_draws(models, draws) if paired else draws
        method: Literal["R", "max"] = "R" if paired else "max"
        compared = values[:, different]
        test = MCS(compared, SET_SIZE, size, block, method, seed=seed)
        test.compute()
        p = test.pvalues["Pvalue"].sort_index().to_numpy()
    own = np.searchsorted(different, first[same.ravel()])
    return pd.Series(p[own], losses.columns)


def paired_draws(models: int, draws: int) -> int:
    """Draws of the confidence set for which the pairs of so many models fit in memory."""
    return min(draws, NUMBERS // models**2)


def superior(
    gains: np.ndarray, draws: int = 1000, block: int | None = None, seed: int = 0, horizon: int = 1
) -> Superior:
    """Test for superior predictive ability (Hansen 2005) of gains (T, S).

    A gain is the loss of the benchmark less that of a model.

    The null: no model is better than its benchmark. Stationary bootstrap by arch, which does not
    divide the gains by their errors; so each is divided by its own beforehand, the studentised test
    of Hansen. A model whose forecasts are the benchmark itself has no gain and is left out.

    Raises:
        DataError: fewer than 20 dates; no gain that varies.
    """
    from arch.bootstrap import SPA

    gains = np.asarray(gains, dtype=float)
    dates = len(gains)
    if dates < FEWEST:
        raise DataError(f"losses: {dates} dates common to all; needs {FEWEST}")
    length = block_of(dates, horizon, block)
    variance = long_run_variance(gains, length)
    positive = np.maximum(variance, 0.0)
    error = np.sqrt(positive)
    mean_square = (gains**2).mean(axis=0)
    size = np.sqrt(mean_square)
    varies = ~rounding_alone(error, size, COMPUTED, _no_quotients)
    if not varies.any():
        raise DataError("losses: no forecast differs from its benchmark")
    studentised = gains[:, varies] / error[varies]
    zeros = np.zeros(dates)
    test = SPA(zeros, -studentised, length, draws, seed=seed)
    test.compute()
    p = test.pvalues
    return Superior(
        lower=float(p["lower"]),
        consistent=float(p["consistent"]),
        upper=float(p["upper"]),
        dates=dates,
        block=length,
    )


def _no_quotients() -> bool:
    """Gains are differences of squares, never quotients of prices."""
    return False


def long_run_variance(x: np.ndarray, block: int) -> np.ndarray:
    """Variance (S,) of sqrt(T) times the mean of x (T, S) under the stationary bootstrap.

    Autocovariances, weighted by (1 - l/T) q^l + l/T q^(T - l) with q = 1 - 1 / block (Politis and
    Romano 1994).
    """
    from scipy.fft import irfft, next_fast_len, rfft

    T = len(x)
    q = 1.0 - 1.0 / block
    length = next_fast_len(2 * T)
    mean = x.mean(axis=0)
    away = x - mean
    power = np.abs(rfft(away, length, axis=0)) ** 2
    covariance = irfft(power, length, axis=0)[:T] / T
    lag = np.arange(T)
    forward = (1.0 - lag / T) * q**lag
    around = lag / T * q ** (T - lag)  # the sample is a circle
    weight = forward + around
    weight[0] = 0.5
    return np.asarray(2.0 * weight @ covariance)


class Losses(NamedTuple):
    """Mean squared errors over the assets of each date.

    Attributes:
        ours, benchmark: frames (dates, jobs), of the forecasts and of their benchmarks: the
            training mean of each asset, or the average of these over the assets of a date where
            that is better. Pooled forecasts beat the noisy mean of each asset without any signal.
        left_out: jobs left out, with the reason.
    """

    ours: pd.DataFrame
    benchmark: pd.DataFrame
    left_out: dict[str, str]


def losses_of(predictions: Mapping[str, Predictions]) -> Losses:
    """Losses of the predictions of several jobs on the cells (date, asset) that all forecast.

    A hold-out beside other folds is left alone. Jobs with several forecasts of a row, with none, or
    with another target than the first, are left out. Each job's are read twice and not kept: once
    for the cells, once for the losses.
    """
    import pandas as pd

    compared: list[str] = []
    left_out = {}
    y = None
    common = pd.Index([])
    for name, read in predictions.items():
        table = _cells(read)
        if not len(table):
            left_out[name] = "no forecast"
            continue
        if not table.index.is_unique:
            left_out[name] = "several forecasts of a row"
            continue
        shared = common.intersection(table.index) if compared else table.index
        if y is None:
            y = table["y"]
        elif not _same_target(table["y"].reindex(shared), y.reindex(shared)):
            left_out[name] = "another target than the first job"
            continue
        compared.append(name)
        common = shared
    if not len(common):
        no_row = dict.fromkeys(compared, "no row that all forecast")
        return Losses(pd.DataFrame(), pd.DataFrame(), left_out | no_row)
    date, dates = pd.factorize(common.get_level_values("date"), sort=True)
    ours = {}
    benchmark = {}
    for name in compared:
        cells = _cells(predictions[name]).reindex(common)
        y = cells["y"]
        ours[name] = _mean_squares(y - cells["prediction"], date)
        benchmark[name] = _benchmark(cells, date)
    of_ours = pd.DataFrame(ours, index=dates)
    of_benchmark = pd.DataFrame(benchmark, index=dates)
    return Losses(of_ours, of_benchmark, left_out)


def _benchmark(cells: pd.DataFrame, date: np.ndarray) -> np.ndarray:
    """Mean squared errors of the dates, of the better of the benchmark and its average by date."""
    own = _mean_squares(cells["y"] - cells["benchmark"], date)
    average = cells["benchmark"].groupby(date).transform("mean")
    of_all = _mean_squares(cells["y"] - average, date)
    return of_all if of_all.mean() < own.mean() else own


def _cells(read: Predictions) -> pd.DataFrame:
    """Target, forecast and benchmark of each date and asset, a hold-out left alone."""
    from runner.validation.scores import open_rows

    table = open_rows(read()).set_index(["date", "asset"])
    return table[["y", "prediction", "benchmark"]]


def _same_target(y: pd.Series, other: pd.Series) -> bool:
    return np.allclose(y, other, rtol=SAME_TARGET, atol=0.0)


def _mean_squares(errors: pd.Series, date: np.ndarray) -> np.ndarray:
    """Mean squared error of the cells of each date; `date` is the number of that of each cell."""
    values = errors.to_numpy(dtype=float)
    squares = values**2
    return np.bincount(date, weights=squares) / np.bincount(date)
