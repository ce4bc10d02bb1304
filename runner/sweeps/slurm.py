"""Jobs of a sweep on a Slurm cluster: several Slurm jobs at a time, each working through its share.

Slurm is asked what became of a Slurm job; what became of the jobs in it is on disk. All Slurm jobs
of a sweep bear one name, by which those that a killed conductor left are found.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from runner.compute.executors.slurm import ASK, ENDED, LOOK, Queue, Slurm, look_again
from runner.errors import RunnerError
from runner.sweeps.plan import STATE, Failure, Job, Plan
from runner.sweeps.work import own, work


@dataclass
class Chunk:
    """A Slurm job: its jobs without an outcome so far, in order, and how many have one."""

    left: list[Job]
    done: int = 0
    ended: str = ""  # what Slurm said of its end


def outcomes(slurm: Slurm, plan: Plan, jobs: Sequence[Job]) -> Generator[Job]:
    """In Slurm jobs; one that ends early fails the job it was at, and those after it wait again."""
    waiting = list(jobs)
    running: dict[str, Chunk] = {}
    asked = 0.0  # when Slurm last answered
    for job in jobs:
        plan.forget(job)
    queue = queue_of(plan, slurm.parameters)
    try:
        while waiting or running:
            _submit(plan, queue, slurm.workers, waiting, running)
            time.sleep(LOOK)
            states = queue.answer() if time.monotonic() > asked + ASK else None
            if states is not None:
                asked = time.monotonic()
            look_again(plan.directory, plan.directory / STATE)
            for number, chunk in list(running.items()):
                yield from _outcomes(plan, chunk)
                if chunk.left and states is not None:
                    yield from _lost(plan, number, chunk, states.get(number, "COMPLETED"), waiting)
                if not chunk.left:
                    del running[number]
    finally:
        queue.cancel(list(running))


def queue_of(plan: Plan, parameters: Mapping[str, object] = MappingProxyType({})) -> Queue:
    """The Slurm jobs of a sweep, and of no other."""
    return Queue(f"sweep-{plan.id}", plan.directory / STATE / "slurm", parameters)


def cancel(plan: Plan) -> None:
    """End the Slurm jobs that a killed conductor of the sweep left, and wait until they are gone.

    Raises:
        RunnerError: Slurm does not answer.
    """
    queue = queue_of(plan)
    left = _not_ended(queue)
    while left:
        queue.cancel(left)
        time.sleep(LOOK)
        left = _not_ended(queue)


def _not_ended(queue: Queue) -> list[str]:
    """Slurm jobs that wait or run, by id."""
    return [number for number, state in queue.ask().items() if state not in ENDED]


def _submit(
    plan: Plan, queue: Queue, places: int, waiting: list[Job], running: dict[str, Chunk]
) -> None:
    """Fill the places with shares of what waits.

    Shares get smaller as less is left, so that all places end at about the same time.

    Raises:
        RunnerError: Slurm takes none.
    """
    while waiting and len(running) < places:
        size = math.ceil(len(waiting) / (2 * places))
        share = waiting[:size]
        numbers = [job.number for job in share]
        try:
            slurm_job = queue.submit(work_through, str(plan.directory.resolve()), numbers)
        except RunnerError:
            if running:  # a limit of the cluster, perhaps: later
                return
            raise
        del waiting[: len(share)]
        running[slurm_job.job_id] = Chunk(share)


def _outcomes(plan: Plan, chunk: Chunk) -> Iterator[Job]:
    """Jobs of the chunk whose outcome came since the last look."""
    while chunk.left and (plan.done(chunk.left[0]) or plan.failure(chunk.left[0])):
        chunk.done += 1
        yield chunk.left.pop(0)


def _lost(plan: Plan, number: str, chunk: Chunk, state: str, waiting: list[Job]) -> Iterator[Job]:
    """The first job without an outcome of a Slurm job that has ended failed; the others wait again.

    The first one waits again too where the Slurm job had done others and ended for want of time.
    """
    if state not in ENDED:
        return
    if not chunk.ended:  # what it wrote last may not be seen here yet
        chunk.ended = state
        return
    out_of_time = chunk.ended in ("COMPLETED", "PREEMPTED", "TIMEOUT")
    if not (chunk.done and out_of_time):
        job = chunk.left.pop(0)
        log = plan.directory / STATE / "slurm" / f"{number}_0_log.err"
        line = f"Slurm job {number}: {ENDED[chunk.ended]} ({chunk.ended}); see {log}"
        plan.fail(job, Failure((line,), final=False))
        yield job
    waiting[:0] = chunk.left
    chunk.left = []


def work_through(directory: str, numbers: Sequence[int]) -> None:
    """What a Slurm job does: these jobs, one after the other, until its time is nearly over."""
    warnings: list[int] = []

    def warned(number: int, frame: object) -> None:
        warnings.append(number)

    for name in (signal.SIGTERM, signal.SIGCONT):  # submitit would not let it be ended
        signal.signal(name, signal.SIG_DFL)
    for name in (
        signal.SIGUSR1,
        signal.SIGUSR2,
    ):  # comes executor.parameters.signal_delay_s before the end
        signal.signal(name, warned)
    plan, bench = own(Path(directory))
    for position, number in enumerate(numbers):
        if warnings and position > 0:
            return
        job = plan.jobs[number]
        # one that failed has been tried: Slurm began the Slurm job again
        if plan.failure(job) is None:
            work(plan, job, bench)
