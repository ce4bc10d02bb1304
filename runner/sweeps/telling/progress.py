"""How a sweep goes on, in the terminal: its plan, a live count, and failures as they happen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from runner.errors import listed
from runner.progress import reading, telling
from runner.sinks.telling.console import Page
from runner.sinks.telling.waiting import Pace
from runner.text import count, duration, shown

if TYPE_CHECKING:
    from runner.sinks.machine import Form
    from runner.sweeps.plan import Failure, Job


class Progress:
    """The progress of a sweep, used as a context.

    The bar is there inside, on a terminal only; lines go to stderr everywhere.
    """

    def __init__(self, name: str, form: Form = "tables") -> None:
        self.name = name
        self.form = form
        self.jobs = 0
        self.done = 0
        self.lost = 0
        self.first_with: dict[tuple[str, ...], int] = {}  # reasons -> the first job that failed so
        self.console = Page(sys.stderr)
        hidden = form == "quiet" or not self.console.is_terminal
        self.bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=hidden,
        )
        self.task = self.bar.add_task(shown(name), total=None)
        self.notes = reading(self._say)
        self.waits = telling(self._under_way if hidden else None)
        self.pace = Pace(f"sweep {name}")

    def plan(self, jobs: int, done: int, taken: int, same: int, typical: float | None) -> None:
        """Say what is to be done before it is."""
        self.jobs = jobs
        self.done = done
        if self.form != "quiet":
            self._say(_plan(self.name, jobs, done, taken, same, typical))
        self._log()
        self.bar.update(self.task, total=jobs, completed=done)

    def __enter__(self) -> Progress:
        self.bar.start()
        self.notes.__enter__()
        self.waits.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.waits.__exit__(*error)
        self.notes.__exit__(*error)
        self.bar.stop()

    def finished(self, job: Job) -> None:
        """Count a job with results."""
        self.done += 1
        self.bar.advance(self.task)
        self._log()

    def failed(self, job: Job, failure: Failure | None) -> None:
        """Count a job without results, and say why it has none; a reason of several jobs once."""
        self.lost += 1
        self._log()
        description = f"{shown(self.name)} ({count(self.lost, 'failure')})"
        self.bar.update(self.task, advance=1, description=description)
        reasons = tuple(_reasons(failure))
        if reasons in self.first_with:
            self._say(f"error: job {job.number}: as job {self.first_with[reasons]}")
            return
        self.first_with[reasons] = job.number
        for line in reasons:
            self._say(f"error: {_job_text(job)}: {line}")

    def summary(self, failures: Sequence[tuple[Job, Failure | None]]) -> None:
        """How many jobs have results, and the failed ones together.

        Nothing where the form is quiet: each was reported as it failed.
        """
        if self.form == "quiet":
            return
        self._say(f"sweep {self.name}: {self.done} of {self.jobs} jobs finished")
        jobs_with: dict[tuple[str, str], list[Job]] = {}
        for job, failure in failures:
            outcome = failure.outcome if failure else "failed"
            jobs_with.setdefault((outcome, _reasons(failure)[0]), []).append(job)
        for (outcome, reason), jobs in jobs_with.items():
            who = _job_text(jobs[0])
            if len(jobs) > 1:
                who = f"jobs {listed(job.number for job in jobs)}"
            self._say(f"{outcome}: {who}: {reason}")

    def _log(self) -> None:
        """A line each tenth of the jobs, where no bar is seen."""
        past = self.done + self.lost
        if not self.jobs or self.console.is_terminal or self.form == "quiet":
            return
        line = self.pace.told("jobs", past, self.jobs)
        if self.pace.is_due("jobs", past, self.jobs):
            self._say(line)

    def _under_way(self, seconds: float) -> str:
        """What a log file has of a sweep whose jobs take long."""
        far = f"{self.done + self.lost} of {self.jobs} jobs after {seconds:.0f} s"
        return shown(f"sweep {self.name}: {far}")

    def _say(self, line: str) -> None:
        """Print a line as it is."""
        self.console.lines([line])


def _job_text(job: Job) -> str:
    """A job by its number and what only it has."""
    return f"job {job.number} ({' '.join(job.differs)})"


def _reasons(failure: Failure | None) -> Sequence[str]:
    """Why a job has no results."""
    return failure.mistakes if failure else ("no outcome",)


def _plan(name: str, jobs: int, done: int, taken: int, same: int, typical: float | None) -> str:
    """One line: how many jobs, how many of them need not run, how long the rest may take."""
    line = f"sweep {name}: {count(jobs, 'job')}"
    if done:
        line += f", {done} done before"
        if taken:
            line += f" ({taken} elsewhere)"
    if same:
        line += f", {count(same, 'combination')} with the spec of another"
    left = jobs - done
    line += f", {left} to run"
    if not left:
        return line
    if typical is None:
        return f"{line}, time not known yet"
    return f"{line}, about {duration(typical * left)}"
