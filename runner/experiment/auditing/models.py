"""Splitters and models: what a fold trains on, and whether the unknown moves a fit or a forecast.

Each fold that is tried is cut down to some rows and assets. All that is not training data is then
replaced twice, by targets that the features explain and by targets that are noise, so that a scale,
a mean or a penalty that was chosen on them must move too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.errors import RunnerError
from runner.experiment.auditing.tally import CLEAN, LEAK, UNTRIED, line, moved_rows, size_of
from runner.models.model import Model
from runner.panels.panel import Panel
from runner.text import count, one_line
from runner.validation.folds import Fold
from runner.validation.splitters import Splitter

NEAR = 0.5  # standard deviation of the logarithm of the factors that change features
QUIET = 0.01  # noise beside targets that the features explain, relative to their size
LOUD = 3.0  # standard deviations of the target that replace it outside of the training rows
TESTED = 4  # test rows of a fold that are forecast
KINDS = ("explained", "noise")  # of targets that replace those outside of the training rows
Row = dict[str, Any]
FoldRow = tuple[str, Any]  # name of a fold, position of a row


class Size(NamedTuple):
    """How much is tried: most folds, training rows, other rows and assets of each."""

    folds: int
    train: int
    others: int
    assets: int


QUICK = Size(folds=2, train=250, others=250, assets=40)
THOROUGH = Size(folds=60, train=5000, others=2500, assets=120)


def splits_tried(folds: Sequence[Fold], panel: Panel, model: Model) -> list[Row]:
    """Does a fold train on rows that it tests, or on targets that reach into them?

    The folds inside a model are tried likewise, on the training rows of each fold.
    """
    rows = [_split("validation", folds, panel.horizon, panel.dates)]
    inner = getattr(model, "folds", None)
    if not isinstance(inner, Splitter):
        return rows
    checked = []
    for training_rows in _training_rows(folds, panel):
        dates = panel.dates[training_rows]
        try:
            inner_folds = inner.split(dates, panel.horizon)
            checked.append(_split("model.folds", inner_folds, panel.horizon, dates))
        except RunnerError as error:
            reason = str(error).splitlines()[0]
            untried = line("model.folds", "folds", f"{UNTRIED}: {reason}")
            checked.append(untried)
    leaking = [row for row in checked if row["verdict"] == LEAK]
    worst = leaking[0] if leaking else checked[0]
    return [*rows, worst]


def _training_rows(folds: Sequence[Fold], panel: Panel) -> list[np.ndarray]:
    """Training rows of each fold; all rows where there is none."""
    if not folds:
        return [np.arange(len(panel.dates))]
    return [fold.train for fold in folds]


def _split(where: str, folds: Sequence[Fold], horizon: int, dates: pd.DatetimeIndex) -> Row:
    """One row of the table for all folds of a splitter of the rows (T,) at these dates."""
    T = len(dates)
    check = f"training rows of {count(len(folds), 'fold')}"
    values = sum(len(fold.train) for fold in folds)
    shared = list[FoldRow]()
    reaching = list[FoldRow]()
    beyond = list[FoldRow]()
    for fold in folds:
        outside = [row for row in (*fold.train, *fold.test) if not 0 <= row < T]
        if outside:
            beyond += [(fold.name, row) for row in outside]
            continue
        is_tested = np.zeros(T, dtype=bool)
        is_tested[fold.test] = True
        trained_and_tested = fold.train[is_tested[fold.train]]
        shared += [(fold.name, row) for row in trained_and_tested]
        reaches = _reaching(is_tested, horizon) & ~is_tested
        late = fold.train[reaches[fold.train]]
        if len(late) > fold.leaking:
            reaching += [(fold.name, row) for row in late]
    if beyond:
        name, row = beyond[0]
        text = f"{where}: fold {name} has row {row}, of {T:,} rows counted from 0"
        return line(where, check, LEAK, text, moved=len(beyond), values=values)
    mistake = "trains on rows that it tests"
    leaks = shared
    if not shared:
        horizon_text = count(horizon, "row")
        mistake = f"trains on targets over {horizon_text} that reach into its test rows"
        leaks = reaching
    if not leaks:
        verdict = CLEAN if folds else f"{UNTRIED}: no fold"
        return line(where, check, verdict, values=values)
    first = dates[min(row for _, row in leaks)]
    text = f"{where}: {_whose(leaks, mistake)}; from {first:%Y-%m-%d}"
    return line(where, check, LEAK, text, moved=len(leaks), values=values, first_date=first)


def _whose(leaks: Sequence[FoldRow], mistake: str) -> str:
    """Which fold makes the mistake, and how many more do."""
    others = len({name for name, _ in leaks}) - 1
    as_others = f", as {others} more do" if others else ""
    return f"fold {leaks[0][0]} {mistake}{as_others}"


def _reaching(is_tested: np.ndarray, horizon: int) -> np.ndarray:
    """Mask (T,) of rows whose target shares a return with that of a test row, before or after."""
    reach = max(horizon - 1, 0)
    if reach == 0:
        return is_tested
    kernel = np.ones(2 * reach + 1)
    tested_near = np.convolve(is_tested.astype(float), kernel, mode="same")[: len(is_tested)]
    return tested_near > 0.5


@dataclass(frozen=True)
class Part:
    """Some rows and assets of one fold.

    Attributes:
        panel: (t, n) the part; train, test: positions of rows in it.
        others: versions of the panel in which everything but the training rows differs.
        fits: of the model on the training rows, by the name of its method.
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
    """Fits, predictions and forecasts of some folds: the first, and others that are drawn."""
    parts = _parts(panel, folds, size, rng)
    if not parts:
        return []
    checks = CHECKS
    kind = type(model)
    if kind.forecast is not Model.forecast:
        checks = [*CHECKS, FORECAST_CHECK]
    return [_row(check, model, parts) for check in checks]


