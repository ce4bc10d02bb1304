"""The plan of a sweep, written before anything runs: every job with its spec, and what became of
each.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from runner.errors import DataError, SpecError, unknown
from runner.experiment.spec import without_secrets
from runner.record.identity import digest, short
from runner.record.ledger import marker
from runner.record.rundir import SWEEPS, RunDirectory
from runner.sweeps.search import Axis
from runner.sweeps.settings import Sweep

PLAN, STATE = "plan.json", ".state"


@dataclass(frozen=True)
class Job:
    """One job: its number, the overrides that only it has, all of them, its spec, and once the data
    is known its fingerprint, the key of the job and the family of trials that it belongs to;
    `chosen`: the option of each group."""

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


@dataclass(frozen=True)
class Failure:
    """Why a job has no results: one line per mistake; `final` where trying again cannot help."""

    mistakes: tuple[str, ...]
    final: bool
    seconds: float = 0.0
    trace: str = ""


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
        for told in (short, str):
            found = {
                job.number: " ".join(map(told, job.differs)) or f"job {job.number}"
                for job in self.jobs
            }
            if len(set(found.values())) == len(found):
                return found
        return {job.number: f"job {job.number}" for job in self.jobs}

    def to_do(self) -> int:
        """Jobs that the sweep has when it is done."""
        return len(self.jobs) if self.settings.search != "bayes" else self.settings.draws or 0

    def place(self, job: Job) -> Path:
        """The run directory of a job."""
        return self.directory / str(job.number)

    def done(self, job: Job) -> bool:
        """Whether the run directory of the job is there, made by this code from this data and
        spec.
        """
        try:
            return bool(job.key) and RunDirectory(self.place(job)).about.get("job") == job.key
        except (DataError, ValueError):
            return False

    def failure(self, job: Job) -> Failure | None:
        """Why the job failed when it was last tried, None where it did not."""
        try:
            found = json.loads(self._failed(job).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Failure(**{**found, "mistakes": tuple(found["mistakes"])})

    def fail(self, job: Job, failure: Failure) -> None:
        """Keep why the job failed."""
        _replace(self._failed(job), json.dumps(asdict(failure), indent=1))

    def forget(self, job: Job) -> None:
        """As if the job had never failed."""
        self._failed(job).unlink(missing_ok=True)

    def clear(self, job: Job) -> None:
        """Remove what is left of the job: of other data or code, of workers that were killed, why
        it failed.
        """
        for old in (self.place(job), *self.directory.glob(f".{job.number}.*.unfinished")):
            shutil.rmtree(old, ignore_errors=True)
        self.forget(job)

    @contextmanager
    def held(self, job: Job) -> Iterator[None]:
        """One process at a time works on the job, which has begun: a killed conductor's worker may
        still be at it.
        """
        with open(marker(self.place(job)), "w") as mark:
            fcntl.flock(mark, fcntl.LOCK_EX)
            yield

    def write(self) -> None:
        """Write the plan, whole or not at all."""
        told = {one.name: getattr(self, one.name) for one in fields(self)} | {"directory": ""}
        told |= {"settings": asdict(self.settings), "axes": list(map(asdict, self.axes))}
        told = without_secrets(told | {"jobs": [vars(job) for job in self.jobs]})
        (self.directory / STATE).mkdir(parents=True, exist_ok=True)
        _replace(self.directory / PLAN, json.dumps(told, default=str))

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
    found = set()
    for place in (path.parent for path in SWEEPS.glob(f"*/{PLAN}") if _id(path.parent) in ids):
        with suppress(SpecError), locked(place):
            found.add(_id(place))
    return found


def _id(directory: Path) -> str:
    return digest(str(directory.resolve()))


def find(name: str | None = None) -> Plan:
    """The plan of a sweep by its name or directory; without one, of the sweep that was last begun
    or resumed.

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

    Raises:
        SpecError: there is none.
    """
    try:
        found = json.loads((directory / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        sweeps = sorted(
            (path.parent.name for path in directory.parent.glob(f"*/{PLAN}")), reverse=True
        )
        known = unknown(directory.name, sweeps) if sweeps else "there is none"
        raise SpecError(f"sweep: no {PLAN} in {str(directory)!r}: {known}") from None
    lists = ("differs", "overrides")
    jobs = [Job(**{**job, **{name: tuple(job[name]) for name in lists}}) for job in found["jobs"]]
    axes = [Axis(**{**axis, "values": tuple(axis["values"])}) for axis in found["axes"]]
    own = {
        "directory": directory,
        "settings": Sweep(**found["settings"]),
        "jobs": tuple(jobs),
        "axes": tuple(axes),
    }
    own |= {name: tuple(found[name]) for name in ("configs", "words", "fixed")}
    return Plan(**{**found, **own})


def _replace(path: Path, text: str) -> None:
    """Write the text under a name of its own first: readers see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
