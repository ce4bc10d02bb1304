"""Which of several forecasts may be the best, and whether any is better than a benchmark, from
their losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.errors import DataError
from runner.numerics.variation import COMPUTED, rounding_alone

if TYPE_CHECKING:
    import pandas as pd

MOST_PAIRED = 400  # models, each pair of which is compared
NUMBERS = 20_000_000  # pairs times draws that arch holds some arrays of, 160 MB each
FEWEST = 20  # dates of losses, below which a bootstrap says nothing


class Superior(NamedTuple):
    """p-values that no model is better than the benchmark: Hansen's bounds and the consistent one;
    what was drawn.
    """

    lower: float
    consistent: float
    upper: float
    dates: int
    block: int


def block_of(dates: int, horizon: int, block: int | None) -> int:
    """Mean block of the stationary bootstrap: the one given, or the larger of the horizon and the
    cube root of the dates."""
    return block or max(horizon, round(dates ** (1.0 / 3.0)))


def may_be_best(losses: pd.DataFrame, draws: int, block: int, seed: int) -> pd.Series:
    """p-value by model in the confidence set of Hansen, Lunde and Nason (2011) over losses (T, S),
    by arch.

    Stationary bootstrap, statistic R, with as many of the draws as `paired_draws` says. Beyond 400
    models it is max, whose power is poor where most models are bad. Models with the same losses
    share a p-value: arch divides by the error of their difference.
    """
    import pandas as pd
    from arch.bootstrap import MCS

    values = losses.to_numpy(dtype=float)
    _, first, same = np.unique(values, axis=1, return_index=True, return_inverse=True)
    order = np.sort(first)
    p = np.ones(1)
    if len(order) > 1:
        paired = len(order) <= MOST_PAIRED
        fewer = paired_draws(len(order), draws) if paired else draws
        tested = MCS(values[:, order], 0.1, fewer, block, "R" if paired else "max", seed=seed)
        tested.compute()
        p = tested.pvalues["Pvalue"].sort_index().to_numpy()
    own = np.searchsorted(order, first[same.ravel()])
    return pd.Series(p[own], losses.columns)


def paired_draws(models: int, draws: int) -> int:
    """Draws of the confidence set for which the pairs of so many models fit in memory."""
    return min(draws, NUMBERS // models**2)


def superior(
    gains: np.ndarray, draws: int = 1000, block: int | None = None, seed: int = 0, horizon: int = 1
) -> Superior:
    """Test for superior predictive ability (Hansen 2005) of gains (T, S): loss of the benchmark
    less that of a model.

    The null: no model is better than its benchmark. Stationary bootstrap by arch, which does not
    divide the gains by their errors; so each is divided by its own beforehand, the studentised test
    of Hansen. A model whose forecasts are the benchmark itself has no gain and is left out.

    Raises:
        DataError: fewer than 20 dates; no gain that varies.
    """
    from arch.bootstrap import SPA

    gains = np.asarray(gains, dtype=float)
    if len(gains) < FEWEST:
        raise DataError(f"losses: {len(gains)} dates common to all; needs {FEWEST}")
    chosen = block_of(len(gains), horizon, block)
    error = np.sqrt(np.maximum(long_run_variance(gains, chosen), 0.0))
    varies = ~rounding_alone(error, np.sqrt((gains**2).mean(axis=0)), COMPUTED, lambda: False)
    if not varies.any():
        raise DataError("losses: no forecast differs from its benchmark")
    unit = gains[:, varies] / error[varies]
    tested = SPA(np.zeros(len(unit)), -unit, chosen, draws, seed=seed)
    tested.compute()
    p = tested.pvalues
    return Superior(float(p["lower"]), float(p["consistent"]), float(p["upper"]), len(unit), chosen)


def long_run_variance(x: np.ndarray, block: int) -> np.ndarray:
    """Variance (S,) of sqrt(T) times the mean of x (T, S) under the stationary bootstrap (Politis
    and Romano 1994).

    Autocovariances, weighted by (1 - l/T) q^l + l/T q^(T - l) with q = 1 - 1 / block.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    T, q = len(x), 1.0 - 1.0 / block
    length = next_fast_len(2 * T)
    power = np.abs(rfft(x - x.mean(axis=0), length, axis=0)) ** 2
    covariance = irfft(power, length, axis=0)[:T] / T
    lag = np.arange(T)
    weight = (1.0 - lag / T) * q**lag + lag / T * q ** (T - lag)
    weight[0] = 0.5
    return np.asarray(2.0 * weight @ covariance)


class Losses(NamedTuple):
    """Mean squared errors (dates, jobs) over the assets of each date, those of the benchmarks, and
    jobs left out with the reason."""

    ours: pd.DataFrame
    benchmark: pd.DataFrame
    left_out: dict[str, str]


def losses_of(predictions: Mapping[str, pd.DataFrame]) -> Losses:
    """Losses of the predictions of several jobs on the cells (date, asset) that all of them
    forecast.

    A hold-out beside other folds is left alone. Jobs with several forecasts of a row, with none, or
    with another target than the first, are left out.
    """
    import pandas as pd

    from runner.validation.scores import open_rows

    tables, left_out, common, y = {}, {}, None, None
    for name, table in predictions.items():
        own = open_rows(table).set_index(["date", "asset"])[["y", "prediction", "benchmark"]]
        if not len(own) or not own.index.is_unique:
            left_out[name] = "several forecasts of a row" if len(own) else "no forecast"
            continue
        shared = own.index if common is None else common.intersection(own.index)
        if y is not None and not np.allclose(
            own["y"].reindex(shared), y.reindex(shared), rtol=1e-9, atol=0.0
        ):
            left_out[name] = "another target than the first job"
            continue
        y = own["y"] if y is None else y
        tables[name], common = own, shared
    if common is None or not len(common):
        return Losses(
            pd.DataFrame(),
            pd.DataFrame(),
            left_out | dict.fromkeys(tables, "no row that all forecast"),
        )
    code, dates = pd.factorize(common.get_level_values("date"), sort=True)
    columns: dict[str, dict[str, np.ndarray]] = {"prediction": {}, "benchmark": {}}
    for name, own in tables.items():
        cells = own.reindex(common)
        for what, column in columns.items():
            error = (cells["y"] - cells[what]).to_numpy(dtype=float) ** 2
            column[name] = np.bincount(code, weights=error) / np.bincount(code)
    ours, benchmark = (pd.DataFrame(column, index=dates) for column in columns.values())
    return Losses(ours, benchmark, left_out)
