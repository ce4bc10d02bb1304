"""Sweeps: what is planned, run, counted, skipped and taken up again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pandas as pd
import pytest
from conftest import call_cli
from test_tracking import client_of, without_series

from runner.__main__ import main
from runner.errors import SpecError
from runner.record.ledger import Ledger
from runner.sweeps.axes import Axis
from runner.sweeps.comparison.tested import verdict
from runner.sweeps.plan import Plan, locked, read
from runner.sweeps.search import combinations, search_of
from runner.sweeps.settings import Sweep

FAST = [
    "experiment=none",
    "data.assets=[S1V5]",
    "target=excess_return",
    "validation=none",
    "audit=off",
]
SLOW_SIGNAL = """
import os, signal, time
def signal_of(market, *, seconds: float = 0.0, kill: bool = False, fail: bool = False, once: str | None = None):
    if once is None or not os.path.exists(once):
        if once: open(once, "w").close()
        time.sleep(seconds)
        if fail: raise RuntimeError("bad luck")
        if kill: os.kill(os.getpid(), signal.SIGKILL)
    return market.returns(1).shift(1)
"""

OWN_STRATEGY = """
import numpy as np
from runner.analyses import Finding
def strategy(study):
    table = study.predictions[["date", "y", "prediction"]]
    returns = table["y"] * np.sign(table["prediction"]) / 100
    return Finding(table, wealth=(1.0 + returns).cumprod().set_axis(table["date"]))
"""


@pytest.fixture
def sweep(tmp_path, monkeypatch, capsys):
    """`sweep("name", "key=a,b")` runs a sweep here and gives its exit code, its plan and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    (tmp_path / "slow_signal.py").write_text(SLOW_SIGNAL)

    def run(name: str, *words: str) -> tuple[int, Plan | None, str]:
        directory = tmp_path / "outputs" / "sweeps" / name
        code = main(["-m", *FAST, *words, f"hydra.sweep.dir={directory}"])
        return code, read(directory) if directory.exists() else None, capsys.readouterr().err

    return run


def signals(*settings: str) -> list[str]:
    """Words for features that sleep, fail or kill: a value of `features.x` each."""
    values = ",".join(f"{{_target_:slow_signal.signal_of,{one}}}" for one in settings)
    return ["allow=[slow_signal]", "features=none", f"+features.x={values}"]


def children(folder: Path, plan: Plan) -> list:
    client = client_of(folder)
    experiment = client.get_experiment_by_name("factor-runner").experiment_id
    return client.search_runs([experiment], f"tags.sweep = '{plan.name}' and tags.role = 'job'")


def test_a_sweep_is_one_parent_with_a_finished_child_per_job(sweep, tmp_path) -> None:
    code, plan, said = sweep("a", "model.cov=nonrobust,HAC", "model.regressors=[MktRF],[MktRF,SMB]")
    assert code == 0
    assert "sweep a: 4 jobs, 4 to run, time not known yet" in said
    runs = children(tmp_path, plan)
    assert sorted(run.data.tags["job"] for run in runs) == sorted(job.key for job in plan.jobs)
    assert {run.info.status for run in runs} == {"FINISHED"}
    names = {run.info.run_name.partition(" ")[2] for run in runs}
    assert names == {
        f"cov={cov} regressors={x}"
        for cov in ("nonrobust", "HAC")
        for x in ("[MktRF]", "[MktRF, SMB]")
    }
    ranks = {run.info.run_name.partition(" ")[0]: run.data.metrics["rank"] for run in runs}
    assert ranks == {"1": 1.0, "3": 3.0}  # the covariance changes no score: ranks are shared
    [parent] = {run.data.tags["mlflow.parentRunId"] for run in runs}
    assert client_of(tmp_path).get_run(parent).info.status == "FINISHED"
    for job in plan.jobs:
        metrics = json.loads((plan.place(job) / "metrics.json").read_text())
        [run] = [run for run in runs if run.data.tags["job"] == job.key]
        assert without_series(run.data.metrics) == metrics
        assert run.data.params["model"] == "ols" and run.data.params["features"] == "ff3"


