"""Reads the sentences of a report back: each must be of a known pattern, and every number in it that of the tables.

A pattern is a regular expression and a check. The check sees only the report (or the table of a finding) and the
parts of the sentence; a part that it does not look at fails. Nothing of `runner.text` is used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

NUMBER = r"-?(?:inf|\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?)|–"
P = r"< ?0\.001|\d\.\d{3}|–"
NOUN = r"assets?|dates?|groups?|regressions?"
TESTS = {
    "heteroskedasticity": ["breusch_pagan", "white"],
    "serial correlation": ["breusch_godfrey", "ljung_box"],
    "volatility clustering": ["arch_lm"],
    "non-normal residuals": ["jarque_bera"],
}
NAMES_OF_TESTS = {
    "heteroskedasticity": "Breusch-Pagan or White",
    "serial correlation": "Breusch-Godfrey or Ljung-Box",
    "volatility clustering": "ARCH-LM",
    "non-normal residuals": "Jarque-Bera",
}
NAMES_OF_ERRORS = {  # in sentences, of `model.cov`; the others have their own name
    "nonrobust": "classical",
    "HAC": "Newey-West",
    "cluster": "clustered",
    "driscoll_kraay": "Driscoll-Kraay",
}


def n(name: str) -> str:
    """A number."""
    return f"(?P<{name}>{NUMBER})"


def text(name: str, what: str = r".+?") -> str:
    return f"(?P<{name}>{what})"


def ends(name: str = "") -> str:
    """`from 0.1 (A) to 0.2 (B)`."""
    return (
        rf"from {n(name + 'low')} \({text(name + 'low_unit')}\) to {n(name + 'high')} "
        rf"\({text(name + 'high_unit')}\)"
    )


VERDICT = (
    rf"(?:significantly different from zero at {text('level', '1|5|10')} %|not significantly different from zero "
    rf"\(p (?:= )?{text('p', P)}\))"
)
CHANCE = rf"(?:, where chance alone would give about {n('chance')}(?: to {n('chance_most')})?)?"
SIGNIFICANCE = (
    rf"(?:is not significantly different from zero at 5 % in any of {n('none_of')} {text('none_noun', NOUN)}"
    rf"|is significant at 5 % in {n('hits')} of {n('of')} {text('noun', NOUN)}"
    rf" \((?:{n('up')} positive, {n('down')} negative|{text('sign', 'positive|negative')})\){CHANCE}"
    rf"|{text('untested', 'is without tests')})"
)


@dataclass
class Said:
    """The parts of one sentence; each must be looked at."""

    sentence: str
    parts: dict[str, str | None]
    seen: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> str | None:
        self.seen.add(name)
        return self.parts.get(name)

    def number(self, name: str, value: float, unit: float = 1.0) -> None:
        """The part is this value, times unit, at the digits that are printed."""
        printed = self[name]
        assert printed is not None, f"no {name} in {self.sentence!r}"
        assert shows(printed, float(value) * unit), (
            f"{name}: {printed}, tables say {value * unit!r}: {self.sentence!r}"
        )

    def p_value(self, name: str, p: float) -> None:
        printed = self[name]
        good = (
            p < 0.001
            if printed in ("<0.001", "< 0.001")
            else printed is not None and p >= 0.0005 and shows(printed, p)
        )
        assert good, f"{name}: {printed}, tables say {p!r}: {self.sentence!r}"

    def word(self, name: str, value: object) -> None:
        assert self[name] == value, (
            f"{name}: {self.parts.get(name)!r}, tables say {value!r}: {self.sentence!r}"
        )

    def verdict(self, p: float) -> None:
        """The strongest of 1, 5 and 10 % that p is below, else p itself."""
        reached = next((str(level) for level in (1, 5, 10) if p < level / 100), None)
        self.word("level", reached)
        if reached is None:
            assert not math.isnan(p), f"a verdict without a test: {self.sentence!r}"
            self.p_value("p", p)
        else:
            self.word("p", None)

    def ends(self, values: pd.Series, units: pd.Series, name: str = "", unit: float = 1.0) -> None:
        """Least and greatest value with the unit of each."""
        values = values.reset_index(drop=True)
        for end, at in (("low", values.idxmin()), ("high", values.idxmax())):
            self.number(name + end, values[at], unit)
            self.word(f"{name}{end}_unit", str(units.iloc[at]))

    def chance(self, hits: int, units: int, tests: int = 1) -> None:
        """How many true nulls would be rejected, told from 20 tests on where that is a fair part of those seen."""
        if units >= 20 and hits <= 3 * tests * 0.05 * units:
            self.number("chance", 0.05 * units)
            self.number("chance_most", tests * 0.05 * units) if tests > 1 else self.word(
                "chance_most", None
            )
        else:
            self.word("chance", None)
            self.word("chance_most", None)

    def significance(self, p: pd.Series, estimate: pd.Series, noun: str) -> None:
        """In how many units p is below 5 %, and the signs of those."""
        known = p.notna()
        hits = known & (p < 0.05)
        told = {
            name: self[name]
            for name in ("untested", "none_of", "none_noun", "hits", "of", "noun", "sign")
        }
        told |= {name: self[name] for name in ("up", "down")}
        up = int((hits & (estimate > 0)).sum())
        down = int((hits & (estimate < 0)).sum())
        if not known.any():
            assert told["untested"], self.sentence
        elif not hits.any():
            self.number("none_of", known.sum())
            assert noun_of(told["none_noun"]) == noun, self.sentence
        else:
            self.number("hits", hits.sum())
            self.number("of", known.sum())
            assert noun_of(told["noun"]) == noun, self.sentence
            if up and down:
                self.number("up", up)
                self.number("down", down)
            else:
                self.word("sign", "positive" if up else "negative")
            self.chance(int(hits.sum()), int(known.sum()))
            return
        self.word("chance", None)
        self.word("chance_most", None)


def shows(printed: str, value: float) -> bool:
    """Whether the text is the value, rounded to the digits that it has."""
    if printed == "–":
        return math.isnan(value)
    plain = printed.replace(",", "")
    if plain.lstrip("-") == "inf":
        return float(plain) == value
    mantissa, _, power = plain.partition("e")
    step = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    return abs(float(plain) - value) <= 0.5000001 * step + 1e-12 * abs(value)


def noun_of(word: str | None) -> str:
    return str(word).removesuffix("s")


def units_of(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["scope"] != "mean"]


def noun_in(table: pd.DataFrame) -> str:
    """What a row of the table is about."""
    scopes = set(table["scope"]) - {"mean"}
    assert len(scopes) == 1
    return {"pooled": "regression"}.get(*scopes, *scopes)


Check = Callable[[Any, Said], None]
PATTERNS: dict[str, list[tuple[str, re.Pattern[str], Check]]] = {}


def pattern(subject: str, regex: str) -> Callable[[Check], Check]:
    """The check of the sentences of a subject that have this form."""

    def add(check: Check) -> Check:
        PATTERNS.setdefault(subject, []).append((check.__name__, re.compile(regex), check))
        return check

    return add


def parse(subject: str, sentence: str, about: Any) -> str:
    """The name of the only pattern that the sentence has; all of its parts agree with the tables.

    Raises:
        AssertionError: it has none, or more than one, or says something else than the tables.
    """
    found = [(name, regex.fullmatch(sentence), check) for name, regex, check in PATTERNS[subject]]
    matched = [(name, match, check) for name, match, check in found if match]
    names = [name for name, *_ in matched]
    assert len(matched) == 1, (
        f"{subject}: {names or 'no pattern'} for {sentence!r}; add one to tests/sentences.py"
    )
    name, match, check = matched[0]
    said = Said(sentence, match.groupdict())
    check(about, said)
    unread = [
        part for part, value in said.parts.items() if value is not None and part not in said.seen
    ]
    assert not unread, f"{subject}, {name}: {unread} of {sentence!r} are not checked"
    return name


# Coefficients


def rows_of(report: Any, term: str | None) -> pd.DataFrame:
    table = units_of(report.fit.coefficients)
    found = table[(table["term"] == term) & table["estimate"].notna()]
    assert len(found), f"no term {term!r}"
    return found


def mean_of(report: Any, term: str | None) -> pd.DataFrame:
    table = report.fit.coefficients
    return table[(table["scope"] == "mean") & (table["term"] == term)]


WITHHELD = (
    rf"without a verdict: {n('fewest')} (?:{text('of_what', 'assets?|dates?')}|clusters? by "
    rf"{text('label', '[a-z_]+')}) are too few for a test"
)


COVARIANCES = ("nonrobust", "HC0", "HC1", "HC2", "HC3", "HAC", "cluster", "driscoll_kraay")
DOUBT = r"[A-Za-z0-9 ,.=_-]+ (?:overlap|independent)"
DOUBTED = rf"without a verdict: {text('doubt', DOUBT)}"


def doubt_by_hand(report: Any) -> str:
    """What the errors of a run ignore; empty where they allow for what its rows share."""
    horizon = report.panel.horizon
    overlap = f"ignore that targets over {horizon} rows overlap"
    by = setting(report, "by")
    if setting(report, "cov") not in COVARIANCES:  # of a model that has errors of its own
        return ""
    if by == "date":
        lags = setting(report, "mean_lags")
        short = lags is not None and lags < horizon - 1
        errors = f"errors of the mean over dates with model.mean_lags={lags}"
        return f"{errors} {overlap}" if short else ""
    errors = f"{name_of_errors(report)} standard errors"
    if horizon > 1 and not allows_for_overlap(report):
        if setting(report, "cov") in ("HAC", "driscoll_kraay"):
            return f"{errors} have too few lags for targets over {horizon} rows, which overlap"
        return f"{errors} {overlap}"
    by_date = setting(report, "cov") == "driscoll_kraay" or "date" in setting(
        report, "clusters", []
    )
    if by != "asset" and len(report.panel.assets) > 1 and not by_date:
        return f"{errors} treat the assets of a date as independent"
    return ""


def few_by_hand(report: Any, unit: str) -> bool:
    """Whether the regression of this unit rests on fewer than 30 clusters."""
    if setting(report, "cov") not in ("cluster", "driscoll_kraay"):
        return False
    fewest = clusters_by_hand(report)
    return unit in fewest and fewest[unit][0] < 30


def judged_by_hand(report: Any, rows: pd.DataFrame) -> pd.Series:
    """P-values, without those that rest on few clusters or on errors that ignore something."""
    if doubt_by_hand(report):
        return rows["p_value"] * math.nan
    few = [few_by_hand(report, unit) for unit in rows["unit"]]
    return rows["p_value"].mask(few)


UNJUDGED = rf"(?:; without a verdict in {n('unjudged')}, on too few clusters)?"


def unjudged_by_hand(report: Any, said: Said, rows: pd.DataFrame) -> pd.Series:
    """P-values that deserve a verdict; the sentence counts those that do not."""
    judged = judged_by_hand(report, rows)
    few = int(rows["p_value"].notna().sum() - judged.notna().sum())
    said.number("unjudged", few) if few else said.word("unjudged", None)
    return judged


TESTED = rf"\(s\.e\. {n('se')}, t {n('t')}\)"


@pattern(
    "Coefficients",
    rf"{text('term')}: {n('b')}(?:, {text('untested', 'without a test')}| {TESTED}, (?:{VERDICT}|{WITHHELD}|{DOUBTED}))\.",
)
def one_estimate(report: Any, said: Said) -> None:
    [row] = rows_of(report, said["term"]).to_dict("records")
    said.number("b", row["estimate"])
    if said["untested"]:
        assert math.isnan(row["p_value"])
        return
    said.number("se", row["std_error"])
    said.number("t", row["t_stat"])
    doubt = doubt_by_hand(report)
    if doubt:
        said.word("doubt", doubt)
        return
    if few_by_hand(report, row["unit"]):
        said.number("fewest", clusters_by_hand(report)[row["unit"]][0])
        way = clusters_by_hand(report)[row["unit"]][1]
        assert way == (said["label"] or noun_of(said["of_what"]))
        return
    said.verdict(row["p_value"])


@pattern(
    "Coefficients",
    rf"{text('term')}: mean {n('b')} {TESTED} over {n('dates')} dates, (?:{VERDICT}|{DOUBTED}); "
    rf"estimates {ends()}\.",
)
def mean_over_dates(report: Any, said: Said) -> None:
    rows, [mean] = rows_of(report, said["term"]), mean_of(report, said["term"]).to_dict("records")
    assert set(rows["scope"]) == {"date"}
    said.number("b", mean["estimate"])
    said.number("se", mean["std_error"])
    said.number("t", mean["t_stat"])
    said.number("dates", len(rows))
    doubt = doubt_by_hand(report)
    if doubt:
        said.word("doubt", doubt)
    else:
        said.verdict(mean["p_value"])
    said.ends(rows["estimate"], rows["unit"])


@pattern(
    "Coefficients",
    rf"{text('term')} (?:{SIGNIFICANCE}{UNJUDGED}|is without a verdict, on too few clusters in each "
    rf"{text('withheld', NOUN)}|is {DOUBTED}); estimates {ends()}(?:, mean {n('mean')}(?: \(t "
    rf"{n('t')}\))?)?\.",
)
def estimates_of_units(report: Any, said: Said) -> None:
    rows, mean = rows_of(report, said["term"]), mean_of(report, said["term"])
    assert len(rows) > 1 and noun_in(rows) != "date"
    judged = judged_by_hand(report, rows)
    doubt = doubt_by_hand(report)
    if rows["p_value"].notna().any() and doubt:
        said.word("doubt", doubt)
    elif rows["p_value"].notna().any() and judged.isna().all():
        said.word("withheld", noun_in(rows))
    else:
        judged = unjudged_by_hand(report, said, rows)
        said.significance(judged, rows["estimate"], noun_in(rows))
    said.ends(rows["estimate"], rows["unit"])
    if mean.empty:
        said.word("mean", None)
        return
    said.number("mean", mean["estimate"].iloc[0])
    if said["untested"]:
        said.word("t", None)
    else:
        said.number("t", mean["t_stat"].iloc[0])


@pattern("Coefficients", rf"{n('terms')} further terms?: see coefficients\.csv\.")
def further_terms(report: Any, said: Said) -> None:
    said.number("terms", units_of(report.fit.coefficients)["term"].nunique() - 20)


@pattern("Coefficients", rf"Set to zero: {text('names')} \({n('none')} of {n('terms')} terms?\)\.")
def set_to_zero(report: Any, said: Said) -> None:
    table = units_of(report.fit.coefficients)
    kept = table[(table["estimate"] != 0.0) & table["estimate"].notna()]["term"]
    terms = list(dict.fromkeys(table.loc[table["estimate"].notna(), "term"]))
    none = [term for term in terms if term not in set(kept)]
    said.number("none", len(none))
    said.number("terms", len(terms))
    assert not report.fit.coefficients["p_value"].notna().any()
    names, _, more = str(said["names"]).partition(" and ")
    assert names.split(", ") == none[: len(names.split(", "))]
    assert not more or more == f"{len(none) - len(names.split(', '))} more"


@pattern(
    "Standard errors",
    rf"The t-statistic of a mean treats {text('noun')} as independent; common shocks would "
    rf"make it too large\.",
)
def mean_takes_units_as_independent(report: Any, said: Said) -> None:
    assert (report.fit.coefficients["scope"] == "mean").any()
    assert noun_of(said["noun"]) == noun_in(units_of(report.fit.coefficients)) != "date"


def setting(report: Any, name: str, default: Any = None) -> Any:
    return (report.spec["model"] or {}).get(name, default)


def name_of_errors(report: Any) -> str:
    cov = str(setting(report, "cov"))
    return NAMES_OF_ERRORS.get(cov, cov)


def capital(words: str) -> str:
    """The words at the beginning of a sentence."""
    return words[:1].upper() + words[1:]


def refuses(report: Any, advice: str) -> list[str]:
    """What is wrong with the model when the advice is followed."""
    from runner.experiment.spec import mistakes

    model = dict(report.spec["model"])
    for word in advice.split():
        key, _, value = word.removeprefix("model.").partition("=")
        model[key] = (
            list(filter(None, value[1:-1].split(",")))
            if value.startswith("[")
            else int(value)
            if value.isdigit()
            else value
        )
    return list(mistakes({**report.spec, "model": model}))


ADVICE = text("advice", r"model\.cov\S*=\S+(?: model\.clusters=\S+)?")


def allows_for_overlap(report: Any) -> bool:
    """HAC and Driscoll-Kraay with lags of horizon - 1 or more, clusters that hold all rows of an asset."""
    cov, lags = setting(report, "cov"), report.fit.quality["cov_lags"].dropna()
    if cov in ("HAC", "driscoll_kraay"):
        return bool(lags.min() >= report.panel.horizon - 1)
    return cov == "cluster" and setting(report, "clusters") != ["date"]


@pattern(
    "Standard errors",
    rf"{text('cov')} standard errors treat the assets of a date as independent; common shocks "
    rf"would make t too large; use {ADVICE}\.",
)
def assets_taken_as_independent(report: Any, said: Said) -> None:
    said.word("cov", capital(name_of_errors(report)))
    assert setting(report, "cov") != "driscoll_kraay" and "date" not in setting(report, "clusters")
    assert setting(report, "by") not in ("asset", "date") and not refuses(
        report, str(said["advice"])
    )


@pattern(
    "Standard errors",
    rf"Targets over {n('ahead')} rows overlap, which {text('cov')} standard errors ignore: "
    rf"t is likely too large; use {ADVICE}\.",
)
def overlap_is_ignored(report: Any, said: Said) -> None:
    said.number("ahead", report.panel.horizon)
    said.word("cov", name_of_errors(report))
    assert not allows_for_overlap(report) and not refuses(report, str(said["advice"]))


@pattern(
    "Standard errors",
    rf"Targets over {n('ahead')} rows overlap beyond the {n('lags')} lags? of the "
    rf"{text('cov')} standard errors: "
    rf"t is likely too large; use {ADVICE}\.",
)
def overlap_is_longer_than_the_lags(report: Any, said: Said) -> None:
    said.number("ahead", report.panel.horizon)
    said.number("lags", report.fit.quality["cov_lags"].dropna().min())
    said.word("cov", name_of_errors(report))
    said.word("advice", f"model.cov_lags={report.panel.horizon - 1}")
    assert not allows_for_overlap(report)


FEW_HELP = rf"(?:use {text('advice', r'model[.].+?')}|{text('more', 'more of them would help')})"


def clusters_by_hand(report: Any) -> dict[str, tuple[int, str]]:
    """Of each regression the fewest clusters among the rows in use, and what they are of, counted cell by cell."""
    panel = report.panel
    use = panel.valid
    labels = {"asset": list(panel.assets)}
    by = setting(report, "by")
    names = setting(report, "clusters") if setting(report, "cov") == "cluster" else ["date"]
    for name in {*names, by} - {"asset", "date", None}:
        labels[name] = panel.groups[name].reindex(panel.assets).tolist()
    fewest = {}
    for unit in report.fit.quality["unit"]:
        seen: dict[str, set[Any]] = {name: set() for name in names}
        for t, i in zip(*np.nonzero(use), strict=True):
            if by is None or labels[by][i] == unit:
                for name in names:
                    seen[name].add(t if name == "date" else labels[name][i])
        number, way = min((len(seen[name]), k) for k, name in enumerate(names))
        fewest[unit] = (number, names[way])
    return fewest


@pattern(
    "Standard errors",
    rf"{text('cov')} standard errors rest on (?:as few as )?{n('fewest')} "
    rf"(?:{text('noun', 'assets?|dates?')}|clusters? by {text('label', '[a-z_]+')})"
    rf"(?: in {n('few')} of {n('all')} groups \({text('unit')}\))?: with fewer than 30 clusters tests "
    rf"reject too often \(Cameron and Miller 2015\); {FEW_HELP}\.",
)
def few_clusters_reject_too_often(report: Any, said: Said) -> None:
    said.word("cov", capital(name_of_errors(report)))
    clusters = clusters_by_hand(report)
    number, way = min(clusters.values())
    said.number("fewest", number)
    assert number < 30
    said.word("label" if said["label"] else "noun", way if said["label"] else said["noun"])
    assert way == (said["label"] or noun_of(said["noun"]))
    if len(clusters) > 1:
        said.number("few", sum(fewest < 30 for fewest, _ in clusters.values()))
        said.number("all", len(clusters))
        assert clusters[str(said["unit"])] == (number, way)
    dates = int(report.panel.valid.any(axis=1).sum())
    if said["advice"]:
        assert not refuses(report, str(said["advice"]))
        assert way != "date" and dates >= 30
    else:
        logit = setting(report, "estimator") == "logit" and report.panel.horizon > 1
        assert said["more"] and (way == "date" or dates < 30 or logit)


# Fit

ABOUT_ZERO = (
    rf", without a constant; R2 is about the mean of the target, uncentred R2 is {n('zero')}"
)
UNCENTRED = f"{text('uncentred', ABOUT_ZERO)}?"


def without_constant(report: Any, said: Said) -> None:
    """What R2 is about is said where a regression has no constant, and only there."""
    values = report.fit.quality["r2_uncentred"].dropna()
    assert bool(said["uncentred"]) == bool(len(values))
    if len(values):
        said.number("zero", values.mean())


@pattern(
    "Fit",
    rf"R2 is {n('r2')} in sample \({n('rows')} rows?{UNCENTRED}\)"
    rf"{text('slopes', f'; the slopes together are {VERDICT}')}?\.",
)
def r2_of_one(report: Any, said: Said) -> None:
    [row] = report.fit.quality[report.fit.quality["r2"].notna()].to_dict("records")
    said.number("r2", row["r2"])
    said.number("rows", row["n_obs"])
    without_constant(report, said)
    withheld = bool(doubt_by_hand(report)) or few_by_hand(report, row["unit"])
    is_judged = row["f_p_value"] == row["f_p_value"] and not withheld
    assert bool(said["slopes"]) == is_judged
    if said["slopes"]:
        said.verdict(row["f_p_value"])


@pattern(
    "Fit",
    rf"R2 in sample is {n('r2')}(?: \(adjusted {n('adjusted')}\))? on average over {n('units')} {text('noun', NOUN)}{UNCENTRED}, {ends()}\.",
)
def r2_of_units(report: Any, said: Said) -> None:
    rows = report.fit.quality[report.fit.quality["r2"].notna()]
    said.number("r2", rows["r2"].mean())
    adjusted = rows["r2_adj"].mean()
    assert bool(said["adjusted"]) == math.isfinite(adjusted)
    if said["adjusted"]:
        said.number("adjusted", adjusted)
    said.number("units", len(rows))
    without_constant(report, said)
    assert noun_of(said["noun"]) == noun_in(rows)
    said.ends(rows["r2"], rows["unit"])


@pattern(
    "Fit",
    rf"R2 is above 0\.995(?: in {n('nearly')} of {n('units')} {text('noun', NOUN)})?: "
    r"a regressor may be the target itself or a part of it\.",
)
def nearly_the_target(report: Any, said: Said) -> None:
    rows = report.fit.quality
    nearly = int(((rows["r2"] > 0.995) & (rows["df_resid"] >= 20)).sum())
    assert nearly > 0
    if len(rows) > 1:
        said.number("nearly", nearly)
        said.number("units", len(rows))
        assert noun_of(said["noun"]) == noun_in(rows)


# Hypotheses


@pattern(
    "Hypotheses",
    rf"{text('what')} has no verdict, on too few clusters \({n('fewest')} {text('of_what')}\)\.",
)
def hypothesis_on_few_clusters(report: Any, said: Said) -> None:
    rows = report.fit.hypotheses[report.fit.hypotheses["hypothesis"] == said["what"]]
    assert rows["p_value"].notna().any() and judged_by_hand(report, rows).isna().all()
    number, way = min(clusters_by_hand(report).values())
    said.number("fewest", number)
    assert way in str(said["of_what"])


@pattern("Hypotheses", rf"{text('what')} is {DOUBTED}\.")
def hypothesis_of_doubtful_errors(report: Any, said: Said) -> None:
    rows = report.fit.hypotheses[report.fit.hypotheses["hypothesis"] == said["what"]]
    assert rows["p_value"].notna().any()
    said.word("doubt", doubt_by_hand(report))


@pattern("Hypotheses", rf"{text('what')} could not be tested: {text('why')}\.")
def hypothesis_untested(report: Any, said: Said) -> None:
    rows = report.fit.hypotheses[report.fit.hypotheses["hypothesis"] == said["what"]]
    assert len(rows) and rows["p_value"].isna().all() and rows["reason"].iloc[0] in str(said["why"])


@pattern(
    "Hypotheses",
    rf"{text('what')} is {text('no', 'not ')}?rejected at 5 % "
    rf"\(F\({n('df_num')}, {n('df_den')}\) = {n('f')}, p (?:= )?{text('p', P)}\)"
    rf"{text('unproven', ', which does not prove it')}?\.",
)
def hypothesis_of_one(report: Any, said: Said) -> None:
    rows = report.fit.hypotheses[report.fit.hypotheses["hypothesis"] == said["what"]]
    [p] = rows["p_value"]
    said.p_value("p", p)
    for name, column in (("f", "f_stat"), ("df_num", "df_num"), ("df_den", "df_den")):
        said.number(name, rows[column].iloc[0])
    assert (said["no"] is None) == (said["unproven"] is None) == (p < 0.05), said.sentence


@pattern(
    "Hypotheses",
    rf"{text('what')} is rejected at 5 % in {n('hits')} of {n('of')} "
    rf"{text('noun', NOUN)}{CHANCE}{UNJUDGED}"
    rf"(?:; not testable in {n('untested')})?\.",
)
def hypothesis_of_units(report: Any, said: Said) -> None:
    rows = report.fit.hypotheses[report.fit.hypotheses["hypothesis"] == said["what"]]
    p = unjudged_by_hand(report, said, rows).dropna()
    said.number("hits", (p < 0.05).sum())
    said.number("of", len(p))
    assert noun_of(said["noun"]) == noun_in(rows)
    said.chance(int((p < 0.05).sum()), len(p)) if (p < 0.05).any() else said.word("chance", None)
    untested = int(rows["p_value"].isna().sum())
    said.number("untested", untested) if untested else said.word("untested", None)


# Out of sample

DM = (
    rf"(?:the model's squared errors are significantly {text('size', 'smaller|larger')} at 5 %|"
    r"the difference in squared errors is not significant at 5 %) "
    rf"\(Diebold-Mariano t = {n('dm')}, p (?:= )?{text('dm_p', P)}, {n('dates')} dates?\)"
)
CW = (
    rf"(?:; {text('gain', 'a|no')} significant gain over the training mean, which the model nests "
    rf"\(Clark-West t = {n('cw')}, p (?:= )?{text('cw_p', P)}, one-sided\)|"
    rf"; no Clark-West test of nested models: {text('no_cw', '.+?')})?"
)
BESIDE = (
    rf"RMSE: {n('rmse')}, against {n('naive')} for the training mean"
    rf"(?: of {text('better', 'each asset|all assets')}, the better benchmark)?; "
    rf"(?:{text('untested', 'the difference was not tested')}|{DM}{CW})"
)


def the_better_benchmark(report: Any, said: Said, row: dict[str, Any]) -> dict[str, Any]:
    """The row with the errors and the test of the benchmark that is named, computed from the predictions."""
    if not row["cw_reason"] or report.predictions["asset"].nunique() < 2:
        said.word("better", None)
        return row
    table = report.predictions
    is_held_out = table["fold"] == "holdout"
    if not is_held_out.all():
        table = table[is_held_out if row["unit"] == "holdout" else ~is_held_out]
    loss = (table["y"] - means_of_all_assets(report, table)) ** 2
    errors = np.sqrt(loss.groupby(table["path"]).mean()).mean()
    assert row["rmse_all_assets"] == pytest.approx(errors, rel=1e-9)
    is_better = errors < row["rmse_naive"]
    said.word("better", "all assets" if is_better else "each asset")
    if not is_better:
        return row
    stat, p = math.nan, math.nan
    if table["path"].nunique() == 1:
        gains = loss - (table["y"] - table["prediction"]) ** 2
        stat, p = diebold_mariano_by_hand(gains.groupby(table["date"]).mean(), report.panel.horizon)
        assert row["dm_stat_all_assets"] == pytest.approx(stat, rel=1e-7, nan_ok=True)
        assert row["dm_p_value_all_assets"] == pytest.approx(p, rel=1e-6, nan_ok=True)
    return {**row, "rmse_naive": errors, "dm_stat": stat, "dm_p_value": p}


def diebold_mariano_by_hand(gains: pd.Series, horizon: int) -> tuple[float, float]:
    """Statistic and p-value with the correction of Harvey, Leybourne and Newbold (1997), lag by lag.

    NaN where there are too few dates, and where the long-run variance by equal weights is not positive.
    """
    d = gains.sort_index().to_numpy()
    T, h = len(d), max(horizon, 1)
    if T < 10 or 2 * h >= T:
        return math.nan, math.nan
    about = d - d.mean()
    variance = about @ about + 2.0 * sum(about[lag:] @ about[:-lag] for lag in range(1, h))
    assert variance > 0.0, "no oracle for Bartlett weights here"
    share = (T + 1.0 - 2.0 * h + h * (h - 1.0) / T) / T
    stat = math.sqrt(share) * d.sum() / math.sqrt(variance)
    return stat, float(2.0 * student.sf(abs(stat), T - 1))


def means_of_all_assets(report: Any, table: pd.DataFrame) -> pd.Series:
    """The mean of the target over the training rows of all assets, of the fold of each row."""
    scored = report.panel.scored
    means = {}
    for fold in report.study.folds:
        valid = report.panel.valid[fold.train]
        means[fold.name] = scored[fold.train][valid].mean()
    return table["fold"].map(means).astype(float)


def beside(report: Any, said: Said, row: dict[str, Any]) -> None:
    said.number("rmse", row["rmse"])
    row = the_better_benchmark(report, said, row)
    said.number("naive", row["rmse_naive"])
    if said["untested"]:
        assert math.isnan(row["dm_p_value"])
        return
    said.number("dm", row["dm_stat"])
    said.p_value("dm_p", row["dm_p_value"])
    said.number("dates", row["test_dates"])
    found = row["dm_p_value"] < 0.05
    said.word("size", ("smaller" if row["dm_stat"] > 0 else "larger") if found else None)
    contains = setting(report, "by") == "asset" and setting(report, "constant", False)
    contains = contains or "asset" in (setting(report, "effects", None) or [])
    assert (said["cw"] is not None) == bool(contains) == (said["no_cw"] is None), said.sentence
    if said["cw"] is not None:
        said.number("cw", row["cw_stat"])
        said.p_value("cw_p", row["cw_p_value"])
        said.word("gain", "a" if row["cw_p_value"] < 0.05 else "no")


def pooled(report: Any) -> dict[str, Any]:
    [row] = report.scores[report.scores["scope"] == "pooled"].to_dict("records")
    return dict(row)


def recomputed(report: Any, held_out: bool = False) -> tuple[float, float, float]:
    """R2 against the benchmark, RMSE of the model and of the benchmark, from the predictions: means over paths."""
    table = report.predictions
    several = (table["fold"] == "holdout").any() and not (table["fold"] == "holdout").all()
    table = table[(table["fold"] == "holdout") == held_out] if several else table
    squares = (
        pd.DataFrame(
            {
                "path": table["path"],
                "model": (table["y"] - table["prediction"]) ** 2,
                "naive": (table["y"] - table["benchmark"]) ** 2,
            }
        )
        .groupby("path")
        .mean()
    )
    r2 = float((1.0 - squares["model"] / squares["naive"]).mean())
    return r2, float(np.sqrt(squares["model"]).mean()), float(np.sqrt(squares["naive"]).mean())


def r2_of_all_assets(report: Any, held_out: bool = False) -> float:
    """R2 against the mean of the target over the training rows of all assets, a mean over paths."""
    table = report.predictions
    is_held_out = table["fold"] == "holdout"
    table = table if is_held_out.all() else table[is_held_out == held_out]
    benchmark = means_of_all_assets(report, table)
    squares = {
        "model": (table["y"] - table["prediction"]) ** 2,
        "all": (table["y"] - benchmark) ** 2,
    }
    sums = pd.DataFrame({"path": table["path"], **squares}).groupby("path").sum()
    return float((1.0 - sums["model"] / sums["all"]).mean())


def agrees(said: Said, report: Any, held_out: bool = False) -> None:
    """The sentence with the predictions, not only with the table of scores."""
    r2, model, naive = recomputed(report, held_out)
    for name, value in (("r2", r2), ("rmse", model), ("naive", naive)):
        of_all = name == "naive" and said.parts.get("better") == "all assets"
        if said.parts.get(name) and not of_all:
            said.number(name, value)


@pattern("Out of sample", r"No row was held out: the fit was not tested on new rows\.")
def nothing_held_out(report: Any, said: Said) -> None:
    assert report.scores.empty and report.predictions.empty


@pattern(
    "Out of sample",
    rf"The hold-out of the experiment's example, after {text('end')}, does not fit these "
    r"dates; validation\.train_end=DATE holds out the rows after another one\.",
)
def hold_out_of_the_example(report: Any, said: Said) -> None:
    assert report.predictions.empty
    assert not report.panel.dates[0] < pd.Timestamp(said["end"]) < report.panel.dates[-1]


@pattern(
    "Out of sample",
    rf"(?:{text('same', 'The out-of-sample forecasts equal the training mean')}: R2 is {n('r2_same')}"
    rf"|Out-of-sample R2 is {n('r2')} against the training mean"
    rf"(?: of each asset, {n('r2_all')} against that of all)?) "
    rf"\({n('rows')} observations?(?:, {n('paths')} paths)?, {n('folds')} folds?"
    rf"(?:; positive in {n('positive')} of {n('units')} assets)?\)\.",
)
def r2_out_of_sample(report: Any, said: Said) -> None:
    row, open_folds = pooled(report), report.predictions["fold"].unique()
    agrees(said, report)
    said.number("rows", row["n_obs"])
    paths = report.predictions["path"].nunique()
    said.number("paths", paths) if paths > 1 else said.word("paths", None)
    kept = [fold for fold in open_folds if fold != "holdout"]
    said.number("folds", len(kept or open_folds))
    units = report.scores[report.scores["scope"] == "asset"]
    if len(units) > 1:
        said.number("positive", (units["r2"] > 0).sum())
        said.number("units", len(units))
    said.number("r2_same" if said["same"] else "r2", row["r2"])
    if said["r2_all"] is not None:
        assert row["cw_reason"]
        said.number("r2_all", r2_of_all_assets(report))
    assert (said["same"] is not None) == (abs(row["r2"]) < 1e-9)


@pattern("Out of sample", rf"{BESIDE}\.")
def errors_out_of_sample(report: Any, said: Said) -> None:
    beside(report, said, pooled(report))
    agrees(said, report)


@pattern(
    "Out of sample",
    rf"R2 of the {n('paths')} paths: mean {n('mean')}, standard deviation "
    rf"{n('std')}, from {n('low')} "
    rf"to {n('high')}; they forecast the same rows\.",
)
def r2_of_paths(report: Any, said: Said) -> None:
    r2 = report.scores.loc[report.scores["scope"] == "path", "r2"]
    values = {
        "paths": len(r2),
        "mean": r2.mean(),
        "std": r2.std(),
        "low": r2.min(),
        "high": r2.max(),
    }
    for name, value in values.items():
        said.number(name, value)


@pattern(
    "Out of sample",
    rf"The hold-out, which is in none of the above \(R2 = {n('r2')}"
    rf"(?: against the mean of each asset, {n('r2_all')} against that of all)?, "
    rf"{n('rows')} observations?\): "
    rf"{BESIDE}\.",
)
def hold_out(report: Any, said: Said) -> None:
    scores = report.scores
    [row] = scores[(scores["scope"] == "fold") & (scores["unit"] == "holdout")].to_dict("records")
    said.number("r2", row["r2"])
    said.number("rows", row["n_obs"])
    of_all = row["cw_reason"] and report.predictions["asset"].nunique() > 1
    assert bool(said["r2_all"]) == bool(of_all), said.sentence
    if of_all:
        said.number("r2_all", r2_of_all_assets(report, held_out=True))
    beside(report, said, row)
    agrees(said, report, held_out=True)


def trains_on_later(report: Any) -> bool:
    return len(report.folds) > 0 and bool(
        (report.folds["train_end"] > report.folds["test_start"]).any()
    )


@pattern(
    "Out of sample",
    r"Regressors and target are of the same date: this explains, it does not forecast\.",
)
def explains(report: Any, said: Said) -> None:
    assert report.kind == "explanatory" and (
        report.panel.horizon == 0 or report.audit.looks_ahead is False
    )


@pattern("Out of sample", r"Regressors are known before the target: this is a forecast\.")
def forecasts(report: Any, said: Said) -> None:
    assert report.kind == "predictive" and not trains_on_later(report)


@pattern(
    "Out of sample",
    r"Folds train on later rows too: this measures how well the relation holds, not a forecast "
    r"that could have been made at the time\.",
)
def fits_on_later_rows(report: Any, said: Said) -> None:
    assert report.kind == "predictive" and trains_on_later(report)


@pattern(
    "Out of sample",
    rf"{n('lost')} of {n('dates')} dates? (?:is|are) in no fold: no asset has a target and every "
    r"feature there\.",
)
def not_counted(report: Any, said: Said) -> None:
    valid = report.panel.valid
    said.number("lost", sum(not row.any() for row in valid))
    said.number("dates", len(valid))


@pattern("Out of sample", rf"{n('rows')} test rows? could not be forecast\.")
def not_forecast(report: Any, said: Said) -> None:
    said.number("rows", report.folds["not_forecast"].sum())


# Residuals and columns


def smallest(report: Any, what: str) -> pd.Series:
    """The smallest p-value of each unit over the tests of one kind."""
    table = report.diagnostics
    rows = table[table["diagnostic"].isin(TESTS[what]) & table["p_value"].notna()]
    return rows.groupby("unit")["p_value"].min()


MENDED = {  # by finding and errors: what the sentence must advise
    ("heteroskedasticity", "nonrobust"): (
        "classical standard errors may be too small or too large; use model.cov=HC3, "
        "or HAC if residuals are serially correlated"
    ),
    ("serial correlation", "nonrobust"): ("classical standard errors ignore it; use model.cov=HAC"),
    ("serial correlation", "HAC"): "the Newey-West standard errors allow for it, up to their lags",
}
MENDED["volatility clustering", "nonrobust"] = MENDED["heteroskedasticity", "nonrobust"]
for _cov in ("HC0", "HC1", "HC2", "HC3", "HAC"):
    _name = NAMES_OF_ERRORS.get(_cov, _cov)
    for _what in ("heteroskedasticity", "volatility clustering"):
        MENDED[_what, _cov] = f"the {_name} standard errors allow for it"
    MENDED.setdefault(
        ("serial correlation", _cov), f"{_name} standard errors ignore it; use model.cov=HAC"
    )


FINDINGS = "Heteroskedasticity|Serial correlation|Volatility clustering|Non-normal residuals"
LARGE = rf"t- and F-tests then hold in large samples only \(here {n('rows')} rows?{text('more', ' or more')}?\)"


@pattern(
    "Diagnostics",
    rf"{text('what', FINDINGS)} at 5 %(?: in {n('hits')} of {n('of')} assets{CHANCE})? \({text('tests')}\): "
    rf"(?:{LARGE}|{text('advice', '(?!t- and F-tests).+')})\.",
)
def residuals_fail(report: Any, said: Said) -> None:
    what = str(said["what"]).lower()
    p, cov = smallest(report, what), setting(report, "cov")
    hits = int((p < 0.05).sum())
    assert hits and said["tests"] == NAMES_OF_TESTS[what]
    if len(p) > 1:
        said.number("hits", hits)
        said.number("of", len(p))
        said.chance(hits, len(p), len(TESTS[what]))
    if what == "non-normal residuals":
        quality = report.fit.quality[report.fit.quality["r2"].notna()]
        said.number("rows", quality["n_obs"].min())
        assert bool(said["more"]) == (len(quality) > 1)
    else:
        said.word("advice", MENDED[what, cov])


@pattern("Diagnostics", rf"Not found at 5 %: {text('what')}; which does not prove their absence\.")
def residuals_pass(report: Any, said: Said) -> None:
    clean = [
        what
        for what in TESTS
        if len(smallest(report, what)) and not (smallest(report, what) < 0.05).any()
    ]
    said.word("what", ", ".join(clean))


@pattern(
    "Diagnostics",
    rf"Collinear: {text('which')}; their separate estimates are imprecise, "
    rf"drop or combine "
    r"columns\.",
)
def collinear(report: Any, said: Said) -> None:
    table = report.diagnostics[report.diagnostics["diagnostic"] == "vif"]
    worst = table.groupby("term")["statistic"].max()
    told = dict(re.findall(rf"(\w+) \(VIF up to ({NUMBER})\)", str(said["which"])))
    assert set(told) == set(worst[worst > 10.0].index)
    assert all(shows(value, worst[term]) for term, value in told.items())


@pattern(
    "Diagnostics",
    rf"{text('what', '[a-z_]+')} was not computed in {n('units')} assets?: {text('why')}\.",
)
def not_computed(report: Any, said: Said) -> None:
    table = report.diagnostics
    rows = table[(table["diagnostic"] == said["what"]) & (table["reason"].fillna("") != "")]
    said.number("units", len(rows))
    assert set(rows["reason"]) == set(str(said["why"]).split(", "))


ALLOWED = {  # what each covariance is made for, by the textbook
    "nonrobust": r"assume equal variances and independent rows, which assets of one date seldom are",
    "HC": r"allow for heteroskedasticity, and assume independent rows",
    "cluster": r"allow for heteroskedasticity and for correlation within a cluster",
    "driscoll_kraay": r"allow for heteroskedasticity, common shocks, and serial correlation up to their lags",
}


@pattern(
    "Diagnostics",
    rf"Residuals of {text('regressions', 'a pooled regression|regressions by [a-z]+')} are not tested "
    rf"here; {text('cov', 'classical|HC[0-3]|clustered|Driscoll-Kraay')} standard "
    rf"errors {text('what', '|'.join(ALLOWED.values()))}\.",
)
def residuals_untested(report: Any, said: Said) -> None:
    noun, cov = noun_in(report.fit.quality), str(setting(report, "cov"))
    assert report.diagnostics.empty and noun != "asset"
    pooled_or_by = "a pooled regression" if noun == "regression" else f"regressions by {noun}"
    said.word("regressions", pooled_or_by)
    said.word("cov", name_of_errors(report))
    said.word("what", ALLOWED["HC" if cov.startswith("HC") else cov])


@pattern(
    "Diagnostics",
    rf"The target of {text('whose')} has fewer than ten distinct values \({text('each')}\): "
    r"are its prices rounded coarsely\?",
)
def few_distinct_values(report: Any, said: Said) -> None:
    name, number, *_ = str(said["each"]).split(" ")
    column = report.panel.assets.index(name)
    values = report.panel.y[report.panel.valid[:, column], column]
    assert len(set(values)) == int(number) < 10 <= 30 <= len(values)
    assert said["whose"] in {name} or str(said["whose"]).endswith(" assets")


# Leak audit and what was left out


@pattern("Look-ahead audit", r"Switched off \(audit=off\): nothing was tested for look-ahead\.")
def audit_off(report: Any, said: Said) -> None:
    assert report.audit is None


@pattern(
    "Look-ahead audit",
    rf"{text('answer', 'Look-ahead|No look-ahead found')}: {n('columns')} columns? recomputed on data "
    rf"that end at {n('cuts')} dates?, or differ after them "
    rf"\({text('drawn', 'sample|all of the data')}: {n('assets')} assets?, {n('rows')} rows?; "
    rf"seed {text('seed', '[0-9]+')}\){text('clean', '; no value known by then changed')}?\.",
)
def audit_tried(report: Any, said: Said) -> None:
    table = report.audit.table
    assert (said["clean"] is None) == bool((table["verdict"] == "leak").any())
    assert (said["answer"] == "Look-ahead") == (said["clean"] is None)
    assert (said["drawn"] == "sample") == (not report.audit.thorough)
    assert int(said["seed"]) == report.audit.seed
    of_columns = table["what"].str.startswith(("features.", "target", "preprocess"))
    said.number("columns", table.loc[of_columns, "what"].nunique())
    for name in ("assets", "rows", "cuts"):
        said.number(name, getattr(report.audit, name))


@pattern(
    "Rows",
    rf"{n('used')} observations? have every feature of the spec; the model uses all, "
    r"so that model\.rows=own and common are the same\.",
)
def rows_all_the_same(report: Any, said: Said) -> None:
    said.number("used", report.panel.valid.sum())
    assert not report.rows.lacking


def own_cells(report: Any) -> tuple[np.ndarray, str | None]:
    """Cells (T, N) with a target and the model's own regressors, and in how many which other feature is unknown."""
    whole = report.rows.whole
    known = np.isfinite(whole.X)
    own = [whole.names.index(name) for name in report.rows.features]
    cells = np.isfinite(whole.y) & known[:, :, own].all(axis=2)
    lost = {name: int((cells & ~known[:, :, k]).sum()) for k, name in enumerate(whole.names)}
    return cells, ", ".join(
        f"{name} in {number:,}" for name, number in lost.items() if number
    ) or None


