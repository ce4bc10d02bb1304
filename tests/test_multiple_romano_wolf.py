"""Step-down p-values by a naive loop, their size, and influences whose squares are known variances."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.panel import PanelOLS
from oracles import newey_west, panel_of, punch_holes, random_arrays
from scipy.stats import t as student
from studies import study_of

from runner.errors import DataError
from runner.models.boosting import Boosting
from runner.models.fit import headline
from runner.models.regression import Regression
from runner.numerics.moments import HALVED
from runner.panels.panel import Panel
from runner.trials.influence import influence, influence_of
from runner.trials.romano_wolf import StepDown, block_of, cosines, romano_wolf

REL = 1e-9  # sums in another order, and normal equations beside QR
NONE = np.full(6, np.nan)


def estimates(
    seed: int, T: int = 60, m: int = 6, shift: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Means (m,) of correlated heavy-tailed series, and their influences (T, m)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_t(5, size=(T, m)) + 0.8 * rng.normal(size=(T, 1)) + shift * np.arange(m)
    return x.mean(axis=0), (x - x.mean(axis=0)) / T


def stepped(
    b: np.ndarray, errors: np.ndarray, psi: np.ndarray, *more: Any, **named: Any
) -> StepDown:
    """The estimates spread over their dates beside influences that add up to zero."""
    known = np.isfinite(psi).sum(axis=0)
    with np.errstate(invalid="ignore"):
        about = psi - np.nansum(psi, axis=0) / np.maximum(known, 1)
    return romano_wolf(about + b / np.maximum(known, 1), errors, *more, **named)


def naive(b: np.ndarray, psi: np.ndarray, draws: int, length: int, seed: int) -> np.ndarray:
    """Loops over draws and steps, with the generator's own signs and every date in one list."""
    T, m = psi.shape
    count = T // length
    edges = np.linspace(0, T, count + 1).astype(int)
    cut = list(pairwise(edges))

    def t_of(series: np.ndarray) -> float:
        return abs(series.mean()) / (series.std(ddof=1) / np.sqrt(count))

    rng, rows = (
        np.random.default_rng(seed),
        [[sum(psi[s:e, j] + b[j] / T) for s, e in cut] for j in range(m)],
    )
    parts = np.array(rows)
    t = np.array([t_of(part) for part in parts])
    left, p, before = list(range(m)), np.zeros(m), 0.0
    signs = np.vstack(
        [2.0 * rng.integers(0, 2, (min(512, draws - k), count)) - 1.0 for k in range(0, draws, 512)]
    )
    table = np.array([[t_of(sign * part) for part in parts] for sign in signs])
    while left:
        top = max(left, key=lambda j: t[j])
        hits = sum(max(row[left]) >= t[top] * (1 - 1e-9) for row in table)
        p[top] = before = max(before, (1 + hits) / (1 + draws))
        left.remove(top)
    return p


@pytest.mark.parametrize(("length", "draws"), [(1, 600), (4, 99)])
def test_as_a_naive_loop(length: int, draws: int) -> None:
    b, psi = estimates(0, shift=0.08)
    found = stepped(b, NONE, psi, draws, length, seed=5)
    np.testing.assert_allclose(found.p_value, naive(b, psi, draws, length, 5), rtol=REL)
    assert found.how == f"signs of {60 // length} blocks of {length}"
    again = stepped(b[::-1] * 1e6, NONE, psi[:, ::-1] * 1e6, draws, length, seed=5)
    np.testing.assert_allclose(again.p_value[::-1], found.p_value, rtol=REL)


def test_the_t_is_that_of_a_mean_and_never_above_that_of_the_fit() -> None:
    b, psi = estimates(1)
    x = psi * 60 + b
    plain = np.abs(b) / (x.std(axis=0, ddof=1) / np.sqrt(60))
    np.testing.assert_allclose(stepped(b, NONE, psi, 99, 1).t_stat, plain, rtol=REL)
    errors = np.array([10.0, 1e-9, np.nan, 10.0, np.nan, 10.0])
    found = stepped(b, errors, psi, 99, 1).t_stat
    np.testing.assert_allclose(found, np.where(errors == 10.0, np.abs(b) / 10.0, plain), rtol=REL)


