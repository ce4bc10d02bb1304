"""Values put into a spec that is composed and resolved, where nothing else follows from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname

from runner.cli.faults import COMPOSING, OF_HYDRA

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

# an interpolation of one other node, from the top, with or without a value where it is not there
NODE = re.compile(r"\$\{(?:oc\.select:)?([A-Za-z_]\w*(?:\.\w+)*)(?:,\w+)?\}")
# one that follows from the groups alone
CHOICE = re.compile(r"\$\{hydra:runtime\.choices\.[\w/]+\}")
Keys = tuple[str, ...]


@dataclass(frozen=True)
class Composed:
    """A spec as plain mappings.

    Attributes:
        spec: every interpolation resolved.
        tied: the keys that interpolations stand at or refer to; None where one could follow from
            anything.
    """

    spec: Mapping[str, Any]
    tied: frozenset[Keys] | None

    def given(self, values: Iterable[tuple[str, Any]]) -> dict[str, Any] | None:
        """The spec with the values at these dotted keys; None where that takes a composer.

        It does where a key is new or tied, or stands for a mapping, or where a value is more than
        numbers, texts and a list of them.
        """
        spec: dict[str, Any] | None = dict(self.spec)
        for dotted, value in values:
            parts = dotted.split(".")
            keys = tuple(parts)
            if not self._is_free(keys) or not _simple(value):
                return None
            spec = _put(spec, keys, value)
            if spec is None:
                return None
        return spec

    def _is_free(self, keys: Keys) -> bool:
        """Whether no interpolation stands at the key, above or below it, or refers to it."""
        if self.tied is None:
            return False
        return not any(keys[: len(tied)] == tied[: len(keys)] for tied in self.tied)


def further(
    config: DictConfig | None, every: Sequence[Override], options: Sequence[Override]
) -> DictConfig | None:
    """A spec that is composed of options alone, as if composed of every override.

    None without one, and where an override takes a key away, gives several values, or does not fit:
    such a spec is composed anew, which says what is wrong. The given config is changed.
    """
    beyond_values = any(override.is_delete() or override.is_sweep_override() for override in every)
    if config is None or beyond_values:
        return None
    values = [override for override in every if override not in options]
    try:
        ConfigLoaderImpl._apply_overrides_to_config(values, config)
    except (*COMPOSING, *OF_HYDRA):
        return None
    # Hydra notes them: names of directories may be made of them
    of_spec = [override for override in every if not override.is_hydra_override()]
    of_hydra = [override for override in every if override.is_hydra_override()]
    noted = config.hydra
    noted.overrides.task = [override.input_line for override in of_spec]
    noted.overrides.hydra = [override.input_line for override in of_hydra]
    form = noted.job.config.override_dirname
    noted.job.override_dirname = get_overrides_dirname(of_spec, **form)
    return config


def with_on(node: Any) -> Any:
    """The node with the key `on`, which YAML reads as true where a file does not quote it.

    One that an override gives beside it counts.
    """
    if isinstance(node, list):
        return [with_on(value) for value in node]
    if not isinstance(node, Mapping):
        return node
    named = {str(key): with_on(value) for key, value in node.items() if key is not True}
    if True in node:
        value_of_on = with_on(node[True])
        named.setdefault("on", value_of_on)
    return named


def composed(spec: Mapping[str, Any], unresolved: Mapping[str, Any]) -> Composed:
    """The spec, whose interpolations are those of `unresolved`."""
    tied: set[Keys] = set()
    interpolations = _interpolations(unresolved, ())
    for keys, text in interpolations:
        node = NODE.fullmatch(text)
        if node:
            tied.add(keys)
            parts = node[1].split(".")
            tied.add(tuple(parts))
        elif not CHOICE.fullmatch(text):
            return Composed(spec, None)
    return Composed(spec, frozenset(tied))


def _interpolations(node: Any, keys: Keys) -> Iterable[tuple[Keys, str]]:
    """Each text with an interpolation, and the keys that it, or the list that has it, stands at."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _interpolations(value, (*keys, str(key)))
    elif isinstance(node, list):
        for value in node:
            yield from _interpolations(value, keys)
    elif isinstance(node, str) and "${" in node:
        yield keys, node


def _put(node: Any, keys: Keys, value: Any) -> dict[str, Any] | None:
    """A copy of the mapping with a value for one that it has; None where it has none there."""
    key, *rest = keys
    if not isinstance(node, dict) or key not in node:
        return None
    if rest:
        inner = _put(node[key], tuple(rest), value)
        return None if inner is None else {**node, key: inner}
    if isinstance(node[key], dict):
        return None
    return {**node, key: value}


def _simple(value: Any) -> bool:
    """Whether a composer would leave the value as it is."""
    if isinstance(value, list):
        return all(_simple(item) for item in value)
    if isinstance(value, str):
        return "${" not in value and value != "???"
    return value is None or isinstance(value, bool | int | float)
