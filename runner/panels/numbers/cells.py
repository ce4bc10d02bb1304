"""The numbers of a panel: of every cell (date x asset), or of listed cells, here or in files."""

from runner.compute.pages import let_go
from runner.panels.numbers.cube import Cube, Taken
from runner.panels.numbers.ragged import Ragged
from runner.panels.numbers.stored import Stored

__all__ = ["Cells", "Cube", "InMemory", "Ragged", "Stored", "Taken", "rest"]

InMemory = Cube | Ragged
Cells = InMemory | Stored


def rest(cells: Cells) -> None:
    """Give the memory of large features and targets back until they are read again."""
    if isinstance(cells, Stored):
        return
    for array in (cells.X, cells.y, cells.raw):
        if array is not None:
            let_go(array)
