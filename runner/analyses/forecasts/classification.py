"""How good the probabilities of a target of 0 and 1 are, and the classes at a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.analyses.forecasts.forecasts import OUT, forecasts
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
]
CLASSIFICATION += [
    "accuracy_naive",
    "right_alone",
    "naive_alone",
    "p_value",
    "sensitivity",
    "specificity",
]
CLASSIFICATION += [
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
    """Rows by class and outcome: 1 foretold and 1 (tp), 1 and 0 (fp), 0 and 1 (fn), 0 and 0
    (tn).
    """

    tp: int
    fp: int
    fn: int
    tn: int


def classification(study: Study, *, threshold: Share = 0.5) -> Finding:
    """Classes at the threshold (1 where the probability is above it) and the probabilities
    themselves.

    The naive class is the majority among the training rows of the asset (1 if half), the naive
    probability their share of ones. `p_value` is McNemar's exact test (1947) that the class and the
    naive class are right equally often: of the rows where just one of them is right (`right_alone`,
    `naive_alone`), each is as likely. It takes rows as independent, and is absent where their
    targets overlap or rows share dates. Log loss in nats.

    Raises:
        DataError: a target that is neither 0 nor 1.
    """
    import pandas as pd

    sample, table = binary(study)
    by_asset = dict(iter(table.groupby("asset", observed=True)))
    parts = [("asset", name, by_asset[name]) for name in study.panel.assets if name in by_asset]
    parts = [*parts, ("pooled", "all", table)] if len(parts) > 1 else parts
    rows = []
    for scope, unit, part in parts:
        y, p, base = (part[name].to_numpy(dtype=float) for name in ("y", "prediction", "benchmark"))
        independent = study.panel.horizon <= 1 and bool(part["date"].is_unique)
        about = {
            "sample": sample,
            "scope": scope,
            "unit": unit,
            "threshold": threshold,
            "n_obs": len(y),
        }
        rows.append(about | judged(y, p, base, threshold, independent))
    found = pd.DataFrame(rows, columns=CLASSIFICATION)
    return Finding(
        found, {name: float(found[name].iloc[-1]) for name in LOGGED}, _words(found.iloc[-1])
    )


def binary(study: Study) -> tuple[str, pd.DataFrame]:
    """The forecasts of a target of 0 and 1."""
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
    """Every number about probabilities p (n,) of y (n,), 0 or 1, beside those of the training
    share `base` (n,).
    """
    naive = base >= 0.5
    counts, right, easy = confusion(y, p > threshold), (p > threshold) == y, naive == y
    alone, other = int((right & ~easy).sum()), int((easy & ~right).sum())
    numbers = {"accuracy_naive": easy.mean(), "right_alone": alone, "naive_alone": other}
    numbers |= {"p_value": mcnemar(alone, other) if independent else np.nan}
    numbers |= {"brier": brier(y, p), "brier_naive": brier(y, base)}
    numbers |= {"log_loss": log_loss(y, p), "log_loss_naive": log_loss(y, base), "auc": auc(y, p)}
    absent = {
        "p_value": "rows overlap or share dates"
        if not independent
        else "the two classes never differ",
        "sensitivity": "no row is 1",
        "specificity": "no row is 0",
        "precision": "no row is above the threshold",
        "log_loss": "a probability outside 0 to 1",
    }
    found = counts._asdict() | rates(counts) | numbers
    reasons = [f"{name}: {why}" for name, why in absent.items() if np.isnan(found[name])]
    return found | {"reason": "; ".join(reasons)}


def confusion(y: np.ndarray, positive: np.ndarray) -> Confusion:
    """Rows (n,) of y, 0 or 1, by whether 1 was foretold."""
    one = y == 1.0
    pairs = (one & positive, ~one & positive, one & ~positive, ~one & ~positive)
    return Confusion(*(int(pair.sum()) for pair in pairs))


def rates(counts: Confusion) -> dict[str, float]:
    """Shares of a confusion matrix, NaN where nothing is to be divided by."""
    tp, fp, fn, tn = counts
    parts = {
        "accuracy": (tp + tn, tp + fp + fn + tn),
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "precision": (tp, tp + fp),
        "f1": (2 * tp, 2 * tp + fp + fn),
    }
    return {name: part / whole if whole else np.nan for name, (part, whole) in parts.items()}


def mcnemar(alone: int, other: int) -> float:
    """Two-sided p of the exact binomial test that either is right alone equally often; NaN without
    such a row.
    """
    from scipy.stats import binomtest

    return float(binomtest(alone, alone + other).pvalue) if alone + other else float("nan")


def brier(y: np.ndarray, p: np.ndarray) -> float:
    """Mean of (p - y)^2 (Brier 1950)."""
    return float(np.mean((p - y) ** 2))


def log_loss(y: np.ndarray, p: np.ndarray) -> float:
    """Minus the mean log-likelihood, nats; infinite where what happened had probability 0."""
    from scipy.special import xlog1py, xlogy

    if ((p < 0.0) | (p > 1.0)).any():
        return float("nan")
    return float(-np.mean(xlogy(y, p) + xlog1py(1.0 - y, -p)))


def auc(y: np.ndarray, p: np.ndarray) -> float:
    """Chance that a row of 1 has a greater p than a row of 0, ties half (Mann and Whitney); NaN
    with one class.
    """
    from scipy.stats import rankdata

    ones = int((y == 1.0).sum())
    pairs = ones * (len(y) - ones)
    return (
        float((rankdata(p)[y == 1.0].sum() - ones * (ones + 1) / 2) / pairs)
        if pairs
        else float("nan")
    )


def curves(study: Study, *, threshold: Share = 0.5, bins: Window = 10) -> Finding:
    """What the picture shows, of all rows: the confusion matrix, the ROC curve and the calibration.

    `curve` says what a row is. confusion: x the class foretold, y what happened, rows. roc: x the
    share of the zeros and y the share of the ones at or above the threshold. calibration: x the
    mean probability and y the share of ones in groups of equally many rows along the probability,
    with Wilson's 95 % interval (1927), which takes rows as independent.

    Raises:
        DataError: a target that is neither 0 nor 1.
    """
    import pandas as pd

    sample, table = binary(study)
    y, p = (table[name].to_numpy(dtype=float) for name in ("y", "prediction"))
    counts = confusion(y, p > threshold)
    cells = {(1, 1): counts.tp, (1, 0): counts.fp, (0, 1): counts.fn, (0, 0): counts.tn}
    matrix = pd.DataFrame(
        [(x, one, rows) for (x, one), rows in cells.items()], columns=["x", "y", "rows"]
    )
    parts = {
        "confusion": matrix.assign(threshold=threshold),
        "roc": roc(y, p),
        "calibration": calibration(y, p, bins),
    }
    found = pd.concat([part.assign(curve=name) for name, part in parts.items()], ignore_index=True)
    return Finding(
        found.assign(sample=sample)[CURVES],
        words=_calibrated(parts["calibration"]),
        picture="curves",
    )


def roc(y: np.ndarray, p: np.ndarray) -> pd.DataFrame:
    """Shares of the zeros (x) and of the ones (y) whose p is at least each threshold; no rows with
    one class.
    """
    import pandas as pd

    order = np.argsort(-p, kind="stable")
    ones = np.cumsum(y[order])
    last = np.flatnonzero(np.append(np.diff(p[order]) != 0.0, True))
    last = last[np.unique(np.linspace(0, len(last) - 1, min(len(last), MOST_POINTS)).astype(int))]
    if not 0.0 < ones[-1] < len(y):
        return pd.DataFrame({"x": [], "y": [], "threshold": []})
    above = np.append(0.0, ones[last])
    rows = np.append(0.0, last + 1.0)
    shares = {"x": (rows - above) / (len(y) - ones[-1]), "y": above / ones[-1]}
    return pd.DataFrame(shares | {"threshold": np.append(np.nan, p[order][last])})


def calibration(y: np.ndarray, p: np.ndarray, bins: int) -> pd.DataFrame:
    """Mean probability (x) and share of ones (y) in groups between quantiles of p; equal p are
    never divided.
    """
    import pandas as pd

    edges = np.quantile(p, np.linspace(0.0, 1.0, bins + 1))[1:-1]
    table = pd.DataFrame({"x": p, "y": y, "rows": 1.0}).groupby(np.searchsorted(edges, p)).sum()
    n, share = table["rows"], table["y"] / table["rows"]
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    found = pd.DataFrame(
        {"x": table["x"] / n, "y": share, "low": centre - half, "high": centre + half, "rows": n}
    )
    return found.reset_index(drop=True)


def _words(row: pd.Series) -> list[str]:
    rows = count(int(row["n_obs"]), "row")
    where = (
        f"{rows} out of sample"
        if row["sample"] == OUT
        else f"{rows} in sample, which the fit has seen"
    )
    classes = (
        f"On {where}, the class at {row['threshold']:g} is right in {percent(row['accuracy'])}, the majority class "
        f"of the rows fitted in {percent(row['accuracy_naive'])}: {_tested(row)}."
    )
    auc_text = "" if np.isnan(row["auc"]) else f", the AUC is {number(row['auc'], 3)}"
    scores = f"The Brier score is {number(row['brier'])} beside {number(row['brier_naive'])} of the share of ones"
    return [classes, f"{scores}{auc_text}; no test was made of these."]


def _tested(row: pd.Series) -> str:
    if row["right_alone"] + row["naive_alone"] == 0:
        return "they are the same class in every row"
    if np.isnan(row["p_value"]):
        return "rows overlap or share dates, so no test was made of the difference"
    p = p_text(row["p_value"])
    if row["p_value"] >= LEVEL:
        return f"no difference is found at 5 % (McNemar p {p}), which is no proof of none"
    return f"{'more' if row['accuracy'] > row['accuracy_naive'] else 'less'} often at 5 % (McNemar p {p})"


def _calibrated(table: pd.DataFrame) -> list[str]:
    inside = int(((table["low"] <= table["x"]) & (table["x"] <= table["high"])).sum())
    return [
        f"In {inside} of {count(len(table), 'group')} of rows along the probability, the 95 % interval of the share "
        "of ones holds the mean probability; the intervals take rows as independent."
    ]
