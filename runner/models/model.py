"""What a model is: `fit` and `predict`, and a null case of all else that a run asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Self

from runner.progress import tracked

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from runner.models.fit import Fit
    from runner.panels.panel import Panel
    from runner.validation.splitters import Fold

REQUIRED = ("fit", "predict")


class Model:
    """A model of the target: a subclass defines `fit` and `predict`, and what of the rest it has.

    A class that a spec names and that is no subclass is completed by these null cases (see
    `runner.schema.protocols.completed`).

    Attributes:
        weight_field: the field of the data that weighs the rows; None where all count the same.
        reads: what of a panel it needs in memory at once: `parts`, some dates; `rows`, all rows;
            `cells`, arrays of every date and asset.
        takes_targets: whether predictions of a row need targets of that row, as those by principal
            components of the targets do: they explain, and forecast nothing.
    """

    @property
    def weight_field(self) -> str | None:
        return None

    @property
    def reads(self) -> Literal["parts", "rows", "cells"]:
        return "cells"

    @property
    def takes_targets(self) -> bool:
        return False

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        """The estimates on the rows at these positions, valid cells only."""
        raise NotImplementedError

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Predictions (T, N) of panel.y; NaN where there is none."""
        raise NotImplementedError

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """What is wrong with the settings for these features, one line each; nothing."""
        return []

    def terms(self, features: Sequence[str]) -> list[str]:
        """Names (k,) of the estimates; none, as of a model without coefficients."""
        return []

    def uses(self, features: Sequence[str]) -> list[str]:
        """Those of the features that must be known where the model is fitted and forecasts; all."""
        return list(features)

    def lacks_the_mean(self, panel: Panel) -> str:
        """Why the training mean of each asset is no special case of the model; empty where it is.

        The Clark-West test needs it to be one.
        """
        return f"nothing says that {type(self).__name__} contains it"

    def on(self, panel: Panel) -> Self:
        """The same with what only the data can tell, such as the levels of its dummies.

        Here the model as it is.
        """
        return self

    def fit_to_forecast(self, panel: Panel, rows: np.ndarray) -> Fit:
        """All that a forecast takes, perhaps without errors and tables; what `fit` gives."""
        return self.fit(panel, rows)

    def forecast(self, panel: Panel, fold: Fold) -> np.ndarray:
        """Forecasts (len(test), N) of panel.y on the test rows of the fold, from its training rows.

        One fit on all training rows. Date effects of test rows are not known, and left out; nor are
        their targets, which `predict` is not handed, unless it explains by them (`takes_targets`).
        """
        fit = replace(self.fit_to_forecast(panel, fold.train), date_effects=None)
        if self.takes_targets:
            return self.predict(fit, panel.at(fold.test))
        return self.predict(fit, panel.without_targets(fold.test))

    def forecasts(
        self, panel: Panel, folds: Sequence[Fold]
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """The forecasts of several folds, each as `forecast` gives it, in parts.

        A part is the number of the fold among these, positions of some of its test rows, and their
        forecasts (rows, N). The parts of a fold come in order of time.

        Raises:
            DataError: what `forecast` raises, and of which fold.
        """
        from runner.validation.folds import placed_in

        for number, fold in enumerate(tracked(folds, "folds forecast")):
            with placed_in(fold):
                values = self.forecast(panel, fold)
            yield number, fold.test, values

    def diagnose(self, fit: Fit, panel: Panel, rows: np.ndarray) -> pd.DataFrame:
        """Tests of the residuals, one row per unit and test; none."""
        from runner.models.fit import NO_DIAGNOSTICS

        return NO_DIAGNOSTICS


def chosen_of(features: Sequence[str], names: Sequence[str] | None) -> list[str]:
    """The features among these names, in their order; all where no names are given."""
    if names is None:
        return list(features)
    return [name for name in features if name in names]
