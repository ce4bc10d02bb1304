"""Scores of the forecasts in each regime of a column of the data, such as calm and stormy
markets.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import numpy as np

from runner.analyses.forecasts.judged import judged
from runner.features.factors import Signal
from runner.panels.finding import Finding
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

UNKNOWN = "unknown"  # regime of rows without a value of the column


def check_increasing(values: list[float]) -> None:
    if not values or any(after <= before for before, after in pairwise(values)):
        raise ValueError("allowed: one or more numbers, each above the one before")


Thresholds = Annotated[list[float], check_increasing]


def regimes(study: Study, *, by: Signal, thresholds: Thresholds) -> Finding:
    """Every score of the rows that lie in each regime of `by`, an expression or the name of a
    series.

    A forecast made at row t is in the regime of the value at row t, which uses data up to t: of the
    row, or of the asset on the row. A regime holds its lower threshold and not its upper one.
    Scores are as in `runner.validation.scores`; errors of means over dates take the dates of a regime as
    following each other.

    Args:
        thresholds: increasing, in units of `by`; two of them make three regimes.

    Raises:
        DataError: a column that the data cannot give; no row has a forecast.
    """
    import pandas as pd

    from runner.validation.scores import SCORES, row_of

    sample, table = judged(study)
    values = _values(study, by, table)
    names, at = _names(thresholds), np.searchsorted(thresholds, values, side="right")
    at = np.where(np.isnan(values), len(names), at)
    rows: list[dict[str, object]] = []
    for k, name in enumerate([*names, UNKNOWN]):
        part = table[at == k]
        about: dict[str, object] = {
            "dates": part["date"].nunique(),
            "share": len(part) / len(table),
        }
        empty = {"scope": "regime", "unit": name, "n_obs": 0}
        rows.append(
            (row_of("regime", name, part, study.panel.horizon, tests=False) if len(part) else empty)
            | about
        )
    rows = rows if rows[-1]["n_obs"] else rows[:-1]
    found = pd.DataFrame(rows, columns=["scope", "unit", "n_obs", "dates", "share", *SCORES])
    known = found.iloc[: len(names)]
    metrics = {f"r2_regime_{k}": float(value) for k, value in enumerate(known["r2"], start=1)}
    return Finding(
        found.assign(by=by, sample=sample), metrics, _words(found, by, sample), "regimes"
    )


def _values(study: Study, by: str, table: pd.DataFrame) -> np.ndarray:
    """The column (n,) at the row, or the row and asset, of each prediction."""
    from runner.features.expressions import Expression
    from runner.panels.panel import evaluate

    found = evaluate("by", Expression(by), study.market)
    rows = found.index.get_indexer(table["date"])
    if found.ndim == 1:
        return np.asarray(found.to_numpy(dtype=float)[rows])
    return np.asarray(found.to_numpy(dtype=float)[rows, found.columns.get_indexer(table["asset"])])


def _names(thresholds: list[float]) -> list[str]:
    between = [f"{low:g} to {high:g}" for low, high in pairwise(thresholds)]
    return [f"below {thresholds[0]:g}", *between, f"{thresholds[-1]:g} and above"]


def _words(found: pd.DataFrame, by: str, sample: str) -> list[str]:
    from runner.validation.scores import BENCHMARK

    told = [
        f"{row.unit}: {number(row.r2)} ({count(int(row.n_obs), 'row')}, RMSE {number(row.rmse)} beside "
        f"{number(row.rmse_naive)})"
        for row in found[found["n_obs"] > 0].itertuples()
    ]
    first = f"R2 against the {BENCHMARK} by {by}, {sample}: {'; '.join(told)}."
    empty = found.loc[found["n_obs"] == 0, "unit"]
    none = (
        [f"No row lies in {' or '.join(f'the regime {name}' for name in empty)}."]
        if len(empty)
        else []
    )
    return [first, "No test was made of whether the regimes differ.", *none]
