"""A page of Markdown as HTML: headings get anchors, wide parts scroll by themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from runner.cli.site.content import Heading, Page, anchor_of, first_sentence
from runner.sinks.markup import Html

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

COMMENT = re.compile(r"^<!--.*?-->\n?", flags=re.DOTALL | re.MULTILINE)  # marks for tests
SCROLLING = '<div class="scroll" tabindex="0" role="region" aria-label="{label}">'


def page_of(name: str, text: str) -> Page:
    """The page that a Markdown file holds; its HTML, were there any, is shown as text.

    Args:
        name: of the file, without its suffix.
        text: Markdown, with the title as its only heading of the first level.
    """
    reader = _reader()
    without_comments = COMMENT.sub("", text)
    tokens = reader.parse(without_comments)
    title = ""
    headings = []
    pairs = _headings(tokens)
    for heading, inline in pairs:
        plain = _plain(inline)
        anchor = anchor_of(plain)
        heading.attrSet("id", anchor)
        if heading.tag == "h1":
            title = plain
        elif heading.tag == "h2":
            heading_of_page = Heading(plain, anchor)
            headings.append(heading_of_page)
    _link_pages(tokens)
    body = Html(reader.renderer.render(tokens, reader.options, {}))
    return Page(name, title, _summary(tokens), body, headings)


def _reader() -> MarkdownIt:
    """The parser, with tables, and boxes that scroll around tables and code."""
    from markdown_it import MarkdownIt

    commonmark = MarkdownIt("commonmark", {"html": False})
    reader = commonmark.enable("table")
    renderer: Any = reader.renderer
    fence = renderer.rules["fence"]

    def code(tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return f"{SCROLLING.format(label='Code')}{fence(tokens, index, options, env)}</div>"

    def table_open(tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return f"{SCROLLING.format(label='Table')}<table>"

    def table_close(tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        return "</table></div>"

    renderer.rules.update(fence=code, table_open=table_open, table_close=table_close)
    return reader


def _headings(tokens: Sequence[Token]) -> list[tuple[Token, Token]]:
    """The opening of every heading, and its text."""
    pairs = pairwise(tokens)
    return [(token, following) for token, following in pairs if token.type == "heading_open"]


def _plain(inline: Token) -> str:
    """The text of a line without its markup; where the source breaks it is a space."""
    parts = [child.content if child.type != "softbreak" else " " for child in inline.children or []]
    return "".join(parts)


def _summary(tokens: Sequence[Token]) -> str:
    """The first sentence of the first paragraph."""
    for token, following in pairwise(tokens):
        if token.type == "paragraph_open":
            return first_sentence(_plain(following))
    return ""


def _link_pages(tokens: Sequence[Token]) -> None:
    """Let links to other pages of Markdown reach their HTML."""
    for token in tokens:
        for child in token.children or []:
            address = str(child.attrs.get("href", ""))
            page, mark, anchor = address.partition("#")
            if page.endswith(".md") and ":" not in page:
                child.attrSet("href", f"{page.removesuffix('.md')}.html{mark}{anchor}")
