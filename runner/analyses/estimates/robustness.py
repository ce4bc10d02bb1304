"""The risks of a factor model itself: a form not linear, an omitted factor, collinear factors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from runner.analyses.estimates.by_asset import (
    CHANCE,
    Asset,
    Factors,
    factors_of,
    lags_of,
    rejections,
    tested,
)
from runner.errors import DataError
from runner.estimators.standard_errors import OwnCovariance
from runner.models.study import of_every_cell
from runner.panels.finding import Finding
from runner.schema.settings import Count, Draws, Share, UpToOne, Window
from runner.text import count, number, p_words

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.study import Study
    from runner.numerics.inference import Wald
    from runner.panels.panel import Panel

Row = dict[str, object]  # of a table
ALL = "all"  # every factor together
LINEARITY = [
    "scope",
    "unit",
    "term",
    "relation",
    "slope",
    "slope_p",
    "reset_f",
    "df_num",
    "df_den",
    "reset_p",
    "reason",
]
RELATIONS = ("linear", "non-linear", "none")
MOST_VIF = 10.0  # a rule of thumb
MOST_CONDITION = 30.0  # the same, of Belsley, Kuh and Welsch (1980)


def linearity(study: Study, *, cov: OwnCovariance = "HC3", level: Share = 0.05) -> Finding:
    """Whether each asset goes with each factor in a line, not at all, or otherwise (RESET).

    RESET (Ramsey 1969): the test of a factor is of its square and cube beside all factors; the row
    `all` is that of the fitted values. A relation is non-linear where that rejects at `level`,
    linear where it does not and the slope is not zero at `level`, and none where neither was found,
    which is no proof that there is none.

    Args:
        cov: errors of both tests; HAC takes the lags of the model's own rule.

    Raises:
        DataError: the model is not least squares by asset with a constant.
    """
    import pandas as pd

    factors = factors_of(study)
    rows: list[Row] = []
    for asset in factors.assets():
        rows += _tests_of_asset(asset, factors, cov, level)
    table = pd.DataFrame(rows, columns=LINEARITY)
    tests = table.dropna(subset="reset_p")
    is_joint = tests["term"] == ALL
    single = tests[~is_joint]
    joint = tests.loc[is_joint, "reset_p"]
    metrics = {}
    for name in RELATIONS:
        has_relation = single["relation"] == name
        key = name.replace("-", "_")
        metrics[f"{key}_share"] = has_relation.mean()
    rejected = joint < level
    metrics["reset_rejected_share"] = rejected.mean()
    words = []
    by_term = single.groupby("term", sort=False)
    for term, part in by_term:
        words.append(_relations(str(term), part, level))
    rejections_text = rejections(joint, level)
    words.append(f"RESET of all factors together {rejections_text} ({cov} errors).")
    return Finding(table, metrics, words, "linearity")


def _tests_of_asset(
    asset: Asset | str, factors: Factors, cov: OwnCovariance, level: float
) -> Iterator[Row]:
    """Rows of the table of one asset: one per factor, then one of all factors together."""
    from runner.analyses.estimates.specification import added, relation, reset

    if isinstance(asset, str):
        key: Row = {"scope": "asset", "unit": asset}
        yield key | {"term": ALL, "reason": "no estimates: see quality.csv"}
        return
    key = {"scope": "asset", "unit": asset.name}
    lags = lags_of(asset, cov)
    X = asset.X
    y = asset.y
    b, *_ = np.linalg.lstsq(X, y, rcond=None)
    slopes_terms = factors.terms[1:]
    numbered = enumerate(slopes_terms, start=1)
    for j, term in numbered:
        column = X[:, j]
        others = np.delete(X, j, axis=1)
        without = column[:, None]
        slope, no_slope = tested(added, others, without, [term], y, cov, lags)
        shape, no_shape = tested(reset, X, y, column, cov, lags)
        slope_p = _p_value(slope)
        shape_p = _p_value(shape)
        row: Row = {"term": term, "slope": b[j], "slope_p": slope_p}
        row["relation"] = relation(slope_p, shape_p, level)
        row["reason"] = no_slope or no_shape
        yield key | row | _reset(shape)
    fitted = y - asset.u
    shape, reason = tested(reset, X, y, fitted, cov, lags)
    row = {"term": ALL, "relation": "", "reason": reason}
    yield key | row | _reset(shape)


def _p_value(test: Wald | None) -> float:
    if test is None:
        return float("nan")
    return test.p_value


def _reset(test: Wald | None) -> Row:
    if test is None:
        return {}
    return {
        "reset_f": test.f_stat,
        "df_num": test.df_num,
        "df_den": test.df_den,
        "reset_p": test.p_value,
    }


def _relations(term: str, part: pd.DataFrame, level: float) -> str:
    """How many assets have each relation with a factor."""
    n = len(part)
    times = part["relation"].value_counts()
    counts = ", ".join(f"{name} in {times.get(name, 0):,}" for name in RELATIONS)
    chance = ""
    if n >= CHANCE:
        by_chance = level * n
        chance = f"; chance alone would make about {by_chance:,.0f} non-linear"
    assets = count(n, "asset")
    sentence = f"{term} and returns: {counts} of {assets} at {level:.0%}{chance}."
    return sentence.replace("%", " %")


@of_every_cell
def factor_shape(study: Study, *, groups: Window = 10) -> Finding:
    """Mean returns in groups of rows sorted by each factor, beside the line, for the eye.

    Partial returns b f + u, with the fitted b and residuals u, averaged over the assets of a row:
    what the other factors and the constants do not explain. Bends of opposite sign in different
    assets cancel; `linearity` tests each asset. The error of a group takes its rows as independent.

    Raises:
        DataError: the model is not least squares by asset, factors differ between assets, or too
            few rows.
    """
    import pandas as pd

    from runner.models.factor_model import shared_factors

    factors = factors_of(study)
    panel = factors.panel
    params = factors.params
    names = factors.terms[1:]
    is_finite = np.isfinite(params)
    estimated = is_finite.all(axis=1)
    use = panel.valid & estimated
    rows = use.any(axis=1)
    usable = int(rows.sum())
    if usable < 2 * groups:
        rows_text = count(usable, "row")
        raise DataError(f"groups: given {groups}; allowed: at most half of the {rows_text}")
    F = shared_factors(panel, names)
    constants = params[:, 0]
    loadings = params[:, 1:]
    explained = F @ loadings.T
    u = panel.y - constants - explained
    use = use[rows]
    used_residuals = u[rows]
    residual = _mean_over_assets(used_residuals, use)
    table: list[Row] = []
    for j, term in enumerate(names):
        factor = F[rows, j]
        loading = loadings[:, j]
        slope = _mean_over_assets(loading, use)
        line = slope * factor
        partial = residual + line
        table += _groups(term, factor, partial, line, groups)
    shape = pd.DataFrame(table)
    return Finding(shape, picture="factor_shape")


def _mean_over_assets(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Mean (T,) of the values of the assets in use (T, N)."""
    used = np.where(use, values, np.nan)
    return np.asarray(np.nanmean(used, axis=1))


