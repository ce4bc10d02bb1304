"""What a value of a source must be to enter a run; what breaks a rule is blanked, counted, and
stops the run if it is more than a small share of its column.

Prices are positive, simple returns are not below -1, and every number is finite. A series that all
assets share is a level, a rate, a spread or a return: it may be any finite number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.data.market import Blanked, Column, Dropped, Market
from runner.data.suspicions import suspicions
from runner.errors import DataError


class Rule(NamedTuple):
    """What a value must not be.

    Attributes:
        breaks: mask of the values that break the rule; a missing one never does.
        account: how the account goes on after `<column> is`.
        cause: what so many of such values may be.
    """

    breaks: Callable[[np.ndarray], np.ndarray]
    account: str
    cause: str


def _not_positive(cells: np.ndarray) -> np.ndarray:
    return np.asarray(cells <= 0.0)


def _below_total_loss(cells: np.ndarray) -> np.ndarray:
    return np.asarray(cells < -1.0)


INFINITE, NOT_POSITIVE, BELOW_TOTAL_LOSS = "infinite", "zero or negative", "below -1"
RULES = {
    INFINITE: Rule(np.isinf, "infinite", "divisions by zero where the data was made"),
    NOT_POSITIVE: Rule(
        _not_positive,
        "zero or negative",
        "returns, rates or spreads given as prices, or averages of bid and ask marked by a minus sign (give their "
        "absolute value)",
    ),
    BELOW_TOTAL_LOSS: Rule(
        _below_total_loss,
        "below -1: a code, not a return",
        "returns in per cent (divide them by 100), or codes of missing returns such as -99",
    ),
}
OF_PRICES = (INFINITE, NOT_POSITIVE)
OF_RETURNS = (INFINITE, BELOW_TOTAL_LOSS)
OF_ANY = (INFINITE,)
OF_FIELDS = {
    "close": OF_PRICES,
    "ret": OF_RETURNS,
}  # by name; other fields and every series: OF_ANY
STAND_IN = 1.0  # a price, a return and a level that no rule minds: to see what a blanked value cost


def admitted(market: Market, allow_loss: float) -> Market:
    """The market with every value that breaks a rule blanked and counted, and what looks wrong
    noted.

    Raises:
        DataError: rules blank a larger share of a column than `allow_loss`, one line per column.
    """
    blanked: list[Blanked] = []
    account: list[Dropped] = []
    mistakes: list[str] = []
    for column, values in columns(market):
        cells = values.to_numpy(dtype=float)
        broken = _broken(column, cells)
        if not broken:
            continue
        blanked += broken
        account += [
            Dropped("source value", f"{column.label} is {RULES[one.rule].account}", len(one.at))
            for one in broken
        ]
        mistakes += _loss(column, broken, int(np.count_nonzero(~np.isnan(cells))), allow_loss)
    if mistakes:
        raise DataError(mistakes)
    clean = with_value(market, blanked, np.nan)
    notes = list(market.notes)
    if {"close", "ret"} <= set(market.fields):
        notes.append("Returns are those of ret, not changes of close.")
    notes += suspicions(clean)
    return replace(
        clean, blanked=tuple(blanked), dropped=(*market.dropped, *account), notes=tuple(notes)
    )


def usable(name: str, values: Any) -> Any:
    """Mask of the values of the field of this name that are there and break no rule."""
    cells = values.to_numpy(dtype=float)
    there = ~np.isnan(cells)
    for rule in OF_FIELDS.get(name, OF_ANY):
        there &= ~RULES[rule].breaks(cells)
    return there


def columns(market: Market) -> Iterator[tuple[Column, pd.DataFrame | pd.Series]]:
    """Every column of numbers of the market: fields (T, N), series (T,), and those of the market
    asset (T,).
    """
    for name, frame in market.fields.items():
        yield Column("field", name, name), frame
    for name in market.series.columns:
        yield Column("series", str(name), str(name)), market.series[name]
    for name, series in (("close", market.market_close), ("ret", market.market_ret)):
        if series is not None:
            asset = "the market asset" if series.name is None else str(series.name)
            yield Column("market", name, f"{name} of {asset}"), series


def _broken(column: Column, cells: np.ndarray) -> list[Blanked]:
    """The values that break a rule, each under the first rule that it breaks."""
    names = OF_ANY if column.kind == "series" else OF_FIELDS.get(column.name, OF_ANY)
    broken: list[Blanked] = []
    before = np.zeros(0, dtype=np.intp)
    for name in names:
        bad = RULES[name].breaks(cells)
        if not bad.any():
            continue
        at = np.setdiff1d(np.flatnonzero(bad), before, assume_unique=True)
        before = np.union1d(before, at)
        if len(at):
            broken.append(Blanked(column, name, at))
    return broken


def _loss(column: Column, broken: list[Blanked], had: int, allowed: float) -> list[str]:
    """The line that stops the run where rules blank more of the column than is allowed."""
    lost = sum(len(one.at) for one in broken)
    share = lost / had
    if share <= allowed:
        return []
    worst = max(broken, key=lambda one: len(one.at))
    rules = " or ".join(one.rule for one in broken)
    enough = ceil(100.0 * share) / 100.0
    return [
        f"data: {column.label}: {lost:,} of its {had:,} values ({share:.1%}) are {rules}; they may be "
        f"{RULES[worst.rule].cause}; allowed: at most {allowed:.1%} (data.allow_loss={enough:g} goes on without them)"
    ]


def with_value(market: Market, blanked: Sequence[Blanked], value: float) -> Market:
    """The market with this value in all of these cells; the arrays of the market itself are not
    written to.
    """
    fields, series = dict(market.fields), market.series
    own = {"close": market.market_close, "ret": market.market_ret}
    for one in blanked:
        kind, name, _ = one.column
        if kind == "field":
            fields[name] = _put(fields[name], one.at, value)
        elif kind == "series":
            series = series.assign(**{name: _put(series[name], one.at, value)})
        else:
            own[name] = _put(own[name], one.at, value)
    return replace(
        market, fields=fields, series=series, market_close=own["close"], market_ret=own["ret"]
    )


def _put(values: Any, at: np.ndarray, value: float) -> Any:
    """The same frame or series with the value at these positions of its cells, row by row."""
    cells = np.array(values.to_numpy(dtype=float), order="K")
    cells[np.unravel_index(at, cells.shape)] = value
    if isinstance(values, pd.DataFrame):
        return pd.DataFrame(cells, index=values.index, columns=values.columns, copy=False)
    return pd.Series(cells, index=values.index, name=values.name, copy=False)
