"""What a model found, as tidy tables: coefficients, quality and hypotheses of every unit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from runner.errors import DataError, EstimationError, listed
from runner.estimators.estimates import Estimates
from runner.estimators.estimation import EXACT, wald_test
from runner.numerics.covariance import long_run, projected
from runner.numerics.inference import infer, inference
from runner.numerics.restrictions import Restriction, hypothesis, names_in, restriction
from runner.panels.finding import Finding
from runner.panels.numbers.selections import selected

if TYPE_CHECKING:
    from runner.panels.components import Components

COEFFICIENTS = ["term", "estimate", "std_error", "t_stat", "p_value", "ci_low", "ci_high"]
QUALITY = ["n_obs", "df_resid", "r2", "r2_adj", "r2_uncentred", "r2_within", "f_stat", "f_p_value"]
QUALITY += ["residual_std", "log_likelihood", "aic", "bic", "cov", "cov_lags"]
QUALITY += ["clusters", "clusters_by", "doubt", "reason"]
HYPOTHESES = ["hypothesis", "f_stat", "df_num", "df_den", "p_value", "reason"]
DIAGNOSTICS = ["diagnostic", "term", "statistic", "df", "p_value", "null", "reason"]
MOST_REASONS = 3  # named where no unit could be estimated
NO_DIAGNOSTICS = pd.DataFrame(columns=["scope", "unit", *DIAGNOSTICS])


@dataclass(frozen=True)
class Fit:
    """What a model found, tidy: one row per unit and term, per unit, per unit and hypothesis.

    Attributes:
        coefficients: scope, unit, term, estimate, std_error, t_stat, p_value, ci_low, ci_high.
        quality: scope, unit, n_obs, r2, ... ; a unit that could not be estimated has its reason.
        hypotheses: scope, unit, hypothesis, f_stat, df_num, df_den, p_value, reason.
        params: (N, k) estimates that forecast each asset, in the order of the terms, NaN where
            there are none.
        errors: the covariance in words, with its conventions.
        asset_effects: (N,) fixed effects added to the forecast of each asset, NaN where unknown;
            None without.
        date_effects: (T, 1) or (T, N) fixed effects added to rows, zero where not fitted; None
            without.
        label_effects: label of the data -> (N, L) fixed effects added to the forecast of each asset
            where it has each label, NaN where unknown.
        components: what makes the principal components of the target, None without.
        findings: what the estimator has to tell beyond coefficients, by name.
        machine: what a model without coefficients forecasts with.
        confidence: level of the intervals of the coefficients; None where they have none.
    """

    coefficients: pd.DataFrame
    quality: pd.DataFrame
    hypotheses: pd.DataFrame
    params: np.ndarray
    errors: str
    asset_effects: np.ndarray | None = None
    date_effects: np.ndarray | None = None
    label_effects: Mapping[str, np.ndarray] = field(default_factory=dict)
    components: Components | None = None
    findings: Mapping[str, Finding] = field(default_factory=dict)
    machine: object = None
    confidence: float | None = None

    def part(self, rows: np.ndarray, assets: np.ndarray) -> Fit:
        """What forecasts the dates and assets at these positions of the panel that was fitted."""
        date_effects = self.date_effects
        if date_effects is not None:
            date_effects = date_effects[rows]
            if date_effects.shape[1] > 1:
                date_effects = date_effects[:, assets]
        return replace(
            self,
            params=self.params[assets],
            asset_effects=selected(self.asset_effects, assets),
            date_effects=date_effects,
            label_effects={name: own[assets] for name, own in self.label_effects.items()},
        )

    @property
    def kind_of_errors(self) -> str:
        """The covariance by its name alone, such as Driscoll-Kraay."""
        return re.split("[,(;]", self.errors)[0].strip()

    @property
    def kind_of_errors_of_mean(self) -> str:
        """The same of the mean over units, such as Newey-West over dates."""
        of_mean = self.errors.rpartition("of the mean: ")[2]
        return re.split("[,(;]", of_mean)[0].strip()


NO_TABLE = pd.DataFrame()  # of a fit that only forecasts


def refuse_nothing(estimates: Estimates) -> None:
    """Refuse estimates of which no unit has any.

    Raises:
        DataError: every unit has too few rows.
        EstimationError: none could be estimated for another reason.
    """
    if estimates.estimated.any():
        return
    names: dict[str, list[str]] = {}
    for unit, reason in zip(estimates.units, estimates.reason, strict=True):
        names.setdefault(reason, []).append(unit.name)
    first = list(names.items())[:MOST_REASONS]
    reasons = "; ".join(f"{listed(of_units)}: {reason}" for reason, of_units in first)
    scope = estimates.units[0].scope if estimates.units else "unit"
    noun = scope.replace("pooled", "regression")
    parameters = estimates.b.shape[1] + np.nan_to_num(estimates.absorbed)
    too_few_rows = bool((estimates.n <= parameters).all())
    error = DataError if too_few_rows else EstimationError
    remedy = "; more rows (an earlier data.start) or fewer model.regressors" if too_few_rows else ""
    raise error(f"model: no {noun} could be estimated; {reasons}{remedy}")


def headline(coefficients: pd.DataFrame) -> pd.DataFrame:
    """Coefficients that a run is known by: the mean over its units where there is one, else all."""
    mean = coefficients["scope"] == "mean"
    if not mean.any():
        return coefficients
    return coefficients[mean]


def over_units(coefficients: pd.DataFrame) -> bool:
    """Whether the headline is a mean over assets or groups.

    Its p-value takes these as independent, with one degree of freedom less than there are of them.
    """
    scopes = coefficients["scope"]
    return bool((scopes == "mean").any() and not (scopes == "date").any())


def coefficient_table(
    estimates: Estimates, terms: Sequence[str], confidence: float
) -> pd.DataFrame:
    """One row per unit with estimates and term."""
    at = np.flatnonzero(estimates.estimated)
    b = estimates.b[at]
    std_error = np.sqrt(np.einsum("ukk->uk", estimates.V[at]))
    tests = inference(b, std_error, estimates.df[at, None], confidence)
    estimated = [estimates.units[u] for u in at]
    scopes = [unit.scope for unit in estimated]
    names = np.array([unit.name for unit in estimated], dtype=object)
    table = {
        "scope": scopes[:1] * (len(at) * len(terms)),
        "unit": np.repeat(names, len(terms)),
        "term": np.tile(list(terms), len(at)),
        "estimate": b.ravel(),
    }
    for column, values in tests._asdict().items():
        table[column] = values.ravel()
    return pd.DataFrame(table, columns=["scope", "unit", *COEFFICIENTS])


def quality_table(
    estimates: Estimates, cov: str, ways: Sequence[str] = (), doubt: str = ""
) -> pd.DataFrame:
    """How well each unit fits; a unit without estimates has its rows and its reason.

    `r2` is about the mean of the target, with a constant and without; `r2_uncentred`, about zero,
    is that which programs give without a constant, and NaN with one.

    Args:
        ways: what clusters are of, in the order of `Estimates.clusters`; the fewest are told.
        doubt: why the errors support no verdict, see `runner.estimators.trust`.
    """
    n = estimates.n
    ssr = estimates.ssr
    k = estimates.b.shape[1] + estimates.absorbed
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(estimates.estimated, n - k, np.nan)
        r2, r2_uncentred = _r2(estimates)
        r2_adjusted = 1.0 - (1.0 - r2) * (n - 1.0) / df
        r2_within = 1.0 - ssr / estimates.tss_within
        residual_std = np.sqrt(ssr / df)
        log_likelihood = _log_likelihood(estimates)
    deviance = -2.0 * log_likelihood
    aic = 2.0 * k + deviance
    log_rows = np.log(np.maximum(n, 1.0))
    bic = k * log_rows + deviance
    has_errors = ~np.isnan(estimates.df)
    table = {
        "scope": [unit.scope for unit in estimates.units],
        "unit": [unit.name for unit in estimates.units],
        "n_obs": n.astype(int),
        "df_resid": _whole(df),
        "r2": r2,
        "r2_adj": r2_adjusted,
        "r2_uncentred": r2_uncentred,
        "r2_within": r2_within,
        "f_stat": estimates.f_stat,
        "f_p_value": estimates.f_p,
        "residual_std": residual_std,
        "log_likelihood": log_likelihood,
        "aic": aic,
        "bic": bic,
        "cov": np.where(has_errors, cov, ""),
        "cov_lags": _whole(estimates.lags),
        "clusters": [min(sizes, default=None) for sizes in estimates.clusters],
        "clusters_by": [_fewest(sizes, ways) for sizes in estimates.clusters],
        "doubt": np.where(has_errors, doubt, ""),
        "reason": estimates.reason,
    }
    return pd.DataFrame(table, columns=["scope", "unit", *QUALITY])


def _fewest(sizes: tuple[int, ...], ways: Sequence[str]) -> str:
    """What the fewest clusters are of; empty without clusters."""
    if not sizes:
        return ""
    at = sizes.index(min(sizes))
    return ways[at]


def _r2(estimates: Estimates) -> tuple[np.ndarray, np.ndarray]:
    """R2 (U,) about the mean of the target, and about zero: NaN with a constant."""
    r2 = 1.0 - estimates.ssr / estimates.tss
    if estimates.tss_mean is None:
        return r2, np.full(len(r2), np.nan)
    return 1.0 - estimates.ssr / estimates.tss_mean, r2


def _log_likelihood(estimates: Estimates) -> np.ndarray:
    """Log-likelihood (U,) of normal errors, or the estimator's own; NaN where the fit is exact."""
    if estimates.likelihood is not None:
        return estimates.likelihood
    n = estimates.n
    exact = np.array(estimates.reason) == EXACT
    ssr = np.where(exact, np.nan, estimates.ssr)
    normal = -n / 2.0 * (np.log(2.0 * np.pi * ssr / n) + 1.0)
    return normal + estimates.weight_term


