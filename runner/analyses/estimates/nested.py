"""Does the fuller model explain more than chance? The restricted one beside it, on the same
rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runner.analyses.suited import refuse_unknown, refuse_unsuited
from runner.errors import LISTED, DataError, listed
from runner.panels.finding import Finding
from runner.text import (
    LEVEL,
    by_chance,
    count,
    number,
    per_unit,
    plural,
    t_text,
    unit_noun,
    verdict,
)

if TYPE_CHECKING:
    import pandas as pd

    from runner.models.fit import Fit
    from runner.models.study import Study

QUALITY = ["r2", "r2_adj", "aic", "bic"]
CLASSICAL = "F"
NESTED = ["scope", "unit", "tested", "test", "n_obs", "f_stat", "df_num", "df_den", "p_value"]
NESTED += [
    f"{name}_{which}" for name in [*QUALITY, "alpha"] for which in ("restricted", "full")
] + ["reason"]


def nested(study: Study, *, regressors: list[str]) -> Finding:
    """The model with fewer regressors against that of the run, on the same rows, per unit.

    The test is that every other slope is zero, under the covariance of the run: with nonrobust
    errors that is the classical F of the two sums of squares, else a Wald test; `test` says which.
    Both models are fitted on the rows of the run, in which every regressor of the fuller one is
    known (with model.rows=common every feature of the spec), so that the restricted one may have
    fewer rows than by itself. AIC and BIC as in quality.csv; lower is better.

    Args:
        regressors: of the restricted model, fewer than those of the run, such as [MktRF] for the
            CAPM; they replace its principal components too.

    Raises:
        DataError: a regression by date or penalised; names that are not among its regressors, all
            of them, or none without a constant.
    """
    import numpy as np

    refuse_unsuited(study)
    extra, panel = _extra(study, regressors), study.panel
    tested = ", ".join(f"{term} = 0" for term in extra)
    models = {
        "restricted": replace(study.model, regressors=regressors, components=0, hypotheses=[]),
        "full": replace(study.model, hypotheses=[tested]),
    }
    mistakes = models["restricted"].mistakes(panel.names)
    if mistakes:
        raise DataError(mistakes)
    fits = {which: model.fit(panel, np.arange(len(panel.dates))) for which, model in models.items()}
    table = _beside(fits, tested)
    robust = study.model.cov != "nonrobust"
    table.insert(2, "test", f"{study.model.cov} Wald" if robust else CLASSICAL)
    metrics = {name: float(table[name].mean()) for name in ("r2_adj_restricted", "r2_adj_full")}
    metrics["rejected"] = float((table["p_value"] < LEVEL).sum())
    return Finding(table[NESTED], metrics, _words(table, extra), "nested")


def _extra(study: Study, regressors: list[str]) -> list[str]:
    """The slopes of the run that the restricted model has not."""
    slopes = [term for term in study.model.terms(study.panel.names) if term != "const"]
    for name in regressors:
        refuse_unknown({"regressors": name}, slopes)
    extra = [term for term in slopes if term not in regressors]
    if not extra:
        raise DataError(
            f"regressors: given {listed(regressors)}, all of the run; allowed: fewer than {listed(slopes)}"
        )
    return extra


def _beside(fits: dict[str, Fit], tested: str) -> pd.DataFrame:
    """Both models of each unit in one row, with the test; a unit without has the first reason that
    there is.
    """
    quality = {which: _of_unit(fit).add_suffix(f"_{which}") for which, fit in fits.items()}
    table = quality["full"].join(quality["restricted"])
    test = fits["full"].hypotheses
    test = test[test["hypothesis"] == tested].set_index(["scope", "unit"])
    table = table.rename(columns={"n_obs_full": "n_obs"}).join(test)
    table["tested"] = tested
    whys = zip(
        *(table[name].fillna("") for name in ("reason_full", "reason_restricted", "reason")),
        strict=True,
    )
    table["reason"] = [next(filter(None, three), "") for three in whys]
    return table.reset_index()


def _of_unit(fit: Fit) -> pd.DataFrame:
    """Quality of each unit and its alpha, by scope and unit."""
    coefficients, at = per_unit(fit.coefficients), ["scope", "unit"]
    alpha = coefficients[coefficients["term"] == "const"].set_index(at)["estimate"].rename("alpha")
    return fit.quality.set_index(at)[["n_obs", *QUALITY, "reason"]].join(alpha)


def _words(table: pd.DataFrame, extra: list[str]) -> list[str]:
    """Whether the further regressors add anything, and how much of the variance."""
    rows, names = table[table["p_value"].notna()], listed(extra)
    if 1 < len(extra) <= LISTED:
        names = f"{listed(extra[:-1])} and {extra[-1]}"
    if rows.empty:
        return [f"{names} could not be tested: {listed(table['reason'].unique())}."]
    test = (
        "classical F test" if rows["test"].iloc[0] == CLASSICAL else f"{rows['test'].iloc[0]} test"
    )
    together = " together" if extra[1:] else ""
    if len(table) == 1:
        row = rows.iloc[0]
        f = f"F({row['df_num']:.0f}, {row['df_den']:.0f}) {t_text(row['f_stat'])}"
        said = f"{names}{together}: {verdict(row['p_value'])} ({f}, {test})"
    else:
        hits, noun = int((rows["p_value"] < LEVEL).sum()), plural(unit_noun(rows))
        chance = by_chance(hits, len(rows)) if hits else ""
        said = f"{names}{together}: distinguishable from zero at 5 % in {hits:,} of {len(rows):,} {noun}{chance}"
        untested = f"; not testable in {len(table) - len(rows):,}" if len(rows) < len(table) else ""
        said += f" ({test}){untested}"
    mean = f", on average over {count(len(rows), unit_noun(rows))}" if len(rows) > 1 else ""
    them = "them" if extra[1:] else "it"
    before, after = (number(rows[f"r2_adj_{which}"].mean()) for which in ("restricted", "full"))
    shared = count(int(rows["n_obs"].sum()), "row")
    return [
        f"{said}.",
        f"Adjusted R2 is {before} without and {after} with {them}{mean}, both on the same {shared}.",
    ]
