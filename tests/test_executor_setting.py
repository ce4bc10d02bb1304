"""`executor`: who runs the jobs of a sweep, under its name and the earlier ones, on Dask too."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import Cluster, cluster
from conftest import Outcome, call_cli
from starting import start
from sweeping import assert_each_job_once, done, numbers, sweep_of, wait_for

from runner.compute import Dask
from runner.compute.executors import dask
from runner.errors import RunnerError, SpecError
from runner.experiment.settings import INLINE, executor_of
from runner.record.identity import job_key
from runner.sweeps.earlier import executor_in
from runner.sweeps.plan import PLAN, read

SPEC = (
    "experiment=none",
    "data.assets=[S1V5]",
    "target=excess_return",
    "validation=none",
    "audit=off",
)
COVS = "model.cov=nonrobust,HC0,HC1,HC2"
HERE = "hydra.sweep.dir=outputs/sweeps/s"
SWEEP = ("-m", *SPEC, COVS, HERE)
JOBS = 4
SECONDS = 15.0  # in which an address that does not answer is told
SLOW = """
import os, time
def slow(market, *, seconds: float = 0.0, folder: str = "", at: int = 0):
    open(os.path.join(folder, f"begun{at}.{os.getpid()}"), "w").close()
    time.sleep(seconds)
    return market.returns(1).shift(1)
