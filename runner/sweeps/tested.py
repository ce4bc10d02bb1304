"""What survives of a sweep once all that was tried on the same data and target is paid for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import DataError, SpecError
from runner.ledger import Ledger
from runner.multiple.verdict import Bar, Verdict, judge
from runner.multiple.verdict import Job as Tested
from runner.rundir import RunDirectory
from runner.sweeps.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 400_000_000  # of the forecasts of all jobs that are compared
WEALTH = ("equity", "portfolio_wealth")  # tables of wealth by date and strategy, the job's own strategy first


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
    forecasts = written.predictions if with_forecasts and "oos/n_obs" in written.metrics else None
    return Tested(name, written.table("coefficients"), written.influence, _returns(written), forecasts)


def _returns(written: RunDirectory) -> pd.Series | None:
    """Returns by date of the strategy of the run, after its costs; None where it trades nothing."""
    for name in WEALTH:
        try:
            table = written.table(name)
        except DataError:
            continue
        names = list(dict.fromkeys(table["strategy"]))
        own = next((one for one in names if "after costs" in one), names[0])
        return table[table["strategy"] == own].set_index("date")["wealth"].pct_change().dropna()
    return None
