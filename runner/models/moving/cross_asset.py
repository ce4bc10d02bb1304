"""LASSO of each asset on the features of all assets, on a window that moves with every row.

Chinco, Clark-Joseph and Ye (2019): thousands of candidates, few rows, a fit per asset and row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.errors import DataError, EstimationError, listed
from runner.estimators.penalised.cross_validated import Chosen, choose
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
FEWEST = 18  # rows of a window, so that the first of five folds trains on two
NAMED = 8  # candidates named in words


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
        return "the constant is of the window before each row, the training mean of all rows"

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        """The fits on the last `window` of these rows: what would forecast the next one.

        Raises:
            DataError: they are too few, or no asset has a target in all of them.
            EstimationError: the path of an asset was not followed to its end.
        """
        from runner.models.moving.windows import last_window

        window = last_window(panel, rows, self.window)
        candidates, usable = _candidates(panel, window)
        in_window = panel.y[window]
        has_target = np.isfinite(in_window)
        complete = has_target.all(axis=0)
        if not complete.any() or not usable.any():
            raise DataError(
                "model: no asset has a target, or no candidate its values, "
                f"on all {len(window)} last rows"
            )
        X = candidates[window][:, usable]
        y = panel.y[window][:, complete]
        p = int(usable.sum())
        identity = np.eye(p)
        lassos = self._solved(X, y.T, identity, panel, window, slopes=True)
        lines = np.column_stack([lassos.constant, lassos.slopes])
        with_constant = np.append(True, usable)
        assets = len(panel.assets)
        columns = len(with_constant)
        params = np.full((assets, columns), np.nan)
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
        constant = fit.params[:, 0]
        filled = np.nan_to_num(X)
        forecasts = constant + filled @ b.T
        kept = (b != 0.0).T.astype(float)
        lacking = np.isnan(X).astype(float) @ kept > 0.0
        return np.where(lacking, np.nan, forecasts)

    def forecast(self, panel: Panel, fold: Fold) -> np.ndarray:
        """Forecasts (len(test), N), each by the window before its row.

        Raises:
            DataError: no test row has a full window before it in its session.
            EstimationError: a path was not followed to its end.
        """
        from runner.models.moving.windows import walk

        def next_row(window: np.ndarray, t: int) -> np.ndarray:
            """Forecasts (N,) of row t by the fits on its window."""
            candidates, usable = _candidates(panel, np.append(window, t))
            in_window = panel.y[window]
            has_target = np.isfinite(in_window)
            complete = has_target.all(axis=0)
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
        last_date = panel.dates[rows[-1]]
        last = f"{last_date:{panel.date_format}}"
        _refuse_outsized("a candidate", X, last)
        _refuse_outsized("a target", y.T, last)
        parts = self.parts(panel, rows)
        lassos = choose(X, y, Z, parts, self.penalties, self.choice, self.standardise, slopes)
        if lassos.ended.all():
            return lassos
        unended = (~lassos.ended).sum()
        assets = count(int(unended), "asset")
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
            dates = panel.dates[rows]
            folds = split_usable(splitter, dates, every, panel.horizon, rows)
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
    cell_sizes = np.abs(columns)
    sizes = cell_sizes.max(axis=0)
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
    mean = y.mean(axis=0)
    centred = y - mean
    squares = np.sum(centred**2, axis=0)
    tss = np.where(constant, np.nan, squares)
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
    features = len(panel.names)
    asset_of_candidate = j // features
    own = i == asset_of_candidate  # a feature of the asset itself
    metrics = {
        "candidates": float(usable),
        "kept": float(lassos.terms.mean()),
        "penalty": float(lassos.penalty.mean()),
    }
    words = [_kept_in_words(lassos.terms, usable, n)]
    left_out = len(names) - usable
    if left_out:
        candidates_left_out = count(left_out, "candidate")
        words.append(f"{candidates_left_out} with a missing cell in them left out.")
    if len(table):
        own_share = float(own.mean())
        most_often = _most_often_in_words(table["candidate"], own_share)
        words.append(most_often)
    return Finding(table, metrics, words)


def _kept_in_words(terms: np.ndarray, usable: int, n: int) -> str:
    """How many candidates (N,) the assets with a fit keep."""
    mean_terms = float(terms.mean())
    mean = number(mean_terms, 3)
    has_none = terms == 0
    none = int(has_none.sum())
    return (
        f"On the last {count(n, 'row')}, {mean} of {count(usable, 'candidate')} are kept per asset,"
        f" none in {none:,} of {count(len(terms), 'asset')}."
    )


def _most_often_in_words(candidates: pd.Series, own: float) -> str:
    """The candidates that most assets keep, and the share of own features among all kept."""
    times = candidates.value_counts().head(NAMED)
    leading = listed(f"{name} ({assets})" for name, assets in times.items())
    own_share = percent(own)
    return f"Own features are {own_share} of what is kept. Kept most often: {leading}."