@pattern(
    "Rows",
    rf"{n('used')} observations? have the model's own regressors \(model\.rows=own\)"
    rf"(?:; all of them have the other features of the spec too"
    rf"|; {n('common')} of them have every feature of the spec \(missing: {text('lacking')}\))\.",
)
def rows_own(report: Any, said: Said) -> None:
    assert report.rows.kind == "own"
    own, unknown = own_cells(report)
    assert (report.panel.valid == own).all()
    said.number("used", own.sum())
    said.word("lacking", unknown)
    if unknown is None:
        said.word("common", None)
    else:
        said.number("common", report.rows.whole.valid.sum())


@pattern(
    "Rows",
    rf"{n('used')} observations? have every feature of the spec \(model\.rows=common\)"
    rf"(?:; no others have the model's own regressors"
    rf"|; {n('own')} have the model's own regressors \(missing: {text('lacking')}\))\.",
)
def rows_common(report: Any, said: Said) -> None:
    assert report.rows.kind == "common"
    said.number("used", report.panel.valid.sum())
    own, unknown = own_cells(report)
    said.word("lacking", unknown)
    if unknown is None:
        said.word("own", None)
    else:
        said.number("own", own.sum())


@pattern("Look-ahead audit", rf"{text('what', '[^:]+')}: {text('verdict', 'not audited: .+')}\.")
def not_audited(report: Any, said: Said) -> None:
    table = report.audit.table
    assert said["verdict"] in set(table.loc[table["what"] == said["what"], "verdict"])


