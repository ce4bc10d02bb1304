"""Which cells of the panel each regression is fitted on: one asset, one date, one group, or all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from runner.errors import DataError, unknown
from runner.panel import Panel

ASSET, DATE = "asset", "date"


class Cells(NamedTuple):
    """The cells of one regression, in order of time: date t (n,) and asset i (n,) of each row.

    `scope` is asset, date, group or pooled; `unit` names the one it is, `all` where pooled.
    """

    scope: str
    unit: str
    t: np.ndarray
    i: np.ndarray


def units(panel: Panel, rows: np.ndarray, by: str | None) -> list[Cells]:
    """The valid cells at these rows, divided by asset, by date, by a group of assets, or not at all.

    Raises:
        DataError: the data has no such group.
    """
    if by == ASSET:
        return list(_by_asset(panel, rows))
    if by == DATE:
        names = panel.dates.strftime(panel.date_format)
        return [_of_date(panel, t, names[t]) for t in rows]
    if by is None:
        return [_pooled(panel, rows, "pooled", "all", np.arange(len(panel.assets)))]
    if by not in panel.groups:
        raise DataError(f"model.by: {unknown(by, [ASSET, DATE, *panel.groups.columns])}")
    members = panel.groups[by]
    names = sorted(members.unique())
    return [_pooled(panel, rows, "group", name, np.flatnonzero(members == name)) for name in names]


def _by_asset(panel: Panel, rows: np.ndarray) -> Iterator[Cells]:
    for i, asset in enumerate(panel.assets):
        t = rows[panel.valid[rows, i]]
        yield Cells("asset", asset, t, np.full(len(t), i))


def _of_date(panel: Panel, t: int, name: str) -> Cells:
    i = np.flatnonzero(panel.valid[t])
    return Cells("date", name, np.full(len(i), t), i)


def _pooled(panel: Panel, rows: np.ndarray, scope: str, unit: str, assets: np.ndarray) -> Cells:
    at, member = np.nonzero(panel.valid[np.ix_(rows, assets)])
    return Cells(scope, unit, rows[at], assets[member])


def per_asset(params: np.ndarray, cells: list[Cells], n_assets: int) -> np.ndarray:
    """The estimates (N, k) that forecast each asset: its own, its group's, or the mean over dates.

    `params` (U, k) are those of the units, NaN where one could not be estimated.
    """
    if cells[0].scope == "date":
        with_estimates = params[np.isfinite(params).all(axis=1)]
        return np.tile(with_estimates.mean(axis=0), (n_assets, 1))
    found = np.full((n_assets, params.shape[1]), np.nan)
    for b, one in zip(params, cells, strict=True):
        found[np.unique(one.i)] = b
    return found
