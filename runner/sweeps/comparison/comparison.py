"""What the finished jobs of a sweep say beside each other: ranks, coefficients, and what depends
on which choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from runner.errors import SpecError, listed, unknown
from runner.record.rundir import RunDirectory
from runner.sweeps.comparison.caveats import caveats
from runner.sweeps.comparison.choices import choices, flattened
from runner.sweeps.comparison.common import COMMON, OWN, differ, on_common_rows
from runner.sweeps.comparison.texts import value_text
from runner.sweeps.plan import Job, Plan
from runner.text import number, stars

STANDARD = (
    "oos/r2",
    "oos/rmse",
    "fit/r2",
    "fit/n_obs",
)  # columns of every leaderboard that has them
ON_COMMON_ROWS = (
    "oos/n_obs",
    "common/r2",
    "common/rmse",
    "common/n_obs",
)  # where jobs forecast different rows
INSTEAD = (
    "oos/r2",
    "fit/r2_adj",
    "fit/r2",
)  # what ranks where no job has the score that was asked for
SMALL_IS_GOOD = ("rmse", "mae", "mape", "qlike", "aic", "bic", "p_value", "log_loss", "brier")
COEFFICIENTS = ["estimate", "std_error", "t_stat", "p_value", "ci_low", "ci_high"]
ESTIMATES = ("coef/", "tstat/")  # metrics that are no scores
MOST_UNITS = 12  # of a job; with more, only the mean over them is compared
MOST_BESIDE = 8  # jobs in the table side by side
MOST_CURVES = 4  # terms with a specification curve
MOST_PARAMS = 8  # settings with a column of their own in MLflow
FORECAST = (
    "oos/",
    "common/",
    "predictive/",
    "explanatory/",
)  # scores that training on later rows flatters
LEAKING, TRAINED_ON = REMARKS = (
    "leaking",
    "trained on",
)  # columns of a leaderboard with jobs that need a remark


@dataclass(frozen=True)
class Outcome:
    """A finished job: what its run directory says."""

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
        """Whether its training rows include rows after its test rows, as in k-fold: its scores are
        no forecasts.
        """
        return bool(self.about.get("trains_on_later_rows"))

    @cached_property
    def central(self) -> pd.DataFrame:
        """One row per term: the mean over units, or the only unit; none where there are several
        units and no mean.
        """
        table = self.coefficients
        means = table[table["scope"] == "mean"]
        return means if len(means) else table[:0] if table["unit"].nunique() > 1 else table


@dataclass(frozen=True)
class Comparison:
    """The jobs of a sweep beside each other.

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
        """The finished jobs, best first: forecasts, then the cross-validated, then those without
        the score.
        """
        sign = 1.0 if self.lower_is_better else -1.0

        def place(one: Outcome) -> tuple[bool, bool, float, int]:
            value = self.score_of(one)
            distance = 0.0 if value is None else sign * value
            return value is None, self.cross_validated(one), distance, one.job.number

        return tuple(sorted(self.outcomes, key=place))

    def cross_validated(self, one: Outcome) -> bool:
        """Whether the score of the job is no forecast, since it was trained on rows after those it
        was tested on.
        """
        return one.trains_on_later_rows and self.score.startswith(FORECAST)

    @cached_property
    def first_block(self) -> tuple[Outcome, ...]:
        """The ranked jobs that the best is the best of: all forecasts, or, without any, all
        cross-validated ones.
        """
        scored = [one for one in self.ranked if self.score_of(one) is not None]
        return tuple(
            one for one in scored if self.cross_validated(one) == self.cross_validated(scored[0])
        )

    @cached_property
    def ranks(self) -> pd.Series:
        """Rank by job number: equal scores of a block share one, the cross-validated go on after
        the forecasts.
        """
        numbers = [one.job.number for one in self.ranked]
        scores = pd.Series(
            [self.score_of(one) for one in self.ranked], index=numbers, dtype="float64"
        )
        later = pd.Series(
            [self.cross_validated(one) for one in self.ranked], index=numbers, dtype=bool
        )
        within = scores.groupby(later).rank(method="min", ascending=self.lower_is_better)
        before = int(scores[~later].notna().sum())
        return (within + later * before).astype("Int64")

    def score_of(self, one: Outcome) -> float | None:
        """What ranks the job: scores that differ by rounding only are equal."""
        value = one.metrics.get(self.score)
        return None if value is None else float(f"{value:.12g}")

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """rank (equal scores share one; none without the score), job, the score, the keys that
        differ, the naive baseline and the standard metrics that some job has; leaking, and what was
        trained on, where some job is or trains on rows after its test rows."""
        present = {name for one in self.outcomes for name in one.metrics}
        own = self.score.replace(COMMON, OWN, 1)
        names = (self.score, f"{self.score}_naive", own, *STANDARD, *ON_COMMON_ROWS)
        wanted = dict.fromkeys(name for name in names if name in present)
        if f"{COMMON}n_obs" not in present:
            wanted.pop(f"{OWN}n_obs", None)
        numbers = [one.job.number for one in self.ranked]
        table = pd.DataFrame({"job": pd.Series(numbers, dtype="int64")})
        first = [self.score] if self.score in wanted else []
        for name in dict.fromkeys([*first, *self.names, *wanted]):
            if name in wanted:
                table[name] = pd.Series(
                    [one.metrics.get(name) for one in self.ranked], dtype="float64"
                )
            else:
                table[name] = self.choices[name].loc[numbers].to_numpy()
        if any(one.about.get("leaks") for one in self.ranked):
            table[LEAKING] = ["yes" if one.about.get("leaks") else "" for one in self.ranked]
        if any(self.cross_validated(one) for one in self.ranked):
            rows = {False: "earlier rows", True: "later rows too"}
            table[TRAINED_ON] = [rows[self.cross_validated(one)] for one in self.ranked]
        table.insert(0, "rank", self.ranks.array)
        return table

    @cached_property
    def coefficients(self) -> pd.DataFrame:
        """job, unit, term, estimate, std_error, t_stat, p_value, ci_low, ci_high, scope; best job
        first.
        """
        parts = [one.central if self.only_means else one.coefficients for one in self.ranked]
        pairs = zip(self.ranked, parts, strict=True)
        numbered = [part.assign(job=one.job.number) for one, part in pairs if len(part)]
        columns = ["job", "unit", "term", *COEFFICIENTS, "scope"]
        return (
            pd.concat(numbered, ignore_index=True)[columns]
            if numbered
            else pd.DataFrame(columns=columns)
        )

    @cached_property
    def only_means(self) -> bool:
        """Whether jobs have too many units to list each."""
        return any(one.coefficients["unit"].nunique() > MOST_UNITS for one in self.outcomes)

    @cached_property
    def central(self) -> pd.DataFrame:
        """As `coefficients`, one row per job and term: the mean over units, or the only unit."""
        parts = [one.central.assign(job=one.job.number) for one in self.ranked if len(one.central)]
        columns = ["job", "term", *COEFFICIENTS]
        return (
            pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
        )

    def side_by_side(self, most: int = MOST_BESIDE) -> pd.DataFrame:
        """A table as in a paper: a column per job, best first, at most so many; estimates with
        stars above their errors in brackets; below them the keys that differ, the score, R2, rows,
        and how errors were computed."""
        table = {f"job {one.job.number}": self._column(one) for one in self.ranked[:most]}
        labels = [
            ("term", term) for term in self._terms([one.job.number for one in self.ranked[:most]])
        ]
        feet = [("key", name) for name in self.names]
        feet += [("foot", name) for name in (self.score, "fit/r2", "fit/n_obs", "errors") if name]
        rows = [(kind, name, part) for kind, name in labels for part in ("", "error")]
        rows += [(kind, name, "") for kind, name in dict.fromkeys(feet)]
        shown = [row for row in rows if any(column.get(row) for column in table.values())]
        found = pd.DataFrame(
            {"": [FEET.get(name, name) if not part else "" for _, name, part in shown]}
            | {job: [column.get(row, "") for row in shown] for job, column in table.items()}
        )
        found.attrs["terms"] = sum(kind == "term" for kind, *_ in shown)  # rows above the foot
        return found

    def _column(self, one: Outcome) -> dict[tuple[str, str, str], str]:
        """The cells of a job by their kind, name and part."""
        cells: dict[tuple[str, str, str], str] = {}
        for row in one.central.to_dict("records"):
            cells["term", row["term"], ""] = number(row["estimate"]) + stars(row["p_value"])
            if row["std_error"] == row["std_error"]:
                cells["term", row["term"], "error"] = f"({number(row['std_error'], 3)})"
        for name in self.names:
            cells["key", name, ""] = value_text(self.choices[name].loc[one.job.number])
        for name in (self.score, "fit/r2", "fit/n_obs"):
            if name in one.metrics:
                counted = name.endswith("n_obs")
                cells["foot", name, ""] = (
                    f"{one.metrics[name]:,.0f}" if counted else number(one.metrics[name])
                )
        cells["foot", "errors", ""] = re.split("[,;(]", one.errors)[0].strip()
        return cells

    def errors_in_full(self, most: int = MOST_BESIDE) -> list[str]:
        """How the errors of the jobs side by side were computed, a sentence for each way."""
        jobs: dict[str, list[str]] = {}
        for one in self.ranked[:most]:
            jobs.setdefault(one.errors, []).append(str(one.job.number))
        who = {
            text: f"job{'s' * (len(numbers) > 1)} {', '.join(numbers)}"
            for text, numbers in jobs.items()
        }
        return [f"Errors of {who[text]}: {text}." for text in jobs if text]

    def _terms(self, jobs: Sequence[int] | None = None) -> list[str]:
        """Terms in the order of their first job, the constant last."""
        rows = self.central if jobs is None else self.central[self.central["job"].isin(jobs)]
        every = list(dict.fromkeys(rows["term"]))
        return [term for term in every if term != "const"] + [
            term for term in every if term == "const"
        ]

    def curve_terms(self, term: str | None = None) -> list[str]:
        """The terms that specification curves are drawn of: the one asked for, or the first of
        those tested.

        Raises:
            SpecError: no finished job has the term.
        """
        every = self._terms()
        if term is not None:
            if term not in every:
                raise SpecError(f"term: {unknown(term, every)}")
            return [term]
        asked = self.plan.settings.tests
        tested = [
            name for name in every if (name in asked if asked is not None else name != "const")
        ]
        often = self.central["term"].value_counts()
        return sorted(tested, key=lambda name: -int(often[name]))[:MOST_CURVES]

    def specification_curve(self, term: str) -> pd.DataFrame:
        """job, estimate, ci_low, ci_high, p_value and the choices of every job that has the term,
        by estimate.

        Raises:
            SpecError: no finished job has the term.
        """
        [term] = self.curve_terms(term)
        rows = self.central[(self.central["term"] == term) & self.central["estimate"].notna()]
        rows = rows.sort_values(["estimate", "job"], kind="stable")
        rows = rows[["job", "estimate", "ci_low", "ci_high", "p_value"]]
        return rows.join(self.choices, on="job").reset_index(drop=True)

    def heat_map(self, down: str, across: str, score: str | None = None) -> pd.DataFrame:
        """The score by the values of two keys: the mean over the jobs of a cell, NaN where none has
        the score.

        Raises:
            SpecError: a key that does not differ, or a score that no job has.
        """
        rows, columns = self.key(down), self.key(across)
        if rows == columns:
            raise SpecError(f"heat: given {rows!r} twice; allowed: two of {listed(self.names)}")
        chosen = self.score if score is None else checked_score(score, self.outcomes)
        cells = self.choices[[rows, columns]].assign(
            score=pd.Series(
                {one.job.number: one.metrics.get(chosen) for one in self.outcomes}, dtype="float64"
            )
        )
        table = cells.pivot_table(
            index=rows, columns=columns, values="score", aggfunc="mean", sort=False
        )
        wanted = {"index": ordered(self.choices[rows]), "columns": ordered(self.choices[columns])}
        return table.reindex(**wanted).rename_axis(index=rows, columns=columns)

    def key(self, name: str) -> str:
        """The short name of a key, given so or dotted.

        Raises:
            SpecError: it does not differ between jobs.
        """
        by_key = {key: short for short, key in self.names.items()}
        if name not in self.names and name not in by_key:
            raise SpecError(f"heat: key {unknown(name, self.names)}")
        return name if name in self.names else by_key[name]

    @cached_property
    def failures(self) -> pd.DataFrame:
        """job, the keys that differ, outcome (failed, or not run) and reason, of every job without
        results.
        """
        finished = {one.job.number for one in self.outcomes}
        rows = []
        for job in self.plan.jobs:
            if job.number not in finished:
                why = self.plan.failure(job)
                told = "; ".join(why.mistakes) if why else ""
                kept = {name: self.choices[name].loc[job.number] for name in self.names}
                rows.append(
                    {
                        "job": job.number,
                        **kept,
                        "outcome": "failed" if why else "not run",
                        "reason": told,
                    }
                )
        return pd.DataFrame(rows, columns=["job", *self.names, "outcome", "reason"])

    @cached_property
    def words(self) -> list[str]:
        """What one must know before comparing, a sentence each."""
        return caveats(self)

    @property
    def metrics(self) -> dict[str, float]:
        """Flat numbers of the sweep as a whole."""
        failed = int((self.failures["outcome"] == "failed").sum())
        counts = {
            "sweep/jobs": float(len(self.plan.jobs)),
            "sweep/finished": float(len(self.outcomes)),
        }
        best = {f"best/{self.score}": one.metrics[self.score] for one in self.first_block[:1]}
        return counts | {"sweep/failed": float(failed)} | best

    @property
    def params(self) -> list[str]:
        """Settings that differ, dotted, as the parameters of runs are named."""
        known = {name for job in self.plan.jobs for name in (*flattened(job.spec), *job.chosen)}
        return [key for key in self.names.values() if key in known][:MOST_PARAMS]


