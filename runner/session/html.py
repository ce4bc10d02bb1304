"""What a notebook shows of a run or a comparison: the head of its page, every text escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.sinks.markup import Html, framed, joined, pairs_of, tag, unbroken

if TYPE_CHECKING:
    from runner.session.comparison import Comparison
    from runner.session.report import Report

SHOWN = 12  # rows of a table
SENTENCES = 8  # of the reading
STYLE = (
    "<style>.factor-run table{font-variant-numeric:tabular-nums;margin:.5em 0}"
    ".factor-run dl.facts div{display:flex;gap:1em}.factor-run dt{min-width:7em;opacity:.7}"
    ".factor-run dd{margin:0}.factor-run i{opacity:.5;font-style:normal}"
    ".factor-run caption{text-align:left;opacity:.7}</style>"
)


def report_html(report: Report) -> str:
    """Title, data and standard errors, the first coefficients, and the reading."""
    about = report.about
    facts = {
        "Kind": report.kind,
        "Data": str(about.get("source", "")),
        "Model": str(about.get("model", "")),
        "Errors": str(about.get("errors", "")),
        "Validation": str(about.get("validation", "")),
    }
    named = pairs_of(((name, [text]) for name, text in facts.items() if text), "facts")
    table = report.coefficients
    caption = "Coefficients"
    if len(table) > SHOWN:
        caption = f"Coefficients, the first {SHOWN} of {len(table):,}"
    coefficients = framed(table.head(SHOWN), caption, "coefficients")
    sentences = [tag("li", unbroken(sentence)) for sentence in report.reading[:SENTENCES]]
    return _framed(tag("h3", report.name), named, coefficients, tag("ul", *sentences))


def comparison_html(comparison: Comparison) -> str:
    """The leaderboard, and what one must know before comparing."""
    title = tag("h3", f"{len(comparison.reports)} runs compared")
    board = framed(comparison.leaderboard.head(SHOWN), "Leaderboard", "leaderboard")
    side_by_side = framed(comparison.side_by_side, "Coefficients", "side_by_side")
    notes = [tag("li", unbroken(sentence)) for sentence in comparison.notes]
    failed = framed(comparison.failures, "Without results", "failures")
    return _framed(title, board, side_by_side, failed, tag("ul", *notes))


def _framed(*parts: Html) -> str:
    return tag("div", Html(STYLE), joined(*parts), class_="factor-run")
