"""How much memory a panel takes, beside what there is: refused where it cannot fit."""

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
KILOBYTE = 1024  # of /proc/meminfo
NUMBER = 8  # bytes
# limit and use of the control group, of its second and of its first version
CONTROL_GROUPS = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def needed(rows: int, assets: int, features: int) -> int:
    """Bytes at the peak of a run."""
    return NUMBER * rows * assets * (features + BESIDE)


def available(root: Path = Path("/")) -> int | None:
    """Bytes that can be had without swapping, within the limit of the control group.

    None where the system does not say.
    """
    bounds = [*_of_the_machine(root), *_of_the_group(root)]
    return min(bounds) if bounds else None


def _of_the_machine(root: Path) -> list[int]:
    """Bytes that the machine has left, where it says so."""
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return []
    left = [line for line in lines if line.startswith("MemAvailable:")]
    return [KILOBYTE * int(line.split()[1]) for line in left]


def _of_the_group(root: Path) -> list[int]:
    """Bytes that each control group with a limit has left."""
    bounds = []
    for limit, use in CONTROL_GROUPS:
        try:
            most = (root / limit).read_text().strip()
            now = (root / use).read_text().strip()
        except OSError:
            continue
        # else there is no limit
        if most.isdigit():
            bounds.append(max(int(most) - int(now), 0))
    return bounds


def check(rows: int, assets: int, features: int) -> None:
    """Say what a run on a large panel takes.

    Raises:
        DataError: there is less.
    """
    need = needed(rows, assets, features)
    there = available()
    noun = "column" if features == 1 else "columns"
    size = f"{rows:,} dates x {assets:,} assets x {features} {noun}"
    takes = f"panel: {size} take about {need / GIGABYTE:.1f} GB of memory"
    if there is not None and need > there:
        smaller = "fewer assets (data.assets), dates (data.start) or features"
        raise DataError(
            f"{takes}, there are {there / GIGABYTE:.1f} GB; allowed: what fits, with {smaller}"
        )
    if need < TOLD:
        return
    if there is not None:
        takes += f", of {there / GIGABYTE:.1f} GB"
    note(takes)
