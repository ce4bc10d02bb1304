"""Two-pass risk premia: betas of each asset over time, then by date the returns of all assets on
their betas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from runner.errors import DataError
from runner.models.model import Model
from runner.models.regression import Regression
from runner.schema.settings import Count, Rows, Share

if TYPE_CHECKING:
    from runner.estimators.estimation import Estimates
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
        found, rolling = [], self.betas == "rolling"
        if rolling and self.window is None:
            found.append("window: given null; allowed: a number of rows, with betas=rolling")
        if self.window is not None and not rolling:
            found.append(f"window: given {self.window}; allowed: with betas=rolling only")
        if rolling and self.window and self.least and self.least > self.window:
            found.append(f"least: given {self.least}; allowed: at most the window, {self.window}")
        if rolling and self.cross_section == "gls":
            found.append("cross_section: given gls; allowed: ols, with betas=rolling")
        if rolling and self.cov == "gmm":
            found.append("cov: given gmm; allowed: shanken, fama_macbeth, with betas=rolling")
        if found:
            raise ValueError("\n".join(found))

    def mistakes(self, features: Sequence[str]) -> list[str]:
        """What is wrong with these settings for these features, a line each."""
        found = Regression(regressors=self.regressors, hypotheses=self.hypotheses).mistakes(
            features
        )
        factors = len(self.terms(features)) - self.constant
        if not factors:
            found.append("regressors: none; allowed: at least one factor")
        for name, value in (("window", self.window), ("least", self.least)):
            if value is not None and value < factors + 2:
                found.append(
                    f"{name}: given {value}; allowed: at least {factors + 2}, for {_factors(factors)}"
                )
        return found

    def terms(self, features: Sequence[str]) -> list[str]:
        """Names (k,) of the premia: the constant first, then the factors."""
        factors = list(features) if self.regressors is None else self.regressors
        return ["const", *factors] if self.constant else factors

    def uses(self, features: Sequence[str]) -> list[str]:
        """Those among `regressors`, or all."""
        return [name for name in features if self.regressors is None or name in self.regressors]

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
        from runner.models.two_pass.premia import (
            Passes,
            cross_sections,
            overlap_share,
            shared_factors,
        )

        terms = self.terms(panel.names)
        names = terms[self.constant :]
        self._refuse(panel, rows, len(names))
        F = shared_factors(panel, rows, names)
        latest, betas = self._pass_1(panel, rows, F, names)
        refuse_nothing(latest)
        inverse = self._inverse(panel, rows, F, latest)
        fixed = self.window is None
        second, u = cross_sections(panel, rows, betas, terms, inverse, fixed)
        refuse_nothing(second)
        at = np.flatnonzero(second.estimated)
        if len(at) < len(names) + 2:
            few = f"{len(at)} cross-sections for {_factors(len(names))}"
            raise DataError(f"model: {few}; needs at least {len(names) + 2}")
        y = np.where(panel.valid, panel.y, np.nan)[rows[at]]
        share = 1.0 if self.window is None else overlap_share(at, self.window)
        passes = Passes(F[at], y, betas[at], fixed, second.b[at], u[at], share, inverse)
        return self._told(passes, latest, second, panel)

    def predict(self, fit: Fit, panel: Panel) -> np.ndarray:
        """Expected returns (T, N): the constant plus each beta times its premium, the same on every
        row.

        Betas and premia are of the rows fitted, with rolling betas those of the last window;
        factors of the rows forecast are not used, for nobody knows them in time. NaN where an asset
        has no betas.
        """
        return np.tile(fit.params.sum(axis=1), (len(panel.dates), 1))

    def _refuse(self, panel: Panel, rows: np.ndarray, factors: int) -> None:
        """Raise DataError where it is plain from the shape of the panel that there is no answer."""
        if panel.horizon:
            ahead = f"the target looks {panel.horizon} row{'s' * (panel.horizon > 1)} ahead"
            raise DataError(
                f"model: {ahead}; two passes explain a target of the same row as its factors"
            )
        if len(panel.assets) < factors + 2:
            few = (
                f"{len(panel.assets)} asset{'s' * (len(panel.assets) > 1)} for {_factors(factors)}"
            )
            raise DataError(f"model: {few}; a cross-section needs at least {factors + 2}")
        if self.window is not None and self.window >= len(rows):
            raise DataError(
                f"model.window: given {self.window}; allowed: less than the {len(rows)} rows fitted on"
            )

    def _pass_1(
        self, panel: Panel, rows: np.ndarray, F: np.ndarray, names: list[str]
    ) -> tuple[Estimates, np.ndarray]:
        """The betas that forecast, with their errors; and those of each row (R, N, K), NaN where
        there are none.
        """
        from runner.estimators.estimation import estimate
        from runner.models.two_pass.premia import rolling_betas

        latest = estimate(Regression(regressors=names), panel, rows[-(self.window or len(rows)) :])
        least = self.least or self.window or len(names) + 2
        for i in np.flatnonzero(latest.estimated & (latest.n < least)):
            latest.b[i], latest.reason[i] = (
                np.nan,
                f"fewer than {least} rows" + " in the last window" * bool(self.window),
            )
        if self.window is None:
            return latest, np.broadcast_to(latest.b[:, 1:], (len(rows), *latest.b[:, 1:].shape))
        return latest, rolling_betas(F, panel.y[rows], panel.valid[rows], self.window, least)

    def _inverse(
        self, panel: Panel, rows: np.ndarray, F: np.ndarray, first: Estimates
    ) -> np.ndarray | None:
        """Inverse covariance of the residuals of pass 1, over the assets that have betas; None for
        OLS.

        Raises:
            DataError: gls or gmm with a missing cell; gls with too few rows for the assets.
        """
        gls = self.cross_section == "gls"
        if not gls and self.cov != "gmm":
            return None
        known = np.isfinite(F).all(axis=1)
        cells, own = panel.valid[rows[known]][:, first.estimated], np.flatnonzero(first.estimated)
        where = "model.cross_section: given gls" if gls else "model.cov: given gmm"
        if not cells.all():
            lost = f"{int((~cells).sum())} of {cells.size} are missing"
            raise DataError(
                f"{where}, which needs every cell; {lost}; allowed: {'ols' if gls else 'shanken'}"
            )
        if not gls:
            return None
        if len(cells) < len(own) + F.shape[1] + 1:
            few = f"{len(cells)} rows for {len(own)} assets"
            raise DataError(f"{where}, with {few}; needs at least {len(own) + F.shape[1] + 1}")
        e = panel.y[np.ix_(rows[known], own)] - first.b[own, 0] - F[known] @ first.b[own, 1:].T
        return np.linalg.inv(e.T @ e / len(e))

    def _told(self, passes: Passes, latest: Estimates, second: Estimates, panel: Panel) -> Fit:
        """What was estimated, as tables."""
        import pandas as pd

        from runner.models import fit as tables
        from runner.models.two_pass import tables as more
        from runner.models.two_pass.premia import errors_of

        terms, level = self.terms(panel.names), self.confidence
        lags, c = self._lags(len(passes.path)), self._correction(passes)
        errors = errors_of(passes, self.cov == "gmm", c if self.cov == "shanken" else 0.0, lags)
        mean = more.mean_of(passes, errors, terms)
        path, premia = (tables.coefficient_table(one, terms, level) for one in (second, mean))
        tested = tables.hypothesis_table(mean, self.hypotheses, terms, panel.horizon)
        loadings = np.column_stack([np.ones(len(latest.b)), latest.b[:, 1:]])[
            :, not self.constant :
        ]
        loadings[~latest.estimated] = np.nan
        return tables.Fit(
            pd.concat([path, premia], ignore_index=True),
            tables.quality_table(second, ""),
            pd.concat([tested, more.joint_test(errors, self.cov)], ignore_index=True),
            loadings * mean.b[0],
            self._errors_in_words(lags, c),
            findings={
                "premia": more.premia(passes, errors, terms, lags, c),
                "pricing": more.pricing(passes, errors, c, panel.assets, level),
                "betas": more.betas(passes, latest, terms[self.constant :], panel, level),
            },
        )

    def _lags(self, dates: int) -> int:
        """Lags of Newey-West over so many dates."""
        from runner.numerics.covariance import default_lags

        if self.cov_lags is None:
            return default_lags(dates, 0)
        if self.cov_lags >= dates:
            raise DataError(
                f"model.cov_lags: given {self.cov_lags}; allowed: less than the {dates} cross-sections"
            )
        return self.cov_lags

    def _correction(self, passes: Passes) -> float:
        """Shanken's c: what estimated betas add to the variance that does not come from the
        factors, as a share.
        """
        from runner.models.two_pass.premia import correction

        return passes.share * correction(passes.path.mean(axis=0)[self.constant :], passes.F)

    def _errors_in_words(self, lags: int, c: float) -> str:
        """The covariance of the premia with its conventions."""
        if self.cov == "gmm":
            serial = f"Bartlett, {lags} lags" if lags else "no lags"
            return f"GMM of both passes as one system ({serial}, factor T/(T-K-1)), t(dates-1)"
        serial = f"Newey-West over dates, {lags} lags" if lags else "spread over dates, ddof 1"
        if self.cov == "fama_macbeth":
            return f"Fama-MacBeth ({serial}), betas taken as known, t(dates-1)"
        from runner.text import number

        return (
            f"Fama-MacBeth ({serial}) with Shanken's (1992) correction, c = {number(c)}, t(dates-1)"
        )


def _factors(n: int) -> str:
    return f"{n} factor{'s' * (n != 1)}"
