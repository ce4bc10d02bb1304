"""Scores of the forecasts by regime of a column of the data, such as calm and stormy markets."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from runner.analyses.forecasts.judged import judged
from runner.features.factors import Signal
from runner.panels.finding import Finding
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

SCORED = ["date", "path", "y", "prediction", "benchmark"]
UNKNOWN = "unknown"  # regime of rows without a value of the column


def check_increasing(values: list[float]) -> None:
    """Refuse thresholds that do not increase.

    Raises:
        ValueError: there is none, or one is not above the one before.
    """
    increasing = sorted(set(values))
    if not values or values != increasing:
        raise ValueError("allowed: one or more numbers, each above the one before")


Thresholds = Annotated[list[float], check_increasing]


def regimes(study: Study, *, by: Signal, thresholds: Thresholds) -> Finding:
    """Every score of the rows that lie in each regime of `by`.

    `by` is an expression or the name of a series. A forecast made at row t is in the regime of the
    value at row t, which uses data up to t: of the row, or of the asset on the row. A regime holds
    its lower threshold and not its upper one. Scores are as in `runner.validation.scores`; errors
    of means over dates take the dates of a regime as following each other.

    Args:
        thresholds: increasing, in units of `by`; two of them make three regimes.

    Raises:
        DataError: a column that the data cannot give; no row has a forecast.
    """
    import pandas as pd

    from runner.validation.scores import SCORES

    sample, predictions = judged(study)
    names = _names(thresholds)
    n_regimes = len(names)
    regime = _regimes(_values(study, by, predictions), thresholds)
    study.market.fields.rest()
    # the columns that scores are made of, as a part of each is copied
    predictions = predictions[[name for name in SCORED if name in predictions]]
    horizon = study.panel.horizon
    rows = []
    every_name = [*names, UNKNOWN]
    numbered = enumerate(every_name)
    for k, name in numbered:
        is_of_regime = regime == k
        part = predictions[is_of_regime]
        row = _row(name, part, horizon)
        row["share"] = len(part) / len(predictions)
        rows.append(row)
    unknown = rows[-1]
    if not unknown["n_obs"]:
        rows.pop()
    table = pd.DataFrame(rows, columns=["scope", "unit", "n_obs", "dates", "share", *SCORES])
    metrics = {}
    r2_by_regime = table["r2"].iloc[:n_regimes]
    for k, r2 in enumerate(r2_by_regime, start=1):
        metrics[f"r2_regime_{k}"] = float(r2)
    words = _words(table, by, sample)
    labelled = table.assign(by=by, sample=sample)
    return Finding(labelled, metrics, words, "regimes")


def _regimes(values: np.ndarray, thresholds: list[float]) -> np.ndarray:
    """Regime (n,) of each value, numbered from the lowest; one more of those that are unknown."""
    regime = np.searchsorted(thresholds, values, side="right").astype(np.int16)
    regime[np.isnan(values)] = len(thresholds) + 1
    return regime


def _row(name: str, part: pd.DataFrame, horizon: int) -> dict[str, object]:
    """Scores of the predictions in one regime."""
    from runner.validation.scores import row_of

    row: dict[str, object] = {"scope": "regime", "unit": name, "n_obs": 0}
    if len(part):
        row = row_of("regime", name, part, horizon, tests=False)
    row["dates"] = part["date"].nunique()
    return row


def _values(study: Study, by: str, predictions: pd.DataFrame) -> np.ndarray:
    """The column (n,) at the row, or the row and asset, of each prediction."""
    from runner.features.expressions import Expression
    from runner.panels.evaluated import evaluate

    expression = Expression(by)
    column = evaluate("by", expression, study.market)
    values = column.to_numpy(dtype=float)
    dates = predictions["date"]
    rows = column.index.get_indexer(dates)
    if column.ndim == 1:
        return np.asarray(values[rows])
    assets = column.columns.get_indexer(predictions["asset"])
    return np.asarray(values[rows, assets])


def _names(thresholds: list[float]) -> list[str]:
    between = [f"{low:g} to {high:g}" for low, high in pairwise(thresholds)]
    lowest = thresholds[0]
    highest = thresholds[-1]
    first = f"below {lowest:g}"
    last = f"{highest:g} and above"
    return [first, *between, last]


def _words(table: pd.DataFrame, by: str, sample: str) -> list[str]:
    from runner.validation.scores import BENCHMARK

    is_empty = table["n_obs"] == 0
    filled = table[~is_empty]
    filled_rows = filled.itertuples()
    score_texts = map(_score_text, filled_rows)
    scores = "; ".join(score_texts)
    words = [
        f"R2 against the {BENCHMARK} by {by}, {sample}: {scores}.",
        "Differences between regimes were not tested.",
    ]
    empty = table.loc[is_empty, "unit"]
    if len(empty):
        regimes_text = " or ".join(f"the regime {name}" for name in empty)
        words.append(f"No row lies in {regimes_text}.")
    return words


def _score_text(row: Any) -> str:
    n = int(row.n_obs)
    rows = count(n, "row")
    r2 = number(row.r2)
    rmse = number(row.rmse)
    naive_rmse = number(row.rmse_naive)
    return f"{row.unit}: {r2} ({rows}, RMSE {rmse} against {naive_rmse})"
