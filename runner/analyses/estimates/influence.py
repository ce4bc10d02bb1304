"""Rows that move a regression: leverage, studentised residuals, Cook's distance and DFFITS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.analyses.suited import refuse_not_plain, refuse_unsuited
from runner.errors import DataError
from runner.panels.finding import Finding
from runner.schema.settings import Rows
from runner.text import count, number, percent, t_text

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study
    from runner.panels.panel import Panel
    from runner.panels.units import Unit

CELLS = 100_000  # of a block
ALONE = (
    1e-10  # 1 - leverage below which a row is fitted by a term of its own: its residual is rounding
)
NUMBERS = ["leverage", "residual", "studentised", "cooks_distance", "dffits"]
COLUMNS = ["scope", "unit", "date", "asset", "n_obs", "terms", *NUMBERS]
COLUMNS += ["term", "estimate", "estimate_without", "dfbetas", "reason"]
BOUNDS = ["cook", "leverage", "dffits", "studentised", "alone"]


class Part(NamedTuple):
    """Some rows of one regression: date t, asset i (n,), regressors X (n, k), residuals u (n,)."""

    t: np.ndarray
    i: np.ndarray
    X: np.ndarray
    u: np.ndarray


class Measures(NamedTuple):
    """Of the rows (n,) of a block, in the units of Belsley, Kuh and Welsch (1980); NaN where the
    leverage is 1.
    """

    leverage: np.ndarray
    studentised: np.ndarray
    cook: np.ndarray
    dffits: np.ndarray


class Whole(NamedTuple):
    """A regression of n rows: estimates b (k,), the triangle R (k, k) with R'R = X'X, sum of
    squared residuals.
    """

    n: int
    b: np.ndarray
    R: np.ndarray
    ssr: float

    @property
    def df(self) -> int:
        return self.n - len(self.b)

    def measures(self, X: np.ndarray, u: np.ndarray) -> Measures:
        """Of rows X (m, k) with residuals u (m,); a row is studentised by the error of a fit
        without it.
        """
        from scipy.linalg import solve_triangular

        leverage = np.sum(solve_triangular(self.R, X.T, trans="T") ** 2, axis=0)
        left = np.where(1.0 - leverage > ALONE, 1.0 - leverage, np.nan)
        within = u / np.sqrt(self.ssr / self.df * left)
        with np.errstate(divide="ignore", invalid="ignore"):
            studentised = within * np.sqrt((self.df - 1.0) / np.maximum(self.df - within**2, 0.0))
            odds = leverage / left
            return Measures(
                leverage, studentised, within**2 * odds / len(self.b), studentised * np.sqrt(odds)
            )

    def without(self, x: np.ndarray, u: float) -> tuple[np.ndarray, np.ndarray]:
        """Estimates (k,) of the fit without a row, and by how many of its errors each is less
        (DFBETAS).
        """
        from scipy.linalg import solve_triangular

        inverse = solve_triangular(self.R, np.eye(len(self.b)))
        half = x @ inverse
        left = 1.0 - half @ half
        move = inverse @ half * u / left
        variance = (self.ssr - u**2 / left) / (self.df - 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.b - move, move / np.sqrt(max(variance, 0.0) * np.sum(inverse**2, axis=1))


def influence(study: Study, *, most: Rows = 10) -> Finding:
    """The `most` rows of each regression with the largest Cook's distance, and what the estimates
    are without each.

    studentised is the residual over its standard error in a fit without the row. `term` is the
    slope that the row moves most in standard errors, `estimate_without` its estimate in a fit
    without the row, and dfbetas the move in standard errors of that fit. Counted over all rows are
    Cook's distance above 4 / n, leverage above 2 k / n, |DFFITS| above 2 sqrt(k / n) and
    |studentised| above 3: rules of thumb (Belsley, Kuh and Welsch 1980), which some rows of any
    sample exceed. Rows with a leverage of 1, fitted by a term of their own, are counted apart. Rows
    are read in blocks, twice.

    Raises:
        DataError: the model is not plain least squares by asset, group or pooled.
    """
    import pandas as pd

    from runner.models.factor_model import factors_as_features
    from runner.panels.units import units

    refuse_unsuited(study)
    model, panel, fit = factors_as_features(study.model, study.panel, study.fit)
    refuse_not_plain(replace(study, model=model), constant=False)
    rows: list[dict[str, object]] = []
    totals: list[np.ndarray] = []
    for unit in units(panel, np.arange(len(panel.dates)), model.by):
        found, exceeding = _unit(unit, panel, model, fit.params[unit.assets[0]], most)
        rows += found
        totals.append(exceeding)
    table = pd.DataFrame(rows, columns=COLUMNS)
    if table["cooks_distance"].isna().all():
        raise DataError(f"model: no regression has residuals; {table['reason'].iloc[0]}")
    n = int(table.drop_duplicates("unit")["n_obs"].sum())
    over: dict[str, int] = dict(zip(BOUNDS, np.sum(totals, axis=0).tolist(), strict=True))
    metrics = {f"{name}_share": over[name] / n for name in BOUNDS[:-1]}
    metrics |= {
        "cooks_distance_max": table["cooks_distance"].max(),
        "dfbetas_max": table["dfbetas"].abs().max(),
    }
    return Finding(table, metrics, _words(table, over, n), "influence")


def _unit(
    unit: Unit, panel: Panel, model: Any, b: np.ndarray, most: int
) -> tuple[list[dict[str, object]], np.ndarray]:
    """The rows of the table of one regression, and how many rows exceed each bound."""
    key: dict[str, object] = {"scope": unit.scope, "unit": unit.name, "n_obs": 0, "terms": len(b)}
    none = np.zeros(len(BOUNDS), dtype=int)
    if not np.isfinite(b).all():
        return [key | {"reason": "no estimates: see quality.csv"}], none
    whole = whole_of(blocks(unit, panel, model, b), b)
    key["n_obs"] = whole.n
    if whole.df < 2:
        return [
            key | {"reason": f"{count(whole.n, 'row')} for {count(len(b), 'term')}; needs two more"}
        ], none
    if exact(whole):
        return [key | {"reason": "fits exactly: no residuals"}], none
    over, worst = none, None
    for block in blocks(unit, panel, model, b):
        one = whole.measures(block.X, block.u)
        over = over + _exceeding(one, whole.n, len(b))
        worst = _largest(worst, block, one, most)
    terms = model.terms(panel.names)
    return [key | row for row in _told(worst, whole, terms, panel)], over


def blocks(unit: Unit, panel: Panel, model: Any, b: np.ndarray) -> Iterator[Part]:
    """The rows of one regression in blocks of dates, in order of time."""
    from runner.estimators.estimation import design

    size = max(1, CELLS // len(unit.assets))
    for start in range(0, len(unit.rows), size):
        t, i = unit._replace(rows=unit.rows[start : start + size]).cells(panel)
        if len(t):
            X = design(panel, t, i, model.regressors, model.constant)
            yield Part(t, i, X, panel.y[t, i] - X @ b)


def whole_of(parts: Iterator[Part], b: np.ndarray) -> Whole:
    """A regression from its rows, each block taken into the triangle by QR, which keeps the
    digits.
    """
    n, ssr = 0, 0.0
    R: Any = np.zeros((0, len(b)))
    for part in parts:
        R = np.linalg.qr(np.vstack([R, part.X]), mode="r")
        n, ssr = n + len(part.u), ssr + float(part.u @ part.u)
    return Whole(n, b, R, ssr)


def exact(whole: Whole) -> bool:
    """Whether the residuals are rounding noise beside what the terms add up to."""
    from runner.numerics.variation import EXACT_FIT

    return whole.ssr <= EXACT_FIT * float(np.sum((whole.R * whole.b) ** 2))


def _exceeding(one: Measures, n: int, k: int) -> np.ndarray:
    """How many rows exceed each bound, in the order of BOUNDS."""
    masks = (
        one.cook > 4.0 / n,
        one.leverage > 2.0 * k / n,
        np.abs(one.dffits) > 2.0 * np.sqrt(k / n),
        np.abs(one.studentised) > 3.0,
        np.isnan(one.cook),
    )
    return np.array([int(mask.sum()) for mask in masks])


def _largest(worst: Any, block: Part, one: Measures, most: int) -> tuple[Part, Measures]:
    """The rows with the largest Cook's distance among those kept so far and those of a block."""
    parts = (block, one) if worst is None else (_joined(worst[0], block), _joined(worst[1], one))
    at = np.argsort(-np.nan_to_num(parts[1].cook, nan=-1.0), kind="stable")[:most]
    return Part(*(values[at] for values in parts[0])), Measures(
        *(values[at] for values in parts[1])
    )


