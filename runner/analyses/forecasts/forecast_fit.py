"""How much of the next return forecasts explain: regressions of the target on the forecast.

One regression per asset over time and one per date across assets, on the standardised forecast;
with a second forecast beside it, on each alone and on both together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.errors import DataError
from runner.models.model import Model
from runner.models.study import of_every_cell
from runner.numerics.variation import COMPUTED, flat_where_known, of_quotients, rounding_alone
from runner.schema.settings import Rows
from runner.text import count, number, percent, t_text, verdict

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study
    from runner.panels.finding import Finding
    from runner.panels.panel import Panel

FULL, PAST = "full", "past"
MODEL, AGAINST, BOTH = "model", "against", "both"
# the unit of a regression -> the axis of (T, N) along which its cells lie
OVER = {"asset": 0, "date": 1}
COLLINEAR = 1e-12  # share that a second regressor leaves, below which it is rounding noise
ALL = "all"  # unit of the rows that are means over units
AVERAGED = ["n_obs", "r2", "r2_adj", "r2_adj_literal", "r2_by_chance", "slope"]
LABELS = {FULL: "z of the full sample (literal)", PAST: "z of past moments (honest)"}
NAMES = {MODEL: "the model", AGAINST: "the second model", BOTH: "both together"}


class Fits(NamedTuple):
    """Regressions of U units: rows, R2, slope of the first regressor, and why a unit has none.

    Attributes:
        n, r2, slope: (U,).
        reason: empty where there is an R2.
    """

    n: np.ndarray
    r2: np.ndarray
    slope: np.ndarray
    reason: list[str]


@of_every_cell
def forecast_fit(study: Study, *, against: Model | None = None, least: Rows = 30) -> Finding:
    """R2 of r(n, t + 1) = a + c z(n, t) + e, z the forecast out of sample standardised by asset.

    With z of the full sample (`full`, the literal one) the mean and standard deviation (ddof 1) of
    an asset's forecasts are those of all its rows, which nobody knew at t; with past moments
    (`past`, the honest one) those of its rows before t in the same session, at least `least` of
    them. r2_adj is 1 - (1 - R2)(n - 1)/(n - k - 1) of k regressors; r2_adj_literal divides by n - k
    instead, which with k = 1 is R2 itself. r2_by_chance, k / (n - 1), is the mean R2 of cells that
    are independent. `against` is a second model that forecasts the same cells: the same is computed
    for it, and for both together. Means over units; those without an R2 are counted by reason.

    Raises:
        DataError: no forecast out of sample, several paths of them, or a second model that does not
            suit.
    """
    import pandas as pd

    from runner.panels.finding import Finding

    panel = study.panel
    y, forecasts = _cells(study, against)
    parts = []
    for z in (FULL, PAST):
        regressors = _regressors(forecasts, z, least, panel.sessions)
        for name, X in regressors.items():
            for over, axis in OVER.items():
                fits = regress(X, y, axis)
                parts.append(_rows(panel, z, name, over, len(X), fits))
    table = pd.concat(parts, ignore_index=True)
    means = _means(table, panel.horizon)
    both = pd.concat([means, table], ignore_index=True)
    metrics = _metrics(means)
    words = list(_words(means, table))
    return Finding(both, metrics, words, "forecast_fit")


def _metrics(means: pd.DataFrame) -> dict[str, float]:
    """R2 and adjusted R2 of each kind of regression, where there are any."""
    metrics = {}
    for row in means.itertuples():
        key = f"{row.z}/{row.forecast}/{row.over}"
        for name in ("r2", "r2_adj"):
            value = getattr(row, name)
            if np.isfinite(value):
                metrics[f"{key}_{name}"] = float(value)
    return metrics


def _cells(study: Study, against: Model | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Target (T, N) and the forecasts (T, N) by name, all NaN where one of them is.

    Raises:
        DataError: no forecast out of sample, or several paths of them; a second model that does
            not suit; no cell with every forecast.
    """
    panel = study.panel
    table = _open_predictions(study)
    t = panel.dates.get_indexer(table["date"])
    i = [panel.assets.index(name) for name in table["asset"]]
    forecast = np.full(panel.y.shape, np.nan)
    forecast[t, i] = table["prediction"]
    forecasts = {MODEL: forecast}
    if against is not None:
        folds = set(table["fold"])
        forecasts[AGAINST] = _second_forecast(study, against, folds)
    known = np.logical_and.reduce([np.isfinite(values) for values in forecasts.values()])
    if not known.any():
        forecasts_text = "both forecasts" if against else "a forecast"
        raise DataError(f"no cell has {forecasts_text}")
    y = np.where(known, panel.scored, np.nan)
    for name, values in forecasts.items():
        forecasts[name] = np.where(known, values, np.nan)
    return y, forecasts


