"""What a regression of every unit of a panel gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from runner.panels.finding import Finding
from runner.panels.units import Unit


@dataclass(frozen=True)
class Estimates:
    """What was estimated of U units with k terms; NaN where there is nothing, with the reason.

    The arrays are filled unit by unit while the units are estimated, and not after that.

    Attributes:
        units: the U units.
        b: (U, k) estimates; V: (U, k, k) their covariance; df: (U,) degrees of freedom of its t.
        n, ssr, tss: (U,) rows, sums of squares of the residuals and of the target.
        f_stat, f_p: (U,) test that every slope is zero, under V.
        lags: (U,) lags of V, NaN where it has none.
        zeroed: (U,) negative eigenvalues of V that were set to zero, see
            `runner.estimators.clusters.positive`.
        clusters: of each unit, how many clusters V rests on, of each way of clustering.
        reason: why a unit lacks estimates or errors, else empty.
        absorbed: (U,) fixed effects that take degrees of freedom; tss_within: (U,) tss beside them,
            None without.
        asset_effects, date_effects, label_effects: as in `runner.models.fit.Fit`.
        likelihood: (U,) log-likelihood, None where it is that of normal errors; weight_term: (U,)
            what the weights of the rows add to that.
        tss_mean: (U,) sums of squares of the target about its mean where `tss` is about zero, as it
            is without a constant; None where `tss` is about the mean.
        findings: what the estimator has to tell beyond these.
    """

    units: list[Unit]
    b: np.ndarray
    V: np.ndarray
    df: np.ndarray
    n: np.ndarray
    ssr: np.ndarray
    tss: np.ndarray
    f_stat: np.ndarray
    f_p: np.ndarray
    lags: np.ndarray
    zeroed: np.ndarray
    clusters: list[tuple[int, ...]] = field(default_factory=list)
    reason: list[str] = field(default_factory=list)
    absorbed: np.ndarray = field(default_factory=lambda: np.zeros(1))
    tss_within: np.ndarray = field(default_factory=lambda: np.full(1, np.nan))
    asset_effects: np.ndarray | None = None
    date_effects: np.ndarray | None = None
    label_effects: dict[str, np.ndarray] = field(default_factory=dict)
    likelihood: np.ndarray | None = None
    weight_term: np.ndarray = field(default_factory=lambda: np.zeros(1))
    tss_mean: np.ndarray | None = None
    findings: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def estimated(self) -> np.ndarray:
        """(U,) whether a unit has estimates."""
        return np.isfinite(self.b).all(axis=1)

    def without_estimates(self, u: int, reason: str) -> None:
        """Unit u has no estimates, for this reason; those that it had are taken back."""
        self.reason[u] = reason
        self.b[u] = np.nan
        self.ssr[u] = np.nan
        self.f_stat[u] = np.nan
        self.f_p[u] = np.nan


def nothing(group: list[Unit], k: int) -> Estimates:
    """No estimates of any unit yet."""
    U = len(group)
    unknown = np.full(U, np.nan)
    return Estimates(
        units=group,
        b=np.full((U, k), np.nan),
        V=np.full((U, k, k), np.nan),
        df=unknown.copy(),
        n=unknown.copy(),
        ssr=unknown.copy(),
        tss=unknown.copy(),
        f_stat=unknown.copy(),
        f_p=unknown.copy(),
        lags=unknown.copy(),
        zeroed=np.zeros(U, dtype=int),
        clusters=[()] * U,
        reason=[""] * U,
        weight_term=np.zeros(U),
    )