"""


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Metrics of the jobs, as this process gives them."""
    folder = tmp_path_factory.mktemp("inline")
    ended = call_cli(folder, *SWEEP)
    assert ended.code == 0, ended.err
    return numbers(folder)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of two workers, which work elsewhere."""
    with cluster(tmp_path_factory.mktemp("elsewhere")) as made:
        made.worker()
        made.worker()
        yield made


def planned(folder: Path) -> dict[str, object]:
    """The node of the executor that the sweep was planned with."""
    return dict(read(sweep_of(folder)).executor)


@pytest.mark.parametrize("name", ["threads", "dask"])
def test_a_sweep_has_the_same_bits_whoever_runs_it(
    name: str, tmp_path: Path, inline: dict[str, str]
) -> None:
    ended = call_cli(tmp_path, *SWEEP, f"executor={name}")
    assert ended.code == 0, ended.err
    assert "distributed" not in ended.err
    assert numbers(tmp_path) == inline


def test_a_cluster_that_runs_elsewhere_gives_the_same_bits(
    running: Cluster, tmp_path: Path, inline: dict[str, str]
) -> None:
    words = ("executor=dask", f"executor.address={running.address}")
    ended = call_cli(tmp_path, *SWEEP, *words)
    assert ended.code == 0, ended.err
    assert numbers(tmp_path) == inline
    assert list(running.folder.glob("outputs*")) == []


def test_a_worker_that_is_killed_costs_no_job_and_doubles_none(
    running: Cluster, tmp_path: Path
) -> None:
    victim = running.worker()
    (tmp_path / "slow.py").write_text(SLOW)
    values = ",".join(
        f"{{_target_:slow.slow,seconds:0.6,folder:{tmp_path},at:{at}}}" for at in range(8)
    )
    words = [*SPEC[:3], "validation=none", "audit=off", "allow=[slow]", "features=none"]
    on = ("executor=dask", f"executor.address={running.address}")
    process = start(tmp_path, "-m", *words, f"+features.x={values}", HERE, *on)
    mine = f"begun*.{victim.pid}"
    wait_for(lambda: list(tmp_path.glob(mine)), end=lambda: process.poll() is not None)
    victim.send_signal(signal.SIGKILL)
    assert process.wait(120) == 0, process.err.read_text()
    assert done(tmp_path) == 8
    assert_each_job_once(tmp_path, numbers(tmp_path))
    begun = [path.name.partition(".")[0] for path in tmp_path.glob("begun*")]
    assert len(begun) == 9  # the one that was lost, twice
    assert len(set(begun)) == 8


def test_a_worker_that_does_not_see_the_directory_is_one_line(
    running: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Dask(address=running.address) as executor:
        monkeypatch.setattr(dask.os, "getcwd", lambda: str(tmp_path / "there"))
        with pytest.raises(RunnerError, match=r"the worker tcp:.* does not see .*there") as told:
            list(executor.results(str, ["x"]))
    assert "\n" not in str(told.value)
    assert "allowed: a directory that every worker sees too" in str(told.value)


def test_a_sweep_that_a_worker_does_not_find_is_one_line(
    running: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask.os, "getcwd", lambda: str(running.folder))
    ended = call_cli(tmp_path, *SWEEP, "executor=dask", f"executor.address={running.address}")
    assert ended.code == 2
    assert len(ended.errors) == 1
    assert "executor: a worker cannot join: it does not see" in ended.errors[0]


def test_an_address_that_does_not_answer_is_one_line_before_data_are_read(tmp_path: Path) -> None:
    begun = time.monotonic()
    words = ("executor=dask", "executor.address=tcp://127.0.0.1:9")
    ended = call_cli(tmp_path, *SWEEP, *words)
    assert time.monotonic() - begun < SECONDS
    assert refused_with(ended, "executor.address: no scheduler of Dask at 'tcp://127.0.0.1:9'")


def test_without_its_package_dask_is_one_line_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask, "find_spec", lambda name: None)
    line = "executor: dask needs distributed; pip install 'factor-runner[dask]'"
    assert refused_with(call_cli(tmp_path, *SWEEP, "executor=dask"), line)
    assert refused_with(call_cli(tmp_path, *SPEC, "executor=dask"), line)


def test_jobs_in_threads_have_no_time_limit(tmp_path: Path) -> None:
    ended = call_cli(tmp_path, *SWEEP, "executor=threads", "sweep.timeout=60")
    assert refused_with(ended, "sweep.timeout: 60 s for jobs in threads of threads")


def refused_with(ended: Outcome, line: str) -> bool:
    """Whether this line and no other refused it, and nothing was written."""
    assert ended.code == 2, ended.err
    assert len(ended.errors) == 1, ended.err
    assert line in ended.errors[0]
    assert "Traceback" not in ended.err
    return True


@pytest.mark.parametrize(
    ("words", "node", "told"),
    [
        (
            ("sweep.launcher=processes", "sweep.workers=3"),
            {"_target_": "runner.compute.Processes", "workers": 3},
            "earlier names: sweep.launcher, sweep.workers; "
            "now: executor=processes executor.workers=3",
        ),
        (("sweep.workers=3",), dict(INLINE), "now: executor=inline"),
        (
            ("sweep.launcher={_target_: concurrent.futures.ThreadPoolExecutor, max_workers: 2}",),
            {"_target_": "concurrent.futures.ThreadPoolExecutor", "max_workers": 2},
            "now: executor={_target_: ...}",
        ),
        (("executor=threads", "sweep.launcher=processes"), {"workers": 2}, "now: executor="),
    ],
)
def test_earlier_names_are_read_and_told(
    words: tuple[str, ...], node: dict[str, object], told: str, tmp_path: Path
) -> None:
    allow = "allow=[concurrent.futures]"
    ended = call_cli(tmp_path, "-m", *SPEC, "model.cov=HC0", HERE, allow, *words)
    assert ended.code == 0, ended.err
    assert planned(tmp_path).items() >= node.items()
    assert ended.err.count("earlier names: ") == 1
    assert told in ended.err


def test_earlier_names_of_a_file_count_where_the_command_line_gives_no_others(
    tmp_path: Path,
) -> None:
    (tmp_path / "mine" / "sweep").mkdir(parents=True)
    text = "defaults: [none]\nlauncher: processes\nworkers: 3\nover: {model.cov: [HC0]}\n"
    (tmp_path / "mine" / "sweep" / "old.yaml").write_text(text)
    words = ("-m", "--config-dir", "mine", *SPEC, "sweep=old", HERE)
    assert call_cli(tmp_path, *words, "executor.workers=1").code == 2  # inline has no workers
    assert call_cli(tmp_path, *words, "executor=threads", "executor.workers=1").code == 0
    assert planned(tmp_path) == {"_target_": "runner.compute.Threads", "workers": 1}
    assert call_cli(tmp_path, *words, "ledger=two.db").code == 0
    assert planned(tmp_path) == {"_target_": "runner.compute.Processes", "workers": 3}


def test_a_plan_of_before_is_resumed(tmp_path: Path, inline: dict[str, str]) -> None:
    assert call_cli(tmp_path, *SWEEP).code == 0
    path = sweep_of(tmp_path) / PLAN
    plan = json.loads(path.read_text())
    del plan["executor"]
    plan["settings"] |= {"launcher": "processes", "workers": 1, "slurm": {}}
    path.write_text(json.dumps(plan))
    assert planned(tmp_path) == {"_target_": "runner.compute.Processes", "workers": 1}
    assert call_cli(tmp_path, "resume", "s", "--trust").code == 0
    assert numbers(tmp_path) == inline


def test_another_executor_goes_on_with_a_sweep(tmp_path: Path, inline: dict[str, str]) -> None:
    assert call_cli(tmp_path, *SWEEP).code == 0
    os.rename(sweep_of(tmp_path) / "2", tmp_path / "away")
    ended = call_cli(tmp_path, "resume", "s", "executor=threads", "ledger=two.db")
    assert ended.code == 0, ended.err
    assert planned(tmp_path)["_target_"] == "runner.compute.Threads"
    assert numbers(tmp_path) == inline


def test_who_computes_a_job_makes_it_no_other_job(tmp_path: Path) -> None:
    spec = {"data": {"x": 1}}
    assert job_key({**spec, "executor": {"_target_": "a"}}, "f", "c") == job_key(spec, "f", "c")
    assert call_cli(tmp_path, *SWEEP, "executor=inline,threads").code == 0
    assert done(tmp_path) == JOBS


def test_settings_of_slurm_by_their_earlier_name() -> None:
    sweep = {"launcher": "slurm", "workers": 5, "slurm": {"partition": "short"}}
    assert executor_in(sweep, INLINE) == {
        "_target_": "runner.compute.Slurm",
        "workers": 5,
        "parameters": {"partition": "short"},
    }
    given = executor_in(sweep, {"_target_": "runner.compute.Slurm"}, ["executor.workers"])
    assert "workers" not in given


def test_an_executor_that_refuses_its_settings_is_one_line() -> None:
    with pytest.raises(SpecError, match=r"executor\.workers: "):
        executor_of({"_target_": "runner.compute.Threads", "workers": 0}, [])
