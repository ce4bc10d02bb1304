"""When compiled code does numpy's work: where that saves more than loading the compiler costs.

Not where numba cannot be imported (no release goes with this numpy yet) or its own switch
NUMBA_DISABLE_JIT is set.
"""

from __future__ import annotations

from functools import cache
from os import environ
from typing import Any

MANY = 2**21  # cells of a panel whose moments are summed
MANY_ROWS = 2**26  # of a ragged panel, each of which gains less by it than a cell does
MANY_IN_WINDOWS = 2**24  # cells whose windows are summed, in all of a process
JIT_IS_ON = ("", "0")  # of the environment variable NUMBA_DISABLE_JIT


def wanted(cells: int) -> bool:
    """Whether a panel of so many cells is summed by the compiled pass.

    Numba is imported for large ones only.
    """
    return cells >= MANY and _can_compile()


def wanted_of_rows(rows: int) -> bool:
    """Whether a ragged panel of so many rows is summed by date by the compiled pass."""
    return rows >= MANY_ROWS and _can_compile()


class Windows:
    """Counts the cells whose windows were summed in this process.

    The first `MANY_IN_WINDOWS` are summed by numpy, the others by compiled code, to the same bits:
    for so many numpy takes as much longer as it takes to load the compiler.
    """

    def __init__(self) -> None:
        self.cells = 0

    def wanted(self, cells: int) -> bool:
        """Whether so many further cells are left to compiled code."""
        self.cells += cells
        return self.has_begun

    @property
    def has_begun(self) -> bool:
        """Whether cells are left to compiled code already."""
        return self.cells > MANY_IN_WINDOWS and _can_compile()


DONE = Windows()


def _can_compile() -> bool:
    if environ.get("NUMBA_DISABLE_JIT", "0") not in JIT_IS_ON:
        return False
    return compiler() is not None


@cache
def compiler() -> Any:
    """Numba; None where it is not installed, or does not go with this numpy."""
    try:
        import numba
    except ImportError:
        return None
    return numba
