"""Who runs the jobs of a sweep: this process, several, a cluster, or an executor of a user's own.

Adding a launcher = a class here and its name in LAUNCHERS. One of a user's own is named by
`sweep.launcher={_target_: module.Class, ...}`, its module by `allow`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from typing import TYPE_CHECKING, Any

from runner.errors import SpecError
from runner.sweeps.entries import Entries
from runner.sweeps.plan import Failure, Job, Plan
from runner.sweeps.search import check_search

if TYPE_CHECKING:
    from runner.compute.cache import Bench
    from runner.sweeps.settings import Sweep

GRACE = 5.0  # seconds that a job has beyond its time limit before its process is killed
CHECK = 1.0  # seconds between looks at whether the parent is still there
REQUIRED = ("submit", "shutdown")


class Launcher:
    """Runs the jobs of a sweep, as an executor of `concurrent.futures` runs calls.

    Required are `submit` and `shutdown`: any `concurrent.futures.Executor` is a launcher, such as
    `sweep.launcher={_target_: concurrent.futures.ThreadPoolExecutor, max_workers: 2}` with
    `allow=[concurrent]`. All else has the null case below. A launcher that hands out several jobs
    at a time (Slurm) or shares what the conductor has read (inline) has `outcomes` instead.

    The outcome of a job is on disk: its run directory, or why there is none. Futures only say that
    a job has ended; one whose future raises failed, and may be tried again (`sweep.retries`).

    What is asked before anything runs is asked of the class: making an executor may start workers.
    One is made for each round of jobs, and shut down after it.

    Attributes:
        here: whether jobs run in this process, one at a time, on what the conductor has read.
    """

    here: bool = False

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Call the function with these arguments soon, here or elsewhere.

        Args:
            function: one of this package, by its module; it returns None.
            arguments: the directory of the sweep and the number of a job.
        """
        raise NotImplementedError

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing more is submitted; what waits may be dropped."""

    @classmethod
    def check(cls, settings: Sweep) -> None:
        """Refuse, before anything runs, what cannot be had on this machine; nothing.

        Raises:
            SpecError: one line each.
        """

    @classmethod
    def take_over(cls, plan: Plan) -> None:
        """End what a killed conductor of the sweep left running; nothing."""

    def prepare(self, plan: Plan, jobs: Sequence[Job]) -> None:
        """Called once before these jobs are submitted; nothing."""

    def failure(self, plan: Plan, error: BaseException) -> Failure:
        """Why a job has no outcome whose future raised this error."""
        message = " ".join(str(error).split())
        reason = f"sweep.launcher: raised {type(error).__name__}: {message}"
        return Failure((reason,), final=False)

    @classmethod
    def at_a_time(cls, settings: Sweep) -> int:
        """How many jobs run at a time."""
        return 1 if cls.here else settings.workers

    def outcomes(self, plan: Plan, jobs: Sequence[Job], bench: Bench) -> Generator[Job]:
        """The jobs, each as soon as its outcome is on disk, in any order.

        Closing the generator ends what still runs.

        Args:
            bench: what the conductor has read.
        """
        self.prepare(plan, jobs)
        waiting = list(reversed(jobs))
        running: dict[Future[Any], Job] = {}
        most = 2 * self.at_a_time(plan.settings)  # none waits for the conductor to look
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    job = waiting.pop()
                    running[self._submitted(plan, job)] = job
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    self._keep_reason(plan, job, future)
                    yield job
        finally:
            self.shutdown(wait=True, cancel_futures=True)

    def _submitted(self, plan: Plan, job: Job) -> Future[Any]:
        """The future of a job; one that raises where the job could not be submitted."""
        from runner.sweeps.work import work_on

        try:
            future = self.submit(work_on, plan.directory, job.number)
            if not isinstance(future, Future):
                given = type(future).__name__
                raise TypeError(f"submit gave {given}; allowed: a concurrent.futures.Future")
        except Exception as error:
            future = Future()
            future.set_exception(error)
        return future

    def _keep_reason(self, plan: Plan, job: Job, future: Future[Any]) -> None:
        """Keep why the job ended without an outcome, if it did."""
        try:
            error = future.exception()
        except CancelledError as cancelled:
            error = cancelled
        if error is not None:
            plan.fail(job, self.failure(plan, error))
        elif not plan.done(job) and plan.failure(job) is None:
            plan.fail(job, Failure(("sweep.launcher: it ended without results",), final=False))


class Inline(Launcher):
    """One job after the other, in this process."""

    here = True

    def outcomes(self, plan: Plan, jobs: Sequence[Job], bench: Bench) -> Generator[Job]:
        from runner.sweeps.work import work

        for job in jobs:
            work(plan, job, bench)
            yield job


class Processes(Launcher):
    """Several processes of this machine, each with its own bench.

    One that dies fails its job and no other.
    """

    def prepare(self, plan: Plan, jobs: Sequence[Job]) -> None:
        from multiprocessing import get_context

        from pebble import ProcessPool

        timeout = plan.settings.timeout
        self.limit = None if timeout is None else timeout + GRACE
        self.pool = ProcessPool(
            min(plan.settings.workers, max(len(jobs), 1)),
            initializer=_end_with,
            initargs=[os.getpid()],
            context=get_context("spawn"),
        )

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        future: Future[Any] = self.pool.schedule(function, args=list(arguments), timeout=self.limit)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.pool.stop()
        self.pool.join()

    def failure(self, plan: Plan, error: BaseException) -> Failure:
        from pebble import ProcessExpired

        from runner.sweeps.work import out_of_time

        if isinstance(error, TimeoutError):
            return Failure((out_of_time(plan),), final=False)
        if not isinstance(error, ProcessExpired):
            return super().failure(plan, error)
        reason = "its process ended"
        if error.exitcode < 0:
            reason = f"its process was killed by signal {-error.exitcode}"
        return Failure((f"{reason} (out of memory?)",), final=False)


class Slurm(Launcher):
    """Jobs of a Slurm cluster, each working through its share of the jobs of the sweep."""

    @classmethod
    def check(cls, settings: Sweep) -> None:
        from runner.sweeps import slurm

        slurm.check(settings)

    @classmethod
    def take_over(cls, plan: Plan) -> None:
        from runner.sweeps import slurm

        slurm.cancel(plan)

    def outcomes(self, plan: Plan, jobs: Sequence[Job], bench: Bench) -> Generator[Job]:
        from runner.sweeps import slurm

        yield from slurm.outcomes(plan, jobs)


LAUNCHERS: dict[str, type[Launcher]] = {
    "inline": Inline,
    "processes": Processes,
    "slurm": Slurm,
}


def _required(own: Any) -> Sequence[str]:
    """What the class must define: a launcher with outcomes of its own submits as it likes."""
    has_outcomes = getattr(own, "outcomes", Launcher.outcomes) is not Launcher.outcomes
    return ("outcomes",) if has_outcomes else REQUIRED


ENTRIES = Entries("sweep.launcher", LAUNCHERS, Launcher, _required)


def check_sweep(settings: Sweep, allow: Sequence[str]) -> None:
    """Refuse a launcher or a search that there is not.

    Raises:
        SpecError: see `Entries.check` and `check_search`; every line of both.
    """
    mistakes: list[str] = []
    try:
        ENTRIES.check(settings.launcher, allow)
    except SpecError as error:
        mistakes += error.mistakes
    try:
        check_search(settings, allow)
    except SpecError as error:
        mistakes += error.mistakes
    if mistakes:
        raise SpecError(mistakes)


def _end_with(parent: int) -> None:
    """A worker whose parent was killed ends too."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(CHECK)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
