"""The units of a panel, reduced for any part of the rows: from moments, or from rows where moments
lose digits.

The panel is read once: moments are summed over each segment of the rows, and a part of the rows is
a sum of segments. Letters as in `runner.numerics.moments`; S segments, U units, L lines (a constant and
slopes).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from runner.estimators.estimation import design, regressors
from runner.estimators.shrinkage import Reduced, dummies_of, from_moments, from_rows, refuse
from runner.numerics.moments import moments, of_units, shift_of, together, with_zeros
from runner.panels.units import ASSET, DATE, Unit

if TYPE_CHECKING:
    from runner.models.regression import Regression
    from runner.panels.panel import Panel

MOST_NUMBERS = 2**26  # held as moments at a time; regressions with more are reduced from rows
KEPT_DIGITS = (
    1e-6  # least sum of squared errors, relative to the terms that it is the difference of
)
T = TypeVar("T")


class Lost(Exception):
    """Moments would lose digits."""


@dataclass(frozen=True)
class Sums:
    """One unit by its moments (S, P, P) about `shift` (P - 1,); `names` (K,) of the regressors."""

    M: np.ndarray
    shift: np.ndarray
    names: list[str]
    model: Regression

    def reduced(self, part: np.ndarray) -> Reduced | None:
        """The rows of these segments, `part` (S,); None where there are fewer than two.

        Raises:
            Lost: they have to be reduced from rows.
        """
        M = self.M[part].sum(axis=0)
        if M[0, 0] < 2:
            return None
        dummies = dummies_of(self.names) if self.model.constant else []
        found = from_moments(M, self.shift, self.model.constant, self.model.standardise, dummies)
        if found is None:
            raise Lost
        return found

    def squared(
        self, part: np.ndarray, constant: np.ndarray, slopes: np.ndarray
    ) -> tuple[int, np.ndarray]:
        """Rows of these segments, and sums (L,) of squared errors of lines, constants (L,) and
        slopes (L, K).

        Raises:
            Lost: they have to be computed from rows.
        """
        M = self.M[part].sum(axis=0)
        about = constant - self.shift[-1] + slopes @ self.shift[:-1]
        v = np.column_stack([-about, -slopes, np.ones(len(slopes))])
        squared = np.einsum("lp,lp->l", v @ M, v)
        if not (squared >= KEPT_DIGITS * (np.abs(v) @ np.sqrt(np.diagonal(M))) ** 2).all():
            raise Lost
        return int(M[0, 0]), squared


@dataclass(frozen=True)
class Cells:
    """One unit by its rows X (n, K), y (n,), each in a `segment` (n,); `names` (K,) of the
    regressors.
    """

    X: np.ndarray
    y: np.ndarray
    segment: np.ndarray
    names: list[str]
    model: Regression

    def refuse(self) -> None:
        """Raise NotEstimable where the rows have no penalised regression."""
        refuse(self.X, self.y, self.names, self.model.constant, self.model.standardise)

    def reduced(self, part: np.ndarray) -> Reduced | None:
        """The rows of these segments, `part` (S,); None where there are fewer than two."""
        at = part[self.segment]
        if at.sum() < 2:
            return None
        return from_rows(self.X[at], self.y[at], self.model.constant, self.model.standardise)

    def squared(
        self, part: np.ndarray, constant: np.ndarray, slopes: np.ndarray
    ) -> tuple[int, np.ndarray]:
        """Rows of these segments, and sums (L,) of squared errors of lines, constants (L,) and
        slopes (L, K).
        """
        at = part[self.segment]
        found = np.zeros(len(slopes))
        for line, (a, b) in enumerate(zip(constant, slopes, strict=True)):
            found[line] = np.sum((self.y[at] - a - self.X[at] @ b) ** 2)
        return int(at.sum()), found


@dataclass(frozen=True)
class Reductions:
    """All units of one fit.

    Attributes:
        model, panel, units: what is fitted.
        segment: (T,) segment of each row of the panel; zero by date, where every unit is one
            segment.
        M: (S, U, P, P) moments about `shift` (1 or U, P - 1); None where they would be too many.
    """

    model: Regression
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
        names = self.model.terms(self.panel.names)[self.model.constant :]
        return Sums(self.M[:, u], self.shift[u if len(self.shift) > 1 else 0], names, self.model)

    def cells(self, u: int) -> Cells:
        """A unit by its rows."""
        model, (t, i) = self.model, self.units[u].cells(self.panel)
        X = design(self.panel, t, i, model.regressors, constant=False)
        names = model.terms(self.panel.names)[model.constant :]
        return Cells(X, self.panel.y[t, i], self.segment[t], names, model)

    def either(self, u: int, do: Callable[[Sums | Cells], T]) -> T:
        """What `do` makes of a unit by its moments, or by its rows where those would lose
        digits.
        """
        try:
            return do(self.sums(u))
        except Lost:
            return do(self.cells(u))


def reductions(
    model: Regression, panel: Panel, rows: np.ndarray, units: list[Unit], segment: np.ndarray
) -> Reductions:
    """The units of the panel on these rows (R,), each in a `segment` (R,)."""
    if (
        segment.max(initial=0) == 0
        and model.constant
        and model.by != DATE
        and panel.shared is not None
    ):
        known = panel.shared.of(panel, rows, model.regressors, model.by, units)
        if known is not None:
            place = np.zeros(len(panel.dates), dtype=int)
            return Reductions(model, panel, units, place, known[0][None], known[1][0])
    span = slice(
        rows.min(), rows.max() + 1
    )  # rows outside cost nothing and cannot move the last bit
    place, use = np.zeros(len(panel.dates), dtype=int), np.zeros_like(panel.valid[span])
    use[rows - span.start] = panel.valid[rows]
    part = panel.at(np.arange(span.start, span.stop))
    X, y = regressors(part, model.regressors), part.y
    P, own = X.shape[2] + 2, model.by in (ASSET, DATE)
    if model.by != DATE:
        place[rows] = segment
    S = int(place.max()) + 1
    member = panel.dummies(model.regressors)
    L = member.shape[1]
    most = max(P * P * (len(rows) if model.by == DATE else len(panel.assets) * S), S * (P + L) ** 2)
    if most > MOST_NUMBERS or not use.any():
        return Reductions(model, panel, units, place, None, np.zeros((1, P + L - 1)))
    # without a constant sums are about zero, as the regression is
    shift = (
        shift_of(X, y, use, model.by if own else None)
        if model.constant
        else np.zeros((1, 1, P - 1))
    )
    if model.by == DATE:
        at = rows - span.start
        M = moments(X, y, use, shift, by_date=True)[None, at]
        return Reductions(
            model, panel, units, place, M, shift[at, 0] if len(shift) > 1 else shift[0]
        )
    M = np.zeros((S, len(units), P + L, P + L))
    for start, stop in _runs(rows, segment):
        at = slice(rows[start] - span.start, rows[stop - 1] + 1 - span.start)
        if L:
            one = moments(X[at], y[at], use[at], shift, by_date=False, whole=y.size)
            M[segment[start]] += together(one, np.zeros(one[:, 0, 1:].shape), member)
        else:
            M[segment[start]] += _of_run(model.by, X[at], y[at], use[at], shift, units, y.size)
    return Reductions(model, panel, units, place, M, with_zeros(shift, L)[0])


def _runs(rows: np.ndarray, segment: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of the rows that follow each other within one segment."""
    edges = np.flatnonzero((np.diff(segment) != 0) | (np.diff(rows) != 1)) + 1
    return list(zip([0, *edges.tolist()], [*edges.tolist(), len(rows)], strict=True))


def _of_run(
    by: str | None,
    X: np.ndarray,
    y: np.ndarray,
    use: np.ndarray,
    shift: np.ndarray,
    units: list[Unit],
    whole: int,
) -> np.ndarray:
    """Moments (U, P, P) of adjacent rows, a part of a panel of `whole` cells."""
    if by is not None:
        M = moments(X, y, use, shift, by_date=False, whole=whole)
        return of_units(M, units, by)
    length = max(MOST_NUMBERS // (X.shape[2] + 2) ** 2, 1)
    blocks = [slice(start, start + length) for start in range(0, len(y), length)]
    return sum(
        moments(X[at], y[at], use[at], shift, by_date=True, whole=whole).sum(axis=0)
        for at in blocks
    )[None]
