"""A regression table as files: LaTeX, Markdown and Word."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runner.schema.regression_table import Format
from runner.sinks.paper.table import RegressionTable
from runner.sinks.paper.written.latex import latex
from runner.sinks.paper.written.markdown import markdown

ENDINGS = {"latex": "tex", "markdown": "md", "word": "docx"}


def write_regression(
    table: RegressionTable, formats: Sequence[Format], folder: Path
) -> dict[Format, Path]:
    """Write the table as `regression.*` to a folder; the path of each format."""
    paths = {}
    for name in formats:
        path = folder / f"regression.{ENDINGS[name]}"
        if name == "word":
            from runner.sinks.paper.written.word import write

            write(table, path)
        else:
            text = latex(table) if name == "latex" else markdown(table)
            path.write_text(text, encoding="utf-8")
        paths[name] = path
    return paths
