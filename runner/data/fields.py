"""Fields of a market: numbers by date and asset, each a wide frame or a long column.

A table of assets that come and go has rows for few cells (date x asset). Where it has them for less
than half, its columns stay long, a number per row of the table, and a field becomes a wide frame
when it is asked for by name. Where they do not fit into memory they lie on disk: see
`runner.data.stored`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping
from pathlib import Path

import numpy as np
import pandas as pd

from runner.compute.pages import let_go
from runner.data.columns.column import Column, Parts
from runner.data.columns.long import KeptColumn, LongColumn
from runner.data.columns.wide import WideColumn
from runner.errors import DataError

ALL_DATES = slice(None)
FULL = 0.5  # share of the cells that have a row, from which on fields are wide


class Fields(MutableMapping[str, pd.DataFrame]):
    """The fields of a market by name; `fields[name]` is a frame (T, N).

    A feature may set or delete those of its own copy of the market.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = dict(columns)

    @classmethod
    def of_frames(cls, frames: Mapping[str, pd.DataFrame]) -> Fields:
        """Wide fields; those that are fields already stay as they are."""
        if isinstance(frames, Fields):
            return frames
        return cls({name: WideColumn(frame) for name, frame in frames.items()})

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.columns[name].frame

    def __setitem__(self, name: str, frame: pd.DataFrame) -> None:
        self.columns[name] = WideColumn(frame)

    def __delitem__(self, name: str) -> None:
        del self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def folder(self) -> Path | None:
        """Where the numbers of fields are on disk; None where all are in memory."""
        folders = [column.folder for column in self.columns.values()]
        return next((folder for folder in folders if folder is not None), None)

    @property
    def listed(self) -> int | None:
        """Cells (date x asset) that a long field has rows for; None where every field is wide."""
        rows = [column.listed for column in self.columns.values() if column.listed is not None]
        return max(rows, default=None)

    @property
    def assets(self) -> pd.Index:
        """Names (N,) of the assets."""
        return next(iter(self.columns.values())).assets

    def with_frames(self, frames: Mapping[str, pd.DataFrame]) -> Fields:
        """These fields and those, or those in the place of these."""
        wide = {name: WideColumn(frame) for name, frame in frames.items()}
        return Fields({**self.columns, **wide})

    def put(self, name: str, at: np.ndarray, value: float) -> Fields:
        """These fields with a value at positions of the cells of one of them, row by row."""
        changed = self.columns[name].put(at, value)
        return Fields({**self.columns, name: changed})

    def named(self, names: Collection[str]) -> Fields:
        """The fields of these names."""
        columns = {name: column for name, column in self.columns.items() if name in names}
        return Fields(columns)

    def kept(self) -> Fields:
        """The same, whose frames are made once: for a part of a market that lives shortly."""
        columns = dict(self.columns)
        for name, column in self.columns.items():
            if isinstance(column, LongColumn):
                columns[name] = KeptColumn(column)
        return Fields(columns)

    def shallow(self) -> Fields:
        """The same for a function that may write to them."""
        return Fields({name: column.shallow() for name, column in self.columns.items()})

    def rest(self) -> None:
        """Give the memory of large fields and of kept frames back until they are read again."""
        for column in self.columns.values():
            if isinstance(column, WideColumn):
                let_go(column.values)
            elif isinstance(column, KeptColumn):
                column.forget()

    def known(self) -> np.ndarray:
        """Mask (T, N) of the cells with a value of any field."""
        masks = [column.known() for column in self.columns.values()]
        return np.asarray(np.logical_or.reduce(masks))

    def rows_of_assets(self, dates: slice = ALL_DATES) -> np.ndarray:
        """How many rows of its tables each asset (N,) has on these dates, at most.

        Of a frame, all of them where the asset has a value, else none.
        """
        rows = np.zeros(len(self.assets), dtype=np.intp)
        counted: set[int] = set()
        for column in self.columns.values():
            if column.listings is not None and id(column.listings) in counted:
                continue
            counted.add(id(column.listings))
            rows = np.maximum(rows, column.rows_of_assets(dates))
        return rows

    def at(self, rows: np.ndarray) -> Fields:
        """These fields on the dates at these positions, which increase."""
        parts: Parts = {}  # what is chosen of listings that fields share is chosen once
        return Fields({name: column.at(rows, parts) for name, column in self.columns.items()})

    def of(self, assets: np.ndarray) -> Fields:
        """These fields of the assets at these positions, in this order."""
        parts: Parts = {}
        columns = {name: column.of_assets(assets, parts) for name, column in self.columns.items()}
        return Fields(columns)


def same_for_all(name: str, field: pd.DataFrame) -> pd.Series:
    """A field (T, N) whose value is the same for every asset that has one, as a series (T,).

    Raises:
        DataError: its values differ between assets.
    """
    cells = field.to_numpy(dtype=float)
    known = ~np.isnan(cells)
    low = np.where(known, cells, np.inf).min(axis=1)
    high = np.where(known, cells, -np.inf).max(axis=1)
    if (high > low).any():
        date = field.index[(high > low).argmax()]
        raise DataError(
            f"{name} is a field that differs between assets (first on {date:%Y-%m-%d}); "
            "allowed: a series, the same for every asset"
        )
    values = np.where(known.any(axis=1), low, np.nan)
    return pd.Series(values, index=field.index, name=name)
