"""The run in the terminal: one table and the lines that one needs beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from runner.data.calendar import span
from runner.experiment.auditing.audit import Audit
from runner.experiment.reading import sections
from runner.experiment.report import Report
from runner.experiment.wording import calendar_text
from runner.progress import listening
from runner.progress import reading as reading_of
from runner.sinks import machine
from runner.sinks.machine import Form
from runner.text import count, duration, p_text, stars

WIDEST = 120  # a narrower terminal wraps lines; no number is ever cut
LEFT = ("unit", "term", "", "what", "check", "verdict")  # columns of text
MOST_ROWS = 40  # a longer coefficient table becomes one row per term over all units, or ends there
PATIENCE = 2.0  # seconds of work from which on the time left is told
LEGEND = "*** p < 0.01, ** p < 0.05, * p < 0.1"


class Page(Console):
    """Standard output, at least so wide that tables are whole; a reader who left is the business
    of the edge.
    """

    def __init__(self) -> None:
        super().__init__(file=sys.stdout, highlight=False, soft_wrap=True)
        self.width = max(self.width, WIDEST)

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Pace:
    """How far tracked work has come, and how long the rest of it may take at the pace since its
    first item.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.first: dict[
            str, tuple[float, int]
        ] = {}  # when, and how many were done, by what is done
        self.done: dict[str, int] = {}

    def told(self, what: str, done: int, total: int) -> str:
        """The line to show when `done` of `total` are done; fewer than before are another work of
        the same name.
        """
        now = time.monotonic()
        if done <= self.done.get(what, total):
            self.first[what] = now, done
        self.done[what] = done
        begun, before = self.first[what]
        left = ""
        if now - begun > PATIENCE and done < total:
            left = f", about {duration((now - begun) / (done - before) * (total - done))} left"
        return f"{self.text}: {done:,} of {total:,} {what}{left}"


@contextmanager
def working(text: str, form: Form = "tables") -> Iterator[None]:
    """Show on a terminal that work is under way, and notes everywhere but where nothing is to be
    said.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    notes = reading_of(lambda line: None if form == "quiet" else console.print(line, markup=False))
    if not console.is_terminal or form == "quiet":
        with notes:
            yield
        return
    pace = Pace(text)
    with (
        notes,
        console.status(text) as status,
        listening(lambda what, done, total: status.update(pace.told(what, done, total))),
    ):
        yield


def show(report: Report, directory: Path, run_id: str, form: Form = "tables") -> None:
    """Print what was run, the coefficients, what the tables say in words, and where everything
    is.
    """
    if form != "tables":
        return say(machine.of_run(report, directory, run_id), form)
    console = Page()
    console.print(_title(report), style="bold", markup=False)
    console.print(_data(report), markup=False)
    console.print(f"calendar: {calendar_text(report)}", markup=False)
    table = report.fit.coefficients
    if len(table):
        many = len(table) > MOST_ROWS and (table["scope"] == "mean").any()
        console.print(_summary(report) if many else _coefficients(report))
        if not many and len(table) > MOST_ROWS:
            console.print(
                f"{count(len(table) - MOST_ROWS, 'more row')} in {directory / 'coefficients.csv'}",
                markup=False,
            )
    legend = f" {LEGEND}" if table["p_value"].notna().any() else ""
    console.print(f"errors: {report.fit.errors}.{legend}", markup=False)
    console.print(_in_words(report))
    console.print(f"Files: {directory}", markup=False)
    if run_id:
        console.print(f"MLflow run: {run_id} (python -m runner ui)", markup=False)


def say(found: Mapping[str, Any], form: Form) -> None:
    """One JSON object, or nothing."""
    if form == "json":
        print(machine.text(found))


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
            print(f"error: differs from {run_id}: {line}", file=sys.stderr)
    if form != "tables":
        return say(machine.of_rerun(run_id, again, directory, differences), form)
    console = Page()
    if not differences:
        console.print(
            f"bit-identical to {run_id}: every metric and table", style="bold", markup=False
        )
    else:
        console.print(f"differs from {run_id}:", style="bold red", markup=False)
        shown = [f"  {line}" for line in differences[:MOST_ROWS]]
        rest = (
            [f"  and {len(differences) - MOST_ROWS} more"] if len(differences) > MOST_ROWS else []
        )
        console.print("\n".join([*shown, *rest]), markup=False)
    if code[0] != code[1]:
        console.print(f"code: {code[0]} then, {code[1]} now", markup=False)
    console.print(f"Files: {directory}\nMLflow run: {again}", markup=False)


def show_audit(name: str, found: Audit, form: Form = "tables") -> None:
    """Print what was tried of each column, and the verdict."""
    if form != "tables":
        return say(machine.of_audit(name, found), form)
    console = Page()
    table = _table(
        "what", "check", "rows moved", "values compared", "first", "rows ahead", "verdict"
    )
    for row in found.table.itertuples():
        first = (
            ""
            if row.first_date is None or row.first_date != row.first_date
            else f"{row.first_date:%Y-%m-%d}"
        )
        verdict = Text(row.verdict, style="bold red" if row.verdict == "leak" else "")
        cells = [
            row.what,
            row.check,
            str(row.moved),
            f"{row.values:,}",
            first,
            str(row.rows_ahead),
            verdict,
        ]
        table.add_row(*cells)
    table.columns[1].no_wrap = False  # a check takes lines enough; names of columns are never cut
    table.columns[1].overflow = "fold"
    table.columns[-1].no_wrap = False
    console.print(table)
    console.print("\n".join(found.words), markup=False)


def _in_words(report: Report) -> Table:
    """The reading of the report, but for the coefficients, which have a table of their own."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for subject, sentences in sections(report).items():
        if subject != "Coefficients":
            told = Text("\n".join(sentences))
            told.highlight_regex(r"LEAKING: .*", style="bold red")
            grid.add_row(Text(subject, style="bold"), told)
    return grid


