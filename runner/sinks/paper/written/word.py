"""A regression table as a Word document, by python-docx."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from docx import Document
from docx.enum.section import WD_ORIENT
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt

from runner.sinks.paper.table import RegressionTable, Row
from runner.sinks.paper.written.html import MINUS
from runner.text import shown

FONT = "Times New Roman"
SIZE = 10.0  # points
SMALL = 8.0
WIDE = 6  # columns from which on the page is turned and letters are small
GAP = 3.0  # points below a rule
THICK = 12  # eighths of a point
THIN = 4


def write(table: RegressionTable, path: Path) -> None:
    """Write the title, the table with three rules, and the notes."""
    document: Any = Document()
    columns = len(table.headings)
    style = document.styles["Normal"]
    style.font.name = FONT
    size = SMALL if columns >= WIDE else SIZE
    style.font.size = Pt(size)  # of empty cells too
    if columns >= WIDE:
        _turn(document.sections[0])
    document.core_properties.title = shown(table.title)
    document.core_properties.author = ""
    # the same table gives the same file
    document.core_properties.created = datetime(2000, 1, 1)
    title = document.add_paragraph()
    _add(title, table.title, bold=True)
    rows = list(table.rows())
    heads = _heads(table)
    rows_in_all = len(heads) + len(rows)
    grid = document.add_table(rows_in_all, columns + 1)
    grid.alignment = WD_TABLE_ALIGNMENT.CENTER
    grid.autofit = True
    for line, texts in zip(grid.rows, heads, strict=False):
        _fill(line.cells, ["", *texts], size)
    for line, row in zip(list(grid.rows)[len(heads) :], rows, strict=True):
        _write_row(line.cells, row, size)
    _rule(grid.rows[0].cells, "top", THICK)
    for number, line in enumerate(list(grid.rows)[len(heads) :]):
        if _begins(rows, number):
            _rule(line.cells, "top", THIN)
            for cell in line.cells:
                cell.paragraphs[0].paragraph_format.space_before = Pt(GAP)
    last_row = grid.rows[len(grid.rows) - 1]
    _rule(last_row.cells, "bottom", THICK)
    if table.notes:
        notes = document.add_paragraph()
        notes.paragraph_format.space_before = Pt(2.0 * GAP)
        _add(notes, "Notes: ", size=SMALL, italic=True)
        text = " ".join(table.notes)
        _add(notes, text, size=SMALL)
    document.save(str(path))


def _turn(section: Any) -> None:
    """Lay the page on its side."""
    section.orientation = WD_ORIENT.LANDSCAPE
    width = section.page_width
    section.page_width = section.page_height
    section.page_height = width


def _heads(table: RegressionTable) -> list[list[str]]:
    """The texts of the rows above the estimates."""
    rows = []
    if table.numbered:
        rows.append([heading.number for heading in table.headings])
    if table.named:
        rows.append([heading.name for heading in table.headings])
    return rows


def _begins(rows: Sequence[Row], number: int) -> bool:
    """Whether a rule stands above a row: below the head, above a panel and its last rows."""
    kind = rows[number].kind
    if number == 0 or kind == "panel":
        return True
    return kind == "foot" and rows[number - 1].kind != "foot"


def _write_row(cells: Sequence[Any], row: Row, size: float) -> None:
    """Fill the cells of a printed row."""
    if row.kind == "panel":
        first_cell = cells[0]
        last_cell = cells[-1]
        title = first_cell.merge(last_cell)
        _add(_tight(title), row.label, size=size, italic=True)
        return
    _fill(cells, [row.label, *(MINUS.sub("−", text) for text in row.texts)], size)
    for cell, stars in zip(cells[1:], row.stars, strict=True):
        if stars:
            _add(cell.paragraphs[0], stars, size=size, raised=True)


def _fill(cells: Sequence[Any], texts: Sequence[str], size: float) -> None:
    """Texts into cells: the first to the left, the others centred."""
    for number, (cell, text) in enumerate(zip(cells, texts, strict=True)):
        paragraph = _tight(cell)
        if number:
            paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        _add(paragraph, text, size=size)


def _tight(cell: Any) -> Any:
    """The paragraph of a cell, without space around it."""
    paragraph = cell.paragraphs[0]
    paragraph.paragraph_format.space_before = Pt(0)
    paragraph.paragraph_format.space_after = Pt(0)
    return paragraph


def _add(
    paragraph: Any,
    text: str,
    size: float = SIZE,
    *,
    bold: bool = False,
    italic: bool = False,
    raised: bool = False,
) -> None:
    """Add text, whose names are data: Word takes no control characters."""
    run = paragraph.add_run(shown(text))
    run.font.size = Pt(size)
    run.font.name = FONT
    run.bold = bold
    run.italic = italic
    run.font.superscript = raised or None


def _rule(cells: Sequence[Any], edge: str, width: int) -> None:
    """A rule along an edge of a row."""
    for cell in cells:
        properties = cell._tc.get_or_add_tcPr()
        borders = properties.find(qn("w:tcBorders"))
        if borders is None:
            borders = OxmlElement("w:tcBorders")
            properties.append(borders)
        line = OxmlElement(f"w:{edge}")
        for name, value in {"val": "single", "sz": str(width), "color": "000000"}.items():
            line.set(qn(f"w:{name}"), value)
        borders.append(line)
