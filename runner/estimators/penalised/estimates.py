"""Ridge, LASSO and elastic net of every unit, with a penalty that is given or chosen on folds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.errors import DataError
from runner.estimators.estimates import Estimates, nothing
from runner.estimators.penalised.penalty import Curve, finding, grid, largest, strength
from runner.estimators.penalised.reductions import Cells, Lost, Reductions, Sums, reductions
from runner.estimators.penalised.ridge import ridge_of_units
from runner.estimators.penalised.shrinkage import Reduced, dummies_of
from runner.estimators.penalised.solvers import solve
from runner.numerics.least_squares import NotEstimable
from runner.panels.units import DATE, Unit, units
from runner.validation.splitters import WalkForward, split_usable

if TYPE_CHECKING:
    from runner.estimators.settings import RegressionSettings
    from runner.panels.panel import Panel

FOLDS = 5  # that choose a penalty where no splitter is given


class Parts(NamedTuple):
    """How F folds divide R rows into S segments.

    Attributes:
        segment: (R,) the segment of each row.
        train, test: (F, S) which segments each fold trains and tests on.
    """

    segment: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @property
    def every(self) -> np.ndarray:
        """(S,) all segments."""
        S = self.train.shape[1]
        return np.ones(S, dtype=bool)


def estimate(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> Estimates:
    """Every regression of the model on these rows of the panel.

    Raises:
        DataError: the rows are too few for the folds that choose the penalty.
    """
    all_terms = model.terms(panel.names)
    group = units(panel, rows, model.by)
    number_of_terms = len(all_terms)
    estimates = nothing(group, number_of_terms)
    estimates.absorbed[:] = np.nan  # degrees of freedom are not those of least squares
    parts = _parts(model, panel, rows)
    source = reductions(model, panel, rows, group, parts.segment)
    estimates.n[:] = _rows_of_units(source, panel, group)
    solved = _at_once(estimates, source)
    over_dates = model.by == DATE and model.penalty is None
    if over_dates:
        curves = _over_dates(estimates, source, parts)
    else:
        curves = _one_by_one(estimates, source, parts, ~solved)
    if not curves:
        return estimates
    named = [group[u] for u in curves]
    if over_dates:
        named = [unit._replace(scope="mean", name="all") for unit in named]
    terms = all_terms[model.constant :]
    of_units = list(curves.values())
    path = finding(model, named, of_units, terms)
    return replace(estimates, findings={"path": path})


def _rows_of_units(source: Reductions, panel: Panel, group: list[Unit]) -> np.ndarray | list[int]:
    """How many rows (U,) each unit has."""
    if source.M is not None:
        rows = source.M[:, :, 0, 0]
        rows_of_unit = rows.sum(axis=0)
        return np.asarray(rows_of_unit)
    rows_of_units = []
    for unit in group:
        cells = panel.cells.of(unit.rows, unit.assets)
        usable_cells = cells.usable_by_date().sum()
        rows_of_units.append(int(usable_cells))
    return rows_of_units


def _parts(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> Parts:
    """The folds of the rows fitted; none where the penalty is given.

    Raises:
        DataError: settings that the splitter refuses.
    """
    if model.penalty is not None:
        none = np.empty((0, 1), dtype=bool)
        R = len(rows)
        segment = np.zeros(R, dtype=int)
        return Parts(segment, none, none)
    usable = panel.usable[rows]
    R = int(usable.sum())
    if model.folds is None and R <= FOLDS:
        needed = FOLDS + 1
        raise DataError(
            f"model.folds: null takes {FOLDS} expanding folds; {R} rows fitted, needs {needed}"
        )
    parts_of_rows = FOLDS + 1
    test = R // parts_of_rows
    tested_rows = FOLDS * test
    first = R - tested_rows
    expanding = WalkForward(test=test, first=first)
    splitter = model.folds or expanding
    try:
        dates = panel.dates[rows]
        folds = split_usable(splitter, dates, usable, panel.horizon, rows)
    except DataError as error:
        lines = [line.removeprefix("validation") for line in error.mistakes]
        counted = f"(counted in the {R} rows fitted)"
        mistakes = [f"model.folds{line} {counted}" for line in lines]
        raise DataError(mistakes) from error
    if not folds:
        raise DataError("model.folds: gives no fold; allowed: a splitter that does, or a penalty")
    F = len(folds)
    shape = (2 * F, len(rows))
    member = np.zeros(shape, dtype=bool)
    for f, fold in enumerate(folds):
        member[f, fold.train] = True
        row = F + f
        member[row, fold.test] = True
    # rows that are in the same parts of the same folds make a segment
    kinds, segment = np.unique(member, axis=1, return_inverse=True)
    of_train = kinds[:F]
    of_test = kinds[F:]
    flat_segment = segment.ravel()
    return Parts(flat_segment, of_train, of_test)


def _at_once(estimates: Estimates, source: Reductions) -> np.ndarray:
    """Fill in the units that their moments solve together, and return which these are (U,).

    Those of a ridge with a constant and a given penalty.
    """
    model = source.model
    U = len(estimates.units)
    none = np.zeros(U, dtype=bool)
    if model.estimator != "ridge" or model.penalty is None or not model.constant:
        return none
    terms = model.terms(source.panel.names)
    names = terms[1:]
    if source.M is None or not names or dummies_of(names):
        return none
    M = source.M[0]
    b, ssr, tss, sound = ridge_of_units(M, source.shift, model.penalty, model.standardise)
    estimates.b[sound] = b[sound]
    estimates.ssr[sound] = ssr[sound]
    estimates.tss[sound] = tss[sound]
    return sound


def _one_by_one(
    estimates: Estimates, source: Reductions, parts: Parts, left: np.ndarray
) -> dict[int, Curve]:
    """Fill in the units `left` (U,), each with a penalty of its own.

    Returns:
        The curves of the units whose penalty was chosen.
    """
    curves = {}
    for u in np.flatnonzero(left).tolist():
        try:
            fit = partial(_fitted, source.model, parts)
            whole, b, curve = source.either(u, fit)
        except NotEstimable as error:
            reason = str(error)
            estimates.without_estimates(u, reason=reason)
            continue
        _fill(estimates, u, whole, b)
        if curve is not None:
            curves[u] = curve
    return curves


def _fitted(
    model: RegressionSettings, parts: Parts, data: Sums | Cells
) -> tuple[Reduced, np.ndarray, Curve | None]:
    """One unit reduced, its slopes (K,) on scaled regressors, and the curve of its penalty."""
    whole = _whole(data, parts.every)
    if model.penalty is not None:
        given = np.array([model.penalty])
        penalty = strength(model, given, whole.n)
        b = solve(whole, penalty)
        return whole, b[0], None
    most = largest(model, whole)
    penalties = grid(model, most)
    errors = []
    for train, test in zip(parts.train, parts.test, strict=True):
        training = data.reduced(train)
        if training is None:
            continue
        penalty = strength(model, penalties, training.n)
        b = solve(training, penalty)
        constant, slopes = training.line(b)
        n, squared = data.squared(test, constant, slopes)
        if n:
            mean_squared = squared / n
            errors.append(mean_squared)
    penalty = strength(model, penalties, whole.n)
    b = solve(whole, penalty)
    _, slopes = whole.line(b)
    nonzero = b != 0.0
    terms = np.sum(nonzero, axis=1)
    by_fold = _by_fold(errors, penalties)
    curve = Curve(penalties, by_fold, slopes, whole.spread, terms)
    position = curve.chosen(model.choice)
    return whole, b[position], curve


def _whole(data: Sums | Cells, every: np.ndarray) -> Reduced:
    """All rows of a unit.

    Raises:
        NotEstimable: they have no penalised regression.
    """
    if isinstance(data, Cells):
        data.refuse()
    whole = data.reduced(every)
    if whole is None:
        raise Lost
    return whole


def _over_dates(estimates: Estimates, source: Reductions, parts: Parts) -> dict[int, Curve]:
    """Fill in every date, with one penalty for all.

    The mean line over training dates forecasts test dates.
    """
    model = source.model
    whole = _dates_reduced(estimates, source)
    if not whole:
        return {}
    try:
        most = max(largest(model, data) for data in whole.values())
        penalties = grid(model, most)
        lines = {}
        for u, data in whole.items():
            penalty = strength(model, penalties, data.n)
            b = solve(data, penalty)
            lines[u] = data.line(b)
        curve = _curve_over_dates(source, parts, penalties, whole, lines)
        position = curve.chosen(model.choice)
    except NotEstimable as error:
        for u in whole:
            reason = str(error)
            estimates.without_estimates(u, reason=reason)
        return {}
    for u, data in whole.items():
        _, slopes = lines[u]
        of_unit = slopes[position]
        scaled = of_unit * data.scale
        _fill(estimates, u, data, scaled)
    first = next(iter(whole))
    return {first: curve}


def _dates_reduced(estimates: Estimates, source: Reductions) -> dict[int, Reduced]:
    """The rows of every date that has a penalised regression; the others have their reason."""
    every = np.array([True])  # a date is one segment
    whole = {}
    number_of_units = len(estimates.units)
    for u in range(number_of_units):
        try:
            reduce = partial(_whole, every=every)
            whole[u] = source.either(u, reduce)
        except NotEstimable as error:
            reason = str(error)
            estimates.without_estimates(u, reason=reason)
    return whole


def _curve_over_dates(
    source: Reductions,
    parts: Parts,
    penalties: np.ndarray,
    whole: dict[int, Reduced],
    lines: dict[int, tuple[np.ndarray, np.ndarray]],
) -> Curve:
    """Errors of the mean line over training dates on the cells of test dates."""
    every = np.array([True])
    errors = []
    for train, test in zip(parts.train, parts.test, strict=True):
        in_train = train[parts.segment]
        positions = np.flatnonzero(in_train)
        train_dates = positions.tolist()
        known = [lines[u] for u in train_dates if u in whole]
        if not known:
            continue
        constants, slopes_of_dates = zip(*known, strict=True)
        constant = np.mean(constants, axis=0)
        slopes = np.mean(slopes_of_dates, axis=0)
        score = partial(_squared, part=every, constant=constant, slopes=slopes)
        in_test = test[parts.segment]
        positions_tested = np.flatnonzero(in_test)
        test_dates = positions_tested.tolist()
        tests = [source.either(u, score) for u in test_dates]
        n = sum(rows for rows, _ in tests)
        if n:
            squared = np.sum([squares for _, squares in tests], axis=0)
            mean_squared = squared / n
            errors.append(mean_squared)
    by_date = [slopes for _, slopes in lines.values()]
    spreads = [data.spread for data in whole.values()]
    terms = [np.sum(slopes != 0.0, axis=1) for slopes in by_date]
    by_fold = _by_fold(errors, penalties)
    return Curve(
        penalties,
        by_fold,
        slopes=np.mean(by_date, axis=0),
        spread=np.mean(spreads, axis=0),
        terms=np.mean(terms, axis=0),
    )


def _squared(
    data: Sums | Cells, part: np.ndarray, constant: np.ndarray, slopes: np.ndarray
) -> tuple[int, np.ndarray]:
    """Rows of a part, and sums (L,) of squared errors of these lines on them."""
    return data.squared(part, constant, slopes)


def _by_fold(errors: list[np.ndarray], penalties: np.ndarray) -> np.ndarray:
    """(F, L), of no fold too."""
    L = len(penalties)
    by_fold = np.array(errors)
    return by_fold.reshape(-1, L)


def _fill(estimates: Estimates, u: int, whole: Reduced, b: np.ndarray) -> None:
    """Fill in one unit from its slopes (K,) on the scaled regressors."""
    constant, slopes = whole.line(b)
    terms = estimates.b.shape[1]
    if terms > len(slopes):
        slopes = np.append(constant, slopes)
    estimates.b[u] = slopes
    estimates.ssr[u] = whole.ssr(b)
    z = whole.z
    estimates.tss[u] = z @ z
