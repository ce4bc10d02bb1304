"""Least squares of the target on the features, one regression per asset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from runner.errors import DataError, EstimationError, listed, unknown
from runner.settings import Count, Share

if TYPE_CHECKING:
    import pandas as pd

    from runner.inference import Wald
    from runner.least_squares import Solution
    from runner.panel import Panel
    from runner.restrictions import Restriction

Covariance = Literal["nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC"]


@dataclass(frozen=True)
class Fit:
    """What a model found, tidy: one row per unit and term, per unit, per unit and hypothesis.

    Attributes:
        coefficients: scope, unit, term, estimate, std_error, t_stat, p_value, ci_low, ci_high.
        quality: scope, unit, n_obs, r2, ... ; a unit that could not be estimated has its reason.
        hypotheses: scope, unit, hypothesis, f_stat, df_num, df_den, p_value, reason.
        params: (N, k) estimates in the order of the terms, NaN where there are none.
        errors: the covariance in words, with its conventions.
    """

    coefficients: pd.DataFrame
    quality: pd.DataFrame
    hypotheses: pd.DataFrame
    params: np.ndarray
    errors: str


class Unit(NamedTuple):
    """Rows of the tidy tables that one regression gives, without scope and unit."""

    coefficients: list[dict[str, Any]]
    quality: dict[str, Any]
    hypotheses: list[dict[str, Any]]


@dataclass(frozen=True)
class Regression:
    """Least squares per asset over time.

    Attributes:
        cov: errors of the estimates: nonrobust, HC0 to HC3, or HAC (Newey-West). Student's t throughout.
        cov_lags: lags of HAC; null takes the larger of horizon - 1 and floor(4 (n / 100)^(2/9)).
        regressors: names of the features to use, in this order; null takes all.
        constant: whether to fit an intercept, the term `const`.
        hypotheses: linear restrictions to test, each such as `market_ret = 1` or `SMB = 0, HML = 0`.
        confidence: level of the intervals.
    """

    cov: Covariance = "nonrobust"
    cov_lags: Count | None = None
    regressors: list[str] | None = None
    constant: bool = True
    hypotheses: list[str] = field(default_factory=list)
    confidence: Share = 0.95

    def __post_init__(self) -> None:
        if self.cov_lags is not None and self.cov != "HAC":
            raise ValueError(f"cov_lags: {self.cov_lags} given with cov={self.cov}; allowed: with cov=HAC only")

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """What is wrong with these settings for these features, a line each."""
        from runner.restrictions import restriction

        chosen = self.regressors if self.regressors is not None else list(features)
        found = [f"regressors: {unknown(name, features)}" for name in chosen if name not in features]
        found += [f"regressors: {name!r} is given twice" for name in {n for n in chosen if chosen.count(n) > 1}]
        if not self.constant and not chosen:
            found.append("regressors: none, and no constant; allowed: at least one term")
        for text in self.hypotheses:
            try:
                restriction(text, ["const", *features])
            except ValueError as error:
                found.append(f"hypotheses: {error}")
        return found

    def terms(self, features: Sequence[str]) -> list[str]:
        """Names (k,) of the estimates: the constant first, then the regressors."""
        chosen = list(features) if self.regressors is None else self.regressors
        return ["const", *chosen] if self.constant else list(chosen)

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        """Estimate on the rows at these positions, cells that are valid only.

        Raises:
            DataError: every asset has too few rows.
            EstimationError: no asset could be estimated.
        """
        import pandas as pd

        terms, design = self.terms(panel.names), self._design(panel)
        params = np.full((len(panel.assets), len(terms)), np.nan)
        units: dict[str, Unit] = {}
        for i, asset in enumerate(panel.assets):
            mine = rows[panel.valid[rows, i]]
            units[asset], params[i] = self._unit(design[mine, i], panel.y[mine, i], panel)
        _refuse_nothing(units)
        coefficients, quality, hypotheses = _tables(units)
        coefficients = pd.concat([coefficients, mean_group(coefficients, self.confidence)], ignore_index=True)
        return Fit(coefficients, quality, hypotheses, params, self._errors_in_words())

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Predictions (T, N), NaN where a feature is missing or the asset was not estimated."""
        return np.asarray(np.einsum("tnk,nk->tn", self._design(panel), fit.params))

    def diagnose(self, fit: Fit, panel: Panel, rows: np.ndarray) -> pd.DataFrame:
        """Diagnostics of the fit on the rows it was made on: scope, unit, diagnostic, term, statistic, ..."""
        from runner.diagnostics import diagnose

        terms, design, found = self.terms(panel.names), self._design(panel), {}
        for i, (asset, reason) in enumerate(zip(panel.assets, fit.quality["reason"], strict=True)):
            if not reason:
                mine = rows[panel.valid[rows, i]]
                X = design[mine, i]
                found[asset] = [d._asdict() for d in diagnose(X, panel.y[mine, i] - X @ fit.params[i], terms)]
        return _tidy(found, DIAGNOSTICS)

    def _design(self, panel: Panel) -> np.ndarray:
        """Regressors (T, N, k) in the order of the terms."""
        every = self.regressors is None or self.regressors == panel.names
        X = panel.X if every else panel.X[:, :, [panel.names.index(name) for name in self.regressors or []]]
        return np.concatenate([np.ones((*X.shape[:2], 1)), X], axis=2) if self.constant else X

    def _unit(self, X: np.ndarray, y: np.ndarray, panel: Panel) -> tuple[Unit, np.ndarray]:
        """One regression and its estimates (k,), or the reason why there is none."""
        from runner.least_squares import NotEstimable, solve

        terms = self.terms(panel.names)
        try:
            solution = solve(X, y, terms, self.constant)
            lags = self._lags(solution.n, panel.horizon)
            V, reason = self._covariance(solution, lags)
        except NotEstimable as error:
            return Unit([], {"n_obs": len(y), "reason": str(error)}, []), np.full(len(terms), np.nan)
        quality = _quality(solution, V, terms) | {"cov": self.cov, "cov_lags": lags, "reason": reason}
        tests = self._tests(solution, V, panel.names, reason)
        return Unit(self._coefficients(solution, V, terms), quality, tests), solution.b

    def _lags(self, n: int, horizon: int) -> int | None:
        from runner.covariance import default_lags

        if self.cov != "HAC":
            return None
        return default_lags(n, horizon) if self.cov_lags is None else self.cov_lags

    def _covariance(self, solution: Solution, lags: int | None) -> tuple[np.ndarray, str]:
        """Covariance (k, k) of the estimates; NaN with the reason where the fit is exact."""
        from runner.covariance import COVARIANCES

        if solution.exact:
            return np.full((len(solution.b),) * 2, np.nan), "fits exactly: no errors, tests or diagnostics"
        return COVARIANCES[self.cov](solution, lags or 0), ""

    def _coefficients(self, solution: Solution, V: np.ndarray, terms: list[str]) -> list[dict[str, Any]]:
        from runner.inference import infer

        columns = infer(solution.b, V, solution.df, self.confidence)
        rows = zip(terms, solution.b, *columns, strict=True)
        return [dict(zip(("term", "estimate", *columns._fields), row, strict=True)) for row in rows]

    def _tests(self, solution: Solution, V: np.ndarray, names: list[str], reason: str) -> list[dict[str, Any]]:
        from runner.restrictions import restriction

        rows = []
        for text in self.hypotheses:
            hypothesis = restriction(text, ["const", *names]).on(self.terms(names))
            result, why = (None, reason) if reason else _test(solution, V, hypothesis)
            rows.append({"hypothesis": text} | (result._asdict() if result else {}) | {"reason": why})
        return rows

    def _errors_in_words(self) -> str:
        if self.cov == "HAC":
            lags = "lags per unit in quality.csv" if self.cov_lags is None else f"{self.cov_lags} lags"
            return f"HAC (Newey-West, Bartlett, {lags}, no small-sample factor), t(n-k)"
        return f"{self.cov}, t(n-k)"


