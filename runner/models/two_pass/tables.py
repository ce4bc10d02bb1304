"""Two passes as tables and sentences: premia beside factors, pricing errors, betas."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from runner.errors import listed
from runner.estimators.estimates import Estimates, nothing
from runner.models.fit import HYPOTHESES, coefficient_table, quality_table
from runner.models.two_pass.premia import Errors, Passes, covariance_of_mean
from runner.numerics.inference import inference
from runner.panels.finding import Finding
from runner.panels.panel import Panel
from runner.panels.units import Unit
from runner.text import LEVEL, MANY_TESTS, count, number, percent

PREMIA = [
    "term",
    "premium",
    "std_error",
    "std_error_known_betas",
    "dates",
    "factor_mean",
    "factor_std_error",
]
PRICING = [
    "unit",
    "n_obs",
    "mean_return",
    "implied_return",
    "pricing_error",
    "std_error",
    "t_stat",
    "p_value",
]
PRICING += ["ci_low", "ci_high"]
JOINT = {
    "shanken": "pricing error = 0 in every asset (Shanken 1985)",
    "fama_macbeth": "pricing error = 0 in every asset (betas treated as known)",
    "gmm": "pricing error = 0 in every asset (J of GMM)",
}


def mean_of(passes: Passes, errors: Errors, terms: Sequence[str]) -> Estimates:
    """The mean premia with their covariance, as estimates of the unit `all` of the scope `mean`."""
    nowhere = np.arange(0)
    estimates = nothing([Unit("mean", "all", nowhere, nowhere)], len(terms))
    estimates.b[0] = passes.path.mean(axis=0)
    estimates.V[0] = errors.V
    estimates.df[0] = len(passes.path) - 1
    return estimates


def joint_test(errors: Errors, cov: str) -> pd.DataFrame:
    """The test that no asset has a pricing error, or the reason why there is none."""
    row = {"scope": "pooled", "unit": "all", "hypothesis": JOINT[cov], "reason": errors.reason}
    if errors.test is not None:
        row |= errors.test._asdict()
    return pd.DataFrame([row], columns=["scope", "unit", *HYPOTHESES])


def premia(passes: Passes, errors: Errors, terms: Sequence[str], lags: int, c: float) -> Finding:
    """Each premium beside the mean of its factor, with the standard errors of both.

    Beside the error of the premium stands that of Fama and MacBeth, betas known.
    """
    premium = passes.path.mean(axis=0)
    std_error = np.sqrt(np.diag(errors.V))
    known_betas = np.sqrt(np.diag(covariance_of_mean(passes.path, lags)))
    mean = passes.F.mean(axis=0)
    mean_error = np.sqrt(np.diag(covariance_of_mean(passes.F, lags)))
    # the constant is no factor
    without = [np.nan] * passes.constant
    columns = {
        "term": list(terms),
        "premium": premium,
        "std_error": std_error,
        "std_error_known_betas": known_betas,
        "dates": len(passes.path),
        "factor_mean": [*without, *mean],
        "factor_std_error": [*without, *mean_error],
    }
    table = pd.DataFrame(columns, columns=PREMIA)
    factors = table[table["term"] != "const"]
    pairs = zip(factors["term"], factors["premium"], factors["factor_mean"], strict=True)
    against = listed(f"{term} {number(own)} against {number(other)}" for term, own, other in pairs)
    words = [
        f"Premium against the mean of the factor itself: {against}; "
        "they should agree where it is an excess return.",
        _corrected(std_error / known_betas - 1.0, c),
    ]
    return Finding(table, words=words)


def _corrected(change: np.ndarray, c: float) -> str:
    """What the estimation of the betas does to the errors of the premia, in shares of them."""
    if not change.any():
        return (
            "Standard errors treat the betas as known and are too small; "
            f"the correction of Shanken has c = {number(c)}."
        )
    low = _signed(change.min())
    high = _signed(change.max())
    span = low if low == high else f"{low} to {high}"
    return (
        f"Standard errors, against those with betas treated as known: {span} "
        f"(Shanken's c is {number(c)})."
    )


def _signed(share: float) -> str:
    sign = "-" if share < 0.0 else "+"
    size = percent(abs(share))
    return f"{sign}{size}"


def pricing(
    passes: Passes, errors: Errors, c: float, assets: Sequence[str], confidence: float
) -> Finding:
    """What each asset earned on average, what its betas imply, and the difference with its error.

    Means are over the dates on which the asset is in the cross-section; its implied return takes
    the premia and betas of those dates. With every cell that is the constant plus each beta times
    its mean premium. The R2 is that of the mean returns: 1 - sum of squared pricing errors / sum of
    squares of the means about their own mean.
    """
    own = passes.own
    seen = np.isfinite(passes.u)
    rows = seen.sum(axis=0)
    n = rows[own]
    earned = np.where(seen, passes.y, 0.0).sum(axis=0)
    unexplained = np.where(seen, passes.u, 0.0).sum(axis=0)
    mean = earned[own] / n
    error = unexplained[own] / n
    tests = inference(error, errors.pricing[own], n - 1.0, confidence)
    columns = {
        "unit": np.array(assets, dtype=object)[own],
        "n_obs": n,
        "mean_return": mean,
        "implied_return": mean - error,
        "pricing_error": error,
    }
    table = pd.DataFrame(columns | tests._asdict(), columns=PRICING)
    with np.errstate(divide="ignore", invalid="ignore"):
        tss = np.sum((mean - mean.mean()) ** 2)
        r2 = 1.0 - np.sum(error**2) / tss
    sizes = np.abs(error)
    mean_abs_error = np.mean(sizes)
    metrics = {"r2": r2, "mean_abs_error": mean_abs_error, "shanken_factor": 1.0 + c}
    words = [
        f"{_explained(r2, len(mean))}; "
        f"the mean absolute pricing error is {number(mean_abs_error)} per row.",
        _significant(table),
    ]
    return Finding(table, metrics, words, "pricing")


def _explained(r2: float, assets: int) -> str:
    """How near mean returns lie to what the betas imply."""
    assets_text = count(assets, "asset")
    over = f"over {assets_text}"
    if r2 < 0.0:
        return (
            "The betas explain mean returns worse than their own mean does "
            f"(R2 {number(r2)} {over})"
        )
    share = percent(r2)
    return f"The betas account for {share} of the variance of mean returns {over}"


def _significant(table: pd.DataFrame) -> str:
    """How many pricing errors differ from zero, and in which assets."""
    tested = len(table)
    hits = table[table["p_value"] < LEVEL]
    names = f" ({listed(hits['unit'])})" if len(hits) else ""
    chance = ""
    if tested >= MANY_TESTS:
        expected = LEVEL * tested
        chance = f", where chance alone would give about {expected:,.0f}"
    return (
        f"One by one, pricing errors differ from zero at 5 % in {len(hits)} of {tested} assets"
        f"{names}{chance}."
    )


def betas(
    passes: Passes, latest: Estimates, factors: Sequence[str], panel: Panel, confidence: float
) -> Finding:
    """Pass 1: alpha and betas of each asset with nonrobust errors.

    Rolling ones are of the last window, with their mean and standard deviation over the dates.
    """
    terms = ["const", *factors]
    table = coefficient_table(latest, terms, confidence).drop(columns="scope")
    quality = quality_table(latest, "nonrobust")
    table = table.merge(quality[["unit", "n_obs", "r2"]], on="unit", how="left")
    words = []
    if not passes.fixed:
        table = _with_path(table, passes, terms, panel.assets)
        words.append("Betas with their errors are those of the last window.")
    without = np.flatnonzero(~latest.estimated).tolist()
    if without:
        names = listed(latest.units[i].name for i in without)
        reasons = "; ".join(sorted({latest.reason[i] for i in without}))
        without_text = count(len(without), "asset")
        words.append(f"{without_text} without betas ({names}): {reasons}.")
    cells = np.isfinite(passes.y).sum()
    used = np.isfinite(passes.u).sum()
    lost = int(cells - used)
    if lost:
        cells_text = count(lost, "cell")
        words.append(f"{cells_text} of the cross-sections left out for want of betas.")
    return Finding(table, words=words)


def _with_path(
    table: pd.DataFrame, passes: Passes, terms: Sequence[str], assets: Sequence[str]
) -> pd.DataFrame:
    """The betas of the last window beside their mean and standard deviation over the dates."""
    keys = [(unit, term) for unit in assets for term in terms]
    every = pd.DataFrame(keys, columns=["unit", "term"])
    over_dates = _over_dates(passes.betas, assets, terms[1:])
    wide = every.merge(table, how="left").merge(over_dates, how="left")
    return wide.dropna(subset=["n_obs", "mean_over_dates"], how="all")


def _over_dates(path: np.ndarray, assets: Sequence[str], factors: Sequence[str]) -> pd.DataFrame:
    """Mean and standard deviation (ddof 1) of the betas (T, N, K) over the dates that have them."""
    rows = []
    for i, k in np.ndindex(path.shape[1:]):
        beta = path[:, i, k]
        is_known = np.isfinite(beta)
        beta = beta[is_known]
        if len(beta) > 1:
            mean = beta.mean()
            deviation = beta.std(ddof=1)
            rows.append((assets[i], factors[k], mean, deviation))
    return pd.DataFrame(rows, columns=["unit", "term", "mean_over_dates", "std_over_dates"])
