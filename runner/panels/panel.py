"""The factor panel (dates x assets x columns), with an account of every cell that is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from runner.data.attribution import Lost
from runner.data.calendar import Calendar, calendar_of
from runner.data.labels import Groups, Labels
from runner.data.notices import Dropped
from runner.errors import DataError, listed
from runner.panels.levels import Levels
from runner.panels.numbers.cells import Cells, Cube, Stored, rest
from runner.panels.numbers.joining import with_lone
from runner.panels.numbers.selections import adjacent, kept_columns
from runner.panels.numbers.usable import scored_cells, usable_cells
from runner.panels.segments import Regressors, Shared
from runner.targets import UNKNOWN, Unit
from runner.text import ASSET_DATE


class Unchanged(Enum):
    """Stands for numbers that a changed panel takes from the one that it is made of."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


LEFT_OUT = (
    "model.regressors: with data.on_disk, steps that leave cells out, or data.members, see every "
    "feature; allowed: model.rows=common, or a model of all features of the spec "
    "(features.NAME=null leaves one out)"
)
# what a panel has where nothing is said
ABSENT: Mapping[str, Any] = {
    "back": (),
    "shared": None,
    "sessions": None,
    "notes": (),
    "by_rule": {},
    "unknown": (),
    "kept": None,
    "labels": {},
    "levels": None,
    "owner": None,
    "unit": UNKNOWN,
}


