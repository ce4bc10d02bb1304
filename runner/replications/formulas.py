"""Worked examples of papers: inputs as printed, through the functions that every run uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from runner.analyses.strategies.sharpe import lo_error
from runner.trials.adjust import benjamini_yekutieli, holm
from runner.trials.hurdles import Track, deflated_sharpe, expected_maximum, probabilistic_sharpe

if TYPE_CHECKING:
    from runner.models import Regression
    from runner.models.fit import Fit

LEVEL = 0.05
ROWS_OF_GROUP = 10  # of combinatorial cross-validation: any number gives the same splits


def of_deflated_sharpe(
    *,
    sharpe: float,
    rows_per_year: int,
    years: int,
    skew: float,
    kurtosis: float,
    variance: float,
    trials: Sequence[int],
) -> dict[str, float]:
    """Deflated Sharpe ratios of Bailey and Lopez de Prado (2014), one for each number of trials.

    Args:
        sharpe: annualised ratio of the best trial.
        variance: of the annualised ratios of the trials.
    """
    root_year = np.sqrt(rows_per_year)
    per_row = sharpe / root_year
    of = Track(years * rows_per_year, per_row, skew, kurtosis)
    results = {"probabilistic": probabilistic_sharpe(of)}
    for number in trials:
        of_row = variance / rows_per_year
        results[f"expected_maximum {number}"] = expected_maximum(number, of_row)
        results[f"deflated {number}"] = deflated_sharpe(of, number, of_row)
    return results


def of_multiple_tests(*, p: Sequence[float]) -> dict[str, float]:
    """How many of several tests survive at 5 % (Harvey, Liu and Zhu 2016).

    Args:
        p: p-values of all tests.
    """
    values = np.array(p)
    adjusted = {
        "single": values,
        "bonferroni": values * len(values),
        "holm": holm(values),
        "bhy": benjamini_yekutieli(values),
    }
    return {name: float((of <= LEVEL).sum()) for name, of in adjusted.items()}


def of_sharpe_errors(*, ratios: Sequence[float], rows: Sequence[int]) -> dict[str, float]:
    """Standard errors of Sharpe ratios of independent normal rows (Lo 2002)."""
    errors = {}
    pairs = product(ratios, rows)
    for ratio, n in pairs:
        errors[f"{ratio:g} {n}"] = lo_error(ratio, n)
    return errors


def of_least_squares(
    *,
    y: Sequence[float],
    x: Mapping[str, Sequence[float]],
    degree: int = 1,
    constant: bool = True,
) -> dict[str, float]:
    """Estimates, standard errors and fit of a least-squares regression.

    Args:
        y: (n,).
        x: regressors by name, (n,) each.
        degree: powers of the only regressor up to this; 1 takes the regressors as they are.
    """
    from runner.models import Regression

    columns = {name: np.array(values) for name, values in x.items()}
    if degree > 1:
        [(name, values)] = columns.items()
        columns = {f"{name}^{power}": _power(values, power) for power in range(1, degree + 1)}
    fit = _fitted(Regression(by="asset", constant=constant), y, columns)
    quality = fit.quality.iloc[0]
    results = _estimates(fit)
    results["residual_std"] = quality["residual_std"]
    results["r2"] = quality["r2"]
    results["f_stat"] = quality["f_stat"]
    return results


def of_logit(*, y: Sequence[float], x: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Estimates and standard errors of a logit.

    Args:
        y: (n,), 1 or 0.
        x: regressors by name, (n,) each.
    """
    from runner.models import Regression

    columns = {name: np.array(values) for name, values in x.items()}
    fit = _fitted(Regression(estimator="logit", by="asset", cov="nonrobust"), y, columns)
    return _estimates(fit)


