"""What a market on disk costs: whole commands on daily files of names that come and go, in order of date.

    python tests/benchmarks/on_disk.py [MILLIONS ...] [--draw PICTURE]

Each file has so many million rows about (1, 3 and 10 without any; `files.py`), with a return and a size. Momentum over 21
and 252 days, volatility over 63, beta over 252 on the mean of all names, and log size explain the return of the next day:
pooled with errors clustered by asset and date, which puts the market on disk and makes the panel; Fama-MacBeth and each
asset by itself with Newey-West errors on the same panel; pooled with another window, whose panel two threads make from the
same market; and pooled with a volatility that a user wrote in pandas, whose panel two processes make. CPU seconds of all processes beyond the default run, seconds on the
clock, rows a second of each, and the largest resident size of a process; "read" is `pyarrow.parquet.read_table` of the
file. `--draw` draws CPU seconds and memory against rows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from measuring import Used, measured

MILLIONS = (1, 3, 10)
FILE = "read_table of the file"
READ = "import sys, pyarrow.parquet as pq; pq.read_table(sys.argv[1])"
MINE = """
from runner.features import looks_back


@looks_back(lambda window: window)
def spread(market, *, window):
    return market.returns().rolling(window).std()
"""
FEATURES = {
    "month": "{_target_: runner.features.momentum, window: 21}",
    "year": "{_target_: runner.features.momentum, window: 252}",
    "volatility": "{_target_: runner.features.volatility, window: 63}",
    "beta": "beta(ret, average(ret), 252)",
    "size": "log(me)",
}
POOLED = ("model=pooled", "model.cov=cluster", "model.clusters=[asset,date]")
MAKING, READING, EACH, ANOTHER, OWN = (
    "pooled, two-way clusters",
    "Fama-MacBeth, same panel",
    "each asset, Newey-West, same panel",
    "pooled, another panel, two threads",
    "pandas function of a user, two processes",
)
TASKS = {
    MAKING: POOLED,
    READING: ("model=fama_macbeth",),
    EACH: ("model=ols", "model.cov=HAC"),
    ANOTHER: (
        *POOLED,
        "features.volatility={_target_: runner.features.volatility, window: 62}",
        "executor=threads",
        "executor.workers=2",
    ),
    OWN: (
        *POOLED,
        "features.volatility={_target_: mine.spread, window: 63}",
        "allow=[mine]",
        "executor=processes",
        "executor.workers=2",
    ),
}


def command_of(path: Path, words: tuple[str, ...]) -> list[str]:
    """The whole command line of one task."""
    features = [f"features.{name}={feature}" for name, feature in FEATURES.items()]
    return [
        *(sys.executable, "-m", "runner", "data=file", f"data.path={path}", "data.on_disk=true"),
        *("data.columns.asset=permno", "data.columns.ret=ret", "experiment=none", "features=none"),
        *(*features, "target=forward_return", "validation=none", "report=tables", *words),
    ]


def row(*cells: object) -> None:
    print("|", " | ".join(str(cell) for cell in cells), "|", flush=True)


def default_run(place: Path) -> Used:
    """The default run in a folder that has a store."""
    words = [sys.executable, "-m", "runner", "report=tables"]
    runs = [measured(words, place) for _ in range(3)]
    return min(runs, key=lambda run: run.cpu)


def compare(millions: int, drawn: dict[str, list[tuple[int, float, float]]]) -> None:
    """Prints the rows of one file, and notes what is drawn: rows, CPU seconds and gigabytes of a task."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        path = place / "days.parquet"
        writer = str(Path(__file__).with_name("files.py"))
        written = measured([sys.executable, writer, "daily", str(path), str(millions)], place)
        if written.failure:
            row(f"{millions} million", written.failure, *[""] * 7)
            return
        rows = int(written.out)
        (place / "mine.py").write_text(MINE)
        default = default_run(place)
        read = measured([sys.executable, "-c", READ, str(path)], place)
        drawn.setdefault(FILE, []).append((rows, read.cpu, read.peak))
        beside = (read.failure or f"{read.cpu:.1f}", f"{read.peak:.2f}")
        for task, words in TASKS.items():
            ours = measured(command_of(path, words), place)
            if ours.failure:
                row(f"{rows:,}", task, ours.failure, "", "", "", f"{ours.peak:.2f}", *beside)
                continue
            beyond = ours.cpu - default.cpu
            clock = ours.elapsed - default.elapsed
            speed = (
                f"{beyond:.1f}",
                f"{rows / beyond:,.0f}",
                f"{clock:.1f}",
                f"{rows / clock:,.0f}",
            )
            row(f"{rows:,}", task, *speed, f"{ours.peak:.2f}", *beside)
            drawn.setdefault(task, []).append((rows, beyond, ours.peak))


def draw(drawn: dict[str, list[tuple[int, float, float]]], picture: Path) -> None:
    """CPU seconds and memory against rows, each on logarithmic axes."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "growth"
    from matplotlib import pyplot as plt

    figure, (time, memory) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for task, points in drawn.items():
        rows, cpu, peak = zip(*points, strict=True)
        millions = [count / 1e6 for count in rows]
        style: dict[str, Any] = {"marker": "o", "markersize": 4, "label": task}
        if task == FILE:
            style.update(color="0.6", linestyle="--")
        time.plot(millions, cpu, **style)
        memory.plot(millions, peak, **style)
    time.set(yscale="log", ylabel="CPU seconds beyond the default run", title="Time")
    memory.set(ylabel="gigabytes of the largest process", title="Memory", ylim=(0, None))
    for axes in (time, memory):
        axes.set(xscale="log", xlabel="rows of the daily file, millions")
        axes.set_xticks([1, 3, 10, 30, 100])
        axes.grid(linewidth=0.4, alpha=0.6)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    time.set_yticks([0.3, 1, 3, 10, 30, 100, 300])
    time.yaxis.set_major_formatter("{x:g}")
    time.minorticks_off()
    memory.legend(fontsize=8)
    figure.suptitle("A market on disk: what whole commands take as the file grows")
    figure.savefig(picture, metadata={"Date": None} if picture.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("millions", nargs="*", type=int, default=MILLIONS)
    parser.add_argument("--draw", type=Path)
    asked = parser.parse_args()
    row(
        *("rows", "task", "CPU s beyond the default run", "rows a CPU second", "clock s"),
        *("rows a second", "peak, GB", "read, CPU s", "GB"),
    )
    row(*["---"] * 9)
    drawn: dict[str, list[tuple[int, float, float]]] = {}
    for millions in asked.millions:
        compare(millions, drawn)
    if asked.draw:
        draw(drawn, asked.draw.resolve())


if __name__ == "__main__":
    main()
