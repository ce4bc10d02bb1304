"""One job: run its experiment and hand the report to every sink."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner import audit as look_ahead
from runner.errors import DataError, RunnerError, SpecError
from runner.report import Report
from runner.run import run
from runner.sinks import files, page, plots, terminal, tracking
from runner.spec import Experiment


def execute(experiment: Experiment, directory: Path, sweep: str | None) -> None:
    """Run, write the run directory, log to MLflow, print the table.

    Raises:
        RunnerError: what the run raises; or the store cannot be written to (the run directory is kept).
    """
    _refuse_taken(directory)
    with terminal.working(f"{experiment.name}: reading, fitting, writing"):
        report = run(experiment)
        with whole(directory) as unfinished:
            files.write(report, unfinished)
            page.write(report, unfinished, plots.draw(report, unfinished))
        store = tracking.Store(**experiment.spec["tracking"])
        run_id, trouble = _track(report, directory, store, sweep)
    terminal.show(report, directory, run_id)
    if trouble:
        raise trouble


def audit(experiment: Experiment) -> None:
    """Try the columns of the experiment for look-ahead, thoroughly, and print what was found.

    Raises:
        DataError: a column looks ahead, one line each.
    """
    with terminal.working(f"{experiment.name}: computing every column again"):
        found = look_ahead.audit(experiment, experiment.source.load(), thorough=True)
    terminal.show_audit(found)
    if found.leaks:
        raise DataError(found.leaks)


def _track(
    report: Report, directory: Path, store: tracking.Store, sweep: str | None
) -> tuple[str, RunnerError | None]:
    """The id of the logged run, or what kept it from being logged: the table is printed all the same."""
    try:
        return tracking.log(report, directory, store, sweep), None
    except RunnerError as error:
        return "", error


@contextmanager
def whole(directory: Path) -> Iterator[Path]:
    """A directory beside `directory` that takes its name when the block is done: it is whole or absent."""
    unfinished = directory.with_name(f".{directory.name}.{os.getpid()}.unfinished")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.rename(directory)
    except OSError as error:
        raise RunnerError(f"hydra.run.dir: cannot write {str(directory)!r}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _refuse_taken(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise SpecError(f"hydra.run.dir: {str(directory)!r} is not empty; allowed: a new directory")
