"""The errors a person may cause, and how each one reads.

RunnerError            one line per mistake, never a traceback
├── SpecError          the spec is wrong                      exit 2
├── DataError          the data is missing, bad or too short  exit 2
│   └── SettingError   a setting that the data contradicts    exit 2
├── EstimationError    the estimation itself failed           exit 1
└── LostWorkerError    a worker died, and so did its next     exit 1
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

LISTED = 12  # names shown before "and n more"
MOST_NAME = 200  # characters of a name that is listed: the heading of a file may be a whole page


class RunnerError(Exception):
    """Carries one line per mistake in `mistakes`."""

    exit_code = 2
    outcome = "failed"  # of a job of a sweep

    def __init__(self, mistakes: str | Sequence[str]) -> None:
        if isinstance(mistakes, str):
            mistakes = [mistakes]
        self.mistakes = tuple(mistakes)
        message = "\n".join(self.mistakes)
        super().__init__(message)

    def __reduce__(self) -> tuple[type[RunnerError], tuple[tuple[str, ...]]]:
        return type(self), (self.mistakes,)


class SpecError(RunnerError):
    """The spec is wrong."""


class DataError(RunnerError):
    """The data that the spec names is missing, bad or too short."""


class RefusedError(DataError):
    """The data cannot give the panel that the spec asks for: no outcome was looked at."""

    outcome = "refused"


class SettingError(DataError):
    """A setting that the data contradicts, and the value to use instead.

    The function that raises it knows the name of its setting; `placed` knows where that stands in
    the spec.
    """

    def __init__(self, setting: str, problem: str, remedy: str) -> None:
        self.parts = (setting, problem, remedy)
        super().__init__(f"{setting}: {problem}; use {setting}={remedy}")

    def __reduce__(  # type: ignore[override]
        self,
    ) -> tuple[type[SettingError], tuple[str, str, str]]:
        return type(self), self.parts

    def at(self, where: str) -> str:
        """The line with the setting's place in the spec, and the override to use there."""
        setting, problem, remedy = self.parts
        return f"{where}.{setting}: {problem}; use ++{where}.{setting}={remedy}"


class EstimationError(RunnerError):
    """No regression of the spec could be estimated."""

    exit_code = 1


class LostWorkerError(RunnerError):
    """A call has no result: each worker that took it died."""

    exit_code = 1


class UnknownNameError(ValueError):
    """A name that is not among those allowed; the message names them."""


def placed(where: str, error: RunnerError) -> list[str]:
    """The lines of the error, each with the part of the spec that caused it."""
    if isinstance(error, SettingError):
        return [error.at(where)]
    return [f"{where}: {mistake}" for mistake in error.mistakes]


def listed(names: Iterable[object]) -> str:
    """Names on one line between commas, long names and lists cut with the count of the rest."""
    texts = [str(name) for name in names]
    text = ", ".join(_on_one_line(_cut(name)) for name in texts[:LISTED])
    if len(texts) > LISTED:
        text += f" and {len(texts) - LISTED} more"
    return text or "none"


def unknown(name: object, allowed: Iterable[object], otherwise: str = "") -> str:
    """`'x' is unknown; allowed: ...; did you mean y?` with the nearest name where one is near.

    Args:
        otherwise: what to do where no name is near, such as an override.
    """
    names = [str(allowed_name) for allowed_name in allowed]
    text = f"{_cut(str(name))!r} is unknown; allowed: {listed(names)}"
    by_folded = {allowed_name.casefold(): allowed_name for allowed_name in names}
    near = get_close_matches(str(name).casefold(), by_folded, n=1, cutoff=0.6)
    if near:
        return f"{text}; did you mean {_cut(by_folded[near[0]])!r}?"
    if otherwise:
        text += f"; {otherwise}"
    return text


def _cut(name: str) -> str:
    """A name, a long one cut with the count of what is missing."""
    missing = len(name) - MOST_NAME
    return f"{name[:MOST_NAME]}... ({missing:,} characters more)" if missing > 0 else name


def _on_one_line(name: str) -> str:
    """A name, the ends of lines and such in it as their escapes."""
    return name if name.isprintable() else repr(name)[1:-1]
