"""What a composed spec says, its interpolations resolved; of its sweep too.

Values of environment variables may be secret: each knows how it is kept.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.resolvers import oc

from runner.cli.overrides import key_of
from runner.experiment.settings import INLINE, executor_class
from runner.experiment.spec import bound
from runner.record.secrets import Hidden
from runner.sweeps.earlier import executor_in, sentence, without_earlier
from runner.sweeps.search import check_search
from runner.sweeps.settings import Sweep

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Variables:
    """What OmegaConf resolves `${oc.env:NAME}` by: values, or the names in their place.

    Attributes:
        named: variables that gave a value.
        by_name: whether names are given instead.
    """

    def __init__(self) -> None:
        self.named: set[str] = set()
        self.by_name = False

    def __call__(self, name: str, *default: Any) -> Any:
        if name in os.environ:
            self.named.add(name)
            if self.by_name:
                return f"${{oc.env:{name}}}"
        return oc.env(name, *default)


VARIABLES = Variables()
OmegaConf.register_new_resolver("oc.env", VARIABLES, replace=True)


def resolved(config: DictConfig) -> Any:
    """The node as plain mappings, every interpolation resolved.

    Texts with values of environment variables in them are `Hidden`; numbers are numbers.
    """
    VARIABLES.named.clear()
    node = OmegaConf.to_container(config, resolve=True)
    if not VARIABLES.named:
        return node
    VARIABLES.by_name = True
    try:
        by_name = OmegaConf.to_container(config, resolve=True)
    finally:
        VARIABLES.by_name = False
    return _marked(node, by_name)


def _marked(node: Any, by_name: Any) -> Any:
    """The node with its texts that are others by the names of variables marked as hidden."""
    if isinstance(node, dict) and isinstance(by_name, dict):
        return {key: _marked(value, by_name.get(key)) for key, value in node.items()}
    if isinstance(node, list) and isinstance(by_name, list):
        pairs = zip(node, by_name, strict=True)
        return [_marked(value, kept) for value, kept in pairs]
    if isinstance(node, str) and isinstance(by_name, str) and node != by_name:
        return Hidden(node, by_name)
    return node


def unresolved(config: DictConfig) -> dict[str, Any]:
    """The spec as plain mappings, its interpolations as they are written."""
    whole: Any = OmegaConf.to_container(config)
    return {key: value for key, value in whole.items() if key not in ("hydra", "sweep")}


def sweep_of(config: DictConfig) -> Sweep:
    """The settings of the sweep.

    Raises:
        SpecError: what is wrong with them, one line each.
    """
    node = resolved(config.get("sweep") or OmegaConf.create({}))
    settings: Sweep = bound("sweep", Sweep, without_earlier(node))
    check_search(settings, allowed_modules(config))
    return settings


def executor_of_sweep(config: DictConfig) -> tuple[dict[str, Any], str]:
    """The node of what runs the jobs, and a sentence on earlier names of it; empty without any.

    Raises:
        SpecError: there is no such executor, or it cannot be had here; one line each.
    """
    sweep = resolved(config.get("sweep") or OmegaConf.create({}))
    chosen = resolved(config.get("executor") or OmegaConf.create(dict(INLINE)))
    given = [key_of(word) for word in config.hydra.overrides.task]
    node = executor_in(sweep, chosen, given)
    executor_class(node, allowed_modules(config))
    return node, sentence(sweep, node)


def allowed_modules(config: DictConfig) -> tuple[str, ...]:
    """The modules that the spec allows code from; none where the key is wrong, which is said."""
    names: Any = OmegaConf.to_container(OmegaConf.create({"allow": config.get("allow")}))
    allow = names["allow"]
    if not isinstance(allow, list):
        return ()
    return tuple(name for name in allow if isinstance(name, str))
