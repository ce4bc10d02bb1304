"""What a market on disk costs: whole commands on daily files of names that come and go, in order of date.

python tests/benchmarks/on_disk.py [MILLIONS ...]

Each file has so many million rows (1, 3 and 10 without any) on 25,000 days: a name is listed for 2,800 days on average, so
that a tenth of the cells is there, with a return and a size. Momentum over 21 and 252 days, volatility over 63, beta over
252 on the mean of all names, and log size explain the return of the next day: pooled with errors clustered by asset and
date, which puts the market on disk and makes the panel; then Fama-MacBeth on the same panel. CPU seconds of all processes,
rows a second of that CPU, and the largest resident size of a process; "read" is `pyarrow.parquet.read_table` of the file.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from ragged import used

DAYS, LISTED = 25_000, 2_800
PER_MILLION = 1_000_000 // LISTED  # names
STRETCH = 500  # days that are written at a time
MILLIONS = (1, 3, 10)
READ = "import sys, pyarrow.parquet as pq; pq.read_table(sys.argv[1])"
FEATURES = (
    "features.month={_target_: runner.features.momentum, window: 21}",
    "features.year={_target_: runner.features.momentum, window: 252}",
    "features.volatility={_target_: runner.features.volatility, window: 63}",
    "features.beta=beta(ret, average(ret), 252)",
    "features.size=log(me)",
)
MODELS = {
    "pooled, two-way clusters": (
        "model=pooled",
        "model.cov=cluster",
        "model.clusters=[asset,date]",
    ),
    "Fama-MacBeth, same panel": ("model=fama_macbeth",),
}


def write(path: Path, millions: int) -> int:
    """A parquet file of so many million rows about; the number of its rows."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    names = np.array([f"{10_000 + i}" for i in range(millions * PER_MILLION)])
    first = rng.integers(-LISTED, DAYS, len(names))
    last = first + rng.geometric(1.0 / LISTED, len(names))
    days = pd.bdate_range("1926-01-04", periods=DAYS)
    size = rng.normal(12, 2, len(names))
    writer = None
    rows = 0
    for start in range(0, DAYS, STRETCH):
        day = np.arange(start, min(start + STRETCH, DAYS))
        t, i = np.nonzero((first <= day[:, None]) & (day[:, None] < last))
        table = pa.table(
            {
                "date": days[day[t]],
                "permno": pa.DictionaryArray.from_arrays(pa.array(i.astype(np.int32)), names),
                "ret": np.clip(0.025 * rng.standard_normal(len(t)), -0.95, 3.0),
                "me": np.exp(size[i] + 0.1 * rng.standard_normal(len(t))),
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
        rows += len(t)
    assert writer is not None
    writer.close()
    return rows


def command_of(path: Path, model: tuple[str, ...]) -> list[str]:
    """The whole command line of one model."""
    return [
        *(sys.executable, "-m", "runner", "data=file", f"data.path={path}", "data.on_disk=true"),
        *("data.columns.asset=permno", "data.columns.ret=ret", "experiment=none", "features=none"),
        *(*FEATURES, "target=forward_return", "validation=none", "report=tables", *model),
    ]


def main() -> None:
    print(
        "| rows | task | CPU s beyond the default run | rows a CPU second | peak, GB | read, CPU s | GB |"
    )
    print("|---|---|---|---|---|---|---|")
    for millions in [int(word) for word in sys.argv[1:]] or MILLIONS:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            path = place / "days.parquet"
            rows = write(path, millions)
            read, read_peak = used([sys.executable, "-c", READ, str(path)], place)
            for task, model in MODELS.items():
                default, _ = used([sys.executable, "-m", "runner", "report=tables"], place)
                ours, peak = used(command_of(path, model), place)
                beyond = ours - default
                cells = (f"{rows:,}", task, f"{beyond:.1f}", f"{rows / beyond:,.0f}", f"{peak:.2f}")
                print("|", " | ".join([*cells, f"{read:.1f}", f"{read_peak:.2f}"]), "|", flush=True)


if __name__ == "__main__":
    main()
