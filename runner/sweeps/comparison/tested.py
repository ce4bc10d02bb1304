"""What survives of a sweep once all that was tried on the same data and target is paid for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import SpecError
from runner.record.ledger import Ledger
from runner.record.rundir import RunDirectory
from runner.sweeps.plan import Job, Plan
from runner.text import count
from runner.trials.trial import Bar
from runner.trials.trial import Job as Tested
from runner.trials.verdict import Verdict, judge

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 400_000_000  # of the forecasts of all jobs that are compared
MEGABYTE = 1e6
OLDER = (
    "written by an older version, which kept nothing of what its p-values rest on; "
    "to have one, run the job again"
)


def verdict(plan: Plan) -> Verdict | None:
    """The verdict on the finished jobs; None where there are none.

    Every other trial that the ledger knows on the same data and target counts too, as one without a
    result here.

    Raises:
        SpecError: a term of sweep.tests that no job has.
    """
    done = [job for job in plan.jobs if plan.done(job)]
    if not done:
        return None
    forecasts = [plan.place(job) / "predictions.parquet" for job in done]
    size = sum(path.stat().st_size for path in forecasts if path.exists())
    with_forecasts = size <= MOST_BYTES
    jobs = []
    horizon = 1
    older = 0
    for job in done:
        run = RunDirectory(plan.place(job))  # of a thousand jobs none is kept with all it has read
        jobs.append(tested(str(job.number), run, with_forecasts))
        horizon = max(horizon, run.about.get("horizon", 1))
        older += _is_older(run)
    bar = _bar(plan, done, horizon)
    try:
        judged = judge(jobs, bar)
    except ValueError as error:
        raise SpecError(f"sweep.tests: {error}") from None
    notes = (*judged.notes, *_left_out(older, size))
    return judged._replace(notes=notes)


def _bar(plan: Plan, done: Sequence[Job], horizon: int) -> Bar:
    """The terms that are tested, and the trials and the horizon that they are judged at."""
    path = Path(plan.ledger)
    ledger = Ledger(path)
    families = {job.family for job in done}
    trials = sum(ledger.count(family).trials for family in families)
    elsewhere = trials - len(done)
    return Bar(
        plan.settings.tests,
        without_result=max(elsewhere, 0),
        horizon=horizon,
        seed=plan.settings.seed,
    )


def _left_out(older: int, size: int) -> list[str]:
    """A sentence for each thing that is not judged.

    Args:
        older: jobs that an older version has written.
        size: bytes of all forecasts.
    """
    notes = []
    if older:
        notes.append(
            f"Strategies and forecasts of {count(older, 'job')} written by an older version "
            "are not judged."
        )
    if size > MOST_BYTES:
        notes.append(
            f"Forecasts are not compared: {size / MEGABYTE:.0f} MB of them, "
            f"more than {MOST_BYTES / MEGABYTE:.0f}."
        )
    return notes


def tested(name: str, run: RunDirectory, with_forecasts: bool) -> Tested:
    """What the job left behind, as far as it is tested."""
    coefficients = run.table("coefficients")
    if _is_older(run):
        doubts = dict.fromkeys(coefficients["term"], OLDER)
        return Tested(name, coefficients, doubts=doubts)
    forecasts = None
    if with_forecasts and "oos/n_obs" in run.metrics:
        forecasts = partial(_predictions, run.path)
    return Tested(
        name,
        coefficients,
        run.contributions,
        run.about["doubts"],
        run.about["no_influence"],
        _returns(run),
        forecasts,
    )


def _predictions(path: Path) -> pd.DataFrame:
    """The predictions of a run, read anew and not kept with it."""
    return RunDirectory(path).predictions


def _is_older(run: RunDirectory) -> bool:
    """Whether the run was written before runs kept what p-values rest on.

    Its influences are then not those under the null, and it may have neither its horizon nor its
    wealth.
    """
    return "doubts" not in run.about


def _returns(run: RunDirectory) -> dict[str, pd.Series]:
    """Returns by date of each strategy of the run, after its costs."""
    if run.wealth is None:
        return {}
    returns = {}
    for strategy, table in run.wealth.groupby("strategy", sort=False):
        by_date = table.set_index("date")
        wealth = by_date["wealth"]
        growth = wealth.pct_change()
        returns[str(strategy)] = growth.dropna()
    return returns
