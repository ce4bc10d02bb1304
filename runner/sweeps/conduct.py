"""A sweep from its plan to its end.

What is done is skipped, what fails is reported, and what was lost comes again.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runner.compute.cache import Bench
from runner.errors import RunnerError, SpecError, unknown
from runner.experiment.settings import executor_class, executor_of
from runner.experiment.shared_work import Families, SharedWork
from runner.experiment.spec import build
from runner.record.identity import digest
from runner.record.ledger import Ledger
from runner.record.rundir import RunDirectory, called, remove_abandoned
from runner.record.secrets import said, without_secrets
from runner.record.version import code_version
from runner.sinks import tracking
from runner.sinks.machine import Form
from runner.sinks.stores.store import Store
from runner.sinks.ui_plugin import plugged_in
from runner.sweeps import launchers
from runner.sweeps.axes import Tried
from runner.sweeps.cache import bench_of
from runner.sweeps.comparison.tested import verdict
from runner.sweeps.plan import Failure, Job, Plan, killed, locked, read
from runner.sweeps.search import proposals
from runner.sweeps.telling import progress
from runner.sweeps.telling import tracked as tracked_sweep
from runner.sweeps.telling.compare import as_shown, compare
from runner.text import shown

if TYPE_CHECKING:
    from runner.data.market import Market
    from runner.experiment.spec import Experiment
    from runner.sweeps.comparison.comparison import Comparison

# seconds after which jobs that ended go into the ledger; those of a killed conductor go there at a
# resume
COUNTED = 1.0
JobOf = Callable[[int, Sequence[str]], Job]


def conduct(plan: Plan, job_of: JobOf, form: Form = "tables") -> int:
    """Run every job of the plan that is not done, and report on all of them; the exit code.

    Args:
        job_of: a job of the plan by its number and what only it has, for searches that add jobs.
        form: of what is printed.

    Raises:
        RunnerError: the sweep is run by another process; its executor is not to be had here; or the
            store cannot be written to. `resume` goes on.
    """
    launchers.check_jobs(plan)
    Store(**plan.tracking).check()
    _reach(plan)
    with locked(plan.directory):
        launchers.take_over(plan)
        plan.write()
        bench = Bench()
        plan = _known(plan, bench)
        log = Log(plan)
        try:
            with progress.Progress(plan.name, form) as display:
                plan, failed = _rounds(plan, bench, log, display, job_of)
            bench.clear()
            remove_abandoned(plan.directory, settled=0.0)
            log.count()
            display.summary([(job, plan.failure(job)) for job in failed])
            _report(plan, log, form)
        except BaseException as error:
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            with suppress(Exception):  # the first error counts
                log.end(status)
            with suppress(RunnerError, OSError):
                _say_how_far(plan, log)
            raise
        log.end("FINISHED")
        return 1 if failed else 0


def _reach(plan: Plan) -> None:
    """Refuse a cluster that does not answer, and tell of one without workers.

    Raises:
        RunnerError: it does not answer.
    """
    kind, settings = executor_class(plan.executor, plan.allow)
    sentence = kind.reach(settings)
    if sentence:
        print(shown(sentence), file=sys.stderr)


def _say_how_far(plan: Plan, log: Log) -> None:
    """Tell how much of a sweep that ends early is there, and the command that goes on."""
    known = read(plan.directory)  # with the jobs that a search added
    done = [job for job in known.jobs if known.done(job)]
    logged = sum(job.key in log.logged for job in done)
    far = f"{len(done)} of {known.to_do()} jobs done, {logged} of them logged"
    goes_on = f"`python -m runner resume {called(plan.directory)}` goes on"
    print(shown(f"sweep {plan.name} ended early: {far}; {goes_on}"), file=sys.stderr)


def _report(plan: Plan, log: Log, form: Form) -> None:
    """Judge and compare the finished jobs: printed, in the directory `report`, and in MLflow."""
    judged = verdict(plan)
    if judged is None:
        if form == "json":
            compare(plan, form=form)
        return
    compared = compare(plan, verdict=as_shown(judged), form=form)
    metrics = {f"sweep/{name}": value for name, value in judged.metrics.items()}
    tracked_sweep.summarise(log.store, sweep_tags(plan), compared, judged.sentence, metrics)
    if form in ("tables", "full"):
        _say_where(plan, log.store, compared)


def _say_where(plan: Plan, store: Store, compared: Comparison) -> None:
    """Print how to look at the sweep in MLflow."""
    if store.file is not None or not store.uri.startswith("http"):
        print(f"MLflow: python -m runner ui --sweep {plan.name}")
        return
    path = tracked_sweep.sweep_link(store, sweep_tags(plan), compared, plugged_in(store.uri))
    print(f"MLflow: {said(f'{store.uri}/{path}')}")


def _rounds(
    plan: Plan,
    bench: Bench,
    log: Log,
    display: progress.Progress,
    job_of: JobOf,
) -> tuple[Plan, list[Job]]:
    """Run the plan, to which a search led by scores adds jobs; and the jobs that failed."""
    failed: list[Job] = []
    tried: set[int] = set()
    kind, _ = executor_class(plan.executor, plan.allow)
    while True:
        workbench = bench if kind.here else bench_of(plan)
        failed += _run(plan, tried, workbench, log, display)
        tried |= {job.number for job in plan.jobs}
        if not plan.search.led:
            return plan, failed
        proposed = _proposed(plan, launchers.at_a_time(plan), job_of)
        if not proposed:
            return plan, failed
        longer = replace(plan, jobs=(*plan.jobs, *proposed))
        plan = _known(longer, bench)


def _proposed(plan: Plan, at_a_time: int, job_of: JobOf) -> list[Job]:
    """The next jobs of a search led by scores, as many as run at a time; none where it ends.

    Raises:
        SpecError: a score that no job has, or a combination that is no spec.
    """
    most = min(plan.to_do() - len(plan.jobs), at_a_time)
    if most < 1:
        return []
    history = [Tried(job.differs, _score(plan, job)) for job in plan.jobs]
    rows = proposals(plan.search, plan.axes, plan.settings, history, most)
    numbered = enumerate(rows, start=len(plan.jobs))
    return [job_of(number, differs) for number, differs in numbered]


def _score(plan: Plan, job: Job) -> float | None:
    """The score of a finished job, None of one that failed.

    Raises:
        SpecError: the job has results without that metric.
    """
    if not plan.done(job):
        return None
    metrics = RunDirectory(plan.place(job)).metrics
    if plan.settings.score not in metrics:
        raise SpecError(f"sweep.score: {unknown(plan.settings.score, metrics)}")
    return metrics[plan.settings.score]


def sweep_tags(plan: Plan) -> dict[str, str]:
    """What its parent and its children in MLflow are known by."""
    return {"sweep": plan.name, "sweep.id": plan.id}


class Log:
    """Where outcomes go as they come: MLflow and the ledger, each job once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.store = Store(**plan.tracking)
        self.ledger = Ledger(Path(plan.ledger))
        self.ended: dict[tuple[str, str], tuple[str, float]] = {}
        self.counted = time.monotonic()
        tracked_sweep.end_killed(self.store, killed)
        self.parent, self.logged = tracked_sweep.begin_sweep(
            self.store, plan.name, sweep_tags(plan)
        )
        if not plan.search.led:
            wanted = {job.key for job in plan.jobs}
            unwanted = [run for key, run in self.logged.items() if key not in wanted]
            tracked_sweep.discard(self.store, unwanted)
            self.logged = {key: run for key, run in self.logged.items() if key in wanted}

    def end(self, status: str) -> None:
        """Nothing more comes; the sweep has this status in MLflow."""
        try:
            self.count()
        finally:
            tracked_sweep.end_sweep(self.store, self.parent, status)

    def finished(self, job: Job) -> None:
        """Now, or before a conductor was killed that could not say so."""
        directory = self.plan.place(job)
        if job.key not in self.logged:
            name = self.plan.names[job.number]
            tags = self._tags(job)
            self.logged[job.key] = tracking.log(directory, self.store, tags, name)
        run = RunDirectory(directory)
        self._ended(job, "finished", run.seconds)

    def failed(self, job: Job, failure: Failure) -> None:
        """For good, after all retries."""
        about = {
            "name": self.plan.names[job.number],
            "spec": without_secrets(job.spec),
            "chosen": job.chosen,
        }
        tracking.log_failure(about, failure.mistakes, self.store, self._tags(job))
        self._ended(job, failure.outcome, failure.seconds)

    def count(self) -> None:
        """Enter the jobs that ended since the last time into the ledger."""
        if self.ended:
            self.ledger.ended(self.ended)
        self.ended = {}
        self.counted = time.monotonic()

    def _ended(self, job: Job, outcome: str, seconds: float) -> None:
        directory = str(self.plan.place(job).resolve())
        self.ended[job.key, directory] = outcome, seconds
        since_counted = time.monotonic() - self.counted
        if since_counted > COUNTED:
            self.count()

    def _tags(self, job: Job) -> dict[str, str]:
        return {
            **sweep_tags(self.plan),
            "role": "job",
            "job": job.key,
            "job.number": str(job.number),
            "mlflow.parentRunId": self.parent,
        }


def _known(plan: Plan, bench: Bench) -> Plan:
    """The plan, written, with fingerprint, key and family of each job.

    A job whose data cannot be read fails.
    """
    shared = SharedWork(bench)
    unreadable: dict[str, tuple[str, ...]] = {}  # digest of data -> why
    families: dict[str, Families] = {}  # by data and target
    jobs = []
    for job in plan.jobs:
        settings = digest([job.data, job.spec.get("target")])
        try:
            experiment = build(job.spec)
            market = _market(job, experiment, shared, unreadable)
            if settings not in families:
                families[settings] = shared.families(experiment, market)
            key = shared.key(experiment, market)
        except RunnerError as error:
            plan.fail(job, Failure(error.mistakes, final=True))
            jobs.append(replace(job, fingerprint="", key="", family=""))
            continue
        family = families[settings].now
        jobs.append(replace(job, fingerprint=market.fingerprint, key=key, family=family))
    ledger = Ledger(Path(plan.ledger))
    for known in families.values():
        ledger.carry(known.earlier)
    plan = replace(plan, jobs=tuple(jobs), code=code_version())
    plan.write()
    return plan


def _market(
    job: Job,
    experiment: Experiment,
    shared: SharedWork,
    unreadable: dict[str, tuple[str, ...]],
) -> Market:
    """The data of a job; those that cannot be read are tried once.

    Args:
        unreadable: digest of data -> why they cannot be read; this call may add to it.

    Raises:
        RunnerError: they cannot be read.
    """
    data = digest(job.data)
    if data in unreadable:
        raise RunnerError(unreadable[data])
    try:
        return shared.market(experiment)
    except RunnerError as error:
        unreadable[data] = error.mistakes
        raise


