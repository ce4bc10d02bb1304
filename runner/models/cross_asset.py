"""LASSO of each asset on the features of all assets, on a window that moves with every row (Chinco,
Clark-Joseph and Ye 2019): thousands of candidates, few rows, a fit per asset and row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from runner.errors import DataError, EstimationError, listed
from runner.models.model import Model
from runner.numerics.variation import flat
from runner.schema.settings import Several, Window
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
    penalties: Several = 100
    choice: Literal["min", "one_se"] = "min"
    folds: Splitter | None = None
    standardise: bool = True

    def __post_init__(self) -> None:
        if self.folds is None and self.window < FEWEST:
            raise ValueError(f"window: given {self.window} with folds=null; allowed: from {FEWEST}")

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """No feature."""
        return (
            [] if features else ["_target_: CrossAsset needs candidates; features: none are given"]
        )

    def lacks_the_mean(self, panel: Panel) -> str:
        return "the constant is of the window before each row, the train mean of all rows"

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        """The fits on the last `window` of these rows: what would forecast the next one.

        Raises:
            DataError: they are too few, or no asset has a target in all of them.
            EstimationError: the path of an asset was not followed to its end.
        """
        import pandas as pd

        from runner.models.fit import COEFFICIENTS, HYPOTHESES, QUALITY, Fit
        from runner.models.windows import last_window

        last = last_window(panel, rows, self.window)
        X, usable = _candidates(panel, last)
        use = np.isfinite(panel.y[last]).all(axis=0)
        if not use.any() or not usable.any():
            raise DataError(
                f"model: no asset has a target, or no candidate its values, on all {len(last)} last rows"
            )
        y = panel.y[last][:, use]
        found = self._solved(
            X[last][:, usable], y.T, np.eye(int(usable.sum())), panel, last, slopes=True
        )
        params = np.full((len(panel.assets), X.shape[1] + 1), np.nan)
        params[use] = 0.0
        params[np.ix_(use, np.append(True, usable))] = np.column_stack(
            [found.constant, found.slopes]
        )
        residuals = y - (found.constant + X[last][:, usable] @ found.slopes.T)
        reason = np.full(
            len(use), f"a missing target in the last window of {len(last)} rows", dtype=object
        )
        reason[use] = np.where(flat(y), "the target is constant", "")
        quality = _quality(panel, len(last), use, y, residuals).assign(reason=reason)
        return Fit(
            pd.DataFrame(columns=["scope", "unit", *COEFFICIENTS]).astype(
                dict.fromkeys(COEFFICIENTS[1:], float)
            ),
            quality.reindex(columns=["scope", "unit", *QUALITY]),
            pd.DataFrame(columns=["scope", "unit", *HYPOTHESES]),
            params,
            "none, LASSO is biased on purpose",
            findings={"signals": _signals(panel, params, use, found, int(usable.sum()), len(last))},
        )

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Forecasts (T, N) by the estimates of the last window, NaN where a candidate that one
        takes is missing.
        """
        X = panel.X.reshape(len(panel.y), -1)
        b = np.nan_to_num(fit.params[:, 1:])
        values = fit.params[:, 0] + np.nan_to_num(X) @ b.T
        lacking = np.isnan(X).astype(float) @ (b != 0.0).T.astype(float) > 0.0
        return np.where(lacking, np.nan, values)

    def forecast(self, panel: Panel, fold: Fold) -> np.ndarray:
        """Forecasts (len(test), N), each by the window before its row.

        Raises:
            DataError: no test row has a full window before it in its session.
            EstimationError: a path was not followed to its end.
        """
        from runner.models.windows import walk

        def one(rows: np.ndarray, t: int) -> np.ndarray:
            X, usable = _candidates(panel, np.append(rows, t))
            use = np.isfinite(panel.y[rows]).all(axis=0)
            values = np.full(len(use), np.nan)
            if use.any() and usable.any():
                found = self._solved(
                    X[rows][:, usable], panel.y[rows][:, use].T, X[[t]][:, usable], panel, rows
                )
                values[use] = found.values[:, 0]
            return values

        return walk(panel, fold, self.window, one, f"rows, {len(panel.assets)} LASSO fits each")

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
            EstimationError: one was not.
        """
        found = choose(
            X, y, Z, self.parts(panel, rows), self.penalties, self.choice, self.standardise, slopes
        )
        if not found.ended.all():
            raise EstimationError(
                f"model: the LASSO path of {count(int((~found.ended).sum()), 'asset')} has no end on the window "
                f"up to {panel.dates[rows[-1]]:{panel.date_format}}"
            )
        return found

    def parts(self, panel: Panel, rows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Training and test positions in a window of these rows, as scikit-learn takes them in
        `cv`.

        Raises:
            DataError: what the splitter says of its settings; a fold with one training row.
        """
        R = len(rows)
        test = max(R // (FOLDS + 1), 1)
        splitter = self.folds or WalkForward(test=test, first=R - FOLDS * test)
        try:
            folds = split_usable(
                splitter, panel.dates[rows], np.ones(R, dtype=bool), panel.horizon, rows
            )
        except DataError as error:
            raise DataError(
                [f"model.folds: {line} (in a window of {R} rows)" for line in error.mistakes]
            ) from error
        short = [fold.name for fold in folds if len(fold.train) < 2]
        if short or not folds:
            which = f"fold {short[0]} has fewer than 2 training rows" if short else "gives no fold"
            raise DataError(
                f"model.folds: {which} in a window of {R} rows; allowed: folds that have, or a longer one"
            )
        return [(fold.train, fold.test) for fold in folds]


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
    """LASSO with a constant of N targets y (N, n) on one design X (n, p), and its forecasts of the
    rows Z (m, p).

    Each has a penalty of its own, the one that LassoCV(alphas=penalties, cv=parts) chooses.
    """
    from runner.numerics.homotopy import paths

    still = flat(X)
    spread = np.where(still, 1.0, X.std(axis=0) if standardise else 1.0)
    unit = np.where(still, 0.0, (X - X.mean(axis=0)) / spread)
    level, n = y.mean(axis=1), len(X)
    size = np.abs(y - level[:, None]).max(axis=1)
    about = (y - level[:, None]) / np.where(size > 0.0, size, 1.0)[
        :, None
    ]  # of size one, whatever the unit
    most = np.abs(about @ unit).max(axis=1) / n
    grid = most[:, None] * np.geomspace(1.0, LEAST, penalties)
    errors = [_errors(unit, about, grid, *part) for part in parts]
    at, one = _position(np.array([error for error, _ in errors]), choice), np.arange(len(y))
    penalty = grid[one, at]
    rows = np.vstack(
        [np.where(still, 0.0, (Z - X.mean(axis=0)) / spread), *([np.eye(len(still))] * slopes)]
    )
    knots = paths(unit, about, rows, n * penalty)
    found = knots.at(n * penalty[:, None])[:, 0] * size[:, None]
    b = found[:, len(Z) :] / (spread if slopes else 1.0)
    return Chosen(
        level[:, None] + found[:, : len(Z)],
        b,
        level - b @ X.mean(axis=0) if slopes else level,
        penalty * size,
        knots.terms_at(n * penalty[:, None])[:, 0],
        np.logical_and.reduce([knots.ended, *(ended for _, ended in errors)]),
    )


def _errors(
    X: np.ndarray, y: np.ndarray, grid: np.ndarray, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean squared errors (N, L) of the test rows by fits on the training rows, and which paths
    ended (N,).
    """
    from runner.numerics.homotopy import paths

    x_mean, y_mean, n = X[train].mean(axis=0), y[:, train].mean(axis=1), len(train)
    knots = paths(
        X[train] - x_mean, y[:, train] - y_mean[:, None], X[test] - x_mean, n * grid[:, -1]
    )
    apart = knots.at(n * grid) - (y[:, test] - y_mean[:, None])[:, None, :]
    return np.mean(apart * apart, axis=2), knots.ended


def _position(errors: np.ndarray, choice: str) -> np.ndarray:
    """Position (N,) of the penalty by the errors (F, N, L) of the folds; of ties the largest."""
    mean = errors.mean(axis=0)
    least = mean.argmin(axis=1)
    if choice == "min" or len(errors) < 2:
        return least
    one = np.arange(len(least))
    allowed = mean[one, least] + errors.std(axis=0, ddof=1)[one, least] / np.sqrt(len(errors))
    return np.asarray((mean <= allowed[:, None]).argmax(axis=1))


def _candidates(panel: Panel, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every feature of every asset (T, N K), a view, and which of them (N K,) are there in all
    these rows.
    """
    X = panel.X.reshape(len(panel.y), -1)
    return X, np.isfinite(X[rows]).all(axis=0)


def _quality(
    panel: Panel, n: int, use: np.ndarray, y: np.ndarray, residuals: np.ndarray
) -> pd.DataFrame:
    """Rows and R2 in the last window, per asset."""
    import pandas as pd

    r2 = np.full(len(panel.assets), np.nan)
    total = np.where(flat(y), np.nan, np.sum((y - y.mean(axis=0)) ** 2, axis=0))
    r2[use] = np.maximum(
        1.0 - np.sum(residuals**2, axis=0) / total, 0.0
    )  # below it only by rounding
    table = {
        "scope": "asset",
        "unit": panel.assets,
        "n_obs": np.where(use, n, 0),
        "r2": r2,
        "cov": "",
    }
    return pd.DataFrame(table)


def _signals(
    panel: Panel, params: np.ndarray, use: np.ndarray, found: Chosen, usable: int, n: int
) -> Finding:
    """Which candidates each asset keeps in the last window, with their slopes."""
    import pandas as pd

    from runner.panels.finding import Finding

    names = [f"{feature} of {asset}" for asset in panel.assets for feature in panel.names]
    i, j = np.nonzero(np.nan_to_num(params[:, 1:]))
    penalty = np.full(len(use), np.nan)
    penalty[use] = found.penalty
    columns = {
        "asset": np.array(panel.assets, dtype=object)[i],
        "candidate": np.array(names, dtype=object)[j],
    }
    table = pd.DataFrame(columns | {"slope": params[i, j + 1], "penalty": penalty[i]})
    kept, own = (
        float(found.terms.mean()),
        float((i == j // len(panel.names)).mean()) if len(i) else 0.0,
    )
    metrics = {"candidates": float(usable), "kept": kept, "penalty": float(found.penalty.mean())}
    none = int((found.terms == 0).sum())
    words = [
        f"On the last {count(n, 'row')}, {number(kept, 3)} of {count(usable, 'candidate')} are kept per asset, none "
        f"in {none:,} of {count(int(use.sum()), 'asset')}."
    ]
    if len(names) - usable:
        words.append(
            f"{count(len(names) - usable, 'candidate')} with a missing cell in them left out."
        )
    if len(table):
        often = table["candidate"].value_counts().head(NAMED)
        told = listed(f"{name} ({times})" for name, times in often.items())
        words.append(f"Own features are {percent(own)} of what is kept. Kept most often: {told}.")
    return Finding(table, metrics, words)
