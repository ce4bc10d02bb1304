"""What an analysis looks at after the fit, and what it finds: a table, numbers and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from runner.data.market import Market
    from runner.models.fit import Fit
    from runner.models.model import Model
    from runner.panels.panel import Panel
    from runner.panels.rows import Rows
    from runner.validation.splitters import Fold


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
