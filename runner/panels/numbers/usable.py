"""Which cells of a panel can be used, and the account of those that cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.compute.pages import let_go
from runner.data.attribution import Compute, Lost, causes, lost, undefined
from runner.data.labels import UNKNOWN
from runner.data.market import Market
from runner.data.notices import Dropped
from runner.errors import DataError
from runner.panels.numbers.cells import Cells, Cube, InMemory, Ragged
from runner.text import ASSET_DATE

# the column of weights, among the columns of a panel
WEIGHT = "model.weights"
# dates whose usable cells are looked for at a time
DATES = 64
# cells of a column that are counted at a time, so that they stay in the processor's cache
CELLS = 32768


def lost_to_rules(
    market: Market,
    computed: Mapping[str, Compute],
    with_gaps: Collection[str],
    allow_loss: float,
) -> dict[str, list[Lost]]:
    """The cells of each column (T, N) that lost their value to a rule, given how each is computed.

    Args:
        with_gaps: names of the columns that lack a value somewhere.

    Raises:
        DataError: a column needs positive levels of a series that has too many others, one line
            each.
    """
    blamed = causes(market)
    by_rule: dict[str, list[Lost]] = {}
    mistakes: list[str] = []
    for name, compute in computed.items():
        if not blamed or name not in with_gaps:
            continue
        by_rule[name] = lost(name, compute, market, blamed)
        where = name
        if name not in ("target", WEIGHT):
            where = f"features.{name}"
        mistakes += undefined(where, by_rule[name], market, allow_loss)
    if mistakes:
        raise DataError(mistakes)
    return by_rule


def usable_cells(
    cells: InMemory,
    names: list[str],
    field: str | None,
    keep: np.ndarray | None,
    by_rule: Mapping[str, Sequence[Lost]],
) -> tuple[InMemory, tuple[Dropped, ...]]:
    """The cells with those marked that are usable, and why the others among those kept are not.

    Each cell is counted once, under the first reason that applies to it.

    Args:
        field: the field that weighs the rows, for the account.
        keep: (T, N) cells that preprocessing kept; None where it kept all.
    """
    reasons = Counter[str]()
    if isinstance(cells, Ragged):
        valid = _usable_rows(cells, names, field, keep, by_rule, reasons)
    else:
        valid = _usable_of_all(cells, names, field, keep, by_rule, reasons)
    account = [Dropped(ASSET_DATE, reason, count) for reason, count in reasons.items() if count]
    return replace(cells, valid=valid), tuple(account)


def _usable_of_all(
    cells: Cube,
    names: list[str],
    field: str | None,
    keep: np.ndarray | None,
    by_rule: Mapping[str, Sequence[Lost]],
    reasons: Counter[str],
) -> np.ndarray:
    """Usable cells (T, N); the others are counted in `reasons`. Arguments as of `usable_cells`."""
    T, N = cells.shape
    valid = np.ones((T, N), dtype=bool) if keep is None else keep.copy()
    size = max(CELLS // max(N, 1), 1)
    for first in range(0, T, size):
        rows = slice(first, first + size)
        _count_unknown("target", cells.y[rows], rows, valid, by_rule, reasons)
        for k, name in enumerate(names):
            _count_unknown(name, cells.X[rows, :, k], rows, valid, by_rule, reasons)
        let_go(cells.X)
    if cells.weights is not None:
        usable = (cells.weights > 0.0) & np.isfinite(cells.weights)
        of_rules = by_rule.get(WEIGHT, ())
        counts = _reasons(_weight_lacks(field), valid & ~usable, of_rules, slice(None))
        reasons.update(counts)
        valid &= usable
    return valid


def _weight_lacks(field: str | None) -> str:
    """Why a cell without a usable weight is not used."""
    return f"its weight, {field}, is missing or not positive"


def _usable_rows(
    cells: Ragged,
    names: list[str],
    field: str | None,
    keep: np.ndarray | None,
    by_rule: Mapping[str, Sequence[Lost]],
    reasons: Counter[str],
) -> np.ndarray:
    """Usable listed cells (n,); all others are counted in `reasons`, as of `usable_cells`."""
    valid = np.ones(cells.rows, dtype=bool)
    if keep is not None:
        valid = cells.taken(keep)
    _count_targets(cells, valid, keep, by_rule.get("target", ()), reasons)
    valid &= np.isfinite(cells.y)
    all_known = np.ones(cells.rows, dtype=bool)
    for column in cells.X.T:
        all_known &= np.isfinite(column)
    left = np.flatnonzero(valid & ~all_known)  # rows that some feature is unknown in
    valid &= all_known
    lone = _lone(cells)  # they lack every feature, the first one first
    for k, name in enumerate(names):
        values = cells.X[left, k]
        is_missing = np.isnan(values)
        is_infinite = np.isinf(values)
        lacking = _places(cells, left[is_missing])
        if k == 0:
            lacking = lacking.and_those(lone)
        _count_rows(f"{name} is missing", lacking, cells, by_rule.get(name, ()), reasons)
        reasons[f"{name} is infinite"] += int(np.count_nonzero(is_infinite))
        left = left[~is_missing & ~is_infinite]
    if cells.weights is not None:
        usable = (cells.weights > 0.0) & np.isfinite(cells.weights)
        of_rules = by_rule.get(WEIGHT, ())
        lacking = _places(cells, np.flatnonzero(valid & ~usable))
        _count_rows(_weight_lacks(field), lacking, cells, of_rules, reasons)
        valid &= usable
    return valid


def _count_targets(
    cells: Ragged,
    valid: np.ndarray,
    keep: np.ndarray | None,
    by_rule: Sequence[Lost],
    reasons: Counter[str],
) -> None:
    """Count the cells without a target: those that are not listed have none.

    Args:
        valid: (n,) listed cells that preprocessing kept; keep: (T, N) all that it kept, or None.
    """
    T, N = cells.shape
    kept = T * N
    if keep is not None:
        kept = int(np.count_nonzero(keep))
    is_listed = valid & ~np.isnan(cells.y)
    with_targets = np.count_nonzero(is_listed)
    infinite = np.count_nonzero(valid & np.isinf(cells.y))
    if cells.lone is not None:
        with_targets += len(cells.lone.position)
        infinite += np.count_nonzero(np.isinf(cells.lone.y))
    missing = kept - int(with_targets)
    reasons["target is missing"] = missing
    for part in by_rule:
        has_target = _places(cells, np.flatnonzero(is_listed))
        if cells.lone is not None:
            has_target = has_target.and_those(_places_of(cells, cells.lone.position))
        of_rule = _of_assets(part, T)
        if keep is not None:
            of_rule = of_rule & keep[:, part.assets]
        with_target = int(_taken(part, cells, has_target).sum())
        taken = int(np.count_nonzero(of_rule)) - with_target
        reasons[part.reason] = taken
        missing -= taken
    reasons["target is missing"] = missing
    reasons["target is infinite"] += int(infinite)


class Places(NamedTuple):
    """Cells by the positions (n,) of their dates and assets."""

    row: np.ndarray
    column: np.ndarray

    def and_those(self, others: Places) -> Places:
        """These and those."""
        row = np.concatenate([self.row, others.row])
        return Places(row, np.concatenate([self.column, others.column]))


def _places(cells: Ragged, used: np.ndarray) -> Places:
    """The listed cells at these positions."""
    return Places(cells.listings.row[used], cells.listings.column[used])


def _places_of(cells: Ragged, position: np.ndarray) -> Places:
    """The cells at these positions among all."""
    return Places(*np.divmod(position, cells.shape[1]))


def _lone(cells: Ragged) -> Places:
    """The cells with a finite target and no feature that are not listed."""
    if cells.lone is None:
        return _places(cells, np.zeros(0, dtype=int))
    return _places_of(cells, cells.lone.position[np.isfinite(cells.lone.y)])


def _count_rows(
    otherwise: str,
    missing: Places,
    cells: Ragged,
    by_rule: Sequence[Lost],
    reasons: Counter[str],
) -> None:
    """Count these cells by reason: the rules, then `otherwise`."""
    others = len(missing.row)
    reasons[otherwise] = others
    for part in by_rule:
        taken = int(_taken(part, cells, missing).sum())
        reasons[part.reason] = taken
        others -= taken
    reasons[otherwise] = others


def _taken(part: Lost, cells: Ragged, used: Places) -> np.ndarray:
    """Which of these cells a rule took."""
    place = np.full(cells.shape[1], -1)
    place[part.assets] = np.arange(len(part.assets))
    column = place[used.column]
    of_rule = _of_assets(part, cells.shape[0])
    return np.asarray((column >= 0) & of_rule[used.row, column])


def _of_assets(part: Lost, dates: int) -> np.ndarray:
    """Mask (T, m) of the cells that a rule took from its assets."""
    shape = (dates, len(part.assets))
    return np.broadcast_to(part.cells, shape)


def _count_unknown(
    name: str,
    cells: np.ndarray,
    rows: slice,
    valid: np.ndarray,
    by_rule: Mapping[str, Sequence[Lost]],
    reasons: Counter[str],
) -> None:
    """Count the cells (t, N) of a column on these rows that are not finite, and mask them out.

    `valid` (T, N) and `reasons` are changed in place.
    """
    usable = np.isfinite(cells)
    unusable = valid[rows] & ~usable
    missing = unusable & np.isnan(cells)
    infinite = unusable & ~missing
    of_rules = by_rule.get(name, ())
    counts = _reasons(f"{name} is missing", missing, of_rules, rows)
    reasons.update(counts)
    reasons[f"{name} is infinite"] += int(np.count_nonzero(infinite))
    valid[rows] &= usable


def _reasons(
    otherwise: str, missing: np.ndarray, by_rule: Sequence[Lost], rows: slice
) -> dict[str, int]:
    """Number of the missing cells (t, N) on these rows by reason: the rules, then `otherwise`."""
    counts: dict[str, int] = {}
    for part in by_rule:
        taken = missing[:, part.assets] & part.cells[rows]
        counts[part.reason] = int(np.count_nonzero(taken))
    others = int(np.count_nonzero(missing)) - sum(counts.values())
    return {otherwise: others, **counts}


def members_on(market: Market, dates: pd.DatetimeIndex) -> np.ndarray | None:
    """Mask (T, N) of the assets that are members on each of these dates; None where all are."""
    if market.members is None:
        return None
    labels = market.grouping.get(market.members).at(market.dates.get_indexer(dates))
    if UNKNOWN not in labels.values:
        return None
    inside = np.asarray(labels.cells(len(dates)) != labels.values.index(UNKNOWN))
    return None if inside.all() else inside


def blank_outsiders(cells: InMemory, inside: np.ndarray | None) -> None:
    """Blank the features of cells that are not `inside` (T, N), in place: steps see members alone.

    None: all are inside.
    """
    if inside is None:
        return
    cells.X[~cells.taken(inside)] = np.nan


def outsiders(market: Market, inside: np.ndarray | None) -> list[Dropped]:
    """The account of the cells (T, N) whose asset is no member on the date."""
    if inside is None:
        return []
    cells = int(np.count_nonzero(~inside))
    return [Dropped(ASSET_DATE, f"not in {market.members} on the date", cells)]


def scored_cells(cells: Cells) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dates and assets (n,) of the usable cells, and what they are scored by.

    No more than some dates at a time take memory beside it.
    """
    T, _ = cells.shape
    n = int(cells.usable_by_date().sum())
    dates, assets = np.empty((2, n), dtype=np.int32)
    scored = np.empty(n)
    start = 0
    for first in range(0, T, DATES):
        for at, part in cells.stretches(slice(first, min(first + DATES, T))):
            t, i, y = part.scored_cells()
            own = slice(start, start + len(y))
            dates[own] = t + at
            assets[own] = i
            scored[own] = y
            start = own.stop
    return dates, assets, scored
