"""Settings of a regression that do not go together, each in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.errors import unknown
from runner.estimators.standard_errors import ERRORS, Kind, where

if TYPE_CHECKING:
    from runner.models.regression import Regression

PENALISED = ("ridge", "lasso", "elastic_net")


def conflicts(model: Regression) -> list[str]:
    """What was given with what it cannot go with, and what can."""
    return [*_of_errors(model), *_of_effects(model), *_of_estimators(model)]


def _of_errors(model: Regression) -> list[str]:
    """Covariances with lags, clusters and kinds of regression that they cannot go with."""
    if model.cov not in ERRORS:
        return [f"cov: {unknown(model.cov, ERRORS)}"]
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
            f"allowed: {_of_kinds(errors.by)}, else {others}"
        )
    one_or_two = 1 <= len(set(model.clusters)) <= 2
    if errors.clustered != one_or_two:
        clustered = ", ".join(where(lambda others: others.clustered))
        mistakes.append(
            f"clusters: {model.clusters} given with {given}; "
            f"allowed: one or two, with cov={clustered} only"
        )
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
    words = {"asset": "by=asset", "date": "by=date", "pooled": "by=null or by a group"}
    return f"with {' or '.join(words[kind] for kind in kinds)}"


def _of_effects(model: Regression) -> list[str]:
    """Fixed effects, dummies, weights and components with what they cannot go with."""
    mistakes = []
    effects = f"effects: {model.effects}"
    by = f"by={model.by}"
    if model.effects and model.by in ("asset", "date"):
        mistakes.append(f"{effects} given with {by}; allowed: with by=null or by a group")
    if len(set(model.effects)) < len(model.effects):
        mistakes.append(f"{effects} names one twice; allowed: asset, date")
    if model.dummies and (model.by is not None or model.effects):
        mistakes.append(
            f"dummies: {model.dummies} given with {by}, effects={model.effects}; "
            "allowed: with by=null, without effects"
        )
    if len(set(model.dummies)) < len(model.dummies):
        mistakes.append(f"dummies: {model.dummies} names one twice; allowed: each group once")
    if model.effects and model.cov in ERRORS and not ERRORS[model.cov].beside_effects:
        others = ", ".join(where(lambda errors: errors.beside_effects and "pooled" in errors.by))
        mistakes.append(f"cov: {model.cov} given with effects={model.effects}; allowed: {others}")
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


def _of_estimators(model: Regression) -> list[str]:
    """Settings that the estimator cannot go with."""
    given = f"estimator={model.estimator}"
    penalised = model.estimator in PENALISED
    mistakes = []
    if not penalised:
        only = f"given with {given}; allowed: with estimator=ridge, lasso, elastic_net only"
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
    if penalised and model.cov != "nonrobust":
        mistakes.append(
            f"cov: {model.cov} given with {given}, which has no errors; allowed: with ols and logit"
        )
    if model.estimator == "logit" and model.cov in ERRORS and ERRORS[model.cov].of_logit is None:
        others = ", ".join(where(lambda errors: errors.of_logit is not None))
        mistakes.append(f"cov: {model.cov} given with {given}; allowed: {others}")
    return mistakes
