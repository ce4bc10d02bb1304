"""How good the probabilities of a target of 0 and 1 are, and the classes at a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.analyses.forecasts.forecasts import OUT, columns, forecasts
from runner.errors import DataError
from runner.panels.finding import Finding
from runner.schema.settings import Share, Window
from runner.text import LEVEL, count, number, p_text, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

CLASSIFICATION = [
    "sample",
    "scope",
    "unit",
    "threshold",
    "n_obs",
    "tp",
    "fp",
    "fn",
    "tn",
    "accuracy",
    "accuracy_naive",
    "right_alone",
    "naive_alone",
    "p_value",
    "sensitivity",
    "specificity",
    "precision",
    "f1",
    "brier",
    "brier_naive",
    "log_loss",
    "log_loss_naive",
    "auc",
    "reason",
]
LOGGED = [
    "accuracy",
    "accuracy_naive",
    "sensitivity",
    "specificity",
    "precision",
    "brier",
    "brier_naive",
    "auc",
]
CURVES = ["sample", "curve", "x", "y", "low", "high", "rows", "threshold"]
MOST_POINTS = 400  # of the ROC curve; more thresholds are thinned evenly
Z95 = 1.959963984540054  # quantile .975 of the normal


class Confusion(NamedTuple):
    """Rows by class and outcome.

    Attributes:
        tp, fp: forecast 1; the outcome was 1, or 0.
        fn, tn: forecast 0; the outcome was 1, or 0.
    """

    tp: int
    fp: int
    fn: int
    tn: int


def classification(study: Study, *, threshold: Share = 0.5) -> Finding:
    """Classes at the threshold (1 where the probability is above it), and the probabilities.

    The naive class is the majority among the training rows of the asset (1 if half), the naive
    probability their share of ones. `p_value` is McNemar's exact test (1947) that the class and the
    naive class are right equally often: of the rows where just one of them is right (`right_alone`,
    `naive_alone`), each is as likely. It takes rows as independent, and is absent where their
    targets overlap or rows share dates. Log loss in nats.

    Raises:
        DataError: a target that is neither 0 nor 1.
    """
    import pandas as pd

    sample, predictions = binary(study)
    rows = []
    for scope, unit, part in _parts(predictions, study.panel.assets):
        y, p, base = columns(part)
        independent = study.panel.horizon <= 1 and bool(part["date"].is_unique)
        row: dict[str, object] = {"sample": sample, "scope": scope, "unit": unit}
        row |= {"threshold": threshold, "n_obs": len(y)}
        row |= judged(y, p, base, threshold, independent)
        rows.append(row)
    table = pd.DataFrame(rows, columns=CLASSIFICATION)
    overall = table.iloc[-1]
    metrics = {name: float(overall[name]) for name in LOGGED}
    return Finding(table, metrics, _words(overall))


def _parts(predictions: pd.DataFrame, assets: list[str]) -> list[tuple[str, str, pd.DataFrame]]:
    """Scope, unit and rows of each asset, and of all together where there are several."""
    by_asset = dict(iter(predictions.groupby("asset", observed=True)))
    parts = [("asset", name, by_asset[name]) for name in assets if name in by_asset]
    if len(parts) > 1:
        parts.append(("pooled", "all", predictions))
    return parts


def binary(study: Study) -> tuple[str, pd.DataFrame]:
    """The forecasts of a target of 0 and 1, and the sample in words.

    Raises:
        DataError: the target has another value.
    """
    sample, table = forecasts(study)
    other = table["y"][~table["y"].isin([0.0, 1.0])]
    if len(other):
        raise DataError(
            f"the target is {other.iloc[0]:.6g} in a row; allowed: 0 or 1, such as target=up"
        )
    return sample, table


def judged(
    y: np.ndarray, p: np.ndarray, base: np.ndarray, threshold: float, independent: bool = True
) -> dict[str, float | int | str]:
    """Every score of probabilities p (n,) of outcomes y (n,), 0 or 1.

    Args:
        base: (n,) the share of ones in training, the naive probability.
        independent: whether rows may be tested as independent.
    """
    naive = base >= 0.5
    counts = confusion(y, p > threshold)
    right = (p > threshold) == y
    naive_right = naive == y
    right_alone = int((right & ~naive_right).sum())
    naive_alone = int((naive_right & ~right).sum())
    scores: dict[str, float | int | str] = counts._asdict() | rates(counts)
    scores["accuracy_naive"] = naive_right.mean()
    scores["right_alone"] = right_alone
    scores["naive_alone"] = naive_alone
    scores["p_value"] = mcnemar(right_alone, naive_alone) if independent else np.nan
    scores["brier"] = brier(y, p)
    scores["brier_naive"] = brier(y, base)
    scores["log_loss"] = log_loss(y, p)
    scores["log_loss_naive"] = log_loss(y, base)
    scores["auc"] = auc(y, p)
    scores["reason"] = _absent(scores, independent)
    return scores


def _absent(scores: Mapping[str, Any], independent: bool) -> str:
    """Which scores are absent, and why."""
    untested = "the two classes never differ" if independent else "rows overlap or share dates"
    reasons = {
        "p_value": untested,
        "sensitivity": "no row is 1",
        "specificity": "no row is 0",
        "precision": "no row is above the threshold",
        "log_loss": "a probability outside 0 to 1",
    }
    absent = []
    for name, reason in reasons.items():
        if np.isnan(scores[name]):
            absent.append(f"{name}: {reason}")
    return "; ".join(absent)


def confusion(y: np.ndarray, positive: np.ndarray) -> Confusion:
    """Rows (n,) of y, 0 or 1, by whether 1 was forecast."""
    is_one = y == 1.0
    tp = int((is_one & positive).sum())
    fp = int((~is_one & positive).sum())
    fn = int((is_one & ~positive).sum())
    tn = int((~is_one & ~positive).sum())
    return Confusion(tp, fp, fn, tn)


def rates(counts: Confusion) -> dict[str, float]:
    """Shares of a confusion matrix, NaN where there is nothing to divide by."""
    tp, fp, fn, tn = counts
    rows = tp + fp + fn + tn
    shares = {"accuracy": _ratio(tp + tn, rows)}
    shares["sensitivity"] = _ratio(tp, tp + fn)
    shares["specificity"] = _ratio(tn, tn + fp)
    shares["precision"] = _ratio(tp, tp + fp)
    shares["f1"] = _ratio(2 * tp, 2 * tp + fp + fn)
    return shares


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else np.nan


def mcnemar(alone: int, other: int) -> float:
    """Two-sided p of the exact binomial test that either is right alone equally often.

    NaN without such a row.
    """
    from scipy.stats import binomtest

    n = alone + other
    if n == 0:
        return float("nan")
    return float(binomtest(alone, n).pvalue)


def brier(y: np.ndarray, p: np.ndarray) -> float:
    """Mean of (p - y)^2 (Brier 1950)."""
    return float(np.mean((p - y) ** 2))


def log_loss(y: np.ndarray, p: np.ndarray) -> float:
    """Minus the mean log-likelihood, nats; infinite where the outcome had probability 0."""
    from scipy.special import xlog1py, xlogy

    outside = (p < 0.0) | (p > 1.0)
    if outside.any():
        return float("nan")
    log_likelihood = xlogy(y, p) + xlog1py(1.0 - y, -p)
    return float(-np.mean(log_likelihood))


def auc(y: np.ndarray, p: np.ndarray) -> float:
    """Chance that a row of 1 has a greater p than a row of 0, ties half (Mann and Whitney).

    NaN with one class.
    """
    from scipy.stats import rankdata

    is_one = y == 1.0
    ones = int(is_one.sum())
    pairs = ones * (len(y) - ones)
    if pairs == 0:
        return float("nan")
    rank_sum = rankdata(p)[is_one].sum()
    least = ones * (ones + 1) / 2
    return float((rank_sum - least) / pairs)


def curves(study: Study, *, threshold: Share = 0.5, bins: Window = 10) -> Finding:
    """What the picture shows, of all rows: confusion matrix, ROC curve and calibration.

    `curve` says what a row is. confusion: x the class forecast, y the outcome, rows. roc: x the
    share of the zeros and y the share of the ones at or above the threshold. calibration: x the
    mean probability and y the share of ones in groups of equally many rows along the probability,
    with Wilson's 95 % interval (1927), which takes rows as independent.

    Raises:
        DataError: a target that is neither 0 nor 1.
    """
    import pandas as pd

    sample, predictions = binary(study)
    y, p, _ = columns(predictions)
    matrix = _matrix(confusion(y, p > threshold)).assign(threshold=threshold)
    calibrated = calibration(y, p, bins)
    parts = [matrix.assign(curve="confusion")]
    parts.append(roc(y, p).assign(curve="roc"))
    parts.append(calibrated.assign(curve="calibration"))
    table = pd.concat(parts, ignore_index=True).assign(sample=sample)
    return Finding(table[CURVES], words=_calibrated(calibrated), picture="curves")


def _matrix(counts: Confusion) -> pd.DataFrame:
    """A confusion matrix with a row per cell: x the class forecast, y the outcome."""
    import pandas as pd

    cells = [(1, 1, counts.tp), (1, 0, counts.fp), (0, 1, counts.fn), (0, 0, counts.tn)]
    return pd.DataFrame(cells, columns=["x", "y", "rows"])


def roc(y: np.ndarray, p: np.ndarray) -> pd.DataFrame:
    """Shares of the zeros (x) and of the ones (y) whose p is at least each threshold.

    No rows with one class.
    """
    import pandas as pd

    order = np.argsort(-p, kind="stable")
    ones = np.cumsum(y[order])
    if not 0.0 < ones[-1] < len(y):
        return pd.DataFrame({"x": [], "y": [], "threshold": []})
    changes = np.append(np.diff(p[order]) != 0.0, True)
    last = np.flatnonzero(changes)
    points = min(len(last), MOST_POINTS)
    shown = np.linspace(0, len(last) - 1, points).astype(int)
    last = last[np.unique(shown)]
    ones_above = np.append(0.0, ones[last])
    rows_above = np.append(0.0, last + 1.0)
    zeros = len(y) - ones[-1]
    table = pd.DataFrame({"x": (rows_above - ones_above) / zeros})
    table["y"] = ones_above / ones[-1]
    table["threshold"] = np.append(np.nan, p[order][last])
    return table


def calibration(y: np.ndarray, p: np.ndarray, bins: int) -> pd.DataFrame:
    """Mean probability (x) and share of ones (y) in groups between quantiles of p.

    Equal p are never divided. `low` and `high` are Wilson's interval.
    """
    import pandas as pd

    shares = np.linspace(0.0, 1.0, bins + 1)
    edges = np.quantile(p, shares)[1:-1]
    rows = pd.DataFrame({"x": p, "y": y, "rows": 1.0})
    sums = rows.groupby(np.searchsorted(edges, p)).sum()
    n = sums["rows"]
    share = sums["y"] / n
    shrinkage = 1 + Z95**2 / n
    centre = (share + Z95**2 / (2 * n)) / shrinkage
    variance = share * (1 - share) / n + Z95**2 / (4 * n**2)
    half = Z95 / shrinkage * np.sqrt(variance)
    table = pd.DataFrame({"x": sums["x"] / n, "y": share})
    table["low"] = centre - half
    table["high"] = centre + half
    table["rows"] = n
    return table.reset_index(drop=True)


def _words(row: pd.Series) -> list[str]:
    rows = count(int(row["n_obs"]), "row")
    where = f"{rows} in sample, which the fit has seen"
    if row["sample"] == OUT:
        where = f"{rows} out of sample"
    accuracy = percent(row["accuracy"])
    naive = percent(row["accuracy_naive"])
    threshold = f"{row['threshold']:g}"
    classes = (
        f"On {where}, the class at {threshold} is right in {accuracy}, "
        f"the majority class of the rows fitted in {naive}: {_tested(row)}."
    )
    score = number(row["brier"])
    naive_score = number(row["brier_naive"])
    scores = f"The Brier score is {score} beside {naive_score} of the share of ones"
    if not np.isnan(row["auc"]):
        scores += f", the AUC is {number(row['auc'], 3)}"
    return [classes, f"{scores}; no test was made of these."]


def _tested(row: pd.Series) -> str:
    if row["right_alone"] + row["naive_alone"] == 0:
        return "they are the same class in every row"
    if np.isnan(row["p_value"]):
        return "rows overlap or share dates, so no test was made of the difference"
    p = p_text(row["p_value"])
    if row["p_value"] >= LEVEL:
        return f"no difference is found at 5 % (McNemar p {p}), which is no proof of none"
    side = "more" if row["accuracy"] > row["accuracy_naive"] else "less"
    return f"{side} often at 5 % (McNemar p {p})"


def _calibrated(table: pd.DataFrame) -> list[str]:
    above_low = table["low"] <= table["x"]
    below_high = table["x"] <= table["high"]
    inside = int((above_low & below_high).sum())
    groups = count(len(table), "group")
    return [
        f"In {inside} of {groups} of rows along the probability, "
        "the 95 % interval of the share of ones holds the mean probability; "
        "the intervals take rows as independent."
    ]
