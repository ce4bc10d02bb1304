"""How a file is written: the settings that any table from a file has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a file is written; what is null is recognised by its content.

    Attributes:
        form: long, a row per date and asset; wide, dates x assets.
        delimiter: of a text file: comma, semicolon, tab, bar, spaces or a character; null: by its
            lines.
        decimal: mark of its numbers; null: by its numbers.
        encoding: of its characters, such as cp1252; null: UTF-8 or UTF-16, else cp1252.
        sheet: of an Excel file with several.
        query: of a SQLite or DuckDB file: one SELECT.
        date_format: of the dates, such as %d/%m/%Y, or excel, sas, days, s, ms, us, ns (days and
            units of time since 1900, 1960, 1970); null: the only right reading.
    """

    form: Literal["long", "wide"] | None = None
    delimiter: str | None = None
    decimal: Literal["point", "comma"] | None = None
    encoding: str | None = None
    sheet: str | None = None
    query: str | None = None
    date_format: str | None = None
