"""How far coefficients and the out-of-sample R2 move on data resampled, blurred, thinned, late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from runner.analyses.estimates.fold_stability import central, units_of
from runner.analyses.forecasts.monte_carlo_words import SCORE, metrics_of, words_of
from runner.analyses.forecasts.perturbations import (
    KINDS,
    Change,
    Perturbation,
    most,
    resampled_rows,
    rows_replaced,
)
from runner.errors import DataError, RunnerError
from runner.models.study import of_every_cell
from runner.panels.finding import Finding
from runner.schema.settings import Count, Draws, Positive, Rows, Share
from runner.text import count

if TYPE_CHECKING:
    from runner.models.fit import Fit
    from runner.models.model import Model
    from runner.models.study import Study
    from runner.panels.panel import Panel
    from runner.validation.splitters import Fold

Row = dict[str, object]  # of a table
COLUMNS = [
    "perturbation",
    "quantity",
    "original",
    "mean",
    "std",
    "q05",
    "q50",
    "q95",
    "same_sign",
    "draws",
    "failed",
    "reason",
]
COEFFICIENTS = "coef"  # key of the reason why a draw has no coefficients


@of_every_cell
def monte_carlo(
    study: Study,
    *,
    draws: Draws = 200,
    perturb: list[Perturbation] | None = None,
    block: Rows | None = None,
    noise: Positive = 0.1,
    drop: Share = 0.1,
    delay: Rows = 1,
    seed: Count = 0,
) -> Finding:
    """Coefficients and out-of-sample R2 refitted on perturbed data.

    Coefficients are the mean over units, or those of the one regression. bootstrap: dates are drawn
    with their whole cross-section, by the stationary bootstrap (Politis and Romano 1994); of a
    fold, training dates among themselves, and the dates that it forecasts among those of all folds.
    noise: independent normal noise is added to every feature, training and test, once per date
    where the feature is the same for all assets. assets: some are left out, others every draw.
    delay: features come later, on the same rows as far as there are earlier ones; one draw, as
    nothing is drawn: what lives on the row's own data ends here. R2 is against the training mean,
    over the folds without a locked hold-out, as `oos/r2`. Each draw costs one fit on all rows and
    one per fold, by point estimates: draws x ways x (1 + folds) fits.

    Args:
        perturb: which ways; null takes all four.
        block: mean rows of a block of dates; null takes the larger of the cube root of the rows and
            four horizons, at most a third of the rows.
        noise: standard deviation, as a share of that of the feature over all cells.
        drop: share of the assets left out, at least one of them, and one stays.
        delay: rows.
        seed: the same gives the same numbers.

    Raises:
        DataError: perturb is empty or repeats itself; neither coefficients nor folds; a block above
            a third of the rows.
    """
    import pandas as pd

    kinds = list(KINDS) if perturb is None else perturb
    different = set(kinds)
    repeats = len(different) < len(kinds)
    if not kinds or repeats:
        known = ", ".join(KINDS)
        raise DataError(f"perturb: given {kinds}; allowed: one or more of {known}, each once")
    T = len(study.panel.dates)
    longest = most(T)
    if block is not None and block > longest:
        rows_text = count(T, "row")
        raise DataError(
            f"block: given {block}; allowed: at most {longest}, a third of the {rows_text}"
        )
    panel = replace(study.panel, shared=None)  # its sums are of the data as it is
    model = point_estimates(study.model)
    folds = open_folds(study)
    study = replace(study, panel=panel, model=model, folds=folds)
    original = _original(study)
    rows: list[Row] = []
    heads: dict[str, str] = {}
    for kind in kinds:
        change = Change(kind, block, noise, drop, delay, seed)
        rows += _rows(study, change, original, draws)
        heads[kind] = change.words(panel)
    table = pd.DataFrame(rows, columns=COLUMNS)
    metrics = metrics_of(table)
    words = words_of(table, heads)
    return Finding(table, metrics, words, "monte_carlo")


def point_estimates(model: Model) -> Model:
    """The same model without what costs time and moves no estimate."""
    from runner.models.regression import Regression

    if not isinstance(model, Regression):
        return model
    return replace(
        model, cov="nonrobust", cov_lags=None, clusters=[], mean_lags=None, hypotheses=[]
    )


def open_folds(study: Study) -> list[Fold]:
    """The folds that forecast, without a locked hold-out unless there is nothing else."""
    from runner.validation.folds import HOLD_OUT, forecastable

    folds = [fold for fold in study.folds if fold.name != HOLD_OUT]
    if not folds:
        folds = study.folds
    return forecastable(study.panel, folds)


def _original(study: Study) -> dict[str, float]:
    """Every quantity on the data as it is.

    Raises:
        DataError: there is none.
    """
    quantities = {}
    if len(study.fit.coefficients):
        quantities = _coefficients(study.fit)
    if study.folds:
        quantities[SCORE] = out_of_sample(study.model, study.folds, study.panel)
    if not quantities:
        raise DataError(
            "model: has no coefficients, and validation no folds; allowed: at least one of them"
        )
    return quantities


def _coefficients(fit: Fit) -> dict[str, float]:
    table = central(fit)
    names = "coef/" + table["term"]
    return dict(zip(names, table["estimate"], strict=True))


def out_of_sample(
    model: Model,
    folds: Sequence[Fold],
    panel: Panel,
    block: int | None = None,
    rng: np.random.Generator | None = None,
) -> float:
    """R2 against the mean of each asset over its training rows, over all folds; a mean over paths.

    With a generator, the training dates of each fold and the dates that are forecast are resampled.

    Raises:
        DataError: nothing can be forecast.
        EstimationError: a fold has no estimates.
    """
    from runner.validation.benchmark import train_means

    T = len(panel.dates)
    paths = 1 + max(_last_path(fold) for fold in folds)
    squares = np.zeros((paths, T))
    naive_squares = np.zeros((paths, T))
    seen = np.zeros(T, dtype=bool)
    for fold in folds:
        train = panel
        if rng is not None:
            drawn = resampled_rows(panel, fold.train, block, rng)
            train = rows_replaced(panel, fold.train, drawn)
        test = fold.test
        scaled = model.forecast(train, fold)
        forecast = train.in_units(scaled)
        naive = train_means(train, fold.train)
        y = train.scored[test]
        known = np.isfinite(forecast)
        use = train.valid[test] & known
        path = 0 if fold.path is None else fold.path
        error = y - forecast
        naive_error = y - naive
        squares[path, test] += _sum_of_squares(error, use)
        naive_squares[path, test] += _sum_of_squares(naive_error, use)
        seen[test] |= use.any(axis=1)
    rows = np.flatnonzero(seen)
    if not len(rows):
        raise DataError("no test row can be forecast")
    if rng is not None:
        rows = resampled_rows(panel, rows, block, rng)
    times = np.zeros(T)
    np.add.at(times, rows, 1.0)
    drawn_squares = squares @ times
    drawn_naive_squares = naive_squares @ times
    return _mean_r2(drawn_squares, drawn_naive_squares)


def _last_path(fold: Fold) -> int:
    if fold.path is None:
        return 0
    return int(fold.path.max())


def _sum_of_squares(errors: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Sum of squared errors (t, N) over the assets in use on each row."""
    squares = np.where(use, errors**2, 0.0)
    squared_by_date = squares.sum(axis=1)
    return np.asarray(squared_by_date)


