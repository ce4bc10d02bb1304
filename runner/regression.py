"""Least squares of the target on the features: per asset, per date, per group of assets, or pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from runner.errors import DataError, EstimationError, listed, unknown
from runner.settings import Count, Share

if TYPE_CHECKING:
    import pandas as pd

    from runner.grouping import Cells
    from runner.inference import Wald
    from runner.least_squares import Solution
    from runner.panel import Panel
    from runner.restrictions import Restriction

Covariance = Literal["nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC", "cluster", "driscoll_kraay"]
LAGGED = ("HAC", "driscoll_kraay")
POOLED = ("cluster", "driscoll_kraay")


@dataclass(frozen=True)
class Fit:
    """What a model found, tidy: one row per unit and term, per unit, per unit and hypothesis.

    Attributes:
        coefficients: scope, unit, term, estimate, std_error, t_stat, p_value, ci_low, ci_high.
        quality: scope, unit, n_obs, r2, ... ; a unit that could not be estimated has its reason.
        hypotheses: scope, unit, hypothesis, f_stat, df_num, df_den, p_value, reason.
        params: (N, k) estimates that forecast each asset, in the order of the terms, NaN where there are none.
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
    """Least squares, one regression per unit.

    Attributes:
        by: asset (over time), date (over assets; the mean over dates is Fama and MacBeth 1973), the name
            of a group of assets such as sector, or null: all cells in one.
        cov: errors of the estimates: nonrobust, HC0 to HC3; by asset also HAC (Newey-West); by group or pooled
            also cluster, and driscoll_kraay (scores summed by date, then Newey-West). Student's t throughout.
        cov_lags: lags of HAC and driscoll_kraay; null takes the larger of horizon - 1 and
            floor(4 (n / 100)^(2/9)).
        clusters: one or two of asset, date and the groups of the data, with cov=cluster.
        mean_lags: lags of Newey-West for the mean over dates, with by=date; null takes the same rule.
        regressors: names of the features to use, in this order; null takes all.
        constant: whether to fit an intercept, the term `const`.
        hypotheses: linear restrictions to test, each such as `market_ret = 1` or `SMB = 0, HML = 0`.
        confidence: level of the intervals.
    """

    by: str | None = "asset"
    cov: Covariance = "nonrobust"
    cov_lags: Count | None = None
    clusters: list[str] = field(default_factory=list)
    mean_lags: Count | None = None
    regressors: list[str] | None = None
    constant: bool = True
    hypotheses: list[str] = field(default_factory=list)
    confidence: Share = 0.95

    def __post_init__(self) -> None:
        given = f"cov={self.cov}"
        if self.cov_lags is not None and self.cov not in LAGGED:
            raise ValueError(
                f"cov_lags: {self.cov_lags} given with {given}; allowed: with cov=HAC, driscoll_kraay only"
            )
        if self.cov == "HAC" and self.by != "asset":
            raise ValueError(f"cov: HAC given with by={self.by}; allowed: with by=asset, else driscoll_kraay")
        if self.cov in POOLED and self.by in ("asset", "date"):
            raise ValueError(f"cov: {self.cov} given with by={self.by}; allowed: with by=null or by a group")
        if (self.cov == "cluster") != (1 <= len(set(self.clusters)) <= 2):
            raise ValueError(
                f"clusters: {self.clusters} given with {given}; allowed: one or two, with cov=cluster only"
            )
        if self.mean_lags is not None and self.by != "date":
            raise ValueError(f"mean_lags: {self.mean_lags} given with by={self.by}; allowed: with by=date only")

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
            DataError: every unit has too few rows; a group that the data has not; by=date with a feature
                that is the same for every asset.
            EstimationError: no unit could be estimated.
        """
        import pandas as pd

        from runner.grouping import per_asset, units

        terms, design, cells = self.terms(panel.names), self._design(panel), units(panel, rows, self.by)
        if self.by == "date":
            _refuse_shared(design, panel.valid, rows, terms)
        params = np.full((len(cells), len(terms)), np.nan)
        results = []
        for u, one in enumerate(cells):
            result, params[u] = self._unit(design[one.t, one.i], panel.y[one.t, one.i], one, panel)
            results.append(result)
        _refuse_nothing(cells, results)
        coefficients, quality, hypotheses = _tables(cells, results)
        mean = mean_group(coefficients, self.confidence, self._mean_lags(coefficients, panel.horizon))
        coefficients = pd.concat([coefficients, mean], ignore_index=True)
        loadings = per_asset(params, cells, len(panel.assets))
        return Fit(coefficients, quality, hypotheses, loadings, self._errors_in_words(coefficients, panel.horizon))

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Predictions (T, N), NaN where a feature is missing or the asset was not estimated.

        By date, the forecast takes the mean of the estimates over the dates that were fitted.
        """
        return np.asarray(np.einsum("tnk,nk->tn", self._design(panel), fit.params))

    def diagnose(self, fit: Fit, panel: Panel, rows: np.ndarray) -> pd.DataFrame:
        """Diagnostics of regressions over time on the rows they were made on; none where units are not series."""
        from runner.diagnostics import diagnose

        terms, design, cells, found = self.terms(panel.names), self._design(panel), [], []
        for i, (asset, reason) in enumerate(zip(panel.assets, fit.quality["reason"], strict=False)):
            if self.by == "asset" and not reason:
                mine = rows[panel.valid[rows, i]]
                X = design[mine, i]
                found.append([d._asdict() for d in diagnose(X, panel.y[mine, i] - X @ fit.params[i], terms)])
                cells.append(("asset", asset))
        return _tidy(cells, found, DIAGNOSTICS)

    def _design(self, panel: Panel) -> np.ndarray:
        """Regressors (T, N, k) in the order of the terms."""
        every = self.regressors is None or self.regressors == panel.names
        X = panel.X if every else panel.X[:, :, [panel.names.index(name) for name in self.regressors or []]]
        return np.concatenate([np.ones((*X.shape[:2], 1)), X], axis=2) if self.constant else X

    def _unit(self, X: np.ndarray, y: np.ndarray, cells: Cells, panel: Panel) -> tuple[Unit, np.ndarray]:
        """One regression and its estimates (k,), or the reason why there is none."""
        from runner.least_squares import NotEstimable, solve

        terms = self.terms(panel.names)
        try:
            solution = solve(X, y, terms, self.constant)
            lags = self._lags(len(np.unique(cells.t)), panel.horizon)
            V, df, reason = self._covariance(solution, cells, panel, lags)
        except NotEstimable as error:
            return Unit([], {"n_obs": len(y), "reason": str(error)}, []), np.full(len(terms), np.nan)
        quality = _quality(solution, V, df, terms) | {"cov": self.cov, "cov_lags": lags, "reason": reason}
        tests = self._tests(solution, V, df, panel.names, reason)
        return Unit(self._coefficients(solution, V, df, terms), quality, tests), solution.b

    def _lags(self, n: int, horizon: int) -> int | None:
        from runner.covariance import default_lags

        if self.cov not in LAGGED:
            return None
        return default_lags(n, horizon) if self.cov_lags is None else self.cov_lags

    def _mean_lags(self, coefficients: pd.DataFrame, horizon: int) -> int:
        """Lags for the mean over units: over dates the rule, over assets and groups none."""
        from runner.covariance import default_lags

        if self.by != "date":
            return 0
        dates = coefficients["unit"].nunique()
        return default_lags(dates, horizon) if self.mean_lags is None else self.mean_lags

    def _covariance(
        self, solution: Solution, cells: Cells, panel: Panel, lags: int | None
    ) -> tuple[np.ndarray, int, str]:
        """Covariance (k, k) and its degrees of freedom; NaN with the reason where the fit is exact."""
        from runner.clusters import clustered, driscoll_kraay
        from runner.covariance import COVARIANCES

        if solution.exact:
            nothing = np.full((len(solution.b),) * 2, np.nan)
            return nothing, solution.df, "fits exactly: no errors, tests or diagnostics"
        if self.cov == "cluster":
            return *clustered(solution, [cluster_key(panel, cells, name) for name in self.clusters]), ""
        if self.cov == "driscoll_kraay":
            return *driscoll_kraay(solution, cells.t, lags or 0), ""
        return COVARIANCES[self.cov](solution, lags or 0), solution.df, ""

    def _coefficients(self, solution: Solution, V: np.ndarray, df: int, terms: list[str]) -> list[dict[str, Any]]:
        from runner.inference import infer

        columns = infer(solution.b, V, df, self.confidence)
        rows = zip(terms, solution.b, *columns, strict=True)
        return [dict(zip(("term", "estimate", *columns._fields), row, strict=True)) for row in rows]

    def _tests(
        self, solution: Solution, V: np.ndarray, df: int, names: list[str], reason: str
    ) -> list[dict[str, Any]]:
        from runner.restrictions import restriction

        rows = []
        for text in self.hypotheses:
            hypothesis = restriction(text, ["const", *names]).on(self.terms(names))
            result, why = (None, reason) if reason else _test(solution, V, df, hypothesis)
            rows.append({"hypothesis": text} | (result._asdict() if result else {}) | {"reason": why})
        return rows

    def _errors_in_words(self, coefficients: pd.DataFrame, horizon: int) -> str:
        """The covariance with its conventions, and where it comes from in the mean over units."""
        given = "lags per unit in quality.csv" if self.cov_lags is None else f"{self.cov_lags} lags"
        words = {
            "HAC": f"HAC (Newey-West, Bartlett, {given}, no small-sample factor), t(n-k)",
            "cluster": f"clustered by {' and '.join(self.clusters)} (factor G/(G-1) (n-1)/(n-k)), t(G-1)",
            "driscoll_kraay": f"Driscoll-Kraay (Bartlett, {given}, factor n/(n-k)), t(dates-1)",
        }.get(self.cov, f"{self.cov}, t(n-k)")
        if not (coefficients["scope"] == "mean").any():
            return words
        lags = self._mean_lags(coefficients[coefficients["scope"] != "mean"], horizon)
        serial = f"Newey-West over dates, {lags} lags, no small-sample factor"
        over = serial if lags else f"spread over {'dates' if self.by == 'date' else 'units'} (ddof 1)"
        return f"{words}; of the mean: {over}"


