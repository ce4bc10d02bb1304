"""The tracking store as a file: whole or not there, whoever was killed while making it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

OPEN = """
import os, signal, sys
from sqlalchemy import event
from sqlalchemy.engine import Engine
from runner.sinks import tracking

said = 0

@event.listens_for(Engine, "after_cursor_execute")
def count(*arguments):
    global said
    said += 1
    if said == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)

store = tracking.Store()
with store.locked():
    print(tracking.experiment_id(store.client(), store), said)
"""


def opened(folder: Path, kill: int = 0) -> subprocess.CompletedProcess[str]:
    """A process that opens the store of the folder, killed after so many statements to its database."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", OPEN, str(kill)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kill", [pytest.param(40, marks=pytest.mark.slow), 400])
def test_killed_while_it_makes_the_database_the_next_one_makes_it(
    tmp_path: Path, kill: int
) -> None:
    assert opened(tmp_path, kill).returncode == -signal.SIGKILL
    second = opened(tmp_path)
    assert second.returncode == 0, second.stderr
    number, statements = map(int, second.stdout.split())
    assert number == 1
    assert statements > kill
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {
        "mlflow.db",
        ".mlflow.db.lock",
    }
