"""The tables of an account as people read them, the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.data.suspicions import stamp
from runner.sinks.markup import Column
from runner.text import number, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.accounts.account import Account

FEW = 10  # rows of a long table
TEXT = "text"
# headings
COLUMNS = "What each column was taken for"
GAPS = "Longest gaps between dates"
COVERAGE = "Assets with the fewest values"
JOINS = "Joined tables"
UNITS = "Units"
MOVES = "Largest returns"
GROUPS = "Groups of assets"
DROPPED = "Left out"


class Shown(NamedTuple):
    """A table with its heading.

    Attributes:
        heading: of the section.
        columns: texts in columns of equal length.
        note: how many rows there are beside those shown, and where.
    """

    heading: str
    columns: list[Column]
    note: str = ""


def shown(account: Account) -> list[Shown]:
    """The tables that hold something, in the order in which they are read."""
    tables = [
        columns_table(account),
        gaps_table(account),
        coverage_table(account),
        joins_table(account),
        units_table(account),
        moves_table(account),
        labels_table(account),
        dropped_table(account),
    ]
    return [table for table in tables if table.columns[0].cells]


def columns_table(account: Account) -> Shown:
    """What each column was taken for."""
    table = account.columns
    columns = [
        _texts("column", table["column"]),
        _texts("name here", table["name"]),
        _texts("taken for", table["taken_for"]),
        _texts("given or guessed", table["how"]),
        _numbers("values", table["values"], _whole),
        _numbers("missing", table["missing"], _whole),
    ]
    if table["table"].nunique() > 1:
        columns.insert(0, _texts("table", table["table"]))
    note = "missing: of a field, cells (date x asset) that have a price or return, but no value"
    return Shown(COLUMNS, columns, note)


def gaps_table(account: Account) -> Shown:
    """The longest gaps of the calendar; single dates, holidays among them, are in the file only."""
    longer = account.gaps[account.gaps["missing"] > 1]
    table = longer.head(FEW)
    columns = [
        _texts("after", map(_date, table["after"])),
        _texts("before", map(_date, table["before"])),
        _numbers("days", table["days"], _whole),
        _numbers("missing", table["missing"], _whole),
    ]
    return Shown(GAPS, columns, _rest(longer, "gaps.csv"))


def coverage_table(account: Account) -> Shown:
    """The assets with the fewest values, where some lack any."""
    lacking = account.coverage[account.coverage["share"] < 1.0]
    table = lacking.head(FEW)
    columns = [
        _texts("asset", table["asset"]),
        _texts("first", map(_date, table["first"])),
        _texts("last", map(_date, table["last"])),
        _numbers("values", table["values"], _whole),
        _numbers("missing in between", table["inside"], _whole),
        _numbers("of all dates", table["share"], percent),
    ]
    return Shown(COVERAGE, columns, _rest(lacking, "coverage.csv"))


def joins_table(account: Account) -> Shown:
    """What joined tables gave."""
    table = account.joins
    columns = [
        _texts("name here", table["name"]),
        _texts("table", table["table"]),
        _numbers("met", table["met"], _whole),
        _numbers("missed", table["missed"], _whole),
        _numbers("met, share", table["share"], percent),
    ]
    return Shown(JOINS, columns)


def units_table(account: Account) -> Shown:
    """Median, median size and range of every column of numbers."""
    table = account.units
    columns = [
        _texts("column", table["name"]),
        _texts("taken for", table["taken_for"]),
        _numbers("values", table["values"], _whole),
        _numbers("median", table["median"], number),
        _numbers("median size", table["median_size"], number),
        _numbers("least", table["least"], number),
        _numbers("greatest", table["greatest"], number),
        _numbers("zero", table["zero"], percent),
    ]
    if (table["remark"] != "").any():
        columns.append(_texts("remark", table["remark"]))
    return Shown(UNITS, columns, "returns in decimals: 0.01 is one per cent")


def moves_table(account: Account) -> Shown:
    """The largest returns, in per cent."""
    table = account.moves
    times = table["return"].abs() / table["median_size"].where(table["median_size"] > 0.0)
    columns = [
        _texts("asset", table["asset"]),
        _texts("date", map(_date, table["date"])),
        _numbers("return", table["return"], percent),
        _numbers("times its median size", times, _times),
    ]
    return Shown(MOVES, columns)


def labels_table(account: Account) -> Shown:
    """How many labels each group has, the most and the least frequent one."""
    table = account.labels
    groups = [rows for _, rows in table.groupby("group", sort=False)]
    known = [rows[rows["label"] != "unknown"] for rows in groups]
    without = [rows.loc[rows["label"] == "unknown", "assets"].sum() for rows in groups]
    columns = [
        _texts("group", [rows["group"].iloc[0] for rows in groups]),
        _numbers("labels", [len(rows) for rows in known], _whole),
        _texts("most assets", [_label(rows, 0) for rows in known]),
        _texts("fewest", [_label(rows, -1) for rows in known]),
        _numbers("assets without", without, _whole),
    ]
    return Shown(GROUPS, columns)


def _label(rows: pd.DataFrame, place: int) -> str:
    """A label with its number of assets; nothing of a group without labels."""
    if rows.empty:
        return ""
    row = rows.iloc[place]
    return f"{row['label']} ({row['assets']:,})"


def dropped_table(account: Account) -> Shown:
    """What was left out, and why."""
    table = account.dropped
    columns = [
        _texts("what", table["what"]),
        _texts("left out because", table["reason"]),
        _numbers("rows", table["rows"], _whole),
    ]
    return Shown(DROPPED, columns)


def _texts(heading: str, values: Iterable[Any]) -> Column:
    return Column(heading, [str(value) for value in values], TEXT)


def _numbers(heading: str, values: Iterable[Any], form: Callable[[Any], str]) -> Column:
    """A column of numbers, empty where there is none."""
    return Column(heading, ["" if _missing(value) else form(value) for value in values])


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _whole(value: Any) -> str:
    return f"{value:,}"


def _times(value: float) -> str:
    return number(value, 3)


def _date(date: pd.Timestamp) -> str:
    """The date, with the time of day where it has one."""
    if _missing(date):
        return ""
    return stamp(date)


def _rest(table: pd.DataFrame, file: str) -> str:
    """How many rows a table has beside those shown."""
    more = len(table) - FEW
    if more <= 0:
        return ""
    return f"{more:,} more in {file}"
