"""The run in the terminal: one table and the lines that one needs beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.data.accounts.account import taken
from runner.data.calendar import span
from runner.errors import SpecError
from runner.experiment.auditing.audit import Audit
from runner.experiment.reading import sections
from runner.experiment.report import Report
from runner.experiment.wording import calendar_text
from runner.progress import TOLD, listening, telling
from runner.progress import reading as reading_of
from runner.sinks import machine
from runner.sinks.machine import Form
from runner.sinks.paper import of_run
from runner.text import LEVEL, count, duration, p_text, shown, stars, stars_of_mean, unit_noun

if TYPE_CHECKING:
    from rich.console import JustifyMethod

    from runner.sinks.paper.table import RegressionTable

ENDLESS = 10_000  # columns of the terminal: more than any table takes
WIDEST = 120  # a narrower terminal wraps lines; no number is ever cut
LEFT = ("unit", "term", "", "what", "check", "verdict")  # columns of text
MOST_ROWS = 40  # a longer coefficient table becomes one row per term over all units, or ends there
MOST_SHORT = 20  # the same of what is printed in short
WARNINGS = ("Data", "Standard errors", "Look-ahead audit", "Left out")  # told in short too
MOST_WARNINGS = 8  # sentences of each of them
LEFT_OUT = ("Coefficients", "Rows")  # of what is printed in short
PATIENCE = 2.0  # seconds of work from which on the time left is shown
MOST_DECIMALS = 9  # of a number; a smaller one is scientific
MOST_PLAIN = 1e7  # a larger number is scientific
LEGEND = "*** p < 0.01, ** p < 0.05, * p < 0.1"


class Page(Console):
    """Standard output or another, at least so wide that tables are whole.

    Names in what is printed are data: nothing in them is markup, an emoji or an escape sequence.
    That its reader left is the business of the edge.
    """

    def __init__(self, file: IO[str] | None = None) -> None:
        super().__init__(
            file=file or sys.stdout, highlight=False, soft_wrap=True, markup=False, emoji=False
        )
        self.width = max(self.width, WIDEST)

    def render_str(self, text: str, **options: Any) -> Text:
        """The text as it is printed, alone or in a table."""
        return super().render_str("\n".join(map(shown, text.split("\n"))), **options)

    def lines(self, lines: Iterable[str]) -> None:
        """Print each on a line of its own, whatever names it holds."""
        self.print("\n".join(map(shown, lines)))

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Sheet(Table):
    """A table without rules, whose cells are one line each, whatever names they hold."""

    def __init__(self, columns: Iterable[tuple[str, bool]], header_style: str = "bold") -> None:
        """Columns by their headings, each with whether it is of text."""
        super().__init__(box=None, pad_edge=False, header_style=header_style, padding=(0, 2, 0, 0))
        for heading, of_text in columns:
            justify: JustifyMethod = "left" if of_text else "right"
            self.add_column(shown(heading), justify=justify, no_wrap=True)

    @property
    def wide(self) -> int:
        """Columns of the terminal that it takes where none is cut."""
        console = Page()
        console.width = ENDLESS
        return console.measure(self).maximum

    def add_line(self, cells: Iterable[str | Text]) -> None:
        """Add a row; a cell that has a style is of our own words."""
        self.add_row(*(cell if isinstance(cell, Text) else shown(cell) for cell in cells))


class Pace:
    """How far tracked work has come, and how long its rest may take at the pace so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        # when it began, and how many items were done by then, by what is done
        self.first: dict[str, tuple[float, int]] = {}
        self.done: dict[str, int] = {}
        self.tenths: dict[str, int] = {}  # of the work, up to which a log has its line

    def told(self, what: str, done: int, total: int) -> str:
        """The line to show when so many are done; fewer than before are another work."""
        now = time.monotonic()
        if done <= self.done.get(what, total):
            self.first[what] = now, done
        self.done[what] = done
        begun, before = self.first[what]
        line = f"{self.text}: {done:,} of {total:,} {what}"
        if now - begun <= PATIENCE or done == before:
            return line
        seconds_each = (now - begun) / (done - before)
        line += f", {_rate(seconds_each)}"
        if done >= total:
            return line
        return f"{line}, about {duration(seconds_each * (total - done))} left"

    def is_due(self, what: str, done: int, total: int) -> bool:
        """Whether a log has a line now: one each tenth of the work, of work that takes long."""
        begun, before = self.first[what]
        tenth = 10 * done // total
        if done == before:
            self.tenths[what] = tenth
        if tenth <= self.tenths[what]:
            return False
        self.tenths[what] = tenth
        return time.monotonic() - begun > TOLD