def cluster_key(panel: Panel, cells: Cells, name: str) -> np.ndarray:
    """Codes (n,) of the cluster that each cell lies in.

    Raises:
        DataError: the data has no such group.
    """
    if name in ("asset", "date"):
        return cells.i if name == "asset" else cells.t
    if name not in panel.groups:
        raise DataError(f"model.clusters: {unknown(name, ['asset', 'date', *panel.groups.columns])}")
    return np.asarray(panel.groups[name].astype("category").cat.codes)[cells.i]


def _refuse_shared(design: np.ndarray, valid: np.ndarray, rows: np.ndarray, terms: list[str]) -> None:
    """Refuse features that are the same for every asset on every date: no cross-section can estimate them."""
    cells = np.where(valid[rows][:, :, None], design[rows], np.nan)
    several = valid[rows].sum(axis=1) > 1
    if not several.any():
        return
    flat = (np.nanmax(cells[several], axis=1) == np.nanmin(cells[several], axis=1)).all(axis=0)
    names = [term for term, same in zip(terms, flat, strict=True) if same and term != "const"]
    if names:
        raise DataError(
            f"model.by: date, but {listed(names)} {'is' if len(names) == 1 else 'are'} the same for every asset "
            "on a date; leave out of model.regressors, or choose another by"
        )


