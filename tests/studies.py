"""What an analysis is given, from a panel and a model, without a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from linearmodels.datasets import french

from runner.models.regression import Regression
from runner.models.study import Study
from runner.panels.panel import Panel

FACTORS = ["MktRF", "SMB", "HML"]


class Foretold:
    """A model whose values (T, N) are given."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def predict(self, fit: object, panel: Panel) -> np.ndarray:
        return self.values


def study_of(panel: Panel, model: Regression, **settings: Any) -> Study:
    """The study of a run of this model on every row, without folds."""
    fit = model.fit(panel, np.arange(len(panel.dates)))
    return Study(None, panel, model, fit, [], pd.DataFrame(), settings)  # type: ignore[arg-type]


def portfolios() -> list[str]:
    """Names of the thirty portfolios of the French data."""
    return [name for name in french.load() if name not in {"dates", "Mom", "RF", *FACTORS}]


def french_panel(
    assets: list[str], months: int | None = None, style: dict[str, str] | None = None
) -> Panel:
    """Excess returns of portfolios on the three factors, the first months."""
    data = french.load().iloc[:months]
    y = data[assets].sub(data["RF"], axis=0).to_numpy()
    X = np.repeat(data[FACTORS].to_numpy()[:, None, :], len(assets), axis=1)
    groups = pd.DataFrame(
        {"style": [(style or {}).get(name, "all") for name in assets]}, index=assets
    )
    dates = pd.DatetimeIndex(data["dates"]) + pd.offsets.MonthEnd(0)
    return Panel(dates, assets, FACTORS, y, X, np.isfinite(y), 0, groups, ())
