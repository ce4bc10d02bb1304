"""What is said of the columns and values of a market: what they are, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

# where assets and values of a table of dates x assets stand, which has no column of either
HEADINGS = "(headings)"
CELLS = "(cells)"


class Dropped(NamedTuple):
    """One line of the account of what was left out, and why."""

    what: str
    reason: str
    rows: int


class Reading(NamedTuple):
    """What a column of a table was taken for.

    Attributes:
        table: the file, query or DataFrame, in words.
        column: its name there; of dates x assets `HEADINGS` and `CELLS`.
        name: by which the spec and the market have it.
        taken_for: its role: date, asset, time of day, price, return, field, series, group, ...
        guessed: whether the spec leaves it open, and it was chosen by its name or content.
        asked: whether it is read because a part of the spec beside `data` names it.
    """

    table: str
    column: str
    name: str
    taken_for: str
    guessed: bool = False
    asked: bool = False


class Column(NamedTuple):
    """A column of numbers of a market.

    Attributes:
        kind: `field` (T, N), `series` (T,), or `market`: of the market asset, (T,).
        name: by which the market has it.
        label: its name for people.
    """

    kind: Literal["field", "series", "market"]
    name: str
    label: str


class Blanked(NamedTuple):
    """Values of a column that a rule took away.

    Attributes:
        rule: what they were: `below -1`, `zero or negative`, ...
        at: flat positions (m,) in the cells of the column, counted row by row.
    """

    column: Column
    rule: str
    at: np.ndarray
