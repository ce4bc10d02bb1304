"""What an analysis looks at after the fit, and what it finds: a table, numbers and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from runner.data.market import Market
    from runner.models.fit import Fit
    from runner.models.model import Model
    from runner.panels.panel import Panel
    from runner.panels.rows import Rows
    from runner.validation.splitters import Fold

WHOLE = 50_000_000  # cells (date x asset) of a panel that is looked at as it is
NUMBERS = 16_000_000  # of the cells of a larger one that are looked at together
BESIDE = 4  # numbers of a cell beside its features
FEWEST_DATES = 64  # at a time

EVERY_CELL: set[object] = set()  # analyses that take arrays of every date and asset
Analysis = TypeVar("Analysis")


def of_every_cell(analysis: Analysis) -> Analysis:
    """Mark an analysis that takes arrays of every date and asset, where few cells are listed too.

    It is refused before the panel is made where they do not fit into memory.
    """
    EVERY_CELL.add(analysis)
    return analysis


class Fitted(NamedTuple):
    """A part of the panel of a run, and what was fitted there.

    Attributes:
        rows, assets: positions of its dates and assets in the panel, both increasing.
        panel: their panel.
        values: (dates, assets) what was fitted, in the unit of panel.y; NaN where there is nothing.
    """

    rows: np.ndarray
    assets: np.ndarray
    panel: Panel
    values: np.ndarray


@dataclass(frozen=True)
class Study:
    """All that a run knows before its report: an analysis is a function of it and of its settings.

    Attributes:
        market: the raw data; panel: what was regressed, (T, N, K).
        model, fit: the settings, and what was found on all rows.
        folds: training and test rows of the validation.
        predictions: date, asset, fold, path, y, prediction, benchmark; out of sample.
        settings: of the target, as the spec has them.
        given: the model as the spec has it, before the data named its dummies; None where that is
            `model`.
        rows: which rows the panel has, and the panel of every feature; None where the panel has
            every feature.
    """

    market: Market
    panel: Panel
    model: Any  # a Model; an analysis asks for the kind that it suits
    fit: Fit
    folds: list[Fold]
    predictions: pd.DataFrame
    settings: Mapping[str, Any] = field(default_factory=dict)
    given: Model | None = None
    rows: Rows | None = None

    @property
    def features(self) -> list[str]:
        """Names of every feature of the spec, those that the model does not use too."""
        return self.panel.names if self.rows is None else self.rows.whole.names

    def panel_of(self, model: Model) -> Panel:
        """The panel that another model would see in this run, on the rows that the spec says.

        Raises:
            DataError: no cell is usable.
        """
        from runner.panels.rows import rows_of

        if self.rows is None:
            return self.panel
        whole = self.rows.whole
        panel, _ = rows_of(whole, model.uses(whole.names), self.rows.kind, model.weight_field)
        if panel.names == self.panel.names:
            return self.panel  # which has moments of its folds
        return panel

    @property
    def market_of_target(self) -> Market:
        """The raw data on the rows of the target: its weeks or months where it has a frequency."""
        frequency = self.settings.get("frequency")
        partial = self.settings.get("partial", "drop")
        return self.market.sample(frequency, partial)

    @cached_property
    def fitted(self) -> np.ndarray:
        """(T, N) values of the fit on all rows, in the unit of panel.y; NaN where it has none."""
        values: np.ndarray = self.model.predict(self.fit, self.panel)
        return values

    def fitted_parts(self) -> Iterator[Fitted]:
        """What was fitted, some dates after the other where the panel is large.

        Parts of a large panel have the assets that are usable on their dates: every cell of it may
        be more than memory holds.
        """
        import numpy as np

        T, N = self.panel.cells.shape
        every_asset = np.arange(N)
        if not self._is_divided:
            yield Fitted(np.arange(T), every_asset, self.panel, self.fitted)
            return
        cells = self.panel.cells
        of_a_date = max(cells.rows // T, 1) * (cells.features + BESIDE)
        length = max(NUMBERS // of_a_date, FEWEST_DATES)
        for start in range(0, T, length):
            rows = np.arange(start, min(start + length, T))
            of_rows = self.panel.at(rows)
            usable = np.flatnonzero(of_rows.cells.usable_by_asset())
            if len(usable):
                yield self._fitted_on(of_rows, rows, usable)

    def fitted_of(self, assets: np.ndarray) -> Fitted:
        """What was fitted to the assets at these positions, which increase, on every date."""
        import numpy as np

        rows = np.arange(len(self.panel.dates))
        if not self._is_divided:
            panel = self.panel.part(rows, assets)
            return Fitted(rows, assets, panel, self.fitted[:, assets])
        return self._fitted_on(self.panel, rows, assets)

    def _fitted_on(self, of_rows: Panel, rows: np.ndarray, assets: np.ndarray) -> Fitted:
        """What was fitted to these assets of the panel of these rows."""
        import numpy as np

        panel = of_rows.part(np.arange(len(rows)), assets)
        values = self.model.predict(self.fit.part(rows, assets), panel)
        return Fitted(rows, assets, panel, values)

    @property
    def _is_divided(self) -> bool:
        """Whether the panel is large, has few of its cells, and each cell is fitted by itself."""
        from runner.panels.numbers.cells import Cube

        T, N = self.panel.cells.shape
        if T * N <= WHOLE or isinstance(self.panel.cells, Cube):
            return False
        by_cell = self.fit.components is None and len(self.fit.params) == N
        return by_cell and self.model.reads != "cells"
