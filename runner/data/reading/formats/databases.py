"""What one query gives of a SQLite or DuckDB file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from runner.compute.memory import GIGABYTE, available
from runner.data.reading.content import Content
from runner.data.reading.formats.opened import Opened, framed, needs, whole
from runner.errors import DataError, listed
from runner.schema.forms import Form
from runner.text import one_line

PART = 10_000  # rows that are taken of an answer at a time
CELL = 64  # bytes of a cell in Python, its letters left out
MOST_CELL = 10_000_000  # bytes of a cell of SQLite
TIMES = 3  # memory that an answer takes until it is read, in its own size


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


def sqlite_file(content: Content, form: Form) -> Opened:
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
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MOST_CELL)
            cursor = connection.execute(query)
            rows = _rows_of(content, cursor)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _failed(error) from error
    names = [column[0] for column in cursor.description or ()]
    frame = pd.DataFrame.from_records(rows, columns=names)
    _refuse_empty(content, names, len(rows))
    return framed(content, "SQLite", frame)


def duckdb_file(content: Content, form: Form) -> Opened:
    """What a query gives of a DuckDB file, which is opened for reading, and no other file with it.

    Raises:
        DataError: no query, one that fails, gives no row or does more than read.
    """
    needs(content, "a DuckDB database", "duckdb", "duckdb")
    import duckdb
    import pyarrow as pa

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
            table = _table_of(content, connection.sql(query).to_arrow_reader())
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise _failed(error) from error
    _refuse_empty(content, table.column_names, len(table))
    return whole(content, "DuckDB", table)


def _rows_of(content: Content, cursor: Any) -> list[Any]:
    """Every row of an answer, as long as there is memory for them.

    Raises:
        DataError: there is not.
    """
    room = available()
    rows: list[Any] = []
    size = 0
    part = cursor.fetchmany(PART)
    while part:
        rows += part
        for row in part:
            size += CELL * len(row)
            size += sum(len(cell) for cell in row if isinstance(cell, str | bytes))
        _refuse_large(content, size, room)
        part = cursor.fetchmany(PART)
    return rows


def _table_of(content: Content, batches: Any) -> Any:
    """The table of the batches of an answer, as long as there is memory for it.

    Raises:
        DataError: there is not.
    """
    import pyarrow as pa

    room = available()
    parts = []
    size = 0
    for batch in batches:
        parts.append(batch)
        size += batch.nbytes
        _refuse_large(content, size, room)
    return pa.Table.from_batches(parts, batches.schema)


def _refuse_large(content: Content, size: int, room: int | None) -> None:
    """Refuse an answer that takes more than its share of the memory that there was.

    Raises:
        DataError: it does.
    """
    if room is None or TIMES * size <= room:
        return
    there = f"there are {room / GIGABYTE:.1f} GB for {TIMES} times that"
    takes = f"data.query: gives {size / GIGABYTE:.1f} GB or more of {content.name!r}"
    raise DataError(f"{takes}; {there}; allowed: a query that gives fewer rows")


def _failed(error: Exception) -> DataError:
    return DataError(
        f"data.query: {one_line(error)}; allowed: one SELECT, which reads and does not write"
    )


def _refuse_empty(content: Content, names: Sequence[str], rows: int) -> None:
    """Refuse the answer of a query with these columns and so many rows.

    Raises:
        DataError: it has no row.
    """
    if not rows:
        given = listed(names)
        raise DataError(f"data.query: gives no row of {content.name!r} (columns {given})")
