"""What verbs take from their words: data for `check`, table and keys for `compare`, a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.cli.composition import Composer
from runner.cli.overrides import key_of
from runner.errors import SpecError
from runner.experiment.spec import Data, build_data
from runner.record.rundir import CHECKS
from runner.sweeps.plan import Plan

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
