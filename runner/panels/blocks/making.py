"""One block of a panel: made from the stretch of the data that it uses, and written to a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.data.columns.listings import Listings
from runner.data.market import Market
from runner.data.notices import Blanked
from runner.data.stored.folder import ELSEWHERE
from runner.errors import DataError
from runner.panels.blocks.recipe import Reach, Recipe, own_rows, panel_rows
from runner.panels.building import build_panel
from runner.panels.numbers.cells import Ragged
from runner.panels.numbers.rowfiles import Layout, write_rows
from runner.panels.panel import Panel
from runner.record.drafts import written_whole
from runner.text import one_line

MISSING = "target is missing"
FEWEST = 2  # assets of a block, of one of which a column of it and a series of dates look the same


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


def make_block(market: Market, recipe: Recipe, reach: Reach, folder: Path, block: slice) -> Made:
    """What is known of a block, which is written to the folder unless it is there.

    Raises:
        DataError: what the data cannot give; the folder is not seen here, or cannot be written.
    """
    if not folder.is_dir():  # it was made before any worker was asked
        raise unseen(folder)
    there = made_before(folder, block, recipe.layout)
    if there is not None:
        return there
    part, assets = part_of(market, reach, block)
    first = max(block.start - reach.before, 0)
    panel = panel_of(part, recipe, own_rows(panel_rows(market, recipe), first, block))
    cells = panel.cells
    if not isinstance(cells, Ragged):
        cells = _listed(panel)
    numbers = [cells.y]
    if recipe.layout.weighted:
        numbers.append(np.asarray(cells.weights))
    if recipe.layout.raw:
        numbers.append(cells.y if cells.raw is None else cells.raw)
    numbers += list(cells.X.T)
    made = _made(panel, cells, absent=len(market.assets) - len(assets))
    try:
        write_rows(rows_path(folder, block), assets[cells.listings.column], cells.valid, numbers)
        with written_whole(account_path(folder, block)) as file:
            file.write(json.dumps(made._asdict()).encode())
    except OSError as error:
        raise unwritable(folder, error) from error
    return made


def made_before(folder: Path, block: slice, layout: Layout) -> Made | None:
    """What is known of a block that is whole in the folder; None where there is none."""
    try:
        made = Made(**json.loads(account_path(folder, block).read_text()))
        size = rows_path(folder, block).stat().st_size
    except (OSError, ValueError, TypeError):
        return None
    return made if size == made.starts[-1] * layout.row_bytes else None


def unseen(folder: Path) -> DataError:
    """The error on a folder of rows that a worker has not, or of which it has another one."""
    return DataError(
        f"executor: a worker does not see {str(folder.resolve())!r}, where the rows of the panel "
        "are; allowed: data.folder=FOLDER that every worker sees, or executor=processes"
    )


def unwritable(folder: Path, error: OSError) -> DataError:
    """The error on a folder of rows that cannot be written."""
    return DataError(f"panel: {str(folder)!r} cannot be written: {one_line(error)}; {ELSEWHERE}")


def part_of(market: Market, reach: Reach, block: slice) -> tuple[Market, np.ndarray]:
    """The data that a block is made of: its dates, those before and after, the assets on them.

    With the positions of these assets among those of the market, increasing.
    """
    first = max(block.start - reach.before, 0)
    last = min(block.stop + reach.after, len(market.dates))
    part = market.at(np.arange(first, last))
    alive = np.flatnonzero(part.fields.rows_of_assets())
    if len(alive) < FEWEST:
        alive = np.union1d(alive, np.arange(min(FEWEST, len(part.assets))))
    part = part.of_positions(alive)
    blanked = [_within(cause, market, slice(first, last), alive) for cause in market.blanked]
    there = tuple(cause for cause in blanked if len(cause.at))
    return replace(part, fields=part.fields.kept(), blanked=there), alive


def panel_of(part: Market, recipe: Recipe, own: slice) -> Panel:
    """The panel of these rows of the data of a block."""
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


def rows_path(folder: Path, block: slice) -> Path:
    """The file of the rows of a block; another division of the dates has other files."""
    return folder / f"{block.start:06}-{block.stop:06}.rows"


def account_path(folder: Path, block: slice) -> Path:
    """The file of what is known of a block, written after its rows."""
    return rows_path(folder, block).with_suffix(".json")
