"""Does the fuller model explain more than chance? The restricted one beside it, on its rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from runner.analyses.suited import refuse_unknown, refuse_unsuited, slopes_of
from runner.errors import LISTED, DataError, listed
from runner.estimators.few_clusters import (
    doubt_of,
    for_a_verdict,
    without_verdict,
    without_verdict_in,
)
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

JUDGED_BY = ["clusters", "clusters_by", "doubt"]  # columns that say whether there is a verdict
QUALITY = ["r2", "r2_adj", "aic", "bic"]
CLASSICAL = "F"
NESTED = ["scope", "unit", "tested", "test", "n_obs", "f_stat", "df_num", "df_den", "p_value"]
NESTED += [
    f"{name}_{which}" for name in [*QUALITY, "alpha"] for which in ("restricted", "full")
] + [*JUDGED_BY, "reason"]


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
    model = study.model
    panel = study.panel
    extra = _extra(study, regressors)
    tested = ", ".join(f"{term} = 0" for term in extra)
    restricted = replace(model, regressors=regressors, components=0, hypotheses=[])
    full = replace(model, hypotheses=[tested])
    mistakes = restricted.mistakes(panel.names)
    if mistakes:
        raise DataError(mistakes)
    n_dates = len(panel.dates)
    every_row = np.arange(n_dates)
    restricted_fit = restricted.fit(panel, every_row)
    full_fit = full.fit(panel, every_row)
    table = _beside(restricted_fit, full_fit, tested)
    test = f"{model.cov} Wald"
    if model.cov == "nonrobust":
        test = CLASSICAL
    table.insert(2, "test", test)
    metrics = {}
    for name in ("r2_adj_restricted", "r2_adj_full"):
        values = table[name]
        metrics[name] = float(values.mean())
    rejected = for_a_verdict(table, table) < LEVEL
    metrics["rejected"] = float(rejected.sum())
    words = _words(table, extra)
    return Finding(table[NESTED], metrics, words, "nested")


def _extra(study: Study, regressors: list[str]) -> list[str]:
    """The slopes of the run that the restricted model has not.

    Raises:
        DataError: names that are not among the slopes, or all of them.
    """
    slopes = slopes_of(study)
    for name in regressors:
        refuse_unknown({"regressors": name}, slopes)
    extra = [term for term in slopes if term not in regressors]
    if not extra:
        raise DataError(
            f"regressors: given {listed(regressors)}, all of the run; "
            f"allowed: fewer than {listed(slopes)}"
        )
    return extra


def _beside(restricted: Fit, full: Fit, tested: str) -> pd.DataFrame:
    """Both models of each unit in one row, with the test of the hypothesis.

    A unit without has the first reason that there is.
    """
    of_full = _of_unit(full)
    quality_full = of_full.add_suffix("_full")
    of_restricted = _of_unit(restricted)
    quality_restricted = of_restricted.add_suffix("_restricted")
    quality = quality_full.join(quality_restricted)
    same_in_both = ["n_obs", *JUDGED_BY]
    quality = quality.rename(columns={f"{name}_full": name for name in same_in_both})
    is_tested = full.hypotheses["hypothesis"] == tested
    test = full.hypotheses[is_tested].set_index(["scope", "unit"])
    table = quality.join(test)
    table["tested"] = tested
    reasons = table[["reason_full", "reason_restricted", "reason"]].fillna("")
    table["reason"] = [_first(row) for row in reasons.itertuples(index=False)]
    return table.reset_index()


def _first(reasons: Iterable[str]) -> str:
    """The first reason that is not empty, or nothing."""
    for reason in reasons:
        if reason:
            return reason
    return ""


def _of_unit(fit: Fit) -> pd.DataFrame:
    """Quality of each unit and its alpha, by scope and unit."""
    key = ["scope", "unit"]
    coefficients = per_unit(fit.coefficients)
    is_constant = coefficients["term"] == "const"
    constants = coefficients[is_constant].set_index(key)
    alpha = constants["estimate"].rename("alpha")
    quality = fit.quality.set_index(key)
    columns = ["n_obs", *QUALITY, *JUDGED_BY, "reason"]
    of_unit = quality[columns]
    return of_unit.join(alpha)


def _words(table: pd.DataFrame, extra: list[str]) -> list[str]:
    """Whether the further regressors add anything, and how much of the variance."""
    rows = table.dropna(subset="p_value")
    *others, last = extra
    names = listed(extra)
    if others and len(extra) <= LISTED:
        all_but_last = listed(others)
        names = f"{all_but_last} and {last}"
    if rows.empty:
        reasons = table["reason"].unique()
        return [f"{names} could not be tested: {listed(reasons)}."]
    subject = names
    if others:
        subject = f"{names} together"
    test = rows["test"].iloc[0]
    test = "classical F test" if test == CLASSICAL else f"{test} test"
    units = len(table)
    if units == 1:
        answer = _answer_of_one(rows.iloc[0], test)
    else:
        answer = _answer_of_several(rows, units, test)
    added = len(extra)
    quality = _quality_sentence(rows, added)
    return [f"{subject}: {answer}.", quality]


def _answer_of_one(row: pd.Series, test: str) -> str:
    df = f"{row['df_num']:.0f}, {row['df_den']:.0f}"
    f_stat = t_text(row["f_stat"])
    answer = without_verdict(row.to_frame().T) or verdict(row["p_value"])
    return f"{answer} (F({df}) = {f_stat}, {test})"


def _answer_of_several(rows: pd.DataFrame, units: int, test: str) -> str:
    """In how many of the units tested the regressors are significant."""
    noun = plural(unit_noun(rows))
    judged = for_a_verdict(rows, rows).dropna()
    answer = f"without a verdict, on too few clusters in each {unit_noun(rows)}"
    if doubt_of(rows):
        answer = without_verdict(rows)
    if len(judged):
        hits = int((judged < LEVEL).sum())
        chance = by_chance(hits, len(judged)) if hits else ""
        where = f"{hits:,} of {len(judged):,} {noun}{chance}"
        answer = f"significantly different from zero at 5 % in {where} ({test})"
        answer += without_verdict_in(len(rows) - len(judged))
    untested = units - len(rows)
    if untested > 0:
        answer += f"; not testable in {untested:,}"
    return answer


def _quality_sentence(rows: pd.DataFrame, extra: int) -> str:
    """Adjusted R2 without and with the further regressors."""
    mean_before = rows["r2_adj_restricted"].mean()
    mean_after = rows["r2_adj_full"].mean()
    before = number(mean_before)
    after = number(mean_after)
    them = "them" if extra > 1 else "it"
    mean = ""
    if len(rows) > 1:
        noun = unit_noun(rows)
        units = count(len(rows), noun)
        mean = f", on average over {units}"
    n = rows["n_obs"].sum()
    shared = count(int(n), "row")
    return (
        f"Adjusted R2 is {before} without and {after} with {them}{mean}, both on the same {shared}."
    )
