"""What there is to choose: groups, their options, and every setting with its meaning."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from runner.cli.composition import Composer
from runner.data.joins.settings import ROLES, OfAnySource, SeriesTable
from runner.errors import SpecError, unknown
from runner.experiment.nodes import defaults_of, kinds_of, settings_of
from runner.experiment.settings import GROUPS
from runner.schema.misfits import in_words

WIDTH = 100  # of a line on the terminal
OTHERS = ("experiment", "sweep")  # groups whose options are no single function or class


def groups(composer: Composer) -> str:
    """Every group with its options, one line each."""
    lines = [f"{group}: {', '.join(options_of(composer, group))}" for group in (*GROUPS, *OTHERS)]
    return "\n".join(
        [*lines, "", "python -m runner list GROUP, python -m runner help GROUP/OPTION"]
    )


def options(composer: Composer, group: str) -> str:
    """The options of a group, each with the first sentence of its file.

    Raises:
        SpecError: there is no such group.
    """
    _check(group, (*GROUPS, *OTHERS), "list")
    names = options_of(composer, group)
    width = max(len(name) for name in names)
    lines = []
    for name in names:
        comment = _comment(text_of(composer, group, name))
        lines.append(f"{group}={name:<{width}}  {comment}".rstrip())
    return "\n".join(lines)


def option(composer: Composer, path: str) -> str:
    """What an option is, and its settings with their values, what is allowed, and their meaning.

    Raises:
        SpecError: there is no such group or option.
    """
    group, slash, name = path.partition("/")
    _check(group, (*GROUPS, *OTHERS), "help")
    if not slash:
        return options(composer, group)
    _check(name, options_of(composer, group), f"help {group}")
    text = text_of(composer, group, name)
    head = [f"{group}={name}", *_wrapped(_comment(text, whole=True), "")]
    if group in OTHERS:
        return "\n".join([*head, "", _without_comment(text)])
    node = node_of(composer, group, name)
    if group == "data":
        return "\n".join([*head, "", *_settings(node), *_of_any_source(node)])
    if group != "features":
        return "\n".join([*head, "", *_settings(node)])
    columns = []
    for column, feature in node.items():
        columns += ["", f"{column}: {_short(feature)}", *_meaning(feature)]
    return "\n".join([*head, *columns])


def options_of(composer: Composer, group: str) -> list[str]:
    """The options of a group, by name."""
    return list(composer.hydra.config_loader.get_group_options(group))


def text_of(composer: Composer, group: str, name: str) -> str:
    """The YAML text of an option."""
    loader: Any = composer.hydra.config_loader  # its abstract class does not name the repository
    config = loader.repository.load_config(f"{group}/{name}")
    directory = Path(config.path.removeprefix("file://"))
    return (directory / group / f"{name}.yaml").read_text(encoding="utf-8")


def node_of(composer: Composer, group: str, name: str) -> dict[str, Any]:
    """The settings of an option in a composed spec, not checked, without those of an example."""
    spec, _ = composer.places([f"{group}={name}", "experiment=none"])
    return dict(spec[group])


def _check(name: str, known: tuple[str, ...] | list[str], where: str) -> None:
    if name not in known:
        raise SpecError(f"{where}: {unknown(name, known)}")


def _comment(text: str, whole: bool = False) -> str:
    """The comment that a file of an option begins with; its first line, or all of it."""
    lines = []
    for line in text.splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return " ".join(lines if whole else lines[:1])


def _without_comment(text: str) -> str:
    lines = text.splitlines()
    while lines and lines[0].startswith("#"):
        lines.pop(0)
    return "\n".join(lines)


def _short(feature: Any) -> str:
    """A feature as the YAML writes it: an expression, or a function with its settings."""
    if not isinstance(feature, Mapping):
        return str(feature)
    given = [f"{key}={value}" for key, value in feature.items() if key != "_target_"]
    return f"{feature['_target_']}({', '.join(given)})"


def _meaning(feature: Any) -> list[str]:
    if not isinstance(feature, Mapping):
        return []
    target, _ = settings_of(feature)
    return _wrapped(_summary(target), "    ")


def _settings(node: Mapping[str, Any]) -> list[str]:
    """The function or class of a node, and each of its settings."""
    target, kinds = settings_of(node)
    lines = [f"{node['_target_']}: {_summary(target)}", ""]
    return [*lines, *_with_meanings(target, kinds, node)]


def _of_any_source(node: Mapping[str, Any]) -> list[str]:
    """The settings of `data` that every source has, and those of the tables joined to it."""
    beside = kinds_of(OfAnySource)
    lines = ["", "Of any source:", "", *_with_meanings(OfAnySource, beside, node)]
    shared = kinds_of(SeriesTable)
    for role, table in ROLES.items():
        kinds = kinds_of(table)
        head = f"data.{role}.NAME: {_summary(table)}"
        if issubclass(table, SeriesTable) and table is not SeriesTable:
            kinds = {name: kind for name, kind in kinds.items() if name not in shared}
            head += " The settings of data.series.NAME, and:"
        lines += ["", *_wrapped(head, ""), ""]
        lines += _with_meanings(table, kinds, defaults_of(table))
    return lines


def _with_meanings(
    target: Callable[..., Any], kinds: Mapping[str, Any], values: Mapping[str, Any]
) -> list[str]:
    """Each setting with its value, what is allowed, and its meaning."""
    meanings = _described(target)
    lines = []
    for name, kind in kinds.items():
        value = values.get(name, "not given")
        shown = "null" if value is None else value
        lines.append(f"  {name}: {shown}    (allowed: {in_words(kind)})")
        lines += _wrapped(meanings.get(name, ""), "      ")
    return lines


def _summary(target: Callable[..., Any]) -> str:
    """The first paragraph of the documentation, on one line."""
    text = inspect.getdoc(target) or ""
    return " ".join(text.split("\n\n")[0].split())


def _described(target: Callable[..., Any]) -> dict[str, str]:
    """What the documentation says of each setting, from its `Attributes:` or `Args:`."""
    found: dict[str, str] = {}
    for owner in reversed(inspect.getmro(target) if inspect.isclass(target) else (target,)):
        text = inspect.getdoc(owner) or ""
        block = re.search(r"(?:Attributes|Args):\n((?:[ ]{4}.*\n?|\n)*)", text)
        for entry in re.split(r"\n(?=[ ]{4}\S)", block[1] if block else ""):
            names, colon, meaning = entry.strip().partition(": ")
            if colon:
                found |= {name.strip(): " ".join(meaning.split()) for name in names.split(",")}
    return found


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
