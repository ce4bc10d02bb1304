"""Draws led by the scores so far: Optuna's tree-structured Parzen estimator.

What is proposed follows from the jobs and scores so far and from the seed, so a sweep that was
ended goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runner.errors import SpecError
from runner.sweeps.axes import Axis, Tried
from runner.sweeps.settings import Sweep

if TYPE_CHECKING:
    import optuna

MISSES = 50  # proposals in a row that are jobs already


def propose(
    axes: Sequence[Axis], sweep: Sweep, history: Sequence[Tried], most: int
) -> list[tuple[str, ...]]:
    """The next combinations, each once; none where there are no more.

    Raises:
        SpecError: Optuna is not installed.
    """
    study = _study(axes, sweep, history)
    distributions = _distributions(axes)
    known = {tried.differs for tried in history}
    proposals: list[tuple[str, ...]] = []
    misses = 0
    while len(proposals) < most and misses < MISSES:
        trial = study.ask(distributions)
        differs = tuple(_override(axis, trial.params[axis.key]) for axis in axes)
        if differs in known:
            misses += 1
        else:
            proposals.append(differs)
            known.add(differs)
    return proposals


def _study(axes: Sequence[Axis], sweep: Sweep, history: Sequence[Tried]) -> optuna.Study:
    """A study that knows every job so far and its score.

    Raises:
        SpecError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise SpecError(
            "sweep.search: bayes needs Optuna: pip install 'factor-runner[bayes]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    direction = optuna.study.StudyDirection.MAXIMIZE
    if sweep.lower_is_better:
        direction = optuna.study.StudyDirection.MINIMIZE
    seed = sweep.seed + len(history)
    sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    study = optuna.create_study(direction=direction, sampler=sampler)
    distributions = _distributions(axes)
    for tried in history:
        params = {}
        for axis, override in zip(axes, tried.differs, strict=True):
            params[axis.key] = _value(axis, override)
        state = optuna.trial.TrialState.COMPLETE
        if tried.score is None:
            state = optuna.trial.TrialState.FAIL
        trial = optuna.trial.create_trial(
            params=params, distributions=distributions, value=tried.score, state=state
        )
        study.add_trial(trial)
    return study


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
