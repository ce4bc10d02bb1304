"""What a notebook shows of a run or a comparison: the head of its page, every text escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runner.sinks.markup import Html, framed, joined, pairs_of, tag, unbroken

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 12  # rows of a table
SENTENCES = 8  # of the reading
STYLE = (
    "<style>.factor-run table{font-variant-numeric:tabular-nums;margin:.5em 0}"
    ".factor-run dl.facts div{display:flex;gap:1em}.factor-run dt{min-width:7em;opacity:.7}"
    ".factor-run dd{margin:0}.factor-run i{opacity:.5;font-style:normal}"
    ".factor-run caption{text-align:left;opacity:.7}</style>"
)


def report_html(
    name: str, about: Mapping[str, Any], coefficients: pd.DataFrame, reading: Sequence[str]
) -> str:
    """Title, data and standard errors, the first coefficients, and the reading."""
    facts = {
        "Kind": about.get("kind"),
        "Data": about.get("source"),
        "Model": about.get("model"),
        "Errors": about.get("errors"),
        "Validation": about.get("validation"),
    }
    named = pairs_of(((key, [str(text)]) for key, text in facts.items() if text), "facts")
    caption = "Coefficients"
    if len(coefficients) > SHOWN:
        caption = f"Coefficients, the first {SHOWN} of {len(coefficients):,}"
    table = framed(coefficients.head(SHOWN), caption, "coefficients")
    sentences = [tag("li", unbroken(sentence)) for sentence in reading[:SENTENCES]]
    return _framed(tag("h3", name), named, table, tag("ul", *sentences))


def comparison_html(title: str, tables: Mapping[str, pd.DataFrame], notes: Sequence[str]) -> str:
    """The tables by their captions, and what one must know before comparing."""
    shown = [framed(table.head(SHOWN), caption, caption) for caption, table in tables.items()]
    sentences = [tag("li", unbroken(sentence)) for sentence in notes]
    return _framed(tag("h3", title), *shown, tag("ul", *sentences))


def _framed(*parts: Html) -> str:
    return tag("div", Html(STYLE), joined(*parts), class_="factor-run")
