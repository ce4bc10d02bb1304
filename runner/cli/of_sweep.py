"""What a composed spec says of its sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from runner.experiment.spec import bound
from runner.sweeps.launchers import check_sweep
from runner.sweeps.settings import Sweep

if TYPE_CHECKING:
    from omegaconf import DictConfig


def sweep_of(config: DictConfig) -> Sweep:
    """The settings of the sweep.

    Raises:
        SpecError: what is wrong with them, one line each.
    """
    node: Any = OmegaConf.to_container(config.get("sweep") or OmegaConf.create({}), resolve=True)
    settings: Sweep = bound("sweep", Sweep, node)
    check_sweep(settings, allowed_modules(config))
    return settings


def allowed_modules(config: DictConfig) -> tuple[str, ...]:
    """The modules that the spec allows code from; none where the key is wrong, which is said."""
    names: Any = OmegaConf.to_container(OmegaConf.create({"allow": config.get("allow")}))
    allow = names["allow"]
    if not isinstance(allow, list):
        return ()
    return tuple(name for name in allow if isinstance(name, str))
