"""Which dates each block has."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from runner.data.columns.long import LongColumn
from runner.data.market import Market
from runner.data.reading.parsing import pieces
from runner.panels.blocks.recipe import Reach, Recipe, panel_rows

NUMBERS = 2**25  # of the rows of a block
CELLS = 5_000_000  # (date x asset) of one column of a block, with the rows before and after it
CHUNK = 64  # dates that blocks are made of
LONG = 4  # look-backs of a block that would compute little twice if it were shorter


def blocks_of(market: Market, recipe: Recipe, reach: Reach) -> list[slice]:
    """The dates of each block: as many as fit, the first at the first date.

    Blocks end with a row of the panel, so that none cuts a week or month of the target; what
    follows the last one is in none. Bounded are the rows, with all columns, and the cells (date x
    asset) of one column, and half as many of both where a block is long beside its look-back.
    """
    ends = panel_rows(market, recipe) + 1  # where a block may end
    T = int(ends[-1])
    of_chunks = _chunks(market)
    columns = recipe.layout.numbers
    around = reach.before + reach.after
    blocks = []
    start = 0
    while start < T:
        stop = start
        while stop < T:
            longer = _end_of(stop + CHUNK, stop, ends)
            own = slice(start // CHUNK, -(-longer // CHUNK))
            known = slice(
                max(start - reach.before, 0) // CHUNK, -(-(longer + reach.after) // CHUNK)
            )
            alive = np.count_nonzero(of_chunks.alive[known].any(axis=0))
            cells = alive * (longer - start + around)
            numbers = int(of_chunks.rows[own].sum()) * columns
            share = max(cells / CELLS, numbers / NUMBERS)
            if stop > start and _is_enough(longer - start, share, reach):
                break
            stop = longer
        blocks.append(slice(start, stop))
        start = stop
    return blocks


def _end_of(at_most: int, after: int, ends: np.ndarray) -> int:
    """The last of the ends of blocks up to a row, the next one where none is after the other."""
    place = np.searchsorted(ends, [at_most, after], side="right").tolist()
    return int(ends[max(place[0] - 1, place[1])])


def _is_enough(dates: int, share: float, reach: Reach) -> bool:
    """Whether a block of so many dates is too large, at this share of what is bounded."""
    if dates <= max(reach.before, CHUNK):  # shorter ones would compute everything many times
        return False
    if dates <= LONG * reach.before:
        return share > 1.0
    return share > 0.5


class Chunks(NamedTuple):
    """Which assets (chunks, N) are listed on some of CHUNK dates, and how many rows those have."""

    alive: np.ndarray
    rows: np.ndarray


def _chunks(market: Market) -> Chunks:
    """The chunks of dates of a market, the last of which may be shorter."""
    T = len(market.dates)
    count = -(-T // CHUNK)
    alive = np.zeros((count, len(market.assets)), dtype=bool)
    rows = np.zeros(count, dtype=np.int64)
    column = next(iter(market.fields.columns.values()))
    for first, stretch in column.stretches():
        part = stretch.listings if isinstance(stretch, LongColumn) else None
        if part is None:
            alive[:] = True
            rows[:] = CHUNK * len(market.assets)
            break
        of_part = range(first // CHUNK, -(-(first + len(part.dates)) // CHUNK))
        first_dates = np.arange(of_part.start, of_part.stop + 1) * CHUNK - first
        edges = part.starts[first_dates.clip(0, len(part.dates))].tolist()
        for chunk, (start, stop) in zip(of_part, pairwise(edges), strict=True):
            for some in pieces(stop - start):
                listed = part.column[start:stop][some]
                alive[chunk][listed.astype(np.intp)] = True
            rows[chunk] += stop - start
    return Chunks(alive, rows)
