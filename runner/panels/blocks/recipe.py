"""What a panel is made of, and which rows of the data its rows use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from runner.data.market import Market
from runner.errors import DataError
from runner.features.lookback import rows_before
from runner.panels.evaluated import Checked, checked, evaluate
from runner.panels.numbers.gathering import Feature, asked
from runner.panels.numbers.rowfiles import Layout
from runner.panels.numbers.some_assets import of_each_asset
from runner.panels.numbers.usable import WEIGHT
from runner.preprocessing.applying import TARGET, Step
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
    """Rows of the data that row t of a panel uses: so many before it, and so many after it."""

    before: int
    after: int


def reach_of(market: Market, recipe: Recipe) -> Reach:
    """The rows of the data that the rows of the panel use.

    Raises:
        DataError: what needs all dates at once, one line each.
    """
    mistakes = []
    before = 1  # of a target of the same row, made of prices
    for name, feature in asked(recipe.features, recipe.weights).items():
        rows = rows_before(feature)
        if rows is None:
            where = WEIGHT if name == WEIGHT else f"features.{name}"
            mistakes.append(
                f"{where}: it may use all of the past; allowed with data.on_disk: a function that "
                "says how far it looks back, such as @runner.features.looks_back(21), or an "
                "expression of a fixed number of rows"
            )
            continue
        before = max(before, rows)
    if not _of_rows(recipe.target):
        mistakes.append(
            "target: allowed with data.on_disk: same_period_return, forward_return, "
            "forward_volatility or up, of rows of the data (target.frequency=null)"
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
    horizon = target_of(market.at(np.arange(min(len(market.dates), FEW))), recipe).horizon
    return Reach(before, horizon)


def _of_rows(target: Callable[[Market], Target]) -> bool:
    """Whether a target is one of ours, on the rows of the data."""
    if not isinstance(target, partial) or not of_each_asset(target):
        return False
    return target.keywords.get("frequency") is None


def target_of(part: Market, recipe: Recipe) -> Checked:
    """The target on some rows, for what holds on all of them: its horizon and its unit."""
    two = part.of(part.assets[:2])  # what is asked here is the same for every asset
    return checked(evaluate("target", recipe.target, two), two)
