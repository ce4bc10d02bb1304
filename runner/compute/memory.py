"""How much memory there is, and what takes more of it refused before it is made."""

from __future__ import annotations

from pathlib import Path

from runner.errors import DataError

GIGABYTE = 10**9
KILOBYTE = 1024  # of /proc/meminfo
NUMBER = 8  # bytes
SMALL = 2**16  # bytes for which the system is not asked, as asking costs more
# limit and use of the control group, of its second and of its first version
CONTROL_GROUPS = (
    ("sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory.current"),
    ("sys/fs/cgroup/memory/memory.limit_in_bytes", "sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def refuse_beyond(need: int, takes: str, smaller: str) -> int | None:
    """Refuse what takes more memory than there is.

    Args:
        need: bytes that it takes.
        takes: what it is and takes, for the line.
        smaller: what would take less.

    Returns:
        The bytes that there are; None where the system does not say, or was not asked.

    Raises:
        DataError: there is less.
    """
    there = available() if need > SMALL else None
    if there is not None and need > there:
        room = f"there are {there / GIGABYTE:.1f} GB"
        raise DataError(f"{takes}, {room}; allowed: what fits, with {smaller}")
    return there


def refuse_cells(dates: int, assets: int, arrays: int) -> None:
    """Refuse so many arrays of every cell (date x asset) where they do not fit into memory.

    Raises:
        DataError: they do not.
    """
    need = NUMBER * dates * assets * arrays
    cells = f"{dates:,} dates x {assets:,} assets"
    takes = f"joined to every asset-date, {cells}, it takes {need / GIGABYTE:.1f} GB"
    refuse_beyond(need, takes, "its columns in the table of assets, or fewer assets (data.assets)")


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
