"""The bench of a process: parts of jobs that others share, by the digest of their settings."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from runner.compute.allocator import trim
from runner.record.identity import digest

KEPT = 12  # parts on a bench; those not used for longest go first
MOST_BYTES = 2**28  # of arrays that stay on it while a panel is made


class Bench:
    """Parts by their kind and what they were made from; a run of its own has an empty one."""

    def __init__(self) -> None:
        self.things: OrderedDict[str, Any] = OrderedDict()

    def get(self, what: str, of: Any, make: Callable[[], Any]) -> Any:
        """The part made from `of` (plain mappings, lists, numbers, texts), made now if not here."""
        key = f"{what}-{digest(of)}"
        if key not in self.things:
            if what == "panel":
                self._make_room()
            self.things[key] = make()
            trim()  # what it took to make it
            while len(self.things) > KEPT:
                self._drop_oldest()
        self.things.move_to_end(key)
        return self.things[key]

    def clear(self) -> None:
        """Drop every part."""
        self.things.clear()
        trim()

    def _make_room(self) -> None:
        """Drop the oldest parts, as a panel needs memory; the last is the market it is made of."""
        while len(self.things) > 1 and held(self.things.values()) > MOST_BYTES:
            self._drop_oldest()
        trim()

    def _drop_oldest(self) -> None:
        self.things.popitem(last=False)


def held(things: Iterable[Any]) -> int:
    """Bytes of the arrays in these parts, each array once, whoever shares it."""
    sizes: dict[int, int] = {}
    unread = list(things)
    while unread:
        part = unread.pop()
        if isinstance(part, np.ndarray):
            base = part if part.base is None else part.base
            sizes[id(base)] = getattr(base, "nbytes", part.nbytes)
        elif hasattr(part, "_mgr"):  # a frame or series of pandas
            unread += [block.values for block in part._mgr.blocks]
        elif isinstance(part, dict | MappingProxyType):
            unread += part.values()
        elif is_dataclass(part) or isinstance(part, Mapping):
            # a mapping of ours may make its values when they are asked for: count what it holds
            unread += vars(part).values()
        elif isinstance(part, tuple):
            unread += part
    return sum(sizes.values())
