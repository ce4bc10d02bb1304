"""Files of runs that others may have written, read within bounds: one line says what is wrong."""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runner.errors import DataError, listed
from runner.text import one_line

MOST_TEXT = 20_000_000  # bytes of a spec, of metrics, of what a run says of itself
MOST_TABLE = 4_000_000_000  # bytes of a table
MOST_NODES = 1_000_000  # of a spec, one that stands at several places counted at each
DEEPEST = 100  # nodes of a spec below each other

Check = Callable[[Any], bool]


@contextmanager
def as_written(what: str) -> Iterator[None]:
    """What goes wrong within the block is said to lie in these directories, on one line.

    Each file is checked when it is read, but not whether all of them agree.

    Raises:
        DataError: something did; HYDRA_FULL_ERROR=1 shows where.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        problem = f"{type(error).__name__}: {one_line(error)}"
        allowed = "files as runs write them (HYDRA_FULL_ERROR=1 shows where)"
        raise DataError(f"{what}: cannot be read: {problem}; allowed: {allowed}") from error


def size_of(path: Path, most: int = MOST_TABLE) -> int:
    """Bytes of a file that is a file, and not too large to be read.

    Raises:
        DataError: it is not there, is no file, or is larger than `most`.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or error
        raise DataError(f"{path.parent}: no run directory: {path.name}: {problem}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{path}: no plain file; allowed: one that a run wrote")
    if status.st_size > most:
        raise DataError(f"{path}: {status.st_size:,} bytes; allowed: {most:,}")
    return status.st_size


def text_of(path: Path, most: int = MOST_TEXT) -> str:
    """The text of a small file.

    Raises:
        DataError: it cannot be read, is larger than `most` bytes, or is no text.
    """
    size_of(path, most)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def mapping_of_json(path: Path, most: int = MOST_TEXT) -> dict[str, Any]:
    """The mapping that a JSON file of at most so many bytes holds.

    Raises:
        DataError: it holds something else, or cannot be read.
    """
    try:
        return _mapping(path, json.loads(text_of(path, most)))
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, error) from None


def mapping_of_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        DataError: it holds something else, what a spec never has (merged keys, a node inside
            itself, millions of nodes out of a few), or cannot be read.
    """
    import yaml

    text = text_of(path)
    try:
        _refuse_merges(path, text)
        content = yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise _unreadable(path, error) from None
    nodes = _nodes(content, {}, 0)
    if nodes > MOST_NODES:
        raise DataError(f"{path}: too many or too deep nodes; allowed: {MOST_NODES:,}")
    return _mapping(path, content)


def _refuse_merges(path: Path, text: str) -> None:
    """Refuse YAML whose keys are merged, before they are, which can take for ever."""
    import yaml

    depth = 0
    for event in yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        is_merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<"
        if is_merge or depth > DEEPEST:
            raise DataError(f"{path}: merged keys or too deep nodes; allowed: a spec without")


def _nodes(node: Any, known: dict[int, float], depth: int) -> float:
    """How many nodes there are, those of a shared one counted at each place; endless: infinite."""
    if not isinstance(node, dict | list):
        return 1
    if depth > DEEPEST:
        return math.inf
    if id(node) not in known:
        known[id(node)] = math.inf  # for one that lies inside itself
        inner = node.values() if isinstance(node, dict) else node
        known[id(node)] = 1 + sum(_nodes(part, known, depth + 1) for part in inner)
    return known[id(node)]


def _mapping(path: Path, content: Any) -> dict[str, Any]:
    """The content, if it is a mapping of texts."""
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise DataError(f"{path}: no mapping of names; allowed: as a run writes it")
    return content


def _unreadable(path: Path, error: Exception) -> DataError:
    """The error of a file that cannot be read, in one line."""
    problem = str(error).partition("\n")[0][:200] or type(error).__name__
    return DataError(f"{path}: cannot be read: {problem}; allowed: as a run writes it")


def read_table(path: Path, reader: Callable[[Path], Any], columns: Mapping[str, bool]) -> Any:
    """A table of a run.

    Args:
        columns: that it must have, each with whether its cells are numbers.

    Raises:
        DataError: it cannot be read, or has other columns.
    """
    from pandas.api.types import is_numeric_dtype

    size_of(path)
    try:
        table = reader(path)
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        NotImplementedError,
        ArithmeticError,
    ) as error:
        raise _unreadable(path, error) from None
    for name, is_number in columns.items():
        if name not in table.columns:
            raise DataError(f"{path}: no column {name!r}; allowed: as a run writes it")
        filled = table[name].dropna()
        if is_number and len(filled) and not is_numeric_dtype(table[name].dtype):
            raise DataError(f"{path}: column {name!r} has no numbers; allowed: as a run writes it")
    return table


def is_text(value: Any) -> bool:
    """Whether it is a text."""
    return isinstance(value, str)


def is_texts(value: Any) -> bool:
    """Whether it is a list of texts."""
    return isinstance(value, list) and all(map(is_text, value))


def is_text_by_name(value: Any) -> bool:
    """Whether it is a mapping of names to texts."""
    return isinstance(value, dict) and all(map(is_text, value.values()))


def is_texts_or_none(value: Any) -> bool:
    """Whether it is a list of texts, or of nothing in their place."""
    return isinstance(value, list) and all(text is None or is_text(text) for text in value)


def is_mapping(value: Any) -> bool:
    """Whether it is a mapping."""
    return isinstance(value, dict)


def is_mappings(value: Any) -> bool:
    """Whether it is a list of mappings."""
    return isinstance(value, list) and all(map(is_mapping, value))


def is_truth(value: Any) -> bool:
    """Whether it is true or false."""
    return isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether it is a whole number from 0 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_moment(value: Any) -> bool:
    """Whether it is a date and time with its time zone, as ISO writes it."""
    try:
        time = datetime.fromisoformat(value)
        return time.tzinfo is not None
    except (TypeError, ValueError):
        return False


def is_finite(value: Any) -> bool:
    """Whether it is a number that is finite as a float64."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def checked(path: Path, content: dict[str, Any], checks: Mapping[str, Check]) -> dict[str, Any]:
    """The content, if each of these keys that it has is as it should be.

    Raises:
        DataError: one is not.
    """
    for key, check in checks.items():
        if key in content and not check(content[key]):
            given = repr(content[key])[:80]
            raise DataError(f"{path}: {key}: given {given}; allowed: as a run writes it")
    return content


def with_all(path: Path, content: dict[str, Any], keys: Mapping[str, Check]) -> dict[str, Any]:
    """The content, if it has all of these keys, each as it should be.

    Raises:
        DataError: one is missing or wrong.
    """
    missing = [key for key in keys if key not in content]
    if missing:
        raise DataError(f"{path}: no {', '.join(missing)}; allowed: as a run writes it")
    return checked(path, content, keys)


def checks(keys_of: Mapping[Check, Sequence[str]]) -> dict[str, Check]:
    """Key -> its check, of the keys that each check is for."""
    by_key = {}
    for check, keys in keys_of.items():
        by_key.update(dict.fromkeys(keys, check))
    return by_key


def only(
    path: Path,
    content: dict[str, Any],
    keys: Mapping[str, Check],
    further: Mapping[str, Check] = MappingProxyType({}),
) -> dict[str, Any]:
    """The content, if it has all of these keys and none but the further ones beside them.

    Raises:
        DataError: one is missing, wrong or too many.
    """
    unknown = [key for key in content if key not in keys and key not in further]
    if unknown:
        names = listed(unknown)
        raise DataError(f"{path}: {names}: no such key; allowed: as a run writes it")
    return checked(path, with_all(path, content, keys), further)
