"""Runs the jobs of a sweep by its executor, each until its outcome is on disk.

The outcome of a job is its run directory, or why there is none. Futures only say that a job has
ended; one whose future raises failed, and may be tried again (`sweep.retries`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import TYPE_CHECKING, Any

from runner.compute.executors.executor import AHEAD, Executor
from runner.compute.executors.slurm import Slurm, look_again
from runner.errors import RunnerError, SpecError
from runner.experiment.settings import executor_class
from runner.sweeps import slurm
from runner.sweeps.plan import Failure, Job, Plan
from runner.sweeps.work import out_of_time, work, work_on

if TYPE_CHECKING:
    from runner.compute.cache import Bench

GRACE = 5.0  # seconds that a job has beyond its time limit before its process is killed
WORKERS = 2  # jobs at a time of an executor that does not say
Launcher = Executor  # its name before executors ran more than sweeps, which own classes import


def check_jobs(plan: Plan) -> None:
    """Refuse, before anything runs, an executor that cannot be had, or cannot keep the time limit.

    Raises:
        SpecError: one line each.
    """
    kind, _ = executor_class(plan.executor, plan.allow)
    limit = plan.settings.timeout
    if limit is not None and kind.in_threads:
        raise SpecError(
            f"sweep.timeout: {limit:g} s for jobs in threads of {kind.__name__.lower()}, which "
            "cannot be interrupted; allowed: null, or executor=processes"
        )


def at_a_time(plan: Plan) -> int:
    """How many jobs a search led by scores asks for at a time."""
    kind, settings = executor_class(plan.executor, plan.allow)
    return 1 if kind.here else settings.get("workers", WORKERS)


def take_over(plan: Plan) -> None:
    """End what a killed conductor of the sweep left running on a cluster.

    Raises:
        RunnerError: the cluster does not answer.
    """
    kind, _ = executor_class(plan.executor, plan.allow)
    if issubclass(kind, Slurm):
        slurm.cancel(plan)


def outcomes(executor: Executor, plan: Plan, jobs: Sequence[Job], bench: Bench) -> Generator[Job]:
    """The jobs, each as soon as its outcome is on disk, in any order.

    Closing the generator drops what waits; what runs ends with the executor.

    Args:
        bench: what the conductor has read.

    Raises:
        RunnerError: the workers cannot do any job: no cluster answers, or they see no directory.
    """
    if executor.here:
        yield from _inline(plan, jobs, bench)
    elif isinstance(executor, Slurm):
        yield from slurm.outcomes(executor, plan, jobs)
    else:
        yield from _submitted(executor, plan, jobs)


def _inline(plan: Plan, jobs: Sequence[Job], bench: Bench) -> Iterator[Job]:
    """One job after the other, on what the conductor has read."""
    for job in jobs:
        work(plan, job, bench)
        yield job


def _submitted(executor: Executor, plan: Plan, jobs: Sequence[Job]) -> Iterator[Job]:
    """Jobs that workers take, some of which wait: none of these for the conductor to look."""
    if plan.settings.timeout is not None:
        executor.timeout = plan.settings.timeout + GRACE
    waiting = list(reversed(jobs))
    running: dict[Future[Any], Job] = {}
    try:
        while waiting or running:
            most = AHEAD * executor.at_a_time()
            while waiting and len(running) < most:
                job = waiting.pop()
                running[_future_of(executor, plan, job)] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                _keep_reason(executor, plan, job, future)
                yield job
    finally:
        for future in running:
            future.cancel()


def _future_of(executor: Executor, plan: Plan, job: Job) -> Future[Any]:
    """The future of a job; one that raises where the job could not be submitted.

    Raises:
        RunnerError: no job can be.
    """
    try:
        future = executor.submit(work_on, plan.directory, job.number)
        if not isinstance(future, Future):
            given = type(future).__name__
            raise TypeError(f"submit gave {given}; allowed: a concurrent.futures.Future")
    except RunnerError:
        raise
    except Exception as error:
        future = Future()
        future.set_exception(error)
    return future


def _keep_reason(executor: Executor, plan: Plan, job: Job, future: Future[Any]) -> None:
    """Keep why the job ended without an outcome, if it did.

    Raises:
        RunnerError: its worker can do no job.
    """
    try:
        error = future.exception()
    except CancelledError as cancelled:
        error = cancelled
    if isinstance(error, SpecError):
        raise RunnerError([f"executor: a worker cannot join: {line}" for line in error.mistakes])
    if isinstance(error, RunnerError):
        raise error
    reason = "" if error is None else _reason(executor, plan, error)
    if not reason:
        look_again(plan.directory)
        if not plan.done(job) and plan.failure(job) is None:
            reason = "executor: it ended without results"
    if reason:
        plan.fail(job, Failure((reason,), final=False))


def _reason(executor: Executor, plan: Plan, error: BaseException) -> str:
    """Why a job has no outcome whose future raised this error."""
    if isinstance(error, TimeoutError) and plan.settings.timeout is not None:
        return out_of_time(plan)
    message = " ".join(str(error).split())
    return executor.lost(error) or f"executor: raised {type(error).__name__}: {message}"
