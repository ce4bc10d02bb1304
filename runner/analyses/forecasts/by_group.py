"""The target by group of assets, such as sector: how it is distributed, how well it is forecast,
how it moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from runner.analyses.forecasts.judged import judged
from runner.errors import DataError, unknown
from runner.panels.finding import Finding
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study
    from runner.panels.panel import Panel

QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
COLUMNS = ["scope", "unit", "assets", "n_obs", "mean", "std_dev", *QUANTILES]
COLUMNS += ["n_scored", "correlation", "rmse", "rmse_naive"]
PERIODS = {"month": "M", "quarter": "Q", "year": "Y"}
PATHS = ["period", "group", "n_obs", "mean", "n_scored", "mean_actual", "mean_forecast"]


def target_by_group(study: Study, *, group: str = "sector") -> Finding:
    """Distribution of the target over the usable cells of each group, and scores of the forecasts
    of its assets.

    Mean, standard deviation (ddof 1) and quantiles (linear interpolation) are of the target as it
    is, in its own unit. Correlation and RMSE are pooled over the rows of a group, the naive
    forecast is each asset's mean over its training rows. Several paths of a combinatorial
    cross-validation are pooled.

    Raises:
        DataError: a group that the data does not have; no row has a forecast.
    """
    import pandas as pd

    sample, table = judged(study)
    of_asset, panel = _group_of(study, group), study.panel
    level, names = pd.factorize(of_asset, sort=True)
    of_row, rows = level[_positions(table, panel)], []
    for k, name in enumerate(names):
        own = np.flatnonzero(level == k)
        y = panel.scored[:, own][panel.valid[:, own]]
        row = {"scope": "group", "unit": name, "assets": len(own), "n_obs": len(y)} | _distribution(
            y
        )
        rows.append(row | _scores(table[of_row == k]))
    found = pd.DataFrame(rows, columns=COLUMNS)
    return Finding(
        found.assign(group=group, sample=sample),
        words=_words(found, group, sample),
        picture="by_group",
    )


def risk_by_group(
    study: Study, *, group: str = "sector", period: Literal["month", "quarter", "year"] = "quarter"
) -> Finding:
    """Mean of the target over the usable cells of each group and period of the calendar, by the
    date of the row.

    `mean_actual` and `mean_forecast` are over the rows with a forecast, so that they can be
    compared.

    Raises:
        DataError: a group that the data does not have; no row has a forecast.
    """
    import pandas as pd

    sample, table = judged(study)
    of_asset, panel = _group_of(study, group), study.panel
    level, names = pd.factorize(of_asset, sort=True)
    when, periods = pd.factorize(panel.dates.to_period(PERIODS[period]), sort=True)
    place, cells = when[:, None] * len(names) + level, len(periods) * len(names)
    scored = place[panel.dates.get_indexer(table["date"]), _positions(table, panel)]
    n, y = _sums(place[panel.valid], cells, panel.scored[panel.valid])
    n_scored, actual, forecast = _sums(scored, cells, table["y"], table["prediction"])
    at = np.flatnonzero(n)
    keys = [periods.astype(str).to_numpy()[at // len(names)], np.asarray(names)[at % len(names)]]
    with np.errstate(invalid="ignore"):
        columns = [n, y / n, n_scored, actual / n_scored, forecast / n_scored]
    found = pd.DataFrame(dict(zip(PATHS, [*keys, *(one[at] for one in columns)], strict=True)))
    return Finding(found.assign(by=group, sample=sample), picture="risk_by_group")


def _positions(table: pd.DataFrame, panel: Panel) -> np.ndarray:
    """Number (n,) of the asset of each row in the panel."""
    import pandas as pd

    return np.asarray(pd.Categorical(table["asset"], categories=panel.assets).codes)


def _sums(place: np.ndarray, cells: int, *values: Any) -> list[np.ndarray]:
    """How many rows each cell has, and the sums (cells,) of these values (n,) over them."""
    weights = [None, *(np.asarray(one, dtype=float) for one in values)]
    return [np.bincount(place, weights=one, minlength=cells) for one in weights]


def _group_of(study: Study, group: str) -> pd.Series:
    """The group (N,) of each asset, by its name.

    Raises:
        DataError: the data has no such group.
    """
    groups = study.panel.groups
    if group not in groups:
        raise DataError(f"group: {unknown(group, groups)}")
    return groups[group].reindex(study.panel.assets)


def _distribution(y: np.ndarray) -> dict[str, float]:
    if not len(y):
        return {}
    spread = y.std(ddof=1) if len(y) > 1 else np.nan
    quantiles = np.quantile(y, list(QUANTILES.values())).tolist()
    return {"mean": y.mean(), "std_dev": spread} | dict(zip(QUANTILES, quantiles, strict=True))


def _scores(part: pd.DataFrame) -> dict[str, float]:
    from runner.validation.scores import correlation, rmse

    if part.empty:
        return {"n_scored": 0}
    y, forecast, benchmark = (
        part[name].to_numpy(dtype=float) for name in ("y", "prediction", "benchmark")
    )
    scores = {
        "correlation": correlation(y, forecast),
        "rmse": rmse(y, forecast),
        "rmse_naive": rmse(y, benchmark),
    }
    return {"n_scored": len(y)} | scores


def _words(found: pd.DataFrame, group: str, sample: str) -> list[str]:
    known = found[found["n_obs"] > 0].sort_values("median")
    if len(known) < 2:
        return [f"One {group} has rows: there is nothing to compare."]
    low, high = known.iloc[0], known.iloc[-1]
    told = [
        f"Median of the target over {count(len(known), 'group')} ({group}): from {number(low['median'])} "
        f"({low['unit']}) to {number(high['median'])} ({high['unit']})."
    ]
    scored = known[known["n_scored"] > 0].sort_values("rmse")
    if len(scored) > 1:
        best, worst, worse = (
            scored.iloc[0],
            scored.iloc[-1],
            int((scored["rmse"] > scored["rmse_naive"]).sum()),
        )
        told.append(
            f"RMSE of the forecasts {sample}: from {number(best['rmse'])} ({best['unit']}) to "
            f"{number(worst['rmse'])} ({worst['unit']}); above that of the train mean in {worse:,} of "
            f"{count(len(scored), 'group')}. "
            "No test was made of the differences."
        )
    return told
