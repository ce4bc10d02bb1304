"""The tables of a report as short sentences, never more certain than the test behind them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runner import advice
from runner.errors import listed

if TYPE_CHECKING:
    import pandas as pd

    from runner.report import Report

LEVEL = 0.05
MOST_VIF = 10.0
SAME = 1e-9  # out-of-sample R2 below which forecasts are the benchmark but for rounding
MOST_TERMS = 20  # terms with a sentence of their own
MANY_TESTS = 20  # tests from which on the count expected by chance is told
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
        "Coefficients": _coefficients(report),
        "Fit": _fit(report),
        "Hypotheses": _hypotheses(report),
        **{name.replace("_", " ").capitalize(): list(one.words) for name, one in report.findings.items()},
        "Out of sample": _out_of_sample(report),
        "Residuals and columns": _diagnostics(report),
        "Leak audit": _audit(report),
        "Trials": report.trials.words if report.trials else [],
        "Left out": _left_out(report),
    }
    return {subject: sentences for subject, sentences in parts.items() if sentences}


def number(value: float, digits: int = 4) -> str:
    """Four significant digits, thousands separated; scientific only where far from one."""
    if not math.isfinite(value) or value == 0.0:
        return "–" if math.isnan(value) else f"{value:g}"
    size = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if not -5 <= size < 9:
        return f"{value:.{digits - 1}e}"
    return f"{value:,.{max(digits - 1 - size, 0)}f}"


def p_text(p: float) -> str:
    """A p-value to three decimals."""
    return "–" if math.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def stars(p: float) -> str:
    """The usual marks of significance; none where there is no p-value."""
    return sum(p < level for level in (0.01, 0.05, 0.1)) * "*"


def t_text(t: float) -> str:
    return "–" if math.isnan(t) else f"{t:,.2f}" if abs(t) < 100 else f"{t:,.1f}"


def percent(share: float) -> str:
    """A share in percent; small ones keep two significant digits."""
    if math.isnan(share):
        return "–"
    return f"{share:,.1%}".replace("%", " %") if abs(share) >= 0.01 or share == 0.0 else f"{100.0 * share:.2g} %"


def count(n: int, noun: str) -> str:
    return f"{n:,} {noun if n == 1 else plural(noun)}"


def plural(noun: str) -> str:
    return f"{noun}s"


def target_text(report: Report) -> str:
    """The target with its unit, as an axis or a column says it."""
    settings, ahead = report.spec.get("target") or {}, report.panel.horizon
    module, _, name = str(settings.get("_target_", "")).rpartition(".")
    if module != "runner.targets":
        return f"{name or 'target'} (its own unit)"
    if name == "up":
        return f"up (1 or 0, over {count(ahead, 'row')} ahead)"
    if name == "forward_volatility":
        return f"volatility (over {count(ahead, 'row')} ahead, decimals a year)"
    over = f"over {count(ahead, 'row')} ahead, decimals" if ahead else "decimals per row"
    return f"{'excess return' if settings.get('risk_free') else 'return'} ({over})"


def unit_noun(table: pd.DataFrame) -> str:
    """What the rows of a table are about: asset, date, group, or regression where there is only one pool."""
    scopes = [scope for scope in table["scope"].unique() if scope != "mean"]
    return scopes[0] if len(scopes) == 1 and scopes[0] != "pooled" else "regression"


def per_unit(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the units, without those of the mean over them."""
    return table[table["scope"] != "mean"]


def errors_in_force(report: Report) -> str:
    """The name of the covariance, nothing where it is unknown or differs by unit."""
    quality = report.fit.quality
    names = quality["cov"].dropna().unique() if "cov" in quality else []
    return str(names[0]) if len(names) == 1 else ""


def verdict(p: float) -> str:
    for level in (0.01, 0.05, 0.10):
        if p < level:
            return f"distinguishable from zero at {level:.0%}".replace("%", " %")
    return f"not distinguishable from zero (p {p_text(p)})"


def _range(table: pd.DataFrame, column: str) -> str:
    """Least and greatest value with the unit of each."""
    low, high = (table.iloc[int(at)] for at in (table[column].argmin(), table[column].argmax()))
    return f"from {number(low[column])} ({low['unit']}) to {number(high[column])} ({high['unit']})"


def _coefficients(report: Report) -> list[str]:
    table = per_unit(report.fit.coefficients)
    table = table[table["estimate"].notna()]
    each = table.groupby("term", sort=False)
    none = [t for t, rows in each if (rows["estimate"] == 0.0).all() and rows["p_value"].isna().all()]
    terms = [term for term in table["term"].unique() if term not in none]
    found = [_term(report, str(term), table[table["term"] == term]) for term in terms[:MOST_TERMS]]
    if len(terms) > MOST_TERMS:
        found.append(f"{count(len(terms) - MOST_TERMS, 'further term')}: see coefficients.csv.")
    if none:
        found.append(f"Set to zero: {listed(none)} ({len(none):,} of {count(len(each), 'term')}).")
    return found + _on_errors(report, table)


