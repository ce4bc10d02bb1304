"""Long and wide: a row per date and asset from dates x assets, with one or two rows of names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product, takewhile
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from runner.data.reading import usual
from runner.data.reading.dates.texts import is_written_date
from runner.data.reading.delimited.layout import DATE_LIKE
from runner.data.reading.formats.opened import Opened
from runner.data.reading.parsing import as_text
from runner.errors import listed

if TYPE_CHECKING:
    import pyarrow as pa

ASSET_COLUMN = "Ticker"
DATE_COLUMN = "Date"
ASSET_LEVELS = frozenset({"ticker", "tickers", "symbol", "symbols", "asset", "assets", "permno"})
# what cells must be to be taken for prices or for returns
LEAST_PRICE = 1.5  # median of prices, all positive
FEWEST_DATES = 2  # columns of dates, from which on dates stand in columns
DAILY_PARTS = 3  # columns of dates: year, month, day
LARGEST_RETURN = 0.2  # median size of decimal returns, some of them negative
Values = Literal["close", "ret"]


def stacked(
    date: pa.ChunkedArray, assets: Sequence[str], fields: Mapping[str, Sequence[pa.ChunkedArray]]
) -> pa.Table:
    """A row per date and asset, from columns of assets.

    Args:
        date: the dates (T,).
        fields: name in the table -> values (T,) of every asset.
    """
    import pyarrow as pa

    T = len(date)
    names = pa.array([str(name) for name in assets])
    code = np.arange(len(assets), dtype=np.int32)
    codes = np.repeat(code, T)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    dates = date.chunks * len(assets)
    columns[DATE_COLUMN] = pa.chunked_array(dates, date.type)
    of_rows = pa.DictionaryArray.from_arrays(pa.array(codes), names)
    columns[ASSET_COLUMN] = of_rows
    for name, values in fields.items():
        columns[name] = _below_each_other(values)
    return pa.table(columns)


def _below_each_other(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """One column of several; numbers where all are, else text."""
    import pyarrow as pa

    kinds = {column.type for column in columns}
    if len(kinds) > 1:
        numeric = all(map(_is_numeric, kinds))
        common = pa.float64() if numeric else pa.string()
        columns = [column.cast(common) for column in columns]
    chunks = []
    for column in columns:
        chunks += column.chunks
    return pa.chunked_array(chunks, columns[0].type)


def _is_numeric(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


def is_of_one_asset(names: Sequence[str]) -> bool:
    """Whether columns are dates and fields such as prices, so that a file is one asset."""
    has_dates = bool(usual.find(usual.DATE, names))
    return has_dates and any(map(usual.is_field, names))


# two rows of names


def of_two_rows(table: Opened) -> Opened:
    """A table whose header has fields in one row and assets in the other, as a row per date and
    asset.

    Raises:
        DataError: neither row has names of fields, and the second has a name twice.
    """
    rows = _fields_over_assets(table)
    if rows is None:
        return _below_headings(table)
    fields, assets = rows
    names = list(dict.fromkeys(fields[1:]))
    of_assets = list(dict.fromkeys(assets[1:]))
    pairs = zip(fields, assets, strict=True)
    position = {pair: at for at, pair in enumerate(pairs)}

    order = [DATE_COLUMN, ASSET_COLUMN, *names]

    def columns(at: Sequence[int], text: Sequence[int], notes: list[str]) -> pa.Table:
        import pyarrow as pa

        chosen = [names[k - 2] for k in at if k >= 2]
        needed = []
        for pair in product(chosen, of_assets):
            if pair in position:
                needed.append(position[pair])
        rows = table.columns([0, *needed], [0], notes)
        by_position = dict(zip([0, *needed], rows.columns, strict=True))
        nulls = pa.nulls(len(rows), pa.float64())
        absent = pa.chunked_array([nulls])
        values: dict[str, list[pa.ChunkedArray]] = {}
        for name in chosen:
            values[name] = []
            for asset in of_assets:
                place = position.get((name, asset))
                cells = absent if place is None else by_position[place]
                values[name].append(cells)
        everything = stacked(by_position[0], of_assets, values)
        return everything.select([order[k] for k in at])

    note = f"Two rows of names: {listed(names)} of {_counted(of_assets)}; a row per date and asset."
    return replace(
        table,
        names=order,
        columns=columns,
        upper=(),
        again=None,
        pieces=None,
        text=None,
        notes=[*table.notes, note],
    )


def _fields_over_assets(table: Opened) -> tuple[list[str], list[str]] | None:
    """The fields and the assets of the columns; None where the second row of names says all.

    Raises:
        DataError: neither row has names of fields, and the second has a name twice.
    """
    above = [name.strip() for name in table.upper]
    below = [name.strip() for name in table.names]
    if _has_assets(below, above):
        return above, below
    if _has_assets(above, below):
        return below, above
    distinct = set(below)
    if len(distinct) == len(below):
        return None
    given = f"{listed(above[1:4])} over {listed(below[1:4])}"
    unknown_fields = "none of them names fields such as Close or Volume; allowed: one that does"
    raise table.content.refuse(f"has two rows of names, {given}, and {unknown_fields}")


def _below_headings(table: Opened) -> Opened:
    """A table whose columns are told apart by the second row of names alone."""
    above = [name.strip() for name in table.upper]
    given = filter(None, above)
    distinct = dict.fromkeys(given)
    headings = listed(list(distinct))
    note = f"The row of headings above the names of the columns ({headings}) is not read."
    return replace(table, upper=(), again=None, pieces=None, notes=[*table.notes, note])


# dates in columns


class Turned(NamedTuple):
    """Where names and dates stand in a table with a row per asset and a column per date.

    Attributes:
        asset: position of the column with the names of the assets.
        first: position of the first date; all columns from there on are dates.
    """

    asset: int
    first: int


def dates_in_columns(names: Sequence[str]) -> Turned | None:
    """Where the dates are in the names of the columns; None where they are no dates."""
    dates = list(takewhile(is_written_date, reversed(names)))
    first = len(names) - len(dates)
    if first == 0 or len(dates) < FEWEST_DATES:
        return None
    before = [name.strip() for name in names[:first]]
    if usual.find(usual.DATE, before):
        return None
    of_assets = usual.find(usual.ASSET, before)
    if not of_assets and not all(map(DATE_LIKE.fullmatch, dates)):
        return None  # numbers such as 202001 may be those of firms
    asset = before.index(of_assets[0]) if of_assets else 0
    return Turned(asset, first)


def of_dates_in_columns(table: Opened, turned: Turned) -> Opened:
    """A table with a row per asset and a column per date, as dates x assets.

    Raises:
        DataError: an asset without a name, or with several rows.
    """
    import pyarrow as pa

    written = table.load([turned.asset], [turned.asset]).column(0)
    assets = [str(as_text(name)) for name in written.to_pylist() if name is not None]
    if len(assets) < len(written):
        raise table.content.refuse("has dates as its columns, and a row without a name of an asset")
    twice = [name for name, rows in Counter(assets).items() if rows > 1]
    if twice:
        rows = f"several rows of {listed(twice)}"
        raise table.content.refuse(f"has dates as its columns, and {rows}; allowed: a row an asset")
    dates = table.names[turned.first :]

    def columns(at: Sequence[int], text: Sequence[int], notes: list[str]) -> pa.Table:
        of_dates = range(turned.first, len(table.names))
        rows = table.columns(of_dates, [], notes).to_pandas()
        cells = rows.T.reset_index(drop=True)
        wanted = {}
        for position in at:
            values = dates if position == 0 else cells[position - 1]
            wanted[str(position)] = pa.array(values, from_pandas=True)
        return pa.table(wanted)

    size = f"{len(dates):,} dates x {_counted(assets)}"
    note = f"A row per asset and a column per date: {size}, turned over"
    before = table.names[: turned.first]
    others = [name for position, name in enumerate(before) if position != turned.asset]
    if others:
        others_text = listed(others)
        note += f", without {others_text}"
    return replace(
        table,
        names=[DATE_COLUMN, *assets],
        columns=columns,
        again=None,
        pieces=None,
        text=None,
        notes=[*table.notes, f"{note}."],
    )


# dates in several columns


def of_date_parts(table: Opened) -> Opened:
    """A table whose dates stand in columns year and month (and day), with one column of them.

    Where it has other columns of dates it stays as it is.
    """
    names = [name.strip() for name in table.names]
    parts = usual.date_parts(names)
    if not parts:
        return table
    at_parts = [names.index(part) for part in parts]
    kept = [position for position in range(len(names)) if position not in at_parts]
    joined_name = " ".join(parts)

    def columns(at: Sequence[int], text: Sequence[int], notes: list[str]) -> pa.Table:
        import pyarrow as pa

        others = [kept[position - 1] for position in at if position > 0]
        needed = [*others]
        if 0 in at:
            needed = [*at_parts, *others]
        as_text = [kept[position - 1] for position in text if position > 0]
        rows = table.columns(needed, as_text, notes)
        arrays = dict(zip(needed, rows.columns, strict=True))
        wanted = []
        for position in at:
            if position > 0:
                wanted.append(arrays[kept[position - 1]])
            else:
                wanted.append(_date_of_parts([arrays[part] for part in at_parts]))
        return pa.table(wanted, names=[str(position) for position in at])

    parts_text = listed(parts)
    note = f"Dates stand in the columns {parts_text}."
    return replace(
        table,
        names=[joined_name, *(names[position] for position in kept)],
        columns=columns,
        again=None,
        pieces=None,
        text=None,
        notes=[*table.notes, note],
    )


def _date_of_parts(parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Dates as text, 201503 or 2015-03-31, of columns of years, months and days."""
    import pyarrow as pa

    words = [part.to_pandas().map(as_text, na_action="ignore").astype("str") for part in parts]
    words = [words[0], *(word.str.zfill(2) for word in words[1:])]
    mark = "-" if len(parts) == DAILY_PARTS else ""
    dates = words[0].str.cat(words[1:], sep=mark)
    return pa.chunked_array([pa.array(dates.astype(object), pa.string(), from_pandas=True)])


def _has_assets(row: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one row of names is of assets: its first cell says so, or the other has fields."""
    if row[0].casefold() in ASSET_LEVELS:
        return True
    if other[0].casefold() in ASSET_LEVELS:
        return False
    other_has_fields = any(map(usual.is_field, other[1:]))
    all_are_fields = all(map(usual.is_field, row[1:]))
    return other_has_fields and not all_are_fields


def _counted(assets: Sequence[str]) -> str:
    if len(assets) == 1:
        return assets[0]
    return f"{len(assets):,} assets"


# what the cells of a wide table are


def values_of(columns: Iterable[pa.ChunkedArray]) -> Values | None:
    """Prices or returns, where the cells leave no doubt."""
    cells = np.concatenate([column.to_numpy() for column in columns])
    known = cells[np.isfinite(cells)]
    if not len(known):
        return None
    lowest = known.min()
    if lowest > 0.0 and np.median(known) > LEAST_PRICE:
        return "close"
    sizes = np.abs(known)
    if lowest < 0.0 and np.median(sizes) < LARGEST_RETURN:
        return "ret"
    return None
