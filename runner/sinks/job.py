"""One job: run its experiment and hand the report to every sink."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.compute.cache import Bench
from runner.errors import DataError, RunnerError, SpecError
from runner.experiment.report import Report
from runner.experiment.run import run, thoroughly_audited
from runner.experiment.spec import FULL, Experiment, without_secrets
from runner.record.identity import family_key, job_key
from runner.record.ledger import Ledger
from runner.record.version import code_version
from runner.sinks import files, page, plots, terminal, tracking
from runner.sinks.machine import Form


def execute(experiment: Experiment, directory: Path, form: Form = "tables") -> None:
    """Run, write the run directory, log to MLflow, and tell it in this form.

    Raises:
        RunnerError: what the run raises; or the store cannot be written to (the run directory is
            kept).
    """
    _refuse_taken(directory)
    with terminal.working(f"{experiment.name}: reading, fitting, writing", form):
        report = _counted(experiment, directory)
        store = tracking.Store(**experiment.spec["tracking"])
        run_id, trouble = _track(directory, store)
    terminal.show(report, directory, run_id, form)
    if trouble:
        raise trouble


def _counted(experiment: Experiment, directory: Path) -> Report:
    """Run, and count the trial whatever comes of it once its data was read."""
    bench, spec = Bench(), experiment.spec
    found = bench.get("market", [spec["data"], spec["allow"]], experiment.market).fingerprint
    key, family = (make(without_secrets(spec), found) for make in (_key, family_key))
    ledger, place = Ledger(Path(spec["ledger"])), str(directory.resolve())
    ledger.begin({(key, place): family}, "begun")
    begun, status = time.monotonic(), "failed"
    try:
        report = compute(experiment, directory, bench)
        status = "finished"
        return report
    finally:
        ledger.end(key, place, status, time.monotonic() - begun)


def _key(spec: Mapping[str, Any], fingerprint: str) -> str:
    return job_key(spec, fingerprint, code_version(tuple(spec["allow"])))


def compute(experiment: Experiment, directory: Path, bench: Bench) -> Report:
    """Run and write the run directory.

    Raises:
        RunnerError: what the run raises; the directory cannot be written.
    """
    report = run(experiment, bench)
    if experiment.spec["report"] == FULL:
        key, family = (make(report.spec, report.fingerprint) for make in (_key, family_key))
        report = replace(
            report, trials=Ledger(Path(report.spec["ledger"])).count(family, begun=key)
        )
    with whole(directory) as unfinished:
        files.write(report, unfinished)
        if experiment.spec["report"] == FULL:
            page.write(report, unfinished, plots.draw(report, unfinished))
    return report


def audit(experiment: Experiment, form: Form = "tables") -> None:
    """Try the columns of the experiment for look-ahead, thoroughly, and tell in this form what was
    found.

    Raises:
        DataError: a column looks ahead, one line each.
    """
    with terminal.working(f"{experiment.name}: computing every column again", form):
        found = thoroughly_audited(experiment)
    terminal.show_audit(experiment.name, found, form)
    if found.leaks:
        raise DataError(found.leaks)


def _track(directory: Path, store: tracking.Store) -> tuple[str, RunnerError | None]:
    """The id of the logged run, or what kept it from being logged: the table is printed all the
    same.
    """
    try:
        return tracking.log(directory, store), None
    except RunnerError as error:
        return "", error


@contextmanager
def whole(directory: Path) -> Iterator[Path]:
    """A directory beside `directory` that takes its name when the block is done: it is whole or
    absent.
    """
    unfinished = directory.with_name(f".{directory.name}.{os.getpid()}.unfinished")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.rename(directory)
    except OSError as error:
        raise RunnerError(
            f"hydra.run.dir: cannot write {str(directory)!r}: {error.strerror or error}"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _refuse_taken(directory: Path) -> None:
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise SpecError(f"hydra.run.dir: {str(directory)!r} is not empty; allowed: a new directory")
