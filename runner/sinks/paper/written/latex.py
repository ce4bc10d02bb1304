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
WIDE = 6  # columns from which on letters are small, and the table is as wide as the text at most


def escaped(text: str) -> str:
    """The text as LaTeX prints it."""
    return "".join(SPECIAL.get(letter, letter) for letter in shown(text))


def latex(table: RegressionTable) -> str:
    r"""The table as a float `table`, to be read by `\input` where booktabs is loaded.

    Of many columns, it is shrunk to the width of the text, for which graphicx is loaded too.
    """
    columns = len(table.headings)
    is_wide = columns >= WIDE
    packages = "booktabs,graphicx" if is_wide else "booktabs"
    head = [
        f"% {' '.join(shown(table.source).split())}",
        rf"% needs \usepackage{{{packages}}}",
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{escaped(table.title)}}}",
        r"\smallskip",
    ]
    grid = _grid(table, is_wide)
    wide = [r"\footnotesize", r"\setlength{\tabcolsep}{8pt}", *_within_text(grid)]
    body = wide if is_wide else grid
    return "\n".join([*head, *body, *_notes(table), r"\end{table}"]) + "\n"


def _grid(table: RegressionTable, is_wide: bool) -> list[str]:
    """The lines of the `tabular`; stars take no width in a wide one."""
    columns = len(table.headings)
    last_gap = r"@{\hspace{1.2em}}" if is_wide else ""
    lines = [rf"\begin{{tabular}}{{l{'c' * columns}{last_gap}}}", r"\toprule", *_headings(table)]
    above = "head"
    for row in table.rows():
        rule = _rule(above, row.kind)
        if rule:
            lines.append(rule)
        lines.append(_line(row, columns, is_wide))
        above = row.kind
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _within_text(grid: list[str]) -> list[str]:
    """The lines, shrunk to the width of the text where they are wider."""
    return [
        r"\sbox0{%",
        *grid,
        "}%",
        r"\ifdim\wd0>\linewidth \resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
    ]


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


def _line(row: Row, columns: int, is_wide: bool) -> str:
    """A row of the table; stars take no width in a wide one."""
    if row.kind == "panel":
        title = rf"\multicolumn{{{columns + 1}}}{{l}}{{\textit{{{escaped(row.label)}}}}}"
        return rf"{title} \\"
    texts = []
    for text, stars in zip(row.texts, row.stars, strict=True):
        raised = f"$^{{{stars}}}$" if stars else ""
        if raised and is_wide:
            raised = rf"\rlap{{{raised}}}"
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
