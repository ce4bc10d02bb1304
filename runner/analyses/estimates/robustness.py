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
from runner.panels.finding import Finding
from runner.schema.settings import Count, Rows, Share, UpToOne, Window
from runner.text import count, number, p_text

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
    tests = table[table["reset_p"].notna()]
    single = tests[tests["term"] != ALL]
    joint = tests.loc[tests["term"] == ALL, "reset_p"]
    metrics = {}
    for name in RELATIONS:
        key = f"{name.replace('-', '_')}_share"
        metrics[key] = (single["relation"] == name).mean()
    metrics["reset_rejected_share"] = (joint < level).mean()
    by_term = single.groupby("term", sort=False)
    words = [_relations(str(term), part, level) for term, part in by_term]
    words.append(f"RESET of all factors together {rejections(joint, level)} ({cov} errors).")
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
    b = np.linalg.lstsq(X, y, rcond=None)[0]
    for j, term in enumerate(factors.terms[1:], start=1):
        column = X[:, j]
        others = np.delete(X, j, axis=1)
        slope, no_slope = tested(added, others, column[:, None], [term], y, cov, lags)
        shape, no_shape = tested(reset, X, y, column, cov, lags)
        slope_p = _p_value(slope)
        row: Row = {"term": term, "slope": b[j], "slope_p": slope_p}
        row["relation"] = relation(slope_p, _p_value(shape), level)
        row["reason"] = no_slope or no_shape
        yield key | row | _reset(shape)
    shape, reason = tested(reset, X, y, y - asset.u, cov, lags)
    yield key | {"term": ALL, "relation": "", "reason": reason} | _reset(shape)


def _p_value(test: Wald | None) -> float:
    return float("nan") if test is None else test.p_value


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
    times = part["relation"].value_counts()
    counts = ", ".join(f"{name} in {times.get(name, 0):,}" for name in RELATIONS)
    chance = ""
    if len(part) >= CHANCE:
        chance = f"; chance alone would make about {level * len(part):,.0f} non-linear"
    assets = count(len(part), "asset")
    sentence = f"{term} and returns: {counts} of {assets} at {level:.0%}{chance}."
    return sentence.replace("%", " %")


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
    estimated = np.isfinite(params).all(axis=1)
    use = np.where(estimated, panel.valid, False)
    rows = use.any(axis=1)
    usable = int(rows.sum())
    if usable < 2 * groups:
        half = f"half of the {count(usable, 'row')}"
        raise DataError(f"groups: given {groups}; allowed: at most {half}")
    F = shared_factors(panel, names)
    u = panel.y - params[:, 0] - F @ params[:, 1:].T
    residual = _mean_over_assets(u[rows], use[rows])
    table: list[Row] = []
    for j, term in enumerate(names):
        slope = _mean_over_assets(params[:, j + 1], use[rows])
        line = slope * F[rows, j]
        table += _groups(term, F[rows, j], residual + line, line, groups)
    return Finding(pd.DataFrame(table), picture="factor_shape")


def _mean_over_assets(values: np.ndarray, use: np.ndarray) -> np.ndarray:
    """Mean (T,) of the values of the assets in use (T, N)."""
    return np.asarray(np.nanmean(np.where(use, values, np.nan), axis=1))


def _groups(
    term: str, factor: np.ndarray, partial: np.ndarray, line: np.ndarray, groups: int
) -> Iterator[Row]:
    """Means of partial returns and of the line (T,) in groups of rows sorted by the factor (T,)."""
    order = np.argsort(factor, kind="stable")
    for group, at in enumerate(np.array_split(order, groups), start=1):
        row: Row = {"term": term, "group": group, "rows": len(at)}
        row["factor"] = factor[at].mean()
        row["partial"] = partial[at].mean()
        row["std_error"] = partial[at].std(ddof=1) / np.sqrt(len(at))
        row["line"] = line[at].mean()
        yield row