def test_jobs_of_a_sweep_are_as_runs_of_their_own(sweep, tmp_path) -> None:
    _, plan, _ = sweep("a", "model.cov=nonrobust,HAC", "model.regressors=[MktRF],[MktRF,SMB]")
    for job in plan.jobs:
        assert (
            main([*job.overrides, f"hydra.run.dir={tmp_path}/alone{job.number}", "report=tables"])
            == 0
        )
        for name in ("coefficients.csv", "quality.csv", "metrics.json"):
            assert (tmp_path / f"alone{job.number}" / name).read_bytes() == (
                plan.place(job) / name
            ).read_bytes()


def test_processes_give_the_same_bits(sweep) -> None:
    words = ["model.cov=nonrobust,HC1,HAC", "data.start=1960-01-31"]
    _, here, _ = sweep("here", *words, "ledger=one.db")
    code, there, _ = sweep("there", *words, "ledger=two.db", "executor=processes")
    assert code == 0
    for one, other in zip(here.jobs, there.jobs, strict=True):
        for name in ("coefficients.csv", "metrics.json", "quality.csv"):
            assert (here.place(one) / name).read_bytes() == (there.place(other) / name).read_bytes()


def test_resume_of_a_finished_sweep_runs_and_logs_nothing(sweep, tmp_path, capsys) -> None:
    _, plan, _ = sweep("a", "model.cov=nonrobust,HAC")
    before = {run.info.run_id for run in children(tmp_path, plan)}
    assert main(["resume", "a"]) == 0
    assert "2 done before, 0 to run" in capsys.readouterr().err
    assert {run.info.run_id for run in children(tmp_path, plan)} == before


