"""What a function takes from elsewhere than its market: data that it holds, files that it opens.

Such data do not end where the data of the audit end, so that comparing values proves nothing about
them. What can be seen of it is warned of: arrays and frames in the closure, the defaults, the
attributes and the globals of a function, caches, calls of readers, and files opened by Python while
the function runs. A file that compiled code opens under another name, or a number that was copied
by hand, is not seen.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from runner.data.market import Market
from runner.errors import listed

HELD = 30  # values from which on an array is data, and not a setting
DEEPEST = 3  # functions that call functions, containers in containers
OPENED = {"open": "file", "sqlite3.connect": "database", "urllib.Request": "address"}
SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr/share")
PACKAGE = str(Path(__file__).parents[2])
PLACES = (sys.prefix, sys.base_prefix, sys.base_exec_prefix, PACKAGE, *SYSTEM)
ROOTS = tuple(f"{place}/" for place in PLACES)  # of files that are no data of the user
OWN_FILES = (".py", ".pyc", ".so", ".pth")  # opened by imports
PANDAS_READERS = {name for name in dir(pd) if name.startswith("read_")}
READERS = frozenset(PANDAS_READERS) | {"urlopen", "loadtxt", "genfromtxt"}
MOST_ELEMENTS = 100  # of a container that are looked at
_SEEN: ContextVar[list[str] | None] = ContextVar("opened", default=None)


def held_data(function: Any) -> list[str]:
    """What the function holds or reads from outside of the market, in words; mostly nothing."""
    sources = dict[str, None]()  # each once, in order
    for where, value in _reachable("", function, DEEPEST, set()):
        kind = _kind_of_data(value)
        if not kind:
            continue
        source = f"{kind} ({where})" if where else kind
        sources[source] = None
    return list(sources)


@contextmanager
def opened_files() -> Iterator[list[str]]:
    """Files, databases and addresses that Python opens within the block, imports left out."""
    _listen()
    opened: list[str] = []
    token = _SEEN.set(opened)
    try:
        yield opened
    finally:
        _SEEN.reset(token)


@cache
def _listen() -> None:
    """Install the hook of the process, once: Python has no way to take one off."""
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what was opened: called by Python for every event of the process."""
    if event not in OPENED:
        return
    opened = _SEEN.get()
    name = arguments[0] if arguments else None
    if opened is None or isinstance(name, int) or name is None:
        return
    text = name.decode() if isinstance(name, bytes) else str(name)
    if _is_library(text):
        return
    words = f"the {OPENED[event]} {text}"
    if words not in opened:
        opened.append(words)


def _is_library(path: str) -> bool:
    """Whether a file is code, or belongs to Python, a package or the machine."""
    return path.endswith(OWN_FILES) or path.startswith(ROOTS)


def _reachable(where: str, value: Any, depth: int, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The value and all that it refers to, with the name of each."""
    if id(value) in seen or depth < 0:
        return
    seen.add(id(value))
    yield where, value
    for name, part in _parts(value):
        yield from _reachable(name, part, depth - 1, seen)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a function, an object or a container refers to."""
    if isinstance(value, partial):
        yield "function", value.func
        yield from _named("argument", value.keywords)
        for part in value.args:
            yield "argument", part
    elif isinstance(value, types.MethodType):
        yield "function", value.__func__
        yield "self", value.__self__
    elif isinstance(value, types.FunctionType):
        yield from _of_function(value)
    elif hasattr(value, "cache_info") and hasattr(value, "__wrapped__"):
        yield "function", value.__wrapped__
    elif isinstance(value, Mapping):
        items = list(value.items())
        looked_at = items[:MOST_ELEMENTS]
        for name, part in looked_at:
            yield f"element {name!r}", part
    elif isinstance(value, list | tuple | set | frozenset):
        elements = list(value)
        for part in elements[:MOST_ELEMENTS]:
            yield "element", part
    elif _is_own_object(value):
        yield from _named("attribute", vars(value))


def _named(kind: str, parts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, part in parts.items():
        yield f"{kind} {name}", part


def _of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Closure, defaults and globals that the code names; of this package and libraries none."""
    code = function.__code__
    if code.co_filename.startswith(ROOTS):
        return
    for name, part in _defaults(function):
        yield f"default {name}", part
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"closure {name}", cell.cell_contents
        except ValueError:  # a cell that is not filled yet
            continue
    for name in _names(code):
        if name in READERS:
            yield f"it calls {name}", _Reader()
        elif name in function.__globals__:
            part = function.__globals__[name]
            if not isinstance(part, types.ModuleType | type):
                yield f"global {name}", part


def _defaults(function: types.FunctionType) -> list[tuple[str, Any]]:
    """Parameters with a default, and its value."""
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    values = function.__defaults__ or ()
    names = positional[len(positional) - len(values) :]
    keywords = function.__kwdefaults__ or {}
    return [*zip(names, values, strict=True), *keywords.items()]


def _names(code: types.CodeType) -> list[str]:
    """Globals and attributes that the code names, those of functions within it too."""
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names += _names(constant)
    return names


class _Reader:
    """Stands for a call that reads a file."""


def _is_own_object(value: Any) -> bool:
    """Whether it is an object of a user's class, whose attributes may hold data."""
    plain = isinstance(value, type | types.ModuleType | str | bytes | int | float | complex)
    known = isinstance(value, pd.DataFrame | pd.Series | pd.Index | np.ndarray | Market)
    return not plain and not known and hasattr(value, "__dict__")


def _kind_of_data(value: Any) -> str:
    """What kind of data the value is; empty where it is none."""
    if isinstance(value, _Reader):
        return "a file"
    if isinstance(value, Market):
        return "a market"
    if not isinstance(value, pd.DataFrame | pd.Series | np.ndarray):
        return ""
    if value.size < HELD or not _numeric(value):
        return ""
    return f"a {type(value).__name__} of {value.size:,} values"


def _numeric(value: Any) -> bool:
    """Whether the values are numbers, and no dates."""
    try:
        np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return False
    return not np.issubdtype(np.asarray(value).dtype, np.datetime64)


def warning(what: str, sources: list[str]) -> str:
    """The sentence on data that come from elsewhere."""
    return (
        f"{what}: takes data from outside the market: {listed(sources)}. "
        "These do not end where the audit ends the data, so that look-ahead in them cannot be "
        "seen; pass them as a series or field of the data"
    )
