"""What makes a job the same job: its spec, the data and the code, not where its results go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

# Of a spec: where results go, how much is written, how its table is laid out, and who computes it.
ASIDE = ("name", "tracking", "ledger", "report", "table", "executor")
ASIDE_OF_DATA = ("on_disk", "folder")  # where its numbers lie while it is run


def job_key(spec: Mapping[str, Any], fingerprint: str, code: str) -> str:
    """The same for two jobs if and only if they must give the same numbers."""
    settings = {key: value for key, value in spec.items() if key not in ASIDE}
    data = settings.get("data")
    if isinstance(data, Mapping):
        settings["data"] = {key: value for key, value in data.items() if key not in ASIDE_OF_DATA}
    return digest([settings, fingerprint, code])


def family_key(spec: Mapping[str, Any], sample: str) -> str:
    """The same for all trials on the same rows and target, whatever else is read.

    Args:
        sample: digest of what the rows and the target are made of. Earlier versions took that of
            all data, so that a further column began a new count.
    """
    return digest([spec.get("target"), sample])


def short(override: str) -> str:
    """An override without the groups before its key, for people."""
    path, _, value = override.partition("=")
    name = path.rpartition(".")[2]
    return f"{name}={value}"


def digest(of: Any) -> str:
    """Twenty digits that name plain mappings, lists, numbers and texts by their content."""
    text = json.dumps(of, sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:20]
