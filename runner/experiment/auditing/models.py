"""Splitters and models: what a fold trains on, and whether what is not known yet moves a fit or a
forecast.

Each fold that is tried is cut down to some rows and assets. All that is not training data is then
replaced twice, by targets that the features explain and by targets that are noise, so that a scale,
a mean or a penalty that was chosen on them must move too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.errors import RunnerError
from runner.experiment.auditing.tally import CLEAN, LEAK, UNTRIED, line, moved_rows, size_of
from runner.models.model import Model
from runner.panels.panel import Panel
from runner.text import count
from runner.validation.folds import Fold
from runner.validation.splitters import Splitter

LOUD = 3.0  # standard deviations of the target that replace it outside of the training rows
TESTED = 4  # test rows of a fold that are forecast
KINDS = ("explained", "noise")  # of targets that replace those outside of the training rows
Row = dict[str, Any]


class Size(NamedTuple):
    """How much is tried: most folds, training rows, other rows and assets of each."""

    folds: int
    train: int
    others: int
    assets: int


QUICK = Size(folds=2, train=250, others=250, assets=40)
THOROUGH = Size(folds=60, train=5000, others=2500, assets=120)


def splits_tried(folds: Sequence[Fold], panel: Panel, model: Model) -> list[Row]:
    """Does a fold train on rows that it tests, or on targets that reach into them; and the folds
    inside likewise?
    """
    rows = [_split("validation", folds, len(panel.dates), panel.horizon, panel.dates)]
    inner = getattr(model, "folds", None)
    if not isinstance(inner, Splitter):
        return rows
    checked = []
    for fold in folds or [Fold("all", np.arange(len(panel.dates)), np.arange(0), np.arange(0))]:
        dates = panel.dates[fold.train]
        try:
            checked.append(
                _split(
                    "model.folds",
                    inner.split(dates, panel.horizon),
                    len(dates),
                    panel.horizon,
                    dates,
                )
            )
        except RunnerError as error:
            checked.append(line("model.folds", "folds", f"{UNTRIED}: {str(error).splitlines()[0]}"))
    leaking = [row for row in checked if row["verdict"] == LEAK]
    return [*rows, (leaking or checked)[0]]


def _split(where: str, folds: Sequence[Fold], T: int, horizon: int, dates: pd.DatetimeIndex) -> Row:
    """One row of the table for all folds of a splitter."""
    check = f"training rows of {count(len(folds), 'fold')}"
    shared, reaching, beyond = list[Any](), list[Any](), list[Any]()
    for fold in folds:
        outside = [row for row in (*fold.train, *fold.test) if not 0 <= row < T]
        beyond += [(fold.name, row) for row in outside]
        if outside:
            continue
        tested = np.zeros(T, dtype=bool)
        tested[fold.test] = True
        shared += [(fold.name, row) for row in fold.train[tested[fold.train]]]
        reach = _reaching(tested, horizon)
        late = fold.train[reach[fold.train] & ~tested[fold.train]]
        if len(late) > fold.leaking:
            reaching += [(fold.name, row) for row in late]
    values = sum(len(fold.train) for fold in folds)
    if beyond:
        text = f"{where}: fold {beyond[0][0]} has row {beyond[0][1]}, of {T:,} rows counted from 0"
        return line(where, check, LEAK, text, moved=len(beyond), values=values)
    for found, what in (
        (shared, "trains on rows that it tests"),
        (reaching, f"trains on targets over {count(horizon, 'row')} that reach into its test rows"),
    ):
        if found:
            first = dates[min(row for _, row in found)]
            others = len({name for name, _ in found}) - 1
            more = f", as {others} more do" if others else ""
            text = f"{where}: fold {found[0][0]} {what}{more}; from {first:%Y-%m-%d}"
            return line(where, check, LEAK, text, moved=len(found), values=values, first_date=first)
    return line(where, check, CLEAN if folds else f"{UNTRIED}: no fold", values=values)


def _reaching(tested: np.ndarray, horizon: int) -> np.ndarray:
    """Mask (T,) of rows whose target shares a return with that of a test row, in either
    direction.
    """
    reach = max(horizon - 1, 0)
    kernel = np.ones(2 * reach + 1)
    return (
        np.convolve(tested.astype(float), kernel, mode="same")[: len(tested)] > 0.5
        if reach
        else tested
    )


@dataclass(frozen=True)
class Part:
    """Some rows and assets of one fold.

    Attributes:
        panel: (t, n) the part; train, test: positions of rows in it.
        others: versions of the panel in which everything but the training rows differs.
        fits: what the model makes of the training rows, by the name of its method.
    """

    name: str
    panel: Panel
    train: np.ndarray
    test: np.ndarray
    others: list[Panel]
    fits: dict[str, Any] = field(default_factory=dict)


def models_tried(
    model: Model, panel: Panel, folds: Sequence[Fold], size: Size, rng: np.random.Generator
) -> list[Row]:
    """Fits, predictions and forecasts of some folds: the first, and others that are drawn; all of
    them if few.
    """
    later = np.arange(1, len(folds))
    if len(later) > size.folds - 1:
        later = np.sort(rng.choice(later, size=size.folds - 1, replace=False))
    tried = [folds[k] for k in (0, *later.tolist())] if folds else []
    tried = [fold for fold in tried if len(fold.train) and len(fold.test)]
    parts = [part for part in (_part(panel, fold, size, rng) for fold in tried) if part is not None]
    if not parts:
        return []
    checks = {
        "fit on training rows, other rows changed": (
            _fit_moves,
            "model: what it fits on training rows moves with the other rows",
        ),
        "prediction, targets of the test rows removed": (
            _prediction_sees,
            "model: its predictions move with the targets of the rows that they are of",
        ),
        "prediction, later test rows changed": (
            _prediction_looks,
            "model: its predictions move with features of later rows",
        ),
    }
    if type(model).forecast is not Model.forecast:
        checks["forecast, all that is not known yet changed"] = (
            _forecast_moves,
            "model: its forecasts move with rows that are not known when they are made",
        )
    return [_row(check, test, text, model, parts) for check, (test, text) in checks.items()]


def _row(check: str, test: Any, text: str, model: Model, parts: Sequence[Part]) -> Row:
    """One check on every part: a leak where it moves in any of them."""
    values, moved, failures = 0, list[str](), list[str]()
    for part in parts:
        try:
            numbers, moves = test(model, part)
        except RunnerError as error:
            failures.append(str(error).splitlines()[0])
            continue
        except Exception as error:
            failures.append(f"raised {type(error).__name__}: {' '.join(str(error).split())}")
            continue
        values += numbers
        moved += [part.name] if moves else []
    what = f"{check} ({count(len(parts), 'fold')})"
    if moved:
        where = f" (fold {moved[0]})"
        return line("model", what, LEAK, text + where, moved=len(moved), values=values)
    reason = failures[0] if failures else "no number to compare"
    return line("model", what, CLEAN if values else f"{UNTRIED}: {reason}", values=values)


def _part(panel: Panel, fold: Fold, size: Size, rng: np.random.Generator) -> Part | None:
    """The last training rows, the test rows and others beside them, of some assets."""
    train = fold.train[-size.train :]
    test = fold.test[:TESTED]
    outside = np.setdiff1d(np.arange(len(panel.dates)), fold.train)
    near = outside[np.argsort(np.abs(outside - test[0]), kind="stable")][: size.others]
    rows = np.unique(np.concatenate([train, test, near]))
    N = len(panel.assets)
    assets = np.sort(rng.choice(N, size=min(size.assets, N), replace=False))
    small = panel.part(rows, assets)
    own = np.isin(rows, train)
    others = [_changed(small, ~own, ~own, kind, rng) for kind in KINDS]
    return Part(fold.name, small, np.flatnonzero(own), np.flatnonzero(np.isin(rows, test)), others)


def _changed(
    panel: Panel, y_rows: np.ndarray, X_rows: np.ndarray, kind: str, rng: np.random.Generator
) -> Panel:
    """The panel with other targets and features in these rows: explained by the features, or noise
    beside them.
    """
    X, y = panel.X.copy(), panel.y.copy()
    X[X_rows] *= np.exp(0.5 * rng.standard_normal(X[X_rows].shape))
    known = panel.y[panel.valid]
    loud = LOUD * (size_of(known) or 1.0)
    if kind == "explained":
        columns = np.nan_to_num(X)
        spread = columns.std(axis=(0, 1))
        scaled = (columns - columns.mean(axis=(0, 1))) / np.where(spread > 0.0, spread, 1.0)
        values = loud * scaled.sum(axis=2) + 0.01 * loud * rng.standard_normal(y.shape)
    else:
        values = loud * rng.standard_normal(y.shape)
    if np.isin(known, (0.0, 1.0)).all():
        values = (values > 0.0).astype(float)
    y[y_rows] = np.where(np.isfinite(y[y_rows]), values[y_rows], np.nan)
    raw = panel.raw
    if raw is not None:
        raw = raw.copy()
        raw[y_rows] = np.where(np.isfinite(raw[y_rows]), np.abs(values[y_rows]), np.nan)
    return replace(panel, X=X, y=y, raw=raw)


def _fit_moves(model: Model, part: Part) -> tuple[int, bool]:
    """Estimates and predictions of the fit on training rows, the others as they are and changed."""
    test = _tested(model, part.panel, part.test)
    numbers, moves = 0, False
    for name in _fits(model):
        first = _fitted(model, name, part)
        expected = _predicted(model, first, test)
        numbers += int(np.isfinite(expected).sum()) + int(np.isfinite(first.params).sum())
        for other in part.others:
            second = getattr(model, name)(other, part.train)
            moves |= _differ(first.params, second.params)
            moves |= _differ(expected, _predicted(model, second, test))
    return numbers, moves


def _prediction_sees(model: Model, part: Part) -> tuple[int, bool]:
    """Predictions of the test rows with and without their targets."""
    if model.takes_targets:
        raise RunnerError(
            "predictions need the targets of their own row (takes_targets): the model explains them"
        )
    fit = _fitted(model, _fits(model)[0], part)
    first = _predicted(model, fit, part.panel.at(part.test))
    second = _predicted(model, fit, part.panel.without_targets(part.test))
    return int(np.isfinite(first).sum()), _differ(first, second)


def _prediction_looks(model: Model, part: Part) -> tuple[int, bool]:
    """Predictions of the first test rows, the features of the later ones as they are and
    changed.
    """
    first_rows = (len(part.test) + 1) // 2
    test = _tested(model, part.panel, part.test)
    later = np.arange(len(part.test)) >= first_rows
    fit = _fitted(model, _fits(model)[0], part)
    first = _predicted(model, fit, test)[:first_rows]
    X = test.X.copy()
    X[later] = LOUD * X[later] + size_of(X)
    second = _predicted(model, fit, replace(test, X=X))[:first_rows]
    return int(np.isfinite(first).sum()), _differ(first, second)


def _forecast_moves(model: Model, part: Part) -> tuple[int, bool]:
    """Forecasts of two test rows, all that is not known at the second of them as it is and
    changed.
    """
    panel, rows = part.panel, np.arange(len(part.panel.dates))
    test = part.test[:2]
    fold = Fold(part.name, part.train, test, np.arange(0))
    first = model.forecast(panel, fold)
    training = np.isin(rows, part.train)
    targets = (rows > test[-1] - max(panel.horizon, 1)) & ~training
    features = (rows > test[-1]) & ~training
    rng = np.random.default_rng(0)
    others = [_changed(panel, targets, features, kind, rng) for kind in KINDS]
    moves = any(_differ(first, model.forecast(other, fold)) for other in others)
    return int(np.isfinite(first).sum()), moves


def _fits(model: Model) -> list[str]:
    """Methods by which the model is fitted: that of forecasts first, and that of reports where
    another class, which may do otherwise, defines it."""
    both = ["fit_to_forecast", "fit"]
    forecasts, reports = (
        next(kind for kind in type(model).__mro__ if name in vars(kind)) for name in both
    )
    return both[:1] if forecasts in (Model, reports) else both


def _fitted(model: Model, name: str, part: Part) -> Any:
    """The fit on the training rows of the part as it is, made once."""
    if name not in part.fits:
        part.fits[name] = getattr(model, name)(part.panel, part.train)
    return part.fits[name]


def _tested(model: Model, panel: Panel, rows: np.ndarray) -> Panel:
    """The test rows as the model may see them."""
    return panel.at(rows) if model.takes_targets else panel.without_targets(rows)


def _predicted(model: Model, fit: Any, panel: Panel) -> np.ndarray:
    """Predictions (t, n), without date effects: those of test rows are not known."""
    return np.asarray(model.predict(replace(fit, date_effects=None), panel))


def _differ(first: np.ndarray, second: np.ndarray) -> bool:
    if first.shape != second.shape:
        return True
    first, second = np.atleast_2d(first), np.atleast_2d(second)
    return bool(moved_rows(first, second, size_of(first)).any())
