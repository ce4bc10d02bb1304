"""Who runs the jobs: this process, several, or a cluster.

Each gives jobs back as their outcomes are on disk.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from runner.compute.cache import Bench
from runner.sweeps.plan import Failure, Job, Plan
from runner.sweeps.slurm import slurm
from runner.sweeps.work import out_of_time, work, work_on

Launcher = Callable[[Plan, Sequence[Job], Bench], Generator[Job]]
GRACE = 5.0  # seconds that a job has beyond its time limit before its process is killed
CHECK = 1.0  # seconds between looks at whether the parent is still there


def inline(plan: Plan, jobs: Sequence[Job], bench: Bench) -> Generator[Job]:
    """One after the other, here."""
    for job in jobs:
        work(plan, job, bench)
        yield job


def processes(plan: Plan, jobs: Sequence[Job], bench: Bench) -> Generator[Job]:
    """In several processes of this machine, each with its own bench.

    One that dies fails its job and no other.
    """
    from multiprocessing import get_context

    from pebble import ProcessPool

    timeout = plan.settings.timeout
    limit = None if timeout is None else timeout + GRACE
    waiting = list(reversed(jobs))
    running: dict[Future[Any], Job] = {}
    pool = ProcessPool(
        min(plan.settings.workers, max(len(jobs), 1)),
        initializer=_end_with,
        initargs=[os.getpid()],
        context=get_context("spawn"),
    )
    try:
        while waiting or running:
            while waiting and len(running) < 2 * plan.settings.workers:
                job = waiting.pop()
                future: Future[Any] = pool.schedule(
                    work_on, args=[plan.directory, job.number], timeout=limit
                )
                running[future] = job
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                _keep_reason(plan, job, future)
                yield job
    finally:
        pool.stop()
        pool.join()


def _keep_reason(plan: Plan, job: Job, future: Future) -> None:
    """Keep why the process of the job ended without an outcome, if it did."""
    from pebble import ProcessExpired

    try:
        future.result()
    except TimeoutError:
        plan.fail(job, Failure((out_of_time(plan),), final=False))
    except ProcessExpired as error:
        reason = "its process ended"
        if error.exitcode < 0:
            reason = f"its process was killed by signal {-error.exitcode}"
        plan.fail(job, Failure((f"{reason} (out of memory?)",), final=False))


def _end_with(parent: int) -> None:
    """A worker whose parent was killed ends too."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(CHECK)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


LAUNCHERS: dict[str, Launcher] = {"inline": inline, "processes": processes, "slurm": slurm}
