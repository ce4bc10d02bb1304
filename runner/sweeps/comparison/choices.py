"""What the jobs of a sweep differ in, under names as short as they can be told apart by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runner.record.identity import ASIDE
from runner.record.secrets import without_secrets
from runner.sweeps.plan import Job

if TYPE_CHECKING:
    import pandas as pd

ABSENT = "(absent)"
UNCHANGED = "(as in the base)"
REMOVED = "(removed)"
NOT_KEYS = ("hydra", *(key for key in ASIDE if key != "name"))


def choices(
    jobs: Sequence[Job], taken: Collection[str] = ()
) -> tuple[dict[str, str], pd.DataFrame]:
    """The dotted keys that differ by their short names, and their values, a row per job number.

    A choice of a group is one key, however many settings it brings: what follows from keys that
    were swept is no key of its own. `taken`: names that no key may have.
    """
    import pandas as pd

    columns = {key: column for key, column in _swept(jobs).items() if _varies(column)}
    for key, column in _settings(jobs).items():
        every_column = list(columns.values())
        if not _follows(column, every_column):
            columns[key] = column
    keys = list(columns)
    names = short_names(keys, taken)
    numbers = pd.Index([job.number for job in jobs], name="job")
    table = {name: pd.Series(columns[key], index=numbers) for name, key in names.items()}
    return names, pd.DataFrame(table, index=numbers)


def short_names(keys: Sequence[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Dotted keys by the shortest of their endings that no other key has and that is not taken."""
    names: dict[str, str] = {}
    for key in keys:
        name = f"spec.{key}"
        for ending in _own_endings(key, keys):
            if ending not in taken and ending not in names:
                name = ending
                break
        names[name] = key
    return names


def _own_endings(key: str, keys: Sequence[str]) -> list[str]:
    """Endings of the key that no other key has, shortest first; none starts with an underscore."""
    parts = key.split(".")
    others = [other.split(".") for other in keys if other != key]
    endings = []
    pieces = len(parts) + 1
    for length in range(1, pieces):
        ending = parts[-length:]
        shared = any(other[-length:] == ending for other in others)
        if not shared and not ending[0].startswith("_"):
            text = ".".join(ending)
            endings.append(text)
    return endings


def flattened(node: Any, prefix: str = "") -> dict[str, Any]:
    """Settings by dotted key; lists and empty mappings are values."""
    if not isinstance(node, Mapping) or not node:
        return {prefix: node}
    settings: dict[str, Any] = {}
    for key, value in node.items():
        dotted = f"{prefix}.{key}" if prefix else str(key)
        nested = flattened(value, dotted)
        settings.update(nested)
    return settings


def shown(value: Any) -> Any:
    """A value of a spec as a table shows it.

    A number stays a number; all else is text, and what `_target_` builds has its name.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return value
    if isinstance(value, list | tuple):
        items = ", ".join(str(shown(item)) for item in value)
        return f"[{items}]"
    if isinstance(value, Mapping):
        settings = [f"{key}: {shown(item)}" for key, item in value.items() if key != "_target_"]
        text = ", ".join(settings)
        if "_target_" not in value:
            return f"{{{text}}}"
        _, _, name = str(value["_target_"]).rpartition(".")
        return f"{name}({text})"
    return without_secrets(str(value))


def _swept(jobs: Sequence[Job]) -> dict[str, list[Any]]:
    """Values of every key that an override of some job names, in the order of the command line."""
    overrides = [dict(map(_override, job.differs)) for job in jobs]
    columns: dict[str, list[Any]] = {}
    for given in overrides:
        for key in given:
            if key not in columns and _is_key(key):
                pairs = zip(jobs, overrides, strict=True)
                columns[key] = [_value(job, key, by_key) for job, by_key in pairs]
    return columns


def _is_key(key: str) -> bool:
    """Whether the key is one of the spec that the numbers of a job may depend on."""
    section, _, _ = key.partition(".")
    return section not in NOT_KEYS


def _varies(column: Sequence[Any]) -> bool:
    """Whether the values are not all the same, type and all."""
    different = {repr(value) for value in column}
    return len(different) > 1


def _override(word: str) -> tuple[str, str]:
    """The dotted key of an override, and its value as it was given."""
    left, _, value = word.partition("=")
    name = left.lstrip("+~").split("@")[0]
    if word.startswith("~"):
        value = REMOVED
    key = name.replace("/", ".")
    return key, value


def _value(job: Job, key: str, given: Mapping[str, str]) -> Any:
    """The setting itself where the key names one, the chosen option where it names a group."""
    node: Any = job.spec
    for part in key.split("."):
        node = node.get(part, ABSENT) if isinstance(node, Mapping) else ABSENT
    if isinstance(node, Mapping):
        option = job.chosen.get(key, UNCHANGED)
        return without_secrets(given.get(key, option))
    if node is ABSENT:
        return without_secrets(given.get(key, ABSENT))
    return shown(node)


def _settings(jobs: Sequence[Job]) -> dict[str, list[Any]]:
    """Settings that are not the same in every job."""
    settings = [_shown_settings(job) for job in jobs]
    keys: dict[str, None] = {}
    for of_job in settings:
        keys |= dict.fromkeys(of_job)
    columns = {}
    for key in keys:
        column = [of_job.get(key, ABSENT) for of_job in settings]
        if _varies(column):
            columns[key] = column
    return columns


def _shown_settings(job: Job) -> dict[str, Any]:
    """Every setting of the job by its dotted key, as a table shows it."""
    settings = flattened(job.spec)
    return {key: shown(value) for key, value in settings.items() if _is_key(key)}


def _follows(column: Sequence[Any], given: Sequence[Sequence[Any]]) -> bool:
    """Whether the value of this column is the same wherever those of all given columns are."""
    first: dict[str, str] = {}
    for row, value in enumerate(column):
        text = repr(value)
        combination = repr([other[row] for other in given])
        if first.setdefault(combination, text) != text:
            return False
    return True
