"""An estimator more is a module and an entry of ESTIMATORS: its settings and words follow."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import runner
from runner.errors import SpecError
from runner.estimators.estimates import Estimates, nothing
from runner.estimators.estimation import design, robust
from runner.estimators.settings import ESTIMATORS, Behind
from runner.estimators.standard_errors import Estimated
from runner.models.regression import Regression
from runner.panels.panel import Panel
from runner.panels.units import units

WORDS = "of Huber's estimator, t(n-k)"
NAME = "runner.estimators.huber"


def estimate(model: Regression, panel: Panel, rows: np.ndarray) -> Estimates:
    """Huber's M-estimator (1964) of every regression, by statsmodels."""
    estimates = nothing(units(panel, rows, model.by), len(model.terms(panel.names)))
    for u, unit in enumerate(estimates.units):
        used = unit.used(panel)
        X = design(used, panel, model.regressors, model.constant)
        fit = sm.RLM(used.y, X).fit()
        df = len(used.y) - X.shape[1]
        estimates.n[u] = len(used.y)
        estimates.df[u] = df
        estimates.b[u] = fit.params
        estimates.ssr[u] = fit.resid @ fit.resid
        errors = Estimated(fit.cov_params(), df)
        robust(estimates, u, model, panel, lambda lags, errors=errors: errors)
    return estimates


@pytest.fixture(autouse=True)
def huber(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType(NAME)
    module.estimate = estimate  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, NAME, module)
    monkeypatch.setitem(ESTIMATORS, "huber", Behind("huber", own_errors=WORDS))


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    dates = pd.bdate_range("2020-01-01", periods=200)
    x = rng.normal(size=200)
    y = 0.005 * x + 0.01 * rng.standard_t(2, size=200)
    ret = np.maximum(y, -0.5)
    return pd.DataFrame({"date": dates, "asset": "A", "ret": ret, "x": x})


OF_X = ["features=none", "+features.x=x", "target=same_period_return", "model.estimator=huber"]


def test_its_estimates_and_errors_are_those_of_its_module_and_are_named() -> None:
    data = frame()
    report = runner.run(*OF_X, data=data)
    oracle = sm.RLM(data["ret"], sm.add_constant(data["x"])).fit()
    np.testing.assert_allclose(report.coefficients["estimate"], oracle.params, rtol=1e-9)
    np.testing.assert_allclose(report.coefficients["std_error"], oracle.bse, rtol=1e-9)
    assert report.about["errors"] == WORDS


def test_settings_that_do_not_go_with_it_are_refused() -> None:
    with pytest.raises(SpecError, match="cov: HC1 given with estimator=huber, which has errors of"):
        runner.run(*OF_X, "model.cov=HC1", data=frame())
    with pytest.raises(SpecError, match="allowed: with estimator=ridge, lasso, elastic_net only"):
        runner.run(*OF_X, "model.penalty=1", data=frame())
