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

Row = dict[str, object]  # of a table
CELLS = 100_000  # of a block
ALONE = 1e-10  # 1 - leverage below which a row has a term of its own: its residual is rounding
NUMBERS = ["leverage", "residual", "studentised", "cooks_distance", "dffits"]
COLUMNS = ["scope", "unit", "date", "asset", "n_obs", "terms", *NUMBERS]
COLUMNS += ["term", "estimate", "estimate_without", "dfbetas", "reason"]
BOUNDS = ["cook", "leverage", "dffits", "studentised", "alone"]
STUDENTISED = 3.0  # a residual beyond is counted
NORMAL_BEYOND = 0.0027  # chance that a normal lies beyond


class Part(NamedTuple):
    """Some rows of one regression: date t, asset i (n,), regressors X (n, k), residuals u (n,)."""

    t: np.ndarray
    i: np.ndarray
    X: np.ndarray
    u: np.ndarray

    def kept(self, rows: np.ndarray) -> Part:
        """The part with these of its rows."""
        return Part(*(values[rows] for values in self))


class Measures(NamedTuple):
    """Influence of rows (n,), by Belsley, Kuh and Welsch (1980); NaN where the leverage is 1."""

    leverage: np.ndarray
    studentised: np.ndarray
    cook: np.ndarray
    dffits: np.ndarray

    def kept(self, rows: np.ndarray) -> Measures:
        """The measures of these of the rows."""
        return Measures(*(values[rows] for values in self))


class Worst(NamedTuple):
    """The rows with the largest Cook's distance so far, the largest first."""

    rows: Part
    measures: Measures


