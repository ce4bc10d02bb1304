"""A run on a market on disk writes, to the last bit, what the run in memory writes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Outcome, call_cli, run_cli

from runner.compute import memory
from runner.errors import DataError
from runner.experiment import shared_work
from runner.models import study
from runner.panels import memory as panel_memory
from runner.panels.blocks import dividing
from runner.panels.numbers import stored

NAMES, MONTHS = 60, 90
DATA = ("data=file", "data.path=firms.parquet", "features=none")
FEATURES = (
    "features.size=log(me)",
    "features.rank=rank(momentum)",
    "features.past={_target_: runner.features.momentum, window: 6}",
)
SETTINGS = {
    "Fama-MacBeth": ("model=fama_macbeth", "target=forward_return", "validation=none"),
    "two-way clusters": (
        "model=pooled",
        "model.cov=cluster",
        "model.clusters=[asset,date]",
        "target=forward_return",
        "validation=none",
    ),
    "some regressors": (
        "model=pooled",
        "model.regressors=[size,past]",
        "model.cov=driscoll_kraay",
        "model.clusters=[]",
        "target=forward_return",
        "validation=walk_forward",
        "validation.first=36",
    ),
    "some regressors, common rows": (
        "model=fama_macbeth",
        "model.regressors=[rank]",
        "model.rows=common",
        "target=forward_return",
        "validation=none",
    ),
    "ridge out of sample": (
        "model=ridge_pooled",
        "target=forward_return",
        "validation=walk_forward",
        "validation.first=36",
        "validation.test=12",
    ),
    "dummies of a label that changes": (
        "model=pooled",
        "model.dummies=[industry]",
        "target=forward_return",
        "validation=walk_forward",
        "validation.first=36",
        "validation.test=12",
        "analyses.industries={_target_: runner.analyses.target_by_group, group: industry}",
    ),
    "a regression per label that changes": (
        "model=pooled",
        "model.by=industry",
        "model.regressors=[size,past]",
        "target=forward_return",
        "validation=walk_forward",
        "validation.first=36",
    ),
    "clusters of a label that changes": (
        "model=pooled",
        "model.cov=cluster",
        "model.clusters=[industry,date]",
        "target=forward_return",
        "validation=none",
    ),
    "effects of assets and dates": (
        "model=pooled",
        "model.effects=[asset,date]",
        "target=forward_return",
        "validation=walk_forward",
        "validation.first=48",
        "validation.test=24",
    ),
    "effects of a label that changes": (
        "model=pooled",
        "model.effects=[industry*date]",
        "target=forward_return",
        "validation=none",
    ),
}
STEPS = (
    "",
    "preprocess=[{_target_: runner.preprocessing.rank}]",
    "preprocess=[{_target_: runner.preprocessing.demean, group: industry}]",
)
TABLES = ("coefficients", "quality", "folds", "dropped", "scores", "industries")


def write_firms(folder: Path) -> None:
    """A file of firms that come and go, in order of their names."""
    rng = np.random.default_rng(5)
    first = rng.integers(-20, MONTHS - 8, NAMES)
    last = first + rng.integers(8, 70, NAMES)
    month = np.arange(MONTHS)[:, None]
    name, row = np.nonzero(((first <= month) & (month < last)).T)
    dates = pd.date_range("2001-01-31", periods=MONTHS, freq="ME")
    table = pd.DataFrame(
        {
            "date": dates[row],
            "permno": [f"P{i:03}" for i in name],
            "ret": rng.normal(0.01, 0.08, len(row)),
            "me": np.exp(rng.normal(5, 1, len(row))),
            "momentum": rng.normal(size=len(row)),
        }
    )
    table.loc[rng.random(len(table)) < 0.02, "momentum"] = np.nan
    industry = (name + row // 30) % 4  # of the date
    table["industry"] = pd.Series([f"I{code}" for code in industry]).where(
        rng.random(len(table)) > 0.05
    )
    table.to_parquet(folder / "firms.parquet", index=False, row_group_size=700)


@pytest.fixture(scope="module")
def firms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the file of firms."""
    folder = tmp_path_factory.mktemp("firms")
    write_firms(folder)
    return folder


