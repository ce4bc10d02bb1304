"""How much memory a panel takes, beside what there is: refused where it cannot fit."""

from __future__ import annotations

from runner.compute.memory import GIGABYTE, NUMBER, refuse_beyond
from runner.progress import note

# Columns of the size of the target that a run holds beside its features: prices, volumes, target,
# forecasts, scores and what is computed on the way. Measured on 2,763 assets x 3,259 dates: 9
# features peaked at 2.9 GB, 15 at 3.4.
BESIDE = 32
# The same where fields are long (see `runner.data.fields`). On 35,000 assets x 1,176 months, a
# twelfth of them listed, 10 features peaked at 4.7 GB without folds and at 5.5 with them.
BESIDE_LONG = 12
TOLD = 10**9  # bytes from which a run says what it will take


def needed(rows: int, assets: int, features: int, fields_are_long: bool) -> int:
    """Bytes at the peak of a run."""
    beside = BESIDE_LONG if fields_are_long else BESIDE
    return NUMBER * rows * assets * (features + beside)


def check(rows: int, assets: int, features: int, fields_are_long: bool) -> None:
    """Say what a run on a large panel takes.

    Raises:
        DataError: there is less.
    """
    need = needed(rows, assets, features, fields_are_long)
    noun = "column" if features == 1 else "columns"
    size = f"{rows:,} dates x {assets:,} assets x {features} {noun}"
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
