"""The choice of a penalty on folds of the rows fitted: grid, error curve, rules, and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import listed
from runner.estimators.penalised.shrinkage import Penalty, Reduced
from runner.numerics.least_squares import NotEstimable
from runner.panels.finding import Finding
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.estimators.settings import RegressionSettings
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
        """(L,) standard deviation (ddof 1) over the root of the number of folds; NaN of one."""
        folds = len(self.errors)
        if folds < 2:
            L = len(self.penalties)
            return np.full(L, np.nan)
        deviation = self.errors.std(axis=0, ddof=1)
        root_folds = np.sqrt(folds)
        return deviation / root_folds

    @property
    def least(self) -> int:
        """Position of the least mean error, of ties the largest penalty."""
        return int(self.mean.argmin())

    @property
    def one_se(self) -> int | None:
        """Position of the largest penalty whose error is within one standard error of the least.

        None with fewer than two folds.
        """
        if len(self.errors) < 2:
            return None
        least = self.least
        error = self.std_error[least]
        allowed = self.mean[least] + error
        within = self.mean <= allowed
        return int(within.argmax())

    def chosen(self, choice: str) -> int:
        """Position of the penalty to use.

        Raises:
            NotEstimable: too few folds have rows to train and to test on.
        """
        needed = 2 if choice == "one_se" else 1
        known = len(self.errors)
        if known < needed:
            folds = f"{known} of the folds that choose a penalty"
            rows = "2 training rows and a test row"
            raise NotEstimable(f"{folds} with {rows}; choice={choice} needs {needed}")
        if choice == "min" or self.one_se is None:
            return self.least
        return self.one_se


def share(model: RegressionSettings) -> float:
    """Share of the absolute penalty."""
    if model.estimator == "ridge":
        return 0.0
    if model.estimator == "lasso":
        return 1.0
    return model.l1_ratio


def strength(model: RegressionSettings, penalties: np.ndarray, n: int) -> Penalty:
    """scikit-learn's alphas (L,) per row; of ridge it is on the sum over rows."""
    if model.estimator == "ridge":
        number_of_penalties = len(penalties)
        none = np.zeros(number_of_penalties)
        of_a_row = penalties / n
        return Penalty(none, of_a_row)
    absolute = share(model)
    squared = 1.0 - absolute
    l1 = penalties * absolute
    l2 = penalties * squared
    return Penalty(l1, l2)


def largest(model: RegressionSettings, data: Reduced) -> float:
    """The largest penalty of the grid.

    Raises:
        NotEstimable: no regressor goes with the target.
    """
    absolute = share(model)
    if absolute:
        products = data.A.T @ data.z
        covariances = np.abs(products)
        strongest = covariances.max(initial=0.0)
        per_row = strongest / data.n
        most = per_row / absolute
    else:
        norm = np.linalg.norm(data.A, 2) if data.A.size else 0.0
        square = norm**2
        most = RIDGE_MOST * square
        if model.estimator != "ridge":
            most = most / data.n
    if not most > 0.0:
        raise NotEstimable("no regressor goes with the target: no penalty to choose")
    return float(most)


def grid(model: RegressionSettings, most: float) -> np.ndarray:
    """Penalties (L,) evenly spaced in logarithms, largest first."""
    down_to = RIDGE_LEAST / RIDGE_MOST
    if share(model):
        down_to = LEAST
    least = most * down_to
    return np.geomspace(most, least, model.penalties)


def finding(
    model: RegressionSettings, units: Sequence[Unit], curves: Sequence[Curve], terms: Sequence[str]
) -> Finding:
    """The table `path`, and the penalties of both choices with the terms that they keep.

    Metrics are means over units.
    """
    import pandas as pd

    names = list(terms) if len(terms) <= MOST_TERMS else []
    parts = []
    for unit, curve in zip(units, curves, strict=True):
        rows = _rows(unit.scope, unit.name, curve, names)
        parts.append(rows)
    if len(curves) > MOST_UNITS:
        parts = [_chosen_rows(part) for part in parts]
        of_mean = _mean(curves)
        mean = _rows("mean", "all", of_mean, names)
        mean = mean.assign(least=False, one_se=False)
        parts.append(mean)
    table = pd.concat(parts, ignore_index=True)
    metrics = _metrics(model, curves)
    words = _words(model, curves, terms, metrics)
    return Finding(table, metrics, words, "path")