def _refuse_nothing(cells: list[Cells], results: list[Unit]) -> None:
    """Raise where no unit has an estimate: too few rows is a matter of data, the rest of estimation."""
    if any(result.coefficients for result in results):
        return
    names: dict[str, list[str]] = {}
    for one, result in zip(cells, results, strict=True):
        names.setdefault(result.quality["reason"], []).append(one.unit)
    short = all("rows for" in reason for reason in names)
    reasons = "; ".join(f"{listed(some)}: {reason}" for reason, some in list(names.items())[:3])
    what = cells[0].scope.replace("pooled", "regression") if cells else "unit"
    raise (DataError if short else EstimationError)(f"model: no {what} could be estimated; {reasons}")


def _quality(solution: Solution, V: np.ndarray, df: int, terms: list[str]) -> dict[str, Any]:
    """How well one regression fits; the F statistic tests that every slope is zero, under `V`."""
    from runner.restrictions import all_slopes

    k, exact = len(terms), solution.exact
    overall = _test(solution, V, df, all_slopes(terms))[0] if set(terms) - {"const"} and not exact else None
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


def _test(solution: Solution, V: np.ndarray, df: int, hypothesis: Restriction | str) -> tuple[Wald | None, str]:
    """The Wald test of a restriction, or the reason why there is none."""
    from runner.inference import wald
    from runner.least_squares import NotEstimable

    if isinstance(hypothesis, str):
        return None, hypothesis
    try:
        return wald(solution.b, V, df, hypothesis), ""
    except NotEstimable as error:
        return None, str(error)


