"""The bench of a process: what jobs share is made once, and kept by the digest of what it was made from."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Any

KEPT = 12  # things on a bench; those not used for longest go first


class Bench:
    """Things by what they are and what they were made from; a run of its own has an empty one."""

    def __init__(self) -> None:
        self.things: OrderedDict[str, Any] = OrderedDict()

    def get(self, what: str, of: Any, make: Callable[[], Any]) -> Any:
        """The thing made from `of` (plain mappings, lists, numbers, texts), made now if it is not here."""
        key = f"{what}-{digest(of)}"
        if key not in self.things:
            self.things[key] = make()
            while len(self.things) > KEPT:
                self.things.popitem(last=False)
        self.things.move_to_end(key)
        return self.things[key]

    @property
    def fingerprints(self) -> list[str]:
        """Of the markets that are here."""
        return [thing.fingerprint for key, thing in self.things.items() if key.startswith("market-")]


def digest(of: Any) -> str:
    """Twenty digits that name plain mappings, lists, numbers and texts by their content."""
    return sha256(json.dumps(of, sort_keys=True, default=str).encode()).hexdigest()[:20]
