"""One term of every asset or group under every job: units in rows, jobs in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from runner.estimators.few_clusters import ENOUGH
from runner.estimators.trust import distrust
from runner.sweeps.comparison.texts import value_texts
from runner.text import LEVEL, by_chance, count, number, stars
from runner.trials.adjust import holm

if TYPE_CHECKING:
    from runner.sweeps.comparison.ranked import Outcome, Ranked

CONSTANT = "const"
SCOPES = ("asset", "group")  # of units that are the same in every job
LONGEST = 24  # characters of a choice in a heading
MOST_LETTERS = 90  # of the headings of a printed table; of more they are the numbers of jobs
T_DIGITS = 3  # significant digits of a t-statistic


@dataclass(frozen=True)
class ByUnit:
    """A term of each unit under each job.

    Attributes:
        term: whose estimates they are.
        estimates: unit, job, estimate, t_stat, p_value, and p_holm: the p-value adjusted by Holm
            (1979) for all rows of this table; NaN in the jobs of `untrusted`, and on few clusters.
        headings: job number -> its number and what it chose.
        unit_of_time: of the rows that a constant is an average over, empty where not known.
        untrusted: jobs whose errors take as independent what is not: no star stands there.
        on_few: jobs with units on too few clusters for a star.
    """

    term: str
    estimates: pd.DataFrame
    headings: dict[int, str]
    unit_of_time: str
    untrusted: tuple[int, ...] = ()
    on_few: tuple[int, ...] = ()

    @property
    def table(self) -> pd.DataFrame:
        """A row per unit; per job four columns: estimate, t, p and p adjusted by Holm.

        NaN where a job has no estimate of the unit.
        """
        columns: dict[str, pd.Series] = {}
        for job, heading in self.headings.items():
            by_unit = self._estimates_of(job)
            columns[f"{heading} {self.term}"] = by_unit["estimate"]
            columns[f"{heading} t"] = by_unit["t_stat"]
            columns[f"{heading} p"] = by_unit["p_value"]
            columns[f"{heading} p Holm"] = by_unit["p_holm"]
        table = pd.DataFrame(columns, index=self._units)
        return table.reset_index()

    def texts(self, jobs: Sequence[int]) -> pd.DataFrame:
        """A row of texts per unit: estimate, stars and (t) of these jobs, by their number."""
        columns: dict[str, pd.Series] = {}
        shown = sorted(set(jobs) & set(self.headings))
        headings = {job: self.headings[job] for job in shown}
        if len("".join(headings.values())) > MOST_LETTERS:
            headings = {job: f"job {job}" for job in shown}
        for job, heading in headings.items():
            columns[heading] = self._estimates_of(job).apply(_cell, axis=1)
        table = pd.DataFrame(columns, index=self._units)
        return table.fillna("").reset_index()

    @property
    def _units(self) -> pd.Index:
        """The units in the order in which they first come."""
        units = self.estimates["unit"].unique()
        return pd.Index(units, name="unit")

    def _estimates_of(self, job: int) -> pd.DataFrame:
        """The estimates of a job, by unit."""
        of_job = self.estimates["job"] == job
        return self.estimates[of_job].set_index("unit")

    @property
    def words(self) -> list[str]:
        """The unit of the estimates, and how many are significant once all are counted."""
        sentences = []
        if self.term == CONSTANT:
            sentences.append(
                f"const is in the scale of the target, per row{self.unit_of_time}; "
                "it is an alpha where every regressor is a return."
            )
        if self.untrusted:
            jobs = ", ".join(str(job) for job in self.untrusted)
            sentences.append(
                f"{self.term} by asset or group: no stars in jobs {jobs}, whose standard "
                "errors treat overlapping targets, or the assets of a date, as independent."
            )
        if self.on_few:
            jobs = ", ".join(str(job) for job in self.on_few)
            sentences.append(
                f"{self.term} by asset or group: no stars in jobs {jobs} where errors rest on "
                f"fewer than {ENOUGH} clusters."
            )
        tested = self.estimates.dropna(subset="p_holm")
        if tested.empty:
            sentences.append(f"{self.term} by asset or group: no p-value that can be judged.")
            return sentences
        unadjusted = tested["p_value"] < LEVEL
        low = int(unadjusted.sum())
        adjusted = tested["p_holm"] < LEVEL
        left = int(adjusted.sum())
        number_tested = len(tested)
        tests = count(number_tested, "test")
        chance = by_chance(low, len(tested))
        have = "has" if low == 1 else "have"
        survive = "survives" if left == 1 else "survive"
        sentences.append(
            f"{self.term} by asset or group: of {tests} (regressions x jobs) {low} "
            f"{have} p below {LEVEL:g} unadjusted{chance}; "
            f"{left} {survive} Holm over all of them, which the stars are of."
        )
        return sentences


def by_unit(comparison: Ranked, term: str | None = None) -> ByUnit | None:
    """A term of each unit under each job; None where no job has several assets or groups.

    Args:
        term: None takes the constant where every such job explains the target of the same row,
            else the first regressor.
    """
    outcomes = []
    rows = []
    for outcome in comparison.outcomes:
        coefficients = _units(outcome)
        if len(coefficients) > 1:
            outcomes.append(outcome)
            rows.append(coefficients.assign(job=outcome.job.number))
    if not rows:
        return None
    every = pd.concat(rows, ignore_index=True)
    if term is None:
        term = _default_term(outcomes, every)
    of_term = every["term"] == term
    if not of_term.any():
        return None
    columns = ["unit", "job", "estimate", "t_stat", "p_value", "judged"]
    estimates = every.loc[of_term, columns].reset_index(drop=True)
    untrusted = tuple(outcome.job.number for outcome in outcomes if not _are_trusted(outcome))
    judged = estimates.pop("judged")
    rests_on_few = judged.isna() & estimates["p_value"].notna()
    on_few = tuple(estimates.loc[rests_on_few, "job"].unique().tolist())
    judged = judged.mask(estimates["job"].isin(untrusted))
    p_values = judged.to_numpy(dtype=float)
    estimates["p_holm"] = holm(p_values)
    distinct = estimates["job"].unique()
    jobs = distinct.tolist()
    headings = _headings(comparison, jobs)
    return ByUnit(term, estimates, headings, _unit_of_time(outcomes), untrusted, on_few)


def _are_trusted(outcome: Outcome) -> bool:
    """Whether the errors of a job allow for targets that overlap, and groups for shared dates."""
    model = outcome.job.spec.get("model") or {}
    given = outcome.about.get("horizon") or 0
    horizon = int(given)
    are_groups = bool((outcome.coefficients["scope"] == "group").any())
    clusters = model.get("clusters") or []
    lags = model.get("cov_lags")
    return not distrust(str(model.get("cov")), clusters, lags, horizon, are_groups)


def _units(outcome: Outcome) -> pd.DataFrame:
    """The coefficients of the assets or groups of a job, which has several; no row otherwise."""
    in_scope = outcome.coefficients["scope"].isin(SCOPES)
    table = outcome.coefficients[in_scope]
    units = table["unit"].nunique()
    if units > 1:
        return table
    return table[:0]


def _default_term(outcomes: Sequence[Outcome], every: pd.DataFrame) -> str:
    """The constant of models that explain, the first regressor of others."""
    names = list(dict.fromkeys(every["term"]))
    explains = all(outcome.about.get("horizon") == 0 for outcome in outcomes)
    if explains and CONSTANT in names:
        return CONSTANT
    regressors = [name for name in names if name != CONSTANT]
    return regressors[0] if regressors else CONSTANT


def _headings(comparison: Ranked, jobs: Sequence[int]) -> dict[int, str]:
    """The number of each job and what it chose, cut where it is long."""
    chosen: list[list[str]] = [[] for _ in jobs]
    for name in comparison.names:
        values = comparison.choices[name].loc[jobs]
        column = value_texts(values, LONGEST)
        for texts, text in zip(chosen, column, strict=True):
            texts.append(text)
    headings = {}
    for job, texts in zip(jobs, chosen, strict=True):
        heading = f"job {job}"
        if any(texts):
            choices = ", ".join(texts)
            heading = f"{heading}: {choices}"
        headings[job] = heading
    return headings


def _unit_of_time(outcomes: Sequence[Outcome]) -> str:
    """The calendars of the jobs in brackets, empty where a run did not keep its own."""
    known = []
    for outcome in outcomes:
        given = outcome.about.get("calendar")
        calendar = str(given or "")
        if calendar and calendar not in known:
            known.append(calendar)
    if not known:
        return ""
    calendars = " or ".join(known)
    return f" ({calendars})"


def _cell(row: pd.Series) -> str:
    """Such as `0.0021** (2.38)`; the stars are of the adjusted p-value."""
    estimate = number(row["estimate"])
    t_stat = row["t_stat"]
    if pd.isna(t_stat):
        return estimate
    significance = stars(row["p_holm"])
    return f"{estimate}{significance} ({number(t_stat, T_DIGITS)})"
