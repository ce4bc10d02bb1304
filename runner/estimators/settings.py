"""What a regression is told: its settings, and which of them do not go together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from runner.errors import UnknownNameError, unknown
from runner.estimators.standard_errors import ERRORS, Covariance, Kind, unknown_errors, where
from runner.schema.settings import (
    Components,
    Count,
    FieldName,
    LabelName,
    NotNegative,
    Penalties,
    Share,
    UpToOne,
)
from runner.validation.splitters import Splitter


@dataclass(frozen=True)
class Behind:
    """What is behind an estimator.

    Attributes:
        module: of `runner.estimators`, whose function `estimate` it is.
        penalised: whether it is biased on purpose, and has no errors.
        own_errors: the errors that it makes by itself, in words; empty where they are those of
            `model.cov`.
    """

    module: str
    penalised: bool = False
    own_errors: str = ""


# Adding an estimator is adding its module and a line: which settings go with it, and the words on
# its errors, follow.
ESTIMATORS = {
    "ols": Behind("estimation"),
    "ridge": Behind("penalised.estimates", penalised=True),
    "lasso": Behind("penalised.estimates", penalised=True),
    "elastic_net": Behind("penalised.estimates", penalised=True),
    "logit": Behind("logit"),
}
WITH_EFFECTS = "fixed_effects"  # the module of least squares with fixed effects


def check_estimator(name: str) -> None:
    """A name of ESTIMATORS.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in ESTIMATORS:
        raise UnknownNameError(unknown(name, ESTIMATORS))


Estimator = Annotated[str, check_estimator]
BY_DATE = "*date"  # after a label: its effects of each date


@dataclass(frozen=True)
class RegressionSettings:
    """Settings of regressions, one per asset, date, label or pool.

    Attributes:
        by: a regression per asset (over time), per date (over assets; the mean over dates is Fama
            and MacBeth 1973) or per label such as sector; null: one pooled regression.
        estimator: ols; ridge, lasso, elastic_net (biased on purpose, without standard errors);
            logit, of a target of 0 and 1.
        cov: standard errors: nonrobust (classical), HC0 to HC3; by asset also HAC (Newey-West); by
            label or pooled also cluster and driscoll_kraay. Tests use Student's t. A logit has
            nonrobust, HC0, HAC and cluster, and normal tests.
        cov_lags: lags of HAC and driscoll_kraay; null takes the larger of horizon - 1 and
            floor(4 (n / 100)^(2/9)).
        clusters: with cov=cluster, one or two of asset, date and labels such as sector.
        mean_lags: with by=date, Newey-West lags for the mean over dates. Null: the same rule where
            targets do not overlap, equal-weighted cosines (Lazarus et al. 2018) where they do,
            since Newey-West errors are then too small at any lag length.
        effects: one or two fixed effects, by label or pooled: asset, date, a label such as sector,
            or sector*date. A forecast uses the mean of the effects that differ by date over the
            training dates.
        weights: of weighted least squares: a field of the data such as market_cap, or
            inverse_variance (one over the variance of the target of each asset, on the training
            rows); null for none.
        components: number of principal components of the target, from the training rows, to add
            as regressors.
        penalty: of the penalised estimators, scikit-learn's alpha; null chooses it on `folds`.
        l1_ratio: share of the absolute penalty in elastic_net; the rest is squared.
        penalties: number of penalties tried, on a logarithmic grid down from the smallest that sets
            all slopes to zero.
        choice: one_se, the largest penalty within one standard error of the smallest
            cross-validated error; or min, that of the smallest error.
        folds: splitter of the training rows that chooses the penalty; null: five expanding folds.
        standardise: whether penalties apply to regressors of unit variance (of the training rows).
        regressors: names of the features to use, in this order; null: all. `model.rows` says which
            observations are used.
        dummies: with by=null, labels with a 0/1 regressor per level, `sector:Energy`; beside a
            constant the first level is left out, except by the penalised estimators. With by=date
            one label, whose means are removed from each cross-section in place of the constant.
        constant: whether to fit an intercept, the term `const`.
        hypotheses: linear restrictions to test, such as `market_ret = 1` or `SMB = 0, HML = 0`
            (joint); `market_ret = 1 if horizon = 0` is tested at that horizon only.
        confidence: level of the intervals.
    """

    by: LabelName | None = "asset"
    estimator: Estimator = "ols"
    cov: Covariance = "nonrobust"
    cov_lags: Count | None = None
    clusters: list[LabelName] = field(default_factory=list)
    mean_lags: Count | None = None
    effects: list[LabelName] = field(default_factory=list)
    weights: Literal["inverse_variance"] | FieldName | None = None
    components: Components = 0
    penalty: NotNegative | None = None
    l1_ratio: UpToOne = 0.5
    penalties: Penalties = 100
    choice: Literal["one_se", "min"] = "one_se"
    folds: Splitter | None = None
    standardise: bool = True
    regressors: list[str] | None = None
    dummies: list[LabelName] = field(default_factory=list)
    constant: bool = True
    hypotheses: list[str] = field(default_factory=list)
    confidence: Share = 0.95

    def __post_init__(self) -> None:
        mistakes = conflicts(self)
        if mistakes:
            raise ValueError("\n".join(mistakes))

    @property
    def lagged(self) -> bool:
        """Whether the errors of a regression have lags."""
        return ERRORS[self.cov].lagged

    @property
    def with_constant(self) -> bool:
        """Whether there is a term `const`; fixed effects take its place."""
        return self.constant and not self.absorbed

    @property
    def absorbed(self) -> list[str]:
        """The effects that are taken off the columns: fixed ones, and by date the dummies."""
        if self.by == "date":
            return self.dummies
        return self.effects

    @property
    def labels(self) -> list[str]:
        """The labels of the data that it groups cells by, without those of absorbed effects."""
        names = [*self.clusters]
        if self.by is not None:
            names.append(self.by)
        if self.by != "date":
            names += self.dummies
        return [name for name in names if name not in ("asset", "date")]

    def terms(self, features: Sequence[str]) -> list[str]:
        """Names (k,) of the estimates: the constant first, then the regressors."""
        chosen = list(features) if self.regressors is None else self.regressors
        slopes = [*chosen, *component_names(self.components)]
        return ["const", *slopes] if self.with_constant else slopes


