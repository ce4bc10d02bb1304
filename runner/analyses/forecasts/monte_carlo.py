"""How far coefficients and an out-of-sample score move when the data is resampled, blurred,
thinned or late.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.analyses.estimates.fold_stability import central, units_of
from runner.errors import DataError, RunnerError
from runner.panels.finding import Finding
from runner.schema.settings import Count, Positive, Rows, Share
from runner.text import count, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.fit import Fit
    from runner.models.model import Model
    from runner.models.study import Study
    from runner.panels.panel import Panel
    from runner.validation.splitters import Fold

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
]
COLUMNS += ["reason"]
SCORE = "oos_r2"
LONGEST = 1 / 3  # of the rows, a block, so that a draw has several
SPANS = (
    4  # horizons in a block: leaves 92 % of the long-run variance that an overlap of targets makes
)
NO_FEATURES, ONE_ASSET = "there is no feature", "there are no two assets"


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

    def made(self, panel: Panel, rng: np.random.Generator) -> Panel:
        """The panel perturbed; rows are resampled elsewhere, those of each fold by themselves."""
        if self.kind == "noise":
            return blurred(panel, self.noise, rng)
        if self.kind == "assets":
            return thinned(panel, self.drop, rng)
        return delayed(panel, self.delay) if self.kind == "delay" else panel

    def unsuited(self, panel: Panel) -> str:
        """Why the panel cannot be perturbed in this way, empty where it can."""
        if self.kind in ("noise", "delay") and not panel.names:
            return NO_FEATURES
        return ONE_ASSET if self.kind == "assets" and len(panel.assets) < 2 else ""


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
    """Coefficients (the mean over units, or the one regression) and out-of-sample R2 refitted on
    perturbed data.

    bootstrap: dates are drawn with their whole cross-section, by the stationary bootstrap (Politis
    and Romano 1994); of a fold, training dates among themselves, and the dates that it forecasts
    among those of all folds. noise: independent normal noise is added to every feature, training
    and test, once per date where the feature is the same for all assets. assets: some are left out,
    others every draw. delay: features come later, on the same rows as far as there are earlier
    ones; one draw, as nothing is drawn: what lives on the row's own data ends here. R2 is against
    the training mean, over the folds without a locked hold-out, as `oos/r2`. Each draw costs one
    fit on all rows and one per fold, by point estimates: draws x ways x (1 + folds) fits.

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
    T, panel = (
        len(study.panel.dates),
        replace(study.panel, shared=None),
    )  # sums of the data as it is
    study = replace(study, panel=panel, model=point_estimates(study.model), folds=open_folds(study))
    if block is not None and block > most(T):
        raise DataError(
            f"block: given {block}; allowed: at most {most(T)}, a third of the {count(T, 'row')}"
        )
    original = _original(study)
    changes = [Change(kind, block, noise, drop, delay, seed) for kind in kinds]
    table = pd.DataFrame(
        [row for one in changes for row in _rows(study, one, original, draws)], columns=COLUMNS
    )
    return Finding(table, _metrics(table), _words(table, changes, study), "monte_carlo")


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
    X, (T, N) = panel.X.copy(), panel.y.shape
    for k in range(X.shape[2]):
        column = np.where(panel.valid, X[:, :, k], np.nan)
        cells = column[panel.valid]
        low = np.min(column, axis=1, where=panel.valid, initial=np.inf)
        high = np.max(column, axis=1, where=panel.valid, initial=-np.inf)
        shared = N > 1 and bool((low >= high).all())
        X[:, :, k] += noise * cells.std() * rng.standard_normal((T, 1 if shared else N))
    return replace(panel, X=X)


def thinned(panel: Panel, drop: float, rng: np.random.Generator) -> Panel:
    """The panel without a drawn share of its assets: at least one goes, one stays."""
    N = len(panel.assets)
    gone = min(max(round(drop * N), 1), N - 1)
    kept = np.sort(rng.permutation(N)[gone:])
    return panel.part(np.arange(len(panel.dates)), kept)


def delayed(panel: Panel, delay: int) -> Panel:
    """Row t has the features of row t - delay; cells without usable ones there are left out."""
    X, valid = np.full_like(panel.X, np.nan), panel.valid.copy()
    X[delay:] = panel.X[:-delay]
    valid[:delay] = False
    valid[delay:] &= np.isfinite(X[delay:]).all(axis=2)
    return replace(panel, X=X, valid=valid)


def most(rows: int) -> int:
    """The longest mean block for so many rows."""
    return max(1, int(np.ceil(LONGEST * rows)))


