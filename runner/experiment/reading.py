"""The tables of a report as short sentences, never more certain than the test behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import listed
from runner.estimators.few_clusters import (
    doubt_of,
    few_clusters,
    for_a_verdict,
    significance_of,
    without_verdict,
    without_verdict_in,
)
from runner.estimators.settings import RegressionSettings
from runner.experiment import advice
from runner.experiment.cautions import cautions
from runner.experiment.reading_scores import out_of_sample
from runner.experiment.wording import errors_in_force
from runner.text import (
    LEVEL,
    MOST_VIF,
    by_chance,
    count,
    number,
    p_words,
    per_unit,
    plural,
    t_text,
    unit_noun,
    verdict,
)

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report

NEARLY_ALL = 0.995  # share of the variance of a target that is likely its own
MANY_ROWS = 20  # degrees of freedom left, from which on an R2 is no matter of few rows
MOST_TERMS = 20  # terms with a sentence of their own
STATISTICS = ("estimate", "std_error", "t_stat", "p_value")
POOLS = {"regression": "a pooled regression"}  # a regression of all assets and dates
TESTS: dict[str, tuple[str, ...]] = {
    "heteroskedasticity": ("breusch_pagan", "white"),
    "serial correlation": ("breusch_godfrey", "ljung_box"),
    "volatility clustering": ("arch_lm",),
    "non-normal residuals": ("jarque_bera",),
}
TEST_NAMES = {
    "breusch_pagan": "Breusch-Pagan",
    "white": "White",
    "breusch_godfrey": "Breusch-Godfrey",
    "ljung_box": "Ljung-Box",
    "arch_lm": "ARCH-LM",
    "jarque_bera": "Jarque-Bera",
}


def reading(report: Report) -> list[str]:
    """What a careful reader would say about this run, a sentence or two each."""
    sentences = []
    for of_subject in sections(report).values():
        sentences += of_subject
    return sentences


def sections(report: Report) -> dict[str, list[str]]:
    """The sentences of `reading` by subject; subjects with nothing to say are left out."""
    trials = report.trials.words if report.trials else []
    rows = [report.rows.words] if report.rows is not None else []
    before = {
        "Data": [*report.account, *report.panel.notes],
        "Coefficients": _coefficients(report),
        "Standard errors": cautions(report),
        "Fit": _fit(report),
        "Hypotheses": _hypotheses(report),
    }
    after = {
        "Out of sample": out_of_sample(report),
        "Diagnostics": [*_diagnostics(report), *_few_values(report)],
        "Look-ahead audit": _audit(report),
        "Trials": trials,
        "Rows": rows,
        "Left out": _left_out(report),
    }
    findings: dict[str, list[str]] = {}
    for name, finding in report.findings.items():
        subject = name.replace("_", " ").capitalize()
        while subject in {*before, *after, *findings}:
            subject += " (analysis)"  # a name such as `trials` takes no subject of the report
        findings[subject] = list(finding.words)
    parts = before | findings | after
    return {subject: sentences for subject, sentences in parts.items() if sentences}


def _range(table: pd.DataFrame, column: str) -> str:
    """Least and greatest value with the unit of each."""
    at_least = table[column].argmin()
    row_of_least = int(at_least)
    least = table.iloc[row_of_least]
    at_greatest = table[column].argmax()
    row_of_greatest = int(at_greatest)
    greatest = table.iloc[row_of_greatest]
    low = f"{number(least[column])} ({least['unit']})"
    high = f"{number(greatest[column])} ({greatest['unit']})"
    return f"from {low} to {high}"


def _coefficients(report: Report) -> list[str]:
    table = per_unit(report.fit.coefficients)
    has_estimate = table["estimate"].notna()
    table = table[has_estimate]
    place: dict[str, int] = {}
    for term in table["term"].tolist():
        place.setdefault(term, len(place))
    code = np.array([place[term] for term in table["term"].tolist()], dtype=int)
    has_no_test = table["p_value"].isna()
    estimated_zero = table["estimate"] == 0.0
    zero_without_test = estimated_zero & has_no_test
    is_zero = zero_without_test.to_numpy()
    is_kept = np.bincount(code, ~is_zero, len(place)) > 0
    kept = [term for term in place if is_kept[place[term]]]
    zero = [term for term in place if not is_kept[place[term]]]
    shown = kept[:MOST_TERMS]
    if len(place) == len(table):  # one unit: no table of many terms is searched for each of them
        columns = [table[name].tolist() for name in STATISTICS]
        statistics = dict(zip(place, zip(*columns, strict=True), strict=True))
        unjudged = without_verdict(report.fit.quality)
        sentences = [_alone(term, unjudged, *statistics[term]) for term in shown]
    else:
        sentences = [_term(report, term, table[code == place[term]]) for term in shown]
    if len(kept) > MOST_TERMS:
        further = count(len(kept) - MOST_TERMS, "further term")
        sentences.append(f"{further}: see coefficients.csv.")
    if zero:
        of_all = f"{len(zero):,} of {count(len(place), 'term')}"
        sentences.append(f"Set to zero: {listed(zero)} ({of_all}).")
    return sentences


def _alone(
    term: str, unjudged: str, estimate: float, std_error: float, t_stat: float, p_value: float
) -> str:
    """One term of one unit.

    Args:
        unjudged: what is said instead of how significant it is; empty where that is said.
    """
    if math.isnan(p_value):
        return f"{term}: {number(estimate)}, without a test."
    errors = f"s.e. {number(std_error)}, t {t_text(t_stat)}"
    size = number(estimate)
    answer = unjudged or verdict(p_value)
    return f"{term}: {size} ({errors}), {answer}."


def _term(report: Report, term: str, rows: pd.DataFrame) -> str:
    """One term, over however many units there are."""
    if len(rows) == 1:
        statistics = [rows[name].iloc[0] for name in STATISTICS]
        of_unit = report.fit.quality["unit"] == rows["unit"].iloc[0]
        return _alone(term, without_verdict(report.fit.quality[of_unit]), *statistics)
    mean = _mean(report, term)
    noun = plural(unit_noun(rows))
    spread = _range(rows, "estimate")
    estimates = f"estimates {spread}"
    if noun == "dates" and mean is not None:  # the mean is what was asked for
        std_error = number(mean["std_error"])
        t = t_text(mean["t_stat"])
        errors = f"s.e. {std_error}, t {t}"
        of_mean = f"mean {number(mean['estimate'])} ({errors})"
        result = without_verdict(report.fit.quality) or verdict(mean["p_value"])
        return f"{term}: {of_mean} over {len(rows):,} dates, {result}; {estimates}."
    result = significance_of(rows, report.fit.quality, noun)
    if mean is None:
        return f"{term} {result}; {estimates}."
    of_mean = f"mean {number(mean['estimate'])}"
    if rows["p_value"].notna().any():  # biased estimates have no test
        of_mean += f" (t {t_text(mean['t_stat'])})"
    return f"{term} {result}; {estimates}, {of_mean}."


def _mean(report: Report, term: str) -> pd.Series | None:
    """The row of the mean of a term over units, None where there is none."""
    table = report.fit.coefficients
    is_mean = table["scope"] == "mean"
    of_term = table["term"] == term
    rows = table[is_mean & of_term]
    return rows.iloc[0] if len(rows) else None


def _fit(report: Report) -> list[str]:
    quality = report.fit.quality[report.fit.quality["r2"].notna()]
    if quality.empty or not report.panel.names:
        return []
    without_constant = _without_constant(quality)
    if len(quality) > 1:
        units = f"{count(len(quality), unit_noun(quality))}{without_constant}"
        mean = number(quality["r2"].mean())
        adjusted = quality["r2_adj"].mean()
        if np.isfinite(adjusted):
            mean += f" (adjusted {number(adjusted)})"
        average = f"R2 in sample is {mean} on average over {units}, {_range(quality, 'r2')}."
        return [*_nearly_the_target(report), average]
    row = quality.iloc[0]
    rows = count(int(row["n_obs"]), "row")
    text = f"R2 is {number(row['r2'])} in sample ({rows}{without_constant})"
    if row["f_p_value"] >= 0.0 and not without_verdict(quality):
        text += f"; the slopes together are {verdict(row['f_p_value'])}"
    return [*_nearly_the_target(report), f"{text}."]


def _nearly_the_target(report: Report) -> list[str]:
    """That the regressors leave next to nothing of the target, of regressions over many rows."""
    quality = report.fit.quality
    noun = unit_noun(quality)
    if noun == "date" or not isinstance(report.study.model, RegressionSettings):
        return []
    has_rows = quality["df_resid"] >= MANY_ROWS
    leaves_nothing = has_rows & (quality["r2"] > NEARLY_ALL)
    n = int(leaves_nothing.sum())
    if not n:
        return []
    place = f" in {n:,} of {count(len(quality), noun)}" if len(quality) > 1 else ""
    return [
        f"R2 is above {NEARLY_ALL:g}{place}: a regressor may be the target itself or a part of it."
    ]


def _without_constant(quality: pd.DataFrame) -> str:
    """Without a constant, which R2 is reported and the other one; nothing with a constant."""
    uncentred = quality["r2_uncentred"].dropna()
    if uncentred.empty:
        return ""
    return (
        ", without a constant; R2 is about the mean of the target, "
        f"uncentred R2 is {number(uncentred.mean())}"
    )


def _hypotheses(report: Report) -> list[str]:
    tests = report.fit.hypotheses.groupby("hypothesis", sort=False)
    return [_hypothesis(str(text), rows, report.fit.quality) for text, rows in tests]


def _hypothesis(text: str, rows: pd.DataFrame, quality: pd.DataFrame) -> str:
    has_test = rows["p_value"].notna()
    tested = rows[has_test]
    if tested.empty:
        return f"{text} could not be tested: {listed(rows['reason'].unique())}."
    judged = tested[for_a_verdict(tested, quality).notna()]
    if doubt_of(quality):
        return f"{text} is {without_verdict(quality)}."
    if judged.empty:
        few = few_clusters(quality)
        clusters = f" ({few.words})" if few else ""
        return f"{text} has no verdict, on too few clusters{clusters}."
    is_rejected = judged["p_value"] < LEVEL
    rejected = int(is_rejected.sum())
    if len(rows) == 1:
        row = judged.iloc[0]
        degrees = f"{row['df_num']:.0f}, {row['df_den']:.0f}"
        test = f"F({degrees}) = {t_text(row['f_stat'])}, {p_words(row['p_value'])}"
        if rejected:
            return f"{text} is rejected at 5 % ({test})."
        return f"{text} is not rejected at 5 % ({test}), which does not prove it."
    chance = by_chance(rejected, len(judged)) if rejected else ""
    untested = len(rows) - len(tested)
    not_testable = f"; not testable in {untested:,}" if untested else ""
    unjudged = without_verdict_in(len(tested) - len(judged))
    units_noun = plural(unit_noun(rows))
    units = f"{rejected:,} of {len(judged):,} {units_noun}"
    return f"{text} is rejected at 5 % in {units}{chance}{unjudged}{not_testable}."


def _diagnostics(report: Report) -> list[str]:
    table = report.diagnostics
    if table.empty:
        return _untested(report)
    sentences = []
    clean = []
    for problem, names in TESTS.items():
        p_values = _smallest(table, names)
        if (p_values < LEVEL).any():
            sentences.append(_problem(report, problem, p_values))
        elif len(p_values):
            clean.append(problem)
    if clean:
        absent = ", ".join(clean)
        sentences.append(f"Not found at 5 %: {absent}; which does not prove their absence.")
    return [*sentences, *_collinear(table), *_not_computed(table)]


def _few_values(report: Report) -> list[str]:
    """Assets whose target takes so few values that they may be the rounding of prices."""
    panel = report.panel
    few = panel.cells.few_values
    if not few:
        return []
    rows = panel.cells.usable_by_asset()
    counts = []
    for i, distinct in few.items():
        asset = panel.assets[i]
        counts.append(f"{asset} {distinct} in {rows[i]:,} rows")
    first = panel.assets[next(iter(few))]
    whose = first if len(few) == 1 else count(len(few), "asset")
    return [
        f"The target of {whose} has fewer than ten distinct values ({listed(counts)}): "
        "are its prices rounded coarsely?"
    ]


def _untested(report: Report) -> list[str]:
    """What the standard errors allow for, where residuals are no single series and not tested."""
    noun = unit_noun(report.fit.quality)
    if noun == "asset":
        return []
    errors = errors_in_force(report)
    allowed = advice.allowed(errors)
    if not allowed:
        return []
    regressions = POOLS.get(noun, f"regressions by {noun}")
    return [f"Residuals of {regressions} are not tested here; {allowed}."]


def _advice(report: Report, problem: str) -> str:
    """What a problem of the residuals means for the errors in force, and what to do."""
    if problem != "non-normal residuals":
        return advice.advice(problem, errors_in_force(report))
    quality = report.fit.quality
    has_fit = quality["r2"].notna()
    rows = quality.loc[has_fit, "n_obs"]
    fewest = count(int(rows.min()), "row")
    if len(rows) > 1:
        fewest += " or more"
    return f"t- and F-tests then hold in large samples only (here {fewest})"


def _smallest(table: pd.DataFrame, names: tuple[str, ...]) -> pd.Series:
    """Smallest p-value of each unit over these tests, absent ones left out."""
    is_named = table["diagnostic"].isin(names)
    has_test = table["p_value"].notna()
    rows = table[is_named & has_test]
    by_unit = rows.groupby("unit", sort=False)
    return by_unit["p_value"].min()


def _problem(report: Report, problem: str, p_values: pd.Series) -> str:
    """The sentence on a problem of the residuals, given the smallest p-value of each unit."""
    names = TESTS[problem]
    units = len(p_values)
    is_rejected = p_values < LEVEL
    rejected = int(is_rejected.sum())
    where = ""
    if units > 1:
        unit = unit_noun(report.diagnostics)
        noun = plural(unit)
        chance = by_chance(rejected, units, len(names))
        where = f" in {rejected:,} of {units:,} {noun}{chance}"
    initial = problem[0].upper()
    subject = initial + problem[1:]
    tests = " or ".join(TEST_NAMES[name] for name in names)
    return f"{subject} at 5 %{where} ({tests}): {_advice(report, problem)}."


def _collinear(table: pd.DataFrame) -> list[str]:
    of_vif = table["diagnostic"] == "vif"
    is_high = table["statistic"] > MOST_VIF
    high = table[of_vif & is_high]
    if high.empty:
        return []
    by_term = high.groupby("term", sort=False)
    worst = by_term["statistic"].max()
    terms = [f"{term} (VIF up to {number(value, 3)})" for term, value in worst.items()]
    return [
        f"Collinear: {listed(terms)}; "
        "their separate estimates are imprecise, drop or combine columns."
    ]


def _not_computed(table: pd.DataFrame) -> list[str]:
    absent = table[table["reason"].fillna("") != ""]
    sentences = []
    for name, rows in absent.groupby("diagnostic", sort=False):
        units = count(len(rows), unit_noun(rows))
        unlike_reasons = rows["reason"].unique()
        reasons = listed(unlike_reasons)
        sentences.append(f"{name} was not computed in {units}: {reasons}.")
    return sentences


def _audit(report: Report) -> list[str]:
    audit = report.audit
    if audit is None:
        return ["Switched off (audit=off): nothing was tested for look-ahead."]
    sentences = [f"LEAKING: {leak}." for leak in report.leaks]
    sentences += audit.words
    if report.panel.horizon > 0 and audit.looks_ahead is False:
        sentences.append(
            "The target's horizon is above zero, but no later row changes it: "
            "this explains, it does not forecast."
        )
    return sentences


def _left_out(report: Report) -> list[str]:
    sentences = []
    for dropped in report.dropped:
        rows = count(dropped.rows, dropped.what)
        fate = _fate(dropped.what)
        sentences.append(f"{rows}{fate}: {dropped.reason}.")
    quality = report.fit.quality
    troubled = quality[quality["reason"].fillna("") != ""]
    if troubled.empty:
        return sentences
    of_all = count(len(quality), unit_noun(quality))
    by_reason = troubled.groupby(["reason", troubled["r2"].isna()], sort=False)
    for (reason, is_missing), rows in by_reason:
        state = "not estimated" if is_missing else "estimated without errors"
        lost = len(rows)
        names = listed(rows["unit"])
        units = f"{lost:,} of {of_all} ({names})"
        sentences.append(f"{units}: {state}, {reason}.")
    return sentences


def _fate(what: str) -> str:
    """What became of a line of the account.

    Changed values are still there, missing ones never were; all others were dropped.
    """
    return "" if what.startswith(("changed", "missing")) else " dropped"
