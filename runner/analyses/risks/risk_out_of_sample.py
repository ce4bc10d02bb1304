"""Risk by a factor model on rows it was not fitted on, beside sample and shrunk covariances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.analyses.risks.risk import SINGULAR, estimators, refuse_few
from runner.data.calendar import year_of
from runner.errors import DataError
from runner.models.study import of_every_cell
from runner.panels.finding import Finding
from runner.schema.settings import Count, Draws, Positive, UpToOne
from runner.text import LEVEL, count, number, p_words, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study
    from runner.validation.splitters import Fold

Row = dict[str, object]  # of a table
TABLE = [
    "fold",
    "estimator",
    "measure",
    "value",
    "ci_low",
    "ci_high",
    "less_factor",
    "p_value",
    "rows",
    "assets",
    "assets_left_out",
    "reason",
]
BIAS = {
    "bias_equal": "the equal-weight portfolio",
    "bias_minimum_variance": "the minimum-variance portfolio",
}
VOLATILITY, DENSITY = "minimum_variance_volatility", "log_likelihood"
COMPARED = {
    VOLATILITY: "The realised volatility of the minimum-variance portfolio",
    DENSITY: "The mean log-likelihood per row",
}
OTHERS = {"sample": "the sample covariance", "shrunk": "the shrunk covariance"}


class Outcome(NamedTuple):
    """Test rows beside one covariance that was estimated before.

    Attributes:
        rows: (T,) positions of the test rows.
        z: (T, p) returns of portfolios over the volatility forecast: equal weights, then random
            ones.
        own: (T,) return of its minimum-variance portfolio; own_z: over the volatility forecast.
        density: (T,) log-density of the rows.
    """

    rows: np.ndarray
    z: np.ndarray
    own: np.ndarray
    own_z: np.ndarray
    density: np.ndarray


class Tested(NamedTuple):
    """A fold: the outcome of each covariance, None for one without inverse; assets in and out."""

    outcomes: Mapping[str, Outcome | None]
    assets: int
    left_out: int


class Mean(NamedTuple):
    """A mean over rows with its Newey-West error and degrees of freedom."""

    value: float
    error: float
    df: int


@of_every_cell
def risk_out_of_sample(
    study: Study,
    *,
    rows_per_year: Positive | None = None,
    portfolios: Draws = 100,
    seed: Count = 0,
    coverage: UpToOne = 0.95,
) -> Finding:
    """Three covariances estimated on the training rows of each fold, tested on its test rows.

    bias_*: standard deviation of returns over the volatility forecast, 1 is right, above it risk
    was forecast too low; its interval has Newey-West errors, so that it allows for fat tails and
    clusters of volatility. bias_random is the mean over long-short portfolios of random normal
    weights, bias_random_deviation their mean distance from 1. minimum_variance_volatility is
    realised, annual. log_likelihood is the mean per row of a normal with the training mean.
    less_factor is the value less that of the factor model, p_value that of the mean difference by
    row (of densities, of squared deviations) under Newey-West errors. Over folds, rows are taken
    together, a row in several folds once. Random weights and data are the same for all three.

    Args:
        rows_per_year: None takes that of the calendar of the panel.
        portfolios: how many random ones.
        seed: of their weights.
        coverage: least share of the training and of the test rows on which an asset must be usable.

    Raises:
        DataError: no fold, a model without factors, or a fold that leaves no two assets or rows.
    """
    import pandas as pd

    if not study.folds:
        raise DataError(
            "validation: no fold; allowed: one with test rows, such as validation=holdout_2000"
        )
    year = year_of(study.panel.calendar, rows_per_year)
    folds = {fold.name: _fold(study, fold, portfolios, seed, coverage) for fold in study.folds}
    if len(folds) > 1:
        every_fold = list(folds.values())
        of_all = _together(every_fold)
        folds = {"all": of_all, **folds}
    rows = []
    for name, fold in folds.items():
        key = {"fold": name, "assets": fold.assets, "assets_left_out": fold.left_out}
        measures = _measured(fold.outcomes, year.rows, study.panel.horizon)
        rows += [key | row for row in measures]
    table = pd.DataFrame(rows, columns=TABLE)
    first_fold = table["fold"].iloc[0]
    first = table[table["fold"] == first_fold]
    words = _words(first)
    if VOLATILITY in set(first["measure"]):
        words.append(f"Volatilities are {year.words}.")
    metrics = _metrics(first)
    return Finding(table, metrics, words, "risk_out_of_sample")


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    """Every measure of the factor model, and those that are compared of the other covariances."""
    logged = table[(table["estimator"] == "factor") | table["measure"].isin(list(COMPARED))]
    return {f"{row.measure}_{row.estimator}": row.value for row in logged.itertuples()}


def _fold(study: Study, fold: Fold, portfolios: int, seed: int, coverage: float) -> Tested:
    """Three covariances of the training rows of one fold, on its test rows.

    Raises:
        DataError: no two assets or rows are left.
    """
    from runner.models.factor_model import common, condition, factor_model

    panel = study.panel
    fit = study.model.fit(panel, fold.train)
    model = factor_model(study.model, fit, panel, fold.train)
    parts = [fold.train, fold.test]
    assets, (train, test) = common(panel.valid, parts, model.assets, coverage)
    fewest_rows = min(len(train), len(test))
    refuse_few(len(assets), fewest_rows, coverage)
    y_train = panel.y[np.ix_(train, assets)]
    y_test = panel.y[np.ix_(test, assets)]
    mean = y_train.mean(axis=0)
    weights = _weights(portfolios, len(assets), seed)
    matrices, _ = estimators(model, assets, y_train)
    outcomes: dict[str, Outcome | None] = {}
    for name, S in matrices.items():
        condition_number = condition(S)
        singular = np.isinf(condition_number)
        outcomes[name] = None if singular else _outcome(S, mean, y_test, test, weights)
    left_out = len(panel.assets) - len(assets)
    return Tested(outcomes, len(assets), left_out)


def _weights(portfolios: int, n: int, seed: int) -> np.ndarray:
    """Weights (1 + portfolios, n): equal ones, then random normal ones of size one."""
    drawn = np.random.default_rng(seed).standard_normal((portfolios, n))
    size = np.abs(drawn).sum(axis=1, keepdims=True)
    equal = np.full(n, 1.0 / n)
    return np.vstack([equal, drawn / size])


def _outcome(
    S: np.ndarray, mean: np.ndarray, y: np.ndarray, rows: np.ndarray, weights: np.ndarray
) -> Outcome:
    """Test returns y (T, n) beside a covariance S (n, n) and a mean (n,) of training."""
    from runner.models.factor_model import log_density, minimum_variance

    variances = np.einsum("pi,ij,pj->p", weights, S, weights)
    z = y @ weights.T / np.sqrt(variances)
    w = minimum_variance(S)
    own = y @ w
    own_z = own / np.sqrt(w @ S @ w)
    return Outcome(rows, z, own, own_z, log_density(y, mean, S))


def _together(folds: list[Tested]) -> Tested:
    """The test rows of all folds in their order; a row of several folds once.

    Such a row has the mean of its outcomes. A covariance that is singular in a fold has none.
    """
    outcomes: dict[str, Outcome | None] = {}
    for name in folds[0].outcomes:
        parts = [fold.outcomes[name] for fold in folds]
        known = [part for part in parts if part is not None]
        outcomes[name] = _joined(known) if len(known) == len(parts) else None
    assets = min(fold.assets for fold in folds)
    left_out = max(fold.left_out for fold in folds)
    return Tested(outcomes, assets, left_out)


def _joined(outcomes: list[Outcome]) -> Outcome:
    """Outcomes of several folds as one, by row."""
    every_row = np.concatenate([outcome.rows for outcome in outcomes])
    rows, at, times = np.unique(every_row, return_inverse=True, return_counts=True)
    z = _mean_by_row([outcome.z for outcome in outcomes], at, times)
    own = _mean_by_row([outcome.own for outcome in outcomes], at, times)
    own_z = _mean_by_row([outcome.own_z for outcome in outcomes], at, times)
    density = _mean_by_row([outcome.density for outcome in outcomes], at, times)
    return Outcome(rows, z, own, own_z, density)


def _mean_by_row(parts: list[np.ndarray], at: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mean (T, ...) over the values of each row in parts (m, ...), `times` of them."""
    values = np.concatenate(parts)
    total = np.zeros((len(times), *values.shape[1:]))
    np.add.at(total, at, values)
    further_axes = [1] * (values.ndim - 1)
    return total / times.reshape(-1, *further_axes)