def _mean_r2(squares: np.ndarray, naive_squares: np.ndarray) -> float:
    """Mean R2 over the paths (P,) from their sums of squared errors; NaN without any."""
    if not naive_squares.any():
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = squares / naive_squares
        r2 = 1.0 - relative
    is_positive = naive_squares > 0.0
    known = r2[is_positive]
    return float(known.mean())


def _draws(
    study: Study, change: Change, draws: int, units: int
) -> Iterator[dict[str, float | str]]:
    """Per draw every quantity, or the reason why there is none.

    The reason of the coefficients is that of all of them.
    """
    is_date = study.fit.quality["scope"] == "date"
    expected = units
    if change.kind == "assets" or is_date.any():
        # another number of units is right where assets are left out, or dates repeated
        expected = 0
    for draw in range(draws):
        rng = change.generator(draw)
        panel = change.perturbed(study.panel, rng)
        quantities: dict[str, float | str] = {}
        try:
            quantities |= _refitted(study.model, panel, change, rng, expected)
        except RunnerError as error:
            quantities[COEFFICIENTS] = error.mistakes[0]
        try:
            if study.folds:
                quantities[SCORE] = _rescored(study, panel, change, rng)
        except RunnerError as error:
            quantities[SCORE] = error.mistakes[0]
        yield quantities


