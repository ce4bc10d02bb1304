"""Which cells of a panel can be used, and the account of those that cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from runner.data.attribution import Lost
from runner.data.market import Dropped

# the column of weights, among the columns of a panel
WEIGHT = "model.weights"
# cells of a column that are counted at a time, so that they stay in the processor's cache
CELLS = 32768


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
            _count_unknown(name, X[rows, :, k], rows, valid, by_rule, reasons)
    if weights is not None:
        usable = (weights > 0.0) & np.isfinite(weights)
        reason = f"its weight, {field}, is missing or not positive"
        reasons.update(_reasons(reason, valid & ~usable, by_rule.get(WEIGHT, ()), slice(None)))
        valid &= usable
    account = [Dropped("panel cell", reason, cells) for reason, cells in reasons.items() if cells]
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
    reasons.update(_reasons(f"{name} is missing", missing, by_rule.get(name, ()), rows))
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
