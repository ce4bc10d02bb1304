"""What a long table must be: assets and dates that are there, one row per date and asset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from runner.data.assets import choose_assets
from runner.data.calendar import within
from runner.errors import DataError, listed, unknown
from runner.text import number

PER_CENT = 100.0
SMALL_PER_CENT = 0.1  # median size of returns in per cent below which they may be decimals


def choose(
    present: pd.Index, special: Mapping[str, str], wanted: Sequence[str] | None
) -> list[str]:
    """The modelled assets, checked with the market asset and the macro series.

    Args:
        present: names of the assets that have a row.
        special: place in the spec -> the market asset and the assets of the macro series.

    Raises:
        DataError: one that is not there, one line each.
    """
    names = [str(name) for name in present.tolist()]
    known = set(names)
    mistakes = []
    for where, ticker in special.items():
        if ticker not in known:
            mistakes.append(f"{where}: {unknown(ticker, names)}")
    available = names
    if not wanted:
        beside = set(special.values())
        available = [name for name in names if name not in beside]
    try:
        assets = choose_assets(wanted, available)
    except DataError as error:
        raise DataError([*mistakes, *error.mistakes]) from error
    if mistakes:
        raise DataError(mistakes)
    return assets


def in_range(values: pd.Index, present: pd.Index, start: str | None, end: str | None) -> np.ndarray:
    """Mask over dates of those from start to end.

    Args:
        present: those of them that have a row.

    Raises:
        DataError: no row is from start to end.
    """
    dates = pd.DatetimeIndex(present)
    chosen = dates[within(dates, start, end)]
    return np.asarray(values.isin(chosen))


def repeats(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Which rows repeat the cell of an earlier one, and which of them with other values.

    Args:
        table: column `cell`, and one for each value.
    """
    again = table.duplicated("cell").to_numpy()
    conflict = again & ~table.duplicated().to_numpy()
    return again, conflict


def conflicting(
    count: int, asset: str, date: pd.Timestamp, unread: Sequence[str], alone: bool
) -> str:
    """The line on so many rows that repeat a date and asset with other values, the first of them.

    Args:
        unread: columns that the spec does not name.
        alone: whether all rows are of one asset.
    """
    when = str(date).removesuffix(" 00:00:00")
    repeat = "1 row repeats" if count == 1 else f"{count} rows repeat"
    given = f"data: {repeat} a date and asset with other values, first {asset} on {when}"
    line = f"{given}; allowed: one row per date and asset"
    if unread:
        others = listed(unread)
        line += f"; data.where.COLUMN=TEXT where another tells them apart ({others})"
    if alone:
        line += f" (all rows are of {asset}: data.columns.asset=NAME where a column has others)"
    return line


def on_per_cent(usual: float) -> tuple[str, ...]:
    """The sentence on returns that were divided by 100, where they look as if they were decimals.

    Args:
        usual: their median size, divided.
    """
    middle = PER_CENT * usual
    if not middle < SMALL_PER_CENT:
        return ()
    return (
        f"data.percent=true: the median absolute value of ret in the file is {number(middle, 3)}, "
        "small for per cent; were they decimals (data.percent=false)?",
    )


def on_names(spaced: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """What a reader should know of the names in use.

    Args:
        spaced: names that had spaces around them, as they were written.
    """
    used = set(names)
    notes = []
    stripped = []
    for text in spaced:
        name = text.strip()
        if name in used:
            stripped.append(f"{text!r} is {name}")
    if stripped:
        notes.append(f"Names of assets are stripped of spaces: {listed(stripped)}.")
    folded = [name.casefold() for name in names]
    if len(set(folded)) < len(names):
        times = Counter(folded)
        alike = [name for name, word in zip(names, folded, strict=True) if times[word] > 1]
        notes.append(f"Names that differ in case alone are different assets: {listed(alike)}.")
    return tuple(notes)
