"""Which cells of a panel have no value because a rule blanked a value of the data, not because the
source had none.

Nothing is assumed of how a column is computed: it is computed again on data with a harmless value
where one was blanked, and a cell that has a value then had lost it to the rule. Computed again are
only the assets that have such values, and nothing where there are none.

A level that is zero or negative breaks no rule, but has no relative change and no logarithm: the
cells that a column loses to that are found in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from runner.data.market import Blanked, Column, Market
from runner.data.rules import NOT_POSITIVE, STAND_IN, with_value
from runner.errors import DataError

Compute = Callable[
    [Market], np.ndarray
]  # the cells of a column: (T', N), or (T', 1) where all assets share them


class Lost(NamedTuple):
    """Cells of a column without a value because of one cause.

    Attributes:
        cause: the values of the data that are to blame.
        reason: for the account.
        assets: positions (m,) of their assets in the market.
        cells: mask (T', m), or (T', 1) where it is the same for these assets.
    """

    cause: Blanked
    reason: str
    assets: np.ndarray
    cells: np.ndarray


def causes(market: Market) -> list[Blanked]:
    """Values that may have cost a column its value: those that rules blanked, and levels that are
    not positive.
    """
    levels = []
    for name in market.series.columns:
        at = np.flatnonzero(market.series[name].to_numpy(dtype=float) <= 0.0)
        if len(at):
            levels.append(Blanked(Column("series", str(name), str(name)), NOT_POSITIVE, at))
    return [*market.blanked, *levels]


def lost(name: str, compute: Compute, market: Market, among: Sequence[Blanked]) -> list[Lost]:
    """The cells that the column of this name lost to each of these causes.

    A cell that several causes took together counts under the last of them. `name` is that of a
    feature, `target`, or where in the spec the column stands.
    """
    found = []
    own = [cause for cause in among if cause.column.kind == "field"]
    if own:
        N = len(market.assets)
        assets = np.unique(np.concatenate([cause.at % N for cause in own]))
        found += _lost_by(name, compute, market, own, assets)
    shared = [cause for cause in among if cause.column.kind != "field"]
    if shared and _matters(name, compute, market, shared):
        found += _lost_by(name, compute, market, shared, np.arange(len(market.assets)))
    return found


def undefined(name: str, column: Sequence[Lost], market: Market, allowed: float) -> list[str]:
    """The lines that stop the run where a column needs positive levels and a series has too many
    that are not.
    """
    lines = []
    for one in column:
        if one.cause.column.kind != "series" or one.cause.rule != NOT_POSITIVE:
            continue
        series, lost_rows = one.cause.column.name, len(one.cause.at)
        had = int(market.series[series].notna().sum())
        if lost_rows > allowed * had:
            enough = ceil(100.0 * lost_rows / had) / 100.0
            lines.append(
                f"{name}: {series} is zero or negative on {lost_rows:,} of its {had:,} rows ({lost_rows / had:.1%}), "
                f"where a relative change and a logarithm are undefined; allowed: a difference, such as "
                f"diff({series}), or at most {allowed:.1%} of such rows (data.allow_loss={enough:g} goes on without "
                "them)"
            )
    return lines


def _matters(name: str, compute: Compute, market: Market, among: Sequence[Blanked]) -> bool:
    """Whether the column of the asset with most values lost any to these: else all need not be
    computed again.
    """
    first = next(iter(market.fields.values()))
    longest = int(first.notna().to_numpy().sum(axis=0).argmax())
    return bool(_lost_by(name, compute, market, among, np.array([longest])))


def _lost_by(
    name: str, compute: Compute, market: Market, among: Sequence[Blanked], assets: np.ndarray
) -> list[Lost]:
    """What these assets lost to each cause, in order; all assets where these by themselves cannot
    be computed.
    """
    try:
        return _compared(name, compute, market, among, assets)
    except DataError:
        if len(assets) == len(market.assets):
            return []
        return _lost_by(name, compute, market, among, np.arange(len(market.assets)))


def _compared(
    name: str, compute: Compute, market: Market, among: Sequence[Blanked], assets: np.ndarray
) -> list[Lost]:
    part = market.of([market.assets[i] for i in assets])
    known = np.isfinite(compute(part))
    found = []
    for cause in among:
        part = with_value(part, [_of(cause, len(market.assets), assets)], STAND_IN)
        now = np.isfinite(compute(part))
        cells = now & ~known
        if cells.any():
            reason = f"{name} has no value where {cause.column.label} was {cause.rule}"
            found.append(Lost(cause, reason, assets, cells))
        known |= now
    return found


def _of(cause: Blanked, count: int, assets: np.ndarray) -> Blanked:
    """The same values at their positions among these assets (sorted positions) of `count`."""
    if cause.column.kind != "field":
        return cause
    row, asset = np.divmod(cause.at, count)
    here = np.isin(asset, assets)
    return cause._replace(at=row[here] * len(assets) + np.searchsorted(assets, asset[here]))
