"""One regression per asset, date, group, or all: against linearmodels and statsmodels, and the known premia."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.panel import FamaMacBeth, PooledOLS
from oracles import panel_of, positive_part, random_arrays
from scipy import stats

from runner.errors import DataError, EstimationError
from runner.models.regression import Regression
from runner.panels.panel import Panel

REL = 1e-9  # both sides lose a few units in the last place of well-conditioned sums
PREMIA = {  # mean, plain t, Newey-West t with 4 lags; the last week of the file, which is not over, left out
    "const": (0.005108055, 1.2420, 1.1894),
    "mom_1m": (0.020187807, 1.0561, 1.0612),
    "volume_surprise": (0.001699250, 0.4283, 0.5006),
    "volatility": (0.382771206, 1.9129, 1.8620),
    "beta": (-0.005319993, -1.0304, -1.0465),
}
WITH_THE_LAST_WEEK = {
    "const": (0.004985, 1.2145, 1.1650),
    "mom_1m": (0.019682, 1.0318, 1.0367),
    "volume_surprise": (0.001783, 0.4502, 0.5253),
    "volatility": (0.387775, 1.9419, 1.8900),
    "beta": (-0.005146, -0.9984, -1.0154),
}


def ragged(seed: int, T: int = 60, N: int = 14, K: int = 3) -> Panel:
    """A panel with missing cells, late and early listings, correlated within dates and assets."""
    rng = np.random.default_rng(seed)
    X = (
        rng.standard_normal((T, N, K))
        + rng.standard_normal((1, N, K))
        + 0.5 * rng.standard_normal((T, 1, K))
    )
    y = X @ np.arange(1.0, K + 1.0) + rng.standard_normal((1, N)) + rng.standard_normal((T, 1))
    y = y + rng.standard_normal((T, N)) * (1.0 + np.abs(X[:, :, 0]))
    y[rng.random((T, N)) < 0.1] = np.nan
    y[: T // 3, 0] = np.nan
    y[-T // 4 :, 1] = np.nan
    panel = panel_of(y, X)
    sectors = pd.DataFrame({"sector": [f"g{i % 3}" for i in range(N)]}, index=panel.assets)
    return replace(panel, groups=sectors)


def long_of(panel: Panel) -> tuple[pd.Series, pd.DataFrame]:
    """The same rows as linearmodels wants them: indexed by entity and time."""
    t, i = np.nonzero(panel.valid)
    index = pd.MultiIndex.from_arrays([np.array(panel.assets)[i], panel.dates[t]])
    X = pd.DataFrame(panel.X[t, i], index=index, columns=panel.names)
    return pd.Series(panel.y[t, i], index=index, name="y"), sm.add_constant(X)


def every_row(panel: Panel) -> np.ndarray:
    return np.arange(len(panel.dates))


def mean_of(fit) -> pd.DataFrame:
    table = fit.coefficients
    return table[table["scope"] == "mean"].set_index("term")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lags", [0, 1, 4])
def test_fama_macbeth_equals_linearmodels(seed: int, lags: int) -> None:
    panel = ragged(seed)
    ours = mean_of(Regression(by="date", mean_lags=lags).fit(panel, every_row(panel)))
    y, X = long_of(panel)
    how = {"cov_type": "kernel", "bandwidth": lags} if lags else {"cov_type": "robust"}
    theirs = FamaMacBeth(y, X).fit(**how)
    np.testing.assert_allclose(ours["estimate"], theirs.params, rtol=REL)
    dates = len(
        panel.dates
    )  # linearmodels has T / (T - 1) in its kernel covariance, our Newey-West has no factor
    factor = np.sqrt((dates - 1.0) / dates) if lags else 1.0
    np.testing.assert_allclose(ours["std_error"], theirs.std_errors * factor, rtol=REL)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("clusters", [["asset"], ["date"], ["asset", "date"]])
def test_clusters_equal_linearmodels(seed: int, clusters: list[str]) -> None:
    panel = ragged(seed)
    ours = Regression(by=None, cov="cluster", clusters=clusters).fit(panel, every_row(panel))
    y, X = long_of(panel)
    theirs = PooledOLS(y, X).fit(
        cov_type="clustered", cluster_entity="asset" in clusters, cluster_time="date" in clusters,
        group_debias=True, debiased=True,
    )  # fmt: skip
    np.testing.assert_allclose(ours.coefficients["estimate"], theirs.params, rtol=REL)
    np.testing.assert_allclose(ours.coefficients["std_error"], theirs.std_errors, rtol=REL)


@pytest.mark.parametrize(
    "clusters", [["sector", "date"], ["date", "sector"], ["sector", "half"], ["asset", "half"]]
)
def test_crossed_groups_equal_linearmodels(clusters: list[str]) -> None:
    panel = ragged(7)
    panel = replace(
        panel, groups=panel.groups.assign(half=[f"h{i % 4}" for i in range(len(panel.assets))])
    )
    ours = (
        Regression(by=None, cov="cluster", clusters=clusters)
        .fit(panel, every_row(panel))
        .coefficients
    )
    t, i = np.nonzero(panel.valid)
    codes = {"date": t, "asset": i} | {
        g: panel.groups[g].astype("category").cat.codes.to_numpy()[i] for g in panel.groups
    }
    y, X = long_of(panel)
    keys = pd.DataFrame({name: codes[name] for name in clusters}, index=y.index)
    theirs = PooledOLS(y, X).fit(
        cov_type="clustered", clusters=keys, group_debias=True, debiased=True
    )
    np.testing.assert_allclose(
        ours["std_error"], np.sqrt(np.diag(positive_part(theirs.cov))), rtol=REL
    )


@pytest.mark.parametrize("seed", range(5))
def test_one_way_clusters_equal_statsmodels(seed: int) -> None:
    panel = ragged(seed)
    t, i = np.nonzero(panel.valid)
    X = sm.add_constant(panel.X[t, i])
    groups = panel.groups["sector"].astype("category").cat.codes.to_numpy()[i]
    theirs = sm.OLS(panel.y[t, i], X).fit(
        cov_type="cluster", cov_kwds={"groups": groups}, use_t=True
    )
    ours = (
        Regression(by=None, cov="cluster", clusters=["sector"])
        .fit(panel, every_row(panel))
        .coefficients
    )
    np.testing.assert_allclose(ours["std_error"], theirs.bse, rtol=REL)
    np.testing.assert_allclose(
        ours["p_value"], theirs.pvalues, rtol=1e-8
    )  # of t with two degrees of freedom


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lags", [0, 3, 7])
def test_driscoll_kraay_equals_linearmodels(seed: int, lags: int) -> None:
    panel = ragged(seed)
    ours = (
        Regression(by=None, cov="driscoll_kraay", cov_lags=lags)
        .fit(panel, every_row(panel))
        .coefficients
    )
    y, X = long_of(panel)
    theirs = PooledOLS(y, X).fit(
        cov_type="kernel", kernel="bartlett", bandwidth=lags, debiased=True
    )
    np.testing.assert_allclose(ours["std_error"], theirs.std_errors, rtol=REL)


@pytest.mark.parametrize("cov", ["nonrobust", "HC0", "HC1", "HC2", "HC3"])
def test_pooled_and_group_equal_statsmodels(cov: str) -> None:
    panel = ragged(1)
    t, i = np.nonzero(panel.valid)
    pooled = Regression(by=None, cov=cov).fit(panel, every_row(panel)).coefficients
    theirs = sm.OLS(panel.y[t, i], sm.add_constant(panel.X[t, i])).fit(cov_type=cov, use_t=True)
    np.testing.assert_allclose(pooled["std_error"], theirs.bse, rtol=REL)
    assert set(pooled["scope"]) == {"pooled"} and set(pooled["unit"]) == {"all"}
    grouped = Regression(by="sector", cov=cov).fit(panel, every_row(panel)).coefficients
    inside = panel.groups["sector"].to_numpy()[i] == "g1"
    theirs = sm.OLS(panel.y[t, i][inside], sm.add_constant(panel.X[t, i][inside])).fit(
        cov_type=cov, use_t=True
    )
    mine = grouped[(grouped["scope"] == "group") & (grouped["unit"] == "g1")]
    np.testing.assert_allclose(mine["std_error"], theirs.bse, rtol=REL)


def test_each_asset_is_forecast_by_its_unit() -> None:
    panel = ragged(2)
    rows = every_row(panel)
    design = np.concatenate([np.ones((*panel.y.shape, 1)), panel.X], axis=2)
    for by, scope in (("asset", "asset"), ("sector", "group"), (None, "pooled"), ("date", "mean")):
        model = Regression(by=by)
        fit = model.fit(panel, rows)
        table = fit.coefficients[fit.coefficients["scope"] == scope]
        unit = {"asset": panel.assets[4], "group": panel.groups["sector"].iloc[4]}.get(scope, "all")
        b = table[table["unit"] == unit]["estimate"].to_numpy()
        np.testing.assert_allclose(
            model.predict(fit, panel)[:, 4], design[:, 4] @ b, rtol=1e-12, equal_nan=True
        )


@pytest.mark.parametrize(
    "settings", [{}, {"by": "date"}, {"by": "sector"}, {"by": None, "cov": "driscoll_kraay"}]
)
def test_rows_to_come_do_not_move_a_bit_of_the_fit(settings: dict) -> None:
    """Long enough that the halves are summed side by side: the cut may not depend on what is not fitted."""
    whole, rows = ragged(8, T=1100), np.arange(20, 700)
    known = replace(
        whole, dates=whole.dates[:701], y=whole.y[:701], X=whole.X[:701], valid=whole.valid[:701]
    )
    one, two = (Regression(**settings).fit(panel, rows) for panel in (whole, known))
    pd.testing.assert_frame_equal(one.coefficients, two.coefficients, check_exact=True)


def test_dates_with_too_few_assets_are_skipped_with_the_reason() -> None:
    panel = ragged(3)
    panel.valid[5, 4:] = False  # four assets for four terms
    panel.valid[6, 5:] = False  # five, one more than terms
    panel.valid[5:7, :4] = True
    panel.y[5:7, :5] = np.arange(10.0).reshape(2, 5) ** 1.5
    panel.valid[6, 4] = True
    fit = Regression(by="date").fit(panel, every_row(panel))
    reasons = fit.quality["reason"]
    assert reasons.iloc[5] == "4 rows for 4 terms; needs at least 5"
    assert reasons.iloc[6] == ""
    assert (reasons != "").sum() == 1


def test_a_feature_that_is_the_same_for_all_assets_is_refused_by_date() -> None:
    panel = ragged(4)
    panel.X[:, :, 1] = panel.X[:, :1, 1]
    with pytest.raises(
        DataError, match=r"model\.by: date, but x1 is the same for every asset on a date"
    ):
        Regression(by="date").fit(panel, every_row(panel))
    assert Regression(by="date", regressors=["x0", "x2"]).fit(panel, every_row(panel))


def test_what_the_data_has_not_is_named() -> None:
    panel = ragged(5)
    with pytest.raises(
        DataError, match=r"model\.by: 'sektor' is unknown; allowed: .*did you mean 'sector'"
    ):
        Regression(by="sektor").fit(panel, every_row(panel))
    with pytest.raises(DataError, match=r"model\.clusters: 'industry' is unknown"):
        Regression(by=None, cov="cluster", clusters=["industry"]).fit(panel, every_row(panel))


def test_one_cluster_and_too_many_lags_have_a_reason() -> None:
    panel = ragged(6)
    one = Regression(by="sector", cov="cluster", clusters=["sector"])
    with pytest.raises(EstimationError, match="1 cluster; clustered errors need at least 2"):
        one.fit(panel, every_row(panel))
    with pytest.raises(EstimationError, match="cov_lags=60 with 60 dates"):
        Regression(by=None, cov="driscoll_kraay", cov_lags=60).fit(panel, every_row(panel))


@pytest.mark.parametrize(
    "settings",
    [
        {"cov": "HAC", "by": None},
        {"cov": "HAC", "by": "date"},
        {"cov": "cluster", "clusters": ["asset"]},
        {"cov": "driscoll_kraay", "by": "date"},
        {"cov": "cluster", "by": None},
        {"clusters": ["asset"], "by": None},
        {"cov": "cluster", "by": None, "clusters": ["asset", "date", "sector"]},
        {"mean_lags": 3},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict) -> None:
    with pytest.raises(ValueError, match="allowed: "):
        Regression(**settings)


@pytest.mark.parametrize(
    ("partial", "weeks", "premia", "digit"),
    [("drop", 423, PREMIA, 0.5e-9), ("keep", 424, WITH_THE_LAST_WEEK, 0.5e-6)],
)
def test_known_weekly_premia(
    cli, stocks, partial: str, weeks: int, premia: dict, digit: float
) -> None:
    for column, lags in ((1, 0), (2, 4)):
        words = [
            "experiment=weekly_premia",
            "data=file",
            f"data.path={stocks}",
            f"target.partial={partial}",
            "report=tables",
            "audit=off",
        ]
        run = cli(*words, f"model.mean_lags={lags}")
        assert run.code == 0, run.err
        said = (
            "1 week dropped: the last one is not over, the data end on Wednesday 2025-05-14"
            in run.out
        )
        assert said == (partial == "drop")
        assert "weekly, 52 rows a year (data: daily, 252 rows a year)" in run.out
        table = run.table("coefficients")
        mean = table[table["scope"] == "mean"].set_index("term")
        assert table[table["scope"] == "date"]["unit"].nunique() == weeks
        for term, answers in premia.items():
            assert mean.loc[term, "estimate"] == pytest.approx(answers[0], abs=digit)
            assert mean.loc[term, "t_stat"] == pytest.approx(answers[column], abs=0.5e-4)


def test_the_mean_of_overlapping_targets_takes_cosines() -> None:
    """Each cosine's projection is one draw of the long-run standard deviation: their mean square, with t(cosines)."""
    y, X = random_arrays(3, 120, 15, 2)
    panel = panel_of(y, X, horizon=5)
    fit = Regression(by="date").fit(panel, np.arange(120))
    path = fit.coefficients.query("scope == 'date'")["estimate"].to_numpy().reshape(120, 3)
    B = 9  # the lesser of .4 120^(2/3) = 9.7 and 120 / 10
    total = np.zeros(3)
    for j in range(1, B + 1):
        wave = [np.sqrt(2 / 120) * np.cos(np.pi * j * (t + 0.5) / 120) for t in range(120)]
        total += sum(w * (row - path.mean(axis=0)) for w, row in zip(wave, path, strict=True)) ** 2
    mean = fit.coefficients.query("scope == 'mean'")
    np.testing.assert_allclose(mean["std_error"], np.sqrt(total / B / 120), rtol=1e-10)
    np.testing.assert_allclose(mean["p_value"], 2 * stats.t.sf(abs(mean["t_stat"]), B), rtol=1e-10)
    assert "equal-weighted cosines over dates, 9 of them, t(9)" in fit.errors
    given = Regression(by="date", mean_lags=4).fit(panel, np.arange(120))
    assert "Newey-West over dates, 4 lags" in given.errors


def test_as_many_lags_as_dates_is_refused() -> None:
    y, X = random_arrays(4, 30, 15, 2)
    with pytest.raises(
        DataError, match=r"model\.mean_lags: 30 given with 30 dates; allowed: less than the dates"
    ):
        Regression(by="date", mean_lags=30).fit(panel_of(y, X), np.arange(30))
