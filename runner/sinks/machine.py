"""What the terminal prints for a program: one JSON object, nothing else.

A number that is not finite is null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from runner.experiment.reading import reading

if TYPE_CHECKING:
    from runner.data.accounts.account import Account
    from runner.experiment.auditing.audit import Audit
    from runner.experiment.report import Report

# of what is printed: for a person in short or in full, for a program, or not at all
Form = Literal["tables", "full", "json", "quiet"]


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
    return {
        "kind": "rerun",
        "directory": str(directory),
        "run_id": again,
        "rerun": run_id,
        "identical": not differences,
        "differences": list(differences),
    }


def of_audit(name: str, audit: Audit) -> dict[str, Any]:
    """What was tried for look-ahead."""
    return {
        "name": name,
        "kind": "audit",
        "assets": audit.assets,
        "rows": audit.rows,
        "cuts": audit.cuts,
        "seed": audit.seed,
        "warnings": audit.warnings,
        "audit": audit.table,
        "reading": audit.words,
        "leaks": audit.leaks,
    }


def of_check(name: str, account: Account, directory: Path) -> dict[str, Any]:
    """What was read; the tables by date are in the files."""
    return {
        "name": name,
        "kind": "check",
        "directory": str(directory),
        "source": account.source,
        "fingerprint": account.fingerprint,
        "span": account.span,
        "calendar": account.calendar,
        "reading": account.words,
        "notes": account.notes,
        "columns": account.columns,
        "gaps": account.gaps,
        "coverage": account.coverage,
        "joins": account.joins,
        "units": account.units,
        "moves": account.moves,
        "labels": account.labels,
        "dropped": account.dropped,
    }


def text(content: Mapping[str, Any]) -> str:
    """The object in one line."""
    return json.dumps(_plain(content), ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """The value as JSON can hold it.

    A table becomes a list of records, a date its ISO text, a number that is not finite null.
    """
    if isinstance(value, pd.DataFrame):
        return _plain(value.to_dict("records"))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str | bool | int | float):
        return value
    return str(value)