def block_of(rows: int, horizon: int, block: int | None) -> int:
    """Mean rows of a block: as given, or long enough for overlapping targets."""
    return min(
        max(int(np.ceil(rows ** (1 / 3))), SPANS * horizon) if block is None else block, most(rows)
    )


def resampled(rows: int, block: int, rng: np.random.Generator) -> np.ndarray:
    """Positions (rows,) of a draw of the stationary bootstrap with this mean block."""
    from arch.bootstrap import StationaryBootstrap

    # arch annotates a whole block; what it takes is one over the chance of a new one.
    return np.asarray(StationaryBootstrap(block, np.arange(rows), seed=rng).update_indices())


def _on(panel: Panel, rows: np.ndarray, at: np.ndarray) -> Panel:
    """The panel with what is on the rows `at` of `rows`, and the rest as it is."""
    source = np.arange(len(panel.dates))
    source[rows] = rows[at]
    weights, raw = (
        None if cells is None else cells[source] for cells in (panel.weights, panel.raw)
    )
    X, y, valid = panel.X[source], panel.y[source], panel.valid[source]
    return replace(panel, y=y, X=X, valid=valid, weights=weights, raw=raw)


# What is measured


def _original(study: Study) -> dict[str, float]:
    """Every quantity on the data as it is.

    Raises:
        DataError: there is none.
    """
    found = _coefficients(study.fit) if len(study.fit.coefficients) else {}
    if study.folds:
        found[SCORE] = out_of_sample(study.model, study.folds, study.panel)
    if not found:
        raise DataError(
            "model: has no coefficients, and validation no folds; allowed: at least one of them"
        )
    return found


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
    paths = 1 + max(0 if fold.path is None else int(fold.path.max()) for fold in folds)
    missed, naive, seen = np.zeros((paths, T)), np.zeros((paths, T)), np.zeros(T, dtype=bool)
    for fold in folds:
        known = panel
        if rng is not None:
            n = len(fold.train)
            known = _on(panel, fold.train, resampled(n, block_of(n, panel.horizon, block), rng))
        values = known.in_units(model.forecast(known, fold))
        y, use = known.scored[fold.test], known.valid[fold.test] & np.isfinite(values)
        path = 0 if fold.path is None else fold.path
        for squares, forecast in ((missed, values), (naive, train_means(known, fold.train))):
            squares[path, fold.test] += np.where(use, (y - forecast) ** 2, 0.0).sum(axis=1)
        seen[fold.test] |= use.any(axis=1)
    times = np.zeros(T)
    at = np.flatnonzero(seen)
    if not len(at):
        raise DataError("no test row can be forecast")
    drawn = (
        at if rng is None else at[resampled(len(at), block_of(len(at), panel.horizon, block), rng)]
    )
    np.add.at(times, drawn, 1.0)
    top, bottom = missed @ times, naive @ times
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((1.0 - top / bottom)[bottom > 0.0].mean()) if bottom.any() else float("nan")


def _draws(
    study: Study, change: Change, draws: int, units: int
) -> Iterator[dict[str, float | str]]:
    """Per draw every quantity, or the reason why there is none (as `coef`, for all
    coefficients).
    """
    panel, T, bootstrap = study.panel, len(study.panel.dates), change.kind == "bootstrap"
    every = np.arange(T)
    by_date = bool((study.fit.quality["scope"] == "date").any())
    fixed = change.kind != "assets" and not by_date  # a bootstrap repeats dates
    for draw in range(draws):
        rng = change.generator(draw)
        found: dict[str, float | str] = {}
        made = change.made(panel, rng)
        try:
            at = resampled(T, block_of(T, panel.horizon, change.block), rng) if bootstrap else every
            fit = study.model.fit(_on(made, every, at) if bootstrap else made, every)
            found |= _checked(fit, units if fixed else 0)
        except RunnerError as error:
            found["coef"] = error.mistakes[0]
        try:
            if study.folds:
                again = (change.block, rng) if bootstrap else ()
                found[SCORE] = out_of_sample(study.model, study.folds, made, *again)
        except RunnerError as error:
            found[SCORE] = error.mistakes[0]
        yield found


def _checked(fit: Fit, units: int) -> dict[str, float | str]:
    """The coefficients; a mean over fewer units than on the data as it is would compare unlike
    things.
    """
    if not len(fit.coefficients):
        return {}
    lost = units - units_of(fit)
    return (
        {"coef": f"{count(lost, 'unit')} of {units:,} not estimated"}
        if lost > 0
        else dict(_coefficients(fit))
    )


