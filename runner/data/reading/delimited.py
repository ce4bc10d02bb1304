"""Text files with columns: delimiter, header, notes around the table and encoding by content."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from io import StringIO
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from runner.data.reading.content import HEAD, WESTERN, Content, Form, decoded, unreadable
from runner.data.reading.parsing import EMPTY
from runner.errors import listed

if TYPE_CHECKING:
    import pyarrow as pa

# between the columns of a text file, the likelier first
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
SPACES = " "
NAMED = DELIMITERS | {"spaces": SPACES}
DECIMALS = {"point": ".", "comma": ","}
FIRST_TABLE = 3  # lines of as many columns that make a table; a preamble has fewer
LINES = 300  # at the beginning, by which a layout is recognised
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
    """

    delimiter: str
    decimal: str
    encoding: str
    header: int
    preamble: int
    names: list[str]
    upper: list[str] = field(default_factory=list)


def layout(content: Content, form: Form) -> Layout:
    """Where the table stands, by the beginning of the file.

    Raises:
        DataError: no table, no names of columns, decimal marks of two kinds.
    """
    beginning, encoding = decoded(content, form)
    text = "".join(islice(StringIO(beginning, newline=""), LINES))
    if "\0" in text:
        raise content.refuse("is not a table: neither text nor in a format that is read")
    delimiter, lines, first = _table_in(content, text, form)
    preamble = lines[first].end - 1
    headers = _header_rows([line.fields for line in lines[first:]])
    header = lines[first + headers - 1].end
    names = lines[first].fields
    upper: list[str] = []
    if headers > 1:
        upper = names
        names = lines[first + 1].fields
    elif _is_data(names):
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
    for line in lines[first + headers :]:
        if len(line.fields) == len(names):
            cells.append(line.fields)
    decimal = DECIMALS[form.decimal] if form.decimal else _decimal(content, cells, delimiter)
    return Layout(delimiter, decimal, encoding, header, preamble, names, upper)


def _table_in(content: Content, text: str, form: Form) -> tuple[str, list[Line], int]:
    """The delimiter, the lines that are not blank, and which of them is the first of the table.

    Raises:
        DataError: no line has two columns.
    """
    candidates = list(DELIMITERS.values())
    if form.delimiter is not None:
        candidates = [NAMED.get(form.delimiter, form.delimiter)]
    best: tuple[int, str, list[Line], int] | None = None
    for delimiter in candidates:
        lines = list(_lines(text, delimiter))
        first, length = _first_run(lines)
        if length and (best is None or length > best[0]):
            best = (length, delimiter, lines, first)
    if form.delimiter is None and (best is None or best[0] < FIRST_TABLE):
        lines = list(_lines(text, SPACES))
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


def _lines(text: str, delimiter: str) -> Iterator[Line]:
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


def _is_data(fields: Sequence[str]) -> bool:
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
    upper = list(map(str.strip, rows[0][1:]))
    lower = list(map(str.strip, rows[1][1:]))
    if len(lower) != len(upper) or not all(lower) or any(map(is_number, lower)):
        return 1
    third = list(rows[2]) if len(rows) > 2 else []
    beside_index = list(filter(str.strip, third[1:]))
    index_alone = bool(third) and not beside_index
    if index_alone and third[0].strip().casefold() in INDEX_NAMES:
        return 3
    repeats = _repeat(upper) or _repeat(lower)
    pairs = set(zip(upper, lower, strict=True))
    numbers = bool(third) and all(map(is_number, beside_index))
    if repeats and len(pairs) == len(upper) and numbers:
        return 2
    return 1


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
        for text in filter(THOUSANDS.fullmatch, column):
            raise content.refuse(
                f"has numbers such as {text.strip()!r}, with a mark of thousands; allowed: none"
            )
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
            f"has numbers such as {commas[0].strip()!r}, whose comma may be a mark of thousands, "
            "which is not read, or of decimals: data.decimal=comma"
        )
    return "," if commas else "."