def test_rotations_of_one_test_are_students_t() -> None:
    """Of a single test the rotated t has Student's distribution with as many degrees as cosines."""
    _, psi = estimates(2, T=250, m=1)
    b = np.array([0.2])
    found = stepped(b, NONE[:1], psi, 200_000, horizon=5)
    K = int(found.how.split()[2])
    angle = np.pi * np.outer(np.arange(1, K + 1), np.arange(1, 251) - 0.5) / 250
    error = np.sqrt(2.0 * np.mean((np.cos(angle) @ psi[:, 0]) ** 2))
    assert found.t_stat[0] == pytest.approx(abs(b[0]) / error, rel=REL)
    p = 2 * student.sf(found.t_stat[0], K)
    assert 0.001 < p < 0.5 and found.p_value[0] == pytest.approx(p, abs=4 * np.sqrt(p / 200_000))


def test_tests_with_dates_of_their_own() -> None:
    b, psi = estimates(3, T=120)
    psi[:50, 1], psi[:, 2], psi[100:, 3], psi[8:, 4] = np.nan, np.nan, np.nan, np.nan
    for horizon in (1, 5):
        found = stepped(b, NONE, psi, 499, seed=1, horizon=horizon)
        assert list(np.isnan(found.p_value)) == [False, False, True, False, horizon == 5, False]
    alone = stepped(b[1:2], NONE[:1], psi[50:, 1:2], 499, horizon=5)
    both = stepped(b[:2], NONE[:2], psi[:, :2], 499, horizon=5)
    assert both.t_stat[1] == pytest.approx(alone.t_stat[0], rel=REL)
    parts = cosines(psi, 5)
    assert parts.own.sum(axis=0).tolist() == [10, 7, 0, 9, 0, 10]  # .4 n^(2/3), and the estimate


def test_more_trials_than_tests_share_the_level() -> None:
    b, psi = estimates(4, shift=0.1)
    p = stepped(b, NONE, psi, 999, 1).p_value
    np.testing.assert_allclose(
        stepped(b, NONE, psi, 999, 1, m=9).p_value, np.minimum(p * 1.5, 1.0), rtol=REL
    )


def test_the_block_is_longer_where_dates_hang_together() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 8))
    assert block_of(x) <= 3
    for t in range(1, 400):
        x[t] += 0.8 * x[t - 1]
    assert 15 <= block_of(x) <= 40 and block_of(x[:100]) <= 10
    assert block_of(np.ones((40, 2))) == 1 and block_of(np.full((5, 2), np.nan)) == 1


def test_what_is_refused() -> None:
    b, psi = estimates(5)
    with pytest.raises(DataError, match="60 dates make 5 blocks of 12; needs 6"):
        stepped(b, NONE, psi, block=12)
    with pytest.raises(ValueError, match="contributions: given"):
        romano_wolf(psi, NONE[:2])
    with pytest.raises(ValueError, match="m: given 2 trials with 6 tests"):
        stepped(b, NONE, psi, m=2)
    assert np.isnan(
        romano_wolf(np.full_like(psi, np.nan), NONE, block=None, horizon=3).p_value
    ).all()


@pytest.mark.parametrize("horizon", [1, 5])
def test_size_and_power(horizon: int) -> None:
    """Family-wise errors at 5 % over 400 nulls (one standard error 1.1 %), and what is real is found."""
    rejected, found = 0, 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x = rng.standard_t(5, size=(64, 12)) + rng.normal(size=(64, 1))
        x = (
            x
            if horizon == 1
            else np.lib.stride_tricks.sliding_window_view(x, horizon, axis=0).mean(axis=2)
        )
        b, psi = x.mean(axis=0), (x - x.mean(axis=0)) / len(x)
        b[0] += 5.0 * x[:, 0].std() / np.sqrt(len(x)) * np.sqrt(horizon)
        p = stepped(
            b, np.full(12, np.nan), psi, 199, 1 if horizon == 1 else None, seed, horizon
        ).p_value
        rejected, found = rejected + (p[1:] < 0.05).any(), found + (p[0] < 0.05)
    assert 0.02 < rejected / 400 < 0.08
    assert found / 400 > (0.8 if horizon == 1 else 0.25)


# Influences


def holed(seed: int, horizon: int = 1, T: int = 80) -> Panel:
    y, X = random_arrays(seed, T, 6, 2)
    punch_holes(np.random.default_rng(seed), y, X, 0.08, ragged=True)
    return replace(panel_of(y, X, horizon), weights=None)


def long(panel: Panel) -> pd.DataFrame:
    """Its cells as linearmodels wants them."""
    t, i = np.nonzero(panel.valid)
    index = pd.MultiIndex.from_arrays(
        [np.array(panel.assets)[i], panel.dates[t]], names=["asset", "date"]
    )
    return pd.DataFrame({"y": panel.y[t, i], "x0": panel.X[t, i, 0], "x1": panel.X[t, i, 1]}, index)


