"""Workers of Dask: of a cluster that runs, or started on this machine.

Across the wire go the name of a function with its arguments, and its result; no setting of a spec
and no secret. The scheduler of Dask gives the calls of a worker that died to others.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from runner.compute.allocator import KEEPING
from runner.compute.executors.executor import Executor
from runner.compute.executors.local import THREADS, one_thread
from runner.errors import RunnerError, SpecError
from runner.schema.settings import Rows

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

ANSWER = 5.0  # seconds that a scheduler has for its first answer
STARTS = 3  # of a cluster on this machine, until it is given up
LOOPBACK = "127.0.0.1"


class Dask(Executor):
    """Workers of Dask, each with one thread of BLAS, in the directory of this process.

    Args:
        workers: processes to start on this machine; of a cluster that runs, how many calls are
            given to it at least, which one that grows by need may need to grow.
        address: of the scheduler of a cluster that runs, such as tcp://127.0.0.1:8786; null: one
            is started on this machine, and ends with the calls.
    """

    tries = 1  # the scheduler has tried other workers
    in_threads = True

    def __init__(self, workers: Rows = 2, address: str | None = None) -> None:
        self.workers = workers
        self.address = address
        self.cluster: LocalCluster | None = None
        self.client: Client | None = None
        self.pool: Any = None

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        if find_spec("distributed") is None:
            raise SpecError("executor: dask needs distributed; pip install 'factor-runner[dask]'")

    @classmethod
    def reach(cls, settings: Mapping[str, Any]) -> str:
        address = settings.get("address")
        if address is None:
            return ""
        with _client(address) as client:
            there = client.nthreads()
        return "" if there else f"executor: no worker at {address} yet; waiting for one"

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        if self.pool is None:
            self._begin()
        future: Future[Any] = self.pool.submit(there, os.getcwd(), function, *arguments)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        for part in (self.client, self.cluster):
            if part is not None:
                part.close()
        self.pool = self.client = self.cluster = None

    def at_a_time(self) -> int:
        if self.client is None:
            return self.workers
        return max(self.workers, sum(self.client.nthreads().values()))

    def lost(self, error: BaseException) -> str:
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return "every worker of Dask that took it died (out of memory?)"
        if isinstance(error, CancelledError):
            return "the scheduler of Dask is gone"
        return ""

    def _begin(self) -> None:
        """Find the cluster, or start one.

        Raises:
            RunnerError: no scheduler of Dask answers at the address.
        """
        if self.address is None:
            self.cluster = _started(self.workers)
        self.client = _client(self.address or self.cluster)
        self.pool = self.client.get_executor(pure=False)


def _client(of: Any) -> Client:
    """What speaks with the scheduler of a cluster, or at an address.

    Raises:
        RunnerError: no scheduler of Dask answers at the address.
    """
    from distributed import Client

    try:
        return Client(of, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        line = " ".join(str(error).split())
        raise RunnerError(
            f"executor.address: no scheduler of Dask at {of!r}: {line}; "
            "allowed: the address of one that runs, or null to start one here"
        ) from None


def _started(workers: int) -> LocalCluster:
    """A cluster on this machine, begun again where a worker dies while it starts.

    Raises:
        RunnerError: one does each time.
    """
    for _ in range(STARTS):
        with suppress(RuntimeError):
            return _of_this_machine(workers)
    raise RunnerError(
        f"executor: dask: a worker died while it started, {STARTS} times (out of memory?); "
        "allowed: fewer (executor.workers)"
    )


def _of_this_machine(workers: int) -> LocalCluster:
    """A cluster that nobody else can reach, without pages that show it.

    Raises:
        RuntimeError: a worker died while it started; the others have ended.
    """
    import dask
    from distributed import LocalCluster

    # Dask would let workers give memory back at each chance, which triples the time of the system
    environment = {**dict.fromkeys(THREADS, "1"), **KEEPING}
    with dask.config.set({"distributed.nanny.pre-spawn-environ": environment}):
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host=LOOPBACK,
            dashboard_address=f"{LOOPBACK}:0",
            worker_dashboard_address=f"{LOOPBACK}:0",
            memory_limit=0,
            silence_logs=50,
        )


_AT = threading.Condition()
_CALLS: dict[str, int] = {}  # directory -> calls of this process that run in it; one directory
_HOME: list[str] = []  # where this process was before them; one directory


def there(directory: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What a worker does: the call, in this directory.

    Raises:
        RunnerError: it does not see the directory.
    """
    _one_thread_for_good()
    with _directory(directory):
        return function(*arguments)


@cache
def _one_thread_for_good() -> None:
    one_thread()


@contextmanager
def _directory(directory: str) -> Iterator[None]:
    """Work in the directory, as all threads of a process do: those for another one wait."""
    with _AT:
        _AT.wait_for(lambda: not _CALLS or directory in _CALLS)
        if not _CALLS:
            home = os.getcwd()
            _go_to(directory)
            _HOME.append(home)
        _CALLS[directory] = _CALLS.get(directory, 0) + 1
    try:
        yield
    finally:
        with _AT:
            _CALLS[directory] -= 1
            if not _CALLS[directory]:
                _CALLS.clear()
                os.chdir(_HOME.pop())
            _AT.notify_all()


def _go_to(directory: str) -> None:
    """Make it the directory of this process, from which modules are imported too.

    Raises:
        RunnerError: it is not seen here.
    """
    try:
        os.chdir(directory)
    except OSError as error:
        from distributed import get_worker

        raise RunnerError(
            f"executor: the worker {get_worker().address} does not see {directory!r} "
            f"({error.strerror}); allowed: a directory that every worker sees too"
        ) from None
    if directory not in sys.path:
        sys.path.insert(0, directory)
