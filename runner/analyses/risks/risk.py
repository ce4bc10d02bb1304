"""Risk by a factor model, in sample: what the factors explain, and how many numbers it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from runner.data.calendar import year_of
from runner.errors import DataError
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
]
RISK += ["total_volatility", "systematic_volatility", "specific_volatility", "reason"]
SINGULAR = "singular: no inverse"


def risk(study: Study, *, rows_per_year: Positive | None = None) -> Finding:
    """Systematic and specific variance of each asset, b' Omega b and D, annual, and the share
    explained.

    Where an asset has every row, its total is its sample variance and the share its R2. Variances a
    year are those per row times `rows_per_year`, rows taken as uncorrelated; volatilities are their
    roots.

    Args:
        rows_per_year: None takes that of the calendar of the panel.

    Raises:
        DataError: the model is no regression by asset or date on factors.
    """
    import pandas as pd

    year = year_of(study.panel.calendar, rows_per_year)
    model = _in_sample(study)
    systematic, specific = year.rows * np.diag(model.systematic), year.rows * model.specific
    total = systematic + specific
    table = pd.DataFrame({"scope": "asset", "unit": study.panel.assets})
    at = model.assets
    columns = {"n_obs": model.n_obs, "explained_share": systematic / total}
    columns |= {
        "total_variance": total,
        "systematic_variance": systematic,
        "specific_variance": specific,
    }
    columns |= {
        name.replace("variance", "volatility"): np.sqrt(v)
        for name, v in columns.items()
        if "variance" in name
    }
    for name, values in columns.items():
        table.loc[at, name] = values
    table["n_obs"] = table["n_obs"].fillna(0).astype(int)
    table["reason"] = np.where(
        np.isin(np.arange(len(table)), at), "", "no estimates: see quality.csv"
    )
    table = table[RISK]
    share = table["explained_share"]
    metrics = {"explained_share": share.mean(), "explained_share_least": share.min()}
    metrics |= {"specific_volatility": table["specific_volatility"].mean()}
    words = [*_explained_words(table, model), f"Variances and volatilities are {year.words}."]
    return Finding(table, metrics, words, "explained_variance")


def _in_sample(study: Study) -> FactorModel:
    from runner.models.factor_model import factor_model

    return factor_model(study.model, study.fit, study.panel, np.arange(len(study.panel.dates)))


def _explained_words(table: pd.DataFrame, model: FactorModel) -> list[str]:
    known = table.dropna(subset="explained_share").sort_values("explained_share")
    low, high = known.iloc[0], known.iloc[-1]
    spread = f", from {percent(low['explained_share'])} ({low['unit']}) to {percent(high['explained_share'])} "
    found = f"{count(len(model.names), 'factor')} explain{'s' * (len(model.names) == 1)} "
    found += f"{percent(known['explained_share'].mean())} of the variance in sample"
    several = (
        f" on average over {count(len(known), 'asset')}{spread}({high['unit']})"
        if len(known) > 1
        else ""
    )
    return [f"{found}{several}."]


def covariance(study: Study, *, coverage: UpToOne = 0.95) -> Finding:
    """Three covariances of the same assets: by factors, of the sample, and shrunk; their numbers
    and conditioning.

    Sample and shrunk ones need full rows: assets that are usable on at least the share `coverage`
    of the rows, on the rows on which all of these are.

    Raises:
        DataError: the model is no regression on factors, or no two assets or rows are left.
    """
    import pandas as pd

    from runner.models.factor_model import common, condition, factor_parameters, full_parameters

    model, every = _in_sample(study), np.arange(len(study.panel.dates))
    assets, (rows,) = common(study.panel.valid, [every], model.assets, coverage)
    refuse_few(len(assets), len(rows), coverage)
    matrices, shrinkage = estimators(model, assets, study.panel.y[np.ix_(rows, assets)])
    n, m = len(assets), len(model.names)
    table = pd.DataFrame(
        {
            "estimator": list(matrices),
            "assets": n,
            "assets_left_out": len(study.panel.assets) - n,
            "rows": len(rows),
            "parameters": [factor_parameters(n, m), full_parameters(n), full_parameters(n)],
            "condition_number": [condition(S) for S in matrices.values()],
            "shrinkage": [np.nan, np.nan, shrinkage],
        }
    )
    table["reason"] = np.where(np.isinf(table["condition_number"]), SINGULAR, "")
    metrics = {
        f"condition_number_{row.estimator}": row.condition_number for row in table.itertuples()
    }
    return Finding(table, metrics, _covariance_words(table, m))


def estimators(
    model: FactorModel, assets: np.ndarray, y: np.ndarray
) -> tuple[dict[str, np.ndarray], float]:
    """Covariances (n, n) of these assets by the name of their estimator, and the intensity of the
    shrinkage.

    `y` (T, n) are the returns of the assets on the full rows of the same training part.
    """
    from runner.models.factor_model import shrunk

    chosen = np.flatnonzero(np.isin(model.assets, assets))
    S, shrinkage = shrunk(y)
    by_factors = model.covariance[np.ix_(chosen, chosen)]
    return {
        "factor": by_factors,
        "sample": np.atleast_2d(np.cov(y, rowvar=False, ddof=1)),
        "shrunk": S,
    }, shrinkage


def refuse_few(assets: int, rows: int, coverage: float) -> None:
    """Refuse what has no covariance.

    Raises:
        DataError: fewer than two assets or rows are left.
    """
    if assets < 2 or rows < 2:
        left = f"{count(assets, 'asset')} on {count(rows, 'full row')}"
        raise DataError(f"coverage: {coverage:g} leaves {left}; allowed: at least two of each")


def _covariance_words(table: pd.DataFrame, m: int) -> list[str]:
    by = table.set_index("estimator")
    n, rows = int(by["assets"].iloc[0]), int(by["rows"].iloc[0])
    by_factors, full = (int(by.loc[name, "parameters"]) for name in ("factor", "sample"))
    found = [
        f"A full covariance of {count(n, 'asset')} has {full:,} numbers, one by {count(m, 'factor')} {by_factors:,}; "
        f"there are {rows * n:,} returns to estimate them from."
    ]
    factor, sample, shrunk = (
        float(by.loc[name, "condition_number"]) for name in ("factor", "sample", "shrunk")
    )
    of_sample = "is singular" if np.isinf(sample) else f"has the condition number {number(sample)}"
    of_factor = "singular" if np.isinf(factor) else number(factor)
    found.append(
        f"The sample covariance {of_sample}, that by factors {of_factor}, the shrunk one {number(shrunk)}."
    )
    left = int(by["assets_left_out"].iloc[0])
    return (
        [*found, f"{count(left, 'asset')} left out: no estimates, or too few rows."]
        if left
        else found
    )


def spectrum(study: Study, *, coverage: UpToOne = 0.95) -> Finding:
    """Eigenvalues of the correlations of the target, beside the edge of Marchenko and Pastur
    (1967).

    Above the edge (1 + sqrt(n / T))^2 lies what independent series would not show in large samples;
    it assumes rows that are independent and not too fat-tailed.

    Raises:
        DataError: no two assets or rows are left, or one of them does not vary.
    """
    import pandas as pd

    from runner.models.factor_model import common, marchenko_pastur_edge
    from runner.numerics.variation import flat

    panel = study.panel
    assets, (rows,) = common(
        panel.valid, [np.arange(len(panel.dates))], np.arange(len(panel.assets)), coverage
    )
    refuse_few(len(assets), len(rows), coverage)
    y = panel.y[np.ix_(rows, assets)]
    still = [panel.assets[i] for i in np.asarray(assets)[flat(y)]]
    if still:
        raise DataError(
            f"target: {still[0]} does not vary; allowed: assets that do, see data.assets"
        )
    eigen, edge = (
        np.linalg.eigvalsh(np.corrcoef(y, rowvar=False))[::-1],
        marchenko_pastur_edge(*y.shape),
    )
    table = pd.DataFrame(
        {
            "component": np.arange(1, len(eigen) + 1),
            "eigenvalue": eigen,
            "share": eigen / len(eigen),
        }
    )
    table["share_so_far"], table["edge"] = table["share"].cumsum(), edge
    above = int((eigen > edge).sum())
    first = (
        f"the first holds {percent(eigen[0] / len(eigen))} of the variance of standardised returns"
    )
    words = [
        f"{above:,} of {count(len(eigen), 'eigenvalue')} lie above {number(edge)}, the edge for as many independent "
        f"series of {count(len(rows), 'row')}; {first}."
    ]
    return Finding(
        table, {"above_edge": above, "first_share": eigen[0] / len(eigen)}, words, "spectrum"
    )
