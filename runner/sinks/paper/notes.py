"""The sentences below a regression table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.errors import listed
from runner.schema.regression_table import TableSettings
from runner.sinks.paper.plan import Place, Plan
from runner.sinks.paper.runs import HEADLINE, Estimates, Run
from runner.sinks.paper.stars import Judged, level_text, sentences

OF_MEAN = "; of the mean: "  # parts the words on the errors of regressions and of their mean
CONFIDENCE = 0.95  # of intervals, where the model says nothing else


def notes(
    plan: Plan,
    runs: Sequence[Run],
    estimates: Mapping[Place, Estimates],
    tests_judged: Judged,
    columns: Sequence[str],
    settings: TableSettings,
) -> list[str]:
    """What the numbers, the brackets and the stars are, what is left out, and the notes asked for.

    Args:
        columns: how the sentences call each column.
    """
    words = [
        *_means(plan, runs, estimates),
        *_errors(plan, runs, settings),
        *sentences(tests_judged, plan, columns, settings.stars),
        *plan.cut,
        *settings.notes,
    ]
    return list(dict.fromkeys(words))


def _means(plan: Plan, runs: Sequence[Run], estimates: Mapping[Place, Estimates]) -> list[str]:
    """What a column is that is a mean over assets, groups or dates."""
    if plan.units != (HEADLINE,):
        return []
    nouns: dict[str, None] = {}
    for number, run in enumerate(runs):
        of_run = estimates.get(Place(number, HEADLINE))
        if of_run is not None and "units" in of_run.facts:
            nouns[f"{run.noun}s"] = None
    if not nouns:
        return []
    units = " or ".join(nouns)
    return [f"Coefficients and R² are averages over {units}; observations are summed."]


def _errors(plan: Plan, runs: Sequence[Run], settings: TableSettings) -> list[str]:
    """What is in brackets, and how standard errors were computed."""
    ways: dict[str, list[str]] = {}
    for number, run in enumerate(runs):
        errors = _own_errors(plan, run)
        if errors:
            name = f"({number + 1})" if plan.columns == "model" else run.name
            ways.setdefault(errors, []).append(name)
    has_tests = any(bool(run.coefficients["p_value"].notna().any()) for run in runs)
    subject = _in_brackets(runs, settings) if has_tests else "Standard errors"
    if not ways:
        return []
    if len(ways) == 1:
        [errors] = ways
        return [f"{subject}: {errors}."]
    parts = [f"{listed(names)}: {errors}" for errors, names in ways.items()]
    return [f"{subject}. {'; '.join(parts)}."]


def _own_errors(plan: Plan, run: Run) -> str:
    """The standard errors of what the table shows of a run: its regressions, or their mean."""
    of_regressions, has_mean, of_mean = run.errors.partition(OF_MEAN)
    if has_mean and plan.units == (HEADLINE,):
        return of_mean
    return of_regressions


def _in_brackets(runs: Sequence[Run], settings: TableSettings) -> str:
    """Such as: Standard errors are in parentheses."""
    if settings.brackets == "se":
        return "Standard errors are in parentheses"
    if settings.brackets == "t":
        letter = "z" if all(run.is_logit for run in runs) else "t"
        return f"{letter}-statistics are in parentheses. Standard errors"
    levels = {float(run.model.get("confidence") or CONFIDENCE) for run in runs}
    named = " and ".join(level_text(level) for level in sorted(levels))
    return f"{named} confidence intervals are in brackets. Standard errors"
