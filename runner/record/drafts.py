"""Files that are whole or absent: written beside their place, and put there at the end."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

NEW = ".new"


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name of `path` when the block is done.

    Its writer holds a lock on it, as whoever tries finds, also on another machine.

    Raises:
        OSError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{uuid4().hex[:12]}{NEW}")
    try:
        with _held(draft) as file:
            yield file
            file.flush()
            draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _held(draft: Path) -> BinaryIO:
    """A new file, open for writing and locked."""
    while True:
        file = draft.open("wb")
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if draft.exists():
            return file
        file.close()  # it was taken for one that is left, before it was locked


def remove_left(folder: Path) -> None:
    """Remove the drafts of writers that were killed."""
    for left in folder.glob(f".*{NEW}"):
        with suppress(OSError), open(left, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
