"""Jobs on a Slurm cluster: several Slurm jobs at a time, each working through its share.

Slurm is asked what became of a Slurm job; what became of the jobs in it is on disk. All Slurm jobs
of a sweep bear one name, by which those that a killed conductor left are found: no list of them
could miss one.
"""

from __future__ import annotations

import math
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.errors import RunnerError, SpecError, unknown
from runner.sweeps.plan import STATE, Failure, Job, Plan
from runner.sweeps.settings import Sweep
from runner.sweeps.work import own, work

LOOK = 0.5  # seconds between looks at the disk
ASK = 3.0  # seconds between questions to Slurm
ENDED = {
    "BOOT_FAIL": "its node did not start",
    "CANCELLED": "it was cancelled",
    "COMPLETED": "it ended",
    "DEADLINE": "its deadline passed",
    "FAILED": "it was killed or failed",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "out of memory",
    "PREEMPTED": "it gave way to another",
    "REVOKED": "it was revoked",
    "TIMEOUT": "its time was over (sweep.slurm.time)",
}
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# of a Slurm job, what the sweep itself sets
OWN = ("job_name", "nodes", "ntasks_per_node", "array_parallelism")


@dataclass
class Chunk:
    """A Slurm job: its jobs without an outcome so far, in order, and how many have one."""

    left: list[Job]
    done: int = 0
    ended: str = ""  # what Slurm said of its end


def check(settings: Sweep) -> None:
    """Refuse what cannot be submitted.

    Raises:
        SpecError: submitit or Slurm is not here; a parameter that submitit does not know.
    """
    try:
        from submitit import SlurmExecutor
    except ImportError:
        raise SpecError(
            "sweep.launcher: slurm needs submitit; pip install 'factor-runner[slurm]'"
        ) from None
    if not (shutil.which("sbatch") and shutil.which("srun")):
        raise SpecError(
            "sweep.launcher: slurm: no sbatch and srun here; "
            "allowed: a machine that submits to Slurm"
        )
    allowed = sorted(SlurmExecutor._valid_parameters() - {*OWN})
    names = [name for name in settings.slurm if name not in allowed]
    if names:
        raise SpecError([f"sweep.slurm: {unknown(name, allowed)}" for name in names])


def outcomes(plan: Plan, jobs: Sequence[Job]) -> Generator[Job]:
    """In Slurm jobs; one that ends early fails the job it was at, and those after it wait again."""
    waiting = list(jobs)
    running: dict[str, Chunk] = {}
    asked = 0.0  # when Slurm last answered
    for job in jobs:
        plan.forget(job)
    executor = _executor(plan)
    try:
        while waiting or running:
            _submit(plan, executor, waiting, running)
            time.sleep(LOOK)
            states = _states(plan) if time.monotonic() > asked + ASK else None
            if states is not None:
                asked = time.monotonic()
            _look_again(plan.directory)
            for number, chunk in list(running.items()):
                yield from _outcomes(plan, chunk)
                if chunk.left and states is not None:
                    yield from _lost(plan, number, chunk, states.get(number, "COMPLETED"), waiting)
                if not chunk.left:
                    del running[number]
    finally:
        _scancel(list(running))


def cancel(plan: Plan) -> None:
    """End the Slurm jobs that a killed conductor of the sweep left, and wait until they are gone.

    Raises:
        RunnerError: Slurm does not answer.
    """
    left = _not_ended(plan)
    while left:
        _scancel(left)
        time.sleep(LOOK)
        left = _not_ended(plan)


def _not_ended(plan: Plan) -> list[str]:
    """Slurm jobs of the sweep that wait or run, by id."""
    return [number for number, state in _asked(plan).items() if state not in ENDED]


def _submit(plan: Plan, executor: Any, waiting: list[Job], running: dict[str, Chunk]) -> None:
    """Fill the places with shares of what waits.

    Shares get smaller as less is left, so that all places end at about the same time.

    Raises:
        RunnerError: Slurm takes none.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    places = plan.settings.workers
    while waiting and len(running) < places:
        size = math.ceil(len(waiting) / (2 * places))
        share = waiting[:size]
        numbers = [job.number for job in share]
        try:
            slurm_job = executor.submit(work_through, str(plan.directory.resolve()), numbers)
        except (FailedJobError, FailedSubmissionError) as error:
            if running:  # a limit of the cluster, perhaps: later
                return
            lines = [line for line in str(error).splitlines() if line.strip()]
            reason = lines[-1] if lines else "sbatch failed"
            raise RunnerError(f"sweep.slurm: {reason}") from None
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


def _executor(plan: Plan) -> Any:
    """What submits jobs that run here, with what Python imports here and our number of threads.

    Raises:
        SpecError: a parameter that submitit does not take.
    """
    from submitit import SlurmExecutor

    environment = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    for name in THREADS:
        environment[name] = os.environ.get(name, "1")
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    executor = SlurmExecutor(plan.directory.resolve() / STATE / "slurm", max_num_timeout=0)
    parameters = {"time": None, **plan.settings.slurm, "job_name": _name(plan)}
    try:
        setup = [*parameters.pop("setup", []), f"cd {shlex.quote(os.getcwd())}", *exports]
        executor.update_parameters(**parameters, setup=setup)
    except (TypeError, ValueError) as error:
        raise SpecError(f"sweep.slurm: {' '.join(str(error).split())}") from None
    return executor


def work_through(directory: str, numbers: Sequence[int]) -> None:
    """What a Slurm job does: these jobs, one after the other, until its time is nearly over."""
    warnings: list[int] = []

    def warned(number: int, frame: object) -> None:
        warnings.append(number)

    for name in (signal.SIGTERM, signal.SIGCONT):  # submitit would not let it be ended
        signal.signal(name, signal.SIG_DFL)
    for name in (signal.SIGUSR1, signal.SIGUSR2):  # comes sweep.slurm.signal_delay_s before the end
        signal.signal(name, warned)
    plan, bench = own(Path(directory))
    for position, number in enumerate(numbers):
        if warnings and position > 0:
            return
        job = plan.jobs[number]
        # one that failed has been tried: Slurm began the Slurm job again
        if plan.failure(job) is None:
            work(plan, job, bench)


def _name(plan: Plan) -> str:
    """Of every Slurm job of the sweep, and of no other."""
    return f"sweep-{plan.id}"


def _asked(plan: Plan) -> dict[str, str]:
    """The state of each Slurm job of the sweep that Slurm knows of, by id.

    Raises:
        RunnerError: Slurm does not answer.
    """
    command = [
        "squeue",
        "--me",
        "--noheader",
        "--states=all",
        f"--name={_name(plan)}",
        "--format=%i|%T",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        lines = answer.stderr.splitlines() or ["squeue failed"]
        raise RunnerError(f"sweep.launcher: slurm: {lines[0]}")
    states = {}
    for line in answer.stdout.split():
        number, state = line.split("|")
        states[number] = state
    return states


def _states(plan: Plan) -> dict[str, str] | None:
    """The states of `_asked`, None where Slurm does not answer now: it may later."""
    try:
        return _asked(plan)
    except RunnerError:
        return None


def _scancel(numbers: Sequence[str]) -> None:
    """End these Slurm jobs."""
    if numbers:
        subprocess.run(["scancel", "--quiet", *numbers], capture_output=True, check=False)


def _look_again(directory: Path) -> None:
    """Opening a directory makes a network file system forget which files were not there."""
    for folder in (directory, directory / STATE):
        descriptor = os.open(folder, os.O_RDONLY)
        os.close(descriptor)