def _groups(
    term: str, factor: np.ndarray, partial: np.ndarray, line: np.ndarray, groups: int
) -> Iterator[Row]:
    """Means of partial returns and of the line (T,) in groups of rows sorted by the factor (T,)."""
    order = np.argsort(factor, kind="stable")
    for group, rows in enumerate(np.array_split(order, groups), start=1):
        n = len(rows)
        factor_of_group = factor[rows]
        partial_of_group = partial[rows]
        line_of_group = line[rows]
        row: Row = {"term": term, "group": group, "rows": n}
        row["factor"] = factor_of_group.mean()
        row["partial"] = partial_of_group.mean()
        deviation = partial_of_group.std(ddof=1)
        row["std_error"] = deviation / np.sqrt(n)
        row["line"] = line_of_group.mean()
        yield row


@of_every_cell
def omitted_factor(
    study: Study,
    *,
    permutations: Draws = 199,
    seed: Count = 0,
    coverage: UpToOne = 0.95,
    level: Share = 0.05,
) -> Finding:
    """What residuals of different assets still share: their correlations against permuted rows.

    A factor model says nothing is left. Tested are the mean absolute correlation and the largest
    eigenvalue of the correlations, each against `permutations` in which the rows of every asset are
    shuffled by themselves.

    Raises:
        DataError: no two assets with residuals on the same rows.
    """
    import pandas as pd

    from runner.analyses.estimates.specification import shared
    from runner.analyses.risks.risk import refuse_few
    from runner.models.factor_model import common, marchenko_pastur_edge

    panel = study.panel
    residuals_of_all = panel.y - study.fitted
    u = np.where(panel.valid, residuals_of_all, np.nan)
    n_dates = len(panel.dates)
    every_row = np.arange(n_dates)
    has_residuals = _has_residuals(u, panel)
    candidates = np.flatnonzero(has_residuals)
    known = np.isfinite(u)
    assets, (rows,) = common(known, [every_row], candidates, coverage)
    n_rows = len(rows)
    n_assets = len(assets)
    refuse_few(n_assets, n_rows, coverage)
    balanced = u[np.ix_(rows, assets)]
    test = shared(balanced, permutations, seed)
    edge = marchenko_pastur_edge(n_rows, n_assets)
    table = pd.DataFrame({"measure": ["mean_abs_correlation", "largest_eigenvalue"]})
    table["value"] = [test.mean_correlation, test.largest]
    table["expected"] = [test.expected_correlation, test.expected_largest]
    table["edge"] = [np.nan, edge]
    table["p_value"] = [test.p_correlation, test.p_largest]
    table["permutations"] = permutations
    table["rows"] = n_rows
    table["assets"] = n_assets
    table["assets_left_out"] = len(panel.assets) - n_assets
    metrics = {"mean_abs_correlation": test.mean_correlation}
    metrics["largest_eigenvalue"] = test.largest
    metrics["p_value"] = test.p_largest
    words = _omitted_words(table, level)
    return Finding(table, metrics, words)


