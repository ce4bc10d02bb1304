"""Risk by a factor model on rows it was not fitted on, beside the sample covariance and a shrunk
one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.analyses.risks.risk import SINGULAR, estimators, refuse_few
from runner.data.calendar import year_of
from runner.errors import DataError
from runner.panels.finding import Finding
from runner.schema.settings import Count, Positive, Rows, UpToOne
from runner.text import LEVEL, count, number, p_text, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study
    from runner.validation.splitters import Fold

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
]
TABLE += ["assets_left_out", "reason"]
BIAS = {
    "bias_equal": "the equal-weight portfolio",
    "bias_minimum_variance": "the minimum-variance portfolio",
}
VOLATILITY, DENSITY = "minimum_variance_volatility", "log_likelihood"
OTHERS = {"sample": "the sample covariance", "shrunk": "the shrunk covariance"}


class Outcome(NamedTuple):
    """What one covariance, estimated before, met on the test rows.

    Attributes:
        rows: (T,) positions of the test rows.
        z: (T, p) returns of portfolios over the volatility foretold: equal weights, then random
            ones.
        own: (T,) return of its minimum-variance portfolio; own_z: over the volatility foretold.
        density: (T,) log-density of the rows.
    """

    rows: np.ndarray
    z: np.ndarray
    own: np.ndarray
    own_z: np.ndarray
    density: np.ndarray


class Mean(NamedTuple):
    """A mean over rows with its Newey-West error and degrees of freedom."""

    value: float
    error: float
    df: int


def risk_out_of_sample(
    study: Study,
    *,
    rows_per_year: Positive | None = None,
    portfolios: Rows = 100,
    seed: Count = 0,
    coverage: UpToOne = 0.95,
) -> Finding:
    """Three covariances estimated on the training rows of each fold, tested on its test rows.

    bias_*: standard deviation of returns over the volatility foretold, 1 is right, above it risk
    was foretold too low; its interval has Newey-West errors, so that it allows for fat tails and
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
    outcomes = {name: one for name, (one, _) in folds.items()}
    if len(folds) > 1:
        outcomes = {"all": _together([one for one, _ in folds.values()]), **outcomes}
    sizes = {name: size for name, (_, size) in folds.items()}
    found = []
    for name, by_estimator in outcomes.items():
        size = sizes.get(
            name, (min(a for a, _ in sizes.values()), max(b for _, b in sizes.values()))
        )
        about = {"fold": name, "assets": size[0], "assets_left_out": size[1]}
        found += [about | row for row in _measured(by_estimator, year.rows, study.panel.horizon)]
    table = pd.DataFrame(found, columns=TABLE)
    first = table[table["fold"] == table["fold"].iloc[0]]
    told = first[(first["estimator"] == "factor") | first["measure"].isin([VOLATILITY, DENSITY])]
    metrics = {f"{row.measure}_{row.estimator}": row.value for row in told.itertuples()}
    words = _words(first)
    if VOLATILITY in set(first["measure"]):
        words.append(f"Volatilities are {year.words}.")
    return Finding(table, metrics, words, "risk_out_of_sample")


def _fold(
    study: Study, fold: Fold, portfolios: int, seed: int, coverage: float
) -> tuple[dict[str, Outcome | None], tuple[int, int]]:
    """What each covariance met in one fold, None for one without inverse; assets used and left
    out.
    """
    from runner.models.factor_model import common, condition, factor_model

    panel = study.panel
    model = factor_model(study.model, study.model.fit(panel, fold.train), panel, fold.train)
    assets, (train, test) = common(panel.valid, [fold.train, fold.test], model.assets, coverage)
    refuse_few(len(assets), min(len(train), len(test)), coverage)
    before = panel.y[np.ix_(train, assets)]
    matrices, _ = estimators(model, assets, before)
    n = len(assets)
    drawn = np.random.default_rng(seed).standard_normal((portfolios, n))
    weights = np.vstack([np.full(n, 1.0 / n), drawn / np.abs(drawn).sum(axis=1, keepdims=True)])
    found = {
        name: None
        if np.isinf(condition(S))
        else _outcome(S, before.mean(axis=0), panel.y[np.ix_(test, assets)], test, weights)
        for name, S in matrices.items()
    }
    return found, (n, len(panel.assets) - n)


def _outcome(
    S: np.ndarray, mean: np.ndarray, y: np.ndarray, rows: np.ndarray, weights: np.ndarray
) -> Outcome:
    from runner.models.factor_model import log_density, minimum_variance

    w = minimum_variance(S)
    volatility = np.sqrt(np.einsum("pi,ij,pj->p", weights, S, weights))
    own = y @ w
    return Outcome(
        rows, y @ weights.T / volatility, own, own / np.sqrt(w @ S @ w), log_density(y, mean, S)
    )


def _together(folds: list[dict[str, Outcome | None]]) -> dict[str, Outcome | None]:
    """The test rows of all folds in their order; a row of several folds has the mean of what it
    met in them.
    """
    found: dict[str, Outcome | None] = {}
    for name in folds[0]:
        parts = [fold[name] for fold in folds]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            found[name] = None
            continue
        rows, at, times = np.unique(
            np.concatenate([one.rows for one in known]), return_inverse=True, return_counts=True
        )
        columns = [
            _by_row(np.concatenate(values), at, times)
            for values in list(zip(*known, strict=True))[1:]
        ]
        found[name] = Outcome(rows, *columns)
    return found


def _by_row(values: np.ndarray, at: np.ndarray, times: np.ndarray) -> np.ndarray:
    total = np.zeros((len(times), *values.shape[1:]))
    np.add.at(total, at, values)
    return total / times.reshape(-1, *[1] * (values.ndim - 1))


