"""A regression table, and the statistics of the rows fitted on, as parts of a page."""

from __future__ import annotations

import re

from runner.sinks.markup import (
    MOST_ROWS,
    NAMES,
    Column,
    Html,
    aligned,
    box,
    joined,
    tabled,
    tag,
)
from runner.sinks.paper.statistics import MOST_SORTED, Statistics
from runner.sinks.paper.table import RegressionTable, Row
from runner.text import UNKNOWN, count, number

MOST_CORRELATED = 15  # variables whose correlations are shown; the CSV file has all
MINUS = re.compile(r"(?<![\w.)])-(?=\d)")  # of a number, not a hyphen


def html(table: RegressionTable) -> Html:
    """The table with its title as caption, and its notes below."""
    head = [tag("tr", *_headings(table, which)) for which in _heads(table)]
    body = [_row(row, len(table.headings)) for row in table.rows()]
    caption = tag("caption", table.title)
    content = tag("table", caption, tag("thead", *head), tag("tbody", *body), class_="paper")
    parts = [box(content, table.title)]
    if table.notes:
        text = " ".join(table.notes)
        paragraph = tag("p", text, class_="note")
        parts.append(paragraph)
    return joined(*parts)


def _heads(table: RegressionTable) -> list[str]:
    """Which rows the head has: that of numbers, that of names."""
    rows = []
    if table.numbered:
        rows.append("number")
    if table.named:
        rows.append("name")
    return rows


def _headings(table: RegressionTable, which: str) -> list[Html]:
    """The cells of a row of the head."""
    cells = [tag("td", "")]
    for heading in table.headings:
        text = heading.number if which == "number" else heading.name
        cells.append(tag("th", text, scope="col"))
    return cells


def _row(row: Row, columns: int) -> Html:
    """A printed row, its kind as its class."""
    if row.kind == "panel":
        title = tag("th", row.label, scope="rowgroup", colspan=str(columns + 1))
        return tag("tr", title, class_=row.kind)
    cells = [tag("th", row.label, scope="row") if row.label else tag("td", "")]
    for text, stars in zip(row.texts, row.stars, strict=True):
        signed = MINUS.sub("−", text)
        raised = tag("sup", stars) if stars else ""
        cells.append(tag("td", signed, raised))
    return tag("tr", *cells, class_=row.kind)


def statistics_html(statistics: Statistics | None) -> Html:
    """Descriptive statistics and correlations, folded; nothing without."""
    if statistics is None:
        return Html()
    table = statistics.descriptive.head(MOST_ROWS)
    names = table["variable"].tolist()
    size = len(statistics.descriptive)
    variables = Column("variable", names, "text")
    descriptive = [variables]
    for name in table.columns[1:]:
        values = table[name].tolist()
        form = _count if name == "n_obs" else number
        texts = aligned([form(value) for value in values])
        descriptive.append(Column(NAMES.get(name, name), texts))
    shown = [tabled(descriptive, size, "Rows fitted on", "tables/descriptive.csv")]
    if statistics.descriptive["median"].isna().all():
        left_out = f"Quantiles are left out of panels of more than {MOST_SORTED:,} numbers."
        shown.append(tag("p", left_out, class_="note"))
    if size <= MOST_CORRELATED:
        correlations = [variables]
        for at, name in enumerate(names):
            correlations_of_name = statistics.correlations[name].tolist()
            below = correlations_of_name[at:]
            texts = [""] * at + [f"{value:.2f}" if value == value else UNKNOWN for value in below]
            correlations.append(Column(name, texts))
        shown.append(tabled(correlations, size, "Correlations", "tables/correlations.csv"))
    title = f"Descriptive statistics and correlations of {count(size, 'variable')}"
    return tag("details", tag("summary", title), *shown)


def _count(value: float) -> str:
    """A number of rows."""
    return f"{value:,.0f}"
