"""Regression of the target on the features: per asset, per date, per group of assets, or pooled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.errors import DataError, unknown
from runner.estimators.settings import (
    ESTIMATORS,
    WITH_EFFECTS,
    RegressionSettings,
    component_names,
)
from runner.models.model import Model, chosen_of
from runner.numerics.moments import products_summed
from runner.progress import tracked

if TYPE_CHECKING:
    import pandas as pd

    from runner.estimators.estimates import Estimates
    from runner.models.fit import Fit
    from runner.panels.panel import Panel
    from runner.panels.spells import Spells
    from runner.validation.splitters import Fold

FORECASTS = 2**19  # of several folds that are made at a time, which stay in the cache


@dataclass(frozen=True)
class Regression(RegressionSettings, Model):
    """Least squares, penalised least squares or a logit, per asset, date or label, or pooled.

    Its settings are those of `runner.estimators.settings.RegressionSettings`.
    """

    @property
    def weight_field(self) -> str | None:
        """The field of the data that weighs the rows, None where none does."""
        return None if self.weights == "inverse_variance" else self.weights

    @property
    def reads(self) -> Literal["parts", "rows", "cells"]:
        """Sums need some dates at a time; others go over all rows: a logit, weights, effects."""
        if self.components or self.weights == "inverse_variance":
            return "cells"
        of_rows = self.estimator == "logit" or self.weights is not None or bool(self.absorbed)
        return "rows" if of_rows else "parts"

    @property
    def takes_targets(self) -> bool:
        """Whether predictions need the targets of their own row, as principal components do."""
        return self.components > 0

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """What is wrong with these settings for these features, a line each."""
        from runner.numerics.restrictions import hypothesis, restriction

        chosen = list(features) if self.regressors is None else self.regressors
        strangers = [name for name in chosen if name not in features]
        repeated = [name for name in dict.fromkeys(chosen) if chosen.count(name) > 1]
        mistakes = [f"regressors: {unknown(name, features)}" for name in strangers]
        mistakes += [f"regressors: {name!r} is given twice" for name in repeated]
        if not self.with_constant and not chosen and not self.components and not self.dummies:
            mistakes.append("regressors: none, and no constant; allowed: at least one term")
        allowed = ["const", *features, *component_names(self.components)]
        for text in self.hypotheses:
            try:
                restriction(hypothesis(text).equations, allowed)
            except ValueError as error:
                mistakes.append(f"hypotheses: {error}")
        return mistakes

    def uses(self, features: Sequence[str]) -> list[str]:
        """Those among `regressors`, or all."""
        return chosen_of(features, self.regressors)

    def lacks_the_mean(self, panel: Panel) -> str:
        """Why a forecast with every slope zero is not the training mean of each asset.

        Empty where it is. A penalty leaves the constant free, so that penalised regressions by
        asset and a logit contain it too.
        """
        if panel.back:
            return "the model is fitted on another scale of the target than it is scored on"
        if self.by == "date":
            return "a regression by date has no constant of the asset"
        if self.weights is not None:
            return "rows are weighted in the fit, not in the training mean"
        if "asset" in self.effects:
            return ""
        if any(name != "date" for name in self.effects):
            return "the effects are those of groups, not of each asset"
        if not self.with_constant:
            return "the model has no constant"
        if self.by == "asset" or len(panel.assets) == 1:
            return ""
        return "one constant for several assets is not the mean of each"

    def on(self, panel: Panel) -> Regression:
        """The same with its dummies, levels in the order of names, as regressors after the others.

        By date it is the same: the levels of each date are taken off its columns.

        Raises:
            DataError: a group that the data has not.
        """
        if not self.dummies or self.by == "date":
            return self
        grouping = panel.grouping
        lost = [name for name in self.dummies if name not in grouping]
        if lost:
            known = grouping.names
            raise DataError([f"model.dummies: {unknown(name, known)}" for name in lost])
        levels = []
        for group in self.dummies:
            by_date = group in panel.labels
            names = list(panel.levels.of(group) if by_date else grouping.get(group).values)
            if self.constant and not ESTIMATORS[self.estimator].penalised:
                names = names[1:]  # all of them would be collinear with the constant
            levels += [f"{group}:{name}" for name in names]
        chosen = panel.names if self.regressors is None else self.regressors
        return replace(self, dummies=[], regressors=[*chosen, *levels])

    def by_spells(self, panel: Panel) -> Panel:
        """The panel that is fitted: with a column per asset and label where it groups by labels
        that change (see `runner.panels.spells`), else the panel as it is.
        """
        by_label = self._spells(panel)
        if by_label is None:
            return panel
        return by_label.panel

    def _spells(self, panel: Panel) -> Spells | None:
        """The panel by spells of the labels that it groups by; None where none of them changes."""
        if not panel.labels:
            return None
        from runner.panels.spells import spells

        levels = [name for name in self.regressors or () if name not in panel.names]
        of_levels = [name.partition(":")[0] for name in levels]
        return spells(panel, [*self.labels, *of_levels])

    def fit(self, panel: Panel, rows: np.ndarray | None = None) -> Fit:
        """Estimate on the rows at these positions (None: on all), cells that are valid only.

        Raises:
            DataError: every unit has too few rows; a group or a field that the data has not;
                by=date with a feature that is the same for every asset.
            EstimationError: no unit could be estimated.
        """
        if rows is None:
            rows = np.arange(len(panel.dates))
        named = self.on(panel)
        if named is not self:
            return named.fit(panel, rows)
        panel = self.by_spells(panel)
        if self.components:
            from runner.panels.components import extended, principal

            components = principal(panel, rows, self.components)
            fit = self._with_components_as_features().fit(extended(panel, components), rows)
            return replace(fit, components=components)
        from runner.models.regression_tables import as_fit

        return as_fit(self, self._estimates(panel, rows), panel, rows)

    def fit_to_forecast(self, panel: Panel, rows: np.ndarray) -> Fit:
        """The estimates alone, without errors, tests and tables: all that a forecast takes.

        Raises:
            DataError, EstimationError: as `fit` does.
        """
        named = self.on(panel)
        if named is not self:
            return named.fit_to_forecast(panel, rows)
        panel = self.by_spells(panel)
        if self.components:
            from runner.panels.components import extended, principal

            components = principal(panel, rows, self.components)
            inner = self._with_components_as_features()
            fit = inner.fit_to_forecast(extended(panel, components), rows)
            return replace(fit, components=components)
        from runner.models.fit import NO_TABLE, Fit, refuse_nothing
        from runner.panels.units import per_asset

        estimates = self._without_errors._estimates(panel, rows)
        refuse_nothing(estimates)
        return Fit(
            coefficients=NO_TABLE,
            quality=NO_TABLE,
            hypotheses=NO_TABLE,
            params=per_asset(estimates.b, estimates.units, len(panel.assets)),
            errors="",
            asset_effects=estimates.asset_effects,
            date_effects=estimates.date_effects,
            label_effects=estimates.label_effects,
        )

    @cached_property
    def _without_errors(self) -> Regression:
        """The same with the errors that cost nothing."""
        return replace(self, cov="nonrobust", cov_lags=None, clusters=[])

    def _estimates(self, panel: Panel, rows: np.ndarray) -> Estimates:
        """The estimates of every unit."""
        from runner.panels.units import refuse_shared

        if self.by == "date":
            refuse_shared(panel, rows, self.terms(panel.names))
        estimate = _estimator(self)
        return estimate(self, panel, rows)

    def _with_components_as_features(self) -> Regression:
        """The same on a panel that has its components as features."""
        names = self.regressors
        if names is not None:
            names = [*names, *component_names(self.components)]
        return replace(self, components=0, regressors=names)

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Predictions (T, N), NaN where a feature is missing or the asset was not estimated.

        By date, the forecast takes the mean of the estimates over the dates that were fitted. A
        date that was not fitted has the mean date effect, zero. Of a logit, the probability of 1.
        Where it groups by labels that change, a cell has the estimates of the label of its date;
        with dummies, none where no usable row has that label.
        """
        from runner.estimators.estimation import columns_of

        named = self.on(panel)
        if named is not self:
            return named.predict(fit, panel)
        by_label = self._spells(panel)
        if by_label is not None:
            of_columns = self.predict(fit, by_label.panel)
            of_columns[:, self._without_level(by_label.panel)] = np.nan
            return by_label.together(of_columns)
        if fit.components is not None:
            from runner.panels.components import extended

            plain = replace(fit, components=None)
            wide = extended(panel, fit.components)
            return self._with_components_as_features().predict(plain, wide)
        columns = columns_of(panel, self.regressors)
        member = panel.dummies(self.regressors)
        K = len(columns)
        slopes = fit.params[:, 1:] if self.with_constant else fit.params
        values = panel.cells.lines(columns, slopes[:, :K])
        if self.with_constant or member.size:
            constant = fit.params[:, 0] if self.with_constant else 0.0
            values += constant + products_summed(member, slopes[:, K:])
        if fit.asset_effects is not None:
            values += fit.asset_effects
        for name, effects in fit.label_effects.items():
            codes = panel.grouping.get(name).cells(len(values))
            values += effects[np.arange(len(effects)), codes]
        if fit.date_effects is not None:
            values += fit.date_effects
        if self.estimator == "logit":
            from scipy.special import expit

            return np.asarray(expit(values))
        return np.asarray(values)

    def _without_level(self, panel: Panel) -> np.ndarray:
        """(M,) whether a column by spells has a label with dummies that no usable row has."""
        groups = {name.partition(":")[0] for name in self.regressors or () if ":" in name}
        without = np.zeros(len(panel.assets), dtype=bool)
        for group in groups & set(panel.levels.labels):
            without |= ~panel.groups[group].isin(panel.levels.of(group)).to_numpy()
        return without

    def forecasts(
        self, panel: Panel, folds: Sequence[Fold]
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The forecasts of several folds, in parts, see `Model.forecasts`.

        Where all assets have one line, rows that several folds test are read once for all of them.
        """
        from runner.estimators.estimation import columns_of
        from runner.panels.numbers.cells import Cube
        from runner.validation.folds import placed_in, tested_together

        cells = panel.cells
        T, N = cells.shape
        stretches = tested_together(folds, T)
        several = any(len(numbers) > 1 for _, _, numbers in stretches)
        if not (several and self._has_one_line(panel) and isinstance(cells, Cube)):
            yield from super().forecasts(panel, folds)
            return
        lines = []
        for fold in tracked(folds, "folds fitted"):
            with placed_in(fold):
                lines.append(self.fit_to_forecast(panel, fold.train).params[0])
        constants = np.zeros(len(folds))
        slopes = np.array(lines)
        if self.with_constant:
            constants = slopes[:, 0]
            slopes = slopes[:, 1:]
        columns = columns_of(panel, self.regressors)
        for start, until, numbers in stretches:
            dates = max(FORECASTS // (len(numbers) * N), 1)
            for first in range(start, until, dates):
                rows = np.arange(first, min(first + dates, until))
                values = cells.at(rows).several_lines(columns, slopes[numbers])
                values += constants[numbers][:, None, None]
                for number, of_fold in zip(numbers, values, strict=True):
                    yield number, rows, of_fold

    def _has_one_line(self, panel: Panel) -> bool:
        """Whether a forecast is a constant and slopes that are the same for all assets."""
        names = panel.names if self.regressors is None else self.regressors
        of_features = set(names) <= set(panel.names) and not self.dummies and not self.components
        pooled = self.by is None and not self.absorbed and self.estimator != "logit"
        return type(self) is Regression and of_features and pooled

    def diagnose(self, fit: Fit, panel: Panel, rows: np.ndarray) -> pd.DataFrame:
        """Diagnostics of least squares by asset on the rows fitted; none of other regressions."""
        import pandas as pd

        from runner.estimators.estimation import design
        from runner.models.fit import DIAGNOSTICS, NO_DIAGNOSTICS
        from runner.numerics.diagnostics import diagnose
        from runner.panels.units import units

        if fit.components is not None:
            from runner.panels.components import extended

            plain = replace(fit, components=None)
            wide = extended(panel, fit.components)
            return self._with_components_as_features().diagnose(plain, wide, rows)
        if self.by != "asset" or self.estimator != "ols" or self.weights is not None:
            return NO_DIAGNOSTICS
        terms = self.terms(panel.names)
        sound = (fit.quality["reason"] == "").tolist()
        diagnostics = []
        for i, unit in enumerate(units(panel, rows, "asset")):
            if not sound[i]:
                continue
            used = unit.used(panel)
            X = design(used, panel, self.regressors, self.constant)
            u = used.y - X @ fit.params[i]
            key = {"scope": "asset", "unit": unit.name}
            diagnostics += [key | test._asdict() for test in diagnose(X, u, terms)]
        return pd.DataFrame(diagnostics, columns=["scope", "unit", *DIAGNOSTICS])


def _estimator(model: Regression) -> Callable[[Regression, Panel, np.ndarray], Estimates]:
    """The function `estimate` of a module, which is imported only where it is used."""
    from importlib import import_module

    module = ESTIMATORS[model.estimator].module
    if model.absorbed:
        module = WITH_EFFECTS
    return import_module(f"runner.estimators.{module}").estimate
