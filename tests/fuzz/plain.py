"""Specs that run by construction, with data of their own, and what a plain computation makes of them.

Nothing of the runner is used here: features are pandas, estimates are numpy, scikit-learn and
statsmodels, on tables of dates x assets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import statsmodels.api as sm
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import ElasticNet, Lasso, Ridge

START = "2021-01-04"  # a Monday
COVS = ("nonrobust", "HC0", "HC1", "HC2", "HC3")
ENOUGH = 12  # rows of a regression beside its regressors: fewer may be refused


class Feature(NamedTuple):
    """How a spec says a feature, and what it is."""

    words: str
    by_pandas: Callable[[pd.DataFrame, pd.DataFrame, pd.DataFrame], pd.DataFrame]


# of close, signal and size, dates x assets
FEATURES = {
    "past": Feature("close / lag(close, 3) - 1", lambda c, s, z: c / c.shift(3) - 1.0),
    "plain": Feature("signal", lambda c, s, z: s),
    "late": Feature("lag(signal, 2)", lambda c, s, z: s.shift(2)),
    "trend": Feature("mean(close, 5) / close - 1", lambda c, s, z: c.rolling(5).mean() / c - 1.0),
    "large": Feature("log(size)", lambda c, s, z: np.log(z)),
    "square": Feature("signal * signal", lambda c, s, z: s * s),
    "spread": Feature("std(signal, 4)", lambda c, s, z: s.rolling(4).std()),
    "level": Feature("diff(size, 2)", lambda c, s, z: z.diff(2)),
    "bounded": Feature("clip(signal, -0.7, 1)", lambda c, s, z: s.clip(-0.7, 1.0)),
    "sign": Feature("signal > 0.2", lambda c, s, z: (s > 0.2).astype(float).where(s.notna())),
    "highest": Feature("max(size, 3)", lambda c, s, z: z.rolling(3).max()),
    "together": Feature("signal * lag(size, 1)", lambda c, s, z: s * z.shift(1)),
}


def _zscore(x: pd.DataFrame) -> pd.DataFrame:
    scores = x.sub(x.mean(axis=1), axis=0).div(x.std(axis=1), axis=0)
    return scores.where(x.max(axis=1) > x.min(axis=1), np.nan, axis=0)


def _winsorised(x: pd.DataFrame) -> pd.DataFrame:
    low, high = x.quantile(0.1, axis=1), x.quantile(0.9, axis=1)
    return x.clip(low, high, axis=0)


def _ranked(x: pd.DataFrame) -> pd.DataFrame:
    others = x.notna().sum(axis=1) - 1
    ranks = (x.rank(axis=1) - 1.0).div(others.clip(lower=1), axis=0) - 0.5
    return ranks.where(others > 0, 0.0 * x, axis=0)


STEPS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "{_target_: runner.preprocessing.zscore}": _zscore,
    "{_target_: runner.preprocessing.rank}": _ranked,
    "{_target_: runner.preprocessing.demean}": lambda x: x.sub(x.mean(axis=1), axis=0),
    "{_target_: runner.preprocessing.winsorise, limit: 0.1}": _winsorised,
    "{_target_: runner.preprocessing.clip, low: -0.5, high: 0.8}": lambda x: x.clip(-0.5, 0.8),
}


class Rows(NamedTuple):
    """The cells of a regression: regressors (n, k) with the constant first, and the rest (n,)."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    date: np.ndarray
    asset: np.ndarray

    def of(self, kept: np.ndarray) -> Rows:
        return Rows(*(part[kept] for part in self))


class Estimates(NamedTuple):
    """Of the terms of a regression (k,); errors are None where there are none."""

    values: np.ndarray
    errors: np.ndarray | None = None
    df: float = np.inf


