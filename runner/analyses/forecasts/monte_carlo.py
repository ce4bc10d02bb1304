"""How far coefficients and the out-of-sample R2 move on data resampled, blurred, thinned, late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.analyses.estimates.fold_stability import central, units_of
from runner.analyses.forecasts.monte_carlo_words import SCORE, metrics_of, words_of
from runner.errors import DataError, RunnerError
from runner.panels.finding import Finding
from runner.schema.settings import Count, Positive, Rows, Share
from runner.text import count, percent

if TYPE_CHECKING:
    from runner.models.fit import Fit
    from runner.models.model import Model
    from runner.models.study import Study
    from runner.panels.panel import Panel
    from runner.validation.splitters import Fold

Row = dict[str, object]  # of a table
Perturbation = Literal["bootstrap", "noise", "assets", "delay"]
KINDS: tuple[Perturbation, ...] = ("bootstrap", "noise", "assets", "delay")
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
LONGEST = 1 / 3  # of the rows, a block, so that a draw has several
# horizons in a block: leaves 92 % of the long-run variance that an overlap of targets makes
SPANS = 4
NO_FEATURES, ONE_ASSET = "there is no feature", "there are no two assets"
COEFFICIENTS = "coef"  # key of the reason why a draw has no coefficients


@dataclass(frozen=True)
class Change:
    """One way to perturb a panel: its size, and the seed of its draws."""

    kind: Perturbation
    block: int | None
    noise: float
    drop: float
    delay: int
    seed: int

    def generator(self, draw: int) -> np.random.Generator:
        """Of one draw; the same whatever other ways there are."""
        return np.random.default_rng([self.seed, KINDS.index(self.kind), draw])

    def perturbed(self, panel: Panel, rng: np.random.Generator) -> Panel:
        """The panel perturbed; rows are resampled elsewhere, those of each fold by themselves."""
        if self.kind == "noise":
            return blurred(panel, self.noise, rng)
        if self.kind == "assets":
            return thinned(panel, self.drop, rng)
        if self.kind == "delay":
            return delayed(panel, self.delay)
        return panel

    def unsuited(self, panel: Panel) -> str:
        """Why the panel cannot be perturbed in this way, empty where it can."""
        if self.kind in ("noise", "delay") and not panel.names:
            return NO_FEATURES
        if self.kind == "assets" and len(panel.assets) < 2:
            return ONE_ASSET
        return ""

    def words(self, panel: Panel) -> str:
        """How the panel is perturbed, as the head of a sentence."""
        if self.kind == "bootstrap":
            rows = block_of(len(panel.dates), panel.horizon, self.block)
            return f"Dates resampled in blocks of {count(rows, 'row')} on average"
        if self.kind == "noise":
            return f"Features with noise of {percent(self.noise)} of their standard deviation"
        if self.kind == "assets":
            N = len(panel.assets)
            left_out = min(max(round(self.drop * N), 1), max(N - 1, 1))
            return f"{count(left_out, 'asset')} of {N:,} left out"
        return f"Features {count(self.delay, 'row')} late"


def monte_carlo(
    study: Study,
    *,
    draws: Rows = 200,
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
    if not kinds or len(set(kinds)) < len(kinds):
        raise DataError(
            f"perturb: given {kinds}; allowed: one or more of {', '.join(KINDS)}, each once"
        )
    T = len(study.panel.dates)
    longest = most(T)
    if block is not None and block > longest:
        rows_text = count(T, "row")
        raise DataError(
            f"block: given {block}; allowed: at most {longest}, a third of the {rows_text}"
        )
    panel = replace(study.panel, shared=None)  # its sums are of the data as it is
    model = point_estimates(study.model)
    study = replace(study, panel=panel, model=model, folds=open_folds(study))
    original = _original(study)
    rows: list[Row] = []
    heads: dict[str, str] = {}
    for kind in kinds:
        change = Change(kind, block, noise, drop, delay, seed)
        rows += _rows(study, change, original, draws)
        heads[kind] = change.words(panel)
    table = pd.DataFrame(rows, columns=COLUMNS)
    return Finding(table, metrics_of(table), words_of(table, heads), "monte_carlo")


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

    folds = [fold for fold in study.folds if fold.name != HOLD_OUT] or study.folds
    return forecastable(study.panel, folds)


# Perturbed panels


def blurred(panel: Panel, noise: float, rng: np.random.Generator) -> Panel:
    """Features with normal noise of this share of their standard deviation over the valid cells."""
    X = panel.X.copy()
    T, N = panel.y.shape
    for k in range(X.shape[2]):
        column = np.where(panel.valid, X[:, :, k], np.nan)
        cells = column[panel.valid]
        low = np.min(column, axis=1, where=panel.valid, initial=np.inf)
        high = np.max(column, axis=1, where=panel.valid, initial=-np.inf)
        same_for_all = N > 1 and bool((low >= high).all())
        normal = rng.standard_normal((T, 1 if same_for_all else N))
        X[:, :, k] += noise * cells.std() * normal
    return replace(panel, X=X)


def thinned(panel: Panel, drop: float, rng: np.random.Generator) -> Panel:
    """The panel without a drawn share of its assets: at least one goes, one stays."""
    N = len(panel.assets)
    gone = min(max(round(drop * N), 1), N - 1)
    kept = np.sort(rng.permutation(N)[gone:])
    every_row = np.arange(len(panel.dates))
    return panel.part(every_row, kept)


def delayed(panel: Panel, delay: int) -> Panel:
    """Row t has the features of row t - delay; cells without usable ones there are left out."""
    X = np.full_like(panel.X, np.nan)
    X[delay:] = panel.X[:-delay]
    valid = panel.valid.copy()
    valid[:delay] = False
    valid[delay:] &= np.isfinite(X[delay:]).all(axis=2)
    return replace(panel, X=X, valid=valid)


def most(rows: int) -> int:
    """The longest mean block for so many rows."""
    return max(1, int(np.ceil(LONGEST * rows)))


def block_of(rows: int, horizon: int, block: int | None) -> int:
    """Mean rows of a block: as given, or long enough for overlapping targets."""
    length = block
    if length is None:
        cube_root = int(np.ceil(rows ** (1 / 3)))
        length = max(cube_root, SPANS * horizon)
    return min(length, most(rows))


def resampled(rows: int, block: int, rng: np.random.Generator) -> np.ndarray:
    """Positions (rows,) of a draw of the stationary bootstrap with this mean block."""
    from arch.bootstrap import StationaryBootstrap

    # arch annotates a whole block; what it takes is one over the chance of a new one.
    return np.asarray(StationaryBootstrap(block, np.arange(rows), seed=rng).update_indices())


def _resampled_rows(
    panel: Panel, rows: np.ndarray, block: int | None, rng: np.random.Generator
) -> np.ndarray:
    """A draw of these rows of the panel, in blocks."""
    n = len(rows)
    return rows[resampled(n, block_of(n, panel.horizon, block), rng)]


def _on(panel: Panel, rows: np.ndarray, drawn: np.ndarray) -> Panel:
    """The panel with what is on the drawn rows on `rows`, and the rest as it is."""
    source = np.arange(len(panel.dates))
    source[rows] = drawn
    weights = None if panel.weights is None else panel.weights[source]
    raw = None if panel.raw is None else panel.raw[source]
    X = panel.X[source]
    y = panel.y[source]
    valid = panel.valid[source]
    return replace(panel, y=y, X=X, valid=valid, weights=weights, raw=raw)


# What is measured


def _original(study: Study) -> dict[str, float]:
    """Every quantity on the data as it is.

    Raises:
        DataError: there is none.
    """
    quantities = _coefficients(study.fit) if len(study.fit.coefficients) else {}
    if study.folds:
        quantities[SCORE] = out_of_sample(study.model, study.folds, study.panel)
    if not quantities:
        raise DataError(
            "model: has no coefficients, and validation no folds; allowed: at least one of them"
        )
    return quantities


def _coefficients(fit: Fit) -> dict[str, float]:
    table = central(fit)
    return dict(zip("coef/" + table["term"], table["estimate"], strict=True))


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
    from runner.validation.scores import train_means

    T = len(panel.dates)
    paths = 1 + max(_last_path(fold) for fold in folds)
    squares = np.zeros((paths, T))
    naive_squares = np.zeros((paths, T))
    seen = np.zeros(T, dtype=bool)
    for fold in folds:
        train = panel
        if rng is not None:
            train = _on(panel, fold.train, _resampled_rows(panel, fold.train, block, rng))
        forecast = train.in_units(model.forecast(train, fold))
        naive = train_means(train, fold.train)
        y = train.scored[fold.test]
        use = train.valid[fold.test] & np.isfinite(forecast)
        path = 0 if fold.path is None else fold.path
        squares[path, fold.test] += _sum_of_squares(y - forecast, use)
        naive_squares[path, fold.test] += _sum_of_squares(y - naive, use)
        seen[fold.test] |= use.any(axis=1)
    rows = np.flatnonzero(seen)
    if not len(rows):
        raise DataError("no test row can be forecast")
    if rng is not None:
        rows = _resampled_rows(panel, rows, block, rng)
    times = np.zeros(T)
    np.add.at(times, rows, 1.0)
    return _mean_r2(squares @ times, naive_squares @ times)


def _last_path(fold: Fold) -> int:
    return 0 if fold.path is None else int(fold.path.max())


def _sum_of_squares(errors: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Sum of squared errors (t, N) over the assets in use on each row."""
    return np.asarray(np.where(use, errors**2, 0.0).sum(axis=1))


