"""Gradient boosting of regression trees by LightGBM, an optional extra of the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from runner.errors import DataError, EstimationError, listed, unknown
from runner.models.model import Model, chosen_of
from runner.schema.settings import Count, Positive, Rows, UpToOne, Window
from runner.text import count, one_line, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.fit import Fit
    from runner.panels.finding import Finding
    from runner.panels.panel import Panel
    from runner.panels.units import Unit

INSTALL = 'pip install "factor-runner[boosting]"'
IMPORTANCE = ["scope", "unit", "term", "gain_share", "splits"]
LEADING = 3  # features named in words
MOST_LEAVES = 131_072  # of a tree of LightGBM
MOST_IN_ALL = 100_000_000  # leaves of all trees: more are a slip of the keyboard


class Grown(NamedTuple):
    """The trees of one unit, or the reason why it has none.

    They forecast the target over 2**exponent.
    """

    unit: Unit
    n_obs: int
    booster: Any = None
    exponent: int = 0
    r2: float = float("nan")
    reason: str = ""

    @property
    def key(self) -> dict[str, str]:
        """The columns of a table that name the unit."""
        return {"scope": self.unit.scope, "unit": self.unit.name}


@dataclass(frozen=True)
class Boosting(Model):
    """Sums of regression trees on squared errors, one model per unit.

    Friedman (2001); Ke et al. (2017). The names of LightGBM stand in brackets; what is not named
    here has its default. One thread, and the same bits for the same rows, settings and seed.
    LightGBM holds the target in single precision and takes features smaller than 1e-35 for zero.

    Attributes:
        by: null: all cells in one; asset; or the name of a group of assets such as sector.
        rounds: trees, without early stopping (num_iterations).
        learning_rate: weight of each further tree.
        leaves: most leaves of a tree (num_leaves).
        min_rows: fewest rows of a leaf (min_data_in_leaf); a unit needs twice as many.
        row_share: rows drawn for each tree (bagging_fraction, bagging_freq 1).
        column_share: features drawn for each tree (feature_fraction).
        seed: of both draws.
        regressors: names of the features to split on; null takes all. Which rows need which
            features says `model.rows` of the spec (see `runner.panels.rows`).
    """

    by: str | None = None
    rounds: Rows = 100
    learning_rate: Positive = 0.1
    leaves: Window = 31
    min_rows: Rows = 20
    row_share: UpToOne = 1.0
    column_share: UpToOne = 1.0
    seed: Count = 0
    regressors: list[str] | None = None

    def __post_init__(self) -> None:
        mistakes = []
        for name, share in (("row_share", self.row_share), ("column_share", self.column_share)):
            if not share:
                mistakes.append(f"{name}: given 0; allowed: a number above 0 to 1")
        if self.leaves > MOST_LEAVES:
            allowed = f"a number from 2 to {MOST_LEAVES}"
            mistakes.append(f"leaves: given {self.leaves}; allowed: {allowed}")
        in_all = self.rounds * self.leaves
        if in_all > MOST_IN_ALL:
            grown = f"{self.rounds:,} trees of {self.leaves:,} leaves have {in_all:,} in all"
            mistakes.append(f"rounds: {grown}; allowed: {MOST_IN_ALL:,}")
        if self.by == "date":
            mistakes.append(
                "by: given date, whose trees know no other date; "
                "allowed: null, asset, a group of assets"
            )
        if mistakes:
            raise ValueError("\n".join(mistakes))

    @property
    def reads(self) -> Literal["parts", "rows", "cells"]:
        """Trees are grown on all rows."""
        return "rows"

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """No LightGBM, no feature."""
        mistakes = []
        if find_spec("lightgbm") is None:
            mistakes.append(f"_target_: Boosting needs lightgbm; install it with: {INSTALL}")
        strangers = [name for name in self.regressors or [] if name not in features]
        mistakes += [f"regressors: {unknown(name, features)}" for name in strangers]
        if not features or self.regressors == []:
            mistakes.append(
                "_target_: Boosting needs a feature to split on; features: none are given"
            )
        return mistakes

    def uses(self, features: Sequence[str]) -> list[str]:
        """Those among `regressors`, or all."""
        return chosen_of(features, self.regressors)

    def lacks_the_mean(self, panel: Panel) -> str:
        return "trees are not nested in each other as regressions are"

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        """Grow trees on the rows at these positions, cells that are valid only.

        Raises:
            DataError: every unit has too few rows, or a target that does not vary; a group that the
                data has not.
            EstimationError: LightGBM cannot be loaded, or refuses.
        """
        import pandas as pd

        from runner.models.fit import COEFFICIENTS, HYPOTHESES, QUALITY, Fit
        from runner.panels.spells import spells
        from runner.panels.units import units

        by_label = spells(panel, [self.by] if self.by else [])
        if by_label is not None:
            return self.fit(by_label.panel, rows)
        forests = [self._grow(unit, panel) for unit in units(panel, rows, self.by)]
        grown = [forest for forest in forests if forest.booster]
        if not grown:
            reasons = dict.fromkeys(f"{forest.unit.name}: {forest.reason}" for forest in forests)
            reasons_text = listed(reasons)
            raise DataError(f"model: no trees could be grown; {reasons_text}")
        coefficients = pd.DataFrame(columns=["scope", "unit", *COEFFICIENTS])
        quality = [_quality(forest) for forest in forests]
        importance = _importance(grown, self.regressors or panel.names)
        machine = [(forest.unit.assets, forest.booster, forest.exponent) for forest in grown]
        return Fit(
            coefficients.astype(dict.fromkeys(COEFFICIENTS[1:], float)),
            pd.DataFrame(quality, columns=["scope", "unit", *QUALITY]),
            pd.DataFrame(columns=["scope", "unit", *HYPOTHESES]),
            params=np.empty((len(panel.assets), 0)),
            errors="none, trees have no coefficients",
            findings={"importance": importance},
            machine=machine,
        )

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Predictions (T, N), NaN where a feature is missing or the asset has no trees."""
        from runner.estimators.estimation import regressors
        from runner.panels.spells import spells

        by_label = spells(panel, [self.by] if self.by else [])
        if by_label is not None:
            return by_label.together(self.predict(fit, by_label.panel))
        values = np.full(panel.y.shape, np.nan)
        X = regressors(panel, self.regressors)
        is_known = np.isfinite(X)
        known = is_known.all(axis=2)
        machine: Any = fit.machine
        for assets, booster, exponent in machine:
            t, member = np.nonzero(known[:, assets])
            i = assets[member]
            if len(t):
                scaled = booster.predict(X[t, i], num_threads=1)
                values[t, i] = np.ldexp(scaled, exponent)
        return values

    def parameters(self) -> dict[str, Any]:
        """The settings as LightGBM names them."""
        return {
            "objective": "regression",
            "num_iterations": self.rounds,
            "learning_rate": self.learning_rate,
            "num_leaves": self.leaves,
            "min_data_in_leaf": self.min_rows,
            "bagging_fraction": self.row_share,
            "bagging_freq": int(self.row_share < 1.0),
            "feature_fraction": self.column_share,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": 1,
            "verbosity": -1,
        }

    def _grow(self, unit: Unit, panel: Panel) -> Grown:
        """The trees of one unit, cells in order of time."""
        from runner.estimators.estimation import design
        from runner.validation.accuracy import r2_against

        used = unit.used(panel)
        n = len(used.y)
        X = design(used, panel, self.regressors, constant=False)
        drawn = int(self.row_share * n)
        if drawn < 2 * self.min_rows:
            share = ""
            if self.row_share < 1.0:
                share = f", {drawn:,} of them drawn for a tree"
            needed = f"a split needs twice min_rows={self.min_rows}"
            rows_text = count(n, "row")
            return Grown(unit, n, reason=f"{rows_text}{share}; {needed}")
        # LightGBM holds squares of the target in single precision; a power of two moves no bit of
        # the forecast.
        largest = np.abs(used.y).max()
        mantissa_and_exponent = np.frexp(largest)
        exponent = int(mantissa_and_exponent[1])
        y = np.ldexp(used.y, -exponent)
        if np.isnan(r2_against(y, y, y.mean())):
            return Grown(unit, n, reason="the target does not vary")
        booster = _train(self.parameters(), X, y)
        fitted = booster.predict(X, num_threads=1)
        r2 = r2_against(y, fitted, y.mean())
        return Grown(unit, n, booster, exponent, r2)


