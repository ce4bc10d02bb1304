"""Markets and panels that processes share, as files that are read without a copy.

Each lies under the digest of what it was made from. A file is written under a name of its own and
renamed when it is whole, so that simultaneous writers and killed ones do no harm; the last one
wins, and all wrote the same. Files used longest ago go where the limit is passed; a process that
has one open keeps it. They are pickles, which may run any code: only files that this user alone
could have written are read and that this user has signed (a folder of results may come from
others, and is theirs once it is unpacked), no links, none of other versions of Python or of the
libraries, and none of which a bit has changed. What is not read is made again, and replaced.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import shutil
import stat
import struct
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.compute.cache import Bench
from runner.data.stored.folder import SUFFIX as MARKET
from runner.errors import DataError
from runner.record.identity import digest
from runner.record.signature import SIGNATURE_BYTES, is_signed, signature_of

if TYPE_CHECKING:
    from runner.sweeps.plan import Plan

# mark, versions that it was written by, bytes in all, bytes of the pickle, number of buffers
FIELDS = struct.Struct("<8s20sQQQ")
CHECKSUM = struct.Struct("<I")  # of everything before and after it
SIGNED = FIELDS.size + SIGNATURE_BYTES  # the fields, and a signature of them and the pickle
HEAD_BYTES = SIGNED + CHECKSUM.size
MARK = b"frcache4"
PICKLED = ("numpy", "pandas")  # libraries whose objects are in the files
SIZE_BYTES = 8  # of the size of one buffer, after the head
LINE = 64  # bytes that a buffer is aligned to
GIGABYTE = 10**9
STALE = 3600.0  # seconds after which a file that is still not whole has lost its writer
SHARED = ("market", "panel")  # what is worth a file
# how our files end, and no others: what is too much is removed from whatever directory is named
KEPT = ".runner-cache"
UNFINISHED = ".runner-new"


class Cache:
    """Things by key in a directory of limited size."""

    def __init__(self, directory: Path, limit: float) -> None:
        self.directory = directory
        self.limit = limit

    def get(self, key: str) -> Any:
        """The thing, its arrays read-only and not copied.

        None where it is not here, not whole, or not to be trusted.
        """
        path = self._path(key)
        try:
            # a fifo is opened without waiting for its writer
            opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(opened, "rb") as file:
                if not _is_own_file(os.fstat(file.fileno())):
                    return None
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
                os.utime(file.fileno())
        except (OSError, ValueError):  # an empty file cannot be mapped
            return None
        return _loaded(data)

    def put(self, key: str, thing: Any) -> None:
        """Keep the thing; without room on the disk it is not kept."""
        buffers: list[memoryview] = []

        def collect(buffer: pickle.PickleBuffer) -> None:
            buffers.append(buffer.raw())

        text = pickle.dumps(thing, protocol=5, buffer_callback=collect)
        fresh = self.directory / f".{key}.{os.getpid()}{UNFINISHED}"
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(fresh, "wb", opener=_privately) as file:
                _dump(file, text, buffers)
            path = self._path(key)
            fresh.replace(path)
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
        self._shrink(self._path(key))

    def entries(self) -> list[tuple[Path, int]]:
        """Files with their bytes, those used longest ago first."""
        used = []
        for path in self.directory.glob(f"*{KEPT}"):
            with contextlib.suppress(FileNotFoundError):
                used.append((path.stat().st_mtime_ns, path, path.stat().st_size))
        return [(path, size) for _, path, size in sorted(used)]

    def markets(self) -> list[tuple[Path, int]]:
        """Markets on disk (`data.on_disk`) with their bytes, which no limit removes."""
        sizes = []
        for home in sorted(self.directory.glob(f"*{MARKET}")):
            with contextlib.suppress(FileNotFoundError):
                sizes.append((home, sum(path.stat().st_size for path in home.iterdir())))
        return sizes

    def empty(self) -> None:
        """Remove every file and market, those that killed writers left too."""
        for path in [*self.directory.glob(f"*{KEPT}"), *self.directory.glob(f".*{UNFINISHED}")]:
            if path.is_file():
                path.unlink(missing_ok=True)
        for home in [*self.directory.glob(f"*{MARKET}"), *self.directory.glob(f".*{MARKET}.*")]:
            shutil.rmtree(home, ignore_errors=True)

    def _shrink(self, keep: Path) -> None:
        """Remove what lost its writer, and the files used longest ago that are too many."""
        for rest in self.directory.glob(f".*{UNFINISHED}"):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                if rest.stat().st_mtime < time.time() - STALE:
                    rest.unlink()
        entries = self.entries()
        excess = sum(size for _, size in entries) - self.limit
        for path, size in entries:
            if excess > 0 and path != keep:
                path.unlink(missing_ok=True)
                excess -= size

    def _path(self, key: str) -> Path:
        name = f"{key}{KEPT}"
        return self.directory / name


class SharedBench(Bench):
    """A bench whose market and panels other processes use too.

    The data must be what the plan was made for.
    """

    def __init__(self, cache: Cache, code: str, fingerprints: Mapping[str, str]) -> None:
        super().__init__()
        self.cache = cache
        self.code = code
        self.expected = fingerprints

    def get(self, what: str, of: Any, make: Callable[[], Any]) -> Any:
        def kept() -> Any:
            return self._kept(what, of, make)

        return super().get(what, of, kept if what in SHARED else make)

    def _kept(self, what: str, of: Any, make: Callable[[], Any]) -> Any:
        """The thing from its file, or made and kept there.

        Raises:
            DataError: the data is not what the plan was made for.
        """
        expected = self.expected.get(digest(of)) if what == "market" else None
        key = f"{what}-{digest([of, expected, self.code])}"
        thing = self.cache.get(key)
        if thing is None:
            thing = make()
            if expected is not None and thing.fingerprint != expected:
                raise DataError(
                    f"data: changed since the sweep began: {thing.source}; "
                    "allowed: the same data, or a new sweep"
                )
            self.cache.put(key, thing)
        return thing


def bench_of(plan: Plan) -> SharedBench:
    """The bench of a process that works for the plan."""
    settings = plan.settings
    cache = Cache(Path(settings.cache), settings.cache_gb * GIGABYTE)
    fingerprints = {digest(job.data): job.fingerprint for job in plan.jobs}
    return SharedBench(cache, plan.code, fingerprints)


def _is_own_file(status: os.stat_result) -> bool:
    """Whether nobody but this user could have written the file, under this name or another."""
    # it has no name once another process has put a whole file of its own in its place
    is_plain = stat.S_ISREG(status.st_mode) and status.st_nlink <= 1
    is_open_to_others = bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return is_plain and status.st_uid == os.getuid() and not is_open_to_others


def _privately(path: str, flags: int) -> int:
    """Opens a new file that only its owner may read and write."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