def _term(report: Report, term: str, rows: pd.DataFrame) -> str:
    """One term, over however many units there are."""
    tested = rows[rows["p_value"].notna()]
    if len(rows) == 1:
        row = rows.iloc[0]
        errors = f"(s.e. {number(row['std_error'])}, t {t_text(row['t_stat'])}), {verdict(row['p_value'])}"
        return f"{term}: {number(row['estimate'])}{', without a test' if tested.empty else ' ' + errors}."
    noun = plural(unit_noun(rows))
    if noun == "dates" and (mean := _mean(report, term)) is not None:  # the mean is what was asked for
        told = f"mean {number(mean['estimate'])} (s.e. {number(mean['std_error'])}, t {t_text(mean['t_stat'])})"
        each = f"over {len(rows):,} dates, {verdict(mean['p_value'])}; estimates {_range(rows, 'estimate')}"
        return f"{term}: {told} {each}."
    found = significance(tested, noun) if len(tested) else "is without tests"
    mean = _mean(report, term)
    told = "" if mean is None else f", mean {number(mean['estimate'])} (t {t_text(mean['t_stat'])})"
    return f"{term} {found}; estimates {_range(rows, 'estimate')}{told}."


def significance(tested: pd.DataFrame, noun: str) -> str:
    """In how many units a term is significant, with the signs of those."""
    hits = tested[tested["p_value"] < LEVEL]
    if hits.empty:
        return f"is not distinguishable from zero at 5 % in any of {len(tested):,} {noun}"
    up = int((hits["estimate"] > 0).sum())
    signs = (
        f"{up:,} positive, {len(hits) - up:,} negative" if 0 < up < len(hits) else "positive" if up else "negative"
    )
    of = f"{len(hits):,} of {len(tested):,} {noun}"
    return f"is significant at 5 % in {of} ({signs}){by_chance(len(hits), len(tested))}"


def by_chance(hits: int, units: int, tests: int = 1) -> str:
    """How many rejections a true null would give, where that is a fair part of those seen."""
    expected = LEVEL * units
    if units < MANY_TESTS or hits > 3 * tests * expected:
        return ""
    return f", where chance alone would give about {expected:,.0f}" + f" to {tests * expected:,.0f}" * (tests > 1)


def _mean(report: Report, term: str) -> pd.Series | None:
    """The row of the mean of a term over units, None where there is none."""
    table = report.fit.coefficients
    rows = table[(table["scope"] == "mean") & (table["term"] == term)]
    return rows.iloc[0] if len(rows) else None


def _on_errors(report: Report, table: pd.DataFrame) -> list[str]:
    """What the errors assume, where that is likely wrong."""
    found, noun, scopes = [], unit_noun(table), set(report.fit.coefficients["scope"])
    if "mean" in scopes and noun != "date":
        found.append(f"The t of a mean takes {plural(noun)} as independent; shared shocks would make it too large.")
    ahead, errors = report.panel.horizon, errors_in_force(report)
    if ahead > 1 and not errors:
        found.append(f"Targets over {ahead} rows overlap: neighbouring rows share most of theirs, and count as one.")
    if ahead > 1 and errors and errors not in advice.SERIAL and noun != "date":
        instead = "HAC" if noun == "asset" else "driscoll_kraay"
        risk = f"which {errors} errors ignore: t is likely too large; use model.cov={instead}"
        found.append(f"Targets over {ahead} rows overlap, {risk}.")
    return found


def _fit(report: Report) -> list[str]:
    quality = report.fit.quality[report.fit.quality["r2"].notna()]
    if quality.empty or not report.panel.names:
        return []
    if len(quality) == 1:
        row = quality.iloc[0]
        slopes = f"; the slopes together are {verdict(row['f_p_value'])}" if row["f_p_value"] >= 0.0 else ""
        return [f"R2 is {number(row['r2'])} in sample ({count(int(row['n_obs']), 'row')}){slopes}."]
    units = count(len(quality), unit_noun(quality))
    return [f"R2 in sample is {number(quality['r2'].mean())} on average over {units}, {_range(quality, 'r2')}."]


def _hypotheses(report: Report) -> list[str]:
    return [_hypothesis(str(text), rows) for text, rows in report.fit.hypotheses.groupby("hypothesis", sort=False)]