@pytest.mark.parametrize("effects", [[], ["asset"], ["date"], ["asset", "date"]])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("T", [80, HALVED + 1])  # of many dates two halves are summed
def test_squares_of_a_pooled_fit_are_the_variance_clustered_by_date(
    effects: list[str], weighted: bool, T: int
) -> None:
    panel = holed(1, T=T)
    weights = np.random.default_rng(2).uniform(0.5, 2.0, panel.y.shape)
    panel = replace(panel, weights=weights if weighted else None)
    model = Regression(by=None, effects=effects, weights="market_cap" if weighted else None)  # type: ignore[arg-type]
    series = influence(study_of(panel, model)).series
    data = long(panel)
    exog = data[["x0", "x1"]] if effects else sm.add_constant(data[["x0", "x1"]])
    w = pd.Series(weights[panel.valid], data.index) if weighted else None
    fitted = PanelOLS(
        data["y"],
        exog,
        weights=w,
        entity_effects="asset" in effects,
        time_effects="date" in effects,
    )
    plain = {"debiased": False, "group_debias": False, "count_effects": False, "auto_df": False}
    result = fitted.fit(cov_type="clustered", cluster_time=True, **plain)
    np.testing.assert_allclose(
        np.sqrt((series**2).sum()), result.std_errors, rtol=1e-8
    )  # theirs: dummies, lstsq
    assert (series.sum().abs() < 1e-12).all() and list(series) == list(result.params.index)


def test_the_mean_over_dates_has_its_plain_and_its_lagged_error() -> None:
    panel = holed(2)
    panel.valid[7] = False  # a date without a regression
    for lags in (0, 3):
        study = study_of(panel, Regression(by="date", mean_lags=lags))
        series = influence(study).series
        assert panel.dates[7] not in series.index and list(series) == ["const", "x0", "x1"]
        mean = study.fit.coefficients[study.fit.coefficients["scope"] == "mean"]
        n = len(series)
        one = np.ones((n, 1))
        expected = [
            np.sqrt(newey_west(one, n * series[term].to_numpy(), lags)[0, 0]) for term in series
        ]
        factor = 1.0 if lags else np.sqrt(n / (n - 1))
        np.testing.assert_allclose(mean["std_error"], factor * np.array(expected), rtol=REL)


def test_the_mean_over_assets_is_the_mean_of_their_own() -> None:
    panel = holed(3)
    panel.valid[2:, 4] = False  # an asset without a regression
    series = influence(study_of(panel, Regression(by="asset"))).series
    total = np.zeros((80, 3))
    for i in (0, 1, 2, 3, 5):
        t = np.flatnonzero(panel.valid[:, i])
        X = sm.add_constant(panel.X[t, i])
        total[t] += (
            np.linalg.solve(X.T @ X, (X * sm.OLS(panel.y[t, i], X).fit().resid[:, None]).T).T / 5
        )
    own = panel.dates.isin(series.index)
    np.testing.assert_allclose(series, total[own], rtol=1e-7, atol=1e-15)
    assert (total[~own] == 0.0).all()


def test_one_asset_has_its_own_and_huge_columns_lose_no_digit() -> None:
    y, X = random_arrays(4, 60, 1, 2)
    result = sm.OLS(y[:, 0], sm.add_constant(X[:, 0])).fit(cov_type="HC0")
    series = influence(study_of(panel_of(y, X), Regression(by="asset"))).series
    np.testing.assert_allclose(np.sqrt((series**2).sum()), result.bse, rtol=REL)
    scaled = influence(study_of(panel_of(y * 1e-6, X * [1e9, 1e-9]), Regression(by="asset"))).series
    np.testing.assert_allclose(scaled * [1e6, 1e15, 1e-3], series, rtol=1e-7, atol=1e-12)


def test_groups_components_and_inverse_variances() -> None:
    panel = holed(5)
    groups = pd.DataFrame({"sector": list("aabbbb")}, index=panel.assets)
    series = influence(study_of(replace(panel, groups=groups), Regression(by="sector"))).series
    halves = []
    for own in ([0, 1], [2, 3, 4, 5]):
        part = panel.part(np.arange(80), np.array(own))
        halves.append(
            influence(study_of(part, Regression(by=None))).series.reindex(series.index).fillna(0.0)
        )
    np.testing.assert_allclose(series, (halves[0] + halves[1]) / 2, rtol=1e-7, atol=1e-14)
    y, X = random_arrays(6, 60, 4, 2)
    parts = influence(study_of(panel_of(y, X), Regression(by="asset", components=1))).series
    assert list(parts) == ["const", "x0", "x1", "PC1"] and (parts.sum().abs() < 1e-12).all()
    one = influence(study_of(panel, Regression(by=None, weights="inverse_variance"))).series
    variance = np.nanvar(np.where(panel.valid, panel.y, np.nan), axis=0, ddof=1)
    given = replace(panel, weights=np.broadcast_to(1.0 / variance, panel.y.shape))
    other = influence(study_of(given, Regression(by=None, weights="market_cap"))).series
    pd.testing.assert_frame_equal(one, other, rtol=1e-8)


