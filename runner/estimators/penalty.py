"""The choice of a penalty on folds of the rows fitted: grid, error curve, one-standard-error rule,
and its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import listed
from runner.estimators.shrinkage import Penalty, Reduced
from runner.numerics.least_squares import NotEstimable
from runner.panels.finding import Finding
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.regression import Regression
    from runner.panels.units import Unit

# least penalty of a grid, relative to the least that leaves no regressor, as in scikit-learn
LEAST = 1e-3
# Ridge leaves every regressor at any penalty: its grid runs from a hundred times the largest
# eigenvalue of X'X, where no slope is above one percent of that without penalty along any
# direction, down to a ten-thousandth of it.
RIDGE_MOST, RIDGE_LEAST = 1e2, 1e-4
# units with their whole grid in the table; of more, the chosen penalties and the mean over units
MOST_UNITS = 20
MOST_TERMS = 50  # terms with columns of their own in the table


@dataclass(frozen=True)
class Curve:
    """Errors out of sample over the grid, and what is chosen by them.

    Attributes:
        penalties: (L,) the grid, largest first; scikit-learn's alpha.
        errors: (F, L) mean squared error of each fold with rows to train and to test on.
        slopes: (L, K) of the fit on all rows fitted, in units of the data.
        spread: (K,) standard deviation (ddof 0) of the regressors over those rows.
        terms: (L,) slopes that are not zero.
    """

    penalties: np.ndarray
    errors: np.ndarray
    slopes: np.ndarray
    spread: np.ndarray
    terms: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """(L,) mean over folds."""
        return self.errors.mean(axis=0)

    @property
    def std_error(self) -> np.ndarray:
        """(L,) standard deviation over folds (ddof 1) over the root of their number; NaN of one
        fold.
        """
        folds = len(self.errors)
        return (
            self.errors.std(axis=0, ddof=1) / np.sqrt(folds)
            if folds > 1
            else np.full(len(self.penalties), np.nan)
        )

    @property
    def least(self) -> int:
        """Position of the least mean error, of ties the largest penalty."""
        return int(self.mean.argmin())

    @property
    def one_se(self) -> int | None:
        """Position of the largest penalty whose mean error is within one standard error of the
        least.
        """
        if len(self.errors) < 2:
            return None
        return int((self.mean <= self.mean[self.least] + self.std_error[self.least]).argmax())

    def chosen(self, choice: str) -> int:
        """Position of the penalty to use.

        Raises:
            NotEstimable: too few folds have rows to train and to test on.
        """
        needed = 2 if choice == "one_se" else 1
        if len(self.errors) < needed:
            folds = f"{len(self.errors)} of the folds that choose a penalty"
            raise NotEstimable(
                f"{folds} with 2 training rows and a test row; choice={choice} needs {needed}"
            )
        one_se = self.one_se
        return self.least if choice == "min" or one_se is None else one_se


def share(model: Regression) -> float:
    """Share of the absolute penalty."""
    return {"ridge": 0.0, "lasso": 1.0}.get(model.estimator, model.l1_ratio)


def strength(model: Regression, penalties: np.ndarray, n: int) -> Penalty:
    """scikit-learn's alphas (L,) per row; of ridge it is on the sum over rows."""
    if model.estimator == "ridge":
        return Penalty(np.zeros(len(penalties)), penalties / n)
    return Penalty(penalties * share(model), penalties * (1.0 - share(model)))


def largest(model: Regression, data: Reduced) -> float:
    """The largest penalty of the grid.

    Raises:
        NotEstimable: no regressor goes with the target.
    """
    if share(model):
        found = np.abs(data.A.T @ data.z).max(initial=0.0) / data.n / share(model)
    else:
        norm = np.linalg.norm(data.A, 2) if data.A.size else 0.0
        found = RIDGE_MOST * norm**2 / (1 if model.estimator == "ridge" else data.n)
    if not found > 0.0:
        raise NotEstimable("no regressor goes with the target: no penalty to choose")
    return float(found)


def grid(model: Regression, most: float) -> np.ndarray:
    """Penalties (L,) evenly spaced in logarithms, largest first."""
    return np.geomspace(
        most, most * (LEAST if share(model) else RIDGE_LEAST / RIDGE_MOST), model.penalties
    )