def _parts(panel: Panel, folds: Sequence[Fold], size: Size, rng: np.random.Generator) -> list[Part]:
    """Parts of the folds that are tried, those without training or test rows left out."""
    if not folds:
        return []
    later = np.arange(1, len(folds))
    if len(later) > size.folds - 1:
        drawn = rng.choice(later, size=size.folds - 1, replace=False)
        later = np.sort(drawn)
    tried = [folds[k] for k in (0, *later.tolist())]
    return [_part(panel, fold, size, rng) for fold in tried if len(fold.train) and len(fold.test)]


def _row(check: Check, model: Model, parts: Sequence[Part]) -> Row:
    """One check on every part: a leak where it moves in any of them."""
    values = 0
    moved = list[str]()
    failures = list[str]()
    for part in parts:
        try:
            numbers, moves = check.test(model, part)
        except RunnerError as error:
            failures.append(str(error).splitlines()[0])
            continue
        except Exception as error:
            text = one_line(error)
            failures.append(f"raised {type(error).__name__}: {text}")
            continue
        values += numbers
        if moves:
            moved.append(part.name)
    name = f"{check.name} ({count(len(parts), 'fold')})"
    if moved:
        text = f"{check.leak} (fold {moved[0]})"
        return line("model", name, LEAK, text, moved=len(moved), values=values)
    reason = failures[0] if failures else "no number to compare"
    verdict = CLEAN if values else f"{UNTRIED}: {reason}"
    return line("model", name, verdict, values=values)


def _part(panel: Panel, fold: Fold, size: Size, rng: np.random.Generator) -> Part:
    """The last training rows, the test rows and others beside them, of some assets."""
    train = fold.train[-size.train :]
    test = fold.test[:TESTED]
    every_row = np.arange(len(panel.dates))
    outside = np.setdiff1d(every_row, fold.train)
    distance = np.abs(outside - test[0])
    near = outside[np.argsort(distance, kind="stable")][: size.others]
    chosen = [train, test, near]
    all_chosen = np.concatenate(chosen)
    rows = np.unique(all_chosen)
    N = len(panel.assets)
    most = min(size.assets, N)
    drawn_assets = rng.choice(N, size=most, replace=False)
    assets = np.sort(drawn_assets)
    small = panel.part(rows, assets)
    is_train = np.isin(rows, train)
    is_test = np.isin(rows, test)
    others = [_changed(small, ~is_train, ~is_train, kind, rng) for kind in KINDS]
    train_rows = np.flatnonzero(is_train)
    test_rows = np.flatnonzero(is_test)
    return Part(fold.name, small, train_rows, test_rows, others)


def _changed(
    panel: Panel, y_rows: np.ndarray, X_rows: np.ndarray, kind: str, rng: np.random.Generator
) -> Panel:
    """The panel with other targets and features in these rows.

    Args:
        y_rows, X_rows: (T,) rows in which the targets and the features are changed.
        kind: `explained`, targets that follow from the features, or `noise` beside them.
    """
    X = panel.X.copy()
    y = panel.y.copy()
    X[X_rows] *= np.exp(NEAR * rng.standard_normal(X[X_rows].shape))
    known = panel.y[panel.valid]
    scale = size_of(known) or 1.0
    loud = LOUD * scale
    if kind == "explained":
        noise = QUIET * loud * rng.standard_normal(y.shape)
        values = loud * _standardised(X).sum(axis=2) + noise
    else:
        values = loud * rng.standard_normal(y.shape)
    is_binary = np.isin(known, (0.0, 1.0)).all()
    if is_binary:
        is_positive = values > 0.0
        values = is_positive.astype(float)
    new_targets = values[y_rows]
    had_target = np.isfinite(y[y_rows])
    y[y_rows] = np.where(had_target, new_targets, np.nan)
    raw = panel.raw
    if raw is not None:
        raw = raw.copy()
        is_known = np.isfinite(raw[y_rows])
        sizes = np.abs(new_targets)
        raw[y_rows] = np.where(is_known, sizes, np.nan)
    return panel.with_arrays(X=X, y=y, raw=raw)


