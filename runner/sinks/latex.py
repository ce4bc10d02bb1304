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
}
SPECIAL |= {
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": "$-$",
    "–": "--",
    "\n": " ",
}
SPECIAL |= {one: f"\\{one}" for one in "&%$#_{}"}
ESTIMATE = re.compile(r"(-?)([\d.,]+(?:e[-+]?\d+)?)(\**)")


def escaped(text: str) -> str:
    """The text as LaTeX prints it."""
    return "".join(SPECIAL.get(one, one) for one in text)


def tabular(table: pd.DataFrame, rules: tuple[int, ...] = (), notes: tuple[str, ...] = ()) -> str:
    """The table with a line above, below the head, below so many rows each, and at the end; notes
    are comments.

    The first column is text, the others are centred; estimates keep their sign, their stars are
    raised.
    """
    head = " & ".join(escaped(str(name)) for name in table)
    lines = [f"% {' '.join(note.split())}" for note in notes]
    lines += [
        rf"\begin{{tabular}}{{l{'c' * (table.shape[1] - 1)}}}",
        r"\hline\hline",
        rf"{head} \\",
        r"\hline",
    ]
    for at, row in enumerate(table.itertuples(index=False), start=1):
        cells = [_text(str(row[0])), *(_cell(str(one)) for one in row[1:])]
        lines.append(" & ".join(cells) + r" \\")
        lines += [r"\hline"] if at in rules else []
    return "\n".join([*lines, r"\hline\hline", r"\end{tabular}", ""])


def _cell(text: str) -> str:
    """A number with its sign and stars as mathematics, all else as text."""
    found = ESTIMATE.fullmatch(text)
    if found is None:
        return _text(text)
    sign, digits, marks = found.groups()
    return f"{'$-$' if sign else ''}{digits}{f'$^{{{marks}}}$' if marks else ''}"


def _text(text: str) -> str:
    """In braces where the line before it would take its first letter for an option of its end."""
    return f"{{{escaped(text)}}}" if text.startswith(("[", "*")) else escaped(text)