def _measured(
    outcomes: Mapping[str, Outcome | None], rows_per_year: float, horizon: int
) -> list[dict[str, object]]:
    """One row per estimator and measure."""
    found: list[dict[str, object]] = []
    for name, one in outcomes.items():
        if one is None:
            found.append({"estimator": name, "measure": "all", "reason": SINGULAR})
            continue
        random = one.z[:, 1:].std(axis=0, ddof=1)
        rows = [
            {"measure": "bias_equal"} | _bias(one.z[:, 0], horizon),
            {"measure": "bias_minimum_variance"} | _bias(one.own_z, horizon),
            {"measure": "bias_random", "value": random.mean()},
            {"measure": "bias_random_deviation", "value": np.abs(random - 1.0).mean()},
            {"measure": VOLATILITY, "value": np.sqrt(rows_per_year) * one.own.std(ddof=1)},
            {"measure": DENSITY, "value": one.density.mean()},
        ]
        found += [{"estimator": name, "rows": len(one.rows), "reason": ""} | row for row in rows]
    return _compared(found, outcomes, horizon)


def _compared(
    found: list[dict[str, object]], outcomes: Mapping[str, Outcome | None], horizon: int
) -> list[dict[str, object]]:
    """The same rows, with what those of the other estimators are less the factor model's, and
    whether by chance.
    """
    mine = {row["measure"]: row.get("value") for row in found if row["estimator"] == "factor"}
    factor = outcomes["factor"]
    for row in found:
        other = outcomes[str(row["estimator"])]
        if row["measure"] in (VOLATILITY, DENSITY) and factor and other and other is not factor:
            squares = [(one.own - one.own.mean()) ** 2 for one in (other, factor)]
            by_row = squares if row["measure"] == VOLATILITY else [other.density, factor.density]
            row["less_factor"] = row["value"] - mine[row["measure"]]  # type: ignore[operator]
            row["p_value"] = _test(by_row[0] - by_row[1], horizon)
    return found


def mean_with_error(values: np.ndarray, horizon: int) -> Mean:
    """Mean of a series with its Newey-West error (lags of `default_lags`), with n - 1 degrees of
    freedom.
    """
    from runner.numerics.covariance import default_lags, long_run

    n = len(values)
    spread = long_run((values - values.mean())[:, None], default_lags(n, horizon))
    return Mean(float(values.mean()), float(np.sqrt(spread[0, 0]) / n), n - 1)


def _bias(z: np.ndarray, horizon: int) -> dict[str, float]:
    """Standard deviation (ddof 1) of standardised returns; its interval from that of their
    variance (delta rule).
    """
    from scipy.special import stdtrit

    value = float(z.std(ddof=1))
    mean = mean_with_error((z - z.mean()) ** 2, horizon)
    half = stdtrit(mean.df, 0.975) * mean.error / (2.0 * value)
    return {"value": value, "ci_low": value - half, "ci_high": value + half}


def _test(values: np.ndarray, horizon: int) -> float:
    """Two-sided p-value of a mean of zero; NaN where nothing differs."""
    from runner.numerics.inference import two_sided

    mean = mean_with_error(values, horizon)
    return (
        float(two_sided(np.array(mean.value / mean.error), mean.df))
        if mean.error > 0.0
        else float("nan")
    )


def _words(table: pd.DataFrame) -> list[str]:
    """What the test rows say of the factor model, no more."""
    by = table.set_index(["measure", "estimator"])
    singular = {"factor": "the factor covariance", **OTHERS}
    known = [name for name in singular if (DENSITY, name) in by.index]
    found = [
        f"{what.capitalize()} is {SINGULAR}."
        for name, what in singular.items()
        if name not in known
    ]
    if "factor" not in known:
        return found
    rows = count(int(by.loc[(DENSITY, "factor"), "rows"]), "test row")
    found += [
        _bias_words(what, by.loc[(measure, "factor")], rows) for measure, what in BIAS.items()
    ]
    for measure, what in {
        VOLATILITY: "The realised volatility of the minimum-variance portfolio",
        DENSITY: "The mean log-likelihood per row",
    }.items():
        mine = number(by.loc[(measure, "factor"), "value"])
        others = [_against(name, by.loc[(measure, name)]) for name in OTHERS if name in known]
        found.append(f"{what} is {mine} by factors" + "".join(f"; {text}" for text in others) + ".")
    return found


def _bias_words(what: str, row: pd.Series, rows: str) -> str:
    low, high = row["ci_low"], row["ci_high"]
    verdict = (
        "risk was foretold too low"
        if low > 1.0
        else "risk was foretold too high"
        if high < 1.0
        else "1 is within"
    )
    interval = f"95 % interval {number(low, 3)} to {number(high, 3)}"
    return f"Bias statistic of {what}, by factors: {number(row['value'], 3)} over {rows} ({interval}): {verdict}."


def _against(name: str, row: pd.Series) -> str:
    less, p = row["less_factor"], row["p_value"]
    if less == 0.0 or np.isnan(p):
        return f"that of {OTHERS[name]} is the same"
    side = "higher" if less > 0.0 else "lower"
    share = f" ({percent(abs(less) / (row['value'] - less))})" if row.name[0] == VOLATILITY else ""
    sure = f"p {p_text(p)}" if p < LEVEL else f"not distinguishable, p {p_text(p)}"
    return f"that of {OTHERS[name]} is {side} by {number(abs(less), 3)}{share}, {sure}"
