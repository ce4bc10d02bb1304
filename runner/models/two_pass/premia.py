"""The numbers of two-pass regressions: betas, cross-sections on betas, errors of the mean premia.

Letters: T rows, N assets, K factors, k premia (K, and the constant first where there is one). F (T,
K) factors, y (T, N) returns, betas (T, N, K), path (T, k) premia of each date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, fdtrc

from runner.errors import DataError, listed
from runner.estimators.estimates import Estimates, nothing
from runner.models.two_pass.slopes import slopes, solve, with_constant
from runner.numerics.covariance import long_run
from runner.numerics.inference import Wald
from runner.numerics.least_squares import NotEstimable
from runner.numerics.variation import flat
from runner.panels.panel import Panel
from runner.panels.units import units

# smallest eigenvalue of a covariance, relative to the largest, that can be inverted
SINGULAR = 1e-12


def shared_factors(panel: Panel, rows: np.ndarray, names: list[str]) -> np.ndarray:
    """The features `names` on these rows (R, K), each the same for every asset.

    NaN on rows without a usable cell.

    Raises:
        DataError: features that differ between assets.
    """
    valid = panel.valid[rows]
    first = valid.argmax(axis=1)
    F = np.empty((len(rows), len(names)))
    differing = []
    for k, name in enumerate(names):
        column = panel.X[rows, :, panel.names.index(name)]
        every_row = np.arange(len(rows))
        F[:, k] = column[every_row, first]
        if (valid & (column != F[:, k, None])).any():
            differing.append(name)
    if differing:
        verb = "differs" if len(differing) == 1 else "differ"
        raise DataError(
            "model: the factors of two passes are the same for every asset on a date; "
            f"{listed(differing)} {verb} between assets; leave out of model.regressors"
        )
    F[~valid.any(axis=1)] = np.nan
    return F


def rolling_betas(
    F: np.ndarray, y: np.ndarray, use: np.ndarray, window: int, least: int
) -> np.ndarray:
    """Slopes (T, N, K) of each asset on a constant and the factors, over the `window` rows before.

    Row t itself is not among them. NaN where an asset has fewer than `least` of those rows in `use`
    (T, N), or where they cannot tell the factors apart.
    """
    betas = np.full((*y.shape, F.shape[1]), np.nan)
    for t in range(least, len(y)):
        before = slice(max(t - window, 0), t)
        F_before = F[before]
        y_before = y[before]
        use_before = use[before]
        betas[t] = slopes(F_before, y_before, use_before, least)
    return betas


def _dates_alike(usable: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Assets in use, and the rows of `usable` (R, N) that have just these: of each such set."""
    sets, member = np.unique(usable, axis=0, return_inverse=True)
    for number, assets in enumerate(sets):
        yield np.flatnonzero(assets), np.flatnonzero(member.ravel() == number)


