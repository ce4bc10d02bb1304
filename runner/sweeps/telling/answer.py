"""The answer of a sweep: which job is best, by which score and how much, and what rivals it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from runner.errors import listed
from runner.sweeps.comparison.caveats import best
from runner.text import count

if TYPE_CHECKING:
    import pandas as pd

    from runner.sweeps.comparison.comparison import Comparison


def best_of(comparison: Comparison, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    """Which job is best and by how much, and which others its forecasts do not beat for sure.

    Args:
        tables: of the verdict on all jobs.
    """
    return [*best(comparison), *_rivals(tables.get("strategies"))]


def _rivals(strategies: pd.DataFrame | None) -> list[str]:
    """The model confidence set, where forecasts were compared."""
    if strategies is None:
        return []
    compared = strategies.dropna(subset=["in_mcs"]).drop_duplicates("job")
    if len(compared) < 2:
        return []
    in_set = compared["in_mcs"].astype(bool)
    jobs = [str(job) for job in compared.loc[in_set, "job"]]
    noun = "job" if len(jobs) == 1 else "jobs"
    kept = f"{noun} {listed(jobs)} of {count(len(compared), 'job')}"
    return [f"By squared errors the model confidence set (10 %) keeps {kept}."]
