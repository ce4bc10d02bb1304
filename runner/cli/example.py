"""What an experiment says of its own data, where other data are chosen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.default_element import GroupDefault
from omegaconf import OmegaConf

from runner.cli.overrides import key_of


class Example(NamedTuple):
    """The data that an experiment was made for, and what it says of them.

    Attributes:
        data: option of the group; None where the experiment chooses none.
        settings: settings of `data`, such as `assets` and `macro.vix`.
        validation: option of the group, whose hold-out date is one of these data; None where the
            experiment chooses none.
    """

    data: str | None
    settings: tuple[str, ...]
    validation: str | None


NO_EXAMPLE = Example(None, (), None)


class Examples:
    """The examples of experiments, each read once."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.read: dict[str, Example] = {}

    def borrowed(
        self, spec: Mapping[str, Any], chosen: Mapping[str, str], words: Sequence[str]
    ) -> dict[str, Any]:
        """The spec, marked where its experiment was made for other data.

        `data.borrowed` names the settings of `data` that are the example's, and
        `validation.borrowed` is true where the hold-out date is.

        Args:
            spec: plain mappings.
            chosen: option of every group.
            words: the overrides; what they give is a person's own.
        """
        example = self._of(chosen.get("experiment", "none"))
        if example.data in (None, chosen.get("data")):
            return dict(spec)
        given = {key_of(word) for word in words}
        marked = dict(spec)
        data = spec.get("data")
        settings = _not_given(example.settings, given)
        if settings and isinstance(data, Mapping):
            marked["data"] = {**data, "borrowed": settings}
        validation = spec.get("validation")
        chosen_by_hand = given & {"validation", "validation.train_end"}
        is_of_example = chosen.get("validation") == example.validation and not chosen_by_hand
        if is_of_example and isinstance(validation, Mapping) and validation.get("train_end"):
            marked["validation"] = {**validation, "borrowed": True}
        return marked

    def _of(self, experiment: str) -> Example:
        if experiment not in self.read:
            self.read[experiment] = self._example(experiment)
        return self.read[experiment]

    def _example(self, experiment: str) -> Example:
        config: Any = self.loader.repository.load_config(f"experiment/{experiment}")
        if config is None:
            return NO_EXAMPLE
        options = {}
        for default in config.defaults_list or []:
            if isinstance(default, GroupDefault):
                options[str(default.group).strip("/")] = str(default.value)
        settings = []
        data: Any = OmegaConf.to_container(config.config.get("data") or OmegaConf.create())
        for name, value in data.items():
            if isinstance(value, Mapping):
                settings += [f"{name}.{key}" for key in value]
            else:
                settings.append(str(name))
        return Example(options.get("data"), tuple(settings), options.get("validation"))


def _not_given(settings: Sequence[str], given: Collection[str]) -> list[str]:
    """The settings of `data` that no override gives, neither alone nor with their mapping."""
    left = []
    for setting in settings:
        mapping = setting.partition(".")[0]  # such as `macro` of `macro.vix`
        if f"data.{setting}" not in given and f"data.{mapping}" not in given:
            left.append(setting)
    return left
