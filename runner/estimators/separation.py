"""Whether regressors separate the rows of 0 from the rows of 1, so that no logit has a finite
maximum.

Albert and Anderson (1984): the maximum exists unless some combination of the columns is never below
zero where y is 1, never above zero where it is 0, and not zero everywhere. Konis (2007): a linear
program finds it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import solve_triangular
from scipy.optimize import linprog

from runner.numerics.least_squares import NotEstimable


def orthonormal(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns Z (n, k) of unit mean square and no correlation, X = Z back^-1; and back (k, k).

    Estimates t on Z are back @ t on X. X has full rank.
    """
    length = np.linalg.norm(X, axis=0)
    Q, R = np.linalg.qr(X / length)
    scale = np.sqrt(len(X))
    return Q * scale, solve_triangular(R, np.eye(len(R))) / length[:, None] * scale


def separated(Z: np.ndarray, y: np.ndarray) -> bool:
    """Whether a combination of the columns Z (n, k), of unit mean square and uncorrelated,
    separates 0 from 1.
    """
    if not Z.shape[1]:
        return False
    side = np.where(y > 0.5, 1.0, -1.0)[:, None] * Z
    found = linprog(
        -side.sum(axis=0), A_ub=-side, b_ub=np.zeros(len(y)), bounds=(-1.0, 1.0), method="highs"
    )
    # A separating combination of largest weight 1 has a length of at least sqrt(n), so that its
    # margins, none below zero, add up to that; without one the sum is zero.
    return bool(found.status == 0 and -found.fun > 0.5 * np.sqrt(len(y)))


def refuse_separated(X: np.ndarray, y: np.ndarray, terms: Sequence[str]) -> None:
    """Raise where the columns X (n, k), of full rank, separate 0 from 1, and name the fewest that
    are needed.

    Raises:
        NotEstimable: they do.
    """
    if not separated(orthonormal(X)[0], y):
        return
    needed = list(range(X.shape[1]))
    for j in [j for j, term in enumerate(terms) if term != "const"]:
        fewer = [one for one in needed if one != j]
        if fewer and separated(orthonormal(X[:, fewer])[0], y):
            needed = fewer
    names = [terms[j] for j in needed if terms[j] != "const"]
    verb = "separates" if len(names) == 1 else "together separate"
    raise NotEstimable(
        f"{', '.join(names)} {verb} 0 from 1 (perfectly or but for ties): no finite estimate exists"
    )
