"""The risks of a factor model itself: a form that is not a line, an omitted factor, collinear
factors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from runner.analyses.estimates.by_asset import (
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
MOST_VIF, MOST_CONDITION = (
    10.0,
    30.0,
)  # rules of thumb; the second by Belsley, Kuh and Welsch (1980)


def linearity(study: Study, *, cov: OwnCovariance = "HC3", level: Share = 0.05) -> Finding:
    """Whether each asset goes with each factor in a line, not at all, or otherwise (RESET, Ramsey
    1969).

    The test of a factor is of its square and cube beside all factors; the row `all` is that of the
    fitted values. A relation is non-linear where that rejects at `level`, linear where it does not
    and the slope is not zero at `level`, and none where neither was found, which is no proof that
    there is none.

    Args:
        cov: errors of both tests; HAC takes the lags of the model's own rule.

    Raises:
        DataError: the model is not least squares by asset with a constant.
    """
    import pandas as pd

    found = factors_of(study)
    rows = [row for asset in found.assets() for row in _lines(asset, found, cov, level)]
    table = pd.DataFrame(rows, columns=LINEARITY)
    tested = table[table["reset_p"].notna()]
    each, joint = tested[tested["term"] != ALL], tested[tested["term"] == ALL]
    shares = {
        f"{name}_share": (each["relation"] == name).mean()
        for name in ("linear", "non-linear", "none")
    }
    metrics = {name.replace("-", "_"): value for name, value in shares.items()}
    metrics |= {"reset_rejected_share": (joint["reset_p"] < level).mean()}
    words = [_relations(str(term), part, level) for term, part in each.groupby("term", sort=False)]
    words.append(
        f"RESET of all factors together {rejections(joint['reset_p'], level)} ({cov} errors)."
    )
    return Finding(table, metrics, words, "linearity")


def _lines(
    asset: Asset | str, found: Factors, cov: OwnCovariance, level: float
) -> Iterator[dict[str, object]]:
    from runner.analyses.estimates.specification import added, relation, reset

    if isinstance(asset, str):
        yield {
            "scope": "asset",
            "unit": asset,
            "term": ALL,
            "reason": "no estimates: see quality.csv",
        }
        return
    key = {"scope": "asset", "unit": asset.name}
    for j, term in enumerate(found.terms[1:], start=1):
        column = asset.X[:, j]
        slope, why = tested(
            added,
            np.delete(asset.X, j, axis=1),
            column[:, None],
            [term],
            asset.y,
            cov,
            lags_of(asset, cov),
        )
        shape, reason = tested(reset, asset.X, asset.y, column, cov, lags_of(asset, cov))
        p = slope.p_value if slope else float("nan"), shape.p_value if shape else float("nan")
        b = np.linalg.lstsq(asset.X, asset.y, rcond=None)[0][j]
        row = {
            "term": term,
            "relation": relation(*p, level),
            "slope": b,
            "slope_p": p[0],
            "reason": why or reason,
        }
        yield key | row | _shape(shape)
    shape, reason = tested(reset, asset.X, asset.y, asset.y - asset.u, cov, lags_of(asset, cov))
    yield key | {"term": ALL, "relation": "", "reason": reason} | _shape(shape)


def _shape(shape: Wald | None) -> dict[str, object]:
    if shape is None:
        return {}
    return {
        "reset_f": shape.f_stat,
        "df_num": shape.df_num,
        "df_den": shape.df_den,
        "reset_p": shape.p_value,
    }


def _relations(term: str, part: pd.DataFrame, level: float) -> str:
    times = part["relation"].value_counts()
    counts = ", ".join(
        f"{name} in {times.get(name, 0):,}" for name in ("linear", "non-linear", "none")
    )
    chance = (
        f"; chance alone would make about {level * len(part):,.0f} non-linear"
        if len(part) >= 20
        else ""
    )
    return f"{term} and returns: {counts} of {count(len(part), 'asset')} at {level:.0%}{chance}.".replace(
        "%", " %"
    )


def factor_shape(study: Study, *, groups: Window = 10) -> Finding:
    """Returns along each factor, for the eye: means in groups of rows sorted by the factor, beside
    the line.

    Partial returns b f + u, with the fitted b and residuals u, averaged over the assets of a row:
    what the other factors and the constants do not explain. Bends of opposite sign in different
    assets cancel; `linearity` tests each asset. The error of a group takes its rows as independent.

    Raises:
        DataError: the model is not least squares by asset, factors differ between assets, or too
            few rows.
    """
    import pandas as pd

    from runner.models.factor_model import shared_factors

    found = factors_of(study)
    use = np.where(np.isfinite(found.params).all(axis=1), found.panel.valid, False)
    rows = use.any(axis=1)
    if rows.sum() < 2 * groups:
        raise DataError(
            f"groups: given {groups}; allowed: at most half of the {count(int(rows.sum()), 'row')}"
        )
    F = shared_factors(found.panel, found.terms[1:])
    u = found.panel.y - found.params[:, 0] - F @ found.params[:, 1:].T
    table = []
    for j, term in enumerate(found.terms[1:]):
        slope = np.nanmean(np.where(use[rows], found.params[:, j + 1], np.nan), axis=1)
        line = slope * F[rows, j]
        partial = np.nanmean(np.where(use[rows], u[rows], np.nan), axis=1) + line
        for group, at in enumerate(
            np.array_split(np.argsort(F[rows, j], kind="stable"), groups), start=1
        ):
            row = {"term": term, "group": group, "rows": len(at), "factor": F[rows, j][at].mean()}
            row |= {
                "partial": partial[at].mean(),
                "std_error": partial[at].std(ddof=1) / np.sqrt(len(at)),
            }
            table.append(row | {"line": line[at].mean()})
    return Finding(pd.DataFrame(table), picture="factor_shape")


def omitted_factor(
    study: Study,
    *,
    permutations: Rows = 199,
    seed: Count = 0,
    coverage: UpToOne = 0.95,
    level: Share = 0.05,
) -> Finding:
    """What the residuals of different assets still share: their correlations, against those of
    permuted rows.

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
    from runner.numerics.variation import EXACT_FIT

    panel = study.panel
    u, every = np.where(panel.valid, panel.y - study.fitted, np.nan), np.arange(len(panel.dates))
    size, left = (
        np.nansum(u**2, axis=0),
        EXACT_FIT * np.nansum(np.where(panel.valid, panel.y, 0.0) ** 2, axis=0),
    )
    known = np.isfinite(u)
    assets, (rows,) = common(
        known, [every], np.flatnonzero(known.any(axis=0) & (size > left)), coverage
    )
    refuse_few(len(assets), len(rows), coverage)
    found, edge = (
        shared(u[np.ix_(rows, assets)], permutations, seed),
        marchenko_pastur_edge(len(rows), len(assets)),
    )
    table = pd.DataFrame(
        {
            "measure": ["mean_abs_correlation", "largest_eigenvalue"],
            "value": [found.mean_correlation, found.largest],
            "expected": [found.expected_correlation, found.expected_largest],
            "edge": [np.nan, edge],
            "p_value": [found.p_correlation, found.p_largest],
            "permutations": permutations,
            "rows": len(rows),
            "assets": len(assets),
            "assets_left_out": len(panel.assets) - len(assets),
        }
    )
    metrics = {"mean_abs_correlation": found.mean_correlation, "largest_eigenvalue": found.largest}
    return Finding(table, metrics | {"p_value": found.p_largest}, _omitted_words(table, level))


