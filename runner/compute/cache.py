"""The bench of a process: what jobs share is made once, and kept by the digest of what it was made
from.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any

import numpy as np

from runner.record.identity import digest

KEPT = 12  # things on a bench; those not used for longest go first
MOST_BYTES = 10**9  # of arrays that stay on it while a panel is made


class Bench:
    """Things by what they are and what they were made from; a run of its own has an empty one."""

    def __init__(self) -> None:
        self.things: OrderedDict[str, Any] = OrderedDict()

    def get(self, what: str, of: Any, make: Callable[[], Any]) -> Any:
        """The thing made from `of` (plain mappings, lists, numbers, texts), made now if it is not
        here.
        """
        key = f"{what}-{digest(of)}"
        if key not in self.things:
            while (
                what == "panel" and len(self.things) > 1 and held(self.things.values()) > MOST_BYTES
            ):
                self.things.popitem(
                    last=False
                )  # the last one is the market that the panel is made of
            self.things[key] = make()
            while len(self.things) > KEPT:
                self.things.popitem(last=False)
        self.things.move_to_end(key)
        return self.things[key]


def held(things: Iterable[Any]) -> int:
    """Bytes of the arrays in these things, each array once, whoever shares it."""
    sizes: dict[int, int] = {}
    todo = list(things)
    while todo:
        one = todo.pop()
        if isinstance(one, np.ndarray):
            base = one if one.base is None else one.base
            sizes[id(base)] = getattr(base, "nbytes", one.nbytes)
        elif hasattr(one, "_mgr"):  # a frame or series of pandas
            todo += [block.values for block in one._mgr.blocks]
        elif isinstance(one, Mapping):
            todo += one.values()
        elif is_dataclass(one) or isinstance(one, tuple):
            todo += vars(one).values() if is_dataclass(one) else one
    return sum(sizes.values())
