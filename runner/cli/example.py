"""What an experiment says of its own data, where other data are chosen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.default_element import ConfigDefault, GroupDefault
from omegaconf import OmegaConf

from runner.cli.overrides import key_of
from runner.errors import listed

HYPOTHESES = "hypotheses"  # a setting of `model`


class Example(NamedTuple):
    """The data that an experiment was made for, and what it says of them.

    Attributes:
        data: option of the group; None where the experiment chooses none.
        settings: settings of `data`, such as `assets` and `macro.vix`.
        validation: option of the group, whose hold-out date is one of these data; None where the
            experiment chooses none.
        model: settings of `model`, such as `hypotheses`.
    """

    data: str | None
    settings: tuple[str, ...]
    validation: str | None
    model: tuple[str, ...]


class Selection(NamedTuple):
    """What a person chose.

    Attributes:
        options: the option of every group.
        keys: what the overrides give by hand.
    """

    options: Mapping[str, str]
    keys: set[str]


NO_EXAMPLE = Example(None, (), None, ())


class Examples:
    """The examples of experiments, each read once.

    Attributes:
        left_out: sentences on what experiments say of their own model or features, and others were
            chosen.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.read: dict[str, Example] = {}
        self.left_out: list[str] = []

    def suited(
        self, spec: Mapping[str, Any], chosen: Mapping[str, str], words: Sequence[str]
    ) -> dict[str, Any]:
        """The spec, with what its experiment says of its own data marked or left out.

        Args:
            spec: plain mappings.
            chosen: option of every group.
            words: the overrides; what they give is a person's own.
        """
        name = chosen.get("experiment", "none")
        example = self._of(name)
        keys = {key_of(word) for word in words}
        selection = Selection(chosen, keys)
        own_model = self._with_own_model(spec, example, selection)
        return _borrowed(own_model, example, selection)

    def _with_own_model(
        self, spec: Mapping[str, Any], example: Example, selection: Selection
    ) -> dict[str, Any]:
        """The spec without the experiment's settings of a model that other options lack.

        These are settings that the chosen model does not have, and hypotheses on terms that the
        chosen features do not give.
        """
        model = spec.get("model")
        if not isinstance(model, Mapping):
            return dict(spec)
        kept = dict(model)
        of_example = [name for name in example.model if f"model.{name}" not in selection.keys]
        if "model" in selection.keys:
            option = selection.options["model"]
            known = self._settings_of(f"model/{option}")
            unknown = [name for name in of_example if name in kept and name not in known]
            for name in unknown:
                del kept[name]
            lost = [f"model.{name}" for name in unknown]
            self._note(f"model={option} has no such", lost)
        groups = {key.partition(".")[0] for key in selection.keys}
        other_features = "features" in groups
        if other_features and HYPOTHESES in of_example and kept.get(HYPOTHESES):
            tested, untested = _testable(kept[HYPOTHESES], spec.get("features") or {})
            kept[HYPOTHESES] = tested
            self._note("no features give their terms", list(map(repr, untested)))
        return {**spec, "model": kept}

    def _note(self, reason: str, parts: Sequence[str]) -> None:
        """Keep the sentence on parts of an experiment that are left out; none without any."""
        if parts:
            self.left_out.append(f"left out of the experiment, as {reason}: {listed(parts)}")

    def _settings_of(self, option: str) -> set[str]:
        """The settings that an option of a group has, with those of the options it builds on."""
        config: Any = self.loader.repository.load_config(option)
        if config is None:
            return set()
        settings = set(map(str, config.config))
        parts = option.rpartition("/")
        group = parts[0]
        for default in config.defaults_list or []:
            if isinstance(default, ConfigDefault) and not default.is_self():
                settings |= self._settings_of(f"{group}/{default.path}")
        return settings

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
        model = tuple(map(str, config.config.get("model") or ()))
        return Example(options.get("data"), tuple(settings), options.get("validation"), model)


def _testable(hypotheses: Sequence[str], features: Collection[str]) -> tuple[list[str], list[str]]:
    """The hypotheses on terms that the features give, and the others."""
    from runner.numerics.restrictions import terms_of

    terms = {"const", *features}
    tested = [text for text in hypotheses if terms.issuperset(terms_of(text))]
    others = [text for text in hypotheses if text not in tested]
    return tested, others


def _borrowed(spec: Mapping[str, Any], example: Example, selection: Selection) -> dict[str, Any]:
    """The spec, marked where its experiment was made for other data.

    `data.borrowed` names the settings of `data` that are the example's, and
    `validation.borrowed` is true where the hold-out date is.
    """
    if example.data in (None, selection.options.get("data")):
        return dict(spec)
    marked = dict(spec)
    data = spec.get("data")
    settings = _not_given(example.settings, selection.keys)
    if settings and isinstance(data, Mapping):
        marked["data"] = {**data, "borrowed": settings}
    validation = spec.get("validation")
    chosen_by_hand = selection.keys & {"validation", "validation.train_end"}
    own_validation = selection.options.get("validation")
    is_of_example = own_validation == example.validation and not chosen_by_hand
    if is_of_example and isinstance(validation, Mapping) and validation.get("train_end"):
        marked["validation"] = {**validation, "borrowed": True}
    return marked


def _not_given(settings: Sequence[str], given: Collection[str]) -> list[str]:
    """The settings of `data` that no override gives, neither alone nor with their mapping."""
    left = []
    for setting in settings:
        parts = setting.partition(".")
        mapping = parts[0]  # such as `macro` of `macro.vix`
        if f"data.{setting}" not in given and f"data.{mapping}" not in given:
            left.append(setting)
    return left
