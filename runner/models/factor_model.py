"""Factor models of risk: the covariance B Omega B' + D of many assets from few factors.

Letters: n assets, m factors, T rows; B (n, m) loadings, Omega (m, m) covariance of the factors, D
(n,) specific variances. Variances are per row, in squared units of the target, with the divisor
rows - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.errors import DataError, listed
from runner.text import count

if TYPE_CHECKING:
    from runner.models.fit import Fit
    from runner.panels.panel import Panel

# smallest over largest eigenvalue below which an inverse has no digits worth having
ALMOST_SINGULAR = 1e-12


class FactorModel(NamedTuple):
    """A covariance of n assets by m factors, from the rows that it was fitted on.

    Attributes:
        assets: (n,) positions of the assets that have estimates.
        names: of the m factors.
        loadings: (n, m), B.
        factors: (T, m) values on the rows fitted, which are known.
        omega: (m, m) covariance of the factors.
        specific: (n,) D, sums of squared residuals over their number less one.
        n_obs: (n,) rows of each asset.
    """

    assets: np.ndarray
    names: list[str]
    loadings: np.ndarray
    factors: np.ndarray
    omega: np.ndarray
    specific: np.ndarray
    n_obs: np.ndarray

    @property
    def systematic(self) -> np.ndarray:
        """(n, n), B Omega B'."""
        return np.asarray(self.loadings @ self.omega @ self.loadings.T)

    @property
    def covariance(self) -> np.ndarray:
        """(n, n), B Omega B' + D."""
        return self.systematic + np.diag(self.specific)


def factor_model(model: Any, fit: Fit, panel: Panel, rows: np.ndarray) -> FactorModel:
    """The factor model that a fit on these rows of the panel amounts to.

    By asset, loadings are the slopes and factors the regressors, which are the same for every
    asset. By date, factors are the estimates of each date (the constant among them, where each
    asset has a loading of one) and loadings the regressors on the last row of `rows` on which the
    asset has any; the errors of the estimates of each date are part of Omega.

    Raises:
        DataError: a model that is no such regression, or factors that differ between assets.
    """
    refuse_no_factors(model, panel)
    if model.by == "date":
        return _cross_sectional(model, fit, panel, rows)
    model, panel, fit = factors_as_features(model, panel, fit)
    names = [term for term in model.terms(panel.names) if term != "const"]
    factors = shared_factors(panel, names)
    F = factors[rows]
    known = panel.valid[rows].any(axis=1)
    assets = np.flatnonzero(np.isfinite(fit.params).all(axis=1))
    use = panel.valid[rows][:, assets]
    y = panel.y[rows][:, assets]
    predicted = model.predict(fit, panel)[rows][:, assets]
    u = np.where(use, y - predicted, 0.0)
    loadings = fit.params[assets]
    if model.with_constant:
        loadings = fit.params[assets, 1:]
    return _from_residuals(assets, names, loadings, F[known], u, use)


def _cross_sectional(model: Any, fit: Fit, panel: Panel, rows: np.ndarray) -> FactorModel:
    """Factors are the estimates of each date.

    Squared residuals count N / (N - k) times, for the k estimates that a date of N assets lost.
    """
    from runner.estimators.estimation import regressors

    terms = model.terms(panel.names)
    k = len(terms)
    is_date = fit.coefficients["scope"] == "date"
    of_dates = fit.coefficients[is_date]
    path = of_dates.pivot(index="unit", columns="term", values="estimate")[terms]
    dates = panel.dates[rows]
    names = dates.strftime(panel.date_format)
    factors = path.reindex(names).to_numpy()
    X = regressors(panel, model.regressors)[rows]
    if model.with_constant:
        ones = np.ones((*X.shape[:2], 1))
        X = np.concatenate([ones, X], axis=2)
    is_known = np.isfinite(factors)
    estimated = is_known.all(axis=1)
    valid = panel.valid[rows]
    use = valid & estimated[:, None]
    N = use.sum(axis=1, keepdims=True)
    cells = use.sum(axis=0)
    assets = np.flatnonzero(cells > 1)
    X = X[:, assets]
    use = use[:, assets]
    y = panel.y[rows][:, assets]
    fitted = np.einsum("tnk,tk->tn", X, factors)
    u = np.where(use, y - fitted, 0.0)
    degrees = np.maximum(N - k, 1)
    lost = N / degrees
    u *= np.sqrt(lost)
    rows_before_end = use[::-1].argmax(axis=0)
    last_row = len(rows) - 1 - rows_before_end
    loadings = X[last_row, np.arange(len(assets))]
    on_dates = use.any(axis=1)
    used_factors = factors[on_dates]
    return _from_residuals(assets, terms, loadings, used_factors, u, use)


def _from_residuals(
    assets: np.ndarray,
    names: list[str],
    loadings: np.ndarray,
    F: np.ndarray,
    u: np.ndarray,
    use: np.ndarray,
) -> FactorModel:
    """The factor model with specific variances from residuals u (R, n), zero outside `use` (R, n).

    Raises:
        DataError: too few rows of factors F (T, m) for their covariance.
    """
    if len(F) < 2:
        raise DataError(
            f"model: {len(F)} rows of factors; allowed: at least 2 for their covariance"
        )
    n_obs = use.sum(axis=0)
    omega = np.atleast_2d(np.cov(F, rowvar=False, ddof=1))
    specific = np.sum(u**2, axis=0) / (n_obs - 1.0)
    return FactorModel(assets, names, loadings, F, omega, specific, n_obs)


