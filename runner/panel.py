"""The factor panel: dates x assets x columns, with a counted account of every cell that is not used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from runner.calendar import span
from runner.errors import DataError, listed
from runner.market import Dropped, Market
from runner.targets import Target

Feature = Callable[[Market], Any]


@dataclass(frozen=True)
class Panel:
    """Target and features on the rows to regress on.

    Attributes:
        dates: (T,) rows, increasing.
        assets: names (N,).
        names: names (K,) of the features.
        y: target (T, N); row t is known at row t + horizon.
        X: features (T, N, K); row t uses data up to t.
        valid: (T, N), True where the target and every feature are finite.
        horizon: rows that the target looks ahead; 0 means the same row.
        groups: frame (N, G), groups of the assets.
        dropped: what was left out, from the source to here; cells that are not valid are all counted.
    """

    dates: pd.DatetimeIndex
    assets: list[str]
    names: list[str]
    y: np.ndarray
    X: np.ndarray
    valid: np.ndarray
    horizon: int
    groups: pd.DataFrame
    dropped: tuple[Dropped, ...]

    @property
    def kind(self) -> str:
        """`predictive` where the target lies after the features, else `explanatory`."""
        return "predictive" if self.horizon > 0 else "explanatory"

    @property
    def dropped_cells(self) -> int:
        """Cells (date x asset) without a usable row."""
        return int(self.valid.size - self.valid.sum())


def build_panel(market: Market, features: Mapping[str, Feature], target: Callable[[Market], Target]) -> Panel:
    """Evaluate the target and the features on the market and line them up.

    Raises:
        DataError: a feature or target that the data cannot give, one line each; no usable cell at all.
    """
    values = _evaluate("target", target, market)
    if not isinstance(values, Target):
        raise DataError(f"target: gave {type(values).__name__}; allowed: a Target of values (T, N) and horizon")
    dates = pd.DatetimeIndex(values.values.index)
    y = values.values[market.assets].to_numpy(dtype=float)
    X = np.empty((len(dates), len(market.assets), len(features)))
    mistakes: list[str] = []
    for k, (name, feature) in enumerate(features.items()):
        try:
            X[:, :, k] = _aligned(name, _evaluate(f"features.{name}", feature, market), market, dates)
        except DataError as error:
            mistakes += error.mistakes
    if mistakes:
        raise DataError(mistakes)
    valid, account = _account(y, X, list(features))
    panel = Panel(
        dates, market.assets, list(features), y, X, valid, values.horizon, market.groups, market.dropped + account
    )
    if not valid.any():
        worst = listed(f"{one.reason} ({one.rows})" for one in account)
        raise DataError(f"panel: no cell has a target and every feature on {span(dates)}: {worst}")
    return panel


def _evaluate(where: str, function: Callable[[Market], Any], market: Market) -> Any:
    """What the function gives; what it raises becomes one line that says where."""
    try:
        return function(market)
    except DataError as error:
        raise DataError([f"{where}: {line}" for line in error.mistakes]) from error
    except Exception as error:
        raise DataError(f"{where}: raised {type(error).__name__}: {error}") from error


def _aligned(name: str, values: Any, market: Market, dates: pd.DatetimeIndex) -> np.ndarray:
    """Values of a feature on the rows of the panel, (T, N) or (T, 1)."""
    if not isinstance(values, pd.DataFrame | pd.Series):
        given = type(values).__name__
        raise DataError(f"features.{name}: gave {given}; allowed: a frame (T, N) or a series (T,)")
    if isinstance(values, pd.DataFrame):
        absent = [asset for asset in market.assets if asset not in values]
        if absent:
            raise DataError(f"features.{name}: its frame has no column for {listed(absent)}")
        values = values[market.assets]
    if values.index.equals(market.dates):
        values = values.loc[dates]
    if not values.index.equals(dates):
        raise DataError(f"features.{name}: its {len(values)} rows are not those of the data or of the target")
    cells = values.to_numpy(dtype=float)
    return cells if cells.ndim == 2 else cells[:, None]


def _account(y: np.ndarray, X: np.ndarray, names: list[str]) -> tuple[np.ndarray, tuple[Dropped, ...]]:
    """Mask (T, N) of usable cells, and the others under the first reason that applies to each."""
    valid = np.ones(y.shape, dtype=bool)
    account = []
    columns = [("target", y), *((name, X[:, :, k]) for k, name in enumerate(names))]
    for name, cells in columns:
        for reason, bad in (("missing", np.isnan(cells)), ("infinite", np.isinf(cells))):
            lost = int((valid & bad).sum())
            valid &= ~bad
            if lost:
                account.append(Dropped("panel cell", f"{name} is {reason}", lost))
    return valid, tuple(account)
