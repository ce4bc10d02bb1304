"""Which format a file has, told by its first bytes, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from runner.data.reading.content import ZIP, Content
from runner.data.reading.formats.columnar import arrow, arrow_stream, parquet
from runner.data.reading.formats.databases import duckdb_file, sqlite_file
from runner.data.reading.formats.delimited import of_text
from runner.data.reading.formats.opened import Opened
from runner.data.reading.formats.statistics import sas, stata
from runner.data.reading.formats.workbooks import document
from runner.errors import listed
from runner.schema.forms import Form


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
    head = content.head()
    # first: a DuckDB file begins with a checksum, which may be any letters
    for format_ in FORMATS:
        if not format_.begins(head):
            continue
        content.check_form(form, format_.kind)
        with content.as_whole(format_.kind):
            return format_.opened(content, form)
    for kind, begins in STRANGERS.items():
        if head.lstrip().lower().startswith(begins):
            raise content.refuse(f"is {kind}, not a table; allowed: {listed(_kinds())}")
    content.check_form(form, "text")
    return of_text(content, form)


def _kinds() -> list[str]:
    return ["CSV", *(format_.kind for format_ in FORMATS)]


def _any_of(*magics: bytes) -> Callable[[bytes], bool]:
    """Whether a file begins with one of these."""
    return lambda head: head.startswith(magics)


def _is_stata(head: bytes) -> bool:
    """The mark of a new file, or release, byte order and type of an old one."""
    old = head[0] in (104, 105, 108, 110, 111, 113, 114, 115) and head[1:3] in (b"\1\1", b"\2\1")
    return old or head.startswith(b"<stata_dta>")


FORMATS = (
    Format("parquet", _any_of(b"PAR1"), parquet),
    Format("Arrow", _any_of(b"ARROW1\0\0"), arrow),
    Format("Arrow stream", _any_of(b"\xff\xff\xff\xff"), arrow_stream),
    Format("Excel", _any_of(ZIP), document),
    Format("SQLite", _any_of(b"SQLite format 3\0"), sqlite_file),
    Format("DuckDB", lambda head: head[8:12] == b"DUCK", duckdb_file),
    Format("SAS", _any_of(b"\0" * 12 + b"\xc2\xea\x81\x60"), sas),
    Format("Stata", _is_stata, stata),
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
