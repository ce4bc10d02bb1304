"""Overrides as people type them: special characters, and new keys of mappings that are open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf

from runner.data.reading.usual import USUAL
from runner.errors import SpecError
from runner.experiment.settings import GROUPS
from runner.sweeps.axes import Axis

if TYPE_CHECKING:
    from omegaconf import DictConfig

# tables that are joined: every key of one is checked with the spec
TABLES = ("data.fields", "data.series", "data.labels")
# mappings whose keys are names of a person's own
OPEN = (
    *TABLES,
    "data.columns",
    "data.groups",
    "data.macro",
    "data.where",
    "features",
    "analyses",
    "table.labels",
    "executor.parameters",
)
# what a sweep said of its executor before that was a setting of its own
EARLIER = ("sweep.launcher", "sweep.workers", "sweep.slurm")
PREFIXES = ("+", "~")
# letters by which a new name may differ from a known one and be a slip of the pen, by the letters
# of the longer one: of two letters nothing can be told
SLIPS = {1: 0, 2: 0, 3: 1}
SLIP = 2
LISTS = "[{\"'"


def key_of(word: str) -> str:
    """The dotted key of an override, without prefix and package."""
    return word.partition("=")[0].lstrip("+~").split("@")[0]


def put(word: str) -> str:
    """An override of a setting below a group, whatever the option of the group has."""
    key = key_of(word)
    is_plain = word.startswith(key)
    group, dot, _ = key.partition(".")
    return f"++{word}" if is_plain and dot and group in GROUPS else word


def readable(word: str) -> str:
    """The override with its value quoted where the grammar cannot read it as it is typed.

    Keys that no config has get their plus: an executor of a person's own, and earlier names.
    """
    key = key_of(word)
    is_own_executor = word.startswith("executor={")
    if is_own_executor or key in EARLIER or key.startswith("sweep.slurm."):
        word = f"++{word.lstrip('+')}"
    if "=" not in word or _is_read(word):
        return word
    key, _, value = word.partition("=")
    if value.startswith("[") and value.endswith("]"):
        items = [_quoted(item) for item in value[1:-1].split(",")]
        quoted = f"{key}=[{','.join(items)}]"
    else:
        quoted = f"{key}={_quoted(value)}"
    return quoted if _is_read(quoted) else word


def _is_read(word: str) -> bool:
    try:
        OverridesParser.create().parse_overrides([word])
    except OverrideParseException:
        return False
    return True


def _quoted(text: str) -> str:
    """Plain text in quotes; text that begins with some, or is a list of its own, as it is."""
    plain = text.strip()
    if not plain or plain[0] in LISTS:
        return text
    mark = '"' if "'" in plain else "'"
    return text if mark in plain else f"{mark}{plain}{mark}"


def refuse_varied(words: Sequence[str], axes: Sequence[Axis]) -> None:
    """Refuse overrides of a sweep itself that take what differs between its jobs.

    Raises:
        SpecError: one line each.
    """
    mistakes = []
    for word in words:
        used = re.findall(r"\$\{([\w.]+)", word)
        for axis in axes:
            if any(key == axis.key or key.startswith(f"{axis.key}.") for key in used):
                problem = f"takes {axis.key}, which differs between the jobs of the sweep"
                mistakes.append(f"{word}: {problem}; allowed: what they share")
    if mistakes:
        raise SpecError(mistakes)


def axes_of(overrides: Sequence[Override]) -> tuple[list[str], list[Axis]]:
    """What is the same for every job, and what varies."""
    fixed = []
    axes = []
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            fixed.append(str(override.input_line))
        elif override.is_interval_sweep():
            ends: Any = override.value()
            axes.append(Axis(key, (), ends.start, ends.end, "log" in ends.tags))
        else:
            values = [f"{key}={value}" for value in override.sweep_string_iterator()]
            axes.append(Axis(key, tuple(values)))
    return fixed, axes


def only_changes(override: Override) -> bool:
    """Whether the override gives another value to a key that is there."""
    return override.type == OverrideType.CHANGE and override.package is None


def touches_open(word: str) -> bool:
    """Whether the override gives an open mapping, or a key below one."""
    key = f"{key_of(word)}."
    return any(key.startswith(f"{mapping}.") for mapping in OPEN)


def may_be_new(word: str) -> bool:
    """Whether the override gives a key below an open mapping, or keys of it, without a prefix."""
    if word.startswith(PREFIXES) or "=" not in word:
        return False
    key, _, value = word.partition("=")
    if key in OPEN:
        return value.startswith("{")
    return _mapping_of(key) is not None


def _mapping_of(key: str) -> str | None:
    """The open mapping that the key lies below; of a table that is joined its settings too."""
    for mapping in OPEN:
        name = key.removeprefix(f"{mapping}.")
        if name != key and ("." not in name or mapping in TABLES):
            return mapping
    return None


def opened(words: Iterable[str], config: DictConfig) -> tuple[list[str], list[str]]:
    """The overrides with a + before new keys of open mappings, and these keys.

    Keys that cannot have been meant for others are not among these: the columns that every table
    may have, and those of a mapping that was empty.

    Args:
        config: composed without them.

    Raises:
        SpecError: new keys that are nearly known ones, one line each.
    """
    result = []
    added: list[str] = []
    mistakes = []
    for word in words:
        if not may_be_new(word) or not _is_new(key_of(word), config):
            result.append(word)
            continue
        keys = [key for key in _keys_given(word) if _is_new(key, config)]
        mistakes += [_slip(key, config) for key in keys if _nearly(key, config)]
        again = bool(set(keys) & set(added))
        prefix = "++" if again else "+"  # the last of several counts, as of known keys
        added += keys
        result.append(f"{prefix}{word}")
    if mistakes:
        raise SpecError(mistakes)
    return result, [key for key in added if _may_surprise(key, config)]


def _may_surprise(key: str, config: DictConfig) -> bool:
    """Whether a new key stands beside others for which it may have been meant."""
    mapping = str(_mapping_of(key))
    if mapping == "data.columns":
        return key.removeprefix(f"{mapping}.") not in USUAL
    return bool(_names(mapping, config))


def _keys_given(word: str) -> list[str]:
    """The keys below an open mapping that the override gives a value: several in a mapping."""
    key = key_of(word)
    if key not in OPEN:
        return [key]
    [override] = OverridesParser.create().parse_overrides([word])
    given: Any = override.value()
    return [f"{key}.{name}" for name in given] if isinstance(given, dict) else []


def _slip(key: str, config: DictConfig) -> str:
    """The line that refuses a new key that is nearly a known one."""
    mapping = _mapping_of(key)
    name = key.removeprefix(f"{mapping}.").partition(".")[0]
    place = f"{mapping}.{name}"
    known = _nearly(key, config)
    return f"{place}: {name!r} is new, and nearly {known}; +{key}=... adds it"


def _is_new(key: str, config: DictConfig) -> bool:
    """Whether an open mapping of the config has no such key; settings of one it has are not new."""
    mapping = _mapping_of(key)
    if mapping is None:
        return True
    name, _, setting = key.removeprefix(f"{mapping}.").partition(".")
    known = _names(mapping, config)
    if name not in known:
        return True
    of_table = mapping in TABLES
    return of_table and setting not in _names(f"{mapping}.{name}", config)


def _names(mapping: str, config: DictConfig) -> list[str]:
    """The keys of a mapping of the config; none where it is no mapping."""
    node: Any = OmegaConf.select(config, mapping, throw_on_missing=False)
    if not OmegaConf.is_dict(node):
        return []
    return [str(name) for name in node]


def _nearly(key: str, config: DictConfig) -> str | None:
    """The known key of the same mapping that a new one may be a slip of."""
    mapping = _mapping_of(key)
    if mapping is None:
        return None
    name = key.removeprefix(f"{mapping}.").partition(".")[0]
    for known in _names(mapping, config):
        numbered = _letters(name) == _letters(known)
        if not numbered and _is_slip(name.casefold(), known.casefold()):
            return known
    return None


def _is_slip(name: str, known: str) -> bool:
    """Whether a name may be a slip of the pen for a known one, such as SBM for SMB."""
    longest = max(len(name), len(known))
    if longest == 3 and sorted(name) == sorted(known):
        return True
    return distance(name, known) <= SLIPS.get(longest, SLIP)


def emptied(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with an empty mapping for each that is open and null."""
    whole = dict(spec)
    data = spec.get("data")
    if isinstance(data, dict):
        whole["data"] = dict(data)
    for mapping in OPEN:
        group, _, name = mapping.rpartition(".")
        node = whole.get(group) if group else whole
        if isinstance(node, dict) and name in node and node[name] is None:
            node[name] = {}
    return whole


def _letters(name: str) -> str:
    """The name without its digits: mom_1m and mom_6m are two names on purpose."""
    return "".join(letter for letter in name if not letter.isdigit())


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Letters to insert, leave out or replace to get from one name to the other (Levenshtein)."""
    before = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, another in enumerate(other, 1):
            replaced = before[j - 1] + (letter != another)
            row.append(min(replaced, before[j] + 1, row[-1] + 1))
        before = row
    return before[-1]
