"""Which labels of the date the usable cells of a panel have."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from runner.data.labels import SOME, Labels
from runner.panels.numbers.cells import Cells


class Levels:
    """The labels that occur in usable cells of a panel; its parts share those of the whole.

    A label that no usable cell has, such as `unknown` where every row of the table has one, is no
    level of a regression.
    """

    def __init__(self, cells: Cells, labels: Mapping[str, Labels]) -> None:
        """Args:
        labels: of the date, by name, on the dates of the cells.
        """
        self.cells = cells
        self.labels = labels
        self.known: dict[str, tuple[str, ...]] = {}

    def shared_with(self, cells: Cells, labels: Mapping[str, Labels]) -> Levels:
        """These where the labels are the same, of all dates and assets or of some; else new."""
        values_of = {name: of_name.values for name, of_name in self.labels.items()}
        same = all(values_of.get(name) is of_name.values for name, of_name in labels.items())
        return self if same else Levels(cells, labels)

    def of(self, name: str) -> tuple[str, ...]:
        """Those of a label, sorted; looked up in the cells once."""
        if name not in self.known:
            labels = self.labels[name]
            there = np.zeros(len(labels.values), dtype=bool)
            usable = self.cells.usable_blocks(SOME)
            for codes, used in zip(labels.blocks(SOME), usable, strict=True):
                there[codes[used]] = True
            self.known[name] = tuple(np.array(labels.values)[there].tolist())
        return self.known[name]