def _refuse_nothing(units: dict[str, Unit]) -> None:
    """Raise where no unit has an estimate: too few rows is a matter of data, the rest of estimation."""
    if any(unit.coefficients for unit in units.values()):
        return
    names: dict[str, list[str]] = {}
    for name, unit in units.items():
        names.setdefault(unit.quality["reason"], []).append(name)
    short = all("rows for" in reason for reason in names)
    reasons = "; ".join(f"{listed(some)}: {reason}" for reason, some in list(names.items())[:3])
    raise (DataError if short else EstimationError)(f"model: no asset could be estimated; {reasons}")


def _quality(solution: Solution, V: np.ndarray, terms: list[str]) -> dict[str, Any]:
    """How well one regression fits; the F statistic tests that every slope is zero, under `V`."""
    from runner.restrictions import all_slopes

    k, exact = len(terms), solution.exact
    overall = _test(solution, V, all_slopes(terms))[0] if set(terms) - {"const"} and not exact else None
    likelihood = np.nan if exact else solution.log_likelihood
    return {
        "n_obs": solution.n,
        "df_resid": solution.df,
        "r2": solution.r2,
        "r2_adj": solution.r2_adj,
        "f_stat": overall.f_stat if overall else np.nan,
        "f_p_value": overall.p_value if overall else np.nan,
        "residual_std": np.sqrt(solution.ssr / solution.df),
        "log_likelihood": likelihood,
        "aic": 2.0 * k - 2.0 * likelihood,
        "bic": k * np.log(solution.n) - 2.0 * likelihood,
    }


