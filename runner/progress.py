"""How far long work has come, for whoever shows it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event, Thread
from typing import TypeVar

Item = TypeVar("Item")
Listener = Callable[[str, int, int], None]  # what is done, how many are done, of how many

TOLD = 10.0  # seconds of waiting after which a person is told
AGAIN = 20.0  # seconds after which a person who still waits is told again
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)
_READER: ContextVar[Callable[[str], None] | None] = ContextVar("reader", default=None)
_SILENT: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Report all tracked work within the block to this listener."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tracked(items: Sequence[Item], what: str) -> Iterator[Item]:
    """The items, one by one; a listener hears of each when it is done."""
    yield from counted(items, len(items), what)


def counted(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The same of so many items that come one by one."""
    listener = _LISTENER.get()
    for done, item in enumerate(items, 1):
        yield item
        if listener is not None:
            listener(what, done, total)


@contextmanager
def reading(reader: Callable[[str], None]) -> Iterator[None]:
    """Hand every note within the block to this reader."""
    token = _READER.set(reader)
    try:
        yield
    finally:
        _READER.reset(token)


def note(text: str) -> None:
    """A line for the person who waits; nothing where nobody reads."""
    reader = _READER.get()
    if reader is not None:
        reader(text)


@contextmanager
def silent() -> Iterator[None]:
    """Tell of no wait within the block, however long it is."""
    token = _SILENT.set(True)
    try:
        yield
    finally:
        _SILENT.reset(token)


@contextmanager
def telling(sentence: Callable[[float], str] | None) -> Iterator[None]:
    """Tell on stderr what the block waits for, after ten seconds and each twenty from then on.

    Of blocks within each other only the innermost one is told.

    Args:
        sentence: as a terminal may show it, made of the seconds that the block has taken; None: a
            display moves meanwhile.
    """
    if _SILENT.get():
        yield
        return
    wait = _Wait(sentence)
    _WAITS.append(wait)
    wait.start()
    try:
        yield
    finally:
        wait.done.set()
        _WAITS.remove(wait)


class _Wait(Thread):
    """Tells of a wait until it is done."""

    def __init__(self, sentence: Callable[[float], str] | None) -> None:
        super().__init__(daemon=True)
        self.sentence = sentence
        self.done = Event()

    def run(self) -> None:
        begun = time.monotonic()
        pause = TOLD
        while not self.done.wait(pause):
            pause = AGAIN
            is_innermost = _WAITS[-1:] == [self]
            if self.sentence is not None and is_innermost:
                line = self.sentence(time.monotonic() - begun)
                print(line, file=sys.stderr, flush=True)


_WAITS: list[_Wait] = []  # outermost first
