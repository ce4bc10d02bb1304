"""Pages of the groups of a spec: every option with its file, and the settings behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runner.cli.catalogue import (
    EVERY,
    OTHERS,
    by_default,
    comment_of,
    joined_tables,
    options_of,
    text_of,
    without_comment,
)
from runner.cli.composition import Composer
from runner.cli.site.content import Page, anchor_of
from runner.cli.site.described import Part, code, described, page_of, prose, settings_list
from runner.data.joins.settings import OfAnySource
from runner.experiment.nodes import resolve
from runner.sinks.markup import Html, joined, tag
from runner.sweeps.settings import Sweep

ABOUT = {
    "data": "Where the data come from, `data=OPTION`. What every source takes beside its own "
    "settings, and the tables joined to it, stand at the end.",
    "features": "What the target is regressed on, `features=OPTION`: a mapping from the name of a "
    "column to a function, or to an expression.",
    "target": "What is explained or forecast, `target=OPTION`.",
    "model": "How it is estimated, `model=OPTION`. Most options are one class with other settings.",
    "validation": "Which rows are held out, `validation=OPTION`.",
    "experiment": "A whole spec by its name, `experiment=OPTION`: options of the groups and "
    "settings of its own. Overrides beside it come last.",
    "executor": "Who computes: the jobs of a sweep, `executor=OPTION`.",
    "sweep": "How `-m` varies and runs a spec, `sweep=OPTION`.",
}
NAMED = re.compile(r"_target_: ([\w.]+)")
DEFAULTS = re.compile(r"^defaults: \[(\w+)\]", flags=re.MULTILINE)


def pages(composer: Composer) -> list[Page]:
    """A page for each group."""
    return [_group(composer, group) for group in EVERY]


def _group(composer: Composer, group: str) -> Page:
    texts = {name: text_of(composer, group, name) for name in options_of(composer, group)}
    parts = []
    for name in texts:
        parts.append((f"{group}={name}", _option(group, name, texts)))
    if group == "features":
        return page_of(f"group-{group}", group, ABOUT[group], parts)
    if group == "data":
        parts += [*_classes(texts), *_of_any_source()]
    elif group == "sweep":
        parts.append(("Settings of a sweep", settings_list(by_default(Sweep))))
    elif group not in OTHERS:
        parts += _classes(texts)
    return page_of(f"group-{group}", group, ABOUT[group], parts)


def _option(group: str, name: str, texts: Mapping[str, str]) -> Html:
    """What an option is, its file, and where its settings are described.

    Args:
        texts: the file of every option of the group.
    """
    text = texts[name]
    comment = comment_of(text)
    file = code(without_comment(text).strip(), f"{group}={name}", "yaml")
    about = prose(comment.whole)
    paragraph = tag("p", about)
    shown = joined(paragraph, file)
    if comment.commands:
        shown = joined(shown, code("\n".join(comment.commands), f"Commands of {name}", "sh"))
    if group in OTHERS:
        return shown
    links = []
    for path in _named(name, texts):
        place = "functions.html" if group == "features" else ""
        parts = path.rpartition(".")
        short = parts[2]
        links += [" ", tag("a", short, href=f"{place}#{anchor_of(short)}")]
    return joined(shown, tag("p", "Settings:", *links)) if links else shown


def _named(name: str, texts: Mapping[str, str]) -> list[str]:
    """What an option names by `_target_`, or the option that it begins from."""
    text = texts[name]
    uncommented = re.sub(r"#.*", "", text)
    named = NAMED.findall(uncommented)
    below = DEFAULTS.search(text)
    if not named and below:
        return _named(below[1], texts)
    return list(dict.fromkeys(named))


def _classes(texts: Mapping[str, str]) -> Sequence[Part]:
    """What the options of a group name, each once."""
    every: dict[str, None] = {}
    for name in texts:
        names = _named(name, texts)
        every |= dict.fromkeys(names)
    parts = []
    for path in every:
        parts_of_path = path.rpartition(".")
        short = parts_of_path[2]
        parts.append((short, described(resolve(path, ()), path)))
    return parts


def _of_any_source() -> list[Part]:
    """Settings of `data` that every source has, and those of the tables joined to it."""
    settings_of_any = settings_list(by_default(OfAnySource))
    parts = [("Any source", settings_of_any)]
    for role, meaning, of_table in joined_tables():
        meaning_html = prose(meaning)
        about = tag("p", meaning_html)
        parts.append((f"data.{role}.NAME", joined(about, settings_list(of_table))))
    return parts