def component_names(components: int) -> list[str]:
    """Names of the principal components among the terms: PC1, PC2, ..."""
    return [f"PC{j + 1}" for j in range(components)]


def conflicts(model: RegressionSettings) -> list[str]:
    """What was given with what it cannot go with, and what can."""
    return [*_of_errors(model), *_of_effects(model), *_of_estimators(model)]


def _of_errors(model: RegressionSettings) -> list[str]:
    """Covariances with lags, clusters and kinds of regression that they cannot go with."""
    if model.cov not in ERRORS:
        return [f"cov: {unknown_errors(model.cov)}"]
    errors = ERRORS[model.cov]
    given = f"cov={model.cov}"
    mistakes = []
    if model.cov_lags is not None and not errors.lagged:
        lagged = ", ".join(where(lambda others: others.lagged))
        mistakes.append(
            f"cov_lags: {model.cov_lags} given with {given}; allowed: with cov={lagged} only"
        )
    kind = kind_of(model.by)
    if kind not in errors.by:
        others = ", ".join(where(lambda others: kind in others.by))
        mistakes.append(
            f"cov: {model.cov} given with by={_word(model.by)}; "
            f"allowed: {_of_kinds(errors.by)}, or one of {others}"
        )
    different = set(model.clusters)
    number = len(different)
    one_or_two = 1 <= number <= 2
    if errors.clustered != one_or_two:
        allowed = "one or two, such as model.clusters=[asset,date]"
        if not errors.clustered:
            clustered = ", ".join(where(lambda others: others.clustered))
            allowed = f"model.clusters=[], or model.cov={clustered}"
        given_clusters = f"[{','.join(model.clusters)}]"
        mistakes.append(f"clusters: {given_clusters} given with {given}; allowed: {allowed}")
    if model.mean_lags is not None and model.by != "date":
        mistakes.append(
            f"mean_lags: {model.mean_lags} given with by={model.by}; allowed: with by=date only"
        )
    return mistakes


def kind_of(by: str | None) -> Kind:
    """What a regression is over: time (by asset), assets (by date), or both."""
    if by == "asset":
        return "asset"
    if by == "date":
        return "date"
    return "pooled"


def _word(by: str | None) -> str:
    return "null" if by is None else by


def _of_kinds(kinds: Sequence[Kind]) -> str:
    """The regressions that can have such errors, as settings."""
    words = {
        "asset": "model.by=asset",
        "date": "model.by=date",
        "pooled": "a pooled regression (model.by=null, or a label such as model.by=sector)",
    }
    return " or ".join(words[kind] for kind in kinds)


