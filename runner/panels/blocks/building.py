"""The panel of a market on disk, block by block.

Each block has the rows before it that the longest look-back needs, and those after it that the
target looks ahead, of the assets that are listed on any of them. A block that is there already is
not made again: what was killed goes on where it was.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from runner.compute.allocator import trim
from runner.compute.executors.executor import Executor
from runner.compute.memory import GIGABYTE
from runner.data.attribution import Lost, causes, undefined
from runner.data.market import Market
from runner.data.notices import Dropped
from runner.data.stored.folder import ELSEWHERE
from runner.errors import DataError
from runner.features.lookback import rows_before
from runner.numerics.moments import evenly
from runner.panels.blocks.dividing import blocks_of
from runner.panels.blocks.making import (
    Made,
    account_path,
    make_block,
    panel_of,
    part_of,
    rows_path,
    unseen,
    unwritable,
)
from runner.panels.blocks.recipe import (
    FEW,
    Reach,
    Recipe,
    own_rows,
    panel_rows,
    periods_of,
    reach_of,
    target_of,
)
from runner.panels.numbers.gathering import EVERY
from runner.panels.numbers.rowfiles import RowFile
from runner.panels.numbers.stored import Stored
from runner.panels.numbers.usable import WEIGHT
from runner.panels.panel import Panel
from runner.panels.periods import of_last_rows
from runner.progress import counted
from runner.record.drafts import remove_left
from runner.text import ASSET_DATE

SOME = 500  # assets whose look-back is checked
SAME = 1e-6  # how far running sums, as pandas takes them, may differ by where they begin
MOST_BYTES = 20 * GIGABYTE  # of other panels of the same data
IN_USE = 6 * 3600.0  # seconds after which nobody reads a panel that was opened


def build_in_blocks(market: Market, recipe: Recipe, folder: Path, executor: Executor) -> Panel:
    """The panel as `build_panel` makes it, its numbers in files of this folder.

    Args:
        folder: that every worker of the executor sees.
        executor: makes the blocks.

    Raises:
        DataError: what needs all dates at once, one line each; a feature or target that the data
            cannot give; no room on the disk.
    """
    reach = reach_of(market, recipe)
    rows = panel_rows(market, recipe)
    dates = market.dates[rows]
    mistakes: list[str] = []
    on_periods = of_last_rows(recipe.features, market, dates, reach.horizon, mistakes)
    if mistakes:
        raise DataError(mistakes)
    blocks = blocks_of(market, recipe, reach)
    _prepare(folder, market, recipe)
    if not any(account_path(folder, block).exists() for block in blocks):
        _check_lookback(market, recipe, reach, blocks)
    make = partial(make_block, market, recipe, reach, folder)
    made_as_they_come = counted(executor.results(make, blocks), len(blocks), "blocks of dates made")
    by_position = dict(made_as_they_come)
    trim()  # what the last blocks took
    made = [by_position[position] for position in range(len(blocks))]
    files = _files(folder, blocks, made, np.searchsorted(rows, [block.start for block in blocks]))
    _stop_at_losses(market, recipe, made)
    unit = target_of(market, recipe).unit
    every = tuple(range(recipe.layout.features))
    cells = Stored(files, recipe.layout, dates, market.fields.assets, 0, len(dates), every)
    by_steps = _summed(line for of_block in made for line in of_block.by_steps)
    reasons: Counter[str] = Counter()
    for of_block in made:
        reasons.update(of_block.unknown)
    unknown = tuple(Dropped(ASSET_DATE, reason, n) for reason, n in reasons.items() if n)
    unfinished = market.left_out(*periods_of(recipe.target))
    return Panel(
        dates=dates,
        assets=market.assets,
        names=list(recipe.features),
        cells=cells,
        horizon=reach.horizon,
        groups=market.groups,
        dropped=(*market.dropped, *unfinished, *by_steps, *unknown),
        back=tuple(made[0].back),
        notes=(*market.notes, *on_periods),
        unknown=unknown,
        labels={name: labels.at(rows) for name, labels in market.labels.items()},
        unit=unit,
    )


def _files(
    folder: Path, blocks: Sequence[slice], made: Sequence[Made], first: np.ndarray
) -> tuple[RowFile, ...]:
    """The files of the blocks, `first` the positions of their first dates in the panel.

    Raises:
        DataError: a worker wrote one elsewhere.
    """
    files = []
    for block, of_block, position in zip(blocks, made, first.tolist(), strict=True):
        path = rows_path(folder, block)
        if not path.exists():
            raise unseen(folder)
        starts = np.array(of_block.starts)
        files.append(RowFile(path, position, starts, np.array(of_block.usable)))
    return tuple(files)


def _prepare(folder: Path, market: Market, recipe: Recipe) -> None:
    """The folder of the rows, without what killed processes left in it.

    Raises:
        DataError: it cannot be written, or has no room for the rows.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.utime(folder)
        remove_left(folder)
        _make_room(folder)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise unwritable(folder, error) from error
    listed = market.fields.listed or 0
    need = listed * recipe.layout.row_bytes - _bytes_in(folder)
    if need > free:
        rows = f"its {listed:,} rows take {need / GIGABYTE:.1f} GB more"
        raise DataError(
            f"panel: {str(folder)!r} has {free / GIGABYTE:.1f} GB free, {rows}; {ELSEWHERE}"
        )


