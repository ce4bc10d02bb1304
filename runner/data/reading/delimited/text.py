"""Tables cut out of text files whose layout is known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from runner.data.reading.content import HEAD, WESTERN, Content, unreadable
from runner.data.reading.delimited.layout import SPACES, Layout, is_data, lines_of
from runner.data.reading.parsing import EMPTY
from runner.schema.forms import Form

if TYPE_CHECKING:
    import pyarrow as pa

UTF_8 = ("utf-8", "utf-8-sig")
# points of thousands before a comma of decimals, or commas before a point
OF_THOUSANDS = r"^\D*\d{1,3}(\.\d{3})+(,\d*)?\D*$"
COMMAS_OF_THOUSANDS = r"^\D*\d{1,3}(,\d{3})+(\.\d*)?\D*$"
NO_DECIMAL_POINT = r"\.\d{3}[.,]"
BLANK = (b"\n\n", b"\n\r")  # a line without a row


@dataclass(frozen=True)
class Text:
    """A text file and where its table stands."""

    content: Content
    form: Form
    layout: Layout

    def again(self, other: Content) -> Text | None:
        """The same of a file that begins with the same names of columns; None where it does not."""
        header = self.layout.header
        own = self.content.beginning().split(b"\n", header)
        others = other.beginning().split(b"\n", header)
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
        self._check_end()
        try:
            return self._columns(self._source(layout.encoding), at, text, notes)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error) or layout.encoding != "utf-8" or self.form.encoding:
                raise
        western = replace(self, layout=replace(layout, encoding=WESTERN))
        notes.append(western.on_encoding())
        return western._columns(western._source(WESTERN), at, text, notes)

    def _check_end(self) -> None:
        """Whether the text ends outside of quotes.

        Raises:
            DataError: a quote is open at its end, as of a file that was cut off.
        """
        if b'"' not in self.content.beginning():
            return
        last_line = self.content.end().rpartition(b"\n")[2]
        if last_line.count(b'"') % 2 and self.content.whole().count(b'"') % 2:
            raise self.content.refuse("ends within quotes: it was cut off, or lacks a quote")

    @property
    def is_plain(self) -> bool:
        """Whether the text is UTF-8 with one character between its columns."""
        return self.layout.encoding in UTF_8 and self.layout.delimiter != SPACES

    def rows_of(self, data: bytes) -> bytes | None:
        """The lines of a text below its header, where that is the same as here.

        None of another text, and of one in which a line may be no row, or a row of no line: with
        blank lines, lines that end as on old Macs, or no line at all.
        """
        header = self._header
        if not data.startswith(header):
            return None
        rows = data[len(header) :].rstrip(b"\r\n")
        if not rows or rows.startswith((b"\n", b"\r")):
            return None
        if any(mark in rows for mark in BLANK) or rows.count(b'"') % 2:
            return None
        if b"\r" in rows and rows.count(b"\r") != rows.count(b"\r\n"):
            return None
        return rows + b"\n"

    @cached_property
    def _header(self) -> bytes:
        """The first bytes, with the end of the header."""
        lines = self.content.beginning().split(b"\n", self.layout.header)
        return b"\n".join([*lines[:-1], b""])

    def cut(self, rows: bytes, at: Sequence[int], text: Sequence[int]) -> pa.Table:
        """The columns of lines without a header, as `load` gives those of a file."""
        import pyarrow as pa

        below = replace(self, layout=replace(self.layout, header=0))
        return below._columns(pa.BufferReader(rows), at, text, [])

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
        if encoding in UTF_8 and not spaced:
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
        if "block size" in str(mistake):
            raise self.content.refuse(
                "has a line of millions of characters; allowed: shorter lines"
            )
        if "conversion error" not in str(mistake):
            raise mistake
        table = self._parsed(source, dict.fromkeys(at, names))
        if self.layout.decimal == ",":
            return self._with_points(table, text)
        if self.form.decimal == "point":
            return _without_commas(table, text)
        return table

    def _parsed(self, source: pa.NativeFile, types: dict[int, pa.DataType]) -> pa.Table:
        """The columns of these types, by position."""
        from pyarrow import csv

        layout = self.layout
        positions = list(map(str, range(len(layout.names))))
        read = csv.ReadOptions(column_names=positions, skip_rows=layout.header)
        # a block has at least one line
        read.block_size = max(read.block_size, 2 * len(self.content.beginning()))
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
                grouped = pc.all(pc.match_substring_regex(pointed, OF_THOUSANDS)).as_py()
                certain = pc.any(pc.match_substring_regex(pointed, NO_DECIMAL_POINT)).as_py()
                if grouped and certain:
                    words = pc.replace_substring(words, ".", "")
                elif len(pointed):
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
        if lines:
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
        lines = list(lines_of(line, self.layout.delimiter))
        return len(lines[0].fields) if lines else 0

    def _goes_on(self, rest: bytes) -> bool:
        """Whether the next line of as many columns as the table is a row, not a header."""
        text = rest[:HEAD].decode(errors="ignore")
        for line in lines_of(
            text, "\t" if self.layout.delimiter == SPACES else self.layout.delimiter
        ):
            if len(line.fields) == len(self.layout.names):
                return is_data(line.fields[:1])
        return False


def _without_commas(table: pa.Table, text: Sequence[int]) -> pa.Table:
    """The same without commas of thousands, where the spec says that none is of decimals."""
    from pyarrow import compute as pc

    columns = []
    for name in table.column_names:
        column = table[name]
        if int(name) not in text:
            words = column.cast("string")
            with_comma = words.filter(pc.fill_null(pc.match_substring(words, ","), False))
            if pc.all(pc.match_substring_regex(with_comma, COMMAS_OF_THOUSANDS)).as_py():
                column = pc.replace_substring(words, ",", "").dictionary_encode()
        columns.append(column)
    return table.from_arrays(columns, names=table.column_names)
