"""Single runs, reruns and syncs killed without a word at any moment: `sync` gives every run, once."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from pathlib import Path

import pytest
from starting import run, start
from test_tracking import client_of

from runner.record.ledger import Ledger
from runner.record.rundir import SETTLED, whole

SPEC = (
    *("experiment=none", "data=simulated", "data.assets=4", "data.rows=150", "features=market"),
    *("target=forward_return", "audit=off", "report=tables"),
)
VERBS = ("run", "rerun", "sync")
MOST = 1.2  # seconds from the start to the kill: about what a verb takes on a busy machine
RUNS = 3  # that are there before a sync


def made(folder: Path, count: int) -> list[Path]:
    """So many finished runs."""
    for _ in range(count):
        assert run(folder, *SPEC).code == 0
    return sorted(path.parent for path in folder.glob("outputs/runs/[!.]*/run.json"))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What there is before each verb, the folder of each."""
    places = {verb: tmp_path_factory.mktemp(verb) for verb in VERBS}
    made(places["rerun"], 1)
    made(places["sync"], RUNS)
    shutil.rmtree(places["sync"] / "outputs" / "artifacts")
    for file in places["sync"].glob("outputs/mlflow.db*"):
        file.unlink()
    return places


def words_of(verb: str, folder: Path) -> tuple[str, ...]:
    if verb == "run":
        return SPEC
    if verb == "sync":
        return ("sync",)
    client = client_of(folder)
    [logged] = client.search_runs([client.get_experiment_by_name("factor-runner").experiment_id])
    return ("rerun", logged.info.run_id)


def assert_each_run_once(folder: Path) -> None:
    """On disk, in the store and in the ledger: each run directory whole and logged once."""
    directories = sorted(path.parent for path in folder.glob("outputs/runs/[!.]*/run.json"))
    for directory in directories:
        json.loads((directory / "metrics.json").read_text())
    client = client_of(folder)
    experiment = client.get_experiment_by_name("factor-runner")
    logged = client.search_runs([experiment.experiment_id]) if experiment else []
    assert {one.info.status for one in logged} <= {"FINISHED"}
    names = sorted(Path(one.data.tags["directory"]).name for one in logged)
    assert names == [directory.name for directory in directories]
    keys = [json.loads((one / "run.json").read_text())["job"] for one in directories]
    finished = Ledger(folder / "outputs" / "ledger.db").finished(keys)
    assert set(finished) == set(keys)


def assert_nothing_unfinished(folder: Path) -> None:
    """What the killed process had begun to write goes when the next one writes."""
    past = time.time() - SETTLED - 1.0
    for left in folder.glob("outputs/runs/.*.unfinished"):
        os.utime(left, (past, past))
    with whole(folder / "outputs" / "runs" / "next"):
        pass
    assert not list(folder.glob("outputs/runs/.*.unfinished"))


def once(folder: Path, before: Path, verb: str, seed: int) -> None:
    shutil.copytree(before, folder, dirs_exist_ok=True)
    process = start(folder, *words_of(verb, folder))
    wait = random.Random(seed).uniform(0.0, MOST)
    time.sleep(wait)
    over = process.poll() is not None
    process.kill()
    outcome = run(folder, "sync")
    assert outcome.code == 0, outcome.err
    assert not outcome.errors
    assert_each_run_once(folder)
    assert_nothing_unfinished(folder)
    print(f"seed {seed}: {verb} {'at its end already' if over else f'killed after {wait:.2f} s'}")


@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_some_moment(tmp_path: Path, before: dict[str, Path], verb: str) -> None:
    once(tmp_path / "here", before[verb], verb, 7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 225))
@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_many_moments(
    tmp_path: Path, before: dict[str, Path], verb: str, seed: int
) -> None:
    once(tmp_path / "here", before[verb], verb, seed)
