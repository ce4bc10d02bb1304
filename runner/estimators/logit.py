"""Logit of a target of 0 and 1 by statsmodels: P(y = 1) = 1 / (1 + exp(-x b)).

The columns are made orthonormal before the estimation and the estimates are brought back after it,
exactly, so that neither the scale of a column nor its collinearity with others costs digits.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import chdtrc, entr, expit

from runner.errors import DataError
from runner.estimators.clusters import positive
from runner.estimators.estimation import Estimates, design, nothing, robust
from runner.estimators.separation import orthonormal, refuse_separated
from runner.estimators.standard_errors import ERRORS, Estimated
from runner.numerics.inference import inference
from runner.numerics.least_squares import NotEstimable, solve
from runner.panels.finding import Finding
from runner.panels.panel import Panel
from runner.panels.units import cluster_key, units
from runner.text import LEVEL, count, number, p_text

if TYPE_CHECKING:
    from runner.estimators.clusters import Pool
    from runner.models.regression import Regression

ITERATIONS = 100  # of Newton's steps, which double the digits each
LEAST_WEIGHT = 1e-250  # of a cell whose p is 0 or 1 to the last digit; its score is left as it is
TOLERANCE = (
    1e-10  # of the last step, on orthonormal columns: the step after it would be of size 1e-20
)
ABOUT = ["n_obs", "share_of_ones", "log_likelihood", "null_log_likelihood", "pseudo_r2"]
ABOUT += ["llr", "llr_df", "llr_p_value", "iterations", "reason"]
EFFECTS = ["term", "effect", "std_error", "z_stat", "p_value", "ci_low", "ci_high"]

Row = dict[str, object]


@dataclass(frozen=True)
class Likely:
    """The maximum of the likelihood of one unit.

    Attributes:
        b: (k,) estimates on the columns as they are; p: (n,) fitted probabilities.
        result: of statsmodels, on orthonormal columns; back: (k, k) brings its estimates to b.
    """

    b: np.ndarray
    p: np.ndarray
    result: Any
    back: np.ndarray


def estimate(model: Regression, panel: Panel, rows: np.ndarray) -> Estimates:
    """Every logit of the model on these rows of the panel, with z statistics (infinite degrees of
    freedom).

    `f_stat` is the Wald statistic that every slope is zero over the number of slopes, under the
    covariance in force: an F with infinite denominator degrees of freedom. `ssr` is of y - p, so
    that R2 is Efron's (1978).

    Raises:
        DataError: a target that is neither 0 nor 1; clusters that the data has not.
    """
    _refuse_other_targets(panel, rows)
    group = units(panel, rows, model.by)
    found = nothing(group, len(model.terms(panel.names)))
    tables = [_fill(found, u, model, panel) for u in range(len(group))]
    about = pd.DataFrame([one for one, _ in tables], columns=["scope", "unit", *ABOUT])
    effects = pd.DataFrame(
        [row for _, one in tables for row in one], columns=["scope", "unit", *EFFECTS]
    )
    several = len(group) > 1
    findings = {
        "logit": Finding(about, _metrics(about), _words(about)),
        "marginal_effects": Finding(
            effects, {} if several else dict(effects[["term", "effect"]].values.tolist())
        ),
    }
    return replace(
        found, likelihood=about["log_likelihood"].to_numpy(dtype=float), findings=findings
    )


def _refuse_other_targets(panel: Panel, rows: np.ndarray) -> None:
    y, valid = panel.y[rows], panel.valid[rows]
    t, i = np.nonzero(valid & (y != 0.0) & (y != 1.0))
    if len(t):
        where = f"{panel.assets[i[0]]} on {panel.dates[rows[t[0]]].strftime(panel.date_format)}"
        more = f", and in {len(t) - 1:,} more rows neither 0 nor 1" if len(t) > 1 else ""
        given = f"target: given {y[t[0], i[0]]:.6g} of {where}{more}"
        raise DataError(f"{given}; allowed with estimator=logit: 0 or 1, such as target=up")


def _fill(found: Estimates, u: int, model: Regression, panel: Panel) -> tuple[Row, list[Row]]:
    """Fill in one unit, or the reason why there is nothing; its row of `logit` and those of its
    marginal effects.
    """
    unit, terms = found.units[u], model.terms(panel.names)
    t, i = unit.cells(panel)
    y, X = panel.y[t, i], design(panel, t, i, model.regressors, model.constant)
    found.n[u] = len(y)
    key: Row = {"scope": unit.scope, "unit": unit.name}
    about = key | {"n_obs": len(y), "share_of_ones": y.mean() if len(y) else np.nan}
    try:
        one = maximise(X, y, terms, model.constant)
    except NotEstimable as error:
        found.reason[u] = str(error)
        return about | {"reason": str(error)}, []
    centre = y.mean() if model.constant else 0.0
    found.b[u], found.ssr[u], found.tss[u] = (
        one.b,
        np.sum((y - one.p) ** 2),
        np.sum((y - centre) ** 2),
    )
    keys = [
        t if key is None else key[i]
        for key in (cluster_key(panel, name) for name in model.clusters)
    ]
    robust(found, u, model, panel, partial(covariance, one, model.cov, keys))
    if found.reason[u]:
        return about | {"reason": found.reason[u]}, []
    slopes = np.array([term != "const" for term in terms])
    effect, spread = average_effects(X, one, found.V[u], slopes)
    columns = np.column_stack([effect, *inference(effect, spread, np.inf, model.confidence)])
    names = [term for term in terms if term != "const"]
    effects = [
        key | dict(zip(EFFECTS, row, strict=True)) for row in zip(names, *columns.T, strict=True)
    ]
    return about | _about(one, y, model.constant), effects


def maximise(X: np.ndarray, y: np.ndarray, terms: Sequence[str], constant: bool) -> Likely:
    """Maximum likelihood of y (n,), 0 or 1, on X (n, k), the constant first where there is one.

    Raises:
        NotEstimable: what least squares refuses (too few rows, a constant target, constant,
            collinear or outsized columns); columns that separate 0 from 1; no convergence.
    """
    from statsmodels.discrete.discrete_model import Logit

    solve(X, y, terms, constant)
    Z, back = orthonormal(X)
    with _quiet():
        model = Logit(y, Z, check_rank=False)
        result = _newton(model, None)
        if (
            result is None
        ):  # with separated columns the steps never end, with heavy tails they may overshoot
            refuse_separated(X, y, terms)
            start = model.fit(
                method="bfgs", maxiter=10 * ITERATIONS, disp=0, warn_convergence=False
            ).params
            result = _newton(model, start)
    if result is None:
        raise NotEstimable(f"no convergence in {ITERATIONS} iterations")
    return Likely(back @ result.params, expit(Z @ result.params), result, back)


def _newton(model: Any, start: np.ndarray | None) -> Any:
    """The result of statsmodels, None where Newton's steps do not end."""
    try:
        found = model.fit(
            start,
            method="newton",
            maxiter=ITERATIONS,
            tol=TOLERANCE,
            disp=0,
            warn_convergence=False,
        )
    except np.linalg.LinAlgError:
        return None
    sound = (
        found.mle_retvals["converged"]
        and np.isfinite(found.params).all()
        and np.isfinite(found.llf)
    )
    return found if sound else None