FEET = {"fit/r2": "R2 in sample", "fit/n_obs": "rows fitted on"}


def compared(plan: Plan, score: str | None = None) -> Comparison:
    """Read every finished job of the plan; ranked by this score, or by that of the sweep.

    Raises:
        SpecError: no finished job has the score that was asked for here.
        DataError: a run directory that was finished lacks a file.
    """
    outcomes = tuple(_outcome(plan, job) for job in plan.jobs if plan.done(job))
    fallback = ""
    if score is not None:
        chosen, lower = checked_score(score, outcomes), lower_is_better(plan, score)
    else:
        chosen, fallback = _ranking(plan, outcomes)
        lower = lower_is_better(plan, chosen)
    outcomes = _on_common_rows(plan, outcomes, chosen)
    if any(_common(chosen) in one.metrics for one in outcomes):
        chosen = _common(chosen)
    taken = {"rank", "job", "term", "score", "outcome", "reason", "leaking", *COEFFICIENTS}
    names, table = choices(plan.jobs, taken)
    return Comparison(plan, names, table, outcomes, chosen, lower, fallback)


def _common(score: str) -> str:
    """The name of a score out of sample on the rows that all jobs forecast; of another, no name
    that any job has.
    """
    return COMMON + score.removeprefix(OWN) if score.startswith(OWN) else ""