def _whole(values: np.ndarray) -> list[int | None]:
    """Whole numbers, None where there is none."""
    return [None if np.isnan(value) else int(value) for value in values.tolist()]


def hypothesis_table(
    estimates: Estimates, texts: list[str], terms: list[str], horizon: int
) -> pd.DataFrame:
    """One row per unit with estimates and hypothesis.

    A hypothesis may name features of the spec that the regression leaves out, or be stated for
    another horizon: it is then not tested, and the row says why.

    Args:
        horizon: rows that the target looks ahead.
    """
    columns = ["scope", "unit", *HYPOTHESES]
    if not texts:
        return pd.DataFrame(columns=columns)
    tested = [_restricted(text, terms, horizon) for text in texts]
    rows = []
    for u in np.flatnonzero(estimates.estimated).tolist():
        unit = estimates.units[u]
        for equations, restricted in tested:
            test, reason = wald_test(estimates, u, restricted)
            row = {"scope": unit.scope, "unit": unit.name, "hypothesis": equations}
            if test is not None:
                row |= test._asdict()
            rows.append(row | {"reason": reason})
    return pd.DataFrame(rows, columns=columns)


def _restricted(text: str, terms: list[str], horizon: int) -> tuple[str, Restriction | str]:
    """The equations of a hypothesis and their restriction, or why it is not tested."""
    stated = hypothesis(text)
    named = list(dict.fromkeys([*terms, *names_in(stated.equations)]))
    restricted: Restriction | str = stated.unsuited(horizon)
    if not restricted:
        restricted = restriction(stated.equations, named).on(terms)
    return stated.equations, restricted


