"""Jobs of a Slurm cluster, submitted by submitit.

Slurm is asked what became of a Slurm job. All Slurm jobs of an executor bear one name, by which
those that a killed process left are found: no list of them could miss one.
"""

from __future__ import annotations

import math
import os
import shlex
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from runner.compute.allocator import KEEPING
from runner.compute.executors.executor import AHEAD, Executor, R, T
from runner.compute.executors.local import THREADS
from runner.errors import RunnerError, SpecError, unknown
from runner.schema.settings import Rows

LOOK = 0.5  # seconds between looks at the disk
ASK = 3.0  # seconds between questions to Slurm
SHARES = 4  # Slurm jobs for each of those at a time that the calls are parted into
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
    "TIMEOUT": "its time was over (executor.parameters.time)",
}
# of a Slurm job, what the executor itself sets
OWN = ("job_name", "nodes", "ntasks_per_node", "array_parallelism")


class EndedEarlyError(Exception):
    """A Slurm job ended without its results."""


class Slurm(Executor):
    """Jobs of a Slurm cluster, in a directory that its nodes see too.

    Args:
        workers: Slurm jobs at a time.
        parameters: of the Slurm jobs as submitit names them, without `slurm_`, such as
            {partition: short, time: 60}.
    """

    def __init__(self, workers: Rows = 2, parameters: dict[str, Any] | None = None) -> None:
        self.workers = workers
        self.parameters = dict(parameters or {})
        self.queue = Queue(f"runner-{uuid4().hex[:12]}", Path("outputs/slurm"), self.parameters)
        self.waiting = ThreadPoolExecutor(AHEAD * workers)
        self.places = threading.Semaphore(workers)
        self.over = threading.Event()

    @classmethod
    def check(cls, settings: Mapping[str, Any]) -> None:
        try:
            from submitit import SlurmExecutor
        except ImportError:
            raise SpecError(
                "executor: slurm needs submitit; pip install 'factor-runner[slurm]'"
            ) from None
        if not (shutil.which("sbatch") and shutil.which("srun")):
            raise SpecError(
                "executor: slurm: no sbatch and srun here; allowed: a machine that submits to Slurm"
            )
        allowed = sorted(SlurmExecutor._valid_parameters() - {*OWN})
        given = settings.get("parameters") or {}
        names = [name for name in given if name not in allowed]
        if names:
            raise SpecError([f"executor.parameters: {unknown(name, allowed)}" for name in names])

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        return self.waiting.submit(self._run, function, arguments)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.over.set()
        self.waiting.shutdown(wait, cancel_futures=cancel_futures)

    def at_a_time(self) -> int:
        return self.workers

    def lost(self, error: BaseException) -> str:
        return str(error) if isinstance(error, EndedEarlyError) else super().lost(error)

    def results(self, function: Callable[[T], R], items: Iterable[T]) -> Generator[tuple[int, R]]:
        numbered = list(enumerate(items))
        size = math.ceil(len(numbered) / (SHARES * self.workers)) or 1
        shares = [numbered[first : first + size] for first in range(0, len(numbered), size)]
        for _, pairs in super().results(partial(each, function), shares):
            yield from pairs

    def _run(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """Wait for a place, and then for a Slurm job that does this; what it gives.

        Raises:
            EndedEarlyError: it ended without results.
            Exception: what the function raised.
        """
        with self.places:
            if self.over.is_set():
                raise EndedEarlyError("it was cancelled")
            job = self.queue.submit(outcome_of, function, *arguments)
            result, error = self._outcome(job)
        if error is not None:
            raise error
        return result

    def _outcome(self, job: Any) -> Any:
        """The result of a Slurm job, or the error of its function, once it has ended."""
        ended = ""
        while not job.paths.result_pickle.exists():
            if self.over.is_set():
                self.queue.cancel([job.job_id])
                raise EndedEarlyError("it was cancelled")
            if ended:
                line = f"Slurm job {job.job_id}: {ENDED[ended]} ({ended}); see {job.paths.stderr}"
                raise EndedEarlyError(line)
            time.sleep(LOOK)
            state = self.queue.states().get(job.job_id, "COMPLETED")
            if state in ENDED:  # what it wrote last may not be seen here yet
                ended = state
                time.sleep(LOOK)
                look_again(job.paths.folder)
        return job.result()


class Queue:
    """Slurm jobs of one name.

    Attributes:
        name: that they bear, and no others; folder: of their logs and results.
        parameters: as submitit names them.
    """

    def __init__(self, name: str, folder: Path, parameters: Mapping[str, Any]) -> None:
        self.name = name
        self.folder = folder
        self.parameters = parameters
        self.lock = threading.Lock()
        self.asked = 0.0
        self.known: dict[str, str] = {}
        self.submitter: Any = None

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """A Slurm job that calls the function, as submitit has it.

        Raises:
            RunnerError: Slurm takes none.
            SpecError: a parameter that submitit does not take.
        """
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        with self.lock:
            self.submitter = self.submitter or self._submitter()
            try:
                job = self.submitter.submit(function, *arguments)
            except (FailedJobError, FailedSubmissionError) as error:
                lines = [line for line in str(error).splitlines() if line.strip()]
                reason = lines[-1] if lines else "sbatch failed"
                raise RunnerError(f"executor: slurm: {reason}") from None
            self.known[job.job_id] = "PENDING"
            return job

    def _submitter(self) -> Any:
        """What submits jobs that run here, with our imports, memory and threads."""
        from submitit import SlurmExecutor

        environment = {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), **KEEPING}
        for name in THREADS:
            environment[name] = os.environ.get(name, "1")
        exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
        submitter = SlurmExecutor(self.folder.resolve(), max_num_timeout=0)
        parameters = {"time": None, **self.parameters, "job_name": self.name}
        try:
            setup = [*parameters.pop("setup", []), f"cd {shlex.quote(os.getcwd())}", *exports]
            submitter.update_parameters(**parameters, setup=setup)
        except (TypeError, ValueError) as error:
            raise SpecError(f"executor.parameters: {' '.join(str(error).split())}") from None
        return submitter

    def ask(self) -> dict[str, str]:
        """The state of each of its Slurm jobs that Slurm knows of, by id.

        Raises:
            RunnerError: Slurm does not answer.
        """
        command = [
            "squeue",
            "--me",
            "--noheader",
            "--states=all",
            f"--name={self.name}",
            "--format=%i|%T",
        ]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode:
            lines = answer.stderr.splitlines() or ["squeue failed"]
            raise RunnerError(f"executor: slurm: {lines[0]}")
        states = {}
        for line in answer.stdout.split():
            number, state = line.split("|")
            states[number] = state
        return states

    def answer(self) -> dict[str, str] | None:
        """The states of `ask`, None where Slurm does not answer now: it may later."""
        try:
            return self.ask()
        except RunnerError:
            return None

    def states(self) -> dict[str, str]:
        """The states as Slurm last told them, which is not asked too often."""
        with self.lock:
            if time.monotonic() > self.asked + ASK:
                self.known = self.answer() or self.known
                self.asked = time.monotonic()
            return self.known

    def cancel(self, numbers: Sequence[str]) -> None:
        """End these Slurm jobs."""
        if numbers:
            subprocess.run(["scancel", "--quiet", *numbers], capture_output=True, check=False)


def outcome_of(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Exception | None]:
    """What a Slurm job gives: the result of a call, or the error that it raised."""
    try:
        return function(*arguments), None
    except Exception as error:
        return None, error


def each(function: Callable[[T], R], share: Sequence[tuple[int, T]]) -> list[tuple[int, R]]:
    """The position of each item of a share, and what the function gives for it."""
    return [(position, function(item)) for position, item in share]


def look_again(*folders: Path) -> None:
    """Opening a directory makes a network file system forget which files were not there."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        os.close(descriptor)
