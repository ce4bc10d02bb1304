"""The factor panel (dates x assets x columns), with an account of every cell that is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from runner.data.attribution import Lost
from runner.data.calendar import Calendar, calendar_of
from runner.data.labels import Groups, Labels
from runner.data.notices import Dropped
from runner.errors import DataError, listed
from runner.panels.segments import Regressors, Shared
from runner.panels.usable import usable_cells
from runner.targets import UNKNOWN, Unit


@dataclass(frozen=True, repr=False)
class Panel:
    """Target and features on the rows to regress on.

    Attributes:
        dates: (T,) rows, increasing.
        assets: names (N,).
        names: names (K,) of the features.
        y: target (T, N); row t is known at row t + horizon.
        X: features (T, N, K); row t uses data up to t.
        valid: (T, N), True where the target and every feature are finite.
        horizon: rows that the target looks ahead; 0 means the same row.
        groups: frame (N, G), groups of the assets, one label each.
        weights: (T, N) positive weights of the cells, None where all count the same.
        raw: (T, N) the target as it is, to score against; None where y is that.
        back: names of numpy that take forecasts of y to the unit of the raw target, in this order.
        shared: moments that the folds of a run share, None without.
        sessions: (T,) number of the session of each row, None where rows are one series.
        dropped: what was left out, from the source to here; cells that are not valid are all
            counted.
        notes: sentences on the data that its reader should know.
        by_rule: name of a column -> its cells that lost their value to a rule, on the rows and
            assets of the data; a part of the panel has none.
        unknown: the last of those, cells without a target, a feature or a weight, by the column.
        kept: (T, N) cells that preprocessing kept; None where it kept all.
        labels: name -> labels of the date (T, N), known at t.
        unit: of the target as it is, before steps of preprocessing.
        owner: (N,) number of the asset that each column is a part of, where assets have several
            columns (see `runner.panels.spells`); None where every column is an asset.
    """

    dates: pd.DatetimeIndex
    assets: list[str]
    names: list[str]
    y: np.ndarray
    X: np.ndarray
    valid: np.ndarray
    horizon: int
    groups: pd.DataFrame
    dropped: tuple[Dropped, ...]
    weights: np.ndarray | None = None
    raw: np.ndarray | None = None
    back: tuple[str, ...] = ()
    shared: Shared | None = None
    sessions: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    by_rule: Mapping[str, Sequence[Lost]] = field(default_factory=dict)
    unknown: tuple[Dropped, ...] = ()
    kept: np.ndarray | None = None
    labels: Mapping[str, Labels] = field(default_factory=dict)
    owner: np.ndarray | None = None
    unit: Unit = UNKNOWN

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

    @property
    def usable(self) -> np.ndarray:
        """(T,) whether some asset has a target and every feature; splitters count these rows."""
        return np.asarray(self.valid.any(axis=1))

    @property
    def scored(self) -> np.ndarray:
        """(T, N) what forecasts are judged by: the target as it is, whatever is fitted."""
        if self.raw is None:
            return self.y
        return self.raw

    def in_units(self, forecast: np.ndarray) -> np.ndarray:
        """Forecasts of y in the unit of what they are judged by."""
        with np.errstate(over="ignore"):
            for name in self.back:
                transform = getattr(np, name)
                forecast = transform(forecast)
        return forecast

    def at(self, rows: np.ndarray) -> Panel:
        """The panel on the rows at these positions; rows that follow each other are not copied."""
        selection: slice | np.ndarray = rows
        adjacent = (np.diff(rows) == 1).all()
        if len(rows) and adjacent:
            first = int(rows[0])
            last = int(rows[-1])
            selection = slice(first, last + 1)
        parts: dict[str, Any] = {}
        for name in ("weights", "raw", "sessions", "kept"):
            parts[name] = _selected(getattr(self, name), selection)
        return replace(
            self,
            dates=self.dates[selection],
            y=self.y[selection],
            X=self.X[selection],
            valid=self.valid[selection],
            shared=None,
            by_rule={},
            labels={name: of_name.at(selection) for name, of_name in self.labels.items()},
            **parts,
        )

    def without_targets(self, rows: np.ndarray) -> Panel:
        """The panel on these rows as it is known before their targets are.

        y and raw are NaN, and `valid` is True where every feature is finite.
        """
        known = self.at(rows)
        missing = np.broadcast_to(np.nan, known.y.shape)
        raw = known.raw
        if raw is not None:
            raw = missing
        valid = np.isfinite(known.X).all(axis=2)
        return replace(known, y=missing, raw=raw, valid=valid)

    def part(self, rows: np.ndarray, assets: np.ndarray) -> Panel:
        """The panel on the rows and assets at these positions."""
        cells = np.ix_(rows, assets)
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
            y=self.y[cells],
            X=self.X[cells],
            valid=self.valid[cells],
            groups=groups,
            weights=_selected(self.weights, cells),
            raw=_selected(self.raw, cells),
            kept=_selected(self.kept, cells),
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
        """
        positions = [self.names.index(name) for name in names]
        X = self._columns(positions)
        kept = self.kept
        if kept is None:
            kept = np.ones(self.y.shape, dtype=bool)
        valid, unknown = usable_cells(
            self.y, X, list(names), self.weights, weights, kept, self.by_rule
        )
        # the account of what the features lack is its last part
        count = len(self.dropped) - len(self.unknown)
        before = self.dropped[:count]
        return replace(
            self,
            names=list(names),
            X=X,
            valid=valid,
            dropped=(*before, *unknown),
            unknown=unknown,
            shared=None,
        )

    def known(self, names: Sequence[str]) -> np.ndarray:
        """Cells (T, N) in which the target, these features and the weight are known.

        They are the usable cells of `of(names)`; only cells that are not usable here are looked at.
        """
        known = self.valid.copy()
        others = ~self.valid
        if self.kept is not None:
            others &= self.kept
        t, i = np.nonzero(others)
        are_known = np.isfinite(self.y[t, i])
        for name in names:
            values = self.X[t, i, self.names.index(name)]
            are_known &= np.isfinite(values)
        if self.weights is not None:
            weights = self.weights[t, i]
            are_known &= (weights > 0.0) & np.isfinite(weights)
        known[t, i] = are_known
        return known

    def _columns(self, positions: list[int]) -> np.ndarray:
        """The features at these positions (T, N, k); those that follow each other, not copied."""
        if positions:
            first = positions[0]
            last = positions[-1]
            if positions == list(range(first, last + 1)):
                return self.X[:, :, first : last + 1]
        return np.take(self.X, positions, axis=2)

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
        cells = f"{int(self.valid.sum()):,} usable cells"
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
        if shared is None or not shared.are_of(self.X, self.y, self.valid):
            return None
        columns = list(range(len(self.names)))
        levels: tuple[str, ...] = ()
        if names is not None:
            columns = [self.names.index(name) for name in names if name in self.names]
            levels = tuple(name for name in names if name not in self.names)
        return shared.of(rows, Regressors(columns, levels, self.dummies(levels)), by, owns)

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
        return int(self.valid.size - self.valid.sum())


def _selected(values: Any, selection: Any) -> Any:
    """These rows or cells of values that a panel may not have; None where it has none."""
    if values is None:
        return None
    return values[selection]
