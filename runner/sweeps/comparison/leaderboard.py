"""The leaderboard of a sweep: its finished jobs, best first, with what they chose and scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from runner.sweeps.comparison.common import COMMON, OWN

if TYPE_CHECKING:
    from runner.sweeps.comparison.ranked import Ranked

# columns of every leaderboard that has them
STANDARD = ("oos/r2", "oos/rmse", "fit/r2", "fit/n_obs")
# where jobs forecast different rows
ON_COMMON_ROWS = ("oos/n_obs", "common/r2", "common/rmse", "common/n_obs")
# columns with jobs that need a remark
LEAKING = "leaking"
TRAINED_ON = "trained on"
REMARKS = (LEAKING, TRAINED_ON)


def leaderboard(comparison: Ranked) -> pd.DataFrame:
    """The finished jobs, best first, with their ranks, choices and scores.

    Returns:
        Columns rank (equal scores share one; none without the score), job, the score, the keys that
        differ, the naive baseline and the standard metrics that some job has; `leaking` where some
        job is, and `trained on` where some job trains on rows after its test rows.
    """
    ranked = comparison.ranked
    metrics = _shown_metrics(comparison)
    numbers = [outcome.job.number for outcome in ranked]
    jobs = pd.Series(numbers, dtype="int64")
    table = pd.DataFrame({"job": jobs})
    names = [*comparison.names, *metrics]
    if comparison.score in metrics:
        names.insert(0, comparison.score)
    for name in dict.fromkeys(names):
        if name in metrics:
            values = [outcome.metrics.get(name) for outcome in ranked]
            table[name] = pd.Series(values, dtype="float64")
        else:
            choices = comparison.choices[name]
            of_jobs = choices.loc[numbers]
            table[name] = of_jobs.to_numpy()
    leaking = ["yes" if outcome.about.get("leaks") else "" for outcome in ranked]
    if any(leaking):
        table[LEAKING] = leaking
    later = [comparison.cross_validated(outcome) for outcome in ranked]
    if any(later):
        rows = {False: "earlier rows", True: "later rows too"}
        table[TRAINED_ON] = [rows[validated] for validated in later]
    table.insert(0, "rank", comparison.ranks.array)
    return table


def _shown_metrics(comparison: Ranked) -> list[str]:
    """Metrics with a column of the leaderboard, of those that some job has."""
    present = {name for outcome in comparison.outcomes for name in outcome.metrics}
    score = comparison.score
    on_own_rows = score.replace(COMMON, OWN, 1)
    names = (score, f"{score}_naive", on_own_rows, *STANDARD, *ON_COMMON_ROWS)
    metrics = [name for name in dict.fromkeys(names) if name in present]
    own_rows = f"{OWN}n_obs"  # worth a column beside the number of common rows only
    common_rows = f"{COMMON}n_obs"
    if common_rows not in present and own_rows in metrics:
        metrics.remove(own_rows)
    return metrics
