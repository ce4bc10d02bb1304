"""Which columns of a joined table are its keys, which are read, and what they are called here."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from runner.data.factor_names import canonical
from runner.data.joins.settings import Columns
from runner.data.reading.usual import ASSET, DATE, UNNAMED, find
from runner.errors import DataError, listed, unknown

WILD = frozenset("*?[")  # of a pattern


class Column(NamedTuple):
    """A column of a joined table.

    Attributes:
        name: here.
        where: place in the spec.
        column: in the file.
    """

    name: str
    where: str
    column: str


def named_twice(where: str, name: str) -> str:
    """The line on a column that the table of assets has too, where the spec may mean either."""
    both = f"{where}.columns.{name}: the table of assets has a column {name} too"
    return f"{both}, and the spec names it; data.columns.{name}=null leaves that one out"


def date_column(where: str, given: str | None, header: Sequence[str]) -> str:
    """The column of the dates.

    Raises:
        DataError: none is given, and none or several have the name of one.
    """
    column = given or date_among(header)
    if column is None:
        raise DataError(_which(f"{where}.date", "dates", header))
    return column


def date_among(header: Sequence[str]) -> str | None:
    """The one column that has a usual name of dates, or that pandas wrote as an unnamed index."""
    columns = find(DATE, header)
    if not columns:
        columns = [name for name in header if name in UNNAMED]
    return columns[0] if len(columns) == 1 else None


def asset_column(where: str, given: str | None, header: Sequence[str]) -> str:
    """The column of the assets.

    Raises:
        DataError: none is given, and none or several have the name of one.
    """
    columns = [given] if given else find(ASSET, header)
    if len(columns) != 1:
        question = _which(f"{where}.asset", "assets", header)
        raise DataError(f"{question}; dates x assets: {where}.form=wide")
    return columns[0]


def _which(where: str, what: str, header: Sequence[str]) -> str:
    """The line on a key that cannot be found."""
    return f"{where}: which column holds the {what}? The file has {listed(header)}; allowed: one"


def chosen(
    where: str, columns: Columns, header: Sequence[str], keys: Sequence[str]
) -> list[Column]:
    """The columns to read, in the order of the spec or of the file.

    Args:
        columns: as the spec gives them.
        keys: columns that are read otherwise.

    Raises:
        DataError: columns that are not there, a pattern that none fits, two of one name.
    """
    place = f"{where}.columns"
    if isinstance(columns, dict):
        named = []
        for name, column in columns.items():
            text = str(column).strip()
            named.append(Column(str(name), f"{place}.{name}", text))
        return named
    others = [column for column in header if column not in keys]
    if columns is None:
        taken = others
    else:
        entries = [columns] if isinstance(columns, str) else columns
        taken = _matched(place, entries, others)
    _check_once(place, taken)
    matched = []
    for name, column in _called(taken):
        matched.append(Column(name, f"{place}.{name}", column))
    return matched


def _called(columns: Sequence[str]) -> list[tuple[str, str]]:
    """What each column is called here, and the column."""
    return [(canonical(column), column) for column in columns]


def _matched(place: str, entries: Sequence[str], others: Sequence[str]) -> list[str]:
    """The columns of these names and patterns, each once.

    Raises:
        DataError: those that are not there, one line each.
    """
    taken: list[str] = []
    mistakes = []
    for entry in entries:
        matches = [column for column in others if column == entry]
        if not matches and WILD.intersection(entry):
            matches = [column for column in others if fnmatchcase(column, entry)]
        if not matches:
            stranger = unknown(entry, others)
            mistake = f"{place}: column {stranger}"
            mistakes.append(mistake)
        taken += matches
    if mistakes:
        raise DataError(mistakes)
    return list(dict.fromkeys(taken))


def _check_once(place: str, columns: Sequence[str]) -> None:
    """Whether no two columns are called the same here.

    Raises:
        DataError: two are, such as Mkt-RF and MktRF.
    """
    first: dict[str, str] = {}
    for name, column in _called(columns):
        if name in first:
            both = f"{first[name]!r} and {column!r}"
            allowed = f"a mapping such as {{{name}: {column}}}"
            raise DataError(f"{place}: {both} are both {name}; allowed: {allowed}")
        first[name] = column
