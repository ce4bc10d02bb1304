"""A report as one HTML file that needs nothing else.

Pictures and styles lie inside, and every text is escaped.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from runner.data.calendar import span
from runner.estimators.few_clusters import doubt_of, few_clusters, for_a_verdict, withheld
from runner.experiment.reading import sections
from runner.experiment.wording import calendar_text, target_text
from runner.record.processor import processor
from runner.sinks import tear_sheet
from runner.sinks.markup import (
    MOST_ROWS,
    NAMES,
    Column,
    Html,
    aligned,
    box,
    framed,
    joined,
    page_of,
    pairs_of,
    paragraphs,
    picture,
    tabled,
    tag,
    tiles_of,
    unbroken,
)
from runner.sinks.paper import of_run
from runner.sinks.paper.of_run import Paper
from runner.sinks.paper.written.html import html, statistics_html
from runner.sinks.tear_sheet import MONTHS, TEAR_SHEET
from runner.sinks.telling.short import answering
from runner.text import LEVEL, MOST_VIF, count, number, p_text, per_unit, plural, stars
from runner.text import unit_noun as noun_of

if TYPE_CHECKING:
    import pandas as pd

    from runner.experiment.report import Report
    from runner.sinks.drawings.hover import Drawn

SWEEP_PAGE = "../report/report.html"  # beside the directories of its jobs
TILE_DIGITS = 3  # significant digits of a tile


def write(report: Report, directory: Path, pictures: Sequence[Drawn], sweep: str = "") -> None:
    """Write `directory`/report.html, and the tables of papers that it shows as files.

    Args:
        sweep: name of the sweep that the run is a job of; empty for none.

    Raises:
        SpecError: settings `table` that do not suit the coefficients.
    """
    tables = of_run.paper_of(report)
    of_run.write(tables, directory)
    captions = _captions(report)
    shown = {}
    for drawn in pictures:
        name = drawn.path.stem
        caption = captions.get(name, "")
        shown[name] = picture(drawn, caption)
    told = sections(report)
    parts = _parts(report, told, shown, tables)
    head = joined(_way_back(sweep), _head(report, told))
    text = page_of(report.name, head, parts)
    (directory / "report.html").write_text(text, encoding="utf-8")


def _way_back(sweep: str) -> Html:
    """A link to the page of the sweep that the run is a job of; nothing of a run by itself."""
    if not sweep:
        return Html()
    link = tag("a", f"sweep {sweep}", href=SWEEP_PAGE)
    return tag("p", "A job of the ", link, class_="note")


def _parts(
    report: Report,
    told: Mapping[str, Sequence[str]],
    shown: dict[str, Html],
    tables: Paper,
) -> list[tuple[str, Html]]:
    """Heading and content of every section, in the order in which they are read."""
    own = {stem: shown.pop(stem, Html()) for stem in (*CAPTIONS, "coefficients")}
    hypotheses = report.fit.hypotheses.drop(columns="scope")
    folds = report.folds.drop(columns="layout", errors="ignore")
    regression = Html() if tables.regression is None else html(tables.regression)
    drawn = joined(own["coefficients"], own["t_stats"])
    estimates = joined(regression, drawn, *_coefficients(report))
    held_out = joined(
        own["actual_predicted"],
        _scores(report),
        own["folds"],
        framed(folds, "Folds", "folds.csv"),
    )
    tests = joined(own["residuals"], *_diagnostics(report), own["correlations"])
    in_sample = framed(report.fit.quality, "Fit in sample", "quality.csv")
    fit = joined(own["actual_fitted"], in_sample)
    why = withheld(report.fit.quality)
    caption = f"Wald tests, {why}" if why else "Wald tests"
    wald = framed(hypotheses, caption, "hypotheses.csv")
    findings = _findings(report, shown)  # takes their pictures; the others are shown below
    more = joined(*shown.values())
    statistics = statistics_html(tables.statistics)
    return [
        ("Coefficients", estimates),
        ("Reading", _reading(told)),
        ("Fit", fit),
        ("Hypotheses", wald),
        *findings,
        ("Out of sample", held_out),
        ("Diagnostics", tests),
        ("More pictures", more),
        ("Descriptive statistics", statistics),
        ("Look-ahead audit", _audit(report)),
        ("Rows", _rows(report)),
        ("Reproduce it", _repeat(report)),
    ]


def _findings(report: Report, shown: dict[str, Html]) -> list[tuple[str, Html]]:
    """Of each analysis its heading, its picture above its table, and the record of its strategy.

    `shown` loses the pictures.
    """
    parts = []
    strategies = tear_sheet.strategies_of(report)
    for name, finding in report.findings.items():
        subject = name.replace("_", " ")
        title = subject.capitalize()
        table = framed(finding.table, title, f"{name}.csv")
        drawn = shown.pop(name, Html())
        parts.append((title, joined(drawn, table)))
        if name in strategies:
            over_time = shown.pop(f"{TEAR_SHEET}{name}", Html())
            by_month = shown.pop(f"{MONTHS}{name}", Html())
            sheet = tear_sheet.html(strategies[name], over_time, by_month)
            parts.append((f"Tear sheet: {title.lower()}", sheet))
    return parts


def _audit(report: Report) -> Html:
    """What the audit of look-ahead computed again; nothing where there was none."""
    if report.audit is None:
        return Html()
    return framed(report.audit.table, "Columns computed again", "audit.csv")


CAPTIONS = {
    "t_stats": "",
    "correlations": "Features with correlations near 1 or −1 are collinear: "
    "their separate estimates are imprecise.",
    "actual_fitted": "Where the thin line leaves the coloured one, the model does not explain the "
    "value. Right of the dashed line each value is predicted by a fit on other rows.",
    "actual_predicted": "Rows that no fit has seen. "
    "Where the means lie off the line, predictions are too large or too small.",
    "folds": "Rows in neither a training nor a test part are purged, embargoed, "
    "or not used by that fold.",
    "residuals": "Left: ends off the line are tails heavier than the normal distribution's. "
    "Middle: mean and ± 1 standard deviation; a mean away from zero is a sign of non-linearity, "
    "a widening band of heteroskedasticity. "
    "Right: a bar beyond the dashed lines (± 1.96 over the root of the rows of an asset) "
    "is significant in one asset; of several assets, bars are means and lines the middle 90 %.",
}


def _captions(report: Report) -> dict[str, str]:
    """What to look for in each picture; of the coefficients it depends on what they are."""
    table = report.fit.coefficients
    if noun_of(table) == "date":
        caption = "A premium that is stable stays near the dashed line; a bend is a change of it."
    elif doubt_of(report.fit.quality):
        caption = f"No verdict on significance: {doubt_of(report.fit.quality)}."
    elif few_clusters(report.fit.quality):
        caption = "Intervals on too few clusters are likely too narrow: no verdict on significance."
    elif table["ci_low"].notna().any():
        caption = "An interval without the dashed zero: significantly different from zero."
    else:
        caption = "Without standard errors, whether an estimate is significant is not known."
    return {**CAPTIONS, "coefficients": caption}


def _head(report: Report, told: Mapping[str, Sequence[str]]) -> Html:
    """The title with badges, the first numbers, the answer, and the facts of the run."""
    kind = report.kind
    badges = [tag("span", kind, class_=f"badge {kind}")]
    if report.leaks:
        leaking = tag("span", "leaking", class_="badge leaking")
        badges.append(leaking)
    title = [report.name]
    for badge in badges:
        title += [" ", badge]
    listed = [(name, [text]) for name, text in _facts(report).items() if text]
    return tag(
        "header",
        tag("h1", *title),
        tiles_of(_tiles(report.metrics, report)),
        *_answer(report, told),
        pairs_of(listed, "facts"),
    )


def _answer(report: Report, told: Mapping[str, Sequence[str]]) -> list[Html]:
    """The sentence that answers first."""
    sentences = told.get(answering(report, told), ())
    return [tag("p", unbroken(sentence), class_="answer") for sentence in sentences[:1]]


def _facts(report: Report) -> dict[str, str]:
    """What was estimated how, on which data, and when."""
    panel = report.panel
    dates = count(len(panel.dates), "date")
    assets = count(len(panel.assets), "asset")
    terms = report.fit.coefficients["term"].unique()
    fingerprint = tag("code", report.fingerprint)
    return {
        "Target": target_text(report),
        "Terms": ", ".join(terms),
        "Model": _model(report.spec.get("model")),
        "Errors": report.fit.errors,
        "Data": report.source,
        "Fingerprint": fingerprint,
        "Dates": f"{span(panel.dates)}, {dates} × {assets}",
        "Calendar": calendar_text(report),
        "Validation": _validation(report),
        "Run": f"{report.started:%Y-%m-%d %H:%M} UTC",
    }


def _validation(report: Report) -> str:
    """How rows were held out; that none were, also where those of an experiment were left out."""
    if report.folds.empty:
        return "none, fitted on all rows"
    settings = report.spec.get("validation") or {}
    return _named({key: value for key, value in settings.items() if key != "borrowed"})


def _model(node: object) -> str:
    """What is fitted, on which cells each."""
    settings = node if isinstance(node, Mapping) else {}
    if "estimator" not in settings:
        return _named(node)
    by = settings.get("by")
    cells = f"by {by}" if by else "pooled over all assets and dates"
    text = f"{settings['estimator']}, {cells}"
    for effect in settings.get("effects") or ():
        text += f", {effect} fixed effects"
    return text


def _named(node: object) -> str:
    """A part of the spec by its name and its plain settings, but for null and empty ones."""
    settings = dict(node) if isinstance(node, Mapping) else {}
    target = str(settings.pop("_target_", ""))
    name = target.rpartition(".")[2]
    plain = []
    for key, value in settings.items():
        if isinstance(value, str | int | float) and value != "":
            plain.append(f"{key}={value}")
    if not plain:
        return name
    pairs = ", ".join(plain)
    return f"{name}: {pairs}"


def _tiles(metrics: Mapping[str, float], report: Report) -> list[tuple[str, str]]:
    """Label and text of the numbers that most readers look for first."""
    units_fitted = metrics.get("fit/units", 0)
    units = int(units_fitted)
    adjusted = metrics.get("fit/r2_adj", math.nan)
    in_sample = "R2 in sample"
    if units > 1:
        in_sample = "mean R2 in sample"
    if math.isfinite(adjusted):
        adjusted_text = _figure(adjusted)
        in_sample += f" (adjusted {adjusted_text})"
    r2 = _figure(metrics.get("fit/r2", math.nan))
    tiles = [(in_sample, r2)]
    if "oos/r2" in metrics:
        against = f"R2 out of sample, against the {report.benchmark}"
        r2 = _figure(metrics["oos/r2"])
        tiles.append((against, r2))
        naive = _figure(metrics.get("oos/rmse_naive", math.nan))
        rmse = f"RMSE out of sample ({report.benchmark} {naive})"
        error = _figure(metrics["oos/rmse"])
        tiles.append((rmse, error))
    noun = noun_of(report.fit.quality)
    nouns = noun if units == 1 else plural(noun)
    tiles.append((f"{nouns} estimated", f"{units:,}"))
    rows = metrics.get("fit/n_obs", 0.0)
    tiles.append(("rows fitted on", f"{rows:,.0f}"))
    return tiles


def _figure(value: float) -> str:
    """A number of a tile."""
    return number(value, TILE_DIGITS)


def _reading(told: Mapping[str, Sequence[str]]) -> Html:
    """The sentences of the report by subject."""
    subjects = []
    for name, sentences in told.items():
        text = paragraphs(sentences)
        subjects.append((name, text))
    return pairs_of(subjects, "reading")


def _coefficients(report: Report) -> list[Html]:
    """Means over units, the estimates of each unit, and what the stars mean."""
    table = report.fit.coefficients
    noun = noun_of(table)
    file = "coefficients.csv"
    of_mean = table["scope"] == "mean"
    means = table[of_mean].drop(columns=["unit", "scope"])
    if noun == "date":
        means = _starred(table[of_mean], report.fit.quality).drop(columns=["unit", "scope"])
    each = _starred(per_unit(table), report.fit.quality)
    title = "Estimates"
    if noun != "regression":
        title = f"Estimates of each {noun}"
    parts = [framed(means, f"Mean over {plural(noun)}", file)]
    if for_a_verdict(table, report.fit.quality).notna().any():
        note = "*** p < 0.01, ** p < 0.05, * p < 0.10"
        parts.append(tag("p", note, class_="note"))
    if len(each):
        summary = tag("summary", f"All statistics: {count(len(each), 'row')}")
        parts.append(tag("details", summary, framed(each, title, file)))
    return parts


def _starred(table: pd.DataFrame, quality: pd.DataFrame) -> pd.DataFrame:
    """With a column of stars after the p-values, which has no heading."""
    table = table.copy()
    at_p = table.columns.get_loc("p_value")
    after = at_p + 1
    marks = [stars(p) for p in for_a_verdict(table, quality)]
    table.insert(after, "", marks)
    return table


def _scores(report: Report) -> Html:
    """The scores, those of all rows together first."""

    def pooled_first(scope: pd.Series) -> pd.Series:
        return scope != "pooled"

    table = report.scores.sort_values("scope", key=pooled_first, kind="stable")
    return framed(table, f"Scores; naive is the {report.benchmark}", "scores.csv")


def _diagnostics(report: Report) -> list[Html]:
    """One row per unit: p-values of the tests, then statistics that have none; bad ones marked."""
    table = report.diagnostics
    if table.empty:
        return []
    distinct = table["unit"].unique()
    every = list(distinct)
    units = every[:MOST_ROWS]
    shown_mask = table["unit"].isin(units)
    table = table[shown_mask]
    tests: list[Column] = []
    statistics: list[Column] = []
    by_diagnostic = table.groupby("diagnostic", sort=False)
    for name, rows in by_diagnostic:
        has_p = rows["p_value"].notna()
        are_p_values = bool(has_p.any())
        if are_p_values:
            by_unit = rows.groupby("unit")
            worst = by_unit["p_value"].min()
        else:
            worst = rows.groupby("unit")["statistic"].max()
        worst = worst.reindex(units)
        if worst.notna().any():
            columns = tests if are_p_values else statistics
            column = _marked(worst, str(name), are_p_values)
            columns.append(column)
    every_column = [Column(noun_of(table), units, "text"), *tests, *statistics]
    shown = tabled(every_column, len(every), "Tests of residuals and columns", "diagnostics.csv")
    note = (
        "Tests show p-values, the columns after them statistics; "
        f"▲: p < {LEVEL:g} or VIF > {MOST_VIF:g}."
    )
    return [shown, tag("p", note, class_="note")]


def _marked(worst: pd.Series, name: str, are_p_values: bool) -> Column:
    """P-values or statistics, one per unit, marked where significant or (VIF) large."""
    text_of = p_text if are_p_values else number
    texts = aligned([text_of(value) for value in worst])
    cells = []
    for text, value in zip(texts, worst, strict=True):
        if _is_bad(value, name, are_p_values):
            text = tag("b", f"▲ {text}")
        cells.append(text)
    words = name.replace("_", " ")
    return Column(NAMES.get(name, words), cells)


def _is_bad(value: float, name: str, is_p_value: bool) -> bool:
    """Whether a p-value is significant, or a variance inflation factor large."""
    if is_p_value:
        return value < LEVEL
    return name == "vif" and value > MOST_VIF


def _rows(report: Report) -> Html:
    """What was left out on the way, and what is left."""
    subject = Column("what", [], "text")
    reason = Column("dropped because", [], "text")
    rows = Column("rows", [])
    for drop in report.dropped[-MOST_ROWS + 1 :]:  # with the one below, MOST_ROWS
        subject.cells.append(drop.what)
        reason.cells.append(drop.reason)
        rows.cells.append(f"{drop.rows:,}")
    subject.cells.append("asset-date")
    reason.cells.append(tag("b", "kept"))
    kept = report.panel.usable_cells
    rows.cells.append(f"{kept:,}")
    size = len(report.dropped) + 1
    return tabled([subject, reason, rows], size, "Rows dropped and kept", "dropped.csv")


def _repeat(report: Report) -> Html:
    """The command that repeats the run, and its spec."""
    spec = yaml.safe_dump(dict(report.spec), sort_keys=False, allow_unicode=True)
    # without hydra.run.dir: the directory is taken
    words = [word for word in report.overrides if not word.startswith("hydra.")]
    command = shlex.join(["python", "-m", "runner", *words])
    version = tag("code", report.code)
    code = tag("p", "Code ", version, f", on {processor()}, data as above:")
    to_run = box(tag("pre", command), "command")
    summary = tag("summary", "Spec (YAML)")
    folded = tag("details", summary, box(tag("pre", spec), "spec"))
    return joined(code, to_run, folded)
