"""How good the probabilities of a target of 0 and 1 are, and the classes at a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.analyses.forecasts.forecasts import OUT, columns, forecasts
from runner.errors import DataError
from runner.panels.finding import Finding
from runner.schema.settings import Share, Window
from runner.text import LEVEL, count, number, p_words, percent

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
    overlapping = study.panel.horizon > 1
    parts = _parts(predictions, study.panel.assets)
    for scope, unit, part in parts:
        y, p, base = columns(part)
        one_a_date = part["date"].is_unique
        independent = bool(one_a_date) and not overlapping
        row: dict[str, object] = {"sample": sample, "scope": scope, "unit": unit}
        row["threshold"] = threshold
        row["n_obs"] = len(y)
        row |= judged(y, p, base, threshold, independent)
        rows.append(row)
    table = pd.DataFrame(rows, columns=CLASSIFICATION)
    overall = table.iloc[-1]
    metrics = {name: float(overall[name]) for name in LOGGED}
    words = _words(overall)
    return Finding(table, metrics, words)


def _parts(predictions: pd.DataFrame, assets: list[str]) -> list[tuple[str, str, pd.DataFrame]]:
    """Scope, unit and rows of each asset, and of all together where there are several."""
    groups = predictions.groupby("asset", observed=True)
    by_asset = dict(iter(groups))
    parts = []
    for name in assets:
        if name in by_asset:
            part = by_asset[name]
            parts.append(("asset", name, part))
    if len(parts) > 1:
        parts.append(("pooled", "all", predictions))
    return parts


def binary(study: Study) -> tuple[str, pd.DataFrame]:
    """The forecasts of a target of 0 and 1, and the sample in words.

    Raises:
        DataError: the target has another value.
    """
    sample, table = forecasts(study)
    y = table["y"]
    is_binary = y.isin([0.0, 1.0])
    other = y[~is_binary]
    if len(other):
        value = other.iloc[0]
        raise DataError(f"the target is {value:.6g} in a row; allowed: 0 or 1, such as target=up")
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
    positive = p > threshold
    counts = confusion(y, positive)
    right = positive == y
    naive_right = naive == y
    only_right = right & ~naive_right
    only_naive_right = naive_right & ~right
    right_alone = int(only_right.sum())
    naive_alone = int(only_naive_right.sum())
    p_value = np.nan
    if independent:
        p_value = mcnemar(right_alone, naive_alone)
    scores: dict[str, float | int | str] = counts._asdict() | rates(counts)
    scores["accuracy_naive"] = naive_right.mean()
    scores["right_alone"] = right_alone
    scores["naive_alone"] = naive_alone
    scores["p_value"] = p_value
    scores["brier"] = brier(y, p)
    scores["brier_naive"] = brier(y, base)
    scores["log_loss"] = log_loss(y, p)
    scores["log_loss_naive"] = log_loss(y, base)
    scores["auc"] = auc(y, p)
    scores["reason"] = _absent(scores, independent)
    return scores


def _absent(scores: Mapping[str, Any], independent: bool) -> str:
    """Which scores are absent, and why."""
    untested = "rows overlap or share dates"
    if independent:
        untested = "the two classes never differ"
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
    true_positive = is_one & positive
    false_positive = ~is_one & positive
    false_negative = is_one & ~positive
    tp = int(true_positive.sum())
    fp = int(false_positive.sum())
    fn = int(false_negative.sum())
    tn = len(y) - tp - fp - fn
    return Confusion(tp, fp, fn, tn)


def rates(counts: Confusion) -> dict[str, float]:
    """Shares of a confusion matrix, NaN where there is nothing to divide by."""
    tp, fp, fn, tn = counts
    right = tp + tn
    wrong = fp + fn
    ones = tp + fn
    zeros = tn + fp
    forecast_ones = tp + fp
    rows = right + wrong
    shares = {"accuracy": _ratio(right, rows)}
    shares["sensitivity"] = _ratio(tp, ones)
    shares["specificity"] = _ratio(tn, zeros)
    shares["precision"] = _ratio(tp, forecast_ones)
    shares["f1"] = _ratio(2 * tp, 2 * tp + wrong)
    return shares


def _ratio(part: int, whole: int) -> float:
    if whole == 0:
        return np.nan
    return part / whole


def mcnemar(alone: int, other: int) -> float:
    """Two-sided p of the exact binomial test that either is right alone equally often.

    NaN without such a row.
    """
    from scipy.stats import binomtest

    n = alone + other
    if n == 0:
        return float("nan")
    test = binomtest(alone, n)
    return float(test.pvalue)


def brier(y: np.ndarray, p: np.ndarray) -> float:
    """Mean of (p - y)^2 (Brier 1950)."""
    error = p - y
    squared = error**2
    return float(np.mean(squared))


def log_loss(y: np.ndarray, p: np.ndarray) -> float:
    """Minus the mean log-likelihood, nats; infinite where the outcome had probability 0."""
    from scipy.special import xlog1py, xlogy

    negative = p < 0.0
    above_one = p > 1.0
    if negative.any() or above_one.any():
        return float("nan")
    of_ones = xlogy(y, p)
    of_zeros = xlog1py(1.0 - y, -p)
    log_likelihood = of_ones + of_zeros
    mean_log_likelihood = np.mean(log_likelihood)
    return float(-mean_log_likelihood)


def auc(y: np.ndarray, p: np.ndarray) -> float:
    """Chance that a row of 1 has a greater p than a row of 0, ties half (Mann and Whitney).

    NaN with one class.
    """
    from scipy.stats import rankdata

    is_one = y == 1.0
    ones = int(is_one.sum())
    zeros = len(y) - ones
    pairs = ones * zeros
    if pairs == 0:
        return float("nan")
    ranks = rankdata(p)
    rank_sum = ranks[is_one].sum()
    least = ones * (ones + 1) / 2
    wins = rank_sum - least
    return float(wins / pairs)


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
    positive = p > threshold
    counts = confusion(y, positive)
    matrix = _matrix(counts)
    matrix["threshold"] = threshold
    calibrated = calibration(y, p, bins)
    rates_by_threshold = roc(y, p)
    parts = [matrix.assign(curve="confusion")]
    parts.append(rates_by_threshold.assign(curve="roc"))
    parts.append(calibrated.assign(curve="calibration"))
    table = pd.concat(parts, ignore_index=True)
    table["sample"] = sample
    words = _calibrated(calibrated)
    return Finding(table[CURVES], words=words, picture="curves")


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
    descending = p[order]
    ones_so_far = np.cumsum(y[order])
    ones = ones_so_far[-1]
    zeros = len(y) - ones
    if not 0.0 < ones < len(y):
        return pd.DataFrame({"x": [], "y": [], "threshold": []})
    changes = np.diff(descending) != 0.0
    last = np.flatnonzero(np.append(changes, True))
    drawable = len(last)
    points = min(drawable, MOST_POINTS)
    even = np.linspace(0, len(last) - 1, points)
    shown = even.astype(int)
    distinct = np.unique(shown)
    last = last[distinct]
    ones_above = np.append(0.0, ones_so_far[last])
    rows_of_last = last + 1.0
    rows_above = np.append(0.0, rows_of_last)
    zeros_above = rows_above - ones_above
    false_positive_rate = zeros_above / zeros
    table = pd.DataFrame({"x": false_positive_rate})
    table["y"] = ones_above / ones
    table["threshold"] = np.append(np.nan, descending[last])
    return table


def calibration(y: np.ndarray, p: np.ndarray, bins: int) -> pd.DataFrame:
    """Mean probability (x) and share of ones (y) in groups between quantiles of p.

    Equal p are never divided. `low` and `high` are Wilson's interval.
    """
    import pandas as pd

    shares = np.linspace(0.0, 1.0, bins + 1)
    quantiles = np.quantile(p, shares)
    edges = quantiles[1:-1]
    group = np.searchsorted(edges, p)
    rows = pd.DataFrame({"x": p, "y": y, "rows": 1.0})
    by_group = rows.groupby(group)
    sums = by_group.sum()
    n = sums["rows"]
    share = sums["y"] / n
    shrinkage = 1 + Z95**2 / n
    centre = (share + Z95**2 / (2 * n)) / shrinkage
    variance = share * (1 - share) / n + Z95**2 / (4 * n**2)
    standard_error = np.sqrt(variance)
    widening = Z95 / shrinkage
    half = widening * standard_error
    mean_probability = sums["x"] / n
    table = pd.DataFrame({"x": mean_probability, "y": share})
    table["low"] = centre - half
    table["high"] = centre + half
    table["rows"] = n
    return table.reset_index(drop=True)


def _words(row: pd.Series) -> list[str]:
    n = int(row["n_obs"])
    rows = count(n, "row")
    where = f"{rows} in sample, on which the model was fitted"
    if row["sample"] == OUT:
        where = f"{rows} out of sample"
    accuracy = percent(row["accuracy"])
    naive = percent(row["accuracy_naive"])
    threshold = f"{row['threshold']:g}"
    tested = _tested(row)
    classes = (
        f"On {where}, the predicted class (threshold {threshold}) is correct in {accuracy}, "
        f"the majority class of the training rows in {naive}: {tested}."
    )
    score = number(row["brier"])
    naive_score = number(row["brier_naive"])
    scores = f"The Brier score is {score}, against {naive_score} for the share of ones"
    area = row["auc"]
    if not np.isnan(area):
        area_text = number(area, 3)
        scores += f", the AUC is {area_text}"
    return [classes, f"{scores}; these were not tested."]


def _tested(row: pd.Series) -> str:
    differing = row["right_alone"] + row["naive_alone"]
    if differing == 0:
        return "they are the same class in every row"
    p_value = row["p_value"]
    if np.isnan(p_value):
        return "the difference was not tested, as rows overlap or share dates"
    p = p_words(p_value)
    if p_value >= LEVEL:
        return f"the difference is not significant at 5 % (McNemar {p})"
    side = "less"
    if row["accuracy"] > row["accuracy_naive"]:
        side = "more"
    return f"significantly {side} often at 5 % (McNemar {p})"


def _calibrated(table: pd.DataFrame) -> list[str]:
    probability = table["x"]
    is_inside = probability.between(table["low"], table["high"])
    inside = int(is_inside.sum())
    groups = count(len(table), "group")
    return [
        f"In {inside} of {groups} of rows along the probability, "
        "the 95 % interval of the share of ones holds the mean probability; "
        "the intervals take rows as independent."
    ]
