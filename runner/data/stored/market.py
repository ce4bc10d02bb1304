"""A market with its fields on disk: how it is kept in a folder, and opened again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.data.columns.column import Column
from runner.data.fields import Fields
from runner.data.labels import UNKNOWN, Labels
from runner.data.market import Market
from runner.data.notices import Dropped, Reading
from runner.data.stored.columns import StoredColumn, StoredListings
from runner.data.stored.folder import Draft, drafted, finish, manifest_of, numbers_of
from runner.data.stored.labels import StoredLabels
from runner.errors import DataError

COLUMN = "column"  # file of the assets of the listings
FIELD = "field-{}"
LABEL = "label-{}"
HAD = "had-{}"
POINTER = "pointer"
DATES = "dates"
SERIES = "series"
OF_MARKET = {"market_close": "market-close", "market_ret": "market-ret"}
NUMBER = "float64"
CODE = "int32"
POSITION = "int64"


class Named(NamedTuple):
    """Labels of the date of a table on disk.

    Attributes:
        names: labels (M,) in any order; the file has positions among them.
        had: (N, M + 1) the labels that each asset has in some listing, the last is none.
    """

    names: Sequence[str]
    had: np.ndarray


def stored(market: Market, home: Path) -> Market:
    """A market that is in memory, with its fields and labels of the date on disk.

    Args:
        home: the folder that is written.

    Raises:
        DataError: it cannot be written.
    """
    N = len(market.assets)
    there = market.fields.known()
    for labels in market.labels.values():
        there |= labels.codes != _unknown(labels)
    row, column = np.nonzero(there)
    pointer = np.searchsorted(row, np.arange(len(market.dates) + 1))
    need = 8 * len(row) * (len(market.fields) + len(market.labels) + 1)
    with drafted(home, need) as draft:
        draft.numbers(COLUMN, column.astype(CODE))
        for number, name in enumerate(market.fields):
            cells = market.fields[name].to_numpy(dtype=float)
            draft.numbers(FIELD.format(number), cells[row, column])
        named = {}
        for number, (name, labels) in enumerate(market.labels.items()):
            codes = labels.codes[row, column].astype(CODE)
            codes[codes == _unknown(labels)] = -1
            draft.numbers(LABEL.format(number), codes)
            had = np.zeros((N, len(labels.values) + 1), dtype=bool)
            had[column, codes] = True
            named[name] = Named(labels.values, had)
        keep(draft, market, list(market.fields), pointer, named)
    opened_again = opened(home)
    if opened_again is None:
        raise DataError(f"data.folder: {str(home)!r} was changed while it was written")
    return replace(market, fields=opened_again.fields, labels=opened_again.labels)


def _unknown(labels: Labels) -> int:
    """The code of cells without a label; -1, which no cell has, where all have one."""
    return labels.values.index(UNKNOWN) if UNKNOWN in labels.values else -1


def keep(
    draft: Draft,
    market: Market,
    fields: Sequence[str],
    pointer: np.ndarray,
    labels: Mapping[str, Named],
) -> None:
    """Write what a market has beside its fields and labels of the date, whose files are there.

    Args:
        market: its own fields and labels are not read, but its assets are.
        fields: their names, in order of their files.
        pointer: (T + 1,) position of the first listing of each date.
        labels: by name, in order of their files.
    """
    draft.numbers(POINTER, np.asarray(pointer, dtype=POSITION))
    draft.numbers(DATES, market.dates.as_unit("us").asi8)
    draft.numbers(SERIES, market.series.to_numpy(dtype=float))
    of_market = {}
    for name, file in OF_MARKET.items():
        series = getattr(market, name)
        if series is not None:
            draft.numbers(file, series.to_numpy(dtype=float))
            of_market[name] = series.name
    for number, named in enumerate(labels.values()):
        draft.numbers(HAD.format(number), named.had.astype(np.uint8))
    content = {
        "assets": market.assets,
        "fields": list(fields),
        "labels": {name: list(named.names) for name, named in labels.items()},
        "series": list(market.series.columns),
        "of_market": of_market,
        "groups": {name: market.groups[name].tolist() for name in market.groups},
        "source": market.source,
        "dropped": market.dropped,
        "notes": market.notes,
        "readings": market.readings,
        "unread": market.unread,
    }
    finish(draft, content)


def opened(home: Path) -> Market | None:
    """The market of a folder; None where there is none that is whole and this user's own."""
    content = manifest_of(home)
    if content is None:
        return None
    stamps = _whole(home, DATES, POSITION).view("datetime64[us]")
    dates = pd.DatetimeIndex(stamps, name="date")
    assets = content["assets"]
    pointer = _whole(home, POINTER, POSITION)
    column = numbers_of(home, COLUMN, CODE)
    listings = StoredListings(dates, pd.Index(assets), pointer, column)
    fields: dict[str, Column] = {}
    for number, name in enumerate(content["fields"]):
        numbers = numbers_of(home, FIELD.format(number), NUMBER)
        fields[name] = StoredColumn(listings, numbers)
    labels = {}
    for number, (name, names) in enumerate(content["labels"].items()):
        codes = numbers_of(home, LABEL.format(number), CODE)
        had = _whole(home, HAD.format(number), "bool").reshape(len(assets), len(names) + 1)
        labels[name] = StoredLabels(listings, codes, names, had)
    names = content["series"]
    by_date = _whole(home, SERIES, NUMBER).reshape(len(dates), len(names))
    series = pd.DataFrame(dict(zip(names, by_date.T, strict=True)), index=dates)
    groups = pd.DataFrame(content["groups"], index=pd.Index(assets, name="asset"))
    return Market(
        source=content["source"],
        fields=Fields(fields),
        series=series,
        groups=groups,
        dropped=tuple(Dropped(*line) for line in content["dropped"]),
        notes=tuple(content["notes"]),
        labels=labels,
        readings=tuple(Reading(*line) for line in content["readings"]),
        unread=tuple(content["unread"]),
        **_of_market(home, dates, content["of_market"]),
    )


def _of_market(home: Path, dates: pd.DatetimeIndex, names: Mapping[str, str]) -> dict[str, Any]:
    """Price and return of the market asset, those that there are."""
    series = {}
    for name, asset in names.items():
        values = _whole(home, OF_MARKET[name], NUMBER)
        series[name] = pd.Series(values, index=dates, name=asset)
    return series


def _whole(home: Path, name: str, kind: str) -> np.ndarray:
    """All numbers of a small file."""
    numbers = numbers_of(home, name, kind)
    return numbers.read(0, numbers.count)
