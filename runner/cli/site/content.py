"""What a page of the site holds, before the navigation is put around it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from runner.sinks.markup import Html

NO_WORD = re.compile(r"[^\w\- ]")


class Heading(NamedTuple):
    """A heading within a page, and the anchor by which links reach it."""

    text: str
    anchor: str


class Page(NamedTuple):
    """A page of the site.

    Attributes:
        name: of the file, without its suffix.
        title: what the page is about.
        summary: its first sentence, for lists of pages.
        body: all of it, the title included.
        headings: those of the second level.
    """

    name: str
    title: str
    summary: str
    body: Html
    headings: Sequence[Heading]


def anchor_of(text: str) -> str:
    """The anchor of a heading, as GitHub makes it: small letters, hyphens for spaces."""
    plain = text.strip().lower()
    words = NO_WORD.sub("", plain)
    return words.replace(" ", "-")


def first_sentence(text: str) -> str:
    """Up to the first full stop or colon before a space, on one line, with a full stop."""
    words = text.split()
    line = " ".join(words)
    sentence = re.split(r"(?<=[.:])\s", line, maxsplit=1)[0]
    return sentence.rstrip(".:") + "."
