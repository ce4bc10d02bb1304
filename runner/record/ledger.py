"""The ledger: every trial on every data and target, of all sweeps and single runs."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from runner.errors import DataError
from runner.progress import telling
from runner.text import LEVEL, MANY_TESTS

TABLE = """create table if not exists trials (
    key text not null, family text not null, place text not null,
    status text not null, seconds real,
    first_seen text not null default (datetime('now')), primary key (key, place))"""
VERSION = 1  # `user_version` of the files made here; those of earlier versions have 0
RESTORED = "allowed: a copy of it, or none, which begins to count anew"
PATIENCE = 50.0  # seconds for other writers
FINISHED, FAILED, ABANDONED, PLANNED = 3, 2, 1, 0  # how far a trial came; the furthest place counts
UNENDED = ("planned", "begun")  # statuses of trials whose end is not noted
RUN = "run.json"  # of a run directory, which is written whole or not at all
RANKS = {"finished": FINISHED, "failed": FAILED, "begun": ABANDONED, "refused": PLANNED}


@dataclass(frozen=True)
class Count:
    """Different specs tried on one data and target."""

    finished: int
    failed: int
    abandoned: int

    @property
    def trials(self) -> int:
        return self.finished + self.failed + self.abandoned

    @property
    def words(self) -> list[str]:
        """What the number of trials means for one of them, in a sentence."""
        if self.trials == 1:
            return ["This is the first specification recorded for these data and this target."]
        lost = []
        if self.failed:
            lost.append(f"{self.failed:,} failed")
        if self.abandoned:
            lost.append(f"{self.abandoned:,} abandoned")
        without_result = f" ({' and '.join(lost)})" if lost else ""
        warning = "the best of several is biased upward"
        if self.trials >= MANY_TESTS:
            expected = f"{LEVEL * self.trials:,.0f}"
            warning = f"chance alone would make about {expected} of them significant at 5 %"
        return [
            f"{self.trials:,} specifications are recorded for these data and this "
            f"target{without_result}, this one included: {warning}, and p-values here are not "
            "adjusted for that."
        ]


class Ledger:
    """A file of trials, each known by its key and by the directory that it writes."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def begin(self, family_of: Mapping[tuple[str, str], str], status: str = "planned") -> None:
        """Note trials (key, directory) as `planned` or `begun`, with the family of each.

        Of trials that the ledger knows only those that failed or were refused change.
        """
        rows = [(key, place, family, status) for (key, place), family in family_of.items()]
        with self._open() as book:
            book.executemany(
                "insert into trials (key, place, family, status) values (?, ?, ?, ?) "
                "on conflict do update set status = excluded.status "
                "where status in ('failed', 'refused')",
                rows,
            )

    def of_earlier_version(self) -> bool:
        """Whether an earlier version made the file, so that it may hold trials of one."""
        [(version,)] = self._rows("pragma user_version") or [(VERSION,)]
        return version < VERSION

    def carry(self, families: Mapping[str, str]) -> None:
        """Count trials of these families under others from now on (family -> the other)."""
        known = {family for (family,) in self._rows("select distinct family from trials")}
        moved = [(families[family], family) for family in families if family in known]
        if not moved:
            return
        with self._open() as book:
            book.executemany("update trials set family = ? where family = ?", moved)

    def end(self, key: str, place: str, status: str, seconds: float) -> None:
        """Note how a trial ended: `finished`, `failed`, or `refused`, which is no trial."""
        self.ended({(key, place): (status, seconds)})

    def ended(self, outcomes: Mapping[tuple[str, str], tuple[str, float]]) -> None:
        """Note how trials (key, directory) ended and their seconds, in one write to the disk.

        One that finished stays so: of several runs into one directory the first wins, and the
        others fail.
        """
        rows = []
        for (key, place), (status, seconds) in outcomes.items():
            rows.append((status, seconds, key, place))
        with self._open() as book:
            book.executemany(
                "update trials set status = ?, seconds = ? "
                "where key = ? and place = ? and status <> 'finished'",
                rows,
            )

    def count(self, family: str, begun: str | None = None) -> Count:
        """Trials of the family, each key once, by the furthest that it came.

        One that began and has no end was abandoned, unless its run was written: then only the note
        of its end is missing. One that never began does not count. The trial with the key `begun`
        is under way, and counts as finished.
        """
        furthest: dict[str, int] = {}
        if begun is not None:
            furthest[begun] = FINISHED
        query = "select key, place, status from trials where family = ?"
        for key, place, status in self._rows(query, family):
            rank = RANKS.get(status)
            if status in UNENDED and _wrote(Path(place), key):
                rank = FINISHED
            elif rank is None:
                rank = ABANDONED if _begun(Path(place)) else PLANNED
            furthest[key] = max(furthest.get(key, PLANNED), rank)
        ranks = list(furthest.values())
        return Count(ranks.count(FINISHED), ranks.count(FAILED), ranks.count(ABANDONED))

    def finished(self, keys: Iterable[str]) -> dict[str, Path]:
        """Directories of finished trials that are still there, by key."""
        wanted = set(keys)
        directories = {}
        for key, place, status in self._rows("select key, place, status from trials"):
            if key not in wanted or status not in ("finished", *UNENDED):
                continue
            directory = Path(place)
            is_there = (directory / RUN).is_file()
            if is_there and (status == "finished" or _wrote(directory, key)):
                directories[key] = directory
        return directories

    def typical_seconds(self, family: str) -> float | None:
        """Median seconds of finished trials of the family, None where there are none."""
        rows = self._rows(
            "select seconds from trials "
            "where family = ? and status = 'finished' and seconds is not null",
            family,
        )
        if not rows:
            return None
        return median(seconds for (seconds,) in rows)

    def _rows(self, query: str, *values: str) -> list[tuple]:
        if not self.path.exists():
            return []
        with self._open() as book:
            return book.execute(query, values).fetchall()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction.

        Raises:
            DataError: the file is no ledger, or cannot be written.
        """
        try:
            self._create()
            if not self.path.stat().st_size:
                problem = "is empty: the trials that it had are lost"
                raise DataError(f"ledger: {str(self.path)!r} {problem}; {RESTORED}")
            book = sqlite3.connect(self.path, timeout=PATIENCE)
            try:
                with telling(self._waiting), book:
                    yield book
            finally:
                book.close()
        except (sqlite3.OperationalError, OSError) as error:
            held = ": another process holds it" if "locked" in str(error) else ""
            raise DataError(f"ledger: {str(self.path)!r}: {error}{held}") from error
        except sqlite3.Error as error:
            raise DataError(f"ledger: {str(self.path)!r}: {error}; {RESTORED}") from error

    def _waiting(self, seconds: float) -> str:
        waited = f"not done after {seconds:.0f} s, {PATIENCE:.0f} s at most"
        return f"ledger: {str(self.path)!r}: waiting for another process: {waited}"

    def _create(self) -> None:
        """Make the file where there is none, whole from the first: an empty one has lost all."""
        if self.path.exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        try:
            with closing(sqlite3.connect(fresh)) as book, book:
                book.execute(TABLE)
                book.execute(f"pragma user_version = {VERSION}")
            os.link(fresh, self.path)
        except FileExistsError:
            pass  # another process made it at the same time
        finally:
            fresh.unlink(missing_ok=True)


def marker(place: Path) -> Path:
    """The file that says that the job which writes `place` has begun."""
    return place.parent / ".state" / f"{place.name}.begun"


def _wrote(place: Path, key: str) -> bool:
    """Whether the run of this key is whole in its directory, whose process may have been killed
    before it noted that in the ledger.
    """
    try:
        return bool(json.loads((place / RUN).read_text())["job"] == key)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _begun(place: Path) -> bool:
    return place.exists() or marker(place).exists()