def _mean_r2(squares: np.ndarray, naive_squares: np.ndarray) -> float:
    """Mean R2 over the paths (P,) from their sums of squared errors; NaN without any."""
    if not naive_squares.any():
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1.0 - squares / naive_squares
    return float(r2[naive_squares > 0.0].mean())


def _draws(
    study: Study, change: Change, draws: int, units: int
) -> Iterator[dict[str, float | str]]:
    """Per draw every quantity, or the reason why there is none.

    The reason of the coefficients is that of all of them.
    """
    by_date = bool((study.fit.quality["scope"] == "date").any())
    # another number of units is right where assets are left out, or dates repeated
    expected = 0 if change.kind == "assets" or by_date else units
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
    every_row = np.arange(len(panel.dates))
    if change.kind == "bootstrap":
        panel = _on(panel, every_row, _resampled_rows(panel, every_row, change.block, rng))
    fit = model.fit(panel, every_row)
    if not len(fit.coefficients):
        return {}
    lost = expected - units_of(fit)
    if lost > 0:
        return {COEFFICIENTS: f"{count(lost, 'unit')} of {expected:,} not estimated"}
    return dict(_coefficients(fit))


def _rescored(study: Study, panel: Panel, change: Change, rng: np.random.Generator) -> float:
    """The out-of-sample R2 of one draw."""
    if change.kind == "bootstrap":
        return out_of_sample(study.model, study.folds, panel, change.block, rng)
    return out_of_sample(study.model, study.folds, panel)


