"""Settings of `data` that an experiment gives for data of its own, where other data are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from runner.data.sources.source import OfFrame
from runner.errors import DataError, listed

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.market import Market
    from runner.data.sources.source import Source


@dataclass(frozen=True)
class Borrowing:
    """A source with the settings of an experiment's own data, which may not be in it.

    Attributes:
        whole: the source with these settings; None where it has no such settings.
        alone: the source without them; None where it needs one of them. One of the two there is.
        borrowed: the settings, such as `assets` and `macro.vix`.
    """

    whole: Source | None
    alone: Source | None
    borrowed: Sequence[str]

    def load(self) -> Market:
        """The market with the borrowed settings, or without all of them where one does not fit.

        Either is said in a note.

        Raises:
            DataError: what the source raises of its other settings.
        """
        settings = listed(f"data.{key}" for key in self.borrowed)
        if self.whole is not None:
            try:
                market = self.whole.load()
            except DataError as error:
                of_borrowed = any(self._is_of_borrowed(line) for line in error.mistakes)
                if self.alone is None or not of_borrowed:
                    raise
            else:
                return _noted(market, f"Taken from the example of the experiment: {settings}.")
        alone = cast("Source", self.alone)
        return _noted(
            alone.load(),
            f"Left out, as they do not fit these data: {settings}, of the experiment's example.",
        )

    def of(self, frame: pd.DataFrame) -> Borrowing:
        """The same on a DataFrame, where both are `runner.data.Frame`."""
        whole = self.whole
        alone = self.alone
        if isinstance(whole, OfFrame):
            whole = whole.of(frame)
        if isinstance(alone, OfFrame):
            alone = alone.of(frame)
        return replace(self, whole=whole, alone=alone)

    def _is_of_borrowed(self, mistake: str) -> bool:
        parts = mistake.partition(":")
        place = parts[0]
        settings = place.split("..")  # data.start..data.end is of both
        return any(setting.removeprefix("data.") in self.borrowed for setting in settings)


def _noted(market: Market, note: str) -> Market:
    return replace(market, notes=(*market.notes, note))
