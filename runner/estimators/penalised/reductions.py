"""The units of a panel, reduced for any part of the rows: from moments, or from rows.

The panel is read once: moments are summed over each segment of the rows, and a part of the rows is
a sum of segments. Where moments lose digits, the rows are reduced instead. Letters as in
`runner.numerics.moments`; S segments, U units, L lines (a constant and slopes).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from runner.estimators.estimation import columns_of, design
from runner.estimators.penalised.shrinkage import (
    Reduced,
    dummies_of,
    from_moments,
    from_rows,
    refuse,
)
from runner.numerics.moments import of_units, together, with_zeros
from runner.panels.units import ASSET, DATE, Unit

if TYPE_CHECKING:
    from runner.estimators.settings import RegressionSettings
    from runner.panels.numbers.cells import Cells as AnyCells
    from runner.panels.panel import Panel

MOST_NUMBERS = 2**26  # held as moments at a time; regressions with more are reduced from rows
# Least sum of squared errors, relative to the terms that it is the difference of.
KEPT_DIGITS = 1e-6
T = TypeVar("T")


class Lost(Exception):
    """Moments would lose digits."""


@dataclass(frozen=True)
class Sums:
    """One unit by its moments (S, P, P) about `shift` (P - 1,); `names` (K,) of the regressors."""

    M: np.ndarray
    shift: np.ndarray
    names: list[str]
    model: RegressionSettings

    @np.errstate(over="ignore", invalid="ignore")  # rows say which column is too large
    def reduced(self, part: np.ndarray) -> Reduced | None:
        """The rows of these segments, `part` (S,); None where there are fewer than two.

        Raises:
            Lost: they have to be reduced from rows.
        """
        model = self.model
        of_segments = self.M[part]
        M = of_segments.sum(axis=0)
        if M[0, 0] < 2:
            return None
        dummies = dummies_of(self.names) if model.constant else []
        reduced = from_moments(M, self.shift, model.constant, model.standardise, dummies)
        if reduced is None:
            raise Lost
        return reduced

    def squared(
        self, part: np.ndarray, constant: np.ndarray, slopes: np.ndarray
    ) -> tuple[int, np.ndarray]:
        """Rows of these segments, and the sum of squared errors (L,) of each line on them.

        Args:
            part: (S,) whether each segment is one of these.
            constant, slopes: (L,) and (L, K), the lines.

        Raises:
            Lost: they have to be computed from rows.
        """
        of_segments = self.M[part]
        M = of_segments.sum(axis=0)
        # an error is v' z, z = [1, x - shift, y - shift], and its square v' z z' v
        x_shift = self.shift[:-1]
        y_shift = self.shift[-1]
        of_shift = slopes @ x_shift
        moved = constant - y_shift + of_shift
        ones = np.ones(len(slopes))
        v = np.column_stack([-moved, -slopes, ones])
        squared = np.einsum("lp,lp->l", v @ M, v)
        squares = np.diagonal(M)
        sizes = np.sqrt(squares)
        largest = np.abs(v) @ sizes
        kept = squared >= KEPT_DIGITS * largest**2
        if not kept.all():
            raise Lost
        rows = int(M[0, 0])
        return rows, squared


@dataclass(frozen=True)
class Cells:
    """One unit by its rows.

    Attributes:
        X, y: (n, K) and (n,).
        segment: (n,) of each row.
        names: (K,) of the regressors.
        model: what is fitted.
    """

    X: np.ndarray
    y: np.ndarray
    segment: np.ndarray
    names: list[str]
    model: RegressionSettings

    def refuse(self) -> None:
        """Raise NotEstimable where the rows have no penalised regression."""
        model = self.model
        refuse(self.X, self.y, self.names, model.constant, model.standardise)

    def reduced(self, part: np.ndarray) -> Reduced | None:
        """The rows of these segments, `part` (S,); None where there are fewer than two."""
        model = self.model
        chosen = part[self.segment]
        if chosen.sum() < 2:
            return None
        X = self.X[chosen]
        y = self.y[chosen]
        return from_rows(X, y, model.constant, model.standardise)

    def squared(
        self, part: np.ndarray, constant: np.ndarray, slopes: np.ndarray
    ) -> tuple[int, np.ndarray]:
        """Rows of these segments, and the sum of squared errors (L,) of each line on them.

        Args:
            part: (S,) whether each segment is one of these.
            constant, slopes: (L,) and (L, K), the lines.
        """
        chosen = part[self.segment]
        X = self.X[chosen]
        y = self.y[chosen]
        squared = np.zeros(len(slopes))
        for line, b in enumerate(slopes):
            fitted = X @ b
            errors = y - constant[line] - fitted
            squared[line] = np.sum(errors**2)
        return int(chosen.sum()), squared


@dataclass(frozen=True)
class Reductions:
    """All units of one fit.

    Attributes:
        model, panel, units: what is fitted.
        segment: (T,) segment of each row of the panel; zero by date, where every unit is one
            segment.
        M: (S, U, P, P) moments about `shift` (1 or U, P - 1); None where they would be too many.
    """

    model: RegressionSettings
    panel: Panel
    units: list[Unit]
    segment: np.ndarray
    M: np.ndarray | None
    shift: np.ndarray

    def sums(self, u: int) -> Sums:
        """A unit by its moments.

        Raises:
            Lost: there are none.
        """
        if self.M is None:
            raise Lost
        shift = self.shift[0]
        if len(self.shift) > 1:
            shift = self.shift[u]
        M = self.M[:, u]
        return Sums(M, shift, self._names(), self.model)

    def cells(self, u: int) -> Cells:
        """A unit by its rows."""
        model = self.model
        panel = self.panel
        used = self.units[u].used(panel)
        X = design(used, panel, model.regressors, constant=False)
        segment = self.segment[used.t]
        if len(self.units[u].assets) > 1:
            panel.rest()
        return Cells(X, used.y, segment, self._names(), model)

    def _names(self) -> list[str]:
        """Names (K,) of the regressors."""
        panel = self.panel
        terms = self.model.terms(panel.names)
        if self.model.constant:
            return terms[1:]
        return terms

    def either(self, u: int, do: Callable[[Sums | Cells], T]) -> T:
        """Apply a function to the moments of a unit, or to its rows where these lose digits."""
        try:
            return do(self.sums(u))
        except Lost:
            return do(self.cells(u))


class _Part(NamedTuple):
    """The adjacent rows of the panel from the `first` to the last one fitted.

    Rows outside cost nothing and cannot move the last bit.

    Attributes:
        cells: of these T' dates; usable are those of the rows fitted.
        columns: positions of the regressors among the features.
        first: row of the panel where they begin.
    """

    cells: AnyCells
    columns: list[int]
    first: int

    @classmethod
    def of(cls, model: RegressionSettings, panel: Panel, rows: np.ndarray) -> _Part:
        first = rows.min()
        positions = np.arange(first, rows.max() + 1)
        fitted = np.zeros(len(positions), dtype=bool)
        fitted[rows - first] = True
        cells = panel.cells.at(positions).used_on(fitted).unweighted()
        return cls(cells, columns_of(panel, model.regressors), first)

    def shift(self, model: RegressionSettings) -> np.ndarray:
        """The point that moments are about; zero without a constant, as the regression is."""
        if not model.constant:
            shape = (1, 1, len(self.columns) + 1)
            return np.zeros(shape)
        by = model.by if model.by in (ASSET, DATE) else None
        return self.cells.point(self.columns, by)

    def at(self, start: int, stop: int) -> _Part:
        T, _ = self.cells.shape
        dates = np.arange(start, min(stop, T))
        return _Part(self.cells.at(dates), self.columns, self.first + start)

    def moments(self, shift: np.ndarray, by_date: bool, whole: int = 0) -> np.ndarray:
        """Moments of every date or asset, a part of a panel of `whole` cells."""
        return self.cells.moments(self.columns, shift, by_date, whole)


@np.errstate(over="ignore", invalid="ignore")  # rows say which column is too large
def reductions(
    model: RegressionSettings,
    panel: Panel,
    rows: np.ndarray,
    units: list[Unit],
    segment: np.ndarray,
) -> Reductions:
    """The units of the panel on these rows (R,), each in a `segment` (R,)."""
    shared = _shared(model, panel, rows, units, segment)
    if shared is not None:
        return shared
    part = _Part.of(model, panel, rows)
    T = len(panel.dates)
    segments = np.zeros(T, dtype=int)
    if model.by != DATE:
        segments[rows] = segment
    S = int(segments.max()) + 1
    P = len(part.columns) + 2
    member = panel.dummies(model.regressors)
    L = member.shape[1]
    units_summed = len(rows) if model.by == DATE else len(panel.assets) * S
    size = P + L
    with_dummies = S * size**2
    numbers = max(units_summed * P**2, with_dummies)
    if numbers > MOST_NUMBERS or not part.cells.usable_by_date().any():
        shape = (1, size - 1)
        none = np.zeros(shape)
        return Reductions(model, panel, units, segments, None, none)
    shift = part.shift(model)
    if model.by == DATE:
        fitted = rows - part.first
        of_dates = part.moments(shift, by_date=True)
        M = of_dates[None, fitted]
        points = shift[0]
        if len(shift) > 1:
            points = shift[fitted, 0]
        return Reductions(model, panel, units, segments, M, points)
    of_segments = (S, len(units), size, size)
    M = np.zeros(of_segments)
    for start, stop in _runs(rows, segment):
        first = rows[start] - part.first
        last = rows[stop - 1] - part.first
        run = part.at(first, last + 1)
        if L:
            sums = _with_dummies(run, shift, member, part.cells.rows)
        else:
            sums = _of_run(model.by, run, shift, units, part.cells.rows)
        M[segment[start]] += sums
    point = with_zeros(shift, L)
    origin = point[0]
    return Reductions(model, panel, units, segments, M, origin)


def _shared(
    model: RegressionSettings,
    panel: Panel,
    rows: np.ndarray,
    units: list[Unit],
    segment: np.ndarray,
) -> Reductions | None:
    """From moments that the folds of a run share; None where they do not hold these."""
    if segment.any():
        return None
    if not model.constant or model.by == DATE:
        return None
    owns = [unit.assets for unit in units]
    shared = panel.shared_moments(rows, model.regressors, model.by, owns)
    if shared is None:
        return None
    M, point = shared
    T = len(panel.dates)
    segments = np.zeros(T, dtype=int)
    of_units = M[None]
    origin = point[0]
    return Reductions(model, panel, units, segments, of_units, origin)


def _runs(rows: np.ndarray, segment: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of the rows that follow each other within one segment."""
    new_segment = np.diff(segment) != 0
    gap = np.diff(rows) != 1
    new_run = new_segment | gap
    edges = np.flatnonzero(new_run) + 1
    inner = edges.tolist()
    starts = [0, *inner]
    stops = [*inner, len(rows)]
    return list(zip(starts, stops, strict=True))


def _with_dummies(run: _Part, shift: np.ndarray, member: np.ndarray, whole: int) -> np.ndarray:
    """Moments (P + L, P + L) of adjacent rows with dummies (N, L), a part of `whole` cells."""
    M = run.moments(shift, by_date=False, whole=whole)
    first_row = M[:, 0, 1:]
    about_shift = np.zeros(first_row.shape)
    return together(M, about_shift, member)


def _of_run(
    by: str | None, run: _Part, shift: np.ndarray, units: list[Unit], whole: int
) -> np.ndarray:
    """Moments (U, P, P) of adjacent rows, a part of a panel of `whole` cells."""
    if by is not None:
        M = run.moments(shift, by_date=False, whole=whole)
        owns = [unit.assets for unit in units]
        return of_units(M, owns, by)
    P = len(run.columns) + 2
    length = max(MOST_NUMBERS // P**2, 1)
    total = np.zeros((P, P))
    T, _ = run.cells.shape
    for start in range(0, T, length):
        block = run.at(start, start + length)
        M = block.moments(shift, by_date=True, whole=whole)
        total += M.sum(axis=0)
    return total[None]
