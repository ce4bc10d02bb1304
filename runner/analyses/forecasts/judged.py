"""The forecasts that an analysis may use as often as it likes: all but a locked hold-out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.analyses.forecasts.forecasts import OUT, forecasts

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

SEEN = ", on which the model was fitted"


def judged(study: Study) -> tuple[str, pd.DataFrame]:
    """The sample in words, and its predictions: out of sample without a hold-out, else in sample.

    A hold-out that is the only fold is kept.

    Raises:
        DataError: no row has a forecast.
    """
    from runner.validation.scores import open_rows

    sample, table = forecasts(study)
    if sample == OUT:
        open_predictions = open_rows(study.predictions)
        return sample, open_predictions
    return f"{sample}{SEEN}", table
