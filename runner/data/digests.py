"""Digests of data: equal numbers, dates and names give equal digests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from runner.data.fields import FULL, Column, Fields
from runner.data.labels import Groups

SOME = 64  # rows that are digested at a time


def digest_of(
    fields: Fields,
    frames: Iterable[tuple[str, pd.DataFrame]],
    dates: pd.DatetimeIndex,
    grouping: Groups,
    members: str | None,
) -> str:
    """The digest of fields, frames (T, F) by name, their dates and the labels of the assets.

    It is the same whether a field is long or wide.

    Args:
        members: the label that the assets of a panel have; None: all assets.
    """
    digest = blake2b(digest_size=16)
    by_name = sorted(fields.columns.items(), key=itemgetter(0))
    assets = _names_of(fields.assets) if by_name else []
    for name, column in by_name:
        if column.share < FULL:
            _feed_cells(digest.update, name, column, assets)
        else:
            _feed_frame(digest.update, name, column.frame, assets)
    for name, frame in frames:
        _feed_frame(digest.update, name, frame, _names_of(frame.columns))
    moments = dates.as_unit("us").asi8
    digest.update(np.ascontiguousarray(moments).data)
    digest.update(grouping.fixed.to_csv().encode())
    for name, labels in sorted(grouping.by_date.items()):
        digest.update(repr((name, labels.values)).encode())
        digest.update(np.ascontiguousarray(labels.codes).data)
    if members is not None:
        digest.update(repr(("members", members)).encode())
    return digest.hexdigest()


def _names_of(columns: pd.Index) -> list[str]:
    return [str(column) for column in columns.to_numpy(dtype=object)]


def _feed_frame(
    update: Callable[[Any], None], name: str, frame: pd.DataFrame, columns: list[str]
) -> None:
    """Feed the name, the columns and every number of a frame to a digest."""
    update(repr((name, frame.shape, columns)).encode())
    cells = frame.to_numpy(dtype=float)
    for first in range(0, len(cells), SOME):
        update(_same_bits(cells[first : first + SOME]))


def _feed_cells(
    update: Callable[[Any], None], name: str, column: Column, assets: list[str]
) -> None:
    """Feed the name, the assets and the cells that have a value to a digest."""
    update(repr((name, assets)).encode())
    cells = column.cells()
    update(np.ascontiguousarray(cells.position).data)
    update(_same_bits(cells.values))


def _same_bits(values: np.ndarray) -> memoryview:
    """The bytes of numbers: the bits of NaN differ by origin, and so do those of -0.0."""
    numbers = np.array(values, order="C")
    numbers[np.isnan(numbers)] = np.nan
    numbers += 0.0
    return numbers.data
