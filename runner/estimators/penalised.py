"""Ridge, LASSO and elastic net of every unit of a panel, with a penalty that is given or chosen on
folds.
"""

from __future__ import annotations

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
    from runner.models.regression import Regression
    from runner.panels.panel import Panel

FOLDS = 5  # that choose a penalty where no splitter is given


class Parts(NamedTuple):
    """How F folds divide R rows into S segments: of each row (R,), and which each fold trains and
    tests on (F, S).
    """

    segment: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @property
    def every(self) -> np.ndarray:
        """(S,) all segments."""
        return np.ones(self.train.shape[1], dtype=bool)


def estimate(model: Regression, panel: Panel, rows: np.ndarray) -> Estimates:
    """Every regression of the model on these rows of the panel.

    Raises:
        DataError: the rows are too few for the folds that choose the penalty.
    """
    found = nothing(units(panel, rows, model.by), len(model.terms(panel.names)))
    found.absorbed = np.full(1, np.nan)  # degrees of freedom are not those of least squares
    parts = _parts(model, panel, rows)
    source = reductions(model, panel, rows, found.units, parts.segment)
    if source.M is not None:
        found.n[:] = source.M[:, :, 0, 0].sum(axis=0)
    else:
        found.n[:] = [panel.valid[np.ix_(unit.rows, unit.assets)].sum() for unit in found.units]
    over_dates = model.by == DATE and model.penalty is None
    done = _at_once(found, source)
    curves = (
        _over_dates(found, source, parts)
        if over_dates
        else _one_by_one(found, source, parts, ~done)
    )
    if curves:
        named = [
            Unit("mean", "all", *unit[2:]) if over_dates else unit
            for unit in (found.units[u] for u in curves)
        ]
        terms = model.terms(panel.names)[model.constant :]
        found.findings = {"path": finding(model, named, list(curves.values()), terms)}
    return found


