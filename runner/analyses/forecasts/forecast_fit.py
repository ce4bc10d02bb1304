"""How much of the next return do forecasts explain: regressions of the target on the standardised
forecast, one per asset over time and one per date across assets; with a second forecast beside it,
both alone and together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.errors import DataError
from runner.models.model import Model
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
OVER = {
    "asset": 0,
    "date": 1,
}  # the unit of a regression -> the axis of (T, N) along which its cells lie
COLLINEAR = 1e-12  # share that a second regressor leaves, below which it is rounding noise
ALL = "all"  # unit of the rows that are means over units


class Fits(NamedTuple):
    """Regressions of U units: rows, R2, slope of the first regressor (all (U,)), and why a unit
    has none.
    """

    n: np.ndarray
    r2: np.ndarray
    slope: np.ndarray
    reason: list[str]


def forecast_fit(study: Study, *, against: Model | None = None, least: Rows = 30) -> Finding:
    """R2 of r(n, t + 1) = a + c z(n, t) + e, z the forecast out of sample standardised by asset.

    With z of the full sample (`full`, the literal one) the mean and standard deviation (ddof 1) of
    an asset's forecasts are those of all its rows, which nobody knew at t; with past moments
    (`past`, the honest one) those of its rows before t in the same session, at least `least` of
    them. r2_adj is 1 - (1 - R2)(n - 1)/(n - k - 1) of k regressors; r2_adj_literal divides by n - k
    instead, which with k = 1 is R2 itself. r2_by_chance, k / (n - 1), is the mean R2 of cells that
    are independent. `against` is a second model that forecasts the same cells: the same is told of
    it, and of both together. Means over units; those without an R2 are counted by reason.

    Raises:
        DataError: no forecast out of sample, several paths of them, or a second model that does not
            suit.
    """
    import pandas as pd

    from runner.panels.finding import Finding

    y, forecasts = _cells(study, against)
    parts = []
    for z in (FULL, PAST):
        standard = {
            name: full_sample(values) if z == FULL else past(values, least, study.panel.sessions)
            for name, values in forecasts.items()
        }
        for name, X in _regressors(standard).items():
            for over, axis in OVER.items():
                parts.append(_rows(study.panel, z, name, over, len(X), regress(X, y, axis)))
    table = pd.concat(parts, ignore_index=True)
    means = _means(table, study.panel.horizon)
    metrics = {
        f"{row.z}/{row.forecast}/{row.over}_{name}": float(getattr(row, name))
        for row in means.itertuples()
        for name in ("r2", "r2_adj")
        if np.isfinite(getattr(row, name))
    }
    return Finding(
        pd.concat([means, table], ignore_index=True),
        metrics,
        list(_words(means, table)),
        "forecast_fit",
    )


def _cells(study: Study, against: Model | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Target (T, N) and the forecasts (T, N) by name, all NaN where one of them is."""
    from runner.validation.scores import open_rows

    panel = study.panel
    if not len(study.predictions):
        raise DataError("no forecast out of sample; choose a validation with folds")
    table = open_rows(study.predictions)
    if table["path"].nunique() > 1:
        raise DataError(
            f"forecasts of {table['path'].nunique()} paths; allowed: a validation with one"
        )
    at = (
        panel.dates.get_indexer(table["date"]),
        [panel.assets.index(name) for name in table["asset"]],
    )
    shape = panel.y.shape
    found = {MODEL: np.full(shape, np.nan)}
    found[MODEL][at] = table["prediction"]
    if against is not None:
        found[AGAINST] = np.full(shape, np.nan)
        mistakes = against.mistakes(panel.names)
        if mistakes:
            raise DataError([f"against.{line}" for line in mistakes])
        second = against.on(panel)
        judged = set(table["fold"])
        for fold in (one for one in study.folds if one.name in judged):
            found[AGAINST][fold.test] = panel.in_units(second.forecast(panel, fold))
    known = np.logical_and.reduce([np.isfinite(one) for one in found.values()])
    if not known.any():
        raise DataError("no cell has both forecasts" if against else "no cell has a forecast")
    return np.where(known, panel.scored, np.nan), {
        name: np.where(known, one, np.nan) for name, one in found.items()
    }


