"""Which process made a run, told so that a later one of the same machine sees whether it lives."""

from __future__ import annotations

import os
from pathlib import Path

from runner.record.identity import digest

TAG = "process"  # of a run in MLflow
STARTED = 19  # of the words of /proc/PID/stat that follow the name, when the process was started


def this_process() -> str:
    """The machine since it was started, the process and when it was; empty where none is told."""
    machine = _machine()
    started = _started(os.getpid())
    return f"{machine} {os.getpid()} {started}" if machine and started else ""


def is_gone(told: str) -> bool:
    """Whether the process that was told so ended; false where it cannot be known.

    It is known of this machine alone, since it was started, and of the processes that are seen here
    (those of another container are not).
    """
    machine, _, process = told.partition(" ")
    number, _, started = process.partition(" ")
    if not (number.isdecimal() and started) or machine != _machine():
        return False
    return _started(int(number)) != started


def _machine() -> str:
    """This machine since it was started, and which of its processes are seen; empty: not told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        seen = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return digest([boot, seen])


def _started(process: int) -> str:
    """When a process was started, in ticks of the machine; empty where there is none."""
    try:
        words = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    return words.rpartition(")")[2].split()[STARTED]
