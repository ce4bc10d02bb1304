"""Dummies of groups, which are no columns of the panel, against the same columns among its features."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracles import close, panel_of, punch_holes, random_arrays

from runner.errors import DataError
from runner.estimators.penalised import reductions
from runner.models.regression import Regression
from runner.models.study import Study
from runner.panels import segments as shared
from runner.panels.numbers import cube
from runner.panels.panel import Panel
from runner.trials.influence import influence
from runner.validation.folds import shared_by
from runner.validation.splitters import WalkForward

pytestmark = pytest.mark.usefixtures("summed_by")
T, N = 120, 12
REL = 1e-10  # the same sums in another order, of well-scaled columns
LEVELS = ["sector:a", "sector:b", "sector:c", "size:big", "size:small"]
OLS = LEVELS[1:3] + LEVELS[4:]  # the first of each group is left to the constant


def panels(binary: bool = False) -> tuple[Panel, Panel]:
    """A panel with two groups, ragged and with missing cells; and the same with the dummies among its features."""
    y, X = random_arrays(7, T, N, 3)
    groups = pd.DataFrame({"sector": list("abc") * 4, "size": ["big"] * 5 + ["small"] * 7})
    y += groups["sector"].eq("b").to_numpy() * 2.0
    if binary:
        y = np.where(np.isfinite(y), y > np.median(y), np.nan).astype(float)
    punch_holes(np.random.default_rng(3), y, X, 0.1, ragged=True)
    made = panel_of(y, X)
    groups.index = pd.Index(made.assets)
    member = pd.DataFrame(
        {name: groups[name.split(":")[0]] == name.split(":")[1] for name in LEVELS}
    ).to_numpy(float)
    wide = np.concatenate([X, np.broadcast_to(member, (T, N, len(LEVELS)))], axis=2)
    return replace(made, groups=groups), replace(
        made, X=wide, names=[*made.names, *LEVELS], groups=groups
    )


SETTINGS: list[dict[str, Any]] = [
    {},
    {"cov": "HC0"},
    {"cov": "HC3"},
    {"cov": "cluster", "clusters": ["asset", "date"]},
    {"cov": "cluster", "clusters": ["sector"]},
    {"cov": "driscoll_kraay", "cov_lags": 4},
    {"weights": "inverse_variance"},
    {"constant": False, "dummies": ["sector"]},
    {"estimator": "logit"},
    {"estimator": "logit", "cov": "HC0"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("together", [False, True])
def test_dummies_are_as_columns_of_the_panel(settings: dict[str, Any], together: bool) -> None:
    given, wide = panels(binary=settings.get("estimator") == "logit")
    rows = np.arange(10, 110)
    if together:
        folds = WalkForward(first=10, test=10).split(given.dates, 0)
        given = replace(given, shared=shared_by(folds, given))
    model = Regression(by=None, **({"dummies": ["sector", "size"]} | settings))
    names = OLS if model.constant else LEVELS[:3]
    columns = replace(model, dummies=[], regressors=["x0", "x1", "x2", *names])
    ours, theirs = model.fit(given, rows), columns.fit(wide, rows)
    assert ours.coefficients["term"].tolist() == [
        *["const"] * model.constant,
        "x0",
        "x1",
        "x2",
        *names,
    ]
    rel = REL if model.estimator == "ols" else 1e-8  # where Newton's steps end
    for name in ("estimate", "std_error"):
        close(ours.coefficients[name], theirs.coefficients[name], name, rel=rel)
    close(model.predict(ours, given), columns.predict(theirs, wide), "forecasts", rel=rel)
    close(model.fit_to_forecast(given, rows).params, ours.params, "estimates alone", rel=rel)


@pytest.mark.parametrize(
    "settings",
    [{"estimator": "ridge"}, {"estimator": "lasso"}, {"estimator": "elastic_net"}],
    ids=str,
)
@pytest.mark.parametrize("penalty", [None, 0.03])
def test_penalised_dummies_have_every_level(
    settings: dict[str, Any], penalty: float | None
) -> None:
    given, wide = panels()
    model = Regression(
        by=None, dummies=["sector", "size"], penalty=penalty, penalties=12, **settings
    )
    columns = replace(model, dummies=[], regressors=["x0", "x1", "x2", *LEVELS])
    ours, theirs = (one.fit(of, np.arange(T)) for one, of in ((model, given), (columns, wide)))
    assert ours.coefficients["term"].tolist() == ["const", "x0", "x1", "x2", *LEVELS]
    if model.estimator != "lasso":  # which has many of the same least value
        close(ours.coefficients["estimate"], theirs.coefficients["estimate"], "estimates", rel=1e-7)
    close(model.predict(ours, given), columns.predict(theirs, wide), "forecasts", rel=1e-8)


@pytest.mark.parametrize("estimator", ["ols", "ridge"])
@pytest.mark.parametrize("most", [shared.MOST_NUMBERS, 1500, 10])
def test_folds_share_dummies_and_without_room_do_not(
    estimator: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "MOST_NUMBERS", most)
    monkeypatch.setattr(reductions, "MOST_NUMBERS", most)
    given, wide = panels()
    folds = WalkForward(first=40, test=10, window=30).split(given.dates, 0)
    together = replace(given, shared=shared_by(folds, given))
    settings: dict[str, Any] = {
        "estimator": estimator,
        "penalty": 2.0 if estimator == "ridge" else None,
    }
    for chosen in (None, ["x2", "x0"]):
        model = Regression(by=None, dummies=["size"], regressors=chosen, **settings)
        own = LEVELS[3:] if estimator == "ridge" else LEVELS[4:]
        columns = replace(model, dummies=[], regressors=[*(chosen or ["x0", "x1", "x2"]), *own])
        for fold in folds:
            ours = model.fit_to_forecast(together, fold.train).params
            close(ours, columns.fit_to_forecast(wide, fold.train).params, "estimates", rel=REL)
    kept = together.shared is not None and len(together.shared.store) > 0
    assert kept == (most > 1500)


def test_influence_of_dummies_sums_to_nothing_and_is_that_of_columns() -> None:
    given, wide = panels()
    model = Regression(by=None, dummies=["sector"]).on(given)
    found = []
    for one in (given, wide):
        fit = model.fit(one, np.arange(T))
        study = Study(None, one, model, fit, [], pd.DataFrame(), {})  # type: ignore[arg-type]
        found.append(influence(study).series)
    assert found[0] is not None and found[1] is not None
    close(found[0], found[1], "influence", rel=1e-9)
    assert np.abs(found[0].sum()).max() < 1e-9


def test_the_panel_is_read_once_for_assets_groups_and_dummies_and_once_for_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given, _ = panels()
    folds = WalkForward(first=40, test=20).split(given.dates, 0)
    together = replace(given, shared=shared_by(folds, given))
    models: list[dict[str, Any]] = [
        {"by": "asset"},
        {"by": "sector"},
        {"by": None},
        {"by": None, "dummies": ["sector"]},
    ]
    alone = [Regression(**own).fit(given, fold.train).params for own in models for fold in folds]
    read, real = [], cube.moments
    monkeypatch.setattr(
        cube, "moments", lambda X, *more, **keys: read.append(len(X)) or real(X, *more, **keys)
    )
    shared_fits = [
        Regression(**own).fit(together, fold.train).params for own in models for fold in folds
    ]
    for a, b in zip(shared_fits, alone, strict=True):
        close(a, b, "estimates", rel=REL)
    assert sum(read) == 2 * T  # all in one are summed by date, which is quicker than by asset


def test_a_group_that_the_data_has_not_is_refused() -> None:
    given, _ = panels()
    with pytest.raises(DataError, match=r"model\.dummies: 'secto'.*sector"):
        Regression(by=None, dummies=["secto"]).fit(given, np.arange(T))
