"""Boosted trees: LightGBM called directly is the oracle, to the last bit."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import pytest
from conftest import ROOT
from oracles import panel_of, punch_holes, random_arrays
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.metrics import r2_score

from runner.errors import DataError, EstimationError
from runner.models.boosting import INSTALL, Boosting
from runner.models.fit import COEFFICIENTS, DIAGNOSTICS, QUALITY
from runner.panels.panel import Panel
from runner.sinks.drawings import DRAWINGS

REL = 1e-10  # sums of some hundred float64 in another order
SINGLE = 1e-5  # relative: the target is held in single precision, sums of some hundred of them
SETTINGS = {
    "rounds": 15,
    "leaves": 7,
    "min_rows": 5,
    "row_share": 0.8,
    "column_share": 0.7,
    "seed": 3,
}
NAMED = {  # the same in LightGBM's words; four threads, which may not matter
    "objective": "regression",
    "num_iterations": 15,
    "learning_rate": 0.1,
    "num_leaves": 7,
    "min_data_in_leaf": 5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.7,
    "seed": 3,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 4,
    "verbosity": -1,
}
SIMULATED = (
    "experiment=none",
    "data=simulated",
    "data.assets=4",
    "data.rows=300",
    "features=premia",
    "model=boosting",
)


def bent_panel(T: int = 120, N: int = 4, scale: float = 1.0) -> Panel:
    """A target that is a step of one feature and the product of two others, with holes and ragged listings."""
    y, X = random_arrays(2, T, N, 3)
    y = 0.2 * y + np.where(X[:, :, 0] > 0, 2.0, -1.0) + X[:, :, 1] * X[:, :, 2]
    punch_holes(np.random.default_rng(2), y, X, 0.05, ragged=True)
    return panel_of(y * scale, X)


def grown_directly(panel: Panel, rows: np.ndarray, assets: list[int]) -> np.ndarray:
    """Predictions (T, N) of LightGBM itself, of these assets."""
    use = np.zeros_like(panel.valid)
    use[np.ix_(rows, assets)] = panel.valid[np.ix_(rows, assets)]
    booster = lightgbm.train(NAMED, lightgbm.Dataset(panel.X[use], panel.y[use]))
    values = np.full(panel.y.shape, np.nan)
    known = np.isfinite(panel.X).all(axis=2)
    known[:, [i for i in range(panel.y.shape[1]) if i not in assets]] = False
    values[known] = booster.predict(panel.X[known])
    return values


@pytest.mark.parametrize("by", [None, "asset", "sector"])
def test_predictions_are_those_of_lightgbm(by: str | None) -> None:
    panel, rows = bent_panel(), np.arange(10, 100)
    panel.groups["sector"] = ["one", "two", "one", "two"]
    model = Boosting(by=by, **SETTINGS)
    values = model.predict(model.fit(panel, rows), panel)
    members = {None: [[0, 1, 2, 3]], "asset": [[0], [1], [2], [3]], "sector": [[0, 2], [1, 3]]}[by]
    for assets in members:
        expected = grown_directly(panel, rows, assets)
        np.testing.assert_array_equal(values[:, assets], expected[:, assets])


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    panel, rows = bent_panel(), np.arange(120)
    one, again, other = (
        model.predict(model.fit(panel, rows), panel)
        for model in (
            Boosting(**SETTINGS),
            Boosting(**SETTINGS),
            Boosting(**{**SETTINGS, "seed": 4}),
        )
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other)[np.isfinite(one)].any()


@pytest.mark.parametrize("scale", [2.0**-600, 1e-30, 1e-4, 1e30, 1e200])
def test_the_forecast_has_the_scale_of_the_target(scale: float) -> None:
    rows, model = np.arange(120), Boosting(**SETTINGS)
    plain, scaled = (
        model.predict(model.fit(p, rows), p) for p in (bent_panel(), bent_panel(scale=scale))
    )
    np.testing.assert_allclose(scaled / scale, plain, rtol=SINGLE, atol=SINGLE)


def test_a_missing_feature_has_no_forecast_and_a_missing_target_has() -> None:
    panel, model = bent_panel(), Boosting(**SETTINGS)
    values = model.predict(model.fit(panel, np.arange(120)), panel)
    known = np.isfinite(panel.X).all(axis=2)
    assert not known.all() and (known & ~panel.valid).any()
    np.testing.assert_array_equal(np.isfinite(values), known)


def test_rows_outside_the_training_rows_do_not_count() -> None:
    panel, rows, model = bent_panel(), np.arange(60), Boosting(**SETTINGS)
    y = panel.y.copy()
    y[60:] *= 100.0
    before, after = model.fit(panel, rows), model.fit(panel_of(y, panel.X), rows)
    np.testing.assert_array_equal(model.predict(before, panel), model.predict(after, panel))


def test_it_finds_a_bend_that_scikit_learn_finds() -> None:
    panel, model = bent_panel(400, 3), Boosting(rounds=60, leaves=8, min_rows=10)
    train, test = np.arange(300), np.arange(300, 400)
    forecast = model.predict(model.fit(panel, train), panel)[test][panel.valid[test]]
    y, fitted = panel.y[test][panel.valid[test]], panel.valid[train]
    other = GradientBoostingRegressor(
        n_estimators=60, max_leaf_nodes=8, min_samples_leaf=10, random_state=0
    )
    other.fit(panel.X[train][fitted], panel.y[train][fitted])
    expected = r2_score(y, other.predict(panel.X[test][panel.valid[test]]))
    assert expected > 0.6
    # Two programs that grow trees by different rules; both must have found most of it.
    assert r2_score(y, forecast) == pytest.approx(expected, abs=0.1)


def test_tables_and_importance() -> None:
    panel, model, rows = bent_panel(), Boosting(**SETTINGS), np.arange(120)
    fit = model.fit(panel, rows)
    [quality] = fit.quality.itertuples()
    values = model.predict(fit, panel)
    assert (quality.scope, quality.unit, quality.n_obs) == ("pooled", "all", panel.valid.sum())
    assert quality.r2 == pytest.approx(r2_score(panel.y[panel.valid], values[panel.valid]), rel=REL)
    assert list(fit.quality.columns) == ["scope", "unit", *QUALITY]
    assert fit.coefficients.empty and list(fit.coefficients.columns) == [
        "scope",
        "unit",
        *COEFFICIENTS,
    ]
    diagnostics = model.diagnose(fit, panel, rows)
    assert diagnostics.empty and list(diagnostics.columns) == ["scope", "unit", *DIAGNOSTICS]
    found = fit.findings["importance"]
    booster = lightgbm.train(NAMED, lightgbm.Dataset(panel.X[panel.valid], panel.y[panel.valid]))
    gain = booster.feature_importance("gain")
    assert found.table["term"].tolist() == panel.names
    np.testing.assert_allclose(found.table["gain_share"], gain / gain.sum(), rtol=SINGLE)
    assert found.table["splits"].tolist() == booster.feature_importance("split").tolist()
    leader = panel.names[int(gain.argmax())]
    assert f"comes from {leader} (" in found.words[0]
    assert "nothing about new rows" in found.words[-1]


def test_the_picture_has_a_bar_per_feature_the_largest_on_top() -> None:
    panel = bent_panel()
    for by in (None, "asset"):
        table = Boosting(by=by, **SETTINGS).fit(panel, np.arange(120)).findings["importance"].table
        [axes] = DRAWINGS["importance"](table).axes
        shares = table.groupby("term")["gain_share"].mean().sort_values(ascending=False)
        assert [tick.get_text() for tick in axes.get_yticklabels()] == shares.index.tolist()
        np.testing.assert_allclose(
            [bar.get_width() for bar in axes.patches], 100 * shares, rtol=REL
        )


def test_units_that_cannot_be_grown_have_their_reason() -> None:
    panel = bent_panel()
    y = panel.y.copy()
    y[9:, 0], y[:, 1] = np.nan, 0.25
    fit = Boosting(by="asset", **SETTINGS).fit(panel_of(y, panel.X), np.arange(120))
    few, flat, *fine = fit.quality["reason"]
    assert few.endswith("a split needs twice min_rows=5") and flat == "the target does not vary"
    assert fine == ["", ""] and fit.quality["r2"].isna().tolist() == [True, True, False, False]
    assert sorted(fit.findings["importance"].table["unit"].unique()) == ["A2", "A3"]
    with pytest.raises(
        DataError,
        match="no trees could be grown; all: 40 rows, 9 of them drawn for a tree; a split",
    ):
        Boosting(row_share=0.23, min_rows=5).fit(
            panel_of(*random_arrays(1, 20, 2, 1)), np.arange(20)
        )
    Boosting(row_share=0.25, min_rows=5).fit(panel_of(*random_arrays(1, 20, 2, 1)), np.arange(20))


def test_columns_without_variation_leave_the_mean() -> None:
    y, _ = random_arrays(1, 60, 2, 1)
    panel, model = panel_of(y, np.ones((60, 2, 1))), Boosting()
    fit = model.fit(panel, np.arange(60))
    # The mean of a target held in single precision.
    np.testing.assert_allclose(model.predict(fit, panel), y.mean(), rtol=1e-6)
    assert fit.findings["importance"].table["gain_share"].tolist() == [0.0]
    assert fit.findings["importance"].words == [
        "No tree has a split: the forecast is the mean of the rows fitted."
    ]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"row_share": 0.0}, "row_share: given 0; allowed: a number above 0 to 1"),
        ({"column_share": 0}, "column_share: given 0; allowed: a number above 0 to 1"),
        ({"leaves": 131_073}, "leaves: given 131073; allowed: a number from 2 to 131072"),
        (
            {"by": "date"},
            "by: given date, whose trees know no other date; allowed: null, asset, a group of assets",
        ),
    ],
)
def test_settings_that_cannot_be(settings: dict, line: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole text is asked below)
        Boosting(**settings)
    assert str(caught.value) == line


def test_what_lightgbm_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise lightgbm.basic.LightGBMError("this\nand that")

    monkeypatch.setattr(lightgbm, "train", refuse)
    with pytest.raises(EstimationError, match=r"^model: lightgbm refuses: this and that$"):
        Boosting(**SETTINGS).fit(bent_panel(), np.arange(120))


def test_a_run_on_simulated_prices(cli) -> None:
    held_out = ("validation=holdout", "validation.train_end=2015-10-31", "target=forward_return")
    run = cli(
        *SIMULATED,
        *held_out,
        "model.rounds=10",
        "model.by=sector",
        "data.sectors=2",
        "data.churn=0",
        "--full",
    )
    assert run.code == 0, run.err
    assert run.table("coefficients").empty
    table = run.table("importance")
    assert set(table["unit"]) == {"G1", "G2"} and len(table) == 8
    np.testing.assert_allclose(table.groupby("unit")["gain_share"].sum(), 1.0, rtol=REL)
    assert (run.directory / "plots" / "importance.png").exists()
    assert "says nothing about new rows" in run.out
    assert {"fit/r2", "oos/r2"} <= set(run.metrics)


def test_mistakes_are_a_line_each(cli) -> None:
    run = cli(*SIMULATED, "model.rounds=-1", "model.leaves=1", "model.learning_rate=0")
    assert run.code == 2
    assert run.errors == [
        "error: model.rounds: given -1; allowed: a number from 1",
        "error: model.learning_rate: given 0; allowed: a number above 0",
        "error: model.leaves: given 1; allowed: a number from 2",
    ]
    run = cli(*SIMULATED, "features=none")
    assert run.errors == [
        "error: model._target_: Boosting needs a feature to split on; features: none are given"
    ]


def test_without_lightgbm_one_line_says_how_to_install_it(cli, tmp_path: Path) -> None:
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "sitecustomize.py").write_text(
        "from importlib.machinery import PathFinder\n"
        "there = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *more: None if name == 'lightgbm' else there(name, *more)\n"
    )
    run = cli(*SIMULATED, "data.rows=0", PYTHONPATH=f"{stub}:{ROOT}")
    assert run.code == 2
    needed = f"error: model._target_: Boosting needs lightgbm; install it with: {INSTALL}"
    assert (
        needed in run.errors and len(run.errors) == 2
    )  # beside that of data.rows: no data was read
