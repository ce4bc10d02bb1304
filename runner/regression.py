"""Least squares of the target on the features: per asset, per date, per group of assets, or pooled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.errors import DataError, EstimationError, listed, unknown
from runner.settings import Count, Share

if TYPE_CHECKING:
    import pandas as pd

    from runner.estimation import Estimates
    from runner.panel import Panel

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
        regressors: names of the features to use, in this order; null takes all. Rows need every feature of the
            spec all the same, so that choices of regressors are compared on the same rows.
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
        if self.cov_lags is not None and not self.lagged:
            raise ValueError(
                f"cov_lags: {self.cov_lags} given with {given}; allowed: with cov=HAC, driscoll_kraay only"
            )
        if self.cov == "HAC" and self.by != "asset":
            raise ValueError(f"cov: HAC given with by={self.by}; allowed: with by=asset, else driscoll_kraay")
        if self.pooled and self.by in ("asset", "date"):
            raise ValueError(f"cov: {self.cov} given with by={self.by}; allowed: with by=null or by a group")
        if (self.cov == "cluster") != (1 <= len(set(self.clusters)) <= 2):
            raise ValueError(
                f"clusters: {self.clusters} given with {given}; allowed: one or two, with cov=cluster only"
            )
        if self.mean_lags is not None and self.by != "date":
            raise ValueError(f"mean_lags: {self.mean_lags} given with by={self.by}; allowed: with by=date only")

    @property
    def lagged(self) -> bool:
        """Whether the errors of a regression have lags."""
        return self.cov in LAGGED

    @property
    def pooled(self) -> bool:
        """Whether the errors come from sums of scores over assets or dates."""
        return self.cov in POOLED

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

        from runner.estimation import estimate
        from runner.grouping import per_asset, refuse_shared

        if self.by == "date":
            refuse_shared(panel, rows, self.terms(panel.names))
        found = estimate(self, panel, rows)
        _refuse_nothing(found)
        coefficients = _coefficients(found, self.terms(panel.names), self.confidence)
        mean = mean_group(coefficients, self.confidence, self._mean_lags(int(found.estimated.sum()), panel.horizon))
        return Fit(
            pd.concat([coefficients, mean], ignore_index=True),
            _quality(found, self),
            pd.concat(
                [
                    _hypotheses(found, self.hypotheses, self.terms(panel.names), panel.names),
                    self._grs(found, panel, rows),
                ],
                ignore_index=True,
            ),
            per_asset(found.b, found.units, len(panel.assets)),
            self._errors_in_words(len(mean) > 0, int(found.estimated.sum()), panel.horizon),
        )

    def _grs(self, found: Estimates, panel: Panel, rows: np.ndarray) -> pd.DataFrame:
        """The test that every constant is zero, where regressions over time share their regressors."""
        import pandas as pd

        from runner.pricing import grs, shared_regressors

        names, result = self.terms(panel.names)[1:], None
        F = shared_regressors(panel, rows, names) if self.by == "asset" and self.constant else None
        if F is not None and found.estimated.all():
            residuals = panel.y[rows] - found.b[:, 0] - F @ found.b[:, 1:].T
            result = grs(found.b[:, 0], residuals, F)
        row = {"scope": "pooled", "unit": "all", "hypothesis": "GRS: const = 0 in every asset", "reason": ""}
        return pd.DataFrame([row | result._asdict()] if result else [], columns=["scope", "unit", *HYPOTHESES])

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Predictions (T, N), NaN where a feature is missing or the asset was not estimated.

        By date, the forecast takes the mean of the estimates over the dates that were fitted.
        """
        from runner.estimation import regressors

        slopes = fit.params[:, 1:] if self.constant else fit.params
        values = np.einsum("tnk,nk->tn", regressors(panel, self.regressors), slopes)
        return np.asarray(values + fit.params[:, 0] if self.constant else values)

    def diagnose(self, fit: Fit, panel: Panel, rows: np.ndarray) -> pd.DataFrame:
        """Diagnostics of regressions over time on the rows they were made on; none where units are not series."""
        import pandas as pd

        from runner.diagnostics import diagnose
        from runner.estimation import design
        from runner.grouping import units

        terms, found = self.terms(panel.names), []
        sound = fit.quality["reason"] == ""
        for unit, i in zip(units(panel, rows, "asset"), range(len(sound) if self.by == "asset" else 0), strict=False):
            if sound[i]:
                t, own = unit.cells(panel)
                X = design(panel, t, own, self.regressors, self.constant)
                key = {"scope": "asset", "unit": unit.name}
                found += [key | one._asdict() for one in diagnose(X, panel.y[t, own] - X @ fit.params[i], terms)]
        return pd.DataFrame(found, columns=["scope", "unit", *DIAGNOSTICS])

    def _mean_lags(self, dates: int, horizon: int) -> int:
        """Lags for the mean over units: over dates the rule, over assets and groups none."""
        from runner.covariance import default_lags

        if self.by != "date":
            return 0
        return default_lags(dates, horizon) if self.mean_lags is None else self.mean_lags

    def _errors_in_words(self, mean: bool, dates: int, horizon: int) -> str:
        """The covariance with its conventions, and where it comes from in the mean over units."""
        given = "lags per unit in quality.csv" if self.cov_lags is None else f"{self.cov_lags} lags"
        words = {
            "HAC": f"HAC (Newey-West, Bartlett, {given}, no small-sample factor), t(n-k)",
            "cluster": f"clustered by {' and '.join(self.clusters)} (factor G/(G-1) (n-1)/(n-k)), t(G-1)",
            "driscoll_kraay": f"Driscoll-Kraay (Bartlett, {given}, factor n/(n-k)), t(dates-1)",
        }.get(self.cov, f"{self.cov}, t(n-k)")
        if not mean:
            return words
        lags = self._mean_lags(dates, horizon)
        serial = f"Newey-West over dates, {lags} lags, no small-sample factor"
        over = serial if lags else f"spread over {'dates' if self.by == 'date' else 'units'} (ddof 1)"
        return f"{words}; of the mean: {over}"


