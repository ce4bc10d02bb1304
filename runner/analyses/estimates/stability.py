"""Whether loadings stay where they are: tests of breaks, and estimates over windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.analyses.estimates.by_asset import (
    Asset,
    Factors,
    factors_of,
    lags_of,
    rejections,
    tested,
)
from runner.errors import DataError, RunnerError
from runner.estimators.standard_errors import OwnCovariance
from runner.panels.finding import Finding
from runner.schema.settings import Draws, Rows, Share, Window
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

Row = dict[str, object]  # of a table
STABILITY = ["scope", "unit", "chow_date", "chow_f", "df_num", "df_den", "chow_p"]
STABILITY += ["largest", "largest_date", "largest_p", "reason"]
CUSUM = ["scope", "unit", "date", "rows", "cusum", "bound", "statistic", "p_value", "reason"]
LOADINGS = ["date", "rows", "unit", "term", "estimate", "std_error"]
MOST_POINTS = 250  # of the path of an asset in the table
NO_ESTIMATES = "no estimates: see quality.csv"


def stability(
    study: Study,
    *,
    cov: OwnCovariance = "HC3",
    trim: Share = 0.15,
    draws: Draws = 4999,
    level: Share = 0.05,
) -> Finding:
    """Whether the constant and the loadings of each asset are the same on all rows.

    Chow's test at the middle row of each asset (under `cov`), and the Quandt-Andrews test of one
    break at an unknown date (LM form, robust to unequal variances; with cov=HAC to serial
    correlation too), whose date is only the one with the largest statistic.

    Args:
        trim: share of the rows at either end without a date of a break.
        draws: simulated paths behind the p-value of the second test.

    Raises:
        DataError: the model is not least squares by asset with a constant; trim from 0.5.
    """
    import pandas as pd

    if trim >= 0.5:
        raise DataError(f"trim: given {trim:g}; allowed: below 0.5")
    factors = factors_of(study)
    rows = [_breaks(asset, factors, cov, trim, draws) for asset in factors.assets()]
    table = pd.DataFrame(rows, columns=STABILITY)
    chow = table["chow_p"].dropna()
    largest = table["largest_p"].dropna()
    chow_rejects = chow < level
    largest_rejects = largest < level
    metrics = {"chow_rejected_share": chow_rejects.mean()}
    metrics["largest_rejected_share"] = largest_rejects.mean()
    chow_words = (
        "Chow's test of equal coefficients before and after the middle "
        f"{rejections(chow, level)} ({cov} errors)."
    )
    largest_text = rejections(largest, level)
    largest_words = f"The Quandt-Andrews test of a break at any date {largest_text}."
    return Finding(table, metrics, [chow_words, largest_words])


def _breaks(
    asset: Asset | str, factors: Factors, cov: OwnCovariance, trim: float, draws: int
) -> Row:
    """The row of the table of one asset: both tests, or the reason why there is none."""
    from runner.analyses.estimates.specification import chow, largest_break
    from runner.numerics.least_squares import NotEstimable

    if isinstance(asset, str):
        return {"scope": "asset", "unit": asset, "reason": NO_ESTIMATES}
    X = asset.X
    y = asset.y
    panel_dates = factors.panel.dates
    dates = panel_dates[asset.rows]
    middle = len(y) // 2
    lags = lags_of(asset, cov)
    row: Row = {"scope": "asset", "unit": asset.name, "chow_date": dates[middle]}
    test, reason = tested(chow, X, y, middle, cov, lags)
    if test is not None:
        row["chow_f"] = test.f_stat
        row["chow_p"] = test.p_value
        row["df_num"] = test.df_num
        row["df_den"] = test.df_den
    try:
        largest = largest_break(X, asset.u, trim, lags, draws)
        row["largest"] = largest.statistic
        row["largest_p"] = largest.p_value
        row["largest_date"] = dates[largest.row]
    except NotEstimable as error:
        reason = reason or str(error)
    row["reason"] = reason
    return row


def cusum(study: Study, *, level: Share = 0.05) -> Finding:
    """CUSUM of recursive residuals by asset (Brown, Durbin and Evans 1975).

    Recursive residuals are the forecast errors of a fit that grows row by row. cusum is their sum
    over their standard deviation and the root of their number, bound the line that it crosses with
    the chance `level` where coefficients stay; at most 250 evenly spaced dates of each asset and
    that of the largest. statistic is the largest |cusum| over 1 + 2 s, s the share of the rows,
    repeated on each row with its p-value. The test takes errors as independent with one variance:
    serial correlation makes it reject too often. It sees changes that move the mean of the forecast
    errors, hardly those of a slope on a factor of mean zero.

    Raises:
        DataError: the model is not least squares by asset with a constant.
    """
    import pandas as pd

    from runner.analyses.estimates.cusum import boundary

    factors = factors_of(study)
    crossed_line = boundary(level)
    paths = [_path(asset, factors, crossed_line) for asset in factors.assets()]
    table = pd.concat(paths, ignore_index=True)[CUSUM]
    by_asset = table.drop_duplicates("unit")
    p = by_asset["p_value"].dropna()
    lost = len(by_asset) - len(p)
    answer = rejections(p, level)
    words = [
        f"The CUSUM test of constant coefficients {answer} "
        "(equal variances, no serial correlation)."
    ]
    if lost:
        lost_assets = count(lost, "asset")
        words.append(f"{lost_assets} could not be tested.")
    rejects = p < level
    metrics = {"rejected_share": rejects.mean()}
    metrics["statistic_max"] = by_asset["statistic"].max()
    return Finding(table, metrics, words, "cusum")


def _path(asset: Asset | str, factors: Factors, crossed_line: float) -> pd.DataFrame:
    """Rows of the table of one asset, one with the reason where there is no test."""
    import pandas as pd

    from runner.analyses.estimates.cusum import cusum_test, recursive_residuals
    from runner.numerics.least_squares import NotEstimable

    if isinstance(asset, str):
        row = {"scope": "asset", "unit": asset, "reason": NO_ESTIMATES}
        return pd.DataFrame([row], columns=CUSUM)
    key = {"scope": "asset", "unit": asset.name}
    try:
        w = recursive_residuals(asset.X, asset.y)
        test = cusum_test(w)
    except NotEstimable as error:
        reason = str(error)
        row = key | {"reason": reason}
        return pd.DataFrame([row], columns=CUSUM)
    m = len(w)
    points = min(m, MOST_POINTS)
    last = m - 1
    spaced = np.linspace(0, last, points).astype(int)
    shown = np.unique([*spaced, test.position])
    last_rows = asset.rows[-m:]
    dates = factors.panel.dates[last_rows]
    columns: dict[str, object] = {"date": dates[shown], "rows": m}
    columns["cusum"] = test.path[shown]
    rows_seen = shown + 1
    columns["bound"] = crossed_line * (1.0 + 2.0 * rows_seen / m)
    columns["statistic"] = test.statistic
    columns["p_value"] = test.p_value
    columns["reason"] = ""
    return pd.DataFrame(key | columns, columns=CUSUM)


def rolling_loadings(study: Study, *, window: Window = 60, step: Rows = 12) -> Finding:
    """Estimates over windows of rows, each with the model's own errors.

    Principal components are those of all rows. Windows overlap where step is less than window; then
    neighbouring estimates share rows.

    Raises:
        DataError: the model is not least squares by asset, or fewer rows than one window.
    """
    import pandas as pd

    from runner.analyses.estimates.specification import windows

    factors = factors_of(study)
    T = len(study.panel.dates)
    if window > T:
        rows_text = count(T, "row")
        raise DataError(f"window: given {window}; allowed: at most the {rows_text} of the panel")
    parts = []
    lost = 0
    for rows in windows(T, window, step):
        loadings = _loadings(factors, rows)
        if loadings is None:
            lost += 1
        else:
            parts.append(loadings)
    if not parts:
        raise DataError(
            f"window: given {window}; allowed: one in which some asset can be estimated"
        )
    table = pd.concat(parts, ignore_index=True)[LOADINGS]
    table.insert(0, "scope", "asset")
    by_term = _spread(table)
    words = [_spread_sentence(row) for row in by_term.itertuples()]
    if lost:
        lost_windows = count(lost, "window")
        words.append(f"{lost_windows} could not be estimated.")
    ratio = by_term["spread"] / by_term["error"]
    is_slope = by_term["term"] != "const"
    most = ratio[is_slope].max()
    return Finding(table, {"spread_over_error": most}, words, "rolling_loadings")


def _loadings(factors: Factors, rows: np.ndarray) -> pd.DataFrame | None:
    """Estimates by asset on a window of rows; None where no asset can be estimated."""
    try:
        fit = factors.model.fit(factors.panel, rows)
    except RunnerError:
        return None
    estimates = fit.coefficients
    is_asset = estimates["scope"] == "asset"
    by_asset = estimates[is_asset]
    last_row = rows[-1]
    last_date = factors.panel.dates[last_row]
    return by_asset.assign(date=last_date, rows=len(rows))


def _spread(table: pd.DataFrame) -> pd.DataFrame:
    """By term, means over assets: deviation of the estimates over windows, and standard error."""
    by_asset = table.groupby(["term", "unit"], sort=False)
    spread = by_asset.agg(spread=("estimate", "std"), error=("std_error", "mean"))
    by_term = spread.groupby("term", sort=False)
    return by_term.mean().reset_index()


def _spread_sentence(row: Any) -> str:
    spread = number(row.spread, 3)
    error = number(row.error, 3)
    return (
        f"{row.term}: standard deviation of the estimates over windows {spread}, "
        f"against a standard error of {error}, averaged over assets."
    )
