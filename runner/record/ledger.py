"""The ledger: every trial on every data and target, finished, failed or abandoned, of all sweeps
and single runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from runner.errors import DataError
from runner.text import LEVEL, MANY_TESTS

TABLE = """create table if not exists trials (
    key text not null, family text not null, place text not null, status text not null, seconds real,
    first_seen text not null default (datetime('now')), primary key (key, place))"""
PATIENCE = 60.0  # seconds for other writers


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
            return ["The first spec that the ledger has on this data and target."]
        lost = [
            f"{n:,} {what}"
            for n, what in ((self.failed, "failed"), (self.abandoned, "abandoned"))
            if n
        ]
        those = f" ({' and '.join(lost)})" if lost else ""
        best = "the best of several looks better than it is"
        if self.trials >= MANY_TESTS:
            expected = f"{LEVEL * self.trials:,.0f} of them"
            best = f"where nothing is to be found, chance alone makes about {expected} significant at 5 %"
        told = f"The ledger has {self.trials:,} specs on this data and target{those}, this one included"
        return [f"{told}: {best}, and no p-value here allows for that."]


class Ledger:
    """A file of trials, each known by its key and by the directory that it writes."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    def begin(self, family_of: Mapping[tuple[str, str], str], status: str = "planned") -> None:
        """Trials (key, directory), `planned` or `begun`, with the family of each; of known ones
        those that failed.
        """
        with self._open() as book:
            book.executemany(
                "insert into trials (key, place, family, status) values (?, ?, ?, ?) "
                "on conflict do update set status = excluded.status where status = 'failed'",
                [(key, place, family, status) for (key, place), family in family_of.items()],
            )

    def end(self, key: str, place: str, status: str, seconds: float) -> None:
        """How a trial ended: `finished` or `failed`."""
        self.ended({(key, place): (status, seconds)})

    def ended(self, outcomes: Mapping[tuple[str, str], tuple[str, float]]) -> None:
        """How trials (key, directory) ended, with the seconds that each took; in one write to the
        disk.
        """
        rows = [(*outcome, *trial) for trial, outcome in outcomes.items()]
        with self._open() as book:
            book.executemany(
                "update trials set status = ?, seconds = ? where key = ? and place = ?", rows
            )

    def count(self, family: str, begun: str | None = None) -> Count:
        """Trials of the family; one that began and has no end was abandoned, one that never began
        does not count.

        The trial with the key `begun` is under way, and counts as finished.
        """
        best: dict[str, int] = {} if begun is None else {begun: 3}
        for key, place, status in self._rows(
            "select key, place, status from trials where family = ?", family
        ):
            rank = {"finished": 3, "failed": 2, "begun": 1}.get(
                status, 1 if _begun(Path(place)) else 0
            )
            best[key] = max(best.get(key, 0), rank)
        finished, failed, abandoned = (
            sum(rank == one for rank in best.values()) for one in (3, 2, 1)
        )
        return Count(finished, failed, abandoned)

    def finished(self, keys: Iterable[str]) -> dict[str, Path]:
        """Directories of finished trials that are still there, by key."""
        wanted = set(keys)
        rows = self._rows("select key, place from trials where status = 'finished'")
        return {
            key: Path(place)
            for key, place in rows
            if key in wanted and (Path(place) / "run.json").is_file()
        }

    def typical_seconds(self, family: str) -> float | None:
        """Median seconds of finished trials of the family, None where there are none."""
        query = "select seconds from trials where family = ? and status = 'finished' and seconds is not null"
        seconds = [row[0] for row in self._rows(query, family)]
        return median(seconds) if seconds else None

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
            self.path.parent.mkdir(parents=True, exist_ok=True)
            book = sqlite3.connect(self.path, timeout=PATIENCE)
            try:
                with book:
                    book.execute(TABLE)
                    yield book
            finally:
                book.close()
        except (sqlite3.Error, OSError) as error:
            raise DataError(f"ledger: {str(self.path)!r}: {error}") from error


def marker(place: Path) -> Path:
    """The file that says that the job which writes `place` has begun."""
    return place.parent / ".state" / f"{place.name}.begun"


def _begun(place: Path) -> bool:
    return place.exists() or marker(place).exists()
