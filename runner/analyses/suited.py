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
    if model.by == "date" or (several and model.by is None):
        given = "null" if model.by is None else model.by
        mistakes.append(
            f"model.by: given {given}; allowed: asset{'' if several else ', null'} or a group of assets"
        )
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
    given = {name: getattr(model, name) for name in ("effects", "weights", "components", "dummies")}
    mistakes = [
        f"model.{name}: given {value}; allowed: none" for name, value in given.items() if value
    ]
    if constant and not model.constant:
        mistakes.append("model.constant: given false; allowed: true, alpha is the constant")
    if mistakes:
        raise DataError(mistakes)


def refuse_forecast(study: Study) -> None:
    """Refuse a target that lies after the factors: its constant and slopes are no alpha and beta.

    Raises:
        DataError: the target looks ahead.
    """
    if study.panel.horizon > 0:
        raise DataError(
            f"target: horizon {study.panel.horizon}; allowed: 0, the target of the factors' own row"
        )


def refuse_unknown(settings: dict[str, str], terms: Sequence[str]) -> None:
    """Refuse names that are not among the terms of the regression.

    Raises:
        DataError: one line per setting with such a name, and the nearest one.
    """
    mistakes = [
        f"{setting}: {unknown(name, terms)}"
        for setting, name in settings.items()
        if name not in terms
    ]
    if mistakes:
        raise DataError(mistakes)
