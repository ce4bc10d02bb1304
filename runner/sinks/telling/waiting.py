"""What is shown while work is under way: how far it is, and how long it may take."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.text import Text

from runner.progress import TOLD, listening, telling
from runner.progress import reading as reading_of
from runner.sinks.machine import Form
from runner.sinks.telling.console import Page
from runner.text import duration, shown

PATIENCE = 2.0  # seconds of work from which on the time left is shown


class Pace:
    """How far tracked work has come, and how long its rest may take at the pace so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        # when it began, and how many items were done by then, by what is done
        self.first: dict[str, tuple[float, int]] = {}
        self.done: dict[str, int] = {}
        self.tenths: dict[str, int] = {}  # of the work, up to which a log has its line

    def told(self, what: str, done: int, total: int) -> str:
        """The line to show when so many are done; fewer than before are another work."""
        now = time.monotonic()
        if done <= self.done.get(what, total):
            self.first[what] = now, done
        self.done[what] = done
        begun, before = self.first[what]
        line = f"{self.text}: {done:,} of {total:,} {what}"
        if now - begun <= PATIENCE or done == before:
            return line
        seconds_each = (now - begun) / (done - before)
        line += f", {_rate(seconds_each)}"
        if done >= total:
            return line
        return f"{line}, about {duration(seconds_each * (total - done))} left"

    def is_due(self, what: str, done: int, total: int) -> bool:
        """Whether a log has a line now: one each tenth of the work, of work that takes long."""
        begun, before = self.first[what]
        tenth = 10 * done // total
        if done == before:
            self.tenths[what] = tenth
        if tenth <= self.tenths[what]:
            return False
        self.tenths[what] = tenth
        return time.monotonic() - begun > TOLD


def _rate(seconds_each: float) -> str:
    """Items a second, a minute or an hour, the first of which there is one at least."""
    for unit, seconds in {"second": 1.0, "minute": 60.0}.items():
        if seconds >= seconds_each:
            return f"{seconds / seconds_each:,.3g} a {unit}"
    return f"{3600.0 / seconds_each:,.3g} an hour"


@contextmanager
def working(text: str, form: Form = "tables") -> Iterator[None]:
    """Show that work is under way, and notes, unless the form is quiet.

    A log file has a line after ten seconds, one each twenty from then on, and one each tenth of
    long work.
    """
    if form == "quiet":
        yield
        return
    console = Page(sys.stderr)
    pace = Pace(text)

    def note(line: str) -> None:
        console.lines([line])

    def log(what: str, done: int, total: int) -> None:
        told = pace.told(what, done, total)
        if pace.is_due(what, done, total):
            note(told)

    if not console.is_terminal:
        words = shown(f"{text}: under way for")
        with reading_of(note), listening(log), telling(lambda seconds: f"{words} {seconds:.0f} s"):
            yield
        return
    with reading_of(note), telling(None), console.status(Text(shown(text))) as status:

        def update(what: str, done: int, total: int) -> None:
            status.update(Text(shown(pace.told(what, done, total))))

        with listening(update):
            yield
