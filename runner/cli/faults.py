"""What an error of Hydra is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hydra.errors import MissingConfigException

from runner.cli.overrides import key_of
from runner.errors import unknown

NULL_OPTION = "Got NoneType"  # in Hydra's words on a group whose option is null


def culprit_of(error: Exception, overrides: Sequence[str]) -> str | None:
    """The override that an error of Hydra is about, if it is about one."""
    if isinstance(error, MissingConfigException):
        named = [str(error.missing_cfg_file or "").rpartition("/")[0]]
    else:
        named = [str(getattr(error, "override", "")), *re.findall(r"'([^']*)'", str(error))]
    for override in overrides:
        if key_of(override) in named or override in named:
            return override
        is_null_group = override.endswith("=null") and "." not in override
        if is_null_group and NULL_OPTION in str(error):
            return override
    if "nterpolation" in str(error):
        return next((override for override in overrides if "${" in override), None)
    return None


def first_absent(key: str, names: Callable[[str], Sequence[str]]) -> str:
    """The dotted key up to its first part that is not there.

    Args:
        names: the names that stand where a key was looked for.
    """
    parts = key.split(".")
    for length in range(1, len(parts)):
        place = ".".join(parts[:length])
        if parts[length - 1] not in names(place):
            return place
    return key


def missing_option(error: MissingConfigException) -> str:
    """A group option that does not exist, or a config that is not there."""
    group, _, option = str(error.missing_cfg_file or "").rpartition("/")
    if not group:
        return f"--config-name: no config {option!r}"
    return f"{group}: {unknown(option, error.options or [])}"


def unreadable(override: str) -> str:
    """An override that the grammar cannot read, and how its value is quoted."""
    if "=" not in override:
        return f"{override}: cannot be read; an override is written key=value"
    example = f"'{key_of(override)}=\"^VIX\"'"
    return f"{override}: cannot be read; quote special characters twice, such as {example}"
