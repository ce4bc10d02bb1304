"""What a run leaves, made wrong: its files and the databases of stores, under every verb that reads them.

Each verb does what it is for, or says in a line per mistake why not: no traceback, no run that is
lost, no wait of more than a minute. With --slow twenty times as many are drawn.
"""

from __future__ import annotations

import shutil
import time
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import call_cli
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from test_fuzz_files import Mutation, mutations

SEED = 20261201
EXAMPLES = 6  # some 10 s of CPU each
MORE = 20  # times as many with --slow
AT_ONCE = 60.0  # seconds that a verb may take
SPEC = (
    *("experiment=none", "data=simulated", "data.assets=2", "data.rows=60", "features=market"),
    *("target=forward_return", "validation=none", "report=tables", "audit=off"),
)
SWEEP = ("-m", *SPEC, "model.cov=HC0,HC1", "hydra.sweep.dir=outputs/sweeps/s")
STORES = ("mlflow.db", "ledger.db")
VERBS = ("run", "sweep", "rerun", "sync", "resume", "compare")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a run and a sweep, and the id of the run."""
    folder = tmp_path_factory.mktemp("made")
    outcome = call_cli(folder, *SPEC)
    assert outcome.code == 0, outcome.err
    assert call_cli(folder, *SWEEP).code == 0
    return folder, outcome.out.partition("MLflow run: ")[2].split()[0]


def words_of(verb: str, run_id: str) -> tuple[str, ...]:
    words = {"run": SPEC, "sweep": SWEEP, "rerun": ("rerun", run_id), "sync": ("sync",)}
    words |= {"resume": ("resume", "s"), "compare": ("compare", "s")}
    return words[verb]


def kept(folder: Path) -> dict[str, str]:
    """Of each file of a run directory, what it holds."""
    files = [*folder.glob("outputs/runs/*/*"), *folder.glob("outputs/sweeps/s/[0-9]/*")]
    plain = [file for file in files if file.is_file()]
    return {str(file): sha256(file.read_bytes()).hexdigest() for file in plain}


def assert_told(folder: Path, *words: str) -> None:
    """The verb ends, and each of its mistakes is one line."""
    begun = time.monotonic()
    outcome = call_cli(folder, *words)
    assert time.monotonic() - begun < AT_ONCE
    assert outcome.code in (0, 1, 2), outcome.err
    assert "Traceback" not in outcome.err
    if outcome.code == 2:
        assert outcome.errors, outcome.err


def test_every_verb_tells_of_a_store_that_was_altered_and_loses_no_run(
    pytestconfig: pytest.Config, tmp_path: Path, made: tuple[Path, str]
) -> None:
    most = EXAMPLES * (MORE if pytestconfig.getoption("--slow") else 1)
    before, run_id = made
    folder = tmp_path / "here"

    @seed(SEED)
    @settings(
        max_examples=most, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.sampled_from(STORES), st.sampled_from(VERBS), mutations)
    def check(name: str, verb: str, changes: list[Mutation]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)
        alter(folder / "outputs" / name, changes)
        results = kept(folder)
        assert_told(folder, *words_of(verb, run_id))
        assert results.items() <= kept(folder).items()

    check()


def test_every_verb_tells_of_a_run_that_was_altered(
    pytestconfig: pytest.Config, tmp_path: Path, made: tuple[Path, str]
) -> None:
    most = EXAMPLES * (MORE if pytestconfig.getoption("--slow") else 1)
    before, run_id = made
    logged = before / "outputs" / "artifacts" / run_id / "artifacts"
    sweep = before / "outputs" / "sweeps" / "s"
    files = [*logged.glob("*.*"), *sweep.glob("0/*.*"), sweep / "plan.json"]
    names = sorted(str(file.relative_to(before)) for file in files)
    folder = tmp_path / "here"

    @seed(SEED)
    @settings(
        max_examples=most, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.sampled_from(names), mutations)
    def check(name: str, changes: list[Mutation]) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(before, folder)
        alter(folder / name, changes)
        of_the_sweep = "sweeps" in name
        verbs = ("compare", "sync", "resume") if of_the_sweep else ("rerun",)
        for verb in verbs:
            assert_told(folder, *words_of(verb, run_id))

    check()


def alter(file: Path, changes: list[Mutation]) -> None:
    data = file.read_bytes()
    for change in changes:
        data = change.of(data)
    file.write_bytes(data)
