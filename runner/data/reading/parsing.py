"""Columns of a file as names and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

# texts that stand for a missing value; for the name of an asset only the first does
EMPTY = [
    "",
    "NA",
    "N/A",
    "n/a",
    "NaN",
    "nan",
    "NULL",
    "null",
    "None",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "<NA>",
    "NaT",
    "-",
    "--",
    ".",
]
# codes of missing values in a column of numbers
LETTERS = frozenset(ascii_uppercase)
COMMA = re.compile(r"\s*[+-]?\d*,\d+\s*")  # a number with a decimal comma
# a number with brackets, a currency, marks of thousands, or a unit
MARKED = re.compile(
    r"(?P<bracket>\()?\s*(?P<before>[-+]?)\s*[$€£¥]?\s*(?P<after>[-+]?)"
    r"(?P<digits>\d{1,3}(?:[, '\u00a0\u202f]\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)"
    r"\s*(?P<unit>%|[KMB]|)\s*[$€£¥]?(?(bracket)\))"
)
OF_THOUSANDS = re.compile(r",\d{3}[.,]")  # digits whose commas are no decimal mark
ALREADY = "true for numbers with per cent signs, which are read as such; allowed: false"
UNITS_BY_MARK = {"": 1.0, "%": 0.01, "K": 1e3, "M": 1e6, "B": 1e9}


# rows at a time: with the arrays made of them they stay in the processor's cache
ROWS = 65536


def pieces(n: int) -> Iterator[slice]:
    """Slices of n rows, some rows at a time."""
    for first in range(0, n, ROWS):
        yield slice(first, min(first + ROWS, n))


class Coded(NamedTuple):
    """A column (n,) as positions in its distinct values, which are sorted; -1 where there is none.

    Attributes:
        spaced: texts that had spaces around them, as they were written.
        words: how dates were recognised, for people; empty of plain ones.
    """

    codes: np.ndarray
    values: pd.Index
    spaced: tuple[str, ...] = ()
    words: str = ""

    def used(self, rows: np.ndarray) -> pd.Index:
        """The values that occur in these rows (mask)."""
        import numpy as np

        # the last position, which the code -1 falls on, is that of an absent value
        seen = np.zeros(len(self.values) + 1, dtype=bool)
        for some in pieces(len(rows)):
            codes = self.codes[some]
            chosen = rows[some]
            if not chosen.all():
                codes = np.where(chosen, codes, -1)
            seen[codes] = True
        return self.values[seen[:-1]]


def read_names(column: pa.ChunkedArray) -> Coded:
    """The column as text; NA and NAN are tickers too."""
    return _text(column, frozenset({""}))


def read_labels(column: pa.ChunkedArray) -> Coded:
    """The column as text, absent where it says so."""
    return _text(column, frozenset(EMPTY))


def _text(column: pa.ChunkedArray, empty: frozenset[str]) -> Coded:
    """The column as text without spaces around it, absent where it is one of `empty`."""
    import pandas as pd

    codes, distinct = distinct_values(column)
    names: list[str | None] = []
    spaced = []
    for value in distinct.to_pylist():
        word = as_text(value)
        if word is None:
            names.append(None)
            continue
        name = word.strip()
        if word != name:
            spaced.append(word)
        names.append(None if name in empty else name)
    coded = sorted_codes(codes, pd.Series(names, dtype="str"))
    kept = tuple(spaced)
    return coded._replace(spaced=kept)


def as_text(value: object) -> str | None:
    """As a person writes it: 10107, also where a gap in the column made it 10107.0."""
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


class Numbers(NamedTuple):
    """A column of numbers (n,), NaN where there is none.

    Attributes:
        codes: mask (n,) of the letters that say why there is no number; None without any.
        words: how numbers with marks beside their digits were read; empty of plain ones.
        per_cent: whether they were written with per cent signs, and so divided by 100.
        plain: whether some number but zero was written without marks.
    """

    numbers: np.ndarray
    codes: np.ndarray | None
    words: str = ""
    per_cent: bool = False
    plain: bool = True


def read_numbers(column: pa.ChunkedArray, *, piece: bool = False) -> Numbers:
    """The column as numbers of its own type.

    Beside numbers, a capital letter by itself is a code of a missing value, as CRSP and SAS write
    them. Marks of thousands, brackets of negative numbers, signs of currencies and of per cent are
    read as what they mean.

    Args:
        piece: whether it is a piece of a column, in which letters need no number beside them.

    Raises:
        ValueError: values that are not numbers.
    """
    import pyarrow as pa

    coded = pa.types.is_dictionary(column.type)
    kind = column.type.value_type if coded else column.type
    numeric = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    if numeric and not coded:
        return Numbers(column.to_numpy(), None)
    if pa.types.is_boolean(kind) or pa.types.is_temporal(kind) or pa.types.is_nested(kind):
        raise ValueError(f"holds {kind}; allowed: numbers")
    return _parsed_numbers(column, piece)


def _parsed_numbers(column: pa.ChunkedArray, piece: bool) -> Numbers:
    """Numbers written as text, each distinct text read once.

    Raises:
        ValueError: values that are not numbers.
    """
    import numpy as np

    codes, distinct = distinct_values(column)
    words = distinct.to_pylist()
    values = [_number(word) for word in words]
    marked = _read_marks(words, values)
    letters = np.zeros(len(words), dtype=bool)
    if piece or any(value is not None and value == value for value in values):
        letters[:] = [_is_letter(word) for word in words]
    unread = np.array([value is None for value in values], dtype=bool)
    bad = unread & ~letters
    refuse_rows(codes, distinct, bad, _allowed([words[place] for place in np.flatnonzero(bad)]))
    # the last, which the code -1 falls on, is an absent value
    by_code = [np.nan if value is None else value for value in values]
    numbers = np.array([*by_code, np.nan], dtype=float)[codes]
    said = ""
    if marked:
        first = marked[0]
        said = f"{words[first]!r} is read as {values[first]:g}"
    per_cent = any("%" in words[place] for place in marked)
    unmarked = np.nan_to_num(by_code)
    unmarked[marked] = 0.0
    plain = bool(unmarked.any())
    if not letters.any():
        return Numbers(numbers, None, said, per_cent, plain)
    return Numbers(numbers, np.append(letters, False)[codes], said, per_cent, plain)


def _allowed(bad: Sequence[object]) -> str:
    """What is allowed instead of these values."""
    texts = [str(value).strip() for value in bad]
    if any(map(COMMA.fullmatch, texts)):
        return "a number (data.decimal=comma where a text file has decimal commas)"
    return "a number"


def _read_marks(words: Sequence[Any], values: list[float | None]) -> list[int]:
    """Put the numbers that have marks beside their digits into `values`; their places.

    Nothing is put where the marks leave it open which numbers are meant: a comma that may be that
    of decimals, per cent signs beside numbers without.
    """
    marks = {}
    for place, value in enumerate(values):
        if value is None and isinstance(words[place], str):
            match = MARKED.fullmatch(words[place].strip())
            if match and match["digits"]:
                marks[place] = match
    by_comma = [match["digits"] for match in marks.values() if "," in match["digits"]]
    if by_comma and not any(map(OF_THOUSANDS.search, by_comma)):
        return []
    plain = [value for value in values if value]  # neither absent nor zero
    plain = [value for value in plain if value == value]
    signs = {match["unit"] == "%" for match in marks.values()}
    if True in signs and (False in signs or plain):
        return []
    for place, match in marks.items():
        digits = re.sub("[^0-9.]", "", match["digits"])
        negative = bool(match["bracket"]) or "-" in (match["before"] + match["after"])
        size = float(digits) * UNITS_BY_MARK[match["unit"]]
        values[place] = -size if negative else size
    return list(marks)


def _is_letter(word: object) -> bool:
    """Whether the word is the code of a missing value."""
    return isinstance(word, str) and word.strip() in LETTERS


def _number(value: Any) -> float | None:
    """The value, NaN where it says that there is none, None where it is not a number."""
    if value is None:
        return float("nan")
    if isinstance(value, str):
        if value.strip() in EMPTY:
            return float("nan")
        # Python would read 1_000 as a number
        if "_" in value:
            return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def distinct_values(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Positions (n,) in the distinct values, -1 where null, and those values."""
    import pyarrow as pa

    coded = column
    if not pa.types.is_dictionary(column.type):
        coded = column.dictionary_encode()
    kind = pa.dictionary(pa.int32(), coded.type.value_type)
    numbers = coded.cast(kind)
    whole = numbers.combine_chunks()
    codes = whole.indices
    if codes.null_count:
        codes = codes.fill_null(-1)
    return codes.to_numpy(), whole.dictionary


