"""What processes share: markets and panels by the digest of what they were made from, as files read
without a copy.

A file is written under a name of its own and renamed when it is whole, so that simultaneous writers
and killed ones do no harm; the last one wins, and all wrote the same. Files used longest ago go
where the limit is passed; a process that has one open keeps it. Only files of the same user are
read: they are pickles.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import struct
import time
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.compute.cache import Bench
from runner.errors import DataError
from runner.record.identity import digest

if TYPE_CHECKING:
    from runner.sweeps.plan import Plan

HEAD = struct.Struct(
    "<8sQQQI"
)  # mark, bytes in all, of the pickle, number of buffers, checksum of sizes and pickle
MARK = b"frcache2"
LINE = 64  # bytes that a buffer is aligned to
GIGABYTE = 10**9
STALE = 3600.0  # seconds after which a file that is still not whole has lost its writer
SHARED = ("market", "panel")  # what is worth a file


class Cache:
    """Things by key in a directory of limited size."""

    def __init__(self, directory: Path, limit: float) -> None:
        self.directory, self.limit = directory, limit

    def get(self, key: str) -> Any:
        """The thing, its arrays read-only and not copied; None where it is not whole, not here or
        not ours.
        """
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                if os.fstat(file.fileno()).st_uid != os.getuid():
                    return None
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            os.utime(path)
        except (OSError, ValueError):  # an empty file cannot be mapped
            return None
        return _loaded(data)

    def put(self, key: str, thing: Any) -> None:
        """Keep the thing; without room on the disk it is not kept."""
        buffers: list[memoryview] = []
        text = pickle.dumps(
            thing, protocol=5, buffer_callback=lambda one: buffers.append(one.raw())
        )
        fresh = self.directory / f".{key}.{os.getpid()}.new"
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(fresh, "wb") as file:
                _dump(file, text, buffers)
            fresh.replace(self._path(key))
        except OSError:
            pass
        finally:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)
        self._shrink(self._path(key))

    def entries(self) -> list[tuple[Path, int]]:
        """Files with their bytes, those used longest ago first."""
        found = []
        for path in self.directory.glob("*.cache"):
            with contextlib.suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, path, path.stat().st_size))
        return [(path, size) for _, path, size in sorted(found)]

    def empty(self) -> None:
        """Remove every file, those that killed writers left too."""
        for path in [*self.directory.glob("*.cache"), *self.directory.glob(".*.new")]:
            path.unlink(missing_ok=True)

    def _shrink(self, keep: Path) -> None:
        for rest in self.directory.glob(".*.new"):
            with contextlib.suppress(FileNotFoundError):
                if rest.stat().st_mtime < time.time() - STALE:
                    rest.unlink()
        entries = self.entries()
        excess = sum(size for _, size in entries) - self.limit
        for path, size in entries:
            if excess > 0 and path != keep:
                path.unlink(missing_ok=True)
                excess -= size

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.cache"


class SharedBench(Bench):
    """A bench whose market and panels other processes use too; the data must be what the plan was
    made for.
    """

    def __init__(self, cache: Cache, code: str, fingerprints: Mapping[str, str]) -> None:
        super().__init__()
        self.cache, self.code, self.expected = cache, code, fingerprints

    def get(self, what: str, of: Any, make: Callable[[], Any]) -> Any:
        return super().get(
            what, of, lambda: self._kept(what, of, make) if what in SHARED else make()
        )

    def _kept(self, what: str, of: Any, make: Callable[[], Any]) -> Any:
        expected = self.expected.get(digest(of)) if what == "market" else None
        key = f"{what}-{digest([of, expected, self.code])}"
        found = self.cache.get(key)
        if found is None:
            found = make()
            if expected not in (None, getattr(found, "fingerprint", None)):
                raise DataError(
                    f"data: changed since the sweep began: {found.source}; allowed: the same data, or a new sweep"
                )
            self.cache.put(key, found)
        return found


def bench_of(plan: Plan) -> SharedBench:
    """The bench of a process that works for the plan."""
    settings = plan.settings
    fingerprints = {one: job.fingerprint for job in plan.jobs for one in [digest(job.data)]}
    return SharedBench(
        Cache(Path(settings.cache), settings.cache_gb * GIGABYTE), plan.code, fingerprints
    )


def _dump(file: Any, text: bytes, buffers: list[memoryview]) -> None:
    sizes = struct.pack(f"<{len(buffers)}Q", *(one.nbytes for one in buffers))
    start = HEAD.size + len(sizes) + len(text)
    total = start
    for one in buffers:
        total += -total % LINE + one.nbytes
    file.write(HEAD.pack(MARK, total, len(text), len(buffers), zlib.crc32(sizes + text)))
    file.write(sizes + text)
    for one in buffers:
        file.write(b"\0" * (-file.tell() % LINE))
        file.write(one)
    file.flush()
    os.fsync(file.fileno())


def _loaded(data: memoryview) -> Any:
    """What `_dump` wrote, None where it is not whole."""
    if len(data) < HEAD.size:
        return None
    mark, total, length, count, check = HEAD.unpack_from(data)
    start = HEAD.size + 8 * count
    at = start + length
    if (
        mark != MARK
        or total != len(data)
        or at > total
        or zlib.crc32(data[HEAD.size : at]) != check
    ):
        return None
    sizes, text, buffers = struct.unpack_from(f"<{count}Q", data, HEAD.size), data[start:at], []
    for size in sizes:
        at += -at % LINE
        buffers.append(data[at : at + size])
        at += size
    return pickle.loads(text, buffers=buffers)  # noqa: S301 (written by the same user, checked in Cache.get)