def mean_group(
    path: np.ndarray, terms: Sequence[str], confidence: float, lags: int = 0, cosines: int = 0
) -> pd.DataFrame:
    """Mean of each term over the units, with the error of that mean; no rows below two units.

    `path` (U, k) holds the estimates of each unit. Without lags the error takes units as
    independent: their standard deviation (ddof 1) over the root of their number (Pesaran and Smith
    1995; Fama and MacBeth 1973). With lags it is Newey-West's over units in their order, Bartlett
    weights, no small-sample factor, as for a regression on a constant. With cosines it is the mean
    of their squared projections on that many cosines, with as many degrees of freedom (Lazarus,
    Lewis, Stock and Watson 2018).
    """
    units = len(path)
    if units < 2:
        return pd.DataFrame(columns=["scope", "unit", *COEFFICIENTS])
    mean = path.mean(axis=0)
    deviation = path - mean
    if cosines:
        V = projected(deviation, cosines) / units
    elif lags:
        V = long_run(deviation, lags) / (units * units)
    else:
        V = long_run(deviation, 0) / (units * (units - 1.0))
    tests = infer(mean, V, cosines or units - 1, confidence)
    table = {"scope": "mean", "unit": "all", "term": list(terms), "estimate": mean}
    return pd.DataFrame(table | tests._asdict())