@dataclass(frozen=True)
class Text:
    """A text file and where its table stands."""

    content: Content
    form: Form
    layout: Layout

    def again(self, other: Content) -> Text | None:
        """The same of a file that begins with the same names of columns; None where it does not."""
        header = self.layout.header
        own = self.content.head().split(b"\n", header)
        others = other.head().split(b"\n", header)
        alike = len(own) > header and own[:header] == others[:header]
        return replace(self, content=other) if alike else None

    def load(self, at: Sequence[int], text: Sequence[int], notes: list[str]) -> pa.Table:
        """The columns at these positions, named by them.

        Numbers, but text where asked for; all are text where one of the others is not a number.

        Args:
            text: positions among them that are read as text.
            notes: sentences on what was found while reading are added.

        Raises:
            DataError: not in its encoding, lines that are cut, decimal marks of two kinds.
            pyarrow.ArrowException: not a whole table.
        """
        import pyarrow as pa

        layout = self.layout
        try:
            return self._columns(self._source(layout.encoding), at, text, notes)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error) or layout.encoding != "utf-8" or self.form.encoding:
                raise
        western = replace(self, layout=replace(layout, encoding=WESTERN))
        notes.append(western.on_encoding())
        return western._columns(western._source(WESTERN), at, text, notes)

    def on_encoding(self) -> str:
        """The sentence on the encoding."""
        encoding = self.layout.encoding
        return f"The text is not UTF-8; it is read as {encoding} (data.encoding={encoding})."

    def _source(self, encoding: str) -> pa.NativeFile:
        """The text in UTF-8, with tabs between columns that had spaces.

        Raises:
            DataError: it is not in this encoding.
        """
        import pyarrow as pa

        spaced = self.layout.delimiter == SPACES
        if encoding in ("utf-8", "utf-8-sig") and not spaced:
            return self.content.stream()
        try:
            data = self.content.whole().decode(encoding).removeprefix("\ufeff").encode()
        except (UnicodeError, LookupError) as error:
            raise unreadable(self.content, encoding) from error
        if spaced:
            data = re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", data)
            data = re.sub(rb"[ \t]+", b"\t", data)
        return pa.BufferReader(data)

    def _columns(
        self, source: pa.NativeFile, at: Sequence[int], text: Sequence[int], notes: list[str]
    ) -> pa.Table:
        """The columns of a text in UTF-8."""
        import pyarrow as pa

        names = pa.dictionary(pa.int32(), pa.string())
        types = {position: names if position in text else pa.float64() for position in at}
        try:
            return self._parsed(source, types)
        except pa.ArrowInvalid as error:
            mistake = error
        source.seek(0)
        if "Expected" in str(mistake) and "columns, got" in str(mistake):
            source = self._first_table(source.read(), mistake, notes)
            return self._columns(source, at, text, notes)
        if "conversion error" not in str(mistake):
            raise mistake
        table = self._parsed(source, dict.fromkeys(at, names))
        if self.layout.decimal == ",":
            return self._with_points(table, text)
        return table

    def _parsed(self, source: pa.NativeFile, types: dict[int, pa.DataType]) -> pa.Table:
        """The columns of these types, by position."""
        from pyarrow import csv

        layout = self.layout
        positions = list(map(str, range(len(layout.names))))
        read = csv.ReadOptions(column_names=positions, skip_rows=layout.header)
        # threads cost a small file more than they save
        read.use_threads = source.size() > read.block_size
        names = list(map(str, types))
        convert = csv.ConvertOptions(
            include_columns=names,
            column_types=dict(zip(names, types.values(), strict=True)),
            null_values=EMPTY,
            decimal_point=layout.decimal,
        )
        return csv.read_csv(source, read, self._parse(), convert)

    def _parse(self, **options: object) -> pa.csv.ParseOptions:
        """How lines are cut into columns; a line break within quotes is none."""
        from pyarrow import csv

        delimiter = "\t" if self.layout.delimiter == SPACES else self.layout.delimiter
        return csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, **options)

    def _with_points(self, table: pa.Table, text: Sequence[int]) -> pa.Table:
        """Numbers that were read as text with a point as their decimal mark.

        Raises:
            DataError: some had one before.
        """
        from pyarrow import compute as pc

        columns = []
        for name in table.column_names:
            column = table[name]
            if int(name) not in text:
                words = column.cast("string")
                pointed = words.filter(pc.fill_null(pc.match_substring(words, "."), False))
                if len(pointed):
                    raise self.content.refuse(
                        f"has decimal commas, and {pointed[0].as_py()!r} with a point; "
                        "data.decimal=point reads points"
                    )
                column = pc.replace_substring(words, ",", ".").dictionary_encode()
            columns.append(column)
        return table.from_arrays(columns, names=table.column_names)

    def _first_table(self, data: bytes, mistake: Exception, notes: list[str]) -> pa.NativeFile:
        """The text up to the first line that is no row, if notes or another table begin there.

        Raises:
            pyarrow.ArrowInvalid: the table goes on after it.
        """
        import pyarrow as pa

        line = self._first_other_line(data)
        if line is None:
            raise mistake
        ends = (b"\n" + line + b"\n", b"\n" + line + b"\r\n", b"\n" + line + b"\r")
        starts = {data.find(end) for end in ends} - {-1}
        if data.endswith(b"\n" + line):
            starts.add(len(data) - len(line) - 1)
        if not starts:
            raise mistake
        cut = min(starts) + 1
        rest = data[cut:]
        blank_before = data[:cut].rstrip(b" \t\r\n").count(b"\n") < data[:cut].count(b"\n") - 1
        one_column = self._fields(line.decode()) == 1
        if not (blank_before or one_column) or self._goes_on(rest):
            raise mistake
        lines = list(filter(str.strip, rest.decode().splitlines()))
        beginning = lines[0].strip()[:50]
        given = f"{len(lines):,} lines" if len(lines) > 1 else "1 line"
        notes.append(f"After the first table {given} from {beginning!r} on are not read.")
        return pa.BufferReader(data[:cut])

    def _first_other_line(self, data: bytes) -> bytes | None:
        """The first line with another number of columns."""
        import pyarrow as pa
        from pyarrow import csv

        texts: list[str] = []

        def keep(row: csv.InvalidRow) -> str:
            texts.append(row.text)
            return "error"

        positions = list(map(str, range(len(self.layout.names))))
        read = csv.ReadOptions(
            column_names=positions, skip_rows=self.layout.header, use_threads=False
        )
        text = csv.ConvertOptions(column_types=dict.fromkeys(positions, pa.string()))
        with suppress(pa.ArrowInvalid):
            csv.read_csv(pa.BufferReader(data), read, self._parse(invalid_row_handler=keep), text)
        return texts[0].encode() if texts else None

    def _fields(self, line: str) -> int:
        """How many columns a line has."""
        lines = list(_lines(line, self.layout.delimiter))
        return len(lines[0].fields) if lines else 0

    def _goes_on(self, rest: bytes) -> bool:
        """Whether the next line of as many columns as the table is a row, not a header."""
        text = rest[:HEAD].decode(errors="ignore")
        for line in _lines(
            text, "\t" if self.layout.delimiter == SPACES else self.layout.delimiter
        ):
            if len(line.fields) == len(self.layout.names):
                return _is_data(line.fields[:1])
        return False
