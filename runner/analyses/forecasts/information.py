"""How well the forecasts of each date order its assets: the information coefficient over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.analyses.forecasts.forecasts import columns
from runner.analyses.forecasts.judged import judged
from runner.errors import DataError
from runner.panels.finding import Finding
from runner.text import count, number, percent, t_text, verdict

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study
    from runner.numerics.cross_section import Average

PATHS = ["ic", "rank_ic", "rank_ic_naive"]


def information(study: Study) -> Finding:
    """Correlation and rank correlation (IC) of forecast and target over the assets of each date.

    The rank correlation is Spearman's. Absent on dates with fewer than three assets, or on which
    the forecasts or the targets are all the same; the cumulative sum goes on at its last value
    there. The naive forecast is the benchmark: each asset's mean over its training rows. Several
    paths of a combinatorial cross-validation are averaged on each date.

    Raises:
        DataError: no date has an IC; no row has a forecast.
    """
    from runner.numerics.cross_section import FEWEST, average

    sample, predictions = judged(study)
    table = _coefficients(predictions)
    rank_ic = table["rank_ic"]
    if rank_ic.isna().all():
        largest = table["assets"].max()
        most = int(largest)
        raise DataError(
            f"no date has {FEWEST} assets whose forecasts and targets differ; "
            f"the most is {most} assets"
        )
    for name in ("rank_ic", "rank_ic_naive"):
        filled = table[name].fillna(0.0)
        table[f"cumulative_{name}"] = filled.cumsum()
    mean = average(rank_ic.to_numpy(), study.panel.horizon)
    is_positive = rank_ic.dropna() > 0.0
    positive = float(is_positive.mean())
    metrics = {"rank_ic": mean.mean, "rank_ic_t_nw": mean.t_nw, "rank_ic_ratio": mean.ratio}
    metrics["positive_share"] = positive
    words = _words(table, mean, positive)
    table["sample"] = sample
    return Finding(table, metrics, words, "information")


def _coefficients(predictions: pd.DataFrame) -> pd.DataFrame:
    """Date, number of assets and the columns of PATHS, means over the paths of a date."""
    import pandas as pd

    date = predictions["date"].to_numpy()
    dates, date_of_row = np.unique(date, return_inverse=True)
    path_of_row = np.ones(len(predictions))
    if "path" in predictions:
        path_of_row = predictions["path"].to_numpy()
    by_path = []
    for path in np.unique(path_of_row):
        on_path = path_of_row == path
        rows = predictions[on_path]
        coefficients = _by_date(rows, date_of_row[on_path], len(dates))
        by_path.append(coefficients)
    with np.errstate(invalid="ignore"):
        means = np.mean(by_path, axis=0)
    table = pd.DataFrame(means, columns=PATHS)
    rows_of_date = np.bincount(date_of_row)
    table.insert(0, "date", dates)
    table.insert(1, "assets", rows_of_date / len(by_path))
    return table


def _by_date(rows: pd.DataFrame, date_of_row: np.ndarray, dates: int) -> np.ndarray:
    """The columns of PATHS (dates, 3)."""
    from runner.numerics.cross_section import correlations, rank_correlations

    y, forecast, benchmark = columns(rows)
    ic = correlations(forecast, y, date_of_row, dates)
    both = np.array([forecast, benchmark])
    rank_ic = rank_correlations(both, y, date_of_row, dates)
    return np.column_stack([ic, *rank_ic])


def _words(table: pd.DataFrame, mean: Average, positive: float) -> list[str]:
    from runner.numerics.cross_section import FEWEST

    naive = table["rank_ic_naive"].mean()
    against = "the training mean is the same for all assets"
    if not np.isnan(naive):
        naive_text = number(naive)
        against = f"against {naive_text} for the training mean"
    rank_ic = number(mean.mean)
    dates = count(mean.dates, "date")
    t = t_text(mean.t)
    t_newey_west = t_text(mean.t_nw)
    significance = verdict(mean.p_value)
    share = percent(positive)
    words = [
        f"Rank IC is {rank_ic} on average over {dates} "
        f"(t {t}, Newey-West t {t_newey_west}), {significance}; {against}. "
        f"It is above zero on {share} of dates."
    ]
    absent = len(table) - mean.dates
    if absent:
        absent_dates = count(absent, "date")
        verb = "has" if absent == 1 else "have"
        words.append(
            f"{absent_dates} {verb} no IC: fewer than {FEWEST} assets, "
            "or forecasts or targets that are all the same."
        )
    return words