def test_models_without_influences_say_why() -> None:
    panel = holed(7)
    ridge = influence(study_of(panel, Regression(by=None, estimator="ridge", penalty=1.0)))
    assert ridge.series is None and ridge.reason == "estimator=ridge is biased on purpose"
    fit = study_of(panel, Regression(by=None)).fit
    assert influence_of(panel, Boosting(), fit).reason == "Boosting has no influence by date"
    whole = panel_of(*random_arrays(8, 3, 6, 2))
    whole.valid[1:] = False
    alone = influence(study_of(whole, Regression(by="date")))
    assert alone.series is None and alone.reason.startswith("1 date with estimates")


def test_contributions_add_up_to_the_estimates_and_are_those_under_the_null() -> None:
    """Each is the influence of the date with the term's own coefficient set to zero, all others as estimated."""
    panel = holed(9)
    for model in (
        Regression(by=None),
        Regression(by=None, effects=["asset"]),
        Regression(by="date"),
    ):
        study = study_of(panel, model)
        found = influence(study)
        rows = headline(study.fit.coefficients).set_index("term")["estimate"]
        np.testing.assert_allclose(
            found.contributions.sum(), rows.loc[list(found.contributions)], rtol=REL
        )
    data = long(panel)
    others = sm.add_constant(data[["x1"]])
    effective = sm.OLS(data["x0"], others).fit().resid
    under_null = effective / (effective**2).sum() * sm.OLS(data["y"], others).fit().resid
    own = influence(study_of(panel, Regression(by=None))).contributions["x0"]
    np.testing.assert_allclose(own, under_null.groupby(level="date").sum(), rtol=1e-7, atol=1e-14)


def test_influences_of_a_logit_are_scores_times_the_inverse_hessian() -> None:
    panel = holed(10)
    panel = replace(
        panel, y=np.where(np.isfinite(panel.y), (panel.y > np.nanmedian(panel.y)) * 1.0, np.nan)
    )
    data = long(panel)
    X = sm.add_constant(data[["x0", "x1"]])
    result = sm.Logit(data["y"], X).fit(disp=0, tol=1e-12)
    scores = X.mul(data["y"] - result.predict(X), axis=0) @ np.linalg.inv(
        -result.model.hessian(result.params)
    )
    expected = scores.groupby(level="date").sum()
    model = Regression(by=None, estimator="logit", cov="cluster", clusters=["date"])
    study = study_of(panel, model)
    found = influence(study)
    np.testing.assert_allclose(
        found.series, expected, rtol=1e-6, atol=1e-12
    )  # two Newton solutions
    clusters = pd.factorize(data.index.get_level_values("date"))[0]
    robust = sm.Logit(data["y"], X).fit(
        disp=0, tol=1e-12, cov_type="cluster", cov_kwds={"groups": clusters}
    )
    G, n = found.series.shape[0], len(data)
    factor = np.sqrt(G / (G - 1) * (n - 1) / (n - 3))
    np.testing.assert_allclose(factor * np.sqrt((found.series**2).sum()), robust.bse, rtol=1e-6)
    np.testing.assert_allclose(found.contributions.sum(), result.params, rtol=1e-6)
    assert set(found.doubts.values()) == {""}


def test_influences_of_a_logit_by_asset_with_certain_cells() -> None:
    y, X = random_arrays(11, 90, 3, 1)
    X[0] = 1e3  # its probability is 1 to the last digit
    y = (y > np.median(y)) * 1.0
    y[0] = 1.0
    study = study_of(panel_of(y, X, 1), Regression(estimator="logit"))
    found = influence(study)
    mean = study.fit.coefficients.set_index(["scope", "term"]).loc["mean", "estimate"]
    np.testing.assert_allclose(found.contributions.sum(), mean, rtol=1e-6)
    assert (found.series.sum().abs() < 1e-6 * mean.abs()).all() and np.isfinite(
        found.contributions
    ).all(axis=None)
