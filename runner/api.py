"""The way in from Python: the same specs, reports and comparisons as on the command line.

    import runner

    report = runner.run("experiment=ff3", "model.cov=HAC")
    report.coefficients
    mine = runner.run("features=market", "target=same_period_return", data=frame)
    runner.compare(report, mine)
    runner.check("data=file", "data.path=prices.csv")

Nothing is printed, written or tracked unless it is asked for. What is wrong raises an exception of
`runner.errors` with the lines that the command line prints.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from runner.errors import RunnerError, SpecError

if TYPE_CHECKING:
    import pandas as pd
    from threadpoolctl import threadpool_limits

    from runner.cli.composition import Composer
    from runner.data.sources.source import Source
    from runner.experiment.spec import Experiment
    from runner.models.forecasts import Forecasts
    from runner.models.model import Model
    from runner.panels.panel import Panel
    from runner.session.check import Check
    from runner.session.comparison import Comparison
    from runner.session.report import Report
    from runner.sweeps.plan import Plan
    from runner.validation.splitters import Splitter

_COMPOSING = threading.RLock()  # Hydra's state is global: one thread composes at a time


def compose(*overrides: str, config_dir: str | Path | None = None) -> Experiment:
    """The checked spec of a run, ready to run.

    Args:
        overrides: as on the command line: `experiment=ff3`, `model.cov=HAC`.
        config_dir: a directory of configs of your own, searched before those of the package.

    Raises:
        SpecError: every mistake of the overrides and of the spec, one line each.
    """
    with _composer(config_dir) as composer:
        return composer.job(overrides).experiment


def run(
    *overrides: str,
    data: pd.DataFrame | None = None,
    config_dir: str | Path | None = None,
    save: bool = False,
    track: bool = False,
) -> Report:
    """Run one spec.

    Args:
        overrides: as on the command line.
        data: a DataFrame in place of the data of the spec (see `runner.data.Frame`): a row per date
            and asset, or dates x assets. Then the spec starts from `experiment=none` and is called
            `frame`, unless an experiment or a name is given.
        config_dir: a directory of configs of your own.
        save: whether to write the run directory, and to count the trial in the ledger, as the
            command line does.
        track: whether to log the run to MLflow too; it is saved then.

    Raises:
        SpecError: every mistake of the overrides and of the spec.
        DataError: the data is missing, bad or too short.
        EstimationError: no regression could be estimated.
    """
    from runner.session.report import Report

    words = _with_data(overrides, data)
    with _composer(config_dir) as composer:
        job = composer.job(words)
    experiment = _on_frame(job.experiment, data)
    with _ONE_THREAD:
        if save or track:
            from runner.sinks.job import saved

            report, run_id = saved(experiment, job.directory, track)
            return Report.of(report, job.directory, run_id)
        from runner.experiment.run import run as run_experiment

        return Report.of(run_experiment(experiment))


def check(
    *overrides: str, data: pd.DataFrame | None = None, config_dir: str | Path | None = None
) -> Check:
    """Read the data of a spec without running it, and tell what it holds.

    What each column was taken for, gaps of the calendar, coverage by asset, joins, units, the
    largest returns, groups, and what was left out and why.

    Args:
        overrides: as on the command line; of the spec only `data` has to be right.
        data, config_dir: as of `run`.

    Raises:
        SpecError: every mistake of the overrides and of `data`.
        DataError: the data is missing or bad.
    """
    from runner.cli.of_verbs import data_of
    from runner.data.accounts.account import account_of
    from runner.session.check import Check

    words = _with_data(overrides, data)
    with _composer(config_dir) as composer:
        to_read, _ = data_of(composer, words)
    if data is not None:
        to_read = replace(to_read, source=_of_frame(to_read.source, data))
    return Check(to_read.name, account_of(to_read.market()))


def sweep(
    *overrides: str,
    data: pd.DataFrame | None = None,
    config_dir: str | Path | None = None,
    score: str | None = None,
) -> Comparison:
    """Run every combination of a sweep in this process, and compare and judge the runs.

    Args:
        overrides: as on the command line with -m: `model.cov=HAC,HC3` is two runs.
        data, config_dir: as of `run`.
        score: the metric that ranks; None takes that of the spec (`sweep.score`).

    A run that fails is a row of `failures`; the others go on. The verdict pays for the runs of this
    sweep alone, which its notes say: nothing is written, so that no ledger counts trials. For
    several processes, a cluster, a timeout, or to go on after an interruption:
    `python -m runner -m ...`.

    Raises:
        SpecError: the mistakes of the spec, each with the job it is in; a search led by scores.
    """
    from runner.session.comparison import of_plan

    words = _with_data(overrides, data)
    with TemporaryDirectory() as folder:
        with _composer(config_dir) as composer:
            plan = composer.plan(words)
        if plan.search.led:
            raise SpecError(
                f"sweep.search: {plan.settings.search} needs the command line: "
                "python -m runner -m ..."
            )
        plan = replace(plan, directory=Path(folder), ledger=str(Path(folder) / "ledger.db"))
        with _ONE_THREAD:
            plan, reports = _jobs_run(plan, data)
        return of_plan(plan, reports, score)


def compare(*runs: Report | str | Path, score: str | None = None) -> Comparison:
    """Runs beside each other: reports, or directories of runs.

    Raises:
        SpecError: fewer than two runs; no run has the score.
        DataError: a directory is no run directory.
    """
    from runner.session.comparison import of_reports

    reports = []
    for given in runs:
        if isinstance(given, str | Path):
            given = load(given)
        reports.append(given)
    return of_reports(reports, score)


def load(directory: str | Path) -> Report:
    """The run that was written to a directory.

    Raises:
        DataError: it is no run directory.
    """
    from runner.session.report import Report

    return Report.read(Path(directory))


def panel(
    data: Any,
    *,
    features: Mapping[str, str | Callable[..., Any]],
    target: Callable[..., Any],
    preprocess: Sequence[Callable[..., Any]] = (),
) -> Panel:
    """Rows of a target and features, ready for `runner.models.Regression().fit(panel)`.

    Unlike a run, this audits no column for look-ahead.

    Args:
        data: a DataFrame with a row per date and asset; one of dates x assets as
            `runner.data.Frame(values="ret").of(frame)`; a source such as
            `runner.data.French(...)`; or a `runner.data.Market`.
        features: name -> an expression such as "close / lag(close, 21) - 1", or a function of the
            market such as `runner.features.momentum`; its settings by functools.partial.
        target: a function of the market such as `runner.targets.forward_return`.
        preprocess: functions of the cross-section such as `runner.preprocessing.rank`, in order.

    Raises:
        DataError: what the data, a feature or the target cannot give, one line each.
        SpecError: an expression that cannot be read.
    """
    from runner.data.market import Market
    from runner.data.rules import admitted
    from runner.panels.building import build_panel
    from runner.preprocessing.applying import Step
    from runner.schema.settings import MOST_LOST

    source = _source(data, features)
    market = source if isinstance(source, Market) else admitted(source.load(), MOST_LOST)
    functions = {name: _feature(name, feature) for name, feature in features.items()}
    steps = [Step(partial(step), _name_of(step), None) for step in preprocess]
    return build_panel(market, functions, target, steps)


def forecast(model: Model, panel: Panel, splitter: Splitter) -> Forecasts:
    """Out-of-sample forecasts of a panel by a model that is refitted for each fold, and scores.

    Args:
        model: such as `runner.models.Regression(by=None, estimator="ridge")`.
        splitter: such as `runner.validation.WalkForward(first="20y", test="1y")`.

    Raises:
        DataError: the splitter refuses its settings; a fold cannot be fitted or forecast.
        EstimationError: no regression of a fold could be estimated.
    """
    from runner.models.forecasts import forecasts_of
    from runner.validation.folds import shared_by
    from runner.validation.splitters import split_usable

    with _ONE_THREAD:
        with_levels = model.on(panel)
        folds = split_usable(splitter, panel.dates, panel.usable, panel.horizon)
        summed_once = replace(panel, shared=shared_by(folds, panel))
        return forecasts_of(with_levels, summed_once, folds)


def _feature(name: str, feature: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function of a feature."""
    from runner.features.expressions import Expression

    if not isinstance(feature, str):
        return feature
    try:
        return Expression(feature)
    except ValueError as error:
        raise SpecError(f"features.{name}: {error}") from None


