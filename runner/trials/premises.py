"""What the p-values of a run rest on: do dates, rows and regressors allow a verdict?

A verdict is withheld, with the reason, where p-values take assets on one date or overlapping rows
as independent or rest on few clusters, where the bias of persistent regressors (Stambaugh 1999) is
a fair part of the standard error, and where so few rows are independent that a true effect would
seldom be found.
`runner/docs/verdict.md` has the measured levels and powers of the families.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.estimators.few_clusters import Few, what_helps
from runner.estimators.standard_errors import ERRORS, suited
from runner.text import count, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.regression import Regression
    from runner.panels.panel import Panel

MOST_BIAS = 0.25  # of a standard error: a test at .25 % rejects in .36 %
PLANTED = 5.0  # the true t whose power is asked
LEAST_POWER = 0.8
# Level of each of twenty tests at 5 % by Bonferroni; more tests are no fault of the rows.
SINGLE = 0.05 / 20.0
FLAT = 1e-20  # variation over sum of squares, below which a regressor does not vary
TINY = 1e-300  # above zero
CLOSEST = 0.999  # largest autocorrelation of a regressor, after its correction for bias

INDEPENDENT = "p-values treat assets on one date as independent"
OVERLAP = "p-values treat overlapping rows as independent"
BIAS = "small-sample bias of a persistent regressor"
FEW = "too few independent rows"
FEW_CLUSTERS = "p-values rest on few clusters"


class Series(NamedTuple):
    """Of each term (k,), or of each of several series and term (n, k).

    Attributes:
        bias: of its estimate.
        persistence: first-order autocorrelation of its effective regressor.
        weight: sum of squares that weighs it against that of other assets.
    """

    bias: np.ndarray
    persistence: np.ndarray
    weight: np.ndarray


def series_of(a: np.ndarray, u: np.ndarray, use: np.ndarray, horizon: int) -> Series:
    """Bias of b = sum of a y over n series, a (T, n, k) the effective regressors.

    It is the sum of those of each series; the persistence is their mean by weight.
    """
    each = series_of_each(a, u, use, horizon)
    total = each.weight.sum(axis=0)
    weighted = (each.persistence * each.weight).sum(axis=0)
    persistence = weighted / np.where(total > 0.0, total, 1.0)
    return Series(each.bias.sum(axis=0), persistence, total)


def series_of_each(a: np.ndarray, u: np.ndarray, use: np.ndarray, horizon: int) -> Series:
    """The same of each series, (n, k); the weight of one that cannot be judged is zero.

    u (T, n) are the residuals. Each series takes off its own mean, on its rows in `use` (T, n).
    With v the innovations of the AR(1) of a, rho its coefficient (Kendall's bias taken off), h the
    larger of horizon and 1, and phi = sum over j = 1..h of cov(u_t, v_{t+j}) / var(v), the bias of
    a series of n rows is -(phi / h) (h (1 + rho) + 2 rho (1 - rho^h) / (1 - rho)) / n sum a^2:
    Stambaugh (1999) with h = 1, Boudoukh, Israel and Richardson (2008) beyond.
    """
    h = max(horizon, 1)
    in_use = use[:, :, None]
    count_of_rows = use.sum(axis=0)
    rows = count_of_rows.astype(float)
    full = np.maximum(rows, 1.0)[:, None]
    a = np.where(in_use, a, 0.0)
    u = np.where(use, u, 0.0)
    sums = a.sum(axis=0)
    mean = sums / full
    about = np.where(in_use, a - mean, 0.0)
    squared = about**2
    squares = squared.sum(axis=0)
    size = np.maximum((a**2).sum(axis=0), TINY)
    least = FLAT * size
    flat = squares <= least
    both = (use[1:] & use[:-1]).astype(float)
    both_rows = both.sum(axis=0)
    pairs = np.maximum(both_rows, 1.0)[:, None]
    rho = _autocorrelation(about, np.where(flat, 1.0, squares), pairs, full)
    rho = np.where(flat, 0.0, rho)
    predicted = rho * about[:-1]
    innovation = about[1:] - predicted
    v = innovation * both[:, :, None]
    variations = (v**2).sum(axis=0)
    variance = variations / pairs
    variance = np.where(flat | (variance == 0.0), 1.0, variance)
    phi = _reaction(u, v, variance, use, both, h)
    decay = 2.0 * rho * (1.0 - rho**h) / (1.0 - rho)
    spread = h * (1.0 + rho) + decay
    bias = -(phi / h) * spread / full * squares
    has_pairs = ((rows > 3.0) & (both_rows > 0.0))[:, None]
    usable = ~flat & has_pairs
    return Series(
        bias=np.where(usable, bias, 0.0),
        persistence=np.where(usable, rho, 0.0),
        weight=np.where(usable, squares, 0.0),
    )


def _reaction(
    u: np.ndarray,
    v: np.ndarray,
    variance: np.ndarray,
    use: np.ndarray,
    both: np.ndarray,
    h: int,
) -> np.ndarray:
    """How residuals foretell the regressor (n, k): phi of `series_of`.

    Args:
        u: (T, n) residuals; v: (T - 1, n, k) innovations of the regressor, zero where unknown;
            variance: (n, k) of v.
        use, both: (T, n) and (T - 1, n), where u and v are known.
        h: rows ahead.
    """
    phi = np.zeros_like(variance)
    last_lag = min(h, len(u) - 1)
    for lag in range(1, last_lag + 1):
        earlier = slice(0, len(u) - lag)
        later = slice(lag - 1, None)
        known = use[earlier] * both[later]
        counts = known.sum(axis=0)
        rows = np.maximum(counts, 1.0)[:, None]
        products = np.einsum("tn,tnk->nk", u[earlier], v[later])
        covariance = products / rows
        phi += covariance / variance
    return phi


def _autocorrelation(
    about: np.ndarray, squares: np.ndarray, pairs: np.ndarray, full: np.ndarray
) -> np.ndarray:
    """First-order autocorrelation (n, k) of regressors about their means, less Kendall's bias."""
    products = about[1:] * about[:-1]
    covariance = products.sum(axis=0) / pairs
    variance = squares / full
    raw = covariance / variance
    correction = (1.0 + 3.0 * raw) / full
    return np.clip(raw + correction, -CLOSEST, CLOSEST)


def doubts(
    panel: Panel,
    model: Regression,
    estimates: pd.Series,
    dates: Dates,
    own: np.ndarray,
    few: Few | None = None,
) -> dict[str, str]:
    """By term, why its p-value supports no verdict over many tests; empty where it does.

    Args:
        estimates: those of the headline by term.
        own: (T,) the dates with a cell.
        few: the clusters that its p-values rest on, where they are few.
    """
    reasons = {}
    values = estimates.to_numpy(dtype=float)
    of_share = dates.share[own] * values
    contributions = dates.influence[own] + of_share
    errors, degrees = long_run_errors(contributions, panel.horizon)
    chances = power(dates.share[own], degrees, panel.horizon)
    for j, term in enumerate(estimates.index):
        about = f"{int(own.sum()):,} dates, horizon {panel.horizon}"
        if np.isfinite(dates.persistence[j]):
            about += f", regressor's autocorrelation {dates.persistence[j]:.2f}"
        own_bias = dates.bias[j]
        bias = abs(own_bias)
        reason = _of_errors(panel, model, term)
        if not reason and few is not None:
            helps = what_helps(model, few, int(own.sum()), panel.horizon)
            reason = f"{FEW_CLUSTERS} ({few.words}; {helps})"
        if not reason and chances[j] < LEAST_POWER:
            chance = percent(chances[j])
            reason = (
                f"{FEW} ({about}; a true t of {PLANTED:g} would be found in {chance} of samples)"
            )
        if not reason and bias > MOST_BIAS * errors[j]:
            in_errors = bias / errors[j]
            size = number(in_errors, 2)
            reason = f"{BIAS} (Stambaugh 1999: {size} standard errors; {about})"
        reasons[str(term)] = reason
    return reasons


def sentences_of(reasons: Iterable[str], tests: int) -> list[str]:
    """A sentence for each kind of reason why some of so many tests have no verdict."""
    kinds: dict[str, list[str]] = {}
    for reason in reasons:
        parts_of_reason = reason.partition(" (")
        kind = parts_of_reason[0]
        kinds.setdefault(kind, []).append(reason)
    sentences = []
    for kind, of_kind in kinds.items():
        details = of_kind[0].removeprefix(kind).removeprefix(" (").removesuffix(")")
        unlike = set(of_kind)
        if len(unlike) > 1:
            details = f"for instance {details}"
        whose = "their " if kind.startswith(("p-values", "estimates")) else ""
        lost = len(of_kind)
        tests_text = count(tests, "test")
        text = f"No verdict for {lost:,} of {tests_text}: {whose}{kind}"
        if details:
            text += f" ({details})"
        sentences.append(f"{text}.")
    return sentences


def long_run_errors(contributions: np.ndarray, horizon: int) -> tuple[np.ndarray, int]:
    """Standard errors (k,) of the sums of contributions (T, k), and their degrees of freedom.

    Of overlapping targets by equal-weighted cosines, else the spread over the dates (ddof 1).
    """
    from runner.trials.romano_wolf import blocks, cosines

    parts = cosines(contributions, horizon) if horizon > 1 else blocks(contributions, 1)
    estimates = contributions.sum(axis=0)
    errors = parts.error(estimates)
    most_parts = int(parts.own.sum(axis=0).max(initial=1))
    return errors, most_parts - 1


def power(share: np.ndarray, degrees: int, horizon: int) -> np.ndarray:
    """Chance (k,) that a true t of 5 is found among twenty tests at 5 %, by shares of dates (T, k).

    Errors are of contributions under the null, so that a true effect adds to them what it gives the
    dates unevenly: with c the critical |t| and s the error of the shares themselves, |t| > c where
    the noncentral t of the usual errors is beyond c / sqrt(1 - c^2 s^2).
    """
    from scipy.special import nctdtr, stdtrit  # scipy.stats takes most of a second to import

    if degrees < 1:
        return np.zeros(share.shape[1])
    uneven, _ = long_run_errors(share, horizon)
    quantile = 1.0 - SINGLE / 2.0
    critical = stdtrit(degrees, quantile)
    squared = critical**2 * uneven**2
    left = 1.0 - squared
    positive = np.where(left > 0.0, left, 1.0)
    beyond = critical / np.sqrt(positive)
    chance = 1.0 - nctdtr(degrees, PLANTED, beyond)
    return np.asarray(np.where(left > 0.0, chance, 0.0))


def _of_errors(panel: Panel, model: Regression, term: str) -> str:
    """Why the errors of the run take as independent what is not; empty where they do not."""
    if model.by == "date":
        short = model.mean_lags is not None and model.mean_lags < panel.horizon - 1
        return f"{OVERLAP}; use model.mean_lags=null" if short else ""
    if model.by == "asset":
        return _of_one_asset(panel, model) if len(panel.assets) == 1 else ""
    errors = ERRORS[model.cov]
    if errors.shocks:
        short = model.cov_lags is not None and model.cov_lags < panel.horizon - 1
        return f"{OVERLAP}; use model.cov_lags=null" if short else ""
    overlapping = panel.horizon > 1
    mend = _mend(model, overlapping)
    if not errors.clustered:
        has_several = panel.usable_by_date > 1
        several = bool(has_several.any())
        if several:
            return f"{INDEPENDENT}; {mend}"
        return f"{OVERLAP}; {mend}" if overlapping else ""
    if "date" not in model.clusters and is_common(panel, term):
        return f"{INDEPENDENT}; {mend}"
    if overlapping and model.clusters == ["date"]:
        return f"{OVERLAP}; {mend}"
    return ""


def _mend(model: Regression, overlapping: bool) -> str:
    """The pooled errors that allow for shared dates, and for targets that overlap."""
    clustered = suited("pooled", lambda errors: errors.clustered)
    if not overlapping:
        return f"use model.cov={clustered} model.clusters=[date]"
    if model.estimator == "ols":
        by_date = suited("pooled", lambda errors: errors.shocks and errors.serial)
        without = " model.clusters=[]" if model.clusters else ""
        return f"use model.cov={by_date}{without}"
    return f"use model.cov={clustered} model.clusters=[asset,date]"


def _of_one_asset(panel: Panel, model: Regression) -> str:
    """Of a regression over time whose errors are its own."""
    if panel.horizon < 2:
        return ""
    if not ERRORS[model.cov].serial:
        lagged = suited("asset", lambda errors: errors.serial)
        return f"{OVERLAP}; use model.cov={lagged}"
    if model.cov_lags is None or model.cov_lags >= panel.horizon - 1:
        return ""
    return f"{OVERLAP}; use model.cov={model.cov} model.cov_lags=null"


def is_common(panel: Panel, term: str) -> bool:
    """Whether a regressor is the same for all assets on each date; the constant is, no dummy is."""
    if term == "const":
        return True
    if term not in panel.names:
        return False
    every_row = np.arange(len(panel.dates))
    differs = panel.cells.differ_between_assets(every_row)
    return not differs[panel.names.index(term)]


class Dates(NamedTuple):
    """What each date does to each term of a regression.

    The effective regressor of a term is what its estimate multiplies the target with, a with
    b = sum of a y: the residual of its regressor on the others, over its sum of squares.

    Attributes:
        influence: (T, k) of each date.
        share: (T, k) of the date in the squares of the effective regressor.
        bias: (k,) small-sample bias by which the innovations of the effective regressor move with
            the residuals.
        persistence: (k,) first-order autocorrelation of the effective regressor; NaN where the
            estimate is no regression over time.
    """

    influence: np.ndarray
    share: np.ndarray
    bias: np.ndarray
    persistence: np.ndarray
