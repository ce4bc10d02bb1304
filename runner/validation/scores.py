"""How well predictions meet what happened, each beside its naive baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from runner.numerics.cross_section import (
    FEWEST,
    Average,
    average,
    correlations,
    rank_correlations,
    sums,
)
from runner.numerics.variation import COMPUTED, flat, of_quotients, rounding_alone
from runner.validation.forecast_tests import (
    Comparison,
    clark_west,
    diebold_mariano,
    squared_error_gains,
)
from runner.validation.splitters import HOLD_OUT

if TYPE_CHECKING:
    from runner.panels.panel import Panel

# of `r2`, of the naive scores and of the tests: each unit's mean over its training rows
BENCHMARK = "train mean"


@dataclass(frozen=True)
class Sample:
    """Rows that are scored together, in any order.

    Attributes:
        y, forecast, benchmark: (n,), units of the target.
        date: (n,) number of the date of each row, increasing with time.
        horizon: rows that the target looks ahead.
    """

    y: np.ndarray
    forecast: np.ndarray
    benchmark: np.ndarray
    date: np.ndarray
    horizon: int = 0

    @cached_property
    def naive(self) -> Sample:
        """The same rows, forecast by the benchmark."""
        return replace(self, forecast=self.benchmark)

    @cached_property
    def dates(self) -> int:
        return int(self.date.max()) + 1

    @cached_property
    def ic(self) -> Average:
        """Correlation of forecast and target over the assets of a date, averaged over dates."""
        return average(correlations(self.forecast, self.y, self.date, self.dates), self.horizon)

    @cached_property
    def rank_ic(self) -> Average:
        """Spearman's correlation of forecast and target over the assets of a date, averaged over
        dates.
        """
        return average(
            rank_correlations(self.forecast, self.y, self.date, self.dates), self.horizon
        )

    @cached_property
    def gains(self) -> np.ndarray:
        """By how much the squared error of the benchmark is larger, mean of each date: dates are
        the observations.
        """
        return self._by_date(squared_error_gains(self.y, self.forecast, self.benchmark))

    @cached_property
    def dm(self) -> Comparison:
        return diebold_mariano(self.gains, self.horizon)

    @cached_property
    def cw(self) -> Comparison:
        return clark_west(
            self.gains + self._by_date((self.forecast - self.benchmark) ** 2), self.horizon
        )

    def _by_date(self, values: np.ndarray) -> np.ndarray:
        rows = np.bincount(self.date, minlength=self.dates)
        return sums(values, self.date, self.dates)[rows > 0] / rows[rows > 0]


def r2_against(y: np.ndarray, prediction: np.ndarray, benchmark: np.ndarray | float) -> float:
    """1 - sum (y - prediction)^2 / sum (y - benchmark)^2 (Campbell and Thompson 2008).

    NaN where y is its benchmark but for rounding: there is nothing to explain.
    """
    total = np.sum((y - benchmark) ** 2)
    left, size = np.sqrt(total / len(y)), np.sqrt(np.mean(y**2))
    if rounding_alone(left, size, COMPUTED, lambda: of_quotients(y).all()):
        return float("nan")
    return float(1.0 - np.sum((y - prediction) ** 2) / total)


def rmse(y: np.ndarray, prediction: np.ndarray) -> float:
    """Root of the mean squared error, in units of the target."""
    missed = y - prediction
    return float(np.sqrt(missed @ missed / len(y)))


def mae(y: np.ndarray, prediction: np.ndarray) -> float:
    """Mean absolute error, in units of the target."""
    return float(np.mean(np.abs(y - prediction)))


def mape(y: np.ndarray, prediction: np.ndarray) -> float:
    """Mean absolute error as a share of the target; NaN unless every target is above zero.

    Near zero the share has no bound, and a target of both signs is near zero: of a return this says
    nothing.
    """
    return float(np.mean(np.abs(y - prediction) / y)) if (y > 0.0).all() else float("nan")


def qlike(y: np.ndarray, prediction: np.ndarray) -> float:
    """Mean of y / f - log(y / f) - 1 (Patton 2011), of the target as it is, volatility or variance.

    NaN unless every target and every forecast is above zero: the loss of a forecast of zero is
    infinite.
    """
    if not ((y > 0.0).all() and (prediction > 0.0).all()):
        return float("nan")
    ratio = y / prediction
    return float(np.mean(ratio - np.log(ratio) - 1.0))


def hit_rate(y: np.ndarray, prediction: np.ndarray) -> float:
    """Share of rows in which the prediction has the sign of the target; NaN where there is no
    prediction, and for a target of 0 and 1, whose sign says nothing."""
    if np.isnan(prediction).any() or (y.any() and np.isin(y, (0.0, 1.0)).all()):
        return float("nan")
    return float(np.mean(np.sign(y) == np.sign(prediction)))


def correlation(y: np.ndarray, prediction: np.ndarray) -> float:
    """Pearson's correlation over all rows together; NaN with fewer than three rows, or where one
    side is constant.
    """
    if len(y) < FEWEST:
        return float("nan")
    if flat(y, relative=COMPUTED) or flat(prediction, relative=COMPUTED):
        return float("nan")
    a, b = (values - values[0] for values in (y, prediction))
    a -= a.mean()
    b -= b.mean()
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1.0, 1.0))


def of(function: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Sample], float]:
    """The function of y and forecast, of a sample."""
    return lambda sample: function(sample.y, sample.forecast)


def naive(function: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[Sample], float]:
    """The same function of the benchmark instead of the forecast."""
    return lambda sample: function(sample.y, sample.benchmark)


# Adding a score is adding a line. `ic` is the information coefficient, a correlation over the
# assets of a date; its t is of the mean over dates, `_nw` with Newey-West errors; its p-value
# allows for targets that overlap, see `runner.numerics.cross_section.average`; its ratio is mean / standard
# deviation over dates.
SCORES: dict[str, Callable[[Sample], float]] = {
    "r2": lambda sample: r2_against(sample.y, sample.forecast, sample.benchmark),
    "r2_zero": lambda sample: r2_against(sample.y, sample.forecast, 0.0),
    "r2_test_mean": lambda sample: r2_against(sample.y, sample.forecast, sample.y.mean()),
    "rmse": of(rmse),
    "rmse_naive": naive(rmse),
    "mae": of(mae),
    "mae_naive": naive(mae),
    "mape": of(mape),
    "mape_naive": naive(mape),
    "qlike": of(qlike),
    "qlike_naive": naive(qlike),
    "hit_rate": of(hit_rate),
    "hit_rate_naive": naive(hit_rate),
    "correlation": of(correlation),
    "correlation_naive": naive(correlation),
    "ic": lambda sample: sample.ic.mean,
    "ic_naive": lambda sample: sample.naive.ic.mean,
    "ic_ratio": lambda sample: sample.ic.ratio,
    "ic_t": lambda sample: sample.ic.t,
    "ic_t_nw": lambda sample: sample.ic.t_nw,
    "ic_p_value": lambda sample: sample.ic.p_value,
    "rank_ic": lambda sample: sample.rank_ic.mean,
    "rank_ic_naive": lambda sample: sample.naive.rank_ic.mean,
    "rank_ic_ratio": lambda sample: sample.rank_ic.ratio,
    "rank_ic_t": lambda sample: sample.rank_ic.t,
    "rank_ic_t_nw": lambda sample: sample.rank_ic.t_nw,
    "rank_ic_p_value": lambda sample: sample.rank_ic.p_value,
    "ic_dates": lambda sample: sample.rank_ic.dates or float("nan"),
}
# Tests against the benchmark: of assets, of paths, of all rows and of the hold-out, not of the
# other folds. Clark-West holds only for a model that contains the benchmark, as a regression by
# asset with a constant does.
TESTS: dict[str, Callable[[Sample], float]] = {
    "dm_stat": lambda sample: sample.dm.stat,
    "dm_p_value": lambda sample: sample.dm.p_value,
    "cw_stat": lambda sample: sample.cw.stat,
    "cw_p_value": lambda sample: sample.cw.p_value,
    "test_dates": lambda sample: len(sample.gains),
}
# Of one path: several paths forecast the same rows, so that a mean over them has no test of its
# own.
OF_ONE_PATH = [
    "ic_t",
    "ic_t_nw",
    "ic_p_value",
    "rank_ic_t",
    "rank_ic_t_nw",
    "rank_ic_p_value",
    *TESTS,
]
OF_NESTED = ["cw_stat", "cw_p_value"]  # only where the model contains the benchmark
COLUMNS = ["scope", "unit", "n_obs", *SCORES, *TESTS, "cw_reason"]
# Compared between runs: the pooled row as oos/<name>, that of a hold-out beside other folds as
# holdout/<name>.
LOGGED = [
    "n_obs",
    "r2",
    "r2_zero",
    "r2_test_mean",
    "rmse",
    "rmse_naive",
    "mae",
    "mae_naive",
    "hit_rate",
]
LOGGED += [
    "hit_rate_naive",
    "qlike",
    "qlike_naive",
    "correlation",
    "rank_ic",
    "rank_ic_p_value",
    "dm_p_value",
]
LOGGED_HOLD_OUT = ["n_obs", "r2", "rmse", "rmse_naive", "dm_p_value"]


def score(predictions: pd.DataFrame, horizon: int = 0, not_nested: str = "") -> pd.DataFrame:
    """Every score by scope, one row each.

    `asset`, one each in order of appearance, and `pooled`, the last row, are of the rows that are
    not in a hold-out beside other folds, which is judged apart (see `open_rows`). `fold` has a row
    for each of several folds, the hold-out among them. Several paths (combinatorial
    cross-validation) forecast the same rows: each has a row of scope `path`; `asset` and `pooled`
    are then means over the paths, and their `n_obs` is the rows of all paths.

    Args:
        predictions: columns date, asset, fold, y, prediction, benchmark and, where rows are
            forecast more than once, path; the benchmark is the forecast of someone who knows only
            the training rows. `r2_test_mean` takes the mean of the rows scored.
        horizon: rows that the target looks ahead, for the errors of means over dates.
        not_nested: why the model does not contain the benchmark; there is then no Clark-West test.

    Returns:
        scope, unit, n_obs, a column per score and test, NaN where one means nothing, and
        `cw_reason`, why there is no Clark-West test. No rows where there are no predictions.
    """
    if predictions.empty:
        return pd.DataFrame(columns=COLUMNS)
    paths = _paths(open_rows(predictions))
    tables = [pd.DataFrame(_units(part, horizon)) for part in paths.values()]
    several, table = len(tables) > 1, _mean_over_paths(tables)
    of_paths = [
        table.iloc[-1:].assign(scope="path", unit=name)
        for name, table in zip(paths, tables, strict=True)
    ]
    folds = (
        predictions.groupby("fold", sort=False, observed=True)
        if predictions["fold"].nunique() > 1
        else []
    )
    of_folds = [
        row_of("fold", str(name), part, horizon, tests=name == HOLD_OUT) for name, part in folds
    ]
    parts = [
        table.iloc[:-1],
        pd.DataFrame(of_folds),
        *(of_paths if several else []),
        table.iloc[-1:],
    ]
    scores = pd.concat([part for part in parts if len(part)], ignore_index=True).reindex(
        columns=COLUMNS
    )
    if not_nested:
        scores[OF_NESTED] = np.nan
    return scores.assign(cw_reason=not_nested)


def train_means(panel: Panel, train: np.ndarray) -> np.ndarray:
    """The benchmark (N,): mean of each asset over its training rows, or of all assets where it has
    none.
    """
    use = panel.valid[train]
    y, n = np.where(use, panel.scored[train], 0.0), use.sum(axis=0)
    return np.where(n > 0, y.sum(axis=0) / np.maximum(n, 1), y.sum() / max(n.sum(), 1))


def open_rows(predictions: pd.DataFrame) -> pd.DataFrame:
    """The rows to judge a model by: all but those of a locked hold-out, unless there is nothing
    else.
    """
    locked = predictions["fold"] == HOLD_OUT
    return predictions if locked.all() or not locked.any() else predictions[~locked]


def row_of(
    scope: str, unit: str, part: pd.DataFrame, horizon: int = 0, tests: bool = True
) -> dict[str, object]:
    """The scores of these predictions as a row, means over the paths where there are several."""
    rows = [
        pd.DataFrame([_row(scope, unit, sample_of(one, horizon), tests)])
        for one in _paths(part).values()
    ]
    return _mean_over_paths(rows).iloc[0].to_dict()


def sample_of(part: pd.DataFrame, horizon: int = 0) -> Sample:
    y, forecast, benchmark = (
        part[name].to_numpy(dtype=float) for name in ("y", "prediction", "benchmark")
    )
    return Sample(y, forecast, benchmark, pd.factorize(part["date"], sort=True)[0], horizon)


def logged(scores: pd.DataFrame) -> dict[str, float]:
    """The numbers by which runs are compared: oos/<name>, and holdout/<name> of a hold-out beside
    other folds.
    """
    parts = (
        ("oos", LOGGED, scores["scope"] == "pooled"),
        ("holdout", LOGGED_HOLD_OUT, (scores["scope"] == "fold") & (scores["unit"] == HOLD_OUT)),
    )
    return {
        f"{prefix}/{name}": float(scores[name].iloc[at])
        for prefix, names, rows in parts
        for at in np.flatnonzero(rows)
        for name in names
    }


def _paths(predictions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The predictions of each path by its name; all of them where there are no paths."""
    if "path" not in predictions or predictions["path"].nunique() < 2:
        return {"1": predictions}
    return {str(name): part for name, part in predictions.groupby("path", sort=True, observed=True)}