def sorted_codes(codes: np.ndarray, values: pd.Series) -> Coded:
    """The same with the values sorted, each once; absent ones have the code -1."""
    import numpy as np
    import pandas as pd

    position, once = pd.factorize(values, sort=True)
    if np.array_equal(position, np.arange(len(position))):
        return Coded(codes, pd.Index(once))
    # the last, which the code -1 falls on, is that of an absent value
    position = np.append(position, -1)
    sorted_codes = np.empty(len(codes), dtype=np.int32)
    for some in pieces(len(codes)):
        sorted_codes[some] = position[codes[some]]
    return Coded(sorted_codes, pd.Index(once))


def refuse_rows(codes: np.ndarray, distinct: pa.Array, bad: np.ndarray, allowed: str) -> None:
    """Whether no row has one of the bad distinct values (mask).

    Raises:
        ValueError: the first such row, counted from 1, its value, and how many more there are.
    """
    import numpy as np

    rows = np.flatnonzero(np.append(bad, False)[codes])
    if not len(rows):
        return
    first = rows[0]
    value = distinct[codes[first]].as_py()
    where = f"row {first + 1}"
    if len(rows) > 1:
        more = len(rows) - 1
        where += f" and {more} more"
    raise ValueError(f"has {value!r:.60} in {where}; allowed: {allowed}")
