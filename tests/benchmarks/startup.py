"""What the command line adds to the libraries it stands on, side by side in one run.

python tests/benchmarks/startup.py [rounds]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
HYDRA = ["-c", "import hydra"]
EMPTY_RUN = """
import os
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import mlflow
client = mlflow.MlflowClient(tracking_uri="sqlite:///empty.db")
found = client.get_experiment_by_name("empty")
number = found.experiment_id if found else client.create_experiment("empty")
client.set_terminated(client.create_run(number).info.run_id)
"""
PAIRS = [
    ("`--help`", ["-m", "runner", "--help"], "`import hydra`", HYDRA, 0.3),
    ("`--cfg job`", ["-m", "runner", "--cfg", "job"], "`import hydra`", HYDRA, 0.3),
    ("a spec error", ["-m", "runner", "model.cov=HC9"], "`import hydra`", HYDRA, 0.3),
    ("an override error", ["-m", "runner", "modle=ols"], "`import hydra`", HYDRA, 0.3),
    ("the default run", ["-m", "runner"], "`import mlflow`, one empty run", ["-c", EMPTY_RUN], 2.0),
]


def timed(words: list[str], folder: str) -> float:
    """Seconds of one call of Python as a whole process."""
    env = {"PYTHONPATH": str(ROOT), "HOME": folder}
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=folder, env=env, capture_output=True, check=False)
    return time.perf_counter() - start


def pair(
    ours: list[str], theirs: list[str], rounds: int, clock: Callable[[list[str], str], float]
) -> tuple[float, float, float]:
    """Medians of both and of their difference, measured in turn after one round that is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        rows = [(clock(ours, folder), clock(theirs, folder)) for _ in range(rounds + 1)][1:]
    return median(a for a, _ in rows), median(b for _, b in rows), median(a - b for a, b in rows)


def main(rounds: int) -> None:
    print("| ours | beside | seconds | seconds | more | allowed |\n|---|---|---|---|---|---|")
    for name, ours, beside, theirs, allowed in PAIRS:
        a, b, more = pair(ours, theirs, rounds, timed)
        print(f"| {name} | {beside} | {a:.2f} | {b:.2f} | {more:.2f} | {allowed} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
