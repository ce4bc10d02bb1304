"""What the values of the data are: columns in their roles, joins, units, moves, labels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.data.columns.column import Column
from runner.data.market import Market
from runner.data.notices import Reading
from runner.data.rules import columns as numbers_of
from runner.data.suspicions import above_one, other_scales

LARGEST = 10  # moves in the table
SOME = 4096  # values whose largest is looked at first
MOST_BINS = 121  # of the distribution of returns; odd, so that zero is in the middle of one
WITHIN = 0.999  # share of returns in the middle of the distribution
BEYOND = 1.5  # times the size that this share of returns has, up to which bins reach
MEANINGLESS = 0.01  # reach of the bins where every return is zero
GIVEN = "given"
GUESSED = "guessed"
NAMED = "named by the spec"
IN_PER_CENT = "in per cent, or no returns?"
ANOTHER_SCALE = "in per cent? {:.3g} times apart from returns"
OF_ROW = "return a row"
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


def columns_of(market: Market, known: np.ndarray) -> pd.DataFrame:
    """A row per column: table, column, name, taken_for, how, values, missing.

    `how`: given, guessed, or named by another part of the spec than `data`. `values` counts the
    cells that have a value, `missing` those that have none: of a field where the asset has a price
    or return, of a series all rows, of a group all assets.

    Args:
        known: (T, N), as of `runner.data.accounts.coverage.values_known`.
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


def met(market: Market, reading: Reading, known: np.ndarray) -> tuple[int | None, int | None]:
    """How many cells of a column have a value, and how many have none; None of keys."""
    name = reading.name
    if reading.taken_for == "market asset" and market.market_close is not None:
        has_close = market.market_close.notna()
        present = has_close.to_numpy()
        absent = ~present
    elif name in market.fields:
        present = market.fields.columns[name].known()
        absent = known & ~present
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


def joins_of(market: Market, known: np.ndarray) -> pd.DataFrame:
    """A row per column of a joined table: name, table, met, missed, share (met).

    Args:
        known: (T, N), as of `runner.data.accounts.coverage.values_known`.
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
        values = returns.values
        has_large = above_one(values)
        remark = IN_PER_CENT if has_large else ""
        unit = _unit(OF_ROW, "return", values, remark)
        rows.append(unit)
        for name, scale in other_scales(market, values).items():
            remarks[name] = ANOTHER_SCALE.format(scale.ratio)
    kinds = {reading.name: reading.taken_for for reading in readings_of(market)}
    for column, values in numbers_of(market):
        if column.name == "ret" and column.kind == "field":
            continue  # the first row
        kind: str = column.kind
        if kind == "field":
            kind = kinds.get(column.name, "field")
        remark = ""
        if column.kind != "market":
            remark = remarks.get(column.name, "")
        unit = _unit(column.label, kind, values, remark)
        rows.append(unit)
    return pd.DataFrame(rows)


def _unit(name: str, kind: str, cells: np.ndarray, remark: str) -> dict[str, Any]:
    """The row of a column."""
    is_finite = np.isfinite(cells)
    known = cells[is_finite]
    row: dict[str, Any] = {"name": name, "taken_for": kind, "values": len(known)}
    if not len(known):
        figures = ("median", "median_size", "least", "greatest", "zero")
        row |= dict.fromkeys(figures, np.nan)
        row["remark"] = "no value"
        return row
    median = np.median(known)
    row["median"] = float(median)
    row["median_size"] = median_size(known)
    least = known.min()
    row["least"] = float(least)
    greatest = known.max()
    row["greatest"] = float(greatest)
    row["zero"] = float(np.mean(known == 0.0))
    row["remark"] = remark
    return row


def moves_of(market: Market, returns: Column | None) -> pd.DataFrame:
    """The ten largest returns by size: asset, date, return (decimal), median_size of the asset."""
    columns = ["asset", "date", "return", "median_size"]
    if returns is None:
        return pd.DataFrame(columns=columns)
    largest = largest_of(returns)
    assets = np.array(market.assets)
    moved, position = np.unique(largest.assets, return_inverse=True)
    of_assets = returns.of(moved).T
    medians = np.array([median_size(values) for values in of_assets])
    moves = {
        "asset": assets[largest.assets],
        "date": market.dates[largest.rows],
        "return": largest.values,
        "median_size": medians[position],
    }
    return pd.DataFrame(moves, columns=columns)


class Moves(NamedTuple):
    """Returns (m,) with the positions of their rows and assets."""

    rows: np.ndarray
    assets: np.ndarray
    values: np.ndarray


def largest_of(returns: Column) -> Moves:
    """The ten largest returns by size, largest first; of equal ones the first by date, asset."""
    values = returns.values
    sizes = np.abs(values)
    is_finite = np.isfinite(sizes)
    missing = ~is_finite
    sizes[missing] = -1.0
    large = sizes >= max(_among_largest(sizes), 0.0)
    by_size = np.argsort(-sizes[large], kind="stable")
    order = by_size[:LARGEST]
    large_rows = np.flatnonzero(large)
    rows, assets = returns.places(large_rows)
    of_large = values[large]
    return Moves(rows[order], assets[order], of_large[order])


def _among_largest(sizes: np.ndarray) -> float:
    """A size that at least ten values reach, where there are so many, and few values pass."""
    flat = sizes.ravel(order="K")
    most = LARGEST * SOME
    if len(flat) <= most:
        return 0.0
    starts = np.arange(0, len(flat), SOME)
    largest_of_each = np.maximum.reduceat(flat, starts)
    tenth = len(largest_of_each) - LARGEST
    return float(np.partition(largest_of_each, tenth)[tenth])


def zeros(values: np.ndarray) -> float:
    """Share of those that are known that are zero; zero of none."""
    is_finite = np.isfinite(values)
    finite = np.count_nonzero(is_finite)
    known = int(finite)
    zero = int(np.count_nonzero(values == 0.0))
    at_least_one = max(known, 1)
    return float(zero / at_least_one)


def median_size(values: np.ndarray) -> float:
    """Median absolute value of those that are known; NaN of none."""
    is_finite = np.isfinite(values)
    sizes = np.abs(values[is_finite])
    if not len(sizes):
        return float("nan")
    return float(np.median(sizes, overwrite_input=True))


def distribution_of(returns: Column | None) -> pd.DataFrame:
    """Counts of returns: low, high (decimals), values; the outer bins hold all beyond."""
    if returns is None:
        return pd.DataFrame(columns=["low", "high", "values"])
    values = returns.values
    is_finite = np.isfinite(values)
    known = values[is_finite]
    if not len(known):
        return pd.DataFrame(columns=["low", "high", "values"])
    sizes = np.abs(known)
    greatest = float(sizes.max())
    usual = float(np.quantile(sizes, WITHIN))
    widest = BEYOND * usual
    reach = min(widest, greatest)
    if reach == 0.0:
        reach = greatest or MEANINGLESS
    inside = np.clip(known, -reach, reach)
    half = int(np.sqrt(len(known)))
    odd_bins = 2 * half + 1
    bins = min(odd_bins, MOST_BINS)
    counts, edges = np.histogram(inside, bins, range=(-reach, reach))
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
