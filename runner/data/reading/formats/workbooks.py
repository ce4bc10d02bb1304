"""Sheets of Excel files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from io import BytesIO, StringIO
from typing import Any

from runner.compute.memory import available
from runner.data.reading.content import DOCUMENTS, Content, refuse_large
from runner.data.reading.formats.delimited import of_text
from runner.data.reading.formats.opened import Opened, needs
from runner.errors import DataError, listed, unknown
from runner.schema.forms import Form

OF_CELLS = 5  # memory that the cells of an Excel file take, in bytes of its texts


def document(content: Content, form: Form) -> Opened:
    """A sheet of an Excel file, read as the text file that it would be saved as.

    Raises:
        DataError: another document, several sheets, openpyxl missing.
    """
    import zipfile

    with zipfile.ZipFile(BytesIO(content.whole())) as archive:
        names = set(archive.namelist())
        size = sum(member.file_size for member in archive.infolist())
    refuse_large(content, size, OF_CELLS, available())
    kind = next(kind for name, kind in DOCUMENTS.items() if name in names)
    if kind != "Excel":
        raise content.refuse(f"is an {kind} document; allowed: saved as .xlsx or .csv")
    needs(content, "an Excel file", "openpyxl", "excel")
    import openpyxl

    data = BytesIO(content.whole())
    with closing(openpyxl.load_workbook(data, read_only=True, data_only=True)) as book:
        filled = {name: _rows(book[name]) for name in _sheets(content, form, book.sheetnames)}
    filled = {name: rows for name, rows in filled.items() if rows}
    if not filled:
        raise content.refuse("is an Excel file without any cell")
    if len(filled) > 1:
        raise content.refuse(
            f"is an Excel file with the sheets {listed(filled)}; data.sheet={next(iter(filled))!r} "
            "reads the first of them"
        )
    [(sheet, rows)] = filled.items()
    text = StringIO(newline="")
    _write_rows(text, rows)
    saved = replace(content, path=None, data=text.getvalue().encode())
    table = of_text(saved, Form(delimiter="comma", decimal="point", encoding="utf-8"))
    table.notes.insert(0, f"Sheet {sheet!r} of the Excel file is read (data.sheet={sheet!r}).")
    return replace(table, kind="Excel")


def _sheets(content: Content, form: Form, names: Sequence[str]) -> Sequence[str]:
    """The sheets that may be meant.

    Raises:
        DataError: the one asked for is not there.
    """
    if form.sheet is None:
        return names
    if form.sheet not in names:
        raise DataError(f"data.sheet: {unknown(form.sheet, names)} (in {content.name})")
    return [form.sheet]


def _rows(sheet: Any) -> list[list[Any]]:
    """The cells of a sheet, without empty ones at the end of a row and blank rows at its end."""
    rows = []
    for cells in sheet.iter_rows(values_only=True):
        row = list(cells)
        while row and row[-1] in (None, ""):
            row.pop()
        rows.append(row)
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _write_rows(text: StringIO, rows: Sequence[list[Any]]) -> None:
    """The rows as lines of a text file; those with a date or a number first have all columns."""
    import csv

    width = max(map(len, rows))
    writer = csv.writer(text, lineterminator="\n")
    for number, row in enumerate(rows):
        alone = len(row) < 2 and not (row and isinstance(row[0], int | float | datetime))
        # in the middle of a table it may be the name of the index, below two rows of names
        around = [*map(len, rows[number - 1 : number]), *map(len, rows[number + 1 : number + 2])]
        alone &= not row or len(around) < 2 or min(around) < 2
        missing = 0 if alone else width - len(row)
        cells = [*row, *[None] * missing]
        writer.writerow(["" if cell is None else cell for cell in cells])
