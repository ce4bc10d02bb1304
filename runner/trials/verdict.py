"""What survives of a sweep: its tests and strategies, each adjusted for all that was tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from runner.errors import DataError, listed
from runner.text import MANY_TESTS, count, number
from runner.trials import adjust
from runner.trials.premises import sentences_of
from runner.trials.strategies import judged
from runner.trials.trial import Bar, Job

if TYPE_CHECKING:
    import pandas as pd

OF_FIT = ["term", "estimate", "std_error", "t_stat", "p_value"]
TESTS = ["job", *OF_FIT, "p_dates"]
TESTS += ["p_holm", "p_romano_wolf", "p_bh", "p_by", "hurdle_t", "survives", "reason"]
ADJUSTED = {
    "p_holm": adjust.holm,
    "p_bh": adjust.benjamini_hochberg,
    "p_by": adjust.benjamini_yekutieli,
}
SAME = 1e-9  # relative; jobs whose estimates, errors and p-values differ by less are one
TOO_FEW_DATES = "too few dates"
COPY = "the numbers of job"  # how the reason of a copy begins
FLOOR = 1e-300  # beside SAME, where a p-value is zero


class Verdict(NamedTuple):
    """Tables, what survives in sentences, and notes on what was drawn or not computed.

    `tests` has one row per job and term with a p-value: estimate, std_error, t_stat, p_value of the
    fit; p_dates, the larger of p_value and the p-value from what each date contributes to the
    estimate, which is what is adjusted (of a mean over assets or groups the latter alone, the
    estimate over the larger of both errors); p-values adjusted by Holm, Romano-Wolf,
    Benjamini-Hochberg and Benjamini-Yekutieli; hurdle_t, the |t| that Holm asks under the normal
    distribution; survives, whether it passes both Holm and Romano-Wolf, empty where there is no
    verdict; reason, why there is none. `strategies` has one row per job and strategy: Sharpe ratio
    per period, confidence that the true one is above zero, as if it were the only one
    (probabilistic) and as one of all (deflated); of the whole family the probability of backtest
    overfitting, and the p-value of no forecast beating its benchmark; that of the model confidence
    set.
    """

    tests: pd.DataFrame
    strategies: pd.DataFrame
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    metrics: dict[str, float]

    @property
    def sentence(self) -> str:
        """What survives, as one text."""
        return " ".join(self.sentences)


def judge(jobs: Sequence[Job], bar: Bar | None = None) -> Verdict:
    """Adjust what these jobs found for all that was tried.

    A trial is a test: a coefficient without a p-value is none, and jobs with the same numbers count
    once. A test without a verdict counts as a trial with p = 1, a job without a result as as many
    trials as the largest job has tests.

    Raises:
        ValueError: two jobs of one name; a term that no job has.
    """

    bar = bar or Bar()
    _refuse_twins([job.name for job in jobs])
    table = _gathered(jobs, bar.terms)
    copies = _copies(table)
    trials = _trials(table, copies, bar)
    tests, notes = _adjusted(table, jobs, copies, bar, trials)
    strategies, notes_on_strategies = judged(jobs, bar)
    return Verdict(
        tests,
        strategies,
        sentences(tests, trials, bar, copies),
        (*notes, *notes_on_strategies),
        _metrics(tests, trials, bar),
    )


def _refuse_twins(names: Sequence[str]) -> None:
    """Refuse two jobs of one name.

    Raises:
        ValueError: there are such jobs.
    """
    twins = {name for name in names if names.count(name) > 1}
    if twins:
        twins_text = listed(twins)
        raise ValueError(f"jobs: {twins_text} given twice")


def _trials(table: pd.DataFrame, copies: Mapping[str, str], bar: Bar) -> int:
    """Tests, those of copies left out, and for each job without a result those of the largest."""
    different = int((~table["job"].isin(copies)).sum())
    most = int(table.groupby("job").size().max()) if len(table) else 1
    lost = bar.without_result * most
    return different + lost


def _gathered(jobs: Sequence[Job], terms: list[str] | None) -> pd.DataFrame:
    """The rows of every job that have a p-value, in the order of the jobs.

    Raises:
        ValueError: a term that no job has.
    """
    import pandas as pd

    from runner.models.fit import headline

    columns = ["job", *OF_FIT]
    tables = {job.name: headline(job.coefficients) for job in jobs}
    if tables:
        table = pd.concat(tables, names=["job", "row"]).reset_index()
    else:
        table = pd.DataFrame(columns=columns)
    known = list(dict.fromkeys(table["term"]))
    absent = [term for term in terms or [] if term not in known]
    if absent and known:
        raise ValueError(f"terms: given {listed(absent)}; allowed: {listed(known)}")
    is_asked = table["term"] != "const" if terms is None else table["term"].isin(terms)
    is_tested = table["p_value"].notna()
    return table.loc[is_asked & is_tested, columns].reset_index(drop=True)


def _copies(table: pd.DataFrame) -> dict[str, str]:
    """Jobs whose estimates, errors and p-values equal those of an earlier one, and which."""
    copies: dict[str, str] = {}
    of_terms: dict[tuple[str, ...], list[tuple[str, np.ndarray]]] = {}
    for name, rows in table.groupby("job", sort=False):
        numbers = rows[["estimate", "std_error", "p_value"]].to_numpy(dtype=float)
        earlier = of_terms.setdefault(tuple(rows["term"]), [])
        same = [job for job, others in earlier if _alike(numbers, others)]
        if same:
            copies[str(name)] = same[0]
        else:
            earlier.append((str(name), numbers))
    return copies


def _alike(numbers: np.ndarray, others: np.ndarray) -> bool:
    return np.allclose(numbers, others, rtol=SAME, atol=FLOOR, equal_nan=True)


def _adjusted(
    table: pd.DataFrame, jobs: Sequence[Job], copies: Mapping[str, str], bar: Bar, trials: int
) -> tuple[pd.DataFrame, list[str]]:
    """The tests with their adjusted p-values, and notes."""
    from runner.trials.hurdles import hurdles

    by_name = {job.name: job for job in jobs}
    pairs = zip(table["job"], table["term"], strict=True)
    reason = np.array([_reason(by_name[name], term, copies) for name, term in pairs], dtype=object)
    alone, joint, notes = _jointly(table, by_name, reason, bar, trials)
    has_alone = np.isfinite(alone)
    has_joint = np.isfinite(joint)
    judged = has_alone & has_joint
    counted = ~table["job"].isin(copies).to_numpy(dtype=bool)
    p = np.where(judged, alone, np.nan)
    columns = {}
    for name, adjusted in ADJUSTED.items():
        columns[name] = np.full(len(p), np.nan)
        columns[name][counted] = adjusted(p[counted], trials)
    hurdle = hurdles(p[counted], bar.level, trials).holm if trials else np.nan
    is_holm = columns["p_holm"] < bar.level
    is_joint = joint < bar.level
    passes = is_holm & is_joint
    no_verdict = np.array(None, dtype=object)
    table = table.assign(
        p_dates=p,
        p_romano_wolf=joint,
        hurdle_t=hurdle,
        survives=np.where(judged, passes, no_verdict),
        reason=reason,
        **columns,
    )
    return table[TESTS], notes


def _reason(job: Job, term: str, copies: Mapping[str, str]) -> str:
    """Why a test has no verdict, empty where nothing is known against one."""
    if job.name in copies:
        return f"{COPY} {copies[job.name]}, counted once"
    return job.doubt(term)


def _jointly(
    table: pd.DataFrame, jobs: Mapping[str, Job], reason: np.ndarray, bar: Bar, trials: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """p-values by dates (m,), those of Romano-Wolf (m,), and a note on how they were drawn.

    Of tests without a reason against a verdict; `reason` (m,) is filled in where they cannot be
    computed.
    """
    from runner.models.fit import over_units
    from runner.trials.romano_wolf import romano_wolf

    alone = np.full(len(table), np.nan)
    joint = np.full(len(table), np.nan)
    t_of_fit = table["t_stat"].to_numpy(dtype=float)
    reason[(reason == "") & ~np.isfinite(t_of_fit)] = "no t-statistic"
    is_judged = reason == ""
    known = np.flatnonzero(is_judged)
    if not len(known):
        return alone, joint, []
    psi = _contributions(table, jobs, known)
    std_errors = table["std_error"].to_numpy(dtype=float)
    errors = std_errors[known]
    p_values = table["p_value"].to_numpy(dtype=float)
    p_of_fit = p_values[known]
    of_units = [name for name, job in jobs.items() if over_units(job.coefficients)]
    # the error of a mean over units counts below, not its degrees of freedom
    names = table["job"].iloc[known]
    is_over_units = names.isin(of_units)
    p_of_fit[is_over_units] = np.nan
    # Tests without a verdict take their share of the level, as trials without a result do.
    try:
        drawn = romano_wolf(psi, errors, bar.draws, bar.block, bar.seed, bar.horizon, trials)
    except DataError as problem:
        reason[known] = f"{TOO_FEW_DATES} ({problem})"
        return alone, joint, []
    sound = np.isfinite(drawn.p_value)
    computed = known[sound]
    alone[computed] = np.fmax(drawn.alone, p_of_fit)[sound]
    joint[computed] = np.fmax(drawn.p_value, p_of_fit)[sound]
    reason[known[~sound]] = TOO_FEW_DATES
    dates = count(len(psi), "date")
    dates_text = f"Romano-Wolf by {bar.draws:,} draws: {drawn.how} (of {dates})."
    return alone, joint, [dates_text]


def _contributions(table: pd.DataFrame, jobs: Mapping[str, Job], tests: np.ndarray) -> np.ndarray:
    """Contributions (T, m) of every date to the estimates of these rows of the table.

    NaN where a test has no such date.
    """
    import pandas as pd

    frames = {}
    for name, job in jobs.items():
        if job.contributions is not None:
            frames[name] = job.contributions
    columns = {}
    for test in tests:
        contributions = frames[table["job"].iloc[test]]
        columns[test] = contributions[table["term"].iloc[test]]
    return pd.DataFrame(columns).sort_index().to_numpy(dtype=float)


def _metrics(tests: pd.DataFrame, trials: int, bar: Bar) -> dict[str, float]:
    """Counts of the sentence: tests with a verdict and without, and what each adjustment keeps."""
    p = tests["p_dates"]
    counts: dict[str, float] = {
        "tests": int(p.notna().sum()),
        "no_verdict": int(_withheld(tests).sum()),
        "trials": trials,
        "unadjusted": _below(p, bar.level),
        "survive": int(tests["survives"].eq(True).sum()),
    }
    for name in ("holm", "romano_wolf"):
        counts[name] = _below(tests[f"p_{name}"], bar.level)
    for name in ("bh", "by"):
        counts[name] = _below(tests[f"p_{name}"], bar.false_discoveries)
    return counts


def _below(p: pd.Series, level: float) -> int:
    is_below = p < level
    return int(is_below.sum())


def _withheld(tests: pd.DataFrame) -> pd.Series:
    """Whether each test has no verdict, and is no copy of another."""
    is_copy = tests["reason"].str.startswith(COPY)
    has_no_p = tests["p_dates"].isna()
    return has_no_p & ~is_copy


def sentences(
    tests: pd.DataFrame, trials: int, bar: Bar, copies: Mapping[str, str]
) -> tuple[str, ...]:
    """What survives, what has no verdict and why, and what was counted once.

    They are no surer than the table.
    """
    counts = _metrics(tests, trials, bar)
    n = int(counts["tests"])
    withheld = int(counts["no_verdict"])
    words = []
    if n:
        words.append(_of_judged(tests, counts, bar))
    elif not withheld:
        tried = f"{count(trials, 'trial')}, none with a p-value" if trials else "no trial"
        words.append(f"Nothing was tested: {tried}.")
    reasons = tests.loc[_withheld(tests), "reason"]
    all_tests = n + withheld
    words += sentences_of(reasons, all_tests)
    if copies:
        words.append(_on_copies(copies))
    return tuple(words)


def _on_copies(copies: Mapping[str, str]) -> str:
    """Which jobs have the numbers of another, by the job whose numbers they have."""
    alike: dict[str, list[str]] = {}
    for name, first in copies.items():
        alike.setdefault(first, []).append(name)
    pairs = [f"{' and '.join(names)} as {first}" for first, names in alike.items()]
    if len(copies) == 1:
        return f"1 job has the same numbers as another and counts once: {listed(pairs)}."
    jobs = count(len(copies), "job")
    return f"{jobs} have the same numbers as another and count once: {listed(pairs)}."


def _of_judged(tests: pd.DataFrame, counts: Mapping[str, float], bar: Bar) -> str:
    """The sentence of the tests with a verdict."""
    n = int(counts["tests"])
    unadjusted = _some(int(counts["unadjusted"]), n, "has", "have")
    kept_by_bh = _some(int(counts["bh"]), n, "survives", "survive")
    family_wise = _family_wise(tests, counts, n, _percent(bar.level))
    chance = ""
    if n >= MANY_TESTS:
        chance = f" (chance alone would give about {number(bar.level * n, 2)})"
    return (
        f"Of {count(n, 'test')}{_lost(counts)}, "
        f"{unadjusted} p below {bar.level:g} unadjusted{chance}; {family_wise}; "
        f"{kept_by_bh} Benjamini-Hochberg at {_percent(bar.false_discoveries)}."
    )


def _percent(level: float) -> str:
    return f"{100 * level:g} %"


def _lost(counts: Mapping[str, float]) -> str:
    """How many of the trials are not among the tests with a verdict; empty where all are."""
    trials = int(counts["trials"])
    tests = int(counts["tests"])
    lost = trials - tests
    if not lost:
        return ""
    kinds = "elsewhere or without a result"
    if counts["no_verdict"]:
        kinds = "elsewhere, without a result or without a verdict"
    return (
        f" ({count(trials, 'trial')} on this data and target, "
        f"{lost:,} of them {kinds}, which count as p = 1)"
    )


def _family_wise(tests: pd.DataFrame, counts: Mapping[str, float], n: int, level: str) -> str:
    """What survives Holm and Romano-Wolf, by name, and where the two differ."""
    kept = tests[tests["survives"].eq(True)]
    text = f"{_some(len(kept), n, 'survives', 'survive')} Holm and Romano-Wolf at {level}"
    holm = counts["holm"]
    romano_wolf = counts["romano_wolf"]
    if holm != romano_wolf or holm != len(kept):
        text += f" (Holm alone {holm:,}, Romano-Wolf alone {romano_wolf:,})"
    survivors = []
    by_term = kept.groupby("term", sort=False)
    for term, jobs in by_term["job"]:
        noun = "job" if len(jobs) == 1 else "jobs"
        survivors.append(f"{term} in {noun} {listed(jobs)}")
    return f"{text}: {'; '.join(survivors)}" if survivors else text


def _some(passing: int, total: int, singular: str, several: str) -> str:
    """How many of them, with the verb."""
    if passing == 0:
        return f"none {singular}"
    all_pass = passing == total
    if all_pass and total > 1:
        return f"all {passing:,} {several}"
    return f"{passing:,} {singular if passing == 1 else several}"