@cache
def _versions() -> bytes:
    """Twenty digits that name what wrote a file: Python and the libraries whose objects it has."""
    libraries = {name: version(name) for name in PICKLED}
    return digest([sys.version, sys.byteorder, libraries]).encode()


def _dump(file: Any, text: bytes, buffers: Sequence[memoryview]) -> None:
    """Write head, sizes of the buffers, pickle, and the buffers, each at the start of a line."""
    sizes = struct.pack(f"<{len(buffers)}Q", *(buffer.nbytes for buffer in buffers))
    content: list[bytes | memoryview] = [sizes + text]
    total = HEAD_BYTES + len(sizes) + len(text)
    for buffer in buffers:
        padding = b"\0" * _padding(total)
        content += [padding, buffer]
        total += len(padding) + buffer.nbytes
    fields = FIELDS.pack(MARK, _versions(), total, len(text), len(buffers))
    signature = signature_of(fields, text)
    signed = fields + signature
    file.write(signed + CHECKSUM.pack(_checksum(signed, content)))
    for part in content:
        file.write(part)
    file.flush()
    os.fsync(file.fileno())


def _checksum(signed: bytes | memoryview, content: Sequence[bytes | memoryview]) -> int:
    """CRC-32 of a file without the checksum itself: any one changed bit changes it."""
    value = zlib.crc32(signed)
    for part in content:
        value = zlib.crc32(part, value)
    return value


def _padding(position: int) -> int:
    """Bytes from a position in the file to the start of the next line."""
    return -position % LINE


def _loaded(data: memoryview) -> Any:
    """What `_dump` wrote, None where it is not whole or written by other versions."""
    if len(data) < HEAD_BYTES:
        return None
    mark, versions, total, length, count = FIELDS.unpack_from(data)
    if (mark, versions, total) != (MARK, _versions(), len(data)):
        return None
    [checksum] = CHECKSUM.unpack_from(data, SIGNED)
    if _checksum(data[:SIGNED], [data[HEAD_BYTES:]]) != checksum:
        return None
    sizes_bytes = SIZE_BYTES * count
    start = HEAD_BYTES + sizes_bytes
    position = start + length
    text = data[start:position]
    if not is_signed(data[FIELDS.size : SIGNED], data[: FIELDS.size], text):
        return None
    buffers = []
    for size in struct.unpack_from(f"<{count}Q", data, HEAD_BYTES):
        position += _padding(position)
        buffers.append(data[position : position + size])
        position += size
    # written and signed by the same user
    return pickle.loads(text, buffers=buffers)  # noqa: S301
