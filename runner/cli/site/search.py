"""The search of the site: its sections as text inside one page, and a small script that looks."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

from runner.cli.site.content import Page
from runner.sinks.markup import Html, joined, tag

NAME = "search"
ABOUT = "Sections that hold every word, those with it in their heading first."
WITHOUT_SCRIPT = "The search needs JavaScript; without it, the index has every name: "
HEADINGS = ("h1", "h2", "h3")
BLOCKS = ("p", "li", "dt", "dd", "th", "td", "pre", "h4")  # whose texts are apart
SCRIPT = (Path(__file__).parent / "search.js").read_text(encoding="utf-8")


class Sections(HTMLParser):
    """The text of a page by section.

    Attributes:
        found: heading, anchor and text of each section, in the order of the page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, list[str]]] = []
        self.heading: list[str] | None = None  # words of the one that is read
        self.anchor = ""

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        if name in HEADINGS:
            self.heading = []
            self.anchor = dict(attrs).get("id") or ""

    def handle_endtag(self, name: str) -> None:
        if name in HEADINGS and self.heading is not None:
            text = "".join(self.heading).strip()
            self.found.append((text, self.anchor, []))
            self.heading = None
        elif name in BLOCKS and self.found:
            self.found[-1][2].append(" ")

    def handle_data(self, data: str) -> None:
        if self.heading is not None:
            self.heading.append(data)
        elif self.found:
            self.found[-1][2].append(data)


def box() -> Html:
    """The box that opens the search from any page."""
    field = '<input type="search" name="q" placeholder="Search" aria-label="Search these pages">'
    return Html(f'<form action="{NAME}.html" role="search">{field}</form>')


def page_of(pages: Sequence[Page]) -> Page:
    """The page that searches these."""
    sections = []
    for page in pages:
        parser = Sections()
        parser.feed(page.body)
        for heading, anchor, words in parser.found:
            title = page.title if heading == page.title else f"{page.title}: {heading}"
            mark = f"#{anchor}" if anchor else ""
            text = " ".join("".join(words).split())
            sections.append((title, f"{page.name}.html{mark}", text))
    body = joined(
        tag("h1", "Search"),
        tag("p", ABOUT),
        box(),
        tag("p", "", id="said", class_="note", role="status"),
        tag("ul", id="results"),
        tag("noscript", tag("p", WITHOUT_SCRIPT, tag("a", "Index", href="names.html"), ".")),
        _data(sections),
        Html(f"<script>{SCRIPT}</script>"),
    )
    return Page(NAME, "Search", ABOUT, body, [])


def _data(sections: Sequence[tuple[str, str, str]]) -> Html:
    """The sections inside the page, where no text ends the element that holds them."""
    text = json.dumps(sections, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return Html(f'<script type="application/json" id="sections">{text}</script>')


def allowed(text: str) -> str:
    """The page, its policy with the one script that may run."""
    digest = b64encode(sha256(SCRIPT.encode()).digest()).decode("ascii")
    policy = "default-src 'none';"
    return text.replace(policy, f"{policy} script-src 'sha256-{digest}';", 1)
