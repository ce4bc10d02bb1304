"""Where the table of a text file stands: delimiter, header, decimal mark, by its beginning."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import islice, pairwise
from typing import NamedTuple

from runner.data.reading.content import NO_TABLE, Content, decoded
from runner.data.reading.parsing import EMPTY
from runner.data.reading.usual import DATE, find, is_field
from runner.errors import listed
from runner.schema.forms import Form

# between the columns of a text file, the likelier first
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
SPACES = " "
NAMED = DELIMITERS | {"spaces": SPACES}
DECIMALS = {"point": ".", "comma": ","}
FIRST_TABLE = 3  # lines of as many columns that make a table; a preamble has fewer
PADDED = 2  # texts at most in a line above a table that is filled up with blanks
MOST_PADDED = 20  # such lines
LINES = 300  # at the beginning, by which a layout is recognised
EMPTY_NAMES = frozenset(EMPTY)
NUMBER = re.compile(r"\s*[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*%?\s*")
WITH_COMMA = re.compile(r"\s*[-+]?\d*,\d+\s*")
WITH_POINT = re.compile(r"\s*[-+]?\d*\.\d+([eE][-+]?\d+)?\s*")
EITHER = re.compile(r"\s*[-+]?[1-9]\d{0,2},\d{3}\s*")  # a mark of thousands, or of decimals
THOUSANDS = re.compile(r"\s*[-+]?\d{1,3}(\.\d{3})+,\d+\s*")
DATE_LIKE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([T ].*)?\s*")
INDEX_NAMES = frozenset({"date", "datetime", "time", "index", "month", ""})


class Line(NamedTuple):
    """The fields of a line of the file, and how many lines of text end with it."""

    fields: list[str]
    end: int


@dataclass(frozen=True)
class Layout:
    """Where the table of a text file stands.

    Attributes:
        delimiter, decimal, encoding: of the text.
        header: lines of text up to the end of the header.
        preamble: lines before it.
        names: of the columns, as written.
        upper: the names above them, where the header has two rows.
        below: a row of codes or units between the names and the numbers, which is not read.
    """

    delimiter: str
    decimal: str
    encoding: str
    header: int
    preamble: int
    names: list[str]
    upper: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)


def layout_of(content: Content, form: Form) -> Layout:
    """Where the table stands, by the beginning of the file.

    Raises:
        DataError: no table, no names of columns, decimal marks of two kinds.
    """
    beginning, encoding = decoded(content, form)
    text = "".join(islice(StringIO(beginning, newline=""), LINES))
    if "\0" in text:
        raise content.refuse(NO_TABLE)
    delimiter, lines, first = _table_in(content, text, form)
    headers = _header_rows([line.fields for line in lines[first:]])
    if headers == 1:
        first = _below_padded(lines, first)
        headers = _header_rows([line.fields for line in lines[first:]])
    preamble = lines[first].end - 1
    header = lines[first + headers - 1].end
    names = lines[first].fields
    upper: list[str] = []
    below: list[str] = []
    if headers == 1 and _has_codes([line.fields for line in lines[first:]]):
        below = lines[first + 1].fields
        header = lines[first + 1].end
        if not find(DATE, names[:1]):
            names = ["", *names[1:]]
    if headers > 1:
        upper = _as_merged(names)
        names = lines[first + 1].fields
    elif is_data(names):
        _check_even(content, lines[: first + 1])
        without_date = first and len(lines[first - 1].fields) == len(names) - 1
        if not without_date:
            given = listed(names[:4])
            raise content.refuse(
                f"has no names of columns, its first line is {given}; allowed: names there"
            )
        # a table printed with a blank above its dates
        names = ["", *lines[first - 1].fields]
        header = lines[first - 1].end
        preamble = header - 1
    cells = []
    for line in lines[first + headers + bool(below) :]:
        if len(line.fields) == len(names):
            cells.append(line.fields)
    decimal = DECIMALS[form.decimal] if form.decimal else _decimal(content, cells, delimiter)
    return Layout(delimiter, decimal, encoding, header, preamble, names, upper, below)


def on_marks(layout: Layout, form: Form) -> list[str]:
    """The sentence on delimiter and decimal mark, where they are not those of a plain CSV file."""
    words = []
    if layout.delimiter != "," and form.delimiter is None:
        mark = next(word for word, mark in NAMED.items() if mark == layout.delimiter)
        words.append(f"data.delimiter={mark}")
    if layout.decimal == "," and form.decimal is None:
        words.append("data.decimal=comma")
    notes = [f"The text is read with {' '.join(words)}."] if words else []
    if layout.below:
        codes = listed(layout.below[1:])
        notes.append(f"A row of codes or units below the names is not read: {codes}.")
    return notes


def _below_padded(lines: Sequence[Line], first: int) -> int:
    """Which line is the first of the table: above it lines may have been filled up with blanks.

    Spreadsheets write a title, or a start date, with as many marks as the table has.
    """
    last = min(first + MOST_PADDED, len(lines))
    for place in range(first, last):
        fields = lines[place].fields
        is_full = all(map(str.strip, fields[1:]))
        if not is_full:
            continue
        if is_data(fields):
            return first
        header = place
        if place > first and _is_upper(lines[place - 1].fields):
            header = place - 1  # the upper of two rows of names
        above = lines[first:header]
        return header if all(map(_is_padded, above)) else first
    return first


def _is_padded(line: Line) -> bool:
    """Whether but few fields of a line hold something."""
    filled = list(filter(str.strip, line.fields))
    return len(filled) <= PADDED


def _is_upper(fields: Sequence[str]) -> bool:
    """Whether a line with blanks is the upper one of two rows of names: several, and no numbers."""
    texts = list(filter(str.strip, fields[1:]))
    others = any(is_number(text) or DATE_LIKE.fullmatch(text) for text in texts)
    return len(texts) > 1 and not others


def _check_even(content: Content, lines: Sequence[Line]) -> None:
    """Whether no names of columns stand above rows of another number of columns.

    Args:
        lines: those up to the first row.

    Raises:
        DataError: they do.
    """
    first_row = lines[-1]
    for line, below in pairwise(lines):
        if len(line.fields) == len(below.fields):
            continue
        as_many = len(line.fields) == len(first_row.fields)
        # without one of dates a table may have been printed with a blank above them
        above = below is first_row and bool(find(DATE, line.fields))
        if is_data(line.fields) or not (as_many or above):
            continue
        names = f"names {len(line.fields)} columns in line {line.end}"
        row = f"has {len(below.fields)} in line {below.end}"
        raise content.refuse(f"{names} and {row}; allowed: as many in every line")


def _table_in(content: Content, text: str, form: Form) -> tuple[str, list[Line], int]:
    """The delimiter, the lines that are not blank, and which of them is the first of the table.

    Raises:
        DataError: no line has two columns.
    """
    candidates = list(DELIMITERS.values())
    if form.delimiter is not None:
        candidates = [NAMED.get(form.delimiter, form.delimiter)]
    candidates = [delimiter for delimiter in candidates if delimiter in text]
    best: tuple[int, str, list[Line], int] | None = None
    for delimiter in candidates:
        lines = list(lines_of(text, delimiter))
        first, length = _first_run(lines)
        if length and (best is None or length > best[0]):
            best = (length, delimiter, lines, first)
    if form.delimiter is None and (best is None or best[0] < FIRST_TABLE):
        lines = list(lines_of(text, SPACES))
        first, length = _first_run(lines)
        if length > 1 and (best is None or length > best[0]):
            best = (length, SPACES, lines, first)
    if best is None:
        beginning = text.strip()[:40]
        if not beginning:
            raise content.refuse("is empty")
        raise content.refuse(
            f"is not a table: no line has two columns, it begins {beginning!r}; "
            f"data.delimiter names what stands between them: {', '.join(NAMED)} or a character"
        )
    return best[1], best[2], best[3]


def lines_of(text: str, delimiter: str) -> Iterator[Line]:
    """The lines that are not blank, split at the delimiter."""
    source = StringIO(text, newline="")
    if delimiter == SPACES:
        for number, line in enumerate(source, 1):
            if line.strip():
                yield Line(line.split(), number)
        return
    # text in quotes may be cut by the end of the sample
    reader = csv.reader(source, delimiter=delimiter)
    try:
        for fields in reader:
            if any(fields) or len(fields) > 1:
                yield Line(fields, reader.line_num)
    except csv.Error:
        return


def _first_run(lines: Sequence[Line]) -> tuple[int, int]:
    """Where the first table begins, and of how many lines it is; of length 0 without any.

    A table is a run of lines of as many columns, two at least; the longest where none is long.
    """
    longest = (0, 0)
    first = 0
    while first < len(lines):
        width = len(lines[first].fields)
        end = first
        while end < len(lines) and len(lines[end].fields) == width:
            end += 1
        length = end - first
        if width > 1 and length > longest[1]:
            longest = (first, length)
            if length >= FIRST_TABLE:
                return longest
        first = end
    return longest


def is_number(text: str) -> bool:
    """Whether a text is a number, its decimal mark a point or a comma."""
    return NUMBER.fullmatch(text) is not None


def is_data(fields: Sequence[str]) -> bool:
    """Whether a line holds a date first, or dates and numbers alone, and no names."""
    if DATE_LIKE.fullmatch(fields[0]):
        return True
    filled = list(filter(str.strip, fields))
    for text in filled:
        if not is_number(text) and not DATE_LIKE.fullmatch(text):
            return False
    return bool(filled)


def _header_rows(rows: Sequence[Sequence[str]]) -> int:
    """How many rows the header has: two with assets below fields, three with a row of the index."""
    if len(rows) < 2:
        return 1
    upper = _as_merged(rows[0])[1:]
    lower = list(map(str.strip, rows[1][1:]))
    if len(lower) != len(upper) or not all(lower) or any(map(is_number, lower)):
        return 1
    third = list(rows[2]) if len(rows) > 2 else []
    beside_index = list(filter(str.strip, third[1:]))
    index_alone = bool(third) and not beside_index
    if index_alone and third[0].strip().casefold() in INDEX_NAMES:
        return 3
    of_one_unit = len(set(lower)) == 1 and not _repeat(upper) and not is_field(lower[0])
    repeats = (_repeat(upper) or _repeat(lower)) and not of_one_unit
    pairs = set(zip(upper, lower, strict=True))
    numbers = bool(third) and all(map(is_number, beside_index))
    if repeats and len(pairs) == len(upper) and numbers:
        return 2
    return 1


def _has_codes(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the second row is of codes or units: texts alone, above numbers alone."""
    if len(rows) < 3 or not all(len(row) == len(rows[0]) > 1 for row in rows[:3]):
        return False
    codes = list(map(str.strip, rows[1]))
    numbers = list(filter(str.strip, rows[2][1:]))
    are_texts = all(codes[1:]) and not any(map(is_number, codes))
    is_dated = DATE_LIKE.fullmatch(codes[0]) is not None
    absent = EMPTY_NAMES.issuperset(codes[1:])
    of_numbers = bool(numbers) and all(map(is_number, numbers))
    return are_texts and of_numbers and not is_dated and not absent


