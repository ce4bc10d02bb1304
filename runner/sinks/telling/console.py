"""What the terminal prints on: a console, and tables whose cells are never cut."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.text import shown

if TYPE_CHECKING:
    from rich.console import JustifyMethod

ENDLESS = 10_000  # columns of the terminal: more than any table takes
WIDEST = 120  # columns of a file or a pipe, which have no width of their own
NARROWEST = 60  # of a terminal; a narrower one wraps lines
GAP = 2  # columns between those of a table
APART = 2  # columns from the longest subject to its sentences


class Page(Console):
    """Standard output or another, as wide as the terminal is.

    Names in what is printed are data: nothing in them is markup, an emoji or an escape sequence.
    That its reader left is the business of the edge.
    """

    def __init__(self, file: IO[str] | None = None) -> None:
        super().__init__(
            file=file or sys.stdout, highlight=False, soft_wrap=True, markup=False, emoji=False
        )
        has_width = self.is_terminal or os.environ.get("COLUMNS", "").isdigit()
        self.width = max(self.width, NARROWEST if has_width else WIDEST)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as it is printed, alone or in a table."""
        return super().render_str("\n".join(map(shown, text.split("\n"))), **options)

    def lines(self, lines: Iterable[str]) -> None:
        """Print each on a line of its own, whatever names it holds."""
        self.print("\n".join(map(shown, lines)))

    def sentences(self, sentences: Iterable[str]) -> None:
        """Print each on a line of its own, a long one on several, words whole."""
        for sentence in sentences:
            for line in self.wrapped(sentence):
                self.print(line)

    def sheet(self, table: Sheet) -> None:
        """Print a table however wide it is: the terminal wraps lines, no number is cut."""
        before = self.width
        self.width = max(before, table.wide)
        self.print(table)
        self.width = before

    def folding(self, table: Sheet) -> None:
        """Print a table whose texts take lines enough, where all of it is wider than this."""
        before = self.width
        self.width = max(before, table.least)
        self.print(table)
        self.width = before

    def wrapped(self, text: str, indent: int = 0) -> list[Text]:
        """The lines that a sentence takes, words whole; what leaks is red."""
        words = Text(shown(text))
        words.highlight_regex(r"LEAKING: .*", style="bold red")
        lines = list(words.wrap(self, self.width - indent))
        for line in lines:
            line.rstrip()
        return lines

    def by_subject(self, told: Mapping[str, Sequence[str]], indent: int = 0) -> list[Text]:
        """The lines of sentences, each subject to the left of its own.

        Args:
            indent: columns of the subjects, at least.
        """
        indent = max([indent, *(len(subject) + APART for subject in told)])
        printed = []
        for subject, sentences in told.items():
            margin = Text(shown(subject).ljust(indent), style="bold")
            for sentence in sentences:
                for line in self.wrapped(sentence, indent):
                    printed.append(Text.assemble(margin, line))
                    margin = Text(" " * indent)
        return printed

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Sheet(Table):
    """A table without rules, whose cells are one line each, whatever names they hold."""

    def __init__(self, columns: Iterable[tuple[str, bool]], header_style: str = "bold") -> None:
        """Columns by their headings, each with whether it is of text."""
        super().__init__(
            box=None, pad_edge=False, header_style=header_style, padding=(0, GAP, 0, 0)
        )
        for heading, of_text in columns:
            justify: JustifyMethod = "left" if of_text else "right"
            self.add_column(shown(heading), justify=justify, no_wrap=True)

    @property
    def wide(self) -> int:
        """Columns of the terminal that it takes where none is cut."""
        console = Page()
        console.width = ENDLESS
        return console.measure(self).maximum

    @property
    def least(self) -> int:
        """The same where texts that may are on several lines, words whole."""
        wide = 0
        for column in self.columns:
            texts = [str(column.header), *map(str, column.cells)]
            if not column.no_wrap:
                texts = " ".join(texts).split()
            wide += max(map(cell_len, texts), default=0) + GAP
        return wide

    def add_line(self, cells: Iterable[str | Text]) -> None:
        """Add a row; a cell that has a style is of our own words."""
        self.add_row(*(cell if isinstance(cell, Text) else shown(cell) for cell in cells))
