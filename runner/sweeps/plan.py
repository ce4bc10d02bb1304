"""The plan of a sweep, written before anything runs: each job, its spec, and its outcome."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runner.errors import DataError, SpecError, unknown
from runner.experiment.nodes import ASKED, asking
from runner.experiment.settings import INLINE, Tracking
from runner.experiment.spec import bound
from runner.features.asked import together
from runner.record.identity import digest, short
from runner.record.ledger import marker
from runner.record.rundir import SWEEPS, RunDirectory
from runner.record.secrets import missing, places, refilled, said, without_secrets, write_kept
from runner.record.signature import is_signed, signature_of
from runner.record.untrusted import (
    checks,
    is_finite,
    is_mapping,
    is_mappings,
    is_text,
    is_text_by_name,
    is_texts,
    is_texts_or_none,
    is_truth,
    is_whole,
    mapping_of_json,
    only,
)
from runner.schema.settings import Asked
from runner.sweeps.axes import Axis
from runner.sweeps.earlier import executor_in, without_earlier
from runner.sweeps.search import Search, search_of
from runner.sweeps.settings import Sweep

PLAN = "plan.json"
STATE = ".state"
SIGNATURE = "signature"  # of all else that a plan holds
MOST_PLAN = 2_000_000_000  # bytes of a plan: some kilobytes a job
OF_PLAN = checks(
    {
        is_text: ["directory", "ledger"],
        is_mapping: ["settings", "tracking"],
        is_texts: ["words", "fixed"],
        is_mappings: ["axes", "jobs"],
        is_texts_or_none: ["configs"],
    }
)
OF_SOME_PLANS = checks(
    {
        is_text: [SIGNATURE, "code"],
        is_whole: ["same"],
        is_mapping: ["asked", "executor"],
        is_texts: ["allow"],
    }
)
OF_JOB = checks({is_whole: ["number"], is_texts: ["differs", "overrides"], is_mapping: ["spec"]})
OF_SOME_JOBS = checks({is_text: ["fingerprint", "key", "family"], is_text_by_name: ["chosen"]})
OF_AXIS = checks(
    {is_text: ["key"], is_texts: ["values"], is_finite: ["low", "high"], is_truth: ["log"]}
)


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        differs: the overrides that only it has.
        overrides: all of them.
        fingerprint, key, family: of its data, of the job, and of the trials that it belongs to;
            empty until the data is known.
        chosen: the option of each group.
    """

    number: int
    differs: tuple[str, ...]
    overrides: tuple[str, ...]
    spec: Mapping[str, Any]
    fingerprint: str = ""
    key: str = ""
    family: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> list[Any]:
        """What its market is made from."""
        return [self.spec.get("data"), self.spec.get("allow")]

    @property
    def asked(self) -> Asked:
        """What its spec names of the data beside their settings."""
        names: Asked = self.spec["data"].get(ASKED, {})
        return names

    def asking(self, names: Asked) -> Job:
        """The same, whose data are read with what other jobs name of them too."""
        data = asking(self.spec["data"], names, self.spec["allow"])
        return replace(self, spec={**self.spec, "data": data})


@dataclass(frozen=True)
class Failure:
    """Why a job has no results: one line per mistake; `final` where trying again cannot help.

    Its outcome is `failed`, or `refused` where its data cannot give the panel, which is no trial.
    """

    mistakes: tuple[str, ...]
    final: bool
    seconds: float = 0.0
    trace: str = ""
    outcome: str = "failed"


