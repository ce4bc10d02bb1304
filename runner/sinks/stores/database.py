"""The SQLite file of a store: whether it is whole, and where it says that artifacts lie."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlparse

CHECKED = 50_000_000  # bytes up to which every page is looked at
# of MLflow's tables, what names a place below the folder of the store
PLACES = (
    ("experiments", "artifact_location", ""),
    ("runs", "artifact_uri", ""),
    ("tags", "value", "and key = 'directory'"),
)


def check_head(file: Path) -> None:
    """Look whether a file is a database: MLflow tries for two minutes before it says so.

    By SQLite alone: to open the file otherwise and close it would end every lock that this process
    has on it (sqlite.org/howtocorrupt.html), and two writers at a time destroy it.

    Raises:
        sqlite3.Error: it is not, or another process holds it.
    """
    if file.stat().st_size == 0:  # stores are made whole: it had runs
        raise sqlite3.DatabaseError("malformed: it is empty")
    with closing(sqlite3.connect(file)) as database:
        database.execute("select name from sqlite_master").fetchall()


def check_pages(file: Path) -> None:
    """Look at every page of a database, unless it is large.

    Raises:
        sqlite3.Error: one is damaged, or another process holds it.
    """
    if file.stat().st_size > CHECKED:
        return
    with closing(sqlite3.connect(file)) as database:
        [(answer,)] = database.execute("pragma quick_check(1)")
    if answer != "ok":
        raise sqlite3.DatabaseError(f"malformed: {' '.join(answer.split())}")


def mend_places(file: Path) -> None:
    """Let a store that was moved with its folder name the places of today, not those of before."""
    here = file.parent
    with closing(sqlite3.connect(file)) as database:
        tables = {name for (name,) in database.execute("select name from sqlite_master")}
        if "experiments" not in tables:
            return
        locations = database.execute("select distinct artifact_location from experiments")
        for (location,) in locations.fetchall():
            before = _folder_before(location, here)
            if before is not None:
                _replace(database, before, here)
        database.commit()


def _folder_before(location: str | None, here: Path) -> Path | None:
    """Where the folder of the store was, by where its artifacts were; None: it was not moved.

    Artifacts that somebody put elsewhere stay there.
    """
    address = urlparse(location or "")
    path = unquote(address.path)
    place = Path(path)
    if address.scheme != "file" or place.name != "artifacts" or place.parent == here:
        return None
    came_place = here / place.name
    came_along = came_place.exists()
    return place.parent if came_along or not place.exists() else None


def _replace(database: sqlite3.Connection, before: Path, here: Path) -> None:
    """Put the folder of today for that of before wherever one begins with it."""
    for table, column, further in PLACES:
        for old, new in ((before.as_uri(), here.as_uri()), (str(before), str(here))):
            place = f"? || substr({column}, ?)"
            below = f"substr({column}, 1, ?) = ? {further}"
            update = f"update {table} set {column} = {place} where {below}"  # noqa: S608 our names
            database.execute(update, (f"{new}/", len(old) + 2, len(old) + 1, f"{old}/"))
