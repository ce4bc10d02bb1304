"""Which names of data the parts of a spec ask for, known before any data is read.

An expression says it itself. Of a function or class the annotations of its settings say which of
them are names: a field (`FieldName`), a label (`LabelName`), an expression (`Signal`). Text of a
feature or a target without a narrower type may be the name of anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from runner.schema.settings import Asked, AskedFor, check_field, check_label

NAMED_BY_SIGNS = re.compile(r"[^\s()]+")  # such as B/M: a column, or a quotient of two
ON_EACH_DATE = "*date"  # after a label: on each date
KEYS = ("asset", "date")  # what is grouped by without any label


class Named(NamedTuple):
    """A name that is asked for, and what it is taken for."""

    name: str
    taken_for: AskedFor


def by_text(text: str) -> Iterator[Named]:
    """What an expression names; nothing of one that cannot be read."""
    from runner.features.expressions import Expression
    from runner.features.operators import DERIVED
    from runner.features.tree import labels_of

    try:
        expression = Expression(text)
    except ValueError:
        return
    for name in expression.names:
        if name not in DERIVED:
            yield Named(name, "number")
    for name in labels_of(expression.tree):
        yield Named(name, "label")
    if NAMED_BY_SIGNS.fullmatch(text) and not text.isidentifier():
        yield Named(text, "number")


def by_choice(data: Mapping[str, Any]) -> Iterator[Named]:
    """What `data` itself names: the label of the members, the field of delisting returns."""
    members = data.get("members")
    if isinstance(members, str):
        yield Named(members, "label")
    delisting = data.get("delisting")
    if isinstance(delisting, str):
        yield Named(delisting, "number")


def by_settings(
    settings: Mapping[str, Any], kinds: Mapping[str, Any], text_is_a_name: bool
) -> Iterator[Named]:
    """What the settings of a function or class name.

    Args:
        kinds: the annotated type of each setting.
        text_is_a_name: whether text without a narrower type may be the name of data.
    """
    for setting, value in settings.items():
        for named in _by_value(value, kinds.get(setting, Any)):
            if text_is_a_name or named.taken_for != "either":
                yield named


def _by_value(value: Any, kind: Any) -> Iterator[Named]:
    """What a value of this type names."""
    origin = get_origin(kind)
    parts = get_args(kind)
    if origin is Annotated:
        yield from _by_marked(value, parts[1:])
    elif origin in (Union, UnionType):
        if any(get_origin(part) is Literal and value in get_args(part) for part in parts):
            return  # a word with a meaning of its own
        for part in parts:
            yield from _by_value(value, part)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _by_value(item, parts[0] if parts else Any)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _by_value(item, parts[1] if parts else Any)
    elif kind in (str, Any) and isinstance(value, str):
        yield Named(value, "either")


def _by_marked(value: Any, checks: Sequence[Any]) -> Iterator[Named]:
    """What a text names whose type says what it is."""
    from runner.features.factors import check_expression

    if not isinstance(value, str):
        return
    if check_field in checks:
        yield Named(value, "number")
    elif check_label in checks:
        label = value.removesuffix(ON_EACH_DATE)
        if label not in KEYS:
            yield Named(label, "label")
    elif check_expression in checks:
        yield from by_text(value)


def grouped(named: Iterable[Named]) -> Asked:
    """The names by what they are taken for."""
    return together(*({one.taken_for: [one.name]} for one in named))


def together(*asked: Mapping[AskedFor, Sequence[str]]) -> Asked:
    """All names of these, sorted, each once; what nothing is taken for is left out."""
    names: dict[AskedFor, set[str]] = {}
    for part in asked:
        for taken_for, some in part.items():
            names.setdefault(taken_for, set()).update(some)
    return {taken_for: sorted(names[taken_for]) for taken_for in sorted(names) if names[taken_for]}
