"""Which cells of a panel have no value because a rule blanked a value of the data.

The others have none because the source has none. Nothing is assumed of how a column is computed: it
is computed again on data with a harmless value where one was blanked, and a cell that has a value
then had lost it to the rule. Computed again are only the assets that have such values, and nothing
where there are none.

A level that is zero or negative breaks no rule, but has no relative change and no logarithm: the
cells that a column loses to that are found in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from runner.data.market import Market
from runner.data.notices import Blanked, Column
from runner.data.rules import NOT_POSITIVE, STAND_IN, with_value
from runner.errors import DataError

# the cells of a column: (T', N), or (T', 1) where all assets share them
Compute = Callable[[Market], np.ndarray]


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
    """Values that may have cost a column its value: blanked ones, and levels not above zero."""
    levels = []
    for name in market.series.columns:
        values = market.series[name].to_numpy(dtype=float)
        is_undefined = values <= 0.0
        at = np.flatnonzero(is_undefined)
        if len(at):
            column = Column("series", str(name), str(name))
            levels.append(Blanked(column, NOT_POSITIVE, at))
    return [*market.blanked, *levels]


def lost(name: str, compute: Compute, market: Market, among: Sequence[Blanked]) -> list[Lost]:
    """The cells that the column of this name lost to each of these causes.

    A cell that several causes took together counts under the last of them. `name` is that of a
    feature, `target`, or where in the spec the column stands.
    """
    losses = []
    N = len(market.assets)
    of_fields = [cause for cause in among if cause.column.kind == "field"]
    if of_fields:
        columns = [cause.at % N for cause in of_fields]
        all_columns = np.concatenate(columns)
        assets = np.unique(all_columns)
        losses += _lost_by(name, compute, market, of_fields, assets)
    shared = [cause for cause in among if cause.column.kind != "field"]
    if shared and _matters(name, compute, market, shared):
        losses += _lost_by(name, compute, market, shared, np.arange(N))
    return losses


def undefined(name: str, column: Sequence[Lost], market: Market, allowed: float) -> list[str]:
    """The lines that stop the run where a column needs positive levels and too many are not."""
    lines = []
    for loss in column:
        cause = loss.cause
        if cause.column.kind != "series" or cause.rule != NOT_POSITIVE:
            continue
        series = cause.column.name
        rows = len(cause.at)
        known = market.series[series].notna()
        had = int(known.sum())
        if rows > allowed * had:
            lines.append(f"{name}: {_undefined(series, rows, had, allowed)}")
    return lines


def _undefined(series: str, rows: int, had: int, allowed: float) -> str:
    """What is wrong with a series that is not positive on so many of its rows."""
    share = rows / had
    # the share in per cent, rounded up
    share_in_percent = 100.0 * rows / had
    enough = ceil(share_in_percent) / 100.0
    override = f"data.allow_loss={enough:g} goes on without them"
    return (
        f"{series} is zero or negative on {rows:,} of its {had:,} rows ({share:.1%}), where a "
        f"relative change and a logarithm are undefined; allowed: a difference, such as "
        f"diff({series}), or at most {allowed:.1%} of such rows ({override})"
    )


def _matters(name: str, compute: Compute, market: Market, among: Sequence[Blanked]) -> bool:
    """Whether the column of the asset with most values lost any of them to these causes.

    Else the columns of all assets need not be computed again.
    """
    columns = market.fields.columns.values()
    every_column = iter(columns)
    first = next(every_column)
    known = first.known()
    values = known.sum(axis=0)
    of_most_values = int(values.argmax())
    longest = np.array([of_most_values])
    return bool(_lost_by(name, compute, market, among, longest))


def _lost_by(
    name: str, compute: Compute, market: Market, among: Sequence[Blanked], assets: np.ndarray
) -> list[Lost]:
    """The cells that these assets lost to each cause, in order.

    Of all assets, where these by themselves cannot be computed.
    """
    try:
        return _compared(name, compute, market, among, assets)
    except DataError:
        N = len(market.assets)
        if len(assets) == N:
            return []
        return _lost_by(name, compute, market, among, np.arange(N))


def _compared(
    name: str, compute: Compute, market: Market, among: Sequence[Blanked], assets: np.ndarray
) -> list[Lost]:
    """The cells that have a value once the values of a cause have a harmless one."""
    N = len(market.assets)
    part = market.of([market.assets[i] for i in assets])
    values = compute(part)
    known = np.isfinite(values)
    losses = []
    for cause in among:
        part = with_value(part, [_among_these(cause, N, assets)], STAND_IN)
        values_now = compute(part)
        known_now = np.isfinite(values_now)
        cells = known_now & ~known
        if cells.any():
            reason = f"{name} has no value where {cause.column.label} was {cause.rule}"
            losses.append(Lost(cause, reason, assets, cells))
        known |= known_now
    return losses


def _among_these(cause: Blanked, count: int, assets: np.ndarray) -> Blanked:
    """The same values at their positions among these assets (sorted positions) of `count`."""
    if cause.column.kind != "field":
        return cause
    row, asset = np.divmod(cause.at, count)
    here = np.isin(asset, assets)
    column = np.searchsorted(assets, asset[here])
    return cause._replace(at=row[here] * len(assets) + column)
