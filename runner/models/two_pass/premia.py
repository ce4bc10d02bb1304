"""The numbers of two-pass regressions: betas over time, cross-sections on betas, errors of the mean
premia.

Letters: T rows, N assets, K factors, k premia (K, and the constant first where there is one). F (T,
K) factors, y (T, N) returns, betas (T, N, K), path (T, k) premia of each date.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, fdtrc

from runner.errors import DataError, listed
from runner.estimators.estimation import Estimates, nothing
from runner.numerics.covariance import long_run
from runner.numerics.inference import Wald
from runner.numerics.least_squares import RANK_TOLERANCE, NotEstimable
from runner.numerics.variation import flat
from runner.panels.panel import Panel
from runner.panels.units import units

# smallest eigenvalue of sums of products, relative to the largest, that leaves eleven digits or
# more
WELL = 1e-4
SINGULAR = (
    1e-12  # smallest eigenvalue of a covariance, relative to the largest, that can be inverted
)


def shared_factors(panel: Panel, rows: np.ndarray, names: list[str]) -> np.ndarray:
    """The features `names` on these rows (R, K), each the same for every asset; NaN on rows without
    a usable cell.

    Raises:
        DataError: features that differ between assets.
    """
    valid = panel.valid[rows]
    first, none = valid.argmax(axis=1), ~valid.any(axis=1)
    F, differ = np.empty((len(rows), len(names))), []
    for k, name in enumerate(names):
        column = panel.X[rows, :, panel.names.index(name)]
        F[:, k] = column[np.arange(len(rows)), first]
        if (valid & (column != F[:, k, None])).any():
            differ.append(name)
    if differ:
        raise DataError(
            f"model: the factors of two passes are the same for every asset on a date; {listed(differ)} "
            f"{'differs' if len(differ) == 1 else 'differ'} between assets; leave out of model.regressors"
        )
    F[none] = np.nan
    return F


def rolling_betas(
    F: np.ndarray, y: np.ndarray, use: np.ndarray, window: int, least: int
) -> np.ndarray:
    """Slopes (T, N, K) of each asset on a constant and the factors, over the last `window` rows
    before each row.

    Row t itself is not among them. NaN where an asset has fewer than `least` of those rows in `use`
    (T, N), or where they cannot tell the factors apart.
    """
    found = np.full((*y.shape, F.shape[1]), np.nan)
    for t in range(least, len(y)):
        part = slice(max(t - window, 0), t)
        found[t] = _slopes(F[part], y[part], use[part], least)
    return found


def _slopes(F: np.ndarray, y: np.ndarray, use: np.ndarray, least: int) -> np.ndarray:
    """Slopes (N, K) of least squares with a constant: at once for assets with every row, else from
    sums.
    """
    found, n = np.full((y.shape[1], F.shape[1]), np.nan), use.sum(axis=0)
    whole = n == len(F)
    some = np.flatnonzero(~whole & (n >= least))
    groups = [np.flatnonzero(whole)] if whole.any() else []
    if len(some):
        found[some], sound = _from_sums(F, y[:, some], use[:, some])
        groups += [some[i : i + 1] for i in np.flatnonzero(~sound)]
    for own in groups:
        rows = use[:, own[0]]
        try:
            X = _with_constant(F[rows], True)
            found[own] = _solve(X, y[np.ix_(rows, own)], [""] * X.shape[1])[1:].T
        except NotEstimable:
            found[own] = np.nan
    return found


def _from_sums(F: np.ndarray, y: np.ndarray, use: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes (N, K) of assets that have different rows, from sums of products, and which (N,) kept
    their digits.
    """
    known = use.any(axis=1)
    about = F[known] - F[known].mean(axis=0)
    scale = np.maximum(np.sqrt(np.mean(about**2, axis=0)), np.finfo(float).tiny)
    Z, use, y = _with_constant(about / scale, True), use[known], y[known]
    level = np.where(use, y, 0.0).sum(axis=0) / use.sum(axis=0)
    k = Z.shape[1]
    G = (use.T @ (Z[:, :, None] * Z[:, None, :]).reshape(len(Z), -1)).reshape(-1, k, k)
    eigen = np.linalg.eigvalsh(G)
    sound = eigen[:, 0] > WELL * eigen[:, -1]
    G[~sound] = np.eye(k)
    g = np.where(use, y - level, 0.0).T @ Z
    return np.linalg.solve(G, g[:, :, None])[:, 1:, 0] / scale, sound


