"""What a panel is made of, and which rows of the data its rows use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from runner.data.market import Market
from runner.errors import DataError, listed
from runner.features.lookback import rows_before
from runner.panels.evaluated import Checked, checked, evaluate
from runner.panels.numbers.gathering import Feature, asked
from runner.panels.numbers.rowfiles import Layout
from runner.panels.numbers.some_assets import of_each_asset
from runner.panels.numbers.usable import WEIGHT
from runner.preprocessing.applying import TARGET, Step
from runner.schema.settings import Frequency, Partial
from runner.targets import Target

FEW = 64  # dates, for what holds on all of them


@dataclass(frozen=True)
class Recipe:
    """What a panel is made of, beside the market.

    Attributes:
        features: by name; target: of a market; steps: of preprocessing, each by date.
        weights: the field that weighs the rows, or None.
        allow_loss: as of `runner.panels.building.build_panel`.
    """

    features: Mapping[str, Feature]
    target: Callable[[Market], Target]
    steps: Sequence[Step]
    weights: str | None
    allow_loss: float

    @property
    def layout(self) -> Layout:
        """Of the rows of the panel."""
        changes_target = any(TARGET in (step.on or ()) for step in self.steps)
        return Layout(len(self.features), self.weights is not None, changes_target)


class Reach(NamedTuple):
    """Rows of the data that row t of a panel uses: so many before it, and so many after it.

    Of weeks or months, those of the longest ones. The horizon counts rows of the panel.
    """

    before: int
    after: int
    horizon: int


def reach_of(market: Market, recipe: Recipe) -> Reach:
    """The rows of the data that the rows of the panel use.

    Raises:
        DataError: what needs all dates at once, one line each.
    """
    mistakes = []
    before = 1  # of a target of the same row, made of prices
    for name, feature in asked(recipe.features, recipe.weights).items():
        back = rows_before(feature, market.dates)
        if back is None:
            where = WEIGHT if name == WEIGHT else f"features.{name}"
            mistakes.append(
                f"{where}: it may use all of the past; allowed with data.on_disk: a function that "
                "says how far it looks back, such as @runner.features.looks_back(21), or an "
                "expression of a fixed number of rows"
            )
            continue
        before = max(before, back)
    if not of_each_asset(recipe.target):
        mistakes.append(
            "target: allowed with data.on_disk: same_period_return, forward_return, "
            "forward_volatility or up"
        )
    for step in recipe.steps:
        if not step.traits.by_date:
            mistakes.append(
                f"preprocess.{step.name}: it sees all dates at once; allowed with data.on_disk: "
                "steps by date"
            )
    if market.sessions:
        mistakes.append("data.session: allowed with data.on_disk: null")
    if mistakes:
        raise DataError(mistakes)
    horizon = target_of(market, recipe).horizon
    rows = panel_rows(market, recipe)
    ahead = np.append(rows, np.full(horizon, len(market.dates) - 1))[horizon:]
    after = int((ahead - rows).max(initial=0))
    return Reach(before, after, horizon)


def panel_rows(market: Market, recipe: Recipe) -> np.ndarray:
    """Positions of the rows of the data on which the panel has one: all, or the last of periods.

    Raises:
        DataError: there is none.
    """
    frequency, unfinished = periods_of(recipe.target)
    rows = market.last_rows(frequency, unfinished)
    if not len(rows):
        reasons = [line.reason for line in market.left_out(frequency, unfinished)]
        raise DataError(f"target.frequency={frequency}: it has no row: {listed(reasons)}")
    return rows


def periods_of(target: Callable[[Market], Target]) -> tuple[Frequency | None, Partial]:
    """The weeks or months of a target of ours, if any, and what becomes of one that is not over."""
    settings: Mapping[str, Any] = {}
    if isinstance(target, partial) and of_each_asset(target):
        settings = target.keywords
    return settings.get("frequency"), settings.get("partial", "drop")


def own_rows(rows: np.ndarray, first: int, block: slice) -> slice:
    """Those of a block among the rows of a panel of the data from the row `first` on.

    Args:
        rows: positions in the data of all rows of the panel.
    """
    before, start, stop = np.searchsorted(rows, [first, block.start, block.stop]).tolist()
    return slice(start - before, stop - before)


def target_of(market: Market, recipe: Recipe) -> Checked:
    """The target on the first rows, for what holds on all of them: its horizon and its unit."""
    of_first = int(panel_rows(market, recipe)[0]) + 1
    rows = min(max(FEW, of_first), len(market.dates))
    part = market.at(np.arange(rows))
    two = part.of(part.assets[:2])  # what is asked here is the same for every asset
    return checked(evaluate("target", recipe.target, two), two)
