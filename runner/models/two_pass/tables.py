"""What two passes found beyond the premia, as tables and sentences: factors, pricing errors,
betas.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from runner.errors import listed
from runner.estimators.estimation import Estimates, nothing
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
    "fama_macbeth": "pricing error = 0 in every asset (betas taken as known)",
    "gmm": "pricing error = 0 in every asset (J of GMM)",
}


def mean_of(passes: Passes, errors: Errors, terms: Sequence[str]) -> Estimates:
    """The mean premia with their covariance, as estimates of the unit `all` of the scope `mean`."""
    found = nothing([Unit("mean", "all", np.arange(0), np.arange(0))], len(terms))
    found.b[0], found.V[0], found.df[0] = passes.path.mean(axis=0), errors.V, len(passes.path) - 1
    return found


def joint_test(errors: Errors, cov: str) -> pd.DataFrame:
    """The test that no asset has a pricing error, or the reason why there is none."""
    row = {"scope": "pooled", "unit": "all", "hypothesis": JOINT[cov], "reason": errors.reason}
    row |= errors.test._asdict() if errors.test else {}
    return pd.DataFrame([row], columns=["scope", "unit", *HYPOTHESES])


def premia(passes: Passes, errors: Errors, terms: Sequence[str], lags: int, c: float) -> Finding:
    """Each premium beside the mean of its factor, and its error beside that of Fama and MacBeth,
    betas known.
    """
    known = np.sqrt(np.diag(covariance_of_mean(passes.path, lags)))
    own, error = passes.path.mean(axis=0), np.sqrt(np.diag(errors.V))
    before = [np.nan] * passes.constant
    means = [*before, *passes.F.mean(axis=0)]
    spread = [*before, *np.sqrt(np.diag(covariance_of_mean(passes.F, lags)))]
    columns = (list(terms), own, error, known, len(passes.path), means, spread)
    beside = listed(
        f"{term} {number(one)} beside {number(mean)}"
        for term, one, mean in zip(terms, own, means, strict=True)
        if term != "const"
    )
    words = [
        f"Premium beside the mean of the factor itself: {beside}; they should agree where it is an excess return.",
        _corrected(error / known - 1.0, c),
    ]
    return Finding(pd.DataFrame(dict(zip(PREMIA, columns, strict=True))), words=words)


def _corrected(change: np.ndarray, c: float) -> str:
    """What the estimation of the betas does to the errors of the premia."""
    if not change.any():
        return f"Errors take the betas as known and are too small; the correction of Shanken has c = {number(c)}."
    low, high = (
        f"{'-' if one < 0.0 else '+'}{percent(abs(one))}" for one in (change.min(), change.max())
    )
    span = low if low == high else f"{low} to {high}"
    return f"Standard errors, against those with betas taken as known: {span} (Shanken's c is {number(c)})."


def pricing(
    passes: Passes, errors: Errors, c: float, assets: Sequence[str], confidence: float
) -> Finding:
    """What each asset earned on average, what its betas imply, and the difference with its error.

    Means are over the dates on which the asset is in the cross-section; its implied return takes
    the premia and betas of those dates. With every cell that is the constant plus each beta times
    its mean premium. The R2 is that of the mean returns: 1 - sum of squared pricing errors / sum of
    squares of the means about their own mean.
    """
    seen = np.isfinite(passes.u)
    n, own = seen.sum(axis=0), passes.own
    mean, error = (
        np.where(seen, one, 0.0).sum(axis=0)[own] / n[own] for one in (passes.y, passes.u)
    )
    tests = inference(error, errors.pricing[own], n[own] - 1.0, confidence)
    columns = (np.array(assets, dtype=object)[own], n[own], mean, mean - error, error, *tests)
    table = pd.DataFrame(dict(zip(PRICING, columns, strict=True)))
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1.0 - np.sum(error**2) / np.sum((mean - mean.mean()) ** 2)
    metrics = {"r2": r2, "mean_abs_error": np.mean(np.abs(error)), "shanken_factor": 1.0 + c}
    words = [
        f"{_spread(r2, len(mean))}; the mean absolute pricing error is {number(metrics['mean_abs_error'])} per row.",
        _significant(table),
    ]
    return Finding(table, metrics, words, "pricing")


def _spread(r2: float, assets: int) -> str:
    """How near mean returns lie to what the betas imply."""
    over = f"over {count(assets, 'asset')}"
    if r2 < 0.0:
        return f"Mean returns are further from what the betas imply than from their own mean (R2 {number(r2)} {over})"
    return f"The betas account for {percent(r2)} of the variance of mean returns {over}"


def _significant(table: pd.DataFrame) -> str:
    hits = table[table["p_value"] < LEVEL]
    chance = f", where chance alone would give about {LEVEL * len(table):,.0f}" * (
        len(table) >= MANY_TESTS
    )
    names = f" ({listed(hits['unit'])})" if len(hits) else ""
    return f"One by one, pricing errors differ from zero at 5 % in {len(hits)} of {len(table)} assets{names}{chance}."


def betas(
    passes: Passes, latest: Estimates, factors: Sequence[str], panel: Panel, confidence: float
) -> Finding:
    """Pass 1: alpha and betas of each asset with nonrobust errors; rolling ones of the last window,
    with their mean and standard deviation over the dates."""
    terms = ["const", *factors]
    table = coefficient_table(latest, terms, confidence).drop(columns="scope")
    quality = quality_table(latest, "nonrobust")
    table = table.merge(quality[["unit", "n_obs", "r2"]], on="unit", how="left")
    words = []
    if not passes.fixed:
        every = pd.DataFrame(
            [(unit, term) for unit in panel.assets for term in terms], columns=["unit", "term"]
        )
        table = (
            every.merge(table, how="left")
            .merge(_over_dates(passes.betas, panel.assets, factors), how="left")
            .dropna(subset=["n_obs", "mean_over_dates"], how="all")
        )
        words.append("Betas with their errors are those of the last window.")
    bare = ~latest.estimated
    if bare.any():
        reasons = "; ".join(sorted({latest.reason[i] for i in np.flatnonzero(bare)}))
        words.append(
            f"{count(int(bare.sum()), 'asset')} without betas ({listed(_names(latest, bare))}): {reasons}."
        )
    lost = int(np.isfinite(passes.y).sum() - np.isfinite(passes.u).sum())
    if lost:
        words.append(f"{count(lost, 'cell')} of the cross-sections left out for want of betas.")
    return Finding(table, words=words)


def _names(found: Estimates, which: np.ndarray) -> list[str]:
    return [found.units[i].name for i in np.flatnonzero(which)]


def _over_dates(
    path: np.ndarray, assets: Sequence[str], factors: Sequence[str]
) -> list[tuple[str, str, float, float]]:
    """Mean and standard deviation (ddof 1) of the betas (T, N, K) of each asset over the dates
    that have them.
    """
    rows = []
    for i, k in np.ndindex(path.shape[1:]):
        own = path[np.isfinite(path[:, i, k]), i, k]
        if len(own) > 1:
            rows.append((assets[i], factors[k], own.mean(), own.std(ddof=1)))
    return pd.DataFrame(rows, columns=["unit", "term", "mean_over_dates", "std_over_dates"])
