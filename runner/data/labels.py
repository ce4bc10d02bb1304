"""Labels of assets, such as the sector: one for ever, or the label that holds on each date."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from runner.data.notices import Dropped
from runner.errors import DataError, unknown

SILENT = -2  # code of a cell of which a table says nothing; -1 says that there is no label
SOME = 64  # dates at a time
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
        # the code -1 falls on the last
        all_values = [*values, UNKNOWN]
        names = np.array(all_values)
        assets = np.arange(codes.shape[1])
        had_code = np.zeros((len(assets), len(names)), dtype=bool)
        for first in range(0, len(codes), SOME):
            had_code[assets, codes[first : first + SOME]] = True
        occurring = np.flatnonzero(had_code.any(axis=0))
        kept, position = np.unique(names[occurring], return_inverse=True)
        new_code = np.zeros(len(names), dtype=np.int32)
        new_code[occurring] = position
        new_codes = new_code[codes]
        had = np.zeros((len(assets), len(kept)), dtype=bool)
        for code in occurring:
            had[:, new_code[code]] |= had_code[:, code]
        kept_names = tuple(kept.tolist())
        return cls(new_codes, kept_names, had)

    @classmethod
    def of_assets(cls, labels: pd.Series) -> Labels:
        """One label for ever, by asset (N,); `unknown` where it is missing."""
        known = labels.notna()
        if not known.all():
            words = labels.astype(str)
            labels = words.where(known, UNKNOWN)
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
        index = pd.Index(assets)
        names = table["asset"]
        columns = index.get_indexer(names)
        label_codes, values = pd.factorize(table["label"], sort=True)
        stamps = pd.DatetimeIndex(table["date"])
        lines = dates.get_indexer(stamps)
        if as_of:
            positions = dates.searchsorted(stamps)
            lines = np.asarray(positions)
        on_dates = (lines >= 0) & (lines < len(dates))
        used = np.flatnonzero((columns >= 0) & on_dates)
        # the latest of several rows that one date is the first to know comes last, and stays
        used = used[np.argsort(stamps[used], kind="stable")]
        shape = (len(dates), len(assets))
        codes = np.full(shape, SILENT, dtype=np.int32)
        used_lines = lines[used]
        used_columns = columns[used]
        codes[used_lines, used_columns] = label_codes[used]
        if as_of:
            codes = _held(codes)
        codes[codes == SILENT] = -1
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

    def lacking(self, name: str, there: np.ndarray) -> Dropped:
        """The account of the cells (T, N) that are there without a label of this name."""
        cells = 0
        if UNKNOWN in self.values:
            unlabelled = self.codes == self.values.index(UNKNOWN)
            cells = int(np.count_nonzero(unlabelled & there))
        return Dropped("source value", f"{name} has no label on the date: {UNKNOWN}", cells)

    def of_columns(self, positions: np.ndarray) -> Labels:
        """The labels of the assets at these positions."""
        had = self.had
        if had is not None:
            had = had[positions]
        return Labels(self.codes[:, positions], self.values, had)

    def blocks(self, rows: int) -> Iterator[np.ndarray]:
        """The codes, so many rows at a time; of labels for ever all at once."""
        for first in range(0, len(self.codes), rows):
            yield self.codes[first : first + rows]

    def cells(self, rows: int) -> np.ndarray:
        """The codes of every cell, (rows, N)."""
        N = self.codes.shape[1]
        return np.broadcast_to(self.codes, (rows, N))

    def of_cells(self, row: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Codes (n,) of the cells at these positions of dates and assets."""
        return np.asarray(self.codes[row if self.by_date else 0, column])


def _held(codes: np.ndarray) -> np.ndarray:
    """Codes (T, N) where each holds until the next that the table says, of its asset."""
    T, N = codes.shape
    every_row = np.arange(T)
    row = every_row[:, None]
    said = np.where(codes == SILENT, 0, row)
    latest = np.maximum.accumulate(said, axis=0)
    every_asset = np.arange(N)
    return codes[latest, every_asset]


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
    of_date = double[double["date"] == date]
    own = of_date.loc[of_date["asset"] == asset, "label"]
    both = ", ".join(sorted(own.astype(str)))
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
        return [*map(str, self.fixed.columns), *self.by_date]

    def __contains__(self, name: object) -> bool:
        return name in self.by_date or name in self.fixed

    def of(self, names: Collection[str]) -> Groups:
        """The labels of these names."""
        fixed = [name for name in self.fixed.columns if name in names]
        by_date = {name: labels for name, labels in self.by_date.items() if name in names}
        return Groups(self.fixed[fixed], by_date)

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
            allowed = [*also, *self.names]
            raise DataError(f"{where}: {unknown(name, allowed)}")
        return Labels.of_assets(self.fixed[name])
