"""What verbs take from their words: data for `check`, table and keys for `compare`, a plan."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from runner.cli.composition import Composer
from runner.cli.overrides import key_of
from runner.errors import RunnerError, SpecError, listed
from runner.experiment.spec import Data, build_data
from runner.record.rundir import CHECKS, SWEEPS
from runner.sweeps.plan import PLAN, Plan, find, locked, read
from runner.text import count

DIRECTORY = "hydra.run.dir"
TABLE = "table."


def data_of(composer: Composer, overrides: Sequence[str]) -> tuple[Data, Path]:
    """The data of the spec that the overrides make, and the directory for its account.

    With other data than that of the default experiment, and without an experiment, no experiment is
    taken: dates and assets of the shipped example are not those of other data.

    Raises:
        SpecError: what does not compose, and the mistakes of the node `data`, one line each.
    """
    words = list(overrides)
    keys = {word.partition("=")[0] for word in words}
    options = [word.removeprefix("data=") for word in words if word.startswith("data=")]
    if options and "experiment" not in keys:
        words.append("experiment=none")
        if "name" not in keys:
            words.append(f"name={options[-1]}")
    config, directory = composer.places(words)
    if DIRECTORY not in keys:
        directory = CHECKS / directory.name
    return build_data(config), directory


def table_of(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The names among the words, and the settings of the regression table that overrides give.

    Raises:
        SpecError: an override of another key, or one that does not compose.
    """
    names = [word for word in words if "=" not in word]
    overrides = [word for word in words if "=" in word]
    if not overrides:
        return names, {}
    for word in overrides:
        if not word.startswith(TABLE):
            raise SpecError(f"compare: given {word}; allowed: settings such as {TABLE}brackets=t")
    composed, _ = Composer().places(overrides)
    keys = [word.removeprefix(TABLE).partition("=")[0] for word in overrides]
    settings = [key.partition(".")[0] for key in keys]
    return names, {name: composed["table"][name] for name in settings}


def heat_of(given: str | None) -> tuple[str, str] | None:
    """The two keys of a heat map.

    Raises:
        SpecError: one key.
    """
    if given is None:
        return None
    down, comma, across = given.partition(",")
    if not comma:
        raise SpecError(f"heat: given {given!r}; allowed: two keys, KEY1,KEY2")
    return down.strip(), across.strip()


def to_resume(words: Sequence[str]) -> tuple[Plan, list[str]]:
    """The sweep that the first word names, or else the only one to go on with; the other words.

    Raises:
        SpecError: there is no such sweep, or several, which are named, the newest first.
    """
    flags = [word for word in words if word.startswith("-")]
    if flags:
        raise SpecError(f"resume: given {' '.join(flags)}; allowed: a sweep, KEY=VALUE, --trust")
    if words and "=" not in words[0]:
        name, *rest = words
        return find(name), rest
    sweeps = _unfinished()
    if len(sweeps) == 1:
        return sweeps[0].plan, list(words)
    if not sweeps:
        raise SpecError(
            f"resume: which sweep? None in {str(SWEEPS)!r} is unfinished; "
            "allowed: its name or its directory"
        )
    raise SpecError(f"resume: which sweep? Unfinished, the newest first: {listed(sweeps)}")


class Unfinished(NamedTuple):
    """A sweep with jobs to do, and how many of its jobs are done."""

    plan: Plan
    done: int

    def __str__(self) -> str:
        jobs = count(self.plan.to_do(), "job")
        return f"{self.plan.name} ({self.done:,} of {jobs} done)"


def _unfinished() -> list[Unfinished]:
    """The sweeps that lie here with jobs to do and that no process conducts, the newest first.

    A job that failed for good is nothing to do.
    """
    known = sorted(SWEEPS.glob(f"*/{PLAN}"), key=lambda path: path.stat().st_mtime_ns)
    sweeps = []
    for path in reversed(known):
        with suppress(RunnerError), locked(path.parent):
            plan = read(path.parent)
            left = [job for job in plan.jobs if not plan.done(job)]
            failures = [plan.failure(job) for job in left]
            for_good = sum(failure is not None and failure.final for failure in failures)
            done = len(plan.jobs) - len(left)
            if done + for_good < plan.to_do():
                sweeps.append(Unfinished(plan, done))
    return sweeps


def going_on(plan: Plan, composer: Composer, overrides: Sequence[str]) -> Plan:
    """The plan of a sweep as `resume` goes on with it: in which store, and who runs the rest.

    Raises:
        SpecError: overrides that do not compose; secrets that are not given again.
    """
    own: dict[str, Any] = {"tracking": plan.tracking}
    if overrides:
        own, _ = composer.places([*plan.fixed, *overrides])
    changed = replace(plan, tracking=own["tracking"])
    keys = [key_of(word).partition(".")[0] for word in overrides]
    if "executor" in keys:
        changed = replace(changed, executor=own["executor"])
    whole = changed.refilled(own, overrides)
    whole.check_whole()
    return whole
