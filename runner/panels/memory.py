"""How much memory a panel takes, beside what there is: said before it is made, and refused where
it cannot fit.
"""

from __future__ import annotations

from pathlib import Path

from runner.errors import DataError
from runner.progress import note

# Columns of the size of the target that a run holds beside its features: prices, volumes, target,
# forecasts, scores and what is computed on the way. Measured on 2,763 assets x 3,259 dates: 9
# features peaked at 2.9 GB, 15 at 3.4.
BESIDE = 32
TOLD = 10**9  # bytes from which a run says what it will take
GIGABYTE = 10**9


def needed(rows: int, assets: int, features: int) -> int:
    """Bytes at the peak of a run."""
    return 8 * rows * assets * (features + BESIDE)


def available(root: Path = Path("/")) -> int | None:
    """Bytes that can be had without swapping, within the limit of the control group; None where the
    system does not say."""
    found = []
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        found += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    except OSError:
        pass
    for limit, used in (
        ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
        (
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        try:
            most, now = ((root / name).read_text().strip() for name in (limit, used))
        except OSError:
            continue
        if most.isdigit():  # else there is no limit
            found.append(max(int(most) - int(now), 0))
    return min(found) if found else None


def check(rows: int, assets: int, features: int) -> None:
    """Say what a run on a large panel takes.

    Raises:
        DataError: there is less.
    """
    need, there = needed(rows, assets, features), available()
    columns = f"{features} column" + "s" * (features != 1)
    told = f"{rows:,} dates x {assets:,} assets x {columns} take about {need / GIGABYTE:.1f} GB of memory"
    if there is not None and need > there:
        raise DataError(
            f"panel: {told}, there are {there / GIGABYTE:.1f} GB; allowed: what fits, with fewer assets "
            "(data.assets), dates (data.start) or features"
        )
    if need >= TOLD:
        note(f"panel: {told}" + ("" if there is None else f", of {there / GIGABYTE:.1f} GB"))
