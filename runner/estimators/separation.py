"""Whether regressors separate the rows of 0 from those of 1, so that a logit has no finite maximum.

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
    rows = len(X)
    scale = np.sqrt(rows)
    k = len(R)
    identity = np.eye(k)
    R_inverse = solve_triangular(R, identity)
    inverse = R_inverse / length[:, None]
    back = inverse * scale
    return Q * scale, back


def separated(Z: np.ndarray, y: np.ndarray) -> bool:
    """Whether a combination of columns Z (n, k) separates 0 from 1.

    The columns are of unit mean square and uncorrelated.
    """
    n, k = Z.shape
    if not k:
        return False
    sign = np.where(y > 0.5, 1.0, -1.0)
    margins = sign[:, None] * Z
    # the largest sum of margins, none of which is below zero, with weights from -1 to 1
    program = linprog(
        -margins.sum(axis=0),
        A_ub=-margins,
        b_ub=np.zeros(n),
        bounds=(-1.0, 1.0),
        method="highs",
    )
    # A separating combination of largest weight 1 has a length of at least sqrt(n), so that its
    # margins, none below zero, add up to that; without one the sum is zero.
    total = -program.fun if program.status == 0 else 0.0
    root_rows = np.sqrt(n)
    enough = 0.5 * root_rows
    return bool(total > enough)


def refuse_separated(X: np.ndarray, y: np.ndarray, terms: Sequence[str]) -> None:
    """Refuse columns X (n, k), of full rank, that separate 0 from 1; the fewest needed are named.

    Raises:
        NotEstimable: they do.
    """
    if not _separates(X, y):
        return
    k = X.shape[1]
    needed = list(range(k))
    for j, term in enumerate(terms):
        if term == "const":
            continue
        fewer = [column for column in needed if column != j]
        if not fewer:
            continue
        if _separates(X[:, fewer], y):
            needed = fewer
    names = [terms[j] for j in needed if terms[j] != "const"]
    listed = ", ".join(names)
    verb = "separates" if len(names) == 1 else "together separate"
    raise NotEstimable(
        f"{listed} {verb} 0 from 1 (perfectly or but for ties): no finite estimate exists"
    )


def _separates(X: np.ndarray, y: np.ndarray) -> bool:
    Z, _ = orthonormal(X)
    return separated(Z, y)
