"""What a model found, as tidy tables: coefficients, quality and hypotheses of every unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from runner.errors import DataError, EstimationError, listed
from runner.estimators.estimation import EXACT, Estimates, wald_test
from runner.numerics.covariance import long_run, projected
from runner.numerics.inference import infer, inference
from runner.numerics.restrictions import hypothesis, names_in, restriction
from runner.panels.finding import Finding

if TYPE_CHECKING:
    from runner.panels.components import Components

COEFFICIENTS = ["term", "estimate", "std_error", "t_stat", "p_value", "ci_low", "ci_high"]
QUALITY = ["n_obs", "df_resid", "r2", "r2_adj", "r2_uncentred", "r2_within", "f_stat", "f_p_value"]
QUALITY += ["residual_std", "log_likelihood", "aic", "bic", "cov", "cov_lags", "reason"]
HYPOTHESES = ["hypothesis", "f_stat", "df_num", "df_den", "p_value", "reason"]
DIAGNOSTICS = ["diagnostic", "term", "statistic", "df", "p_value", "null", "reason"]
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
        components: what makes the principal components of the target, None without.
        findings: what the estimator has to tell beyond coefficients, by name.
        machine: what a model without coefficients forecasts with.
    """

    coefficients: pd.DataFrame
    quality: pd.DataFrame
    hypotheses: pd.DataFrame
    params: np.ndarray
    errors: str
    asset_effects: np.ndarray | None = None
    date_effects: np.ndarray | None = None
    components: Components | None = None
    findings: Mapping[str, Finding] = field(default_factory=dict)
    machine: object = None


NO_TABLE = pd.DataFrame()  # of a fit that only forecasts


def refuse_nothing(found: Estimates) -> None:
    """Raise where no unit has an estimate: too few rows is a matter of data, the rest of
    estimation.
    """
    if found.estimated.any():
        return
    names: dict[str, list[str]] = {}
    for unit, reason in zip(found.units, found.reason, strict=True):
        names.setdefault(reason, []).append(unit.name)
    short = bool((found.n <= found.b.shape[1] + np.nan_to_num(found.absorbed)).all())
    reasons = "; ".join(f"{listed(some)}: {reason}" for reason, some in list(names.items())[:3])
    what = found.units[0].scope.replace("pooled", "regression") if found.units else "unit"
    raise (DataError if short else EstimationError)(
        f"model: no {what} could be estimated; {reasons}"
    )


def headline(coefficients: pd.DataFrame) -> pd.DataFrame:
    """Rows of a coefficients table that a run is known by: the mean over its units where there is
    one, else all.
    """
    mean = coefficients["scope"] == "mean"
    return coefficients[mean] if mean.any() else coefficients


def coefficient_table(found: Estimates, terms: Sequence[str], confidence: float) -> pd.DataFrame:
    """One row per unit with estimates and term."""
    at = np.flatnonzero(found.estimated)
    error = np.sqrt(np.einsum("ukk->uk", found.V[at]))
    columns = inference(found.b[at], error, found.df[at, None], confidence)
    scope = [found.units[u].scope for u in at[:1]] * (len(at) * len(terms))
    names = np.array([found.units[u].name for u in at], dtype=object)
    table = {
        "scope": scope,
        "unit": np.repeat(names, len(terms)),
        "term": np.tile(list(terms), len(at)),
    }
    table |= {"estimate": found.b[at].ravel()}
    table |= {name: values.ravel() for name, values in columns._asdict().items()}
    return pd.DataFrame(table, columns=["scope", "unit", *COEFFICIENTS])


def quality_table(found: Estimates, cov: str) -> pd.DataFrame:
    """How well each unit fits; a unit without estimates has its rows and its reason.

    `r2` is about the mean of the target, with a constant and without; `r2_uncentred`, about zero,
    is that which programs give without a constant, and NaN with one.
    """
    n, exact = found.n, np.array(found.reason) == EXACT
    k = found.b.shape[1] + found.absorbed
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(found.estimated, n - k, np.nan)
        r2 = 1.0 - found.ssr / (found.tss if found.tss_mean is None else found.tss_mean)
        uncentred = (
            np.full(len(n), np.nan) if found.tss_mean is None else 1.0 - found.ssr / found.tss
        )
        gaussian = -n / 2.0 * (np.log(2.0 * np.pi * np.where(exact, np.nan, found.ssr) / n) + 1.0)
        likelihood = gaussian + found.weight_term if found.likelihood is None else found.likelihood
        r2_within = 1.0 - found.ssr / found.tss_within
    table = {
        "scope": [unit.scope for unit in found.units],
        "unit": [unit.name for unit in found.units],
        "n_obs": n.astype(int),
        "df_resid": _whole(df),
        "r2": r2,
        "r2_adj": 1.0 - (1.0 - r2) * (n - 1.0) / df,
        "r2_uncentred": uncentred,
        "r2_within": r2_within,
        "f_stat": found.f_stat,
        "f_p_value": found.f_p,
        "residual_std": np.sqrt(found.ssr / df),
        "log_likelihood": likelihood,
        "aic": 2.0 * k - 2.0 * likelihood,
        "bic": k * np.log(np.maximum(n, 1.0)) - 2.0 * likelihood,
        "cov": np.where(np.isnan(found.df), "", cov),
        "cov_lags": _whole(found.lags),
        "reason": found.reason,
    }
    return pd.DataFrame(table, columns=["scope", "unit", *QUALITY])


def _whole(values: np.ndarray) -> list[int | None]:
    """Whole numbers, None where there is none."""
    return [None if np.isnan(value) else int(value) for value in values.tolist()]


def hypothesis_table(
    found: Estimates, texts: list[str], terms: list[str], horizon: int
) -> pd.DataFrame:
    """One row per unit with estimates and hypothesis.

    A hypothesis may name features of the spec that the regression leaves out, or be stated for
    another horizon: it is then not tested, and the row says why.

    Args:
        horizon: rows that the target looks ahead.
    """
    tested = []
    for text in texts:
        stated = hypothesis(text)
        named = list(dict.fromkeys([*terms, *names_in(stated.equations)]))
        restricted = stated.unsuited(horizon) or restriction(stated.equations, named).on(terms)
        tested.append((stated.equations, restricted))
    rows = []
    for u in np.flatnonzero(found.estimated) if tested else []:
        for text, restricted in tested:
            result, why = wald_test(found, int(u), restricted)
            row = {"scope": found.units[u].scope, "unit": found.units[u].name, "hypothesis": text}
            rows.append(row | (result._asdict() if result else {}) | {"reason": why})
    return pd.DataFrame(rows, columns=["scope", "unit", *HYPOTHESES])


def mean_group(
    path: np.ndarray, terms: Sequence[str], confidence: float, lags: int = 0, cosines: int = 0
) -> pd.DataFrame:
    """Mean of each term over the units, with the error of that mean; no rows with fewer than two
    units.

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
    if cosines:
        V = projected(path - mean, cosines) / units
    else:
        V = long_run(path - mean, lags) / (units * (units if lags else units - 1.0))
    table = {"scope": "mean", "unit": "all", "term": list(terms), "estimate": mean}
    return pd.DataFrame(table | infer(mean, V, cosines or units - 1, confidence)._asdict())