def of_lasso_path(*, terms: Sequence[str]) -> dict[str, float]:
    """Where the LASSO path of scikit-learn's diabetes data bends, and its least-squares end.

    The knots are in the units of lars, n times scikit-learn's alpha. `kept N` counts the regressors
    of a LASSO whose penalty lies in the middle between knots N and N + 1.

    Args:
        terms: names of the ten regressors.
    """
    from sklearn.datasets import load_diabetes

    from runner.models import Regression
    from runner.numerics.homotopy import paths

    x, y = load_diabetes(return_X_y=True)
    n = len(y)
    away = y - y.mean()
    knots = paths(x, away[None], x[:0], np.zeros(1))
    lam = np.unique(knots.lam[:, 0])[::-1]
    columns = dict(zip(terms, x.T, strict=True))
    results = {}
    for place, (knot, below) in enumerate(pairwise(lam), start=1):
        results[f"knot {place}"] = knot
        middle = (knot + below) / (2 * n)
        lasso = Regression(estimator="lasso", by="asset", penalty=middle, standardise=False)
        slopes = _fitted(lasso, y, columns).coefficients.query("term != 'const'")
        results[f"kept {place}"] = float(slopes["estimate"].ne(0.0).sum())
    ols = _fitted(Regression(by="asset"), y, columns)
    for row in ols.coefficients.itertuples():
        results[f"ols {row.term}"] = row.estimate
    return results


def of_direction(
    *,
    estimates: Sequence[float],
    regressors: Sequence[float],
    tp: int,
    fp: int,
    fn: int,
    tn: int,
) -> dict[str, float]:
    """The probability of a logit, and the shares of a confusion matrix.

    Args:
        estimates: constant first.
        tp, fp, fn, tn: true positives, false positives, false negatives, true negatives.
    """
    from runner.analyses.forecasts.classification import Confusion, rates

    constant, *slopes = estimates
    logit = constant + float(np.dot(slopes, regressors))
    results = {"probability": 1.0 / (1.0 + np.exp(-logit))}
    results |= rates(Confusion(tp, fp, fn, tn))
    ones = tp + fn
    rows = ones + fp + tn
    results["naive"] = max(ones, rows - ones) / rows
    return results


def of_covariance_numbers(*, assets: int, factors: int) -> dict[str, float]:
    """How many numbers a covariance has, full and by factors."""
    from runner.models.factor_model import factor_parameters, full_parameters

    full = full_parameters(assets)
    by_factors = factor_parameters(assets, factors)
    return {"full": float(full), "by_factors": float(by_factors)}


def of_combinatorial(*, groups: int, test_groups: int) -> dict[str, float]:
    """Splits and paths of combinatorial cross-validation (Lopez de Prado 2018)."""
    from runner.validation.cross_validation import Combinatorial

    dates = pd.date_range("2000-01-01", periods=ROWS_OF_GROUP * groups)
    folds = Combinatorial(groups, test_groups).split(dates, 0)
    paths = [int(fold.path.max()) for fold in folds if fold.path is not None]
    return {"splits": float(len(folds)), "paths": float(max(paths, default=1))}


def _fitted(model: Regression, y: Sequence[float], columns: Mapping[str, np.ndarray]) -> Fit:
    """The fit of a regression on one asset.

    Args:
        y: (n,).
        columns: regressors by name, (n,) each.
    """
    from runner.panels.panel import Panel

    dates = pd.date_range("2000-01-01", periods=len(y))
    target = np.array(y)[:, None]
    regressors = np.stack(list(columns.values()), axis=1)[:, None, :]
    usable = np.ones(target.shape, dtype=bool)
    one = ["all"]
    groups = pd.DataFrame(index=one)
    panel = Panel(dates, one, list(columns), target, regressors, usable, 0, groups, ())
    return model.fit(panel, np.arange(len(dates)))


def _estimates(fit: Fit) -> dict[str, float]:
    """Estimates and standard errors by term."""
    results = {}
    for row in fit.coefficients.itertuples():
        results[f"estimate {row.term}"] = row.estimate
        results[f"std_error {row.term}"] = row.std_error
    return results


def _power(values: np.ndarray, power: int) -> np.ndarray:
    """Each float64 nearest to the exact power (n,)."""
    return np.array([float(Fraction(value) ** power) for value in values])


FORMULAS: Mapping[str, Callable[..., dict[str, float]]] = {
    "combinatorial": of_combinatorial,
    "covariance_numbers": of_covariance_numbers,
    "deflated_sharpe": of_deflated_sharpe,
    "direction": of_direction,
    "lasso_path": of_lasso_path,
    "least_squares": of_least_squares,
    "logit": of_logit,
    "multiple_tests": of_multiple_tests,
    "sharpe_errors": of_sharpe_errors,
}
