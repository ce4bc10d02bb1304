"""What the terminal says of a sweep to a program: one JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.sweeps.telling.answer import best_of

if TYPE_CHECKING:
    from runner.sweeps.comparison.comparison import Comparison
    from runner.sweeps.telling.page import Verdict


def of_sweep(comparison: Comparison, verdict: Verdict, directory: Path) -> dict[str, Any]:
    """The jobs of a sweep; the verdict is null where none was passed."""
    outcomes = comparison.failures["outcome"].value_counts()
    counts = {
        "jobs": len(comparison.plan.jobs),
        "finished": len(comparison.outcomes),
        "failed": int(outcomes.get("failed", 0)),
        "refused": int(outcomes.get("refused", 0)),
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
        "verdict": " ".join(verdict.sentences) or None,
        "reading": [*best_of(comparison, verdict.tables), *verdict.notes, *comparison.caveats],
    }