def test_resume_without_a_name_takes_the_only_unfinished_sweep_or_lists_them(
    sweep, tmp_path, capsys
) -> None:
    import os
    import shutil

    plans = {}
    for at, name in enumerate(("a", "b", "c")):
        _, plans[name], _ = sweep(name, "model.cov=nonrobust,HC1", f"data.start=19{at + 7}0-01-01")
        os.utime(plans[name].directory / "plan.json", ns=(at * 10**9, at * 10**9))
    assert main(["resume"]) == 2
    none = "resume: which sweep? None in 'outputs/sweeps' is unfinished; allowed: its name or its"
    assert none in capsys.readouterr().err
    for name in ("a", "c"):
        shutil.rmtree(plans[name].place(plans[name].jobs[1]))
    assert main(["resume"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        "error: resume: which sweep? Unfinished, the newest first: "
        "c (1 of 2 jobs done), a (1 of 2 jobs done)"
    )
    assert main(["resume", "a"]) == 0
    capsys.readouterr()
    assert main(["resume", "--quiet"]) == 0
    assert all(plans["c"].done(job) for job in plans["c"].jobs)


def test_lost_directories_and_runs_come_again(sweep, tmp_path) -> None:
    import shutil

    _, plan, _ = sweep("a", "model.cov=nonrobust,HC1,HAC")
    client, runs = client_of(tmp_path), children(tmp_path, plan)
    shutil.rmtree(plan.place(plan.jobs[0]))
    client.update_run(runs[0].info.run_id, status="RUNNING")
    client.set_terminated(runs[1].info.run_id, "FAILED")
    assert main(["resume", "a"]) == 0
    again = children(tmp_path, plan)
    assert sorted(run.data.tags["job"] for run in again) == sorted(job.key for job in plan.jobs)
    assert {run.info.status for run in again} == {"FINISHED"}


def test_jobs_finished_elsewhere_are_taken_over_unless_data_changed(sweep, tmp_path) -> None:
    import numpy as np
    import pandas as pd

    def write(seed: int) -> None:
        close = 100 * np.exp(np.random.default_rng(seed).normal(0, 0.01, (120, 3)).cumsum(axis=0))
        table = pd.DataFrame(close, pd.bdate_range("2020-01-01", periods=120), ["A", "B", "M"])
        long = (
            table.rename_axis("date")
            .melt(ignore_index=False, var_name="asset", value_name="close")
            .reset_index()
        )
        long.assign(volume=1.0).to_csv(tmp_path / "prices.csv", index=False)

    words = [
        "data=file", "data.path=prices.csv", "data.market=M", "data.assets=[A,B]", "features=market",
        "target=same_period_return", "model.cov=nonrobust,HC1",
    ]  # fmt: skip
    write(0)
    columns = ["+data.columns={date:date,asset:asset,close:close,volume:volume}"]
    code, first, said = sweep("a", *words)
    if code:
        words += columns
        code, first, said = sweep("a2", *words)
    assert code == 0, said
    _, _, said = sweep("b", *words, "model.regressors=[market_ret],null")
    assert "done before" in said
    write(1)
    code, changed, said = sweep("c", *words)
    assert code == 0
    assert "done before" not in said
    assert {job.key for job in changed.jobs}.isdisjoint(job.key for job in first.jobs)
    code = main(["resume", "a" if (tmp_path / "outputs/sweeps/a/0").exists() else "a2"])
    assert code == 0


def test_failures_are_told_logged_and_counted_and_the_rest_goes_on(sweep, tmp_path) -> None:
    code, plan, said = sweep("a", "data.assets=[S1V5],[NONE]", "model.cov=HC1,HAC")
    assert code == 1
    assert "2 of 4 jobs finished" in said
    assert "failed: jobs 2, 3: data.assets" in said
    runs = children(tmp_path, plan)
    assert sorted(run.info.status for run in runs) == ["FAILED", "FAILED", "FINISHED", "FINISHED"]
    [note] = {run.data.tags["mlflow.note.content"] for run in runs if run.info.status == "FAILED"}
    assert "data.assets: 'NONE' is unknown" in note


def test_no_password_of_a_spec_is_logged_or_kept(sweep, tmp_path) -> None:
    words = ["data.assets=[S1V5],[NONE]", "name=of http://me:hush@there", "report=tables"]
    code, plan, said = sweep("a", *words)
    assert code == 1 and "hush" not in said
    runs = children(tmp_path, plan)
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED"]
    assert all("***@there" in run.data.params["name"] for run in runs)
    assert "hush" not in (plan.directory / "plan.json").read_text()


def test_fail_fast_stops(sweep) -> None:
    words = [*signals("seconds: 0", "fail: true", "seconds: 0.01"), "sweep.fail_fast=true"]
    code, plan, said = sweep("a", *words)
    assert code == 1
    assert "bad luck" in said
    assert sum(plan.done(job) for job in plan.jobs) < 2


@pytest.mark.parametrize("launcher", ["inline", "processes"])
def test_a_job_has_its_time_and_its_retries(sweep, launcher) -> None:
    words = [
        *signals("seconds: 30", "seconds: 30, once: slept", "seconds: 0"),
        f"executor={launcher}",
    ]
    code, plan, said = sweep("a", *words, "sweep.timeout=3", "sweep.retries=1")
    assert code == 1
    assert "not done after 3 s (sweep.timeout)" in said
    assert [plan.done(job) for job in plan.jobs] == [False, True, True]


def test_a_killed_process_fails_its_job_and_no_other(sweep) -> None:
    words = [
        *signals("kill: true", "kill: true, once: killed", "seconds: 0.2"),
        "executor=processes",
    ]
    code, plan, said = sweep("a", *words, "sweep.retries=1")
    assert code == 1
    assert "killed by signal 9" in said
    assert [plan.done(job) for job in plan.jobs] == [False, True, True]


def test_the_ledger_counts_each_spec_once_over_sweeps_and_runs(sweep, tmp_path) -> None:
    _, plan, _ = sweep("a", "model.cov=nonrobust,HAC")
    sweep("b", "model.cov=HAC,HC1")
    for cov in ("HC1", "HC3"):  # on the rows of the jobs of a sweep: own rows would be another spec
        assert main([*FAST, f"model.cov={cov}", "++model.rows=common", "report=tables"]) == 0
    count = Ledger(tmp_path / "outputs" / "ledger.db").count(plan.jobs[0].family)
    assert (count.finished, count.failed, count.abandoned) == (4, 0, 0)


def test_a_server_takes_a_sweep_as_a_file_does(sweep, tmp_path, capsys) -> None:
    with mlflow_server(tmp_path) as uri:
        code, plan, _ = sweep("a", "model.cov=nonrobust,HAC", f"tracking.uri={uri}")
        assert code == 0
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name("factor-runner").experiment_id
        runs = client.search_runs([experiment], "tags.role = 'job'")
        assert {run.data.tags["job"] for run in runs} == {job.key for job in plan.jobs}
        assert {run.info.status for run in runs} == {"FINISHED"}
        for run in runs:
            assert "coefficients.csv" in {
                item.path for item in client.list_artifacts(run.info.run_id)
            }
        assert main(["resume", "a"]) == 0
        assert f"MLflow: {uri}/#/experiments/{experiment}/runs" in capsys.readouterr().out
        assert len(client.search_runs([experiment], "tags.role = 'job'")) == 2
        assert main(["rerun", runs[0].info.run_id, f"tracking.uri={uri}"]) == 0


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A real tracking server on loopback that serves artifacts too."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    place = [
        "--backend-store-uri",
        f"sqlite:///{folder}/server.db",
        "--artifacts-destination",
        f"{folder}/served",
    ]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--port",
        str(port),
        "--workers",
        "1",
        *place,
    ]
    env = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    nothing = subprocess.DEVNULL
    server = subprocess.Popen(
        command, cwd=folder, env=env, start_new_session=True, stdout=nothing, stderr=nothing
    )
    try:
        late = time.monotonic() + 300
        while time.monotonic() < late:
            try:
                with urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                    if answer.status == 200:
                        break
            except OSError:
                time.sleep(0.2)
            assert server.poll() is None
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def test_a_sweep_in_a_file(sweep, tmp_path) -> None:
    folder = tmp_path / "mine" / "sweep"
    folder.mkdir(parents=True)
    (folder / "errors.yaml").write_text(
        "defaults: [none]\nover: {model.cov: [nonrobust, HAC], model.confidence: '0.9,0.95'}\n"
    )
    (folder / "listed.yaml").write_text(
        "defaults: [none]\njobs: [[model.cov=HC1], [model.cov=HAC, model.cov_lags=3]]\n"
    )
    _, plan, _ = sweep("a", "--config-dir", "mine", "sweep=errors")
    assert len(plan.jobs) == 4
    _, plan, _ = sweep("b", "--config-dir", "mine", "sweep=listed", "model.confidence=0.9,0.99")
    assert [job.differs for job in plan.jobs][2] == (
        "model.cov=HAC",
        "model.cov_lags=3",
        "model.confidence=0.9",
    )