def _source(data: Any, features: Mapping[str, str | Callable[..., Any]]) -> Any:
    """A source, where `data` is a DataFrame; it reads what the features name as text."""
    import pandas as pd

    from runner.data.sources.frame import Frame
    from runner.features.asked import Named, by_text, grouped

    if not isinstance(data, pd.DataFrame):
        return data
    named: list[Named] = []
    for feature in features.values():
        if isinstance(feature, str):
            named += by_text(feature)
    return Frame(asked=grouped(named)).of(data)


def _name_of(step: Callable[..., Any]) -> str:
    return str(getattr(step, "func", step).__name__)


def _with_data(overrides: Sequence[str], data: pd.DataFrame | None) -> tuple[str, ...]:
    """The overrides, with the group of data that takes a DataFrame where one is given.

    Raises:
        SpecError: a DataFrame beside other data.
    """
    if data is None:
        return tuple(overrides)
    named = [word for word in overrides if word.startswith("data=") and word != "data=frame"]
    if named:
        raise SpecError(f"data: a DataFrame is given beside {named[0]}; allowed: one of them")
    others = [word for word in overrides if word != "data=frame"]
    keys = {word.partition("=")[0] for word in others}
    chosen = ["data=frame"]
    if "experiment" not in keys:
        chosen.append("experiment=none")  # the shipped example is of other data
    if "name" not in keys:
        chosen.append("name=frame")
    return (*chosen, *others)


