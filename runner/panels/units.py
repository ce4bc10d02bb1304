"""Which cells of the panel each regression is fitted on: one asset, one date, one group, or all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from runner.data.labels import Labels
from runner.errors import DataError, listed
from runner.panels.numbers.cells import Taken
from runner.panels.panel import Panel

ASSET, DATE = "asset", "date"


class Unit(NamedTuple):
    """One regression, and the cells that it takes: the valid ones of its rows and assets.

    Attributes:
        scope: asset, date, group or pooled; name: `all` where pooled.
        rows: positions of dates; assets: positions of assets.
    """

    scope: str
    name: str
    rows: np.ndarray
    assets: np.ndarray

    def used(self, panel: Panel) -> Taken:
        """Those cells and their numbers, in order of time."""
        return panel.cells.used(self.rows, self.assets)


def units(panel: Panel, rows: np.ndarray, by: str | None) -> list[Unit]:
    """The regressions on these rows: one per asset, per date, per group of assets, or one of all.

    Raises:
        DataError: the data has no such group.
    """
    N = len(panel.assets)
    if by == ASSET:
        single = zip(panel.assets, _singles(N), strict=True)
        return [Unit("asset", name, rows, i) for name, i in single]
    everything = np.arange(N)
    if by == DATE:
        names = panel.dates.strftime(panel.date_format).tolist()
        single_rows = [rows[u : u + 1] for u in range(len(rows))]
        return [Unit("date", names[row[0]], row, everything) for row in single_rows]
    if by is None:
        return [Unit("pooled", "all", rows, everything)]
    labels = panel.grouping.get(by, "model.by", [ASSET, DATE])
    codes = fixed_codes(labels, by)
    by_label = []
    for k, name in enumerate(labels.values):
        members = np.flatnonzero(codes == k)
        by_label.append(Unit("group", name, rows, members))
    return by_label


def fixed_codes(labels: Labels, name: str) -> np.ndarray:
    """Codes (N,) of labels that hold for ever.

    Raises:
        DataError: they change; `runner.panels.spells` gives a panel in which they do not.
    """
    if labels.by_date:
        raise DataError(f"{name} changes over time; allowed here: labels that do not")
    return labels.codes[0]


@cache
def _singles(N: int) -> list[np.ndarray]:
    """Positions of N assets, each by itself: folds ask for them again and again."""
    return list(np.arange(N)[:, None])


def refuse_shared(panel: Panel, rows: np.ndarray, names: Sequence[str]) -> None:
    """Refuse features that are the same for every asset on every date.

    No cross-section can estimate them.

    Raises:
        DataError: there are such features among `names`.
    """
    several = rows[panel.usable_by_date[rows] > 1]
    if not len(several):
        return
    same = np.isin(panel.names, list(names)) & ~panel.cells.differ_between_assets(several)
    if not same.any():
        return
    features = [name for name, shared in zip(panel.names, same, strict=True) if shared]
    verb = "is" if len(features) == 1 else "are"
    raise DataError(
        f"model.by: date, but {listed(features)} {verb} the same for every asset on a date; "
        "leave out of model.regressors, or choose another by"
    )


def per_asset(params: np.ndarray, group: list[Unit], n_assets: int) -> np.ndarray:
    """The estimates (N, k) that forecast each asset: its own, its group's, or the mean over dates.

    `params` (U, k) are those of the units, NaN where one could not be estimated.
    """
    scope = group[0].scope
    if scope == "asset":
        return params
    if scope == "date":
        estimated = np.isfinite(params).all(axis=1)
        return np.broadcast_to(params[estimated].mean(axis=0), (n_assets, params.shape[1]))
    if scope == "pooled":
        return np.broadcast_to(params, (n_assets, params.shape[1]))
    of_assets = np.full((n_assets, params.shape[1]), np.nan)
    for b, unit in zip(params, group, strict=True):
        of_assets[unit.assets] = b
    return of_assets


def cluster_key(panel: Panel, name: str) -> np.ndarray | None:
    """Codes (N,) of the cluster that each asset lies in; None where dates are clusters.

    An asset lies in one by itself, or with its group; so do the columns of one asset.

    Raises:
        DataError: the data has no such group.
    """
    if name == ASSET:
        return panel.owners
    if name == DATE:
        return None
    labels = panel.grouping.get(name, "model.clusters", [ASSET, DATE])
    return fixed_codes(labels, name)
