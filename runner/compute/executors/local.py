"""Executors on this machine: this process, its threads, processes of its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from runner.compute.allocator import keep_memory
from runner.compute.executors.executor import Executor, R, T
from runner.schema.settings import Rows

if TYPE_CHECKING:
    from pebble import ProcessPool

CHECK = 1.0  # seconds between looks at whether the parent is still there
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Inline(Executor):
    """One call after the other, in this process."""

    here = True

    def at_a_time(self) -> int:
        return 1

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            result = function(*arguments)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing was started."""

    def results(self, function: Callable[[T], R], items: Iterable[T]) -> Generator[tuple[int, R]]:
        for position, item in enumerate(items):
            yield position, function(item)


class Threads(Executor):
    """Several threads of this process, for calls that leave the interpreter to others.

    Args:
        workers: threads.
    """

    in_threads = True

    def __init__(self, workers: Rows = 2) -> None:
        self.workers = workers
        self.pool = ThreadPoolExecutor(workers)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        return self.pool.submit(function, *arguments)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.pool.shutdown(wait, cancel_futures=cancel_futures)

    def at_a_time(self) -> int:
        return self.workers


class Processes(Executor):
    """Several processes of this machine, started when the first call comes.

    Args:
        workers: processes.
    """

    def __init__(self, workers: Rows = 2) -> None:
        self.workers = workers
        self.pool: ProcessPool | None = None

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        if self.pool is None or not self.pool.active:  # pebble gives up where none has begun
            self.shutdown()
            self.pool = self._started()
        future: Future[Any] = self.pool.schedule(
            function, args=list(arguments), timeout=self.timeout
        )
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if self.pool is not None:
            self.pool.stop()
            self.pool.join()

    def at_a_time(self) -> int:
        return self.workers

    def lost(self, error: BaseException) -> str:
        from pebble import ProcessExpired

        if isinstance(error, BrokenProcessPool):
            return "its process ended before it began (out of memory?)"
        if not isinstance(error, ProcessExpired):
            return super().lost(error)
        if error.exitcode < 0:
            return f"its process was killed by signal {-error.exitcode} (out of memory?)"
        return "its process ended (out of memory?)"

    def _started(self) -> ProcessPool:
        """Processes that end with this one."""
        from multiprocessing import get_context

        from pebble import ProcessPool

        return ProcessPool(
            self.workers,
            initializer=_begin,
            initargs=[os.getpid()],
            context=get_context("spawn"),
        )


def one_thread() -> None:
    """Let BLAS have one thread in this process: the last bits depend on how many it has."""
    for name in THREADS:  # of libraries that are loaded later
        os.environ[name] = "1"
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def _begin(parent: int) -> None:
    """What a worker does first: it keeps memory, ends with its parent, has one thread of BLAS."""
    keep_memory()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(CHECK)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    one_thread()