def _rate(seconds_each: float) -> str:
    """Items a second, a minute or an hour, the first of which there is one at least."""
    for unit, seconds in {"second": 1.0, "minute": 60.0}.items():
        if seconds >= seconds_each:
            return f"{seconds / seconds_each:,.3g} a {unit}"
    return f"{3600.0 / seconds_each:,.3g} an hour"


@contextmanager
def working(text: str, form: Form = "tables") -> Iterator[None]:
    """Show that work is under way, and notes, unless the form is quiet.

    A log file has a line after ten seconds, one each twenty from then on, and one each tenth of
    long work.
    """
    if form == "quiet":
        yield
        return
    console = Page(sys.stderr)
    pace = Pace(text)

    def note(line: str) -> None:
        console.lines([line])

    def log(what: str, done: int, total: int) -> None:
        told = pace.told(what, done, total)
        if pace.is_due(what, done, total):
            note(told)

    if not console.is_terminal:
        words = shown(f"{text}: under way for")
        with reading_of(note), listening(log), telling(lambda seconds: f"{words} {seconds:.0f} s"):
            yield
        return
    with reading_of(note), telling(None), console.status(Text(shown(text))) as status:

        def update(what: str, done: int, total: int) -> None:
            status.update(Text(shown(pace.told(what, done, total))))

        with listening(update):
            yield


def show(report: Report, directory: Path, run_id: str, form: Form = "full") -> None:
    """Print what was run, the coefficients, the tables in words, and where everything is.

    All of it, or in short (`tables`): assets beside each other where there is room, and of each
    subject what comes first.
    """
    if form in ("json", "quiet"):
        return say(machine.of_run(report, directory, run_id), form)
    console = Page()
    console.print(_title(report), style="bold")
    if form == "tables":
        console.print(f"{_data(report)}; {calendar_text(report)}")
        _show_beside(console, report, directory)
        console.print(_in_words(_in_short(report)))
        console.print("Shortened: --full prints every estimate and every sentence.")
    else:
        console.print(_data(report))
        console.print(f"calendar: {calendar_text(report)}")
        _show_coefficients(console, report, directory, MOST_ROWS)
        console.print(_in_words(sections(report)))
    console.print(f"Files: {directory}")
    if run_id:
        console.print(f"MLflow run: {run_id} (python -m runner ui)")


def _show_coefficients(console: Console, report: Report, directory: Path, most: int) -> None:
    """At most so many coefficients; of more, a row per term where there are means over units."""
    table = report.fit.coefficients
    more = len(table) - most
    if more > 0 and (table["scope"] == "mean").any():
        console.print(_summary(report))
    elif len(table):
        console.print(_coefficients(report, most))
        if more > 0:
            file = directory / "coefficients.csv"
            console.print(f"{count(more, 'more row')} in {file}")
    legend = f" {LEGEND}" if table["p_value"].notna().any() else ""
    console.print(f"standard errors: {report.fit.errors}.{legend}")


def _show_beside(console: Console, report: Report, directory: Path) -> None:
    """Assets beside each other where there is room, else the coefficients below each other."""
    table = _beside(console, report)
    if table is None:
        _show_coefficients(console, report, directory, MOST_SHORT)
        return
    console.print(shown(table.title))
    console.print(regression_sheet(table))
    console.print("\n".join(map(shown, table.notes)))


def _beside(console: Console, report: Report) -> RegressionTable | None:
    """The regression table with a column per asset; None of one column, or without room for it."""
    try:
        table = of_run.regression_of(report)
    except SpecError:  # settings of a table that was not asked for: without a page none is
        return None
    if table is None or len(table.headings) < 2:
        return None
    fits = regression_sheet(table).wide <= console.width
    tall = len(list(table.rows()))
    return table if fits and tall <= MOST_SHORT else None


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


def _in_short(report: Report) -> dict[str, list[str]]:
    """Of each subject its first sentence, and how many there are more; warnings whole."""
    short = {}
    for subject, every in sections(report).items():
        sentences = every
        if subject == "Data":
            sentences = [*report.panel.notes, *taken(report.study.market)]
        elif subject == "Hypotheses":
            sentences = [every[-1], *every[:-1]]  # the test of all assets together is the last
        most = MOST_WARNINGS if subject in WARNINGS else 1
        kept = sentences[:most]
        if not kept or subject in LEFT_OUT:
            continue
        more = len(sentences) - len(kept)
        if more:
            kept[-1] += f" [{more} more]"
        short[subject] = kept
    return short


def say(content: Mapping[str, Any], form: Form) -> None:
    """One JSON object, or nothing."""
    if form == "json":
        print(machine.text(content))


