"""The target by group of assets, such as sector: how it is distributed, how well it is forecast, how it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.analyses.judged import judged
from runner.errors import DataError, unknown
from runner.study import Finding
from runner.words import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.study import Study

QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
COLUMNS = ["scope", "unit", "assets", "n_obs", "mean", "std_dev", *QUANTILES]
COLUMNS += ["n_scored", "correlation", "rmse", "rmse_naive"]
PERIODS = {"month": "M", "quarter": "Q", "year": "Y"}
PATHS = ["period", "group", "n_obs", "mean", "n_scored", "mean_actual", "mean_forecast"]


def target_by_group(study: Study, *, group: str = "sector") -> Finding:
    """Distribution of the target over the usable cells of each group, and scores of the forecasts of its assets.

    Mean, standard deviation (ddof 1) and quantiles (linear interpolation) are of the target as it is, in its own
    unit. Correlation and RMSE are pooled over the rows of a group, the naive forecast is each asset's mean over its
    training rows. Several paths of a combinatorial cross-validation are pooled.

    Raises:
        DataError: a group that the data does not have; no row has a forecast.
    """
    import pandas as pd

    sample, table = judged(study)
    of_asset, panel = _group_of(study, group), study.panel
    level = table["asset"].map(of_asset).to_numpy()
    rows = []
    for name in sorted(of_asset.unique()):
        own = np.flatnonzero(of_asset.to_numpy() == name)
        y = panel.scored[:, own][panel.valid[:, own]]
        row = {"scope": "group", "unit": name, "assets": len(own), "n_obs": len(y)} | _distribution(y)
        rows.append(row | _scores(table[level == name]))
    found = pd.DataFrame(rows, columns=COLUMNS)
    return Finding(found.assign(group=group, sample=sample), words=_words(found, group, sample), picture="by_group")


def risk_by_group(
    study: Study, *, group: str = "sector", period: Literal["month", "quarter", "year"] = "quarter"
) -> Finding:
    """Mean of the target over the usable cells of each group and period of the calendar, by the date of the row.

    `mean_actual` and `mean_forecast` are over the rows with a forecast, so that they can be compared.

    Raises:
        DataError: a group that the data does not have; no row has a forecast.
    """
    import pandas as pd

    sample, table = judged(study)
    of_asset, panel = _group_of(study, group), study.panel
    t, i = np.nonzero(panel.valid)
    every = pd.DataFrame({"date": panel.dates[t], "group": of_asset.to_numpy()[i], "y": panel.scored[t, i]})
    keys = [every["date"].dt.to_period(PERIODS[period]).rename("period"), every["group"]]
    found = every.groupby(keys, observed=True)["y"].agg(n_obs="size", mean="mean")
    scored = table.assign(group=table["asset"].map(of_asset))
    keys = [scored["date"].dt.to_period(PERIODS[period]).rename("period"), scored["group"]]
    means = scored.groupby(keys, observed=True).agg(
        n_scored=("y", "size"), mean_actual=("y", "mean"), mean_forecast=("prediction", "mean")
    )
    found = found.join(means).reset_index()[PATHS]
    found["n_scored"] = found["n_scored"].fillna(0).astype(int)
    found["period"] = found["period"].astype(str)
    return Finding(found.assign(by=group, sample=sample), picture="risk_by_group")


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
    return {"mean": y.mean(), "std_dev": spread} | {name: float(np.quantile(y, q)) for name, q in QUANTILES.items()}


def _scores(part: pd.DataFrame) -> dict[str, float]:
    from runner.scores import correlation, rmse

    if part.empty:
        return {"n_scored": 0}
    y, forecast, benchmark = (part[name].to_numpy(dtype=float) for name in ("y", "prediction", "benchmark"))
    scores = {"correlation": correlation(y, forecast), "rmse": rmse(y, forecast), "rmse_naive": rmse(y, benchmark)}
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
        best, worst, worse = scored.iloc[0], scored.iloc[-1], int((scored["rmse"] > scored["rmse_naive"]).sum())
        told.append(
            f"RMSE of the forecasts {sample}: from {number(best['rmse'])} ({best['unit']}) to "
            f"{number(worst['rmse'])} ({worst['unit']}); above that of the train mean in {worse:,} of "
            f"{count(len(scored), 'group')}. "
            "No test was made of the differences."
        )
    return told
