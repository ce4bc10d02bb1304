"""Labels that change over time as columns: one for each asset and label that it has had.

Within such a column the label holds for ever, and a cell is in use on the dates of its label alone.
Whatever groups columns by a label then groups cells by the label of their date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from runner.panels.numbers.spelled import SpellColumns
from runner.panels.panel import Panel


@dataclass(frozen=True)
class Spells:
    """A panel with a column per spell.

    Attributes:
        panel: (T, M) columns; its `owner` (M,) is the number of the asset of each.
        columns: which column each cell belongs to.
    """

    panel: Panel
    columns: SpellColumns

    def together(self, values: np.ndarray) -> np.ndarray:
        """Values (T, M) of the columns as those of the assets (T, N), by the label of the date."""
        own = self.columns.of_every_cell(len(values))
        return np.take_along_axis(values, own, axis=1)


def spells(panel: Panel, names: Sequence[str]) -> Spells | None:
    """The panel by spells of those of these labels that change; None where none of them does."""
    changing = {name: panel.labels[name] for name in names if name in panel.labels}
    if not changing:
        return None
    columns = SpellColumns.of(panel.assets, changing)
    owner = columns.owner
    groups = pd.DataFrame(index=columns.names)
    for name, code in columns.code_of.items():
        groups[name] = np.array(changing[name].values)[code]
    for name in panel.groups:
        groups[name] = panel.groups.loc[panel.assets, name].to_numpy()[owner]
    rest = {}
    for name, labels in panel.labels.items():
        if name not in changing:
            rest[name] = labels.of_columns(owner)
    by_spell = replace(
        panel,
        assets=columns.names.tolist(),
        cells=panel.cells.by_spells(columns),
        groups=groups,
        labels=rest,
        owner=panel.owners[owner],
        kept=None if panel.kept is None else panel.kept[:, owner],
        shared=None,
        by_rule={},
    )
    return Spells(by_spell, columns)


def of_owners(y: np.ndarray, use: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets (R, N) and cells in use with all those of an asset in the column of its number."""
    t, column = np.nonzero(use)
    asset = owner[column]
    of_assets = np.zeros(y.shape)
    of_assets[t, asset] = y[t, column]
    in_use = np.zeros(use.shape, dtype=bool)
    in_use[t, asset] = True
    return of_assets, in_use
