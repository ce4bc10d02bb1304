"""Labels that change over time as columns: one for each asset and label that it has had.

Within such a column the label holds for ever, and a cell is in use on the dates of its label alone.
Whatever groups columns by a label then groups cells by the label of their date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from runner.panels.panel import Panel


@dataclass(frozen=True)
class Spells:
    """A panel with a column per spell.

    Attributes:
        panel: (T, M) columns; its `owner` (M,) is the number of the asset of each.
        own: (T, M) whether a column has the label of the date.
        assets: number N of the assets.
    """

    panel: Panel
    own: np.ndarray
    assets: int

    def together(self, values: np.ndarray) -> np.ndarray:
        """Values (T, M) of the columns as those of the assets (T, N), by the label of the date."""
        t, column = np.nonzero(self.own)
        asset = np.asarray(self.panel.owner)[column]
        shape = (len(values), self.assets)
        of_assets = np.full(shape, np.nan)
        of_assets[t, asset] = values[t, column]
        return of_assets


def spells(panel: Panel, names: Sequence[str]) -> Spells | None:
    """The panel by spells of those of these labels that change; None where none of them does."""
    distinct = dict.fromkeys(names)
    changing = [name for name in distinct if name in panel.labels]
    if not changing:
        return None
    owner = np.arange(len(panel.assets))
    code_of: dict[str, np.ndarray] = {}
    for name in changing:
        had = np.asarray(panel.labels[name].had)
        column, code = np.nonzero(had[owner])
        owner = owner[column]
        for other in code_of:
            code_of[other] = code_of[other][column]
        code_of[name] = code
    T = len(panel.dates)
    own = np.ones((T, len(owner)), dtype=bool)
    texts = {}
    for name, code in code_of.items():
        labels = panel.labels[name]
        of_columns = labels.codes[:, owner]
        own &= of_columns == code
        texts[name] = np.array(labels.values)[code]
    wide = panel.part(np.arange(T), owner)
    columns = _names(panel.assets, owner, texts)
    groups = pd.DataFrame(texts, index=columns)
    for name in wide.groups:
        groups[name] = wide.groups[name].to_numpy()
    rest = {}
    for name, labels in wide.labels.items():
        if name not in changing:
            rest[name] = labels
    by_spell = replace(
        wide.with_arrays(valid=wide.valid & own),
        assets=columns,
        groups=groups,
        labels=rest,
        owner=owner,
    )
    return Spells(by_spell, own, len(panel.assets))


def _names(assets: Sequence[str], owner: np.ndarray, texts: dict[str, np.ndarray]) -> list[str]:
    """Names of the columns: of the asset, with its labels where it has several columns."""
    columns_of_asset = np.bincount(owner)
    words = np.column_stack(list(texts.values()))
    names = []
    for asset, labels in zip(owner, words, strict=True):
        name = assets[asset]
        if columns_of_asset[asset] > 1:
            name += f" ({', '.join(labels)})"
        names.append(name)
    return names


def of_owners(y: np.ndarray, use: np.ndarray, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Targets (R, N) and cells in use with all those of an asset in the column of its number."""
    t, column = np.nonzero(use)
    asset = owner[column]
    of_assets = np.zeros(y.shape)
    of_assets[t, asset] = y[t, column]
    in_use = np.zeros(use.shape, dtype=bool)
    in_use[t, asset] = True
    return of_assets, in_use