def ran(folder: Path, *words: str) -> Outcome:
    done = call_cli(folder, "experiment=none", *DATA, *FEATURES, *words)
    assert done.code == 0, done.err
    return done


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("steps", STEPS)
def test_a_run_on_disk_is_that_in_memory(
    firms: Path, name: str, steps: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*SETTINGS[name], "report=tables", *([steps] if steps else [])]
    expected = ran(firms, *words, "data.on_disk=false")
    monkeypatch.setattr(dividing, "NUMBERS", 2**11)
    monkeypatch.setattr(stored, "AT_A_TIME", 2**13)
    monkeypatch.setattr(stored, "HELD", 2**14)
    done = ran(firms, *words, "data.on_disk=true")
    for table in TABLES:
        of_memory = expected.directory / f"{table}.csv"
        of_disk = done.directory / f"{table}.csv"
        assert of_disk.exists() == of_memory.exists()
        if of_memory.exists():
            assert of_disk.read_text() == of_memory.read_text(), table
    keys = [json.loads((run.directory / "run.json").read_text())["job"] for run in (expected, done)]
    assert keys[0] == keys[1], "it is the same job"
    assert (done.directory / "metrics.json").read_text() == (
        expected.directory / "metrics.json"
    ).read_text()
    if (expected.directory / "predictions.parquet").exists():
        pd.testing.assert_frame_equal(
            pd.read_parquet(done.directory / "predictions.parquet"),
            pd.read_parquet(expected.directory / "predictions.parquet"),
            check_exact=True,
        )


def test_an_expression_reads_labels_that_change(
    firms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("features.within=rank(me, industry)", *SETTINGS["Fama-MacBeth"], "report=tables")
    expected = ran(firms, *words, "data.on_disk=false")
    monkeypatch.setattr(dividing, "NUMBERS", 2**11)
    done = ran(firms, *words, "data.on_disk=true")
    metrics = [(run.directory / "metrics.json").read_text() for run in (expected, done)]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("executor", ["threads", "processes", "dask"])
def test_blocks_have_the_same_bits_whoever_makes_them(
    executor: str, firms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dividing, "NUMBERS", 2**11)
    metrics = set()
    for name in ("inline", executor):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "firms.parquet").symlink_to(firms / "firms.parquet")
        words = ("experiment=none", *DATA, *FEATURES, *SETTINGS["Fama-MacBeth"])
        beside = ("data.on_disk=true", "report=tables", f"executor={name}")
        ended = call_cli(folder, *words, *beside)
        assert ended.code == 0, ended.err
        metrics.add((ended.directory / "metrics.json").read_text())
    assert len(metrics) == 1


def test_a_feature_whose_code_has_changed_is_computed_anew(firms: Path, tmp_path: Path) -> None:
    (tmp_path / "firms.parquet").symlink_to(firms / "firms.parquet")
    words = (
        "experiment=none",
        *DATA,
        *SETTINGS["two-way clusters"],
        "report=tables",
        "allow=[mine]",
    )
    slopes = []
    for scale in (1, 20):  # each in a process of its own, as code changes
        (tmp_path / "mine.py").write_text(
            "from runner.features import looks_back\n"
            "@looks_back(0)\n"
            f"def size(market):\n    return {scale} * market.get('me')\n"
        )
        own = "features.mine={_target_: mine.size}"
        done = run_cli(tmp_path, *words, "data.on_disk=true", "data.columns.me=me", own)
        assert done.code == 0, done.err
        slopes.append(done.table("coefficients").set_index("term").loc["mine", "estimate"])
    np.testing.assert_allclose(slopes[0], 20 * slopes[1], rtol=1e-9)