def _hypothesis(text: str, rows: pd.DataFrame) -> str:
    tested = rows[rows["p_value"].notna()]
    if tested.empty:
        return f"{text} could not be tested: {listed(rows['reason'].unique())}."
    untested = f"; not testable in {len(rows) - len(tested):,}" if len(tested) < len(rows) else ""
    rejected = int((tested["p_value"] < LEVEL).sum())
    if len(rows) == 1:
        end = "." if rejected else "; no proof of it."
        return f"{text} is {'' if rejected else 'not '}rejected at 5 % (p {p_text(tested['p_value'].iloc[0])}){end}"
    chance = by_chance(rejected, len(tested)) if rejected else ""
    noun = plural(unit_noun(rows))
    return f"{text} is rejected at 5 % in {rejected:,} of {len(tested):,} {noun}{chance}{untested}."


def _out_of_sample(report: Report) -> list[str]:
    scores = report.scores[report.scores["scope"] == "pooled"]
    if scores.empty:
        return ["No row was held out: nothing here tells how it does on new rows.", *_kind(report)]
    row, apart = scores.iloc[0], _held_out(report)
    folds = count(len(report.folds) - len(apart), "fold")
    lost = int(report.folds["not_forecast"].sum()) if "not_forecast" in report.folds else 0
    found = [
        f"R2 against the {report.benchmark} is {number(row['r2'])} ({count(int(row['n_obs']), 'row')}, {folds}): "
        f"{_compared(report, row['r2'])}.",
        f"{_errors_beside(report, row)}; {_by_chance_alone(report, row)}.",
        *_over_paths(report),
        *apart,
        *_kind(report),
    ]
    return [*found, f"{count(lost, 'test row')} could not be forecast."] if lost else found


def _errors_beside(report: Report, row: pd.Series) -> str:
    return f"RMSE is {number(row['rmse'])} beside {number(row['rmse_naive'])} of the {report.benchmark}"


def _by_chance_alone(report: Report, row: pd.Series) -> str:
    """Whether the two tests tell the forecast from its benchmark."""
    if math.isnan(row["dm_p_value"]):
        return "no test was made of whether the difference is more than chance"
    apart = "tells" if row["dm_p_value"] < LEVEL else "does not tell"
    first = (
        f"Diebold-Mariano (t {t_text(row['dm_stat'])}, p {p_text(row['dm_p_value'])}, "
        f"{count(int(row['test_dates']), 'date')}) {apart} their squared errors apart at 5 %"
    )
    if set(report.fit.quality["scope"]) != {"asset"} or "const" not in set(report.fit.coefficients["term"]):
        return first  # Clark-West takes the benchmark for a part of the model, and a mean by asset may not be
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
    return [f"R2 of the {count(len(paths), 'path')}: {spread}, {ends}; they forecast the same rows."]


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
        return ["Folds train on later rows too: how well the regressors hold, not a forecast anyone could have made."]
    return [KINDS[report.kind]] if report.panel.names else []


def _compared(report: Report, r2: float) -> str:
    """Better or worse than the benchmark, over all and in how many units."""
    units = report.scores[report.scores["scope"] == "asset"]
    of = f"{len(units):,} {plural(unit_noun(units))}"
    each = f", better in {int((units['r2'] > 0).sum()):,} of {of}" if len(units) > 1 else ""
    if math.isnan(r2):
        return "it has no value on these rows"
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


def _untested(report: Report) -> list[str]:
    """What the errors in force allow for, where residuals are no single series and have no tests."""
    told = "" if unit_noun(report.fit.quality) == "asset" else advice.allowed(errors_in_force(report))
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
    units = f"{len(p):,} {plural(unit_noun(report.diagnostics))}{by_chance(bad, len(p), len(names))}"
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
    units = {name: f"{count(len(rows), unit_noun(rows))}: {listed(rows['reason'].unique())}" for name, rows in absent}
    return [f"{name} was not computed in {text}." for name, text in units.items()]


def _audit(report: Report) -> list[str]:
    if report.audit is None:
        return ["Switched off: nothing here was tried for look-ahead."]
    ahead = report.panel.horizon > 0 and report.audit.looks_ahead is False
    undone = "The target's horizon says that it looks ahead, but no later row moves it: this explains."
    return [*(f"LEAKING: {line}." for line in report.leaks), *report.audit.words, *([undone] if ahead else [])]


def _left_out(report: Report) -> list[str]:
    found = [f"{count(one.rows, one.what)}{_fate(one.what)}: {one.reason}." for one in report.dropped]
    quality = report.fit.quality
    troubled = quality[quality["reason"].fillna("") != ""]
    for (reason, bare), rows in troubled.groupby(["reason", troubled["r2"].isna()], sort=False):
        units = f"{len(rows):,} of {count(len(quality), unit_noun(quality))} ({listed(rows['unit'])})"
        found.append(f"{units}: {'not estimated' if bare else 'estimated without errors'}, {reason}.")
    return found


def _fate(what: str) -> str:
    """What became of a line of the account: changed values are still there, missing ones never were."""
    return "" if what.startswith(("changed", "missing")) else " dropped"
