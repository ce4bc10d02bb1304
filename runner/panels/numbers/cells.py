"""The numbers of a panel: of every cell (date x asset), or of the listed cells alone."""

from runner.panels.numbers.cube import Cube
from runner.panels.numbers.ragged import Ragged

__all__ = ["Cells", "Cube", "Ragged"]

Cells = Cube | Ragged
