"""Fixed effects against linearmodels and against dummies, balanced and ragged, with and without weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.panel import PanelOLS
from oracles import close, panel_of, positive_part, punch_holes, random_arrays

from runner.errors import DataError, EstimationError
from runner.models.regression import Regression
from runner.panels.panel import Panel

# Both sides demean by different routes; what they lose is rounding times the size of the effects beside the rest.
REL = 1e-10
EFFECTS = (["asset"], ["date"], ["asset", "date"])
ERRORS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nonrobust": ({}, {"cov_type": "unadjusted"}),
    "HC1": ({"cov": "HC1"}, {"cov_type": "robust"}),
    "asset": (
        {"cov": "cluster", "clusters": ["asset"]},
        {"cov_type": "clustered", "cluster_entity": True},
    ),
    "date": (
        {"cov": "cluster", "clusters": ["date"]},
        {"cov_type": "clustered", "cluster_time": True},
    ),
    "both": (
        {"cov": "cluster", "clusters": ["asset", "date"]},
        {"cov_type": "clustered", "cluster_entity": True, "cluster_time": True},
    ),
    "driscoll_kraay": (
        {"cov": "driscoll_kraay", "cov_lags": 3},
        {"cov_type": "kernel", "bandwidth": 3},
    ),
}


def panel(seed: int = 0, T: int = 40, N: int = 7, holes: float = 0.0, level: float = 5.0) -> Panel:
    """Effects of assets and dates that move with the regressors, so that leaving them out would bias."""
    y, X = random_arrays(seed, T, N, 3)
    rng = np.random.default_rng(seed)
    assets, dates = level * rng.normal(size=N), level * rng.normal(size=(T, 1))
    X[:, :, 0] += 0.3 * assets + 0.2 * dates
    y += assets + dates
    if holes:
        punch_holes(rng, y, X, holes, ragged=True)
    return panel_of(y, X)


def parted() -> Panel:
    """Two groups of assets that never trade on the same dates: their effects are only relative to each other."""
    made = panel(4)
    made.valid[:20, 3:], made.valid[20:, :3] = False, False
    return made


PANELS = {
    "balanced": panel(1),
    "ragged": panel(2, holes=0.2),
    "wide": panel(3, T=9, N=30, holes=0.2),
    "parted": parted(),
}


def table(of: Panel, weights: np.ndarray | None = None) -> pd.DataFrame:
    t, i = np.nonzero(of.valid)
    columns = {"asset": i, "date": t, "y": of.y[t, i]} | {
        name: of.X[t, i, k] for k, name in enumerate(of.names)
    }
    return pd.DataFrame(columns | ({} if weights is None else {"w": weights[t, i]})).set_index(
        ["asset", "date"]
    )


def errors_of(oracle: Any, ours: dict[str, Any]) -> np.ndarray:
    """Standard errors of linearmodels; of two ways of clustering with negative eigenvalues set to zero."""
    two_ways = len(ours.get("clusters", [])) == 2
    return np.sqrt(np.diag(positive_part(oracle.cov))) if two_ways else oracle.std_errors.to_numpy()


def panel_ols(of: Panel, effects: list[str], **config: Any) -> Any:
    rows = table(of)
    model = PanelOLS(
        rows["y"], rows[of.names], entity_effects="asset" in effects, time_effects="date" in effects
    )
    return model.fit(
        **config, **({"group_debias": True} if config["cov_type"] == "clustered" else {})
    )


@pytest.mark.parametrize("errors", ERRORS)
@pytest.mark.parametrize("effects", EFFECTS, ids="+".join)
@pytest.mark.parametrize("name", PANELS)
def test_estimates_and_errors_are_those_of_linearmodels(
    name: str, effects: list[str], errors: str
) -> None:
    if name == "parted" and len(effects) == 2:
        pytest.skip(
            "linearmodels counts an effect too many where the panel falls apart; see the dummies below"
        )
    of, (ours, theirs) = PANELS[name], ERRORS[errors]
    fit = Regression(by=None, effects=effects, **ours).fit(of, np.arange(len(of.dates)))
    oracle = panel_ols(of, effects, **theirs)
    assert fit.coefficients["term"].tolist() == of.names
    np.testing.assert_allclose(fit.coefficients["estimate"], oracle.params, rtol=REL)
    np.testing.assert_allclose(fit.coefficients["std_error"], errors_of(oracle, ours), rtol=REL)
    quality = fit.quality.iloc[0]
    assert quality["r2_within"] == pytest.approx(oracle.rsquared, rel=REL)
    assert quality["r2"] == pytest.approx(oracle.rsquared_inclusive, rel=REL)
    if errors == "nonrobust":
        assert quality["df_resid"] == oracle.df_resid
        assert quality["f_stat"] == pytest.approx(oracle.f_statistic.stat, rel=1e-8)


@pytest.mark.parametrize("effects", EFFECTS, ids="+".join)
@pytest.mark.parametrize("name", PANELS)
def test_it_is_least_squares_with_dummies(name: str, effects: list[str]) -> None:
    of = PANELS[name]
    rows = table(of).reset_index()
    dummies = [
        pd.get_dummies(rows[one], dtype=float).iloc[:, int(n > 0) :]
        for n, one in enumerate(effects)
    ]
    oracle = sm.OLS(rows["y"].to_numpy(), np.column_stack([rows[of.names], *dummies])).fit()
    model = Regression(by=None, effects=effects)
    fit = model.fit(of, np.arange(len(of.dates)))
    np.testing.assert_allclose(fit.coefficients["estimate"], oracle.params[:3], rtol=REL)
    np.testing.assert_allclose(fit.coefficients["std_error"], oracle.bse[:3], rtol=REL)
    np.testing.assert_allclose(
        model.predict(fit, of)[of.valid], oracle.fittedvalues, rtol=REL, atol=1e-10
    )
    quality = fit.quality.iloc[0]
    assert quality["log_likelihood"] == pytest.approx(oracle.llf, rel=REL)
    assert quality["r2_adj"] == pytest.approx(
        1 - oracle.ssr / oracle.df_resid / np.var(rows["y"], ddof=1), rel=REL
    )


@pytest.mark.parametrize("effects", EFFECTS, ids="+".join)
@pytest.mark.parametrize("name", ["balanced", "ragged", "wide"])
def test_weights_are_those_of_linearmodels(name: str, effects: list[str]) -> None:
    of = PANELS[name]
    weights = np.random.default_rng(0).lognormal(sigma=1.0, size=of.y.shape)
    weights[~of.valid] = np.nan
    rows = table(of, weights)
    given = {
        "entity_effects": "asset" in effects,
        "time_effects": "date" in effects,
        "weights": rows["w"],
    }
    for ours, config in ERRORS.values():
        fit = Regression(by=None, effects=effects, weights="w", **ours).fit(
            replace(of, weights=weights), np.arange(len(of.dates))
        )
        debias = {"group_debias": True} if config["cov_type"] == "clustered" else {}
        oracle = PanelOLS(rows["y"], rows[of.names], **given).fit(**config, **debias)
        np.testing.assert_allclose(fit.coefficients["estimate"], oracle.params, rtol=REL)
        np.testing.assert_allclose(fit.coefficients["std_error"], errors_of(oracle, ours), rtol=REL)


@pytest.mark.parametrize("level", [1e-6, 1e6])
def test_effects_far_larger_than_the_rest_cost_no_digits(level: float) -> None:
    """Effects a million times the noise leave what is left with sixteen digits less six; passes find them again."""
    of, small = panel(5, holes=0.1, level=level), panel(5, holes=0.1, level=0.0)
    model = Regression(by=None, effects=["asset", "date"])
    ours, plain = (model.fit(one, np.arange(40)).coefficients for one in (of, small))
    np.testing.assert_allclose(
        ours["estimate"], plain["estimate"], rtol=1e-9 * max(level * 1e-2, 1.0)
    )


def test_a_group_has_effects_of_its_own() -> None:
    of = panel(6, holes=0.1)
    of.groups["sector"] = ["a", "b"] * 3 + ["a"]
    model = Regression(by="sector", effects=["asset", "date"])
    fit = model.fit(of, np.arange(40))
    for name in ("a", "b"):
        own = np.flatnonzero(of.groups["sector"] == name)
        part = panel_of(of.y[:, own], of.X[:, own])
        alone = Regression(by=None, effects=["asset", "date"])
        found = alone.fit(part, np.arange(40))
        mine = fit.coefficients.query("unit == @name")
        close(mine["estimate"], found.coefficients["estimate"], name, rel=REL)
        close(mine["std_error"], found.coefficients["std_error"], name, rel=REL)
        close(
            model.predict(fit, of)[:, own], alone.predict(found, part), name, rel=1e-8, floor=1e-8
        )


def test_a_date_that_was_not_fitted_has_the_mean_date_effect() -> None:
    of = panel(7)
    model = Regression(by=None, effects=["asset", "date"])
    fit = model.fit(of, np.arange(30))
    assert fit.date_effects is not None
    assert abs(fit.date_effects[:30].mean()) < 1e-12
    assert (fit.date_effects[30:] == 0.0).all()
    seen = model.predict(fit, of)
    residuals = (of.y - seen)[:30]
    np.testing.assert_allclose(residuals.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(residuals.mean(axis=1), 0.0, atol=1e-12)


def test_rows_outside_move_no_bit() -> None:
    of, other = panel(8, holes=0.1), panel(8, holes=0.1)
    other.y[30:], other.X[30:] = 99.0, -99.0
    for effects in EFFECTS:
        model = Regression(by=None, effects=effects)
        a, b = (model.fit(one, np.arange(30)) for one in (of, other))
        pd.testing.assert_frame_equal(a.coefficients, b.coefficients, check_exact=True)
        np.testing.assert_array_equal(a.asset_effects, b.asset_effects)


def test_what_the_effects_absorb_is_named() -> None:
    of = panel(9)
    of.X[:, :, 1] = np.arange(40)[:, None]  # the same for every asset of a date
    with pytest.raises(EstimationError, match="x1 is absorbed by the effects"):
        Regression(by=None, effects=["date"]).fit(of, np.arange(40))
    of.X[:, :, 1] = np.arange(40)[:, None] + np.arange(7)
    assert len(
        Regression(by=None, effects=["date"], regressors=["x0", "x2"])
        .fit(of, np.arange(40))
        .coefficients
    )
    with pytest.raises(EstimationError, match="x1 is absorbed"):
        Regression(by=None, effects=["asset", "date"]).fit(of, np.arange(40))
    of.X[:, :, 1] = of.X[:, :, 0] - 2.0 * of.X[:, :, 2] + 3.0 * np.arange(40)[:, None]
    with pytest.raises(EstimationError, match="collinear beside the effects: x0, x1, x2"):
        Regression(by=None, effects=["date"]).fit(of, np.arange(40))
    of.y[:] = np.arange(7.0)
    with pytest.raises(EstimationError, match="the target is absorbed"):
        Regression(by=None, effects=["asset"], regressors=["x0"]).fit(of, np.arange(40))


def test_too_few_rows_for_the_effects() -> None:
    of = panel(10, T=2, N=5)
    with pytest.raises(
        (DataError, EstimationError), match="8 rows for 3 terms and 5 effects; needs at least 9"
    ):
        Regression(by=None, effects=["asset", "date"], regressors=["x0", "x1", "x2"]).fit(
            replace(of, valid=of.valid & (np.arange(5) < 4)), np.arange(2)
        )


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"effects": ["asset"]}, r"effects: \['asset'\] given with by=asset"),
        ({"effects": ["asset", "asset"], "by": None}, "names one twice"),
        ({"effects": ["date"], "by": None, "cov": "HC3"}, "cov: HC3 given with effects"),
        ({"effects": ["date"], "by": None, "estimator": "ridge"}, "given with estimator=ridge"),
        ({"weights": "inverse_variance"}, "one number per asset"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        Regression(**settings)