def show_rerun(
    run_id: str,
    again: str,
    directory: Path,
    differences: Sequence[str],
    code: Sequence[str],
    form: Form = "tables",
) -> None:
    """Print whether a run came out the same; `code` is its version then and now."""
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
    if code[0] != code[1]:
        console.print(f"code: {code[0]} then, {code[1]} now")
    console.print(f"Files: {directory}\nMLflow run: {again}")


def show_audit(name: str, audit: Audit, form: Form = "tables") -> None:
    """Print what was tried of each column, and the verdict."""
    if form in ("json", "quiet"):
        return say(machine.of_audit(name, audit), form)
    console = Page()
    table = _table(
        "what", "check", "rows moved", "values compared", "first", "rows ahead", "verdict"
    )
    for row in audit.table.itertuples():
        has_date = row.first_date is not None and row.first_date == row.first_date
        cells = [
            row.what,
            row.check,
            str(row.moved),
            f"{row.values:,}",
            f"{row.first_date:%Y-%m-%d}" if has_date else "",
            str(row.rows_ahead),
            Text(row.verdict, style="bold red" if row.verdict == "leak" else ""),
        ]
        table.add_line(cells)
    table.columns[1].no_wrap = False  # a check takes lines enough; names of columns are never cut
    table.columns[1].overflow = "fold"
    table.columns[-1].no_wrap = False
    console.print(table)
    console.lines(audit.words)


def _in_words(told: Mapping[str, Sequence[str]]) -> Table:
    """Sentences by subject, but for the coefficients, which have a table of their own."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for subject, sentences in told.items():
        if subject != "Coefficients":
            text = Text("\n".join(map(shown, sentences)))
            text.highlight_regex(r"LEAKING: .*", style="bold red")
            grid.add_row(Text(subject, style="bold"), text)
    return grid


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


def _data(report: Report) -> str:
    """Where the data is from, and how many asset-dates of it were used."""
    kept = report.panel.usable_cells
    cells = kept + report.panel.dropped_cells
    rows = f" (model.rows={report.rows.kind})" if report.rows else ""
    source = f"{report.source} ({report.fingerprint[:12]})"
    return f"data: {source}, {kept:,} of {cells:,} observations used{rows}"


def _coefficients(report: Report, most: int) -> Sheet:
    """A row per unit and term, at most so many, with errors where there are any."""
    tested = report.fit.coefficients["p_value"].notna().any()
    errors = ("std. error", "t", "p", _interval_name(report), "") if tested else ()
    table = _table("unit", "term", "estimate", *errors)
    mean = f"mean of {len(report.fit.quality) - len(report.skipped)}"
    noun = unit_noun(report.fit.coefficients)
    previous = ""
    for row in report.fit.coefficients.head(most).itertuples():
        unit = mean if row.scope == "mean" else row.unit
        if unit != previous and previous:
            table.add_section()
        cells = _cells(row, noun) if tested else [number(row.estimate, row.std_error)]
        table.add_line(["" if unit == previous else unit, row.term, *cells])
        previous = unit
    return table


def _cells(row: Any, noun: str) -> list[str]:
    """Estimate, standard error, t, p, interval and stars of a row."""
    error = row.std_error
    significance = stars(row.p_value)
    if row.scope == "mean":
        significance = stars_of_mean(row.p_value, noun)
    low = number(row.ci_low, error)
    high = number(row.ci_high, error)
    return [
        number(row.estimate, error),
        number(error, error),
        f"{row.t_stat:.2f}" if low else "",
        p_text(row.p_value),
        f"[{low}, {high}]" if low else "",
        significance,
    ]


def _summary(report: Report) -> Sheet:
    """One row per term: the mean over units and how the units spread."""
    table = _table(
        "term", "mean", "std. error", "t", "p", "", "smallest", "median", "largest", "p < 0.05 in"
    )
    coefficients = report.fit.coefficients
    noun = unit_noun(coefficients)
    units = coefficients[coefficients["scope"] != "mean"]
    means = coefficients[coefficients["scope"] == "mean"].set_index("term")
    for term, part in units.groupby("term", sort=False):
        mean = means.loc[term]
        error = mean["std_error"]
        spread = [number(part["estimate"].quantile(q), error) for q in (0, 0.5, 1)]
        significant = int((part["p_value"] < LEVEL).sum())
        tested = int(part["p_value"].notna().sum())
        cells = [
            str(term),
            number(mean["estimate"], error),
            number(error, error),
            f"{mean['t_stat']:.2f}",
            p_text(mean["p_value"]),
            stars_of_mean(mean["p_value"], noun),
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