def _alike(use: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Columns in use and the rows of `use` (A, B) that have just these."""
    patterns, of = np.unique(use, axis=0, return_inverse=True)
    for at, pattern in enumerate(patterns):
        yield np.flatnonzero(pattern), np.flatnonzero(of.ravel() == at)


def _solve(X: np.ndarray, Y: np.ndarray, terms: Sequence[str]) -> np.ndarray:
    """Least squares (k, m) of m targets Y (n, m) on the same regressors X (n, k).

    Raises:
        NotEstimable: regressors that are collinear, or constant beside a constant.
    """
    length = np.linalg.norm(X, axis=0)
    length[length == 0.0] = 1.0
    Q, R = np.linalg.qr(X / length)
    _, singular, right = np.linalg.svd(R)
    if singular[-1] <= RANK_TOLERANCE * singular[0]:
        weight = np.abs(right[-1])
        names = [term for term, one in zip(terms, weight, strict=True) if one > 1e-3 * weight.max()]
        raise NotEstimable(f"collinear betas: {', '.join(names)}")
    return np.linalg.solve(R, Q.T @ Y) / length[:, None]


def cross_sections(
    panel: Panel,
    rows: np.ndarray,
    betas: np.ndarray,
    terms: list[str],
    inverse: np.ndarray | None,
    fixed: bool,
) -> tuple[Estimates, np.ndarray]:
    """Pass 2: on each row, returns on betas (R, N, K) over the assets that have both; and the
    residuals (R, N).

    `inverse` is the inverse covariance of the errors of the assets that have betas (GLS), None for
    OLS; `fixed` says that betas are the same on every row. A date with fewer assets than factors +
    2 has no estimates but the reason. Sums of squares are unweighted.
    """
    found, needed = nothing(units(panel, rows, "date"), len(terms)), betas.shape[2] + 2
    residuals, y = np.full((len(rows), len(panel.assets)), np.nan), panel.y[rows]
    usable = panel.valid[rows] & np.isfinite(betas).all(axis=2)
    found.n[:] = usable.sum(axis=1)
    found.tss_mean = None if terms[0] == "const" else np.full(len(rows), np.nan)
    root = None if inverse is None else np.linalg.cholesky(inverse).T
    each = ((np.flatnonzero(one), np.array([j])) for j, one in enumerate(usable))
    for own, at in _alike(usable) if fixed else each:
        try:
            if len(own) < needed:
                raise NotEstimable(f"fewer than {needed} assets with betas")
            X, Y = _with_constant(betas[at[0], own], terms[0] == "const"), y[np.ix_(at, own)].T
            b = _solve(X, Y, terms) if root is None else _solve(root @ X, root @ Y, terms)
        except NotEstimable as error:
            for j in at:
                found.reason[j] = str(error)
            continue
        u = Y - X @ b
        found.b[at], residuals[np.ix_(at, own)] = b.T, u.T
        found.ssr[at] = np.sum(u**2, axis=0)
        about_mean = np.sum((Y - Y.mean(axis=0)) ** 2, axis=0)
        if found.tss_mean is None:
            found.tss[at] = about_mean
        else:
            found.tss[at], found.tss_mean[at] = np.sum(Y**2, axis=0), about_mean
    _drop_flat(found, residuals, np.where(usable, y, np.nan))
    return found, residuals


def _drop_flat(found: Estimates, residuals: np.ndarray, y: np.ndarray) -> None:
    """Take away the estimates of dates on which all returns are equal: nothing traded, or a gap
    was filled.
    """
    for j in np.flatnonzero(found.estimated):
        own = y[j, np.isfinite(y[j])]
        if flat(own):
            found.b[j], found.ssr[j], residuals[j] = np.nan, np.nan, np.nan
            found.reason[j] = "the target is constant"


def _with_constant(betas: np.ndarray, constant: bool) -> np.ndarray:
    return np.column_stack([np.ones(len(betas)), betas]) if constant else betas


def covariance_of_mean(path: np.ndarray, lags: int) -> np.ndarray:
    """Covariance (k, k) of the mean of path (T, k) over its rows.

    Without lags the sample covariance (ddof 1) over T; else Newey-West, Bartlett weights, no
    small-sample factor.
    """
    T, deviation = len(path), path - path.mean(axis=0)
    return long_run(deviation, lags) / (T * (T if lags else T - 1.0))


def correction(premia: np.ndarray, F: np.ndarray) -> float:
    """c = lambda' S^-1 lambda of the premia (K,), S (K, K) the sample covariance (ddof 1) of the
    factors.

    For one factor whose premium is its mean, the square of its Sharpe ratio per row.
    """
    S = np.atleast_2d(np.cov(F, rowvar=False, ddof=1))
    scale = np.sqrt(np.diag(S))
    return float(premia / scale @ np.linalg.solve(S / np.outer(scale, scale), premia / scale))


def overlap_share(at: np.ndarray, window: int) -> float:
    """By how much of its size the correction counts where cross-sections at rows `at` (T,) have
    rolling betas.

    Rows near either end of the sample are in fewer windows. With T >= window dates in a row and
    full windows it is Shanken's (1992) 1 - (w - 1)(w + 1) / (3 w T).
    """
    times = np.zeros(int(at.max()) + 1)  # how many windows each row is in, by its share of each
    for t in at:
        start = max(t - window, 0)
        times[start:t] += 1.0 / (t - start)
    return float(np.sum(times**2) / len(at))


def shanken(path: np.ndarray, F: np.ndarray, c: float, lags: int) -> np.ndarray:
    """Covariance (k, k) of mean premia where betas are estimated (Shanken 1992; Cochrane 2005, eq.
    12.19).

    That of Fama and MacBeth, V(lambda_t), plus c times the part of it that does not come from the
    factors themselves, V(lambda_t - f_t) without lags, where f_t has zero in the place of the
    constant. Without lags and with every cell it is (1 + c) (V(lambda_t) - S / T) + S / T. The
    correction has no lags because factors without serial correlation leave none in the errors of
    the betas.
    """
    alone = path.copy()
    alone[:, path.shape[1] - F.shape[1] :] -= F
    return covariance_of_mean(path, lags) + c * covariance_of_mean(alone, 0)


def gmm(
    X: np.ndarray, y: np.ndarray, e: np.ndarray, F: np.ndarray, inverse: np.ndarray, lags: int
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of both passes as one system of moments (Cochrane 2005, ch. 12.2), robust to unequal
    variances.

    The moments are those of `linearmodels.asset_pricing.LinearFactorModel`, solved for their
    influence on each estimate. X (N, k) betas with the constant, y (T, N) returns, e (T, N)
    residuals of pass 1, `inverse` (N, N) the weight of pass 2 (identity: OLS). Bartlett weights;
    divided by T (T - K - 1). Returns the covariance of the premia (k, k) and that of the mean
    pricing errors (N, N).
    """
    T, K = F.shape
    H = np.linalg.inv(X.T @ inverse @ X)
    A = H @ X.T @ inverse
    premia = A @ y.mean(axis=0)
    alpha = y.mean(axis=0) - X @ premia
    about = F - F.mean(axis=0)
    D = np.linalg.solve(
        about.T @ about / T, about.T
    ).T  # how each row moves the betas, per unit of residual
    by_betas = e * (D @ premia[len(premia) - K :])[:, None]
    influence = (y - y.mean(axis=0) - by_betas) @ A.T
    influence += (e @ inverse @ alpha)[:, None] * D @ H[len(premia) - K :]
    on_errors = y - y.mean(axis=0) - by_betas - influence @ X.T
    size = T * (T - K - 1.0)
    return long_run(influence, lags) / size, long_run(on_errors, lags) / size


def pricing_test(alpha: np.ndarray, V: np.ndarray, directions: np.ndarray, df: float) -> Wald:
    """Are all pricing errors (N,) zero, V (N, N) their covariance outside the k `directions` (N, k)
    fitted away?

    Hotelling's T2 as F with (N - k, df - (N - k) + 1) degrees of freedom, df those of V (Shanken
    1985); with infinite df chi-squared over its N - k.

    Raises:
        NotEstimable: too few rows for the assets, or pricing errors whose covariance is singular.
    """
    (N, k), p = directions.shape, len(alpha) - directions.shape[1]
    df_den = df - p + 1.0
    if df_den < 1.0:
        raise NotEstimable(
            f"{N} assets are too many for the rows: {df:g} degrees of freedom, needs at least {p}"
        )
    Q = np.linalg.qr(directions / np.linalg.norm(directions, axis=0), mode="complete")[0][:, k:]
    spread, z = Q.T @ V @ Q, Q.T @ alpha
    eigen = np.linalg.eigvalsh(spread)
    if eigen[0] <= SINGULAR * eigen[-1]:
        raise NotEstimable("the covariance of the pricing errors is singular")
    statistic = float(z @ np.linalg.solve(spread, z))
    if np.isinf(df):
        return Wald(statistic / p, p, np.inf, float(chdtrc(p, statistic)))
    f = statistic * df_den / (p * df)
    return Wald(f, p, int(df_den), float(fdtrc(p, df_den, f)))


@dataclass(frozen=True)
class Passes:
    """What both passes gave on the T dates that have a cross-section.

    Attributes:
        F, y: factors (T, K) and returns (T, N), NaN where a cell is not valid.
        betas: (T, N, K), NaN where there are none; fixed: whether they are the same on every date.
        path: (T, k) premia of each date; u: (T, N) residuals of the cross-sections, NaN outside
            them.
        share: of Shanken's c that counts, 1 with betas of all rows.
        inverse: (N', N') weight of the cross-sections of the N' assets that have betas, None for
            OLS.
    """

    F: np.ndarray
    y: np.ndarray
    betas: np.ndarray
    fixed: bool
    path: np.ndarray
    u: np.ndarray
    share: float
    inverse: np.ndarray | None

    @property
    def constant(self) -> bool:
        return self.path.shape[1] > self.F.shape[1]

    @property
    def own(self) -> np.ndarray:
        """(N,) whether an asset is in some cross-section."""
        return np.isfinite(self.u).any(axis=0)

    @property
    def complete(self) -> bool:
        """Whether the betas are the same on every date and no cell of an asset that is in use is
        missing.
        """
        return self.fixed and bool(np.isfinite(self.u[:, self.own]).all())

    @property
    def loadings(self) -> np.ndarray:
        """(N', k) betas of the assets in use on the first date, the constant before them."""
        return _with_constant(self.betas[0, self.own], self.constant)

    def first_residuals(self) -> np.ndarray:
        """(T, N') residuals of pass 1 of the assets in use."""
        y, F = self.y[:, self.own], self.F - self.F.mean(axis=0)
        return y - y.mean(axis=0) - F @ self.betas[0, self.own].T


class Errors(NamedTuple):
    """Covariance of the premia (k, k), standard errors (N,) of the mean pricing errors, and the
    test that these are zero, None with the reason where there is none."""

    V: np.ndarray
    pricing: np.ndarray
    test: Wald | None
    reason: str


def errors_of(passes: Passes, robust: bool, c: float, lags: int) -> Errors:
    """Errors of GMM where `robust`, else of Fama and MacBeth with the correction c of Shanken (0
    for none).
    """
    K, T, own = passes.F.shape[1], len(passes.path), passes.own
    if robust:
        inverse = np.eye(own.sum()) if passes.inverse is None else passes.inverse
        V, V_pricing = gmm(
            passes.loadings, passes.y[:, own], passes.first_residuals(), passes.F, inverse, lags
        )
        pricing = np.full(len(own), np.nan)
        pricing[own] = np.sqrt(np.diag(V_pricing))
        return Errors(V, pricing, *_tested(passes, V_pricing, inverse @ passes.loadings, np.inf))
    V, pricing = shanken(passes.path, passes.F, c, lags), _pricing_errors(passes.u, c, lags)
    if not passes.complete:
        why = "an asset in use has missing cells" if passes.fixed else "betas change over time"
        return Errors(V, pricing, None, why)
    e, df = passes.first_residuals(), T - K - 1.0
    return Errors(V, pricing, *_tested(passes, (1.0 + c) / T * (e.T @ e) / df, passes.loadings, df))


def _tested(
    passes: Passes, V: np.ndarray, directions: np.ndarray, df: float
) -> tuple[Wald | None, str]:
    try:
        return pricing_test(passes.u[:, passes.own].mean(axis=0), V, directions, df), ""
    except NotEstimable as error:
        return None, str(error)


def _pricing_errors(u: np.ndarray, c: float, lags: int) -> np.ndarray:
    """Standard errors (N,) of the mean of each column of u, over its own rows: V of Newey-West + c
    V without lags.
    """
    found = np.full(u.shape[1], np.nan)
    for i, column in enumerate(u.T):
        own = column[np.isfinite(column)][:, None]
        if len(own) > 1:
            V = covariance_of_mean(own, lags) + c * covariance_of_mean(own, 0)
            found[i] = np.sqrt(V[0, 0])
    return found
