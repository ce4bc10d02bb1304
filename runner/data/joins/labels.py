"""Labels of assets from a table of their own, as groups of the market."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.compute.memory import refuse_cells
from runner.data.joins.assets import as_in_data
from runner.data.joins.forms import file_of
from runner.data.joins.names import (
    Column,
    asset_column,
    chosen,
    date_among,
    date_column,
    named_twice,
)
from runner.data.joins.reading import Reader, parsed
from runner.data.joins.settings import LabelTable
from runner.data.joins.spells import with_ends
from runner.data.labels import UNKNOWN, Labels
from runner.data.market import Market
from runner.data.notices import Dropped, Reading
from runner.data.reading.content import shown
from runner.data.reading.dates.columns import read_dates
from runner.data.reading.parsing import Coded, read_labels, read_names
from runner.errors import DataError, listed, placed
from runner.record.secrets import said

MEMBER = "member"  # the label of spells that have no other
ARRAYS = 3  # of every cell that are there while labels of the date are made


def with_labels(market: Market, where: str, settings: LabelTable) -> Market:
    """The market with the labels of a table as groups of its assets.

    Raises:
        DataError: an asset with several labels, a group of that name, none of the assets.
    """
    rows = labels_of(where, settings)
    asset, words = as_in_data(rows.asset, market.assets)
    rows = rows._replace(asset=asset)
    line_of = asset.values.get_indexer(pd.Index(market.assets))
    if (line_of < 0).all():
        ours = listed(market.assets[:3])
        theirs = listed(asset.values[:3])
        path = shown(settings.path)
        none = f"none of the assets of the data is in {path!r}"
        raise DataError(f"{where}: {none}: assets {ours}; there {theirs}")
    _check_free(market, where, rows.labels)
    groups = market.groups
    if groups.empty:
        groups = pd.DataFrame(index=pd.Index(market.assets, name="asset"))
    of_dates = dict(market.labels)
    account = _left_out(where, rows, market)
    there = market.fields.known()
    for name, label in rows.labels.items():
        if rows.date is None:
            one_each = _one_each(where, name, asset, label, market.assets)
            new_group = {name: one_each}
            groups = groups.assign(**new_group)
        else:
            of_dates[name] = _dated_labels(where, name, rows, rows.date, market)
            of_name = of_dates[name]
            account.append(of_name.lacking(name, there))
    is_met = line_of >= 0
    met = int(is_met.sum())
    held = "for ever"
    if rows.until is not None:
        held = f"from their dates until {settings.until}, both included"
    elif rows.date is not None:
        held = "from their dates on, until the next of the asset"
    groups_read = f"{where} ({shown(settings.path)}): {listed(rows.labels)} by asset"
    coverage = f"{met:,} of {len(market.assets):,} assets are in it"
    note = f"{'; '.join([f'{groups_read}, {held}', *words, coverage])}."
    readings = []
    for name in rows.labels:
        readings.append(Reading(shown(settings.path), name, name, "group"))
    return replace(
        market,
        groups=groups,
        labels=of_dates,
        notes=(*market.notes, *rows.notes, note),
        dropped=(*market.dropped, *(line for line in account if line.rows)),
        readings=(*market.readings, *readings),
        source=f"{market.source}, {said(shown(settings.path))}",
    )


def _check_free(market: Market, where: str, names: Iterable[str]) -> None:
    """Whether the data have no groups of these names.

    Raises:
        DataError: a line for each name that is taken.
    """
    mistakes = []
    for name in names:
        if name in market.asked:
            mistakes.append(named_twice(where, name))
        elif name in market.groups or name in market.labels:
            mistakes.append(
                f"{where}.columns.{name}: the data have a group of this name; allowed: another name"
            )
    if mistakes:
        raise DataError(mistakes)


def _dated_labels(where: str, name: str, rows: LabelRows, date: Coded, market: Market) -> Labels:
    """Labels (T, N) that hold from their dates on.

    Raises:
        DataError: two labels of an asset on one date; they do not fit into memory.
    """
    refuse_cells(len(market.dates), len(market.assets), ARRAYS)
    columns = {"date": _values(date), "asset": _values(rows.asset)}
    columns["label"] = _values(rows.labels[name])
    if rows.until is not None:
        columns["until"] = _values(rows.until)
    table = pd.DataFrame(columns)
    keyed = table.dropna(subset=["date", "asset"])
    if rows.until is not None:
        spells = keyed.dropna(subset=["label"])
        keyed = with_ends(f"{where}.until", spells)  # a row without a label ends a spell
    try:
        return Labels.of_long(market.dates, market.assets, keyed, as_of=True)
    except DataError as error:
        place = f"{where}.columns.{name}"
        mistake = placed(place, error)
        raise DataError(mistake) from error


def _values(coded: Coded) -> np.ndarray:
    """The values (n,) of codes, missing where the code is -1."""
    values = coded.values.take(coded.codes, allow_fill=True, fill_value=None)
    return np.asarray(values)


def _one_each(
    where: str, name: str, asset: Coded, label: Coded, assets: Sequence[str]
) -> np.ndarray:
    """The label (N,) of each asset, `unknown` where the table has none.

    Raises:
        DataError: an asset with two labels.
    """
    table = pd.DataFrame({"asset": asset.codes, "label": label.codes})
    has_asset = table["asset"] >= 0
    has_label = table["label"] >= 0
    labelled = has_asset & has_label
    said = table[labelled].drop_duplicates()
    lines = asset.values.get_indexer(pd.Index(assets))
    modelled = said["asset"].isin(lines[lines >= 0])
    ours = said[modelled]
    twice = ours[ours["asset"].duplicated(keep=False)]
    if len(twice):
        first = twice["asset"].iloc[0]
        its_labels = twice.loc[twice["asset"] == first, "label"]
        both = listed(label.values[sorted(its_labels)])
        raise DataError(
            f"{where}.columns.{name}: {asset.values[first]} has {both}; allowed: one per "
            f"asset, or {where}.date=COLUMN, the dates from which labels hold"
        )
    # the last, which the line -1 falls on, is that of an asset without a row
    label_of = np.full(len(asset.values) + 1, -1)
    label_of[ours["asset"]] = ours["label"]
    names = np.append(label.values.to_numpy(dtype=object), UNKNOWN)
    return np.asarray(names[label_of[lines]])


def _left_out(where: str, rows: LabelRows, market: Market) -> list[Dropped]:
    """The account of the rows of a table of labels that no asset or date of the data has."""
    of_table = f"{where} row"
    is_modelled = rows.asset.values.isin(market.assets)
    known = np.append(is_modelled, False)
    others = ~known[rows.asset.codes]
    number_of_others = int(others.sum())
    not_modelled = Dropped(of_table, "asset that is not modelled", number_of_others)
    account = [not_modelled]
    if rows.date is not None:
        dateless = (rows.date.codes < 0) & ~others
        number_dateless = int(dateless.sum())
        without_date = Dropped(of_table, "no date", number_dateless)
        account.append(without_date)
    return account


class LabelRows(NamedTuple):
    """Rows (n,) of a table of labels.

    Attributes:
        asset: the asset of each row.
        labels: name here -> the label of each row.
        date: the date from which on the labels hold; None of a table with one label per asset.
        until: the last date on which they hold; None of a table that does not say.
        notes: sentences on how the file was read.
    """

    asset: Coded
    labels: dict[str, Coded]
    date: Coded | None
    until: Coded | None
    notes: list[str]


def labels_of(where: str, settings: LabelTable) -> LabelRows:
    """The assets, dates and labels of a table.

    Raises:
        DataError: no such file or column, values that are no dates.
    """
    files = file_of(where, settings)
    assets = asset_column(where, settings.asset, files.names)
    keys = [Column("asset", f"{where}.asset", assets)]
    readers: dict[str, Reader] = {"asset": read_names}
    dates = settings.date or date_among(files.names)
    read_as_dates = partial(read_dates, date_format=settings.date_format)
    if settings.until is not None:
        dates = date_column(where, settings.date, files.names)
        keys.append(Column("until", f"{where}.until", settings.until))
        readers["until"] = read_as_dates
    if dates is not None:
        keys.append(Column("date", f"{where}.date", dates))
        readers["date"] = read_as_dates
    key_columns = [key.column for key in keys]
    columns = chosen(where, files.columns or settings.columns, files.names, key_columns)
    wanted = {column.where: column.column for column in (*keys, *columns)}
    table = files.load(wanted, set(wanted.values()))
    mistakes: list[str] = []
    parts = {}
    for key in keys:
        read_key = readers[key.name]
        parts[key.name] = parsed(key, table, read_key, mistakes)
    labels = {}
    for column in columns:
        labels[column.name] = parsed(column, table, read_labels, mistakes)
    if not columns and settings.until is not None:
        labels[where.rpartition(".")[2]] = _members(len(table))
    elif not columns:
        mistakes.append(f"{where}.columns: no column beside the keys (in {files.shown})")
    if mistakes:
        raise DataError(mistakes)
    notes = [f"{where}: {note}" for note in files.notes]
    return LabelRows(parts["asset"], labels, parts.get("date"), parts.get("until"), notes)


def _members(rows: int) -> Coded:
    """The label of every row of a table that says only who belongs to it from when to when."""
    codes = np.zeros(rows, dtype=np.int32)
    values = pd.Index([MEMBER])
    return Coded(codes, values)
