"""From what a sweep varies to the overrides of its jobs.

Adding a search = a class here and its name in SEARCHES. One of a user's own is named by
`sweep.search={_target_: module.Class, ...}`, its module by `allow`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from random import Random

from runner.errors import RunnerError, SpecError
from runner.sweeps import bayes
from runner.sweeps.axes import Axis, Tried
from runner.sweeps.entries import Entries
from runner.sweeps.settings import Sweep
from runner.text import one_line

MOST_JOBS = 100_000  # what is more was hardly meant
Rows = list[tuple[str, ...]]  # the overrides that only a job has, job by job


class Search:
    """Which combinations of what varies become jobs. Required is `propose`.

    The null cases are those of a search of a user's own, which is led by scores: it is asked again
    after each round of jobs, with their scores, until it has no more or `sweep.draws` are made. It
    keeps nothing between rounds, so that a sweep that was ended goes on as if it had not been.

    Attributes:
        led: whether it is led by the scores so far; else it is asked once, before anything runs.
        drawn: whether `sweep.draws` says how many there are.
        intervals: whether it takes keys that vary over an interval.
    """

    led: bool = True
    drawn: bool = True
    intervals: bool = True

    def propose(
        self, axes: Sequence[Axis], sweep: Sweep, history: Sequence[Tried], most: int
    ) -> Sequence[tuple[str, ...]]:
        """The next combinations: an override such as `model.cov=HAC` for each axis, in their order.

        Args:
            axes: what varies.
            sweep: the settings of the sweep, of which its seed and whether lower is better.
            history: the jobs so far with their scores; none of a search that is not led.
            most: how many run next.
        """
        raise NotImplementedError


class Planned(Search):
    """A search that has all combinations before anything runs."""

    led = False
    drawn = False
    intervals = False


class Grid(Planned):
    """Every value of each key with every value of all others."""

    def propose(
        self, axes: Sequence[Axis], sweep: Sweep, history: Sequence[Tried], most: int
    ) -> Rows:
        return _grid(axes, len(sweep.jobs or [[]]))


class Zip(Planned):
    """The first values of all keys, then the second ones, and so on."""

    def propose(
        self, axes: Sequence[Axis], sweep: Sweep, history: Sequence[Tried], most: int
    ) -> Rows:
        return _side_by_side(axes)


class Drawn(Planned):
    """Different random draws."""

    drawn = True
    intervals = True

    def propose(
        self, axes: Sequence[Axis], sweep: Sweep, history: Sequence[Tried], most: int
    ) -> Rows:
        return _drawn(axes, sweep)


class Bayes(Search):
    """Draws led by the scores so far (Optuna)."""

    def propose(
        self, axes: Sequence[Axis], sweep: Sweep, history: Sequence[Tried], most: int
    ) -> Rows:
        return bayes.propose(axes, sweep, history, most)


SEARCHES: dict[str, type[Search]] = {
    "grid": Grid,
    "zip": Zip,
    "random": Drawn,
    "bayes": Bayes,
}


ENTRIES = Entries("sweep.search", SEARCHES, Search, ("propose",))


def search_of(sweep: Sweep, allow: Sequence[str]) -> Search:
    """The search of a sweep.

    Raises:
        SpecError: there is none of that name; see `Entries.check`.
    """
    return ENTRIES.made(sweep.search, allow)


def check_search(sweep: Sweep, allow: Sequence[str]) -> None:
    """Refuse a search that there is not, and draws that it cannot go with.

    Raises:
        SpecError: one line each.
    """
    search = ENTRIES.check(sweep.search, allow)
    if search.drawn and sweep.draws is None:
        raise SpecError(
            f"sweep.draws: given null; allowed: how many to draw, for search={sweep.search}"
        )
    if not search.drawn and sweep.draws is not None:
        raise SpecError(
            f"sweep.draws: given {sweep.draws}; "
            f"allowed: null, for search={sweep.search} has every combination"
        )


def combinations(axes: Sequence[Axis], sweep: Sweep, search: Search) -> Rows:
    """The overrides of every job, in a fixed order; of a search led by scores, those to be checked.

    Raises:
        SpecError: values that cannot be combined so.
    """
    if search.led and (sweep.jobs or not axes):
        raise SpecError(
            f"sweep.search: {sweep.search} needs keys that vary, and no jobs; "
            "allowed: key=a,b or interval(low, high)"
        )
    if not search.intervals:
        _no_interval(axes)
    if search.led:
        return _each(axes)
    varied = search.propose(axes, sweep, (), MOST_JOBS)
    rows = sweep.jobs or [[]]
    return [(*row, *overrides) for row in rows for overrides in varied]


def proposals(
    search: Search, axes: Sequence[Axis], sweep: Sweep, history: Sequence[Tried], most: int
) -> Rows:
    """What a search led by scores proposes next and no job has been, at most so many.

    Raises:
        RunnerError: the search fails, or proposes what is no combination.
    """
    name = type(search).__name__
    try:
        rows = [tuple(row) for row in search.propose(axes, sweep, history, most)]
    except RunnerError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise RunnerError(f"sweep.search: {name}.propose raised {reason}") from None
    keys = [axis.key for axis in axes]
    known = {tried.differs for tried in history}
    fresh: Rows = []
    for row in rows:
        given = [str(override).partition("=")[0] for override in row]
        if given != keys or not all("=" in str(override) for override in row):
            raise RunnerError(
                f"sweep.search: {name} proposes {list(row)}; "
                f"allowed: an override for each of {', '.join(keys)}, in this order"
            )
        if row not in known:
            fresh.append(row)
            known.add(row)
    return fresh[:most]


def _no_interval(axes: Sequence[Axis]) -> None:
    """Refuse intervals, which have no list of values.

    Raises:
        SpecError: an axis is an interval.
    """
    drawing = " or ".join(name for name, search in SEARCHES.items() if search.intervals)
    allowed = f"allowed with sweep.search={drawing}"
    mistakes = [f"{axis.key}: an interval; {allowed}" for axis in axes if not axis.values]
    if mistakes:
        raise SpecError(mistakes)


def _side_by_side(axes: Sequence[Axis]) -> list[tuple[str, ...]]:
    """The first values of all keys, then the second ones, and so on."""
    if not axes:
        return [()]
    values = [axis.values for axis in axes]
    if len(set(map(len, values))) > 1:
        given = ", ".join(f"{axis.key} has {len(axis.values)}" for axis in axes)
        raise SpecError(
            f"sweep.search: zip takes values side by side; {given}; allowed: as many of each"
        )
    return list(zip(*values, strict=True))


def _grid(axes: Sequence[Axis], rows: int) -> list[tuple[str, ...]]:
    """Every value of each key with every value of all others."""
    values = [axis.values for axis in axes]
    size = rows * math.prod(map(len, values))
    if size > MOST_JOBS:
        raise SpecError(
            f"sweep: {size:,} combinations; "
            f"allowed: {MOST_JOBS:,}, or sweep.search=random with draws"
        )
    return list(product(*values))


def _each(axes: Sequence[Axis]) -> list[tuple[str, ...]]:
    """Each value of each key and the ends of each interval once, the other keys at their first."""
    ends = [axis.ends() for axis in axes]
    first = [values[0] for values in ends]
    rows: dict[tuple[str, ...], None] = {}
    for k, values in enumerate(ends):
        for value in values:
            rows[(*first[:k], value, *first[k + 1 :])] = None
    return list(rows)


def _drawn(axes: Sequence[Axis], sweep: Sweep) -> list[tuple[str, ...]]:
    """Different draws; fewer than asked for where there are no more combinations."""
    chance = Random(sweep.seed)  # noqa: S311 (no secret)
    most = sweep.draws or 0
    values = [axis.values for axis in axes]
    if all(values):
        most = min(most, math.prod(map(len, values)))
    rows: dict[tuple[str, ...], None] = {}
    while len(rows) < most:
        rows[tuple(axis.draw(chance) for axis in axes)] = None
    return list(rows)
