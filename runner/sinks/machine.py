"""What the terminal says to a program: one JSON object, nothing else; a number that is not finite
is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from runner.experiment.reading import reading

if TYPE_CHECKING:
    from runner.experiment.auditing.audit import Audit
    from runner.experiment.report import Report

Form = Literal[
    "tables", "json", "quiet"
]  # how to tell what came out: to a person, to a program, or not at all


def of_run(report: Report, directory: Path, run_id: str) -> dict[str, Any]:
    """A run; its id is null where it could not be logged."""
    return {
        "name": report.name,
        "kind": report.kind,
        "directory": str(directory),
        "run_id": run_id or None,
        "metrics": report.metrics,
        "coefficients": report.fit.coefficients,
        "errors": report.fit.errors,
        "reading": reading(report),
        "leaks": report.leaks,
    }


def of_rerun(
    run_id: str, again: str, directory: Path, differences: Sequence[str]
) -> dict[str, Any]:
    """A run that was repeated, and what is not the same."""
    same = not differences
    found = {"kind": "rerun", "directory": str(directory), "run_id": again, "rerun": run_id}
    return found | {"identical": same, "differences": list(differences)}


def of_audit(name: str, found: Audit) -> dict[str, Any]:
    """What was tried for look-ahead."""
    about = {
        "name": name,
        "kind": "audit",
        "assets": found.assets,
        "rows": found.rows,
        "cuts": found.cuts,
    }
    about |= {"seed": found.seed, "warnings": found.warnings}
    return about | {"audit": found.table, "reading": found.words, "leaks": found.leaks}


def text(found: Mapping[str, Any]) -> str:
    return json.dumps(_plain(found), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """The same in mappings, lists, texts and numbers; tables are lists of records."""
    if isinstance(value, pd.DataFrame):
        return [_plain(row) for row in value.to_dict("records")]
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, date):
        return value.isoformat()
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, float) and not math.isfinite(number):
        return None
    return number if isinstance(number, str | bool | int | float) else str(number)
