"""How far long work has come, for whoever shows it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Timer
from typing import TypeVar

Item = TypeVar("Item")
Listener = Callable[[str, int, int], None]  # what is done, how many are done, of how many

TOLD = 10.0  # seconds of waiting after which a person is told
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)
_READER: ContextVar[Callable[[str], None] | None] = ContextVar("reader", default=None)


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
    listener = _LISTENER.get()
    for done, item in enumerate(items, 1):
        yield item
        if listener is not None:
            listener(what, done, len(items))


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
def telling(sentence: Callable[[], str]) -> Iterator[None]:
    """Tell on stderr that the block waits for another, once it does so for ten seconds."""

    def tell() -> None:
        print(sentence(), file=sys.stderr, flush=True)

    timer = Timer(TOLD, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
