"""Formats of files, each told by its first bytes, and how a file of it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.data.reading.content import DOCUMENTS, WESTERN, ZIP, Content
from runner.data.reading.dates import of_stata
from runner.data.reading.delimited.layout import layout_of, on_marks
from runner.data.reading.delimited.text import Text
from runner.data.reading.usual import index_first, levels
from runner.errors import DataError, listed, unknown
from runner.schema.forms import Form
from runner.text import one_line

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Opened:
    """A table whose columns are known, and whose rows are still to be read.

    Attributes:
        content: its file.
        kind: name of the format.
        names: of its columns, as written; text without spaces around it finds them.
        columns: gives the columns at some positions, those of the second argument as text;
            sentences on what is found while reading go into the third.
        upper: names above those of the columns, where the header has two rows.
        notes: sentences on how the file was read; more are added while its rows are.
        again: opens a file that begins like this one without recognising it anew; gives None where
            it begins otherwise.
        text: how a text file is cut into columns; None of other files.
    """

    content: Content
    kind: str
    names: list[str]
    columns: Callable[[Sequence[int], Sequence[int], list[str]], pa.Table]
    upper: Sequence[str] = ()
    notes: list[str] = field(default_factory=list)
    again: Callable[[Content], Opened | None] | None = None
    text: Text | None = None

    def load(self, at: Sequence[int], text: Sequence[int] = ()) -> pa.Table:
        """The columns at these positions; their names in the table say nothing.

        Args:
            text: positions among them that are read as text (of a text file).

        Raises:
            DataError: the file is not whole, has no row, or changes while it is read.
        """
        import pyarrow as pa

        content = self.content
        before = content.state()
        try:
            table = self.columns(at, text, self.notes)
        except (pa.ArrowException, ValueError, EOFError, OSError) as error:
            reason = f"is not a whole {self.kind} file: {one_line(error)}"
            raise content.refuse(reason) from error
        content.check_unchanged(before)
        if not len(table):
            raise content.refuse("has columns but no row")
        return table


PERIODS_OF_PANDAS = b"pandas.period"


class Format(NamedTuple):
    """A format of files.

    Attributes:
        kind: its name.
        begins: whether a file begins like one.
        opened: opens it.
    """

    kind: str
    begins: Callable[[bytes], bool]
    opened: Callable[[Content, Form], Opened]


def opened(content: Content, form: Form) -> Opened:
    """A file with its columns known, whatever its format.

    Raises:
        DataError: not a table, or not a whole one.
    """
    import pyarrow as pa

    head = content.head()
    for kind, begins in STRANGERS.items():
        if head.lstrip().lower().startswith(begins):
            raise content.refuse(f"is {kind}, not a table; allowed: {listed(_kinds())}")
    for format_ in FORMATS:
        if not format_.begins(head):
            continue
        content.check_form(form, format_.kind)
        try:
            return format_.opened(content, form)
        except (pa.ArrowException, ValueError, EOFError, OSError, KeyError) as error:
            reason = f"is not a whole {format_.kind} file: {one_line(error)}"
            raise content.refuse(reason) from error
    content.check_form(form, "text")
    return _text(content, form)


def _kinds() -> list[str]:
    return ["CSV", *(format_.kind for format_ in FORMATS)]


def _text(content: Content, form: Form) -> Opened:
    """A text file with delimiters."""
    layout = layout_of(content, form)
    text = Text(content, form, layout)

    def again(other: Content) -> Opened | None:
        alike = text.again(other)
        return Opened(other, "CSV", layout.names, alike.load, text=alike) if alike else None

    notes = on_marks(layout, form)
    if layout.preamble:
        lines = "1 line" if layout.preamble == 1 else f"{layout.preamble} lines"
        notes.append(f"{lines} above the names of the columns are not read.")
    if layout.encoding == WESTERN and form.encoding is None:
        notes.append(text.on_encoding())
    return Opened(content, "CSV", layout.names, text.load, layout.upper, notes, again, text)


def _parquet(content: Content, form: Form) -> Opened:
    """A parquet file; text comes as codes into its distinct values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # as pandas writes text, too
    words = (pa.string(), pa.large_string())

    def source() -> Any:
        return content.path if content.path is not None else pa.BufferReader(content.data)

    with pq.ParquetFile(source()) as file:
        schema = file.schema_arrow
    if any(PERIODS_OF_PANDAS in (field.metadata or {}).values() for field in schema):
        import pandas.core.arrays.arrow.extension_types  # noqa: F401 pyarrow knows them from then

    order = index_first(schema)

    def columns(at: Sequence[int], text: Sequence[int], notes: list[str]) -> pa.Table:
        names = [order[position] for position in at]
        texts = [order[position] for position in text]
        coded = [name for name in texts if schema.field(name).type in words]
        with pq.ParquetFile(source(), read_dictionary=coded) as file:
            return file.read(columns=names).select(names)

    upper, lower = levels(order)
    return Opened(content, "parquet", lower, columns, upper)


