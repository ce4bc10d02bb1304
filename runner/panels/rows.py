"""Rows of a model: where its own regressors are known, or where every feature of the spec is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from runner.data.calendar import span
from runner.errors import DataError, listed
from runner.panels.numbers.cells import Cube, InMemory, rest
from runner.panels.numbers.joining import with_lone
from runner.panels.panel import Panel
from runner.schema.settings import COMMON, OWN, RowsOf
from runner.text import count

BITS = 64  # dates at a time: whole bytes of bits, and little of a large panel
DIGITS = 12  # of a digest, enough to tell panels apart


@dataclass(frozen=True)
class Rows:
    """Which cells (date x asset) a model is fitted and judged on.

    Target and weight are known in all of them, and preprocessing, which sees every feature, kept
    them.

    Attributes:
        kind: own, the model's own regressors are known; common, every feature of the spec is.
        whole: the panel of every feature of the spec; its usable cells are the common ones.
        features: the model's own regressors among them.
        own, common: how many cells there are of either kind.
        lacking: by feature of the spec that the model does not use, the own cells in which it is
            unknown.
    """

    kind: RowsOf
    whole: Panel
    features: Sequence[str]
    own: int
    common: int
    lacking: Mapping[str, int]

    @property
    def used(self) -> int:
        """Cells that the model is fitted and judged on."""
        if self.kind == OWN:
            return self.own
        return self.common

    @property
    def words(self) -> str:
        """Which rows they are, how many, and how many the other kind would be."""
        cells = count(self.used, "observation")
        if not self.lacking:
            same = f"so that model.rows={OWN} and {COMMON} are the same"
            known = "have every feature of the spec"
            return f"{cells} {known}; the model uses all, {same}."
        costs = [f"{name} in {lost:,}" for name, lost in self.lacking.items() if lost]
        others = ", ".join(costs)
        if self.kind == OWN:
            return self._own_words(cells, others)
        kept = f"{cells} have every feature of the spec (model.rows=common)"
        if not others:
            return f"{kept}; no others have the model's own regressors."
        return f"{kept}; {self.own:,} have the model's own regressors (missing: {others})."

    def _own_words(self, cells: str, others: str) -> str:
        """The same of own rows, given how many lack the other features."""
        kept = f"{cells} have the model's own regressors (model.rows=own)"
        if not others:
            return f"{kept}; all of them have the other features of the spec too."
        common = f"{self.common:,} of them have every feature of the spec"
        return f"{kept}; {common} (missing: {others})."


def rows_of(
    whole: Panel, features: Sequence[str], kind: RowsOf, weights: str | None
) -> tuple[Panel, Rows]:
    """The panel that a model sees, and which rows these are.

    Own rows have a panel of these features alone; common ones have the whole panel.

    Args:
        features: those of the panel that the model uses.
        weights: the field that weighs the rows.

    Raises:
        DataError: no cell is usable.
    """
    others = [name for name in whole.names if name not in features]
    if not others:
        _refuse_empty(whole)
        cells = whole.usable_cells
        return whole, Rows(kind, whole, features, cells, cells, {})
    used = [name for name in whole.names if name in features]
    own = 0
    lacking = dict.fromkeys(others, 0)
    for stretch, kept in _stretches(whole):
        held = stretch if used else with_lone(stretch)
        part = replace(whole, cells=held, kept=kept)
        of_model = known(part, used)
        own += int(np.count_nonzero(of_model))
        only_own = of_model & ~held.valid  # another feature is unknown there
        for name in others:
            values = _column(part, name)[only_own]
            lacking[name] += int(np.count_nonzero(~np.isfinite(values)))
    rows = Rows(
        kind=kind,
        whole=whole,
        features=features,
        own=own,
        common=whole.usable_cells,
        lacking=lacking,
    )
    panel = whole
    if kind == OWN:
        panel = whole.of(used, weights)
    _refuse_empty(panel)
    return panel, rows


def _stretches(whole: Panel) -> Iterator[tuple[InMemory, np.ndarray | None]]:
    """The cells and `kept` of the panel: of every cell, or in files, some dates after the other."""
    cells = whole.cells
    if not isinstance(cells, Cube):
        for _, stretch in cells.stretches():
            yield stretch, whole.kept
        return
    T, _ = cells.shape
    for first in range(0, T, BITS):
        rows = slice(first, min(first + BITS, T))
        kept = None if whole.kept is None else whole.kept[rows]
        yield cells.at(np.arange(rows.start, rows.stop)), kept
        rest(cells)


def known(panel: Panel, names: Sequence[str]) -> np.ndarray:
    """Mask of the cells that are held in which target, these features and weight are known.

    They are the usable cells of `of(names)`; only cells that are not usable here are looked at.
    """
    cells = panel.cells
    others = ~cells.valid
    if panel.kept is not None:
        others &= cells.taken(panel.kept)
    are_known = np.isfinite(cells.y[others])
    for name in names:
        are_known &= np.isfinite(_column(panel, name)[others])
    if cells.weights is not None:
        weights = cells.weights[others]
        are_known &= (weights > 0.0) & np.isfinite(weights)
    mask = cells.valid.copy()
    mask[others] = are_known
    return mask


def _column(panel: Panel, name: str) -> np.ndarray:
    """A feature in the cells that are held."""
    values: np.ndarray = panel.cells.X[..., panel.names.index(name)]
    return values


def _refuse_empty(panel: Panel) -> None:
    """Whether some cell can be used.

    Raises:
        DataError: none can, with the account of why.
    """
    if panel.usable_cells:
        return
    account = [line for line in panel.dropped if not line.what.startswith("source")]
    reasons = listed(f"{line.reason} ({line.rows})" for line in account)
    dates = span(panel.dates)
    raise DataError(f"panel: no observation has a target and every feature on {dates}: {reasons}")


def digest_of(panel: Panel) -> str:
    """Twelve digits that stand for the usable cells of a panel.

    They are the same for the same cells of the same market.
    """
    digest = sha256()
    for usable in panel.cells.usable_blocks(BITS):
        digest.update(np.packbits(usable).tobytes())
    digest.update(repr(panel.cells.shape).encode())
    return digest.hexdigest()[:DIGITS]