@dataclass(frozen=True)
class Plain:
    """A spec with its data, and what must come of it.

    Attributes:
        missing: share of the cells of the signal that are missing.
        number: of the random draws.
        model: least_squares, weighted, clustered, within, means, ridge, lasso, elastic_net, logit.
        pooled: one regression of all cells, else one of each asset.
        lags: of HAC; of Newey-West over dates.
        test: rows of each part that is forecast; 0: no validation.
        window: rows of a fit that is forecast from; 0: all before.
        asides: further overrides, which change no number.
    """

    assets: int
    dates: int
    missing: float
    scale: float
    number: int
    features: tuple[str, ...]
    regressors: tuple[str, ...]
    steps: tuple[str, ...]
    target: str
    ahead: int
    weekly: bool
    model: str
    pooled: bool
    cov: str
    lags: int
    penalty: float
    standardise: bool
    constant: bool
    confidence: float
    splitter: str
    first: int
    test: int
    window: int
    asides: tuple[str, ...]
    swept: tuple[str, ...]

    @cached_property
    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Prices, signal and size, dates x assets."""
        draw = np.random.default_rng(self.number)
        shape = (self.dates, self.assets)
        index = pd.bdate_range(START, periods=self.dates)
        names = [f"A{number}" for number in range(self.assets)]
        prices = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.02, shape), axis=0))
        signal = draw.normal(size=shape)
        signal[draw.random(shape) < self.missing] = np.nan
        size = np.exp(draw.normal(3.0, 0.4, shape))
        tables = (prices, self.scale * signal, size)
        close, signal_of, size_of = (pd.DataFrame(table, index, names) for table in tables)
        return close, signal_of, size_of

    def data(self) -> pd.DataFrame:
        """The table that the runner reads: a row per date and asset."""
        close, signal, size = self.tables
        columns = {
            "close": close.stack(),
            "signal": signal.stack(future_stack=True),
            "size": size.stack(),
        }
        return pd.DataFrame(columns).rename_axis(["date", "asset"]).reset_index()

    def words(self) -> list[str]:
        """The overrides of the spec; of a sweep its axis is the last one."""
        by = {"means": "date"}.get(self.model, "null" if self.pooled else "asset")
        estimator = (
            self.model if self.model in ("ridge", "lasso", "elastic_net", "logit") else "ols"
        )
        words = ["features=none", *(f"+features.{n}={FEATURES[n].words}" for n in self.features)]
        words += [f"target={self.target}", f"preprocess=[{', '.join(self.steps)}]"]
        if self.target != "same_period_return":
            words.append(f"target.horizon={self.ahead}")
        if self.weekly:
            words += ["target.frequency=week", "target.partial=keep"]
        words += ["model=ols", f"model.by={by}", f"model.estimator={estimator}"]
        words += [f"model.constant={str(self.constant).lower()}", "audit=off", "report=tables"]
        words.append(f"model.confidence={self.confidence}")
        if self.regressors:
            words.append(f"model.regressors=[{', '.join(self.regressors)}]")
        words += self._of_the_model()
        if self.splitter == "walk_forward":
            window = self.window or "null"
            words.append("validation=walk_forward")
            words += [f"validation.first={self.first}", f"validation.test={self.test}"]
            words.append(f"validation.window={window}")
        elif self.splitter == "kfold":
            words += ["validation=kfold", f"validation.folds={self.test}"]
        else:
            words.append("validation=none")
        words += self.asides
        return [*words, f"model.cov={','.join(self.swept)}"] if self.swept else words

    def _of_the_model(self) -> list[str]:
        """The overrides of this kind of model."""
        lags = [f"model.cov_lags={self.lags}"] if self.cov == "HAC" else []
        penalty = [f"model.penalty={self.penalty}", "model.l1_ratio=0.4"]
        penalty += [f"model.standardise={str(self.standardise).lower()}"]
        return {
            "weighted": [f"model.cov={self.cov}", "model.weights=size"],
            "clustered": ["model.cov=cluster", "model.clusters=[date]"],
            "within": [f"model.cov={self.cov}", "model.effects=[asset]"],
            "means": [f"model.mean_lags={self.lags}"],
            "ridge": penalty,
            "lasso": penalty,
            "elastic_net": penalty,
            "logit": [],
        }.get(self.model, [f"model.cov={self.cov}", *lags])

    @cached_property
    def cells(self) -> Rows:
        """Every cell with all its numbers, by date, then asset."""
        close, signal, size = self.tables
        columns = []
        others = []  # which a sweep asks to be known too: its jobs compare on common rows
        for name in self.features:
            column = FEATURES[name].by_pandas(close, signal, size)
            for step in self.steps:
                column = STEPS[step](column)
            if not self.regressors or name in self.regressors:
                columns.append(column)
            elif self.swept:
                others.append(column)
        if self.target == "same_period_return":
            target = close / close.shift(1) - 1.0
        else:
            target = close.shift(-self.ahead) / close - 1.0
        if self.weekly:
            ends = close.groupby(pd.Grouper(freq="W")).apply(lambda week: week.index[-1])
            columns = [column.loc[ends] for column in columns]
            others = [column.loc[ends] for column in others]
            prices, size = close.loc[ends], size.loc[ends]
            target = prices.shift(-self.ahead) / prices - 1.0
        if self.target == "up":
            target = (target > 0.0).astype(float).where(target.notna())
        stacked = [column.to_numpy().ravel() for column in columns]
        if self.constant:
            stacked.insert(0, np.ones(target.size))
        y = target.to_numpy().ravel()
        date, asset = np.divmod(np.arange(target.size), self.assets)
        rows = Rows(np.column_stack(stacked), y, size.to_numpy().ravel(), date, asset)
        known = np.isfinite(rows.x).all(axis=1) & np.isfinite(y)
        for column in others:
            known &= np.isfinite(column.to_numpy().ravel())
        return rows.of(known)

    def units(self, rows: Rows) -> dict[str, Rows]:
        """The rows of each regression by its unit; "" of all."""
        if self.pooled:
            return {"": rows}
        return {f"A{number}": rows.of(rows.asset == number) for number in range(self.assets)}

    def is_large(self) -> bool:
        """Whether each regression has rows enough that no one refuses it, and no other rank."""
        cells = self.cells
        if self.model == "means":
            return len(self._dates_of_means()) >= ENOUGH
        units = self.units(cells).values()
        least = ENOUGH + self.terms() + self.lags + (self.assets if self.model == "within" else 0)
        if min(len(rows.y) for rows in units) < least:
            return False
        if self.model == "logit" and min(_least_class(rows.y) for rows in units) < ENOUGH:
            return False
        return all(_is_regular(rows.x) for rows in units) and self._can_train()

    def _can_train(self) -> bool:
        """Whether each training part has a regression that can be estimated."""
        if self.splitter == "none":
            return True
        kinds = np.unique(self.cells.date)
        position = np.searchsorted(kinds, self.cells.date)
        for train, _ in self._folds(kinds):
            trained = self.units(self.cells.of(np.isin(position, train))).values()
            if not any(_is_regular(rows.x) for rows in trained if len(rows.y) >= ENOUGH):
                return False
        return True

    def terms(self) -> int:
        """How many terms a regression has."""
        return len(self.regressors or self.features) + self.constant

    def _dates_of_means(self) -> list[Rows]:
        """The cross-sections that have one row more than terms at least."""
        by_date = [self.cells.of(self.cells.date == date) for date in np.unique(self.cells.date)]
        return [rows for rows in by_date if len(rows.y) > self.terms() and _is_regular(rows.x)]

    def estimates(self, rows: Rows, cov: str = "nonrobust") -> Estimates:
        """What the regression of a unit gives, with these errors."""
        if self.model in ("ridge", "lasso", "elastic_net"):
            return Estimates(self._penalised(rows))
        if self.model == "logit":
            scale = np.abs(rows.x).max(axis=0)  # its Newton steps need columns of one size
            fitted = sm.Logit(rows.y, rows.x / scale).fit(disp=0, tol=1e-12, maxiter=200)
            return Estimates(fitted.params / scale, fitted.bse / scale)
        if self.model == "means":
            return self._means()
        if self.model == "within":
            return _within(rows, cov, self.constant)
        weights = rows.weights if self.model == "weighted" else np.ones(len(rows.y))
        root = np.sqrt(weights)
        x, y = rows.x * root[:, None], rows.y * root
        cov = "cluster" if self.model == "clustered" else cov
        return _least_squares(x, y, cov, self.lags, rows.date)

    def _penalised(self, rows: Rows) -> np.ndarray:
        """Constant and slopes (k,) of scikit-learn's estimator."""
        x = rows.x[:, self.constant :]
        scale = x.std(axis=0) if self.standardise else np.ones(x.shape[1])
        descent = {"fit_intercept": self.constant, "tol": 1e-15, "max_iter": 200_000}
        line = {
            "ridge": Ridge(self.penalty, fit_intercept=self.constant, solver="svd"),
            "lasso": Lasso(self.penalty, **descent),
            "elastic_net": ElasticNet(self.penalty, l1_ratio=0.4, **descent),
        }[self.model]
        line.fit(x / scale, rows.y)
        slopes = line.coef_ / scale
        return np.append(line.intercept_, slopes) if self.constant else slopes

    def _means(self) -> Estimates:
        """Means of the cross-sections with Newey-West errors (Fama and MacBeth 1973)."""
        by_date = self._dates_of_means()
        slopes = np.array([np.linalg.lstsq(rows.x, rows.y, rcond=None)[0] for rows in by_date])
        away = slopes - slopes.mean(axis=0)
        n = len(slopes)
        variance = (away**2).sum(axis=0)
        for lag in range(1, self.lags + 1):
            share = 2.0 * (1.0 - lag / (self.lags + 1))
            variance += share * (away[lag:] * away[:-lag]).sum(axis=0)
        rows = n if self.lags else n - 1  # without lags the plain error of a mean
        return Estimates(slopes.mean(axis=0), np.sqrt(variance / n / rows), n - 1)

    def forecasts(self) -> dict[tuple[int, int], float]:
        """Of each date and asset that is tested once: the forecast from the rows that may train."""
        cells = self.cells
        kinds = np.unique(cells.date)
        position = np.searchsorted(kinds, cells.date)
        forecasts = {}
        for train, test in self._folds(kinds):
            trained = self.units(cells.of(np.isin(position, train)))
            tested = self.units(cells.of(np.isin(position, test)))
            for unit, rows in trained.items():
                if len(rows.y) < ENOUGH + self.terms() or not _is_regular(rows.x):
                    continue
                to_forecast = tested[unit]
                values = to_forecast.x @ self.estimates(rows).values
                keys = zip(kinds[position_of(to_forecast, kinds)], to_forecast.asset, strict=True)
                forecasts.update(zip(keys, values, strict=True))
        return forecasts

    def _folds(self, kinds: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Training and test rows of each fold, of the dates that have a cell; the purge counts all."""
        rows = len(kinds)
        every = np.arange(rows)
        if self.splitter == "kfold":
            parts = np.array_split(every, self.test)
            return [(np.setdiff1d(every, part), part) for part in parts]
        folds = []
        horizon = 0 if self.target == "same_period_return" else self.ahead
        for start in range(self.first, rows, self.test):
            known = kinds[start] - max(horizon - 1, 0)  # the first date whose target is not known
            end = np.searchsorted(kinds, known)
            begin = max(end - self.window, 0) if self.window else 0
            folds.append((every[begin:end], every[start : start + self.test]))
        return folds


def position_of(rows: Rows, kinds: np.ndarray) -> np.ndarray:
    """Of each row, which of the dates it has."""
    return np.searchsorted(kinds, rows.date)


def _is_regular(x: np.ndarray) -> bool:
    """Whether the columns are no combinations of each other, nor nearly so."""
    if len(x) <= x.shape[1]:
        return False
    scale = np.linalg.norm(x, axis=0)
    is_ones = (x == 1.0).all(axis=0)
    varies = is_ones | (x.std(axis=0) > 1e-6 * scale)
    return bool(varies.all()) and np.linalg.cond(x / scale) < 1e4


def _least_class(y: np.ndarray) -> int:
    """How many rows the rarer one of 0 and 1 has."""
    return int(min((y == 0).sum(), (y == 1).sum()))


def _least_squares(
    x: np.ndarray, y: np.ndarray, cov: str, lags: int, clusters: np.ndarray
) -> Estimates:
    """Least squares; White 1980, MacKinnon and White 1985, Newey and West 1987, Liang and Zeger 1986."""
    n, k = x.shape
    bread = np.linalg.inv(x.T @ x)
    values = bread @ x.T @ y
    u = y - x @ values
    scores = x * u[:, None]
    df = float(n - k)
    leverage = np.einsum("ij,jk,ik->i", x, bread, x)
    if cov == "HAC":
        meat = scores.T @ scores
        for lag in range(1, lags + 1):
            product = scores[lag:].T @ scores[:-lag]
            meat += (1.0 - lag / (lags + 1)) * (product + product.T)
    elif cov == "cluster":
        sums = pd.DataFrame(scores).groupby(clusters).sum().to_numpy()
        groups = len(sums)
        meat = sums.T @ sums * groups / (groups - 1) * (n - 1) / (n - k)
        df = float(groups - 1)
    else:
        squares = {
            "nonrobust": np.full(n, u @ u / (n - k)),
            "HC0": u**2,
            "HC1": u**2 * n / (n - k),
            "HC2": u**2 / (1.0 - leverage),
            "HC3": u**2 / (1.0 - leverage) ** 2,
        }[cov]
        meat = (x * squares[:, None]).T @ x
    return Estimates(values, np.sqrt(np.diag(bread @ meat @ bread)), df)


def _within(rows: Rows, cov: str, constant: bool) -> Estimates:
    """Slopes with an effect of each asset: least squares on a dummy of each."""
    dummies = (rows.asset[:, None] == np.unique(rows.asset)).astype(float)
    slopes = rows.x[:, constant:]
    found = _least_squares(np.hstack([slopes, dummies]), rows.y, cov, 0, rows.date)
    assert found.errors is not None
    count = slopes.shape[1]
    return Estimates(found.values[:count], found.errors[:count], found.df)


def interval(estimates: Estimates, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """The confidence interval of each term."""
    assert estimates.errors is not None
    reach = stats.t.ppf(0.5 + confidence / 2.0, estimates.df) * estimates.errors
    return estimates.values - reach, estimates.values + reach


Asides = Callable[[list[str]], Mapping[str, list[str]]]
MODELS = (
    *["least_squares"] * 4,
    *["weighted", "clustered", "within", "means", "ridge", "lasso", "elastic_net", "logit"],
)


@st.composite
def plain_specs(draw: st.DrawFn, asides: Asides) -> Plain:
    """A spec that runs.

    Args:
        asides: overrides that a spec may have beside these without another number, by their key.
    """
    model = draw(st.sampled_from(MODELS))
    most = 2 if model == "means" else 4
    names = draw(
        st.lists(st.sampled_from(sorted(FEATURES)), min_size=1, max_size=most, unique=True)
    )
    by_asset_alone = model == "least_squares" and draw(st.booleans())
    cov = draw(st.sampled_from([*COVS, "HAC"] if by_asset_alone else COVS))
    cov = draw(st.sampled_from(["nonrobust", "HC0", "HC1"])) if model == "within" else cov
    pooled = model in ("clustered", "within", "means")
    pooled = pooled or (not by_asset_alone and draw(st.booleans()))
    weekly = draw(st.integers(0, 7)) == 0
    forecast = model in ("least_squares", "ridge") and not weekly and draw(st.booleans())
    target = draw(st.sampled_from(["forward_return", "forward_return", "same_period_return"]))
    weekly = weekly and model != "means"
    target = "forward_return" if weekly else target
    target = "up" if model == "logit" else target
    splitter = draw(st.sampled_from(["walk_forward", "kfold"])) if forecast else "none"
    ahead = 1 if splitter == "kfold" or target == "up" else draw(st.integers(1, 3))
    with_constant = model in ("within", "logit", "means")
    spec = Plain(
        assets=draw(st.integers(6, 8) if model == "means" else st.integers(2, 5)),
        dates=200 if weekly else draw(st.integers(60, 110)),
        missing=draw(st.sampled_from([0.0, 0.05, 0.2])),
        scale=draw(st.sampled_from([1e-3, 1.0, 1.0, 1e3])),
        number=draw(st.integers(0, 10**6)),
        features=tuple(names),
        regressors=tuple(names[:-1]) if len(names) > 1 and draw(st.booleans()) else (),
        steps=tuple(draw(st.lists(st.sampled_from(sorted(STEPS)), max_size=1))),
        target=target,
        ahead=ahead,
        weekly=weekly,
        model=model,
        pooled=pooled,
        cov=cov,
        lags=draw(st.integers(0, 4)),
        penalty=draw(st.sampled_from([1e-4, 1e-3, 0.1, 1.0])),
        standardise=draw(st.booleans()),
        constant=with_constant or draw(st.booleans()),
        confidence=draw(st.sampled_from([0.5, 0.9, 0.95, 0.99])),
        splitter=splitter,
        first=draw(st.integers(30, 50)),
        test=draw(st.integers(2, 9)),
        window=draw(st.sampled_from([0, 25])),
        asides=(),
        swept=("HC0", "HC3") if cov == "HC0" and model == "least_squares" else (),
    )
    allowed = asides(replace(spec, swept=()).words())
    keys = draw(st.lists(st.sampled_from(sorted(allowed)), max_size=4, unique=True))
    words = [draw(st.sampled_from(allowed[key])) for key in keys]
    # what another one changes is taken by none
    kept = [word for word in words if not any(f"${{{key}}}" in word for key in keys)]
    return replace(spec, asides=tuple(kept))