def mean_group(coefficients: pd.DataFrame, confidence: float, lags: int = 0) -> pd.DataFrame:
    """Mean of each term over the units, with the error of that mean; no rows with fewer than two units.

    Without lags the error takes units as independent: their standard deviation (ddof 1) over the root of
    their number (Pesaran and Smith 1995; Fama and MacBeth 1973). With lags it is Newey-West's over units in
    their order, Bartlett weights, no small-sample factor, as for a regression on a constant.
    """
    import pandas as pd

    from runner.clusters import long_run
    from runner.inference import infer

    terms = coefficients["term"].drop_duplicates().tolist()
    path = coefficients["estimate"].to_numpy().reshape(-1, len(terms)) if terms else np.empty((0, 0))
    units = len(path)
    if units < 2:
        return coefficients.iloc[:0]
    mean = path.mean(axis=0)
    V = long_run(path - mean, min(lags, units - 1)) / (units * (units if lags else units - 1.0))
    table = pd.DataFrame({"term": terms, "estimate": mean} | infer(mean, V, units - 1, confidence)._asdict())
    return table.assign(scope="mean", unit="all")[list(coefficients.columns)]


COEFFICIENTS = ["term", "estimate", "std_error", "t_stat", "p_value", "ci_low", "ci_high"]
QUALITY = ["n_obs", "df_resid", "r2", "r2_adj", "f_stat", "f_p_value", "residual_std", "log_likelihood"]
QUALITY += ["aic", "bic", "cov", "cov_lags", "reason"]
HYPOTHESES = ["hypothesis", "f_stat", "df_num", "df_den", "p_value", "reason"]
DIAGNOSTICS = ["diagnostic", "term", "statistic", "df", "p_value", "null", "reason"]


def _tables(cells: list[Cells], results: list[Unit]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Coefficients, quality and hypotheses of all units, tidy."""
    keys = [(one.scope, one.unit) for one in cells]
    return (
        _tidy(keys, [result.coefficients for result in results], COEFFICIENTS),
        _tidy(keys, [[result.quality] for result in results], QUALITY),
        _tidy(keys, [result.hypotheses for result in results], HYPOTHESES),
    )


def _tidy(keys: Sequence[tuple[str, str]], parts: Sequence[list[dict[str, Any]]], columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    flat = [{"scope": s, "unit": u} | row for (s, u), part in zip(keys, parts, strict=True) for row in part]
    return pd.DataFrame(flat, columns=["scope", "unit", *columns])
