"""The index of the site: every heading, and every name that a table or list explains."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser

from runner.cli.site.content import Page
from runner.sinks.markup import Html, joined, pairs_of, tag

HEADINGS = ("h2", "h3")
LONGEST = 60  # letters of an entry; a longer code is a command
ABOUT = (
    "Every heading, setting, metric, function, error and verb with the pages that explain it. "
    "The box of every page searches their text."
)


class Entries(HTMLParser):
    """Names of a page: its headings, and the code that a row of a table or a list begins with,
    where they begin with a letter.

    Attributes:
        found: name and the anchor of the heading that it stands under, in the order of the page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.anchor = ""
        self.in_code = False
        self.in_heading = False
        self.in_first = False  # the first cell of a row, or the term of a list
        self.words: list[str] = []

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        if name in HEADINGS:
            self.anchor = dict(attrs).get("id") or ""
            self.in_heading = True
            self.words = []
        elif name in ("tr", "dt"):
            self.in_first = True
        elif name == "code" and self.in_first:
            self.in_code = True
            self.words = []

    def handle_endtag(self, name: str) -> None:
        if name in HEADINGS:
            self.in_heading = False
            self._keep()
        elif name in ("td", "th", "dt"):
            self.in_first = False
        elif name == "code" and self.in_code:
            self.in_code = False
            self._keep()

    def handle_data(self, data: str) -> None:
        if self.in_code or self.in_heading:
            self.words.append(data)

    def _keep(self) -> None:
        text = "".join(self.words).strip()
        if text[:1].isalpha() and len(text) <= LONGEST:
            self.found.append((text, self.anchor))


def page_of(pages: Sequence[Page]) -> Page:
    """The index of these pages."""
    places: dict[str, dict[str, Html]] = {}
    for page in pages:
        entries = Entries()
        entries.feed(page.body)
        for text, anchor in entries.found:
            mark = f"#{anchor}" if anchor else ""
            link = tag("a", page.title, href=f"{page.name}.html{mark}")
            places.setdefault(text, {}).setdefault(page.name, link)
    rows = []
    for text in sorted(places, key=str.casefold):
        links: list[str] = []
        for link in places[text].values():
            links += [", ", link]
        rows.append((text, links[1:]))
    body = joined(tag("h1", "Index"), tag("p", ABOUT), pairs_of(rows, "names"))
    return Page("names", "Index", ABOUT, body, [])