@contextmanager
def _quiet() -> Iterator[None]:
    """What statsmodels warns of is found out here by itself and told as a reason."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def covariance(one: Likely, cov: str, keys: Sequence[np.ndarray], lags: int) -> Estimated:
    """Covariance (k, k) by statsmodels, and infinite degrees of freedom.

    The functions below are the covariances that a logit can have, as `runner.estimators.standard_errors` names
    them; negative eigenvalues of two ways of clustering are set to zero.

    Raises:
        NotEstimable: as many lags as rows, fewer than two clusters, a variance that is not
            positive.
    """
    of_logit = ERRORS[cov].of_logit
    if of_logit is None:
        raise NotEstimable(f"{cov} errors are not made for a logit")
    V, zeroed = one.back @ of_logit(one, lags, keys) @ one.back.T, 0
    if len(keys) == 2:
        V, zeroed = positive(V)
    if not (np.diag(V) > 0.0).all():
        raise NotEstimable(f"{cov} errors do not exist: a variance is not positive")
    return Estimated(V, np.inf, zeroed)


def inverse_hessian(one: Likely, lags: int, keys: Sequence[np.ndarray]) -> np.ndarray:
    """The inverse of minus the Hessian, on the orthonormal columns, as those below."""
    return np.asarray(one.result.normalized_cov_params)


def white(one: Likely, lags: int, keys: Sequence[np.ndarray]) -> np.ndarray:
    """The sandwich without a small-sample factor."""
    from statsmodels.stats import sandwich_covariance as sandwich

    return np.asarray(sandwich.cov_white_simple(one.result, use_correction=False))


def hac(one: Likely, lags: int, keys: Sequence[np.ndarray]) -> np.ndarray:
    """Bartlett weights, no small-sample factor."""
    from statsmodels.stats import sandwich_covariance as sandwich

    n = len(one.p)
    if lags >= n:
        raise NotEstimable(f"cov_lags={lags} with {n} rows; allowed: less than the rows")
    return np.asarray(sandwich.cov_hac_simple(one.result, nlags=lags, use_correction=False))


def clustered(one: Likely, lags: int, keys: Sequence[np.ndarray]) -> np.ndarray:
    """By one or two `keys` (n,), each way times G/(G-1) (n-1)/(n-k)."""
    from statsmodels.stats import sandwich_covariance as sandwich

    codes = [np.unique(key, return_inverse=True)[1] for key in keys]
    fewest = min(int(code.max()) + 1 for code in codes)
    if fewest < 2:
        raise NotEstimable(f"{fewest} cluster; clustered errors need at least 2")
    if len(codes) == 1:
        return np.asarray(sandwich.cov_cluster(one.result, codes[0]))
    return np.asarray(sandwich.cov_cluster_2groups(one.result, codes[0], codes[1])[0])


def average_effects(
    X: np.ndarray, one: Likely, V: np.ndarray, slopes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Change of P(y = 1) per unit of each slope, the mean of b p (1 - p) over the rows, and its
    delta-method error.

    A column of 0 and 1 is treated as any other. The rows are taken as given.
    """
    weight = one.p * (1.0 - one.p)
    bend = (
        (weight * (1.0 - 2.0 * one.p)) @ X / len(X)
    )  # (k,) mean of the derivative of p (1 - p) by b
    jacobian = weight.mean() * np.eye(len(one.b))[slopes] + np.outer(one.b[slopes], bend)
    return weight.mean() * one.b[slopes], np.sqrt(np.einsum("jk,kl,jl->j", jacobian, V, jacobian))


