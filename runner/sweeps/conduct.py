"""A sweep from its plan to its end: what is done is skipped, what fails is told, what was lost comes again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.bench import Bench, digest
from runner.errors import RunnerError
from runner.identity import family_key, job_key
from runner.ledger import Ledger
from runner.rundir import RunDirectory
from runner.sinks import progress, tracking
from runner.spec import build
from runner.sweeps import slurm
from runner.sweeps.cache import bench_of
from runner.sweeps.launchers import LAUNCHERS
from runner.sweeps.plan import Failure, Job, Plan
from runner.version import code_version


def conduct(plan: Plan) -> int:
    """Run every job of the plan that is not done, and tell what all of them say; the exit code.

    Raises:
        RunnerError: the sweep is run by another process; its launcher is not to be had here; or the store cannot be
            written to. `resume` goes on.
    """
    on_slurm = plan.settings.launcher == "slurm"
    if on_slurm:
        slurm.check(plan.settings)
    with plan.locked():
        if on_slurm:
            slurm.cancel(plan)
        plan.write()
        bench = Bench() if plan.settings.launcher == "inline" else None
        plan = _known(plan, bench or Bench())
        plan.write()
        store = tracking.Store(**plan.tracking)
        parent, logged = tracking.begin_sweep(store, plan.name, sweep_tags(plan))
        status = "FAILED"
        try:
            failed = _run(plan, bench or bench_of(plan), Log(plan, store, parent, logged))
            status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            tracking.end_sweep(store, parent, status, "", {}, plan.directory / "report")
        return 1 if failed else 0


def sweep_tags(plan: Plan) -> dict[str, str]:
    """What its parent and its children in MLflow are known by."""
    return {"sweep": plan.name, "sweep.id": plan.id}


class Log:
    """Where outcomes go as they come: MLflow and the ledger, each job once."""

    def __init__(self, plan: Plan, store: tracking.Store, parent: str, logged: Mapping[str, str]) -> None:
        self.plan, self.store, self.parent = plan, store, parent
        self.ledger = Ledger(Path(plan.jobs[0].spec["ledger"]))
        wanted = {job.key for job in plan.jobs}
        tracking.discard(store, [run for key, run in logged.items() if key not in wanted])
        self.logged = {key: run for key, run in logged.items() if key in wanted}

    def finished(self, job: Job) -> None:
        """Now, or before a conductor was killed that could not say so."""
        place = self.plan.place(job)
        if job.key not in self.logged:
            self.logged[job.key] = tracking.log(place, self.store, self._tags(job), _name(job))
        self.ledger.end(job.key, str(place.resolve()), "finished", RunDirectory(place).seconds)

    def failed(self, job: Job, failure: Failure) -> None:
        about = {"name": _name(job), "spec": job.spec}
        tracking.log_failure(about, failure.mistakes, self.store, self._tags(job))
        self.ledger.end(job.key, str(self.plan.place(job).resolve()), "failed", failure.seconds)

    def _tags(self, job: Job) -> dict[str, str]:
        own = {"role": "job", "job": job.key, "job.number": str(job.number), "mlflow.parentRunId": self.parent}
        return {**sweep_tags(self.plan), **own}


def _name(job: Job) -> str:
    """What only this job has, for people."""
    return " ".join(map(tracking.short, job.differs)) or f"job {job.number}"


def _known(plan: Plan, bench: Bench) -> Plan:
    """The plan with the fingerprint of each job's data, its key and family; jobs whose data cannot be read fail."""
    seen: dict[str, str | Failure] = {}
    jobs = []
    for job in plan.jobs:
        data = digest(job.data)
        if data not in seen:
            try:
                source = build(job.spec).source
                seen[data] = bench.get("market", job.data, source.load).fingerprint
            except RunnerError as error:
                seen[data] = Failure(error.mistakes, final=True)
        found = seen[data]
        if isinstance(found, Failure):
            plan.fail(job, found)
            jobs.append(replace(job, fingerprint="", key="", family=""))
        else:
            code = code_version(tuple(job.spec.get("allow") or ()))
            key, family = job_key(job.spec, found, code), family_key(job.spec, found)
            jobs.append(replace(job, fingerprint=found, key=key, family=family))
    return replace(plan, jobs=tuple(jobs), code=code_version())


def _run(plan: Plan, bench: Bench, log: Log) -> list[Job]:
    """Run what is not done, and give back the jobs that failed."""
    unread = [job for job in plan.jobs if not job.key]
    known = [job for job in plan.jobs if job.key]
    taken = _taken(plan, known, log.ledger)
    done = [job for job in known if plan.done(job)]
    todo = sorted((job for job in known if not plan.done(job)), key=lambda job: (digest(_recipe(job)), job.number))
    places = {(job.key, str(plan.place(job).resolve())): job.family for job in todo}
    log.ledger.begin(places)
    typical = log.ledger.typical_seconds(todo[0].family) if todo else None
    told = progress.Progress(plan.name, len(plan.jobs), len(done), taken, plan.same, typical)
    with told:
        for job in done:
            log.finished(job)
        for job in unread:
            if failure := plan.failure(job):
                log.failed(job, failure)
                told.failed(job, failure)
        failed = [*unread, *_tried(plan, todo, bench, log, told)]
    told.summary([(job, plan.failure(job)) for job in failed])
    return failed


def _tried(plan: Plan, todo: Sequence[Job], bench: Bench, log: Log, told: progress.Progress) -> Iterator[Job]:
    """Jobs that failed for good, after the retries that they may have."""
    tries: dict[int, int] = {}
    while todo:
        again = []
        with closing(LAUNCHERS[plan.settings.launcher](plan, todo, bench)) as outcomes:  # its workers end with it
            for job in outcomes:
                failure = plan.failure(job)
                if failure is None:
                    log.finished(job)
                    told.finished(job)
                elif not failure.final and tries.get(job.number, 0) < plan.settings.retries:
                    tries[job.number] = tries.get(job.number, 0) + 1
                    again.append(job)
                else:
                    log.failed(job, failure)
                    told.failed(job, failure)
                    yield job
                    if plan.settings.fail_fast:
                        return
        todo = again


def _recipe(job: Job) -> list[Any]:
    """Jobs with the same panel run after each other."""
    return [job.fingerprint, job.data, *(job.spec.get(part) for part in ("features", "target", "preprocess"))]


def _taken(plan: Plan, jobs: Sequence[Job], ledger: Ledger) -> int:
    """How many jobs were finished elsewhere, by another sweep or a run of its own; their directories are copied."""
    missing = {job.key: job for job in jobs if not plan.done(job)}
    level = plan.settings.report
    count = 0
    for key, place in ledger.finished(missing).items():
        target = plan.place(missing[key])
        if place.resolve() != target.resolve() and (level == "tables" or (place / "report.html").exists()):
            shutil.rmtree(target, ignore_errors=True)
            fresh = target.with_name(f".{target.name}.unfinished")
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.copytree(place, fresh)
            fresh.rename(target)
            count += 1
    return count
