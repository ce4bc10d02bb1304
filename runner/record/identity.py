"""What makes a job the same job: its spec, the data and the code; where its results go says
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

ASIDE = (
    "name",
    "tracking",
    "ledger",
    "report",
)  # of a spec: where results go and how much is written


def job_key(spec: Mapping[str, Any], fingerprint: str, code: str) -> str:
    """The same for two jobs if and only if they must give the same numbers."""
    return digest(
        [{key: value for key, value in spec.items() if key not in ASIDE}, fingerprint, code]
    )


def family_key(spec: Mapping[str, Any], fingerprint: str) -> str:
    """The same for all trials on the same data and target."""
    return digest([spec.get("target"), fingerprint])


def short(override: str) -> str:
    """An override without the groups before its key, for people."""
    return override.partition("=")[0].rpartition(".")[2] + "=" + override.partition("=")[2]


def digest(of: Any) -> str:
    """Twenty digits that name plain mappings, lists, numbers and texts by their content."""
    return sha256(json.dumps(of, sort_keys=True, default=str).encode()).hexdigest()[:20]
