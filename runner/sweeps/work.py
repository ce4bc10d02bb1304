"""One job of a sweep, in any process: its outcome is on disk, as a run directory or a reason."""

from __future__ import annotations

import signal
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from runner.compute.cache import Bench
from runner.errors import RunnerError, SpecError
from runner.experiment.spec import build
from runner.sinks.job import compute
from runner.sweeps.cache import bench_of
from runner.sweeps.plan import PLAN, Failure, Job, Plan, read
from runner.text import one_line


class OutOfTimeError(BaseException):
    """The time of a job is over; no code of a job may take it for an error of its own."""


_KEPT = threading.local()  # the plan and the bench of a thread: no two threads share a bench


def own(directory: Path) -> tuple[Plan, Bench]:
    """The plan, as it is written now, and the bench of a thread that works for the sweep there.

    Raises:
        SpecError: no plan is seen here.
    """
    place = directory.resolve()
    try:
        written = (place / PLAN).stat().st_mtime_ns
    except FileNotFoundError:
        raise SpecError(
            f"it does not see {str(place / PLAN)!r}; "
            "allowed: a directory that every worker sees too"
        ) from None
    if getattr(_KEPT, "of", None) != (place, written):
        plan = read(directory).refilled()
        _KEPT.parts = plan, bench_of(plan)
        _KEPT.of = place, written
    plan, bench = _KEPT.parts
    return plan, bench


def work_on(directory: Path, number: int) -> None:
    """As `work`, with the plan and the bench of this thread."""
    plan, bench = own(directory)
    work(plan, plan.jobs[number], bench)


def work(plan: Plan, job: Job, bench: Bench) -> None:
    """Run the job and leave its run directory, or why there is none."""
    with plan.held(job):
        if not plan.done(job):
            _work(plan, job, bench)


def _work(plan: Plan, job: Job, bench: Bench) -> None:
    begun = time.monotonic()
    failure: Failure | None = None
    plan.clear(job)
    try:
        with _limited(plan.settings.timeout):
            spec = {**job.spec, "report": plan.settings.report}
            experiment = build(spec, job.overrides, job.chosen)
            compute(experiment, plan.place(job), bench, plan.name)
    except RunnerError as error:
        failure = Failure(error.mistakes, final=True, outcome=error.outcome)
    except OutOfTimeError:
        failure = Failure((out_of_time(plan),), final=False)
    except Exception as error:
        message = one_line(error)
        line = f"raised {type(error).__name__}: {message}"
        failure = Failure((line,), final=False, trace=traceback.format_exc())
    if failure:
        plan.fail(job, replace(failure, seconds=time.monotonic() - begun))


def out_of_time(plan: Plan) -> str:
    """Why a job failed whose time was over."""
    return f"not done after {plan.settings.timeout:g} s (sweep.timeout)"


@contextmanager
def _limited(seconds: float | None) -> Iterator[None]:
    """Raise OutOfTimeError in the block after so many seconds.

    Raises:
        RunnerError: the block runs in a thread, which cannot be interrupted.
    """
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        raise RunnerError(
            f"sweep.timeout: {seconds:g} s for a job in a thread, which cannot be interrupted; "
            "allowed: null, or executor=processes"
        )

    def end(number: int, frame: object) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
