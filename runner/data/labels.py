"""Labels of assets, such as the sector: one for ever, or the label that holds on each date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.errors import DataError, unknown

UNKNOWN = "unknown"  # the label of an asset, or of a cell, of which the data says none


@dataclass(frozen=True, eq=False)
class Labels:
    """The label of every asset, as positions in its distinct values.

    Attributes:
        codes: (1, N) where a label holds on every date, else (T, N): of each date.
        values: the labels (L,), sorted.
        had: (N, L) the labels that each asset has on some date of the data, of labels of the date;
            a part of the dates keeps those of the whole, so that what is made for each of them has
            one shape. None where a label holds for ever.
    """

    codes: np.ndarray
    values: tuple[str, ...]
    had: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.codes.flags.writeable = False

    @classmethod
    def of(cls, codes: np.ndarray, values: Sequence[str]) -> Labels:
        """Labels of the date by their codes (T, N); a code of -1 is `unknown`.

        Row t is the label known at t. Values that are not sorted, or occur in no cell, are allowed.
        """
        names = np.array([*values, UNKNOWN], dtype=object)
        # the code -1 falls on the last
        occurring = np.unique(codes)
        kept, position = np.unique(names[occurring].astype(str), return_inverse=True)
        new_code = np.zeros(len(names), dtype=np.int32)
        new_code[occurring] = position
        new_codes = new_code[codes]
        had = np.zeros((codes.shape[1], len(kept)), dtype=bool)
        had[np.arange(codes.shape[1]), new_codes] = True
        return cls(new_codes, tuple(kept.tolist()), had)

    @classmethod
    def of_assets(cls, labels: pd.Series) -> Labels:
        """One label for ever, by asset (N,); `unknown` where it is missing."""
        missing = labels.isna()
        if missing.any():
            labels = labels.astype(object).where(~missing, UNKNOWN).astype(str)
        codes, values = pd.factorize(labels, sort=True)
        named = tuple(str(value) for value in values)
        return cls(codes[None].astype(np.int32), named)

    @classmethod
    def of_long(
        cls,
        dates: pd.DatetimeIndex,
        assets: Sequence[str],
        table: pd.DataFrame,
        *,
        as_of: bool = False,
    ) -> Labels:
        """Labels on these dates (T,) and assets (N,) from a table with a row per date and asset.

        Args:
            table: columns `date`, `asset` and `label` (a missing label: none from that date on),
                in any order of rows.
            as_of: whether a label holds from its date until the next of its asset; else on its
                date alone. A cell without a label is `unknown`.

        Raises:
            DataError: two rows of one date and asset with different labels.
        """
        _refuse_conflicts(table)
        rows = table[table["asset"].isin(list(assets))]
        label_codes, values = pd.factorize(rows["label"], sort=True)
        columns = pd.Index(list(assets)).get_indexer(rows["asset"])
        stamps = pd.DatetimeIndex(rows["date"])
        if not as_of:
            lines = dates.get_indexer(stamps)
            on = lines >= 0
            codes = np.full((len(dates), len(assets)), -1, dtype=np.int32)
            codes[lines[on], columns[on]] = label_codes[on]
            return cls.of(codes, [str(value) for value in values])
        # -2: the table says nothing here, and what was said before still holds
        lines = np.asarray(dates.searchsorted(stamps))
        on = lines < len(dates)
        order = np.argsort(stamps[on], kind="stable")
        said = np.full((len(dates), len(assets)), -2, dtype=np.int32)
        said[lines[on][order], columns[on][order]] = label_codes[on][order]
        latest = np.where(said > -2, np.arange(len(dates))[:, None], -1)
        row = np.maximum.accumulate(latest, axis=0)
        codes = said[np.maximum(row, 0), np.arange(len(assets))]
        codes = np.where(row < 0, -1, codes)
        return cls.of(codes, [str(value) for value in values])

    @property
    def by_date(self) -> bool:
        """Whether a label may differ from date to date."""
        return self.had is not None

    def at(self, rows: np.ndarray | slice) -> Labels:
        """The labels on the rows at these positions."""
        if not self.by_date:
            return self
        return Labels(self.codes[rows], self.values, self.had)

    def of_columns(self, positions: np.ndarray) -> Labels:
        """The labels of the assets at these positions."""
        had = self.had
        if had is not None:
            had = had[positions]
        return Labels(self.codes[:, positions], self.values, had)

    def cells(self, rows: int) -> np.ndarray:
        """The codes of every cell, (rows, N)."""
        return np.broadcast_to(self.codes, (rows, self.codes.shape[1]))


def _refuse_conflicts(table: pd.DataFrame) -> None:
    """Whether every date and asset has one label.

    Raises:
        DataError: the first with two.
    """
    once = table[["date", "asset", "label"]].drop_duplicates()
    double = once[once.duplicated(["date", "asset"], keep=False)]
    if double.empty:
        return
    date = double["date"].iloc[0]
    asset = double["asset"].iloc[0]
    own = double[(double["date"] == date) & (double["asset"] == asset)]
    both = ", ".join(sorted(own["label"].astype(str)))
    raise DataError(f"{asset} has {both} on {date}; allowed: one label per date and asset")


@dataclass(frozen=True)
class Groups:
    """All labels of assets by name: those for ever and those of the date.

    Attributes:
        fixed: frame (N, G), one label per asset.
        by_date: name -> labels that change.
    """

    fixed: pd.DataFrame
    by_date: Mapping[str, Labels]

    @property
    def names(self) -> list[str]:
        """The names, fixed ones first."""
        return [*(str(name) for name in self.fixed.columns), *self.by_date]

    def __contains__(self, name: object) -> bool:
        return name in self.by_date or name in self.fixed

    def get(self, name: str, where: str = "group", also: Sequence[str] = ()) -> Labels:
        """The labels of this name, codes (1 or T, N).

        Args:
            where: the setting that names it; also: what else may be named there.

        Raises:
            DataError: there is none.
        """
        if name in self.by_date:
            return self.by_date[name]
        if name not in self.fixed:
            raise DataError(f"{where}: {unknown(name, [*also, *self.names])}")
        return Labels.of_assets(self.fixed[name])
