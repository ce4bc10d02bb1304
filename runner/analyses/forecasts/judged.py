"""The forecasts that an analysis may look at as often as it likes: a locked hold-out is not among
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.analyses.forecasts.forecasts import OUT, forecasts

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

SEEN = ", which the fit has seen"


def judged(study: Study) -> tuple[str, pd.DataFrame]:
    """The sample in words, and its predictions: out of sample less a hold-out beside other folds,
    else in sample.

    Raises:
        DataError: no row has a forecast.
    """
    from runner.validation.scores import open_rows

    sample, table = forecasts(study)
    return (sample, open_rows(study.predictions)) if sample == OUT else (f"{sample}{SEEN}", table)
