"""One term of every asset or group under every job: units in rows, jobs in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from runner.sweeps.comparison.texts import value_texts
from runner.text import LEVEL, by_chance, count, number, stars
from runner.trials.adjust import holm

if TYPE_CHECKING:
    from runner.sweeps.comparison.ranked import Outcome, Ranked

CONSTANT = "const"
SCOPES = ("asset", "group")  # of units that are the same in every job
LONGEST = 24  # characters of a choice in a heading
T_DIGITS = 3  # significant digits of a t-statistic


@dataclass(frozen=True)
class ByUnit:
    """A term of each unit under each job.

    Attributes:
        term: whose estimates they are.
        estimates: unit, job, estimate, t_stat, p_value, and p_holm: the p-value adjusted by Holm
            (1979) for all rows of this table.
        headings: job number -> its number and what it chose.
        unit_of_time: of the rows that a constant is an average over, empty where not known.
    """

    term: str
    estimates: pd.DataFrame
    headings: dict[int, str]
    unit_of_time: str

    @property
    def table(self) -> pd.DataFrame:
        """A row per unit; per job four columns: estimate, t, p and p adjusted by Holm.

        NaN where a job has no estimate of the unit.
        """
        columns: dict[str, pd.Series] = {}
        for job, heading in self.headings.items():
            own = self.estimates[self.estimates["job"] == job].set_index("unit")
            columns[f"{heading} {self.term}"] = own["estimate"]
            columns[f"{heading} t"] = own["t_stat"]
            columns[f"{heading} p"] = own["p_value"]
            columns[f"{heading} p Holm"] = own["p_holm"]
        units = pd.Index(self.estimates["unit"].unique(), name="unit")
        return pd.DataFrame(columns, index=units).reset_index()

    def texts(self, jobs: Sequence[int]) -> pd.DataFrame:
        """A row of texts per unit: estimate, stars and (t) of these jobs, by their number."""
        columns: dict[str, pd.Series] = {}
        for job in sorted(set(jobs) & set(self.headings)):
            own = self.estimates[self.estimates["job"] == job].set_index("unit")
            columns[self.headings[job]] = own.apply(_cell, axis=1)
        units = pd.Index(self.estimates["unit"].unique(), name="unit")
        return pd.DataFrame(columns, index=units).fillna("").reset_index()

    @property
    def words(self) -> list[str]:
        """The unit of the estimates, and how many are significant once all are counted."""
        sentences = []
        if self.term == CONSTANT:
            sentences.append(
                f"const is in units of the target, per row{self.unit_of_time}; "
                "it is an alpha where every regressor is a return."
            )
        tested = self.estimates[self.estimates["p_value"].notna()]
        if tested.empty:
            return [*sentences, f"{self.term} by unit: no p-values, as these errors give none."]
        low = int((tested["p_value"] < LEVEL).sum())
        left = int((tested["p_holm"] < LEVEL).sum())
        chance = by_chance(low, len(tested))
        verb = "survives" if left == 1 else "survive"
        sentences.append(
            f"{self.term} by unit: of {count(len(tested), 'test')} (units x jobs) {low} "
            f"{'has' if low == 1 else 'have'} p below {LEVEL:g} unadjusted{chance}; "
            f"{left} {verb} Holm over all of them, which the stars are of."
        )
        return sentences


def by_unit(comparison: Ranked, term: str | None = None) -> ByUnit | None:
    """A term of each unit under each job; None where no job has several assets or groups.

    Args:
        term: None takes the constant where every such job explains the target of the same row,
            else the first regressor.
    """
    outcomes = [outcome for outcome in comparison.outcomes if len(_units(outcome)) > 1]
    rows = [_units(outcome).assign(job=outcome.job.number) for outcome in outcomes]
    if not rows:
        return None
    every = pd.concat(rows, ignore_index=True)
    chosen = _default_term(outcomes, every) if term is None else term
    estimates = every[every["term"] == chosen]
    if estimates.empty:
        return None
    columns = ["unit", "job", "estimate", "t_stat", "p_value"]
    estimates = estimates[columns].reset_index(drop=True)
    estimates["p_holm"] = holm(estimates["p_value"].to_numpy(dtype=float))
    jobs = estimates["job"].unique().tolist()
    return ByUnit(chosen, estimates, _headings(comparison, jobs), _unit_of_time(outcomes))


def _units(outcome: Outcome) -> pd.DataFrame:
    """The coefficients of the assets or groups of a job, which has several; no row otherwise."""
    table = outcome.coefficients[outcome.coefficients["scope"].isin(SCOPES)]
    return table if table["unit"].nunique() > 1 else table[:0]


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
        for texts, text in zip(chosen, value_texts(values, LONGEST), strict=True):
            texts.append(text)
    headings = {}
    for job, texts in zip(jobs, chosen, strict=True):
        choices = ", ".join(texts)
        headings[job] = f"job {job}: {choices}" if choices else f"job {job}"
    return headings


def _unit_of_time(outcomes: Sequence[Outcome]) -> str:
    """The calendars of the jobs in brackets, empty where a run did not keep its own."""
    calendars = dict.fromkeys(str(outcome.about.get("calendar") or "") for outcome in outcomes)
    known = [calendar for calendar in calendars if calendar]
    return f" ({' or '.join(known)})" if known else ""


def _cell(row: pd.Series) -> str:
    """Such as `0.0021** (2.38)`; the stars are of the adjusted p-value."""
    text = number(row["estimate"])
    if pd.isna(row["t_stat"]):
        return text
    return f"{text}{stars(row['p_holm'])} ({number(row['t_stat'], T_DIGITS)})"
