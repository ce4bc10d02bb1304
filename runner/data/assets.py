"""The assets that a spec models, out of those of its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from runner.errors import DataError, unknown


def choose_assets(wanted: Sequence[str] | None, available: Iterable[str]) -> list[str]:
    """The assets to model: those wanted, in that order, or all that are available.

    Raises:
        DataError: one line per asset that is not in the data or listed twice; no asset at all.
    """
    names = list(available)
    chosen = names
    if wanted is not None:
        chosen = list(wanted)
    if not chosen:
        raise DataError(
            "data.assets: there is none to model; allowed: at least one asset of the data"
        )
    known = set(names)
    absent = [name for name in chosen if name not in known]
    twice = [name for name, times in Counter(chosen).items() if times > 1]
    mistakes = [f"data.assets: {unknown(name, names)}" for name in absent]
    mistakes += [f"data.assets: {name!r} is listed more than once; allowed: once" for name in twice]
    if mistakes:
        raise DataError(mistakes)
    return chosen