def _arrow(content: Content, form: Form) -> Opened:
    """An Arrow file, which Feather files are too."""
    import pyarrow as pa

    with pa.ipc.open_file(content.stream()) as file:
        names = file.schema.names

    def columns(at: Sequence[int], text: Sequence[int], notes: list[str]) -> pa.Table:
        with pa.ipc.open_file(content.stream()) as file:
            return file.read_all().select(list(at))

    return Opened(content, "Arrow", names, columns)


def _arrow_stream(content: Content, form: Form) -> Opened:
    """A stream of Arrow batches in a file."""
    import pyarrow as pa

    with pa.ipc.open_stream(content.stream()) as stream:
        return _whole(content, "Arrow", stream.read_all())


def _whole(content: Content, kind: str, table: pa.Table) -> Opened:
    """A file that is read at once."""

    def columns(at: Sequence[int], text: Sequence[int], notes: list[str]) -> pa.Table:
        return table.select(list(at))

    return Opened(content, kind, table.column_names, columns)


def _framed(content: Content, kind: str, frame: pd.DataFrame) -> Opened:
    """A file that pandas reads."""
    import pyarrow as pa

    return _whole(content, kind, pa.Table.from_pandas(frame, preserve_index=False))


def _stata(content: Content, form: Form) -> Opened:
    """A Stata file; months, quarters and years are dated by their last day, as of any file."""
    from pandas.io.stata import StataReader

    with StataReader(BytesIO(content.whole())) as reader:
        frame = reader.read()
        formats = dict(zip(reader._varlist, reader._fmtlist, strict=True))
    notes = of_stata(frame, formats)
    return replace(_framed(content, "Stata", frame), notes=notes)


def _sas(content: Content, form: Form) -> Opened:
    import pandas as pd

    data = BytesIO(content.whole())
    return _framed(content, "SAS", pd.read_sas(data, format="sas7bdat", encoding="infer"))


def _needs(content: Content, kind: str, package: str, extra: str) -> None:
    """Whether the package that reads a format is installed.

    Raises:
        DataError: it is not, with the command that installs it.
    """
    if find_spec(package) is None:
        raise content.refuse(
            f"is {kind}, which {package} reads; pip install 'factor-runner[{extra}]' installs it"
        )


def _document(content: Content, form: Form) -> Opened:
    """A sheet of an Excel file, read as the text file that it would be saved as.

    Raises:
        DataError: another document, several sheets, openpyxl missing.
    """
    import zipfile

    with zipfile.ZipFile(BytesIO(content.whole())) as archive:
        names = set(archive.namelist())
    kind = next(kind for name, kind in DOCUMENTS.items() if name in names)
    if kind != "Excel":
        raise content.refuse(f"is an {kind} document; allowed: saved as .xlsx or .csv")
    _needs(content, "an Excel file", "openpyxl", "excel")
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
    table = _text(saved, Form(delimiter="comma", decimal="point", encoding="utf-8"))
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


def _query(content: Content, form: Form, kind: str, tables: Sequence[str]) -> str:
    """The query of a database file.

    Raises:
        DataError: none is given.
    """
    if form.query is not None:
        return form.query
    first = tables[0] if tables else "TABLE"
    example = f"data.query='select * from {first}'"  # noqa: S608 a hint, which is not run
    raise content.refuse(
        f"is a {kind} database with the tables {listed(tables)}; {example} reads one"
    )


