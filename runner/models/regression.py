"""Regression of the target on the features: per asset, per date, per group of assets, or pooled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.errors import DataError, unknown
from runner.estimators.conflicts import PENALISED, conflicts
from runner.estimators.standard_errors import ERRORS, Covariance
from runner.models.model import Model
from runner.schema.settings import Count, NotNegative, Rows, Share, UpToOne
from runner.validation.splitters import Splitter

if TYPE_CHECKING:
    import pandas as pd

    from runner.estimators.estimation import Estimates
    from runner.models.fit import Fit
    from runner.panels.panel import Panel

Estimator = Literal["ols", "ridge", "lasso", "elastic_net", "logit"]
Effect = Literal["asset", "date"]


@dataclass(frozen=True)
class Regression(Model):
    """One regression per unit: least squares, penalised least squares, or a logit.

    Attributes:
        by: asset (over time), date (over assets; the mean over dates is Fama and MacBeth 1973), the
            name of a group of assets such as sector, or null: all cells in one.
        estimator: ols; ridge, lasso, elastic_net (biased on purpose, without errors); logit of a
            target of 0 and 1.
        cov: errors of the estimates: nonrobust, HC0 to HC3; by asset also HAC (Newey-West); by
            group or pooled also cluster, and driscoll_kraay (scores summed by date, then
            Newey-West). Student's t throughout; of a logit nonrobust, HC0, HAC and cluster, normal.
        cov_lags: lags of HAC and driscoll_kraay; null takes the larger of horizon - 1 and
            floor(4 (n / 100)^(2/9)).
        clusters: one or two of asset, date and the groups of the data, with cov=cluster.
        mean_lags: lags of Newey-West for the mean over dates, with by=date; null takes the same
            rule where targets do not overlap, and equal-weighted cosines (Lazarus et al. 2018)
            where they do: no lag length makes up for what Bartlett weights take off an overlap of
                many rows.
        effects: fixed effects of asset, date or both, by group or pooled.
        weights: of the rows: a field of the data such as market_cap, or inverse_variance (one over
            the variance of the target of each asset, on the rows fitted); null for none.
        components: how many principal components of the target, from the rows fitted, to add as
            regressors.
        penalty: of the penalised estimators, as scikit-learn's alpha; null chooses it on `folds`.
        l1_ratio: share of the absolute penalty in elastic_net; the rest is squared.
        penalties: how many are tried, on a grid of logarithms down from the least that leaves no
            regressor.
        choice: one_se, the largest penalty within one standard error of the least error; or min,
            the least error.
        folds: splitter of the rows fitted that chooses the penalty; null takes five expanding ones.
        standardise: whether penalties are on regressors of unit variance (of the rows fitted).
        regressors: names of the features to use, in this order; null takes all. Which rows need
            which features says `model.rows` of the spec (see `runner.panels.rows`).
        dummies: groups of assets with a regressor of zeros and ones per level, `sector:Energy`,
            with by=null; the penalised estimators have all levels, the others none for the first
            beside a constant.
        constant: whether to fit an intercept, the term `const`.
        hypotheses: linear restrictions to test, each such as `market_ret = 1` or `SMB = 0, HML =
            0`; one that makes sense at one horizon of the target only says so: `market_ret = 1 if
            horizon = 0`.
        confidence: level of the intervals.
    """

    by: str | None = "asset"
    estimator: Estimator = "ols"
    cov: Covariance = "nonrobust"
    cov_lags: Count | None = None
    clusters: list[str] = field(default_factory=list)
    mean_lags: Count | None = None
    effects: list[Effect] = field(default_factory=list)
    weights: str | None = None
    components: Count = 0
    penalty: NotNegative | None = None
    l1_ratio: UpToOne = 0.5
    penalties: Rows = 100
    choice: Literal["one_se", "min"] = "one_se"
    folds: Splitter | None = None
    standardise: bool = True
    regressors: list[str] | None = None
    dummies: list[str] = field(default_factory=list)
    constant: bool = True
    hypotheses: list[str] = field(default_factory=list)
    confidence: Share = 0.95

    def __post_init__(self) -> None:
        found = conflicts(self)
        if found:
            raise ValueError("\n".join(found))

    @property
    def lagged(self) -> bool:
        """Whether the errors of a regression have lags."""
        return ERRORS[self.cov].lagged

    @property
    def with_constant(self) -> bool:
        """Whether there is a term `const`; fixed effects take its place."""
        return self.constant and not self.effects

    @property
    def weight_field(self) -> str | None:
        """The field of the data that weighs the rows, None where none does."""
        return None if self.weights == "inverse_variance" else self.weights

    @property
    def takes_targets(self) -> bool:
        """Whether predictions need the targets of their own row: of principal components, which
        are made of them.
        """
        return self.components > 0

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """What is wrong with these settings for these features, a line each."""
        from runner.numerics.restrictions import hypothesis, restriction

        chosen = self.regressors if self.regressors is not None else list(features)
        found = [
            f"regressors: {unknown(name, features)}" for name in chosen if name not in features
        ]
        found += [
            f"regressors: {name!r} is given twice"
            for name in {n for n in chosen if chosen.count(n) > 1}
        ]
        if not self.with_constant and not chosen and not self.components and not self.dummies:
            found.append("regressors: none, and no constant; allowed: at least one term")
        for text in self.hypotheses:
            try:
                restriction(
                    hypothesis(text).equations,
                    ["const", *features, *component_names(self.components)],
                )
            except ValueError as error:
                found.append(f"hypotheses: {error}")
        return found

    def terms(self, features: Sequence[str]) -> list[str]:
        """Names (k,) of the estimates: the constant first, then the regressors."""
        chosen = list(features) if self.regressors is None else self.regressors
        slopes = [*chosen, *component_names(self.components)]
        return ["const", *slopes] if self.with_constant else slopes

    def uses(self, features: Sequence[str]) -> list[str]:
        """Those among `regressors`, or all."""
        return [name for name in features if self.regressors is None or name in self.regressors]

    def lacks_the_mean(self, panel: Panel) -> str:
        """Why a forecast with every slope zero is not the train mean of each asset; empty where it
        is.

        A penalty leaves the constant free, so that penalised regressions by asset and a logit
        contain it too.
        """
        if panel.back:
            return "the target is fitted in another unit than it is judged in"
        if self.by == "date":
            return "a regression by date has no constant of the asset"
        if self.weights is not None:
            return "rows are weighted in the fit, not in the train mean"
        if "asset" in self.effects:
            return ""
        if not self.with_constant:
            return "the model has no constant"
        if self.by == "asset" or len(panel.assets) == 1:
            return ""
        return "one constant for several assets is not the mean of each"

    def on(self, panel: Panel) -> Regression:
        """The same with its dummies, levels in the order of names, as regressors after the others.

        Raises:
            DataError: a group that the data has not.
        """
        if not self.dummies:
            return self
        lost = [name for name in self.dummies if name not in panel.groups]
        if lost:
            raise DataError([f"model.dummies: {unknown(name, panel.groups)}" for name in lost])
        first = int(self.constant and self.estimator not in PENALISED)  # it would be collinear
        levels = [
            f"{group}:{one}"
            for group in self.dummies
            for one in sorted(panel.groups[group].unique())[first:]
        ]
        chosen = panel.names if self.regressors is None else self.regressors
        return replace(self, dummies=[], regressors=[*chosen, *levels])

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        """Estimate on the rows at these positions, cells that are valid only.

        Raises:
            DataError: every unit has too few rows; a group or a field that the data has not;
                by=date with a feature that is the same for every asset.
            EstimationError: no unit could be estimated.
        """
        if self.dummies:
            return self.on(panel).fit(panel, rows)
        if self.components:
            from runner.panels.components import extended, principal

            made = principal(panel, rows, self.components)
            return replace(self._inner().fit(extended(panel, made), rows), components=made)
        from runner.panels.units import refuse_shared

        if self.by == "date":
            refuse_shared(panel, rows, self.terms(panel.names))
        return self._told(_estimator(self)(self, panel, rows), panel, rows)

    def fit_to_forecast(self, panel: Panel, rows: np.ndarray) -> Fit:
        """The estimates alone, without errors, tests and tables: all that a forecast takes.

        Raises:
            DataError, EstimationError: as `fit` does.
        """
        if self.dummies:
            return self.on(panel).fit_to_forecast(panel, rows)
        if self.components:
            from runner.panels.components import extended, principal

            made = principal(panel, rows, self.components)
            return replace(
                self._inner().fit_to_forecast(extended(panel, made), rows), components=made
            )
        from runner.models import fit as tables
        from runner.panels.units import per_asset, refuse_shared

        if self.by == "date":
            refuse_shared(panel, rows, self.terms(panel.names))
        found = _estimator(self)(
            replace(self, cov="nonrobust", cov_lags=None, clusters=[]), panel, rows
        )
        tables.refuse_nothing(found)
        params = per_asset(found.b, found.units, len(panel.assets))
        none = tables.NO_TABLE
        return tables.Fit(none, none, none, params, "", found.asset_effects, found.date_effects)

    def _inner(self) -> Regression:
        """The same on a panel that has its components as features."""
        names = (
            None
            if self.regressors is None
            else [*self.regressors, *component_names(self.components)]
        )
        return replace(self, components=0, regressors=names)

    def _told(self, found: Estimates, panel: Panel, rows: np.ndarray) -> Fit:
        """What was estimated, as tables."""
        import pandas as pd

        from runner.estimators.estimation import about_mean
        from runner.models import fit as tables
        from runner.panels.units import per_asset

        tables.refuse_nothing(found)
        if not self.constant and not self.effects:
            found = replace(found, tss_mean=about_mean(self, panel, rows, found.units))
        terms = self.terms(panel.names)
        lags, cosines = self._over_units(int(found.estimated.sum()), panel.horizon)
        coefficients = tables.coefficient_table(found, terms, self.confidence)
        mean = tables.mean_group(found.b[found.estimated], terms, self.confidence, lags, cosines)
        tested = tables.hypothesis_table(found, self.hypotheses, terms, panel.horizon)
        return tables.Fit(
            pd.concat([coefficients, mean], ignore_index=True) if len(mean) else coefficients,
            tables.quality_table(found, self.cov),
            pd.concat([tested, self._grs(found, panel, rows)], ignore_index=True),
            per_asset(found.b, found.units, len(panel.assets)),
            self._errors_in_words(len(mean) > 0, lags, cosines) + _zeroed_in_words(found),
            found.asset_effects,
            found.date_effects,
            findings=found.findings,
        )

    def _grs(self, found: Estimates, panel: Panel, rows: np.ndarray) -> pd.DataFrame:
        """The test that every constant is zero, one row; none unless least squares by asset has
        several assets.

        Where it cannot be made, the row has the reason.
        """
        import pandas as pd

        from runner.models.fit import HYPOTHESES
        from runner.models.pricing import GRS, price_every_asset

        columns = ["scope", "unit", *HYPOTHESES]
        if self.by != "asset" or self.estimator != "ols" or len(panel.assets) < 2:
            return pd.DataFrame(columns=columns)
        row: dict[str, object] = {"scope": "pooled", "unit": "all", "hypothesis": GRS}
        if not self.constant:
            return pd.DataFrame([row | {"reason": "there is no constant"}], columns=columns)
        if self.weights is not None:
            return pd.DataFrame([row | {"reason": "rows are weighted"}], columns=columns)
        missing = [panel.assets[i] for i in np.flatnonzero(~found.estimated)]
        priced = price_every_asset(panel, rows, self.terms(panel.names)[1:], missing)
        numbers = {} if priced.result is None else priced.result._asdict()
        row |= {"hypothesis": priced.name, "reason": priced.reason} | numbers
        return pd.DataFrame([row], columns=columns)

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Predictions (T, N), NaN where a feature is missing or the asset was not estimated.

        By date, the forecast takes the mean of the estimates over the dates that were fitted. A
        date that was not fitted has the mean date effect, zero. Of a logit, the probability of 1.
        """
        from runner.estimators.estimation import regressors

        if self.dummies:
            return self.on(panel).predict(fit, panel)
        if fit.components is not None:
            from runner.panels.components import extended

            inner = replace(fit, components=None)
            return self._inner().predict(inner, extended(panel, fit.components))
        slopes = fit.params[:, 1:] if self.with_constant else fit.params
        X, member = regressors(panel, self.regressors), panel.dummies(self.regressors)
        K = X.shape[2]
        one = len(slopes) > 0 and bool(
            (slopes == slopes[:1]).all()
        )  # one line for all assets is one product
        values = X @ slopes[0, :K] if one else np.einsum("tnk,nk->tn", X, slopes[:, :K])
        if self.with_constant or member.size:
            constant = fit.params[:, 0] if self.with_constant else 0.0
            values += constant + np.einsum("nl,nl->n", member, slopes[:, K:])
        if fit.asset_effects is not None:
            values += fit.asset_effects
        if fit.date_effects is not None:
            values += fit.date_effects
        if self.estimator == "logit":
            from scipy.special import expit

            return np.asarray(expit(values))
        return np.asarray(values)

    def diagnose(self, fit: Fit, panel: Panel, rows: np.ndarray) -> pd.DataFrame:
        """Diagnostics of least squares over time on the rows it was made on; none of other
        regressions.
        """
        import pandas as pd

        from runner.estimators.estimation import design
        from runner.models.fit import DIAGNOSTICS
        from runner.numerics.diagnostics import diagnose
        from runner.panels.units import units

        if fit.components is not None:
            from runner.panels.components import extended

            return self._inner().diagnose(
                replace(fit, components=None), extended(panel, fit.components), rows
            )
        terms, found = self.terms(panel.names), []
        series = self.by == "asset" and self.estimator == "ols" and self.weights is None
        sound = fit.quality["reason"] == ""
        for unit, i in zip(
            units(panel, rows, "asset"), range(len(sound) if series else 0), strict=False
        ):
            if sound[i]:
                t, own = unit.cells(panel)
                X = design(panel, t, own, self.regressors, self.constant)
                key = {"scope": "asset", "unit": unit.name}
                found += [
                    key | one._asdict()
                    for one in diagnose(X, panel.y[t, own] - X @ fit.params[i], terms)
                ]
        return pd.DataFrame(found, columns=["scope", "unit", *DIAGNOSTICS])

    def _over_units(self, dates: int, horizon: int) -> tuple[int, int]:
        """Lags or cosines for the mean over units: over dates the rule, over assets and groups
        neither.

        Raises:
            DataError: as many lags as dates.
        """
        from runner.numerics.covariance import default_cosines, default_lags

        if self.by != "date" or dates < 2:
            return 0, 0
        if self.mean_lags is None:
            return (
                (0, default_cosines(dates, horizon))
                if horizon > 1
                else (default_lags(dates, horizon), 0)
            )
        if self.mean_lags >= dates:
            raise DataError(
                f"model.mean_lags: {self.mean_lags} given with {dates} dates; allowed: less than the dates"
            )
        return self.mean_lags, 0

    def _errors_in_words(self, mean: bool, lags: int, cosines: int) -> str:
        """The covariance with its conventions, and where it comes from in the mean over units."""
        words = self._covariance_in_words()
        if not mean:
            return words
        serial = f"Newey-West over dates, {lags} lags, no small-sample factor"
        if cosines:
            serial = f"equal-weighted cosines over dates, {cosines} of them, t({cosines}), as targets overlap"
        over = (
            serial
            if lags or cosines
            else f"spread over {'dates' if self.by == 'date' else 'units'} (ddof 1)"
        )
        return f"{words}; of the mean: {over}"

    def _covariance_in_words(self) -> str:
        given = "lags per unit in quality.csv" if self.cov_lags is None else f"{self.cov_lags} lags"
        errors, logit = ERRORS[self.cov], self.estimator == "logit"
        if self.estimator != "ols" and not logit:
            return f"none, {self.estimator} is biased on purpose"
        words = errors.words(self.cov, given, self.clusters, logit)
        if not self.effects:
            return words
        nested = (
            " unless they are of one kind and nested in the clusters" if errors.clustered else ""
        )
        return f"{words}, k counts the effects{nested}"


def _zeroed_in_words(found: Estimates) -> str:
    """How many negative eigenvalues of the covariances were set to zero, and what that leaves;
    empty without.
    """
    units, k = int((found.zeroed > 0).sum()), found.b.shape[1]
    if not units:
        return ""
    where = "" if len(found.units) == 1 else f" in {units} of {len(found.units)} regressions"
    least = k - int(found.zeroed.max())
    return (
        f"; negative eigenvalues of the two-way covariance set to zero{where} (Cameron, Gelbach and Miller 2011), "
        f"which leaves rank {least} of {k}: more restrictions are not tested together"
    )


def component_names(components: int) -> list[str]:
    """Names of the principal components among the terms: PC1, PC2, ..."""
    return [f"PC{j + 1}" for j in range(components)]


def _estimator(model: Regression) -> Callable[[Regression, Panel, np.ndarray], Estimates]:
    """The function that estimates; its module is imported only where it is used."""
    from importlib import import_module

    plain = "runner.estimators.fixed_effects" if model.effects else "runner.estimators.estimation"
    module = {"ols": plain, "logit": "runner.estimators.logit"}.get(
        model.estimator, "runner.estimators.penalised"
    )
    return import_module(module).estimate
