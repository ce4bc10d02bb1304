"""The account of data as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.sinks.accounts.shown import Shown, shown
from runner.sinks.markup import (
    Html,
    aligned,
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

CAPTIONS = {
    "assets_by_date": "A step down is assets that end; a spike down, dates that many assets lack.",
    "coverage": "Dark: every date of the period has a value; white: none.",
    "returns": "Counts on a logarithmic scale; the outer bars hold all returns beyond them.",
    "series": "Each on its own scale.",
}
# the section that shows each picture
PLACES = {
    "Longest gaps": ["assets_by_date"],
    "Assets with the fewest values": ["coverage"],
    "Largest moves": ["returns"],
    "Units": ["series"],
}


def write(name: str, account: Account, directory: Path, pictures: list[Path]) -> None:
    """Write `directory`/check.html."""
    drawn = {path.stem: picture(path, CAPTIONS.get(path.stem, "")) for path in pictures}
    parts = [_section("In short", *paragraphs(account.words))]
    if account.notes:
        parts.append(_section("To look at", *paragraphs(account.notes)))
    tables = {table.heading: _table(table) for table in shown(account)}
    for heading, stems in PLACES.items():
        own = [drawn.pop(stem) for stem in stems if stem in drawn]
        if own:
            tables[heading] = joined(*own, tables.get(heading, Html()))
    parts += [_section(heading, content) for heading, content in tables.items()]
    text = page_of(f"Data of {name}", _head(name, account), *parts)
    (directory / "check.html").write_text(text, encoding="utf-8")


def _section(heading: str, *content: Html) -> Html:
    return tag("section", tag("h2", heading), *content)


def _head(name: str, account: Account) -> Html:
    """The title, the first numbers, and where the data is from."""
    coverage = account.coverage
    dates = len(account.by_date)
    cells = max(dates * len(coverage), 1)
    tiles = [
        ("dates", f"{dates:,}"),
        ("assets", f"{len(coverage):,}"),
        ("of the cells (date x asset) have a value", percent(coverage["values"].sum() / cells)),
        ("rows, values or dates left out", f"{account.dropped['rows'].sum():,}"),
    ]
    facts = {
        "Data": account.source,
        "Fingerprint": tag("code", account.fingerprint),
        "Dates": account.span,
        "Calendar": account.calendar,
    }
    listed = [(key, [text]) for key, text in facts.items()]
    return tag("header", tag("h1", f"Data of {name}"), tiles_of(tiles), pairs_of(listed, "facts"))


def _table(shown: Shown) -> Html:
    """A table, its numbers aligned at the point, and what its note says."""
    columns = []
    for column in shown.columns:
        cells = aligned(column.cells) if column.kind == "number" else column.cells
        columns.append(column._replace(cells=cells))
    table = table_of(columns, "")
    if not shown.note:
        return table
    return joined(table, tag("p", shown.note, class_="note"))
