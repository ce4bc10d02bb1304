"""The target by group of assets, such as sector: its distribution, its forecasts, its path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.analyses.forecasts.forecasts import columns
from runner.analyses.forecasts.judged import judged
from runner.panels.finding import Finding
from runner.schema.settings import LabelName
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.labels import Labels
    from runner.models.study import Study
    from runner.panels.panel import Panel

QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
COLUMNS = ["scope", "unit", "assets", "n_obs", "mean", "std_dev", *QUANTILES]
COLUMNS += ["n_scored", "correlation", "rmse", "rmse_naive"]
PERIODS = {"month": "M", "quarter": "Q", "year": "Y"}
PATHS = ["period", "group", "n_obs", "mean", "n_scored", "mean_actual", "mean_forecast"]


def target_by_group(study: Study, *, group: LabelName = "sector") -> Finding:
    """Distribution of the target over the usable cells of each group, and scores of its forecasts.

    Mean, standard deviation (ddof 1) and quantiles (linear interpolation) are of the target as it
    is, in its own unit. Correlation and RMSE are pooled over the rows of a group, the naive
    forecast is each asset's mean over its training rows. A cell is in the group of its date where
    groups change; `assets` counts those with such a cell. Several paths of a combinatorial
    cross-validation are pooled.

    Raises:
        DataError: a group that the data does not have; no row has a forecast.
    """
    import pandas as pd

    sample, predictions = judged(study)
    panel = study.panel
    labels = panel.grouping.get(group)
    group_of_row = _groups(predictions, panel, labels)
    scored = columns(predictions)
    t, i, target = panel.scored_cells()
    panel.rest()
    group_of_cell = labels.of_cells(t, i)
    rows = []
    for k, name in enumerate(labels.values):
        own = group_of_cell == k
        y = target[own]
        assets = len(np.unique(i[own]))
        row = {"scope": "group", "unit": name, "assets": assets, "n_obs": len(y)}
        row |= _distribution(y)
        of_group = np.flatnonzero(group_of_row == k)
        row |= _scores(*(values[of_group] for values in scored))
        rows.append(row)
    table = pd.DataFrame(rows, columns=COLUMNS)
    words = _words(table, group, sample)
    labelled = table.assign(group=group, sample=sample)
    return Finding(labelled, words=words, picture="by_group")


def risk_by_group(
    study: Study,
    *,
    group: LabelName = "sector",
    period: Literal["month", "quarter", "year"] = "quarter",
) -> Finding:
    """Mean of the target over the usable cells of each group and calendar period of the row.

    `mean_actual` and `mean_forecast` are over the rows with a forecast, so that they can be
    compared.

    Raises:
        DataError: a group that the data does not have; no row has a forecast.
    """
    import pandas as pd

    sample, predictions = judged(study)
    panel = study.panel
    labels = panel.grouping.get(group)
    names = labels.values
    frequency = PERIODS[period]
    calendar = panel.dates.to_period(frequency)
    period_of_date, periods = pd.factorize(calendar, sort=True)
    # each pair of period and group is one bin
    groups = len(names)
    bins = len(periods) * groups
    t, i, target = panel.scored_cells()
    panel.rest()
    n, y_sum = _sums(period_of_date[t] * groups + labels.of_cells(t, i), bins, target)
    scored_bins = period_of_date[_dates(predictions, panel)] * groups
    scored_bins += _groups(predictions, panel, labels)
    actual, forecast, _ = columns(predictions)
    n_scored, actual_sum, forecast_sum = _sums(scored_bins, bins, actual, forecast)
    filled = np.flatnonzero(n)
    period_of_bin = filled // groups
    group_of_bin = filled % groups
    names_of_periods = periods.astype(str)
    period_names = names_of_periods.to_numpy()
    group_names = np.asarray(names)
    with np.errstate(invalid="ignore"):
        mean = y_sum / n
        mean_actual = actual_sum / n_scored
        mean_forecast = forecast_sum / n_scored
    table = pd.DataFrame({"period": period_names[period_of_bin]})
    table["group"] = group_names[group_of_bin]
    table["n_obs"] = n[filled]
    table["mean"] = mean[filled]
    table["n_scored"] = n_scored[filled]
    table["mean_actual"] = mean_actual[filled]
    table["mean_forecast"] = mean_forecast[filled]
    labelled = table[PATHS].assign(by=group, sample=sample)
    return Finding(labelled, picture="risk_by_group")


def _dates(predictions: pd.DataFrame, panel: Panel) -> np.ndarray:
    """Number (n,) of the date of each row in the panel."""
    dates = predictions["date"]
    positions = panel.dates.get_indexer(dates)
    return np.asarray(positions)


def _positions(predictions: pd.DataFrame, panel: Panel) -> np.ndarray:
    """Number (n,) of the asset of each row in the panel."""
    import pandas as pd

    assets = pd.Categorical(predictions["asset"], categories=panel.assets)
    return np.asarray(assets.codes)


def _groups(predictions: pd.DataFrame, panel: Panel, labels: Labels) -> np.ndarray:
    """Group (n,) of the asset of each row, on its date where groups change."""
    return labels.of_cells(_dates(predictions, panel), _positions(predictions, panel))


def _sums(bin_of_value: np.ndarray, bins: int, *values: np.ndarray) -> list[np.ndarray]:
    """How many values each bin has, and the sums (bins,) of each of the values (n,)."""
    n = np.bincount(bin_of_value, minlength=bins)
    sums = [n]
    for column in values:
        totals = np.bincount(bin_of_value, weights=column, minlength=bins)
        sums.append(totals)
    return sums


def _distribution(y: np.ndarray) -> dict[str, float]:
    if not len(y):
        return {}
    distribution = {"mean": y.mean(), "std_dev": np.nan}
    if len(y) > 1:
        distribution["std_dev"] = y.std(ddof=1)
    shares = list(QUANTILES.values())
    quantiles = np.quantile(y, shares)
    by_name = dict(zip(QUANTILES, quantiles.tolist(), strict=True))
    return distribution | by_name


def _scores(y: np.ndarray, forecast: np.ndarray, benchmark: np.ndarray) -> dict[str, float]:
    from runner.validation.accuracy import correlation, rmse

    if not len(y):
        return {"n_scored": 0}
    scores: dict[str, float] = {"n_scored": len(y)}
    scores["correlation"] = correlation(y, forecast)
    scores["rmse"] = rmse(y, forecast)
    scores["rmse_naive"] = rmse(y, benchmark)
    return scores


def _words(table: pd.DataFrame, group: str, sample: str) -> list[str]:
    has_rows = table["n_obs"] > 0
    known = table[has_rows].sort_values("median")
    if len(known) < 2:
        return [f"One {group} has rows: there is nothing to compare."]
    groups = count(len(known), "group")
    medians = _range_text(known, "median")
    words = [f"Median of the target over {groups} ({group}): {medians}."]
    has_forecasts = known["n_scored"] > 0
    scored = known[has_forecasts].sort_values("rmse")
    if len(scored) > 1:
        errors = _range_text(scored, "rmse")
        is_worse = scored["rmse"] > scored["rmse_naive"]
        worse = int(is_worse.sum())
        groups = count(len(scored), "group")
        words.append(
            f"RMSE of the forecasts {sample}: {errors}; "
            f"above that of the training mean in {worse:,} of {groups}. "
            "The differences were not tested."
        )
    return words


def _range_text(rows: pd.DataFrame, column: str) -> str:
    """First and last value of a column with their units, of rows sorted by it."""
    low = rows.iloc[0]
    high = rows.iloc[-1]
    least = number(low[column])
    greatest = number(high[column])
    unit_of_least = low["unit"]
    unit_of_greatest = high["unit"]
    return f"from {least} ({unit_of_least}) to {greatest} ({unit_of_greatest})"
