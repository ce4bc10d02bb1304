"""Which of several models may be the best forecaster, on the same folds and the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.errors import DataError, EstimationError
from runner.models.study import of_every_cell
from runner.schema.settings import Count, Draws, Rows, Share

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from runner.models.model import Model
    from runner.models.study import Study
    from runner.panels.finding import Finding
    from runner.panels.panel import Panel
    from runner.validation.folds import Fold

RUN, NAIVE = "this run", "training mean"


@of_every_cell
def confidence_set(
    study: Study,
    *,
    models: dict[str, dict[str, Any]],
    size: Share = 0.1,
    draws: Draws = 1000,
    block: Rows | None = None,
    seed: Count = 0,
) -> Finding:
    """The model confidence set of Hansen, Lunde and Nason (2011): those not shown to be beaten.

    `models` maps a name to the settings in which it differs from the model of the run, such as
    {capm: {regressors: [MktRF]}}; the run's own and the training mean compete too. Squared errors,
    averaged over assets by date, on the rows that all of them forecast; a hold-out beside other
    folds is left alone. Stationary bootstrap of `draws`, blocks of `block` dates (null: the larger
    of the horizon and the cube root of the dates), statistic R, by arch. A model is in the set
    where its p-value is at least `size`.

    Raises:
        DataError: no fold, folds that forecast a row twice, settings that the model has not, too
            few dates.
    """
    import numpy as np
    import pandas as pd

    from runner.panels.finding import Finding
    from runner.trials.losses import block_of, may_be_best

    losses = _losses(study, models)
    dates = len(losses)
    length = block_of(dates, study.panel.horizon, block)
    p = may_be_best(losses, draws, length, seed)
    mse = losses.mean().to_numpy()
    rmse = np.sqrt(mse)
    table = pd.DataFrame({"model": losses.columns, "mse": mse, "rmse": rmse})
    p_values = p.to_numpy()
    table["p_value"] = p_values
    table["included"] = p_values >= size
    table = table.sort_values("mse", kind="stable", ignore_index=True)
    table["dates"] = dates
    table["block"] = length
    is_included = table["included"].sum()
    included = int(is_included)
    metrics = {"included": included, "run_p_value": float(p[RUN])}
    sentence = _sentence(table, size)
    return Finding(table, metrics, [sentence])


def _sentence(table: pd.DataFrame, size: float) -> str:
    """Which models the set holds."""
    included = table["included"]
    names = table.loc[included, "model"]
    name_texts = map(str, names)
    kept = ", ".join(name_texts)
    first = table.iloc[0]
    dates = int(first["dates"])
    length = first["block"]
    others = "The others are shown to be worse."
    if len(names) == len(table):
        others = "No other is shown to be worse."
    level = f"{100 * size:g} %"
    return (
        f"At {level} the set that holds the best of {len(table)} forecasts is: {kept} "
        f"({dates:,} dates, blocks of {length}). {others}"
    )


def _losses(study: Study, models: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Mean squared error over assets (dates, models) where every model has a forecast.

    Raises:
        DataError: no fold, or folds that forecast a row twice; settings that the model has not; too
            few dates.
    """
    import numpy as np
    import pandas as pd

    from runner.trials.losses import FEWEST

    panel = study.panel
    folds = _folds(study)
    rows = np.concatenate([fold.test for fold in folds])
    different = np.unique(rows)
    if len(different) < len(rows):
        raise DataError(
            "validation: several folds forecast the same row; allowed: a scheme with one path"
        )
    forecasts = {}
    competing = _competing(study, models)
    for name, (model, seen) in competing.items():
        by_fold = [_forecast(name, model, seen, fold) for fold in folds]
        forecasts[name] = np.concatenate(by_fold)
    forecasts[NAIVE] = np.concatenate([_naive(study, fold) for fold in folds])
    y = panel.scored[rows]
    squares = {name: (y - forecast) ** 2 for name, forecast in forecasts.items()}
    finite = np.all([np.isfinite(values) for values in squares.values()], axis=0)
    use = panel.valid[rows] & finite
    known = use.any(axis=1)
    dates = int(known.sum())
    if dates < FEWEST:
        raise DataError(f"validation: {dates} dates with a forecast of every model; needs {FEWEST}")
    used = use.sum(axis=1)
    n = used[known]
    known_rows = rows[known]
    order = np.argsort(known_rows)
    losses = {}
    for name, values in squares.items():
        sums = np.where(use, values, 0.0).sum(axis=1)
        means = sums[known] / n
        losses[name] = means[order]
    return pd.DataFrame(losses)


def _folds(study: Study) -> list[Fold]:
    """The folds that forecast, without a locked hold-out unless there is nothing else.

    Raises:
        DataError: there is none.
    """
    from runner.validation.folds import HOLD_OUT, forecastable

    candidates = [fold for fold in study.folds if fold.name != HOLD_OUT]
    if not candidates:
        candidates = study.folds
    folds = forecastable(study.panel, candidates)
    if not folds:
        raise DataError("validation: no fold; allowed: a scheme that forecasts")
    return folds


def _competing(
    study: Study, models: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[Model, Panel]]:
    """The model of the run and those that differ from it, each with the panel that it sees.

    Raises:
        DataError: no model, a name that is taken, settings that do not fit, one line each.
    """
    mistakes: list[str] = []
    taken = {RUN, NAIVE} & set(models)
    if not models or taken:
        mistakes.append(
            f"models: given {list(models)}; allowed: one or more names, not {RUN!r} or {NAIVE!r}"
        )
    base = study.given or study.model
    if not is_dataclass(base):
        type_of_model = type(study.model)
        kind = type_of_model.__name__
        raise DataError(f"models: {kind} is no dataclass, so that no setting of it can differ")
    given: Any = base
    competing: dict[str, tuple[Model, Panel]] = {RUN: (study.model, study.panel)}
    for name, settings in models.items():
        try:
            model: Model = replace(given, **settings)
            mistakes += [f"models.{name}.{line}" for line in model.mistakes(study.features)]
            panel = study.panel_of(model)
            competing[name] = (model.on(panel), panel)
        except (TypeError, ValueError, DataError) as error:
            mistakes += [f"models.{name}: {line}" for line in str(error).splitlines()]
    if mistakes:
        raise DataError(mistakes)
    return competing


def _forecast(name: str, model: Model, panel: Panel, fold: Fold) -> np.ndarray:
    """Forecast (rows of the test part, N) of a model fitted on the training rows of the fold.

    Raises:
        DataError: the model cannot be fitted or cannot forecast.
    """
    try:
        forecast = model.forecast(panel, fold)
        return panel.in_units(forecast)
    except (DataError, EstimationError) as error:
        mistakes = [f"models.{name}: fold {fold.name}: {line}" for line in error.mistakes]
        raise DataError(mistakes) from error


def _naive(study: Study, fold: Fold) -> np.ndarray:
    """Mean of each asset over its training rows, or of all assets where it has none."""
    import numpy as np

    from runner.validation.benchmark import train_means

    means = train_means(study.panel, fold.train)
    rows = len(fold.test)
    return np.tile(means, (rows, 1))