def _parts(model: Regression, panel: Panel, rows: np.ndarray) -> Parts:
    """The folds of the rows fitted; none where the penalty is given.

    Raises:
        DataError: what the splitter says of its settings.
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
        raise DataError(
            [f"model.folds{line} (counted in the {R} rows fitted)" for line in lines]
        ) from error
    if not folds:
        raise DataError("model.folds: gives no fold; allowed: a splitter that does, or a penalty")
    member = np.zeros((2, len(folds), len(rows)), dtype=bool)
    for f, fold in enumerate(folds):
        member[0, f, fold.train], member[1, f, fold.test] = True, True
    kinds, segment = np.unique(member.reshape(-1, len(rows)), axis=1, return_inverse=True)
    return Parts(segment.ravel(), *np.split(kinds, 2))


def _at_once(found: Estimates, source: Reductions) -> np.ndarray:
    """Fill in the units of a ridge with a given penalty that their moments solve together, and say
    which (U,).
    """
    model, none = source.model, np.zeros(len(found.units), dtype=bool)
    if (
        model.estimator != "ridge"
        or model.penalty is None
        or not model.constant
        or source.M is None
    ):
        return none
    names = model.terms(source.panel.names)[1:]
    if not names or dummies_of(names):
        return none
    b, ssr, tss, sound = ridge_of_units(source.M[0], source.shift, model.penalty, model.standardise)
    found.b[sound], found.ssr[sound], found.tss[sound] = b[sound], ssr[sound], tss[sound]
    return sound


def _one_by_one(
    found: Estimates, source: Reductions, parts: Parts, left: np.ndarray
) -> dict[int, Curve]:
    """Fill in the units `left` (U,), each with a penalty of its own; the curves of those whose
    penalty was chosen.
    """
    curves = {}
    for u in map(int, np.flatnonzero(left)):
        try:
            whole, b, curve = source.either(u, partial(_fitted, source.model, parts))
        except NotEstimable as error:
            found.reason[u] = str(error)
            continue
        _fill(found, u, whole, b)
        if curve is not None:
            curves[u] = curve
    return curves


def _fitted(
    model: Regression, parts: Parts, data: Sums | Cells
) -> tuple[Reduced, np.ndarray, Curve | None]:
    """One unit reduced, its slopes (K,) on the scaled regressors, and the curve that chose the
    penalty.
    """
    whole = _whole(data, parts.every)
    if model.penalty is not None:
        return whole, solve(whole, strength(model, np.array([model.penalty]), whole.n))[0], None
    penalties, errors = grid(model, largest(model, whole)), []
    for train, test in zip(parts.train, parts.test, strict=True):
        if (part := data.reduced(train)) is not None:
            n, squared = data.squared(
                test, *part.line(solve(part, strength(model, penalties, part.n)))
            )
            errors += [squared / n] if n else []
    b = solve(whole, strength(model, penalties, whole.n))
    curve = Curve(
        penalties,
        _by_fold(errors, penalties),
        whole.line(b)[1],
        whole.spread,
        np.sum(b != 0.0, axis=1),
    )
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


def _over_dates(found: Estimates, source: Reductions, parts: Parts) -> dict[int, Curve]:
    """Fill in every date, with one penalty for all: the mean line over training dates forecasts
    test dates.
    """
    model, one, whole = source.model, np.array([True]), {}
    for u in range(len(found.units)):
        try:
            whole[u] = source.either(u, partial(_whole, every=one))
        except NotEstimable as error:
            found.reason[u] = str(error)
    if not whole:
        return {}
    try:
        penalties = grid(model, max(largest(model, data) for data in whole.values()))
        lines = {
            u: data.line(solve(data, strength(model, penalties, data.n)))
            for u, data in whole.items()
        }
        curve = _curve_over_dates(source, parts, penalties, whole, lines)
        at = curve.chosen(model.choice)
    except NotEstimable as error:
        for u in whole:
            found.reason[u] = str(error)
        return {}
    for u, data in whole.items():
        _fill(found, u, data, lines[u][1][at] * data.scale)
    return {next(iter(whole)): curve}


def _curve_over_dates(
    source: Reductions,
    parts: Parts,
    penalties: np.ndarray,
    whole: dict[int, Reduced],
    lines: dict[int, tuple[np.ndarray, np.ndarray]],
) -> Curve:
    """Errors of the mean line over training dates on the cells of test dates."""
    one, errors = np.array([True]), []
    for train, test in zip(parts.train, parts.test, strict=True):
        known = [lines[u] for u in np.flatnonzero(train[parts.segment]).tolist() if u in whole]
        if known:
            constant, slopes = (np.mean(values, axis=0) for values in zip(*known, strict=True))
            score = partial(_squared, part=one, constant=constant, slopes=slopes)
            tests = [source.either(u, score) for u in np.flatnonzero(test[parts.segment]).tolist()]
            n = sum(rows for rows, _ in tests)
            errors += [np.sum([squared for _, squared in tests], axis=0) / n] if n else []
    slopes = np.mean([b for _, b in lines.values()], axis=0)
    spread = np.mean([data.spread for data in whole.values()], axis=0)
    kept = np.mean([np.sum(b != 0.0, axis=1) for _, b in lines.values()], axis=0)
    return Curve(penalties, _by_fold(errors, penalties), slopes, spread, kept)


def _squared(
    data: Sums | Cells, part: np.ndarray, constant: np.ndarray, slopes: np.ndarray
) -> tuple[int, np.ndarray]:
    return data.squared(part, constant, slopes)


def _by_fold(errors: list[np.ndarray], penalties: np.ndarray) -> np.ndarray:
    """(F, L), of no fold too."""
    return np.array(errors).reshape(-1, len(penalties))


def _fill(found: Estimates, u: int, whole: Reduced, b: np.ndarray) -> None:
    """Write down one unit from its slopes (K,) on the scaled regressors."""
    constant, slopes = whole.line(b)
    found.b[u] = slopes if len(slopes) == found.b.shape[1] else np.append(constant, slopes)
    found.ssr[u], found.tss[u] = whole.ssr(b), whole.z @ whole.z