def _rows(
    study: Study, change: Change, original: dict[str, float], draws: int
) -> list[dict[str, object]]:
    """One row per quantity of this way to perturb."""
    why = change.unsuited(study.panel)
    number = 1 if change.kind == "delay" else draws
    found = [] if why else list(_draws(study, change, number, units_of(study.fit)))
    rows = []
    for quantity, before in original.items():
        values = [one.get(quantity, one.get("coef", "the term has no estimate")) for one in found]
        sound = np.array(
            [value for value in values if not isinstance(value, str) and np.isfinite(value)]
        )
        reasons = [value for value in values if isinstance(value, str)]
        reason = why or next(iter(reasons), "not a number" if len(sound) < len(values) else "")
        row: dict[str, object] = {
            "perturbation": change.kind,
            "quantity": quantity,
            "original": before,
        }
        row |= {"draws": len(sound), "failed": len(values) - len(sound), "reason": reason}
        rows.append(row | _spread(sound, before))
    return rows


def _spread(values: np.ndarray, before: float) -> dict[str, float]:
    if not len(values):
        return {}
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95]).tolist()
    std = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    sign = float(np.mean(np.sign(values) == np.sign(before)))
    return {
        "mean": values.mean(),
        "std": std,
        "q05": low,
        "q50": middle,
        "q95": high,
        "same_sign": sign,
    }


# What is told


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    """Per way the mean score, and the least share of draws in which a slope keeps its sign."""
    found: dict[str, float] = {}
    for kind, part in table.groupby("perturbation", sort=False):
        rows = part.set_index("quantity")
        slopes = rows.loc[
            [name for name in rows.index if name not in ("coef/const", SCORE)], "same_sign"
        ]
        found[f"{kind}_same_sign_min"] = slopes.astype(float).min()
        if SCORE in rows.index:
            found[f"{kind}_{SCORE}"] = rows.loc[SCORE, "mean"]
    return found


def _words(table: pd.DataFrame, changes: Sequence[Change], study: Study) -> list[str]:
    found = []
    for change in changes:
        part = table[table["perturbation"] == change.kind]
        head = _head(change, study)
        if not part["draws"].any():
            found.append(f"{head}: nothing was measured, {part['reason'].iloc[0]}.")
            continue
        told = [text for text in (_signs(part), _score(part)) if text]
        failed = int(part["failed"].max())
        told += [f"{count(failed, 'draw')} failed ({_first(part['reason'])})"] if failed else []
        found.append(f"{head}: {'; '.join(told)}.")
    return found


def _head(change: Change, study: Study) -> str:
    T, horizon, N = len(study.panel.dates), study.panel.horizon, len(study.panel.assets)
    size = count(block_of(T, horizon, change.block), "row")
    gone = count(min(max(round(change.drop * N), 1), max(N - 1, 1)), "asset")
    return {
        "bootstrap": f"Dates resampled in blocks of {size} on average",
        "noise": f"Features with noise of {percent(change.noise)} of their standard deviation",
        "assets": f"{gone} of {N:,} left out",
        "delay": f"Features {count(change.delay, 'row')} late",
    }[change.kind]


def _signs(part: pd.DataFrame) -> str:
    """Which slope keeps its sign least often; all of them where there is one draw."""
    slopes = part[~part["quantity"].isin(["coef/const", SCORE]) & (part["draws"] > 0)]
    if slopes.empty:
        return ""
    if slopes["draws"].max() == 1:
        turned = slopes.loc[slopes["same_sign"] == 0.0, "quantity"].str.removeprefix("coef/")
        return f"{len(turned):,} of {count(len(slopes), 'slope')} change sign"
    worst = slopes.loc[slopes["same_sign"].astype(float).idxmin()]
    if worst["same_sign"] == 1.0:
        return f"every slope keeps its sign in all of {count(int(worst['draws']), 'draw')}"
    name = worst["quantity"].removeprefix("coef/")
    ends = f"5 % to 95 %: {number(worst['q05'], 3)} to {number(worst['q95'], 3)}"
    share = f"{percent(worst['same_sign'])} of {count(int(worst['draws']), 'draw')}"
    return f"{name} keeps its sign least often, in {share} ({ends})"


def _score(part: pd.DataFrame) -> str:
    rows = part[(part["quantity"] == SCORE) & (part["draws"] > 0)]
    if rows.empty:
        return ""
    one = rows.iloc[0]
    text = f"out-of-sample R2 {number(one['mean'], 3)}" + (
        " on average" if one["draws"] > 1 else ""
    )
    ends = (
        f" (5 % to 95 %: {number(one['q05'], 3)} to {number(one['q95'], 3)})"
        if one["draws"] > 1
        else ""
    )
    return f"{text}{ends}, {number(one['original'], 3)} on the data as it is"


def _first(reasons: pd.Series) -> str:
    return next(iter(reasons[reasons != ""]), "")