def finding(
    model: Regression, units: Sequence[Unit], curves: Sequence[Curve], terms: Sequence[str]
) -> Finding:
    """The table `path`, the penalties of both choices and the terms that they keep, means over
    units.
    """
    import pandas as pd

    names = list(terms) if len(terms) <= MOST_TERMS else []
    many = len(curves) > MOST_UNITS
    parts = [
        _rows(unit.scope, unit.name, curve, names)
        for unit, curve in zip(units, curves, strict=True)
    ]
    if many:
        parts = [part[part["least"] | part["one_se"]] for part in parts]
        parts.append(_rows("mean", "all", _mean(curves), names).assign(least=False, one_se=False))
    chosen = [(one.least, one.one_se) for one in curves]
    metrics = {"penalty": np.mean([one.penalties[one.chosen(model.choice)] for one in curves])}
    for name, at in (("min", [a for a, _ in chosen]), ("1se", [b for _, b in chosen])):
        if None not in at:
            metrics[f"penalty_{name}"] = np.mean(
                [one.penalties[i] for one, i in zip(curves, at, strict=True)]
            )
            metrics[f"terms_{name}"] = np.mean(
                [one.terms[i] for one, i in zip(curves, at, strict=True)]
            )
    metrics = {name: float(value) for name, value in metrics.items()}
    return Finding(
        pd.concat(parts, ignore_index=True), metrics, _words(model, curves, terms, metrics), "path"
    )


def _rows(scope: str, unit: str, curve: Curve, terms: Sequence[str]) -> pd.DataFrame:
    """One row per penalty."""
    import pandas as pd

    at = np.arange(len(curve.penalties))
    table = {
        "scope": scope,
        "unit": unit,
        "penalty": curve.penalties,
        "mean_error": curve.mean,
        "std_error": curve.std_error,
        "folds": len(curve.errors),
        "terms": curve.terms,
        "least": at == curve.least,
        "one_se": at == (-1 if curve.one_se is None else curve.one_se),
    }
    table |= {f"coef/{name}": curve.slopes[:, k] for k, name in enumerate(terms)}
    table |= {
        f"per_sd/{name}": curve.slopes[:, k] * curve.spread[k] for k, name in enumerate(terms)
    }
    return pd.DataFrame(table)


class _Mean(Curve):
    """A curve whose errors are those of many units."""

    @property
    def std_error(self) -> np.ndarray:
        return np.full(len(self.penalties), np.nan)


def _mean(curves: Sequence[Curve]) -> Curve:
    """Means over units at the same place of their grids; the penalty is the geometric mean."""
    penalties = np.exp(np.mean([np.log(one.penalties) for one in curves], axis=0))
    others = [
        np.mean([getattr(one, name) for one in curves], axis=0)
        for name in ("mean", "slopes", "spread", "terms")
    ]
    return _Mean(penalties, others[0][None], *others[1:])


def _words(
    model: Regression, curves: Sequence[Curve], terms: Sequence[str], metrics: dict[str, float]
) -> list[str]:
    """What was chosen and how sure that is, a sentence or two."""
    folds = count(max(len(curve.errors) for curve in curves), "fold")
    several = f" on average over {len(curves):,} units" if len(curves) > 1 else ""
    of_least = f"{number(metrics['penalty_min'])}{several}{_kept(model, curves, terms, 'min')}"
    found = [f"The least error over {folds} is at the penalty {of_least}."]
    if "penalty_1se" in metrics:
        of_one_se = f"{number(metrics['penalty_1se'])}{several}{_kept(model, curves, terms, '1se')}"
        found.append(
            f"The largest penalty within one standard error of it is {of_one_se}; that standard error is itself "
            f"from {folds} only."
        )
    used = {"one_se": "the larger of the two", "min": "that of the least error"}[model.choice]
    found.append(
        f"The estimates use {used}; they are shrunk on purpose and have no errors or tests."
    )
    if len(terms) > MOST_TERMS:
        found.append(
            f"The table leaves out the slopes along the path: {len(terms):,} are more than {MOST_TERMS}."
        )
    for at, what in (
        (0, "the largest penalty tried: on these folds regressors add nothing that can be told"),
        (len(curves[0].penalties) - 1, "the smallest penalty tried: a smaller one may do better"),
    ):
        edge = sum(curve.least == at for curve in curves)
        where = f" in {edge:,} of {len(curves):,} units" if len(curves) > 1 else ""
        found += [f"The least error{where} is at {what}."] if edge else []
    return found


def _kept(model: Regression, curves: Sequence[Curve], terms: Sequence[str], at: str) -> str:
    """How many regressors are left, and which where there is one unit; ridge leaves all."""
    if not share(model):
        return ""
    places = [one.least if at == "min" else one.one_se for one in curves]
    kept = np.mean([one.terms[place] for one, place in zip(curves, places, strict=True)])
    some = [term for term, b in zip(terms, curves[0].slopes[places[0]], strict=True) if b != 0.0]
    which = f" ({listed(some)})" if len(curves) == 1 and some else ""
    return f", which keeps {kept:.3g} of {count(len(terms), 'regressor')}{which}"
