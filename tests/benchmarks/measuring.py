"""What a whole command takes: CPU seconds of all its processes, and the largest resident size of one of them."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
GIGABYTE = 1e6  # of kilobytes
START = """
import os, resource, sys
memory, cpu = int(sys.argv[1]), int(sys.argv[2])
if memory:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
if cpu:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 10))
os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass(frozen=True)
class Used:
    """A command that has ended.

    Attributes:
        cpu: seconds of user and system. elapsed: seconds on the clock.
        peak: gigabytes of the largest process.
        out: what it printed.
        failure: why it did not end well; empty where it did.
    """

    cpu: float
    elapsed: float
    peak: float
    out: str
    failure: str = ""


def measured(
    command: list[str],
    folder: Path,
    most_gigabytes: float = 0,
    most_seconds: int = 0,
    variables: Mapping[str, str] = {},
) -> Used:
    """Run a command in a folder, within so much address space and CPU where they are not 0.

    Environment variables are set for it beside those of this process.
    A process inherits the peak of the one that starts it: the caller has to be small.
    """
    import time

    bounds = [str(int(most_gigabytes * 1e9)), str(most_seconds)]
    words = [sys.executable, "-c", START, *bounds, *command]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), **variables}
    start = time.perf_counter()
    with (folder / "printed").open("w+b") as out, (folder / "errors").open("w+b") as errors:
        process = subprocess.Popen(words, cwd=folder, env=env, stdout=out, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        printed = text_of(out)
        told = text_of(errors)
    return Used(
        usage.ru_utime + usage.ru_stime,
        time.perf_counter() - start,
        usage.ru_maxrss / GIGABYTE,
        printed,
        failure_of(process.returncode, told or printed),
    )


def text_of(file: object) -> str:
    file.seek(0)  # type: ignore[attr-defined]
    return file.read().decode(errors="replace")  # type: ignore[attr-defined]


def failure_of(code: int, told: str) -> str:
    """Why a process ended as it did: the limit that it met, else its last line."""
    if code == 0:
        return ""
    if code == -signal.SIGXCPU:
        return "stopped after its time"
    memory = ("MemoryError", "memory allocation", "Out of Memory", "Unable to allocate", "realloc")
    if code == -signal.SIGKILL or any(word in told for word in memory):
        return "out of memory"
    if "ModuleNotFoundError" in told:
        return "not installed"
    lines = told.strip().splitlines() or [f"ended with {code}"]
    return f"failed: {lines[-1][:120]}"


def least(turns: int, measure: Callable[[], Used], seconds: float = 0.0) -> Used:
    """The turn that took the least CPU seconds; of those that failed the first, without another.

    A short command has more turns, until all have taken so many CPU seconds: what the machine takes
    for fresh memory is a larger share of it.
    """
    best = measure()
    done, taken = 1, best.cpu
    while not best.failure and (done < turns or taken < seconds):
        found = measure()
        best = min(best, found, key=lambda turn: turn.cpu)
        done += 1
        taken += found.cpu
    return best


def used(
    command: list[str], folder: Path, turns: int = 1, seconds: float = 0.0
) -> tuple[float, float]:
    """Least CPU seconds of some turns of a command that ends well, and gigabytes at the peak."""
    found = least(turns, lambda: measured(command, folder), seconds)
    if found.failure:
        raise SystemExit(f"{found.failure}: {' '.join(command)}")
    return found.cpu, found.peak


def largest() -> float:
    """Gigabytes of this process at its peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / GIGABYTE