def _omitted_words(table: pd.DataFrame, level: float) -> list[str]:
    pair, eigen = table.iloc[0], table.iloc[1]
    first = (
        f"Residuals correlate by {number(pair['value'], 3)} on average in absolute value, where "
        f"{number(pair['expected'], 3)} is what independent ones would show (p {p_text(pair['p_value'])})."
    )
    second = f"The largest eigenvalue of their correlations is {number(eigen['value'], 3)}"
    verdict = (
        "assets share something that the factors leave out"
        if eigen["p_value"] < level
        else "no omitted factor was found"
    )
    proof = "" if eigen["p_value"] < level else "; that is no proof of absence"
    second += f" beside {number(eigen['expected'], 3)}"
    return [first, f"{second} (p {p_text(eigen['p_value'])}): {verdict}{proof}."]


def multicollinearity(study: Study) -> Finding:
    """How far each factor is a combination of the others: VIF, its largest correlation, and the
    condition number.

    The condition number is of the columns, the constant among them, each of length one (Belsley,
    Kuh, Welsch 1980).

    Raises:
        DataError: the model is not least squares by asset, or the factors differ between assets.
    """
    import pandas as pd

    from runner.models.factor_model import shared_factors
    from runner.numerics.diagnostics import condition_number, variance_inflation

    found = factors_of(study)
    names, use = found.terms[1:], found.panel.valid.any(axis=1)
    F = shared_factors(found.panel, names)[use]
    X = np.column_stack([np.ones(len(F)), F])
    vif = np.array([one.statistic for one in variance_inflation(X, found.terms)])
    number_of = condition_number(X / np.linalg.norm(X, axis=0)).statistic
    R = np.atleast_2d(np.corrcoef(F, rowvar=False)) - np.eye(len(names))
    nearest = np.abs(R).argmax(axis=0)
    several = len(names) > 1
    table = pd.DataFrame(
        {"term": names, "vif": vif, "error_widened": np.sqrt(vif), "r2_on_others": 1.0 - 1.0 / vif}
    )
    table["largest_correlation"] = R[nearest, np.arange(len(names))] if several else np.nan
    table["with_term"] = [names[j] for j in nearest] if several else ""
    table["condition_number"], table["rows"] = number_of, len(F)
    words = [_collinear_words(table, number_of)]
    return Finding(table, {"largest_vif": vif.max(), "condition_number": number_of}, words)


def _collinear_words(table: pd.DataFrame, number_of: float) -> str:
    worst = table.loc[table["vif"].idxmax()]
    high = worst["vif"] > MOST_VIF or number_of > MOST_CONDITION
    verdict = "separate loadings are imprecise" if high else "below the rules of thumb 10 and 30"
    widened = f"errors {number(worst['error_widened'], 3)} times as wide"
    about = f"The largest VIF is {number(worst['vif'], 3)} ({worst['term']}: {widened})"
    return f"{about}, the condition number of the scaled factors {number(number_of, 3)}: {verdict}."
