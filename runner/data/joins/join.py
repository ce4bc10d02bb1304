"""The market with its joined tables: fields, series and labels of files of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.compute.memory import refuse_cells
from runner.data.factor_names import RISK_FREE, is_of_each_row, is_return
from runner.data.joins.assets import as_in_data
from runner.data.joins.forms import of_this_table
from runner.data.joins.labels import with_labels
from runner.data.joins.latest import counting, ordered, values_at
from runner.data.joins.meeting import (
    apart,
    counts_from_next_day,
    first_known,
    in_span,
    meeting,
    side_by_side,
)
from runner.data.joins.names import named_twice
from runner.data.joins.rates import of_rows
from runner.data.joins.reading import Rows, numbers_of
from runner.data.joins.settings import FieldTable, Joined, LabelTable, SeriesTable
from runner.data.joins.stamps import before, stamped
from runner.data.market import Market
from runner.data.notices import Dropped, Reading
from runner.data.reading.content import shown
from runner.errors import DataError, listed
from runner.record.secrets import said
from runner.text import count

BESIDE = 2  # arrays of every cell that are there beside those of the columns
TIMES = 2  # as many rows in the same months, from which on those of one side are longer


def joined(market: Market, tables: Sequence[Joined]) -> Market:
    """The market with the columns of every table, in the order of the spec.

    Raises:
        DataError: what a table cannot give, all lines of the first table that is wrong; one whose
            dates or assets are not those of the market.
    """
    for where, settings in tables:
        already = len(market.notes)
        try:
            if isinstance(settings, LabelTable):
                market = with_labels(market, where, settings)
            else:
                market = _with_numbers(market, where, settings)
        except DataError as error:
            lines = [of_this_table(where, line) for line in error.mistakes]
            raise DataError(lines) from error
        new = [of_this_table(where, note) for note in market.notes[already:]]
        market = replace(market, notes=(*market.notes[:already], *new))
    return market


def _with_numbers(market: Market, where: str, settings: SeriesTable) -> Market:
    """The market with the fields or the series of a table."""
    rows = numbers_of(where, settings)
    names = list(rows.numbers)
    _check_free(market, where, names)
    if isinstance(settings, FieldTable):
        refuse_cells(len(market.dates), len(market.assets), len(names) + BESIDE)
    if rows.asset is not None:
        rows.asset, words = as_in_data(rows.asset, market.assets)
        rows.words += words
    asset_positions = _asset_positions(rows, market)
    _check_returns(rows, settings, market.dates)
    units = of_rows(rows, settings, market.dates)
    placed = _placed(rows, asset_positions, settings, market)
    values = _values(rows, placed)
    fields = market.fields
    series = market.series
    if isinstance(settings, FieldTable):
        frames = {}
        for name, cells in values.items():
            frames[name] = pd.DataFrame(cells.T, index=market.dates, columns=market.assets)
        fields = fields.with_frames(frames)
    else:
        columns = {name: cells[0] for name, cells in values.items()}
        series = series.assign(**columns)
    kinds = dict(market.kinds)
    for name in names:
        kind = settings.kind_of(name)
        if kind is not None:
            kinds[name] = kind
    note = _note(rows, settings, placed.words, values)
    notes = (*market.notes, *rows.notes, note)
    dropped = (*market.dropped, *rows.dropped)
    readings = (*market.readings, *_readings(rows, settings))
    return replace(
        market,
        source=f"{market.source}, {said(shown(settings.path))}",
        fields=fields,
        series=series,
        kinds=kinds,
        units={**market.units, **units},
        dropped=dropped,
        notes=notes,
        readings=readings,
    )


def _readings(rows: Rows, settings: SeriesTable) -> list[Reading]:
    """What each column of the table was taken for."""
    role = "field" if isinstance(settings, FieldTable) else "series"
    readings = []
    for column in rows.columns:
        kind = settings.kind_of(column.name)
        taken_for = role if kind is None else f"{role} ({kind})"
        guessed = not isinstance(settings.columns, Mapping) and settings.form != "wide"
        reading = Reading(shown(settings.path), column.column, column.name, taken_for, guessed)
        readings.append(reading)
    return readings


def _check_free(market: Market, where: str, names: Sequence[str]) -> None:
    """Whether the data have nothing else of these names.

    Raises:
        DataError: a line for each name that is taken.
    """
    mistakes = []
    for name in names:
        kind = "field" if name in market.fields else "series"
        if name in market.asked:
            mistakes.append(named_twice(where, name))
        elif name in market.fields or name in market.series:
            taken = f"{where}.columns.{name}: the data have a {kind} of this name"
            allowed = f"other columns or another name, {where}.columns={{NAME: COLUMN}}"
            mistakes.append(f"{taken}; allowed: {allowed}")
    if mistakes:
        raise DataError(mistakes)


def _returns(rows: Rows, settings: SeriesTable) -> list[str]:
    """The columns that are returns of their row, by their kind or their name."""
    returns = []
    for name in rows.numbers:
        kind = settings.kind_of(name)
        of_row = is_return(name) if settings.annual else is_of_each_row(name)
        if kind == "return" or (kind is None and of_row):
            returns.append(name)
    return returns


def _check_returns(rows: Rows, settings: SeriesTable, calendar: pd.DatetimeIndex) -> None:
    """Whether returns are of rows as long as those of the assets, and count on their own alone.

    Raises:
        DataError: returns of days beside returns of months, or the other way round; returns that
            are carried to later dates.
    """
    returns = _returns(rows, settings)
    if not returns:
        return
    columns = f"{rows.where}: {listed(returns)}"
    if settings.as_of:
        raise DataError(
            f"{columns}: joined as of their dates, a return would count on later dates too; "
            f"allowed: {rows.where}.on=equal "
            f"({rows.where}.kind=level takes the value of the date, whatever it is)"
        )
    dates = pd.DatetimeIndex(np.unique(rows.date))
    theirs = int(in_span(dates, calendar).sum())
    ours = int(in_span(calendar, dates).sum())
    fewer, more = sorted([theirs, ours])
    if fewer > 1 and more >= TIMES * fewer:
        lengths = f"returns of {theirs:,} rows beside {ours:,} rows of the assets"
        allowed = "no setting makes the ones of the others; a table with rows as long is needed"
        if RISK_FREE in returns:
            yearly = f"{rows.where}.annual=true {rows.where}.on=asof"
            allowed += f", or one of rates a year with {yearly}"
        raise DataError(f"{columns}: {lengths} in the same months; {allowed}")


def _asset_positions(rows: Rows, market: Market) -> np.ndarray:
    """Position (n,) of the asset of each row among those of the market; zeros of a series.

    Rows of other assets are left out and counted.

    Raises:
        DataError: none of the assets is in the table.
    """
    if rows.asset is None:
        return np.zeros(len(rows.date), dtype=np.intp)
    position = pd.Index(market.assets).get_indexer(rows.asset.values)
    if (position < 0).all():
        ours = listed(market.assets[:3])
        theirs = listed(rows.asset.values[:3])
        raise DataError(
            f"{rows.where}: none of the assets of the data is in it: assets {ours}; there {theirs}"
            f"; {rows.where}.asset=COLUMN names another column of assets"
        )
    positions = position[rows.asset.codes]
    others = positions < 0
    rows.drop(others, "asset that is not modelled")
    return positions[~others]


class Placed(NamedTuple):
    """Which row counts where.

    Attributes:
        order: rows (m,) in the order in which they count.
        asset: (n,) position of the asset of every row.
        start: (n,) position of the date from which every row counts.
        shape: assets, dates.
        as_of: whether it counts on later dates too.
        oldest: (T,) the oldest date that is not stale on each date of the calendar; None: any.
        words: how the dates were joined, in half sentences.
    """

    order: np.ndarray
    asset: np.ndarray
    start: np.ndarray
    shape: tuple[int, int]
    as_of: bool
    oldest: np.ndarray | None
    words: list[str]


def _placed(rows: Rows, asset: np.ndarray, settings: SeriesTable, market: Market) -> Placed:
    """From which date on each row counts; rows that never do are left out and counted."""
    by_asset = ordered(asset, rows.date, rows.known)
    order = _once(rows, by_asset.rows, by_asset.again, market)
    calendar = pd.DatetimeIndex(market.dates).as_unit("us")
    oldest = None
    if settings.as_of:
        at, words = _known_positions(rows, settings, calendar)
    else:
        at, words = _on_equal_dates(rows, settings, calendar)
    if settings.stale is not None:
        oldest = before(calendar, settings.stale).to_numpy()
    T = len(calendar)
    N = len(market.assets) if rows.asset is not None else 1
    shape = (N, T)
    starts = at[order]
    on_calendar = order[(starts >= 0) & (starts < T)]
    return Placed(on_calendar, asset, at, shape, settings.as_of, oldest, words)


def _once(rows: Rows, order: np.ndarray, again: np.ndarray, market: Market) -> np.ndarray:
    """The rows in their order, without those that repeat another one whole.

    Raises:
        DataError: rows with the same keys and other values.
    """
    if not again.any():
        return order
    places = np.flatnonzero(again)
    later = order[places]
    earlier = order[places - 1]
    differs = np.zeros(len(places), dtype=bool)
    for values in rows.numbers.values():
        these = values[later]
        before = values[earlier]
        both_absent = np.isnan(these) & np.isnan(before)
        differs |= (these != before) & ~both_absent
    if differs.any():
        first = later[differs.argmax()]
        conflicts = int(differs.sum())
        raise DataError(_conflict(rows, first, conflicts, market))
    rows.dropped.append(rows.line("repeats another row", len(places)))
    return order[~again]


def _conflict(rows: Rows, row: int, conflicts: int, market: Market) -> str:
    """The line on rows that have the same keys and other values, the first of them."""
    date = pd.Timestamp(rows.date[row])
    which = f"{date:%Y-%m-%d}"
    if rows.asset is None:
        keys = "a date"
        allowed = (
            "one row per date (rows: {COLUMN: TEXT} chooses some; a table by date and asset is "
            "one of data.fields)"
        )
    else:
        keys = "an asset and a date"
        asset = rows.asset.values[rows.asset.codes[row]]
        which = f"{asset} on {which}"
        allowed = "one row per asset and date, or `available` with the dates of publication"
    noun = count(conflicts, "row")
    repeat = "repeats" if noun.startswith("1 ") else "repeat"
    conflict = f"{noun} {repeat} {keys} with other values, first {which}"
    return f"{rows.where}: {conflict}; allowed: {allowed}"


def _known_positions(
    rows: Rows, settings: SeriesTable, calendar: pd.DatetimeIndex
) -> tuple[np.ndarray, list[str]]:
    """Position (n,) on the calendar from which on each row is known, and the rule in words.

    `len(calendar)` where it never is. Adds to the words of the rows, and to what was left out.
    """
    known = pd.DatetimeIndex(rows.known)
    next_day = settings.timing == "next_day"
    if settings.timing is None:
        next_day = counts_from_next_day(known, calendar)
    at = first_known(known, calendar, next_day)
    late = int((at == len(calendar)).sum())
    if late:
        rows.dropped.append(rows.line("known only after the last date", late))
    known_from = "their dates"
    if settings.available is not None:
        known_from = settings.available
        early = int((rows.known < rows.date).sum())
        if early:
            rows.words.append(f"{count(early, 'row')} published before its date")
    elif settings.lag is not None:
        known_from = f"{settings.lag} after their dates"
    elif _starts_of_months(pd.DatetimeIndex(rows.date)):
        rows.words.append(
            "its dates are first days of months, from which on the values count: where they stand "
            f"for the month, {rows.where}.stamp=end, and lag= or available= for their publication"
        )
    day = "the day after" if next_day else "the same day"
    return at, [f"joined as of {known_from} ({day})"]


def _starts_of_months(dates: pd.DatetimeIndex) -> bool:
    """Whether every date is the first day of a month."""
    return bool((dates.day == 1).all())


def _on_equal_dates(
    rows: Rows, settings: SeriesTable, calendar: pd.DatetimeIndex
) -> tuple[np.ndarray, list[str]]:
    """The date (n,) that each row meets, -1 where none, and how many do.

    Raises:
        DataError: fewer than half of the dates meet.
    """
    codes, distinct = pd.factorize(rows.date, sort=True)
    dates = pd.DatetimeIndex(distinct)
    met = meeting(dates, calendar)
    name = rows.where.removeprefix("data.")
    if apart(dates, calendar, met):
        line = side_by_side(name, dates, calendar, met)
        remedy = _remedy(rows, settings, dates, calendar)
        raise DataError(f"{rows.where}: {line}; {remedy}")
    at = met.at[codes]
    not_before = rows.date >= calendar[0].to_datetime64()
    not_after = rows.date <= calendar[-1].to_datetime64()
    inside = not_before & not_after
    missed = int((inside & (at < 0)).sum())
    if missed:
        rows.dropped.append(rows.line("date that the assets do not have", missed))
    met_dates = met.at[met.at >= 0]
    meets = len(np.unique(met_dates))
    words = [f"{meets:,} of the {len(calendar):,} dates of the assets are in it"]
    common = int(in_span(calendar, dates).sum())
    if 2 * meets < common:
        words.append(f"{rows.where}.on=asof carries values to the dates between")
    if met.by_month:
        words.append(f"{met.by_month:,} of them as ends of the same month")
    return at, words


def _remedy(
    rows: Rows, settings: SeriesTable, dates: pd.DatetimeIndex, calendar: pd.DatetimeIndex
) -> str:
    """The override that lets the dates meet; returns are carried to no other date."""
    where = rows.where
    as_of = f"{where}.on=asof takes the last value known"
    if _returns(rows, settings):
        as_of = ""
    for moved_to in ("end", "start"):
        try:
            moved = stamped(where, dates, moved_to).unique()
        except DataError:
            break
        if not apart(moved, calendar, meeting(moved, calendar)):
            stamp = f"{where}.stamp={moved_to} moves them to the {moved_to} of their period"
            return f"{stamp}, or {as_of}" if as_of else stamp
    return as_of or "allowed: returns dated as those of the assets"


def _values(rows: Rows, placed: Placed) -> dict[str, np.ndarray]:
    """Cells (N, T) of each column; a cell without a number is no row, and stale ones are none."""
    values = {}
    stale = 0
    counted: dict[bytes, np.ndarray] = {}
    for name, numbers in rows.numbers.items():
        known = ~np.isnan(numbers[placed.order])
        pattern = known.tobytes()
        if pattern not in counted:
            order = placed.order[known]
            counted[pattern] = counting(
                order, placed.asset, placed.start, placed.shape, placed.as_of
            )
        row = counted[pattern]
        cells = values_at(row, numbers)
        if placed.oldest is not None:
            old = _older(rows.date, row, placed.oldest)
            cells[old] = np.nan
            stale += int(old.sum())
        values[name] = cells
    if stale:
        rows.dropped.append(Dropped(f"{rows.where} value", "older than stale allows", stale))
    return values


def _older(date: np.ndarray, row: np.ndarray, oldest: np.ndarray) -> np.ndarray:
    """Mask (N, T) of the cells whose row is dated before the oldest date that counts there."""
    dates = np.append(date, np.datetime64("NaT", "us"))[row]
    return np.asarray(dates < oldest)


def _note(
    rows: Rows, settings: SeriesTable, words: Sequence[str], values: Mapping[str, np.ndarray]
) -> str:
    """The sentence on how a table was read and joined."""
    names = []
    for name, _, column in rows.columns:
        if name == column:
            names.append(name)
        else:
            names.append(f"{name} (column {column})")
    cells = 0
    known = 0
    for part in values.values():
        cells += part.size
        known += int((~np.isnan(part)).sum())
    coverage = f"{known:,} of {cells:,} values are there"
    parts = "; ".join([*rows.words, *words, coverage])
    table = f"{rows.where} ({shown(settings.path)})"
    return f"{table}: {listed(names)}; {parts}."
