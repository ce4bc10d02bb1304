"""What p-values rest on: which errors and which rows support a verdict, the bias of persistent regressors, power."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import pytest
from null_arrays import regressed
from null_sweeps import (
    FAMILIES,
    SMALL,
    Family,
    drawn,
    jobs_of,
    level_and_power,
    panel_of_signals,
    swept,
    through_arrays,
    through_the_fits,
)
from oracles import panel_of, random_arrays
from scipy.stats import binom

from runner.models.fit import headline
from runner.models.regression import Regression
from runner.panels.panel import Panel
from runner.trials.influence import influence_of
from runner.trials.premises import (
    BIAS,
    FEW,
    FEW_CLUSTERS,
    INDEPENDENT,
    OVERLAP,
    doubts,
    power,
    sentences_of,
    series_of,
)
from runner.trials.trial import Bar

RARE = 1e-4  # chance with which a quick test fails where level and power are what they should be
SAME = 1e-9  # relative; arrays and fits solve the same equations by other operations
LEVEL, POWER = 0.08, 0.8  # of a thousand sweeps; one standard error of a share of 5 % is .7 %


def doubt(panel: Panel, **settings: Any) -> str:
    model = Regression(**settings)
    fit = model.fit(panel, np.arange(len(panel.dates)))
    return influence_of(panel, model, fit).doubts["x0"]


def panel(horizon: int, common: bool, N: int = 4, T: int = 900) -> Panel:
    y, X = random_arrays(3, T, N, 1)
    X = np.repeat(X[:, :1], N, axis=1) if common else X
    groups = pd.DataFrame({"sector": (list("aabb") * N)[:N]}, index=[f"A{i}" for i in range(N)])
    return replace(panel_of(y, X, horizon), groups=groups)


BY_DATE, BY_ASSET = (
    {"cov": "cluster", "clusters": ["date"]},
    {"cov": "cluster", "clusters": ["asset"]},
)
BOTH = {"cov": "cluster", "clusters": ["asset", "date"]}
ERRORS = [
    (1, False, {"by": None}, INDEPENDENT, "model.cov=cluster model.clusters=[date]"),
    (1, False, {"by": None, "cov": "HC3"}, INDEPENDENT, "model.cov=cluster model.clusters=[date]"),
    (
        1,
        False,
        {"by": "sector", "cov": "HC1"},
        INDEPENDENT,
        "model.cov=cluster model.clusters=[date]",
    ),
    (5, False, {"by": None}, INDEPENDENT, "model.cov=driscoll_kraay"),
    (1, True, {"by": None, **BY_ASSET}, INDEPENDENT, "model.cov=cluster model.clusters=[date]"),
    (1, True, {"by": None, **BY_DATE}, "", ""),
    (5, False, {"by": None, **BY_DATE}, OVERLAP, "model.cov=driscoll_kraay model.clusters=[]"),
    (5, False, {"by": None, "cov": "driscoll_kraay"}, "", ""),
    (
        5,
        False,
        {"by": None, "cov": "driscoll_kraay", "cov_lags": 3},
        OVERLAP,
        "model.cov_lags=null",
    ),
    (5, False, {"by": "date"}, "", ""),
    (5, False, {"by": "date", "mean_lags": 3}, OVERLAP, "model.mean_lags=null"),
    (1, True, {"by": "asset"}, "", ""),
]


@pytest.mark.parametrize(("horizon", "common", "settings", "kind", "mend"), ERRORS)
def test_errors_that_take_as_independent_what_is_not(
    horizon: int, common: bool, settings: dict[str, Any], kind: str, mend: str
) -> None:
    assert doubt(panel(horizon, common), **settings) == (f"{kind}; use {mend}" if kind else "")


DRISCOLL_KRAAY = "use model.cov=driscoll_kraay model.clusters=[]"


@pytest.mark.parametrize(
    ("horizon", "settings", "few"),
    [
        (1, {"by": None, **BY_ASSET}, f"4 assets; {DRISCOLL_KRAAY}"),
        (5, {"by": None, **BOTH}, f"4 assets; {DRISCOLL_KRAAY}"),
        (
            1,
            {"by": None, "cov": "cluster", "clusters": ["sector", "date"]},
            f"2 clusters by sector; {DRISCOLL_KRAAY}",
        ),
        (1, {"by": "sector", **BY_ASSET}, ""),  # a mean over groups is judged by its dates
    ],
)
def test_p_values_of_few_clusters_have_no_verdict(
    horizon: int, settings: dict[str, Any], few: str
) -> None:
    reason = doubt(panel(horizon, False), **settings)
    assert reason == (f"{FEW_CLUSTERS} ({few})" if few else "")
    if few:
        [sentence] = sentences_of([reason], 1)
        assert (
            sentence == f"No verdict for 1 of 1 test: their p-values rest on few clusters ({few})."
        )


def test_thirty_clusters_are_enough() -> None:
    assert doubt(panel(1, False, N=30), by=None, **BY_ASSET) == ""
    assert doubt(panel(1, False, N=29), by=None, **BY_ASSET).startswith(FEW_CLUSTERS)
    few_dates = doubt(panel(1, False, N=4, T=29), by=None, **BY_DATE)
    assert few_dates == f"{FEW_CLUSTERS} (29 dates; more of them would help)"


def test_one_asset_has_no_others_but_may_overlap() -> None:
    assert doubt(panel(1, True, N=1), by=None) == doubt(panel(1, True, N=1), by="asset") == ""
    assert doubt(panel(5, True, N=1), by="asset") == f"{OVERLAP}; use model.cov=HAC"
    assert doubt(panel(5, True, N=1), by="asset", cov="HAC") == ""
    short = doubt(panel(5, True, N=1), by="asset", cov="HAC", cov_lags=2)
    assert short == f"{OVERLAP}; use model.cov=HAC model.cov_lags=null"


def test_the_bias_of_stambaugh_is_that_of_a_simulation() -> None:
    """b of y_{t+h} sums on an AR(1) whose innovations move against the residuals; bias over 2,000 samples."""
    rng = np.random.default_rng(0)
    for T, rho, h in ((200, 0.9, 1), (400, 0.95, 5)):
        v = rng.normal(size=(T + h + 300, 2000))
        e = -0.8 * v + 0.6 * rng.normal(size=v.shape)
        x = np.zeros_like(v)
        for t in range(1, len(v)):
            x[t] = rho * x[t - 1] + v[t]
        x, e = x[300:], e[300:]
        y = sum(e[j : len(e) - h + j] for j in range(1, h + 1))
        x = x[: len(y)]
        about = x - x.mean(axis=0)
        b = (about * y).sum(axis=0) / (about**2).sum(axis=0)
        u = y - y.mean(axis=0) - b * about
        a = about / (about**2).sum(axis=0)
        found = [
            series_of(a[:, j, None, None], u[:, j, None], np.ones((len(y), 1), bool), h)
            for j in range(400)
        ]
        estimated = np.mean([one.bias[0] for one in found])
        assert estimated == pytest.approx(
            b.mean(), rel=0.25
        )  # of first order in 1 / T, from estimated moments
        assert np.mean([one.persistence[0] for one in found]) == pytest.approx(rho, abs=0.02)


def test_the_bias_of_flat_and_holed_series_is_a_number() -> None:
    use = np.ones((50, 3), dtype=bool)
    use[::2, 1] = False
    a = np.random.default_rng(0).normal(size=(50, 3, 2))
    a[:, 0, 0] = 0.25
    for horizon in (0, 1, 21, 60):
        found = series_of(a, a[:, :, 1], use, horizon)
        assert np.isfinite(found.bias).all() and np.isfinite(found.persistence).all()
    assert np.isfinite(series_of(a[:2], a[:2, :, 1], use[:2], 1).bias).all()


def test_power_falls_with_few_rows_and_with_few_dates_that_count() -> None:
    even = np.full((2000, 1), 1 / 2000)
    assert power(even, 1999, 1)[0] > 0.95 and power(even, 59, 21)[0] > 0.9
    assert power(even[:100] * 20, 2, 21)[0] < 0.3
    uneven = np.zeros((2000, 1))
    uneven[:10] = 0.1
    assert power(uneven, 1999, 1)[0] < 0.05 and power(even, 0, 1)[0] == 0.0


def test_persistent_overlaps_on_few_dates_are_too_few_rows() -> None:
    family = FAMILIES["one asset, horizon 21, HAC, 500 dates"]
    found = swept(family, 1)
    assert found.tests["reason"].str.startswith(FEW).mean() > 0.7
    assert "too few independent rows (for instance 500 dates, horizon 21, " in found.sentence


def test_own_momentum_by_asset_is_biased() -> None:
    found = swept(FAMILIES["by asset, own momentum"], 0)
    assert found.tests["reason"].str.startswith(BIAS).mean() > 0.7


def test_a_thousand_rows_of_one_family_are_as_drawn() -> None:
    family = Family(Regression(by="date"), T=40, N=5, horizon=3, signal="own")
    y, X = drawn(family, 0, 0.0)
    moved, again = drawn(family, 0, 0.5)
    np.testing.assert_array_equal(X, again)
    np.testing.assert_allclose(moved - y, 0.5 * X[:, :, 0], atol=1e-12)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if not family.withheld])
def test_arrays_give_what_the_fits_give(name: str) -> None:
    """Estimates, errors, p-values, contributions and doubts of a family; the counts of a null and a planted sweep."""
    family = replace(FAMILIES[name], signals=3)
    y, X = drawn(family, 0, 0.0)
    fits = regressed(family.model, y, X, family.horizon)
    every = np.ones(family.T, dtype=bool)
    reasons = doubts(
        panel_of_signals(family, y, X), family.model, fits.estimates(), fits.dates, every
    )
    for k, job in enumerate(jobs_of(family, y, X)):
        row = headline(job.coefficients).set_index("term").loc[job.name]
        by_arrays = [fits.estimate[k], fits.std_error[k], fits.p_value[k]]
        by_fit = row[["estimate", "std_error", "p_value"]].to_numpy(dtype=float)
        np.testing.assert_allclose(by_arrays, by_fit, rtol=SAME)
        contributions = job.contributions[job.name].to_numpy()
        size = np.abs(contributions).max()
        np.testing.assert_allclose(
            fits.contributions[:, k], contributions, rtol=0, atol=SAME * size
        )
        assert reasons[job.name] == job.doubts[job.name]
    for seed, slope in ((1, 0.0), (2, 6.0 * fits.std_error[0])):
        fast, slow = through_arrays(family, seed, slope), through_the_fits(family, seed, slope)
        assert fast.estimate == pytest.approx(slow.estimate, rel=SAME)
        assert fast._replace(estimate=0.0) == slow._replace(estimate=0.0)


def test_the_installed_table_of_families_has_each() -> None:
    text = files("runner").joinpath("docs/verdict.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    level = {row[0]: row[1] for row in rows if len(row) == 5}
    for name, family in FAMILIES.items():
        assert level[name].startswith(f"withheld: {family.withheld}") == bool(family.withheld), name


@pytest.mark.parametrize("name", SMALL)
def test_few_worthless_sweeps_have_a_survivor_and_planted_signals_survive(name: str) -> None:
    """Forty worthless sweeps of three jobs and ten with a true t of 5: what chance explains once in 10,000 times."""
    null, planted = level_and_power(SMALL[name], 40, 10)
    assert planted is not None and max(null.withheld, planted.withheld) < 0.1
    assert null.survivor * null.sweeps <= binom.isf(RARE, null.sweeps, Bar().level)
    assert planted.first * planted.sweeps >= binom.ppf(RARE, planted.sweeps, POWER)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_level_and_power(name: str) -> None:
    """1,000 worthless sweeps of twenty jobs and 200 with one planted signal; of families without a verdict twenty.

    Figures with -s -n 0.
    """
    family = FAMILIES[name]
    null, planted = level_and_power(family, 1000, 200, workers=2)
    print(f"\n{name}: null {null}; planted {planted}")
    if planted is None:
        assert (
            null.survivor == 0.0 and null.withheld > 0.5 and null.reason.startswith(family.withheld)
        )
    else:
        assert null.survivor <= LEVEL and null.bh <= LEVEL and planted.first >= POWER
