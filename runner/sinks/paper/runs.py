"""What a regression table needs of a run, in memory or in its directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.estimators.few_clusters import few_clusters
from runner.estimators.standard_errors import called
from runner.estimators.trust import distrust, of_mean
from runner.experiment.wording import target_text
from runner.models.fit import over_units

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report

HEADLINE = ""  # stands for the unit of what a run is known by
UNITS = ("asset", "group")  # scopes of units that may have a column or a row each
FACTS = ("n_obs", "r2", "r2_adj", "r2_within")
NUMBERS = ("estimate", "std_error", "t_stat", "p_value", "ci_low", "ci_high")


class Estimate(NamedTuple):
    """An estimated coefficient; NaN where it has no error."""

    estimate: float
    std_error: float
    t_stat: float
    p_value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class Estimates:
    """The estimates of one regression, or of the mean over several.

    Attributes:
        by_term: the estimate of each term.
        facts: n_obs, r2, r2_adj, r2_within; pseudo_r2 of a logit; units: regressions that a mean
            is over.
        doubts: by term, why its p-value bears no star; empty or absent where it does.
    """

    by_term: Mapping[str, Estimate]
    facts: Mapping[str, float]
    doubts: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """A run as its regression table needs it.

    Attributes:
        name: of its panel.
        heading: of its column, empty where the rows below it tell columns apart.
        coefficients, quality: its tables; `quality` may be empty.
        metrics: flat numbers of the run.
        model: the settings `model` of its spec.
        errors: how standard errors were computed, in words.
        horizon: rows that the target looks ahead.
        target: what is regressed.
        doubts: by term, why the p-value of the headline supports no verdict.
        feet: further rows below its column, by their label.
    """

    name: str
    heading: str
    coefficients: pd.DataFrame
    quality: pd.DataFrame
    metrics: Mapping[str, float]
    model: Mapping[str, Any]
    errors: str
    horizon: int
    target: str
    doubts: Mapping[str, str]
    feet: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def units(self) -> list[str]:
        """Assets or groups with estimates, in their order; none of a pooled or dated regression."""
        return list(self._by_unit)

    @cached_property
    def noun(self) -> str:
        """What the regressions are of: asset, group, date or pooled."""
        scopes = self.coefficients["scope"]
        is_own = scopes != "mean"
        own = scopes[is_own]
        return str(own.iloc[0]) if len(own) else "asset"

    @property
    def is_logit(self) -> bool:
        """Whether it is a logit: normal statistics, and McFadden's pseudo R2."""
        return self.model.get("estimator") == "logit"

    @cached_property
    def terms(self) -> list[str]:
        """Names of the coefficients, in their order."""
        return self.coefficients["term"].unique().tolist()

    @cached_property
    def headline(self) -> Estimates | None:
        """The mean over units, or the only unit; None of several without a mean."""
        is_mean_scope = self.coefficients["scope"] == "mean"
        rows = self.coefficients[is_mean_scope]
        is_mean = len(rows) > 0
        doubts: dict[str, str] = {}
        if not is_mean:
            rows = self.coefficients
            if rows["unit"].nunique() != 1:
                return None
            reason = self._distrust(self.quality)
            doubts = dict.fromkeys(rows["term"], reason)
        elif over_units(self.coefficients):
            doubts = dict.fromkeys(rows["term"], of_mean(self.noun))
        [by_term] = _by_unit(rows).values()
        facts = self._facts(is_mean)
        all_doubts = {**doubts, **self._doubts}
        return Estimates(by_term, facts, all_doubts)

    def of(self, unit: str) -> Estimates | None:
        """The estimates of an asset or group, or of HEADLINE; None where there are none."""
        if unit == HEADLINE:
            return self.headline
        if unit not in self._by_unit:
            return None
        by_term = self._by_unit[unit]
        of_unit = self.quality["unit"] == unit
        reason = self._distrust(self.quality[of_unit])
        doubts = dict.fromkeys(by_term, reason)
        if len(self._by_unit) == 1:
            doubts.update(self._doubts)
        return Estimates(by_term, self._quality.get(unit, {}), doubts)

    def _distrust(self, quality: pd.DataFrame) -> str:
        """Why the p-values of regressions with this quality bear no stars; empty where they do."""
        cov = str(self.model.get("cov"))
        clusters = self.model.get("clusters") or []
        lags = self.model.get("cov_lags")
        reason = distrust(cov, clusters, lags, self.horizon, self.noun == "group")
        few = few_clusters(quality)
        if reason or few is None:
            return reason
        return f"{called(cov)} standard errors rest on {few.words}"

    @cached_property
    def _by_unit(self) -> dict[str, dict[str, Estimate]]:
        """The estimates of each asset or group, by term."""
        own = self.coefficients["scope"].isin(UNITS)
        return _by_unit(self.coefficients[own])

    @cached_property
    def _quality(self) -> dict[str, dict[str, float]]:
        """Observations and R2 of each regression."""
        wanted = FACTS[:1] if self.is_logit else FACTS  # squared errors are not what it minimises
        names = [name for name in wanted if name in self.quality]
        if not names:
            return {}
        units = self.quality["unit"].tolist()
        of_names = self.quality[names].to_numpy(dtype=float)
        rows = of_names.tolist()
        return {unit: _known(names, row) for unit, row in zip(units, rows, strict=True)}

    @cached_property
    def _doubts(self) -> dict[str, str]:
        """Those of the doubts on the headline that say something."""
        return {term: reason for term, reason in self.doubts.items() if reason}

    def _facts(self, is_mean: bool) -> dict[str, float]:
        """Observations and R2 of what the run is known by."""
        names = {"n_obs": "fit/n_obs", "r2": "fit/r2", "r2_adj": "fit/r2_adj"}
        if self.is_logit:
            names = {"n_obs": "fit/n_obs", "pseudo_r2": "logit/pseudo_r2"}
        if is_mean:
            names["units"] = "fit/units"
        facts = {fact: self.metrics[name] for fact, name in names.items() if name in self.metrics}
        if len(self.quality) == 1:
            [of_only] = self._quality.values()
            facts.update(of_only)
        return facts


def of_report(report: Report) -> Run:
    """What the table of a run in memory needs."""
    return Run(
        name=report.name,
        heading=report.name,
        coefficients=report.fit.coefficients,
        quality=report.fit.quality,
        metrics=report.metrics,
        model=report.spec.get("model") or {},
        errors=report.fit.errors,
        horizon=report.panel.horizon,
        target=target_text(report),
        doubts=report.influence.doubts,
    )


def _known(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """The values that are numbers, by their names."""
    pairs = zip(names, values, strict=True)
    return {name: value for name, value in pairs if value == value}


def _by_unit(rows: pd.DataFrame) -> dict[str, dict[str, Estimate]]:
    """The estimates of each unit, by term."""
    numbers = rows[list(NUMBERS)].to_numpy(dtype=float).tolist()
    estimates: dict[str, dict[str, Estimate]] = {}
    for unit, term, values in zip(
        rows["unit"].tolist(), rows["term"].tolist(), numbers, strict=True
    ):
        estimates.setdefault(unit, {})[term] = Estimate(*values)
    return estimates
