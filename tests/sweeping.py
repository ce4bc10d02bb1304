"""What the tests of sweeps that were disturbed share: starting one, and asking whether all of it is there, once."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from starting import start
from test_tracking import client_of, without_series

WORDS = ("data.assets=[S1V5]", "validation=none", "hydra.sweep.dir=outputs/sweeps/s")
COVS = "model.cov=nonrobust,HC0,HC1,HC2,HC3,HAC"
PATIENCE = 240.0  # seconds until a test that waits gives up


def run(folder: Path, *words: str) -> tuple[int, str]:
    """The exit code, and what stderr said."""
    process = start(folder, *words)
    code = process.wait(PATIENCE)
    return code, process.err.read_text()


def sweep_of(folder: Path) -> Path:
    return folder / "outputs" / "sweeps" / "s"


def done(folder: Path) -> int:
    """How many run directories there are."""
    return sum(path.is_dir() and path.name.isdigit() for path in sweep_of(folder).glob("*"))


def wait_for(what, *, end=lambda: False) -> None:
    """Until something is so, or a process has ended."""
    limit = time.monotonic() + PATIENCE
    while not (what() or end()):
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


def processes_in(folder: Path) -> list[int]:
    """Ids of the processes that work in a folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state = (place / "stat").read_text().rpartition(")")[2].split()[0]
            if Path(os.readlink(place / "cwd")) == folder.resolve() and state != "Z":
                found.append(int(place.name))
        except OSError:
            continue
    return found


def numbers(folder: Path) -> dict[str, str]:
    """The metrics file of each job, by its number."""
    return {path.parent.name: path.read_text() for path in sweep_of(folder).glob("*/metrics.json")}


def assert_each_job_once(folder: Path, expected: dict[str, str]) -> None:
    """In MLflow, on disk, in the ledger and in the cache: as after a sweep that nobody disturbed."""
    from runner.record.ledger import Ledger
    from runner.sweeps.cache import Cache

    assert numbers(folder) == expected
    client = client_of(folder)
    runs = client.search_runs([client.get_experiment_by_name("factor-runner").experiment_id])
    [parent] = [one for one in runs if one.data.tags["role"] == "sweep"]
    children = [one for one in runs if one.data.tags["role"] == "job"]
    assert len(runs) == 1 + len(children)
    assert {one.info.status for one in runs} == {"FINISHED"}
    assert len({one.data.tags["job"] for one in children}) == len(children) == len(expected)
    assert {one.data.tags["mlflow.parentRunId"] for one in children} == {parent.info.run_id}
    assert {one.data.tags["job.number"]: without_series(one.data.metrics) for one in children} == {
        number: json.loads(text) for number, text in expected.items()
    }
    plan = json.loads((sweep_of(folder) / "plan.json").read_text())
    [family] = {job["family"] for job in plan["jobs"]}
    count = Ledger(folder / "outputs" / "ledger.db").count(family)
    assert (count.finished, count.failed, count.abandoned) == (len(expected), 0, 0)
    assert not [
        path
        for path in sweep_of(folder).rglob("*")
        if path.name.endswith((".unfinished", ".failed"))
    ]
    cache = Cache(folder / "outputs" / "cache", 1e9)
    assert all(cache.get(path.stem) is not None for path, _ in cache.entries())
    wait_for(lambda: not processes_in(folder))