def _refuse_nothing(found: Estimates) -> None:
    """Raise where no unit has an estimate: too few rows is a matter of data, the rest of estimation."""
    if found.estimated.any():
        return
    names: dict[str, list[str]] = {}
    for unit, reason in zip(found.units, found.reason, strict=True):
        names.setdefault(reason, []).append(unit.name)
    short = bool((found.n <= found.b.shape[1]).all())
    reasons = "; ".join(f"{listed(some)}: {reason}" for reason, some in list(names.items())[:3])
    what = found.units[0].scope.replace("pooled", "regression") if found.units else "unit"
    raise (DataError if short else EstimationError)(f"model: no {what} could be estimated; {reasons}")


def _coefficients(found: Estimates, terms: list[str], confidence: float) -> pd.DataFrame:
    """One row per unit with estimates and term."""
    import pandas as pd

    from runner.inference import inference

    at = np.flatnonzero(found.estimated)
    error = np.sqrt(np.einsum("ukk->uk", found.V[at]))
    columns = inference(found.b[at], error, found.df[at, None], confidence)
    keys = {"scope": [found.units[u].scope for u in at], "unit": [found.units[u].name for u in at]}
    table = {name: np.repeat(values, len(terms)) for name, values in keys.items()}
    table |= {"term": np.tile(terms, len(at)), "estimate": found.b[at].ravel()}
    table |= {name: values.ravel() for name, values in columns._asdict().items()}
    return pd.DataFrame(table, columns=["scope", "unit", *COEFFICIENTS])


def _quality(found: Estimates, model: Regression) -> pd.DataFrame:
    """How well each unit fits; a unit without estimates has its rows and its reason."""
    import pandas as pd

    from runner.estimation import EXACT

    k, n, exact = found.b.shape[1], found.n, np.array(found.reason) == EXACT
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(found.estimated, n - k, np.nan)
        r2 = 1.0 - found.ssr / found.tss
        likelihood = -n / 2.0 * (np.log(2.0 * np.pi * np.where(exact, np.nan, found.ssr) / n) + 1.0)
    table = {
        "scope": [unit.scope for unit in found.units],
        "unit": [unit.name for unit in found.units],
        "n_obs": n.astype(int),
        "df_resid": _whole(df),
        "r2": r2,
        "r2_adj": 1.0 - (1.0 - r2) * (n - model.constant) / df,
        "f_stat": found.f_stat,
        "f_p_value": found.f_p,
        "residual_std": np.sqrt(found.ssr / df),
        "log_likelihood": likelihood,
        "aic": 2.0 * k - 2.0 * likelihood,
        "bic": k * np.log(np.maximum(n, 1.0)) - 2.0 * likelihood,
        "cov": np.where(found.estimated, model.cov, ""),
        "cov_lags": _whole(found.lags),
        "reason": found.reason,
    }
    return pd.DataFrame(table, columns=["scope", "unit", *QUALITY])


def _whole(values: np.ndarray) -> list[int | None]:
    """Whole numbers, None where there is none."""
    return [None if np.isnan(value) else int(value) for value in values]


def _hypotheses(found: Estimates, texts: list[str], terms: list[str], features: list[str]) -> pd.DataFrame:
    """One row per unit with estimates and hypothesis."""
    import pandas as pd

    from runner.estimation import wald_test
    from runner.restrictions import restriction

    tested = [(text, restriction(text, ["const", *features]).on(terms)) for text in texts]
    rows = []
    for u in np.flatnonzero(found.estimated) if tested else []:
        for text, hypothesis in tested:
            result, why = wald_test(found, int(u), hypothesis)
            row = {"scope": found.units[u].scope, "unit": found.units[u].name, "hypothesis": text}
            rows.append(row | (result._asdict() if result else {}) | {"reason": why})
    return pd.DataFrame(rows, columns=["scope", "unit", *HYPOTHESES])


def mean_group(coefficients: pd.DataFrame, confidence: float, lags: int = 0) -> pd.DataFrame:
    """Mean of each term over the units, with the error of that mean; no rows with fewer than two units.

    Without lags the error takes units as independent: their standard deviation (ddof 1) over the root of
    their number (Pesaran and Smith 1995; Fama and MacBeth 1973). With lags it is Newey-West's over units in
    their order, Bartlett weights, no small-sample factor, as for a regression on a constant.
    """
    import pandas as pd

    from runner.clusters import long_run
    from runner.inference import infer

    terms = list(dict.fromkeys(coefficients["term"]))
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
