"""The tables of an account as people read them, the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
COLUMNS = "Columns and how they were read"
GAPS = "Longest gaps between dates"
COVERAGE = "Assets with the fewest values"
JOINS = "Joined tables"
UNITS = "Magnitudes"
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


class Form(NamedTuple):
    """How a column of an account is shown.

    Attributes:
        heading: for people.
        name: of the column in the account.
        write: value -> text; None: the value is text.
    """

    heading: str
    name: str
    write: Callable[[Any], str] | None = None


def shown(account: Account) -> list[Shown]:
    """The tables that hold something, in the order in which they are read."""
    tables = [table_of(account) for table_of in TABLES]
    return [table for table in tables if table.columns[0].cells]


def columns_table(account: Account) -> Shown:
    """What each column was taken for."""
    table = account.columns
    columns = _columns(table, OF_COLUMNS)
    tables = table["table"].nunique()
    if tables > 1:
        columns.insert(0, _texts("table", table["table"]))
    note = "missing: of a field, asset-dates with a price or return, but without a value"
    return Shown(COLUMNS, columns, note)


def gaps_table(account: Account) -> Shown:
    """The longest gaps of the calendar; single dates, holidays among them, are in the file only."""
    several = account.gaps["missing"] > 1
    longer = account.gaps[several]
    first_gaps = longer.head(FEW)
    rest = _rest(longer, "gaps.csv")
    return Shown(GAPS, _columns(first_gaps, OF_GAPS), rest)


def coverage_table(account: Account) -> Shown:
    """The assets with the fewest values, where some lack any."""
    incomplete = account.coverage["share"] < 1.0
    lacking = account.coverage[incomplete]
    first_lacking = lacking.head(FEW)
    rest = _rest(lacking, "coverage.csv")
    return Shown(COVERAGE, _columns(first_lacking, OF_COVERAGE), rest)


def joins_table(account: Account) -> Shown:
    """What joined tables gave."""
    return Shown(JOINS, _columns(account.joins, OF_JOINS))


def units_table(account: Account) -> Shown:
    """Median, median size and range of every column of numbers."""
    table = account.units
    columns = _columns(table, OF_UNITS)
    has_remark = table["remark"] != ""
    if has_remark.any():
        columns.append(_texts("remark", table["remark"]))
    return Shown(UNITS, columns, "returns in decimals: 0.01 is one per cent")


def moves_table(account: Account) -> Shown:
    """The largest returns, in per cent."""
    table = account.moves
    positive = table["median_size"] > 0.0
    usual = table["median_size"].where(positive)
    size_of_return = table["return"].abs()
    times = size_of_return / usual
    columns = _columns(table, OF_MOVES)
    column_of_times = _written("times the asset's median |return|", times, _times)
    columns.append(column_of_times)
    return Shown(MOVES, columns)


def labels_table(account: Account) -> Shown:
    """How many labels each group has, the most and the least frequent one."""
    names = []
    labels = []
    most = []
    fewest = []
    without = []
    for name, rows in account.labels.groupby("group", sort=False):
        unlabelled = rows["label"] == "unknown"
        known = rows[~unlabelled]
        names.append(name)
        labels.append(len(known))
        most.append(_label(known, 0))
        fewest.append(_label(known, -1))
        without.append(rows.loc[unlabelled, "assets"].sum())
    columns = [
        _texts("group", names),
        _written("labels", labels, _whole),
        _texts("most assets", most),
        _texts("fewest", fewest),
        _written("assets without", without, _whole),
    ]
    return Shown(GROUPS, columns, "labels that change over time: assets that have it on some date")


def dropped_table(account: Account) -> Shown:
    """What was left out, and why."""
    return Shown(DROPPED, _columns(account.dropped, OF_DROPPED))


def _label(rows: pd.DataFrame, place: int) -> str:
    """A label with its number of assets; nothing of a group without labels."""
    if rows.empty:
        return ""
    row = rows.iloc[place]
    return f"{row['label']} ({row['assets']:,})"


def _columns(table: pd.DataFrame, forms: Sequence[Form]) -> list[Column]:
    """The columns of a table as they are shown."""
    columns = []
    for heading, name, write in forms:
        if write is None:
            columns.append(_texts(heading, table[name]))
        elif write is _date:
            columns.append(_texts(heading, map(_date, table[name])))
        else:
            columns.append(_written(heading, table[name], write))
    return columns


def _texts(heading: str, values: Iterable[Any]) -> Column:
    texts = list(map(str, values))
    return Column(heading, texts, TEXT)


def _written(heading: str, values: Iterable[Any], write: Callable[[Any], str]) -> Column:
    """A column of numbers, empty where there is none."""
    cells = []
    for value in values:
        cells.append("" if _missing(value) else write(value))
    return Column(heading, cells)


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


TABLES = (
    columns_table,
    gaps_table,
    coverage_table,
    joins_table,
    units_table,
    moves_table,
    labels_table,
    dropped_table,
)
OF_COLUMNS = (
    Form("column", "column"),
    Form("name here", "name"),
    Form("read as", "taken_for"),
    Form("how", "how"),
    Form("values", "values", _whole),
    Form("missing", "missing", _whole),
)
OF_GAPS = (
    Form("after", "after", _date),
    Form("before", "before", _date),
    Form("days", "days", _whole),
    Form("missing", "missing", _whole),
)
OF_COVERAGE = (
    Form("asset", "asset"),
    Form("first", "first", _date),
    Form("last", "last", _date),
    Form("values", "values", _whole),
    Form("missing in between", "inside", _whole),
    Form("of all dates", "share", percent),
)
OF_JOINS = (
    Form("name here", "name"),
    Form("table", "table"),
    Form("met", "met", _whole),
    Form("missed", "missed", _whole),
    Form("met, share", "share", percent),
)
OF_UNITS = (
    Form("column", "name"),
    Form("read as", "taken_for"),
    Form("values", "values", _whole),
    Form("median", "median", number),
    Form("median |x|", "median_size", number),
    Form("min", "least", number),
    Form("max", "greatest", number),
    Form("zero", "zero", percent),
)
OF_MOVES = (
    Form("asset", "asset"),
    Form("date", "date", _date),
    Form("return", "return", percent),
)
OF_DROPPED = (
    Form("what", "what"),
    Form("left out because", "reason"),
    Form("rows", "rows", _whole),
)
