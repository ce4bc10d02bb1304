"""From what a sweep varies to the overrides of its jobs."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

from runner.errors import SpecError
from runner.sweeps.settings import Sweep

MOST_JOBS = 100_000  # what is more was hardly meant


@dataclass(frozen=True)
class Axis:
    """One key that varies: overrides to choose from, or the ends of an interval, even or in its
    logarithm.
    """

    key: str
    values: Sequence[str] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    def draw(self, chance: Random) -> str:
        """A value, each as likely."""
        if self.values:
            return chance.choice(self.values)
        if self.log:
            return (
                f"{self.key}={math.exp(chance.uniform(math.log(self.low), math.log(self.high)))!r}"
            )
        return f"{self.key}={chance.uniform(self.low, self.high)!r}"


def combinations(axes: Sequence[Axis], sweep: Sweep) -> list[tuple[str, ...]]:
    """The overrides of every job, in a fixed order.

    Raises:
        SpecError: values that cannot be combined so.
    """
    if sweep.search == "bayes" and (sweep.jobs or not axes):
        raise SpecError(
            "sweep.search: bayes needs keys that vary, and no jobs; allowed: key=a,b or interval(low, high)"
        )
    rows = sweep.jobs or [[]]
    open_ended = [axis.key for axis in axes if not axis.values]
    if open_ended and sweep.search in ("grid", "zip"):
        raise SpecError(
            [f"{key}: an interval; allowed with sweep.search=random or bayes" for key in open_ended]
        )
    if sweep.search == "zip":
        lengths = {axis.key: len(axis.values) for axis in axes}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{key} has {n}" for key, n in lengths.items())
            raise SpecError(
                f"sweep.search: zip takes values side by side; {told}; allowed: as many of each"
            )
        varied = list(zip(*(axis.values for axis in axes), strict=True)) or [()]
    elif sweep.search == "grid":
        varied = _grid(axes, len(rows))
    elif sweep.search == "random":
        varied = _drawn(axes, sweep)
    else:
        varied = _each(axes)
    return [(*row, *one) for row in rows for one in varied]


def _grid(axes: Sequence[Axis], rows: int) -> list[tuple[str, ...]]:
    size = rows * math.prod(len(axis.values) for axis in axes)
    if size > MOST_JOBS:
        raise SpecError(
            f"sweep: {size:,} combinations; allowed: {MOST_JOBS:,}, or sweep.search=random with draws"
        )
    return list(product(*(axis.values for axis in axes)))


def _each(axes: Sequence[Axis]) -> list[tuple[str, ...]]:
    """Every value of every key and the ends of every interval once, the other keys at their
    first.
    """
    ends = [
        axis.values or tuple(f"{axis.key}={end!r}" for end in (axis.low, axis.high))
        for axis in axes
    ]
    first = [values[0] for values in ends]
    found = {
        (*first[:k], value, *first[k + 1 :]): None
        for k, values in enumerate(ends)
        for value in values
    }
    return list(found)


def _drawn(axes: Sequence[Axis], sweep: Sweep) -> list[tuple[str, ...]]:
    """Different draws; fewer than asked for where there are no more combinations."""
    chance, found = Random(sweep.seed), dict[tuple[str, ...], None]()  # noqa: S311 (no secret)
    draws = sweep.draws or 0
    finite = all(axis.values for axis in axes)
    most = min(draws, math.prod(len(axis.values) for axis in axes)) if finite else draws
    while len(found) < most:
        found[tuple(axis.draw(chance) for axis in axes)] = None
    return list(found)


def over(key: str, values: Any) -> str:
    """What varies in a sweep kept in a file, as the command line has it: a list, or the same text
    as there.
    """
    if isinstance(values, list):
        return (
            f"{key}={','.join(map(_word, values))}"
            if len(values) > 1
            else f"{key}=choice({_word(values[0])})"
        )
    return f"{key}={values}"


def _word(value: Any) -> str:
    """A value in the grammar of the command line."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_word(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{','.join(map(_word, value))}]"
    if isinstance(value, str) and not re.fullmatch("[A-Za-z_][A-Za-z_0-9.]*", value):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return (
        "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )
