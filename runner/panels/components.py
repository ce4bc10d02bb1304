"""Statistical factors: principal components of the target, from training rows only."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from runner.errors import DataError, listed
from runner.panels.panel import Panel


class Components(NamedTuple):
    """Weights (N, m) of the m portfolios that are the components, and the share of variance of
    each.
    """

    weights: np.ndarray
    share: np.ndarray


def principal(panel: Panel, rows: np.ndarray, count: int) -> Components:
    """Leading eigenvectors of the covariance of the target over the rows on which every asset has a
    usable cell.

    Of length one, their largest weight positive. They maximise variance, so that volatile assets
    weigh more.

    Raises:
        DataError: a target that lies ahead; more components than assets or than complete rows
            allow.
    """
    if panel.horizon:
        raise DataError(
            f"model.components: the target lies {panel.horizon} rows ahead; allowed: one of the same row"
        )
    usable = panel.valid[rows]
    y = panel.y[rows][usable.all(axis=1)]
    most = min(len(y) - 1, y.shape[1] - 1)
    if count > most:
        fewest = int(usable.sum(axis=0).argmin())
        raise DataError(
            f"model.components: given {count}; allowed: at most {max(most, 0)} ({y.shape[1]} assets, {len(y)} rows "
            f"on which every asset has a target; {panel.assets[fewest]} has {int(usable[:, fewest].sum())})"
        )
    _, size, right = np.linalg.svd(y - y.mean(axis=0), full_matrices=False)
    weights = right[:count].T
    weights = weights * np.sign(weights[np.abs(weights).argmax(axis=0), np.arange(count)])
    return Components(weights, size[:count] ** 2 / np.sum(size**2))


def extended(panel: Panel, made: Components) -> Panel:
    """The panel with the components as features PC1, PC2, ..., the same for every asset of a row.

    Row t of a component is the target of row t times the weights: the return of a portfolio, means
    included, so that a constant beside components is an alpha against portfolios. A row on which an
    asset has no target has no components, and no asset is fitted or forecast on it.

    Raises:
        DataError: a feature with the name of a component.
    """
    scores = panel.y @ made.weights
    m, (T, N) = scores.shape[1], panel.y.shape
    names = [f"PC{j + 1}" for j in range(m)]
    taken = [name for name in names if name in panel.names]
    if taken:
        raise DataError(
            f"features.{taken[0]}: with model.components={m}; allowed: a name other than {listed(names)}"
        )
    X = np.concatenate([panel.X, np.broadcast_to(scores[:, None, :], (T, N, m))], axis=2)
    valid = panel.valid & np.isfinite(scores).all(axis=1)[:, None]
    return replace(panel, names=[*panel.names, *names], X=X, valid=valid, shared=None)
