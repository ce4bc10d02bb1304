"""What an experiment says of its own data, where other data are chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.default_element import GroupDefault
from omegaconf import OmegaConf

from runner.cli.overrides import key_of


class Example(NamedTuple):
    """The data that an experiment was made for.

    Attributes:
        data: option of the group; None where the experiment chooses none.
        settings: what it says of them, such as `assets` and `macro.vix`.
    """

    data: str | None
    settings: tuple[str, ...]


class Examples:
    """The examples of experiments, each read once."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.read: dict[str, Example] = {}

    def borrowed(
        self, spec: Mapping[str, Any], chosen: Mapping[str, str], words: Sequence[str]
    ) -> dict[str, Any]:
        """The spec, with `data.borrowed` where its experiment was made for other data.

        Args:
            spec: plain mappings.
            chosen: option of every group.
            words: the overrides; what they give is a person's own.
        """
        example = self._of(chosen.get("experiment", "none"))
        if example.data in (None, chosen.get("data")) or not isinstance(spec.get("data"), Mapping):
            return dict(spec)
        given = {key_of(word).removeprefix("data.") for word in words}
        borrowed = []
        for setting in example.settings:
            mapping = setting.partition(".")[0]  # such as `macro` of `macro.vix`
            if setting not in given and mapping not in given:
                borrowed.append(setting)
        if not borrowed:
            return dict(spec)
        return {**spec, "data": {**spec["data"], "borrowed": borrowed}}

    def _of(self, experiment: str) -> Example:
        if experiment not in self.read:
            self.read[experiment] = self._example(experiment)
        return self.read[experiment]

    def _example(self, experiment: str) -> Example:
        config: Any = self.loader.repository.load_config(f"experiment/{experiment}")
        if config is None or not config.config.get("data"):
            return Example(None, ())
        made_for = None
        for default in config.defaults_list or []:
            if isinstance(default, GroupDefault) and str(default.group).strip("/") == "data":
                made_for = str(default.value)
        data: Any = OmegaConf.to_container(config.config.data)
        settings = []
        for name, value in data.items():
            if isinstance(value, Mapping):
                settings += [f"{name}.{key}" for key in value]
            else:
                settings.append(str(name))
        return Example(made_for, tuple(settings))
