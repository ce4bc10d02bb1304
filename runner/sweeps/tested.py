"""What survives of a sweep once all that was tried on the same data and target is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import SpecError
from runner.ledger import Ledger
from runner.multiple.verdict import Bar, Verdict, judge
from runner.multiple.verdict import Job as Tested
from runner.rundir import RunDirectory
from runner.sweeps.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 400_000_000  # of the forecasts of all jobs that are compared


def verdict(plan: Plan) -> Verdict | None:
    """The verdict on the finished jobs; None where there are none.

    Every other trial that the ledger knows on the same data and target counts too, as one without a result here.

    Raises:
        SpecError: a term of sweep.tests that no job has.
    """
    done = [job for job in plan.jobs if plan.done(job)]
    if not done:
        return None
    size = sum((plan.place(job) / "predictions.parquet").stat().st_size for job in done)
    found = [_tested(plan.names[job.number], RunDirectory(plan.place(job)), size <= MOST_BYTES) for job in done]
    ledger, families = Ledger(Path(plan.ledger)), {job.family for job in done}
    trials = sum(ledger.count(family).trials for family in families)
    horizon = max(RunDirectory(plan.place(job)).about["horizon"] for job in done)
    settings = plan.settings
    bar = Bar(settings.tests, without_result=max(trials - len(done), 0), horizon=max(horizon, 1), seed=settings.seed)
    try:
        said = judge(found, bar)
    except ValueError as error:
        raise SpecError(f"sweep.tests: {error}") from None
    if size > MOST_BYTES:
        note = f"Forecasts are not compared: {size / 1e6:.0f} MB of them, more than {MOST_BYTES / 1e6:.0f}."
        said = said._replace(notes=(*said.notes, note))
    return said


def _tested(name: str, written: RunDirectory, with_forecasts: bool) -> Tested:
    """What the job left behind, as far as it is tested."""
    has_forecasts = with_forecasts and "oos/n_obs" in written.metrics
    return Tested(
        name,
        written.table("coefficients"),
        written.contributions,
        written.about["doubts"],
        written.about["no_influence"],
        _returns(written),
        written.predictions if has_forecasts else None,
    )


def _returns(written: RunDirectory) -> dict[str, pd.Series]:
    """Returns by date of each strategy of the run, after its costs."""
    if written.wealth is None:
        return {}
    by_strategy = written.wealth.groupby("strategy", sort=False)
    wealth = {str(name): table.set_index("date")["wealth"] for name, table in by_strategy}
    return {name: path.pct_change().dropna() for name, path in wealth.items()}
