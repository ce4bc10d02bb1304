"""A regression table as LaTeX, with the rules of the package booktabs."""

from __future__ import annotations

import re

from runner.sinks.paper.table import RegressionTable, Row
from runner.text import shown

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    '"': "''",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": "$-$",
    "–": "--",
    "×": r"$\times$",
    "²": "$^2$",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}
SIGNED = re.compile(r"(?<![\w.)])-(?=\d)")  # the minus of a number, not a hyphen
POWER = re.compile(r"(\d)e([-+]\d+)")
WIDE = 6  # columns from which on letters are small
WIDEST = 9  # and gaps narrow


def escaped(text: str) -> str:
    """The text as LaTeX prints it."""
    return "".join(SPECIAL.get(letter, letter) for letter in shown(text))


def latex(table: RegressionTable) -> str:
    r"""The table as a float `table`, to be read by `\input` where booktabs is loaded."""
    columns = len(table.headings)
    head = [
        f"% {' '.join(shown(table.source).split())}",
        r"% needs \usepackage{booktabs}",
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{escaped(table.title)}}}",
        r"\smallskip",
    ]
    if columns >= WIDE:
        head.append(r"\footnotesize")
    if columns >= WIDEST:
        head.append(r"\setlength{\tabcolsep}{3pt}")
    lines = [*head, rf"\begin{{tabular}}{{l{'c' * columns}}}", r"\toprule", *_headings(table)]
    above = "head"
    for row in table.rows():
        rule = _rule(above, row.kind)
        if rule:
            lines.append(rule)
        lines.append(_line(row, columns))
        above = row.kind
    lines += [r"\bottomrule", r"\end{tabular}", *_notes(table), r"\end{table}"]
    return "\n".join(lines) + "\n"


def _headings(table: RegressionTable) -> list[str]:
    """The rows of numbers and names above the columns."""
    rows = []
    if table.numbered:
        numbers = [heading.number for heading in table.headings]
        rows.append(_joined("", numbers))
    if table.named:
        names = [escaped(heading.name) for heading in table.headings]
        rows.append(_joined("", names))
    return rows


def _rule(above: str, kind: str) -> str:
    """What parts a row from the one above it."""
    begins_feet = kind == "foot" and above != "foot"
    if above == "head" or kind == "panel" or begins_feet:
        return r"\midrule"
    if kind == "estimate" and above == "bracket":
        return r"\addlinespace"
    return ""


def _line(row: Row, columns: int) -> str:
    """A row of the table."""
    if row.kind == "panel":
        title = rf"\multicolumn{{{columns + 1}}}{{l}}{{\textit{{{escaped(row.label)}}}}}"
        return rf"{title} \\"
    texts = []
    for text, stars in zip(row.texts, row.stars, strict=True):
        raised = f"$^{{{stars}}}$" if stars else ""
        texts.append(_number(text) + raised)
    return _joined(escaped(row.label), texts)


def _joined(label: str, texts: list[str]) -> str:
    r"""Cells as a row; a label that `\\` above would take for its option is in braces."""
    if label.startswith(("[", "*")):
        label = f"{{{label}}}"
    return f"{' & '.join([label, *texts])} \\\\"


def _number(text: str) -> str:
    """A number with its sign and power as mathematics, all else as text."""
    signed = SIGNED.sub("−", text)
    return POWER.sub(_power, escaped(signed))


def _power(match: re.Match[str]) -> str:
    """Such as 1.2e-07 as a product with a power of ten."""
    digit, exponent = match.groups()
    return rf"{digit}$\times10^{{{int(exponent)}}}$"


def _notes(table: RegressionTable) -> list[str]:
    """The notes below the table, as wide as the text."""
    if not table.notes:
        return []
    text = " ".join(table.notes)
    return [
        r"\par\smallskip",
        r"\begin{minipage}{\linewidth}",
        rf"\footnotesize \textit{{Notes:}} {escaped(text)}",
        r"\end{minipage}",
    ]
