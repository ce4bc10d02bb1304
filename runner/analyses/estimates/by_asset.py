"""The regressions by asset on factors, one after the other, for the analyses that test each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.analyses.suited import refuse_unsuited
from runner.errors import DataError
from runner.estimators.standard_errors import ERRORS, OwnCovariance
from runner.text import plural

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study
    from runner.numerics.inference import Wald
    from runner.panels.panel import Panel


CHANCE = 20  # tests from which on the count expected by chance is given


class Asset(NamedTuple):
    """The regression of one asset.

    Attributes:
        rows: (n,) of the panel.
        X: (n, k) with the constant first.
        y, u: (n,) target and residuals.
    """

    name: str
    rows: np.ndarray
    X: np.ndarray
    y: np.ndarray
    u: np.ndarray


class Factors(NamedTuple):
    """The regressions by asset on factors; `model` has components among its features."""

    model: Any
    panel: Panel
    terms: list[str]
    params: np.ndarray

    def assets(self) -> Iterator[Asset | str]:
        """Each asset, or the name of one without estimates."""
        from runner.estimators.estimation import design
        from runner.panels.units import units

        panel = self.panel
        n_dates = len(panel.dates)
        every_row = np.arange(n_dates)
        regressions = units(panel, every_row, "asset")
        for unit, b in zip(regressions, self.params, strict=True):
            estimated = np.isfinite(b)
            if not estimated.all():
                yield unit.name
                continue
            used = unit.used(panel)
            X = design(used, panel, self.model.regressors, constant=True)
            residuals = used.y - X @ b
            yield Asset(unit.name, used.t, X, used.y, residuals)


def factors_of(study: Study) -> Factors:
    """The least squares by asset of the study.

    Raises:
        DataError: the model is another, or has no constant or no factor.
    """
    from runner.models.factor_model import factors_as_features, refuse_no_factors

    refuse_unsuited(study)
    refuse_no_factors(study.model, study.panel)
    given = study.model
    by_asset = given.by == "asset"
    if not by_asset or not given.constant or given.weights:
        raise DataError("model: allowed: by=asset with a constant, without weights")
    model, panel, fit = factors_as_features(given, study.panel, study.fit)
    terms = model.terms(panel.names)
    return Factors(model, panel, terms, fit.params)


def tested(test: Any, *arguments: Any) -> tuple[Wald | None, str]:
    """The test, or the reason why there is none."""
    from runner.numerics.least_squares import NotEstimable

    try:
        return test(*arguments), ""
    except NotEstimable as error:
        return None, str(error)


def lags_of(asset: Asset, cov: OwnCovariance) -> int:
    """Newey-West lags of the regression of an asset, none where the errors have none."""
    from runner.numerics.covariance import default_lags

    errors = ERRORS[cov]
    if not errors.lagged:
        return 0
    n = len(asset.y)
    return default_lags(n, 0)


def rejections(p: pd.Series, level: float, noun: str = "asset") -> str:
    """In how many a null is rejected, and how many chance alone would give."""
    p = p.dropna()
    tests = len(p)
    rejects = p < level
    rejected = int(rejects.sum())
    in_percent = f"{level:.0%}".replace("%", " %")
    chance = ""
    if tests >= CHANCE:
        by_chance = level * tests
        chance = f", where chance alone would give about {by_chance:,.0f}"
    nouns = plural(noun)
    return f"rejects at {in_percent} in {rejected:,} of {tests:,} {nouns}{chance}"