def _on_common_rows(plan: Plan, outcomes: tuple[Outcome, ...], score: str) -> tuple[Outcome, ...]:
    """The same with scores on the rows that all jobs forecast, where those rows differ and the
    target does not.
    """
    if not _common(score) or len({one.job.family for one in outcomes}) > 1:
        return outcomes
    if not differ(one.metrics for one in outcomes):
        return outcomes
    found = on_common_rows(
        [RunDirectory(plan.place(one.job)) for one in outcomes], score.removeprefix(OWN)
    )
    pairs = zip(outcomes, found, strict=True)
    return tuple(replace(one, metrics={**one.metrics, **more}) for one, more in pairs)


def checked_score(score: str, outcomes: Iterable[Outcome]) -> str:
    """The score, which some job must have.

    Raises:
        SpecError: none has.
    """
    every = dict.fromkeys(name for one in outcomes for name in one.metrics)
    if score not in every:
        named = [name for name in every if not name.startswith(ESTIMATES)]
        raise SpecError(f"score: {unknown(score, named)}")
    return score


def lower_is_better(plan: Plan, score: str) -> bool:
    """As the sweep says of its own score; of another by its name."""
    if score == plan.settings.score:
        return plan.settings.lower_is_better
    return score.removesuffix("_naive").endswith(SMALL_IS_GOOD)


def ordered(column: pd.Series) -> list[Any]:
    """Different values: numbers by size, then texts as they first came."""
    values = list(dict.fromkeys(column.tolist()))
    numbers = sorted(value for value in values if not isinstance(value, str))
    return [*numbers, *(value for value in values if isinstance(value, str))]


def _outcome(plan: Plan, job: Job) -> Outcome:
    written = RunDirectory(plan.place(job))
    return Outcome(job, written.about, written.metrics, written.table("coefficients"))


def _ranking(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """The score of the sweep, or the first that some job has instead, and why."""
    asked = plan.settings.score
    every = dict.fromkeys(name for one in outcomes for name in one.metrics)
    if asked in every or not outcomes:
        return asked, ""
    found = next((name for name in INSTEAD if name in every), "")
    used = f"ranked by {found} instead" if found else "not ranked"
    scores = [name for name in every if not name.startswith(ESTIMATES)]
    return found, f"No job has the score {asked}: {used}; there are {listed(scores)}."