def _units(part: pd.DataFrame, horizon: int) -> Iterator[dict[str, object]]:
    """A row per asset in order of appearance, and one over all."""
    whole = sample_of(part, horizon)
    codes, names = pd.factorize(part["asset"])
    order = np.argsort(codes, kind="stable")
    for name, at in zip(names, np.split(order, np.cumsum(np.bincount(codes))[:-1]), strict=True):
        own = Sample(whole.y[at], whole.forecast[at], whole.benchmark[at], whole.date[at], horizon)
        yield _row("asset", str(name), own)
    yield _row("pooled", "all", whole)


def _row(scope: str, unit: str, sample: Sample, tests: bool = True) -> dict[str, object]:
    with np.errstate(divide="ignore", invalid="ignore"):
        values = {name: function(sample) for name, function in SCORES.items()}
        values |= {name: function(sample) for name, function in TESTS.items()} if tests else {}
    return {"scope": scope, "unit": unit, "n_obs": len(sample.y)} | values


def _mean_over_paths(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Scores averaged over the tables of the paths, rows added; what has no meaning for several
    paths is left out.

    A score that some path does not have has no mean.
    """
    if len(tables) == 1:
        return tables[0]
    groups = pd.concat(tables).groupby(["scope", "unit"], sort=False)
    found = groups[list(SCORES)].mean(skipna=False).assign(**dict.fromkeys(OF_ONE_PATH, np.nan))
    return found.assign(n_obs=groups["n_obs"].sum()).reset_index()