def _measured(
    outcomes: Mapping[str, Outcome | None], rows_per_year: float, horizon: int
) -> list[Row]:
    """A row per estimator and measure."""
    rows: list[Row] = []
    for name, outcome in outcomes.items():
        if outcome is None:
            rows.append({"estimator": name, "measure": "all", "reason": SINGULAR})
            continue
        key = {"estimator": name, "rows": len(outcome.rows), "reason": ""}
        measures = _measures(outcome, rows_per_year, horizon)
        rows += [key | measure for measure in measures]
    return _compared(rows, outcomes, horizon)


def _measures(outcome: Outcome, rows_per_year: float, horizon: int) -> list[Row]:
    """Every measure of one covariance."""
    equal: Row = {"measure": "bias_equal"}
    minimum: Row = {"measure": "bias_minimum_variance"}
    random = outcome.z[:, 1:].std(axis=0, ddof=1)
    values = {"bias_random": random.mean()}
    distance = np.abs(random - 1.0)
    values["bias_random_deviation"] = distance.mean()
    deviation = outcome.own.std(ddof=1)
    values[VOLATILITY] = np.sqrt(rows_per_year) * deviation
    values[DENSITY] = outcome.density.mean()
    biases = [equal | _bias(outcome.z[:, 0], horizon), minimum | _bias(outcome.own_z, horizon)]
    return biases + [{"measure": name, "value": value} for name, value in values.items()]


