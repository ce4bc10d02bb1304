"""A cluster of Dask on this machine: a scheduler and workers, each a process that can be killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import ROOT

LOOPBACK = "127.0.0.1"


class Cluster:
    """A scheduler with workers that work in a folder and share no memory with the tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"tcp://{LOOPBACK}:{self.port}"
        self.started: list[subprocess.Popen[bytes]] = []
        self._start("dask_scheduler", "--port", str(self.port))

    def worker(self, folder: Path | None = None) -> subprocess.Popen[bytes]:
        """A worker with one thread, which nobody starts again once it is killed."""
        words = (self.address, "--nthreads", "1", "--no-nanny")
        return self._start("dask_worker", *words, folder=folder)

    def end(self) -> None:
        for process in reversed(self.started):
            process.kill()
            process.wait()

    def _start(
        self, program: str, *words: str, folder: Path | None = None
    ) -> subprocess.Popen[bytes]:
        code = f"from distributed.cli.{program} import main; main()"
        command = [sys.executable, "-c", code, *words, "--host", LOOPBACK, "--no-dashboard"]
        process = subprocess.Popen(
            command,
            cwd=folder or self.folder,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.started.append(process)
        return process


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster without workers."""
    made = Cluster(folder)
    try:
        yield made
    finally:
        made.end()


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind((LOOPBACK, 0))
        return int(asked.getsockname()[1])
