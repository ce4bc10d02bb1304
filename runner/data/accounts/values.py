"""What the values of the data are: columns in their roles, joins, units, moves, labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from runner.data.columns.column import Column
from runner.data.columns.order import finite
from runner.data.columns.sizes import (
    amounts,
    largest_values,
    median_of,
    median_size,
    median_sizes,
    quantile_of_sizes,
)
from runner.data.market import Market
from runner.data.notices import Reading
from runner.data.rules import columns as numbers_of
from runner.data.suspicions import above_one, other_scales

LARGEST = 10  # moves in the table
SOME = 64  # rows that are compared together
MOST_BINS = 121  # of the distribution of returns; odd, so that zero is in the middle of one
WITHIN = 0.999  # share of returns in the middle of the distribution
BEYOND = 1.5  # times the size that this share of returns has, up to which bins reach
MEANINGLESS = 0.01  # reach of the bins where every return is zero
GIVEN = "given"
GUESSED = "recognised"
NAMED = "named by the spec"
IN_PER_CENT = "in per cent, or not returns?"
ANOTHER_SCALE = "in per cent? ratio to returns {:.3g}"
OF_ROW = "return per row"
ROLES = {"close": "price", "ret": "return"}


def readings_of(market: Market) -> tuple[Reading, ...]:
    """What each column was taken for; columns that no table was read for have their own names."""
    source = market.source
    readings = []
    for name in market.fields:
        role = ROLES.get(name, "field")
        readings.append(Reading(source, name, name, role))
    if market.market_close is not None:
        name = str(market.market_close.name)
        readings.append(Reading(source, name, "market", "market asset"))
    for name in market.series.columns:
        readings.append(Reading(source, str(name), str(name), "series"))
    for name in market.groups.columns:
        readings.append(Reading(source, str(name), str(name), "group"))
    told = {reading.name for reading in market.readings}
    others = [reading for reading in readings if reading.name not in told]
    return (*market.readings, *others)


def joined_readings(market: Market) -> list[Reading]:
    """Those of other tables than that of the prices or returns."""
    readings = readings_of(market)
    of_returns = [reading.table for reading in readings if reading.name in ROLES]
    first = of_returns[0] if of_returns else readings[0].table
    return [reading for reading in readings if reading.table != first]


def columns_of(market: Market, known: Column) -> pd.DataFrame:
    """A row per column: table, column, name, taken_for, how, values, missing.

    `how`: given, guessed, or named by another part of the spec than `data`. `values` counts the
    cells that have a value, `missing` those that have none: of a field where the asset has a price
    or return, of a series all rows, of a group all assets.

    Args:
        known: as of `runner.data.accounts.coverage.values_known`.
    """
    rows: list[dict[str, Any]] = []
    for reading in readings_of(market):
        values, missing = met(market, reading, known)
        row: dict[str, Any] = {
            "table": reading.table,
            "column": reading.column,
            "name": reading.name,
            "taken_for": reading.taken_for,
            "how": _how(reading),
            "values": values,
            "missing": missing,
        }
        rows.append(row)
    table = pd.DataFrame(rows)
    return table.astype({"values": "Int64", "missing": "Int64"})


def _how(reading: Reading) -> str:
    """Why a column is what it is taken for."""
    if reading.asked:
        return NAMED
    return GUESSED if reading.guessed else GIVEN


def met(market: Market, reading: Reading, known: Column) -> tuple[int | None, int | None]:
    """How many cells of a column have a value, and how many have none; None of keys."""
    name = reading.name
    if reading.taken_for == "market asset" and market.market_close is not None:
        has_close = market.market_close.notna()
        present = has_close.to_numpy()
        absent = ~present
    elif name in market.fields:
        column = market.fields.columns[name]
        return column.counts().total, lacking(known, column)
    elif name in market.series.columns:
        series = market.series[name]
        present = series.notna().to_numpy()
        absent = ~present
    elif name in market.groups.columns:
        labels = market.groups[name]
        present = (labels != "unknown").to_numpy()
        absent = ~present
    else:
        return None, None
    number_met = int(present.sum())
    number_missed = int(absent.sum())
    return number_met, number_missed


def lacking(known: Column, column: Column) -> int:
    """Cells in which the first field has a value, and the second has none."""
    if known.listings is column.listings:
        pairs = zip(known.parts(), column.parts(), strict=True)
    else:
        pairs = zip(known.blocks(SOME), column.blocks(SOME), strict=True)
    cells = 0
    for values, others in pairs:
        cells += int(np.count_nonzero(~np.isnan(values) & np.isnan(others)))
    return cells


def joins_of(market: Market, known: Column) -> pd.DataFrame:
    """A row per column of a joined table: name, table, met, missed, share (met).

    Args:
        known: as of `runner.data.accounts.coverage.values_known`.
    """
    rows = []
    for reading in joined_readings(market):
        values, missing = met(market, reading, known)
        if values is None or missing is None:
            continue  # a key
        all_cells = values + missing
        cells = max(all_cells, 1)
        share = values / cells
        row = (reading.name, reading.table, values, missing, share)
        rows.append(row)
    return pd.DataFrame(rows, columns=["name", "table", "met", "missed", "share"])


def units_of(market: Market, returns: Column | None) -> pd.DataFrame:
    """A row per column of numbers, returns of a row first.

    Columns: name, taken_for, values, median, median_size (of the absolute values), least, greatest,
    zero (share), remark.

    Args:
        returns: decimals; None of data without prices and returns.
    """
    rows = []
    remarks = {}
    if returns is not None:
        remark = IN_PER_CENT if above_one(returns) else ""
        unit = _unit(OF_ROW, "return", returns, remark)
        rows.append(unit)
        for name, scale in other_scales(market, returns).items():
            remarks[name] = ANOTHER_SCALE.format(scale.ratio)
    kinds = {reading.name: reading.taken_for for reading in readings_of(market)}
    for column, field in numbers_of(market):
        if column.name == "ret" and column.kind == "field":
            continue  # the first row
        kind: str = column.kind
        if kind == "field":
            kind = kinds.get(column.name, "field")
        remark = ""
        if column.kind != "market":
            remark = remarks.get(column.name, "")
        unit = _unit(column.label, kind, field, remark)
        rows.append(unit)
    return pd.DataFrame(rows)


def _unit(name: str, kind: str, field: Column, remark: str) -> dict[str, Any]:
    """The row of a column."""
    counts = amounts(field)
    row: dict[str, Any] = {"name": name, "taken_for": kind, "values": counts.known}
    if not counts.known:
        figures = ("median", "median_size", "least", "greatest", "zero")
        row |= dict.fromkeys(figures, np.nan)
        row["remark"] = "no value"
        return row
    row["median"] = median_of(field)
    row["median_size"] = median_size(field)
    row["least"] = counts.least
    row["greatest"] = counts.greatest
    row["zero"] = counts.share_zero
    row["remark"] = remark
    return row


def moves_of(market: Market, returns: Column | None) -> pd.DataFrame:
    """The ten largest returns by size: asset, date, return (decimal), median_size of the asset."""
    columns = ["asset", "date", "return", "median_size"]
    if returns is None:
        return pd.DataFrame(columns=columns)
    moves_of_all = largest_values(returns, LARGEST)
    assets = np.array(market.assets)
    moved, position = np.unique(moves_of_all.assets, return_inverse=True)
    medians = median_sizes(returns, moved)
    moves = {
        "asset": assets[moves_of_all.assets],
        "date": market.dates[moves_of_all.rows],
        "return": moves_of_all.values,
        "median_size": medians[position],
    }
    return pd.DataFrame(moves, columns=columns)


def distribution_of(returns: Column | None) -> pd.DataFrame:
    """Counts of returns: low, high (decimals), values; the outer bins hold all beyond."""
    if returns is None:
        return pd.DataFrame(columns=["low", "high", "values"])
    amount = amounts(returns)
    if not amount.known:
        return pd.DataFrame(columns=["low", "high", "values"])
    greatest = max(abs(amount.least), abs(amount.greatest))
    usual = quantile_of_sizes(returns, WITHIN)
    widest = BEYOND * usual
    reach = min(widest, greatest)
    if reach == 0.0:
        reach = greatest or MEANINGLESS
    half = int(np.sqrt(amount.known))
    odd_bins = 2 * half + 1
    bins = min(odd_bins, MOST_BINS)
    counts = np.zeros(bins, dtype=np.int64)
    edges = np.empty(bins + 1)
    for part in returns.parts():
        inside = np.clip(finite(part), -reach, reach)
        of_part, edges = np.histogram(inside, bins, range=(-reach, reach))
        counts += of_part
    low = edges[:-1]
    high = edges[1:]
    return pd.DataFrame({"low": low, "high": high, "values": counts})


def labels_of(market: Market) -> pd.DataFrame:
    """Columns group, label and assets, the labels of each group with the most assets first.

    Of labels of the date, the assets that have each on some date.
    """
    tables = []
    for group in market.grouping.names:
        labels = market.grouping.get(group)
        had = labels.had
        if had is None:
            number_of_labels = len(labels.values)
            codes = np.arange(number_of_labels)
            codes_of_assets = labels.codes[0]
            had = codes_of_assets[:, None] == codes
        assets = had.sum(axis=0)
        table = pd.DataFrame({"group": group, "label": labels.values, "assets": assets})
        table = table.sort_values("assets", ascending=False, kind="stable")
        tables.append(table)
    if not tables:
        return pd.DataFrame(columns=["group", "label", "assets"])
    return pd.concat(tables, ignore_index=True)
