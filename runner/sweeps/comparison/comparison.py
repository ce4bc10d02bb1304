"""The finished jobs of a sweep beside each other: ranks, coefficients, what depends on a choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from runner.errors import SpecError, listed, unknown
from runner.estimators.few_clusters import for_a_verdict
from runner.experiment.settings import table_settings
from runner.record.rundir import RunDirectory
from runner.schema.regression_table import TableSettings
from runner.sinks.paper.table import RegressionTable
from runner.sweeps.comparison.by_unit import ByUnit, by_unit
from runner.sweeps.comparison.caveats import best, caveats
from runner.sweeps.comparison.choices import choices, flattened
from runner.sweeps.comparison.common import COMMON, OWN, differ, on_common_rows
from runner.sweeps.comparison.leaderboard import leaderboard
from runner.sweeps.comparison.ranked import COEFFICIENTS, Outcome, Ranked
from runner.sweeps.comparison.side_by_side import side_by_side
from runner.sweeps.plan import Job, Plan

# what ranks where no job has the score that was asked for
INSTEAD = ("oos/r2", "fit/r2_adj", "fit/r2")
SMALL_IS_GOOD = ("rmse", "mae", "mape", "qlike", "aic", "bic", "p_value", "log_loss", "brier")
ESTIMATES = ("coef/", "tstat/")  # metrics that are no scores
MOST_BESIDE = 8  # jobs in the table side by side
MOST_CURVES = 4  # terms with a specification curve
MOST_PARAMS = 8  # settings with a column of their own in MLflow


@dataclass(frozen=True)
class Comparison(Ranked):
    """The jobs of a sweep beside each other: their tables, and what one must know of them."""

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """The finished jobs, best first, with their ranks, choices and scores."""
        return leaderboard(self)

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec of the first job; empty without jobs."""
        return self.plan.jobs[0].spec if self.plan.jobs else {}

    def regression_table(
        self, settings: TableSettings | None = None, most: int = MOST_BESIDE
    ) -> RegressionTable | None:
        """The best jobs as a regression table, by their number; None without coefficients.

        Args:
            settings: how it is laid out; None: as the spec of the jobs says.
            most: jobs that it has.

        Raises:
            SpecError: settings that do not suit the jobs.
        """
        if settings is None:
            settings = table_settings(self.spec)
        return side_by_side(self, settings, most)

    def side_by_side(self) -> pd.DataFrame:
        """The regression table as texts: labels in the first column, then a column per job."""
        table = self.regression_table()
        return pd.DataFrame({"": []}) if table is None else table.frame()

    def by_unit(self, term: str | None = None) -> ByUnit | None:
        """A term of each asset or group under each job; None where jobs have no such units.

        Args:
            term: None takes the constant where jobs explain, else the first regressor.
        """
        return by_unit(self, term)

    def curve_terms(self, term: str | None = None) -> list[str]:
        """The terms of specification curves: the one asked for, or the first of those tested.

        Raises:
            SpecError: no finished job has the term.
        """
        names = self.terms()
        if term is not None:
            if term not in names:
                stranger = unknown(term, names)
                raise SpecError(f"term: {stranger}")
            return [term]
        asked = self.plan.settings.tests
        if asked is None:
            tested = [name for name in names if name != "const"]
        else:
            tested = [name for name in names if name in asked]
        jobs_with = self.central["term"].value_counts()
        tested.sort(key=lambda name: -int(jobs_with[name]))
        return tested[:MOST_CURVES]

    def specification_curve(self, term: str) -> pd.DataFrame:
        """Estimates of a term over the jobs that have it, by estimate.

        Columns: job, estimate, ci_low, ci_high, p_value, judged and the choices.

        Raises:
            SpecError: no finished job has the term.
        """
        [term] = self.curve_terms(term)
        of_term = self.central["term"] == term
        estimated = self.central["estimate"].notna()
        columns = ["job", "estimate", "ci_low", "ci_high", "p_value", "judged"]
        estimates = self.central.loc[of_term & estimated, columns]
        estimates = estimates.sort_values(["estimate", "job"], kind="stable")
        curve = estimates.join(self.choices, on="job")
        return curve.reset_index(drop=True)

    def heat_map(self, down: str, across: str, score: str | None = None) -> pd.DataFrame:
        """The score by the values of two keys: the mean over the jobs of a cell.

        NaN where no job of a cell has the score.

        Raises:
            SpecError: a key that does not differ, or a score that no job has.
        """
        rows = self.key(down)
        columns = self.key(across)
        if rows == columns:
            raise SpecError(f"heat: given {rows!r} twice; allowed: two of {listed(self.names)}")
        metric = self.score if score is None else checked_score(score, self.outcomes)
        by_job = {outcome.job.number: outcome.metrics.get(metric) for outcome in self.outcomes}
        scores = pd.Series(by_job, dtype="float64")
        axes = [rows, columns]
        settings = self.choices[axes]
        jobs = settings.assign(score=scores)
        means = jobs.pivot_table(
            index=rows, columns=columns, values="score", aggfunc="mean", sort=False
        )
        row_values = ordered(self.choices[rows])
        column_values = ordered(self.choices[columns])
        table = means.reindex(index=row_values, columns=column_values)
        return table.rename_axis(index=rows, columns=columns)

    def key(self, name: str) -> str:
        """The short name of a key, given so or dotted.

        Raises:
            SpecError: it does not differ between jobs.
        """
        if name in self.names:
            return name
        for short, key in self.names.items():
            if key == name:
                return short
        raise SpecError(f"heat: key {unknown(name, self.names)}")

    @cached_property
    def caveats(self) -> list[str]:
        """What one must know before comparing, a sentence each."""
        return caveats(self)

    @property
    def words(self) -> list[str]:
        """Which job is best, and what one must know before comparing."""
        return [*best(self), *self.caveats]

    @property
    def metrics(self) -> dict[str, float]:
        """Flat numbers of the sweep as a whole."""
        outcomes = self.failures["outcome"].value_counts()
        metrics = {
            "sweep/jobs": float(len(self.plan.jobs)),
            "sweep/finished": float(len(self.outcomes)),
            "sweep/failed": float(outcomes.get("failed", 0)),
            "sweep/refused": float(outcomes.get("refused", 0)),
        }
        if self.first_block:
            best = self.first_block[0]
            metrics[f"best/{self.score}"] = best.metrics[self.score]
        return metrics

    @property
    def params(self) -> list[str]:
        """Settings that differ, dotted, as the parameters of runs are named."""
        known: set[str] = set()
        for job in self.plan.jobs:
            settings = flattened(job.spec)
            known.update(settings)
            known.update(job.chosen)
        differing = [key for key in self.names.values() if key in known]
        return differing[:MOST_PARAMS]