def number(value: float, error: float = float("nan")) -> str:
    """A number to three digits of its error where it has one, else to four of its own."""
    if not np.isfinite(value):
        return ""
    scale = abs(error) * 10.0 if np.isfinite(error) and error else abs(value)
    decimals = 3 - int(np.floor(np.log10(scale))) if scale else 4
    return f"{value:.3e}" if decimals > 9 or abs(value) >= 1e7 else f"{value:.{max(decimals, 0)}f}"


def _title(report: Report) -> str:
    return f"{report.name}: {report.kind}, {count(len(report.panel.assets), 'asset')}, {span(report.panel.dates)}"


def _data(report: Report) -> str:
    kept, cells = int(report.panel.valid.sum()), report.panel.valid.size
    rows = "" if report.rows is None else f" (model.rows={report.rows.kind})"
    return f"data: {report.source} ({report.fingerprint[:12]}), {kept} of {cells} cells used{rows}"


def _coefficients(report: Report) -> Table:
    tested = report.fit.coefficients["p_value"].notna().any()
    errors = ("std. error", "t", "p", _interval_name(report), "") if tested else ()
    table = _table("unit", "term", "estimate", *errors)
    previous = ""
    for row in report.fit.coefficients.head(MOST_ROWS).itertuples():
        unit = (
            f"mean of {len(report.fit.quality) - len(report.skipped)}"
            if row.scope == "mean"
            else row.unit
        )
        if unit != previous and previous:
            table.add_section()
        table.add_row("" if unit == previous else unit, row.term, *_cells(row)[: 1 + len(errors)])
        previous = unit
    return table


def _cells(row: Any) -> list[str]:
    error = row.std_error
    low, high = number(row.ci_low, error), number(row.ci_high, error)
    shown = [number(row.estimate, error), number(error, error), f"{row.t_stat:.2f}" if low else ""]
    return [*shown, p_text(row.p_value), f"[{low}, {high}]" if low else "", stars(row.p_value)]


def _summary(report: Report) -> Table:
    """One row per term: the mean over units and how the units spread."""
    table = _table(
        "term", "mean", "std. error", "t", "p", "", "smallest", "median", "largest", "p < 0.05 in"
    )
    coefficients = report.fit.coefficients
    units = coefficients[coefficients["scope"] != "mean"]
    means = coefficients[coefficients["scope"] == "mean"].set_index("term")
    for term, part in units.groupby("term", sort=False):
        mean, found, tested = (
            means.loc[term],
            int((part["p_value"] < 0.05).sum()),
            int(part["p_value"].notna().sum()),
        )
        error = mean["std_error"]
        spread = [number(part["estimate"].quantile(q), error) for q in (0, 0.5, 1)]
        t = f"{mean['t_stat']:.2f}"
        p = p_text(mean["p_value"])
        head = [number(mean["estimate"], error), number(error, error), t, p, stars(mean["p_value"])]
        table.add_row(str(term), *head, *spread, f"{found} of {tested}" if tested else "")
    return table


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
    return table


def _interval_name(report: Report) -> str:
    return f"{100 * report.spec['model'].get('confidence', 0.95):g} % interval"
