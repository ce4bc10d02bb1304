"""How far estimates lie from a truth that is known, as rows grow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from runner.data.sources.factor_truth import KnownTruth
from runner.errors import DataError, EstimationError
from runner.panels.finding import Finding
from runner.schema.settings import Rows
from runner.text import count, number, percent

if TYPE_CHECKING:
    from runner.data.sources.factor_truth import FactorTruth
    from runner.models.fit import Fit
    from runner.models.study import Study
    from runner.panels.panel import Panel

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
]
TABLE += ["covariance_error_factor", "covariance_error_sample", "failed", "reason"]


def estimation_error(
    study: Study, *, source: KnownTruth, rows: list[Rows] | None = None, draws: Rows = 100
) -> Finding:
    """Loadings estimated by the model of this study on fresh draws from a known truth, for several
    numbers of rows.

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
    sizes = [max(T // 4, 2), max(T // 2, 2), T, 2 * T] if rows is None else rows
    truth, names = source.truth(), _factor_names(study, source)
    table = pd.DataFrame(
        [_measured(study, source, truth, names, size, draws) for size in sizes], columns=TABLE
    )
    metrics = {
        f"{name}_{row['rows']}": row[name]
        for row in table.to_dict("records")
        for name in ("coverage", "rmse")
    }
    return Finding(table, metrics, [_words(row) for _, row in table.iterrows()], "estimation_error")


def _factor_names(study: Study, source: KnownTruth) -> list[str]:
    """Names of all factors of the source.

    Raises:
        DataError: the model has a regressor that is none of them.
    """
    m = source.truth().loadings.shape[1]
    names = [f"F{j + 1}" for j in range(m)]
    other = [name for name in study.panel.names if name not in names]
    if other:
        raise DataError(
            f"source: its factors are {', '.join(names)}; given the feature {other[0]}, which is none"
        )
    return names


def _measured(
    study: Study, source: KnownTruth, truth: FactorTruth, names: list[str], rows: int, draws: int
) -> dict[str, object]:
    """One row of the table: what `draws` samples of so many rows give."""
    found, failed, reason = [], 0, ""
    for draw in range(1, draws + 1):
        F, returns = source.sample(rows, draw)
        panel = _panel(study.panel, F, returns, names)
        try:
            fit = study.model.fit(panel, np.arange(rows))
            found.append(_one(study.model, fit, panel, truth, names))
        except (DataError, EstimationError) as error:
            failed, reason = failed + 1, error.mistakes[0]
    row: dict[str, object] = {
        "rows": rows,
        "draws": draws - failed,
        "failed": failed,
        "reason": reason,
    }
    if not found:
        return row
    distance = np.array([one[2] for one in found]).mean(axis=0)
    row |= {"covariance_error_factor": distance[0], "covariance_error_sample": distance[1]}
    gaps = np.array([one[0] for one in found])
    if study.model.components:
        return row | {
            "reason": reason or "components are known up to a rotation: no loadings to compare"
        }
    errors = np.array([one[1] for one in found])
    return row | _loadings(gaps, errors, study.model.confidence, rows)


def _loadings(
    gaps: np.ndarray, errors: np.ndarray, confidence: float, rows: int
) -> dict[str, object]:
    """Of gaps (draws, n, m) between estimates and truth, and of (std_error, inside) (draws, 2, n,
    m).
    """
    inside = errors[:, 1].reshape(len(gaps), -1)
    by_draw, several = np.mean(inside, axis=1), len(gaps) > 1
    rmse = float(np.sqrt(np.mean(gaps**2)))
    return {
        "coverage": by_draw.mean(),
        "coverage_error": by_draw.std(ddof=1) / np.sqrt(len(gaps)) if several else np.nan,
        "confidence": confidence,
        "rmse": rmse,
        "rmse_root_rows": rmse * np.sqrt(rows),
        "bias": np.abs(gaps.mean(axis=0)).mean(),
        "std_error": errors[:, 0].mean(),
    }


def _one(
    model: Any, fit: Fit, panel: Panel, truth: FactorTruth, names: list[str]
) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Of one draw: gaps (n, m), standard errors and whether intervals hold the truth (2, n, m),
    and distances.
    """
    from runner.models.factor_model import factor_model

    S, size = truth.covariance, np.linalg.norm(truth.covariance)
    by_factors = factor_model(model, fit, panel, np.arange(len(panel.dates))).covariance
    sample = np.atleast_2d(np.cov(panel.y, rowvar=False))
    distances = (
        float(np.linalg.norm(by_factors - S) / size),
        float(np.linalg.norm(sample - S) / size),
    )
    if model.components:
        return np.empty(0), np.empty(0), distances
    terms = [term for term in model.terms(panel.names) if term != "const"]
    true = truth.loadings[:, [names.index(term) for term in terms]]
    table = fit.coefficients[
        (fit.coefficients["scope"] == "asset") & (fit.coefficients["term"] != "const")
    ]
    columns = ("estimate", "std_error", "ci_low", "ci_high")
    b, error, low, high = (table[name].to_numpy().reshape(true.shape) for name in columns)
    return b - true, np.array([error, (low <= true) & (true <= high)]), distances


def _panel(like: Panel, F: np.ndarray, returns: np.ndarray, names: list[str]) -> Panel:
    """A panel of drawn returns with the features of the study, on dates that only number the
    rows.
    """
    import pandas as pd

    from runner.panels.panel import Panel

    (T, n), at = returns.shape, [names.index(name) for name in like.names]
    X = np.broadcast_to(F[:, None, at], (T, n, len(at)))
    dates = pd.date_range("2000-01-01", periods=T, freq="D")
    assets = [f"A{i + 1}" for i in range(n)]
    valid = np.ones((T, n), dtype=bool)
    return Panel(dates, assets, like.names, returns, X, valid, 0, pd.DataFrame(index=assets), ())


def _words(row: Any) -> str:
    rows = count(int(row["rows"]), "row")
    if np.isnan(row["covariance_error_factor"]):
        return f"{rows}: nothing could be estimated, {row['reason']}."
    covariance = f"the covariance by factors is off by {percent(row['covariance_error_factor'])}, "
    covariance += f"that of the sample by {percent(row['covariance_error_sample'])}"
    if np.isnan(row["rmse"]):
        return f"{rows}: {covariance}."
    held = f"intervals at {percent(row['confidence'])} held {percent(row['coverage'])} of the true loadings"
    sure = f" (± {percent(1.96 * row['coverage_error'])})" if row["coverage_error"] >= 0.0 else ""
    return f"{rows}: {held}{sure}, whose error is {number(row['rmse'], 3)}; {covariance}."
