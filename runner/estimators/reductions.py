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

from runner.estimators.estimation import design, regressors
from runner.estimators.shrinkage import Reduced, dummies_of, from_moments, from_rows, refuse
from runner.numerics.moments import moments, of_units, shift_of, together, with_zeros
from runner.panels.units import ASSET, DATE, Unit

if TYPE_CHECKING:
    from runner.estimators.settings import RegressionSettings
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

    def reduced(self, part: np.ndarray) -> Reduced | None:
        """The rows of these segments, `part` (S,); None where there are fewer than two.

        Raises:
            Lost: they have to be reduced from rows.
        """
        model = self.model
        M = self.M[part].sum(axis=0)
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
        M = self.M[part].sum(axis=0)
        # an error is v' z, z = [1, x - shift, y - shift], and its square v' z z' v
        x_shift = self.shift[:-1]
        y_shift = self.shift[-1]
        moved = constant - y_shift + slopes @ x_shift
        v = np.column_stack([-moved, -slopes, np.ones(len(slopes))])
        squared = np.einsum("lp,lp->l", v @ M, v)
        largest = np.abs(v) @ np.sqrt(np.diagonal(M))
        kept = squared >= KEPT_DIGITS * largest**2
        if not kept.all():
            raise Lost
        return int(M[0, 0]), squared


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
        at = part[self.segment]
        if at.sum() < 2:
            return None
        return from_rows(self.X[at], self.y[at], model.constant, model.standardise)

    def squared(
        self, part: np.ndarray, constant: np.ndarray, slopes: np.ndarray
    ) -> tuple[int, np.ndarray]:
        """Rows of these segments, and the sum of squared errors (L,) of each line on them.

        Args:
            part: (S,) whether each segment is one of these.
            constant, slopes: (L,) and (L, K), the lines.
        """
        at = part[self.segment]
        X = self.X[at]
        y = self.y[at]
        squared = np.zeros(len(slopes))
        for line, b in enumerate(slopes):
            errors = y - constant[line] - X @ b
            squared[line] = np.sum(errors**2)
        return int(at.sum()), squared


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
        shift = self.shift[u] if len(self.shift) > 1 else self.shift[0]
        return Sums(self.M[:, u], shift, self._names(), self.model)

    def cells(self, u: int) -> Cells:
        """A unit by its rows."""
        t, i = self.units[u].cells(self.panel)
        X = design(self.panel, t, i, self.model.regressors, constant=False)
        y = self.panel.y[t, i]
        return Cells(X, y, self.segment[t], self._names(), self.model)

    def _names(self) -> list[str]:
        """Names (K,) of the regressors."""
        terms = self.model.terms(self.panel.names)
        return terms[1:] if self.model.constant else terms

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
        X, y: regressors (T', N, K) and target (T', N).
        use: (T', N) cells in use, those of the rows fitted.
        first: row of the panel where they begin.
    """

    X: np.ndarray
    y: np.ndarray
    use: np.ndarray
    first: int

    @classmethod
    def of(cls, model: RegressionSettings, panel: Panel, rows: np.ndarray) -> _Part:
        first = rows.min()
        span = slice(first, rows.max() + 1)
        use = np.zeros_like(panel.valid[span])
        use[rows - first] = panel.valid[rows]
        part = panel.at(np.arange(span.start, span.stop))
        return cls(regressors(part, model.regressors), part.y, use, first)

    def shift(self, model: RegressionSettings) -> np.ndarray:
        """The point that moments are about; zero without a constant, as the regression is."""
        if not model.constant:
            return np.zeros((1, 1, self.X.shape[2] + 1))
        by = model.by if model.by in (ASSET, DATE) else None
        return shift_of(self.X, self.y, self.use, by)

    def at(self, start: int, stop: int) -> _Part:
        rows = slice(start, stop)
        return _Part(self.X[rows], self.y[rows], self.use[rows], self.first + start)

    def moments(self, shift: np.ndarray, by_date: bool, whole: int = 0) -> np.ndarray:
        """Moments of every date or asset, a part of a panel of `whole` cells."""
        return moments(self.X, self.y, self.use, shift, by_date=by_date, whole=whole)


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
    segments = np.zeros(len(panel.dates), dtype=int)
    if model.by != DATE:
        segments[rows] = segment
    S = int(segments.max()) + 1
    P = part.X.shape[2] + 2
    member = panel.dummies(model.regressors)
    L = member.shape[1]
    summed = len(rows) if model.by == DATE else len(panel.assets) * S
    numbers = max(summed * P**2, S * (P + L) ** 2)
    if numbers > MOST_NUMBERS or not part.use.any():
        none = np.zeros((1, P + L - 1))
        return Reductions(model, panel, units, segments, None, none)
    shift = part.shift(model)
    if model.by == DATE:
        at = rows - part.first
        M = part.moments(shift, by_date=True)[None, at]
        points = shift[at, 0] if len(shift) > 1 else shift[0]
        return Reductions(model, panel, units, segments, M, points)
    U = len(units)
    M = np.zeros((S, U, P + L, P + L))
    for start, stop in _runs(rows, segment):
        first, last = rows[[start, stop - 1]] - part.first
        run = part.at(first, last + 1)
        if L:
            sums = _with_dummies(run, shift, member, part.y.size)
        else:
            sums = _of_run(model.by, run, shift, units, part.y.size)
        M[segment[start]] += sums
    return Reductions(model, panel, units, segments, M, with_zeros(shift, L)[0])


def _shared(
    model: RegressionSettings,
    panel: Panel,
    rows: np.ndarray,
    units: list[Unit],
    segment: np.ndarray,
) -> Reductions | None:
    """From moments that the folds of a run share; None where they do not hold these."""
    if segment.max(initial=0) > 0:
        return None
    if not model.constant or model.by == DATE:
        return None
    owns = [unit.assets for unit in units]
    shared = panel.shared_moments(rows, model.regressors, model.by, owns)
    if shared is None:
        return None
    M, point = shared
    segments = np.zeros(len(panel.dates), dtype=int)
    return Reductions(model, panel, units, segments, M[None], point[0])


def _runs(rows: np.ndarray, segment: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of the rows that follow each other within one segment."""
    new_segment = np.diff(segment) != 0
    gap = np.diff(rows) != 1
    edges = (np.flatnonzero(new_segment | gap) + 1).tolist()
    starts = [0, *edges]
    stops = [*edges, len(rows)]
    return list(zip(starts, stops, strict=True))


def _with_dummies(run: _Part, shift: np.ndarray, member: np.ndarray, whole: int) -> np.ndarray:
    """Moments (P + L, P + L) of adjacent rows with dummies (N, L), a part of `whole` cells."""
    M = run.moments(shift, by_date=False, whole=whole)
    about_shift = np.zeros(M[:, 0, 1:].shape)
    return together(M, about_shift, member)


def _of_run(
    by: str | None, run: _Part, shift: np.ndarray, units: list[Unit], whole: int
) -> np.ndarray:
    """Moments (U, P, P) of adjacent rows, a part of a panel of `whole` cells."""
    if by is not None:
        M = run.moments(shift, by_date=False, whole=whole)
        return of_units(M, [unit.assets for unit in units], by)
    P = run.X.shape[2] + 2
    length = max(MOST_NUMBERS // P**2, 1)
    total = np.zeros((P, P))
    for start in range(0, len(run.y), length):
        block = run.at(start, start + length)
        M = block.moments(shift, by_date=True, whole=whole)
        total += M.sum(axis=0)
    return total[None]