def _as_merged(row: Sequence[str]) -> list[str]:
    """A row of names, those of merged cells repeated: only the first of them holds the name."""
    names: list[str] = []
    for position, text in enumerate(row):
        repeated = position > 1 and not text.strip()
        names.append(names[-1] if repeated else text.strip())
    return names


def _repeat(names: Sequence[str]) -> bool:
    """Whether a name is there more than once."""
    return len(set(names)) < len(names)


def _decimal(content: Content, rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """The decimal mark of the numbers.

    Raises:
        DataError: points in some columns and commas in others, or marks of thousands.
    """
    if delimiter == ",":
        quoted = any(WITH_COMMA.fullmatch(text) for fields in rows for text in fields)
        if not quoted:
            return "."
    commas: list[str] = []
    points: list[str] = []
    for column in zip(*rows, strict=True):
        commas += filter(THOUSANDS.fullmatch, column)
        filled = [text for text in column if text.strip() not in EMPTY]
        if all(map(is_number, filled)):
            commas += filter(WITH_COMMA.fullmatch, filled)
            points += filter(WITH_POINT.fullmatch, filled)
    if commas and points:
        raise content.refuse(
            f"has decimal marks of two kinds, {commas[0].strip()!r} and {points[0].strip()!r}; "
            "data.decimal=comma or data.decimal=point says which of them is one"
        )
    if commas and all(map(EITHER.fullmatch, commas)):
        raise content.refuse(
            f"has numbers such as {commas[0].strip()!r}, whose comma may be a mark of thousands "
            "(data.decimal=point) or of decimals (data.decimal=comma)"
        )
    return "," if commas else "."
