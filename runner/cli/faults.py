"""What an error of Hydra is about, and the line that says so."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import QuotedString
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runner.cli.overrides import key_of
from runner.cli.usage import VERBS, command
from runner.errors import SpecError, unknown
from runner.text import count, one_line

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

COMPOSING = (HydraException, OmegaConfBaseException)
OF_HYDRA = (ValueError, AssertionError, TypeError)  # its own checks that it lets through
MISSING = "???"
MERGING = "Error merging override"  # in Hydra's words, its reason being the cause
# of OmegaConf's reasons, what says nothing to people
NOISE = re.compile(r" (full_key|object_type|See https).*")
ANOTHER_FORM = "Cannot merge DictConfig with ListConfig"
# groups that a spec has one option of; of others, such as features, it may merge several
OF_ONE = frozenset({"data", "target", "model", "validation", "sweep", "experiment", "executor"})
WRITTEN = "an override is written key=value"


class NoOption(HydraException):
    """An override of a group that names no option of it."""

    def __init__(self, override: str, mistake: str) -> None:
        super().__init__(mistake)
        self.override = override


NO_OPTION = (NoOption, MissingConfigException)


def check_choices(
    choices: Sequence[Override], words: Sequence[str], options: Callable[[str], Sequence[str]]
) -> None:
    """Refuse what chooses no option of a group, which Hydra refuses without naming it, or takes.

    A text that is no option Hydra refuses well; a mapping gives settings of the chosen option.

    Args:
        choices: the overrides of groups.
        words: all overrides; one may give the node in place of a group that is deleted.
        options: those of a group.

    Raises:
        NoOption: the first that chooses none.
    """
    added = [key_of(word).partition(".")[0] for word in words if word.startswith("+")]
    for override in choices:
        group = override.key_or_group
        if not (override.is_delete() and group in added):
            mistake = _no_option(override, options)
            if mistake:
                raise NoOption(str(override.input_line), mistake)


def _no_option(override: Override, options: Callable[[str], Sequence[str]]) -> str:
    """The line on an override of a group that chooses none of its options; empty where it does."""
    group = override.key_or_group
    given = str(override.input_line)
    if not group:
        return f"{given}: {WRITTEN}"
    if override.is_sweep_override():
        return ""
    value: Any = None if override.is_delete() else override.value()
    if _is_text(value) or isinstance(value, dict):
        return ""
    known = options(group)
    names = ", ".join(known)
    if override.is_delete():
        return f"~{group}: a spec has an option of each group; allowed: {names}"
    may_be_several = isinstance(value, list) and group not in OF_ONE
    if may_be_several and value and set(map(str, value)) <= set(known):
        return ""
    one_of = "one of " if isinstance(value, list) and group in OF_ONE else ""
    return f"{group}: given {given.partition('=')[2]}; allowed: {one_of}{names}"


def _is_text(value: Any) -> bool:
    """Whether a value is a text that may name an option."""
    return isinstance(value, str | QuotedString) and str(value) != MISSING


def names_at(key: str, config: DictConfig, groups: Sequence[str]) -> list[str]:
    """The names that stand where `key` was looked for; at the top those of groups too."""
    parent = key.rpartition(".")[0]
    node = OmegaConf.select(config, parent, throw_on_missing=False) if parent else config
    names = list(map(str, node)) if OmegaConf.is_dict(node) else []
    if not parent:
        names += groups
    return sorted(set(names) - {"hydra"})


def culprit_of(error: Exception, overrides: Sequence[str]) -> str | None:
    """The override that an error of Hydra is about, if it is about one."""
    text = str(error).partition("\n")[0]
    if isinstance(error, MissingConfigException):
        named = [str(error.missing_cfg_file or "").rpartition("/")[0]]
    else:
        named = [str(getattr(error, "override", "")), *re.findall(r"'([^']*)'", text)]
        named.append(text.rpartition(": ")[2])
    for override in overrides:
        written = override.partition("=")[0].lstrip("+~")  # with its package
        if {override, written, key_of(override)} & set(named) or text == f"{MERGING} {override}":
            return override
    if "nterpolation" in text:
        return next((override for override in overrides if "${" in override), None)
    return None


def explained(override: str, error: Exception, names: Callable[[str], Sequence[str]]) -> str:
    """One line: where, what was given, what the config that composes without it allows.

    Args:
        override: that the error is about.
        names: the names that stand where a key was looked for.
    """
    if isinstance(error, NoOption):
        return str(error)
    if isinstance(error, MissingConfigException):
        return missing_option(error)
    text = one_line(error)
    key = key_of(override)
    if "is not in struct" in f"{text} {error.__cause__}" or "does not exist" in text:
        inner = str(getattr(error.__cause__, "full_key", ""))
        if not inner.startswith(f"{key}."):
            key = first_absent(key, names)
            if override.startswith("~") and key.rpartition(".")[2] in names(key):
                return f"~{key}: {key} is null already; allowed: the same without ~{key}"
            place, _, name = key.rpartition(".")
            remedy = ""
            if name in names(f"{place}.columns.{name}"):
                remedy = f"{place}.columns.{name}=COLUMN names a column"
            return f"{key}: {unknown(name, names(key), remedy)}"
        # a mapping was given, and one of its keys is new
        around = names(inner)
        known = unknown(inner.rpartition(".")[2], around) if around else "there is no such key"
        return f"{inner}: {known}; +{inner}=... adds it"
    if "Ambiguous value" in text:
        return f"{override}: several values; a list is written {key}=[a,b], a sweep needs -m"
    if isinstance(error, OverrideParseException):
        return unreadable(override)
    if text.startswith(MERGING) and isinstance(error.__cause__, Exception):
        text = one_line(error.__cause__)
        if ANOTHER_FORM in text:
            text = "a list is written [a,b], a mapping {a: 1}; allowed: the other of these"
    line = f"{override}: {NOISE.sub('', text)}"
    if "${" in override:
        line += "; an interpolation is written ${key} or ${oc.env:NAME}"
    return line


def check_package(name: str | None, config: DictConfig) -> None:
    """Refuse a part of the spec to show that it has not.

    Raises:
        SpecError: there is none of that name.
    """
    if name and OmegaConf.select(config, name) is None:
        raise SpecError(f"--package: {unknown(name, map(str, config))}")


def first_absent(key: str, names: Callable[[str], Sequence[str]]) -> str:
    """The dotted key up to its first part that is not there.

    Args:
        names: the names that stand where a key was looked for.
    """
    parts = key.split(".")
    for length in range(1, len(parts)):
        place = ".".join(parts[:length])
        if parts[length - 1] not in names(place):
            return place
    return key


def missing_option(error: MissingConfigException) -> str:
    """A group option that does not exist, or a config that is not there."""
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    if not group:
        return f"--config-name: no config {option!r}"
    return f"{group}: {unknown(option, error.options or [])}"


def unreadable(override: str) -> str:
    """An override that the grammar cannot read, and how its value is quoted."""
    if override in VERBS:
        return f"{override}: a command, which comes before everything else: {command(override)}"
    if "=" not in override:
        return f"{override}: cannot be read; {WRITTEN}"
    example = f"'{key_of(override)}=\"^VIX\"'"
    return f"{override}: cannot be read; quote special characters twice, such as {example}"


def of_jobs(numbers: Sequence[int], every: Sequence[Sequence[str]]) -> str:
    """Which jobs of a sweep have a mistake, with the overrides that all of them have."""
    own = [every[number] for number in numbers]
    common = [word for word in own[0] if all(word in words for words in own)]
    which = f"job {numbers[0]}"
    if len(numbers) > 1:
        which = f"{len(numbers):,} of {count(len(every), 'job')}"
    return f"{which} ({' '.join(common)})" if common else which