def test_own_rows_of_a_panel_that_steps_left_cells_out_of_are_refused(firms: Path) -> None:
    words = [*DATA, *FEATURES, *SETTINGS["some regressors, common rows"], "report=tables"]
    words.append("preprocess=[{_target_: runner.preprocessing.universe, by: size, low: 4.5}]")
    expected = ran(firms, *words, "data.on_disk=false")
    done = ran(firms, *words, "data.on_disk=true")
    for table in ("coefficients", "dropped"):
        assert (done.directory / f"{table}.csv").read_text() == (
            expected.directory / f"{table}.csv"
        ).read_text()
    refused = call_cli(firms, "experiment=none", *words, "data.on_disk=true", "model.rows=own")
    assert refused.code == 2
    [line] = refused.errors
    assert "steps that leave cells out" in line and "model.rows=common" in line


AT_ONCE = {
    "effects": ("model=pooled", "model.cov=nonrobust", "model.clusters=[]", "model.effects=[date]"),
    "logit": ("model=pooled", "model.estimator=logit", "model.cov=nonrobust", "model.clusters=[]"),
    "weights": ("model=pooled", "model.weights=me", "data.columns.me=me"),
    "boosting": ("model=boosting",),
    "rolling": ("model=rolling",),
}


@pytest.mark.parametrize("name", [*AT_ONCE, "ridge"])
def test_a_model_of_all_rows_that_do_not_fit_is_refused_before_blocks_are_made(
    firms: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*_: object) -> None:
        raise DataError("blocks are made")

    monkeypatch.setattr(shared_work, "build_in_blocks", reached)
    monkeypatch.setattr("runner.compute.memory.available", lambda: 10_000)
    model = AT_ONCE.get(name, ("model=ridge_pooled",))
    words = (*DATA, *FEATURES, "target=forward_return", "data.on_disk=true", "audit=off")
    done = call_cli(firms, "experiment=none", *words, *model, "validation=none")
    assert done.code == 2, done.err
    [line] = done.errors
    if name == "ridge":
        assert "blocks are made" in line
        return
    assert line.startswith("error: model: it needs ")
    assert "rows x 3 features" in line or "90 dates x 59 assets x 3 features" in line
    assert "GB, there are 0.0 GB; allowed: what fits, with a model that reads some dates" in line


def test_an_analysis_of_every_cell_is_refused_before_anything_is_made_where_memory_is_short(
    firms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unasked(*_: object) -> None:
        raise AssertionError("a panel is made")

    monkeypatch.setattr(shared_work, "full_panel", unasked)
    monkeypatch.setattr(memory, "available", lambda: 100_000)
    analyses = "analyses={ratios: {_target_: runner.analyses.sharpe}}"
    words = ("model=pooled", "target=forward_return", "validation=none", "data.on_disk=true")
    ended = call_cli(firms, "experiment=none", *DATA, *FEATURES, analyses, *words)
    assert ended.code == 2
    assert "analyses.ratios: it needs every cell in memory, 90 dates x 59 assets" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("on_disk", ["true", "false"])
@pytest.mark.parametrize("name", ["target_by_group", "risk_by_group"])
def test_an_analysis_of_listed_cells_takes_no_array_of_every_cell(
    firms: Path, name: str, on_disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(dates: int, _: int) -> None:
        assert dates < MONTHS, "an array of every cell"

    monkeypatch.setattr(study, "WHOLE", 0)
    monkeypatch.setattr(study, "NUMBERS", 500)
    monkeypatch.setattr(study, "FEWEST_DATES", 7)
    monkeypatch.setattr(panel_memory, "refuse_arrays", refused)
    table = pd.read_parquet(firms / "firms.parquet")
    table["industry"] = table["permno"].str[-1]
    table.to_parquet(firms / "fixed.parquet", index=False)
    analyses = f"analyses={{a: {{_target_: runner.analyses.{name}, group: industry}}}}"
    words = ("model=pooled", analyses, "target=forward_return", "validation=none", "audit=off")
    words = (*words, "report=tables", f"data.on_disk={on_disk}", "data.path=fixed.parquet")
    done = call_cli(firms, "experiment=none", *DATA, *FEATURES, *words)
    assert done.code == 0, done.err
