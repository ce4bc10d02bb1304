"""Which column each row of a panel belongs to, where its assets have a column for each label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from runner.data.labels import Labels


@dataclass(frozen=True, eq=False)
class SpellColumns:
    """The columns of a panel by spells: one for each asset and label that it has had.

    With several labels, one for each asset and combination of those that it has had.

    Attributes:
        names: (M,) of the columns, in order of their assets.
        owner: (M,) position of the asset of each.
        code_of: name of a label that changes -> (M,) its code in each column.
        labels: those labels, of the dates of the panel (T, N).
        tables: for each of them, positions of columns by that of the column so far, which is an
            asset at first, and by the code of the label.
    """

    names: pd.Index
    owner: np.ndarray
    code_of: Mapping[str, np.ndarray]
    labels: Mapping[str, Labels]
    tables: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, assets: list[str], labels: Mapping[str, Labels]) -> SpellColumns:
        """The columns of these assets by labels that change."""
        owner = np.arange(len(assets))
        code_of: dict[str, np.ndarray] = {}
        tables = []
        for name, of_name in labels.items():
            had = np.asarray(of_name.had)[owner]
            column, code = np.nonzero(had)
            nowhere = len(column)  # no column: a cell with a label that its asset never had fails
            table = np.full(had.shape, nowhere, dtype=np.int32)
            table[column, code] = np.arange(len(column))
            tables.append(table)
            owner = owner[column]
            code_of = {other: codes[column] for other, codes in code_of.items()} | {name: code}
        texts = [np.array(labels[name].values, dtype=object)[code_of[name]] for name in code_of]
        names = _names(np.array(assets, dtype=object), owner, texts)
        return cls(pd.Index(names), owner, code_of, labels, tuple(tables))

    def at(self, rows: slice) -> SpellColumns:
        """The same of these dates."""
        labels = {name: of_name.at(rows) for name, of_name in self.labels.items()}
        return replace(self, labels=labels)

    def of_cells(self, row: np.ndarray, asset: np.ndarray) -> np.ndarray:
        """Columns (n,) of the cells at these positions of dates and assets."""
        column = asset
        for labels, table in zip(self.labels.values(), self.tables, strict=True):
            column = table[column, labels.of_cells(row, asset)]
        return column

    def of_every_cell(self, dates: int) -> np.ndarray:
        """Columns (dates, N) of the cells of all dates and assets."""
        N = len(self.tables[0])
        column = np.broadcast_to(np.arange(N), (dates, N))
        for labels, table in zip(self.labels.values(), self.tables, strict=True):
            column = table[column, labels.cells(dates)]
        return column


def _names(assets: np.ndarray, owner: np.ndarray, texts: list[np.ndarray]) -> np.ndarray:
    """Names of the columns: of the asset, with its labels where it has several columns."""
    several = np.bincount(owner)[owner] > 1
    words = texts[0]
    for others in texts[1:]:
        words = words + ", " + others
    names = assets[owner]
    return np.where(several, names + " (" + words + ")", names)
