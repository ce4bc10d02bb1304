"""What the terminal says of a sweep to a program: one JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.sweeps.comparison.comparison import Comparison


def of_sweep(found: Comparison, verdict: Sequence[str], directory: Path) -> dict[str, Any]:
    """The jobs of a sweep; the verdict is null where none was passed."""
    outcomes = found.failures["outcome"].value_counts()
    counts = {
        "jobs": len(found.plan.jobs),
        "finished": len(found.outcomes),
        "failed": int(outcomes.get("failed", 0)),
        "not_run": int(outcomes.get("not run", 0)),
    }
    return {
        "name": found.plan.name,
        "kind": "sweep",
        "directory": str(found.plan.directory),
        "report": str(directory),
        "counts": counts,
        "score": found.score or None,
        "lower_is_better": found.lower_is_better,
        "leaderboard": found.leaderboard,
        "failures": found.failures,
        "verdict": verdict[0] if verdict else None,
        "reading": [*verdict[1:], *found.words],
    }