def _chosen_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the penalties that either rule chooses."""
    least = table["least"]
    either = least | table["one_se"]
    return table[either]


def _metrics(model: RegressionSettings, curves: Sequence[Curve]) -> dict[str, float]:
    """Means over units: the penalty used; and for each rule, its penalty and nonzero slopes."""
    used = []
    for curve in curves:
        chosen = curve.chosen(model.choice)
        used.append(curve.penalties[chosen])
    mean_used = np.mean(used)
    metrics = {"penalty": float(mean_used)}
    for rule, positions in _positions(curves).items():
        if None in positions:  # a unit with too few folds for this rule
            continue
        penalties = []
        terms = []
        for curve, position in zip(curves, positions, strict=True):
            penalties.append(curve.penalties[position])
            terms.append(curve.terms[position])
        penalty = np.mean(penalties)
        terms_kept = np.mean(terms)
        metrics[f"penalty_{rule}"] = float(penalty)
        metrics[f"terms_{rule}"] = float(terms_kept)
    return metrics


def _positions(curves: Sequence[Curve]) -> dict[str, list[int | None]]:
    """Position on its grid of the penalty that each rule chooses for each curve."""
    of_least: list[int | None] = []
    of_one_se = []
    for curve in curves:
        of_least.append(curve.least)
        of_one_se.append(curve.one_se)
    return {"min": of_least, "1se": of_one_se}


def _rows(scope: str, unit: str, curve: Curve, terms: Sequence[str]) -> pd.DataFrame:
    """One row per penalty."""
    import pandas as pd

    L = len(curve.penalties)
    positions = np.arange(L)
    one_se = -1 if curve.one_se is None else curve.one_se
    table = {
        "scope": scope,
        "unit": unit,
        "penalty": curve.penalties,
        "mean_error": curve.mean,
        "std_error": curve.std_error,
        "folds": len(curve.errors),
        "terms": curve.terms,
        "least": positions == curve.least,
        "one_se": positions == one_se,
    }
    for k, name in enumerate(terms):
        slopes = curve.slopes[:, k]
        column = f"coef/{name}"
        table[column] = slopes
    per_sd = curve.slopes * curve.spread
    for k, name in enumerate(terms):
        slopes = per_sd[:, k]
        scaled_column = f"per_sd/{name}"
        table[scaled_column] = slopes
    return pd.DataFrame(table)


class _Mean(Curve):
    """A curve whose errors are those of many units."""

    @property
    def std_error(self) -> np.ndarray:
        L = len(self.penalties)
        return np.full(L, np.nan)


def _mean(curves: Sequence[Curve]) -> Curve:
    """Means over units at the same position of their grids; the penalty is the geometric mean."""
    means = [curve.mean for curve in curves]
    slopes = [curve.slopes for curve in curves]
    spreads = [curve.spread for curve in curves]
    terms = [curve.terms for curve in curves]
    errors = np.mean(means, axis=0)
    logarithms = [np.log(curve.penalties) for curve in curves]
    return _Mean(
        penalties=np.exp(np.mean(logarithms, axis=0)),
        errors=errors[None],
        slopes=np.mean(slopes, axis=0),
        spread=np.mean(spreads, axis=0),
        terms=np.mean(terms, axis=0),
    )


def _words(
    model: RegressionSettings,
    curves: Sequence[Curve],
    terms: Sequence[str],
    metrics: dict[str, float],
) -> list[str]:
    """What was chosen and how sure that is, a sentence or two."""
    most = max(len(curve.errors) for curve in curves)
    folds = count(most, "fold")
    several = ""
    U = len(curves)
    if U > 1:
        several = f" on average over {U:,} regressions"
    least, one_se = _positions(curves).values()
    penalty = number(metrics["penalty_min"])
    kept = _kept(model, curves, terms, least)
    sentences = [f"The smallest error over {folds} is at the penalty {penalty}{several}{kept}."]
    if "penalty_1se" in metrics:
        penalty = number(metrics["penalty_1se"])
        kept = _kept(model, curves, terms, one_se)
        sentences.append(
            "The largest penalty within one standard error of it is "
            f"{penalty}{several}{kept}; that standard error is itself from {folds} only."
        )
    used = "that of the smallest error"
    if model.choice == "one_se":
        used = "the larger of the two"
    sentences.append(
        f"The estimates use {used}; they are shrunk on purpose and have no standard errors."
    )
    K = len(terms)
    if K > MOST_TERMS:
        sentences.append(
            f"The table leaves out the slopes along the path: {K:,} are more than {MOST_TERMS}."
        )
    at_the_edge = _at_the_edge(curves)
    return [*sentences, *at_the_edge]


def _at_the_edge(curves: Sequence[Curve]) -> list[str]:
    """Sentences on units whose least error is at an end of the grid."""
    penalties = len(curves[0].penalties)
    last = penalties - 1
    ends = [
        (0, "the largest penalty tried: on these folds the regressors add nothing measurable"),
        (last, "the smallest penalty tried: a smaller one may do better"),
    ]
    sentences = []
    U = len(curves)
    for position, end in ends:
        units = sum(curve.least == position for curve in curves)
        if not units:
            continue
        where = ""
        if U > 1:
            where = f" in {units:,} of {U:,} regressions"
        sentence = f"The smallest error{where} is at {end}."
        sentences.append(sentence)
    return sentences


def _kept(
    model: RegressionSettings,
    curves: Sequence[Curve],
    terms: Sequence[str],
    positions: Sequence[int | None],
) -> str:
    """How many regressors are left at these positions of the grids, and which of a single unit.

    Empty for ridge, which leaves all.
    """
    if not share(model):
        return ""
    terms_kept = []
    for curve, position in zip(curves, positions, strict=True):
        terms_kept.append(curve.terms[position])
    kept = np.mean(terms_kept)
    position = positions[0]
    slopes = curves[0].slopes[position]
    names = [term for term, b in zip(terms, slopes, strict=True) if b != 0.0]
    which = ""
    if len(curves) == 1 and names:
        names_text = listed(names)
        which = f" ({names_text})"
    number_of_terms = len(terms)
    regressors = count(number_of_terms, "regressor")
    return f", which keeps {kept:.3g} of {regressors}{which}"
