"""One forecast for all: the run, the confidence set and Monte Carlo judge the very same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from oracles import panel_of, random_arrays

from runner.analyses.forecasts.confidence_set import RUN, _losses
from runner.analyses.forecasts.monte_carlo import open_folds, out_of_sample
from runner.cli.composition import Composer, shipped_conf
from runner.errors import SpecError
from runner.experiment.report import Report
from runner.experiment.run import run
from runner.experiment.spec import build
from runner.models.fit import Fit
from runner.models.model import REQUIRED, Model
from runner.models.regression import Regression
from runner.panels.panel import Panel
from runner.schema.protocols import completed
from runner.validation.scores import open_rows
from runner.validation.splitters import WalkForward

ROUNDING = 1e-9  # relative: the same squares summed by date or over all rows
FEW = ["data=simulated", "data.assets=7", "data.rows=240", "data.churn=0.5", "report=tables"]
WALK = [
    "validation=walk_forward",
    "validation.first=120",
    "validation.test=40",
    "validation.holdout=0",
]
SAME_ROW = ["features=premia", "features.beta=null", "target=same_period_return"]
OPTIONS: dict[str, list[str]] = {
    "cross_asset": ["validation.first=150", "model.penalties=3"],
    "elastic_net": ["model.penalties=3"],
    "fixed": ["model.weights={mom_1m: 0.1}"],
    "logit": ["target=up"],
    "two_pass": ["features=market", "target=same_period_return"],
}
MODELS = sorted(path.stem for path in (shipped_conf() / "model").glob("*.yaml"))


@dataclass(frozen=True)
class MeanOfTraining:
    """A user's model, with what it must have and no more: the mean of each asset."""

    scale: float = 1.0

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        return Regression(regressors=[]).fit(panel, rows)

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        return np.tile(self.scale * fit.params[:, 0], (len(panel.dates), 1))


class NothingToForecastWith:
    """Lacks a method that a model must have."""

    def fit(self, panel: Panel, rows: np.ndarray) -> None: ...


def made(*words: str) -> Report:
    base = ["experiment=none", *FEW, "features=premia", "target=forward_return", *WALK]
    return run(Composer().job([*base, *words]).experiment)


def squares_by_date(report: Report) -> np.ndarray:
    """Mean squared error over assets of each date that was forecast, from the predictions of the run."""
    table = open_rows(report.predictions)
    squares = (table["y"] - table["prediction"]) ** 2
    by_date = squares.groupby(table["date"]).mean()
    return np.asarray(by_date)


def judged_as_the_run_does(report: Report) -> None:
    study = report.study
    in_the_set = _losses(study, {"another": {}})[RUN]
    np.testing.assert_allclose(in_the_set, squares_by_date(report), rtol=ROUNDING)
    in_monte_carlo = out_of_sample(study.model, open_folds(study), study.panel)
    assert in_monte_carlo == pytest.approx(report.metrics["oos/r2"], rel=ROUNDING, abs=ROUNDING)


@pytest.mark.parametrize("option", MODELS)
def test_every_analysis_judges_the_forecasts_of_the_run(option: str) -> None:
    if option == "boosting":
        pytest.importorskip("lightgbm", reason="the extra `boosting` is not installed")
    judged_as_the_run_does(made(f"model={option}", *OPTIONS.get(option, [])))


@pytest.mark.parametrize(
    "words",
    [
        ["model=pooled", "model.effects=[asset,date]"],
        ["model=ridge_pooled", "model.dummies=[sector]"],
        ["target=same_period_return", "features=market", "model.components=2", "data.churn=0"],
        [
            "target=forward_volatility",
            "preprocess=[{_target_: runner.preprocessing.log, on: [target]}]",
        ],
    ],
    ids=["effects", "dummies", "components", "target in logs"],
)
def test_settings_do_not_part_them(words: list[str]) -> None:
    judged_as_the_run_does(made(*words))


def test_a_model_of_fit_and_predict_alone_runs() -> None:
    spec = dict(made("model=ols").spec)
    spec |= {
        "model": {"_target_": "test_model.MeanOfTraining", "scale": 0.5},
        "allow": ["test_model"],
    }
    report = run(build(spec))
    judged_as_the_run_does(report)
    table = report.predictions
    assert table["prediction"].to_numpy() == pytest.approx(
        0.5 * table["benchmark"].to_numpy(), rel=ROUNDING
    )


def test_what_a_model_lacks_is_named() -> None:
    spec = dict(made("model=ols").spec)
    spec |= {"model": {"_target_": "test_model.NothingToForecastWith"}, "allow": ["test_model"]}
    line = "NothingToForecastWith has no method predict; allowed here: a class that has fit and predict"
    with pytest.raises(SpecError, match=line):
        build(spec)


def test_the_null_cases_of_a_model() -> None:
    y, X = random_arrays(0, 60, 3, 1)
    panel = panel_of(y, X, horizon=1)
    model = completed(MeanOfTraining, Model, REQUIRED)()
    fold = WalkForward(first=30, test=30).split(panel.dates, 1)[0]
    assert model.mistakes(["x0"]) == [] and model.terms(["x0"]) == [] and model.weight_field is None
    assert model.on(panel) is model
    assert model.diagnose(model.fit(panel, fold.train), panel, fold.train).empty
    expected = np.tile(y[fold.train].mean(axis=0), (len(fold.test), 1))
    np.testing.assert_allclose(model.forecast(panel, fold), expected, rtol=ROUNDING)