def test_same_specs_run_once(sweep) -> None:
    _, plan, said = sweep("a", "model.cov=HC1,HC1", "data.assets=[S1V5],['S1V5']")
    assert len(plan.jobs) == 1
    assert "3 combinations with the spec of another" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["model.cov=HC1,HC7"], "job 1 (model.cov=HC7): model.cov: 'HC7' is unknown"),
        (
            ["model.cov=HC7,HC1,HC8", "data.assets=[S1V5],[S5V5]"],
            "2 of 6 jobs (model.cov=HC7): model.cov: 'HC7' is unknown",
        ),
        (
            ["model.penalty=interval(0,1)"],
            "model.penalty: an interval; allowed with sweep.search=random or bayes",
        ),
        (
            ["model.cov=a,b", "sweep.search=zip", "model.by=asset,date,null"],
            "model.cov has 2, model.by has 3",
        ),
        (["sweep.search=random", "model.cov=HC1,HC2"], "sweep.draws: given null"),
        (["executor=slrum", "model.cov=HC1,HC2"], "did you mean 'slurm'?"),
        (["executor=processes", "executor.workers=0", "model.cov=HC1,HC2"], "executor.workers"),
        (["model.cov=HC1,HC2", "sweep.retries=-1"], "sweep.retries: given -1"),
    ],
)
def test_wrong_sweeps_are_refused_before_the_first_job(sweep, tmp_path, words, said) -> None:
    code, plan, told = sweep("a", *words)
    assert (code, plan) == (2, None)
    assert said in told
    assert not (tmp_path / "outputs").exists()


def test_a_mistake_of_several_jobs_is_told_once_and_different_ones_each(sweep) -> None:
    _, _, told = sweep("a", "model.cov=HC1,HC7,HC8", "data.assets=[S1V5],[S5V5],[S3V3]")
    lines = [line for line in told.splitlines() if line.startswith("error: ")]
    assert [line.partition(": model.cov: ")[0] for line in lines] == [
        "error: 3 of 9 jobs (model.cov=HC7)",
        "error: 3 of 9 jobs (model.cov=HC8)",
    ]


