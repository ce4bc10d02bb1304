"""How far estimates lie from a truth that is known, as rows grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from runner.data.sources.simulation.factor_truth import KnownTruth
from runner.errors import DataError, EstimationError
from runner.models.study import of_every_cell
from runner.panels.finding import Finding
from runner.schema.settings import Draws, Rows
from runner.text import count, number, percent

if TYPE_CHECKING:
    from runner.data.sources.simulation.factor_truth import FactorTruth
    from runner.models.fit import Fit
    from runner.models.study import Study
    from runner.panels.panel import Panel

Row = dict[str, object]  # of a table
TABLE = [
    "rows",
    "draws",
    "coverage",
    "coverage_error",
    "confidence",
    "rmse",
    "rmse_root_rows",
    "bias",
    "std_error",
    "covariance_error_factor",
    "covariance_error_sample",
    "failed",
    "reason",
]
ROTATED = "components are known up to a rotation: no loadings to compare"
Z95 = 1.96  # quantile .975 of the normal, of the Monte Carlo error


class Draw(NamedTuple):
    """Estimates of one draw beside the truth, of n assets and m factors.

    Attributes:
        gaps: (n, m) estimates less true loadings; empty for principal components.
        errors: (n, m) standard errors; inside: (n, m) whether intervals hold the true loading.
        by_factors, by_sample: relative distance from the true covariance of the factor model's and
            of the sample's.
    """

    gaps: np.ndarray
    errors: np.ndarray
    inside: np.ndarray
    by_factors: float
    by_sample: float


@of_every_cell
def estimation_error(
    study: Study, *, source: KnownTruth, rows: list[Rows] | None = None, draws: Draws = 100
) -> Finding:
    """Loadings estimated on fresh draws from a known truth, for several numbers of rows.

    coverage is the share of intervals that hold the true loading, `confidence` what it should be;
    coverage_error its Monte Carlo error, draws taken as independent, loadings of one draw not. rmse
    is over all loadings, assets and draws; times the root of the rows it stays level where errors
    shrink as they should. bias is the mean absolute over loadings of the mean error over draws.
    covariance_error_* is the Frobenius distance from the true covariance over the size of that, of
    the factor model and of the sample covariance, a mean over draws. Where loadings change, the
    truth is that of the first row. Of principal components, which are known up to a rotation only,
    the covariance alone is compared.

    Args:
        source: such as ${data}, with data=simulated_factors; its factors F1, F2, ... are the
            regressors.
        rows: of the draws; null takes a quarter, half, one and twice those of the study.
        draws: per number of rows; all from the truth of the source's seed.

    Raises:
        DataError: the model is no regression by asset, or its regressors are not factors of the
            source.
    """
    import pandas as pd

    from runner.models.factor_model import refuse_no_factors

    refuse_no_factors(study.model, study.panel)
    if study.model.by != "asset":
        raise DataError(f"model.by: given {study.model.by}; allowed: asset")
    T = len(study.panel.dates)
    sizes = rows
    if sizes is None:
        sizes = [max(T // 4, 2), max(T // 2, 2), T, 2 * T]
    truth = source.truth()
    names = _factor_names(study, truth)
    table_rows = [_measured(study, source, truth, names, size, draws) for size in sizes]
    table = pd.DataFrame(table_rows, columns=TABLE)
    metrics = {}
    for row in table.to_dict("records"):
        metrics[f"coverage_{row['rows']}"] = row["coverage"]
        metrics[f"rmse_{row['rows']}"] = row["rmse"]
    words = [_words(row) for _, row in table.iterrows()]
    return Finding(table, metrics, words, "estimation_error")


def _factor_names(study: Study, truth: FactorTruth) -> list[str]:
    """Names of all factors of the source.

    Raises:
        DataError: the model has a regressor that is none of them.
    """
    m = truth.loadings.shape[1]
    names = [f"F{j + 1}" for j in range(m)]
    for feature in study.panel.names:
        if feature not in names:
            factors = ", ".join(names)
            raise DataError(
                f"source: its factors are {factors}; given the feature {feature}, which is none"
            )
    return names


def _measured(
    study: Study, source: KnownTruth, truth: FactorTruth, names: list[str], rows: int, draws: int
) -> Row:
    """A row of the table: the errors of `draws` samples of so many rows."""
    model = study.model
    sample = []
    failed = 0
    reason = ""
    seeds = range(1, draws + 1)
    for seed in seeds:
        F, returns = source.sample(rows, seed)
        panel = _panel(study.panel, F, returns, names)
        try:
            fit = model.fit(panel, np.arange(rows))
            sample.append(_draw(model, fit, panel, truth, names))
        except (DataError, EstimationError) as error:
            failed += 1
            reason = error.mistakes[0]
    row: Row = {"rows": rows, "draws": draws - failed}
    row |= {"failed": failed, "reason": reason}
    if not sample:
        return row
    distances = np.array([(draw.by_factors, draw.by_sample) for draw in sample])
    by_factors, by_sample = distances.mean(axis=0)
    row["covariance_error_factor"] = by_factors
    row["covariance_error_sample"] = by_sample
    if model.components:
        row["reason"] = reason or ROTATED
        return row
    return row | _loadings(sample, model.confidence, rows)


def _loadings(sample: list[Draw], confidence: float, rows: int) -> Row:
    """Coverage, error and bias of the loadings over draws of so many rows."""
    draws = len(sample)
    gaps = np.array([draw.gaps for draw in sample])
    pairs = np.array([(draw.errors, draw.inside) for draw in sample])
    errors = pairs[:, 0]
    is_inside = pairs[:, 1]
    inside = is_inside.reshape(draws, -1)
    coverage = np.mean(inside, axis=1)
    coverage_error = np.nan
    if draws > 1:
        deviation = coverage.std(ddof=1)
        root_draws = np.sqrt(draws)
        coverage_error = deviation / root_draws
    rmse = float(np.sqrt(np.mean(gaps**2)))
    mean_gap = gaps.mean(axis=0)
    bias = np.abs(mean_gap)
    loadings: Row = {"coverage": coverage.mean(), "coverage_error": coverage_error}
    loadings |= {"confidence": confidence, "bias": bias.mean(), "std_error": errors.mean()}
    scaled = rmse * np.sqrt(rows)
    loadings |= {"rmse": rmse, "rmse_root_rows": scaled}
    return loadings


def _draw(model: Any, fit: Fit, panel: Panel, truth: FactorTruth, names: list[str]) -> Draw:
    """The estimates of one draw beside the truth, whose factors have these names."""
    from runner.models.factor_model import factor_model

    every_row = np.arange(len(panel.dates))
    factor_covariance = factor_model(model, fit, panel, every_row).covariance
    sample_covariance = np.atleast_2d(np.cov(panel.y, rowvar=False))
    by_factors = _distance(factor_covariance, truth.covariance)
    by_sample = _distance(sample_covariance, truth.covariance)
    if model.components:
        none = np.empty(0)
        return Draw(none, none, none, by_factors, by_sample)
    factors = [names.index(term) for term in model.terms(panel.names) if term != "const"]
    true = truth.loadings[:, factors]
    table = fit.coefficients
    is_asset = table["scope"] == "asset"
    is_slope = table["term"] != "const"
    slopes = table[is_asset & is_slope]
    estimates = slopes["estimate"].to_numpy()
    b = estimates.reshape(true.shape)
    std_errors = slopes["std_error"].to_numpy()
    errors = std_errors.reshape(true.shape)
    ci_low = slopes["ci_low"].to_numpy()
    low = ci_low.reshape(true.shape)
    ci_high = slopes["ci_high"].to_numpy()
    high = ci_high.reshape(true.shape)
    inside = (low <= true) & (true <= high)
    return Draw(b - true, errors, inside, by_factors, by_sample)


def _distance(estimate: np.ndarray, true: np.ndarray) -> float:
    """Frobenius distance of a covariance from the true one, over the size of that."""
    distance = np.linalg.norm(estimate - true)
    return float(distance / np.linalg.norm(true))


def _panel(like: Panel, F: np.ndarray, returns: np.ndarray, names: list[str]) -> Panel:
    """A panel of drawn returns (T, n) on factors F (T, m), with the features of the study.

    Its dates only number the rows.
    """
    import pandas as pd

    from runner.panels.panel import Panel

    T, n = returns.shape
    used = [names.index(name) for name in like.names]
    X = np.broadcast_to(F[:, None, used], (T, n, len(used)))
    dates = pd.date_range("2000-01-01", periods=T, freq="D")
    assets = [f"A{i + 1}" for i in range(n)]
    valid = np.ones((T, n), dtype=bool)
    groups = pd.DataFrame(index=assets)
    return Panel(
        dates,
        assets,
        like.names,
        y=returns,
        X=X,
        valid=valid,
        horizon=0,
        groups=groups,
        dropped=(),
    )


def _words(row: Any) -> str:
    rows_of_fit = int(row["rows"])
    rows = count(rows_of_fit, "row")
    if np.isnan(row["covariance_error_factor"]):
        return f"{rows}: nothing could be estimated, {row['reason']}."
    by_factors = percent(row["covariance_error_factor"])
    by_sample = percent(row["covariance_error_sample"])
    covariance = (
        f"the covariance by factors is off by {by_factors}, that of the sample by {by_sample}"
    )
    if np.isnan(row["rmse"]):
        return f"{rows}: {covariance}."
    confidence = percent(row["confidence"])
    coverage = percent(row["coverage"])
    margin = ""
    if row["coverage_error"] >= 0.0:
        margin = f" (± {percent(Z95 * row['coverage_error'])})"
    held = f"intervals at {confidence} covered {coverage} of the true loadings{margin}"
    rmse = number(row["rmse"], 3)
    return f"{rows}: {held}, whose error is {rmse}; {covariance}."
