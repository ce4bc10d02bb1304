"""Two-pass risk premia: betas of each asset over time, then returns of the assets on betas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.errors import DataError
from runner.models.model import Model, chosen_of
from runner.models.regression import Regression
from runner.schema.settings import Count, Rows, Share
from runner.text import count, number

if TYPE_CHECKING:
    from runner.estimators.estimates import Estimates
    from runner.models.fit import Fit
    from runner.models.two_pass.premia import Passes
    from runner.panels.panel import Panel


@dataclass(frozen=True)
class TwoPass(Model):
    """Premia of factors: what an asset earns on average per unit of beta (Fama and MacBeth 1973).

    Pass 1: least squares of each asset, with a constant, on the factors of the same row, over its
    own rows. Pass 2: on each date a cross-section of returns on betas, over the assets that have
    both. A premium is the mean of its estimates over the dates; Student's t with dates - 1 degrees
    of freedom.

    Attributes:
        betas: full, from all rows fitted on; or rolling, from the rows before each date, so that
            they are known.
        window: rows of rolling betas; row t takes those from t - window to t - 1.
        least: rows that an asset needs to have betas; null for all rows of the window, or factors +
            2 with betas=full.
        cross_section: ols; or gls, weighted by the inverse covariance of the residuals of pass 1.
        cov: errors of the premia. shanken allows for the estimation of the betas (Shanken 1992);
            fama_macbeth takes them as known, so that errors are too small; gmm takes both passes as
            one system and is robust to unequal variances.
        cov_lags: lags of Newey-West over dates; null takes floor(4 (dates / 100)^(2/9)).
        regressors: names of the features that are the factors, in this order; null takes all.
        constant: whether pass 2 has an intercept, the zero-beta return, the term `const`.
        hypotheses: linear restrictions on the premia, such as `const = 0` or `SMB = 0, HML = 0`.
        confidence: level of the intervals.
    """

    betas: Literal["full", "rolling"] = "full"
    window: Rows | None = None
    least: Rows | None = None
    cross_section: Literal["ols", "gls"] = "ols"
    cov: Literal["shanken", "fama_macbeth", "gmm"] = "shanken"
    cov_lags: Count | None = None
    regressors: list[str] | None = None
    constant: bool = True
    hypotheses: list[str] = field(default_factory=list)
    confidence: Share = 0.95

    def __post_init__(self) -> None:
        mistakes = self._unsuited_window()
        if self.betas == "rolling" and self.cross_section == "gls":
            mistakes.append("cross_section: given gls; allowed: ols, with betas=rolling")
        if self.betas == "rolling" and self.cov == "gmm":
            mistakes.append("cov: given gmm; allowed: shanken, fama_macbeth, with betas=rolling")
        if mistakes:
            raise ValueError("\n".join(mistakes))

    def _unsuited_window(self) -> list[str]:
        """What is wrong with the windows of the betas, a line each."""
        mistakes = []
        window = self.window
        rolling = self.betas == "rolling"
        if rolling and window is None:
            mistakes.append("window: given null; allowed: a number of rows, with betas=rolling")
        if not rolling and window is not None:
            mistakes.append(f"window: given {window}; allowed: with betas=rolling only")
        if rolling and window and self.least and self.least > window:
            mistakes.append(f"least: given {self.least}; allowed: at most the window, {window}")
        return mistakes

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """What is wrong with these settings for these features, a line each."""
        regression = Regression(regressors=self.regressors, hypotheses=self.hypotheses)
        mistakes = regression.mistakes(features)
        factors = len(self.terms(features)) - self.constant
        if not factors:
            mistakes.append("regressors: none; allowed: at least one factor")
        fewest = factors + 2
        for name, value in (("window", self.window), ("least", self.least)):
            if value is not None and value < fewest:
                allowed = f"at least {fewest}, for {count(factors, 'factor')}"
                mistakes.append(f"{name}: given {value}; allowed: {allowed}")
        return mistakes

    def terms(self, features: Sequence[str]) -> list[str]:
        """Names (k,) of the premia: the constant first, then the factors."""
        factors = list(features) if self.regressors is None else self.regressors
        return ["const", *factors] if self.constant else factors

    def uses(self, features: Sequence[str]) -> list[str]:
        """Those among `regressors`, or all."""
        return chosen_of(features, self.regressors)

    def lacks_the_mean(self, panel: Panel) -> str:
        return "the forecast is beta times premium, without a constant of the asset"

    def fit(self, panel: Panel, rows: np.ndarray) -> Fit:
        """Both passes on the rows at these positions, cells that are valid only.

        Raises:
            DataError: a target that looks ahead, a factor that differs between assets, too few
                assets or rows for the factors, missing cells where cross_section=gls or cov=gmm
                need every one.
            EstimationError: no asset or no date could be estimated.
        """
        from runner.models.fit import refuse_nothing
        from runner.models.two_pass.premia import cross_sections, shared_factors

        terms = self.terms(panel.names)
        names = terms[self.constant :]
        self._refuse(panel, rows, len(names))
        F = shared_factors(panel, rows, names)
        latest, betas = self._pass_1(panel, rows, F, names)
        refuse_nothing(latest)
        inverse = self._inverse(panel, rows, F, latest)
        fixed = self.window is None
        by_date, u = cross_sections(panel, rows, betas, terms, inverse, fixed)
        refuse_nothing(by_date)
        estimated = by_date.estimated.sum()
        dates = int(estimated)
        if dates < len(names) + 2:
            few = f"{dates} cross-sections for {count(len(names), 'factor')}"
            raise DataError(f"model: {few}; needs at least {len(names) + 2}")
        y_of_panel = np.where(panel.valid, panel.y, np.nan)
        y = y_of_panel[rows]
        passes = self._passes(F, y, betas, by_date, u, inverse)
        return self._as_fit(passes, latest, by_date, panel)

    def _passes(
        self,
        F: np.ndarray,
        y: np.ndarray,
        betas: np.ndarray,
        by_date: Estimates,
        u: np.ndarray,
        inverse: np.ndarray | None,
    ) -> Passes:
        """Both passes on the dates that have a cross-section."""
        from runner.models.two_pass.premia import Passes, overlap_share

        at = np.flatnonzero(by_date.estimated)
        fixed = self.window is None
        share = 1.0
        if self.window is not None:
            share = overlap_share(at, self.window)
        used_factors = F[at]
        used_betas = betas[at]
        premia_of_dates = by_date.b[at]
        return Passes(
            used_factors, y[at], used_betas, fixed, premia_of_dates, u[at], share, inverse
        )

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Expected returns (T, N), the same on every row: the constant plus betas times premia.

        Betas and premia are of the rows fitted, with rolling betas those of the last window;
        factors of the rows forecast are not used, for nobody knows them in time. NaN where an asset
        has no betas.
        """
        premium = fit.params.sum(axis=1)
        dates = len(panel.dates)
        return np.tile(premium, (dates, 1))

    def _refuse(self, panel: Panel, rows: np.ndarray, factors: int) -> None:
        """Refuse a panel whose shape says that there is no answer.

        Raises:
            DataError: a target that looks ahead, too few assets, a window of all rows or more.
        """
        if panel.horizon:
            raise DataError(
                f"model: the target looks {count(panel.horizon, 'row')} ahead; "
                "two passes explain a target of the same row as its factors"
            )
        if len(panel.assets) < factors + 2:
            assets_text = count(len(panel.assets), "asset")
            factors_text = count(factors, "factor")
            few = f"{assets_text} for {factors_text}"
            raise DataError(f"model: {few}; a cross-section needs at least {factors + 2}")
        if self.window is not None and self.window >= len(rows):
            allowed = f"less than the {len(rows)} rows fitted on"
            raise DataError(f"model.window: given {self.window}; allowed: {allowed}")

    def _pass_1(
        self, panel: Panel, rows: np.ndarray, F: np.ndarray, names: list[str]
    ) -> tuple[Estimates, np.ndarray]:
        """The betas that forecast, with their errors, and those of each row (R, N, K).

        NaN where there are none.
        """
        from runner.estimators.estimation import estimate
        from runner.models.two_pass.premia import rolling_betas

        window = self.window or len(rows)
        latest = estimate(Regression(regressors=names), panel, rows[-window:])
        least = self.least or self.window or len(names) + 2
        where = " in the last window" if self.window else ""
        few_rows = latest.n < least
        has_few_rows = latest.estimated & few_rows
        for i in np.flatnonzero(has_few_rows):
            latest.b[i] = np.nan
            latest.reason[i] = f"fewer than {least} rows{where}"
        if self.window is None:
            betas = latest.b[:, 1:]
            return latest, np.broadcast_to(betas, (len(rows), *betas.shape))
        y = panel.y[rows]
        use = panel.valid[rows]
        return latest, rolling_betas(F, y, use, self.window, least)

    def _inverse(
        self, panel: Panel, rows: np.ndarray, F: np.ndarray, latest: Estimates
    ) -> np.ndarray | None:
        """Inverse covariance of the residuals of pass 1 of the assets with betas; None for OLS.

        Raises:
            DataError: gls or gmm with a missing cell; gls with too few rows for the assets.
        """
        gls = self.cross_section == "gls"
        if not gls and self.cov != "gmm":
            return None
        is_known = np.isfinite(F)
        known = is_known.all(axis=1)
        known_rows = rows[known]
        valid = panel.valid[known_rows]
        cells = valid[:, latest.estimated]
        setting = "model.cov: given gmm"
        allowed = "shanken"
        if gls:
            setting = "model.cross_section: given gls"
            allowed = "ols"
        if not cells.all():
            lost = f"{int((~cells).sum())} of {cells.size} are missing"
            raise DataError(f"{setting}, which needs every cell; {lost}; allowed: {allowed}")
        if not gls:
            return None
        T, N = cells.shape
        fewest = N + F.shape[1] + 1
        if len(cells) < fewest:
            few = f"{T} rows for {N} assets"
            raise DataError(f"{setting}, with {few}; needs at least {fewest}")
        assets = np.flatnonzero(latest.estimated)
        y = panel.y[np.ix_(rows[known], assets)]
        alpha = latest.b[assets, 0]
        betas = latest.b[assets, 1:]
        e = y - alpha - F[known] @ betas.T
        return np.linalg.inv(e.T @ e / len(e))

    def _as_fit(self, passes: Passes, latest: Estimates, by_date: Estimates, panel: Panel) -> Fit:
        """Both passes as tables."""
        import pandas as pd

        from runner.models import fit as tables
        from runner.models.two_pass import tables as more
        from runner.models.two_pass.premia import errors_of

        terms = self.terms(panel.names)
        factors = terms[self.constant :]
        confidence = self.confidence
        dates = len(passes.path)
        lags = self._lags(dates)
        c = self._correction(passes)
        corrected = c if self.cov == "shanken" else 0.0
        errors = errors_of(passes, self.cov == "gmm", corrected, lags)
        mean = more.mean_of(passes, errors, terms)
        path = tables.coefficient_table(by_date, terms, confidence)
        premia = tables.coefficient_table(mean, terms, confidence)
        tested = tables.hypothesis_table(mean, self.hypotheses, terms, panel.horizon)
        joint = more.joint_test(errors, self.cov)
        findings = {
            "premia": more.premia(passes, errors, terms, lags, c),
            "pricing": more.pricing(passes, errors, c, panel.assets, confidence),
            "betas": more.betas(passes, latest, factors, panel, confidence),
        }
        coefficients = pd.concat([path, premia], ignore_index=True)
        quality = tables.quality_table(by_date, "")
        hypotheses = pd.concat([tested, joint], ignore_index=True)
        loadings = self._loadings(latest)
        params = loadings * mean.b[0]
        errors_in_words = self._errors_in_words(lags, c)
        return tables.Fit(
            coefficients,
            quality,
            hypotheses,
            params,
            errors_in_words,
            findings=findings,
            confidence=confidence,
        )

    def _loadings(self, latest: Estimates) -> np.ndarray:
        """(N, k) betas, after a column of ones for the constant; NaN where an asset has none."""
        loadings = latest.b.copy()
        loadings[:, 0] = 1.0
        loadings[~latest.estimated] = np.nan
        if self.constant:
            return loadings
        return loadings[:, 1:]

    def _lags(self, dates: int) -> int:
        """Lags of Newey-West over so many dates."""
        from runner.numerics.covariance import default_lags

        if self.cov_lags is None:
            return default_lags(dates, 0)
        if self.cov_lags >= dates:
            allowed = f"less than the {dates} cross-sections"
            raise DataError(f"model.cov_lags: given {self.cov_lags}; allowed: {allowed}")
        return self.cov_lags

    def _correction(self, passes: Passes) -> float:
        """Shanken's c: what estimated betas add, as a share.

        Of the variance of the premia that does not come from the factors.
        """
        from runner.models.two_pass.premia import correction

        premia = passes.path.mean(axis=0)[self.constant :]
        return passes.share * correction(premia, passes.F)

    def _errors_in_words(self, lags: int, c: float) -> str:
        """The covariance of the premia with its conventions."""
        if self.cov == "gmm":
            serial = f"Bartlett, {lags} lags" if lags else "no lags"
            return f"GMM of both passes as one system ({serial}, factor T/(T-K-1)), t(dates-1)"
        serial = (
            f"Newey-West over dates, {lags} lags"
            if lags
            else "from the standard deviation across dates, ddof 1"
        )
        if self.cov == "fama_macbeth":
            return f"Fama-MacBeth ({serial}), betas treated as known, t(dates-1)"
        correction = f"Shanken's (1992) correction, c = {number(c)}"
        return f"Fama-MacBeth ({serial}) with {correction}, t(dates-1)"
