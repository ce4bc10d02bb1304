"""What a run found, as tables: the one thing that every sink reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from runner.data.notices import Dropped
from runner.experiment.auditing.audit import Audit
from runner.models.fit import Fit, headline
from runner.models.pricing import GRS
from runner.models.study import Study
from runner.panels.finding import Finding
from runner.panels.panel import Panel
from runner.panels.rows import Rows
from runner.record.ledger import Count
from runner.trials.influence import Influence
from runner.validation.scores import BENCHMARK, logged

# Terms whose coefficient and t are metrics; all of them are in the coefficients table.
MOST_TERMS = 12


@dataclass(frozen=True)
class Report:
    """One run.

    Attributes:
        name: of the experiment.
        spec: the resolved spec, plain mappings.
        overrides: what the command line changed, as it was written.
        chosen: the option of each group, such as model: ols.
        source, fingerprint: the data in words, and the digest of its content.
        key: what makes it the same run.
        sample: digest of what the rows and the target are made of, whatever else is read.
        panel, fit: what was regressed and what was found on all rows.
        study: what the analyses were given.
        diagnostics: tests of the residuals, tidy.
        folds: fold, train_start, train_end, test_start, test_end, purged, embargoed, leaking,
            unusable, train_rows, test_rows, not_forecast, layout.
        predictions: date, asset, fold, path, y, prediction, benchmark; out of sample.
        scores: scope, unit, n_obs and the scores of the predictions.
        audit: of look-ahead, None where it was switched off.
        influence: of each date on the headline coefficients, and what their p-values rest on.
        findings: what the estimator and the analyses found, by name.
        started: when the run began, UTC.
        code: version of this package and of the checkout that it ran from.
        account: what the data hold, in a few sentences.
        trials: specs tried on this data and target up to this run, itself included; None where
            nobody counted.
    """

    name: str
    spec: Mapping[str, Any]
    overrides: tuple[str, ...]
    source: str
    fingerprint: str
    sample: str
    key: str
    panel: Panel
    fit: Fit
    study: Study
    diagnostics: pd.DataFrame
    folds: pd.DataFrame
    predictions: pd.DataFrame
    scores: pd.DataFrame
    findings: Mapping[str, Finding]
    audit: Audit | None
    influence: Influence
    started: datetime
    code: str
    account: tuple[str, ...] = ()
    trials: Count | None = None
    chosen: Mapping[str, str] = field(default_factory=dict)

    @property
    def fitted(self) -> np.ndarray:
        """(T, N) values of the fit on all rows, in the unit of panel.y; made when asked for."""
        return self.study.fitted

    @property
    def kind(self) -> str:
        """`predictive` where the target lies after the features, else `explanatory`.

        As the audit saw it; where it did not, by the horizon of the target.
        """
        looks_ahead = None if self.audit is None else self.audit.looks_ahead
        if looks_ahead is None:
            looks_ahead = self.panel.horizon > 0
        return "predictive" if looks_ahead else "explanatory"

    @property
    def trains_on_later_rows(self) -> bool:
        """Whether some fold trains on rows after its test rows, as k-fold does.

        Scores of such folds are no forecasts.
        """
        if not len(self.folds):
            return False
        return bool((self.folds["train_end"] > self.folds["test_start"]).any())

    @property
    def leaks(self) -> list[str]:
        """Why the run is tagged as leaking: columns that look ahead, folds purged too little."""
        leaks = list(self.audit.leaks) if self.audit else []
        leaking = self.folds["leaking"].sum() if "leaking" in self.folds else 0
        if leaking:
            leaks.append(
                f"{leaking} of {len(self.folds)} folds "
                "train on targets that reach into their test part"
            )
        return leaks

    @property
    def benchmark(self) -> str:
        """What the out-of-sample R2 is measured against."""
        return BENCHMARK

    @property
    def rows(self) -> Rows | None:
        """Which cells the model was fitted and judged on; None where it is not known."""
        return self.study.rows

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        return self.panel.dropped

    @property
    def skipped(self) -> dict[str, str]:
        """Units without estimates, with the reason."""
        quality = self.fit.quality[self.fit.quality["r2"].isna()]
        return dict(zip(quality["unit"], quality["reason"], strict=True))

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Flat finite numbers of the run, as they are logged.

        Coefficients and t (of the mean where there are several units), fit, out-of-sample scores
        over all, and of a hold-out beside other folds.
        """
        numbers = self._coefficients() | self._fit() | self._priced() | self._scores()
        for name, finding in self.findings.items():
            for key, value in finding.metrics.items():
                numbers[f"{name}/{key}"] = value
        return {name: float(value) for name, value in numbers.items() if np.isfinite(value)}

    def _coefficients(self) -> dict[str, float]:
        table = headline(self.fit.coefficients).head(MOST_TERMS)
        coefficients = {}
        t_stats = {}
        for term, estimate, t in zip(
            table["term"], table["estimate"], table["t_stat"], strict=True
        ):
            coefficients[f"coef/{term}"] = estimate
            t_stats[f"tstat/{term}"] = t
        return coefficients | t_stats

    def _fit(self) -> dict[str, float]:
        quality = self.fit.quality
        estimated = quality["r2"].notna()
        return {
            "fit/r2": quality["r2"].mean(),
            "fit/r2_adj": quality["r2_adj"].mean(),
            "fit/r2_uncentred": quality["r2_uncentred"].mean(),
            "fit/n_obs": quality.loc[estimated, "n_obs"].sum(),
            "fit/units": estimated.sum(),
            "fit/units_skipped": len(self.skipped),
            "panel/cells_dropped": self.panel.dropped_cells,
        }

    def _priced(self) -> dict[str, float]:
        """GRS: F of each test that every asset's constant is zero, and its p-value.

        The test over all is `hypothesis/grs_f`; of further ones the unit follows.
        """
        tests = self.fit.hypotheses
        rows = tests[tests["hypothesis"].astype(str).str.startswith(GRS)]
        metrics: dict[str, float] = {}
        for unit, f_stat, p_value in zip(
            rows["unit"], rows["f_stat"], rows["p_value"], strict=True
        ):
            further = f"/{unit}" if metrics else ""
            metrics[f"hypothesis/grs_f{further}"] = float(f_stat)
            metrics[f"hypothesis/grs_p{further}"] = float(p_value)
        return metrics

    def _scores(self) -> dict[str, float]:
        scores = logged(self.scores)
        if "oos/r2" not in scores:
            return scores
        return scores | {f"{self.kind}/r2": scores["oos/r2"]}