def _refitted(
    model: Model, panel: Panel, change: Change, rng: np.random.Generator, expected: int
) -> dict[str, float | str]:
    """The coefficients of one draw, or why there are none.

    A mean over fewer than the expected units would compare unlike things.
    """
    n_dates = len(panel.dates)
    every_row = np.arange(n_dates)
    if change.kind == "bootstrap":
        drawn = resampled_rows(panel, every_row, change.block, rng)
        panel = rows_replaced(panel, every_row, drawn)
    fit = model.fit(panel, every_row)
    if not len(fit.coefficients):
        return {}
    estimated = units_of(fit)
    lost = expected - estimated
    if lost > 0:
        units = count(lost, "unit")
        return {COEFFICIENTS: f"{units} of {expected:,} not estimated"}
    return dict(_coefficients(fit))


def _rescored(study: Study, panel: Panel, change: Change, rng: np.random.Generator) -> float:
    """The out-of-sample R2 of one draw."""
    if change.kind == "bootstrap":
        return out_of_sample(study.model, study.folds, panel, change.block, rng)
    return out_of_sample(study.model, study.folds, panel)


def _rows(study: Study, change: Change, original: dict[str, float], draws: int) -> list[Row]:
    """A row per quantity of this way to perturb."""
    unsuited = change.unsuited(study.panel)
    if change.kind == "delay":
        draws = 1
    by_draw = []
    if not unsuited:
        units = units_of(study.fit)
        by_draw = list(_draws(study, change, draws, units))
    rows = []
    for quantity, before in original.items():
        values = [_value(quantities, quantity) for quantities in by_draw]
        reasons = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if not isinstance(value, str)]
        sound = np.array([value for value in numbers if np.isfinite(value)])
        n_sound = len(sound)
        failed = len(values) - n_sound
        reason = unsuited
        if not reason and reasons:
            reason = reasons[0]
        elif not reason and failed:
            reason = "not a number"
        row: Row = {"perturbation": change.kind, "quantity": quantity}
        row["original"] = before
        row["draws"] = n_sound
        row["failed"] = failed
        row["reason"] = reason
        row |= _spread(sound, before)
        rows.append(row)
    return rows


def _value(quantities: dict[str, float | str], quantity: str) -> float | str:
    """A quantity of one draw, or the reason why there is none."""
    if quantity in quantities:
        return quantities[quantity]
    return quantities.get(COEFFICIENTS, "the term has no estimate")


def _spread(values: np.ndarray, before: float) -> dict[str, float]:
    if not len(values):
        return {}
    quantiles = np.quantile(values, [0.05, 0.5, 0.95])
    low, middle, high = quantiles.tolist()
    spread = {"mean": values.mean(), "q05": low, "q50": middle, "q95": high}
    spread["std"] = float("nan")
    if len(values) > 1:
        deviation = values.std(ddof=1)
        spread["std"] = float(deviation)
    sign = np.sign(values)
    sign_before = np.sign(before)
    same_sign = sign == sign_before
    share = np.mean(same_sign)
    spread["same_sign"] = float(share)
    return spread
