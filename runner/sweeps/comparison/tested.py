"""What survives of a sweep once all that was tried on the same data and target is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import SpecError
from runner.record.ledger import Ledger
from runner.record.rundir import RunDirectory
from runner.sweeps.plan import Plan
from runner.text import count
from runner.trials.verdict import Bar, Verdict, judge
from runner.trials.verdict import Job as Tested

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 400_000_000  # of the forecasts of all jobs that are compared
OLDER = "written by an older version, which kept nothing of what its p-values rest on; to have one, run the job again"


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
    size = sum((plan.place(job) / "predictions.parquet").stat().st_size for job in done)
    written = [RunDirectory(plan.place(job)) for job in done]
    with_forecasts = size <= MOST_BYTES
    found = [
        tested(plan.names[job.number], run, with_forecasts)
        for job, run in zip(done, written, strict=True)
    ]
    ledger, families = Ledger(Path(plan.ledger)), {job.family for job in done}
    trials = sum(ledger.count(family).trials for family in families)
    horizon = max(run.about.get("horizon", 1) for run in written)
    settings = plan.settings
    bar = Bar(
        settings.tests,
        without_result=max(trials - len(done), 0),
        horizon=max(horizon, 1),
        seed=settings.seed,
    )
    try:
        said = judge(found, bar)
    except ValueError as error:
        raise SpecError(f"sweep.tests: {error}") from None
    older = sum(_is_older(run) for run in written)
    if older:
        note = f"Strategies and forecasts of {count(older, 'job')} written by an older version are not judged."
        said = said._replace(notes=(*said.notes, note))
    if size > MOST_BYTES:
        note = f"Forecasts are not compared: {size / 1e6:.0f} MB of them, more than {MOST_BYTES / 1e6:.0f}."
        said = said._replace(notes=(*said.notes, note))
    return said


def tested(name: str, written: RunDirectory, with_forecasts: bool) -> Tested:
    """What the job left behind, as far as it is tested."""
    coefficients, about = written.table("coefficients"), written.about
    if _is_older(written):
        return Tested(name, coefficients, doubts=dict.fromkeys(coefficients["term"], OLDER))
    has_forecasts = with_forecasts and "oos/n_obs" in written.metrics
    return Tested(
        name,
        coefficients,
        written.contributions,
        about["doubts"],
        about["no_influence"],
        _returns(written),
        written.predictions if has_forecasts else None,
    )


def _is_older(written: RunDirectory) -> bool:
    """Whether the run was written before runs kept what p-values rest on.

    Its influences are then not those under the null, and it may have neither its horizon nor its
    wealth.
    """
    return "doubts" not in written.about


def _returns(written: RunDirectory) -> dict[str, pd.Series]:
    """Returns by date of each strategy of the run, after its costs."""
    if written.wealth is None:
        return {}
    by_strategy = written.wealth.groupby("strategy", sort=False)
    wealth = {str(name): table.set_index("date")["wealth"] for name, table in by_strategy}
    return {name: path.pct_change().dropna() for name, path in wealth.items()}
