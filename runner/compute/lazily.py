"""Attributes that are made when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class Lazily(Generic[T]):
    """An attribute of an object that is made once, as by `functools.cached_property`.

    Before Python 3.12 that one holds a lock for all objects of a class, so that two threads wait
    for each other's. Of two threads that make the attribute of one object, both take that of one.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.make = make
        self.__doc__ = make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, thing: None, owner: type) -> Lazily[T]: ...

    @overload
    def __get__(self, thing: object, owner: type) -> T: ...

    def __get__(self, thing: object | None, owner: type) -> Lazily[T] | T:
        if thing is None:
            return self
        made: T = thing.__dict__.setdefault(self.name, self.make(thing))
        return made