def _train(parameters: dict[str, Any], X: np.ndarray, y: np.ndarray) -> Any:
    """LightGBM on these rows (n, K).

    Raises:
        EstimationError: it cannot be loaded (it needs the OpenMP library of the system), or it
            refuses.
    """
    try:
        import lightgbm
    except (ImportError, OSError) as error:
        raise EstimationError(f"model: lightgbm cannot be loaded: {_on_one_line(error)}") from error
    try:
        return lightgbm.train(parameters, lightgbm.Dataset(X, y))
    except lightgbm.basic.LightGBMError as error:
        raise EstimationError(f"model: lightgbm refuses: {_on_one_line(error)}") from error


def _on_one_line(error: Exception) -> str:
    return one_line(error)


def _quality(forest: Grown) -> dict[str, object]:
    """Rows and R2 in sample of one unit, or the reason why it has no trees."""
    numbers = {"n_obs": forest.n_obs, "r2": forest.r2, "cov": "", "reason": forest.reason}
    return forest.key | numbers


def _importance(grown: Sequence[Grown], names: Sequence[str]) -> Finding:
    """Per unit and feature: share of the gain of all splits, and how many splits."""
    import pandas as pd

    from runner.panels.finding import Finding

    rows = []
    for forest in grown:
        gain = forest.booster.feature_importance("gain")
        split_counts = forest.booster.feature_importance("split")
        splits = split_counts.tolist()
        total = gain.sum()
        shares = np.zeros(len(gain))
        if total:
            shares = gain / total
        for name, share, times in zip(names, shares.tolist(), splits, strict=True):
            rows.append(forest.key | {"term": name, "gain_share": share, "splits": times})
    table = pd.DataFrame(rows, columns=IMPORTANCE)
    words = _in_words(table)
    return Finding(table, words=words, picture="importance")


def _in_words(table: pd.DataFrame) -> list[str]:
    """The leading features, and what the fit in sample is worth."""
    units = table["unit"].nunique()
    by_term = table.groupby("term", sort=False)
    mean = by_term["gain_share"].mean()
    used = mean[mean > 0.0]
    in_order = used.sort_values(ascending=False, kind="stable")
    leading = in_order.head(LEADING)
    if leading.empty:
        return ["No tree has a split: the forecast is the mean of the rows fitted."]
    shares = listed(f"{name} ({percent(share)})" for name, share in leading.items())
    over = f", mean over {units:,} regressions" if units > 1 else ""
    return [
        f"Most of the gain of the splits comes from {shares}{over}; this measures use, not cause.",
        "Trees can fit their training rows arbitrarily well: "
        "R2 in sample says nothing about new rows.",
    ]
