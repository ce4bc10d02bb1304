"""What the p-values of a run rest on: whether dates, rows and regressors allow a verdict over many
tests.

A verdict is withheld, with the reason, where p-values take assets on one date or overlapping rows
as independent, where the bias of persistent regressors (Stambaugh 1999) is a fair part of the
standard error, and where so few rows are independent that a true effect would seldom be found.
`runner/docs/verdict.md` has the measured levels and powers of the families.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.text import count, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.regression import Regression
    from runner.panels.panel import Panel

MOST_BIAS = 0.25  # of a standard error: a test at .25 % rejects in .36 %
PLANTED = 5.0  # the true t whose power is asked
LEAST_POWER = 0.8
SINGLE = (
    0.05 / 20.0
)  # level of each of twenty tests at 5 % by Bonferroni; more tests are no fault of the rows
CLOSEST = 0.999  # largest autocorrelation of a regressor, after its correction for bias

INDEPENDENT = "p-values treat assets on one date as independent"
OVERLAP = "p-values treat overlapping rows as independent"
BIAS = "small-sample bias of a persistent regressor"
FEW = "too few independent rows"


class Series(NamedTuple):
    """Of each term (k,): bias of its estimate, autocorrelation of its effective regressor, and the
    sum of squares that weighs it against that of other assets."""

    bias: np.ndarray
    persistence: np.ndarray
    weight: np.ndarray


def series_of(a: np.ndarray, u: np.ndarray, use: np.ndarray, horizon: int) -> Series:
    """Bias of b = sum of a y over series n, from effective regressors a (T, n, k), residuals u (T,
    n).

    Each series takes off its own mean, on its rows in `use` (T, n). With v the innovations of the
    AR(1) of a, rho its coefficient (Kendall's bias taken off), h the larger of horizon and 1, and
    phi = sum over j = 1..h of cov(u_t, v_{t+j}) / var(v), the bias of a series of n rows is
    -(phi / h) (h (1 + rho) + 2 rho (1 - rho^h) / (1 - rho)) / n sum a^2: Stambaugh (1999) with h =
    1, Boudoukh, Israel and Richardson (2008) beyond.
    """
    h = max(horizon, 1)
    rows = use.sum(axis=0).astype(float)
    full = np.maximum(rows, 1.0)
    a = np.where(use[:, :, None], a, 0.0)
    u = np.where(use, u, 0.0)
    about = np.where(use[:, :, None], a - a.sum(axis=0) / full[:, None], 0.0)
    squares = (about**2).sum(axis=0)
    flat = squares <= 1e-20 * np.maximum((a**2).sum(axis=0), 1e-300)
    both = (use[1:] & use[:-1]).astype(float)
    pairs = np.maximum(both.sum(axis=0), 1.0)[:, None]
    safe = np.where(flat, 1.0, squares)
    raw = (about[1:] * about[:-1]).sum(axis=0) / pairs / (safe / full[:, None])
    rho = np.clip(raw + (1.0 + 3.0 * raw) / full[:, None], -CLOSEST, CLOSEST)
    rho = np.where(flat, 0.0, rho)
    v = (about[1:] - rho * about[:-1]) * both[:, :, None]
    variance = (v**2).sum(axis=0) / pairs
    variance = np.where(flat | (variance == 0.0), 1.0, variance)
    phi = np.zeros_like(rho)
    for lag in range(1, min(h, len(u) - 1) + 1):
        seen = np.maximum((use[: len(u) - lag] * both[lag - 1 :]).sum(axis=0), 1.0)[:, None]
        products = np.einsum("tn,tnk->nk", u[: len(u) - lag], v[lag - 1 :])
        phi += products / seen / variance
    spread = h * (1.0 + rho) + 2.0 * rho * (1.0 - rho**h) / (1.0 - rho)
    bias = -(phi / h) * spread / full[:, None] * squares
    usable = ~flat & ((rows > 3.0) & (both.sum(axis=0) > 0.0))[:, None]
    bias = np.where(usable, bias, 0.0)
    weight = np.where(usable, squares, 0.0)
    total = weight.sum(axis=0)
    persistence = (np.where(usable, rho, 0.0) * weight).sum(axis=0) / np.where(
        total > 0.0, total, 1.0
    )
    return Series(bias.sum(axis=0), persistence, total)


def doubts(
    panel: Panel, model: Regression, estimates: pd.Series, dates: Dates, own: np.ndarray
) -> dict[str, str]:
    """By term, why its p-value supports no verdict over many tests; empty where it does.

    `estimates` are those of the headline by term, `own` (T,) the dates with a cell.
    """
    found = {}
    influences = dates.influence[own] + dates.share[own] * estimates.to_numpy(dtype=float)
    errors, degrees = long_run_errors(influences, panel.horizon)
    chances = power(dates.share[own], degrees, panel.horizon)
    for j, term in enumerate(estimates.index):
        biased = abs(dates.bias[j]) > MOST_BIAS * errors[j]
        about = f"{int(own.sum()):,} dates, horizon {panel.horizon}"
        if np.isfinite(dates.persistence[j]):
            about += f", regressor's autocorrelation {dates.persistence[j]:.2f}"
        reason = _of_errors(panel, model, term)
        if not reason and chances[j] < LEAST_POWER:
            chance = percent(chances[j])
            reason = (
                f"{FEW} ({about}; a true t of {PLANTED:g} would be found in {chance} of samples)"
            )
        if not reason and biased:
            size = number(abs(dates.bias[j]) / errors[j], 2)
            reason = f"{BIAS} (Stambaugh 1999: {size} standard errors; {about})"
        found[str(term)] = reason
    return found


def sentences_of(reasons: Iterable[str], tests: int) -> list[str]:
    """A sentence for each kind of reason why some of so many tests have no verdict."""
    kinds: dict[str, list[str]] = {}
    for reason in reasons:
        kinds.setdefault(reason.partition(" (")[0], []).append(reason)
    sentences = []
    for kind, own in kinds.items():
        details = own[0].removeprefix(kind).removeprefix(" (").removesuffix(")")
        if len(set(own)) > 1:
            details = f"for instance {details}"
        whose = "their " if kind.startswith(("p-values", "estimates")) else ""
        more = f" ({details})" if details else ""
        sentences.append(
            f"No verdict for {len(own):,} of {count(tests, 'test')}: {whose}{kind}{more}."
        )
    return sentences


def long_run_errors(contributions: np.ndarray, horizon: int) -> tuple[np.ndarray, int]:
    """Standard errors (k,) of the sums of contributions (T, k), and their degrees of freedom.

    Of overlapping targets by equal-weighted cosines, else the spread over the dates (ddof 1).
    """
    from runner.trials.romano_wolf import blocks, cosines

    parts = cosines(contributions, horizon) if horizon > 1 else blocks(contributions, 1)
    return parts.error(contributions.sum(axis=0)), int(parts.own.sum(axis=0).max(initial=1)) - 1


def power(share: np.ndarray, degrees: int, horizon: int) -> np.ndarray:
    """Chance (k,) that a true t of 5 is found among twenty tests at 5 %, given shares of dates (T,
    k).

    Errors are of contributions under the null, so that a true effect adds to them what it gives the
    dates unevenly: with c the critical |t| and s the error of the shares themselves, |t| > c where
    the noncentral t of the usual errors is beyond c / sqrt(1 - c^2 s^2).
    """
    from scipy.special import nctdtr, stdtrit  # scipy.stats takes most of a second to import

    if degrees < 1:
        return np.zeros(share.shape[1])
    uneven, _ = long_run_errors(share, horizon)
    critical = stdtrit(degrees, 1.0 - SINGLE / 2.0)
    left = 1.0 - critical**2 * uneven**2
    beyond = critical / np.sqrt(np.where(left > 0.0, left, 1.0))
    chance = 1.0 - nctdtr(degrees, PLANTED, beyond)
    return np.asarray(np.where(left > 0.0, chance, 0.0))


def _of_errors(panel: Panel, model: Regression, term: str) -> str:
    """Why the errors of the run take as independent what is not; empty where they do not."""
    if model.by == "date":
        short = model.mean_lags is not None and model.mean_lags < panel.horizon - 1
        return f"{OVERLAP}; use model.mean_lags=null" if short else ""
    if model.by == "asset":
        return _of_one_asset(panel, model) if len(panel.assets) == 1 else ""
    overlapping = panel.horizon > 1
    by_date = "cov=driscoll_kraay" if overlapping and model.estimator == "ols" else "cov=cluster"
    clusters = " model.clusters=[asset,date]" if overlapping else " model.clusters=[date]"
    mend = f"use model.{by_date}{clusters if by_date == 'cov=cluster' else ''}"
    if model.cov not in ("cluster", "driscoll_kraay"):
        several = bool((panel.valid.sum(axis=1) > 1).any())
        if several:
            return f"{INDEPENDENT}; {mend}"
        return f"{OVERLAP}; {mend}" if overlapping else ""
    if model.cov == "driscoll_kraay":
        short = model.cov_lags is not None and model.cov_lags < panel.horizon - 1
        return f"{OVERLAP}; use model.cov_lags=null" if short else ""
    if "date" not in model.clusters and is_common(panel, term):
        return f"{INDEPENDENT}; {mend}"
    if overlapping and model.clusters == ["date"]:
        return f"{OVERLAP}; {mend}"
    return ""


def _of_one_asset(panel: Panel, model: Regression) -> str:
    """Of a regression over time whose errors are its own."""
    if panel.horizon < 2:
        return ""
    enough = model.cov_lags is None or model.cov_lags >= panel.horizon - 1
    if model.cov == "HAC" and enough:
        return ""
    lags = " model.cov_lags=null" if model.cov == "HAC" else ""
    return f"{OVERLAP}; use model.cov=HAC{lags}"


def is_common(panel: Panel, term: str) -> bool:
    """Whether a regressor is the same for all assets on each date; the constant is, a dummy is
    not.
    """
    if term == "const":
        return True
    if term not in panel.names:
        return False
    column = panel.X[:, :, panel.names.index(term)]
    high = np.where(panel.valid, column, -np.inf).max(axis=1)
    low = np.where(panel.valid, column, np.inf).min(axis=1)
    return bool((high[panel.valid.any(axis=1)] == low[panel.valid.any(axis=1)]).all())


class Dates(NamedTuple):
    """By date and term (T, k): influence; share of the date in the squares of the effective
    regressor.

    The effective regressor of a term is what its estimate multiplies the target with, a with
    b = sum of a y: the residual of its regressor on the others, over its sum of squares. `bias`
    (k,) is the small-sample bias by which its innovations move with the residuals, `persistence`
    (k,) its first-order autocorrelation; NaN where the estimate is no regression over time.
    """

    influence: np.ndarray
    share: np.ndarray
    bias: np.ndarray
    persistence: np.ndarray