def omitted_factor(
    study: Study,
    *,
    permutations: Rows = 199,
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
    u = np.where(panel.valid, panel.y - study.fitted, np.nan)
    every_row = np.arange(len(panel.dates))
    candidates = np.flatnonzero(_has_residuals(u, panel))
    assets, (rows,) = common(np.isfinite(u), [every_row], candidates, coverage)
    refuse_few(len(assets), len(rows), coverage)
    test = shared(u[np.ix_(rows, assets)], permutations, seed)
    edge = marchenko_pastur_edge(len(rows), len(assets))
    table = pd.DataFrame({"measure": ["mean_abs_correlation", "largest_eigenvalue"]})
    table["value"] = [test.mean_correlation, test.largest]
    table["expected"] = [test.expected_correlation, test.expected_largest]
    table["edge"] = [np.nan, edge]
    table["p_value"] = [test.p_correlation, test.p_largest]
    table["permutations"] = permutations
    table["rows"] = len(rows)
    table["assets"] = len(assets)
    table["assets_left_out"] = len(panel.assets) - len(assets)
    metrics = {"mean_abs_correlation": test.mean_correlation, "largest_eigenvalue": test.largest}
    metrics["p_value"] = test.p_largest
    return Finding(table, metrics, _omitted_words(table, level))


def _has_residuals(u: np.ndarray, panel: Panel) -> np.ndarray:
    """(N,) whether an asset has residuals u (T, N) that are more than rounding."""
    from runner.numerics.variation import EXACT_FIT

    y = np.where(panel.valid, panel.y, 0.0)
    ssr = np.nansum(u**2, axis=0)
    rounding = EXACT_FIT * np.nansum(y**2, axis=0)
    return np.isfinite(u).any(axis=0) & (ssr > rounding)


def _omitted_words(table: pd.DataFrame, level: float) -> list[str]:
    correlation = table.iloc[0]
    eigenvalue = table.iloc[1]
    value = number(correlation["value"], 3)
    expected = number(correlation["expected"], 3)
    p = p_text(correlation["p_value"])
    first = (
        f"Residuals correlate by {value} on average in absolute value, "
        f"where {expected} is what independent ones would show (p {p})."
    )
    answer = "no omitted factor was found; that is no proof of absence"
    if eigenvalue["p_value"] < level:
        answer = "assets share something that the factors leave out"
    value = number(eigenvalue["value"], 3)
    expected = number(eigenvalue["expected"], 3)
    p = p_text(eigenvalue["p_value"])
    second = (
        f"The largest eigenvalue of their correlations is {value} beside {expected} (p {p}): "
        f"{answer}."
    )
    return [first, second]


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
    use = factors.panel.valid.any(axis=1)
    F = shared_factors(factors.panel, names)[use]
    X = np.column_stack([np.ones(len(F)), F])
    scaled = X / np.linalg.norm(X, axis=0)
    condition = condition_number(scaled).statistic
    vif = np.array([test.statistic for test in variance_inflation(X, factors.terms)])
    table = pd.DataFrame({"term": names, "vif": vif})
    table["error_widened"] = np.sqrt(vif)
    table["r2_on_others"] = 1.0 - 1.0 / vif
    table["largest_correlation"] = np.nan
    table["with_term"] = ""
    if len(names) > 1:
        R = np.corrcoef(F, rowvar=False) - np.eye(len(names))
        nearest = np.abs(R).argmax(axis=0)
        table["largest_correlation"] = R[nearest, np.arange(len(names))]
        table["with_term"] = [names[j] for j in nearest]
    table["condition_number"] = condition
    table["rows"] = len(F)
    metrics = {"largest_vif": vif.max(), "condition_number": condition}
    return Finding(table, metrics, [_collinear_words(table, condition)])


def _collinear_words(table: pd.DataFrame, condition: float) -> str:
    worst = table.loc[table["vif"].idxmax()]
    answer = "below the rules of thumb 10 and 30"
    if worst["vif"] > MOST_VIF or condition > MOST_CONDITION:
        answer = "separate loadings are imprecise"
    vif = number(worst["vif"], 3)
    condition_text = number(condition, 3)
    widened = f"errors {number(worst['error_widened'], 3)} times as wide"
    return (
        f"The largest VIF is {vif} ({worst['term']}: {widened}), "
        f"the condition number of the scaled factors {condition_text}: {answer}."
    )
