"""Coefficients of each fold, held against statsmodels on its training rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from oracles import panel_of, random_arrays
from studies import study_of

from runner.analyses.estimates.fold_stability import coefficients_by_fold
from runner.cli.composition import Composer
from runner.errors import DataError
from runner.experiment.run import run
from runner.models.fixed import Fixed
from runner.models.regression import Regression
from runner.models.study import Study
from runner.panels.panel import Panel
from runner.sinks.canvas import style
from runner.sinks.drawings import DRAWINGS
from runner.validation.cross_validation import Combinatorial
from runner.validation.folds import shared_by
from runner.validation.splitters import Fold, WalkForward

REL = 1e-9  # two float64 ways to the same regression


def study(panel: Panel, model: Regression, folds: list[Fold] | None = None) -> Study:
    made = (
        WalkForward(test=20, first=60).split(panel.dates, panel.horizon) if folds is None else folds
    )
    return replace(study_of(panel, model), folds=made)


def panel(T: int = 120, N: int = 3, K: int = 2, seed: int = 1) -> Panel:
    return panel_of(*random_arrays(seed, T, N, K))


@pytest.mark.parametrize("cov", ["nonrobust", "HC1"])
def test_rows_are_regressions_on_the_training_rows(cov: str) -> None:
    data = panel()
    one = study(data, Regression(cov=cov))
    table = coefficients_by_fold(one).table.set_index(["fold", "unit", "term"]).sort_index()
    assert set(table.index.get_level_values("fold")) == {"1", "2", "3"}
    for fold in one.folds:
        b = []
        for i, name in enumerate(data.assets):
            X = sm.add_constant(data.X[fold.train, i])
            oracle = sm.OLS(data.y[fold.train, i], X).fit(cov_type=cov, use_t=True)
            rows, ends = table.loc[(fold.name, name)], oracle.conf_int()
            np.testing.assert_allclose(rows["estimate"], oracle.params, rtol=REL)
            np.testing.assert_allclose(rows["std_error"], oracle.bse, rtol=REL)
            np.testing.assert_allclose(rows["t_stat"], oracle.tvalues, rtol=REL)
            np.testing.assert_allclose(rows[["ci_low", "ci_high"]], ends, rtol=1e-8)
            b.append(oracle.params)
        mean = table.loc[(fold.name, "all")]
        np.testing.assert_allclose(mean["estimate"], np.mean(b, axis=0), rtol=REL)
        np.testing.assert_allclose(mean["std_error"], np.std(b, axis=0, ddof=1) / 3**0.5, rtol=REL)
        assert (mean["train_end"] == data.dates[fold.train[-1]]).all() and (
            mean["units"] == 3
        ).all()
        assert (mean["train_start"] == data.dates[0]).all() and (
            mean["train_dates"] == len(fold.train)
        ).all()
    whole = one.fit.coefficients.set_index(["unit", "term"])["estimate"]
    for (_, unit, term), row in table.iterrows():
        assert row["all_rows"] == whole[(unit, term)]
        assert row["same_sign"] == (np.sign(row["estimate"]) == np.sign(row["all_rows"]))


def test_components_of_a_fold_are_its_own_beside_sums_that_folds_share() -> None:
    y, X = random_arrays(4, 120, 5, 1)
    one = study(panel_of(y, X), Regression(components=1))
    held = replace(one, panel=replace(one.panel, shared=shared_by(one.folds, one.panel)))
    plain, other = (coefficients_by_fold(each).table for each in (one, held))
    np.testing.assert_allclose(other["estimate"], plain["estimate"], rtol=1e-8)


def test_signs_and_spread_by_hand() -> None:
    """Slopes 1, 1, -1 and 3 in blocks of thirty rows, without error: each fold of thirty knows its own."""
    x = np.random.default_rng(0).normal(size=(120, 1, 1))
    slope = np.repeat([1.0, 1.0, -1.0, 3.0], 30)[:, None]
    noise = 1e-6 * np.random.default_rng(1).normal(size=(120, 1))
    y = slope * x[:, :, 0] + noise
    folds = [
        Fold(str(k + 1), np.arange(30 * k, 30 * k + 30), np.arange(119, 120), np.array([]))
        for k in range(4)
    ]
    found = coefficients_by_fold(study(panel_of(y, x), Regression(by=None), folds))
    x0 = found.table[found.table["term"] == "x0"]
    np.testing.assert_allclose(x0["estimate"], [1.0, 1.0, -1.0, 3.0], atol=1e-5)
    assert list(x0["same_sign"]) == [True, True, False, True] and (x0["units"] == 1).all()
    assert found.metrics["same_sign_min"] == 0.75 == found.metrics["same_sign_mean"]
    expected = x0["estimate"].std() / x0["std_error"].mean()
    assert found.metrics["spread_over_error_max"] == pytest.approx(expected, rel=REL)
    assert (
        "x0: positive in the full sample and in 3 of 4 folds, from -1.00 to 3.00; standard deviation over folds 1.63"
        in (found.words[1])
    )
    assert found.words[-1] == "Neighbouring folds share no training rows."


def test_shared_rows_are_told() -> None:
    found = coefficients_by_fold(
        study(panel(), Regression(by=None))
    )  # 60, 80 and 100 rows: 3/4 and 4/5
    assert (
        "share 77.5 % of their training rows on average: their estimates agree by construction"
        in found.words[-1]
    )


def test_a_mean_over_fewer_units_is_told_and_one_unit_is_no_mean() -> None:
    y, X = random_arrays(0, 120, 3, 1)
    y[:70, 2], y[:62, 1] = np.nan, np.nan
    found = coefficients_by_fold(study(panel_of(y, X), Regression()))
    assert sorted(found.table.loc[found.table["unit"] == "all", "units"].unique()) == [3]
    assert set(found.table["fold"]) == {"2", "3"} and "1 fold without estimates: 1." in found.words
    y[60:82, 2] = np.nan
    words = coefficients_by_fold(study(panel_of(y, X), Regression())).words
    assert "Means are over 2 to 3 assets, different ones in each fold." in words
    assert (
        "Standard errors of means over assets are from the spread over assets, not over time."
        in words
    )


def test_by_date_only_means_and_many_assets_only_means() -> None:
    data = panel(N=13)
    for model in (Regression(by="date"), Regression()):
        table = coefficients_by_fold(study(data, model)).table
        assert set(table["scope"]) == {"mean"} and len(table) == 9
    assert "Means are over" not in " ".join(
        coefficients_by_fold(study(data, Regression(by="date"))).words
    )


def test_a_penalised_model_has_no_errors_and_says_none() -> None:
    found = coefficients_by_fold(
        study(panel(), Regression(by=None, estimator="ridge", penalty=0.1))
    )
    assert found.table["std_error"].isna().all() and np.isnan(
        found.metrics["spread_over_error_max"]
    )
    assert "standard error" not in " ".join(found.words)
    with style():
        assert DRAWINGS[found.picture](found.table) is not None


def test_one_fold_is_no_comparison() -> None:
    data = panel()
    fold = Fold("holdout", np.arange(80), np.arange(80, 120), np.array([]))
    found = coefficients_by_fold(study(data, Regression(), [fold]))
    assert found.words[0] == "One fold has estimates: there is nothing to compare over folds."


def test_no_folds_and_no_coefficients_are_refused() -> None:
    with pytest.raises(DataError, match="validation: no fold; allowed: one that fits on a part"):
        coefficients_by_fold(study(panel(), Regression(), []))
    one = study(panel(), Regression())
    bare = replace(one.fit, coefficients=one.fit.coefficients.iloc[:0])
    with pytest.raises(DataError, match="model: its fit has 0 units without a mean"):
        coefficients_by_fold(replace(one, fit=bare))


def test_weights_that_are_given_stay() -> None:
    data = panel()
    model = Fixed(weights={"x0": 0.7, "x1": 0.3})
    found = coefficients_by_fold(study(data, model))  # type: ignore[arg-type]
    assert set(found.table["estimate"]) == {0.0, 0.7, 0.3} and found.metrics["same_sign_min"] == 1.0


@pytest.mark.parametrize("kind", ["dated", "unordered", "heat", "terms"])
def test_it_draws(kind: str) -> None:
    data = panel(K=12 if kind == "terms" else 2)
    splitter = Combinatorial(groups=10 if kind == "heat" else 4, test_groups=2)
    folds = None if kind in ("dated", "terms") else splitter.split(data.dates, 0)
    found = coefficients_by_fold(study(data, Regression(), folds))
    assert isinstance(found.table, pd.DataFrame) and not found.table.columns.duplicated().any()
    with style():
        assert DRAWINGS[found.picture](found.table) is not None


def test_as_a_user() -> None:
    words = ["+analyses.by_fold={_target_: runner.analyses.coefficients_by_fold}"]
    report = run(
        Composer()
        .job([*words, "validation=walk_forward", "data.start=1990-01-31", "audit=off"])
        .experiment
    )
    assert report.findings["by_fold"].table["fold"].nunique() == len(report.folds)
    assert report.metrics["by_fold/same_sign_min"] == 1.0
