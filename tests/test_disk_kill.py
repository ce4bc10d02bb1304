"""Runs on disk whose conductor or workers are killed at any moment: the same command goes on."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from starting import Started, run, start
from sweeping import processes_in, wait_for
from test_run_kill import assert_each_run_once, assert_nothing_unfinished
from test_runs_on_disk import DATA, FEATURES, write_firms

from runner.record.drafts import NEW

# The module of a feature of a user's own: it makes blocks of few dates, and everything slow.
MINE = """
import time
from runner.data.stored import filing
from runner.features import looks_back
from runner.panels.blocks import dividing
from runner.panels.numbers import stored

dividing.NUMBERS = 2**9
dividing.CHUNK = 8
stored.AT_A_TIME = 2**12
stored.HELD = 2**12
write = filing.Filing.write

def slowly(*arguments):
    time.sleep(0.04)
    return write(*arguments)

filing.Filing.write = slowly

@looks_back(3)
def earlier(market):
    time.sleep(0.03)
    return market.get("me").shift(3)
"""
SPEC = (
    *("experiment=none", *DATA, *FEATURES, "features.mine={_target_: mine.earlier}"),
    *("allow=[mine]", "data.columns.me=me", "data.on_disk=true", "target=forward_return"),
    *("model=pooled", "model.cov=cluster", "model.clusters=[asset,date]", "report=tables"),
    *("validation=walk_forward", "validation.first=36", "validation.test=12"),
)
EXECUTORS = {
    "inline": ("executor=inline",),
    "processes": ("executor=processes", "executor.workers=2"),
    "dask": ("executor=dask", "executor.workers=2"),
}
OF_A_RUN = ("metrics.json", "coefficients.csv", "quality.csv", "predictions.parquet")
LONGER = {"inline": 0.8, "processes": 1.2, "dask": 1.5}  # than a whole run inline: until the kill
WORKERS = (b"spawn_main", b"dask")  # in the command of a worker


class Undisturbed(NamedTuple):
    """A run that nobody kills.

    Attributes:
        files: name -> bytes of its results.
        blocks: names of the files of its rows.
        seconds: that it takes, inline.
    """

    files: dict[str, bytes]
    blocks: list[str]
    seconds: float


def place(folder: Path) -> Path:
    """A folder with the data and the code of a run."""
    folder.mkdir(parents=True)
    write_firms(folder)
    (folder / "mine.py").write_text(MINE)
    return folder


def files_of_runs(folder: Path) -> list[dict[str, bytes]]:
    """The results of each finished run."""
    runs = sorted(path.parent for path in folder.glob("outputs/runs/[!.]*/run.json"))
    return [{name: (one / name).read_bytes() for name in OF_A_RUN} for one in runs]


def blocks(folder: Path) -> list[Path]:
    """The files of the rows of the panel."""
    return sorted(folder.glob("outputs/cache/*.runner-market/panels/*/*.rows"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = place(tmp_path_factory.mktemp("undisturbed") / "here")
    began = time.monotonic()
    done = run(folder, *SPEC, *EXECUTORS["inline"])
    seconds = time.monotonic() - began
    assert done.code == 0, done.err
    names = [path.name for path in blocks(folder)]
    assert len(names) > 6
    [files] = files_of_runs(folder)
    return Undisturbed(files, names, seconds)


def workers_of(process: Started) -> list[int]:
    """Its own processes that make blocks."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_bytes()
            if parent == process.pid and any(word in command for word in WORKERS):
                found.append(int(entry.name))
    return sorted(found)


def kill_a_worker(process: Started, chance: random.Random, seconds: float) -> str:
    """Kill one of its workers at some moment at which there is one; what was done."""
    wait_for(lambda: bool(workers_of(process)), end=lambda: process.poll() is not None)
    wait = chance.uniform(0.0, seconds)
    time.sleep(wait)
    there = workers_of(process)
    if not there:
        return "no worker there any more"
    with contextlib.suppress(ProcessLookupError):
        os.kill(chance.choice(there), signal.SIGKILL)
    return f"a worker killed {wait:.2f} s after they came"


def stamps(folder: Path) -> dict[str, int]:
    """When the blocks that are whole, with their accounts, were written."""
    written = {}
    for path in blocks(folder):
        with contextlib.suppress(FileNotFoundError):
            path.with_suffix(".json").stat()
            written[path.name] = path.stat().st_mtime_ns
    return written


def assert_nothing_left(folder: Path, expected: Undisturbed) -> None:
    """One market, one panel, each of its blocks once, and no draft."""
    [market] = folder.glob("outputs/cache/*.runner-market")
    assert [path.name for path in blocks(folder)] == expected.blocks
    left = [path for path in folder.rglob(".*") if path.name.endswith(NEW)]
    assert not left
    files = [path.name for path in (market / "panels").rglob("*") if path.is_file()]
    assert len(files) == 2 * len(expected.blocks)


def once(folder: Path, executor: str, seed: int, expected: Undisturbed) -> str:
    """Start the run, kill a worker or the conductor, go on by the same command; what was done."""
    place(folder)
    chance = random.Random(seed)
    words = (*SPEC, *EXECUTORS[executor])
    seconds = LONGER[executor] * expected.seconds
    process = start(folder, *words)
    if executor != "inline" and seed % 2:
        told = kill_a_worker(process, chance, seconds / 8)
        code = process.wait(240.0)
        assert code == 0, process.err.read_text()
        before = stamps(folder)
    else:
        wait = chance.uniform(0.0, seconds)
        time.sleep(wait)
        ended = process.poll() is not None
        process.kill()
        wait_for(lambda: not processes_in(folder))
        before = stamps(folder)
        told = "at its end already" if ended else f"killed after {wait:.2f} s"
        told += f" with {len(before)} of {len(expected.blocks)} blocks"
    again = run(folder, *words)
    assert again.code == 0, again.err
    after = stamps(folder)
    assert {name: after[name] for name in before} == before, "a block was made twice"
    for files in files_of_runs(folder):
        assert files == expected.files
    assert run(folder, "sync").code == 0
    assert_each_run_once(folder)
    assert_nothing_unfinished(folder)
    assert_nothing_left(folder, expected)
    wait_for(lambda: not processes_in(folder))
    return f"{executor}, seed {seed}: {told}"


@pytest.mark.parametrize(("executor", "seed"), [("inline", 6), ("processes", 4), ("dask", 1)])
def test_killed_at_some_moment(
    tmp_path: Path, undisturbed: Undisturbed, executor: str, seed: int
) -> None:
    print(once(tmp_path / "here", executor, seed, undisturbed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(7000, 7020))
@pytest.mark.parametrize("executor", EXECUTORS)
def test_killed_at_many_moments(
    tmp_path: Path, undisturbed: Undisturbed, executor: str, seed: int
) -> None:
    print(once(tmp_path / "here", executor, seed, undisturbed))
