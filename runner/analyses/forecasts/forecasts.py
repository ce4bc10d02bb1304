"""The forecasts that an analysis judges: out of sample, or the fit where no row was held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

OUT, IN = "out of sample", "in sample"


def forecasts(study: Study) -> tuple[str, pd.DataFrame]:
    """The sample in words, and date, asset, y, prediction, benchmark of its rows.

    The benchmark is each asset's mean of the target over the rows fitted. In sample where there is
    no validation.

    Raises:
        DataError: no row has a forecast.
    """
    import pandas as pd

    predictions = study.predictions
    if len(predictions):
        return OUT, predictions[["date", "asset", "y", "prediction", "benchmark"]]
    panel = study.panel
    n = np.zeros(len(panel.assets))
    total = np.zeros(len(panel.assets))
    panel.cells.add_sums_by_asset(n, total)
    with np.errstate(invalid="ignore"):
        means = total / n
    assets = np.array(panel.assets, dtype=object)
    tables = []
    for part in study.fitted_parts():
        known = part.panel.valid & np.isfinite(part.values)
        t, i = np.nonzero(known)
        own = part.assets[i]
        table = pd.DataFrame({"date": part.panel.dates[t], "asset": assets[own]})
        table["y"] = part.panel.scored[known]
        table["prediction"] = panel.in_units(part.values[known])
        table["benchmark"] = means[own]
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    if table.empty:
        raise DataError("no row has a forecast")
    return IN, table


def columns(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, forecast and benchmark (n,) of rows of such a table."""
    y = table["y"].to_numpy(dtype=float)
    forecast = table["prediction"].to_numpy(dtype=float)
    benchmark = table["benchmark"].to_numpy(dtype=float)
    return y, forecast, benchmark


def refuse_repeated(table: pd.DataFrame) -> None:
    """Refuse several forecasts of a row, which no position can follow.

    Raises:
        DataError: a date and asset has more than one forecast.
    """
    repeated = table.duplicated(["date", "asset"])
    if repeated.any():
        raise DataError(
            "several folds forecast the same row; allowed: a validation with one forecast of each"
        )
