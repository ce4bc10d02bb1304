"""Runs in MLflow's real store: what is logged, simultaneous starts, runs that are killed."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import ROOT, call_cli, run_cli
from starting import run, start

from runner.sinks.tracking import Store, params_of

FAST = ["data.assets=[S1V5,S5V5]", "data.start=1990-01-01"]


def client_of(folder: Path):
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    from mlflow import MlflowClient

    uri = f"sqlite:///{folder / 'outputs' / 'mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs_of(folder: Path) -> list:
    client = client_of(folder)
    return client.search_runs([client.get_experiment_by_name("factor-runner").experiment_id])


def without_series(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics of the run as a whole: no series over steps, and nothing that only a sweep can say."""
    apart = ("by year", "by fold", "common/", "rank")
    return {name: value for name, value in metrics.items() if not name.startswith(apart)}


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logged")
    outcome = call_cli(folder, *FAST, "model.cov=HAC")
    assert outcome.code == 0, outcome.err
    [run] = runs_of(folder)
    return folder, outcome, run


def test_run_is_finished_and_named(logged) -> None:
    _, outcome, run = logged
    assert run.info.status == "FINISHED"
    assert run.info.run_name.startswith("ff3")
    assert run.info.run_id in outcome.out
    assert run.info.end_time >= run.info.start_time


def test_no_commit_waits_for_the_disk(tmp_path) -> None:
    client = Store(f"sqlite:///{tmp_path / 'm.db'}").client()
    with client._tracking_client.store.engine.connect() as connection:
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 1  # normal


def test_metrics_in_mlflow_are_those_on_disk(logged) -> None:
    _, outcome, run = logged
    assert without_series(run.data.metrics) == outcome.metrics


def test_series_over_years_are_steps_with_the_numbers_of_the_file(logged) -> None:
    folder, outcome, run = logged
    table = outcome.table("series")
    assert set(table["series"]) == {
        "by year/R2",
        "by year/RMSE",
    }  # one fold, and two assets have no rank correlation
    for name, rows in table.groupby("series"):
        history = client_of(folder).get_metric_history(run.info.run_id, name)
        steps = {point.step: point.value for point in history}
        assert steps == dict(zip(rows["step"], rows["value"], strict=True))
        assert len(steps) == len(range(2000, 2018))


def test_chosen_options_are_parameters_and_kept_in_the_run_directory(logged) -> None:
    _, outcome, run = logged
    chosen = {"data": "french", "features": "ff3", "target": "excess_return", "model": "ols"}
    chosen |= {"validation": "holdout_2000", "experiment": "ff3"}
    assert {name: run.data.params[name] for name in chosen} == chosen
    assert json.loads((outcome.directory / "run.json").read_text())["chosen"] == chosen


def test_an_empty_mapping_is_no_parameter() -> None:
    spec = {"features": {}, "model": {"cov": "HC1", "options": {}}, "allow": []}
    assert params_of(spec, {"features": "none"}) == {
        "model.cov": "HC1",
        "allow": "[]",
        "features": "none",
    }


def test_params_are_the_flattened_spec(logged) -> None:
    _, _, run = logged
    assert run.data.params["model.cov"] == "HAC"
    assert run.data.params["data.assets"] == "['S1V5', 'S5V5']"
    assert run.data.params["validation.train_end"] == "1999-12-31"
    assert run.data.params["features.SMB.series"] == "SMB"