def _rows(study: Study, change: Change, original: dict[str, float], draws: int) -> list[Row]:
    """A row per quantity of this way to perturb."""
    unsuited = change.unsuited(study.panel)
    number_of_draws = 1 if change.kind == "delay" else draws
    by_draw = []
    if not unsuited:
        by_draw = list(_draws(study, change, number_of_draws, units_of(study.fit)))
    rows = []
    for quantity, before in original.items():
        values = [_value(quantities, quantity) for quantities in by_draw]
        reasons = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if not isinstance(value, str)]
        sound = np.array([value for value in numbers if np.isfinite(value)])
        reason = unsuited
        if not reason and reasons:
            reason = reasons[0]
        elif not reason and len(sound) < len(values):
            reason = "not a number"
        row: Row = {"perturbation": change.kind, "quantity": quantity}
        row |= {"original": before, "draws": len(sound)}
        row |= {"failed": len(values) - len(sound), "reason": reason}
        rows.append(row | _spread(sound, before))
    return rows


def _value(quantities: dict[str, float | str], quantity: str) -> float | str:
    """A quantity of one draw, or the reason why there is none."""
    if quantity in quantities:
        return quantities[quantity]
    return quantities.get(COEFFICIENTS, "the term has no estimate")


def _spread(values: np.ndarray, before: float) -> dict[str, float]:
    if not len(values):
        return {}
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95]).tolist()
    spread = {"mean": values.mean(), "q05": low, "q50": middle, "q95": high}
    spread["std"] = float("nan")
    if len(values) > 1:
        spread["std"] = float(values.std(ddof=1))
    same_sign = np.sign(values) == np.sign(before)
    spread["same_sign"] = float(np.mean(same_sign))
    return spread
