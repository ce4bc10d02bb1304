"""Answers of tracking servers within bounds: one that does not end is given up."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from runner.errors import RunnerError
from runner.record.untrusted import MOST_TABLE

MOST_ANSWER = 500_000_000  # bytes of what is no file: 200 runs take some 30,000,000
LONGEST = 120.0  # seconds from a request to the end of what is no file
LONGEST_FILE = 1800.0  # seconds in which a file comes
PART = 2**16  # bytes that are read at a time, fewer where they come slowly


@cache
def within_bounds() -> None:
    """Bound each answer that MLflow's client asks for, by bytes and by seconds.

    The timeout of a request is that between two bytes: who sends one now and then never ends.
    """
    from mlflow.utils.request_utils import TCPKeepAliveHTTPAdapter as Adapter

    send = Adapter.send

    def sent(adapter: Any, request: Any, stream: bool = False, **settings: Any) -> Any:
        with _given_up_after(LONGEST):
            answer = send(adapter, request, stream=stream, **settings)
        most, longest = (MOST_TABLE, LONGEST_FILE) if stream else (MOST_ANSWER, LONGEST)
        answer.raw.stream = partial(_parts, answer.raw, most, longest)
        return answer

    Adapter.send = sent  # type: ignore[method-assign, assignment]


def _parts(raw: Any, most: int, longest: float, *_: Any, **__: Any) -> Iterator[bytes]:
    """What an answer says, as it comes, with its compression undone.

    Raises:
        RunnerError: it has more than `most` bytes, or takes more than `longest` seconds.
    """
    begun = time.monotonic()
    size = 0
    part = raw.read1(PART, decode_content=True)
    while part:
        size += len(part)
        if size > most:
            raise RunnerError(f"an answer has more than {most:,} bytes; allowed: {most:,}")
        if time.monotonic() - begun > longest:
            raise _too_slow(longest)
        yield part
        part = raw.read1(PART, decode_content=True)


@contextmanager
def _given_up_after(seconds: float) -> Iterator[None]:
    """Give up the block after so many seconds: in the main thread, where a signal can.

    Raises:
        RunnerError: it takes longer.
    """
    has_timer = signal.getitimer(signal.ITIMER_REAL)[0] > 0.0
    if has_timer or threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(number: int, frame: object) -> None:
        raise _too_slow(seconds)

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _too_slow(seconds: float) -> RunnerError:
    return RunnerError(f"an answer is not there after {seconds:.0f} s; allowed: a server that ends")