def _on_frame(experiment: Experiment, data: pd.DataFrame | None) -> Experiment:
    """The same, with the DataFrame as its source."""
    if data is None:
        return experiment
    return replace(experiment, source=_of_frame(experiment.source, data))


def _of_frame(source: Source, data: pd.DataFrame) -> Source:
    """The source that reads the DataFrame.

    Raises:
        SpecError: the source reads none.
    """
    from runner.data.sources.source import OfFrame

    if not isinstance(source, OfFrame):
        given = f"a DataFrame is given beside a source of type {type(source).__name__}"
        raise SpecError(f"data: {given}; allowed beside it: data=frame")
    return source.of(data)


def _jobs_run(plan: Plan, data: pd.DataFrame | None) -> tuple[Plan, dict[int, Report]]:
    """Run the jobs of a plan one after the other, each into its directory; a failure is kept."""
    from runner.compute.cache import Bench
    from runner.experiment.run import run as run_experiment
    from runner.experiment.spec import build
    from runner.record.identity import family_key
    from runner.session.report import Report
    from runner.sinks import files
    from runner.sweeps.plan import Failure

    bench = Bench()
    jobs = []
    reports: dict[int, Report] = {}
    for job in plan.jobs:
        try:
            experiment = _on_frame(build(job.spec, job.overrides, job.chosen), data)
            report = run_experiment(experiment, bench)
        except RunnerError as error:
            plan.fail(job, Failure(error.mistakes, final=True, outcome=error.outcome))
            jobs.append(job)
            continue
        place = plan.place(job)
        place.mkdir()
        files.write(report, place)
        reports[job.number] = Report.of(report)
        key = str(reports[job.number].about["job"])
        family = family_key(report.spec, report.sample)
        jobs.append(replace(job, fingerprint=report.fingerprint, key=key, family=family))
    return replace(plan, jobs=tuple(jobs)), reports


@contextmanager
def _composer(config_dir: str | Path | None) -> Iterator[Composer]:
    """Composes specs, for one thread at a time."""
    from runner.cli.composition import Composer

    with _COMPOSING:
        yield Composer(None, None if config_dir is None else str(config_dir), None)


class _OneThread:
    """BLAS on one thread while any run is under way, in whichever thread.

    The last bits then do not depend on the number of cores. Limits are of the whole process: the
    first run sets them, and the last one to end puts back what was there.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.runs = 0
        self.limits: threadpool_limits | None = None

    def __enter__(self) -> None:
        from threadpoolctl import threadpool_limits

        with self.lock:
            if self.runs == 0:
                self.limits = threadpool_limits(1)
            self.runs += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.runs -= 1
            if self.runs == 0 and self.limits is not None:
                self.limits.restore_original_limits()


_ONE_THREAD = _OneThread()