@pattern(
    "Look-ahead audit",
    rf"{text('names')} did not change when the data did, as a calendar would not: "
    r"the audit cannot see look-ahead in data from elsewhere\.",
)
def without_data(report: Any, said: Said) -> None:
    assert set(str(said["names"]).split(", ")) == set(report.audit.without_data)


@pattern(
    "Left out",
    rf"{n('rows')} {text('what', '[a-z -]+?')}{text('fate', ' dropped')}?: {text('why')}\.",
)
def dropped(report: Any, said: Said) -> None:
    rows, what = int(str(said["rows"]).replace(",", "")), str(said["what"])
    forms = {
        (one.rows, one.what if one.rows == 1 else f"{one.what}s", one.reason)
        for one in report.dropped
    }
    assert (rows, what, said["why"]) in forms, forms
    assert (said["fate"] is None) == what.startswith(("changed", "missing"))


@pattern(
    "Left out",
    rf"{n('units')} of {n('of')} {text('noun', NOUN)} \({text('names')}\): "
    rf"{text('fate', 'not estimated|estimated without errors')}, {text('why')}\.",
)
def left_out(report: Any, said: Said) -> None:
    quality, bare = report.fit.quality, said["fate"] == "not estimated"
    rows = quality[(quality["reason"] == said["why"]) & (quality["r2"].isna() == bare)]
    said.number("units", len(rows))
    said.number("of", len(quality))
    assert noun_of(said["noun"]) == noun_in(quality)
    names, _, more = str(said["names"]).partition(" and ")
    assert names.split(", ") == list(rows["unit"])[: len(names.split(", "))]
    assert not more or more == f"{len(rows) - len(names.split(', '))} more"
