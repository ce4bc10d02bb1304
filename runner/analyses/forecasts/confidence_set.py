"""Which of several models may be the best forecaster, on the same folds and the same rows?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.errors import DataError, EstimationError
from runner.schema.settings import Count, Rows, Share

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from runner.models.model import Model
    from runner.models.study import Study
    from runner.panels.finding import Finding
    from runner.panels.panel import Panel
    from runner.validation.folds import Fold

RUN, NAIVE = "this run", "train mean"


def confidence_set(
    study: Study,
    *,
    models: dict[str, dict[str, Any]],
    size: Share = 0.1,
    draws: Rows = 1000,
    block: Rows | None = None,
    seed: Count = 0,
) -> Finding:
    """The model confidence set of Hansen, Lunde and Nason (2011): those that no other is shown to
    beat.

    `models` maps a name to the settings in which it differs from the model of the run, such as
    {capm: {regressors: [MktRF]}}; the run's own and the train mean compete too. Squared errors,
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
    chosen = block_of(len(losses), study.panel.horizon, block)
    p = may_be_best(losses, draws, chosen, seed)
    rows = {
        "model": losses.columns,
        "mse": losses.mean().to_numpy(),
        "rmse": np.sqrt(losses.mean().to_numpy()),
    }
    table = pd.DataFrame(rows | {"p_value": p.to_numpy(), "included": (p >= size).to_numpy()})
    table = table.sort_values("mse", kind="stable", ignore_index=True).assign(
        dates=len(losses), block=chosen
    )
    kept = [str(name) for name in table.loc[table["included"], "model"]]
    words = [
        f"At {100 * size:g} % the set that holds the best of {len(table)} forecasts is: {', '.join(kept)} "
        f"({len(losses):,} dates, blocks of {chosen}). "
        f"{'No other is shown to be worse.' if len(kept) == len(table) else 'The others are shown to be worse.'}"
    ]
    return Finding(table, {"included": len(kept), "run_p_value": float(p[RUN])}, words)


def _losses(study: Study, models: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Mean squared error over assets (dates, models) where every model has a forecast."""
    import numpy as np
    import pandas as pd

    from runner.trials.losses import FEWEST
    from runner.validation.folds import HOLD_OUT, forecastable

    open_folds = [fold for fold in study.folds if fold.name != HOLD_OUT] or study.folds
    folds = forecastable(study.panel, open_folds)
    if not folds:
        raise DataError("validation: no fold; allowed: a scheme that forecasts")
    rows = np.concatenate([fold.test for fold in folds])
    if len(np.unique(rows)) < len(rows):
        raise DataError(
            "validation: several folds forecast the same row; allowed: a scheme with one path"
        )
    panel, errors = study.panel, {}
    for name, (model, seen) in _competing(study, models).items():
        values = [_forecast(name, model, seen, fold) for fold in folds]
        errors[name] = (panel.scored[rows] - np.concatenate(values)) ** 2
    errors[NAIVE] = (
        panel.scored[rows] - np.concatenate([_naive(study, fold) for fold in folds])
    ) ** 2
    use = panel.valid[rows] & np.all([np.isfinite(one) for one in errors.values()], axis=0)
    dates = use.any(axis=1)
    if dates.sum() < FEWEST:
        raise DataError(
            f"validation: {int(dates.sum())} dates with a forecast of every model; needs {FEWEST}"
        )
    means = {
        name: np.where(use, one, 0.0).sum(axis=1)[dates] / use.sum(axis=1)[dates]
        for name, one in errors.items()
    }
    order = np.argsort(rows[dates])
    return pd.DataFrame({name: one[order] for name, one in means.items()})


def _competing(
    study: Study, models: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[Model, Panel]]:
    """The model of the run and those that differ from it, each with the panel that it sees.

    Raises:
        DataError: no model, a name that is taken, settings that do not fit, one line each.
    """
    found: dict[str, tuple[Model, Panel]] = {RUN: (study.model, study.panel)}
    mistakes: list[str] = []
    if not models or {RUN, NAIVE} & set(models):
        mistakes.append(
            f"models: given {list(models)}; allowed: one or more names, not {RUN!r} or {NAIVE!r}"
        )
    if not is_dataclass(study.given or study.model):
        kind = type(study.model).__name__
        raise DataError(f"models: {kind} is no dataclass, so that no setting of it can differ")
    given: Any = study.given or study.model
    for name, settings in models.items():
        try:
            differing: Model = replace(given, **settings)
            mistakes += [f"models.{name}.{line}" for line in differing.mistakes(study.features)]
            seen = study.panel_of(differing)
            found[name] = differing.on(seen), seen
        except (TypeError, ValueError, DataError) as error:
            mistakes += [f"models.{name}: {line}" for line in str(error).splitlines()]
    if mistakes:
        raise DataError(mistakes)
    return found


def _forecast(name: str, model: Model, panel: Panel, fold: Fold) -> np.ndarray:
    """Forecast (rows of the test part, N) of a model that saw the training rows of the fold
    only.
    """
    try:
        return panel.in_units(model.forecast(panel, fold))
    except (DataError, EstimationError) as error:
        raise DataError(
            [f"models.{name}: fold {fold.name}: {line}" for line in error.mistakes]
        ) from error


def _naive(study: Study, fold: Any) -> np.ndarray:
    """Mean of each asset over its training rows, or of all assets where it has none."""
    import numpy as np

    from runner.validation.scores import train_means

    return np.tile(train_means(study.panel, fold.train), (len(fold.test), 1))