def _compared(rows: list[Row], outcomes: Mapping[str, Outcome | None], horizon: int) -> list[Row]:
    """The same rows, with the value less the factor model's and its p-value where compared."""
    factor = outcomes["factor"]
    if factor is None:
        return rows
    factor_values: dict[object, Any] = {}
    for row in rows:
        if row["estimator"] == "factor":
            factor_values[row["measure"]] = row["value"]
    for row in rows:
        other = outcomes[str(row["estimator"])]
        measure = row["measure"]
        if other is None or other is factor or measure not in COMPARED:
            continue
        value: Any = row["value"]
        row["less_factor"] = value - factor_values[measure]
        difference = other.density - factor.density
        if measure == VOLATILITY:
            of_other = _squares(other.own)
            of_factor = _squares(factor.own)
            difference = of_other - of_factor
        row["p_value"] = _test(difference, horizon)
    return rows


def _squares(values: np.ndarray) -> np.ndarray:
    """Squared deviations from the mean."""
    return np.asarray((values - values.mean()) ** 2)


def mean_with_error(values: np.ndarray, horizon: int) -> Mean:
    """Mean of a series (n,) with its Newey-West error (lags of `default_lags`), n - 1 degrees."""
    from runner.numerics.covariance import default_lags, long_run

    n = len(values)
    deviations = (values - values.mean())[:, None]
    lags = default_lags(n, horizon)
    long_run_variance = long_run(deviations, lags)
    variance = long_run_variance[0, 0]
    error = float(np.sqrt(variance) / n)
    mean = float(values.mean())
    return Mean(mean, error, n - 1)


def _bias(z: np.ndarray, horizon: int) -> dict[str, float]:
    """Standard deviation (ddof 1) of standardised returns, with its interval.

    The interval is from that of their variance (delta rule).
    """
    from scipy.special import stdtrit

    deviation = z.std(ddof=1)
    value = float(deviation)
    squares = _squares(z)
    mean = mean_with_error(squares, horizon)
    half = stdtrit(mean.df, 0.975) * mean.error / (2.0 * value)
    low = value - half
    high = value + half
    return {"value": value, "ci_low": low, "ci_high": high}


def _test(values: np.ndarray, horizon: int) -> float:
    """Two-sided p-value of a mean of zero; NaN where nothing differs."""
    from runner.numerics.inference import two_sided

    mean = mean_with_error(values, horizon)
    if not mean.error > 0.0:
        return float("nan")
    t = np.array(mean.value / mean.error)
    return float(two_sided(t, mean.df))


def _words(table: pd.DataFrame) -> list[str]:
    """What the test rows show of the factor model, no more."""
    cells = table.set_index(["measure", "estimator"])
    names = {"factor": "the factor covariance", **OTHERS}
    known = [name for name in names if (DENSITY, name) in cells.index]
    words = []
    for name, description in names.items():
        if name not in known:
            words.append(f"{description.capitalize()} is {SINGULAR}.")
    if "factor" not in known:
        return words
    cell = cells.loc[(DENSITY, "factor"), "rows"]
    rows = count(int(cell), "test row")
    for measure, portfolio in BIAS.items():
        cell_of_factor = cells.loc[(measure, "factor")]
        words_of_bias = _bias_words(portfolio, cell_of_factor, rows)
        words.append(words_of_bias)
    for measure, description in COMPARED.items():
        value = number(cells.loc[(measure, "factor"), "value"])
        others = [_against(name, cells.loc[(measure, name)]) for name in OTHERS if name in known]
        clauses = "; ".join([f"{description} is {value} by factors", *others])
        words.append(f"{clauses}.")
    return words


def _bias_words(portfolio: str, row: pd.Series, rows: str) -> str:
    low = row["ci_low"]
    high = row["ci_high"]
    verdict = "1 is within"
    if low > 1.0:
        verdict = "risk was underestimated"
    elif high < 1.0:
        verdict = "risk was overestimated"
    value = number(row["value"], 3)
    interval = f"95 % interval {number(low, 3)} to {number(high, 3)}"
    return (
        f"Bias statistic of {portfolio}, by factors: {value} over {rows} ({interval}): {verdict}."
    )


def _against(name: str, row: pd.Series) -> str:
    """The value of another covariance beside that of the factor model."""
    less = row["less_factor"]
    p = row["p_value"]
    if less == 0.0 or np.isnan(p):
        return f"that of {OTHERS[name]} is the same"
    side = "higher" if less > 0.0 else "lower"
    share = ""
    if row.name[0] == VOLATILITY:
        share = f" ({percent(abs(less) / (row['value'] - less))})"
    test = p_words(p)
    if p >= LEVEL:
        test = f"no significant difference, {test}"
    size_text = number(abs(less), 3)
    return f"that of {OTHERS[name]} is {side} by {size_text}{share}, {test}"
