"""Reads the sentences of analyses and of estimators back, each against the table of its own finding."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sentences import (
    CHANCE,
    DOUBTED,
    NOUN,
    NUMBER,
    SIGNIFICANCE,
    VERDICT,
    P,
    Said,
    doubt_by_hand,
    ends,
    n,
    noun_in,
    noun_of,
    pattern,
    setting,
    shows,
    text,
    units_of,
)


class About(NamedTuple):
    """A finding, the report that it is of, and the settings of its analysis."""

    report: Any
    table: pd.DataFrame
    settings: dict[str, Any]


def estimated(about: About, column: str) -> pd.DataFrame:
    return about.table[about.table[column].notna()]


def rows_a_year(about: About) -> float:
    """As the spec gives it, else of months."""
    return about.settings.get("rows_per_year") or 12.0


# performance


@pattern(
    "performance",
    rf"Means and volatilities a year are annualised with {n('rows')} rows a year \((?:as given; )?monthly calendar"
    r"(?:: 12)?\)\.",
)
def year_of_performance(about: About, said: Said) -> None:
    said.number("rows", rows_a_year(about))


@pattern(
    "performance",
    rf"Alpha of {text('unit')} is {n('alpha')} % a year (?:\(t {n('t')}\), "
    rf"(?:{VERDICT}|{DOUBTED})|without a test)\.",
)
def alpha_of_one(about: About, said: Said) -> None:
    [row] = estimated(about, "alpha").to_dict("records")
    said.word("unit", row["unit"])
    alpha = about.report.fit.coefficients.query("term == 'const' and scope != 'mean'")[
        "estimate"
    ].iloc[0]
    said.number("alpha", alpha * rows_a_year(about), 100.0)
    said.number("t", row["t_stat"])
    doubt = doubt_by_hand(about.report)
    if doubt:
        said.word("doubt", doubt)
    else:
        said.verdict(row["p_value"])


@pattern(
    "performance",
    rf"{n('systematic')} % of the variance is systematic \(R2\), {n('specific')} % "
    rf"specific: volatilities "
    rf"of {n('moves')} % and {n('own')} % a year\.",
)
def shares_of_one(about: About, said: Said) -> None:
    [row] = estimated(about, "alpha").to_dict("records")
    r2 = about.report.fit.quality["r2"].iloc[0]
    y = about.report.panel.y[about.report.panel.valid]
    year = y.var(ddof=1) * rows_a_year(about)
    said.number("systematic", r2, 100.0)
    said.number("specific", 1.0 - r2, 100.0)
    said.number("moves", np.sqrt(r2 * year), 100.0)
    said.number("own", np.sqrt((1.0 - r2) * year), 100.0)
    assert math.isclose(row["systematic_share"], r2)


@pattern(
    "performance",
    rf"The CAPM implies a mean of {n('implied')} % a year \(beta {n('beta')}\), against "
    rf"{n('realised')} % realised; the difference was not tested\.",
)
def capm_of_one(about: About, said: Said) -> None:
    [row] = estimated(about, "alpha").to_dict("records")
    said.number("implied", row["capm_implied_annual"], 100.0)
    said.number("beta", row["capm_beta"])
    y = about.report.panel.y[about.report.panel.valid]
    said.number("realised", y.mean() * rows_a_year(about), 100.0)


@pattern(
    "performance",
    rf"Alpha (?:{SIGNIFICANCE}|is {DOUBTED}); from {n('low')} % \({text('low_unit')}\) to {n('high')} % "
    rf"\({text('high_unit')}\) a year\.",
)
def alpha_of_units(about: About, said: Said) -> None:
    rows = units_of(about.report.fit.coefficients).query("term == 'const'")
    doubt = doubt_by_hand(about.report)
    if doubt:
        said.word("doubt", doubt)
    else:
        said.significance(rows["p_value"], rows["estimate"], noun_in(rows))
    said.ends(rows["estimate"] * rows_a_year(about), rows["unit"], unit=100.0)


@pattern(
    "performance",
    rf"{n('mean')} % of the variance is systematic \(R2\) on average over "
    rf"{n('units')} {text('noun', NOUN)}, "
    rf"from {n('low')} % to {n('high')} %\.",
)
def shares_of_units(about: About, said: Said) -> None:
    r2 = about.report.fit.quality["r2"].dropna()
    for name, value in {"mean": r2.mean(), "low": r2.min(), "high": r2.max()}.items():
        said.number(name, value, 100.0)
    said.number("units", len(r2))
    assert noun_of(said["noun"]) == noun_in(about.report.fit.quality)


@pattern(
    "performance",
    rf"The CAPM implies a mean of {n('implied')} % a year on average, against "
    rf"{n('realised')} % realised: more than "
    rf"implied in {n('above')} of {n('of')} {text('noun', NOUN)}; the difference was not tested\.",
)
def capm_of_units(about: About, said: Said) -> None:
    rows = estimated(about, "alpha")
    said.number("implied", rows["capm_implied_annual"].mean(), 100.0)
    said.number("realised", rows["realised_annual"].mean(), 100.0)
    said.number("above", (rows["realised_annual"] > rows["capm_implied_annual"]).sum())
    said.number("of", len(rows))
    assert noun_of(said["noun"]) == noun_in(rows)


@pattern(
    "performance",
    r"The target subtracts no risk-free rate \(target\.risk_free\): unless it is an excess return "
    r"already, alpha includes \(1 - beta\) times that rate\.",
)
def no_riskless_rate(about: About, said: Said) -> None:
    assert not about.report.spec["target"].get("risk_free")


# style_box

STYLES = (
    r"small value|small growth|large value|large growth|(?:small|large), neither value nor growth|"
    r"(?:value|growth), neither small nor large|no clear style"
)


def style_of(about: About, unit: str) -> str:
    """From the coefficients alone."""
    level, words = about.settings.get("level", 0.05), []
    for term, names in (("SMB", ("small", "large")), ("HML", ("value", "growth"))):
        table = about.report.fit.coefficients
        [row] = table[(table["unit"] == unit) & (table["term"] == term)].to_dict("records")
        words.append("" if row["p_value"] >= level else names[row["estimate"] < 0])
    size, value = words
    if size and value:
        return f"{size} {value}"
    if size:
        return f"{size}, neither value nor growth"
    return f"{value}, neither small nor large" if value else "no clear style"


@pattern(
    "style_box",
    rf"Style of {text('unit')} at {n('level')} %: {text('style', STYLES)} \(SMB "
    rf"{n('smb')}, t {n('t')}; "
    rf"HML {n('hml')}, t {n('u')}\)\.",
)
def style_of_one(about: About, said: Said) -> None:
    said.number("level", about.settings.get("level", 0.05), 100.0)
    said.word("style", style_of(about, str(said["unit"])))
    table = about.report.fit.coefficients.set_index("term")
    for term, b, t in (("SMB", "smb", "t"), ("HML", "hml", "u")):
        said.number(b, table.loc[term, "estimate"])
        said.number(t, table.loc[term, "t_stat"])


@pattern(
    "style_box", rf"{text('style', '(?i:' + STYLES + ')')} at {n('level')} %: {text('units')}\."
)
def style_of_units(about: About, said: Said) -> None:
    said.number("level", about.settings.get("level", 0.05), 100.0)
    style = str(said["style"])
    units = list(units_of(about.report.fit.coefficients)["unit"].unique())
    same = [one for one in units if style_of(about, one) == style[0].lower() + style[1:]]
    names, _, more = str(said["units"]).partition(" and ")
    assert names.split(", ") == same[:12] and (
        more == f"{len(same) - 12} more" if len(same) > 12 else not more
    )


# nested


def together(terms: list[str]) -> str:
    """Up to twelve names in full, then how many more."""
    if len(terms) > 12:
        return f"{', '.join(terms[:12])} and {len(terms) - 12} more"
    return " and ".join(", ".join(terms).rsplit(", ", 1))


@pattern(
    "nested",
    rf"{text('which')}(?P<together> together)?: (?:{VERDICT}|{DOUBTED}) \(F\({n('df')}, {n('rest')}\) = {n('f')}, "
    rf"{text('test')} test\)\.",
)
def fuller_of_one(about: About, said: Said) -> None:
    [row] = about.table.to_dict("records")
    extra = row["tested"].count("=")
    said.word("which", together(re.findall(r"(\w+) = 0", row["tested"])))
    said.word("together", " together" if extra > 1 else None)
    doubt = doubt_by_hand(about.report)
    if doubt:
        said.word("doubt", doubt)
    else:
        said.verdict(row["p_value"])
    for name, column in (("df", "df_num"), ("rest", "df_den"), ("f", "f_stat")):
        said.number(name, row[column])
    cov = setting(about.report, "cov")
    said.word("test", "classical F" if cov == "nonrobust" else f"{cov} Wald")


@pattern(
    "nested",
    rf"{text('which')}(?P<together> together)?: significantly different from zero at 5 % in "
    rf"{n('hits')} of {n('of')} "
    rf"{text('noun', NOUN)}{CHANCE} \({text('test')} test\)(?:; not testable in {n('untested')})?\.",
)
def fuller_of_units(about: About, said: Said) -> None:
    p = about.table["p_value"].dropna()
    terms = re.findall(r"(\w+) = 0", about.table["tested"].iloc[0])
    said.word("which", together(terms))
    said.word("together", " together" if len(terms) > 1 else None)
    said.number("hits", (p < 0.05).sum())
    said.number("of", len(p))
    assert noun_of(said["noun"]) == noun_in(about.table)
    said.chance(int((p < 0.05).sum()), len(p)) if (p < 0.05).any() else said.word("chance", None)
    cov = setting(about.report, "cov")
    said.word("test", "classical F" if cov == "nonrobust" else f"{cov} Wald")
    lost = len(about.table) - len(p)
    said.number("untested", lost) if lost else said.word("untested", None)


@pattern(
    "nested",
    rf"{text('which')}(?P<together> together)?: {DOUBTED}(?:; not testable in {n('untested')})?\.",
)
def fuller_on_doubtful_errors(about: About, said: Said) -> None:
    terms = re.findall(r"(\w+) = 0", about.table["tested"].iloc[0])
    said.word("which", together(terms))
    said.word("together", " together" if len(terms) > 1 else None)
    said.word("doubt", doubt_by_hand(about.report))
    lost = int(about.table["p_value"].isna().sum())
    said.number("untested", lost) if lost else said.word("untested", None)


@pattern(
    "nested",
    rf"Adjusted R2 is {n('before')} without and {n('after')} with {text('them', 'them|it')}"
    rf"(?:, on average over {n('units')} {text('noun', NOUN)})?, both on the same {n('rows')} rows?\.",
)
def adjusted_r2(about: About, said: Said) -> None:
    rows = about.table[about.table["p_value"].notna()]
    said.number("rows", rows["n_obs"].sum())
    said.number("before", rows["r2_adj_restricted"].mean())
    said.number("after", rows["r2_adj_full"].mean())
    said.word("them", "them" if rows["tested"].iloc[0].count("=") > 1 else "it")
    if len(rows) > 1:
        said.number("units", len(rows))
        assert noun_of(said["noun"]) == noun_in(rows)


# equality


@pattern(
    "equality",
    rf"Equality of {text('what')}(?P<together> together)? over {n('units')} "
    rf"{text('noun', NOUN)} is "
    rf"{text('not', 'not ')}?rejected at 5 %(?P<unproven>, which does not prove it)? \(F\({n('df')}, "
    rf"{n('rest')}\) = {n('f')}, "
    rf"p (?:= )?{text('p', P)}\)(?:; estimates from {n('low')} to {n('high')})?\.",
)
def equal_or_not(about: About, said: Said) -> None:
    row = tested_equality(about, said)
    assert (said["not"] is None) == (said["unproven"] is None) == (row["p_value"] < 0.05)
    assert lags_of(row["errors"]) >= about.report.panel.horizon - 1


@pattern(
    "equality",
    rf"Equality of {text('what')}(?P<together> together)? over {n('units')} "
    rf"{text('noun', NOUN)} is without a verdict: its errors \({text('errors')}\) "
    rf"(?:ignore that|have too few lags for) targets over {n('horizon')} rows(?:,|) (?:which )?overlap "
    rf"\(F\({n('df')}, {n('rest')}\) = {n('f')}, "
    rf"p (?:= )?{text('p', P)}\)(?:; estimates from {n('low')} to {n('high')})?\.",
)
def equality_without_a_verdict(about: About, said: Said) -> None:
    row = tested_equality(about, said)
    assert said["errors"] == row["errors"]
    said.number("horizon", about.report.panel.horizon)
    assert lags_of(row["errors"]) < about.report.panel.horizon - 1


def lags_of(errors: str) -> int:
    """Newey-West lags that the words on errors name; none without."""
    named = re.search(r"Newey-West (\d+) lag", errors)
    return int(named[1]) if named else 0


def tested_equality(about: About, said: Said) -> dict[Hashable, Any]:
    """The row of the test that a sentence is on, and its numbers."""
    [row] = about.table[about.table["term"] == said["what"]].to_dict("records")
    several = "," in row["term"]
    said.word("together", " together" if several else None)
    said.number("units", row["units"])
    assert noun_of(said["noun"]) == noun_in(units_of(about.report.fit.coefficients))
    for name, column in (("df", "df_num"), ("rest", "df_den"), ("f", "f_stat")):
        said.number(name, row[column])
    said.p_value("p", row["p_value"])
    if not several:
        values = units_of(about.report.fit.coefficients).query("term == @row['term']")["estimate"]
        said.number("low", values.min())
        said.number("high", values.max())
    return row


# influence


@pattern(
    "influence",
    rf"{n('cook')} of {n('rows')} rows(?: of {n('units')} regressions)? \({n('share')} "
    rf"%\) have a Cook's "
    rf"distance above 4 / n, {n('far')} a studentised residual beyond 3 \(normal errors would give "
    rf"about {n('chance')}\); "
    r"these bounds are rules of thumb that some rows of any sample exceed\.",
)
def bounds_exceeded(about: About, said: Said) -> None:
    table, metrics = about.table, about.report.findings["influence"].metrics
    rows = int(about.report.panel.valid.sum())
    said.number("rows", rows)
    said.number("cook", round(metrics["cook_share"] * rows))
    said.number("share", metrics["cook_share"], 100.0)
    said.number("far", round(metrics["studentised_share"] * rows))
    said.number("chance", 0.0027 * rows)
    units = table["unit"].nunique()
    said.number("units", units) if units > 1 else said.word("units", None)
    kept = (table["cooks_distance"] > 4.0 / table["n_obs"]).sum()
    assert kept <= metrics["cook_share"] * rows + 0.5


@pattern(
    "influence",
    rf"The most influential row is {text('date')}(?: of {text('asset')})? \(Cook's "
    rf"distance {n('cook')}, "
    rf"studentised residual {n('far')}\): {text('term')} is {n('b')} with it, {n('without')} without "
    rf"it, a change of "
    rf"{n('moves')} standard errors\.",
)
def most_influential(about: About, said: Said) -> None:
    row = about.table.loc[about.table["cooks_distance"].idxmax()]
    said.word("date", f"{row['date']:%Y-%m-%d}")
    if said["asset"]:
        said.word("asset", row["asset"])
    for name, column in (
        ("cook", "cooks_distance"),
        ("far", "studentised"),
        ("without", "estimate_without"),
    ):
        said.number(name, row[column])
    said.word("term", row["term"])
    same = about.report.fit.coefficients.query("unit == @row['unit'] and term == @row['term']")
    said.number("b", same["estimate"].iloc[0])
    said.number("moves", abs(row["dfbetas"]))


# stability, cusum, rolling_loadings

REJECTS = rf"rejects at {n('level')} % in {n('hits')} of {n('of')} assets{CHANCE}"


def rejects(about: About, said: Said, p: pd.Series) -> None:
    level, p = about.settings.get("level", 0.05), p.dropna()
    said.number("level", level, 100.0)
    said.number("hits", (p < level).sum())
    said.number("of", len(p))
    said.number("chance", level * len(p)) if len(p) >= 20 else said.word("chance", None)
    said.word("chance_most", None)


@pattern(
    "stability",
    rf"Chow's test of equal coefficients before and after the middle {REJECTS} \({text('cov')} errors\)\.",
)
def chow(about: About, said: Said) -> None:
    rejects(about, said, about.table["chow_p"])
    said.word("cov", about.settings.get("cov", "HC3"))


@pattern("stability", rf"The Quandt-Andrews test of a break at any date {REJECTS}\.")
def quandt_andrews(about: About, said: Said) -> None:
    rejects(about, said, about.table["largest_p"])


@pattern(
    "cusum",
    rf"The CUSUM test of constant coefficients {REJECTS} \(equal variances, no serial "
    rf"correlation\)\.",
)
def cusum(about: About, said: Said) -> None:
    rejects(about, said, about.table.groupby("unit")["p_value"].first())


@pattern("cusum", rf"{n('lost')} assets? could not be tested\.")
def cusum_untested(about: About, said: Said) -> None:
    said.number("lost", about.table.groupby("unit")["p_value"].first().isna().sum())


@pattern(
    "rolling_loadings",
    rf"{text('term')}: standard deviation of the estimates over windows {n('spread')}, against a "
    rf"standard error of {n('error')}, averaged over assets\.",
)
def spread_over_windows(about: About, said: Said) -> None:
    own = about.table[about.table["term"] == said["term"]].groupby("unit")
    said.number("spread", own["estimate"].std().mean())
    said.number("error", own["std_error"].mean().mean())


# coefficients_by_fold


def means_by_fold(about: About) -> pd.DataFrame:
    table = about.table
    return table[table["scope"] == "mean"] if (table["scope"] == "mean").any() else table


@pattern(
    "coefficients_by_fold",
    rf"{text('term')}: {text('sign', 'positive|negative|zero')} in the full sample "
    rf"and in {n('same')} of "
    rf"{n('folds')} folds, from {n('low')} to {n('high')}; standard deviation over folds {n('spread')}"
    rf"(?:, against a mean standard error of {n('error')})?\.",
)
def signs_over_folds(about: About, said: Said) -> None:
    coefficients = about.report.fit.coefficients
    own = means_by_fold(about).query("term == @term", local_dict={"term": said["term"]})
    mean = coefficients[(coefficients["scope"] == "mean") & (coefficients["term"] == said["term"])]
    whole = (mean if len(mean) else coefficients[coefficients["term"] == said["term"]])[
        "estimate"
    ].iloc[0]
    said.word("sign", "positive" if whole > 0 else "negative" if whole < 0 else "zero")
    said.number("same", (np.sign(own["estimate"]) == np.sign(whole)).sum())
    values = {"folds": len(own), "low": own["estimate"].min(), "high": own["estimate"].max()}
    for name, value in (values | {"spread": own["estimate"].std()}).items():
        said.number(name, value)
    if own["std_error"].notna().any():
        said.number("error", own["std_error"].mean())


@pattern(
    "coefficients_by_fold",
    rf"Standard errors of means over {text('units')} are from the spread over (?P=units), not over "
    r"time\.",
)
def errors_over_units(about: About, said: Said) -> None:
    assert noun_of(said["units"]) == noun_in(units_of(about.report.fit.coefficients))
    assert (about.table["scope"] == "mean").any()


@pattern(
    "coefficients_by_fold",
    rf"Neighbouring folds share {n('share')} % of their training rows on "
    rf"average: their estimates agree by "
    r"construction, and their spread understates how much estimates vary over new samples\.",
)
def folds_share_rows(about: About, said: Said) -> None:
    rows = about.report.folds.sort_values(
        "fold", key=lambda names: pd.to_numeric(names, errors="coerce")
    )
    whole = rows["train_end"] < rows["test_start"]
    assert whole.all(), "only folds that train up to a date are checked here"
    dates = about.report.panel.dates
    sets = [
        set(dates[(dates >= a) & (dates <= b)])
        for a, b in zip(rows["train_start"], rows["train_end"], strict=True)
    ]
    shares = [len(one & two) / len(one | two) for one, two in pairwise(sets)]
    said.number("share", float(np.mean(shares)), 100.0)


@pattern(
    "coefficients_by_fold", r"One fold has estimates: there is nothing to compare over folds\."
)
def one_fold(about: About, said: Said) -> None:
    assert about.table["fold"].nunique() == 1


# information, regimes, target_by_group


@pattern(
    "information",
    rf"Rank IC is {n('ic')} on average over {n('dates')} dates \(t {n('t')}, "
    rf"Newey-West t {n('t_nw')}\), "
    rf"{VERDICT}; (?:against {n('naive')} for the training "
    rf"mean|{text('none', 'the training mean is the same for all assets')})\. It is above "
    rf"zero on {n('share')} % of dates\.",
)
def rank_ic(about: About, said: Said) -> None:
    ic = about.table["rank_ic"].dropna()
    [row] = about.report.scores.query("scope == 'pooled'").to_dict("records")
    said.number("ic", ic.mean())
    said.number("dates", len(ic))
    said.number("t", row["rank_ic_t"])
    said.number("t", ic.mean() / ic.std() * np.sqrt(len(ic)))
    said.number("t_nw", row["rank_ic_t_nw"])
    said.verdict(row["rank_ic_p_value"])
    said["none"] if math.isnan(row["rank_ic_naive"]) else said.number("naive", row["rank_ic_naive"])
    said.number("share", (ic > 0).mean(), 100.0)


@pattern(
    "information",
    rf"{n('dates')} dates? {text('verb', 'has|have')} no IC: fewer than 3 assets, or "
    rf"forecasts or targets "
    r"that are all the same\.",
)
def no_ic(about: About, said: Said) -> None:
    said.number("dates", about.table["rank_ic"].isna().sum())
    said.word("verb", "has" if about.table["rank_ic"].isna().sum() == 1 else "have")


@pattern(
    "regimes",
    rf"R2 against the training mean by {text('by')}, "
    rf"{text('sample', 'out of sample|in sample, on which the model was fitted')}: {text('each')}\.",
)
def scores_of_regimes(about: About, said: Said) -> None:
    said.word("by", about.settings["by"])
    said.word(
        "sample",
        "in sample, on which the model was fitted"
        if about.report.predictions.empty
        else "out of sample",
    )
    form = rf"(.+?): ({NUMBER}) \(({NUMBER}) rows?, RMSE ({NUMBER}) against ({NUMBER})\)"
    rows = about.table[about.table["n_obs"] > 0].to_dict("records")
    told = [re.fullmatch(form, one) for one in str(said["each"]).split("; ")]
    assert len(rows) == len(told)
    for match, row in zip(told, rows, strict=True):
        assert match and match[1] == row["unit"], said.sentence
        values = (row["r2"], row["n_obs"], row["rmse"], row["rmse_naive"])
        assert all(
            shows(part, value) for part, value in zip(match.groups()[1:], values, strict=True)
        ), match[0]


@pattern("regimes", r"Differences between regimes were not tested\.")
def regimes_untested(about: About, said: Said) -> None:
    assert not any(
        "p_value" in name
        for name in about.table
        if about.table[name].notna().any() and "ic" not in name
    )


@pattern("regimes", rf"No row lies in {text('which')}\.")
def empty_regimes(about: About, said: Said) -> None:
    empty = about.table.loc[about.table["n_obs"] == 0, "unit"]
    said.word("which", " or ".join(f"the regime {name}" for name in empty))


@pattern(
    "target_by_group",
    rf"Median of the target over {n('groups')} groups \({text('group')}\): {ends()}\.",
)
def medians(about: About, said: Said) -> None:
    said.number("groups", (about.table["n_obs"] > 0).sum())
    said.word("group", about.settings.get("group", "sector"))
    said.ends(about.table["median"], about.table["unit"])


@pattern(
    "target_by_group",
    rf"RMSE of the forecasts "
    rf"{text('sample', 'out of sample|in sample, on which the model was fitted')}: {ends()}; above that of the "
    rf"training mean in {n('worse')} of {n('groups')} groups?\. The differences were not tested\.",
)
def errors_of_groups(about: About, said: Said) -> None:
    said.word(
        "sample",
        "in sample, on which the model was fitted"
        if about.report.predictions.empty
        else "out of sample",
    )
    rows = about.table[about.table["n_scored"] > 0]
    said.ends(rows["rmse"], rows["unit"])
    said.number("worse", (rows["rmse"] > rows["rmse_naive"]).sum())
    said.number("groups", len(rows))


# estimators: path of a penalty, logit, premia of two passes

AVERAGE = rf"(?: on average over {n('units')} regressions)?"
KEPT = rf"(?:, which keeps {n('kept')} of {n('slopes')} regressors?(?: \({text('names')}\))?)?"


def curve(about: About, said: Said, rule: str) -> None:
    metrics = about.report.findings["path"].metrics
    units = int(about.report.fit.quality["r2"].notna().sum())
    said.number("units", units) if units > 1 else said.word("units", None)
    said.number("penalty", metrics[f"penalty_{rule}"])
    if said["kept"]:
        said.number("kept", metrics[f"terms_{rule}"])
        said.number("slopes", units_of(about.report.fit.coefficients)["term"].nunique() - 1)
        if said["names"]:
            assert len(str(said["names"]).split(", ")) == metrics[f"terms_{rule}"]


@pattern(
    "path",
    rf"The smallest error over {n('folds')} folds is at the penalty {n('penalty')}{AVERAGE}{KEPT}\.",
)
def least_error(about: About, said: Said) -> None:
    said.number("folds", 5)
    curve(about, said, "min")


@pattern(
    "path",
    rf"The largest penalty within one standard error of it is {n('penalty')}{AVERAGE}{KEPT}; "
    rf"that standard error "
    rf"is itself from {n('folds')} folds only\.",
)
def one_standard_error(about: About, said: Said) -> None:
    said.number("folds", 5)
    curve(about, said, "1se")
    metrics = about.report.findings["path"].metrics
    assert metrics["penalty_1se"] >= metrics["penalty_min"]


@pattern(
    "path",
    rf"The estimates use {text('used')}; they are shrunk on purpose and have no standard errors\.",
)
def shrunk(about: About, said: Said) -> None:
    said.word(
        "used",
        {"one_se": "the larger of the two", "min": "that of the smallest error"}[
            setting(about.report, "choice")
        ],
    )
    assert units_of(about.report.fit.coefficients)["p_value"].isna().all()


@pattern(
    "path",
    rf"The smallest error(?: in {n('hits')} of {n('of')} regressions)? is at the "
    rf"{text('end', 'largest|smallest')} penalty "
    r"tried: (?:on these folds the regressors add nothing measurable|a smaller one may do better)\.",
)
def at_an_end(about: About, said: Said) -> None:
    assert ("smaller" in said.sentence) == (said["end"] == "smallest")
    units = int(about.report.fit.quality["r2"].notna().sum())
    assert (said["hits"] is not None) == (units > 1)
    if said["hits"]:
        said.number("of", units)
        assert 1 <= int(str(said["hits"])) <= units


@pattern(
    "logit",
    rf"McFadden's pseudo R2 is {n('r2')}; the likelihood-ratio test, which assumes "
    rf"independent rows, "
    rf"{text('no', 'does not reject|rejects')} at 5 % that every slope is zero(?P<unproven>, which does not prove it)? "
    rf"\(p (?:= )?{text('p', P)}\)\.",
)
def likelihood_of_one(about: About, said: Said) -> None:
    [row] = about.table.to_dict("records")
    said.number(
        "r2",
        1.0
        - row["log_likelihood"]
        / row[about.table.columns[list(about.table).index("log_likelihood") + 1]],
    )
    said.p_value("p", row["llr_p_value"])
    said.word("no", "rejects" if row["llr_p_value"] < 0.05 else "does not reject")
    assert (said["unproven"] is None) == (row["llr_p_value"] < 0.05)


@pattern(
    "logit",
    rf"McFadden's pseudo R2 is {n('r2')} on average over {n('units')} {text('noun', NOUN)}; "
    rf"the likelihood-ratio "
    rf"test, which assumes independent rows, rejects at 5 % that every slope is zero in {n('hits')} "
    rf"of them; chance alone "
    rf"would give about {n('chance')}\.",
)
def likelihood_of_units(about: About, said: Said) -> None:
    rows = about.table[about.table["llr_p_value"].notna()]
    said.number("r2", rows["pseudo_r2"].mean())
    said.number("units", len(rows))
    assert noun_of(said["noun"]) == noun_in(rows)
    said.number("hits", (rows["llr_p_value"] < 0.05).sum())
    said.number("chance", 0.05 * len(rows))


@pattern(
    "premia",
    rf"Premium against the mean of the factor itself: {text('each')}; they should agree "
    rf"where it is an excess "
    r"return\.",
)
def premia_beside_means(about: About, said: Said) -> None:
    panel = about.report.panel
    own = {
        row.term: row.estimate
        for row in about.report.fit.coefficients.query("scope == 'mean'").itertuples()
    }
    told = re.findall(rf"(\w+) ({NUMBER}) against ({NUMBER})", str(said["each"]))
    assert [term for term, *_ in told] == list(panel.names)
    for term, premium, mean in told:
        values = panel.X[:, 0, panel.names.index(term)]
        assert shows(premium, own[term]) and shows(mean, values[panel.valid.any(axis=1)].mean()), (
            said.sentence
        )


@pattern(
    "premia",
    rf"Standard errors, against those with betas treated as known: (?:{n('low')} %(?: to "
    rf"{n('high')} %)?) "
    rf"\(Shanken's c is {n('c')}\)\.".replace("-?(?:inf", "[-+]?(?:inf"),
)
def errors_corrected(about: About, said: Said) -> None:
    table = about.table
    change = table.iloc[:, 2] / table.iloc[:, 3] - 1.0
    said.number("low", change.min(), 100.0)
    if said["high"]:
        said.number("high", change.max(), 100.0)
    said.number("c", about.report.findings["pricing"].metrics["shanken_factor"] - 1.0)


@pattern(
    "premia",
    rf"Standard errors treat the betas as known and are too small; the correction of Shanken has c = "
    rf"{n('c')}\.",
)
def errors_uncorrected(about: About, said: Said) -> None:
    assert setting(about.report, "cov") == "fama_macbeth"
    said.number("c", about.report.findings["pricing"].metrics["shanken_factor"] - 1.0)


@pattern(
    "pricing",
    rf"The betas account for {n('r2')} % of the variance of mean returns over "
    rf"{n('assets')} assets; the mean "
    rf"absolute pricing error is {n('error')} per row\.",
)
def betas_explain(about: About, said: Said) -> None:
    metrics = about.report.findings["pricing"].metrics
    assert metrics["r2"] >= 0.0
    said.number("r2", metrics["r2"], 100.0)
    said.number("assets", len(about.table))
    said.number("error", metrics["mean_abs_error"])


@pattern(
    "pricing",
    rf"The betas explain mean returns worse than their own mean does \(R2 "
    rf"{n('r2')} over "
    rf"{n('assets')} assets\); the mean absolute pricing error is {n('error')} per row\.",
)
def betas_mislead(about: About, said: Said) -> None:
    metrics = about.report.findings["pricing"].metrics
    assert metrics["r2"] < 0.0
    said.number("r2", metrics["r2"])
    said.number("assets", len(about.table))
    said.number("error", metrics["mean_abs_error"])


@pattern(
    "pricing",
    rf"One by one, pricing errors differ from zero at 5 % in {n('hits')} of {n('of')} assets"
    rf"(?: \({text('names')}\))?{CHANCE}\.",
)
def mispriced(about: About, said: Said) -> None:
    hits = about.table[about.table["p_value"] < 0.05]
    said.number("hits", len(hits))
    said.number("of", len(about.table))
    told = [name for name in re.split(r", | and \d+ more", said["names"] or "") if name]
    assert told == list(hits["unit"])[:12]
    said.number("chance", 0.05 * len(about.table)) if len(about.table) >= 20 else said.word(
        "chance", None
    )
    said.word("chance_most", None)
