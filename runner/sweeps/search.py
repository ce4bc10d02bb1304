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
PLAIN_WORD = "[A-Za-z_][A-Za-z_0-9.]*"  # text that the command line takes without quotes


@dataclass(frozen=True)
class Axis:
    """One key that varies: overrides to choose from, or the ends of an interval.

    Draws from an interval are even, or even in its logarithm (`log`).
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
            value = math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
        else:
            value = chance.uniform(self.low, self.high)
        return f"{self.key}={value!r}"

    def ends(self) -> Sequence[str]:
        """The overrides to choose from, or those of both ends of the interval."""
        if self.values:
            return self.values
        return (f"{self.key}={self.low!r}", f"{self.key}={self.high!r}")


def combinations(axes: Sequence[Axis], sweep: Sweep) -> list[tuple[str, ...]]:
    """The overrides of every job, in a fixed order.

    Raises:
        SpecError: values that cannot be combined so.
    """
    if sweep.search == "bayes" and (sweep.jobs or not axes):
        raise SpecError(
            "sweep.search: bayes needs keys that vary, and no jobs; "
            "allowed: key=a,b or interval(low, high)"
        )
    rows = sweep.jobs or [[]]
    if sweep.search in ("grid", "zip"):
        _no_interval(axes)
    if sweep.search == "zip":
        varied = _side_by_side(axes)
    elif sweep.search == "grid":
        varied = _grid(axes, len(rows))
    elif sweep.search == "random":
        varied = _drawn(axes, sweep)
    else:
        varied = _each(axes)
    return [(*row, *overrides) for row in rows for overrides in varied]


def _no_interval(axes: Sequence[Axis]) -> None:
    """Refuse intervals, which have no list of values.

    Raises:
        SpecError: an axis is an interval.
    """
    allowed = "allowed with sweep.search=random or bayes"
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


def over(key: str, values: Any) -> str:
    """What varies in a sweep kept in a file, as the command line has it.

    Args:
        values: a list, or the same text as on the command line.
    """
    if not isinstance(values, list):
        return f"{key}={values}"
    words = [_word(value) for value in values]
    if len(words) > 1:
        return f"{key}={','.join(words)}"
    return f"{key}=choice({words[0]})"


def _word(value: Any) -> str:
    """A value in the grammar of the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        settings = [f"{key}:{_word(item)}" for key, item in value.items()]
        return f"{{{','.join(settings)}}}"
    if isinstance(value, list):
        items = [_word(item) for item in value]
        return f"[{','.join(items)}]"
    if isinstance(value, str) and not re.fullmatch(PLAIN_WORD, value):
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"
    return str(value)
