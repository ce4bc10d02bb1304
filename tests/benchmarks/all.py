"""Every table of the benchmarks anew, each by a script in a process of its own.

    python tests/benchmarks/all.py [--quick] [--write] [--peers PYTHON] [TABLE ...]

Prints each table under its title, with the commit, the date and the machine; a script that fails says so in place of its
table, and the rest goes on. `--quick` takes small sizes. `--write` puts what is printed between the marks of the README
and draws the picture anew. `--peers` is the Python of an environment that also has polars, polars-ols, pyfixest and duckdb
(this one without it); a peer that is not there says so.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"
PICTURE = HERE / "growth.svg"


@dataclass(frozen=True)
class Table:
    """What one script prints.

    Attributes:
        title: what it shows.
        words: the script and its arguments, in full and quick.
        peers: whether it needs the environment of the peers.
    """

    title: str
    words: str
    quick: str
    peers: bool = False


TABLES = {
    "startup": Table("What the command line adds", "startup.py 7", "startup.py 1"),
    "engine_small": Table(
        "The engine beside its peers, small", "engine.py small", "engine.py small", True
    ),
    "engine_large": Table(
        "The engine beside its peers, large", "engine.py large", "engine.py tiny", True
    ),
    "sweep": Table("A sweep", "sweep.py 200", "sweep.py 40"),
    "ragged": Table("Ragged panels", "ragged.py", "ragged.py 3500"),
    "peers_10": Table(
        "Ragged panels beside the peers",
        "peers.py --turns 3 --least 30",
        "peers.py --names 3000",
        True,
    ),
    "peers_94": Table(
        "The same with 94 characteristics",
        "peers.py --characteristics 94 --seconds 240",
        "peers.py --characteristics 94 --names 2500 --seconds 60",
        True,
    ),
    "on_disk": Table("Markets on disk", "on_disk.py 1 3 10 30 100", "on_disk.py 1"),
    "validation_small": Table("Validation, small", "validation.py small", "validation.py small"),
    "validation_large": Table("Validation, large", "validation.py large", "validation.py tiny"),
    "vol_table_small": Table(
        "The volatility table, small", "vol_table.py small", "vol_table.py small", True
    ),
    "vol_table_large": Table(
        "The volatility table, large", "vol_table.py large", "vol_table.py tiny", True
    ),
    "audit": Table("The leak audit", "audit.py", "audit.py"),
    "lasso": Table("A LASSO per asset and minute", "lasso.py", "lasso.py"),
}


def printed(words: str, python: str) -> str:
    """What a script prints; the last line of its error after what it had printed, where it fails."""
    script, *arguments = words.split()
    command = [python, "-W", "ignore", str(HERE / script), *arguments]
    env = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode == 0:
        return done.stdout.strip()
    told = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
    return f"{done.stdout.strip()}\n\nThe script failed: {told[-1][:200]}".strip()


def about() -> str:
    """Commit, date and machine."""
    git = ["git", "-C", str(HERE), "log", "-1", "--format=%h"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    changed = ["git", "-C", str(HERE), "status", "--porcelain", "--", "../../runner", "../../conf"]
    dirty = subprocess.run(changed, capture_output=True, text=True, check=False).stdout.strip()
    state = " with changes" if dirty else ""
    now = datetime.datetime.now(datetime.UTC)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"Printed at commit {commit}{state} on {now:%Y-%m-%d %H:%M} UTC; Python {platform.python_version()},"
        f" {platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB; load before"
        f" {os.getloadavg()[0]:.1f}."
    )


def put(name: str, text: str) -> None:
    """Write this between the marks of a table in the README."""
    readme = README.read_text()
    begin, end = f"<!-- table: {name} -->\n", "<!-- end of table -->"
    before, after = readme.split(begin)
    _, rest = after.split(end, 1)
    README.write_text(f"{before}{begin}{text}\n{end}{rest}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    asked = parser.parse_args()
    unknown = [name for name in asked.tables if name not in TABLES]
    if unknown:
        parser.error(f"no table {unknown[0]}; allowed: {', '.join(TABLES)}")
    for name in asked.tables or TABLES:
        table = TABLES[name]
        head = about()
        words = table.quick if asked.quick else table.words
        if name == "on_disk" and asked.write:
            words += f" --draw {PICTURE}"
        start = time.perf_counter()
        text = printed(words, asked.peers if table.peers else sys.executable)
        seconds = time.perf_counter() - start
        print(f"## {table.title}\n\n`{words}`, {seconds:.0f} s. {head}\n\n{text}\n", flush=True)
        if asked.write:
            put(name, f"{text}\n\n{head}")


if __name__ == "__main__":
    main()