def as_least_squares(pool: Pool, constant: bool) -> Pool:
    """The weighted least squares whose normal equations are the last step of Newton's at the
    estimates.

    Weights are p (1 - p), the target is the linear index plus (y - p) / (p (1 - p)): scores,
    Hessian and estimates are those of the logit, so that whatever is made of scores is made of
    these.
    """
    dummies = 0 if pool.member is None else pool.member.shape[1]
    slopes = pool.b[int(constant) : len(pool.b) - dummies]
    index = pool.X @ slopes
    if constant:
        index = index + pool.b[0]
    if pool.member is not None:
        index = index + pool.member @ pool.b[len(pool.b) - dummies :]
    p = expit(index)
    weights = np.maximum(p * expit(-index), LEAST_WEIGHT)
    return pool._replace(y=index + (pool.y - p) / weights, weights=weights)


def _about(one: Likely, y: np.ndarray, constant: bool) -> Row:
    """McFadden's (1974) pseudo R2 and the likelihood-ratio test, against the model without slopes.

    That model has the share of ones, or one half where there is no constant.
    """
    n, share, df = len(y), y.mean(), len(one.b) - constant
    null = -n * float(entr(share) + entr(1.0 - share)) if constant else -n * np.log(2.0)
    llr = 2.0 * (one.result.llf - null)
    p_value = chdtrc(df, max(llr, 0.0)) if df else np.nan
    steps = one.result.mle_retvals["iterations"]
    values = (one.result.llf, null, 1.0 - one.result.llf / null, llr, df, p_value, steps, "")
    return dict(zip(ABOUT[2:], values, strict=True))


def _metrics(about: pd.DataFrame) -> dict[str, float]:
    found = {"pseudo_r2": float(about["pseudo_r2"].mean())}
    return (
        found | {"llr_p_value": float(about["llr_p_value"].iloc[0])} if len(about) == 1 else found
    )


def _words(about: pd.DataFrame) -> list[str]:
    """McFadden's pseudo R2 and the likelihood-ratio test in words; that test takes rows as
    independent.
    """
    table = about[about["llr_p_value"].notna()]
    if table.empty:
        return []
    p, r2 = table["llr_p_value"], number(table["pseudo_r2"].mean(), 3)
    test = "the likelihood-ratio test, which takes rows as independent,"
    if len(about) == 1:
        told = (
            "rejects at 5 % that every slope is zero"
            if p.iloc[0] < LEVEL
            else "does not reject at 5 % that every"
        )
        told += "" if p.iloc[0] < LEVEL else " slope is zero; no proof of it"
        return [f"McFadden's pseudo R2 is {r2}; {test} {told} (p {p_text(p.iloc[0])})."]
    hits, noun = int((p < LEVEL).sum()), str(table["scope"].iloc[0])
    chance = f"; chance alone would give about {number(LEVEL * len(p), 2)}"
    return [
        f"McFadden's pseudo R2 is {r2} on average over {count(len(p), noun)}; {test} rejects at 5 % that every slope "
        f"is zero in {hits:,} of them{chance}."
    ]
