"""Splitters: which rows are fitted on and which are forecast, one frozen class each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from runner.calendar import span, up_to
from runner.errors import DataError
from runner.settings import Date

if TYPE_CHECKING:
    import pandas as pd


class Fold(NamedTuple):
    """Positions of rows. `purged` rows before the test part are in neither: their target reaches into it."""

    name: str
    train: np.ndarray
    test: np.ndarray
    purged: int


@runtime_checkable
class Splitter(Protocol):
    """Which rows are fitted on and which are forecast."""

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]: ...


@dataclass(frozen=True)
class NoValidation:
    """Fit on all rows, forecast none."""

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        return []


@dataclass(frozen=True)
class HoldOut:
    """Fit up to `train_end`, forecast after it.

    The last `horizon` rows before the test part are purged: their target would not yet be known.
    """

    train_end: Date

    def split(self, dates: pd.DatetimeIndex, horizon: int) -> list[Fold]:
        """One fold on rows `dates` (T,).

        Raises:
            DataError: no training row or no test row is left.
        """
        before = np.flatnonzero(up_to(dates, str(self.train_end)))
        test = np.arange(len(before), len(dates))
        train = before[: max(len(before) - horizon, 0)]
        part = "training" if not len(train) else "test" if not len(test) else None
        if part:
            raise DataError(
                f"validation.train_end: {self.train_end} leaves no {part} row; "
                f"rows run {span(dates)}, {horizon} are purged"
            )
        return [Fold("holdout", train, test, len(before) - len(train))]
