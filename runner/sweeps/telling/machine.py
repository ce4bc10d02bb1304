"""What the terminal says of a sweep to a program: one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.sweeps.comparison.comparison import Comparison


def of_sweep(comparison: Comparison, verdict: Sequence[str], directory: Path) -> dict[str, Any]:
    """The jobs of a sweep; the verdict is null where none was passed."""
    outcomes = comparison.failures["outcome"].value_counts()
    counts = {
        "jobs": len(comparison.plan.jobs),
        "finished": len(comparison.outcomes),
        "failed": int(outcomes.get("failed", 0)),
        "not_run": int(outcomes.get("not run", 0)),
    }
    return {
        "name": comparison.plan.name,
        "kind": "sweep",
        "directory": str(comparison.plan.directory),
        "report": str(directory),
        "counts": counts,
        "score": comparison.score or None,
        "lower_is_better": comparison.lower_is_better,
        "leaderboard": comparison.leaderboard,
        "failures": comparison.failures,
        "verdict": verdict[0] if verdict else None,
        "reading": [*verdict[1:], *comparison.words],
    }
