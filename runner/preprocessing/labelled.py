"""Labels of the assets, as steps read them: for ever, and of the date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.errors import DataError, unknown

if TYPE_CHECKING:
    import pandas as pd


class Labelled(NamedTuple):
    """Labels of the assets on some dates.

    Attributes:
        groups: frame (N, G), one label per asset.
        by_date: name -> codes (T, N) of labels of the date.
    """

    groups: pd.DataFrame
    by_date: Mapping[str, np.ndarray]

    def at(self, rows: slice) -> Labelled:
        """Those of these dates."""
        by_date = {}
        for name, codes in self.by_date.items():
            by_date[name] = codes[rows]
        return self._replace(by_date=by_date)

    def of(self, assets: np.ndarray) -> Labelled:
        """Those of the assets at these positions."""
        by_date = {name: codes[:, assets] for name, codes in self.by_date.items()}
        return Labelled(self.groups.iloc[assets], by_date)

    def codes(self, group: str) -> np.ndarray:
        """Codes of a group of assets: (N,), or (T, N) where a label is that of the date.

        Raises:
            DataError: the data has no such group.
        """
        if group in self.by_date:
            return self.by_date[group]
        if group not in self.groups:
            allowed = [*self.groups.columns, *self.by_date]
            raise DataError(f"group: {unknown(group, allowed)}")
        return self.groups[group].astype("category").cat.codes.to_numpy()
