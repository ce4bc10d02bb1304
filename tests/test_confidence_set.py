"""The model confidence set: losses by hand, p-values those of arch, and a better model that is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from arch.bootstrap import MCS
from oracles import panel_of, punch_holes, random_arrays
from studies import study_of

from runner.analyses.forecasts.confidence_set import confidence_set
from runner.errors import DataError
from runner.models.regression import Regression
from runner.models.study import Study
from runner.validation.cross_validation import Combinatorial, KFold
from runner.validation.splitters import WalkForward

REL = 1e-10  # the same sums in another order
MODELS = {"one": {"regressors": ["x0"]}, "shrunk": {"estimator": "ridge", "penalty": 50.0}}


def study(splitter: Any = None, holes: float = 0.05) -> Study:
    y, X = random_arrays(3, 240, 4, 3)
    punch_holes(np.random.default_rng(0), y, X, holes, ragged=False)
    panel = panel_of(y, X, horizon=1)
    folds = (splitter or WalkForward(first=100, test=40)).split(panel.dates, 1)
    return replace(study_of(panel, Regression()), folds=folds)


def losses(one: Study) -> np.ndarray:
    """Mean squared errors (dates, models) by plain loops over folds, dates and assets."""
    panel, rows = one.panel, []
    models = [one.model, *(replace(one.model, **settings) for settings in MODELS.values())]
    for fold in one.folds:
        forecasts = [model.predict(model.fit(panel, fold.train), panel) for model in models]
        known = np.where(panel.valid[fold.train], panel.y[fold.train], np.nan)
        forecasts.append(np.tile(np.nanmean(known, axis=0), (len(panel.dates), 1)))
        for t in fold.test:
            cells = [i for i in range(4) if panel.valid[t, i]]
            if cells:
                rows.append(
                    [np.mean([(panel.y[t, i] - f[t, i]) ** 2 for i in cells]) for f in forecasts]
                )
    return np.array(rows)


def test_losses_and_p_values() -> None:
    one = study()
    table = confidence_set(one, models=MODELS, seed=5).table.set_index("model")
    by_hand = losses(one)
    names = ["this run", "one", "shrunk", "training mean"]
    np.testing.assert_allclose(table.loc[names, "mse"], by_hand.mean(axis=0), rtol=REL)
    oracle = MCS(by_hand, 0.1, 1000, round(len(by_hand) ** (1 / 3)), seed=5)
    oracle.compute()
    np.testing.assert_allclose(
        table.loc[names, "p_value"], oracle.pvalues["Pvalue"].sort_index(), rtol=REL
    )
    assert sorted(np.flatnonzero(table.loc[names, "included"])) == sorted(oracle.included)


def test_a_better_model_is_found_and_said() -> None:
    found = confidence_set(study(), models={"nothing": {"regressors": []}})
    assert list(found.table.loc[found.table["included"], "model"]) == ["this run"]
    assert found.metrics["included"] == 1.0 and found.metrics["run_p_value"] == 1.0
    assert (
        "is: this run (" in found.words[0] and "The others are shown to be worse." in found.words[0]
    )


def test_same_seed_same_bits_and_the_holdout_is_left_alone() -> None:
    locked = study(WalkForward(first=100, test=40, holdout=40))
    a, b = (confidence_set(locked, models=MODELS, seed=1).table for _ in range(2))
    assert a.equals(b)
    changed = replace(locked, panel=replace(locked.panel, y=locked.panel.y.copy()))
    changed.panel.y[200:] += 100.0
    assert confidence_set(changed, models=MODELS, seed=1).table.equals(a)


@pytest.mark.parametrize(
    ("models", "line"),
    [
        ({}, "models: given"),
        ({"this run": {}}, "not 'this run' or 'training mean'"),
        ({"wrong": {"regressors": ["x9"]}}, "models.wrong.regressors: 'x9' is unknown"),
        (
            {"wrong": {"estimator": "ridge", "cov": "HC3"}},
            "models.wrong: cov: HC3 given with estimator=ridge",
        ),
        ({"wrong": {"penalti": 1.0}}, "models.wrong: .*penalti"),
    ],
)
def test_settings_that_do_not_fit(models: dict[str, Any], line: str) -> None:
    with pytest.raises(DataError, match=line):
        confidence_set(study(), models=models)


def test_schemes_that_do_not_fit() -> None:
    with pytest.raises(DataError, match="no fold; allowed: a scheme that forecasts"):
        confidence_set(replace(study(), folds=[]), models=MODELS)
    with pytest.raises(DataError, match="several folds forecast the same row"):
        confidence_set(study(Combinatorial(groups=5, test_groups=2)), models=MODELS)
    assert len(confidence_set(study(KFold(folds=4)), models=MODELS).table) == 4


def test_on_the_command_line(cli: Any) -> None:
    words = ["validation=walk_forward", "data.assets=[S1V5,S5V5]"]
    target = "_target_: runner.analyses.confidence_set"
    one = f"+analyses.best={{{target}, models: {{capm: {{regressors: [MktRF]}}}}}}"
    run = cli(*words, one, "--full")
    assert run.code == 0, run.err
    table = run.table("best").set_index("model")
    assert table.loc["this run", "included"] and not table.loc["capm", "included"]
    assert "The others are shown to be worse." in " ".join(run.out.split())
