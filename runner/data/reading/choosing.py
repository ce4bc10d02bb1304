"""Which rows of a table are read: those with given texts in given columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from runner.data.reading.parsing import Coded, as_text, read_labels
from runner.errors import DataError, listed

if TYPE_CHECKING:
    import pyarrow as pa

    from runner.schema.settings import Texts

WHERE = "data.where"  # the choice of rows of the table of assets
WHOLE = re.compile(r"(-?\d+)\.0+")
MOST_SHOWN = 12  # texts of a column in a refusal


def places_of(where: str, rows: Mapping[str, Texts]) -> dict[str, str]:
    """Place in the spec -> column, of the columns that choose rows."""
    return {f"{where}.{column}": column for column in rows}


def chosen_rows(where: str, table: pa.Table, rows: Mapping[str, Texts]) -> pa.Table:
    """The rows of a table with one of the given texts in each of these columns.

    Args:
        where: place of the choice in the spec, such as `data.where`.

    Raises:
        DataError: a text that no row has, one line per column; no row that has all.
    """
    chosen = np.ones(len(table), dtype=bool)
    mistakes = []
    for place, column in places_of(where, rows).items():
        if column not in table.column_names:
            mistakes.append(
                f"{place}: {column!r} is no column; allowed: with a row per date and asset"
            )
            continue
        try:
            chosen &= has_text(place, read_labels(table[column]), rows[column])
        except DataError as error:
            mistakes += error.mistakes
    if mistakes:
        raise DataError(mistakes)
    if not chosen.any():
        raise DataError(f"{where}: no row has {described(rows)} together")
    return table.filter(chosen)


def has_text(where: str, column: Coded, texts: Texts) -> np.ndarray:
    """Mask (n,) of the rows of a column with one of these texts.

    Raises:
        DataError: a text that no row has.
    """
    _check_present(where, _present(column), texts)
    return _mask(column, texts)


def _present(column: Coded) -> list[str]:
    """The texts of a column."""
    return [_whole(str(value)) for value in column.values]


def _mask(column: Coded, texts: Texts) -> np.ndarray:
    wanted = _words(texts)
    chosen = [word in wanted for word in _present(column)]
    by_code = np.array([*chosen, False], dtype=bool)  # the last is of rows without a text
    return by_code[column.codes]


def _check_present(where: str, present: Sequence[str], texts: Texts) -> None:
    """Whether the texts are among those of a column.

    Raises:
        DataError: one is not.
    """
    absent = [repr(word) for word in _words(texts) if word not in present]
    if absent:
        allowed = ", ".join(present[:MOST_SHOWN])
        if len(present) > MOST_SHOWN:
            allowed += ", ..."
        raise DataError(f"{where}: no row has {listed(absent)}; allowed: {allowed}")


class Choice:
    """The choice of rows of a table that is read in pieces.

    Attributes:
        rows: column -> what the rows that are read have in it.
        met: column -> texts that it has in the pieces so far.
        any_row: whether a row of these pieces has all.
    """

    def __init__(self, rows: Mapping[str, Texts]) -> None:
        self.rows = rows
        self.met: dict[str, set[str]] = {column: set() for column in rows}
        self.any_row = False

    def mask(self, table: pa.Table) -> np.ndarray:
        """Mask (n,) of the rows of a piece that are read."""
        chosen = np.ones(len(table), dtype=bool)
        for column, texts in self.rows.items():
            labels = read_labels(table[column])
            self.met[column].update(_present(labels))
            chosen &= _mask(labels, texts)
        self.any_row |= bool(chosen.any())
        return chosen

    def check(self) -> None:
        """Whether the choice is one, once all pieces are read.

        Raises:
            DataError: a text that no row has, one line per column; no row that has all.
        """
        mistakes: list[str] = []
        for place, column in places_of(WHERE, self.rows).items():
            try:
                _check_present(place, sorted(self.met[column]), self.rows[column])
            except DataError as error:
                mistakes += error.mistakes
        if mistakes:
            raise DataError(mistakes)
        if not self.any_row:
            raise DataError(f"{WHERE}: no row has {described(self.rows)} together")


def described(rows: Mapping[str, Texts]) -> str:
    """What the rows have, in words: shrcd 10 or 11, exchcd 1."""
    return ", ".join(f"{column} {' or '.join(_words(texts))}" for column, texts in rows.items())


def _words(texts: Texts) -> Sequence[str]:
    """The texts as they are read: 10 of 10.0."""
    several = texts if isinstance(texts, list) else [texts]
    return [_whole(str(as_text(text))) for text in several]


def _whole(text: str) -> str:
    """10 of 10.0, which a gap in the column made of it."""
    number = WHOLE.fullmatch(text)
    return number[1] if number else text