def _bytes_in(folder: Path) -> int:
    """Bytes of the files in a folder, while others write and remove there."""
    total = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _make_room(folder: Path) -> None:
    """Remove panels beside this one that were used longest ago, where all take too much.

    Those used within the last hours may still be read by other processes, and stay.
    """
    others = [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
    used = {path: path.stat().st_mtime for path in others}
    sizes = {path: _bytes_in(path) for path in others}
    excess = sum(sizes.values()) - MOST_BYTES
    for path in sorted(others, key=lambda path: used[path]):
        if excess <= 0 or used[path] > time.time() - IN_USE:
            return
        shutil.rmtree(path, ignore_errors=True)
        excess -= sizes[path]


def _stop_at_losses(market: Market, recipe: Recipe, made: Sequence[Made]) -> None:
    """Stop where a column needs positive levels of a series, and too many are not.

    Raises:
        DataError: one line each.
    """
    lost: dict[str, set[str]] = {}
    for of_block in made:
        for name, of_column in of_block.lost.items():
            lost.setdefault(name, set()).update(of_column)
    nowhere = np.empty(0, dtype=int)
    mistakes = []
    for cause in causes(market):
        for name, series in lost.items():
            if cause.column.kind == "series" and cause.column.name in series:
                where = name if name in ("target", WEIGHT) else f"features.{name}"
                everywhere = Lost(cause, "", nowhere, nowhere)
                mistakes += undefined(where, [everywhere], market, recipe.allow_loss)
    if mistakes:
        raise DataError(mistakes)


def _summed(lines: Any) -> list[Dropped]:
    """The account of all blocks: lines with one reason are one."""
    rows: Counter[tuple[str, str]] = Counter()
    for what, reason, count in lines:
        rows[what, reason] += count
    return [Dropped(what, reason, count) for (what, reason), count in rows.items()]


def _check_lookback(market: Market, recipe: Recipe, reach: Reach, blocks: Sequence[slice]) -> None:
    """Whether rows in the middle are the same where the data begin still earlier.

    A sample of the assets is looked at.

    Raises:
        DataError: a feature uses more rows than it says, one line each.
    """
    middle = blocks[len(blocks) // 2].start
    if not middle:
        return
    rows = panel_rows(market, recipe)
    first_after = int(rows[np.searchsorted(rows, middle)])
    some = slice(middle, max(min(middle + FEW, len(market.dates)), first_after + 1))
    longer = reach._replace(before=2 * reach.before + FEW)
    part, _ = part_of(market, longer, some)
    from_earlier = part.of_positions(evenly(len(part.assets), SOME))
    earliest = max(middle - longer.before, 0)
    said = max(middle - reach.before, 0)
    from_said = from_earlier.at(np.arange(said - earliest, len(part.dates)))
    as_said = panel_of(from_said, recipe, own_rows(rows, said, some))
    own = own_rows(rows, earliest, some)
    earlier = panel_of(from_earlier, recipe, EVERY).at(np.arange(own.start, own.stop))
    mistakes = []
    for name in recipe.features:
        if not _same_column(as_said, earlier, name):
            mistakes.append(
                f"features.{name}: it changes where the data begin earlier than the "
                f"{rows_before(recipe.features[name], market.dates):,} rows before t that it says "
                "it looks back; "
                "allowed: rows that do not depend on what is before (runner.features.looks_back)"
            )
    if mistakes:
        raise DataError(mistakes)


def _same_column(first: Panel, second: Panel, name: str) -> bool:
    """Whether a feature is the same, up to rounding, in all cells of two panels."""
    one = _column(first, name)
    other = _column(second, name)
    return np.allclose(one, other, rtol=SAME, atol=SAME, equal_nan=True)


def _column(panel: Panel, name: str) -> np.ndarray:
    """A feature in every cell (T, N); NaN where it has no value."""
    column = panel.cells.columns([panel.names.index(name)])
    cells: np.ndarray = panel.cells.spread(column[..., 0], absent=np.nan)
    return cells
