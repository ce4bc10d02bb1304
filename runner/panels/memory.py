"""How much memory a panel takes, beside what there is: refused where it cannot fit."""

from __future__ import annotations

from runner.compute.memory import GIGABYTE, NUMBER, refuse_beyond
from runner.progress import note

# Columns of the size of the target that a run holds beside its features: prices, volumes, target,
# forecasts, scores and what is computed on the way, of which large ones lie in files
# (`runner.compute.pages`). Measured on 2,763 assets x 3,259 dates: 8 features peaked at 1.2 GB
# pooled, and at 1.4 GB by asset.
BESIDE = 12
TOLD = 10**9  # bytes from which a run says what it will take


# Of a panel of few listed cells (`runner.panels.numbers.ragged`): columns of its rows beside two
# for each feature, and arrays of every cell that are there at a time, of a field, the target and a
# feature that compares assets. On 3.4 million rows of 35,000 assets x 1,176 months 10 features
# peaked at 1.0 GB without folds.
BESIDE_ROWS = 16
ARRAYS = 4
MASKS = 1  # such arrays that masks of every cell take


def needed(rows: int, assets: int, features: int) -> int:
    """Bytes at the peak of a run on a panel of every cell."""
    return NUMBER * rows * assets * (features + BESIDE)


def needed_of_rows(rows: int, dates: int, assets: int, features: int, wide: bool) -> int:
    """Bytes at the peak of a run on so many rows of listed cells.

    Args:
        wide: whether the target or a feature is an array of every cell while it is computed.
    """
    of_rows = rows * (2 * features + BESIDE_ROWS)
    arrays = ARRAYS if wide else MASKS
    return NUMBER * (of_rows + arrays * dates * assets)


def check(rows: int, assets: int, features: int, listed: int | None, wide: bool = True) -> None:
    """Say what a run on a large panel takes.

    Args:
        listed: cells that have a row, where the panel is of these alone; None where it is of all.
        wide: whether the target or a feature is an array of every cell while it is computed.

    Raises:
        DataError: there is less.
    """
    noun = "column" if features == 1 else "columns"
    if listed is None:
        need = needed(rows, assets, features)
        size = f"{rows:,} dates x {assets:,} assets x {features} {noun}"
    else:
        need = needed_of_rows(listed, rows, assets, features, wide)
        size = f"{listed:,} rows x {features} {noun} ({rows:,} dates x {assets:,} assets)"
    takes = f"panel: {size} take about {need / GIGABYTE:.1f} GB of memory"
    smaller = "fewer assets (data.assets), dates (data.start) or features"
    there = refuse_beyond(need, takes, smaller)
    if need < TOLD:
        return
    if there is not None:
        takes += f", of {there / GIGABYTE:.1f} GB"
    note(takes)


def refuse_cube(rows: int, assets: int, features: int) -> None:
    """Say what the features of every cell (date x asset) take, where few cells are listed.

    Raises:
        DataError: there is less.
    """
    need = NUMBER * rows * assets * features
    size = f"{rows:,} dates x {assets:,} assets x {features} columns"
    takes = f"panel: what is asked needs every cell, {size}, of {need / GIGABYTE:.1f} GB"
    refuse_beyond(need, takes, "fewer assets (data.assets), dates (data.start) or features")
    if need >= TOLD:
        note(takes)


def refuse_arrays(rows: int, assets: int) -> None:
    """Refuse arrays of every cell where few are listed: what asks for one needs some at a time.

    Raises:
        DataError: there is less memory than they take.
    """
    need = NUMBER * rows * assets * ARRAYS
    size = f"{rows:,} dates x {assets:,} assets"
    takes = f"it needs every cell in memory, {size}, of {need / GIGABYTE:.1f} GB"
    refuse_beyond(need, takes, "fewer assets (data.assets) or dates (data.start)")


def refuse_rows(rows: int, row_bytes: int) -> None:
    """Say what rows that lie on disk take in memory, where something asks for all of them at once.

    Raises:
        DataError: there is less.
    """
    need = rows * row_bytes
    takes = f"panel: what is asked needs {rows:,} rows in memory, {need / GIGABYTE:.1f} GB"
    refuse_beyond(need, takes, "fewer assets (data.assets), dates (data.start) or features")
    if need >= TOLD:
        note(takes)


def refuse_model(
    rows: int, row_bytes: int, shape: tuple[int, int], features: int, every_cell: bool
) -> None:
    """Say what a model takes that needs all rows of a panel on disk at once.

    Args:
        rows: that are listed; shape: dates and assets.
        every_cell: whether it takes arrays of every date and asset.

    Raises:
        DataError: there is less.
    """
    dates, assets = shape
    array = NUMBER * dates * assets
    need = rows * row_bytes + array
    size = f"all {rows:,} rows"
    if every_cell:
        need = array * (features + 1)
        size = f"every cell of {dates:,} dates x {assets:,} assets"
    takes = (
        f"model: it needs {size} x {features} features in memory at once (data.on_disk), "
        f"{need / GIGABYTE:.1f} GB"
    )
    others = (
        "a model that reads some dates at a time (pooled or by date, without effects; penalised)"
    )
    smaller = f"{others}, or fewer assets (data.assets), dates (data.start) or features"
    refuse_beyond(need, takes, smaller)
