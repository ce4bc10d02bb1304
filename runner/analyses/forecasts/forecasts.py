"""The forecasts that an analysis judges: those out of sample, or the fit itself where no row was
held out.
"""

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

    if len(study.predictions):
        return OUT, study.predictions[["date", "asset", "y", "prediction", "benchmark"]]
    panel = study.panel
    t, i = np.nonzero(panel.valid & np.isfinite(study.fitted))
    if not len(t):
        raise DataError("no row has a forecast")
    with np.errstate(invalid="ignore"):
        known = np.where(panel.valid, panel.scored, 0.0).sum(axis=0) / panel.valid.sum(axis=0)
    assets = np.array(panel.assets, dtype=object)
    columns = {"date": panel.dates[t], "asset": assets[i], "y": panel.scored[t, i]}
    columns["prediction"] = panel.in_units(study.fitted[t, i])
    return IN, pd.DataFrame(columns | {"benchmark": known[i]})
