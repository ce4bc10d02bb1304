"""Functions and classes of the package as HTML: what each is, and its settings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from runner.cli.catalogue import Setting, by_default
from runner.cli.site.content import Heading, Page, anchor_of, first_sentence
from runner.sinks.markup import Html, box, joined, pairs_of, tag

# where the sections of a docstring begin; what is above them is prose
SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$", flags=re.MULTILINE)
Part = tuple[str, Html]  # heading and content
EMPTY = Html()


def page_of(
    name: str, title: str, about: str, parts: Iterable[Part] = (), lead: Html = EMPTY
) -> Page:
    """A page of sections, each of which has an anchor.

    Args:
        name: of the file, without its suffix.
        about: a paragraph below the title.
        lead: what stands above the sections.
    """
    body = [tag("h1", title), tag("p", prose(about)), lead]
    headings = []
    for heading, content in parts:
        anchor = anchor_of(heading)
        heading_of_section = Heading(heading, anchor)
        headings.append(heading_of_section)
        body += [tag("h2", heading, id=anchor), content]
    return Page(name, title, first_sentence(about), joined(*body), headings)


def described(target: Callable[..., Any], path: str) -> Html:
    """What a function or class is, and each of its settings with its default.

    Args:
        path: how a spec names it.
    """
    own = by_default(target)
    named = tag("p", tag("code", f"_target_: {path}"))
    return joined(named, *paragraphs_of(target), settings_list(own))


def paragraphs_of(target: Callable[..., Any]) -> list[Html]:
    """The prose of the documentation of a function or class."""
    text = inspect.getdoc(target) or ""
    parts = SECTION.split(text)
    above = parts[0]
    return [tag("p", prose(paragraph)) for paragraph in above.split("\n\n") if paragraph.strip()]


def settings_list(every: Sequence[Setting]) -> Html:
    """Names on the left; on the right what each means, its default, and what is allowed."""
    rows = []
    for setting in every:
        meaning_html = prose(setting.meaning)
        meaning = tag("p", meaning_html)
        words = f"default: {setting.value}; allowed: {setting.allowed}"
        name = tag("code", setting.name)
        note = tag("p", words, class_="note")
        rows.append((name, [meaning, note]))
    return pairs_of(rows, "settings") if rows else EMPTY


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], label: str) -> Html:
    """A table whose first column is code."""
    head = tag("tr", *(tag("th", heading, scope="col") for heading in headings))
    body = []
    for first, *others in rows:
        cells = [tag("td", prose(text)) for text in others]
        first_cell = tag("td", tag("code", first))
        row = tag("tr", first_cell, *cells)
        body.append(row)
    return box(tag("table", tag("thead", head), tag("tbody", *body)), label)


def of_names(package: str, values: Mapping[str, Any]) -> list[Part]:
    """A section for each public function or class of a package that a spec may name."""
    return [(name, described(value, f"{package}.{name}")) for name, value in values.items()]


def prose(text: str) -> Html:
    """A paragraph on one line, with what stands between backticks as code."""
    pieces = " ".join(text.split()).split("`")
    parts = []
    for number, piece in enumerate(pieces):
        is_code = number % 2 == 1
        parts.append(tag("code", piece) if is_code else piece)
    return joined(*parts)


def code(text: str, label: str, language: str) -> Html:
    """A block of code, whose long lines break."""
    return box(tag("pre", tag("code", text, class_=f"language-{language}")), label)
