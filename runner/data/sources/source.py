"""What a source of data is: the protocol of everything that `data` of a spec names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from runner.data.market import Market


@runtime_checkable
class Source(Protocol):
    """Where data come from; a class of your own needs `load` alone."""

    def load(self) -> Market:
        """The market (T, N): its fields, series and groups, with every number as it was read.

        Raises:
            DataError: what is wrong with the data, one line each.
        """
        ...


@runtime_checkable
class OfFrame(Source, Protocol):
    """A source of a DataFrame that is given in Python."""

    def of(self, frame: pd.DataFrame) -> Source:
        """The source that reads this DataFrame."""
        ...


@runtime_checkable
class Fetched(Source, Protocol):
    """A source that answers differently from day to day, and is kept as it answered."""

    def fetch(self) -> Path:
        """The file of what was answered, fetched where there is none, its manifest beside it.

        Raises:
            DataError: what could not be fetched, one line each.
        """
        ...
