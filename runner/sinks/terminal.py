"""The run in the terminal: one table and the lines that one needs beside it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.text import Text

from runner.data.calendar import span
from runner.errors import SpecError, listed
from runner.estimators.few_clusters import doubt_of, for_a_verdict
from runner.experiment.auditing.audit import Audit
from runner.experiment.reading import sections
from runner.experiment.report import Report
from runner.experiment.wording import calendar_text, target_text
from runner.sinks import machine
from runner.sinks.machine import Form
from runner.sinks.paper import of_run
from runner.sinks.telling.console import APART, Page, Sheet
from runner.sinks.telling.short import AUDIT, in_short, is_clean
from runner.text import LEVEL, count, p_text, shown, stars, stars_of_mean, unit_noun

if TYPE_CHECKING:
    from runner.sinks.paper.table import Foot, RegressionTable

LEFT = ("term", "", "what", "check", "verdict")  # columns of text
MOST_ROWS = 40  # a longer coefficient table becomes one row per term over all units, or ends there
MOST_SHORT = 20  # the same of what is printed in short
MOST_LINES = 25  # of the story in short
MOST_NAMED = 3  # subjects that it had no room for
MOST_DECIMALS = 9  # of a number; a smaller one is scientific
MOST_PLAIN = 1e7  # a larger number is scientific
LEGEND = "*** p < 0.01, ** p < 0.05, * p < 0.1"


def show(report: Report, directory: Path, run_id: str, form: Form = "full") -> None:
    """Print what was run, the coefficients, the tables in words, and where everything is.

    All of it, or in short (`tables`): the answer first, assets beside each other where there is
    room, and of each subject what comes first, in some 25 lines.
    """
    if form in ("json", "quiet"):
        return say(machine.of_run(report, directory, run_id), form)
    console = Page()
    where = [f"Files: {directory}"]
    if run_id:
        where.append(f"MLflow run: {run_id} (python -m runner ui)")
    if form == "tables":
        _show_short(console, report, directory, where)
        return
    console.print(_title(report), style="bold")
    console.print(_data(report))
    console.print(f"calendar: {calendar_text(report)}")
    _show_coefficients(console, report, directory, MOST_ROWS)
    told = {name: words for name, words in sections(report).items() if name != "Coefficients"}
    _print(console, console.by_subject(told))
    console.lines(where)


def _show_short(console: Page, report: Report, directory: Path, where: Sequence[str]) -> None:
    """The answer, the estimates, the warnings, and what else there is room for."""
    told = sections(report)
    beside = _beside(console, report)
    short = in_short(report, told, means_shown=beside is None)
    title = console.wrapped(_title_in_short(report))
    for line in title:
        line.stylize("bold")
    before = [*title, *console.wrapped(short.answer)]
    _print(console, before)
    if beside is None:
        printed = _show_coefficients(console, report, directory, MOST_SHORT)
    else:
        printed = _show_beside(console, *beside)
    source = f"{_source(report)}; {calendar_text(report)}."
    warnings = {**short.warnings, "Data": [source, *short.warnings.get("Data", ())]}
    told_first = {"Data": warnings.pop("Data"), **warnings}
    indent = len(AUDIT) + APART
    after = console.by_subject(told_first, indent)
    room = MOST_LINES - len(before) - printed - len(after) - len(where) - 1
    left = []
    for subject, sentences in short.others.items():
        lines = console.by_subject({subject: sentences}, indent)
        if len(lines) > room:
            left.append(subject)
            continue
        after += lines
        room -= len(lines)
    _print(console, [*after, *console.wrapped(_hint(left))])
    console.lines(where)


def _hint(left: Sequence[str]) -> str:
    """How the rest is printed, and which subjects had no room."""
    more = len(left) - MOST_NAMED
    named = [*left[:MOST_NAMED], *([count(more, "more subject")] if more > 0 else [])]
    also = f", also of {listed(named)}" if left else ""
    return f"Shortened: --full prints every estimate and sentence{also}."


def _print(console: Page, lines: Sequence[Text]) -> None:
    """Print lines that are wrapped already."""
    for line in lines:
        console.print(line)


def _show_coefficients(console: Page, report: Report, directory: Path, most: int) -> int:
    """At most so many coefficients; of more, a row per term where there are means over units.

    Returns:
        How many lines it took.
    """
    table = report.fit.coefficients
    more = len(table) - most
    printed = 0
    if more > 0 and (table["scope"] == "mean").any():
        sheet = _fitting(console, partial(_summary, report))
        printed += _show_sheet(console, sheet)
    elif len(table):
        sheet = _fitting(console, partial(_coefficients, report, most))
        printed += _show_sheet(console, sheet)
        if more > 0:
            file = directory / "coefficients.csv"
            console.print(f"{count(more, 'more row')} in {file}")
            printed += 1
    doubt = doubt_of(report.fit.quality)
    has_verdict = for_a_verdict(table, report.fit.quality).notna()
    legend = f" {LEGEND}" if has_verdict.any() else ""
    if doubt:
        legend = f" No stars: {doubt}."
    errors = console.wrapped(f"standard errors: {report.fit.errors}.{legend}")
    _print(console, errors)
    return printed + len(errors)


def _fitting(console: Page, sheet_of: Callable[[bool], Sheet]) -> Sheet:
    """The whole table where there is room for it, else without the columns it can spare."""
    whole = sheet_of(True)
    return whole if whole.wide <= console.width else sheet_of(False)


def _show_sheet(console: Page, sheet: Sheet) -> int:
    """Print a table, and return how many lines it took."""
    console.sheet(sheet)
    return sheet.row_count + 1


def _beside(console: Page, report: Report) -> tuple[Sheet, Sequence[str]] | None:
    """The regression table of several assets as it fits, and its notes.

    Assets are columns or, where there is no room for these, rows. None of one column, of many
    rows, or without room for either.
    """
    try:
        table = of_run.regression_of(report)
    except SpecError:  # settings of a table that was not asked for: without a page none is
        return None
    if table is None or len(table.headings) < 2:
        return None
    across = regression_sheet(table)
    if across.wide <= console.width:
        tall = len(list(table.rows()))
        return (across, table.notes) if tall <= MOST_SHORT else None
    if len(table.panels) > 1:
        return None
    same = _same_in_all(table)
    of_all = [f"{label}: {text}." for label, text in same.items()]
    feet = [foot for foot in table.panels[0].feet if foot.label not in same]
    labels = [heading.text for heading in table.headings]
    for with_brackets in (True, False):
        down = turned_sheet(table, labels, with_brackets, feet)
        if down.wide <= console.width:
            notes = table.notes if with_brackets else table.notes[1:]
            return down, [*of_all, *notes]
    return None


def _same_in_all(table: RegressionTable) -> dict[str, str]:
    """The rows below the estimates that are the same in every column, by their label."""
    return {foot.label: foot.texts[0] for foot in table.panels[0].feet if len({*foot.texts}) == 1}


def _show_beside(console: Page, sheet: Sheet, notes: Sequence[str]) -> int:
    """Print a regression table, and return how many lines it took."""
    words = console.wrapped(" ".join(notes))
    printed = _show_sheet(console, sheet)
    _print(console, words)
    return printed + len(words)


def turned_sheet(
    table: RegressionTable, labels: Sequence[str], with_brackets: bool, feet: Sequence[Foot]
) -> Sheet:
    """The regression table of one panel with a row per column of it.

    Args:
        labels: of the rows.
        feet: rows below the estimates that are columns here.
    """
    panel = table.panels[0]
    names = [*(line.label for line in panel.lines), *(foot.label for foot in feet)]
    sheet = Sheet([("", True), *((name, False) for name in names)])
    for column, label in enumerate(labels):
        cells = [label]
        for line in panel.lines:
            cell = line.cells[column]
            bracket = f" {cell.bracket}" if with_brackets else ""
            cells.append(f"{cell.estimate}{cell.stars}{bracket}")
        cells += [foot.texts[column] for foot in feet]
        sheet.add_line(cells)
    return sheet


def regression_sheet(table: RegressionTable) -> Sheet:
    """The printed rows of a regression table, cut where there are many coefficients."""
    sheet = Sheet([("", True), *((heading.text, False) for heading in table.headings)])
    left = MOST_ROWS
    for row in table.rows():
        if row.kind != "foot":
            left -= 1
            if left < 0:
                continue
        starred = [text + stars for text, stars in zip(row.texts, row.stars, strict=True)]
        sheet.add_line([row.label, *starred])
    return sheet


def say(content: Mapping[str, Any], form: Form) -> None:
    """One JSON object, or nothing."""
    if form == "json":
        print(machine.text(content))


def show_rerun(
    run_id: str,
    again: str,
    directory: Path,
    differences: Sequence[str],
    made_by: Sequence[str],
    form: Form = "tables",
) -> None:
    """Print whether a run came out the same; `made_by`: lines on what else made it."""
    if form == "quiet":
        for line in differences:
            print(shown(f"error: differs from {run_id}: {line}"), file=sys.stderr)
    if form in ("json", "quiet"):
        return say(machine.of_rerun(run_id, again, directory, differences), form)
    console = Page()
    if not differences:
        verdict = f"bit-identical to {run_id}: every metric and table"
        console.print(verdict, style="bold")
    else:
        console.print(f"differs from {run_id}:", style="bold red")
        lines = [f"  {line}" for line in differences[:MOST_ROWS]]
        if len(differences) > MOST_ROWS:
            lines.append(f"  and {len(differences) - MOST_ROWS} more")
        console.lines(lines)
    console.lines(made_by)
    console.print(f"Files: {directory}\nMLflow run: {again}")


def show_audit(name: str, audit: Audit, form: Form = "tables") -> None:
    """Print what was tried of each column, and the verdict."""
    if form in ("json", "quiet"):
        return say(machine.of_audit(name, audit), form)
    console = Page()
    rows = audit.table
    are_dated = bool(rows["first_date"].notna().any())
    dates = ("first",) if are_dated else ()
    table = _table("what", "check", "moved", "values", *dates, "ahead", "verdict")
    for row in rows.itertuples():
        has_date = row.first_date is not None and row.first_date == row.first_date
        first = f"{row.first_date:%Y-%m-%d}" if has_date else ""
        cells = [
            row.what,
            row.check,
            str(row.moved),
            f"{row.values:,}",
            *((first,) if are_dated else ()),
            str(row.rows_ahead),
            Text(row.verdict, style="bold red" if row.verdict == "leak" else ""),
        ]
        table.add_line(cells)
    table.columns[1].no_wrap = False  # texts take lines enough; names of columns are never cut
    table.columns[-1].no_wrap = False
    console.folding(table)
    console.sentences(audit.words)


def number(value: float, error: float = float("nan")) -> str:
    """A number to three digits of its error where it has one, else to four of its own."""
    if not np.isfinite(value):
        return ""
    scale = abs(error) * 10.0 if np.isfinite(error) and error else abs(value)
    decimals = 3 - int(np.floor(np.log10(scale))) if scale else 4
    if decimals > MOST_DECIMALS or abs(value) >= MOST_PLAIN:
        return f"{value:.3e}"
    return f"{value:.{max(decimals, 0)}f}"


def _title(report: Report) -> str:
    """What was run, on how many assets and when."""
    assets = count(len(report.panel.assets), "asset")
    return f"{report.name}: {report.kind}, {assets}, {span(report.panel.dates)}"


def _title_in_short(report: Report) -> str:
    """The same with the target, and with what the audit found where that is nothing."""
    audited = ", no look-ahead found" if is_clean(report) else ""
    assets = count(len(report.panel.assets), "asset")
    when = span(report.panel.dates)
    target = target_text(report)
    return f"{report.name}: {report.kind}{audited}, {assets}, {when}; {target}"


def _data(report: Report) -> str:
    """Where the data is from, how many asset-dates of it were used, and which rows a model has."""
    rows = "" if report.rows is None else f" (model.rows={report.rows.kind})"
    return f"data: {_source(report)}{rows}"


def _source(report: Report) -> str:
    """Where the data is from, and how many asset-dates of it were used."""
    kept = report.panel.usable_cells
    cells = kept + report.panel.dropped_cells
    return f"{report.source} ({report.fingerprint[:12]}), {kept:,} of {cells:,} observations used"


def _coefficients(report: Report, most: int, whole: bool) -> Sheet:
    """A row per unit and term, at most so many, with errors where there are any.

    Args:
        whole: with intervals.
    """
    tested = report.fit.coefficients["p_value"].notna().any()
    intervals = (_interval_name(report),) if whole else ()
    errors = ("std. error", "t", "p", *intervals, "") if tested else ()
    noun = unit_noun(report.fit.coefficients)
    heading = "" if noun == "regression" else noun
    names = (heading, "term", "estimate", *errors)
    table = Sheet((name, name in (heading, *LEFT)) for name in names)
    mean = f"mean of {len(report.fit.quality) - len(report.skipped)}"
    previous = ""
    first = report.fit.coefficients.head(most)
    judged = for_a_verdict(first, report.fit.quality)
    for row, p_value in zip(first.itertuples(), judged, strict=True):
        unit = mean if row.scope == "mean" else row.unit
        if unit != previous and previous:
            table.add_section()
        cells = [number(row.estimate, row.std_error)]
        if tested:
            cells += _errors(row, p_value, noun, whole)
        table.add_line(["" if unit == previous else unit, row.term, *cells])
        previous = unit
    return table


def _errors(row: Any, judged: float, noun: str, with_interval: bool) -> list[str]:
    """Standard error, t, p, interval and stars of a row.

    Args:
        judged: the p-value that stars are of; NaN where it deserves none.
    """
    error = row.std_error
    significance = stars(judged)
    if row.scope == "mean":
        significance = stars_of_mean(judged, noun)
    low = number(row.ci_low, error)
    high = number(row.ci_high, error)
    cells = [number(error, error), f"{row.t_stat:.2f}" if low else "", p_text(row.p_value)]
    if with_interval:
        cells.append(f"[{low}, {high}]" if low else "")
    return [*cells, significance]


def _summary(report: Report, whole: bool) -> Sheet:
    """One row per term: the mean over units and how the units spread.

    Args:
        whole: with the spread.
    """
    quantiles = {"smallest": 0.0, "median": 0.5, "largest": 1.0} if whole else {}
    table = _table("term", "mean", "std. error", "t", "p", "", *quantiles, "p < 0.05 in")
    coefficients = report.fit.coefficients
    noun = unit_noun(coefficients)
    units = coefficients[coefficients["scope"] != "mean"]
    means = coefficients[coefficients["scope"] == "mean"].set_index("term")
    judged_mean = for_a_verdict(means, report.fit.quality)
    for term, part in units.groupby("term", sort=False):
        mean = means.loc[term]
        error = mean["std_error"]
        spread = [number(part["estimate"].quantile(q), error) for q in quantiles.values()]
        judged = for_a_verdict(part, report.fit.quality)
        significant = int((judged < LEVEL).sum())
        tested = int(judged.notna().sum())
        cells = [
            str(term),
            number(mean["estimate"], error),
            number(error, error),
            f"{mean['t_stat']:.2f}",
            p_text(mean["p_value"]),
            stars_of_mean(judged_mean[term], noun),
            *spread,
            f"{significant} of {tested}" if tested else "",
        ]
        table.add_line(cells)
    return table


def _table(*names: str) -> Sheet:
    """An empty table with these columns."""
    return Sheet((name, name in LEFT) for name in names)


def _interval_name(report: Report) -> str:
    """The heading of the intervals."""
    confidence = report.fit.confidence
    if confidence is None:
        return "interval"
    return f"{100 * confidence:g} % interval"
