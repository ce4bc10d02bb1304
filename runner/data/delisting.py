"""Delisting returns: what holders of an asset got after its last return."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from runner.data.market import Market
from runner.errors import DataError
from runner.text import count

SETTING = "data.delisting"
RULE = "(1 + r)(1 + d) - 1, d alone where there is no return r"


def as_return(market: Market, name: str) -> Market:
    """The market in which the field of delisting returns is known to be of returns.

    Raises:
        DataError: there is no such field, or days are sessions by themselves.
    """
    if market.sessions:
        raise DataError(f"{SETTING}: given with data.session; allowed: with rows of a day or more")
    if name not in market.fields:
        fields = sorted(market.fields)
        known = ", ".join(fields)
        raise DataError(
            f"{SETTING}: no field {name!r}; allowed: one of {known}, or a column that "
            f"data.columns.{name}=COLUMN reads"
        )
    kinds = {**market.kinds, name: "return"}
    return replace(market, kinds=kinds)


def with_delisting(market: Market, name: str) -> Market:
    """The market whose returns (T, N) hold the delisting returns, in the row that each stands in.

    With the return r of that row and the delisting return d it is (1 + r)(1 + d) - 1, and d where
    there is no r (Shumway 1997). Returns are made of prices where the data has no other.

    Raises:
        DataError: two delisting returns of an asset, or one before its last return.
    """
    returns = market.returns()
    cells = returns.to_numpy(dtype=float)
    values = market.get(name)
    delisting = values.to_numpy(dtype=float)
    given = ~np.isnan(delisting)
    has_return = ~np.isnan(cells)
    _check_last(market, name, given, has_return)
    known = given & has_return
    alone = given & ~has_return
    combined = np.where(alone, delisting, cells)
    growth = (1.0 + cells[known]) * (1.0 + delisting[known])
    combined[known] = growth - 1.0
    of_rows = pd.DataFrame(combined, returns.index, returns.columns)
    is_delisted = given.any(axis=0)
    number = int(is_delisted.sum())
    assets = count(number, "asset")
    beside = int(known.sum())
    both = f"{beside:,} beside a return"
    without_return = int(alone.sum())
    without = f"{without_return:,} without one"
    note = f"Delisting returns ({name}) enter the returns of {assets}, {both}, {without}: {RULE}."
    fields = market.fields.with_frames({"ret": of_rows})
    if "ret" not in market.fields:
        note += " Returns are made of prices before."
    return replace(market, fields=fields, notes=(*market.notes, note))


def _check_last(market: Market, name: str, given: np.ndarray, has_return: np.ndarray) -> None:
    """Whether every asset has one delisting return at most, and no return after it.

    Raises:
        DataError: the first asset that has.
    """
    first_given = given.argmax(axis=0)
    rows_after_last = has_return[::-1].argmax(axis=0)
    last_return = len(given) - 1 - rows_after_last
    times = given.sum(axis=0)
    several = times > 1
    early = given.any(axis=0) & has_return.any(axis=0) & (last_return > first_given)
    wrong = several | early
    if not wrong.any():
        return
    at = int(wrong.argmax())
    asset = market.assets[at]
    date = f"{market.dates[first_given[at]]:%Y-%m-%d}"
    what = "several" if several[at] else "one before its last return"
    in_all = int(wrong.sum())
    more = in_all - 1
    others = f" and {count(more, 'other asset')}" if more else ""
    raise DataError(
        f"{SETTING}: {asset}{others} has {what} in {name} (first on {date}); allowed: one per "
        "asset, in the row of its last return or after it"
    )
