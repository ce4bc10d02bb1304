"""The jobs of a sweep as a regression table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from runner.record.rundir import RunDirectory
from runner.schema.regression_table import TableSettings
from runner.sinks.paper.digits import decimals_of, figure
from runner.sinks.paper.layout import regression_table
from runner.sinks.paper.runs import Run
from runner.sinks.paper.table import RegressionTable
from runner.sweeps.comparison.texts import value_texts
from runner.text import count

if TYPE_CHECKING:
    from runner.sweeps.comparison.ranked import Outcome, Ranked

# of all test rows of a job, in a column of one asset too
SCORES = {"oos/r2": "Out-of-sample R², pooled", "oos/rmse": "Out-of-sample RMSE, pooled"}
IN_SAMPLE = ("fit/r2", "fit/r2_adj", "fit/n_obs")  # rows that every table has
TOLD = ("model.cov", "model.clusters", "model.effects")  # keys that have rows of their own
LONGEST = 24  # characters of a choice
NO_QUALITY = pd.DataFrame(columns=["unit"])


def side_by_side(comparison: Ranked, settings: TableSettings, most: int) -> RegressionTable | None:
    """The table of the best jobs, by their number; None where they have no coefficients.

    A job is named by what it chose where one key differs; of several keys each has a row. Stars are
    of p-values adjusted for the tests of all jobs, those without a column too.

    Args:
        most: jobs that have a column.

    Raises:
        SpecError: settings that do not suit the jobs.
    """
    choices = _choices(comparison)
    best = sorted(comparison.ranked[:most], key=_number)
    scores = _scores(comparison, best)
    runs = []
    for outcome in best:
        chosen = choices[outcome.job.number]
        run = _run(outcome, chosen, _quality(comparison, outcome))
        runs.append(replace(run, feet=_feet(comparison, chosen, scores[outcome.job.number])))
    others = []
    for outcome in comparison.ranked[most:]:
        others.append(_run(outcome, choices[outcome.job.number], NO_QUALITY))
    ranked = len(comparison.ranked)
    jobs = count(ranked, "job")
    if others:
        jobs = f"the first {most} of {jobs} by {comparison.score or 'number'}"
    numbers = ", ".join(str(outcome.job.number) for outcome in best)
    source = f"sweep {comparison.plan.name}: {jobs}; the columns are jobs {numbers}"
    return regression_table(runs, settings, source, others)


def _number(outcome: Outcome) -> int:
    """The number of a job."""
    return outcome.job.number


def _choices(comparison: Ranked) -> dict[int, dict[str, str]]:
    """What each job chose of every key that differs, cut where it is long."""
    jobs = [outcome.job.number for outcome in comparison.ranked]
    chosen: dict[int, dict[str, str]] = {job: {} for job in jobs}
    for name in comparison.names:
        of_name = comparison.choices[name]
        texts = value_texts(of_name.loc[jobs], LONGEST)
        for job, text in zip(jobs, texts, strict=True):
            chosen[job][name] = text
    return chosen


def _scores(comparison: Ranked, outcomes: Sequence[Outcome]) -> dict[int, str]:
    """The score of each job with the same decimals; empty where its table has the score anyway."""
    values = {}
    for outcome in outcomes:
        score = comparison.score_of(outcome)
        values[outcome.job.number] = math.nan if score is None else score
    if comparison.score in IN_SAMPLE:
        return dict.fromkeys(values, "")
    decimals = 0
    if not comparison.score.endswith("n_obs"):
        decimals = decimals_of(values.values(), ())
    return {
        job: "" if math.isnan(value) else figure(value, decimals) for job, value in values.items()
    }


def _feet(comparison: Ranked, chosen: Mapping[str, str], score: str) -> dict[str, str]:
    """What a job chose, where several keys differ, and its score."""
    feet = {}
    if len(chosen) > 1:
        feet = {key: text for key, text in chosen.items() if comparison.names[key] not in TOLD}
    if score:
        feet[SCORES.get(comparison.score, comparison.score)] = score
    return feet


def _quality(comparison: Ranked, outcome: Outcome) -> pd.DataFrame:
    """The fit of each regression of a job; empty where it was not kept."""
    run = RunDirectory(comparison.plan.place(outcome.job))
    quality_file = run.path / "quality.csv"
    if not quality_file.exists():
        return NO_QUALITY
    return run.table("quality")


def _run(outcome: Outcome, chosen: Mapping[str, str], quality: pd.DataFrame) -> Run:
    """A job as its table needs it."""
    about = outcome.about
    texts = chosen.values()
    name = ", ".join(texts)
    return Run(
        name=name,
        heading=name if len(chosen) == 1 else "",
        coefficients=outcome.coefficients,
        quality=quality,
        metrics=outcome.metrics,
        model=outcome.job.spec.get("model") or {},
        errors=outcome.errors,
        horizon=int(about.get("horizon") or 0),
        target=str(about.get("target") or ""),
        doubts=about.get("doubts") or {},
    )
