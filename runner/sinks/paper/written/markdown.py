"""A regression table as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from runner.sinks.paper.table import RegressionTable, Row
from runner.text import shown

MARKUP = re.compile(r"([\\`*_{}\[\]#!|~])")


def escaped(text: str) -> str:
    """The text as Markdown that says the same and is no markup, link or picture."""
    plain = text.replace("&", "&amp;")
    plain = plain.replace("<", "&lt;")
    plain = plain.replace(">", "&gt;")
    plain = plain.replace("\n", " ")
    return MARKUP.sub(r"\\\1", plain)


def markdown(table: RegressionTable) -> str:
    """The title, the table with a row for each printed one, and the notes."""
    names = [heading.text for heading in table.headings]
    lines = [f"**{_text(table.title)}**", "", _row(["", *map(_text, names)])]
    rules = [":--", *(":-:" for _ in names)]
    lines.append(_row(rules))
    lines += [_row(_cells(row)) for row in table.rows()]
    if table.notes:
        lines += ["", f"*Notes:* {_text(' '.join(table.notes))}"]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """Text whose names are data."""
    return escaped(shown(text))


def _cells(row: Row) -> list[str]:
    """The cells of a row; the title of a panel is in italics."""
    label = _text(row.label)
    if row.kind == "panel":
        label = f"*{label}*"
    texts = [
        _number(text) + escaped(stars) for text, stars in zip(row.texts, row.stars, strict=True)
    ]
    return [label, *texts]


def _number(text: str) -> str:
    """A number or a choice; brackets about numbers are no links here."""
    if re.fullmatch(r"[-(\[\])\d.,e+ –]*", text):
        return text
    return _text(text)


def _row(cells: Iterable[str]) -> str:
    """Cells between bars."""
    return f"| {' | '.join(cells)} |"
