"""The straight path of a run: data -> panel -> folds -> fit -> score -> report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from runner.compute.cache import Bench
from runner.data.market import Market
from runner.errors import DataError, placed
from runner.experiment.auditing.audit import Audit, audit
from runner.experiment.report import Report
from runner.experiment.spec import FULL, Experiment, without_secrets
from runner.models.fit import NO_DIAGNOSTICS
from runner.models.model import Model
from runner.models.study import Study
from runner.panels.finding import Finding
from runner.panels.panel import Panel, build_panel
from runner.panels.rows import Rows, rows_of
from runner.panels.segments import shared_by
from runner.progress import tracked
from runner.record.version import code_version
from runner.trials.influence import influence
from runner.validation.folds import forecastable
from runner.validation.scores import score, train_means
from runner.validation.splitters import Fold, Splitter, split_usable

PREDICTIONS = ["date", "asset", "fold", "path", "y", "prediction", "benchmark"]


def run(experiment: Experiment, bench: Bench | None = None) -> Report:
    """Run one experiment; what it shares with others is on the bench.

    Raises:
        DataError: the data is missing or bad, or a part of it too short.
        EstimationError: no regression could be estimated.
    """
    started = datetime.now(UTC)
    prepared = _prepared(experiment, bench or Bench())
    market, panel, model, folds = prepared.market, prepared.panel, prepared.model, prepared.folds
    every_row = np.arange(len(panel.dates))
    predictions = _forecast(model, panel, folds)
    fit = model.fit(panel, every_row)
    target = experiment.spec.get("target") or {}
    found = (market, panel, model, fit, folds, predictions)
    study = Study(*found, settings=target, given=experiment.model, rows=prepared.rows)
    whole = experiment.spec.get("report", FULL) == FULL
    return Report(
        name=experiment.name,
        spec=without_secrets(experiment.spec),
        overrides=without_secrets(experiment.overrides),
        chosen=experiment.chosen,
        source=market.source,
        fingerprint=market.fingerprint,
        panel=panel,
        fit=fit,
        study=study,
        diagnostics=model.diagnose(fit, panel, every_row) if whole else NO_DIAGNOSTICS,
        folds=_fold_table(panel, folds, predictions),
        predictions=predictions,
        scores=score(predictions, panel.horizon, model.lacks_the_mean(panel)),
        audit=prepared.audit,
        influence=influence(study),
        findings={**fit.findings, **_analysed(study, experiment.analyses)},
        started=started,
        code=code_version(tuple(experiment.spec.get("allow") or ())),
    )


class Prepared(NamedTuple):
    """What a run is fitted on: the panel has the rows of its model, and the moments that its folds
    share.
    """

    market: Market
    panel: Panel
    rows: Rows
    model: Model
    folds: list[Fold]
    audit: Audit | None


def _prepared(experiment: Experiment, bench: Bench) -> Prepared:
    """Data, panel, model and folds of a run, and what its audit says."""
    spec = experiment.spec
    weights = experiment.model.weight_field
    made_from = {
        part: spec.get(part) for part in ("data", "features", "target", "preprocess", "allow")
    }
    market = bench.get("market", [made_from["data"], made_from["allow"]], experiment.market)
    recipe = [made_from, weights, market.fingerprint]
    parts = (
        experiment.features,
        experiment.target,
        experiment.steps,
        weights,
        experiment.allow_loss,
    )
    whole = bench.get("panel", recipe, partial(build_panel, market, *parts))
    features = experiment.model.uses(whole.names)
    chosen = [recipe, features, experiment.rows, id(whole.X)]  # a panel may be made again
    panel, rows = bench.get(
        "rows", chosen, partial(rows_of, whole, features, experiment.rows, weights)
    )
    model = experiment.model.on(panel)
    folds = _folds(experiment.splitter, panel)
    sampled = [recipe, spec.get("audit_seed")]
    look = partial(bench.get, "audit", sampled, partial(audit, experiment, market, panel=whole))
    audited = _audited(experiment, model, panel, folds, look)
    these = [
        recipe,
        spec.get("validation"),
        id(panel.X),
        id(panel.valid),
    ]  # moments are of these very arrays
    shared = bench.get("moments", these, partial(shared_by, folds, panel))
    return Prepared(market, replace(panel, shared=shared), rows, model, folds, audited)


def _folds(splitter: Splitter, panel: Panel) -> list[Fold]:
    """The folds of the dates at which some asset of the panel has a usable cell.

    Raises:
        DataError: what the splitter says of its settings, with the rows that it counts.
    """
    usable = panel.usable
    try:
        return split_usable(splitter, panel.dates, usable, panel.horizon)
    except DataError as error:
        if usable.all():
            raise
        counted = (
            f"rows counted: the {int(usable.sum()):,} of {len(usable):,} dates with a usable cell"
        )
        raise DataError([f"{line} ({counted})" for line in error.mistakes]) from error


def thoroughly_audited(experiment: Experiment) -> Audit:
    """The audit of all rows, assets and folds of an experiment, which is not run.

    Raises:
        DataError: the data is missing or bad.
    """
    market = experiment.market()
    weights = experiment.model.weight_field
    parts = (
        experiment.features,
        experiment.target,
        experiment.steps,
        weights,
        experiment.allow_loss,
    )
    whole = build_panel(market, *parts)
    panel, _ = rows_of(whole, experiment.model.uses(whole.names), experiment.rows, weights)
    model = experiment.model.on(panel)
    folds = _folds(experiment.splitter, panel)
    return audit(experiment, market, thorough=True).with_models(model, panel, folds)


def _audited(
    experiment: Experiment, model: Model, panel: Panel, folds: list[Fold], look: Callable[[], Audit]
) -> Audit | None:
    """The leak audit of this run, None where the spec switches it off.

    Raises:
        DataError: a column looks ahead, and the spec does not say to go on.
    """
    mode = experiment.spec.get("audit", "stop")
    if mode == "off":
        return None
    found = look().with_models(model, panel, folds)
    if found.leaks and mode == "stop":
        raise DataError(
            [*found.leaks, "audit: the run is stopped; audit=tag goes on and tags it as leaking"]
        )
    return found


def _analysed(
    study: Study, analyses: Mapping[str, Callable[[Study], Finding]]
) -> dict[str, Finding]:
    """What each analysis finds, by its name.

    Raises:
        DataError: an analysis that the run cannot give, one line each.
    """
    found, mistakes = {}, []
    for name, analysis in analyses.items():
        try:
            found[name] = analysis(study)
        except DataError as error:
            mistakes += placed(f"analyses.{name}", error)
        except Exception as error:
            mistakes.append(
                f"analyses.{name}: raised {type(error).__name__}: {' '.join(str(error).split())}"
            )
    if mistakes:
        raise DataError(mistakes)
    return found


def _forecast(model: Model, panel: Panel, folds: list[Fold]) -> pd.DataFrame:
    """Predictions of the test cells of every fold by a model that saw its training rows only."""
    tried = forecastable(panel, folds)
    if not tried:
        return pd.DataFrame(columns=PREDICTIONS)
    parts = [_forecast_fold(model, panel, fold) for fold in tracked(tried, "folds forecast")]
    number = np.repeat(np.arange(len(tried), dtype=np.int32), [len(part) for part in parts])
    table = pd.concat(parts, ignore_index=True)
    table.insert(2, "fold", pd.Categorical.from_codes(number, [fold.name for fold in tried]))
    return table


def _forecast_fold(model: Model, panel: Panel, fold: Fold) -> pd.DataFrame:
    """Cells with a usable row and a prediction; the benchmark is each asset's mean over its
    training rows, or that of all assets where it has none.

    Raises:
        DataError: the training part has too few rows for every asset, or nothing can be forecast.
    """
    try:
        values = panel.in_units(model.forecast(panel, fold))
    except DataError as error:
        raise DataError(
            [f"validation: fold {fold.name}: {line}" for line in error.mistakes]
        ) from error
    at, i = np.nonzero(panel.valid[fold.test] & np.isfinite(values))
    t = fold.test[at]
    if not len(t):
        raise DataError(f"validation: fold {fold.name}: no test row can be forecast")
    means = train_means(panel, fold.train)
    columns = (
        panel.dates[t],
        pd.Categorical.from_codes(i.astype(np.int32), panel.assets),
        np.ones(len(t), dtype=np.int16) if fold.path is None else fold.path[at].astype(np.int16),
        panel.scored[t, i],
        values[at, i],
        means[i],
    )
    return pd.DataFrame(
        dict(zip([one for one in PREDICTIONS if one != "fold"], columns, strict=True))
    )


def _fold_table(panel: Panel, folds: list[Fold], predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per fold: its dates, the dates left out or leaking, its rows (date x asset) and where
    its parts lie.

    `unusable` counts the dates up to the last one of the fold at which no asset has a usable cell.
    """
    rows, forecasts = [], predictions["fold"].value_counts() if folds else {}
    unusable = np.cumsum(~panel.usable)
    for fold in folds:
        forecast = int(forecasts.get(fold.name, 0))
        rows.append(
            {
                "fold": fold.name,
                "train_start": panel.dates[fold.train[0]],
                "train_end": panel.dates[fold.train[-1]],
                "test_start": panel.dates[fold.test[0]],
                "test_end": panel.dates[fold.test[-1]],
                "purged": fold.purged,
                "embargoed": fold.embargoed,
                "leaking": fold.leaking > 0,
                "unusable": int(unusable[max(fold.train[-1], fold.test[-1])]),
                "train_rows": int(panel.valid[fold.train].sum()),
                "test_rows": int(panel.valid[fold.test].sum()),
                "not_forecast": int(panel.valid[fold.test].sum()) - forecast,
                "layout": fold.layout,
            }
        )
    return pd.DataFrame(rows)
