"""Coefficients of the jobs of a sweep side by side, as a table of a paper has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from runner.sweeps.comparison.texts import value_text
from runner.text import number, stars

if TYPE_CHECKING:
    from runner.sweeps.comparison.ranked import Outcome, Ranked

FEET = {"fit/r2": "R2 in sample", "fit/n_obs": "rows fitted on"}
ERROR_DIGITS = 3  # significant digits of a standard error
Row = tuple[str, str, str]  # kind (term, key or foot), name, and part ("" or error)


def side_by_side(comparison: Ranked, most: int) -> pd.DataFrame:
    """A row per estimate, error, choice and score; a column of texts per job, best first.

    Args:
        most: jobs that have a column.

    Returns:
        The table; `attrs["terms"]` is the number of its rows above the foot.
    """
    ranked = comparison.ranked[:most]
    columns = {f"job {outcome.job.number}": _column(comparison, outcome) for outcome in ranked}
    filled: set[Row] = set()
    for cells in columns.values():
        filled.update(row for row, text in cells.items() if text)
    every = _rows(comparison, [outcome.job.number for outcome in ranked])
    rows = [row for row in every if row in filled]
    table = {"": [_label(row) for row in rows]}
    for heading, cells in columns.items():
        table[heading] = [cells.get(row, "") for row in rows]
    frame = pd.DataFrame(table)
    frame.attrs["terms"] = sum(kind == "term" for kind, _, _ in rows)
    return frame


def _rows(comparison: Ranked, jobs: list[int]) -> list[Row]:
    """Every row that the table may have: those of terms, of keys that differ, and of the foot."""
    rows = []
    for term in comparison.terms(jobs):
        rows.append(("term", term, ""))
        rows.append(("term", term, "error"))
    rows += [("key", name, "") for name in comparison.names]
    feet = dict.fromkeys((comparison.score, *FEET, "errors"))
    rows += [("foot", name, "") for name in feet if name]
    return rows


def _label(row: Row) -> str:
    """What stands on the left of a row; an error has its term above it."""
    _, name, part = row
    return "" if part else FEET.get(name, name)


def _column(comparison: Ranked, outcome: Outcome) -> dict[Row, str]:
    """The cells of a job by their row."""
    cells: dict[Row, str] = {}
    for row in outcome.central.to_dict("records"):
        term = row["term"]
        cells["term", term, ""] = number(row["estimate"]) + stars(row["p_value"])
        if not pd.isna(row["std_error"]):
            cells["term", term, "error"] = f"({number(row['std_error'], ERROR_DIGITS)})"
    for name in comparison.names:
        cells["key", name, ""] = value_text(comparison.choices[name].loc[outcome.job.number])
    for name in (comparison.score, *FEET):
        if name in outcome.metrics:
            value = outcome.metrics[name]
            text = f"{value:,.0f}" if name.endswith("n_obs") else number(value)
            cells["foot", name, ""] = text
    cells["foot", "errors", ""] = re.split("[,;(]", outcome.errors)[0].strip()
    return cells
