"""Files of more rows than fit into memory: put on disk once, in order of date, and opened there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.compute.memory import GIGABYTE, NUMBER, available
from runner.data.stored.folder import SUFFIX, locked
from runner.data.stored.market import opened
from runner.data.stored.pieces import FilesInPieces
from runner.data.stored.reading import Wanted, put_on_disk
from runner.errors import DataError
from runner.record.identity import digest
from runner.record.secrets import said
from runner.record.version import code_version

if TYPE_CHECKING:
    from runner.data.market import Market
    from runner.data.reading.files import Files
    from runner.data.reading.roles import Roles
    from runner.data.reading.tables import AssetTable

# memory that a table takes while it becomes a market, in its numbers: itself, its fields in order,
# and what is computed on the way
TIMES = 3
OTHERWISE = "data.on_disk=false"


class Settings(NamedTuple):
    """What a spec says of files whose market may be put on disk.

    Attributes:
        on_disk, folder, assets, start, end: see `runner.data.sources.file.File`.
        sessions: whether each day is a session by itself.
        every: all settings that the market is made by.
    """

    on_disk: bool | None
    folder: str
    assets: Sequence[str] | None
    start: str | None
    end: str | None
    sessions: bool
    every: Mapping[str, Any]


def belongs_on_disk(settings: Settings, files: Files, table: AssetTable) -> bool:
    """Whether the market of files is put on disk: as the spec says, or where it would not fit.

    Raises:
        DataError: the spec says so, and it cannot be.
    """
    if settings.on_disk is False:
        return False
    refusal = _refusal(settings, table)
    if settings.on_disk:
        if refusal:
            raise DataError(f"data.on_disk: {refusal}; {OTHERWISE}")
        return True
    there = available()
    return refusal is None and there is not None and _bytes(files, table) > there


def _refusal(settings: Settings, table: AssetTable) -> str | None:
    """Why a market cannot be put on disk; None where it can."""
    if settings.sessions:
        return "given with sessions (data.session), which are read in memory"
    if not table.as_written:
        return "given for a table that is no row per date and asset as it is written"
    return None


def _bytes(files: Files, table: AssetTable) -> int:
    """Bytes that the market takes in memory; none where the files are not read in pieces."""
    columns = {*table.columns.values(), *table.asked} - {None}
    rows = 0
    for number, part in enumerate(files.parts):
        opened = files.opened(number, part)
        if opened.pieces is None:
            return 0
        in_pieces = opened.pieces([])
        rows += sum(size for _, size in in_pieces.pieces)
        in_pieces.close()
    return TIMES * NUMBER * rows * len(columns)


def market_on_disk(settings: Settings, files: Files, table: AssetTable, roles: Roles) -> Market:
    """The market of files that is on disk, put there where it is not.

    Raises:
        DataError: as the files are read in memory; no room on the disk.
    """
    given = roles.given()
    columns = roles.wanted(given)
    text = roles.text_of(columns, roles.readers(given))
    pieces = FilesInPieces(files, roles.read_of(columns), text)
    home = Path(settings.folder) / f"{_key(settings, pieces)}{SUFFIX}"
    market = opened(home)
    if market is None:
        with locked(home):
            market = opened(home)  # another process may have been faster
            if market is None:
                unread = tuple(name for name in table.unread if name not in roles.where)
                source = said(files.shown)
                wanted = Wanted(
                    source, settings.assets, settings.start, settings.end, unread, table.notes
                )
                put_on_disk(pieces, roles, wanted, home)
                market = opened(home)
    if market is None:
        raise DataError(f"data.folder: {str(home)!r} was changed by others while it was written")
    size = sum(path.stat().st_size for path in home.iterdir()) / GIGABYTE
    why = "data.on_disk=true" if settings.on_disk else "it would not fit into memory"
    note = f"The market is on disk, {size:.2g} GB in {str(home)!r} ({why})."
    return replace(market, notes=(*market.notes, note))


def _key(settings: Settings, pieces: FilesInPieces) -> str:
    """The same for two markets if and only if they are made of the same files in the same way."""
    files = [(os.path.realpath(part.path), part.state) for part in pieces.sizes]
    return digest([code_version(), settings.every, files])
