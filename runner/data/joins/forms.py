"""A joined table in its file: a row per key, or dates x assets, in the form that the spec says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from runner.data.joins.names import date_column
from runner.data.joins.settings import LabelTable, Table
from runner.data.reading import shapes
from runner.data.reading.files import Files, open_files
from runner.schema.forms import Form

if TYPE_CHECKING:
    import pyarrow as pa

SETTINGS = "|".join(field.name for field in fields(Form))
OF_THE_ASSETS = re.compile(rf"\bdata\.({SETTINGS})\b(?![.\w])")


@dataclass(frozen=True)
class File:
    """The file of a joined table, with a row per key.

    Attributes:
        shown: its path for people.
        names: of its columns.
        load: gives the wanted columns (place in the spec -> column), those of the second argument
            as text.
        notes: sentences on how it was read; more are added while its rows are.
        columns: of a wide table the one column of its cells; else None.
    """

    shown: str
    names: Sequence[str]
    load: Callable[[Mapping[str, str], set[str]], pa.Table]
    notes: list[str]
    columns: str | None = None


def file_of(where: str, settings: Table) -> File:
    """The file of a table; dates x assets as a row per date and asset.

    Raises:
        DataError: no such file, one that is not a table, a wide one without dates.
    """
    files = open_files(f"{where}.path", settings.path, settings)
    if settings.form == "wide":
        return _long(where, settings, files)
    return File(files.shown, files.names, files.load, files.notes)


def _long(where: str, settings: Table, files: Files) -> File:
    """A table of dates x assets with a row per date and asset."""
    date = date_column(where, settings.date, files.names)
    name = settings.columns if isinstance(settings.columns, str) else where.rpartition(".")[2]
    texts = set(files.names) if isinstance(settings, LabelTable) else {date}
    table = files.everything(texts)
    assets = [column for column in files.names if column != date]
    cells = [table[column] for column in assets]
    rows = shapes.stacked(table[date], assets, {name: cells})
    rows = rows.rename_columns([date, shapes.ASSET_COLUMN, name])
    notes = [*files.notes, f"Read as wide: {len(table):,} dates x {len(assets):,} assets."]

    def load(wanted: Mapping[str, str], text: set[str]) -> pa.Table:
        return rows

    return File(files.shown, rows.column_names, load, notes, name)


def of_this_table(where: str, sentence: str) -> str:
    """A sentence on how a file is written, with the settings of this table instead of `data`'s."""
    return OF_THE_ASSETS.sub(rf"{where}.\1", sentence)
