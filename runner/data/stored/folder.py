"""The folder of a market on disk: written under another name, renamed when it is whole.

outputs/cache/
├── lock                              one writer at a time
└── 1f0c....runner-market/            one folder for what a market is made from
    ├── manifest.json                 signed: sizes of all files, dates, names, notes; written last
    ├── column                        int32, the assets of the rows
    └── field-0, label-0, ...         float64 and int32, one number per row
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from runner.compute.memory import GIGABYTE
from runner.data.stored.numbers import Numbers
from runner.errors import DataError
from runner.progress import telling
from runner.record.drafts import remove_left, written_whole
from runner.record.signature import is_signed, signature_of
from runner.text import one_line

MANIFEST = "manifest.json"
SUFFIX = ".runner-market"
VERSION = 1  # of what is in the folder
OF_OTHERS = 0o022  # the bits of a mode by which others may write


@dataclass(eq=False)
class Draft:
    """A folder that is being written.

    Attributes:
        folder: its place until it is whole.
        files: name -> the open file.
    """

    folder: Path
    files: dict[str, BinaryIO] = field(default_factory=dict)

    def file(self, name: str) -> BinaryIO:
        """A new file for numbers, read and written."""
        opened = (self.folder / name).open("w+b", buffering=0)
        self.files[name] = opened
        return opened

    def drop(self, name: str) -> None:
        """Remove a file."""
        self.files.pop(name).close()
        (self.folder / name).unlink()

    def rename(self, name: str, new: str) -> None:
        """Give a file another name."""
        self.files[new] = self.files.pop(name)
        (self.folder / name).rename(self.folder / new)

    def cut(self, name: str, size: int) -> None:
        """Keep so many bytes of a file."""
        os.ftruncate(self.files[name].fileno(), size)

    def put(self, name: str, values: np.ndarray, position: int) -> None:
        """Write numbers to a place in a file, given in numbers."""
        write_at(self.files[name], values, position)

    def read(self, name: str, kind: str) -> Numbers:
        """The numbers that are in a file by now."""
        size = os.fstat(self.files[name].fileno()).st_size
        return Numbers(self.folder / name, kind, size // np.dtype(kind).itemsize)

    def numbers(self, name: str, values: np.ndarray) -> None:
        """Write a whole file of numbers."""
        write(self.file(name), values)


def _bytes_of(values: np.ndarray) -> memoryview:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data


def write(file: BinaryIO, values: np.ndarray) -> None:
    """Append numbers to a file that has no buffer of its own."""
    left = _bytes_of(values)
    while len(left):
        left = left[file.write(left) :]


def write_at(file: BinaryIO, values: np.ndarray, position: int) -> None:
    """Write numbers to a place in a file, given in numbers."""
    left = _bytes_of(values)
    place = position * values.itemsize
    while len(left):
        size = os.pwrite(file.fileno(), left, place)
        left = left[size:]
        place += size


@contextmanager
def drafted(home: Path, need: int) -> Iterator[Draft]:
    """A draft of a folder, put in its place when the block ends without an error.

    The block writes the manifest last, by `finish`.

    Args:
        home: its place; what is there and not whole is replaced.
        need: bytes that it takes.

    Raises:
        DataError: there is no room on the disk, or it cannot be written.
    """
    draft = Draft(home.with_name(f".{home.name}.{os.getpid()}.new"))
    try:
        shutil.rmtree(draft.folder, ignore_errors=True)
        draft.folder.mkdir(parents=True, mode=0o700)
        check_room(home, need)
        yield draft
        _put(draft.folder, home)
    except OSError as error:
        raise _unwritable(home, error) from error
    finally:
        for opened in draft.files.values():
            opened.close()
        shutil.rmtree(draft.folder, ignore_errors=True)


ELSEWHERE = "data.folder=FOLDER on another disk, or data.on_disk=false"


def place(home: Path) -> str:
    """The place of a folder in the spec, for people."""
    return f"data.folder: {str(home.parent)!r}"


def _unwritable(home: Path, error: OSError) -> DataError:
    """The error on a folder that cannot be written."""
    return DataError(f"{place(home)} cannot be written: {one_line(error)}; {ELSEWHERE}")


def check_room(home: Path, need: int) -> None:
    """Whether a folder of so many bytes has room on its disk.

    Raises:
        DataError: it has not.
    """
    free = shutil.disk_usage(home.parent).free
    if need > free:
        sizes = (
            f"has {free / GIGABYTE:.1f} GB free, the table on disk takes {need / GIGABYTE:.1f} GB"
        )
        raise DataError(f"{place(home)} {sizes}; {ELSEWHERE}")


def finish(draft: Draft, content: Mapping[str, Any]) -> None:
    """Write all files of a draft to the disk, and the signed manifest last."""
    sizes = {}
    for name, opened in draft.files.items():
        os.fsync(opened.fileno())
        sizes[name] = os.fstat(opened.fileno()).st_size
    text = json.dumps({"version": VERSION, "sizes": sizes, **content}).encode()
    with (draft.folder / MANIFEST).open("wb") as file:
        file.write(signature_of(text).hex().encode() + b"\n" + text)
        file.flush()
        os.fsync(file.fileno())


def manifest_of(home: Path) -> dict[str, Any] | None:
    """What the manifest of a folder says; None where it is not whole or not this user's own."""
    try:
        if os.stat(home).st_uid != os.getuid() or os.stat(home).st_mode & OF_OTHERS:
            return None
        signature, _, text = (home / MANIFEST).read_bytes().partition(b"\n")
        if not is_signed(bytes.fromhex(signature.decode()), text):
            return None
        content = json.loads(text)
        sizes = {name: os.stat(home / name).st_size for name in content["sizes"]}
    except (OSError, ValueError, KeyError):
        return None
    whole = content["version"] == VERSION and sizes == content["sizes"]
    return content if whole else None


def remembered(home: Path, key: str, make: Callable[[], str]) -> str:
    """A text made of what is in a folder, kept there, signed, under a key of what it is made of."""
    path = home / f"text-{key}"
    with suppress(OSError, ValueError):
        signature, _, text = path.read_bytes().partition(b"\n")
        if is_signed(bytes.fromhex(signature.decode()), key.encode(), text):
            return text.decode()
    made = make()
    signature = signature_of(key.encode(), made.encode()).hex().encode()
    with suppress(OSError):
        remove_left(home)
        with written_whole(path) as file:
            file.write(signature + b"\n" + made.encode())
    return made


def numbers_of(home: Path, name: str, kind: str) -> Numbers:
    """The numbers in a file of a folder that is whole."""
    path = home / name
    return Numbers(path, kind, path.stat().st_size // np.dtype(kind).itemsize)


def _put(fresh: Path, home: Path) -> None:
    """Put a whole folder in its place; what was there stays open for who reads it."""
    with suppress(FileNotFoundError):
        old = fresh.with_suffix(".old")
        home.replace(old)
        shutil.rmtree(old, ignore_errors=True)
    fresh.replace(home)


def _waiting(home: Path, seconds: float) -> str:
    return f"data: another process writes below {str(home.parent)!r}: waited {seconds:.0f} s"


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One writer at a time below the folder of folders; what killed writers left is removed.

    Raises:
        DataError: the folder cannot be written.
    """
    import fcntl

    try:
        home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (home.parent / "lock").open("a")
    except OSError as error:
        raise _unwritable(home, error) from error
    with file:
        with telling(partial(_waiting, home)):
            fcntl.flock(file, fcntl.LOCK_EX)
        for left in home.parent.glob(f".*{SUFFIX}.*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
