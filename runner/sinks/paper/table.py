"""What a regression table holds, whatever it is written as: texts, and what each of them is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["panel", "estimate", "bracket", "foot"]


class Heading(NamedTuple):
    """The head of a column: its number, empty where columns are not numbered, and its name."""

    number: str
    name: str

    @property
    def text(self) -> str:
        """Both on one line."""
        return f"{self.number} {self.name}".strip()


class Cell(NamedTuple):
    """An estimate with its stars, and what stands in brackets below it; all empty without one."""

    estimate: str = ""
    stars: str = ""
    bracket: str = ""


class Line(NamedTuple):
    """Estimates of a coefficient or an asset, one per column."""

    label: str
    cells: tuple[Cell, ...]


class Foot(NamedTuple):
    """A row below the estimates, such as the observations of each column."""

    label: str
    texts: tuple[str, ...]


class Panel(NamedTuple):
    """A part of the table under a title, which is empty where there is one part."""

    title: str
    lines: tuple[Line, ...]
    feet: tuple[Foot, ...]


class Row(NamedTuple):
    """A printed row: what it is, its label, and a text per column; stars are of estimates."""

    kind: Kind
    label: str
    texts: tuple[str, ...]
    stars: tuple[str, ...]


@dataclass(frozen=True)
class RegressionTable:
    """A regression table as texts.

    Attributes:
        source: of the columns: the run, or the jobs of a sweep.
        title: what is regressed.
        headings: one per column.
        panels: one below the other, each with a cell per column.
        notes: sentences below the table.
    """

    source: str
    title: str
    headings: tuple[Heading, ...]
    panels: tuple[Panel, ...]
    notes: tuple[str, ...]

    @property
    def numbered(self) -> bool:
        """Whether columns have numbers, in a row above their names."""
        return any(heading.number for heading in self.headings)

    @property
    def named(self) -> bool:
        """Whether some column has a name."""
        return any(heading.name for heading in self.headings)

    def rows(self) -> Iterator[Row]:
        """Every printed row below the head, from the top."""
        blank = ("",) * len(self.headings)
        for panel in self.panels:
            if panel.title:
                yield Row("panel", panel.title, blank, blank)
            for line in panel.lines:
                yield from _rows_of(line, blank)
            for foot in panel.feet:
                yield Row("foot", foot.label, foot.texts, blank)

    def frame(self) -> pd.DataFrame:
        """The printed rows as texts: labels in the first column, without a name."""
        import pandas as pd

        texts = []
        for row in self.rows():
            starred = [text + stars for text, stars in zip(row.texts, row.stars, strict=True)]
            texts.append([row.label, *starred])
        names = ["", *(heading.text for heading in self.headings)]
        return pd.DataFrame(texts, columns=names, dtype=object)


def _rows_of(line: Line, blank: tuple[str, ...]) -> Iterator[Row]:
    """The row of the estimates and, where there are any, that of the brackets."""
    estimates = tuple(cell.estimate for cell in line.cells)
    stars = tuple(cell.stars for cell in line.cells)
    yield Row("estimate", line.label, estimates, stars)
    brackets = tuple(cell.bracket for cell in line.cells)
    if any(brackets):
        yield Row("bracket", "", brackets, blank)