def _sqlite(content: Content, form: Form) -> Opened:
    """What a query gives of an SQLite file, which is opened for reading alone.

    Raises:
        DataError: no query, one that fails, gives no row or does more than read.
    """
    import sqlite3

    import pandas as pd

    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
    allowed.add(sqlite3.SQLITE_RECURSIVE)

    def authorise(action: int, *names: str | None) -> int:
        return sqlite3.SQLITE_OK if action in allowed else sqlite3.SQLITE_DENY

    if content.path is None:
        raise content.refuse(
            "is an SQLite file within another; allowed: one on this disk, as it is"
        )
    address = f"{content.path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        listing = "select name from sqlite_master where type in ('table', 'view') order by name"
        try:
            tables = [str(name) for (name,) in connection.execute(listing)]
            query = _query(content, form, "SQLite", tables)
            connection.set_authorizer(authorise)
            cursor = connection.execute(query)
            rows = cursor.fetchall()
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _failed(error) from error
    names = [column[0] for column in cursor.description or ()]
    frame = pd.DataFrame.from_records(rows, columns=names)
    return _answer(content, "SQLite", names, len(rows), partial(_framed, content, "SQLite", frame))


def _duckdb(content: Content, form: Form) -> Opened:
    """What a query gives of a DuckDB file, which is opened for reading, and no other file with it.

    Raises:
        DataError: no query, one that fails, gives no row or does more than read.
    """
    _needs(content, "a DuckDB database", "duckdb", "duckdb")
    import duckdb

    if content.path is None:
        raise content.refuse("is a DuckDB file within another; allowed: one on this disk, as it is")
    closed: dict[str, Any] = {"enable_external_access": "false", "lock_configuration": "true"}
    try:
        connection = duckdb.connect(str(content.path), read_only=True, config=closed)
    except duckdb.Error as error:
        raise content.refuse(f"is not a whole DuckDB file: {one_line(error)}") from error
    with closing(connection):
        tables = [str(row[0]) for row in connection.execute("show tables").fetchall()]
        query = _query(content, form, "DuckDB", tables)
        try:
            statements = duckdb.extract_statements(query)
            if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
                raise DataError("data.query: allowed: one SELECT, which reads and does not write")
            table = connection.sql(query).to_arrow_table()
        except duckdb.Error as error:
            raise _failed(error) from error
    opened_table = partial(_whole, content, "DuckDB", table)
    return _answer(content, "DuckDB", table.column_names, len(table), opened_table)


def _failed(error: Exception) -> DataError:
    return DataError(
        f"data.query: {one_line(error)}; allowed: one SELECT, which reads and does not write"
    )


def _answer(
    content: Content, kind: str, names: Sequence[str], rows: int, table: Callable[[], Opened]
) -> Opened:
    """What a query gave.

    Raises:
        DataError: no row.
    """
    if not rows:
        given = listed(names)
        raise DataError(f"data.query: gives no row of {content.name!r} (columns {given})")
    return table()


def _any_of(*magics: bytes) -> Callable[[bytes], bool]:
    """Whether a file begins with one of these."""
    return lambda head: head.startswith(magics)


def _is_stata(head: bytes) -> bool:
    """The mark of a new file, or release, byte order and type of an old one."""
    old = head[0] in (104, 105, 108, 110, 111, 113, 114, 115) and head[1:3] in (b"\1\1", b"\2\1")
    return old or head.startswith(b"<stata_dta>")


FORMATS = (
    Format("parquet", _any_of(b"PAR1"), _parquet),
    Format("Arrow", _any_of(b"ARROW1\0\0"), _arrow),
    Format("Arrow stream", _any_of(b"\xff\xff\xff\xff"), _arrow_stream),
    Format("Excel", _any_of(ZIP), _document),
    Format("SQLite", _any_of(b"SQLite format 3\0"), _sqlite),
    Format("DuckDB", lambda head: head[8:12] == b"DUCK", _duckdb),
    Format("SAS", _any_of(b"\0" * 12 + b"\xc2\xea\x81\x60"), _sas),
    Format("Stata", _is_stata, _stata),
)
# what people give by mistake, in lower case
STRANGERS: Mapping[str, tuple[bytes, ...]] = {
    "a picture": (b"\x89png", b"\xff\xd8\xff", b"gif8"),
    "a web page": (b"<!doctype html", b"<html"),
    "an XML file": (b"<?xml",),
    "a PDF file": (b"%pdf",),
    "JSON": (b"{", b"[{", b"[\n"),
    "a pickle, which may run any code": (b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    "an HDF5 file": (b"\x89hdf",),
    "an Excel file of before 2007": (b"\xd0\xcf\x11\xe0",),
    "R data": (b"rdx2", b"rdx3", b"rda3", b"x\n\0\0\0"),
}
