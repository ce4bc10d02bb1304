"""Statistical factors: principal components of the target, from training rows only."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from runner.errors import DataError, listed
from runner.panels.panel import Panel


class Components(NamedTuple):
    """Principal components as portfolios.

    Attributes:
        weights: (N, m) of the m portfolios.
        share: of the variance, of each.
    """

    weights: np.ndarray
    share: np.ndarray


def principal(panel: Panel, rows: np.ndarray, count: int) -> Components:
    """Leading eigenvectors of the covariance of the target, over the rows with every asset usable.

    Of length one, their largest weight positive. They maximise variance, so that volatile assets
    weigh more.

    Raises:
        DataError: a target that lies ahead; more components than assets or than complete rows
            allow.
    """
    if panel.horizon:
        raise DataError(
            f"model.components: the target lies {panel.horizon} rows ahead; "
            "allowed: one of the same row"
        )
    usable = panel.valid[rows]
    y = panel.y[rows][usable.all(axis=1)]
    n, N = y.shape
    most = min(n - 1, N - 1)
    if count > most:
        cells = usable.sum(axis=0)
        fewest = int(cells.argmin())
        limits = f"{N} assets, {n} rows on which every asset has a target"
        shortest = f"{panel.assets[fewest]} has {int(cells[fewest])}"
        raise DataError(
            f"model.components: given {count}; "
            f"allowed: at most {max(most, 0)} ({limits}; {shortest})"
        )
    centred = y - y.mean(axis=0)
    _, singular, right = np.linalg.svd(centred, full_matrices=False)
    vectors = right[:count].T
    at = np.abs(vectors).argmax(axis=0)
    largest = vectors[at, np.arange(count)]
    weights = vectors * np.sign(largest)
    variance = singular**2
    return Components(weights, variance[:count] / np.sum(variance))


def extended(panel: Panel, made: Components) -> Panel:
    """The panel with the components as features PC1, PC2, ..., the same for every asset of a row.

    Row t of a component is the target of row t times the weights: the return of a portfolio, means
    included, so that a constant beside components is an alpha against portfolios. A row on which an
    asset has no target has no components, and no asset is fitted or forecast on it.

    Raises:
        DataError: a feature with the name of a component.
    """
    T, N = panel.y.shape
    scores = panel.y @ made.weights
    m = scores.shape[1]
    names = [f"PC{j + 1}" for j in range(m)]
    taken = [name for name in names if name in panel.names]
    if taken:
        raise DataError(
            f"features.{taken[0]}: with model.components={m}; "
            f"allowed: a name other than {listed(names)}"
        )
    of_every_asset = np.broadcast_to(scores[:, None, :], (T, N, m))
    X = np.concatenate([panel.X, of_every_asset], axis=2)
    complete = np.isfinite(scores).all(axis=1)
    valid = panel.valid & complete[:, None]
    with_components = panel.with_arrays(X=X, valid=valid)
    return replace(with_components, names=[*panel.names, *names], shared=None)
