"""Does a value fit an annotated type? The annotation is the schema of a setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from runner.errors import UnknownNameError, listed, unknown

# where text was meant
QUOTE = "YAML reads unquoted ON, NO, TRUE, 1E5 and 0700 as something else: quote it"
DIGITS = 15  # of a whole number
# plain types in words
PLAIN: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    NoneType: "null",
}


def misfits(value: Any, kind: Any, where: str) -> Iterator[str]:
    """A line for each part of the value that does not fit its type.

    It says where, what was given and what is allowed.
    """
    origin = get_origin(kind)
    args = get_args(kind)
    if kind is Any:
        return
    elif origin is Annotated:
        yield from _annotated(value, args, where)
    elif origin in (Union, UnionType):
        yield from _union(value, args, where)
    elif origin is Literal:
        # True is equal to 1, but is not meant by it
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
    origin = get_origin(kind)
    args = get_args(kind)
    if origin is Annotated:
        return in_words(args[0])
    if origin in (Union, UnionType):
        return " or ".join(in_words(arg) for arg in args)
    if origin is Literal:
        return listed(args)
    if origin in (list, tuple, Sequence):
        if not args:
            return "a list"
        return f"a list of {in_words(args[0])}"
    if origin is dict:
        return f"a mapping of names to {in_words(args[1])}"
    if kind in PLAIN:
        return PLAIN[kind]
    name = getattr(kind, "__name__", str(kind))
    if getattr(kind, "_is_protocol", False):
        return f"a mapping with the _target_ of a {name}"
    return name


def shown(value: Any) -> str:
    """A value as a spec writes it: null, true and false are not those of Python."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return repr(value)


def _is(value: Any, kind: Any) -> bool:
    """Whether the value is of a plain type; no number is a truth value, and NaN is no number."""
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if kind is float:
        return isinstance(value, int | float) and value == value and not _is_long(value)
    if kind is int:
        return isinstance(value, int) and not _is_long(value)
    if isinstance(kind, type):
        return isinstance(value, kind)
    return True


def _is_long(value: float) -> bool:
    """Whether a whole number has so many digits that sums with it would not be exact."""
    return isinstance(value, int) and abs(value) >= 10**DIGITS


def _wrong(value: Any, kind: Any, where: str) -> str:
    """The line on a value of another plain type."""
    line = f"{where}: given {shown(value)}; allowed: {in_words(kind)}"
    if kind in (int, float) and isinstance(value, int) and not isinstance(value, bool):
        line += f" of at most {DIGITS} digits"
    mangled = kind is str and isinstance(value, bool | int | float | NoneType)
    if mangled:
        line += f" ({QUOTE})"
    return line


def _annotated(value: Any, args: tuple[Any, ...], where: str) -> Iterator[str]:
    """The lines of the type itself or, where it fits, of the checks beside it."""
    kind, *checks = args
    problems = list(misfits(value, kind, where))
    if problems:
        yield from problems
        return
    for check in checks:
        try:
            check(value)
        except UnknownNameError as error:
            yield f"{where}: {error}"
        except ValueError as error:
            yield f"{where}: given {shown(value)}; {error}"


def _union(value: Any, kinds: tuple[Any, ...], where: str) -> Iterator[str]:
    """Nothing where one kind fits; else what is wrong with the kind that is nearest in shape."""
    if value is None and NoneType in kinds:
        return
    nearest: list[str] = []
    tried = [kind for kind in kinds if kind is not NoneType]
    for kind in tried:
        problems = list(misfits(value, kind, where))
        if not problems:
            return
        if not nearest and (len(tried) == 1 or _shape(value, kind)):
            nearest = problems
    if nearest:
        yield from nearest
    else:
        allowed = " or ".join(in_words(kind) for kind in kinds)
        yield f"{where}: given {shown(value)}; allowed: {allowed}"


def _shape(value: Any, kind: Any) -> bool:
    """Is the value of the kind, whatever the checks of its contents say?"""
    origin = get_origin(kind)
    args = get_args(kind)
    if origin is Annotated:
        return _shape(value, args[0])
    if origin in (Union, UnionType):
        return any(_shape(value, arg) for arg in args)
    outer = origin or kind
    return outer is not Literal and _is(value, outer)


def _items(value: Any, args: tuple[Any, ...], where: str) -> Iterator[str]:
    """The lines of the items of a list."""
    if not isinstance(value, list | tuple):
        example = str(value)
        if value is None or not example.isprintable():
            example = "..."
        yield f"{where}: given {shown(value)}; allowed: a list such as [{example}]"
        return
    kind = args[0] if args else Any
    for i, item in enumerate(value):
        yield from misfits(item, kind, f"{where}[{i}]")


def _mapping(value: Any, args: tuple[Any, ...], where: str) -> Iterator[str]:
    """The lines of the keys and items of a mapping."""
    if not isinstance(value, dict):
        yield f"{where}: given {shown(value)}; allowed: a mapping such as {{name: value}}"
        return
    kind_of_key, kind_of_item = args
    for key, item in value.items():
        yield from misfits(key, kind_of_key, f"{where} key")
        yield from misfits(item, kind_of_item, f"{where}.{key}")
