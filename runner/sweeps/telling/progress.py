"""How a sweep goes on, in the terminal: its plan, a live count, failures as they happen, and the
table of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar

from runner.progress import reading
from runner.text import count, duration

if TYPE_CHECKING:
    from runner.sinks.machine import Form
    from runner.sweeps.plan import Failure, Job


class Progress:
    """Used as a context: the bar is there inside, on a terminal only; lines go to stderr
    everywhere.
    """

    def __init__(self, name: str, form: Form = "tables") -> None:
        self.name, self.jobs, self.done, self.lost, self.form = name, 0, 0, 0, form
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self.bar = Bar(
            *columns,
            TimeRemainingColumn(),
            console=self.console,
            disable=form == "quiet" or not self.console.is_terminal,
        )
        self.task = self.bar.add_task(name, total=None)
        self.notes = reading(self._say)

    def plan(self, jobs: int, done: int, taken: int, same: int, typical: float | None) -> None:
        """Say what is to be done before it is."""
        self.jobs, self.done = jobs, done
        if self.form != "quiet":
            self._say(_plan(self.name, jobs, done, taken, same, typical))
        self.bar.update(self.task, total=jobs, completed=done)

    def __enter__(self) -> Progress:
        self.bar.start()
        self.notes.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.notes.__exit__(*error)
        self.bar.stop()

    def finished(self, job: Job) -> None:
        self.done += 1
        self.bar.advance(self.task)

    def failed(self, job: Job, failure: Failure | None) -> None:
        self.lost += 1
        self.bar.update(
            self.task, advance=1, description=f"{self.name} ({count(self.lost, 'failure')})"
        )
        lines = failure.mistakes if failure else ("no outcome",)
        self._say(*(f"error: job {job.number} ({' '.join(job.differs)}): {line}" for line in lines))

    def summary(self, failures: Sequence[tuple[Job, Failure | None]]) -> None:
        """How many jobs have results, and the failed ones together; quiet: they were told as they
        failed.
        """
        if self.form == "quiet":
            return
        self._say(f"sweep {self.name}: {self.done} of {self.jobs} jobs finished")
        for job, failure in failures:
            why = failure.mistakes[0] if failure else "no outcome"
            self._say(f"failed: job {job.number} ({' '.join(job.differs)}): {why}")

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.console.print(line, markup=False)


def _plan(name: str, jobs: int, done: int, taken: int, same: int, typical: float | None) -> str:
    """One line: how many jobs, how many of them need not run, how long the rest may take."""
    left = jobs - done
    before = f", {done} done before" + (f" ({taken} elsewhere)" if taken else "") if done else ""
    twice = f", {count(same, 'combination')} with the spec of another" if same else ""
    known = "" if typical is None else f", about {duration(typical * left)}"
    time = "" if not left else known or ", time not known yet"
    return f"sweep {name}: {count(jobs, 'job')}{before}{twice}, {left} to run{time}"
