"""The tables of a report as short sentences, never more certain than the test behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from runner.errors import listed
from runner.experiment import advice
from runner.experiment.cautions import cautions
from runner.experiment.wording import errors_in_force
from runner.numerics.variation import few_values
from runner.text import (
    LEVEL,
    MOST_VIF,
    by_chance,
    count,
    number,
    p_text,
    per_unit,
    percent,
    plural,
    significance,
    t_text,
    unit_noun,
    verdict,
)

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report

SAME = 1e-9  # out-of-sample R2 below which forecasts are the benchmark but for rounding
MOST_TERMS = 20  # terms with a sentence of their own
TOLD = ("estimate", "std_error", "t_stat", "p_value")
KINDS = {
    "explanatory": "It explains the target of a row with regressors of the same row; it is not a forecast.",
    "predictive": "Regressors are known before the target: a forecast, good or bad.",
}
TESTS: dict[str, tuple[str, ...]] = {
    "unequal variances": ("breusch_pagan", "white"),
    "serial correlation": ("breusch_godfrey", "ljung_box"),
    "clusters of volatility": ("arch_lm",),
    "non-normal residuals": ("jarque_bera",),
}


def reading(report: Report) -> list[str]:
    """What a careful reader would say about this run, a sentence or two each."""
    return [sentence for part in sections(report).values() for sentence in part]


def sections(report: Report) -> dict[str, list[str]]:
    """The sentences of `reading` by subject; subjects with nothing to say are left out."""
    parts = {
        "Data": list(report.panel.notes),
        "Coefficients": _coefficients(report),
        "Standard errors": cautions(report),
        "Fit": _fit(report),
        "Hypotheses": _hypotheses(report),
        **{
            name.replace("_", " ").capitalize(): list(one.words)
            for name, one in report.findings.items()
        },
        "Out of sample": _out_of_sample(report),
        "Residuals and columns": [*_diagnostics(report), *_few_values(report)],
        "Leak audit": _audit(report),
        "Trials": report.trials.words if report.trials else [],
        "Rows": [] if report.rows is None else [report.rows.words],
        "Left out": _left_out(report),
    }
    return {subject: sentences for subject, sentences in parts.items() if sentences}


def _range(table: pd.DataFrame, column: str) -> str:
    """Least and greatest value with the unit of each."""
    low, high = (table.iloc[int(at)] for at in (table[column].argmin(), table[column].argmax()))
    return f"from {number(low[column])} ({low['unit']}) to {number(high[column])} ({high['unit']})"


def _coefficients(report: Report) -> list[str]:
    table = per_unit(report.fit.coefficients)
    table = table[table["estimate"].notna()]
    place: dict[str, int] = {}
    code = np.array(
        [place.setdefault(term, len(place)) for term in table["term"].tolist()], dtype=int
    )
    zero = ((table["estimate"] == 0.0) & table["p_value"].isna()).to_numpy()
    kept = np.bincount(code, ~zero, len(place)) > 0
    none, terms = (
        [term for term in place if kept[place[term]] == other] for other in (False, True)
    )
    if len(place) == len(table):
        cells = dict(
            zip(place, zip(*(table[name].tolist() for name in TOLD), strict=True), strict=True)
        )
        found = [_alone(term, *cells[term]) for term in terms[:MOST_TERMS]]
    else:
        found = [_term(report, term, table[code == place[term]]) for term in terms[:MOST_TERMS]]
    if len(terms) > MOST_TERMS:
        found.append(f"{count(len(terms) - MOST_TERMS, 'further term')}: see coefficients.csv.")
    if none:
        found.append(f"Set to zero: {listed(none)} ({len(none):,} of {count(len(place), 'term')}).")
    return found


def _alone(term: str, estimate: float, std_error: float, t_stat: float, p_value: float) -> str:
    """One term of one unit."""
    errors = f" (s.e. {number(std_error)}, t {t_text(t_stat)}), {verdict(p_value)}"
    return f"{term}: {number(estimate)}{', without a test' if math.isnan(p_value) else errors}."


def _term(report: Report, term: str, rows: pd.DataFrame) -> str:
    """One term, over however many units there are."""
    if len(rows) == 1:
        return _alone(term, *(rows[name].iloc[0] for name in TOLD))
    tested = rows[rows["p_value"].notna()]
    noun = plural(unit_noun(rows))
    if (
        noun == "dates" and (mean := _mean(report, term)) is not None
    ):  # the mean is what was asked for
        told = f"mean {number(mean['estimate'])} (s.e. {number(mean['std_error'])}, t {t_text(mean['t_stat'])})"
        each = f"over {len(rows):,} dates, {verdict(mean['p_value'])}; estimates {_range(rows, 'estimate')}"
        return f"{term}: {told} {each}."
    found = significance(tested, noun) if len(tested) else "is without tests"
    mean = _mean(report, term)
    t = (
        "" if mean is None or tested.empty else f" (t {t_text(mean['t_stat'])})"
    )  # biased estimates have no test
    told = "" if mean is None else f", mean {number(mean['estimate'])}{t}"
    return f"{term} {found}; estimates {_range(rows, 'estimate')}{told}."


def _mean(report: Report, term: str) -> pd.Series | None:
    """The row of the mean of a term over units, None where there is none."""
    table = report.fit.coefficients
    rows = table[(table["scope"] == "mean") & (table["term"] == term)]
    return rows.iloc[0] if len(rows) else None


def _fit(report: Report) -> list[str]:
    quality = report.fit.quality[report.fit.quality["r2"].notna()]
    if quality.empty or not report.panel.names:
        return []
    if len(quality) == 1:
        row = quality.iloc[0]
        slopes = (
            f"; the slopes together are {verdict(row['f_p_value'])}"
            if row["f_p_value"] >= 0.0
            else ""
        )
        about = f"{count(int(row['n_obs']), 'row')}{_without_constant(quality)}"
        return [f"R2 is {number(row['r2'])} in sample ({about}){slopes}."]
    units = f"{count(len(quality), unit_noun(quality))}{_without_constant(quality)}"
    return [
        f"R2 in sample is {number(quality['r2'].mean())} on average over {units}, {_range(quality, 'r2')}."
    ]


def _without_constant(quality: pd.DataFrame) -> str:
    """That R2 is about the mean of the target all the same, and what it is about zero; nothing
    with a constant.
    """
    uncentred = quality["r2_uncentred"].dropna()
    if uncentred.empty:
        return ""
    return f", without a constant: about the mean of the target; uncentred, about zero, {number(uncentred.mean())}"


def _hypotheses(report: Report) -> list[str]:
    return [
        _hypothesis(str(text), rows)
        for text, rows in report.fit.hypotheses.groupby("hypothesis", sort=False)
    ]


def _hypothesis(text: str, rows: pd.DataFrame) -> str:
    tested = rows[rows["p_value"].notna()]
    if tested.empty:
        return f"{text} could not be tested: {listed(rows['reason'].unique())}."
    untested = f"; not testable in {len(rows) - len(tested):,}" if len(tested) < len(rows) else ""
    rejected = int((tested["p_value"] < LEVEL).sum())
    if len(rows) == 1:
        row = tested.iloc[0]
        test = f"F({row['df_num']:.0f}, {row['df_den']:.0f}) {t_text(row['f_stat'])}, p {p_text(row['p_value'])}"
        end = "." if rejected else "; no proof of it."
        return f"{text} is {'' if rejected else 'not '}rejected at 5 % ({test}){end}"
    chance = by_chance(rejected, len(tested)) if rejected else ""
    noun = plural(unit_noun(rows))
    return f"{text} is rejected at 5 % in {rejected:,} of {len(tested):,} {noun}{chance}{untested}."


def _out_of_sample(report: Report) -> list[str]:
    scores = report.scores[report.scores["scope"] == "pooled"]
    if scores.empty:
        return ["No row was held out: nothing here tells how it does on new rows.", *_kind(report)]
    row, apart = scores.iloc[0], _held_out(report)
    folds = count(report.predictions["fold"].nunique() - len(apart), "fold")
    paths = int((report.scores["scope"] == "path").sum())
    rows = count(int(row["n_obs"]), "row") + f" of {count(paths, 'path')}" * (paths > 1)
    lost = int(report.folds["not_forecast"].sum()) if "not_forecast" in report.folds else 0
    found = [
        f"R2 against the {report.benchmark} is {number(row['r2'])} ({rows}, {folds}): "
        f"{_compared(report, row['r2'])}.",
        f"{_errors_beside(report, row)}; {_by_chance_alone(report, row)}.",
        *_over_paths(report),
        *apart,
        *_kind(report),
        *_not_counted(report),
    ]
    return [*found, f"{count(lost, 'test row')} could not be forecast."] if lost else found


def _not_counted(report: Report) -> list[str]:
    """How many dates the folds do not count; none where they count all."""
    usable = report.panel.usable
    unusable = int((~usable).sum())
    if unusable == 0:
        return []
    are = "is no row" if unusable == 1 else "are no rows"
    dates = f"{unusable:,} of {count(len(usable), 'date')}"
    return [f"{dates} {are} of the folds: no asset has a target and every feature there."]


def _errors_beside(report: Report, row: pd.Series) -> str:
    return f"RMSE is {number(row['rmse'])} beside {number(row['rmse_naive'])} of the {report.benchmark}"


def _by_chance_alone(report: Report, row: pd.Series) -> str:
    """Whether the two tests tell the forecast from its benchmark."""
    if math.isnan(row["dm_p_value"]):
        return "no test was made of whether the difference is more than chance"
    apart, better = "does not tell", ""
    if row["dm_p_value"] < LEVEL:
        apart, better = (
            "tells",
            f", smaller {'of the model' if row['dm_stat'] > 0.0 else 'of the benchmark'}",
        )
    first = (
        f"Diebold-Mariano (t {t_text(row['dm_stat'])}, p {p_text(row['dm_p_value'])}, "
        f"{count(int(row['test_dates']), 'date')}) {apart} their squared errors apart at 5 %{better}"
    )
    if row["cw_reason"]:
        return f"{first} (no Clark-West test of nested models: {row['cw_reason']})"
    found = "finds a" if row["cw_p_value"] < LEVEL else "finds no"
    given = f"t {t_text(row['cw_stat'])}, p {p_text(row['cw_p_value'])}, one-sided"
    return f"{first}, Clark-West ({given}) {found} gain over the {report.benchmark}, which the model contains"


def _over_paths(report: Report) -> list[str]:
    """How the R2 of the paths of a combinatorial cross-validation spread."""
    paths = report.scores[report.scores["scope"] == "path"]
    if paths.empty:
        return []
    spread = f"mean {number(paths['r2'].mean())}, standard deviation {number(paths['r2'].std())}"
    ends = f"from {number(paths['r2'].min())} to {number(paths['r2'].max())}"
    return [
        f"R2 of the {count(len(paths), 'path')}: {spread}, {ends}; they forecast the same rows."
    ]


def _held_out(report: Report) -> list[str]:
    """A hold-out beside other folds."""
    rows = report.scores[(report.scores["scope"] == "fold") & (report.scores["unit"] == "holdout")]
    return [
        f"The hold-out, which is in none of the above, has an R2 of {number(row['r2'])} "
        f"({count(int(row['n_obs']), 'row')}); {_errors_beside(report, row)}; {_by_chance_alone(report, row)}."
        for _, row in rows.iterrows()
    ]


def _kind(report: Report) -> list[str]:
    """What kind of statement the run makes; none where nothing but a constant was fitted."""
    folds = report.folds
    backwards = len(folds) > 0 and bool((folds["train_end"] > folds["test_start"]).any())
    if report.kind == "predictive" and backwards:
        return [
            "Folds train on later rows too: how well the regressors hold, not a forecast anyone could have made."
        ]
    return [KINDS[report.kind]] if report.panel.names else []


def _compared(report: Report, r2: float) -> str:
    """Better or worse than the benchmark, over all and in how many units."""
    units = report.scores[report.scores["scope"] == "asset"]
    if math.isnan(r2):
        return f"the {report.benchmark} leaves nothing to explain"
    of = f"{len(units):,} {plural(unit_noun(units))}"
    each = f", better in {int((units['r2'] > 0).sum()):,} of {of}" if len(units) > 1 else ""
    if abs(r2) < SAME:
        return f"the same as the {report.benchmark}"
    word = "better" if r2 > 0 else "worse"
    return f"{word} than the {report.benchmark} by {percent(abs(r2))} of its squared error{each}"


def _diagnostics(report: Report) -> list[str]:
    table = report.diagnostics
    if table.empty:
        return _untested(report)
    smallest = {what: _smallest(table, names) for what, names in TESTS.items()}
    found = [_finding(report, what, p) for what, p in smallest.items() if (p < LEVEL).any()]
    clean = [what for what, p in smallest.items() if len(p) and not (p < LEVEL).any()]
    if clean:
        found.append(f"Not found at 5 %: {', '.join(clean)}; that is no proof of absence.")
    return [*found, *_collinear(table), *_not_computed(table)]


def _few_values(report: Report) -> list[str]:
    """Assets whose target takes so few values that they may be the rounding of prices."""
    panel = report.panel
    few = few_values(panel.y, panel.valid)
    if not few:
        return []
    rows = panel.valid.sum(axis=0)
    each = listed(
        f"{panel.assets[i]} {distinct} in {rows[i]:,} rows" for i, distinct in few.items()
    )
    whose = panel.assets[next(iter(few))] if len(few) == 1 else count(len(few), "asset")
    return [
        f"The target of {whose} has fewer than ten distinct values ({each}): are its prices rounded coarsely?"
    ]


def _untested(report: Report) -> list[str]:
    """What the errors in force allow for, where residuals are no single series and have no
    tests.
    """
    told = (
        "" if unit_noun(report.fit.quality) == "asset" else advice.allowed(errors_in_force(report))
    )
    return [f"Residuals of such a regression are not tested here; {told}."] if told else []


def _advice(report: Report, what: str) -> str:
    """What a finding means for the errors in force, and what to do."""
    if what != "non-normal residuals":
        return advice.advice(what, errors_in_force(report))
    rows = report.fit.quality.loc[report.fit.quality["r2"].notna(), "n_obs"]
    fewest = count(int(rows.min()), "row") + " or more" * (len(rows) > 1)
    return f"t and F then hold in large samples only (here {fewest})"


def _smallest(table: pd.DataFrame, names: tuple[str, ...]) -> pd.Series:
    """Smallest p-value of each unit over these tests, absent ones left out."""
    rows = table[table["diagnostic"].isin(names) & table["p_value"].notna()]
    return rows.groupby("unit", sort=False)["p_value"].min()


def _finding(report: Report, what: str, p: pd.Series) -> str:
    bad, names = int((p < LEVEL).sum()), TESTS[what]
    units = (
        f"{len(p):,} {plural(unit_noun(report.diagnostics))}{by_chance(bad, len(p), len(names))}"
    )
    where = f" in {bad:,} of {units}" if len(p) > 1 else ""
    return f"{what[0].upper()}{what[1:]} at 5 %{where} ({' or '.join(names)}): {_advice(report, what)}."


def _collinear(table: pd.DataFrame) -> list[str]:
    high = table[(table["diagnostic"] == "vif") & (table["statistic"] > MOST_VIF)]
    worst = high.groupby("term", sort=False)["statistic"].max()
    names = listed(f"{term} (VIF up to {number(value, 3)})" for term, value in worst.items())
    found = f"Collinear: {names}; their separate estimates are imprecise, drop or combine columns."
    return [found] if len(high) else []


def _not_computed(table: pd.DataFrame) -> list[str]:
    absent = table[table["reason"].fillna("") != ""].groupby("diagnostic", sort=False)
    units = {
        name: f"{count(len(rows), unit_noun(rows))}: {listed(rows['reason'].unique())}"
        for name, rows in absent
    }
    return [f"{name} was not computed in {text}." for name, text in units.items()]


def _audit(report: Report) -> list[str]:
    if report.audit is None:
        return ["Switched off: nothing here was tried for look-ahead."]
    ahead = report.panel.horizon > 0 and report.audit.looks_ahead is False
    undone = (
        "The target's horizon says that it looks ahead, but no later row moves it: this explains."
    )
    return [
        *(f"LEAKING: {line}." for line in report.leaks),
        *report.audit.words,
        *([undone] if ahead else []),
    ]


def _left_out(report: Report) -> list[str]:
    found = [
        f"{count(one.rows, one.what)}{_fate(one.what)}: {one.reason}." for one in report.dropped
    ]
    quality = report.fit.quality
    troubled = quality[quality["reason"].fillna("") != ""]
    if troubled.empty:
        return found
    for (reason, bare), rows in troubled.groupby(["reason", troubled["r2"].isna()], sort=False):
        units = (
            f"{len(rows):,} of {count(len(quality), unit_noun(quality))} ({listed(rows['unit'])})"
        )
        found.append(
            f"{units}: {'not estimated' if bare else 'estimated without errors'}, {reason}."
        )
    return found


def _fate(what: str) -> str:
    """What became of a line of the account: changed values are still there, missing ones never
    were.
    """
    return "" if what.startswith(("changed", "missing")) else " dropped"
