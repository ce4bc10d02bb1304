"""Principal components as regressors, held against scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracles import panel_of, random_arrays
from sklearn.decomposition import PCA

from runner.errors import DataError
from runner.models.regression import Regression
from runner.panels.components import extended, principal
from runner.panels.panel import Panel

# Both take the same singular value decomposition of the same matrix; rounding times a gap of eigenvalues is left.
REL = 1e-10


def returns(T: int = 80, N: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(T, 2)) * [3.0, 1.5]
    return 0.01 * (factor @ rng.normal(size=(2, N)) + rng.normal(size=(T, N)) + rng.normal(size=N))


def bare(y: np.ndarray) -> Panel:
    return panel_of(y, np.empty((*y.shape, 0)))


@pytest.mark.parametrize("scale", [1.0, 1e-12, 1e9])
def test_weights_and_shares_are_those_of_scikit_learn_up_to_sign(scale: float) -> None:
    y, rows = scale * returns(), np.arange(10, 70)
    made, oracle = principal(bare(y), rows, 3), PCA(3).fit(y[rows])
    signs = np.sign(np.sum(made.weights * oracle.components_.T, axis=0))
    np.testing.assert_allclose(made.weights, oracle.components_.T * signs, rtol=REL, atol=REL)
    np.testing.assert_allclose(made.share, oracle.explained_variance_ratio_, rtol=REL)
    largest = made.weights[np.abs(made.weights).argmax(axis=0), np.arange(3)]
    assert (largest > 0.0).all()
    scores = extended(bare(y), made).X[:, 0, :]
    np.testing.assert_allclose(
        scores - scores[rows].mean(axis=0), oracle.transform(y) * signs, atol=REL * y.std() * 10
    )


def test_slopes_on_components_are_the_weights_and_the_constant_is_an_alpha_against_portfolios() -> (
    None
):
    y = returns()
    panel, rows = bare(y), np.arange(60)
    fit, made = Regression(components=2).fit(panel, rows), principal(panel, rows, 2)
    np.testing.assert_allclose(fit.params[:, 1:], made.weights, rtol=1e-9, atol=1e-12)
    mean = y[rows].mean(axis=0)
    np.testing.assert_allclose(
        fit.params[:, 0], mean - made.weights @ (made.weights.T @ mean), atol=1e-12
    )
    assert list(fit.coefficients["term"][:3]) == ["const", "PC1", "PC2"]


def test_test_rows_move_no_bit_of_what_is_estimated() -> None:
    y, rows, model = returns(), np.arange(50), Regression(components=2)
    other = y.copy()
    other[50:] = 100.0 * other[50:] + 1.0
    one, two = (model.fit(bare(values), rows) for values in (y, other))
    np.testing.assert_array_equal(one.params, two.params)
    np.testing.assert_array_equal(one.components.weights, two.components.weights)
    assert one.coefficients.equals(two.coefficients)


def test_rows_that_miss_an_asset_or_a_feature_are_not_used_and_not_forecast() -> None:
    y, X = random_arrays(3, 60, 4, 1)
    y[5, 2], X[9, 1, 0] = np.nan, np.nan
    panel, rows = panel_of(y, X), np.arange(60)
    keep = np.delete(rows, [5, 9])
    made = principal(panel, rows, 2)
    np.testing.assert_array_equal(made.weights, principal(panel, keep, 2).weights)
    signs = np.sign(np.sum(made.weights * PCA(2).fit(y[keep]).components_.T, axis=0))
    np.testing.assert_allclose(made.weights, PCA(2).fit(y[keep]).components_.T * signs, atol=REL)
    wide = extended(panel, made)
    assert not wide.valid[5].any() and wide.valid[9].sum() == 3
    fit = Regression(components=2).fit(panel, rows)
    assert list(fit.quality["n_obs"]) == [59, 58, 59, 59]
    assert np.isnan(Regression(components=2).predict(fit, panel)[5]).all()


def test_features_come_before_components_and_hypotheses_know_both() -> None:
    y, X = random_arrays(4, 70, 5, 2)
    model = Regression(components=1, regressors=["x1"], hypotheses=["PC1 = 1, x1 = 0"])
    fit = model.fit(panel_of(y, X), np.arange(70))
    assert list(fit.coefficients["term"][:3]) == ["const", "x1", "PC1"]
    by_asset = (
        fit.hypotheses["scope"] == "asset"
    )  # GRS needs regressors that are shared by all assets
    assert fit.hypotheses.loc[by_asset, "f_stat"].notna().all()


def test_as_many_components_as_assets_less_one_can_be_asked_for_and_no_more() -> None:
    panel, rows = bare(returns(N=4)), np.arange(80)
    assert principal(panel, rows, 3).share.sum() < 1.0
    with pytest.raises(
        DataError, match=r"model.components: given 4; allowed: at most 3 \(4 assets, 80 rows"
    ):
        principal(panel, rows, 4)
    with pytest.raises(DataError, match="at most 1 "):
        principal(panel, rows[:2], 2)


def test_an_asset_without_rows_is_named() -> None:
    y = returns(N=4)
    y[:, 1] = np.nan
    with pytest.raises(DataError, match=r"at most 0 .*; A1 has 0"):
        principal(bare(y), np.arange(80), 1)


def test_a_target_that_lies_ahead_and_a_name_that_is_taken_are_refused() -> None:
    y, X = random_arrays(5, 30, 3, 1)
    with pytest.raises(DataError, match=r"model.components: the target lies 2 rows ahead"):
        Regression(components=1).fit(panel_of(y, X, horizon=2), np.arange(30))
    taken = replace(panel_of(y, X), names=["PC1"])
    with pytest.raises(
        DataError,
        match=r"features.PC1: with model.components=2; allowed: a name other than PC1, PC2",
    ):
        Regression(components=2).fit(taken, np.arange(30))