def test_random_draws_differ_repeat_and_keep_to_their_intervals() -> None:
    axes = [
        Axis("a", ("a=1", "a=2", "a=3")),
        Axis("b", (), 0.01, 100.0, log=True),
        Axis("c", (), -1.0, 1.0),
    ]
    random = search_of(Sweep(search="random"), ())
    drawn = combinations(axes, Sweep(search="random", draws=200, seed=3), random)
    assert drawn == combinations(axes, Sweep(search="random", draws=200, seed=3), random)
    assert len(set(drawn)) == 200
    b = sorted(float(one[1].partition("=")[2]) for one in drawn)
    assert 0.01 <= b[0] < 0.05 and 20 < b[-1] <= 100.0
    assert 0.5 < b[100] < 2.0  # the median of a draw that is even in the logarithm
    assert len(combinations(axes[:1], Sweep(search="random", draws=50), random)) == 3
    with pytest.raises(SpecError, match="combinations"):
        combinations(
            [Axis(str(k), tuple("abcdefghij")) for k in range(6)], Sweep(), search_of(Sweep(), ())
        )


def test_scores_lead_a_search_and_a_resumed_one_goes_the_same_way(sweep, tmp_path) -> None:
    pytest.importorskip("optuna")
    words = [
        "model=ridge", "validation=holdout_2000", "model.standardise=true,false", "sweep.search=bayes",
        "model.penalty=tag(log,interval(0.01,1000))", "ledger=one.db",
    ]  # fmt: skip
    code, whole, _ = sweep("whole", *words, "sweep.draws=6")
    assert code == 0 and len(whole.jobs) == 6
    sweep("half", *words, "sweep.draws=3", "ledger=two.db")
    plan = json.loads((tmp_path / "outputs/sweeps/half/plan.json").read_text())
    plan["settings"]["draws"] = 6
    (tmp_path / "outputs/sweeps/half/plan.json").write_text(json.dumps(plan))
    assert main(["resume", "half", "--trust"]) == 0
    half = read(tmp_path / "outputs/sweeps/half")
    assert [job.differs for job in half.jobs] == [job.differs for job in whole.jobs]


def test_two_conductors_of_one_sweep_are_refused(sweep, capsys) -> None:
    _, plan, _ = sweep("a", "model.cov=HC1,HC2")
    with locked(plan.directory):
        assert main(["resume", "a"]) == 2
    assert "another process runs it" in capsys.readouterr().err


def test_an_abandoned_sweep_counts_what_had_begun(sweep, tmp_path, monkeypatch) -> None:
    from runner.sweeps import work as module

    real, jobs = module.compute, []

    def interrupted(*given: object, **by_name: object) -> object:
        jobs.append(given)
        if len(jobs) == 2:
            raise KeyboardInterrupt
        return real(*given, **by_name)

    monkeypatch.setattr(module, "compute", interrupted)
    code, plan, _ = sweep("a", "model.cov=HC1,HC2,HAC")
    assert code == 130
    count = Ledger(tmp_path / "outputs" / "ledger.db").count(plan.jobs[0].family)
    assert (count.finished, count.abandoned) == (1, 1)
    parent = next(
        run for run in client_of(tmp_path).search_runs(["1"]) if run.data.tags["role"] == "sweep"
    )
    assert parent.info.status == "KILLED"
    monkeypatch.setattr(module, "compute", real)
    assert main(["resume", "a"]) == 0
    assert len(children(tmp_path, plan)) == 3


def test_a_full_disk_fails_its_jobs_and_a_resume_makes_them(
    sweep, tmp_path, monkeypatch, capsys
) -> None:
    import errno

    from runner.sinks import files

    real, left = files.write, [1]

    def write(*given: object) -> None:
        if not left:
            raise OSError(errno.ENOSPC, "No space left on device")
        left.pop()
        real(*given)

    monkeypatch.setattr(files, "write", write)
    code, plan, said = sweep("a", "model.cov=HC1,HC2,HAC")
    assert code == 1
    assert "No space left on device" in said
    assert [plan.done(job) for job in plan.jobs].count(True) == 1
    assert not list(plan.directory.glob("*.unfinished"))
    monkeypatch.setattr(files, "write", real)
    assert main(["resume", "a"]) == 0
    assert "1 done before, 2 to run" in capsys.readouterr().err
    assert {run.info.status for run in children(tmp_path, plan)} == {"FINISHED"}
    assert len(children(tmp_path, plan)) == 3


