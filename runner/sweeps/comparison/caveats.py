"""What one must know before comparing the jobs of a sweep, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isnan, nan
from statistics import median
from typing import TYPE_CHECKING

from runner.sweeps.comparison.ranked import FORECAST
from runner.sweeps.comparison.sameness import unchanging
from runner.text import count, number
from runner.validation.scores import BENCHMARK

if TYPE_CHECKING:
    from runner.sweeps.comparison.ranked import Ranked

MOST_NAMED = 8  # jobs listed by number
OF_ALL = "oos/r2_all_assets"


def caveats(comparison: Ranked) -> list[str]:
    """A sentence for each thing that bears on the comparison, the graver first."""
    jobs = _jobs(comparison)
    are_lost = len(comparison.failures) > 0
    return [
        *_leaking(comparison),
        *(jobs if are_lost else ()),
        *_sameness(comparison),
        *(() if are_lost else jobs),
        *_data(comparison),
        *_score(comparison),
        *_later_rows(comparison),
        *_rows(comparison),
        *_unchanging(comparison),
        *_terms(comparison),
    ]


def _jobs(comparison: Ranked) -> list[str]:
    """How many jobs finished, and what became of the others."""
    counts = comparison.failures["outcome"].value_counts()
    kinds = [kind for kind in ("failed", "refused", "not run") if kind in counts]
    lost = ", ".join(f"{counts[kind]} {kind}" for kind in kinds)
    keys = ", ".join(comparison.names)
    jobs = count(len(comparison.plan.jobs), "job")
    finished = len(comparison.outcomes)
    sentence = f"{finished} of {jobs}"
    if keys:
        sentence += f" that differ in {keys}"
    sentence += " finished"
    if lost:
        sentence += f" ({lost})"
    return [f"{sentence}."]


def _data(comparison: Ranked) -> list[str]:
    """What looks wrong in the data of the jobs, or was read in a way to know."""
    jobs = len(comparison.outcomes)
    times: Counter[str] = Counter()
    for outcome in comparison.outcomes:
        times.update(outcome.about.get("notes") or ())
    sentences = []
    for note, n in times.items():
        sentences.append(note if n == jobs else f"{note} (In {n} of {jobs} jobs.)")
    return sentences


def _score(comparison: Ranked) -> list[str]:
    """What ranks, how far apart the scores are, and what being the best of many is worth."""
    sentences = []
    if comparison.fallback:
        sentences.append(comparison.fallback)
    scores = [comparison.score_of(outcome) for outcome in comparison.first_block]
    values = [score for score in scores if score is not None]
    if not values:
        return sentences
    different = len(set(values))
    if different > 1:
        sentences.append(
            f"The best of {different} different scores is too optimistic: "
            "expect a worse one on new data."
        )
    without = sum(comparison.score_of(outcome) is None for outcome in comparison.ranked)
    if without:
        jobs = count(without, "job")
        sentences.append(f"{jobs} without {comparison.score}: last, without a rank.")
    return sentences


def best(comparison: Ranked) -> list[str]:
    """Which jobs have the best score, by how much, what others have, and whether it is any good."""
    scores = [comparison.score_of(outcome) for outcome in comparison.first_block]
    values = [score for score in scores if score is not None]
    if not values:
        return []
    ties = values.count(values[0])
    numbers = [str(outcome.job.number) for outcome in comparison.first_block]
    verb = "has" if ties == 1 else "have"
    order = "smallest" if comparison.lower_is_better else "largest"
    subject = _named(numbers[:ties])
    parts = [f"{subject} {verb} the {order} {comparison.score}, {number(values[0])}"]
    if ties < len(values):
        distance = number(abs(values[0] - values[ties]))
        side = "less" if comparison.lower_is_better else "more"
        parts.append(f"{distance} {side} than the next, job {numbers[ties]}")
    if len(values) > 2:
        middle = number(median(values))
        last = number(values[-1])
        parts.append(f"the median of all {len(values)} is {middle}, the last is {last}")
    sentences = [f"{'; '.join(parts)}."]
    if comparison.ranks_by_r2 and comparison.score.startswith(FORECAST) and values[0] <= 0.0:
        sentences.append(f"No job beats the {BENCHMARK}: no {comparison.score} is above zero.")
    else:
        sentences += _against_all(comparison)
    return sentences


def _against_all(comparison: Ranked) -> list[str]:
    """The best R2 against the mean of all assets, where that is the better benchmark.

    The mean of each asset is noisy: pooled models beat it without any signal.
    """
    if comparison.score != "oos/r2":
        return []
    first = comparison.first_block[0]
    every = [outcome.metrics.get(OF_ALL, nan) for outcome in comparison.first_block]
    of_all = every[0]
    if not of_all < first.metrics[comparison.score]:
        return []
    known = [r2 for r2 in every if not isnan(r2)]
    none = "; no job beats that mean" if max(known) <= 0.0 else ""
    better = f"the {BENCHMARK} of all assets together, the better benchmark"
    whose = f"the R2 of job {first.job.number} is {number(of_all)}"
    return [f"Against {better}, {whose} ({OF_ALL}){none}."]


def _named(numbers: Sequence[str]) -> str:
    """The subject of a sentence about jobs: the first of them by number, and how many more."""
    noun = "Job" if len(numbers) == 1 else "Jobs"
    who = f"{noun} {', '.join(numbers[:MOST_NAMED])}"
    jobs = len(numbers)
    rest = jobs - MOST_NAMED
    return f"{who} and {rest} more" if rest > 0 else who


def _later_rows(comparison: Ranked) -> list[str]:
    """Which jobs do not forecast: they were trained on rows after those they were tested on."""
    later = [
        str(outcome.job.number)
        for outcome in comparison.ranked
        if comparison.cross_validated(outcome)
    ]
    if not later:
        return []
    after = ""
    finished = len(comparison.ranked)
    if len(later) < finished:
        after = "; ranked after the forecasts"
    verb = "is" if len(later) == 1 else "are"
    rows = "cross-validated, with training rows later than the test rows"
    return [f"{_named(later)} {verb} {rows}: no forecast{after}."]


def _unchanging(comparison: Ranked) -> list[str]:
    """Keys that the numbers of the jobs do not depend on."""
    metrics = {outcome.job.number: outcome.metrics for outcome in comparison.outcomes}
    numbers = "no headline number (coefficients and t, fit, scores)"
    alike = "jobs that differ in it alone agree to 1e-9"
    return [
        f"{comparison.names[name]} changes {numbers}: {alike}."
        for name in unchanging(comparison.choices, metrics)
    ]


def _leaking(comparison: Ranked) -> list[str]:
    """Which jobs used later data."""
    leaking = [
        str(outcome.job.number) for outcome in comparison.outcomes if outcome.about.get("leaks")
    ]
    if not leaking:
        return []
    who = ", ".join(leaking[:MOST_NAMED])
    return [f"LEAKING: {count(len(leaking), 'job')} ({who}) used later data."]


def _sameness(comparison: Ranked) -> list[str]:
    """Whether the scores are of the same rows and kind."""
    sentences = []
    families = {outcome.job.family for outcome in comparison.outcomes}
    if len(families) > 1:
        sentences.append(
            f"Jobs have {len(families)} different data sets or targets: "
            "their scores are not on the same observations."
        )
    else:
        sentences += _rows_of_scores(comparison)
    kinds = sorted({str(outcome.about.get("kind")) for outcome in comparison.outcomes})
    if len(kinds) > 1:
        sentences.append(
            f"Some jobs are {kinds[0]}, some {kinds[1]}: "
            "the one kind explains, the other forecasts."
        )
    return sentences


def _rows_of_scores(comparison: Ranked) -> list[str]:
    """Whether the scores of jobs on the same data and target are of as many rows each."""
    parts = comparison.score.partition("/")
    prefix = parts[0]
    if prefix == "common":
        prefix = "oos"
    counted = f"{prefix}/n_obs" if prefix in ("oos", "holdout") else "fit/n_obs"
    rows = _different(comparison, counted)
    if len(rows) < 2:
        return []
    span = f"{min(rows):,.0f} to {max(rows):,.0f}"
    common = _different(comparison, "common/n_obs")
    if not common:
        apart = "jobs that differ there are not compared on the same rows"
        return [f"The scores are of {span} rows: {apart}."]
    most = max(common)
    shared = f"ranks and scores common/... are of the {most:,.0f} rows"
    return [f"The scores oos/... are of {span} rows: {shared} that all of them forecast."]


def _different(comparison: Ranked, metric: str) -> set[float]:
    """The different values of a metric over the finished jobs that have it."""
    every = [outcome.metrics for outcome in comparison.outcomes]
    return {metrics[metric] for metrics in every if metric in metrics}


def _rows(comparison: Ranked) -> list[str]:
    """Whether the jobs are fitted on the same cells of one panel, and which these are."""
    samples = []
    different = set()
    for outcome in comparison.outcomes:
        sample = outcome.about.get("rows")
        if sample:
            samples.append(sample)
            # the digest is of places in the panel: on other data these are other cells
            different.add((outcome.about.get("fingerprint"), sample["digest"]))
    if len(samples) < 2:
        return []
    if len(different) == 1:
        return [f"All in-sample fits are on the same {count(samples[0]['used'], 'observation')}."]
    kinds = {sample["kind"] for sample in samples}
    if "own" in kinds:
        why = (
            "with model.rows=own each has those of its own regressors; "
            "model.rows=common uses the same for all"
        )
    else:
        why = "model.rows=common makes them the same where features, data and target are"
    used = [sample["used"] for sample in samples]
    fewest = min(used)
    span = f"{fewest:,} each"
    if min(used) < max(used):
        span = f"{min(used):,} to {max(used):,}"
    apart = "their coefficients and R2 are not on the same ones"
    return [f"In-sample fits use different observations ({span}): {apart}; {why}."]


def _terms(comparison: Ranked) -> list[str]:
    """What the comparison of coefficients leaves out."""
    sentences = []
    outcomes = comparison.outcomes
    means = sum("mean" in set(outcome.central["scope"]) for outcome in outcomes)
    if means:
        rest = "; the rest is in each job's coefficients.csv" if comparison.only_means else ""
        jobs = count(means, "job")
        units = "assets, dates or groups"
        sentences.append(f"Of {jobs} with several {units} the means over these are compared{rest}.")
    without = sum(
        len(outcome.coefficients) > 0 and not len(outcome.central) for outcome in outcomes
    )
    if without:
        jobs = count(without, "job")
        sentences.append(
            f"{jobs} with several regressions and no mean over them: in no table of coefficients."
        )
    asked = comparison.plan.settings.tests or []
    if outcomes:
        present = set(comparison.central["term"])
        absent = [term for term in asked if term not in present]
        if absent:
            sentences.append(f"No finished job has the term {', '.join(absent)} of sweep.tests.")
    return sentences
