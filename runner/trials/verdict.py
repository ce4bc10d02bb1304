"""What survives of a sweep: its tests and its strategies, each adjusted for all that was tried,
and one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.errors import DataError, listed
from runner.schema.settings import Count, Rows, Share
from runner.text import MANY_TESTS, count, number
from runner.trials import adjust
from runner.trials.premises import sentences_of

if TYPE_CHECKING:
    import pandas as pd

TESTS = ["job", "term", "estimate", "std_error", "t_stat", "p_value", "p_dates"]
TESTS += ["p_holm", "p_romano_wolf", "p_bh", "p_by", "hurdle_t", "survives", "reason"]
ADJUSTED = {
    "p_holm": adjust.holm,
    "p_bh": adjust.benjamini_hochberg,
    "p_by": adjust.benjamini_yekutieli,
}
SAME = 1e-9  # relative; jobs whose estimates, errors and p-values differ by less are one
NO_INFLUENCE = "estimates have no influence by date"
TOO_FEW_DATES = "too few dates"
COPY = "the numbers of job"  # how the reason of a copy begins
TRIAL = "trial"
FLOOR = 1e-300  # beside it, where a p-value is zero


@dataclass(frozen=True)
class Job:
    """What one run of a sweep left behind.

    Attributes:
        name: of the run, unique.
        coefficients: as in coefficients.csv.
        contributions: frame (dates, terms) of `runner.trials.influence`, None where there is
            none.
        doubts: by term, why its p-value supports no verdict; a term that is absent has none.
        no_influence: why there are no contributions.
        strategies: by name, returns by date, decimals per period, out of sample, after costs.
        predictions: as in predictions.parquet, None without.
    """

    name: str
    coefficients: pd.DataFrame
    contributions: pd.DataFrame | None = None
    doubts: Mapping[str, str] = field(default_factory=dict)
    no_influence: str = ""
    strategies: Mapping[str, pd.Series] = field(default_factory=dict)
    predictions: pd.DataFrame | None = None

    def doubt(self, term: str) -> str:
        """Why the term has no verdict, empty where nothing is known against one."""
        if self.doubts.get(term):
            return self.doubts[term]
        if self.contributions is None or term not in self.contributions:
            why = f" ({self.no_influence})" if self.no_influence else ""
            return f"{NO_INFLUENCE}{why}"
        return ""


@dataclass(frozen=True)
class Bar:
    """What a finding has to pass.

    Attributes:
        terms: that are tested; null takes every term of the headline but `const`.
        level: of the unadjusted tests, of the chance of any false one (Holm, Romano-Wolf) and of
            the hurdle.
        false_discoveries: largest expected share of false ones among those that Benjamini-Hochberg
            keeps.
        size: of the model confidence set: a job is in it where its p-value is at least this.
        without_result: jobs on this data and target that failed or were abandoned, whose p counts
            as 1.
        horizon: rows that the target looks ahead.
        draws, seed: of every bootstrap here; draws of the forecasts' tests are a tenth.
        block: dates of a block, null as the data choose.
    """

    terms: list[str] | None = None
    level: Share = 0.05
    false_discoveries: Share = 0.05
    size: Share = 0.10
    without_result: Count = 0
    horizon: Count = 1
    draws: Rows = 10_000
    seed: Count = 0
    block: Rows | None = None


class Verdict(NamedTuple):
    """Tables, the sentence that says what survives, and notes on what was drawn and what could not
    be computed.

    `tests` has one row per job and term with a p-value: estimate, std_error, t_stat, p_value of the
    fit; p_dates, the larger of p_value and the p-value from what each date contributes to the
    estimate, which is what is adjusted; p-values adjusted by Holm, Romano-Wolf, Benjamini-Hochberg
    and Benjamini-Yekutieli; hurdle_t, the |t| that Holm asks under the normal distribution;
    survives, whether it passes both Holm and Romano-Wolf, empty where there is no verdict; reason,
    why there is none. `strategies` has one row per job and strategy: Sharpe ratio per period,
    confidence that the true one is above zero, as if it were the only one (probabilistic) and as
    one of all (deflated); of the whole family the probability of backtest overfitting, and the
    p-value of no forecast beating its benchmark; that of the model confidence set.
    """

    tests: pd.DataFrame
    strategies: pd.DataFrame
    sentence: str
    notes: tuple[str, ...]
    metrics: dict[str, float]


def judge(jobs: Sequence[Job], bar: Bar | None = None) -> Verdict:
    """Adjust what these jobs found for all that was tried.

    A trial is a test: a coefficient without a p-value is none, and jobs with the same numbers count
    once. A test without a verdict counts as a trial with p = 1, a job without a result as as many
    trials as the largest job has tests.

    Raises:
        ValueError: two jobs of one name; a term that no job has.
    """
    from runner.trials.strategies import judged

    bar = bar or Bar()
    names = [job.name for job in jobs]
    if len(set(names)) < len(names):
        raise ValueError(
            f"jobs: {listed({name for name in names if names.count(name) > 1})} given twice"
        )
    table = _gathered(jobs, bar.terms)
    copies = _copies(table)
    copied = table["job"].isin(copies)
    most = int(table.groupby("job").size().max()) if len(table) else 1
    trials = int((~copied).sum()) + bar.without_result * most
    tests, notes = _adjusted(table, jobs, copies, bar, trials)
    strategies, more = judged(jobs, bar)
    told = sentence(tests, trials, bar, copies)
    return Verdict(tests, strategies, told, (*notes, *more), _metrics(tests, trials, bar))


def _gathered(jobs: Sequence[Job], terms: list[str] | None) -> pd.DataFrame:
    """The rows of every job that have a p-value, in the order of the jobs.

    Raises:
        ValueError: a term that no job has.
    """
    import pandas as pd

    from runner.models.fit import headline

    columns = ["job", *TESTS[1:6]]
    parts = {job.name: headline(job.coefficients) for job in jobs}
    empty = pd.DataFrame(columns=columns)
    table = pd.concat(parts, names=["job", "row"]).reset_index() if parts else empty
    absent = [term for term in terms or [] if term not in set(table["term"])]
    if absent and len(table):
        raise ValueError(
            f"terms: given {listed(absent)}; allowed: {listed(dict.fromkeys(table['term']))}"
        )
    asked = table["term"] != "const" if terms is None else table["term"].isin(terms)
    tested = table["p_value"].notna()
    return table.loc[asked & tested, columns].reset_index(drop=True)


def _copies(table: pd.DataFrame) -> dict[str, str]:
    """Jobs whose estimates, errors and p-values are those of an earlier one, and which."""
    copies: dict[str, str] = {}
    alike: dict[tuple[str, ...], list[tuple[str, np.ndarray]]] = {}
    for name, rows in table.groupby("job", sort=False):
        values = rows[["estimate", "std_error", "p_value"]].to_numpy(dtype=float)
        others = alike.setdefault(tuple(rows["term"]), [])
        same = [
            other
            for other, numbers in others
            if np.allclose(values, numbers, rtol=SAME, atol=FLOOR, equal_nan=True)
        ]
        if same:
            copies[str(name)] = same[0]
        else:
            others.append((str(name), values))
    return copies


def _adjusted(
    table: pd.DataFrame, jobs: Sequence[Job], copies: Mapping[str, str], bar: Bar, trials: int
) -> tuple[pd.DataFrame, list[str]]:
    """The tests with their adjusted p-values, and notes."""
    from runner.trials.hurdles import hurdles

    by_name = {job.name: job for job in jobs}
    pairs = zip(table["job"], table["term"], strict=True)
    reason = np.array([_reason(by_name[name], term, copies) for name, term in pairs], dtype=object)
    alone, joint, notes = _jointly(table, by_name, reason, bar, trials)
    judged = np.isfinite(alone) & np.isfinite(joint)
    counted = ~table["job"].isin(copies).to_numpy(dtype=bool)
    p = np.where(judged, alone, np.nan)
    columns = {}
    for name, adjusted in ADJUSTED.items():
        columns[name] = np.full(len(p), np.nan)
        columns[name][counted] = adjusted(p[counted], trials)
    passes = (columns["p_holm"] < bar.level) & (joint < bar.level)
    table = table.assign(
        p_dates=p,
        p_romano_wolf=joint,
        hurdle_t=hurdles(p[counted], bar.level, trials).holm if trials else np.nan,
        survives=np.where(judged, passes, np.array(None, dtype=object)),
        reason=reason,
        **columns,
    )
    return table[TESTS], notes


def _reason(job: Job, term: str, copies: Mapping[str, str]) -> str:
    if job.name in copies:
        return f"the numbers of job {copies[job.name]}, counted once"
    return job.doubt(term)


def _jointly(
    table: pd.DataFrame, jobs: Mapping[str, Job], reason: np.ndarray, bar: Bar, trials: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """p-values by dates (m,), those of Romano-Wolf (m,), and a note on how they were drawn.

    Of tests without a reason against a verdict; `reason` (m,) is filled in where they cannot be
    computed.
    """
    import pandas as pd

    from runner.trials.romano_wolf import romano_wolf

    alone, joint = np.full(len(table), np.nan), np.full(len(table), np.nan)
    t_of_fit = table["t_stat"].to_numpy(dtype=float)
    reason[(reason == "") & ~np.isfinite(t_of_fit)] = "no t-statistic"
    known = np.flatnonzero(reason == "")
    if not len(known):
        return alone, joint, []
    frames = {
        name: job.contributions for name, job in jobs.items() if job.contributions is not None
    }
    columns = {at: frames[table["job"].iloc[at]][table["term"].iloc[at]] for at in known}
    psi = pd.DataFrame(columns).sort_index().to_numpy(dtype=float)
    errors, p = (table[name].to_numpy(dtype=float)[known] for name in ("std_error", "p_value"))
    # Tests without a verdict take their share of the level, as trials without a result do.
    try:
        drawn = romano_wolf(psi, errors, bar.draws, bar.block, bar.seed, bar.horizon, trials)
    except DataError as problem:
        reason[known] = f"{TOO_FEW_DATES} ({problem})"
        return alone, joint, []
    sound = np.isfinite(drawn.p_value)
    alone[known[sound]] = np.fmax(drawn.alone, p)[sound]
    joint[known[sound]] = np.fmax(drawn.p_value, p)[sound]
    reason[known[~sound]] = TOO_FEW_DATES
    note = f"Romano-Wolf by {bar.draws:,} draws: {drawn.how} (of {count(len(psi), 'date')})."
    return alone, joint, [note]


def _metrics(tests: pd.DataFrame, trials: int, bar: Bar) -> dict[str, float]:
    """Counts of the sentence: tests with a verdict, those without, and what each adjustment
    keeps.
    """
    judged = tests["p_dates"].notna()
    withheld = int((~judged & ~tests["reason"].str.startswith(COPY)).sum())
    counts: dict[str, float] = {
        "tests": int(judged.sum()),
        "no_verdict": withheld,
        "trials": trials,
    }
    counts |= {
        "unadjusted": int((tests["p_dates"] < bar.level).sum()),
        "survive": int(tests["survives"].eq(True).sum()),
    }
    for name in ("holm", "romano_wolf"):
        counts[name] = int((tests[f"p_{name}"] < bar.level).sum())
    return counts | {
        name: int((tests[f"p_{name}"] < bar.false_discoveries).sum()) for name in ("bh", "by")
    }


def sentence(
    tests: pd.DataFrame, trials: int, bar: Bar, copies: Mapping[str, str] | None = None
) -> str:
    """What survives, no surer than the table, what has no verdict and why, and what was counted
    once.
    """
    of = _metrics(tests, trials, bar)
    n, withheld = int(of["tests"]), int(of["no_verdict"])
    parts = [_of_judged(tests, of, bar)] if n else []
    if not n and not withheld:
        parts.append(
            f"Nothing was tested: {f'{count(trials, TRIAL)}, none with a p-value' if trials else 'no trial'}."
        )
    left = tests["p_dates"].isna() & ~tests["reason"].str.startswith(COPY)
    parts += sentences_of(tests.loc[left, "reason"], n + withheld)
    if copies:
        alone = len(copies) == 1
        verbs = ("repeats", "counts") if alone else ("repeat", "count")
        pairs = listed([f"{name} those of {first}" for name, first in copies.items()])
        who = count(len(copies), "job")
        parts.append(f"{who} {verbs[0]} the numbers of another and {verbs[1]} once: {pairs}.")
    return " ".join(parts)


def _of_judged(tests: pd.DataFrame, of: Mapping[str, float], bar: Bar) -> str:
    """The sentence of the tests with a verdict."""
    n, trials = int(of["tests"]), int(of["trials"])
    lost = trials - n
    kinds = (
        "elsewhere, without a result or without a verdict"
        if of["no_verdict"]
        else "elsewhere or without a result"
    )
    missing = f"{lost:,} of them {kinds}, which count as p = 1"
    about = f" ({count(trials, TRIAL)} on this data and target, {missing})" if lost else ""
    chance = (
        f" (chance alone would give about {number(bar.level * n, 2)})" if n >= MANY_TESTS else ""
    )
    level, fdr = f"{100 * bar.level:g} %", f"{100 * bar.false_discoveries:g} %"
    raw, bh = int(of["unadjusted"]), int(of["bh"])
    return (
        f"Of {count(n, 'test')}{about}, {_some(raw, n, 'has', 'have')} p below {bar.level:g} unadjusted{chance}; "
        f"{_family_wise(tests, of, n, level)}; {_some(bh, n, 'survives', 'survive')} Benjamini-Hochberg at {fdr}."
    )


def _family_wise(tests: pd.DataFrame, of: Mapping[str, float], n: int, level: str) -> str:
    """What survives Holm and Romano-Wolf, by name, and where the two differ."""
    kept = tests[tests["survives"].eq(True)]
    names = []
    for term, own in kept.groupby("term", sort=False)["job"]:
        noun = "job" if len(own) == 1 else "jobs"
        names.append(f"{term} in {noun} {listed(own)}")
    text = f"{_some(len(kept), n, 'survives', 'survive')} Holm and Romano-Wolf at {level}"
    if not of["holm"] == of["romano_wolf"] == len(kept):
        text += f" (Holm alone {of['holm']:,}, Romano-Wolf alone {of['romano_wolf']:,})"
    return f"{text}: {'; '.join(names)}" if names else text


def _some(found: int, total: int, one: str, several: str) -> str:
    """How many of them, with the verb."""
    if found == 0:
        return f"none {one}"
    if found == total and total > 1:
        return f"all {found:,} {several}"
    return f"{found:,} {one if found == 1 else several}"
