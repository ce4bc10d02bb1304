"""How well the forecasts of each date order its assets: the information coefficient over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
    """Correlation and Spearman's rank correlation (IC) of forecast and target over the assets of
    each date.

    Absent on dates with fewer than three assets, or on which the forecasts or the targets are all
    the same; the cumulative sum goes on at its last value there. The naive forecast is the
    benchmark: each asset's mean over its training rows. Several paths of a combinatorial
    cross-validation are averaged on each date.

    Raises:
        DataError: no date has an IC; no row has a forecast.
    """
    import pandas as pd

    from runner.numerics.cross_section import FEWEST, average

    sample, table = judged(study)
    dates, at = np.unique(table["date"].to_numpy(), return_inverse=True)
    paths = table["path"].to_numpy() if "path" in table else np.ones(len(table))
    columns = [
        _by_date(table[paths == path], at[paths == path], len(dates)) for path in np.unique(paths)
    ]
    with np.errstate(invalid="ignore"):
        found = pd.DataFrame(np.mean(columns, axis=0), columns=PATHS)
    found.insert(0, "date", dates)
    found.insert(1, "assets", np.bincount(at) / len(columns))
    if found["rank_ic"].isna().all():
        most = int(found["assets"].max())
        raise DataError(
            f"no date has {FEWEST} assets whose forecasts and targets differ; the most is {most} assets"
        )
    for name in PATHS[1:]:
        found[f"cumulative_{name}"] = found[name].fillna(0.0).cumsum()
    mean = average(found["rank_ic"].to_numpy(), study.panel.horizon)
    metrics = {"rank_ic": mean.mean, "rank_ic_t_nw": mean.t_nw, "rank_ic_ratio": mean.ratio}
    metrics["positive_share"] = float((found["rank_ic"].dropna() > 0.0).mean())
    return Finding(
        found.assign(sample=sample),
        metrics,
        _words(found, mean, metrics["positive_share"]),
        "information",
    )


def _by_date(table: pd.DataFrame, at: np.ndarray, dates: int) -> np.ndarray:
    """The columns of PATHS (dates, 3)."""
    from runner.numerics.cross_section import correlations, rank_correlations

    y, forecast, benchmark = (
        table[name].to_numpy(dtype=float) for name in ("y", "prediction", "benchmark")
    )
    ranked = (rank_correlations(one, y, at, dates) for one in (forecast, benchmark))
    return np.column_stack([correlations(forecast, y, at, dates), *ranked])


def _words(found: pd.DataFrame, mean: Average, positive: float) -> list[str]:
    from runner.numerics.cross_section import FEWEST

    naive = found["rank_ic_naive"].mean()
    beside = (
        "the train mean orders nothing"
        if np.isnan(naive)
        else f"beside {number(naive)} of the train mean"
    )
    first = (
        f"Rank IC is {number(mean.mean)} on average over {count(mean.dates, 'date')} (t {t_text(mean.t)}, Newey-West "
        f"t {t_text(mean.t_nw)}), {verdict(mean.p_value)}; {beside}. "
        f"It is above zero on {percent(positive)} of dates."
    )
    none = len(found) - mean.dates
    why = f"fewer than {FEWEST} assets, or forecasts or targets that are all the same"
    return (
        [first, f"{count(none, 'date')} {'has' if none == 1 else 'have'} no IC: {why}."]
        if none
        else [first]
    )