def _joined(one: Any, other: Any) -> Any:
    return type(one)(*(np.concatenate(pair) for pair in zip(one, other, strict=True)))


def _told(worst: Any, whole: Whole, terms: list[str], panel: Panel) -> Iterator[dict[str, object]]:
    """One row of the table per row kept."""
    rows, one = worst
    slopes = [j for j, term in enumerate(terms) if term != "const"] or [0]
    for j in range(len(rows.u)):
        row: dict[str, object] = {
            "date": panel.dates[rows.t[j]],
            "asset": panel.assets[rows.i[j]],
            "reason": "",
        }
        values = (one.leverage[j], rows.u[j], one.studentised[j], one.cook[j], one.dffits[j])
        row |= dict(zip(NUMBERS, values, strict=True))
        if np.isnan(one.cook[j]):
            yield row | {"reason": "leverage of 1: fitted by a term of its own"}
            continue
        without, moves = whole.without(rows.X[j], float(rows.u[j]))
        at = slopes[int(np.argmax(np.nan_to_num(np.abs(moves[slopes]))))]
        row |= {
            "term": terms[at],
            "estimate": whole.b[at],
            "estimate_without": without[at],
            "dfbetas": moves[at],
        }
        yield row


def _words(table: pd.DataFrame, over: dict[str, int], n: int) -> list[str]:
    known = table.dropna(subset="cooks_distance")
    units = known["unit"].nunique()
    where = f" of {units:,} regressions" if units > 1 else ""
    found = [
        f"{over['cook']:,} of {count(n, 'row')}{where} ({percent(over['cook'] / n)}) have a Cook's distance above "
        f"4 / n, {over['studentised']:,} a studentised residual beyond 3 (normal errors would give about "
        f"{0.0027 * n:,.0f}); these bounds are rules of thumb that some rows of any sample exceed."
    ]
    top = known.loc[known["cooks_distance"].idxmax()]
    named = "" if units == 1 and top["scope"] == "asset" else f" of {top['asset']}"
    moved = f"{top['term']} is {number(top['estimate'])} with it, {number(top['estimate_without'])} without it"
    found.append(
        f"The most influential row is {top['date']:%Y-%m-%d}{named} (Cook's distance "
        f"{number(top['cooks_distance'], 3)}, studentised residual {t_text(top['studentised'])}): {moved}, "
        f"a move of {number(abs(top['dfbetas']), 3)} standard errors."
    )
    if over["alone"]:
        found.append(
            f"{count(over['alone'], 'row')} with a leverage of 1: each is fitted by a term of its own."
        )
    lost = table[table["reason"].ne("") & table["date"].isna()]
    if len(lost):
        found.append(
            f"{count(len(lost), 'regression')} without residuals: {lost['reason'].iloc[0]}."
        )
    return found
