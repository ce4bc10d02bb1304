"""The straight path of a run: data -> panel -> folds -> fit -> score -> report."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from runner.compute.allocator import trim
from runner.compute.cache import Bench
from runner.data.market import Market
from runner.errors import DataError, RefusedError, listed, placed
from runner.experiment.auditing.audit import Audit, audit
from runner.experiment.report import Report
from runner.experiment.settings import FULL, OFF
from runner.experiment.shared_work import SharedWork, full_panel
from runner.experiment.spec import Experiment
from runner.models.fit import NO_DIAGNOSTICS
from runner.models.forecasts import forecasts_of
from runner.models.model import Model
from runner.models.study import Study
from runner.panels.finding import Finding
from runner.panels.panel import Panel
from runner.panels.rows import Rows, rows_of
from runner.record.secrets import without_secrets
from runner.record.version import code_version
from runner.text import one_line
from runner.trials.influence import influence
from runner.validation.splitters import Fold, Scheme, Splitter, split_usable

UNKNOWN_SERIES = re.compile(r"(?P<place>\S+): series (?P<name>'.+') is unknown; (?P<allowed>.+)")
ASKS_FOR_NONE = "experiment=none features=none features.NAME=EXPRESSION asks for none"


def run(experiment: Experiment, bench: Bench | None = None) -> Report:
    """Run one experiment; what it shares with others is on the bench.

    Raises:
        DataError: the data is missing or bad, or a part of it too short.
        EstimationError: no regression could be estimated.
    """
    started = datetime.now(UTC)
    settings = experiment.settings
    shared = SharedWork(bench or Bench())
    prepared = _prepared(experiment, shared)
    market = prepared.market
    panel = prepared.panel
    model = prepared.model
    folds = prepared.folds
    forecasts = forecasts_of(model, panel, folds)
    every_row = np.arange(len(panel.dates))
    fit = model.fit(panel, every_row)
    _rest(market, panel)
    study = Study(
        market,
        panel,
        model,
        fit,
        folds,
        forecasts.predictions,
        settings=experiment.spec.get("target") or {},
        given=experiment.model,
        rows=prepared.rows,
    )
    diagnostics = NO_DIAGNOSTICS
    if settings.report == FULL:
        diagnostics = model.diagnose(fit, panel, every_row)
    return Report(
        name=without_secrets(experiment.name),
        spec=without_secrets(experiment.spec),
        overrides=without_secrets(experiment.overrides),
        chosen=experiment.chosen,
        source=market.source,
        fingerprint=market.fingerprint,
        sample=shared.sample(experiment, market),
        key=shared.key(experiment, market),
        panel=panel,
        fit=fit,
        study=study,
        diagnostics=diagnostics,
        folds=_fold_table(panel, folds, forecasts.predictions),
        predictions=forecasts.predictions,
        scores=forecasts.scores,
        audit=prepared.audit,
        influence=influence(study),
        findings={**fit.findings, **_analysed(study, experiment.analyses)},
        started=started,
        code=code_version(tuple(settings.allow)),
        account=shared.account(experiment, market),
    )


def _rest(market: Market, panel: Panel) -> None:
    """Give memory back before forecasts are scored, which reads little of market and panel."""
    panel.rest()
    market.fields.rest()
    trim()


class Prepared(NamedTuple):
    """Data, panel, model and folds of a run.

    The panel has the rows of its model, and the moments that its folds share. The audit is None
    where the spec switches it off.
    """

    market: Market
    panel: Panel
    rows: Rows
    model: Model
    folds: list[Fold]
    audit: Audit | None


def _prepared(experiment: Experiment, shared: SharedWork) -> Prepared:
    """Data, panel, model and folds of a run, ready to fit, and its leak audit.

    Raises:
        DataError: the data is missing or bad, or a part of it too short; a column looks ahead, and
            the spec does not say to go on.
    """
    market = shared.market(experiment)
    try:
        panel_of_features = shared.panel(experiment, market)
    except DataError as error:
        of_folds = _misplaced(experiment.splitter, market.dates)
        raise RefusedError([*_together(error.mistakes), *of_folds]) from None
    panel, rows = shared.rows(experiment, market, panel_of_features)
    model = experiment.model.on(panel)  # group dummies become regressors
    folds = _folds(experiment.splitter, panel)
    audited = None
    mode = experiment.settings.audit
    if mode != OFF:
        audit_of_columns = shared.audit(experiment, market, panel_of_features)
        audited = audit_of_columns.with_models(model, panel, folds)
        _stop_at_leaks(audited, mode)
    moments = shared.moments(experiment, market, panel, folds)
    panel = replace(panel, shared=moments)
    return Prepared(market, panel, rows, model, folds, audited)


def _together(mistakes: Sequence[str]) -> list[str]:
    """The mistakes; several series that data lack are one, with the overrides that ask for none."""
    unknown = [line for line in map(UNKNOWN_SERIES.fullmatch, mistakes) if line]
    if len({line["allowed"] for line in unknown}) != 1 or len(unknown) < 2:
        return list(mistakes)
    places = listed(line["place"] for line in unknown)
    names = listed(line["name"] for line in unknown)
    joined = f"{places}: series {names} are unknown; {unknown[0]['allowed']}; {ASKS_FOR_NONE}"
    others = [mistake for mistake in mistakes if not UNKNOWN_SERIES.fullmatch(mistake)]
    return [joined, *others]


def _misplaced(splitter: Splitter, dates: pd.DatetimeIndex) -> Sequence[str]:
    """What folds of ours refuse on all dates of the data, beside what else is wrong."""
    if not isinstance(splitter, Scheme):
        return ()
    try:
        splitter.split(dates, 0)
    except DataError as error:
        return error.mistakes
    return ()


def _stop_at_leaks(audited: Audit, mode: str) -> None:
    """Stop the run where something looks ahead, unless it is to be tagged only.

    Raises:
        DataError: something looks ahead, one line each.
    """
    if mode == "stop" and audited.leaks:
        remedy = "audit: the run is stopped; audit=tag goes on and tags it as leaking"
        raise DataError([*audited.leaks, remedy])


def _folds(splitter: Splitter, panel: Panel) -> list[Fold]:
    """The folds of the dates at which some asset of the panel has a usable cell.

    Raises:
        DataError: the splitter refuses its settings; the line says how many rows it counted.
    """
    usable = panel.usable
    try:
        return split_usable(splitter, panel.dates, usable, panel.horizon)
    except DataError as error:
        if usable.all():
            raise
        dates = f"the {int(usable.sum()):,} of {len(usable):,} dates with target and features"
        lines = [f"{mistake} (rows counted: {dates})" for mistake in error.mistakes]
        raise DataError(lines) from error


def thoroughly_audited(experiment: Experiment) -> Audit:
    """The audit of all rows, assets and folds of an experiment, which is not run.

    Raises:
        DataError: the data is missing or bad.
    """
    market = experiment.market()
    panel_of_features = full_panel(experiment, market)
    features = experiment.model.uses(panel_of_features.names)
    weights = experiment.model.weight_field
    panel, _ = rows_of(panel_of_features, features, experiment.rows, weights)
    model = experiment.model.on(panel)
    folds = _folds(experiment.splitter, panel)
    audit_of_columns = audit(experiment, market, thorough=True)
    return audit_of_columns.with_models(model, panel, folds)


def _analysed(
    study: Study, analyses: Mapping[str, Callable[[Study], Finding]]
) -> dict[str, Finding]:
    """The finding of each analysis, by its name.

    Raises:
        DataError: an analysis that the run cannot give, one line each.
    """
    findings = {}
    mistakes = []
    for name, analysis in analyses.items():
        where = f"analyses.{name}"
        try:
            findings[name] = analysis(study)
            study.panel.rest()
            trim()
        except DataError as error:
            mistakes += placed(where, error)
        except Exception as error:
            text = one_line(error)
            mistakes.append(f"{where}: raised {type(error).__name__}: {text}")
    if mistakes:
        raise DataError(mistakes)
    return findings


def _fold_table(panel: Panel, folds: list[Fold], predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per fold: its dates, the dates left out or leaking, its rows (date x asset).

    `unusable` counts the dates up to the last one of the fold at which no asset has a usable cell;
    `layout` says where its parts lie.
    """
    if not folds:
        return pd.DataFrame([])
    forecasts = predictions["fold"].value_counts()
    unusable = np.cumsum(~panel.usable)
    rows = []
    for fold in folds:
        forecast = int(forecasts.get(fold.name, 0))
        rows.append(_fold_row(panel, fold, forecast, unusable))
    return pd.DataFrame(rows)


def _fold_row(panel: Panel, fold: Fold, forecast: int, unusable: np.ndarray) -> dict[str, Any]:
    """The row of one fold, `forecast` of whose test cells have a prediction.

    Args:
        unusable: (T,) dates without a usable cell up to each date.
    """
    dates = panel.dates
    train_end = fold.train[-1]
    test_end = fold.test[-1]
    last = max(train_end, test_end)
    train_rows = int(panel.usable_by_date[fold.train].sum())
    test_rows = int(panel.usable_by_date[fold.test].sum())
    return {
        "fold": fold.name,
        "train_start": dates[fold.train[0]],
        "train_end": dates[train_end],
        "test_start": dates[fold.test[0]],
        "test_end": dates[test_end],
        "purged": fold.purged,
        "embargoed": fold.embargoed,
        "leaking": fold.leaking > 0,
        "unusable": int(unusable[last]),
        "train_rows": train_rows,
        "test_rows": test_rows,
        "not_forecast": test_rows - forecast,
        "layout": fold.layout,
    }