def refuse_no_factors(model: Any, panel: Panel) -> None:
    """Refuse what has no factors on the row of the returns.

    Raises:
        DataError: not a linear regression by asset or date, no regressor, or by asset a target that
            lies ahead.
    """
    from runner.models.regression import Regression

    if not isinstance(model, Regression):
        raise DataError(f"model: given {type(model).__name__}; allowed: runner.models.Regression")
    if model.by not in ("asset", "date") or model.estimator == "logit":
        by = "null" if model.by is None else model.by
        given = f"by={by}, estimator={model.estimator}"
        raise DataError(f"model: given {given}; allowed: a linear regression by asset or date")
    if model.by == "asset" and panel.horizon:
        ahead = count(panel.horizon, "row")
        raise DataError(f"target: lies {ahead} ahead of its factors; allowed: one of their own row")
    if not set(model.terms(panel.names)) - {"const"}:
        raise DataError("features: there is no factor; allowed: features, or model.components")


def factors_as_features(model: Any, panel: Panel, fit: Fit) -> tuple[Any, Panel, Fit]:
    """The same with principal components, where there are any, as features like others."""
    if fit.components is None:
        return model, panel, fit
    from runner.panels.components import extended

    wide = extended(panel, fit.components)
    regressors = model.regressors
    if regressors is not None:
        components = wide.names[len(panel.names) :]
        regressors = [*regressors, *components]
    plain_model = replace(model, components=0, regressors=regressors)
    plain_fit = replace(fit, components=None)
    return plain_model, wide, plain_fit


def shared_factors(panel: Panel, names: list[str]) -> np.ndarray:
    """Features (T, m) that are the same for every asset, on every row of the panel.

    Raises:
        DataError: some differ between assets.
    """
    at = [panel.names.index(name) for name in names]
    own = [name for name, k in zip(names, at, strict=True) if not _same(panel.X[:, :, k])]
    if own:
        verb = "differs" if len(own) == 1 else "differ"
        raise DataError(
            f"features: {listed(own)} {verb} between assets, so there is no return of a factor; "
            "allowed: series shared by all assets, such as runner.features.long_short, "
            "or model.by=date"
        )
    return panel.X[:, 0, at]


def _same(X: np.ndarray) -> bool:
    """Whether each row (T, N) has one value in every column."""
    first = X[:, :1]
    equal = first == X
    missing = np.isnan(X)
    missing_in_first = np.isnan(first)
    both_missing = missing & missing_in_first
    return bool((equal | both_missing).all())


def common(
    valid: np.ndarray, parts: Sequence[np.ndarray], assets: np.ndarray, coverage: float
) -> tuple[np.ndarray, list[np.ndarray]]:
    """What of a ragged panel makes full matrices: assets first, then rows.

    Of the positions `assets`, those with a usable cell on at least the share `coverage` of the rows
    of every part (rows on which no asset has one do not count), and of each part the rows on which
    all of these have one.
    """
    open_parts = [rows[valid[rows].any(axis=1)] for rows in parts]
    covered = []
    for rows in open_parts:
        if len(rows):
            share = valid[np.ix_(rows, assets)].mean(axis=0)
            covered.append(share >= coverage)
    chosen = assets[:0]
    if covered:
        chosen = assets[np.logical_and.reduce(covered)]
    complete = [rows[valid[np.ix_(rows, chosen)].all(axis=1)] for rows in open_parts]
    return chosen, complete


def full_parameters(n: int) -> int:
    """Numbers in a covariance of n assets: n (n + 1) / 2."""
    return n * (n + 1) // 2


def factor_parameters(n: int, m: int) -> int:
    """Numbers in B Omega B' + D: loadings, covariances of the factors, specific variances."""
    loadings = n * m
    omega = m * (m + 1) // 2
    return loadings + omega + n


def marchenko_pastur_edge(rows: int, assets: int) -> float:
    """Limit of the largest eigenvalue of independent series' correlations, (1 + sqrt(n / T))^2."""
    return float((1.0 + np.sqrt(assets / rows)) ** 2)


def shrunk(y: np.ndarray) -> tuple[np.ndarray, float]:
    """Covariance of y (T, n) shrunk towards equal variances without correlation, and by how much.

    Ledoit and Wolf (2004), as in scikit-learn: the divisor is T, the intensity comes from y itself.
    """
    from sklearn.covariance import LedoitWolf

    estimator = LedoitWolf().fit(y)
    return np.asarray(estimator.covariance_), float(estimator.shrinkage_)


def condition(S: np.ndarray) -> float:
    """Largest over smallest eigenvalue, infinite where rounding leaves no smallest one."""
    eigen = np.linalg.eigvalsh(S)
    smallest = eigen[0]
    largest = eigen[-1]
    if smallest > ALMOST_SINGULAR * largest:
        return float(largest / smallest)
    return float("inf")


def minimum_variance(S: np.ndarray) -> np.ndarray:
    """Weights (n,) of least variance, short sales allowed: S^-1 1 / (1' S^-1 1)."""
    w = np.linalg.solve(S, np.ones(len(S)))
    return np.asarray(w / w.sum())


def log_density(y: np.ndarray, mean: np.ndarray, S: np.ndarray) -> np.ndarray:
    """Log-density (T,) of rows y (T, n) under a normal with this mean and covariance."""
    L = np.linalg.cholesky(S)
    z = np.linalg.solve(L, (y - mean).T)
    quadratic = np.sum(z**2, axis=0)
    diagonal = np.diag(L)
    logs = np.log(diagonal)
    log_root_det = np.sum(logs)
    constant = len(S) * np.log(2.0 * np.pi)
    return -0.5 * (constant + quadratic) - log_root_det
