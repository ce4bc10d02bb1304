"""Rows of a model: its own, or those that every feature of the spec has; said, counted, and the same again."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracles import panel_of, punch_holes, random_arrays

from runner.__main__ import main
from runner.analyses.forecasts.confidence_set import _losses
from runner.cli.composition import Composer
from runner.compute.cache import Bench
from runner.errors import DataError, SpecError
from runner.experiment.reading import sections
from runner.experiment.report import Report
from runner.experiment.run import run
from runner.experiment.spec import build
from runner.models.fit import Fit
from runner.models.model import Model
from runner.models.moving.cross_asset import CrossAsset
from runner.models.moving.rolling import Rolling
from runner.models.regression import Regression
from runner.panels.panel import Panel
from runner.panels.rows import rows_of
from runner.record.rundir import RunDirectory
from runner.sinks.files import about
from runner.sweeps.comparison.caveats import _rows

DIGITS = 5e-7  # the known answers are given to six decimals
ROUNDING = (
    1e-11  # products of columns that lie apart or side by side in memory differ in the last bits
)
LATE = "features.beta.window=100"  # a feature that begins later than all others
FEW = [
    "experiment=none",
    "data=simulated",
    "data.assets=7",
    "data.rows=260",
    "data.churn=0",
    "report=tables",
    "audit=off",
]
WALK = [
    "validation=walk_forward",
    "validation.first=140",
    "validation.test=40",
    "validation.holdout=0",
]
BASE = [*FEW, "features=premia", LATE, "target=forward_return", *WALK]
TWO = "model.regressors=[mom_1m,volatility]"
SAME_ROW = [
    "target=same_period_return",
    "+features.market_ret={_target_: runner.features.market_return}",
]
MODELS: dict[
    str, list[str]
] = {  # what each takes of the features, beside others that it leaves alone
    "ols": [TWO],
    "errors": [TWO, "model.cov=HAC"],
    "fama_macbeth": [TWO],
    "pooled": [TWO, "model.effects=[asset]"],
    "logit": [TWO, "target=up"],
    "lasso": [TWO, "model.penalties=10", "model.choice=min"],
    "ridge_pooled": [TWO, "model.dummies=[sector]"],
    "boosting": [TWO, "model.rounds=5", "model.min_rows=5"],
    "fixed": ["model.weights={mom_1m: 0.2, volatility: 0.1}"],
    "two_pass": [*SAME_ROW, "model.regressors=[market_ret]"],
    "components": [*SAME_ROW, "model.regressors=[market_ret]", "model.components=2"],
    "weights": [TWO, "model.by=null", "model.weights=market_cap"],
}
GROUP = {"errors": "ols", "components": "ols", "weights": "ols"}


class AnyModel(Model):
    """Says nothing of what it uses."""

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        return Regression(regressors=[]).fit(panel, rows)

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        return np.tile(fit.params[:, 0], (len(panel.dates), 1))


def made(*words: str, bench: Bench | None = None) -> Report:
    return run(Composer().job([*BASE, *words]).experiment, bench)


def same(one: Report, other: Report, **tolerance: Any) -> None:
    """Every coefficient and forecast, to the last bit or to a tolerance."""
    how = tolerance or {"check_exact": True}
    pd.testing.assert_frame_equal(one.fit.coefficients, other.fit.coefficients, **how)
    pd.testing.assert_frame_equal(one.fit.quality, other.fit.quality, **how)
    pd.testing.assert_frame_equal(one.predictions, other.predictions, **how)


def test_capm_beside_nine_signals_has_the_rows_of_capm(stocks: Path) -> None:
    words = [
        "experiment=alpha_signals",
        "data=file",
        f"data.path={stocks}",
        "validation=none",
        "report=tables",
    ]
    words += ["model.regressors=[market_ret]", "audit=off"]
    own, common = (
        run(Composer().job([*words, *more]).experiment) for more in ([], ["model.rows=common"])
    )
    quality = own.fit.quality.set_index("unit").loc["AAPL"]
    table = own.fit.coefficients.set_index(["unit", "term"])["estimate"]
    assert quality["n_obs"] == 2102
    assert quality["r2"] == pytest.approx(0.599658, abs=DIGITS)
    assert table["AAPL", "const"] == pytest.approx(0.000434, abs=DIGITS)
    assert table["AAPL", "market_ret"] == pytest.approx(1.233994, abs=DIGITS)
    assert common.fit.quality.set_index("unit").loc["AAPL", "n_obs"] == 2040
    text = " ".join(sections(own)["Rows"])
    assert "16,816 observations have the model's own regressors (model.rows=own)" in text
    assert (
        "16,320 of them have every feature of the spec (missing: mom_1m in 160, mom_3m in 496"
        in text
    )
    assert "mom_3m is missing" not in " ".join(
        sections(own)["Left out"]
    )  # it costs this model nothing
    text = " ".join([*sections(common)["Rows"], *sections(common)["Left out"]])
    assert "16,320 observations have every feature of the spec (model.rows=common)" in text
    assert "336 asset-dates dropped: mom_3m is missing." in text


@pytest.mark.parametrize("name", MODELS)
def test_own_rows_are_those_of_the_spec_without_the_other_features(name: str) -> None:
    if name == "boosting":
        pytest.importorskip("lightgbm", reason="the extra `boosting` is not installed")
    words = [f"model={GROUP.get(name, name)}", *MODELS[name]]
    own, common = made(*words), made(*words, "model.rows=common")
    others = [one for one in own.rows.whole.names if one not in own.rows.features]
    assert "beta" in others
    alone = made(*words, *(f"~features.{one}" for one in others))
    same(own, alone, rtol=ROUNDING, atol=ROUNDING)
    assert own.panel.names == alone.panel.names and own.panel.dropped == alone.panel.dropped
    assert (
        int(own.panel.valid.sum())
        == own.rows.own
        > own.rows.common
        == int(common.panel.valid.sum())
    )
    counted = [line for line in own.panel.dropped if line.what == "asset-date"]
    assert sum(line.rows for line in counted) == own.panel.dropped_cells


OF_EVERY_FEATURE = [Rolling(), CrossAsset(), Regression(), AnyModel()]


@pytest.mark.parametrize("model", OF_EVERY_FEATURE, ids=lambda one: type(one).__name__)
def test_a_model_of_every_feature_has_the_same_rows_either_way(model: Model) -> None:
    y, X = random_arrays(0, 60, 3, 4)
    punch_holes(np.random.default_rng(0), y, X, 0.1, ragged=False)
    whole = panel_of(y, X)
    for kind in ("own", "common"):
        panel, rows = rows_of(whole, model.uses(whole.names), kind, None)
        assert panel is whole and rows.own == rows.common == whole.valid.sum() and not rows.lacking


def test_common_rows_of_every_choice_of_regressors_are_the_same() -> None:
    panels = [
        made("model=ols", f"model.regressors={chosen}", "model.rows=common").panel
        for chosen in ("[mom_1m]", "[volatility,beta]", "null", "[]")
    ]
    for panel in panels:
        np.testing.assert_array_equal(panel.valid, panels[0].valid)


def test_what_preprocessing_leaves_out_by_every_feature_is_left_out_of_own_rows() -> None:
    """A cell with three of four features missing goes, though the one that the model takes may be there."""
    sparse = "preprocess=[{_target_: runner.preprocessing.drop_sparse, most: 0.5}]"
    plain, dropped = (
        made("model=ols", "model.regressors=[volume_surprise]", *more) for more in ([], [sparse])
    )
    none = made("model=ols", "model.regressors=[]", sparse)
    lost = plain.panel.valid & ~dropped.panel.valid
    features = np.isfinite(plain.rows.whole.X).mean(axis=2)
    np.testing.assert_array_equal(lost, plain.panel.valid & (features < 0.5))
    assert lost.any()
    assert (none.panel.valid & (features < 0.5)).sum() == 0  # nor where it takes no feature at all


def test_where_no_cell_is_usable_it_says_which_rows_were_asked_for() -> None:
    y, X = random_arrays(0, 60, 3, 2)
    X[:, :, 1] = np.nan
    whole = panel_of(y, X)
    assert rows_of(whole, ["x0"], "own", None)[0].valid.all()
    with pytest.raises(DataError, match="no observation has a target and every feature"):
        rows_of(whole, ["x0"], "common", None)


def test_what_jobs_share_is_kept_apart_by_rows() -> None:
    """On one bench, in any order, every job has the numbers that it has by itself."""
    words = [["model.regressors=[mom_1m]"], ["model.regressors=[mom_1m,beta]"]]
    jobs = [
        ["model=pooled", *one, f"model.rows={rows}"] for one in words for rows in ("own", "common")
    ]
    bench = Bench()
    alone = [made(*job) for job in jobs]
    pairs = list(zip(jobs, alone, strict=True))
    for job, expected in [*pairs, *reversed(pairs)]:
        same(made(*job, bench=bench), expected)
    assert sum(key.startswith("panel-") for key in bench.things) == 1


# What a spec says


def test_a_single_run_has_own_rows_and_its_spec_says_so() -> None:
    report = made("model=ols", TWO)
    assert report.spec["model"]["rows"] == "own"
    told: Any = about(report)["rows"]
    assert told["kind"] == "own" and told["used"] == told["own"] > told["common"]
    assert json.loads(json.dumps(told)) == told


def test_rows_of_another_kind_are_refused() -> None:
    with pytest.raises(SpecError, match=r"model\.rows: 'all' is unknown; allowed: own, common"):
        Composer().job([*BASE, "model.rows=all"])


def test_jobs_of_a_sweep_have_common_rows_unless_the_user_says() -> None:
    axis = "model.regressors=[mom_1m],[mom_1m,beta]"
    for words, expected in (([], "common"), (["model.rows=own"], "own")):
        jobs = Composer().plan([*BASE, axis, *words]).jobs
        assert [job.spec["model"]["rows"] for job in jobs] == [expected] * 2
        again = [
            Composer().job(job.overrides).experiment for job in jobs
        ]  # the command of its page
        assert [one.rows for one in again] == [expected] * 2


def test_a_sweep_compares_in_sample_on_common_rows_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    axis = "model.regressors=[mom_1m],[mom_1m,beta]"
    words = [*BASE[:-4], "validation=none", axis]
    assert main(["-m", *words, "hydra.sweep.dir=outputs/sweeps/s", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    jobs = [RunDirectory(tmp_path / "outputs" / "sweeps" / "s" / str(job)) for job in range(2)]
    [cells] = {job.about["rows"]["used"] for job in jobs}
    assert jobs[0].about["rows"]["own"] > cells == jobs[1].about["rows"]["own"]
    assert f"All in-sample fits are on the same {cells:,} observations." in told["reading"]
    again = run(build(jobs[0].spec))  # what a rerun does
    assert again.metrics == jobs[0].metrics


def caveats_of(*rows: dict[str, Any]) -> list[str]:
    outcomes = [SimpleNamespace(about={"rows": one}) for one in rows]
    return _rows(SimpleNamespace(outcomes=outcomes))  # type: ignore[arg-type]


def test_a_comparison_says_where_in_sample_fits_are_on_different_rows() -> None:
    one = {"kind": "common", "used": 2040, "digest": "a"}
    assert caveats_of(one, one) == ["All in-sample fits are on the same 2,040 observations."]
    [said] = caveats_of(one, one | {"used": 2102, "digest": "b"})
    assert said.startswith(
        "In-sample fits use different observations (2,040 to 2,102): their coefficients and R2"
    )
    assert said.endswith("makes them the same where features, data and target are.")
    [said] = caveats_of(one | {"kind": "own"}, {"kind": "own", "used": 2040, "digest": "b"})
    assert "(2,040 each)" in said and said.endswith("model.rows=common uses the same for all.")
    assert caveats_of(one) == [] and caveats_of() == []


def test_the_same_places_on_other_data_are_other_cells() -> None:
    one = {"kind": "common", "used": 2040, "digest": "a"}
    abouts = [{"rows": one, "fingerprint": data} for data in ("b", "c")]
    outcomes = [SimpleNamespace(about=about) for about in abouts]
    [said] = _rows(SimpleNamespace(outcomes=outcomes))  # type: ignore[arg-type]
    assert said.startswith("In-sample fits use different observations (2,040 each)")


def test_rivals_of_a_confidence_set_have_their_own_rows_in_the_folds_of_the_run() -> None:
    """Judged on the cells that all of them forecast, each is fitted on its own rows among the training dates."""
    hold_out = ["validation=holdout", "validation.train_end=2015-09-30", "model=ols"]
    words = [*BASE[: -len(WALK)], *hold_out]
    full = run(Composer().job(words).experiment)
    small = run(Composer().job([*words, "model.regressors=[mom_1m]"]).experiment)
    (fold,) = full.study.folds
    forecast = small.study.model.forecast(small.panel, fold)
    judged = full.panel.valid[fold.test] & np.isfinite(forecast)
    squares = np.where(judged, (small.panel.y[fold.test] - forecast) ** 2, np.nan)
    expected = np.nanmean(squares[judged.any(axis=1)], axis=1)
    table = _losses(full.study, {"small": {"regressors": ["mom_1m"]}})
    np.testing.assert_allclose(table["small"], expected, rtol=ROUNDING)