def _open_predictions(study: Study) -> pd.DataFrame:
    """The forecasts out of sample, without a locked hold-out.

    Raises:
        DataError: there is none, or several paths of them.
    """
    from runner.validation.scores import open_rows

    if not len(study.predictions):
        raise DataError("no forecast out of sample; choose a validation with folds")
    table = open_rows(study.predictions)
    paths = table["path"].nunique()
    if paths > 1:
        raise DataError(f"forecasts of {paths} paths; allowed: a validation with one")
    return table


def _second_forecast(study: Study, against: Model, judged: set[str]) -> np.ndarray:
    """Forecasts (T, N) of a second model in the folds of these names, NaN elsewhere.

    Raises:
        DataError: the model does not suit the panel.
    """
    panel = study.panel
    mistakes = against.mistakes(panel.names)
    if mistakes:
        raise DataError([f"against.{line}" for line in mistakes])
    second = against.on(panel)
    forecast = np.full(panel.y.shape, np.nan)
    for fold in study.folds:
        if fold.name in judged:
            of_fold = second.forecast(panel, fold)
            forecast[fold.test] = panel.in_units(of_fold)
    return forecast


def _regressors(
    forecasts: Mapping[str, np.ndarray], z: str, least: int, sessions: np.ndarray | None
) -> dict[str, list[np.ndarray]]:
    """Standardised regressors (T, N) by name: each forecast by itself, then both."""
    if z == FULL:
        standard = {name: full_sample(values) for name, values in forecasts.items()}
    else:
        standard = {name: past(values, least, sessions) for name, values in forecasts.items()}
    regressors = {name: [values] for name, values in standard.items()}
    if len(standard) > 1:
        regressors[BOTH] = list(standard.values())
    return regressors


def full_sample(f: np.ndarray) -> np.ndarray:
    """(f - mean) / std (ddof 1) of each column of f (T, N) over all its rows.

    NaN in a column that does not vary.
    """
    known = np.isfinite(f)
    n = known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = np.where(known, f, 0.0).sum(axis=0)
        mean = sums / n
        deviations = f - mean
        squared = np.where(known, deviations**2, 0.0)
        squares = squared.sum(axis=0)
        variance = squares / (n - 1)
        std = np.sqrt(variance)
        z = deviations / std
    constant = flat_where_known(f, axis=0)
    return np.where(constant, np.nan, z)


def past(f: np.ndarray, least: int, sessions: np.ndarray | None = None) -> np.ndarray:
    """(f - mean) / std (ddof 1) of f (T, N) by the rows before t of the same session.

    NaN with fewer than `least` of them, or where they do not vary.
    """
    session_of_row = sessions
    if session_of_row is None:
        session_of_row = np.zeros(len(f), dtype=int)
    z = np.full(f.shape, np.nan)
    for session in np.unique(session_of_row):
        rows = np.flatnonzero(session_of_row == session)
        z[rows] = _past(f[rows], least)
    return z


def _past(f: np.ndarray, least: int) -> np.ndarray:
    """By updates of mean and squares (Welford 1962), which lose no digits."""
    _, columns = f.shape
    z = np.full(f.shape, np.nan)
    n = np.zeros(columns)
    mean = np.zeros(columns)
    squares = np.zeros(columns)
    fewest = max(least, 2)
    for t, row in enumerate(f):
        known = np.isfinite(row)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = squares / (n - 1.0)
            std = np.sqrt(variance)
            varies = std > COMPUTED * np.abs(mean)
            enough = n >= fewest
            use = known & enough & varies
            z[t, use] = (row[use] - mean[use]) / std[use]
            deviation = row - mean
            from_old_mean = np.where(known, deviation, 0.0)
            n += known
            mean += from_old_mean / np.maximum(n, 1.0)
            deviation = row - mean
            from_new_mean = np.where(known, deviation, 0.0)
            squares += from_old_mean * from_new_mean
    return z