def test_moments_are_those_of_a_panel_that_was_made_again() -> None:
    from runner.cli.composition import Composer
    from runner.compute.cache import Bench
    from runner.experiment.run import run

    experiment, bench = Composer().job([*FAST, "report=tables"]).experiment, Bench()
    first = run(experiment, bench)
    for key in [key for key in bench.things if key.startswith("panel-")]:
        del bench.things[key]  # as when there was no room for it
    again = run(experiment, bench)
    assert again.panel.X is not first.panel.X
    assert again.panel.shared.are_of(again.panel.cells)
    assert again.metrics == first.metrics


def test_what_a_killed_sweep_left_running_is_ended_when_one_looks(
    sweep, tmp_path, monkeypatch
) -> None:
    from runner.cli import ui

    monkeypatch.setattr(ui, "serve", lambda *given: 0)
    sweep("a", "model.cov=HC1,HC2")
    client = client_of(tmp_path)
    experiment = client.get_experiment_by_name("factor-runner").experiment_id
    [parent] = client.search_runs([experiment], "tags.role = 'sweep'")
    looks = {
        "sync": lambda: main(["sync"]),
        "ui": lambda: main(["ui"]),
        "ui of the sweep": lambda: main(["ui", "--sweep", "a"]),
        "another sweep": lambda: sweep("b", "model.cov=HC0,HC3")[0],
    }
    for look, act in looks.items():
        client.update_run(parent.info.run_id, status="RUNNING")
        with locked(tmp_path / "outputs/sweeps/a"):  # as long as a process conducts it, it runs
            assert main(["sync"]) == 0
            assert client.get_run(parent.info.run_id).info.status == "RUNNING", look
        assert act() == 0, look
        assert client.get_run(parent.info.run_id).info.status == "KILLED", look


def test_a_strategy_of_an_analysis_of_ones_own_is_judged(sweep, tmp_path) -> None:
    (tmp_path / "own_analysis.py").write_text(OWN_STRATEGY)
    own = ["allow=[own_analysis]", "+analyses.own={_target_:own_analysis.strategy}"]
    code, plan, _ = sweep(
        "own", *own, "validation=holdout_2000", "model.regressors=[MktRF],[MktRF,SMB]"
    )
    assert code == 0
    table = pd.read_csv(plan.directory / "report" / "strategies.csv")
    assert list(table["strategy"]) == ["own", "own"] and len(set(table["job"])) == 2
    for number, sharpe in enumerate(table["sharpe"]):
        predictions = pd.read_parquet(plan.directory / str(number) / "predictions.parquet")
        returns = (predictions["y"] * np.sign(predictions["prediction"]) / 100).iloc[1:]
        assert sharpe == pytest.approx(returns.mean() / returns.std(), rel=1e-9)


def test_jobs_of_an_older_version_have_no_verdict_and_say_why(sweep) -> None:
    _, plan, _ = sweep("a", "model.cov=nonrobust,HAC")
    for job in plan.jobs:
        path = plan.place(job) / "run.json"
        told = json.loads(path.read_text())
        kept = {
            name: value
            for name, value in told.items()
            if name not in ("doubts", "no_influence", "horizon")
        }
        path.write_text(json.dumps(kept))
    judged = verdict(plan)
    tests = len(judged.tests)
    assert judged.sentence == (
        f"No verdict for {tests} of {tests} tests: written by an older version, which kept nothing of what its "
        "p-values rest on; to have one, run the job again."
    )
    assert judged.tests["survives"].isna().all() and judged.strategies.empty
    assert judged.notes == (
        "Strategies and forecasts of 2 jobs written by an older version are not judged.",
    )
    assert main(["resume", "a"]) == 0
    assert "written by an older version" in (plan.directory / "report" / "report.html").read_text()


def test_a_reason_that_all_jobs_share_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("day,name,price\n2020-01-01,A,1.0\n")
    spec = ["experiment=none", "data=file", "data.path=prices.csv", "data.columns.date=Datum"]
    done = call_cli(tmp_path, "-m", *spec, "features=lagged_returns", "model.cov=HC0,HC1,HC2")
    assert done.code == 1
    assert done.err.count("column 'Datum' is unknown") == 2, "once as it failed, once at the end"
    assert "error: job 1: as job 0" in done.err
    assert "failed: jobs 0, 1, 2: data.columns.date" in done.err