def _of_effects(model: RegressionSettings) -> list[str]:
    """Fixed effects, dummies, weights and components with what they cannot go with."""
    mistakes = []
    effects = f"effects: {model.effects}"
    by = f"by={model.by}"
    if model.effects and model.by in ("asset", "date"):
        mistakes.append(f"{effects} given with {by}; allowed: with model.by=null or by a group")
    if len(set(model.effects)) < len(model.effects):
        mistakes.append(f"{effects} names one twice; allowed: asset, date, a label or label*date")
    mistakes += _of_labels(model)
    if model.dummies and (model.by not in (None, "date") or model.effects):
        mistakes.append(
            f"dummies: {model.dummies} given with {by}, effects={model.effects}; "
            "allowed: with by=null or by=date, without effects"
        )
    if model.by == "date" and len(model.dummies) > 1:
        mistakes.append(f"dummies: {model.dummies} given with {by}; allowed: one label")
    if model.by == "date" and model.dummies and model.estimator != "ols":
        mistakes.append(
            f"dummies: {model.dummies} given with {by}, estimator={model.estimator}; "
            "allowed: estimator=ols"
        )
    different_groups = set(model.dummies)
    groups_given = len(model.dummies)
    if len(different_groups) < groups_given:
        mistakes.append(f"dummies: {model.dummies} names one twice; allowed: each group once")
    if model.absorbed and model.cov in ERRORS and not ERRORS[model.cov].beside_effects:
        kind = kind_of(model.by)
        others = ", ".join(where(lambda errors: errors.beside_effects and kind in errors.by))
        given = "dummies" if model.by == "date" else "effects"
        mistakes.append(f"cov: {model.cov} given with {given}={model.absorbed}; allowed: {others}")
    if model.weights == "inverse_variance" and model.by == "asset":
        mistakes.append(
            "weights: inverse_variance is one number per asset; "
            "allowed: with by=date, null or a group"
        )
    if model.components and model.by != "asset":
        mistakes.append(
            f"components: {model.components} given with {by}; allowed: with by=asset only"
        )
    return mistakes


def _of_labels(model: RegressionSettings) -> list[str]:
    """Fixed effects of labels beside others that hold them already, or beside too many."""
    effects = f"effects: {model.effects}"
    kinds = set(model.effects)
    if len(kinds) > 2:
        return [f"{effects} are {len(model.effects)}; allowed: one or two"]
    mistakes = []
    for name in model.effects:
        label, on_dates, _ = name.partition(BY_DATE)
        if on_dates and label in ("asset", "date"):
            mistakes.append(f"{effects} has {name}; allowed: label*date, such as sector*date")
        held = [other for other in ("date", label) if on_dates and other in model.effects]
        mistakes += [
            f"{effects}: {other} lies within {name}; allowed: {name} alone" for other in held
        ]
    return mistakes


def _of_estimators(model: RegressionSettings) -> list[str]:
    """Settings that the estimator cannot go with."""
    given = f"estimator={model.estimator}"
    behind = ESTIMATORS.get(model.estimator, ESTIMATORS["ols"])  # an unknown name is said elsewhere
    mistakes = []
    if not behind.penalised:
        penalised = [name for name, other in ESTIMATORS.items() if other.penalised]
        only = f"given with {given}; allowed: with estimator={', '.join(penalised)} only"
        settings = {"penalty": model.penalty, "folds": model.folds}
        mistakes += [f"{name}: {only}" for name, value in settings.items() if value is not None]
    if model.penalty is not None and model.folds is not None:
        mistakes.append(
            f"folds: given with penalty={model.penalty:g}; "
            "allowed: with penalty=null, which they choose"
        )
    if model.estimator != "ols":
        only = f"given with {given}; allowed: with estimator=ols only"
        of_ols = {"effects": model.effects, "weights": model.weights}
        mistakes += [f"{name}: {value} {only}" for name, value in of_ols.items() if value]
    if behind.own_errors and model.cov != "nonrobust":
        mistakes.append(
            f"cov: {model.cov} given with {given}, which has errors of its own; allowed: nonrobust"
        )
    if behind.penalised and model.cov != "nonrobust":
        mistakes.append(
            f"cov: {model.cov} given with {given}, which has no errors; allowed: with ols and logit"
        )
    if model.estimator == "logit" and model.cov in ERRORS and ERRORS[model.cov].of_logit is None:
        others = ", ".join(where(lambda errors: errors.of_logit is not None))
        mistakes.append(f"cov: {model.cov} given with {given}; allowed: {others}")
    return mistakes
