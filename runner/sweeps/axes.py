"""What a sweep varies, key by key, in the grammar of the command line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

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


class Tried(NamedTuple):
    """A job of a search led by scores: its overrides, and its score; None of one that failed."""

    differs: tuple[str, ...]
    score: float | None


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
        with_slashes = value.replace("\\", "\\\\")
        escaped = with_slashes.replace("'", "\\'")
        return f"'{escaped}'"
    return str(value)
