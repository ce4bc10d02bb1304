"""Stores that are not there, not whole, held, frozen or moved: said at once, and nothing lost."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import mlflow
import pytest
from conftest import call_cli

from runner import __main__, progress
from runner.record import ledger
from runner.sinks.stores import database
from runner.sinks.stores.store import Store

RUN = (
    "experiment=none",
    "data=simulated",
    "data.assets=2",
    "data.rows=60",
    "features=market",
    "validation=none",
    "report=tables",
    "audit=off",
)
SOON = 8.0  # seconds of CPU in which a run that cannot be logged is refused, imports included


def assert_nothing_was_run(folder: Path) -> None:
    assert not list((folder / "outputs" / "runs").glob("*"))


@pytest.mark.parametrize(
    ("uri", "module", "package"),
    [
        ("postgresql+psycopg2://u:hush@127.0.0.1:9/db", "psycopg2", "psycopg2-binary"),
        ("mysql://u:hush@127.0.0.1:9/db", "MySQLdb", "mysqlclient"),
    ],
)
def test_the_driver_of_a_database_is_missed_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    outcome = call_cli(tmp_path, *RUN, f"tracking.uri={uri}")
    assert outcome.code == 2
    [line] = outcome.errors
    assert f"needs {module}; pip install '{package}' installs it" in line
    assert "hush" not in outcome.err
    assert_nothing_was_run(tmp_path)


def test_a_scheme_that_no_store_has_is_one_line(tmp_path: Path) -> None:
    outcome = call_cli(tmp_path, *RUN, "tracking.uri=gopher://x")
    [line] = outcome.errors
    assert "no store is 'gopher'; allowed: sqlite, postgresql" in line
    assert_nothing_was_run(tmp_path)


def damage_head(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[:16] = b"\x55" * 16
    file.write_bytes(bytes(content))


def damage_pages(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 900] = b"\x55" * 900
    file.write_bytes(bytes(content))


def cut(file: Path) -> None:
    os.truncate(file, 8192)


def empty(file: Path) -> None:
    os.truncate(file, 0)


@pytest.mark.parametrize("damage", [damage_head, damage_pages, cut, empty])
def test_a_damaged_store_is_told_before_the_run(tmp_path: Path, damage) -> None:
    store = Store(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    with store.locked():
        store.client()
    damage(store.file)
    for rest in ("-wal", "-shm"):
        store.file.with_name(f"mlflow.db{rest}").unlink(missing_ok=True)
    begun = time.process_time()
    outcome = call_cli(tmp_path, *RUN)
    assert time.process_time() - begun < SOON
    assert outcome.code == 1
    [line] = outcome.errors
    assert "it is damaged: move it away, and `python -m runner sync` logs" in line
    assert_nothing_was_run(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["ledger.db", pytest.param("mlflow.db", marks=pytest.mark.slow)],  # MLflow waits for 20 s
)
def test_a_file_that_another_process_holds_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert call_cli(tmp_path, *RUN).code == 0
    monkeypatch.setattr(progress, "TOLD", 0.2)
    monkeypatch.setattr(ledger, "PATIENCE", 1.0)
    with closing(sqlite3.connect(tmp_path / "outputs" / name)) as holder:
        holder.execute("begin exclusive")
        outcome = call_cli(tmp_path, *RUN)
    assert outcome.code in (1, 2)
    [line] = outcome.errors
    assert "locked" in line
    assert "another process holds it" in line
    assert "waiting for" in outcome.err or "not done after" in outcome.err


@pytest.fixture
def frozen() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(20)
        yield door.getsockname()[1]


def test_a_frozen_server_is_told_and_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: int
) -> None:
    monkeypatch.setattr(progress, "TOLD", 0.2)
    limits = ("tracking.timeout=1", "tracking.retries=0")
    begun = time.monotonic()
    outcome = call_cli(tmp_path, *RUN, f"tracking.uri=http://127.0.0.1:{frozen}", *limits)
    assert time.monotonic() - begun < 30.0
    assert outcome.code == 1
    assert "not done after 0 s; a request has 1 s (tracking.timeout), then 0 tries" in outcome.err
    [line] = outcome.errors
    assert "results are kept in" in line
    assert (outcome.directory / "metrics.json").exists()


def test_a_server_has_a_minute_at_most_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.sinks.stores.store import RETRIES, SECONDS

    backoff = sum(2**tried for tried in range(1, RETRIES + 1))
    assert SECONDS * (1 + RETRIES) + backoff <= 60


@pytest.mark.parametrize("name", ["plain", "a ?b'c%41#d é"])
def test_results_that_were_moved_stay_together(tmp_path: Path, name: str) -> None:
    first = tmp_path / "first"
    first.mkdir()
    assert call_cli(first, *RUN).code == 0
    second = tmp_path / name
    shutil.move(first, second)
    outcome = call_cli(second, *RUN)
    assert outcome.code == 0, outcome.err
    assert not first.exists()
    store = Store(f"sqlite:///{second}/outputs/mlflow.db".replace("%", "%25").replace("?", "%3F"))
    client = store.client()
    experiment = client.get_experiment_by_name("factor-runner")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 2
    for run in runs:
        text = mlflow.artifacts.load_text(f"{run.info.artifact_uri}/spec.yaml")
        assert "data:" in text
    assert "0 logged, 2 known before" in call_cli(second, "sync").err


def test_artifacts_that_somebody_put_elsewhere_stay_there(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/outputs/mlflow.db")
    elsewhere = tmp_path / "large disk" / "artifacts"
    elsewhere.mkdir(parents=True)
    with store.locked():
        store.client().create_experiment("factor-runner", elsewhere.as_uri())
    assert call_cli(tmp_path, *RUN).code == 0
    assert len(list(elsewhere.glob("*/artifacts/spec.yaml"))) == 1


def test_a_start_from_a_shell_shows_no_warnings_of_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import warnings

    def warn() -> int:
        warnings.warn("overflow encountered in multiply", RuntimeWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(__main__, "main", warn)
    monkeypatch.setattr(sys, "warnoptions", [])
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    with warnings.catch_warnings(record=True) as seen, pytest.raises(SystemExit) as end:
        __main__.start()
    assert end.value.code == 0
    assert seen == []


def test_a_look_at_a_database_leaves_its_locks(tmp_path: Path) -> None:
    """A file that is opened and closed beside SQLite loses every lock that the process has on it."""
    file = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("create table t (x)")
        writer.commit()
        writer.execute("begin immediate")
        writer.execute("insert into t values (1)")
        database.check_head(file)
        database.check_pages(file)
        other = (
            f"import sqlite3; sqlite3.connect({str(file)!r}, timeout=0).execute('begin immediate')"
        )
        done = subprocess.run([sys.executable, "-c", other], capture_output=True, check=False)
    assert done.returncode != 0 and b"database is locked" in done.stderr
