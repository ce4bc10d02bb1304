"""Draws led by the scores so far: Optuna's tree-structured Parzen estimator, told of every job of
the plan.

What is proposed follows from the jobs and scores in the sweep's directory and from the seed, so a
sweep that was ended goes on as if it had not been.
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
    """The plan with the next jobs, as many as run at a time; the same plan where no more are to be
    had.

    Raises:
        SpecError: Optuna is not installed; a score that no job has.
    """
    study = _study(plan)
    room = 1 if plan.settings.launcher == "inline" else plan.settings.workers
    jobs, misses = list(plan.jobs), 0
    while len(jobs) < plan.to_do() and len(jobs) - len(plan.jobs) < room and misses < MISSES:
        trial = study.ask(_distributions(plan.axes))
        differs = tuple(_override(axis, trial.params[axis.key]) for axis in plan.axes)
        if differs in {job.differs for job in jobs}:
            misses += 1
        else:
            jobs.append(job_of(len(jobs), differs))
    return replace(plan, jobs=tuple(jobs))


def _study(plan: Plan) -> optuna.Study:
    """A study that knows every job of the plan and its score."""
    try:
        import optuna
    except ImportError:
        raise SpecError(
            "sweep.search: bayes needs Optuna: pip install 'factor-runner[bayes]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    down = optuna.study.StudyDirection.MINIMIZE
    direction = down if plan.settings.lower_is_better else optuna.study.StudyDirection.MAXIMIZE
    sampler = optuna.samplers.TPESampler(
        seed=plan.settings.seed + len(plan.jobs), constant_liar=True
    )
    study = optuna.create_study(direction=direction, sampler=sampler)
    distributions = _distributions(plan.axes)
    for job in plan.jobs:
        params = {
            axis.key: _value(axis, text) for axis, text in zip(plan.axes, job.differs, strict=True)
        }
        score = _score(plan, job)
        state = optuna.trial.TrialState.FAIL if score is None else optuna.trial.TrialState.COMPLETE
        study.add_trial(
            optuna.trial.create_trial(
                params=params, distributions=distributions, value=score, state=state
            )
        )
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
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    return {
        axis.key: CategoricalDistribution(axis.values)
        if axis.values
        else FloatDistribution(axis.low, axis.high, log=axis.log)
        for axis in axes
    }


def _override(axis: Axis, value: Any) -> str:
    return str(value) if axis.values else f"{axis.key}={value!r}"


def _value(axis: Axis, override: str) -> Any:
    return override if axis.values else float(override.partition("=")[2])
