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
    if model.cov not in ERRORS:
        return [f"cov: {unknown(model.cov, ERRORS)}"]
    errors, given, found = ERRORS[model.cov], f"cov={model.cov}", []
    if model.cov_lags is not None and not errors.lagged:
        lagged = ", ".join(where(lambda one: one.lagged))
        found.append(
            f"cov_lags: {model.cov_lags} given with {given}; allowed: with cov={lagged} only"
        )
    kind = kind_of(model.by)
    if kind not in errors.by:
        others = ", ".join(where(lambda one: kind in one.by))
        found.append(
            f"cov: {model.cov} given with by={_word(model.by)}; allowed: {_of_kinds(errors.by)}, else {others}"
        )
    if errors.clustered != (1 <= len(set(model.clusters)) <= 2):
        clustered = ", ".join(where(lambda one: one.clustered))
        found.append(
            f"clusters: {model.clusters} given with {given}; allowed: one or two, with cov={clustered} only"
        )
    if model.mean_lags is not None and model.by != "date":
        found.append(
            f"mean_lags: {model.mean_lags} given with by={model.by}; allowed: with by=date only"
        )
    return found


def kind_of(by: str | None) -> Kind:
    """What a regression is over: time (by asset), assets (by date), or both."""
    return "asset" if by == "asset" else "date" if by == "date" else "pooled"


def _word(by: str | None) -> str:
    return "null" if by is None else by


def _of_kinds(kinds: Sequence[Kind]) -> str:
    """The regressions that can have such errors, as settings."""
    words = {"asset": "by=asset", "date": "by=date", "pooled": "by=null or by a group"}
    return f"with {' or '.join(words[kind] for kind in kinds)}"


def _of_effects(model: Regression) -> list[str]:
    found = []
    if model.effects and model.by in ("asset", "date"):
        found.append(
            f"effects: {model.effects} given with by={model.by}; allowed: with by=null or by a group"
        )
    if len(set(model.effects)) < len(model.effects):
        found.append(f"effects: {model.effects} names one twice; allowed: asset, date")
    if model.dummies and (model.by is not None or model.effects):
        found.append(
            f"dummies: {model.dummies} given with by={model.by}, effects={model.effects}; allowed: with by=null, "
            "without effects"
        )
    if len(set(model.dummies)) < len(model.dummies):
        found.append(f"dummies: {model.dummies} names one twice; allowed: each group once")
    if model.effects and model.cov in ERRORS and not ERRORS[model.cov].beside_effects:
        others = ", ".join(where(lambda one: one.beside_effects and "pooled" in one.by))
        found.append(f"cov: {model.cov} given with effects={model.effects}; allowed: {others}")
    if model.weights == "inverse_variance" and model.by == "asset":
        found.append(
            "weights: inverse_variance is one number per asset; allowed: with by=date, null or a group"
        )
    if model.components and model.by != "asset":
        found.append(
            f"components: {model.components} given with by={model.by}; allowed: with by=asset only"
        )
    return found


def _of_estimators(model: Regression) -> list[str]:
    found, given = [], f"estimator={model.estimator}"
    penalised = model.estimator in PENALISED
    if not penalised:
        only = f"given with {given}; allowed: with estimator=ridge, lasso, elastic_net only"
        found += [
            f"{name}: {only}" for name in ("penalty", "folds") if getattr(model, name) is not None
        ]
    if model.penalty is not None and model.folds is not None:
        found.append(
            f"folds: given with penalty={model.penalty:g}; allowed: with penalty=null, which they choose"
        )
    if model.estimator != "ols":
        only = f"given with {given}; allowed: with estimator=ols only"
        found += [
            f"{name}: {getattr(model, name)} {only}"
            for name in ("effects", "weights")
            if getattr(model, name)
        ]
    if penalised and model.cov != "nonrobust":
        found.append(
            f"cov: {model.cov} given with {given}, which has no errors; allowed: with ols and logit"
        )
    if model.estimator == "logit" and model.cov in ERRORS and ERRORS[model.cov].of_logit is None:
        others = ", ".join(where(lambda one: one.of_logit is not None))
        found.append(f"cov: {model.cov} given with {given}; allowed: {others}")
    return found
