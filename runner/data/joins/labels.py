"""Labels of assets from a table of their own, as groups of the market."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from runner.data.joins.names import DATE_NAMES, Column, asset_column, chosen, guessed
from runner.data.joins.reading import parsed
from runner.data.joins.settings import LabelTable
from runner.data.market import Market
from runner.data.notices import Dropped
from runner.data.reading.files import header, read
from runner.data.reading.long import Coded
from runner.data.reading.parsing import read_labels, read_names
from runner.errors import DataError, listed

UNKNOWN = "unknown"  # the label of an asset without one


def with_labels(market: Market, where: str, settings: LabelTable) -> Market:
    """The market with the labels of a table as groups of its assets.

    Raises:
        DataError: an asset with several labels, a group of that name, none of the assets.
    """
    asset, labels = labels_of(where, settings)
    line_of = asset.values.get_indexer(pd.Index(market.assets))
    if (line_of < 0).all():
        raise DataError(
            f"{where}: none of the assets of the data is in {settings.path!r}: "
            f"assets {listed(market.assets[:3])}; there {listed(asset.values[:3])}"
        )
    groups = market.groups
    if groups.empty:
        groups = pd.DataFrame(index=pd.Index(market.assets, name="asset"))
    for name, label in labels.items():
        if name in groups:
            raise DataError(
                f"{where}.columns.{name}: the data have a group of this name; allowed: another name"
            )
        groups = groups.assign(**{name: _one_each(where, name, asset, label, market.assets)})
    words = f"{where} ({settings.path}): {listed(labels)} by asset"
    met = int((line_of >= 0).sum())
    note = f"{words}; {met:,} of {len(market.assets):,} assets are in it."
    account = _left_out(where, asset, market)
    return replace(
        market,
        groups=groups,
        notes=(*market.notes, note),
        dropped=(*market.dropped, *account),
        source=f"{market.source}, {settings.path}",
    )


def _one_each(
    where: str, name: str, asset: Coded, label: Coded, assets: Sequence[str]
) -> np.ndarray:
    """The label (N,) of each asset, `unknown` where the table has none.

    Raises:
        DataError: an asset with two labels.
    """
    table = pd.DataFrame({"asset": asset.codes, "label": label.codes})
    said = table[(table["asset"] >= 0) & (table["label"] >= 0)].drop_duplicates()
    lines = asset.values.get_indexer(pd.Index(assets))
    ours = said[said["asset"].isin(lines[lines >= 0])]
    twice = ours[ours["asset"].duplicated(keep=False)]
    if len(twice):
        first = twice["asset"].iloc[0]
        both = listed(label.values[sorted(twice.loc[twice["asset"] == first, "label"])])
        raise DataError(
            f"{where}.columns.{name}: {asset.values[first]} has {both}; allowed: one per asset"
        )
    # the last, which the line -1 falls on, is that of an asset without a row
    label_of = np.full(len(asset.values) + 1, -1)
    label_of[ours["asset"]] = ours["label"]
    names = np.append(label.values.to_numpy(dtype=object), UNKNOWN)
    return np.asarray(names[label_of[lines]])


def _left_out(where: str, asset: Coded, market: Market) -> list[Dropped]:
    """The account of the rows of a table of labels that no asset of the data has."""
    known = np.append(asset.values.isin(market.assets), False)
    others = int((~known[asset.codes]).sum())
    if not others:
        return []
    return [Dropped(f"row of {where}", "asset that is not modelled", others)]


def refuse_dates(where: str, settings: LabelTable, names: Sequence[str]) -> None:
    """Labels by date and asset would enter here: they change over time, and groups do not.

    Raises:
        DataError: a table of labels with dates.
    """
    column = settings.date or guessed(DATE_NAMES, names)
    if column is not None:
        raise DataError(
            f"{where}.date: labels by date ({column!r}) cannot be joined yet; allowed: a table "
            "with one label per asset, without a column of dates"
        )


def labels_of(where: str, settings: LabelTable) -> tuple[Coded, dict[str, Coded]]:
    """The assets (n,) of a table of labels, and its labels (n,) by their names here.

    Raises:
        DataError: no such file or column; labels by date, which have no place yet.
    """
    path = Path(settings.path)
    names = header(f"{where}.path", path)
    refuse_dates(where, settings, names)
    key = Column("asset", f"{where}.asset", asset_column(where, settings.asset, names))
    columns = chosen(where, settings.columns, names, [key.column])
    wanted = {column.where: column.column for column in (key, *columns)}
    table = read(f"{where}.path", path, wanted, set(wanted.values()))
    mistakes: list[str] = []
    asset = parsed(key, table, read_names, mistakes)
    labels = {column.name: parsed(column, table, read_labels, mistakes) for column in columns}
    if not columns:
        mistakes.append(f"{where}.columns: no column beside the keys (in {path.name})")
    if mistakes:
        raise DataError(mistakes)
    return asset, labels