def _test(solution: Solution, V: np.ndarray, hypothesis: Restriction | str) -> tuple[Wald | None, str]:
    """The Wald test of a restriction, or the reason why there is none."""
    from runner.inference import wald
    from runner.least_squares import NotEstimable

    if isinstance(hypothesis, str):
        return None, hypothesis
    try:
        return wald(solution.b, V, solution.df, hypothesis), ""
    except NotEstimable as error:
        return None, str(error)


def mean_group(coefficients: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Mean of each term over the units, with the error of that mean over units (Pesaran and Smith 1995).

    The error takes units as independent; no rows where there are fewer than two units.
    """
    import pandas as pd

    from runner.inference import infer

    groups = coefficients.groupby("term", sort=False)["estimate"]
    units = groups.count().to_numpy()
    if len(units) == 0 or units.min() < 2:
        return coefficients.iloc[:0]
    mean = groups.mean()
    columns = infer(mean.to_numpy(), np.diag(groups.var().to_numpy() / units), int(units.min()) - 1, confidence)
    table = pd.DataFrame({"term": mean.index, "estimate": mean.to_numpy()} | columns._asdict())
    return table.assign(scope="mean", unit="all")[list(coefficients.columns)]


COEFFICIENTS = ["term", "estimate", "std_error", "t_stat", "p_value", "ci_low", "ci_high"]
QUALITY = ["n_obs", "df_resid", "r2", "r2_adj", "f_stat", "f_p_value", "residual_std", "log_likelihood"]
QUALITY += ["aic", "bic", "cov", "cov_lags", "reason"]
HYPOTHESES = ["hypothesis", "f_stat", "df_num", "df_den", "p_value", "reason"]
DIAGNOSTICS = ["diagnostic", "term", "statistic", "df", "p_value", "null", "reason"]


def _tables(units: dict[str, Unit]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Coefficients, quality and hypotheses of all units, tidy."""
    return (
        _tidy({name: unit.coefficients for name, unit in units.items()}, COEFFICIENTS),
        _tidy({name: [unit.quality] for name, unit in units.items()}, QUALITY),
        _tidy({name: unit.hypotheses for name, unit in units.items()}, HYPOTHESES),
    )


def _tidy(rows: dict[str, list[dict[str, Any]]], columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    flat = [{"scope": "asset", "unit": unit} | row for unit, part in rows.items() for row in part]
    return pd.DataFrame(flat, columns=["scope", "unit", *columns])
