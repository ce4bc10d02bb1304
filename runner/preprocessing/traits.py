"""What a step of preprocessing declares of itself, beside its function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
UNCHANGED = ""  # `back` of a step after which forecasts stay as they are


@dataclass(frozen=True)
class Traits:
    """What is known of a step before it runs; the defaults are those of a step that says nothing.

    Attributes:
        by_date: a date depends on itself alone, so that the step may be given some
            dates at a time; else it is given all dates.
        by_column: it is given one column at a time; else all of them.
        writes: it may write to the array that it is given, which is then a copy.
        clips: what it moves was cut at a bound, and is counted as clipped.
        back: what takes a forecast back where the step is of the target too: the name of a function
            of numpy, or UNCHANGED; None: the step cannot be of the target.
    """

    by_date: bool = False
    by_column: bool = False
    writes: bool = True
    clips: bool = False
    back: str | None = None

    def __post_init__(self) -> None:
        if not self.back:
            return
        function = getattr(np, self.back, None)
        if not isinstance(function, np.ufunc) or function.nin != 1:
            raise ValueError(f"back: given {self.back!r}; allowed: a function of numpy such as exp")


DECLARED: dict[Callable[..., Any], Traits] = {}
NOTHING = Traits()


def declares(
    *,
    by_date: bool = False,
    by_column: bool = False,
    writes: bool = True,
    clips: bool = False,
    back: str | None = None,
) -> Callable[[F], F]:
    """Declare what is known of a step, see `Traits`: `@declares(by_date=True)` above its function.

    Raises:
        ValueError: `back` names no function of numpy.
    """
    traits = Traits(by_date, by_column, writes, clips, back)

    def declare(function: F) -> F:
        DECLARED[function] = traits
        return function

    return declare


def traits_of(function: Callable[..., Any]) -> Traits:
    """What a step declares, its settings bound or not; that it says nothing where it does not."""
    plain = getattr(function, "func", function)  # without the settings of a partial
    return DECLARED.get(plain, NOTHING)


def with_back(functions: Iterable[Callable[..., Any]]) -> list[str]:
    """Names of those of these steps that the target may take."""
    return [step.__name__ for step in functions if traits_of(step).back is not None]
