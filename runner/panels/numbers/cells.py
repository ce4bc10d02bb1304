"""The numbers of a panel: of every cell (date x asset), or of the listed cells, here or in files."""

from runner.panels.numbers.cube import Cube, Taken
from runner.panels.numbers.ragged import Ragged
from runner.panels.numbers.stored import Stored

__all__ = ["Cells", "Cube", "Ragged", "Stored", "Taken"]

Cells = Cube | Ragged | Stored