class Whole(NamedTuple):
    """A regression of n rows.

    Attributes:
        b: (k,) estimates.
        R: (k, k) triangle with R'R = X'X.
        ssr: sum of squared residuals.
    """

    n: int
    b: np.ndarray
    R: np.ndarray
    ssr: float

    @property
    def df(self) -> int:
        """Degrees of freedom."""
        return self.n - len(self.b)

    def measures(self, X: np.ndarray, u: np.ndarray) -> Measures:
        """Measures of rows X (m, k) with residuals u (m,).

        A row is studentised by the error of a fit without it.
        """
        from scipy.linalg import solve_triangular

        k = len(self.b)
        solved = solve_triangular(self.R, X.T, trans="T")
        leverage = np.sum(solved**2, axis=0)
        left = 1.0 - leverage
        is_alone = left <= ALONE
        left[is_alone] = np.nan
        error_variance = self.ssr / self.df
        variance_within = error_variance * left
        deviation = np.sqrt(variance_within)
        within = u / deviation
        with np.errstate(divide="ignore", invalid="ignore"):
            squared = within**2
            degrees = self.df - squared
            df_without = np.maximum(degrees, 0.0)
            studentised = within * np.sqrt((self.df - 1.0) / df_without)
            odds = leverage / left
            of_all_terms = squared * odds
            cook = of_all_terms / k
            root_odds = np.sqrt(odds)
            dffits = studentised * root_odds
        return Measures(leverage, studentised, cook, dffits)

    def without(self, x: np.ndarray, u: float) -> tuple[np.ndarray, np.ndarray]:
        """Estimates (k,) without the row x (k,) with residual u, and their moves (DFBETAS).

        A move is the estimate with the row less that without it, in standard errors of the fit
        without it.
        """
        from scipy.linalg import solve_triangular

        k = len(self.b)
        identity = np.eye(k)
        inverse = solve_triangular(self.R, identity)
        half = x @ inverse
        leverage = half @ half
        left = 1.0 - leverage
        move = inverse @ half * u / left
        explained_by_row = u**2 / left
        ssr = self.ssr - explained_by_row
        degrees = self.df - 1.0
        variance_without = ssr / degrees
        variance = max(variance_without, 0.0)
        scale = np.sum(inverse**2, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            variances = variance * scale
            standard_errors = np.sqrt(variances)
            moves = move / standard_errors
        return self.b - move, moves


def influence(study: Study, *, most: Rows = 10) -> Finding:
    """The `most` rows of each regression with the largest Cook's distance, and fits without each.

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
    with_factors = replace(study, model=model)
    refuse_not_plain(with_factors, constant=False)
    panel = model.by_spells(panel)
    n_dates = len(panel.dates)
    every_row = np.arange(n_dates)
    rows: list[Row] = []
    exceeding = np.zeros(len(BOUNDS), dtype=int)
    for unit in units(panel, every_row, model.by):
        asset = unit.assets[0]
        b = fit.params[asset]
        rows_of_unit, exceeding_of_unit = _unit(unit, panel, model, b, most)
        rows += rows_of_unit
        exceeding = exceeding + exceeding_of_unit
    table = pd.DataFrame(rows, columns=COLUMNS)
    distance = table["cooks_distance"]
    if distance.isna().all():
        raise DataError(f"model: no regression has residuals; {table['reason'].iloc[0]}")
    regressions = table.drop_duplicates("unit")
    rows_used = regressions["n_obs"].sum()
    n = int(rows_used)
    over: dict[str, int] = dict(zip(BOUNDS, exceeding.tolist(), strict=True))
    metrics = {}
    for name, rows_over in over.items():
        if name != "alone":
            metrics[f"{name}_share"] = rows_over / n
    moves = table["dfbetas"].abs()
    metrics["cooks_distance_max"] = distance.max()
    metrics["dfbetas_max"] = moves.max()
    words = _words(table, over, n)
    return Finding(table, metrics, words, "influence")


def _unit(
    unit: Unit, panel: Panel, model: Any, b: np.ndarray, most: int
) -> tuple[list[Row], np.ndarray]:
    """The rows of the table of one regression, and how many rows exceed each bound."""
    k = len(b)
    key: Row = {"scope": unit.scope, "unit": unit.name, "n_obs": 0, "terms": k}
    exceeding = np.zeros(len(BOUNDS), dtype=int)
    estimated = np.isfinite(b)
    if not estimated.all():
        key["reason"] = "no estimates: see quality.csv"
        return [key], exceeding
    parts = blocks(unit, panel, model, b)
    whole = whole_of(parts, b)
    key["n_obs"] = whole.n
    if whole.df < 2:
        n_rows = count(whole.n, "row")
        n_terms = count(k, "term")
        key["reason"] = f"{n_rows} for {n_terms}; needs two more"
        return [key], exceeding
    if exact(whole):
        key["reason"] = "fits exactly: no residuals"
        return [key], exceeding
    worst = _no_rows(k)
    for block in blocks(unit, panel, model, b):
        measures = whole.measures(block.X, block.u)
        exceeding_in_block = _exceeding(measures, whole.n, k)
        exceeding = exceeding + exceeding_in_block
        candidates = Worst(block, measures)
        worst = _largest(worst, candidates, most)
    terms = model.terms(panel.names)
    kept = _table_rows(worst, whole, terms, panel)
    return [key | row for row in kept], exceeding


def blocks(unit: Unit, panel: Panel, model: Any, b: np.ndarray) -> Iterator[Part]:
    """The rows of one regression in blocks of dates, in order of time."""
    from runner.estimators.estimation import design

    assets = len(unit.assets)
    rows_of_block = CELLS // assets
    size = max(1, rows_of_block)
    for start in range(0, len(unit.rows), size):
        rows = unit.rows[start : start + size]
        block = unit._replace(rows=rows)
        used = block.used(panel)
        if len(used.y):
            X = design(used, panel, model.regressors, model.constant)
            fitted = X @ b
            u = used.y - fitted
            yield Part(used.t, used.i, X, u)


def whole_of(parts: Iterator[Part], b: np.ndarray) -> Whole:
    """A regression from its rows, each block taken into the triangle by QR, which keeps digits."""
    n = 0
    ssr = 0.0
    R: Any = np.zeros((0, len(b)))
    for part in parts:
        stacked = np.vstack([R, part.X])
        R = np.linalg.qr(stacked, mode="r")
        n += len(part.u)
        ssr += float(part.u @ part.u)
    return Whole(n, b, R, ssr)


def exact(whole: Whole) -> bool:
    """Whether the residuals are rounding noise beside what the terms add up to."""
    from runner.numerics.variation import EXACT_FIT

    terms = whole.R * whole.b
    explained = float(np.sum(terms**2))
    least = EXACT_FIT * explained
    return whole.ssr <= least


def _exceeding(measures: Measures, n: int, k: int) -> np.ndarray:
    """How many rows exceed each bound, in the order of BOUNDS."""
    cook = measures.cook > 4.0 / n
    mean_twice = 2.0 * k / n
    leverage = measures.leverage > mean_twice
    bound = 2.0 * np.sqrt(k / n)
    dffits = np.abs(measures.dffits) > bound
    studentised = np.abs(measures.studentised) > STUDENTISED
    alone = np.isnan(measures.cook)
    masks = np.array([cook, leverage, dffits, studentised, alone])
    return masks.sum(axis=1)


def _no_rows(k: int) -> Worst:
    """Before the first block, of a regression with k terms."""
    positions = np.empty(0, dtype=int)
    none = np.empty(0)
    X = np.empty((0, k))
    rows = Part(positions, positions, X, none)
    measures = Measures(none, none, none, none)
    return Worst(rows, measures)


def _largest(worst: Worst, block: Worst, most: int) -> Worst:
    """The `most` rows with the largest Cook's distance among those so far and those of a block."""
    rows = Part(*map(_joined, worst.rows, block.rows))
    measures = Measures(*map(_joined, worst.measures, block.measures))
    distance = np.nan_to_num(measures.cook, nan=-1.0)
    order = np.argsort(-distance, kind="stable")
    largest = order[:most]
    largest_rows = rows.kept(largest)
    largest_measures = measures.kept(largest)
    return Worst(largest_rows, largest_measures)


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.concatenate([first, second])


def _table_rows(worst: Worst, whole: Whole, terms: list[str], panel: Panel) -> Iterator[Row]:
    """One row of the table per row of the regression kept."""
    rows, measures = worst
    slopes = [j for j, term in enumerate(terms) if term != "const"]
    if not slopes:
        slopes = [0]
    for position in range(len(rows.u)):
        t, i, x, residual = (values[position] for values in rows)
        leverage, studentised, cook, dffits = (values[position] for values in measures)
        row: Row = {"date": panel.dates[t], "reason": ""}
        row["asset"] = panel.assets[i]
        row["leverage"] = leverage
        row["residual"] = residual
        row["studentised"] = studentised
        row["cooks_distance"] = cook
        row["dffits"] = dffits
        if np.isnan(cook):
            row["reason"] = "leverage of 1: fitted by a term of its own"
            yield row
            continue
        without, moves = whole.without(x, float(residual))
        sizes = np.abs(moves[slopes])
        sizes = np.nan_to_num(sizes)
        largest = sizes.argmax()
        j = slopes[largest]
        row["term"] = terms[j]
        row["estimate"] = whole.b[j]
        row["estimate_without"] = without[j]
        row["dfbetas"] = moves[j]
        yield row


def _words(table: pd.DataFrame, over: dict[str, int], n: int) -> list[str]:
    known = table.dropna(subset="cooks_distance")
    units = known["unit"].nunique()
    exceeding = _over_sentence(over, n, units)
    most_influential = _most_influential_sentence(known, units)
    words = [exceeding, most_influential]
    if over["alone"]:
        alone = count(over["alone"], "row")
        words.append(f"{alone} with a leverage of 1: each is fitted by a term of its own.")
    has_reason = table["reason"].ne("")
    without_rows = table["date"].isna()
    is_lost = has_reason & without_rows
    lost = table[is_lost]
    if len(lost):
        regressions = count(len(lost), "regression")
        reason = lost["reason"].iloc[0]
        words.append(f"{regressions} without residuals: {reason}.")
    return words


def _over_sentence(over: dict[str, int], n: int, units: int) -> str:
    """How many of n rows exceed the rules of thumb."""
    rows = count(n, "row")
    if units > 1:
        rows += f" of {units:,} regressions"
    cook = over["cook"]
    studentised = over["studentised"]
    expected = NORMAL_BEYOND * n
    normal = f"{expected:,.0f}"
    return (
        f"{cook:,} of {rows} ({percent(cook / n)}) have a Cook's distance above 4 / n, "
        f"{studentised:,} a studentised residual beyond 3 "
        f"(normal errors would give about {normal}); "
        "these bounds are rules of thumb that some rows of any sample exceed."
    )


def _most_influential_sentence(known: pd.DataFrame, units: int) -> str:
    """The row with the largest Cook's distance, and how far it moves an estimate."""
    largest = known["cooks_distance"].idxmax()
    top = known.loc[largest]
    asset = f" of {top['asset']}"
    if units == 1 and top["scope"] == "asset":
        asset = ""
    date = f"{top['date']:%Y-%m-%d}"
    distance = number(top["cooks_distance"], 3)
    residual = t_text(top["studentised"])
    term = top["term"]
    estimate = number(top["estimate"])
    without = number(top["estimate_without"])
    size = abs(top["dfbetas"])
    move = number(size, 3)
    return (
        f"The most influential row is {date}{asset} "
        f"(Cook's distance {distance}, studentised residual {residual}): "
        f"{term} is {estimate} with it, {without} without it, "
        f"a change of {move} standard errors."
    )
