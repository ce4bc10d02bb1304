"""The numbers of a panel: of every cell (date x asset), or of listed cells, here or in files."""

from runner.panels.numbers.cube import Cube, Taken
from runner.panels.numbers.ragged import Ragged
from runner.panels.numbers.stored import Stored

__all__ = ["Cells", "Cube", "InMemory", "Ragged", "Stored", "Taken"]

InMemory = Cube | Ragged
Cells = InMemory | Stored