def _dates_by_themselves(usable: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Assets in use, and the row of `usable` (R, N) that has these: of each row."""
    for row, assets in enumerate(usable):
        yield np.flatnonzero(assets), np.array([row])


def cross_sections(
    panel: Panel,
    rows: np.ndarray,
    betas: np.ndarray,
    terms: list[str],
    inverse: np.ndarray | None,
    fixed: bool,
) -> tuple[Estimates, np.ndarray]:
    """Pass 2: on each row, returns on betas (R, N, K) over the assets that have both.

    `inverse` is the inverse covariance of the errors of the assets that have betas (GLS), None for
    OLS; `fixed` says that betas are the same on every row. A date with fewer assets than factors +
    2 has no estimates but the reason. Sums of squares are unweighted.

    Returns:
        The estimates of each date, and the residuals (R, N).
    """
    constant = terms[0] == "const"
    fewest = betas.shape[2] + 2
    y = panel.y[rows]
    has_betas = np.isfinite(betas).all(axis=2)
    usable = panel.valid[rows] & has_betas
    residuals = np.full(usable.shape, np.nan)
    estimates = nothing(units(panel, rows, "date"), len(terms))
    if not constant:
        estimates = replace(estimates, tss_mean=np.full(len(rows), np.nan))
    estimates.n[:] = usable.sum(axis=1)
    groups = _dates_alike(usable) if fixed else _dates_by_themselves(usable)
    for assets, dates in groups:
        if len(assets) < fewest:
            _refuse(estimates, dates, f"fewer than {fewest} assets with betas")
            continue
        X = with_constant(betas[dates[0], assets], constant)
        Y = y[np.ix_(dates, assets)].T
        try:
            b = _cross_section(X, Y, inverse, terms)
        except NotEstimable as error:
            reason = str(error)
            _refuse(estimates, dates, reason)
            continue
        fitted = X @ b
        u = Y - fitted
        residuals[np.ix_(dates, assets)] = u.T
        estimates.b[dates] = b.T
        estimates.ssr[dates] = np.sum(u**2, axis=0)
        deviation = Y - Y.mean(axis=0)
        about_mean = np.sum(deviation**2, axis=0)
        if estimates.tss_mean is None:
            estimates.tss[dates] = about_mean
        else:
            estimates.tss[dates] = np.sum(Y**2, axis=0)
            estimates.tss_mean[dates] = about_mean
    _drop_flat(estimates, residuals, np.where(usable, y, np.nan))
    return estimates, residuals


def _cross_section(
    X: np.ndarray, Y: np.ndarray, inverse: np.ndarray | None, terms: list[str]
) -> np.ndarray:
    """Least squares (k, m) of m dates on the same betas, generalised where there is an `inverse`.

    Raises:
        NotEstimable: betas that are collinear.
    """
    if inverse is None:
        return solve(X, Y, terms)
    root = np.linalg.cholesky(inverse).T
    X_weighted = root @ X
    Y_weighted = root @ Y
    return solve(X_weighted, Y_weighted, terms)


def _refuse(estimates: Estimates, dates: np.ndarray, reason: str) -> None:
    """These dates have no estimates, for this reason."""
    for j in dates:
        estimates.without_estimates(j, reason)


def _drop_flat(estimates: Estimates, residuals: np.ndarray, y: np.ndarray) -> None:
    """Take away the estimates of dates on which all returns are equal.

    Nothing traded on them, or a gap was filled.
    """
    for j in np.flatnonzero(estimates.estimated).tolist():
        returns = y[j, np.isfinite(y[j])]
        if flat(returns):
            estimates.without_estimates(j, reason="the target is constant")
            residuals[j] = np.nan


def covariance_of_mean(path: np.ndarray, lags: int) -> np.ndarray:
    """Covariance (k, k) of the mean of path (T, k) over its rows.

    Without lags the sample covariance (ddof 1) over T; else Newey-West, Bartlett weights, no
    small-sample factor.
    """
    T = len(path)
    mean = path.mean(axis=0)
    deviation = path - mean
    degrees = T if lags else T - 1.0
    return long_run(deviation, lags) / (T * degrees)


def correction(premia: np.ndarray, F: np.ndarray) -> float:
    """Shanken's c = lambda' S^-1 lambda of the premia (K,).

    S (K, K) is the sample covariance (ddof 1) of the factors. For one factor whose premium is its
    mean, c is the square of its Sharpe ratio per row.
    """
    S = np.atleast_2d(np.cov(F, rowvar=False, ddof=1))
    scale = np.sqrt(np.diag(S))
    correlations = S / np.outer(scale, scale)
    scaled = premia / scale
    return float(scaled @ np.linalg.solve(correlations, scaled))


def overlap_share(at: np.ndarray, window: int) -> float:
    """By how much of its size the correction counts where betas are rolling.

    `at` (T,) are the rows of the cross-sections. Rows near either end of the sample are in fewer
    windows. With T >= window dates in a row and full windows it is Shanken's (1992)
    1 - (w - 1)(w + 1) / (3 w T).
    """
    # in how many windows each row is, by its share of each
    latest = int(at.max())
    times = np.zeros(latest + 1)
    for t in at:
        start = max(t - window, 0)
        times[start:t] += 1.0 / (t - start)
    return float(np.sum(times**2) / len(at))


def shanken(path: np.ndarray, F: np.ndarray, c: float, lags: int) -> np.ndarray:
    """Covariance (k, k) of mean premia where betas are estimated (Shanken 1992).

    As in Cochrane (2005, eq. 12.19). That of Fama and MacBeth, V(lambda_t), plus c times the part
    of it that does not come from the factors themselves, V(lambda_t - f_t) without lags, where f_t
    has zero in the place of the constant. Without lags and with every cell it is
    (1 + c) (V(lambda_t) - S / T) + S / T. The correction has no lags because factors without serial
    correlation leave none in the errors of the betas.
    """
    less_factors = path.copy()
    columns = path.shape[1]
    factors = F.shape[1]
    first_factor = columns - factors
    less_factors[:, first_factor:] -= F
    of_premia = covariance_of_mean(path, lags)
    of_factors = covariance_of_mean(less_factors, 0)
    return of_premia + c * of_factors


def gmm(
    X: np.ndarray, y: np.ndarray, e: np.ndarray, F: np.ndarray, inverse: np.ndarray, lags: int
) -> tuple[np.ndarray, np.ndarray]:
    """Errors of both passes as one system of moments (Cochrane 2005, ch. 12.2).

    Robust to unequal variances. The moments are those of
    `linearmodels.asset_pricing.LinearFactorModel`, solved for their influence on each estimate.
    Bartlett weights; divided by T (T - K - 1).

    Args:
        X: (N, k) betas with the constant; y: (T, N) returns; e: (T, N) residuals of pass 1.
        inverse: (N, N) the weight of pass 2 (identity: OLS).

    Returns:
        The covariance of the premia (k, k) and that of the mean pricing errors (N, N).
    """
    T, K = F.shape
    H = np.linalg.inv(X.T @ inverse @ X)
    HX = H @ X.T
    A = HX @ inverse
    mean = y.mean(axis=0)
    premia = A @ mean
    alpha = mean - X @ premia
    factor_premia = premia[len(premia) - K :]
    mean_factor = F.mean(axis=0)
    centred = F - mean_factor
    # how each row moves the betas, per unit of residual
    second_moments = centred.T @ centred / T
    D = np.linalg.solve(second_moments, centred.T).T
    through_betas = D @ factor_premia
    by_betas = e * through_betas[:, None]
    deviation = y - mean
    influence = (deviation - by_betas) @ A.T
    by_alpha = (e @ inverse @ alpha)[:, None] * D
    influence += by_alpha @ H[len(premia) - K :]
    on_errors = y - mean - by_betas - influence @ X.T
    size = T * (T - K - 1.0)
    V_premia = long_run(influence, lags) / size
    return V_premia, long_run(on_errors, lags) / size


def pricing_test(alpha: np.ndarray, V: np.ndarray, directions: np.ndarray, df: float) -> Wald:
    """Are all pricing errors (N,) zero? Hotelling's T2 as an F statistic (Shanken 1985).

    V (N, N) is their covariance outside the k `directions` (N, k) fitted away. F has (N - k, df -
    (N - k) + 1) degrees of freedom, df those of V; with infinite df it is chi-squared over its N -
    k.

    Raises:
        NotEstimable: too few rows for the assets, or pricing errors whose covariance is singular.
    """
    N, k = directions.shape
    p = N - k
    df_den = df - p + 1.0
    if df_den < 1.0:
        raise NotEstimable(
            f"{N} assets are too many for the rows: {df:g} degrees of freedom, needs at least {p}"
        )
    unit = directions / np.linalg.norm(directions, axis=0)
    outside = np.linalg.qr(unit, mode="complete")[0][:, k:]
    projected = outside.T @ V
    spread = projected @ outside
    z = outside.T @ alpha
    eigen = np.linalg.eigvalsh(spread)
    least = SINGULAR * eigen[-1]
    if eigen[0] <= least:
        raise NotEstimable("the covariance of the pricing errors is singular")
    T2 = float(z @ np.linalg.solve(spread, z))
    if np.isinf(df):
        p_value = float(chdtrc(p, T2))
        return Wald(T2 / p, p, np.inf, p_value)
    f = T2 * df_den / (p * df)
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
        """Whether betas are the same on every date, and no cell of an asset in use is missing."""
        u = self.u[:, self.own]
        return self.fixed and bool(np.isfinite(u).all())

    @property
    def loadings(self) -> np.ndarray:
        """(N', k) betas of the assets in use on the first date, the constant before them."""
        return with_constant(self.betas[0, self.own], self.constant)

    def first_residuals(self) -> np.ndarray:
        """(T, N') residuals of pass 1 of the assets in use."""
        y = self.y[:, self.own]
        betas = self.betas[0, self.own]
        centred = self.F - self.F.mean(axis=0)
        mean = y.mean(axis=0)
        explained = centred @ betas.T
        return y - mean - explained


class Errors(NamedTuple):
    """Errors of the mean premia and of the mean pricing errors.

    Attributes:
        V: (k, k) covariance of the premia.
        pricing: (N,) standard errors of the mean pricing errors.
        test: that these are zero; None with the reason where there is none.
    """

    V: np.ndarray
    pricing: np.ndarray
    test: Wald | None
    reason: str


def errors_of(passes: Passes, robust: bool, c: float, lags: int) -> Errors:
    """Errors of GMM where `robust`, else of Fama and MacBeth with Shanken's c (0 for none)."""
    if robust:
        return _errors_of_gmm(passes, lags)
    T, K = passes.F.shape
    V = shanken(passes.path, passes.F, c, lags)
    pricing = _pricing_errors(passes.u, c, lags)
    if not passes.fixed:
        return Errors(V, pricing, None, "betas change over time")
    if not passes.complete:
        return Errors(V, pricing, None, "an asset in use has missing cells")
    e = passes.first_residuals()
    df = T - K - 1.0
    products = e.T @ e
    V_pricing = (1.0 + c) / T * products / df
    test, reason = _tested(passes, V_pricing, passes.loadings, df)
    return Errors(V, pricing, test, reason)


def _errors_of_gmm(passes: Passes, lags: int) -> Errors:
    """Errors of both passes as one system of moments."""
    own = passes.own
    X = passes.loadings
    y = passes.y[:, own]
    e = passes.first_residuals()
    inverse = passes.inverse
    if inverse is None:
        inverse = np.eye(own.sum())
    V, V_pricing = gmm(X, y, e, passes.F, inverse, lags)
    pricing = np.full(len(own), np.nan)
    pricing[own] = np.sqrt(np.diag(V_pricing))
    of_means = inverse @ X
    test, reason = _tested(passes, V_pricing, of_means, np.inf)
    return Errors(V, pricing, test, reason)


def _tested(
    passes: Passes, V: np.ndarray, directions: np.ndarray, df: float
) -> tuple[Wald | None, str]:
    """The test that every mean pricing error is zero, or the reason why there is none."""
    alpha = passes.u[:, passes.own].mean(axis=0)
    try:
        return pricing_test(alpha, V, directions, df), ""
    except NotEstimable as error:
        return None, str(error)


def _pricing_errors(u: np.ndarray, c: float, lags: int) -> np.ndarray:
    """Standard errors (N,) of the mean of each column of u (T, N), over its own rows.

    From V of Newey-West + c V without lags.
    """
    std_errors = np.full(u.shape[1], np.nan)
    for i, column in enumerate(u.T):
        is_known = np.isfinite(column)
        known = column[is_known][:, None]
        if len(known) > 1:
            V = covariance_of_mean(known, lags) + c * covariance_of_mean(known, 0)
            std_errors[i] = np.sqrt(V[0, 0])
    return std_errors