@dataclass(frozen=True, repr=False, init=False)
class Panel:
    """Target and features on the rows to regress on.

    Its numbers are `cells`: of every cell (date x asset), or of the listed ones alone. The arrays
    `y`, `X`, `valid`, `weights` and `raw` are of every cell: made when asked for where few cells
    are listed. `replace(panel, X=...)` gives a panel with other numbers.

    Attributes:
        dates: (T,) rows, increasing.
        assets: names (N,).
        names: names (K,) of the features.
        cells: target, features, weights and usable cells.
        horizon: rows that the target looks ahead; 0 means the same row.
        groups: frame (N, G), groups of the assets, one label each.
        dropped: what was left out, from the source to here; cells that are not valid are all
            counted.
        back: names of numpy that take forecasts of y to the unit of the raw target, in this order.
        shared: moments that the folds of a run share, None without.
        sessions: (T,) number of the session of each row, None where rows are one series.
        notes: sentences on the data that its reader should know.
        by_rule: name of a column -> its cells that lost their value to a rule, on the rows and
            assets of the data; a part of the panel has none.
        unknown: the last of those, cells without a target, a feature or a weight, by the column.
        kept: (T, N) cells that preprocessing kept; None where it kept all.
        labels: name -> labels of the date (T, N), known at t.
        levels: which of them usable cells have; parts of a panel share those of the whole.
        unit: of the target as it is, before steps of preprocessing.
        owner: (N,) number of the asset that each column is a part of, where assets have several
            columns (see `runner.panels.spells`); None where every column is an asset.
    """

    dates: pd.DatetimeIndex
    assets: list[str]
    names: list[str]
    cells: Cells
    horizon: int
    groups: pd.DataFrame
    dropped: tuple[Dropped, ...]
    back: tuple[str, ...]
    shared: Shared | None
    sessions: np.ndarray | None
    notes: tuple[str, ...]
    by_rule: Mapping[str, Sequence[Lost]]
    unknown: tuple[Dropped, ...]
    kept: np.ndarray | None
    labels: Mapping[str, Labels]
    levels: Levels
    owner: np.ndarray | None
    unit: Unit

    def __init__(
        self,
        dates: pd.DatetimeIndex,
        assets: list[str],
        names: list[str],
        y: np.ndarray | Unchanged = UNCHANGED,
        X: np.ndarray | Unchanged = UNCHANGED,
        valid: np.ndarray | Unchanged = UNCHANGED,
        horizon: int = 0,
        groups: pd.DataFrame | None = None,
        dropped: tuple[Dropped, ...] = (),
        *,
        cells: Cells | None = None,
        weights: np.ndarray | Unchanged | None = UNCHANGED,
        raw: np.ndarray | Unchanged | None = UNCHANGED,
        **others: Any,
    ) -> None:
        """A panel of these cells, or of arrays of every cell.

        Args:
            y: target (T, N); row t is known at row t + horizon.
            X: features (T, N, K); row t uses data up to t.
            valid: (T, N), True where the target and every feature are finite.
            weights: (T, N) positive weights of the cells, None where all count the same.
            raw: (T, N) the target as it is, to score against; None where y is that.
            others: any of the other attributes.
        """
        arrays = {"y": y, "X": X, "valid": valid, "weights": weights, "raw": raw}
        given: dict[str, Any] = {
            name: values for name, values in arrays.items() if values is not UNCHANGED
        }
        if cells is None:
            cells = Cube(**given)
        elif given:
            cells = replace(cells.cube, **given)
        strangers = sorted(set(others) - set(ABSENT))
        if strangers:
            raise TypeError(f"a panel has no {listed(strangers)}")
        own = {
            "dates": dates,
            "assets": assets,
            "names": names,
            "cells": cells,
            "horizon": horizon,
            "groups": pd.DataFrame(index=assets) if groups is None else groups,
            "dropped": dropped,
        }
        attributes = {**ABSENT, **own, **others}
        levels = attributes["levels"] or Levels(cells, {})
        attributes["levels"] = levels.shared_with(cells, attributes["labels"])
        for name, value in attributes.items():
            object.__setattr__(self, name, value)  # as a frozen dataclass sets its own

    @cached_property
    def y(self) -> np.ndarray:
        """Target (T, N); row t is known at row t + horizon."""
        return np.asarray(self.cells.wide("y"))

    @cached_property
    def X(self) -> np.ndarray:  # noqa: N802
        """Features (T, N, K); row t uses data up to t."""
        return np.asarray(self.cells.wide("X"))

    @cached_property
    def valid(self) -> np.ndarray:
        """(T, N), True where the target and every feature are finite."""
        return np.asarray(self.cells.wide("valid"))

    @cached_property
    def weights(self) -> np.ndarray | None:
        """(T, N) positive weights of the cells, None where all count the same."""
        weights: np.ndarray | None = self.cells.wide("weights")
        return weights

    @cached_property
    def raw(self) -> np.ndarray | None:
        """(T, N) the target as it is, to score against; None where y is that."""
        raw: np.ndarray | None = self.cells.wide("raw")
        return raw

    @property
    def grouping(self) -> Groups:
        """Every label of the assets by its name, those for ever and those of the date."""
        return Groups(self.groups, self.labels)

    @property
    def owners(self) -> np.ndarray:
        """(N,) number of the asset of each column; without several columns of one, its own."""
        if self.owner is None:
            return np.arange(len(self.assets))
        return self.owner

    @cached_property
    def usable_by_date(self) -> np.ndarray:
        """(T,) number of usable cells."""
        return self.cells.usable_by_date()

    @property
    def usable(self) -> np.ndarray:
        """(T,) whether some asset has a target and every feature; splitters count these rows."""
        return self.usable_by_date > 0

    @property
    def usable_cells(self) -> int:
        """Cells (date x asset) with a usable row."""
        return int(self.usable_by_date.sum())

    @property
    def scored(self) -> np.ndarray:
        """(T, N) what forecasts are judged by: the target as it is, whatever is fitted."""
        if self.raw is None:
            return self.y
        return self.raw

    def scored_cells(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions (n,) of the dates and assets of the usable cells, and the same of these."""
        return scored_cells(self.cells)

    def in_units(self, forecast: np.ndarray) -> np.ndarray:
        """Forecasts of y in the unit of what they are judged by."""
        with np.errstate(over="ignore"):
            for name in self.back:
                transform = getattr(np, name)
                forecast = transform(forecast)
        return forecast

    def with_arrays(self, **arrays: np.ndarray | None) -> Panel:
        """The panel with other arrays of every cell: y, X, valid, weights or raw."""
        others: dict[str, Any] = dict(arrays)
        return replace(self, cells=replace(self.cells.cube, **others))

    def at(self, rows: np.ndarray) -> Panel:
        """The panel on the rows at these positions; rows that follow each other are not copied."""
        selection = adjacent(rows)
        return replace(
            self,
            dates=self.dates[selection],
            cells=self.cells.at(rows),
            shared=None,
            by_rule={},
            sessions=_selected(self.sessions, selection),
            kept=_selected(self.kept, selection),
            labels={name: of_name.at(selection) for name, of_name in self.labels.items()},
        )

    def rest(self) -> None:
        """Give the memory of large features and moments back until they are read again."""
        rest(self.cells)
        if self.shared is not None:
            self.shared.rest()

    def without_targets(self, rows: np.ndarray) -> Panel:
        """The panel on these rows as it is known before their targets are.

        y and raw are NaN, and `valid` is True where every feature is finite.
        """
        known = self.at(rows)
        return replace(known, cells=known.cells.without_targets())

    def part(self, rows: np.ndarray, assets: np.ndarray) -> Panel:
        """The panel on the rows and assets at these positions."""
        names = [self.assets[i] for i in assets]
        groups = self.groups
        if len(groups):
            groups = groups.loc[names]
        labels = {}
        for name, of_name in self.labels.items():
            labels[name] = of_name.at(rows).of_columns(assets)
        return replace(
            self,
            dates=self.dates[rows],
            assets=names,
            cells=self.cells.part(rows, assets),
            groups=groups,
            kept=_selected(self.kept, np.ix_(rows, assets)),
            shared=None,
            sessions=_selected(self.sessions, rows),
            by_rule={},
            labels=labels,
            owner=_selected(self.owner, assets),
        )

    def of(self, names: Sequence[str], weights: str | None) -> Panel:
        """The panel of these features alone, in the order of the panel.

        A cell is usable where they, the target and the weight are known, whatever the other
        features are.

        Args:
            weights: the field that weighs the rows, for the account of what is left out.

        Raises:
            DataError: the panel is in files, and steps left cells out of it.
        """
        # the account of what the features lack is its last part
        count = len(self.dropped) - len(self.unknown)
        before = self.dropped[:count]
        cells: Cells
        unknown: Sequence[Dropped]
        if isinstance(self.cells, Stored):
            cells, unknown = self._of_files(self.cells, names, weights, before)
        else:
            positions = [self.names.index(name) for name in names]
            held = self.cells if names else with_lone(self.cells)
            of_names = replace(held, X=kept_columns(held.X, positions))
            cells, unknown = usable_cells(of_names, list(names), weights, self.kept, self.by_rule)
        return replace(
            self,
            names=list(names),
            cells=cells,
            dropped=(*before, *unknown),
            unknown=tuple(unknown),
            shared=None,
            levels=Levels(cells, self.labels),
        )

    def _of_files(
        self,
        cells: Stored,
        names: Sequence[str],
        weights: str | None,
        before: Sequence[Dropped],
    ) -> tuple[Stored, list[Dropped]]:
        """The cells of these features, and why others are not usable.

        Of features, what they lack is not told from what a rule took of them.

        Args:
            before: what was left out before that.

        Raises:
            DataError: what steps left out of these features alone is not known.
        """
        from runner.panels.numbers.own_rows import own_rows

        if any(line.what == ASSET_DATE for line in before):
            raise DataError(LEFT_OUT)
        own, account = own_rows(cells, self.names, names, weights)
        of_target = [line for line in self.unknown if line.reason.startswith("target ")]
        others = [line for line in account if not line.reason.startswith("target ")]
        return own, [*of_target, *others]

    def dummies(self, names: Sequence[str] | None) -> np.ndarray:
        """Zeros and ones (N, L) of the levels `group:level` among these regressors.

        Regressors that are features have no column.
        """
        columns_of: dict[str, list[int]] = {}
        labels_of: dict[str, list[str]] = {}
        levels = [name for name in names or () if name not in self.names]
        for column, level in enumerate(levels):
            group, label = level.split(":", 1)
            columns_of.setdefault(group, []).append(column)
            labels_of.setdefault(group, []).append(label)
        dummies = np.zeros((len(self.assets), len(levels)))
        for group, labels in labels_of.items():
            columns = np.array(columns_of[group])
            of_assets = self.grouping.get(group, "model.dummies")
            if of_assets.by_date:
                raise DataError(f"{group} changes over time; allowed here: labels that do not")
            position = pd.Index(labels).get_indexer(of_assets.values)[of_assets.codes[0]]
            has_level = position >= 0
            own_column = columns[position[has_level]]
            dummies[has_level, own_column] = 1.0
        return dummies

    def __repr__(self) -> str:
        size = f"{len(self.dates):,} dates x {len(self.assets):,} assets"
        cells = f"{self.usable_cells:,} usable cells"
        return f"<Panel: {size}, {cells}, horizon {self.horizon}, features {listed(self.names)}>"

    def shared_moments(
        self,
        rows: np.ndarray,
        names: Sequence[str] | None,
        by: str | None,
        owns: Sequence[np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Moments (U, P, P) of units on these rows that folds share, and the point they are about.

        None where they are of other arrays or other rows (see `runner.panels.segments`).

        Args:
            names: the regressors, None for all features.
            by: what the units are; owns: positions of the assets of each.
        """
        shared = self.shared
        if shared is None or not shared.are_of(self.cells):
            return None
        return shared.of(rows, self._regressors(names), by, owns)

    def shared_moments_of_dates(
        self, names: Sequence[str] | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Moments (T, P, P) of every date that folds share, and the point they are about.

        None where they were not kept, or where one of the regressors `names` is a dummy.
        """
        shared = self.shared
        regressors = self._regressors(names)
        if shared is None or not shared.are_of(self.cells) or regressors.levels:
            return None
        return shared.of_dates(regressors.columns)

    def _regressors(self, names: Sequence[str] | None) -> Regressors:
        """The columns of these regressors, None for all features."""
        chosen = self.names if names is None else names
        columns = [self.names.index(name) for name in chosen if name in self.names]
        levels = tuple(name for name in chosen if name not in self.names)
        return Regressors(columns, levels, self.dummies(levels))

    @cached_property
    def calendar(self) -> Calendar:
        """How often its rows come."""
        return calendar_of(self.dates)

    @property
    def date_format(self) -> str:
        """How a date of this panel is written: with the time of day only where rows have one."""
        daily = (self.dates == self.dates.normalize()).all()
        if daily:
            return "%Y-%m-%d"
        return "%Y-%m-%d %H:%M"

    @property
    def dropped_cells(self) -> int:
        """Cells (date x asset) without a usable row."""
        return len(self.dates) * len(self.assets) - self.usable_cells


def _selected(values: Any, selection: Any) -> Any:
    """These rows or cells of values that a panel may not have; None where it has none."""
    if values is None:
        return None
    return values[selection]
