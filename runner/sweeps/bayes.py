"""Draws led by the scores so far: Optuna's tree-structured Parzen estimator.

It is given every job of the plan. What is proposed follows from the jobs and scores in the sweep's
directory and from the seed, so a sweep that was ended goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runner.errors import SpecError, unknown
from runner.record.rundir import RunDirectory
from runner.sweeps.plan import Job, Plan
from runner.sweeps.search import Axis

if TYPE_CHECKING:
    import optuna

MISSES = 50  # proposals in a row that are jobs already


def more(plan: Plan, job_of: Callable[[int, Sequence[str]], Job]) -> Plan:
    """The plan with the next jobs, as many as run at a time; the same plan where there are no more.

    Raises:
        SpecError: Optuna is not installed; a score that no job has.
    """
    study = _study(plan)
    at_a_time = 1 if plan.settings.launcher == "inline" else plan.settings.workers
    most = min(plan.to_do(), len(plan.jobs) + at_a_time)
    distributions = _distributions(plan.axes)
    jobs = list(plan.jobs)
    known = {job.differs for job in jobs}
    misses = 0
    while len(jobs) < most and misses < MISSES:
        trial = study.ask(distributions)
        differs = tuple(_override(axis, trial.params[axis.key]) for axis in plan.axes)
        if differs in known:
            misses += 1
        else:
            job = job_of(len(jobs), differs)
            jobs.append(job)
            known.add(job.differs)
    return replace(plan, jobs=tuple(jobs))


def _study(plan: Plan) -> optuna.Study:
    """A study that knows every job of the plan and its score.

    Raises:
        SpecError: Optuna is not installed; a score that no job has.
    """
    try:
        import optuna
    except ImportError:
        raise SpecError(
            "sweep.search: bayes needs Optuna: pip install 'factor-runner[bayes]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction = optuna.study.StudyDirection.MAXIMIZE
    if plan.settings.lower_is_better:
        direction = optuna.study.StudyDirection.MINIMIZE
    seed = plan.settings.seed + len(plan.jobs)
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.create_study(direction=direction, sampler=sampler)
    distributions = _distributions(plan.axes)
    for job in plan.jobs:
        params = {}
        for axis, override in zip(plan.axes, job.differs, strict=True):
            params[axis.key] = _value(axis, override)
        score = _score(plan, job)
        state = optuna.trial.TrialState.COMPLETE
        if score is None:
            state = optuna.trial.TrialState.FAIL
        trial = optuna.trial.create_trial(
            params=params, distributions=distributions, value=score, state=state
        )
        study.add_trial(trial)
    return study


def _score(plan: Plan, job: Job) -> float | None:
    """The score of a finished job, None of one that failed.

    Raises:
        SpecError: the job has results without that metric.
    """
    if not plan.done(job):
        return None
    metrics = RunDirectory(plan.place(job)).metrics
    if plan.settings.score not in metrics:
        raise SpecError(f"sweep.score: {unknown(plan.settings.score, metrics)}")
    return metrics[plan.settings.score]


def _distributions(axes: Sequence[Axis]) -> dict[str, Any]:
    """What Optuna draws each key from: its overrides, or its interval."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    distributions: dict[str, Any] = {}
    for axis in axes:
        if axis.values:
            distributions[axis.key] = CategoricalDistribution(axis.values)
        else:
            distributions[axis.key] = FloatDistribution(axis.low, axis.high, log=axis.log)
    return distributions


def _override(axis: Axis, value: Any) -> str:
    """The override of a value that Optuna drew."""
    return str(value) if axis.values else f"{axis.key}={value!r}"


def _value(axis: Axis, override: str) -> Any:
    """The value that Optuna knows an override by."""
    return override if axis.values else float(override.partition("=")[2])