def _has_residuals(u: np.ndarray, panel: Panel) -> np.ndarray:
    """(N,) whether an asset has residuals u (T, N) that are more than rounding."""
    from runner.numerics.variation import EXACT_FIT

    y = np.where(panel.valid, panel.y, 0.0)
    ssr = np.nansum(u**2, axis=0)
    squares = np.nansum(y**2, axis=0)
    least = EXACT_FIT * squares
    varies = ssr > least
    has_residual = np.isfinite(u)
    known = has_residual.any(axis=0)
    return known & varies


def _omitted_words(table: pd.DataFrame, level: float) -> list[str]:
    correlation = table.iloc[0]
    eigenvalue = table.iloc[1]
    value = number(correlation["value"], 3)
    expected = number(correlation["expected"], 3)
    p = p_words(correlation["p_value"])
    first = (
        f"The mean absolute correlation of residuals is {value}, "
        f"against {expected} if they were independent ({p})."
    )
    p_value = eigenvalue["p_value"]
    answer = "no omitted factor was found, which does not prove that there is none"
    if p_value < level:
        answer = "the residuals share a factor"
    value = number(eigenvalue["value"], 3)
    expected = number(eigenvalue["expected"], 3)
    p = p_words(p_value)
    second = (
        f"The largest eigenvalue of their correlations is {value}, against {expected} ({p}): "
        f"{answer}."
    )
    return [first, second]


@of_every_cell
def multicollinearity(study: Study) -> Finding:
    """How far each factor is a combination of the others: VIF, correlation, condition number.

    The condition number is of the columns, the constant among them, each of length one (Belsley,
    Kuh, Welsch 1980).

    Raises:
        DataError: the model is not least squares by asset, or the factors differ between assets.
    """
    import pandas as pd

    from runner.models.factor_model import shared_factors
    from runner.numerics.diagnostics import condition_number, variance_inflation

    factors = factors_of(study)
    names = factors.terms[1:]
    panel = factors.panel
    use = panel.valid.any(axis=1)
    F = shared_factors(panel, names)[use]
    constant = np.ones(len(F))
    X = np.column_stack([constant, F])
    scaled = X / np.linalg.norm(X, axis=0)
    condition = condition_number(scaled).statistic
    inflation = variance_inflation(X, factors.terms)
    vif = np.array([test.statistic for test in inflation])
    table = pd.DataFrame({"term": names, "vif": vif})
    table["error_widened"] = np.sqrt(vif)
    unexplained = 1.0 / vif
    table["r2_on_others"] = 1.0 - unexplained
    table["largest_correlation"] = np.nan
    table["with_term"] = ""
    if len(names) > 1:
        R = np.corrcoef(F, rowvar=False)
        np.fill_diagonal(R, 0.0)
        strength = np.abs(R)
        nearest = strength.argmax(axis=0)
        columns = np.arange(len(names))
        table["largest_correlation"] = R[nearest, columns]
        table["with_term"] = [names[j] for j in nearest]
    table["condition_number"] = condition
    table["rows"] = len(F)
    metrics = {"largest_vif": vif.max(), "condition_number": condition}
    words = _collinear_words(table, condition)
    return Finding(table, metrics, [words])


def _collinear_words(table: pd.DataFrame, condition: float) -> str:
    largest = table["vif"].idxmax()
    worst = table.loc[largest]
    answer = "below the rules of thumb 10 and 30"
    if worst["vif"] > MOST_VIF or condition > MOST_CONDITION:
        answer = "separate loadings are imprecise"
    vif = number(worst["vif"], 3)
    condition_text = number(condition, 3)
    widened = number(worst["error_widened"], 3)
    return (
        f"The largest VIF is {vif} ({worst['term']}: standard errors {widened} times as large), "
        f"the condition number of the scaled factors {condition_text}: {answer}."
    )
