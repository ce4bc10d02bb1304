"""The tree of an expression: numbers, names, labels and calls, and what it says by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from runner.features.operators import DERIVED, FUNCTIONS, NUMBERS, OPERATORS, Function


class Name(NamedTuple):
    """Data by its name."""

    name: str


class Call(NamedTuple):
    """A function or operator on its arguments, all of them, in the order of its parameters."""

    function: str
    arguments: tuple[Any, ...]  # of Node


@dataclass(frozen=True)
class Label:
    """A label of the assets by its name; none where that is empty."""

    name: str


Node = Name | Label | Call | int | float


def parts(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    if not isinstance(node, Call):
        return
    for argument in node.arguments:
        yield from parts(argument)


def all_names(tree: Node) -> frozenset[str]:
    names = set()
    for node in parts(tree):
        if isinstance(node, Name):
            names.add(node.name)
    return frozenset(names)


def labels_of(tree: Node) -> frozenset[str]:
    """The labels that it groups by."""
    labels = set()
    for node in parts(tree):
        if isinstance(node, Label):
            labels.add(node.name)
    return frozenset(labels - {""})


def names_of(tree: Node) -> frozenset[str]:
    """The names of data, without those of numbers."""
    names = all_names(tree)
    return names - frozenset(NUMBERS)


def lookback_of(node: Node) -> float:
    """Rows before t that a node uses, its arguments included; inf where it uses all of the past."""
    if isinstance(node, Name):
        derived = DERIVED.get(node.name)
        return derived.reach if derived else 0
    if not isinstance(node, Call):
        return 0
    function = function_of(node)
    settings = dict(zip(function.takes, node.arguments, strict=True))
    furthest = max(lookback_of(argument) for argument in node.arguments)
    own = function.reach(settings)
    return own + furthest


def function_of(call: Call) -> Function:
    return FUNCTIONS.get(call.function) or OPERATORS[call.function]
