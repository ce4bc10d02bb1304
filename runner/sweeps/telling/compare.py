"""The comparison of a sweep: printed, and written to the directory `report` of the sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from runner.sinks.machine import Form
from runner.sweeps.comparison.comparison import Comparison, compared
from runner.sweeps.plan import Plan
from runner.sweeps.telling import page as sweep_page
from runner.sweeps.telling import terminal as sweep_terminal

if TYPE_CHECKING:
    import pandas as pd


def compare(
    plan: Plan,
    *,
    score: str | None = None,
    term: str | None = None,
    heat: tuple[str, str] | None = None,
    verdict_words: Sequence[str] = (),
    verdict_tables: Mapping[str, pd.DataFrame] = MappingProxyType({}),
    form: Form | Literal["csv", "latex"] = "tables",
) -> Comparison:
    """Write the comparison of the finished jobs to `report` of the sweep, and print it.

    Args:
        score: that ranks; null: that of the sweep, or what the jobs have instead, which is
            reported.
        term: of the specification curve and of the table by unit; null: the first tested terms,
            and the constant where jobs explain.
        heat: two keys of the heat map; null: those that differ, where two do.
        verdict_words, verdict_tables: what tests of all jobs together say.
        form: printed as `tables`, `json` (one object), `csv` (the leaderboard) or `latex` (the
            coefficients side by side), or `quiet`, not at all.

    Raises:
        SpecError: no job has the score or the term, or a key does not differ; nothing was written.
        DataError: a run directory lacks a file.
    """
    comparison = compared(plan, score)
    directory = plan.directory / "report"
    verdict = sweep_page.Verdict(verdict_words, verdict_tables)
    sweep_page.write(comparison, directory, term, heat, verdict)
    if form == "csv":
        print(comparison.leaderboard.to_csv(index=False), end="")
    elif form == "latex":
        print(sweep_page.tex(comparison), end="")
    else:
        sweep_terminal.show(comparison, verdict_words, directory, form, term)
    return comparison
