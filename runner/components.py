"""Statistical factors: principal components of the target, from training rows only."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from runner.errors import DataError
from runner.panel import Panel


class Components(NamedTuple):
    """Weights (N, m) that make m components of the target less its means (N,), and the share of variance of each."""

    mean: np.ndarray
    weights: np.ndarray
    share: np.ndarray


def principal(panel: Panel, rows: np.ndarray, count: int) -> Components:
    """Leading eigenvectors of the covariance of the target over the rows on which every asset has one.

    Their largest weight is positive. Components are uncorrelated on those rows, in units of the target.

    Raises:
        DataError: a target that lies ahead; more components than assets or than complete rows allow.
    """
    if panel.horizon:
        raise DataError(f"model.components: the target lies {panel.horizon} rows ahead; allowed: one of the same row")
    y = panel.y[rows]
    y = y[np.isfinite(y).all(axis=1)]
    most = min(len(y) - 1, y.shape[1] - 1)
    if count > most:
        raise DataError(
            f"model.components: given {count}; allowed: at most {max(most, 0)} "
            f"({y.shape[1]} assets, {len(y)} rows on which every asset has a target)"
        )
    mean = y.mean(axis=0)
    _, size, right = np.linalg.svd(y - mean, full_matrices=False)
    weights = right[:count].T
    weights = weights * np.sign(weights[np.abs(weights).argmax(axis=0), np.arange(count)])
    return Components(mean, weights, size[:count] ** 2 / np.sum(size**2))


def extended(panel: Panel, made: Components) -> Panel:
    """The panel with the components as features PC1, PC2, ..., the same for every asset of a row."""
    scores = (panel.y - made.mean) @ made.weights
    m, (T, N) = scores.shape[1], panel.y.shape
    X = np.concatenate([panel.X, np.broadcast_to(scores[:, None, :], (T, N, m))], axis=2)
    names = [*panel.names, *(f"PC{j + 1}" for j in range(m))]
    valid = panel.valid & np.isfinite(scores).all(axis=1)[:, None]
    return replace(panel, names=names, X=X, valid=valid)
