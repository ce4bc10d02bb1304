"""What the jobs of a sweep differ in, under names as short as they can be told apart by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runner.experiment.spec import without_secrets
from runner.record.identity import ASIDE
from runner.sweeps.plan import Job

if TYPE_CHECKING:
    import pandas as pd

ABSENT, UNCHANGED = "(absent)", "(as in the base)"
NOT_KEYS = ("hydra", *(key for key in ASIDE if key != "name"))


def choices(
    jobs: Sequence[Job], taken: Collection[str] = ()
) -> tuple[dict[str, str], pd.DataFrame]:
    """The dotted keys that differ by their short names, and their values with a row per job number.

    A choice of a group is one key, however many settings it brings: what follows from keys that
    were swept is no key of its own. `taken`: names that no key may have.
    """
    import pandas as pd

    columns = {
        key: column for key, column in _swept(jobs).items() if len(set(map(repr, column))) > 1
    }
    for key, column in _settings(jobs).items():
        if not _follows(column, list(columns.values())):
            columns[key] = column
    names = short_names(list(columns), taken)
    numbers = pd.Index([job.number for job in jobs], name="job")
    table = {short: pd.Series(columns[key], index=numbers) for short, key in names.items()}
    return names, pd.DataFrame(table, index=numbers)


def short_names(keys: Sequence[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Dotted keys by the shortest of their endings that no other key has and that is not taken."""
    found: dict[str, str] = {}
    for key in keys:
        parts = key.split(".")
        others = [other.split(".") for other in keys if other != key]
        ends = [
            n for n in range(1, len(parts) + 1) if all(one[-n:] != parts[-n:] for one in others)
        ]
        free = [".".join(parts[-n:]) for n in ends if not parts[-n].startswith("_")]
        found[next((name for name in free if name not in {*taken, *found}), f"spec.{key}")] = key
    return found


def flattened(node: Any, prefix: str = "") -> dict[str, Any]:
    """Settings by dotted key; lists and empty mappings are values."""
    if isinstance(node, Mapping) and node:
        parts = [
            flattened(value, f"{prefix}.{key}" if prefix else str(key))
            for key, value in node.items()
        ]
        return {key: value for part in parts for key, value in part.items()}
    return {prefix: node}


def shown(value: Any) -> Any:
    """A value of a spec as a table has it: numbers as they are, all else as text, what is built by
    its name.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(str(shown(one)) for one in value)}]"
    if isinstance(value, Mapping) and "_target_" in value:
        given = [f"{key}: {shown(one)}" for key, one in value.items() if key != "_target_"]
        return f"{str(value['_target_']).rpartition('.')[2]}({', '.join(given)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(one)}" for key, one in value.items()) + "}"
    return (
        "null"
        if value is None
        else str(value).lower()
        if isinstance(value, bool)
        else without_secrets(str(value))
    )


def _swept(jobs: Sequence[Job]) -> dict[str, list[Any]]:
    """Values of every key that the overrides of some job name, in the order of the command line."""
    said = [dict(_override(word) for word in job.differs) for job in jobs]
    keys = dict.fromkeys(key for one in said for key in one if key.split(".")[0] not in NOT_KEYS)
    return {
        key: [_value(job, key, one) for job, one in zip(jobs, said, strict=True)] for key in keys
    }


def _override(word: str) -> tuple[str, str]:
    key, _, value = word.partition("=")
    return key.lstrip("+~").split("@")[0].replace("/", "."), "(removed)" if word.startswith(
        "~"
    ) else value


def _value(job: Job, key: str, said: Mapping[str, str]) -> Any:
    """The setting itself where the key names one, the chosen option where it names a group."""
    node: Any = job.spec
    for part in key.split("."):
        node = node.get(part, ABSENT) if isinstance(node, Mapping) else ABSENT
    if isinstance(node, Mapping):
        return without_secrets(said.get(key, job.chosen.get(key, UNCHANGED)))
    return without_secrets(said.get(key, ABSENT)) if node is ABSENT else shown(node)


def _settings(jobs: Sequence[Job]) -> dict[str, list[Any]]:
    """Settings that are not the same in every job."""
    every = [
        {
            key: shown(value)
            for key, value in flattened(job.spec).items()
            if key.split(".")[0] not in NOT_KEYS
        }
        for job in jobs
    ]
    keys = dict.fromkeys(key for one in every for key in one)
    found = {key: [one.get(key, ABSENT) for one in every] for key in keys}
    return {key: column for key, column in found.items() if len(set(map(repr, column))) > 1}


def _follows(column: Sequence[Any], given: Sequence[Sequence[Any]]) -> bool:
    """Whether the values of the given columns say the value of this one in every job."""
    first: dict[str, str] = {}
    told = [repr(one) for one in zip(*given, strict=True)] if given else [""] * len(column)
    return all(
        first.setdefault(key, repr(value)) == repr(value)
        for key, value in zip(told, column, strict=True)
    )