def test_tags_and_dataset_say_what_was_run(logged) -> None:
    _, _, run = logged
    assert {"kind", "model", "validation", "fingerprint", "code"} <= set(run.data.tags)
    assert run.data.tags["kind"] == "explanatory"
    assert "Out-of-sample R2 is" in run.data.tags["mlflow.note.content"]
    [dataset] = run.inputs.dataset_inputs
    assert dataset.dataset.digest == run.data.tags["fingerprint"]
    if (ROOT / ".git").exists():
        commit = subprocess.run(
            ["git", "-C", str(ROOT), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.data.tags["mlflow.source.git.commit"] == commit.stdout.strip()


def test_artifacts_hold_the_run_directory_and_a_table(logged, monkeypatch) -> None:
    folder, outcome, run = logged
    client = client_of(folder)
    names = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {path.name for path in outcome.directory.iterdir()} == names
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/outputs/mlflow.db")
    table = client.load_table(run.info.experiment_id, "coefficients.json").set_index("term")
    [smb] = outcome.table("coefficients").query("unit == 'S1V5' and term == 'SMB'")["estimate"]
    assert table.loc["S1V5 SMB", "estimate"] == pytest.approx(
        smb, rel=1e-14
    )  # the table has 15 digits
    assert not (folder / "mlruns").exists()


def test_environment_cannot_hijack_a_run(tmp_path) -> None:
    outcome = run_cli(
        tmp_path, *FAST, MLFLOW_RUN_ID="0" * 32, MLFLOW_TRACKING_URI="http://127.0.0.1:9"
    )
    assert outcome.code == 0, outcome.err
    assert len(runs_of(tmp_path)) == 1


def test_long_lists_are_cut_with_the_count_and_many_keys_are_all_logged(tmp_path) -> None:
    features = [f"+features.f{i}={{_target_:runner.features.shared,series:Mom}}" for i in range(60)]
    names = ",".join(f"S{i:05d}" for i in range(1200))
    words = [
        "data=simulated",
        f"data.assets=[{names}]",
        "data.rows=60",
        "data.churn=0",
        "experiment=none",
    ]
    outcome = call_cli(
        tmp_path, *words, "features=market", "validation=none", "model.cov=nonrobust", "+data.macro.Mom=M",
        "report=tables", "audit=off",
        *features, "model.regressors=[market_ret]",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    [run] = runs_of(tmp_path)
    assert "characters more in spec.yaml" in run.data.params["data.assets"]
    assert sum(key.startswith("features.") for key in run.data.params) == 2 * 60 + 3


def test_unreachable_store_keeps_the_results_and_says_so(tmp_path) -> None:
    words = [*FAST, "report=tables", "tracking.uri=http://127.0.0.1:9"]
    outcome = call_cli(tmp_path, *words)
    assert outcome.code == 1
    assert "tracking.uri: http://127.0.0.1:9" in outcome.errors[0]
    assert len(outcome.errors) == 1
    assert "results are kept in" in outcome.errors[0]
    assert (outcome.directory / "metrics.json").exists()


def test_password_of_a_store_is_written_nowhere(tmp_path) -> None:
    outcome = call_cli(tmp_path, *FAST, "tracking.uri=http://me:hush@127.0.0.1:9")
    assert outcome.code == 1
    assert "hush" not in outcome.err + outcome.out
    for path in outcome.directory.rglob("*"):
        assert path.is_dir() or b"hush" not in path.read_bytes(), path


def test_store_that_is_no_database_is_one_line(tmp_path) -> None:
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "mlflow.db").write_text(
        "not a database, but long enough to look like one" * 50
    )
    outcome = call_cli(tmp_path, *FAST, "report=tables")
    assert outcome.code == 1
    assert len(outcome.errors) == 1, outcome.err
    assert "Traceback" not in outcome.err


def test_four_simultaneous_starts_without_a_database_give_four_finished_runs(tmp_path) -> None:
    processes = [start(tmp_path, *FAST, "report=tables") for _ in range(4)]
    codes = [process.wait() for process in processes]
    assert codes == [0] * 4, [process.err.read_text() for process in processes]
    runs = runs_of(tmp_path)
    assert [run.info.status for run in runs] == ["FINISHED"] * 4
    assert len({run.data.tags["directory"] for run in runs}) == 4
    assert len({run.data.metrics["oos/r2"] for run in runs}) == 1


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_run_leaves_no_directory_that_reads_as_whole(tmp_path, kills) -> None:
    """Killed at moments from start to end: a run directory is whole or it is not there."""
    run(tmp_path, "--version")  # the server that processes are forked from has its imports then
    begun = time.monotonic()
    first = run(tmp_path, *FAST)
    length = time.monotonic() - begun
    whole = {path.name for path in first.directory.iterdir()}
    for i in range(kills):
        process = start(tmp_path, *FAST)
        time.sleep(length * (0.3 + 0.7 * i / kills))
        process.kill()
    found = [
        path for path in (tmp_path / "outputs" / "runs").iterdir() if not path.name.startswith(".")
    ]
    assert first.directory in found
    for directory in found:
        assert {path.name for path in directory.iterdir()} == whole


def test_names_that_mlflow_refuses_are_logged_with_an_underscore() -> None:
    from runner.sinks.view import allowed

    assert allowed("coef/sector:Oil & Gas (US), \u00e9") == "coef/sector:Oil _ Gas _US__ _"
    assert allowed("oos/r2") == "oos/r2"
