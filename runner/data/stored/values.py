"""Columns of a table that is read in pieces, as numbers or as labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.data.reading.checks import PER_CENT
from runner.data.reading.parsing import Coded, Numbers, read_labels, read_numbers
from runner.data.reading.roles import Marks
from runner.data.stored.pieces import Distinct
from runner.errors import DataError
from runner.text import one_line

if TYPE_CHECKING:
    import pyarrow as pa

# bits of the missing number that stands for a letter, which says why there is none
LETTER = 0x7FF8_0000_0000_0001


class NumbersInPieces:
    """A column of numbers.

    Attributes:
        marks: what its numbers had beside their digits so far.
        letters: letters that say why there is no number, so far.
    """

    def __init__(self, where: str, column: str, percent: bool) -> None:
        """A column of which nothing is read yet.

        Args:
            where: place in the spec.
            percent: whether its numbers are divided by 100.
        """
        self.where = where
        self.column = column
        self.percent = percent
        self.marks = Marks("", False)
        self.letters = 0
        self.plain = False
        self.known = False

    def read(self, column: pa.ChunkedArray) -> np.ndarray:
        """The numbers (n,) of a piece, those of letters with the bits of `LETTER`.

        Raises:
            DataError: values that are not numbers.
        """
        import pyarrow as pa

        if not len(column):
            return np.empty(0)
        try:
            part = read_numbers(column, piece=True)
        except pa.ArrowException as error:
            message = f"{self.where}: column {self.column!r} cannot be read: {one_line(error)}"
            raise DataError(message) from error
        except ValueError as error:
            raise DataError(f"{self.where}: column {self.column!r} {error} (of a piece)") from error
        numbers = part.numbers.astype(np.float64, copy=False)
        self._note(part, numbers)
        if self.percent:
            numbers = numbers / PER_CENT
        if part.codes is not None:
            numbers = np.array(numbers)
            numbers.view(np.uint64)[part.codes] = LETTER
        return numbers

    def _note(self, part: Numbers, numbers: np.ndarray) -> None:
        words = self.marks.words or part.words
        self.marks = Marks(words, self.marks.per_cent or part.per_cent)
        self.plain |= part.plain
        if part.codes is not None:
            self.letters += int(np.count_nonzero(part.codes))
        if not self.known:
            self.known = not np.isnan(numbers).all()

    def check(self) -> None:
        """Whether the pieces are of one kind, once all are read.

        Raises:
            DataError: letters alone, or per cent signs beside numbers without.
        """
        if self.letters and not self.known:
            raise DataError(
                f"{self.where}: column {self.column!r} has letters and no number; allowed: a number"
            )
        if self.marks.per_cent and self.plain:
            raise DataError(
                f"{self.where}: column {self.column!r} has per cent signs in some rows and numbers "
                "without in others; allowed: one of the two"
            )


class LabelsInPieces:
    """A column of labels."""

    def __init__(self) -> None:
        self.distinct = Distinct()

    def read(self, column: pa.ChunkedArray) -> np.ndarray:
        """Positions (n,) of the labels of a piece among those as written, -1 without one."""
        return self.distinct.codes(column)

    def coded(self) -> Coded:
        """The labels as they are read, with their positions of those as written."""
        coded = read_labels(self.distinct.column())
        return coded._replace(codes=np.append(coded.codes, -1))


def letters_of(numbers: np.ndarray) -> int:
    """How many numbers stand for a letter."""
    return int(np.count_nonzero(numbers.view(np.uint64) == LETTER))


def are_numbers(column: pa.ChunkedArray) -> bool:
    """Whether a column of a piece can be read as numbers."""
    try:
        read_numbers(column, piece=True)
    except ValueError:
        return False
    return True
