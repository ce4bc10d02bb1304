"""Coefficients of the jobs of a sweep side by side, as a table of a paper has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from runner.sweeps.comparison.texts import score_text, value_text
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
    jobs = [outcome.job.number for outcome in ranked]
    columns = {}
    for outcome in ranked:
        heading = f"job {outcome.job.number}"
        columns[heading] = _column(comparison, outcome)
    filled: set[Row] = set()
    for cells in columns.values():
        filled.update(cells)
    every = _rows(comparison, jobs)
    rows = [row for row in every if row in filled]
    labels = [_label(row) for row in rows]
    table = {"": labels}
    for heading, cells in columns.items():
        table[heading] = [cells.get(row, "") for row in rows]
    frame = pd.DataFrame(table)
    kinds = [kind for kind, _, _ in rows]
    frame.attrs["terms"] = kinds.count("term")
    return frame


def _rows(comparison: Ranked, jobs: list[int]) -> list[Row]:
    """Every row that the table may have: those of terms, of keys that differ, and of the foot."""
    rows = []
    for term in comparison.terms(jobs):
        estimate = ("term", term, "")
        error = ("term", term, "error")
        rows += [estimate, error]
    for name in comparison.names:
        rows.append(("key", name, ""))
    feet = (comparison.score, *FEET, "errors")
    for name in dict.fromkeys(feet):
        rows.append(("foot", name, ""))
    return rows


def _label(row: Row) -> str:
    """What stands on the left of a row; an error has its term above it."""
    _, name, part = row
    if part:
        return ""
    return FEET.get(name, name)


def _column(comparison: Ranked, outcome: Outcome) -> dict[Row, str]:
    """The cells of a job that are not empty, by their row."""
    cells: dict[Row, str] = {}
    for row in outcome.central.to_dict("records"):
        term = row["term"]
        estimate = number(row["estimate"])
        significance = stars(row["p_value"])
        cells["term", term, ""] = estimate + significance
        std_error = row["std_error"]
        if not pd.isna(std_error):
            text = number(std_error, ERROR_DIGITS)
            cells["term", term, "error"] = f"({text})"
    job = outcome.job.number
    for name in comparison.names:
        choice = comparison.choices[name].loc[job]
        cells["key", name, ""] = value_text(choice)
    for name in (comparison.score, *FEET):
        if name in outcome.metrics:
            value = outcome.metrics[name]
            cells["foot", name, ""] = score_text(name, value)
    family, *_ = re.split("[,;(]", outcome.errors)
    cells["foot", "errors", ""] = family.strip()
    return {row: text for row, text in cells.items() if text}
