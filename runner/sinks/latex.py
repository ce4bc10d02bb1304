"""A table of text as a plain LaTeX tabular, which needs no package."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

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
    "\n": " ",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}
# sign, digits and stars
ESTIMATE = re.compile(r"(-?)([\d.,]+(?:e[-+]?\d+)?)(\**)")


def escaped(text: str) -> str:
    """The text as LaTeX prints it."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def tabular(table: pd.DataFrame, rules: tuple[int, ...] = (), notes: tuple[str, ...] = ()) -> str:
    """The table as a `tabular`: the first column is text, the others are centred.

    Lines go above, below the head and at the end. Estimates keep their sign, their stars are
    raised.

    Args:
        rules: numbers of rows below which there is a line too.
        notes: comments before the table.
    """
    lines = [f"% {' '.join(note.split())}" for note in notes]
    alignment = "l" + "c" * (table.shape[1] - 1)
    head = " & ".join(escaped(str(name)) for name in table)
    lines.append(rf"\begin{{tabular}}{{{alignment}}}")
    lines.append(r"\hline\hline")
    lines.append(rf"{head} \\")
    lines.append(r"\hline")
    for number, (label, *texts) in enumerate(table.itertuples(index=False), start=1):
        cells = [_text(str(label)), *(_cell(str(text)) for text in texts)]
        lines.append(" & ".join(cells) + r" \\")
        if number in rules:
            lines.append(r"\hline")
    lines.append(r"\hline\hline")
    lines.append(r"\end{tabular}")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A number with its sign and stars as mathematics, all else as text."""
    match = ESTIMATE.fullmatch(text)
    if match is None:
        return _text(text)
    sign, digits, stars = match.groups()
    minus = "$-$" if sign else ""
    raised = f"$^{{{stars}}}$" if stars else ""
    return f"{minus}{digits}{raised}"


def _text(text: str) -> str:
    """In braces where the line before it would take its first letter for an option of its end."""
    if text.startswith(("[", "*")):
        return f"{{{escaped(text)}}}"
    return escaped(text)
