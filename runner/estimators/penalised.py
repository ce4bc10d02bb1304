"""Ridge, LASSO and elastic net of every unit, with a penalty that is given or chosen on folds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.errors import DataError
from runner.estimators.estimation import Estimates, nothing
from runner.estimators.penalty import Curve, finding, grid, largest, strength
from runner.estimators.reductions import Cells, Lost, Reductions, Sums, reductions
from runner.estimators.shrinkage import Reduced, dummies_of, ridge_of_units, solve
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
        return np.ones(self.train.shape[1], dtype=bool)


def estimate(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> Estimates:
    """Every regression of the model on these rows of the panel.

    Raises:
        DataError: the rows are too few for the folds that choose the penalty.
    """
    k = len(model.terms(panel.names))
    estimates = nothing(units(panel, rows, model.by), k)
    # degrees of freedom are not those of least squares
    estimates = replace(estimates, absorbed=np.full(1, np.nan))
    parts = _parts(model, panel, rows)
    source = reductions(model, panel, rows, estimates.units, parts.segment)
    estimates.n[:] = _rows_of_units(source, panel, estimates.units)
    solved = _at_once(estimates, source)
    over_dates = model.by == DATE and model.penalty is None
    if over_dates:
        curves = _over_dates(estimates, source, parts)
    else:
        curves = _one_by_one(estimates, source, parts, ~solved)
    if not curves:
        return estimates
    named = [estimates.units[u] for u in curves]
    if over_dates:
        named = [unit._replace(scope="mean", name="all") for unit in named]
    terms = model.terms(panel.names)[model.constant :]
    path = finding(model, named, list(curves.values()), terms)
    return replace(estimates, findings={"path": path})


def _rows_of_units(source: Reductions, panel: Panel, group: list[Unit]) -> np.ndarray | list[int]:
    """How many rows (U,) each unit has."""
    if source.M is not None:
        return np.asarray(source.M[:, :, 0, 0].sum(axis=0))
    return [panel.valid[np.ix_(unit.rows, unit.assets)].sum() for unit in group]


def _parts(model: RegressionSettings, panel: Panel, rows: np.ndarray) -> Parts:
    """The folds of the rows fitted; none where the penalty is given.

    Raises:
        DataError: settings that the splitter refuses.
    """
    if model.penalty is not None:
        none = np.empty((0, 1), dtype=bool)
        return Parts(np.zeros(len(rows), dtype=int), none, none)
    usable = panel.usable[rows]
    R = int(usable.sum())
    if model.folds is None and R <= FOLDS:
        raise DataError(
            f"model.folds: null takes {FOLDS} expanding folds; {R} rows fitted, needs {FOLDS + 1}"
        )
    test = R // (FOLDS + 1)
    splitter = model.folds or WalkForward(test=test, first=R - FOLDS * test)
    try:
        folds = split_usable(splitter, panel.dates[rows], usable, panel.horizon, rows)
    except DataError as error:
        lines = [line.removeprefix("validation") for line in error.mistakes]
        counted = f"(counted in the {R} rows fitted)"
        raise DataError([f"model.folds{line} {counted}" for line in lines]) from error
    if not folds:
        raise DataError("model.folds: gives no fold; allowed: a splitter that does, or a penalty")
    F = len(folds)
    member = np.zeros((2 * F, len(rows)), dtype=bool)
    for f, fold in enumerate(folds):
        member[f, fold.train] = True
        member[F + f, fold.test] = True
    # rows that are in the same parts of the same folds make a segment
    kinds, segment = np.unique(member, axis=1, return_inverse=True)
    return Parts(segment.ravel(), train=kinds[:F], test=kinds[F:])


def _at_once(estimates: Estimates, source: Reductions) -> np.ndarray:
    """Fill in the units that their moments solve together, and return which these are (U,).

    Those of a ridge with a constant and a given penalty.
    """
    model = source.model
    none = np.zeros(len(estimates.units), dtype=bool)
    if model.estimator != "ridge" or model.penalty is None or not model.constant:
        return none
    names = model.terms(source.panel.names)[1:]
    if source.M is None or not names or dummies_of(names):
        return none
    b, ssr, tss, sound = ridge_of_units(source.M[0], source.shift, model.penalty, model.standardise)
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
            whole, b, curve = source.either(u, partial(_fitted, source.model, parts))
        except NotEstimable as error:
            estimates.without_estimates(u, reason=str(error))
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
        given = strength(model, np.array([model.penalty]), whole.n)
        b = solve(whole, given)
        return whole, b[0], None
    penalties = grid(model, largest(model, whole))
    errors = []
    for train, test in zip(parts.train, parts.test, strict=True):
        training = data.reduced(train)
        if training is None:
            continue
        b = solve(training, strength(model, penalties, training.n))
        constant, slopes = training.line(b)
        n, squared = data.squared(test, constant, slopes)
        if n:
            errors.append(squared / n)
    b = solve(whole, strength(model, penalties, whole.n))
    _, slopes = whole.line(b)
    terms = np.sum(b != 0.0, axis=1)
    curve = Curve(penalties, _by_fold(errors, penalties), slopes, whole.spread, terms)
    return whole, b[curve.chosen(model.choice)], curve


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
            b = solve(data, strength(model, penalties, data.n))
            lines[u] = data.line(b)
        curve = _curve_over_dates(source, parts, penalties, whole, lines)
        at = curve.chosen(model.choice)
    except NotEstimable as error:
        for u in whole:
            estimates.without_estimates(u, reason=str(error))
        return {}
    for u, data in whole.items():
        _, slopes = lines[u]
        _fill(estimates, u, data, slopes[at] * data.scale)
    first = next(iter(whole))
    return {first: curve}


def _dates_reduced(estimates: Estimates, source: Reductions) -> dict[int, Reduced]:
    """The rows of every date that has a penalised regression; the others have their reason."""
    every = np.array([True])  # a date is one segment
    whole = {}
    for u in range(len(estimates.units)):
        try:
            whole[u] = source.either(u, partial(_whole, every=every))
        except NotEstimable as error:
            estimates.without_estimates(u, reason=str(error))
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
        train_dates = np.flatnonzero(train[parts.segment]).tolist()
        known = [lines[u] for u in train_dates if u in whole]
        if not known:
            continue
        constant = np.mean([line[0] for line in known], axis=0)
        slopes = np.mean([line[1] for line in known], axis=0)
        score = partial(_squared, part=every, constant=constant, slopes=slopes)
        test_dates = np.flatnonzero(test[parts.segment]).tolist()
        tests = [source.either(u, score) for u in test_dates]
        n = sum(rows for rows, _ in tests)
        if n:
            errors.append(np.sum([squared for _, squared in tests], axis=0) / n)
    by_date = [slopes for _, slopes in lines.values()]
    spreads = [data.spread for data in whole.values()]
    terms = [np.sum(slopes != 0.0, axis=1) for slopes in by_date]
    return Curve(
        penalties,
        _by_fold(errors, penalties),
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
    return np.array(errors).reshape(-1, len(penalties))


def _fill(estimates: Estimates, u: int, whole: Reduced, b: np.ndarray) -> None:
    """Fill in one unit from its slopes (K,) on the scaled regressors."""
    constant, slopes = whole.line(b)
    with_constant = estimates.b.shape[1] > len(slopes)
    estimates.b[u] = np.append(constant, slopes) if with_constant else slopes
    estimates.ssr[u] = whole.ssr(b)
    estimates.tss[u] = whole.z @ whole.z