def _run(
    plan: Plan, tried: set[int], bench: Bench, log: Log, display: progress.Progress
) -> list[Job]:
    """Run what is neither done nor tried, and give back the jobs that failed."""
    log.plan = plan
    fresh = [job for job in plan.jobs if job.number not in tried]
    unread = [job for job in fresh if not job.key]
    known = [job for job in fresh if job.key]
    taken = _taken(plan, known, log.ledger)
    done = [job for job in known if plan.done(job)]
    todo = [job for job in known if not plan.done(job)]
    todo.sort(key=_by_recipe)
    families = {}
    for job in todo:
        directory = str(plan.place(job).resolve())
        families[job.key, directory] = job.family
    log.ledger.begin(families)
    if not display.jobs and plan.jobs:
        typical = log.ledger.typical_seconds(todo[0].family) if todo else None
        display.plan(plan.to_do(), len(done), taken, plan.same, typical)
    for job in done:
        log.finished(job)
    for job in unread:
        failure = plan.failure(job)
        if failure:
            log.failed(job, failure)
            display.failed(job, failure)
    return [*unread, *_tried(plan, todo, bench, log, display)]


def _tried(
    plan: Plan, todo: Sequence[Job], bench: Bench, log: Log, display: progress.Progress
) -> Iterator[Job]:
    """Jobs that failed for good, after the retries that they may have."""
    tries: Counter[int] = Counter()
    while todo:
        again = []
        with (
            executor_of(plan.executor, plan.allow) as executor,
            closing(launchers.outcomes(executor, plan, todo, bench)) as outcomes,
        ):
            for job in outcomes:
                failure = plan.failure(job)
                if failure is None:
                    log.finished(job)
                    display.finished(job)
                elif not failure.final and tries[job.number] < plan.settings.retries:
                    tries[job.number] += 1
                    again.append(job)
                else:
                    log.failed(job, failure)
                    display.failed(job, failure)
                    yield job
                    if plan.settings.fail_fast:
                        return
        todo = again


def _by_recipe(job: Job) -> tuple[str, int]:
    """The order of jobs: those with the same panel run after each other."""
    parts = [job.spec.get(part) for part in ("features", "target", "preprocess")]
    recipe = [job.fingerprint, job.data, *parts]
    return digest(recipe), job.number


def _taken(plan: Plan, jobs: Sequence[Job], ledger: Ledger) -> int:
    """Take over jobs that another sweep or a run of its own finished; how many there were."""
    missing = {job.key: job for job in jobs if not plan.done(job)}
    count = 0
    for key, directory in ledger.finished(missing).items():
        job = missing[key]
        report = directory / "report.html"
        enough = plan.settings.report == "tables" or report.exists()
        elsewhere = directory.resolve() != plan.place(job).resolve()
        if enough and elsewhere:
            _copy(directory, plan, job)
            count += 1
    return count


def _copy(directory: Path, plan: Plan, job: Job) -> None:
    """Copy a run directory to that of the job, unless another process did so meanwhile."""
    with plan.held(job):
        if plan.done(job):
            return
        plan.clear(job)
        fresh = plan.directory / f".{job.number}.copy.unfinished"
        shutil.copytree(directory, fresh)
        RunDirectory(fresh).choose(job.chosen)
        fresh.rename(plan.place(job))