def _standardised(X: np.ndarray) -> np.ndarray:
    """Columns (T, N, K) about their means over their spreads, missing values as zero."""
    columns = np.nan_to_num(X)
    spread = columns.std(axis=(0, 1))
    scale = np.where(spread > 0.0, spread, 1.0)
    mean = columns.mean(axis=(0, 1))
    standardised = (columns - mean) / scale
    return np.asarray(standardised)


def _fit_moves(model: Model, part: Part) -> tuple[int, bool]:
    """Estimates and predictions of the fit on training rows, the others as they are and changed."""
    test = _tested(model, part.panel, part.test)
    numbers = 0
    moves = False
    for name in _fits(model):
        first = _fitted(model, name, part)
        expected = _predicted(model, first, test)
        numbers += int(np.isfinite(expected).sum())
        numbers += int(np.isfinite(first.params).sum())
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
    """Predictions of the first test rows, features of the later ones as they are and changed."""
    half = (len(part.test) + 1) // 2
    test = _tested(model, part.panel, part.test)
    fit = _fitted(model, _fits(model)[0], part)
    first = _predicted(model, fit, test)[:half]
    X = test.X.copy()
    louder = LOUD * X[half:]
    X[half:] = louder + size_of(X)
    second = _predicted(model, fit, test.with_arrays(X=X))[:half]
    return int(np.isfinite(first).sum()), _differ(first, second)


def _forecast_moves(model: Model, part: Part) -> tuple[int, bool]:
    """Forecasts of two test rows, all that is not known at the second as it is and changed."""
    panel = part.panel
    test = part.test[:2]
    fold = Fold(part.name, part.train, test, np.arange(0))
    first = model.forecast(panel, fold)
    rows = np.arange(len(panel.dates))
    is_training = np.isin(rows, part.train)
    last = test[-1]
    known_until = last - max(panel.horizon, 1)
    not_yet_known = rows > known_until
    unknown_targets = not_yet_known & ~is_training
    is_later = rows > last
    unknown_features = is_later & ~is_training
    rng = np.random.default_rng(0)
    others = [_changed(panel, unknown_targets, unknown_features, kind, rng) for kind in KINDS]
    moves = any(_differ(first, model.forecast(other, fold)) for other in others)
    is_forecast = np.isfinite(first)
    forecasts = is_forecast.sum()
    return int(forecasts), moves


class Check(NamedTuple):
    """One way to try a model.

    Attributes:
        name: in the table.
        test: numbers compared on a part, and whether any of them moves.
        leak: the sentence where one moves.
    """

    name: str
    test: Callable[[Model, Part], tuple[int, bool]]
    leak: str


CHECKS = [
    Check(
        "fit on training rows, other rows changed",
        _fit_moves,
        "model: what it fits on training rows moves with the other rows",
    ),
    Check(
        "prediction, targets of the test rows removed",
        _prediction_sees,
        "model: its predictions move with the targets of the rows that they are of",
    ),
    Check(
        "prediction, later test rows changed",
        _prediction_looks,
        "model: its predictions move with features of later rows",
    ),
]
FORECAST_CHECK = Check(
    "forecast, all that is not known yet changed",
    _forecast_moves,
    "model: its forecasts move with rows that are not known when they are made",
)


def _fits(model: Model) -> list[str]:
    """Methods by which the model is fitted: that of forecasts, and that of reports if it differs.

    It may differ where another class of the model defines it.
    """
    forecasts = _definer(model, "fit_to_forecast")
    reports = _definer(model, "fit")
    if forecasts in (Model, reports):
        return ["fit_to_forecast"]
    return ["fit_to_forecast", "fit"]


def _definer(model: Model, method: str) -> type:
    """The class of the model that defines the method."""
    return next(kind for kind in type(model).__mro__ if method in vars(kind))


def _fitted(model: Model, name: str, part: Part) -> Any:
    """The fit on the training rows of the part as it is, made once."""
    if name not in part.fits:
        fitting = getattr(model, name)
        part.fits[name] = fitting(part.panel, part.train)
    return part.fits[name]


def _tested(model: Model, panel: Panel, rows: np.ndarray) -> Panel:
    """The test rows as the model may see them."""
    return panel.at(rows) if model.takes_targets else panel.without_targets(rows)


def _predicted(model: Model, fit: Any, panel: Panel) -> np.ndarray:
    """Predictions (t, n), without date effects: those of test rows are not known."""
    return np.asarray(model.predict(replace(fit, date_effects=None), panel))


def _differ(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether any value changed by more than rounding."""
    if first.shape != second.shape:
        return True
    before = np.atleast_2d(first)
    after = np.atleast_2d(second)
    return bool(moved_rows(before, after, size_of(before)).any())
