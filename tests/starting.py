"""Processes of the command line for tests that kill them or run several at a time.

They are forked from a server that has its imports already (warm.py), which saves most of the CPU of
a start. Tests of the start itself take `conftest.run_cli`, a process from nothing.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from conftest import ROOT, WIDTH, Outcome, outcome_in

FORKS = get_context("forkserver")
FORKS.set_forkserver_preload(["warm"])


@dataclass(frozen=True)
class Started:
    """A process of the command line, and the files that take what it says."""

    process: BaseProcess
    out: Path
    err: Path

    @property
    def pid(self) -> int:
        pid = self.process.pid
        assert pid is not None
        return pid

    def poll(self) -> int | None:
        """The exit code, less than zero after a signal; None while it runs."""
        return self.process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """The exit code, once it has ended."""
        self.process.join(seconds)
        code = self.process.exitcode
        assert code is not None, f"it still runs after {seconds} s"
        return code

    def kill(self) -> None:
        """End it without a word, and wait until it has ended."""
        self.process.kill()
        self.wait()


def start(folder: Path, *words: str, **environment: str) -> Started:
    """The command line in a folder, not waited for."""
    said = Path(tempfile.mkdtemp(prefix=f"{folder.name}-said-", dir=folder.parent))
    out, err = said / "out", said / "err"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": WIDTH, **environment}
    process = FORKS.Process(target=_command_line, args=(folder, words, env, out, err))
    with pytest.MonkeyPatch.context() as patch:  # the server starts with the first and imports warm
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "tests")]))
        process.start()
    return Started(process, out, err)


def run(folder: Path, *words: str, **environment: str) -> Outcome:
    """The command line in a folder, and what came of it."""
    started = start(folder, *words, **environment)
    code = started.wait()
    return outcome_in(folder, code, started.out.read_text(), started.err.read_text())


def _command_line(
    folder: Path, words: Sequence[str], environment: Mapping[str, str], out: Path, err: Path
) -> None:
    """`python -m runner` with these words, in this process."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    sys.argv = ["runner", *words]
    for descriptor, path in ((1, out), (2, err)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)
    from runner.__main__ import main

    sys.exit(main(words))
