"""Does a value fit an annotated type? The annotation is the schema of a setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from runner.errors import UnknownNameError, listed, unknown

QUOTE = "YAML reads unquoted ON, NO, TRUE, 1E5 and 0700 as something else: quote it"


def misfits(value: Any, kind: Any, where: str) -> Iterator[str]:
    """A line for each part of `value` that does not fit `kind`: where, what was given, what is
    allowed.
    """
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return
    elif origin is Annotated:
        yield from _annotated(value, args, where)
    elif origin in (Union, UnionType):
        yield from _union(value, args, where)
    elif origin is Literal:
        if value not in args or isinstance(value, bool):
            yield f"{where}: {unknown(value, args)}"
    elif origin in (list, tuple, Sequence):
        yield from _items(value, args, where)
    elif origin is dict:
        yield from _mapping(value, args, where)
    elif not _is(value, kind):
        yield _wrong(value, kind, where)


def in_words(kind: Any) -> str:
    """The type as a person would say it."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return in_words(args[0])
    if origin in (Union, UnionType):
        return " or ".join(in_words(arg) for arg in args)
    if origin is Literal:
        return listed(args)
    if origin in (list, tuple, Sequence):
        return f"a list of {in_words(args[0])}" if args else "a list"
    if origin is dict:
        return f"a mapping of names to {in_words(args[1])}"
    names = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        NoneType: "null",
    }
    return names.get(kind, getattr(kind, "__name__", str(kind)))


def _is(value: Any, kind: Any) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is float:
        return isinstance(value, int | float) and value == value
    return isinstance(value, kind) if isinstance(kind, type) else True


def _wrong(value: Any, kind: Any, where: str) -> str:
    mangled = kind is str and isinstance(value, bool | int | float | NoneType)
    return f"{where}: given {value!r}; allowed: {in_words(kind)}" + (
        f" ({QUOTE})" if mangled else ""
    )


def _annotated(value: Any, args: tuple[Any, ...], where: str) -> Iterator[str]:
    kind, *checks = args
    problems = list(misfits(value, kind, where))
    yield from problems
    for check in checks if not problems else []:
        try:
            check(value)
        except UnknownNameError as error:
            yield f"{where}: {error}"
        except ValueError as error:
            yield f"{where}: given {value!r}; {error}"


def _union(value: Any, kinds: tuple[Any, ...], where: str) -> Iterator[str]:
    """Nothing where one kind fits; else what is wrong with the kind that is nearest in shape."""
    if value is None and NoneType in kinds:
        return
    some = [kind for kind in kinds if kind is not NoneType]
    attempts = [list(misfits(value, kind, where)) for kind in some]
    if not all(attempts):
        return
    shaped = [lines for lines, kind in zip(attempts, some, strict=True) if _shape(value, kind)]
    if shaped or len(some) == 1:
        yield from (shaped or attempts)[0]
    else:
        yield f"{where}: given {value!r}; allowed: {' or '.join(in_words(kind) for kind in kinds)}"


def _shape(value: Any, kind: Any) -> bool:
    """Is the value of the kind, whatever the checks of its contents say?"""
    if get_origin(kind) is Annotated:
        return _shape(value, get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return any(_shape(value, one) for one in get_args(kind))
    outer = get_origin(kind) or kind
    return outer is not Literal and _is(value, outer)


def _items(value: Any, args: tuple[Any, ...], where: str) -> Iterator[str]:
    if not isinstance(value, list | tuple):
        yield f"{where}: given {value!r}; allowed: a list such as [{'...' if value is None else value}]"
        return
    for i, item in enumerate(value):
        yield from misfits(item, args[0] if args else Any, f"{where}[{i}]")


def _mapping(value: Any, args: tuple[Any, ...], where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where}: given {value!r}; allowed: a mapping such as {{name: value}}"
        return
    for key, item in value.items():
        yield from misfits(key, args[0], f"{where} key")
        yield from misfits(item, args[1], f"{where}.{key}")
