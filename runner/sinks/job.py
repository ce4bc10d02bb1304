"""One job: run its experiment and hand the report to every sink."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from pathlib import Path

from runner.compute.allocator import trim
from runner.compute.cache import Bench
from runner.errors import DataError, RefusedError, RunnerError
from runner.experiment.report import Report
from runner.experiment.run import run, thoroughly_audited
from runner.experiment.settings import FULL, Settings
from runner.experiment.shared_work import SharedWork
from runner.experiment.spec import Experiment
from runner.record.identity import family_key
from runner.record.ledger import Ledger
from runner.record.rundir import refuse_taken, whole
from runner.sinks import files, page, plots, terminal, tracking
from runner.sinks.machine import Form
from runner.sinks.stores.store import Store
from runner.sinks.telling.waiting import working


def execute(experiment: Experiment, directory: Path, form: Form = "tables") -> None:
    """Run, write the run directory, log to MLflow, and print the report in this form.

    Raises:
        RunnerError: what the run raises; or the store cannot be written to (the run directory is
            kept).
    """
    refuse_taken(directory)
    store = _store(experiment.settings)
    with working(f"{experiment.name}: reading, fitting, writing", form):
        store.check()
        report = _counted(experiment, directory)
        trim()  # before MLflow takes memory of its own
        run_id, trouble = _track(directory, store)
    terminal.show(report, directory, run_id, form)
    if trouble:
        raise trouble


def saved(experiment: Experiment, directory: Path, logged: bool) -> tuple[Report, str]:
    """Run and write the run directory, printing nothing; the report, and its id in MLflow.

    Args:
        logged: whether the run is logged to MLflow; without, its id is empty.

    Raises:
        RunnerError: what the run raises; or the store cannot be written to (the run directory is
            kept).
    """
    refuse_taken(directory)
    if not logged:
        return _counted(experiment, directory), ""
    store = _store(experiment.settings)
    store.check()
    report = _counted(experiment, directory)
    return report, tracking.log(directory, store)


def _counted(experiment: Experiment, directory: Path) -> Report:
    """Run, and count the trial whatever comes of it once its panel was made.

    A spec that asks for a panel that its data cannot give looked at no outcome, and is none.
    """
    bench = Bench()
    shared = SharedWork(bench)
    settings = experiment.settings
    key = shared.key(experiment, shared.market(experiment))
    family = family_carried(experiment, bench)
    place = str(directory.resolve())
    path = Path(settings.ledger)
    ledger = Ledger(path)
    ledger.begin({(key, place): family}, "begun")
    begun = time.monotonic()
    status = "failed"
    try:
        report = compute(experiment, directory, bench)
        status = "finished"
        return report
    except RefusedError:
        status = "refused"
        raise
    finally:
        ledger.end(key, place, status, time.monotonic() - begun)


def family_carried(experiment: Experiment, bench: Bench) -> str:
    """The trials that a run of the experiment is one of, those of earlier versions among them.

    Raises:
        RunnerError: the data cannot be read; the ledger cannot be written.
    """
    shared = SharedWork(bench)
    families = shared.families(experiment, shared.market(experiment))
    Ledger(Path(experiment.settings.ledger)).carry(families.earlier)
    return families.now


def _store(settings: Settings) -> Store:
    """The store of MLflow that the spec names."""
    settings_of_store = asdict(settings.tracking)
    return Store(**settings_of_store)


def compute(experiment: Experiment, directory: Path, bench: Bench, sweep: str = "") -> Report:
    """Run and write the run directory.

    Args:
        sweep: name of the sweep that it is a job of; empty for none.

    Raises:
        RunnerError: what the run raises; the directory cannot be written.
    """
    report = run(experiment, bench)
    is_full = experiment.settings.report == FULL
    if is_full:
        report = _with_trials(report, Path(experiment.settings.ledger))
    write(report, directory, is_full, sweep)
    return report


def write(report: Report, directory: Path, pictures: bool, sweep: str = "") -> None:
    """Write the run directory, whole or not at all.

    Args:
        pictures: whether the page and its pictures are written too.
        sweep: name of the sweep whose page this one leads to; empty for none.

    Raises:
        RunnerError: the directory cannot be written.
    """
    with whole(directory) as unfinished:
        files.write(report, unfinished)
        if pictures:
            drawn = plots.draw(report, unfinished)
            page.write(report, unfinished, drawn, sweep)


def _with_trials(report: Report, ledger: Path) -> Report:
    """The report with the number of specs tried on its data and target, itself included."""
    family = family_key(report.spec, report.sample)
    count = Ledger(ledger).count(family, begun=report.key)
    return replace(report, trials=count)


def audit(experiment: Experiment, form: Form = "tables") -> None:
    """Audit the columns of the experiment for look-ahead, thoroughly, and print the result.

    Raises:
        DataError: a column looks ahead, one line each.
    """
    with working(f"{experiment.name}: computing every column again", form):
        result = thoroughly_audited(experiment)
    terminal.show_audit(experiment.name, result, form)
    if result.leaks:
        raise DataError(result.leaks)


def _track(directory: Path, store: Store) -> tuple[str, RunnerError | None]:
    """The id of the logged run, or the error that kept it from being logged: no reason to stop."""
    try:
        return tracking.log(directory, store), None
    except RunnerError as error:
        return "", error
