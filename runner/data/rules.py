"""Rules for the values of a source: what breaks one is blanked and counted, and may stop the run.

The run stops where more than a small share of a column breaks rules. Prices are positive, simple
returns are not below -1, and every number is finite. A series that all assets share is a level, a
rate, a spread or a return: it may be any finite number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.data.columns.column import Column as Field
from runner.data.columns.sizes import amounts, any_value, median_size
from runner.data.columns.wide import WideColumn
from runner.data.market import Market
from runner.data.notices import Blanked, Column, Dropped
from runner.data.suspicions import suspicions
from runner.errors import DataError
from runner.schema.settings import Kind
from runner.text import number


class Rule(NamedTuple):
    """What a value must not be.

    Attributes:
        breaks: mask of the values that break the rule, of them and the size from which on a number
            such as -99 is a code; a missing value never does.
        account: how the account goes on after `<column> is`.
        cause: what so many of such values may be.
    """

    breaks: Callable[[np.ndarray, float], np.ndarray]
    account: str
    cause: str


def _not_positive(cells: np.ndarray, least_code: float) -> np.ndarray:
    return np.asarray(cells <= 0.0)


def _below_total_loss(cells: np.ndarray, least_code: float) -> np.ndarray:
    return np.asarray(cells < -1.0)


def _code_of_french(cells: np.ndarray, least_code: float) -> np.ndarray:
    return np.asarray(np.abs(cells - FRENCH) < 1e-12)


def _code_of_missing(cells: np.ndarray, least_code: float) -> np.ndarray:
    """Mask of numbers that files write for a missing value, far below all others of the column."""
    if not np.isfinite(least_code):
        return np.zeros(cells.shape, dtype=bool)
    return np.isin(cells, CODES) & (np.abs(cells) >= least_code)


def _infinite(cells: np.ndarray, least_code: float) -> np.ndarray:
    return np.asarray(np.isinf(cells))


FRENCH = -0.9999  # -99.99 per cent
CODES = (-99.0, -99.9, -99.99, -999.0, -999.9, -999.99, -9999.0, -9999.99, -99999.0)
FAR = 10.0  # how many times a code is as large as any other number of its column
MISSING = "-99.99 %"
CODE = "a code such as -99"
INFINITE = "infinite"
NOT_POSITIVE = "zero or negative"
BELOW_TOTAL_LOSS = "below -1"
RULES = {
    INFINITE: Rule(_infinite, "infinite", "divisions by zero where the data was made"),
    NOT_POSITIVE: Rule(
        _not_positive,
        "zero or negative",
        "returns, rates or spreads given as prices (data.columns.close=null "
        "data.columns.ret=COLUMN reads returns), or averages of bid and ask marked by a minus "
        "sign (give their absolute value)",
    ),
    BELOW_TOTAL_LOSS: Rule(
        _below_total_loss,
        "below -1: a code, not a return",
        "returns in per cent (data.percent=true divides them by 100), or codes of missing returns "
        "such as -99",
    ),
    MISSING: Rule(
        _code_of_french,
        "-99.99 %: a code of a missing return",
        "codes of missing returns, as French's files have them",
    ),
    CODE: Rule(
        _code_of_missing,
        "a code of a missing value, such as -99",
        "codes of missing values (kind=level of a joined table keeps them)",
    ),
}
OF_PRICES = (INFINITE, NOT_POSITIVE)
OF_RETURNS = (INFINITE, BELOW_TOTAL_LOSS, MISSING)
OF_ANY = (INFINITE,)
UNDECLARED = (INFINITE, CODE)  # of a column whose kind the spec leaves open
# by kind, where the spec says one
OF_KINDS: dict[str, tuple[str, ...]] = {
    "price": OF_PRICES,
    "return": OF_RETURNS,
}
# by name; other fields and every series: UNDECLARED
OF_FIELDS = {
    "close": OF_PRICES,
    "ret": OF_RETURNS,
}
# a price, a return and a level that breaks no rule: to see what a blanked value cost
STAND_IN = 1.0
LARGEST_MEDIAN = 1.0  # of the sizes of decimal returns a row: above it they are none


def admitted(market: Market, allow_loss: float) -> Market:
    """The market with every value that breaks a rule blanked and counted; suspicions are noted.

    Raises:
        DataError: prices or returns without any value; rules blank a larger share of a column than
            `allow_loss`, one line per column; half of the returns are above 100 % a row.
    """
    mistakes = _without_values(market)
    if mistakes:
        raise DataError(mistakes)
    blanked: list[Blanked] = []
    account: list[Dropped] = []
    for column, field, broken in _all_broken(market):
        if not broken:
            continue
        blanked += broken
        for part in broken:
            reason = f"{column.label} is {RULES[part.rule].account}"
            account.append(Dropped("source value", reason, len(part.at)))
        mistakes += _loss(column, broken, amounts(field).present, allow_loss)
    if mistakes:
        raise DataError(mistakes)
    clean = with_value(market, blanked, np.nan)
    mistakes = _no_returns(clean)
    if mistakes:
        raise DataError(mistakes)
    notes = list(market.notes)
    if {"close", "ret"} <= set(market.fields):
        notes.append("Returns are those of ret, not changes of close.")
    notes += suspicions(clean)
    dropped = (*market.dropped, *account)
    return replace(clean, blanked=tuple(blanked), dropped=dropped, notes=tuple(notes))


def _without_values(market: Market) -> list[str]:
    """The line on prices, and on returns, that have no value at all."""
    lines = []
    for name in ("close", "ret"):
        if name not in market.fields or any_value(market.fields.columns[name]):
            continue
        lines.append(
            f"data: {name}: no asset-date has a value; "
            f"data.columns.{name}=COLUMN reads another column, data.assets=[...] other assets"
        )
    return lines


def _no_returns(market: Market) -> list[str]:
    """The line on a field `ret` whose numbers are larger than returns of any asset are."""
    if "ret" not in market.fields:
        return []
    returns = market.fields.columns["ret"]
    counts = amounts(returns)
    if 2 * counts.above_one < counts.known or not counts.known:
        return []
    size = median_size(returns)
    if size <= LARGEST_MEDIAN:
        return []
    middle = number(size, 3)
    return [
        f"data: ret: the median absolute return is {middle}, more than doubling each row; "
        "allowed: decimal returns (data.percent=true divides returns in per cent by 100; "
        "data.columns.close=COLUMN data.columns.ret=null takes them as prices)"
    ]


def usable(name: str, values: pd.DataFrame) -> np.ndarray:
    """Mask (T, N) of the values of the field of this name that are there and break no rule."""
    field = WideColumn(values)
    cells = field.values
    good = ~np.isnan(cells)
    for rule in OF_FIELDS.get(name, UNDECLARED):
        good &= ~RULES[rule].breaks(cells, _least_code(field))
    return good


def columns(market: Market) -> Iterator[tuple[Column, Field]]:
    """Every column of numbers: fields (T, N), series and those of the market asset (T, 1)."""
    for name, field in market.fields.columns.items():
        yield Column("field", name, name), field
    for name in market.series.columns:
        yield Column("series", str(name), str(name)), WideColumn(market.series[[name]])
    of_market = {"close": market.market_close, "ret": market.market_ret}
    for name, series in of_market.items():
        if series is not None:
            asset = "the market asset"
            if series.name is not None:
                asset = str(series.name)
            yield Column("market", name, f"{name} of {asset}"), WideColumn(series.to_frame())


def _all_broken(market: Market) -> list[tuple[Column, Field, list[Blanked]]]:
    """Every column with its values that break a rule; two columns are read side by side."""

    def of_column(given: tuple[Column, Field]) -> tuple[Column, Field, list[Blanked]]:
        column, field = given
        return column, field, _broken(column, field, market.kinds.get(column.name))

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(of_column, columns(market)))


def _broken(column: Column, field: Field, kind: Kind | None) -> list[Blanked]:
    """The values that break a rule for their kind, each under the first rule that it breaks.

    They are at positions of the cells of the column, row by row.
    """
    names: tuple[str, ...] = UNDECLARED
    if kind is not None:
        names = OF_KINDS.get(kind, OF_ANY)
    elif column.kind != "series":
        names = OF_FIELDS.get(column.name, UNDECLARED)
    if not field.found(f"breaks {names}", lambda: any(_breaking(field, names))):
        return []
    # where they lie is not kept on disk: they may be most of the column
    places: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for name, at in _breaking(field, names):
        places[name].append(at)
    parts = {name: np.concatenate(at) for name, at in places.items() if at}
    return [Blanked(column, name, at) for name, at in parts.items()]


def _breaking(field: Field, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """The positions of values that break one of these rules, some dates after the other."""
    least_code = _least_code(field) if CODE in names else np.inf
    for first, stretch in field.stretches():
        values = stretch.values
        before = np.zeros(0, dtype=np.intp)
        for name in names:
            breaks = RULES[name].breaks(values, least_code)
            if not breaks.any():
                continue
            at = np.setdiff1d(np.flatnonzero(breaks), before, assume_unique=True)
            if not len(at):
                continue
            before = np.union1d(before, at)
            rows, assets = stretch.places(at)
            row_of_all = rows.astype(np.intp) + first
            yield name, row_of_all * len(field.assets) + assets


def _least_code(field: Field) -> float:
    """The size from which on a number such as -99 is a code: far above all others of its column.

    Infinite where the column has no such number, or no other.
    """
    if not any((part <= CODES[0]).any() for part in field.parts()):
        return np.inf
    largest = -np.inf
    for part in field.parts():
        others = part[~np.isin(part, CODES) & np.isfinite(part)]
        if len(others):
            largest = max(largest, float(np.abs(others).max()))
    return FAR * largest if np.isfinite(largest) else np.inf


def _size(broken: Blanked) -> int:
    """How many values broke the rule."""
    return len(broken.at)


def _loss(column: Column, broken: list[Blanked], had: int, allowed: float) -> list[str]:
    """The line that stops the run where rules blank more of the column than is allowed."""
    lost = sum(_size(part) for part in broken)
    share = lost / had
    if share <= allowed:
        return []
    rules = " or ".join(part.rule for part in broken)
    worst = max(broken, key=_size)
    cause = RULES[worst.rule].cause
    # the share in per cent, rounded up
    enough = ceil(100.0 * share) / 100.0
    override = f"data.allow_loss={enough:g} goes on without them"
    return [
        f"data: {column.label}: {lost:,} of its {had:,} values ({share:.1%}) are {rules}; "
        f"they may be {cause}; allowed: at most {allowed:.1%} ({override})"
    ]


def with_value(market: Market, cells: Sequence[Blanked], value: float) -> Market:
    """The market with this value in all of these cells; its own arrays are not written to."""
    fields = market.fields
    series = market.series
    of_market = {"close": market.market_close, "ret": market.market_ret}
    for part in cells:
        name = part.column.name
        if part.column.kind == "field":
            fields = fields.put(name, part.at, value)
        elif part.column.kind == "series":
            series = series.assign(**{name: _put(series[name], part.at, value)})
        else:  # the market asset
            of_market[name] = _put(of_market[name], part.at, value)
    close = of_market["close"]
    ret = of_market["ret"]
    return replace(market, fields=fields, series=series, market_close=close, market_ret=ret)


def _put(series: Any, at: np.ndarray, value: float) -> pd.Series:
    """The same series with the value at these positions."""
    values = series.to_numpy(dtype=float).copy()
    values[at] = value
    return pd.Series(values, index=series.index, name=series.name, copy=False)