def regress(X: Sequence[np.ndarray], y: np.ndarray, axis: int) -> Fits:
    """Regressions of y (T, N) on a constant and one or two regressors (T, N).

    On the cells where all are known; along axis 0 of each asset over time, along 1 of each date
    across assets.
    """
    k = len(X)
    variables = (*X, y)
    known = np.logical_and.reduce([np.isfinite(values) for values in variables])
    n = known.sum(axis=axis)
    columns = [np.where(known, values, 0.0) for values in variables]
    centred = [np.where(known, values - _mean(values, n, axis), 0.0) for values in columns]
    flat = [_flat(*pair, n, axis) for pair in zip(columns, centred, strict=True)]
    *regressor_flat, target_flat = flat
    S = _products(centred, axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        if k == 2:
            slope, r2, alone = _on_two(S)
        else:
            slope, r2, alone = _on_one(S)
    forecast_flat = np.any(regressor_flat, axis=0)
    collinear = alone <= COLLINEAR
    units = zip(n, target_flat, forecast_flat, collinear, strict=True)
    reasons = [_reason(*unit, k) for unit in units]
    sound = np.array([not reason for reason in reasons])
    r2 = r2.clip(0.0, 1.0)
    r2[~sound] = np.nan
    slope[~sound] = np.nan
    return Fits(n, r2, slope, reasons)


def _products(centred: Sequence[np.ndarray], axis: int) -> np.ndarray:
    """Sums of products (m, m, U) of m centred variables, by unit."""
    m = len(centred)
    units = centred[0].shape[1 - axis]
    products = np.empty((m, m, units))
    for i, left in enumerate(centred):
        for j, right in enumerate(centred):
            products[i, j] = np.sum(left * right, axis=axis)
    return products


def _on_one(S: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope, R2 and ones (U,) from the sums of products of x and y."""
    xx, xy = S[0]
    yy = S[1, 1]
    slope = xy / xx
    r2 = slope * xy / yy
    return slope, r2, np.ones_like(xx)


def _on_two(S: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slope of x, R2, and the share of x that z leaves (U,), from the products of x, z and y."""
    xx, xz, xy = S[0]
    zz, zy = S[1, 1:]
    yy = S[2, 2]
    alone = 1.0 - xz**2 / (xx * zz)
    determinant = xx * zz * alone
    slope_x = (xy * zz - zy * xz) / determinant
    slope_z = (zy * xx - xy * xz) / determinant
    explained = slope_x * xy + slope_z * zy
    r2 = explained / yy
    return slope_x, r2, alone


def _flat(values: np.ndarray, centred: np.ndarray, n: np.ndarray, axis: int) -> np.ndarray:
    """Units whose known values, 0 elsewhere, differ by rounding alone."""
    divisor = np.maximum(n, 1)
    root = np.sqrt(divisor)
    centred_squares = np.sum(centred * centred, axis=axis)
    squares = np.sum(values * values, axis=axis)
    spread = np.sqrt(centred_squares) / root
    length = np.sqrt(squares)

    def quotients() -> np.ndarray:
        is_quotient = of_quotients(values)
        return np.asarray(is_quotient.all(axis=axis))

    scale = length / root
    return rounding_alone(spread, scale, COMPUTED, quotients)


def _mean(values: np.ndarray, n: np.ndarray, axis: int) -> np.ndarray:
    sums = values.sum(axis=axis)
    divisor = np.maximum(n, 1)
    means = sums / divisor
    return np.expand_dims(means, axis)


def _reason(n: int, target_is_flat: bool, forecast_is_flat: bool, collinear: bool, k: int) -> str:
    """Why a unit has no R2, nothing where it has."""
    if n == 0:
        return "no cell with a standardised forecast"
    if n < k + 2:
        return f"fewer than {k + 2} cells with both"
    if target_is_flat:
        return "the target does not vary"
    if forecast_is_flat:
        return "the forecast does not vary"
    return "the two forecasts are collinear" if collinear else ""


def _rows(panel: Panel, z: str, name: str, over: str, k: int, fits: Fits) -> pd.DataFrame:
    """One row per unit."""
    import pandas as pd

    units = panel.dates.strftime(panel.date_format)
    if over == "asset":
        units = panel.assets
    n = fits.n.astype(float)
    df_total = n - 1.0
    unexplained = (1.0 - fits.r2) * df_total
    with np.errstate(divide="ignore", invalid="ignore"):
        adjusted = 1.0 - unexplained / (n - (k + 1))
        literal = 1.0 - unexplained / (n - k)
    table = pd.DataFrame({"unit": units, "n_obs": fits.n})
    table.insert(0, "z", z)
    table.insert(1, "forecast", name)
    table.insert(2, "over", over)
    table["r2"] = fits.r2
    table["r2_adj"] = adjusted
    table["r2_adj_literal"] = literal
    divisor = np.maximum(df_total, 1.0)
    table["r2_by_chance"] = k / divisor
    table["slope"] = fits.slope
    table["reason"] = fits.reason
    return table


def _means(table: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Means over the units with an R2, their number, and the t of the mean slope over dates."""
    import pandas as pd

    from runner.numerics.cross_section import average

    rows: list[dict[str, Any]] = []
    for (z, name, over), part in table.groupby(["z", "forecast", "over"], sort=False):
        used = part.dropna(subset="r2")
        units = len(used)
        row = {"z": z, "forecast": name, "over": over, "unit": ALL, "units": units}
        row["without"] = len(part) - units
        for column in AVERAGED:
            row[column] = used[column].mean()
        slopes = used["slope"]
        positive = slopes > 0.0
        row["positive_share"] = positive.mean()
        if over == "date":
            mean_slope = average(slopes.to_numpy(), horizon)
            row["slope_t"] = mean_slope.t_nw
            row["slope_p_value"] = mean_slope.p_value
        rows.append(row)
    return pd.DataFrame(rows)


def _words(means: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    for (z, name), part in means.groupby(["z", "forecast"], sort=False):
        fits = [_r2_text(row) for row in part.itertuples() if row.units]
        if fits:
            standardised = LABELS[str(z)]
            model = NAMES[str(name)]
            r2_texts = ", ".join(fits)
            yield f"{standardised}, {model}: {r2_texts}."
    over_dates = means["over"] == "date"
    single = means["forecast"] != BOTH
    honest = means["z"] == PAST
    shown = means[over_dates & single & honest]
    for row in shown.itertuples():
        if row.units > 1:
            yield _slope_sentence(row)
    yield (
        "With n - k and k = 1 the adjusted R2 is R2 itself (r2_adj_literal). "
        "The forecasts are out of sample, the constants and slopes of these regressions are not."
    )
    yield from _without_words(table)


def _r2_text(row: Any) -> str:
    units = f"{row.units:,} {row.over}s"
    r2 = number(row.r2)
    adjusted = number(row.r2_adj)
    chance = number(row.r2_by_chance, 2)
    details = f"adjusted {adjusted}; {units}; independent observations give {chance}"
    return f"mean R2 per {row.over} {r2} ({details})"


def _slope_sentence(row: Any) -> str:
    name = NAMES[str(row.forecast)]
    slope = number(row.slope, 3)
    t = t_text(row.slope_t)
    significance = verdict(row.slope_p_value)
    test = f"Newey-West t {t}, {significance}"
    positive = percent(row.positive_share)
    return (
        f"Across assets one standard deviation of the forecast of {name} "
        f"goes with {slope} of the target ({test}); above zero on {positive} of dates."
    )


def _without_words(table: pd.DataFrame) -> Iterator[str]:
    """How many units have cells but no R2, by reason."""
    has_reason = table["reason"] != ""
    has_cells = table["n_obs"] > 0
    is_model = table["forecast"] == MODEL
    of_model = table[has_reason & has_cells & is_model]
    for over, part in of_model.groupby("over", sort=False):
        for (z, reason), rows in part.groupby(["z", "reason"], sort=False):
            units = count(len(rows), str(over))
            standardised = LABELS[str(z)]
            yield f"{units} without R2 with {standardised}: {reason}."
