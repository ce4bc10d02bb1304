"""A panel by blocks of dates, in files: for data whose rows do not fit into memory.

Each block has the rows before it that the longest look-back needs, and those after it that the
target looks ahead, of the assets that are listed on any of them. A block that is there already is
not made again: what was killed goes on where it was.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.compute.executors.executor import Executor
from runner.data.attribution import Lost, causes, undefined
from runner.data.fields import LongColumn
from runner.data.market import Market
from runner.data.notices import Blanked, Dropped
from runner.errors import DataError, listed
from runner.features.lookback import rows_before
from runner.panels.building import build_panel
from runner.panels.evaluated import checked, evaluate
from runner.panels.numbers.cells import Ragged
from runner.panels.numbers.gathering import Feature, asked
from runner.panels.numbers.rowfiles import Layout, RowFile, write_rows
from runner.panels.numbers.some_assets import of_each_asset
from runner.panels.numbers.stored import whole
from runner.panels.numbers.usable import WEIGHT
from runner.panels.panel import Panel
from runner.preprocessing.applying import TARGET, Step
from runner.progress import counted
from runner.targets import Target

NUMBERS = 2**25  # of the rows of a block, with those before and after it
CELLS = 2**22  # (date x asset) of one column of a block
CHUNK = 64  # dates that blocks are made of
MISSING = "target is missing"
SAME = 1e-6  # how far running sums, as pandas takes them, may differ by where they begin


@dataclass(frozen=True)
class Recipe:
    """What a panel is made of, beside the market.

    Attributes:
        features: by name; target: of a market; steps: of preprocessing, each by date.
        weights: the field that weighs the rows, or None.
        allow_loss: as of `runner.panels.building.build_panel`.
    """

    features: Mapping[str, Feature]
    target: Callable[[Market], Target]
    steps: Sequence[Step]
    weights: str | None
    allow_loss: float

    @property
    def layout(self) -> Layout:
        """Of the rows of the panel."""
        changes_target = any(TARGET in (step.on or ()) for step in self.steps)
        return Layout(len(self.features), self.weights is not None, changes_target)


class Reach(NamedTuple):
    """Rows of the data that row t of a panel uses: so many before it, and so many after it."""

    before: int
    after: int


class Made(NamedTuple):
    """What is known of a block that was written.

    Attributes:
        starts: (dates + 1,) position of the first row of each date.
        usable: (dates,) usable rows.
        by_steps, unknown: the account of what was left out, reason -> cells.
        lost: names of columns -> series whose levels are not above zero that cost them values.
        back: as of a panel.
    """

    starts: list[int]
    usable: list[int]
    by_steps: list[list[Any]]
    unknown: dict[str, int]
    lost: dict[str, list[str]]
    back: list[str]


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
    dates = market.dates
    blocks = blocks_of(market, recipe, reach)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _check_lookback(market, recipe, reach, blocks)
    make = partial(make_block, market, recipe, reach, folder)
    made_as_they_come = counted(executor.results(make, blocks), len(blocks), "blocks of dates made")
    by_position = dict(made_as_they_come)
    made = [by_position[position] for position in range(len(blocks))]
    files = []
    for block, of_block in zip(blocks, made, strict=True):
        path = _rows_path(folder, block)
        files.append(
            RowFile(path, block.start, np.array(of_block.starts), np.array(of_block.usable))
        )
    _stop_at_losses(market, recipe, made)
    unit = _target_of(market.at(np.arange(min(len(dates), CHUNK))), recipe).unit
    cells = whole(files, recipe.layout, dates, market.fields.assets)
    by_steps = _summed(line for of_block in made for line in of_block.by_steps)
    reasons: Counter[str] = Counter()
    for of_block in made:
        reasons.update(of_block.unknown)
    unknown = tuple(Dropped("panel cell", reason, n) for reason, n in reasons.items() if n)
    return Panel(
        dates=dates,
        assets=market.assets,
        names=list(recipe.features),
        cells=cells,
        horizon=reach.after,
        groups=market.groups,
        dropped=(*market.dropped, *by_steps, *unknown),
        back=tuple(made[0].back),
        notes=market.notes,
        unknown=unknown,
        unit=unit,
    )


def reach_of(market: Market, recipe: Recipe) -> Reach:
    """The rows of the data that the rows of the panel use.

    Raises:
        DataError: what needs all dates at once, one line each.
    """
    mistakes = []
    before = 1  # of a target of the same row, made of prices
    for name, feature in asked(recipe.features, recipe.weights).items():
        rows = rows_before(feature)
        if rows is None:
            where = WEIGHT if name == WEIGHT else f"features.{name}"
            mistakes.append(
                f"{where}: it may use all of the past; allowed with data.on_disk: a function that "
                "says how far it looks back (runner.features.looks_back), or an expression that "
                "ends somewhere"
            )
            continue
        before = max(before, rows)
    if not _of_rows(recipe.target):
        mistakes.append(
            "target: allowed with data.on_disk: same_period_return, forward_return, "
            "forward_volatility or up, of rows of the data (target.frequency=null)"
        )
    for step in recipe.steps:
        if not step.traits.by_date:
            mistakes.append(
                f"preprocess.{step.name}: it sees all dates at once; allowed with data.on_disk: "
                "steps by date"
            )
    if market.sessions:
        mistakes.append("data.session: allowed with data.on_disk: null")
    if market.labels:
        changing = listed(market.labels)
        mistakes.append(
            f"data.groups: {changing} change over time; allowed with data.on_disk: labels that do "
            "not"
        )
    if mistakes:
        raise DataError(mistakes)
    horizon = _target_of(market.at(np.arange(min(len(market.dates), CHUNK))), recipe).horizon
    return Reach(before, horizon)


def _of_rows(target: Callable[[Market], Target]) -> bool:
    """Whether a target is one of ours, on the rows of the data."""
    if not isinstance(target, partial) or not of_each_asset(target):
        return False
    return target.keywords.get("frequency") is None


def blocks_of(market: Market, recipe: Recipe, reach: Reach) -> list[slice]:
    """The dates of each block: as many as fit, the first at the first date.

    Bounded are the rows, with all columns, and the cells (date x asset) of one column.
    """
    T = len(market.dates)
    of_chunks = _chunks(market)
    columns = len(recipe.features) + recipe.layout.numbers
    around = reach.before + reach.after
    blocks = []
    start = 0
    while start < T:
        stop = start
        while stop < T:
            longer = min(stop + CHUNK, T)
            known = slice(
                max(start - reach.before, 0) // CHUNK, -(-(longer + reach.after) // CHUNK)
            )
            alive = np.count_nonzero(of_chunks.alive[known].any(axis=0))
            cells = alive * (longer - start + around)
            numbers = int(of_chunks.rows[known].sum()) * columns
            # blocks that are short beside their look-back would compute everything many times
            if longer - start > max(reach.before, CHUNK) and (cells > CELLS or numbers > NUMBERS):
                break
            stop = longer
        blocks.append(slice(start, stop))
        start = stop
    return blocks


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
        chunk = (part.row + first) // CHUNK
        alive[chunk, part.column] = True
        rows += np.bincount(chunk, minlength=count)
    return Chunks(alive, rows)


def make_block(market: Market, recipe: Recipe, reach: Reach, folder: Path, block: slice) -> Made:
    """What is known of a block, which is written to the folder unless it is there."""
    account = folder / f"{block.start:06}.json"
    if account.exists() and _rows_path(folder, block).exists():
        return Made(**json.loads(account.read_text()))
    part = part_of(market, reach, block)
    panel = _panel_of(part, recipe, reach, block)
    cells = panel.cells
    if not isinstance(cells, Ragged):
        cells = _listed(panel)
    own = np.arange(len(market.assets))[market.fields.assets.get_indexer(part.fields.assets)]
    numbers = [cells.y]
    if recipe.layout.weighted:
        numbers.append(np.asarray(cells.weights))
    if recipe.layout.raw:
        numbers.append(cells.y if cells.raw is None else cells.raw)
    numbers += list(cells.X.T)
    write_rows(_rows_path(folder, block), own[cells.listings.column], cells.valid, numbers)
    made = _made(panel, cells, absent=len(market.assets) - len(part.assets))
    fresh = account.with_name(f".{account.name}.{os.getpid()}.new")
    fresh.write_text(json.dumps(made._asdict()))
    fresh.replace(account)
    return made


def part_of(market: Market, reach: Reach, block: slice) -> Market:
    """The data that a block is made of: its dates, those before and after, the assets on them."""
    first = max(block.start - reach.before, 0)
    last = min(block.stop + reach.after, len(market.dates))
    part = market.at(np.arange(first, last))
    alive = part.fields.alive()
    part = part.of([part.assets[i] for i in alive])
    blanked = [_within(cause, market, slice(first, last), alive) for cause in market.blanked]
    return replace(part, blanked=tuple(cause for cause in blanked if len(cause.at)))


def _panel_of(part: Market, recipe: Recipe, reach: Reach, block: slice) -> Panel:
    """The panel of the dates of a block."""
    before = min(block.start, reach.before)
    own = slice(before, before + block.stop - block.start)
    return build_panel(
        replace(part, dropped=(), notes=()),
        recipe.features,
        recipe.target,
        recipe.steps,
        recipe.weights,
        allow_loss=1.0,  # what a series lacks is judged over all dates
        own=own,
    )


def _within(cause: Blanked, market: Market, rows: slice, assets: np.ndarray) -> Blanked:
    """The same values at their positions among these rows and assets (sorted positions)."""
    if cause.column.kind != "field":
        here = (cause.at >= rows.start) & (cause.at < rows.stop)
        return cause._replace(at=cause.at[here] - rows.start)
    row, asset = np.divmod(cause.at, len(market.assets))
    here = (row >= rows.start) & (row < rows.stop) & np.isin(asset, assets)
    column = np.searchsorted(assets, asset[here])
    return cause._replace(at=(row[here] - rows.start) * len(assets) + column)


def _listed(panel: Panel) -> Ragged:
    """The rows of a block whose every cell is there."""
    from runner.data.fields import Listings

    cube = panel.cells.cube
    T, N = cube.shape
    row = np.repeat(np.arange(T, dtype=np.int32), N)
    column = np.tile(np.arange(N, dtype=np.int32), T)
    listings = Listings(panel.dates, pd.Index(panel.assets), row, column)
    return Ragged(
        listings=listings,
        y=cube.y.ravel(),
        X=cube.X.reshape(T * N, -1),
        valid=cube.valid.ravel(),
        weights=None if cube.weights is None else cube.weights.ravel(),
        raw=None if cube.raw is None else cube.raw.ravel(),
    )


def _made(panel: Panel, cells: Ragged, absent: int) -> Made:
    """What is known of a block; `absent` assets of the data are not listed on its dates."""
    unknown = {line.reason: int(line.rows) for line in panel.unknown}
    unknown[MISSING] = unknown.get(MISSING, 0) + absent * len(panel.dates)
    count = len(panel.dropped) - len(panel.unknown)
    by_steps = [[line.what, line.reason, int(line.rows)] for line in panel.dropped[:count]]
    lost: dict[str, list[str]] = {}
    for name, losses in panel.by_rule.items():
        causes_of_series = [loss.cause for loss in losses if loss.cause.column.kind == "series"]
        if causes_of_series:
            lost[name] = [cause.column.name for cause in causes_of_series]
    return Made(
        starts=cells.starts.tolist(),
        usable=cells.usable_by_date().tolist(),
        by_steps=by_steps,
        unknown=unknown,
        lost=lost,
        back=list(panel.back),
    )


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


def _target_of(part: Market, recipe: Recipe) -> Any:
    """The target on some rows, for what holds on all of them: its horizon and its unit."""
    two = part.of(part.assets[:2])  # what is asked here is the same for every asset
    return checked(evaluate("target", recipe.target, two), two)


def _check_lookback(market: Market, recipe: Recipe, reach: Reach, blocks: Sequence[slice]) -> None:
    """Whether rows in the middle are the same where the data begin still earlier.

    Raises:
        DataError: a feature uses more rows than it says, one line each.
    """
    middle = blocks[len(blocks) // 2].start
    if not middle:
        return
    rows = slice(middle, min(middle + CHUNK, len(market.dates)))
    as_said = _panel_of(part_of(market, reach, rows), recipe, reach, rows)
    longer = Reach(2 * reach.before + CHUNK, reach.after)
    earlier = _panel_of(part_of(market, longer, rows), recipe, longer, rows)
    mistakes = []
    for name in recipe.features:
        if not _same_column(as_said, earlier, name):
            mistakes.append(
                f"features.{name}: it changes where the data begin earlier than the "
                f"{rows_before(recipe.features[name]):,} rows before t that it says it looks back; "
                "allowed: rows that do not depend on what is before (runner.features.looks_back)"
            )
    if mistakes:
        raise DataError(mistakes)


def _same_column(first: Panel, second: Panel, name: str) -> bool:
    """Whether a feature is the same, up to rounding, in the cells of the assets of both."""
    k = first.names.index(name)
    at = pd.Index(second.assets).get_indexer(first.assets)  # where more dates are, no fewer assets
    values = []
    for panel in (first, second):
        column = panel.cells.columns([k])[..., 0]
        values.append(panel.cells.spread(column, absent=np.nan))
    values[1] = values[1][:, at]
    return np.allclose(values[0], values[1], rtol=SAME, atol=SAME, equal_nan=True)


def _rows_path(folder: Path, block: slice) -> Path:
    return folder / f"{block.start:06}.rows"
