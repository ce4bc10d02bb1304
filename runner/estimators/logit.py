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
from runner.estimators.estimates import Estimates, nothing
from runner.estimators.estimation import design, robust
from runner.estimators.pools import AnyPool, Pool
from runner.estimators.separation import orthonormal, refuse_separated
from runner.estimators.standard_errors import ERRORS, Estimated
from runner.numerics.inference import inference
from runner.numerics.least_squares import NotEstimable, solve
from runner.panels.finding import Finding
from runner.panels.numbers.cells import Cube, Stored
from runner.panels.numbers.selections import marked
from runner.panels.panel import Panel
from runner.panels.units import cluster_key, units
from runner.text import LEVEL, count, number, p_words

if TYPE_CHECKING:
    from runner.estimators.settings import RegressionSettings

ITERATIONS = 100  # of Newton's steps, which double the digits each
LEAST_WEIGHT = 1e-250  # of a cell whose p is 0 or 1 to the last digit; its score is left as it is
# of the last step, on orthonormal columns: the step after it would be of size 1e-20
TOLERANCE = 1e-10
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


def estimate(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> Estimates:
    """Every logit of the model on these rows, with z statistics (infinite degrees of freedom).

    `f_stat` is the Wald statistic that every slope is zero over the number of slopes, under the
    covariance in force: an F with infinite denominator degrees of freedom. `ssr` is of y - p, so
    that R2 is Efron's (1978).

    Raises:
        DataError: a target that is neither 0 nor 1; clusters that the data has not.
    """
    _refuse_other_targets(panel, rows)
    group = units(panel, rows, model.by)
    terms = model.terms(panel.names)
    number_of_terms = len(terms)
    estimates = nothing(group, number_of_terms)
    quality_rows = []
    effect_rows = []
    for u in range(len(group)):
        quality_row, effects_of_unit = _fill(estimates, u, model, panel)
        quality_rows.append(quality_row)
        effect_rows += effects_of_unit
    quality = pd.DataFrame(quality_rows, columns=["scope", "unit", *ABOUT])
    effects = pd.DataFrame(effect_rows, columns=["scope", "unit", *EFFECTS])
    by_term = {}
    if len(group) == 1:
        effect = effects["effect"].tolist()
        by_term = dict(zip(effects["term"], effect, strict=True))
    words = _words(quality)
    about_units = Finding(quality, _metrics(quality), words)
    about_slopes = Finding(effects, by_term)
    findings = {"logit": about_units, "marginal_effects": about_slopes}
    likelihood = quality["log_likelihood"].to_numpy(dtype=float)
    return replace(estimates, likelihood=likelihood, findings=findings)


def _refuse_other_targets(panel: Panel, rows: np.ndarray) -> None:
    cells = panel.cells.used_on(marked(rows, len(panel.dates)))
    others = 0
    first_of_all = ""
    for first, part in cells.stretches():
        is_other = part.valid & (part.y != 0.0) & (part.y != 1.0)
        others += int(np.count_nonzero(is_other))
        if others and not first_of_all:
            value = part.y[is_other][0]
            t, i = np.nonzero(is_other) if isinstance(part, Cube) else part.places(is_other)
            day = panel.dates[first + t[0]]
            date = day.strftime(panel.date_format)
            first_of_all = f"{value:.6g} of {panel.assets[i[0]]} on {date}"
    if not others:
        return
    more = f", and in {others - 1:,} more rows neither 0 nor 1" if others > 1 else ""
    raise DataError(
        f"target: given {first_of_all}{more}; "
        "allowed with estimator=logit: 0 or 1, such as target=up"
    )


def _fill(
    estimates: Estimates, u: int, model: RegressionSettings, panel: Panel
) -> tuple[Row, list[Row]]:
    """Fill in one unit, or the reason why there is nothing.

    Returns:
        Its row of `logit`, and those of its marginal effects.
    """
    unit = estimates.units[u]
    terms = model.terms(panel.names)
    used = unit.used(panel)
    y = used.y
    X = design(used, panel, model.regressors, model.constant)
    estimates.n[u] = len(y)
    key: Row = {"scope": unit.scope, "unit": unit.name}
    n = len(y)
    share_of_ones = y.mean() if n else np.nan
    shares = {"n_obs": n, "share_of_ones": share_of_ones}
    about = key | shares
    try:
        likely = maximise(X, y, terms, model.constant)
    except NotEstimable as error:
        reason = str(error)
        estimates.without_estimates(u, reason=reason)
        return about | {"reason": reason}, []
    centre = y.mean() if model.constant else 0.0
    residuals = y - likely.p
    estimates.b[u] = likely.b
    squares = residuals**2
    estimates.ssr[u] = np.sum(squares)
    deviation = y - centre
    squares = deviation**2
    estimates.tss[u] = np.sum(squares)
    keys = _cluster_keys(model, panel, used.t, used.i)
    of_likely = partial(covariance, likely, model.cov, keys)
    robust(estimates, u, model, panel, of_likely)
    reason = estimates.reason[u]
    if reason:
        return about | {"reason": reason}, []
    effects = _marginal_effects(X, likely, estimates.V[u], terms, model.confidence)
    effect_rows = [key | effect for effect in effects]
    about_fit = _about(likely, y, model.constant)
    return about | about_fit, effect_rows


def _cluster_keys(
    model: RegressionSettings, panel: Panel, t: np.ndarray, i: np.ndarray
) -> list[np.ndarray]:
    """The cluster (n,) of each cell, for each way of clustering."""
    keys = []
    for name in model.clusters:
        of_assets = cluster_key(panel, name)
        cluster = t if of_assets is None else of_assets[i]
        keys.append(cluster)
    return keys


def _marginal_effects(
    X: np.ndarray, likely: Likely, V: np.ndarray, terms: Sequence[str], confidence: float
) -> list[Row]:
    """A row per slope: its average effect with tests."""
    slopes = np.array([term != "const" for term in terms])
    effect, std_error = average_effects(X, likely, V, slopes)
    tests = inference(effect, std_error, np.inf, confidence)
    names = [term for term in terms if term != "const"]
    columns = [effect, *tests]
    numbers = np.column_stack(columns)
    rows = []
    for name, values in zip(names, numbers, strict=True):
        row = dict(zip(EFFECTS, [name, *values], strict=True))
        rows.append(row)
    return rows


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
        # with separated columns the steps never end, with heavy tails they may overshoot
        if result is None:
            refuse_separated(X, y, terms)
            steps = 10 * ITERATIONS
            start = model.fit(method="bfgs", maxiter=steps, disp=0, warn_convergence=False)
            result = _newton(model, start.params)
    if result is None:
        raise NotEstimable(f"no convergence in {ITERATIONS} iterations")
    b = back @ result.params
    index = Z @ result.params
    p = expit(index)
    return Likely(b, p, result, back)


def _newton(model: Any, start: np.ndarray | None) -> Any:
    """The result of statsmodels, None where Newton's steps do not end."""
    try:
        result = model.fit(
            start,
            method="newton",
            maxiter=ITERATIONS,
            tol=TOLERANCE,
            disp=0,
            warn_convergence=False,
        )
    except np.linalg.LinAlgError:
        return None
    finite = np.isfinite(result.params).all() and np.isfinite(result.llf)
    if finite and result.mle_retvals["converged"]:
        return result
    return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of statsmodels: what they warn of is checked here, and is a reason."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def covariance(likely: Likely, cov: str, keys: Sequence[np.ndarray], lags: int) -> Estimated:
    """Covariance (k, k) by statsmodels, and infinite degrees of freedom.

    The functions below are the covariances that a logit can have, as
    `runner.estimators.standard_errors` names them; negative eigenvalues of two ways of clustering
    are set to zero.

    Raises:
        NotEstimable: as many lags as rows, fewer than two clusters, a variance that is not
            positive.
    """
    of_logit = ERRORS[cov].of_logit
    if of_logit is None:
        raise NotEstimable(f"{cov} errors are not made for a logit")
    orthonormal_V = of_logit(likely, lags, keys)
    V = likely.back @ orthonormal_V @ likely.back.T
    zeroed = 0
    if len(keys) == 2:
        V, zeroed = positive(V)
    variance = np.diag(V)
    if not (variance > 0.0).all():
        raise NotEstimable(f"{cov} errors do not exist: a variance is not positive")
    clusters = tuple(len(np.unique(key)) for key in keys)
    return Estimated(V, np.inf, zeroed, clusters)


def inverse_hessian(likely: Likely, lags: int, keys: Sequence[np.ndarray]) -> np.ndarray:
    """The inverse of minus the Hessian, on the orthonormal columns, as those below."""
    return np.asarray(likely.result.normalized_cov_params)


def white(likely: Likely, lags: int, keys: Sequence[np.ndarray]) -> np.ndarray:
    """The sandwich without a small-sample factor."""
    from statsmodels.stats import sandwich_covariance as sandwich

    V = sandwich.cov_white_simple(likely.result, use_correction=False)
    return np.asarray(V)


def hac(likely: Likely, lags: int, keys: Sequence[np.ndarray]) -> np.ndarray:
    """Newey-West: Bartlett weights, no small-sample factor."""
    from statsmodels.stats import sandwich_covariance as sandwich

    n = len(likely.p)
    if lags >= n:
        raise NotEstimable(f"cov_lags={lags} with {n} rows; allowed: less than the rows")
    V = sandwich.cov_hac_simple(likely.result, nlags=lags, use_correction=False)
    return np.asarray(V)


def clustered(likely: Likely, lags: int, keys: Sequence[np.ndarray]) -> np.ndarray:
    """By one or two `keys` (n,), each way times G/(G-1) (n-1)/(n-k)."""
    from statsmodels.stats import sandwich_covariance as sandwich

    codes = [np.unique(key, return_inverse=True)[1] for key in keys]
    clusters = [int(code.max()) + 1 for code in codes]
    fewest = min(clusters)
    if fewest < 2:
        raise NotEstimable(f"{fewest} cluster; clustered errors need at least 2")
    if len(codes) == 1:
        V = sandwich.cov_cluster(likely.result, codes[0])
        return np.asarray(V)
    both_ways = sandwich.cov_cluster_2groups(likely.result, *codes)
    return np.asarray(both_ways[0])


def average_effects(
    X: np.ndarray, likely: Likely, V: np.ndarray, slopes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Average marginal effect of each slope on P(y = 1), and its delta-method error.

    The mean of b p (1 - p) over the rows, which are taken as given. A column of 0 and 1 is treated
    as any other.
    """
    b = likely.b[slopes]
    p = likely.p
    other = 1.0 - p
    density = p * other
    mean = density.mean()
    # (k,) mean of the derivative of p (1 - p) by b
    skew = 1.0 - 2.0 * p
    slope_of_density = density * skew
    total = slope_of_density @ X
    derivative = total / len(X)
    k = len(likely.b)
    every_slope = np.eye(k)
    identity = every_slope[slopes]
    of_density = np.outer(b, derivative)
    own_slope = mean * identity
    jacobian = own_slope + of_density
    variance = np.einsum("jk,kl,jl->j", jacobian, V, jacobian)
    std_error = np.sqrt(variance)
    return mean * b, std_error


def as_least_squares(pool: AnyPool, constant: bool) -> AnyPool:
    """The weighted least squares that takes the last step of Newton's at the estimates.

    Weights are p (1 - p), the target is the linear index plus (y - p) / (p (1 - p)): scores,
    Hessian and estimates are those of the logit, so that whatever is made of scores is made of
    these.
    """
    constants = int(constant)
    dummies = 0 if pool.member is None else pool.member.shape[1]
    first_dummy = len(pool.b) - dummies
    slopes = pool.b[constants:first_dummy]
    level = pool.b[0] if constant else 0.0
    of_assets = np.zeros(pool.shape[1])
    if pool.member is not None:
        of_assets = pool.member @ pool.b[first_dummy:]
    if isinstance(pool, Pool):
        index = pool.X @ slopes + level + of_assets
        target, weights = _last_step(index, pool.y)
        return pool._replace(y=target, weights=weights)
    rows = pool.cells.held if isinstance(pool.cells, Stored) else pool.cells
    index = rows.columns(pool.columns) @ slopes + level + of_assets[rows.listings.column]
    target, weights = _last_step(index, rows.y)
    return pool._replace(cells=replace(rows, y=target, weights=weights))


def _last_step(index: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Target and weights of the last step of Newton's, where the linear index is this."""
    p = expit(index)
    weights = np.maximum(p * expit(-index), LEAST_WEIGHT)
    step = (y - p) / weights
    return index + step, weights


def _about(likely: Likely, y: np.ndarray, constant: bool) -> Row:
    """McFadden's (1974) pseudo R2 and the likelihood-ratio test, against the model without slopes.

    That model has the share of ones, or one half where there is no constant.
    """
    n = len(y)
    share = y.mean()
    coefficients = len(likely.b)
    df = coefficients - constant
    llf = likely.result.llf
    log_half = np.log(2.0)
    null = -n * log_half
    if constant:
        of_zeros = entr(1.0 - share)
        entropy = float(entr(share) + of_zeros)
        null = -n * entropy
    gain = llf - null
    llr = 2.0 * gain
    p_value = chdtrc(df, max(llr, 0.0)) if df else np.nan
    return {
        "log_likelihood": llf,
        "null_log_likelihood": null,
        "pseudo_r2": 1.0 - llf / null,
        "llr": llr,
        "llr_df": df,
        "llr_p_value": p_value,
        "iterations": likely.result.mle_retvals["iterations"],
        "reason": "",
    }


def _metrics(quality: pd.DataFrame) -> dict[str, float]:
    r2 = quality["pseudo_r2"].mean()
    metrics = {"pseudo_r2": float(r2)}
    if len(quality) == 1:
        p_value = quality["llr_p_value"].iloc[0]
        metrics["llr_p_value"] = float(p_value)
    return metrics


def _words(quality: pd.DataFrame) -> list[str]:
    """McFadden's pseudo R2 and the likelihood-ratio test, which takes rows as independent."""
    has_test = quality["llr_p_value"].notna()
    tested = quality[has_test]
    if tested.empty:
        return []
    p = tested["llr_p_value"]
    mean_r2 = tested["pseudo_r2"].mean()
    r2 = number(mean_r2, 3)
    test = "the likelihood-ratio test, which assumes independent rows,"
    if len(quality) == 1:
        verdict = "does not reject at 5 % that every slope is zero, which does not prove it"
        p_value = p.iloc[0]
        if p_value < LEVEL:
            verdict = "rejects at 5 % that every slope is zero"
        return [f"McFadden's pseudo R2 is {r2}; {test} {verdict} ({p_words(p_value)})."]
    scopes = tested["scope"]
    scope = str(scopes.iloc[0])
    number_of_units = len(p)
    units = count(number_of_units, scope)
    rejected = p < LEVEL
    hits = int(rejected.sum())
    tests = len(p)
    expected = LEVEL * tests
    by_chance = number(expected, 2)
    return [
        f"McFadden's pseudo R2 is {r2} on average over {units}; "
        f"{test} rejects at 5 % that every slope is zero in {hits:,} of them; "
        f"chance alone would give about {by_chance}."
    ]
