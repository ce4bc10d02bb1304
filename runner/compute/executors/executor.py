"""The protocol of executors: what runs the blocks of a panel, and the jobs of a sweep.

It is shaped like `concurrent.futures`. A call is a function of a module that the workers can
import, with arguments that pickle and are small: paths, numbers, moments. Data is read by the
workers, where it lies.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from types import TracebackType
from typing import Any, Self, TypeVar

from runner.errors import LostWorkerError

T = TypeVar("T")
R = TypeVar("R")
REQUIRED = ("submit", "shutdown")
AHEAD = 2  # calls for each worker that are submitted: none waits until its last result was read


class Executor:
    """Runs calls; required are `submit` and `shutdown`, all else has the null case below.

    So any `concurrent.futures.Executor` is one. Whether it can be had here is asked of the class
    before anything runs: an object may start workers, at the latest when the first call is
    submitted.

    Attributes:
        here: whether calls run in this process, one at a time.
        tries: how often a call is given to a worker: again where the one before died.
        timeout: most seconds of a call, for executors that can end one; None: no limit.
        in_threads: whether calls run in threads, which nobody can interrupt.
    """

    here: bool = False
    tries: int = 3
    timeout: float | None = None
    in_threads: bool = False

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Call the function with these arguments soon, here or elsewhere."""
        raise NotImplementedError

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing more is submitted; what waits may be dropped."""

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        """Refuse, before anything runs, what cannot be had with these settings; nothing.

        Raises:
            SpecError: one line each.
        """

    @classmethod
    def reach(cls, settings: Mapping[str, Any]) -> str:
        """Refuse, before data are read, a cluster that does not answer; nothing.

        Returns:
            What is to be told of it; empty where there is nothing.

        Raises:
            RunnerError: it does not answer.
        """
        return ""

    def at_a_time(self) -> int:
        """How many calls run at a time, as far as is known now."""
        return os.cpu_count() or 1

    def lost(self, error: BaseException) -> str:
        """Why a call ended that did not raise this error itself; empty where it did."""
        return "it was cancelled" if isinstance(error, CancelledError) else ""

    def results(self, function: Callable[[T], R], items: Iterable[T]) -> Generator[tuple[int, R]]:
        """The position of each item, and what the function gives for it, as they come.

        Only some items are asked for ahead, so that results do not pile up. Closing the generator
        drops the calls that have not begun, and ends those that run where the executor can.

        Raises:
            LostWorkerError: the workers of a call died, `tries` of them.
            Exception: what the function raised first.
        """
        ahead = enumerate(items)
        again: list[tuple[int, T]] = []
        running: dict[Future[R], tuple[int, T]] = {}
        deaths: Counter[int] = Counter()
        try:
            while True:
                self._fill(function, running, again, ahead)
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    position, item = running.pop(future)
                    why = self._why_lost(future)
                    if not why:
                        yield position, future.result()
                        continue
                    deaths[position] += 1
                    if deaths[position] >= self.tries:
                        raise LostWorkerError(_given_up(position, deaths[position], why))
                    again.append((position, item))
        finally:
            for future in running:
                future.cancel()

    def _fill(
        self,
        function: Callable[[T], R],
        running: dict[Future[R], tuple[int, T]],
        again: list[tuple[int, T]],
        ahead: Iterator[tuple[int, T]],
    ) -> None:
        """Submit until each worker has something to do and something that waits."""
        most = AHEAD * self.at_a_time()
        while len(running) < most:
            numbered = again.pop() if again else next(ahead, None)
            if numbered is None:
                return
            running[self.submit(function, numbered[1])] = numbered

    def _why_lost(self, future: Future[Any]) -> str:
        """Why an ended call has neither a result nor an error of its own; empty where it has."""
        try:
            error = future.exception()
        except CancelledError as cancelled:
            error = cancelled
        return "" if error is None else self.lost(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown(wait=True, cancel_futures=True)


def _given_up(position: int, deaths: int, why: str) -> str:
    """The line of a call that no worker survived."""
    again = f", {deaths} times" if deaths > 1 else ""
    return f"executor: part {position} has no result: {why}{again}"
