"""What one must know before comparing the jobs of a sweep, in sentences."""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

from runner.sweeps.comparison.sameness import unchanging
from runner.text import count, number

if TYPE_CHECKING:
    from runner.sweeps.comparison.comparison import Comparison

MOST_NAMED = 8  # jobs listed by number


def caveats(found: Comparison) -> list[str]:
    """A sentence for each thing that bears on the comparison; nothing where nothing does."""
    return [
        *_jobs(found),
        *_data(found),
        *_score(found),
        *_later_rows(found),
        *_sameness(found),
        *_rows(found),
        *_unchanging(found),
        *_terms(found),
    ]


def _jobs(found: Comparison) -> list[str]:
    told = found.failures["outcome"].value_counts()
    lost = ", ".join(f"{told[one]} {one}" for one in ("failed", "not run") if one in told)
    total = len(found.plan.jobs)
    keys = f" that differ in {', '.join(found.names)}" if found.names else ""
    return [
        f"{len(found.outcomes)} of {count(total, 'job')}{keys} finished{f' ({lost})' if lost else ''}."
    ]


def _data(found: Comparison) -> list[str]:
    """What looks wrong in the data of the jobs, or was read in a way to know."""
    jobs = len(found.outcomes)
    told = Counter(note for outcome in found.outcomes for note in outcome.about.get("notes") or ())
    return [
        note if times == jobs else f"{note} (In {times} of {jobs} jobs.)"
        for note, times in told.items()
    ]


def _score(found: Comparison) -> list[str]:
    """What ranks, how far apart the scores are, and what being the best of many is worth."""
    values = [value for value in map(found.score_of, found.first_block) if value is not None]
    said = [found.fallback] if found.fallback else []
    if not values:
        return said
    first, order = values.count(values[0]), "smallest" if found.lower_is_better else "largest"
    who = ", ".join(str(one.job.number) for one in found.first_block[: min(first, MOST_NAMED)])
    more = f" and {first - MOST_NAMED} more" if first > MOST_NAMED else ""
    subject = f"Job {who} has" if first == 1 else f"Jobs {who}{more} have"
    best = f"{subject} the {order} {found.score}"
    middle = (
        f"the median of all {len(values)} is {number(median(values))}, " if len(values) > 2 else ""
    )
    last = f"; {middle}the last is {number(values[-1])}" if len(values) > 1 else ""
    said.append(f"{best}, {number(values[0])}{last}.")
    different = len(set(values))
    if different > 1:
        said.append(
            f"The best was chosen among {different} different scores by its own score, which tends to flatter it: "
            "on rows that no job was scored on, expect less."
        )
    without = sum(found.score_of(one) is None for one in found.ranked)
    if without:
        said.append(f"{count(without, 'job')} without {found.score}: last, without a rank.")
    return said


def _later_rows(found: Comparison) -> list[str]:
    """Which jobs do not forecast, since they were trained on rows after those they were tested
    on.
    """
    later = [str(one.job.number) for one in found.ranked if found.cross_validated(one)]
    if not later:
        return []
    who = ", ".join(later[:MOST_NAMED]) + (
        f" and {len(later) - MOST_NAMED} more" if len(later) > MOST_NAMED else ""
    )
    after = (
        ""
        if len(later) == len(found.ranked)
        else "; ranked in a block of their own, after the forecasts"
    )
    subject = f"Job {who} is" if len(later) == 1 else f"Jobs {who} are"
    return [
        f"{subject} cross-validated on training rows that include later ones: no forecast{after}."
    ]


def _unchanging(found: Comparison) -> list[str]:
    """Keys that the numbers of the jobs do not depend on."""
    return [
        f"{found.names[name]} changes nothing: jobs that differ in it alone have the same numbers (to 1e-9)."
        for name in unchanging(
            found.choices, {one.job.number: one.metrics for one in found.outcomes}
        )
    ]


def _sameness(found: Comparison) -> list[str]:
    """Whether the scores are of the same rows and kind, and honest."""
    said, part = [], found.score.partition("/")[0]
    families = {one.job.family for one in found.outcomes}
    if len(families) > 1:
        said.append(
            f"Jobs have {len(families)} different data or targets: their scores are not of the same rows."
        )
    part = "oos" if part == "common" else part
    counted = f"{part}/n_obs" if part in ("oos", "holdout") else "fit/n_obs"
    rows = {one.metrics[counted] for one in found.outcomes if counted in one.metrics}
    if len(rows) > 1 and len(families) < 2:
        span = f"{min(rows):,.0f} to {max(rows):,.0f}"
        common = {
            one.metrics["common/n_obs"] for one in found.outcomes if "common/n_obs" in one.metrics
        }
        told = "jobs that differ there are not compared on the same rows."
        if common:
            told = f"ranks and scores common/... are of the {max(common):,.0f} rows that all of them forecast."
        said.append(f"The scores {'oos/... ' if common else ''}are of {span} rows: {told}")
    kinds = sorted({str(one.about.get("kind")) for one in found.outcomes})
    if len(kinds) > 1:
        said.append(
            f"Some jobs are {kinds[0]}, some {kinds[1]}: the one kind explains, the other forecasts."
        )
    leaking = [str(one.job.number) for one in found.outcomes if one.about.get("leaks")]
    if leaking:
        who = ", ".join(leaking[:MOST_NAMED])
        said.append(f"LEAKING: {count(len(leaking), 'job')} ({who}) used what came after.")
    return said


def _rows(found: Comparison) -> list[str]:
    """Whether the jobs are fitted on the same cells of one panel, and which these are."""
    told = [one.about["rows"] for one in found.outcomes if one.about.get("rows")]
    different = {rows["digest"] for rows in told}
    if len(told) < 2:
        return []
    if len(different) == 1:
        return [f"All in-sample fits are on the same {count(told[0]['used'], 'cell')}."]
    used = [rows["used"] for rows in told]
    kinds = {rows["kind"] for rows in told}
    if "own" in kinds:
        why = "with model.rows=own each has those of its own regressors; model.rows=common compares them on the same"
    else:
        why = "model.rows=common makes them the same within one set of features, data and target, not between several"
    span = (
        f"{min(used):,} to {max(used):,} cells"
        if min(used) < max(used)
        else f"{min(used):,} cells each"
    )
    apart = "their coefficients and R2 are not compared on the same rows"
    return [f"In-sample fits are on different rows ({span}): {apart}; {why}."]


def _terms(found: Comparison) -> list[str]:
    """What the comparison of coefficients leaves out."""
    said = []
    means = sum("mean" in set(one.central["scope"]) for one in found.outcomes)
    if means:
        each = "; the rest is in each job's coefficients.csv" if found.only_means else ""
        said.append(
            f"Of {count(means, 'job')} with several units the means over units are compared{each}."
        )
    without = sum(len(one.coefficients) > 0 and not len(one.central) for one in found.outcomes)
    if without:
        said.append(
            f"{count(without, 'job')} with several units and no mean over them: in no table of coefficients."
        )
    asked = found.plan.settings.tests or []
    absent = [term for term in asked if found.outcomes and term not in set(found.central["term"])]
    if absent:
        said.append(f"No finished job has the term {', '.join(absent)} of sweep.tests.")
    return said
