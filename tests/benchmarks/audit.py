"""What the leak audit costs: runs of the command line with and without it, in turn.

python tests/benchmarks/audit.py [path of a snapshot of daily prices]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
ROUNDS = 4  # the first is not counted
RUNS = {
    "ff3": ["experiment=ff3"],
    "capm, simulated": ["experiment=capm", "data=simulated"],
    "weekly_premia, simulated": ["experiment=weekly_premia", "data=simulated", "data.assets=100"],
    "nine signals, simulated": ["experiment=alpha_signals", "data=simulated"],
}


def seconds(words: list[str], folder: str) -> float:
    """CPU seconds of a run, which other work on the machine changes less than its time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "runner", *words]
    env = {
        "PYTHONPATH": str(ROOT),
        "PATH": "/usr/bin:/bin",
        "HOME": folder,
        "OPENBLAS_NUM_THREADS": "1",
    }
    subprocess.run(command, cwd=folder, env=env, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main(snapshot: str | None = None) -> None:
    more = {
        "nine signals, real prices": [
            "experiment=alpha_signals",
            "data=file",
            f"data.path={snapshot}",
        ]
    }
    print(
        "| run | with the audit, CPU s | without, CPU s | share of the run |\n|---|---|---|---|",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, words in (RUNS | (more if snapshot else {})).items():
            pairs = [
                (seconds(words, folder), seconds([*words, "audit=off"], folder))
                for _ in range(ROUNDS)
            ][1:]
            with_it, without = (median(pair[k] for pair in pairs) for k in (0, 1))
            share = median((a - b) / a for a, b in pairs)
            print(f"| {name} | {with_it:.2f} | {without:.2f} | {share:.0%} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