def _regressors(standard: Mapping[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Regressors by name: each forecast by itself, then both."""
    found = {name: [values] for name, values in standard.items()}
    return found | ({BOTH: list(standard.values())} if len(standard) > 1 else {})


def full_sample(f: np.ndarray) -> np.ndarray:
    """(f - mean) / std (ddof 1) of each column of f (T, N) over all its rows; NaN of a column that
    does not vary.
    """
    known = np.isfinite(f)
    n = known.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(known, f, 0.0).sum(axis=0) / n
        squares = np.where(known, (f - mean) ** 2, 0.0).sum(axis=0)
        std = np.sqrt(squares / (n - 1))
        return np.where(flat_where_known(f, axis=0), np.nan, (f - mean) / std)


def past(f: np.ndarray, least: int, sessions: np.ndarray | None = None) -> np.ndarray:
    """(f - mean) / std (ddof 1) by the rows before t of the same session; NaN with fewer than
    `least` of them, or where they do not vary."""
    number = np.zeros(len(f), dtype=int) if sessions is None else sessions
    z = np.full(f.shape, np.nan)
    for one in np.unique(number):
        rows = np.flatnonzero(number == one)
        z[rows] = _past(f[rows], least)
    return z


def _past(f: np.ndarray, least: int) -> np.ndarray:
    """By updates of mean and squares (Welford 1962), which lose no digits."""
    z = np.full(f.shape, np.nan)
    n, mean, squares = (np.zeros(f.shape[1]) for _ in range(3))
    for t, row in enumerate(f):
        known = np.isfinite(row)
        with np.errstate(divide="ignore", invalid="ignore"):
            std = np.sqrt(squares / (n - 1.0))
            use = known & (n >= max(least, 2)) & (std > COMPUTED * np.abs(mean))
            z[t, use] = (row[use] - mean[use]) / std[use]
            apart = np.where(known, row - mean, 0.0)
            n += known
            mean += apart / np.maximum(n, 1.0)
            squares += apart * np.where(known, row - mean, 0.0)
    return z


def regress(X: Sequence[np.ndarray], y: np.ndarray, axis: int) -> Fits:
    """Regressions of y (T, N) on a constant and one or two regressors (T, N), on the cells where
    all are known; along axis 0 of each asset over time, along 1 of each date across assets."""
    known = np.logical_and.reduce([np.isfinite(one) for one in (*X, y)])
    n = known.sum(axis=axis)
    columns = [np.where(known, one, 0.0) for one in (*X, y)]
    centred = [np.where(known, one - _mean(one, n, axis), 0.0) for one in columns]
    size = [np.sqrt(np.sum(one * one, axis=axis)) for one in columns]
    flat = [_flat(*one, n, axis) for one in zip(columns, centred, size, strict=True)]
    S = np.array([[np.sum(a * b, axis=axis) for a in centred] for b in centred])
    k = len(X)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = 1.0 - S[0, 1] ** 2 / (S[0, 0] * S[1, 1]) if k == 2 else np.ones(len(n))
        if k == 2:
            slope = (S[0, 2] * S[1, 1] - S[1, 2] * S[0, 1]) / (S[0, 0] * S[1, 1] * rest)
            second = (S[1, 2] * S[0, 0] - S[0, 2] * S[0, 1]) / (S[0, 0] * S[1, 1] * rest)
            r2 = (slope * S[0, 2] + second * S[1, 2]) / S[2, 2]
        else:
            slope = S[0, 1] / S[0, 0]
            r2 = slope * S[0, 1] / S[1, 1]
    reason = [
        _reason(*one, k)
        for one in zip(n, flat[-1], np.any(flat[:-1], axis=0), rest <= COLLINEAR, strict=True)
    ]
    sound = np.array([not one for one in reason])
    return Fits(
        n, np.where(sound, r2.clip(0.0, 1.0), np.nan), np.where(sound, slope, np.nan), reason
    )


def _flat(
    values: np.ndarray, centred: np.ndarray, length: np.ndarray, n: np.ndarray, axis: int
) -> np.ndarray:
    """Units whose known values, 0 elsewhere, differ by rounding alone."""
    root = np.sqrt(np.maximum(n, 1))
    spread = np.sqrt(np.sum(centred * centred, axis=axis)) / root
    return rounding_alone(
        spread, length / root, COMPUTED, lambda: of_quotients(values).all(axis=axis)
    )


def _mean(values: np.ndarray, n: np.ndarray, axis: int) -> np.ndarray:
    return np.expand_dims(values.sum(axis=axis) / np.maximum(n, 1), axis)


def _reason(n: int, still: bool, same: bool, collinear: bool, k: int) -> str:
    """Why a unit has no R2, nothing where it has."""
    if n < k + 2:
        return (
            f"fewer than {k + 2} cells with both" if n else "no cell with a standardised forecast"
        )
    if still:
        return "the target does not vary"
    if same:
        return "the forecast does not vary"
    return "the two forecasts are collinear" if collinear else ""


def _rows(panel: Panel, z: str, name: str, over: str, k: int, found: Fits) -> pd.DataFrame:
    """One row per unit."""
    import pandas as pd

    units = panel.assets if over == "asset" else panel.dates.strftime(panel.date_format)
    n = found.n.astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        adjusted, literal = (1.0 - (1.0 - found.r2) * (n - 1.0) / (n - lost) for lost in (k + 1, k))
    table = {
        "z": z,
        "forecast": name,
        "over": over,
        "unit": units,
        "n_obs": found.n,
        "r2": found.r2,
    }
    table |= {
        "r2_adj": adjusted,
        "r2_adj_literal": literal,
        "r2_by_chance": k / np.maximum(n - 1.0, 1.0),
    }
    return pd.DataFrame(table | {"slope": found.slope, "reason": found.reason})


def _means(table: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Means over the units with an R2, how many they are, and the t of the mean slope over
    dates.
    """
    import pandas as pd

    from runner.numerics.cross_section import average

    rows: list[dict[str, Any]] = []
    for (z, name, over), part in table.groupby(["z", "forecast", "over"], sort=False):
        used = part[part["r2"].notna()]
        columns = ["n_obs", "r2", "r2_adj", "r2_adj_literal", "r2_by_chance", "slope"]
        row = {"z": z, "forecast": name, "over": over, "unit": ALL, "units": len(used)}
        row |= {"without": len(part) - len(used)} | {one: used[one].mean() for one in columns}
        row["positive_share"] = (used["slope"] > 0.0).mean() if len(used) else np.nan
        mean = average(used["slope"].to_numpy(), horizon) if over == "date" else None
        row |= {"slope_t": mean.t_nw, "slope_p_value": mean.p_value} if mean else {}
        rows.append(row)
    return pd.DataFrame(rows)


def _words(means: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    labels = {FULL: "z of the full sample (literal)", PAST: "z of past moments (honest)"}
    names = {MODEL: "the model", AGAINST: "the second model", BOTH: "both together"}
    for (z, name), part in means.groupby(["z", "forecast"], sort=False):
        told = [
            f"mean R2 per {row.over} {number(row.r2)} (adjusted {number(row.r2_adj)}; {row.units:,} {row.over}s; "
            f"independent cells give {number(row.r2_by_chance, 2)})"
            for row in part.itertuples()
            if row.units
        ]
        if told:
            yield f"{labels[str(z)]}, {names[str(name)]}: {', '.join(told)}."
    for row in means[
        (means["over"] == "date") & (means["forecast"] != BOTH) & (means["z"] == PAST)
    ].itertuples():
        if row.units > 1:
            yield (
                f"Across assets one standard deviation of the forecast of {names[str(row.forecast)]} goes with "
                f"{number(row.slope, 3)} of the target (Newey-West t {t_text(row.slope_t)}, "
                f"{verdict(row.slope_p_value)}); above zero on {percent(row.positive_share)} of dates."
            )
    yield (
        "With n - k and k = 1 the adjusted R2 is R2 itself (r2_adj_literal). The forecasts are out of sample, the "
        "constants and slopes of these regressions are not."
    )
    lost = table[(table["reason"] != "") & (table["n_obs"] > 0)]
    for over, part in lost[lost["forecast"] == MODEL].groupby("over", sort=False):
        for (z, reason), rows in part.groupby(["z", "reason"], sort=False):
            yield f"{count(len(rows), str(over))} without R2 with {labels[str(z)]}: {reason}."