def compared(plan: Plan, score: str | None = None) -> Comparison:
    """Read every finished job of the plan; ranked by this score, or by that of the sweep.

    Raises:
        SpecError: no finished job has the score that was asked for here.
        DataError: a run directory that was finished lacks a file.
    """
    finished = [job for job in plan.jobs if plan.done(job)]
    outcomes = tuple(_outcome(plan, job) for job in finished)
    fallback = ""
    if score is None:
        metric, fallback = _ranking(plan, outcomes)
    else:
        metric = checked_score(score, outcomes)
    lower = lower_is_better(plan, metric)
    outcomes = _on_common_rows(plan, outcomes, metric)
    common = _common(metric)
    if any(common in outcome.metrics for outcome in outcomes):
        metric = common
    taken = {"rank", "job", "term", "score", "outcome", "reason", "leaking", *COEFFICIENTS}
    names, table = choices(plan.jobs, taken)
    return Comparison(plan, names, table, outcomes, metric, lower, fallback)


def _common(score: str) -> str:
    """The name of a score out of sample on the rows that all jobs forecast.

    Of another score the empty name, which no job has.
    """
    if not score.startswith(OWN):
        return ""
    name = score.removeprefix(OWN)
    return COMMON + name


def _on_common_rows(plan: Plan, outcomes: tuple[Outcome, ...], score: str) -> tuple[Outcome, ...]:
    """The outcomes with scores on the rows that all jobs forecast.

    They are as they were where jobs forecast the same rows, or have different targets.
    """
    families = {outcome.job.family for outcome in outcomes}
    if not _common(score) or len(families) > 1:
        return outcomes
    if not differ(outcome.metrics for outcome in outcomes):
        return outcomes
    runs = [RunDirectory(plan.place(outcome.job)) for outcome in outcomes]
    name = score.removeprefix(OWN)
    scores = on_common_rows(runs, name)
    scored = []
    for outcome, common in zip(outcomes, scores, strict=True):
        metrics = {**outcome.metrics, **common}
        with_metrics = replace(outcome, metrics=metrics)
        scored.append(with_metrics)
    return tuple(scored)


def checked_score(score: str, outcomes: Iterable[Outcome]) -> str:
    """The score, which some job must have.

    Raises:
        SpecError: none has.
    """
    metrics = _metrics(outcomes)
    if score not in metrics:
        allowed = _scores(metrics)
        stranger = unknown(score, allowed)
        raise SpecError(f"score: {stranger}")
    return score


def _metrics(outcomes: Iterable[Outcome]) -> list[str]:
    """Names of the metrics that some job has, in the order of the jobs."""
    names: dict[str, None] = {}
    for outcome in outcomes:
        names |= dict.fromkeys(outcome.metrics)
    return list(names)


def _scores(metrics: Iterable[str]) -> list[str]:
    """The metrics that can rank jobs: no estimates."""
    return [name for name in metrics if not name.startswith(ESTIMATES)]


def lower_is_better(plan: Plan, score: str) -> bool:
    """As the sweep says of its own score; of another by its name."""
    if score == plan.settings.score:
        return plan.settings.lower_is_better
    model_score = score.removesuffix("_naive")
    return model_score.endswith(SMALL_IS_GOOD)


def ordered(column: pd.Series) -> list[Any]:
    """Different values: numbers by size, then texts as they first came."""
    distinct = column.tolist()
    values = dict.fromkeys(distinct)
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if not isinstance(value, str)]
    return sorted(numbers) + texts


def _outcome(plan: Plan, job: Job) -> Outcome:
    """What the directory of a finished job says."""
    place = plan.place(job)
    run = RunDirectory(place)
    coefficients = run.table("coefficients")
    judged = coefficients["p_value"]
    if run.about.get("few_clusters") or run.about.get("doubt"):
        judged = for_a_verdict(coefficients, run.table("quality"))
    return Outcome(job, run.about, run.metrics, coefficients.assign(judged=judged))


def _ranking(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """The score of the sweep, or the first that some job has instead, and why."""
    asked = plan.settings.score
    metrics = _metrics(outcomes)
    if asked in metrics or not outcomes:
        return asked, ""
    score = next((name for name in INSTEAD if name in metrics), "")
    used = f"ranked by {score} instead" if score else "not ranked"
    others = listed(_scores(metrics))
    reason = f"No job has the score {asked}: {used}; there are {others}."
    return score, reason
