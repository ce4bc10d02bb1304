"""LASSO of each asset on the features of all assets, on a window that moves with every row.

Chinco, Clark-Joseph and Ye (2019): thousands of candidates, few rows, a fit per asset and row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from runner.errors import DataError, EstimationError, listed
from runner.models.model import Model
from runner.numerics.least_squares import LARGEST
from runner.numerics.variation import flat
from runner.schema.settings import SeveralPenalties, Window
from runner.text import count, number, percent
from runner.validation.splitters import Splitter, WalkForward, split_usable

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.fit import Fit
    from runner.panels.finding import Finding
    from runner.panels.panel import Panel
    from runner.validation.splitters import Fold

FOLDS = 5  # that choose a penalty where no splitter is given
# least penalty of a grid, relative to the least that leaves no candidate, as in scikit-learn
LEAST = 1e-3
FEWEST = 18  # rows of a window, so that the first of five folds trains on two
NAMED = 8  # candidates named in words


class Chosen(NamedTuple):
    """The fits of N targets on one window.

    Attributes:
        values: (N, m) forecasts of the rows asked for.
        slopes: (N, p) on the candidates in their own units, empty unless asked for; constant: (N,).
        penalty: (N,) scikit-learn's alpha; terms: (N,) candidates kept; ended: (N,) whether every
            path was.
    """

    values: np.ndarray
    slopes: np.ndarray
    constant: np.ndarray
    penalty: np.ndarray
    terms: np.ndarray
    ended: np.ndarray


@dataclass(frozen=True)
class CrossAsset(Model):
    """LASSO with a constant per asset on every feature of every asset, refitted at every row.

    Minimises what scikit-learn's Lasso does, |y - a - X b|^2 / (2 n) + penalty |b|_1, exactly,
    along the whole path. The penalty is chosen within the window: mean squared error of the test
    rows of `folds`, as LassoCV takes it, on a grid from the least penalty of the whole window that
    leaves no candidate down to a thousandth of it. A candidate with a missing cell in the window or
    in the row forecast is left out there; an asset with a missing target in the window has no
    forecast. Windows do not reach from one session into another.

    Attributes:
        window: rows of each fit.
        penalties: how many are tried, evenly spaced in logarithms.
        choice: min, the least error; or one_se, the largest penalty within one standard error of
            it.
        folds: splitter of the rows of a window; null takes five expanding ones that test a sixth of
            it each.
        standardise: whether candidates are divided by their standard deviation in the window (ddof
            0); the folds inside share that scale.
    """

    window: Window = 30
    penalties: SeveralPenalties = 100
    choice: Literal["min", "one_se"] = "min"
    folds: Splitter | None = None
    standardise: bool = True

    def __post_init__(self) -> None:
        if self.folds is None and self.window < FEWEST:
            raise ValueError(f"window: given {self.window} with folds=null; allowed: from {FEWEST}")

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """No feature."""
        if features:
            return []
        return ["_target_: CrossAsset needs candidates; features: none are given"]

    def lacks_the_mean(self, panel: Panel) -> str:
        return "the constant is of the window before each row, the train mean of all rows"

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        """The fits on the last `window` of these rows: what would forecast the next one.

        Raises:
            DataError: they are too few, or no asset has a target in all of them.
            EstimationError: the path of an asset was not followed to its end.
        """
        from runner.models.windows import last_window

        window = last_window(panel, rows, self.window)
        candidates, usable = _candidates(panel, window)
        complete = np.isfinite(panel.y[window]).all(axis=0)
        if not complete.any() or not usable.any():
            raise DataError(
                "model: no asset has a target, or no candidate its values, "
                f"on all {len(window)} last rows"
            )
        X = candidates[window][:, usable]
        y = panel.y[window][:, complete]
        p = int(usable.sum())
        lassos = self._solved(X, y.T, np.eye(p), panel, window, slopes=True)
        lines = np.column_stack([lassos.constant, lassos.slopes])
        with_constant = np.append(True, usable)
        params = np.full((len(panel.assets), len(with_constant)), np.nan)
        params[complete] = 0.0
        params[np.ix_(complete, with_constant)] = lines
        residuals = y - (lassos.constant + X @ lassos.slopes.T)
        quality = _quality(panel, len(window), complete, y, residuals)
        signals = _signals(panel, params, complete, lassos, p, len(window))
        return _as_fit(params, quality, signals)

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Forecasts (T, N) by the estimates of the last window.

        NaN where a candidate that an asset keeps is missing.
        """
        X = panel.X.reshape(len(panel.y), -1)
        b = np.nan_to_num(fit.params[:, 1:])
        forecasts = fit.params[:, 0] + np.nan_to_num(X) @ b.T
        kept = (b != 0.0).T.astype(float)
        lacking = np.isnan(X).astype(float) @ kept > 0.0
        return np.where(lacking, np.nan, forecasts)

    def forecast(self, panel: Panel, fold: Fold) -> np.ndarray:
        """Forecasts (len(test), N), each by the window before its row.

        Raises:
            DataError: no test row has a full window before it in its session.
            EstimationError: a path was not followed to its end.
        """
        from runner.models.windows import walk

        def next_row(window: np.ndarray, t: int) -> np.ndarray:
            """Forecasts (N,) of row t by the fits on its window."""
            candidates, usable = _candidates(panel, np.append(window, t))
            complete = np.isfinite(panel.y[window]).all(axis=0)
            forecasts = np.full(len(complete), np.nan)
            if not complete.any() or not usable.any():
                return forecasts
            X = candidates[window][:, usable]
            Z = candidates[[t]][:, usable]
            y = panel.y[window][:, complete]
            lassos = self._solved(X, y.T, Z, panel, window)
            forecasts[complete] = lassos.values[:, 0]
            return forecasts

        return walk(
            panel, fold, self.window, next_row, f"rows, {len(panel.assets)} LASSO fits each"
        )

    def _solved(
        self,
        X: np.ndarray,
        y: np.ndarray,
        Z: np.ndarray,
        panel: Panel,
        rows: np.ndarray,
        slopes: bool = False,
    ) -> Chosen:
        """The fits on one window, all paths followed to their end.

        Raises:
            EstimationError: one was not, or a column is too large or small.
        """
        last = f"{panel.dates[rows[-1]]:{panel.date_format}}"
        _refuse_outsized("a candidate", X, last)
        _refuse_outsized("a target", y.T, last)
        parts = self.parts(panel, rows)
        lassos = choose(X, y, Z, parts, self.penalties, self.choice, self.standardise, slopes)
        if lassos.ended.all():
            return lassos
        assets = count(int((~lassos.ended).sum()), "asset")
        raise EstimationError(
            f"model: the LASSO path of {assets} has no end on the window up to {last}"
        )

    def parts(self, panel: Panel, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Training and test positions in a window of these rows, as scikit-learn's `cv`.

        Raises:
            DataError: settings that the splitter refuses; a fold with one training row.
        """
        R = len(rows)
        if R <= FOLDS:
            raise _folds_refused("gives no fold", R)
        test = max(R // (FOLDS + 1), 1)
        splitter = self.folds or WalkForward(test=test, first=R - FOLDS * test)
        every = np.ones(R, dtype=bool)
        try:
            folds = split_usable(splitter, panel.dates[rows], every, panel.horizon, rows)
        except DataError as error:
            mistakes = [f"model.folds: {line} (in a window of {R} rows)" for line in error.mistakes]
            raise DataError(mistakes) from error
        if not folds:
            raise _folds_refused("gives no fold", R)
        short = [fold.name for fold in folds if len(fold.train) < 2]
        if short:
            raise _folds_refused(f"fold {short[0]} has fewer than 2 training rows", R)
        return [(fold.train, fold.test) for fold in folds]


def _refuse_outsized(what: str, columns: np.ndarray, last: str) -> None:
    """Refuse columns (n, P) that are neither zero nor of a size whose products fit a float64."""
    sizes = np.abs(columns).max(axis=0)
    smallest = 1.0 / LARGEST
    fits = (sizes == 0.0) | ((smallest < sizes) & (sizes < LARGEST))
    if not fits.all():
        size = sizes[~fits][0]
        allowed = f"{smallest:.0e} to {LARGEST:.0e}"
        where = f"on the window up to {last}"
        raise EstimationError(f"model: {what} is of size {size:.0e} {where}; allowed: {allowed}")


def _folds_refused(why: str, R: int) -> DataError:
    return DataError(
        f"model.folds: {why} in a window of {R} rows; allowed: folds that have, or a longer one"
    )


def _as_fit(params: np.ndarray, quality: pd.DataFrame, signals: Finding) -> Fit:
    """The fit of the last window, whose coefficients have no errors and no tests."""
    import pandas as pd

    from runner.models.fit import COEFFICIENTS, HYPOTHESES, QUALITY, Fit

    coefficients = pd.DataFrame(columns=["scope", "unit", *COEFFICIENTS])
    return Fit(
        coefficients.astype(dict.fromkeys(COEFFICIENTS[1:], float)),
        quality.reindex(columns=["scope", "unit", *QUALITY]),
        pd.DataFrame(columns=["scope", "unit", *HYPOTHESES]),
        params,
        "none, LASSO is biased on purpose",
        findings={"signals": signals},
    )


def choose(
    X: np.ndarray,
    y: np.ndarray,
    Z: np.ndarray,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    penalties: int = 100,
    choice: str = "min",
    standardise: bool = False,
    slopes: bool = False,
) -> Chosen:
    """LASSO with a constant of N targets on one design, and its forecasts.

    Each target has a penalty of its own, the one that LassoCV(alphas=penalties, cv=parts) chooses.

    Args:
        X: (n, p) design; y: (N, n) targets; Z: (m, p) rows to forecast.
        parts: training and test positions of the folds.
        slopes: whether slopes are wanted too.
    """
    from runner.numerics.homotopy import paths

    n, p = X.shape
    still = flat(X)
    mean = X.mean(axis=0)
    spread = np.where(still, 1.0, X.std(axis=0) if standardise else 1.0)
    scaled = np.where(still, 0.0, (X - mean) / spread)
    level = y.mean(axis=1)
    centred = y - level[:, None]
    # targets of size one, whatever their unit
    size = np.abs(centred).max(axis=1)
    divisor = np.where(size > 0.0, size, 1.0)
    targets = centred / divisor[:, None]
    penalty, folds_ended = _penalty(scaled, targets, parts, penalties, choice)

    points = [np.where(still, 0.0, (Z - mean) / spread)]
    if slopes:
        points.append(np.eye(p))  # the value at a unit vector is a slope
    knots = paths(scaled, targets, np.vstack(points), n * penalty)
    lam = n * penalty[:, None]
    values = knots.at(lam)[:, 0] * size[:, None]
    forecasts = level[:, None] + values[:, : len(Z)]
    b = values[:, len(Z) :]
    constant = level
    if slopes:
        b = b / spread
        constant = level - b @ mean
    return Chosen(
        values=forecasts,
        slopes=b,
        constant=constant,
        penalty=penalty * size,
        terms=knots.terms_at(lam)[:, 0],
        ended=knots.ended & folds_ended,
    )


def _penalty(
    X: np.ndarray,
    y: np.ndarray,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    penalties: int,
    choice: str,
) -> tuple[np.ndarray, np.ndarray]:
    """The penalty (N,) of each target y (N, n), chosen on folds of the rows of X (n, p).

    Also whether all its paths ended (N,).
    """
    N, n = y.shape
    largest = np.abs(y @ X).max(axis=1) / n
    grid = largest[:, None] * np.geomspace(1.0, LEAST, penalties)
    errors = []
    ended = np.ones(N, dtype=bool)
    for train, test in parts:
        fold_errors, fold_ended = _errors(X, y, grid, train, test)
        errors.append(fold_errors)
        ended &= fold_ended
    at = _position(np.array(errors), choice)
    return grid[np.arange(N), at], ended


def _errors(
    X: np.ndarray, y: np.ndarray, grid: np.ndarray, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared errors (N, L) on the test rows of fits on the training rows.

    Also which paths ended (N,).
    """
    from runner.numerics.homotopy import paths

    n = len(train)
    X_mean = X[train].mean(axis=0)
    y_mean = y[:, train].mean(axis=1)[:, None]
    X_train = X[train] - X_mean
    y_train = y[:, train] - y_mean
    X_test = X[test] - X_mean
    y_test = y[:, test] - y_mean
    knots = paths(X_train, y_train, X_test, n * grid[:, -1])
    residuals = knots.at(n * grid) - y_test[:, None, :]
    return np.mean(residuals * residuals, axis=2), knots.ended


def _position(errors: np.ndarray, choice: str) -> np.ndarray:
    """Position (N,) of the penalty by the errors (F, N, L) of the folds; of ties the largest."""
    F, N, _ = errors.shape
    mean = errors.mean(axis=0)
    least = mean.argmin(axis=1)
    if choice == "min" or F < 2:
        return least
    target = np.arange(N)
    spread = errors.std(axis=0, ddof=1)
    std_error = spread[target, least] / np.sqrt(F)
    allowed = mean[target, least] + std_error
    return np.asarray((mean <= allowed[:, None]).argmax(axis=1))


def _candidates(panel: Panel, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every feature of every asset (T, N K), a view, and which (N K,) all these rows have."""
    X = panel.X.reshape(len(panel.y), -1)
    return X, np.isfinite(X[rows]).all(axis=0)


def _quality(
    panel: Panel, n: int, complete: np.ndarray, y: np.ndarray, residuals: np.ndarray
) -> pd.DataFrame:
    """Rows and R2 of each asset in the last window, or the reason why it has no estimates."""
    import pandas as pd

    constant = flat(y)
    centred = y - y.mean(axis=0)
    tss = np.where(constant, np.nan, np.sum(centred**2, axis=0))
    ssr = np.sum(residuals**2, axis=0)
    r2 = np.full(len(panel.assets), np.nan)
    r2[complete] = np.maximum(1.0 - ssr / tss, 0.0)  # below zero only by rounding
    missing = f"a missing target in the last window of {n} rows"
    reason = np.full(len(complete), missing, dtype=object)
    reason[complete] = np.where(constant, "the target is constant", "")
    table = {
        "scope": "asset",
        "unit": panel.assets,
        "n_obs": np.where(complete, n, 0),
        "r2": r2,
        "cov": "",
        "reason": reason,
    }
    return pd.DataFrame(table)


def _signals(
    panel: Panel, params: np.ndarray, complete: np.ndarray, lassos: Chosen, usable: int, n: int
) -> Finding:
    """Which candidates each asset keeps in the last window, with their slopes."""
    import pandas as pd

    from runner.panels.finding import Finding

    names = [f"{feature} of {asset}" for asset in panel.assets for feature in panel.names]
    b = np.nan_to_num(params[:, 1:])
    i, j = np.nonzero(b)
    penalty = np.full(len(complete), np.nan)
    penalty[complete] = lassos.penalty
    columns = {
        "asset": np.array(panel.assets, dtype=object)[i],
        "candidate": np.array(names, dtype=object)[j],
        "slope": b[i, j],
        "penalty": penalty[i],
    }
    table = pd.DataFrame(columns)
    own = i == j // len(panel.names)  # a feature of the asset itself
    metrics = {
        "candidates": float(usable),
        "kept": float(lassos.terms.mean()),
        "penalty": float(lassos.penalty.mean()),
    }
    words = [_kept_in_words(lassos.terms, usable, n)]
    left_out = len(names) - usable
    if left_out:
        words.append(f"{count(left_out, 'candidate')} with a missing cell in them left out.")
    if len(table):
        words.append(_most_often_in_words(table["candidate"], float(own.mean())))
    return Finding(table, metrics, words)


def _kept_in_words(terms: np.ndarray, usable: int, n: int) -> str:
    """How many candidates (N,) the assets with a fit keep."""
    mean = number(float(terms.mean()), 3)
    none = int((terms == 0).sum())
    return (
        f"On the last {count(n, 'row')}, {mean} of {count(usable, 'candidate')} are kept per asset,"
        f" none in {none:,} of {count(len(terms), 'asset')}."
    )


def _most_often_in_words(candidates: pd.Series, own: float) -> str:
    """The candidates that most assets keep, and the share of own features among all kept."""
    times = candidates.value_counts().head(NAMED)
    leading = listed(f"{name} ({assets})" for name, assets in times.items())
    return f"Own features are {percent(own)} of what is kept. Kept most often: {leading}."
