"""A sweep of many specs on one panel beside the same sweep in plain Hydra with one MLflow run a job.

    python tests/benchmarks/sweep.py [jobs]

Plain Hydra: a script as one would write it, `hydra.main` and `-m`, that reads the data, builds the panel, fits by our
own functions and logs one MLflow run; only the sweep differs. Time per further job is the slope between a short and a
long sweep; `MLflow writes` logs the run directory of one of the jobs again and again and does nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
COMMON = [
    "data=simulated", "data.assets=1000", "data.rows=2500", "data.churn=0", "+data.macro.vix=V", "+data.macro.tlt=T",
    "+data.macro.dxy=D", "features=signals", "experiment=none", "validation=none", "model.by=null",
]  # fmt: skip
NAMES = [
    "mom_1m",
    "mom_3m",
    "volume_surprise",
    "volatility",
    "beta",
    "vix_chg",
    "tlt_ret",
    "dxy_chg",
    "market_ret",
]
PLAIN = """
import os
for pool in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{pool}_NUM_THREADS"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import hydra, mlflow, numpy as np
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
import pandas as pd

@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(config: DictConfig) -> None:
    from runner.panels.building import build_panel
    from runner.models import Regression
    from runner.data import Simulated
    from runner.experiment.spec import build
    spec = OmegaConf.to_container(config, resolve=True)
    spec.pop("sweep", None)
    experiment = build(spec)
    panel = build_panel(experiment.source.load(), experiment.features, experiment.target)
    fit = experiment.model.fit(panel, np.arange(len(panel.dates)))
    mlflow.set_tracking_uri(f"sqlite:///{hydra.utils.get_original_cwd()}/plain.db")
    with mlflow.start_run():
        mlflow.log_params(pd.json_normalize(spec).astype(str).iloc[0].to_dict())
        table = fit.coefficients
        found = {f"coef/{t}": v for t, v in zip(table["term"], table["estimate"])}
        mlflow.log_metrics(found | {"fit/r2": fit.quality["r2"].mean()})
        table.to_csv("coefficients.csv", index=False)
        mlflow.log_artifact("coefficients.csv")

main()
"""


def specs(jobs: int) -> list[str]:
    """Overrides of a grid of about so many jobs: subsets of the regressors by penalties."""
    subsets = (
        [NAMES[:k] for k in range(1, 10)]
        + [NAMES[k:] for k in range(1, 9)]
        + [NAMES[k : k + 3] for k in range(1, 4)]
    )
    penalties = [round(0.1 * 1.8**k, 4) for k in range(max(jobs // len(subsets), 1))]
    lists = ",".join(f"[{','.join(one)}]" for one in subsets[: max(min(jobs, len(subsets)), 1)])
    return [
        "model=ridge",
        f"model.regressors={lists}",
        f"model.penalty={','.join(map(str, penalties))}",
    ]


def seconds(command: list[str], folder: Path) -> float:
    begun = time.perf_counter()
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return time.perf_counter() - begun


def writes(folder: Path, rounds: int) -> float:
    """Seconds that MLflow takes to write one of the runs of the sweep in `folder`, nothing else."""
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom runner.sinks.tracking import Store, log\n"
        f"place = sorted(Path('outputs/sweeps').glob('*/0'))[-1]\nstore = Store()\nlog(place, store)\n"
        f"begun = time.perf_counter()\nfor _ in range({rounds}): log(place, store)\n"
        f"print((time.perf_counter() - begun) / {rounds})"
    )
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def main(jobs: int) -> None:
    ours = [sys.executable, "-m", "runner", "-m", *COMMON]
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conf").symlink_to(ROOT / "conf")
        (folder / "plain.py").write_text(PLAIN)
        plain = [sys.executable, "plain.py", "-m", *COMMON]
        seconds([*ours, *specs(1)], folder)  # makes the store
        few, many = 20, jobs
        apart = [
            f"ledger=outputs/{jobs}.db" for jobs in (few, many)
        ]  # else jobs of the one are copied by the other
        short = seconds([*ours, *specs(few), apart[0]], folder)
        long = seconds([*ours, *specs(many), apart[1]], folder)
        per_job = (long - short) / (many - few)
        write = writes(folder, 40)
        plain_short, plain_long = (
            seconds([*plain, *specs(1)], folder),
            seconds([*plain, *specs(5)], folder),
        )
        plain_job = (plain_long - plain_short) / 4
    print(
        f"{jobs} specs on 1000 assets x 2500 dates, pooled ridge on subsets of nine regressors, no validation\n"
    )
    print("| | seconds |\n|---|---|")
    print(f"| ours, a sweep of {many} jobs | {long:.1f} |")
    print(f"| ours, per further job | {per_job:.3f} |")
    print(f"| of which MLflow writes | {write:.3f} |")
    print(f"| our own on top | {per_job - write:.3f} |")
    print(f"| plain Hydra, per further job | {plain_job:.2f} |")
    print(f"| times faster | {plain_job / per_job:.1f} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
