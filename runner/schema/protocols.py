"""A class of a user's own: what it must have, and the null case of all else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

P = TypeVar("P")


def completed(own: Any, protocol: type[P], required: Sequence[str]) -> type[P]:
    """The class with the null case of everything that it does not define.

    Args:
        own: the class; a subclass of the protocol stays as it is.
        protocol: the class that has the null cases.
        required: the methods that have none.

    Raises:
        ValueError: it is no class, or lacks a required method.
    """
    name = getattr(own, "__qualname__", repr(own))
    needs = " and ".join(required)
    if not isinstance(own, type):
        raise ValueError(f"{name} is no class; allowed here: a class that has {needs}")
    missing = [method for method in required if not _defines(own, method, protocol)]
    if missing:
        lacks = " and ".join(missing)
        raise ValueError(f"{name} has no method {lacks}; allowed here: a class that has {needs}")
    if issubclass(own, protocol):
        return own
    names = {
        "__module__": own.__module__,
        "__qualname__": own.__qualname__,
        "__doc__": own.__doc__,
    }
    return type(own.__name__, (own, protocol), names)


def _defines(own: type, method: str, protocol: type) -> bool:
    """Whether the class or a parent defines the method; the null case of a protocol is none."""
    parents = [parent for parent in own.__mro__ if parent is not protocol]
    return any(callable(vars(parent).get(method)) for parent in parents)
