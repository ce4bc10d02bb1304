"""Sweeps killed without a word at any moment: `resume` gives every job, once, with the same bits."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest
from starting import Started, start
from sweeping import (
    COVS,
    WORDS,
    assert_each_job_once,
    done,
    numbers,
    processes_in,
    run,
    sweep_of,
    wait_for,
)
from test_tracking import client_of

from runner.record.version import code_version, source_commit

JOBS = 6
AFTER = 0.8  # most seconds from a job's end to the kill: about what two jobs take
BEFORE = 4.0  # most seconds from the start to the kill, where no job has to have ended
LAUNCHERS = {
    "inline": ["executor=inline"],
    "processes": ["executor=processes", "executor.workers=2", "sweep.retries=1"],
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    code, said = run(folder, "-m", COVS, *WORDS)
    assert code == 0, said
    assert len(numbers(folder)) == JOBS
    assert_each_job_once(folder, numbers(folder))
    return numbers(folder)


def version() -> str:
    """What the key of a job has of the code: while that changes under the test, nothing can be resumed."""
    for known in (source_commit, code_version):
        known.cache_clear()
    return code_version()


def workers_of(process: Started) -> list[int]:
    """Its own processes that run jobs."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process.pid and b"spawn_main" in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return found


def disturb(folder: Path, launcher: str, seed: int) -> str:
    """Start the sweep, kill a worker every other time, kill the conductor; what was done."""
    chance = random.Random(seed)
    process = start(folder, "-m", COVS, *WORDS, *LAUNCHERS[launcher])
    ended = chance.randrange(JOBS)
    wait_for(lambda: done(folder) >= ended, end=lambda: process.poll() is not None)
    told = f"{launcher}: {ended} done"
    if launcher == "processes" and seed % 2:
        time.sleep(chance.uniform(0, AFTER / 4))
        for worker in workers_of(process)[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
                told += ", a worker killed"
    wait = chance.uniform(0, AFTER if ended else BEFORE)
    time.sleep(wait)
    over = process.poll() is not None
    process.kill()
    return f"{told}, {'at its end already' if over else f'killed {wait:.2f} s later'}, {done(folder)} on disk"


def resumed(folder: Path, launcher: str) -> None:
    """Go on, with the command itself where there was no plan yet."""
    planned = (sweep_of(folder) / "plan.json").exists()
    words = ["resume", "s"] if planned else ["-m", COVS, *WORDS, *LAUNCHERS[launcher]]
    code, said = run(folder, *words)
    assert code == 0, said


def once(folder: Path, launcher: str, seed: int, expected: dict[str, str]) -> None:
    before = version()
    told = disturb(folder, launcher, seed)
    resumed(folder, launcher)
    if version() != before:
        pytest.skip("the checkout was edited while this ran")
    assert_each_job_once(folder, expected)
    assert not processes_in(folder)
    print(f"seed {seed}: {told}; every job once")


@pytest.mark.parametrize("seed", range(1))
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_killed_at_some_moment(
    tmp_path: Path, undisturbed: dict[str, str], launcher: str, seed: int
) -> None:
    once(tmp_path, launcher, seed, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_killed_at_many_moments(
    tmp_path: Path, undisturbed: dict[str, str], launcher: str, seed: int
) -> None:
    once(tmp_path, launcher, seed, undisturbed)


def statuses(folder: Path) -> dict[str, set[str]]:
    """Of the runs in MLflow, by their role."""
    client, found = client_of(folder), dict[str, set[str]]()
    for one in client.search_runs([client.get_experiment_by_name("factor-runner").experiment_id]):
        found.setdefault(one.data.tags["role"], set()).add(one.info.status)
    return found


@pytest.mark.slow
def test_killed_again_and_again(tmp_path: Path, undisturbed: dict[str, str]) -> None:
    """The conductor is killed each time that two jobs more are there."""
    process = start(tmp_path, "-m", COVS, *WORDS, *LAUNCHERS["processes"])
    for jobs in (2, 4):
        wait_for(lambda: done(tmp_path) >= jobs, end=lambda: process.poll() is not None)  # noqa: B023
        process.kill()
        assert run(tmp_path, "sync")[0] == 0
        found = statuses(tmp_path)
        assert found.pop("sweep") == {"KILLED"}
        assert "RUNNING" not in set().union(*found.values())
        process = start(tmp_path, "resume", "s")
    wait_for(
        lambda: statuses(tmp_path)["sweep"] == {"RUNNING"}, end=lambda: process.poll() is not None
    )
    assert run(tmp_path, "sync")[0] == 0  # and ends none that is conducted
    assert statuses(tmp_path)["sweep"] <= {"RUNNING", "FINISHED"}
    assert process.wait() == 0, process.err.read_text()
    assert_each_job_once(tmp_path, undisturbed)


def test_two_conductors_at_a_time_are_one_too_many(
    tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    first = start(tmp_path, "-m", COVS, *WORDS)
    wait_for(lambda: done(tmp_path) >= 1, end=lambda: first.poll() is not None)
    code, said = run(tmp_path, "resume", "s")
    assert first.wait() == 0
    if code:  # else the first was done before
        assert code == 2
        assert said == "error: sweep s: another process runs it; allowed: one at a time\n"
    assert_each_job_once(tmp_path, undisturbed)
