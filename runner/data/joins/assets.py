"""Assets that two tables write otherwise: 1690, 1690.0 and 001690 are the same number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import pandas as pd

from runner.data.reading.parsing import Coded
from runner.errors import listed

NUMBER = re.compile(r"0*(\d+?)(?:\.0+)?")
SHOWN = 2  # pairs in the sentence


def as_in_data(asset: Coded, assets: Sequence[str]) -> tuple[Coded, list[str]]:
    """The assets of a table by the names that the data have, and the half sentence on it.

    A number that the data do not have is the one asset of theirs that is the same number with
    other zeros before it or behind its point. Where several could be meant it stays.
    """
    theirs = [str(name) for name in asset.values]
    ours = _by_number(assets)
    called = {}
    for number, name in _by_number(theirs).items():
        if ours.get(number, name) != name:
            called[name] = ours[number]
    if not called:
        return asset, []
    names = [called.get(name, name) for name in theirs]
    pairs = [f"{name} as {called[name]}" for name in sorted(called)]
    more = "" if len(pairs) <= SHOWN else f" and {len(pairs) - SHOWN} more"
    words = f"assets that are the same number are the same: {listed(pairs[:SHOWN])}{more}"
    asset_names = pd.Index(names)
    renamed = asset._replace(values=asset_names)
    return renamed, [words]


def _by_number(names: Sequence[str]) -> dict[str, str]:
    """Names that are numbers by their digits, where only one name has these."""
    numbers = {}
    for name in names:
        match = NUMBER.fullmatch(name)
        if match:
            numbers[name] = match[1]
    times = Counter(numbers.values())
    return {number: name for name, number in numbers.items() if times[number] == 1}