@dataclass(frozen=True)
class Plan:
    """A sweep that is kept in a directory.

    Attributes:
        settings: how it varies and runs.
        configs: the directories and the name of the configs, as the command line named them.
        words: overrides as they were given; fixed: those that every job has; axes: what varies.
        jobs: by number; a search led by scores adds to them.
        tracking, ledger: where runs are logged, and trials counted.
        code: that the jobs were last planned with.
        same: combinations whose spec is that of another job.
        asked: what the jobs name of their data beside its settings: each reads what any of them
            names, so that data are read once for all.
        allow: modules from which a search or executor of a user's own may come.
        executor: node of what runs the jobs.
    """

    directory: Path
    settings: Sweep
    configs: tuple[str | None, str | None, str | None]
    words: tuple[str, ...]
    fixed: tuple[str, ...]
    axes: tuple[Axis, ...]
    jobs: tuple[Job, ...]
    tracking: Mapping[str, Any]
    ledger: str
    code: str = ""
    same: int = 0
    asked: Asked = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    executor: Mapping[str, Any] = field(default_factory=lambda: dict(INLINE))

    @cached_property
    def search(self) -> Search:
        """What proposes its jobs."""
        return search_of(self.settings, self.allow)

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def id(self) -> str:
        """What tells it from a sweep of the same name elsewhere."""
        return _id(self.directory)

    @cached_property
    def names(self) -> Mapping[int, str]:
        """What only each job has, for people, by its number."""
        numbered = {job.number: f"job {job.number}" for job in self.jobs}
        for text_of in (short, str):
            names = {}
            for job in self.jobs:
                overrides = " ".join(text_of(override) for override in job.differs)
                names[job.number] = overrides or numbered[job.number]
            if len(set(names.values())) == len(names):
                return names
        return numbered

    def to_do(self) -> int:
        """Jobs that the sweep has when it is done."""
        if self.search.led:
            return self.settings.draws or 0
        return len(self.jobs)

    def having(self, jobs: Sequence[Job]) -> Plan:
        """This plan with these jobs, each of which reads what any of them names of the data."""
        asked = together(*(job.asked for job in jobs))
        return replace(self, asked=asked, jobs=tuple(job.asking(asked) for job in jobs))

    def place(self, job: Job) -> Path:
        """The run directory of a job."""
        return self.directory / str(job.number)

    def done(self, job: Job) -> bool:
        """Whether the job has its run directory, made by this code from this data and spec."""
        if not job.key:
            return False
        try:
            return RunDirectory(self.place(job)).about.get("job") == job.key
        except (DataError, ValueError):
            return False

    def failure(self, job: Job) -> Failure | None:
        """Why the job failed when it was last tried, None where it did not."""
        try:
            kept = json.loads(self._failed(job).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        kept["mistakes"] = tuple(kept["mistakes"])
        return Failure(**kept)

    def fail(self, job: Job, failure: Failure) -> None:
        """Keep why the job failed."""
        _replace(self._failed(job), json.dumps(said(asdict(failure)), indent=1))

    def forget(self, job: Job) -> None:
        """As if the job had never failed."""
        self._failed(job).unlink(missing_ok=True)

    def clear(self, job: Job) -> None:
        """Remove what is left of the job.

        That is results of other data or code, of workers that were killed, and why it failed.
        """
        for old in (self.place(job), *self.directory.glob(f".{job.number}.*.unfinished")):
            shutil.rmtree(old, ignore_errors=True)
        self.forget(job)

    @contextmanager
    def held(self, job: Job) -> Iterator[None]:
        """One process at a time works on the job, which has begun.

        The worker of a killed conductor may still be at it.
        """
        with open(marker(self.place(job)), "w") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX)
            yield

    def refilled(
        self, own: Mapping[str, Any] = MappingProxyType({}), given: Sequence[str] = ()
    ) -> Plan:
        """The plan as it was kept with the secrets that were not.

        They are taken from the environment, or from the overrides that give a setting again.

        Args:
            own: the spec that the overrides make.
            given: these overrides.
        """
        named = {word.partition("=")[0].lstrip("+"): word for word in given}
        jobs = []
        for job in self.jobs:
            spec = refilled(job.spec, own, named)
            jobs.append(replace(job, spec=spec))
        beside = refilled(self._beside, own, named)
        settings = refilled(asdict(self.settings), own, named, "sweep")
        fixed = []
        for word in self.fixed:
            key = word.partition("=")[0].lstrip("+")
            fixed.append(named.get(key, word))
        return replace(
            self,
            jobs=tuple(jobs),
            **beside,
            settings=Sweep(**settings),
            fixed=tuple(fixed),
        )

    def check_whole(self) -> None:
        """Refuse to go on without secrets that the plan does not keep.

        Raises:
            SpecError: a line for each setting, with how it is given again.
        """
        lines = []
        for node in (*(job.spec for job in self.jobs), self._beside):
            for where, kept in places(node):
                if where != "name":  # for people
                    lines.append(missing(where, kept))
        if lines:
            raise SpecError(list(dict.fromkeys(lines)))

    @property
    def _beside(self) -> dict[str, Mapping[str, Any]]:
        """What may hold secrets beside the specs of the jobs."""
        return {"tracking": self.tracking, "executor": self.executor}

    def write(self) -> None:
        """Write the plan, whole or not at all."""
        kept = {attribute.name: getattr(self, attribute.name) for attribute in fields(self)}
        kept["directory"] = ""
        kept["settings"] = asdict(self.settings)
        kept["axes"] = [asdict(axis) for axis in self.axes]
        kept["jobs"] = [vars(job) for job in self.jobs]
        (self.directory / STATE).mkdir(parents=True, exist_ok=True)
        written = json.loads(json.dumps(without_secrets(kept), default=str))
        signature = signature_of(_text_of(written)).hex()
        _replace(self.directory / PLAN, json.dumps({**written, SIGNATURE: signature}))

    def _failed(self, job: Job) -> Path:
        return self.directory / STATE / f"{job.number}.failed"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """One process at a time conducts the sweep in the directory.

    Raises:
        SpecError: another does.
    """
    (directory / STATE).mkdir(parents=True, exist_ok=True)
    with open(directory / STATE / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SpecError(
                f"sweep {directory.name}: another process runs it; allowed: one at a time"
            ) from None
        yield


def killed(ids: Collection[str]) -> set[str]:
    """Of these sweeps, by their ids, those that lie here and that no process conducts."""
    ended = set()
    for path in SWEEPS.glob(f"*/{PLAN}"):
        directory = path.parent
        if _id(directory) in ids:
            with suppress(SpecError), locked(directory):
                ended.add(_id(directory))
    return ended


def _id(directory: Path) -> str:
    return digest(str(directory.resolve()))


def find(name: str | None = None) -> Plan:
    """The plan of a sweep by its name or directory; without one, of the last begun or resumed.

    Raises:
        SpecError: there is none.
    """
    if name is not None:
        return read(Path(name) if "/" in name else SWEEPS / name)
    known = sorted(SWEEPS.glob(f"*/{PLAN}"), key=lambda path: path.stat().st_mtime_ns)
    if not known:
        raise SpecError(f"sweep: none in {str(SWEEPS)!r}; allowed: the directory of one")
    return read(known[-1].parent)


def read(directory: Path) -> Plan:
    """The plan of the sweep in a directory.

    Others may have written it: of a job's number its directory is made, which `resume` removes.

    Raises:
        SpecError: there is none. DataError: it is not as a sweep writes it.
    """
    path = directory / PLAN
    if not path.exists():
        if (directory / "spec.yaml").exists():
            table = directory / "tables/regression.tex"
            raise SpecError(f"sweep: {str(directory)!r} is a run, whose table is {table}")
        sweeps = [path.parent.name for path in directory.parent.glob(f"*/{PLAN}")]
        sweeps.sort(reverse=True)
        known = unknown(directory.name, sweeps) if sweeps else "there is none"
        raise SpecError(f"sweep: no {PLAN} in {str(directory)!r}: {known}")
    kept = only(path, mapping_of_json(path, MOST_PLAN), OF_PLAN, OF_SOME_PLANS)
    kept.pop(SIGNATURE, None)
    kept["directory"] = directory
    kept["executor"] = executor_in(kept["settings"], kept.get("executor", INLINE))
    kept["settings"] = bound("sweep", Sweep, without_earlier(kept["settings"]))
    bound("tracking", Tracking, kept["tracking"])
    kept["jobs"] = tuple(_job(path, job) for job in kept["jobs"])
    numbers = [job.number for job in kept["jobs"]]
    if numbers != list(range(len(numbers))):
        raise DataError(f"{path}: jobs: not numbered from 0 on; allowed: as a sweep writes it")
    kept["axes"] = tuple(_axis(path, axis) for axis in kept["axes"])
    for name in ("configs", "words", "fixed", "allow"):
        kept[name] = tuple(kept.get(name, ()))
    return Plan(**kept)


def is_own(directory: Path) -> bool:
    """Whether this user wrote the plan in a directory, with the home that they have here."""
    kept = mapping_of_json(directory / PLAN, MOST_PLAN)
    signature = kept.pop(SIGNATURE, "")
    try:
        return is_signed(bytes.fromhex(signature), _text_of(kept))
    except (TypeError, ValueError):
        return False


def refuse_of_others(directory: Path, trusted: bool) -> None:
    """Refuse to run what somebody else may have planned.

    Raises:
        SpecError: this user did not write the plan, and does not trust it.
    """
    if not trusted and not is_own(directory):
        raise SpecError(
            f"sweep {directory.name}: you did not write its {PLAN}, or not with the home that you "
            f"have here; allowed: --trust, to run the code and write the files that it names"
        )


def _text_of(kept: Mapping[str, Any]) -> bytes:
    """What is signed of a plan."""
    return json.dumps(kept, sort_keys=True).encode()


def _job(path: Path, kept: Mapping[str, Any]) -> Job:
    """A job as the plan file keeps it: its tuples are lists there.

    Raises:
        DataError: it is not as a sweep writes it.
    """
    job = only(path, dict(kept), OF_JOB, OF_SOME_JOBS)
    differs = tuple(kept["differs"])
    overrides = tuple(kept["overrides"])
    return Job(**{**job, "differs": differs, "overrides": overrides})


def _axis(path: Path, kept: Mapping[str, Any]) -> Axis:
    """An axis as the plan file keeps it: its tuple is a list there.

    Raises:
        DataError: it is not as a sweep writes it.
    """
    axis = only(path, dict(kept), OF_AXIS)
    return Axis(**{**axis, "values": tuple(kept["values"])})


def _replace(path: Path, text: str) -> None:
    """Write the text under a name of its own first: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    write_kept(fresh, text)
    fresh.replace(path)
