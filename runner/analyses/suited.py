"""Which fits an analysis suits: what does not is refused in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runner.errors import DataError, unknown

if TYPE_CHECKING:
    from runner.models.study import Study


def refuse_unsuited(study: Study, *, several: bool = False) -> None:
    """Refuse what is not plain least squares by asset, group or pooled; with `several`, pooled too.

    Raises:
        DataError: one line per setting of the model that does not suit.
    """
    from runner.models.regression import Regression

    model = study.model
    if not isinstance(model, Regression):
        raise DataError(f"model: given {type(model).__name__}; allowed: runner.models.Regression")
    mistakes = []
    pooled = model.by is None
    if model.by == "date" or (several and pooled):
        given = "null" if pooled else model.by
        allowed = "asset" if several else "asset, null"
        mistakes.append(f"model.by: given {given}; allowed: {allowed} or a group of assets")
    if model.estimator != "ols":
        mistakes.append(f"model.estimator: given {model.estimator}; allowed: ols")
    if mistakes:
        raise DataError(mistakes)


def refuse_not_plain(study: Study, *, constant: bool) -> None:
    """Refuse fixed effects, weights and components, and with `constant` a regression without one.

    Raises:
        DataError: one line per setting of the model that does not suit.
    """
    model = study.model
    mistakes = []
    for name in ("effects", "weights", "components", "dummies"):
        value = getattr(model, name)
        if value:
            mistakes.append(f"model.{name}: given {value}; allowed: none")
    if constant and not model.constant:
        mistakes.append("model.constant: given false; allowed: true, alpha is the constant")
    if mistakes:
        raise DataError(mistakes)


def refuse_forecast(study: Study) -> None:
    """Refuse a target that lies after the factors: its constant and slopes are no alpha and beta.

    Raises:
        DataError: the target looks ahead.
    """
    horizon = study.panel.horizon
    if horizon > 0:
        raise DataError(
            f"target: horizon {horizon}; allowed: 0, the target of the factors' own row"
        )


def refuse_unknown(settings: dict[str, str], terms: Sequence[str]) -> None:
    """Refuse names that are not among the terms of the regression.

    Raises:
        DataError: one line per setting with such a name, and the nearest one.
    """
    mistakes = []
    for setting, name in settings.items():
        if name not in terms:
            stranger = unknown(name, terms)
            mistake = f"{setting}: {stranger}"
            mistakes.append(mistake)
    if mistakes:
        raise DataError(mistakes)


def slopes_of(study: Study) -> list[str]:
    """The terms of the regression without the constant."""
    terms = study.model.terms(study.panel.names)
    return [term for term in terms if term != "const"]
