"""The account of data as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.sinks.accounts.shown import (
    COLUMNS,
    COVERAGE,
    DROPPED,
    GAPS,
    GROUPS,
    JOINS,
    MOVES,
    UNITS,
    Shown,
    shown,
)
from runner.sinks.markup import (
    Html,
    joined,
    page_of,
    pairs_of,
    paragraphs,
    picture,
    table_of,
    tag,
    tiles_of,
)
from runner.text import percent

if TYPE_CHECKING:
    from runner.data.accounts.account import Account
    from runner.sinks.drawings.hover import Drawn

CAPTIONS = {
    "assets_by_date": "A step down: assets end. A spike down: a date that many assets lack.",
    "coverage": "Dark: every date of the period has a value; white: none has.",
    "returns": "Bars far from all others are moves to look at.",
}
# each section with its pictures and the headings of its tables, in the order in which they are read
SECTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Columns": ((), (COLUMNS, JOINS)),
    "Coverage": (("assets_by_date", "coverage"), (COVERAGE, GAPS)),
    "Returns": (("returns",), (MOVES,)),
    "Units": (("series",), (UNITS,)),
    "Groups": ((), (GROUPS,)),
    "Left out": ((), (DROPPED,)),
}


def write(name: str, account: Account, directory: Path, pictures: Sequence[Drawn]) -> None:
    """Write `directory`/check.html."""
    drawn = {}
    for drawing in pictures:
        stem = drawing.path.stem
        caption = CAPTIONS.get(stem, "")
        drawn[stem] = picture(drawing, caption)
    in_short = paragraphs(account.words)
    in_short_html = joined(*in_short)
    parts = [("In short", in_short_html)]
    if account.notes:
        notes = paragraphs(account.notes)
        notes_html = joined(*notes)
        parts.append(("Notes", notes_html))
    tables = {table.heading: _table(table) for table in shown(account)}
    for heading, (stems, names) in SECTIONS.items():
        content = [drawn[stem] for stem in stems if stem in drawn]
        content += [tables[name] for name in names if name in tables]
        if heading == "Coverage" and account.whole:
            complete = tag("p", "Every asset has a value on every date.")
            content.insert(0, complete)
        parts.append((heading, joined(*content)))
    head = _head(name, account)
    text = page_of(f"Data: {name}", head, parts)
    file = directory / "check.html"
    file.write_text(text, encoding="utf-8")


def _head(name: str, account: Account) -> Html:
    """The title, the first numbers, and where the data is from."""
    coverage = account.coverage
    dates = len(account.by_date)
    assets = len(coverage)
    all_cells = dates * assets
    cells = max(all_cells, 1)
    filled = coverage["values"].sum()
    left_out = account.dropped["rows"].sum()
    tiles = [
        ("dates", f"{dates:,}"),
        ("assets", f"{assets:,}"),
        ("of the asset-dates have a value", percent(filled / cells)),
        ("rows, values or dates left out", f"{left_out:,}"),
    ]
    facts = {
        "Data": account.source,
        "Fingerprint": tag("code", account.fingerprint),
        "Dates": account.span,
        "Calendar": account.calendar,
    }
    rows = [(key, [text]) for key, text in facts.items()]
    pairs = pairs_of(rows, "facts")
    title = tag("h1", f"Data: {name}")
    return tag("header", title, tiles_of(tiles), pairs)


def _table(shown: Shown) -> Html:
    """A table, and what its note says."""
    table = table_of(shown.columns, shown.heading)
    if not shown.note:
        return table
    note = tag("p", shown.note, class_="note")
    return joined(table, note)
