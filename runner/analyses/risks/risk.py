"""Risk by a factor model, in sample: what the factors explain, and how many numbers it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.data.calendar import year_of
from runner.errors import DataError
from runner.models.study import of_every_cell
from runner.panels.finding import Finding
from runner.schema.settings import Positive, UpToOne
from runner.text import count, number, percent

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.factor_model import FactorModel
    from runner.models.study import Study

RISK = [
    "scope",
    "unit",
    "n_obs",
    "explained_share",
    "total_variance",
    "systematic_variance",
    "specific_variance",
    "total_volatility",
    "systematic_volatility",
    "specific_volatility",
    "reason",
]
SINGULAR = "singular: no inverse"


@of_every_cell
def risk(study: Study, *, rows_per_year: Positive | None = None) -> Finding:
    """Systematic and specific variance of each asset, b' Omega b and D, annual; share explained.

    Where an asset has every row, its total is its sample variance and the share its R2. Variances a
    year are those per row times `rows_per_year`, rows taken as uncorrelated; volatilities are their
    roots.

    Args:
        rows_per_year: None takes that of the calendar of the panel.

    Raises:
        DataError: the model is no regression by asset or date on factors.
    """
    year = year_of(study.panel.calendar, rows_per_year)
    model = _in_sample(study)
    table = _risk_table(model, study.panel.assets, year.rows)
    share = table["explained_share"]
    metrics = {"explained_share": share.mean(), "explained_share_least": share.min()}
    metrics["specific_volatility"] = table["specific_volatility"].mean()
    explained = _explained_words(table, model)
    said_of_year = f"Variances and volatilities are {year.words}."
    words = [explained, said_of_year]
    return Finding(table, metrics, words, "explained_variance")


def _in_sample(study: Study) -> FactorModel:
    from runner.models.factor_model import factor_model

    every_row = np.arange(len(study.panel.dates))
    return factor_model(study.model, study.fit, study.panel, every_row)


def _risk_table(model: FactorModel, assets: list[str], rows_per_year: float) -> pd.DataFrame:
    """A row per asset; without numbers where the factor model has not the asset."""
    import pandas as pd

    systematic = rows_per_year * np.diag(model.systematic)
    specific = rows_per_year * model.specific
    total = systematic + specific
    variances = {"total": total, "systematic": systematic, "specific": specific}
    columns = {"scope": "asset", "unit": assets}
    table = pd.DataFrame(columns)
    at = model.assets
    table.loc[at, "n_obs"] = model.n_obs
    table.loc[at, "explained_share"] = systematic / total
    for name, variance in variances.items():
        table.loc[at, f"{name}_variance"] = variance
        table.loc[at, f"{name}_volatility"] = np.sqrt(variance)
    rows_of_asset = table["n_obs"].fillna(0)
    table["n_obs"] = rows_of_asset.astype(int)
    estimated = np.isin(np.arange(len(table)), at)
    table["reason"] = np.where(estimated, "", "no estimates: see quality.csv")
    return table[RISK]


def _explained_words(table: pd.DataFrame, model: FactorModel) -> str:
    with_share = table.dropna(subset="explained_share")
    known = with_share.sort_values("explained_share")
    shares = known["explained_share"]
    number_of_factors = len(model.names)
    factors = count(number_of_factors, "factor")
    verb = "explains" if len(model.names) == 1 else "explain"
    explained = f"{factors} {verb} {percent(shares.mean())} of the variance in sample"
    if len(known) == 1:
        return f"{explained}."
    assets = count(len(known), "asset")
    least = _share_text(known.iloc[0])
    most = _share_text(known.iloc[-1])
    return f"{explained} on average over {assets}, from {least} to {most}."


def _share_text(row: pd.Series) -> str:
    share = percent(row["explained_share"])
    unit = row["unit"]
    return f"{share} ({unit})"


@of_every_cell
def covariance(study: Study, *, coverage: UpToOne = 0.95) -> Finding:
    """Three covariances of the same assets: by factors, of the sample, and shrunk; conditioning.

    Sample and shrunk ones need full rows: assets that are usable on at least the share `coverage`
    of the rows, on the rows on which all of these are.

    Raises:
        DataError: the model is no regression on factors, or no two assets or rows are left.
    """
    import pandas as pd

    from runner.models.factor_model import common, condition, factor_parameters, full_parameters

    panel = study.panel
    model = _in_sample(study)
    every_row = np.arange(len(panel.dates))
    assets, (rows,) = common(panel.valid, [every_row], model.assets, coverage)
    refuse_few(len(assets), len(rows), coverage)
    y = panel.y[np.ix_(rows, assets)]
    matrices, shrinkage = estimators(model, assets, y)
    n = len(assets)
    m = len(model.names)
    table = pd.DataFrame({"estimator": list(matrices), "assets": n})
    table["assets_left_out"] = len(panel.assets) - n
    table["rows"] = len(rows)
    table["parameters"] = [factor_parameters(n, m), full_parameters(n), full_parameters(n)]
    table["condition_number"] = [condition(S) for S in matrices.values()]
    table["shrinkage"] = [np.nan, np.nan, shrinkage]
    is_singular = np.isinf(table["condition_number"])
    table["reason"] = np.where(is_singular, SINGULAR, "")
    metrics = {}
    for row in table.itertuples():
        metrics[f"condition_number_{row.estimator}"] = row.condition_number
    words = _covariance_words(table, m)
    return Finding(table, metrics, words)


def estimators(
    model: FactorModel, assets: np.ndarray, y: np.ndarray
) -> tuple[dict[str, np.ndarray], float]:
    """Covariances (n, n) of these assets by estimator, and the intensity of the shrinkage.

    `y` (T, n) are the returns of the assets on the full rows of the same training part.
    """
    from runner.models.factor_model import shrunk

    chosen = np.flatnonzero(np.isin(model.assets, assets))
    shrunk_covariance, shrinkage = shrunk(y)
    by_factors = model.covariance[np.ix_(chosen, chosen)]
    of_sample = np.atleast_2d(np.cov(y, rowvar=False, ddof=1))
    matrices = {"factor": by_factors, "sample": of_sample, "shrunk": shrunk_covariance}
    return matrices, shrinkage


def refuse_few(assets: int, rows: int, coverage: float) -> None:
    """Refuse what has no covariance.

    Raises:
        DataError: fewer than two assets or rows are left.
    """
    if assets < 2 or rows < 2:
        assets_text = count(assets, "asset")
        rows_text = count(rows, "full row")
        left = f"{assets_text} on {rows_text}"
        raise DataError(f"coverage: {coverage:g} leaves {left}; allowed: at least two of each")


def _covariance_words(table: pd.DataFrame, m: int) -> list[str]:
    """How many numbers each covariance has, and how well it is conditioned, with m factors."""
    by_estimator = table.set_index("estimator")
    n = int(table["assets"].iloc[0])
    rows = int(table["rows"].iloc[0])
    left_out = int(table["assets_left_out"].iloc[0])
    full = int(by_estimator.loc["sample", "parameters"])
    by_factors = int(by_estimator.loc["factor", "parameters"])
    assets = count(n, "asset")
    factors = count(m, "factor")
    returns = f"{rows * n:,} returns"
    parameters = (
        f"A full covariance of {assets} has {full:,} numbers, one by {factors} {by_factors:,}; "
        f"there are {returns} to estimate them from."
    )
    words = [parameters, _condition_sentence(by_estimator["condition_number"])]
    if left_out:
        assets_left_out = count(left_out, "asset")
        words.append(f"{assets_left_out} left out: no estimates, or too few rows.")
    return words


def _condition_sentence(conditions: pd.Series) -> str:
    """The condition number of each covariance, by estimator."""
    sample = float(conditions["sample"])
    factor = float(conditions["factor"])
    shrunk = float(conditions["shrunk"])
    of_sample = "is singular" if np.isinf(sample) else f"has the condition number {number(sample)}"
    of_factor = "singular" if np.isinf(factor) else number(factor)
    return (
        f"The sample covariance {of_sample}, that by factors {of_factor}, "
        f"the shrunk one {number(shrunk)}."
    )


@of_every_cell
def spectrum(study: Study, *, coverage: UpToOne = 0.95) -> Finding:
    """Eigenvalues of the correlations of the target, and the edge of Marchenko and Pastur (1967).

    Above the edge (1 + sqrt(n / T))^2 lies what independent series would not show in large samples;
    it assumes rows that are independent and not too fat-tailed.

    Raises:
        DataError: no two assets or rows are left, or one of them does not vary.
    """
    import pandas as pd

    from runner.models.factor_model import common, marchenko_pastur_edge
    from runner.numerics.variation import flat

    panel = study.panel
    every_row = np.arange(len(panel.dates))
    every_asset = np.arange(len(panel.assets))
    assets, (rows,) = common(panel.valid, [every_row], every_asset, coverage)
    refuse_few(len(assets), len(rows), coverage)
    y = panel.y[np.ix_(rows, assets)]
    constant = np.asarray(assets)[flat(y)]
    if len(constant):
        name = panel.assets[constant[0]]
        raise DataError(f"target: {name} does not vary; allowed: assets that do, see data.assets")
    correlations = np.corrcoef(y, rowvar=False)
    eigenvalues = np.linalg.eigvalsh(correlations)[::-1]
    edge = marchenko_pastur_edge(*y.shape)
    n = len(eigenvalues)
    ranks = np.arange(1, n + 1)
    table = pd.DataFrame({"component": ranks, "eigenvalue": eigenvalues})
    table["share"] = eigenvalues / n
    table["share_so_far"] = table["share"].cumsum()
    table["edge"] = edge
    is_above = eigenvalues > edge
    above = int(is_above.sum())
    first_share = eigenvalues[0] / n
    every = count(n, "eigenvalue")
    series = f"independent series of {count(len(rows), 'row')}"
    sentence = (
        f"{above:,} of {every} lie above {number(edge)}, the edge for as many {series}; "
        f"the first holds {percent(first_share)} of the variance of standardised returns."
    )
    metrics = {"above_edge": above, "first_share": first_share}
    return Finding(table, metrics, [sentence], "spectrum")
