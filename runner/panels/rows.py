"""Rows of a model: where its own regressors are known, or where every feature of the spec is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from runner.data.calendar import span
from runner.errors import DataError, listed
from runner.panels.panel import Panel
from runner.schema.settings import COMMON, OWN, RowsOf
from runner.text import count


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
        return self.own if self.kind == OWN else self.common

    @property
    def words(self) -> str:
        """Which rows they are, how many, and how many the other kind would be."""
        cells = count(self.used, "cell")
        if not self.lacking:
            same = f"so that model.rows={OWN} and {COMMON} are the same"
            return (
                f"{cells} in which every feature of the spec is known; the model uses all, {same}."
            )
        others = ", ".join(f"{name} in {lost:,}" for name, lost in self.lacking.items() if lost)
        if self.kind == OWN:
            kept = f"{cells} in which the model's own regressors are known (model.rows=own)"
            if not others:
                return f"{kept}; the other features of the spec are known there too."
            return f"{kept}; in {self.common:,} of them every feature of the spec is (unknown: {others})."
        kept = f"{cells} in which every feature of the spec is known (model.rows=common)"
        if not others:
            return f"{kept}; the model's own regressors are known in no others."
        return f"{kept}; the model's own regressors are in {self.own:,} (the cost: {others})."


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
        cells = int(whole.valid.sum())
        return whole, Rows(kind, whole, features, cells, cells, {})
    own = whole.of([name for name in whole.names if name in features], weights)
    lacking = {}
    for name in others:
        known = np.isfinite(whole.X[:, :, whole.names.index(name)])
        lacking[name] = int(np.count_nonzero(own.valid & ~known))
    rows = Rows(kind, whole, features, int(own.valid.sum()), int(whole.valid.sum()), lacking)
    panel = own if kind == OWN else whole
    _refuse_empty(panel)
    return panel, rows


def _refuse_empty(panel: Panel) -> None:
    if not panel.valid.any():
        own = [line for line in panel.dropped if not line.what.startswith("source")]
        worst = listed(f"{line.reason} ({line.rows})" for line in own)
        dates = span(panel.dates)
        raise DataError(f"panel: no cell has a target and every feature on {dates}: {worst}")


def digest_of(panel: Panel) -> str:
    """Twelve digits that tell which cells of a panel are usable; the same for the same cells of
    the same market.
    """
    cells = sha256(np.packbits(panel.valid).tobytes())
    cells.update(repr(panel.valid.shape).encode())
    return cells.hexdigest()[:12]
