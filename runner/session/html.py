"""What a notebook shows of a run, a comparison or data: the head of its page, texts escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runner.models.fit import headline
from runner.sinks.accounts.shown import shown
from runner.sinks.markup import Html, framed, joined, pairs_of, table_of, tag, unbroken
from runner.text import count, number

if TYPE_CHECKING:
    import pandas as pd

    from runner.data.accounts.account import Account

SHOWN = 12  # rows of a table
SENTENCES = 12  # of the reading
NUMBERS = ("oos/r2", "oos/rmse", "fit/r2", "fit/n_obs")  # in the head of a report
STYLE = (
    "<style>.factor-run table{font-variant-numeric:tabular-nums;margin:.5em 0}"
    ".factor-run dl.facts div{display:flex;gap:1em}.factor-run dt{min-width:7em;opacity:.7}"
    ".factor-run dd{margin:0}.factor-run i{opacity:.5;font-style:normal}"
    ".factor-run caption{text-align:left;opacity:.7}</style>"
)


def report_html(
    name: str,
    about: Mapping[str, Any],
    metrics: Mapping[str, float],
    coefficients: pd.DataFrame,
    reading: Sequence[str],
) -> str:
    """Title, data and standard errors, the coefficients that a run is known by, and the reading."""
    numbers = [f"{key} {number(metrics[key])}" for key in NUMBERS if key in metrics]
    facts = {
        "Kind": about.get("kind"),
        "Data": about.get("source"),
        "Model": about.get("model"),
        "Errors": about.get("errors"),
        "Validation": about.get("validation"),
        "Numbers": ", ".join(numbers),
    }
    known = [(key, [str(text)]) for key, text in facts.items() if text]
    named = pairs_of(known, "facts")
    table = coefficients if len(coefficients) <= SHOWN else headline(coefficients)
    shown = [
        tag("h3", name),
        named,
        _cut(table, "Coefficients", len(coefficients), "report.coefficients"),
        _sentences(reading, SENTENCES, "report.reading"),
    ]
    return _framed(*shown)


def comparison_html(
    title: str,
    verdict: str,
    leaderboard: pd.DataFrame,
    side_by_side: pd.DataFrame,
    failures: pd.DataFrame,
    notes: Sequence[str],
) -> str:
    """The verdict, the tables, and what one must know before comparing."""
    columns = len(side_by_side.columns)
    beside = columns - 1  # the first column names the rows
    whose = f"the best {beside} of {len(leaderboard):,} runs"
    shown = [
        tag("h3", title),
        _sentences([verdict] if verdict else [], 1, ""),
        _cut(leaderboard, "Leaderboard", len(leaderboard), "leaderboard"),
        framed(side_by_side, f"Coefficients of {whose}", "side_by_side"),
        _cut(failures, "Without results", len(failures), "failures"),
        _sentences(notes, len(notes), ""),
    ]
    return _framed(*shown)


def check_html(name: str, account: Account) -> str:
    """What was read in short, what looks wrong, and the columns, units and largest returns."""
    title = tag("h3", f"Data: {name}")
    first = f"{account.source}, {account.span}, {account.calendar}"
    reading = _sentences([first, *account.words], SENTENCES, "check.reading")
    notes = _sentences(account.notes, SENTENCES, "check.account.notes")
    parts = [title, reading, notes]
    parts += [table_of(table.columns, table.heading) for table in shown(account)]
    return _framed(*parts)


def _cut(table: pd.DataFrame, caption: str, size: int, whole: str) -> Html:
    """The first rows of a table, with a word where there are more: where all are."""
    rows = table.head(SHOWN)
    if len(rows) < size:
        caption = f"{caption}: {len(rows)} of {size:,} rows (all: {whole})"
    return framed(rows, caption, whole)


def _sentences(sentences: Sequence[str], most: int, whole: str) -> Html:
    """The first sentences, with a word where there are more: where all are."""
    items = [tag("li", unbroken(sentence)) for sentence in sentences[:most]]
    rest = len(sentences) - len(items)
    if rest > 0:
        items.append(tag("li", f"{count(rest, 'further sentence')}: {whole}"))
    return tag("ul", *items) if items else Html()


def _framed(*parts: Html) -> str:
    return tag("div", Html(STYLE), joined(*parts), class_="factor-run")
