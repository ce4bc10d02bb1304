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
from runner.errors import DataError
from runner.estimators.standard_errors import OwnCovariance
from runner.panels.finding import Finding
from runner.schema.settings import Rows, Share, Window
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study

STABILITY = ["scope", "unit", "chow_date", "chow_f", "df_num", "df_den", "chow_p"]
STABILITY += ["largest", "largest_date", "largest_p", "reason"]
CUSUM = ["scope", "unit", "date", "rows", "cusum", "bound", "statistic", "p_value", "reason"]
MOST_POINTS = 250  # of the path of an asset in the table


def stability(
    study: Study,
    *,
    cov: OwnCovariance = "HC3",
    trim: Share = 0.15,
    draws: Rows = 4999,
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
    found = factors_of(study)
    table = pd.DataFrame(
        [_breaks(asset, found, cov, trim, draws) for asset in found.assets()], columns=STABILITY
    )
    chow, largest = table["chow_p"].dropna(), table["largest_p"].dropna()
    metrics = {
        "chow_rejected_share": (chow < level).mean(),
        "largest_rejected_share": (largest < level).mean(),
    }
    words = [
        f"Chow's test of equal coefficients before and after the middle {rejections(chow, level)} ({cov} errors).",
        f"The Quandt-Andrews test of a break at any date {rejections(largest, level)}.",
    ]
    return Finding(table, metrics, words)


def _breaks(
    asset: Asset | str, found: Factors, cov: OwnCovariance, trim: float, draws: int
) -> dict[str, object]:
    from runner.analyses.estimates.specification import chow, largest_break
    from runner.numerics.least_squares import NotEstimable

    if isinstance(asset, str):
        return {"scope": "asset", "unit": asset, "reason": "no estimates: see quality.csv"}
    dates, middle, lags = found.panel.dates, len(asset.y) // 2, lags_of(asset, cov)
    row: dict[str, object] = {
        "scope": "asset",
        "unit": asset.name,
        "chow_date": dates[asset.rows[middle]],
    }
    test, reason = tested(chow, asset.X, asset.y, middle, cov, lags)
    if test is not None:
        row |= {
            "chow_f": test.f_stat,
            "df_num": test.df_num,
            "df_den": test.df_den,
            "chow_p": test.p_value,
        }
    try:
        one = largest_break(asset.X, asset.u, trim, lags, draws)
        row |= {
            "largest": one.statistic,
            "largest_date": dates[asset.rows[one.row]],
            "largest_p": one.p_value,
        }
    except NotEstimable as error:
        reason = reason or str(error)
    return row | {"reason": reason}


def cusum(study: Study, *, level: Share = 0.05) -> Finding:
    """CUSUM of recursive residuals by asset (Brown, Durbin and Evans 1975), the forecast errors of
    a fit that grows row by row.

    cusum is their sum over their standard deviation and the root of their number, bound the line
    that it crosses with the chance `level` where coefficients stay; at most 250 evenly spaced dates
    of each asset and that of the largest. statistic is the largest |cusum| over 1 + 2 s, s the
    share of the rows, repeated on each row with its p-value. The test takes errors as independent
    with one variance: serial correlation makes it reject too often. It sees changes that move the
    mean of the forecast errors, hardly those of a slope on a factor of mean zero.

    Raises:
        DataError: the model is not least squares by asset with a constant.
    """
    import pandas as pd

    from runner.analyses.estimates.cusum import boundary

    found, line = factors_of(study), boundary(level)
    table = pd.concat([_path(asset, found, line) for asset in found.assets()], ignore_index=True)[
        CUSUM
    ]
    each = table.drop_duplicates("unit")
    p, lost = each["p_value"].dropna(), int(each["p_value"].isna().sum())
    words = [
        f"The CUSUM test of constant coefficients {rejections(p, level)} (equal variances, no serial correlation)."
    ]
    words += [f"{count(lost, 'asset')} could not be tested."] if lost else []
    metrics = {"rejected_share": (p < level).mean(), "statistic_max": each["statistic"].max()}
    return Finding(table, metrics, words, "cusum")


def _path(asset: Asset | str, found: Factors, line: float) -> pd.DataFrame:
    """Rows of the table of one asset, one with the reason where there is no test."""
    import pandas as pd

    from runner.analyses.estimates.cusum import cusum_test, recursive_residuals
    from runner.numerics.least_squares import NotEstimable

    name = asset if isinstance(asset, str) else asset.name
    key = {"scope": "asset", "unit": name}
    if isinstance(asset, str):
        return pd.DataFrame([key | {"reason": "no estimates: see quality.csv"}], columns=CUSUM)
    try:
        w = recursive_residuals(asset.X, asset.y)
        test = cusum_test(w)
    except NotEstimable as error:
        return pd.DataFrame([key | {"reason": str(error)}], columns=CUSUM)
    m = len(w)
    shown = np.unique([*np.linspace(0, m - 1, min(m, MOST_POINTS)).astype(int), test.at])
    columns = {
        "date": found.panel.dates[asset.rows[-m:][shown]],
        "rows": m,
        "cusum": test.path[shown],
    }
    columns |= {
        "bound": line * (1.0 + 2.0 * (shown + 1) / m),
        "statistic": test.statistic,
        "p_value": test.p_value,
    }
    return pd.DataFrame(key | columns | {"reason": ""}, columns=CUSUM)


def rolling_loadings(study: Study, *, window: Window = 60, step: Rows = 12) -> Finding:
    """Estimates over windows of rows, each with the model's own errors; principal components are
    those of all rows.

    Windows overlap where step is less than window; then neighbouring estimates share rows.

    Raises:
        DataError: the model is not least squares by asset, or fewer rows than one window.
    """
    import pandas as pd

    from runner.analyses.estimates.specification import windows
    from runner.errors import RunnerError

    found, T = factors_of(study), len(study.panel.dates)
    if window > T:
        raise DataError(
            f"window: given {window}; allowed: at most the {count(T, 'row')} of the panel"
        )
    parts, lost = [], 0
    for rows in windows(T, window, step):
        try:
            fitted = found.model.fit(found.panel, rows).coefficients
        except RunnerError:
            lost += 1
            continue
        parts.append(
            fitted[fitted["scope"] == "asset"].assign(
                date=found.panel.dates[rows[-1]], rows=len(rows)
            )
        )
    if not parts:
        raise DataError(
            f"window: given {window}; allowed: one in which some asset can be estimated"
        )
    columns = ["date", "rows", "unit", "term", "estimate", "std_error"]
    table = pd.concat(parts, ignore_index=True)[columns]
    table.insert(0, "scope", "asset")
    ratio = _spread(table)
    words = [_moves(row) for row in ratio.itertuples()]
    words += [f"{count(lost, 'window')} could not be estimated."] if lost else []
    most = (ratio["spread"] / ratio["error"])[ratio["term"] != "const"].max()
    return Finding(table, {"spread_over_error": most}, words, "rolling_loadings")


def _spread(table: pd.DataFrame) -> pd.DataFrame:
    """By term, means over assets: standard deviation of the estimates over windows, and their
    standard error.
    """
    by = table.groupby(["term", "unit"], sort=False).agg(
        spread=("estimate", "std"), error=("std_error", "mean")
    )
    return by.groupby("term", sort=False).mean().reset_index()


def _moves(row: Any) -> str:
    beside = f"{row.term}: estimates spread by {number(row.spread, 3)} over windows, beside a standard error of"
    return f"{beside} {number(row.error, 3)}, averaged over assets."
