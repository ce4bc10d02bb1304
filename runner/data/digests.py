"""Digests of data: equal numbers, dates and names give equal digests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from runner.data.columns.column import Column
from runner.data.columns.listings import digest_of_numbers, names_of, new_digest
from runner.data.columns.long import LongColumn
from runner.data.columns.wide import WideColumn
from runner.data.fields import FULL, Fields
from runner.data.labels import Groups
from runner.data.stored.columns import StoredColumn
from runner.data.stored.folder import remembered
from runner.data.stored.labels import StoredLabels

SOME = 64  # rows that are digested at a time
WAY = 3  # how digests are made; what a folder keeps of another way is made anew


def digest_of(
    fields: Fields,
    frames: Iterable[tuple[str, pd.DataFrame]],
    dates: pd.DatetimeIndex,
    grouping: Groups,
    members: str | None,
    full: float = FULL,
) -> str:
    """The digest of fields, frames (T, F) by name, their dates and the labels of the assets.

    It is the same whether a field is long, wide or on disk; that of a market on disk is kept there.

    Args:
        members: the label that the assets of a panel have; None: all assets.
        full: share of the cells with a value, from which on all cells of a field are digested;
            below, those that have one. Earlier versions digested all cells (0).
    """
    frames = list(frames)

    def made() -> str:
        return _digest_of(fields, frames, dates, grouping, members, full)

    home = _folder_of(fields, grouping)
    if home is None:
        return made()
    key = blake2b(digest_size=16)
    for name, column in sorted(fields.columns.items(), key=itemgetter(0)):
        if not isinstance(column, StoredColumn):
            continue  # there is none
        key.update(repr((name, column.file, full, WAY)).encode())
        if column.changed is not None:
            key.update(np.ascontiguousarray(column.changed.position).data)
            key.update(_same_bits(column.changed.values))
    labels = Groups(grouping.fixed, {})
    key.update(_digest_of(Fields({}), frames, dates, labels, members, full).encode())
    key.update(repr(sorted(grouping.by_date)).encode())
    return remembered(home, key.hexdigest(), made)


def _folder_of(fields: Fields, grouping: Groups) -> Path | None:
    """The folder that all fields and labels of the date are on disk in; None where some are not."""
    columns = [*fields.columns.values(), *grouping.by_date.values()]
    folders = set()
    for column in columns:
        if not isinstance(column, StoredColumn | StoredLabels) or column.file is None:
            return None
        folders.add(column.folder)
    return folders.pop() if len(folders) == 1 else None


def _digest_of(
    fields: Fields,
    frames: Iterable[tuple[str, pd.DataFrame]],
    dates: pd.DatetimeIndex,
    grouping: Groups,
    members: str | None,
    full: float,
) -> str:
    """The digest, computed of every number."""
    digest = blake2b(digest_size=16)
    by_name = sorted(fields.columns.items(), key=itemgetter(0))
    assets = names_of(fields.assets) if by_name else []
    for name, column in by_name:
        if column.share < full:
            _feed_cells(digest.update, name, column, assets)
        else:
            _feed_all_cells(digest.update, name, column, len(dates), assets)
    for name, frame in frames:
        names = names_of(frame.columns)
        _feed_all_cells(digest.update, name, WideColumn(frame), len(dates), names)
    moments = dates.as_unit("us").asi8
    digest.update(np.ascontiguousarray(moments).data)
    fixed = grouping.fixed.to_csv()
    digest.update(fixed.encode())
    for name, labels in sorted(grouping.by_date.items()):
        digest.update(repr((name, labels.values)).encode())
        for block in labels.blocks(SOME):
            digest.update(np.ascontiguousarray(block).data)
    if members is not None:
        digest.update(repr(("members", members)).encode())
    return digest.hexdigest()


def _feed_all_cells(
    update: Callable[[Any], None], name: str, column: Column, rows: int, columns: list[str]
) -> None:
    """Feed the name, the shape (rows, columns), the columns and every number to a digest."""
    width = len(columns)
    shape = (rows, width)
    update(repr((name, shape, columns)).encode())
    for block in column.blocks(SOME):
        update(_same_bits(block))


def _feed_cells(
    update: Callable[[Any], None], name: str, column: Column, assets: list[str]
) -> None:
    """Feed the name, the cells that have a value and their numbers to a digest."""
    update(repr(name).encode())
    if isinstance(column, LongColumn):
        update(_cells_of(column, assets) if column.missing else column.listings.digest)
        update(column.digest)
    else:
        update(_cells_of(column, assets))
        update(digest_of_numbers(column.parts()))


def _cells_of(column: Column, assets: Sequence[str]) -> bytes:
    """The digest of the cells in which a field has a value, whichever way it is held."""
    N = len(assets)
    digest = new_digest(assets)
    for first, stretch in column.stretches():
        position = stretch.cells().position
        if first:
            position = position + first * N
        digest.update(np.ascontiguousarray(position).data)
    return digest.digest()


def _same_bits(values: np.ndarray) -> memoryview:
    """The bytes of numbers: the bits of NaN differ by origin, and so do those of -0.0."""
    numbers = np.add(values, 0.0, dtype=float, order="C")
    missing = np.isnan(numbers)
    if missing.any():
        numbers[missing] = np.nan
    return numbers.data
