"""Worked examples of papers: inputs as printed, through the functions that every run uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd

from runner.analyses.strategies.sharpe import lo_error
from runner.trials.adjust import benjamini_yekutieli, holm
from runner.trials.hurdles import Track, deflated_sharpe, expected_maximum, probabilistic_sharpe

LEVEL = 0.05


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
    from runner.panels.panel import Panel

    columns = {name: np.array(values) for name, values in x.items()}
    if degree > 1:
        [(name, values)] = columns.items()
        columns = {f"{name}^{power}": _power(values, power) for power in range(1, degree + 1)}
    dates = pd.date_range("2000-01-01", periods=len(y))
    target = np.array(y)[:, None]
    regressors = np.stack(list(columns.values()), axis=1)[:, None, :]
    usable = np.ones(target.shape, dtype=bool)
    one = ["all"]
    groups = pd.DataFrame(index=one)
    panel = Panel(dates, one, list(columns), target, regressors, usable, 0, groups, ())
    fit = Regression(by="asset", constant=constant).fit(panel, np.arange(len(dates)))
    results = {}
    for row in fit.coefficients.itertuples():
        results[f"estimate {row.term}"] = row.estimate
        results[f"std_error {row.term}"] = row.std_error
    quality = fit.quality.iloc[0]
    results["residual_std"] = quality["residual_std"]
    results["r2"] = quality["r2"]
    return results


def _power(values: np.ndarray, power: int) -> np.ndarray:
    """Each float64 nearest to the exact power (n,)."""
    return np.array([float(Fraction(value) ** power) for value in values])


FORMULAS: Mapping[str, Callable[..., dict[str, float]]] = {
    "deflated_sharpe": of_deflated_sharpe,
    "least_squares": of_least_squares,
    "multiple_tests": of_multiple_tests,
    "sharpe_errors": of_sharpe_errors,
}
