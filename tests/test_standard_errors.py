"""Every covariance is one entry: names, conflicts, lags, advice and words follow from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from linearmodels.panel import PooledOLS
from oracles import panel_of

import runner
from runner.analyses.estimates.by_asset import lags_of
from runner.errors import SpecError, UnknownNameError
from runner.estimators.clusters import positive
from runner.estimators.settings import RegressionSettings
from runner.estimators.standard_errors import (
    ERRORS,
    OTHER_NAMES,
    Covariance,
    Errors,
    OwnCovariance,
    check_errors,
    own,
    where,
)
from runner.experiment.advice import advice, allowed
from runner.models.regression import Regression
from runner.numerics.least_squares import Solution
from runner.schema.misfits import misfits

ROWS = 60
REL = 1e-9


def panel(seed: int = 0, N: int = 3, T: int = ROWS):
    rng = np.random.default_rng(seed)
    return panel_of(rng.standard_normal((T, N)), rng.standard_normal((T, N, 2)))


def hc4(fit: Solution, lags: int) -> np.ndarray:
    """Cribari-Neto (2004): u^2 / (1 - h)^d, d the lesser of 4 and n h / k."""
    power = np.minimum(4.0, fit.n * fit.leverage / len(fit.b))
    scores = fit.X * (fit.u / (1.0 - fit.leverage) ** (power / 2.0))[:, None]
    return fit.bread @ scores.T @ scores @ fit.bread


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> str:
    entry = Errors(
        "allow for unequal variances and high leverage", by=("asset", "date"), across="HC3", of=hc4
    )
    monkeypatch.setitem(
        ERRORS, "HC4", replace(entry, convention="{name} (Cribari-Neto 2004)", serial=True)
    )
    return "HC4"


def test_an_entry_of_the_table_is_all_that_a_new_covariance_takes(added: str) -> None:
    fit = Regression(cov=added).fit(panel(), np.arange(ROWS))
    plain = Regression(cov="HC0").fit(panel(), np.arange(ROWS))
    data = panel()
    for i in range(3):
        X = np.column_stack([np.ones(ROWS), data.X[:, i]])
        inverse = np.linalg.inv(X.T @ X)
        u = data.y[:, i] - X @ inverse @ X.T @ data.y[:, i]
        h = np.einsum("nk,kl,nl->n", X, inverse, X)
        w = u**2 / (1.0 - h) ** np.minimum(4.0, ROWS * h / 3)
        V = inverse @ (X.T * w) @ X @ inverse
        ours = fit.coefficients[fit.coefficients["unit"] == f"A{i}"]["std_error"]
        np.testing.assert_allclose(ours, np.sqrt(np.diag(V)), rtol=REL)
    assert not np.allclose(fit.coefficients["std_error"], plain.coefficients["std_error"])
    assert set(fit.quality["cov"]) == {added}
    assert fit.errors.startswith("HC4 (Cribari-Neto 2004), t(n-k)")
    assert allowed(added) == "HC4 standard errors allow for unequal variances and high leverage"
    assert (
        advice("serial correlation", added)
        == "the HC4 standard errors allow for it, up to their lags"
    )
    assert list(misfits(added, Covariance, "model.cov")) == []
    assert own(added) is hc4 and list(misfits(added, OwnCovariance, "cov")) == []


def test_a_new_covariance_is_refused_where_it_is_not_made(added: str) -> None:
    with pytest.raises(
        ValueError,
        match=r"cov: HC4 given with by=null; allowed: model.by=asset or model.by=date, or one of",
    ):
        Regression(cov=added, by=None)
    with pytest.raises(
        ValueError, match=r"cov: HC4 given with estimator=logit; allowed: nonrobust, HC0, HAC"
    ):
        Regression(cov=added, estimator="logit")
    with pytest.raises(
        ValueError, match=r"cov_lags: 3 given with cov=HC4; allowed: with cov=HAC, driscoll"
    ):
        Regression(cov=added, cov_lags=3)
    with pytest.raises(
        ValueError, match=r"cov: HAC given with by=date; allowed: model.by=asset, or one of .*HC4"
    ):
        Regression(cov="HAC", by="date")


@pytest.mark.parametrize("by", ["asset", "date", None, "sector"])
def test_an_unknown_covariance_never_runs_as_another(by: str | None) -> None:
    with pytest.raises(ValueError, match="cov: 'HC9' is unknown; allowed: nonrobust, HC0"):
        Regression(cov="HC9", by=by)
    assert "'HC9' is unknown" in next(iter(misfits("HC9", Covariance, "model.cov")))
    with pytest.raises(UnknownNameError, match="'cluster' is unknown"):
        own("cluster")


@pytest.mark.parametrize("name", list(ERRORS))
def test_every_entry_is_made_where_it_says_and_has_its_words(name: str) -> None:
    errors = ERRORS[name]
    clusters = ["asset"] if errors.clustered else []
    for kind, by in (("asset", "asset"), ("date", "date"), ("pooled", None)):
        if kind not in errors.by:
            continue
        data = panel(N=8, T=20) if kind == "date" else panel()
        fit = Regression(cov=name, by=by, clusters=clusters).fit(data, np.arange(len(data.dates)))
        assert (fit.coefficients["std_error"] > 0.0).all() and set(fit.quality["cov"]) == {name}
        lags = fit.quality["cov_lags"].notna()
        said_lags = ""
        if errors.lagged:
            said_lags = f"{int(fit.quality['cov_lags'].iloc[0])} lags"  # the same in every unit
        assert fit.errors.startswith(errors.words(name, said_lags, clusters, logit=False))
        assert lags.all() if errors.lagged else not lags.any()
    assert allowed(name) and errors.across in ERRORS


def test_every_entry_is_in_the_comment_of_the_spec_and_in_the_docstring() -> None:
    comment = (Path(__file__).parent.parent / "conf" / "model" / "ols.yaml").read_text()
    for name in ERRORS:
        assert name in comment
        assert name in str(RegressionSettings.__doc__) or name in ("HC1", "HC2"), "HC0 to HC3"


def test_lags_of_a_test_follow_the_entry() -> None:
    from runner.analyses.estimates.by_asset import Asset

    none = np.zeros((ROWS, 1))
    asset = Asset("A0", np.arange(ROWS), none, none[:, 0], none[:, 0])
    assert {name: lags_of(asset, name) > 0 for name in where(lambda one: one.of is not None)} == {
        "nonrobust": False,
        "HC0": False,
        "HC1": False,
        "HC2": False,
        "HC3": False,
        "HAC": True,
    }


def indefinite() -> tuple[object, pd.Series, pd.DataFrame, pd.DataFrame]:
    """A panel of few assets and dates whose two-way covariance has a negative eigenvalue, as linearmodels has it."""
    for seed in range(400):
        data = panel(seed, N=4, T=5)
        cells = pd.MultiIndex.from_product([data.assets, data.dates])
        y = pd.Series(data.y.T.ravel(), cells, name="y")
        X = pd.DataFrame(data.X.swapaxes(0, 1).reshape(-1, 2), cells, columns=data.names)
        X.insert(0, "const", 1.0)
        keys = pd.DataFrame(
            {"a": np.repeat(np.arange(4), 5), "d": np.tile(np.arange(5), 4)}, index=cells
        )
        theirs = PooledOLS(y, X).fit(
            cov_type="clustered", clusters=keys, group_debias=True, debiased=True
        )
        if np.linalg.eigvalsh(theirs.cov)[0] < -1e-6:
            return data, theirs.params, theirs.cov, keys
    raise AssertionError("no panel with a negative eigenvalue")


def test_negative_eigenvalues_of_two_ways_are_set_to_zero_and_said() -> None:
    data, b, V, _ = indefinite()
    values, vectors = np.linalg.eigh(V)
    adjusted = vectors @ np.diag(np.maximum(values, 0.0)) @ vectors.T
    model = Regression(
        by=None, cov="cluster", clusters=["asset", "date"], hypotheses=["const = 0, x0 = 0, x1 = 0"]
    )
    fit = model.fit(data, np.arange(5))
    np.testing.assert_allclose(fit.coefficients["estimate"], b, rtol=REL)
    np.testing.assert_allclose(fit.coefficients["std_error"], np.sqrt(np.diag(adjusted)), rtol=REL)
    rank = int((values > 0.0).sum())
    assert (
        f"set to zero (Cameron, Gelbach and Miller 2011), which leaves rank {rank} of 3"
        in fit.errors
    )
    [test] = fit.hypotheses.to_dict("records")
    assert np.isnan(test["f_stat"]) and np.isnan(test["p_value"])
    assert (
        test["reason"]
        == f"3 restrictions beside a covariance of rank {rank}, its negative eigenvalues set to zero"
    )
    f = fit.quality["f_stat"].iloc[0]
    if rank == 2:
        slopes = adjusted[1:, 1:]
        np.testing.assert_allclose(
            f, b.to_numpy()[1:] @ np.linalg.solve(slopes, b.to_numpy()[1:]) / 2.0, rtol=1e-6
        )
    else:
        assert np.isnan(f)


def test_two_ways_without_a_negative_eigenvalue_are_left_to_the_last_bit() -> None:
    V = np.array([[2.0, 0.3], [0.3, 1.0]])
    assert positive(V)[0] is V and positive(V)[1] == 0
    made, zeroed = positive(np.diag([1.0, -0.1, 0.5]))
    np.testing.assert_allclose(made, np.diag([1.0, 0.0, 0.5]), atol=1e-16)
    assert zeroed == 1
    assert positive(np.outer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]))[1] == 0, (
        "rounding alone is not counted"
    )


def test_a_logit_by_two_ways_is_adjusted_likewise() -> None:
    from runner.estimators.logit import covariance, maximise

    rng = np.random.default_rng(3)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        X = np.column_stack([np.ones(60), rng.standard_normal((60, 2))])
        y = (rng.standard_normal(60) + X[:, 1] > 0.0).astype(float)
        one = maximise(X, y, ["const", "a", "b"], True)
        keys = [np.repeat(np.arange(4), 15), np.tile(np.arange(3), 20)]
        V = one.back @ ERRORS["cluster"].of_logit(one, 0, keys) @ one.back.T
        values, vectors = np.linalg.eigh(V)
        if values[0] < -1e-6:
            break
    made = covariance(one, "cluster", keys, 0)
    np.testing.assert_allclose(
        made.V, vectors @ np.diag(values.clip(0.0)) @ vectors.T, rtol=1e-9, atol=1e-12
    )
    assert made.zeroed == int((values < 0.0).sum()) > 0


@pytest.mark.parametrize("name", ["twoway", "two-way", "double", "Two_Way"])
def test_two_ways_of_clustering_lead_to_their_settings(name: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        check_errors(name)
    line, _, mend = str(caught.value).rpartition("two ways of clustering are ")
    assert line.startswith(f"{name!r} is unknown; allowed: ")
    assert mend == "model=pooled model.cov=cluster model.clusters=[asset,date]"


@pytest.mark.parametrize("name", ["newey-west", "NW", "White", "OLS", "clustered"])
def test_a_name_of_the_literature_leads_to_ours(name: str) -> None:
    with pytest.raises(
        UnknownNameError, match=f"it is '{OTHER_NAMES[name.casefold().replace('-', '_')]}' here"
    ):
        check_errors(name)
    assert set(OTHER_NAMES.values()) <= set(ERRORS)


def test_unknown_errors_beside_clusters_are_one_mistake() -> None:
    with pytest.raises(SpecError) as caught:
        runner.compose("model=pooled", "model.cov=two-way")
    [line] = caught.value.mistakes
    assert line.startswith("model.cov: 'two-way' is unknown")
