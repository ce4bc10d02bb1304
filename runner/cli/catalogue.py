"""What there is to choose: groups, their options, and every setting with its meaning."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from textwrap import shorten, wrap
from typing import Any, NamedTuple

from runner.cli.composition import Composer
from runner.data.joins.settings import ROLES, OfAnySource, SeriesTable
from runner.errors import SpecError, unknown
from runner.experiment.nodes import defaults_of, kinds_of, settings_of
from runner.experiment.settings import GROUPS
from runner.schema.misfits import in_words

WIDTH = 100  # of a line on the terminal
MOST_LINES = 65  # of what is said of an option; of more, each setting has one line
INDENT = 34  # columns of a name and a value in such a line
COMMAND = "python -m runner"
OTHERS = ("experiment", "sweep")  # groups whose options are no single function or class
EVERY = (*GROUPS, "executor", *OTHERS)


class Setting(NamedTuple):
    """A setting of a function or class: its value, what is allowed in words, and its meaning."""

    name: str
    value: str
    allowed: str
    meaning: str


class Comment(NamedTuple):
    """What the file of an option says of it: its first line, all of its lines, and commands."""

    first: str
    whole: str
    commands: list[str]


def groups(composer: Composer) -> str:
    """Every group with its options, one line each."""
    lines = [f"{group}: {', '.join(options_of(composer, group))}" for group in EVERY]
    return "\n".join(
        [*lines, "", "python -m runner list GROUP, python -m runner help GROUP/OPTION"]
    )


def options(composer: Composer, group: str) -> str:
    """The options of a group, each with the first sentence of its file.

    Raises:
        SpecError: there is no such group.
    """
    _check(group, EVERY, "list")
    names = options_of(composer, group)
    width = max(len(name) for name in names)
    lines = []
    for name in names:
        comment = comment_of(text_of(composer, group, name)).first
        lines.append(f"{group}={name:<{width}}  {comment}".rstrip())
    return "\n".join(lines)


def option(composer: Composer, path: str, is_full: bool = False) -> str:
    """What an option is, and its settings with their values, what is allowed, and their meaning.

    Args:
        is_full: whether an option of many settings is explained in full, too.

    Raises:
        SpecError: there is no such group or option.
    """
    group, slash, name = path.partition("/")
    _check(group, EVERY, "help")
    if not slash:
        return options(composer, group)
    known_options = options_of(composer, group)
    verb = f"help {group}"
    _check(name, known_options, verb)
    text = text_of(composer, group, name)
    comment = comment_of(text)
    head = [f"{group}={name}", *_wrapped(comment.whole, ""), *comment.commands]
    if group in OTHERS:
        return "\n".join([*head, "", without_comment(text)])
    node = node_of(composer, group, name)
    if group != "features":
        lines = [*head, "", *_settings(node)]
        if group == "data":
            lines += _of_any_source(node)
        if not is_full and len(lines) > MOST_LINES:
            lines = [*head, "", *_in_short(node, group, f"{group}/{name}")]
        return "\n".join(lines)
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
    path = config.path.removeprefix("file://")
    directory = Path(path)
    return (directory / group / f"{name}.yaml").read_text(encoding="utf-8")


def node_of(composer: Composer, group: str, name: str) -> dict[str, Any]:
    """The settings of an option in a composed spec, not checked, without those of an example."""
    spec, _ = composer.places([f"{group}={name}", "experiment=none"])
    return dict(spec[group])


def _check(name: str, known: tuple[str, ...] | list[str], where: str) -> None:
    if name not in known:
        raise SpecError(f"{where}: {unknown(name, known)}")


def comment_of(text: str) -> Comment:
    """The comment that a file of an option begins with."""
    lines = []
    commands: list[str] = []
    goes_on = False
    for line in text.splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        after_hash = line.removeprefix("#")
        words = after_hash.strip()
        if goes_on:
            commands[-1] += f"\n  {words}"
        elif words.startswith(COMMAND):
            commands.append(words)
        else:
            lines.append(words)
        goes_on = words.endswith("\\")
    first = lines[0] if lines else ""
    sentence = " ".join(lines)
    return Comment(first, sentence, commands)


def without_comment(text: str) -> str:
    """The text without the comment that it begins with."""
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
    return _wrapped(summary(target), "    ")


def _in_short(node: Mapping[str, Any], group: str, path: str) -> list[str]:
    """A line for each setting, and how the rest is printed."""
    target, _ = settings_of(node)
    what = _wrapped(f"{node['_target_']}: {summary(target)}", "")
    lines = [*what, "", *_one_line_each(settings(target, node))]
    if group == "data":
        lines += ["", "Of any source:", "", *_one_line_each(settings(OfAnySource, node))]
        lines += ["", "Tables joined to these data:", ""]
        for role, meaning, own in joined_tables():
            names = ", ".join(setting.name for setting in own)
            lines += _wrapped(f"data.{role}.NAME: {meaning}", "  ")
            lines += _wrapped(names, "      ")
    full = f"{COMMAND} help {path} --full"
    return [*lines, "", f"What is allowed, and each meaning whole: {full}"]


def _one_line_each(settings: Sequence[Setting]) -> list[str]:
    """Each setting with its value and as much of its meaning as a line holds."""
    lines = []
    for setting in settings:
        left = max(INDENT - len(setting.name) - 6, 8)
        shown = shorten(setting.value, left, placeholder=" ...")
        value = f"  {setting.name}: {shown}".ljust(INDENT)
        meaning = shorten(setting.meaning, WIDTH - len(value), placeholder=" ...")
        lines.append(f"{value}{meaning}".rstrip())
    return lines


def _settings(node: Mapping[str, Any]) -> list[str]:
    """The function or class of a node, and each of its settings."""
    target, _ = settings_of(node)
    lines = [f"{node['_target_']}: {summary(target)}", ""]
    every_setting = settings(target, node)
    setting_lines = _lines(every_setting)
    return [*lines, *setting_lines]


def _of_any_source(node: Mapping[str, Any]) -> list[str]:
    """The settings of `data` that every source has, and those of the tables joined to it."""
    lines = ["", "Of any source:", "", *_lines(settings(OfAnySource, node))]
    for role, meaning, own in joined_tables():
        head = f"data.{role}.NAME: {meaning}"
        lines += ["", *_wrapped(head, ""), "", *_lines(own)]
    return lines


def joined_tables() -> list[tuple[str, str, list[Setting]]]:
    """Of each table that is joined to the assets its role, what it is, and its own settings."""
    shared = kinds_of(SeriesTable)
    tables = []
    for role, table in ROLES.items():
        meaning = summary(table)
        own = by_default(table)
        if issubclass(table, SeriesTable) and table is not SeriesTable:
            meaning += " The settings of data.series.NAME, and:"
            own = [setting for setting in own if setting.name not in shared]
        tables.append((role, meaning, own))
    return tables


def by_default(target: Callable[..., Any]) -> list[Setting]:
    """Each setting of a function or class, with its default."""
    values = defaults_of(target)
    if is_dataclass(target):
        for attribute in fields(target):
            if callable(attribute.default_factory):
                values[attribute.name] = attribute.default_factory()
    return settings(target, values)


def settings(target: Callable[..., Any], values: Mapping[str, Any]) -> list[Setting]:
    """Each setting of a function or class, with its value among these.

    The first parameter of a function is no setting: it is the market, the cross-section or the
    study.
    """
    meanings = _described(target)
    kinds = kinds_of(target)
    if not inspect.isclass(target):
        first_kind = next(iter(kinds))
        kinds.pop(first_kind)
    every = []
    for name, kind in kinds.items():
        value = values.get(name, "not given")
        shown = "null" if value is None else str(value)
        words = in_words(kind)
        setting = Setting(name, shown, words, meanings.get(name, ""))
        every.append(setting)
    return every


def _lines(settings: Sequence[Setting]) -> list[str]:
    """Each setting with its value, what is allowed, and its meaning."""
    lines = []
    for setting in settings:
        lines.append(f"  {setting.name}: {setting.value}    (allowed: {setting.allowed})")
        meaning_lines = _wrapped(setting.meaning, "      ")
        lines += meaning_lines
    return lines


def summary(target: Callable[..., Any]) -> str:
    """The first paragraph of the documentation, on one line."""
    text = inspect.getdoc(target) or ""
    return " ".join(text.split("\n\n")[0].split())


def _described(target: Callable[..., Any]) -> dict[str, str]:
    """What the documentation says of each setting, from its `Attributes:` or `Args:`."""
    meanings: dict[str, str] = {}
    for owner in reversed(inspect.getmro(target) if inspect.isclass(target) else (target,)):
        text = inspect.getdoc(owner) or ""
        block = re.search(r"(?:Attributes|Args):\n((?:[ ]{4}.*\n?|\n)*)", text)
        for entry in re.split(r"\n(?=[ ]{4}\S)", block[1] if block else ""):
            names, colon, meaning = entry.strip().partition(": ")
            if colon:
                meanings |= {name.strip(): " ".join(meaning.split()) for name in names.split(",")}
    return meanings


def _wrapped(text: str, indent: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)
