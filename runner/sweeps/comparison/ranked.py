"""The finished jobs of a sweep in the order of their scores, with their coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from runner.models.fit import over_units
from runner.sweeps.plan import Job, Plan

COEFFICIENTS = ["estimate", "std_error", "t_stat", "p_value", "ci_low", "ci_high"]
MOST_UNITS = 12  # of a job; with more, only the mean over them is compared
# scores that training on later rows flatters
FORECAST = ("oos/", "common/", "predictive/", "explanatory/")


@dataclass(frozen=True)
class Outcome:
    """A finished job: what its run directory says.

    Attributes:
        coefficients: `judged` is the p-value, NaN where it rests on too few clusters for a verdict.
    """

    job: Job
    about: Mapping[str, Any]
    metrics: Mapping[str, float]
    coefficients: pd.DataFrame

    @property
    def errors(self) -> str:
        """How its standard errors were computed."""
        return str(self.about.get("errors") or "")

    @property
    def trains_on_later_rows(self) -> bool:
        """Whether training rows come after test rows, as in k-fold: its scores are no forecasts."""
        return bool(self.about.get("trains_on_later_rows"))

    @property
    def units(self) -> int:
        """Different units among its coefficients, a mean over units counted as one."""
        return self.coefficients["unit"].nunique()

    @cached_property
    def central(self) -> pd.DataFrame:
        """One row per term: the mean over units, or the only unit.

        No row where there are several units and no mean. `judged` is NaN too where the run says why
        its p-value supports no verdict, and of a mean over assets or groups.
        """
        table = self.coefficients
        is_mean = table["scope"] == "mean"
        rows = table[is_mean]
        if not len(rows):
            rows = table[:0] if self.units > 1 else table
        doubts = self.about.get("doubts") or {}
        doubted = [over_units(table) or bool(doubts.get(term)) for term in rows["term"]]
        return rows.assign(judged=rows["judged"].mask(np.array(doubted, dtype=bool)))


@dataclass(frozen=True)
class Ranked:
    """The jobs of a sweep, ranked by a score.

    Attributes:
        plan: what was asked for.
        names: the keys that differ between jobs, dotted, by their short names.
        choices: values of these keys, a row per job of the plan, finished or not.
        outcomes: of the finished jobs, by number.
        score: the metric that ranks, empty where no job has any that could; on the rows that all
            jobs forecast, `common/...`, where these differ.
        lower_is_better: of the score.
        fallback: why it is not the one asked for, empty where it is.
    """

    plan: Plan
    names: Mapping[str, str]
    choices: pd.DataFrame
    outcomes: tuple[Outcome, ...]
    score: str
    lower_is_better: bool
    fallback: str = ""

    @cached_property
    def ranked(self) -> tuple[Outcome, ...]:
        """The finished jobs, best first.

        Forecasts come first, then the cross-validated, then those without the score.
        """
        sign = 1.0 if self.lower_is_better else -1.0

        def order(outcome: Outcome) -> tuple[bool, bool, float, int]:
            score = self.score_of(outcome)
            unscored = score is None
            badness = 0.0 if score is None else sign * score
            return unscored, self.cross_validated(outcome), badness, outcome.job.number

        best_first = sorted(self.outcomes, key=order)
        return tuple(best_first)

    def cross_validated(self, outcome: Outcome) -> bool:
        """Whether the score of the job is no forecast: some training rows come after test rows."""
        return outcome.trains_on_later_rows and self.score.startswith(FORECAST)

    @cached_property
    def first_block(self) -> tuple[Outcome, ...]:
        """The ranked jobs that the best is the best of.

        They are all forecasts or, without any, all cross-validated ones.
        """
        block: list[Outcome] = []
        for outcome in self.ranked:
            if self.score_of(outcome) is None:
                continue
            best = block[0] if block else outcome
            if self.cross_validated(outcome) == self.cross_validated(best):
                block.append(outcome)
        return tuple(block)

    @cached_property
    def ranks(self) -> pd.Series:
        """Rank by job number.

        Equal scores of a block share a rank; the cross-validated go on after the forecasts.
        """
        numbers = [outcome.job.number for outcome in self.ranked]
        values = [self.score_of(outcome) for outcome in self.ranked]
        validated = [self.cross_validated(outcome) for outcome in self.ranked]
        scores = pd.Series(values, index=numbers, dtype="float64")
        later = pd.Series(validated, index=numbers, dtype=bool)
        blocks = scores.groupby(later)
        within_block = blocks.rank(method="min", ascending=self.lower_is_better)
        forecasts = scores[~later].count()
        ranks = within_block + later * int(forecasts)
        return ranks.astype("Int64")

    def score_of(self, outcome: Outcome) -> float | None:
        """What ranks the job: scores that differ by rounding only are equal."""
        value = outcome.metrics.get(self.score)
        if value is None:
            return None
        rounded = float(f"{value:.12g}")
        # an R2 is a difference from one, so that an R2 of zero has the rounding of one
        return round(rounded, 12) if self.ranks_by_r2 else rounded

    @property
    def ranks_by_r2(self) -> bool:
        """Whether the score is an R2."""
        return "r2" in self.score.rpartition("/")[2].split("_")

    @cached_property
    def coefficients(self) -> pd.DataFrame:
        """The coefficients that are compared, best job first.

        Columns: job, unit, term, estimate, std_error, t_stat, p_value, ci_low, ci_high, scope.
        """
        parts = []
        for outcome in self.ranked:
            table = outcome.central if self.only_means else outcome.coefficients
            part = table.assign(job=outcome.job.number)
            parts.append(part)
        columns = ["job", "unit", "term", *COEFFICIENTS, "scope"]
        return _stacked(parts, columns)

    @cached_property
    def only_means(self) -> bool:
        """Whether jobs have too many units to list each."""
        return any(outcome.units > MOST_UNITS for outcome in self.outcomes)

    @cached_property
    def central(self) -> pd.DataFrame:
        """As `coefficients`, one row per job and term: the mean over units, or the only unit."""
        parts = [outcome.central.assign(job=outcome.job.number) for outcome in self.ranked]
        columns = ["job", "term", *COEFFICIENTS, "judged"]
        return _stacked(parts, columns)

    def terms(self, jobs: Sequence[int] | None = None) -> list[str]:
        """Terms in the order of their first job, the constant last.

        Args:
            jobs: numbers of those whose terms are asked for; None: of all.
        """
        table = self.central
        if jobs is not None:
            of_jobs = table["job"].isin(jobs)
            table = table[of_jobs]
        distinct = table["term"].unique()
        names = distinct.tolist()
        if "const" in names:
            names.remove("const")
            names.append("const")
        return names

    @cached_property
    def failures(self) -> pd.DataFrame:
        """Every job without results.

        Columns: job, the keys that differ, outcome (failed, refused, or not run) and reason.
        """
        finished = {outcome.job.number for outcome in self.outcomes}
        rows = []
        for job in self.plan.jobs:
            if job.number in finished:
                continue
            row: dict[str, Any] = {"job": job.number}
            for name in self.names:
                row[name] = self.choices[name].loc[job.number]
            failure = self.plan.failure(job)
            if failure:
                row["outcome"] = failure.outcome
                row["reason"] = "; ".join(failure.mistakes)
            else:
                row["outcome"] = "not run"
                row["reason"] = ""
            rows.append(row)
        columns = ["job", *self.names, "outcome", "reason"]
        return pd.DataFrame(rows, columns=columns)


def _stacked(parts: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """These columns of the parts that have rows, one below the other."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return pd.DataFrame(columns=list(columns))
    stacked = pd.concat(filled, ignore_index=True)
    return stacked[list(columns)]
