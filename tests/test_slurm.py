"""Sweeps on a real Slurm of one node, started here where its programs are and the user is root."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import calls
import numpy as np
import pytest
from starting import start
from sweeping import (
    WORDS,
    assert_each_job_once,
    done,
    numbers,
    processes_in,
    run,
    sweep_of,
    wait_for,
)

from runner.compute import Slurm
from runner.errors import LostWorkerError

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
MISSING = [name for name in PROGRAMS if not shutil.which(name)]
WHY = (
    f"no {', '.join(MISSING)}: see tests/slurm_one_node.sh"
    if MISSING
    else "only root can start Slurm's daemons"
)
needs_slurm = pytest.mark.skipif(bool(MISSING) or os.getuid() != 0, reason=WHY)
ON = ("executor=slurm", "executor.parameters.time=10", "allow=[awkward]")
AWKWARD = '''
import os, signal, subprocess, time
from pathlib import Path

import pandas as pd

from runner.analyses import Finding


def awkward(study, *, at: int, kill: int = -1, cancel: int = -1, once: bool = True, seconds: float = 0.0):
    """Waits; ends the Slurm job that it is in, at the numbers that are named, once or always."""
    flag = Path(f"flag{at}")
    if "SLURM_JOB_ID" in os.environ and at in (kill, cancel) and not (once and flag.exists()):
        flag.touch()
        if at == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        subprocess.run(["scancel", os.environ["SLURM_JOB_ID"]])
        time.sleep(60)
    time.sleep(seconds)
    return Finding(pd.DataFrame({"at": [at]}), {"threads": float(os.environ["OMP_NUM_THREADS"])})
'''


def varied(**settings: object) -> list[str]:
    """Eight jobs, each with an analysis that may misbehave."""
    told = "".join(f",{name}:{value}" for name, value in settings.items())
    return [
        "+analyses.a={_target_:awkward.awkward,at:0" + told + "}",
        "analyses.a.at=0,1,2,3,4,5,6,7",
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "awkward.py").write_text(AWKWARD)
    return tmp_path


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    place = tmp_path_factory.mktemp("slurm")
    script = Path(__file__).with_name("slurm_one_node.sh")
    daemons = subprocess.Popen(["sh", str(script), str(place)], stdout=subprocess.PIPE, text=True)
    try:
        assert daemons.stdout.readline() == "ready\n"
        before = os.environ.get("SLURM_CONF")
        os.environ["SLURM_CONF"] = str(place / "slurm.conf")
        yield place
    finally:
        os.environ.pop("SLURM_CONF", None) if before is None else os.environ.update(
            SLURM_CONF=before
        )
        daemons.terminate()
        daemons.wait(30)


def slurm_jobs() -> list[str]:
    """Ids of those that wait or run."""
    command = ["squeue", "--noheader", "--format=%i"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@needs_slurm
def test_slurm_gives_what_this_process_gives_and_a_killed_slurm_job_comes_again(
    slurm, folder: Path
) -> None:
    words = [*varied(kill=3, cancel=5), *WORDS, *ON, "sweep.retries=1"]
    code, said = run(folder, "-m", *words)
    assert code == 0, said
    assert (folder / "flag3").exists() and (folder / "flag5").exists()
    found = numbers(folder)
    assert all('"a/threads": 1.0' in text for text in found.values()), found
    words = [*varied(kill=3, cancel=5), WORDS[0], WORDS[1], "allow=[awkward]"]
    inline = ["ledger=other.db", "hydra.sweep.dir=outputs/sweeps/inline"]
    assert run(folder, "-m", *words, *inline)[0] == 0
    alone = {
        path.parent.name: path.read_text()
        for path in folder.glob("outputs/sweeps/inline/*/metrics.json")
    }
    assert found == alone


@needs_slurm
def test_a_killed_slurm_job_fails_the_job_that_it_was_at_and_no_other(slurm, folder: Path) -> None:
    code, said = run(folder, "-m", *varied(kill=2, once="false"), *WORDS, *ON)
    assert code == 1
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert (
        len(errors) == 1
        and "job 2 " in errors[0]
        and "it was killed or failed (FAILED)" in errors[0]
    ), said
    assert sorted(numbers(folder)) == [str(n) for n in range(8) if n != 2]
    assert "7 of 8 jobs finished" in said


@needs_slurm
@pytest.mark.parametrize(
    ("ended", "how"), [(0, signal.SIGKILL), (3, signal.SIGKILL), (2, signal.SIGINT)]
)
def test_after_the_conductor_was_ended_resume_gives_every_job_once(
    slurm, folder: Path, ended: int, how: int
) -> None:
    process = start(folder, "-m", *varied(seconds=1.5), *WORDS, *ON)
    wait_for(lambda: slurm_jobs() and done(folder) >= ended, end=lambda: process.poll() is not None)
    os.kill(process.pid, how)
    code = process.wait()
    expected = 130 if how == signal.SIGINT else -signal.SIGKILL
    assert code == expected, process.err.read_text()
    if how == signal.SIGINT:
        wait_for(lambda: not slurm_jobs())
    assert done(folder) < 8
    code, said = run(folder, "resume", "s")
    assert code == 0, said
    assert len(numbers(folder)) == 8
    assert_each_job_once(folder, numbers(folder))
    wait_for(lambda: not slurm_jobs())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "awkward.py").write_text(AWKWARD)
    code, said = run(folder, "-m", *varied(seconds=0.3), *WORDS, "allow=[awkward]")
    assert code == 0, said
    return numbers(folder)


@needs_slurm
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 250))
def test_killed_at_many_moments_on_slurm(
    slurm, folder: Path, undisturbed: dict[str, str], seed: int
) -> None:
    """A process of a Slurm job is killed every other time, then the conductor, at some moment."""
    chance = random.Random(seed)
    process = start(folder, "-m", *varied(seconds=0.3), *WORDS, *ON, "sweep.retries=2")
    ended, told = chance.randrange(8), ""
    wait_for(lambda: done(folder) >= ended, end=lambda: process.poll() is not None)
    if seed % 2:
        wait_for(lambda: len(processes_in(folder)) > 1, end=lambda: process.poll() is not None)
        time.sleep(chance.uniform(0.0, 0.5))
        for worker in [one for one in processes_in(folder) if one != process.pid][:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                told = ", a process of a Slurm job killed"
    wait = chance.uniform(0.0, 1.0 if ended else 8.0)
    time.sleep(wait)
    over = process.poll() is not None
    process.kill()
    on_disk = done(folder)
    planned = (sweep_of(folder) / "plan.json").exists()
    again = ["resume", "s"] if planned else ["-m", *varied(seconds=0.3), *WORDS, *ON]
    code, said = run(folder, *again)
    assert code == 0, said
    assert_each_job_once(folder, undisturbed)
    wait_for(lambda: not slurm_jobs())
    ending = "at its end already" if over else f"conductor killed {wait:.2f} s later"
    print(f"seed {seed}: {ended} done{told}, {ending}, {on_disk} on disk; every job once")


@needs_slurm
def test_slurm_jobs_that_a_killed_conductor_left_are_ended_and_no_others(
    slurm, folder: Path
) -> None:
    from runner.sweeps.slurm import cancel

    plan = plan_of(folder)
    for name in (f"sweep-{plan.id}", f"sweep-{plan.id}", "another"):
        command = ["sbatch", "-o", "/dev/null", f"--job-name={name}", "--wrap", "sleep 100"]
        subprocess.run(command, check=True, capture_output=True)
    *_, other = sorted(slurm_jobs(), key=int)
    cancel(plan)
    assert slurm_jobs() == [other]
    subprocess.run(["scancel", other], check=True)
    wait_for(lambda: not slurm_jobs())


@needs_slurm
def test_what_slurm_refuses_is_one_line_and_starts_nothing(slurm, folder: Path) -> None:
    for word, line in {
        "executor.parameters.partition=nowhere": "executor: slurm: sbatch: error: Batch job submission failed: Invalid",
        "executor.parameters.partitoin=debug": "executor.parameters: 'partitoin' is unknown; allowed: account",
        "executor.parameters.job_name=mine": "executor.parameters: 'job_name' is unknown; allowed: account",
    }.items():
        code, said = run(folder, "-m", "model.cov=HC0,HC1", *WORDS, "executor=slurm", word)
        errors = [one for one in said.splitlines() if one.startswith("error: ")]
        assert code == 2 and len(errors) == 1 and line in errors[0], said
    assert not slurm_jobs()


@needs_slurm
def test_blocks_on_slurm_give_the_same_bits_and_a_lost_one_comes_again(
    slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    lives = tmp_path / "lives"
    lives.write_text("x")
    items = [calls.Deadly(str(lives), value) for value in range(3)]
    with Slurm(parameters={"time": 10}) as executor:
        results = dict(executor.results(calls.moments, range(3)))
        assert sorted(executor.results(calls.deadly, items)) == [(0, 0), (1, 1), (2, 2)]
        with pytest.raises(LookupError, match="its own"):
            list(executor.results(calls.fails, range(3)))
        lives.write_text("x" * 20)
        with pytest.raises(LostWorkerError, match=r"Slurm job \d+: it was killed or failed"):
            list(executor.results(calls.deadly, items[:1]))
    for seed in range(3):
        np.testing.assert_array_equal(results[seed], calls.moments(seed), strict=True)
    wait_for(lambda: not slurm_jobs())


def test_without_slurm_there_is_one_line_and_no_directory(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, said = run(tmp_path, "-m", "model.cov=HC0,HC1", *WORDS, "executor=slurm")
    assert code == 2
    assert said == (
        "error: executor: slurm: no sbatch and srun here; allowed: a machine that submits to Slurm\n"
    )
    assert not sweep_of(tmp_path).exists()


def test_without_submitit_there_is_one_line(monkeypatch) -> None:
    from runner.errors import SpecError

    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(SpecError) as caught:
        Slurm.check({})
    assert caught.value.mistakes == (
        "executor: slurm needs submitit; pip install 'factor-runner[slurm]'",
    )


def plan_of(folder: Path, *jobs: Any) -> Any:
    """The plan of a sweep on Slurm."""
    from runner.sweeps.plan import Plan
    from runner.sweeps.settings import Sweep

    nowhere: Any = {"tracking": {"uri": None}, "ledger": "ledger.db"}
    return Plan(folder, Sweep(), (None, None, None), (), (), (), jobs, **nowhere)


def lost(tmp_path: Path, told: int, state: str) -> tuple[list[int], list[int], str]:
    """A Slurm job ended so with jobs 1 and 2 to do, beside 3 that waits: who failed, who waits now, and why."""
    from runner.sweeps.plan import Job
    from runner.sweeps.slurm import Chunk, _lost

    jobs = [Job(number, (), (), {}) for number in range(4)]
    plan = plan_of(tmp_path, *jobs)
    chunk, waiting = Chunk(jobs[1:3], told), jobs[3:]
    assert not list(_lost(plan, "7", chunk, "RUNNING", waiting))
    assert (
        not list(_lost(plan, "7", chunk, state, waiting)) and chunk.left
    )  # its last outcome may be seen late
    failed = list(_lost(plan, "7", chunk, state, waiting))
    assert not chunk.left
    whys = [plan.failure(job) for job in failed]
    assert not any(why.final for why in whys)
    return (
        [job.number for job in failed],
        [job.number for job in waiting],
        "".join(why.mistakes[0] for why in whys),
    )


@pytest.mark.parametrize("told", [0, 1])
@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("OUT_OF_MEMORY", "out of memory"),
        ("NODE_FAIL", "its node failed"),
        ("CANCELLED", "cancelled"),
    ],
)
def test_what_ends_a_slurm_job_fails_the_job_at_hand_and_the_rest_waits(
    tmp_path: Path, told: int, state: str, words: str
) -> None:
    failed, waiting, why = lost(tmp_path, told, state)
    assert (failed, waiting) == ([1], [2, 3])
    assert (
        why.startswith("Slurm job 7: ")
        and words in why
        and f"({state})" in why
        and "7_0_log.err" in why
    )


@pytest.mark.parametrize("state", ["TIMEOUT", "PREEMPTED", "COMPLETED"])
def test_a_slurm_job_whose_time_is_over_after_some_jobs_fails_none(
    tmp_path: Path, state: str
) -> None:
    assert lost(tmp_path, 1, state) == ([], [1, 2, 3], "")
    assert lost(tmp_path, 0, state)[:2] == ([1], [2, 3])  # else it would come again for ever
