"""Which cells of a panel can be used, and the account of those that cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from runner.data.attribution import Compute, Lost, causes, lost, undefined
from runner.data.labels import UNKNOWN
from runner.data.market import Market
from runner.data.notices import Dropped
from runner.errors import DataError

# the column of weights, among the columns of a panel
WEIGHT = "model.weights"
# cells of a column that are counted at a time, so that they stay in the processor's cache
CELLS = 32768


def lost_to_rules(
    market: Market,
    computed: Mapping[str, Compute],
    columns: Sequence[np.ndarray],
    allow_loss: float,
) -> dict[str, list[Lost]]:
    """The cells of each column (T, N) that lost their value to a rule, given how each is computed.

    Raises:
        DataError: a column needs positive levels of a series that has too many others, one line
            each.
    """
    blamed = causes(market)
    by_rule: dict[str, list[Lost]] = {}
    mistakes: list[str] = []
    for (name, compute), cells in zip(computed.items(), columns, strict=True):
        if not blamed or not np.isnan(cells).any():
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
    y: np.ndarray,
    X: np.ndarray,
    names: list[str],
    weights: np.ndarray | None,
    field: str | None,
    keep: np.ndarray,
    by_rule: Mapping[str, Sequence[Lost]],
) -> tuple[np.ndarray, tuple[Dropped, ...]]:
    """Usable cells (T, N), and why the others among those kept are not.

    Each cell is counted once, under the first reason that applies to it.
    """
    T, N = y.shape
    valid = keep.copy()
    reasons = Counter[str]()
    size = max(CELLS // max(N, 1), 1)
    for first in range(0, T, size):
        rows = slice(first, first + size)
        _count_unknown("target", y[rows], rows, valid, by_rule, reasons)
        for k, name in enumerate(names):
            cells = X[rows, :, k]
            _count_unknown(name, cells, rows, valid, by_rule, reasons)
    if weights is not None:
        usable = (weights > 0.0) & np.isfinite(weights)
        reason = f"its weight, {field}, is missing or not positive"
        of_rules = by_rule.get(WEIGHT, ())
        counts = _reasons(reason, valid & ~usable, of_rules, slice(None))
        reasons.update(counts)
        valid &= usable
    account = [Dropped("panel cell", reason, count) for reason, count in reasons.items() if count]
    return valid, tuple(account)


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


def _members_of(market: Market, dates: pd.DatetimeIndex) -> np.ndarray:
    """Mask (T, N) of the assets that are members on each of these dates; all without a rule."""
    shape = (len(dates), len(market.assets))
    if market.members is None:
        return np.ones(shape, dtype=bool)
    labels = market.grouping.get(market.members).at(market.dates.get_indexer(dates))
    codes = labels.cells(len(dates))
    if UNKNOWN not in labels.values:
        return np.ones(shape, dtype=bool)
    return np.asarray(codes != labels.values.index(UNKNOWN))


def members_alone(X: np.ndarray, market: Market, dates: pd.DatetimeIndex) -> np.ndarray:
    """Mask (T, N) of the members; the features X (T, N, K) of the others are blanked in place, so
    that steps look at members alone.
    """
    inside = _members_of(market, dates)
    if not inside.all():
        X[~inside] = np.nan
    return inside


def outsiders(market: Market, inside: np.ndarray) -> list[Dropped]:
    """The account of the cells (T, N) whose asset is no member on the date."""
    cells = int(np.count_nonzero(~inside))
    if not cells:
        return []
    return [Dropped("panel cell", f"not in {market.members} on the date", cells)]
